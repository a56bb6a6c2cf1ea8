/* SPDX-License-Identifier: Apache-2.0 */
/* The application socket's messages: every bound, every kind of value, every cut and changed bit.
 */
#include "api/app/proto.h"
#include "tests/control/sweep.h"
#include "tests/tap/tap.h"

#include <stdlib.h>
#include <string.h>

/* struct message - one being written. */
struct message {
	uint8_t bytes[APP_MESSAGE_MAX + 64];
	struct writer w;
};

static void begin(struct message *m)
{
	writer_init(&m->w, m->bytes, sizeof(m->bytes));
	app_put_header(&m->w, APP_HELLO, 0, 0, 42);
}

static enum err parse(const struct message *m, struct app_msg *out)
{
	struct bytes b;

	CU_ASSERT_EQUAL_FATAL(writer_finish(&m->w, &b), ERR_OK);
	return app_msg_parse(out, b.p, b.len);
}

static const struct flow some_flow = {
	.local = {.family = IP_V4, .b = {10, 0, 0, 1}},
	.remote = {.family = IP_V6, .b = {0x20, 1, [15] = 9}},
	.local_port = 1000,
	.remote_port = 2000,
	.proto = 17,
};

static void full(struct message *m)
{
	size_t outer, inner;

	begin(m);
	app_put_text(&m->w, APP_A_PROFILE, "secure");
	app_put_u64(&m->w, APP_A_LATCH, 0x123456789abcdefull);
	app_put_bool(&m->w, APP_A_KEEP, true);
	app_put_flow(&m->w, APP_A_REMOTE, &some_flow);
	outer = app_begin(&m->w, APP_A_LATCH_INFO);
	app_put_u32(&m->w, APP_A_STATE, 4);
	inner = app_begin(&m->w, APP_A_CLASS);
	app_put_bytes(&m->w, APP_A_METHODS, bytes_of("\x01\x0b", 2));
	app_end(&m->w, inner);
	app_end(&m->w, outer);
}

/* A path's message, and what is told of one. */
static void full_path(struct message *m)
{
	size_t mark;

	begin(m);
	app_put_u32(&m->w, APP_A_PATH_ACT, APP_PATH_ADD);
	app_put_text(&m->w, APP_A_PEER, "gw");
	app_put_u32(&m->w, APP_A_PATH, 65535);
	app_put_flow(&m->w, APP_A_FLOW, &some_flow);
	app_put_u32(&m->w, APP_A_PRIORITY, 255);
	app_put_u32(&m->w, APP_A_WEIGHT, 65535);
	mark = app_begin(&m->w, APP_A_PATH_INFO);
	app_put_u32(&m->w, APP_A_PATH_STATE, 2);
	app_put_u32(&m->w, APP_A_PATH_NEWS, APP_PATH_GONE);
	app_put_u32(&m->w, APP_A_LOSS, 1000);
	app_put_u64(&m->w, APP_A_TX_BYTES, UINT64_MAX);
	app_end(&m->w, mark);
}

static void test_round_trip(void)
{
	struct message m;
	struct app_msg msg;
	struct app_attrs in, deep;
	struct flow flow;
	char text[32];

	full(&m);
	CU_ASSERT_EQUAL_FATAL(parse(&m, &msg), ERR_OK);
	CU_ASSERT_EQUAL(msg.verb, APP_HELLO);
	CU_ASSERT_EQUAL(msg.id, 42);
	CU_ASSERT_EQUAL(msg.attrs.num, 5);
	CU_ASSERT_STRING_EQUAL(app_attr_text(&msg.attrs, APP_A_PROFILE, text, sizeof(text)),
			       "secure");
	CU_ASSERT_EQUAL(app_attr_u64(&msg.attrs, APP_A_LATCH, 0), 0x123456789abcdefull);
	CU_ASSERT_TRUE(app_attr_bool(&msg.attrs, APP_A_KEEP, false));
	CU_ASSERT_EQUAL(app_attr_flow(&msg.attrs, APP_A_REMOTE, &flow), ERR_OK);
	CU_ASSERT_EQUAL(memcmp(&flow, &some_flow, sizeof(flow)), 0);
	CU_ASSERT_EQUAL(app_attr_inside(&msg.attrs, APP_A_LATCH_INFO, &in), ERR_OK);
	CU_ASSERT_EQUAL(app_attr_u32(&in, APP_A_STATE, 9), 4);
	CU_ASSERT_EQUAL(app_attr_inside(&in, APP_A_CLASS, &deep), ERR_OK);
	CU_ASSERT_EQUAL(app_attr_bytes(&deep, APP_A_METHODS).len, 2);
	/* What is not there. */
	CU_ASSERT_EQUAL(app_attr_u32(&msg.attrs, APP_A_TOKEN, 77), 77);
	CU_ASSERT_STRING_EQUAL(app_attr_text(&in, APP_A_PROFILE, text, sizeof(text)), "");
	CU_ASSERT_EQUAL(app_attr_flow(&in, APP_A_FLOW, &flow), ERR_NOT_FOUND);
}

