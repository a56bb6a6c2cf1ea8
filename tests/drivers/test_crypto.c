/* SPDX-License-Identifier: Apache-2.0 */
/* Lookaside devices of DPDK's module against OpenSSL: those that are made of software. */
#include "drivers/dpdk.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/rng.h"
#include "base/secret.h"
#include "dataplane/crypto/backends.h"
#include "dataplane/crypto/device.h"
#include "dataplane/pool.h"

#include "tests/tap/tap.h"

#define TEXT_MAX  2048
#define FRONT_MAX (AEAD_HEAD_LEN + AEAD_IV_MAX)
#define GUARD     64
#define ROOM      (GUARD + FRONT_MAX + TEXT_MAX + AEAD_ICV_MAX + GUARD)

static struct dpdk *dpdk;
static char text[DPDK_TEXT_MAX];
static struct rng_seeded rng;
static const uint8_t iv_key[AEAD_IV_KEY_LEN] = {7, 7, 7};

/* What is tried: some devices twice, in memory that they reach and by copies. */
static const struct device {
	const char *name;
	bool copy;
	uint32_t num; /* algorithms that it has at least */
} devices[] = {
	{"crypto_aesni_mb0", false, 18}, {"crypto_aesni_mb1", true, 18},
	{"crypto_aesni_gcm0", false, 5}, {"crypto_openssl0", false, 14},
	{"crypto_null0", false, 0},
};

static const struct dpdk_module *started(void)
{
	const struct dpdk_params params = {
		.memory_mb = 128, .num_packets = 1023, .packet_room = 2048};

	if (dpdk)
		return dpdk_module(dpdk);
	CU_ASSERT_EQUAL_FATAL(dpdk_load(&dpdk, getenv("LATCHKEY_DPDK_MODULE"), NULL, text), ERR_OK);
	enum err err = dpdk_module(dpdk)->start(&params, text);

	if (err)
		tap_diag("%s", text);
	CU_ASSERT_EQUAL_FATAL(err, ERR_OK);
	return dpdk_module(dpdk);
}

static struct aead_device *opened(const char *name, bool copy)
{
	const struct dpdk_crypto_params params = {
		.device = name, .num_queues = 2, .num_sessions = 512, .copy = copy};
	struct aead_device *d = NULL;

	text[0] = '\0';
	if (started()->crypto_open(&d, &params, text))
		tap_diag("%s", text);
	return d;
}

/* ---- packets --------------------------------------------------------------------------------- */

/* struct slot - a packet and the same for OpenSSL. */
struct slot {
	uint8_t ours[ROOM], theirs[ROOM], plain[TEXT_MAX];
	uint32_t shift;
};

static struct slot slots[AEAD_BATCH_MAX];
static struct aead_op ops[AEAD_BATCH_MAX], other_ops[AEAD_BATCH_MAX];

static uint32_t below(uint32_t n)
{
	uint32_t v;

	CU_ASSERT_EQUAL_FATAL(rng_fill(&rng.rng, &v, sizeof(v)), ERR_OK);
	return v % n;
}

static uint32_t fitting(enum aead_alg alg, uint32_t len)
{
	const uint32_t align = aead_shape(alg)->align;

	if (!aead_shape(alg)->secret_iv)
		return len;
	return len < align ? align : len - len % align;
}

static struct aead_op op_in(uint8_t *room, uint32_t shift, uint32_t len, bool esn,
			    const struct aead_key *key)
{
	struct aead_op op = {.key = key,
			     .text = room + GUARD / 2 + FRONT_MAX + shift,
			     .len = len,
			     .aad_len = esn ? 12 : 8};

	op.icv = op.text + len;
	return op;
}

/* set_head - SPI, number and IV as a packet has them. */
static void set_head(struct aead_op *op, const struct aead_shape *s, uint32_t spi, uint64_t seq)
{
	uint8_t *head = op->text - AEAD_HEAD_LEN - s->iv_len;

	memset(op->text - s->iv_len, 0, s->iv_len);
	if (s->iv_len)
		store_be64(op->text - 8, seq);
	store_be32(head, spi);
	store_be32(head + 4, (uint32_t)seq);
	store_be32(op->aad, spi);
	store_be64(op->aad + 4, op->aad_len == 12 ? seq : seq << 32);
	store_be32(op->nonce, 0x01020304);
	store_be64(op->nonce + 4, seq);
}

