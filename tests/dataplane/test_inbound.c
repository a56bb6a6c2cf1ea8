/* SPDX-License-Identifier: Apache-2.0 */
/* What a peer, or somebody on the way, may send: every packet made or spoilt by the test. */
#include <netinet/in.h>

#include "dataplane/ahead.h"
#include "tests/dataplane/testbed.h"
#include "tests/tap/tap.h"

static const struct bed_options open_wire = {.open_wire = true};

static void open_bed(struct bed *bed)
{
	bed_init(bed, &open_wire);
	bed_pair(bed, 1, NULL);
}

/* arrive - B receives these bytes; the length of what it delivers, 0 = nothing. */
static size_t arrive(struct bed *bed, const uint8_t *esp, size_t len, uint8_t *got)
{
	bed_deliver(&bed->b, esp, len);
	bed_turn_one(bed, &bed->b);
	return bed_receive(&bed->b, got);
}

/* arrive_sealed - seal `inner` and let it arrive. */
static size_t arrive_sealed(struct bed *bed, const struct bed_esp *e, const uint8_t *inner,
			    size_t len, uint8_t *got)
{
	uint8_t esp[BED_MAX_PACKET];

	return arrive(bed, esp, bed_seal(bed, esp, e, inner, len), got);
}

/* clear_packet - an ordinary packet from A to B. */
static size_t clear_packet(uint8_t *buf)
{
	return bed_udp4(buf, true, 1000, 2000, 1, 61);
}

static void test_S50_every_pad_length(void)
{
	uint8_t inner[BED_MAX_PACKET], got[BED_MAX_PACKET];
	struct bed bed;
	uint64_t seq = 0;

	open_bed(&bed);
	for (unsigned pad = 0; pad < 256; pad++) {
		/* The inner length makes the whole aligned with this pad length. */
		size_t n = bed_udp4(inner, true, 1, 2, pad, 40 + (256 - pad + 2) % 4);
		struct bed_esp e = {.pair = 1, .next_header = 4, .pad_len = (uint8_t)pad};

		CU_ASSERT_EQUAL_FATAL((n + pad + 2) % 4, 0);
		e.seq = ++seq;
		CU_ASSERT_EQUAL(arrive_sealed(&bed, &e, inner, n, got), n);
		CU_ASSERT_EQUAL(memcmp(inner, got, n), 0);
		if (pad == 0)
			continue;
		e.seq = ++seq;
		e.wrong_padding = true;
		CU_ASSERT_EQUAL(arrive_sealed(&bed, &e, inner, n, got), 0);
	}
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_PADDING), 255);
	bed_fini(&bed);
}

/* A pad length field that says more than there is, by any number, on any short length. */
static void test_S50_pad_longer_than_packet(void)
{
	uint8_t text[300], got[BED_MAX_PACKET];
	struct bed_esp e = {.pair = 1, .next_header = 4};
	struct bed bed;

	open_bed(&bed);
	for (unsigned i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i + 2); /* what padding looks like, behind the first IV, 1 */
	for (unsigned claimed = 1; claimed < 256; claimed++) {
		for (size_t len = 2; len < claimed && len < 20; len += 4) {
			e.seq++;
			e.claimed_more = (uint8_t)claimed;
			CU_ASSERT_EQUAL(arrive_sealed(&bed, &e, text, len, got), 0);
		}
	}
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_PADDING), e.seq);
	bed_fini(&bed);
}

/* With thousands of SPIs memory is asked for what a vector needs, before any of it is judged: of
 * packets that are too short or of nobody's SPI among others, and of both SAs. */
