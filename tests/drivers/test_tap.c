/* SPDX-License-Identifier: Apache-2.0 */
/* The driver against a real TAP and a real TUN: what the kernel routes into the device comes in,
 * what is sent arrives at its sockets. */
#include "drivers/tap.h"

#include "base/alloc.h"
#include "base/checksum.h"
#include "dataplane/pool.h"

#include "tests/drivers/netns.h"
#include "tests/tap/tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define MTU 1400

static struct driver *d;
static struct pool *pool;
static struct pktvec vec;

static int open_device(short flags)
{
	struct ifreq ifr = {.ifr_name = "drvtap", .ifr_flags = flags};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	CU_ASSERT_FATAL(fd >= 0 && ioctl(fd, TUNSETIFF, &ifr) == 0);
	netns_sh("ip link set drvtap mtu %d addrgenmode none && ip link set drvtap arp off up && "
		 "ip addr add 10.1.0.1/24 dev drvtap && ip -6 addr add fd01::1/64 dev drvtap nodad",
		 MTU);
	netns_wait_for6("fd01::1");
	return fd;
}

static bool begin(bool tun)
{
	if (!netns_enter())
		return false;
	int fd = open_device(tun ? IFF_TUN : IFF_TAP | IFF_NO_PI);
	CU_ASSERT_FATAL(tap_driver_open(&d, &(struct host_tap){.fd = fd, .tun = tun}, MTU) ==
			ERR_OK);
	pool = pool_new(128, 2048);
	CU_ASSERT_FATAL(pool != NULL);
	vec.num = 0;
	return true;
}

static void put_all(void)
{
	while (vec.num)
		packet_put(vec.pkt[--vec.num]);
}

static void end(void)
{
	put_all();
	CU_ASSERT_EQUAL(pool_num_free(pool), 128);
	pool_free(pool);
	d->ops->close(d);
}

static int udp_socket(const char *addr4, const char *addr6, uint16_t port)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int fd = socket(addr4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	CU_ASSERT_FATAL(fd >= 0);
	if (addr4) {
		inet_pton(AF_INET, addr4, &v4.sin_addr);
		CU_ASSERT_FATAL(bind(fd, (struct sockaddr *)&v4, sizeof(v4)) == 0);
	} else {
		inet_pton(AF_INET6, addr6, &v6.sin6_addr);
		CU_ASSERT_FATAL(bind(fd, (struct sockaddr *)&v6, sizeof(v6)) == 0);
	}
	return fd;
}

static void send_to(int fd, const char *dst, uint16_t port, const void *data, size_t len)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	if (inet_pton(AF_INET, dst, &v4.sin_addr) == 1)
		CU_ASSERT(sendto(fd, data, len, 0, (struct sockaddr *)&v4, sizeof(v4)) ==
			  (ssize_t)len);
	if (inet_pton(AF_INET6, dst, &v6.sin6_addr) == 1)
		CU_ASSERT(sendto(fd, data, len, 0, (struct sockaddr *)&v6, sizeof(v6)) ==
			  (ssize_t)len);
}

/* soon - fd, once something is there: the kernel may take what was sent a moment later. */
static int soon(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	poll(&pfd, 1, 10000);
	return fd;
}

static uint32_t rx(void)
{
	return d->ops->rx(d, pool, &vec);
}

/* turn_round - make each received UDP packet its own answer. UDP checksums stay right. */
static void turn_round(struct packet *p)
{
	size_t at = p->data[0] >> 4 == 4 ? 12 : 8, len = at == 12 ? 4 : 16;
	size_t udp = at == 12 ? 20 : 40;
	uint8_t tmp[16];

	memcpy(tmp, p->data + at, len);
	memmove(p->data + at, p->data + at + len, len);
	memcpy(p->data + at + len, tmp, len);
	memcpy(tmp, p->data + udp, 2);
	memmove(p->data + udp, p->data + udp + 2, 2);
	memcpy(p->data + udp + 2, tmp, 2);
}

