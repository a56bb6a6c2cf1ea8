/* SPDX-License-Identifier: Apache-2.0 */
/*
 * latch_restore.c - latches over a restart of the process: what was kept waits for the peer that it
 * had, and for no other; what was not is CLOSED until its socket is closed. Nothing is silently
 * open (RFC 5660 2.3).
 */
#include "api/engine/latch.h"

#include <stdio.h>

#include "api/engine/latch_store.h"
#include "base/alloc.h"

/* The journal is written anew when it has grown so long. */
#define JOURNAL_MAX (16u << 20)

static struct latch_saved saved_of(const struct engine *e, const struct latch_rec *l)
{
	struct latch_saved s = {
		.id = l->pub.id,
		.keep = l->keep,
		.flow = l->pub.flow,
		.listener = l->pub.listener,
		.upgrades = l->upgrades,
		.cookie = l->pub.cookie,
		.uid = l->pub.uid,
		.demand = l->pub.demand,
	};

	s.demand.token = 0; /* handles are this process's own */
	if (l->needs.tie)
		s.whom = *l->needs.tie;
	s.tied = l->needs.tie || (l->pub.token && !dataplane_class(e->dp, &s.whom, l->pub.token));
	return s;
}

/* Only what belongs to a socket can be found again. */
void latch_save(const struct engine *e, const struct latch_rec *l)
{
	const struct latch_saved s = saved_of(e, l);

	if (e->latches->store && l->pub.cookie && latch_store_put(e->latches->store, &s))
		LOG(ERROR, DMN, NULL,
		    "latches will not outlive this process: the journal cannot be "
		    "written");
}

void latch_forget(const struct engine *e, const struct latch_rec *l)
{
	if (e->latches->store && l->pub.cookie)
		(void)!latch_store_gone(e->latches->store, l->pub.id);
}

static enum err put_all(struct engine *e, struct latch_store *s, struct list_node *list)
{
	list_for_each (n, list) {
		const struct latch_rec *l = list_entry(n, struct latch_rec, node);
		const struct latch_saved saved = saved_of(e, l);

		if (l->pub.cookie)
			TRY(latch_store_put(s, &saved));
	}
	return ERR_OK;
}

/* begin_anew - a journal of what there is now. */
static enum err begin_anew(struct engine *e)
{
	struct latch_store *s;
	enum err err = latch_store_new(&s, e->latch_file);

	if (err)
		return err;
	err = put_all(e, s, &e->latches->waiting);
	if (!err)
		err = put_all(e, s, &e->latches->settled);
	if (!err)
		err = latch_store_commit(s);
	if (err) {
		latch_store_close(s);
		return err;
	}
	latch_store_close(e->latches->store);
	e->latches->store = s;
	return ERR_OK;
}

void latches_trim(struct engine *e)
{
	struct latches *t = e->latches;

	if (t->store && latch_store_len(t->store) > JOURNAL_MAX + t->trimmed_len) {
		if (begin_anew(e))
			LOG(WARN, DMN, NULL, "the journal of latches cannot be made shorter");
		t->trimmed_len = latch_store_len(t->store);
	}
}

/* ---- what was left
 * ------------------------------------------------------------------------------- */

static bool is_alive(const struct engine *e, const struct latch_saved *s)
{
	bool alive = true;

	if (e->host.ops->socket_alive &&
	    e->host.ops->socket_alive(e->host.ctx, &alive, &s->flow, s->cookie))
		return true; /* who cannot say does not open anything */
	return alive;
}

static void close_restored(struct engine *e, struct latch_rec *l, const char *text)
{
	latch_set_state(e, l, LATCH_CLOSED, IKE_REASON_LOCAL, text);
}

static void restore(void *ctx, const struct latch_saved *s)
{
	struct engine *e = ctx;
	const struct app_latch_params p = {
		.flow = s->flow,
		.listener = s->listener,
		.keep = s->keep,
		.cookie = s->cookie,
		.uid = s->uid,
		.demand = s->demand,
	};
	char text[APP_TEXT_MAX] = "";
	struct latch_rec *l;

	if (!is_alive(e, s)) {
		if (e->host.ops->flow_guard && !e->took_ports)
			(void)!e->host.ops->flow_guard(e->host.ctx, e->daemon.interface, &s->flow,
						       false);
		return;
	}
	l = latch_restored(e, &p, s->tied ? &s->whom : NULL, text);
	if (l)
		l->upgrades = s->upgrades;
	if (!l)
		LOG(ERROR, DMN, NULL, "a latch of user %u cannot be restored: its flow stays shut",
		    s->uid);
	else if (!s->keep)
		close_restored(e, l, "it was not to be kept, and the daemon was started again");
	else if (text[0])
		close_restored(e, l, text);
}

void latches_restore(struct engine *e)
{
	enum err err;

	if (!e->latch_file)
		return;
	err = latch_store_read(e->latch_file, restore, e);
	if (err)
		LOG(ERROR, DMN, NULL, "%s cannot be read: %s", e->latch_file, err_text(err));
	err = begin_anew(e);
	if (err)
		LOG(ERROR, DMN, NULL, "latches will not outlive this process: %s: %s",
		    e->latch_file, err_text(err));
}

static void collect(struct flow *flows, size_t *num, const struct list_node *list)
{
	list_for_each (n, list) {
		const struct latch_rec *l = list_entry(n, struct latch_rec, node);

		if (l->guarded && flows)
			flows[*num] = l->pub.flow;
		*num += l->guarded;
	}
}

static size_t collect_all(struct flow *flows, const struct latches *t)
{
	size_t num = 0;

	collect(flows, &num, &t->waiting);
	collect(flows, &num, &t->settled);
	return num;
}

void latches_guard_only(struct engine *e)
{
	size_t num = collect_all(NULL, e->latches);
	struct flow *flows;
	enum err err = ERR_NOMEM;

	if (e->took_ports || !e->host.ops->flow_guard_only)
		return;
	flows = mem_alloc_array(num + 1, sizeof(*flows));
	if (flows) {
		collect_all(flows, e->latches);
		err = e->host.ops->flow_guard_only(e->host.ctx, e->daemon.interface, flows, num);
	}
	if (err)
		LOG(WARN, KNL, NULL, "flows that were guarded once may still be: %s",
		    err_text(err));
	mem_free(flows);
}

/* latches_look - what was closed when nobody looked. */
static void look(struct engine *e, struct list_node *list)
{
	list_for_each_safe (n, list) {
		struct latch_rec *l = list_entry(n, struct latch_rec, node);
		const struct latch_saved s = {.flow = l->pub.flow, .cookie = l->pub.cookie};

		if (l->pub.cookie && !is_alive(e, &s))
			latch_end(e, l, "its socket was closed");
	}
}

void latches_look(struct engine *e)
{
	look(e, &e->latches->waiting);
	look(e, &e->latches->settled);
}
