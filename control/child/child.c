/* SPDX-License-Identifier: Apache-2.0 */
#include "control/child/child.h"

#include "base/alloc.h"
#include "control/child/sibling.h"
#include "control/child/work.h"
#include "control/ike/move.h"
#include "control/ike/step.h"
#include "control/ike/task.h"

/* LINGER_NS - how long a replaced pair still receives: packets in flight are not lost. */
#define LINGER_NS (5 * NS_PER_S)
/* REKEY_AGAIN_NS - after a failed re-key. */
#define REKEY_AGAIN_NS (10 * NS_PER_S)

struct ike_child *child_find(const struct ike_engine *e, uint64_t id)
{
	struct htab_node *n = htab_find(&e->children, bytes_of(&id, sizeof(id)));

	return n ? container_of(n, struct ike_child, by_id) : NULL;
}

struct ike_child *child_by_spi_out(const struct ike_sa *sa, uint32_t spi)
{
	list_for_each (n, &sa->children) {
		struct ike_child *c = list_entry(n, struct ike_child, node);

		if (c->spi_out == spi && c->state != CHILD_LINGERING)
			return c;
	}
	return NULL;
}

static struct ike_child *sending(struct htab_node *n)
{
	return n ? container_of(n, struct ike_child, by_spi_out) : NULL;
}

struct ike_child *child_sending(const struct ike_engine *e, uint32_t spi)
{
	return sending(htab_find(&e->spis_out, bytes_of(&spi, sizeof(spi))));
}

struct ike_child *child_sending_next(const struct ike_child *c)
{
	return sending(htab_next(&c->by_spi_out));
}

struct ike_child *child_by_name(const struct ike_sa *sa, const struct conf_child *conf,
				const struct child_wish *wish)
{
	list_for_each (n, &sa->children) {
		struct ike_child *c = list_entry(n, struct ike_child, node);

		if (c->state == CHILD_INSTALLED && !c->replaced_by && !c->redundant && !c->worker &&
		    strcmp(c->conf->name, conf->name) == 0 && wish_met(wish, c->wish))
			return c;
	}
	return NULL;
}

static void rekey_due(struct timer *t, uint64_t now_ns)
{
	struct ike_child *c = container_of(t, struct ike_child, rekey_timer);

	if (c->state != CHILD_INSTALLED || c->redundant)
		return;
	timer_set(&c->sa->e->timers, t, now_ns + REKEY_AGAIN_NS); /* if this one fails */
	if (c->replaced_by) /* unless it is to go on after all */
		return;
	if (task_need(c->sa, TASK_CHILD_REKEY, c->id) != ERR_NOMEM)
		step_task(c->sa, now_ns);
}

/* When a packet of it last came or went; of the pair it replaces, if that was later. */
static uint64_t last_used(struct ike_child *c)
{
	const struct ike_env *env = &c->sa->e->env;
	struct child_stats st;

	if (env->child_stats && !env->child_stats(env->ctx, &st, c->id)) {
		if (st.in_last_ns > c->used_ns)
			c->used_ns = st.in_last_ns;
		if (st.out_last_ns > c->used_ns)
			c->used_ns = st.out_last_ns;
	}
	return c->used_ns;
}

static void idle_due(struct timer *t, uint64_t now_ns)
{
	struct ike_child *c = container_of(t, struct ike_child, idle_timer);
	const uint64_t end = last_used(c) + c->conf->inactivity_ns;

	if (c->state != CHILD_INSTALLED || c->redundant)
		return;
	/* Shared, it is there for workers to come; replaced, it may have to go on after all. */
	if (end > now_ns || c->replaced_by || sibling_any(c)) {
		timer_set(&c->sa->e->timers, t,
			  end > now_ns ? end : now_ns + c->conf->inactivity_ns);
		return;
	}
	if (child_delete(c, IKE_REASON_INACTIVE, 0))
		timer_set(&c->sa->e->timers, t, now_ns + NS_PER_S);
	step_task(c->sa, now_ns);
}

static struct action_cell *act(struct ike_child *c, enum ike_action_kind kind)
{
	assert(c->cells);
	c->cells--;
	return action_simple(&c->sa->e->actions, kind, c->id);
}

