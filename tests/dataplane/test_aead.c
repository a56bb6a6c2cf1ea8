/* SPDX-License-Identifier: Apache-2.0 */
/* The AEAD back ends: published vectors, one against the other, wrong ICVs, and the choice. */
#include "dataplane/crypto/aead.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "base/secret.h"
#include "dataplane/crypto/backends.h"
#include "dataplane/crypto/kat.h"
#include "tests/tap/tap.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEXT_MAX  2048
#define GUARD     32
#define FRONT_MAX (AEAD_HEAD_LEN + AEAD_IV_MAX)

/* struct slot - room for one packet: guard, up to 63 bytes of misalignment, header and IV, text,
 * ICV, guard. */
struct slot {
	uint8_t bytes[GUARD + 64 + FRONT_MAX + TEXT_MAX + AEAD_ICV_MAX + GUARD];
	const struct aead_shape *shape;
	uint8_t *text;
	uint32_t len;
};

#define FRONT_LEN(slot) (AEAD_HEAD_LEN + (slot)->shape->iv_len)
#define ICV_LEN(slot)   ((slot)->shape->icv_len)

static struct slot slots[AEAD_BATCH_MAX], others[AEAD_BATCH_MAX];
static struct aead_op ops[AEAD_BATCH_MAX], other_ops[AEAD_BATCH_MAX];
static struct rng_seeded rng;
static struct aead_work *work; /* nothing is kept in it from one batch to the next */
static const uint8_t iv_key[AEAD_IV_KEY_LEN] = {7, 7, 7};

__attribute__((constructor)) static void open_work(void)
{
	if (aead_work_new(&work) != ERR_OK)
		abort();
}

__attribute__((destructor)) static void close_work(void)
{
	aead_work_free(work);
}

static void random_bytes(void *out, size_t len)
{
	CU_ASSERT_FATAL(rng_fill(&rng.rng, out, len) == ERR_OK);
}

static uint32_t random_below(uint32_t n)
{
	uint32_t v;

	random_bytes(&v, sizeof(v));
	return v % n;
}

static bool same(const void *a, const void *b, size_t len)
{
	return memcmp(a, b, len) == 0;
}

static struct aead_key *new_key(const struct aead_backend *be, enum aead_alg alg,
				const uint8_t *key)
{
	struct aead_key *k = NULL;

	CU_ASSERT_FATAL(be->key_new(&k, alg, key, aead_alg_key_len(alg), iv_key) == ERR_OK);
	return k;
}

/* A slot of len bytes of plain text, everything around it filled with 0xa5. */
static void slot_fill(struct slot *s, enum aead_alg alg, const uint8_t *text, uint32_t len,
		      uint32_t shift)
{
	memset(s->bytes, 0xa5, sizeof(s->bytes));
	s->shape = aead_shape(alg);
	s->text = s->bytes + GUARD + FRONT_MAX + shift;
	s->len = len;
	if (len > 0)
		memcpy(s->text, text, len);
}

static bool slot_guards_hold(const struct slot *s)
{
	const uint8_t *begin = s->text - FRONT_LEN(s), *end = s->text + s->len + ICV_LEN(s);

	for (const uint8_t *p = s->bytes; p < s->bytes + sizeof(s->bytes); p++)
		if ((p < begin || p >= end) && *p != 0xa5)
			return false;
	return true;
}

/* The operation on a slot: header and IV come from aad and nonce, as out_prepare() makes them. */
static struct aead_op op_on(struct slot *s, const struct aead_key *key, const uint8_t *nonce,
			    const uint8_t *aad, size_t aad_len)
{
	uint8_t *head = s->text - FRONT_LEN(s), iv[AEAD_IV_MAX] = {0};
	struct aead_op op = {
		.key = key,
		.text = s->text,
		.icv = s->text + s->len,
		.len = s->len,
		.aad_len = (uint8_t)aad_len,
	};

	memcpy(iv + 8, nonce + AEAD_SALT_LEN, 8);
	memcpy(s->text - s->shape->iv_len, iv + AEAD_IV_MAX - s->shape->iv_len, s->shape->iv_len);
	memcpy(op.nonce, nonce, sizeof(op.nonce));
	memcpy(op.aad, aad, aad_len);
	memcpy(head, aad, 4);
	memcpy(head + 4, aad + aad_len - 4, 4);
	return op;
}

/* ---- published vectors ---------------------------------------------------------------------- */

/* McGrew and Viega, "The Galois/Counter Mode of Operation" (2004), appendix B: the test cases with
 * 96-bit nonces and without AAD (those with AAD have 20 bytes of it, which ESP never has). */
#define MV_TEXT                                                            \
	"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72" \
	"1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255"
