/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/halfopen.h"

#include "base/alloc.h"
#include "base/clock.h"

/* FAILED_NS - a source that failed is counted as if it were half-open still: what it cost is more
 * than what a half-open IKE SA does. */
#define FAILED_NS (5 * NS_PER_S)

static void make_key(uint8_t key[32], const struct endpoint *from, uint64_t spi_i)
{
	memcpy(key, from, sizeof(*from));
	memcpy(key + sizeof(*from), &spi_i, sizeof(spi_i));
}

struct ike_sa *halfopen_find(const struct ike_engine *e, const struct endpoint *from,
			     uint64_t spi_i)
{
	uint8_t key[32];
	struct htab_node *n;

	make_key(key, from, spi_i);
	n = htab_find(&e->half_open, bytes_of(key, sizeof(key)));
	return n ? container_of(n, struct ike_sa, half_open) : NULL;
}

static struct ip_addr source_addr(const struct ip_addr *a)
{
	struct ip_addr s = *a;

	if (s.family == IP_V6)
		memset(s.b + 8, 0, 8);
	return s;
}

static struct source *source_find(const struct ike_engine *e, const struct ip_addr *from)
{
	const struct ip_addr a = source_addr(from);
	struct htab_node *n = htab_find(&e->sources, bytes_of(&a, sizeof(a)));

	return n ? container_of(n, struct source, node) : NULL;
}

static struct source *source_get(struct ike_engine *e, const struct ip_addr *from)
{
	struct source *s = source_find(e, from);

	if (!s) {
		s = mem_alloc(sizeof(*s));
		if (!s)
			return NULL;
		s->addr = source_addr(from);
		htab_insert(&e->sources, &s->node, bytes_of(&s->addr, sizeof(s->addr)));
	}
	s->num++;
	return s;
}

enum err halfopen_enter(struct ike_sa *sa)
{
	sa->source = source_get(sa->e, &sa->path.remote.addr);
	if (!sa->source)
		return ERR_NOMEM;
	make_key(sa->half_open_key, &sa->path.remote, sa->spi_i);
	htab_insert(&sa->e->half_open, &sa->half_open,
		    bytes_of(sa->half_open_key, sizeof(sa->half_open_key)));
	sa->e->half_open_num++;
	return ERR_OK;
}

void halfopen_authenticated(struct ike_sa *sa)
{
	struct source *s = sa->source;

	if (!s)
		return;
	sa->source = NULL;
	sa->e->half_open_num--;
	if (--s->num)
		return;
	htab_remove(&sa->e->sources, &s->node);
	mem_free(s);
}

/* It said who it is, and did not prove it. */
static bool has_failed(const struct ike_sa *sa)
{
	return sa->source && sa->hs && (sa->hs->peer_id_body_len || sa->open) && !sa->proof &&
	       sa->reason != IKE_REASON_LOCAL;
}

static void note_failed(struct ike_engine *e, const struct ip_addr *from)
{
	e->failed[e->failed_next++ % FAILED_PEERS] =
		(struct failed_peer){.from = source_addr(from), .until_ns = e->now_ns + FAILED_NS};
}

static uint32_t num_failed(const struct ike_engine *e, const struct ip_addr *from)
{
	const struct ip_addr a = source_addr(from);
	uint32_t num = 0;

	for (uint32_t i = 0; i < FAILED_PEERS; i++)
		num += e->failed[i].until_ns > e->now_ns && ip_addr_equal(&e->failed[i].from, &a);
	return num;
}

void halfopen_leave(struct ike_sa *sa)
{
	if (has_failed(sa))
		note_failed(sa->e, &sa->source->addr);
	halfopen_authenticated(sa);
	if (!sa->half_open.key.p)
		return;
	htab_remove(&sa->e->half_open, &sa->half_open);
	sa->half_open.key = bytes_of(NULL, 0);
}

bool halfopen_full(const struct ike_engine *e, const struct ip_addr *from)
{
	const struct source *s = source_find(e, from);
	const uint32_t num = (s ? s->num : 0) + num_failed(e, from);

	return e->half_open_num >= e->limits.half_open_max || num >= e->limits.half_open_per_source;
}

bool halfopen_crowded(const struct ike_engine *e)
{
	return e->limits.cookies_always || (e->conf && e->conf->daemon.cookies_always) ||
	       e->half_open_num >= e->limits.cookie_threshold;
}

uint64_t halfopen_bound(const struct ike_engine *e)
{
	const bool crowd = e->half_open_num >= e->limits.cookie_threshold;

	return crowd ? e->limits.half_open_ns / 6 : e->limits.half_open_ns;
}
