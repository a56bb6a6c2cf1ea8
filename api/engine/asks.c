/* SPDX-License-Identifier: Apache-2.0 */
#include "api/engine/internal.h"
#include "base/alloc.h"

/* struct unanswered - a question whose answer may be another one when what is fetched, or what a
 * token does, has come.
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

/* ROUNDS - how often a question is asked again at once, because something of what it wants was
 * known at once: responders, then lists, of which none can be begun. */
#define ROUNDS 4

/* begin - false if there is no room for it now, or no memory: that says nothing of what is wanted,
 * and must not be taken for an answer. */
static bool begin(struct ike_keyring *k, const struct fetcher *f, const struct ike_want *want,
		  bool local)
{
	const struct fetch_request request = {.id = want->id,
					      .url = want->url,
					      .type = want->type,
					      .body = want->body,
					      .local = local};

	if (!f->ops->begin(f->ctx, &request))
		return true;
	ike_keyring_put_back(k, want->id);
	return false;
}

static bool fetch_some(struct ike_keyring *k, const struct fetcher *f, bool local)
{
	bool learned = false;
	struct fetch_answer a;
	struct ike_want want;

	while (ike_keyring_want(k, &want) && begin(k, f, &want, local))
		;
	while (f->ops->next(f->ctx, &a)) {
		ike_keyring_learn(k, a.id, a.data, a.why, clock_wall_s());
		learned = true;
	}
	return learned;
}

/* What has come makes room for what is wanted. */
bool asks_fetch(struct ike_keyring *keyring, const struct fetcher *fetcher, bool local)
{
	bool learned = false;

	while (fetch_some(keyring, fetcher, local))
		learned = true;
	return learned;
}

static bool sign_some(struct ike_keyring *k, const struct signer *s)
{
	struct ike_token_task task;
	struct signer_answer a;
	bool learned = false;

	while (ike_keyring_token(k, &task)) {
		if (s->ops->begin(s->ctx, &task)) {
			ike_keyring_token_put_back(k, task.id);
			break;
		}
	}
	while (s->ops->next(s->ctx, &a)) {
		ike_keyring_token_learn(k, a.id, a.data, a.why, clock_wall_s());
		learned = true;
	}
	return learned;
}

bool asks_sign(struct ike_keyring *keyring, const struct signer *signer)
{
	bool learned = false;

	while (sign_some(keyring, signer))
		learned = true;
	return learned;
}

static bool get_wanted(struct engine *e)
{
	bool learned = false;

	if (e->fetcher.ops)
		learned = asks_fetch(e->keyring, &e->fetcher, e->conf->daemon.fetch_local);
	if (e->signer.ops)
		learned |= asks_sign(e->keyring, &e->signer);
	e->fetched |= learned;
	return learned;
}

