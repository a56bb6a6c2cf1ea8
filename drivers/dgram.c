/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/dgram.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>

#include "base/counter.h"

static_assert(sizeof(struct in6_pktinfo) <= 20 && sizeof(struct in_pktinfo) <= 20,
	      "DGRAM_CONTROL_LEN holds either");

/* ---- receiving ------------------------------------------------------------------------------- */

/* prepare_rx - n packets from the pool as buffers of messages 0 to n - 1; returns how many. */
static uint32_t prepare_rx(struct dgram_burst *b, uint32_t front, struct pool *pool,
			   struct packet **pkts, uint32_t n)
{
	n = pool->ops->get(pool, pkts, n);
	for (uint32_t i = 0; i < n; i++) {
		struct dgram_slot *s = &b->slots[i];

		/* What comes in only shrinks, so it may use the room behind a packet as well. */
		pkts[i]->data -= front;
		s->iov[0] = (struct iovec){pkts[i]->data, packet_tailroom(pkts[i])};
		s->iov[1] = (struct iovec){b->spare[i], sizeof(b->spare[i])};
		b->msgs[i].msg_hdr = (struct msghdr){
			.msg_name = &s->addr,
			.msg_namelen = sizeof(s->addr),
			.msg_iov = s->iov,
			.msg_iovlen = pool->longer ? 2 : 1,
			.msg_control = s->control,
			.msg_controllen = sizeof(s->control),
		};
	}
	return n;
}

static void read_control_v4(struct packet *p, const struct cmsghdr *c)
{
	struct in_pktinfo info;

	if (c->cmsg_type == IP_PKTINFO && c->cmsg_len >= CMSG_LEN(sizeof(info))) {
		memcpy(&info, CMSG_DATA(c), sizeof(info));
		p->from.local.addr = ip_addr_v4(&info.ipi_spec_dst);
		p->from.ifindex = (uint32_t)info.ipi_ifindex;
	} else if (c->cmsg_type == IP_TOS && c->cmsg_len >= CMSG_LEN(1)) {
		p->dscp_ecn = CMSG_DATA(c)[0];
	}
}

static void read_control_v6(struct packet *p, const struct cmsghdr *c)
{
	struct in6_pktinfo info;
	int tclass;

	if (c->cmsg_type == IPV6_PKTINFO && c->cmsg_len >= CMSG_LEN(sizeof(info))) {
		memcpy(&info, CMSG_DATA(c), sizeof(info));
		p->from.local.addr = ip_addr_v6(&info.ipi6_addr);
		p->from.ifindex = info.ipi6_ifindex;
	} else if (c->cmsg_type == IPV6_TCLASS && c->cmsg_len >= CMSG_LEN(sizeof(tclass))) {
		memcpy(&tclass, CMSG_DATA(c), sizeof(tclass));
		p->dscp_ecn = (uint8_t)tclass;
	}
}

static void read_control(struct driver_stats *stats, struct dgram_socket *sock, struct packet *p,
			 struct msghdr *m)
{
	uint32_t lost;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == IPPROTO_IP) {
			read_control_v4(p, c);
		} else if (c->cmsg_level == IPPROTO_IPV6) {
			read_control_v6(p, c);
		} else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
			memcpy(&lost, CMSG_DATA(c), sizeof(lost));
			counter_add(&stats->rx_no_buffer, (uint32_t)(lost - sock->lost));
			sock->lost = lost;
		}
	}
}

/* whole - message i, whose end did not fit p, in a packet that holds all of it, with the same
 * headroom; p is given back. NULL: there is none, and p stays. */
static struct packet *whole(const struct dgram_burst *b, uint32_t i, struct pool *pool,
			    struct packet *p)
{
	uint32_t len = b->msgs[i].msg_len, room = packet_tailroom(p);
	struct packet *w = packet_get(pool->longer);

	if (!w)
		return NULL;
	w->data = w->buf + packet_headroom(p);
	if (packet_tailroom(w) < len) {
		packet_put(w);
		return NULL;
	}
	memcpy(w->data, p->data, room);
	memcpy(w->data + room, b->spare[i], len - room);
	packet_put(p);
	return w;
}

