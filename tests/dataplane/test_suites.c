/* SPDX-License-Identifier: Apache-2.0 */
/* The data path with every algorithm: what one side makes the other takes, and nothing else. */
#include <netinet/in.h>

#include "dataplane/sa.h"
#include "tests/dataplane/testbed.h"
#include "tests/tap/tap.h"

static void use_esn(struct child_params *p, bool is_a)
{
	(void)is_a;
	p->esn = true;
}

static void open_bed(struct bed *bed, enum aead_alg alg, bool esn)
{
	bed_init(bed, &(struct bed_options){.open_wire = true, .alg = alg});
	bed_pair(bed, 1, esn ? use_esn : NULL);
}

/* Everything that a test does once for each algorithm, without and with ESN. */
static void for_each(void (*test)(enum aead_alg alg, bool esn))
{
	for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++) {
		test(alg, false);
		test(alg, true);
	}
}

/* arrive - B receives these bytes; the length of what it delivers, 0 = nothing. */
static size_t arrive(struct bed *bed, const uint8_t *esp, size_t len, uint8_t *got)
{
	bed_deliver(&bed->b, esp, len);
	bed_turn_one(bed, &bed->b);
	return bed_receive(&bed->b, got);
}

/* send - A makes an ESP packet of a clear one. */
static size_t emit(struct bed *bed, const uint8_t *clear, size_t len, uint8_t *esp)
{
	bed_send(&bed->a, clear, len);
	bed_turn_one(bed, &bed->a);
	return bed_capture(&bed->a, esp);
}

/* ---- layout -----------------------------------------------------------------------------------
 */

static bool is_counter(const uint8_t *iv, size_t len, uint64_t seq)
{
	return load_be64(iv + len - 8) == seq;
}

/* Lengths and places of RFC 4303 2, RFC 4106, 7634, 4543, 3602; nothing is clear that a cipher
 * covers; the IV is the sequence number, or says nothing of it (S53). */
static void wire_format(enum aead_alg alg, bool esn)
{
	const struct aead_shape *s = aead_shape(alg);
	uint8_t clear[BED_MAX_PACKET], esp[BED_MAX_PACKET], before[AEAD_IV_MAX] = {0};
	struct bed bed;

	open_bed(&bed, alg, esn);
	for (uint32_t seq = 1; seq <= 20; seq++) {
		const size_t n = bed_udp4(clear, true, 1, 2, 3, 90 + seq);
		const size_t len = emit(&bed, clear, n, esp);
		const uint8_t *iv = esp + 8, *text = iv + s->iv_len;

		CU_ASSERT_EQUAL(len, 8 + s->iv_len + n + bed_pad_for(alg, n) + 2 + s->icv_len);
		CU_ASSERT_EQUAL(load_be32(esp), bed.b.spi_in);
		CU_ASSERT_EQUAL(load_be32(esp + 4), seq);
		if (s->iv_len)
			CU_ASSERT_EQUAL(is_counter(iv, s->iv_len, seq), !s->secret_iv);
		if (s->secret_iv)
			CU_ASSERT_NOT_EQUAL(memcmp(iv, before, AEAD_IV_MAX - 1), 0);
		CU_ASSERT_EQUAL(memcmp(text, clear, n) == 0, !aead_alg_has_privacy(alg));
		memcpy(before, iv, s->iv_len);
		CU_ASSERT_EQUAL(arrive(&bed, esp, len, esp), n);
		CU_ASSERT_EQUAL(memcmp(esp, clear, n), 0);
	}
	bed_fini(&bed);
}

static void test_wire_format(void)
{
	for_each(wire_format);
}

/* What a token says of a suite is what the suites that encrypt do, and these alone. */
static void test_A18_quality(void)
{
	uint32_t hide = 0;

	for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++) {
		hide += aead_alg_has_privacy(alg);
		CU_ASSERT(aead_alg_has_integrity(alg));
	}
	CU_ASSERT_EQUAL(hide, 2 * 3 + 9); /* two of GCM, one of ChaCha20, nine of CBC */
	CU_ASSERT(!aead_alg_has_privacy(AEAD_AES_GMAC_256));
	CU_ASSERT(!aead_alg_has_privacy(AEAD_NULL_SHA2_256));
	CU_ASSERT(!aead_alg_has_privacy(AEAD_NONE) && !aead_alg_has_integrity(AEAD_NONE));
	CU_ASSERT(!aead_alg_has_privacy(AEAD_NUM) && !aead_alg_has_integrity(AEAD_NUM));
}

