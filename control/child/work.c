/* SPDX-License-Identifier: Apache-2.0 */
#include "control/child/work.h"

#include "base/alloc.h"
#include "control/child/claims.h"
#include "control/child/ipcomp.h"
#include "control/child/sibling.h"
#include "control/child/traffic.h"
#include "control/ike/mif.h"
#include "control/ike/offer.h"

#include <stdio.h>

#define CHILD_CELLS 3 /* CHILD_ACTIVATE and two of CHILD_REMOVE */

/* make - with an inbound SPI, otherwise as `first`, whose configuration is counted. */
static enum err make(struct ike_sa *sa, struct child_work **out, const struct child_work *first)
{
	struct child_work *w = mem_alloc(sizeof(*w));
	enum err e;

	if (!w)
		return ERR_NOMEM;
	*w = *first;
	e = sa->e->env.spi_reserve(sa->e->env.ctx, &w->spi_in, w->replaces, w->worker);
	if (e) {
		mem_free(w);
		return e;
	}
	if (w->conf_ref)
		conf_get(w->conf_ref);
	wish_get(w->wish);
	*out = w;
	return ERR_OK;
}

enum err child_work_begin(struct ike_sa *sa, struct child_work **out, enum sa_kind kind,
			  const struct task *t)
{
	const struct child_work first = {.kind = kind,
					 .initiator = true,
					 .conf_ref = sa->conf,
					 .conf = t->child_conf,
					 .wish = t->wish,
					 .request = t->request,
					 .siblings = t->child_conf->per_cpu_sas &&
						     !wish_narrow(t->wish)};

	return make(sa, out, &first);
}

enum err child_work_asked(struct ike_sa *sa, struct child_work **out, enum sa_kind kind)
{
	const struct child_work first = {.kind = kind};

	return make(sa, out, &first);
}

enum err child_work_rekey(struct ike_sa *sa, struct child_work **out, bool initiator,
			  const struct ike_child *old)
{
	const struct child_work first = {.kind = SA_KIND_CHILD,
					 .initiator = initiator,
					 .conf_ref = old->conf_ref,
					 .conf = old->conf,
					 .wish = old->wish,
					 .replaces = old->id,
					 .worker = old->worker,
					 .siblings = old->siblings};

	return make(sa, out, &first);
}

enum err child_work_sibling(struct ike_sa *sa, struct child_work **out,
			    const struct ike_child *shared, uint32_t worker)
{
	const struct child_work first = {.kind = SA_KIND_CHILD,
					 .initiator = true,
					 .conf_ref = shared->conf_ref,
					 .conf = shared->conf,
					 .wish = shared->wish,
					 .like = shared->id,
					 .worker = worker,
					 .siblings = true};

	return make(sa, out, &first);
}

enum err child_work_move(struct ike_sa *sa, struct child_work *w)
{
	uint32_t spi;
	enum err e = sa->e->env.spi_reserve(sa->e->env.ctx, &spi, 0, w->worker);

	if (e)
		return e;
	sa->e->env.spi_release(sa->e->env.ctx, w->spi_in);
	w->spi_in = spi;
	return ERR_OK;
}

static void add_free(struct action_cell *c)
{
	if (!c)
		return;
	secret_fini(&c->child->key_in);
	secret_fini(&c->child->key_out);
	auth_proof_put(c->child->add.params.proof);
	conf_put(c->child->conf);
	mem_free(c->child->ts);
	mem_free(c->child);
	mem_free(c);
}

/* A prepared pair that was never started. */
static void unstarted_free(struct ike_child *c)
{
	if (!c)
		return;
	actions_release(&c->sa->e->actions, c->cells);
	peer_put(c->peer);
	wish_put(c->wish);
	conf_put(c->conf_ref);
	mem_free(c->ts);
	mem_free(c);
}

/* What was prepared, whole or in part, and was not handed over. */
static void unprepare(struct child_work *w)
{
	add_free(w->add);
	unstarted_free(w->child);
	w->add = NULL;
	w->child = NULL;
}

void child_work_free(struct ike_sa *sa, struct child_work *w)
{
	if (!w)
		return;
	if (w->spi_in)
		sa->e->env.spi_release(sa->e->env.ctx, w->spi_in);
	unprepare(w);
	dh_free(w->dh);
	secret_fini(&w->shared);
	ke_series_fini(&w->more);
	wish_put(w->wish);
	conf_put(w->conf_ref);
	secret_wipe(w, sizeof(*w));
	mem_free(w);
}