/* answer_of - what is said now; true if it is worth to wait for another one. */
static bool answer_of(struct engine *e, struct ike_answer *out, const struct ike_ask *ask)
{
	int rounds = 0;

	ike_keyring_fetches(e->keyring, e->fetcher.ops && e->conf->daemon.fetch);
	ike_keyring_tokens(e->keyring, e->signer.ops != NULL);
	do {
		ike_keyring_answer(e->keyring, out, e->conf, ask, clock_wall_s());
	} while (ike_keyring_waits(e->keyring) && get_wanted(e) && ++rounds < ROUNDS);
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

static void ask_again(struct engine *e)
{
	e->fetched = false;
	ike_keyring_round(e->keyring);
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
	e->fetched |= ike_keyring_unclaimed(e->keyring);
}

/* Chains are judged again only if something is known that was not: a fetch has many events. */
static void ask_fetched(struct engine *e)
{
	for (int rounds = 0; e->fetched && rounds < ROUNDS; rounds++)
		ask_again(e);
}

static void on_fetched(struct engine *e, struct loop_source *source)
{
	(void)source;
	e->fetcher.ops->dispatch(e->fetcher.ctx);
	(void)get_wanted(e);
	ask_fetched(e);
}

static void on_signed(struct engine *e, struct loop_source *source)
{
	(void)source;
	(void)get_wanted(e);
	ask_fetched(e);
}

static void on_solved(struct engine *e, struct loop_source *source)
{
	struct puzzler_answer a;

	(void)source;
	while (puzzler_next(e->puzzler, &a)) {
		const struct ike_answer answer = {.allow = a.len,
						  .solution = bytes_of(a.solution, a.len)};

		ike_answer(e->ike, a.id, &answer, engine_now(e));
	}
}

/* PEERS_NAMES_MAX - names that peers say which wait to be looked up. */
#define PEERS_NAMES_MAX 256

static void on_resolved(struct engine *e, struct loop_source *source)
{
	struct resolver_answer a;

	(void)source;
	while (resolver_next(e->peers_resolver, &a)) {
		const struct ike_answer answer = {.allow = true, .addr = a.addr};

		ike_answer(e->ike, a.id, &answer, engine_now(e));
	}
}

static bool is_open(void *ctx, uint64_t id)
{
	const struct engine *e = ctx;

	return ike_ask_open(e->ike, id) != NULL;
}

void asks_settle(struct engine *e)
{
	puzzler_sift(e->puzzler, is_open, e);
	resolver_sift(e->peers_resolver, is_open, e);
}

enum err asks_open(struct engine *e)
{
	enum err err = puzzler_open(&e->puzzler);

	if (err)
		return err;
	e->puzzles = (struct loop_source){.fd = puzzler_fd(e->puzzler), .ready = on_solved};
	err = loop_watch(e, &e->puzzles);
	if (!err)
		err = resolver_open(&e->peers_resolver, PEERS_NAMES_MAX);
	if (!err) {
		e->peers_names = (struct loop_source){.fd = resolver_fd(e->peers_resolver),
						      .ready = on_resolved};
		err = loop_watch(e, &e->peers_names);
	}
	if (!err && e->fetcher.ops) {
		e->fetches = (struct loop_source){.fd = e->fetcher.ops->fd(e->fetcher.ctx),
						  .ready = on_fetched};
		err = loop_watch(e, &e->fetches);
	}
	if (!err && e->signer.ops) {
		e->signs = (struct loop_source){.fd = e->signer.ops->fd(e->signer.ctx),
						.ready = on_signed};
		err = loop_watch(e, &e->signs);
	}
	return err;
}

void asks_close(struct engine *e)
{
	list_for_each_safe (n, &e->unanswered) {
		forget(list_entry(n, struct unanswered, node));
	}
	puzzler_close(e->puzzler);
	resolver_close(e->peers_resolver);
	if (e->fetcher.ops && !e->leave_host)
		e->fetcher.ops->close(e->fetcher.ctx);
	if (e->signer.ops && !e->leave_host)
		e->signer.ops->close(e->signer.ctx);
}

/* ---- any question ---------------------------------------------------------------------------- */

/* Whom it is for is not known yet: nobody else is asked. */
static void solve(struct engine *e, const struct ike_ask *ask)
{
	static const struct ike_answer refused = {.allow = false};
	const uint64_t now = engine_now(e);
	const uint64_t left = ask->deadline_ns > now ? ask->deadline_ns - now : 0;

	if (puzzler_begin(e->puzzler, ask->id, ask->puzzle, left))
		ike_answer(e->ike, ask->id, &refused, now);
}

/* By threads of their own: however many names peers say, those of the configuration are looked up.
 */
static void look_up(struct engine *e, const struct ike_ask *ask)
{
	static const struct ike_answer unknown = {.allow = false};

	if (resolver_begin(e->peers_resolver, ask->id, ask->name))
		ike_answer(e->ike, ask->id, &unknown, engine_now(e));
}

/* Every peer that is authenticated may have what the configuration allows it. */
static void answer_now(struct engine *e, const struct ike_ask *ask)
{
	const bool authorize = ask->kind == IKE_ASK_AUTHORIZE;
	struct ike_answer answer;

	if (ask->kind == IKE_ASK_PUZZLE) {
		solve(e, ask);
		return;
	}
	if (ask->kind == IKE_ASK_RESOLVE) {
		look_up(e, ask);
		return;
	}
	if (!authorize && taken(e, ask))
		return;
	if (ask->kind == IKE_ASK_EAP_SERVER) {
		aaa_ask(e, ask);
		return;
	}
	if (answer_of(e, &answer, ask) && put_off(e, ask->id))
		return;
	/* Whoever decides, a key that is to be remembered is. */
	if (authorize && answer.allow && taken(e, ask))
		return;
	ike_answer(e->ike, ask->id, &answer, engine_now(e));
}

void asks_answer(struct engine *e, const struct ike_ask *ask)
{
	latches_conflict(e, ask);
	answer_now(e, ask);
	ask_fetched(e); /* others may have waited for the same */
}
