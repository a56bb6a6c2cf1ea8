/* SPDX-License-Identifier: Apache-2.0 */
/*
 * work.h - a Child SA in the making: what one exchange (IKE_AUTH or CREATE_CHILD_SA) negotiates,
 * until it is installed or dropped (RFC 7296 1.2, 1.3.1, 2.9, 2.17). Control thread.
 */
#pragma once

#include "control/child/child.h"
#include "control/child/wish.h"
#include "control/ike/followup.h"
#include "control/ike/step.h"

/* struct child_work - one negotiation. */
struct child_work {
	const struct conf_child *conf; /* lives with conf_ref; NULL until one is chosen */
	struct conf *conf_ref;
	bool initiator; /* of this exchange */
	enum sa_kind kind;
	uint64_t replaces; /* the pair that is re-keyed, 0 = none */
	uint64_t like;     /* the pair that it is a sibling of, 0 = none */
	uint32_t worker;   /* that it is for, and 1 more; 0 = all */
	bool siblings;     /* it is one of several: as initiator offered, then agreed */
	uint64_t rival;    /* re-key of ours: the pair of the peer's re-key that crossed it */
	struct nonce rival_nonce; /* the lower one of that exchange */
	bool rival_waits;         /* that one is not made yet: it waits for more key exchanges */
	enum ike_reason unwanted; /* NONE; or why one of the two is to be closed for good */
	uint32_t spi_in;          /* reserved for us; 0 once installed */
	struct sa_chosen chosen;
	struct ts_list local, remote;
	bool no_tfc;      /* the peer takes no padding behind packets (RFC 7296 3.10.1) */
	bool transport;   /* transport mode: as initiator offered, then agreed */
	bool ipcomp;      /* compression is agreed on */
	uint16_t cpi_in;  /* with compression: ours; as initiator from when it is offered on */
	uint16_t cpi_out; /* and the peer's */
	struct ip_addr seen_local, seen_remote; /* transport mode through a NAT: as the peer sees us
						 * and itself; unset = as in the selectors */
	struct nonce ni, nr;
	uint16_t group; /* of our KE payload; DH_NONE without PFS */
	struct dh *dh;
	struct secret shared;
	struct ke_series more; /* additional key exchanges */
	uint64_t request;
	struct child_wish *wish; /* what its request wants in particular; NULL: nothing */
	uint32_t closed[4];      /* SPIs that the peer closed while ours was under way */
	uint8_t num_closed;
	struct action_cell *add; /* prepared installation */
	struct ike_child *child; /* the same */
};

/* child_work_begin - with an inbound SPI, as a task of ours says. child_work_asked - as a request
 * of the peer: nothing is chosen yet. Errors: NOMEM, FULL, CRYPTO. */
MUST_USE enum err child_work_begin(struct ike_sa *sa, struct child_work **out, enum sa_kind kind,
				   const struct task *t) NONNULL(1, 2, 4);
MUST_USE enum err child_work_asked(struct ike_sa *sa, struct child_work **out, enum sa_kind kind)
	NONNULL(1, 2);

/* child_work_rekey - one that takes the place of `old`. Errors: as child_work_begin(). */
MUST_USE enum err child_work_rekey(struct ike_sa *sa, struct child_work **out, bool initiator,
				   const struct ike_child *old) NONNULL(1, 2, 4);

/* child_work_sibling - one beside `shared`, for a worker (index and 1 more). child_work_move - w->
 * worker was chosen since: another SPI, at which its packets arrive. Errors: as child_work_begin().
 */
MUST_USE enum err child_work_sibling(struct ike_sa *sa, struct child_work **out,
				     const struct ike_child *shared, uint32_t worker)
	NONNULL(1, 2, 3);
MUST_USE enum err child_work_move(struct ike_sa *sa, struct child_work *w) NONNULL(1, 2);

/* child_work_free - give the SPI back, wipe. NULL is accepted. */
void child_work_free(struct ike_sa *sa, struct child_work *w) NONNULL(1);

/* child_offer - SA, Ni, [KEi,] TSi, TSr into s->b; group: as the peer insists, 0 = our first.
 * Errors: NOMEM, CRYPTO. */
MUST_USE enum err child_offer(struct step *s, struct child_work *w, uint16_t group) NONNULL(1, 2);

/* child_choose - as responder, from the request: configuration, algorithms, narrowed selectors,
 * keys' ingredients. Errors: PEER (s->fail says what), NOMEM, CRYPTO. */
MUST_USE enum err child_choose(struct step *s, struct child_work *w) NONNULL(1, 2);

/* child_take - as initiator, from the response. Errors: as child_choose(). */
MUST_USE enum err child_take(struct step *s, struct child_work *w) NONNULL(1, 2);

/* child_bad_syntax - a payload of the peer does not follow the format. Errors: PEER, always. */
MUST_USE enum err child_bad_syntax(struct step *s, const char *what) NONNULL(1, 2);

/* child_answer - SA, Nr, [KEr,] TSi, TSr into s->b; after additional key exchanges KEr of the last
 * one. */
void child_answer(struct step *s, struct child_work *w) NONNULL(1, 2);

/* child_prepare - everything of the installation that can fail. An initiator calls it with the
 * response in hand: if it fails, the response is as if lost, and the next copy is taken afresh.
 * Later the peer would be left with a pair that we do not have (S33). Errors: NOMEM, CRYPTO. */
MUST_USE enum err child_prepare(struct step *s, struct child_work *w) NONNULL(1, 2);

/* child_install - the prepared pair is queued for the data path; active: send on it at once. Cannot
 * fail; S20: only with sa->proof. */
struct ike_child *child_install(struct step *s, struct child_work *w, bool active) NONNULL(1, 2);

/* child_work_closed - the peer closed an SPI that is not known here: it may be of the pair that is
 * being made. child_work_is_closed - it was. */
void child_work_closed(struct child_work *w, uint32_t spi) NONNULL(1);
bool child_work_is_closed(const struct child_work *w) NONNULL(1);

/* child_take_on - as initiator, after child_take() of a CREATE_CHILD_SA: begin the first additional
 * key exchange, or, if none was agreed on, prepare the pair and ask about it. child_is_made - the
 * peer has the pair since it answered: none was agreed on. Errors: as child_choose(). */
MUST_USE enum err child_take_on(struct step *s, struct child_work *w) NONNULL(1, 2);
bool child_is_made(const struct child_work *w) NONNULL(1);

/* child_close_unused - as initiator: the peer has this pair and we do not want it: it is closed by
 * a delete exchange. */
void child_close_unused(struct step *s, struct child_work *w, enum ike_reason reason) NONNULL(1, 2);
