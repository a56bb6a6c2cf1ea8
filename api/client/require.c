/* SPDX-License-Identifier: Apache-2.0 */
/* require.c - the easy way: a socket's peer by his name, or nobody. */
#include "api/client/internal.h"

#include "base/mptcp.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define REQUIRE_MS 30000

/* struct wish - whom, how, and how long to wait. */
struct wish {
	const char *profile, *peer;
	int timeout_ms;
};

/* require - of the socket's flow or, where it has several, of that with the ends of pair; remote:
 * of one that it will have. *out_token: the class that it has now; 0: none is needed. */
static int require(uint32_t *out_token, int fd, const struct flow *remote, const struct flow *pair,
		   const struct wish *w)
{
	struct request req;
	struct reply reply;

	if ((w->profile && strlen(w->profile) > 31) || (w->peer && strlen(w->peer) >= ID_ROOM))
		return fail(EINVAL, "the name is too long");
	request_begin(&req, APP_REQUIRE);
	app_put_text(&req.w, APP_A_PROFILE, w->profile);
	app_put_text(&req.w, APP_A_PEER, w->peer);
	app_put_u32(&req.w, APP_A_TIMEOUT_MS, (uint32_t)w->timeout_ms);
	if (remote)
		app_put_flow(&req.w, APP_A_REMOTE, remote);
	if (pair)
		app_put_flow(&req.w, APP_A_PAIR, pair);
	if (transact(&req, fd, w->timeout_ms + USUAL_MS, &reply))
		return -1;
	*out_token = app_attr_u32(&reply.msg.attrs, APP_A_TOKEN, 0);
	return 0;
}

/* ---- several pairs of addresses: MPTCP ------------------------------------------------------- */

/* demand - of what comes later: a pair that the kernel adds is latched to the class that its first
 * packet demands. */
static int demand(int fd, uint32_t token)
{
	struct request req;
	struct reply reply;

	request_begin(&req, APP_DEMAND);
	app_put_u32(&req.w, APP_A_TOKEN, token);
	return transact(&req, fd, USUAL_MS, &reply);
}

/* require_others - the pairs beside the first, which has its latch: what comes is seen to before
 * what is there, so that none is missed. */
static int require_others(int fd, uint32_t token, const struct wish *w)
{
	struct flow pairs[MPTCP_PAIRS_MAX];
	uint32_t num;

	if (!mptcp_is(fd))
		return 0;
	if (token && demand(fd, token))
		return -1;
	num = mptcp_pairs(pairs, fd);
	for (uint32_t i = 1; i < num; i++) {
		if (require(&token, fd, NULL, &pairs[i], w))
			return -1;
	}
	return 0;
}

/* ---- the calls ------------------------------------------------------------------------------ */

int ipsec_require(int fd, const char *profile, const char *peer_name)
{
	const struct wish w = {profile, peer_name, REQUIRE_MS};
	uint32_t token;

	if (require(&token, fd, NULL, NULL, &w))
		return -1;
	return require_others(fd, token, &w);
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
	const struct wish w = {profile, peer_name, timeout_ms < 0 ? REQUIRE_MS : timeout_ms};
	struct sockaddr_storage ss = {0};
	struct endpoint remote;
	struct flow flow = {0};
	uint32_t token;

	if (!addr || addr_len > sizeof(ss))
		return fail(EINVAL, "that is no address");
	memcpy(&ss, addr, addr_len);
	if (endpoint_from_sockaddr(&remote, &ss))
		return fail(EINVAL, "that is no address of IP");
	if (bind_source(fd, addr, addr_len))
		return -1;
	flow.remote = remote.addr;
	flow.remote_port = remote.port;
	if (require(&token, fd, &flow, NULL, &w) || require_others(fd, token, &w))
		return -1;
	return connect(fd, addr, addr_len) ? fail(errno, strerror(errno)) : 0;
}
