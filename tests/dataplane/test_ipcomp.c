/* SPDX-License-Identifier: Apache-2.0 */
/* Payload compression (RFC 3173): what leaves compressed and what as it is, and what a peer may
 * send. A is 10.1.0.1 and fd01::1, B is 10.2.0.1 and fd02::1; each side has a CPI of its own. */
#include <libdeflate.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/counter.h"
#include "dataplane/fragment.h"
#include "dataplane/ipcomp.h"
#include "dataplane/sa.h"
#include "tests/dataplane/testbed.h"
#include "tests/tap/tap.h"

#define CPI_A 0x1234
#define CPI_B 0xe321

static const struct bed_options open_wire = {.open_wire = true};

/* What tweak() makes. */
static struct {
	enum sa_mode mode;
	bool v6, off_b, mif;
	struct ts ends[2];
} want;

static void tweak(struct child_params *p, bool is_a)
{
	p->ipcomp = is_a || !want.off_b;
	p->cpi_in = is_a ? CPI_A : CPI_B;
	p->cpi_out = is_a ? CPI_B : CPI_A;
	p->mif = want.mif;
	p->mode = want.mode;
	if (want.mode != SA_TRANSPORT)
		return;
	p->local = &want.ends[is_a ? 0 : 1];
	p->remote = &want.ends[is_a ? 1 : 0];
	p->num_local = p->num_remote = 1;
}

