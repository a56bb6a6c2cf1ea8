/* SPDX-License-Identifier: Apache-2.0 */
/* The fast lane over devices in memory: which way frames go, what is sent by it, what is left to
 * the host, and that it follows the host's routes and neighbours. */
#include "drivers/lane.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rcu.h"
#include "dataplane/dataplane.h"
#include "dataplane/pool.h"
#include "dataplane/fragment.h"
#include "drivers/ip_frame.h"
#include "drivers/lane/fib.h"
#include "drivers/lane/sort.h"
#include "drivers/memory.h"

#include "tests/tap/tap.h"

#define LAN      0
#define WAN      1
#define IF_LAN   7
#define IF_WAN   8
#define IF_ELSE  3
#define MAIN     254
#define LOCAL    255
#define NEVER    UINT32_MAX
#define PAYLOAD  40
#define V4_FRAME (14 + 20 + 8 + PAYLOAD)

static const uint8_t macs[2][6] = {{2, 0, 0, 0, 0, 0x10}, {2, 0, 0, 0, 0, 0x20}};
static const uint8_t client_mac[6] = {2, 0, 0, 0, 0, 0x11};
static const uint8_t router_mac[6] = {2, 0, 0, 0, 0, 0x21};

/* struct stand - a lane with two ports, what is at their other ends, and the host's drivers. */
struct stand {
	struct lane *lane;
	struct memory_port *wire[2];
	int shadow[2];
	struct driver *tap, *udp, *esp;
	struct memory_port *tap_far, *udp_far, *esp_far;
	struct pool *pool;
	uint8_t frame[2048];
	size_t len;
};

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	CU_ASSERT_EQUAL_FATAL(ip_addr_parse(&a, text), ERR_OK);
	return a;
}

/* ---- what the host tells -------------------------------------------------------------------- */

static void tell_route(struct stand *s, uint32_t table, const char *dst, uint32_t ifindex,
		       const char *gateway)
{
	struct host_change c = {.kind = HOST_CHANGE_ROUTE,
				.table = table,
				.ifindex = ifindex,
				.route = table == LOCAL ? HOST_ROUTE_LOCAL : HOST_ROUTE_FORWARD};

	CU_ASSERT_EQUAL_FATAL(ip_prefix_parse(&c.dst, dst), ERR_OK);
	if (gateway)
		c.gateway = addr(gateway);
	lane_change(s->lane, &c);
}

static void tell_neigh(struct stand *s, const char *a, uint32_t ifindex, const uint8_t *mac,
		       bool stale)
{
	struct host_change c = {.kind = HOST_CHANGE_NEIGH,
				.ifindex = ifindex,
				.addr = addr(a),
				.gone = !mac,
				.stale = stale};

	if (mac)
		memcpy(c.mac, mac, 6);
	lane_change(s->lane, &c);
}

static void tell_link(struct stand *s, uint32_t ifindex, bool up, uint32_t mtu)
{
	const struct host_change c = {
		.kind = HOST_CHANGE_LINK, .ifindex = ifindex, .up = up, .mtu = mtu};

	lane_change(s->lane, &c);
}

static void settle(struct stand *s)
{
	CU_ASSERT_EQUAL(lane_settle(s->lane), ERR_OK);
}

static void tell_all(struct stand *s)
{
	tell_route(s, LOCAL, "10.1.0.1/32", IF_LAN, NULL);
	tell_route(s, LOCAL, "192.0.2.1/32", IF_WAN, NULL);
	tell_route(s, LOCAL, "2001:db8:2::1/128", IF_WAN, NULL);
	tell_route(s, MAIN, "10.1.0.0/24", IF_LAN, NULL);
	tell_route(s, MAIN, "192.0.2.0/24", IF_WAN, NULL);
	tell_route(s, MAIN, "0.0.0.0/0", IF_WAN, "192.0.2.254");
	tell_route(s, MAIN, "::/0", IF_WAN, "2001:db8:2::fe");
	tell_route(s, MAIN, "172.16.0.0/12", IF_ELSE, NULL);
	tell_route(s, HOST_ROUTE_TABLE, "10.2.0.0/16", IF_ELSE, NULL);
	tell_neigh(s, "10.1.0.9", IF_LAN, client_mac, false);
	tell_neigh(s, "192.0.2.254", IF_WAN, router_mac, false);
	tell_neigh(s, "2001:db8:2::fe", IF_WAN, router_mac, false);
	for (uint32_t i = 0; i < 2; i++) {
		tell_link(s, IF_LAN + i, true, 1500);
		lane_link(s->lane, i, true);
	}
	settle(s);
}

/* ---- the stand ------------------------------------------------------------------------------ */