static void test_thousands_of_spis(void)
{
	uint8_t inner[BED_MAX_PACKET], esp[BED_MAX_PACKET], got[BED_MAX_PACKET];
	const struct bed_options o = {.open_wire = true, .num_packets = 128, .num_frames = 128};
	struct bed_esp e = {.next_header = 4};
	struct bed bed;
	uint32_t spi, spis[2];

	bed_init(&bed, &o);
	for (e.pair = 1; e.pair <= 2; e.pair++) {
		bed_pair(&bed, e.pair, NULL);
		spis[e.pair - 1] = bed.b.spi_in;
	}
	for (uint32_t i = 0; i < AHEAD_SAS; i++) {
		CU_ASSERT_EQUAL_FATAL(dataplane_spi_reserve(bed.a.dp, &spi), ERR_OK);
		CU_ASSERT_EQUAL_FATAL(dataplane_spi_reserve(bed.b.dp, &spi), ERR_OK);
	}
	size_t n = clear_packet(inner);

	e.pad_len = bed_pad(n);
	for (uint32_t i = 0; i < 60; i += 4) {
		for (e.pair = 1; e.pair <= 2; e.pair++) {
			e.seq = i + 1;
			bed.b.spi_in = spis[e.pair - 1];
			bed_deliver(&bed.b, esp, bed_seal(&bed, esp, &e, inner, n));
		}
		bed_deliver(&bed.b, esp, i / 4);
		store_be32(esp, spi); /* reserved, and no SA has it */
		bed_deliver(&bed.b, esp, n);
	}
	while (bed_turn_one(&bed, &bed.b))
		;
	for (uint32_t i = 0; i < 30; i++) {
		CU_ASSERT_EQUAL(bed_receive(&bed.b, got), n);
		CU_ASSERT_EQUAL(memcmp(got, inner, n), 0);
	}
	CU_ASSERT_EQUAL(bed_receive(&bed.b, got), 0);
	CU_ASSERT_EQUAL(bed_drops(&bed.b), 30);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_NO_SA), 15);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_MALFORMED_ESP), 15);
	/* And outbound. */
	for (uint32_t i = 0; i < 30; i++)
		bed_send(&bed.a, inner, n);
	while (bed_turn_one(&bed, &bed.a))
		;
	for (uint32_t i = 0; i < 30; i++)
		CU_ASSERT(bed_capture(&bed.a, got) > n);
	CU_ASSERT_EQUAL(bed_drops(&bed.a), 0);
	bed_fini(&bed);
}

/* S1, S11: every length from nothing to whole; only the whole one is accepted. */
static void test_S01_truncated(void)
{
	uint8_t inner[BED_MAX_PACKET], esp[BED_MAX_PACKET], got[BED_MAX_PACKET];
	struct bed bed;

	open_bed(&bed);
	size_t n = clear_packet(inner);
	const struct bed_esp e = {.pair = 1, .seq = 7, .next_header = 4, .pad_len = bed_pad(n)};
	size_t len = bed_seal(&bed, esp, &e, inner, n);

	for (size_t cut = 0; cut < len; cut++)
		CU_ASSERT_EQUAL(arrive(&bed, esp, cut, got), 0);
	CU_ASSERT_EQUAL(bed_drops(&bed.b), len);
	CU_ASSERT_EQUAL(arrive(&bed, esp, len, got), n);
	esp[len] = 0;
	CU_ASSERT_EQUAL(arrive(&bed, esp, len + 4, got), 0); /* and longer is not the same packet */
	bed_fini(&bed);
}

/* Every bit of an ESP packet matters, and none of the wrong ones moves the replay window. */
static void test_S55_bit_flips(void)
{
	uint8_t inner[BED_MAX_PACKET], esp[BED_MAX_PACKET], got[BED_MAX_PACKET];
	struct bed bed;
	struct child_stats st;

	open_bed(&bed);
	size_t n = clear_packet(inner);
	const struct bed_esp e = {.pair = 1, .seq = 7, .next_header = 4, .pad_len = bed_pad(n)};
	size_t len = bed_seal(&bed, esp, &e, inner, n);

	for (size_t bit = 0; bit < 8 * len; bit++) {
		esp[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CU_ASSERT_EQUAL(arrive(&bed, esp, len, got), 0);
		esp[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	CU_ASSERT_EQUAL(bed_drops(&bed.b), 8 * len);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_NO_SA), 32);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_AUTH), 8 * len - 32);
	CU_ASSERT_EQUAL(dataplane_child_stats(bed.b.dp, &st, 1), ERR_OK);
	CU_ASSERT_EQUAL(st.in_auth_failed, 8 * len - 32);
	CU_ASSERT_EQUAL(st.in_packets, 0);
	CU_ASSERT_EQUAL(bed_events(&bed.b, DP_EVENT_CHILD_USED), 0);
	CU_ASSERT_EQUAL(arrive(&bed, esp, len, got), n);
	bed_fini(&bed);
}

