/* SPDX-License-Identifier: Apache-2.0 */
/* Receiving. With UDP_GRO (udp(7)) the kernel gives datagrams of one sender that follow each other
 * as one message and says how long each is: such a message is one packet here, a super-datagram,
 * which the data path cuts. */
#include "drivers/dgram.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>

#include "base/counter.h"

static_assert(sizeof(struct in6_pktinfo) <= 20 && sizeof(struct in_pktinfo) <= 20,
	      "DGRAM_CONTROL_LEN holds either");

/* PATIENCE - bursts without super-datagrams until they are no longer expected: with few messages in
 * each some have none by chance, and many that come unexpected need a long packet each at once. */
#define PATIENCE 32

/* NUM_FEW - messages that an idle socket is asked for: more cost a look at as many packets, which
 * are far from the processor after a sleep. NUM_GROW - times as many next, when that was not
 * enough. */
#define NUM_FEW  4
#define NUM_GROW 4

/* obtain - up to n packets. While super-datagrams come each has a long packet beside it: what goes
 * beyond the packet's own buffer is received into the place it will have there. */
static uint32_t obtain(struct dgram_burst *b, const struct dgram_socket *s, struct pool *pool,
		       struct packet **pkts, uint32_t n)
{
	uint32_t num_longer = 0;

	if (s->coalesced && pool->longer)
		num_longer = pool->longer->ops->get(pool->longer, b->longer,
						    n < DGRAM_NUM_SUPER ? n : DGRAM_NUM_SUPER);
	n = pool->ops->get(pool, pkts, num_longer ? num_longer : n);
	if (n < num_longer)
		pool->longer->ops->put(pool->longer, b->longer + n, num_longer - n);
	for (uint32_t i = num_longer; i < PKTVEC_MAX; i++)
		b->longer[i] = NULL;
	return n;
}

/* end_of - where the end of message i goes that is longer than its packet. */
static struct iovec end_of(struct dgram_burst *b, const struct packet *p, uint32_t i)
{
	struct packet *w = b->longer[i];
	uint32_t room = packet_tailroom(p);

	if (!w)
		return (struct iovec){b->spare[i], sizeof(b->spare[i])};
	w->data = w->buf + packet_headroom(p);
	return (struct iovec){w->data + room, packet_tailroom(w) - room};
}

/* expect_parts - message i is received in parts if it is known what they are like. */
static void expect_parts(struct dgram_burst *b, const struct dgram_socket *sock, struct packet *p,
			 uint32_t i)
{
	struct msghdr *m = &b->msgs[i].msg_hdr;
	uint32_t num = dgram_parts_prepare(&b->parts[i], sock, p, b->longer[i]);

	if (num) {
		m->msg_iov = b->parts[i].iov;
		m->msg_iovlen = num;
	}
}

/* prepare_rx - n packets from the pool as buffers of messages 0 to n - 1; returns how many. */
static uint32_t prepare_rx(struct dgram_burst *b, const struct dgram_socket *sock,
			   struct pool *pool, struct packet **pkts, uint32_t n)
{
	n = obtain(b, sock, pool, pkts, n);
	for (uint32_t i = 0; i < n; i++) {
		struct dgram_slot *s = &b->slots[i];

		/* What comes in only shrinks, so it may use the room behind a packet as well. */
		pkts[i]->data -= sock->front;
		s->iov[0] = (struct iovec){pkts[i]->data, packet_tailroom(pkts[i])};
		s->iov[1] = end_of(b, pkts[i], i);
		b->msgs[i].msg_hdr = (struct msghdr){
			.msg_name = &s->addr,
			.msg_namelen = sizeof(s->addr),
			.msg_iov = s->iov,
			.msg_iovlen = pool->longer ? 2 : 1,
			.msg_control = s->control,
			.msg_controllen = sizeof(s->control),
		};
		if (b->longer[i])
			expect_parts(b, sock, pkts[i], i);
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

/* num_in - datagrams in p. */
static uint32_t num_in(const struct packet *p)
{
	return p->seg_len ? (p->len + p->seg_len - 1) / p->seg_len : 1;
}

/* read_segment - how long each datagram of a message is but the last. */
static void read_segment(struct dgram_socket *sock, struct packet *p, const struct cmsghdr *c)
{
	int len;

	if (c->cmsg_len < CMSG_LEN(sizeof(len)))
		return;
	memcpy(&len, CMSG_DATA(c), sizeof(len));
	if (len > 0 && (uint32_t)len < p->len) {
		p->seg_len = (uint16_t)len;
		sock->coalesced = PATIENCE;
		dgram_parts_expect(sock, p->seg_len, num_in(p));
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
		} else if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
			read_segment(sock, p, c);
		}
	}
}

/* whole - message i, whose end did not fit p, in a packet that holds all of it, with the same
 * headroom; p is given back. NULL: there is none, and p stays. */
