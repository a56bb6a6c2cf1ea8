/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/fit.h"
#include "dataplane/ipcomp.h"
#include "dataplane/latch_flow.h"
#include "dataplane/mss.h"
#include "dataplane/run.h"
#include "dataplane/tos.h"
#include "dataplane/transport.h"

#include <netinet/in.h>

/* enum payload - what a next header promises behind ESP. */
enum payload {
	PAYLOAD_REFUSED = 0,
	PAYLOAD_IPV4,
	PAYLOAD_IPV6,
	PAYLOAD_DUMMY, /* RFC 4303 2.6 */
	PAYLOAD_PROBE,
	PAYLOAD_PACKED, /* RFC 3173 */
};

static const uint8_t next_headers[256] = {
	[IPPROTO_IPIP] = PAYLOAD_IPV4,   [IPPROTO_IPV6] = PAYLOAD_IPV6,
	[IPPROTO_NONE] = PAYLOAD_DUMMY,  [ESP_PROBE] = PAYLOAD_PROBE,
	[IPPROTO_COMP] = PAYLOAD_PACKED,
};

/* is_padding - the pad bytes in front of `end` are 1, 2, 3 ... Seven at most are looked at in one
 * word; with the header there is always one in front of end. */
static inline bool is_padding(const uint8_t *end, uint32_t pad)
{
	uint32_t others = 56 - 8 * pad;
	uint8_t wrong = 0;

	if (likely(pad < 8))
		return (load_be64(end - 8) ^ 0x01020304050607 >> others) << others << 8 == 0;
	for (uint32_t i = 0; i < pad; i++)
		wrong |= *(end - pad + i) ^ (uint8_t)(i + 1);
	return wrong == 0;
}

/* strip - ESP header and trailer off; false if the padding is not 1, 2, 3 ... (S50). */
static inline bool strip(struct packet *p, const struct esp_sa *sa)
{
	uint8_t *text = p->data + sa->front_len;
	uint32_t len = p->len - sa->front_len - sa->icv_len;
	uint32_t pad = text[len - 2];

	if (unlikely(pad + ESP_TRAILER_LEN > len))
		return false;
	p->next_header = text[len - 1];
	p->data = text;
	p->len = len - ESP_TRAILER_LEN - pad;
	return is_padding(text + len - ESP_TRAILER_LEN, pad);
}

/* class_allows - the packet came under the protection that its policy demands: the class that is
 * named, else the group's SAs or their class. Where no policy protects the flow the SA's own
 * selectors, which admitted it, decide (RFC 4301 5.2); a policy that discards it wins. */
static enum drop_reason class_allows(const struct flow_entry *e, const struct sa_conf *c)
{
	if (!e->policy || e->policy->action == POLICY_BYPASS)
		return DROP_NONE;
	if (e->policy->action == POLICY_DISCARD)
		return DROP_POLICY_DISCARD;
	if (e->policy->class_demanded)
		return e->policy->class_demanded == c->token ? DROP_NONE : DROP_CLASS;
	if (e->group == c->group)
		return DROP_NONE;
	uint32_t token = __atomic_load_n(&e->group->token, __ATOMIC_RELAXED);

	return token && token == c->token ? DROP_NONE : DROP_CLASS;
}

/* admit - the packet lies inside its SA's selectors and policy lets it in (S56). */
static enum drop_reason admit(struct worker *w, const struct packet *p, struct flow_entry *e,
			      const struct sa_conf *c, uint16_t port)
{
	struct flow_key key = flow_key(&e->id);

	if (!flow_match(&key, c->ts, c->num_local, c->ts + c->num_local, c->num_remote))
		return DROP_SA_SELECTOR_IN;
	enum drop_reason why = e->token || e->shut ? DROP_NONE : class_allows(e, c);

	if (e->policy && e->policy->action == POLICY_DISCARD)
		why = DROP_POLICY_DISCARD;
	if (why == DROP_NONE && (e->latch || latch_in_wanted(w, e, port)))
		why = latch_in(w, p, e, c, port);
	const bool error = latch_is_error(e);

	if (why == DROP_NONE && unlikely(error))
		why = latch_error_in(w, p, c);
	if (why == DROP_NONE && !error && !latch_watches(e))
		e->in_conf = c->uid;
	return why;
}

