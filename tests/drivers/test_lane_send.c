/* SPDX-License-Identifier: Apache-2.0 */
/* The fast lane over devices in memory: what it sends by itself, decrypted and sealed, and what of
 * that it leaves to the host. */
#include "dataplane/pool.h"
#include "drivers/ip_frame.h"
#include "drivers/memory.h"

#include "tests/drivers/lane_stand.h"
#include "tests/tap/tap.h"

/* ---- decrypted ------------------------------------------------------------------------------ */

static void test_decrypted_is_forwarded(void)
{
	struct stand s;

	stand_begin(&s);
	stand_make_v4(&s, LAN, "10.2.0.9", "10.1.0.9");
	stand_decrypted(&s); /* nothing is known yet */
	CU_ASSERT_TRUE(stand_at_tap(&s));
	stand_tell_all(&s);
	stand_decrypted(&s);
	CU_ASSERT_TRUE(stand_forwarded(&s, LAN, stand_client_mac));
	CU_ASSERT_FALSE(stand_at_tap(&s));
	stand_make_v4(&s, LAN, "10.2.0.9", "203.0.113.9"); /* by the default route */
	stand_decrypted(&s);
	CU_ASSERT_TRUE(stand_forwarded(&s, WAN, stand_router_mac));
	stand_end(&s);
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

	stand_begin(&s);
	stand_tell_all(&s);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		stand_make_v4(&s, LAN, "10.2.0.9", cases[i].dst);
		stand_decrypted(&s);
		if (!stand_at_tap(&s)) {
			tap_diag("%s", cases[i].what);
			CU_FAIL("it did not reach the host");
		}
	}
	stand_make_v4(&s, LAN, "10.2.0.9", "10.1.0.9");
	stand_decrypted_as(&s, PACKET_F_HOST); /* a policy is about it there */
	CU_ASSERT_TRUE(stand_at_tap(&s));
	s.frame[14 + 8] = 1; /* its sender is to be told */
	stand_decrypted(&s);
	CU_ASSERT_TRUE(stand_at_tap(&s));
	s.frame[14 + 8] = 64;
	stand_tell_link(&s, IF_LAN, true, STAND_V4_LEN - 14 - 1); /* too long for the link */
	stand_decrypted(&s);
	CU_ASSERT_TRUE(stand_at_tap(&s));
	stand_tell_link(&s, IF_LAN, true, STAND_V4_LEN - 14);
	stand_decrypted(&s);
	CU_ASSERT_FALSE(stand_at_tap(&s));
	stand_tell_link(&s, IF_LAN, false, 1500); /* ip link set down */
	stand_decrypted(&s);
	CU_ASSERT_TRUE(stand_at_tap(&s));
	stand_tell_link(&s, IF_LAN, true, 1500);
	lane_link(s.lane, LAN, false); /* the cable */
	stand_decrypted(&s);
	CU_ASSERT_TRUE(stand_at_tap(&s));
	stand_end(&s);
}

/* ---- sealed --------------------------------------------------------------------------------- */

/* in_udp - between ports 4500 of two hosts. */
static struct path_addr in_udp(const char *local, const char *remote)
{
	return (struct path_addr){.local = {.addr = stand_addr(local), .port = 4500},
				  .remote = {.addr = stand_addr(remote), .port = 4500},
				  .encap = ENCAP_UDP};
}

static void sealed(struct stand *s, struct path_addr *to)
{
	struct driver *d = lane_outer(s->lane, 0);
	struct packet *p = packet_get(s->pool);
	struct pktvec v = {.num = 1, .pkt = {p}};

	p->len = STAND_PAYLOAD;
	memset(p->data, 0x5a, STAND_PAYLOAD);
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

	CU_ASSERT_EQUAL(memcmp(buf, stand_router_mac, 6), 0);
	CU_ASSERT_EQUAL(memcmp(buf + 6, stand_macs[WAN], 6), 0);
	CU_ASSERT_TRUE_FATAL(frame_strip_ethernet(&p));
	CU_ASSERT_TRUE_FATAL(frame_strip_outer(&p));
	CU_ASSERT_EQUAL(p.len, STAND_PAYLOAD);
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
		in_udp("192.0.2.1", "198.51.100.1"),
		{.local = {.addr = stand_addr("192.0.2.1")},
		 .remote = {.addr = stand_addr("198.51.100.2")}},
		in_udp("2001:db8:2::1", "2001:db8:9::1"),
	};
	static const uint8_t turns[] = {0, 0, 1, 1, 2, 2, 1, 1, 2, 0};
	struct pktvec v = {.num = ARRAY_LEN(turns)};
	struct path_addr took;
	uint8_t buf[2048];
	struct stand s;
	size_t n;

	stand_begin(&s);
	stand_tell_all(&s);
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

		CU_ASSERT_EQUAL(memcmp(buf, stand_router_mac, 6), 0);
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
	stand_end(&s);
}

static void test_sealed(void)
{
	struct path_addr to = in_udp("192.0.2.1", "198.51.100.1");
	struct path_addr bare6 = {.local = {.addr = stand_addr("2001:db8:2::1")},
				  .remote = {.addr = stand_addr("2001:db8:9::1")}};
	struct path_addr took;
	uint8_t buf[2048];
	struct stand s;
	size_t n;

	stand_begin(&s);
	stand_tell_all(&s);
	sealed(&s, &to);
	check_sealed(&s, &to);
	sealed(&s, &bare6);
	check_sealed(&s, &bare6);
	/* No neighbour: by the host's sockets, which will have one. */
	stand_tell_neigh(&s, "192.0.2.254", IF_WAN, NULL, false);
	stand_tell_neigh(&s, "2001:db8:2::fe", IF_WAN, NULL, false);
	stand_settle(&s);
	sealed(&s, &to);
	CU_ASSERT_TRUE(memory_take(s.udp_far, buf, sizeof(buf), &n, &took));
	CU_ASSERT_EQUAL(n, STAND_PAYLOAD);
	CU_ASSERT_EQUAL(memcmp(&took, &to, sizeof(to)), 0);
	sealed(&s, &bare6);
	CU_ASSERT_TRUE(memory_take(s.esp_far, buf, sizeof(buf), &n, &took));
	CU_ASSERT_FALSE(memory_take(s.wire[WAN], buf, sizeof(buf), &n, NULL));
	stand_end(&s);
}

/* A longer packet than the link takes is cut by the host, or its sender told. */
static void test_sealed_that_is_too_long(void)
{
	struct path_addr to = in_udp("192.0.2.1", "198.51.100.1");
	uint8_t buf[2048];
	struct stand s;
	size_t n;

	stand_begin(&s);
	stand_tell_all(&s);
	stand_tell_link(&s, IF_WAN, true, STAND_PAYLOAD + 28);
	sealed(&s, &to);
	check_sealed(&s, &to);
	stand_tell_link(&s, IF_WAN, true, STAND_PAYLOAD + 27);
	sealed(&s, &to);
	CU_ASSERT_TRUE(memory_take(s.udp_far, buf, sizeof(buf), &n, NULL));
	stand_end(&s);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_decrypted_is_forwarded),
	TAP_TEST(test_decrypted_that_is_left_to_the_host),
	TAP_TEST(test_sealed),
	TAP_TEST(test_sealed_that_is_too_long),
	TAP_TEST(test_run_of_sealed),
};
TAP_MAIN("drivers/lane_send", tests)
