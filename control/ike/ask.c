/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/ask.h"

#include "control/ike/eap.h"
#include "control/auth/outside.h"
#include "control/child/work.h"

/* ASK_NS - an answer that takes longer is a refusal; the peer's patience is longer. */
#define ASK_NS (20 * NS_PER_S)
/* SOLVE_NS - for a puzzle it may be longer: the request is repeated meanwhile, and a true answer to
 * it is taken. It is less than a puzzle is good for (admit.c). */
#define SOLVE_NS (40 * NS_PER_S)

static struct exchange *exchange_of(struct ask_slot *slot)
{
	return container_of(slot, struct exchange, ask);
}

static struct ask_slot *other(struct ask_slot *slot)
{
	struct ike_sa *sa = slot->sa;

	return slot == &sa->in.x.ask ? &sa->out.x.ask : &sa->in.x.ask;
}

const struct ike_ask *ask_find(const struct ike_engine *e, uint64_t id)
{
	struct htab_node *n = htab_find(&e->asks, bytes_of(&id, sizeof(id)));

	return n ? &container_of(n, struct ask_slot, node)->ask : NULL;
}

const struct ike_ask *ike_ask_open(const struct ike_engine *e, uint64_t id)
{
	return ask_find(e, id);
}

/* The action's cell was promised by step_ask(). */
static void put(struct ask_slot *slot, uint64_t now_ns)
{
	struct ike_engine *e = slot->sa->e;

	slot->waiting = false;
	slot->open = true;
	slot->ask.deadline_ns = now_ns + (slot->ask.kind == IKE_ASK_PUZZLE ? SOLVE_NS : ASK_NS);
	htab_insert(&e->asks, &slot->node, bytes_of(&slot->ask.id, sizeof(slot->ask.id)));
	timer_set(&e->timers, &slot->timer, slot->ask.deadline_ns);
	(void)action_simple(&e->actions, IKE_ACTION_ASK, slot->ask.id);
}

/* Take the question back, leaving the slot free. */
static void withdraw(struct ask_slot *slot)
{
	struct ike_engine *e = slot->sa->e;

	if (slot->waiting)
		actions_release(&e->actions, 1);
	slot->waiting = false;
	if (!slot->open)
		return;
	slot->open = false;
	htab_remove(&e->asks, &slot->node);
	timer_cancel(&e->timers, &slot->timer);
	action_drop_ask(&e->actions, slot->ask.id);
}

void ask_close(struct ask_slot *slot)
{
	withdraw(slot);
	if (other(slot)->waiting)
		put(other(slot), slot->sa->e->now_ns);
}

static void answered(struct ask_slot *slot, const struct ike_answer *answer, uint64_t now_ns)
{
	enum ike_ask_kind kind = slot->ask.kind;
	struct ike_sa *sa = slot->sa;

	ask_close(slot);
	step_answer(sa, exchange_of(slot), kind, answer, now_ns);
	step_task(sa, now_ns);
}

static void expired(struct timer *t, uint64_t now_ns)
{
	static const struct ike_answer refused = {.allow = false};

	answered(container_of(t, struct ask_slot, timer), &refused, now_ns);
}

void ask_init(struct ask_slot *slot, struct ike_sa *sa)
{
	slot->sa = sa;
	timer_init(&slot->timer, expired);
}

static void fill_signature(const struct ike_sa *sa, struct ike_ask *ask)
{
	const struct handshake *hs = sa->hs;

	ask->config = sa->conn;
	ask->octets = bytes_of(hs->octets, hs->octets_len);
	ask->peer_hashes = hs->peer_hashes;
	ask->peer_schemes = hs->announced.schemes;
	ask->asked_x509 = hs->asked_x509;
	ask->asked_raw = hs->asked_raw;
	ask->asked_ocsp = hs->asked_ocsp;
	ask->peer_fetches = hs->peer_fetches;
	ask->authorities = bytes_of(hs->authorities, hs->authorities_len);
	ask->certs = hs->certs;
	ask->num_certs = hs->num_certs;
}

