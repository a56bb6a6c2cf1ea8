/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual interface, with a queue for each worker, and what else is opened at the start. The
 * interface survives us unless the stop is orderly, so that what it guards stays guarded.
 */
#include <errno.h>
#include <unistd.h>

#include "api/engine/internal.h"
#include "drivers/tap.h"

/* Bytes that tunnel-mode ESP in UDP adds at most: outer header, UDP, ESP header and IV, two bytes
 * of trailer, three of padding, ICV. AES-CBC and the longer HMACs add up to 36 more: such packets
 * the data path fits to the path by itself. */
#define OVERHEAD_V4 (20 + 8 + 16 + 2 + 3 + AEAD_TAG_LEN)
#define OVERHEAD_V6 (40 + 8 + 16 + 2 + 3 + AEAD_TAG_LEN)
/* What fits an Ethernet underlay with IPv6 outside. */
#define MTU_DEFAULT (1500 - OVERHEAD_V6)
/* IPv6 needs this much inside (RFC 8200 5); below it the underlay has to fragment. */
#define MTU_MIN 1280

/* Bytes and segments of a super-packet: 44 full ones, with what ESP adds, are a message of 64 KB.
 */
#define GSO_MAX_LEN 60000
#define GSO_MAX_NUM 44

#define HOST(e, op, ...) ((e)->host.ops->op((e)->host.ctx, __VA_ARGS__))

enum err device_failed(const struct engine *e, const char *what, enum err err)
{
	LOG(ERROR, KNL, NULL, "%s: %s failed: %s%s%s", e->daemon.interface, what, err_text(err),
	    err == ERR_SYS ? ": " : "", err == ERR_SYS ? strerror(errno) : "");
	return err;
}

static uint32_t overhead(uint8_t family)
{
	return family == IP_V6 ? OVERHEAD_V6 : OVERHEAD_V4;
}

/* device_fit_mtu - what the way to a peer begins with; a new one may carry less: then the interface
 * says so to its users. */
void device_fit_mtu(struct engine *e, uint32_t set, const struct ip_addr *remote)
{
	uint32_t underlay, mtu;

	if (HOST(e, link_mtu, &underlay, remote))
		return;
	if (dataplane_pathset_mtu(e->dp, set, (uint16_t)(underlay < UINT16_MAX ? underlay : 0)))
		LOG(WARN, KNL, NULL, "a path set to be told its MTU is not there any more");
	if (e->daemon.mtu)
		return;
	mtu = underlay > overhead(remote->family) + MTU_MIN ? underlay - overhead(remote->family)
							    : MTU_MIN;
	if (mtu >= e->mtu)
		return;
	if (HOST(e, link_set, e->daemon.interface, mtu, NULL)) {
		LOG(WARN, KNL, NULL, "the MTU of %s cannot be set", e->daemon.interface);
		return;
	}
	LOG(INFO, KNL, NULL, "%s: MTU %u, which the path to the peer can carry",
	    e->daemon.interface, mtu);
	e->mtu = mtu;
	vif_fit_mtu(e);
}

/* offloads - that are wanted; super-packets need checksums to be ours. */
static uint32_t offloads(const struct conf_daemon *d)
{
	uint32_t tcp = HOST_OFFLOAD_TCP4 | HOST_OFFLOAD_TCP6 | HOST_OFFLOAD_ECN;

	if (!d->tun_checksum)
		return 0;
	return HOST_OFFLOAD_SUM | (d->tun_tso ? tcp : 0) | (d->tun_uso ? HOST_OFFLOAD_UDP : 0);
}

/* device_bound_supers - what a super-packet is cut into goes as one message to the peer, so it is
 * no longer than that takes (drivers/dgram.h). */
void device_bound_supers(struct engine *e, const char *name)
{
	if (HOST(e, link_gso, name, GSO_MAX_LEN, GSO_MAX_NUM))
		LOG(DEBUG, KNL, NULL, "%s: the length of super-packets cannot be set", name);
}

/* device_tap_open - up to num queues of the virtual interface `name`. */
enum err device_tap_open(struct engine *e, struct host_tap *out, uint32_t *out_num,
			 const char *name, uint32_t num)
{
	enum err err = HOST(e, tap_open, out, out_num, name, offloads(&e->daemon), num);

	if (err)
		return err;
	if (out->offloads & ~(uint32_t)HOST_OFFLOAD_SUM)
		device_bound_supers(e, name);
	LOG(DEBUG, KNL, NULL, "%s: offloads%s%s%s", name,
	    out->offloads & HOST_OFFLOAD_SUM ? " checksum" : " none",
	    out->offloads & HOST_OFFLOAD_TCP4 ? " tso" : "",
	    out->offloads & HOST_OFFLOAD_UDP ? " uso" : "");
	return ERR_OK;
}

/* device_tokens - sockets learn the class of what they receive, and say what they demand, by marks.
 * Where that cannot be had they have the interface alone. */
