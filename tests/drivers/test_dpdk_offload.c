/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What DPDK's ports do in our place: checksums and TCP that is left to net_tap, whose other side is
 * the kernel's, and to net_virtio_user and net_vhost, which are each other's other side; what they
 * tell of headers that came. What is left to nobody stays as it is, right or wrong.
 */
#include "drivers/dpdk.h"

#include <net/if.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/pool.h"
#include "drivers/frame_parts.h"

#include "tests/drivers/kind.h"
#include "tests/drivers/netns.h"
#include "tests/tap/tap.h"

#define ROOM        9000
#define NUM_PACKETS 4095 /* a queue takes a thousand */
#define LONG        60000
#define ALL         (DPDK_OFFLOAD_TX_SUM | DPDK_OFFLOAD_RX_SUM | DPDK_OFFLOAD_TSO)
#define PAYLOAD     101 /* odd */
#define SEG_LEN     1000
#define FRAME_MAX   2048
#define DEVICE_NAME "dtaplk"

static struct dpdk *dpdk;
static char text[DPDK_TEXT_MAX];

static const struct dpdk_module *started(void)
{
	const struct dpdk_params params = {
		.memory_mb = 128, .num_packets = NUM_PACKETS, .packet_room = ROOM};

	if (dpdk)
		return dpdk_module(dpdk);
	CU_ASSERT_EQUAL_FATAL(dpdk_load(&dpdk, getenv("LATCHKEY_DPDK_MODULE"), NULL, text), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(dpdk_module(dpdk)->start(&params, text), ERR_OK);
	return dpdk_module(dpdk);
}

static struct driver *opened(const char *device, uint32_t offloads)
{
	struct driver *d = NULL;
	enum err err = started()->open(&d, device, 1, 0, offloads, text);

	if (err)
		tap_diag("%s", text);
	CU_ASSERT_EQUAL_FATAL(err, ERR_OK);
	return d;
}

static uint32_t offloads_in_use(const struct driver *d)
{
	struct dpdk_port_info info;

	started()->info(d, &info);
	return info.offloads;
}

/* ---- frames --------------------------------------------------------------------------------- */

/* make - a frame whose checksum is the pseudo header's sum. */
static void make(struct packet *p, struct kind k, uint32_t payload)
{
	memcpy(p->data, "\x02\0\0\0\0\x02\x02\0\0\0\0\x01", 12);
	p->len = kind_make(p->data, k, payload);
}

static void send_one(struct driver *d, struct packet *p)
{
	struct pktvec v = {.num = 1, .pkt = {p}};

	d->ops->tx(d, &v);
	CU_ASSERT_EQUAL(v.num, 0);
}

/* ---- without DPDK --------------------------------------------------------------------------- */

/* find_copy - the frame in memory that ends with it. */
static bool find_copy(struct frame_parts *out, const uint8_t *frame, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1); /* tests */
	bool found;

	CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
	memcpy(copy, frame, len);
	found = frame_parts_find(out, copy, (uint32_t)len);
	if (found)
		CU_ASSERT_TRUE(out->l2_len + out->l3_len + out->l4_len <= (int)len);
	free(copy);
	return found;
}

