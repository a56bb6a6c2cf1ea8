/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job.c - commands that end later: initiate, terminate, and what is said of paths. A job exists
 * before the backend is asked, because the events that end it may come while it is being asked.
 */
#include "api/vici/internal.h"
#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>

enum job_kind {
	JOB_INITIATE,
	JOB_TERMINATE,
	JOB_PATH,
};

/* struct victim - an SA that is to go: child_id is 0 for an IKE SA. Both are 0 once it has gone. */
struct victim {
	uint32_t ike_id, child_id;
};

/* struct job - what a client waits for. */
struct job {
	struct list_node node; /* server's jobs */
	struct vici_client *client;
	enum job_kind kind;
	uint64_t request; /* number in the events about it */
	char *conn;       /* INITIATE: names, or NULL */
	char *child;
	bool of_children; /* Child SAs are meant, not IKE SAs */
	int level;        /* control-log lines up to this one are wanted */
	uint64_t deadline_ns;
	struct victim *victims; /* TERMINATE: seen before the backend was asked */
	uint32_t num_victims, num_gone;
	uint32_t num;          /* TERMINATE, PATH: what the backend says it found */
	uint32_t num_answered; /* PATH: of the peers */
	uint16_t path;         /* PATH: its number */
	bool asked;            /* the backend has been asked: an end is answered as it comes */
	bool ended;
	enum err result;
	enum ike_reason reason;
	char text[BACKEND_TEXT_MAX]; /* why not */
};

#define LEVEL_CONTROL 1

void job_free(struct job *job)
{
	if (!job)
		return;
	list_remove(&job->node);
	job->client->job = NULL;
	mem_free(job->victims);
	mem_free(job->conn);
	mem_free(job->child);
	mem_free(job);
}

/* A number in the message, or what is meant when it is missing or none. */
static int64_t number(const struct tree *in, const char *key, int64_t otherwise)
{
	const char *text = tree_get(in, key);
	char *end;
	long long v;

	if (!text || !*text)
		return otherwise;
	v = strtoll(text, &end, 10);
	return *end ? otherwise : v;
}

static char *copy_or_null(const char *text, bool *failed)
{
	char *copy = text ? str_dup(text) : NULL;

	*failed |= text && !copy;
	return copy;
}

/* timeout is in milliseconds; 0 = for ever. */
static uint64_t deadline_of(const struct call *call)
{
	int64_t ms = number(call->in, "timeout", 0);

	if (ms <= 0 || ms > INT32_MAX)
		return TIME_NEVER;
	return call->ops->now(call->ctx) + (uint64_t)ms * NS_PER_MS;
}

static struct job *job_new(struct call *call, enum job_kind kind)
{
	struct job *job = mem_alloc(sizeof(*job));
	bool failed = false;

	if (!job)
		return NULL;
	job->client = call->client;
	job->kind = kind;
	job->request = ++call->server->next_request;
	job->conn = copy_or_null(tree_get(call->in, "ike"), &failed);
	job->child = copy_or_null(tree_get(call->in, "child"), &failed);
	job->level = (int)number(call->in, "loglevel", LEVEL_CONTROL);
	job->deadline_ns = deadline_of(call);
	list_push_back(&call->server->jobs, &job->node);
	call->client->job = job;
	if (!failed)
		return job;
	job_free(job);
	return NULL;
}

static const char *group_of(const struct ike_event *event)
{
	return event->child ? "CHD" : "IKE";
}

static enum err control_log_message(struct tree *t, const struct ike_event *event)
{
	TRY(tree_setf(t, "group", "%s", group_of(event)));
	TRY(tree_setf(t, "level", "%d", LEVEL_CONTROL));
	if (event->conn)
		TRY(tree_setf(t, "ikesa-name", "%s", event->conn));
	if (event->ike_id)
		TRY(tree_setf(t, "ikesa-uniqueid", "%u", event->ike_id));
	return tree_setf(t, "msg", "%s", event->text);
}

