/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/offer.h"

#include "tests/control/charon.h"
#include "tests/control/hex.h"
#include "tests/control/sweep.h"

/* struct t, struct p - a peer's proposal as a table: type 0 ends the transforms. */
struct t {
	uint8_t type;
	uint16_t id, bits;
};
struct p {
	uint8_t number, protocol, spi_len;
	struct t t[16];
};

#define GCM(bits)                                     \
	{                                             \
		TRANSFORM_ENCR, ENCR_AES_GCM_16, bits \
	}
#define CHACHA(bits)                                         \
	{                                                    \
		TRANSFORM_ENCR, ENCR_CHACHA20_POLY1305, bits \
	}
#define CBC(bits)                        \
	{                                \
		TRANSFORM_ENCR, 12, bits \
	}
#define PRF(id)                      \
	{                            \
		TRANSFORM_PRF, id, 0 \
	}
#define INTEG(id)                      \
	{                              \
		TRANSFORM_INTEG, id, 0 \
	}
#define DH(id)                      \
	{                           \
		TRANSFORM_DH, id, 0 \
	}
#define ESN(id)                      \
	{                            \
		TRANSFORM_ESN, id, 0 \
	}

static const struct conf_proposal ike_any = {
	.encr = {{ENCR_AES_GCM_16, 256, 0}, {ENCR_AES_GCM_16, 128, 0}},
	.prf = {PRF_HMAC_SHA2_384, PRF_HMAC_SHA2_256},
	.dh = {DH_CURVE_25519, DH_ECP_384, DH_ECP_256},
	.num_encr = 2,
	.num_prf = 2,
	.num_dh = 3,
};
static const struct conf_proposal esp_plain = {
	.encr = {{ENCR_AES_GCM_16, 256, 0}, {ENCR_AES_GCM_16, 128, 0}},
	.esn = {1, 0},
	.num_encr = 2,
	.num_esn = 2,
};
static const struct conf_proposal esp_pfs = {
	.encr = {{ENCR_AES_GCM_16, 128, 0}},
	.dh = {DH_ECP_256},
	.esn = {0},
	.num_encr = 1,
	.num_dh = 1,
	.num_esn = 1,
};

/* lay - the body of an SA payload from the table; returns its length. */
static size_t lay(uint8_t *buf, size_t cap, const struct p *p, size_t num)
{
	struct writer w;
	struct bytes out = {0};

	writer_init(&w, buf, cap);
	for (size_t i = 0; i < num; i++) {
		size_t n = 0, mark;

		while (p[i].t[n].type)
			n++;
		writer_u8(&w, i + 1 < num ? 2 : 0);
		writer_u8(&w, 0);
		mark = writer_begin_u16(&w);
		writer_u8(&w, p[i].number);
		writer_u8(&w, p[i].protocol);
		writer_u8(&w, p[i].spi_len);
		writer_u8(&w, (uint8_t)n);
		for (uint8_t k = 0; k < p[i].spi_len; k++)
			writer_u8(&w, (uint8_t)(k + 1));
		for (size_t j = 0; j < n; j++) {
			const struct t *t = &p[i].t[j];

			writer_u8(&w, j + 1 < n ? 3 : 0);
			writer_u8(&w, 0);
			writer_u16(&w, t->bits ? 12 : 8);
			writer_u8(&w, t->type);
			writer_u8(&w, 0);
			writer_u16(&w, t->id);
			if (t->bits)
				writer_u32(&w, 0x800e0000u | t->bits);
		}
		writer_end_u16(&w, mark, 4);
	}
	CU_ASSERT_EQUAL_FATAL(writer_finish(&w, &out), ERR_OK);
	return out.len;
}

static void parse(struct sa_payload *sa, const struct p *p, size_t num)
{
	uint8_t buf[2048];

	CU_ASSERT_EQUAL_FATAL(sa_parse(sa, bytes_of(buf, lay(buf, sizeof(buf), p, num))), ERR_OK);
}

static enum err choose(struct sa_chosen *out, const struct p *p, size_t num, enum sa_kind kind,
		       const struct conf_proposal *ours, uint16_t ke)
{
	struct sa_payload sa;

	parse(&sa, p, num);
	return sa_select(out, &sa, kind, ours, 1, ke);
}

static void test_our_preference_wins(void)
{
	const struct p peer = {
		1, PROTO_IKE, 0, {GCM(128), GCM(256), PRF(5), PRF(6), DH(19), DH(20), DH(31)}};
	struct sa_chosen c;

	CU_ASSERT_EQUAL(choose(&c, &peer, 1, SA_KIND_IKE, &ike_any, 0), ERR_OK);
	CU_ASSERT_EQUAL(c.encr.key_bits, 256);
	CU_ASSERT_EQUAL(c.prf, PRF_HMAC_SHA2_384);
	CU_ASSERT_EQUAL(c.dh, DH_CURVE_25519);
	CU_ASSERT_EQUAL(c.number, 1);
	CU_ASSERT_EQUAL(c.spi, 0);
	/* A key exchange that is there already saves a round trip; one that is not ours does not.
	 */
	CU_ASSERT_EQUAL(choose(&c, &peer, 1, SA_KIND_IKE, &ike_any, DH_ECP_256), ERR_OK);
	CU_ASSERT_EQUAL(c.dh, DH_ECP_256);
	CU_ASSERT_EQUAL(choose(&c, &peer, 1, SA_KIND_IKE, &ike_any, 14), ERR_OK);
	CU_ASSERT_EQUAL(c.dh, DH_CURVE_25519);
}

