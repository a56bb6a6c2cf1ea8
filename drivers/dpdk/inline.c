/* SPDX-License-Identifier: Apache-2.0 */
/* Keys at ports: sessions, and the rules that bring them packets (rte_flow). Control. */
#include "drivers/dpdk/inline.h"
#include "drivers/dpdk/internal.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_cryptodev.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_flow.h>
#include <rte_malloc.h>
#include <rte_mempool.h>
#include <rte_security.h>

/* LINGER_S - how long a port may have packets of a key that is freed: what waits there is to be
 * encrypted still, and by no other key. CLOSE_MS - when nothing is sent any more. */
#define LINGER_S 2
#define CLOSE_MS 100
#define SALT_LEN AEAD_SALT_LEN
/* ITEMS_MAX - of a pattern: Ethernet, IP, UDP, ESP, and its end. */
#define ITEMS_MAX 5

/* struct inlines - all ports that do it. */
struct inlines {
	struct inline_ports ports;
	struct dpdk_port *at[DPDK_INLINE_PORTS_MAX];
	struct rte_mempool *sessions[DPDK_INLINE_PORTS_MAX];
	uint32_t num;
	struct inline_key *freed; /* the latest first */
};

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

/* struct what - a session that is wanted. */
struct what {
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
static bool find(struct what *w, void *context)
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
		struct what w = {.use = &use, .key_len = i & 2 ? 32 : 16};

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

static void set_ipsec(struct rte_security_ipsec_xform *x, const struct what *w)
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

/* session_new - some drivers find the salt behind the key, where it lies in ours. */
static void *session_new(void *context, struct rte_mempool *pool, const struct what *w)
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

/* ---- rules ----------------------------------------------------------------------------------- */

/* struct headers - of a pattern: those of all packets of an SA. */
struct headers {
	struct rte_flow_item_ipv4 v4, v4_mask;
	struct rte_flow_item_ipv6 v6, v6_mask;
	struct rte_flow_item_udp udp, udp_mask;
	struct rte_flow_item_esp esp, esp_mask;
};

static struct rte_flow_item ip_item(struct headers *h, const struct path_addr *path)
{
	const uint8_t *src = path->remote.addr.b, *dst = path->local.addr.b;

	if (path->local.addr.family == IP_V4) {
		memcpy(&h->v4.hdr.src_addr, src, 4);
		memcpy(&h->v4.hdr.dst_addr, dst, 4);
		h->v4_mask.hdr.src_addr = h->v4_mask.hdr.dst_addr = RTE_BE32(UINT32_MAX);
		return (struct rte_flow_item){
			.type = RTE_FLOW_ITEM_TYPE_IPV4, .spec = &h->v4, .mask = &h->v4_mask};
	}
	memcpy(h->v6.hdr.src_addr, src, 16);
	memcpy(h->v6.hdr.dst_addr, dst, 16);
	memset(h->v6_mask.hdr.src_addr, 0xff, 16);
	memset(h->v6_mask.hdr.dst_addr, 0xff, 16);
	return (struct rte_flow_item){
		.type = RTE_FLOW_ITEM_TYPE_IPV6, .spec = &h->v6, .mask = &h->v6_mask};
}

static struct rte_flow_item udp_item(struct headers *h, const struct path_addr *path)
{
	h->udp.hdr.src_port = rte_cpu_to_be_16(path->remote.port);
	h->udp.hdr.dst_port = rte_cpu_to_be_16(path->local.port);
	h->udp_mask.hdr.src_port = h->udp_mask.hdr.dst_port = RTE_BE16(UINT16_MAX);
	return (struct rte_flow_item){
		.type = RTE_FLOW_ITEM_TYPE_UDP, .spec = &h->udp, .mask = &h->udp_mask};
}

static struct rte_flow_item esp_item(struct headers *h, uint32_t spi)
{
	h->esp.hdr.spi = rte_cpu_to_be_32(spi);
	h->esp_mask.hdr.spi = RTE_BE32(UINT32_MAX);
	return (struct rte_flow_item){
		.type = RTE_FLOW_ITEM_TYPE_ESP, .spec = &h->esp, .mask = &h->esp_mask};
}

/* rule_new - packets of the SA are decrypted. Where they go then is as with all others. */
static struct rte_flow *rule_new(uint16_t port, void *session, const struct inline_use *use)
{
	const struct rte_flow_attr attr = {.ingress = 1};
	const struct rte_flow_action_security security = {.security_session = session};
	const struct rte_flow_action actions[] = {
		{.type = RTE_FLOW_ACTION_TYPE_SECURITY, .conf = &security},
		{.type = RTE_FLOW_ACTION_TYPE_END},
	};
	struct rte_flow_item pattern[ITEMS_MAX] = {{.type = RTE_FLOW_ITEM_TYPE_ETH}};
	struct rte_flow_error error = {0};
	struct headers h = {0};
	uint32_t num = 1;

