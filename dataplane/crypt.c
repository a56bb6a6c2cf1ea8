/* SPDX-License-Identifier: Apache-2.0 */
/* The two passes that run w->ops[0..in->num): successive operations of one back end in one call. */
#include "dataplane/crypt.h"

#include "dataplane/inline.h"
#include "dataplane/lookaside.h"

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

void crypt_judge(struct worker *w, enum crypt_way way, struct packet *p, bool ok,
		 struct pktvec *out)
{
	if (likely(ok)) {
		pktvec_push(out, p);
	} else if (way == CRYPT_OUT) {
		worker_drop(w, p, DROP_CRYPTO);
	} else {
		counter_add(&p->sa->num_auth_failed, 1);
		worker_drop(w, p, DROP_AUTH);
	}
}

static inline void crypt(struct worker *w, enum crypt_way way, struct pktvec *in,
			 struct pktvec *out)
{
	if (unlikely(w->lookaside != NULL)) {
		lookaside_crypt(w, way, in, out);
		return;
	}
	if (unlikely(w->by_ports)) {
		inline_crypt(w, way, in, out);
		return;
	}
	for (uint32_t i = 0, n; i < in->num; i += n) {
		n = crypt_same_backend(in, i);
		crypt_run(w, way, in->pkt[i]->sa->aead, &w->ops[i], n);
	}
	if (likely(all_ok(w, in, out)))
		return;
	out->num = 0;
	for (uint32_t i = 0; i < in->num; i++)
		crypt_judge(w, way, in->pkt[i], w->ops[i].ok, out);
}

void out_encrypt(struct worker *w, struct pktvec *in, struct pktvec *out)
{
	crypt(w, CRYPT_OUT, in, out);
}

void in_decrypt(struct worker *w, struct pktvec *in, struct pktvec *out)
{
	crypt(w, CRYPT_IN, in, out);
}
