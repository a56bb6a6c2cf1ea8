/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ports do in place of the fast lane: checksums of what it seals, checksums and super-packets
 * that the host left to a shadow's wire, headers that a port found right. The host's word for a
 * checksum is passed on; a checksum that is there is touched by nobody.
 */
#include "drivers/lane.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/checksum.h"
#include "base/clock.h"
#include "dataplane/dataplane.h"
#include "dataplane/pool.h"
#include "drivers/ip_frame.h"
#include "drivers/memory.h"
#include "drivers/vnet.h"

#include "tests/drivers/kind.h"
#include "tests/tap/tap.h"

#define PAYLOAD   101
#define FRAME_MAX 65600
#define NEEDS_SUM 1
#define TYPE_TCP4 1
#define TYPE_UDP  5
#define SEG_LEN   1000
#define IF_WAN    8

static const uint8_t port_mac[6] = {2, 0, 0, 0, 0, 0x20};
static const uint8_t router_mac[6] = {2, 0, 0, 0, 0, 0x21};

/* struct wire - a driver of frames that shows what it is to send, and gives what it is told to. */
struct wire {
	struct driver driver;
	uint32_t num_sent;
	uint16_t flags, seg_len; /* of the last one */
	uint32_t len;
	uint8_t frame[FRAME_MAX];
	const uint8_t *next; /* to be received */
	uint32_t next_len;
	uint16_t next_flags;
};

/* struct stand - a lane with one port, its shadow's other end, and perhaps a data path. */
struct stand {
	struct lane *lane;
	struct wire wire;
	int shadow;
	struct pool *pool, *longer;
	struct dataplane *dp;
	uint8_t frame[FRAME_MAX];
	uint32_t len;
};

static struct stand s;

/* ---- the wire ------------------------------------------------------------------------------- */

static uint32_t wire_rx(struct driver *d, struct pool *pool, struct pktvec *out)
{
	struct wire *w = container_of(d, struct wire, driver);
	struct packet *p = w->next ? packet_get(pool) : NULL;

	if (!p)
		return 0;
	memcpy(p->data, w->next, w->next_len);
	p->len = w->next_len;
	p->flags = w->next_flags;
	w->next = NULL;
	pktvec_push(out, p);
	return 1;
}

static void wire_tx(struct driver *d, struct pktvec *v)
{
	struct wire *w = container_of(d, struct wire, driver);

	for (uint32_t i = 0; i < v->num; i++) {
		w->flags = v->pkt[i]->flags;
		w->seg_len = v->pkt[i]->seg_len;
		w->len = v->pkt[i]->len;
		memcpy(w->frame, v->pkt[i]->data, w->len);
		packet_put(v->pkt[i]);
		w->num_sent++;
	}
	v->num = 0;
}

static void wire_close(struct driver *d)
{
	(void)d;
}

static const struct driver_ops wire_ops = {.rx = wire_rx, .tx = wire_tx, .close = wire_close};

/* ---- the stand ------------------------------------------------------------------------------ */

static void tell_host(void)
{
	const struct host_change changes[] = {
		{.kind = HOST_CHANGE_ROUTE,
		 .table = 255,
		 .ifindex = IF_WAN,
		 .route = HOST_ROUTE_LOCAL,
		 .dst = {.addr = ip_addr_v4((const uint8_t[]){192, 0, 2, 1}), .len = 32}},
		{.kind = HOST_CHANGE_ROUTE,
		 .table = 254,
		 .ifindex = IF_WAN,
		 .route = HOST_ROUTE_FORWARD,
		 .dst = {.addr = ip_addr_v4((const uint8_t[4]){0}), .len = 0},
		 .gateway = ip_addr_v4((const uint8_t[]){192, 0, 2, 254})},
		{.kind = HOST_CHANGE_ROUTE,
		 .table = 254,
		 .ifindex = IF_WAN,
		 .route = HOST_ROUTE_FORWARD,
		 .dst = {.addr = ip_addr_v6((const uint8_t[16]){0}), .len = 0},
		 .gateway = ip_addr_v4((const uint8_t[]){192, 0, 2, 254})},
		{.kind = HOST_CHANGE_NEIGH,
		 .ifindex = IF_WAN,
		 .addr = ip_addr_v4((const uint8_t[]){192, 0, 2, 254}),
		 .mac = {2, 0, 0, 0, 0, 0x21}},
		{.kind = HOST_CHANGE_LINK, .ifindex = IF_WAN, .up = true, .mtu = 1500},
	};

	for (size_t i = 0; i < ARRAY_LEN(changes); i++)
		lane_change(s.lane, &changes[i]);
	lane_link(s.lane, 0, true);
	CU_ASSERT_EQUAL(lane_settle(s.lane), ERR_OK);
}

