/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/counter.h"
#include "dataplane/pool.h"

/* Room for the control messages of one datagram: addresses, TOS byte, count of lost ones. */
#define CONTROL_LEN                                                         \
	(CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int)) + \
	 CMSG_SPACE(sizeof(uint32_t)))

/* struct udp_port - one socket. */
struct udp_port {
	int fd;
	uint16_t port;  /* local, host order */
	uint8_t family; /* enum ip_family */
	uint8_t encap;
	uint32_t lost; /* the kernel's count of datagrams it had no room for, as last seen */
};

/* struct udp_slot - the buffers of one datagram beside its payload. */
struct udp_slot {
	struct sockaddr_storage addr;
	struct iovec iov;
	alignas(struct cmsghdr) uint8_t control[CONTROL_LEN];
};

struct udp {
	struct driver driver;
	int epoll;
	uint32_t turn; /* which ready socket is read first, so that a busy one starves nobody */
	uint32_t num_ports;
	struct udp_port ports[UDP_SOCKETS_MAX];
	struct mmsghdr msgs[PKTVEC_MAX];
	struct udp_slot slots[PKTVEC_MAX];
};

static struct udp *udp_of(struct driver *d)
{
	return container_of(d, struct udp, driver);
}

/* ---- receiving ------------------------------------------------------------------------------ */

/* prepare_rx - n packets from the pool as buffers of messages 0 to n - 1; returns how many. */
static uint32_t prepare_rx(struct udp *u, struct pool *pool, struct packet **pkts, uint32_t n)
{
	n = pool->ops->get(pool, pkts, n);
	for (uint32_t i = 0; i < n; i++) {
		struct udp_slot *s = &u->slots[i];

		/* What comes in only shrinks, so it may use the room behind a packet as well. */
		s->iov = (struct iovec){pkts[i]->data, packet_tailroom(pkts[i])};
		u->msgs[i].msg_hdr = (struct msghdr){
			.msg_name = &s->addr,
			.msg_namelen = sizeof(s->addr),
			.msg_iov = &s->iov,
			.msg_iovlen = 1,
			.msg_control = s->control,
			.msg_controllen = sizeof(s->control),
		};
	}
	return n;
}

static void count_lost(struct udp *u, struct udp_port *sock, uint32_t lost)
{
	counter_add(&u->driver.stats.rx_no_buffer, (uint32_t)(lost - sock->lost));
	sock->lost = lost;
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

static void read_control(struct udp *u, struct udp_port *sock, struct packet *p, struct msghdr *m)
{
	uint32_t lost;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == IPPROTO_IP) {
			read_control_v4(p, c);
		} else if (c->cmsg_level == IPPROTO_IPV6) {
			read_control_v6(p, c);
		} else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
			memcpy(&lost, CMSG_DATA(c), sizeof(lost));
			count_lost(u, sock, lost);
		}
	}
}

