/* SPDX-License-Identifier: Apache-2.0 */
/*
 * esp_tool: the real data path on standard input and output, so that other implementations can
 * judge what it makes and feed it what they make.
 *
 *	esp_tool [--aead NAME] [--alg NAME] [--esn] [--udp] [--window N]
 *		[--transport LOCAL,REMOTE] [--seen LOCAL,REMOTE] [--ipcomp CPI_IN,CPI_OUT]
 *		KEY_OUT KEY_IN SPI_OUT
 *
 * Tunnel mode for any addresses, unless it is to be transport mode between two; --seen: as the peer
 * sees these two through a NAT.
 * The keys are hexadecimal digits, cipher key || salt || MAC key; the algorithm is named as in a
 * proposal ("aes128gcm16", "aes256-sha512").
 * The first line of output is "spi N", the inbound SPI. Then each line of input is answered by one:
 *
 *	out PACKET    an inner packet goes to the peer; answer: the ESP packet
 *	in PACKET     an ESP packet came from the peer; answer: the inner packet
 *
 * as hexadecimal digits, or "drop REASON", or "nothing" if neither came out nor was dropped.
 */
#include "base/clock.h"
#include "dataplane/dataplane.h"
#include "drivers/memory.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#define PACKET_MAX    4096
#define LINE_MAX_LEN  (2 * PACKET_MAX + 16)
#define INNER_ROOM    2048
#define NUM_DROPS_MAX 64

/* struct tool - one data path and the far ends of its ports. */
struct tool {
	struct dataplane *dp;
	struct memory_port *inner, *wire;
	uint16_t wire_port;
	struct path_addr path; /* ours to the peer */
	struct path_addr from; /* as a received datagram has it */
	const char *aead;
	enum aead_alg alg;
	bool esn, udp;
	uint32_t window;
	bool ipcomp;
	uint16_t cpi_in, cpi_out;
	struct ip_addr ends[2], seen[2]; /* transport mode: local, remote; unset: tunnel mode */
	uint8_t keys[2][AEAD_KEY_MAX];
	size_t key_len[2];
	uint32_t spi_out;
	uint64_t drops[NUM_DROPS_MAX];
};

static void must(enum err e, const char *what)
{
	if (e == ERR_OK)
		return;
	fprintf(stderr, "esp_tool: %s: %s\n", what, err_text(e));
	exit(1);
}

/* ---- digits
 * -------------------------------------------------------------------------------------- */

