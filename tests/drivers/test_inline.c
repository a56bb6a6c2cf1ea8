/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports that encrypt and decrypt, by a stand-in (inline_port.h), between two gateways of DPDK in
 * one thread; the other gateway's processor, or a second port, does the same at the other end.
 * Every byte that arrives is compared. Wherever a packet may leave, by a wire, another port or to
 * the host, it is searched for the text that all inner packets have: there is never any.
 */
#include "drivers/dpdk.h"
#include "drivers/dpdk/inline.h"
#include "drivers/lane.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"
#include "base/host.h"
#include "dataplane/dataplane.h"
#include "dataplane/pool.h"

#include "tests/drivers/gateways.h"
#include "tests/drivers/inline_port.h"
#include "tests/tap/tap.h"

#define ETHERNET 14
#define V4_LEN   20
#define UDP_LEN  8
#define MIN_LEN  (V4_LEN + UDP_LEN + 8 + MARK_LEN)
#define MAX_LEN  1400
#define MARK     "in the clear!"
#define MARK_LEN (sizeof(MARK) - 1)
#define NUM      2000
#define BURST    32
#define LINGER   32 /* turns without a packet */
#define WINDOW   1024

static struct dpdk *dpdk;
static char text[DPDK_TEXT_MAX];
static struct driver *source, *ring[2]; /* of empty frames; the wires */

/* struct way - one direction. */
struct way {
	uint8_t from, to; /* the nets' second bytes */
	uint64_t given, limit, arrived, corrupt;
	uint64_t frames; /* on the wire */
};

struct play;

/* struct lan - a port of which inner packets are given and taken. */
struct lan {
	struct driver driver;
	struct way *out, *in;
	uint64_t sealed; /* ESP that was sent by it */
	struct play *play;
};

/* struct wan - a port that sends by one ring and receives from another. */
struct wan {
	struct driver driver;
	struct driver *to, *from;
};

/* struct sink - a driver of the host's. */
struct sink {
	struct driver driver;
	uint64_t num;
	struct play *play;
};

/* struct play - all of it. */
struct play {
	struct gateway gw[2];
	struct lan lan[2];
	struct wan wan[2];
	struct way way[2];
	struct sink tap, udp, esp;
	struct pktvec spare;
	struct packet *kept[64]; /* frames to come again */
	uint32_t num_kept;
	uint64_t now_ns, clear, spoilt;
	uint32_t spoil_each; /* so many frames; 0: none */
	bool udp_encap;
};

/* ---- inner packets --------------------------------------------------------------------------- */

static uint32_t make(uint8_t *h, const struct way *w, uint64_t n, uint8_t ttl)
{
	const uint8_t addresses[8] = {10, w->from, 0, 9, 10, w->to, 0, 9};
	uint32_t len = MIN_LEN + (uint32_t)(n * 37 % (MAX_LEN - MIN_LEN));
	uint32_t sum = 0;

	memset(h, 0, V4_LEN + UDP_LEN);
	h[0] = 0x45;
	store_be16(h + 2, (uint16_t)len);
	h[8] = ttl;
	h[9] = 17;
	memcpy(h + 12, addresses, sizeof(addresses));
	for (int i = 0; i < V4_LEN; i += 2)
		sum += load_be16(h + i);
	sum = (sum >> 16) + (sum & 0xffff);
	store_be16(h + 10, (uint16_t) ~(sum + (sum >> 16)));
	store_be16(h + 20, 4000);
	store_be16(h + 22, 5001);
	store_be16(h + 24, (uint16_t)(len - V4_LEN));
	store_be64(h + 28, n);
	for (uint32_t i = 36; i < len; i++)
		h[i] = (uint8_t)MARK[(i - 36) % MARK_LEN];
	return len;
}

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
	while (pktvec_room(out) && w->given < w->limit && out->num - before < BURST) {
		struct packet *p = empty(lan->play);

		p->len = ETHERNET + make(p->data + ETHERNET, w, w->given++, 64);
		memcpy(p->data, gateway_macs[w->from == 2], 6);
		memcpy(p->data + 6, gateway_host_mac, 6);
		store_be16(p->data + 12, 0x0800);
		pktvec_push(out, p);
	}
	return out->num - before;
}

