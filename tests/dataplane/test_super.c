/* SPDX-License-Identifier: Apache-2.0 */
/* Super-packets through the data path: what a port joined is cut, and nothing else changes. */
#include "tests/dataplane/testbed.h"

#include "base/checksum.h"
#include "dataplane/passes.h"
#include "tests/tap/tap.h"

#include <netinet/in.h>
#include <stdlib.h>

static struct bed bed;
static uint8_t buf[BED_MAX_PACKET], got[BED_MAX_PACKET];
static uint8_t big[65536];

/* ---- datagrams ------------------------------------------------------------------------------ */

/* seal - B's wire's super-datagram: num packets from A with len bytes each, the last with last_len;
 * returns its length, and that of each segment. */
static size_t seal(uint32_t num, size_t len, size_t last_len, size_t *seg_len)
{
	size_t at = 0;

	for (uint32_t i = 0; i < num; i++) {
		bed_send(&bed.a, buf,
			 bed_udp4(buf, true, 1000, 2000, i, i + 1 == num ? last_len : len));
		bed_turn_one(&bed, &bed.a);
		size_t n = bed_capture(&bed.a, got);

		CU_ASSERT_FATAL(n && at + n <= sizeof(big));
		memcpy(big + at, got, n);
		at += n;
		if (i == 0)
			*seg_len = n;
	}
	return at;
}

static void inject(size_t len, size_t seg_len)
{
	CU_ASSERT_EQUAL_FATAL(
		memory_inject_super(bed.b.wire, big, len, (uint16_t)seg_len, &bed.b.path), ERR_OK);
}

/* delivered - B's host gets num packets, in order. */
static bool delivered(uint32_t num, size_t len, size_t last_len)
{
	for (uint32_t i = 0; i < num; i++) {
		size_t n = bed_udp4(buf, true, 1000, 2000, i, i + 1 == num ? last_len : len);

		if (bed_receive(&bed.b, got) != n || memcmp(got, buf, n) != 0) {
			tap_diag("packet %u of %u", i, num);
			return false;
		}
	}
	return bed_receive(&bed.b, got) == 0;
}

static void begin(void)
{
	const struct bed_options o = {.open_wire = true, .frame_len = 65536, .num_packets = 512};

	bed_init(&bed, &o);
	bed_pair(&bed, 1, NULL);
}

static void test_super_datagram(void)
{
	static const struct {
		uint32_t num;
		size_t len, last_len;
	} cases[] = {{2, 1000, 1000}, {3, 1300, 1}, {46, 1300, 700}, {64, 900, 900}, {100, 500, 8}};

	for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
		struct dataplane_stats before, after;
		size_t seg_len, len;

		begin();
		len = seal(cases[c].num, cases[c].len, cases[c].last_len, &seg_len);
		dataplane_stats(bed.b.dp, &before);
		inject(len, seg_len);
		bed_turn_one(&bed, &bed.b);
		CU_ASSERT(delivered(cases[c].num, cases[c].len, cases[c].last_len));
		dataplane_stats(bed.b.dp, &after);
		CU_ASSERT_EQUAL(after.rx_packets - before.rx_packets, 1);
		CU_ASSERT_EQUAL(after.made - before.made, cases[c].num);
		CU_ASSERT_EQUAL(after.consumed - before.consumed, 1);
		CU_ASSERT_EQUAL(after.tx_packets - before.tx_packets, cases[c].num);
		bed_fini(&bed);
	}
}

/* Any sender may choose what is together: each datagram is judged by itself, as if it had come so.
 */
static void test_any_datagram_inside(void)
{
	struct dp_event ev;
	size_t seg_len, len;

	begin();
	len = seal(3, 100, 100, &seg_len);
	memcpy(big + 4 * seg_len, big + 2 * seg_len, seg_len); /* [0] [1] IKE damaged [2] [1] */
	memcpy(big + 5 * seg_len, big + seg_len, seg_len);
	memcpy(big + 3 * seg_len, big, seg_len);
	big[3 * seg_len + 30] ^= 1;
	store_be32(big + 2 * seg_len, 0);
	inject(len + 3 * seg_len, seg_len);
	bed_turn_one(&bed, &bed.b);
	CU_ASSERT(delivered(3, 100, 100));
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_AUTH) + bed_dropped(&bed.b, DROP_REPLAY), 2);
	CU_ASSERT_FATAL(dataplane_event_next(bed.b.dp, &ev)); /* the first use */
	while (ev.kind != DP_EVENT_IKE) {
		dp_event_release(bed.b.dp, &ev);
		CU_ASSERT_FATAL(dataplane_event_next(bed.b.dp, &ev));
	}
	CU_ASSERT_EQUAL(ev.bytes.len, seg_len - 4);
	CU_ASSERT(memcmp(&ev.path, &bed.b.path, sizeof(ev.path)) == 0);
	dp_event_release(bed.b.dp, &ev);
	/* Keepalives, and what is too short for anything. */
	memset(big, 0xff, 9);
	inject(9, 1);
	inject(9, 7);
	bed_turn_one(&bed, &bed.b);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_KEEPALIVE), 9);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_MALFORMED_ESP), 2);
	bed_fini(&bed);
}