static int digit(char c)
{
	const char *digits = "0123456789abcdef";
	const char *at = c ? strchr(digits, c | 0x20) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Whole bytes up to the end of the line; false if it is anything else. */
static bool from_hex(uint8_t *out, size_t *out_len, size_t cap, const char *text)
{
	size_t n = 0;

	for (; *text != '\0' && *text != '\n'; text += 2) {
		if (n == cap || digit(text[0]) < 0 || digit(text[1]) < 0)
			return false;
		out[n++] = (uint8_t)(digit(text[0]) << 4 | digit(text[1]));
	}
	*out_len = n;
	return true;
}

static void put_hex(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		printf("%02x", p[i]);
	putchar('\n');
}

/* ---- set-up -------------------------------------------------------------------------------------
 */

static struct ts everything(enum ip_family family)
{
	static const uint8_t zero[16];
	struct ip_prefix any = {.addr = family == IP_V4 ? ip_addr_v4(zero) : ip_addr_v6(zero)};

	return ts_from_prefix(&any);
}

static void open_ports(struct tool *t)
{
	const struct memory_params inner = {.role = PORT_INNER, .frame_len = PACKET_MAX};
	const struct memory_params wire = {.role = PORT_OUTER, .frame_len = PACKET_MAX};
	struct driver *driver;
	uint16_t port;

	must(memory_open(&driver, &t->inner, &inner), "inner port");
	must(dataplane_attach(t->dp, &port, driver), "inner port");
	must(memory_open(&driver, &t->wire, &wire), "wire");
	must(dataplane_attach(t->dp, &t->wire_port, driver), "wire");
}

static void set_paths(struct tool *t)
{
	const uint8_t ours[4] = {192, 0, 2, 1}, theirs[4] = {192, 0, 2, 2};
	const uint16_t port = t->udp ? 4500 : 0;

	t->path.local = (struct endpoint){.addr = ip_addr_v4(ours), .port = port};
	t->path.remote = (struct endpoint){.addr = ip_addr_v4(theirs), .port = port};
	t->path.encap = t->udp ? ENCAP_UDP : ENCAP_NONE;
	t->from = t->path;
}

/* Transport mode, if two addresses were given; ends is where their selectors are to be. */
static void set_mode(const struct tool *t, struct child_params *c, struct ts ends[2])
{
	if (t->ends[0].family == IP_NONE)
		return;
	for (int i = 0; i < 2; i++) {
		const struct ip_prefix one = {.addr = t->ends[i],
					      .len = (uint8_t)(8 * ip_addr_len(&t->ends[i]))};

		ends[i] = ts_from_prefix(&one);
	}
	c->mode = SA_TRANSPORT;
	c->local = &ends[0];
	c->remote = &ends[1];
	c->num_local = c->num_remote = 1;
	c->seen_local = t->seen[0];
	c->seen_remote = t->seen[1];
}

static uint32_t add_child(struct tool *t)
{
	const struct ts any[2] = {everything(IP_V4), everything(IP_V6)};
	const struct auth_proof_params who = {.method = AUTH_METHOD_PSK};
	struct child_params c = {
		.id = 1,
		.spi_out = t->spi_out,
		.alg = t->alg,
		.key_out = bytes_of(t->keys[0], t->key_len[0]),
		.key_in = bytes_of(t->keys[1], t->key_len[1]),
		.mode = SA_TUNNEL,
		.esn = t->esn,
		.ipcomp = t->ipcomp,
		.cpi_in = t->cpi_in,
		.cpi_out = t->cpi_out,
		.outbound_active = true,
		.replay_window = t->window,
		.local = any,
		.remote = any,
		.num_local = ARRAY_LEN(any),
		.num_remote = ARRAY_LEN(any),
	};
	struct policy_params policy = {
		.layer = POLICY_CONFIG,
		.action = POLICY_PROTECT,
		.local = any,
		.remote = any,
		.num_local = ARRAY_LEN(any),
		.num_remote = ARRAY_LEN(any),
	};
	struct ts ends[2];
	uint32_t id;

	set_mode(t, &c, ends);
	must(dataplane_pathset_add(t->dp, &c.pathset, t->wire_port, &t->path), "paths");
	must(dataplane_group_add(t->dp, &c.group), "group");
	policy.group = c.group;
	must(dataplane_policy_add(t->dp, &id, &policy), "policy");
	must(dataplane_spi_reserve(t->dp, &c.spi_in), "SPI");
	c.proof = auth_proof_new(&who);
	must(c.proof ? ERR_OK : ERR_NOMEM, "proof");
	must(dataplane_child_add(t->dp, &c), "Child SA");
	auth_proof_put(c.proof);
	return c.spi_in;
}

/* ---- packets
 * ------------------------------------------------------------------------------------- */

/* The reason whose counter has grown since last time; NULL if none has. */
static const char *new_drop(struct tool *t)
{
	struct dataplane_stats s;
	const char *found = NULL;
	const char *name, *text;

	dataplane_stats(t->dp, &s);
	for (uint32_t i = 0; i < NUM_DROPS_MAX && (name = dataplane_drop_name(i, &text)); i++) {
		if (s.drops[i] != t->drops[i])
			found = name;
		t->drops[i] = s.drops[i];
	}
	return found;
}

static void answer(struct tool *t)
{
	uint8_t buf[PACKET_MAX];
	size_t len;
	const char *why = new_drop(t);

	if (memory_take(t->wire, buf, sizeof(buf), &len, NULL) ||
	    memory_take(t->inner, buf, sizeof(buf), &len, NULL))
		put_hex(buf, len);
	else if (why)
		printf("drop %s\n", why);
	else
		puts("nothing");
	fflush(stdout);
}

static void work(struct tool *t)
{
	static char line[LINE_MAX_LEN];
	uint8_t buf[PACKET_MAX];
	size_t len;

	while (fgets(line, sizeof(line), stdin)) {
		enum err e = ERR_MALFORMED;

		if (strncmp(line, "out ", 4) == 0 && from_hex(buf, &len, sizeof(buf), line + 4))
			e = memory_inject(t->inner, buf, len, NULL);
		else if (strncmp(line, "in ", 3) == 0 && from_hex(buf, &len, sizeof(buf), line + 3))
			e = memory_inject(t->wire, buf, len, &t->from);
		must(e, "input");
		dataplane_poll(t->dp, clock_now_ns());
		answer(t);
	}
}

/* "LOCAL,REMOTE" */
static void two_addresses(struct ip_addr out[2], char *text)
{
	char *comma = strchr(text, ',');

	must(comma ? ERR_OK : ERR_MALFORMED, text);
	*comma = '\0';
	must(ip_addr_parse(&out[0], text), text);
	must(ip_addr_parse(&out[1], comma + 1), comma + 1);
}

/* "CPI_IN,CPI_OUT" */
static void two_cpis(struct tool *t, const char *text)
{
	char *end;

	t->ipcomp = true;
	t->cpi_in = (uint16_t)strtoul(text, &end, 0);
	must(*end == ',' ? ERR_OK : ERR_MALFORMED, text);
	t->cpi_out = (uint16_t)strtoul(end + 1, NULL, 0);
}

static enum aead_alg alg_of(const char *name)
{
	for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++)
		if (strcmp(name, aead_alg_name(alg)) == 0)
			return alg;
	must(ERR_NOT_FOUND, name);
	return AEAD_NONE;
}

