/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets that come by the management socket leave no copy behind: all memory of this process that
 * can be written is searched for them, while they are in force and when they are gone.
 */
#include "api/vici/proto.h"
#include "api/vici/server.h"
#include "base/alloc.h"
#include "tests/api/fake_backend.h"
#include "tests/tap/tap.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEN  32
#define MASK 0x5a

/* LONGEST - of the mappings that are searched: the shadow of a sanitizer is terabytes, hardly any
 * of which exists, and holds nothing of the program's. */
#define LONGEST (1ul << 36)

/* What is searched for, masked: the search must not find itself. */
static uint8_t masked[LEN];

static uint8_t page[65536];

static size_t found_in(const uint8_t *p, size_t len)
{
	size_t found = 0;

	for (size_t i = 0; i + LEN <= len; i++) {
		size_t same = 0;

		while (same < LEN && (p[i + same] ^ MASK) == masked[same])
			same++;
		found += same == LEN;
	}
	return found;
}

/* Read by a system call: parts of a mapping may not be readable. Overlapping by what fits. */
static size_t found_between(int mem, unsigned long lo, unsigned long hi)
{
	size_t found = 0;

	for (unsigned long at = lo; at < hi; at += sizeof(page) - LEN + 1) {
		const size_t want = hi - at < sizeof(page) ? hi - at : sizeof(page);
		const ssize_t got = pread(mem, page, want, (off_t)at);

		if (got > 0)
			found += found_in(page, (size_t)got);
	}
	return found;
}

/* Copies in this process, the buffer of the search apart. */
static size_t copies(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	unsigned long lo, hi;
	size_t found = 0;
	char line[512], rights[5];

	CU_ASSERT_FATAL(maps && mem >= 0);
	while (fgets(line, sizeof(line), maps)) {
		const unsigned long ours = (unsigned long)(uintptr_t)page;

		if (sscanf(line, "%lx-%lx %4s", &lo, &hi, rights) != 3 || rights[1] != 'w' ||
		    hi - lo > LONGEST)
			continue;
		if (ours >= lo && ours < hi) {
			found += found_between(mem, lo, ours);
			lo = ours + sizeof(page);
		}
		found += found_between(mem, lo, hi);
	}
	memset(page, 0, sizeof(page));
	close(mem);
	fclose(maps);
	return found;
}

/* struct bench - a server with one client. */
struct bench {
	struct fake_backend fake;
	struct vici_server *server;
	struct vici_client *client;
};

static void wake(void *ctx)
{
	(void)ctx;
}