static const struct aead_kat mv_kats[] = {
	{.alg = AEAD_AES_GCM_16_128,
	 .key = "00000000000000000000000000000000",
	 .nonce = "000000000000000000000000",
	 .aad = "",
	 .text = "",
	 .out = "58e2fccefa7e3061367f1d57a4e7455a"}, /* 1 */
	{.alg = AEAD_AES_GCM_16_128,
	 .key = "00000000000000000000000000000000",
	 .nonce = "000000000000000000000000",
	 .aad = "",
	 .text = "00000000000000000000000000000000",
	 .out = "0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf"}, /* 2 */
	{.alg = AEAD_AES_GCM_16_128,
	 .key = "feffe9928665731c6d6a8f9467308308",
	 .nonce = "cafebabefacedbaddecaf888",
	 .aad = "",
	 .text = MV_TEXT,
	 .out = "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
		"21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091473f5985"
		"4d5c2af327cd64a62cf35abd2ba6fab4"}, /* 3 */
	{.alg = AEAD_AES_GCM_16_256,
	 .key = "0000000000000000000000000000000000000000000000000000000000000000",
	 .nonce = "000000000000000000000000",
	 .aad = "",
	 .text = "",
	 .out = "530f8afbc74536b9a963b4f1c4cb738b"}, /* 13 */
	{.alg = AEAD_AES_GCM_16_256,
	 .key = "0000000000000000000000000000000000000000000000000000000000000000",
	 .nonce = "000000000000000000000000",
	 .aad = "",
	 .text = "00000000000000000000000000000000",
	 .out = "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"}, /* 14 */
	{.alg = AEAD_AES_GCM_16_256,
	 .key = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
	 .nonce = "cafebabefacedbaddecaf888",
	 .aad = "",
	 .text = MV_TEXT,
	 .out = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
		"8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
		"b094dac5d93471bdec1a502270e3cc6c"}, /* 15 */
};

static void check_kat(const struct aead_backend *be, const struct aead_kat *kat)
{
	uint8_t room[AEAD_KAT_ROOM];
	struct aead_kat_bytes b;
	struct aead_key *key = NULL;
	struct aead_op op;

	if (!be->supports(kat->alg))
		return;
	CU_ASSERT_FATAL(aead_kat_decode(&b, kat) == ERR_OK);
	CU_ASSERT_FATAL(be->key_new(&key, kat->alg, b.key, b.key_len, aead_kat_iv_key) == ERR_OK);
	op = aead_kat_place(room, &b, key, true);
	be->encrypt(work, &op, 1);
	CU_ASSERT(op.ok);
	CU_ASSERT(same(op.text, b.out, b.text_len + b.shape->icv_len));
	CU_ASSERT(same(op.text - b.shape->iv_len, b.iv, b.shape->iv_len));
	op = aead_kat_place(room, &b, key, false);
	be->decrypt(work, &op, 1);
	CU_ASSERT(op.ok);
	CU_ASSERT(same(op.text, b.text, b.text_len));
	be->key_free(key);
}

/* Of every algorithm there is a case without and, but for GMAC of published ones, with ESN. */
static void test_published_vectors_of_the_self_test(void)
{
	unsigned with[AEAD_NUM][2] = {0};
	const struct aead_kat *kat;
	size_t num = 0;

	for (; (kat = aead_kat(num)); num++) {
		with[kat->alg][strlen(kat->aad) == 24]++;
		for (const struct aead_backend *const *be = aead_backends(); *be; be++)
			check_kat(*be, kat);
	}
	CU_ASSERT(num == 13 + 3 + 7 + 9 * 2 + 3 * 5);
	for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++) {
		CU_ASSERT(with[alg][0] > 0);
		CU_ASSERT(with[alg][1] > 0 || aead_shape(alg)->kind == AEAD_KIND_GMAC);
	}
}

static void test_vectors_of_mcgrew_viega(void)
{
	for (const struct aead_backend *const *be = aead_backends(); *be; be++)
		for (size_t i = 0; i < ARRAY_LEN(mv_kats); i++)
			check_kat(*be, &mv_kats[i]);
}

static void test_bad_vectors_are_refused(void)
{
	struct aead_kat_bytes b;
	struct aead_kat kat = mv_kats[1];

	kat.nonce = "0000000000000000000000";
	CU_ASSERT(aead_kat_decode(&b, &kat) == ERR_MALFORMED);
	kat.nonce = "00000000000000000000000g";
	CU_ASSERT(aead_kat_decode(&b, &kat) == ERR_MALFORMED);
	kat.nonce = "00000000000000000000000";
	CU_ASSERT(aead_kat_decode(&b, &kat) == ERR_MALFORMED);
	kat = mv_kats[1];
	kat.aad = "00000000000000000000000000";
	CU_ASSERT(aead_kat_decode(&b, &kat) == ERR_MALFORMED);
	kat = mv_kats[1];
	kat.out = "0388";
	CU_ASSERT(aead_kat_decode(&b, &kat) == ERR_MALFORMED);
}

/* ---- one back end against the other ---------------------------------------------------------- */

static const struct aead_backend *reference(void)
{
	return &aead_openssl;
}

/* n packets, encrypted by be and by the reference, must agree; the reference decrypts what be made
 * and be what the reference made. */
static void check_batch(const struct aead_backend *be, uint32_t n, uint8_t texts[][TEXT_MAX])
{
	const struct aead_backend *ref = reference();

	be->encrypt(work, ops, n);
	ref->encrypt(work, other_ops, n);
	for (uint32_t i = 0; i < n; i++) {
		CU_ASSERT(ops[i].ok && other_ops[i].ok);
		CU_ASSERT(same(slots[i].text - FRONT_LEN(&slots[i]),
			       others[i].text - FRONT_LEN(&others[i]),
			       FRONT_LEN(&slots[i]) + slots[i].len + ICV_LEN(&slots[i])));
		ops[i].ok = other_ops[i].ok = false;
	}
	be->decrypt(work, ops, n);
	ref->decrypt(work, other_ops, n);
	for (uint32_t i = 0; i < n; i++) {
		CU_ASSERT(ops[i].ok && other_ops[i].ok);
		CU_ASSERT(same(slots[i].text, texts[i], slots[i].len));
		CU_ASSERT(same(others[i].text, texts[i], slots[i].len));
		CU_ASSERT(slot_guards_hold(&slots[i]) && slot_guards_hold(&others[i]));
	}
}

