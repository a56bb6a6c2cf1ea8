/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/redirect.h"

#include "base/alloc.h"
#include "control/ike/core.h"
#include "control/ike/handlers.h"
#include "control/ike/index.h"
#include "control/ike/reauth.h"
#include "control/ike/resume.h"
#include "control/ike/sa_init.h"
#include "control/ike/task.h"
#include "control/ike/wire/gateway.h"

/* REDIRECTS_MAX - that are followed in a row within LOOP_NS (RFC 5685 7). */
#define REDIRECTS_MAX 5
#define LOOP_NS       (300 * NS_PER_S)
/* LEFT_NS - who was sent elsewhere in IKE_AUTH closes the IKE SA, or it is closed here. */
#define LEFT_NS (10 * NS_PER_S)
/* PEER_LINES_PER_S - lines that a peer can cause at will. */
#define PEER_LINES_PER_S 20

/* ---- who follows ----------------------------------------------------------------------------- */

static void gateway_of(struct wire_gateway *out, const struct ip_addr *a)
{
	out->type = a->family == IP_V4 ? GATEWAY_IPV4 : GATEWAY_IPV6;
	out->name = bytes_of(a->b, ip_addr_len(a));
	out->nonce = bytes_of(NULL, 0);
}

void redirect_show(struct step *s)
{
	const struct ike_sa *sa = s->sa;
	struct wire_gateway from;

	if (!sa->conn->follow_redirects)
		return;
	if (sa->redirect.from.family == IP_NONE) {
		wire_notify_build(&s->b, NOTIFY_REDIRECT_SUPPORTED, bytes_of(NULL, 0));
		return;
	}
	gateway_of(&from, &sa->redirect.from);
	wire_gateway_build(&s->b, NOTIFY_REDIRECTED_FROM, &from);
}

/* Where this connection goes to reach another gateway at its first port. */
static enum err path_to(const struct ike_sa *sa, struct path_addr *out, const struct ip_addr *to)
{
	const struct ike_env *env = &sa->e->env;
	const struct conf_conn *conn = sa->conn;

	*out = (struct path_addr){.local = {.addr = sa->path.local.addr, .port = 500},
				  .remote = {.addr = *to, .port = conn->remote_port}};
	if (sa->conf->daemon.port)
		out->local.port = sa->conf->daemon.port;
	if (conn->remote_port != 500) {
		out->local.port = sa->conf->daemon.port_nat_t;
		out->encap = ENCAP_UDP;
	}
	if (env->source_for)
		return env->source_for(env->ctx, &out->local.addr, conn, to);
	return to->family == out->local.addr.family ? ERR_OK : ERR_NOT_FOUND;
}

/* The same, if it can be a gateway's address, and another one's than that of who names it. */
static enum err path_from(const struct ike_sa *sa, struct path_addr *out, const struct ip_addr *to,
			  const struct ip_addr *from)
{
	if (to->family == IP_NONE)
		return ERR_UNSUPPORTED;
	if (!conf_is_host(to))
		return ERR_MALFORMED;
	return ip_addr_equal(to, from) ? ERR_INVAL : path_to(sa, out, to);
}

/* One more: not for ever, round and round (RFC 5685 7). */
static enum err count(struct sa_redirect *r, uint64_t now_ns)
{
	if (!r->num || now_ns - r->since_ns > LOOP_NS) {
		r->num = 0;
		r->since_ns = now_ns;
	}
	if (r->num >= REDIRECTS_MAX)
		return ERR_LIMIT;
	r->num++;
	return ERR_OK;
}

static const char *why_not(enum err e)
{
	switch ((int)e) {
	case ERR_PERM:
		return "set `follow_redirects = yes` if it is to be followed";
	case ERR_UNSUPPORTED:
		return "its name cannot be resolved: check it and the resolver";
	case ERR_LIMIT:
		return "it is the sixth within 300 s: the gateways send this host round and round";
	case ERR_NOT_FOUND:
		return "there is no route to it from here";
	case ERR_EXISTS:
		return "another IKE SA that is to be in the place of this one is being made";
	case ERR_INVAL:
		return "it is the one that we are with";
	case ERR_MALFORMED:
		return "no gateway has such an address or name";
	default:
		return err_text(e);
	}
}