/* begin - with a port that completes checksums, or not; a shadow with a header, or not. */
static void begin(bool sums, bool vnet)
{
	const struct lane_params params = {.port_ike = 500, .port_nat_t = 4500, .idle_us = 50};
	struct lane_port_params p = {.ifindex = IF_WAN, .mtu = 1500, .sums = sums, .vnet = vnet};
	struct driver *frames = &s.wire.driver;
	int ends[2];

	memset(&s, 0, sizeof(s));
	s.pool = pool_new(64, 2048);
	s.longer = pool_new(2, POOL_LONGEST);
	s.pool->longer = s.longer;
	s.wire.driver = (struct driver){.ops = &wire_ops, .role = PORT_INNER};
	CU_ASSERT_EQUAL_FATAL(lane_new(&s.lane, &params), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), 0);
	p.frames = &frames;
	p.shadows = &ends[0];
	s.shadow = ends[1];
	memcpy(p.mac, port_mac, 6);
	CU_ASSERT_EQUAL_FATAL(lane_add_port(s.lane, &p), ERR_OK);
	tell_host();
}

static void end(void)
{
	struct driver *inner = lane_inner(s.lane, 0), *outer = lane_outer(s.lane, 0);

	inner->ops->close(inner);
	outer->ops->close(outer);
	lane_free(s.lane);
	CU_ASSERT_EQUAL(pool_num_free(s.pool), 64);
	CU_ASSERT_EQUAL(pool_num_free(s.longer), 2);
	close(s.shadow);
	pool_free(s.pool);
	pool_free(s.longer);
}

/* turn - what came is seen; what the policies have to judge goes on as if no policy knew it. */
static uint32_t turn(void)
{
	struct driver *d = lane_inner(s.lane, 0);
	struct pktvec v = {0};
	uint32_t num = d->ops->rx(d, s.pool, &v);

	for (uint32_t i = 0; i < v.num; i++)
		v.pkt[i]->flags |= PACKET_F_PASS;
	d->ops->tx(d, &v);
	return num;
}

static uint64_t shadow_errors(void)
{
	struct lane_stats st;

	lane_stats(s.lane, 0, &st);
	return st.shadow_error;
}

/* ---- frames --------------------------------------------------------------------------------- */

/* make - a frame to be forwarded whose checksum is the pseudo header's sum. */
static void make(struct kind k, uint32_t payload)
{
	memset(s.frame, 0, sizeof(s.frame));
	memcpy(s.frame, router_mac, 6);
	memcpy(s.frame + 6, port_mac, 6);
	s.len = kind_make(s.frame, k, payload);
}

/* to_shadow - as the host sends it, with this header of offloads. */
static void to_shadow(const uint8_t front[static VNET_LEN])
{
	uint8_t head[VNET_LEN];
	struct iovec iov[2] = {{head, VNET_LEN}, {s.frame, s.len}};

	memcpy(head, front, VNET_LEN);
	CU_ASSERT_EQUAL(writev(s.shadow, iov, 2), (ssize_t)(VNET_LEN + s.len));
}