/* fill_in - what p came with. False: it was cut, or has no usable address. */
static bool fill_in(struct dgram_burst *b, struct driver_stats *stats, struct dgram_socket *sock,
		    struct packet *p, uint32_t i)
{
	struct msghdr *m = &b->msgs[i].msg_hdr;

	p->len = b->msgs[i].msg_len;
	read_control(stats, sock, p, m);
	if (m->msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		return false;
	return endpoint_from_sockaddr(&p->from.remote, &b->slots[i].addr) == ERR_OK &&
	       sock->finish(sock, p);
}

/* accept_datagram - message i, received into p, as a packet; NULL: counted, and p is given back. */
static struct packet *accept_datagram(struct dgram_burst *b, struct driver_stats *stats,
				      struct dgram_socket *s, struct pool *pool, struct packet *p,
				      uint32_t i)
{
	if (unlikely(b->msgs[i].msg_len > packet_tailroom(p))) {
		struct packet *w = whole(b, i, pool, p);

		if (!w) {
			counter_add(&stats->rx_no_buffer, 1);
			packet_put(p);
			return NULL;
		}
		p = w;
	}
	if (fill_in(b, stats, s, p, i))
		return p;
	counter_add(&stats->rx_error, 1);
	packet_put(p);
	return NULL;
}

void dgram_rx(struct dgram_burst *b, struct driver_stats *stats, struct dgram_socket *s,
	      struct pool *pool, struct pktvec *out)
{
	struct packet *pkts[PKTVEC_MAX];
	uint32_t n = prepare_rx(b, s->front, pool, pkts, pktvec_room(out));
	uint32_t got = 0, accepted = 0;
	uint64_t bytes = 0;
	int rc;

	if (!n) {
		counter_add(&stats->rx_no_buffer, 1);
		return;
	}
	rc = recvmmsg(s->fd, b->msgs, n, MSG_DONTWAIT, NULL);
	/* What became of a datagram that was sent is told once, and is nothing to us. */
	if (rc < 0 && errno != EAGAIN && errno != EINTR)
		rc = recvmmsg(s->fd, b->msgs, n, MSG_DONTWAIT, NULL);
	if (rc > 0)
		got = (uint32_t)rc;
	else if (rc < 0 && errno != EAGAIN && errno != EINTR)
		counter_add(&stats->rx_error, 1);
	for (uint32_t i = 0; i < got; i++) {
		struct packet *p = accept_datagram(b, stats, s, pool, pkts[i], i);

		if (!p)
			continue;
		bytes += p->len;
		accepted++;
		pktvec_push(out, p);
	}
	if (got < n)
		pool->ops->put(pool, pkts + got, n - got);
	counter_add(&stats->rx_packets, accepted);
	counter_add(&stats->rx_bytes, bytes);
}

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

/* ---- sending --------------------------------------------------------------------------------- */

/* put_control - append one control message; returns where the next one goes. */
static size_t put_control(struct dgram_slot *s, size_t at, int level, int type, const void *data,
			  size_t len)
{
	struct cmsghdr c = {.cmsg_len = CMSG_LEN(len), .cmsg_level = level, .cmsg_type = type};

	memset(s->control + at, 0, CMSG_SPACE(len));
	memcpy(s->control + at, &c, sizeof(c));
	memcpy(s->control + at + CMSG_LEN(0), data, len);
	return at + CMSG_SPACE(len);
}

/* put_source - the local address and interface to leave by, as far as they are given. */
static size_t put_source(struct dgram_slot *s, const struct path_addr *to)
{
	struct in_pktinfo v4 = {.ipi_ifindex = (int)to->ifindex};
	struct in6_pktinfo v6 = {.ipi6_ifindex = to->ifindex};
	const struct ip_addr *local = &to->local.addr;

	if (ip_addr_is_any(local) && !to->ifindex)
		return 0;
	if (to->remote.addr.family == IP_V4) {
		memcpy(&v4.ipi_spec_dst, local->b, sizeof(v4.ipi_spec_dst));
		return put_control(s, 0, IPPROTO_IP, IP_PKTINFO, &v4, sizeof(v4));
	}
	memcpy(&v6.ipi6_addr, local->b, sizeof(v6.ipi6_addr));
	return put_control(s, 0, IPPROTO_IPV6, IPV6_PKTINFO, &v6, sizeof(v6));
}

static void prepare_tx(struct dgram_burst *b, uint32_t i, struct packet *p)
{
	struct dgram_slot *s = &b->slots[i];
	socklen_t addr_len = endpoint_to_sockaddr(&s->addr, &p->to->remote);
	size_t control_len = put_source(s, p->to);
	int tos = p->dscp_ecn;

	if (s->addr.ss_family == AF_INET6) {
		struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)&s->addr;

		if (IN6_IS_ADDR_LINKLOCAL(&sin6->sin6_addr))
			sin6->sin6_scope_id = p->to->ifindex;
		control_len =
			put_control(s, control_len, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos));
	} else {
		control_len = put_control(s, control_len, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
	}
	s->iov[0] = (struct iovec){p->data, p->len};
	b->msgs[i].msg_hdr = (struct msghdr){
		.msg_name = &s->addr,
		.msg_namelen = addr_len,
		.msg_iov = s->iov,
		.msg_iovlen = 1,
		.msg_control = s->control,
		.msg_controllen = control_len,
	};
}