/* Text that the algorithm can have: whole blocks, of a block cipher at least one. */
static uint32_t fitting(enum aead_alg alg, uint32_t len)
{
	const uint32_t align = aead_shape(alg)->align;

	if (!aead_shape(alg)->secret_iv)
		return len;
	return len < align ? align : len - len % align;
}

/* Packet i of the next batch: the same text, nonce and AAD for both back ends. */
static void set_pair(uint32_t i, enum aead_alg alg, uint8_t *text, uint32_t len, size_t aad_len,
		     const struct aead_key *key, const struct aead_key *ref_key)
{
	uint8_t nonce[AEAD_NONCE_LEN], aad[AEAD_AAD_MAX];

	random_bytes(text, TEXT_MAX);
	random_bytes(nonce, sizeof(nonce));
	random_bytes(aad, sizeof(aad));
	len = fitting(alg, len);
	slot_fill(&slots[i], alg, text, len, random_below(64));
	slot_fill(&others[i], alg, text, len, random_below(64));
	ops[i] = op_on(&slots[i], key, nonce, aad, aad_len);
	other_ops[i] = op_on(&others[i], ref_key, nonce, aad, aad_len);
}

static uint8_t texts[AEAD_BATCH_MAX][TEXT_MAX];

static void every_length(const struct aead_backend *be, enum aead_alg alg, size_t aad_len)
{
	const uint32_t step = aead_shape(alg)->secret_iv ? AEAD_ALIGN_MAX : 1;
	uint8_t key[AEAD_KEY_MAX];
	struct aead_key *k, *ref_k;

	random_bytes(key, sizeof(key));
	k = new_key(be, alg, key);
	ref_k = new_key(reference(), alg, key);
	for (uint32_t len = 0; len <= TEXT_MAX;) {
		uint32_t n = 0;

		for (; n < AEAD_BATCH_MAX && len <= TEXT_MAX; n++, len += step)
			set_pair(n, alg, texts[n], len, aad_len, k, ref_k);
		check_batch(be, n, texts);
	}
	be->key_free(k);
	reference()->key_free(ref_k);
}

static void test_every_length_agrees(void)
{
	rng_seeded_init(&rng, 1);
	for (const struct aead_backend *const *be = aead_backends(); *be; be++) {
		for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++) {
			if (!(*be)->supports(alg))
				continue;
			every_length(*be, alg, 8);
			every_length(*be, alg, 12);
		}
	}
}

/* ---- texts longer than the slots --------------------------------------------------------------
 */

#define LONG_TEXT_MAX 65408 /* a datagram has no room for more */

/* The counter begins with 2: its last byte overflows behind 254 blocks. */
static const uint32_t long_lens[] = {254 * 16 - 1, 254 * 16, 254 * 16 + 1, 255 * 16 + 1,
				     9000,         510 * 16, LONG_TEXT_MAX};

static struct aead_op long_op(uint8_t *room, enum aead_alg alg, uint32_t len,
			      const struct aead_key *key)
{
	static const uint8_t nonce[AEAD_NONCE_LEN] = {1}, aad[AEAD_AAD_MAX] = {2};
	struct slot s = {.shape = aead_shape(alg), .text = room + FRONT_MAX, .len = len};

	for (uint32_t i = 0; i < len; i++)
		s.text[i] = (uint8_t)(i * 251 + i / 256);
	return op_on(&s, key, nonce, aad, 12);
}

static void long_texts(const struct aead_backend *be, enum aead_alg alg, uint8_t *room,
		       uint8_t *other_room)
{
	static const uint8_t key[AEAD_KEY_MAX] = {9};
	struct aead_key *k = new_key(be, alg, key), *ref_k = new_key(reference(), alg, key);

	for (size_t i = 0; i < ARRAY_LEN(long_lens); i++) {
		const uint32_t len = fitting(alg, long_lens[i]);
		struct aead_op op = long_op(room, alg, len, k);
		struct aead_op other = long_op(other_room, alg, len, ref_k);

		be->encrypt(work, &op, 1);
		reference()->encrypt(work, &other, 1);
		CU_ASSERT(op.ok && same(op.text, other.text, len + aead_shape(alg)->icv_len));
		be->decrypt(work, &op, 1);
		other = long_op(other_room, alg, len, ref_k);
		CU_ASSERT(op.ok && same(op.text, other.text, len));
	}
	be->key_free(k);
	reference()->key_free(ref_k);
}

static void test_long_texts_agree(void)
{
	static uint8_t rooms[2][FRONT_MAX + LONG_TEXT_MAX + AEAD_ICV_MAX];

	for (const struct aead_backend *const *be = aead_backends(); *be; be++)
		for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++)
			if ((*be)->supports(alg))
				long_texts(*be, alg, rooms[0], rooms[1]);
}

/* ---- the edge of memory -----------------------------------------------------------------------
 */