static void test_where_headers_are(void)
{
	struct pool *heap = pool_new(1, ROOM);
	struct packet *p = packet_get(heap);
	struct frame_parts f;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct kind k = kinds[i];

		make(p, k, 3);
		CU_ASSERT_TRUE_FATAL(find_copy(&f, p->data, p->len));
		CU_ASSERT_EQUAL(f.l2_len, ETHERNET);
		CU_ASSERT_EQUAL(f.l3_len, k.v6 ? 40 : 20);
		CU_ASSERT_EQUAL(f.l4_len, k.tcp ? 20 : 8);
		CU_ASSERT_EQUAL(f.v6, k.v6);
		CU_ASSERT_EQUAL(f.tcp, k.tcp);
		CU_ASSERT_EQUAL(kind_l4_at(k) + frame_parts_sum_at(&f), kind_sum_at(k));
		for (size_t len = 0; len < kind_payload_at(k); len++)
			CU_ASSERT_FALSE(find_copy(&f, p->data, len));
		for (size_t bit = 0; bit < p->len * 8; bit++) {
			p->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
			(void)find_copy(&f, p->data, p->len);
			p->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
	packet_put(p);
	pool_free(heap);
}

static void test_what_is_not_left_to_a_port(void)
{
	static const struct {
		uint32_t at;
		uint16_t value;
	} changes[] = {
		{12, 0x0806},            /* ARP */
		{ETHERNET + 6, 0x2000},  /* more fragments */
		{ETHERNET + 6, 0x0001},  /* a later one */
		{ETHERNET, 0x4400},      /* a header of 16 bytes */
		{ETHERNET, 0x6500},      /* another version */
		{ETHERNET + 8, 0x4001},  /* ICMP */
		{ETHERNET + 32, 0x4018}, /* TCP with a header of 16 bytes */
		{ETHERNET + 32, 0xf018}, /* of 60 bytes, beyond its end */
	};
	struct pool *heap = pool_new(1, ROOM);
	struct packet *p = packet_get(heap);
	struct frame_parts f;

	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		make(p, (struct kind){.tcp = true}, 3);
		store_be16(p->data + changes[i].at, changes[i].value);
		CU_ASSERT_FALSE(find_copy(&f, p->data, p->len));
	}
	/* Two tags, and not three. */
	for (uint32_t tags = 1; tags <= 3; tags++) {
		make(p, (struct kind){.tcp = true}, 3);
		for (uint32_t i = 0; i < tags; i++) {
			memmove(p->data + 16, p->data + 12, p->len - 12);
			p->len += 4;
			store_be16(p->data + 12, 0x8100);
			store_be16(p->data + 14, 5);
		}
		CU_ASSERT_EQUAL(find_copy(&f, p->data, p->len), tags < 3);
		if (tags < 3)
			CU_ASSERT_EQUAL(f.l2_len, ETHERNET + 4 * tags);
	}
	packet_put(p);
	pool_free(heap);
}

/* ---- net_tap -------------------------------------------------------------------------------- */

/* struct stand - a port of net_tap, and a socket at the kernel's side of it. */
struct stand {
	struct driver *d;
	struct pool *heap, *longer;
	int fd;
};

static bool begin(struct stand *s, uint32_t offloads)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(0x0003)};
	char device[DPDK_DEVICE_MAX];
	static unsigned num;

	if (access("/dev/net/tun", R_OK | W_OK)) {
		tap_skip("no /dev/net/tun");
		return false;
	}
	s->heap = pool_new(8, ROOM);
	s->longer = pool_new(2, POOL_LONGEST);
	/* One that was closed does not come again under its name. */
	snprintf(device, sizeof(device), "net_tap%u,iface=" DEVICE_NAME, num++);
	s->d = opened(device, offloads);
	netns_sh("ip link set " DEVICE_NAME " up");
	s->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	at.sll_ifindex = (int)if_nametoindex(DEVICE_NAME);
	CU_ASSERT_FATAL(s->fd >= 0 && bind(s->fd, (struct sockaddr *)&at, sizeof(at)) == 0);
	return true;
}

static void end(struct stand *s)
{
	CU_ASSERT_EQUAL(pool_num_free(s->heap), 8);
	CU_ASSERT_EQUAL(pool_num_free(s->longer), 2);
	s->d->ops->close(s->d);
	close(s->fd);
	pool_free(s->heap);
	pool_free(s->longer);
}

/* kernel_has - the next frame of ours that the kernel got; 0: there is none. */
static size_t kernel_has(const struct stand *s, uint8_t out[static FRAME_MAX])
{
	struct pollfd p = {.fd = s->fd, .events = POLLIN};

	while (poll(&p, 1, 300) == 1) {
		ssize_t n = recv(s->fd, out, FRAME_MAX, 0);

		if (n > ETHERNET && memcmp(out + 6, "\x02\0\0\0\0\x01", 6) == 0)
			return (size_t)n;
	}
	return 0;
}