/* send_run - num packets with the same DF. */
static void send_run(struct dgram_burst *b, struct driver_stats *stats, int fd,
		     struct packet **pkts, uint32_t num)
{
	uint32_t done = 0;
	bool again = false;

	for (uint32_t i = 0; i < num; i++)
		prepare_tx(b, i, pkts[i]);
	while (done < num) {
		int rc = sendmmsg(fd, b->msgs + done, num - done, MSG_DONTWAIT);

		for (int i = 0; i < rc; i++, done++) {
			counter_add(&stats->tx_packets, 1);
			counter_add(&stats->tx_bytes, pkts[done]->len);
		}
		if (rc > 0 || (rc < 0 && errno == EINTR)) {
			again = false;
			continue;
		}
		/* The first one left was refused; those behind it may have better luck, unless the
		 * socket is full. */
		if (rc < 0 && errno == EAGAIN) {
			counter_add(&stats->tx_full, num - done);
			return;
		}
		/* Or the error is that of an earlier one, which a router sent: it is told once. */
		if (!again) {
			again = true;
			continue;
		}
		counter_add(errno == ENOBUFS || errno == ENOMEM ? &stats->tx_full
								: &stats->tx_error,
			    1);
		again = false;
		done++;
	}
}

/* set_df - of what is sent next; without, the kernel cuts what is longer than the link takes. It
 * never goes by what routers say: that is judged elsewhere. */
static void set_df(struct dgram_socket *s, bool df)
{
	uint8_t want = df ? DGRAM_DF_SET : DGRAM_DF_CLEAR;
	int value = df ? IP_PMTUDISC_PROBE : IP_PMTUDISC_OMIT;

	if (s->df != want &&
	    setsockopt(s->fd, IPPROTO_IP, IP_MTU_DISCOVER, &value, sizeof(value)) == 0)
		s->df = want;
}

static bool wants_df(const struct packet *p)
{
	return (p->flags & PACKET_F_DF) != 0;
}

void dgram_tx(struct dgram_burst *b, struct driver_stats *stats, struct dgram_socket *s,
	      struct packet **pkts, uint32_t num)
{
	for (uint32_t begin = 0, end = 0; begin < num; begin = end) {
		while (end < num && wants_df(pkts[end]) == wants_df(pkts[begin]))
			end++;
		if (pkts[begin]->to->remote.addr.family == IP_V4)
			set_df(s, wants_df(pkts[begin]));
		send_run(b, stats, s->fd, pkts + begin, end - begin);
	}
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