static void open_bed(struct bed *bed, const struct bed_options *options, enum sa_mode mode, bool v6)
{
	want.mode = mode;
	want.v6 = v6;
	CU_ASSERT_EQUAL_FATAL(ts_parse(&want.ends[0], v6 ? "fd01::1" : "10.1.0.1"), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(ts_parse(&want.ends[1], v6 ? "fd02::1" : "10.2.0.1"), ERR_OK);
	bed_init(bed, options);
	bed_pair(bed, 1, tweak);
}

static void open_tunnel(struct bed *bed)
{
	memset(&want, 0, sizeof(want));
	open_bed(bed, &open_wire, SA_TUNNEL, false);
}

/* packet - of len bytes of payload, text-like or of a generator's numbers; returns its length. */
static size_t packet(uint8_t *buf, bool v6, bool a_to_b, bool text, size_t len)
{
	static const char words[] = "how many bytes a packet has says what is in it; ";
	static uint64_t state = 88172645463325252;
	size_t n = v6 ? bed_udp6(buf, a_to_b, 1000, 2000, 7, len)
		      : bed_udp4(buf, a_to_b, 1000, 2000, 7, len);
	uint8_t *payload = buf + n - len;

	for (size_t i = 0; i < len; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		payload[i] =
			text ? (uint8_t)words[i % (sizeof(words) - 1)] : (uint8_t)(state >> 32);
	}
	return n;
}

static struct child_stats stats(const struct side *s)
{
	struct child_stats st;

	CU_ASSERT_EQUAL_FATAL(dataplane_child_stats(s->dp, &st, 1), ERR_OK);
	return st;
}

/* ---- out ------------------------------------------------------------------------------------- */

/* cross - the packet goes to the other side, and is there what it was here, from where transport
 * mode leaves it alone. */
static void cross(struct bed *bed, struct side *from, struct side *to, const uint8_t *sent,
		  size_t len)
{
	uint8_t got[BED_MAX_PACKET];
	const size_t at = want.mode == SA_TUNNEL ? 0 : want.v6 ? 40 : 20;

	bed_send(from, sent, len);
	bed_turn(bed);
	CU_ASSERT_EQUAL_FATAL(bed_receive(to, got), len);
	CU_ASSERT_EQUAL(memcmp(got + at, sent + at, len - at), 0);
}

/* Both modes, both families, both directions; lengths from nothing on. */
static void test_there_and_back(void)
{
	uint8_t sent[BED_MAX_PACKET];

	for (unsigned i = 0; i < 4; i++) {
		struct bed bed;

		memset(&want, 0, sizeof(want));
		open_bed(&bed, NULL, i & 1 ? SA_TRANSPORT : SA_TUNNEL, i & 2);
		for (size_t len = 0; len < 1400; len += 7) {
			cross(&bed, &bed.a, &bed.b, sent, packet(sent, i & 2, true, true, len));
			cross(&bed, &bed.b, &bed.a, sent, packet(sent, i & 2, false, true, len));
		}
		const struct child_stats a = stats(&bed.a), b = stats(&bed.b);

		CU_ASSERT(a.out_compressed > 150 && a.out_compressed < 200);
		CU_ASSERT(a.out_saved > 100000);
		CU_ASSERT_EQUAL(a.out_compressed, b.in_compressed);
		CU_ASSERT_EQUAL(a.out_saved, b.in_saved);
		CU_ASSERT_EQUAL(b.out_compressed, a.in_compressed);
		CU_ASSERT_EQUAL(b.out_saved, a.in_saved);
		CU_ASSERT_EQUAL(a.out_bytes, b.in_bytes); /* as they were before */
		CU_ASSERT_EQUAL(bed_drops(&bed.a) + bed_drops(&bed.b), 0);
		bed_fini(&bed);
	}
}

/* leaves - the length of the ESP packet that A makes of it. */
static size_t leaves(struct bed *bed, const uint8_t *sent, size_t len)
{
	uint8_t esp[BED_MAX_PACKET];

	bed_send(&bed->a, sent, len);
	bed_turn_one(bed, &bed->a);
	return bed_capture(&bed->a, esp);
}

/* is_tried - A makes less of a packet that can be made less of. */
static bool is_tried(struct bed *bed)
{
	uint8_t sent[BED_MAX_PACKET];
	const size_t n = packet(sent, false, true, true, 1000);

	return leaves(bed, sent, n) < n;
}

/* What would not be shorter goes as it is, and after some of these not all are tried: more and more
 * are let by, until one attempt is worth it. */
static void test_in_vain(void)
{
	uint8_t sent[BED_MAX_PACKET];
	struct bed bed;
	size_t n;

	open_tunnel(&bed);
	for (uint32_t skip = IPCOMP_SKIP; skip <= 2 * IPCOMP_SKIP_MAX; skip *= 2) {
		const uint32_t most = skip < IPCOMP_SKIP_MAX ? skip : IPCOMP_SKIP_MAX;

		/* One attempt that is in vain after those that were let by, or at first some. */
		for (uint32_t i = skip == IPCOMP_SKIP ? IPCOMP_TRIES : 1; i > 0; i--) {
			n = packet(sent, false, true, false, 1000);
			CU_ASSERT(leaves(&bed, sent, n) > n);
		}
		for (uint32_t i = 0; i < most; i++)
			CU_ASSERT_FALSE(is_tried(&bed));
	}
	CU_ASSERT_EQUAL(stats(&bed.a).out_compressed, 0);
	CU_ASSERT_TRUE(is_tried(&bed) && is_tried(&bed));
	/* Fewer than so many in a row change nothing; the row began anew. */
	for (uint32_t i = 0; i < 2 * IPCOMP_TRIES; i++) {
		n = packet(sent, false, true, false, 1000);
		CU_ASSERT(leaves(&bed, sent, n) > n);
		if (i % 2)
			CU_ASSERT_TRUE(is_tried(&bed));
	}
	CU_ASSERT_EQUAL(stats(&bed.a).out_compressed, 2 + IPCOMP_TRIES);
	bed_fini(&bed);
}

/* What is short goes as it is, and does not count as an attempt. */
static void test_short(void)
{
	uint8_t sent[BED_MAX_PACKET];
	struct bed bed;

	open_tunnel(&bed);
	for (size_t i = 0; i < 4 * IPCOMP_TRIES; i++) {
		size_t n = packet(sent, false, true, true, IPCOMP_MIN_LEN - 1 - 28);

		memset(sent + 28, 0, n - 28);
		CU_ASSERT(leaves(&bed, sent, n) > n);
	}
	CU_ASSERT_EQUAL(stats(&bed.a).out_compressed, 0);
	CU_ASSERT_TRUE(is_tried(&bed));
	bed_fini(&bed);
}

/* An application's own IPComp is not ours: the peer would take it for that. */
static void test_no_application_compresses(void)
{
	uint8_t sent[BED_MAX_PACKET];
	struct bed bed;

	memset(&want, 0, sizeof(want));
	open_bed(&bed, &open_wire, SA_TRANSPORT, false);
	size_t n = packet(sent, false, true, true, 300);

	sent[9] = IPPROTO_COMP;
	CU_ASSERT_EQUAL(leaves(&bed, sent, n), 0);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_NEXT_HEADER), 1);
	bed_fini(&bed);
}

