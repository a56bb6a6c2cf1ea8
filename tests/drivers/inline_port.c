/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/drivers/inline_port.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <rte_cryptodev.h>
#include <rte_ethdev.h>
#include <rte_flow.h>
#include <rte_mbuf_dyn.h>
#include <rte_security.h>
#include <rte_security_driver.h>

#define ETHERNET_LEN 14
#define V4_LEN       20
#define V6_LEN       40
#define UDP_LEN      8
#define FRONT_LEN    16 /* ESP header and IV */
#define ICV_LEN      16
#define SALT_LEN     4
#define RULES_MAX    256
#define PUBLIC       __attribute__((visibility("default")))

PUBLIC struct inline_port inline_port;

/* struct port_session - what a card would keep. */
struct port_session {
	uint32_t spi;
	bool encrypts, udp;
	uint8_t key[32], salt[SALT_LEN];
	uint16_t key_len;
};

/* struct where - a frame's ESP. */
struct where {
	bool v6, udp;
	const uint8_t *src, *dst; /* addresses */
	uint16_t src_port, dst_port;
	uint32_t at; /* of ESP */
	uint32_t end;
};

/* struct rte_flow - a rule. */
struct rte_flow {
	bool used, v6, udp;
	uint16_t port, src_port, dst_port;
	uint8_t src[16], dst[16];
	uint32_t spi;
	const struct port_session *session;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct rte_flow rules[RULES_MAX];
static int marks = -1; /* of mbufs: the session that was told */

#define FAULT()     __atomic_add_fetch(&inline_port.faults, 1, __ATOMIC_RELAXED)
#define COUNT(what) __atomic_add_fetch(&inline_port.what, 1, __ATOMIC_RELAXED)

/* is_stand_in - the port is one of those that were named. */
static bool is_stand_in(uint16_t port)
{
	const char *names = getenv(INLINE_PORTS);
	char name[RTE_ETH_NAME_MAX_LEN];

	if (!names || rte_eth_dev_get_name_by_port(port, name))
		return false;
	for (const size_t len = strlen(name);; names++) {
		if (strncmp(names, name, len) == 0 && (names[len] == ',' || !names[len]))
			return true;
		names = strchr(names, ',');
		if (!names)
			return false;
	}
}

/* ---- AES-GCM (RFC 4106) ---------------------------------------------------------------------- */

/* crypt - the ESP packet at p, len bytes with its ICV, in place. */
static bool crypt(const struct port_session *s, uint8_t *p, uint32_t len)
{
	const EVP_CIPHER *cipher = s->key_len == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm();
	const int text_len = (int)(len - FRONT_LEN - ICV_LEN);
	uint8_t nonce[12], *text = p + FRONT_LEN, *icv = text + text_len;
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	bool ok = c != NULL;
	int n;

	memcpy(nonce, s->salt, SALT_LEN);
	memcpy(nonce + SALT_LEN, p + 8, 8);
	ok = ok && EVP_CipherInit_ex(c, cipher, NULL, s->key, nonce, s->encrypts);
	ok = ok && EVP_CipherUpdate(c, NULL, &n, p, 8);
	ok = ok && EVP_CipherUpdate(c, text, &n, text, text_len);
	if (ok && !s->encrypts)
		ok = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, ICV_LEN, icv);
	ok = ok && EVP_CipherFinal_ex(c, text, &n);
	if (ok && s->encrypts)
		ok = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, ICV_LEN, icv);
	EVP_CIPHER_CTX_free(c);
	return ok;
}

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

/* find_esp - in a whole frame; false: it has none. */
static bool find_esp(struct where *w, const uint8_t *f, uint32_t len)
{
	const uint8_t *ip = f + ETHERNET_LEN;
	uint8_t proto;

	*w = (struct where){.v6 = len > ETHERNET_LEN && ip[0] >> 4 == 6};
	w->at = ETHERNET_LEN + (w->v6 ? V6_LEN : V4_LEN);
	if (len < w->at + UDP_LEN || (!w->v6 && ip[0] != 0x45))
		return false;
	proto = w->v6 ? ip[6] : ip[9];
	w->src = ip + (w->v6 ? 8 : 12);
	w->dst = w->src + (w->v6 ? 16 : 4);
	w->end = ETHERNET_LEN + (w->v6 ? V6_LEN + get16(ip + 4) : get16(ip + 2));
	if (proto == 17) {
		w->udp = true;
		w->src_port = (uint16_t)get16(f + w->at);
		w->dst_port = (uint16_t)get16(f + w->at + 2);
		w->at += UDP_LEN;
	}
	return (proto == 17 || proto == 50) && w->end <= len &&
	       w->end >= w->at + FRONT_LEN + 4 + ICV_LEN;
}