/* accept_datagram - fill in what p came with. False: it was cut, or has no usable address. */
static bool accept_datagram(struct udp *u, struct udp_port *sock, struct packet *p, uint32_t i)
{
	struct msghdr *m = &u->msgs[i].msg_hdr;

	p->len = u->msgs[i].msg_len;
	p->from.encap = sock->encap;
	p->from.local.port = sock->port;
	read_control(u, sock, p, m);
	if (m->msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		return false;
	return endpoint_from_sockaddr(&p->from.remote, &u->slots[i].addr) == ERR_OK;
}

/* rx_socket - one burst from one socket. */
static void rx_socket(struct udp *u, struct udp_port *sock, struct pool *pool, struct pktvec *out)
{
	struct driver_stats *stats = &u->driver.stats;
	struct packet *pkts[PKTVEC_MAX];
	uint32_t n = prepare_rx(u, pool, pkts, pktvec_room(out));
	uint32_t got = 0, accepted = 0;
	uint64_t bytes = 0;
	int rc;

	if (!n) {
		counter_add(&stats->rx_no_buffer, 1);
		return;
	}
	rc = recvmmsg(sock->fd, u->msgs, n, MSG_DONTWAIT, NULL);
	if (rc > 0)
		got = (uint32_t)rc;
	else if (rc < 0 && errno != EAGAIN && errno != EINTR)
		counter_add(&stats->rx_error, 1);
	for (uint32_t i = 0; i < got; i++) {
		if (!accept_datagram(u, sock, pkts[i], i)) {
			counter_add(&stats->rx_error, 1);
			packet_put(pkts[i]);
			continue;
		}
		bytes += pkts[i]->len;
		accepted++;
		pktvec_push(out, pkts[i]);
	}
	if (got < n)
		pool->ops->put(pool, pkts + got, n - got);
	counter_add(&stats->rx_packets, accepted);
	counter_add(&stats->rx_bytes, bytes);
}

static uint32_t udp_rx(struct driver *d, struct pool *pool, struct pktvec *out)
{
	struct udp *u = udp_of(d);
	struct epoll_event ready[UDP_SOCKETS_MAX];
	uint32_t before = out->num;
	int n = epoll_wait(u->epoll, ready, UDP_SOCKETS_MAX, 0);

	for (int i = 0; i < n && pktvec_room(out); i++) {
		uint32_t which = (u->turn + (uint32_t)i) % (uint32_t)n;

		rx_socket(u, &u->ports[ready[which].data.u32], pool, out);
	}
	u->turn++;
	return out->num - before;
}

/* ---- sending -------------------------------------------------------------------------------- */

static struct udp_port *socket_for(struct udp *u, const struct path_addr *to)
{
	for (uint32_t i = 0; i < u->num_ports; i++) {
		struct udp_port *s = &u->ports[i];

		if (s->family == to->remote.addr.family &&
		    (to->local.port ? s->port == to->local.port : s->encap == to->encap))
			return s;
	}
	return NULL;
}

/* put_control - append one control message; returns where the next one goes. */
static size_t put_control(struct udp_slot *s, size_t at, int level, int type, const void *data,
			  size_t len)
{
	struct cmsghdr c = {.cmsg_len = CMSG_LEN(len), .cmsg_level = level, .cmsg_type = type};

	memset(s->control + at, 0, CMSG_SPACE(len));
	memcpy(s->control + at, &c, sizeof(c));
	memcpy(s->control + at + CMSG_LEN(0), data, len);
	return at + CMSG_SPACE(len);
}

/* put_source - the local address and interface to leave by, as far as they are given. */
static size_t put_source(struct udp_slot *s, const struct path_addr *to)
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

static void prepare_tx(struct udp *u, uint32_t i, struct packet *p)
{
	struct udp_slot *s = &u->slots[i];
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
	s->iov = (struct iovec){p->data, p->len};
	u->msgs[i].msg_hdr = (struct msghdr){
		.msg_name = &s->addr,
		.msg_namelen = addr_len,
		.msg_iov = &s->iov,
		.msg_iovlen = 1,
		.msg_control = s->control,
		.msg_controllen = control_len,
	};
}

/* send_run - num packets that leave by the same socket. */
static void send_run(struct udp *u, const struct udp_port *sock, struct packet **pkts, uint32_t num)
{
	struct driver_stats *stats = &u->driver.stats;
	uint32_t done = 0;

	for (uint32_t i = 0; i < num; i++)
		prepare_tx(u, i, pkts[i]);
	while (done < num) {
		int rc = sendmmsg(sock->fd, u->msgs + done, num - done, MSG_DONTWAIT);

		for (int i = 0; i < rc; i++, done++) {
			counter_add(&stats->tx_packets, 1);
			counter_add(&stats->tx_bytes, pkts[done]->len);
		}
		if (rc > 0 || (rc < 0 && errno == EINTR))
			continue;
		/* The first one left was refused; those behind it may have better luck, unless the
		 * socket is full. */
		if (rc < 0 && errno == EAGAIN) {
			counter_add(&stats->tx_full, num - done);
			return;
		}
		counter_add(errno == ENOBUFS || errno == ENOMEM ? &stats->tx_full
								: &stats->tx_error,
			    1);
		done++;
	}
}

static void udp_tx(struct driver *d, struct pktvec *v)
{
	struct udp *u = udp_of(d);
	uint32_t begin = 0;

	while (begin < v->num) {
		const struct udp_port *sock = socket_for(u, v->pkt[begin]->to);
		uint32_t end = begin + 1;

		while (end < v->num && socket_for(u, v->pkt[end]->to) == sock)
			end++;
		if (sock)
			send_run(u, sock, v->pkt + begin, end - begin);
		else
			counter_add(&d->stats.tx_error, end - begin);
		begin = end;
	}
	for (uint32_t i = 0; i < v->num; i++)
		packet_put(v->pkt[i]);
	v->num = 0;
}

/* ---- opening and closing --------------------------------------------------------------------- */

static bool set_flag(int fd, int level, int option)
{
	int on = 1;

	return setsockopt(fd, level, option, &on, sizeof(on)) == 0;
}

static enum err set_options(const struct udp_port *s)
{
	bool ok = set_flag(s->fd, SOL_SOCKET, SO_RXQ_OVFL);

	if (s->family == IP_V4)
		ok = ok && set_flag(s->fd, IPPROTO_IP, IP_PKTINFO) &&
		     set_flag(s->fd, IPPROTO_IP, IP_RECVTOS);
	else
		ok = ok && set_flag(s->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO) &&
		     set_flag(s->fd, IPPROTO_IPV6, IPV6_RECVTCLASS);
	return ok ? ERR_OK : ERR_SYS;
}

static enum err port_init(struct udp_port *s, const struct udp_socket *from)
{
	struct sockaddr_storage ss;
	struct endpoint local;
	socklen_t len = sizeof(ss);
	socklen_t type_len = sizeof(int);
	int type;

	if (getsockopt(from->fd, SOL_SOCKET, SO_TYPE, &type, &type_len) < 0 ||
	    getsockname(from->fd, (struct sockaddr *)&ss, &len) < 0)
		return ERR_SYS;
	if (type != SOCK_DGRAM || endpoint_from_sockaddr(&local, &ss))
		return ERR_INVAL;
	*s = (struct udp_port){
		.fd = from->fd,
		.port = local.port,
		.family = ss.ss_family == AF_INET ? IP_V4 : IP_V6,
		.encap = from->encap,
	};
	return set_options(s);
}

static enum err port_add(struct udp *u, const struct udp_socket *from)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = u->num_ports};
	enum err err = port_init(&u->ports[u->num_ports], from);

	if (err)
		return err;
	if (epoll_ctl(u->epoll, EPOLL_CTL_ADD, from->fd, &ev) < 0)
		return ERR_SYS;
	u->num_ports++;
	return ERR_OK;
}

