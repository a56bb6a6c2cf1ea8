/* SPDX-License-Identifier: Apache-2.0 */
/* socket.c - tokens of sockets and of messages, and what a socket's peer has to be. */
#include "api/client/internal.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define REQUIRE_MS  30000
#define SOCKETS_MAX 64 /* that bring tokens, and are asked what these stand for */

/* A socket that brings tokens. Its number may be another's meanwhile, its cookie not. */
static struct {
	pthread_mutex_t lock;
	struct {
		int fd;
		uint64_t cookie;
	} list[SOCKETS_MAX];
	uint32_t num;
} bringing = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- what a token stands for ---------------------------------------------------------------- */

int class_by_socket(struct ipsec_pToken *t, int fd)
{
	struct request req;
	struct reply reply;
	struct app_attrs class;

	request_begin(&req, APP_TOKEN_INFO);
	app_put_u32(&req.w, APP_A_TOKEN, t->handle);
	if (transact(&req, fd, USUAL_MS, &reply))
		return -1;
	if (app_attr_inside(&reply.msg.attrs, APP_A_CLASS, &class))
		return fail(EIO, "the daemon does not say what the token stands for");
	/* Another daemon's handles are others. */
	if (reply.instance != t->instance)
		return fail(ENOENT, "the daemon was started again since the token came");
	return ptoken_take(t, &class);
}

static uint32_t sockets(int out[static SOCKETS_MAX])
{
	uint32_t num = 0;

	pthread_mutex_lock(&bringing.lock);
	for (uint32_t i = bringing.num; i-- > 0;) {
		if (socket_cookie(bringing.list[i].fd) == bringing.list[i].cookie)
			out[num++] = bringing.list[i].fd;
		else
			bringing.list[i] = bringing.list[--bringing.num];
	}
	pthread_mutex_unlock(&bringing.lock);
	return num;
}

int ptoken_know(struct ipsec_pToken *t)
{
	int fds[SOCKETS_MAX];
	uint32_t num;

	if (!t->handle || t->known)
		return 0;
	num = sockets(fds);
	for (uint32_t i = 0; i < num; i++) {
		if (!class_by_socket(t, fds[i]))
			return 0;
		if (errno != ENOENT)
			return -1;
	}
	return fail(ENOENT, "no open socket of this process takes such tokens");
}

/* ---- of a socket ---------------------------------------------------------------------------- */

int ipsec_get_socket_pToken(int fd, ipsec_pToken_t out)
{
	struct ipsec_pToken found = {0};
	struct request req;
	struct reply reply;

	if (!as_ptoken(out))
		return -1;
	request_begin(&req, APP_SOCKET_TOKEN);
	if (transact(&req, fd, USUAL_MS, &reply))
		return -1;
	ptoken_reset(&found);
	found.handle = app_attr_u32(&reply.msg.attrs, APP_A_TOKEN, 0);
	found.instance = reply.instance;
	if (class_by_socket(&found, fd)) {
		ptoken_reset(&found);
		return -1;
	}
	ptoken_reset(out);
	*out = found;
	return 0;
}

int ipsec_set_socket_pToken(int fd, const ipsec_pToken_t token)
{
	struct ipsec_pToken *t = as_ptoken(token);
	struct ipsec_latch *latch;
	struct request req;
	struct reply reply;

	if (!t)
		return -1;
	if (!t->handle) {
		if (ipsec_latch_create(&latch, fd, t, 0))
			return -1;
		ipsec_latch_free(latch);
		return 0;
	}
	if (t->instance != instance_now())
		return fail(ENOENT, "the daemon was started again since the token came");
	request_begin(&req, APP_DEMAND);
	app_put_u32(&req.w, APP_A_TOKEN, t->handle);
	return transact(&req, fd, USUAL_MS, &reply);
}

/* ---- of messages ---------------------------------------------------------------------------- */

int ipsec_enable_msg_pToken(int fd)
{
	uint64_t cookie = socket_cookie(fd);
	int seen[SOCKETS_MAX], full;

	if (!cookie)
		return fail(EINVAL, "this is no socket");
	if (token_marks_enable(fd))
		return fail(EOPNOTSUPP, "this kernel brings no tokens with messages");
	(void)sockets(seen); /* closed ones go */
	pthread_mutex_lock(&bringing.lock);
	full = bringing.num == SOCKETS_MAX;
	if (!full) {
		bringing.list[bringing.num].fd = fd;
		bringing.list[bringing.num++].cookie = cookie;
	}
	pthread_mutex_unlock(&bringing.lock);
	return full ? fail(EDQUOT, "too many sockets bring tokens") : 0;
}