void child_work_closed(struct child_work *w, uint32_t spi)
{
	if (w->num_closed < ARRAY_LEN(w->closed))
		w->closed[w->num_closed++] = spi;
}

bool child_work_is_closed(const struct child_work *w)
{
	for (uint8_t i = 0; i < w->num_closed; i++)
		if (w->closed[i] == (uint32_t)w->chosen.spi)
			return true;
	return false;
}

/* ---- building -------------------------------------------------------------------------------- */

enum err child_offer(struct step *s, struct child_work *w, uint16_t group)
{
	uint32_t num;
	const struct conf_proposal *esp = wish_esp(&num, w->wish, w->conf);
	enum err e;

	e = ipcomp_offer(s, w);
	if (e)
		return e;
	sa_offer_build(&s->b, w->kind, w->spi_in, esp, num);
	if (w->kind == SA_KIND_CHILD) {
		e = nonce_fill(s->e, &w->ni);
		if (e)
			return e;
		wire_nonce_build(&s->b, nonce_bytes(&w->ni));
		w->group = group ? group : sa_first_dh(esp, num);
		if (w->group != DH_NONE) {
			e = dh_new(s->e->crypto, &w->dh, w->group);
			if (e)
				return e;
			wire_ke_build(&s->b, w->group, dh_public(w->dh));
		}
	}
	ipcomp_build(s, w);
	sibling_build(s, w);
	traffic_build(s, w);
	return ERR_OK;
}

void child_answer(struct step *s, struct child_work *w)
{
	if (w->more.done) {
		wire_ke_build(&s->b, dh_group(w->more.dh), dh_public(w->more.dh));
		return;
	}
	sa_answer_build(&s->b, &w->chosen, w->spi_in);
	if (w->kind == SA_KIND_CHILD) {
		wire_nonce_build(&s->b, nonce_bytes(&w->nr));
		if (w->dh)
			wire_ke_build(&s->b, w->chosen.dh, dh_public(w->dh));
	}
	ipcomp_build(s, w);
	sibling_build(s, w);
	traffic_build(s, w);
}

/* ---- responder ------------------------------------------------------------------------------- */

enum err child_bad_syntax(struct step *s, const char *what)
{
	return step_fail(s, IKE_REASON_MALFORMED, NOTIFY_INVALID_SYNTAX,
			 "the peer's %s payload does not follow the format", what);
}

static enum err no_proposal(struct step *s, const struct child_work *w,
			    const struct sa_payload *peer)
{
	char here[OFFER_TEXT_MAX], there[OFFER_TEXT_MAX];
	uint32_t num;
	const struct conf_proposal *esp = wish_esp(&num, w->wish, w->conf);

	step_offers(s, offer_text(here, w->kind, esp, num), offer_peer_text(there, peer));
	return step_fail_child(s, IKE_REASON_NO_PROPOSAL, NOTIFY_NO_PROPOSAL_CHOSEN,
			       "no ESP proposal of the peer is among `esp_proposals` of child %s "
			       "(NO_PROPOSAL_CHOSEN): add one of the peer's: %s",
			       w->conf->name, there);
}

/* The peer's share of a Diffie-Hellman exchange, if there is one (PFS). */
static enum err choose_dh(struct step *s, struct child_work *w, const struct wire_ke *ke)
{
	enum err e;

	if (w->chosen.dh == DH_NONE)
		return ERR_OK;
	if (w->chosen.dh != ke->group) {
		(void)step_fail_child(s, IKE_REASON_INVALID_KE, NOTIFY_INVALID_KE_PAYLOAD,
				      "group %u is asked for instead of %u", w->chosen.dh,
				      ke->group);
		s->fail.data = w->chosen.dh;
		return ERR_PEER;
	}
	e = dh_new(s->e->crypto, &w->dh, w->chosen.dh);
	if (!e)
		e = dh_compute_shared(w->dh, &w->shared, ke->value);
	return e == ERR_MALFORMED ? child_bad_syntax(s, "KE") : e;
}

static enum err parse_share(struct step *s, struct wire_ke *ke, struct nonce *nonce)
{
	struct bytes n;

	*ke = (struct wire_ke){.group = DH_NONE};
	if (wire_nonce_parse(&n, ike_msg_body(s->msg, PAYLOAD_NONCE)))
		return child_bad_syntax(s, "nonce");
	nonce_set(nonce, n);
	if (s->msg->present & PAYLOAD_BIT(PAYLOAD_KE) &&
	    wire_ke_parse(ke, ike_msg_body(s->msg, PAYLOAD_KE)))
		return child_bad_syntax(s, "KE");
	return ERR_OK;
}

