/* SPDX-License-Identifier: Apache-2.0 */
/* Two hosts that probe the paths between them, over wires in virtual time. */
#include "dataplane/prober.h"

#include "tests/tap/tap.h"

#define PATHS      3
#define FLIGHT_MAX 4096
#define PAYLOAD    1000
#define MESSAGE    200
#define HOLE_NS    (100 * NS_PER_MS)

/* struct wire - of a path, one way. rate: bytes a second, 0: any. */
struct wire {
	uint64_t delay_ns, jitter_ns;
	uint32_t loss; /* in 65536ths */
	bool black;
	uint64_t rate, free_ns; /* when it has sent what waits */
	uint64_t queue_ns;      /* what waits longer is lost */
};

/* struct flying - a message or a packet on its way. */
struct flying {
	uint64_t at_ns;
	uint8_t to;
	bool payload;
	uint16_t path;
	struct path_message m;
};

/* struct host - one of the two. */
struct host {
	struct world *world;
	uint8_t index;
	struct prober prober;
	struct prober_io io;
	uint64_t due_ns;
	struct path_traffic traffic[PATHS + 1];
	bool usable[PATHS + 1], watched[PATHS + 1];
	bool leaves[PATHS + 1]; /* another one that is usable is taken */
	uint16_t late;          /* but by this one a worker sends what it has still, */
	uint64_t late_ns;       /* until then; */
	uint32_t late_heard;    /* the other host has heard its last packets so often before */
	uint32_t drained[PATHS + 1], heard[PATHS + 1]; /* both sides' last packets, the other's */
	uint32_t sent[PATHS + 1], came[PATHS + 1];     /* payload */
	uint64_t changed_ns[PATHS + 1];                /* when usable changed last */
	uint32_t opened[PATHS + 1], lapsed[PATHS + 1]; /* long probes; loans that ended */
	uint32_t failures[PATHS + 1], probes[PATHS + 1], answers[PATHS + 1];
	uint64_t every_ns, next_ns; /* payload; 0: none */
};

struct world {
	uint64_t now_ns;
	struct rng_seeded rng;
	struct host host[2];
	struct wire wire[2][PATHS + 1]; /* by sender */
	uint32_t num;
	struct flying flying[FLIGHT_MAX];
};

static struct world world;

static uint32_t draw(uint32_t below)
{
	uint32_t v = 0;

	CU_ASSERT_EQUAL_FATAL(rng_fill(&world.rng.rng, &v, sizeof(v)), ERR_OK);
	return v % below;
}

/* put - onto a wire; what it loses is lost here. */
static void put(uint8_t from, uint16_t path, bool payload, const struct path_message *m)
{
	struct wire *w = &world.wire[from][path];
	uint64_t at = world.now_ns, len = payload ? PAYLOAD : MESSAGE;

	if (w->black || draw(65536) < w->loss)
		return;
	if (w->rate) {
		at = w->free_ns > at ? w->free_ns : at;
		if (at - world.now_ns > w->queue_ns)
			return;
		at += len * NS_PER_S / w->rate;
		w->free_ns = at;
	}
	at += w->delay_ns + (w->jitter_ns ? draw((uint32_t)w->jitter_ns) : 0);
	CU_ASSERT_TRUE_FATAL(world.num < FLIGHT_MAX);
	world.flying[world.num] =
		(struct flying){.at_ns = at, .to = !from, .payload = payload, .path = path};
	if (m)
		world.flying[world.num].m = *m;
	world.num++;
}

static void host_send(void *ctx, uint16_t path, struct path_message *m, size_t len)
{
	struct host *h = ctx;

	CU_ASSERT(len == PATH_MESSAGE_LEN || (len == PROBER_OPENING_LEN && m->type == PATH_PROBE));
	h->opened[path] += len == PROBER_OPENING_LEN;

	CU_ASSERT_EQUAL(m->path, path);
	if (m->type == PATH_PROBE)
		h->probes[path]++;
	else
		h->answers[path]++;
	h->traffic[path].tx_packets++;
	h->traffic[path].tx_bytes += MESSAGE;
	put(h->index, path, false, m);
}

static void host_traffic(void *ctx, uint16_t path, struct path_traffic *out)
{
	*out = ((struct host *)ctx)->traffic[path];
}

static void host_usable(void *ctx, uint16_t path, bool usable)
{
	struct host *h = ctx;

	CU_ASSERT_NOT_EQUAL(h->usable[path], usable);
	h->usable[path] = usable;
	h->changed_ns[path] = world.now_ns;
	h->failures[path] += !usable;
}

/* goes_by - the first path that may be used, of those that are not left if there is one; 0: none.
 */
static uint16_t goes_by(const struct host *h)
{
	for (int leaves = 0; leaves < 2; leaves++)
		for (uint16_t p = 1; p <= PATHS; p++)
			if (h->usable[p] && h->leaves[p] == leaves)
				return p;
	return 0;
}

static void host_lapse(void *ctx, uint16_t path)
{
	((struct host *)ctx)->lapsed[path]++;
}

static bool host_used(void *ctx, uint16_t path)
{
	return goes_by(ctx) == path;
}

/* host_last - not before it is so. */
static void host_last(void *ctx, uint16_t path, bool ours)
{
	struct host *h = ctx;

	h->heard[path] += !ours;
	h->drained[path] += ours;
	CU_ASSERT_TRUE(h->heard[path] >= h->drained[path]);
	if (world.wire[0][path].jitter_ns) /* packets overtake */
		return;
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_NOT_EQUAL(goes_by(&world.host[i]), path);
		if (world.wire[i][path].loss == 0 && (ours || i != h->index))
			CU_ASSERT_EQUAL(world.host[i].sent[path], world.host[!i].came[path]);
	}
	for (uint32_t i = 0; i < world.num; i++)
		CU_ASSERT_FALSE(world.flying[i].payload && world.flying[i].path == path &&
				(ours || world.flying[i].to == h->index));
}

static void host_watch(void *ctx, uint16_t path)
{
	((struct host *)ctx)->watched[path] = true;
}