/* What the path takes is compared with the length that a packet has, not with what may come of it.
 */
static void test_R3173_mtu(void)
{
	uint8_t sent[BED_MAX_PACKET];
	struct bed bed;

	open_tunnel(&bed);
	CU_ASSERT_EQUAL(dataplane_pathset_mtu(bed.a.dp, bed.a.pathset, 1300), ERR_OK);
	for (size_t len = 1100; len < 1500; len += 100) {
		size_t n = packet(sent, false, true, true, len);

		store_be16(sent + 6, 0x4000);
		CU_ASSERT_EQUAL(leaves(&bed, sent, n) > 0, len < 1300);
	}
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_TOLD_MTU), 2);
	bed_fini(&bed);
}

/* Control messages about paths are as long as they are: some are there to find out how long a
 * packet may be. */
static void test_probes(void)
{
	static const uint8_t zeros[1000];
	struct bed bed;
	uint8_t esp[BED_MAX_PACKET];

	memset(&want, 0, sizeof(want));
	want.mif = true;
	open_bed(&bed, &open_wire, SA_TUNNEL, false);
	CU_ASSERT_EQUAL(dataplane_probe_send(bed.a.dp, 1, 1, zeros, sizeof(zeros)), ERR_OK);
	bed_turn_one(&bed, &bed.a);
	CU_ASSERT(bed_capture(&bed.a, esp) > sizeof(zeros));
	CU_ASSERT_EQUAL(stats(&bed.a).out_compressed, 0);
	bed_fini(&bed);
}

/* ---- in -------------------------------------------------------------------------------------- */

/* struct packed - what a peer says is compressed. */
struct packed {
	uint8_t bytes[BED_MAX_PACKET];
	size_t len;
};

/* pack - len bytes, by another level than ours. */
static void pack(struct packed *p, uint8_t next, uint16_t cpi, const uint8_t *bytes, size_t len)
{
	struct libdeflate_compressor *c = libdeflate_alloc_compressor(9);
	size_t n;

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	n = libdeflate_deflate_compress(c, bytes, len, p->bytes + IPCOMP_HEADER_LEN,
					sizeof(p->bytes) - 200 - IPCOMP_HEADER_LEN);
	libdeflate_free_compressor(c);
	CU_ASSERT_FATAL(n > 0);
	p->bytes[0] = next;
	p->bytes[1] = 0;
	store_be16(p->bytes + 2, cpi);
	p->len = IPCOMP_HEADER_LEN + n;
}

static uint64_t last_seq;

/* arrive - the first len bytes of p come by ESP to B; the length of what it delivers. */
static size_t arrive_part(struct bed *bed, const struct packed *p, size_t len, uint8_t *got,
			  size_t cap)
{
	const struct bed_esp e = {
		.pair = 1, .seq = ++last_seq, .next_header = IPPROTO_COMP, .pad_len = bed_pad(len)};
	uint8_t esp[BED_MAX_PACKET];
	size_t n = 0;

	bed_deliver(&bed->b, esp, bed_seal(bed, esp, &e, p->bytes, len));
	bed_turn_one(bed, &bed->b);
	return memory_take(bed->b.host, got, cap, &n, NULL) ? n : 0;
}

