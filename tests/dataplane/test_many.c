/* SPDX-License-Identifier: Apache-2.0 */
/* Many packets of random sizes, fragments among them, through two data paths of four workers each,
 * in both directions and by five algorithms, while pairs are re-keyed and moved, policies come and
 * go and paths change: every byte is compared, and every packet is accounted for. MANY_PACKETS=N
 * sends N packets in each direction. Built with ThreadSanitizer this is also the race test of the
 * hand-off. */
#include <sched.h>
#include <stdlib.h>

#include "tests/dataplane/testbed.h"
#include "tests/tap/tap.h"

#define WORKERS      4
#define GROUPS       5   /* the last one's pairs go from worker to worker */
#define STREAMS      24  /* in each direction; the last one is nobody's */
#define IN_FLIGHT    320 /* packets in each direction: no queue is ever full */
#define REMEMBERED   1024
#define MIN_LEN      48
#define MAX_LEN      1400
#define MAX_WHOLE    3600  /* of a packet that goes in fragments */
#define REKEY_EVERY  2000  /* packets of a direction */
#define BAN_LEN      40    /* packets sent while a policy forbids their stream */
#define BAN_EVERY    10000 /* packets of a direction */
#define PATIENCE_NS  (20 * NS_PER_S)
#define GROUP_OF(i)  ((i) % GROUPS)
#define NOBODYS      (STREAMS - 1)
#define MAY_OVERTAKE (GROUPS - 1)

/* struct stream - packets of one flow that one worker receives. */
struct stream {
	uint64_t sent;        /* numbers given */
	uint64_t next;        /* all before it arrived, or were forbidden */
	uint64_t ahead;       /* arrived before an older one did */
	uint64_t parts_until; /* what went in fragments is before this */
	uint8_t seen[REMEMBERED];
	uint8_t cost[REMEMBERED]; /* packets that it takes */
};

/* struct way - one direction. */
struct way {
	struct side *from, *to;
	uint8_t net_from, net_to; /* 10.N/16 */
	struct stream streams[STREAMS];
	uint64_t given, injected, parts; /* packets; these and fragments; of them, fragments */
	uint64_t delivered, forbidden, unknown;
	uint64_t on_the_way; /* packets in queues, of those that will arrive */
	uint64_t corrupt, twice;
	bool pausing; /* stream 0 rests: then a policy forbids it */
	uint32_t ban; /* that policy; 0 = none */
	uint64_t num_bans;
	uint64_t ban_done; /* POLICY_DISCARD when all that was forbidden is dropped */
};

/* struct group - one on both sides, and its pairs. */
struct group {
	uint32_t id_a, id_b;
	uint64_t pair, old_pair;           /* 0 = none */
	uint64_t ab[STREAMS], ba[STREAMS]; /* sent when `pair` became active */
};

struct play {
	struct bed bed;
	struct way ab, ba;
	struct group groups[GROUPS];
	struct rng_seeded rng;
	uint64_t num_pairs, num_moves;
	uint32_t rekeying; /* group that sends no fragments until it is done; NOBODYS = none */
	uint32_t turn;
};

static uint32_t below(struct play *p, uint32_t n)
{
	uint32_t v;

	CU_ASSERT_EQUAL_FATAL(rng_fill(&p->rng.rng, &v, sizeof(v)), ERR_OK);
	return v % n;
}

/* ---- packets -------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static void checksum(uint8_t *header)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < 20; i += 2)
		sum += load_be16(header + i);
	sum = (sum >> 16) + (sum & 0xffff);
	store_be16(header + 10, (uint16_t) ~(sum + (sum >> 16)));
}

/* host_of - the two directions have no flow in common, since a policy is for both. */
static uint8_t host_of(const struct way *way, uint32_t stream)
{
	return (uint8_t)(way->net_from * 100 + stream);
}

/* in_parts - whether a packet goes in fragments. */
static bool in_parts(uint32_t stream, uint64_t n)
{
	return stream != 0 && stream != NOBODYS && mix(n << 8 ^ stream) % 4 == 0;
}