/* Where buffers are short the rest is dropped, and all of it comes back to the pools. */
static void test_shortage(void)
{
	const struct bed_options o = {.open_wire = true, .frame_len = 65536, .num_packets = 20};
	size_t seg_len, len;
	uint32_t num = 0;

	bed_init(&bed, &o);
	bed_pair(&bed, 1, NULL);
	len = seal(40, 100, 100, &seg_len);
	inject(len, seg_len);
	bed_turn_one(&bed, &bed.b);
	while (bed_receive(&bed.b, got))
		num++;
	CU_ASSERT(num > 10 && num <= 20);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_NO_BUFFER), 1);
	bed_fini(&bed);
}

/* ---- packets that the host left to us to cut --------------------------------------------------
 */

/* struct shape - of a super-packet. */
struct shape {
	bool v6, udp, df;
	uint8_t ip_options; /* IPv4: words; IPv6: a destination options header if not 0 */
	uint8_t tcp_options, flags;
	uint16_t seg_len, id;
	uint32_t len; /* of the payload */
};

static struct rng_seeded rng;

static uint32_t below(uint32_t n)
{
	uint32_t v;

	CU_ASSERT_FATAL(rng_fill(&rng.rng, &v, sizeof(v)) == ERR_OK);
	return v % n;
}