static void test_sums_left_to_a_port(void)
{
	uint8_t frame[FRAME_MAX];
	struct stand s;

	if (!begin(&s, ALL))
		return;
	CU_ASSERT_EQUAL(offloads_in_use(s.d), ALL & ~(uint32_t)DPDK_OFFLOAD_TSO);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct packet *p = packet_get(s.heap);

		make(p, kinds[i], PAYLOAD);
		CU_ASSERT_FALSE(kind_is_whole(p->data, p->len, kinds[i]));
		p->flags |= PACKET_F_SUM;
		send_one(s.d, p);
		CU_ASSERT_EQUAL(kernel_has(&s, frame), kind_payload_at(kinds[i]) + PAYLOAD);
		CU_ASSERT_TRUE(kind_is_whole(frame, kind_payload_at(kinds[i]) + PAYLOAD, kinds[i]));
	}
	end(&s);
}

/* What is not left to it, though it be wrong, and though it lies where another was left to it. */
static void test_other_sums_stay(void)
{
	uint8_t frame[FRAME_MAX], sent[FRAME_MAX];
	struct stand s;

	if (!begin(&s, ALL))
		return;
	for (int round = 0; round < 64; round++) {
		struct kind k = kinds[round % 4];
		struct packet *p = packet_get(s.heap);
		uint32_t len;

		make(p, k, PAYLOAD);
		if (round % 3 == 0)
			p->flags |= PACKET_F_SUM;
		len = p->len;
		memcpy(sent, p->data, len);
		send_one(s.d, p);
		CU_ASSERT_EQUAL_FATAL(kernel_has(&s, frame), len);
		CU_ASSERT_EQUAL(kind_is_whole(frame, len, k), round % 3 == 0);
		CU_ASSERT_EQUAL(memcmp(frame, sent, len) == 0, round % 3 != 0);
	}
	end(&s);
}

/* expect_segment - number i of num. */
static void expect_segment(const uint8_t *frame, size_t len, struct kind k, uint32_t i,
			   uint32_t num)
{
	const uint8_t *t = frame + kind_l4_at(k);

	CU_ASSERT_EQUAL(len, kind_payload_at(k) + (i + 1 < num ? SEG_LEN : 1));
	CU_ASSERT_TRUE(kind_is_whole(frame, len, k));
	CU_ASSERT_EQUAL(load_be32(t + 4), 5000 + i * SEG_LEN);
	CU_ASSERT_EQUAL(t[13], i + 1 < num ? 0x10 : 0x18); /* PSH ends the data */
	CU_ASSERT_EQUAL(load_be16(frame + ETHERNET + 2), len - ETHERNET);
	CU_ASSERT_EQUAL(load_be16(frame + ETHERNET + 4), 7 + i);
	for (size_t b = kind_payload_at(k); b < len; b++)
		if (frame[b] != (uint8_t)((i * SEG_LEN + b - kind_payload_at(k)) * 7))
			CU_FAIL("another payload");
}

static void test_tcp_that_a_port_cuts(void)
{
	const struct kind tcp4 = {.tcp = true}, tcp6 = {.tcp = true, .v6 = true};
	uint8_t frame[FRAME_MAX];
	struct stand s;

	if (!begin(&s, DPDK_OFFLOAD_TX_SUM | DPDK_OFFLOAD_TSO4 | DPDK_OFFLOAD_ANYHOW))
		return;
	for (uint32_t num = 2; num <= 44; num += 21) {
		struct packet *p = packet_get(s.longer);

		make(p, tcp4, (num - 1) * SEG_LEN + 1);
		p->seg_len = SEG_LEN;
		send_one(s.d, p);
		for (uint32_t i = 0; i < num; i++) {
			size_t len = kernel_has(&s, frame);

			CU_ASSERT_NOT_EQUAL_FATAL(len, 0);
			expect_segment(frame, len, tcp4, i, num);
		}
	}
	/* What it cannot cut does not leave. */
	struct packet *p = packet_get(s.longer);

	make(p, tcp6, 3 * SEG_LEN);
	p->seg_len = SEG_LEN;
	send_one(s.d, p);
	CU_ASSERT_EQUAL(kernel_has(&s, frame), 0);
	CU_ASSERT_EQUAL(s.d->stats.tx_full, 1);
	end(&s);
}