/* look - for what nobody outside may see. */
static void look(struct play *p, const uint8_t *bytes, uint32_t len)
{
	p->clear += memmem(bytes, len, MARK, MARK_LEN) != NULL;
}

/* arrived - whole, or ESP that left by this port. */
static void arrived(struct lan *lan, const struct packet *p)
{
	struct way *w = lan->in;
	uint8_t wanted[MAX_LEN];
	const uint8_t *ip = p->data + ETHERNET;

	if (ip[12] == 192) {
		lan->sealed += p->len > MIN_LEN && !p->open_len;
		look(lan->play, p->data, p->len);
		return;
	}
	uint64_t n = load_be64(ip + 28);

	if (n >= w->given || make(wanted, w, n, 62) != p->len - ETHERNET ||
	    memcmp(wanted, ip, p->len - ETHERNET) != 0)
		w->corrupt++;
	else
		w->arrived++;
}

static void lan_tx(struct driver *d, struct pktvec *v)
{
	struct lan *lan = container_of(d, struct lan, driver);

	for (uint32_t i = 0; i < v->num; i++) {
		arrived(lan, v->pkt[i]);
		packet_put(v->pkt[i]);
	}
	v->num = 0;
}

static int no_fd(const struct driver *d)
{
	(void)d;
	return -1;
}

static void no_close(struct driver *d)
{
	(void)d;
}

static const struct driver_ops lan_ops = {
	.name = "lan", .rx = lan_rx, .tx = lan_tx, .fd = no_fd, .close = no_close};

/* ---- the wire, and the host ------------------------------------------------------------------ */

/* on_wire - a frame as it leaves. */
static void on_wire(void *arg, uint8_t *frame, uint32_t len)
{
	struct play *p = arg;
	struct way *w = &p->way[frame[ETHERNET + 15] == 2]; /* who sends it */

	w->frames++;
	look(p, frame, len);
	if (p->num_kept < ARRAY_LEN(p->kept) && w == &p->way[1]) {
		struct packet *c = empty(p);

		memcpy(c->data, frame, len);
		c->len = len;
		p->kept[p->num_kept++] = c;
	}
	if (!p->spoil_each || w->frames % p->spoil_each)
		return;
	p->spoilt++;
	frame[len - 1 - w->frames % 16] ^= (uint8_t)(1 << w->frames % 8); /* of the ICV */
}

static void wan_tx(struct driver *d, struct pktvec *v)
{
	const struct wan *wan = container_of(d, struct wan, driver);

	wan->to->ops->tx(wan->to, v);
}

static uint32_t wan_rx(struct driver *d, struct pool *pool, struct pktvec *out)
{
	const struct wan *wan = container_of(d, struct wan, driver);

	return wan->from->ops->rx(wan->from, pool, out);
}

static bool wan_takes(const struct driver *d, const struct packet *p)
{
	const struct wan *wan = (const struct wan *)(const void *)d;

	return wan->to->ops->takes(wan->to, p);
}

static const struct driver_ops wan_ops = {.name = "wan",
					  .rx = wan_rx,
					  .tx = wan_tx,
					  .takes = wan_takes,
					  .fd = no_fd,
					  .close = no_close};

static void sink_tx(struct driver *d, struct pktvec *v)
{
	struct sink *s = container_of(d, struct sink, driver);

	for (uint32_t i = 0; i < v->num; i++) {
		look(s->play, v->pkt[i]->data, v->pkt[i]->len);
		CU_ASSERT(v->pkt[i]->len > MIN_LEN);
		packet_put(v->pkt[i]);
	}
	s->num += v->num;
	v->num = 0;
}

static const struct driver_ops sink_ops = {
	.name = "sink", .tx = sink_tx, .fd = no_fd, .close = no_close};

/* ---- gateways -------------------------------------------------------------------------------- */

static struct driver *open_device(const char *device)
{
	struct driver *d = NULL;
	enum err err = dpdk_module(dpdk)->open(&d, device, 1, 0, DPDK_OFFLOAD_INLINE, text);

	if (err)
		tap_diag("%s", text);
	CU_ASSERT_EQUAL_FATAL(err, ERR_OK);
	return d;
}

