/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/tunnel.h"

struct ts tunnel_ts(uint32_t address, uint8_t len)
{
	struct ip_prefix p = {.len = len};
	uint8_t bytes[4];

	store_be32(bytes, address);
	p.addr = ip_addr_v4(bytes);
	return ts_from_prefix(&p);
}

static enum err add_pair(struct dataplane *dp, struct child_params *c)
{
	const struct auth_proof_params who = {.method = AUTH_METHOD_PSK};
	struct auth_proof *own = c->proof ? NULL : auth_proof_new(&who);
	enum err e = ERR_NOMEM;

	if (own)
		c->proof = own;
	if (c->proof)
		e = dataplane_child_add(dp, c);
	if (own)
		c->proof = NULL;
	auth_proof_put(own);
	return e;
}

enum err tunnel_add(struct dataplane *dp, uint32_t *out_policy, struct child_params *c)
{
	struct policy_params policy = {
		.layer = POLICY_CONFIG,
		.action = POLICY_PROTECT,
		.priority = 100,
		.owner = c->id,
		.local = c->local,
		.remote = c->remote,
		.num_local = c->num_local,
		.num_remote = c->num_remote,
	};
	uint32_t id;
	enum err e = dataplane_group_add(dp, &c->group);

	if (e != ERR_OK)
		return e;
	policy.group = c->group;
	e = dataplane_policy_add(dp, &id, &policy);
	if (e != ERR_OK)
		return e;
	if (out_policy)
		*out_policy = id;
	return add_pair(dp, c);
}
