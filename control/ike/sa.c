/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/sa.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "control/auth/eap/eap.h"
#include "control/child/child.h"
#include "control/child/work.h"
#include "control/ike/ask.h"
#include "control/ike/auth.h"
#include "control/ike/auth_life.h"
#include "control/ike/candidates.h"
#include "control/ike/followup.h"
#include "control/ike/halfopen.h"
#include "control/ike/index.h"
#include "control/ike/intermediate.h"
#include "control/ike/lifetime.h"
#include "control/ike/mif.h"
#include "control/ike/ppk.h"
#include "control/ike/reauth.h"
#include "control/ike/resume.h"
#include "control/ike/rekey_work.h"
#include "control/ike/step.h"
#include "control/ike/task.h"
#include "control/ike/vips.h"
#include "control/ike/window.h"

static void insert_sorted(struct ike_engine *e, struct ike_sa *sa)
{
	sa->unique = ++e->last_unique;
	list_push_back(&e->sas, &sa->node);
}

static enum err take_spi(struct ike_sa *sa)
{
	uint64_t spi;
	enum err e = slots_reserve(sa->e->spis, &spi);

	if (e)
		return e;
	if (sa->initiator)
		sa->spi_i = spi;
	else
		sa->spi_r = spi;
	slots_publish(sa->e->spis, spi, sa);
	return ERR_OK;
}

enum err sa_new(struct ike_engine *e, struct ike_sa **out, bool initiator, struct conf *conf,
		const struct conf_conn *conn)
{
	struct sa_named *named = mem_alloc(sizeof(*named));
	struct ike_sa *sa = mem_alloc(sizeof(*sa));
	enum err err = ERR_NOMEM;

	if (named && sa) {
		sa->e = e;
		sa->initiator = initiator;
		err = take_spi(sa);
	}
	if (err) {
		mem_free(named);
		mem_free(sa);
		return err;
	}
	sa->named = named;
	named->sa = sa;
	sa->conf = conf ? conf_get(conf) : NULL;
	sa->conn = conn;
	list_init(&sa->children);
	window_init(sa);
	tasks_init(sa);
	ask_init(&sa->in.x.ask, sa);
	ask_init(&sa->out.x.ask, sa);
	lifetime_init(sa);
	auth_life_init(sa);
	insert_sorted(e, sa);
	*out = sa;
	return ERR_OK;
}

void sa_handshake_free(struct ike_sa *sa)
{
	struct handshake *hs = sa->hs;

	if (!hs)
		return;
	dh_free(hs->dh);
	intermediate_free(hs->between);
	mem_free(hs->request);
	mem_free(hs->request2);
	mem_free(hs->response);
	mem_free(hs->octets);
	mem_free(hs->elsewhere);
	auth_certs_free(hs->certs, &hs->num_certs);
	auth_certs_free(hs->own_certs, &hs->num_own_certs);
	candidates_free(hs->candidates);
	eap_free(hs->eap);
	ppk_fini(&hs->ppk);
	resume_fini(&hs->resume);
	mem_free(hs->eap_first);
	secret_wipe(hs, sizeof(*hs));
	mem_free(hs);
	sa->hs = NULL;
}

void sa_free(struct ike_sa *sa)
{
	assert(list_empty(&sa->children));
	list_remove(&sa->node);
	sa_handshake_free(sa);
	mif_end(sa);
	ike_aead_free(sa->seal);
	ike_aead_free(sa->open);
	ike_keys_fini(&sa->keys);
	auth_proof_put(sa->proof);
	auth_proof_put(sa->reauth_proof);
	peer_put(sa->peer);
	conf_put(sa->conf);
	mem_free(sa->end_text);
	mem_free(sa->named);
	mem_free(sa);
}

uint64_t sa_our_spi(const struct ike_sa *sa)
{
	return sa->initiator ? sa->spi_i : sa->spi_r;
}

uint64_t sa_peer_spi(const struct ike_sa *sa)
{
	return sa->initiator ? sa->spi_r : sa->spi_i;
}

struct ike_sa *sa_by_spi(const struct ike_engine *e, uint64_t spi)
{
	return slots_get(e->spis, spi);
}

