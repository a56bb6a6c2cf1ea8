/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/action.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/log.h"
#include "control/child/child.h"
#include "control/ike/core.h"
#include "control/ike/reauth.h"
#include "control/ike/sa.h"
#include "control/ike/step.h"

void actions_init(struct actions *a)
{
	list_init(&a->queue);
	list_init(&a->spare);
	a->current = NULL;
}

static void child_free(struct action_child *c)
{
	if (!c)
		return;
	secret_fini(&c->key_in);
	secret_fini(&c->key_out);
	auth_proof_put(c->add.params.proof);
	conf_put(c->conf);
	mem_free(c->ts);
	mem_free(c);
}

static void cell_free(struct action_cell *c)
{
	if (!c)
		return;
	child_free(c->child);
	conf_put(c->conf);
	if (c->event)
		conf_put(c->event->conf);
	mem_free(c->event);
	mem_free(c->bytes);
	mem_free(c);
}

void actions_fini(struct actions *a)
{
	struct list_node *n;

	while ((n = list_pop_front(&a->queue)))
		cell_free(list_entry(n, struct action_cell, node));
	while ((n = list_pop_front(&a->spare)))
		cell_free(list_entry(n, struct action_cell, node));
	cell_free(a->current);
	a->current = NULL;
}

enum err actions_promise(struct actions *a, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct action_cell *c = mem_alloc(sizeof(*c));

		if (!c) {
			actions_release(a, i);
			return ERR_NOMEM;
		}
		list_push_front(&a->spare, &c->node);
	}
	return ERR_OK;
}

void actions_release(struct actions *a, uint32_t n)
{
	while (n-- && !list_empty(&a->spare))
		cell_free(list_entry(list_pop_front(&a->spare), struct action_cell, node));
}

struct action_cell *action_simple(struct actions *a, enum ike_action_kind kind, uint64_t id)
{
	struct list_node *n = list_pop_front(&a->spare);
	struct action_cell *c;

	assert(n);
	c = list_entry(n, struct action_cell, node);
	c->kind = kind;
	c->id = id;
	list_push_back(&a->queue, &c->node);
	return c;
}

enum err action_send(struct ike_engine *e, const struct path_addr *path, uint16_t port,
		     struct bytes bytes)
{
	struct action_cell *c = mem_alloc(sizeof(*c));

	if (!c)
		return ERR_NOMEM;
	c->bytes = mem_dup(bytes.p, bytes.len);
	if (!c->bytes) {
		mem_free(c);
		return ERR_NOMEM;
	}
	c->kind = IKE_ACTION_SEND;
	c->len = bytes.len;
	c->path = *path;
	c->port = port;
	list_push_back(&e->actions.queue, &c->node);
	e->stats.sent++;
	return ERR_OK;
}

void action_sent_to(struct ike_sa *sa)
{
	struct action_cell *c = list_entry(sa->e->actions.queue.prev, struct action_cell, node);

	c->id = sa->peer ? sa->peer->id : 0;
}

void action_keepalive(struct ike_engine *e, const struct path_addr *path, uint16_t port)
{
	static const uint8_t octet = 0xff;

	if (action_send(e, path, port, bytes_of(&octet, 1)))
		return;
	list_entry(e->actions.queue.prev, struct action_cell, node)->raw = true;
}

/* A cell for an event; NULL if memory is short: the state is right even if nobody is told. */
static void copy(char *dst, size_t size, const char *src)
{
	snprintf(dst, size, "%s", src);
}

/* In which exchange it failed, and what the two sides wanted: by the step that fails, or the
 * request that nobody answers. */
static void note_failure(struct action_event *ev, const struct ike_sa *sa)
{
	const struct step *s = sa->e->failing;
	char name[WIRE_NAME_MAX];

	if (s && s->sa == sa) {
		copy(ev->phase, sizeof(ev->phase), wire_exchange_name(name, step_exchange(s)));
		copy(ev->here, sizeof(ev->here), s->fail.here);
		copy(ev->there, sizeof(ev->there), s->fail.there);
	} else if (sa->out.waiting && ev->event.reason == IKE_REASON_NO_ANSWER) {
		copy(ev->phase, sizeof(ev->phase), wire_exchange_name(name, sa->out.exchange_type));
	}
}

