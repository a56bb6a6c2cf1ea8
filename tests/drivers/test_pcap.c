/* SPDX-License-Identifier: Apache-2.0 */
/* Captures as a port: what is read is what was written, at its pace; broken files, full ones, and
 * what is no capture. */
#include "drivers/pcap.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "dataplane/pool.h"

#include "tests/tap/tap.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NUM_PACKETS 70 /* more than a vector */
#define FILE_MAX    65536

static char dir[64];
static struct pool *pool;
static struct driver *d;
static struct pktvec vec;

static const char *path(const char *name)
{
	static char buf[2][128];
	static unsigned turn;
	char *p = buf[turn++ % 2];

	snprintf(p, sizeof(buf[0]), "%s/%s", dir, name);
	return p;
}

static void begin(void)
{
	snprintf(dir, sizeof(dir), "/tmp/latchkey-pcap-XXXXXX");
	CU_ASSERT_FATAL(mkdtemp(dir) != NULL);
	pool = pool_new(128, 2048);
	CU_ASSERT_FATAL(pool != NULL);
	vec.num = 0;
}

static void end(void)
{
	static const char *const names[] = {"out", "in", "again"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		unlink(path(names[i]));
	CU_ASSERT_EQUAL(rmdir(dir), 0);
	CU_ASSERT_EQUAL(pool_num_free(pool), 128);
	pool_free(pool);
}

static enum err open_with(struct pcap_params params)
{
	d = NULL;
	return pcap_driver_open(&d, &params);
}

static void close_port(void)
{
	if (d)
		d->ops->close(d);
	d = NULL;
}

/* fill - an IPv4 packet or, every third, an IPv6 one; its length and bytes depend on n. */
static void fill(struct packet *p, uint32_t n)
{
	p->len = 48 + n * 7;
	for (uint32_t i = 0; i < p->len; i++)
		p->data[i] = (uint8_t)(n + i);
	p->data[0] = n % 3 == 2 ? 0x60 : 0x45;
}

static void send_all(uint32_t num, const struct path_addr *to)
{
	for (uint32_t i = 0; i < num; i++) {
		struct packet *p = packet_get(pool);

		CU_ASSERT_FATAL(p != NULL);
		fill(p, i);
		p->to = to;
		pktvec_push(&vec, p);
		if (pktvec_room(&vec) == 0 || i + 1 == num)
			d->ops->tx(d, &vec);
	}
}

static bool readable(void)
{
	struct pollfd fd = {.fd = d->ops->fd(d), .events = POLLIN};

	return poll(&fd, 1, 0) == 1;
}

/* receive_all - and compare; how many there were. */
static uint32_t receive_all(void)
{
	struct packet *wanted = packet_get(pool);
	uint32_t num = 0;

	CU_ASSERT_FATAL(wanted != NULL);
	while (d->ops->rx(d, pool, &vec)) {
		for (uint32_t i = 0; i < vec.num; i++) {
			fill(wanted, num++);
			CU_ASSERT_EQUAL(vec.pkt[i]->len, wanted->len);
			CU_ASSERT_EQUAL(memcmp(vec.pkt[i]->data, wanted->data, wanted->len), 0);
			packet_put(vec.pkt[i]);
		}
		vec.num = 0;
	}
	packet_put(wanted);
	return num;
}

static void write_and_read(bool ethernet)
{
	struct stat st;

	begin();
	CU_ASSERT_EQUAL_FATAL(open_with((struct pcap_params){.role = PORT_INNER,
							     .out = path("out"),
							     .ethernet = ethernet}),
			      ERR_OK);
	CU_ASSERT(!readable());
	CU_ASSERT(pcap_driver_ended(d));
	CU_ASSERT_EQUAL(d->ops->rx(d, pool, &vec), 0);
	send_all(NUM_PACKETS, NULL);
	CU_ASSERT_EQUAL(d->stats.tx_packets, NUM_PACKETS);
	close_port();
	CU_ASSERT_EQUAL(stat(path("out"), &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	CU_ASSERT_EQUAL_FATAL(
		open_with((struct pcap_params){.role = PORT_INNER, .in = path("out")}), ERR_OK);
	CU_ASSERT(readable());
	CU_ASSERT(!pcap_driver_ended(d));
	CU_ASSERT_EQUAL(receive_all(), NUM_PACKETS);
	CU_ASSERT(!readable());
	CU_ASSERT(pcap_driver_ended(d));
	CU_ASSERT_EQUAL(d->stats.rx_packets, NUM_PACKETS);
	CU_ASSERT_EQUAL(d->stats.rx_error, 0);
	send_all(1, NULL); /* nowhere to */
	CU_ASSERT_EQUAL(d->stats.tx_packets, 1);
	close_port();
	end();
}

static void test_raw_ip(void)
{
	write_and_read(false);
}

static void test_ethernet(void)
{
	write_and_read(true);
}

static void test_outer(void)
{
	struct path_addr to = {.encap = ENCAP_UDP, .local.port = 1234, .remote.port = 4500};

	begin();
	CU_ASSERT_EQUAL(ip_addr_parse(&to.local.addr, "192.0.2.1"), ERR_OK);
	CU_ASSERT_EQUAL(ip_addr_parse(&to.remote.addr, "192.0.2.2"), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(
		open_with((struct pcap_params){.role = PORT_OUTER, .out = path("out")}), ERR_OK);
	send_all(NUM_PACKETS, &to);
	to.remote.port = 4501; /* which nobody listens to */
	send_all(1, &to);
	CU_ASSERT_EQUAL(d->stats.tx_packets, NUM_PACKETS + 1);
	to.remote.addr.family = IP_NONE;
	send_all(1, &to);
	CU_ASSERT_EQUAL(d->stats.tx_error, 1);
	close_port();
	CU_ASSERT_EQUAL_FATAL(
		open_with((struct pcap_params){.role = PORT_OUTER, .in = path("out")}), ERR_OK);
	CU_ASSERT_EQUAL(receive_all(), NUM_PACKETS);
	CU_ASSERT_EQUAL(d->stats.rx_error, 1);
	close_port();
	end();
}

/* A file takes so many bytes and no more. */
static void test_bounded(void)
{
	struct stat st;

	begin();
	CU_ASSERT_EQUAL_FATAL(open_with((struct pcap_params){
				      .role = PORT_INNER, .out = path("out"), .out_bytes = 1000}),
			      ERR_OK);
	send_all(NUM_PACKETS, NULL);
	CU_ASSERT(d->stats.tx_packets > 5);
	CU_ASSERT_EQUAL(d->stats.tx_packets + d->stats.tx_full, NUM_PACKETS);
	close_port();
	CU_ASSERT_EQUAL(stat(path("out"), &st), 0);
	CU_ASSERT(st.st_size <= 1000);
	end();
}

static void write_file(const char *name, const void *bytes, size_t len)
{
	FILE *f = fopen(path(name), "w");

	CU_ASSERT_FATAL(f != NULL);
	CU_ASSERT_EQUAL(fwrite(bytes, 1, len, f), len);
	CU_ASSERT_EQUAL(fclose(f), 0);
}

static void test_refused(void)
{
	static const uint8_t head[24] = {0xd4, 0xc3, 0xb2, 0xa1,     2,
					 0,    4,    0,    [18] = 4, [20] = 113}; /* "cooked" */

	begin();
	CU_ASSERT_EQUAL(open_with((struct pcap_params){.in = path("none")}), ERR_SYS);
	CU_ASSERT_EQUAL(errno, ENOENT);
	CU_ASSERT_EQUAL(open_with((struct pcap_params){.in = dir}), ERR_INVAL);
	CU_ASSERT_EQUAL(open_with((struct pcap_params){.in = "/dev/null"}), ERR_INVAL);
	CU_ASSERT_EQUAL(open_with((struct pcap_params){.out = dir}), ERR_SYS);
	CU_ASSERT_EQUAL(open_with((struct pcap_params){.out = "/dev/null"}), ERR_INVAL);
	write_file("in", "not a capture at all, but long enough", 37);
	CU_ASSERT_EQUAL(open_with((struct pcap_params){.in = path("in")}), ERR_MALFORMED);
	write_file("in", "", 0);
	CU_ASSERT_EQUAL(open_with((struct pcap_params){.in = path("in")}), ERR_MALFORMED);
	write_file("in", head, sizeof(head));
	CU_ASSERT_EQUAL(open_with((struct pcap_params){.in = path("in")}), ERR_UNSUPPORTED);
	CU_ASSERT_PTR_NULL(d);
	end();
}

/* A capture that ends anywhere, or has any byte wrong: an error, or fewer packets, and an end. */
static void test_broken_files(void)
{
	static uint8_t whole[FILE_MAX];
	size_t len;
	FILE *f;

	begin();
	CU_ASSERT_EQUAL_FATAL(
		open_with((struct pcap_params){.role = PORT_INNER, .out = path("out")}), ERR_OK);
	send_all(3, NULL);
	close_port();
	f = fopen(path("out"), "r");
	CU_ASSERT_FATAL(f != NULL);
	len = fread(whole, 1, sizeof(whole), f);
	fclose(f);
	CU_ASSERT_EQUAL(len, 24 + 3 * 16 + 48 + 55 + 62);
	for (size_t i = 0; i < 2 * len; i++) {
		if (i >= len)
			whole[i - len] ^= 0xff;
		write_file("in", whole, i < len ? i : len);
		if (i >= len)
			whole[i - len] ^= 0xff;
		if (open_with((struct pcap_params){.role = PORT_INNER, .in = path("in")}) != ERR_OK)
			continue;
		while (d->ops->rx(d, pool, &vec)) {
			for (uint32_t n = 0; n < vec.num; n++)
				packet_put(vec.pkt[n]);
			vec.num = 0;
		}
		CU_ASSERT(pcap_driver_ended(d));
		CU_ASSERT(d->stats.rx_packets <= 3);
		if (i < len) /* cut: at the end of a packet, or it is noticed */
			CU_ASSERT_EQUAL(d->stats.rx_error,
					i != 24 && i != 24 + 64 && i != 24 + 64 + 71);
		close_port();
	}
	end();
}

/* struct record - of a capture file with times in microseconds. */
struct record {
	uint32_t sec, usec, len, orig_len;
	uint8_t bytes[20];
};

static void test_real_time(void)
{
	struct {
		uint32_t magic, version, zone, digits, snap, link;
		struct record records[4];
	} file = {.magic = 0xa1b2c3d4, .version = 0x00040002, .snap = 65535, .link = 101};
	/* The second comes 20 ms after the first, the third seems older, the last was cut. */
	const uint32_t usec[4] = {500, 20500, 100, 100};
	uint64_t start, at[3];
	uint32_t num = 0;

	begin();
	for (int i = 0; i < 4; i++)
		file.records[i] = (struct record){.sec = 1000,
						  .usec = usec[i],
						  .len = 20,
						  .orig_len = i == 3 ? 21 : 20,
						  .bytes = {0x45}};
	write_file("in", &file, sizeof(file));
	CU_ASSERT_EQUAL_FATAL(open_with((struct pcap_params){
				      .role = PORT_INNER, .in = path("in"), .real_time = true}),
			      ERR_OK);
	start = clock_now_ns();
	while (!pcap_driver_ended(d)) {
		struct pollfd fd = {.fd = d->ops->fd(d), .events = POLLIN};

		if (num < 3)
			CU_ASSERT_EQUAL_FATAL(poll(&fd, 1, 60000), 1);
		d->ops->rx(d, pool, &vec);
		for (uint32_t i = 0; i < vec.num && num < 3; i++)
			at[num++] = clock_now_ns();
		for (uint32_t i = 0; i < vec.num; i++)
			packet_put(vec.pkt[i]);
		vec.num = 0;
	}
	CU_ASSERT_EQUAL(num, 3);
	CU_ASSERT(at[1] - start >= 20 * NS_PER_MS);
	CU_ASSERT_EQUAL(d->stats.rx_error, 1);
	close_port();
	end();
}

/* Buffers are short: the packets wait in the file. */
static void test_no_buffers(void)
{
	struct packet *all[128];

	begin();
	CU_ASSERT_EQUAL_FATAL(
		open_with((struct pcap_params){.role = PORT_INNER, .out = path("out")}), ERR_OK);
	send_all(5, NULL);
	close_port();
	CU_ASSERT_EQUAL_FATAL(
		open_with((struct pcap_params){.role = PORT_INNER, .in = path("out")}), ERR_OK);
	CU_ASSERT_EQUAL(pool->ops->get(pool, all, 128), 128);
	CU_ASSERT_EQUAL(d->ops->rx(d, pool, &vec), 0);
	CU_ASSERT_EQUAL(d->stats.rx_no_buffer, 1);
	pool->ops->put(pool, all, 128);
	CU_ASSERT_EQUAL(receive_all(), 5);
	close_port();
	end();
}

static const struct tap_test tests[] = {
	TAP_TEST(test_raw_ip),    TAP_TEST(test_ethernet),   TAP_TEST(test_outer),
	TAP_TEST(test_bounded),   TAP_TEST(test_refused),    TAP_TEST(test_broken_files),
	TAP_TEST(test_real_time), TAP_TEST(test_no_buffers),
};

TAP_MAIN("drivers/pcap", tests)
