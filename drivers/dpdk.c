/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/dpdk.h"

#include <ctype.h>
#include <dlfcn.h>
#include <stdio.h>

#include "base/alloc.h"

#ifndef LATCHKEY_MODULE_DIR
#define LATCHKEY_MODULE_DIR "/usr/lib/latchkey"
#endif

#define MODULE_FILE LATCHKEY_MODULE_DIR "/latchkey-dpdk.so"

struct dpdk {
	struct driver_services services;
	const struct dpdk_module *module;
};

enum err dpdk_load(struct dpdk **out, const char *path, void (*log)(bool error, const char *line),
		   char *text)
{
	union {
		void *object;
		dpdk_module_fn *fn;
	} symbol;
	struct dpdk *d;
	void *handle = dlopen(path ? path : MODULE_FILE, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

	if (!handle) {
		snprintf(text, DPDK_TEXT_MAX, "DPDK's module cannot be loaded: %s", dlerror());
		return ERR_NOT_FOUND;
	}
	symbol.object = dlsym(handle, DPDK_MODULE_SYMBOL);
	if (!symbol.object) {
		snprintf(text, DPDK_TEXT_MAX, "%s is no module of Latchkey's",
			 path ? path : MODULE_FILE);
		return ERR_UNSUPPORTED;
	}
	d = mem_alloc(sizeof(*d));
	if (!d)
		return ERR_NOMEM;
	d->services = (struct driver_services){.abi = DPDK_MODULE_ABI, .log = log};
	d->module = symbol.fn(&d->services);
	if (!d->module || d->module->abi != DPDK_MODULE_ABI) {
		snprintf(text, DPDK_TEXT_MAX, "%s belongs to another version of Latchkey",
			 path ? path : MODULE_FILE);
		mem_free(d);
		return ERR_UNSUPPORTED;
	}
	*out = d;
	return ERR_OK;
}

void dpdk_unload(struct dpdk *d)
{
	if (!d)
		return;
	d->module->stop();
	mem_free(d);
}

const struct dpdk_module *dpdk_module(const struct dpdk *d)
{
	return d->module;
}

/* hex - digits of a PCI address, and what follows them. */
static const char *hex(const char *s, int digits, char end)
{
	for (; s && digits; digits--, s++)
		if (!isxdigit((unsigned char)*s))
			return NULL;
	return s && *s == end ? s + 1 : NULL;
}

bool dpdk_is_pci(const char *device)
{
	const char *s = hex(device, 4, ':');

	s = hex(hex(s ? s : device, 2, ':'), 2, '.');
	return s && hex(s, 1, '\0');
}
