/* SPDX-License-Identifier: Apache-2.0 */
/* Transport mode (RFC 4303 3.1.1): what leaves, what is made of what arrives, and what is refused.
 * A is 10.1.0.1 and fd01::1, B is 10.2.0.1 and fd02::1. */
#include <netinet/in.h>

#include "dataplane/transport.h"
#include "tests/dataplane/testbed.h"
#include "tests/tap/tap.h"

static const struct bed_options open_wire = {.open_wire = true};

/* The pair that tweak() makes: selectors and addresses of both sides, A's first. */
static struct {
	struct ts local[2], remote[2];
	struct ip_addr seen_local[2], seen_remote[2];
} want;

static struct ts ts_of(const char *text)
{
	struct ts ts = {0};

	CU_ASSERT_EQUAL_FATAL(ts_parse(&ts, text), ERR_OK);
	return ts;
}

static struct ip_addr addr_of(const char *text)
{
	struct ip_addr a = {0};

	CU_ASSERT_EQUAL_FATAL(ip_addr_parse(&a, text), ERR_OK);
	return a;
}

static void transport(struct child_params *p, bool is_a)
{
	int i = is_a ? 0 : 1;

	p->mode = SA_TRANSPORT;
	p->local = &want.local[i];
	p->remote = &want.remote[i];
	p->num_local = p->num_remote = 1;
	p->seen_local = want.seen_local[i];
	p->seen_remote = want.seen_remote[i];
}

/* want_between - both sides use these selectors. */
static void want_between(const char *a, const char *b)
{
	memset(&want, 0, sizeof(want));
	want.local[0] = want.remote[1] = ts_of(a);
	want.remote[0] = want.local[1] = ts_of(b);
}

static void open_bed(struct bed *bed, const struct bed_options *options, bool v6)
{
	bed_init(bed, options);
	want_between(v6 ? "fd01::1" : "10.1.0.1", v6 ? "fd02::1" : "10.2.0.1");
	bed_pair(bed, 1, transport);
}

