/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/proof.h"

#include "base/alloc.h"

struct auth_proof {
	uint32_t num_refs; /* atomic */
	struct auth_proof_params params;
};

struct auth_proof *auth_proof_new(const struct auth_proof_params *params)
{
	struct auth_proof *p;

	if (params->local.len > sizeof(params->local.data) ||
	    params->peer.len > sizeof(params->peer.data))
		return NULL;
	p = mem_alloc(sizeof(*p));
	if (!p)
		return NULL;
	p->num_refs = 1;
	p->params = *params;
	return p;
}

struct auth_proof *auth_proof_get(struct auth_proof *p)
{
	__atomic_fetch_add(&p->num_refs, 1, __ATOMIC_RELAXED);
	return p;
}

void auth_proof_put(struct auth_proof *p)
{
	/* Release, so that uses by other holders come before; acquire, so that freeing comes after.
	 */
	if (p && __atomic_fetch_sub(&p->num_refs, 1, __ATOMIC_ACQ_REL) == 1)
		mem_free(p);
}

const struct auth_proof_params *auth_proof_params(const struct auth_proof *p)
{
	return &p->params;
}