/* Two SAs with the same keys do not have the same IVs: each has a secret of its own. */
static void test_S53_ivs_are_the_sas_own(void)
{
	const size_t iv_at = 8;
	uint8_t clear[BED_MAX_PACKET], esp[2][BED_MAX_PACKET];

	for (unsigned i = 0; i < 2; i++) {
		struct bed bed;

		open_bed(&bed, AEAD_AES_CBC_256_SHA2_256, false);
		if (i == 1) /* an SA more: the generator has moved on */
			bed_pair(&bed, 2, NULL);
		emit(&bed, clear, bed_udp4(clear, true, 1, 2, 3, 100), esp[i]);
		bed_fini(&bed);
	}
	CU_ASSERT_NOT_EQUAL(memcmp(esp[0] + iv_at, esp[1] + iv_at, AEAD_IV_MAX), 0);
}

static void every_length(enum aead_alg alg, bool esn)
{
	uint8_t clear[BED_MAX_PACKET], esp[BED_MAX_PACKET], got[BED_MAX_PACKET];
	struct bed bed;
	uint64_t sent = 0;

	bed_init(&bed,
		 &(struct bed_options){
			 .open_wire = true, .alg = alg, .packet_room = 2560, .frame_len = 4096});
	bed_pair(&bed, 1, esn ? use_esn : NULL);
	for (uint32_t len = 0; len <= 2048; len += esn ? 5 : 1, sent++) {
		const size_t n = bed_udp4(clear, true, 1, 2, len, len);

		CU_ASSERT_EQUAL(arrive(&bed, esp, emit(&bed, clear, n, esp), got), n);
		CU_ASSERT_EQUAL(memcmp(clear, got, n), 0);
	}
	CU_ASSERT_EQUAL(bed_drops(&bed.a) + bed_drops(&bed.b), 0);
	bed_fini(&bed);
}

static void test_every_length(void)
{
	for_each(every_length);
}

/* ---- hostile input ----------------------------------------------------------------------------
 */

/* The inner length makes text and trailer whole blocks with this pad length. */
static size_t padded(uint8_t *inner, enum aead_alg alg, unsigned pad)
{
	const uint32_t align = aead_shape(alg)->align;

	return bed_udp4(inner, true, 1, 2, pad, 28 + (-(56U + pad + 2) & (align - 1)));
}

static void every_padding(enum aead_alg alg, bool esn)
{
	uint8_t inner[BED_MAX_PACKET], esp[BED_MAX_PACKET], got[BED_MAX_PACKET];
	struct bed_esp e = {.pair = 1, .next_header = IPPROTO_IPIP, .esn = esn};
	struct bed bed;

	open_bed(&bed, alg, esn);
	for (unsigned pad = 0; pad < 256; pad++) {
		const size_t n = padded(inner, alg, pad);

		e.pad_len = (uint8_t)pad;
		e.seq++;
		e.wrong_padding = false;
		CU_ASSERT_EQUAL(arrive(&bed, esp, bed_seal(&bed, esp, &e, inner, n), got), n);
		CU_ASSERT_EQUAL(memcmp(inner, got, n), 0);
		if (pad == 0)
			continue;
		e.seq++;
		e.wrong_padding = true;
		CU_ASSERT_EQUAL(arrive(&bed, esp, bed_seal(&bed, esp, &e, inner, n), got), 0);
	}
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_PADDING), 255);
	bed_fini(&bed);
}

static void test_S50_every_padding(void)
{
	for_each(every_padding);
}

