/* SPDX-License-Identifier: Apache-2.0 */
/* The AEAD back ends and memory: none is taken for a packet, there may be none for a key, and keys
 * are not in a forked child's. */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/secret.h"
#include "dataplane/crypto/backends.h"

#include "tests/dataplane/aead_pair.h"
#include "tests/tap/tap.h"

static uint64_t openssl_allocations;
static bool openssl_watched;

static void *watched_malloc(size_t len, const char *file, int line)
{
	(void)file, (void)line;
	__atomic_add_fetch(&openssl_allocations, 1, __ATOMIC_RELAXED);
	return malloc(len);
}

static void *watched_realloc(void *p, size_t len, const char *file, int line)
{
	(void)file, (void)line;
	__atomic_add_fetch(&openssl_allocations, 1, __ATOMIC_RELAXED);
	return realloc(p, len);
}

static void watched_free(void *p, const char *file, int line)
{
	(void)file, (void)line;
	free(p);
}

/* OpenSSL takes another allocator only before its first allocation. */
__attribute__((constructor)) static void watch_openssl(void)
{
	openssl_watched =
		CRYPTO_set_mem_functions(watched_malloc, watched_realloc, watched_free) == 1;
}

static void no_allocation(const struct aead_backend *be, enum aead_alg alg, const uint8_t *key)
{
	uint64_t before, openssl_before = openssl_allocations;
	struct aead_key *k = pair_key(be, alg, key);

	if (be == &aead_openssl && aead_shape(alg)->key_len > 0)
		CU_ASSERT(openssl_allocations > openssl_before); /* the counter counts */
	before = alloc_count();
	openssl_before = openssl_allocations;
	pair_encrypted(be, alg, k, AEAD_BATCH_MAX, 8);
	be->decrypt(pair.work, pair.ops, AEAD_BATCH_MAX);
	CU_ASSERT(pair.ops[0].ok && pair.ops[AEAD_BATCH_MAX - 1].ok);
	for (unsigned i = 0; i < AEAD_BATCH_MAX; i++)
		pair.ops[i].text[0] ^= 1;
	be->decrypt(pair.work, pair.ops, AEAD_BATCH_MAX); /* every ICV is wrong now */
	CU_ASSERT(!pair.ops[0].ok && !pair.ops[AEAD_BATCH_MAX - 1].ok);
	CU_ASSERT(alloc_count() == before);
	CU_ASSERT(openssl_allocations == openssl_before);
	be->key_free(k);
}

static void test_no_allocation_per_packet(void)
{
	static const uint8_t key[AEAD_KEY_MAX] = {1};

	rng_seeded_init(&pair.rng, 4);
	CU_ASSERT_FATAL(openssl_watched);
	for (const struct aead_backend *const *be = aead_backends(); *be; be++)
		for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++)
			if ((*be)->supports(alg))
				no_allocation(*be, alg, key);
}

static void shortage_of_memory(const struct aead_backend *be, enum aead_alg alg)
{
	static const uint8_t key[AEAD_KEY_MAX];
	struct aead_key *k = NULL;
	enum err e = ERR_NOMEM;
	uint64_t n = 1;

	for (; e == ERR_NOMEM && n < 20; n++) {
		alloc_fail_nth(n);
		e = be->key_new(&k, alg, key, aead_alg_key_len(alg), pair_iv_key);
		alloc_fail_nth(0);
		CU_ASSERT((e == ERR_OK) == (k != NULL));
	}
	CU_ASSERT(e == ERR_OK && n > 2);
	be->key_free(k);
	e = ERR_NOMEM;
	for (n = 1; e == ERR_NOMEM && n < 200; n++) {
		alloc_fail_nth(n);
		e = aead_self_test(be, alg);
		alloc_fail_nth(0);
	}
	CU_ASSERT(e == ERR_OK && n > 2);
}

static void test_shortage_of_memory(void)
{
	for (const struct aead_backend *const *be = aead_backends(); *be; be++)
		for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++)
			if ((*be)->supports(alg))
				shortage_of_memory(*be, alg);
}

/* What is in the key arena is zero in a forked child: whatever it writes there, it is not what its
 * parent would have sent under that key and nonce. */
static void forked_child(const struct aead_backend *be, enum aead_alg alg)
{
	static const uint8_t key[AEAD_KEY_MAX] = {1, 2}, nonce[AEAD_NONCE_LEN] = {3};
	struct aead_key *k = pair_key(be, alg, key);
	int status = -1;

	for (unsigned i = 0; i < 2; i++) {
		slot_fill(&pair.slots[i], alg, key, 32, 0);
		pair.ops[i] = slot_op(&pair.slots[i], k, nonce, nonce, 8);
	}
	be->encrypt(pair.work, pair.ops, 1);
	pid_t child = fork();

	CU_ASSERT_FATAL(child >= 0);
	if (child == 0) {
		be->encrypt(pair.work, &pair.ops[1], 1);
		_exit(secret_alive() ? 2
				     : pair_same(pair.slots[0].text, pair.slots[1].text,
						 32 + SLOT_ICV_LEN(&pair.slots[0])));
	}
	CU_ASSERT(waitpid(child, &status, 0) == child);
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	be->encrypt(pair.work, &pair.ops[1], 1);
	CU_ASSERT(pair_same(pair.slots[0].text, pair.slots[1].text,
			    32 + SLOT_ICV_LEN(&pair.slots[0])));
	be->key_free(k);
}

static void test_forked_child_cannot_encrypt(void)
{
	for (const struct aead_backend *const *be = aead_backends(); *be; be++)
		for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++)
			if ((*be)->supports(alg))
				forked_child(*be, alg);
}

static void test_work(void)
{
	struct aead_work *w = NULL;
	enum err e = ERR_NOMEM;
	uint64_t n = 1;

	for (; e == ERR_NOMEM && n < 10; n++) {
		alloc_fail_nth(n);
		e = aead_work_new(&w);
		alloc_fail_nth(0);
		CU_ASSERT((e == ERR_OK) == (w != NULL));
	}
	CU_ASSERT(e == ERR_OK && n > 2);
	aead_work_free(w);
	aead_work_free(NULL);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_work),
	TAP_TEST(test_no_allocation_per_packet),
	TAP_TEST(test_shortage_of_memory),
	TAP_TEST(test_forked_child_cannot_encrypt),
};

TAP_MAIN("dataplane/aead_memory", tests)
