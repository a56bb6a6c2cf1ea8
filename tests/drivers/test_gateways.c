/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two gateways of DPDK in one thread, packets of random sizes in both directions and of both
 * versions of IP: each frame goes through mbufs, the fast lane and the whole data path. On the wire
 * between them datagrams are late by less than the replay window, come again, sooner and later than
 * it, and are forged. Every byte is compared, and the books are exact: each packet arrives once,
 * what came again is dropped as a replay, what was forged by its ICV, and nothing else is dropped.
 * Transport checksums are random numbers: a gateway has no business with them.
 * GATEWAYS_PACKETS=N sends N packets altogether.
 */
#include "drivers/dpdk.h"
#include "drivers/lane.h"

#include <stdlib.h>

#include "base/clock.h"
#include "dataplane/dataplane.h"
#include "dataplane/pool.h"

#include "tests/drivers/gateways.h"
#include "tests/tap/tap.h"

#define ETHERNET   14
#define V4_LEN     20
#define V6_LEN     40
#define STAMP_LEN  8 /* behind the UDP header: the packet's number */
#define MIN_LEN    (V6_LEN + 8 + STAMP_LEN)
#define MAX_LEN    1500
#define NUM_FLOWS  64
#define TTL        64
#define WINDOW     1024
#define IN_FLIGHT  512 /* packets of a direction: no ring is ever full */
#define WHEEL      (4 * WINDOW)
#define REMEMBERED (8 * WINDOW)
#define LINGER     64 /* turns without a packet after which no more come */
#define PROGRESS   10000000

static struct driver *source, *ring[2]; /* of empty frames; the wires */

/* struct wheel - datagrams to be sent when so many others went out. */
struct wheel {
	struct packet *due[WHEEL];
};

/* struct way - one direction. */
struct way {
	bool back; /* from the second gateway to the first */
	uint64_t given, arrived, limit;
	uint64_t next; /* all before it arrived */
	uint8_t seen[REMEMBERED];
	uint64_t top;                    /* the newest that arrived */
	uint64_t corrupt, twice, behind; /* behind: after a newer one */
	/* on the wire */
	uint64_t datagrams, late, copies, forged;
	struct wheel late_ones, copied_ones;
};

/* struct lan - a port of which the inner packets of one way are given, those of the other taken. */
struct lan {
	struct driver driver;
	struct play *play;
	struct way *out, *in;
};

/* struct wan - a port whose frames go through a ring of DPDK's, to be hindered before. */
struct wan {
	struct driver driver;
	struct play *play;
	struct driver *to, *from;
	struct way *way;
};

/* struct play - all of it. */
struct play {
	struct gateway gw[2];
	struct lan lan[2];
	struct wan wan[2];
	struct way way[2];
	struct pktvec spare;
	uint64_t state; /* of chance */
	bool udp;
};

/* ---- chance and content ---------------------------------------------------------------------- */

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static uint32_t below(struct play *p, uint32_t n)
{
	return (uint32_t)(mix(p->state++) >> 32) % n;
}

/* ip_checksum - of a header without options, its own field included. */
static uint16_t ip_checksum(const uint8_t *h)
{
	uint32_t sum = 0;

	for (int i = 0; i < V4_LEN; i += 2)
		sum += load_be16(h + i);
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t) ~(sum + (sum >> 16));
}

static void write_v4(uint8_t *h, uint32_t len, const struct way *w, uint64_t seed, uint8_t ttl)
{
	const uint8_t addresses[8] = {10, w->back ? 2 : 1, 0, 9, 10, w->back ? 1 : 2, 0, 9};

	memset(h, 0, V4_LEN);
	h[0] = 0x45;
	store_be16(h + 2, (uint16_t)len);
	store_be16(h + 4, (uint16_t)(seed >> 20));
	h[8] = ttl;
	h[9] = 17;
	memcpy(h + 12, addresses, sizeof(addresses));
	store_be16(h + 10, ip_checksum(h));
}