static void start_dpdk(void)
{
	const struct dpdk_params params = {
		.memory_mb = 96, .num_packets = 4095, .packet_room = 2048};

	if (dpdk)
		return;
	CU_ASSERT_EQUAL_FATAL(setenv(INLINE_PORTS, "net_ring0,net_ring1", 1), 0);
	CU_ASSERT_EQUAL_FATAL(dpdk_load(&dpdk, getenv("LATCHKEY_DPDK_MODULE"), NULL, text), ERR_OK);
	enum err err = dpdk_module(dpdk)->start(&params, text);

	if (err)
		tap_diag("%s", text);
	CU_ASSERT_EQUAL_FATAL(err, ERR_OK);
	source = open_device("net_null0");
	ring[0] = open_device("net_ring0");
	ring[1] = open_device("net_ring1");
}

static struct inline_ports *inlines(void)
{
	struct inline_ports *ports = NULL;

	CU_ASSERT_EQUAL_FATAL(dpdk_module(dpdk)->inline_open(&ports, ring, 2, 16, text), ERR_OK);
	return ports;
}

static void open_sink(struct play *p, struct sink *s)
{
	*s = (struct sink){.driver = {.ops = &sink_ops}, .play = p};
}

static void open_ports(struct play *p, bool second)
{
	p->lan[second] = (struct lan){.driver = {.ops = &lan_ops},
				      .play = p,
				      .out = &p->way[second],
				      .in = &p->way[!second]};
	p->wan[second] = (struct wan){
		.driver = {.ops = &wan_ops}, .to = ring[second], .from = ring[!second]};
}

/* begin - both gateways, the first with ports that encrypt and decrypt, the second if it is said.
 */
static struct play *begin(bool udp, bool both)
{
	struct gateways_params params = {.window = WINDOW, .udp = udp};
	struct play *p = calloc(1, sizeof(*p));

	CU_ASSERT_FATAL(p != NULL);
	start_dpdk();
	inline_port.wire = on_wire;
	inline_port.arg = p;
	inline_port.sealed = inline_port.opened = inline_port.forged = 0;
	p->now_ns = NS_PER_S;
	for (uint8_t i = 0; i < 2; i++)
		p->way[i] = (struct way){
			.from = (uint8_t)(i + 1), .to = (uint8_t)(2 - i), .limit = NUM};
	for (uint32_t i = 0; i < sizeof(params.keys); i++)
		params.keys[i / GATEWAY_KEY_LEN][i % GATEWAY_KEY_LEN] = (uint8_t)(i * 7 + 1);
	for (int i = 0; i < 2; i++) {
		open_ports(p, i);
		params.ports[i][GATEWAY_LAN] = &p->lan[i].driver;
		params.ports[i][GATEWAY_WAN] = &p->wan[i].driver;
		params.inlines[i] = i == 0 || both ? inlines() : NULL;
	}
	CU_ASSERT_EQUAL_FATAL(gateways_open(p->gw, &params), ERR_OK);
	open_sink(p, &p->tap);
	open_sink(p, &p->udp);
	open_sink(p, &p->esp);
	lane_use_host(p->gw[0].lane, 0, &p->tap.driver, &p->udp.driver, &p->esp.driver);
	return p;
}

/* run - until nothing comes any more. */
static void run(struct play *p)
{
	for (uint32_t quiet = 0; quiet < LINGER; quiet++) {
		for (int i = 0; i < 2; i++)
			if (dataplane_poll(p->gw[i].dp, p->now_ns))
				quiet = 0;
		p->now_ns += 10000;
	}
}

/* more - packets each way than until now. */
static void more(struct play *p, uint64_t num)
{
	p->way[0].limit = p->way[0].given + num;
	p->way[1].limit = p->way[1].given + num;
	run(p);
}

static uint64_t drops(const struct play *p, int i, enum drop_reason why)
{
	struct dataplane_stats s;

	dataplane_stats(p->gw[i].dp, &s);
	return s.drops[why];
}

static struct lane_stats wan_of(const struct play *p, int i)
{
	struct lane_stats s;

	lane_stats(p->gw[i].lane, GATEWAY_WAN, &s);
	return s;
}

