/* SPDX-License-Identifier: Apache-2.0 */
/* Packets and the MTU of their path: cut, told, padded, their SYNs clamped; and what is believed of
 * a path's MTU. */
#include <stdlib.h>

#include "dataplane/fit.h"
#include "dataplane/fragment.h"
#include "dataplane/icmp.h"
#include "dataplane/mss.h"
#include "dataplane/passes.h"
#include "tests/dataplane/testbed.h"
#include "tests/tap/tap.h"

static struct child_params wanted; /* what tweak() sets */

static void tweak(struct child_params *p, bool is_a)
{
	(void)is_a;
	p->copy_df = wanted.copy_df;
	p->mss_clamp = wanted.mss_clamp;
	p->tfc_padding = wanted.tfc_padding;
}

static void start(struct bed *bed, struct child_params params, uint16_t mtu)
{
	wanted = params;
	bed_init(bed, &(struct bed_options){.open_wire = true, .num_packets = 128});
	bed_pair(bed, 1, tweak);
	CU_ASSERT_EQUAL(dataplane_pathset_mtu(bed->a.dp, bed->a.pathset, mtu), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_pathset_mtu(bed->b.dp, bed->b.pathset, mtu), ERR_OK);
}

/* outer_len - of the IP packet that carries n bytes of ESP in UDP and IPv4. */
static size_t outer_len(size_t n)
{
	return 20 + 8 + n;
}

/* leaves - A's host sends the packet; how many datagrams that makes, none longer than mtu. */
static unsigned leaves(struct bed *bed, const uint8_t *packet, size_t len, size_t mtu)
{
	uint8_t buf[BED_MAX_PACKET];
	unsigned num = 0;
	size_t n;

	bed_send(&bed->a, packet, len);
	bed_turn_one(bed, &bed->a);
	while ((n = bed_capture(&bed->a, buf)) != 0) {
		CU_ASSERT(outer_len(n) <= mtu);
		num++;
	}
	return num;
}

static size_t udp4(uint8_t *buf, size_t len, bool df)
{
	size_t n = bed_udp4(buf, true, 1, 2, 3, len - 28);

	store_be16(buf + 6, df ? IP4_DF : 0);
	store_be16(buf + 4, 0x4444);
	store_be16(buf + 10, ip4_checksum(buf, 20));
	return n;
}

/* The longest packet that goes whole makes the longest datagram that does: exactly. */
static void test_len(void)
{
	uint8_t buf[BED_MAX_PACKET];

	for (uint16_t mtu = 600; mtu < 640; mtu++) {
		struct bed bed;
		uint32_t len = 0;

		start(&bed, (struct child_params){.copy_df = DF_COPY}, mtu);
		for (uint32_t n = 500; n < 620; n++)
			if (leaves(&bed, buf, udp4(buf, n, true), mtu) == 1)
				len = n;
		const struct path_set *s = slots_get(bed.a.dp->pathsets, bed.a.pathset);
		const struct sa_group *g = slots_get(bed.a.dp->groups, bed.a.group);

		CU_ASSERT_EQUAL(fit_len(g->newest, s->table, bed.now), len);
		CU_ASSERT(len > mtu - 100u);
		bed_fini(&bed);
	}
}

/* RFC 4303 3.3.4: what may be cut is cut before it is encrypted, and the peer's host gets it. */
static void test_cut(void)
{
	uint8_t buf[BED_MAX_PACKET], got[BED_MAX_PACKET];
	static const enum df_copy ways[] = {DF_COPY, DF_CLEAR, DF_SET};

	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		struct bed bed;
		struct dataplane_stats st;
		size_t n = udp4(buf, 2000, false), len;

		start(&bed, (struct child_params){.copy_df = ways[i]}, 1300);
		bed_send(&bed.a, buf, n);
		bed_turn_one(&bed, &bed.a);
		while ((len = bed_capture(&bed.a, got)) != 0) {
			CU_ASSERT(outer_len(len) <= 1300);
			bed_deliver(&bed.b, got, len);
		}
		bed_turn_one(&bed, &bed.b);
		CU_ASSERT_EQUAL(bed_receive(&bed.b, got), n);
		CU_ASSERT_EQUAL(memcmp(got, buf, n), 0);
		dataplane_stats(bed.a.dp, &st);
		CU_ASSERT(st.made == 2 && st.consumed == 1);
		bed_fini(&bed);
	}
}

