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
#include "drivers/dgram.h"

/* struct udp_port - one socket. */
struct udp_port {
	struct dgram_socket sock;
	uint16_t port;  /* local, host order */
	uint8_t family; /* enum ip_family */
	uint8_t encap;
};

struct udp {
	struct driver driver;
	int epoll;
	uint32_t turn; /* which socket is read first, so that a busy one starves nobody */
	uint32_t num_ports;
	struct udp_port ports[UDP_SOCKETS_MAX];
	struct dgram_burst burst;
};

static struct udp *udp_of(struct driver *d)
{
	return container_of(d, struct udp, driver);
}

/* ---- receiving ------------------------------------------------------------------------------ */

static_assert(offsetof(struct udp_port, sock) == 0, "finish() relies on it");

/* finish - what the socket says of every datagram. */
static bool finish(const struct dgram_socket *s, struct packet *p)
{
	const struct udp_port *port = (const struct udp_port *)(const void *)s;

	p->from.encap = port->encap;
	p->from.local.port = port->port;
	return true;
}

static uint32_t udp_rx_from(struct driver *d, const struct driver_ready *ready, struct pool *pool,
			    struct pktvec *out)
{
	struct udp *u = udp_of(d);
	uint32_t before = out->num;

	for (uint32_t i = 0; i < u->num_ports && pktvec_room(out); i++) {
		uint32_t which = (u->turn + i) % u->num_ports;

		dgram_take(&u->burst, &d->stats, &u->ports[which].sock, ready, which, pool, out);
	}
	u->turn++;
	return out->num - before;
}

static uint32_t udp_rx(struct driver *d, struct pool *pool, struct pktvec *out)
{
	struct driver_ready ready = dgram_ready(udp_of(d)->epoll);

	return ready.any ? udp_rx_from(d, &ready, pool, out) : 0;
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

static void udp_tx(struct driver *d, struct pktvec *v)
{
	struct udp *u = udp_of(d);
	uint32_t begin = 0;

	while (begin < v->num) {
		struct udp_port *sock = socket_for(u, v->pkt[begin]->to);
		uint32_t end = begin + 1;

		while (end < v->num && socket_for(u, v->pkt[end]->to) == sock)
			end++;
		if (sock)
			dgram_tx(&u->burst, &d->stats, &sock->sock, v->pkt + begin, end - begin);
		else
			counter_add(&d->stats.tx_error, end - begin);
		begin = end;
	}
	for (uint32_t i = 0; i < v->num; i++)
		packet_put(v->pkt[i]);
	v->num = 0;
}

/* ---- opening and closing --------------------------------------------------------------------- */

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
		.sock = {.fd = from->fd, .finish = finish},
		.port = local.port,
		.family = ss.ss_family == AF_INET ? IP_V4 : IP_V6,
		.encap = from->encap,
	};
	enum err err = dgram_set_options(from->fd, (enum ip_family)s->family);

	/* What a kernel does not know goes without. */
	if (!err && from->gso)
		dgram_set_gso(&s->sock);
	if (!err && from->gro)
		dgram_set_gro(&s->sock);
	return err;
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

static_assert(offsetof(struct udp, driver) == 0, "udp_fd() and udp_source() rely on it");

static int udp_fd(const struct driver *d)
{
	return ((const struct udp *)(const void *)d)->epoll;
}

static int udp_source(const struct driver *d, uint32_t i)
{
	const struct udp *u = (const struct udp *)(const void *)d;

	return i < u->num_ports ? u->ports[i].sock.fd : -1;
}

static void udp_close(struct driver *d)
{
	struct udp *u = udp_of(d);

	for (uint32_t i = 0; i < u->num_ports; i++)
		close(u->ports[i].sock.fd);
	close(u->epoll);
	mem_free(u);
}

static const struct driver_ops udp_ops = {
	.name = "udp",
	.rx = udp_rx,
	.tx = udp_tx,
	.fd = udp_fd,
	.source = udp_source,
	.rx_from = udp_rx_from,
	.close = udp_close,
};

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
