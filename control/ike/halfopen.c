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

static uint32_t num_of_source(const struct ike_engine *e, const struct ip_addr *from)
{
	const struct source *s = source_find(e, from);

	return (s ? s->num : 0) + num_failed(e, from);
}

bool halfopen_full(const struct ike_engine *e, const struct ip_addr *from)
{
	return e->half_open_num >= e->limits.half_open_max ||
	       num_of_source(e, from) >= e->limits.half_open_per_source;
}

bool halfopen_crowded(const struct ike_engine *e)
{
	return e->limits.cookies_always || (e->conf && e->conf->daemon.cookies_always) ||
	       e->half_open_num >= e->limits.cookie_threshold;
}

/* ---- puzzles (RFC 8019) -----------------------------------------------------------------------
 */

#define MORE_MAX 2 /* bits of the difficulty, of each reason */

/* TURN_NS - between two turns of those who solve no puzzles, on average; half of it at least, so
 * that these are eight IKE SAs a second at most. */
#define TURN_NS (250 * NS_PER_MS)

static uint32_t puzzle_threshold(const struct ike_engine *e)
{
	const uint32_t wanted = e->conf ? e->conf->daemon.puzzle_threshold : 0;

	return wanted ? wanted : e->limits.puzzle_threshold;
}

bool halfopen_puzzling(const struct ike_engine *e)
{
	switch (e->conf ? e->conf->daemon.puzzles : PUZZLES_AUTO) {
	case PUZZLES_ALWAYS:
		return true;
	case PUZZLES_NEVER:
		return false;
	case PUZZLES_AUTO:
	default:
		return e->half_open_num >= puzzle_threshold(e);
	}
}

uint8_t halfopen_difficulty(const struct ike_engine *e, const struct ip_addr *from)
{
	const uint32_t guilt = num_of_source(e, from) / 2;
	uint32_t bits = e->conf->daemon.puzzle_difficulty;
	uint32_t crowd = 0;

	while (crowd < MORE_MAX && e->half_open_num >> (crowd + 1) >= puzzle_threshold(e))
		crowd++;
	bits += crowd + (guilt < MORE_MAX ? guilt : MORE_MAX);
	return (uint8_t)(bits < PUZZLE_BITS_MAX ? bits : PUZZLE_BITS_MAX);
}

uint32_t halfopen_chance(const struct ike_engine *e)
{
	const uint32_t low = puzzle_threshold(e), max = e->limits.half_open_max;
	const uint32_t room = max > low ? (max - low + 1) / 2 : 1;
	const uint32_t over = e->half_open_num > low ? e->half_open_num - low : 0;
	uint32_t chance;

	if (over >= room)
		return 0;
	chance = (uint32_t)((uint64_t)128 * (room - over) / room);
	return chance > 16 ? chance : 16;
}

/* The moment is drawn, and who comes first then is taken: whoever sends as much as he likes has no
 * better chance than his share of the time between two messages, and cannot know when to send them.
 * A source that has an IKE SA half open, or failed lately, does not take another one's turn. */
bool halfopen_turn(const struct ike_engine *e, const struct ip_addr *from)
{
	return e->now_ns >= e->turn_ns && e->half_open_num < e->limits.half_open_max &&
	       !num_of_source(e, from);
}

void halfopen_turn_had(struct ike_engine *e)
{
	e->turn_ns = e->now_ns + TURN_NS / 2 + engine_spread(e, TURN_NS);
}

uint64_t halfopen_bound(const struct ike_engine *e)
{
	const bool crowd = e->half_open_num >= e->limits.cookie_threshold;

	return crowd ? e->limits.half_open_ns / 6 : e->limits.half_open_ns;
}