/* More fragments than a vector holds, in order, and then what came behind. */
static void test_cut_many(void)
{
	uint8_t *buf = calloc(1, 65535), got[BED_MAX_PACKET];
	struct bed bed;
	unsigned num = 0;
	size_t n;

	wanted = (struct child_params){0};
	bed_init(&bed, &(struct bed_options){.open_wire = true,
					     .num_packets = 256,
					     .packet_room = 65535,
					     .frame_len = 65535,
					     .num_frames = 256});
	bed_pair(&bed, 1, tweak);
	CU_ASSERT_EQUAL(dataplane_pathset_mtu(bed.a.dp, bed.a.pathset, 576), ERR_OK);
	CU_ASSERT_PTR_NOT_NULL_FATAL(buf);
	bed_send(&bed.a, buf, udp4(buf, 60000, false));
	bed_send(&bed.a, buf, udp4(buf, 100, false));
	bed_turn_one(&bed, &bed.a);
	for (size_t last = 1; (n = bed_capture(&bed.a, got)) != 0;
	     last = load_be32(got + 4), num++) {
		CU_ASSERT(outer_len(n) <= 576 && load_be32(got + 4) == num + 1);
		CU_ASSERT(last <= load_be32(got + 4));
	}
	CU_ASSERT(num > 120);
	CU_ASSERT_EQUAL(bed_drops(&bed.a), 0);
	bed_fini(&bed);
	free(buf);
}

/* A vector ends in the middle of a packet, and its path takes it whole all at once: it is cut to
 * its end, and what was remembered of it is not applied to the next packet in its buffer. */
static void test_cut_while_path_grows(void)
{
	struct bed bed;

	wanted = (struct child_params){0};
	bed_init(&bed, &(struct bed_options){
			       .open_wire = true, .num_packets = 256, .packet_room = 65535});
	bed_pair(&bed, 1, tweak);
	struct worker *w = bed.a.dp->workers[0];
	struct pktvec v = {.num = 0}, out;
	struct packet *p = packet_get(w->pool);
	uint32_t num = 0;

	CU_ASSERT_EQUAL(dataplane_pathset_mtu(bed.a.dp, bed.a.pathset, 576), ERR_OK);
	p->len = (uint32_t)udp4(p->data, 60000, false);
	pktvec_push(&v, p);
	counter_add(&w->count.rx, 1);
	out_classify(w, &v, &out);
	v = out;
	while (v.num || out_fit_pending(w)) {
		out_fit(w, &v, &out);
		for (uint32_t i = 0; i < out.num; i++, num++) {
			CU_ASSERT(out.pkt[i]->len <= 576);
			worker_drop(w, out.pkt[i], DROP_DUMMY);
		}
		CU_ASSERT_EQUAL(dataplane_pathset_mtu(bed.a.dp, bed.a.pathset, 0), ERR_OK);
	}
	CU_ASSERT(num > 110 && !w->cut.whole);
	CU_ASSERT_EQUAL(pool_num_free(w->pool), 256);
	bed_fini(&bed);
}

static uint16_t sum(const uint8_t *p, size_t n, uint32_t start_value)
{
	for (size_t i = 0; i < n; i += 2)
		start_value += (uint32_t)(p[i] << 8) | (i + 1 < n ? p[i + 1] : 0u);
	while (start_value >> 16)
		start_value = (start_value & 0xffff) + (start_value >> 16);
	return (uint16_t)start_value;
}

