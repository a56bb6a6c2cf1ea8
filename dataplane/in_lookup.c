/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/ahead.h"
#include "dataplane/handoff.h"
#include "dataplane/passes.h"
#include "dataplane/sa.h"

#include "base/secret.h"

/* well_formed - header, IV, whole blocks of text, ICV. */
static bool well_formed(const struct packet *p, const struct esp_sa *sa)
{
	uint32_t around = (uint32_t)sa->front_len + sa->icv_len;

	return p->len >= around + sa->align && ((p->len - around) & (sa->align - 1U)) == 0;
}

/* fill_op - decrypt in place, in a buffer that is ours alone (S54). */
static inline void fill_op(struct aead_op *op, const struct packet *p, const struct esp_sa *sa)
{
	esp_op(op, sa, p->data + sa->front_len, p->len - sa->front_len - sa->icv_len, p->seq);
}

/* HANDED - in place of a drop_reason: the packet went to another worker. */
#define HANDED DROP_NUM

/* report_stray - whoever sends by an SPI that is nobody's may know a peer of before a restart. */
static void report_stray(struct worker *w, const struct packet *p)
{
	const struct dp_event ev = {
		.kind = DP_EVENT_STRAY,
		.port = p->port,
		.path = p->from,
		.spi = load_be32(p->data),
		.time_ns = w->now_ns,
	};

	if (worker_may(w, &w->stray, WORKER_STRAYS))
		(void)!events_push(&w->events, &ev, NULL); /* the next one is told */
}

/* find - the SA of a packet, which is this worker's; of one that another worker owns nothing is
 * touched. */
static enum drop_reason find(struct worker *w, struct packet *p, struct esp_sa **out)
{
	struct esp_sa *sa = slots_get(w->sad, load_be32(p->data));

	if (unlikely(!sa)) {
		report_stray(w, p);
		return DROP_NO_SA;
	}
	if (sa->owner != w->index) {
		handoff_push(w, sa->owner, p);
		return HANDED;
	}
	esp_sa_adopt_window(sa);
	*out = sa;
	return DROP_NONE;
}

/* check_replay - the 64-bit sequence number, and whether it may be new. */
static bool check_replay(struct packet *p, const struct esp_sa *sa)
{
	uint32_t low = load_be32(p->data + 4);

	p->seq = sa->flags & SA_F_ESN ? replay_extend(sa->replay, low) : low;
	return replay_check(sa->replay, p->seq);
}

/* is_of - p names the SA's SPI. */
static inline bool is_of(const struct packet *p, const struct esp_sa *sa)
{
	return sa && p->len >= ESP_HEADER_LEN && memcmp(p->data, sa->spi.b, 4) == 0;
}

/* admit - p is of this SA, and may be opened. */
static inline enum drop_reason admit(struct packet *p, struct esp_sa *sa)
{
	p->sa = sa;
	if (unlikely(!well_formed(p, sa)))
		return DROP_MALFORMED_ESP;
	if (unlikely(!check_replay(p, sa))) {
		counter_add(&sa->num_replay, 1);
		return DROP_REPLAY;
	}
	return DROP_NONE;
}

/* open_all - successive packets of one SPI cost one look-up; returns how many are to be opened. */
static uint32_t open_all(struct worker *w, const struct pktvec *in, struct pktvec *out)
{
	struct esp_sa *sa = NULL;
	uint32_t num = 0;

	for (uint32_t i = 0; i < in->num; i++) {
		struct packet *p = in->pkt[i];
		enum drop_reason why = DROP_NONE;

		if (unlikely(!is_of(p, sa))) {
			struct esp_sa *found = sa;

			why = p->len < ESP_HEADER_LEN ? DROP_MALFORMED_ESP : find(w, p, &found);
			sa = found;
		}
		if (likely(why == DROP_NONE))
			why = admit(p, sa);
		if (unlikely(why != DROP_NONE)) {
			if (why != HANDED)
				worker_drop(w, p, why);
			continue;
		}
		fill_op(&w->ops[num], p, sa);
		out->pkt[num++] = p;
	}
	return num;
}

/* ask_ahead - for all packets: the slots, then the SAs, then what these point at. */
static void ask_ahead(const struct worker *w, const struct pktvec *in)
{
	struct esp_sa *sas[PKTVEC_MAX];
	uint32_t num = 0;

	for (uint32_t i = 0; i < in->num; i++)
		if (likely(in->pkt[i]->len >= ESP_HEADER_LEN))
			slots_ahead(w->sad, load_be32(in->pkt[i]->data));
	for (uint32_t i = 0; i < in->num; i++) {
		const struct packet *p = in->pkt[i];

		if (unlikely(p->len < ESP_HEADER_LEN))
			continue;
		sas[num] = slots_get(w->sad, load_be32(p->data));
		if (unlikely(!sas[num]) || (num && sas[num] == sas[num - 1]))
			continue;
		ahead_sa(sas[num++]);
	}
	for (uint32_t i = 0; i < num; i++) {
		if (sas[i]->owner != w->index)
			continue;
		ahead(sas[i]->replay, 2 * CACHE_LINE);
		ahead_parts(sas[i]);
	}
}

void in_lookup(struct worker *w, struct pktvec *in, struct pktvec *out)
{
	if (likely(secret_alive())) {
		if (unlikely(slots_num(w->sad) >= AHEAD_SAS))
			ask_ahead(w, in);
		out->num = open_all(w, in, out);
		return;
	}
	out->num = 0;
	for (uint32_t i = 0; i < in->num; i++)
		worker_drop(w, in->pkt[i], DROP_FORKED);
}