/* ---- bursts ---------------------------------------------------------------------------------- */

/* seal - what the mbuf says is to be sealed: it is what the session is for, and said rightly. */
static void seal(struct rte_mbuf *m)
{
	const struct port_session *s = *RTE_MBUF_DYNFIELD(m, marks, struct port_session **);
	uint8_t *f = rte_pktmbuf_mtod(m, uint8_t *);
	struct where w;

	if (!find_esp(&w, f, m->pkt_len) || m->nb_segs != 1 || !s || !s->encrypts ||
	    s->spi != get32(f + w.at) || s->udp != w.udp || m->l2_len != ETHERNET_LEN ||
	    m->l3_len != (w.v6 ? V6_LEN : V4_LEN) || w.end != m->pkt_len ||
	    !(m->ol_flags & (w.v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4)) ||
	    !crypt(s, f + w.at, w.end - w.at)) {
		FAULT();
		return;
	}
	COUNT(sealed);
}

static uint16_t on_tx(uint16_t port, uint16_t queue, struct rte_mbuf *pkts[], uint16_t num,
		      void *arg)
{
	(void)port, (void)queue, (void)arg;
	for (uint16_t i = 0; i < num; i++) {
		if (pkts[i]->ol_flags & RTE_MBUF_F_TX_SEC_OFFLOAD)
			seal(pkts[i]);
		*RTE_MBUF_DYNFIELD(pkts[i], marks, struct port_session **) = NULL;
		if (inline_port.wire)
			inline_port.wire(inline_port.arg, rte_pktmbuf_mtod(pkts[i], uint8_t *),
					 pkts[i]->pkt_len);
	}
	return num;
}

static bool fits(const struct rte_flow *r, uint16_t port, const struct where *w, uint32_t spi)
{
	const size_t len = w->v6 ? 16 : 4;

	return r->used && r->port == port && r->v6 == w->v6 && r->udp == w->udp && r->spi == spi &&
	       memcmp(r->src, w->src, len) == 0 && memcmp(r->dst, w->dst, len) == 0 &&
	       (!w->udp || (r->src_port == w->src_port && r->dst_port == w->dst_port));
}

/* open_one - if a rule is about it. */
static void open_one(uint16_t port, struct rte_mbuf *m)
{
	uint8_t *f = rte_pktmbuf_mtod(m, uint8_t *);
	struct where w;

	m->ol_flags = 0; /* of who sent it */
	if (inline_port.blind || !find_esp(&w, f, m->pkt_len))
		return;
	for (uint32_t i = 0; i < RULES_MAX; i++) {
		if (!fits(&rules[i], port, &w, get32(f + w.at)))
			continue;
		m->ol_flags = RTE_MBUF_F_RX_SEC_OFFLOAD;
		if (crypt(rules[i].session, f + w.at, w.end - w.at)) {
			COUNT(opened);
		} else {
			COUNT(forged);
			m->ol_flags |= RTE_MBUF_F_RX_SEC_OFFLOAD_FAILED;
		}
		return;
	}
}

static uint16_t on_rx(uint16_t port, uint16_t queue, struct rte_mbuf *pkts[], uint16_t num,
		      uint16_t max, void *arg)
{
	(void)queue, (void)max, (void)arg;
	pthread_mutex_lock(&lock);
	for (uint16_t i = 0; i < num; i++)
		open_one(port, pkts[i]);
	pthread_mutex_unlock(&lock);
	return num;
}

/* ---- sessions -------------------------------------------------------------------------------- */

static struct port_session *kept(struct rte_security_session *s)
{
	return SECURITY_GET_SESS_PRIV(s);
}

static int session_create(void *device, struct rte_security_session_conf *conf,
			  struct rte_security_session *session)
{
	const struct rte_crypto_aead_xform *aead = &conf->crypto_xform->aead;
	struct port_session *s = kept(session);