/* ESP of no SA is reported, with its SPI and where it came from, so often a second and no more. */
static void test_S44_stray(void)
{
	uint8_t inner[BED_MAX_PACKET], esp[BED_MAX_PACKET], got[BED_MAX_PACKET];
	struct dp_event ev;
	struct bed bed;
	uint32_t num = 0;

	open_bed(&bed);
	size_t n = clear_packet(inner);
	const struct bed_esp e = {.pair = 1, .seq = 7, .next_header = 4, .pad_len = bed_pad(n)};
	size_t len = bed_seal(&bed, esp, &e, inner, n);

	esp[0] ^= 0x80;
	for (uint32_t i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(arrive(&bed, esp, len, got), 0);
	while (dataplane_event_next(bed.b.dp, &ev)) {
		CU_ASSERT_EQUAL(ev.kind, DP_EVENT_STRAY);
		CU_ASSERT_EQUAL(ev.spi, load_be32(esp));
		CU_ASSERT_NOT_EQUAL(ev.path.remote.addr.family, IP_NONE);
		num++;
		dp_event_release(bed.b.dp, &ev);
	}
	CU_ASSERT_EQUAL(num, 10);
	CU_ASSERT_EQUAL(arrive(&bed, esp, 7, got), 0); /* less than a header says nothing */
	CU_ASSERT_FALSE(dataplane_event_next(bed.b.dp, &ev));
	bed_fini(&bed);
}

static void test_S51_replayed(void)
{
	uint8_t inner[BED_MAX_PACKET], esp[BED_MAX_PACKET], got[BED_MAX_PACKET];
	struct bed bed;
	struct child_stats st;
	size_t n = clear_packet(inner), len = 0;

	open_bed(&bed);
	for (uint64_t seq = 100; seq > 0; seq--) {
		struct bed_esp e = {.pair = 1, .seq = seq, .next_header = 4, .pad_len = bed_pad(n)};

		len = bed_seal(&bed, esp, &e, inner, n);
		CU_ASSERT_EQUAL(arrive(&bed, esp, len, got), seq > 36 ? n : 0);
		CU_ASSERT_EQUAL(arrive(&bed, esp, len, got), 0);
	}
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_REPLAY), 100 + 36);
	CU_ASSERT_EQUAL(dataplane_child_stats(bed.b.dp, &st, 1), ERR_OK);
	CU_ASSERT_EQUAL(st.in_replay, 136);
	CU_ASSERT_EQUAL(st.in_packets, 64);
	bed_fini(&bed);
}

/* What is replayed is dropped before anybody spends a decryption on it. */
static void test_S51_replay_is_not_decrypted(void)
{
	uint8_t inner[BED_MAX_PACKET], esp[BED_MAX_PACKET], got[BED_MAX_PACKET];
	struct bed bed;
	size_t n = clear_packet(inner);
	const struct bed_esp e = {.pair = 1, .seq = 7, .next_header = 4, .pad_len = bed_pad(n)};

	open_bed(&bed);
	size_t len = bed_seal(&bed, esp, &e, inner, n);

	CU_ASSERT_EQUAL(arrive(&bed, esp, len, got), n);
	esp[len - 1] ^= 1;
	CU_ASSERT_EQUAL(arrive(&bed, esp, len, got), 0);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_REPLAY), 1);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_AUTH), 0);
	bed_fini(&bed);
}

