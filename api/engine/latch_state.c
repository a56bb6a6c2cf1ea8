/* SPDX-License-Identifier: Apache-2.0 */
/*
 * latch_state.c - a latch's states (RFC 5660 2.3) and what stands for each in the data path and in
 * the guard:
 *
 *	LARVAL       shut           while IKE runs
 *	ESTABLISHED  its class      or, where the profile says that clear is better than nothing
 *	                            and there is nothing, no latch at all
 *	BROKEN       its class      its SAs are gone, which is like loss; they may come back. Shut
 *	                            where a policy that came later would let it pass in the clear
 *	CLOSED       shut           until it is released
 *	LISTENER     a listener; nothing comes to its port but by the virtual interface
 */
#include "api/engine/latch.h"

#include <stdio.h>

#include "base/alloc.h"

/* What a peer refuses is not asked for at once again. */
#define RETRY_MIN_NS NS_PER_S
#define RETRY_MAX_NS (30 * NS_PER_S)

#define UNGUARDED_LINES 3 /* a second */

void latch_tell(const struct engine *e, const struct app_event *event)
{
	if (e->latches->tell)
		e->latches->tell(e->latches->ctx, event);
}

void latch_alert(struct engine *e, const struct latch_rec *l, enum ike_reason reason,
		 const char *text)
{
	struct app_latch now = l->pub;

	now.reason = reason;
	snprintf(now.text, sizeof(now.text), "%s", text);
	latch_tell(e, &(struct app_event){
			      .kind = APP_EVENT_LATCH, .client = l->pub.client, .latch = &now});
}

/* ---- what stands for it ------------------------------------------------------------------------
 */

/* Peers make flows at a listener as they like. */
static void told_unguarded(struct engine *e)
{
	if (log_limited(&e->latches->unguarded, UNGUARDED_LINES, engine_now(e)))
		LOG(ERROR, KNL, NULL, "a latched flow cannot be guarded against other ways in");
}

/* is_unanswerable - a peer sent from port 0, to which nothing is sent: it is not a flow that could
 * be guarded, and has its listener's guard. */
static bool is_unanswerable(const struct latch_rec *l)
{
	return l->spawned && l->pub.flow.local_port && !l->pub.flow.remote_port;
}

static void guard(struct engine *e, struct latch_rec *l, bool on)
{
	if (is_unanswerable(l) || l->guarded == on || e->took_ports || !e->host.ops->flow_guard ||
	    (!on && e->leave_host))
		return;
	if (e->host.ops->flow_guard(e->host.ctx, e->daemon.interface, &l->pub.flow, on))
		told_unguarded(e);
	else
		l->guarded = on;
}

/* stand - the data path holds the flow so; false: memory is short. */
static bool stand(struct engine *e, struct latch_rec *l, uint32_t token, bool shut)
{
	guard(e, l, true);
	l->held = !dataplane_latch_set(e->dp, &l->pub.flow, 0, token, shut);
	return l->held;
}

void latch_undo(struct engine *e, struct latch_rec *l)
{
	if (l->pub.listener)
		e->latches->listeners_dirty = true;
	if (l->held)
		dataplane_latch_end(e->dp, &l->pub.flow, 0);
	l->held = false;
	guard(e, l, false);
}

/* ---- states ------------------------------------------------------------------------------------
 */

/* is_allowed - RFC 5660's diagram, with LARVAL before it. */
static bool is_allowed(enum latch_state from, enum latch_state to)
{
	static const uint8_t next[] = {
		[LATCH_LARVAL] = 1 << LATCH_LARVAL | 1 << LATCH_LISTENER | 1 << LATCH_ESTABLISHED |
				 1 << LATCH_CLOSED,
		[LATCH_LISTENER] = 1 << LATCH_CLOSED,
		[LATCH_ESTABLISHED] = 1 << LATCH_BROKEN | 1 << LATCH_CLOSED,
		[LATCH_BROKEN] = 1 << LATCH_ESTABLISHED | 1 << LATCH_CLOSED,
		[LATCH_CLOSED] = 0,
	};

	return next[from] >> to & 1;
}