/* sum_of - RFC 1071 word by word. */
static uint32_t sum_of(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static size_t l4_of(const uint8_t *ip)
{
	if (ip[0] >> 4 == 4)
		return (ip[0] & 15u) * 4;
	return ip[6] == IPPROTO_DSTOPTS ? 40u + 8 + ip[41] * 8u : 40;
}

static uint8_t proto_of(const uint8_t *ip)
{
	return ip[0] >> 4 == 4 ? ip[9] : ip[6] == IPPROTO_DSTOPTS ? ip[40] : ip[6];
}

/* pseudo_of - the pseudo header's sum for len bytes behind it. */
static uint32_t pseudo_of(const uint8_t *ip, size_t len)
{
	bool v4 = ip[0] >> 4 == 4;
	uint8_t tail[4] = {(uint8_t)(len >> 8), (uint8_t)len, 0, proto_of(ip)};

	return sum_of(sum_of(0, ip + (v4 ? 12 : 8), v4 ? 8 : 32), tail, 4);
}

/* head_make - IP and transport headers for len bytes of payload; returns their length. The checksum
 * field is left 0. */
static size_t head_make(uint8_t *h, const struct shape *s, uint32_t number, size_t len)
{
	size_t at = s->v6 ? 40u + (s->ip_options ? 8 : 0) : 20u + s->ip_options * 4u;
	size_t l4 = s->udp ? 8 : 20u + s->tcp_options * 4u;
	uint8_t proto = s->udp ? IPPROTO_UDP : IPPROTO_TCP, *t = h + at;

	memset(h, 0, at + l4);
	bed_udp4(h, true, 1000, 2000, 0, 0);
	if (s->v6) {
		bed_udp6(h, true, 1000, 2000, 0, 0);
		store_be16(h + 4, (uint16_t)(at - 40 + l4 + len));
		h[6] = s->ip_options ? IPPROTO_DSTOPTS : proto;
		if (s->ip_options)
			memcpy(h + 40, (uint8_t[]){proto, 0, 1, 4, 0, 0, 0, 0}, 8);
	} else {
		h[0] = (uint8_t)(0x40 | at / 4);
		memset(h + 20, 1, at - 20);
		store_be16(h + 2, (uint16_t)(at + l4 + len));
		store_be16(h + 4, (uint16_t)(s->id + number));
		h[6] = s->df ? 0x40 : 0;
		h[9] = proto;
		store_be16(h + 10, 0);
		store_be16(h + 10, (uint16_t)~sum_of(0, h, at));
	}
	memset(t, 0, l4);
	store_be16(t, 1000);
	store_be16(t + 2, 2000);
	if (s->udp) {
		store_be16(t + 4, (uint16_t)(8 + len));
	} else {
		store_be32(t + 4, 0xfffff000 + number * s->seg_len);
		store_be32(t + 8, 77);
		t[12] = (uint8_t)(l4 / 4 << 4);
		t[13] = s->flags;
		store_be16(t + 14, 500);
		memset(t + 20, 1, l4 - 20);
	}
	return at + l4;
}

static uint8_t payload_at(uint32_t i)
{
	return (uint8_t)(i * 7 + (i >> 8) * 13);
}

/* sum_put - the checksum of the packet, or only of its pseudo header. */
static void sum_put(uint8_t *ip, size_t len, bool whole)
{
	size_t at = l4_of(ip);
	uint8_t *field = ip + at + (proto_of(ip) == IPPROTO_TCP ? 16 : 6);
	uint32_t sum = pseudo_of(ip, len - at);

	if (whole) {
		sum = (uint16_t)~sum_of(sum, ip + at, len - at);
		sum = sum ? sum : 0xffff;
	}
	store_be16(field, (uint16_t)sum);
}

/* super_make - what the host hands over; returns its length. */
static size_t super_make(uint8_t *p, const struct shape *s)
{
	size_t n = head_make(p, s, 0, s->len);

	for (uint32_t i = 0; i < s->len; i++)
		p[n + i] = payload_at(i);
	sum_put(p, n + s->len, false);
	return n + s->len;
}

/* segment_make - what the host itself would send as the segment that begins at `offset`, if each
 * has `len` bytes; returns the length. */
static size_t segment_make(uint8_t *p, const struct shape *s, uint32_t offset, uint32_t len)
{
	uint32_t number = offset / len, left = s->len - offset;
	struct shape own = *s;

	own.seg_len = (uint16_t)len;
	if (offset)
		own.flags &= 0x7f; /* CWR */
	if (left > len)
		own.flags &= (uint8_t)~0x09; /* FIN, PSH */
	left = left < len ? left : len;
	size_t n = head_make(p, &own, number, left);

	for (uint32_t i = 0; i < left; i++)
		p[n + i] = payload_at(offset + i);
	sum_put(p, n + left, true);
	return n + left;
}

static struct shape random_shape(void)
{
	struct shape s = {
		.v6 = below(2),
		.udp = below(3) == 0,
		.df = below(2),
		.ip_options = (uint8_t)(below(4) ? 0 : below(11)),
		.tcp_options = (uint8_t)below(11),
		.flags = (uint8_t)(0x10 | (below(256) & 0xc9)),
		.seg_len = (uint16_t)(1 + below(below(4) ? 1300 : 30)),
		.id = (uint16_t)below(65536),
	};

	s.len = 1 + below(s.seg_len * (1 + below(70)));
	if (s.len > 60000)
		s.len = 60000;
	return s;
}

/* Any super-packet, cut, is byte by byte what the host would have sent. */
static void test_cut_is_exact(void)
{
	static uint8_t out_buf[65536];
	struct packet p = {.buf = big, .data = big, .cap = sizeof(big)};
	uint8_t *want = got;

	rng_seeded_init(&rng, 1);
	for (int round = 0; round < 3000; round++) {
		struct shape s = random_shape();
		struct super cut;
		uint32_t offset = 0;
		bool more = true, same = true;

		p.len = (uint32_t)super_make(big, &s);
		p.seg_len = s.seg_len;
		CU_ASSERT_FATAL(super_begin(&cut, &p));
		CU_ASSERT_EQUAL(super_count(&cut), (s.len + s.seg_len - 1) / s.seg_len);
		while (more) {
			struct packet out = {
				.buf = out_buf, .data = out_buf, .cap = sizeof(out_buf)};
			size_t n = segment_make(want, &s, offset, s.seg_len);

			CU_ASSERT_EQUAL_FATAL(super_longest(&cut), n);
			more = super_next(&cut, &out);
			same = same && out.len == n && memcmp(out_buf, want, n) == 0;
			offset += s.seg_len;
			CU_ASSERT_EQUAL_FATAL(more, offset < s.len);
		}
		CU_ASSERT(same);
	}
}

/* What is not well-formed is no super-packet, and nothing beyond it is read (the sanitizers look).
 */
static void test_cut_refuses(void)
{
	struct shape s = {.tcp_options = 3, .seg_len = 100, .len = 500, .flags = 0x10};
	struct super cut;

	for (int v6 = 0; v6 < 2; v6++) {
		s.v6 = v6;
		for (int udp = 0; udp < 2; udp++) {
			size_t whole, head;

			s.udp = udp;
			whole = super_make(big, &s);
			head = whole - s.len;
			for (size_t len = 0; len <= whole; len++) {
				uint8_t *copy = malloc(len ? len : 1);
				struct packet p = {
					.data = copy, .len = (uint32_t)len, .seg_len = 100};

				memcpy(copy, big, len);
				CU_ASSERT_EQUAL(super_begin(&cut, &p), len == whole);
				if (len == whole)
					p.seg_len = 0;
				CU_ASSERT(!super_begin(&cut, &p));
				/* As long as it says, but cut in the headers. */
				if (len >= 40 && len <= head) {
					p.seg_len = 100;
					if (v6)
						store_be16(copy + 4, (uint16_t)(len - 40));
					else
						store_be16(copy + 2, (uint16_t)len);
					CU_ASSERT(!super_begin(&cut, &p));
				}
				free(copy);
			}
		}
	}
	struct packet p = {.data = big, .seg_len = 100};
	s = (struct shape){.seg_len = 100, .len = 500};
	p.len = (uint32_t)super_make(big, &s);
	big[6] = 0x20; /* a fragment */
	CU_ASSERT(!super_begin(&cut, &p));
	big[6] = 0;
	big[9] = IPPROTO_GRE;
	CU_ASSERT(!super_begin(&cut, &p));
	big[9] = IPPROTO_TCP;
	big[32] = 0x40; /* TCP header of 16 bytes */
	CU_ASSERT(!super_begin(&cut, &p));
	big[32] = 0x50;
	CU_ASSERT(super_begin(&cut, &p));
}

/* ---- through the data path ------------------------------------------------------------------- */

static void begin_out(uint16_t mtu)
{
	const struct bed_options o = {.frame_len = 65536, .num_packets = 1024, .num_frames = 512};

	bed_init(&bed, &o);
	bed_pair(&bed, 1, NULL);
	if (mtu)
		CU_ASSERT_EQUAL(dataplane_pathset_mtu(bed.a.dp, bed.a.pathset, mtu), ERR_OK);
}

static void send_super(const struct shape *s)
{
	size_t n = super_make(big, s);

	CU_ASSERT_EQUAL_FATAL(memory_inject_super(bed.a.host, big, n, s->seg_len, NULL), ERR_OK);
}

/* arrives - the segments, each of len bytes of payload, are what B's host gets next. */
static bool arrives(const struct shape *s, uint32_t len)
{
	for (uint32_t offset = 0; offset < s->len; offset += len) {
		size_t n = segment_make(buf, s, offset, len);

		if (bed_receive(&bed.b, got) != n || memcmp(got, buf, n) != 0) {
			tap_diag("segment at %u of %u, %u each", offset, s->len, len);
			return false;
		}
	}
	return true;
}

/* Several in one turn, longer and shorter than a vector, with single packets between them: all
 * segments arrive in order, and the books balance. */
static void test_out(void)
{
	rng_seeded_init(&rng, 2);
	begin_out(0);
	for (int round = 0; round < 60; round++) {
		struct shape s[4];
		size_t n = bed_udp4(got, true, 3, 4, 5, 100);

		for (int i = 0; i < 4; i++) {
			s[i] = random_shape();
			if (s[i].len > 20000)
				s[i].len = 20000;
			if (s[i].len / s[i].seg_len > 90)
				s[i].len = s[i].seg_len * 90u;
			send_super(&s[i]);
			bed_udp4(got, true, 3, 4, 5, 100);
			bed_send(&bed.a, got, n);
		}
		bed_turn_one(&bed, &bed.a);
		for (int i = 0; i < 10; i++)
			bed_turn_one(&bed, &bed.b);
		for (int i = 0; i < 4; i++) {
			CU_ASSERT_FATAL(arrives(&s[i], s[i].seg_len));
			CU_ASSERT_EQUAL(bed_receive(&bed.b, got), n);
		}
	}
	CU_ASSERT_EQUAL(bed_drops(&bed.a) + bed_drops(&bed.b), 0);
	CU_ASSERT_EQUAL(bed_receive(&bed.b, got), 0);
	bed_fini(&bed);
}

/* A path that takes less: TCP that may be cut goes in shorter segments, UDP in fragments; where it
 * says that it must not be cut its sender is told, once, of its first segment. */
static void test_narrow_path(void)
{
	struct shape s = {.seg_len = 1300, .len = 30000, .flags = 0x18};
	uint32_t fits;

	begin_out(1000);
	struct worker *w = bed.a.dp->workers[0];

	send_super(&s);
	bed_turn(&bed);
	bed_turn(&bed);
	fits = 1000 - 20 - 8 - 8 - 8 - 16; /* less the trailer, whole blocks of four */
	fits = (fits & ~3u) - 2;
	CU_ASSERT(arrives(&s, fits - 40));
	CU_ASSERT_EQUAL(bed_receive(&bed.b, got), 0);
	/* Datagrams stay datagrams: each goes in fragments, but for the last one, which fits. */
	s.udp = true;
	struct dataplane_stats before, after;
	dataplane_stats(bed.a.dp, &before);
	send_super(&s);
	bed_turn(&bed);
	bed_turn(&bed);
	dataplane_stats(bed.a.dp, &after);
	CU_ASSERT_EQUAL(after.tx_packets - before.tx_packets, 2 * 23 + 1);
	CU_ASSERT(arrives(&s, 1300));
	CU_ASSERT_EQUAL(bed_receive(&bed.b, got), 0);
	size_t n;
	s.udp = false;
	for (int i = 0; i < 4; i++) {
		s.v6 = i & 1;
		s.udp = i & 2;
		s.df = true;
		s.seg_len = 1300;
		w->tell.left = 0;
		w->tell.filled_ns = 0;
		send_super(&s);
		bed_turn(&bed);
		CU_ASSERT_EQUAL(bed_receive(&bed.b, got), 0);
		n = bed_receive(&bed.a, got);
		CU_ASSERT_FATAL(n != 0);
		size_t at = s.v6 ? 40 : 20;
		CU_ASSERT_EQUAL(got[at], s.v6 ? 2 : 3);
		const uint8_t *quoted = got + at + 8;
		size_t seg = segment_make(buf, &s, 0, s.seg_len);
		CU_ASSERT_EQUAL(s.v6 ? 40u + load_be16(quoted + 4) : load_be16(quoted + 2), seg);
		CU_ASSERT_EQUAL(bed_receive(&bed.a, got), 0);
		CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_TOLD_MTU), (unsigned)i + 1);
	}
	bed_fini(&bed);
}