/* make - packet number `n` of a stream, always the same; returns its length. */
static size_t make(uint8_t *buf, const struct way *way, uint32_t stream, uint64_t n)
{
	uint64_t seed = mix((uint64_t)way->net_from << 56 ^ (uint64_t)stream << 48 ^ n);
	size_t len = MIN_LEN + seed % ((in_parts(stream, n) ? MAX_WHOLE : MAX_LEN) - MIN_LEN);
	uint8_t host = host_of(way, stream);

	memset(buf, 0, 28);
	buf[0] = 0x45;
	store_be16(buf + 2, (uint16_t)len);
	store_be16(buf + 4, (uint16_t)n);
	buf[8] = 64;
	buf[9] = 17;
	memcpy(buf + 12, (uint8_t[]){10, way->net_from, (uint8_t)GROUP_OF(stream), host}, 4);
	memcpy(buf + 16, (uint8_t[]){10, way->net_to, (uint8_t)GROUP_OF(stream), host}, 4);
	if (stream == NOBODYS)
		buf[17] = 99;
	checksum(buf);
	store_be16(buf + 20, (uint16_t)(1000 + stream));
	store_be16(buf + 22, 53);
	store_be16(buf + 24, (uint16_t)(len - 20));
	store_be32(buf + 28, stream);
	store_be64(buf + 32, n);
	for (size_t i = 40; i < len; i += 8) {
		uint64_t word = mix(seed + i);

		memcpy(buf + i, &word, len - i < 8 ? len - i : 8);
	}
	return len;
}

/* arrived - p came out of the other side: whole, known, and for the first time. */
static void arrived(struct way *way, const uint8_t *p, size_t len)
{
	uint8_t wanted[BED_MAX_PACKET];
	uint32_t at = len >= MIN_LEN ? load_be32(p + 28) : STREAMS;
	uint64_t n = len >= MIN_LEN ? load_be64(p + 32) : 0;

	way->delivered++;
	if (at >= NOBODYS || n >= way->streams[at].sent || make(wanted, way, at, n) != len ||
	    memcmp(wanted, p, len) != 0) {
		way->corrupt++;
		return;
	}
	struct stream *s = &way->streams[at];

	if (n < s->next || s->seen[n % REMEMBERED]) {
		way->twice++;
		return;
	}
	s->ahead += n != s->next;
	way->on_the_way -= s->cost[n % REMEMBERED];
	s->seen[n % REMEMBERED] = 1;
	while (s->seen[s->next % REMEMBERED])
		s->seen[s->next++ % REMEMBERED] = 0;
}

static uint64_t in_flight(const struct way *w)
{
	return w->given - w->delivered - w->forbidden - w->unknown;
}

static void send_packet(struct way *w, uint32_t stream, const uint8_t *packet, size_t len)
{
	bed_send_to(w->from, stream / GROUPS % WORKERS, packet, len);
	w->injected++;
}

/* send_parts - fragments of random lengths (RFC 791 3.2). */
static void send_parts(struct play *p, struct way *w, uint32_t stream, const uint8_t *whole,
		       size_t len)
{
	uint8_t buf[BED_MAX_PACKET];
	size_t part;

	for (size_t at = 0; at < len - 20; at += part) {
		part = 8 * (1 + below(p, (MAX_LEN - 20) / 8));
		if (part < 400)
			part += 400; /* not too many of them */
		if (part > len - 20 - at)
			part = len - 20 - at;
		memcpy(buf, whole, 20);
		memcpy(buf + 20, whole + 20 + at, part);
		store_be16(buf + 2, (uint16_t)(20 + part));
		store_be16(buf + 6, (uint16_t)(at / 8 | (at + part < len - 20 ? 0x2000 : 0)));
		store_be16(buf + 10, 0);
		checksum(buf);
		send_packet(w, stream, buf, 20 + part);
		w->parts += part < len - 20; /* else it is whole */
	}
}