static void test_second_proposal(void)
{
	const struct p peer[] = {
		{1, PROTO_IKE, 0, {CBC(256), PRF(5), INTEG(12), DH(31)}},
		{2, PROTO_IKE, 0, {GCM(128), PRF(5), DH(31)}},
	};
	struct sa_payload sa;
	struct sa_chosen c;

	CU_ASSERT_EQUAL(choose(&c, peer, 2, SA_KIND_IKE, &ike_any, 0), ERR_OK);
	CU_ASSERT_EQUAL(c.number, 2);
	/* Ours are tried in our order, each with all of the peer's. */
	const struct conf_proposal ours[] = {esp_pfs, esp_plain};
	const struct p esp[] = {
		{1, PROTO_ESP, 4, {GCM(256), ESN(0)}},
		{2, PROTO_ESP, 4, {GCM(128), DH(19), ESN(0)}},
	};
	parse(&sa, esp, 2);
	CU_ASSERT_EQUAL(sa_select(&c, &sa, SA_KIND_CHILD, ours, 2, 0), ERR_OK);
	CU_ASSERT_EQUAL(c.number, 2);
	CU_ASSERT_EQUAL(c.dh, DH_ECP_256);
	CU_ASSERT_EQUAL(c.spi, 0x01020304);
}

/* One row a rule of RFC 7296 3.3. */
static const struct {
	const char *what;
	struct p peer;
	enum sa_kind kind;
	const struct conf_proposal *ours;
	bool good;
} rules[] = {
	{"plain", {1, PROTO_IKE, 0, {GCM(256), PRF(5), DH(31)}}, SA_KIND_IKE, &ike_any, true},
	{"INTEG NONE",
	 {1, PROTO_IKE, 0, {GCM(256), PRF(5), INTEG(0), DH(31)}},
	 SA_KIND_IKE,
	 &ike_any,
	 true},
	{"INTEG NONE or another",
	 {1, PROTO_IKE, 0, {GCM(256), PRF(5), INTEG(12), INTEG(0), DH(31)}},
	 SA_KIND_IKE,
	 &ike_any,
	 true},
	{"INTEG that is not NONE",
	 {1, PROTO_IKE, 0, {GCM(256), PRF(5), INTEG(12), DH(31)}},
	 SA_KIND_IKE,
	 &ike_any,
	 false},
	{"no key length",
	 {1, PROTO_IKE, 0, {GCM(0), PRF(5), DH(31)}},
	 SA_KIND_IKE,
	 &ike_any,
	 false},
	{"other key length",
	 {1, PROTO_IKE, 0, {GCM(192), PRF(5), DH(31)}},
	 SA_KIND_IKE,
	 &ike_any,
	 false},
	{"no PRF", {1, PROTO_IKE, 0, {GCM(256), DH(31)}}, SA_KIND_IKE, &ike_any, false},
	{"no DH", {1, PROTO_IKE, 0, {GCM(256), PRF(5)}}, SA_KIND_IKE, &ike_any, false},
	{"DH NONE for IKE",
	 {1, PROTO_IKE, 0, {GCM(256), PRF(5), DH(0)}},
	 SA_KIND_IKE,
	 &ike_any,
	 false},
	{"no cipher", {1, PROTO_IKE, 0, {PRF(5), DH(31)}}, SA_KIND_IKE, &ike_any, false},
	{"nothing", {1, PROTO_IKE, 0, {{0, 0, 0}}}, SA_KIND_IKE, &ike_any, false},
	{"unknown transform type",
	 {1, PROTO_IKE, 0, {GCM(256), PRF(5), DH(31), {6, 35, 0}}},
	 SA_KIND_IKE,
	 &ike_any,
	 false},
	{"ESN for IKE",
	 {1, PROTO_IKE, 0, {GCM(256), PRF(5), DH(31), ESN(0)}},
	 SA_KIND_IKE,
	 &ike_any,
	 false},
	{"unknown transform beside ours",
	 {1, PROTO_IKE, 0, {{1, 999, 0}, GCM(256), PRF(5), DH(31)}},
	 SA_KIND_IKE,
	 &ike_any,
	 true},
	{"ESP for IKE",
	 {1, PROTO_ESP, 0, {GCM(256), PRF(5), DH(31)}},
	 SA_KIND_IKE,
	 &ike_any,
	 false},
	{"SPI in IKE_SA_INIT",
	 {1, PROTO_IKE, 8, {GCM(256), PRF(5), DH(31)}},
	 SA_KIND_IKE,
	 &ike_any,
	 false},
	{"SPI in a re-key",
	 {1, PROTO_IKE, 8, {GCM(256), PRF(5), DH(31)}},
	 SA_KIND_IKE_REKEY,
	 &ike_any,
	 true},
	{"no SPI in a re-key",
	 {1, PROTO_IKE, 0, {GCM(256), PRF(5), DH(31)}},
	 SA_KIND_IKE_REKEY,
	 &ike_any,
	 false},
	{"ESP", {1, PROTO_ESP, 4, {GCM(256), ESN(1)}}, SA_KIND_CHILD, &esp_plain, true},
	{"ESP with DH NONE",
	 {1, PROTO_ESP, 4, {GCM(256), DH(0), ESN(1)}},
	 SA_KIND_CHILD,
	 &esp_plain,
	 true},
	{"ESP with a group, we have none",
	 {1, PROTO_ESP, 4, {GCM(256), DH(31), ESN(1)}},
	 SA_KIND_CHILD,
	 &esp_plain,
	 false},
	{"ESP with a group or NONE",
	 {1, PROTO_ESP, 4, {GCM(256), DH(31), DH(0), ESN(1)}},
	 SA_KIND_CHILD,
	 &esp_plain,
	 true},
	{"ESP without a group, we want one",
	 {1, PROTO_ESP, 4, {GCM(128), ESN(0)}},
	 SA_KIND_CHILD,
	 &esp_pfs,
	 false},
	{"the same in IKE_AUTH",
	 {1, PROTO_ESP, 4, {GCM(128), ESN(0)}},
	 SA_KIND_CHILD_AUTH,
	 &esp_pfs,
	 true},
	{"group listed in IKE_AUTH",
	 {1, PROTO_ESP, 4, {GCM(128), DH(31), ESN(0)}},
	 SA_KIND_CHILD_AUTH,
	 &esp_pfs,
	 true},
	{"ESP without ESN transform",
	 {1, PROTO_ESP, 4, {GCM(256)}},
	 SA_KIND_CHILD,
	 &esp_plain,
	 false},
	{"ESP with PRF",
	 {1, PROTO_ESP, 4, {GCM(256), PRF(5), ESN(1)}},
	 SA_KIND_CHILD,
	 &esp_plain,
	 false},
	{"AH", {1, PROTO_AH, 4, {GCM(256), ESN(1)}}, SA_KIND_CHILD, &esp_plain, false},
	{"ESP SPI of 8 bytes",
	 {1, PROTO_ESP, 8, {GCM(256), ESN(1)}},
	 SA_KIND_CHILD,
	 &esp_plain,
	 false},
};

