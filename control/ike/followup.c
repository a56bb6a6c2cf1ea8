/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/followup.h"

#include "base/alloc.h"
#include "control/child/work.h"
#include "control/ike/handlers.h"
#include "control/ike/rekey_work.h"

/* FOLLOWUP_NS - how long a responder waits for the next key exchange (RFC 9370 2.2.4: 5 to 20 s).
 */
#define FOLLOWUP_NS (20 * NS_PER_S)

/* struct link - what the peer names an exchange by. */
struct link {
	struct be32 serial;
	uint8_t done;
};

struct followup {
	struct ike_sa *sa;
	enum task_kind kind;      /* of the exchange that began it */
	struct child_work *child; /* one of the two */
	struct rekey_work *rekey;
	uint32_t serial;
	struct timer timer;
};

/* ---- both ------------------------------------------------------------------------------------ */

void ke_series_fini(struct ke_series *k)
{
	for (unsigned i = 0; i < CONF_MAX_ADDKE; i++)
		secret_fini(&k->shared[i]);
	dh_free(k->dh);
	*k = (struct ke_series){0};
}

enum err ke_series_join(const struct ke_series *k, struct secret *out)
{
	struct secret all = {0};
	size_t len = 0;
	enum err e;

	for (unsigned i = 0; i < k->done; i++)
		len += k->shared[i].len;
	if (!len)
		return ERR_OK;
	e = secret_init(&all, len);
	if (e)
		return e;
	len = 0;
	for (unsigned i = 0; i < k->done; i++) {
		memcpy(all.p + len, k->shared[i].p, k->shared[i].len);
		len += k->shared[i].len;
	}
	secret_move(out, &all);
	return ERR_OK;
}

void ke_series_undo(struct ke_series *k)
{
	secret_fini(&k->shared[--k->done]);
}

static enum err bad_share(struct step *s, uint16_t method)
{
	char name[WIRE_NAME_MAX];

	return step_fail(
		s, IKE_REASON_MALFORMED, NOTIFY_INVALID_SYNTAX,
		"the peer's key share of the additional key exchange %s is of another one, "
		"or cannot be used",
		wire_transform_name(name, TRANSFORM_DH, method));
}

/* ---- initiator ------------------------------------------------------------------------------- */

static enum err take_link(struct step *s, struct ke_series *k)
{
	struct wire_notify n;

	if (!wire_notify_find(&n, s->msg, NOTIFY_ADDITIONAL_KEY_EXCHANGE) ||
	    n.data.len > sizeof(k->link))
		return step_fail_child(s, IKE_REASON_PEER_ERROR, 0,
				       "the peer agreed to an additional key exchange and does not "
				       "say by what to name it (N(ADDITIONAL_KEY_EXCHANGE))");
	if (n.data.len)
		memcpy(k->link, n.data.p, n.data.len);
	k->link_len = n.data.len;
	return ERR_OK;
}

enum err followup_send(struct step *s, struct ke_series *k, const struct sa_chosen *chosen)
{
	struct dh *dh = NULL;
	enum err e = take_link(s, k);

	if (!e)
		e = dh_new(s->e->crypto, &dh, sa_next_addke(chosen, k->done));
	if (e)
		return e;
	step_request(s, IKE_FOLLOWUP_KE);
	wire_ke_build(&s->b, dh_group(dh), dh_public(dh));
	wire_notify_build(&s->b, NOTIFY_ADDITIONAL_KEY_EXCHANGE, bytes_of(k->link, k->link_len));
	e = step_finish(s);
	if (e) {
		dh_free(dh);
		return e;
	}
	dh_free(k->dh);
	k->dh = dh;
	return ERR_OK;
}

enum err followup_take(struct step *s, bool *out_more, struct ke_series *k,
		       const struct sa_chosen *chosen)
{
	const uint16_t method = sa_next_addke(chosen, k->done);
	struct wire_ke ke;
	enum err e = ERR_MALFORMED;

	*out_more = false;
	if (!k->dh || method == DH_NONE)
		return ERR_BAD_STATE;
	if (!wire_ke_parse(&ke, ike_msg_body(s->msg, PAYLOAD_KE)) && ke.group == method)
		e = dh_compute_shared(k->dh, &k->shared[k->done], ke.value);
	if (e)
		return e == ERR_MALFORMED ? bad_share(s, method) : e;
	k->done++;
	if (sa_next_addke(chosen, k->done) == DH_NONE)
		return ERR_OK;
	e = followup_send(s, k, chosen);
	if (e)
		ke_series_undo(k);
	*out_more = !e;
	return e;
}

/* ---- responder ------------------------------------------------------------------------------- */

static struct ke_series *series_of(const struct followup *f)
{
	return f->child ? &f->child->more : &f->rekey->more;
}

static const struct sa_chosen *chosen_of(const struct followup *f)
{
	return f->child ? &f->child->chosen : &f->rekey->sa->suite;
}

static void build_link(struct step *s, const struct followup *f)
{
	const struct link link = {be32_make(f->serial), series_of(f)->done};

	wire_notify_build(&s->b, NOTIFY_ADDITIONAL_KEY_EXCHANGE, bytes_of(&link, sizeof(link)));
}