/* struct way - to another gateway: what it is called, how it is reached, and what is told and
 * counted of it there. */
struct way {
	char name[WIRE_GATEWAY_TEXT];
	bool named; /* which is to be looked up first; path is the one we are at */
	struct path_addr path;
	struct sa_redirect redirect;
};

static enum err find_path(const struct ike_sa *sa, struct way *out, const struct wire_gateway *g)
{
	struct ip_addr to;

	if (!sa->conn->follow_redirects)
		return ERR_PERM;
	if (out->named) /* a whole one: no search list of this host's makes another one of it */
		return strchr(out->name, '.') && conf_is_gateway(out->name) ? ERR_OK
									    : ERR_MALFORMED;
	to = g->type == GATEWAY_IPV4 ? ip_addr_v4(g->name.p) : ip_addr_v6(g->name.p);
	return path_from(sa, &out->path, &to, &sa->path.remote.addr);
}

/* The way to the gateway that is named, if it is to be followed; its name in each case. */
static enum err find_way(struct ike_sa *sa, struct way *out, const struct wire_gateway *g,
			 uint64_t now_ns)
{
	enum err e;

	wire_gateway_text(out->name, g);
	out->named = g->type == GATEWAY_FQDN;
	out->path = sa->path;
	out->redirect = sa->redirect;
	out->redirect.from = sa->path.remote.addr;
	e = find_path(sa, out, g);
	return e ? e : count(&out->redirect, now_ns);
}

/* set_out - what an IKE SA that goes there begins with. */
static enum err set_out(struct task *t, const struct way *w)
{
	char *name = w->named ? str_dup(w->name) : NULL;

	if (w->named && !name)
		return ERR_NOMEM;
	mem_free(t->data); /* of the gateway before */
	t->kind = w->named ? TASK_FIND : TASK_SA_INIT;
	t->data = (uint8_t *)name;
	return ERR_OK;
}

static enum err follow(struct ike_sa *sa, struct way *w, const struct wire_gateway *g,
		       uint64_t now_ns)
{
	struct ike_sa *new;
	enum err e = find_way(sa, w, g, now_ns);

	if (!e)
		e = reauth_elsewhere(sa, &new, &w->path);
	if (e)
		return e;
	e = set_out(list_entry(new->tasks.next, struct task, node), w);
	if (e) {
		new->quiet = true;
		sa_kill(new, IKE_REASON_RESOURCES, NULL, now_ns);
		return e;
	}
	sa->redirect.num = w->redirect.num; /* what comes to nothing counts, too */
	sa->redirect.since_ns = w->redirect.since_ns;
	new->redirect = w->redirect;
	new->origin = sa->origin;
	return ERR_OK;
}

void redirect_take(struct ike_sa *sa, const struct ike_msg *m, uint64_t now_ns)
{
	struct wire_gateway g;
	struct wire_notify n;
	struct way w;
	enum err e;

	if (!sa_usable(sa) || !sa->auth_life.began || !wire_notify_find(&n, m, NOTIFY_REDIRECT) ||
	    wire_gateway_parse(&g, n.data))
		return;
	e = follow(sa, &w, &g, now_ns);
	if (!log_limited(&sa->e->log_limit, PEER_LINES_PER_S, now_ns))
		return;
	if (e)
		LOG(WARN, IKE, sa->conn->name,
		    "[%u] the peer names another gateway, %s, where we do not go: %s", sa->unique,
		    w.name, why_not(e));
	else
		LOG(INFO, IKE, sa->conn->name, "[%u] the peer names another gateway: going to %s",
		    sa->unique, w.name);
}