int ipsec_get_msg_pToken(const struct msghdr *msg, ipsec_pToken_t out)
{
	uint32_t handle;

	if (!msg || !as_ptoken(out))
		return msg ? -1 : fail(EINVAL, "there is no message");
	handle = token_mark_of(msg);
	if (!handle)
		return fail(ENOENT, "the message came without protection");
	/* One and the same token again and again is asked for once. */
	if (out->handle == handle && out->known && out->instance == instance_now())
		return 0;
	ptoken_reset(out);
	out->handle = handle;
	out->instance = instance_now();
	return 0;
}

int ipsec_set_msg_pToken(struct msghdr *msg, const ipsec_pToken_t token)
{
	struct ipsec_pToken *t = as_ptoken(token);

	if (!t)
		return -1;
	if (!msg || !t->handle)
		return fail(EINVAL, "a template protects no message");
	if (!msg->msg_control || msg->msg_controllen < IPSEC_MSG_SPACE)
		return fail(ENOBUFS, "there is too little room for control data");
	if (!token_mark_allowed())
		return fail(EPERM, "the kernel lets nobody say this for a message who may not "
				   "administer the network");
	token_mark_put(msg, t->handle);
	return 0;
}

/* ---- the easy way --------------------------------------------------------------------------- */

static int require(int fd, const struct flow *remote, const char *profile, const char *peer,
		   int timeout_ms)
{
	struct request req;
	struct reply reply;

	if ((profile && strlen(profile) > 31) || (peer && strlen(peer) >= ID_ROOM))
		return fail(EINVAL, "the name is too long");
	request_begin(&req, APP_REQUIRE);
	app_put_text(&req.w, APP_A_PROFILE, profile);
	app_put_text(&req.w, APP_A_PEER, peer);
	app_put_u32(&req.w, APP_A_TIMEOUT_MS, (uint32_t)timeout_ms);
	if (remote)
		app_put_flow(&req.w, APP_A_REMOTE, remote);
	return transact(&req, fd, timeout_ms + USUAL_MS, &reply);
}

int ipsec_require(int fd, const char *profile, const char *peer_name)
{
	return require(fd, NULL, profile, peer_name, REQUIRE_MS);
}

/* Where the host would send from: a datagram socket is told where to, and sends nothing. */
static int source_for(struct sockaddr_storage *out, socklen_t *out_len, const struct sockaddr *addr,
		      socklen_t len)
{
	int fd = socket(addr->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), err;

	*out_len = sizeof(*out);
	if (fd < 0)
		return fail(errno, "no such socket can be made");
	err = connect(fd, addr, len) || getsockname(fd, (struct sockaddr *)out, out_len) ? errno
											 : 0;
	close(fd);
	return err ? fail(err, "the host has no way to the peer") : 0;
}

/* The socket has an address and a port of its own afterwards. */
static int bind_source(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct sockaddr_storage own = {0}, source;
	socklen_t own_len = sizeof(own), source_len;
	struct endpoint end, wanted;

	if (getsockname(fd, (struct sockaddr *)&own, &own_len))
		return fail(errno, "this is no socket");
	if (endpoint_from_sockaddr(&end, &own))
		return fail(EINVAL, "this is no socket of IP");
	if (end.port && !ip_addr_is_any(&end.addr))
		return 0;
	if (end.port)
		return fail(EINVAL, "the socket is bound to a port of no address");
	if (source_for(&source, &source_len, addr, len))
		return -1;
	if (ip_addr_is_any(&end.addr)) {
		if (endpoint_from_sockaddr(&wanted, &source))
			return fail(EINVAL, "the host has no way to the peer");
		wanted.port = 0;
		source_len = endpoint_to_sockaddr(&source, &wanted);
	} else {
		source = own;
		source_len = own_len;
	}
	return bind(fd, (struct sockaddr *)&source, source_len)
		       ? fail(errno, "the socket cannot be bound")
		       : 0;
}

int ipsec_connect(int fd, const struct sockaddr *addr, socklen_t addr_len, const char *profile,
		  const char *peer_name, int timeout_ms)
{
	struct sockaddr_storage ss = {0};
	struct endpoint remote;
	struct flow flow = {0};

	if (!addr || addr_len > sizeof(ss))
		return fail(EINVAL, "that is no address");
	memcpy(&ss, addr, addr_len);
	if (endpoint_from_sockaddr(&remote, &ss))
		return fail(EINVAL, "that is no address of IP");
	if (bind_source(fd, addr, addr_len))
		return -1;
	flow.remote = remote.addr;
	flow.remote_port = remote.port;
	if (require(fd, &flow, profile, peer_name, timeout_ms < 0 ? REQUIRE_MS : timeout_ms))
		return -1;
	return connect(fd, addr, addr_len) ? fail(errno, strerror(errno)) : 0;
}