/* add_up - the Internet checksum over len bytes and what was summed before, not folded. */
static uint32_t add_up(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static uint16_t finish(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* upper_sum - over the pseudo header and the payload: 0 if the checksum in it is right. */
static uint16_t upper_sum(const uint8_t *ip, size_t len, uint8_t proto)
{
	size_t at = ip[0] >> 4 == 4 ? 20 : 40;
	uint32_t sum = at == 20 ? add_up(0, ip + 12, 8) : add_up(0, ip + 8, 32);

	return finish(add_up(sum + proto + (uint32_t)(len - at), ip + at, len - at));
}

/* make - a packet from A to B whose upper-layer checksum, `where` bytes into it, is right. */
static size_t make(uint8_t *buf, bool v6, uint8_t proto, size_t where, size_t len)
{
	size_t at = v6 ? 40 : 20;
	size_t n = v6 ? bed_udp6(buf, true, 1000, 2000, 7, len)
		      : bed_udp4(buf, true, 1000, 2000, 7, len);

	buf[v6 ? 6 : 9] = proto;
	store_be16(buf + at + where, 0);
	store_be16(buf + at + where, upper_sum(buf, n, proto));
	return n;
}

/* cross - the length of what B delivers of a packet from A. */
static size_t cross(struct bed *bed, const uint8_t *packet, size_t len, uint8_t *got)
{
	bed_send(&bed->a, packet, len);
	bed_turn(bed);
	return bed_receive(&bed->b, got);
}

/* ---- there and back -------------------------------------------------------------------------- */

static void test_v4(void)
{
	uint8_t sent[BED_MAX_PACKET], got[BED_MAX_PACKET];
	struct bed bed;

	open_bed(&bed, NULL, false);
	for (size_t len = 0; len < 200; len++) {
		size_t n = bed_udp4(sent, true, 1000, 2000, (uint32_t)len, len);

		sent[1] = (uint8_t)len; /* every DSCP and ECN goes along */
		store_be16(sent + 4, 99);
		CU_ASSERT_EQUAL_FATAL(cross(&bed, sent, n, got), n);
		CU_ASSERT_EQUAL(memcmp(got + 20, sent + 20, n - 20), 0);
		CU_ASSERT_EQUAL(load_be16(got), 0x4500 | len);
		CU_ASSERT_EQUAL(load_be16(got + 2), n);
		CU_ASSERT_EQUAL(load_be32(got + 4), 0x4000); /* whole for ever */
		CU_ASSERT_EQUAL(got[8], TRANSPORT_HOP_LIMIT);
		CU_ASSERT_EQUAL(got[9], IPPROTO_UDP);
		CU_ASSERT_EQUAL(memcmp(got + 12, sent + 12, 8), 0);
		CU_ASSERT_EQUAL(finish(add_up(0, got, 20)), 0);
	}
	size_t n = bed_udp4(sent, false, 1, 2, 3, 50);

	bed_send(&bed.b, sent, n);
	bed_turn(&bed);
	CU_ASSERT_EQUAL(bed_receive(&bed.a, got), n);
	CU_ASSERT_EQUAL(memcmp(got + 12, sent + 12, n - 12), 0);
	bed_fini(&bed);
}

static void test_v6(void)
{
	uint8_t sent[BED_MAX_PACKET], got[BED_MAX_PACKET];
	struct bed bed;

	open_bed(&bed, &(struct bed_options){.outer_v6 = true}, true);
	for (size_t len = 0; len < 200; len++) {
		size_t n = bed_udp6(sent, true, 1000, 2000, (uint32_t)len, len);

		store_be32(sent, 6u << 28 | (uint32_t)len << 20);
		CU_ASSERT_EQUAL_FATAL(cross(&bed, sent, n, got), n);
		sent[7] = TRANSPORT_HOP_LIMIT;
		CU_ASSERT_EQUAL(memcmp(got, sent, n), 0);
	}
	bed_fini(&bed);
}

/* What is on the wire is shorter than in a tunnel by the header, which nobody gets to see. */
static void test_wire_format(void)
{
	uint8_t clear[BED_MAX_PACKET], esp[BED_MAX_PACKET];
	struct bed bed;
	struct child_stats st;

	open_bed(&bed, &open_wire, false);
	size_t n = bed_udp4(clear, true, 1, 2, 3, 101);

	bed_send(&bed.a, clear, n);
	bed_turn_one(&bed, &bed.a);
	CU_ASSERT_EQUAL(bed_capture(&bed.a, esp), 8 + 8 + (n - 20 + 2 + 3) / 4 * 4 + 16);
	CU_ASSERT_EQUAL(dataplane_child_stats(bed.a.dp, &st, 1), ERR_OK);
	CU_ASSERT_EQUAL(st.out_bytes, n);
	bed_fini(&bed);
}

/* ---- what cannot stand behind ESP ------------------------------------------------------------ */

static void refused(struct bed *bed, const uint8_t *packet, size_t len, enum drop_reason why)
{
	uint64_t before = bed_dropped(&bed->a, why);
	struct child_stats st;
	uint8_t got[BED_MAX_PACKET];

	CU_ASSERT_EQUAL(cross(bed, packet, len, got), 0);
	CU_ASSERT_EQUAL(bed_dropped(&bed->a, why), before + 1);
	CU_ASSERT_EQUAL(dataplane_child_stats(bed->a.dp, &st, 1), ERR_OK);
	CU_ASSERT_EQUAL(st.out_seq, 0); /* it cost no sequence number either */
}

/* ESP is about whole packets (RFC 4303 3.3.4): fragments are put together first. */
static void test_v4_fragments_and_options(void)
{
	uint8_t packet[BED_MAX_PACKET], part[BED_MAX_PACKET], got[BED_MAX_PACKET];
	struct bed bed;
	size_t n = bed_udp4(packet, true, 1000, 2000, 1, 100);

	open_bed(&bed, NULL, false);
	memcpy(part, packet, 20 + 48);
	store_be16(part + 2, 20 + 48);
	store_be16(part + 6, 0x2000);
	CU_ASSERT_EQUAL(cross(&bed, part, 20 + 48, got), 0);
	memcpy(part + 20, packet + 68, n - 68);
	store_be16(part + 2, (uint16_t)(n - 48));
	store_be16(part + 6, 6);
	CU_ASSERT_EQUAL(cross(&bed, part, n - 48, got), n);
	CU_ASSERT_EQUAL(memcmp(got + 20, packet + 20, n - 20), 0);
	bed_fini(&bed);
	open_bed(&bed, NULL, false);
	store_be16(packet + 6, 0x4000);
	packet[0] = 0x46; /* router alert */
	memmove(packet + 24, packet + 20, n - 20);
	store_be32(packet + 20, 0x94040000);
	store_be16(packet + 2, (uint16_t)(n + 4));
	refused(&bed, packet, n + 4, DROP_TRANSPORT_HEADER);
	bed_fini(&bed);
}

/* insert6 - an extension header of 8 bytes before what is there. */
static size_t insert6(uint8_t *packet, size_t len, uint8_t kind)
{
	memmove(packet + 48, packet + 40, len - 40);
	memset(packet + 40, 0, 8);
	packet[40] = packet[6];
	if (kind != IPPROTO_FRAGMENT && kind != IPPROTO_ROUTING)
		packet[42] = 1, packet[43] = 4; /* PadN */
	packet[6] = kind;
	store_be16(packet + 4, (uint16_t)(len - 40 + 8));
	return len + 8;
}

static void test_v6_headers_before_esp(void)
{
	static const struct {
		uint8_t kind;
		enum drop_reason why;
	} cases[] = {
		{IPPROTO_HOPOPTS, DROP_TRANSPORT_HEADER},
		{IPPROTO_ROUTING, DROP_TRANSPORT_HEADER},
		{IPPROTO_FRAGMENT, DROP_TRANSPORT_FRAGMENT},
	};
	uint8_t packet[BED_MAX_PACKET];
	struct bed bed;

	open_bed(&bed, NULL, true);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t n = insert6(packet, bed_udp6(packet, true, 1, 2, 3, 40), cases[i].kind);

		refused(&bed, packet, n, cases[i].why);
		n = insert6(packet, n, IPPROTO_DSTOPTS); /* hidden behind another one */
		refused(&bed, packet, n, cases[i].why);
	}
	bed_fini(&bed);
}

static void test_v6_destination_options(void)
{
	uint8_t packet[BED_MAX_PACKET], got[BED_MAX_PACKET];
	struct bed bed;

	open_bed(&bed, NULL, true);
	size_t n = insert6(packet, bed_udp6(packet, true, 1, 2, 3, 40), IPPROTO_DSTOPTS);

	CU_ASSERT_EQUAL(cross(&bed, packet, n, got), n);
	CU_ASSERT_EQUAL(memcmp(got, packet, n), 0);
	bed_fini(&bed);
}

/* ---- what arrives ---------------------------------------------------------------------------- */

static size_t arrive(struct bed *bed, uint64_t seq, uint8_t next_header, const uint8_t *payload,
		     size_t len, uint8_t *got)
{
	struct bed_esp e = {
		.pair = 1, .seq = seq, .next_header = next_header, .pad_len = bed_pad(len)};
	uint8_t esp[BED_MAX_PACKET];

	bed_deliver(&bed->b, esp, bed_seal(bed, esp, &e, payload, len));
	bed_turn_one(bed, &bed->b);
	return bed_receive(&bed->b, got);
}

/* Every next header is a protocol but the dummy's, those of control messages about paths and of
 * what is compressed, which this peer has not agreed on, and, in IPv6, what should stand before
 * ESP. */
static void every_next_header(bool v6)
{
	uint8_t payload[32] = {0}, got[BED_MAX_PACKET];
	struct bed bed;
	size_t head = v6 ? 40 : 20;

	open_bed(&bed, &open_wire, v6);
	payload[0] = IPPROTO_NONE; /* what follows if these are destination options */
	for (unsigned i = 0; i < 256; i++) {
		bool before = v6 && (i == IPPROTO_HOPOPTS || i == IPPROTO_ROUTING ||
				     i == IPPROTO_FRAGMENT);
		size_t n = arrive(&bed, i + 1, (uint8_t)i, payload, sizeof(payload), got);

		before = before || i == IPPROTO_NONE || i == IPPROTO_COMP || i == ESP_PROBE;
		CU_ASSERT_EQUAL(n, before ? 0 : head + sizeof(payload));
		CU_ASSERT(n == 0 || got[v6 ? 6 : 9] == i);
	}
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_DUMMY), 1);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_IPCOMP), 1);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_NEXT_HEADER), 1);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_TRANSPORT_HEADER), v6 ? 2 : 0);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_TRANSPORT_FRAGMENT), v6 ? 1 : 0);
	bed_fini(&bed);
}