/* end - nothing was seen in the clear, and nothing is left at the ports. */
static void end(struct play *p)
{
	CU_ASSERT_EQUAL(p->clear, 0);
	CU_ASSERT_EQUAL(p->way[0].corrupt + p->way[1].corrupt, 0);
	CU_ASSERT_EQUAL(inline_port.faults, 0);
	gateways_close(p->gw);
	CU_ASSERT_EQUAL(inline_port.num_sessions, 0);
	CU_ASSERT_EQUAL(inline_port.num_rules, 0);
	for (uint32_t i = 0; i < p->num_kept; i++)
		packet_put(p->kept[i]);
	for (uint32_t i = 0; i < p->spare.num; i++)
		packet_put(p->spare.pkt[i]);
	memset(&inline_port, 0, sizeof(inline_port));
	free(p);
}

/* ---- what ports do --------------------------------------------------------------------------- */

static void check_all_by_port(const struct play *p, int i)
{
	const struct lane_stats s = wan_of(p, i);

	CU_ASSERT_EQUAL(s.tx_inline, NUM);
	CU_ASSERT_EQUAL(s.rx_inline, NUM);
	CU_ASSERT_EQUAL(s.left_to_host, 0);
}

static void both_ways(bool udp, bool both)
{
	struct play *p = begin(udp, both);
	const uint32_t num = both ? 2 : 1;

	/* A session for each SA and port, a rule for each inbound SA and port. */
	CU_ASSERT_EQUAL(inline_port.num_sessions, 4 * num);
	CU_ASSERT_EQUAL(inline_port.num_rules, 2 * num);
	run(p);
	CU_ASSERT_EQUAL(p->way[0].arrived, NUM);
	CU_ASSERT_EQUAL(p->way[1].arrived, NUM);
	CU_ASSERT_EQUAL(inline_port.sealed, NUM * num);
	CU_ASSERT_EQUAL(inline_port.opened, NUM * num);
	check_all_by_port(p, 0);
	if (both)
		check_all_by_port(p, 1);
	end(p);
}

static void test_port_and_processor(void)
{
	both_ways(false, false);
}

static void test_port_and_processor_in_udp(void)
{
	both_ways(true, false);
}

static void test_ports_at_both_ends(void)
{
	both_ways(false, true);
	both_ways(true, true);
}

/* test_forged_and_repeated - the port's word is a wrong ICV's, and replays are ours to find. */
static void test_forged_and_repeated(void)
{
	struct play *p = begin(false, false);
	struct pktvec v = {.num = 0};

	p->spoil_each = 5;
	run(p);
	CU_ASSERT_EQUAL(p->spoilt, 2 * NUM / 5);
	CU_ASSERT_EQUAL(inline_port.forged, NUM / 5);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(drops(p, i, DROP_AUTH), NUM / 5);
		CU_ASSERT_EQUAL(p->way[i].arrived, NUM - NUM / 5);
	}
	CU_ASSERT_EQUAL_FATAL(p->num_kept, ARRAY_LEN(p->kept));
	for (; p->num_kept; p->num_kept--)
		pktvec_push(&v, p->kept[p->num_kept - 1]);
	p->spoil_each = 0;
	ring[1]->ops->tx(ring[1], &v);
	run(p);
	CU_ASSERT_EQUAL(drops(p, 0, DROP_REPLAY), ARRAY_LEN(p->kept));
	CU_ASSERT_EQUAL(p->way[1].arrived, NUM - NUM / 5);
	end(p);
}

/* ---- what they do not ------------------------------------------------------------------------ */

/* refused - what a port says no to, and who does it then. */
static const struct refused {
	bool *no;
	bool seals, opens;
} refused[] = {
	{&inline_port.refuse_sessions, false, false},
	{&inline_port.refuse_rules, true, false},
	{&inline_port.blind, true, false},
};

static void test_the_processor_does_what_is_refused(void)
{
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		*refused[i].no = true;
		struct play *p = begin(i & 1, false);

		run(p);
		CU_ASSERT_EQUAL(p->way[0].arrived, NUM);
		CU_ASSERT_EQUAL(p->way[1].arrived, NUM);
		CU_ASSERT_EQUAL(inline_port.sealed, refused[i].seals ? NUM : 0);
		CU_ASSERT_EQUAL(inline_port.opened, refused[i].opens ? NUM : 0);
		end(p);
	}
}