/* RFC 4301 8.2.1: the sender of what must not be cut is told how long it may be; then it fits. */
static void test_told(void)
{
	uint8_t buf[BED_MAX_PACKET], icmp[BED_MAX_PACKET];
	struct bed bed;
	size_t n;

	start(&bed, (struct child_params){.copy_df = DF_COPY}, 1300);
	CU_ASSERT_EQUAL(leaves(&bed, buf, n = udp4(buf, 1400, true), 1300), 0);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_TOLD_MTU), 1);
	CU_ASSERT_EQUAL(bed_receive(&bed.a, icmp), ICMP_MAX_LEN);
	CU_ASSERT(icmp[9] == 1 && icmp[20] == 3 && icmp[21] == 4);
	CU_ASSERT_EQUAL(sum(icmp, 20, 0), 0xffff);
	CU_ASSERT_EQUAL(sum(icmp + 20, ICMP_MAX_LEN - 20, 0), 0xffff);
	CU_ASSERT(memcmp(icmp + 12, buf + 16, 4) == 0 && memcmp(icmp + 16, buf + 12, 4) == 0);
	CU_ASSERT_EQUAL(memcmp(icmp + 28, buf, ICMP_MAX_LEN - 28), 0);
	uint16_t mtu = load_be16(icmp + 26);

	CU_ASSERT_EQUAL(leaves(&bed, buf, udp4(buf, mtu, true), 1300), 1);
	CU_ASSERT_EQUAL(leaves(&bed, buf, udp4(buf, mtu + 1u, true), 1300), 0);
	CU_ASSERT_NOT_EQUAL(bed_receive(&bed.a, icmp), 0);
	bed_fini(&bed);
	start(&bed, (struct child_params){.copy_df = DF_SET}, 1400);
	n = bed_udp6(buf, true, 1, 2, 3, 1352);
	CU_ASSERT_EQUAL(leaves(&bed, buf, n, 1400), 0);
	CU_ASSERT_EQUAL(n = bed_receive(&bed.a, icmp), ICMP6_MAX_LEN);
	CU_ASSERT(icmp[6] == 58 && icmp[40] == 2 && load_be32(icmp + 44) < 1400 - 50);
	CU_ASSERT_EQUAL(sum(icmp + 8, n - 8, (uint32_t)(58 + n - 40)), 0xffff);
	CU_ASSERT(memcmp(icmp + 8, buf + 24, 16) == 0 && memcmp(icmp + 24, buf + 8, 16) == 0);
	n = bed_udp6(buf, true, 1, 2, 3, load_be32(icmp + 44) - 48);
	CU_ASSERT_EQUAL(leaves(&bed, buf, n, 1400), 1);
	bed_fini(&bed);
}

/* A path that takes less than IPv6 promises: such packets go, cut outside; longer ones are told. */
static void test_ip6_min_mtu(void)
{
	uint8_t buf[BED_MAX_PACKET], icmp[BED_MAX_PACKET];
	struct bed bed;

	start(&bed, (struct child_params){.copy_df = DF_COPY}, 1000);
	CU_ASSERT_EQUAL(leaves(&bed, buf, bed_udp6(buf, true, 1, 2, 3, 1232), 4000), 1);
	CU_ASSERT_EQUAL(leaves(&bed, buf, bed_udp6(buf, true, 1, 2, 3, 1233), 4000), 0);
	CU_ASSERT_NOT_EQUAL(bed_receive(&bed.a, icmp), 0);
	CU_ASSERT_EQUAL(load_be32(icmp + 44), 1280);
	bed_fini(&bed);
}

/* With copy_df = no nothing is too big. */
static void test_df_clear(void)
{
	uint8_t buf[BED_MAX_PACKET];
	struct bed bed;

	start(&bed, (struct child_params){.copy_df = DF_CLEAR}, 1000);
	CU_ASSERT_EQUAL(leaves(&bed, buf, udp4(buf, 1400, true), 4000), 1);
	CU_ASSERT_EQUAL(leaves(&bed, buf, bed_udp6(buf, true, 1, 2, 3, 1400), 4000), 1);
	bed_fini(&bed);
}

