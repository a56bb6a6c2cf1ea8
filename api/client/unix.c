/* SPDX-License-Identifier: Apache-2.0 */
/* unix.c - the daemon behind its application socket. */
#include "api/client/internal.h"

#include "base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define DEFAULT_PATH    "/run/latchkey/" APP_SOCKET
#define CONNECT_SECONDS 2

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char set_path[sizeof(((struct sockaddr_un *)0)->sun_path)];

int ipsec_set_socket_path(const char *path)
{
	if (!path || strlen(path) >= sizeof(set_path))
		return fail(path ? ENAMETOOLONG : EINVAL, "that is no path of a socket");
	pthread_mutex_lock(&lock);
	snprintf(set_path, sizeof(set_path), "%s", path);
	pthread_mutex_unlock(&lock);
	return 0;
}

static int address(struct sockaddr_un *out)
{
	const char *env = secure_getenv("LATCHKEY_SOCKET");
	int len;

	*out = (struct sockaddr_un){.sun_family = AF_UNIX};
	pthread_mutex_lock(&lock);
	len = snprintf(out->sun_path, sizeof(out->sun_path), "%s",
		       set_path[0]   ? set_path
		       : env && *env ? env
				     : DEFAULT_PATH);
	pthread_mutex_unlock(&lock);
	return len < (int)sizeof(out->sun_path) ? 0 : -1;
}

/* It waits for a place in the daemon's backlog, but not for ever: somebody may keep it full. */
static int connect_to(int fd, const struct sockaddr_un *sun)
{
	struct timeval most = {.tv_sec = CONNECT_SECONDS};

	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof(most)) ||
	    connect(fd, (const struct sockaddr *)sun, sizeof(*sun)))
		return -1;
	return fcntl(fd, F_SETFL, O_NONBLOCK);
}

static int unix_open(void **out)
{
	struct sockaddr_un sun;
	int *conn, fd;

	if (address(&sun)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	conn = mem_alloc(sizeof(*conn));
	if (!conn || connect_to(fd, &sun)) {
		errno = !conn ? ENOMEM : errno == EACCES ? EACCES : ECONNREFUSED;
		close(fd);
		mem_free(conn);
		return -1;
	}
	*conn = fd;
	*out = conn;
	return 0;
}

static int unix_send(void *conn, const void *bytes, size_t len, int fd)
{
	alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *c;

	if (fd >= 0) {
		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	if (sendmsg(*(int *)conn, &msg, MSG_NOSIGNAL) >= 0)
		return 0;
	if (errno == EPIPE || errno == ENOTCONN)
		errno = ECONNRESET;
	return -1;
}

static ssize_t unix_recv(void *conn, void *buf, size_t room)
{
	ssize_t len;

	do {
		len = recv(*(int *)conn, buf, room, 0);
	} while (len < 0 && errno == EINTR);
	return len;
}

static int unix_fd(void *conn)
{
	return *(int *)conn;
}

static void unix_close(void *conn)
{
	close(*(int *)conn);
	mem_free(conn);
}

const struct ipsec_backend unix_backend = {
	.open = unix_open,
	.send = unix_send,
	.recv = unix_recv,
	.fd = unix_fd,
	.close = unix_close,
};
