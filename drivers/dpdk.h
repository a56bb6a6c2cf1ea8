/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dpdk.h - loads the DPDK back end when it is wanted (drivers/dpdk/): a program that does not want
 * it needs none of DPDK's libraries. Control thread.
 */
#pragma once

#include "drivers/dpdk/module.h"

/* struct dpdk - the module, loaded. */
struct dpdk;

/* dpdk_load - `path` NULL: where it was installed. log may be NULL; it is called by any thread.
 * text, DPDK_TEXT_MAX bytes, says why not. Errors: NOT_FOUND (it cannot be loaded), UNSUPPORTED (it
 * is of another version), NOMEM. */
MUST_USE enum err dpdk_load(struct dpdk **out, const char *path,
			    void (*log)(bool error, const char *line), char *text) NONNULL(1, 4);

/* dpdk_unload - DPDK is stopped, its ports being closed. The code stays in memory, since DPDK's
 * libraries cannot be taken out. NULL is accepted. */
void dpdk_unload(struct dpdk *d);

/* dpdk_module - its functions. */
const struct dpdk_module *dpdk_module(const struct dpdk *d) NONNULL(1);

/* dpdk_is_pci - the device is a PCI address: 0000:01:00.0, or 01:00.0. */
bool dpdk_is_pci(const char *device) NONNULL(1);
