/* SPDX-License-Identifier: Apache-2.0 */
/* Outer headers on and off: every family and encapsulation, and each frame cut short or with any
 * bit turned. */
#include "drivers/ip_frame.h"

#include "base/alloc.h"
#include "base/bytes.h"

#include "tests/tap/tap.h"

#define PAYLOAD_LEN 45

/* struct frame_case - a datagram's addresses. */
struct frame_case {
	const char *name, *local, *remote;
	uint16_t local_port, remote_port;
	uint8_t encap;
	uint8_t flags;
	uint32_t headers_len;
};

static const struct frame_case cases[] = {
	{"v4 esp", "192.0.2.1", "192.0.2.2", 0, 0, ENCAP_NONE, PACKET_F_DF, 20},
	{"v4 udp", "192.0.2.1", "192.0.2.2", 1024, 4500, ENCAP_UDP, 0, 28},
	{"v4 ike", "192.0.2.1", "192.0.2.2", 500, 500, ENCAP_NONE, 0, 28},
	{"v6 esp", "2001:db8::1", "2001:db8::2", 0, 0, ENCAP_NONE, 0, 40},
	{"v6 udp", "2001:db8::1", "2001:db8::2", 4500, 4500, ENCAP_UDP, 0, 48},
};

/* struct frame_packet - a packet with its buffer. */
struct frame_packet {
	struct packet p;
	struct path_addr to;
	uint8_t buf[PACKET_HEADROOM + 256];
};

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	CU_ASSERT_EQUAL_FATAL(ip_addr_parse(&a, text), ERR_OK);
	return a;
}

static void begin(struct frame_packet *f, const struct frame_case *c)
{
	memset(f, 0, sizeof(*f));
	f->to = (struct path_addr){
		.local = {.addr = addr(c->local), .port = c->local_port},
		.remote = {.addr = addr(c->remote), .port = c->remote_port},
		.encap = c->encap,
	};
	f->p = (struct packet){.buf = f->buf,
			       .data = f->buf + PACKET_HEADROOM,
			       .cap = sizeof(f->buf),
			       .len = PAYLOAD_LEN,
			       .to = &f->to,
			       .flags = c->flags,
			       .dscp_ecn = 0xb9};
	for (uint32_t i = 0; i < PAYLOAD_LEN; i++)
		f->p.data[i] = (uint8_t)(i * 3);
}

static void test_on_and_off(void)
{
	struct frame_packet f;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct frame_case *c = &cases[i];

		begin(&f, c);
		CU_ASSERT_FATAL(frame_push_outer(&f.p, 0x1234));
		CU_ASSERT_EQUAL(f.p.len, PAYLOAD_LEN + c->headers_len);
		if (c->headers_len < 40) {
			CU_ASSERT_EQUAL(load_be16(f.p.data + 4), 0x1234);
			CU_ASSERT_EQUAL(load_be16(f.p.data + 6), c->flags ? 0x4000 : 0);
		}
		CU_ASSERT_FATAL(frame_push_ethernet(&f.p));
		CU_ASSERT_EQUAL(f.p.len, PAYLOAD_LEN + c->headers_len + FRAME_ETHERNET_LEN);
		CU_ASSERT_FATAL(frame_strip_ethernet(&f.p));
		f.p.dscp_ecn = 0;
		CU_ASSERT_FATAL(frame_strip_outer(&f.p));
		CU_ASSERT_EQUAL(f.p.len, PAYLOAD_LEN);
		CU_ASSERT_PTR_EQUAL(f.p.data, f.buf + PACKET_HEADROOM);
		CU_ASSERT_EQUAL(f.p.dscp_ecn, 0xb9);
		CU_ASSERT_EQUAL(f.p.from.encap, c->encap);
		CU_ASSERT_EQUAL(memcmp(&f.p.from.local, &f.to.remote, sizeof(f.to.remote)), 0);
		CU_ASSERT_EQUAL(memcmp(&f.p.from.remote, &f.to.local, sizeof(f.to.local)), 0);
		for (uint32_t at = 0; at < PAYLOAD_LEN; at++)
			CU_ASSERT_EQUAL(f.p.data[at], (uint8_t)(at * 3));
	}
}

/* What is not whole is refused and left as it was; what follows the datagram is left away. */
/* Open packets: headers name what will be there, and a checksum over it is nobody's to make. */
static void test_open(void)
{
	struct frame_packet f, before;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct frame_case *c = &cases[i];
		const bool sum = c->headers_len == 48;
		struct frame_head h;

		begin(&f, c);
		f.p.len = 0;
		f.p.open_len = PAYLOAD_LEN;
		memcpy(&before, &f, sizeof(f));
		CU_ASSERT_FATAL(frame_head_init(&h, &f.to, false));
		CU_ASSERT_EQUAL(frame_head_push(&h, &f.p, 7), !sum);
		if (sum) {
			CU_ASSERT_EQUAL(memcmp(&before, &f, sizeof(f)), 0);
			frame_head_leave_sum(&h);
			CU_ASSERT_FALSE(frame_head_push(&h, &f.p, 7));
			continue;
		}
		CU_ASSERT_EQUAL(f.p.len, c->headers_len);
		CU_ASSERT_EQUAL(f.p.open_len, PAYLOAD_LEN);
		f.p.len += PAYLOAD_LEN;
		f.p.open_len = 0;
		CU_ASSERT(frame_strip_outer(&f.p));
		CU_ASSERT_EQUAL(f.p.len, PAYLOAD_LEN);
	}
}

