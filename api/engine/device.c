/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual interface and the outer sockets, and the drivers over them. The interface survives us
 * unless the stop is orderly, so that what it guards stays guarded.
 */
#include <errno.h>
#include <unistd.h>

#include "api/engine/internal.h"
#include "drivers/raw.h"
#include "drivers/tap.h"
#include "drivers/udp.h"

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

static enum err failed(const struct engine *e, const char *what, enum err err)
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

/* device_tap_open - the virtual interface `name`. What a super-packet is cut into goes as one
 * message to the peer, so it is no longer than that takes (drivers/dgram.h). */
enum err device_tap_open(struct engine *e, struct host_tap *out, const char *name)
{
	enum err err = HOST(e, tap_open, out, name, offloads(&e->daemon));

	if (err)
		return err;
	if (out->offloads & ~(uint32_t)HOST_OFFLOAD_SUM &&
	    HOST(e, link_gso, name, GSO_MAX_LEN, GSO_MAX_NUM))
		LOG(DEBUG, KNL, NULL, "%s: the length of super-packets cannot be set", name);
	LOG(DEBUG, KNL, NULL, "%s: offloads%s%s%s", name,
	    out->offloads & HOST_OFFLOAD_SUM ? " checksum" : " none",
	    out->offloads & HOST_OFFLOAD_TCP4 ? " tso" : "",
	    out->offloads & HOST_OFFLOAD_UDP ? " uso" : "");
	return ERR_OK;
}

/* struct drivers - the host's, for a gateway's lane. */
struct drivers {
	struct driver *tap, *udp, *esp;
};

static enum err inner_open(struct engine *e, struct drivers *out)
{
	const struct conf_daemon *d = &e->daemon;
	struct driver *driver;
	struct host_tap tap;
	uint16_t port;
	enum err err;

	e->mtu = d->mtu ? d->mtu : MTU_DEFAULT;
	err = device_tap_open(e, &tap, d->interface);
	if (err)
		return failed(e, "opening the virtual interface", err);
	e->has_device = true;
	err = HOST(e, link_set, d->interface, e->mtu, NULL);
	for (uint32_t i = 0; !err && i < d->num_addresses; i++)
		err = HOST(e, addr_add, d->interface, &d->addresses[i]);
	if (!err)
		err = tap_driver_open(&driver, &tap, e->mtu);
	if (err) {
		close(tap.fd);
		return failed(e, "setting up the virtual interface", err);
	}
	out->tap = driver;
	return dataplane_attach(e->dp, &port, driver);
}

/* set_socket - what arrives there; ESP comes and goes many packets at a time, where it may. */
static void set_socket(struct udp_socket *s, const struct conf_daemon *d, bool nat_t)
{
	s->encap = nat_t ? ENCAP_UDP : ENCAP_NONE;
	s->gso = nat_t && d->udp_gso;
	s->gro = nat_t && d->udp_gro;
}

/* outer_sockets - IKE's port and the one for UDP encapsulation, for both families; a host without
 * IPv6 is served with IPv4. */
static enum err outer_sockets(struct engine *e, struct udp_socket *out, size_t *out_num)
{
	const uint16_t ports[] = {e->daemon.port, e->daemon.port_nat_t};
	const enum ip_family families[] = {IP_V4, IP_V6};
	enum err err = ERR_OK;
	size_t num = 0;

	for (size_t f = 0; f < ARRAY_LEN(families); f++)
		for (size_t p = 0; p < ARRAY_LEN(ports); p++) {
			err = HOST(e, udp_open, &out[num].fd, families[f], ports[p]);
			if (!err)
				set_socket(&out[num++], &e->daemon, p != 0);
			else if (families[f] == IP_V4 || errno != EAFNOSUPPORT)
				goto out;
		}
	*out_num = num;
	return ERR_OK;
out:
	while (num)
		close(out[--num].fd);
	return failed(e, "opening UDP ports 500 and 4500 (is another IKE daemon running?)", err);
}

static enum err outer_open(struct engine *e, struct drivers *out)
{
	struct udp_socket sockets[4];
	struct driver *driver;
	size_t num = 0;
	enum err err = outer_sockets(e, sockets, &num);

	if (err)
		return err;
	err = udp_driver_open(&driver, sockets, num);
	if (err) {
		while (num)
			close(sockets[--num].fd);
		return failed(e, "setting up the UDP sockets", err);
	}
	out->udp = driver;
	return dataplane_attach(e->dp, &e->outer_port, driver);
}

/* esp_sockets - for bare ESP, as many as the host has families. */
static enum err esp_sockets(struct engine *e, int *out, size_t *out_num)
{
	const enum ip_family families[] = {IP_V4, IP_V6};
	size_t num = 0;

	for (size_t f = 0; f < ARRAY_LEN(families); f++) {
		enum err err = HOST(e, esp_open, &out[num], families[f]);

		if (!err) {
			num++;
		} else if (families[f] == IP_V4 || errno != EAFNOSUPPORT) {
			while (num)
				close(out[--num]);
			return err;
		}
	}
	*out_num = num;
	return ERR_OK;
}

/* esp_open - the port for bare ESP. A host that has no raw sockets for us is served with UDP. */
static enum err esp_open(struct engine *e, struct drivers *out)
{
	int sockets[RAW_SOCKETS_MAX];
	struct driver *driver;
	size_t num = 0;
	enum err err = esp_sockets(e, sockets, &num);

	if (!err)
		err = raw_driver_open(&driver, sockets, num);
	if (err) {
		LOG(WARN, KNL, NULL, "no raw sockets for ESP (%s): ESP is carried in UDP only",
		    err == ERR_SYS ? strerror(errno) : err_text(err));
		while (num)
			close(sockets[--num]);
		return ERR_OK;
	}
	out->esp = driver;
	err = dataplane_attach(e->dp, &e->esp_port, driver);
	e->has_esp_port = !err;
	return err;
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
	struct drivers drivers = {0};
	enum err err = gateway_open(e);

	if (!err)
		err = inner_open(e, &drivers);
	if (!err)
		err = outer_open(e, &drivers);
	if (!err)
		err = esp_open(e, &drivers);
	if (err)
		return err;
	gateway_use_host(e, drivers.tap, drivers.udp, drivers.esp);
	err = HOST(e, route_flush, e->daemon.interface);
	if (err)
		return failed(e, "removing the routes of a process before us", err);
	err = HOST(e, rules_set, e->daemon.interface);
	if (err)
		return failed(e, "setting the policy rules", err);
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
	if (e->has_device && HOST(e, link_del, e->daemon.interface))
		LOG(WARN, KNL, NULL, "%s could not be removed", e->daemon.interface);
}
