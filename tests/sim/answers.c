/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of an engine's actions: asks are answered, events counted. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/ike/core.h"
#include "control/ike/index.h"
#include "tests/sim/parts.h"

static void put_ask(struct sim *s, unsigned side, const struct ike_ask *ask)
{
	assert(ask && ask->conn && ask->local_id);
	if (s->quiet_ask || (s->asked && !s->asked(s, side, ask, s->tap_ctx)))
		return;
	sim_push(s, (struct sim_fly){.at_ns = s->now_ns + sim_random(s, s->wire.ask_ns),
				     .kind = SIM_ANSWER,
				     .to = side,
				     .ask = ask->id,
				     .ask_kind = ask->kind});
}

/* Whatever is wanted is there at once: it takes time as every answer does. False: nothing was. */
static bool fetch_all(struct sim_node *n)
{
	struct ike_want want;
	bool any = false;

	while (n->serve && ike_keyring_want(n->keyring, &want)) {
		n->serve(n, &want);
		any = true;
	}
	return any;
}

static void answer_from_keyring(struct sim_node *n, struct ike_answer *a, const struct ike_ask *ask)
{
	struct ike_ask asked = *ask;

	if (n->forge_ask)
		n->forge_ask(n, &asked);
	ike_keyring_answer(n->keyring, a, n->conf, &asked, n->wall_s);
	while (ike_keyring_waits(n->keyring) && fetch_all(n))
		ike_keyring_answer(n->keyring, a, n->conf, &asked, n->wall_s);
	if (n->forge)
		n->forge(n, ask, a);
}

/* The solution is the solver's, whom the caller frees. Without memory there is none. */
static struct puzzle_solver *solve(struct ike_answer *a, const struct puzzle *p)
{
	struct puzzle_solver *solver = NULL;

	if (puzzle_solver_new(&solver, p))
		return NULL;
	(void)puzzle_solver_run(solver, UINT32_MAX);
	a->solution = puzzle_solver_solution(solver);
	return solver;
}

void sim_answer(struct sim *s, unsigned side, uint64_t id, enum ike_ask_kind kind, bool allow)
{
	struct sim_node *n = &s->n[side];
	struct ike_answer a = {.allow = allow};
	const struct ike_ask *ask = ask_find(n->e, id);
	struct puzzle_solver *solver = NULL;

	if (allow && ask &&
	    (kind == IKE_ASK_SIGN || kind == IKE_ASK_VERIFY_CHAIN || kind == IKE_ASK_EAP_SECRET ||
	     kind == IKE_ASK_EAP_KEY || kind == IKE_ASK_EAP_SERVER || kind == IKE_ASK_PPK ||
	     (n->by_keyring && (kind == IKE_ASK_SECRET || kind == IKE_ASK_AUTHORIZE))))
		answer_from_keyring(n, &a, ask);
	else if (allow && kind == IKE_ASK_SECRET && n->secret)
		a.secret = bytes_of(n->secret, strlen(n->secret));
	if (allow && ask && kind == IKE_ASK_PUZZLE)
		solver = solve(&a, ask->puzzle);
	if (kind == IKE_ASK_RESOLVE && allow)
		a.addr = n->named;
	if (kind == IKE_ASK_AUTHORIZE)
		a.allow = a.allow && !n->refuse_peer;
	if (kind == IKE_ASK_CHILD_ACCEPT)
		a.allow = allow && !n->refuse_child;
	ike_answer(n->e, id, &a, s->now_ns);
	puzzle_solver_free(solver);
	sim_settle(s, side);
}

static bool sends(const struct sim_node *n, const char *child)
{
	for (uint32_t i = 0; i < n->num_pairs; i++)
		if (n->pairs[i].out && strcmp(n->pairs[i].name, child) == 0)
			return true;
	return false;
}

static void take_event(struct sim *s, struct sim_node *n, const struct ike_event *ev)
{
	if (ev->kind == IKE_EVENT_IKE_UP || ev->kind == IKE_EVENT_FAILED) {
		n->reauth = ev->reauth;
		n->same_key = ev->same_key;
	}
	switch (ev->kind) {
	case IKE_EVENT_IKE_UP:
		n->ike_up++;
		break;
	case IKE_EVENT_IKE_REKEYED:
		n->rekeyed_ike++;
		break;
	case IKE_EVENT_IKE_DOWN:
		n->ike_down++;
		n->last_down = ev->reason;
		snprintf(n->down_text, sizeof(n->down_text), "%s", ev->text);
		break;
	case IKE_EVENT_CHILD_UP:
		n->child_up++;
		if (!n->up_ns)
			n->up_ns = s->now_ns;
		break;
	case IKE_EVENT_CHILD_REKEYED:
		n->rekeyed_child++;
		break;
	case IKE_EVENT_CHILD_DOWN:
		n->child_down++;
		n->last_child_down = ev->reason;
		n->told_early +=
			(ev->reason == IKE_REASON_EXPIRED || ev->reason == IKE_REASON_RESOURCES) &&
			sends(n, ev->child);
		break;
	case IKE_EVENT_FAILED:
		n->failed++;
		n->unsaid += !ev->reason || !ev->text[0];
		n->last_failure = ev->reason;
		snprintf(n->phase, sizeof(n->phase), "%s", ev->phase);
		snprintf(n->here, sizeof(n->here), "%s", ev->here);
		snprintf(n->there, sizeof(n->there), "%s", ev->there);
		snprintf(n->last_text, sizeof(n->last_text), "%s", ev->text);
		break;
	case IKE_EVENT_PROGRESS:
		break;
	}
	sim_note(s, ev->text, strlen(ev->text));
	if (getenv("SIM_VERBOSE"))
		printf("# %8.3f %c event %d %s: %s\n", (double)(s->now_ns - 1000 * NS_PER_S) / 1e9,
		       'A' + (int)n->index, (int)ev->kind, ike_reason_name(ev->reason), ev->text);
}