static uint8_t df_of(struct bed *bed, const uint8_t *bytes, size_t len)
{
	struct worker *w = bed->a.dp->workers[0];
	struct pktvec v = {.num = 0}, out;
	struct packet *p = packet_get(w->pool);
	uint8_t df;

	memcpy(p->data, bytes, len);
	p->len = (uint32_t)len;
	pktvec_push(&v, p);
	counter_add(&w->count.rx, 1);
	out_classify(w, &v, &out);
	out_fit(w, &out, &v);
	CU_ASSERT(v.num == 1 && out.num == 0);
	df = v.pkt[0]->flags & PACKET_F_DF;
	worker_drop(w, v.pkt[0], DROP_DUMMY);
	return df;
}

/* RFC 4301 8.1: the outer DF is copied, set or clear; not while the path is in doubt. */
static void test_df(void)
{
	static const struct {
		enum df_copy way;
		bool with, without, v6;
	} rows[] = {{DF_COPY, true, false, true},
		    {DF_CLEAR, false, false, false},
		    {DF_SET, true, true, true}};
	uint8_t buf[BED_MAX_PACKET];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct bed bed;

		start(&bed, (struct child_params){.copy_df = rows[i].way}, 1300);
		struct path_set *s = slots_get(bed.a.dp->pathsets, bed.a.pathset);

		for (int doubt = 0; doubt < 2; doubt++) {
			CU_ASSERT_EQUAL(!!df_of(&bed, buf, udp4(buf, 900, true)),
					rows[i].with && !doubt);
			CU_ASSERT_EQUAL(!!df_of(&bed, buf, udp4(buf, 900, false)),
					rows[i].without && !doubt);
			CU_ASSERT_EQUAL(!!df_of(&bed, buf, bed_udp6(buf, true, 1, 2, 3, 900)),
					rows[i].v6 && !doubt);
			path_doubt(s->table->path, bed.now);
		}
		bed_fini(&bed);
	}
}

/* What is never answered: errors, later fragments, several or no senders (RFC 1122, RFC 4443). */
static void test_not_told(void)
{
	static const uint8_t errors[] = {3, 4, 5, 11, 12};
	struct pool *pool = pool_new(2, 2048);
	struct packet *p = packet_get(pool), *out = packet_get(pool);
	uint8_t *h = p->data;

	p->len = (uint32_t)udp4(h, 1400, true);
	CU_ASSERT(icmp_too_big(out, p, 1300));
	h[9] = 1;
	for (unsigned type = 0; type < 20; type++) {
		h[20] = (uint8_t)type;
		CU_ASSERT_EQUAL(icmp_too_big(out, p, 1300), !memchr(errors, (int)type, 5));
	}
	udp4(h, 1400, true);
	store_be16(h + 6, IP4_DF | 5);
	CU_ASSERT(!icmp_too_big(out, p, 1300));
	udp4(h, 1400, true);
	h[16] = 224;
	CU_ASSERT(!icmp_too_big(out, p, 1300));
	udp4(h, 1400, true);
	h[12] = 0;
	CU_ASSERT(!icmp_too_big(out, p, 1300));
	p->len = (uint32_t)bed_udp6(h, true, 1, 2, 3, 1400);
	CU_ASSERT(icmp_too_big(out, p, 1300));
	h[6] = 58;
	h[40] = 1;
	CU_ASSERT(!icmp_too_big(out, p, 1300));
	h[40] = 128;
	CU_ASSERT(icmp_too_big(out, p, 1300));
	h[8] = 0xff;
	CU_ASSERT(!icmp_too_big(out, p, 1300));
	packet_put(p);
	packet_put(out);
	pool_free(pool);
}