static void send_one(struct play *p, struct way *w, uint32_t stream)
{
	uint8_t buf[BED_MAX_PACKET];
	struct stream *s = &w->streams[stream];
	size_t len = make(buf, w, stream, s->sent);
	uint64_t before = w->injected;

	if (in_parts(stream, s->sent)) {
		send_parts(p, w, stream, buf, len);
		s->parts_until = s->sent + 1;
	} else {
		send_packet(w, stream, buf, len);
	}
	s->cost[s->sent++ % REMEMBERED] = (uint8_t)(w->injected - before);
	w->on_the_way += w->injected - before;
	w->given++;
}

static void pump(struct play *p, struct way *w, uint64_t limit)
{
	uint8_t buf[BED_MAX_PACKET];
	size_t n;

	for (int i = 0; i < 64 && w->injected < limit && w->on_the_way < IN_FLIGHT; i++) {
		uint32_t stream = below(p, STREAMS);
		struct stream *s = &w->streams[stream];

		if (s->sent - s->next >= REMEMBERED / 2 ||
		    (stream == 0 && (w->pausing || w->ban)) ||
		    (p->rekeying == GROUP_OF(stream) && in_parts(stream, s->sent)))
			continue;
		/* Of those few that no policy lets out none is in flight for the window. */
		if (stream == NOBODYS) {
			if (below(p, 8))
				continue;
			s->next++;
			w->unknown++;
			w->on_the_way--;
		}
		send_one(p, w, stream);
	}
	for (uint32_t i = 0; i < WORKERS; i++) {
		while ((n = bed_receive_from(w->to, i, buf)) != 0)
			arrived(w, buf, n);
	}
}

/* ---- what happens meanwhile ------------------------------------------------------------------ */

static const struct play *playing; /* for set_pair(), which has no context */
static uint32_t set_group;

/* set_keys - each group has an algorithm of its own. */
static void set_keys(struct child_params *params, bool is_a)
{
	static const enum aead_alg algs[GROUPS] = {AEAD_AES_GCM_16_256, AEAD_CHACHA20_POLY1305,
						   AEAD_AES_CBC_256_SHA2_512, AEAD_AES_GMAC_128,
						   AEAD_AES_GCM_16_128};
	static uint8_t keys[2][AEAD_KEY_MAX + AEAD_SALT_LEN]; /* from A to B, and back */
	size_t len = aead_alg_material_len(algs[set_group]);

	for (size_t i = 0; i < len; i++) {
		keys[0][i] = (uint8_t)mix(params->id << 8 | i);
		keys[1][i] = (uint8_t)mix(params->id << 8 | 1u << 31 | i);
	}
	params->alg = algs[set_group];
	params->key_out = bytes_of(keys[!is_a], len);
	params->key_in = bytes_of(keys[is_a], len);
}

static void set_pair(struct child_params *params, bool is_a)
{
	const struct group *g = &playing->groups[set_group];
	uint32_t owner = set_group;

	set_keys(params, is_a);
	params->outbound_active = false;
	params->group = is_a ? g->id_a : g->id_b;
	if (set_group == MAY_OVERTAKE)
		owner = (uint32_t)playing->num_moves;
	else if (g->pair)
		return; /* where its predecessor is */
	/* At the other end another worker has it: what arrives there is never the owner's. */
	params->worker = (is_a ? owner : owner + 1) % WORKERS + 1;
}

static void new_pair(struct play *p, uint32_t group)
{
	struct group *g = &p->groups[group];

	playing = p;
	set_group = group;
	bed_pair(&p->bed, ++p->num_pairs, set_pair);
	CU_ASSERT_EQUAL(dataplane_child_activate(p->bed.a.dp, p->num_pairs), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_child_activate(p->bed.b.dp, p->num_pairs), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_child_window(p->bed.b.dp, p->num_pairs, 2048), ERR_OK);
	p->num_moves += group == MAY_OVERTAKE;
	g->old_pair = g->pair;
	g->pair = p->num_pairs;
	for (uint32_t i = 0; i < STREAMS; i++) {
		g->ab[i] = p->ab.streams[i].sent;
		g->ba[i] = p->ba.streams[i].sent;
	}
}

