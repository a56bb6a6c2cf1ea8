/* SPDX-License-Identifier: Apache-2.0 */
/* VICI's encoding: known bytes, round trips, bounds, and every way a message can be broken. */
#include "api/vici/proto.h"
#include "base/alloc.h"
#include "tests/tap/tap.h"

#include <stdlib.h>
#include <string.h>

/* The example of strongSwan's README.md: key1 = value1, section1 { sub-section { key2 = value2 } },
 * list1 = [item1, item2]. */
static const uint8_t example[] = {
	3, 4,  'k', 'e', 'y', '1', 0,   6,   'v', 'a', 'l', 'u', 'e', '1',           /* */
	1, 8,  's', 'e', 'c', 't', 'i', 'o', 'n', '1',                               /* */
	1, 11, 's', 'u', 'b', '-', 's', 'e', 'c', 't', 'i', 'o', 'n',                /* */
	3, 4,  'k', 'e', 'y', '2', 0,   6,   'v', 'a', 'l', 'u', 'e', '2',           /* */
	2,                                                                           /* */
	2,                                                                           /* */
	4, 5,  'l', 'i', 's', 't', '1',                                              /* */
	5, 0,  5,   'i', 't', 'e', 'm', '1', 5,   0,   5,   'i', 't', 'e', 'm', '2', /* */
	6,
};

static void test_decode_example(void)
{
	const struct tree *s, *list;
	struct tree *t;

	CU_ASSERT_EQUAL_FATAL(vici_message_decode(&t, bytes_of(example, sizeof(example))), ERR_OK);
	CU_ASSERT_STRING_EQUAL(tree_get(t, "key1"), "value1");
	s = tree_child(t, "section1");
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	s = tree_child(s, "sub-section");
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_STRING_EQUAL(tree_get(s, "key2"), "value2");
	list = tree_child(t, "list1");
	CU_ASSERT_PTR_NOT_NULL_FATAL(list);
	CU_ASSERT_EQUAL(list->kind, TREE_LIST);
	s = list_entry(list->children.prev, struct tree, node);
	CU_ASSERT_STRING_EQUAL(s->value, "item2");
	tree_free(t);
}

