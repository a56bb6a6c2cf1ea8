/* SPDX-License-Identifier: Apache-2.0 */
/* Sending. Datagrams of equal length that follow each other to one place are one message with
 * UDP_SEGMENT (udp(7)), the last may be shorter: the kernel's path is gone once for all of them. */
#include "drivers/dgram.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>

#include "base/counter.h"

/* What one message may hold: datagrams on kernels before 6.9, and bytes in IPv4. */
#define GSO_MAX_NUM 64
#define GSO_MAX_LEN 65507u

/* GSO_WAIT_MAX - datagrams that go one by one after a refusal, at most, until it is tried again. */
#define GSO_WAIT_MAX 65536

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

/* same_way - q may be in one message with p: where it goes, from where, and its TOS byte. */
static bool same_way(const struct packet *p, const struct packet *q)
{
	return (p->to == q->to || memcmp(p->to, q->to, sizeof(*p->to)) == 0) &&
	       p->dscp_ecn == q->dscp_ecn;
}

/* num_together - how many packets from pkts[0] on go in one message. */
static uint32_t num_together(const struct dgram_socket *s, struct packet **pkts, uint32_t num)
{
	uint32_t seg_len = pkts[0]->len, len = seg_len, n = 1;

	if (!s->gso || s->gso_wait || seg_len == 0)
		return 1;
	while (n < num && n < GSO_MAX_NUM) {
		const struct packet *p = pkts[n];

		if (p->len > seg_len || p->len == 0 || len + p->len > GSO_MAX_LEN ||
		    !same_way(pkts[0], p))
			break;
		len += p->len;
		n++;
		if (p->len < seg_len)
			break;
	}
	return n;
}

/* put_tos - as a control message of the socket's family. */
static size_t put_tos(struct dgram_slot *s, size_t at, uint8_t value)
{
	bool v6 = s->addr.ss_family == AF_INET6;
	int tos = value;

	return put_control(s, at, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TCLASS : IP_TOS, &tos,
			   sizeof(tos));
}

/* put_segment - have the message cut into datagrams of so many bytes. */
static size_t put_segment(struct dgram_slot *s, size_t at, uint32_t len)
{
	uint16_t seg_len = (uint16_t)len;

	return put_control(s, at, SOL_UDP, UDP_SEGMENT, &seg_len, sizeof(seg_len));
}

/* cure - a kernel that corrupts the last of datagrams that are all of one length gets one
 * more, which the receiver ignores (RFC 3948 2.3). Returns how many iovecs were added. */
static uint32_t cure(const struct dgram_socket *s, struct iovec *iov, struct packet **pkts,
		     uint32_t num)
{
	static uint8_t keepalive = 0xff;

	if (!s->gso_cure || num == 1 || pkts[num - 1]->len != pkts[0]->len || pkts[0]->len == 1)
		return 0;
	*iov = (struct iovec){&keepalive, 1};
	return 1;
}

/* prepare_tx - message m of num packets, with iovecs from b->tx_iov[at] on; returns how many. */
static uint32_t prepare_tx(struct dgram_burst *b, const struct dgram_socket *sock, uint32_t m,
			   uint32_t at, struct packet **pkts, uint32_t num)
{
	const struct packet *p = pkts[0];
	struct dgram_slot *s = &b->slots[m];
	struct iovec *iov = &b->tx_iov[at];
	socklen_t addr_len = endpoint_to_sockaddr(&s->addr, &p->to->remote);
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)&s->addr;
	size_t control_len;
	uint32_t n;

	if (s->addr.ss_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&sin6->sin6_addr))
		sin6->sin6_scope_id = p->to->ifindex;
	control_len = put_tos(s, put_source(s, p->to), p->dscp_ecn);
	if (num > 1)
		control_len = put_segment(s, control_len, p->len);
	for (n = 0; n < num; n++)
		iov[n] = (struct iovec){pkts[n]->data, pkts[n]->len};
	n += cure(sock, iov + n, pkts, num);
	b->num[m] = (uint8_t)num;
	b->msgs[m].msg_hdr = (struct msghdr){
		.msg_name = &s->addr,
		.msg_namelen = addr_len,
		.msg_iov = iov,
		.msg_iovlen = n,
		.msg_control = s->control,
		.msg_controllen = control_len,
	};
	return n;
}