static void set_pair(uint32_t i, enum aead_alg alg, uint32_t len, bool esn,
		     const struct aead_key *key, const struct aead_key *other)
{
	static uint64_t seq = UINT64_C(0x100000000);
	struct slot *s = &slots[i];

	len = fitting(alg, len);
	s->shift = below(GUARD / 2);
	CU_ASSERT_EQUAL_FATAL(rng_fill(&rng.rng, s->plain, sizeof(s->plain)), ERR_OK);
	memset(s->ours, 0xa5, ROOM);
	memset(s->theirs, 0xa5, ROOM);
	ops[i] = op_in(s->ours, s->shift, len, esn, key);
	other_ops[i] = op_in(s->theirs, s->shift, len, esn, other);
	memcpy(ops[i].text, s->plain, len);
	memcpy(other_ops[i].text, s->plain, len);
	seq++;
	set_head(&ops[i], aead_shape(alg), i + 1, seq);
	set_head(&other_ops[i], aead_shape(alg), i + 1, seq);
}

/* holds - text is plain again, and nothing around the packet was written to. */
static bool holds(const struct slot *s, const struct aead_op *op, const struct aead_shape *shape)
{
	const uint8_t *begin = op->text - AEAD_HEAD_LEN - shape->iv_len;

	for (const uint8_t *p = s->ours; p < s->ours + ROOM; p++)
		if ((p < begin || p >= op->icv + shape->icv_len) && *p != 0xa5)
			return false;
	return memcmp(op->text, s->plain, op->len) == 0;
}

/* check - the same bytes as OpenSSL's, and back again. */
static bool check(const struct aead_backend *be, const enum aead_alg *algs, uint32_t n)
{
	bool right = true;

	be->encrypt(NULL, ops, n);
	aead_openssl.encrypt(NULL, other_ops, n);
	for (uint32_t i = 0; i < n; i++)
		right = right && ops[i].ok && memcmp(slots[i].ours, slots[i].theirs, ROOM) == 0;
	be->decrypt(NULL, ops, n);
	for (uint32_t i = 0; i < n; i++)
		right = right && ops[i].ok && holds(&slots[i], &ops[i], aead_shape(algs[i]));
	return right;
}

/* struct pair_of_keys - a device's and OpenSSL's. */
struct pair_of_keys {
	struct aead_key *key, *other;
};

static struct pair_of_keys keys_of(const struct aead_backend *be, enum aead_alg alg)
{
	struct pair_of_keys k = {0};
	uint8_t key[AEAD_KEY_MAX];