static void begin(struct stand *s)
{
	const struct memory_params inner = {.role = PORT_INNER}, outer = {.role = PORT_OUTER};
	const struct lane_params params = {.port_ike = 500, .port_nat_t = 4500, .idle_us = 50};

	*s = (struct stand){.pool = pool_new(256, 2048)};
	CU_ASSERT_EQUAL_FATAL(lane_new(&s->lane, &params), ERR_OK);
	for (uint32_t i = 0; i < 2; i++) {
		struct driver *frames;
		int ends[2];
		struct lane_port_params p = {
			.frames = &frames, .shadows = &ends[0], .ifindex = IF_LAN + i, .mtu = 1500};

		CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends),
				      0);
		s->shadow[i] = ends[1];
		memcpy(p.mac, macs[i], 6);
		CU_ASSERT_EQUAL_FATAL(memory_open(&frames, &s->wire[i], &inner), ERR_OK);
		CU_ASSERT_EQUAL_FATAL(lane_add_port(s->lane, &p), ERR_OK);
	}
	CU_ASSERT_EQUAL_FATAL(memory_open(&s->tap, &s->tap_far, &inner), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(memory_open(&s->udp, &s->udp_far, &outer), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(memory_open(&s->esp, &s->esp_far, &outer), ERR_OK);
	lane_use_host(s->lane, 0, s->tap, s->udp, s->esp);
}

static void end_host(struct stand *s)
{
	for (uint32_t i = 0; i < 2; i++) {
		memory_close_far(s->wire[i]);
		close(s->shadow[i]);
	}
	memory_close_far(s->tap_far);
	memory_close_far(s->udp_far);
	memory_close_far(s->esp_far);
	pool_free(s->pool);
}

static void end(struct stand *s)
{
	struct driver *inner = lane_inner(s->lane, 0), *outer = lane_outer(s->lane, 0);

	inner->ops->close(inner);
	outer->ops->close(outer);
	lane_free(s->lane);
	s->tap->ops->close(s->tap);
	s->udp->ops->close(s->udp);
	s->esp->ops->close(s->esp);
	end_host(s);
}

/* ---- frames --------------------------------------------------------------------------------- */

static void checksum(uint8_t *h)
{
	uint32_t sum = 0;

	store_be16(h + 10, 0);
	for (int i = 0; i < 20; i += 2)
		sum += load_be16(h + i);
	sum = (sum >> 16) + (sum & 0xffff);
	store_be16(h + 10, (uint16_t) ~(sum + (sum >> 16)));
}

/* make_v4 - a UDP datagram in a frame for the port. */
static void make_v4(struct stand *s, uint32_t port, const char *src, const char *dst)
{
	uint8_t *h = s->frame + 14;
	struct ip_addr from = addr(src), to = addr(dst);

	memset(s->frame, 0, sizeof(s->frame));
	memcpy(s->frame, macs[port], 6);
	memcpy(s->frame + 6, client_mac, 6);
	store_be16(s->frame + 12, 0x0800);
	h[0] = 0x45;
	store_be16(h + 2, V4_FRAME - 14);
	h[8] = 64;
	h[9] = 17;
	memcpy(h + 12, from.b, 4);
	memcpy(h + 16, to.b, 4);
	store_be16(h + 20, 1111);
	store_be16(h + 22, 2222);
	store_be16(h + 24, 8 + PAYLOAD);
	memset(h + 28, 0xaa, PAYLOAD);
	checksum(h);
	s->len = V4_FRAME;
}

static void make_v6(struct stand *s, const char *src, const char *dst, uint8_t next)
{
	uint8_t *h = s->frame + 14;
	struct ip_addr from = addr(src), to = addr(dst);

	memset(s->frame, 0, sizeof(s->frame));
	memcpy(s->frame, macs[WAN], 6);
	store_be16(s->frame + 12, 0x86dd);
	h[0] = 0x60;
	store_be16(h + 4, PAYLOAD);
	h[6] = next;
	h[7] = 64;
	memcpy(h + 8, from.b, 16);
	memcpy(h + 24, to.b, 16);
	memset(h + 40, 0xaa, PAYLOAD);
	s->len = 14 + 40 + PAYLOAD;
}

static void to_wire(struct stand *s, uint32_t port)
{
	CU_ASSERT_EQUAL(memory_inject(s->wire[port], s->frame, s->len, NULL), ERR_OK);
}

static void to_shadow(struct stand *s, uint32_t port)
{
	CU_ASSERT_EQUAL(send(s->shadow[port], s->frame, s->len, 0), (ssize_t)s->len);
}

static bool same_frame(const struct stand *s, const uint8_t *buf, size_t len)
{
	return len == s->len && memcmp(buf, s->frame, len) == 0;
}

static bool at_shadow(struct stand *s, uint32_t port)
{
	uint8_t buf[2048];
	ssize_t n = recv(s->shadow[port], buf, sizeof(buf), 0);

	return n > 0 && same_frame(s, buf, (size_t)n);
}

static bool at_wire(struct stand *s, uint32_t port)
{
	uint8_t buf[2048];
	size_t n;

	return memory_take(s->wire[port], buf, sizeof(buf), &n, NULL) && same_frame(s, buf, n);
}

static uint32_t receive(struct stand *s, struct driver *d, struct pktvec *v)
{
	v->num = 0;
	return d->ops->rx(d, s->pool, v);
}

static void put_all(struct pktvec *v)
{
	for (uint32_t i = 0; i < v->num; i++)
		packet_put(v->pkt[i]);
	v->num = 0;
}

/* decrypted - as the data path hands it over: the IP packet of the frame that was made. */
static void decrypted_as(struct stand *s, uint16_t flags)
{
	struct driver *d = lane_inner(s->lane, 0);
	struct packet *p = packet_get(s->pool);
	struct pktvec v = {.num = 1, .pkt = {p}};

	p->flags = flags;
	p->len = (uint32_t)s->len - 14;
	memcpy(p->data, s->frame + 14, p->len);
	d->ops->tx(d, &v);
	CU_ASSERT_EQUAL(v.num, 0);
}

static void decrypted(struct stand *s)
{
	decrypted_as(s, 0);
}

/* at_tap - the host got the packet as it was. */
static bool at_tap(struct stand *s)
{
	uint8_t buf[2048];
	size_t n;

	return memory_take(s->tap_far, buf, sizeof(buf), &n, NULL) && n == s->len - 14 &&
	       memcmp(buf, s->frame + 14, n) == 0;
}

/* forwarded - it left by the port to this MAC address, with a TTL that is one less and a checksum
 * that says so. */
static bool forwarded(struct stand *s, uint32_t port, const uint8_t *mac)
{
	uint8_t buf[2048];
	size_t n;

	if (!memory_take(s->wire[port], buf, sizeof(buf), &n, NULL))
		return false;
	memcpy(s->frame, mac, 6);
	memcpy(s->frame + 6, macs[port], 6);
	s->frame[14 + 8]--;
	checksum(s->frame + 14);
	bool same = same_frame(s, buf, n);

	s->frame[14 + 8]++;
	checksum(s->frame + 14);
	return same;
}

/* ---- from the wire -------------------------------------------------------------------------- */

static void test_host_has_what_is_nobodys(void)
{
	struct driver *d;
	struct pktvec v;
	struct stand s;

	begin(&s);
	d = lane_inner(s.lane, 0);
	/* Before anything is known all is the host's. */
	make_v4(&s, LAN, "10.1.0.9", "10.2.0.9");
	to_wire(&s, LAN);
	CU_ASSERT_EQUAL(receive(&s, d, &v), 0);
	CU_ASSERT_TRUE(at_shadow(&s, LAN));
	tell_all(&s);

	store_be16(s.frame + 12, 0x0806); /* ARP */
	to_wire(&s, LAN);
	CU_ASSERT_EQUAL(receive(&s, d, &v), 0);
	CU_ASSERT_TRUE(at_shadow(&s, LAN));
	/* And what the host says. */
	to_shadow(&s, WAN);
	CU_ASSERT_EQUAL(receive(&s, d, &v), 0);
	CU_ASSERT_TRUE(at_wire(&s, WAN));

	make_v4(&s, LAN, "10.1.0.9", "10.1.0.1"); /* for itself */
	to_wire(&s, LAN);
	CU_ASSERT_EQUAL(receive(&s, d, &v), 0);
	CU_ASSERT_TRUE(at_shadow(&s, LAN));
	end(&s);
}

/* What no policy protects comes back, and reaches the host as the very frame that came. */
static void test_passed_frame_is_as_it_was(void)
{
	struct driver *d;
	struct pktvec v;
	struct stand s;

	begin(&s);
	tell_all(&s);
	d = lane_inner(s.lane, 0);
	for (uint32_t ttl = 2; ttl < 256; ttl++) {
		make_v4(&s, LAN, "10.1.0.9", "203.0.113.5");
		s.frame[14 + 8] = (uint8_t)ttl;
		checksum(s.frame + 14);
		to_wire(&s, LAN);
		CU_ASSERT_EQUAL_FATAL(receive(&s, d, &v), 1);
		CU_ASSERT_EQUAL(v.pkt[0]->data[8], ttl - 1);
		CU_ASSERT_EQUAL(v.pkt[0]->len, V4_FRAME - 14);
		v.pkt[0]->flags |= PACKET_F_PASS;
		d->ops->tx(d, &v);
		CU_ASSERT_TRUE(at_shadow(&s, LAN));
	}
	/* The other way the host's own frame leaves. */
	make_v4(&s, WAN, "192.0.2.1", "203.0.113.5");
	memcpy(s.frame, router_mac, 6);
	to_shadow(&s, WAN);
	CU_ASSERT_EQUAL_FATAL(receive(&s, d, &v), 1);
	CU_ASSERT_EQUAL(v.pkt[0]->data[8], 64);
	v.pkt[0]->flags |= PACKET_F_PASS;
	d->ops->tx(d, &v);
	CU_ASSERT_TRUE(at_wire(&s, WAN));
	end(&s);
}

/* struct wire_case - what is changed of an ordinary frame, and whose it is then. */
struct wire_case {
	const char *what, *src, *dst;
	uint32_t at;
	uint8_t value;
	bool bad_sum; /* the header's checksum is not made anew */
	enum lane_way way;
};

static const struct wire_case wire_cases[] = {
	{"to be forwarded", "10.1.0.9", "10.2.0.9", NEVER, 0, false, LANE_INNER},
	{"padding behind", "10.1.0.9", "10.2.0.9", 14 + 3, 40, false, LANE_INNER},
	{"another station's", "10.1.0.9", "10.2.0.9", 5, 0x99, false, LANE_HOST},
	{"TTL at its end", "10.1.0.9", "10.2.0.9", 14 + 8, 1, false, LANE_HOST},
	{"options", "10.1.0.9", "10.2.0.9", 14, 0x46, false, LANE_HOST},
	{"fragment", "10.1.0.9", "10.2.0.9", 14 + 6, 0x20, false, LANE_HOST},
	{"wrong checksum", "10.1.0.9", "10.2.0.9", 14 + 1, 4, true, LANE_HOST},
	{"longer than the frame", "10.1.0.9", "10.2.0.9", 14 + 3, V4_FRAME, false, LANE_HOST},
	{"multicast", "10.1.0.9", "224.0.0.5", NEVER, 0, false, LANE_HOST},
	{"link-local", "169.254.1.1", "10.2.0.9", NEVER, 0, false, LANE_HOST},
	{"no source", "0.0.0.0", "255.255.255.255", NEVER, 0, false, LANE_HOST},
	{"ESP", "198.51.100.1", "192.0.2.1", 14 + 9, 50, false, LANE_OUTER},
	{"ESP in a fragment", "198.51.100.1", "192.0.2.1", 14 + 6, 0x20, false, LANE_HOST},
	{"UDP", "198.51.100.1", "192.0.2.1", NEVER, 0, false, LANE_HOST},
};

static void test_which_way_from_the_wire(void)
{
	struct driver *inner, *outer;
	struct pktvec a, b;
	struct stand s;

	begin(&s);
	tell_all(&s);
	inner = lane_inner(s.lane, 0);
	outer = lane_outer(s.lane, 0);
	for (size_t i = 0; i < ARRAY_LEN(wire_cases); i++) {
		const struct wire_case *c = &wire_cases[i];

		make_v4(&s, WAN, c->src, c->dst);
		if (c->at != NEVER)
			s.frame[c->at] = c->value;
		if (!c->bad_sum)
			checksum(s.frame + 14);
		to_wire(&s, WAN);
		uint32_t num_inner = receive(&s, inner, &a), num_outer = receive(&s, outer, &b);
		bool host = at_shadow(&s, WAN);
		bool right = num_inner == (c->way == LANE_INNER) &&
			     num_outer == (c->way == LANE_OUTER) && host == (c->way == LANE_HOST);

		if (!right)
			tap_diag("%s: inner %u, outer %u, host %d", c->what, num_inner, num_outer,
				 host);
		CU_ASSERT_TRUE(right);
		put_all(&a);
		put_all(&b);
	}
	end(&s);
}

/* ESP in UDP is told from IKE and keepalives on the same port. */
static void test_esp_in_udp(void)
{
	struct driver *outer;
	struct pktvec v;
	struct stand s;
	uint8_t *u = s.frame + 14 + 20;

	begin(&s);
	tell_all(&s);
	outer = lane_outer(s.lane, 0);
	make_v4(&s, WAN, "198.51.100.1", "192.0.2.1");
	store_be16(u, 61234);
	store_be16(u + 2, 4500);
	s.frame[14 + 1] = 0xb9;
	checksum(s.frame + 14);
	to_wire(&s, WAN);
	CU_ASSERT_EQUAL(receive(&s, lane_inner(s.lane, 0), &v), 0);
	CU_ASSERT_EQUAL_FATAL(receive(&s, outer, &v), 1);
	struct packet *p = v.pkt[0];

	CU_ASSERT_EQUAL(p->len, PAYLOAD);
	CU_ASSERT_EQUAL(p->data[0], 0xaa);
	CU_ASSERT_EQUAL(p->dscp_ecn, 0xb9);
	CU_ASSERT_EQUAL(p->from.encap, ENCAP_UDP);
	CU_ASSERT_EQUAL(p->from.remote.port, 61234);
	CU_ASSERT_EQUAL(p->from.local.port, 4500);
	CU_ASSERT_EQUAL(p->from.ifindex, IF_WAN);
	CU_ASSERT_EQUAL(p->from.remote.addr.b[0], 198);
	put_all(&v);

	store_be32(u + 8, 0); /* IKE */
	to_wire(&s, WAN);
	CU_ASSERT_EQUAL(receive(&s, lane_inner(s.lane, 0), &v), 0);
	CU_ASSERT_EQUAL(receive(&s, outer, &v), 0);
	CU_ASSERT_TRUE(at_shadow(&s, WAN));
	store_be16(u + 4, 9); /* a keepalive */
	u[8] = 0xff;
	to_wire(&s, WAN);
	CU_ASSERT_EQUAL(receive(&s, lane_inner(s.lane, 0), &v), 0);
	CU_ASSERT_EQUAL(receive(&s, outer, &v), 0);
	CU_ASSERT_TRUE(at_shadow(&s, WAN));

	make_v6(&s, "2001:db8:9::1", "2001:db8:2::1", 50);
	to_wire(&s, WAN);
	CU_ASSERT_EQUAL(receive(&s, lane_inner(s.lane, 0), &v), 0);
	CU_ASSERT_EQUAL_FATAL(receive(&s, outer, &v), 1);
	CU_ASSERT_EQUAL(v.pkt[0]->len, PAYLOAD);
	CU_ASSERT_EQUAL(v.pkt[0]->from.encap, ENCAP_NONE);
	put_all(&v);
	end(&s);
}

/* struct run_case - a frame of a burst on the WAN port. */
struct run_case {
	const char *src, *dst;
	uint8_t proto;
	enum lane_way way;
};

/* Successive ones share one address, or all but a bit of both. */
static const struct run_case run[] = {
	{"198.51.100.1", "192.0.2.1", 50, LANE_OUTER},
	{"198.51.100.2", "192.0.2.1", 50, LANE_OUTER},
	{"198.51.100.2", "10.1.0.9", 17, LANE_INNER},
	{"198.51.100.2", "10.1.0.1", 17, LANE_HOST},
	{"198.51.100.2", "192.0.2.1", 50, LANE_OUTER},
	{"127.0.0.2", "192.0.2.1", 50, LANE_HOST},
	{"2001:db8:9::1", "2001:db8:2::1", 50, LANE_OUTER},
	{"2001:db8:9::1", "2001:db8:2::2", 50, LANE_INNER},
	{"2001:db8:9::1", "2001:db8:3::1", 50, LANE_INNER},
	{"2001:db8:9::1", "2001:db8:2::1", 50, LANE_OUTER},
	{"2001:db8:9::2", "2001:db8:2::1", 50, LANE_OUTER},
	{"2001:db9:9::2", "2001:db8:2::1", 50, LANE_OUTER},
	{"c633:6402:c000:201::1", "2001:db8:2::1", 50, LANE_OUTER}, /* begins as the next two do */
	{"198.51.100.2", "192.0.2.1", 50, LANE_OUTER},
};

/* Of each frame of a burst it is asked anew whose it is, however near it is to the one before. */
static void test_run_of_frames(void)
{
	struct pktvec inner, outer;
	uint32_t num[LANE_WAYS] = {0};
	struct stand s;
	uint8_t buf[2048];

	begin(&s);
	tell_all(&s);
	for (size_t i = 0; i < ARRAY_LEN(run); i++) {
		if (strchr(run[i].src, ':')) {
			make_v6(&s, run[i].src, run[i].dst, run[i].proto);
		} else {
			make_v4(&s, WAN, run[i].src, run[i].dst);
			s.frame[14 + 9] = run[i].proto;
			checksum(s.frame + 14);
		}
		to_wire(&s, WAN);
	}
	receive(&s, lane_inner(s.lane, 0), &inner);
	receive(&s, lane_outer(s.lane, 0), &outer);
	for (size_t i = 0; i < ARRAY_LEN(run); i++) {
		uint32_t k = num[run[i].way]++;
		struct ip_addr src = addr(run[i].src), dst = addr(run[i].dst);

		if (run[i].way == LANE_OUTER) {
			CU_ASSERT_TRUE_FATAL(k < outer.num);
			const struct path_addr *from = &outer.pkt[k]->from;

			CU_ASSERT_TRUE(ip_addr_equal(&from->remote.addr, &src));
			CU_ASSERT_TRUE(ip_addr_equal(&from->local.addr, &dst));
			CU_ASSERT_EQUAL(from->ifindex, IF_WAN);
			CU_ASSERT_EQUAL(from->encap, ENCAP_NONE);
		} else if (run[i].way == LANE_INNER) {
			CU_ASSERT_TRUE_FATAL(k < inner.num);
			const uint8_t *at = inner.pkt[k]->data + (dst.family == IP_V4 ? 16 : 24);

			CU_ASSERT_EQUAL(memcmp(at, dst.b, ip_addr_len(&dst)), 0);
		} else {
			CU_ASSERT_TRUE(recv(s.shadow[WAN], buf, sizeof(buf), 0) > 0);
		}
	}
	CU_ASSERT_EQUAL(inner.num, num[LANE_INNER]);
	CU_ASSERT_EQUAL(outer.num, num[LANE_OUTER]);
	CU_ASSERT_TRUE(recv(s.shadow[WAN], buf, sizeof(buf), 0) < 0);
	put_all(&inner);
	put_all(&outer);
	end(&s);
}

/* An error that quotes our ESP is not for the host; of another packet it is. */
static void test_icmp_that_quotes_our_esp(void)
{
	static const uint8_t protos[] = {50, 17, 6};
	struct pktvec v;
	struct stand s;
	uint8_t *m = s.frame + 14 + 20, *q = m + 8;

	begin(&s);
	tell_all(&s);
	for (size_t i = 0; i < ARRAY_LEN(protos); i++) {
		struct ip_addr us = addr("192.0.2.1"), peer = addr("198.51.100.1");

		make_v4(&s, WAN, "192.0.2.77", "192.0.2.1");
		s.frame[14 + 9] = 1;
		checksum(s.frame + 14);
		memset(m, 0, PAYLOAD + 8);
		m[0] = 3;
		m[1] = 4;
		q[0] = 0x45;
		store_be16(q + 2, 1400);
		q[9] = protos[i];
		memcpy(q + 12, us.b, 4);
		memcpy(q + 16, peer.b, 4);
		store_be16(q + 20, 4500);
		store_be16(q + 22, 4500);
		store_be32(q + 28, 0x01020304);
		to_wire(&s, WAN);
		CU_ASSERT_EQUAL(receive(&s, lane_inner(s.lane, 0), &v), 0);
		CU_ASSERT_EQUAL(receive(&s, lane_outer(s.lane, 0), &v), protos[i] != 6);
		if (v.num)
			CU_ASSERT_TRUE(v.pkt[0]->flags & PACKET_F_IP);
		put_all(&v);
		CU_ASSERT_EQUAL(at_shadow(&s, WAN), protos[i] == 6);
		if (protos[i] != 17)
			continue;
		store_be32(q + 28, 0); /* IKE's */
		to_wire(&s, WAN);
		CU_ASSERT_EQUAL(receive(&s, lane_inner(s.lane, 0), &v), 0);
		CU_ASSERT_EQUAL(receive(&s, lane_outer(s.lane, 0), &v), 0);
		CU_ASSERT_TRUE(at_shadow(&s, WAN));
	}
	end(&s);
}

/* What the host sends is judged, but for what keeps the link alive and our own IKE and ESP. */
static void test_which_way_from_the_host(void)
{
	struct driver *d;
	struct pktvec v;
	struct stand s;
	uint8_t *u = s.frame + 14 + 20;

	begin(&s);
	tell_all(&s);
	d = lane_inner(s.lane, 0);
	make_v4(&s, WAN, "192.0.2.1", "198.51.100.1");
	to_shadow(&s, WAN);
	CU_ASSERT_EQUAL(receive(&s, d, &v), 1);
	CU_ASSERT_FALSE(at_wire(&s, WAN));
	put_all(&v);
	for (uint32_t port = 500; port <= 4500; port += 4000) {
		store_be16(u, (uint16_t)port);
		to_shadow(&s, WAN);
		CU_ASSERT_EQUAL(receive(&s, d, &v), 0);
		CU_ASSERT_TRUE(at_wire(&s, WAN));
	}
	/* Another host's IKE, which is forwarded, is judged. */
	make_v4(&s, WAN, "10.1.0.9", "198.51.100.1");
	store_be16(u, 500);
	to_shadow(&s, WAN);
	CU_ASSERT_EQUAL(receive(&s, d, &v), 1);
	put_all(&v);
	make_v6(&s, "2001:db8:2::1", "2001:db8:2::fe", 58);
	s.frame[14 + 40] = 135;
	s.frame[14 + 7] = 255;
	to_shadow(&s, WAN);
	CU_ASSERT_EQUAL(receive(&s, d, &v), 0);
	CU_ASSERT_TRUE(at_wire(&s, WAN));
	s.frame[14 + 7] = 64;
	to_shadow(&s, WAN);
	CU_ASSERT_EQUAL(receive(&s, d, &v), 1);
	put_all(&v);
	end(&s);
}

/* ---- decrypted ------------------------------------------------------------------------------ */

static void test_decrypted_is_forwarded(void)
{
	struct stand s;

	begin(&s);
	make_v4(&s, LAN, "10.2.0.9", "10.1.0.9");
	decrypted(&s); /* nothing is known yet */
	CU_ASSERT_TRUE(at_tap(&s));
	tell_all(&s);
	decrypted(&s);
	CU_ASSERT_TRUE(forwarded(&s, LAN, client_mac));
	CU_ASSERT_FALSE(at_tap(&s));
	make_v4(&s, LAN, "10.2.0.9", "203.0.113.9"); /* by the default route */
	decrypted(&s);
	CU_ASSERT_TRUE(forwarded(&s, WAN, router_mac));
	end(&s);
}

static void test_decrypted_that_is_left_to_the_host(void)
{
	static const struct {
		const char *what, *dst;
	} cases[] = {
		{"for the host itself", "10.1.0.1"},
		{"nobody has answered there", "10.1.0.77"},
		{"by another device", "172.16.0.1"},
		{"protected in turn", "10.2.3.4"},
	};
	struct stand s;

	begin(&s);
	tell_all(&s);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		make_v4(&s, LAN, "10.2.0.9", cases[i].dst);
		decrypted(&s);
		if (!at_tap(&s)) {
			tap_diag("%s", cases[i].what);
			CU_FAIL("it did not reach the host");
		}
	}
	make_v4(&s, LAN, "10.2.0.9", "10.1.0.9");
	decrypted_as(&s, PACKET_F_HOST); /* a policy is about it there */
	CU_ASSERT_TRUE(at_tap(&s));
	s.frame[14 + 8] = 1; /* its sender is to be told */
	decrypted(&s);
	CU_ASSERT_TRUE(at_tap(&s));
	s.frame[14 + 8] = 64;
	tell_link(&s, IF_LAN, true, V4_FRAME - 14 - 1); /* too long for the link */
	decrypted(&s);
	CU_ASSERT_TRUE(at_tap(&s));
	tell_link(&s, IF_LAN, true, V4_FRAME - 14);
	decrypted(&s);
	CU_ASSERT_FALSE(at_tap(&s));
	tell_link(&s, IF_LAN, false, 1500); /* ip link set down */
	decrypted(&s);
	CU_ASSERT_TRUE(at_tap(&s));
	tell_link(&s, IF_LAN, true, 1500);
	lane_link(s.lane, LAN, false); /* the cable */
	decrypted(&s);
	CU_ASSERT_TRUE(at_tap(&s));
	end(&s);
}

