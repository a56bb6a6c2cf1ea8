/* SPDX-License-Identifier: Apache-2.0 */
/* Which SAs a port does, and its sessions for them (rte_security). Control. */
#include "drivers/dpdk/inline.h"

#include <string.h>

#include <rte_cryptodev.h>
#include <rte_mempool.h>
#include <rte_security.h>

#define SALT_LEN AEAD_SALT_LEN

/* ---- what a port does ------------------------------------------------------------------------ */

/* has_cipher - AES-GCM with such a key, our lengths of ICV and additional data, and a nonce of 12
 * bytes, some say 8: without the salt. Returns that, 0 = it has not. */
static uint16_t has_cipher(const struct rte_security_capability *cap, uint16_t key_len)
{
	const struct rte_cryptodev_capabilities *c = cap->crypto_capabilities;

	for (; c && c->op != RTE_CRYPTO_OP_TYPE_UNDEFINED; c++) {
		const struct rte_cryptodev_symmetric_capability *sym = &c->sym;

		if (c->op != RTE_CRYPTO_OP_TYPE_SYMMETRIC ||
		    sym->xform_type != RTE_CRYPTO_SYM_XFORM_AEAD ||
		    sym->aead.algo != RTE_CRYPTO_AEAD_AES_GCM)
			continue;
		for (uint16_t iv_len = AEAD_NONCE_LEN; iv_len >= AEAD_NONCE_LEN - SALT_LEN;
		     iv_len = (uint16_t)(iv_len - SALT_LEN))
			if (rte_cryptodev_sym_capability_check_aead(sym, key_len, AEAD_TAG_LEN,
								    AEAD_HEAD_LEN, iv_len) == 0)
				return iv_len;
	}
	return 0;
}

/* suits - headers, padding and trailer are ours; RFC 3948 only where it is said to be known. */
static bool suits(const struct rte_security_capability *cap, bool udp)
{
	const uint32_t trailers =
		RTE_SECURITY_TX_HW_TRAILER_OFFLOAD | RTE_SECURITY_RX_HW_TRAILER_OFFLOAD;

	return cap && !(cap->ol_flags & trailers) && (!udp || cap->ipsec.options.udp_encap);
}

/* struct want - a session that is wanted. */
struct want {
	const struct inline_use *use;
	const struct rte_security_capability *cap;
	enum rte_security_ipsec_sa_mode mode;
	uint16_t key_len, iv_len;
};

static const struct rte_security_capability *
capability(void *context, enum rte_security_ipsec_sa_mode mode, bool encrypts)
{
	struct rte_security_capability_idx idx = {
		.action = RTE_SECURITY_ACTION_TYPE_INLINE_CRYPTO,
		.protocol = RTE_SECURITY_PROTOCOL_IPSEC,
		.ipsec = {.proto = RTE_SECURITY_IPSEC_SA_PROTO_ESP,
			  .mode = mode,
			  .direction = encrypts ? RTE_SECURITY_IPSEC_SA_DIR_EGRESS
						: RTE_SECURITY_IPSEC_SA_DIR_INGRESS},
	};

	return rte_security_capability_get(context, &idx);
}

/* find - what a port does of it. Of the two modes that of the SA is asked for first: since all
 * headers are ours the other one is the same to a port. */
static bool find(struct want *w, void *context)
{
	const enum rte_security_ipsec_sa_mode modes[2] = {
		w->use->tunnel ? RTE_SECURITY_IPSEC_SA_MODE_TUNNEL
			       : RTE_SECURITY_IPSEC_SA_MODE_TRANSPORT,
		w->use->tunnel ? RTE_SECURITY_IPSEC_SA_MODE_TRANSPORT
			       : RTE_SECURITY_IPSEC_SA_MODE_TUNNEL,
	};

	for (uint32_t i = 0; i < ARRAY_LEN(modes); i++) {
		w->mode = modes[i];
		w->cap = capability(context, modes[i], w->use->encrypts);
		if (!suits(w->cap, w->use->path->encap == ENCAP_UDP))
			continue;
		w->iv_len = has_cipher(w->cap, w->key_len);
		if (w->iv_len)
			return true;
	}
	return false;
}

