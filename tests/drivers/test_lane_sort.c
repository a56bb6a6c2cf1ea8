/* SPDX-License-Identifier: Apache-2.0 */
/* The fast lane over devices in memory: which way a frame from the wire goes, hostile ones too. */
#include "drivers/lane/sort.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "drivers/lane/fib.h"

#include "tests/drivers/lane_stand.h"
#include "tests/tap/tap.h"

#define NEVER UINT32_MAX

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
	{"longer than the frame", "10.1.0.9", "10.2.0.9", 14 + 3, STAND_V4_LEN, false, LANE_HOST},
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

	stand_begin(&s);
	stand_tell_all(&s);
	inner = lane_inner(s.lane, 0);
	outer = lane_outer(s.lane, 0);
	for (size_t i = 0; i < ARRAY_LEN(wire_cases); i++) {
		const struct wire_case *c = &wire_cases[i];

		stand_make_v4(&s, WAN, c->src, c->dst);
		if (c->at != NEVER)
			s.frame[c->at] = c->value;
		if (!c->bad_sum)
			stand_ip4_sum(s.frame + 14);
		stand_to_wire(&s, WAN);
		uint32_t num_inner = stand_receive(&s, inner, &a),
			 num_outer = stand_receive(&s, outer, &b);
		bool host = stand_at_shadow(&s, WAN);
		bool right = num_inner == (c->way == LANE_INNER) &&
			     num_outer == (c->way == LANE_OUTER) && host == (c->way == LANE_HOST);

		if (!right)
			tap_diag("%s: inner %u, outer %u, host %d", c->what, num_inner, num_outer,
				 host);
		CU_ASSERT_TRUE(right);
		stand_put_all(&a);
		stand_put_all(&b);
	}
	stand_end(&s);
}