static_assert(offsetof(struct udp, driver) == 0, "udp_fd() relies on it");

static int udp_fd(const struct driver *d)
{
	return ((const struct udp *)(const void *)d)->epoll;
}

static void udp_close(struct driver *d)
{
	struct udp *u = udp_of(d);

	for (uint32_t i = 0; i < u->num_ports; i++)
		close(u->ports[i].fd);
	close(u->epoll);
	mem_free(u);
}

static const struct driver_ops udp_ops = {
	.name = "udp", .rx = udp_rx, .tx = udp_tx, .fd = udp_fd, .close = udp_close};

enum err udp_driver_open(struct driver **out, const struct udp_socket *sockets, size_t num)
{
	enum err err = ERR_OK;
	struct udp *u;

	if (num < 1 || num > UDP_SOCKETS_MAX)
		return ERR_INVAL;
	u = mem_alloc(sizeof(*u));
	if (!u)
		return ERR_NOMEM;
	u->driver = (struct driver){.ops = &udp_ops, .role = PORT_OUTER};
	u->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (u->epoll < 0) {
		err = ERR_SYS;
		goto out;
	}
	for (size_t i = 0; i < num && !err; i++)
		err = port_add(u, &sockets[i]);
	if (!err) {
		*out = &u->driver;
		return ERR_OK;
	}
	close(u->epoll);
out:
	mem_free(u);
	return err;
}
