/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mif.h - the notifies by which two sides agree on several paths for one IKE SA and its children:
 * docs/multiple-interfaces.md, sections 3 and 5. Parsers borrow the data and write *out only on
 * success. Pure functions over untrusted bytes, any thread.
 */
#pragma once

#include "control/mif.h"
#include "base/addr.h"
#include "control/ike/wire/payload.h"
#include "control/ike/wire/selectors.h"

/* MIF_VENDOR_ID - the first bytes of SHA-256("Latchkey MIF 1"): without it from both sides in
 * IKE_SA_INIT none of these notifies means anything, their numbers being of private use. */
#define MIF_VENDOR_ID_LEN 16
extern const uint8_t mif_vendor_id[MIF_VENDOR_ID_LEN];

/* mif_vendor_find - the message has it. mif_vendor_build - put it there. */
bool mif_vendor_find(const struct ike_msg *m) NONNULL(1);
void mif_vendor_build(struct ike_builder *b) NONNULL(1);

#define MIF_VERSION   1
#define MIF_PATHS_MIN 2
#define MIF_PATHS_MAX 8    /* paths of an IKE SA (S3) */
#define MIF_OPS_MAX   64   /* operations in one message (S3) */
#define MIF_TAG_MAX   64   /* bytes of a domain's tag */
#define MIF_SPIS_MAX  2048 /* of one selector, result or list of last sequence numbers (S3) */

/* MIF_FIRST_PATH - the pair of addresses that IKE_AUTH went by. */
#define MIF_FIRST_PATH 1

/* struct mif_supported - MIF_SUPPORTED: what a side offers. */
struct mif_supported {
	uint8_t version, max_paths;
	uint16_t caps; /* enum mif_capability */
	uint16_t max_ops;
	uint32_t window; /* packets that its replay window holds */
};

/* mif_supported_parse - of what a later version adds the first 12 bytes are read; what is more
 * than our own bounds is brought down to them. Errors: TRUNCATED, MALFORMED (version 0, less than
 * two paths, no operation). */
MUST_USE enum err mif_supported_parse(struct mif_supported *out, struct bytes data) NONNULL(1);
void mif_supported_build(struct ike_builder *b, const struct mif_supported *s) NONNULL(1, 2);

/* enum mif_op_kind - the operations. */
enum mif_op_kind {
	MIF_ADD = 1,
	MIF_REMOVE = 2,
	MIF_SOFT = 3, /* move traffic to the path; the old one goes on receiving */
	MIF_HARD = 4, /* the same, and the paths that had the traffic go */
	MIF_MULTIHOMING = 5,
	MIF_QUERY = 6,
	MIF_LEAVE = 7, /* no payload goes by the path any more: it is about to be removed */
};

#define MIF_ATOMIC 0x01 /* this transaction's operations of the message: all, or none */
#define MIF_DRY    0x02 /* say what would be, and do nothing */

/* enum mif_status - what came of an operation. The numbers are of error notifies for private use;
 * they are sent in MIF_RESULT alone. */
enum mif_status {
	MIF_OK = 0,
	MIF_UNSUPPORTED_OP =
		8200, /* operation, flag or TLV that is not known, or does not belong */
	MIF_UNKNOWN_PATH = 8201,
	MIF_PATH_LIMIT = 8202,
	MIF_EMPTY_SELECTOR = 8203, /* it names no Child SA of this IKE SA */
	MIF_POLICY_DENIED = 8204,
	MIF_BAD_ENDPOINT = 8205, /* nowhere to send to, or whose it is was taken for another's */
	MIF_STALE = 8206,        /* the transaction is an old one */
	MIF_BAD_PATH_ID = 8207,  /* 0, or not larger than all before */
	MIF_ABORTED = 8208,      /* another one of the transaction failed, and it was ATOMIC */
};

/* struct mif_endpoint - one end of a path; family IP_NONE: not said. */
struct mif_endpoint {
	struct endpoint at; /* port 0: ESP goes without UDP */
	bool nat;           /* a translator stands before it: it is seen elsewhere */
};

/* enum mif_select - what of an IKE SA's Child SAs is meant. */
enum mif_select {
	MIF_SELECT_ALL = 0, /* also if nothing is said */
	MIF_SELECT_SPIS = 1,
	MIF_SELECT_TS = 2,
	MIF_SELECT_DOMAIN = 3,
};

/* struct mif_selector - bytes: SPIs by which its sender receives (as in a Delete payload), 4 bytes
 * each; or the bodies of two TS payloads, the sender's side first, whose length is split; or the
 * tag. */