/* Of a neighbour not heard of for a while one packet a second goes the host's way, so that the host
 * asks for it; one that is gone has none by the lane. */
static void test_neighbour_that_ages(void)
{
	struct stand s;

	begin(&s);
	tell_all(&s);
	make_v4(&s, LAN, "10.2.0.9", "10.1.0.9");
	tell_neigh(&s, "10.1.0.9", IF_LAN, client_mac, true);
	settle(&s);
	decrypted(&s);
	CU_ASSERT_TRUE(at_tap(&s));
	for (int i = 0; i < 3; i++) {
		decrypted(&s);
		CU_ASSERT_TRUE(forwarded(&s, LAN, client_mac));
		tell_neigh(&s, "10.1.0.8", IF_LAN, router_mac, i % 2); /* another one's affair */
		settle(&s);
	}
	tell_neigh(&s, "10.1.0.9", IF_LAN, router_mac, false); /* another card */
	settle(&s);
	decrypted(&s);
	CU_ASSERT_TRUE(forwarded(&s, LAN, router_mac));
	tell_neigh(&s, "10.1.0.9", IF_LAN, NULL, false);
	settle(&s);
	decrypted(&s);
	CU_ASSERT_TRUE(at_tap(&s));
	end(&s);
}

/* ---- sealed --------------------------------------------------------------------------------- */