/* set_up - wires of this delay each way, no path known. */
static void set_up(uint64_t seed, uint64_t delay_ns)
{
	world = (struct world){.now_ns = NS_PER_S};
	rng_seeded_init(&world.rng, seed);
	for (uint8_t i = 0; i < 2; i++) {
		struct host *h = &world.host[i];

		h->world = &world;
		h->index = i;
		h->due_ns = TIME_NEVER;
		h->io = (struct prober_io){.ctx = h,
					   .rng = &world.rng.rng,
					   .send = host_send,
					   .traffic = host_traffic,
					   .usable = host_usable,
					   .lapse = host_lapse,
					   .used = host_used,
					   .last = host_last,
					   .watch = host_watch};
		prober_init(&h->prober, &h->io);
		for (uint16_t p = 1; p <= PATHS; p++)
			world.wire[i][p].delay_ns = delay_ns;
	}
}

static void turn(struct host *h)
{
	h->due_ns = prober_turn(&h->prober, world.now_ns);
}

/* add - a path at both hosts. */
static void add(uint16_t path)
{
	for (uint8_t i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(prober_add(&world.host[i].prober, path, false, false, world.now_ns),
				ERR_OK);
		turn(&world.host[i]);
	}
}

/* pay - a packet of payload. */
static void pay(struct host *h)
{
	const bool late = world.now_ns < h->late_ns;
	const uint16_t p = late ? h->late : goes_by(h);

	h->next_ns = world.now_ns + h->every_ns;
	if (!p)
		return;
	if (late)
		CU_ASSERT_EQUAL(world.host[!h->index].heard[p], h->late_heard);
	h->sent[p]++;
	h->traffic[p].tx_packets++;
	h->traffic[p].tx_bytes += PAYLOAD;
	put(h->index, p, true, NULL);
	if (h->watched[p]) {
		h->watched[p] = false;
		prober_busy(&h->prober, p, world.now_ns);
		turn(h);
	}
}

/* take - a message has just come. */
static bool take(struct host *h, uint16_t path, const struct path_message *m)
{
	const struct path_traffic *t = &h->traffic[path <= PATHS ? path : 0];
	const struct prober_arrival came = {
		.at_ns = world.now_ns, .rx_packets = t->rx_packets, .rx_bytes = t->rx_bytes};

	return prober_take(&h->prober, path, m, &came, world.now_ns);
}

static void arrive(uint32_t i)
{
	struct flying f = world.flying[i];
	struct host *h = &world.host[f.to];

	world.flying[i] = world.flying[--world.num];
	h->traffic[f.path].rx_packets++;
	h->traffic[f.path].rx_bytes += f.payload ? PAYLOAD : MESSAGE;
	h->came[f.path] += f.payload;
	if (f.payload)
		return;
	take(h, f.path, &f.m);
	turn(h);
}

/* first - which is the next to arrive; num: none. */
static uint32_t first(void)
{
	uint32_t k = world.num;

	for (uint32_t i = 0; i < world.num; i++)
		if (k == world.num || world.flying[i].at_ns < world.flying[k].at_ns)
			k = i;
	return k;
}

/* run - until then. */
static void run_until(uint64_t end_ns)
{
	for (;;) {
		uint32_t k = first();
		uint64_t at = k < world.num ? world.flying[k].at_ns : TIME_NEVER;

		for (uint8_t i = 0; i < 2; i++) {
			const struct host *h = &world.host[i];

			at = h->due_ns < at ? h->due_ns : at;
			at = h->every_ns && h->next_ns < at ? h->next_ns : at;
		}
		if (at > end_ns)
			break;
		world.now_ns = at > world.now_ns ? at : world.now_ns;
		if (k < world.num && world.flying[k].at_ns <= world.now_ns) {
			arrive(k);
			continue;
		}
		for (uint8_t i = 0; i < 2; i++) {
			struct host *h = &world.host[i];

			if (h->every_ns && h->next_ns <= world.now_ns)
				pay(h);
			if (h->due_ns <= world.now_ns)
				turn(h);
		}
	}
	world.now_ns = end_ns;
}

static void run_for(uint64_t ns)
{
	run_until(world.now_ns + ns);
}