/* The hard lifetime is over, or the inbound half has lingered long enough. */
static void end_due(struct timer *t, uint64_t now_ns)
{
	struct ike_child *c = container_of(t, struct ike_child, end_timer);

	if (c->state == CHILD_LINGERING)
		child_remove(c);
	else
		ike_child_expired(c->sa->e, c->id, now_ns);
}

static void start_timers(struct ike_child *c, uint64_t now_ns)
{
	const struct conf_child *conf = c->conf;
	struct ike_engine *e = c->sa->e;
	uint64_t spread = engine_spread(e, conf->rand_ns);

	timer_init(&c->rekey_timer, rekey_due);
	timer_init(&c->end_timer, end_due);
	timer_init(&c->idle_timer, idle_due);
	c->installed_ns = now_ns;
	c->rekey_ns = c->expire_ns = TIME_NEVER;
	if (conf->rekey_ns) {
		if (spread >= conf->rekey_ns)
			spread = conf->rekey_ns / 2;
		c->rekey_ns = now_ns + conf->rekey_ns - spread;
		timer_set(&e->timers, &c->rekey_timer, c->rekey_ns);
	}
	if (conf->life_ns) {
		c->expire_ns = now_ns + conf->life_ns;
		timer_set(&e->timers, &c->end_timer, c->expire_ns);
	}
	if (conf->inactivity_ns) {
		struct ike_child *old = c->replaces ? child_find(e, c->replaces) : NULL;

		c->used_ns = old ? last_used(old) : now_ns;
		timer_set(&e->timers, &c->idle_timer, c->used_ns + conf->inactivity_ns);
	}
}

void child_start(struct ike_child *c, bool active, uint64_t now_ns)
{
	c->active = active;
	list_push_back(&c->sa->children, &c->node);
	htab_insert(&c->sa->e->children, &c->by_id, bytes_of(&c->id, sizeof(c->id)));
	htab_insert(&c->sa->e->spis_out, &c->by_spi_out, bytes_of(&c->spi_out, sizeof(c->spi_out)));
	start_timers(c, now_ns);
	c->sa->e->stats.child_established++;
}

void children_confirm(struct ike_sa *sa)
{
	list_for_each (n, &sa->children) {
		list_entry(n, struct ike_child, node)->confirmed = true;
	}
}

uint64_t child_unconfirmed_until(const struct ike_child *c)
{
	return c->confirmed ? 0 : c->installed_ns + SA_CONFIRM_NS;
}

void child_activate(struct ike_child *c)
{
	if (c->active || !c->out)
		return;
	c->active = true;
	(void)act(c, IKE_ACTION_CHILD_ACTIVATE);
}

bool child_is_wish(enum ike_reason reason)
{
	return reason == IKE_REASON_LOCAL || reason == IKE_REASON_INACTIVE;
}

/* note_unwanted - our own re-key of it is under way: nothing is to come of that either. */
static void note_unwanted(const struct ike_child *c, enum ike_reason reason)
{
	struct child_work *ours = c->sa->out.x.child;

	if (ours && (ours->replaces == c->id || ours->rival == c->id))
		ours->unwanted = reason;
}

enum err child_delete(struct ike_child *c, enum ike_reason reason, uint64_t request)
{
	enum err e;

	if (c->state != CHILD_INSTALLED)
		return ERR_OK;
	e = task_need(c->sa, TASK_CHILD_DELETE, c->id);
	if (e && e != ERR_EXISTS)
		return e;
	c->state = CHILD_DELETING;
	c->reason = reason;
	c->request = request;
	if (child_is_wish(reason))
		note_unwanted(c, reason);
	return ERR_OK;
}

static void take_away(struct ike_child *c, bool in, bool out)
{
	struct action_cell *cell;

	in = in && c->in;
	out = out && c->out;
	if (!in && !out)
		return;
	cell = act(c, IKE_ACTION_CHILD_REMOVE);
	cell->half = in && out ? CHILD_BOTH : in ? CHILD_IN : CHILD_OUT;
	if (in)
		c->in = false;
	if (out)
		c->out = false;
}

