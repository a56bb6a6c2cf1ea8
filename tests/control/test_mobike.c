/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/wire/mobike.h"

#include "tests/control/hex.h"

static const struct ike_header header = {.exchange = INFORMATIONAL};

static struct ip_addr addr(const char *text)
{
	struct ip_addr a = {0};

	CU_ASSERT_EQUAL_FATAL(ip_addr_parse(&a, text), ERR_OK);
	return a;
}

static struct path_addr path(const char *local, uint16_t local_port, const char *remote,
			     uint16_t remote_port)
{
	return (struct path_addr){.local = {.addr = addr(local), .port = local_port},
				  .remote = {.addr = addr(remote), .port = remote_port}};
}

/* A message of these notifies, parsed; buf stays its bytes. */
static struct bytes message(struct ike_msg *m, uint8_t buf[1024], const struct mobike_addrs *addrs,
			    const struct path_addr *no_nats)
{
	struct ike_builder b;
	struct bytes out;

	ike_build_begin(&b, buf, 1024, &header);
	mobike_addrs_build(&b, addrs);
	if (no_nats)
		mobike_no_nats_build(&b, no_nats);
	CU_ASSERT_EQUAL_FATAL(ike_build_finish(&b, &out, NULL), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(ike_msg_parse(m, out), ERR_OK);
	return out;
}

static void test_addresses(void)
{
	struct mobike_addrs sent = {.num = 3}, got;
	struct ike_msg m;
	uint8_t buf[1024];

	sent.list[0] = addr("192.0.2.7");
	sent.list[1] = addr("2001:db8::7");
	sent.list[2] = addr("198.51.100.7");
	message(&m, buf, &sent, NULL);
	CU_ASSERT_EQUAL(wire_notify_check(&m), ERR_OK);
	mobike_addrs_take(&got, &m);
	CU_ASSERT_EQUAL_FATAL(got.num, 3);
	for (uint8_t i = 0; i < 3; i++) {
		CU_ASSERT(ip_addr_equal(&got.list[i], &sent.list[i]));
		CU_ASSERT(mobike_addrs_have(&got, &sent.list[i]));
	}
	sent.list[0] = addr("192.0.2.8");
	CU_ASSERT_FALSE(mobike_addrs_have(&got, &sent.list[0]));
}

/* What no other host can be reached at is not kept, nor is anything twice or without end (S3). */
static void test_S3_addresses_of_no_use(void)
{
	static const char *const bad[] = {
		"0.0.0.0", "127.0.0.1", "169.254.3.4", "224.0.0.1", "255.255.255.255",
		"::",      "::1",       "ff02::1",     "fe80::1"};
	static const char *const good[] = {"10.0.0.1", "223.255.255.255", "169.253.0.1", "fd00::1",
					   "2001:db8::1"};
	struct mobike_addrs sent = {.num = 4}, got;
	struct ip_addr a;
	struct ike_msg m;
	uint8_t buf[1024];

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		a = addr(bad[i]);
		CU_ASSERT_FALSE(mobike_addr_usable(&a));
	}
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		a = addr(good[i]);
		CU_ASSERT(mobike_addr_usable(&a));
	}
	sent.list[0] = sent.list[2] = addr("192.0.2.7");
	sent.list[1] = addr("127.0.0.1");
	sent.list[3] = addr("::1");
	message(&m, buf, &sent, NULL);
	mobike_addrs_take(&got, &m);
	CU_ASSERT_EQUAL(got.num, 1);
	sent.num = MOBIKE_ADDRS_MAX;
	for (uint8_t i = 0; i < MOBIKE_ADDRS_MAX; i++) {
		sent.list[i] = addr("192.0.2.0");
		sent.list[i].b[3] = (uint8_t)(i + 1);
	}
	message(&m, buf, &sent, NULL);
	m.payloads[m.num] = m.payloads[0]; /* one more, which is there already */
	m.num++;
	mobike_addrs_take(&got, &m);
	CU_ASSERT_EQUAL(got.num, MOBIKE_ADDRS_MAX);
}

/* Every field of NO_NATS_ALLOWED counts, in either version of IP. */
static void test_no_nats(void)
{
	const struct path_addr from[] = {path("192.0.2.1", 4500, "192.0.2.2", 4500),
					 path("2001:db8::1", 4500, "2001:db8::2", 500)};
	const struct mobike_addrs none = {.num = 0};
	struct ike_msg m;
	uint8_t buf[1024];

	for (size_t i = 0; i < ARRAY_LEN(from); i++) {
		struct path_addr at = {.local = from[i].remote, .remote = from[i].local}, other;

		message(&m, buf, &none, NULL);
		CU_ASSERT_FALSE(mobike_translated(&m, &at));
		message(&m, buf, &none, &from[i]);
		CU_ASSERT_FALSE(mobike_translated(&m, &at));
		other = at;
		other.remote.port++;
		CU_ASSERT(mobike_translated(&m, &other));
		other = at;
		other.local.port++;
		CU_ASSERT(mobike_translated(&m, &other));
		other = at;
		other.remote.addr.b[3]++;
		CU_ASSERT(mobike_translated(&m, &other));
		other = at;
		other.local.addr.b[3]++;
		CU_ASSERT(mobike_translated(&m, &other));
		CU_ASSERT(mobike_translated(&m, &from[1 - i]));
	}
}

/* Nothing cut short or with a bit turned is read beyond its end. */
static void test_S1_cut_and_flipped(void)
{
	const struct path_addr p = path("192.0.2.1", 4500, "192.0.2.2", 4500);
	struct mobike_addrs sent = {.num = 2}, got;
	struct ike_msg m;
	uint8_t buf[1024], copy[1024];
	struct bytes whole;

	sent.list[0] = addr("192.0.2.7");
	sent.list[1] = addr("2001:db8::7");
	whole = message(&m, buf, &sent, &p);
	for (size_t len = 0; len <= whole.len; len++) {
		uint8_t *cut = malloc(len ? len : 1); /* the sanitizer sees its end */

		memcpy(cut, whole.p, len);
		if (!ike_msg_parse(&m, bytes_of(cut, len)))
			mobike_addrs_take(&got, &m);
		free(cut);
	}
	for (size_t bit = 0; bit < whole.len * 8; bit++) {
		memcpy(copy, whole.p, whole.len);
		copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (ike_msg_parse(&m, bytes_of(copy, whole.len)))
			continue;
		mobike_addrs_take(&got, &m);
		CU_ASSERT(got.num <= 2);
		(void)mobike_translated(&m, &p);
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_addresses),
	TAP_TEST(test_S3_addresses_of_no_use),
	TAP_TEST(test_no_nats),
	TAP_TEST(test_S1_cut_and_flipped),
};

TAP_MAIN("control/mobike", tests)