/* note_tfc - a peer whose ESP does not look for where the inner packet ends gets no padding behind
 * it (RFC 7296 3.10.1). Ours does, so we never say so. */
static void note_tfc(const struct step *s, struct child_work *w)
{
	struct wire_notify n;

	w->no_tfc = wire_notify_find(&n, s->msg, NOTIFY_ESP_TFC_PADDING_NOT_SUPPORTED);
	if (w->no_tfc && w->conf->tfc_padding)
		LOG(INFO, CHD, s->sa->conn->name,
		    "%s: the peer takes no traffic flow padding: tfc_padding has no effect",
		    w->conf->name);
}

enum err child_choose(struct step *s, struct child_work *w)
{
	struct wire_ke ke = {.group = DH_NONE};
	const struct conf_proposal *esp;
	struct sa_payload offer;
	enum err e = ERR_OK;
	uint32_t num;

	if (sa_parse(&offer, ike_msg_body(s->msg, PAYLOAD_SA)))
		return child_bad_syntax(s, "SA");
	if (w->kind == SA_KIND_CHILD)
		e = parse_share(s, &ke, &w->ni);
	if (!e)
		e = traffic_choose(s, w);
	if (!e)
		e = claims_check(s, w);
	if (e)
		return e;
	note_tfc(s, w);
	esp = wish_esp(&num, w->wish, w->conf);
	if (sa_select(&w->chosen, &offer, w->kind, esp, num, ke.group))
		return no_proposal(s, w, &offer);
	e = ipcomp_choose(s, w);
	if (!e)
		e = sibling_choose(s, w);
	if (e || w->kind != SA_KIND_CHILD)
		return e;
	e = choose_dh(s, w, &ke);
	return e ? e : nonce_fill(s->e, &w->nr);
}

/* ---- initiator ------------------------------------------------------------------------------- */

static enum err take_dh(struct step *s, struct child_work *w, const struct wire_ke *ke)
{
	enum err e;

	if (w->chosen.dh == DH_NONE) /* the peer does without PFS, which we offered too */
		return ERR_OK;
	if (!w->dh || ke->group != w->chosen.dh || w->group != w->chosen.dh)
		return child_bad_syntax(s, "KE");
	secret_fini(&w->shared); /* of the same response, when memory was short the first time */
	e = dh_compute_shared(w->dh, &w->shared, ke->value);
	return e == ERR_MALFORMED ? child_bad_syntax(s, "KE") : e;
}

enum err child_take(struct step *s, struct child_work *w)
{
	char here[OFFER_TEXT_MAX], there[OFFER_TEXT_MAX];
	struct wire_ke ke = {.group = DH_NONE};
	struct sa_payload answer;
	uint32_t num;
	const struct conf_proposal *esp = wish_esp(&num, w->wish, w->conf);
	enum err e = ERR_OK;

	if (sa_parse(&answer, ike_msg_body(s->msg, PAYLOAD_SA)))
		return child_bad_syntax(s, "SA");
	if (sa_check(&w->chosen, &answer, w->kind, esp, num)) {
		step_offers(s, offer_text(here, w->kind, esp, num),
			    offer_peer_text(there, &answer));
		return step_fail_child(s, IKE_REASON_NO_PROPOSAL, NOTIFY_NO_PROPOSAL_CHOSEN,
				       "the peer chose ESP algorithms that child %s did not offer",
				       w->conf->name);
	}
	note_tfc(s, w);
	if (w->kind == SA_KIND_CHILD)
		e = parse_share(s, &ke, &w->nr);
	if (!e)
		e = traffic_take(s, w);
	if (!e)
		e = claims_check(s, w);
	if (!e)
		e = ipcomp_take(s, w);
	if (!e)
		e = sibling_take(s, w);
	if (!e && w->kind == SA_KIND_CHILD)
		e = take_dh(s, w, &ke);
	return e;
}

bool child_is_made(const struct child_work *w)
{
	return w->chosen.spi && !sa_next_addke(&w->chosen, 0);
}

enum err child_take_on(struct step *s, struct child_work *w)
{
	enum err e;

	if (sa_next_addke(&w->chosen, 0))
		return followup_send(s, &w->more, &w->chosen);
	e = child_prepare(s, w);
	return e ? e : step_ask(s, IKE_ASK_CHILD_ACCEPT);
}

/* ---- installing ------------------------------------------------------------------------------ */

