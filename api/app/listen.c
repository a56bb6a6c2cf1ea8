/* SPDX-License-Identifier: Apache-2.0 */
#include "api/app/listen.h"

#include "api/app/proto.h"
#include "base/alloc.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* As many descriptors as a message can bring, so that the kernel closes none of them for us, which
 * may take as long as he likes who sent it; one is the most that is good. */
#define FDS_ROOM 253
#define BACKLOG  64

struct app_listen {
	struct conns conns;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	ino_t inode; /* of our socket: another daemon's in its place is left alone */
};

/* ---- reading and writing -------------------------------------------------------------------- */

/* A datagram socket is closed at once; what else it is may keep who closes it waiting. */
static void drop(struct conn *c, int fd)
{
	int type = 0, domain = 0;
	socklen_t len = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_DGRAM &&
	    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
	    (domain == AF_INET || domain == AF_INET6))
		close(fd);
	else
		closer_close(c->conns->closer, fd, c->owner);
}

/* Takes the one descriptor out of a message; of several, none. *out is -1 if there is none. Errors:
 * LIMIT (several). */
static enum err take_fd(struct conn *c, int *out, struct msghdr *msg)
{
	uint32_t num = 0;

	*out = -1;
	for (struct cmsghdr *m = CMSG_FIRSTHDR(msg); m; m = CMSG_NXTHDR(msg, m)) {
		size_t fds = (m->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (m->cmsg_level != SOL_SOCKET || m->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < fds; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(m) + i * sizeof(int), sizeof(fd));
			if (num++ == 0)
				*out = fd;
			else
				drop(c, fd);
		}
	}
	if (num <= 1 && !(msg->msg_flags & MSG_CTRUNC))
		return ERR_OK;
	if (*out >= 0)
		drop(c, *out);
	return ERR_LIMIT;
}

/* One message. */
static enum err read_one(struct conn *c)
{
	alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(FDS_ROOM * sizeof(int))];
	uint8_t buf[APP_MESSAGE_MAX];
	struct iovec iov = {.iov_base = buf, .iov_len = sizeof(buf)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	ssize_t len = recvmsg(c->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	enum err e;
	int fd;

	if (len < 0)
		return errno == EAGAIN || errno == EINTR ? ERR_AGAIN : ERR_SYS;
	e = take_fd(c, &fd, &msg);
	if (e)
		return e;
	e = len > 0 ? ERR_LIMIT /* it is too long */ : ERR_SYS;
	if (len > 0 && !(msg.msg_flags & MSG_TRUNC))
		e = app_client_input(c->client, buf, (size_t)len, fd);
	if (fd >= 0)
		drop(c, fd);
	return e;
}

static enum err write_one(struct conn *c, struct bytes message)
{
	ssize_t len = send(c->fd, message.p, message.len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (len >= 0)
		return ERR_OK;
	return errno == EAGAIN || errno == EINTR ? ERR_AGAIN : ERR_SYS;
}

/* ---- accepting ------------------------------------------------------------------------------ */

/* owner_of - for closer.h, which wants no 0. */
static uint64_t owner_of(uint32_t uid)
{
	return (uint64_t)uid + 1;
}

/* Who it is, as the kernel noted when he connected. Of whom the server does not admit no more is
 * asked than that: FULL, and his uid is told. Errors: SYS, FULL. */
static enum err peer_of(struct app_peer *out, int fd, struct app_server *server)
{
	struct ucred cred;
	socklen_t len = sizeof(cred), groups_len = sizeof(out->groups);

	memset(out, 0, sizeof(*out));
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return ERR_SYS;
	out->uid = cred.uid;
	out->gid = cred.gid;
	out->pid = cred.pid;
	if (!app_server_admits(server, out))
		return ERR_FULL;
	/* More groups than there is room for: none of them counts. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, out->groups, &groups_len) == 0)
		out->num_groups = groups_len / sizeof(out->groups[0]);
	return ERR_OK;
}

/* Over a quota a client is accepted and closed, so that he does not wait in vain. */
static bool admit(struct conns *conns, int fd)
{
	struct app_peer peer;
	struct conn *c = peer_of(&peer, fd, conns->server) ? NULL : mem_alloc(sizeof(*c));

	if (!c) {
		conns_drop(conns, fd, owner_of(peer.uid));
		return false;
	}
	c->owner = owner_of(peer.uid);
	if (!conn_open(conns, c, fd))
		return false;
	if (!conn_begin(c, &peer))
		return true;
	conn_close(c);
	return false;
}

static const struct conn_ops ops = {
	.admit = admit,
	.read = read_one,
	.write = write_one,
};

/* ---- opening, closing ----------------------------------------------------------------------- */

/* A dead daemon's socket refuses connections; then it is taken away. So does a file that is no
 * socket, which is not ours to remove. Errors: BUSY, SYS. */
static enum err make_room(const struct sockaddr_un *sun)
{
	struct stat st;
	int res, err, fd;

	if (lstat(sun->sun_path, &st))
		return errno == ENOENT ? ERR_OK : ERR_SYS;
	if (!S_ISSOCK(st.st_mode)) {
		errno = ENOTSOCK;
		return ERR_SYS;
	}
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return ERR_SYS;
	res = connect(fd, (const struct sockaddr *)sun, sizeof(*sun));
	err = res ? errno : 0;
	close(fd);
	if (err == ENOENT)
		return ERR_OK;
	if (err != ECONNREFUSED) {
		errno = err ? err : EADDRINUSE;
		return ERR_BUSY;
	}
	return unlink(sun->sun_path) && errno != ENOENT ? ERR_SYS : ERR_OK;
}

static enum err socket_open(int *out_fd, const char *path, ino_t *out_inode)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct stat st;
	mode_t mask;
	int fd, res;
	enum err e;

	if (strlen(path) >= sizeof(sun.sun_path))
		return ERR_LIMIT;
	memcpy(sun.sun_path, path, strlen(path) + 1);
	e = make_room(&sun);
	if (e)
		return e;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return ERR_SYS;
	mask = umask(0111);
	res = bind(fd, (struct sockaddr *)&sun, sizeof(sun));
	umask(mask);
	if (res || listen(fd, BACKLOG) || stat(path, &st)) {
		close(fd);
		return ERR_SYS;
	}
	*out_inode = st.st_ino;
	*out_fd = fd;
	return ERR_OK;
}

enum err app_listen_open(struct app_listen **out, uv_loop_t *loop, const char *path,
			 struct app_server *server)
{
	struct app_listen *l = mem_alloc(sizeof(*l));
	int fd;
	enum err e = l ? socket_open(&fd, path, &l->inode) : ERR_NOMEM;

	if (e) {
		mem_free(l);
		return e;
	}
	snprintf(l->path, sizeof(l->path), "%s", path);
	e = conns_open(&l->conns, loop, server, &ops);
	if (e) {
		close(fd);
		unlink(path);
		mem_free(l);
		return e;
	}
	e = conns_listen(&l->conns, fd);
	if (e)
		app_listen_close(l);
	else
		*out = l;
	return e;
}

void app_listen_close(struct app_listen *l)
{
	struct stat st;

	if (!l)
		return;
	if (!stat(l->path, &st) && st.st_ino == l->inode)
		unlink(l->path);
	conns_close(&l->conns);
}