void child_remove(struct ike_child *c)
{
	struct ike_engine *e = c->sa->e;

	take_away(c, true, true);
	timer_cancel(&e->timers, &c->rekey_timer);
	timer_cancel(&e->timers, &c->end_timer);
	timer_cancel(&e->timers, &c->idle_timer);
	htab_remove(&e->children, &c->by_id);
	htab_remove(&e->spis_out, &c->by_spi_out);
	list_remove(&c->node);
	actions_release(&e->actions, c->cells);
	if (c->spi_kept)
		e->env.spi_release(e->env.ctx, c->spi_in);
	peer_put(c->peer);
	wish_put(c->wish);
	conf_put(c->conf_ref);
	mem_free(c->ts);
	mem_free(c);
}

/* report_down - after its outbound half was taken away: who hears of a loss looks whether anything
 * carries the child's traffic still, and stops that if nothing does. */
static void report_down(struct ike_child *c, enum ike_reason reason)
{
	static const char *const why[IKE_NUM_REASONS] = {
		[IKE_REASON_LOCAL] = "closed as asked",
		[IKE_REASON_PEER_DELETE] = "closed by the peer",
		[IKE_REASON_EXPIRED] = "its lifetime is over",
		[IKE_REASON_REFUSED] = "refused here",
		[IKE_REASON_RESOURCES] = "could not be installed",
		[IKE_REASON_INACTIVE] = "no packet for as long as `inactivity` says",
	};

	if (c->redundant || c->replaced_by || c->state == CHILD_LINGERING)
		return;
	action_event(c->sa, IKE_EVENT_CHILD_DOWN, c, reason, c->request, "child %s (SPI %08x): %s",
		     c->conf->name, c->spi_in,
		     why[reason] ? why[reason] : "closed with its IKE SA");
}

/* successor - the pair that replaced this one, or NULL. */
static struct ike_child *successor(const struct ike_child *c)
{
	return c->replaced_by ? child_find(c->sa->e, c->replaced_by) : NULL;
}

/* What replaced another pair goes while that one is still in use: after a collision the peer closes
 * its own new pair before ours is there. The old pair goes on: it, or NULL; also if c was replaced
 * itself, for then what did so has replaced both. */
static struct ike_child *fall_back(struct ike_child *c)
{
	struct ike_child *old = c->replaces ? child_find(c->sa->e, c->replaces) : NULL;
	struct ike_child *next = successor(c);

	if (!old || old->state != CHILD_INSTALLED || old->replaced_by != c->id)
		return NULL;
	old->replaced_by = next ? next->id : 0;
	if (!next)
		return old;
	next->replaces = old->id;
	return NULL;
}

/* end_both - what went was not wanted any more: nor is the pair that it had replaced. */
static void end_both(const struct ike_child *c, struct ike_child *old, enum ike_reason reason)
{
	if (child_delete(old, reason, c->request))
		take_away(old, true, true); /* short of memory: its lifetime ends it, unused */
	old->redundant = true;              /* its end is told with this one's */
}

/* make_room - so many linger at a time, however fast the peer replaces and closes pairs. */
static void make_room(struct ike_sa *sa)
{
	struct ike_child *oldest = NULL;
	uint32_t num = 0;

	list_for_each (n, &sa->children) {
		struct ike_child *c = list_entry(n, struct ike_child, node);

		if (c->state != CHILD_LINGERING)
			continue;
		num++;
		oldest = oldest ? oldest : c;
	}
	if (oldest && num >= CHILDREN_LINGER_MAX)
		child_remove(oldest);
}

static void activate_next(const struct ike_child *c)
{
	struct ike_child *next = successor(c);

	if (next)
		child_activate(next);
}