/* A flood of packets that are too long makes no flood of messages (RFC 4443 2.4 f). */
static void test_S57_told_at_a_rate(void)
{
	uint8_t buf[BED_MAX_PACKET], icmp[BED_MAX_PACKET];
	struct bed bed;
	unsigned num = 0;

	start(&bed, (struct child_params){.copy_df = DF_COPY}, 1300);
	for (int i = 0; i < 500; i++) {
		leaves(&bed, buf, udp4(buf, 1400, true), 1300);
		num += bed_receive(&bed.a, icmp) != 0;
	}
	CU_ASSERT_EQUAL(num, 100);
	bed.now += NS_PER_S;
	leaves(&bed, buf, udp4(buf, 1400, true), 1300);
	CU_ASSERT_NOT_EQUAL(bed_receive(&bed.a, icmp), 0);
	bed_fini(&bed);
}

/* ---- TCP ------------------------------------------------------------------------------------- */

/* tcp - a SYN with these options; returns its length. */
static size_t tcp(uint8_t *buf, bool v6, uint8_t flags, const uint8_t *options, size_t num)
{
	uint32_t at = v6 ? 40 : 20;
	size_t n = v6 ? bed_udp6(buf, true, 1, 2, 3, 12 + num)
		      : bed_udp4(buf, true, 1, 2, 3, 12 + num);

	buf[v6 ? 6 : 9] = 6;
	memset(buf + at + 4, 0x5a, 16);
	buf[at + 12] = (uint8_t)((20 + num) / 4 << 4);
	buf[at + 13] = flags;
	if (num)
		memcpy(buf + at + 20, options, num);
	store_be16(buf + at + 16, 0);
	store_be16(buf + at + 16, (uint16_t)~sum(v6 ? buf + 8 : buf + 12, v6 ? n - 8 : n - 12,
						 (uint32_t)(6 + n - at)));
	if (!v6)
		store_be16(buf + 10, ip4_checksum(buf, 20));
	return n;
}

static bool tcp_sum_right(const uint8_t *buf, size_t n)
{
	bool v6 = buf[0] >> 4 == 6;

	return sum(v6 ? buf + 8 : buf + 12, v6 ? n - 8 : n - 12,
		   (uint32_t)(6 + n - (v6 ? 40 : 20))) == 0xffff;
}

/* crossed - from A's host to B's; what arrives. */
static size_t crossed(struct bed *bed, uint8_t *got, const uint8_t *packet, size_t n)
{
	uint8_t esp[BED_MAX_PACKET];

	bed_send(&bed->a, packet, n);
	bed_turn_one(bed, &bed->a);
	n = bed_capture(&bed->a, esp);
	CU_ASSERT_NOT_EQUAL_FATAL(n, 0);
	bed_deliver(&bed->b, esp, n);
	bed_turn_one(bed, &bed->b);
	return bed_receive(&bed->b, got);
}

/* The MSS behind other options, at even and odd places, in both versions; its checksum stays right,
 * and nothing else changes. */
static void test_mss(void)
{
	static const uint8_t even[] = {2, 4, 0x05, 0xb4, 1, 1, 4, 2},
			     odd[] = {1, 2, 4, 0x05, 0xb4, 1, 4, 2};
	uint8_t buf[BED_MAX_PACKET], got[BED_MAX_PACKET];

	for (int i = 0; i < 8; i++) {
		bool v6 = i & 1, is_odd = i & 2, by_path = i & 4;
		uint32_t at = (v6 ? 60u : 40u) + 2 + is_odd;
		struct bed bed;

		start(&bed, (struct child_params){.mss_clamp = by_path ? MSS_CLAMP_PATH : 1000},
		      1400);
		size_t n = tcp(buf, v6, 2, is_odd ? odd : even, 8);

		CU_ASSERT(tcp_sum_right(buf, n));
		CU_ASSERT_EQUAL(crossed(&bed, got, buf, n), n);
		CU_ASSERT(tcp_sum_right(got, n));
		const struct path_set *s = slots_get(bed.a.dp->pathsets, bed.a.pathset);
		const struct sa_group *g = slots_get(bed.a.dp->groups, bed.a.group);
		uint32_t len = fit_len(g->newest, s->table, bed.now);

		CU_ASSERT_EQUAL(load_be16(got + at), by_path ? len - (v6 ? 60 : 40) : 1000);
		memcpy(got + at, buf + at, 2);
		memcpy(got + (v6 ? 56 : 36), buf + (v6 ? 56 : 36), 2);
		CU_ASSERT_EQUAL(memcmp(got, buf, n), 0);
		bed_fini(&bed);
	}
}