/* All copies pass the first check together; the second one lets one through. */
static void test_S51_copies_in_one_batch(void)
{
	uint8_t inner[BED_MAX_PACKET], esp[BED_MAX_PACKET], got[BED_MAX_PACKET];
	struct bed bed;
	size_t n = clear_packet(inner);
	const struct bed_esp e = {.pair = 1, .seq = 7, .next_header = 4, .pad_len = bed_pad(n)};

	open_bed(&bed);
	size_t len = bed_seal(&bed, esp, &e, inner, n);

	for (int i = 0; i < 20; i++)
		bed_deliver(&bed.b, esp, len);
	bed_turn_one(&bed, &bed.b);
	CU_ASSERT_EQUAL(bed_receive(&bed.b, got), n);
	CU_ASSERT_EQUAL(bed_receive(&bed.b, got), 0);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_REPLAY), 19);
	bed_fini(&bed);
}

static void with_esn(struct child_params *p, bool is_a)
{
	(void)is_a;
	p->esn = true;
}

static void test_S52_esn_across_2_32(void)
{
	uint8_t inner[BED_MAX_PACKET], got[BED_MAX_PACKET];
	size_t n = clear_packet(inner);
	struct bed bed;
	const uint64_t start = 0xfffffff0;
	uint32_t bad = 0;

	bed_init(&bed, &open_wire);
	bed_pair(&bed, 1, with_esn);
	/* Only the first packet tells the window where it is; from then on the peer counts. */
	((struct esp_sa *)slots_get(bed.b.dp->sad, bed.b.spi_in))->replay->top = start - 1;
	for (uint64_t seq = start; seq < start + 200; seq++) {
		struct bed_esp e = {.pair = 1,
				    .seq = seq,
				    .esn = true,
				    .next_header = 4,
				    .pad_len = bed_pad(n)};

		bad += arrive_sealed(&bed, &e, inner, n, got) != n;
		bad += arrive_sealed(&bed, &e, inner, n, got) != 0;
	}
	CU_ASSERT_EQUAL(bad, 0);
	/* The same low half under another high half is not authentic. */
	struct bed_esp e = {.pair = 1, .seq = start + 300, .next_header = 4, .pad_len = bed_pad(n)};

	CU_ASSERT_EQUAL(arrive_sealed(&bed, &e, inner, n, got), 0);
	e.esn = true;
	e.seq += 1ull << 32;
	CU_ASSERT_EQUAL(arrive_sealed(&bed, &e, inner, n, got), 0);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_AUTH), 2);
	bed_fini(&bed);
}

static void test_window_grows_under_traffic(void)
{
	uint8_t inner[BED_MAX_PACKET], got[BED_MAX_PACKET];
	size_t n = clear_packet(inner);
	struct bed_esp e = {.pair = 1, .next_header = 4, .pad_len = bed_pad(n)};
	struct bed bed;

	open_bed(&bed);
	e.seq = 1000;
	CU_ASSERT_EQUAL(arrive_sealed(&bed, &e, inner, n, got), n);
	for (int i = 0; i < 3; i++) /* the worker takes over what it finds last */
		CU_ASSERT_EQUAL(dataplane_child_window(bed.b.dp, 1, 4096), ERR_OK);
	CU_ASSERT_EQUAL(arrive_sealed(&bed, &e, inner, n, got), 0); /* still remembered */
	e.seq = 937;
	CU_ASSERT_EQUAL(arrive_sealed(&bed, &e, inner, n, got), n); /* in the old window */
	e.seq = 936;
	CU_ASSERT_EQUAL(arrive_sealed(&bed, &e, inner, n, got), 0); /* forgotten counts as seen */
	e.seq = 3000;
	CU_ASSERT_EQUAL(arrive_sealed(&bed, &e, inner, n, got), n);
	e.seq = 1001;
	CU_ASSERT_EQUAL(arrive_sealed(&bed, &e, inner, n, got), n);       /* in the new one */
	CU_ASSERT_EQUAL(dataplane_child_window(bed.b.dp, 1, 64), ERR_OK); /* never smaller */
	e.seq = 1002;
	CU_ASSERT_EQUAL(arrive_sealed(&bed, &e, inner, n, got), n);
	CU_ASSERT_EQUAL(dataplane_child_window(bed.b.dp, 2, 64), ERR_NOT_FOUND);
	bed_fini(&bed);
}

