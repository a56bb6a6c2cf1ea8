/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual interfaces of connections' own (interface = NAME): there with the connection, up or down,
 * so that the operator's routes into one stand, and what they lead there is protected or dropped.
 * One goes when no connection names it any more and the last policy of its traffic is gone. Routing
 * is the operator's: nothing is put into table 4301 for it.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "api/engine/internal.h"
#include "base/alloc.h"
#include "drivers/tap.h"

#define HOST(e, op, ...) ((e)->host.ops->op((e)->host.ctx, __VA_ARGS__))

struct vif *vif_find(struct engine *e, const char *name)
{
	list_for_each (n, &e->vifs) {
		struct vif *v = list_entry(n, struct vif, node);

		if (strcmp(v->name, name) == 0)
			return v;
	}
	return NULL;
}

bool vif_is_own(const struct engine *e, const struct conf_conn *conn)
{
	return conn && conn->interface[0] && strcmp(conn->interface, e->daemon.interface) != 0;
}

/* vif_has_port - the port is one of these, which are waited for by themselves. */
bool vif_has_port(const struct engine *e, uint16_t port)
{
	list_for_each (n, &e->vifs) {
		const struct vif *v = list_entry(n, struct vif, node);

		if (v->scope && v->port == port)
			return true;
	}
	return false;
}

static struct vif *vif_new(struct engine *e, const char *name)
{
	struct vif *v = mem_alloc(sizeof(*v));

	if (!v)
		return NULL;
	snprintf(v->name, sizeof(v->name), "%s", name);
	v->engine = e;
	list_push_back(&e->vifs, &v->node);
	return v;
}

static void vif_forget(struct engine *e, struct vif *v)
{
	if (v->lift.fire)
		timer_cancel(&e->timers, &v->lift);
	list_remove(&v->node);
	mem_free(v);
}

/* attach - the driver as a port with traffic of its own; polled, it wakes us. */
static enum err attach(struct engine *e, struct vif *v, struct driver *driver)
{
	enum err err = dataplane_vif_add(e->dp, &v->scope, &v->port, driver);

	if (err) {
		device_close_port(driver);
		return err;
	}
	e->guard_dirty = true;
	v->source.fd = e->polled ? dataplane_port_fd(e->dp, v->port, 0) : -1;
	return v->source.fd < 0 ? ERR_OK : loop_watch(e, &v->source);
}

static void vif_close(struct engine *e, struct vif *v)
{
	if (v->scope && v->source.fd >= 0)
		loop_unwatch(e, &v->source);
	if (v->scope && dataplane_vif_remove(e->dp, v->scope))
		LOG(ERROR, KNL, NULL, "%s: the data path cannot go on without it", v->name);
	if (v->made && !e->leave_host && HOST(e, token_del, v->name))
		LOG(WARN, KNL, NULL, "the rules for marks of %s could not be removed", v->name);
	if (v->made && !e->leave_host && HOST(e, link_del, v->name))
		LOG(WARN, KNL, NULL, "%s could not be removed", v->name);
	e->guard_dirty = true;
	vif_forget(e, v);
}

enum err vif_attach(struct engine *e, const char *name, struct driver *driver)
{
	struct vif *v = vif_new(e, name);
	enum err err;

	if (!v) {
		device_close_port(driver);
		return ERR_NOMEM;
	}
	v->foreign = true;
	err = attach(e, v, driver);
	if (err)
		vif_close(e, v);
	return err;
}

bool engine_has_vif(struct engine *e, const char *name)
{
	return vif_find(e, name) != NULL;
}

enum err engine_vif_add(struct engine *e, const char *name, struct driver *driver)
{
	const struct log_sink *before = log_use(&e->sink);
	enum err err = ERR_EXISTS;

	if (vif_find(e, name))
		device_close_port(driver);
	else
		err = vif_attach(e, name, driver);
	if (!err)
		policy_configure(e); /* connections may have waited for it */
	engine_turn(e);
	log_use(before);
	return err;
}