/* A packet that ends, or begins, where memory does: nothing beyond it may be touched. */
static void at_the_edge(const struct aead_backend *be, enum aead_alg alg, uint8_t *page,
			size_t page_len)
{
	static const uint8_t key[AEAD_KEY_MAX] = {9}, nonce[AEAD_NONCE_LEN] = {1};
	struct slot s = {.shape = aead_shape(alg)};
	struct aead_key *k = new_key(be, alg, key);

	for (uint32_t i = 0; i <= 2 * 160; i++) {
		struct aead_op op;

		s.len = fitting(alg, i / 2);
		s.text = i % 2 ? page + FRONT_LEN(&s) : page + page_len - ICV_LEN(&s) - s.len;
		op = op_on(&s, k, nonce, nonce, 8);
		be->encrypt(work, &op, 1);
		be->decrypt(work, &op, 1);
		CU_ASSERT(op.ok);
	}
	be->key_free(k);
}

static void test_nothing_beyond_the_packet_is_touched(void)
{
	const size_t len = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *pages = mmap(NULL, 3 * len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CU_ASSERT_FATAL(pages != MAP_FAILED);
	CU_ASSERT_FATAL(mprotect(pages + len, len, PROT_READ | PROT_WRITE) == 0);
	for (const struct aead_backend *const *be = aead_backends(); *be; be++)
		for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++)
			if ((*be)->supports(alg))
				at_the_edge(*be, alg, pages + len, len);
	munmap(pages, 3 * len);
}

/* ---- batches of everything --------------------------------------------------------------------
 */

#define NUM_KEYS (2 * (AEAD_NUM - 1))

/* The i-th algorithm of those that be has, over and over. */
static enum aead_alg alg_of(const struct aead_backend *be, unsigned i)
{
	enum aead_alg algs[AEAD_NUM];
	unsigned num = 0;

	for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++)
		if (be->supports(alg))
			algs[num++] = alg;
	return num ? algs[i % num] : AEAD_NONE;
}

/* Batches of any size in which neighbours have other keys, key lengths, lengths and AAD forms. */
static void random_batches(const struct aead_backend *be, unsigned rounds)
{
	struct aead_key *keys[NUM_KEYS], *ref_keys[NUM_KEYS];
	enum aead_alg algs[NUM_KEYS];
	uint8_t key[AEAD_KEY_MAX];

	for (unsigned k = 0; k < NUM_KEYS; k++) {
		algs[k] = alg_of(be, k);
		random_bytes(key, sizeof(key));
		keys[k] = new_key(be, algs[k], key);
		ref_keys[k] = new_key(reference(), algs[k], key);
	}
	for (unsigned round = 0; round < rounds; round++) {
		uint32_t n = 1 + round % AEAD_BATCH_MAX;

		for (uint32_t i = 0; i < n; i++) {
			uint32_t k = random_below(NUM_KEYS);

			set_pair(i, algs[k], texts[i], random_below(TEXT_MAX + 1),
				 random_below(2) ? 8 : 12, keys[k], ref_keys[k]);
		}
		check_batch(be, n, texts);
	}
	for (unsigned k = 0; k < NUM_KEYS; k++) {
		be->key_free(keys[k]);
		reference()->key_free(ref_keys[k]);
	}
}

static void test_random_batches_agree(void)
{
	rng_seeded_init(&rng, 2);
	for (const struct aead_backend *const *be = aead_backends(); *be; be++)
		if (alg_of(*be, 0) != AEAD_NONE)
			random_batches(*be, 2 * AEAD_BATCH_MAX);
}

/* ---- wrong input ------------------------------------------------------------------------------
 */

/* A batch of n encrypted packets of one key. */
static void encrypted_batch(const struct aead_backend *be, enum aead_alg alg,
			    const struct aead_key *key, uint32_t n, size_t aad_len)
{
	for (uint32_t i = 0; i < n; i++)
		set_pair(i, alg, texts[i], 20 + 13 * i, aad_len, key, NULL);
	be->encrypt(work, ops, n);
}

/* Decrypts a copy of the batch, one bit of where (in packet bad's op or slot; NULL: no bit) turned
 * over. */
static void check_only_bad(const struct aead_backend *be, uint32_t n, uint32_t bad, uint8_t *where,
			   unsigned bit)
{
	static struct slot saved[AEAD_BATCH_MAX];

	memcpy(saved, slots, sizeof(slots));
	if (where)
		*where ^= (uint8_t)(1U << bit);
	be->decrypt(work, ops, n);
	for (uint32_t i = 0; i < n; i++) {
		CU_ASSERT(ops[i].ok == (i != bad));
		CU_ASSERT(i == bad || same(slots[i].text, texts[i], slots[i].len));
	}
	memcpy(slots, saved, sizeof(slots));
	if (where && (where < (uint8_t *)slots || where >= (uint8_t *)slots + sizeof(slots)))
		*where ^= (uint8_t)(1U << bit);
}

/* One bit of something that is authenticated, in packet bad. Header and IV count where they lie in
 * the packet, or in nonce and AAD; the high half of an extended number always counts. */