static struct ts *join_ts(const struct child_work *w)
{
	struct ts *all = mem_alloc_array(w->local.num + w->remote.num, sizeof(*all));

	if (!all)
		return NULL;
	memcpy(all, w->local.ts, w->local.num * sizeof(*all));
	memcpy(all + w->local.num, w->remote.ts, w->remote.num * sizeof(*all));
	return all;
}

static uint64_t soft(struct ike_engine *e, uint64_t limit, uint64_t range)
{
	return limit > range ? limit - engine_spread(e, range) : limit;
}

static enum err make_child(struct step *s, struct child_work *w)
{
	const struct ike_child *old = w->replaces ? child_find(s->e, w->replaces) : NULL;
	struct ike_child *c = mem_alloc(sizeof(*c));

	if (!c)
		return ERR_NOMEM;
	c->sa = s->sa;
	c->peer = peer_get(s->sa->peer);
	c->conf_ref = conf_get(w->conf_ref);
	c->conf = w->conf;
	w->child = c;
	if (actions_promise(&s->e->actions, CHILD_CELLS))
		return ERR_NOMEM;
	c->cells = CHILD_CELLS;
	c->ts = join_ts(w);
	if (!c->ts)
		return ERR_NOMEM;
	c->num_local = w->local.num;
	c->num_remote = w->remote.num;
	c->seen_local = w->seen_local;
	c->seen_remote = w->seen_remote;
	c->spi_in = w->spi_in;
	c->spi_out = (uint32_t)w->chosen.spi;
	c->chosen = w->chosen;
	c->replaces = w->replaces;
	c->wish = wish_get(w->wish);
	c->asked = old ? old->asked : w->request;
	c->siblings = w->siblings;
	c->worker = w->worker;
	c->mode = w->transport ? SA_TRANSPORT : SA_TUNNEL;
	c->ipcomp = w->ipcomp;
	c->cpi_in = w->cpi_in;
	c->cpi_out = w->cpi_out;
	sa_chosen_text(c->proposal, &w->chosen);
	return ERR_OK;
}

static enum err make_keys(struct step *s, struct child_work *w, struct action_child *a)
{
	struct child_keys keys = {0};
	struct secret more = {0};
	enum err e = ke_series_join(&w->more, &more);

	if (e)
		return e;
	e = child_keys_derive(s->e->crypto, &keys, &s->sa->keys, w->chosen.encr,
			      nonce_bytes(&w->ni), nonce_bytes(&w->nr),
			      w->shared.len ? &w->shared : NULL, more.len ? &more : NULL);
	secret_fini(&more);
	if (e)
		return e;
	secret_move(w->initiator ? &a->key_out : &a->key_in, &keys.i2r);
	secret_move(w->initiator ? &a->key_in : &a->key_out, &keys.r2i);
	return ERR_OK;
}

static enum err make_add(struct step *s, struct child_work *w)
{
	struct action_cell *cell = mem_alloc(sizeof(*cell));
	struct action_child *a = mem_alloc(sizeof(*a));

	if (!cell || !a) {
		mem_free(cell);
		mem_free(a);
		return ERR_NOMEM;
	}
	cell->kind = IKE_ACTION_CHILD_ADD;
	cell->child = a;
	w->add = cell;
	a->ts = join_ts(w);
	if (!a->ts)
		return ERR_NOMEM;
	a->conf = conf_get(w->conf_ref);
	return make_keys(s, w, a);
}

static enum child_share share_of(const struct ike_engine *e, const struct ike_child *c)
{
	if (!c->siblings)
		return SHARE_ALL;
	return c->worker ? SHARE_OWNER : e->num_workers > 1 ? SHARE_ASK : SHARE_ALL;
}

/* WINDOW_AHEAD - packets that the replay window has room for where the peer may come by other
 * paths: what it sends by a quicker one is here before this side was told of it, and overtakes what
 * is under way by the one before. */
#define WINDOW_AHEAD 4096

static uint32_t window_of(const struct ike_sa *sa, const struct conf_child *conf)
{
	const uint32_t window = conf->replay_window;

	return sa->mif.on && window && window < WINDOW_AHEAD ? WINDOW_AHEAD : window;
}