static void test_next_headers(void)
{
	uint8_t inner[BED_MAX_PACKET], got[BED_MAX_PACKET];
	size_t n = clear_packet(inner);
	struct bed bed;

	open_bed(&bed);
	for (unsigned nh = 0; nh < 256; nh++) {
		struct bed_esp e = {.pair = 1,
				    .seq = nh + 1,
				    .next_header = (uint8_t)nh,
				    .pad_len = bed_pad(n)};

		CU_ASSERT_EQUAL(arrive_sealed(&bed, &e, inner, n, got), nh == 4 ? n : 0);
	}
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_NEXT_HEADER), 256 - 4);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_IPCOMP), 1); /* not agreed on */
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_DUMMY), 1);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_MALFORMED_INNER), 1); /* IPv4 called IPv6 */
	bed_fini(&bed);
}

/* RFC 4303 2.4: the trailer ends on four bytes, whatever the algorithm; authentic or not. */
static void test_not_aligned(void)
{
	uint8_t inner[BED_MAX_PACKET], got[BED_MAX_PACKET];
	size_t n = clear_packet(inner);
	struct bed_esp e = {.pair = 1, .next_header = 4};
	struct bed bed;

	open_bed(&bed);
	for (unsigned pad = 0; pad < 8; pad++) {
		e.seq++;
		e.pad_len = (uint8_t)pad;
		CU_ASSERT_EQUAL(arrive_sealed(&bed, &e, inner, n, got),
				(n + pad + 2) % 4 == 0 ? n : 0);
	}
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_MALFORMED_ESP), 6);
	bed_fini(&bed);
}

static uint32_t other_group;
static struct auth_proof *other_proof;

static void another_peer(struct child_params *p, bool is_a)
{
	if (is_a)
		return;
	p->group = other_group;
	p->proof = other_proof;
}

/* S56: a peer with an SA for the same addresses may not speak in a flow that policy gives to
 * another peer, also when the flow was just admitted from the right one. */
static void test_S56_another_peers_sa(void)
{
	struct auth_proof_params mallory = {.method = AUTH_METHOD_PSK,
					    .peer = {.type = 2, .len = 1}};
	uint8_t inner[BED_MAX_PACKET], got[BED_MAX_PACKET], esp[BED_MAX_PACKET];
	size_t n = clear_packet(inner);
	struct bed_esp e = {.pair = 1, .seq = 1, .next_header = 4, .pad_len = bed_pad(n)};
	struct bed bed;

	open_bed(&bed);
	other_proof = auth_proof_new(&mallory);
	CU_ASSERT_PTR_NOT_NULL_FATAL(other_proof);
	CU_ASSERT_EQUAL(dataplane_group_add(bed.b.dp, &other_group), ERR_OK);
	CU_ASSERT_EQUAL(arrive_sealed(&bed, &e, inner, n, got), n);
	e.seq = 2;
	size_t later = bed_seal(&bed, esp, &e, inner, n);

	bed_pair(&bed, 2, another_peer);
	for (e.pair = 2, e.seq = 1; e.seq < 4; e.seq++) {
		CU_ASSERT_EQUAL(arrive_sealed(&bed, &e, inner, n, got), 0);
		if (e.seq == 1) /* the right one in between */
			CU_ASSERT_EQUAL(arrive(&bed, esp, later, got), n);
	}
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_CLASS), 3);
	auth_proof_put(other_proof);
	bed_fini(&bed);
}

static void test_tfc_padding_is_cut(void)
{
	uint8_t inner[BED_MAX_PACKET] = {0}, got[BED_MAX_PACKET];
	size_t n = clear_packet(inner);
	struct bed_esp e = {.pair = 1, .seq = 1, .next_header = 4, .pad_len = bed_pad(n + 500)};
	struct bed bed;

	open_bed(&bed);
	CU_ASSERT_EQUAL(arrive_sealed(&bed, &e, inner, n + 500, got), n);
	bed_fini(&bed);
}

