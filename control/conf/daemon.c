/* SPDX-License-Identifier: Apache-2.0 */
/* daemon.c - the latchkey section: what strongSwan has no key for. */
#include "base/log.h"
#include "control/conf/check.h"
#include "control/conf/values.h"

#include <stdio.h>
#include <strings.h>

#define MTU_MIN 576
#define MTU_MAX 65535
/* More tries than this are no patience but a fault. */
#define RETRANSMIT_TRIES_MAX 1000
/* Less leaves no room for a message of many fragments; more is no fragment any more. */
#define FRAGMENT_SIZE_MIN 256
#define FRAGMENT_SIZE_MAX 16384
/* A place costs about 100 bytes. */
#define LATCHES_MIN 64
#define LATCHES_MAX (8 << 20)
/* As many half-open IKE SAs as there can be. */
#define PUZZLE_THRESHOLD_MAX 1000
/* Less than a millisecond's work is none (RFC 8019 4.4). Crowds and guilt add four bits, and who is
 * to solve it has 40 seconds: enough for SOLVED_MAX bits at a million values a second, and for half
 * that speed with DIFFICULTY_MAX and all four. */
#define DIFFICULTY_MIN 8
#define DIFFICULTY_MAX 18
#define SOLVED_MAX     23

void daemon_defaults(struct conf_daemon *d)
{
	*d = (struct conf_daemon){
		.interface = "latchkey0",
		.workers = 1,
		.port = 500,
		.port_nat_t = 4500,
		.fragment_size = 1280,
		.puzzle_difficulty = 16,
		.puzzle_max = 22,
		.log_level = LOG_INFO,
		.known_peers = "/var/lib/latchkey/known_peers",
		.crash_secret = "/var/lib/latchkey/crash_secret",
		.fetch = true,
		.latch_tcp = true,
		.num_latches = 65536,
		.udp_gso = true,
		.udp_gro = true,
		.tun_checksum = true,
		.tun_tso = true,
		.tun_uso = true,
	};
	app_defaults(&d->app);
	radius_defaults(&d->radius);
}