/* One attribute with these bytes as its value. */
static enum err one(uint16_t type, const void *value, size_t len)
{
	struct message m;
	struct app_msg msg;

	begin(&m);
	writer_u16(&m.w, type);
	writer_u16(&m.w, (uint16_t)len);
	writer_bytes(&m.w, value, len);
	return parse(&m, &msg);
}

static void test_S61_values(void)
{
	static const uint8_t zero[4100];
	static uint8_t letters[300];
	uint8_t flow[39] = {4, 1, 2, 3, 4, [17] = 4, [18] = 1};

	memset(letters, 'a', sizeof(letters));
	CU_ASSERT_EQUAL(one(APP_A_PATH, "\x00\x00\xff\xff", 4), ERR_OK);
	CU_ASSERT_EQUAL(one(APP_A_PATH, "\x00\x01\x00\x00", 4), ERR_MALFORMED);
	CU_ASSERT_EQUAL(one(APP_A_PATH_ACT, "\x00\x00\x00\x05", 4), ERR_MALFORMED);
	CU_ASSERT_EQUAL(one(APP_A_PRIORITY, "\x00\x00\x01\x00", 4), ERR_MALFORMED);
	CU_ASSERT_EQUAL(one(APP_A_LOSS, "\x00\x00\x03\xe9", 4), ERR_MALFORMED);
	CU_ASSERT_EQUAL(one(APP_A_KEEP, "\x01", 1), ERR_OK);
	CU_ASSERT_EQUAL(one(APP_A_KEEP, "\x02", 1), ERR_MALFORMED);
	CU_ASSERT_EQUAL(one(APP_A_KEEP, "\x00\x01", 2), ERR_MALFORMED);
	CU_ASSERT_EQUAL(one(APP_A_TOKEN, zero, 4), ERR_OK);
	CU_ASSERT_EQUAL(one(APP_A_TOKEN, zero, 3), ERR_MALFORMED);
	CU_ASSERT_EQUAL(one(APP_A_TOKEN, zero, 0), ERR_MALFORMED);
	CU_ASSERT_EQUAL(one(APP_A_LATCH, zero, 8), ERR_OK);
	CU_ASSERT_EQUAL(one(APP_A_LATCH, zero, 4), ERR_MALFORMED);
	CU_ASSERT_EQUAL(one(APP_A_STATE, "\0\0\0\x04", 4), ERR_OK);
	CU_ASSERT_EQUAL(one(APP_A_STATE, "\0\0\0\x05", 4), ERR_MALFORMED);
	CU_ASSERT_EQUAL(one(APP_A_PART, "\x01\0\0\0", 4), ERR_MALFORMED);
	CU_ASSERT_EQUAL(one(APP_A_PROFILE, letters, 31), ERR_OK);
	CU_ASSERT_EQUAL(one(APP_A_PROFILE, letters, 32), ERR_LIMIT);
	CU_ASSERT_EQUAL(one(APP_A_PROFILE, letters, 0), ERR_MALFORMED);
	CU_ASSERT_EQUAL(one(APP_A_PROFILE, "a\0b", 3), ERR_MALFORMED);
	CU_ASSERT_EQUAL(one(APP_A_PEER, "a\nb", 3), ERR_MALFORMED);
	CU_ASSERT_EQUAL(one(APP_A_PEER, letters, 263), ERR_OK);
	CU_ASSERT_EQUAL(one(APP_A_PEER, letters, 264), ERR_LIMIT);
	CU_ASSERT_EQUAL(one(APP_A_METHODS, zero, APP_NUM_METHODS), ERR_LIMIT);
	CU_ASSERT_EQUAL(one(APP_A_PEER_KEY, zero, 2049), ERR_LIMIT);
	CU_ASSERT_EQUAL(one(APP_A_FLOW, flow, 39), ERR_OK);
	CU_ASSERT_EQUAL(one(APP_A_FLOW, flow, 38), ERR_TRUNCATED);
	flow[6] = 1; /* an IPv4 address of five bytes */
	CU_ASSERT_EQUAL(one(APP_A_FLOW, flow, 39), ERR_MALFORMED);
	flow[6] = 0;
	flow[0] = 5;
	CU_ASSERT_EQUAL(one(APP_A_FLOW, flow, 39), ERR_MALFORMED);
	/* Types: none, a gap, past the end, one to pass over. */
	CU_ASSERT_EQUAL(one(0, zero, 4), ERR_MALFORMED);
	CU_ASSERT_EQUAL(one(31, zero, 4), ERR_MALFORMED);
	CU_ASSERT_EQUAL(one(0x7fff, zero, 4), ERR_MALFORMED);
	CU_ASSERT_EQUAL(one(0x8001, zero, 100), ERR_OK);
}