/* The live log of what the client asked for. */
static void control_log(struct job *job, const struct ike_event *event)
{
	struct tree *t;

	if (job->level < LEVEL_CONTROL || !event->text || !event->text[0] ||
	    !vici_client_wants(job->client, EV_CONTROL_LOG))
		return;
	t = tree_new();
	if (t && !control_log_message(t, event))
		vici_client_event(job->client, EV_CONTROL_LOG, t);
	tree_free(t);
}

static void end(struct job *job, enum err result, enum ike_reason reason, const char *text)
{
	if (job->ended)
		return;
	job->ended = true;
	job->result = result;
	job->reason = reason;
	snprintf(job->text, sizeof(job->text), "%s", text ? text : "");
}

/* Whose fault it was decides the exit code of programs. */
static enum err result_of(enum ike_reason reason)
{
	switch (reason) {
	case IKE_REASON_NO_ANSWER:
		return ERR_TIMEOUT;
	case IKE_REASON_NONE:
	case IKE_REASON_LOCAL:
	case IKE_REASON_NO_SECRET:
	case IKE_REASON_NO_KEY:
	case IKE_REASON_NO_CONFIG:
	case IKE_REASON_REFUSED:
	case IKE_REASON_RESOURCES:
	case IKE_REASON_REPLACED:
	case IKE_REASON_INACTIVE:
	case IKE_REASON_AAA:
		return ERR_BAD_STATE;
	case IKE_REASON_PEER_DELETE:
	case IKE_REASON_NO_PROPOSAL:
	case IKE_REASON_INVALID_KE:
	case IKE_REASON_AUTH_FAILED_PEER:
	case IKE_REASON_AUTH_FAILED_LOCAL:
	case IKE_REASON_ID_MISMATCH:
	case IKE_REASON_CERT_INVALID:
	case IKE_REASON_CERT_EXPIRED:
	case IKE_REASON_CERT_NOT_YET:
	case IKE_REASON_CERT_NAME:
	case IKE_REASON_CERT_USAGE:
	case IKE_REASON_CERT_UNKNOWN_CA:
	case IKE_REASON_CERT_PATH_LENGTH:
	case IKE_REASON_CERT_REVOKED:
	case IKE_REASON_KEY_CHANGED:
	case IKE_REASON_METHOD:
	case IKE_REASON_PPK_MISSING:
	case IKE_REASON_PPK_UNKNOWN:
	case IKE_REASON_PPK_WRONG:
	case IKE_REASON_CERT_NO_REVOCATION:
	case IKE_REASON_CERT_WEAK:
	case IKE_REASON_TS_UNACCEPTABLE:
	case IKE_REASON_MALFORMED:
	case IKE_REASON_UNSUPPORTED:
	case IKE_REASON_EXPIRED:
	case IKE_REASON_PEER_ERROR:
	case IKE_NUM_REASONS:
	default:
		return ERR_PEER;
	}
}

static bool same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

/* What was asked for is up, by this request or by another that was under way already. */
static bool brings_up(const struct job *job, const struct ike_event *event)
{
	if (job->of_children ? event->kind != IKE_EVENT_CHILD_UP : event->kind != IKE_EVENT_IKE_UP)
		return false;
	if (event->request == job->request)
		return true;
	if (job->conn && !same(job->conn, event->conn))
		return false;
	return job->of_children ? same(job->child, event->child) : job->conn != NULL;
}

static void initiate_event(struct job *job, const struct ike_event *event)
{
	if (brings_up(job, event))
		end(job, ERR_OK, IKE_REASON_NONE, "");
	else if (event->request != job->request)
		return;
	else if (event->kind == IKE_EVENT_FAILED || event->kind == IKE_EVENT_IKE_DOWN)
		end(job, result_of(event->reason), event->reason, event->text);
}

/* The event ends this SA: itself, or its IKE SA with all that is in it. An IKE SA that was not up
 * yet fails instead of going down. */