static void round_trip(bool tun)
{
	uint8_t got[2048];
	int v4, v6;

	if (!begin(tun))
		return;
	CU_ASSERT_EQUAL(d->role, PORT_INNER);
	CU_ASSERT_EQUAL(d->mtu, MTU);
	CU_ASSERT_STRING_EQUAL(d->ops->name, tun ? "tun" : "tap");
	v4 = udp_socket("10.1.0.1", NULL, 4000);
	v6 = udp_socket(NULL, "fd01::1", 4000);
	struct pollfd pfd = {.fd = d->ops->fd(d), .events = POLLIN};
	CU_ASSERT_EQUAL(poll(&pfd, 1, 0), 0);
	CU_ASSERT_EQUAL(rx(), 0);
	/* To somebody on the other side of the device, and back as its answer. */
	send_to(v4, "10.1.0.2", 4001, "four", 4);
	send_to(v6, "fd01::2", 4001, "sixes", 5);
	CU_ASSERT_EQUAL(poll(&pfd, 1, 10000), 1);
	CU_ASSERT_EQUAL_FATAL(rx(), 2);
	CU_ASSERT_EQUAL(vec.pkt[0]->len, 20 + 8 + 4);
	CU_ASSERT_EQUAL(vec.pkt[0]->data[0], 0x45);
	CU_ASSERT_EQUAL(vec.pkt[1]->len, 40 + 8 + 5);
	CU_ASSERT_EQUAL(vec.pkt[1]->data[0] >> 4, 6);
	CU_ASSERT_EQUAL(packet_headroom(vec.pkt[0]), PACKET_HEADROOM);
	CU_ASSERT_EQUAL(poll(&pfd, 1, 0), 0);
	turn_round(vec.pkt[0]);
	turn_round(vec.pkt[1]);
	d->ops->tx(d, &vec);
	CU_ASSERT_EQUAL(vec.num, 0);
	CU_ASSERT_EQUAL(recv(soon(v4), got, sizeof(got), 0), 4);
	CU_ASSERT(memcmp(got, "four", 4) == 0);
	CU_ASSERT_EQUAL(recv(soon(v6), got, sizeof(got), 0), 5);
	CU_ASSERT(memcmp(got, "sixes", 5) == 0);
	CU_ASSERT_EQUAL(d->stats.rx_packets, 2);
	CU_ASSERT_EQUAL(d->stats.rx_bytes, 32 + 53);
	CU_ASSERT_EQUAL(d->stats.tx_packets, 2);
	CU_ASSERT_EQUAL(d->stats.tx_bytes, 32 + 53);
	CU_ASSERT_EQUAL(d->stats.rx_error + d->stats.tx_error + d->stats.tx_full, 0);
	close(v4);
	close(v6);
	end();
}

static void test_tap_round_trip(void)
{
	round_trip(false);
}

static void test_tun_round_trip(void)
{
	round_trip(true);
}

/* The largest packet comes whole, and the kernel's own ping is answered by echoing it. */
static void test_sizes(void)
{
	static uint8_t big[MTU - 28];
	struct pollfd pfd;
	int v4;

	if (!begin(false))
		return;
	v4 = udp_socket("10.1.0.1", NULL, 4000);
	pfd = (struct pollfd){.fd = d->ops->fd(d), .events = POLLIN};
	send_to(v4, "10.1.0.2", 4001, big, sizeof(big));
	CU_ASSERT_EQUAL(poll(&pfd, 1, 10000), 1);
	CU_ASSERT_EQUAL_FATAL(rx(), 1);
	CU_ASSERT_EQUAL(vec.pkt[0]->len, MTU);
	put_all();
	/* A frame longer than a buffer is an error, not a shorter packet. */
	netns_sh("ip link set drvtap mtu 4000");
	static uint8_t huge[3000];
	send_to(v4, "10.1.0.2", 4001, huge, 2048 - 28);
	send_to(v4, "10.1.0.2", 4001, huge, 2049 - 28);
	send_to(v4, "10.1.0.2", 4001, huge, sizeof(huge));
	send_to(v4, "10.1.0.2", 4001, "x", 1);
	CU_ASSERT_EQUAL_FATAL(rx(), 2);
	CU_ASSERT_EQUAL(vec.pkt[0]->len, 2048);
	CU_ASSERT_EQUAL(vec.pkt[1]->len, 29);
	CU_ASSERT_EQUAL(d->stats.rx_error, 2);
	close(v4);
	end();
}

