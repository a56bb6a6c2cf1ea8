/* SPDX-License-Identifier: Apache-2.0 */
/* sock_diag.c - which TCP and UDP sockets of the namespace were closed, as the kernel tells it. */
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <unistd.h>

#include "api/host/netlink.h"

#define RECV_LEN 16384
/* Messages looked at in one call: what is left is told by the next one. */
#define MESSAGES_MAX 256

enum err host_sockets_open(void *ctx, int *out_fd)
{
	static const int groups[] = {SKNLGRP_INET_TCP_DESTROY, SKNLGRP_INET_UDP_DESTROY,
				     SKNLGRP_INET6_TCP_DESTROY, SKNLGRP_INET6_UDP_DESTROY};
	struct sockaddr_nl address = {.nl_family = AF_NETLINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);

	(void)ctx;
	if (fd < 0)
		return errno == EPROTONOSUPPORT ? ERR_UNSUPPORTED : host_failed();
	for (size_t i = 0; i < ARRAY_LEN(groups); i++)
		address.nl_groups |= 1u << (groups[i] - 1);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		enum err err = host_failed();

		close(fd);
		return err;
	}
	*out_fd = fd;
	return ERR_OK;
}

/* struct listener - who is told. */
struct listener {
	void (*fn)(void *arg, uint64_t cookie);
	void *arg;
};

static int closed_cb(const struct nlmsghdr *head, void *data)
{
	const struct inet_diag_msg *m = mnl_nlmsg_get_payload(head);
	const struct listener *l = data;

	if (head->nlmsg_type == SOCK_DIAG_BY_FAMILY &&
	    mnl_nlmsg_get_payload_len(head) >= sizeof(*m))
		l->fn(l->arg, (uint64_t)m->id.idiag_cookie[1] << 32 | m->id.idiag_cookie[0]);
	return MNL_CB_OK;
}

void host_sockets_parse(const void *buf, size_t len, void (*fn)(void *arg, uint64_t cookie),
			void *arg)
{
	struct listener l = {fn, arg};

	(void)mnl_cb_run(buf, len, 0, 0, closed_cb, &l);
}

enum err host_sockets_read(void *ctx, int fd, bool *out_lost,
			   void (*fn)(void *arg, uint64_t cookie), void *arg)
{
	alignas(struct nlmsghdr) uint8_t buf[RECV_LEN];
	bool lost = false;

	(void)ctx;
	for (int i = 0; i < MESSAGES_MAX; i++) {
		struct sockaddr_nl from;
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &from_len);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n < 0 && errno == ENOBUFS)
			lost = true;
		else if (n < 0)
			return host_failed();
		else if (from_len == sizeof(from) && from.nl_pid == 0) /* the kernel's own */
			host_sockets_parse(buf, (size_t)n, fn, arg);
	}
	*out_lost = lost;
	return ERR_OK;
}