static void set_options(struct tool *t, int argc, char **argv)
{
	static const struct option list[] = {
		{"aead", required_argument, NULL, 'a'},
		{"alg", required_argument, NULL, 'g'},
		{"esn", no_argument, NULL, 'e'},
		{"udp", no_argument, NULL, 'u'},
		{"window", required_argument, NULL, 'w'},
		{"transport", required_argument, NULL, 't'},
		{"seen", required_argument, NULL, 's'},
		{"ipcomp", required_argument, NULL, 'c'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", list, NULL)) != -1) {
		if (c == '?')
			exit(2);
		if (c == 't' || c == 's')
			two_addresses(c == 't' ? t->ends : t->seen, optarg);
		if (c == 'c')
			two_cpis(t, optarg);
		t->aead = c == 'a' ? optarg : t->aead;
		t->alg = c == 'g' ? alg_of(optarg) : t->alg;
		t->esn = t->esn || c == 'e';
		t->udp = t->udp || c == 'u';
		t->window = c == 'w' ? (uint32_t)strtoul(optarg, NULL, 0) : t->window;
	}
	if (argc - optind != 3 ||
	    !from_hex(t->keys[0], &t->key_len[0], sizeof(t->keys[0]), argv[optind]) ||
	    !from_hex(t->keys[1], &t->key_len[1], sizeof(t->keys[1]), argv[optind + 1])) {
		fputs("usage: esp_tool [--aead NAME] [--alg NAME] [--esn] [--udp] [--window N]\n"
		      "\t[--transport LOCAL,REMOTE] [--seen LOCAL,REMOTE]\n"
		      "\t[--ipcomp CPI_IN,CPI_OUT] KEY_OUT KEY_IN SPI_OUT\n",
		      stderr);
		exit(2);
	}
	t->spi_out = (uint32_t)strtoul(argv[optind + 2], NULL, 0);
}

int main(int argc, char **argv)
{
	static struct tool t = {.window = 64, .alg = AEAD_AES_GCM_16_128};
	struct dataplane_config config = {.packet_room = INNER_ROOM};

	set_options(&t, argc, argv);
	config.aead = t.aead;
	must(dataplane_new(&t.dp, &config), "data path");
	set_paths(&t);
	open_ports(&t);
	printf("spi %u\n", add_child(&t));
	fflush(stdout);
	work(&t);
	dataplane_free(t.dp);
	memory_close_far(t.inner);
	memory_close_far(t.wire);
	return 0;
}
