/* SPDX-License-Identifier: Apache-2.0 */
/* Keys at ports: a session at each that takes it, and a rule for what comes. Control. */
#include "drivers/dpdk/inline.h"
#include "drivers/dpdk/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* struct inlines - all ports that do it. */
struct inlines {
	struct inline_ports ports;
	struct dpdk_port *at[DPDK_INLINE_PORTS_MAX];
	struct rte_mempool *sessions[DPDK_INLINE_PORTS_MAX];
	uint32_t num;
	struct inline_key *freed; /* the latest first */
};

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

/* key_at - at one port. Errors: as inline_session_new(). */
static enum err key_at(const struct inlines *in, uint32_t i, struct inline_key *k,
		       const struct inline_use *use)
{
	struct inline_session *s = &k->at[i];
	enum err e = inline_session_new(s, in->at[i]->security, in->sessions[i], use);

	if (e != ERR_OK || use->encrypts)
		return e;
	s->rule = inline_rule_new(in->at[i]->id, s->session, use);
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
