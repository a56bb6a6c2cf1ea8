/* SPDX-License-Identifier: Apache-2.0 */
/* The outer sockets: UDP's, a set for each worker, and those of bare ESP. */
#include <errno.h>
#include <unistd.h>

#include "api/engine/internal.h"
#include "drivers/raw.h"
#include "drivers/udp.h"

#define HOST(e, op, ...) ((e)->host.ops->op((e)->host.ctx, __VA_ARGS__))

/* UDP_SET - sockets of a worker at most: two ports, two families. */
#define UDP_SET 4

/* struct udp_sets - all of them; num of each worker are open. */
struct udp_sets {
	struct udp_socket of[DATAPLANE_WORKERS_MAX][UDP_SET];
	size_t num;
};

/* set_socket - what arrives there; ESP comes and goes many packets at a time, where it may. */
static struct udp_socket set_socket(int fd, const struct conf_daemon *d, bool nat_t)
{
	return (struct udp_socket){.fd = fd,
				   .encap = nat_t ? ENCAP_UDP : ENCAP_NONE,
				   .gso = nat_t && d->udp_gso,
				   .gro = nat_t && d->udp_gro};
}

/* open_for_all - the same socket of each worker. */
static enum err open_for_all(struct engine *e, struct udp_sets *sets, enum ip_family family,
			     bool nat_t)
{
	const struct conf_daemon *d = &e->daemon;
	int fds[DATAPLANE_WORKERS_MAX];
	enum err err =
		HOST(e, udp_open, fds, family, nat_t ? d->port_nat_t : d->port, e->num_workers);

	if (err)
		return err;
	for (uint32_t i = 0; i < e->num_workers; i++)
		sets->of[i][sets->num] = set_socket(fds[i], d, nat_t);
	sets->num++;
	/* ESP begins with the SPI. Without, each flow goes somewhere, and ESP is handed over. */
	if (nat_t && e->num_workers > 1 &&
	    HOST(e, udp_steer, fds[0], DATAPLANE_SPI_SHIFT, e->num_workers))
		LOG(DEBUG, KNL, NULL, "port %u: ESP does not arrive at its own worker",
		    d->port_nat_t);
	return ERR_OK;
}

/* close_from - those of the workers from this one on: the others' are their drivers'. */
static void close_from(const struct engine *e, const struct udp_sets *sets, uint32_t worker)
{
	for (uint32_t i = worker; i < e->num_workers; i++)
		for (size_t s = 0; s < sets->num; s++)
			close(sets->of[i][s].fd);
}

/* open_udp - IKE's port and the one for UDP encapsulation, for both families; a host without IPv6
 * is served with IPv4. */
static enum err open_udp(struct engine *e, struct udp_sets *sets)
{
	const enum ip_family families[] = {IP_V4, IP_V6};

	for (size_t i = 0; i < UDP_SET; i++) {
		enum ip_family family = families[i / 2];
		enum err err = open_for_all(e, sets, family, i % 2 != 0);

		if (err && (family == IP_V4 || errno != EAFNOSUPPORT)) {
			int before = errno;

			close_from(e, sets, 0);
			errno = before;
			return err;
		}
	}
	return ERR_OK;
}

enum err queue_attach(struct engine *e, uint16_t *port, uint32_t worker, struct driver *driver)
{
	enum err err = worker ? dataplane_attach_queue(e->dp, *port, worker, driver)
			      : dataplane_attach(e->dp, port, driver);

	if (err)
		device_close_port(driver);
	return err;
}

static enum err udp_port(struct engine *e)
{
	struct udp_sets sets = {.num = 0};
	struct driver *driver = NULL;
	enum err err = open_udp(e, &sets);

	if (err)
		return device_failed(
			e, "opening UDP ports 500 and 4500 (is another IKE daemon running?)", err);
	for (uint32_t i = 0; i < e->num_workers; i++) {
		err = udp_driver_open(&driver, sets.of[i], sets.num);
		if (err) {
			close_from(e, &sets, i);
			return device_failed(e, "setting up the UDP sockets", err);
		}
		err = queue_attach(e, &e->outer_port, i, driver);
		if (err) {
			close_from(e, &sets, i + 1);
			return err;
		}
	}
	return ERR_OK;
}

/* struct esp_sets - raw sockets of all workers; num of each are open. */
struct esp_sets {
	int of[DATAPLANE_WORKERS_MAX][RAW_SOCKETS_MAX];
	size_t num;
	uint32_t num_workers;
};

/* close_esp - those of the workers from this one on. */
static void close_esp(const struct esp_sets *sets, uint32_t worker)
{
	int before = errno;

	for (uint32_t i = worker; i < sets->num_workers; i++)
		for (size_t s = 0; s < sets->num; s++)
			close(sets->of[i][s]);
	errno = before;
}

/* open_esp - for bare ESP, as many as the host has families, for so many workers. */
static enum err open_esp(struct engine *e, struct esp_sets *sets, uint32_t num_workers)
{
	const enum ip_family families[] = {IP_V4, IP_V6};
	int fds[DATAPLANE_WORKERS_MAX];

	*sets = (struct esp_sets){.num_workers = num_workers};
	for (size_t f = 0; f < ARRAY_LEN(families); f++) {
		enum err err =
			HOST(e, esp_open, fds, families[f], num_workers, DATAPLANE_SPI_SHIFT);

		if (err && (families[f] == IP_V4 || errno != EAFNOSUPPORT)) {
			close_esp(sets, 0);
			return err;
		}
		for (uint32_t i = 0; !err && i < num_workers; i++)
			sets->of[i][sets->num] = fds[i];
		sets->num += !err;
	}
	return ERR_OK;
}

/* attach_esp - a queue of the port for each worker that has sockets. What was not attached is
 * closed. */
static enum err attach_esp(struct engine *e, const struct esp_sets *sets)
{
	for (uint32_t i = 0; i < sets->num_workers; i++) {
		struct driver *driver;
		enum err err = raw_driver_open(&driver, sets->of[i], sets->num);

		if (err) {
			close_esp(sets, i);
			return err;
		}
		err = queue_attach(e, &e->esp_port, i, driver);
		if (err) {
			close_esp(sets, i + 1);
			return err;
		}
		e->has_esp_port = true;
	}
	return ERR_OK;
}

/* esp_port - the port for bare ESP. A host that has no raw sockets for us is served with UDP; one
 * that cannot have each packet come to one of several has them all come to the first worker. */
static enum err esp_port(struct engine *e)
{
	struct esp_sets sets;
	enum err err = open_esp(e, &sets, e->num_workers);

	if (err && e->num_workers > 1)
		err = open_esp(e, &sets, 1);
	if (!err && sets.num_workers < e->num_workers)
		LOG(DEBUG, KNL, NULL, "bare ESP does not arrive at its own worker");
	if (!err)
		err = attach_esp(e, &sets);
	if (!err || e->has_esp_port)
		return err;
	LOG(WARN, KNL, NULL, "no raw sockets for ESP (%s): ESP is carried in UDP only",
	    err == ERR_SYS ? strerror(errno) : err_text(err));
	return ERR_OK;
}

enum err sockets_open(struct engine *e)
{
	enum err err = udp_port(e);

	return err ? err : esp_port(e);
}