/* Without an SA few wait, since long buffers are few; what waits goes when it is there. */
static void test_out_hold(void)
{
	const struct bed_options o = {
		.frame_len = 65536, .num_packets = 1024, .num_frames = 256, .hold_packets = 60};
	struct shape s = {.seg_len = 1000, .len = 5000, .flags = 0x10};

	bed_init(&bed, &o);
	for (int i = 0; i < 40; i++)
		send_super(&s);
	bed_turn_one(&bed, &bed.a);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_HOLD_FULL), 24);
	CU_ASSERT_EQUAL(bed.a.dp->workers[0]->hold.num_super, 16);
	bed_pair(&bed, 1, NULL);
	bed_turn(&bed);
	for (int i = 0; i < 16; i++)
		CU_ASSERT(arrives(&s, 1000));
	CU_ASSERT_EQUAL(bed.a.dp->workers[0]->hold.num_super, 0);
	bed_fini(&bed);
}

/* Another worker's SA: the super-packet goes there whole, as long as half of the long buffers are
 * here. */
static void test_out_handed_over(void)
{
	const struct bed_options o = {.frame_len = 65536,
				      .num_packets = 1024,
				      .num_frames = 512,
				      .num_workers = 2,
				      .num_inner = 1,
				      .num_outer = 1};
	struct shape s = {.seg_len = 1000, .len = 5000, .flags = 0x10};

	bed_init(&bed, &o);
	bed.a.dp->num_pairs[0] = bed.b.dp->num_pairs[0] = 1; /* the pair goes to worker 1 */
	bed_pair(&bed, 1, NULL);
	bed.a.dp->num_pairs[0] = bed.b.dp->num_pairs[0] = 0;
	for (int i = 0; i < 40; i++)
		send_super(&s);
	bed_turn_one(&bed, &bed.a);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_HANDOFF_FULL), 40 - 32);
	for (int i = 0; i < 20; i++)
		bed_turn(&bed);
	for (int i = 0; i < 32; i++)
		CU_ASSERT(arrives(&s, 1000));
	CU_ASSERT_EQUAL(bed_receive(&bed.b, got), 0);
	bed_fini(&bed);
}