/* One answer to every forgery, whatever of it is wrong: padding is not looked at before the ICV. */
static void bit_flips(enum aead_alg alg, bool esn)
{
	uint8_t clear[BED_MAX_PACKET], esp[BED_MAX_PACKET], got[BED_MAX_PACKET];
	struct child_stats st;
	struct bed bed;

	open_bed(&bed, alg, esn);
	const size_t n = bed_udp4(clear, true, 1000, 2000, 1, 21);
	const size_t len = emit(&bed, clear, n, esp);

	for (size_t bit = 32; bit < 8 * len; bit++) {
		esp[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CU_ASSERT_EQUAL(arrive(&bed, esp, len, got), 0);
		esp[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_AUTH) + bed_dropped(&bed.b, DROP_REPLAY),
			8 * len - 32);
	CU_ASSERT(bed_dropped(&bed.b, DROP_REPLAY) <= 1); /* sequence number 0 */
	CU_ASSERT_EQUAL(dataplane_child_stats(bed.b.dp, &st, 1), ERR_OK);
	CU_ASSERT_EQUAL(st.in_packets, 0);
	CU_ASSERT_EQUAL(arrive(&bed, esp, len, got), n);
	bed_fini(&bed);
}

static void test_S55_bit_flips(void)
{
	for_each(bit_flips);
}

/* Every length but the right one; what is not whole blocks is not even looked at. */
static void truncated(enum aead_alg alg, bool esn)
{
	const struct aead_shape *s = aead_shape(alg);
	const uint32_t around = 8U + s->iv_len + s->icv_len;
	uint8_t clear[BED_MAX_PACKET], esp[BED_MAX_PACKET], got[BED_MAX_PACKET];
	uint64_t malformed = 0;
	struct bed bed;

	open_bed(&bed, alg, esn);
	const size_t n = bed_udp4(clear, true, 1000, 2000, 1, 77);
	const size_t len = emit(&bed, clear, n, esp);

	for (size_t cut = 4; cut < len; cut++) {
		CU_ASSERT_EQUAL(arrive(&bed, esp, cut, got), 0);
		malformed += cut < around + s->align || (cut - around) % s->align != 0;
	}
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_MALFORMED_ESP), malformed);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_AUTH), len - 4 - malformed);
	CU_ASSERT_EQUAL(arrive(&bed, esp, len, got), n);
	bed_fini(&bed);
}

static void test_S01_truncated(void)
{
	for_each(truncated);
}

/* The high half of an extended number is authenticated though it is not sent. */
static void wrong_high_half(enum aead_alg alg, bool esn)
{
	const struct bed_esp early = {.pair = 1,
				      .seq = 3,
				      .next_header = IPPROTO_IPIP,
				      .esn = true,
				      .pad_len = bed_pad_for(alg, 128)};
	struct bed_esp late = early;
	uint8_t inner[BED_MAX_PACKET], esp[BED_MAX_PACKET], got[BED_MAX_PACKET];
	struct bed bed;

	if (!esn)
		return;
	late.seq += 1ULL << 32;
	open_bed(&bed, alg, true);
	const size_t n = bed_udp4(inner, true, 1, 2, 3, 100);

	CU_ASSERT_EQUAL(arrive(&bed, esp, bed_seal(&bed, esp, &late, inner, n), got), 0);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_AUTH), 1);
	CU_ASSERT_EQUAL(arrive(&bed, esp, bed_seal(&bed, esp, &early, inner, n), got), n);
	bed_fini(&bed);
}

static void test_S52_high_half_is_authenticated(void)
{
	for_each(wrong_high_half);
}