static void wrong_in(const struct aead_backend *be, uint32_t n, uint32_t bad, size_t aad_len)
{
	const struct slot *s = &slots[bad];
	struct aead_op *op = &ops[bad];
	const bool in_place = s->shape->kind == AEAD_KIND_HMAC;
	const unsigned bit = random_below(8);

	check_only_bad(be, n, bad, &op->icv[random_below(ICV_LEN(s))], bit);
	check_only_bad(be, n, bad, &op->text[random_below(op->len)], bit);
	if (in_place)
		check_only_bad(be, n, bad, op->text - 1 - random_below(FRONT_LEN(s)), bit);
	else
		check_only_bad(be, n, bad, &op->nonce[random_below(AEAD_NONCE_LEN)], bit);
	if (s->shape->kind == AEAD_KIND_GMAC)
		check_only_bad(be, n, bad, op->text - 1 - random_below(8), bit);
	if (!in_place)
		check_only_bad(be, n, bad, &op->aad[random_below((uint32_t)aad_len)], bit);
	else if (aad_len == 12)
		check_only_bad(be, n, bad, &op->aad[4 + random_below(4)], bit);
}

static void wrong_anywhere(const struct aead_backend *be, enum aead_alg alg, size_t aad_len)
{
	const uint32_t n = AEAD_BATCH_MAX;
	uint8_t key[AEAD_KEY_MAX];
	struct aead_key *k;

	random_bytes(key, sizeof(key));
	k = new_key(be, alg, key);
	encrypted_batch(be, alg, k, n, aad_len);
	check_only_bad(be, n, n, NULL, 0);
	for (uint32_t bad = 0; bad < n; bad++)
		wrong_in(be, n, bad, aad_len);
	for (unsigned bit = 0; bit < 8U * aead_shape(alg)->icv_len; bit++)
		check_only_bad(be, 4, 2, &ops[2].icv[bit / 8], bit % 8);
	be->key_free(k);
}

static void test_wrong_bit_is_found_where_it_is(void)
{
	rng_seeded_init(&rng, 3);
	for (const struct aead_backend *const *be = aead_backends(); *be; be++) {
		for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++) {
			if (!(*be)->supports(alg))
				continue;
			wrong_anywhere(*be, alg, 8);
			wrong_anywhere(*be, alg, 12);
		}
	}
}

/* Which algorithms a back end has; vaes has its on some processors and none on others. */
static void check_algorithms(const struct aead_backend *be)
{
	for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++) {
		const bool has = be->supports(alg);
		const bool sodium = alg == AEAD_CHACHA20_POLY1305 || alg == AEAD_NULL_SHA2_256 ||
				    alg == AEAD_NULL_SHA2_512;

		if (be == &aead_sodium) {
			CU_ASSERT(has == sodium);
		} else if (strcmp(be->name, "vaes") == 0) {
			CU_ASSERT(!has || aead_shape(alg)->kind == AEAD_KIND_GCM);
		} else {
			CU_ASSERT(has);
		}
	}
}

static void test_key_arguments(void)
{
	static const uint8_t key[128];
	struct aead_key *k = NULL;

	for (const struct aead_backend *const *p = aead_backends(); *p; p++) {
		const struct aead_backend *be = *p;

		check_algorithms(be);
		CU_ASSERT(!be->supports(AEAD_NONE) && !be->supports(AEAD_NUM));
		CU_ASSERT(be->key_new(&k, AEAD_NONE, key, 16, iv_key) == ERR_UNSUPPORTED);
		CU_ASSERT(be->key_new(&k, AEAD_NUM, key, 16, iv_key) == ERR_UNSUPPORTED);
		for (size_t len = 0; len <= sizeof(key); len++) {
			for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++) {
				enum err want = !be->supports(alg) ? ERR_UNSUPPORTED : ERR_INVAL;

				if (want == ERR_INVAL && len == aead_alg_key_len(alg))
					continue;
				CU_ASSERT(be->key_new(&k, alg, key, len, iv_key) == want);
			}
		}
		CU_ASSERT(k == NULL);
		be->key_free(NULL);
	}
}

static void test_shapes(void)
{
	const struct aead_shape *none = aead_shape(AEAD_NONE);

	CU_ASSERT(aead_shape(AEAD_NUM) == none && aead_shape((enum aead_alg) - 1) == none);
	CU_ASSERT(strcmp(none->name, "none") == 0 && aead_alg_material_len(AEAD_NUM) == 0);
	for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++) {
		const struct aead_shape *s = aead_shape(alg);
		const bool hmac = s->kind == AEAD_KIND_HMAC;

		CU_ASSERT(s->name && strcmp(s->name, "none") != 0);
		CU_ASSERT(aead_alg_key_len(alg) > 0 && aead_alg_key_len(alg) <= AEAD_KEY_MAX);
		CU_ASSERT(hmac ? s->icv_len * 2 == s->auth_len : s->icv_len == AEAD_TAG_LEN);
		CU_ASSERT(s->icv_len <= AEAD_ICV_MAX && s->align <= AEAD_ALIGN_MAX);
		CU_ASSERT((s->align & (s->align - 1)) == 0 && s->align >= 4);
		CU_ASSERT(s->salt_len == (hmac ? 0 : AEAD_SALT_LEN));
		CU_ASSERT(s->iv_len == (s->secret_iv ? 16 : hmac ? 0 : 8));
	}
}

/* ---- unpredictable IVs ------------------------------------------------------------------------
 */

