/* SPDX-License-Identifier: Apache-2.0 */
/* dpdk.c - the section latchkey.dpdk. */
#include "control/conf/check.h"
#include "control/conf/values.h"

#include <stdio.h>

#define MTU_MIN 1280 /* IPv6 has no less (RFC 8200 5) */
#define MTU_MAX 9000
/* More memory is a fault of writing. */
#define MEMORY_MIN_MB 64
#define MEMORY_MAX_MB 1048576
#define PACKETS_MIN   1024
#define PACKETS_MAX   4194304
#define IDLE_MAX_US   1000000
#define SESSIONS_MIN  256 /* the self-test's, and some more */
#define SESSIONS_MAX  1048576

static void take_between(struct check *c, uint32_t *out, const struct tree *node, uint32_t min,
			 uint32_t max)
{
	uint64_t v;

	if (!take_number(c, &v, node, max))
		return;
	if (v < min)
		CHECK_ERROR(c, node, "%llu is less than %u", (unsigned long long)v, min);
	else
		*out = (uint32_t)v;
}

static void take_copy(struct check *c, char out[static CONF_DEVICE_MAX], const struct tree *node)
{
	const char *text;

	if (!take_text(c, &text, node))
		return;
	if (strlen(text) >= CONF_DEVICE_MAX)
		CHECK_ERROR(c, node, "more than %d characters", CONF_DEVICE_MAX - 1);
	else
		snprintf(out, CONF_DEVICE_MAX, "%s", text);
}

enum err set_dpdk_module(struct check *c, void *obj, const struct tree *node)
{
	take_copy(c, ((struct conf_dpdk *)obj)->module, node);
	return ERR_OK;
}

/* take_not - *out is true where it says no. */
static enum err take_not(struct check *c, bool *out, const struct tree *node)
{
	bool yes;

	if (take_bool(c, &yes, node))
		*out = !yes;
	return ERR_OK;
}

enum err set_dpdk_huge(struct check *c, void *obj, const struct tree *node)
{
	return take_not(c, &((struct conf_dpdk *)obj)->no_huge, node);
}

enum err set_dpdk_memory(struct check *c, void *obj, const struct tree *node)
{
	take_between(c, &((struct conf_dpdk *)obj)->memory_mb, node, MEMORY_MIN_MB, MEMORY_MAX_MB);
	return ERR_OK;
}

enum err set_dpdk_packets(struct check *c, void *obj, const struct tree *node)
{
	take_between(c, &((struct conf_dpdk *)obj)->num_packets, node, PACKETS_MIN, PACKETS_MAX);
	return ERR_OK;
}

enum err set_dpdk_idle(struct check *c, void *obj, const struct tree *node)
{
	take_between(c, &((struct conf_dpdk *)obj)->idle_us, node, 0, IDLE_MAX_US);
	return ERR_OK;
}

enum err set_dpdk_crypto(struct check *c, void *obj, const struct tree *node)
{
	take_copy(c, ((struct conf_dpdk *)obj)->crypto, node);
	return ERR_OK;
}

enum err set_dpdk_crypto_sessions(struct check *c, void *obj, const struct tree *node)
{
	take_between(c, &((struct conf_dpdk *)obj)->crypto_sessions, node, SESSIONS_MIN,
		     SESSIONS_MAX);
	return ERR_OK;
}

/* ---- ports ---------------------------------------------------------------------------------- */

enum err set_dpdk_device(struct check *c, void *obj, const struct tree *node)
{
	take_copy(c, ((struct conf_dpdk_port *)obj)->device, node);
	return ERR_OK;
}

enum err set_dpdk_mtu(struct check *c, void *obj, const struct tree *node)
{
	take_between(c, &((struct conf_dpdk_port *)obj)->mtu, node, MTU_MIN, MTU_MAX);
	return ERR_OK;
}

enum err set_dpdk_tx_checksum(struct check *c, void *obj, const struct tree *node)
{
	return take_not(c, &((struct conf_dpdk_port *)obj)->no_tx_checksum, node);
}

enum err set_dpdk_rx_checksum(struct check *c, void *obj, const struct tree *node)
{
	return take_not(c, &((struct conf_dpdk_port *)obj)->no_rx_checksum, node);
}

enum err set_dpdk_tso(struct check *c, void *obj, const struct tree *node)
{
	return take_not(c, &((struct conf_dpdk_port *)obj)->no_tso, node);
}

enum err set_dpdk_inline_ipsec(struct check *c, void *obj, const struct tree *node)
{
	take_bool(c, &((struct conf_dpdk_port *)obj)->inline_ipsec, node);
	return ERR_OK;
}

static enum err add_port(struct check *c, struct conf_dpdk *d, const struct tree *section)
{
	struct conf_dpdk_port port = {0};
	enum err e;

	if (section->kind != TREE_SECTION) {
		CHECK_ERROR(c, section, "is a section: { ... } was expected");
		return ERR_OK;
	}
	if (!conf_is_interface_name(section->name))
		CHECK_ERROR(c, section, "'%.40s' is not an interface's name", section->name);
	else
		snprintf(port.name, sizeof(port.name), "%s", section->name);
	e = check_section(c, SCOPE_DPDK_PORT, &port, section);
	if (e)
		return e;
	if (!port.device[0])
		CHECK_ERROR(c, section, "names no device");
	for (uint32_t i = 0; i < d->num_ports; i++)
		if (strcmp(d->ports[i].device, port.device) == 0)
			CHECK_ERROR(c, section, "its device is that of '%s' too", d->ports[i].name);
	d->ports[d->num_ports++] = port;
	return ERR_OK;
}

enum err set_dpdk_ports(struct check *c, void *obj, const struct tree *node)
{
	struct conf_dpdk *d = obj;

	tree_for_each (section, node) {
		size_t mark = check_enter(c, section->name);
		enum err e = ERR_OK;

		if (d->num_ports < CONF_MAX_DPDK_PORTS)
			e = add_port(c, d, section);
		else
			CHECK_ERROR(c, section, "more than %d ports", CONF_MAX_DPDK_PORTS);
		check_leave(c, mark);
		if (e)
			return e;
	}
	return ERR_OK;
}

/* check_together - ports encrypt, or a device does. */
static void check_together(struct check *c, const struct conf_dpdk *d, const struct tree *node)
{
	for (uint32_t i = 0; d->crypto[0] && i < d->num_ports; i++)
		if (d->ports[i].inline_ipsec)
			CHECK_ERROR(c, node, "has 'crypto', and inline_ipsec of the port '%s'",
				    d->ports[i].name);
}

enum err set_dpdk(struct check *c, void *obj, const struct tree *node)
{
	struct conf_dpdk *d = &((struct conf_daemon *)obj)->dpdk;
	enum err e = check_section(c, SCOPE_DPDK, d, node);

	if (!e)
		check_together(c, d, node);
	return e;
}