/* A path is used when it has answered, after one round trip, and not before. */
static void test_validates(void)
{
	set_up(1, 10 * NS_PER_MS);
	add(1);
	run_for(20 * NS_PER_MS - 1);
	CU_ASSERT_FALSE(world.host[0].usable[1]);
	run_for(1);
	CU_ASSERT_TRUE(world.host[0].usable[1]);
	struct prober_info info;

	CU_ASSERT_EQUAL(prober_get(&world.host[0].prober, &info, 1), ERR_OK);
	CU_ASSERT_EQUAL(info.rtt_ns, 20 * NS_PER_MS);
	CU_ASSERT_EQUAL(prober_get(&world.host[0].prober, &info, 2), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(prober_add(&world.host[0].prober, 1, false, false, 0), ERR_EXISTS);
	prober_remove(&world.host[0].prober, 1);
	CU_ASSERT_EQUAL(prober_get(&world.host[0].prober, &info, 1), ERR_NOT_FOUND);
}

/* Who was told an address sends three probes there and no more, until something comes from there;
 * then one for each message. */
static void test_learned_is_given_three(void)
{
	const struct path_message m = {.type = PATH_PROBE, .path = 1};
	struct host *h = &world.host[0];

	set_up(2, 10 * NS_PER_MS);
	CU_ASSERT_EQUAL(prober_add(&h->prober, 1, true, false, world.now_ns), ERR_OK);
	turn(h);
	run_for(600 * NS_PER_S);
	CU_ASSERT_EQUAL(h->probes[1], PROBER_UNASKED);
	CU_ASSERT_TRUE(take(h, 1, &m));
	turn(h);
	run_for(600 * NS_PER_S);
	CU_ASSERT_EQUAL(h->probes[1], PROBER_UNASKED + 1);
	CU_ASSERT_EQUAL(h->answers[1], 1);
	CU_ASSERT_FALSE(h->usable[1]);
}

/* Our own address at a peer that is known is tried for as long as it is there. */
static void test_own_is_tried_on(void)
{
	set_up(3, 10 * NS_PER_MS);
	world.wire[0][1].black = true;
	add(1);
	run_for(60 * NS_PER_S);
	CU_ASSERT_TRUE(world.host[0].probes[1] > 12 && world.host[0].probes[1] < 20);
	CU_ASSERT_FALSE(world.host[0].usable[1]);
	world.wire[0][1].black = false;
	run_for(PROBER_LAST_NS + NS_PER_S);
	CU_ASSERT_TRUE(world.host[0].usable[1]);
}

/* hole - how long it takes until path 1, that carries payload and turns into a black hole one way,
 * is left. */
static uint64_t hole(uint64_t seed, uint64_t rtt_ns, bool forth)
{
	struct host *h = &world.host[0];
	uint64_t at;

	set_up(seed, rtt_ns / 2);
	add(1);
	add(2);
	h->every_ns = NS_PER_MS;
	run_for(5 * NS_PER_S + draw(1000000) * NS_PER_US);
	CU_ASSERT_TRUE(h->usable[1] && h->usable[2]);
	CU_ASSERT_EQUAL(h->failures[1], 0);
	at = world.now_ns;
	world.wire[forth ? 0 : 1][1].black = true;
	run_for(10 * NS_PER_S);
	CU_ASSERT_FALSE(h->usable[1]);
	CU_ASSERT_TRUE(h->usable[2]);
	CU_ASSERT_EQUAL(h->failures[2], 0);
	return h->changed_ns[1] - at;
}

/* SPARE - of the time that a black hole may take, for a machine that is late. */
#define SPARE (15 * NS_PER_MS)

/* M6: traffic is on the other path within three round trips or 100 ms, whichever is longer. */
static void test_M6_black_hole(void)
{
	static const uint32_t rtts_ms[] = {1, 5, 20, 33, 60, 100, 200, 600};

	for (size_t i = 0; i < sizeof(rtts_ms) / sizeof(rtts_ms[0]); i++) {
		uint64_t rtt = rtts_ms[i] * NS_PER_MS, longest = 0;
		uint64_t bound = 3 * rtt > 100 * NS_PER_MS ? 3 * rtt : 100 * NS_PER_MS;

		for (uint64_t seed = 1; seed <= 40; seed++) {
			uint64_t took = hole(seed, rtt, seed & 1);

			longest = took > longest ? took : longest;
		}
		CU_ASSERT_TRUE(longest + SPARE <= bound);
	}
}

/* M6: a path that has just come back from a hole is left as quickly when it is one again: what was
 * missing in the first one was no loss. */
static void test_M6_another_hole(void)
{
	struct host *h = &world.host[0];

	for (uint64_t seed = 1; seed <= 40; seed++) {
		set_up(seed, 5 * NS_PER_MS);
		add(1);
		add(2);
		h->every_ns = NS_PER_MS;
		run_for(5 * NS_PER_S + draw(1000000) * NS_PER_US);
		world.wire[0][1].black = true;
		run_for(NS_PER_S / 4);
		CU_ASSERT_FALSE(h->usable[1]);
		world.wire[0][1].black = false;
		for (uint32_t i = 0; i < 2000 && !h->usable[1]; i++)
			run_for(NS_PER_MS);
		CU_ASSERT_TRUE(h->usable[1]);
		run_for(NS_PER_S / 5);
		uint64_t at = world.now_ns;

		world.wire[0][1].black = true;
		run_for(NS_PER_S);
		CU_ASSERT_FALSE(h->usable[1]);
		CU_ASSERT_TRUE(h->changed_ns[1] - at + SPARE <= 100 * NS_PER_MS);
	}
}

/* What carried nothing is watched closely from the first packet on. */
static void test_M6_hole_before_first_packet(void)
{
	struct host *h = &world.host[0];
	uint64_t at;

	set_up(5, 10 * NS_PER_MS);
	add(1);
	add(2);
	run_for(45 * NS_PER_S);
	world.wire[0][1].black = true;
	run_for(NS_PER_S);
	CU_ASSERT_TRUE(h->usable[1]);
	at = world.now_ns;
	h->every_ns = NS_PER_MS;
	h->next_ns = at;
	run_for(NS_PER_S);
	CU_ASSERT_FALSE(h->usable[1]);
	CU_ASSERT_TRUE(h->changed_ns[1] - at <= 100 * NS_PER_MS);
}

/* A path that was proven otherwise, and takes long: its first probes are still remembered when they
 * are answered, also where another one comes at once, and it is not given up meanwhile. */
static void test_M6_far_away(void)
{
	struct prober_info info;
	uint64_t at;

	set_up(20, 5 * NS_PER_MS);
	for (unsigned i = 0; i < 2; i++) {
		struct host *h = &world.host[i];

		world.wire[i][1].delay_ns = 300 * NS_PER_MS;
		h->usable[1] = true;
		CU_ASSERT_EQUAL(prober_add(&h->prober, 1, false, true, world.now_ns), ERR_OK);
		h->every_ns = NS_PER_MS;
		turn(h);
	}
	add(2);
	run_for(3 * NS_PER_S);
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(prober_get(&world.host[i].prober, &info, 1), ERR_OK);
		CU_ASSERT_TRUE(info.usable && info.rtt_ns >= 600 * NS_PER_MS);
		CU_ASSERT_EQUAL(world.host[i].failures[1], 0);
	}
	world.wire[0][1].black = true;
	at = world.now_ns;
	run_for(3 * NS_PER_S);
	CU_ASSERT_FALSE(world.host[0].usable[1]);
	CU_ASSERT_TRUE(world.host[0].changed_ns[1] - at <= 3 * 600 * NS_PER_MS);
}

/* From when another path is there a path in use is watched closely, not from its next probe on. */
static void test_M6_hole_beside_a_new_path(void)
{
	struct host *h = &world.host[0];

	set_up(12, 10 * NS_PER_MS);
	add(1);
	h->every_ns = NS_PER_MS;
	run_for(10 * NS_PER_S + 30 * NS_PER_MS);
	add(2);
	run_for(25 * NS_PER_MS);
	CU_ASSERT_TRUE(h->usable[2]);
	world.wire[0][1].black = true;
	run_for(100 * NS_PER_MS);
	CU_ASSERT_FALSE(h->usable[1]);
}

