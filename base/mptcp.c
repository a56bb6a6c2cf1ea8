/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mptcp.h"

#include <linux/mptcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#ifndef SOL_MPTCP
#define SOL_MPTCP 284
#endif

bool mptcp_is(int fd)
{
	int proto = 0;
	socklen_t len = sizeof(proto);

	return !getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &proto, &len) && proto == IPPROTO_MPTCP;
}

/* struct pairs - the kernel's answer. */
struct pairs {
	struct mptcp_subflow_data head;
	struct mptcp_subflow_addrs list[MPTCP_PAIRS_MAX];
};

static bool take(struct flow *out, const struct mptcp_subflow_addrs *pair)
{
	struct sockaddr_storage local, remote;
	struct endpoint l, r;

	memcpy(&local, &pair->ss_local, sizeof(local));
	memcpy(&remote, &pair->ss_remote, sizeof(remote));
	if (endpoint_from_sockaddr(&l, &local) || endpoint_from_sockaddr(&r, &remote) || !r.port)
		return false;
	memset(out, 0, sizeof(*out));
	out->local = l.addr;
	out->remote = r.addr;
	out->local_port = l.port;
	out->remote_port = r.port;
	out->proto = IPPROTO_TCP;
	return true;
}

uint32_t mptcp_pairs(struct flow out[static MPTCP_PAIRS_MAX], int fd)
{
	struct pairs got = {
		.head = {.size_subflow_data = sizeof(got.head), .size_user = sizeof(got.list[0])}};
	socklen_t len = sizeof(got);
	uint32_t num = 0;

	static_assert(sizeof(struct mptcp_subflow_addrs) == 2 * sizeof(struct sockaddr_storage),
		      "an address has the room of any");
	if (!mptcp_is(fd) || getsockopt(fd, SOL_MPTCP, MPTCP_SUBFLOW_ADDRS, &got, &len))
		return 0;
	for (uint32_t i = 0; i < got.head.num_subflows && i < MPTCP_PAIRS_MAX; i++)
		num += take(&out[num], &got.list[i]);
	return num;
}
