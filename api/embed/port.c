/* SPDX-License-Identifier: Apache-2.0 */
/* Clear packets without an interface: the far end of a memory driver is the program's. */
#include <errno.h>
#include <stdio.h>

#include "api/embed/internal.h"
#include "base/alloc.h"
#include "drivers/memory.h"

static void port_free(struct ipsec_port *port)
{
	list_remove(&port->node);
	memory_close_far(port->far);
	mem_free(port);
}

void ports_free(struct ipsec_engine *e)
{
	list_for_each_safe (n, &e->packet_ports)
		port_free(list_entry(n, struct ipsec_port, node));
}

void ports_free_named(struct ipsec_engine *e, const char *name)
{
	list_for_each_safe (n, &e->packet_ports) {
		struct ipsec_port *port = list_entry(n, struct ipsec_port, node);

		if (strcmp(port->name, name) == 0)
			port_free(port);
	}
}

static enum err attach(struct ipsec_engine *e, struct ipsec_port **out, const char *name)
{
	const struct memory_params params = {.role = PORT_INNER};
	struct ipsec_port *port = mem_alloc(sizeof(*port));
	struct driver *driver;
	enum err err;

	if (!port)
		return ERR_NOMEM;
	err = memory_open(&driver, &port->far, &params);
	if (err) {
		mem_free(port);
		return err;
	}
	if (name)
		snprintf(port->name, sizeof(port->name), "%s", name);
	list_push_back(&e->packet_ports, &port->node);
	err = embed_take(e, driver, false, name);
	if (err)
		port_free(port);
	else
		*out = port;
	return err;
}

int ipsec_engine_attach_packets(struct ipsec_engine *e, struct ipsec_port **out, const char *name)
{
	const struct log_sink *before = embed_enter(e);
	int rc = embed_may_attach(e, name) ? embed_fail(attach(e, out, name)) : -1;

	embed_leave(e, before);
	return rc;
}

int ipsec_vif_create(struct ipsec_engine *e, struct ipsec_port **out, const char *name)
{
	const struct log_sink *before = embed_enter(e);
	int rc = embed_vif_ok(e, name) ? embed_fail(attach(e, out, name)) : -1;

	embed_leave(e, before);
	return rc;
}

int ipsec_tx_burst(struct ipsec_port *port, const struct ipsec_packet *packets, unsigned int num)
{
	unsigned int sent = 0;
	enum err err = ERR_OK;

	while (sent < num && !err) {
		err = memory_inject_demand(port->far, packets[sent].data, packets[sent].len,
					   packets[sent].token);
		sent += !err;
	}
	if (sent || !num)
		return (int)sent;
	errno = err == ERR_FULL ? EAGAIN : EMSGSIZE;
	return -1;
}

int ipsec_port_send(struct ipsec_port *port, const struct ipsec_packet *packets, unsigned int num)
{
	return ipsec_tx_burst(port, packets, num);
}

int ipsec_rx_burst(struct ipsec_port *port, struct ipsec_packet *packets, unsigned int num)
{
	struct memory_meta meta;
	unsigned int got = 0;

	while (got < num && memory_take_meta(port->far, packets[got].data, packets[got].room,
					     &packets[got].len, &meta))
		packets[got++].token = meta.token;
	return (int)got;
}

int ipsec_port_receive(struct ipsec_port *port, struct ipsec_packet *packets, unsigned int num)
{
	return ipsec_rx_burst(port, packets, num);
}

int ipsec_port_fd(const struct ipsec_port *port)
{
	return memory_far_fd(port->far);
}
