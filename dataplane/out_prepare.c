/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/ipcomp.h"
#include "dataplane/run.h"
#include "dataplane/tos.h"
#include "dataplane/transport.h"

#include <netinet/in.h>

#include "base/secret.h"

/* OUT_MAX_LEN - inner bytes such that the datagram fits a 16-bit length with every header. */
#define OUT_MAX_LEN (65535 - 128)

/* pad_for - bytes of padding that align payload and trailer (RFC 4303 2.4). */
static inline uint32_t pad_for(uint32_t len, uint32_t align)
{
	return -(len + ESP_TRAILER_LEN) & (align - 1);
}

/* add_trailer - at t: padding 1, 2, 3, pad length, next header. */
static inline void add_trailer(uint8_t *t, uint32_t pad, uint8_t next_header)
{
	static const uint8_t padding[AEAD_ALIGN_MAX] = {1, 2,  3,  4,  5,  6,  7,  8,
							9, 10, 11, 12, 13, 14, 15, 16};
	memcpy(t, padding, sizeof(padding)); /* more than needed: the tail room is checked */
	store_be16(t + pad, (uint16_t)(pad << 8 | next_header));
}

/* add_header - in front of text: the IV: the 64-bit sequence number, which the one writer of the SA
 * never uses twice (RFC 4106 3.1, S53), filled up with zeros; where it must be unpredictable the
 * back end encrypts it. Then SPI and sequence number, over as much of that as is not the IV's
 * place. */
static inline void add_header(uint8_t *text, const struct esp_sa *sa, uint64_t seq)
{
	uint8_t *h = text - sa->front_len;

	store_be64(text - AEAD_IV_MAX, 0);
	store_be64(text - 8, seq);
	memcpy(h, sa->spi.b, 4);
	store_be32(h + 4, (uint32_t)seq);
}

/* last_of - the last sequence number that a run may use; the one before its first is `before`. */
static uint64_t last_of(const struct sa_run *run, uint64_t before)
{
	const uint64_t last = run->sa->flags & SA_F_ESN ? UINT64_MAX : UINT32_MAX;

	return run->max_packets < last - before ? before + run->max_packets : last;
}

/* used_up - nothing more is sent by the SA. */
static enum drop_reason used_up(struct worker *w, const struct sa_run *run, uint64_t seq)
{
	run_report(w, run->sa, SA_F_HARD);
	return seq == (run->sa->flags & SA_F_ESN ? UINT64_MAX : UINT32_MAX) ? DROP_SEQ_EXHAUSTED
									    : DROP_LIFETIME;
}

/* fits - there is room around p for all that is added. */
static inline bool fits(const struct packet *p)
{
	return p->len <= OUT_MAX_LEN && packet_headroom(p) >= ESP_FRONT_MAX &&
	       packet_tailroom(p) >= 2 * AEAD_ALIGN_MAX + AEAD_ICV_MAX;
}

/* is_ours - what this says to the peer we say, and no application: to its control thread, or what
 * we have compressed. */
static bool is_ours(const struct sa_conf *c, uint8_t next_header)
{
	return (next_header == ESP_PROBE && c->mif) || next_header == IPPROTO_COMP;
}

/* enclose - what ESP carries of p: in a tunnel all of it. */
static inline enum drop_reason enclose(struct packet *p, const struct sa_conf *c)
{
	if (unlikely(p->flags & (PACKET_F_DUMMY | PACKET_F_PROBE))) {
		p->next_header = p->flags & PACKET_F_PROBE ? ESP_PROBE : IPPROTO_NONE;
		p->dscp_ecn = 0;
		return DROP_NONE;
	}
	if (unlikely(c->mode == SA_TRANSPORT)) {
		enum drop_reason why = transport_strip(p);

		return why == DROP_NONE && is_ours(c, p->next_header) ? DROP_NEXT_HEADER : why;
	}
	p->next_header = p->data[0] >> 4 == 4 ? IPPROTO_IPIP : IPPROTO_IPV6;
	p->dscp_ecn = tos_encapsulate(tos_get(p->data), c->copy_dscp);
	return DROP_NONE;
}

/* prepare - p becomes an ESP packet whose text is still clear; op says what to encrypt. */
static inline void prepare(struct packet *p, struct aead_op *op, const struct esp_sa *sa,
			   uint64_t seq)
{
	uint8_t *const text = p->data;
	const uint32_t len = p->len, pad = pad_for(len, sa->align);
	const uint32_t text_len = len + pad + ESP_TRAILER_LEN;

	p->seq = seq;
	add_trailer(text + len, pad, p->next_header);
	add_header(text, sa, seq);
	esp_op(op, sa, text, text_len, seq);
	p->data = text - sa->front_len;
	p->len = sa->front_len + text_len + sa->icv_len;
}

/* end - seq is the last number that the run has used: it is written before any other packet of the
 * SA is looked at. */
static void end(struct worker *w, const struct sa_run *run, uint64_t seq, uint64_t bytes)
{
	uint64_t before = run->sa ? run->sa->seq : seq;

	if (seq != before)
		counter_set(&run->sa->seq, seq);
	run_end(w, run, seq - before, bytes);
}

static void drop_all(struct worker *w, const struct pktvec *in, enum drop_reason why)
{
	for (uint32_t i = 0; i < in->num; i++)
		worker_drop(w, in->pkt[i], why);
}

void out_prepare(struct worker *w, struct pktvec *in, struct pktvec *out)
{
	struct sa_run run = {0};
	uint64_t seq = 0, last = 0, bytes = 0;
	uint32_t num = 0;

	if (unlikely(!secret_alive())) {
		drop_all(w, in, DROP_FORKED);
		in->num = 0;
	}
	for (uint32_t i = 0; i < in->num; i++) {
		struct packet *p = in->pkt[i];
		uint32_t len = p->len;

		if (p->sa != run.sa) {
			end(w, &run, seq, bytes);
			run_begin(&run, p->sa);
			seq = p->sa->seq;
			last = last_of(&run, seq);
			bytes = 0;
		}
		enum drop_reason why = likely(fits(p)) ? enclose(p, run.conf) : DROP_TOO_BIG;

		if (unlikely(seq >= last || bytes >= run.max_bytes))
			why = used_up(w, &run, seq);
		if (unlikely(why != DROP_NONE)) {
			worker_drop(w, p, why);
			continue;
		}
		if (unlikely(run.conf->ipcomp))
			ipcomp_pack(w->ipcomp, run.sa->ipcomp, p);
		bytes += len;
		prepare(p, &w->ops[num], run.sa, ++seq);
		out->pkt[num++] = p;
	}
	out->num = num;
	end(w, &run, seq, bytes);
}
