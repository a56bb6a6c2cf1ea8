/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard.c - nothing that policy protects enters or leaves in the clear (S58), held by the kernel's
 * packet filter, so that it holds when this process is dead.
 */
#include "api/host/linux.h"

#include <errno.h>
#include <stdio.h>

#include <nftables/libnftables.h>

#include "api/host/guard_script.h"
#include "base/log.h"

/* run - one nft transaction. what: for the log. */
static enum err run(struct host_linux *h, const struct text *script, const char *what)
{
	const char *text;

	if (script->err)
		return script->err;
	if (nft_run_cmd_from_buffer(h->nft, script->s) == 0)
		return ERR_OK;
	text = nft_ctx_get_error_buffer(h->nft);
	LOG(ERROR, KNL, NULL, "guard: %s: %.300s", what, text ? text : "");
	if (text && strstr(text, "Operation not permitted")) {
		errno = EPERM;
		return ERR_PERM;
	}
	if (text && strstr(text, "not supported")) {
		errno = EOPNOTSUPP;
		return ERR_UNSUPPORTED;
	}
	errno = EIO;
	return ERR_SYS;
}

/* live - which half is in use, 'a' or 'b'; 0 if there is no guard. Asked of the host, since an
 * earlier process may have left it. */
static char live(struct host_linux *h, const char *device)
{
	char command[64];
	const char *text, *jump;

	snprintf(command, sizeof(command), "list chain inet latchkey-%s leave", device);
	/* The complaint that there is none stays in the buffer, unread. */
	if (nft_run_cmd_from_buffer(h->nft, command))
		return 0;
	text = nft_ctx_get_output_buffer(h->nft);
	jump = text ? strstr(text, "jump out_") : NULL;
	return jump ? jump[strlen("jump out_")] : 0;
}

/* knows_sockets - the kernel can tell whose socket a packet is for. It is asked once, by a
 * transaction of which nothing stays. */
static bool knows_sockets(struct host_linux *h)
{
	static const char script[] =
		"add table inet latchkey_asks\n"
		"add chain inet latchkey_asks c { type filter hook input priority 0; }\n"
		"add rule inet latchkey_asks c " GUARD_OF_SOCKET " accept\n"
		"delete table inet latchkey_asks\n";

	if (!h->asked_sockets) {
		h->asked_sockets = true;
		h->knows_sockets = nft_run_cmd_from_buffer(h->nft, script) == 0;
		if (!h->knows_sockets)
			LOG(WARN, KNL, NULL,
			    "guard: no nft_socket in the kernel: what is fetched from servers "
			    "whose traffic policies protect does not arrive");
	}
	return h->knows_sockets;
}

static enum err replace(struct host_linux *h, const struct guard_spec *spec)
{
	struct text build = {0}, change = {0}, clear = {0};
	char old = live(h, spec->device);
	char new = old == 'a' ? 'b' : 'a';
	enum err err;

	guard_script_build(&build, spec, new);
	guard_script_switch(&change, spec, new);
	guard_script_clear(&clear, spec->device, new == 'a' ? 'b' : 'a');
	err = run(h, &build, "building it");
	if (!err)
		err = run(h, &change, "switching it over");
	if (!err)
		err = run(h, &clear, "clearing the old one away");
	text_fini(&build);
	text_fini(&change);
	text_fini(&clear);
	return err;
}

enum err host_guard_devices(void *ctx, const char *const *names, size_t num)
{
	struct host_linux *h = ctx;

	if (num > HOST_DEVICES_MAX)
		return ERR_LIMIT;
	for (size_t i = 0; i < num; i++) {
		if (!host_name_ok(names[i])) {
			errno = EINVAL;
			return ERR_INVAL;
		}
	}
	for (size_t i = 0; i < num; i++)
		snprintf(h->devices[i], sizeof(h->devices[i]), "%s", names[i]);
	h->num_devices = num;
	return ERR_OK;
}

enum err host_guard_set(void *ctx, const char *ifname, const struct guard_entry *entries,
			size_t num_entries)
{
	static const uint16_t default_ports[] = {500, 4500};
	struct host_linux *h = ctx;
	struct guard_plan all = {0}, captured = {0}, holes = {0};
	struct guard_spec spec = {
		.device = ifname,
		.ports = h->num_ports ? h->ports : default_ports,
		.num_ports = h->num_ports ? h->num_ports : ARRAY_LEN(default_ports),
		.sockets = knows_sockets(h),
		.devices = h->devices,
		.num_devices = h->num_devices,
		.all = &all,
		.captured = &captured,
		.holes = &holes,
	};
	enum err err;

	if (!host_name_ok(ifname)) {
		errno = EINVAL;
		return ERR_INVAL;
	}
	err = guard_plan_make(&all, entries, num_entries, false);
	if (!err)
		err = guard_plan_make(&captured, entries, num_entries, true);
	if (!err)
		err = guard_plan_holes(&holes, entries, num_entries);
	if (!err)
		err = replace(h, &spec);
	if (!err)
		snprintf(h->device, sizeof(h->device), "%s", ifname);
	guard_plan_fini(&all);
	guard_plan_fini(&captured);
	guard_plan_fini(&holes);
	return err;
}

enum err host_guard_del(void *ctx)
{
	struct host_linux *h = ctx;
	struct text script = {0};
	enum err err;

	/* No operation named a device: there is nothing of ours to remove. */
	if (!h->device[0])
		return ERR_OK;
	text_add(&script, "add table inet latchkey-%s\ndelete table inet latchkey-%s\n", h->device,
		 h->device);
	err = run(h, &script, "removing it");
	text_fini(&script);
	return err;
}
