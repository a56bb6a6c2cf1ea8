/* SPDX-License-Identifier: Apache-2.0 */
/*
 * starters.c - children that are to be up by themselves: begun at once, again when lost, each time
 * later, as often as keyingtries says.
 */
#include "api/engine/internal.h"
#include "base/alloc.h"

#define RETRY_FIRST_NS (2 * NS_PER_S)
#define RETRY_MAX_NS   (60 * NS_PER_S)

struct starter *starter_find(struct engine *e, const char *conn, const char *child)
{
	list_for_each (n, &e->starters) {
		struct starter *s = list_entry(n, struct starter, node);

		if (strcmp(s->conn, conn) == 0 && (!child || strcmp(s->child, child) == 0))
			return s;
	}
	return NULL;
}

static void starter_free(struct starter *s)
{
	timer_cancel(&s->engine->timers, &s->retry);
	list_remove(&s->node);
	mem_free(s->conn);
	mem_free(s->child);
	mem_free(s);
}

static void starter_fire(struct timer *t, uint64_t now_ns)
{
	struct starter *s = container_of(t, struct starter, retry);
	const struct conf_conn *conn;
	enum err err = ERR_NOT_FOUND;

	(void)now_ns;
	if (waiters_is_up(s->engine, s->conn, s->child) ||
	    connect_is_resolving(s->engine, s->conn, s->child))
		return;
	if (conf_find_child(s->engine->conf, &conn, s->conn, s->child))
		err = connect_bring_up(s->engine, conn, s->child, s->request, NULL);
	if (err && err != ERR_EXISTS)
		LOG(WARN, CHD, s->conn, "%s cannot be started: %s", s->child, err_text(err));
}

static struct starter *starter_new(struct engine *e, const char *conn, const char *child)
{
	struct starter *s = mem_alloc(sizeof(*s));

	if (!s)
		return NULL;
	s->engine = e;
	s->request = engine_request(e);
	timer_init(&s->retry, starter_fire);
	list_push_back(&e->starters, &s->node);
	s->conn = str_dup(conn);
	s->child = str_dup(child);
	if (!s->conn || !s->child) {
		starter_free(s);
		return NULL;
	}
	return s;
}

void starter_begin(struct engine *e, const char *conn, const char *child)
{
	struct starter *s = starter_find(e, conn, child);

	if (!s)
		s = starter_new(e, conn, child);
	if (!s) {
		LOG(ERROR, CHD, conn, "no memory to start %s", child);
		return;
	}
	if (s->stopped || timer_is_set(&s->retry))
		return;
	s->tries = s->asked = 0;
	timer_set(&e->timers, &s->retry, engine_now(e));
}

void starters_resume(struct engine *e, const char *conn, const char *child)
{
	list_for_each (n, &e->starters) {
		struct starter *s = list_entry(n, struct starter, node);

		if (strcmp(s->conn, conn) == 0 && (!child || strcmp(s->child, child) == 0))
			s->stopped = false;
	}
}

/* starter_failed - try again, each time later, as often as keyingtries says. What fails before the
 * peer was asked (no route or no name server yet) is not one of these tries. */
void starter_failed(struct engine *e, struct starter *s, bool asked_peer)
{
	const struct conf_conn *conn = conf_find_conn(e->conf, s->conn);
	uint64_t wait_ns = RETRY_FIRST_NS << (s->tries < 5 ? s->tries : 5);

	if (!conn || s->stopped || timer_is_set(&s->retry))
		return;
	s->tries++;
	s->asked += asked_peer;
	if (conn->keyingtries && s->asked >= conn->keyingtries)
		return; /* the trap policy asks again when there is traffic */
	if (wait_ns > RETRY_MAX_NS)
		wait_ns = RETRY_MAX_NS;
	timer_set(&e->timers, &s->retry, engine_now(e) + wait_ns);
}

static void start(struct engine *e, const struct conf_conn *conn, const struct conf_child *child)
{
	if (connect_remote(conn))
		starter_begin(e, conn->name, child->name);
	else
		LOG(WARN, CFG, conn->name,
		    "%s cannot be started from here: remote_addrs names no single peer",
		    child->name);
}

void starters_configure(struct engine *e)
{
	list_for_each_safe (n, &e->starters) {
		struct starter *s = list_entry(n, struct starter, node);
		const struct conf_conn *conn;
		const struct conf_child *c = conf_find_child(e->conf, &conn, s->conn, s->child);

		if (!c || !((c->start_action | c->dpd_action | c->close_action) & ACTION_START))
			starter_free(s);
	}
	for (uint32_t i = 0; i < e->conf->num_conns; i++) {
		const struct conf_conn *conn = e->conf->conns[i];

		for (uint32_t c = 0; c < conn->num_children; c++)
			if (conn->children[c].start_action & ACTION_START &&
			    conf_negotiated(conn->children[c].mode))
				start(e, conn, &conn->children[c]);
	}
}

/* starters_stop - leave what matches alone from now on; true if one was about to begin. */
bool starters_stop(struct engine *e, const char *conn, const char *child)
{
	bool any = false;

	list_for_each (n, &e->starters) {
		struct starter *s = list_entry(n, struct starter, node);

		if (!connect_is_named(s->conn, conn) || !connect_is_named(s->child, child))
			continue;
		any |= timer_is_set(&s->retry);
		timer_cancel(&e->timers, &s->retry);
		s->stopped = true;
	}
	return any;
}

void starters_fini(struct engine *e)
{
	list_for_each_safe (n, &e->starters)
		starter_free(list_entry(n, struct starter, node));
}