static void test_burst_and_shortage(void)
{
	struct packet *taken[128];
	int v4;

	if (!begin(false))
		return;
	v4 = udp_socket("10.1.0.1", NULL, 4000);
	for (int i = 0; i < 100; i++)
		send_to(v4, "10.1.0.2", 4001, &i, sizeof(i));
	CU_ASSERT_EQUAL(rx(), PKTVEC_MAX);
	CU_ASSERT_EQUAL(rx(), 0);
	for (int i = 0; i < PKTVEC_MAX; i++)
		CU_ASSERT(memcmp(vec.pkt[i]->data + 28, &i, sizeof(i)) == 0);
	put_all();
	CU_ASSERT_EQUAL(rx(), 100 - PKTVEC_MAX);
	put_all();
	/* Without a free packet frames wait in the device. */
	CU_ASSERT_EQUAL_FATAL(pool->ops->get(pool, taken, 127), 127);
	for (int i = 0; i < 3; i++)
		send_to(v4, "10.1.0.2", 4001, &i, sizeof(i));
	CU_ASSERT_EQUAL(rx(), 1);
	CU_ASSERT_EQUAL(d->stats.rx_no_buffer, 1);
	pool->ops->put(pool, taken, 127);
	CU_ASSERT_EQUAL(rx(), 2);
	close(v4);
	end();
}

/* frame_socket - sees what the device delivers to the host, Ethernet header and all. */
static int frame_socket(void)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(ETH_P_ALL),
				 .sll_ifindex = (int)if_nametoindex("drvtap")};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_ALL));

	CU_ASSERT_FATAL(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
	return fd;
}

static void send_packet(const void *bytes, uint32_t len, uint32_t token)
{
	struct packet *p = packet_get(pool);

	CU_ASSERT_FATAL(p != NULL);
	memcpy(p->data, bytes, len);
	p->len = len;
	p->token = token;
	pktvec_push(&vec, p);
	d->ops->tx(d, &vec);
}

static const uint8_t udp4[29] = {0x45, 0,  0, 29, 0, 0, 0, 0,    64,   17, 0x66, 0xcc, 10, 1,  0,
				 2,    10, 1, 0,  1, 1, 1, 0x0f, 0xa0, 0,  9,    0,    0,  'x'};

static void test_token_in_source(void)
{
	static const uint8_t source[6] = {0x02, 0x00, 0x78, 0x56, 0x34, 0x12};
	struct ifreq ifr = {.ifr_name = "drvtap"};
	uint8_t frame[64];
	int fd;

	if (!begin(false))
		return;
	fd = frame_socket();
	send_packet(udp4, sizeof(udp4), 0x12345678);
	CU_ASSERT_EQUAL(recv(soon(fd), frame, sizeof(frame), 0), 14 + 29);
	CU_ASSERT(ioctl(fd, SIOCGIFHWADDR, &ifr) == 0);
	CU_ASSERT(memcmp(frame, ifr.ifr_hwaddr.sa_data, 6) == 0);
	/* Bytes 8 to 11 are the token as this host stores numbers: a filter copies them raw. */
	CU_ASSERT(memcmp(frame + 6, source, 6) == 0);
	CU_ASSERT_EQUAL(load_be16(frame + 12), ETH_P_IP);
	CU_ASSERT(memcmp(frame + 14, udp4, sizeof(udp4)) == 0);
	close(fd);
	end();
}

/* The kernel's filter reads the token as a mark, exactly, on a socket of the host. */
static void test_token_becomes_mark(void)
{
	char control[128], byte;
	int fd, on = 1;

	if (!begin(false))
		return;
	netns_sh("nft add table inet t; "
		 "nft 'add chain inet t c { type filter hook input priority 2147483647; }'");
	fd = udp_socket("10.1.0.1", NULL, 4000);
	if (setsockopt(fd, SOL_SOCKET, 75 /* SO_RCVMARK */, &on, sizeof(on)) < 0) {
		tap_skip("this kernel has no SO_RCVMARK");
	} else {
		for (uint32_t token = 1; token; token <<= 5) {
			struct iovec iov = {&byte, 1};
			struct msghdr m = {.msg_iov = &iov,
					   .msg_iovlen = 1,
					   .msg_control = control,
					   .msg_controllen = sizeof(control)};
			uint32_t mark = 0;

			/* Not as it is: whether that turns its bytes round depends on nft's age. */
			netns_sh("nft 'add rule inet t c iifname \"drvtap\" @ll,64,32 %u "
				 "meta mark set %u'",
				 ntohl(token), token);
			send_packet(udp4, sizeof(udp4), token);
			CU_ASSERT(recvmsg(soon(fd), &m, 0) == 1 && byte == 'x');
			struct cmsghdr *c = CMSG_FIRSTHDR(&m);
			CU_ASSERT_FATAL(c != NULL);
			memcpy(&mark, CMSG_DATA(c), sizeof(mark));
			CU_ASSERT_EQUAL(mark, token);
		}
	}
	close(fd);
	end();
}

