/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/sa.h"

#include "base/alloc.h"
#include "base/secret.h"
#include "dataplane/crypto/inline.h"
#include "dataplane/ipcomp.h"
#include "dataplane/lookaside.h"
#include "dataplane/path.h"
#include "dataplane/transport.h"

static uint64_t limit(uint64_t v)
{
	return v ? v : UINT64_MAX;
}

uint8_t sa_quality(const struct child_params *params)
{
	return (uint8_t)((aead_alg_has_privacy(params->alg) ? CLASS_Q_PRIVACY : 0) |
			 (aead_alg_has_integrity(params->alg) ? CLASS_Q_INTEGRITY : 0) |
			 (params->replay_window ? CLASS_Q_REPLAY : 0) |
			 (params->mode == SA_TUNNEL ? CLASS_Q_TUNNEL : 0) |
			 (params->ipcomp ? CLASS_Q_COMPRESS : 0));
}

struct sa_conf *sa_conf_new(const struct child_params *params, struct sa_group *group,
			    struct path_set *paths, uint32_t token, uint64_t uid)
{
	size_t num = (size_t)params->num_local + params->num_remote;
	struct sa_conf *c = mem_alloc(sizeof(*c) + num * sizeof(c->ts[0]));

	if (!c)
		return NULL;
	c->uid = uid;
	c->child = params->id;
	c->group = group;
	c->paths = paths;
	c->token = token;
	c->method = (uint8_t)auth_proof_params(params->proof)->method;
	c->quality = sa_quality(params);
	c->mode = params->mode;
	c->scope = params->scope;
	c->mif = params->mif;
	c->ipcomp = params->ipcomp;
	c->copy_dscp = (uint8_t)params->copy_dscp;
	c->copy_df = (uint8_t)params->copy_df;
	c->mss_clamp = params->mss_clamp;
	c->tfc_padding = params->tfc_padding;
	c->dummies = params->dummies;
	c->dummy_len = params->dummy_len;
	c->checksum_fix = params->mode == SA_TRANSPORT ? transport_fix(params) : 0;
	c->lifetime.soft_bytes = limit(params->lifetime.soft_bytes);
	c->lifetime.hard_bytes = limit(params->lifetime.hard_bytes);
	c->lifetime.soft_packets = limit(params->lifetime.soft_packets);
	c->lifetime.hard_packets = limit(params->lifetime.hard_packets);
	c->soft_seq = params->esn ? UINT64_MAX : SA_SOFT_SEQ;
	c->num_local = params->num_local;
	c->num_remote = params->num_remote;
	memcpy(c->ts, params->local, params->num_local * sizeof(c->ts[0]));
	memcpy(c->ts + c->num_local, params->remote, params->num_remote * sizeof(c->ts[0]));
	return c;
}

/* key_new - with a secret for the IVs of what is sent, if they must be unpredictable. AES of the
 * sequence number under it: no state, no system call a packet, and nobody who lacks the secret can
 * tell the next one, which a counter or the last block of the packet before would give away (RFC
 * 3602 3, S53). It is not the SA's own key: no chosen text can then be made to meet a later IV. */
static enum err key_new(struct esp_sa *sa, enum aead_alg alg, const uint8_t *key, bool in,
			const struct rng *rng)
{
	const bool secret_iv = aead_shape(alg)->secret_iv && !in;
	uint8_t iv_key[AEAD_IV_KEY_LEN];
	enum err e = ERR_OK;

	if (secret_iv)
		e = rng_fill(rng, iv_key, sizeof(iv_key));
	if (e == ERR_OK)
		e = sa->aead->key_new(&sa->own_key, alg, key, aead_alg_key_len(alg),
				      secret_iv ? iv_key : NULL);
	secret_wipe(iv_key, sizeof(iv_key));
	return e;
}

/* set_keys - the key material is cipher key || salt, or cipher key || MAC key. */
static enum err set_keys(struct esp_sa *sa, const struct child_params *params, bool in,
			 const struct rng *rng)
{
	const struct bytes material = in ? params->key_in : params->key_out;
	enum err e;

	if (material.len == 0 || material.len != aead_alg_material_len(params->alg))
		return ERR_INVAL;
	e = key_new(sa, params->alg, material.p, in, rng);
	if (e != ERR_OK)
		return e;
	sa->key = sa->own_key;
	if (aead_shape(params->alg)->salt_len)
		memcpy(sa->salt, material.p + aead_alg_key_len(params->alg), AEAD_SALT_LEN);
	return ERR_OK;
}

static void set_shape(struct esp_sa *sa, const struct aead_shape *shape, bool esn)
{
	sa->aad_len = esn ? 12 : 8;
	sa->front_len = (uint8_t)(ESP_HEADER_LEN + shape->iv_len);
	sa->align = shape->align;
	sa->icv_len = shape->icv_len;
}

enum err esp_sa_new(struct esp_sa **out, const struct child_params *params, enum child_half dir,
		    const struct aead_backend *aead, struct sa_conf *conf, uint16_t owner,
		    const struct rng *rng)
{
	bool in = dir == CHILD_IN;
	struct esp_sa *sa = mem_alloc_aligned(CACHE_LINE, sizeof(*sa));
	enum err e;

	if (!sa)
		return ERR_NOMEM;
	sa->aead = aead;
	sa->owner = owner;
	sa->owners_only = !in && params->share == SHARE_OWNER;
	sa->spi = be32_make(in ? params->spi_in : params->spi_out);
	sa->flags = params->esn ? SA_F_ESN : 0;
	set_shape(sa, aead_shape(params->alg), params->esn);
	e = set_keys(sa, params, in, rng);
	if (e == ERR_OK && in) {
		sa->replay = replay_new(params->replay_window);
		if (!sa->replay)
			e = ERR_NOMEM;
	}
	if (e == ERR_OK && params->ipcomp) {
		sa->ipcomp = ipcomp_new(in ? params->cpi_in : params->cpi_out);
		if (!sa->ipcomp)
			e = ERR_NOMEM;
	}
	if (e != ERR_OK) {
		esp_sa_free(sa);
		return e;
	}
	sa->conf = conf;
	*out = sa;
	return ERR_OK;
}