static void set_up(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	fake_init(&b->fake);
	CU_ASSERT_EQUAL_FATAL(vici_server_new(&b->server, &b->fake.backend), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(vici_client_open(b->server, &b->client, wake, b), ERR_OK);
}

static void tear_down(struct bench *b)
{
	if (b->client)
		vici_client_close(b->client);
	vici_server_free(b->server);
	fake_fini(&b->fake);
}

/* A request whose value `data` is prefix and the secret, with so much filling behind it; takes the
 * message over. The sender's own copies are wiped here. step: bytes that arrive at a time. */
static void send_secret(struct bench *b, const char *command, struct tree *message,
			struct bytes prefix, size_t filling, size_t step)
{
	static const char much[30000];
	uint8_t data[128], *packet;
	size_t len;

	if (prefix.len)
		memcpy(data, prefix.p, prefix.len);
	for (size_t i = 0; i < LEN; i++)
		data[prefix.len + i] = masked[i] ^ MASK;
	CU_ASSERT_EQUAL(tree_set(message, "data", data, prefix.len + LEN), ERR_OK);
	CU_ASSERT_EQUAL(tree_set(message, "filling", much, filling), ERR_OK);
	secret_wipe(data, sizeof(data));
	CU_ASSERT_EQUAL_FATAL(vici_packet_encode(&packet, &len, VICI_CMD_REQUEST, command, message),
			      ERR_OK);
	tree_free(message);
	for (size_t at = 0; at < len; at += step)
		CU_ASSERT_EQUAL(vici_client_input(b->client, packet + at,
						  len - at < step ? len - at : step),
				ERR_OK);
	secret_wipe(packet, len);
	mem_free(packet);
}

/* The answer, which is success or not. */
static void answered(struct bench *b, const char *success)
{
	struct bytes out = vici_client_output(b->client);
	struct vici_packet p;
	struct tree *message;

	CU_ASSERT_FATAL(out.len > VICI_LEN_SIZE);
	CU_ASSERT_EQUAL_FATAL(vici_packet_parse(&p, out.p + VICI_LEN_SIZE, out.len - VICI_LEN_SIZE),
			      ERR_OK);
	CU_ASSERT_EQUAL_FATAL(vici_message_decode(&message, p.body), ERR_OK);
	CU_ASSERT_STRING_EQUAL(tree_get(message, "success"), success);
	tree_free(message);
	vici_client_sent(b->client, out.len);
}

static void forget(struct bench *b)
{
	uint8_t *packet;
	size_t len;

	CU_ASSERT_EQUAL_FATAL(
		vici_packet_encode(&packet, &len, VICI_CMD_REQUEST, "clear-creds", NULL), ERR_OK);
	CU_ASSERT_EQUAL(vici_client_input(b->client, packet, len), ERR_OK);
	mem_free(packet);
	answered(b, "yes");
}

static struct tree *message(const char *key, const char *value)
{
	struct tree *t = tree_new();

	CU_ASSERT_EQUAL_FATAL(tree_setf(t, key, "%s", value), ERR_OK);
	return t;
}

static void new_secret(void)
{
	for (size_t i = 0; i < LEN; i++)
		masked[i] = (uint8_t)rand();
}

static void test_the_search_finds(void)
{
	uint8_t *copy = malloc(LEN);

	CU_ASSERT_EQUAL(cred_wipe_freed(), ERR_OK);
	CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
	new_secret();
	CU_ASSERT_EQUAL(copies(), 0);
	for (size_t i = 0; i < LEN; i++)
		copy[i] = masked[i] ^ MASK;
	CU_ASSERT_EQUAL(copies(), 1);
	secret_wipe(copy, LEN);
	CU_ASSERT_EQUAL(copies(), 0);
	free(copy);
}

/* In pieces and byte by byte; alone and with so much behind it that the client's buffer grows. */
static void check_secret(const char *command, const char *type, struct bytes prefix)
{
	static const size_t steps[] = {1, 4096}, fillings[] = {0, 30000};

	for (size_t i = 0; i < ARRAY_LEN(steps) * ARRAY_LEN(fillings); i++) {
		struct bench b;

		new_secret();
		set_up(&b);
		send_secret(&b, command, message("type", type), prefix, fillings[i / 2],
			    steps[i % 2]);
		answered(&b, "yes");
		CU_ASSERT_EQUAL(copies(), 1); /* in force */
		forget(&b);
		CU_ASSERT_EQUAL(copies(), 0);
		tear_down(&b);
		CU_ASSERT_EQUAL(copies(), 0);
	}
}

static void test_load_shared(void)
{
	check_secret("load-shared", "IKE", bytes_of(NULL, 0));
}

/* Ed25519 as PKCS#8: the private key as it is, behind its name. */
static const uint8_t pkcs8[] = {0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06,
				0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20};

static void test_load_key(void)
{
	check_secret("load-key", "any", bytes_of(pkcs8, sizeof(pkcs8)));
}

/* Also of what is refused, and of what never became whole. */
static void test_refused(void)
{
	struct bench b;

	new_secret();
	set_up(&b);
	send_secret(&b, "load-shared", message("type", "XAUTH"), bytes_of(NULL, 0), 0, 4096);
	answered(&b, "no");
	send_secret(&b, "load-key", message("type", "any"), bytes_of(pkcs8, 10), 0, 4096);
	answered(&b, "no");
	CU_ASSERT_EQUAL(copies(), 0);
	b.fake.configure_result = ERR_SYS;
	send_secret(&b, "load-key", message("type", "any"), bytes_of(pkcs8, sizeof(pkcs8)), 0, 7);
	answered(&b, "no");
	CU_ASSERT_EQUAL(copies(), 0);
	tear_down(&b);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_the_search_finds),
	TAP_TEST(test_load_shared),
	TAP_TEST(test_load_key),
	TAP_TEST(test_refused),
};

TAP_MAIN("vici_wipe", tests)