bool device_tokens(struct engine *e, const char *name, bool tun)
{
	enum err err = tun ? ERR_UNSUPPORTED : HOST(e, token_set, name);

	if (err)
		LOG(WARN, KNL, NULL,
		    "%s: sockets cannot be told whose a packet is%s%s; what is left is an "
		    "interface for each connection",
		    name, tun ? ", as it is a TUN" : ": ", tun ? "" : err_text(err));
	return err == ERR_OK;
}

/* attach_taps - a queue for each of the first num workers. */
static enum err attach_taps(struct engine *e, uint16_t *port, const struct host_tap *taps,
			    uint32_t num)
{
	struct driver *driver;

	for (uint32_t i = 0; i < num; i++) {
		enum err err = tap_driver_open(&driver, &taps[i], e->mtu);

		if (err) {
			while (i < num)
				close(taps[i++].fd);
			return err;
		}
		err = queue_attach(e, port, i, driver);
		if (err) {
			while (++i < num)
				close(taps[i].fd);
			return err;
		}
	}
	return ERR_OK;
}

static enum err inner_open(struct engine *e, uint16_t *port)
{
	const struct conf_daemon *d = &e->daemon;
	struct host_tap taps[DATAPLANE_WORKERS_MAX];
	uint32_t num = 0;
	enum err err;

	e->mtu = d->mtu ? d->mtu : MTU_DEFAULT;
	err = device_tap_open(e, taps, &num, d->interface, e->num_workers);
	if (err)
		return device_failed(e, "opening the virtual interface", err);
	if (num < e->num_workers)
		LOG(WARN, KNL, NULL,
		    "%s stands already and has %s: workers without one have it send and receive by "
		    "the others",
		    d->interface, num > 1 ? "too few queues" : "one queue");
	e->has_device = true;
	err = HOST(e, link_set, d->interface, e->mtu, NULL);
	for (uint32_t i = 0; !err && i < d->num_addresses; i++)
		err = HOST(e, addr_add, d->interface, &d->addresses[i]);
	if (!err)
		e->has_marks = device_tokens(e, d->interface, taps[0].tun);
	if (!err)
		err = attach_taps(e, port, taps, num);
	else
		while (num)
			close(taps[--num].fd);
	return err ? device_failed(e, "setting up the virtual interface", err) : ERR_OK;
}

static void check_rp_filter(struct engine *e)
{
	const char *text;
	bool ok;

	if (!HOST(e, rp_filter_check, &ok, &text) && !ok)
		LOG(WARN, KNL, NULL, "%s", text);
}

enum err device_open(struct engine *e)
{
	uint16_t tap = 0;
	enum err err = gateway_open(e);

	if (!err)
		err = inner_open(e, &tap);
	if (!err)
		err = sockets_open(e);
	if (err)
		return err;
	gateway_use_host(e, tap);
	err = HOST(e, route_flush, e->daemon.interface);
	if (err)
		return device_failed(e, "removing the routes of a process before us", err);
	err = HOST(e, rules_set, e->daemon.interface);
	if (err)
		return device_failed(e, "setting the policy rules", err);
	e->has_rules = true;
	check_rp_filter(e);
	return ERR_OK;
}

void device_close_port(struct driver *driver)
{
	driver->ops->close(driver);
}

/* attach - one of the caller's ports. */
static enum err attach(struct engine *e, const struct engine_port *p)
{
	uint16_t port;
	enum err err;

	if (p->name && p->name[0])
		return vif_attach(e, p->name, p->driver);
	err = dataplane_attach(e->dp, &port, p->driver);
	if (err) {
		device_close_port(p->driver);
		return err;
	}
	if (p->bare) {
		e->esp_port = port;
		e->has_esp_port = true;
	} else if (p->driver->role == PORT_OUTER && !e->has_outer_port) {
		e->outer_port = port;
		e->has_outer_port = true;
	}
	return ERR_OK;
}

/* device_attach - ports that the caller made; what cannot be attached is closed. */
enum err device_attach(struct engine *e, const struct engine_port *ports, uint32_t num)
{
	enum err err = ERR_OK;

	e->mtu = e->daemon.mtu ? e->daemon.mtu : MTU_DEFAULT;
	for (uint32_t i = 0; i < num; i++) {
		enum err failed = attach(e, &ports[i]);

		if (!err)
			err = failed;
	}
	return err;
}

void device_close(struct engine *e)
{
	if (e->leave_host)
		return;
	if (e->has_rules && e->host.ops->rules_del(e->host.ctx))
		LOG(WARN, KNL, NULL, "the policy rules could not be removed");
	if (e->has_device && HOST(e, token_del, e->daemon.interface))
		LOG(WARN, KNL, NULL, "the rules for marks of %s could not be removed",
		    e->daemon.interface);
	if (e->has_device && HOST(e, link_del, e->daemon.interface))
		LOG(WARN, KNL, NULL, "%s could not be removed", e->daemon.interface);
}