/* front_of - that leaves the checksum of this kind of packet. */
static void front_of(uint8_t front[static VNET_LEN], struct kind k)
{
	memset(front, 0, VNET_LEN);
	front[0] = NEEDS_SUM;
	front[6] = (uint8_t)kind_l4_at(k);
	front[8] = (uint8_t)(kind_sum_at(k) - kind_l4_at(k));
}

static bool sent_as_made(void)
{
	return s.wire.num_sent == 1 && s.wire.len == s.len &&
	       memcmp(s.wire.frame, s.frame, s.len) == 0;
}

/* ---- from the host -------------------------------------------------------------------------- */

/* What the host leaves to the wire is left to the port; what it does not leave is as it was, also
 * where it is wrong. */
static void test_sums_that_the_host_left(void)
{
	for (size_t i = 0; i < 2 * ARRAY_LEN(kinds); i++) {
		struct kind k = kinds[i / 2];
		bool left = i % 2;
		uint8_t front[VNET_LEN];

		begin(true, true);
		make(k, PAYLOAD);
		front_of(front, k);
		front[0] = left ? NEEDS_SUM : 0;
		to_shadow(front);
		CU_ASSERT_EQUAL(turn(), 1);
		CU_ASSERT_TRUE(sent_as_made());
		CU_ASSERT_EQUAL((s.wire.flags & PACKET_F_SUM) != 0, left);
		CU_ASSERT_EQUAL(s.wire.seg_len, 0);
		end();
	}
}

/* A port would not find these: they are completed here, and no port is asked. */
static void test_sums_that_a_port_would_not_find(void)
{
	uint8_t front[VNET_LEN];
	struct kind udp4 = {0};

	/* Of something else, ESP for example: the sum is where the host says. */
	begin(true, true);
	make(udp4, PAYLOAD);
	s.frame[ETHERNET + 9] = 47;
	kind_header_sum(s.frame + ETHERNET);
	front_of(front, udp4);
	uint16_t sum = checksum_fold(checksum_add(0, s.frame + 34, s.len - 34));

	to_shadow(front);
	CU_ASSERT_EQUAL(turn(), 1);
	checksum_put(s.frame + 40, (uint16_t)~sum);
	CU_ASSERT_TRUE(sent_as_made());
	CU_ASSERT_EQUAL(s.wire.flags & PACKET_F_SUM, 0);
	end();

	/* Of a part: within the payload. */
	begin(true, true);
	make(udp4, PAYLOAD);
	front[6] = 60;
	sum = checksum_fold(checksum_add(0, s.frame + 60, s.len - 60));
	to_shadow(front);
	CU_ASSERT_EQUAL(turn(), 1);
	checksum_put(s.frame + 66, (uint16_t)~sum);
	CU_ASSERT_TRUE(sent_as_made());
	CU_ASSERT_EQUAL(s.wire.flags & PACKET_F_SUM, 0);
	end();

	/* Beyond the end. */
	begin(true, true);
	make(udp4, PAYLOAD);
	store_be16(front + 6, 0xffff);
	to_shadow(front);
	CU_ASSERT_EQUAL(turn(), 0);
	CU_ASSERT_EQUAL(shadow_errors(), 1);
	end();
}

/* With a VLAN's tag no policy is asked; the checksum is the port's all the same. */
static void test_sum_behind_a_tag(void)
{
	uint8_t front[VNET_LEN];
	struct kind tcp4 = {.tcp = true};

	begin(true, true);
	make(tcp4, PAYLOAD);
	memmove(s.frame + 16, s.frame + 12, s.len - 12);
	s.len += 4;
	store_be16(s.frame + 12, 0x8100);
	store_be16(s.frame + 14, 9);
	front_of(front, tcp4);
	front[6] += 4;
	to_shadow(front);
	CU_ASSERT_EQUAL(turn(), 0);
	CU_ASSERT_TRUE(sent_as_made());
	CU_ASSERT_TRUE(s.wire.flags & PACKET_F_SUM);
	end();
}