/* It comes back when it answers again, but not at the first answer. */
static void test_comes_back(void)
{
	struct host *h = &world.host[0];

	set_up(6, 10 * NS_PER_MS);
	add(1);
	add(2);
	h->every_ns = NS_PER_MS;
	run_for(NS_PER_S);
	world.wire[0][1].black = true;
	run_for(20 * NS_PER_S);
	CU_ASSERT_FALSE(h->usable[1]);
	world.wire[0][1].black = false;
	uint32_t probes = h->probes[1];

	run_for(PROBER_LAST_NS + NS_PER_S);
	CU_ASSERT_TRUE(h->usable[1]);
	CU_ASSERT_EQUAL(h->failures[1], 1);
	CU_ASSERT_TRUE(h->probes[1] >= probes + PROBER_BACK);
}

/* A path that loses one in ten is no black hole. */
static void test_loss_is_none(void)
{
	uint32_t failures = 0;

	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct host *h = &world.host[0];

		set_up(seed, 10 * NS_PER_MS);
		add(1);
		add(2);
		h->every_ns = NS_PER_MS;
		for (uint8_t i = 0; i < 2; i++)
			world.wire[i][1].loss = world.wire[i][2].loss = 3300; /* 5 % each way */
		run_for(60 * NS_PER_S);
		failures += h->failures[1];
		CU_ASSERT_TRUE(h->usable[1] || h->usable[2]);
	}
	/* Twenty minutes. */
	CU_ASSERT_TRUE(failures < 20);
}

/* An answer proves the path of its challenge, once. */
static void test_what_proves_nothing(void)
{
	struct host *h = &world.host[0];
	struct path_message m;

	set_up(7, 10 * NS_PER_MS);
	for (uint16_t p = 1; p <= 2; p++)
		CU_ASSERT_EQUAL(prober_add(&h->prober, p, false, false, world.now_ns), ERR_OK);
	turn(h);
	CU_ASSERT_EQUAL_FATAL(world.num, 2);
	m = world.flying[0].m;
	m.type = PATH_ANSWER;
	/* By the other path; saying that it is the other; changed; and then as it is, twice. */
	CU_ASSERT_FALSE(take(h, 2, &m));
	m.path = 2;
	CU_ASSERT_FALSE(take(h, 2, &m));
	CU_ASSERT_FALSE(take(h, 1, &m));
	m.path = 1;
	m.challenge[15] ^= 1;
	CU_ASSERT_FALSE(take(h, 1, &m));
	m.challenge[15] ^= 1;
	CU_ASSERT_FALSE(h->usable[1] || h->usable[2]);
	CU_ASSERT_TRUE(take(h, 1, &m));
	CU_ASSERT_FALSE(take(h, 1, &m));
	CU_ASSERT_TRUE(h->usable[1]);
	CU_ASSERT_FALSE(h->usable[2]);
	m.path = 9;
	CU_ASSERT_FALSE(take(h, 9, &m));
}

/* Paths of a peer to whom nothing is sent cost a probe each in half a minute. */
static void test_idle_budget(void)
{
	set_up(8, 10 * NS_PER_MS);
	add(1);
	add(2);
	run_for(NS_PER_S);
	uint32_t before = world.host[0].probes[1];

	run_for(3600 * NS_PER_S);
	CU_ASSERT_EQUAL(world.host[0].probes[1] - before, 3600 * NS_PER_S / PROBER_IDLE_NS);
	CU_ASSERT_EQUAL(world.host[0].failures[1], 0);
}

/* Who was not there to see the answers gives no path up. */
static void test_away(void)
{
	struct host *h = &world.host[0];

	set_up(9, 10 * NS_PER_MS);
	add(1);
	add(2);
	h->every_ns = NS_PER_MS;
	run_for(NS_PER_S);
	/* Again and again nothing of this host runs for a fifth of a second, and what came
	 * meanwhile was lost. */
	for (uint32_t i = 0; i < 10; i++) {
		CU_ASSERT_EQUAL(h->failures[1], 0);
		run_for(15 * NS_PER_MS);
		world.now_ns += 200 * NS_PER_MS;
		h->next_ns = world.now_ns;
		world.num = 0;
	}
	run_for(10 * NS_PER_S);
	CU_ASSERT_EQUAL(h->failures[1] + h->failures[2], 0);
	CU_ASSERT_TRUE(h->usable[1]);
}

/* into_a_narrow_wire - two paths; the wire of the first takes 1.25 MB/s and keeps what comes for so
 * long, and the first host sends a packet each every_ns: 400 us are twice as much as that, 720 us a
 * ninth more. */
static struct host *into_a_narrow_wire(uint64_t seed, uint64_t queue_ns, uint64_t every_ns)
{
	struct host *h = &world.host[0];

	set_up(seed, 5 * NS_PER_MS);
	add(1);
	add(2);
	world.wire[0][1].rate = 1250000;
	world.wire[0][1].queue_ns = queue_ns;
	h->every_ns = every_ns;
	return h;
}

/* What a path takes is found out from what arrived: within a tenth. */
static void test_measures(void)
{
	struct host *h = into_a_narrow_wire(10, 20 * NS_PER_MS, 400 * NS_PER_US);
	struct prober_info info;

	run_for(5 * NS_PER_S);
	CU_ASSERT_EQUAL(prober_get(&h->prober, &info, 1), ERR_OK);
	CU_ASSERT_TRUE(info.rate > 1125000 && info.rate < 1375000);
}

/* What a peer says that cannot be, of bytes that came, is no measure: fewer than before, or more
 * than any path brings. */
static void test_M7_what_cannot_be(void)
{
	static const uint64_t said[] = {0, UINT64_C(1) << 50, 1000};
	struct host *h = into_a_narrow_wire(15, 20 * NS_PER_MS, 400 * NS_PER_US);
	struct prober_info info;

	run_for(5 * NS_PER_S);
	for (size_t i = 0; i < ARRAY_LEN(said); i++) {
		world.host[1].traffic[1].rx_bytes = said[i];
		for (int k = 0; k < 20; k++) {
			run_for(50 * NS_PER_MS);
			CU_ASSERT_EQUAL(prober_get(&h->prober, &info, 1), ERR_OK);
			CU_ASSERT_TRUE(info.rate > 1000000 && info.rate < 1500000);
		}
	}
}