/* As the kernel has it: no '/', no blanks, not "." or "..", 15 characters at most. */
bool conf_is_interface_name(const char *text)
{
	size_t len = strlen(text);

	if (len == 0 || len > 15 || strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
		return false;
	for (; *text; text++) {
		if ((unsigned char)*text <= ' ' || *text == '/' || *text == ':' || *text == '%' ||
		    *text == 0x7f)
			return false;
	}
	return true;
}

void take_interface(struct check *c, char out[static 16], const struct tree *node)
{
	const char *text;

	if (!take_text(c, &text, node))
		return;
	if (!conf_is_interface_name(text))
		CHECK_ERROR(c, node, "'%.40s' is not an interface's name", text);
	else
		snprintf(out, 16, "%s", text);
}

void take_addresses(struct check *c, struct ip_prefix *out, uint32_t *num, const struct tree *node)
{
	char item[VALUE_ITEM_MAX];
	struct value_items it;
	enum err e;

	value_items_init(&it, node);
	while (!(e = value_items_next(&it, item))) {
		if (*num == CONF_MAX_INTERFACE_ADDRS) {
			CHECK_ERROR(c, node, "more than %d addresses", CONF_MAX_INTERFACE_ADDRS);
			return;
		}
		if (ip_prefix_parse(&out[*num], item))
			CHECK_ERROR(c, node, "'%.60s' is not an address or address/length", item);
		else
			++*num;
	}
	if (e != ERR_NOT_FOUND)
		CHECK_ERROR(c, node, "an address is too long");
}

enum err set_interface(struct check *c, void *obj, const struct tree *node)
{
	take_interface(c, ((struct conf_daemon *)obj)->interface, node);
	return ERR_OK;
}

enum err set_addresses(struct check *c, void *obj, const struct tree *node)
{
	struct conf_daemon *d = obj;

	take_addresses(c, d->addresses, &d->num_addresses, node);
	return ERR_OK;
}

enum err set_mtu(struct check *c, void *obj, const struct tree *node)
{
	uint64_t v;

	if (!take_number(c, &v, node, MTU_MAX))
		return ERR_OK;
	if (v != 0 && v < MTU_MIN)
		CHECK_ERROR(c, node, "%llu is less than %d", (unsigned long long)v, MTU_MIN);
	else
		((struct conf_daemon *)obj)->mtu = (uint32_t)v;
	return ERR_OK;
}

enum err set_aead(struct check *c, void *obj, const struct tree *node)
{
	static const struct take_word words[] = {
		{"auto", 0}, {"openssl", 1}, {"ipsec-mb", 2}, {"vaes", 3}};
	struct conf_daemon *d = obj;
	int v;

	if (take_word(c, &v, node, words, ARRAY_LEN(words)))
		snprintf(d->aead, sizeof(d->aead), "%s", v ? words[v].word : "");
	return ERR_OK;
}

enum err set_workers(struct check *c, void *obj, const struct tree *node)
{
	struct conf_daemon *d = obj;
	const char *text;
	uint64_t v;

	if (!take_text(c, &text, node))
		return ERR_OK;
	if (strcasecmp(text, "auto") == 0)
		d->workers = CONF_WORKERS_AUTO;
	else if (value_u64(&v, text, DATAPLANE_WORKERS_MAX) || v == 0)
		CHECK_ERROR(c, node, "'%.40s' is neither auto nor a number from 1 to %d", text,
			    DATAPLANE_WORKERS_MAX);
	else
		d->workers = (uint32_t)v;
	return ERR_OK;
}

static void set_port_of(struct check *c, uint16_t *out, const struct tree *node)
{
	uint64_t v;

	if (!take_number(c, &v, node, UINT16_MAX))
		return;
	if (v == 0)
		CHECK_ERROR(c, node, "0 is not a port");
	else
		*out = (uint16_t)v;
}

enum err set_port(struct check *c, void *obj, const struct tree *node)
{
	set_port_of(c, &((struct conf_daemon *)obj)->port, node);
	return ERR_OK;
}

enum err set_port_nat_t(struct check *c, void *obj, const struct tree *node)
{
	set_port_of(c, &((struct conf_daemon *)obj)->port_nat_t, node);
	return ERR_OK;
}

enum err set_cookies(struct check *c, void *obj, const struct tree *node)
{
	static const struct take_word words[] = {{"auto", 0}, {"always", 1}};
	int v;

	if (take_word(c, &v, node, words, ARRAY_LEN(words)))
		((struct conf_daemon *)obj)->cookies_always = v != 0;
	return ERR_OK;
}

enum err set_puzzles(struct check *c, void *obj, const struct tree *node)
{
	static const struct take_word words[] = {
		{"auto", PUZZLES_AUTO}, {"always", PUZZLES_ALWAYS}, {"never", PUZZLES_NEVER}};
	int v;

	if (take_word(c, &v, node, words, ARRAY_LEN(words)))
		((struct conf_daemon *)obj)->puzzles = (enum conf_puzzles)v;
	return ERR_OK;
}

enum err set_puzzle_threshold(struct check *c, void *obj, const struct tree *node)
{
	uint64_t v;

	if (!take_number(c, &v, node, PUZZLE_THRESHOLD_MAX))
		return ERR_OK;
	if (!v)
		CHECK_ERROR(c, node,
			    "0 is no crowd; for puzzles at all times say puzzles = always");
	else
		((struct conf_daemon *)obj)->puzzle_threshold = (uint32_t)v;
	return ERR_OK;
}

enum err set_puzzle_difficulty(struct check *c, void *obj, const struct tree *node)
{
	uint64_t v;

	if (!take_number(c, &v, node, DIFFICULTY_MAX))
		return ERR_OK;
	if (v < DIFFICULTY_MIN)
		CHECK_ERROR(c, node, "%llu is less than %d", (unsigned long long)v, DIFFICULTY_MIN);
	else
		((struct conf_daemon *)obj)->puzzle_difficulty = (uint8_t)v;
	return ERR_OK;
}

enum err set_puzzle_max(struct check *c, void *obj, const struct tree *node)
{
	uint64_t v;

	if (take_number(c, &v, node, SOLVED_MAX))
		((struct conf_daemon *)obj)->puzzle_max = (uint8_t)v;
	return ERR_OK;
}

enum err set_retransmit_timeout(struct check *c, void *obj, const struct tree *node)
{
	take_time(c, &((struct conf_daemon *)obj)->retransmit_ns, node);
	return ERR_OK;
}

enum err set_retransmit_tries(struct check *c, void *obj, const struct tree *node)
{
	uint64_t v;

	if (take_number(c, &v, node, RETRANSMIT_TRIES_MAX))
		((struct conf_daemon *)obj)->retransmit_tries = (uint32_t)v;
	return ERR_OK;
}

enum err set_fragment_size(struct check *c, void *obj, const struct tree *node)
{
	uint64_t v;

	if (!take_number(c, &v, node, FRAGMENT_SIZE_MAX))
		return ERR_OK;
	if (v != 0 && v < FRAGMENT_SIZE_MIN)
		CHECK_ERROR(c, node, "%llu is less than %d", (unsigned long long)v,
			    FRAGMENT_SIZE_MIN);
	else
		((struct conf_daemon *)obj)->fragment_size = (uint32_t)v;
	return ERR_OK;
}

enum err set_log_level(struct check *c, void *obj, const struct tree *node)
{
	static const struct take_word words[] = {
		{"error", LOG_ERROR},
		{"warning", LOG_WARN},
		{"info", LOG_INFO},
		{"debug", LOG_DEBUG},
	};
	int v;

	if (take_word(c, &v, node, words, ARRAY_LEN(words)))
		((struct conf_daemon *)obj)->log_level = (uint32_t)v;
	return ERR_OK;
}

/* A file that is kept: a whole path. */
static void take_path(struct check *c, char *out, size_t size, const char *text,
		      const struct tree *node)
{
	if (text[0] != '/' || strlen(text) >= size)
		CHECK_ERROR(c, node, "'%.60s': a whole path was expected, shorter than %d bytes",
			    text, (int)size);
	else
		snprintf(out, size, "%s", text);
}

enum err set_known_peers(struct check *c, void *obj, const struct tree *node)
{
	struct conf_daemon *d = obj;
	const char *text;

	if (take_text(c, &text, node))
		take_path(c, d->known_peers, sizeof(d->known_peers), text, node);
	return ERR_OK;
}

enum err set_crash_secret(struct check *c, void *obj, const struct tree *node)
{
	struct conf_daemon *d = obj;
	const char *text;

	if (!take_text(c, &text, node))
		return ERR_OK;
	if (strcmp(text, "none") == 0)
		d->crash_secret[0] = '\0';
	else
		take_path(c, d->crash_secret, sizeof(d->crash_secret), text, node);
	return ERR_OK;
}

enum err set_fetch(struct check *c, void *obj, const struct tree *node)
{
	take_bool(c, &((struct conf_daemon *)obj)->fetch, node);
	return ERR_OK;
}

enum err set_fetch_local(struct check *c, void *obj, const struct tree *node)
{
	take_bool(c, &((struct conf_daemon *)obj)->fetch_local, node);
	return ERR_OK;
}

enum err set_latch_tcp(struct check *c, void *obj, const struct tree *node)
{
	take_bool(c, &((struct conf_daemon *)obj)->latch_tcp, node);
	return ERR_OK;
}

enum err set_latches(struct check *c, void *obj, const struct tree *node)
{
	uint64_t v;

	if (!take_number(c, &v, node, LATCHES_MAX))
		return ERR_OK;
	if (v < LATCHES_MIN)
		CHECK_ERROR(c, node, "%llu is less than %d", (unsigned long long)v, LATCHES_MIN);
	else
		((struct conf_daemon *)obj)->num_latches = (uint32_t)v;
	return ERR_OK;
}

enum err set_udp_gso(struct check *c, void *obj, const struct tree *node)
{
	take_bool(c, &((struct conf_daemon *)obj)->udp_gso, node);
	return ERR_OK;
}

enum err set_udp_gro(struct check *c, void *obj, const struct tree *node)
{
	take_bool(c, &((struct conf_daemon *)obj)->udp_gro, node);
	return ERR_OK;
}

enum err set_tun_checksum(struct check *c, void *obj, const struct tree *node)
{
	take_bool(c, &((struct conf_daemon *)obj)->tun_checksum, node);
	return ERR_OK;
}

enum err set_tun_tso(struct check *c, void *obj, const struct tree *node)
{
	take_bool(c, &((struct conf_daemon *)obj)->tun_tso, node);
	return ERR_OK;
}

enum err set_tun_uso(struct check *c, void *obj, const struct tree *node)
{
	take_bool(c, &((struct conf_daemon *)obj)->tun_uso, node);
	return ERR_OK;
}