static void test_S61_header(void)
{
	static const uint8_t good[APP_HEADER_LEN] = {0x4c, 0x6b, 1, 0, 0, 1};
	uint8_t bytes[APP_HEADER_LEN];
	struct app_msg msg;

	CU_ASSERT_EQUAL(app_msg_parse(&msg, good, sizeof(good)), ERR_OK);
	memcpy(bytes, good, sizeof(good));
	bytes[1] = 0x6c;
	CU_ASSERT_EQUAL(app_msg_parse(&msg, bytes, sizeof(bytes)), ERR_MALFORMED);
	memcpy(bytes, good, sizeof(good));
	bytes[2] = 2;
	CU_ASSERT_EQUAL(app_msg_parse(&msg, bytes, sizeof(bytes)), ERR_UNSUPPORTED);
	CU_ASSERT_EQUAL(app_msg_parse(&msg, NULL, 0), ERR_TRUNCATED);
}

static void test_S61_size(void)
{
	struct message m;
	struct app_msg msg;

	for (size_t more = 0; more <= 1; more++) {
		begin(&m);
		writer_u16(&m.w, 0x8001);
		writer_u16(&m.w, (uint16_t)(APP_MESSAGE_MAX - APP_HEADER_LEN - 4 + more));
		writer_zero(&m.w, APP_MESSAGE_MAX - APP_HEADER_LEN - 4 + more);
		CU_ASSERT_EQUAL(parse(&m, &msg), more ? ERR_LIMIT : ERR_OK);
	}
}

static void test_S61_count(void)
{
	struct message m;
	struct app_msg msg;

	begin(&m);
	for (int i = 0; i < APP_ATTRS_MAX; i++)
		app_put_text(&m.w, APP_A_IDENTITY, "x");
	CU_ASSERT_EQUAL(parse(&m, &msg), ERR_OK);
	app_put_text(&m.w, APP_A_IDENTITY, "x");
	CU_ASSERT_EQUAL(parse(&m, &msg), ERR_LIMIT);
}

static void test_S61_twice(void)
{
	struct message m;
	struct app_msg msg;

	begin(&m);
	app_put_u32(&m.w, APP_A_TOKEN, 1);
	app_put_u32(&m.w, APP_A_UID, 1);
	CU_ASSERT_EQUAL(parse(&m, &msg), ERR_OK);
	app_put_u32(&m.w, APP_A_TOKEN, 1);
	CU_ASSERT_EQUAL(parse(&m, &msg), ERR_MALFORMED);
}

