/* SPDX-License-Identifier: Apache-2.0 */
/* The TOS byte across a tunnel: RFC 6040 for ECN, RFC 4301 5.1.2 for DSCP, every combination in
 * both families, and the IPv4 checksum that follows. */
#include "dataplane/passes.h"
#include "dataplane/tos.h"
#include "tests/dataplane/testbed.h"
#include "tests/tap/tap.h"

#define DROPPED 0xff

/* RFC 6040 figure 4: arriving inner and outer, what is forwarded. */
static const struct {
	uint8_t inner, outer, forwarded;
} figure4[] = {
	{ECN_NOT_ECT, ECN_NOT_ECT, ECN_NOT_ECT},
	{ECN_NOT_ECT, ECN_ECT0, ECN_NOT_ECT},
	{ECN_NOT_ECT, ECN_ECT1, ECN_NOT_ECT},
	{ECN_NOT_ECT, ECN_CE, DROPPED},
	{ECN_ECT0, ECN_NOT_ECT, ECN_ECT0},
	{ECN_ECT0, ECN_ECT0, ECN_ECT0},
	{ECN_ECT0, ECN_ECT1, ECN_ECT1},
	{ECN_ECT0, ECN_CE, ECN_CE},
	{ECN_ECT1, ECN_NOT_ECT, ECN_ECT1},
	{ECN_ECT1, ECN_ECT0, ECN_ECT1},
	{ECN_ECT1, ECN_ECT1, ECN_ECT1},
	{ECN_ECT1, ECN_CE, ECN_CE},
	{ECN_CE, ECN_NOT_ECT, ECN_CE},
	{ECN_CE, ECN_ECT0, ECN_CE},
	{ECN_CE, ECN_ECT1, ECN_CE},
	{ECN_CE, ECN_CE, ECN_CE},
};

static const enum dscp_copy copies[] = {DSCP_COPY_NONE, DSCP_COPY_OUT, DSCP_COPY_IN,
					DSCP_COPY_BOTH};

