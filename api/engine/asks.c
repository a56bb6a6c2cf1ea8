/* SPDX-License-Identifier: Apache-2.0 */
#include "api/engine/internal.h"

/* Every peer that is authenticated may have what the configuration allows it; applications that
 * decide for themselves come in front of this. */
void asks_answer(struct engine *e, const struct ike_ask *ask)
{
	struct ike_answer answer = {.allow = true};

	if (ask->kind == IKE_ASK_SECRET) {
		const struct conf_secret *s = conf_find_psk(e->conf, &answer.secret_is_group,
							    ask->local_id, ask->peer_id);

		answer.allow = s != NULL;
		if (s)
			answer.secret = bytes_of(s->value.p, s->value.len);
	} else if (ask->kind == IKE_ASK_SIGN || ask->kind == IKE_ASK_VERIFY_CHAIN) {
		answer.allow = false;
	}
	ike_answer(e->ike, ask->id, &answer, engine_now(e));
}