/* A wrong ICV in each position of a batch spoils that packet and no other; the batch mixes SAs. */
static void test_S55_wrong_icv_in_each_position(void)
{
	static uint8_t esp[PKTVEC_MAX][BED_MAX_PACKET];
	static const enum aead_alg algs[] = {AEAD_AES_CBC_128_SHA2_256, AEAD_AES_CBC_256_SHA2_512,
					     AEAD_NULL_SHA2_384, AEAD_AES_GMAC_256};
	uint8_t clear[BED_MAX_PACKET], got[BED_MAX_PACKET];
	size_t len[PKTVEC_MAX];

	for (size_t k = 0; k < ARRAY_LEN(algs); k++) {
		for (unsigned bad = 0; bad < PKTVEC_MAX; bad++) {
			struct bed bed;
			unsigned arrived = 0;

			open_bed(&bed, algs[k], k % 2 == 1);
			for (unsigned i = 0; i < PKTVEC_MAX; i++) {
				const size_t n = bed_udp4(clear, true, 1, 2, i, 20 + 3 * i);

				len[i] = emit(&bed, clear, n, esp[i]);
			}
			esp[bad][len[bad] - 1 - bad % 16] ^= 0x10;
			for (unsigned i = 0; i < PKTVEC_MAX; i++)
				bed_deliver(&bed.b, esp[i], len[i]);
			bed_turn_one(&bed, &bed.b);
			for (unsigned i = 0; bed_receive(&bed.b, got); i++, arrived++)
				CU_ASSERT_EQUAL(load_be32(got + 28), i + (i >= bad));
			CU_ASSERT_EQUAL(arrived, PKTVEC_MAX - 1);
			CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_AUTH), 1);
			bed_fini(&bed);
		}
	}
}

/* ---- keys -------------------------------------------------------------------------------------
 */

static void test_key_lengths(void)
{
	uint8_t key[AEAD_KEY_MAX + 8] = {1};
	struct bed bed;

	bed_init(&bed, NULL);
	for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++) {
		struct child_params p = bed_child_params(&bed.a, alg);

		p.alg = alg;
		p.spi_out = 0x1000;
		CU_ASSERT_EQUAL(dataplane_spi_reserve(bed.a.dp, &p.spi_in), ERR_OK);
		for (size_t len = 0; len <= sizeof(key); len++) {
			const bool right = len == aead_alg_material_len(alg);

			p.key_in = p.key_out = bytes_of(key, len);
			CU_ASSERT_EQUAL(dataplane_child_add(bed.a.dp, &p),
					right ? ERR_OK : ERR_INVAL);
			if (right)
				dataplane_child_remove(bed.a.dp, p.id, CHILD_BOTH);
			if (right)
				CU_ASSERT_EQUAL(dataplane_spi_reserve(bed.a.dp, &p.spi_in), ERR_OK);
		}
		dataplane_spi_release(bed.a.dp, p.spi_in);
	}
	bed_fini(&bed);
}

/* RFC 8750 4: the nonce ends in the sequence number of 64 bits, and otherwise in what the packet
 * has. */
static void test_S53_implicit_iv(void)
{
	static const uint8_t implicit[AEAD_NONCE_LEN] = {1, 2, 3, 4, 0, 0, 0, 7, 0xff, 0, 0, 9},
			     in_packet[AEAD_NONCE_LEN] = {1, 2, 3, 4, 8, 8, 8, 8, 8, 8, 8, 8};
	struct esp_sa sa = {.salt = {1, 2, 3, 4}, .aad_len = AEAD_AAD_MAX};
	uint8_t packet[64];
	struct aead_op op;

	memset(packet, 8, sizeof(packet));
	sa.front_len = AEAD_HEAD_LEN + aead_shape(AEAD_AES_GCM_16_IIV_256)->iv_len;
	esp_op(&op, &sa, packet + 32, 16, 0x7ff000009);
	CU_ASSERT(memcmp(op.nonce, implicit, sizeof(implicit)) == 0);
	sa.front_len = AEAD_HEAD_LEN + aead_shape(AEAD_AES_GCM_16_256)->iv_len;
	esp_op(&op, &sa, packet + 32, 16, 0x7ff000009);
	CU_ASSERT(memcmp(op.nonce, in_packet, sizeof(in_packet)) == 0);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_S53_implicit_iv),
	TAP_TEST(test_wire_format),
	TAP_TEST(test_A18_quality),
	TAP_TEST(test_S53_ivs_are_the_sas_own),
	TAP_TEST(test_every_length),
	TAP_TEST(test_S50_every_padding),
	TAP_TEST(test_S55_bit_flips),
	TAP_TEST(test_S01_truncated),
	TAP_TEST(test_S52_high_half_is_authenticated),
	TAP_TEST(test_S55_wrong_icv_in_each_position),
	TAP_TEST(test_key_lengths),
};

TAP_MAIN("dataplane/suites", tests)
