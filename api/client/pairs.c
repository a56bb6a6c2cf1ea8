/* SPDX-License-Identifier: Apache-2.0 */
/* pairs.c - the pairs of addresses of one socket. */
#include "api/client/internal.h"

#include "base/mptcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

static void put_end(struct sockaddr_storage *out, const struct ip_addr *addr, uint16_t port)
{
	const struct endpoint e = {.addr = *addr, .port = port};

	memset(out, 0, sizeof(*out));
	(void)endpoint_to_sockaddr(out, &e);
}

int ipsec_socket_pairs(int fd, struct ipsec_pair *out, size_t *num)
{
	struct flow pairs[MPTCP_PAIRS_MAX];
	size_t got, room = num ? *num : 0;

	if (!num || (room && !out))
		return fail(EINVAL, "there is no place for the pairs");
	if (!mptcp_is(fd))
		return fail(EOPNOTSUPP, "the socket is of one pair of addresses");
	got = mptcp_pairs(pairs, fd);
	if (!got)
		return fail(ENOTCONN, "the socket is not connected");
	for (size_t i = 0; i < got && i < room; i++) {
		put_end(&out[i].local, &pairs[i].local, pairs[i].local_port);
		put_end(&out[i].remote, &pairs[i].remote, pairs[i].remote_port);
	}
	*num = got;
	return got > room ? fail(ERANGE, "there is too little room for the pairs") : 0;
}

int pair_flow(struct flow *out, const struct ipsec_pair *pair)
{
	struct endpoint local, remote;

	memset(out, 0, sizeof(*out));
	if (!pair || endpoint_from_sockaddr(&local, &pair->local) ||
	    endpoint_from_sockaddr(&remote, &pair->remote))
		return fail(EINVAL, "this is no pair of addresses");
	out->local = local.addr;
	out->remote = remote.addr;
	out->local_port = local.port;
	out->remote_port = remote.port;
	out->proto = IPPROTO_TCP;
	return 0;
}
