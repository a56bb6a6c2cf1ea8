/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sa.h - an ESP security association: a run-time half that one worker owns, and an RCU pointer to
 * an immutable configuration that can be swapped. Any worker may look up an SA and read who owns
 * it; nobody else does more with it (S51, S53). Nothing here says where the peer is: that is the
 * path's. In transport mode the selectors name the two ends as applications here know them; the
 * header of a packet is taken off before ESP and made again of them behind it (transport.h), while
 * the outer header is, as always, the path's. Source: RFC 4301 4.4.2, RFC 4303.
 */
#pragma once

#include "base/bytes.h"
#include "base/rcu.h"
#include "dataplane/allowance.h"
#include "dataplane/crypto/aead.h"
#include "dataplane/dataplane.h"
#include "dataplane/replay.h"

struct inline_key;
struct inline_ports;
struct ipcomp;
struct sa_group;
struct path_set;
struct resequence;
struct sibling_ask;

/* ESP on the wire (RFC 4303 2): SPI and sequence number, IV, text with padding and trailer, ICV.
 * What depends on the algorithm is in the SA (front_len, align, icv_len). */
#define ESP_HEADER_LEN  AEAD_HEAD_LEN
#define ESP_TRAILER_LEN 2
#define ESP_FRONT_MAX   (ESP_HEADER_LEN + AEAD_IV_MAX)

/* ESP_PROBE - the next header of a control message about paths: one of those for experiments (RFC
 * 3692, RFC 4727), which means this between two that have agreed on it (child_params.mif). */
#define ESP_PROBE 253

/* struct sa_conf - what does not change packet by packet; immutable once published, but for `tied`.
 */
struct sa_conf {
	uint64_t uid;   /* no other configuration of this data path ever has it */
	uint64_t child; /* the keying engine's name */
	struct sa_group *group;
	struct path_set *paths;
	uint16_t tied; /* atomic, out: the path that packets go by while it is usable; 0: as the
			* set's schedule has it. control: w, worker: r */
	struct sa_lifetime lifetime; /* "none" is UINT64_MAX here */
	uint64_t soft_seq;           /* sequence number that calls for another SA */
	uint32_t token;              /* protection class */
	uint8_t method;              /* of the class: enum auth_method */
	uint8_t quality;             /* of the class: CLASS_Q_* */
	uint32_t scope;              /* of its traffic, as flow_key has it */
	enum sa_mode mode;
	bool mif;              /* control messages about paths are the control thread's */
	bool ipcomp;           /* the SA has esp_sa.ipcomp */
	uint8_t copy_dscp;     /* enum dscp_copy */
	uint8_t copy_df;       /* enum df_copy */
	uint16_t mss_clamp;    /* a length, 0 = none, or MSS_CLAMP_PATH */
	uint32_t tfc_padding;  /* inner packets have so many bytes at least; 0 = as they come */
	uint32_t dummies;      /* packets a second that leave at least; 0 = as they come */
	uint32_t dummy_len;    /* of those that are made for that, or TFC_PADDING_PATH */
	uint16_t checksum_fix; /* transport mode: transport_fix() */
	uint32_t num_local, num_remote;
	struct rcu_head rcu;
	struct ts ts[]; /* num_local local ones, then num_remote remote ones */
};

/* sa_conf_local, sa_conf_remote - the first selector of each side; in transport mode every one has
 * the same address. */
static inline const struct ts *sa_conf_local(const struct sa_conf *c)
{
	return c->ts;
}

static inline const struct ts *sa_conf_remote(const struct sa_conf *c)
{
	return c->ts + c->num_local;
}

/* SA_SOFT_SEQ - with 32-bit sequence numbers a soft event is due when so many are used: 1/16 is
 * left for the time until another SA stands. */
#define SA_SOFT_SEQ 0xf0000000u

#define SA_F_ESN  0x01 /* 64-bit sequence numbers; constant */
#define SA_F_USED 0x02 /* first use was reported */
#define SA_F_SOFT 0x04 /* soft lifetime was reported */
#define SA_F_HARD 0x08 /* the end was reported */

/* struct esp_sa - one direction. The first two lines are all that a batch touches. */
struct esp_sa {
	/* Line 0: the worker's. */
	alignas(CACHE_LINE) uint64_t seq; /* out: last sequence number used. control: r relaxed */
	const struct aead_key *key;       /* constant */
	const struct aead_backend *aead;  /* constant */
	const struct sa_conf *conf;       /* RCU. control: w */
	struct replay *replay;            /* in; NULL for outbound */
	struct replay *replay_next;  /* a larger window to adopt. control and worker: exchange */
	struct be32 spi;             /* constant */
	uint8_t salt[AEAD_SALT_LEN]; /* constant */
	uint8_t flags;               /* SA_F_*. worker: rw */
	/* Constant, in bytes: additional data (8, or 12 with ESN), header and IV, what the text is
	 * a multiple of (4 or 16), ICV. */
	uint8_t aad_len, front_len, align, icv_len;
	bool owners_only; /* out, constant: SHARE_OWNER */
	uint16_t owner;   /* constant: index of the worker, the only writer */

	/* Line 1: counters. Worker: rw, control: r relaxed. */
	uint64_t packets, bytes; /* authenticated or sent; inner bytes */
	uint64_t last_ns;
	uint64_t num_replay, num_auth_failed;
	uint64_t moved_ns;         /* last report that the peer moved; worker only */
	struct esp_sa *next;       /* out: next older SA of the group. RCU, control: w */
	struct esp_sa *next_dummy; /* out: next SA that sends dummies. RCU, control: w */