static size_t arrive(struct bed *bed, const struct packed *p, uint8_t *got)
{
	return arrive_part(bed, p, p->len, got, BED_MAX_PACKET);
}

/* refuses - B drops it for this reason. */
static void refuses(struct bed *bed, const struct packed *p, enum drop_reason why)
{
	uint8_t got[BED_MAX_PACKET];
	const uint64_t before = bed_dropped(&bed->b, why), all = bed_drops(&bed->b);

	CU_ASSERT_EQUAL(arrive(bed, p, got), 0);
	CU_ASSERT_EQUAL(bed_dropped(&bed->b, why), before + 1);
	CU_ASSERT_EQUAL(bed_drops(&bed->b), all + 1);
}

/* The CPI is the one that its receiver has chosen; the flags say nothing. */
static void test_R3173_cpi(void)
{
	uint8_t inner[BED_MAX_PACKET], got[BED_MAX_PACKET];
	struct packed p;
	struct bed bed;

	open_tunnel(&bed);
	size_t n = packet(inner, false, true, true, 500);

	pack(&p, IPPROTO_IPIP, CPI_B, inner, n);
	for (unsigned bit = 0; bit < 16; bit++) {
		store_be16(p.bytes + 2, (uint16_t)(CPI_B ^ 1u << bit));
		refuses(&bed, &p, DROP_IPCOMP);
	}
	store_be16(p.bytes + 2, CPI_A);
	refuses(&bed, &p, DROP_IPCOMP);
	store_be16(p.bytes + 2, 2); /* DEFLATE's well-known one, which was not agreed on */
	refuses(&bed, &p, DROP_IPCOMP);
	store_be16(p.bytes + 2, CPI_B);
	p.bytes[1] = 0xff;
	CU_ASSERT_EQUAL(arrive(&bed, &p, got), n);
	CU_ASSERT_EQUAL(memcmp(got, inner, n), 0);
	bed_fini(&bed);
}

/* By an SA that has not agreed on it nothing compressed comes in, in either mode, nor out. */
static void test_R3173_not_agreed(void)
{
	uint8_t inner[BED_MAX_PACKET];
	struct packed p;

	for (unsigned i = 0; i < 2; i++) {
		struct bed bed;

		memset(&want, 0, sizeof(want));
		want.off_b = true;
		open_bed(&bed, &open_wire, i ? SA_TRANSPORT : SA_TUNNEL, false);
		size_t n = packet(inner, false, true, true, 500), at = i ? 20 : 0;

		pack(&p, i ? IPPROTO_UDP : IPPROTO_IPIP, CPI_B, inner + at, n - at);
		refuses(&bed, &p, DROP_IPCOMP);
		bed_send(&bed.b, inner, packet(inner, false, false, true, 500));
		bed_turn_one(&bed, &bed.b);
		CU_ASSERT(bed_capture(&bed.b, p.bytes) > 500);
		CU_ASSERT_EQUAL(stats(&bed.b).out_compressed + stats(&bed.b).in_compressed, 0);
		bed_fini(&bed);
	}
}

/* What comes out is as long as an IP packet may be, in a packet of its own where it has to, and not
 * a byte longer, however much that would be. */
