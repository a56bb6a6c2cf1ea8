/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/embed/internal.h"
#include "base/alloc.h"
#include "dataplane/driver.h"
#include "drivers/memory.h"
#include "drivers/raw.h"
#include "drivers/tap.h"
#include "drivers/udp.h"

#define SOCKETS_MAX 8

static bool has_port(const struct ipsec_engine *e, const char *name)
{
	if (e->core)
		return engine_has_vif(e->core, name);
	for (uint32_t i = 0; i < e->num_ports; i++)
		if (strcmp(e->names[i], name) == 0)
			return true;
	return false;
}

/* embed_vif_ok - an interface's name, and no other port has it; else errno says why. */
bool embed_vif_ok(const struct ipsec_engine *e, const char *name)
{
	errno = EINVAL;
	if (!name || !name[0] || strlen(name) >= sizeof(e->names[0]))
		return false;
	errno = EEXIST;
	return !has_port(e, name);
}

/* embed_may_attach - now, and under this name or none; else errno says why not. */
bool embed_may_attach(const struct ipsec_engine *e, const char *name)
{
	errno = e->begun ? EBUSY : ENOSPC;
	return !e->begun && e->num_ports < PORTS_MAX && (!name || embed_vif_ok(e, name));
}

static bool may_attach_outer(const struct ipsec_engine *e, bool bare)
{
	if (!embed_may_attach(e, NULL))
		return false;
	errno = EEXIST;
	return bare ? !e->has_bare : !e->has_outer;
}

static enum err refuse(struct driver *d, enum err err)
{
	d->ops->close(d);
	return err;
}

/* embed_take - the driver is the engine's from now on, also on failure. A running engine takes
 * those with a name alone. */
enum err embed_take(struct ipsec_engine *e, struct driver *d, bool bare, const char *name)
{
	char *kept;

	if (e->core)
		return name ? engine_vif_add(e->core, name, d) : refuse(d, ERR_INVAL);
	if (e->num_ports == PORTS_MAX)
		return refuse(d, ERR_FULL);
	kept = e->names[e->num_ports];
	if (name)
		snprintf(kept, sizeof(e->names[0]), "%s", name);
	e->has_bare |= bare;
	e->has_outer |= !bare && d->role == PORT_OUTER;
	e->ports[e->num_ports++] = (struct engine_port){.driver = d, .bare = bare, .name = kept};
	return ERR_OK;
}

void embed_drop_ports(struct ipsec_engine *e)
{
	for (uint32_t i = 0; i < e->num_ports; i++)
		e->ports[i].driver->ops->close(e->ports[i].driver);
	e->num_ports = 0;
}

/* attach_opened - what was opened, if it was. */
static int attach_opened(struct ipsec_engine *e, enum err err, struct driver *const *d, bool bare,
			 const char *name)
{
	return embed_fail(err ? err : embed_take(e, *d, bare, name));
}

static bool set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

/* prepare - each datagram is to come with its addresses, and may be cut by routers. */
static bool prepare(int fd)
{
	struct sockaddr_storage ss = {0};
	socklen_t len = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &len))
		return false;
	if (ss.ss_family == AF_INET)
		return set_int(fd, IPPROTO_IP, IP_PKTINFO, 1) &&
		       set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT);
	return ss.ss_family == AF_INET6 && set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) &&
	       set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
}

static enum err open_udp(struct driver **out, const struct ipsec_socket *sockets, size_t num)
{
	struct udp_socket ours[SOCKETS_MAX];

	static_assert(SOCKETS_MAX == UDP_SOCKETS_MAX, "as documented");
	if (num == 0 || num > SOCKETS_MAX)
		return ERR_INVAL;
	for (size_t i = 0; i < num; i++) {
		if (sockets[i].encap > IPSEC_ENCAP_UDP || !prepare(sockets[i].fd))
			return ERR_INVAL;
		ours[i] = (struct udp_socket){.fd = sockets[i].fd,
					      .encap = (uint8_t)sockets[i].encap};
	}
	return udp_driver_open(out, ours, num);
}

int ipsec_engine_attach_udp(struct ipsec_engine *e, const struct ipsec_socket *sockets, size_t num)
{
	const struct log_sink *before = embed_enter(e);
	struct driver *d = NULL;
	int rc = may_attach_outer(e, false)
			 ? attach_opened(e, open_udp(&d, sockets, num), &d, false, NULL)
			 : -1;

	embed_leave(e, before);
	return rc;
}

