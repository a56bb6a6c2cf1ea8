/* SPDX-License-Identifier: Apache-2.0 */
#include "api/host/linux.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* BUFFER_LEN - as large as a busy worker needs to sleep through a scheduling gap: 7 MB. */
#define BUFFER_LEN (7 << 20)

static bool set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

/* set_family_options - IPv4: never DF, and no spoofed ICMP makes datagrams shorter, since routers
 * cut them. IPv6 routers cut nothing, so there the host's idea of the path MTU counts. */
static bool set_family_options(int fd, enum ip_family family)
{
	if (family == IP_V4)
		return set_int(fd, IPPROTO_IP, IP_PKTINFO, 1) &&
		       set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT);
	return set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) &&
	       set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
}

static bool set_options(int fd, enum ip_family family)
{
	/* No SO_REUSEADDR: it would let another program share the port and take our datagrams. Nor
	 * can another user's by SO_REUSEPORT, which is for sockets of one user. */
	if (!set_int(fd, SOL_SOCKET, SO_MARK, (int)HOST_MARK_OUTER) ||
	    !set_family_options(fd, family))
		return false;
	/* Beyond the administrator's limit where that is allowed, else up to it. */
	return (set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_LEN) ||
		set_int(fd, SOL_SOCKET, SO_RCVBUF, BUFFER_LEN)) &&
	       (set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, BUFFER_LEN) ||
		set_int(fd, SOL_SOCKET, SO_SNDBUF, BUFFER_LEN));
}

static int bind_any(int fd, enum ip_family family, uint16_t port)
{
	static const uint8_t zero[16];
	struct endpoint any = {.addr = family == IP_V4 ? ip_addr_v4(zero) : ip_addr_v6(zero),
			       .port = port};
	struct sockaddr_storage ss;
	socklen_t len = endpoint_to_sockaddr(&ss, &any);

	return bind(fd, (const struct sockaddr *)&ss, len);
}

/* note_port - the guard must let outer traffic arrive there. */
static void note_port(struct host_linux *h, uint16_t port)
{
	for (size_t i = 0; i < h->num_ports; i++)
		if (h->ports[i] == port)
			return;
	if (port && h->num_ports < HOST_PORTS_MAX)
		h->ports[h->num_ports++] = port;
}

/* open_socket - of this type and protocol, with our options. */
static enum err open_socket(int *out_fd, enum ip_family family, int type, int protocol)
{
	int fd, e;

	if (family != IP_V4 && family != IP_V6) {
		errno = EINVAL;
		return ERR_INVAL;
	}
	fd = socket(family == IP_V4 ? AF_INET : AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC,
		    protocol);
	if (fd < 0)
		return host_failed();
	if (!set_options(fd, family)) {
		e = errno;
		close(fd);
		errno = e;
		return host_failed();
	}
	*out_fd = fd;
	return ERR_OK;
}

/* open_udp - one socket; `shared`: with others of ours that are bound to the port. */
static enum err open_udp(int *out_fd, enum ip_family family, uint16_t port, bool shared)
{
	int fd, e;
	enum err err = open_socket(&fd, family, SOCK_DGRAM, 0);

	if (err)
		return err;
	if ((shared && !set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1)) ||
	    (family == IP_V6 && !set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)) ||
	    bind_any(fd, family, port) < 0) {
		e = errno;
		close(fd);
		errno = e;
		return host_failed();
	}
	*out_fd = fd;
	return ERR_OK;
}

/* is_free - nobody has the port, not even a process that would share it with us. */
static enum err is_free(enum ip_family family, uint16_t port)
{
	int fd;
	enum err err = open_udp(&fd, family, port, false);

	if (!err)
		close(fd);
	return err;
}

enum err host_udp_open(void *ctx, int *out_fds, enum ip_family family, uint16_t port, uint32_t num)
{
	struct host_linux *h = ctx;
	enum err err = num > 1 ? is_free(family, port) : ERR_OK;
	uint32_t got = 0;
	int e;