/* receive - the next frame of ours; the kernel has some of its own to say. */
static struct packet *receive(struct driver *d)
{
	struct packet *found = NULL;

	for (int i = 0; i < 300 && !found; i++) {
		struct pktvec v = {0};

		if (!d->ops->rx(d, NULL, &v))
			usleep(1000);
		for (uint32_t k = 0; k < v.num; k++) {
			if (!found && memcmp(v.pkt[k]->data + 6, "\x02\0\0\0\0\x01", 6) == 0)
				found = v.pkt[k];
			else
				packet_put(v.pkt[k]);
		}
	}
	return found;
}

/* The port tells of headers that are right, and of no other ones; whatever it tells, the packet is
 * as it came. */
static void test_headers_that_came(void)
{
	static const struct {
		bool v6, broken;
		uint32_t offloads;
		uint16_t flags;
	} cases[] = {
		{false, false, ALL, PACKET_F_HEAD_OK},
		{false, true, ALL, 0},
		{true, false, ALL, 0},
		{false, false, ALL & ~DPDK_OFFLOAD_RX_SUM, 0},
		{false, false, 0, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct stand s;

		if (!begin(&s, cases[i].offloads))
			return;
		CU_ASSERT_EQUAL(offloads_in_use(s.d), cases[i].offloads & ~DPDK_OFFLOAD_TSO);
		struct packet *p = packet_get(s.heap), *got;

		make(p, (struct kind){.v6 = cases[i].v6}, PAYLOAD);
		p->data[ETHERNET + 8] ^= cases[i].broken; /* TTL */
		CU_ASSERT_EQUAL(send(s.fd, p->data, p->len, 0), (ssize_t)p->len);
		got = receive(s.d);
		CU_ASSERT_PTR_NOT_NULL_FATAL(got);
		CU_ASSERT_EQUAL(got->len, p->len);
		CU_ASSERT_EQUAL(memcmp(got->data, p->data, p->len), 0);
		CU_ASSERT_EQUAL(got->flags, cases[i].flags);
		packet_put(got);
		packet_put(p);
		end(&s);
	}
}

/* ---- others --------------------------------------------------------------------------------- */

/* is_up - they have agreed. */
static bool is_up(const struct driver *d)
{
	struct dpdk_port_info info;

	for (int i = 0; i < 1000; i++) {
		started()->info(d, &info);
		if (info.up)
			return true;
		usleep(1000);
	}
	return false;
}

/* open_virtio - a pair; supers: TCP that is not cut goes from the second one to the first. */
static void open_virtio(struct driver *side[2], char path[static 32], bool supers)
{
	char device[DPDK_DEVICE_MAX];
	static unsigned num;

	snprintf(path, 32, "/tmp/latchkey-vhost-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(path));
	snprintf(device, sizeof(device), "net_vhost%u,iface=%s/socket%s", num, path,
		 supers ? ",tso=1" : "");
	side[0] = opened(device, ALL);
	snprintf(device, sizeof(device), "net_virtio_user%u,path=%s/socket", num++, path);
	side[1] = opened(device, ALL);
	CU_ASSERT_TRUE_FATAL(is_up(side[0]) && is_up(side[1]));
}

static void close_virtio(struct driver *side[2], const char *path)
{
	char file[64];

	side[1]->ops->close(side[1]);
	side[0]->ops->close(side[0]);
	snprintf(file, sizeof(file), "%s/socket", path);
	unlink(file);
	rmdir(path);
}

/* What one leaves to it the other side has whole, both ways. */
static void test_sums_by_virtio(void)
{
	struct pool *heap = pool_new(4, ROOM);
	struct driver *side[2];
	char path[32];

	open_virtio(side, path, false);
	for (size_t i = 0; i < 2 * ARRAY_LEN(kinds); i++) {
		struct driver *from = side[i % 2], *to = side[(i + 1) % 2];
		struct kind k = kinds[i / 2];
		struct packet *p = packet_get(heap), *got;

		CU_ASSERT_EQUAL(offloads_in_use(from), DPDK_OFFLOAD_TX_SUM);
		make(p, k, PAYLOAD);
		p->flags |= PACKET_F_SUM;
		send_one(from, p);
		got = receive(to);
		CU_ASSERT_PTR_NOT_NULL_FATAL(got);
		CU_ASSERT_EQUAL(got->len, kind_payload_at(k) + PAYLOAD);
		CU_ASSERT_TRUE(kind_is_whole(got->data, got->len, k));
		packet_put(got);
	}
	close_virtio(side, path);
	pool_free(heap);
}

/* Whoever takes super-packets has them as they are, of IPv4 and of IPv6. What does not fit one
 * buffer there is not received. */
static void test_supers_by_virtio(void)
{
	struct pool *longer = pool_new(2, POOL_LONGEST);
	struct driver *side[2];
	char path[32];

	open_virtio(side, path, true);
	CU_ASSERT_EQUAL(offloads_in_use(side[1]), DPDK_OFFLOAD_TX_SUM | DPDK_OFFLOAD_TSO);
	for (int v6 = 0; v6 < 2; v6++) {
		struct kind k = {.v6 = v6, .tcp = true};
		struct packet *p = packet_get(longer), *got;

		make(p, k, 8 * SEG_LEN);
		p->seg_len = SEG_LEN;
		send_one(side[1], p);
		got = receive(side[0]);
		CU_ASSERT_PTR_NOT_NULL_FATAL(got);
		CU_ASSERT_EQUAL(got->len, kind_payload_at(k) + 8 * SEG_LEN);
		CU_ASSERT_EQUAL(got->data[kind_payload_at(k) + 7999], (uint8_t)(7999 * 7));
		packet_put(got);
		p = packet_get(longer);
		make(p, k, 40 * SEG_LEN);
		p->seg_len = SEG_LEN;
		send_one(side[1], p);
		CU_ASSERT_PTR_NULL(receive(side[0]));
		CU_ASSERT_EQUAL(side[0]->stats.rx_error, 1u + (unsigned)v6);
	}
	CU_ASSERT_EQUAL(side[1]->stats.tx_packets, 4);
	close_virtio(side, path);
	pool_free(longer);
}

static void test_ports_without(void)
{
	static const char *const devices[] = {"net_ring0", "net_null0"};

	for (size_t i = 0; i < ARRAY_LEN(devices); i++) {
		struct driver *d = opened(devices[i], ALL);

		CU_ASSERT_EQUAL(offloads_in_use(d), 0);
		d->ops->close(d);
	}
}

static void test_tso_needs_sums(void)
{
	struct stand s;

	if (!begin(&s, DPDK_OFFLOAD_TSO | DPDK_OFFLOAD_RX_SUM | DPDK_OFFLOAD_ANYHOW))
		return;
	CU_ASSERT_EQUAL(offloads_in_use(s.d), DPDK_OFFLOAD_RX_SUM);
	end(&s);
}

/* enter - the first one: net_tap's device is in a network namespace of the test's. */
static void test_namespace(void)
{
	if (netns_enter())
		(void)started();
}

static const struct tap_test tests[] = {
	TAP_TEST(test_where_headers_are), TAP_TEST(test_what_is_not_left_to_a_port),
	TAP_TEST(test_namespace),         TAP_TEST(test_sums_left_to_a_port),
	TAP_TEST(test_other_sums_stay),   TAP_TEST(test_tcp_that_a_port_cuts),
	TAP_TEST(test_headers_that_came), TAP_TEST(test_tso_needs_sums),
	TAP_TEST(test_sums_by_virtio),    TAP_TEST(test_supers_by_virtio),
	TAP_TEST(test_ports_without),
};
TAP_MAIN("drivers/dpdk_offload", tests)