/* If memory is short we are where we were, and the answer comes again. */
static enum err go_there(struct step *s, const struct way *w)
{
	struct ike_sa *sa = s->sa;
	const struct sa_redirect redirect = sa->redirect;
	const struct ip_addr origin = sa->origin;
	const struct path_addr before = sa->path;
	enum err e;

	sa->redirect = w->redirect;
	if (origin.family == IP_NONE)
		sa->origin = before.remote.addr;
	sa_set_path(sa, &w->path);
	e = sa_init_again(s);
	if (!e)
		return ERR_OK;
	sa->redirect = redirect;
	sa->origin = origin;
	sa_set_path(sa, &before);
	return e;
}

/* go_afresh - from the first step on, as nothing is made here yet. */
static enum err go_afresh(struct step *s, const struct way *w)
{
	struct ike_sa *sa = s->sa;
	enum err e = set_out(sa->out.task, w);

	if (e)
		return e;
	sa->redirect = w->redirect;
	if (sa->origin.family == IP_NONE)
		sa->origin = sa->path.remote.addr;
	sa_set_path(sa, &w->path);
	s->again = true;
	return ERR_OK;
}

/* In the clear, from whoever saw our request: so what it says leads elsewhere and to no other
 * identity than any other answer would. MALFORMED: it was not asked for, or it is no answer; else
 * out_why is find_way()'s. */
static enum err take_at_once(struct step *s, struct way *out, enum err *out_why)
{
	struct wire_gateway g;
	struct wire_notify n;

	if (!s->sa->conn->follow_redirects || !wire_notify_find(&n, s->msg, NOTIFY_REDIRECT) ||
	    wire_gateway_parse(&g, n.data) || !bytes_equal(g.nonce, nonce_bytes(&s->sa->hs->ni)))
		return ERR_MALFORMED;
	*out_why = find_way(s->sa, out, &g, s->now_ns);
	return ERR_OK;
}

static void say_going(struct ike_sa *sa, const struct way *w)
{
	action_event(sa, IKE_EVENT_PROGRESS, NULL, IKE_REASON_NONE, sa->request,
		     "the peer names another gateway: going to %s", w->name);
}

/* say_staying - what was named in answer to a ticket leads nowhere. */
static void say_staying(struct ike_sa *sa, const char *name, enum err why)
{
	action_event(sa, IKE_EVENT_PROGRESS, NULL, IKE_REASON_NONE, sa->request,
		     "the peer names another gateway, %s, in answer to the ticket, where we do not "
		     "go: %s. A whole handshake follows",
		     name, why_not(why));
}

static enum err fail_why(struct step *s, const char *name, enum err why)
{
	return step_fail(s, IKE_REASON_PEER_ERROR, 0,
			 "the peer names another gateway, %s, where we do not go: %s", name,
			 why_not(why));
}

enum err redirect_init(struct step *s)
{
	struct way w;
	enum err why, e = take_at_once(s, &w, &why);

	if (e)
		return e;
	if (why)
		return fail_why(s, w.name, why);
	e = w.named ? go_afresh(s, &w) : go_there(s, &w);
	if (!e)
		say_going(s->sa, &w);
	return e;
}

/* The other gateway need not be able to open the ticket, which this one has not taken: so it is
 * kept, and a whole handshake follows, here if that is not to be followed. */
enum err redirect_resume(struct step *s)
{
	struct ike_sa *sa = s->sa;
	struct way w;
	enum err why, e = take_at_once(s, &w, &why);

	if (!e && !why)
		e = go_afresh(s, &w);
	if (e)
		return e;
	resume_back(sa);
	if (!why) {
		sa->out.task->or_here = w.named;
		say_going(sa, &w);
		return ERR_OK;
	}
	sa->out.task->kind = TASK_SA_INIT;
	s->again = true;
	say_staying(sa, w.name, why);
	return ERR_OK;
}

enum err redirect_look_up(struct step *s)
{
	return step_ask(s, IKE_ASK_RESOLVE);
}

enum err redirect_found(struct step *s)
{
	struct ike_sa *sa = s->sa;
	struct task *t = sa->out.task;
	struct path_addr path;
	enum err e = path_from(sa, &path, &s->answer->addr, &sa->redirect.from);