enum err engine_vif_remove(struct engine *e, const char *name)
{
	const struct log_sink *before = log_use(&e->sink);
	struct vif *v = vif_find(e, name);
	enum err err = !v || !v->foreign ? ERR_NOT_FOUND : v->num_groups ? ERR_BUSY : ERR_OK;

	if (!err)
		vif_close(e, v);
	engine_turn(e);
	log_use(before);
	return err;
}

/* ---- devices that we make -------------------------------------------------------------------- */

static enum err set_up(struct engine *e, const struct vif *v, const struct conf_conn *conn)
{
	enum err err = HOST(e, link_set, v->name, e->mtu, NULL);

	for (uint32_t i = 0; !err && i < conn->num_interface_addrs; i++)
		err = HOST(e, addr_add, v->name, &conn->interface_addrs[i]);
	return err;
}

static enum err make(struct engine *e, struct vif *v, const struct conf_conn *conn)
{
	struct driver *driver;
	struct host_tap tap;
	uint32_t num;
	enum err err;

	err = device_tap_open(e, &tap, &num, v->name, 1);
	if (err)
		return err;
	v->made = true;
	err = set_up(e, v, conn);
	if (!err)
		err = tap_driver_open(&driver, &tap, e->mtu);
	if (err) {
		close(tap.fd);
		return err;
	}
	v->marks = device_tokens(e, v->name, tap.tun) && e->has_marks;
	vif_class_open(e, v);
	return attach(e, v, driver);
}

static void open_for(struct engine *e, const struct conf_conn *conn)
{
	struct vif *v = vif_find(e, conn->interface);
	enum err err;

	if (v) {
		v->wanted = true;
		if (v->made && set_up(e, v, conn))
			LOG(WARN, KNL, conn->name, "%s: an address cannot be set", v->name);
		return;
	}
	if (!e->has_device) {
		LOG(ERROR, CFG, conn->name,
		    "interface = %s: no driver of this name is attached; the connection cannot "
		    "carry anything",
		    conn->interface);
		return;
	}
	v = vif_new(e, conn->interface);
	err = v ? make(e, v, conn) : ERR_NOMEM;
	if (!err) {
		v->wanted = true;
		LOG(INFO, KNL, conn->name, "interface %s", v->name);
		return;
	}
	LOG(ERROR, KNL, conn->name, "the interface %s cannot be made: %s", conn->interface,
	    err == ERR_SYS ? strerror(errno) : err_text(err));
	if (v)
		vif_close(e, v);
}

void vif_configure(struct engine *e)
{
	list_for_each (n, &e->vifs)
		list_entry(n, struct vif, node)->wanted = false;
	for (uint32_t i = 0; i < e->conf->num_conns; i++)
		if (vif_is_own(e, e->conf->conns[i]))
			open_for(e, e->conf->conns[i]);
}

void vif_settle(struct engine *e)
{
	list_for_each_safe (n, &e->vifs) {
		struct vif *v = list_entry(n, struct vif, node);

		if (!v->wanted && !v->foreign && v->num_groups == 0 && !vif_class_busy(e, v))
			vif_close(e, v);
	}
}

void vif_fit_mtu(struct engine *e)
{
	list_for_each (n, &e->vifs) {
		const struct vif *v = list_entry(n, struct vif, node);

		if (v->made && HOST(e, link_set, v->name, e->mtu, NULL))
			LOG(WARN, KNL, NULL, "the MTU of %s cannot be set", v->name);
	}
}

enum err vif_guard(struct engine *e)
{
	const char *names[VIFS_MAX];
	size_t num = 0;

	list_for_each (n, &e->vifs) {
		const struct vif *v = list_entry(n, struct vif, node);

		if (v->made && num < ARRAY_LEN(names))
			names[num++] = v->name;
	}
	return HOST(e, guard_devices, names, num);
}

void vif_fini(struct engine *e)
{
	list_for_each_safe (n, &e->vifs)
		vif_close(e, list_entry(n, struct vif, node));
}