/* ---- packets that the host gets as one --------------------------------------------------------
 */

/* struct sent - a packet on its way to B, as it is. */
struct sent {
	uint8_t bytes[1600];
	size_t len;
	bool joined; /* with the one before it */
	bool fixed_id;
};

static struct sent sent[4 * PKTVEC_MAX];
static uint32_t num_sent;

static void begin_in(uint8_t joins)
{
	const struct bed_options o = {
		.frame_len = 65536, .num_packets = 256, .num_frames = 64, .joins = joins};

	bed_init(&bed, &o);
	bed_pair(&bed, 1, NULL);
	num_sent = 0;
}

/* queue - a packet from A; `joined`: it is to be behind the last one of its flow. */
static struct sent *queue(const struct shape *s, uint32_t offset, uint32_t len, bool joined)
{
	struct sent *p = &sent[num_sent++];
	size_t n = head_make(p->bytes, s, 0, len);
	uint8_t *t = p->bytes + l4_of(p->bytes);

	for (uint32_t i = 0; i < len; i++)
		p->bytes[n + i] = payload_at(offset + i);
	if (!s->udp)
		store_be32(t + 4, 5000 + offset);
	p->len = n + len;
	p->joined = joined;
	sum_put(p->bytes, p->len, true);
	return p;
}

/* resum - after the test changed something. */
static void resum(struct sent *p)
{
	size_t at = l4_of(p->bytes);

	if (p->bytes[0] >> 4 == 4) {
		store_be16(p->bytes + 10, 0);
		store_be16(p->bytes + 10, (uint16_t)~sum_of(0, p->bytes, at));
	}
	store_be16(p->bytes + at + (proto_of(p->bytes) == IPPROTO_TCP ? 16 : 6), 0);
	sum_put(p->bytes, p->len, true);
}

/* carry - through the tunnel, in one turn of B. */
static void carry(void)
{
	for (uint32_t i = 0; i < num_sent; i++)
		bed_send(&bed.a, sent[i].bytes, sent[i].len);
	while (bed_turn_one(&bed, &bed.a))
		;
	while (bed_turn_one(&bed, &bed.b))
		;
}

/* same_packet - but for an identification that need not go on. */
static bool same_packet(const uint8_t *bytes, size_t len, const struct sent *p, bool any_id)
{
	uint8_t copy[1600];

	if (len != p->len)
		return false;
	memcpy(copy, bytes, len);
	if (any_id && copy[0] >> 4 == 4) {
		memcpy(copy + 4, p->bytes + 4, 2);
		memcpy(copy + 10, p->bytes + 10, 2);
	}
	return memcmp(copy, p->bytes, len) == 0;
}

/* joined_right - what comes next is sent[i] with all that is to be behind it, and a host that cuts
 * it has what was sent; *next: what is after them. With one flow only. */
