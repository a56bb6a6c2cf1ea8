/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A latch is a socket's, and goes with it. Where a daemon is told of each that is closed, here a
 * few are looked at each second, and at once that whose ends another one has now.
 */
#include "api/embed/internal.h"
#include "api/host/socket_look.h"
#include "base/alloc.h"

#define LOOKS      32 /* a second */
#define LOOK_EVERY NS_PER_S

/* struct known - one of them. */
struct known {
	struct list_node node;
	struct htab_node by_cookie;
	uint64_t cookie;
	struct flow flow;
};

enum err passed_init(struct passed *p)
{
	list_init(&p->list);
	return htab_init(&p->by_cookie, rng_system());
}

static void forget(struct passed *p, struct known *k)
{
	list_remove(&k->node);
	htab_remove(&p->by_cookie, &k->by_cookie);
	mem_free(k);
}

void passed_fini(struct passed *p)
{
	list_for_each_safe (n, &p->list)
		forget(p, list_entry(n, struct known, node));
	htab_fini(&p->by_cookie);
}

/* settle - what cannot be found out is there still. */
static void settle(struct passed *p, const struct app_backend *backend, struct known *k)
{
	bool alive = true;

	if (host_socket_alive(NULL, &alive, &k->flow, k->cookie) || alive)
		return;
	backend->ops->latch_socket_gone(backend->ctx, k->cookie);
	forget(p, k);
}

/* same_ends - another socket could have them only when the first is gone, or by its leave. */
static bool same_ends(const struct known *k, const struct host_socket *s)
{
	return k->cookie != s->cookie && k->flow.proto == s->flow.proto &&
	       k->flow.local_port == s->flow.local_port &&
	       k->flow.remote_port == s->flow.remote_port &&
	       ip_addr_cmp(&k->flow.local, &s->flow.local) == 0 &&
	       ip_addr_cmp(&k->flow.remote, &s->flow.remote) == 0;
}

static enum err remember(struct passed *p, const struct app_backend *backend,
			 const struct host_socket *s)
{
	struct known *k;

	if (htab_find(&p->by_cookie, bytes_of(&s->cookie, sizeof(s->cookie))))
		return ERR_OK;
	list_for_each_safe (n, &p->list) {
		k = list_entry(n, struct known, node);
		if (same_ends(k, s))
			settle(p, backend, k);
	}
	k = mem_alloc(sizeof(*k));
	if (!k)
		return ERR_NOMEM;
	k->cookie = s->cookie;
	k->flow = s->flow;
	list_push_back(&p->list, &k->node);
	htab_insert(&p->by_cookie, &k->by_cookie, bytes_of(&k->cookie, sizeof(k->cookie)));
	return ERR_OK;
}

/* passed_inspect - whose process it is does not matter: the program has it, and the engine. */
enum err passed_inspect(struct passed *p, const struct app_backend *backend,
			struct host_socket *out, int fd, const struct flow *pair)
{
	struct host_socket s;
	uint32_t scope;
	enum err err = host_socket_look(&s, &scope, fd, pair);

	if (!err)
		err = remember(p, backend, &s);
	if (err)
		return err;
	s.here = true;
	*out = s;
	return ERR_OK;
}

void passed_look(struct passed *p, const struct app_backend *backend)
{
	uint64_t now_ns = backend->ops->now(backend->ctx);

	if (now_ns < p->look_ns)
		return;
	p->look_ns = now_ns + LOOK_EVERY;
	for (uint32_t i = 0; i < LOOKS && !list_empty(&p->list); i++) {
		struct known *k = list_entry(p->list.next, struct known, node);

		list_remove(&k->node);
		list_push_back(&p->list, &k->node);
		settle(p, backend, k);
	}
}