static enum err open_raw(struct driver **out, const int *fds, size_t num)
{
	if (num == 0 || num > RAW_SOCKETS_MAX)
		return ERR_INVAL;
	for (size_t i = 0; i < num; i++)
		if (!prepare(fds[i]))
			return ERR_INVAL;
	return raw_driver_open(out, fds, num);
}

int ipsec_engine_attach_raw(struct ipsec_engine *e, const int *fds, size_t num)
{
	const struct log_sink *before = embed_enter(e);
	struct driver *d = NULL;
	int rc = may_attach_outer(e, true)
			 ? attach_opened(e, open_raw(&d, fds, num), &d, true, NULL)
			 : -1;

	embed_leave(e, before);
	return rc;
}

/* open_tap - a device as the program made it: without offloads. */
static enum err open_tap(struct driver **out, int fd, bool tun, uint32_t mtu)
{
	return tap_driver_open(out, &(struct host_tap){.fd = fd, .tun = tun}, mtu);
}

int ipsec_engine_attach_tap(struct ipsec_engine *e, int fd, bool tun, uint32_t mtu,
			    const char *name)
{
	const struct log_sink *before = embed_enter(e);
	struct driver *d = NULL;
	int rc = embed_may_attach(e, name)
			 ? attach_opened(e, open_tap(&d, fd, tun, mtu), &d, false, name)
			 : -1;

	embed_leave(e, before);
	return rc;
}

int ipsec_vif_create_tap(struct ipsec_engine *e, int fd, bool tun, uint32_t mtu, const char *name)
{
	const struct log_sink *before = embed_enter(e);
	struct driver *d = NULL;
	enum err err;
	int rc = -1;

	if (embed_vif_ok(e, name)) {
		err = open_tap(&d, fd, tun, mtu);
		if (err == ERR_NOMEM)
			close(fd); /* ours, as it is where the port comes to nothing */
		rc = attach_opened(e, err, &d, false, name);
	}
	embed_leave(e, before);
	return rc;
}

int ipsec_vif_destroy(struct ipsec_engine *e, const char *name)
{
	const struct log_sink *before = embed_enter(e);
	enum err err = e->core && name ? engine_vif_remove(e->core, name) : ERR_INVAL;

	if (!err)
		ports_free_named(e, name);
	embed_leave(e, before);
	return embed_fail(err);
}

/* open_program - a data path that sleeps has to be woken. */
static enum err open_program(const struct ipsec_engine *e, struct driver **out,
			     const struct ipsec_driver_ops *ops, void *ctx, enum ipsec_role role,
			     uint32_t mtu)
{
	if (e->params.threads && (!ops->fd || ops->fd(ctx) < 0))
		return ERR_INVAL;
	return program_driver_open(out, ops, ctx, role == IPSEC_OUTER ? PORT_OUTER : PORT_INNER,
				   mtu);
}

int ipsec_engine_attach_driver(struct ipsec_engine *e, const struct ipsec_driver_ops *ops,
			       void *ctx, enum ipsec_role role, bool bare, uint32_t mtu,
			       const char *name)
{
	const struct log_sink *before = embed_enter(e);
	struct driver *d = NULL;
	bool fits = role == IPSEC_OUTER ? may_attach_outer(e, bare) : embed_may_attach(e, name);
	int rc = fits ? attach_opened(e, open_program(e, &d, ops, ctx, role, mtu), &d,
				      bare && role == IPSEC_OUTER, name)
		      : -1;

	embed_leave(e, before);
	return rc;
}

/* One engine after the other is locked, never both: no order to keep. */
static bool wire_fits(struct ipsec_engine *e)
{
	const struct log_sink *before = embed_enter(e);
	bool fits = may_attach_outer(e, false);

	embed_leave(e, before);
	return fits;
}

static void wire_end(struct ipsec_engine *e, struct driver *d)
{
	const struct log_sink *before = embed_enter(e);
	enum err err = embed_take(e, d, false, NULL);

	(void)err; /* there was room */
	embed_leave(e, before);
}

int ipsec_engine_attach_wire(struct ipsec_engine *a, struct ipsec_engine *b)
{
	const struct memory_params params = {.role = PORT_OUTER};
	struct driver *ends[2];
	enum err err;

	if (a == b) {
		errno = EINVAL;
		return -1;
	}
	if (!wire_fits(a) || !wire_fits(b))
		return -1;
	err = memory_open_pair(&ends[0], &ends[1], &params);
	if (err)
		return embed_fail(err);
	wire_end(a, ends[0]);
	wire_end(b, ends[1]);
	return 0;
}