static void super_front(uint8_t front[static VNET_LEN], struct kind k, uint8_t type)
{
	front_of(front, k);
	front[1] = type;
	front[4] = SEG_LEN & 0xff;
	front[5] = SEG_LEN >> 8;
}

/* TCP that the host left whole leaves whole, to be cut by the port; a datagram that is to be many
 * was not agreed on. */
static void test_supers_that_the_host_left(void)
{
	struct kind tcp4 = {.tcp = true}, udp4 = {0};
	uint8_t front[VNET_LEN];

	for (uint32_t payload = 1200; payload <= 60000; payload += 58800) {
		begin(true, true);
		make(tcp4, payload);
		super_front(front, tcp4, TYPE_TCP4);
		to_shadow(front);
		CU_ASSERT_EQUAL(turn(), 1);
		CU_ASSERT_TRUE(sent_as_made());
		CU_ASSERT_EQUAL(s.wire.seg_len, SEG_LEN);
		end();
	}
	begin(true, true);
	make(udp4, 6000);
	super_front(front, udp4, TYPE_UDP);
	to_shadow(front);
	CU_ASSERT_EQUAL(turn(), 0);
	CU_ASSERT_EQUAL(s.wire.num_sent, 0);
	CU_ASSERT_EQUAL(shadow_errors(), 1);
	end();
}

/* Without a long packet a frame, whatever its length, waits in the shadow. */
static void test_frames_wait_for_a_long_packet(void)
{
	struct packet *taken[2];
	struct kind tcp4 = {.tcp = true};
	uint8_t front[VNET_LEN];

	begin(true, true);
	for (int i = 0; i < 2; i++)
		taken[i] = packet_get(s.longer);
	make(tcp4, 30000);
	super_front(front, tcp4, TYPE_TCP4);
	to_shadow(front);
	CU_ASSERT_EQUAL(turn(), 0);
	CU_ASSERT_EQUAL(shadow_errors(), 0);
	for (int i = 0; i < 2; i++)
		packet_put(taken[i]);
	CU_ASSERT_EQUAL(turn(), 1);
	CU_ASSERT_TRUE(sent_as_made());
	end();
}

/* Any header, and frames that are cut short: what is left is within the frame. */
static void test_headers_that_lie(void)
{
	uint8_t front[VNET_LEN];
	struct kind tcp4 = {.tcp = true};

	begin(true, true);
	for (uint32_t bit = 0; bit < VNET_LEN * 8; bit++) {
		make(tcp4, PAYLOAD);
		front_of(front, tcp4);
		front[bit / 8] ^= (uint8_t)(1 << bit % 8);
		to_shadow(front);
		turn();
	}
	for (uint32_t len = 1; len <= kind_l4_at(tcp4) + 20; len++) {
		make(tcp4, PAYLOAD);
		front_of(front, tcp4);
		s.len = len;
		to_shadow(front);
		s.wire.num_sent = 0;
		turn();
		if (s.wire.num_sent && s.wire.flags & PACKET_F_SUM)
			CU_ASSERT_EQUAL(len, kind_l4_at(tcp4) + 20);
	}
	end();
}

/* To the host a frame has a header that says nothing of it. */
static void test_header_to_the_host(void)
{
	uint8_t buf[4096];
	static const uint8_t nothing[VNET_LEN];

	for (int vnet = 0; vnet < 2; vnet++) {
		uint32_t front = vnet ? VNET_LEN : 0;

		begin(true, vnet);
		make((struct kind){0}, PAYLOAD);
		store_be16(s.frame + 12, 0x0806); /* ARP: the host's */
		s.wire.next = s.frame;
		s.wire.next_len = s.len;
		turn();
		CU_ASSERT_EQUAL(recv(s.shadow, buf, sizeof(buf), 0), (ssize_t)(front + s.len));
		CU_ASSERT_EQUAL(memcmp(buf, nothing, front), 0);
		CU_ASSERT_EQUAL(memcmp(buf + front, s.frame, s.len), 0);
		end();
	}
}