static void sealed(struct stand *s, struct path_addr *to)
{
	struct driver *d = lane_outer(s->lane, 0);
	struct packet *p = packet_get(s->pool);
	struct pktvec v = {.num = 1, .pkt = {p}};

	p->len = PAYLOAD;
	memset(p->data, 0x5a, PAYLOAD);
	p->to = to;
	p->dscp_ecn = 0x28;
	d->ops->tx(d, &v);
	CU_ASSERT_EQUAL(v.num, 0);
}

static void check_sealed(struct stand *s, const struct path_addr *to)
{
	uint8_t buf[2048];
	size_t n = 0;

	CU_ASSERT_TRUE_FATAL(memory_take(s->wire[WAN], buf, sizeof(buf), &n, NULL));
	struct packet p = {.data = buf, .buf = buf, .len = (uint32_t)n, .cap = sizeof(buf)};

	CU_ASSERT_EQUAL(memcmp(buf, router_mac, 6), 0);
	CU_ASSERT_EQUAL(memcmp(buf + 6, macs[WAN], 6), 0);
	CU_ASSERT_TRUE_FATAL(frame_strip_ethernet(&p));
	CU_ASSERT_TRUE_FATAL(frame_strip_outer(&p));
	CU_ASSERT_EQUAL(p.len, PAYLOAD);
	CU_ASSERT_EQUAL(p.data[0], 0x5a);
	CU_ASSERT_EQUAL(p.dscp_ecn, 0x28);
	CU_ASSERT_EQUAL(memcmp(&p.from.remote, &to->local, sizeof(to->local)), 0);
	CU_ASSERT_EQUAL(memcmp(&p.from.local, &to->remote, sizeof(to->remote)), 0);
}

