/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/wire/nat.h"

#include "tests/control/hex.h"

static struct rng_seeded rng;
static const struct ike_header header = {
	.spi_i = 0x0102030405060708,
	.spi_r = 0x1112131415161718,
	.exchange = IKE_SA_INIT,
};

static struct path_addr path(const char *local, uint16_t local_port, const char *remote,
			     uint16_t remote_port)
{
	struct path_addr p = {0};

	CU_ASSERT_EQUAL_FATAL(ip_addr_parse(&p.local.addr, local), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(ip_addr_parse(&p.remote.addr, remote), ERR_OK);
	p.local.port = local_port;
	p.remote.port = remote_port;
	return p;
}

/* Values from Python's hashlib: SPIi | SPIr | address | port. */
static void test_hash(void)
{
	const struct path_addr v4 = path("192.0.2.1", 500, "2001:db8::1", 4500);
	struct crypto_ctx *c = seeded_ctx(&rng, 1);
	uint8_t out[SHA1_LEN];

	CU_ASSERT_EQUAL(nat_hash(c, out, header.spi_i, 0, &v4.local), ERR_OK);
	CU_ASSERT(hex_equal("644b4575455bd6fcc1efe2be8162a9218e448e5f", out, SHA1_LEN));
	CU_ASSERT_EQUAL(nat_hash(c, out, header.spi_i, header.spi_r, &v4.remote), ERR_OK);
	CU_ASSERT(hex_equal("1ee24423bf8f59515e0265c6d0f08be3d038f7e5", out, SHA1_LEN));
	crypto_ctx_free(c);
}

/* sent - a message sent along the sender's path, parsed. */
static void sent(struct crypto_ctx *c, struct ike_msg *m, uint8_t *buf, const struct path_addr *p,
		 bool force)
{
	struct ike_builder b;
	struct bytes out;

	ike_build_begin(&b, buf, 256, &header);
	CU_ASSERT_EQUAL(nat_build(c, &b, header.spi_i, header.spi_r, p, force), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(ike_build_finish(&b, &out, NULL), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(ike_msg_parse(m, out), ERR_OK);
}

static void test_detection(void)
{
	const struct path_addr sender = path("10.0.0.1", 500, "192.0.2.2", 500);
	static const struct {
		const char *local, *remote; /* as the receiver sees them */
		uint16_t local_port, remote_port;
		bool force, peer, own;
	} cases[] = {
		{"192.0.2.2", "10.0.0.1", 500, 500, false, false, false},
		{"192.0.2.2", "192.0.2.9", 500, 500, false, true, false},
		{"192.0.2.2", "10.0.0.1", 500, 1024, false, true, false},
		{"10.9.9.9", "10.0.0.1", 500, 500, false, false, true},
		{"192.0.2.2", "10.0.0.1", 4500, 500, false, false, true},
		{"10.9.9.9", "192.0.2.9", 500, 500, false, true, true},
		{"192.0.2.2", "10.0.0.1", 500, 500, true, true, false},
	};
	struct crypto_ctx *c = seeded_ctx(&rng, 1);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct path_addr p = path(cases[i].local, cases[i].local_port,
						cases[i].remote, cases[i].remote_port);
		struct nat_found found = {0};
		struct ike_msg m;
		uint8_t buf[256];

		sent(c, &m, buf, &sender, cases[i].force);
		CU_ASSERT_EQUAL(nat_detect(c, &found, &m, &p), ERR_OK);
		CU_ASSERT(found.known);
		CU_ASSERT_EQUAL(found.peer, cases[i].peer);
		CU_ASSERT_EQUAL(found.local, cases[i].own);
	}
	crypto_ctx_free(c);
}

/* Several source hashes, one of which matches, are no NAT; one kind alone says nothing. */
static void test_several_and_missing(void)
{
	const struct path_addr sender = path("10.0.0.1", 500, "192.0.2.2", 500);
	const struct path_addr p = path("192.0.2.2", 500, "10.0.0.1", 500);
	struct crypto_ctx *c = seeded_ctx(&rng, 1);
	uint8_t buf[512], other[SHA1_LEN] = {1};
	struct nat_found found = {0};
	struct ike_builder b;
	struct ike_msg m;
	struct bytes out;

	ike_build_begin(&b, buf, sizeof(buf), &header);
	wire_notify_build(&b, NOTIFY_NAT_DETECTION_SOURCE_IP, bytes_of(other, SHA1_LEN));
	CU_ASSERT_EQUAL(nat_build(c, &b, header.spi_i, header.spi_r, &sender, false), ERR_OK);
	wire_notify_build(&b, NOTIFY_NAT_DETECTION_SOURCE_IP, bytes_of(other, SHA1_LEN));
	CU_ASSERT_EQUAL_FATAL(ike_build_finish(&b, &out, NULL), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(ike_msg_parse(&m, out), ERR_OK);
	CU_ASSERT_EQUAL(nat_detect(c, &found, &m, &p), ERR_OK);
	CU_ASSERT(found.known && !found.peer && !found.local);
	m.num = 1;
	CU_ASSERT_EQUAL(nat_detect(c, &found, &m, &p), ERR_OK);
	CU_ASSERT(!found.known && !found.peer && !found.local);
	crypto_ctx_free(c);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_hash),
	TAP_TEST(test_detection),
	TAP_TEST(test_several_and_missing),
};

TAP_MAIN("control/nat", tests)
