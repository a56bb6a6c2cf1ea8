/* SPDX-License-Identifier: Apache-2.0 */
/* waiters.c - requests for what is under way already: they end with whoever began it. */
#include "api/engine/internal.h"
#include "base/alloc.h"

static void waiter_free(struct waiter *w)
{
	list_remove(&w->node);
	mem_free(w->conn);
	mem_free(w->child);
	mem_free(w);
}

enum err waiters_add(struct engine *e, const char *conn, const char *child, uint64_t request)
{
	struct waiter *w = mem_alloc(sizeof(*w));

	if (!w)
		return ERR_NOMEM;
	list_push_back(&e->waiters, &w->node);
	w->request = request;
	w->conn = str_dup(conn);
	w->child = child ? str_dup(child) : NULL;
	if (w->conn && (!child || w->child))
		return ERR_OK;
	waiter_free(w);
	return ERR_NOMEM;
}

/* waiters_up - those who wanted no more than the IKE SA have it. */
void waiters_up(struct engine *e, const char *conn)
{
	list_for_each_safe (n, &e->waiters) {
		struct waiter *w = list_entry(n, struct waiter, node);

		if (conn && !w->child && strcmp(w->conn, conn) == 0)
			waiter_free(w);
	}
}

/* waiters_event - it is up, which everybody sees; or it failed, which was told to whoever began. */
void waiters_event(struct engine *e, const struct ike_event *ev)
{
	struct ike_event copy = *ev;

	list_for_each_safe (n, &e->waiters) {
		struct waiter *w = list_entry(n, struct waiter, node);

		if (!ev->conn || strcmp(w->conn, ev->conn) != 0 ||
		    (w->child && ev->child && strcmp(w->child, ev->child) != 0))
			continue;
		copy.request = w->request;
		waiter_free(w);
		if (ev->kind == IKE_EVENT_FAILED)
			status_event(e, &copy);
	}
}

/* struct up_query - is it up? By names: the child, or the IKE SA if that is NULL. */
struct up_query {
	const char *conn, *child;
	bool up;
};

static void find_up(void *ctx, const struct ike_sa_info *sa)
{
	struct up_query *q = ctx;

	if (!sa->conn || strcmp(sa->conn, q->conn) != 0 ||
	    (sa->state != IKE_STATE_ESTABLISHED && sa->state != IKE_STATE_REKEYING))
		return;
	q->up |= !q->child;
	for (uint32_t i = 0; q->child && i < sa->num_children; i++)
		q->up |= strcmp(sa->children[i].name, q->child) == 0 && !sa->children[i].narrow &&
			 strcmp(sa->children[i].state, "DELETING") != 0;
}

bool waiters_is_up(struct engine *e, const char *conn, const char *child)
{
	struct up_query q = {.conn = conn, .child = child};

	ike_each_sa(e->ike, find_up, &q);
	return q.up;
}

void waiters_fini(struct engine *e)
{
	list_for_each_safe (n, &e->waiters)
		waiter_free(list_entry(n, struct waiter, node));
}