static void write_v6(uint8_t *h, uint32_t len, const struct way *w, uint8_t ttl)
{
	memset(h, 0, V6_LEN);
	h[0] = 0x60;
	store_be16(h + 4, (uint16_t)(len - V6_LEN));
	h[6] = 17;
	h[7] = ttl;
	for (uint32_t i = 0; i < 2; i++) {
		h[8 + 16 * i] = 0xfd;
		h[8 + 16 * i + 3] = (i == 0) == w->back ? 2 : 1;
		h[8 + 16 * i + 15] = 9;
	}
}

/* make - packet number n of a way, always the same but for its TTL; returns its length. */
static uint32_t make(uint8_t *h, const struct way *w, uint64_t n, uint8_t ttl)
{
	uint64_t seed = mix(n << 1 | w->back);
	uint32_t len = MIN_LEN + (uint32_t)(seed >> 32) % (MAX_LEN - MIN_LEN + 1);
	bool v6 = seed & 1;
	uint8_t *t = h + (v6 ? V6_LEN : V4_LEN);

	if (v6)
		write_v6(h, len, w, ttl);
	else
		write_v4(h, len, w, seed, ttl);
	store_be16(t, (uint16_t)(20000 + (seed >> 8) % NUM_FLOWS));
	store_be16(t + 2, 5001);
	store_be16(t + 4, (uint16_t)(h + len - t));
	store_be16(t + 6, (uint16_t)(seed >> 40)); /* no checksum */
	store_be64(t + 8, n);
	for (uint8_t *at = t + 8 + STAMP_LEN; at < h + len; at += 8) {
		uint64_t word = mix(seed + (uint64_t)(at - h));
		size_t left = (size_t)(h + len - at);

		memcpy(at, &word, left < 8 ? left : 8);
	}
	return len;
}

/* ---- inner packets --------------------------------------------------------------------------- */

/* empty - a buffer of DPDK's, data where a frame begins. */
static struct packet *empty(struct play *p)
{
	if (!p->spare.num)
		source->ops->rx(source, NULL, &p->spare);
	CU_ASSERT_FATAL(p->spare.num > 0);
	return p->spare.pkt[--p->spare.num];
}

static uint32_t lan_rx(struct driver *d, struct pool *pool, struct pktvec *out)
{
	struct lan *lan = container_of(d, struct lan, driver);
	struct way *w = lan->out;
	uint32_t before = out->num;

	(void)pool;
	while (pktvec_room(out) && w->given < w->limit && w->given - w->arrived < IN_FLIGHT) {
		struct packet *p = empty(lan->play);

		p->len = ETHERNET + make(p->data + ETHERNET, w, w->given++, TTL);
		memcpy(p->data, gateway_macs[w->back], 6);
		memcpy(p->data + 6, gateway_host_mac, 6);
		store_be16(p->data + 12, p->data[ETHERNET] >> 4 == 4 ? 0x0800 : 0x86dd);
		pktvec_push(out, p);
	}
	return out->num - before;
}

/* number_of - what the packet says it is. */
static uint64_t number_of(const struct packet *p)
{
	uint32_t at = ETHERNET + (p->data[ETHERNET] >> 4 == 4 ? V4_LEN : V6_LEN) + 8;

	return p->len >= at + STAMP_LEN ? load_be64(p->data + at) : UINT64_MAX;
}

/* arrived - whole, known, and for the first time. */
static void arrived(struct way *w, const struct packet *p)
{
	uint8_t wanted[MAX_LEN + 8];
	uint64_t n = number_of(p);

	if (n >= w->given || n - w->next >= REMEMBERED ||
	    make(wanted, w, n, TTL - 2) != p->len - ETHERNET ||
	    memcmp(wanted, p->data + ETHERNET, p->len - ETHERNET) != 0) {
		if (n < w->next)
			w->twice++;
		else
			w->corrupt++;
		return;
	}
	w->twice += w->seen[n % REMEMBERED];
	w->arrived += !w->seen[n % REMEMBERED];
	w->behind += n < w->top;
	w->top = n > w->top ? n : w->top;
	w->seen[n % REMEMBERED] = 1;
	while (w->seen[w->next % REMEMBERED])
		w->seen[w->next++ % REMEMBERED] = 0;
}