static void test_every_next_header(void)
{
	every_next_header(false);
	every_next_header(true);
}

/* S1: options that say they are longer than the packet, and packets of every short length. */
static void test_S01_short(void)
{
	uint8_t payload[32] = {0}, got[BED_MAX_PACKET];
	uint64_t seq = 0;
	struct bed bed;

	open_bed(&bed, &open_wire, true);
	for (unsigned words = 0; words < 256; words++) {
		payload[0] = IPPROTO_DSTOPTS;
		payload[1] = (uint8_t)words;
		CU_ASSERT_EQUAL(arrive(&bed, ++seq, IPPROTO_DSTOPTS, payload, 8, got), 0);
	}
	for (size_t len = 0; len < 8; len++) {
		CU_ASSERT_EQUAL(arrive(&bed, ++seq, IPPROTO_DSTOPTS, payload, len, got), 0);
		CU_ASSERT_EQUAL(arrive(&bed, ++seq, IPPROTO_UDP, payload, len, got),
				len < 4 ? 0 : 40 + len);
	}
	bed_fini(&bed);
}

/* S56: the packet that is made again lies within the selectors, or is not let in. */
static void test_S56_ports(void)
{
	uint8_t payload[16] = {0}, got[BED_MAX_PACKET];
	struct bed bed;

	bed_init(&bed, &open_wire);
	want_between("10.1.0.1[tcp]", "10.2.0.1[tcp/22]");
	bed_pair(&bed, 1, transport);
	store_be16(payload, 1000);
	store_be16(payload + 2, 22);
	for (uint64_t seq = 1; seq < 9; seq += 4) { /* the second time from the flow cache */
		store_be16(payload + 2, 22);
		CU_ASSERT_EQUAL(arrive(&bed, seq, IPPROTO_TCP, payload, 16, got), 36);
		CU_ASSERT_EQUAL(arrive(&bed, seq + 1, IPPROTO_UDP, payload, 16, got), 0);
		CU_ASSERT_EQUAL(arrive(&bed, seq + 2, IPPROTO_ICMP, payload, 16, got), 0);
		store_be16(payload + 2, 23);
		CU_ASSERT_EQUAL(arrive(&bed, seq + 3, IPPROTO_TCP, payload, 16, got), 0);
	}
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_SA_SELECTOR_IN), 6);
	bed_fini(&bed);
}