	CU_ASSERT_EQUAL_FATAL(rng_fill(&rng.rng, key, sizeof(key)), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(be->key_new(&k.key, alg, key, aead_alg_key_len(alg), iv_key), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(
		aead_openssl.key_new(&k.other, alg, key, aead_alg_key_len(alg), iv_key), ERR_OK);
	return k;
}

static void free_keys(const struct aead_backend *be, struct pair_of_keys k)
{
	be->key_free(k.key);
	aead_openssl.key_free(k.other);
}

/* ---- trials of one device -------------------------------------------------------------------- */

static bool every_length(const struct aead_backend *be, enum aead_alg alg, bool esn)
{
	const uint32_t step = aead_shape(alg)->secret_iv ? AEAD_ALIGN_MAX : 1;
	struct pair_of_keys k = keys_of(be, alg);
	enum aead_alg algs[AEAD_BATCH_MAX];
	bool right = true;

	for (uint32_t len = 0; len <= TEXT_MAX;) {
		uint32_t n = 0;

		for (; n < AEAD_BATCH_MAX && len <= TEXT_MAX; n++, len += step) {
			set_pair(n, alg, len, esn, k.key, k.other);
			algs[n] = alg;
		}
		right = right && check(be, algs, n);
	}
	free_keys(be, k);
	return right;
}

/* wrong_bits - in each position of a batch, one by one; the others are right. */
static bool wrong_bits(const struct aead_backend *be, enum aead_alg alg, bool esn)
{
	struct pair_of_keys k = keys_of(be, alg);
	const struct aead_shape *s = aead_shape(alg);
	bool right = true;

	for (uint32_t bad = 0; bad < AEAD_BATCH_MAX; bad++) {
		for (uint32_t i = 0; i < AEAD_BATCH_MAX; i++)
			set_pair(i, alg, 32 + 16 * (i % 8), esn, k.key, k.other);
		be->encrypt(NULL, ops, AEAD_BATCH_MAX);
		const uint32_t len = s->iv_len + ops[bad].len + s->icv_len;

		ops[bad].text[(int32_t)below(len) - s->iv_len] ^= (uint8_t)(1u << below(8));
		if (s->iv_len == 8) /* the nonce is the worker's to read there */
			memcpy(ops[bad].nonce + 4, ops[bad].text - 8, 8);
		be->decrypt(NULL, ops, AEAD_BATCH_MAX);
		for (uint32_t i = 0; i < AEAD_BATCH_MAX; i++)
			right = right && ops[i].ok == (i != bad);
	}
	free_keys(be, k);
	return right;
}

/* mixed - neighbours have other algorithms, keys, lengths and directions of thought. */
static bool mixed(const struct aead_backend *be, const enum aead_alg *have, uint32_t num)
{
	struct pair_of_keys k[AEAD_NUM];
	enum aead_alg algs[AEAD_BATCH_MAX];
	bool right = true;

	for (uint32_t i = 0; i < num; i++)
		k[i] = keys_of(be, have[i]);
	for (uint32_t round = 0; round < 100; round++) {
		const uint32_t n = 1 + below(AEAD_BATCH_MAX);

		for (uint32_t i = 0; i < n; i++) {
			const uint32_t which = below(num);

			algs[i] = have[which];
			set_pair(i, have[which], below(TEXT_MAX + 1), below(2), k[which].key,
				 k[which].other);
		}
		right = right && check(be, algs, n);
	}
	for (uint32_t i = 0; i < num; i++)
		free_keys(be, k[i]);
	return right;
}

/* has_esn - the device itself has it with both lengths of additional data. */
static bool has(const struct aead_device *d, enum aead_alg alg, bool esn)
{
	const struct aead_use use = {.alg = alg, .encrypts = true, .aad_len = esn ? 12 : 8};

	return d->ops->supports(d, &use);
}

static void try_device(const struct device *which)
{
	struct aead_device *d = opened(which->name, which->copy);
	enum aead_alg have[AEAD_NUM];
	uint32_t num = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	const struct aead_backend *be = aead_device_backend(d);

	rng_seeded_init(&rng, 1);
	for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++) {
		if (!be->supports(alg)) {
			struct aead_key *k;

			CU_ASSERT_EQUAL(
				be->key_new(&k, alg, slots[0].plain, aead_alg_key_len(alg), iv_key),
				ERR_UNSUPPORTED);
			CU_ASSERT_EQUAL(aead_self_test(be, alg), ERR_UNSUPPORTED);
			continue;
		}
		bool right = aead_self_test(be, alg) == ERR_OK;

		for (int esn = 0; esn < 2 && right; esn++)
			right = every_length(be, alg, esn) && wrong_bits(be, alg, esn);
		tap_diag("%s%s: %s%s%s", d->name, which->copy ? " (copies)" : "",
			 aead_alg_name(alg), has(d, alg, true) ? "" : " (not with ESN)",
			 right ? "" : ": WRONG");
		CU_ASSERT_TRUE(right);
		have[num++] = alg;
	}
	CU_ASSERT_TRUE(num >= which->num);
	if (num)
		CU_ASSERT_TRUE(mixed(be, have, num));
	CU_ASSERT_FALSE(aead_device_lost(d));
	d->ops->close(d);
}

static void test_devices_agree_with_openssl(void)
{
	for (size_t i = 0; i < ARRAY_LEN(devices); i++)
		try_device(&devices[i]);
}

/* ---- what cannot be -------------------------------------------------------------------------- */

static void test_devices_that_are_not_there(void)
{
	static const char *const names[] = {
		"crypto_nosuch0",
		"net_null0", /* a device, but none for ciphers */
		"0000:7f:1f.7",
		"crypto_scheduler0,worker=nobody",
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		CU_ASSERT_PTR_NULL(opened(names[i], false));
		CU_ASSERT_PTR_EQUAL(strstr(text, names[i]), text);
	}
}

static enum err refused(struct dpdk_crypto_params params)
{
	struct aead_device *d = NULL;
	enum err err = started()->crypto_open(&d, &params, text);