static void lan_tx(struct driver *d, struct pktvec *v)
{
	const struct lan *lan = container_of(d, struct lan, driver);

	for (uint32_t i = 0; i < v->num; i++) {
		arrived(lan->in, v->pkt[i]);
		packet_put(v->pkt[i]);
	}
	v->num = 0;
}

static int no_fd(const struct driver *d)
{
	(void)d;
	return -1;
}

/* The devices are closed at the end, all at once. */
static void no_close(struct driver *d)
{
	(void)d;
}

static const struct driver_ops lan_ops = {
	.name = "lan", .rx = lan_rx, .tx = lan_tx, .fd = no_fd, .close = no_close};

/* ---- the wire -------------------------------------------------------------------------------- */

static void put_out(struct wan *wan, struct pktvec *out, struct packet *p)
{
	if (!pktvec_room(out))
		wan->to->ops->tx(wan->to, out);
	pktvec_push(out, p);
}

static struct packet *copy(struct play *play, const struct packet *p)
{
	struct packet *c = empty(play);

	memcpy(c->data, p->data, p->len);
	c->len = p->len;
	return c;
}

/* put_off - p goes out `behind` datagrams after this one; false: that place is taken. */
static bool put_off(struct wheel *wheel, uint64_t now, uint32_t behind, struct packet *p)
{
	struct packet **at = &wheel->due[(now + behind) % WHEEL];

	if (*at)
		return false;
	*at = p;
	return true;
}

static void turn(struct wan *wan, struct pktvec *out, struct wheel *wheel, uint64_t now)
{
	struct packet **at = &wheel->due[now % WHEEL];

	if (*at)
		put_out(wan, out, *at);
	*at = NULL;
}

/* copy_off - the same again, at once or when the window has long gone on. */
static void copy_off(struct wan *wan, const struct packet *p)
{
	struct way *w = wan->way;
	struct packet *c = copy(wan->play, p);

	if (put_off(&w->copied_ones, w->datagrams, below(wan->play, WHEEL), c))
		w->copies++;
	else
		packet_put(c);
}

/* forge - in front of a datagram goes one that differs in a bit of what is encrypted or of the ICV.
 */
static void forge(struct wan *wan, struct pktvec *out, const struct packet *p)
{
	uint32_t esp = ETHERNET + V4_LEN + (wan->play->udp ? 8 : 0) + 8;
	struct packet *c = copy(wan->play, p);

	c->data[esp + below(wan->play, c->len - esp)] ^= (uint8_t)(1 << below(wan->play, 8));
	wan->way->forged++;
	put_out(wan, out, c);
}

/* hinder - one datagram of the gateway's; a late one is behind at most WINDOW - 1 newer ones. */
static void hinder(struct wan *wan, struct pktvec *out, struct packet *p)
{
	struct play *play = wan->play;
	struct way *w = wan->way;

	if (below(play, 32) == 0)
		forge(wan, out, p);
	if (below(play, 16) == 0)
		copy_off(wan, p);
	if (below(play, 8) == 0 &&
	    put_off(&w->late_ones, w->datagrams, WINDOW - 1 - below(play, WINDOW - 1), p))
		w->late++;
	else
		put_out(wan, out, p);
	turn(wan, out, &w->late_ones, w->datagrams);
	turn(wan, out, &w->copied_ones, w->datagrams);
	w->datagrams++;
}

static void wan_tx(struct driver *d, struct pktvec *v)
{
	struct wan *wan = container_of(d, struct wan, driver);
	struct pktvec out = {.num = 0};

	for (uint32_t i = 0; i < v->num; i++)
		hinder(wan, &out, v->pkt[i]);
	wan->to->ops->tx(wan->to, &out);
	v->num = 0;
}