bool inline_usable(void *context)
{
	const struct path_addr bare = {.encap = ENCAP_NONE};

	for (uint32_t i = 0; i < 4; i++) {
		const struct inline_use use = {.encrypts = i & 1, .tunnel = true, .path = &bare};
		struct want w = {.use = &use, .key_len = i & 2 ? 32 : 16};

		if (find(&w, context))
			return true;
	}
	return false;
}

/* ---- sessions -------------------------------------------------------------------------------- */

static void set_tunnel(struct rte_security_ipsec_tunnel_param *t, const struct inline_use *use)
{
	const struct path_addr *path = use->path;
	const struct ip_addr *src = use->encrypts ? &path->local.addr : &path->remote.addr;
	const struct ip_addr *dst = use->encrypts ? &path->remote.addr : &path->local.addr;

	if (src->family == IP_V4) {
		t->type = RTE_SECURITY_IPSEC_TUNNEL_IPV4;
		memcpy(&t->ipv4.src_ip, src->b, 4);
		memcpy(&t->ipv4.dst_ip, dst->b, 4);
		return;
	}
	t->type = RTE_SECURITY_IPSEC_TUNNEL_IPV6;
	memcpy(&t->ipv6.src_addr, src->b, 16);
	memcpy(&t->ipv6.dst_addr, dst->b, 16);
}

static void set_ipsec(struct rte_security_ipsec_xform *x, const struct want *w)
{
	const struct inline_use *use = w->use;
	const struct path_addr *path = use->path;

	*x = (struct rte_security_ipsec_xform){
		.spi = use->spi,
		.direction = use->encrypts ? RTE_SECURITY_IPSEC_SA_DIR_EGRESS
					   : RTE_SECURITY_IPSEC_SA_DIR_INGRESS,
		.proto = RTE_SECURITY_IPSEC_SA_PROTO_ESP,
		.mode = w->mode,
	};
	memcpy(&x->salt, use->material.p + w->key_len, SALT_LEN);
	set_tunnel(&x->tunnel, use);
	if (path->encap != ENCAP_UDP)
		return;
	x->options.udp_encap = 1;
	x->udp.sport = use->encrypts ? path->local.port : path->remote.port;
	x->udp.dport = use->encrypts ? path->remote.port : path->local.port;
}

/* create - some drivers find the salt behind the key, where it lies in ours. */
static void *create(void *context, struct rte_mempool *pool, const struct want *w)
{
	struct rte_crypto_sym_xform cipher = {
		.type = RTE_CRYPTO_SYM_XFORM_AEAD,
		.aead = {.op = w->use->encrypts ? RTE_CRYPTO_AEAD_OP_ENCRYPT
						: RTE_CRYPTO_AEAD_OP_DECRYPT,
			 .algo = RTE_CRYPTO_AEAD_AES_GCM,
			 .key = {.data = w->use->material.p, .length = w->key_len},
			 .iv = {.length = w->iv_len},
			 .digest_length = AEAD_TAG_LEN,
			 .aad_length = AEAD_HEAD_LEN},
	};
	struct rte_security_session_conf conf = {
		.action_type = RTE_SECURITY_ACTION_TYPE_INLINE_CRYPTO,
		.protocol = RTE_SECURITY_PROTOCOL_IPSEC,
		.crypto_xform = &cipher,
	};
	void *session;

	set_ipsec(&conf.ipsec, w);
	session = rte_security_session_create(context, &conf, pool);
	explicit_bzero(&conf, sizeof(conf));
	return session;
}

enum err inline_session_new(struct inline_session *out, void *context, struct rte_mempool *pool,
			    const struct inline_use *use)
{
	struct want w = {.use = use, .key_len = (uint16_t)(use->material.len - SALT_LEN)};

	if (!find(&w, context))
		return ERR_UNSUPPORTED;
	if (rte_mempool_empty(pool))
		return ERR_NOMEM;
	out->session = create(context, pool, &w);
	out->metadata = w.cap->ol_flags & RTE_SECURITY_TX_OLOAD_NEED_MDATA;
	return out->session ? ERR_OK : ERR_CRYPTO;
}