/* prepare_all - messages for num packets; returns how many messages. */
static uint32_t prepare_all(struct dgram_burst *b, const struct dgram_socket *s,
			    struct packet **pkts, uint32_t num)
{
	uint32_t num_msgs = 0, at = 0;

	for (uint32_t i = 0, n; i < num; i += n) {
		n = num_together(s, pkts + i, num - i);
		at += prepare_tx(b, s, num_msgs++, at, pkts + i, n);
	}
	return num_msgs;
}

/* sent - message m is gone. */
static void sent(struct driver_stats *stats, struct dgram_socket *s, struct packet **pkts,
		 uint32_t num)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < num; i++)
		bytes += pkts[i]->len;
	counter_add(&stats->tx_packets, num);
	counter_add(&stats->tx_bytes, bytes);
	if (num > 1)
		s->gso_step = 0;
	s->gso_wait = s->gso_wait > num ? s->gso_wait - num : 0;
}

/* refused - a message of num datagrams: they go one by one now. EIO says that the device by which
 * they leave cannot do it at all; everything else may be the path's doing (they are longer than it
 * takes): it is tried again, later and later. */
static void refused(struct driver_stats *stats, struct dgram_socket *s, uint32_t num, int error)
{
	counter_add(&stats->offload_refused, 1);
	s->gso = error != EIO;
	s->gso_step = s->gso_step ? s->gso_step * 2 : GSO_MAX_NUM;
	if (s->gso_step > GSO_WAIT_MAX)
		s->gso_step = GSO_WAIT_MAX;
	s->gso_wait = s->gso_step > num ? s->gso_step : num;
}

static bool is_full(int error)
{
	return error == ENOBUFS || error == ENOMEM;
}

/* struct sending - how far it is. */
struct sending {
	uint32_t done;     /* packets */
	uint32_t msg, end; /* messages: the next one, and how many are prepared */
	bool again;        /* this one was tried already */
};

/* failed - the first message left was refused; those behind it may have better luck, unless the
 * socket is full. Or the error is that of an earlier one, which a router sent: it is told once. */
static void failed(struct dgram_burst *b, struct driver_stats *stats, struct dgram_socket *s,
		   struct sending *at, uint32_t num, int error)
{
	uint32_t n = b->num[at->msg];

	if (error == EINTR)
		return;
	if (error == EAGAIN) {
		counter_add(&stats->tx_full, num - at->done);
		at->done = num;
		return;
	}
	at->again = !at->again;
	if (at->again)
		return;
	if (n > 1 && !is_full(error)) {
		refused(stats, s, n, error);
		at->msg = at->end; /* the rest is prepared anew */
		return;
	}
	counter_add(is_full(error) ? &stats->tx_full : &stats->tx_error, n);
	at->done += n;
	at->msg++;
}

/* send_run - num packets with the same DF. */
static void send_run(struct dgram_burst *b, struct driver_stats *stats, struct dgram_socket *s,
		     struct packet **pkts, uint32_t num)
{
	struct sending at = {0};

	while (at.done < num) {
		if (at.msg == at.end) {
			at.end = prepare_all(b, s, pkts + at.done, num - at.done);
			at.msg = 0;
		}
		int rc = sendmmsg(s->fd, b->msgs + at.msg, at.end - at.msg, MSG_DONTWAIT);

		if (rc <= 0) {
			failed(b, stats, s, &at, num, rc < 0 ? errno : EINTR);
			continue;
		}
		at.again = false;
		for (int i = 0; i < rc; i++, at.msg++) {
			sent(stats, s, pkts + at.done, b->num[at.msg]);
			at.done += b->num[at.msg];
		}
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
		send_run(b, stats, s, pkts + begin, end - begin);
	}
}
