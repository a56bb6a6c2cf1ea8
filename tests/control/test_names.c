/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/wire/names.h"

#include "control/conf/conf.h"
#include "control/ike/wire/proto.h"
#include "tests/control/hex.h"

static void test_known(void)
{
	char b[WIRE_NAME_MAX];

	CU_ASSERT_STRING_EQUAL(wire_exchange_name(b, IKE_SA_INIT), "IKE_SA_INIT");
	CU_ASSERT_STRING_EQUAL(wire_exchange_name(b, INFORMATIONAL), "INFORMATIONAL");
	CU_ASSERT_STRING_EQUAL(wire_payload_name(b, PAYLOAD_TSI), "TSi");
	CU_ASSERT_STRING_EQUAL(wire_payload_name(b, PAYLOAD_SK), "SK");
	CU_ASSERT_STRING_EQUAL(wire_notify_name(b, 14), "NO_PROPOSAL_CHOSEN");
	CU_ASSERT_STRING_EQUAL(wire_notify_name(b, 16390), "COOKIE");
	CU_ASSERT_STRING_EQUAL(wire_notify_name(b, 48), "TS_MAX_QUEUE");
	CU_ASSERT_STRING_EQUAL(wire_notify_name(b, 16444), "SA_RESOURCE_INFO");
	CU_ASSERT_STRING_EQUAL(wire_transform_name(b, TRANSFORM_ENCR, 20), "AES_GCM_16");
	CU_ASSERT_STRING_EQUAL(wire_transform_name(b, TRANSFORM_ENCR, 28), "CHACHA20_POLY1305");
	CU_ASSERT_STRING_EQUAL(wire_transform_name(b, TRANSFORM_PRF, 6), "PRF_HMAC_SHA2_384");
	CU_ASSERT_STRING_EQUAL(wire_transform_name(b, TRANSFORM_PRF, 7), "PRF_HMAC_SHA2_512");
	CU_ASSERT_STRING_EQUAL(wire_transform_name(b, TRANSFORM_DH, 14), "MODP_2048");
	CU_ASSERT_STRING_EQUAL(wire_transform_name(b, TRANSFORM_DH, 15), "MODP_3072");
	CU_ASSERT_STRING_EQUAL(wire_transform_name(b, TRANSFORM_DH, 16), "MODP_4096");
	CU_ASSERT_STRING_EQUAL(wire_transform_name(b, TRANSFORM_DH, 21), "ECP_521");
	CU_ASSERT_STRING_EQUAL(wire_transform_name(b, TRANSFORM_DH, 31), "CURVE_25519");
	CU_ASSERT_STRING_EQUAL(wire_transform_name(b, TRANSFORM_ESN, 0), "NO_ESN");
	CU_ASSERT_STRING_EQUAL(wire_transform_type_name(b, 3), "INTEG");
	CU_ASSERT_STRING_EQUAL(wire_protocol_name(b, 3), "ESP");
	CU_ASSERT_STRING_EQUAL(wire_id_type_name(b, ID_FQDN), "FQDN");
	CU_ASSERT_STRING_EQUAL(wire_auth_method_name(b, 2), "SHARED_KEY_MIC");
}

static void test_unknown(void)
{
	char b[WIRE_NAME_MAX];

	CU_ASSERT_STRING_EQUAL(wire_exchange_name(b, 99), "EXCHANGE_99");
	CU_ASSERT_STRING_EQUAL(wire_payload_name(b, 200), "PAYLOAD_200");
	CU_ASSERT_STRING_EQUAL(wire_notify_name(b, 4711), "NOTIFY_4711");
	CU_ASSERT_STRING_EQUAL(wire_transform_name(b, TRANSFORM_DH, 65535), "DH_65535");
	CU_ASSERT_STRING_EQUAL(wire_transform_name(b, 77, 65535), "TRANSFORM_77_65535");
	CU_ASSERT_STRING_EQUAL(wire_auth_method_name(b, 99), "AUTH_METHOD_99");
}

/* Every number gives a printable name that fits. */
static void test_S8_bounded(void)
{
	char b[WIRE_NAME_MAX];

	for (uint32_t v = 0; v < 65536; v++) {
		CU_ASSERT(strlen(wire_notify_name(b, (uint16_t)v)) < WIRE_NAME_MAX);
		CU_ASSERT(strlen(wire_transform_name(b, (uint8_t)(v % 9), (uint16_t)v)) <
			  WIRE_NAME_MAX);
	}
	for (uint32_t v = 0; v < 256; v++) {
		CU_ASSERT(*wire_exchange_name(b, (uint8_t)v) && *wire_payload_name(b, (uint8_t)v));
		CU_ASSERT(*wire_protocol_name(b, (uint8_t)v) && *wire_id_type_name(b, (uint8_t)v));
		CU_ASSERT(*wire_transform_type_name(b, (uint8_t)v));
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_known),
	TAP_TEST(test_unknown),
	TAP_TEST(test_S8_bounded),
};

TAP_MAIN("control/names", tests)