static uint32_t wan_rx(struct driver *d, struct pool *pool, struct pktvec *out)
{
	const struct wan *wan = container_of(d, struct wan, driver);

	return wan->from->ops->rx(wan->from, pool, out);
}

static const struct driver_ops wan_ops = {
	.name = "wan", .rx = wan_rx, .tx = wan_tx, .fd = no_fd, .close = no_close};

/* let_go - some of what is late goes out, since there is nothing newer; false: there is none. */
static bool let_go(struct wan *wan)
{
	struct way *w = wan->way;
	struct pktvec out = {.num = 0};

	for (uint32_t i = 0; i < WHEEL && out.num < PKTVEC_MAX - 1; i++) {
		turn(wan, &out, &w->late_ones, i);
		turn(wan, &out, &w->copied_ones, i);
	}
	bool any = out.num != 0;

	wan->to->ops->tx(wan->to, &out);
	return any;
}

/* ---- gateways -------------------------------------------------------------------------------- */

static void open_ports(struct play *p, bool second)
{
	p->lan[second] = (struct lan){.driver = {.ops = &lan_ops},
				      .play = p,
				      .out = &p->way[second],
				      .in = &p->way[!second]};
	p->wan[second] = (struct wan){.driver = {.ops = &wan_ops},
				      .play = p,
				      .to = ring[second],
				      .from = ring[!second],
				      .way = &p->way[second]};
}