	/* Line 2: control's. */
	struct aead_key *own_key;
	struct aead_device *device; /* that it is of; NULL: sa->aead's */
	/* With a device, constant: what does what the device does not. */
	const struct aead_backend *spare;
	struct aead_key *spare_key;
	struct inline_ports *ports;  /* that do its packets; NULL: none */
	struct inline_key *port_key; /* constant: theirs */
	struct replay *replay_old;   /* windows the worker gave up. control and worker: exchange */
	bool active;                 /* in its group's list */
	struct sibling_ask *asks; /* out: by worker, each writes its own; NULL without SHARE_ASK */
	struct resequence *order; /* in: packets wait for smaller numbers; NULL: they do not. RCU,
				   * control: w */
	struct ipcomp *ipcomp;    /* constant; NULL: nothing is compressed (ipcomp.h) */
	struct allowance probes;  /* in: control messages about paths. Worker only */
	struct rcu_head rcu;
};
static_assert(offsetof(struct esp_sa, packets) == CACHE_LINE, "line 1 holds the counters");
static_assert(alignof(struct esp_sa) == CACHE_LINE, "no two SAs share a line");
static_assert(offsetof(struct esp_sa, own_key) == 2 * CACHE_LINE, "line 2 is the control thread's");

/* esp_op - op is to seal or open, in place, len bytes of text behind header and IV. Nonce is
 * salt || IV, which is the sequence number where the packet has none (RFC 8750 4); the AAD has the
 * high half of seq in the middle with ESN (RFC 4106 5). A back end that needs them elsewhere finds
 * them there. */
static inline void esp_op(struct aead_op *op, const struct esp_sa *sa, uint8_t *text, uint32_t len,
			  uint64_t seq)
{
	op->key = sa->key;
	op->text = text;
	op->icv = text + len;
	op->len = len;
	op->aad_len = sa->aad_len;
	op->ok = false;
	memcpy(op->aad, sa->spi.b, 4);
	store_be64(op->aad + 4, sa->aad_len == AEAD_AAD_MAX ? seq : seq << 32);
	memcpy(op->nonce, sa->salt, 4);
	if (sa->front_len == AEAD_HEAD_LEN)
		store_be64(op->nonce + 4, seq);
	else
		memcpy(op->nonce + 4, text - 8, 8);
}

/* sa_quality - CLASS_Q_* of what is protected so. */
uint8_t sa_quality(const struct child_params *params) NONNULL(1);

/* sa_conf_new - copy params (already validated) for the class `token`; NULL on shortage. */
MALLOC_LIKE struct sa_conf *sa_conf_new(const struct child_params *params, struct sa_group *group,
					struct path_set *paths, uint32_t token, uint64_t uid)
	NONNULL(1, 2, 3);

/* esp_sa_new - one direction of a pair: dir is CHILD_IN or CHILD_OUT; worker `owner` will own it.
 * conf passes to the SA on success; rng makes the secret of its IVs, where they must be
 * unpredictable. Errors: NOMEM, UNSUPPORTED, CRYPTO, INVAL. Control thread. */
MUST_USE enum err esp_sa_new(struct esp_sa **out, const struct child_params *params,
			     enum child_half dir, const struct aead_backend *aead,
			     struct sa_conf *conf, uint16_t owner, const struct rng *rng)
	NONNULL(1, 2, 4, 5, 7);

/* esp_sa_use_device - an SA that nothing reaches yet encrypts or decrypts by a device, which has a
 * way of use for it; with params and dir as it was made. What it had is its spare. Errors: NOMEM,
 * UNSUPPORTED, CRYPTO: it is as it was. Control thread. */
MUST_USE enum err esp_sa_use_device(struct esp_sa *sa, struct aead_device *device,
				    const struct child_params *params, enum child_half dir,
				    const struct rng *rng) NONNULL(1, 2, 3, 5);

/* esp_sa_use_ports - an SA that nothing reaches yet and that has no device is encrypted or
 * decrypted by ports where these do it (inline.h), on the path that it has now. Errors: NOMEM,
 * UNSUPPORTED, CRYPTO: it is as it was. Control thread. */
MUST_USE enum err esp_sa_use_ports(struct esp_sa *sa, struct inline_ports *ports,
				   const struct child_params *params, enum child_half dir)
	NONNULL(1, 2, 3);

/* esp_sa_tie - packets leave by the path with this id while it is usable; 0: as the set's schedule
 * has it. Control thread. */
void esp_sa_tie(struct esp_sa *sa, uint16_t path) NONNULL(1);

/* esp_sa_free - wipe and free at once: no worker may hold it. NULL is accepted. */
void esp_sa_free(struct esp_sa *sa);

/* esp_sa_retire - free when no worker reads it any more. Control thread. */
void esp_sa_retire(struct esp_sa *sa, struct rcu_queue *q) NONNULL(1, 2);

/* esp_sa_grow_window - hand the worker a larger replay window; a smaller one changes nothing.
 * Errors: NOMEM. Control thread. */
MUST_USE enum err esp_sa_grow_window(struct esp_sa *sa, uint32_t window) NONNULL(1);

/* esp_sa_adopt_window - take over the window that control has handed in, if any. Worker. */
void esp_sa_adopt_window(struct esp_sa *sa) NONNULL(1);