static bool joined_right(uint32_t i, uint32_t *next)
{
	static uint8_t part_buf[65536];
	struct packet p = {.buf = big, .data = big, .cap = sizeof(big)};
	struct memory_meta meta;
	struct super cut;
	uint32_t num = 1;
	size_t len;
	bool more = true;

	while (i + num < num_sent && sent[i + num].joined)
		num++;
	*next = i + num;
	if (!memory_take_meta(bed.b.host, big, sizeof(big), &len, &meta))
		return false;
	if (num == 1)
		return meta.seg_len == 0 && same_packet(big, len, &sent[i], false);
	p.len = (uint32_t)len;
	p.seg_len = meta.seg_len;
	if (!meta.token || !super_begin(&cut, &p) || super_count(&cut) != num)
		return false;
	if (big[0] >> 4 == 4 && sum_of(0, big, 20) != 0xffff)
		return false;
	for (uint32_t k = 0; k < num && more; k++) {
		struct packet out = {.buf = part_buf, .data = part_buf, .cap = sizeof(part_buf)};

		more = super_next(&cut, &out);
		if (!same_packet(part_buf, out.len, &sent[i + k], sent[i].fixed_id))
			return false;
	}
	return !more;
}

static bool all_right(void)
{
	uint32_t i = 0;

	while (i < num_sent) {
		uint32_t at = i;

		if (!joined_right(i, &i)) {
			tap_diag("packet %u and what is behind it", at);
			return false;
		}
	}
	return bed_receive(&bed.b, got) == 0;
}

#define JOIN_ALL (JOIN_TCP4 | JOIN_TCP6 | JOIN_UDP4 | JOIN_UDP6)

/* base_shape - a flow's packets. */
static struct shape base_shape(int which)
{
	return (struct shape){.v6 = which & 1,
			      .udp = which & 2,
			      .df = which & 4,
			      .tcp_options = 3,
			      .flags = 0x10,
			      .seg_len = 1000,
			      .id = 10};
}

static void test_joined(void)
{
	begin_in(JOIN_ALL);
	for (int which = 0; which < 8; which++) {
		struct shape s = base_shape(which);

		num_sent = 0;
		for (uint32_t i = 0; i < 20; i++) {
			queue(&s, i * 1000, i < 19 ? 1000 : 400, i > 0);
			s.id++;
		}
		carry();
		CU_ASSERT(all_right());
		struct dataplane_stats st;
		dataplane_stats(bed.b.dp, &st);
		CU_ASSERT_EQUAL(st.tx_packets, 20u * (unsigned)(which + 1));
	}
	bed_fini(&bed);
}

/* Only what the driver takes. */
static void test_joined_if_taken(void)
{
	for (int joins = 0; joins < 16; joins++) {
		begin_in((uint8_t)joins);
		for (int which = 0; which < 4; which++) {
			static const uint8_t kinds[] = {JOIN_TCP4, JOIN_TCP6, JOIN_UDP4, JOIN_UDP6};
			struct shape s = base_shape(which);

			num_sent = 0;
			for (uint32_t i = 0; i < 3; i++) {
				queue(&s, i * 1000, 1000, i > 0 && (joins & kinds[which]));
				s.id++;
			}
			carry();
			CU_ASSERT(all_right());
		}
		bed_fini(&bed);
	}
}