static void join(struct play *p)
{
	struct gateways_params params = {.window = WINDOW, .udp = p->udp};

	for (uint32_t i = 0; i < sizeof(params.keys); i++)
		params.keys[i / GATEWAY_KEY_LEN][i % GATEWAY_KEY_LEN] = (uint8_t)mix(p->state + i);
	for (int i = 0; i < 2; i++) {
		open_ports(p, i);
		params.ports[i][GATEWAY_LAN] = &p->lan[i].driver;
		params.ports[i][GATEWAY_WAN] = &p->wan[i].driver;
	}
	CU_ASSERT_EQUAL_FATAL(gateways_open(p->gw, &params), ERR_OK);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static struct dpdk *dpdk;
static char text[DPDK_TEXT_MAX];

static struct driver *open_device(const char *device)
{
	struct driver *d = NULL;
	enum err err = dpdk_module(dpdk)->open(&d, device, 1, 0, 0, text);

	if (err)
		tap_diag("%s", text);
	CU_ASSERT_EQUAL_FATAL(err, ERR_OK);
	return d;
}

static void start_dpdk(void)
{
	const struct dpdk_params params = {
		.memory_mb = 96, .num_packets = 8191, .packet_room = 2048};

	if (dpdk)
		return;
	enum err err = dpdk_load(&dpdk, getenv("LATCHKEY_DPDK_MODULE"), NULL, text);

	if (!err)
		err = dpdk_module(dpdk)->start(&params, text);
	if (err)
		tap_diag("%s", text);
	CU_ASSERT_EQUAL_FATAL(err, ERR_OK);
	source = open_device("net_null0");
	ring[0] = open_device("net_ring0");
	ring[1] = open_device("net_ring1");
}

static void run(struct play *p)
{
	uint64_t now_ns = NS_PER_S, told = 0;
	uint32_t quiet = 0;

	while (quiet < LINGER) {
		uint64_t before = p->way[0].arrived + p->way[1].arrived, after;

		for (int i = 0; i < 2; i++)
			dataplane_poll(p->gw[i].dp, now_ns);
		now_ns += 10000;
		after = p->way[0].arrived + p->way[1].arrived;
		quiet = after == before ? quiet + 1 : 0;
		/* Nothing moves: what is late comes. */
		if (quiet > 4 && (let_go(&p->wan[0]) || let_go(&p->wan[1])))
			quiet = 0;
		if (after / PROGRESS != told)
			tap_diag("%llu packets", (unsigned long long)after);
		told = after / PROGRESS;
	}
}

/* check_drops - replays and forgeries, each of them, and nothing else. */
static void check_drops(const struct gateway *g, const struct way *w)
{
	struct dataplane_stats s;
	uint64_t drops = 0;
	const char *sentence, *name;

	dataplane_stats(g->dp, &s);
	for (uint32_t i = 0; (name = dataplane_drop_name(i, &sentence)) != NULL; i++) {
		drops += s.drops[i];
		if (s.drops[i])
			tap_diag("dropped %llu: %s", (unsigned long long)s.drops[i], sentence);
	}
	CU_ASSERT_EQUAL(s.drops[DROP_REPLAY], w->copies);
	CU_ASSERT_EQUAL(s.drops[DROP_AUTH], w->forged);
	CU_ASSERT_EQUAL(drops, w->copies + w->forged);
	CU_ASSERT_EQUAL(s.rx_packets + s.made, s.tx_packets + s.consumed + drops);
}

static void check_way(const struct way *w)
{
	tap_diag("%llu given, %llu arrived (%llu after a newer one); on the wire %llu late, %llu "
		 "again, %llu forged",
		 (unsigned long long)w->given, (unsigned long long)w->arrived,
		 (unsigned long long)w->behind, (unsigned long long)w->late,
		 (unsigned long long)w->copies, (unsigned long long)w->forged);
	CU_ASSERT_EQUAL(w->given, w->limit);
	CU_ASSERT_EQUAL(w->datagrams, w->given);
	CU_ASSERT_EQUAL(w->arrived, w->given);
	CU_ASSERT_EQUAL(w->next, w->given);
	CU_ASSERT_EQUAL(w->corrupt, 0);
	CU_ASSERT_EQUAL(w->twice, 0);
	CU_ASSERT(w->late > w->given / 32 && w->copies > w->given / 64 &&
		  w->forged > w->given / 64 && w->behind > w->given / 32);
}

/* check_lane - nothing was the host's, and the wire took all. */
static void check_lane(const struct gateway *g, const struct wan *wan)
{
	struct lane_stats s;

	for (uint32_t i = 0; i < 2; i++) {
		lane_stats(g->lane, i, &s);
		CU_ASSERT_EQUAL(s.rx_host, 0);
		CU_ASSERT_EQUAL(s.left_to_host, 0);
	}
	CU_ASSERT_EQUAL(wan->to->stats.tx_full, 0);
	CU_ASSERT_EQUAL(wan->to->stats.tx_error, 0);
}

static void play(bool udp)
{
	const char *wanted = getenv("GATEWAYS_PACKETS"), *seed = getenv("GATEWAYS_SEED");
	uint64_t limit = (wanted ? strtoull(wanted, NULL, 10) : 400000) / 4;
	struct play *p = calloc(1, sizeof(*p));

	CU_ASSERT_FATAL(p != NULL);
	start_dpdk();
	p->udp = udp;
	p->state = (seed ? strtoull(seed, NULL, 10) : 1) << 40 | (uint64_t)udp << 39;
	for (int i = 0; i < 2; i++)
		p->way[i] = (struct way){.back = i, .limit = limit};
	join(p);
	run(p);
	for (int i = 0; i < 2; i++) {
		check_way(&p->way[i]);
		check_drops(&p->gw[!i], &p->way[i]);
		check_lane(&p->gw[i], &p->wan[i]);
	}
	gateways_close(p->gw);
	for (uint32_t i = 0; i < p->spare.num; i++)
		packet_put(p->spare.pkt[i]);
	free(p);
}

static void test_bare_esp(void)
{
	play(false);
}

static void test_esp_in_udp(void)
{
	play(true);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_bare_esp),
	TAP_TEST(test_esp_in_udp),
};

TAP_MAIN("drivers/gateways", tests)