static void from_host(int fd, const uint8_t source[static 6])
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_halen = 6};
	uint8_t frame[14 + sizeof(udp4)] = {[12] = 0x08};

	to.sll_ifindex = (int)if_nametoindex("drvtap");
	memcpy(frame + 6, source, 6);
	memcpy(frame + 14, udp4, sizeof(udp4));
	CU_ASSERT(sendto(fd, frame, sizeof(frame), 0, (struct sockaddr *)&to, sizeof(to)) ==
		  sizeof(frame));
}

/* Only a source address that no device has says that a class is demanded. */
static void test_D4_demand_in_source(void)
{
	static const uint8_t demands[6] = {HOST_DEMAND_MAC, 0x78, 0x56, 0x34, 0xf2};
	static const uint8_t none[][6] = {{2, 0x4c, 0x78, 0x56, 0x34, 0x02},
					  {3, 0x00, 0x78, 0x56, 0x34, 0x02},
					  {2, 0x00, 0x78, 0x56, 0x34, 0x02}};
	int fd;

	if (!begin(false))
		return;
	fd = frame_socket();
	from_host(fd, demands);
	CU_ASSERT_EQUAL(rx(), 1);
	CU_ASSERT_EQUAL(vec.pkt[0]->token, 0x02345678);
	put_all();
	for (size_t i = 0; i < ARRAY_LEN(none); i++) {
		from_host(fd, none[i]);
		CU_ASSERT_EQUAL(rx(), 1);
		CU_ASSERT_EQUAL(vec.pkt[0]->token, 0);
		put_all();
	}
	close(fd);
	end();
}

static void test_what_is_not_ip(void)
{
	static const uint8_t arp[42] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6};
	static const uint8_t runt[14] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0};
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_halen = 6};
	int fd;

	if (!begin(false))
		return;
	fd = frame_socket();
	to.sll_ifindex = (int)if_nametoindex("drvtap");
	CU_ASSERT(sendto(fd, arp, sizeof(arp), 0, (struct sockaddr *)&to, sizeof(to)) == 42);
	CU_ASSERT(sendto(fd, runt, sizeof(runt), 0, (struct sockaddr *)&to, sizeof(to)) == 14);
	CU_ASSERT_EQUAL(rx(), 0);
	CU_ASSERT_EQUAL(d->stats.rx_error, 2);
	/* Outbound: neither version 4 nor 6, and nothing at all. */
	send_packet("\x50 not IP", 8, 0);
	send_packet("", 0, 0);
	CU_ASSERT_EQUAL(d->stats.tx_error, 2);
	CU_ASSERT_EQUAL(d->stats.tx_packets, 0);
	close(fd);
	end();
}

static void test_device_down_and_gone(void)
{
	struct epoll_event ev = {.events = EPOLLIN};
	int epoll = epoll_create1(0);

	if (!begin(false))
		return;
	CU_ASSERT(epoll_ctl(epoll, EPOLL_CTL_ADD, d->ops->fd(d), &ev) == 0);
	netns_sh("ip link set drvtap down");
	send_packet(udp4, sizeof(udp4), 0);
	CU_ASSERT_EQUAL(d->stats.tx_error, 1);
	CU_ASSERT_EQUAL(rx(), 0);
	netns_sh("ip link del drvtap");
	CU_ASSERT_EQUAL(epoll_wait(epoll, &ev, 1, 0), 1);
	CU_ASSERT_EQUAL(rx(), 0);
	CU_ASSERT_EQUAL(d->stats.rx_error, 1);
	/* From now on nobody is woken by it any more. */
	CU_ASSERT_EQUAL(epoll_wait(epoll, &ev, 1, 0), 0);
	CU_ASSERT_EQUAL(rx(), 0);
	CU_ASSERT_EQUAL(d->stats.rx_error, 1);
	send_packet(udp4, sizeof(udp4), 0);
	CU_ASSERT_EQUAL(d->stats.tx_error, 2);
	close(epoll);
	end();
}

