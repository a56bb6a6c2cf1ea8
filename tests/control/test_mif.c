/* SPDX-License-Identifier: Apache-2.0 */
/* The notifies of several paths: round trips, refusals, and the examples of the document. */
#include <sodium.h>

#include "control/ike/wire/mif.h"
#include "tests/control/hex.h"
#include "tests/control/sweep.h"

#define OWN     MIF_HAS_OWN
#define BUF_LEN 4096

static struct endpoint at(const char *text, uint16_t port)
{
	struct endpoint e = {.port = port};

	CU_ASSERT_EQUAL_FATAL(ip_addr_parse(&e.addr, text), ERR_OK);
	return e;
}

static struct bytes written(uint8_t buf[BUF_LEN], const struct mif_op *op)
{
	struct writer w;
	struct bytes out;

	writer_init(&w, buf, BUF_LEN);
	mif_op_write(&w, op);
	CU_ASSERT_EQUAL_FATAL(writer_finish(&w, &out), ERR_OK);
	return out;
}

/* The data of the only notify in a message. */
static struct bytes notify_of(struct ike_builder *b, uint16_t type)
{
	static struct ike_msg m;
	struct wire_notify n;
	struct bytes out;

	CU_ASSERT_EQUAL_FATAL(ike_build_finish(b, &out, NULL), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(ike_msg_parse(&m, out), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(m.num, 1);
	CU_ASSERT_EQUAL_FATAL(wire_notify_parse(&n, m.payloads[0].body), ERR_OK);
	CU_ASSERT_EQUAL(n.type, type);
	CU_ASSERT_EQUAL(n.protocol, PROTO_NONE);
	CU_ASSERT_EQUAL(n.spi.len, 0);
	return n.data;
}

static void begin(struct ike_builder *b, uint8_t buf[BUF_LEN])
{
	const struct ike_header header = {.exchange = INFORMATIONAL};

	ike_build_begin(b, buf, BUF_LEN, &header);
}

static bool same_endpoint(const struct mif_endpoint *a, const struct mif_endpoint *b)
{
	return a->nat == b->nat && a->at.port == b->at.port &&
	       ip_addr_equal(&a->at.addr, &b->at.addr);
}

static void check_same(const struct mif_op *a, const struct mif_op *b)
{
	CU_ASSERT_EQUAL(a->op, b->op);
	CU_ASSERT_EQUAL(a->flags, b->flags);
	CU_ASSERT_EQUAL(a->path, b->path);
	CU_ASSERT_EQUAL(a->transaction, b->transaction);
	CU_ASSERT_EQUAL_FATAL(a->has, b->has);
	CU_ASSERT_TRUE(same_endpoint(&a->own, &b->own) && same_endpoint(&a->peers, &b->peers));
	CU_ASSERT_EQUAL(a->selector.kind, b->selector.kind);
	CU_ASSERT_EQUAL(a->selector.split, b->selector.split);
	CU_ASSERT_TRUE(bytes_equal(a->selector.bytes, b->selector.bytes));
	CU_ASSERT_EQUAL(a->schedule.policy, b->schedule.policy);
	CU_ASSERT_EQUAL(a->schedule.priority, b->schedule.priority);
	CU_ASSERT_EQUAL(a->schedule.weight, b->schedule.weight);
	CU_ASSERT_EQUAL(a->liveness.idle_ms, b->liveness.idle_ms);
	CU_ASSERT_EQUAL(a->liveness.dead_ms, b->liveness.dead_ms);
	CU_ASSERT_EQUAL(a->state.state, b->state.state);
	CU_ASSERT_EQUAL(a->state.active, b->state.active);
}

/* ---- the document's examples ----------------------------------------------------------------- */

/* struct example - what a fenced block of the document says by its name. */
struct example {
	const char *name;
	struct mif_op op;
};

#define SPI_1 0xc0, 0xa8, 0x00, 0x01
#define SPI_2 0xc0, 0xa8, 0x00, 0x02
static const uint8_t two_spis[] = {SPI_1, SPI_2};
static uint8_t ts_buf[256];

static struct ts subnet(const char *text)
{
	struct ts t = {0};

	CU_ASSERT_EQUAL_FATAL(ts_parse(&t, text), ERR_OK);
	return t;
}

static struct mif_selector between(const char *own, const char *peers)
{
	struct ts_list a = {.num = 1}, b = {.num = 1};
	struct mif_selector s = {.kind = MIF_SELECT_ALL};

	a.ts[0] = subnet(own);
	b.ts[0] = subnet(peers);
	CU_ASSERT_EQUAL_FATAL(mif_selector_of_ts(&s, ts_buf, sizeof(ts_buf), &a, &b), ERR_OK);
	return s;
}

/* What moves traffic: all of it, or a part. */
static size_t soft_examples(struct example *out)
{
	const struct mif_selector spis = {MIF_SELECT_SPIS, 0, bytes_of(two_spis, 8)};
	const struct mif_selector tag = {MIF_SELECT_DOMAIN, 0, bytes_of("voice", 5)};
	const struct example list[] = {
		{"mif_soft",
		 {.op = MIF_SOFT, .path = 2, .transaction = 3, .has = MIF_HAS_SELECTOR}},
		{"mif_soft_spis",
		 {.op = MIF_SOFT,
		  .flags = MIF_ATOMIC | MIF_DRY,
		  .path = 2,
		  .transaction = 5,
		  .has = MIF_HAS_SELECTOR,
		  .selector = spis}},
		{"mif_soft_ts",
		 {.op = MIF_SOFT,
		  .path = 2,
		  .transaction = 6,
		  .has = MIF_HAS_SELECTOR,
		  .selector = between("10.1.0.0/16", "10.2.0.0/16")}},
		{"mif_soft_domain",
		 {.op = MIF_SOFT,
		  .path = 3,
		  .transaction = 7,
		  .has = MIF_HAS_SELECTOR,
		  .selector = tag}},
	};

	memcpy(out, list, sizeof(list));
	return ARRAY_LEN(list);
}

static size_t op_examples(struct example out[16])
{
	const struct example list[] = {
		{"mif_add",
		 {.op = MIF_ADD,
		  .path = 2,
		  .transaction = 1,
		  .has = OWN | MIF_HAS_PEERS | MIF_HAS_SCHEDULE | MIF_HAS_LIVENESS,
		  .own = {at("198.51.100.7", 4500), true},
		  .peers = {at("192.0.2.2", 4500), false},
		  .schedule = {MIF_KEEP_POLICY, 1, 100},
		  .liveness = {10000, 30000}}},
		{"mif_add_ipv6",
		 {.op = MIF_ADD,
		  .path = 3,
		  .transaction = 2,
		  .has = OWN,
		  .own = {at("2001:db8::7", 0), false}}},
		{"mif_hard",
		 {.op = MIF_HARD,
		  .path = 4,
		  .transaction = 4,
		  .has = OWN,
		  .own = {at("203.0.113.9", 4500), false}}},
		{"mif_multihoming",
		 {.op = MIF_MULTIHOMING,
		  .flags = MIF_ATOMIC,
		  .path = 2,
		  .transaction = 8,
		  .has = MIF_HAS_SCHEDULE,
		  .schedule = {MIF_FAILOVER, 10, 1}}},
		{"mif_leave", {.op = MIF_LEAVE, .path = 1, .transaction = 9}},
		{"mif_remove", {.op = MIF_REMOVE, .path = 1, .transaction = 10}},
		{"mif_query", {.op = MIF_QUERY, .path = 0, .transaction = 11}},
		{"mif_query_answer",
		 {.op = MIF_QUERY,
		  .path = 2,
		  .transaction = 11,
		  .has = OWN | MIF_HAS_PEERS | MIF_HAS_SCHEDULE | MIF_HAS_STATE,
		  .own = {at("192.0.2.2", 4500), false},
		  .peers = {at("198.51.100.7", 4500), true},
		  .schedule = {MIF_FAILOVER, 0, 100},
		  .state = {MIF_PATH_USABLE, true}}},
	};

	memcpy(out, list, sizeof(list));
	return ARRAY_LEN(list) + soft_examples(out + ARRAY_LEN(list));
}

static bool is_supported(struct bytes hex)
{
	static const struct mif_supported s = {1, 8, 0x3f, 64, 65536};
	struct mif_supported got = {0};
	uint8_t buf[BUF_LEN];
	struct ike_builder b;

	begin(&b, buf);
	mif_supported_build(&b, &s);
	CU_ASSERT_TRUE(bytes_equal(notify_of(&b, NOTIFY_MIF_SUPPORTED), hex));
	CU_ASSERT_EQUAL(mif_supported_parse(&got, hex), ERR_OK);
	CU_ASSERT_EQUAL(got.max_paths, 8);
	CU_ASSERT_EQUAL(got.caps, 0x3f);
	CU_ASSERT_EQUAL(got.max_ops, 64);
	CU_ASSERT_EQUAL(got.window, 65536);
	return true;
}

static bool is_result(struct bytes hex)
{
	const struct mif_result r = {5, 2, MIF_EMPTY_SELECTOR, bytes_of(two_spis + 4, 4)};
	struct mif_result got = {0};
	uint8_t buf[BUF_LEN];
	struct ike_builder b;

	begin(&b, buf);
	mif_result_build(&b, &r);
	CU_ASSERT_TRUE(bytes_equal(notify_of(&b, NOTIFY_MIF_RESULT), hex));
	CU_ASSERT_EQUAL(mif_result_parse(&got, hex), ERR_OK);
	CU_ASSERT_EQUAL(got.transaction, 5);
	CU_ASSERT_EQUAL(got.path, 2);
	CU_ASSERT_EQUAL(got.status, MIF_EMPTY_SELECTOR);
	CU_ASSERT_EQUAL_FATAL(mif_num_spis(got.failed), 1);
	CU_ASSERT_EQUAL(mif_spi(got.failed, 0), 0xc0a80002);
	return true;
}

static bool is_op(const char *name, struct bytes hex)
{
	struct example list[16];
	size_t num = op_examples(list);
	struct mif_op got = {0};
	uint8_t buf[BUF_LEN];

	for (size_t i = 0; i < num; i++) {
		if (strcmp(list[i].name, name) != 0)
			continue;
		CU_ASSERT_EQUAL(mif_op_parse(&got, hex), ERR_OK);
		CU_ASSERT_EQUAL(got.refused, 0);
		check_same(&got, &list[i].op);
		CU_ASSERT_TRUE(bytes_equal(written(buf, &list[i].op), hex));
		return true;
	}
	return false;
}

/* The fields of a control message within ESP, by the table of section 6. */
static bool is_control(const char *name, struct bytes hex)
{
	const bool answer = strcmp(name, "esp_answer") == 0;
	static const uint8_t v4[16] = {198, 51, 100, 7}, v6[16] = {0x20, 1, 0xd, 0xb8, [15] = 9};
	const uint8_t *p = hex.p;

	if (!answer && strcmp(name, "esp_probe") != 0)
		return false;
	CU_ASSERT_EQUAL_FATAL(hex.len, 96);
	CU_ASSERT_EQUAL(p[0], 1);
	CU_ASSERT_EQUAL(p[1], answer ? 2 : 1);
	CU_ASSERT_EQUAL(load_be16(p + 2), 2);
	CU_ASSERT_EQUAL(load_be16(p + 4), answer ? 0 : 1);
	CU_ASSERT_EQUAL(load_be16(p + 6), answer ? 4500 : 61000);
	for (uint8_t i = 0; i < 16; i++)
		CU_ASSERT_EQUAL(p[8 + i], 0x10 + i);
	CU_ASSERT_EQUAL(load_be64(p + 24), 1700000000000000);
	CU_ASSERT_EQUAL(load_be32(p + 32), answer ? 120 : 0);
	CU_ASSERT_EQUAL(p[36], answer ? 6 : 4);
	CU_ASSERT_EQUAL(p[37] | p[38] | p[39], 0);
	CU_ASSERT_EQUAL(memcmp(p + 40, answer ? v6 : v4, 16), 0);
	CU_ASSERT_EQUAL(load_be64(p + 56), answer ? 900 : 1000);
	CU_ASSERT_EQUAL(load_be64(p + 64), answer ? 1260000 : 1400000);
	CU_ASSERT_EQUAL(load_be64(p + 72), answer ? 1000 : 900);
	CU_ASSERT_EQUAL(load_be64(p + 80), answer ? 1400000 : 1260000);
	CU_ASSERT_EQUAL(load_be64(p + 88), answer ? 54321 : 12345);
	return true;
}

static void check_example(const char *name, struct bytes hex)
{
	const bool known = strcmp(name, "mif_supported") == 0 ? is_supported(hex)
			   : strcmp(name, "mif_result") == 0
				   ? is_result(hex)
				   : is_op(name, hex) || is_control(name, hex);

	if (!known)
		tap_diag("the document has an example %s that is not known here", name);
	CU_ASSERT_TRUE(known);
}

/* Every block of hexadecimal digits in the document is what it says that it is. */
static void test_document(void)
{
	FILE *f = fopen(MIF_DOCUMENT, "r");
	char line[512], name[64] = "", text[2 * HEX_MAX] = "";
	size_t num = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	while (fgets(line, sizeof(line), f)) {
		struct hex h;

		if (sscanf(line, "```hex %63s", name) == 1) {
			text[0] = 0;
		} else if (strncmp(line, "```", 3) == 0 && name[0]) {
			hex_read(&h, text);
			check_example(name, hex_view(&h));
			name[0] = 0;
			num++;
		} else if (name[0]) {
			line[strcspn(line, ";\n")] = 0;
			strncat(text, line, sizeof(text) - strlen(text) - 2);
			strcat(text, " ");
		}
	}
	fclose(f);
	CU_ASSERT_EQUAL(num, 16);
}

/* ---- MIF_SUPPORTED --------------------------------------------------------------------------- */

static void test_vendor_id(void)
{
	static const char text[] = "Latchkey MIF 1";
	uint8_t hash[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(hash, (const uint8_t *)text, strlen(text));
	CU_ASSERT_EQUAL(memcmp(hash, mif_vendor_id, MIF_VENDOR_ID_LEN), 0);
}

static void test_supported(void)
{
	static const struct {
		const char *hex;
		enum err e;
		uint8_t paths;
		uint16_t ops;
	} rows[] = {
		{"01 02 0000 0001 0000 00000040", ERR_OK, 2, 1},
		{"01 08 0000 0040 0000 00000040", ERR_OK, 8, 64},
		{"02 ff ffff ffff ffff ffffffff 0102", ERR_OK, 8, 64}, /* a later version's */
		{"00 08 0000 0040 0000 00000040", ERR_MALFORMED, 0, 0},
		{"01 01 0000 0040 0000 00000040", ERR_MALFORMED, 0, 0},
		{"01 08 0000 0000 0000 00000040", ERR_MALFORMED, 0, 0},
		{"01 08 0000 0040 0000 000000", ERR_TRUNCATED, 0, 0},
		{"", ERR_TRUNCATED, 0, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct mif_supported s = {.max_paths = 77};
		struct hex h;

		hex_read(&h, rows[i].hex);
		CU_ASSERT_EQUAL(mif_supported_parse(&s, hex_view(&h)), rows[i].e);
		CU_ASSERT_EQUAL(s.max_paths, rows[i].e ? 77 : rows[i].paths);
		if (!rows[i].e)
			CU_ASSERT_EQUAL(s.max_ops, rows[i].ops);
	}
}

/* ---- MIF_OP ---------------------------------------------------------------------------------- */

/* What cannot be: the whole message is wrong. */
static void test_malformed(void)
{
	static const struct {
		const char *hex;
		enum err e;
	} rows[] = {
		{"02 00 0008 0001 00", ERR_TRUNCATED},
		{"02 00 0009 0001 0001", ERR_TRUNCATED},
		{"02 00 0007 0001 0001", ERR_MALFORMED},
		{"02 00 0008 0001 0001 00", ERR_MALFORMED},
		{"02 00 000b 0001 0001 0001 00", ERR_TRUNCATED},
		{"02 00 000c 0001 0001 0009 0001", ERR_TRUNCATED},
		{"01 00 0014 0002 0001 0001 0008 05 00 0000 c0000201", ERR_MALFORMED}, /* family */
		{"01 00 0014 0002 0001 0001 0008 06 00 0000 c0000201", ERR_MALFORMED},
		{"01 00 0015 0002 0001 0001 0009 04 00 0000 c0000201 00", ERR_MALFORMED},
		{"01 00 0013 0002 0001 0001 0007 04 00 0000 c00002", ERR_MALFORMED},
		{"01 00 0020 0002 0001 0001 0008 04 00 0000 c0000201 0001 0008 04 00 0000 c0000202",
		 ERR_MALFORMED}, /* twice the same side's */
		{"03 00 0014 0001 0001 0002 0008 00 00 0000 00000001", ERR_MALFORMED},
		{"03 00 0010 0001 0001 0002 0004 01 00 0000", ERR_MALFORMED},
		{"03 00 0013 0001 0001 0002 0007 01 00 0000 000000", ERR_MALFORMED},
		{"03 00 0010 0001 0001 0002 0004 03 00 0000", ERR_MALFORMED},
		{"03 00 0014 0001 0001 0002 0008 02 00 0009 01000000", ERR_MALFORMED},
		{"03 00 0014 0001 0001 0002 0008 02 00 0004 00000000", ERR_MALFORMED},
		{"03 00 000f 0001 0001 0002 0003 00 00 00", ERR_MALFORMED},
		{"05 00 0010 0001 0001 0003 0004 00 01 0000", ERR_MALFORMED}, /* weight 0 */
		{"05 00 0011 0001 0001 0003 0005 00 01 0001 00", ERR_MALFORMED},
		{"05 00 001c 0001 0001 0003 0004 00 01 0001 0005 0008 00000000 00000001",
		 ERR_MALFORMED},
		{"06 00 000e 0001 0001 0006 0002 00 00", ERR_MALFORMED},
		{"06 00 000e 0001 0001 0006 0002 05 00", ERR_MALFORMED},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct mif_op op = {.op = 77};
		enum err e;
		struct hex h;

		hex_read(&h, rows[i].hex);
		e = mif_op_parse(&op, hex_view(&h));
		if (e != rows[i].e)
			tap_diag("%s: %s", rows[i].hex, err_text(e));
		CU_ASSERT_EQUAL(e, rows[i].e);
		CU_ASSERT_EQUAL(op.op, 77);
	}
}

/* What follows the format and is not to be done: this operation alone is answered with why. */
static void test_refused(void)
{
	static const struct {
		const char *hex;
		enum mif_status status;
	} rows[] = {
		{"00 00 0008 0001 0001", MIF_UNSUPPORTED_OP},
		{"08 00 0008 0001 0001", MIF_UNSUPPORTED_OP},
		{"02 04 0008 0001 0001", MIF_UNSUPPORTED_OP},           /* flag */
		{"02 00 000c 0001 0001 0007 0000", MIF_UNSUPPORTED_OP}, /* TLV */
		{"02 00 000c 0001 0001 8007 0000", MIF_OK},             /* one that is optional */
		{"02 00 000e 0001 0001 ffff 0002 0102", MIF_OK},
		{"03 00 0010 0001 0001 0002 0004 04 00 0000", MIF_UNSUPPORTED_OP}, /* selector */
		{"05 00 0010 0001 0001 0003 0004 04 00 0001", MIF_UNSUPPORTED_OP}, /* policy */
		{"05 00 0010 0001 0001 0003 0004 ff 00 0001", MIF_OK},
		{"01 00 0008 0002 0001", MIF_UNSUPPORTED_OP}, /* without an endpoint */
		{"05 00 0008 0001 0001", MIF_UNSUPPORTED_OP},
		{"07 00 0008 0001 0001", MIF_OK},
		{"07 00 0010 0001 0001 0003 0004 00 00 0001", MIF_UNSUPPORTED_OP}, /* not its */
		{"02 00 0010 0001 0001 0004 0004 00000005", MIF_UNSUPPORTED_OP},   /* no TLV */
		{"02 00 0010 0001 0001 0002 0004 00 00 0000", MIF_UNSUPPORTED_OP}, /* not its */
		{"01 00 002c 0002 0001 0001 0008 04 00 0000 c0000201 0001 0014 06 02 0000 "
		 "20010db8 00000000 00000000 00000001",
		 MIF_BAD_ENDPOINT}, /* two families */
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct mif_op op = {.refused = 1};
		struct hex h;
		enum err e;

		hex_read(&h, rows[i].hex);
		e = mif_op_parse(&op, hex_view(&h));
		if (e || op.refused != rows[i].status)
			tap_diag("%s: %s, %s", rows[i].hex, err_text(e),
				 mif_status_name(op.refused));
		CU_ASSERT_EQUAL(e, ERR_OK);
		CU_ASSERT_EQUAL(op.refused, rows[i].status);
	}
}

/* Addresses at which no other host is to be reached are none of a path's ends (S57). */
static void test_S57_endpoints_of_no_use(void)
{
	static const char *const bad[] = {
		"0.0.0.0", "127.0.0.1", "169.254.3.4", "224.0.0.1", "239.1.2.3", "255.255.255.255",
		"::",      "::1",       "ff02::1",     "ff0e::5",   "fe80::1"};
	static const char *const good[] = {"10.0.0.1", "223.255.255.255", "fd00::1", "2001:db8::1"};

	for (size_t i = 0; i < ARRAY_LEN(bad) + ARRAY_LEN(good); i++) {
		const bool is_bad = i < ARRAY_LEN(bad);
		struct mif_op op = {.op = MIF_ADD,
				    .flags = 0,
				    .path = 2,
				    .transaction = 1,
				    .has = OWN},
			      got = {0};
		uint8_t buf[BUF_LEN];

		op.own.at = at(is_bad ? bad[i] : good[i - ARRAY_LEN(bad)], 4500);
		CU_ASSERT_EQUAL(mif_op_parse(&got, written(buf, &op)), ERR_OK);
		CU_ASSERT_EQUAL(got.refused, is_bad ? MIF_BAD_ENDPOINT : MIF_OK);
		op.has |= MIF_HAS_PEERS; /* the receiver's end is judged as well */
		op.peers = op.own;
		op.own.at =
			op.own.at.addr.family == IP_V4 ? at("192.0.2.1", 1) : at("2001:db8::2", 1);
		CU_ASSERT_EQUAL(mif_op_parse(&got, written(buf, &op)), ERR_OK);
		CU_ASSERT_EQUAL(got.refused, is_bad ? MIF_BAD_ENDPOINT : MIF_OK);
	}
}

/* One SPI more than may be is an error and no truncation (S3). */
static void test_S3_many_spis(void)
{
	static uint8_t spis[4 * (MIF_SPIS_MAX + 1)], buf[4 * MIF_SPIS_MAX + 64];
	struct mif_op op = {.op = MIF_SOFT,
			    .flags = 0,
			    .path = 1,
			    .transaction = 1,
			    .has = MIF_HAS_SELECTOR},
		      got = {0};
	struct mif_result r = {.transaction = 1};
	struct writer w;
	struct bytes out;

	for (size_t i = 0; i < 2; i++) {
		op.selector = (struct mif_selector){MIF_SELECT_SPIS, 0,
						    bytes_of(spis, 4 * (MIF_SPIS_MAX + i))};
		writer_init(&w, buf, sizeof(buf));
		mif_op_write(&w, &op);
		CU_ASSERT_EQUAL_FATAL(writer_finish(&w, &out), ERR_OK);
		CU_ASSERT_EQUAL(mif_op_parse(&got, out), i ? ERR_LIMIT : ERR_OK);
		writer_init(&w, buf, sizeof(buf));
		writer_zero(&w, 6);
		writer_u16(&w, (uint16_t)(MIF_SPIS_MAX + i));
		writer_bytes(&w, spis, 4 * (MIF_SPIS_MAX + i));
		CU_ASSERT_EQUAL_FATAL(writer_finish(&w, &out), ERR_OK);
		CU_ASSERT_EQUAL(mif_result_parse(&r, out), i ? ERR_LIMIT : ERR_OK);
	}
	CU_ASSERT_EQUAL(mif_num_spis(got.selector.bytes), MIF_SPIS_MAX);
	CU_ASSERT_EQUAL(mif_num_spis(r.failed), MIF_SPIS_MAX);
}

static void test_selector_of_traffic(void)
{
	struct mif_op op = {.op = MIF_SOFT,
			    .flags = 0,
			    .path = 1,
			    .transaction = 1,
			    .has = MIF_HAS_SELECTOR},
		      got = {0};
	struct ts_list own, peers;
	uint8_t buf[BUF_LEN];
	const struct ts a = subnet("10.1.0.0/16"), b = subnet("2001:db8::/64[tcp/443]");

	op.selector = between("10.1.0.0/16", "2001:db8::/64[tcp/443]");
	CU_ASSERT_EQUAL(mif_op_parse(&got, written(buf, &op)), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(mif_selector_ts(&own, &peers, &got.selector), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(own.num + peers.num, 2);
	CU_ASSERT_EQUAL(memcmp(&own.ts[0], &a, sizeof(a)), 0);
	CU_ASSERT_EQUAL(memcmp(&peers.ts[0], &b, sizeof(b)), 0);
}

static void test_result(void)
{
	static const struct {
		const char *hex;
		enum err e;
	} rows[] = {
		{"0001 0000 0002 0000", ERR_OK},
		{"0001 2008 0002 0001 01020304", ERR_OK},
		{"0001 0000 0002 0001 010203", ERR_TRUNCATED},
		{"0001 0000 0002 0000 01", ERR_MALFORMED},
		{"0001 0000 0002 00", ERR_TRUNCATED},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct mif_result r;
		struct hex h;

		hex_read(&h, rows[i].hex);
		CU_ASSERT_EQUAL(mif_result_parse(&r, hex_view(&h)), rows[i].e);
	}
	CU_ASSERT_STRING_EQUAL(mif_status_name(0), "OK");
	CU_ASSERT_STRING_EQUAL(mif_status_name(8200), "UNSUPPORTED_OP");
	CU_ASSERT_STRING_EQUAL(mif_status_name(8208), "ABORTED");
	CU_ASSERT_STRING_EQUAL(mif_status_name(8209), "?");
	CU_ASSERT_STRING_EQUAL(mif_status_name(1), "?");
}

/* ---- sweeps ---------------------------------------------------------------------------------- */

static size_t taken;

/* Whatever is taken is used, and nothing of it lies outside. */
static void use(struct bytes v, long changed_bit)
{
	struct mif_supported s;
	struct ts_list a, b;
	struct mif_result r;
	struct mif_op op;

	(void)changed_bit;
	taken += !mif_supported_parse(&s, v);
	if (!mif_result_parse(&r, v))
		for (uint32_t i = 0; i < mif_num_spis(r.failed); i++)
			taken += mif_spi(r.failed, i) != 0;
	if (mif_op_parse(&op, v))
		return;
	taken++;
	if (op.has & MIF_HAS_SELECTOR && op.selector.kind == MIF_SELECT_TS)
		CU_ASSERT_EQUAL(mif_selector_ts(&a, &b, &op.selector), ERR_OK);
}

static void test_S1_cut_and_flipped(void)
{
	struct example list[16];
	size_t num = op_examples(list);
	static const uint8_t result[] = {0, 5, 0x20, 0xb, 0, 2, 0, 1, SPI_1};
	static const uint8_t supported[] = {1, 8, 0, 0x3f, 0, 0x40, 0, 0, 0, 1, 0, 0};
	uint8_t buf[BUF_LEN];

	taken = 0;
	for (size_t i = 0; i < num; i++) {
		struct bytes whole = written(buf, &list[i].op);

		CU_ASSERT_EQUAL(sweep(whole.p, whole.len, use), whole.len * 9);
	}
	sweep(result, sizeof(result), use);
	sweep(supported, sizeof(supported), use);
	CU_ASSERT_TRUE(taken > 100);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_document),     TAP_TEST(test_vendor_id),
	TAP_TEST(test_supported),    TAP_TEST(test_malformed),
	TAP_TEST(test_refused),      TAP_TEST(test_S57_endpoints_of_no_use),
	TAP_TEST(test_S3_many_spis), TAP_TEST(test_selector_of_traffic),
	TAP_TEST(test_result),       TAP_TEST(test_S1_cut_and_flipped),
};

TAP_MAIN("control/mif", tests)
