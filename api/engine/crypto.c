/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto.c - the lookaside device of latchkey.dpdk.crypto, given to the data path. The processor
 * does everything that the device does not: whatever fails is told in a sentence, and nothing else
 * fails by it.
 */
#include <stdio.h>

#include "api/engine/internal.h"
#include "drivers/dpdk.h"

#define NAMES_MAX 320

/* names - of the algorithms whose bits are set. */
static const char *names(char out[static NAMES_MAX], uint32_t algs)
{
	size_t len = 0;

	out[0] = '\0';
	for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++) {
		if (algs >> alg & 1 && len < NAMES_MAX)
			len += (size_t)snprintf(out + len, NAMES_MAX - len, "%s%s", len ? ", " : "",
						aead_alg_name(alg));
	}
	return out;
}

/* use - the device is the data path's from now on. */
static void use(struct engine *e, struct aead_device *device, const char *name)
{
	uint32_t algs, failed;
	char list[NAMES_MAX];
	enum err err = dataplane_use_device(e->dp, &algs, &failed, device);

	if (failed)
		LOG(ERROR, ESP, NULL, "%s failed its self-test and is not used for %s", name,
		    names(list, failed));
	if (!err)
		LOG(INFO, ESP, NULL, "%s does %s", name, names(list, algs));
	else
		LOG(ERROR, ESP, NULL, "%s is not used: %s", name,
		    err == ERR_UNSUPPORTED ? "it has none of our algorithms" : err_text(err));
}

void crypto_open(struct engine *e)
{
	const struct conf_dpdk *d = &e->daemon.dpdk;
	const struct dpdk_crypto_params params = {
		.device = d->crypto,
		.num_queues = e->num_workers + 1,
		.num_sessions = conf_crypto_sessions(d),
	};
	char text[DPDK_TEXT_MAX] = "";
	struct aead_device *device;
	struct dpdk *dpdk;
	enum err err;

	if (!d->crypto[0])
		return;
	err = gateway_dpdk(e, &dpdk);
	if (err)
		return; /* it was told why */
	err = dpdk_module(dpdk)->crypto_open(&device, &params, text);
	if (err)
		LOG(ERROR, ESP, NULL, "%s; the processor does its work",
		    text[0] ? text : err_text(err));
	else
		use(e, device, d->crypto);
}

void crypto_lost(struct engine *e)
{
	LOG(ERROR, ESP, NULL, "%s does not answer and is not used any more: the processor goes on",
	    e->daemon.dpdk.crypto);
}
