/* SPDX-License-Identifier: Apache-2.0 */
#include "api/host/netlink.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <sys/time.h>

#define RECV_LEN   32768
#define DUMP_TRIES 5

enum err netlink_open(struct host_linux *h)
{
	struct timeval limit = {.tv_sec = NETLINK_TIMEOUT_S};

	h->nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!h->nl)
		return host_failed();
	if (mnl_socket_bind(h->nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    setsockopt(mnl_socket_get_fd(h->nl), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) <
		    0)
		return host_failed();
	return ERR_OK;
}

void *netlink_begin(struct netlink_msg *m, uint16_t type, uint16_t flags, size_t extra_len)
{
	memset(m->buf, 0, sizeof(m->buf));
	m->head = mnl_nlmsg_put_header(m->buf);
	m->head->nlmsg_type = type;
	m->head->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	/* Without a dump's end only an acknowledgement tells that the last answer was the last. */
	if ((flags & NLM_F_DUMP) != NLM_F_DUMP)
		m->head->nlmsg_flags |= NLM_F_ACK;
	return mnl_nlmsg_put_extra_header(m->head, extra_len);
}

void netlink_put_addr(struct netlink_msg *m, uint16_t attr, const struct ip_addr *a)
{
	mnl_attr_put(m->head, attr, ip_addr_len(a), a->b);
}

enum err netlink_get_addr(struct ip_addr *out, const struct nlattr *attr, uint8_t family)
{
	uint16_t len = mnl_attr_get_payload_len(attr);

	if (family == AF_INET && len == 4)
		*out = ip_addr_v4(mnl_attr_get_payload(attr));
	else if (family == AF_INET6 && len == 16)
		*out = ip_addr_v6(mnl_attr_get_payload(attr));
	else
		return ERR_MALFORMED;
	return ERR_OK;
}

static enum err receive_all(struct host_linux *h, mnl_cb_t cb, void *data)
{
	alignas(struct nlmsghdr) uint8_t buf[RECV_LEN];
	uint32_t port = mnl_socket_get_portid(h->nl);
	int rc;

	do {
		ssize_t n = mnl_socket_recvfrom(h->nl, buf, sizeof(buf));

		if (n < 0)
			return host_failed();
		errno = 0;
		rc = mnl_cb_run(buf, (size_t)n, h->seq, port, cb, data);
		/* An answer to a request given up before (time-out). */
		if (rc < 0 && errno == EPROTO)
			rc = MNL_CB_OK;
	} while (rc > MNL_CB_STOP);
	return rc < 0 ? host_failed() : ERR_OK;
}

enum err netlink_talk(struct host_linux *h, struct netlink_msg *m, mnl_cb_t cb, void *data)
{
	enum err err = ERR_SYS;

	/* A dump that was overtaken by a change begins again; cb sees some answers twice. */
	for (int tries = 0; tries < DUMP_TRIES; tries++) {
		m->head->nlmsg_seq = ++h->seq;
		if (mnl_socket_sendto(h->nl, m->head, m->head->nlmsg_len) < 0)
			return host_failed();
		err = receive_all(h, cb, data);
		if (!err || errno != EINTR)
			return err;
	}
	return err;
}