/* sums_ok - checksums as they are to be: of an IPv4 header; of UDP over IPv6, and none over IPv4
 * (RFC 3948 2.1). */
static bool sums_ok(const uint8_t *ip, size_t len)
{
	bool v4 = ip[0] >> 4 == 4;
	uint32_t at = v4 ? 20 : 40, sum = 0;

	for (uint32_t i = 0; v4 && i < at; i += 2)
		sum += load_be16(ip + i);
	if (v4)
		return sum % 0xffff == 0 && (ip[9] != 17 || load_be16(ip + at + 6) == 0);
	if (ip[6] != 17)
		return true;
	sum = 17 + (uint32_t)(len - at);
	for (size_t i = 8; i < len; i += 2)
		sum += load_be16(ip + i);
	return sum % 0xffff == 0;
}

/* Sealed packets of a vector by turns to different places, one of them too long: each has its own
 * headers. */
static void test_run_of_sealed(void)
{
	struct path_addr to[] = {
		{.local = {.addr = addr("192.0.2.1"), .port = 4500},
		 .remote = {.addr = addr("198.51.100.1"), .port = 4500},
		 .encap = ENCAP_UDP},
		{.local = {.addr = addr("192.0.2.1")}, .remote = {.addr = addr("198.51.100.2")}},
		{.local = {.addr = addr("2001:db8:2::1"), .port = 4500},
		 .remote = {.addr = addr("2001:db8:9::1"), .port = 4500},
		 .encap = ENCAP_UDP},
	};
	static const uint8_t turns[] = {0, 0, 1, 1, 2, 2, 1, 1, 2, 0};
	struct pktvec v = {.num = ARRAY_LEN(turns)};
	struct path_addr took;
	uint8_t buf[2048];
	struct stand s;
	size_t n;

	begin(&s);
	tell_all(&s);
	for (uint32_t i = 0; i < v.num; i++) {
		struct packet *p = v.pkt[i] = packet_get(s.pool);

		p->len = i == 7 ? 1490 : 64 + 2 * i;
		memset(p->data, 0x40 + (int)i, p->len);
		p->to = &to[turns[i]];
		p->dscp_ecn = (uint8_t)(i << 3);
		p->flags = i & 1 ? PACKET_F_DF : 0;
	}
	lane_outer(s.lane, 0)->ops->tx(lane_outer(s.lane, 0), &v);
	for (uint32_t i = 0, id = 0; i < ARRAY_LEN(turns); i++) {
		const struct path_addr *t = &to[turns[i]];

		if (i == 7) { /* the host's, by the socket for it */
			CU_ASSERT_TRUE(memory_take(s.esp_far, buf, sizeof(buf), &n, &took));
			CU_ASSERT_TRUE(n == 1490 && memcmp(&took, t, sizeof(took)) == 0);
			continue;
		}
		CU_ASSERT_TRUE_FATAL(memory_take(s.wire[WAN], buf, sizeof(buf), &n, NULL));
		struct packet p = {.data = buf, .buf = buf, .len = (uint32_t)n, .cap = sizeof(buf)};

		CU_ASSERT_EQUAL(memcmp(buf, router_mac, 6), 0);
		CU_ASSERT_TRUE(sums_ok(buf + 14, n - 14));
		if (t->remote.addr.family == IP_V4) {
			CU_ASSERT_EQUAL(load_be16(buf + 14 + 4), id);
			CU_ASSERT_EQUAL(load_be16(buf + 14 + 6), i & 1 ? 0x4000 : 0);
		}
		id++;
		CU_ASSERT_TRUE_FATAL(frame_strip_ethernet(&p) && frame_strip_outer(&p));
		CU_ASSERT_TRUE(p.len == 64 + 2 * i && p.data[p.len - 1] == 0x40 + i);
		CU_ASSERT_EQUAL(p.dscp_ecn, i << 3);
		CU_ASSERT_EQUAL(memcmp(&p.from.remote, &t->local, sizeof(t->local)), 0);
		CU_ASSERT_EQUAL(memcmp(&p.from.local, &t->remote, sizeof(t->remote)), 0);
		CU_ASSERT_EQUAL(p.from.encap, t->encap);
	}
	CU_ASSERT_FALSE(memory_take(s.wire[WAN], buf, sizeof(buf), &n, NULL));
	end(&s);
}