static bool is_end_of(const struct victim *v, const struct ike_event *event)
{
	if (event->kind == IKE_EVENT_IKE_DOWN || (event->kind == IKE_EVENT_FAILED && !event->child))
		return v->ike_id == event->ike_id;
	return event->kind == IKE_EVENT_CHILD_DOWN && v->child_id != 0 &&
	       v->child_id == event->child_id;
}

static void count_gone(struct job *job, struct victim *v)
{
	*v = (struct victim){0};
	job->num_gone++;
}

/* end_of_renewed - an IKE SA that took the place of one of those while it was asked for its end: it
 * ends for this job, under another number. */
static void end_of_renewed(struct job *job, const struct ike_event *event)
{
	if (event->kind != IKE_EVENT_IKE_DOWN || event->request != job->request)
		return;
	for (uint32_t i = 0; i < job->num_victims; i++) {
		if (!job->victims[i].ike_id || job->victims[i].child_id)
			continue;
		count_gone(job, &job->victims[i]);
		return;
	}
}

/* By the SAs' numbers where they are the same still, not by the request's: one that is given up
 * half way tells so to whoever began it. */
static void terminate_event(struct job *job, const struct ike_event *event)
{
	bool found = false;

	for (uint32_t i = 0; i < job->num_victims; i++) {
		struct victim *v = &job->victims[i];

		if (v->ike_id == 0 || !is_end_of(v, event))
			continue;
		count_gone(job, v);
		found = true;
	}
	if (!found)
		end_of_renewed(job, event);
	if (job->asked && job->num_gone >= job->num_victims)
		end(job, ERR_OK, IKE_REASON_NONE, "");
}

static enum err write_failure(const struct job *job, struct tree *out)
{
	TRY(reply_failed(out, job->result, "%s", job->text[0] ? job->text : err_text(job->result)));
	if (job->reason == IKE_REASON_NONE)
		return ERR_OK;
	return tree_setf(out, "latchkey-reason", "%s", ike_reason_name(job->reason));
}

/* write_path - which one, and what is to be said of how it was done. */
static enum err write_path(const struct job *job, struct tree *out)
{
	TRY(tree_setf(out, "path", "%u", job->path));
	return job->result || !job->text[0] ? ERR_OK : tree_setf(out, "note", "%s", job->text);
}

static enum err write_answer(const struct job *job, struct tree *out)
{
	TRY(job->result ? write_failure(job, out) : reply_ok(out));
	if (job->kind == JOB_INITIATE)
		return ERR_OK;
	TRY(tree_setf(out, "matches", "%u", job->num));
	if (job->kind == JOB_PATH)
		return write_path(job, out);
	return tree_setf(out, "terminated", "%u", job->num_gone);
}

static void answer_later(struct job *job)
{
	struct vici_client *c = job->client;
	struct tree *out = tree_new();

	if (out && !write_answer(job, out))
		vici_client_send(c, VICI_CMD_RESPONSE, NULL, out);
	else
		c->doomed = true;
	tree_free(out);
	job_free(job);
}

/* Within the command itself: the answer is the command's. */
static enum err answer_now(struct call *call, struct job *job)
{
	enum err e = write_answer(job, call->out);

	job_free(job);
	return e;
}

void job_event(struct vici_server *s, const struct ike_event *event)
{
	list_for_each_safe (n, &s->jobs) {
		struct job *job = list_entry(n, struct job, node);

		if (event->request == job->request)
			control_log(job, event);
		if (job->kind == JOB_INITIATE)
			initiate_event(job, event);
		else if (job->kind == JOB_TERMINATE)
			terminate_event(job, event);
		if (job->ended && job->asked)
			answer_later(job);
	}
}

/* Of several peers the first that refuses says why; the others go on. */
static void path_event(struct job *job, const struct engine_path_event *event)
{
	job->num_answered++;
	if (event->news == ENGINE_PATH_REFUSED && !job->result) {
		job->result = event->own ? ERR_BAD_STATE : ERR_PEER;
		snprintf(job->text, sizeof(job->text), "%s%s",
			 event->own ? "" : "the peer refuses it: ", event->text);
	} else if (!job->result) {
		snprintf(job->text, sizeof(job->text), "%s", event->text);
	}
	if (job->asked && job->num_answered >= job->num)
		job->ended = true;
}