/* S56: an authentic packet whose addresses are not the SA's is not let in. */
static void test_S56_selectors(void)
{
	uint8_t inner[BED_MAX_PACKET], got[BED_MAX_PACKET];
	struct bed_esp e = {.pair = 1, .next_header = 4};
	struct bed bed;
	size_t n = clear_packet(inner);

	open_bed(&bed);
	e.pad_len = bed_pad(n);
	for (int i = 0; i < 2; i++) { /* the second time from the flow cache */
		inner[13] = 9;        /* from 10.9.0.1 */
		e.seq++;
		CU_ASSERT_EQUAL(arrive_sealed(&bed, &e, inner, n, got), 0);
		inner[13] = 1;
		inner[17] = 9; /* to 10.9.0.1 */
		e.seq++;
		CU_ASSERT_EQUAL(arrive_sealed(&bed, &e, inner, n, got), 0);
		inner[17] = 2;
		e.seq++;
		CU_ASSERT_EQUAL(arrive_sealed(&bed, &e, inner, n, got), n);
	}
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_SA_SELECTOR_IN), 4);
	bed_fini(&bed);
}

static struct ts dns_local, dns_remote;

static void only_dns(struct child_params *p, bool is_a)
{
	CU_ASSERT_EQUAL(ts_parse(is_a ? &dns_remote : &dns_local, "10.2.0.0/16[udp/53]"), ERR_OK);
	CU_ASSERT_EQUAL(ts_parse(is_a ? &dns_local : &dns_remote, "10.1.0.0/16[udp]"), ERR_OK);
	p->local = &dns_local;
	p->remote = &dns_remote;
	p->num_local = p->num_remote = 1;
}

static void test_S56_ports(void)
{
	uint8_t inner[BED_MAX_PACKET], got[BED_MAX_PACKET];
	struct bed_esp e = {.pair = 1, .next_header = 4};
	struct bed bed;

	bed_init(&bed, &open_wire);
	bed_pair(&bed, 1, only_dns);
	size_t n = bed_udp4(inner, true, 999, 53, 0, 30);

	e.pad_len = bed_pad(n);
	e.seq = 1;
	CU_ASSERT_EQUAL(arrive_sealed(&bed, &e, inner, n, got), n);
	store_be16(inner + 22, 54);
	e.seq = 2;
	CU_ASSERT_EQUAL(arrive_sealed(&bed, &e, inner, n, got), 0);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_SA_SELECTOR_IN), 1);
	bed_fini(&bed);
}

static struct ts echo_local, echo_remote;

/* B lets A ask: echo requests with code 0 alone, from one end of the selectors or the other. */
static void only_echo(struct child_params *p, bool is_a)
{
	static const char *const ends[2][2] = {{"10.1.0.0/16[icmp/8(0)]", "10.2.0.0/16[icmp]"},
					       {"10.1.0.0/16[icmp]", "10.2.0.0/16[icmp/8(0)]"}};

	CU_ASSERT_EQUAL(ts_parse(is_a ? &echo_local : &echo_remote, ends[p->id == 2][0]), ERR_OK);
	CU_ASSERT_EQUAL(ts_parse(is_a ? &echo_remote : &echo_local, ends[p->id == 2][1]), ERR_OK);
	p->local = &echo_local;
	p->remote = &echo_remote;
	p->num_local = p->num_remote = 1;
}

/* RFC 4301 4.4.1.1: type and code are the port of both ends. */
static void test_S56_icmp_types_and_codes(void)
{
	uint8_t inner[BED_MAX_PACKET], got[BED_MAX_PACKET];
	struct bed bed;

	for (unsigned pair = 1; pair <= 2; pair++) {
		struct bed_esp e = {.pair = pair, .next_header = 4};
		uint64_t admitted = 0;

		bed_init(&bed, &open_wire);
		bed_pair(&bed, pair, only_echo);
		for (unsigned type = 0; type < 256; type++) {
			for (unsigned code = 0; code < 256; code += type == 8 ? 1 : 51) {
				const uint16_t both = (uint16_t)(type << 8 | code);
				size_t n = bed_udp4(inner, true, both, both, 0, 30);

				inner[9] = IPPROTO_ICMP;
				e.pad_len = bed_pad(n);
				e.seq++;
				n = arrive_sealed(&bed, &e, inner, n, got);
				CU_ASSERT_EQUAL(n != 0, type == 8 && code == 0);
				admitted += n != 0;
			}
		}
		CU_ASSERT_EQUAL(admitted, 1);
		CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_SA_SELECTOR_IN), e.seq - 1);
		bed_fini(&bed);
	}
}