/* A packet in the middle that differs: it and what follows is a packet of its own, or goes on. */
static void test_not_joined(void)
{
	enum {
		SAME,
		TTL,
		TOS,
		DF,
		ID,
		ID_STAYS,
		SEQ_GAP,
		SEQ_AGAIN,
		ACK,
		WINDOW,
		OPTION,
		FLAG_ECE,
		FLAG_CWR,
		FLAG_URG,
		FLAG_RST,
		FLAG_SYN,
		FLAG_PSH,
		FLAG_FIN,
		NO_ACK,
		LONGER,
		SHORTER,
		BAD_SUM,
		BAD_IP_SUM,
		NO_SUM,
		PORT,
		NUM_CASES
	};

	begin_in(JOIN_ALL);
	for (int which = 0; which < 8; which++) {
		for (int c = 0; c < NUM_CASES; c++) {
			struct shape s = base_shape(which);
			bool v6 = s.v6, udp = s.udp;
			/* Whether the odd one is behind those before it, and those after behind it.
			 */
			bool behind = false, after = false;
			uint32_t len = c == LONGER ? 1001 : c == SHORTER ? 999 : 1000, at = 0;

			num_sent = 0;
			for (uint32_t i = 0; i < 5; i++) {
				bool odd = i == 2;
				uint32_t offset = at;

				if (odd && c == SEQ_GAP)
					offset += 5;
				if (i > 2 && c == SEQ_GAP)
					offset += 5;
				if (odd && c == SEQ_AGAIN)
					offset -= 1000;
				struct sent *p = queue(&s, offset, odd ? len : 1000, i > 0);
				uint8_t *h = p->bytes, *t = h + l4_of(h);
				bool changed = odd || (i > 2 && (c == TTL || c == TOS || c == ACK ||
								 c == WINDOW || c == OPTION));

				at += odd ? len : 1000;
				s.id++;
				if (!changed)
					continue;
				if (c == TTL)
					h[v6 ? 7 : 8] = 9;
				if (c == TOS && v6)
					h[1] = 0x20;
				if (c == TOS && !v6)
					h[1] = 2;
				if (c == DF && !v6)
					h[6] ^= 0x40;
				if (c == ID && !v6)
					store_be16(h + 4, 999);
				if (c == ID_STAYS && !v6)
					store_be16(h + 4, (uint16_t)(load_be16(h + 4) - 1));
				if (c == ACK && !udp)
					t[11]++;
				if (c == WINDOW && !udp)
					t[15]++;
				if (c == OPTION && !udp)
					t[30] = 0;
				if (c == FLAG_ECE && !udp)
					t[13] |= 0x40;
				if (c == FLAG_CWR && !udp)
					t[13] |= 0x80;
				if (c == FLAG_URG && !udp)
					t[13] |= 0x20;
				if (c == FLAG_RST && !udp)
					t[13] |= 0x04;
				if (c == FLAG_SYN && !udp)
					t[13] |= 0x02;
				if (c == FLAG_PSH && !udp)
					t[13] |= 0x08;
				if (c == FLAG_FIN && !udp)
					t[13] |= 0x01;
				if (c == NO_ACK && !udp)
					t[13] &= 0xef;
				if (c == PORT)
					t[1] ^= 1;
				resum(p);
				if (c == BAD_SUM)
					t[udp ? 7 : 17] ^= 1;
				if (c == BAD_IP_SUM && !v6)
					h[11] ^= 1;
				if (c == NO_SUM && udp)
					store_be16(t + 6, 0);
			}
			switch (c) {
			case TTL:
			case TOS:
				after = true;
				break;
			case DF:
			case ID:
			case BAD_IP_SUM:
				behind = after = v6;
				break;
			case ID_STAYS:
				behind = v6;
				after = v6;
				break;
			case SEQ_GAP:
				behind = udp;
				after = true;
				break;
			case SEQ_AGAIN:
				behind = after = udp;
				break;
			case ACK:
			case WINDOW:
			case OPTION:
				behind = udp;
				after = true;
				break;
			case FLAG_PSH:
			case FLAG_FIN:
				behind = true;
				after = udp;
				break;
			case SHORTER:
				behind = true;
				break;
			case LONGER: /* the next ones are shorter: one of them goes with it */
				after = true;
				break;
			case BAD_SUM:
				break;
			case NO_SUM:
				behind = after = !udp;
				break;
			case PORT: /* another flow: the others go on */
				break;
			default:
				behind = after = udp || c == SAME;
				break;
			}
			sent[2].joined = behind;
			sent[3].joined = after;
			if (c == LONGER)
				sent[4].joined = false;
			if (c == DF && !v6) /* the others' DF again */
				sent[3].joined = false;
			carry();
			if (c == PORT) { /* [0] [1] [3] [4] and [2], the gap in TCP's sequence */
				CU_ASSERT_EQUAL(bed_drops(&bed.b), 0);
				while (bed_receive(&bed.b, got))
					;
			} else if (!all_right()) {
				tap_diag("case %d of kind %d", c, which);
				CU_ASSERT(false);
			}
		}
	}
	bed_fini(&bed);
}

/* DF and one identification for all: that goes as well, but not by halves. */
static void test_fixed_id(void)
{
	struct shape s = base_shape(4);

	begin_in(JOIN_ALL);
	for (uint32_t i = 0; i < 5; i++)
		queue(&s, i * 1000, 1000, i > 0)->fixed_id = true;
	s.id++;
	queue(&s, 5000, 1000, false);
	s.id++;
	queue(&s, 6000, 1000, true);
	queue(&s, 7000, 1000, false);
	carry();
	CU_ASSERT(all_right());
	bed_fini(&bed);
	/* Without DF not at all. */
	s = base_shape(0);
	begin_in(JOIN_ALL);
	for (uint32_t i = 0; i < 5; i++)
		queue(&s, i * 1000, 1000, false);
	carry();
	CU_ASSERT(all_right());
	bed_fini(&bed);
}

/* Damaged on the way to our peer: whatever bit it is, the host gets the packet as it came. */
static void test_nothing_is_laundered(void)
{
	rng_seeded_init(&rng, 3);
	begin_in(JOIN_ALL);
	for (int round = 0; round < 400; round++) {
		struct shape s = base_shape((int)below(8));
		uint32_t bad = below(6), found = 0, num = 0;
		struct memory_meta meta;
		size_t len;

		num_sent = 0;
		for (uint32_t i = 0; i < 6; i++) {
			queue(&s, i * 1000, 1000, false);
			s.id++;
		}
		size_t at = l4_of(sent[bad].bytes) + 4; /* not the ports: another flow is fine */
		at += below((uint32_t)(sent[bad].len - at));
		sent[bad].bytes[at] ^= (uint8_t)(1u << below(8));
		carry();
		while (memory_take_meta(bed.b.host, big, sizeof(big), &len, &meta)) {
			num += meta.seg_len ? (uint32_t)((len - 28) / meta.seg_len) : 1;
			found += !meta.seg_len && same_packet(big, len, &sent[bad], false);
		}
		CU_ASSERT_EQUAL(found, 1);
		CU_ASSERT_EQUAL(num, 6);
	}
	bed_fini(&bed);
}