/* join - a fragment waits until its packet is whole, among those of the same SA: what the SA's
 * selectors and policy say, they say of the packet, and the host never puts together what came by
 * different SAs. The outer header that is told of is this fragment's own. NULL: not whole yet. */
static struct packet *join(struct worker *w, struct packet *p)
{
	const struct sa_conf *c = rcu_deref(p->sa->conf);

	if (!tos_restore(p, c->copy_dscp)) {
		worker_drop(w, p, DROP_ECN);
		return NULL;
	}
	p->dscp_ecn = tos_get(p->data);
	return pass_join(w, p, c->uid << 2);
}

/* clamp - the sender of a SYN says what it takes; our side will send no more than the way back
 * does.
 */
static void clamp(const struct worker *w, struct packet *p, const struct sa_conf *c)
{
	uint32_t len = fit_len(p->sa, path_table_of(c->paths), w->now_ns);
	uint32_t mss = fit_mss(c, len, p->data[0] >> 4 == 6);

	if (mss)
		mss_clamp(p, mss);
}

/* PROBE - in place of a drop_reason: a control message about paths. PACKED - what it is shows when
 * it is not compressed any more. */
#define PROBE  DROP_NUM
#define PACKED (DROP_NUM + 1)

/* uncover_tunnel - the next header says which IP packet it is. */
static enum drop_reason uncover_tunnel(const struct packet *p, const struct sa_conf *c)
{
	enum payload kind = next_headers[p->next_header];

	if (kind == PAYLOAD_PROBE && c->mif)
		return PROBE;
	if (kind == PAYLOAD_PACKED)
		return PACKED;
	if (unlikely(kind == PAYLOAD_REFUSED || kind == PAYLOAD_PROBE))
		return DROP_NEXT_HEADER;
	if (unlikely(kind == PAYLOAD_DUMMY))
		return DROP_DUMMY;
	if (unlikely(p->len == 0 || p->data[0] >> 4 != (kind == PAYLOAD_IPV4 ? 4 : 6)))
		return DROP_MALFORMED_INNER;
	return DROP_NONE;
}

/* uncover_transport - the next header is that of the IP header which is made again. */
static enum drop_reason uncover_transport(struct packet *p, const struct sa_conf *c)
{
	switch (next_headers[p->next_header]) {
	case PAYLOAD_DUMMY:
		return DROP_DUMMY;
	case PAYLOAD_PROBE:
		return c->mif ? PROBE : DROP_NEXT_HEADER;
	case PAYLOAD_PACKED:
		return PACKED;
	default:
		return transport_restore(p, c);
	}
}

/* uncover_any - the inner packet and its flow's id, from the next header on. */
static enum drop_reason uncover_any(struct packet *p, const struct sa_conf *c, struct flow_id *id)
{
	enum drop_reason why =
		c->mode == SA_TUNNEL ? uncover_tunnel(p, c) : uncover_transport(p, c);

	if (why != DROP_NONE)
		return why;
	if (!flow_parse(id, p, FLOW_IN))
		return DROP_MALFORMED_INNER;
	flow_scope(id, c->scope);
	return DROP_NONE;
}

/* uncover - the same of an ESP packet, in which it is most often that of IPv4 in a tunnel. */
static inline enum drop_reason uncover(struct packet *p, const struct sa_conf *c,
				       struct flow_id *id)
{
	if (unlikely(!strip(p, p->sa)))
		return DROP_PADDING;
	if (likely(p->next_header == IPPROTO_IPIP && c->mode == SA_TUNNEL) &&
	    likely(flow_parse_fast(id, p, FLOW_IN, c->scope)))
		return DROP_NONE;
	return uncover_any(p, c, id);
}

/* uncover_packed - the same of the packet that was compressed, once (RFC 3173 2), and that is a
 * packet: all else needs no compression. NULL: it is dropped. */
static struct packet *uncover_packed(struct worker *w, struct packet *p, const struct sa_conf *c,
				     struct flow_id *id)
{
	p = ipcomp_unpack(w, p);
	if (!p)
		return NULL;
	enum drop_reason why = uncover_any(p, c, id);

	if (why == DROP_NONE)
		return p;
	worker_drop(w, p,
		    why == PROBE || why == PACKED || why == DROP_DUMMY ? DROP_NEXT_HEADER : why);
	return NULL;
}