static void test_S61_depth(void)
{
	for (size_t depth = 1; depth <= 3; depth++) {
		struct message m;
		struct app_msg msg;
		size_t marks[4];

		begin(&m);
		for (size_t i = 0; i < depth; i++)
			marks[i] = app_begin(&m.w, APP_A_LATCH_INFO);
		for (size_t i = depth; i-- > 0;)
			app_end(&m.w, marks[i]);
		CU_ASSERT_EQUAL(parse(&m, &msg), depth > APP_DEPTH_MAX ? ERR_LIMIT : ERR_OK);
	}
}

/* What is put can be read: texts are cut and cleaned, not refused. */
static void test_put_is_readable(void)
{
	struct message m;
	struct app_msg msg;
	char text[256], wide[400];

	memset(wide, 'w', sizeof(wide));
	wide[3] = '\n';
	wide[399] = '\0';
	begin(&m);
	app_put_text(&m.w, APP_A_TEXT, wide);
	app_put_text(&m.w, APP_A_PEER, "");
	app_put_text(&m.w, APP_A_LOCAL, NULL);
	app_put_bytes(&m.w, APP_A_METHODS, bytes_of(NULL, 0));
	CU_ASSERT_EQUAL_FATAL(parse(&m, &msg), ERR_OK);
	CU_ASSERT_EQUAL(msg.attrs.num, 1);
	CU_ASSERT_EQUAL(strlen(app_attr_text(&msg.attrs, APP_A_TEXT, text, sizeof(text))), 255);
	CU_ASSERT_EQUAL(text[3], '?');
}

/* A change that is not noticed gives a message whose values keep to their bounds all the same. */
static void look(struct bytes v, long bit)
{
	struct app_msg msg;
	struct app_attrs in;
	char text[264];
	struct flow flow;

	(void)bit;
	if (app_msg_parse(&msg, v.p, v.len))
		return;
	CU_ASSERT_TRUE(msg.attrs.num <= APP_ATTRS_MAX);
	app_attr_text(&msg.attrs, APP_A_PEER, text, sizeof(text));
	if (!app_attr_flow(&msg.attrs, APP_A_REMOTE, &flow))
		CU_ASSERT_TRUE(flow.local.family == 0 || flow.local.family == 4 ||
			       flow.local.family == 6);
	CU_ASSERT_TRUE(app_attr_u32(&msg.attrs, APP_A_PATH, 0) <= UINT16_MAX &&
		       app_attr_u32(&msg.attrs, APP_A_PATH_ACT, 0) < APP_NUM_PATH_ACTS &&
		       app_attr_u32(&msg.attrs, APP_A_PRIORITY, 0) <= UINT8_MAX &&
		       app_attr_u32(&msg.attrs, APP_A_WEIGHT, 0) <= UINT16_MAX);
	if (!app_attr_inside(&msg.attrs, APP_A_PATH_INFO, &in))
		CU_ASSERT_TRUE(app_attr_u32(&in, APP_A_PATH_STATE, 0) <= 2 &&
			       app_attr_u32(&in, APP_A_PATH_NEWS, 0) < APP_NUM_PATH_NEWS);
	if (!app_attr_inside(&msg.attrs, APP_A_LATCH_INFO, &in))
		CU_ASSERT_TRUE(app_attr_u32(&in, APP_A_STATE, 0) <= 4);
}

static void test_S61_sweep(void)
{
	struct message m;
	struct bytes b;

	full(&m);
	CU_ASSERT_EQUAL_FATAL(writer_finish(&m.w, &b), ERR_OK);
	CU_ASSERT_EQUAL(sweep(b.p, b.len, look), b.len * 9);
	full_path(&m);
	CU_ASSERT_EQUAL_FATAL(writer_finish(&m.w, &b), ERR_OK);
	CU_ASSERT_EQUAL(sweep(b.p, b.len, look), b.len * 9);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_round_trip), TAP_TEST(test_S61_values),      TAP_TEST(test_S61_header),
	TAP_TEST(test_S61_size),   TAP_TEST(test_S61_count),       TAP_TEST(test_S61_twice),
	TAP_TEST(test_S61_depth),  TAP_TEST(test_put_is_readable), TAP_TEST(test_S61_sweep),
};

TAP_MAIN("app_proto", tests)