	if (e && !t->or_here)
		return fail_why(s, (const char *)t->data, e);
	if (e) {
		say_staying(sa, (const char *)t->data, e);
		sa->redirect.from = (struct ip_addr){.family = IP_NONE};
	} else {
		sa_set_path(sa, &path);
	}
	t->kind = TASK_SA_INIT;
	t->or_here = false;
	return sa_init_start(s);
}

enum err redirect_keep(struct step *s)
{
	struct handshake *hs = s->sa->hs;
	struct wire_gateway g;
	struct wire_notify n;

	mem_free(hs->elsewhere);
	hs->elsewhere = NULL;
	hs->elsewhere_len = 0;
	if (!wire_notify_find(&n, s->msg, NOTIFY_REDIRECT) || wire_gateway_parse(&g, n.data))
		return ERR_OK;
	if (!s->sa->conn->follow_redirects && ike_msg_body(s->msg, PAYLOAD_SA).p)
		return ERR_OK; /* it was not asked for, and there is a child all the same */
	hs->elsewhere = mem_dup(n.data.p, n.data.len);
	if (!hs->elsewhere)
		return ERR_NOMEM;
	hs->elsewhere_len = n.data.len;
	return ERR_OK;
}

/* What this IKE SA was to do, and those that wait for it, go over to a new one by this way. */
static enum err begin_at(struct ike_sa *sa, const struct way *w)
{
	struct task *was = sa->out.task, *t = task_new(TASK_SA_INIT, 0);
	struct ike_sa *new;
	enum err e = t ? set_out(t, w) : ERR_NOMEM;

	if (!e)
		e = sa_new(sa->e, &new, true, sa->conf, sa->conn);
	if (e) {
		task_free(t);
		return e;
	}
	t->child_conf = was->child_conf;
	t->wish = was->wish;
	t->flow = was->flow;
	t->has_flow = was->has_flow;
	t->request = was->request;
	was->child_conf = NULL;
	was->wish = NULL;
	was->request = 0;
	task_add(new, t);
	tasks_move(sa, new);
	sa_set_path(new, &w->path);
	new->port = sa->port;
	new->request = sa->request;
	new->methods = sa->methods;
	new->redirect = w->redirect;
	new->origin = sa->origin.family == IP_NONE ? sa->path.remote.addr : sa->origin;
	reauth_hand_on(sa, new);
	step_task_later(new);
	return ERR_OK;
}

/* The gateway is who it says, has nothing for us, and learns that we are gone. */
static void leave(struct step *s)
{
	struct ike_sa *sa = s->sa;

	sa->out.task->kind = TASK_TELL;
	sa->ended = true;
	sa->quiet = true;
	s->stay = true;
	s->again = true;
}

enum err redirect_auth(struct step *s)
{
	struct ike_sa *sa = s->sa;
	struct wire_gateway g;
	struct way w;
	enum err e = wire_gateway_parse(&g, bytes_of(sa->hs->elsewhere, sa->hs->elsewhere_len));

	if (e)
		return e;
	if (sa->ended) { /* given up meanwhile */
		leave(s);
		return ERR_OK;
	}
	e = find_way(sa, &w, &g, s->now_ns);
	if (e)
		return fail_why(s, w.name, e);
	e = begin_at(sa, &w);
	if (e)
		return e;
	say_going(sa, &w);
	leave(s);
	return ERR_OK;
}

void redirect_inherit(struct ike_sa *new, const struct ike_sa *old)
{
	new->redirect = old->redirect;
}

/* ---- the gateway ----------------------------------------------------------------------------- */

void redirect_seen(struct step *s)
{
	struct wire_notify n;

	s->sa->redirect.follows = wire_notify_find(&n, s->msg, NOTIFY_REDIRECT_SUPPORTED) ||
				  wire_notify_find(&n, s->msg, NOTIFY_REDIRECTED_FROM);
}

enum err redirect_start(struct step *s)
{
	const struct task *t = s->sa->out.task;