/* Flows that are mixed are joined each for itself, up to as many as are kept open. */
static void test_flows_by_turns(void)
{
	struct memory_meta meta;
	uint32_t supers = 0, segments = 0, num_flows = 6;
	size_t len;

	begin_in(JOIN_ALL);
	for (uint32_t i = 0; i < 10; i++) {
		for (uint32_t f = 0; f < num_flows; f++) {
			struct shape s = base_shape(f & 3);
			s.id = (uint16_t)(100 * f + i);
			struct sent *p = queue(&s, i * 500, 500, false);

			store_be16(p->bytes + l4_of(p->bytes), (uint16_t)(2000 + f));
			resum(p);
		}
	}
	carry();
	while (memory_take_meta(bed.b.host, big, sizeof(big), &len, &meta)) {
		CU_ASSERT_EQUAL(meta.seg_len, 500);
		segments += (uint32_t)len / 500;
		supers++;
	}
	CU_ASSERT(supers == num_flows && segments == 60);
	bed_fini(&bed);
}

/* ---- what is together stays so ----------------------------------------------------------------
 */

#define TOGETHER 44 /* segments: three are more than two vectors, and one is not half of one */

/* seal_queued - what was queued from `first` on as B's wire's super-datagram. */
static void seal_queued(uint32_t first)
{
	size_t at = 0, n = 0;

	for (uint32_t i = first; i < num_sent; i++) {
		bed_send(&bed.a, sent[i].bytes, sent[i].len);
		bed_turn_one(&bed, &bed.a);
		n = bed_capture(&bed.a, got);
		CU_ASSERT_FATAL(n && at + n <= sizeof(big));
		memcpy(big + at, got, n);
		at += n;
	}
	inject(at, n);
}

/* A super-datagram is one vector's affair, whatever came with it, so that the host has one
 * super-packet for each and not parts that end where vectors do. */
static void test_together_in(void)
{
	const struct bed_options o = {
		.open_wire = true, .frame_len = 65536, .num_packets = 512, .joins = JOIN_ALL};
	struct shape s = base_shape(4);
	struct memory_meta meta;
	uint32_t num = 0;
	size_t len;

	bed_init(&bed, &o);
	bed_pair(&bed, 1, NULL);
	num_sent = 0;
	for (uint32_t i = 0; i < 3 * TOGETHER; i++) {
		queue(&s, i * 1000, 1000, i % TOGETHER != 0);
		s.id++;
		if (num_sent % TOGETHER == 0)
			seal_queued(num_sent - TOGETHER);
	}
	bed_turn_one(&bed, &bed.b);
	for (; memory_take_meta(bed.b.host, big, sizeof(big), &len, &meta); num++)
		CU_ASSERT(meta.seg_len == 1000 && len / 1000 == TOGETHER);
	CU_ASSERT_EQUAL(num, 3);
	bed_fini(&bed);
}

static uint32_t sent_at_once[16], num_calls;
static const struct driver_ops *real_ops;

static void spy_tx(struct driver *d, struct pktvec *v)
{
	CU_ASSERT_FATAL(num_calls < ARRAY_LEN(sent_at_once));
	sent_at_once[num_calls++] = v->num;
	real_ops->tx(d, v);
}

/* The outer port is given the segments of one super-packet at a time. */
static void test_together_out(void)
{
	struct shape s = {.seg_len = 1000, .len = TOGETHER * 1000, .flags = 0x10};
	struct driver_ops spy;
	struct driver *d;

	begin_out(0);
	d = bed.a.dp->workers[0]->ports[bed.a.outer];
	real_ops = d->ops;
	spy = *real_ops;
	spy.tx = spy_tx;
	d->ops = &spy;
	num_calls = 0;
	for (int i = 0; i < 3; i++)
		send_super(&s);
	bed_turn_one(&bed, &bed.a);
	CU_ASSERT_EQUAL(num_calls, 3);
	for (uint32_t i = 0; i < num_calls; i++)
		CU_ASSERT_EQUAL(sent_at_once[i], TOGETHER);
	bed_turn_one(&bed, &bed.b);
	bed_turn_one(&bed, &bed.b);
	bed_turn_one(&bed, &bed.b);
	for (int i = 0; i < 3; i++)
		CU_ASSERT(arrives(&s, s.seg_len));
	d->ops = real_ops;
	bed_fini(&bed);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_together_in),
	TAP_TEST(test_together_out),
	TAP_TEST(test_joined),
	TAP_TEST(test_joined_if_taken),
	TAP_TEST(test_not_joined),
	TAP_TEST(test_fixed_id),
	TAP_TEST(test_nothing_is_laundered),
	TAP_TEST(test_flows_by_turns),
	TAP_TEST(test_cut_is_exact),
	TAP_TEST(test_cut_refuses),
	TAP_TEST(test_out),
	TAP_TEST(test_narrow_path),
	TAP_TEST(test_out_hold),
	TAP_TEST(test_out_handed_over),
	TAP_TEST(test_any_datagram_inside),
	TAP_TEST(test_shortage),
	TAP_TEST(test_super_datagram),
};

TAP_MAIN("dataplane/super", tests)