/* With successive sequence numbers, as an SA has them. */
static void send_three(const struct aead_backend *be, enum aead_alg alg, struct aead_key *k)
{
	static const uint8_t text[32], aad[8] = {1};
	uint8_t nonce[AEAD_NONCE_LEN] = {0};

	for (uint32_t i = 0; i < 3; i++) {
		store_be64(nonce + AEAD_SALT_LEN, i + 1);
		slot_fill(&slots[i], alg, text, sizeof(text), 0);
		ops[i] = op_on(&slots[i], k, nonce, aad, sizeof(aad));
	}
	be->encrypt(work, ops, 3);
}

/* The IV is what AES makes of the number under the SA's secret, and another one's under another. */
static void test_S53_secret_ivs(void)
{
	static const uint8_t key[AEAD_KEY_MAX], other_iv_key[AEAD_IV_KEY_LEN] = {8};
	uint8_t ivs[3][AEAD_IV_MAX];

	for (const struct aead_backend *const *p = aead_backends(); *p; p++) {
		for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++) {
			struct aead_key *k = NULL;

			if (!(*p)->supports(alg) || !aead_shape(alg)->secret_iv)
				continue;
			k = new_key(*p, alg, key);
			send_three(*p, alg, k);
			for (unsigned i = 0; i < 3; i++)
				memcpy(ivs[i], slots[i].text - AEAD_IV_MAX, AEAD_IV_MAX);
			CU_ASSERT(ops[0].ok && !same(ivs[0], ivs[1], AEAD_IV_MAX - 1));
			CU_ASSERT(!same(ivs[1], ivs[2], AEAD_IV_MAX - 1));
			(*p)->key_free(k);
			CU_ASSERT_FATAL((*p)->key_new(&k, alg, key, aead_alg_key_len(alg),
						      other_iv_key) == ERR_OK);
			send_three(*p, alg, k);
			CU_ASSERT(!same(ivs[1], slots[1].text - AEAD_IV_MAX, AEAD_IV_MAX));
			(*p)->key_free(k);
		}
	}
}

/* A key without that secret is one to receive with. */
static void test_S53_no_secret_no_packet(void)
{
	static const uint8_t key[AEAD_KEY_MAX];

	for (const struct aead_backend *const *p = aead_backends(); *p; p++) {
		for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++) {
			struct aead_key *k = NULL;

			if (!(*p)->supports(alg))
				continue;
			CU_ASSERT_FATAL((*p)->key_new(&k, alg, key, aead_alg_key_len(alg), NULL) ==
					ERR_OK);
			send_three(*p, alg, k);
			for (unsigned i = 0; i < 3; i++)
				CU_ASSERT(ops[i].ok == !aead_shape(alg)->secret_iv);
			(*p)->key_free(k);
		}
	}
}

/* ---- memory -----------------------------------------------------------------------------------
 */

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
	struct aead_key *k = new_key(be, alg, key);

	if (be == &aead_openssl && aead_shape(alg)->key_len > 0)
		CU_ASSERT(openssl_allocations > openssl_before); /* the counter counts */
	before = alloc_count();
	openssl_before = openssl_allocations;
	encrypted_batch(be, alg, k, AEAD_BATCH_MAX, 8);
	be->decrypt(work, ops, AEAD_BATCH_MAX);
	CU_ASSERT(ops[0].ok && ops[AEAD_BATCH_MAX - 1].ok);
	for (unsigned i = 0; i < AEAD_BATCH_MAX; i++)
		ops[i].text[0] ^= 1;
	be->decrypt(work, ops, AEAD_BATCH_MAX); /* every ICV is wrong now */
	CU_ASSERT(!ops[0].ok && !ops[AEAD_BATCH_MAX - 1].ok);
	CU_ASSERT(alloc_count() == before);
	CU_ASSERT(openssl_allocations == openssl_before);
	be->key_free(k);
}

static void test_no_allocation_per_packet(void)
{
	static const uint8_t key[AEAD_KEY_MAX] = {1};

	rng_seeded_init(&rng, 4);
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
		e = be->key_new(&k, alg, key, aead_alg_key_len(alg), iv_key);
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
	struct aead_key *k = new_key(be, alg, key);
	int status = -1;

	for (unsigned i = 0; i < 2; i++) {
		slot_fill(&slots[i], alg, key, 32, 0);
		ops[i] = op_on(&slots[i], k, nonce, nonce, 8);
	}
	be->encrypt(work, ops, 1);
	pid_t child = fork();

	CU_ASSERT_FATAL(child >= 0);
	if (child == 0) {
		be->encrypt(work, &ops[1], 1);
		_exit(secret_alive() ? 2
				     : same(slots[0].text, slots[1].text, 32 + ICV_LEN(&slots[0])));
	}
	CU_ASSERT(waitpid(child, &status, 0) == child);
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	be->encrypt(work, &ops[1], 1);
	CU_ASSERT(same(slots[0].text, slots[1].text, 32 + ICV_LEN(&slots[0])));
	be->key_free(k);
}

static void test_forked_child_cannot_encrypt(void)
{
	for (const struct aead_backend *const *be = aead_backends(); *be; be++)
		for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++)
			if ((*be)->supports(alg))
				forked_child(*be, alg);
}

/* ---- the self-test and the choice --------------------------------------------------------------
 */

static size_t half_icv; /* of the algorithm under test */