const char *sa_state_name(enum sa_state s)
{
	static const char *const names[SA_NUM_STATES] = {
		[SA_NONE] = "NONE",
		[SA_I_INIT] = "I_INIT",
		[SA_I_FIND] = "I_FIND",
		[SA_I_JUDGE] = "I_JUDGE",
		[SA_I_RESUME] = "I_RESUME",
		[SA_I_RESUMED] = "I_RESUMED",
		[SA_I_PUZZLE] = "I_PUZZLE",
		[SA_I_PPK] = "I_PPK",
		[SA_I_SECRET] = "I_SECRET",
		[SA_I_AUTH] = "I_AUTH",
		[SA_I_VERIFY] = "I_VERIFY",
		[SA_I_AUTHORIZE] = "I_AUTHORIZE",
		[SA_I_ACCEPT] = "I_ACCEPT",
		[SA_I_EAP_SERVER] = "I_EAP_SERVER",
		[SA_I_EAP_WORK] = "I_EAP_WORK",
		[SA_I_EAP] = "I_EAP",
		[SA_R_INIT] = "R_INIT",
		[SA_R_RESUMED] = "R_RESUMED",
		[SA_R_JUDGE] = "R_JUDGE",
		[SA_R_PPK] = "R_PPK",
		[SA_R_VERIFY] = "R_VERIFY",
		[SA_R_EAP_PPK] = "R_EAP_PPK",
		[SA_R_AUTHORIZE] = "R_AUTHORIZE",
		[SA_R_SIGN] = "R_SIGN",
		[SA_R_EAP_SIGN] = "R_EAP_SIGN",
		[SA_R_EAP] = "R_EAP",
		[SA_R_EAP_WORK] = "R_EAP_WORK",
		[SA_R_ACCEPT] = "R_ACCEPT",
		[SA_ESTABLISHED] = "ESTABLISHED",
		[SA_REKEYED] = "REKEYED",
		[SA_DELETING] = "DELETING",
		[SA_DEAD] = "DEAD",
	};

	return (unsigned)s < SA_NUM_STATES ? names[s] : "?";
}

enum err sa_keys_install(struct ike_sa *sa)
{
	const struct ike_keys *k = &sa->keys;
	struct crypto_ctx *c = sa->e->crypto;
	const struct secret *ours = sa->initiator ? &k->sk_ei : &k->sk_er;
	const struct secret *theirs = sa->initiator ? &k->sk_er : &k->sk_ei;
	struct ike_aead *seal, *open;
	enum err e = ike_aead_new(c, &seal, k->encr, ours);

	if (e)
		return e;
	e = ike_aead_new(c, &open, k->encr, theirs);
	if (e) {
		ike_aead_free(seal);
		return e;
	}
	sa->seal = seal;
	sa->open = open;
	if (sa->e->env.keylog)
		sa->e->env.keylog->ike_sa(sa->e->env.keylog->ctx, sa->spi_i, sa->spi_r,
					  bytes_of(k->sk_ei.p, k->sk_ei.len),
					  bytes_of(k->sk_er.p, k->sk_er.len), sa->proposal);
	return ERR_OK;
}

static void report_end(struct ike_sa *sa, const char *text)
{
	struct ike_engine *e = sa->e;

	if (sa->ended || sa->quiet)
		return;
	if (sa->was_up) {
		action_event(sa, IKE_EVENT_IKE_DOWN, NULL, sa->reason, sa->request, "%s", text);
		return;
	}
	e->stats.failed++;
	if (sa->initiator || sa->proof || log_limited(&e->log_limit, 20, e->now_ns))
		action_event(sa, IKE_EVENT_FAILED, NULL, sa->reason, sa->request, "%s", text);
}

/* Nothing may fire or be found any more. */
static void detach(struct ike_sa *sa)
{
	struct ike_engine *e = sa->e;

	ask_close(&sa->in.x.ask);
	ask_close(&sa->out.x.ask);
	child_work_free(sa, sa->in.x.child);
	child_work_free(sa, sa->out.x.child);
	rekey_work_free(sa, sa->in.x.rekey);
	rekey_work_free(sa, sa->out.x.rekey);
	sa->in.x.child = sa->out.x.child = NULL;
	sa->in.x.rekey = sa->out.x.rekey = NULL;
	followup_drop(sa);
	window_fini(sa);
	lifetime_fini(sa);
	auth_life_fini(sa);
	timer_cancel(&e->timers, &sa->task_timer);
	halfopen_leave(sa);
	sa_index_leave(sa);
	slots_withdraw(e->spis, sa_our_spi(sa));
	slots_release(e->spis, sa_our_spi(sa));
}

