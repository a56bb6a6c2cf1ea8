/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/raw.h"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/counter.h"
#include "dataplane/pool.h"
#include "drivers/dgram.h"

#define IP4_MIN_LEN       20
#define IP4_FRAGMENT_MASK 0x3fff /* more fragments, and the offset */

struct raw {
	struct driver driver;
	int epoll;
	uint32_t turn; /* which socket is read first, so that a busy one starves nobody */
	uint32_t num_sockets;
	struct dgram_socket sockets[RAW_SOCKETS_MAX];
	uint8_t families[RAW_SOCKETS_MAX]; /* enum ip_family */
	struct dgram_burst burst;
};

static struct raw *raw_of(struct driver *d)
{
	return container_of(d, struct raw, driver);
}

/* ---- receiving ------------------------------------------------------------------------------ */

bool raw_strip_ipv4(struct packet *p)
{
	const uint8_t *h = p->data;

	if (p->len < IP4_MIN_LEN || h[0] >> 4 != 4)
		return false;
	uint32_t header_len = (h[0] & 0x0fu) * 4;
	uint32_t len = load_be16(h + 2);

	if (header_len < IP4_MIN_LEN || len < header_len || len > p->len)
		return false;
	if ((load_be16(h + 6) & IP4_FRAGMENT_MASK) || h[9] != IPPROTO_ESP)
		return false;
	p->dscp_ecn = h[1];
	p->data += header_len;
	p->len = len - header_len;
	return true;
}

static bool finish_v4(const struct dgram_socket *s, struct packet *p)
{
	(void)s;
	p->from.encap = ENCAP_NONE;
	p->from.remote.port = p->from.local.port = 0;
	return raw_strip_ipv4(p);
}

/* An IPv6 raw socket delivers what follows the headers (RFC 3542 3). */
static bool finish_v6(const struct dgram_socket *s, struct packet *p)
{
	(void)s;
	p->from.encap = ENCAP_NONE;
	p->from.remote.port = p->from.local.port = 0;
	return true;
}

static uint32_t raw_rx_from(struct driver *d, const struct driver_ready *ready, struct pool *pool,
			    struct pktvec *out)
{
	struct raw *r = raw_of(d);
	uint32_t before = out->num;

	for (uint32_t i = 0; i < r->num_sockets && pktvec_room(out); i++) {
		uint32_t which = (r->turn + i) % r->num_sockets;

		dgram_take(&r->burst, &d->stats, &r->sockets[which], ready, which, pool, out);
	}
	r->turn++;
	return out->num - before;
}

static uint32_t raw_rx(struct driver *d, struct pool *pool, struct pktvec *out)
{
	struct driver_ready ready = dgram_ready(raw_of(d)->epoll);

	return ready.any ? raw_rx_from(d, &ready, pool, out) : 0;
}

/* ---- sending -------------------------------------------------------------------------------- */

static struct dgram_socket *socket_for(struct raw *r, const struct path_addr *to)
{
	for (uint32_t i = 0; i < r->num_sockets; i++)
		if (r->families[i] == to->remote.addr.family)
			return &r->sockets[i];
	return NULL;
}

static void raw_tx(struct driver *d, struct pktvec *v)
{
	struct raw *r = raw_of(d);
	uint32_t begin = 0;

	while (begin < v->num) {
		struct dgram_socket *s = socket_for(r, v->pkt[begin]->to);
		uint32_t end = begin + 1;

		while (end < v->num && socket_for(r, v->pkt[end]->to) == s)
			end++;
		if (s)
			dgram_tx(&r->burst, &d->stats, s, v->pkt + begin, end - begin);
		else
			counter_add(&d->stats.tx_error, end - begin);
		begin = end;
	}
	for (uint32_t i = 0; i < v->num; i++)
		packet_put(v->pkt[i]);
	v->num = 0;
}

/* ---- opening and closing --------------------------------------------------------------------- */

static bool get_int(int fd, int option, int *out)
{
	socklen_t len = sizeof(*out);

	return getsockopt(fd, SOL_SOCKET, option, out, &len) == 0;
}

static enum err family_of(uint8_t *out, int fd)
{
	int domain, type, protocol;

	if (!get_int(fd, SO_DOMAIN, &domain) || !get_int(fd, SO_TYPE, &type) ||
	    !get_int(fd, SO_PROTOCOL, &protocol))
		return ERR_SYS;
	if (type != SOCK_RAW || protocol != IPPROTO_ESP ||
	    (domain != AF_INET && domain != AF_INET6))
		return ERR_INVAL;
	*out = domain == AF_INET ? IP_V4 : IP_V6;
	return ERR_OK;
}

static enum err socket_add(struct raw *r, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = r->num_sockets};
	uint8_t family;
	enum err err = family_of(&family, fd);

	if (err)
		return err;
	for (uint32_t i = 0; i < r->num_sockets; i++)
		if (r->families[i] == family)
			return ERR_INVAL;
	err = dgram_set_options(fd, (enum ip_family)family);
	if (err)
		return err;
	if (epoll_ctl(r->epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
		return ERR_SYS;
	r->families[r->num_sockets] = family;
	r->sockets[r->num_sockets++] = (struct dgram_socket){
		.fd = fd,
		.raw = true,
		/* So much in front of the data that ESP begins where a UDP payload would. */
		.front = family == IP_V4 ? IP4_MIN_LEN : 0,
		.finish = family == IP_V4 ? finish_v4 : finish_v6,
	};
	return ERR_OK;
}

static_assert(offsetof(struct raw, driver) == 0, "raw_fd() and raw_source() rely on it");
static_assert(RAW_SOCKETS_MAX <= DRIVER_SOURCES_MAX, "a bit each");
static_assert(PACKET_HEADROOM >= IP4_MIN_LEN, "the IPv4 header is read into it");

static int raw_fd(const struct driver *d)
{
	return ((const struct raw *)(const void *)d)->epoll;
}

static int raw_source(const struct driver *d, uint32_t i)
{
	const struct raw *r = (const struct raw *)(const void *)d;

	return i < r->num_sockets ? r->sockets[i].fd : -1;
}

static void raw_close(struct driver *d)
{
	struct raw *r = raw_of(d);

	for (uint32_t i = 0; i < r->num_sockets; i++)
		close(r->sockets[i].fd);
	close(r->epoll);
	mem_free(r);
}

static const struct driver_ops raw_ops = {
	.name = "raw",
	.rx = raw_rx,
	.tx = raw_tx,
	.fd = raw_fd,
	.source = raw_source,
	.rx_from = raw_rx_from,
	.close = raw_close,
};

enum err raw_driver_open(struct driver **out, const int *fds, size_t num)
{
	enum err err = ERR_OK;
	struct raw *r;

	if (num < 1 || num > RAW_SOCKETS_MAX)
		return ERR_INVAL;
	r = mem_alloc(sizeof(*r));
	if (!r)
		return ERR_NOMEM;
	r->driver = (struct driver){.ops = &raw_ops, .role = PORT_OUTER};
	r->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (r->epoll < 0) {
		err = ERR_SYS;
		goto out;
	}
	for (size_t i = 0; i < num && !err; i++)
		err = socket_add(r, fds[i]);
	if (!err) {
		*out = &r->driver;
		return ERR_OK;
	}
	close(r->epoll);
out:
	mem_free(r);
	return err;
}
