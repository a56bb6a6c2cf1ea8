/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/proof.h"

#include "base/alloc.h"

struct auth_proof {
	uint32_t num_refs; /* atomic */
	struct auth_proof_params params;
	uint8_t data[]; /* what the views of params see */
};

/* Append a view's bytes at *at and let the view see the copy. */
static void copy(struct bytes *view, uint8_t **at)
{
	if (view->len)
		memcpy(*at, view->p, view->len);
	view->p = *at;
	*at += view->len;
}

const char *auth_method_name(enum auth_method method)
{
	static const char *const names[AUTH_NUM_METHODS] = {
		[AUTH_METHOD_NONE] = "none",
		[AUTH_METHOD_PSK] = "psk",
		[AUTH_METHOD_GROUP_PSK] = "group-psk",
		[AUTH_METHOD_PKIX_TRUSTED] = "pkix-trusted",
		[AUTH_METHOD_PKIX_INLINE] = "pkix-inline",
		[AUTH_METHOD_PUBKEY] = "pubkey",
		[AUTH_METHOD_BTNS] = "btns",
		[AUTH_METHOD_LEAPOFFAITH] = "leap-of-faith",
		[AUTH_METHOD_EAP] = "eap",
		[AUTH_METHOD_PKIX_OFFLINE] = "pkix-offline",
	};

	return (size_t)method < ARRAY_LEN(names) ? names[method] : "unknown";
}

struct auth_proof *auth_proof_new(const struct auth_proof_params *params)
{
	struct auth_proof *p;
	uint8_t *at;

	if (params->local.len > sizeof(params->local.data) ||
	    params->peer.len > sizeof(params->peer.data))
		return NULL;
	p = mem_alloc(sizeof(*p) + params->local_key.len + params->peer_key.len + params->ca.len +
		      params->subject.len);
	if (!p)
		return NULL;
	p->num_refs = 1;
	p->params = *params;
	at = p->data;
	copy(&p->params.local_key, &at);
	copy(&p->params.peer_key, &at);
	copy(&p->params.ca, &at);
	copy(&p->params.subject, &at);
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