static bool is_next(const struct followup *f, struct bytes data)
{
	const struct link link = {be32_make(f->serial), series_of(f)->done};

	return bytes_equal(data, bytes_of(&link, sizeof(link)));
}

void followup_drop(struct ike_sa *sa)
{
	struct followup *f = sa->followup;

	if (!f)
		return;
	sa->followup = NULL;
	timer_cancel(&sa->e->timers, &f->timer);
	child_work_free(sa, f->child);
	rekey_work_free(sa, f->rekey);
	mem_free(f);
	step_task_later(sa);
}

static void expire(struct timer *t, uint64_t now_ns)
{
	struct followup *f = container_of(t, struct followup, timer);

	(void)now_ns;
	LOG(INFO, IKE, f->sa->conn->name,
	    "[%u] the peer did not go on with the additional key exchanges that it wanted",
	    f->sa->unique);
	followup_drop(f->sa);
}

static void rearm(struct followup *f, uint64_t now_ns)
{
	timer_set(&f->sa->e->timers, &f->timer, now_ns + FOLLOWUP_NS);
}

enum err followup_await(struct step *s)
{
	struct followup *f = mem_alloc(sizeof(*f));
	enum err e;

	if (!f)
		return ERR_NOMEM;
	*f = (struct followup){.sa = s->sa,
			       .kind = s->x->kind,
			       .child = s->x->child,
			       .rekey = s->x->rekey,
			       .serial = ++s->e->last_followup};
	build_link(s, f);
	e = step_finish(s);
	if (e) {
		mem_free(f);
		return e;
	}
	followup_drop(s->sa);
	timer_init(&f->timer, expire);
	rearm(f, s->now_ns);
	s->sa->followup = f;
	s->x->child = NULL;
	s->x->rekey = NULL;
	return ERR_OK;
}

struct rekey_work *followup_of_ike(const struct ike_sa *sa)
{
	return sa->followup ? sa->followup->rekey : NULL;
}

struct child_work *followup_of_child(const struct ike_sa *sa, uint64_t replaces)
{
	struct child_work *w = sa->followup ? sa->followup->child : NULL;

	return w && replaces && w->replaces == replaces ? w : NULL;
}

/* Our share of the key exchange that the request is for. Errors: PEER, NOMEM, CRYPTO. */
static enum err share(struct step *s, struct followup *f)
{
	struct ke_series *k = series_of(f);
	const uint16_t method = sa_next_addke(chosen_of(f), k->done);
	struct dh *dh = NULL;
	struct wire_ke ke;
	enum err e = ERR_MALFORMED;

	if (!wire_ke_parse(&ke, ike_msg_body(s->msg, PAYLOAD_KE)) && ke.group == method)
		e = dh_respond(s->e->crypto, &dh, &k->shared[k->done], method, ke.value);
	if (e)
		return e == ERR_MALFORMED ? bad_share(s, method) : e;
	dh_free(k->dh);
	k->dh = dh;
	k->done++;
	return ERR_OK;
}

static enum err go_on(struct step *s, struct followup *f)
{
	struct ke_series *k = series_of(f);
	enum err e;

	step_reply(s);
	wire_ke_build(&s->b, dh_group(k->dh), dh_public(k->dh));
	build_link(s, f);
	e = step_finish(s);
	if (!e)
		rearm(f, s->now_ns);
	s->stay = true;
	return e;
}

/* The last one: what was negotiated is made now, as if in one exchange. Whether a Child SA is
 * welcome is asked once more: what it is for may be another's by now. */
static enum err complete(struct step *s, struct followup *f)
{
	s->x->kind = f->kind;
	s->x->child = f->child;
	s->x->rekey = f->rekey;
	if (f->rekey)
		return ike_rekey_complete(s);
	return step_ask(s, IKE_ASK_CHILD_ACCEPT);
}

/* The work is the exchange's now, which ends it. */
static void hand_over(struct followup *f)
{
	f->child = NULL;
	f->rekey = NULL;
	followup_drop(f->sa);
}

/* Memory is short: the request comes again. */
static void take_back(struct step *s, struct followup *f)
{
	s->x->child = NULL;
	s->x->rekey = NULL;
	ke_series_undo(series_of(f));
}

static enum err unknown(struct step *s)
{
	return step_fail_child(s, IKE_REASON_PEER_ERROR, NOTIFY_STATE_NOT_FOUND,
			       "the peer goes on with an additional key exchange that is not known "
			       "here (any more): it is to begin again");
}

enum err followup_request(struct step *s)
{
	struct followup *f = s->sa->followup;
	struct wire_notify n;
	bool more;
	enum err e;

	if (!f || !wire_notify_find(&n, s->msg, NOTIFY_ADDITIONAL_KEY_EXCHANGE) ||
	    !is_next(f, n.data))
		return unknown(s);
	e = share(s, f);
	if (e)
		return e;
	more = sa_next_addke(chosen_of(f), series_of(f)->done) != DH_NONE;
	e = more ? go_on(s, f) : complete(s, f);
	if (e && s->fail.reason == IKE_REASON_NONE)
		take_back(s, f);
	else if (!more)
		hand_over(f);
	return e;
}
