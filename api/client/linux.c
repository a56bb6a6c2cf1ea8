/* SPDX-License-Identifier: Apache-2.0 */
/* linux.c - the shim: what this kernel calls its own of sockets, messages and memory. */
#include "api/client/internal.h"

#include "base/host.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static_assert(HOST_MARK_TOKEN == APP_TOKEN_MASK, "a class has these bits of a mark");
static_assert(CMSG_SPACE(sizeof(uint32_t)) <= IPSEC_MSG_SPACE, "a token fits");

#ifndef SO_RCVMARK
#define SO_RCVMARK 75 /* Linux 5.19 */
#endif

uint64_t socket_cookie(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) ? 0 : cookie;
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