static void test_rules(void)
{
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		struct sa_chosen c;
		const enum err e = choose(&c, &rules[i].peer, 1, rules[i].kind, rules[i].ours, 0);

		if (e != (rules[i].good ? ERR_OK : ERR_NO_PROPOSAL))
			tap_diag("%s: %s", rules[i].what, err_name(e));
		CU_ASSERT_EQUAL(e, rules[i].good ? ERR_OK : ERR_NO_PROPOSAL);
	}
}

/* build_parse - what a builder made, parsed again. */
static void parse_built(struct sa_payload *sa, struct ike_builder *b)
{
	struct bytes out;

	CU_ASSERT_EQUAL_FATAL(ike_build_finish(b, &out, NULL), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(sa_parse(sa, bytes_of(out.p + 32, out.len - 32)), ERR_OK);
}

/* An offer of ours is selected by the other end and the answer passes our check, for each kind. */
static void test_offer_answer(void)
{
	static const struct {
		enum sa_kind kind;
		const struct conf_proposal *ours;
	} cases[] = {{SA_KIND_IKE, &ike_any},
		     {SA_KIND_IKE_REKEY, &ike_any},
		     {SA_KIND_CHILD_AUTH, &esp_pfs},
		     {SA_KIND_CHILD, &esp_pfs},
		     {SA_KIND_CHILD, &esp_plain}};
	const struct ike_header h = {0};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const uint64_t spi =
			cases[i].kind == SA_KIND_IKE_REKEY ? 0x1122334455667788 : 0x99aabbcc;
		const uint64_t seen = cases[i].kind == SA_KIND_IKE ? 0 : spi;
		struct conf_proposal ours[2] = {*cases[i].ours, *cases[i].ours};
		struct ike_builder b;
		struct sa_payload sa;
		struct sa_chosen chosen, checked;
		uint8_t buf[512];

		ours[0].encr[0].key_bits = 192; /* never chosen */
		ours[0].num_encr = 1;
		ike_build_begin(&b, buf, sizeof(buf), &h);
		sa_offer_build(&b, cases[i].kind, spi, ours, 2);
		parse_built(&sa, &b);
		CU_ASSERT_EQUAL(sa.num_proposals, 2);
		CU_ASSERT_EQUAL(sa_select(&chosen, &sa, cases[i].kind, cases[i].ours, 1, 0),
				ERR_OK);
		CU_ASSERT_EQUAL(chosen.number, 2);
		CU_ASSERT_EQUAL(chosen.spi, seen);
		ike_build_begin(&b, buf, sizeof(buf), &h);
		sa_answer_build(&b, &chosen, spi + 1);
		parse_built(&sa, &b);
		CU_ASSERT_EQUAL(sa_check(&checked, &sa, cases[i].kind, ours, 2), ERR_OK);
		CU_ASSERT_EQUAL(checked.spi, seen ? spi + 1 : 0);
		CU_ASSERT_EQUAL(checked.dh, chosen.dh);
		CU_ASSERT_EQUAL(checked.encr.key_bits, cases[i].ours->encr[0].key_bits);
		CU_ASSERT_EQUAL(checked.esn, chosen.esn);
	}
}

/* NONE that the peer listed is in the answer, because each type offered is answered (3.3.6). */
static void test_answer_echoes_none(void)
{
	const struct p peer = {1, PROTO_ESP, 4, {GCM(256), INTEG(0), DH(0), ESN(0)}};
	const struct ike_header h = {0};
	struct ike_builder b;
	struct sa_payload sa;
	struct sa_chosen c;
	uint8_t buf[256];

	CU_ASSERT_EQUAL(choose(&c, &peer, 1, SA_KIND_CHILD, &esp_plain, 0), ERR_OK);
	ike_build_begin(&b, buf, sizeof(buf), &h);
	sa_answer_build(&b, &c, 5);
	parse_built(&sa, &b);
	CU_ASSERT_EQUAL(sa.num_transforms, 4);
	CU_ASSERT_EQUAL(sa_check(&c, &sa, SA_KIND_CHILD, &esp_plain, 1), ERR_OK);
}