	step_request(s, INFORMATIONAL);
	wire_notify_build(&s->b, NOTIFY_REDIRECT, bytes_of(t->data, t->data_len));
	return ERR_OK;
}

enum err redirect_response(struct step *s)
{
	(void)s; /* what comes of it is the peer's */
	return ERR_OK;
}

static enum err gateway_take(struct wire_gateway *out, struct ip_addr *a, const char *text)
{
	if (!conf_is_gateway(text))
		return ERR_INVAL;
	if (!ip_addr_parse(a, text))
		gateway_of(out, a);
	else
		*out = (struct wire_gateway){.type = GATEWAY_FQDN,
					     .name = bytes_of(text, strlen(text))};
	return ERR_OK;
}

bool redirect_wanted(const struct ike_sa *sa)
{
	return sa->conn->redirect_to && sa->redirect.follows;
}

void redirect_build(struct step *s)
{
	struct wire_gateway g;
	struct ip_addr a;

	if (!gateway_take(&g, &a, s->sa->conn->redirect_to))
		wire_gateway_build(&s->b, NOTIFY_REDIRECT, &g);
}

void redirect_left(struct ike_sa *sa, uint64_t now_ns)
{
	struct task *t = task_new(TASK_IKE_DELETE, 0);

	LOG(INFO, IKE, sa->conn->name, "[%u] the peer is sent to another gateway: %s", sa->unique,
	    sa->conn->redirect_to);
	if (!t) {
		LOG(WARN, IKE, sa->conn->name, "out of memory: an IKE SA ends by its lifetime");
		return;
	}
	sa_say_end(sa, IKE_REASON_LOCAL, "its peer was sent to another gateway");
	t->not_before_ns = now_ns + LEFT_NS;
	task_add(sa, t);
	step_task_later(sa);
}

static bool is_within(const struct ip_addr *a, const struct ike_redirect_params *p)
{
	return p->lo.family == IP_NONE ||
	       (a->family == p->lo.family && memcmp(a->b, p->lo.b, sizeof(a->b)) >= 0 &&
		memcmp(a->b, p->hi.b, sizeof(a->b)) <= 0);
}

static bool is_meant(const struct ike_sa *sa, const struct ike_redirect_params *p)
{
	return sa_usable(sa) && (!p->ike_id || sa->unique == p->ike_id) &&
	       (!p->conn || strcmp(sa->conn->name, p->conn) == 0) &&
	       is_within(&sa->path.remote.addr, p) &&
	       (!p->peer || conf_id_matches(p->peer, &sa->remote_id));
}

static enum err tell(struct ike_sa *sa, struct bytes data)
{
	struct task *t;

	if (sa->auth_life.began || !sa->redirect.follows)
		return ERR_UNSUPPORTED;
	t = task_new(TASK_REDIRECT, 0);
	if (t)
		t->data = mem_dup(data.p, data.len);
	if (!t || !t->data) {
		task_free(t);
		return ERR_NOMEM;
	}
	t->data_len = (uint16_t)data.len;
	task_add(sa, t);
	step_task_later(sa);
	return ERR_OK;
}

enum err ike_redirect(struct ike_engine *e, uint32_t *out_num, const struct ike_redirect_params *p,
		      uint64_t now_ns)
{
	uint8_t buf[WIRE_GATEWAY_MAX];
	enum err err = ERR_NOT_FOUND, one;
	struct wire_gateway g;
	struct bytes data;
	struct ip_addr a;

	e->now_ns = now_ns;
	*out_num = 0;
	if (gateway_take(&g, &a, p->gateway))
		return ERR_INVAL;
	data = wire_gateway_data(buf, &g);
	list_for_each (n, &e->sas) {
		struct ike_sa *sa = list_entry(n, struct ike_sa, node);

		if (!is_meant(sa, p))
			continue;
		one = tell(sa, data);
		*out_num += !one;
		if (one)
			err = one;
	}
	return *out_num ? ERR_OK : err;
}
