/* SPDX-License-Identifier: Apache-2.0 */
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

/* add_trailer - padding 1, 2, 3, pad length, next header; room for the ICV. */
static inline void add_trailer(struct packet *p, uint32_t pad)
{
	static const uint8_t padding[AEAD_ALIGN_MAX] = {1, 2,  3,  4,  5,  6,  7,  8,
							9, 10, 11, 12, 13, 14, 15, 16};
	uint8_t *t = p->data + p->len;

	memcpy(t, padding, sizeof(padding)); /* more than needed: the tail room is checked */
	t[pad] = (uint8_t)pad;
	t[pad + 1] = p->next_header;
}

/* add_header - the IV: the 64-bit sequence number, which the one writer of the SA never uses twice
 * (RFC 4106 3.1, S53), filled up with zeros; where it must be unpredictable the back end encrypts
 * it. Then SPI and sequence number, over as much of that as is not the IV's place. */
static inline void add_header(struct packet *p, const struct esp_sa *sa, uint64_t seq)
{
	uint8_t *h = p->data - sa->front_len;

	store_be64(p->data - AEAD_IV_MAX, 0);
	store_be64(p->data - 8, seq);
	memcpy(h, sa->spi.b, 4);
	store_be32(h + 4, (uint32_t)seq);
}

static enum drop_reason refuse(struct worker *w, const struct sa_run *run, const struct packet *p,
			       uint64_t max_seq)
{
	if (unlikely(run->sa->seq >= max_seq)) {
		run_report(w, run->sa, SA_F_HARD);
		return DROP_SEQ_EXHAUSTED;
	}
	if (unlikely(run_over(run))) {
		run_report(w, run->sa, SA_F_HARD);
		return DROP_LIFETIME;
	}
	if (unlikely(p->len > OUT_MAX_LEN || packet_headroom(p) < ESP_FRONT_MAX ||
		     packet_tailroom(p) < 2 * AEAD_ALIGN_MAX + AEAD_ICV_MAX))
		return DROP_TOO_BIG;
	return DROP_NONE;
}

/* enclose - what ESP carries of p: in a tunnel all of it. */
static inline enum drop_reason enclose(struct packet *p, const struct sa_conf *c)
{
	if (unlikely(p->flags & PACKET_F_DUMMY)) {
		p->next_header = IPPROTO_NONE;
		p->dscp_ecn = 0;
		return DROP_NONE;
	}
	if (unlikely(c->mode == SA_TRANSPORT))
		return transport_strip(p);
	p->next_header = p->data[0] >> 4 == 4 ? IPPROTO_IPIP : IPPROTO_IPV6;
	p->dscp_ecn = tos_encapsulate(tos_get(p->data), c->copy_dscp);
	return DROP_NONE;
}

/* prepare - p becomes an ESP packet whose text is still clear; op says what to encrypt. */
static inline void prepare(struct packet *p, struct aead_op *op, struct esp_sa *sa)
{
	const uint32_t front_len = sa->front_len, icv_len = sa->icv_len;
	uint32_t pad = pad_for(p->len, sa->align);
	uint32_t text_len = p->len + pad + ESP_TRAILER_LEN;

	p->seq = sa->seq + 1;
	counter_set(&sa->seq, p->seq);
	add_trailer(p, pad);
	add_header(p, sa, p->seq);
	esp_op(op, sa, p->data, text_len, p->seq);
	p->data -= front_len;
	p->len = front_len + text_len + icv_len;
}

void out_prepare(struct worker *w, struct pktvec *in, struct pktvec *out)
{
	bool alive = secret_alive();
	struct sa_run run = {0};
	uint64_t max_seq = 0;

	out->num = 0;
	for (uint32_t i = 0; i < in->num; i++) {
		struct packet *p = in->pkt[i];
		enum drop_reason why = DROP_FORKED;
		uint32_t inner_len = p->len;

		if (p->sa != run.sa) {
			run_end(w, &run);
			run_begin(&run, p->sa);
			max_seq = p->sa->flags & SA_F_ESN ? UINT64_MAX : UINT32_MAX;
		}
		if (likely(alive))
			why = refuse(w, &run, p, max_seq);
		if (likely(why == DROP_NONE))
			why = enclose(p, run.conf);
		if (unlikely(why != DROP_NONE)) {
			worker_drop(w, p, why);
			continue;
		}
		prepare(p, &w->ops[out->num], run.sa);
		run.packets++;
		run.bytes += inner_len;
		pktvec_push(out, p);
	}
	run_end(w, &run);
}