static void test_R3173_bound(void)
{
	const struct bed_options wide = {.open_wire = true, .frame_len = 65536};
	static uint8_t zeros[2000000], got[65536];
	struct packed p;
	struct bed bed;

	memset(&want, 0, sizeof(want));
	open_bed(&bed, &wide, SA_TUNNEL, false);
	(void)packet(zeros, false, true, true, 0);
	for (size_t len = 1000; len <= 65535; len += len < 65000 ? 1000 : 1) {
		store_be16(zeros + 2, (uint16_t)len);
		pack(&p, IPPROTO_IPIP, CPI_B, zeros, len);
		CU_ASSERT_EQUAL(arrive_part(&bed, &p, p.len, got, sizeof(got)), len);
		CU_ASSERT_EQUAL(memcmp(got, zeros, len), 0);
	}
	for (size_t len = 65536; len < sizeof(zeros); len += len < 65600 ? 1 : 100000) {
		pack(&p, IPPROTO_IPIP, CPI_B, zeros, len);
		refuses(&bed, &p, DROP_IPCOMP_DATA);
	}
	bed_fini(&bed);
}

/* More long ones at once than there are buffers for: what has none is dropped, and nothing else. */
static void test_no_buffer(void)
{
	const struct bed_options o = {.open_wire = true, .num_packets = 512, .num_frames = 512};
	static uint8_t zeros[3000];
	uint8_t esp[BED_MAX_PACKET];
	struct bed_esp e = {.pair = 1, .next_header = IPPROTO_COMP};
	struct packet *taken[256];
	uint32_t num = 0;
	struct packed p;
	struct bed bed;

	memset(&want, 0, sizeof(want));
	open_bed(&bed, &o, SA_TUNNEL, false);
	(void)packet(zeros, false, true, true, sizeof(zeros) - 28);
	pack(&p, IPPROTO_IPIP, CPI_B, zeros, sizeof(zeros));
	struct pool *longer = bed.b.dp->workers[0]->longer;

	while (num < ARRAY_LEN(taken) && (taken[num] = packet_get(longer)) != NULL)
		num++;
	CU_ASSERT_FATAL(num > 0 && num < ARRAY_LEN(taken));
	e.seq = ++last_seq;
	e.pad_len = bed_pad(p.len);
	bed_deliver(&bed.b, esp, bed_seal(&bed, esp, &e, p.bytes, p.len));
	bed.threaded = true; /* what the test holds is in no book */
	bed_turn_one(&bed, &bed.b);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_NO_BUFFER), 1);
	while (num)
		packet_put(taken[--num]);
	bed.threaded = false;
	bed_turn_one(&bed, &bed.b);
	bed_fini(&bed);
}

/* What was compressed is judged like what was not: selectors, form, and that it is a packet. */
static void test_R3173_what_is_inside(void)
{
	uint8_t inner[BED_MAX_PACKET], got[BED_MAX_PACKET];
	struct packed p, twice;
	struct bed bed;

	memset(&want, 0, sizeof(want));
	want.mif = true;
	open_bed(&bed, &open_wire, SA_TUNNEL, false);
	size_t n = packet(inner, false, true, true, 500);

	inner[13] = 9; /* from 10.9.0.1 */
	pack(&p, IPPROTO_IPIP, CPI_B, inner, n);
	refuses(&bed, &p, DROP_SA_SELECTOR_IN);
	inner[13] = 1;
	pack(&p, IPPROTO_IPV6, CPI_B, inner, n);
	refuses(&bed, &p, DROP_MALFORMED_INNER);
	pack(&p, IPPROTO_IPIP, CPI_B, inner, n - 1); /* shorter than it says */
	refuses(&bed, &p, DROP_MALFORMED_INNER);
	pack(&p, IPPROTO_IPIP, CPI_B, inner, 0);
	refuses(&bed, &p, DROP_MALFORMED_INNER);
	pack(&p, IPPROTO_UDP, CPI_B, inner, n);
	refuses(&bed, &p, DROP_NEXT_HEADER);
	pack(&p, IPPROTO_NONE, CPI_B, inner, n);
	refuses(&bed, &p, DROP_NEXT_HEADER);
	pack(&p, ESP_PROBE, CPI_B, inner, n);
	refuses(&bed, &p, DROP_NEXT_HEADER);
	CU_ASSERT_EQUAL(bed_events(&bed.b, DP_EVENT_PROBE), 0);
	pack(&p, IPPROTO_IPIP, CPI_B, inner, n);
	pack(&twice, IPPROTO_COMP, CPI_B, p.bytes, p.len);
	refuses(&bed, &twice, DROP_NEXT_HEADER);
	CU_ASSERT_EQUAL(arrive(&bed, &p, got), n);
	memset(p.bytes + p.len, 0, 60); /* traffic flow padding behind it */
	p.len += 60;
	CU_ASSERT_EQUAL(arrive(&bed, &p, got), n);
	CU_ASSERT_EQUAL(memcmp(got, inner, n), 0);
	bed_fini(&bed);
}