static void test_sealed(void)
{
	struct path_addr to = {.local = {.addr = addr("192.0.2.1"), .port = 4500},
			       .remote = {.addr = addr("198.51.100.1"), .port = 4500},
			       .encap = ENCAP_UDP};
	struct path_addr bare6 = {.local = {.addr = addr("2001:db8:2::1")},
				  .remote = {.addr = addr("2001:db8:9::1")}};
	struct path_addr took;
	uint8_t buf[2048];
	struct stand s;
	size_t n;

	begin(&s);
	tell_all(&s);
	sealed(&s, &to);
	check_sealed(&s, &to);
	sealed(&s, &bare6);
	check_sealed(&s, &bare6);
	/* No neighbour: by the host's sockets, which will have one. */
	tell_neigh(&s, "192.0.2.254", IF_WAN, NULL, false);
	tell_neigh(&s, "2001:db8:2::fe", IF_WAN, NULL, false);
	settle(&s);
	sealed(&s, &to);
	CU_ASSERT_TRUE(memory_take(s.udp_far, buf, sizeof(buf), &n, &took));
	CU_ASSERT_EQUAL(n, PAYLOAD);
	CU_ASSERT_EQUAL(memcmp(&took, &to, sizeof(to)), 0);
	sealed(&s, &bare6);
	CU_ASSERT_TRUE(memory_take(s.esp_far, buf, sizeof(buf), &n, &took));
	CU_ASSERT_FALSE(memory_take(s.wire[WAN], buf, sizeof(buf), &n, NULL));
	end(&s);
}

/* A longer packet than the link takes is cut by the host, or its sender told. */
static void test_sealed_that_is_too_long(void)
{
	struct path_addr to = {.local = {.addr = addr("192.0.2.1"), .port = 4500},
			       .remote = {.addr = addr("198.51.100.1"), .port = 4500},
			       .encap = ENCAP_UDP};
	uint8_t buf[2048];
	struct stand s;
	size_t n;

	begin(&s);
	tell_all(&s);
	tell_link(&s, IF_WAN, true, PAYLOAD + 28);
	sealed(&s, &to);
	check_sealed(&s, &to);
	tell_link(&s, IF_WAN, true, PAYLOAD + 27);
	sealed(&s, &to);
	CU_ASSERT_TRUE(memory_take(s.udp_far, buf, sizeof(buf), &n, NULL));
	end(&s);
}

