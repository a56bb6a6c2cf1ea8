/* SPDX-License-Identifier: Apache-2.0 */
/* A lookaside device of DPDK's beside the back ends: bench/esp --device. Each data path has one of
 * its own, and so has the cipher alone. */
#include "bench/esp.h"

#include "dataplane/dataplane.h"
#include "drivers/dpdk.h"

#define NUM_SESSIONS 1024
#define MEMORY_MB    256
#define NAME_LEN     64

static struct dpdk *dpdk;

static bool start(const struct bench_options *o)
{
	const struct dpdk_params params = {
		.memory_mb = MEMORY_MB, .num_packets = 1023, .packet_room = 2048};
	char text[DPDK_TEXT_MAX] = "";

	if (dpdk)
		return true;
	if (dpdk_load(&dpdk, o->module, NULL, text) || dpdk_module(dpdk)->start(&params, text)) {
		fprintf(stderr, "esp: %s\n", text);
		return false;
	}
	return true;
}

struct aead_device *bench_device_new(const struct bench_options *o)
{
	static char names[BENCH_DEVICES_MAX][NAME_LEN];
	static unsigned num;
	const struct dpdk_crypto_params params = {
		.device = names[num], .num_queues = 2, .num_sessions = NUM_SESSIONS};
	char text[DPDK_TEXT_MAX] = "";
	struct aead_device *d;

	if (!start(o) || num == BENCH_DEVICES_MAX)
		return NULL;
	snprintf(names[num], NAME_LEN, "%s%u", o->device, num);
	if (dpdk_module(dpdk)->crypto_open(&d, &params, text)) {
		fprintf(stderr, "esp: %s\n", text);
		return NULL;
	}
	num++;
	return d;
}

void bench_device_end(void)
{
	dpdk_unload(dpdk);
	dpdk = NULL;
}