/* Only inbound: the sender did not clamp. */
static void test_mss_in(void)
{
	static const uint8_t mss[] = {2, 4, 0x05, 0xb4};
	uint8_t buf[BED_MAX_PACKET], got[BED_MAX_PACKET], esp[BED_MAX_PACKET];
	struct bed_esp e = {.pair = 1, .seq = 1, .next_header = 4};
	struct bed bed;
	size_t n = tcp(buf, false, 2, mss, 4);

	start(&bed, (struct child_params){.mss_clamp = 1200}, 1400);
	e.pad_len = bed_pad(n);
	bed_deliver(&bed.b, esp, bed_seal(&bed, esp, &e, buf, n));
	bed_turn_one(&bed, &bed.b);
	CU_ASSERT_EQUAL(bed_receive(&bed.b, got), n);
	CU_ASSERT(load_be16(got + 42) == 1200 && tcp_sum_right(got, n));
	bed_fini(&bed);
}

/* What is left alone: a smaller MSS, no SYN, no clamping asked for, options that are not sound. */
static void test_mss_left_alone(void)
{
	static const uint8_t small[] = {2, 4, 0x01, 0x00}, large[] = {2, 4, 0x05, 0xb4};
	uint8_t buf[BED_MAX_PACKET], got[BED_MAX_PACKET];
	struct bed bed;
	size_t n;

	start(&bed, (struct child_params){.mss_clamp = 1200}, 1400);
	n = tcp(buf, false, 2, small, 4);
	CU_ASSERT(crossed(&bed, got, buf, n) == n && memcmp(got, buf, n) == 0);
	n = tcp(buf, false, 0x10, large, 4);
	CU_ASSERT(crossed(&bed, got, buf, n) == n && memcmp(got, buf, n) == 0);
	n = tcp(buf, false, 2, NULL, 0);
	CU_ASSERT(crossed(&bed, got, buf, n) == n && memcmp(got, buf, n) == 0);
	bed_fini(&bed);
	start(&bed, (struct child_params){.mss_clamp = 0}, 1400);
	n = tcp(buf, false, 2, large, 4);
	CU_ASSERT(crossed(&bed, got, buf, n) == n && memcmp(got, buf, n) == 0);
	bed_fini(&bed);
}

/* Of a segment that is cut only the first part has a TCP header: what lies in its place in the
 * others is data, whatever it looks like, and arrives as it was. */
static void test_mss_not_in_parts(void)
{
	static const uint8_t like_syn[8] = {0x70, 2, 2, 4, 0xff, 0xff, 0xff, 0xff};
	uint8_t buf[BED_MAX_PACKET], got[BED_MAX_PACKET];
	struct bed bed;
	size_t n = udp4(buf, 2000, false), len;

	/* Parts begin at whole units: length and flags of a SYN at 12, and from 20 on options. */
	for (size_t at = 20; at < n; at++)
		buf[at] = like_syn[at % 8];
	buf[9] = IPPROTO_TCP;
	buf[33] = 0x10; /* of the packet itself: no SYN */
	store_be16(buf + 10, ip4_checksum(buf, 20));
	start(&bed, (struct child_params){.mss_clamp = 1000}, 700);
	bed_send(&bed.a, buf, n);
	bed_turn_one(&bed, &bed.a);
	while ((len = bed_capture(&bed.a, got)) != 0)
		bed_deliver(&bed.b, got, len);
	bed_turn_one(&bed, &bed.b);
	CU_ASSERT_EQUAL(bed_receive(&bed.b, got), n);
	CU_ASSERT_EQUAL(memcmp(got, buf, n), 0);
	bed_fini(&bed);
}