static void test_truncation_sweep(void)
{
	struct frame_packet f;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		begin(&f, &cases[i]);
		CU_ASSERT_FATAL(frame_push_outer(&f.p, 1));
		const uint32_t whole = f.p.len;

		for (uint32_t len = 0; len < whole; len++) {
			/* In a block of its own, so that a sanitizer sees what is read beyond. */
			uint8_t *copy = mem_alloc(len ? len : 1);
			struct packet p = {.buf = copy, .data = copy, .len = len, .cap = len};

			CU_ASSERT_FATAL(copy != NULL);
			memcpy(copy, f.p.data, len);
			CU_ASSERT(!frame_strip_outer(&p));
			CU_ASSERT(p.data == copy && p.len == len);
			mem_free(copy);
		}
		f.p.len = whole + 9;
		CU_ASSERT(frame_strip_outer(&f.p));
		CU_ASSERT_EQUAL(f.p.len, PAYLOAD_LEN);
	}
}

/* Any bit of the headers may be wrong: what is accepted lies within the frame. */
static void test_bit_flips(void)
{
	struct frame_packet f;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint32_t accepted = 0;

		for (uint32_t bit = 0; bit < 8 * cases[i].headers_len; bit++) {
			begin(&f, &cases[i]);
			CU_ASSERT_FATAL(frame_push_outer(&f.p, 1));
			const uint8_t *frame = f.p.data;
			uint32_t len = f.p.len;

			f.p.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
			if (!frame_strip_outer(&f.p)) {
				CU_ASSERT(f.p.data == frame && f.p.len == len);
				continue;
			}
			accepted++;
			CU_ASSERT(f.p.data >= frame && f.p.data + f.p.len <= frame + len);
		}
		CU_ASSERT(accepted > 0 && accepted < 8 * cases[i].headers_len);
	}
}

static bool strip(const uint8_t *bytes, uint32_t len, uint32_t *out_left)
{
	uint8_t copy[64];
	struct packet p = {.buf = copy, .data = copy, .len = len, .cap = sizeof(copy)};

	memcpy(copy, bytes, len);
	bool ok = frame_strip_ethernet(&p);

	CU_ASSERT(ok || (p.data == copy && p.len == len));
	*out_left = p.len;
	return ok;
}

static void test_ethernet(void)
{
	uint8_t f[40] = {[12] = 0x08, [13] = 0x00};
	uint32_t left;

	CU_ASSERT(strip(f, 40, &left) && left == 26);
	CU_ASSERT(!strip(f, 13, &left));
	memcpy(f + 12, (uint8_t[]){0x81, 0, 0, 5, 0x86, 0xdd}, 6);
	CU_ASSERT(strip(f, 40, &left) && left == 22);
	CU_ASSERT(!strip(f, 17, &left));
	memcpy(f + 12, (uint8_t[]){0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 0x08, 0}, 10);
	CU_ASSERT(strip(f, 40, &left) && left == 18);
	memcpy(f + 12, (uint8_t[]){0x81, 0, 0, 5, 0x81, 0, 0, 6, 0x81, 0, 0, 7, 8, 0}, 14);
	CU_ASSERT(!strip(f, 40, &left)); /* three tags */
	memcpy(f + 12, (uint8_t[]){0x08, 0x06}, 2);
	CU_ASSERT(!strip(f, 40, &left)); /* ARP */
}

static void test_refused(void)
{
	struct frame_packet f;

	begin(&f, &cases[0]);
	f.to.remote.addr.family = IP_NONE;
	CU_ASSERT(!frame_push_outer(&f.p, 1));
	begin(&f, &cases[0]);
	f.p.data = f.buf + 19;
	CU_ASSERT(!frame_push_outer(&f.p, 1));
	f.p.data = f.buf + 20;
	CU_ASSERT(frame_push_outer(&f.p, 1));
	CU_ASSERT(!frame_push_ethernet(&f.p)); /* no headroom any more */
	begin(&f, &cases[0]);
	f.p.len = 65516;
	CU_ASSERT(!frame_push_outer(&f.p, 1));
	begin(&f, &cases[0]);
	f.p.data[0] = 0x70;
	CU_ASSERT(!frame_push_ethernet(&f.p));
	f.p.len = 0;
	CU_ASSERT(!frame_push_ethernet(&f.p));
	CU_ASSERT(!frame_strip_outer(&f.p));
	/* To another port. */
	begin(&f, &cases[1]);
	f.to.remote.port = 4501;
	CU_ASSERT_FATAL(frame_push_outer(&f.p, 1));
	CU_ASSERT(!frame_strip_outer(&f.p));
}

static const struct tap_test tests[] = {
	TAP_TEST(test_on_and_off), TAP_TEST(test_open),     TAP_TEST(test_truncation_sweep),
	TAP_TEST(test_bit_flips),  TAP_TEST(test_ethernet), TAP_TEST(test_refused),
};

TAP_MAIN("drivers/ip_frame", tests)