static struct action_event *event_new(struct ike_sa *sa, enum ike_event_kind kind,
				      enum ike_reason reason, uint64_t request)
{
	struct action_cell *c = mem_alloc(sizeof(*c));
	struct action_event *ev = mem_alloc(sizeof(*ev));

	if (!c || !ev) {
		mem_free(c);
		mem_free(ev);
		LOG(WARN, IKE, NULL, "out of memory: an event is lost");
		return NULL;
	}
	c->kind = IKE_ACTION_EVENT;
	c->event = ev;
	ev->event = (struct ike_event){.kind = kind,
				       .reason = reason,
				       .conn = sa->conn ? sa->conn->name : NULL,
				       .ike_id = sa->unique,
				       .reauth = sa->reauth_of,
				       .same_key = sa->reauth_of && reauth_same_key(sa),
				       .dns = sa->dns,
				       .request = request,
				       .path = sa->path,
				       .text = ev->text};
	ev->event.phase = ev->phase;
	ev->event.here = ev->here;
	ev->event.there = ev->there;
	ev->phase[0] = ev->here[0] = ev->there[0] = 0;
	if (kind == IKE_EVENT_FAILED || kind == IKE_EVENT_IKE_DOWN)
		note_failure(ev, sa);
	ev->conf = sa->conf ? conf_get(sa->conf) : NULL;
	list_push_back(&sa->e->actions.queue, &c->node);
	return ev;
}

static void event_log(const struct action_event *ev)
{
	const struct ike_event *v = &ev->event;

	if (!ev->text[0])
		return;
	if (v->kind == IKE_EVENT_FAILED)
		LOG(WARN, IKE, v->conn, "[%u] %s", v->ike_id, ev->text);
	else if (v->kind == IKE_EVENT_PROGRESS)
		LOG(DEBUG, IKE, v->conn, "[%u] %s", v->ike_id, ev->text);
	else
		LOG(INFO, IKE, v->conn, "[%u] %s", v->ike_id, ev->text);
}

void action_event(struct ike_sa *sa, enum ike_event_kind kind, const struct ike_child *child,
		  enum ike_reason reason, uint64_t request, const char *fmt, ...)
{
	struct action_event *ev = event_new(sa, kind, reason, request);
	va_list ap;

	if (!ev)
		return;
	if (child) {
		ev->event.child = child->conf->name;
		ev->event.child_id = child->unique;
		ev->event.narrow = wish_narrow(child->wish);
	}
	va_start(ap, fmt);
	vsnprintf(ev->text, sizeof(ev->text), fmt, ap);
	va_end(ap);
	event_log(ev);
}

void action_event_named(struct ike_sa *sa, enum ike_event_kind kind, const char *child, bool narrow,
			enum ike_reason reason, uint64_t request, const char *text)
{
	struct action_event *ev = event_new(sa, kind, reason, request);

	if (!ev)
		return;
	ev->event.child = child;
	ev->event.narrow = narrow;
	snprintf(ev->text, sizeof(ev->text), "%s", text);
	event_log(ev);
}

void action_drop_ask(struct actions *a, uint64_t ask)
{
	list_for_each_safe (n, &a->queue) {
		struct action_cell *c = list_entry(n, struct action_cell, node);

		if (c->kind == IKE_ACTION_ASK && c->id == ask) {
			list_remove(n);
			cell_free(c);
		}
	}
}

