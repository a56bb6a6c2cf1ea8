/* SPDX-License-Identifier: Apache-2.0 */
/* linux.c - the shim: what this kernel calls its own of sockets, messages and memory. */
#include "api/client/internal.h"

#include "base/host.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static_assert(HOST_MARK_TOKEN == APP_TOKEN_MASK, "a class has these bits of a mark");
static_assert(CMSG_SPACE(sizeof(uint32_t)) + CMSG_SPACE(sizeof(struct in_pktinfo)) +
			      CMSG_SPACE(sizeof(struct in6_pktinfo)) <=
		      IPSEC_MSG_SPACE,
	      "a mark fits, and by which interface");

#ifndef SO_RCVMARK
#define SO_RCVMARK 75 /* Linux 5.19 */
#endif
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71 /* Linux 5.14 */
#endif

uint64_t socket_cookie(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) ? 0 : cookie;
}

uint64_t socket_network(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) ? 0 : cookie;
}

int memory_file(const void *bytes, size_t len)
{
	int fd = memfd_create("latchkey", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

	if (fd < 0)
		return -1;
	if (write(fd, bytes, len) == (ssize_t)len && !fcntl(fd, F_ADD_SEALS, seals))
		return fd;
	close(fd);
	errno = EIO;
	return -1;
}

int token_marks_enable(int fd)
{
	int yes = 1;

	return setsockopt(fd, SOL_SOCKET, SO_RCVMARK, &yes, sizeof(yes));
}

/* What came by IPv4 to a socket of IPv6 is told in both ways. */
int arrivals_enable(int fd)
{
	int domain = 0, yes = 1;
	socklen_t len = sizeof(domain);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) ||
	    setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &yes, sizeof(yes)))
		return -1;
	return domain == AF_INET6
		       ? setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &yes, sizeof(yes))
		       : 0;
}

/* What went to many has another address to be answered from. */
static bool by_ipv4(const struct cmsghdr *c, struct arrival *out)
{
	struct in_pktinfo info;

	if (c->cmsg_len < CMSG_LEN(sizeof(info)))
		return false;
	memcpy(&info, CMSG_DATA(c), sizeof(info));
	out->ifindex = (uint32_t)info.ipi_ifindex;
	out->to = ip_addr_v4((const uint8_t *)&info.ipi_addr);
	return info.ipi_spec_dst.s_addr == info.ipi_addr.s_addr;
}

static bool by_ipv6(const struct cmsghdr *c, struct arrival *out)
{
	struct in6_pktinfo info;

	if (c->cmsg_len < CMSG_LEN(sizeof(info)))
		return false;
	memcpy(&info, CMSG_DATA(c), sizeof(info));
	out->ifindex = info.ipi6_ifindex;
	out->to = ip_addr_v6(info.ipi6_addr.s6_addr);
	return !IN6_IS_ADDR_MULTICAST(&info.ipi6_addr) && !IN6_IS_ADDR_V4MAPPED(&info.ipi6_addr);
}

bool arrival_of(const struct msghdr *msg, struct arrival *out)
{
	struct msghdr m = *msg;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
			return by_ipv4(c, out);
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO &&
		    by_ipv6(c, out))
			return true;
	}
	return false;
}

/* CMSG_NXTHDR takes a message that may be written to. */
uint32_t token_mark_of(const struct msghdr *msg)
{
	struct msghdr m = *msg;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		uint32_t mark;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SO_MARK ||
		    c->cmsg_len < CMSG_LEN(sizeof(mark)))
			continue;
		memcpy(&mark, CMSG_DATA(c), sizeof(mark));
		return mark & APP_TOKEN_MASK;
	}
	return 0;
}

/* The kernel would say so only of the datagram: it is asked with a socket of no use. */
bool token_mark_allowed(void)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), mark = 0;
	bool yes = fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));

	if (fd >= 0)
		close(fd);
	return yes;
}

void token_mark_put(struct msghdr *msg, uint32_t token)
{
	struct cmsghdr *c = msg->msg_control;

	memset(msg->msg_control, 0, msg->msg_controllen);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SO_MARK;
	c->cmsg_len = CMSG_LEN(sizeof(token));
	memcpy(CMSG_DATA(c), &token, sizeof(token));
	msg->msg_controllen = CMSG_SPACE(sizeof(token));
}