	pattern[num++] = ip_item(&h, use->path);
	if (use->path->encap == ENCAP_UDP)
		pattern[num++] = udp_item(&h, use->path);
	pattern[num++] = esp_item(&h, use->spi);
	pattern[num] = (struct rte_flow_item){.type = RTE_FLOW_ITEM_TYPE_END};
	return rte_flow_create(port, &attr, pattern, actions, &error);
}

/* ---- keys ------------------------------------------------------------------------------------ */

/* session_free - the port is told to forget it; what it kept lies in the pool's element, which
 * nobody but this thread takes again. */
static void session_free(const struct inlines *in, uint32_t i, struct inline_session *s)
{
	if (!s->session)
		return;
	if (rte_security_session_destroy(in->at[i]->security, s->session) == 0)
		explicit_bzero(s->session, in->sessions[i]->elt_size);
	s->session = NULL;
}

static void rule_free(const struct inlines *in, uint32_t i, struct inline_session *s)
{
	struct rte_flow_error error;

	if (s->rule)
		(void)!rte_flow_destroy(in->at[i]->id, s->rule, &error);
	s->rule = NULL;
}

/* key_at - at one port. Errors: UNSUPPORTED (it does none such), NOMEM, CRYPTO. */
static enum err key_at(const struct inlines *in, uint32_t i, struct inline_key *k,
		       const struct inline_use *use)
{
	struct what w = {.use = use, .key_len = (uint16_t)(use->material.len - SALT_LEN)};
	struct inline_session *s = &k->at[i];

	if (!find(&w, in->at[i]->security))
		return ERR_UNSUPPORTED;
	if (rte_mempool_empty(in->sessions[i]))
		return ERR_NOMEM;
	s->session = session_new(in->at[i]->security, in->sessions[i], &w);
	if (!s->session)
		return ERR_CRYPTO;
	s->metadata = w.cap->ol_flags & RTE_SECURITY_TX_OLOAD_NEED_MDATA;
	if (use->encrypts)
		return ERR_OK;
	s->rule = rule_new(in->at[i]->id, s->session, use);
	if (s->rule)
		return ERR_OK;
	session_free(in, i, s);
	return ERR_CRYPTO;
}

/* is_known - AES-GCM; and no UDP over IPv6 that we send, whose checksum is over what the port
 * writes. */
static bool is_known(const struct inline_use *use)
{
	const struct path_addr *path = use->path;

	return (use->alg == AEAD_AES_GCM_16_128 || use->alg == AEAD_AES_GCM_16_256) &&
	       path->local.addr.family == path->remote.addr.family &&
	       (path->local.addr.family == IP_V4 || path->local.addr.family == IP_V6) &&
	       !(use->encrypts && path->encap == ENCAP_UDP && path->local.addr.family == IP_V6);
}

static enum err key_new(struct inline_ports *p, struct inline_key **out,
			const struct inline_use *use)
{
	const struct inlines *in = (const struct inlines *)(const void *)p;
	struct inline_key *k;
	enum err best = ERR_UNSUPPORTED;

	if (!is_known(use))
		return ERR_UNSUPPORTED;
	k = calloc(1, sizeof(*k)); /* system allocator: the host's is not here */
	if (!k)
		return ERR_NOMEM;
	k->path = *use->path;
	for (uint32_t i = 0; i < in->num; i++) {
		enum err e = key_at(in, i, k, use);

		if (best == ERR_UNSUPPORTED || e == ERR_OK)
			best = e;
	}
	if (best != ERR_OK) {
		free(k);
		return best;
	}
	*out = k;
	return ERR_OK;
}

static void key_forget(const struct inlines *in, struct inline_key *k)
{
	for (uint32_t i = 0; i < in->num; i++)
		session_free(in, i, &k->at[i]);
	free(k);
}

static void key_free(struct inline_ports *p, struct inline_key *k)
{
	struct inlines *in = (struct inlines *)(void *)p;

	if (!k)
		return;
	for (uint32_t i = 0; i < in->num; i++)
		rule_free(in, i, &k->at[i]);
	k->freed = rte_get_timer_cycles();
	k->next = in->freed;
	in->freed = k;
}

/* forget_until - keys that were freed before `until`. */
static void forget_until(struct inlines *in, uint64_t until)
{
	struct inline_key **at = &in->freed;

	while (*at && (*at)->freed > until)
		at = &(*at)->next;
	for (struct inline_key *k = *at; k;) {
		struct inline_key *next = k->next;

		key_forget(in, k);
		k = next;
	}
	*at = NULL;
}

static void settle(struct inline_ports *p)
{
	struct inlines *in = (struct inlines *)(void *)p;

	if (in->freed)
		forget_until(in, rte_get_timer_cycles() - LINGER_S * rte_get_timer_hz());
}

/* ---- life ------------------------------------------------------------------------------------ */

static void close_all(struct inline_ports *p)
{
	struct inlines *in = (struct inlines *)(void *)p;

	if (in->freed)
		rte_delay_us_sleep(CLOSE_MS * 1000);
	forget_until(in, UINT64_MAX);
	for (uint32_t i = 0; i < in->num; i++)
		rte_mempool_free(in->sessions[i]);
	free(in);
}

static const struct inline_ops ops = {
	.key_new = key_new, .key_free = key_free, .settle = settle, .close = close_all};

static bool add(struct inlines *in, struct dpdk_port *p, uint32_t num_sessions)
{
	static uint32_t num_pools; /* a name is used once */
	char name[RTE_MEMPOOL_NAMESIZE];
	struct rte_mempool *pool;

	snprintf(name, sizeof(name), "lk_inline_%u", num_pools++);
	pool = rte_mempool_create(name, num_sessions, rte_security_session_get_size(p->security), 0,
				  0, NULL, NULL, NULL, NULL, rte_eth_dev_socket_id(p->id), 0);
	if (!pool)
		return false;
	eal_leave_out(pool);
	p->inline_at = (uint8_t)in->num;
	in->sessions[in->num] = pool;
	in->at[in->num++] = p;
	return true;
}

enum err inline_open(struct inline_ports **out, struct driver *const *frames, uint32_t num,
		     uint32_t num_sessions, char text[static DPDK_TEXT_MAX])
{
	struct inlines *in;

	if (!num || num > DPDK_INLINE_PORTS_MAX || !num_sessions)
		return ERR_INVAL;
	in = calloc(1, sizeof(*in)); /* system allocator: the host's is not here */
	if (!in)
		return ERR_NOMEM;
	in->ports.ops = &ops;
	for (uint32_t i = 0; i < num; i++) {
		struct dpdk_port *p = ((struct dpdk_queue *)(void *)frames[i])->port;

		if (!(p->offloads & DPDK_OFFLOAD_INLINE))
			continue;
		if (!add(in, p, num_sessions)) {
			snprintf(text, DPDK_TEXT_MAX, "%s: no memory for its sessions", p->device);
			close_all(&in->ports);
			return ERR_NOMEM;
		}
	}
	if (!in->num) {
		free(in);
		return ERR_UNSUPPORTED;
	}
	*out = &in->ports;
	return ERR_OK;
}
