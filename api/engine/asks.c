/* SPDX-License-Identifier: Apache-2.0 */
#include "api/engine/internal.h"

void engine_answer(struct engine *e, uint64_t id, const struct ike_answer *answer)
{
	const struct log_sink *before = log_use(&e->sink);

	ike_answer(e->ike, id, answer, engine_now(e));
	if (!e->asking) /* else the turn is under way */
		engine_turn(e);
	log_use(before);
}

/* taken - somebody else decides. */
static bool taken(struct engine *e, const struct ike_ask *ask)
{
	bool taken;

	if (!e->ask)
		return false;
	e->asking = true;
	taken = e->ask(e->ctx, ask);
	e->asking = false;
	return taken;
}

/* Every peer that is authenticated may have what the configuration allows it. */
void asks_answer(struct engine *e, const struct ike_ask *ask)
{
	const bool authorize = ask->kind == IKE_ASK_AUTHORIZE;
	struct ike_answer answer;

	latches_conflict(e, ask);
	if (!authorize && taken(e, ask))
		return;
	ike_keyring_answer(e->keyring, &answer, e->conf, ask, clock_wall_s());
	/* Whoever decides, a key that is to be remembered is. */
	if (authorize && answer.allow && taken(e, ask))
		return;
	ike_answer(e->ike, ask->id, &answer, engine_now(e));
}