static void test_a_port_that_cannot_be_told_sends_nothing(void)
{
	struct play *p = begin(false, false);

	const uint64_t lost = ring[0]->stats.tx_full;

	inline_port.refuse_metadata = true;
	run(p);
	CU_ASSERT_EQUAL(p->way[0].frames, 0);
	CU_ASSERT_EQUAL(p->way[0].arrived, 0);
	CU_ASSERT_EQUAL(p->way[1].arrived, NUM);
	CU_ASSERT_EQUAL(ring[0]->stats.tx_full, lost + NUM);
	end(p);
}

/* test_no_key_no_frame - an open packet without a key of this port goes nowhere, by whatever
 * mistake it came here. */
static void test_no_key_no_frame(void)
{
	static struct inline_key none;
	struct play *p = begin(false, false);
	struct pktvec v = {.num = 0};

	for (int i = 0; i < 2; i++) {
		struct packet *q = empty(p);

		q->len = ETHERNET;
		q->open_len = (uint16_t)make(q->data + ETHERNET, &p->way[0], 1, 64);
		q->flags = PACKET_F_OPEN;
		q->key = i ? &none : NULL;
		pktvec_push(&v, q);
	}
	const uint64_t lost = ring[0]->stats.tx_full;

	ring[0]->ops->tx(ring[0], &v);
	CU_ASSERT_EQUAL(ring[0]->stats.tx_full, lost + 2);
	CU_ASSERT_EQUAL(p->way[0].frames + p->way[1].frames, 0);
	run(p);
	end(p);
}

/* ---- elsewhere ------------------------------------------------------------------------------- */

static void tell_mtu(struct play *p, uint32_t mtu)
{
	const struct host_change link = {
		.kind = HOST_CHANGE_LINK, .ifindex = GATEWAY_WAN + 1, .up = true, .mtu = mtu};

	lane_change(p->gw[0].lane, &link);
	CU_ASSERT_EQUAL(lane_settle(p->gw[0].lane), ERR_OK);
}

/* tell_neighbour - the second gateway is at this port, or nowhere. */
static void tell_neighbour(struct play *p, uint32_t port, bool gone)
{
	struct host_change c = {.kind = HOST_CHANGE_NEIGH, .ifindex = port + 1, .gone = gone};

	CU_ASSERT_EQUAL(ip_addr_parse(&c.addr, "192.0.2.2"), ERR_OK);
	memcpy(c.mac, gateway_macs[1], sizeof(c.mac));
	lane_change(p->gw[0].lane, &c);
	CU_ASSERT_EQUAL(lane_settle(p->gw[0].lane), ERR_OK);
}

static void tell_route(struct play *p, uint32_t port, bool gone, const char *to, uint32_t table)
{
	struct host_change c = {.kind = HOST_CHANGE_ROUTE,
				.route = table == 255 ? HOST_ROUTE_LOCAL : HOST_ROUTE_FORWARD,
				.table = table,
				.ifindex = port + 1,
				.gone = gone};

	CU_ASSERT_EQUAL(ip_prefix_parse(&c.dst, to), ERR_OK);
	lane_change(p->gw[0].lane, &c);
	CU_ASSERT_EQUAL(lane_settle(p->gw[0].lane), ERR_OK);
}

/* test_left_to_host - what the lane cannot send is the host's, as the processor encrypted it. */
static void test_left_to_host(void)
{
	for (int udp = 0; udp < 2; udp++) {
		struct play *p = begin(udp, false);
		const struct sink *host = udp ? &p->udp : &p->esp;

		tell_mtu(p, 700);
		run(p);
		CU_ASSERT(host->num > NUM / 4 && p->way[0].frames > NUM / 4);
		CU_ASSERT_EQUAL(host->num + p->way[0].frames, NUM);
		CU_ASSERT_EQUAL(inline_port.sealed, p->way[0].frames);
		tell_neighbour(p, GATEWAY_WAN, true);
		const uint64_t before = host->num;

		more(p, NUM);
		CU_ASSERT_EQUAL(host->num, before + NUM);
		CU_ASSERT_EQUAL(p->tap.num, 0);
		end(p);
	}
}