/* Back ends that are OpenSSL but for one fault each; a self-test that passes one is no test. */
static void encrypt_not_last(struct aead_work *w, struct aead_op *o, uint32_t n)
{
	aead_openssl.encrypt(w, o, n - 1);
	o[n - 1].ok = true;
}

static void encrypt_swaps_lanes(struct aead_work *w, struct aead_op *o, uint32_t n)
{
	uint8_t icv[AEAD_ICV_MAX];

	aead_openssl.encrypt(w, o, n);
	if (n < AEAD_BATCH_MAX)
		return;
	memcpy(icv, o[40].icv, 2 * half_icv);
	memcpy(o[40].icv, o[41].icv, 2 * half_icv);
	memcpy(o[41].icv, icv, 2 * half_icv);
}

static void encrypt_reports_failure(struct aead_work *w, struct aead_op *o, uint32_t n)
{
	aead_openssl.encrypt(w, o, n);
	o[n / 2].ok = false;
}

static void encrypt_short_aad(struct aead_work *w, struct aead_op *o, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		o[i].aad_len = 8;
	aead_openssl.encrypt(w, o, n);
}

/* Right in what is published: longer texts are not. */
static void encrypt_wrong_far_behind(struct aead_work *w, struct aead_op *o, uint32_t n)
{
	aead_openssl.encrypt(w, o, n);
	for (uint32_t i = 0; i < n; i++)
		if (o[i].len > 1024)
			o[i].text[1024] ^= 1;
}

static void decrypt_refuses_long(struct aead_work *w, struct aead_op *o, uint32_t n)
{
	aead_openssl.decrypt(w, o, n);
	for (uint32_t i = 0; i < n; i++)
		o[i].ok = o[i].ok && o[i].len < 1024;
}

static void decrypt_believes(struct aead_work *w, struct aead_op *o, uint32_t n)
{
	aead_openssl.decrypt(w, o, n);
	for (uint32_t i = 0; i < n; i++)
		o[i].ok = true;
}

static void decrypt_believes_position_63(struct aead_work *w, struct aead_op *o, uint32_t n)
{
	aead_openssl.decrypt(w, o, n);
	if (n == AEAD_BATCH_MAX)
		o[63].ok = true;
}

static void decrypt_blames_neighbour(struct aead_work *w, struct aead_op *o, uint32_t n)
{
	aead_openssl.decrypt(w, o, n);
	for (uint32_t i = 0; i + 1 < n; i++)
		if (!o[i].ok) {
			o[i + 1].ok = false;
			return;
		}
}

/* Compares the first half of the ICV only: takes one whose second half is wrong. */
static void decrypt_half_icv(struct aead_work *w, struct aead_op *o, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint8_t icv[AEAD_ICV_MAX], text[AEAD_KAT_TEXT_MAX];
		const size_t half = half_icv;
		struct aead_op again = o[i];

		memcpy(icv, o[i].icv, 2 * half);
		memcpy(text, o[i].text, o[i].len);
		aead_openssl.decrypt(w, &o[i], 1);
		if (o[i].ok)
			continue;
		for (unsigned bit = 0; bit < 8 * half && !o[i].ok; bit++) {
			memcpy(o[i].icv, icv, 2 * half);
			memcpy(o[i].text, text, o[i].len);
			o[i].icv[half + bit / 8] ^= (uint8_t)(1U << bit % 8);
			again = o[i];
			aead_openssl.decrypt(w, &again, 1);
			o[i].ok = again.ok;
		}
	}
}

static void decrypt_no_text(struct aead_work *w, struct aead_op *o, uint32_t n)
{
	aead_openssl.decrypt(w, o, n);
	memset(o[n - 1].text, 0, o[n - 1].len);
}

static enum err key_new_fails(struct aead_key **out, enum aead_alg alg, const uint8_t *key,
			      size_t key_len, const uint8_t *iv_secret)
{
	(void)out, (void)alg, (void)key, (void)key_len, (void)iv_secret;
	return ERR_CRYPTO;
}

static bool supports_nothing(enum aead_alg alg)
{
	(void)alg;
	return false;
}

static struct aead_backend faulty(void)
{
	struct aead_backend be = aead_openssl;

	be.name = "faulty";
	return be;
}

static void test_self_test_passes_the_good(void)
{
	for (const struct aead_backend *const *be = aead_backends(); *be; be++) {
		for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++)
			CU_ASSERT(aead_self_test(*be, alg) ==
				  ((*be)->supports(alg) ? ERR_OK : ERR_UNSUPPORTED));
		CU_ASSERT(aead_self_test(*be, AEAD_NONE) == ERR_UNSUPPORTED);
	}
}

