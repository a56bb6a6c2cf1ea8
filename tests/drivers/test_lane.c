/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fast lane over devices in memory, between the wires and the host: what is nobody's is the
 * host's, what no policy protects passes as it was, and the policies stand on both sides of the
 * host.
 */
#include "drivers/lane.h"

#include "base/clock.h"
#include "dataplane/dataplane.h"
#include "dataplane/fragment.h"
#include "drivers/lane/sort.h"

#include "tests/drivers/lane_stand.h"
#include "tests/tap/tap.h"

static void test_host_has_what_is_nobodys(void)
{
	struct driver *d;
	struct pktvec v;
	struct stand s;

	stand_begin(&s);
	d = lane_inner(s.lane, 0);
	/* Before anything is known all is the host's. */
	stand_make_v4(&s, LAN, "10.1.0.9", "10.2.0.9");
	stand_to_wire(&s, LAN);
	CU_ASSERT_EQUAL(stand_receive(&s, d, &v), 0);
	CU_ASSERT_TRUE(stand_at_shadow(&s, LAN));
	stand_tell_all(&s);

	store_be16(s.frame + 12, 0x0806); /* ARP */
	stand_to_wire(&s, LAN);
	CU_ASSERT_EQUAL(stand_receive(&s, d, &v), 0);
	CU_ASSERT_TRUE(stand_at_shadow(&s, LAN));
	/* And what the host says. */
	stand_to_shadow(&s, WAN);
	CU_ASSERT_EQUAL(stand_receive(&s, d, &v), 0);
	CU_ASSERT_TRUE(stand_at_wire(&s, WAN));

	stand_make_v4(&s, LAN, "10.1.0.9", "10.1.0.1"); /* for itself */
	stand_to_wire(&s, LAN);
	CU_ASSERT_EQUAL(stand_receive(&s, d, &v), 0);
	CU_ASSERT_TRUE(stand_at_shadow(&s, LAN));
	stand_end(&s);
}

/* What no policy protects comes back, and reaches the host as the very frame that came. */
static void test_passed_frame_is_as_it_was(void)
{
	struct driver *d;
	struct pktvec v;
	struct stand s;

	stand_begin(&s);
	stand_tell_all(&s);
	d = lane_inner(s.lane, 0);
	for (uint32_t ttl = 2; ttl < 256; ttl++) {
		stand_make_v4(&s, LAN, "10.1.0.9", "203.0.113.5");
		s.frame[14 + 8] = (uint8_t)ttl;
		stand_ip4_sum(s.frame + 14);
		stand_to_wire(&s, LAN);
		CU_ASSERT_EQUAL_FATAL(stand_receive(&s, d, &v), 1);
		CU_ASSERT_EQUAL(v.pkt[0]->data[8], ttl - 1);
		CU_ASSERT_EQUAL(v.pkt[0]->len, STAND_V4_LEN - 14);
		v.pkt[0]->flags |= PACKET_F_PASS;
		d->ops->tx(d, &v);
		CU_ASSERT_TRUE(stand_at_shadow(&s, LAN));
	}
	/* The other way the host's own frame leaves. */
	stand_make_v4(&s, WAN, "192.0.2.1", "203.0.113.5");
	memcpy(s.frame, stand_router_mac, 6);
	stand_to_shadow(&s, WAN);
	CU_ASSERT_EQUAL_FATAL(stand_receive(&s, d, &v), 1);
	CU_ASSERT_EQUAL(v.pkt[0]->data[8], 64);
	v.pkt[0]->flags |= PACKET_F_PASS;
	d->ops->tx(d, &v);
	CU_ASSERT_TRUE(stand_at_wire(&s, WAN));
	stand_end(&s);
}

/* What the host sends is judged, but for what keeps the link alive and our own IKE and ESP. */
static void test_which_way_from_the_host(void)
{
	struct driver *d;
	struct pktvec v;
	struct stand s;
	uint8_t *u = s.frame + 14 + 20;

	stand_begin(&s);
	stand_tell_all(&s);
	d = lane_inner(s.lane, 0);
	stand_make_v4(&s, WAN, "192.0.2.1", "198.51.100.1");
	stand_to_shadow(&s, WAN);
	CU_ASSERT_EQUAL(stand_receive(&s, d, &v), 1);
	CU_ASSERT_FALSE(stand_at_wire(&s, WAN));
	stand_put_all(&v);
	for (uint32_t port = 500; port <= 4500; port += 4000) {
		store_be16(u, (uint16_t)port);
		stand_to_shadow(&s, WAN);
		CU_ASSERT_EQUAL(stand_receive(&s, d, &v), 0);
		CU_ASSERT_TRUE(stand_at_wire(&s, WAN));
	}
	/* Another host's IKE, which is forwarded, is judged. */
	stand_make_v4(&s, WAN, "10.1.0.9", "198.51.100.1");
	store_be16(u, 500);
	stand_to_shadow(&s, WAN);
	CU_ASSERT_EQUAL(stand_receive(&s, d, &v), 1);
	stand_put_all(&v);
	stand_make_v6(&s, "2001:db8:2::1", "2001:db8:2::fe", 58);
	s.frame[14 + 40] = 135;
	s.frame[14 + 7] = 255;
	stand_to_shadow(&s, WAN);
	CU_ASSERT_EQUAL(stand_receive(&s, d, &v), 0);
	CU_ASSERT_TRUE(stand_at_wire(&s, WAN));
	s.frame[14 + 7] = 64;
	stand_to_shadow(&s, WAN);
	CU_ASSERT_EQUAL(stand_receive(&s, d, &v), 1);
	stand_put_all(&v);
	stand_end(&s);
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

	stand_begin(&s);
	CU_ASSERT_EQUAL_FATAL(dataplane_new(&dp, &config), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_attach(dp, &port, lane_inner(s.lane, 0)), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_attach(dp, &port, lane_outer(s.lane, 0)), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_attach(dp, &port, s.tap), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_attach(dp, &port, s.udp), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_attach(dp, &port, s.esp), ERR_OK);
	stand_tell_all(&s);
	(void)add_policy(dp, POLICY_BYPASS, "10.3.0.0/16");
	(void)add_policy(dp, POLICY_DISCARD, "10.4.0.0/16");
	(void)add_policy(dp, POLICY_PROTECT, "10.2.0.0/16");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		stand_make_v4(&s, LAN, "10.1.0.9", cases[i].dst);
		stand_to_wire(&s, LAN);
		dataplane_poll(dp, NS_PER_S);
		CU_ASSERT_EQUAL(stand_at_shadow(&s, LAN), cases[i].passes);
		memcpy(s.frame, stand_router_mac, 6);
		stand_to_shadow(&s, WAN);
		dataplane_poll(dp, NS_PER_S);
		CU_ASSERT_EQUAL(stand_at_wire(&s, WAN), cases[i].passes);
	}
	dataplane_stats(dp, &st);
	CU_ASSERT_EQUAL(st.held, 2);
	CU_ASSERT_EQUAL(st.tx_packets, 4);
	CU_ASSERT_EQUAL(st.rx_packets, 8);
	dataplane_free(dp);
	lane_free(s.lane);
	stand_end_host(&s);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_host_has_what_is_nobodys),
	TAP_TEST(test_passed_frame_is_as_it_was),
	TAP_TEST(test_which_way_from_the_host),
	TAP_TEST(test_checksum_with_the_ttl),
	TAP_TEST(test_policies_stand_between_wire_and_host),
};
TAP_MAIN("drivers/lane", tests)