	CU_ASSERT_PTR_NULL(d);
	tap_diag("%s", text);
	return err;
}

static void test_limits(void)
{
	char name[2 * DPDK_DEVICE_MAX];
	struct dpdk_crypto_params p = {.device = "crypto_aesni_mb2,max_nb_queue_pairs=2",
				       .num_queues = 3,
				       .num_sessions = 64};

	CU_ASSERT_EQUAL(refused(p), ERR_UNSUPPORTED);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "it has 2 queues, and 3 are needed"));
	p.num_queues = 2;
	p.num_sessions = 1u << 30;
	CU_ASSERT_EQUAL(refused(p), ERR_SYS);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "no memory for its sessions"));
	p.num_queues = 0;
	CU_ASSERT_EQUAL(refused(p), ERR_INVAL);
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	p.num_queues = 2;
	p.num_sessions = 64;
	p.device = name;
	CU_ASSERT_EQUAL(refused(p), ERR_INVAL);
}

/* More keys than it has room for are refused, and there is room again as one is given back. */
static void test_keys_are_numbered(void)
{
	const struct dpdk_crypto_params params = {
		.device = "crypto_aesni_mb3", .num_queues = 1, .num_sessions = 3};
	const struct aead_use use = {AEAD_AES_GCM_16_128, true, 8};
	static const uint8_t key[AEAD_KEY_MAX] = {1};
	struct aead_key *k[4] = {0};
	struct aead_device *d = NULL;

	CU_ASSERT_EQUAL_FATAL(started()->crypto_open(&d, &params, text), ERR_OK);
	for (uint32_t i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(d->ops->key_new(d, &k[i], &use, key, NULL),
				i < 3 ? ERR_OK : ERR_NOMEM);
	d->ops->key_free(d, k[1]);
	CU_ASSERT_EQUAL(d->ops->key_new(d, &k[1], &use, key, NULL), ERR_OK);
	for (uint32_t i = 0; i < 4; i++)
		d->ops->key_free(d, k[i]);
	d->ops->close(d);
}

/* ---- secrets --------------------------------------------------------------------------------- */

#define SECRET_LEN 32
/* Of the mappings that are searched: a sanitizer's shadow is longer, and hardly any of it there. */
#define LONGEST (1ul << 30)

static uint8_t page[65536];

/* in_piece - times that the secret lies in the page. */
static uint32_t in_piece(size_t len, const uint8_t *secret)
{
	const uint8_t *at = page, *end = page + len;
	uint32_t num = 0;

	while (end - at >= SECRET_LEN && (at = memchr(at, secret[0], (size_t)(end - at)))) {
		num += end - at >= SECRET_LEN && memcmp(at, secret, SECRET_LEN) == 0;
		at++;
	}
	return num;
}

/* in_mapping - by system calls: not all of it need be readable. */
static uint32_t in_mapping(int mem, unsigned long begin, unsigned long end, const uint8_t *secret)
{
	uint32_t num = 0;

	for (unsigned long at = begin; at < end; at += sizeof(page) - SECRET_LEN + 1) {
		const size_t want = end - at < sizeof(page) ? end - at : sizeof(page);
		const ssize_t got = pread(mem, page, want, (off_t)at);

		if (got > 0)
			num += in_piece((size_t)got, secret);
	}
	return num;
}

/* in_memory - copies of the secret in all that this process can write to, the buffer of the search
 * apart. */
static uint32_t in_memory(const uint8_t *secret)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	const unsigned long ours = (unsigned long)(uintptr_t)page;
	char line[512], rights[5];
	unsigned long begin, end;
	uint32_t num = 0;

	CU_ASSERT_FATAL(maps && mem >= 0);
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %4s", &begin, &end, rights) != 3 || rights[1] != 'w' ||
		    end - begin > LONGEST)
			continue;
		if (ours >= begin && ours < end) {
			num += in_mapping(mem, begin, ours, secret);
			begin = ours + sizeof(page);
		}
		num += in_mapping(mem, begin, end, secret);
	}
	close(mem);
	fclose(maps);
	return num;
}

