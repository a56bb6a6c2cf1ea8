/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/dpdk/crypto.h"
#include "drivers/dpdk/inline.h"
#include "drivers/dpdk/internal.h"

static const struct dpdk_module module = {
	.abi = DPDK_MODULE_ABI,
	.start = eal_start,
	.stop = eal_stop,
	.queues = port_queues,
	.open = port_open,
	.steer = port_steer,
	.info = port_info,
	.is_up = port_is_up,
	.set_mtu = port_set_mtu,
	.crypto_open = crypto_open,
	.inline_open = inline_open,
};

API_PUBLIC dpdk_module_fn latchkey_driver;

const struct dpdk_module *latchkey_driver(const struct driver_services *services)
{
	if (!services || services->abi != DPDK_MODULE_ABI)
		return NULL;
	dpdk_services = services;
	return &module;
}
