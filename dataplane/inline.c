/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/inline.h"

#include "base/log.h"
#include "dataplane/state.h"

/* ---- worker --------------------------------------------------------------------------------- */

/* is_by_port - it leaves open, or came from a port that looked at it. */
static inline bool is_by_port(enum crypt_way way, const struct packet *p)
{
	if (way == CRYPT_OUT)
		return p->sa->port_key != NULL;
	return p->flags & (PACKET_F_OPEN | PACKET_F_FORGED);
}

/* leave_open - none of its bytes is the packet's now. */
static void leave_open(struct packet *p)
{
	static_assert(sizeof(p->open_len) == 2, "as long as any datagram (OUT_MAX_LEN)");
	p->open_len = (uint16_t)p->len;
	p->len = 0;
	p->key = p->sa->port_key;
	p->flags |= PACKET_F_OPEN;
}

/* take_word - the port's for what it found: of an SA that it has a key of. */
static bool take_word(struct packet *p)
{
	const bool ok = p->sa->port_key && !(p->flags & PACKET_F_FORGED);

	p->flags &= (uint16_t) ~(PACKET_F_OPEN | PACKET_F_FORGED);
	return ok;
}

/* by_port - the first of in->pkt[i] on that the ports do; returns how many. */
static uint32_t by_port(struct worker *w, enum crypt_way way, const struct pktvec *in, uint32_t i)
{
	uint32_t n = 0;

	for (; i + n < in->num && is_by_port(way, in->pkt[i + n]); n++) {
		struct packet *p = in->pkt[i + n];

		if (way == CRYPT_OUT)
			leave_open(p);
		w->ops[i + n].ok = way == CRYPT_OUT || take_word(p);
	}
	return n;
}

/* by_us - the first that one back end does. */
static uint32_t by_us(struct worker *w, enum crypt_way way, const struct pktvec *in, uint32_t i)
{
	const uint32_t same = crypt_same_backend(in, i);
	uint32_t n = 1;

	while (n < same && !is_by_port(way, in->pkt[i + n]))
		n++;
	crypt_run(w, way, in->pkt[i]->sa->aead, &w->ops[i], n);
	return n;
}

void inline_crypt(struct worker *w, enum crypt_way way, struct pktvec *in, struct pktvec *out)
{
	for (uint32_t i = 0, n; i < in->num; i += n) {
		n = by_port(w, way, in, i);
		if (n == 0)
			n = by_us(w, way, in, i);
	}
	out->num = 0;
	for (uint32_t i = 0; i < in->num; i++)
		crypt_judge(w, way, in->pkt[i], w->ops[i].ok, out);
}

bool inline_seal(void *worker, struct packet *p)
{
	const struct worker *w = worker;
	const struct esp_sa *sa = p->sa;
	struct aead_op op;

	p->len = p->open_len;
	p->open_len = 0;
	p->flags &= (uint16_t)~PACKET_F_OPEN;
	esp_op(&op, sa, p->data + sa->front_len, p->len - sa->front_len - sa->icv_len, p->seq);
	sa->aead->encrypt(w->crypto, &op, 1);
	return op.ok;
}

void inline_seal_all(struct worker *w, struct pktvec *v)
{
	uint32_t num = 0;

	for (uint32_t i = 0; i < v->num; i++) {
		struct packet *p = v->pkt[i];

		if (p->open_len && unlikely(!inline_seal(w, p)))
			worker_drop(w, p, DROP_CRYPTO);
		else
			v->pkt[num++] = p;
	}
	v->num = num;
}

/* ---- control -------------------------------------------------------------------------------- */

enum err dataplane_use_inline(struct dataplane *dp, struct inline_ports *ports)
{
	assert(!dp->running);
	if (dp->device || dp->ports) {
		ports->ops->close(ports);
		return ERR_EXISTS;
	}
	dp->ports = ports;
	for (uint32_t i = 0; i < dp->num_workers; i++) {
		struct worker *w = dp->workers[i];

		w->by_ports = true;
		for (uint32_t k = 0; k < w->num_ports; k++) {
			if (!w->ports[k] || !w->ports[k]->opens)
				continue;
			w->ports[k]->seal = inline_seal;
			w->ports[k]->sealer = w;
		}
	}
	return ERR_OK;
}

bool dataplane_inline_give(struct dataplane *dp, struct esp_sa *sa,
			   const struct child_params *params, enum child_half dir)
{
	enum err e;

	if (!dp->ports)
		return false;
	e = esp_sa_use_ports(sa, dp->ports, params, dir);
	if (e == ERR_OK || e == ERR_UNSUPPORTED || dp->ports_full)
		return e == ERR_OK;
	dp->ports_full = true;
	LOG(WARN, ESP, NULL, "the ports take no more keys (%s): the processor does the rest",
	    err_text(e));
	return false;
}

void dataplane_inline_close(struct dataplane *dp)
{
	if (dp->ports)
		dp->ports->ops->close(dp->ports);
	dp->ports = NULL;
}