static struct packet *whole(struct dgram_burst *b, uint32_t i, struct pool *pool, struct packet *p)
{
	uint32_t len = b->msgs[i].msg_len, room = packet_tailroom(p);
	struct packet *w = b->longer[i] ? b->longer[i] : packet_get(pool->longer);

	if (!w)
		return NULL;
	w->data = w->buf + packet_headroom(p);
	if (packet_tailroom(w) < len) {
		if (!b->longer[i])
			packet_put(w);
		return NULL;
	}
	memcpy(w->data, p->data, room);
	if (!b->longer[i])
		memcpy(w->data + room, b->spare[i], len - room);
	b->longer[i] = NULL;
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

/* is_apart - message i is in parts. */
static bool is_apart(const struct dgram_burst *b, uint32_t i)
{
	return i < DGRAM_NUM_SUPER && b->parts[i].num;
}

/* accept_message - message i, received into p, as a packet or a chain of such; NULL: counted, and p
 * is given back. */
static struct packet *accept_message(struct dgram_burst *b, struct driver_stats *stats,
				     struct dgram_socket *s, struct pool *pool, struct packet *p,
				     uint32_t i)
{
	if (unlikely(b->msgs[i].msg_len > packet_tailroom(p)) && !is_apart(b, i)) {
		struct packet *w = whole(b, i, pool, p);

		if (!w) {
			counter_add(&stats->rx_no_buffer, 1);
			packet_put(p);
			return NULL;
		}
		p = w;
	}
	if (!fill_in(b, stats, s, p, i)) {
		counter_add(&stats->rx_error, 1);
		packet_put(p);
		return NULL;
	}
	counter_add(&stats->rx_packets, num_in(p));
	counter_add(&stats->rx_bytes, p->len);
	return is_apart(b, i) ? dgram_parts_settle(&b->parts[i], &b->longer[i]) : p;
}

/* accept_all - messages 0 to got - 1 into out. */
static void accept_all(struct dgram_burst *b, struct driver_stats *stats, struct dgram_socket *s,
		       struct pool *pool, struct packet **pkts, uint32_t got, struct pktvec *out)
{
	if (s->coalesced && got)
		s->coalesced--; /* unless one of these is */
	for (uint32_t i = 0; i < got; i++) {
		struct packet *p = accept_message(b, stats, s, pool, pkts[i], i);

		if (p)
			pktvec_push(out, p);
	}
}

/* receive - one system call for up to num messages; how many came. */
static uint32_t receive(struct dgram_burst *b, struct driver_stats *stats, struct dgram_socket *s,
			struct pool *pool, uint32_t num, struct pktvec *out)
{
	struct packet *pkts[PKTVEC_MAX];
	uint32_t n = prepare_rx(b, s, pool, pkts, num);
	uint32_t got = 0;
	int rc;

	if (!n) {
		counter_add(&stats->rx_no_buffer, 1);
		return 0;
	}
	rc = recvmmsg(s->fd, b->msgs, n, MSG_DONTWAIT, NULL);
	/* What became of a datagram that was sent is told once, and is nothing to us. */
	if (rc < 0 && errno != EAGAIN && errno != EINTR)
		rc = recvmmsg(s->fd, b->msgs, n, MSG_DONTWAIT, NULL);
	if (rc > 0)
		got = (uint32_t)rc;
	else if (rc < 0 && errno != EAGAIN && errno != EINTR)
		counter_add(&stats->rx_error, 1);
	accept_all(b, stats, s, pool, pkts, got, out);
	if (got < n)
		pool->ops->put(pool, pkts + got, n - got);
	for (uint32_t i = 0; i < n && i < DGRAM_NUM_SUPER; i++) {
		dgram_parts_put(&b->parts[i]);
		if (b->longer[i])
			packet_put(b->longer[i]);
	}
	return got;
}

/* expect - of num that it was asked for a socket had got: how many it is asked for next. */
static uint8_t expect(uint32_t num, uint32_t got)
{
	if (got == num)
		num = num * NUM_GROW;
	else if (got < num / 2)
		num = num / 2;
	if (num < NUM_FEW)
		return NUM_FEW;
	return num < PKTVEC_MAX ? (uint8_t)num : PKTVEC_MAX;
}

void dgram_rx(struct dgram_burst *b, struct driver_stats *stats, struct dgram_socket *s,
	      struct pool *pool, struct pktvec *out)
{
	uint32_t room, num, got;

	/* What was not asked for may be there. Of super-datagrams fewer come than are expected. */
	do {
		room = pktvec_room(out);
		num = s->expected ? s->expected : NUM_FEW;
		num = num < room ? num : room;
		got = receive(b, stats, s, pool, num, out);
		if (num < room || got < num)
			s->expected = expect(num, got);
	} while (got == num && pktvec_room(out));
}