/* old_is_done - everything that was sent before the newest pair was active has arrived. */
static bool old_is_done(const struct play *p, uint32_t group)
{
	const struct group *g = &p->groups[group];

	for (uint32_t i = group; i < NOBODYS; i += GROUPS) {
		if (p->ab.streams[i].next < g->ab[i] || p->ba.streams[i].next < g->ba[i])
			return false;
	}
	return true;
}

/* parts_left - of the group that is to be re-keyed some fragments may not have been put together:
 * what comes by two SAs never is. */
static bool parts_left(const struct play *p)
{
	for (uint32_t i = p->rekeying; i < NOBODYS; i += GROUPS) {
		if (p->ab.streams[i].next < p->ab.streams[i].parts_until ||
		    p->ba.streams[i].next < p->ba.streams[i].parts_until)
			return true;
	}
	return false;
}

static void rekey(struct play *p)
{
	for (uint32_t i = 0; i < GROUPS; i++) {
		struct group *g = &p->groups[i];

		if (!g->old_pair || !old_is_done(p, i))
			continue;
		dataplane_child_remove(p->bed.a.dp, g->old_pair, CHILD_BOTH);
		dataplane_child_remove(p->bed.b.dp, g->old_pair, CHILD_BOTH);
		g->old_pair = 0;
	}
	if (p->rekeying == NOBODYS && p->ab.injected / REKEY_EVERY >= p->num_pairs)
		p->rekeying = below(p, GROUPS);
	if (p->rekeying == NOBODYS || p->groups[p->rekeying].old_pair || parts_left(p))
		return;
	new_pair(p, p->rekeying);
	p->rekeying = NOBODYS;
}

static uint64_t discarded(const struct way *w)
{
	return bed_dropped(w->from, DROP_POLICY_DISCARD);
}

/* ban - stream 0 rests until all of it arrived, then a policy forbids it, a few are sent, and when
 * they have been dropped the policy goes. */
static void ban(struct play *p, struct way *w)
{
	struct stream *s = &w->streams[0];
	struct ts local, remote;
	struct policy_params params = {.layer = POLICY_LATCH,
				       .action = POLICY_DISCARD,
				       .local = &local,
				       .remote = &remote,
				       .num_local = 1,
				       .num_remote = 1};
	char text[2][32];

	if (w->ban && discarded(w) == w->ban_done) {
		dataplane_policy_remove(w->from->dp, w->ban);
		s->next += BAN_LEN;
		w->ban = 0;
		w->pausing = false;
	}
	if (w->ban || !w->pausing || s->next != s->sent)
		return;
	snprintf(text[0], sizeof(text[0]), "10.%u.0.%u/32", w->net_from, host_of(w, 0));
	snprintf(text[1], sizeof(text[1]), "10.%u.0.%u/32", w->net_to, host_of(w, 0));
	CU_ASSERT_EQUAL(ts_parse(&local, text[0]), ERR_OK);
	CU_ASSERT_EQUAL(ts_parse(&remote, text[1]), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_policy_add(w->from->dp, &w->ban, &params), ERR_OK);
	w->ban_done = discarded(w) + BAN_LEN;
	w->num_bans++;
	for (int i = 0; i < BAN_LEN; i++)
		send_one(p, w, 0);
	w->forbidden += BAN_LEN;
	w->on_the_way -= BAN_LEN;
}

/* disturb - changes that must not touch the traffic. */
static void disturb(struct play *p)
{
	struct side *s = p->turn & 1 ? &p->bed.a : &p->bed.b;
	struct dataplane_stats stats;
	struct child_stats child;

	switch (p->turn++ % 8) {
	case 0:
	case 1:
		CU_ASSERT_EQUAL(dataplane_pathset_move(s->dp, s->pathset, s->outer, &s->path),
				ERR_OK);
		break;
	case 2:
		rekey(p);
		break;
	case 3:
		dataplane_stats(s->dp, &stats);
		if (dataplane_child_stats(s->dp, &child, p->groups[0].pair) == ERR_OK)
			CU_ASSERT_NOT_EQUAL(child.token, 0);
		break;
	case 4:
		p->ab.pausing |= p->ab.injected / BAN_EVERY > p->ab.num_bans;
		p->ba.pausing |= p->ba.injected / BAN_EVERY > p->ba.num_bans;
		break;
	default:
		ban(p, &p->ab);
		ban(p, &p->ba);
		break;
	}
	bed_events(s, DP_EVENT_IKE);
	dataplane_reclaim(s->dp);
}