	(void)device;
	if (inline_port.refuse_sessions)
		return -ENOMEM;
	if (conf->crypto_xform->type != RTE_CRYPTO_SYM_XFORM_AEAD || conf->crypto_xform->next ||
	    aead->algo != RTE_CRYPTO_AEAD_AES_GCM || aead->digest_length != ICV_LEN ||
	    (aead->key.length != 16 && aead->key.length != 32) || conf->ipsec.options.esn ||
	    memcmp(&conf->ipsec.salt, aead->key.data + aead->key.length, SALT_LEN) != 0) {
		FAULT();
		return -ENOTSUP;
	}
	*s = (struct port_session){
		.spi = conf->ipsec.spi,
		.encrypts = conf->ipsec.direction == RTE_SECURITY_IPSEC_SA_DIR_EGRESS,
		.udp = conf->ipsec.options.udp_encap,
		.key_len = aead->key.length,
	};
	if (s->encrypts != (aead->op == RTE_CRYPTO_AEAD_OP_ENCRYPT))
		FAULT();
	memcpy(s->key, aead->key.data, s->key_len);
	memcpy(s->salt, &conf->ipsec.salt, SALT_LEN);
	inline_port.num_sessions++;
	return 0;
}

static int session_destroy(void *device, struct rte_security_session *session)
{
	(void)device;
	for (uint32_t i = 0; i < RULES_MAX; i++)
		if (rules[i].used && rules[i].session == kept(session))
			FAULT();
	inline_port.num_sessions--;
	return 0;
}

static unsigned int session_get_size(void *device)
{
	(void)device;
	return sizeof(struct port_session);
}

static int set_metadata(void *device, struct rte_security_session *session, struct rte_mbuf *m,
			void *params)
{
	(void)device, (void)params;
	if (inline_port.refuse_metadata)
		return -EINVAL;
	*RTE_MBUF_DYNFIELD(m, marks, struct port_session **) = kept(session);
	return 0;
}

/* ---- what it says it can --------------------------------------------------------------------- */

static const struct rte_cryptodev_capabilities ciphers[] = {
	{.op = RTE_CRYPTO_OP_TYPE_SYMMETRIC,
	 .sym = {.xform_type = RTE_CRYPTO_SYM_XFORM_AEAD,
		 .aead = {.algo = RTE_CRYPTO_AEAD_AES_GCM,
			  .block_size = 16,
			  .key_size = {16, 32, 16},
			  .digest_size = {16, 16, 0},
			  .aad_size = {0, 65535, 1},
			  .iv_size = {12, 12, 0}}}},
	RTE_CRYPTODEV_END_OF_CAPABILITIES_LIST(),
};

#define CAN(way, flags)                                                 \
	{                                                               \
		.action = RTE_SECURITY_ACTION_TYPE_INLINE_CRYPTO,       \
		.protocol = RTE_SECURITY_PROTOCOL_IPSEC,                \
		.ipsec = {.proto = RTE_SECURITY_IPSEC_SA_PROTO_ESP,     \
			  .mode = RTE_SECURITY_IPSEC_SA_MODE_TUNNEL,    \
			  .direction = RTE_SECURITY_IPSEC_SA_DIR_##way, \
			  .options = {.udp_encap = 1}},                 \
		.crypto_capabilities = ciphers, .ol_flags = flags       \
	}

static const struct rte_security_capability *capabilities_get(void *device)
{
	static const struct rte_security_capability all[] = {
		CAN(EGRESS, RTE_SECURITY_TX_OLOAD_NEED_MDATA),
		CAN(INGRESS, 0),
		{.action = RTE_SECURITY_ACTION_TYPE_NONE},
	};

	(void)device;
	return all;
}

static const struct rte_security_ops security_ops = {
	.session_create = session_create,
	.session_get_size = session_get_size,
	.session_destroy = session_destroy,
	.set_pkt_metadata = set_metadata,
	.capabilities_get = capabilities_get,
};

/* ---- in front of the libraries --------------------------------------------------------------- */