/* S56: whatever a peer writes, the packet comes from the peer's address and goes to ours: an IP
 * header inside is only the payload of protocol 4. */
static void test_S56_addresses(void)
{
	uint8_t inner[BED_MAX_PACKET], got[BED_MAX_PACKET];
	struct bed bed;
	size_t n = bed_udp4(inner, true, 1, 2, 3, 40);

	open_bed(&bed, &open_wire, false);
	inner[12] = 8;
	inner[16] = 9;
	CU_ASSERT_EQUAL(arrive(&bed, 1, IPPROTO_IPIP, inner, n, got), 20 + n);
	CU_ASSERT_EQUAL(load_be32(got + 12), 0x0a010001);
	CU_ASSERT_EQUAL(load_be32(got + 16), 0x0a020001);
	CU_ASSERT_EQUAL(got[9], IPPROTO_IPIP);
	bed_fini(&bed);
}

/* ---- through a NAT --------------------------------------------------------------------------- */

/* A calls itself 192.168.0.5 or fd99::5, and B knows it as 10.1.0.1 or fd01::1; B calls itself
 * 10.2.0.1 or fd02::1, and A knows it as 10.2.7.7 or fd02::7. */
static void behind_nats(struct bed *bed, bool v6)
{
	const char *a = v6 ? "fd99::5" : "192.168.0.5", *a_seen = v6 ? "fd01::1" : "10.1.0.1";
	const char *b = v6 ? "fd02::1" : "10.2.0.1", *b_seen = v6 ? "fd02::7" : "10.2.7.7";
	const struct ts local = ts_of(a), remote = ts_of(b_seen);
	struct policy_params policy = {.layer = POLICY_CONFIG, .action = POLICY_PROTECT};
	uint32_t id;

	memset(&want, 0, sizeof(want));
	want.local[0] = local;
	want.remote[0] = remote;
	want.local[1] = ts_of(b);
	want.remote[1] = ts_of(a_seen);
	want.seen_local[0] = addr_of(a_seen);
	want.seen_remote[0] = addr_of(b);
	want.seen_local[1] = addr_of(b_seen);
	want.seen_remote[1] = addr_of(a);
	bed_init(bed, NULL);
	policy.group = bed->a.group;
	policy.local = &local;
	policy.remote = &remote;
	policy.num_local = policy.num_remote = 1;
	CU_ASSERT_EQUAL(dataplane_policy_add(bed->a.dp, &id, &policy), ERR_OK);
	bed_pair(bed, 1, transport);
}