/* M7: while a queue grows less arrives than is sent, and nothing is missing yet: what arrives is
 * how much the path takes. */
static void test_M7_a_queue_that_grows(void)
{
	struct host *h = into_a_narrow_wire(13, 10 * NS_PER_S, 720 * NS_PER_US);
	struct prober_info info;

	run_for(3 * NS_PER_S);
	CU_ASSERT_EQUAL(prober_get(&h->prober, &info, 1), ERR_OK);
	CU_ASSERT_TRUE(info.full);
	CU_ASSERT_TRUE(info.queue_ns > 100 * NS_PER_MS);
	CU_ASSERT_TRUE(info.rate > 1225000 && info.rate < 1275000);
}

/* M7: what bursts lose of a queue that is empty between them says nothing of how much the path
 * takes: it was not busy all the time. */
static void test_M7_bursts(void)
{
	struct host *h = into_a_narrow_wire(16, 100 * NS_PER_MS, 720 * NS_PER_US);
	uint64_t most_ns = 0;
	struct prober_info info;

	run_for(3 * NS_PER_S);
	world.wire[0][1].queue_ns = 40 * NS_PER_MS;
	for (int i = 0; i < 20; i++) {
		h->every_ns =
			300 * NS_PER_US; /* 133 KB, of which 62 and a queue's 50 come through */
		h->next_ns = world.now_ns;
		run_for(40 * NS_PER_MS);
		h->every_ns = 0;
		run_for(90 * NS_PER_MS);
		CU_ASSERT_EQUAL(prober_get(&h->prober, &info, 1), ERR_OK);
		most_ns = i > 10 && info.queue_ns > most_ns ? info.queue_ns : most_ns;
	}
	CU_ASSERT_TRUE(info.rate > 1125000 && info.rate < 1375000);
	/* They queue now and then, which the average says, however often it is looked. */
	CU_ASSERT_TRUE(most_ns > 5 * NS_PER_MS);
}

/* A queue that grows as fast as time goes by is no black hole: answers come, each later than the
 * one before. */
static void test_M6_a_queue_is_no_hole(void)
{
	struct host *h = &world.host[0];

	for (uint64_t seed = 1; seed <= 20; seed++) {
		set_up(seed, 5 * NS_PER_MS);
		add(1);
		add(2);
		world.wire[0][1].rate = 500000;
		world.wire[0][1].queue_ns = NS_PER_S;
		h->every_ns = 4 * NS_PER_MS;
		run_for(3 * NS_PER_S + draw(100) * NS_PER_MS);
		h->every_ns = NS_PER_MS; /* twice as much as it takes */
		run_for(NS_PER_S / 2);
		CU_ASSERT_EQUAL(h->failures[1], 0);
	}
}

/* M7: what no limit is known of takes more than is sent by it, which is known before the answers
 * are there. */
static void test_M7_no_limit_yet(void)
{
	struct host *h = &world.host[0];
	struct prober_info info;

	set_up(14, 200 * NS_PER_MS);
	add(1);
	add(2);
	h->every_ns = 8 * NS_PER_MS; /* a dozen between two measures, of which some are lost */
	world.wire[0][1].loss = 3000;
	for (int i = 0; i < 30; i++) {
		run_for(100 * NS_PER_MS);
		CU_ASSERT_EQUAL(prober_get(&h->prober, &info, 1), ERR_OK);
		CU_ASSERT_FALSE(info.full);
	}
	world.wire[0][1].loss = 0;
	h->every_ns = NS_PER_MS;
	run_for(5 * NS_PER_S);
	CU_ASSERT_EQUAL(prober_get(&h->prober, &info, 1), ERR_OK);
	CU_ASSERT_FALSE(info.full);
	CU_ASSERT_EQUAL(info.lacks, 0);
	CU_ASSERT_TRUE(info.rate > 1200000 && info.rate < 1300000);
	h->every_ns = NS_PER_MS / 2;
	run_for(600 * NS_PER_MS); /* what is answered by then was asked 400 before */
	CU_ASSERT_EQUAL(prober_get(&h->prober, &info, 1), ERR_OK);
	CU_ASSERT_FALSE(info.full);
	CU_ASSERT_TRUE(info.rate > 2300000);
}

/* M7: what a full path takes less than it did is believed little by little: between two probes that
 * both met a queue it may have had nothing to do. */
static void test_M7_given_up_slowly(void)
{
	struct host *h = &world.host[0];
	struct prober_info info;
	uint64_t rate;

	set_up(18, 5 * NS_PER_MS);
	add(1);
	add(2);
	world.wire[0][1].rate = world.wire[1][1].rate = 1250000;
	world.wire[0][1].queue_ns = world.wire[1][1].queue_ns = 500 * NS_PER_MS;
	h->every_ns = 780 * NS_PER_US; /* a bit more than it takes */
	run_for(2 * NS_PER_S);
	CU_ASSERT_EQUAL(prober_get(&h->prober, &info, 1), ERR_OK);
	CU_ASSERT_TRUE(info.full);
	rate = info.rate;
	/* A queue of the other direction, and little to send. */
	h->every_ns = 4 * NS_PER_MS;
	world.host[1].every_ns = 780 * NS_PER_US;
	run_for(400 * NS_PER_MS);
	CU_ASSERT_EQUAL(prober_get(&h->prober, &info, 1), ERR_OK);
	CU_ASSERT_TRUE(info.rate > rate / 2);
	run_for(3 * NS_PER_S);
	CU_ASSERT_EQUAL(prober_get(&h->prober, &info, 1), ERR_OK);
	CU_ASSERT_TRUE(info.rate < rate / 2);
}

/* M7: a queue of what comes the other way says nothing of a path by which only messages go; what it
 * was seen to take stays known. */