/* put - the data path has the flow as the state wants it. */
static bool put(struct engine *e, struct latch_rec *l)
{
	switch (l->pub.state) {
	case LATCH_LISTENER:
		guard(e, l, !l->needs.clear && !l->needs.bypass);
		e->latches->listeners_dirty = true;
		return true;
	case LATCH_ESTABLISHED:
		if (l->pub.token)
			return stand(e, l, l->pub.token, false);
		latch_undo(e, l);
		return true;
	case LATCH_BROKEN:
		return stand(e, l, l->pub.token, l->barred);
	case LATCH_CLOSED:
		if (l->pub.listener)
			latch_undo(e, l);
		else
			(void)!stand(e, l, 0, true);
		return true;
	case LATCH_LARVAL:
		return stand(e, l, 0, true);
	}
	return false;
}

static bool is_waiting(enum latch_state state)
{
	return state == LATCH_LARVAL || state == LATCH_BROKEN;
}

void latch_set_state(struct engine *e, struct latch_rec *l, enum latch_state state,
		     enum ike_reason reason, const char *text)
{
	if (!is_allowed(l->pub.state, state))
		return;
	l->pub.state = state;
	l->pub.reason = reason;
	snprintf(l->pub.text, sizeof(l->pub.text), "%s", text);
	if (state == LATCH_ESTABLISHED)
		l->was_up = true;
	list_remove(&l->node);
	list_push_back(is_waiting(state) ? &e->latches->waiting : &e->latches->settled, &l->node);
	if (!put(e, l)) {
		l->pub.state = LATCH_CLOSED;
		l->pub.reason = IKE_REASON_RESOURCES;
		snprintf(l->pub.text, sizeof(l->pub.text), "memory is short");
	}
	if (state != LATCH_LARVAL)
		latch_tell(e, &(struct app_event){.kind = APP_EVENT_LATCH,
						  .client = l->pub.client,
						  .latch = &l->pub});
}

/* ---- the way to ESTABLISHED --------------------------------------------------------------------
 */

/* ask - the application says whether it wants this peer; until then nothing passes. */
static void ask(struct engine *e, struct latch_rec *l)
{
	const struct auth_proof *proof = NULL;

	l->ask = ++e->latches->next_ask;
	l->ask_until_ns = engine_now(e) + LATCH_ASK_NS;
	list_for_each (n, &e->groups) {
		const struct sa_group *g = list_entry(n, struct sa_group, node);

		if (g->proof && dataplane_group_token(e->dp, g->id) == l->pub.token)
			proof = g->proof;
	}
	latch_tell(e, &(struct app_event){.kind = APP_EVENT_ASK,
					  .client = l->pub.client,
					  .latch = &l->pub,
					  .ask = l->ask,
					  .deadline_ns = l->ask_until_ns,
					  .proof = proof});
}

static void establish(struct engine *e, struct latch_rec *l, uint32_t token)
{
	l->pub.token = token;
	l->request = 0;
	l->tries = 0;
	if (l->needs.part == APP_PART_IKE_APP_ACK && !l->accepted) {
		if (!l->ask)
			ask(e, l);
		return;
	}
	latch_set_state(e, l, LATCH_ESTABLISHED, IKE_REASON_NONE,
			l->same_key ? "its peer is the one from before: the same key signed" : "");
	latch_save(e, l);
}

/* in_the_clear - there is no protection to be had, and the profile prefers none to nothing. */
static void in_the_clear(struct engine *e, struct latch_rec *l)
{
	l->pub.token = 0;
	latch_set_state(e, l, LATCH_ESTABLISHED, IKE_REASON_NO_CONFIG,
			"not protected: there is no peer that could");
}

static void fail(struct engine *e, struct latch_rec *l, enum ike_reason reason, const char *text)
{
	if (l->needs.clear && !l->was_up)
		in_the_clear(e, l);
	else
		latch_set_state(e, l, LATCH_CLOSED, reason, text);
}

