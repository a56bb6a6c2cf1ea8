/* SPDX-License-Identifier: Apache-2.0 */
#include "api/engine/internal.h"
#include "base/alloc.h"

/* struct unanswered - a question whose answer may be another one when what is fetched has come.
 * Nobody takes it away from the keying engine meanwhile, which has a deadline of its own. */
struct unanswered {
	struct list_node node;
	uint64_t id;
};

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

/* ---- what is fetched for an answer ----------------------------------------------------------- */

static_assert(IKE_WANT_URL_MAX == FETCH_URL_MAX, "the same");

static void fetch_begin(struct engine *e, const struct ike_want *want)
{
	const struct fetch_request request = {.id = want->id,
					      .url = want->url,
					      .type = want->type,
					      .body = want->body,
					      .local = e->conf->daemon.fetch_local};
	enum err err = e->fetcher.ops->begin(e->fetcher.ctx, &request);

	if (err)
		ike_keyring_learn(e->keyring, want->id, bytes_of(NULL, 0),
				  err == ERR_LIMIT ? "too many wait to be fetched" : err_text(err),
				  clock_wall_s());
}

/* fetch_wanted - begin what is wanted, and take what has come. */
static void fetch_wanted(struct engine *e)
{
	struct fetch_answer a;
	struct ike_want want;

	while (ike_keyring_want(e->keyring, &want, clock_wall_s()))
		fetch_begin(e, &want);
	while (e->fetcher.ops->next(e->fetcher.ctx, &a))
		ike_keyring_learn(e->keyring, a.id, a.data, a.why, clock_wall_s());
}

/* answer_of - what is said now; true if it is worth to wait for another one. What cannot be begun
 * is known at once, so it is asked twice. */
static bool answer_of(struct engine *e, struct ike_answer *out, const struct ike_ask *ask)
{
	ike_keyring_fetches(e->keyring, e->fetcher.ops && e->conf->daemon.fetch);
	ike_keyring_answer(e->keyring, out, e->conf, ask, clock_wall_s());
	if (!ike_keyring_waits(e->keyring))
		return false;
	fetch_wanted(e);
	ike_keyring_answer(e->keyring, out, e->conf, ask, clock_wall_s());
	return ike_keyring_waits(e->keyring);
}

/* put_off - false without memory: then what is said now is the answer. */
static bool put_off(struct engine *e, uint64_t id)
{
	struct unanswered *u = mem_alloc(sizeof(*u));

	if (!u)
		return false;
	u->id = id;
	list_push_back(&e->unanswered, &u->node);
	return true;
}

static void forget(struct unanswered *u)
{
	list_remove(&u->node);
	mem_free(u);
}

static void on_fetched(struct engine *e, struct loop_source *source)
{
	(void)source;
	e->fetcher.ops->dispatch(e->fetcher.ctx);
	fetch_wanted(e);
	list_for_each_safe (n, &e->unanswered) {
		struct unanswered *u = list_entry(n, struct unanswered, node);
		const struct ike_ask *ask = ike_ask_open(e->ike, u->id);
		struct ike_answer answer;

		if (ask && answer_of(e, &answer, ask))
			continue;
		if (ask)
			ike_answer(e->ike, u->id, &answer, engine_now(e));
		forget(u);
	}
}

enum err asks_open(struct engine *e)
{
	if (!e->fetcher.ops)
		return ERR_OK;
	e->fetches =
		(struct loop_source){.fd = e->fetcher.ops->fd(e->fetcher.ctx), .ready = on_fetched};
	return loop_watch(e, &e->fetches);
}

void asks_close(struct engine *e)
{
	list_for_each_safe (n, &e->unanswered) {
		forget(list_entry(n, struct unanswered, node));
	}
	if (e->fetcher.ops && !e->leave_host)
		e->fetcher.ops->close(e->fetcher.ctx);
}

/* ---- any question ---------------------------------------------------------------------------- */

/* Every peer that is authenticated may have what the configuration allows it. */
void asks_answer(struct engine *e, const struct ike_ask *ask)
{
	const bool authorize = ask->kind == IKE_ASK_AUTHORIZE;
	struct ike_answer answer;

	latches_conflict(e, ask);
	if (!authorize && taken(e, ask))
		return;
	if (answer_of(e, &answer, ask) && put_off(e, ask->id))
		return;
	/* Whoever decides, a key that is to be remembered is. */
	if (authorize && answer.allow && taken(e, ask))
		return;
	ike_answer(e->ike, ask->id, &answer, engine_now(e));
}