void child_closed(struct ike_child *c, enum ike_reason reason, uint64_t now_ns)
{
	struct ike_child *old = fall_back(c);

	activate_next(c);
	take_away(c, false, true);
	if (old && child_is_wish(reason)) {
		end_both(c, old, reason);
		report_down(c, reason);
	}
	if (old)
		c->redundant = true;
	report_down(c, reason);
	if (!c->replaced_by && !c->redundant) {
		child_remove(c);
		return;
	}
	make_room(c->sa);
	c->state = CHILD_LINGERING;
	timer_cancel(&c->sa->e->timers, &c->rekey_timer);
	timer_set(&c->sa->e->timers, &c->end_timer, now_ns + LINGER_NS);
}

void children_remove_all(struct ike_sa *sa, enum ike_reason reason)
{
	list_for_each_safe (n, &sa->children) {
		struct ike_child *c = list_entry(n, struct ike_child, node);

		take_away(c, true, true);
		if (!sa->quiet)
			report_down(c, reason);
		child_remove(c);
	}
}

void children_move(struct ike_sa *from, struct ike_sa *to)
{
	struct list_node *n;

	while ((n = list_pop_front(&from->children))) {
		list_entry(n, struct ike_child, node)->sa = to;
		list_push_back(&to->children, n);
	}
}

/* ---- what the data path reports -------------------------------------------------------------- */

void ike_child_used(struct ike_engine *e, uint64_t child, uint64_t now_ns)
{
	struct ike_child *c = child_find(e, child);

	e->now_ns = now_ns;
	if (c && c->state == CHILD_INSTALLED && !c->redundant)
		child_activate(c);
	if (c && !c->confirmed) {
		c->confirmed = true;
		step_task(c->sa, now_ns);
	}
	engine_sweep(e, now_ns);
}

void ike_child_expiring(struct ike_engine *e, uint64_t child, uint64_t now_ns)
{
	struct ike_child *c = child_find(e, child);

	e->now_ns = now_ns;
	if (c)
		rekey_due(&c->rekey_timer, now_ns);
	engine_sweep(e, now_ns);
}

/* Gone here whatever the peer says; it is told. */
static void end_now(struct ike_child *c, enum ike_reason reason, uint64_t now_ns)
{
	struct ike_sa *sa = c->sa;

	if (c->state == CHILD_LINGERING) {
		child_remove(c);
		return;
	}
	timer_cancel(&sa->e->timers, &c->rekey_timer);
	timer_cancel(&sa->e->timers, &c->end_timer);
	activate_next(c);
	take_away(c, true, true);
	report_down(c, reason);
	c->redundant = true; /* reported */
	if (child_delete(c, reason, 0))
		child_remove(c);
	step_task(sa, now_ns);
}

void ike_child_expired(struct ike_engine *e, uint64_t child, uint64_t now_ns)
{
	struct ike_child *c = child_find(e, child);

	e->now_ns = now_ns;
	if (c)
		end_now(c, IKE_REASON_EXPIRED, now_ns);
	engine_sweep(e, now_ns);
}

/* lose_old - the pair that c was to replace goes on until the peer closes it, and then both are
 * lost for that reason. False if there is none. */
static bool lose_old(struct ike_child *c, enum ike_reason reason)
{
	struct ike_child *old = fall_back(c);

	if (old)
		old->reason = reason;
	return old;
}

void ike_child_failed(struct ike_engine *e, uint64_t child, enum err why, uint64_t now_ns)
{
	struct ike_child *c = child_find(e, child);

	e->now_ns = now_ns;
	if (c) {
		LOG(ERROR, CHD, c->conf->name, "cannot be installed: %s", err_text(why));
		c->in = c->out = false;
		c->spi_kept = true;
		c->redundant |= lose_old(c, IKE_REASON_RESOURCES);
		end_now(c, IKE_REASON_RESOURCES, now_ns);
	}
	engine_sweep(e, now_ns);
}

/* Only a peer behind a NAT moves without saying so (RFC 7296 2.23). */
void ike_child_moved(struct ike_engine *e, uint64_t child, const struct path_addr *path,
		     uint16_t port, uint64_t now_ns)
{
	struct ike_child *c = child_find(e, child);

	e->now_ns = now_ns;
	if (c) {
		sa_probe(c->sa, path, port, SA_PROBE_ESP, now_ns);
		step_task(c->sa, now_ns);
	}
	engine_sweep(e, now_ns);
}