void sa_kill(struct ike_sa *sa, enum ike_reason reason, const char *text, uint64_t now_ns)
{
	char why[300];

	(void)now_ns;
	if (sa->state == SA_DEAD)
		return;
	snprintf(why, sizeof(why), "%s", text ? text : "");
	sa->reason = reason;
	if (!sa->quiet)
		rekey_settle(sa, reason != IKE_REASON_LOCAL);
	children_remove_all(sa, reason);
	vips_drop(sa);
	vips_lend_end(sa);
	reauth_gone(sa);
	resume_end(sa, reason);
	report_end(sa, why);
	tasks_fail(sa, reason, why[0] ? why : "its IKE SA is gone");
	detach(sa);
	sa->state = SA_DEAD;
	sa->next_dead = sa->e->dead;
	sa->e->dead = sa;
}

void sa_say_end(struct ike_sa *sa, enum ike_reason reason, const char *fmt, ...)
{
	char text[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	mem_free(sa->end_text);
	sa->end_text = str_dup(text);
	sa->reason = reason;
}

void sa_end(struct ike_sa *sa, uint64_t now_ns)
{
	sa_kill(sa, sa->reason, sa->end_text, now_ns);
}

void sa_established(struct ike_sa *sa, uint64_t now_ns)
{
	timer_cancel(&sa->e->timers, &sa->state_timer);
	halfopen_authenticated(sa);
	sa_index_enter(sa);
	sa->was_up = true;
	sa->established_ns = now_ns;
	sa->seen_ns = now_ns;
	sa->e->stats.ike_established++;
	sa->e->had_unproven |= conf_auth_rank(sa->conn->remote.auth) < CONF_RANK_PROVEN;
	lifetime_start(sa, now_ns);
}

uint64_t sa_unconfirmed_until(const struct ike_sa *sa)
{
	return sa->confirmed ? 0 : sa->established_ns + SA_CONFIRM_NS;
}

void sa_confirm(struct ike_sa *sa)
{
	if (sa->confirmed)
		return;
	sa->confirmed = true;
	step_task_later(sa);
}

bool sa_usable(const struct ike_sa *sa)
{
	return sa->state == SA_ESTABLISHED && !sa->quiet && !task_find(sa, TASK_IKE_DELETE, 0);
}

/* ---- path sets ------------------------------------------------------------------------------- */

#define PEER_CELLS 2 /* PATHSET_ADD and PATHSET_REMOVE */

enum err peer_new(struct ike_engine *e, struct ike_peer **out)
{
	struct ike_peer *p = mem_alloc(sizeof(*p));

	if (!p)
		return ERR_NOMEM;
	if (actions_promise(&e->actions, PEER_CELLS)) {
		mem_free(p);
		return ERR_NOMEM;
	}
	*p = (struct ike_peer){.e = e, .id = ++e->last_peer, .refs = 1};
	*out = p;
	return ERR_OK;
}

struct ike_peer *peer_get(struct ike_peer *p)
{
	p->refs++;
	return p;
}

void peer_put(struct ike_peer *p)
{
	if (!p || --p->refs)
		return;
	if (p->added)
		(void)action_simple(&p->e->actions, IKE_ACTION_PATHSET_REMOVE, p->id);
	else
		actions_release(&p->e->actions, PEER_CELLS);
	mem_free(p);
}

enum path_encap sa_esp_encap(const struct ike_sa *sa)
{
	bool udp = sa->nat_local || sa->nat_remote || sa->udp_wanted;

	return udp && sa->path.encap == ENCAP_UDP ? ENCAP_UDP : ENCAP_NONE;
}

void peer_ready(struct ike_sa *sa)
{
	struct action_cell *c;

	if (sa->peer->added)
		return;
	sa->peer->added = true;
	c = action_simple(&sa->e->actions, IKE_ACTION_PATHSET_ADD, sa->peer->id);
	c->path = sa->path;
	c->path.encap = (uint8_t)sa_esp_encap(sa);
	c->port = sa->port;
	mif_announce(sa);
}
