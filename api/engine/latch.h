/* SPDX-License-Identifier: Apache-2.0 */
/*
 * latch.h - latches that applications ask for (RFC 5660), as the engine keeps them: what is
 * demanded, what stands in the data path for it, and whom to tell. Shared by these files only:
 *
 *   latch.c        the records: made, found, released
 *   latch_demand.c what is demanded, and who meets it
 *   latch_state.c  states and the ways between them
 *   latch_events.c what happened elsewhere: SAs, packets, sockets, questions
 *   latch_cgroup.c   what processes of a control group demand
 *   latch_restore.c  a process that ends, and the next one; latch_store.c, their journal
 *   latch_make.c   a connection where none is configured
 *   profile.c      named demands
 *   app.c          all that as the application socket has it
 *
 * Loop thread.
 */
#pragma once

#include "api/engine/app.h"
#include "api/engine/internal.h"

/* LATCH_TICK_NS - how often what is over is looked for. LATCH_ASK_NS - an application has so long
 * to say yes. */
#define LATCH_TICK_NS NS_PER_S
#define LATCH_ASK_NS  (30 * NS_PER_S)

/* LATCH_CLEAR_NS - what goes on without protection, if need be, waits for it no longer. */
#define LATCH_CLEAR_NS (5 * NS_PER_S)

/* PROFILES_MAX - that are known at once. */
#define PROFILES_MAX 32

struct latch_store;

/* TRY - return the error of a step where nothing is owned. */
#define TRY(x)                           \
	do {                             \
		enum err try_err_ = (x); \
		if (try_err_)            \
			return try_err_; \
	} while (0)

/* struct latch_key - a flow, or the local side of one. No padding. */
struct latch_key {
	struct flow flow;
	uint32_t listener; /* 0 or 1 */
};
static_assert(sizeof(struct latch_key) == 52, "compared and hashed as bytes");

/* struct latch_needs - a demand made out: whom and what it takes. */
struct latch_needs {
	uint32_t methods; /* 1 << enum auth_method */
	uint8_t quality;  /* CLASS_Q_* that must be */
	uint8_t without;  /* CLASS_Q_* that must not: transport mode is asked for */
	bool has_peer, has_local;
	struct ike_id peer, local;
	uint32_t token;               /* 0 = any */
	const struct class_info *tie; /* whom it had in an earlier process; NULL: nobody */
	enum app_part part;
	bool narrow, clear, make, bypass;
	struct conf_proposal suite[CONF_MAX_PROPOSALS];
	uint32_t num_suite;
};

/* struct latch - one record. */
struct latch_rec {
	struct htab_node by_id, by_flow, by_cookie;
	struct list_node node; /* of all, or of those that wait for something */
	struct latch_key key;
	struct app_latch pub;
	struct latch_needs needs;
	uint64_t request; /* of the negotiation under way; 0 = none */
	uint64_t next_ns; /* when another may begin */
	uint64_t ask;     /* of the application; 0 = none */
	uint64_t ask_until_ns;
	uint64_t begun_ns; /* LARVAL: since when */
	uint32_t tries;
	bool connected; /* its flow is what its socket was connected to */
	bool keep, was_up, accepted, held, guarded;
	bool reauth;   /* what is up already is not what is waited for */
	bool same_key; /* the peer authenticated itself again, and by the key that it had */
	bool configured, wanted; /* a listener of the configuration; while that is looked at */
	bool spawned;            /* by a listener: it ends with its flow */
	bool upgrades; /* when it was asked for a policy let its flow pass in the clear (L10) */
	bool barred;   /* one does that came later (L5) */
	bool ended;    /* its SAs were deleted as the application asked: it says when again */
	struct shunt *past; /* of a privileged one: what lets its flow pass by IPsec; or NULL */
};

/* struct latches - all of them, and the profiles. */
struct latches {
	struct list_node waiting; /* LARVAL and BROKEN */
	struct list_node settled; /* the others */
	struct list_node cgroups; /* latch_cgroup.c's */
	struct htab by_id, by_flow, by_cookie;
	uint64_t next_id, next_ask;
	struct app_profile profiles[PROFILES_MAX];
	uint32_t num_profiles;
	struct timer tick;
	struct log_limit unguarded; /* lines about flows that could not be */
	struct latch_store *store;  /* the journal; NULL: none */
	uint64_t trimmed_len;       /* of the journal, when it was written anew */
	struct engine *engine;
	struct loop_source sockets; /* the host's news of closed ones; fd -1: it has none */
	void (*tell)(void *ctx, const struct app_event *event);
	void *ctx;
	bool dirty;           /* SAs came or went */
	bool ticked;          /* time passed */
	bool listeners_dirty; /* what the data path has of them is old */
};