static void fill_params(struct step *s, struct child_work *w, bool active)
{
	const struct conf_child *conf = w->conf;
	struct action_child *a = w->add->child;
	struct ike_child *c = w->child;

	a->add.peer = s->sa->peer->id;
	a->add.replaces = w->replaces;
	a->add.request = c->asked;
	a->add.narrow = wish_narrow(c->wish);
	a->add.conn = s->sa->conn->name;
	a->add.child = conf->name;
	a->add.params = (struct child_params){
		.id = c->id,
		.spi_in = c->spi_in,
		.spi_out = c->spi_out,
		.alg = encr_aead_alg(c->chosen.encr),
		.key_in = bytes_of(a->key_in.p, a->key_in.len),
		.key_out = bytes_of(a->key_out.p, a->key_out.len),
		.mode = c->mode,
		.seen_local = w->seen_local,
		.seen_remote = w->seen_remote,
		.copy_dscp = conf->copy_dscp,
		.copy_df = conf->copy_df,
		.mss_clamp = conf->mss_clamp,
		.tfc_padding = w->no_tfc || w->transport ? 0 : conf->tfc_padding,
		.dummies = conf->tfc_dummies,
		.dummy_len = conf->tfc_padding,
		.ipcomp = c->ipcomp,
		.cpi_in = c->cpi_in,
		.cpi_out = c->cpi_out,
		.mif = s->sa->mif.on,
		.esn = c->chosen.esn,
		.outbound_active = active,
		.replay_window = window_of(s->sa, conf),
		.lifetime = {.soft_bytes = soft(s->e, conf->rekey_bytes, conf->rand_bytes),
			     .hard_bytes = conf->life_bytes,
			     .soft_packets = soft(s->e, conf->rekey_packets, conf->rand_packets),
			     .hard_packets = conf->life_packets},
		.local = a->ts,
		.remote = a->ts + c->num_local,
		.num_local = c->num_local,
		.num_remote = c->num_remote,
		.proof = auth_proof_get(s->sa->proof),
		.worker = c->worker,
		.share = share_of(s->e, c),
	};
}

enum err child_prepare(struct step *s, struct child_work *w)
{
	enum err e;

	unprepare(w);
	e = make_child(s, w);
	return e ? e : make_add(s, w);
}

static struct ike_child *hand_over(struct step *s, struct child_work *w)
{
	struct ike_child *c = w->child;

	c->id = ++s->e->last_child;
	c->unique = ++s->e->last_child_unique;
	w->child = NULL;
	w->spi_in = 0;
	return c;
}

#define WHOSE_MAX 24

static const char *whose(char buf[static WHOSE_MAX], const struct ike_child *c)
{
	buf[0] = 0;
	if (c->worker)
		snprintf(buf, WHOSE_MAX, " for worker %u", c->worker - 1);
	return buf;
}

struct ike_child *child_install(struct step *s, struct child_work *w, bool active)
{
	struct ike_engine *e = s->e;
	struct ike_child *c = hand_over(s, w);
	char l[TS_TEXT_MAX], r[TS_TEXT_MAX], worker[WHOSE_MAX];
	struct action_cell *add = w->add;

	assert(s->sa->proof); /* S20 */
	peer_ready(s->sa);
	w->child = c;
	fill_params(s, w, active);
	w->child = NULL;
	w->add = NULL;
	add->id = c->id;
	list_push_back(&e->actions.queue, &add->node);
	if (e->env.keylog)
		e->env.keylog->child(e->env.keylog->ctx, &add->child->add.params, &s->sa->path);
	c->in = c->out = true;
	c->confirmed = w->initiator;
	child_start(c, active, s->now_ns);
	mif_tie_like(c, child_find(e, w->replaces ? w->replaces : w->like));
	action_event(s->sa, w->replaces ? IKE_EVENT_CHILD_REKEYED : IKE_EVENT_CHILD_UP, c,
		     IKE_REASON_NONE, w->request,
		     "child %s %s%s: %s%s%s, SPIs %08x (in) and %08x (out), %s === %s",
		     c->conf->name, w->replaces ? "re-keyed" : "installed", whose(worker, c),
		     c->proposal, c->mode == SA_TRANSPORT ? " in transport mode" : "",
		     c->ipcomp ? ", compressed" : "", c->spi_in, c->spi_out, ts_text(l, &c->ts[0]),
		     ts_text(r, &c->ts[c->num_local]));
	claims_take(s, c);
	return c;
}

void child_close_unused(struct step *s, struct child_work *w, enum ike_reason reason)
{
	struct ike_child *c = hand_over(s, w);

	c->spi_kept = true;
	c->redundant = true;
	child_start(c, false, s->now_ns);
	timer_cancel(&s->e->timers, &c->rekey_timer);
	if (child_delete(c, reason, 0))
		child_remove(c); /* the peer's liveness check or lifetime ends its half */
}