/* begin - a negotiation for the flow. */
static void begin(struct engine *e, struct latch_rec *l)
{
	const struct conf_conn *conn = NULL;
	const struct conf_child *child = needs_child(e, &conn, &l->needs, &l->pub.flow);
	const struct connect_wish wish = {
		.flow = &l->pub.flow,
		.narrow = l->needs.narrow,
		.methods = l->needs.methods,
		.suite = l->needs.num_suite ? l->needs.suite : NULL,
		.num_suite = l->needs.num_suite,
	};

	if (!child && !needs_make(e, &l->needs, &l->pub.flow))
		child = needs_child(e, &conn, &l->needs, &l->pub.flow);
	if (!child) {
		if (!l->was_up)
			fail(e, l, IKE_REASON_NO_CONFIG,
			     "no connection protects this flow with such a peer: add one, or ask "
			     "for another peer or profile");
		return;
	}
	l->request = engine_request(e);
	l->next_ns = engine_now(e) + (RETRY_MIN_NS << (l->tries < 5 ? l->tries : 5));
	l->tries++;
	enum err err = connect_bring_up(e, conn, child->name, l->request, &wish);

	if (!err)
		return;
	l->request = 0;
	if (err == ERR_EXISTS) /* it is under way, or up and not what is asked for */
		return;
	if (!l->was_up)
		fail(e, l, IKE_REASON_RESOURCES, err_text(err));
}

/* bars - a policy that came after the latch would let its flow pass in the clear (L5). One that was
 * there is what the application wanted more than (L10). */
static bool bars(const struct engine *e, const struct latch_rec *l)
{
	return l->pub.token && !l->upgrades && dataplane_bypasses(e->dp, &l->pub.flow);
}

static void breaks(struct engine *e, struct latch_rec *l)
{
	l->next_ns = engine_now(e) + RETRY_MIN_NS;
	if (l->barred)
		latch_set_state(e, l, LATCH_BROKEN, IKE_REASON_LOCAL,
				"a policy that came later lets this flow pass in the clear: remove "
				"it, or ask again");
	else
		latch_set_state(e, l, LATCH_BROKEN, IKE_REASON_NO_ANSWER,
				"its peer has no security association any more");
}

/* watch - the class is there, so the latch is established; else it is broken. */
static void watch(struct engine *e, struct latch_rec *l)
{
	bool was_barred = l->barred, up;

	l->barred = bars(e, l);
	up = !l->barred && (!l->pub.token || dataplane_serves(e->dp, l->pub.token, &l->pub.flow));
	if (l->pub.state == LATCH_ESTABLISHED && !up) {
		breaks(e, l);
	} else if (l->pub.state == LATCH_BROKEN && up) {
		l->request = 0;
		l->tries = 0;
		latch_set_state(e, l, LATCH_ESTABLISHED, IKE_REASON_NONE, "");
	} else if (l->pub.state == LATCH_BROKEN && l->barred != was_barred) {
		(void)!put(e, l);
	} else if (l->pub.state == LATCH_BROKEN && !l->barred && !l->request && !l->ended &&
		   engine_now(e) >= l->next_ns) {
		begin(e, l);
	}
}

/* past - by IPsec, as who may configure has asked. */
static void past(struct engine *e, struct latch_rec *l)
{
	enum err err = shunt_add(e, &l->past, &l->pub.flow);

	e->latches->dirty = true;
	if (err)
		latch_set_state(e, l, LATCH_CLOSED, IKE_REASON_RESOURCES, err_text(err));
	else if (!l->pub.listener && !dataplane_bypasses(e->dp, &l->pub.flow))
		latch_set_state(e, l, LATCH_CLOSED, IKE_REASON_LOCAL,
				"a policy with a priority of its own says otherwise");
	else if (!l->pub.listener)
		latch_set_state(e, l, LATCH_ESTABLISHED, IKE_REASON_NONE,
				"not protected, as was asked");
}

void latch_settle(struct engine *e, struct latch_rec *l)
{
	uint32_t token;

	if (l->needs.bypass && !l->past && l->pub.state != LATCH_CLOSED)
		past(e, l);
	if (l->pub.listener || l->needs.bypass || l->pub.state == LATCH_CLOSED)
		return;
	if (l->pub.state != LATCH_LARVAL) {
		watch(e, l);
		return;
	}
	if (l->ask || (l->reauth && l->request))
		return;
	token = needs_token(e, &l->needs, &l->pub.flow);
	if (token)
		establish(e, l, token);
	else if (!l->request && engine_now(e) >= l->next_ns)
		begin(e, l);
}