/* test_another_port - one that does not encrypt. */
static void test_another_port(void)
{
	struct play *p = begin(false, false);

	tell_route(p, GATEWAY_WAN, true, "192.0.2.0/24", 254);
	tell_route(p, GATEWAY_LAN, false, "192.0.2.0/24", 254);
	tell_neighbour(p, GATEWAY_LAN, false);
	run(p);
	CU_ASSERT_EQUAL(p->lan[0].sealed, NUM);
	CU_ASSERT_EQUAL(inline_port.sealed, 0);
	CU_ASSERT_EQUAL(p->way[1].arrived, NUM);
	end(p);
}

/* test_another_path - a port has the key for the path that was. */
static void test_another_path(void)
{
	struct play *p = begin(false, false);
	struct path_info info;

	run(p);
	CU_ASSERT_EQUAL_FATAL(dataplane_pathset_info(p->gw[0].dp, &info, p->gw[0].pathset), ERR_OK);
	info.addr.local.port = info.addr.remote.port = 4500;
	info.addr.encap = ENCAP_UDP;
	CU_ASSERT_EQUAL_FATAL(
		dataplane_pathset_move(p->gw[0].dp, p->gw[0].pathset, p->gw[0].outer, &info.addr),
		ERR_OK);
	more(p, NUM);
	CU_ASSERT_EQUAL(p->way[0].arrived, 2 * NUM);
	CU_ASSERT_EQUAL(inline_port.sealed, NUM);
	end(p);
}

/* test_not_ours - what a port decrypted though it is not for us any more goes nowhere. */
static void test_not_ours(void)
{
	struct play *p = begin(false, false);
	uint8_t frame[2048];

	tell_route(p, GATEWAY_WAN, true, "192.0.2.1/32", 255);
	run(p);
	CU_ASSERT_EQUAL(inline_port.opened, NUM);
	CU_ASSERT_EQUAL(p->way[1].arrived, 0);
	CU_ASSERT_EQUAL(p->tap.num + p->udp.num + p->esp.num, 0);
	for (int i = 0; i < 2; i++)
		CU_ASSERT(recv(p->gw[0].far[i], frame, sizeof(frame), MSG_DONTWAIT) < 0);
	end(p);
}

/* ---- keys ------------------------------------------------------------------------------------ */

/* test_keys_go - rules at once, keys when nothing of them waits at the port any more. */
static void test_keys_go(void)
{
	struct play *p = begin(false, false);
	struct timespec pause = {.tv_nsec = 100000000};

	run(p);
	dataplane_child_remove(p->gw[0].dp, 1, CHILD_BOTH);
	for (int i = 0; i < 40 && inline_port.num_sessions; i++) {
		dataplane_reclaim(p->gw[0].dp);
		CU_ASSERT_EQUAL(inline_port.num_rules, 0);
		CU_ASSERT(i > 10 || inline_port.num_sessions == 4);
		nanosleep(&pause, NULL);
	}
	CU_ASSERT_EQUAL(inline_port.num_sessions, 0);
	more(p, NUM);
	CU_ASSERT_EQUAL(p->way[0].arrived, NUM);
	CU_ASSERT_EQUAL(p->way[1].arrived, NUM);
	end(p);
}

static void test_other_ports(void)
{
	struct inline_ports *ports = NULL;

	start_dpdk();
	CU_ASSERT_EQUAL(dpdk_module(dpdk)->inline_open(&ports, &source, 1, 16, text),
			ERR_UNSUPPORTED);
	CU_ASSERT_PTR_NULL(ports);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_port_and_processor),
	TAP_TEST(test_port_and_processor_in_udp),
	TAP_TEST(test_ports_at_both_ends),
	TAP_TEST(test_forged_and_repeated),
	TAP_TEST(test_the_processor_does_what_is_refused),
	TAP_TEST(test_a_port_that_cannot_be_told_sends_nothing),
	TAP_TEST(test_no_key_no_frame),
	TAP_TEST(test_left_to_host),
	TAP_TEST(test_another_port),
	TAP_TEST(test_another_path),
	TAP_TEST(test_not_ours),
	TAP_TEST(test_keys_go),
	TAP_TEST(test_other_ports),
};

TAP_MAIN("drivers/inline", tests)