/* uncover_other - what uncover() said something else of; NULL: nothing of it goes on. */
static struct packet *uncover_other(struct worker *w, struct packet *p, const struct sa_conf *c,
				    struct flow_id *id, enum drop_reason why)
{
	if (why == PACKED)
		return uncover_packed(w, p, c, id);
	if (why == PROBE)
		in_probe(w, p, c);
	else
		worker_drop(w, p, why);
	return NULL;
}

/* uncover_joined - the same of the packet whose fragment p is, once that is whole; NULL: it is not,
 * or it is dropped. */
static struct packet *uncover_joined(struct worker *w, struct packet *p, const struct sa_conf *c,
				     struct flow_id *id)
{
	p = join(w, p);
	if (!p)
		return NULL;
	if (!flow_parse(id, p, FLOW_IN) || p->flags & PACKET_F_FRAGMENT) {
		worker_drop(w, p, DROP_MALFORMED_INNER);
		return NULL;
	}
	flow_scope(id, c->scope);
	return p;
}

/* uncover_all - and where the flows are looked for; what is no inner packet is dropped. */
static uint32_t uncover_all(struct worker *w, struct pktvec *in, struct flow_id *ids,
			    struct flow_entry **places)
{
	const struct esp_sa *sa = NULL;
	const struct sa_conf *c = NULL;
	uint32_t num = 0;

	for (uint32_t i = 0; i < in->num; i++) {
		struct packet *p = in->pkt[i];

		if (p->sa != sa) {
			sa = p->sa;
			c = rcu_deref(sa->conf);
		}
		enum drop_reason why = uncover(p, c, &ids[num]);

		if (unlikely(why != DROP_NONE)) {
			p = uncover_other(w, p, c, &ids[num], why);
			if (!p)
				continue;
		}
		if (unlikely(p->flags & PACKET_F_FRAGMENT)) {
			p = uncover_joined(w, p, c, &ids[num]);
			if (!p)
				continue;
		}
		places[num] = flow_cache_place(&w->flows, &ids[num]);
		in->pkt[num++] = p;
	}
	return num;
}

/* restore - the inner header as the SA's configuration wants it. */
static inline enum drop_reason restore(const struct worker *w, struct packet *p,
				       const struct sa_conf *c)
{
	if (likely(c->mode == SA_TUNNEL) && !(p->flags & PACKET_F_JOINED) &&
	    unlikely(!tos_restore(p, c->copy_dscp)))
		return DROP_ECN;
	if (c->mss_clamp && unlikely(mss_is_syn(p)))
		clamp(w, p, c);
	return DROP_NONE;
}

/* is_barred - another class alone comes out where this one would. */
static bool is_barred(const struct worker *w, const struct sa_conf *c)
{
	const uint32_t only = c->scope ? w->only[scope_port(c->scope)] : 0;

	return only && only != c->token;
}

void in_finish(struct worker *w, struct pktvec *in, struct pktvec *out)
{
	struct flow_id ids[PKTVEC_MAX];
	struct flow_entry *places[PKTVEC_MAX];
	const uint64_t epoch = flow_cache_epoch(&w->flows), now_ns = w->now_ns;
	struct sa_run run = {0};
	uint64_t bytes = 0;
	uint32_t num = 0;
	bool barred = false;

	in->num = uncover_all(w, in, ids, places);
	for (uint32_t i = 0; i < in->num; i++) {
		struct packet *p = in->pkt[i];

		if (p->sa != run.sa) {
			run_end(w, &run, 0, bytes);
			run_begin(&run, p->sa);
			bytes = 0;
			barred = is_barred(w, run.conf);
		}
		const struct sa_conf *c = run.conf;
		struct flow_entry *e = flow_cache_get(&w->flows, &ids[i], places[i], epoch, now_ns);
		const uint16_t port = c->scope ? scope_port(c->scope) : w->inner_port;
		enum drop_reason why = barred ? DROP_CLASS : DROP_NONE;

		if (unlikely(e->in_conf != c->uid) || latch_in_due(w, p, e, port))
			why = barred ? DROP_CLASS : admit(w, p, e, c, port);

		if (likely(why == DROP_NONE))
			why = restore(w, p, c);
		if (unlikely(why != DROP_NONE)) {
			worker_drop(w, p, why);
			continue;
		}
		p->token = c->token;
		p->scope = c->scope;
		bytes += p->len;
		out->pkt[num++] = p;
	}
	out->num = num;
	run_end(w, &run, 0, bytes);
}