/* NEXT - the library's own function of this name. */
#define NEXT(result, name, ...)            \
	union {                            \
		void *object;              \
		result (*fn)(__VA_ARGS__); \
	} next = {.object = dlsym(RTLD_NEXT, #name)}

PUBLIC int rte_eth_dev_info_get(uint16_t port, struct rte_eth_dev_info *info)
{
	NEXT(int, rte_eth_dev_info_get, uint16_t, struct rte_eth_dev_info *);
	int rc = next.fn(port, info);

	if (rc == 0 && is_stand_in(port)) {
		info->tx_offload_capa |= RTE_ETH_TX_OFFLOAD_SECURITY;
		info->rx_offload_capa |= RTE_ETH_RX_OFFLOAD_SECURITY;
	}
	return rc;
}

PUBLIC int rte_eth_dev_configure(uint16_t port, uint16_t num_rx, uint16_t num_tx,
				 const struct rte_eth_conf *conf)
{
	NEXT(int, rte_eth_dev_configure, uint16_t, uint16_t, uint16_t, const struct rte_eth_conf *);
	struct rte_eth_conf theirs = *conf;

	theirs.txmode.offloads &= ~(uint64_t)RTE_ETH_TX_OFFLOAD_SECURITY;
	theirs.rxmode.offloads &= ~(uint64_t)RTE_ETH_RX_OFFLOAD_SECURITY;
	return next.fn(port, num_rx, num_tx, &theirs);
}

PUBLIC int rte_eth_dev_start(uint16_t port)
{
	static const struct rte_mbuf_dynfield mark = {
		.name = "tests_inline_port", .size = sizeof(void *), .align = sizeof(void *)};
	NEXT(int, rte_eth_dev_start, uint16_t);
	struct rte_eth_dev_info info;

	if (is_stand_in(port) && rte_eth_dev_info_get(port, &info) == 0) {
		marks = rte_mbuf_dynfield_register(&mark);
		for (uint16_t i = 0; i < info.nb_tx_queues; i++)
			rte_eth_add_tx_callback(port, i, on_tx, NULL);
		for (uint16_t i = 0; i < info.nb_rx_queues; i++)
			rte_eth_add_rx_callback(port, i, on_rx, NULL);
	}
	return next.fn(port);
}

PUBLIC void *rte_eth_dev_get_sec_ctx(uint16_t port)
{
	static struct rte_security_ctx context = {.ops = &security_ops};

	return is_stand_in(port) ? &context : NULL;
}

/* take_item - what a rule compares; whole fields only. */
static void take_item(struct rte_flow *r, const struct rte_flow_item *item)
{
	const struct rte_flow_item_ipv4 *v4 = item->spec;
	const struct rte_flow_item_ipv6 *v6 = item->spec;
	const struct rte_flow_item_udp *udp = item->spec;
	const struct rte_flow_item_esp *esp = item->spec;

	switch (item->type) {
	case RTE_FLOW_ITEM_TYPE_IPV4:
		memcpy(r->src, &v4->hdr.src_addr, 4);
		memcpy(r->dst, &v4->hdr.dst_addr, 4);
		break;
	case RTE_FLOW_ITEM_TYPE_IPV6:
		r->v6 = true;
		memcpy(r->src, &v6->hdr.src_addr, 16);
		memcpy(r->dst, &v6->hdr.dst_addr, 16);
		break;
	case RTE_FLOW_ITEM_TYPE_UDP:
		r->udp = true;
		r->src_port = rte_be_to_cpu_16(udp->hdr.src_port);
		r->dst_port = rte_be_to_cpu_16(udp->hdr.dst_port);
		break;
	case RTE_FLOW_ITEM_TYPE_ESP:
		r->spi = rte_be_to_cpu_32(esp->hdr.spi);
		break;
	default:
		break;
	}
}

/* take_rule - into a free place; NULL: there is none, or it is none of ours. */
static struct rte_flow *take_rule(uint16_t port, const struct rte_flow_item pattern[],
				  const struct rte_flow_action actions[])
{
	const struct rte_flow_action_security *security = actions[0].conf;
	struct rte_flow *r = rules;

	if (inline_port.refuse_rules || actions[0].type != RTE_FLOW_ACTION_TYPE_SECURITY ||
	    actions[1].type != RTE_FLOW_ACTION_TYPE_END)
		return NULL;
	while (r < rules + RULES_MAX && r->used)
		r++;
	if (r == rules + RULES_MAX)
		return NULL;
	*r = (struct rte_flow){.port = port, .session = kept(security->security_session)};
	for (; pattern->type != RTE_FLOW_ITEM_TYPE_END; pattern++)
		take_item(r, pattern);
	if (r->session->encrypts || r->session->spi != r->spi || r->session->udp != r->udp)
		FAULT();
	r->used = true;
	inline_port.num_rules++;
	return r;
}

PUBLIC struct rte_flow *rte_flow_create(uint16_t port, const struct rte_flow_attr *attr,
					const struct rte_flow_item pattern[],
					const struct rte_flow_action actions[],
					struct rte_flow_error *error)
{
	struct rte_flow *r = NULL;

	(void)error;
	pthread_mutex_lock(&lock);
	if (attr->ingress && is_stand_in(port))
		r = take_rule(port, pattern, actions);
	pthread_mutex_unlock(&lock);
	return r;
}

PUBLIC int rte_flow_destroy(uint16_t port, struct rte_flow *flow, struct rte_flow_error *error)
{
	(void)error;
	pthread_mutex_lock(&lock);
	if (!flow->used || flow->port != port)
		FAULT();
	flow->used = false;
	inline_port.num_rules--;
	pthread_mutex_unlock(&lock);
	return 0;
}