/* In transport mode what is behind the compressed header can be no packet either. */
static void test_R3173_what_is_inside_transport(void)
{
	uint8_t inner[BED_MAX_PACKET], got[BED_MAX_PACKET];
	static const uint8_t never[] = {IPPROTO_COMP, IPPROTO_NONE, ESP_PROBE};
	struct packed p;
	struct bed bed;

	memset(&want, 0, sizeof(want));
	open_bed(&bed, &open_wire, SA_TRANSPORT, true);
	size_t n = packet(inner, true, true, true, 500);

	for (size_t i = 0; i < sizeof(never); i++) {
		pack(&p, never[i], CPI_B, inner + 40, n - 40);
		refuses(&bed, &p, DROP_NEXT_HEADER);
	}
	pack(&p, IPPROTO_HOPOPTS, CPI_B, inner + 40, n - 40);
	refuses(&bed, &p, DROP_TRANSPORT_HEADER);
	pack(&p, IPPROTO_UDP, CPI_B, inner + 40, n - 40);
	CU_ASSERT_EQUAL(arrive(&bed, &p, got), n);
	CU_ASSERT_EQUAL(memcmp(got + 40, inner + 40, n - 40), 0);
	bed_fini(&bed);
}

/* Fragments are compressed one by one, and put together behind that. */
static void test_fragments(void)
{
	uint8_t whole[BED_MAX_PACKET], part[BED_MAX_PACKET], got[BED_MAX_PACKET];
	struct bed bed;

	memset(&want, 0, sizeof(want));
	open_bed(&bed, NULL, SA_TUNNEL, false);
	size_t n = packet(whole, false, true, true, 1600), half = 800;

	for (size_t at = 0; at < n - 20; at += half) {
		size_t len = n - 20 - at < half ? n - 20 - at : half;

		memcpy(part, whole, 20);
		memcpy(part + 20, whole + 20 + at, len);
		store_be16(part + 2, (uint16_t)(20 + len));
		store_be16(part + 4, 77);
		store_be16(part + 6, (uint16_t)((at + len < n - 20 ? 0x2000 : 0) | at / 8));
		store_be16(part + 10, 0);
		store_be16(part + 10, ip4_checksum(part, 20));
		bed_send(&bed.a, part, 20 + len);
	}
	bed_turn(&bed);
	CU_ASSERT_EQUAL(bed_receive(&bed.b, got), n);
	CU_ASSERT_EQUAL(memcmp(got + 20, whole + 20, n - 20), 0);
	CU_ASSERT_EQUAL(stats(&bed.b).in_compressed, 2);
	bed_fini(&bed);
}

/* is_right - nothing but what the SA admits comes of it. */
static void is_right(const uint8_t *got, size_t len)
{
	CU_ASSERT(len == 0 || (len >= 20 && got[0] >> 4 == 4 && load_be16(got + 2) == len &&
			       load_be16(got + 12) == 0x0a01 && load_be16(got + 16) == 0x0a02));
}

/* Every length but the whole one is refused, and of every wrong bit comes nothing that is not in
 * order. Fixed and stored blocks as well, which short and random data give. */
