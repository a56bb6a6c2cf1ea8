/* SPDX-License-Identifier: Apache-2.0 */
/* The lookaside device of a data path: whether it is used, and for which SAs. Control. */
#include "dataplane/state.h"

#include "base/log.h"
#include "dataplane/lookaside.h"
#include "dataplane/sa.h"

/* judge - the device, algorithm by algorithm. */
static enum err judge(uint32_t *algs, uint32_t *failed, struct aead_device *device)
{
	const struct aead_backend *be = aead_device_backend(device);

	*algs = *failed = 0;
	for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++) {
		enum err e = be->supports(alg) ? aead_self_test(be, alg) : ERR_UNSUPPORTED;

		if (e == ERR_NOMEM)
			return e;
		if (e == ERR_OK)
			*algs |= UINT32_C(1) << alg;
		else if (e != ERR_UNSUPPORTED)
			*failed |= UINT32_C(1) << alg;
	}
	return *algs ? ERR_OK : ERR_UNSUPPORTED;
}
static_assert(AEAD_NUM <= 32, "a bit each");

static enum err equip(struct dataplane *dp, struct aead_device *device)
{
	enum err e = ERR_OK;

	for (uint32_t i = 0; e == ERR_OK && i < dp->num_workers; i++) {
		dp->workers[i]->lookaside = lookaside_new(device);
		e = dp->workers[i]->lookaside ? ERR_OK : ERR_NOMEM;
	}
	for (uint32_t i = 0; e != ERR_OK && i < dp->num_workers; i++) {
		lookaside_free(dp->workers[i]->lookaside);
		dp->workers[i]->lookaside = NULL;
	}
	return e;
}

enum err dataplane_use_device(struct dataplane *dp, uint32_t *out_algs, uint32_t *out_failed,
			      struct aead_device *device)
{
	enum err e = dp->device || dp->ports ? ERR_EXISTS : ERR_OK;

	assert(!dp->running);
	*out_algs = *out_failed = 0;
	if (e == ERR_OK && device->num_queues <= dp->num_workers)
		e = ERR_INVAL;
	if (e == ERR_OK)
		e = judge(out_algs, out_failed, device);
	if (e == ERR_OK)
		e = equip(dp, device);
	if (e != ERR_OK) {
		device->ops->close(device);
		return e;
	}
	dp->device = device;
	dp->device_algs = *out_algs;
	return ERR_OK;
}

void dataplane_device_give(struct dataplane *dp, struct esp_sa *sa,
			   const struct child_params *params, enum child_half dir)
{
	enum err e;

	if (!(dp->device_algs >> params->alg & 1) || aead_device_lost(dp->device))
		return;
	e = esp_sa_use_device(sa, dp->device, params, dir, &dp->rng);
	if (e == ERR_OK || e == ERR_UNSUPPORTED || dp->device_full)
		return;
	dp->device_full = true;
	LOG(WARN, ESP, NULL, "%s takes no more keys (%s): the processor does the rest",
	    dp->device->name, err_text(e));
}

void dataplane_device_close(struct dataplane *dp)
{
	if (dp->device)
		dp->device->ops->close(dp->device);
	dp->device = NULL;
	dp->device_algs = 0;
}
