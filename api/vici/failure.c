/* SPDX-License-Identifier: Apache-2.0 */
/* failure.c - why each connection's last negotiation failed, for `latchkey show`. Bounded: the
 * oldest is forgotten first, so that peers cannot fill memory with their failures. */
#include "api/vici/internal.h"
#include "base/alloc.h"

#include <stdio.h>

#define FAILURES_MAX 1024

static void failure_free(struct vici_server *s, struct failure *f)
{
	list_remove(&f->node);
	s->num_failures--;
	mem_free(f->conn);
	mem_free(f->child);
	mem_free(f);
}

void failures_free(struct vici_server *s)
{
	while (!list_empty(&s->failures))
		failure_free(s, list_entry(s->failures.next, struct failure, node));
}

static struct failure *find(const struct vici_server *s, const char *conn)
{
	list_for_each (n, &s->failures) {
		struct failure *f = list_entry(n, struct failure, node);

		if (strcmp(f->conn, conn) == 0)
			return f;
	}
	return NULL;
}

const struct failure *failure_of(const struct vici_server *s, const char *conn)
{
	return find(s, conn);
}

static struct failure *failure_new(struct vici_server *s, const char *conn)
{
	struct failure *f = mem_alloc(sizeof(*f));

	if (!f)
		return NULL;
	f->conn = str_dup(conn);
	if (!f->conn) {
		mem_free(f);
		return NULL;
	}
	if (s->num_failures++ >= FAILURES_MAX)
		failure_free(s, list_entry(s->failures.prev, struct failure, node));
	list_push_front(&s->failures, &f->node);
	return f;
}

static void take(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%s", text ? text : "");
}

static void fill(struct failure *f, const struct ike_event *event)
{
	mem_free(f->child);
	f->child = event->child ? str_dup(event->child) : NULL;
	f->reason = event->reason;
	f->wall_s = clock_wall_s();
	f->over = false;
	snprintf(f->text, sizeof(f->text), "%s",
		 event->text && event->text[0] ? event->text : ike_reason_name(event->reason));
	endpoint_text(f->remote, &event->path.remote);
	take(f->phase, sizeof(f->phase), event->phase);
	take(f->here, sizeof(f->here), event->here);
	take(f->there, sizeof(f->there), event->there);
}

/* Dead peers and expiry end an SA that was up: a failure too, unlike a deletion; and so does an
 * initiator that does not believe our last message of IKE_AUTH (RFC 7296 2.21.2), of which the IKE
 * SA says why. What was given up here because somebody asked is none. */
static bool is_failure(const struct ike_event *event)
{
	if (event->reason == IKE_REASON_LOCAL)
		return false;
	if (event->kind == IKE_EVENT_FAILED)
		return true;
	if (event->kind == IKE_EVENT_IKE_DOWN && event->reason == IKE_REASON_AUTH_FAILED_PEER)
		return true;
	return (event->kind == IKE_EVENT_IKE_DOWN || event->kind == IKE_EVENT_CHILD_DOWN) &&
	       (event->reason == IKE_REASON_NO_ANSWER || event->reason == IKE_REASON_EXPIRED);
}

void failure_note(struct vici_server *s, const struct ike_event *event)
{
	const char *conn = event->conn ? event->conn : "";
	struct failure *f = find(s, conn);

	if (is_failure(event)) {
		if (f) {
			list_remove(&f->node);
			list_push_front(&s->failures, &f->node);
		} else {
			f = failure_new(s, conn);
		}
		if (f)
			fill(f, event);
	} else if (f && event->kind == IKE_EVENT_CHILD_UP) {
		f->over = true;
	}
}
