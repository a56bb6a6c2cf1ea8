/* SPDX-License-Identifier: Apache-2.0 */
/* The two passes that run w->ops[0..in->num): successive operations of one back end in one call. */
#include "dataplane/passes.h"
#include "dataplane/sa.h"

/* same_backend - how many operations from i on go to one back end. */
static uint32_t same_backend(const struct pktvec *v, uint32_t i)
{
	const struct esp_sa *sa = v->pkt[i]->sa;
	uint32_t n = 1;

	while (i + n < v->num && (v->pkt[i + n]->sa == sa || v->pkt[i + n]->sa->aead == sa->aead))
		n++;
	return n;
}

/* all_ok - nothing of the vector is dropped: it goes on as it is. */
static bool all_ok(const struct worker *w, const struct pktvec *in, struct pktvec *out)
{
	bool ok = true;

	for (uint32_t i = 0; i < in->num; i++)
		ok = ok & w->ops[i].ok;
	if (likely(ok))
		pktvec_copy(out, in);
	return ok;
}

void out_encrypt(struct worker *w, struct pktvec *in, struct pktvec *out)
{
	for (uint32_t i = 0, n; i < in->num; i += n) {
		n = same_backend(in, i);
		in->pkt[i]->sa->aead->encrypt(w->crypto, &w->ops[i], n);
	}
	if (likely(all_ok(w, in, out)))
		return;
	out->num = 0;
	for (uint32_t i = 0; i < in->num; i++) {
		if (likely(w->ops[i].ok))
			pktvec_push(out, in->pkt[i]);
		else
			worker_drop(w, in->pkt[i], DROP_CRYPTO);
	}
}

void in_decrypt(struct worker *w, struct pktvec *in, struct pktvec *out)
{
	for (uint32_t i = 0, n; i < in->num; i += n) {
		n = same_backend(in, i);
		in->pkt[i]->sa->aead->decrypt(w->crypto, &w->ops[i], n);
	}
	if (likely(all_ok(w, in, out)))
		return;
	out->num = 0;
	for (uint32_t i = 0; i < in->num; i++) {
		struct packet *p = in->pkt[i];

		if (likely(w->ops[i].ok)) {
			pktvec_push(out, p);
			continue;
		}
		counter_add(&p->sa->num_auth_failed, 1);
		worker_drop(w, p, DROP_AUTH);
	}
}