	while (!err && got < num) {
		err = open_udp(&out_fds[got], family, port, num > 1);
		if (!err)
			got++;
	}
	if (err) {
		e = errno;
		while (got)
			close(out_fds[--got]);
		errno = e;
		return err;
	}
	note_port(h, port);
	return ERR_OK;
}

enum err host_udp_connect(void *ctx, int *out_fd, const struct endpoint *remote)
{
	struct sockaddr_storage ss;
	socklen_t len = endpoint_to_sockaddr(&ss, remote);
	enum err err;
	int fd, e;

	(void)ctx;
	err = open_socket(&fd, (enum ip_family)remote->addr.family, SOCK_DGRAM, 0);
	if (err)
		return err;
	if (connect(fd, (const struct sockaddr *)&ss, len)) {
		e = errno;
		close(fd);
		errno = e;
		return host_failed();
	}
	*out_fd = fd;
	return ERR_OK;
}

/* bits_for - all numbers below num are within these. */
static uint32_t bits_for(uint32_t num)
{
	uint32_t bits = 0;

	while (bits + 1 < num)
		bits = bits << 1 | 1;
	return bits;
}

/* The program sees the datagram behind its UDP header; what it names is the socket by the order in
 * which they were bound. */
enum err host_udp_steer(void *ctx, int fd, uint32_t shift, uint32_t num)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, shift),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, bits_for(num)),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};
	const struct sock_fprog prog = {.len = ARRAY_LEN(code), .filter = code};

	(void)ctx;
	if (shift > 31 || !num) {
		errno = EINVAL;
		return ERR_INVAL;
	}
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &prog, sizeof(prog)) < 0)
		return host_failed();
	return ERR_OK;
}

/* take_own - raw socket number `index` of num takes what is named for it: the kernel gives a copy
 * of each packet to every one, and the filter leaves one of these. Of IPv4 it sees the header, too.
 */
static bool take_own(int fd, enum ip_family family, uint32_t num, uint32_t index, uint32_t shift)
{
	const uint32_t whole = UINT32_MAX, others = index ? 0 : whole;
	struct sock_filter code[] = {
		/* X: where ESP begins. */
		family == IP_V4 ? (struct sock_filter)BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0)
				: (struct sock_filter)BPF_STMT(BPF_LDX | BPF_W | BPF_IMM, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		BPF_STMT(BPF_ALU | BPF_SUB | BPF_X, 0),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 4, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, others),
		BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0),
		BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, shift),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, bits_for(num)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, num, 0, 1),
		BPF_STMT(BPF_ALU | BPF_SUB | BPF_K, num),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, index, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, whole),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog prog = {.len = ARRAY_LEN(code), .filter = code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) == 0;
}

/* open_esp - number `index` of num. */
static enum err open_esp(int *out_fd, enum ip_family family, uint32_t num, uint32_t index,
			 uint32_t shift)
{
	int fd, e;
	enum err err = open_socket(&fd, family, SOCK_RAW, IPPROTO_ESP);

	if (err)
		return err;
	if (num > 1 && !take_own(fd, family, num, index, shift)) {
		e = errno;
		close(fd);
		errno = e;
		return host_failed();
	}
	*out_fd = fd;
	return ERR_OK;
}

enum err host_esp_open(void *ctx, int *out_fds, enum ip_family family, uint32_t num, uint32_t shift)
{
	enum err err = ERR_OK;
	uint32_t got = 0;
	int e;

	(void)ctx;
	if (shift > 31 || !num) {
		errno = EINVAL;
		return ERR_INVAL;
	}
	while (!err && got < num) {
		err = open_esp(&out_fds[got], family, num, got, shift);
		if (!err)
			got++;
	}
	if (!err)
		return ERR_OK;
	e = errno;
	while (got)
		close(out_fds[--got]);
	errno = e;
	return err;
}