void job_path_event(struct vici_server *s, const struct engine_path_event *event)
{
	if (event->news != ENGINE_PATH_DONE && event->news != ENGINE_PATH_REFUSED)
		return;
	list_for_each_safe (n, &s->jobs) {
		struct job *job = list_entry(n, struct job, node);

		if (job->kind != JOB_PATH || job->request != event->request)
			continue;
		path_event(job, event);
		if (job->ended)
			answer_later(job);
	}
}

void jobs_run(struct vici_server *s, uint64_t now_ns)
{
	list_for_each_safe (n, &s->jobs) {
		struct job *job = list_entry(n, struct job, node);

		if (now_ns < job->deadline_ns)
			continue;
		end(job, ERR_TIMEOUT, IKE_REASON_NONE,
		    "it has taken longer than the time given, and goes on");
		answer_later(job);
	}
}

uint64_t jobs_deadline(const struct vici_server *s)
{
	uint64_t first = TIME_NEVER;

	list_for_each (n, &s->jobs) {
		const struct job *job = list_entry(n, struct job, node);

		if (job->deadline_ns < first)
			first = job->deadline_ns;
	}
	return first;
}

enum err cmd_initiate(struct call *call)
{
	struct job *job = job_new(call, JOB_INITIATE);
	struct backend_initiate what;
	enum err e;

	if (!job)
		return ERR_NOMEM;
	job->of_children = job->child != NULL;
	what = (struct backend_initiate){
		.conn = job->conn, .child = job->child, .request = job->request};
	if (!job->conn && !job->child)
		e = ERR_INVAL;
	else
		e = call->ops->initiate(call->ctx, &what, job->text);
	job->asked = true;
	if (e == ERR_INVAL)
		snprintf(job->text, sizeof(job->text), "what is to be initiated?");
	if (e && !job->ended) {
		char text[BACKEND_TEXT_MAX];

		snprintf(text, sizeof(text), "%s", job->text);
		end(job, e == ERR_EXISTS ? ERR_OK : e, IKE_REASON_NONE, text);
	}
	if (!job->ended && number(call->in, "timeout", 0) < 0)
		end(job, ERR_OK, IKE_REASON_NONE, "");
	return job->ended ? answer_now(call, job) : ERR_OK;
}

static struct ike_select selection(const struct tree *in, uint64_t request)
{
	return (struct ike_select){
		.conn = tree_get(in, "ike"),
		.child = tree_get(in, "child"),
		.ike_id = (uint32_t)number(in, "ike-id", 0),
		.child_id = (uint32_t)number(in, "child-id", 0),
		.request = request,
	};
}

static bool selects_nothing(const struct ike_select *sel)
{
	return !sel->conn && !sel->child && !sel->ike_id && !sel->child_id;
}

/* struct hunt - the victims of a selection being collected. */
struct hunt {
	const struct ike_select *sel;
	struct job *job;
	bool failed;
};

static void add_victim(struct hunt *h, uint32_t ike_id, uint32_t child_id)
{
	struct job *job = h->job;
	struct victim *list = job->victims;

	if ((job->num_victims & (job->num_victims - 1)) == 0)
		list = mem_grow(list, job->num_victims ? job->num_victims * 2ul : 1, sizeof(*list));
	if (!list) {
		h->failed = true;
		return;
	}
	job->victims = list;
	list[job->num_victims++] = (struct victim){.ike_id = ike_id, .child_id = child_id};
}

static void hunt_sa(void *arg, const struct ike_sa_info *sa)
{
	struct hunt *h = arg;
	const struct ike_select *sel = h->sel;

	if ((sel->conn && !same(sel->conn, sa->conn)) || (sel->ike_id && sel->ike_id != sa->unique))
		return;
	if (!h->job->of_children)
		add_victim(h, sa->unique, 0);
	for (uint32_t i = 0; h->job->of_children && i < sa->num_children; i++) {
		const struct ike_child_info *c = &sa->children[i];

		if ((!sel->child || same(sel->child, c->name)) &&
		    (!sel->child_id || sel->child_id == c->unique))
			add_victim(h, sa->unique, c->unique);
	}
}