static void test_answers_outside_the_offer(void)
{
	static const struct {
		struct p answer;
		enum err e;
	} cases[] = {
		{{1, PROTO_IKE, 0, {GCM(256), PRF(5), DH(31)}}, ERR_OK},
		{{1, PROTO_IKE, 0, {GCM(256), PRF(5), INTEG(0), DH(31)}}, ERR_OK},
		{{0, PROTO_IKE, 0, {GCM(256), PRF(5), DH(31)}}, ERR_NO_PROPOSAL},
		{{2, PROTO_IKE, 0, {GCM(256), PRF(5), DH(31)}}, ERR_NO_PROPOSAL},
		{{1, PROTO_IKE, 0, {GCM(192), PRF(5), DH(31)}}, ERR_NO_PROPOSAL},
		{{1, PROTO_IKE, 0, {GCM(256), PRF(7), DH(31)}}, ERR_NO_PROPOSAL},
		{{1, PROTO_IKE, 0, {GCM(256), PRF(5), DH(14)}}, ERR_NO_PROPOSAL},
		{{1, PROTO_IKE, 0, {GCM(256), GCM(128), PRF(5), DH(31)}}, ERR_NO_PROPOSAL},
		{{1, PROTO_IKE, 0, {GCM(256), PRF(5), PRF(6), DH(31)}}, ERR_NO_PROPOSAL},
		{{1, PROTO_IKE, 0, {GCM(256), PRF(5), DH(31), DH(20)}}, ERR_NO_PROPOSAL},
		{{1, PROTO_IKE, 0, {GCM(256), PRF(5)}}, ERR_NO_PROPOSAL},
		{{1, PROTO_IKE, 0, {PRF(5), DH(31)}}, ERR_NO_PROPOSAL},
		{{1, PROTO_ESP, 0, {GCM(256), PRF(5), DH(31)}}, ERR_NO_PROPOSAL},
		{{1, PROTO_IKE, 8, {GCM(256), PRF(5), DH(31)}}, ERR_MALFORMED},
	};
	const struct p two[2] = {cases[0].answer, cases[0].answer};
	struct sa_payload sa;
	struct sa_chosen c;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		parse(&sa, &cases[i].answer, 1);
		CU_ASSERT_EQUAL(sa_check(&c, &sa, SA_KIND_IKE, &ike_any, 1), cases[i].e);
	}
	parse(&sa, two, 2);
	CU_ASSERT_EQUAL(sa_check(&c, &sa, SA_KIND_IKE, &ike_any, 1), ERR_MALFORMED);
}

/* A configuration that lists NONE: good for a Child SA, never for an IKE SA. */
static void test_none_is_configured(void)
{
	const struct p ike = {1, PROTO_IKE, 0, {GCM(256), PRF(5), DH(0)}};
	const struct p esp[] = {{1, PROTO_ESP, 4, {GCM(256), ESN(1)}},
				{1, PROTO_ESP, 4, {GCM(256), DH(31), ESN(1)}},
				{1, PROTO_ESP, 4, {GCM(256), DH(14), ESN(1)}}};
	struct conf_proposal ours = ike_any;
	struct sa_chosen c;

	ours.dh[0] = DH_NONE;
	CU_ASSERT_EQUAL(choose(&c, &ike, 1, SA_KIND_IKE, &ours, 0), ERR_NO_PROPOSAL);
	ours = esp_plain;
	ours.dh[0] = DH_CURVE_25519;
	ours.dh[1] = DH_NONE;
	ours.num_dh = 2;
	CU_ASSERT_EQUAL(choose(&c, &esp[0], 1, SA_KIND_CHILD, &ours, 0), ERR_OK);
	CU_ASSERT_EQUAL(c.dh, DH_NONE);
	CU_ASSERT_EQUAL(choose(&c, &esp[1], 1, SA_KIND_CHILD, &ours, 0), ERR_OK);
	CU_ASSERT_EQUAL(c.dh, DH_CURVE_25519);
	CU_ASSERT_EQUAL(choose(&c, &esp[2], 1, SA_KIND_CHILD, &ours, 0), ERR_NO_PROPOSAL);
}

static void test_zero_spi_refused(void)
{
	uint8_t buf[256];
	const struct p peer = {1, PROTO_ESP, 4, {GCM(256), ESN(1)}};
	const size_t len = lay(buf, sizeof(buf), &peer, 1);
	struct sa_payload sa;
	struct sa_chosen c;

	memset(buf + 8, 0, 4);
	CU_ASSERT_EQUAL_FATAL(sa_parse(&sa, bytes_of(buf, len)), ERR_OK);
	CU_ASSERT_EQUAL(sa_select(&c, &sa, SA_KIND_CHILD, &esp_plain, 1, 0), ERR_NO_PROPOSAL);
}

/* Attributes: an unknown one, a second key length, a key length of 0 or in TLV form spoil their
 * transform and nothing else. */
static void test_attributes(void)
{
	static const struct {
		const char *attrs;
		bool good;
	} cases[] = {
		{"800e0100", true},          {"800e0000", false},
		{"800e0100800e0100", false}, {"800e0100800e0080", false},
		{"800e010080110001", false}, {"800e0100001100021234", false},
		{"000e00020100", false},     {"0011000012340000", false},
		{"001100041234", false}, /* longer than its transform */
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t body[128];
		struct hex attrs, rest;
		struct sa_payload sa;
		struct sa_chosen c;
		size_t len;

		hex_read(&attrs, cases[i].attrs);
		hex_read(&rest, "0300000802000005"
				"000000080400001f");
		store_be16(body, 0);
		len = 8 + 8 + attrs.len + rest.len;
		store_be16(body + 2, (uint16_t)len);
		memcpy(body + 4, "\x01\x01\x00\x03\x03\x00", 6);
		store_be16(body + 10, (uint16_t)(8 + attrs.len));
		memcpy(body + 12, "\x01\x00\x00\x14", 4);
		memcpy(body + 16, attrs.b, attrs.len);
		memcpy(body + 16 + attrs.len, rest.b, rest.len);
		if (strcmp(cases[i].attrs, "001100041234") == 0) {
			CU_ASSERT_NOT_EQUAL(sa_parse(&sa, bytes_of(body, len)), ERR_OK);
			continue;
		}
		CU_ASSERT_EQUAL_FATAL(sa_parse(&sa, bytes_of(body, len)), ERR_OK);
		CU_ASSERT_EQUAL(sa_select(&c, &sa, SA_KIND_IKE, &ike_any, 1, 0),
				cases[i].good ? ERR_OK : ERR_NO_PROPOSAL);
	}
}