/* latch_demand.c: needs_of() - Errors: NOT_FOUND (profile), INVAL; text says why. needs_met() - the
 * class is one that is asked for. needs_group() - of the groups of SAs that would protect the flow
 * that which is looked at first, and meets the needs; 0: none. needs_child() - what the
 * configuration has for it; NULL: nothing. flow NULL: whichever. */
MUST_USE enum err needs_of(const struct engine *e, struct latch_needs *out,
			   const struct app_demand *demand, char text[APP_TEXT_MAX]);
bool needs_met(const struct latch_needs *n, const struct class_info *info, uint32_t token);
uint32_t needs_token(const struct engine *e, const struct latch_needs *n, const struct flow *flow);
const struct conf_child *needs_child(const struct engine *e, const struct conf_conn **out_conn,
				     const struct latch_needs *n, const struct flow *flow);

/* latch_make.c: needs_make() - a connection for the flow, where none is configured and the needs
 * let one be made. Errors: NOT_FOUND (they do not), EXISTS (there is one), FULL, those of
 * engine_configure(). */
#define MADE_PREFIX "made-for-"
MUST_USE enum err needs_make(struct engine *e, const struct latch_needs *n,
			     const struct flow *flow);

/* latch.c */
MUST_USE enum err latch_create(struct engine *e, uint64_t *out_id,
			       const struct app_latch_params *params, char text[APP_TEXT_MAX]);
MUST_USE enum err latch_spawn(struct engine *e, const struct latch_rec *listener,
			      const struct flow *flow, uint32_t token);
struct latch_rec *latches_find(const struct engine *e, uint64_t id);
struct latch_rec *latch_of_flow(const struct engine *e, const struct flow *flow, bool listener);
struct latch_rec *latch_follow(struct engine *e, struct latch_rec *old,
			       const struct app_demand *demand, const struct latch_needs *needs);
void latch_release(struct engine *e, struct latch_rec *l);
void latch_end(struct engine *e, struct latch_rec *l, const char *text);
void latch_client_gone(struct engine *e, uint64_t client);
void latch_socket_gone(struct engine *e, uint64_t cookie);
void latch_socket_seen(struct engine *e, const struct host_socket *sock);

/* latch_state.c: latch_settle() - go on as far as possible now. */
void latch_settle(struct engine *e, struct latch_rec *l);
void latch_set_state(struct engine *e, struct latch_rec *l, enum latch_state state,
		     enum ike_reason reason, const char *text);
void latch_alert(struct engine *e, const struct latch_rec *l, enum ike_reason reason,
		 const char *text);
void latch_tell(const struct engine *e, const struct app_event *event);
void latch_undo(struct engine *e, struct latch_rec *l);

/* latch_events.c: latches_watch() - the tick is on. */
void latches_watch(struct engine *e);
void latch_decided(struct engine *e, struct latch_rec *l, bool accept);

/* latch_restore.c: latches_trim() - in between; latches_look() - sockets may have been closed
 * without a word. latch_restored() - in latch.c: as latch_create(), of what was there before; text
 * says why it cannot be what it was, and then it is to be CLOSED. NULL: shortage. */
void latch_save(const struct engine *e, const struct latch_rec *l);
void latch_forget(const struct engine *e, const struct latch_rec *l);
void latches_trim(struct engine *e);
void latches_look(struct engine *e);
struct latch_rec *latch_restored(struct engine *e, const struct app_latch_params *p,
				 const struct class_info *tie, char text[APP_TEXT_MAX]);

/* latch_cgroup.c: see struct app_ops. */
MUST_USE enum err cgroup_demand(struct engine *e, struct app_latch *out, int fd,
				const struct app_demand *demand, uint64_t client, uint32_t uid,
				char text[APP_TEXT_MAX]);
MUST_USE enum err cgroup_release(struct engine *e, uint64_t id);
void cgroups_client_gone(struct engine *e, uint64_t client);
void cgroups_settle(struct engine *e);
void cgroups_ike_event(struct engine *e, const struct ike_event *ev);
void cgroups_close(struct engine *e);

/* profile.c */
void profiles_configure(struct latches *t, const struct conf *conf);
const struct app_profile *profile_find(const struct latches *t, const char *name);
MUST_USE enum err profile_set(struct latches *t, const struct app_profile *profile);