static void test_M7_known_while_not_used(void)
{
	struct host *h = &world.host[0];
	struct prober_info info;
	uint64_t queue_ns = 0;
	uint32_t lacks = 0;

	set_up(17, 5 * NS_PER_MS);
	add(1);
	add(2);
	world.wire[0][1].rate = world.wire[1][1].rate = 1250000;
	world.wire[0][1].queue_ns = world.wire[1][1].queue_ns = 50 * NS_PER_MS;
	h->every_ns = 720 * NS_PER_US; /* a ninth more than it takes */
	for (int i = 0; i < 30; i++) {
		run_for(100 * NS_PER_MS);
		CU_ASSERT_EQUAL(prober_get(&h->prober, &info, 1), ERR_OK);
		lacks = info.lacks > lacks ? info.lacks : lacks;
	}
	CU_ASSERT_TRUE(lacks >= 2);
	h->every_ns = 0;
	run_for(NS_PER_S / 2);
	CU_ASSERT_EQUAL(prober_get(&h->prober, &info, 1), ERR_OK);
	lacks = info.lacks;
	world.host[1].every_ns = 720 * NS_PER_US;
	for (int i = 0; i < 50; i++) {
		run_for(100 * NS_PER_MS);
		CU_ASSERT_EQUAL(prober_get(&h->prober, &info, 1), ERR_OK);
		queue_ns = info.queue_ns > queue_ns ? info.queue_ns : queue_ns;
	}
	CU_ASSERT_TRUE(queue_ns > 10 * NS_PER_MS);
	CU_ASSERT_TRUE(info.rate > 1000000 && info.rate < 1375000);
	CU_ASSERT_EQUAL(info.lacks, lacks); /* what is lost since is the other's */
}

/* An answer says what had come when its probe did, whatever came since. */
static void test_answer_counts_its_arrival(void)
{
	const struct path_message m = {.type = PATH_PROBE, .path = 1};
	struct host *h = &world.host[0];

	set_up(15, 10 * NS_PER_MS);
	CU_ASSERT_EQUAL(prober_add(&h->prober, 1, false, true, world.now_ns), ERR_OK);
	h->traffic[1].rx_packets = 5;
	h->traffic[1].rx_bytes = 500;
	const struct prober_arrival came = {world.now_ns, 3, 300};

	CU_ASSERT_TRUE(prober_take(&h->prober, 1, &m, &came, world.now_ns + NS_PER_MS));
	CU_ASSERT_EQUAL_FATAL(world.num, 1);
	CU_ASSERT_EQUAL(world.flying[0].m.traffic.rx_packets, 3);
	CU_ASSERT_EQUAL(world.flying[0].m.traffic.rx_bytes, 300);
	CU_ASSERT_EQUAL(world.flying[0].m.held_us, 1000);
}

/* A path that is alone is not given up, whatever it loses; once there is another one it is. */
static void test_last_is_kept(void)
{
	struct host *h = &world.host[0];

	set_up(11, 10 * NS_PER_MS);
	add(1);
	h->every_ns = NS_PER_MS;
	run_for(NS_PER_S);
	world.wire[0][1].black = true;
	run_for(20 * NS_PER_S);
	CU_ASSERT_TRUE(h->usable[1]);
	add(2);
	run_for(NS_PER_S);
	CU_ASSERT_FALSE(h->usable[1]);
	CU_ASSERT_TRUE(h->usable[2]);
}

/* trusted - host 0 believes the other end of path 1, which it was told, and pays. */
static struct host *trusted(uint64_t seed, bool black)
{
	struct host *h = &world.host[0];

	set_up(seed, 10 * NS_PER_MS);
	world.wire[0][1].black = black;
	CU_ASSERT_EQUAL(prober_add(&world.host[1].prober, 1, false, false, world.now_ns), ERR_OK);
	CU_ASSERT_EQUAL(prober_add(&h->prober, 1, true, false, world.now_ns), ERR_OK);
	h->every_ns = NS_PER_MS;
	prober_trust(&h->prober, 1, 20 * NS_PER_MS, world.now_ns);
	prober_trust(&h->prober, 1, 20 * NS_PER_MS, world.now_ns); /* it is, already */
	prober_trust(&h->prober, 2, 20 * NS_PER_MS, world.now_ns); /* there is none */
	turn(h);
	CU_ASSERT_TRUE(h->usable[1]);
	return h;
}

/* Where nothing else is left payload goes at once to an address that answered lately; not for long
 * if it does not answer now, though it is the last one. */
static void test_M4_trusted(void)
{
	struct host *h = trusted(12, true);

	run_for(HOLE_NS);
	CU_ASSERT_FALSE(h->usable[1]);
	CU_ASSERT_TRUE(h->traffic[1].tx_packets > 20);
	run_for(600 * NS_PER_S);
	CU_ASSERT_EQUAL(h->probes[1], PROBER_UNASKED);
	prober_trust(&h->prober, 1, 20 * NS_PER_MS, world.now_ns); /* it has been silent */
	CU_ASSERT_FALSE(h->usable[1]);
	world.wire[0][1].black = false; /* it is there after all, and asks */
	turn(&world.host[1]);
	run_for(PROBER_LAST_NS + NS_PER_S);
	CU_ASSERT_TRUE(h->usable[1]);

	h = trusted(13, false);
	turn(&world.host[1]);
	run_for(NS_PER_S);
	CU_ASSERT_EQUAL(h->failures[1], 0);
	world.wire[0][1].black = true; /* now it is a path like another */
	run_for(20 * NS_PER_S);
	CU_ASSERT_EQUAL(h->failures[1], 0);
}

/* M4: a path by which payload goes at once begins with long probes, behind one another; the loss of
 * all is that of one. */