static const struct {
	uint8_t proto, checksum_at;
} checked[] = {
	{IPPROTO_TCP, 16},
	{IPPROTO_UDP, 6},
	{IPPROTO_UDPLITE, 6},
	{IPPROTO_DCCP, 6},
};

/* as_seen_by_a - give a packet from A the addresses that A uses. */
static void as_seen_by_a(uint8_t *packet, bool v6)
{
	const struct ip_addr src = addr_of(v6 ? "fd99::5" : "192.168.0.5");
	const struct ip_addr dst = addr_of(v6 ? "fd02::7" : "10.2.7.7");

	memcpy(packet + (v6 ? 8 : 12), src.b, ip_addr_len(&src));
	memcpy(packet + (v6 ? 24 : 16), dst.b, ip_addr_len(&dst));
}

static void one_checksum(struct bed *bed, bool v6, uint8_t proto, size_t where, size_t len)
{
	uint8_t packet[BED_MAX_PACKET], got[BED_MAX_PACKET];
	size_t at = v6 ? 40 : 20;
	size_t n = make(packet, v6, proto, where, len);

	as_seen_by_a(packet, v6);
	store_be16(packet + at + where, 0);
	store_be16(packet + at + where, upper_sum(packet, n, proto));
	CU_ASSERT_EQUAL_FATAL(cross(bed, packet, n, got), n);
	CU_ASSERT_EQUAL(upper_sum(got, n, proto), 0);
	CU_ASSERT_EQUAL(memcmp(got + (v6 ? 8 : 12), want.remote[1].lo.b, v6 ? 16 : 4), 0);
	CU_ASSERT_EQUAL(memcmp(got + (v6 ? 24 : 16), want.local[1].lo.b, v6 ? 16 : 4), 0);
	/* A wrong checksum stays wrong: what the peer protected end to end is not made right here.
	 */
	packet[at + where] ^= 0x10;
	CU_ASSERT_EQUAL(cross(bed, packet, n, got), n);
	CU_ASSERT_NOT_EQUAL(upper_sum(got, n, proto), 0);
}

static void test_checksums_v4(void)
{
	struct bed bed;

	behind_nats(&bed, false);
	for (size_t i = 0; i < ARRAY_LEN(checked); i++)
		for (size_t len = 12; len < 80; len++)
			one_checksum(&bed, false, checked[i].proto, checked[i].checksum_at, len);
	bed_fini(&bed);
}

static void test_checksums_v6(void)
{
	struct bed bed;

	behind_nats(&bed, true);
	for (size_t i = 0; i < ARRAY_LEN(checked); i++)
		one_checksum(&bed, true, checked[i].proto, checked[i].checksum_at, 33);
	one_checksum(&bed, true, IPPROTO_ICMPV6, 2, 33);
	bed_fini(&bed);
}

/* UDP without a checksum stays so; ICMP's is over the message alone, SCTP's as well. */
static void test_checksums_left_alone(void)
{
	static const uint8_t protos[] = {IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_SCTP, IPPROTO_GRE};
	uint8_t packet[BED_MAX_PACKET], got[BED_MAX_PACKET];
	struct bed bed;

	behind_nats(&bed, false);
	for (size_t i = 0; i < ARRAY_LEN(protos); i++) {
		size_t n = bed_udp4(packet, true, 1, 2, 3, 40);

		packet[9] = protos[i];
		as_seen_by_a(packet, false);
		CU_ASSERT_EQUAL(cross(&bed, packet, n, got), n);
		CU_ASSERT_EQUAL(memcmp(got + 20, packet + 20, n - 20), 0);
	}
	bed_fini(&bed);
}