static void test_full_queue(void)
{
	int buf = 1, pair[2];
	unsigned sent = 0;

	/* A socket in place of the device, since a device's queue never refuses. */
	CU_ASSERT_FATAL(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair) == 0);
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &buf, sizeof(buf));
	CU_ASSERT_FATAL(tap_driver_open(&d, &(struct host_tap){.fd = pair[0]}, MTU) == ERR_OK);
	pool = pool_new(128, 2048);
	while (sent++ < 1000 && !d->stats.tx_full)
		send_packet(udp4, sizeof(udp4), 0);
	CU_ASSERT_EQUAL(d->stats.tx_full, 1);
	CU_ASSERT(d->stats.tx_packets > 0);
	end();
	close(pair[1]);
}

/* ---- offloads ------------------------------------------------------------------------------- */

#define ALL (HOST_OFFLOAD_SUM | HOST_OFFLOAD_TCP4 | HOST_OFFLOAD_TCP6 | HOST_OFFLOAD_UDP)

static struct pool *longer;

/* begin_offloads - false also where this kernel has no USO. */
static bool begin_offloads(bool tun)
{
	short flags = (short)((tun ? IFF_TUN : IFF_TAP | IFF_NO_PI) | IFF_VNET_HDR);
	int fd, one = 1;

	if (!netns_enter())
		return false;
	fd = open_device(flags);
	if (ioctl(fd, TUNSETVNETLE, &one) != 0 ||
	    ioctl(fd, TUNSETOFFLOAD, (unsigned long)ALL) != 0) {
		close(fd);
		tap_skip("this kernel has no USO");
		return false;
	}
	CU_ASSERT_FATAL(tap_driver_open(&d,
					&(struct host_tap){.fd = fd, .tun = tun, .offloads = ALL},
					MTU) == ERR_OK);
	CU_ASSERT_EQUAL(d->joins, JOIN_TCP4 | JOIN_TCP6 | JOIN_UDP4 | JOIN_UDP6);
	pool = pool_new(128, 2048);
	longer = pool_new(8, POOL_LONGEST);
	CU_ASSERT_FATAL(pool && longer);
	pool->longer = longer;
	vec.num = 0;
	return true;
}

static void end_offloads(void)
{
	put_all();
	CU_ASSERT_EQUAL(pool_num_free(longer), 8);
	end();
	pool_free(longer);
}

/* udp_right - the packet's UDP checksum, or only that of its pseudo header. */
static bool udp_right(const uint8_t *h, uint32_t len, bool pseudo_only)
{
	uint32_t at = h[0] >> 4 == 4 ? 20 : 40;
	uint64_t sum = checksum_pseudo(h, IPPROTO_UDP) + checksum_value((uint16_t)(len - at));

	if (pseudo_only)
		return checksum_fold(sum) == checksum_get(h + at + 6);
	return checksum_fold(checksum_add(sum, h + at, len - at)) == 0xffff;
}

static void fill(uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 7 + (i >> 8) * 3);
}

/* What the host leaves to us: a checksum, and datagrams in one piece. A long one moves to a long
 * packet; without one it waits in the device. */
