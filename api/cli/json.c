/* SPDX-License-Identifier: Apache-2.0 */
/* json.c - trees as JSON. */
#include "api/cli/cli.h"

#include "base/alloc.h"

#include <ctype.h>
#include <stdlib.h>

/* What counts or measures is a number; everything else stays text, also if it looks like one. */
static const char *const number_keys[] = {
	"age",
	"by-device",
	"bytes-in",
	"bytes-out",
	"child-established",
	"child-sas",
	"compressed-in",
	"compressed-out",
	"cookies-sent",
	"count",
	"dropped",
	"encr-keysize",
	"established",
	"failed",
	"from",
	"half-open",
	"handed-off",
	"held",
	"ike-established",
	"ike-sas",
	"install-time",
	"life-time",
	"local-port",
	"made",
	"number",
	"malformed",
	"loss-permille",
	"matches",
	"packets-in",
	"packets-out",
	"pmtu",
	"priority",
	"punted",
	"puzzles-failed",
	"puzzles-set",
	"puzzles-solved",
	"puzzles-spared",
	"rate",
	"reauth-time",
	"received",
	"rekey-time",
	"remote-port",
	"reqid",
	"retransmitted",
	"rtt-us",
	"rx-bytes",
	"rx-packets",
	"saved-in",
	"saved-out",
	"sent",
	"time",
	"token",
	"tx-bytes",
	"tx-packets",
	"uniqueid",
	"use-in",
	"use-out",
	"weight",
	"rekey_time",
	"rekey_bytes",
	"rekey_packets",
	"dpd_delay",
	"local_port",
	"remote_port",
	"reauth_time",
	"mtu",
	"speed",
	"rx-lost",
	"rx-error",
	"tx-error",
	"rx-inner",
	"rx-esp",
	"rx-host",
	"tx-fast",
	"tx-host",
	"rx-inline",
	"tx-inline",
	"left-to-host",
	"taken",
	"drops",
	"pairs",
};

static bool is_number_key(const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(number_keys); i++) {
		if (strcmp(number_keys[i], key) == 0)
			return true;
	}
	return false;
}

static bool is_digits(const char *value)
{
	return *value && strlen(value) < 19 && strspn(value, "0123456789") == strlen(value);
}

/* Bytes that are no UTF-8 are shown as '?', or there would be no JSON at all. */
static json_t *string_of(const struct tree *node)
{
	json_t *s = json_stringn(node->value, node->value_len);
	char *copy;

	if (s)
		return s;
	copy = mem_dup(node->value, node->value_len);
	if (!copy)
		return NULL;
	for (size_t i = 0; i < node->value_len; i++) {
		if (!isascii((unsigned char)copy[i]))
			copy[i] = '?';
	}
	s = json_stringn(copy, node->value_len);
	mem_free(copy);
	return s;
}

static json_t *value_of(const struct tree *node)
{
	if (is_number_key(node->name) && is_digits(node->value))
		return json_integer(strtoll(node->value, NULL, 10));
	return string_of(node);
}

static json_t *list_of(const struct tree *list)
{
	json_t *array = json_array();

	tree_for_each (item, list) {
		if (json_array_append_new(array, string_of(item))) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

/* Depth is bounded: the tree was decoded from a message. */
json_t *json_of(const struct tree *t)
{
	json_t *object;

	if (t->kind != TREE_SECTION)
		return t->kind == TREE_LIST ? list_of(t) : value_of(t);
	object = json_object();
	tree_for_each (c, t) {
		if (json_object_set_new(object, c->name, json_of(c))) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

json_t *json_named(const struct tree *section)
{
	json_t *object = json_of(section);

	if (object && json_is_object(object))
		json_object_set_new(object, "name", json_string(section->name));
	return object;
}