static void test_keys_are_wiped(void)
{
	static uint8_t key[SECRET_LEN];
	struct aead_device *d = opened("crypto_aesni_mb4", false);
	const struct aead_use use = {AEAD_AES_GCM_16_256, true, 8};
	struct aead_key *k = NULL;

	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	rng_seeded_init(&rng, 99);
	CU_ASSERT_EQUAL_FATAL(rng_fill(&rng.rng, key, sizeof(key)), ERR_OK);
	const uint32_t before = in_memory(key);

	CU_ASSERT_EQUAL_FATAL(d->ops->key_new(d, &k, &use, key, NULL), ERR_OK);
	CU_ASSERT_TRUE(in_memory(key) > before); /* the first round's key */
	d->ops->key_free(d, k);
	CU_ASSERT_EQUAL(in_memory(key), before);
	d->ops->close(d);
}

/* ---- as a worker sees it --------------------------------------------------------------------- */

/* More operations than a queue holds: the first ones are taken, in order, and the packets of the
 * others are as they were; all come back. */
static void fill_up(const char *name, enum aead_alg alg, bool encrypts)
{
	static struct slot many[AEAD_DEVICE_DEPTH + AEAD_BATCH_MAX];
	static struct slot before[AEAD_BATCH_MAX];
	struct aead_device *d = opened(name, false);
	const struct aead_use use = {alg, encrypts, 12};
	const uint8_t key[AEAD_KEY_MAX] = {3};
	struct aead_key *k = NULL;
	uint32_t given = 0, taken = 0, n = 0;
	struct aead_op op;
	void *ref;

	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	CU_ASSERT_EQUAL_FATAL(d->ops->key_new(d, &k, &use, key, iv_key), ERR_OK);
	do {
		CU_ASSERT_FATAL(given < ARRAY_LEN(many));
		op = op_in(many[given].ours, 0, 64, true, k);
		set_head(&op, aead_shape(alg), 1, given);
		ref = &many[given];
		before[0] = many[given];
		n = d->ops->submit(d, 0, &op, &ref, 1);
		given += n;
	} while (n);
	CU_ASSERT_EQUAL(given, AEAD_DEVICE_DEPTH);
	CU_ASSERT_EQUAL(memcmp(&before[0], ref, sizeof(before[0])), 0);
	const uint64_t until_ns = clock_now_ns() + NS_PER_S;

	while (taken < given && clock_now_ns() < until_ns) {
		struct aead_done done[AEAD_BATCH_MAX];

		n = d->ops->complete(d, 0, done, AEAD_BATCH_MAX);
		for (uint32_t i = 0; i < n; i++) {
			CU_ASSERT_PTR_EQUAL(done[i].ref, &many[taken + i]);
			CU_ASSERT_EQUAL(done[i].ok, encrypts);
		}
		taken += n;
	}
	CU_ASSERT_EQUAL(taken, given);
	d->ops->key_free(d, k);
	d->ops->close(d);
}

static void test_full_queue(void)
{
	fill_up("crypto_aesni_mb5", AEAD_AES_GCM_16_128, true);
	fill_up("crypto_aesni_mb6", AEAD_AES_CBC_128_SHA2_256, true);
	fill_up("crypto_aesni_mb7", AEAD_AES_CBC_128_SHA2_256, false);
}

/* The last one: DPDK does not come again in a process. */
static void test_end(void)
{
	CU_ASSERT_PTR_NOT_NULL(dpdk);
	dpdk_unload(dpdk);
	dpdk = NULL;
}

static const struct tap_test tests[] = {
	TAP_TEST(test_devices_agree_with_openssl),
	TAP_TEST(test_devices_that_are_not_there),
	TAP_TEST(test_limits),
	TAP_TEST(test_keys_are_numbered),
	TAP_TEST(test_keys_are_wiped),
	TAP_TEST(test_full_queue),
	TAP_TEST(test_end),
};

TAP_MAIN("drivers/crypto", tests)