static void take_news(struct sim_node *n, const struct ike_action *a)
{
	n->last_status = a->say.status;
	switch ((enum ike_path_news)a->say.news) {
	case IKE_PATH_DONE:
		n->done++;
		break;
	case IKE_PATH_REFUSED:
		n->refused++;
		break;
	case IKE_PATH_PROPOSED:
		n->proposed++;
		n->last_proposed = a->path;
		break;
	}
}

/* ---- actions --------------------------------------------------------------------------------- */

static void act_send(struct sim *s, unsigned side, const struct ike_action *a)
{
	s->n[side].sent_to = a->peer;
	sim_send_datagram(s, side, a);
}

static void act_path_news(struct sim *s, unsigned side, const struct ike_action *a)
{
	take_news(&s->n[side], a);
}

static void act_address_add(struct sim *s, unsigned side, const struct ike_action *a)
{
	struct sim_node *n = &s->n[side];

	assert(n->num_addresses < ARRAY_LEN(n->addresses));
	n->addresses[n->num_addresses++] = a->address;
	n->num_lent++;
}

static void act_address_remove(struct sim *s, unsigned side, const struct ike_action *a)
{
	struct sim_node *n = &s->n[side];

	for (uint32_t i = 0; i < n->num_addresses; i++)
		if (ip_addr_equal(&n->addresses[i], &a->address)) {
			n->addresses[i] = n->addresses[--n->num_addresses];
			return;
		}
	assert(!"an address is taken away that was not given");
}

static void act_ask(struct sim *s, unsigned side, const struct ike_action *a)
{
	put_ask(s, side, a->ask);
}

static void act_event(struct sim *s, unsigned side, const struct ike_action *a)
{
	take_event(s, &s->n[side], a->event);
}

/* What is not here is for the data path. */
static void act(struct sim *s, unsigned side, const struct ike_action *a)
{
	static void (*const acts[])(struct sim * s, unsigned side, const struct ike_action *a) = {
		[IKE_ACTION_SEND] = act_send,
		[IKE_ACTION_PATH_NEWS] = act_path_news,
		[IKE_ACTION_ADDRESS_ADD] = act_address_add,
		[IKE_ACTION_ADDRESS_REMOVE] = act_address_remove,
		[IKE_ACTION_ASK] = act_ask,
		[IKE_ACTION_EVENT] = act_event,
	};

	sim_note_u64(s, s->now_ns);
	sim_note_u64(s, (uint64_t)a->kind << 32 | side);
	sim_note_u64(s, a->child ^ a->peer);
	if (a->kind < ARRAY_LEN(acts) && acts[a->kind])
		acts[a->kind](s, side, a);
	else if (!sim_data_act(s, side, a))
		assert(!"an action that nobody carries out");
}

/* NUM_LOOKED_AT - the newest IKE SAs, which are found first: there may be a thousand. */
#define NUM_LOOKED_AT 16

/* Each IKE SA is found by what others name it by. */
static void check_index(const struct ike_engine *e)
{
	unsigned num = 0;

	for (struct list_node *n = e->sas.prev; n != &e->sas && num < NUM_LOOKED_AT;
	     n = n->prev, num++) {
		const struct ike_sa *sa = list_entry(n, struct ike_sa, node), *o;
		const uint64_t theirs = sa_peer_spi(sa);

		if (sa->state == SA_DEAD)
			continue;
		if (theirs) {
			o = sa_by_peer_spi(e, theirs);
			assert(o && sa_peer_spi(o) == theirs);
		}
		if (!sa->was_up)
			continue;
		for (o = sa_first_at(e, &sa->path.remote.addr); o != sa; o = sa_next_at(o))
			assert(o);
		if (sa->remote_id.type == ID_NULL) {
			assert(!sa_first_of(e, &sa->remote_id)); /* of many who are nobody */
			continue;
		}
		for (o = sa_first_of(e, &sa->remote_id); o != sa; o = sa_next_of(o))
			assert(o);
	}
}

void sim_settle(struct sim *s, unsigned side)
{
	struct ike_action a;

	while (ike_action_next(s->n[side].e, &a))
		act(s, side, &a);
	check_index(s->n[side].e);
}