static void offloads_in(bool tun)
{
	static uint8_t data[60000];
	static const size_t lens[] = {100, 1000, 3000, 40000, 60000, 999, 1001};
	int v4, v6, seg_len = 1000;

	if (!begin_offloads(tun))
		return;
	fill(data, sizeof(data));
	v4 = udp_socket("10.1.0.1", NULL, 4000);
	v6 = udp_socket(NULL, "fd01::1", 4000);
	CU_ASSERT(setsockopt(v4, SOL_UDP, UDP_SEGMENT, &seg_len, sizeof(seg_len)) == 0);
	CU_ASSERT(setsockopt(v6, SOL_UDP, UDP_SEGMENT, &seg_len, sizeof(seg_len)) == 0);
	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		for (int six = 0; six < 2; six++) {
			send_to(six ? v6 : v4, six ? "fd01::2" : "10.1.0.2", 4001, data, lens[i]);
			soon(d->ops->fd(d));
			CU_ASSERT_EQUAL_FATAL(rx(), 1);
			struct packet *p = vec.pkt[0];
			uint32_t head = six ? 48 : 28;
			CU_ASSERT_EQUAL(p->len, head + lens[i]);
			CU_ASSERT_EQUAL(p->seg_len, lens[i] > 1000 ? 1000 : 0);
			CU_ASSERT(udp_right(p->data, p->len, lens[i] > 1000));
			CU_ASSERT(memcmp(p->data + head, data, lens[i]) == 0);
			CU_ASSERT(p->pool == (p->len > 2048 ? longer : pool));
			CU_ASSERT_EQUAL(packet_headroom(p), PACKET_HEADROOM);
			put_all();
		}
	}
	CU_ASSERT_EQUAL(d->stats.rx_packets, 2 * (1 + 1 + 4 + 41 + 61 + 1 + 2));
	/* A burst is as many packets as a vector holds, however they come. */
	for (int i = 0; i < 4; i++)
		send_to(v4, "10.1.0.2", 4001, data, 40000);
	CU_ASSERT_EQUAL(rx(), 2);
	put_all();
	CU_ASSERT_EQUAL(rx(), 2);
	put_all();
	struct packet *taken[8];
	CU_ASSERT_EQUAL(longer->ops->get(longer, taken, 8), 8);
	send_to(v4, "10.1.0.2", 4001, data, 3000);
	CU_ASSERT_EQUAL(rx(), 0);
	CU_ASSERT_EQUAL(d->stats.rx_no_buffer, 1);
	longer->ops->put(longer, taken, 8);
	CU_ASSERT_EQUAL(rx(), 1);
	CU_ASSERT_EQUAL(d->stats.rx_error, 0);
	close(v4);
	close(v6);
	end_offloads();
}

static void test_offloads_in_tap(void)
{
	offloads_in(false);
}

static void test_offloads_in_tun(void)
{
	offloads_in(true);
}

/* put_udp - a UDP packet to the host, behind the last one in vec if there is one and `chained`. */
static void put_udp(bool six, uint32_t number, uint32_t len, bool chained)
{
	struct packet *p = packet_get(pool), *head = vec.num ? vec.pkt[vec.num - 1] : NULL, *last;
	uint32_t at = six ? 40 : 20;
	uint8_t *h = p->data;

	memset(h, 0, at + 8);
	p->len = at + 8 + len;
	if (six) {
		h[0] = 0x60;
		store_be16(h + 4, (uint16_t)(8 + len));
		h[6] = IPPROTO_UDP;
		h[7] = 64;
		inet_pton(AF_INET6, "fd01::2", h + 8);
		inet_pton(AF_INET6, "fd01::1", h + 24);
	} else {
		memcpy(h, udp4, 20);
		store_be16(h + 2, (uint16_t)p->len);
		store_be16(h + 10, 0);
		checksum_put(h + 10, (uint16_t)~checksum_fold(checksum_add(0, h, 20)));
	}
	store_be16(h + at, 4001);
	store_be16(h + at + 2, 4000);
	store_be16(h + at + 4, (uint16_t)(8 + len));
	fill(h + at + 8, len);
	h[at + 8] = (uint8_t)number;
	checksum_put(h + at + 6,
		     (uint16_t)~checksum_fold(checksum_add(
			     checksum_pseudo(h, IPPROTO_UDP) + checksum_value((uint16_t)(8 + len)),
			     h + at, 8 + len)));
	if (!chained || !head) {
		pktvec_push(&vec, p);
		return;
	}
	for (last = head; last->next_part; last = last->next_part)
		;
	last->next_part = p;
	head->num_parts++;
	head->seg_len = (uint16_t)(head->len - at - 8);
	head->head_len = (uint16_t)(at + 8);
}

static void check_udp(int fd, uint32_t number, uint32_t len)
{
	static uint8_t got[2048], want[2048];

	fill(want, len);
	want[0] = (uint8_t)number;
	CU_ASSERT_EQUAL(recv(soon(fd), got, sizeof(got), 0), (ssize_t)len);
	CU_ASSERT(memcmp(got, want, len) == 0);
}

