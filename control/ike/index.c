/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/index.h"

enum err sa_index_init(struct sa_index *x, const struct htab *like)
{
	enum err e = htab_init_like(&x->spis, like);

	if (!e)
		e = htab_init_like(&x->places, like);
	return e ? e : htab_init_like(&x->peers, like);
}

void sa_index_fini(struct sa_index *x)
{
	htab_fini(&x->spis);
	htab_fini(&x->places);
	htab_fini(&x->peers);
}

static void take_out(struct htab *t, struct htab_node *node)
{
	if (!node->key.p)
		return;
	htab_remove(t, node);
	node->key = bytes_of(NULL, 0);
}

void sa_set_peer_spi(struct ike_sa *sa, uint64_t spi)
{
	struct sa_index *x = &sa->e->index;
	uint64_t *theirs = sa->initiator ? &sa->spi_r : &sa->spi_i;

	take_out(&x->spis, &sa->named->by_spi);
	*theirs = spi;
	if (spi)
		htab_insert(&x->spis, &sa->named->by_spi, bytes_of(theirs, sizeof(*theirs)));
}

static void enter_place(struct ike_sa *sa)
{
	const struct ip_addr *a = &sa->path.remote.addr;

	htab_insert(&sa->e->index.places, &sa->named->by_place, bytes_of(a, sizeof(*a)));
}

void sa_set_path(struct ike_sa *sa, const struct path_addr *path)
{
	const bool found = sa->named->by_place.key.p;

	take_out(&sa->e->index.places, &sa->named->by_place);
	sa->path = *path;
	if (found)
		enter_place(sa);
}

void sa_index_enter(struct ike_sa *sa)
{
	struct sa_named *n = sa->named;

	if (n->by_place.key.p)
		return;
	enter_place(sa);
	if (sa->remote_id.type == ID_NULL) /* two who are nobody are not the same (RFC 7619 2.3) */
		return;
	conf_id_digest(n->peer, &sa->remote_id);
	htab_insert(&sa->e->index.peers, &n->by_peer, bytes_of(n->peer, sizeof(n->peer)));
}

void sa_index_leave(struct ike_sa *sa)
{
	struct sa_index *x = &sa->e->index;

	take_out(&x->spis, &sa->named->by_spi);
	take_out(&x->places, &sa->named->by_place);
	take_out(&x->peers, &sa->named->by_peer);
}

struct ike_sa *sa_by_peer_spi(const struct ike_engine *e, uint64_t spi)
{
	struct htab_node *n = htab_find(&e->index.spis, bytes_of(&spi, sizeof(spi)));

	return n ? container_of(n, struct sa_named, by_spi)->sa : NULL;
}

static struct ike_sa *of_place(struct htab_node *n)
{
	return n ? container_of(n, struct sa_named, by_place)->sa : NULL;
}

struct ike_sa *sa_first_at(const struct ike_engine *e, const struct ip_addr *addr)
{
	return of_place(htab_find(&e->index.places, bytes_of(addr, sizeof(*addr))));
}

struct ike_sa *sa_next_at(const struct ike_sa *sa)
{
	return of_place(htab_next(&sa->named->by_place));
}

static struct ike_sa *of_peer(struct htab_node *n)
{
	return n ? container_of(n, struct sa_named, by_peer)->sa : NULL;
}

struct ike_sa *sa_first_of(const struct ike_engine *e, const struct ike_id *id)
{
	uint8_t digest[CONF_ID_DIGEST_LEN];

	conf_id_digest(digest, id);
	return of_peer(htab_find(&e->index.peers, bytes_of(digest, sizeof(digest))));
}

struct ike_sa *sa_next_of(const struct ike_sa *sa)
{
	return of_peer(htab_next(&sa->named->by_peer));
}
