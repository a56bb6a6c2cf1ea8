/* SPDX-License-Identifier: Apache-2.0 */
/* A driver of the program's own: its packets are ours, lent for the time of a call. */
#include "api/embed/internal.h"
#include "base/alloc.h"
#include "base/counter.h"
#include "dataplane/driver.h"
#include "dataplane/pool.h"

#define MTU_DEFAULT 1400

struct program_driver {
	struct driver driver;
	const struct ipsec_driver_ops *ops;
	void *ctx;
};
static_assert(offsetof(struct program_driver, driver) == 0, "the cast in fd() keeps const");

static struct program_driver *of(struct driver *d)
{
	return container_of(d, struct program_driver, driver);
}

/* take - one packet that the program filled in; false if it says what cannot be. */
static bool take(const struct driver *d, struct packet *p, const struct ipsec_packet *from,
		 uint32_t room)
{
	if (from->len > room || from->data != p->data)
		return false;
	p->len = (uint32_t)from->len;
	if (d->role == PORT_OUTER) {
		p->from = path_in(&from->path);
		p->dscp_ecn = from->tos;
	} else {
		p->token = from->token;
	}
	return true;
}

/* take_all - the first `num` of what was offered goes to `out`, the rest back. */
static uint32_t take_all(struct driver *d, struct pktvec *out, struct packet **pkts,
			 const struct ipsec_packet *lent, uint32_t offered, uint32_t num)
{
	uint32_t taken = 0;
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < offered; i++) {
		if (i < num && take(d, pkts[i], &lent[i], pkts[i]->pool->data_room)) {
			bytes += pkts[i]->len;
			pktvec_push(out, pkts[i]);
			taken++;
			continue;
		}
		if (i < num)
			counter_add(&d->stats.rx_error, 1);
		packet_put(pkts[i]);
	}
	counter_add(&d->stats.rx_packets, taken);
	counter_add(&d->stats.rx_bytes, bytes);
	return taken;
}

static uint32_t rx(struct driver *d, struct pool *pool, struct pktvec *out)
{
	struct packet *pkts[PKTVEC_MAX];
	struct ipsec_packet lent[PKTVEC_MAX];
	uint32_t room = pool->ops->get(pool, pkts, pktvec_room(out));

	for (uint32_t i = 0; i < room; i++)
		lent[i] = (struct ipsec_packet){.data = pkts[i]->data, .room = pool->data_room};
	return take_all(d, out, pkts, lent, room,
			room ? of(d)->ops->receive(of(d)->ctx, lent, room) : 0);
}

static void tx(struct driver *d, struct pktvec *v)
{
	struct ipsec_packet lent[PKTVEC_MAX];
	uint32_t sent;
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < v->num; i++) {
		const struct packet *p = v->pkt[i];

		lent[i] = (struct ipsec_packet){.data = p->data, .len = p->len, .room = p->len};
		if (d->role == PORT_OUTER) {
			lent[i].path = path_out(p->to);
			lent[i].tos = p->dscp_ecn;
		} else {
			lent[i].token = p->token;
		}
	}
	sent = v->num ? of(d)->ops->send(of(d)->ctx, lent, v->num) : 0;
	if (sent > v->num)
		sent = v->num;
	for (uint32_t i = 0; i < v->num; i++) {
		bytes += i < sent ? v->pkt[i]->len : 0;
		packet_put(v->pkt[i]);
	}
	counter_add(&d->stats.tx_packets, sent);
	counter_add(&d->stats.tx_bytes, bytes);
	counter_add(&d->stats.tx_full, v->num - sent);
	v->num = 0;
}

static int fd(const struct driver *d)
{
	const struct program_driver *p = (const struct program_driver *)(const void *)d;

	return p->ops->fd ? p->ops->fd(p->ctx) : -1;
}

static void close_driver(struct driver *d)
{
	struct program_driver *p = of(d);

	if (p->ops->close)
		p->ops->close(p->ctx);
	mem_free(p);
}

static const struct driver_ops ops_of_program = {
	.name = "program",
	.rx = rx,
	.tx = tx,
	.fd = fd,
	.close = close_driver,
};

enum err program_driver_open(struct driver **out, const struct ipsec_driver_ops *ops, void *ctx,
			     enum port_role role, uint32_t mtu)
{
	struct program_driver *p;

	if (!ops->receive || !ops->send)
		return ERR_INVAL;
	p = mem_alloc(sizeof(*p));
	if (!p)
		return ERR_NOMEM;
	p->driver.ops = &ops_of_program;
	p->driver.role = role;
	if (role == PORT_INNER)
		p->driver.mtu = mtu ? mtu : MTU_DEFAULT;
	p->ops = ops;
	p->ctx = ctx;
	*out = &p->driver;
	return ERR_OK;
}