/* Every option list of three bytes, and cut at each length: nothing is read or written outside. */
static void test_mss_hostile(void)
{
	uint8_t buf[BED_MAX_PACKET], options[8];

	for (uint32_t i = 0; i < 1u << 21; i += 1 + i % 5) {
		for (int k = 0; k < 8; k++)
			options[k] = (uint8_t)((i >> (k % 3 * 7) & 0x7f) % (k % 2 ? 12u : 5u));
		size_t n = tcp(buf, false, 2, options, 8);
		uint8_t *copy = malloc(n - i % 9);

		memcpy(copy, buf, n - i % 9);
		struct packet p = {.data = copy, .buf = copy, .len = (uint32_t)(n - i % 9)};

		if (mss_is_syn(&p))
			mss_clamp(&p, 100);
		free(copy);
		if (i > 300000)
			i += 97;
		CU_ASSERT_FATAL(p.len == n - i % 9 || i > 300000);
	}
}

/* ---- padding --------------------------------------------------------------------------------- */

/* RFC 4303 2.7: short packets become as long as is said, or as the path takes, and arrive as they
 * were. */
static void test_tfc(void)
{
	static const struct {
		uint32_t padding;
		size_t inner, padded;
	} rows[] = {{500, 100, 500}, {500, 600, 600}, {4000, 100, 0}, {TFC_PADDING_PATH, 100, 0}};
	uint8_t buf[BED_MAX_PACKET], got[BED_MAX_PACKET], esp[BED_MAX_PACKET];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct bed bed;
		size_t n = udp4(buf, rows[i].inner, false), len;

		start(&bed, (struct child_params){.tfc_padding = rows[i].padding}, 1300);
		bed_send(&bed.a, buf, n);
		bed_turn_one(&bed, &bed.a);
		len = bed_capture(&bed.a, esp);
		if (rows[i].padded)
			CU_ASSERT_EQUAL(len, 16 + (rows[i].padded + 2 + 3) / 4 * 4 + 16)
		else
			CU_ASSERT(outer_len(len) <= 1300 && outer_len(len) > 1296);
		bed_deliver(&bed.b, esp, len);
		bed_turn_one(&bed, &bed.b);
		CU_ASSERT(bed_receive(&bed.b, got) == n && memcmp(got, buf, n) == 0);
		bed_fini(&bed);
	}
}

static void test_no_buffer(void)
{
	uint8_t buf[BED_MAX_PACKET];
	struct bed bed;
	struct packet *taken[128];
	uint32_t num;

	start(&bed, (struct child_params){0}, 600);
	bed_send(&bed.a, buf, udp4(buf, 2000, false));
	struct pool *pool = bed.a.dp->workers[0]->pool;

	num = pool->ops->get(pool, taken, pool_num_free(pool) - 3);
	bed_turn_one(&bed, &bed.a);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_NO_BUFFER), 1);
	pool->ops->put(pool, taken, num);
	CU_ASSERT_EQUAL(leaves(&bed, buf, udp4(buf, 100, false), 600),
			3); /* and two parts before */
	bed_fini(&bed);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_len),
	TAP_TEST(test_cut),
	TAP_TEST(test_cut_many),
	TAP_TEST(test_told),
	TAP_TEST(test_ip6_min_mtu),
	TAP_TEST(test_df_clear),
	TAP_TEST(test_df),
	TAP_TEST(test_not_told),
	TAP_TEST(test_S57_told_at_a_rate),
	TAP_TEST(test_mss),
	TAP_TEST(test_mss_in),
	TAP_TEST(test_mss_left_alone),
	TAP_TEST(test_mss_hostile),
	TAP_TEST(test_tfc),
	TAP_TEST(test_no_buffer),
	TAP_TEST(test_mss_not_in_parts),
	TAP_TEST(test_cut_while_path_grows),
};

TAP_MAIN("dataplane/fit", tests)