/* Every inner header field spoilt in turn, well encrypted: delivered whole or dropped, never more.
 */
static void test_inner_bit_flips(void)
{
	uint8_t inner[BED_MAX_PACKET], got[BED_MAX_PACKET];
	struct bed_esp e = {.pair = 1, .next_header = 4};
	struct bed bed;
	size_t n = clear_packet(inner);

	open_bed(&bed);
	e.pad_len = bed_pad(n);
	for (size_t bit = 0; bit < 8 * 28; bit++) {
		inner[bit / 8] ^= (uint8_t)(1 << bit % 8);
		e.seq++;
		CU_ASSERT(arrive_sealed(&bed, &e, inner, n, got) <= n);
		inner[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	e.next_header = 41;
	n = bed_udp6(inner, true, 1, 2, 3, 50);
	e.pad_len = bed_pad(n);
	for (size_t bit = 0; bit < 8 * 48; bit++) {
		inner[bit / 8] ^= (uint8_t)(1 << bit % 8);
		e.seq++;
		CU_ASSERT(arrive_sealed(&bed, &e, inner, n, got) <= n);
		inner[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	bed_fini(&bed);
}

static void test_inner_truncated(void)
{
	uint8_t inner[BED_MAX_PACKET], got[BED_MAX_PACKET];
	struct bed_esp e = {.pair = 1, .next_header = 4};
	struct bed bed;
	size_t n = clear_packet(inner);

	open_bed(&bed);
	for (size_t cut = 0; cut < n; cut++) {
		e.seq++;
		e.pad_len = bed_pad(cut);
		CU_ASSERT_EQUAL(arrive_sealed(&bed, &e, inner, cut, got), 0);
	}
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_MALFORMED_INNER), n);
	bed_fini(&bed);
}

static void test_token_is_the_class(void)
{
	struct child_stats one, two;
	struct bed bed;

	open_bed(&bed);
	bed_pair(&bed, 2, NULL);
	CU_ASSERT_EQUAL(dataplane_child_stats(bed.b.dp, &one, 1), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_child_stats(bed.b.dp, &two, 2), ERR_OK);
	CU_ASSERT_NOT_EQUAL(one.token, 0);
	CU_ASSERT_EQUAL(one.token, two.token); /* re-keyed: same class */
	bed_fini(&bed);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_S50_every_pad_length),
	TAP_TEST(test_S50_pad_longer_than_packet),
	TAP_TEST(test_thousands_of_spis),
	TAP_TEST(test_S01_truncated),
	TAP_TEST(test_S55_bit_flips),
	TAP_TEST(test_S44_stray),
	TAP_TEST(test_S51_replayed),
	TAP_TEST(test_S51_copies_in_one_batch),
	TAP_TEST(test_S51_replay_is_not_decrypted),
	TAP_TEST(test_S52_esn_across_2_32),
	TAP_TEST(test_window_grows_under_traffic),
	TAP_TEST(test_next_headers),
	TAP_TEST(test_not_aligned),
	TAP_TEST(test_S56_another_peers_sa),
	TAP_TEST(test_tfc_padding_is_cut),
	TAP_TEST(test_S56_selectors),
	TAP_TEST(test_S56_ports),
	TAP_TEST(test_S56_icmp_types_and_codes),
	TAP_TEST(test_inner_bit_flips),
	TAP_TEST(test_inner_truncated),
	TAP_TEST(test_token_is_the_class),
};

TAP_MAIN("dataplane/inbound", tests)
