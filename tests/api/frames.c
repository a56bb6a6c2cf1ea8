/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/api/frames.h"

#include "base/addr.h"
#include "tests/tap/tap.h"

#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ETH_LEN 14
#define WAIT_MS 200

#ifndef SO_RCVMARK
#define SO_RCVMARK 75
#endif

static bool soon(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, ms) == 1;
}

static bool is_v6(const struct frame *f)
{
	return f->b[ETH_LEN] >> 4 == 6;
}

static bool of_interest(const struct frame *f)
{
	uint8_t proto = f->b[ETH_LEN + (is_v6(f) ? 6 : 9)];

	return f->len > ETH_LEN + 20 && (proto == IPPROTO_UDP || proto == IPPROTO_TCP);
}

static bool read_within(int tap, struct frame *f, int ms)
{
	while (soon(tap, ms)) {
		ssize_t n = read(tap, f->b, sizeof(f->b));

		if (n <= 0)
			return false;
		f->len = (size_t)n;
		if (of_interest(f))
			return true;
	}
	return false;
}

bool frame_read(int tap, struct frame *f)
{
	return read_within(tap, f, WAIT_MS);
}

bool frame_none(int tap)
{
	static struct frame f;

	return !read_within(tap, &f, 20);
}

static void swap(uint8_t *a, uint8_t *b, size_t len)
{
	uint8_t keep[16];

	memcpy(keep, a, len);
	memcpy(a, b, len);
	memcpy(b, keep, len);
}

void frame_turn(struct frame *f, uint32_t token)
{
	uint8_t *ip = f->b + ETH_LEN;
	uint8_t *ports = ip + (is_v6(f) ? 40 : 20);

	if (is_v6(f))
		swap(ip + 8, ip + 24, 16);
	else
		swap(ip + 12, ip + 16, 4);
	swap(ports, ports + 2, 2);
	f->b[6] = 0x02;
	f->b[7] = 0x00;
	memcpy(f->b + 8, &token, sizeof(token));
}

void frame_write(int tap, const struct frame *f)
{
	CU_ASSERT_EQUAL(write(tap, f->b, f->len), (ssize_t)f->len);
}

static socklen_t place(struct sockaddr_storage *ss, const char *text, uint16_t port)
{
	struct endpoint e = {.port = port};

	CU_ASSERT_FATAL(ip_addr_parse(&e.addr, text) == ERR_OK);
	return endpoint_to_sockaddr(ss, &e);
}

int frame_udp(const char *local, uint16_t port, const char *remote, uint16_t remote_port)
{
	struct sockaddr_storage ss;
	socklen_t len = place(&ss, local, port);
	int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0);
	CU_ASSERT(setsockopt(fd, SOL_SOCKET, SO_RCVMARK, &on, sizeof(on)) == 0);
	CU_ASSERT(bind(fd, (struct sockaddr *)&ss, len) == 0);
	if (remote) {
		len = place(&ss, remote, remote_port);
		CU_ASSERT(connect(fd, (struct sockaddr *)&ss, len) == 0);
	}
	return fd;
}

bool frame_recv(int fd, uint32_t *out_mark, size_t *out_len)
{
	uint8_t data[2048];
	alignas(struct cmsghdr) uint8_t control[128];
	struct iovec iov = {data, sizeof(data)};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	ssize_t n = soon(fd, WAIT_MS) ? recvmsg(fd, &m, 0) : -1;

	*out_mark = 0;
	if (n < 0)
		return false;
	*out_len = (size_t)n;
	/* The kernel calls it SO_MARK here. */
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_MARK)
			memcpy(out_mark, CMSG_DATA(c), sizeof(*out_mark));
	return true;
}