struct mif_selector {
	enum mif_select kind;
	uint16_t split;
	struct bytes bytes;
};

/* enum mif_policy - how packets are spread over the paths in use. */
enum mif_policy {
	MIF_FAILOVER = 0,
	MIF_FLOW = 1,
	MIF_SPRAY = 2,
	MIF_DUPLICATE = 3,
	MIF_NUM_POLICIES,
	MIF_KEEP_POLICY = 255, /* as it was */
};

/* struct mif_schedule - the usable paths of the smallest priority are in use. */
struct mif_schedule {
	uint8_t policy, priority;
	uint16_t weight; /* 1 to 65535 */
};

/* struct mif_liveness - a path without traffic is asked this often, and is dead after that long
 * without an answer. */
struct mif_liveness {
	uint32_t idle_ms, dead_ms;
};

/* enum mif_path_state - of a path, in answers to QUERY. */
enum mif_path_state {
	MIF_PATH_DETECTED = 1,
	MIF_PATH_VALIDATING = 2,
	MIF_PATH_USABLE = 3,
	MIF_PATH_DRAINING = 4,
};

/* struct mif_state - where a path stands for who answers. */
struct mif_state {
	uint8_t state; /* enum mif_path_state */
	bool active;   /* it sends by it */
};

/* Bits of the TLVs that an operation has. */
#define MIF_HAS_OWN      0x01
#define MIF_HAS_PEERS    0x02
#define MIF_HAS_SELECTOR 0x04
#define MIF_HAS_SCHEDULE 0x08
#define MIF_HAS_LIVENESS 0x20
#define MIF_HAS_STATE    0x40

/* struct mif_op - one MIF_OP. */
struct mif_op {
	uint8_t op;    /* enum mif_op_kind */
	uint8_t flags; /* MIF_ATOMIC, MIF_DRY */
	uint16_t path, transaction;
	uint16_t has;     /* MIF_HAS_* */
	uint16_t refused; /* parsed: why it is not to be done (enum mif_status), 0 = it may be */
	struct mif_endpoint own, peers; /* of who sends it, and of who receives it */
	struct mif_selector selector;
	struct mif_schedule schedule;
	struct mif_liveness liveness;
	struct mif_state state;
};

/* mif_op_parse - data of a MIF_OP. What follows the format and cannot be done all the same has
 * `refused`, its first reason. Errors: TRUNCATED, MALFORMED (lengths, a TLV twice, a value that
 * cannot be), LIMIT (more SPIs than MIF_SPIS_MAX). */
MUST_USE enum err mif_op_parse(struct mif_op *out, struct bytes data) NONNULL(1);

/* mif_op_build - a MIF_OP with what op->has says. */
void mif_op_build(struct ike_builder *b, const struct mif_op *op) NONNULL(1, 2);

/* mif_op_write - the same without a payload around it: what mif_op_parse() reads. */
void mif_op_write(struct writer *w, const struct mif_op *op) NONNULL(1, 2);

/* mif_spi - number i of the SPIs in a selector or result. */
uint32_t mif_spi(struct bytes spis, uint32_t i);
uint32_t mif_num_spis(struct bytes spis);

/* mif_selector_ts - the two lists of a parsed MIF_SELECT_TS. Errors: those of ts_list_parse(). */
MUST_USE enum err mif_selector_ts(struct ts_list *own, struct ts_list *peers,
				  const struct mif_selector *s) NONNULL(1, 2, 3);

/* mif_selector_of_ts - such a selector, its bytes in buf. Errors: FULL, LIMIT, INVAL. */
MUST_USE enum err mif_selector_of_ts(struct mif_selector *out, uint8_t *buf, size_t cap,
				     const struct ts_list *own, const struct ts_list *peers)
	NONNULL(1, 2, 4, 5);

/* struct mif_result - MIF_RESULT: what came of one operation. failed: SPIs that the operation named
 * and that it was not done for, as they stood there, 4 bytes each. */
struct mif_result {
	uint16_t transaction, path, status;
	struct bytes failed;
};

/* mif_result_parse - Errors: TRUNCATED, MALFORMED (length), LIMIT. */
MUST_USE enum err mif_result_parse(struct mif_result *out, struct bytes data) NONNULL(1);
void mif_result_build(struct ike_builder *b, const struct mif_result *r) NONNULL(1, 2);

/* mif_result_write - the same without a payload around it: what mif_result_parse() reads. */
void mif_result_write(struct writer *w, const struct mif_result *r) NONNULL(1, 2);

/* mif_status_name - for people; "?" for others. */
const char *mif_status_name(uint16_t status);
