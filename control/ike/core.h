/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core.h - the inside of struct ike_engine: what all files of the keying engine share. Control
 * thread.
 */
#pragma once

#include "base/htab.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/slots.h"
#include "base/timers.h"
#include "control/ike/action.h"
#include "control/ike/pools.h"
#include "control/ike/ticket.h"
#include "control/ike/wire/cookie.h"
#include "control/ike/wire/proto.h"

/* IKE_BUF_LEN - bytes of the largest message that is built; received ones may be longer. */
#define IKE_BUF_LEN 16384

struct ike_sa;
struct ask_slot;
struct step;

/* struct failed_peer - a source (as of struct source) that was to prove who it is and did not, and
 * until when it is counted for that (S43). FAILED_PEERS - how many are remembered. */
struct failed_peer {
	struct ip_addr from;
	uint64_t until_ns;
};
#define FAILED_PEERS 128

/* SPENT_PUZZLES - of how many solved puzzles it is remembered that they are: more than can be
 * solved while a puzzle is good, unless that many are worth as many IKE SAs (RFC 8019 10). */
#define SPENT_PUZZLES 8192

/* struct sa_index - IKE SAs by what others name them by (index.h). */
struct sa_index {
	struct htab spis;   /* the peer's SPI */
	struct htab places; /* where the peer is: its address; of those that were established */
	struct htab peers;  /* who the peer is; of those that were established */
};

/* struct ike_engine - see control/engine.h. */
struct ike_engine {
	struct ike_env env;
	struct ike_limits limits; /* no zeros left */
	struct conf *conf;        /* NULL until the first ike_engine_configure() */
	struct crypto_ctx *crypto;
	struct timers timers;
	struct slots *spis;    /* our SPIs -> struct ike_sa */
	struct htab half_open; /* initiator's endpoint and SPI -> struct ike_sa, as responder */
	struct htab sources;   /* address or /64 -> struct source */
	struct htab debtors;   /* address or /64 -> bytes of unfinished messages (reassembly.c) */
	struct htab asks;      /* id -> struct ask_slot */
	struct htab children;  /* id -> struct ike_child */
	struct htab spis_out;  /* SPI that we send with -> struct ike_child, several perhaps */
	struct sa_index index;
	struct list_node sas; /* by unique number */
	struct ike_sa *dead;  /* those that wait to be swept, by their next_dead */
	struct pools pools;
	struct actions actions;
	struct cookie_jar cookies;
	struct ticket_jar tickets;    /* that were given */
	struct list_node held;        /* struct held_ticket: those that peers have given us */
	struct log_limit log_limit;   /* lines that anybody can trigger */
	struct log_limit error_limit; /* unprotected error answers */
	struct log_limit hints_in, hints_out; /* that ESP met no SA */
	struct secret crash_secret;           /* of our tokens; empty: there are none (crash.h) */
	struct ike_stats stats;               /* gauges are counted when asked for */
	uint32_t num_workers;                 /* of the data path; constant */
	uint32_t half_open_num;
	struct failed_peer failed[FAILED_PEERS]; /* the last ones, round and round */
	uint32_t failed_next;
	uint64_t spent[SPENT_PUZZLES]; /* tags of the last ones' cookies, round and round */
	uint32_t spent_next;
	uint64_t solved;  /* the same of the first message that is worked on; 0 = it has solved none
			   */
	bool by_turn;     /* that message is let in since it is its turn (halfopen.h) */
	uint64_t turn_ns; /* from when on one who solves none may be let in again (halfopen.h) */
	uint32_t last_unique, last_child_unique;
	uint16_t last_cpi;      /* of ours; 0 until there is one */
	uint32_t last_followup; /* serial number of the last one that waited */
	uint64_t last_child, last_peer, last_ask;
	const struct step *failing; /* the step that fails just now, for its events; else NULL */
	bool had_unproven;          /* a peer that may be anybody has had an IKE SA (claims.c) */
	uint64_t now_ns;            /* of the input call under way */
	uint8_t out[IKE_BUF_LEN];
	uint8_t in[IKE_MAX_MESSAGE];
};

/* engine_random - len random bytes. Errors: CRYPTO. */
MUST_USE enum err engine_random(struct ike_engine *e, void *out, size_t len) NONNULL(1, 2);

/* engine_spread - a time in [0, range_ns), for jitter; 0 if range_ns is 0 or randomness failed. */
uint64_t engine_spread(struct ike_engine *e, uint64_t range_ns) NONNULL(1);

/* engine_sweep - free what died during this input call. Every input function ends with it. */
void engine_sweep(struct ike_engine *e, uint64_t now_ns) NONNULL(1);

/* ask_find - the open ask with this id, or NULL. */
const struct ike_ask *ask_find(const struct ike_engine *e, uint64_t id) NONNULL(1);