enum err esp_sa_use_device(struct esp_sa *sa, struct aead_device *device,
			   const struct child_params *params, enum child_half dir,
			   const struct rng *rng)
{
	const bool in = dir == CHILD_IN, secret_iv = aead_shape(params->alg)->secret_iv && !in;
	const struct aead_use use = {params->alg, !in, sa->aad_len};
	uint8_t iv_key[AEAD_IV_KEY_LEN];
	struct aead_key *key = NULL;
	enum err e = device->ops->supports(device, &use) ? ERR_OK : ERR_UNSUPPORTED;

	if (e == ERR_OK && secret_iv)
		e = rng_fill(rng, iv_key, sizeof(iv_key));
	if (e == ERR_OK)
		e = device->ops->key_new(device, &key, &use,
					 in ? params->key_in.p : params->key_out.p,
					 secret_iv ? iv_key : NULL);
	secret_wipe(iv_key, sizeof(iv_key));
	if (e != ERR_OK)
		return e;
	sa->spare = sa->aead;
	sa->spare_key = sa->own_key;
	sa->device = device;
	sa->aead = &aead_lookaside;
	sa->key = sa->own_key = key;
	return ERR_OK;
}

enum err esp_sa_use_ports(struct esp_sa *sa, struct inline_ports *ports,
			  const struct child_params *params, enum child_half dir)
{
	const bool in = dir == CHILD_IN;
	const struct path *path = path_first(path_table_of(sa->conf->paths));
	const struct inline_use use = {
		.alg = params->alg,
		.encrypts = !in,
		.tunnel = params->mode == SA_TUNNEL,
		.spi = in ? params->spi_in : params->spi_out,
		.path = path ? &path->addr : NULL,
		.material = in ? params->key_in : params->key_out,
	};
	enum err e;

	/* A port has no place for the high half of a number. */
	if (!path || params->esn)
		return ERR_UNSUPPORTED;
	e = ports->ops->key_new(ports, &sa->port_key, &use);
	if (e == ERR_OK)
		sa->ports = ports;
	return e;
}

static void free_keys(struct esp_sa *sa)
{
	if (sa->ports)
		sa->ports->ops->key_free(sa->ports, sa->port_key);
	if (!sa->device) {
		sa->aead->key_free(sa->own_key);
		return;
	}
	sa->device->ops->key_free(sa->device, sa->own_key);
	sa->spare->key_free(sa->spare_key);
}

static void free_windows(struct replay *r)
{
	while (r) {
		struct replay *older = r->older;

		mem_free_aligned(r);
		r = older;
	}
}

void esp_sa_tie(struct esp_sa *sa, uint16_t path)
{
	struct sa_conf *conf = (void *)(uintptr_t)sa->conf; /* ours; const for its readers */

	__atomic_store_n(&conf->tied, path, __ATOMIC_RELAXED);
}

void esp_sa_free(struct esp_sa *sa)
{
	if (!sa)
		return;
	free_keys(sa);
	free_windows(sa->replay);
	free_windows(sa->replay_next);
	free_windows(sa->replay_old);
	mem_free_aligned(sa->asks);
	mem_free(sa->ipcomp);
	mem_free((void *)(uintptr_t)sa->conf); /* ours since esp_sa_new(); const for its readers */
	secret_wipe(sa, sizeof(*sa));
	mem_free_aligned(sa);
}

static void free_retired(struct rcu_head *head)
{
	esp_sa_free(container_of(head, struct esp_sa, rcu));
}

void esp_sa_retire(struct esp_sa *sa, struct rcu_queue *q)
{
	rcu_defer(q, &sa->rcu, free_retired);
}

enum err esp_sa_grow_window(struct esp_sa *sa, uint32_t window)
{
	struct replay *next = replay_new(window);

	if (!next)
		return ERR_NOMEM;
	/* Acquire pairs with the worker's release: it no longer touches what it gave up. */
	free_windows(__atomic_exchange_n(&sa->replay_old, NULL, __ATOMIC_ACQUIRE));
	/* Release: the worker sees a complete window. What it did not take yet is ours again. */
	free_windows(__atomic_exchange_n(&sa->replay_next, next, __ATOMIC_ACQ_REL));
	return ERR_OK;
}

void esp_sa_adopt_window(struct esp_sa *sa)
{
	if (likely(!__atomic_load_n(&sa->replay_next, __ATOMIC_RELAXED)))
		return;
	struct replay *next = __atomic_exchange_n(&sa->replay_next, NULL, __ATOMIC_ACQUIRE);
	struct replay *old = sa->replay;

	if (!next)
		return;
	if (next->window > old->window && !old->off) {
		replay_copy(next, old);
		sa->replay = next;
	} else {
		old = next;
	}
	/* Only this thread adds to the chain; control may take it between the two steps. */
	old->older = __atomic_exchange_n(&sa->replay_old, NULL, __ATOMIC_ACQUIRE);
	__atomic_store_n(&sa->replay_old, old, __ATOMIC_RELEASE);
}