static enum err ask_terminate(struct call *call, struct job *job, const struct ike_select *sel)
{
	struct hunt hunt = {.sel = sel, .job = job};

	if (selects_nothing(sel))
		return ERR_INVAL;
	call->ops->each_sa(call->ctx, hunt_sa, &hunt);
	if (hunt.failed)
		return ERR_NOMEM;
	return call->ops->terminate(call->ctx, &job->num, sel,
				    same(tree_get(call->in, "force"), "yes"));
}

enum err cmd_terminate(struct call *call)
{
	struct job *job = job_new(call, JOB_TERMINATE);
	struct ike_select sel;
	enum err e;

	if (!job)
		return ERR_NOMEM;
	sel = selection(call->in, job->request);
	job->of_children = sel.child || sel.child_id;
	e = ask_terminate(call, job, &sel);
	job->asked = true;
	if (e)
		end(job, e, IKE_REASON_NONE,
		    e == ERR_NOT_FOUND ? "no matching SAs to terminate found"
		    : e == ERR_INVAL   ? "what is to be terminated?"
				       : "");
	else if (job->num_gone >= job->num_victims || number(call->in, "timeout", 0) < 0)
		end(job, ERR_OK, IKE_REASON_NONE, "");
	return job->ended ? answer_now(call, job) : ERR_OK;
}

enum err cmd_rekey(struct call *call)
{
	struct ike_select sel = selection(call->in, 0);
	uint32_t num = 0;
	enum err e = selects_nothing(&sel) ? ERR_INVAL : call->ops->rekey(call->ctx, &num, &sel);

	if (e == ERR_NOT_FOUND)
		TRY(reply_failed(call->out, e, "no matching SAs to rekey found"));
	else if (e)
		TRY(reply_failed(call->out, e, "%s", err_text(e)));
	else
		TRY(reply_ok(call->out));
	return tree_setf(call->out, "matches", "%u", num);
}

static const char *why_not_redirected(enum err e)
{
	switch ((int)e) {
	case ERR_NOT_FOUND:
		return "no matching SAs to redirect found";
	case ERR_UNSUPPORTED:
		return "the peer does not say that it follows to another gateway (RFC 5685), or it "
		       "is "
		       "one itself";
	case ERR_INVAL:
		return "whom to redirect (ike, ike-id, peer-ip, peer-id), and to which gateway (an "
		       "address or a name)?";
	default:
		return err_text(e);
	}
}

enum err cmd_redirect(struct call *call)
{
	const struct engine_redirect r = {
		.conn = tree_get(call->in, "ike"),
		.ike_id = (uint32_t)number(call->in, "ike-id", 0),
		.peer_ip = tree_get(call->in, "peer-ip"),
		.peer_id = tree_get(call->in, "peer-id"),
		.gateway = tree_get(call->in, "gateway"),
	};
	uint32_t num = 0;
	enum err e = call->ops->redirect(call->ctx, &num, &r);

	if (e)
		TRY(reply_failed(call->out, e, "%s", why_not_redirected(e)));
	else
		TRY(reply_ok(call->out));
	return tree_setf(call->out, "matches", "%u", num);
}

enum err cmd_latchkey_path(struct call *call)
{
	struct job *job = job_new(call, JOB_PATH);
	struct engine_path_request req;
	enum err e;

	if (!job)
		return ERR_NOMEM;
	e = path_request_take(&req, call->in, job->text);
	req.request = job->request;
	if (!e)
		e = call->ops->path(call->ctx, &job->num, &job->path, &req, job->text);
	job->asked = true;
	if (e)
		job->result = e;
	job->ended = e || job->num_answered >= job->num || number(call->in, "timeout", 0) < 0;
	return job->ended ? answer_now(call, job) : ERR_OK;
}