/* ESP in UDP is told from IKE and keepalives on the same port. */
static void test_esp_in_udp(void)
{
	struct driver *outer;
	struct pktvec v;
	struct stand s;
	uint8_t *u = s.frame + 14 + 20;

	stand_begin(&s);
	stand_tell_all(&s);
	outer = lane_outer(s.lane, 0);
	stand_make_v4(&s, WAN, "198.51.100.1", "192.0.2.1");
	store_be16(u, 61234);
	store_be16(u + 2, 4500);
	s.frame[14 + 1] = 0xb9;
	stand_ip4_sum(s.frame + 14);
	stand_to_wire(&s, WAN);
	CU_ASSERT_EQUAL(stand_receive(&s, lane_inner(s.lane, 0), &v), 0);
	CU_ASSERT_EQUAL_FATAL(stand_receive(&s, outer, &v), 1);
	struct packet *p = v.pkt[0];

	CU_ASSERT_EQUAL(p->len, STAND_PAYLOAD);
	CU_ASSERT_EQUAL(p->data[0], 0xaa);
	CU_ASSERT_EQUAL(p->dscp_ecn, 0xb9);
	CU_ASSERT_EQUAL(p->from.encap, ENCAP_UDP);
	CU_ASSERT_EQUAL(p->from.remote.port, 61234);
	CU_ASSERT_EQUAL(p->from.local.port, 4500);
	CU_ASSERT_EQUAL(p->from.ifindex, IF_WAN);
	CU_ASSERT_EQUAL(p->from.remote.addr.b[0], 198);
	stand_put_all(&v);

	store_be32(u + 8, 0); /* IKE */
	stand_to_wire(&s, WAN);
	CU_ASSERT_EQUAL(stand_receive(&s, lane_inner(s.lane, 0), &v), 0);
	CU_ASSERT_EQUAL(stand_receive(&s, outer, &v), 0);
	CU_ASSERT_TRUE(stand_at_shadow(&s, WAN));
	store_be16(u + 4, 9); /* a keepalive */
	u[8] = 0xff;
	stand_to_wire(&s, WAN);
	CU_ASSERT_EQUAL(stand_receive(&s, lane_inner(s.lane, 0), &v), 0);
	CU_ASSERT_EQUAL(stand_receive(&s, outer, &v), 0);
	CU_ASSERT_TRUE(stand_at_shadow(&s, WAN));

	stand_make_v6(&s, "2001:db8:9::1", "2001:db8:2::1", 50);
	stand_to_wire(&s, WAN);
	CU_ASSERT_EQUAL(stand_receive(&s, lane_inner(s.lane, 0), &v), 0);
	CU_ASSERT_EQUAL_FATAL(stand_receive(&s, outer, &v), 1);
	CU_ASSERT_EQUAL(v.pkt[0]->len, STAND_PAYLOAD);
	CU_ASSERT_EQUAL(v.pkt[0]->from.encap, ENCAP_NONE);
	stand_put_all(&v);
	stand_end(&s);
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

	stand_begin(&s);
	stand_tell_all(&s);
	for (size_t i = 0; i < ARRAY_LEN(run); i++) {
		if (strchr(run[i].src, ':')) {
			stand_make_v6(&s, run[i].src, run[i].dst, run[i].proto);
		} else {
			stand_make_v4(&s, WAN, run[i].src, run[i].dst);
			s.frame[14 + 9] = run[i].proto;
			stand_ip4_sum(s.frame + 14);
		}
		stand_to_wire(&s, WAN);
	}
	stand_receive(&s, lane_inner(s.lane, 0), &inner);
	stand_receive(&s, lane_outer(s.lane, 0), &outer);
	for (size_t i = 0; i < ARRAY_LEN(run); i++) {
		uint32_t k = num[run[i].way]++;
		struct ip_addr src = stand_addr(run[i].src), dst = stand_addr(run[i].dst);

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
	stand_put_all(&inner);
	stand_put_all(&outer);
	stand_end(&s);
}

/* An error that quotes our ESP is not for the host; of another packet it is. */
static void test_icmp_that_quotes_our_esp(void)
{
	static const uint8_t protos[] = {50, 17, 6};
	struct pktvec v;
	struct stand s;
	uint8_t *m = s.frame + 14 + 20, *q = m + 8;

	stand_begin(&s);
	stand_tell_all(&s);
	for (size_t i = 0; i < ARRAY_LEN(protos); i++) {
		struct ip_addr us = stand_addr("192.0.2.1"), peer = stand_addr("198.51.100.1");

		stand_make_v4(&s, WAN, "192.0.2.77", "192.0.2.1");
		s.frame[14 + 9] = 1;
		stand_ip4_sum(s.frame + 14);
		memset(m, 0, STAND_PAYLOAD + 8);
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
		stand_to_wire(&s, WAN);
		CU_ASSERT_EQUAL(stand_receive(&s, lane_inner(s.lane, 0), &v), 0);
		CU_ASSERT_EQUAL(stand_receive(&s, lane_outer(s.lane, 0), &v), protos[i] != 6);
		if (v.num)
			CU_ASSERT_TRUE(v.pkt[0]->flags & PACKET_F_IP);
		stand_put_all(&v);
		CU_ASSERT_EQUAL(stand_at_shadow(&s, WAN), protos[i] == 6);
		if (protos[i] != 17)
			continue;
		store_be32(q + 28, 0); /* IKE's */
		stand_to_wire(&s, WAN);
		CU_ASSERT_EQUAL(stand_receive(&s, lane_inner(s.lane, 0), &v), 0);
		CU_ASSERT_EQUAL(stand_receive(&s, lane_outer(s.lane, 0), &v), 0);
		CU_ASSERT_TRUE(stand_at_shadow(&s, WAN));
	}
	stand_end(&s);
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
		{.dst = stand_addr("192.0.2.1"), .len = 32, .set = FIB_MAIN, .local = true},
		{.dst = stand_addr("2001:db8:2::1"), .len = 128, .set = FIB_MAIN, .local = true}};
	struct lane_sort how = {.port_ike = 500, .port_nat_t = 4500};
	struct fib *f = fib_new(1, us, 2, NULL, 0);
	struct fib_reader r;
	struct stand s = {0};

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL_FATAL(fib_reader_init(&r), ERR_OK);
	how.fib = fib_read(&r, f);
	memcpy(how.mac, stand_macs[WAN], 6);
	for (int kind = 0; kind < 6; kind++) {
		if (kind < 3) {
			stand_make_v4(&s, WAN, "198.51.100.1", "192.0.2.1");
			s.frame[14 + 9] = (uint8_t[]){17, 50, 1}[kind];
			store_be16(s.frame + 36, kind ? 0x0304 : 4500);
			stand_ip4_sum(s.frame + 14);
		} else {
			stand_make_v6(&s, "2001:db8:9::1", "2001:db8:2::1",
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

static const struct tap_test tests[] = {
	TAP_TEST(test_which_way_from_the_wire),
	TAP_TEST(test_esp_in_udp),
	TAP_TEST(test_run_of_frames),
	TAP_TEST(test_icmp_that_quotes_our_esp),
	TAP_TEST(test_cut_short_and_bits_turned),
};
TAP_MAIN("drivers/lane_sort", tests)