static void test_S3_bounds(void)
{
	static uint8_t buf[16384];
	static struct p many[IKE_MAX_PROPOSALS + 1];
	struct sa_payload sa;

	for (size_t i = 0; i <= IKE_MAX_PROPOSALS; i++) {
		many[i] = (struct p){(uint8_t)(i + 1), PROTO_IKE, 0, {GCM(256), PRF(5), DH(31)}};
		for (size_t j = 3; j < 8; j++)
			many[i].t[j] = (struct t)DH(14);
	}
	/* 32 proposals of 8 transforms are 256. */
	CU_ASSERT_EQUAL(
		sa_parse(&sa, bytes_of(buf, lay(buf, sizeof(buf), many, IKE_MAX_PROPOSALS))),
		ERR_OK);
	CU_ASSERT_EQUAL(sa.num_transforms, IKE_MAX_TRANSFORMS);
	CU_ASSERT_EQUAL(
		sa_parse(&sa, bytes_of(buf, lay(buf, sizeof(buf), many, IKE_MAX_PROPOSALS + 1))),
		ERR_LIMIT);
	many[3].t[8] = (struct t)DH(15);
	CU_ASSERT_EQUAL(
		sa_parse(&sa, bytes_of(buf, lay(buf, sizeof(buf), many, IKE_MAX_PROPOSALS))),
		ERR_LIMIT);
	CU_ASSERT_EQUAL(sa_parse(&sa, bytes_of(NULL, 0)), ERR_TRUNCATED);
}

static void test_structure_errors(void)
{
	const struct p peer[2] = {{1, PROTO_IKE, 0, {GCM(256), PRF(5)}},
				  {2, PROTO_IKE, 0, {PRF(5)}}};
	uint8_t buf[256];
	const size_t len = lay(buf, sizeof(buf), peer, 2);
	const struct {
		size_t at;
		uint8_t value;
	} changes[] = {
		{0, 0},  /* first is last: bytes are left */
		{0, 1},  /* neither last nor more */
		{3, 7},  /* proposal shorter than its head */
		{3, 27}, /* one byte short */
		{7, 1},  /* fewer transforms than there are */
		{7, 3},  /* more */
		{8, 0},  /* first transform is last */
		{8, 2},  /* wrong mark */
		{11, 7}, /* transform shorter than its head */
		{20, 3}, /* last transform says more */
		{28, 2}, /* last proposal says more */
	};
	struct sa_payload sa;

	CU_ASSERT_EQUAL_FATAL(sa_parse(&sa, bytes_of(buf, len)), ERR_OK);
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		const uint8_t before = buf[changes[i].at];

		buf[changes[i].at] = changes[i].value;
		CU_ASSERT_NOT_EQUAL(sa_parse(&sa, bytes_of(buf, len)), ERR_OK);
		buf[changes[i].at] = before;
	}
	CU_ASSERT_EQUAL(sa_parse(&sa, bytes_of(buf, len)), ERR_OK);
}

/* visit - a variant is refused, or everything in it lies within bounds and can be selected from. */
static void visit(struct bytes v, long bit)
{
	struct sa_payload sa;
	struct sa_chosen c;

	if (sa_parse(&sa, v) != ERR_OK)
		return;
	CU_ASSERT(bit >= 0);
	for (uint32_t i = 0; i < sa.num_proposals; i++)
		CU_ASSERT(sa.proposals[i].first + sa.proposals[i].num_transforms <=
			  sa.num_transforms);
	if (sa_select(&c, &sa, SA_KIND_IKE, &ike_any, 1, DH_ECP_256) == ERR_OK)
		CU_ASSERT(c.encr.id == ENCR_AES_GCM_16 && c.prf && c.dh);
	(void)!sa_check(&c, &sa, SA_KIND_IKE, &ike_any, 1);
	(void)!sa_select(&c, &sa, SA_KIND_CHILD, &esp_pfs, 1, 0);
}

static void test_truncation_and_bit_flips(void)
{
	for (size_t i = 0; i < ARRAY_LEN(charon_sessions); i++) {
		struct hex m;

		hex_read(&m, charon_sessions[i].msgs[0].hex);
		CU_ASSERT(sweep(m.b + 32, load_be16(m.b + 30) - 4u, visit) > 300);
	}
}

static void test_groups(void)
{
	const struct conf_proposal ours[] = {esp_plain, esp_pfs, ike_any};

	CU_ASSERT(sa_offers_dh(ours, 3, DH_ECP_384));
	CU_ASSERT_FALSE(sa_offers_dh(ours, 2, DH_ECP_384));
	CU_ASSERT_FALSE(sa_offers_dh(ours, 3, 14));
	CU_ASSERT_EQUAL(sa_first_dh(ours, 3), DH_ECP_256);
	CU_ASSERT_EQUAL(sa_first_dh(ours, 1), DH_NONE);
}

static void test_text(void)
{
	struct sa_chosen c = {.kind = SA_KIND_IKE,
			      .encr = {ENCR_AES_GCM_16, 256, 0},
			      .prf = PRF_HMAC_SHA2_256,
			      .dh = DH_CURVE_25519};
	char buf[SA_TEXT_MAX];

	CU_ASSERT_STRING_EQUAL(sa_chosen_text(buf, &c),
			       "AES_GCM_16-256/PRF_HMAC_SHA2_256/CURVE_25519");
	c = (struct sa_chosen){.kind = SA_KIND_CHILD, .encr = {ENCR_AES_GCM_16, 128, 0}};
	CU_ASSERT_STRING_EQUAL(sa_chosen_text(buf, &c), "AES_GCM_16-128");
	c.esn = true;
	c.dh = DH_ECP_256;
	CU_ASSERT_STRING_EQUAL(sa_chosen_text(buf, &c), "AES_GCM_16-128/ECP_256/ESN");
	c = (struct sa_chosen){.kind = SA_KIND_CHILD, .encr = {ENCR_CHACHA20_POLY1305, 0, 0}};
	CU_ASSERT_STRING_EQUAL(sa_chosen_text(buf, &c), "CHACHA20_POLY1305");
	c = (struct sa_chosen){
		.kind = SA_KIND_IKE, .encr = {65535, 65535, 0}, .prf = 65535, .dh = 65535};
	CU_ASSERT(strlen(sa_chosen_text(buf, &c)) < SA_TEXT_MAX);
}