/* A client's certificate is that of its name in EAP; the peer's are those that it showed there. */
static void fill_eap(const struct ike_sa *sa, struct ike_ask *ask)
{
	if (ask->kind == IKE_ASK_EAP_SECRET || ask->kind == IKE_ASK_EAP_SERVER)
		ask->eap_id = eap_identity(sa->hs->eap);
	if (ask->kind == IKE_ASK_EAP_SERVER) {
		ask->eap_name = eap_name(sa->hs->eap);
		ask->eap_packet = eap_relayed(sa->hs->eap);
		ask->aaa_token = eap_token(sa->hs->eap);
		ask->path = &sa->path;
	}
	if (ask->kind == IKE_ASK_EAP_KEY)
		ask->config = sa->conn;
	if (ask->kind == IKE_ASK_EAP_KEY && sa->initiator)
		ask->local_id = eap_identity(sa->hs->eap);
	if (ask->kind != IKE_ASK_VERIFY_CHAIN)
		return;
	ask->num_certs = eap_asked_certs(sa, sa->hs->eap_certs, &ask->peer_id);
	ask->certs = sa->hs->eap_certs;
}

/* A child's own request, or whoever wants the IKE SA. */
static uint64_t request_of(const struct step *s)
{
	const struct ike_sa *sa = s->sa;

	if (s->x != &sa->out.x)
		return 0;
	return s->x->child ? s->x->child->request : sa->state < SA_ESTABLISHED ? sa->request : 0;
}

static void fill(struct step *s, struct ike_ask *ask, enum ike_ask_kind kind)
{
	const struct child_work *w = s->x->child;
	const struct ike_sa *sa = s->sa;

	*ask = (struct ike_ask){.id = ++s->e->last_ask,
				.kind = kind,
				.request = request_of(s),
				.conn = sa->conn->name,
				.local_id = &sa->local_id,
				.peer_id = &sa->remote_id,
				.proof = sa->proof};
	if (kind == IKE_ASK_SIGN || kind == IKE_ASK_VERIFY_CHAIN)
		fill_signature(sa, ask);
	if (kind == IKE_ASK_PPK)
		ask->ppk_id = &sa->hs->ppk.id;
	if (kind == IKE_ASK_PUZZLE)
		ask->puzzle = &sa->hs->puzzle.asked;
	if (kind == IKE_ASK_RESOLVE)
		ask->name = (const char *)sa->out.task->data;
	if (sa->hs && sa->hs->eap)
		fill_eap(sa, ask);
	if (kind != IKE_ASK_CHILD_ACCEPT)
		return;
	ask->child = w->conf->name;
	ask->local = w->local.ts;
	ask->num_local = w->local.num;
	ask->remote = w->remote.ts;
	ask->num_remote = w->remote.num;
}

enum err step_ask(struct step *s, enum ike_ask_kind kind)
{
	struct ask_slot *slot = &s->x->ask;

	assert(!slot->open && !slot->waiting);
	if (actions_promise(&s->e->actions, 1))
		return ERR_NOMEM;
	s->asked = true;
	fill(s, &slot->ask, kind);
	if (other(slot)->open)
		slot->waiting = true;
	else
		put(slot, s->now_ns);
	return ERR_OK;
}

void step_pass(struct step *s, enum ike_ask_kind kind)
{
	s->pass = true;
	s->pass_kind = kind;
}

void ike_answer(struct ike_engine *e, uint64_t id, const struct ike_answer *answer, uint64_t now_ns)
{
	struct htab_node *n = htab_find(&e->asks, bytes_of(&id, sizeof(id)));
	struct outside outside;

	e->now_ns = now_ns;
	if (n) {
		struct ask_slot *slot = container_of(n, struct ask_slot, node);

		outside_take(&outside, &slot->ask, answer);
		answered(slot, &outside.answer, now_ns);
	}
	engine_sweep(e, now_ns);
}