static void test_R3173_truncation_and_bits(void)
{
	const struct bed_options wide = {.open_wire = true, .frame_len = 65536};
	static uint8_t got[65536];
	uint8_t inner[BED_MAX_PACKET];
	struct packed p;
	struct bed bed;

	for (unsigned i = 0; i < 3; i++) {
		memset(&want, 0, sizeof(want));
		open_bed(&bed, &wide, SA_TUNNEL, false);
		size_t n = packet(inner, false, true, i < 2, i ? 60 : 400);

		pack(&p, IPPROTO_IPIP, CPI_B, inner, n);
		for (size_t len = 0; len < p.len; len++)
			CU_ASSERT_EQUAL(arrive_part(&bed, &p, len, got, sizeof(got)), 0);
		CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_IPCOMP_DATA), p.len);
		for (size_t bit = 0; bit < 8 * p.len; bit++) {
			p.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
			is_right(got, arrive_part(&bed, &p, p.len, got, sizeof(got)));
			p.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		CU_ASSERT_EQUAL(arrive_part(&bed, &p, p.len, got, sizeof(got)), n);
		bed_fini(&bed);
	}
}

/* ---- around it ------------------------------------------------------------------------------- */

/* What is known of the lengths is a property of the protection class. */
static void test_class(void)
{
	struct class_info info;
	struct bed bed;

	for (unsigned i = 0; i < 2; i++) {
		memset(&want, 0, sizeof(want));
		want.off_b = true;
		open_bed(&bed, &open_wire, SA_TUNNEL, false);
		const struct side *s = i ? &bed.a : &bed.b;

		CU_ASSERT_EQUAL(dataplane_class(s->dp, &info, stats(s).token), ERR_OK);
		CU_ASSERT_EQUAL((info.quality & CLASS_Q_COMPRESS) != 0, i);
		bed_fini(&bed);
	}
}

/* Without memory for it there is no pair; and not with padding, whose lengths it would show. */
static void test_no_pair(void)
{
	struct child_params p;
	uint64_t failed = 0;
	struct bed bed;
	enum err e;

	open_tunnel(&bed);
	do {
		p = bed_child_params(&bed.a, 2);
		tweak(&p, true);
		CU_ASSERT_EQUAL_FATAL(dataplane_spi_reserve(bed.a.dp, &p.spi_in), ERR_OK);
		p.spi_out = 0x1000;
		uint8_t key[BED_KEY_MAX];

		bed_key(key, 2, true);
		p.alg = bed.alg;
		p.key_in = p.key_out = bytes_of(key, aead_alg_material_len(bed.alg));
		p.tfc_padding = 100;
		CU_ASSERT_EQUAL_FATAL(dataplane_child_add(bed.a.dp, &p), ERR_INVAL);
		p.tfc_padding = 0;
		alloc_fail_nth(failed + 1);
		e = dataplane_child_add(bed.a.dp, &p);
		alloc_fail_nth(0);
		if (e != ERR_OK) {
			CU_ASSERT(e == ERR_NOMEM || e == ERR_CRYPTO);
			dataplane_spi_release(bed.a.dp, p.spi_in);
			failed++;
		}
	} while (e != ERR_OK && failed < 100);
	CU_ASSERT(failed > 6);
	CU_ASSERT_EQUAL(e, ERR_OK);
	bed_fini(&bed);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_there_and_back),
	TAP_TEST(test_in_vain),
	TAP_TEST(test_short),
	TAP_TEST(test_no_application_compresses),
	TAP_TEST(test_R3173_mtu),
	TAP_TEST(test_probes),
	TAP_TEST(test_R3173_cpi),
	TAP_TEST(test_R3173_not_agreed),
	TAP_TEST(test_R3173_bound),
	TAP_TEST(test_no_buffer),
	TAP_TEST(test_R3173_what_is_inside),
	TAP_TEST(test_R3173_what_is_inside_transport),
	TAP_TEST(test_fragments),
	TAP_TEST(test_R3173_truncation_and_bits),
	TAP_TEST(test_class),
	TAP_TEST(test_no_pair),
};

TAP_MAIN("dataplane/ipcomp", tests)