/* ---- the whole ------------------------------------------------------------------------------ */

static uint32_t policy_for(struct side *s, uint8_t net_local, uint8_t net_remote, uint32_t group)
{
	struct ts local, remote;
	struct policy_params params = {.layer = POLICY_APPLICATION,
				       .action = POLICY_PROTECT,
				       .local = &local,
				       .remote = &remote,
				       .num_local = 1,
				       .num_remote = 1};
	char text[2][32];
	uint32_t id;

	snprintf(text[0], sizeof(text[0]), "10.%u.%u.0/24", net_local, group);
	snprintf(text[1], sizeof(text[1]), "10.%u.%u.0/24", net_remote, group);
	CU_ASSERT_EQUAL(ts_parse(&local, text[0]), ERR_OK);
	CU_ASSERT_EQUAL(ts_parse(&remote, text[1]), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(dataplane_group_add(s->dp, &params.group), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(dataplane_policy_add(s->dp, &id, &params), ERR_OK);
	return params.group;
}

static void begin(struct play *p)
{
	const struct bed_options options = {.num_workers = WORKERS,
					    .num_packets = 1024,
					    .num_frames = 1024,
					    .flow_cache_len = 128};

	rng_seeded_init(&p->rng, 6);
	p->rekeying = NOBODYS;
	bed_init(&p->bed, &options);
	p->bed.threaded = true;
	p->ab = (struct way){.from = &p->bed.a, .to = &p->bed.b, .net_from = 1, .net_to = 2};
	p->ba = (struct way){.from = &p->bed.b, .to = &p->bed.a, .net_from = 2, .net_to = 1};
	for (uint32_t i = 0; i < GROUPS; i++) {
		p->groups[i].id_a = policy_for(&p->bed.a, 1, 2, i);
		p->groups[i].id_b = policy_for(&p->bed.b, 2, 1, i);
		new_pair(p, i);
	}
	CU_ASSERT_EQUAL_FATAL(dataplane_start(p->bed.a.dp), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(dataplane_start(p->bed.b.dp), ERR_OK);
}

static bool done(const struct way *w)
{
	return in_flight(w) == 0 && !w->ban && bed_dropped(w->from, DROP_NO_POLICY) == w->unknown;
}

static void run(struct play *p, uint64_t limit)
{
	uint64_t progress = 0, since = clock_now_ns();

	while (p->ab.injected < limit || p->ba.injected < limit || !done(&p->ab) || !done(&p->ba)) {
		uint64_t now = p->ab.delivered + p->ba.delivered;

		pump(p, &p->ab, limit);
		pump(p, &p->ba, limit);
		disturb(p);
		if (now != progress) {
			progress = now;
			since = clock_now_ns();
		} else {
			sched_yield();
			if (clock_now_ns() - since > PATIENCE_NS)
				break; /* what is missing is told below */
		}
	}
	dataplane_stop(p->bed.a.dp);
	dataplane_stop(p->bed.b.dp);
}

static void tell_drops(const struct side *s)
{
	for (int i = 0; i < DROP_NUM; i++) {
		if (bed_dropped(s, (enum drop_reason)i))
			tap_diag("%s: %llu", drop_name((enum drop_reason)i),
				 (unsigned long long)bed_dropped(s, (enum drop_reason)i));
	}
}

static void check_way(const struct way *w)
{
	uint64_t ahead = 0;

	CU_ASSERT_EQUAL(w->given, w->delivered + w->forbidden + w->unknown);
	CU_ASSERT_EQUAL(w->corrupt, 0);
	CU_ASSERT_EQUAL(w->twice, 0);
	CU_ASSERT_EQUAL(bed_dropped(w->from, DROP_POLICY_DISCARD), w->forbidden);
	CU_ASSERT_EQUAL(bed_dropped(w->from, DROP_NO_POLICY), w->unknown);
	CU_ASSERT_EQUAL(bed_drops(w->from), w->forbidden + w->unknown);
	for (uint32_t i = 0; i < STREAMS; i++) {
		CU_ASSERT_EQUAL(w->streams[i].next, w->streams[i].sent);
		if (GROUP_OF(i) != MAY_OVERTAKE)
			CU_ASSERT_EQUAL(w->streams[i].ahead, 0);
		ahead += w->streams[i].ahead;
	}
	tap_diag("%llu sent, %llu of them fragments; of %llu whole ones %llu arrived (%llu before "
		 "an older one), %llu forbidden, %llu without a policy",
		 (unsigned long long)w->injected, (unsigned long long)w->parts,
		 (unsigned long long)w->given, (unsigned long long)w->delivered,
		 (unsigned long long)ahead, (unsigned long long)w->forbidden,
		 (unsigned long long)w->unknown);
}

/* check_side - the books, and all buffers are home. */
static struct dataplane_stats check_side(const struct side *s)
{
	struct dataplane_stats st;

	tell_drops(s);
	bed_balance(s);
	dataplane_stats(s->dp, &st);
	CU_ASSERT_EQUAL(st.handed_off, st.taken);
	CU_ASSERT_EQUAL(st.held, 0);
	for (uint32_t i = 0; i < WORKERS; i++)
		CU_ASSERT_EQUAL(pool_num_free(s->dp->workers[i]->pool), 1024);
	return st;
}

static void test_many_packets(void)
{
	const char *wanted = getenv("MANY_PACKETS");
	uint64_t limit = wanted ? strtoull(wanted, NULL, 10) : 150000;
	struct play *p = calloc(1, sizeof(*p));

	CU_ASSERT_FATAL(p != NULL);
	begin(p);
	run(p, limit);
	check_way(&p->ab);
	check_way(&p->ba);
	const struct dataplane_stats a = check_side(&p->bed.a), b = check_side(&p->bed.b);
	uint64_t injected = p->ab.injected + p->ba.injected;
	uint64_t delivered = p->ab.delivered + p->ba.delivered;
	uint64_t crossed =
		injected - p->ab.forbidden - p->ba.forbidden - p->ab.unknown - p->ba.unknown;

	CU_ASSERT(p->ab.injected >= limit && p->ba.injected >= limit);
	/* What came in beside the test's packets are the datagrams that the other side sent. */
	CU_ASSERT_EQUAL(a.rx_packets + b.rx_packets - injected,
			a.tx_packets + b.tx_packets - delivered);
	CU_ASSERT_EQUAL(a.tx_packets + b.tx_packets, delivered + crossed);
	CU_ASSERT_EQUAL(a.consumed + b.consumed, p->ab.parts + p->ba.parts);
	CU_ASSERT(p->ab.parts > limit / 5 && p->ba.parts > limit / 5);
	/* Three of four clear packets and every datagram came to a worker that is not the owner. */
	CU_ASSERT(a.handed_off + b.handed_off > crossed * 3 / 2);
	CU_ASSERT(p->num_pairs >= limit / REKEY_EVERY / 2);
	CU_ASSERT(p->ab.num_bans >= limit / BAN_EVERY / 2 &&
		  p->ba.num_bans >= limit / BAN_EVERY / 2);
	tap_diag("%llu pairs, handed over %llu and %llu times, %u other changes",
		 (unsigned long long)p->num_pairs, (unsigned long long)a.handed_off,
		 (unsigned long long)b.handed_off, p->turn);
	bed_fini(&p->bed);
	free(p);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_many_packets),
};

TAP_MAIN("dataplane/many", tests)