/* The cell in the caller's words. An ask is looked up, since it may have been answered by time. */
static void describe(struct ike_engine *e, const struct action_cell *c, struct ike_action *out)
{
	*out = (struct ike_action){.kind = c->kind,
				   .port = c->port,
				   .path = c->path,
				   .bytes = bytes_of(c->bytes, c->len),
				   .raw = c->raw,
				   .say = c->say,
				   .half = c->half};
	switch (c->kind) {
	case IKE_ACTION_SEND:
	case IKE_ACTION_PATHSET_ADD:
	case IKE_ACTION_PATHSET_MOVE:
	case IKE_ACTION_PATHSET_REMOVE:
	case IKE_ACTION_PATH_PUT:
	case IKE_ACTION_PATH_TAKE:
	case IKE_ACTION_PATH_SCHEDULE:
	case IKE_ACTION_PATH_NEWS:
		out->peer = c->id;
		break;
	case IKE_ACTION_CHILD_ADD:
		out->child = c->id;
		out->child_add = &c->child->add;
		break;
	case IKE_ACTION_CHILD_ACTIVATE:
	case IKE_ACTION_CHILD_REMOVE:
	case IKE_ACTION_CHILD_PATH:
		out->child = c->id;
		break;
	case IKE_ACTION_ADDRESS_ADD:
	case IKE_ACTION_ADDRESS_REMOVE:
		out->address = c->path.local.addr;
		out->conn = c->conn;
		break;
	case IKE_ACTION_ASK:
		out->ask = ask_find(e, c->id);
		break;
	case IKE_ACTION_EVENT:
		out->event = &c->event->event;
		break;
	}
}

bool ike_action_next(struct ike_engine *e, struct ike_action *out)
{
	struct list_node *n;

	cell_free(e->actions.current);
	e->actions.current = NULL;
	n = list_pop_front(&e->actions.queue);
	if (!n)
		return false;
	e->actions.current = list_entry(n, struct action_cell, node);
	describe(e, e->actions.current, out);
	return true;
}

const char *ike_reason_name(enum ike_reason r)
{
	static const char *const names[IKE_NUM_REASONS] = {
		[IKE_REASON_NONE] = "none",
		[IKE_REASON_LOCAL] = "local",
		[IKE_REASON_PEER_DELETE] = "peer-delete",
		[IKE_REASON_NO_ANSWER] = "no-answer",
		[IKE_REASON_NO_PROPOSAL] = "no-proposal",
		[IKE_REASON_INVALID_KE] = "invalid-ke",
		[IKE_REASON_AUTH_FAILED_PEER] = "auth-failed-peer",
		[IKE_REASON_AUTH_FAILED_LOCAL] = "auth-failed-local",
		[IKE_REASON_NO_SECRET] = "no-secret",
		[IKE_REASON_NO_KEY] = "no-key",
		[IKE_REASON_ID_MISMATCH] = "id-mismatch",
		[IKE_REASON_CERT_INVALID] = "certificate-invalid",
		[IKE_REASON_CERT_EXPIRED] = "certificate-expired",
		[IKE_REASON_CERT_NOT_YET] = "certificate-not-yet-valid",
		[IKE_REASON_CERT_NAME] = "certificate-name",
		[IKE_REASON_CERT_USAGE] = "certificate-usage",
		[IKE_REASON_CERT_UNKNOWN_CA] = "certificate-unknown-ca",
		[IKE_REASON_CERT_PATH_LENGTH] = "certificate-path-length",
		[IKE_REASON_CERT_REVOKED] = "certificate-revoked",
		[IKE_REASON_CERT_NO_REVOCATION] = "certificate-no-revocation",
		[IKE_REASON_CERT_WEAK] = "certificate-weak",
		[IKE_REASON_KEY_CHANGED] = "key-changed",
		[IKE_REASON_TS_UNACCEPTABLE] = "ts-unacceptable",
		[IKE_REASON_NO_CONFIG] = "no-config",
		[IKE_REASON_REFUSED] = "refused",
		[IKE_REASON_MALFORMED] = "malformed",
		[IKE_REASON_UNSUPPORTED] = "unsupported",
		[IKE_REASON_EXPIRED] = "expired",
		[IKE_REASON_PEER_ERROR] = "peer-error",
		[IKE_REASON_RESOURCES] = "resources",
		[IKE_REASON_REPLACED] = "replaced",
		[IKE_REASON_INACTIVE] = "inactive",
		[IKE_REASON_METHOD] = "method-refused",
		[IKE_REASON_AAA] = "no-aaa-server",
		[IKE_REASON_PPK_MISSING] = "ppk-missing",
		[IKE_REASON_PPK_UNKNOWN] = "ppk-unknown",
		[IKE_REASON_PPK_WRONG] = "ppk-wrong",
	};

	return (unsigned)r < IKE_NUM_REASONS && names[r] ? names[r] : "unknown";
}