static void test_M4_opening(void)
{
	struct host *h = &world.host[0];

	set_up(14, 5 * NS_PER_MS);
	CU_ASSERT_EQUAL(prober_add(&h->prober, 1, false, true, world.now_ns), ERR_OK);
	h->usable[1] = true;
	prober_open(&h->prober, 1, world.now_ns);
	prober_open(&h->prober, 2, world.now_ns);
	turn(h);
	CU_ASSERT_EQUAL(h->probes[1], 0);
	for (uint32_t i = 1; i <= PROBER_OPENING; i++) {
		run_for(PROBER_OPENING_NS);
		CU_ASSERT_EQUAL(h->opened[1], i);
	}
	run_for(NS_PER_S * 9 / 10);
	CU_ASSERT_EQUAL(h->probes[1], PROBER_OPENING);
	run_for(NS_PER_S / 5); /* one has had no answer: two more */
	CU_ASSERT_EQUAL(h->prober.paths[0].misses, 1);
	run_for(NS_PER_S);
	CU_ASSERT_TRUE(h->probes[1] > PROBER_OPENING);
	CU_ASSERT_EQUAL(h->opened[1], PROBER_OPENING);
}

/* S57: what is lent to a path ends in time, unless it answers; and it is said once. */
static void test_S57_lapses(void)
{
	struct host *h = &world.host[0];

	for (int answers = 0; answers < 2; answers++) {
		set_up(15, 5 * NS_PER_MS);
		CU_ASSERT_EQUAL(prober_add(&h->prober, 1, true, false, world.now_ns), ERR_OK);
		if (answers)
			CU_ASSERT_EQUAL(
				prober_add(&world.host[1].prober, 1, false, false, world.now_ns),
				ERR_OK);
		prober_lend(&h->prober, 1, world.now_ns);
		prober_lend(&h->prober, 2, world.now_ns);
		turn(h);
		turn(&world.host[1]);
		run_for(PROBER_LOAN_NS - NS_PER_MS);
		CU_ASSERT_EQUAL(h->lapsed[1], 0);
		CU_ASSERT_EQUAL(h->usable[1], answers);
		run_for(NS_PER_MS);
		CU_ASSERT_EQUAL(h->lapsed[1], !answers);
		prober_lend(&h->prober, 1, world.now_ns);
		turn(h);
		run_for(2 * PROBER_LOAN_NS);
		CU_ASSERT_EQUAL(h->lapsed[1], answers ? 0 : 2);
	}
}

/* A link that is down fails its path at once, and one that is up again has it asked at once; the
 * last path stays. */
static void test_M6_link_down(void)
{
	struct host *h = &world.host[0];
	uint32_t probes;

	set_up(7, 5 * NS_PER_MS);
	add(1);
	add(2);
	run_for(NS_PER_S);
	CU_ASSERT_TRUE_FATAL(h->usable[1] && h->usable[2]);
	world.wire[0][1].black = world.wire[1][1].black = true;
	prober_link(&h->prober, 1, false, world.now_ns);
	CU_ASSERT_FALSE(h->usable[1]);
	prober_link(&h->prober, 1, false, world.now_ns); /* said again */
	prober_link(&h->prober, 2, false, world.now_ns); /* the last one */
	CU_ASSERT_TRUE(h->usable[2]);
	prober_link(&h->prober, 3, false, world.now_ns); /* nobody's */
	run_for(20 * NS_PER_S);
	CU_ASSERT_FALSE(h->usable[1]);
	world.wire[0][1].black = world.wire[1][1].black = false;
	probes = h->probes[1];
	prober_link(&h->prober, 1, true, world.now_ns);
	turn(h);
	CU_ASSERT_EQUAL(h->probes[1], probes + 1);
	run_for(200 * NS_PER_MS);
	CU_ASSERT_TRUE(h->usable[1]);
}

/* leave - or not: a host's next packets go by another path. */
static void leave(uint8_t host, uint16_t path, bool leaves)
{
	struct host *h = &world.host[host];

	h->leaves[path] = leaves;
	h->late = path;
	h->late_ns = leaves && h->usable[path] ? world.now_ns + PROBER_LEFT_NS - NS_PER_MS : 0;
	h->late_heard = world.host[!host].heard[path];
	turn(h);
}

/* leaving - payload both ways by path 1, of 30 ms each way, and path 2 beside it. */
static void leaving(uint64_t seed)
{
	set_up(seed, 30 * NS_PER_MS);
	add(1);
	add(2);
	world.wire[0][2].delay_ns = world.wire[1][2].delay_ns = NS_PER_MS;
	for (int i = 0; i < 2; i++)
		world.host[i].leaves[2] = true;
	run_for(NS_PER_S);
	for (int i = 0; i < 2; i++) {
		world.host[i].leaves[2] = false;
		world.host[i].every_ns = NS_PER_MS;
	}
	run_for(NS_PER_S);
	CU_ASSERT_EQUAL(world.host[0].drained[1] + world.host[1].drained[1], 0);
}

/* The last packets of both sides have come by a path that both have left: each side knows it once,
 * not before it is so, and within two round trips and what a worker may still have had. */
static void test_M15_last_packets(void)
{
	for (uint64_t apart = 0; apart <= 80; apart += 5) {
		const uint64_t in_time = 10 * NS_PER_MS + 2 * 60 * NS_PER_MS;

		leaving(apart + 1);
		leave(0, 1, true);
		run_for(apart * NS_PER_MS);
		leave(1, 1, true);
		run_for(in_time);
		for (int i = 0; i < 2; i++) {
			CU_ASSERT_EQUAL(world.host[i].drained[1], 1);
			CU_ASSERT_TRUE(world.host[i].sent[1] > 900);
		}
		run_for(20 * NS_PER_S);
		CU_ASSERT_EQUAL(world.host[0].drained[1] + world.host[1].drained[1], 2);
		leave(0, 1, false); /* back, and away again: it is told again */
		leave(1, 1, false);
		run_for(NS_PER_S);
		leave(0, 1, true);
		leave(1, 1, true);
		run_for(NS_PER_S);
		CU_ASSERT_EQUAL(world.host[0].drained[1], 2);
		CU_ASSERT_EQUAL(world.host[1].drained[1], 2);
	}
}

/* While one side still sends by it, it is not empty, however long that is; and it is asked quickly
 * only for a while. */
static void test_M15_not_while_it_is_used(void)
{
	uint32_t probes;

	leaving(3);
	leave(0, 1, true);
	run_for(5 * NS_PER_S);
	CU_ASSERT_EQUAL(world.host[0].drained[1] + world.host[1].drained[1], 0);
	probes = world.host[0].probes[1];
	run_for(5 * NS_PER_S);
	CU_ASSERT_EQUAL(world.host[0].probes[1] - probes, 5);
	leave(1, 1, true);
	run_for(2 * NS_PER_S);
	CU_ASSERT_EQUAL(world.host[0].drained[1], 1);
	CU_ASSERT_EQUAL(world.host[1].drained[1], 1);
}