/* Chains arrive as their packets; one that the device refuses goes packet by packet, as do all of
 * its kind from then on. */
static void offloads_out(bool tun)
{
	int fds[2];

	if (!begin_offloads(tun))
		return;
	fds[0] = udp_socket("10.1.0.1", NULL, 4000);
	fds[1] = udp_socket(NULL, "fd01::1", 4000);
	for (int refused = 0; refused < 2; refused++) {
		for (int six = 0; six < 2; six++) {
			uint64_t sent = d->stats.tx_packets, bytes = d->stats.tx_bytes;

			for (uint32_t i = 0; i < 20; i++)
				put_udp(six, i, i < 19 ? 1000 : 500, true);
			put_udp(six, 20, 30, false);
			put_udp(six, 21, 30, true);
			if (refused)
				vec.pkt[0]->seg_len = vec.pkt[1]->seg_len = 0;
			CU_ASSERT_EQUAL(vec.num, 2);
			d->ops->tx(d, &vec);
			for (uint32_t i = 0; i < 22; i++)
				check_udp(fds[six], i, i < 19 ? 1000 : i < 20 ? 500 : 30);
			CU_ASSERT_EQUAL(d->stats.tx_packets - sent, 22);
			CU_ASSERT_EQUAL(d->stats.tx_bytes - bytes,
					22u * (six ? 48 : 28) + 19 * 1000 + 500 + 2 * 30);
			CU_ASSERT_EQUAL(d->stats.offload_refused, refused ? six + 1u : 0);
			CU_ASSERT_EQUAL(d->joins & JOIN_UDP4, refused ? 0 : JOIN_UDP4);
			CU_ASSERT_EQUAL(d->joins & JOIN_UDP6, refused && six ? 0 : JOIN_UDP6);
			CU_ASSERT(d->joins & JOIN_TCP4 && d->joins & JOIN_TCP6);
		}
	}
	CU_ASSERT_EQUAL(d->stats.tx_error + d->stats.tx_full, 0);
	/* A device that is down takes neither. */
	netns_sh("ip link set drvtap down");
	vec.num = 0;
	d->joins |= JOIN_UDP4;
	for (uint32_t i = 0; i < 5; i++)
		put_udp(false, i, 100, true);
	d->ops->tx(d, &vec);
	CU_ASSERT_EQUAL(d->stats.tx_error, 5);
	CU_ASSERT_EQUAL(d->stats.offload_refused, 2);
	close(fds[0]);
	close(fds[1]);
	end_offloads();
}

static void test_offloads_out_tap(void)
{
	offloads_out(false);
}

static void test_offloads_out_tun(void)
{
	offloads_out(true);
}

static void test_bad_arguments(void)
{
	struct driver *out = NULL;
	int pair[2];

	CU_ASSERT_EQUAL(tap_driver_open(&out, &(struct host_tap){.fd = -1}, MTU), ERR_INVAL);
	CU_ASSERT_EQUAL(tap_driver_open(&out, &(struct host_tap){0}, 0), ERR_INVAL);
	CU_ASSERT_FATAL(pipe(pair) == 0);
	alloc_fail_nth(1);
	CU_ASSERT_EQUAL(tap_driver_open(&out, &(struct host_tap){.fd = pair[0]}, MTU), ERR_NOMEM);
	alloc_fail_nth(0);
	CU_ASSERT_PTR_NULL(out);
	close(pair[0]);
	close(pair[1]);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_tap_round_trip),
	TAP_TEST(test_tun_round_trip),
	TAP_TEST(test_sizes),
	TAP_TEST(test_burst_and_shortage),
	TAP_TEST(test_token_in_source),
	TAP_TEST(test_token_becomes_mark),
	TAP_TEST(test_D4_demand_in_source),
	TAP_TEST(test_what_is_not_ip),
	TAP_TEST(test_device_down_and_gone),
	TAP_TEST(test_full_queue),
	TAP_TEST(test_bad_arguments),
	TAP_TEST(test_offloads_in_tap),
	TAP_TEST(test_offloads_in_tun),
	TAP_TEST(test_offloads_out_tap),
	TAP_TEST(test_offloads_out_tun),
};

TAP_MAIN("drivers/tap", tests)