/* RFC 7634 4: no Key Length attribute, neither offered nor accepted; our preference is kept. */
static void test_cipher_of_one_key_length(void)
{
	static const struct conf_proposal ours = {
		.encr = {{ENCR_CHACHA20_POLY1305, 0, 0}, {ENCR_AES_GCM_16, 256, 0}},
		.esn = {1},
		.num_encr = 2,
		.num_esn = 1,
	};
	const struct p plain = {1, PROTO_ESP, 4, {GCM(256), CHACHA(0), ESN(1)}};
	const struct p with_length = {1, PROTO_ESP, 4, {CHACHA(256), GCM(256), ESN(1)}};
	struct sa_chosen c;

	CU_ASSERT_EQUAL(choose(&c, &plain, 1, SA_KIND_CHILD, &ours, 0), ERR_OK);
	CU_ASSERT(c.encr.id == ENCR_CHACHA20_POLY1305 && c.encr.key_bits == 0);
	CU_ASSERT_EQUAL(choose(&c, &with_length, 1, SA_KIND_CHILD, &ours, 0), ERR_OK);
	CU_ASSERT_EQUAL(c.encr.id, ENCR_AES_GCM_16);
}

static const struct conf_proposal esp_cbc = {
	.encr = {{ENCR_AES_CBC, 256, 0}, {ENCR_AES_CBC, 128, 0}, {ENCR_NULL, 0, 0}},
	.integ = {INTEG_HMAC_SHA2_512_256, INTEG_HMAC_SHA2_256_128},
	.esn = {1, 0},
	.num_encr = 3,
	.num_integ = 2,
	.num_esn = 2,
};

/* A cipher that authenticates nothing has one integrity transform beside it, in common, and never
 * NONE; a combined mode has none (RFC 7296 3.3, RFC 5282 8). */