static void test_encode_example(void)
{
	static const uint8_t head[] = {7, 3, 'l', 'o', 'g'};
	struct tree *t;
	uint8_t *packet;
	size_t len;

	CU_ASSERT_EQUAL_FATAL(vici_message_decode(&t, bytes_of(example, sizeof(example))), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(vici_packet_encode(&packet, &len, VICI_EVENT, "log", t), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(len, 4 + sizeof(head) + sizeof(example));
	CU_ASSERT_EQUAL(load_be32(packet), len - 4);
	CU_ASSERT_EQUAL(memcmp(packet + 4, head, sizeof(head)), 0);
	CU_ASSERT_EQUAL(memcmp(packet + 4 + sizeof(head), example, sizeof(example)), 0);
	mem_free(packet);
	tree_free(t);
}

static void test_packet_parse(void)
{
	static const uint8_t request[] = {0, 4, 'n', 'a', 'm', 'e', 9, 9};
	static const uint8_t with_nul[] = {0, 3, 'a', 0, 'b'};
	static const uint8_t response[] = {1, 5, 5};
	struct vici_packet p;

	CU_ASSERT_EQUAL(vici_packet_parse(&p, request, sizeof(request)), ERR_OK);
	CU_ASSERT_EQUAL(p.type, VICI_CMD_REQUEST);
	CU_ASSERT_STRING_EQUAL(p.name, "name");
	CU_ASSERT_EQUAL(p.body.len, 2);
	CU_ASSERT_EQUAL(vici_packet_parse(&p, response, sizeof(response)), ERR_OK);
	CU_ASSERT_STRING_EQUAL(p.name, "");
	CU_ASSERT_EQUAL(p.body.len, 2);
	CU_ASSERT_EQUAL(vici_packet_parse(&p, NULL, 0), ERR_TRUNCATED);
	for (size_t len = 1; len < 6; len++)
		CU_ASSERT_EQUAL(vici_packet_parse(&p, request, len), ERR_TRUNCATED);
	CU_ASSERT_EQUAL(vici_packet_parse(&p, with_nul, sizeof(with_nul)), ERR_MALFORMED);
	CU_ASSERT_EQUAL(vici_packet_parse(&p, "\x08", 1), ERR_MALFORMED);
}

/* Messages that break one rule each. */
static const struct broken {
	const char *why;
	uint8_t bytes[24];
	size_t len;
	enum err err;
} broken[] = {
	{"element 0", {0}, 1, ERR_MALFORMED},
	{"element 7", {7, 1, 'a'}, 3, ERR_MALFORMED},
	{"section end without a section", {2}, 1, ERR_MALFORMED},
	{"section left open", {1, 1, 'a'}, 3, ERR_TRUNCATED},
	{"list left open", {4, 1, 'a'}, 3, ERR_TRUNCATED},
	{"item outside a list", {5, 0, 1, 'x'}, 4, ERR_MALFORMED},
	{"list end without a list", {6}, 1, ERR_MALFORMED},
	{"value in a list", {4, 1, 'a', 3, 1, 'b', 0, 0, 6}, 9, ERR_MALFORMED},
	{"section in a list", {4, 1, 'a', 1, 1, 'b', 2, 6}, 8, ERR_MALFORMED},
	{"section end in a list", {1, 1, 's', 4, 1, 'a', 2, 6}, 8, ERR_MALFORMED},
	{"value longer than the message", {3, 1, 'a', 0xff, 0xff, 'x'}, 6, ERR_TRUNCATED},
	{"name longer than the message", {3, 200, 'a'}, 3, ERR_TRUNCATED},
	{"NUL in a name", {3, 2, 'a', 0, 0, 0}, 6, ERR_MALFORMED},
};

static void test_decode_broken(void)
{
	for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
		struct tree *t = NULL;
		enum err e = vici_message_decode(&t, bytes_of(broken[i].bytes, broken[i].len));

		if (e != broken[i].err)
			tap_diag("%s: %s", broken[i].why, err_name(e));
		CU_ASSERT_EQUAL(e, broken[i].err);
		CU_ASSERT_PTR_NULL(t);
	}
}

/* S1: every cut of a good message is refused or another good message. */
static void test_S1_truncation(void)
{
	size_t good = 0;

	for (size_t len = 0; len <= sizeof(example); len++) {
		uint8_t *copy = malloc(len ? len : 1);
		struct tree *t;

		memcpy(copy, example, len);
		if (!vici_message_decode(&t, bytes_of(copy, len))) {
			good++;
			tree_free(t);
		}
		free(copy);
	}
	/* Nothing, after key1, after section1 is closed, and the whole. */
	CU_ASSERT_EQUAL(good, 4);
}

/* What is still decoded after a bit was turned encodes to the same bytes again. */
static void test_bit_flips(void)
{
	uint8_t bytes[sizeof(example)];

	for (size_t bit = 0; bit < sizeof(example) * 8; bit++) {
		struct tree *t;
		uint8_t *packet;
		size_t len;

		memcpy(bytes, example, sizeof(bytes));
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (vici_message_decode(&t, bytes_of(bytes, sizeof(bytes))))
			continue;
		CU_ASSERT_EQUAL_FATAL(vici_packet_encode(&packet, &len, VICI_CMD_RESPONSE, NULL, t),
				      ERR_OK);
		CU_ASSERT_EQUAL(len, 5 + sizeof(bytes));
		CU_ASSERT_EQUAL(memcmp(packet + 5, bytes, sizeof(bytes)), 0);
		mem_free(packet);
		tree_free(t);
	}
}

static void test_S61_depth(void)
{
	uint8_t bytes[4 * TREE_DEPTH_MAX + 8];
	struct tree *t;

	for (size_t depth = 1; depth <= TREE_DEPTH_MAX; depth++) {
		size_t at = 0;
		enum err e;

		for (size_t i = 0; i < depth; i++, at += 3)
			memcpy(bytes + at, "\x01\x01s", 3);
		memset(bytes + at, 2, depth);
		e = vici_message_decode(&t, bytes_of(bytes, at + depth));
		CU_ASSERT_EQUAL(e, depth < TREE_DEPTH_MAX ? ERR_OK : ERR_LIMIT);
		if (!e)
			tree_free(t);
	}
}

static void test_encode_bounds(void)
{
	char name[300];
	struct tree *t = tree_new(), *deep = t, *unused;
	uint8_t *packet, *big = calloc(1, 70000);
	size_t len;

	memset(name, 'n', sizeof(name));
	name[256] = '\0';
	CU_ASSERT_EQUAL(vici_packet_encode(&packet, &len, VICI_EVENT, name, NULL), ERR_LIMIT);
	CU_ASSERT_EQUAL(tree_set(t, name, "", 0), ERR_OK);
	CU_ASSERT_EQUAL(vici_packet_encode(&packet, &len, VICI_CMD_RESPONSE, NULL, t), ERR_LIMIT);
	tree_remove(tree_child(t, name));
	CU_ASSERT_EQUAL(tree_set(t, "k", big, 65536), ERR_OK);
	CU_ASSERT_EQUAL(vici_packet_encode(&packet, &len, VICI_CMD_RESPONSE, NULL, t), ERR_LIMIT);
	for (int i = 0; i < 9; i++)
		CU_ASSERT_EQUAL(tree_add_value(t, &unused, "k", big, 60000), ERR_OK);
	CU_ASSERT_EQUAL(tree_set(t, "k", big, 1), ERR_OK);
	CU_ASSERT_EQUAL(vici_packet_encode(&packet, &len, VICI_CMD_RESPONSE, NULL, t), ERR_LIMIT);
	tree_free(t);
	deep = t = tree_new();
	for (int i = 0; i < TREE_DEPTH_MAX; i++)
		CU_ASSERT_EQUAL(tree_section(deep, &deep, "s"), ERR_OK);
	CU_ASSERT_EQUAL(vici_packet_encode(&packet, &len, VICI_CMD_RESPONSE, NULL, t), ERR_LIMIT);
	tree_free(t);
	free(big);
}

/* Each allocation fails once: an error, and nothing is left. */
static void test_out_of_memory(void)
{
	struct tree *t;
	uint64_t n = 0;
	enum err e;

	do {
		alloc_fail_nth(++n);
		e = vici_message_decode(&t, bytes_of(example, sizeof(example)));
		alloc_fail_nth(0);
		CU_ASSERT_TRUE(e == ERR_OK || e == ERR_NOMEM);
	} while (e);
	CU_ASSERT_TRUE(n > 10);
	tree_free(t);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_decode_example), TAP_TEST(test_encode_example), TAP_TEST(test_packet_parse),
	TAP_TEST(test_decode_broken),  TAP_TEST(test_S1_truncation),  TAP_TEST(test_bit_flips),
	TAP_TEST(test_S61_depth),      TAP_TEST(test_encode_bounds),  TAP_TEST(test_out_of_memory),
};
TAP_MAIN("vici_proto", tests)