/* ---- from the wire -------------------------------------------------------------------------- */

/* A header that is right by the port's word, or by our own sum, goes by the lane; else the host has
 * the frame as it came. */
static void test_headers_that_a_port_looked_at(void)
{
	static const struct {
		bool broken;
		uint16_t flags;
		uint32_t inner;
	} cases[] = {
		{false, 0, 1},
		{true, 0, 0},
		{true, PACKET_F_HEAD_OK, 1}, /* the sum is not made again */
		{false, PACKET_F_HEAD_OK, 1},
	};
	uint8_t buf[4096];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		begin(false, false);
		make((struct kind){0}, PAYLOAD);
		memcpy(s.frame, port_mac, 6);
		s.frame[ETHERNET + 10] ^= cases[i].broken;
		s.wire.next = s.frame;
		s.wire.next_len = s.len;
		s.wire.next_flags = cases[i].flags;
		CU_ASSERT_EQUAL(turn(), cases[i].inner);
		CU_ASSERT_EQUAL(recv(s.shadow, buf, sizeof(buf), 0), (ssize_t)s.len);
		CU_ASSERT_EQUAL(memcmp(buf, s.frame, s.len), 0);
		end();
	}
}

/* ---- sealed --------------------------------------------------------------------------------- */

/* UDP's checksum over IPv6 is the port's where it has it; over IPv4 there is none, and the header's
 * is whole. Bare ESP has none. */
static void test_sums_of_what_is_sealed(void)
{
	for (uint32_t i = 0; i < 16; i++) {
		bool sums = i & 1, v6 = i & 2, udp = i & 4, odd = i & 8;
		struct kind k = {.v6 = v6};
		struct path_addr to = {.encap = udp ? ENCAP_UDP : ENCAP_NONE};
		uint8_t local[16] = {192, 0, 2, 1}, remote[16] = {198, 51, 100, 1};

		begin(sums, sums);
		to.local.addr = v6 ? ip_addr_v6(local) : ip_addr_v4(local);
		to.remote.addr = v6 ? ip_addr_v6(remote) : ip_addr_v4(remote);
		to.local.port = to.remote.port = udp ? 4500 : 0;
		for (int round = 0; round < 2; round++) { /* found, and known */
			struct driver *d = lane_outer(s.lane, 0);
			struct packet *p = packet_get(s.pool);
			struct pktvec v = {.num = 1, .pkt = {p}};

			p->len = PAYLOAD + odd;
			memset(p->data, 0x5a + round, p->len);
			p->to = &to;
			d->ops->tx(d, &v);
		}
		CU_ASSERT_EQUAL_FATAL(s.wire.num_sent, 2);
		CU_ASSERT_EQUAL((s.wire.flags & PACKET_F_SUM) != 0, sums && v6 && udp);
		if (!v6)
			CU_ASSERT_EQUAL(checksum_fold(checksum_add(0, s.wire.frame + 14, 20)),
					0xffff);
		if (!v6 && udp)
			CU_ASSERT_EQUAL(load_be16(s.wire.frame + 40), 0);
		if (v6 && udp && sums)
			CU_ASSERT_EQUAL(checksum_get(s.wire.frame + 60),
					kind_pseudo(s.wire.frame, s.wire.len, k));
		if (v6 && udp && !sums)
			CU_ASSERT_TRUE(kind_is_whole(s.wire.frame, s.wire.len, k));
		end();
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_sums_that_the_host_left),
	TAP_TEST(test_sums_that_a_port_would_not_find),
	TAP_TEST(test_sum_behind_a_tag),
	TAP_TEST(test_supers_that_the_host_left),
	TAP_TEST(test_frames_wait_for_a_long_packet),
	TAP_TEST(test_headers_that_lie),
	TAP_TEST(test_header_to_the_host),
	TAP_TEST(test_headers_that_a_port_looked_at),
	TAP_TEST(test_sums_of_what_is_sealed),
};
TAP_MAIN("drivers/lane_offload", tests)