static void test_integrity(void)
{
	const struct {
		struct p peer;
		const struct conf_proposal *ours;
		uint16_t bits, integ; /* 0, 0: no proposal */
	} cases[] = {
		{{1, PROTO_ESP, 4, {CBC(128), CBC(256), INTEG(12), INTEG(14), ESN(0)}},
		 &esp_cbc,
		 256,
		 14},
		{{1, PROTO_ESP, 4, {CBC(128), INTEG(12), INTEG(13), ESN(0)}}, &esp_cbc, 128, 12},
		{{1, PROTO_ESP, 4, {CBC(128), INTEG(0), INTEG(12), ESN(0)}}, &esp_cbc, 128, 12},
		{{1, PROTO_ESP, 4, {CBC(128), INTEG(13), ESN(0)}}, &esp_cbc, 0, 0},
		{{1, PROTO_ESP, 4, {CBC(128), INTEG(2), ESN(0)}}, &esp_cbc, 0, 0},
		{{1, PROTO_ESP, 4, {CBC(128), INTEG(0), ESN(0)}}, &esp_cbc, 0, 0},
		{{1, PROTO_ESP, 4, {CBC(128), ESN(0)}}, &esp_cbc, 0, 0},
		{{1, PROTO_ESP, 4, {CBC(0), INTEG(12), ESN(0)}}, &esp_cbc, 0, 0},
		{{1, PROTO_ESP, 4, {GCM(256), INTEG(12), ESN(0)}}, &esp_plain, 0, 0},
		{{1, PROTO_ESP, 4, {GCM(256), CBC(256), INTEG(12), ESN(0)}}, &esp_plain, 0, 0},
		{{1, PROTO_ESP, 4, {GCM(256), CBC(256), INTEG(12), ESN(0)}}, &esp_cbc, 256, 12},
		{{1, PROTO_ESP, 4, {{TRANSFORM_ENCR, 11, 0}, INTEG(12), ESN(0)}}, &esp_cbc, 0, 12},
		{{1, PROTO_ESP, 4, {{TRANSFORM_ENCR, 11, 0}, ESN(0)}}, &esp_cbc, 0, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct sa_chosen c = {.number = 0};
		const bool good = cases[i].integ != 0;

		CU_ASSERT_EQUAL(choose(&c, &cases[i].peer, 1, SA_KIND_CHILD, cases[i].ours, 0),
				good ? ERR_OK : ERR_NO_PROPOSAL);
		CU_ASSERT_EQUAL(c.encr.key_bits, cases[i].bits);
		CU_ASSERT_EQUAL(c.encr.integ, cases[i].integ);
	}
}

/* Our offer carries them, our answer the one that was chosen, and the initiator takes that. */
static void test_integrity_there_and_back(void)
{
	const struct ike_header h = {.spi_i = 1, .exchange = CREATE_CHILD_SA};
	uint8_t buf[1024];
	struct sa_payload sa;
	struct sa_chosen c, checked;
	struct ike_builder b;
	struct ike_msg m;
	struct bytes out;
	char text[SA_TEXT_MAX];

	ike_build_begin(&b, buf, sizeof(buf), &h);
	sa_offer_build(&b, SA_KIND_CHILD, 77, &esp_cbc, 1);
	CU_ASSERT_EQUAL_FATAL(ike_build_finish(&b, &out, NULL), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(ike_msg_parse(&m, out), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(sa_parse(&sa, ike_msg_body(&m, PAYLOAD_SA)), ERR_OK);
	CU_ASSERT_EQUAL(sa.num_transforms, 3 + 2 + 2);
	CU_ASSERT_EQUAL(sa_select(&c, &sa, SA_KIND_CHILD, &esp_cbc, 1, 0), ERR_OK);
	ike_build_begin(&b, buf, sizeof(buf), &h);
	sa_answer_build(&b, &c, 78);
	CU_ASSERT_EQUAL_FATAL(ike_build_finish(&b, &out, NULL), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(ike_msg_parse(&m, out), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(sa_parse(&sa, ike_msg_body(&m, PAYLOAD_SA)), ERR_OK);
	CU_ASSERT_EQUAL(sa_check(&checked, &sa, SA_KIND_CHILD, &esp_cbc, 1), ERR_OK);
	CU_ASSERT(checked.encr.id == ENCR_AES_CBC && checked.encr.key_bits == 256);
	CU_ASSERT_EQUAL(checked.encr.integ, INTEG_HMAC_SHA2_512_256);
	CU_ASSERT_STRING_EQUAL(sa_chosen_text(text, &checked), "AES_CBC-256/HMAC_SHA2_512_256/ESN");
}

/* What a peer offers is told in words that `proposals` takes, and mean what was offered. */
static void test_offer_in_words(void)
{
	const struct p peer[] = {
		{1,
		 PROTO_IKE,
		 0,
		 {GCM(256), GCM(128), PRF(6), PRF(5), DH(20), DH(31), {TRANSFORM_ADDKE1, 19, 0}}},
		{2, PROTO_IKE, 0, {CBC(256), INTEG(14), PRF(7), DH(14)}},
		{3, PROTO_IKE, 0, {CHACHA(0), INTEG(0), PRF(5), DH(0), DH(16)}},
	};
	struct conf_proposal read[CONF_MAX_PROPOSALS];
	char text[OFFER_TEXT_MAX], again[OFFER_TEXT_MAX], why[200];
	struct sa_payload sa;
	struct sa_chosen c;
	uint32_t num;

	parse(&sa, peer, ARRAY_LEN(peer));
	CU_ASSERT_STRING_EQUAL(offer_peer_text(text, &sa),
			       "aes256gcm16-aes128gcm16-prfsha384-prfsha256-ecp384-x25519-"
			       "ke1_ecp256, "
			       "aes256-sha512-prfsha512-modp2048, "
			       "chacha20poly1305-prfsha256-modp4096");
	CU_ASSERT_EQUAL_FATAL(conf_proposals_parse(read, &num, why, sizeof(why), text, true),
			      ERR_OK);
	CU_ASSERT_EQUAL_FATAL(num, 3);
	for (uint32_t i = 0; i < num; i++) {
		parse(&sa, &peer[i], 1);
		CU_ASSERT_EQUAL(sa_select(&c, &sa, SA_KIND_IKE, &read[i], 1, 0), ERR_OK);
	}
	CU_ASSERT_STRING_EQUAL(offer_text(again, SA_KIND_IKE, read, num), text);
	CU_ASSERT_STRING_EQUAL(offer_text(text, SA_KIND_CHILD, &esp_pfs, 1),
			       "aes128gcm16-ecp256-noesn");
	CU_ASSERT_STRING_EQUAL(offer_text(text, SA_KIND_CHILD_AUTH, &esp_pfs, 1),
			       "aes128gcm16-noesn");
}

/* S8: whatever a peer offers, what is said of it has an end, and no words but ours. */
static void test_S8_offers_are_cut(void)
{
	const struct p strange = {
		1,
		PROTO_IKE,
		0,
		{{TRANSFORM_ENCR, 3, 0}, {TRANSFORM_ENCR, 12, 99}, {99, 7, 0}, INTEG(2), DH(2)}};
	char text[OFFER_TEXT_MAX];
	struct p many[IKE_MAX_PROPOSALS];
	struct sa_payload sa;

	parse(&sa, &strange, 1);
	CU_ASSERT_STRING_EQUAL(offer_peer_text(text, &sa),
			       "ENCR_3-AES_CBC-99-TRANSFORM_99_7-HMAC_SHA1_96-DH_2");
	for (uint32_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = (struct p){
			(uint8_t)(i + 1), PROTO_IKE, 0, {CBC(256), INTEG(12), PRF(5), DH(14)}};
	parse(&sa, many, ARRAY_LEN(many));
	memset(text, 'x', sizeof(text));
	offer_peer_text(text, &sa);
	CU_ASSERT(strnlen(text, sizeof(text)) > OFFER_TEXT_MAX - 40);
	CU_ASSERT_STRING_EQUAL(strchr(text, 0) - 3, "...");
	CU_ASSERT_EQUAL(strncmp(text, "aes256-sha256-prfsha256-modp2048, aes256-", 41), 0);
	sa.num_proposals = 0;
	CU_ASSERT_STRING_EQUAL(offer_peer_text(text, &sa), "");
}

#define ADDKE(n, id)                            \
	{                                       \
		TRANSFORM_ADDKE1 + (n)-1, id, 0 \
	}

static const struct conf_proposal ike_more = {
	.encr = {{ENCR_AES_GCM_16, 256, 0}},
	.prf = {PRF_HMAC_SHA2_256},
	.dh = {DH_CURVE_25519},
	.addke = {[0] = {DH_ECP_384, DH_ECP_256}, [2] = {DH_ECP_384, DH_NONE}},
	.num_encr = 1,
	.num_prf = 1,
	.num_dh = 1,
	.num_addke = {[0] = 2, [2] = 2},
};

/* RFC 9370 2.2.1: our preference, each method once, NONE where both allow it. */
static void test_additional_key_exchanges(void)
{
	static const struct {
		struct p peer;
		bool good;
		uint16_t addke[2]; /* the first and the third */
		uint8_t none;
	} cases[] = {
		{{1, PROTO_IKE, 0, {GCM(256), PRF(5), DH(31), ADDKE(1, 19)}}, true, {19, 0}, 0},
		{{1, PROTO_IKE, 0, {GCM(256), PRF(5), DH(31), ADDKE(1, 19), ADDKE(1, 20)}},
		 true,
		 {20, 0},
		 0},
		{{1, PROTO_IKE, 0, {GCM(256), PRF(5), DH(31), ADDKE(1, 19), ADDKE(3, 20)}},
		 true,
		 {19, 20},
		 0},
		{{1,
		  PROTO_IKE,
		  0,
		  {GCM(256), PRF(5), DH(31), ADDKE(1, 20), ADDKE(3, 20), ADDKE(3, 0)}},
		 true,
		 {20, 0},
		 4},
		/* The same twice, one that we do not have, none where we want one, one
		   more. */
		{{1, PROTO_IKE, 0, {GCM(256), PRF(5), DH(31), ADDKE(1, 20), ADDKE(3, 20)}},
		 false,
		 {0},
		 0},
		{{1, PROTO_IKE, 0, {GCM(256), PRF(5), DH(31), ADDKE(1, 21)}}, false, {0}, 0},
		{{1, PROTO_IKE, 0, {GCM(256), PRF(5), DH(31), ADDKE(1, 0)}}, false, {0}, 0},
		{{1, PROTO_IKE, 0, {GCM(256), PRF(5), DH(31)}}, false, {0}, 0},
		{{1, PROTO_IKE, 0, {GCM(256), PRF(5), DH(31), ADDKE(1, 19), ADDKE(7, 20)}},
		 false,
		 {0},
		 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct sa_chosen c;
		const enum err e = choose(&c, &cases[i].peer, 1, SA_KIND_IKE, &ike_more, 0);

		CU_ASSERT_EQUAL(e, cases[i].good ? ERR_OK : ERR_NO_PROPOSAL);
		if (e)
			continue;
		CU_ASSERT(c.addke[0] == cases[i].addke[0] && c.addke[2] == cases[i].addke[1]);
		CU_ASSERT_EQUAL(c.lists_addke_none, cases[i].none);
		CU_ASSERT_EQUAL(sa_next_addke(&c, 0), c.addke[0]);
		CU_ASSERT_EQUAL(sa_next_addke(&c, 1), c.addke[2]);
		CU_ASSERT_EQUAL(sa_next_addke(&c, 2), DH_NONE);
		CU_ASSERT(sa_takes_addke(&ike_more, &c) && !sa_takes_addke(&ike_any, &c));
	}
}

/* What we offer is parsed again, whole and in pieces, and an answer of it is one. */
static void test_additional_key_exchanges_there_and_back(void)
{
	const struct ike_header h = {0};
	struct ike_builder b;
	struct sa_payload sa;
	struct sa_chosen c, again;
	struct bytes out;
	uint8_t buf[512];

	for (unsigned answer = 0; answer < 2; answer++) {
		ike_build_begin(&b, buf, sizeof(buf), &h);
		if (answer)
			sa_answer_build(&b, &c, 0);
		else
			sa_offer_build(&b, SA_KIND_IKE, 0, &ike_more, 1);
		CU_ASSERT_EQUAL_FATAL(ike_build_finish(&b, &out, NULL), ERR_OK);
		CU_ASSERT_EQUAL_FATAL(sa_parse(&sa, bytes_of(out.p + 32, out.len - 32)), ERR_OK);
		if (!answer)
			CU_ASSERT_EQUAL(sa_select(&c, &sa, SA_KIND_IKE, &ike_more, 1, 0), ERR_OK);
		CU_ASSERT(sweep(out.p + 32, out.len - 32, visit) > 100);
	}
	CU_ASSERT_EQUAL(sa_check(&again, &sa, SA_KIND_IKE, &ike_more, 1), ERR_OK);
	CU_ASSERT(memcmp(c.addke, again.addke, sizeof(c.addke)) == 0);
	/* In IKE_AUTH there is none, whatever the configuration says. */
	ike_build_begin(&b, buf, sizeof(buf), &h);
	sa_offer_build(&b, SA_KIND_CHILD_AUTH, 1, &ike_more, 1);
	CU_ASSERT_EQUAL_FATAL(ike_build_finish(&b, &out, NULL), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(sa_parse(&sa, bytes_of(out.p + 32, out.len - 32)), ERR_OK);
	for (uint32_t i = 0; i < sa.num_transforms; i++)
		CU_ASSERT(sa.transforms[i].type < TRANSFORM_ADDKE1);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_our_preference_wins),
	TAP_TEST(test_integrity),
	TAP_TEST(test_integrity_there_and_back),
	TAP_TEST(test_second_proposal),
	TAP_TEST(test_rules),
	TAP_TEST(test_offer_answer),
	TAP_TEST(test_answer_echoes_none),
	TAP_TEST(test_answers_outside_the_offer),
	TAP_TEST(test_none_is_configured),
	TAP_TEST(test_zero_spi_refused),
	TAP_TEST(test_attributes),
	TAP_TEST(test_S3_bounds),
	TAP_TEST(test_structure_errors),
	TAP_TEST(test_truncation_and_bit_flips),
	TAP_TEST(test_additional_key_exchanges),
	TAP_TEST(test_additional_key_exchanges_there_and_back),
	TAP_TEST(test_groups),
	TAP_TEST(test_text),
	TAP_TEST(test_cipher_of_one_key_length),
	TAP_TEST(test_offer_in_words),
	TAP_TEST(test_S8_offers_are_cut),
};

TAP_MAIN("control/proposal", tests)