/* Any word that the sum can have, 0 and 0xffff among them, against the sum made anew. */
static void test_every_checksum(void)
{
	uint8_t packet[BED_MAX_PACKET], got[BED_MAX_PACKET];
	uint32_t bad = 0;
	struct bed bed;

	behind_nats(&bed, false);
	for (uint32_t v = 0; v < 0x10000; v += v < 0x200 || v > 0xfe00 ? 1 : 97) {
		size_t n = make(packet, false, IPPROTO_UDP, 6, 20);

		as_seen_by_a(packet, false);
		store_be16(packet + 30, (uint16_t)v);
		store_be16(packet + 26, 0);
		uint16_t sum = upper_sum(packet, n, IPPROTO_UDP);

		store_be16(packet + 26, sum ? sum : UINT16_MAX);
		bad += cross(&bed, packet, n, got) != n || upper_sum(got, n, IPPROTO_UDP) != 0 ||
		       load_be16(got + 26) == 0;
	}
	CU_ASSERT_EQUAL(bad, 0);
	bed_fini(&bed);
}

/* ---- what is no pair ------------------------------------------------------------------------- */

static enum err add(struct bed *bed, const char *local, const char *local2, const char *remote)
{
	uint8_t key[36] = {0};
	const struct ts l[] = {ts_of(local), ts_of(local2)}, r = ts_of(remote);
	struct child_params p = bed_child_params(&bed->a, 5);
	enum err e;

	p.mode = SA_TRANSPORT;
	p.key_in = p.key_out = bytes_of(key, sizeof(key));
	p.local = l;
	p.num_local = 2;
	p.remote = &r;
	p.spi_out = 0x1000;
	CU_ASSERT_EQUAL(dataplane_spi_reserve(bed->a.dp, &p.spi_in), ERR_OK);
	e = dataplane_child_add(bed->a.dp, &p);
	if (e == ERR_OK)
		dataplane_child_remove(bed->a.dp, 5, CHILD_BOTH);
	else
		dataplane_spi_release(bed->a.dp, p.spi_in);
	return e;
}

static void test_one_address_each(void)
{
	struct bed bed;

	bed_init(&bed, NULL);
	CU_ASSERT_EQUAL(add(&bed, "10.1.0.1[tcp/22]", "10.1.0.1[udp]", "10.2.0.1"), ERR_OK);
	CU_ASSERT_EQUAL(add(&bed, "10.1.0.1", "10.1.0.2", "10.2.0.1"), ERR_INVAL);
	CU_ASSERT_EQUAL(add(&bed, "10.1.0.0/31", "10.1.0.0/31", "10.2.0.1"), ERR_INVAL);
	CU_ASSERT_EQUAL(add(&bed, "10.1.0.1", "10.1.0.1", "10.2.0.0/24"), ERR_INVAL);
	CU_ASSERT_EQUAL(add(&bed, "10.1.0.1", "10.1.0.1", "fd02::1"), ERR_INVAL);
	bed_fini(&bed);
}

static void transport_padded(struct child_params *p, bool is_a)
{
	transport(p, is_a);
	p->tfc_padding = 500;
}

/* RFC 4303 2.7: no header behind ESP says where the data ends; what would be added would be data.
 */
static void test_no_tfc_padding(void)
{
	uint8_t buf[BED_MAX_PACKET], got[BED_MAX_PACKET];
	struct bed bed;
	size_t n = bed_udp4(buf, true, 1, 1, 9, 100);

	bed_init(&bed, NULL);
	want_between("10.1.0.1", "10.2.0.1");
	bed_pair(&bed, 1, transport_padded);
	bed_send(&bed.a, buf, n);
	bed_turn(&bed);
	CU_ASSERT_EQUAL(bed_receive(&bed.b, got), n);
	bed_fini(&bed);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_v4),
	TAP_TEST(test_v6),
	TAP_TEST(test_wire_format),
	TAP_TEST(test_v4_fragments_and_options),
	TAP_TEST(test_v6_headers_before_esp),
	TAP_TEST(test_v6_destination_options),
	TAP_TEST(test_every_next_header),
	TAP_TEST(test_S01_short),
	TAP_TEST(test_S56_ports),
	TAP_TEST(test_S56_addresses),
	TAP_TEST(test_checksums_v4),
	TAP_TEST(test_checksums_v6),
	TAP_TEST(test_checksums_left_alone),
	TAP_TEST(test_every_checksum),
	TAP_TEST(test_one_address_each),
	TAP_TEST(test_no_tfc_padding),
};

TAP_MAIN("dataplane/transport", tests)