/* ---- following the host --------------------------------------------------------------------- */

static void test_routes_that_change(void)
{
	const struct host_change dump_begin = {.kind = HOST_CHANGE_BEGIN};
	const struct host_change dump_end = {.kind = HOST_CHANGE_END};
	struct host_change gone = {.kind = HOST_CHANGE_ROUTE, .table = MAIN, .gone = true};
	struct lane_stats st;
	struct stand s;

	begin(&s);
	tell_all(&s);
	tell_neigh(&s, "192.0.2.253", IF_WAN, client_mac, false);
	make_v4(&s, LAN, "10.2.0.9", "203.0.113.9");
	tell_route(&s, MAIN, "0.0.0.0/0", IF_WAN, "192.0.2.253"); /* ip route replace */
	settle(&s);
	decrypted(&s);
	CU_ASSERT_TRUE(forwarded(&s, WAN, client_mac));
	tell_route(&s, MAIN, "203.0.113.0/24", IF_LAN, "10.1.0.9"); /* one that is longer */
	settle(&s);
	decrypted(&s);
	CU_ASSERT_TRUE(forwarded(&s, LAN, client_mac));
	CU_ASSERT_EQUAL(ip_prefix_parse(&gone.dst, "203.0.113.0/24"), ERR_OK);
	gone.ifindex = IF_WAN; /* not that one: it went by another device */
	lane_change(s.lane, &gone);
	settle(&s);
	decrypted(&s);
	CU_ASSERT_TRUE(forwarded(&s, LAN, client_mac));
	gone.ifindex = IF_LAN;
	lane_change(s.lane, &gone);
	settle(&s);
	decrypted(&s);
	CU_ASSERT_TRUE(forwarded(&s, WAN, client_mac));
	/* What a dump does not name is gone. */
	lane_change(s.lane, &dump_begin);
	tell_route(&s, MAIN, "10.1.0.0/24", IF_LAN, NULL);
	lane_change(s.lane, &dump_end);
	settle(&s);
	decrypted(&s);
	CU_ASSERT_TRUE(at_tap(&s));
	lane_stats(s.lane, 0, &st);
	CU_ASSERT_EQUAL(st.routes, 1);
	CU_ASSERT_EQUAL(st.neighbours, 0);
	end(&s);
}

/* ---- the table ------------------------------------------------------------------------------ */

#define NUM_RANDOM 400

static bool covers(const struct fib_route *r, const struct ip_addr *a)
{
	const struct ip_prefix p = {.addr = r->dst, .len = r->len};

	return r->dst.family == a->family && ip_prefix_contains(&p, a);
}

static struct ip_addr random_addr(void)
{
	struct ip_addr a = {.family = random() & 1 ? IP_V4 : IP_V6};

	for (int i = 0; i < (a.family == IP_V4 ? 4 : 16); i++)
		a.b[i] = (uint8_t)(random() & 3);
	return a;
}

/* Against the definition: the longest prefix that covers the address. */
static void test_longest_prefix(void)
{
	static struct fib_route routes[NUM_RANDOM];
	struct fib_reader r;
	struct fib *f;
	uint32_t found = 0;

	CU_ASSERT_EQUAL_FATAL(fib_reader_init(&r), ERR_OK);
	srandom(4301);
	for (uint32_t i = 0; i < NUM_RANDOM; i++) {
		routes[i].dst = random_addr();
		routes[i].len = (uint8_t)(random() % (routes[i].dst.family == IP_V4 ? 33 : 129));
		routes[i].set = FIB_MAIN;
		routes[i].metric = (uint32_t)random() & 3;
	}
	f = fib_new(1, routes, NUM_RANDOM, NULL, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_PTR_EQUAL(fib_read(&r, f), &r);
	for (int n = 0; n < 20000; n++) {
		struct ip_addr a = random_addr();
		const struct fib_route *is = fib_route(f, FIB_MAIN, &a), *best = NULL;

		for (uint32_t i = 0; i < NUM_RANDOM; i++)
			if (covers(&routes[i], &a) &&
			    (!best || routes[i].len > best->len ||
			     (routes[i].len == best->len && routes[i].metric < best->metric)))
				best = &routes[i];
		CU_ASSERT_EQUAL_FATAL(is != NULL, best != NULL);
		CU_ASSERT_PTR_EQUAL_FATAL(fib_find(&r, a.family, a.b)->route, is);
		CU_ASSERT_PTR_EQUAL_FATAL(fib_find(&r, a.family, a.b)->route,
					  is); /* as it was kept */
		if (!is)
			continue;
		found++;
		CU_ASSERT_EQUAL_FATAL(is->len, best->len);
		CU_ASSERT_EQUAL_FATAL(is->metric, best->metric);
		CU_ASSERT_PTR_NULL(fib_route(f, FIB_PROTECT, &a));
	}
	CU_ASSERT_TRUE(found > 1000);
	fib_free(f);
	fib_reader_fini(&r);
}

/* What a worker keeps is its own, and of this table only: one that lies where another did knows
 * nothing of it. */
static void test_readers(void)
{
	const struct ip_addr a = addr("10.1.2.3");
	const struct fib_route here = {.dst = a, .len = 32, .set = FIB_MAIN, .local = true};
	struct fib_reader r[2];
	struct fib *f[8];

	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL_FATAL(fib_reader_init(&r[i]), ERR_OK);
		CU_ASSERT_PTR_NULL(fib_read(&r[i], NULL));
	}
	for (uint64_t i = 0; i < ARRAY_LEN(f); i++) {
		f[i] = fib_new(i + 1, &here, i % 2, NULL, 0);
		CU_ASSERT_PTR_NOT_NULL_FATAL(f[i]);
		for (int k = 0; k < 2; k++)
			CU_ASSERT_EQUAL(fib_find(fib_read(&r[k], f[i]), IP_V4, a.b)->local, i % 2);
		fib_free(f[i]); /* the next one is likely to lie there */
	}
	for (int i = 0; i < 2; i++)
		fib_reader_fini(&r[i]);
}

/* ---- hostile frames ------------------------------------------------------------------------- */