/* Of a path that failed nobody says that its last packets have come, also when it is back. */
static void test_M15_not_of_a_dead_path(void)
{
	leaving(4);
	world.wire[0][1].black = world.wire[1][1].black = true;
	run_for(NS_PER_S);
	CU_ASSERT_FALSE(world.host[0].usable[1] || world.host[1].usable[1]);
	leave(0, 1, true);
	leave(1, 1, true);
	world.wire[0][1].black = world.wire[1][1].black = false;
	run_for(20 * NS_PER_S);
	CU_ASSERT_TRUE(world.host[0].usable[1] && world.host[1].usable[1]);
	CU_ASSERT_EQUAL(world.host[0].drained[1] + world.host[1].drained[1], 0);
}

/* A peer that leaves the path and takes it back all the time is asked quickly for a while only, and
 * heard once a second; what answers nothing says nothing. */
static void test_M15_in_measure(void)
{
	struct path_message m = {.type = PATH_PROBE, .path = 1};
	struct host *h = &world.host[0];
	uint32_t heard, probes;

	leaving(5);
	leave(0, 1, true);
	leave(1, 1, true);
	run_for(5 * NS_PER_S);
	heard = h->heard[1];
	probes = h->probes[1];
	CU_ASSERT_EQUAL(heard, 1);
	m.type = PATH_ANSWER;
	for (int i = 0; i < 10; i++) {
		m.flags = i % 2 ? PATH_MESSAGE_LEFT : PATH_MESSAGE_ACTIVE;
		CU_ASSERT_FALSE(take(h, 1, &m));
	}
	CU_ASSERT_EQUAL(h->heard[1], heard);
	m.type = PATH_PROBE;
	for (int i = 0; i < 3000; i++) {
		m.flags = i % 2 ? PATH_MESSAGE_LEFT : PATH_MESSAGE_ACTIVE;
		CU_ASSERT_TRUE(take(h, 1, &m));
		turn(h);
		run_for(NS_PER_MS);
	}
	CU_ASSERT_TRUE(h->heard[1] - heard >= 2 && h->heard[1] - heard <= 4);
	CU_ASSERT_TRUE(h->probes[1] - probes <= 16 + 4);
}

/* Messages that are lost are sent again; only a path that fails because of it is given up. */
static void test_M15_lossy(void)
{
	uint32_t done = 0;

	for (uint64_t seed = 1; seed <= 50; seed++) {
		const struct host *a = &world.host[0], *b = &world.host[1];

		leaving(seed);
		world.wire[0][1].loss = world.wire[1][1].loss = 65536 / 5;
		leave(0, 1, true);
		leave(1, 1, true);
		run_for(2 * NS_PER_S);
		done += a->drained[1] && b->drained[1];
		CU_ASSERT_TRUE(a->drained[1] == 1 || a->failures[1] || b->failures[1]);
		CU_ASSERT_TRUE(b->drained[1] == 1 || a->failures[1] || b->failures[1]);
	}
	CU_ASSERT_TRUE(done >= 40);
}

/* The same by a path of 300 ms there and back, beside one that is there since a moment ago; it
 * takes no more probes for that. */
static void test_M15_long_path(void)
{
	for (uint64_t apart = 0; apart <= 150; apart += 15) {
		uint32_t probes;

		set_up(apart + 1, 150 * NS_PER_MS);
		add(1);
		run_for(NS_PER_S);
		for (int i = 0; i < 2; i++)
			world.host[i].every_ns = NS_PER_MS;
		run_for(NS_PER_S);
		world.wire[0][2].delay_ns = world.wire[1][2].delay_ns = 15 * NS_PER_MS;
		add(2);
		run_for(200 * NS_PER_MS);
		leave(0, 1, true);
		probes = world.host[0].probes[1];
		run_for(apart * NS_PER_MS);
		leave(1, 1, true);
		run_for(NS_PER_S);
		for (int i = 0; i < 2; i++)
			CU_ASSERT_EQUAL(world.host[i].drained[1], 1);
		CU_ASSERT_TRUE(world.host[0].probes[1] - probes < 16);
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_M15_last_packets),
	TAP_TEST(test_M15_not_while_it_is_used),
	TAP_TEST(test_M15_not_of_a_dead_path),
	TAP_TEST(test_M15_in_measure),
	TAP_TEST(test_M15_lossy),
	TAP_TEST(test_M15_long_path),
	TAP_TEST(test_validates),
	TAP_TEST(test_learned_is_given_three),
	TAP_TEST(test_own_is_tried_on),
	TAP_TEST(test_M6_black_hole),
	TAP_TEST(test_M6_another_hole),
	TAP_TEST(test_M6_hole_before_first_packet),
	TAP_TEST(test_M6_hole_beside_a_new_path),
	TAP_TEST(test_M6_far_away),
	TAP_TEST(test_comes_back),
	TAP_TEST(test_loss_is_none),
	TAP_TEST(test_what_proves_nothing),
	TAP_TEST(test_idle_budget),
	TAP_TEST(test_away),
	TAP_TEST(test_measures),
	TAP_TEST(test_M7_what_cannot_be),
	TAP_TEST(test_M7_a_queue_that_grows),
	TAP_TEST(test_M7_given_up_slowly),
	TAP_TEST(test_M7_known_while_not_used),
	TAP_TEST(test_M7_bursts),
	TAP_TEST(test_M6_a_queue_is_no_hole),
	TAP_TEST(test_M7_no_limit_yet),
	TAP_TEST(test_answer_counts_its_arrival),
	TAP_TEST(test_M6_link_down),
	TAP_TEST(test_last_is_kept),
	TAP_TEST(test_M4_trusted),
	TAP_TEST(test_M4_opening),
	TAP_TEST(test_S57_lapses),
};

TAP_MAIN("dataplane/prober", tests)
