/* SPDX-License-Identifier: Apache-2.0 */
/* socket.c - tokens of sockets and of messages. */
#include "api/client/internal.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

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

static int class_by_pair(struct ipsec_pToken *t, int fd, const struct flow *pair)
{
	struct request req;
	struct reply reply;
	struct app_attrs class;

	request_begin(&req, APP_TOKEN_INFO);
	app_put_u32(&req.w, APP_A_TOKEN, t->handle);
	if (pair)
		app_put_flow(&req.w, APP_A_PAIR, pair);
	if (transact(&req, fd, USUAL_MS, &reply))
		return -1;
	if (app_attr_inside(&reply.msg.attrs, APP_A_CLASS, &class))
		return fail(EIO, "the daemon does not say what the token stands for");
	/* Another daemon's handles are others. */
	if (reply.instance != t->instance)
		return fail(ENOENT, "the daemon was started again since the token came");
	return ptoken_take(t, &class);
}

int class_by_socket(struct ipsec_pToken *t, int fd)
{
	return class_by_pair(t, fd, NULL);
}

uint32_t sockets_bringing(int out[static SOCKETS_MAX])
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
	num = sockets_bringing(fds);
	for (uint32_t i = 0; i < num; i++) {
		if (!class_by_socket(t, fds[i]))
			return 0;
		if (errno != ENOENT)
			return -1;
	}
	return fail(ENOENT, "no open socket of this process takes such tokens");
}

/* ---- of a socket ---------------------------------------------------------------------------- */

static int token_of(int fd, const struct flow *pair, ipsec_pToken_t out)
{
	struct ipsec_pToken found = {0};
	struct request req;
	struct reply reply;

	if (!as_ptoken(out))
		return -1;
	request_begin(&req, APP_SOCKET_TOKEN);
	if (pair)
		app_put_flow(&req.w, APP_A_PAIR, pair);
	if (transact(&req, fd, USUAL_MS, &reply))
		return -1;
	ptoken_reset(&found);
	found.handle = app_attr_u32(&reply.msg.attrs, APP_A_TOKEN, 0);
	found.instance = reply.instance;
	if (class_by_pair(&found, fd, pair)) {
		ptoken_reset(&found);
		return -1;
	}
	ptoken_reset(out);
	*out = found;
	return 0;
}

int ipsec_get_socket_pToken(int fd, ipsec_pToken_t out)
{
	return token_of(fd, NULL, out);
}

int ipsec_get_pair_pToken(int fd, const struct ipsec_pair *pair, ipsec_pToken_t out)
{
	struct flow flow;

	return pair_flow(&flow, pair) ? -1 : token_of(fd, &flow, out);
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
	/* An older kernel brings the interface alone. */
	if (token_marks_enable(fd) & arrivals_enable(fd))
		return fail(EOPNOTSUPP, "this kernel brings no tokens with messages");
	(void)sockets_bringing(seen); /* closed ones go */
	pthread_mutex_lock(&bringing.lock);
	full = bringing.num == SOCKETS_MAX;
	if (!full) {
		bringing.list[bringing.num].fd = fd;
		bringing.list[bringing.num++].cookie = cookie;
	}
	pthread_mutex_unlock(&bringing.lock);
	arrivals_forget(); /* it may be of another network */
	return full ? fail(EDQUOT, "too many sockets bring tokens") : 0;
}

/* handle_of - by the mark, else by the interface; 0 with errno. */
static uint32_t handle_of(const struct msghdr *msg)
{
	uint32_t handle = marks_tell() ? token_mark_of(msg) : 0;
	struct arrival a;

	if (handle)
		return handle;
	if (arrival_of(msg, &a))
		return arrival_token(&a);
	fail(ENOENT, "the message came without protection");
	return 0;
}

int ipsec_get_msg_pToken(const struct msghdr *msg, ipsec_pToken_t out)
{
	uint64_t instance;
	uint32_t handle;

	if (!msg || !as_ptoken(out))
		return msg ? -1 : fail(EINVAL, "there is no message");
	instance = instance_now();
	if (!instance)
		return fail(ECONNREFUSED, "no daemon answers: is latchkeyd running?");
	handle = handle_of(msg);
	if (!handle)
		return -1;
	/* One and the same token again and again is asked for once. */
	if (out->handle == handle && out->known && out->instance == instance)
		return 0;
	ptoken_reset(out);
	out->handle = handle;
	out->instance = instance;
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