/* sort_copy - in a buffer that ends where the frame does: a read beyond it is seen. */
static void sort_copy(struct lane_sort *how, const uint8_t *frame, size_t len)
{
	for (int host = 0; host < 2; host++) {
		uint8_t *copy = malloc(len ? len : 1);
		struct packet p = {.data = copy, .buf = copy, .len = (uint32_t)len};

		memcpy(copy, frame, len);
		if (host)
			(void)lane_sort_host(&p, how);
		else
			(void)lane_sort_wire(&p, how);
		CU_ASSERT_TRUE_FATAL(p.data >= copy && p.data + p.len <= copy + len);
		free(copy);
	}
}

static void test_cut_short_and_bits_turned(void)
{
	const struct fib_route us[] = {
		{.dst = addr("192.0.2.1"), .len = 32, .set = FIB_MAIN, .local = true},
		{.dst = addr("2001:db8:2::1"), .len = 128, .set = FIB_MAIN, .local = true}};
	struct lane_sort how = {.port_ike = 500, .port_nat_t = 4500};
	struct fib *f = fib_new(1, us, 2, NULL, 0);
	struct fib_reader r;
	struct stand s = {0};

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL_FATAL(fib_reader_init(&r), ERR_OK);
	how.fib = fib_read(&r, f);
	memcpy(how.mac, macs[WAN], 6);
	for (int kind = 0; kind < 6; kind++) {
		if (kind < 3) {
			make_v4(&s, WAN, "198.51.100.1", "192.0.2.1");
			s.frame[14 + 9] = (uint8_t[]){17, 50, 1}[kind];
			store_be16(s.frame + 36, kind ? 0x0304 : 4500);
			checksum(s.frame + 14);
		} else {
			make_v6(&s, "2001:db8:9::1", "2001:db8:2::1",
				(uint8_t[]){17, 50, 58}[kind - 3]);
		}
		for (size_t len = 0; len <= s.len; len++)
			sort_copy(&how, s.frame, len);
		for (size_t bit = 0; bit < s.len * 8; bit++) {
			s.frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
			sort_copy(&how, s.frame, s.len);
			s.frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
	fib_free(f);
	fib_reader_fini(&r);
}

/* ---- with a data path ----------------------------------------------------------------------- */

static uint32_t add_policy(struct dataplane *dp, enum policy_action action, const char *remote)
{
	struct policy_params p = {
		.layer = POLICY_CONFIG, .action = action, .num_local = 1, .num_remote = 1};
	struct ts local, there;
	uint32_t id = 0;

	CU_ASSERT_EQUAL_FATAL(ts_parse(&local, "10.1.0.0/24"), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(ts_parse(&there, remote), ERR_OK);
	p.local = &local;
	p.remote = &there;
	if (action == POLICY_PROTECT)
		CU_ASSERT_EQUAL_FATAL(dataplane_group_add(dp, &p.group), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(dataplane_policy_add(dp, &id, &p), ERR_OK);
	return id;
}

/* The policies decide before the host gets a frame from the wire, and before the wire gets one from
 * the host: what is to be protected, or not to pass, is seen by neither. */
static void test_policies_stand_between_wire_and_host(void)
{
	static const struct {
		const char *dst;
		bool passes;
	} cases[] = {
		{"203.0.113.1", true}, /* no policy */
		{"10.3.0.1", true},    /* bypass */
		{"10.4.0.1", false},   /* discard */
		{"10.2.0.1", false},   /* protect: it waits for an SA */
	};
	struct dataplane_config config = {.num_packets = 256};
	struct dataplane_stats st;
	struct dataplane *dp;
	uint16_t port;
	struct stand s;

	begin(&s);
	CU_ASSERT_EQUAL_FATAL(dataplane_new(&dp, &config), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_attach(dp, &port, lane_inner(s.lane, 0)), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_attach(dp, &port, lane_outer(s.lane, 0)), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_attach(dp, &port, s.tap), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_attach(dp, &port, s.udp), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_attach(dp, &port, s.esp), ERR_OK);
	tell_all(&s);
	(void)add_policy(dp, POLICY_BYPASS, "10.3.0.0/16");
	(void)add_policy(dp, POLICY_DISCARD, "10.4.0.0/16");
	(void)add_policy(dp, POLICY_PROTECT, "10.2.0.0/16");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		make_v4(&s, LAN, "10.1.0.9", cases[i].dst);
		to_wire(&s, LAN);
		dataplane_poll(dp, NS_PER_S);
		CU_ASSERT_EQUAL(at_shadow(&s, LAN), cases[i].passes);
		memcpy(s.frame, router_mac, 6);
		to_shadow(&s, WAN);
		dataplane_poll(dp, NS_PER_S);
		CU_ASSERT_EQUAL(at_wire(&s, WAN), cases[i].passes);
	}
	dataplane_stats(dp, &st);
	CU_ASSERT_EQUAL(st.held, 2);
	CU_ASSERT_EQUAL(st.tx_packets, 4);
	CU_ASSERT_EQUAL(st.rx_packets, 8);
	dataplane_free(dp);
	lane_free(s.lane);
	end_host(&s);
}

/* test_checksum_with_the_ttl - for every identification it is the one that a whole sum gives. */
static void test_checksum_with_the_ttl(void)
{
	uint8_t h[20] = {0x45, 0, 0, 84, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 1, 0, 9, 10, 2, 0, 9};
	uint32_t wrong = 0;

	for (uint32_t id = 0; id <= UINT16_MAX; id++) {
		store_be16(h + 4, (uint16_t)id);
		store_be16(h + 10, ip4_checksum(h, sizeof(h)));
		uint16_t before = load_be16(h + 10);

		lane_ttl_less(h);
		wrong += load_be16(h + 10) != ip4_checksum(h, sizeof(h));
		lane_ttl_more(h);
		wrong += load_be16(h + 10) != before;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(h[8], 64);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_host_has_what_is_nobodys),
	TAP_TEST(test_passed_frame_is_as_it_was),
	TAP_TEST(test_which_way_from_the_wire),
	TAP_TEST(test_esp_in_udp),
	TAP_TEST(test_run_of_frames),
	TAP_TEST(test_icmp_that_quotes_our_esp),
	TAP_TEST(test_which_way_from_the_host),
	TAP_TEST(test_decrypted_is_forwarded),
	TAP_TEST(test_decrypted_that_is_left_to_the_host),
	TAP_TEST(test_neighbour_that_ages),
	TAP_TEST(test_sealed),
	TAP_TEST(test_sealed_that_is_too_long),
	TAP_TEST(test_run_of_sealed),
	TAP_TEST(test_routes_that_change),
	TAP_TEST(test_longest_prefix),
	TAP_TEST(test_readers),
	TAP_TEST(test_cut_short_and_bits_turned),
	TAP_TEST(test_policies_stand_between_wire_and_host),
	TAP_TEST(test_checksum_with_the_ttl),
};
TAP_MAIN("drivers/lane", tests)