static void test_self_test_finds_the_faulty(void)
{
	static void (*const encrypts[])(struct aead_work *, struct aead_op *, uint32_t) = {
		encrypt_not_last, encrypt_swaps_lanes, encrypt_reports_failure, encrypt_short_aad,
		encrypt_wrong_far_behind};
	static void (*const decrypts[])(struct aead_work *, struct aead_op *, uint32_t) = {
		decrypt_believes,         decrypt_believes_position_63,
		decrypt_blames_neighbour, decrypt_half_icv,
		decrypt_no_text,          decrypt_refuses_long};
	struct aead_backend be = faulty();

	CU_ASSERT(aead_self_test(&be, AEAD_AES_GCM_16_128) == ERR_OK);
	for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++) {
		const bool gmac = aead_shape(alg)->kind == AEAD_KIND_GMAC;

		half_icv = aead_shape(alg)->icv_len / 2U;
		for (size_t i = 0; i < ARRAY_LEN(encrypts); i++) {
			/* Of GMAC no published case has ESN. */
			if (gmac && encrypts[i] == encrypt_short_aad)
				continue;
			be = faulty();
			be.encrypt = encrypts[i];
			CU_ASSERT(aead_self_test(&be, alg) == ERR_CRYPTO);
		}
		for (size_t i = 0; i < ARRAY_LEN(decrypts); i++) {
			be = faulty();
			be.decrypt = decrypts[i];
			CU_ASSERT(aead_self_test(&be, alg) == ERR_CRYPTO);
		}
	}
	be = faulty();
	be.key_new = key_new_fails;
	CU_ASSERT(aead_self_test(&be, AEAD_AES_GCM_16_128) == ERR_CRYPTO);
}

static void test_pick_skips_what_fails(void)
{
	struct aead_backend bad = faulty(), absent = faulty();
	const struct aead_backend *list[] = {&absent, &bad, &aead_openssl, NULL};
	const struct aead_backend *only_bad[] = {&absent, &bad, NULL};
	const struct aead_backend *only_absent[] = {&absent, NULL};
	const struct aead_backend *got = NULL;
	const enum aead_alg alg = AEAD_AES_GCM_16_256;

	bad.encrypt = encrypt_not_last;
	absent.supports = supports_nothing;
	absent.name = "absent";
	CU_ASSERT(aead_pick(&got, list, aead_self_test, alg, NULL) == ERR_OK);
	CU_ASSERT(got == &aead_openssl);
	got = NULL;
	CU_ASSERT(aead_pick(&got, list, aead_self_test, alg, "openssl") == ERR_OK);
	CU_ASSERT(got == &aead_openssl);
	got = NULL;
	CU_ASSERT(aead_pick(&got, list, aead_self_test, alg, "faulty") == ERR_CRYPTO);
	CU_ASSERT(aead_pick(&got, list, aead_self_test, alg, "absent") == ERR_UNSUPPORTED);
	CU_ASSERT(aead_pick(&got, list, aead_self_test, alg, "nobody") == ERR_NOT_FOUND);
	CU_ASSERT(aead_pick(&got, list, aead_self_test, AEAD_NONE, NULL) == ERR_UNSUPPORTED);
	CU_ASSERT(aead_pick(&got, only_bad, aead_self_test, alg, NULL) == ERR_CRYPTO);
	CU_ASSERT(aead_pick(&got, only_absent, aead_self_test, alg, NULL) == ERR_UNSUPPORTED);
	CU_ASSERT(got == NULL);
}

static const struct aead_backend *first_with(enum aead_alg alg)
{
	const struct aead_backend *const *be = aead_backends();

	while (*be && !(*be)->supports(alg))
		be++;
	return *be;
}

static void test_select(void)
{
	const struct aead_backend *got = NULL;

	CU_ASSERT(aead_select(&got, AEAD_AES_GCM_16_256, "openssl") == ERR_OK);
	CU_ASSERT(got == &aead_openssl);
	for (const struct aead_backend *const *be = aead_backends(); *be; be++) {
		if (alg_of(*be, 0) == AEAD_NONE)
			continue;
		CU_ASSERT(aead_select(&got, alg_of(*be, 0), (*be)->name) == ERR_OK);
		CU_ASSERT(got == *be);
	}
	for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++)
		CU_ASSERT(aead_select(&got, alg, NULL) == ERR_OK && got == first_with(alg));
	got = NULL;
	CU_ASSERT(aead_select(&got, AEAD_AES_GCM_16_256, "no such") == ERR_NOT_FOUND);
	CU_ASSERT(aead_select(&got, AEAD_AES_GCM_16_256, "libsodium") == ERR_UNSUPPORTED);
	CU_ASSERT(aead_select(&got, AEAD_NONE, NULL) == ERR_UNSUPPORTED);
	CU_ASSERT(aead_select(&got, AEAD_NUM, "openssl") == ERR_UNSUPPORTED);
	CU_ASSERT(got == NULL);
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
	TAP_TEST(test_published_vectors_of_the_self_test),
	TAP_TEST(test_vectors_of_mcgrew_viega),
	TAP_TEST(test_bad_vectors_are_refused),
	TAP_TEST(test_every_length_agrees),
	TAP_TEST(test_long_texts_agree),
	TAP_TEST(test_nothing_beyond_the_packet_is_touched),
	TAP_TEST(test_random_batches_agree),
	TAP_TEST(test_wrong_bit_is_found_where_it_is),
	TAP_TEST(test_key_arguments),
	TAP_TEST(test_shapes),
	TAP_TEST(test_S53_secret_ivs),
	TAP_TEST(test_S53_no_secret_no_packet),
	TAP_TEST(test_no_allocation_per_packet),
	TAP_TEST(test_shortage_of_memory),
	TAP_TEST(test_forked_child_cannot_encrypt),
	TAP_TEST(test_self_test_passes_the_good),
	TAP_TEST(test_self_test_finds_the_faulty),
	TAP_TEST(test_pick_skips_what_fails),
	TAP_TEST(test_select),
};

TAP_MAIN("dataplane/aead", tests)
