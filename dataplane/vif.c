/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inner ports that come and go: virtual interfaces of single connections. The workers know their
 * ports for good while they run, so they stop for a moment; what arrives meanwhile waits in the
 * devices.
 */
#include "dataplane/state.h"
#include "dataplane/workers.h"

/* What is on its way between workers is given so many turns to arrive before its port goes. */
#define TURNS_MAX 64

static void gone_tx(struct driver *d, struct pktvec *v)
{
	counter_add(&d->stats.tx_error, v->num);
	for (uint32_t i = 0; i < v->num; i++)
		packet_put(v->pkt[i]);
	v->num = 0;
}

static uint32_t gone_rx(struct driver *d, struct pool *pool, struct pktvec *out)
{
	(void)d, (void)pool, (void)out;
	return 0;
}

static int gone_fd(const struct driver *d)
{
	(void)d;
	return -1;
}

static void gone_close(struct driver *d)
{
	(void)d;
}

static const struct driver_ops gone_ops = {
	.name = "gone", .rx = gone_rx, .tx = gone_tx, .fd = gone_fd, .close = gone_close};

/* leave - in the port's place a driver that takes nothing, whose books go on. */
static void leave(struct dataplane *dp, uint16_t port)
{
	struct driver *gone = &dp->gone[port];

	for (uint32_t i = 0; i < dp->num_workers; i++)
		dp->workers[i]->only[port] = 0;
	gone->ops = &gone_ops;
	gone->role = PORT_INNER;
	dp->workers[0]->ports[port] = gone;
}

static void keep_books(struct dataplane *dp, uint16_t port)
{
	const struct driver_stats *s = &dp->workers[0]->ports[port]->stats;

	counter_add(&dp->gone[port].stats.tx_full, s->tx_full);
	counter_add(&dp->gone[port].stats.tx_error, s->tx_error);
	counter_add(&dp->gone[port].stats.offload_refused, s->offload_refused);
}

static bool is_gone(const struct dataplane *dp, uint16_t port)
{
	return dp->workers[0]->ports[port] == &dp->gone[port];
}

/* free_port - one that a virtual interface had, else a new one. */
static enum err free_port(struct dataplane *dp, uint16_t *out, struct driver *driver)
{
	struct worker *w = dp->workers[0];

	for (uint16_t port = 0; port < dp->num_ports; port++) {
		if (is_gone(dp, port)) {
			w->ports[port] = driver;
			*out = port;
			return ERR_OK;
		}
	}
	return workers_add_port(dp, out, driver);
}

static enum err go_on(struct dataplane *dp, bool running)
{
	return running ? dataplane_start(dp) : ERR_OK;
}

enum err dataplane_vif_add(struct dataplane *dp, uint32_t *out_scope, uint16_t *out_port,
			   struct driver *driver)
{
	bool running = dp->running;
	uint16_t port;
	enum err e, again;

	if (driver->role != PORT_INNER)
		return ERR_INVAL;
	dataplane_stop(dp);
	e = free_port(dp, &port, driver);
	for (uint32_t i = 0; e == ERR_OK && i < dp->num_workers; i++)
		dp->workers[i]->scopes[port] = port_scope(port);
	again = go_on(dp, running);
	if (e != ERR_OK)
		return e;
	if (again != ERR_OK) {
		leave(dp, port); /* the driver stays the caller's */
		return again;
	}
	*out_scope = port_scope(port);
	*out_port = port;
	return ERR_OK;
}

enum err dataplane_vif_only(struct dataplane *dp, uint32_t scope, uint32_t token)
{
	uint16_t port = scope_port(scope);
	bool running = dp->running;

	if (scope == 0 || port >= dp->num_ports || dp->workers[0]->scopes[port] != scope ||
	    is_gone(dp, port))
		return ERR_NOT_FOUND;
	dataplane_stop(dp);
	for (uint32_t i = 0; i < dp->num_workers; i++)
		dp->workers[i]->only[port] = token;
	return go_on(dp, running);
}

enum err dataplane_vif_remove(struct dataplane *dp, uint32_t scope)
{
	struct worker *w = dp->workers[0];
	uint16_t port = scope_port(scope);
	bool running = dp->running;

	if (scope == 0 || port >= dp->num_ports || w->scopes[port] != scope || is_gone(dp, port))
		return ERR_NOT_FOUND;
	assert(!spd_has_scope(&dp->spd, scope));
	dataplane_stop(dp);
	/* Packets that wait for an SA or for another worker find what became of their policy. */
	for (int i = 0; i == 0 || (i < TURNS_MAX && dataplane_poll_next(dp) == 0); i++)
		dataplane_poll(dp, workers_clock(dp));
	for (uint32_t i = 0; i < dp->num_workers; i++)
		worker_forget_fragments(dp->workers[i], (uint64_t)scope << 2 | REASM_HOST);
	keep_books(dp, port);
	w->ports[port]->ops->close(w->ports[port]);
	leave(dp, port);
	return go_on(dp, running);
}
