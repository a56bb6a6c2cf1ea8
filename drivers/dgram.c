/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/dgram.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/utsname.h>

/* ---- what is told of datagrams we sent --------------------------------------------------------
 */

/* read_error - the MTU that the message tells, 0 if it is about something else. */
static uint32_t read_error(struct packet *p, struct msghdr *m)
{
	struct sock_extended_err e;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		bool v4 = c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR;
		bool v6 = c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR;

		if ((!v4 && !v6) || c->cmsg_len < CMSG_LEN(sizeof(e)))
			continue;
		memcpy(&e, CMSG_DATA(c), sizeof(e));
		if (e.ee_errno != EMSGSIZE || e.ee_info == 0)
			return 0;
		if (e.ee_origin == SO_EE_ORIGIN_LOCAL)
			p->flags |= PACKET_F_TRUSTED;
		return e.ee_info;
	}
	return 0;
}

/* take_error - false if there is none; *useful: p is to go on. */
static bool take_error(struct dgram_socket *s, struct packet *p, bool *useful)
{
	struct sockaddr_storage to = {0};
	alignas(struct cmsghdr) uint8_t control[512];
	struct iovec iov = {p->data, p->pool->data_room};
	struct msghdr m = {.msg_name = &to,
			   .msg_namelen = sizeof(to),
			   .msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(s->fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT);

	if (n < 0)
		return false;
	uint32_t mtu = read_error(p, &m);

	*useful = mtu && endpoint_from_sockaddr(&p->from.remote, &to) == ERR_OK;
	p->from.local = (struct endpoint){0};
	p->from.ifindex = 0;
	p->len = (uint32_t)n;
	p->mtu = (uint16_t)(mtu < UINT16_MAX ? mtu : UINT16_MAX);
	p->flags |= PACKET_F_TOLD;
	if (s->raw) {
		p->from.encap = ENCAP_NONE;
		p->from.remote.port = 0;
		return true;
	}
	*useful = s->finish(s, p) && *useful;
	return true;
}

void dgram_errors(struct dgram_socket *s, struct pool *pool, struct pktvec *out)
{
	/* What is of no use uses up tries too, so that a burst is bounded. */
	for (uint32_t tries = pktvec_room(out); tries; tries--) {
		struct packet *p = packet_get(pool);
		bool useful = false;

		if (!p)
			return;
		if (!take_error(s, p, &useful)) {
			packet_put(p);
			return;
		}
		if (useful)
			pktvec_push(out, p);
		else
			packet_put(p);
	}
}

/* ---- which socket ---------------------------------------------------------------------------- */

struct driver_ready dgram_ready(int epoll)
{
	struct epoll_event ev[DRIVER_SOURCES_MAX];
	struct driver_ready ready = {0};
	int n = epoll_wait(epoll, ev, DRIVER_SOURCES_MAX, 0);

	for (int i = 0; i < n; i++) {
		ready.any |= (uint8_t)(1u << ev[i].data.u32);
		if (ev[i].events & EPOLLERR)
			ready.failed |= (uint8_t)(1u << ev[i].data.u32);
	}
	return ready;
}

void dgram_take(struct dgram_burst *b, struct driver_stats *stats, struct dgram_socket *s,
		const struct driver_ready *ready, uint32_t i, struct pool *pool, struct pktvec *out)
{
	if (!(ready->any >> i & 1))
		return;
	if (ready->failed >> i & 1)
		dgram_errors(s, pool, out);
	if (pktvec_room(out))
		dgram_rx(b, stats, s, pool, out);
}

/* ---- options --------------------------------------------------------------------------------- */

static bool set_flag(int fd, int level, int option)
{
	int on = 1;

	return setsockopt(fd, level, option, &on, sizeof(on)) == 0;
}

enum err dgram_set_options(int fd, enum ip_family family)
{
	bool ok = set_flag(fd, SOL_SOCKET, SO_RXQ_OVFL);

	if (family == IP_V4)
		ok = ok && set_flag(fd, IPPROTO_IP, IP_PKTINFO) &&
		     set_flag(fd, IPPROTO_IP, IP_RECVTOS) && set_flag(fd, IPPROTO_IP, IP_RECVERR);
	else
		ok = ok && set_flag(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO) &&
		     set_flag(fd, IPPROTO_IPV6, IPV6_RECVTCLASS) &&
		     set_flag(fd, IPPROTO_IPV6, IPV6_RECVERR);
	return ok ? ERR_OK : ERR_SYS;
}

bool dgram_set_gro(struct dgram_socket *s)
{
	return set_flag(s->fd, SOL_UDP, UDP_GRO);
}

bool dgram_gso_is_ill(const char *release)
{
	unsigned major = 0, minor = 0, patch = 0;
	int n = sscanf(release, "%u.%u.%u", &major, &minor, &patch);

	if (n < 2 || major != 7)
		return false;
	return minor == 0 || (minor == 1 && patch <= 4);
}

/* A length of 0 as the socket's own changes nothing, and only a kernel that knows it takes it. */
bool dgram_set_gso(struct dgram_socket *s)
{
	struct utsname host;
	int none = 0;

	s->gso = setsockopt(s->fd, SOL_UDP, UDP_SEGMENT, &none, sizeof(none)) == 0;
	s->gso_cure = uname(&host) == 0 && dgram_gso_is_ill(host.release);
	return s->gso;
}