/* checksum - of an IPv4 header of 20 bytes, by the book (RFC 1071). */
static uint16_t checksum(const uint8_t *ip)
{
	uint32_t sum = 0;

	for (int i = 0; i < 20; i += 2)
		sum += i == 10 ? 0 : load_be16(ip + i);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* make - an inner packet with this TOS byte; returns its length. */
static size_t make(uint8_t *buf, bool v6, uint8_t tos)
{
	size_t len = v6 ? bed_udp6(buf, true, 1, 2, 3, 30) : bed_udp4(buf, true, 1, 2, 3, 30);

	if (v6) {
		buf[0] = (uint8_t)(0x60 | tos >> 4);
		buf[1] = (uint8_t)(tos << 4 | 0x0a); /* and a flow label */
	} else {
		buf[1] = tos;
		store_be16(buf + 10, checksum(buf));
	}
	return len;
}

static enum dscp_copy chosen;

static void choose(struct child_params *p, bool is_a)
{
	(void)is_a;
	p->copy_dscp = chosen;
}

static struct packet *new_packet(struct side *s, const uint8_t *bytes, size_t len)
{
	struct packet *p = packet_get(s->dp->workers[0]->pool);

	CU_ASSERT_FATAL(p != NULL);
	memcpy(p->data, bytes, len);
	p->len = (uint32_t)len;
	counter_add(&s->dp->workers[0]->count.rx, 1);
	return p;
}

/* receive - B's passes over one ESP packet with this outer TOS byte; what is delivered, or 0. */
static size_t receive(struct bed *bed, uint8_t out[static BED_MAX_PACKET], uint64_t seq,
		      const uint8_t *inner, size_t len, uint8_t outer)
{
	struct bed_esp e = {.pair = 1,
			    .seq = seq,
			    .pad_len = bed_pad(len),
			    .next_header = inner[0] >> 4 == 4 ? 4 : 41};
	struct worker *w = bed->b.dp->workers[0];
	struct pktvec v = {.num = 0}, next;
	uint8_t esp[BED_MAX_PACKET];
	size_t n = bed_seal(bed, esp, &e, inner, len);
	struct packet *p = new_packet(&bed->b, esp, n);

	p->port = bed->b.outer;
	p->from = bed->b.path;
	p->dscp_ecn = outer;
	pktvec_push(&v, p);
	in_demux(w, &v, &next);
	in_lookup(w, &next, &v);
	in_decrypt(w, &v, &next);
	in_commit(w, &next, &v);
	in_finish(w, &v, &next);
	in_deliver(w, &next, &v);
	bed_turn_one(bed, &bed->b);
	return bed_receive(&bed->b, out);
}

static void check_received(struct bed *bed, uint64_t seq, bool v6, size_t row, uint8_t in_dscp,
			   uint8_t out_dscp)
{
	uint8_t dscp = chosen & DSCP_COPY_IN ? out_dscp : in_dscp;
	uint8_t sent[BED_MAX_PACKET], wanted[BED_MAX_PACKET], got[BED_MAX_PACKET];
	size_t len = make(sent, v6, in_dscp | figure4[row].inner);
	uint64_t before = bed_dropped(&bed->b, DROP_ECN);
	size_t n = receive(bed, got, seq, sent, len, out_dscp | figure4[row].outer);

	if (figure4[row].forwarded == DROPPED) {
		CU_ASSERT_EQUAL(n, 0);
		CU_ASSERT_EQUAL(bed_dropped(&bed->b, DROP_ECN), before + 1);
		return;
	}
	make(wanted, v6, dscp | figure4[row].forwarded);
	CU_ASSERT_EQUAL(bed_dropped(&bed->b, DROP_ECN), before);
	CU_ASSERT(n == len && memcmp(got, wanted, len) == 0);
}

/* All sixteen combinations of ECN, with DSCPs of their own, for each way to copy and family. */
static void test_received(void)
{
	static const uint8_t dscps[][2] = {{0, 0}, {0xb8, 0}, {0, 0xb8}, {0x28, 0xfc}};

	for (size_t c = 0; c < ARRAY_LEN(copies); c++) {
		uint64_t seq = 0;
		struct bed bed;

		chosen = copies[c];
		bed_init(&bed, &(struct bed_options){.open_wire = true});
		bed_pair(&bed, 1, choose);
		for (size_t row = 0; row < ARRAY_LEN(figure4); row++)
			for (size_t i = 0; i < ARRAY_LEN(dscps); i++)
				for (int v6 = 0; v6 < 2; v6++)
					check_received(&bed, ++seq, v6, row, dscps[i][0],
						       dscps[i][1]);
		bed_fini(&bed);
	}
}

static uint8_t sent_tos(struct bed *bed, const uint8_t *inner, size_t len)
{
	struct worker *w = bed->a.dp->workers[0];
	struct pktvec v = {.num = 0}, next;
	uint8_t buf[BED_MAX_PACKET], tos;

	pktvec_push(&v, new_packet(&bed->a, inner, len));
	v.pkt[0]->dscp_ecn = 0x55; /* whatever it was before */
	out_classify(w, &v, &next);
	out_prepare(w, &next, &v);
	CU_ASSERT_FATAL(v.num == 1);
	tos = v.pkt[0]->dscp_ecn;
	out_encrypt(w, &v, &next);
	out_path(w, &next, &v);
	bed_turn_one(bed, &bed->a);
	CU_ASSERT(bed_capture(&bed->a, buf) > 0);
	return tos;
}

/* Every inner byte: ECN goes out as it is, DSCP if it is to be copied. */
static void test_sent(void)
{
	uint8_t inner[BED_MAX_PACKET];

	for (size_t c = 0; c < ARRAY_LEN(copies); c++) {
		struct bed bed;

		chosen = copies[c];
		bed_init(&bed, &(struct bed_options){.open_wire = true});
		bed_pair(&bed, 1, choose);
		for (unsigned tos = 0; tos < 256; tos++)
			for (int v6 = 0; v6 < 2; v6++) {
				size_t len = make(inner, v6, (uint8_t)tos);
				bool out = chosen == DSCP_COPY_OUT || chosen == DSCP_COPY_BOTH;

				CU_ASSERT_EQUAL(sent_tos(&bed, inner, len), out ? tos : tos & 3);
			}
		bed_fini(&bed);
	}
}

/* From one inner port to the other: what no router touched arrives as it was sent. */
static void test_across(void)
{
	uint8_t inner[BED_MAX_PACKET], got[BED_MAX_PACKET];

	for (size_t c = 0; c < ARRAY_LEN(copies); c++) {
		struct bed bed;

		chosen = copies[c];
		bed_init(&bed, NULL);
		bed_pair(&bed, 1, choose);
		for (unsigned tos = 0; tos < 256; tos += 3)
			for (int v6 = 0; v6 < 2; v6++) {
				size_t len = make(inner, v6, (uint8_t)tos), n;

				bed_send(&bed.a, inner, len);
				bed_turn(&bed);
				n = bed_receive(&bed.b, got);
				/* Copied in, but not out: the DSCP is lost on the way. */
				if (chosen == DSCP_COPY_IN)
					make(inner, v6, (uint8_t)(tos & 3));
				CU_ASSERT(n == len && memcmp(inner, got, len) == 0);
			}
		bed_fini(&bed);
	}
}

/* Every checksum there is, from and to several bytes, is what it would be if added up anew; one
 * that was wrong is as wrong as before. */
static void test_checksum(void)
{
	static const uint8_t bytes[] = {0x00, 0x01, 0x02, 0x03, 0xb8, 0xff};
	uint8_t ip[64];

	make(ip, false, 0);
	for (uint32_t id = 0; id < 0x10000; id++) {
		uint8_t from = bytes[id % ARRAY_LEN(bytes)];
		uint8_t to = bytes[(id / 7) % ARRAY_LEN(bytes)];

		store_be16(ip + 4, (uint16_t)id);
		ip[1] = from;
		store_be16(ip + 10, checksum(ip));
		tos_set(ip, to);
		CU_ASSERT_FATAL(ip[1] == to && load_be16(ip + 10) == checksum(ip));
		store_be16(ip + 10, (uint16_t)(checksum(ip) ^ 0x0110));
		tos_set(ip, from);
		CU_ASSERT_FATAL(load_be16(ip + 10) != checksum(ip));
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_received),
	TAP_TEST(test_sent),
	TAP_TEST(test_across),
	TAP_TEST(test_checksum),
};

TAP_MAIN("dataplane/tos", tests)
