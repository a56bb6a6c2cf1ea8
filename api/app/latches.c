/* SPDX-License-Identifier: Apache-2.0 */
/* latches.c - whose latches are whose. */
#include "api/app/internal.h"

#include "base/alloc.h"

#include <netinet/in.h>

struct held *held_find(const struct app_server *s, uint64_t id)
{
	struct htab_node *n = htab_find(&s->by_id, bytes_of(&id, sizeof(id)));

	return n ? container_of(n, struct held, by_id) : NULL;
}

void held_drop(struct app_server *s, struct held *rec)
{
	if (rec->counted)
		rec->user->num_latches--;
	list_remove(&rec->node);
	htab_remove(&s->by_id, &rec->by_id);
	mem_free(rec);
}

static enum err rec_new(struct app_server *s, struct held **out, const struct app_latch *latch)
{
	struct app_user *user;
	struct held *rec;

	TRY(app_user_get(&s->users, &user, latch->uid, "", app_server_now(s)));
	rec = mem_alloc(sizeof(*rec));
	if (!rec)
		return ERR_NOMEM;
	rec->id = latch->id;
	rec->maker = latch->client;
	rec->user = user;
	list_push_back(&s->latches, &rec->node);
	htab_insert(&s->by_id, &rec->by_id, bytes_of(&rec->id, sizeof(rec->id)));
	*out = rec;
	return ERR_OK;
}

/* A latch that is not counted names its user too: that he is remembered costs him a connection at
 * most. */
enum err held_add(struct app_server *s, const struct app_latch *latch, uint64_t client,
		  bool counted, bool keep)
{
	struct held *rec = held_find(s, latch->id);

	if (!rec)
		TRY(rec_new(s, &rec, latch));
	rec->client = client;
	rec->keep |= keep;
	if (counted && !rec->counted)
		rec->user->num_latches++;
	rec->counted |= counted;
	return ERR_OK;
}

/* Of a connection that a listener got the engine may not know the socket: then a TCP connection
 * that is up, which no other socket can have, says whose it is. */
static bool is_by_socket(const struct host_socket *sock, const struct app_latch *latch,
			 uint32_t uid)
{
	bool same = memcmp(&sock->flow, &latch->flow, sizeof(sock->flow)) == 0;

	if (latch->cookie)
		return sock->cookie == latch->cookie || (same && latch->uid == uid);
	return same && (latch->uid == uid || (sock->flow.proto == IPPROTO_TCP && sock->live));
}

bool latch_is_own(const struct call *call, const struct app_latch *latch)
{
	const struct held *rec = held_find(call->server, latch->id);
	const struct app_client *c = call->client;

	if (rec && rec->client == c->number && latch->uid == c->peer.uid)
		return true;
	return call->has_sock && is_by_socket(&call->sock, latch, c->peer.uid);
}

enum err latch_own(struct call *call, struct app_latch *out, uint32_t all)
{
	struct app_latch latch;
	uint64_t id = app_attr_u64(call->in, APP_A_LATCH, 0);

	if (!id)
		return ERR_INVAL;
	memset(&latch, 0, sizeof(latch));
	TRY(call->ops->latch_info(call->ctx, &latch, id));
	if (!latch_is_own(call, &latch) && !(call->client->rights & all))
		return deny(call, ERR_NOT_FOUND, "the latch is another's");
	*out = latch;
	return ERR_OK;
}

/* What is to be kept is nobody's until somebody finds it by its socket. */
void held_gone(struct app_server *s, const struct app_client *c)
{
	list_for_each_safe (n, &s->latches) {
		struct held *rec = list_entry(n, struct held, node);

		if (rec->client != c->number)
			continue;
		rec->client = 0;
		if (!rec->keep)
			held_drop(s, rec);
	}
}
