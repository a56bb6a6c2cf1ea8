/* SPDX-License-Identifier: Apache-2.0 */
/* informational.c - INFORMATIONAL exchanges: deletes, liveness, and what is told (RFC 7296 1.4). */
#include <stdio.h>

#include "control/child/work.h"
#include "control/ike/auth.h"
#include "control/ike/auth_life.h"
#include "control/ike/crash.h"
#include "control/ike/handlers.h"
#include "control/ike/mobike.h"
#include "control/ike/redirect.h"
#include "control/ike/rekey_work.h"
#include "control/ike/task.h"

/* MAX_DELETES - Child SAs that one message may close; more are left alone (S3). */
#define MAX_DELETES 128

/* ---- the IKE SA ------------------------------------------------------------------------------ */

/* What is told of an IKE SA that we close. */
static const char *why_closed(enum ike_reason reason)
{
	if (reason == IKE_REASON_REPLACED)
		return "another one with the peer is in its place";
	if (reason == IKE_REASON_EXPIRED)
		return "its peer has not proven itself again within `reauth_time` and `over_time`";
	return "closed as asked";
}

enum err ike_delete_start(struct step *s)
{
	struct ike_sa *sa = s->sa;

	step_request(s, INFORMATIONAL);
	wire_delete_ike_build(&s->b);
	if (step_finish(s))
		return ERR_NOMEM;
	if (!sa->quiet && !sa->end_text)
		sa_say_end(sa, sa->reason ? sa->reason : IKE_REASON_LOCAL, "%s",
			   why_closed(sa->reason));
	children_remove_all(sa, sa->reason);
	return ERR_OK;
}

enum err ike_delete_response(struct step *s)
{
	(void)s;
	return ERR_OK;
}

enum err ike_delete_request(struct step *s)
{
	struct ike_sa *sa = s->sa;

	step_reply(s);
	if (step_finish(s))
		return ERR_NOMEM;
	if (sa->successor && sa_by_spi(s->e, sa->successor)) /* the peer goes on with that one */
		sa_confirm(sa_by_spi(s->e, sa->successor));
	if (sa->state == SA_DELETING)
		return ERR_OK;
	if (!task_find(sa, TASK_IKE_DELETE, 0))
		sa_say_end(sa, IKE_REASON_PEER_DELETE, "the peer closed it");
	else if (!sa->end_text) /* it was to end here already */
		sa_say_end(sa, sa->reason ? sa->reason : IKE_REASON_LOCAL, "%s",
			   why_closed(sa->reason));
	return ERR_OK;
}

enum err informational_error(struct step *s)
{
	struct ike_sa *sa = s->sa;

	step_reply(s);
	if (step_finish(s))
		return ERR_NOMEM;
	sa_say_end(
		sa, IKE_REASON_AUTH_FAILED_PEER,
		"the peer does not accept our identity or our key (AUTHENTICATION_FAILED): compare "
		"`local.id`, `remote.id` and the %s of connection %s with the peer's",
		auth_credential(&sa->conn->local), sa->conn->name);
	return ERR_OK;
}

enum err tell_start(struct step *s)
{
	const uint16_t notify = s->sa->out.task->notify;

	step_request(s, INFORMATIONAL);
	if (notify)
		wire_notify_build(&s->b, notify, bytes_of(NULL, 0));
	else
		wire_delete_ike_build(&s->b);
	return ERR_OK;
}

/* ---- Child SAs ------------------------------------------------------------------------------- */

enum err child_delete_start(struct step *s)
{
	struct ike_child *c = child_find(s->e, s->sa->out.task->child);

	if (!c || c->state != CHILD_DELETING)
		return ERR_OK;
	step_request(s, INFORMATIONAL);
	wire_delete_esp_build(&s->b, &c->spi_in, 1);
	return ERR_OK;
}

enum err child_delete_response(struct step *s)
{
	struct ike_child *c = child_find(s->e, s->sa->out.task->child);

	if (c && c->state == CHILD_DELETING)
		child_closed(c, c->reason, s->now_ns);
	return ERR_OK;
}

/* The pairs that a message closes, each once. */
struct closing {
	struct ike_child *list[MAX_DELETES];
	uint32_t spis[MAX_DELETES]; /* of ours, to be named in the response */
	uint16_t num, num_spis;
};

static void close_one(struct ike_sa *sa, struct closing *cl, uint32_t spi)
{
	struct ike_child *c = child_by_spi_out(sa, spi);

	if (!c && sa->out.x.child)
		child_work_closed(sa->out.x.child, spi);
	if (!c || cl->num == MAX_DELETES)
		return;
	for (uint16_t i = 0; i < cl->num; i++)
		if (cl->list[i] == c)
			return;
	cl->list[cl->num++] = c;
	if (c->state != CHILD_DELETING) /* we both close it: without Delete payload (1.4.1) */
		cl->spis[cl->num_spis++] = c->spi_in;
}

static void collect(struct step *s, struct closing *cl)
{
	for (uint32_t i = 0; i < s->msg->num; i++) {
		struct wire_delete d;

		if (s->msg->payloads[i].type != PAYLOAD_DELETE ||
		    wire_delete_parse(&d, s->msg->payloads[i].body) || d.protocol != PROTO_ESP)
			continue;
		for (uint16_t j = 0; j < d.num; j++)
			close_one(s->sa, cl, wire_delete_spi(&d, j));
	}
}

enum err child_delete_request(struct step *s)
{
	struct closing cl = {.num = 0};

	collect(s, &cl);
	step_reply(s);
	if (cl.num_spis)
		wire_delete_esp_build(&s->b, cl.spis, cl.num_spis);
	if (step_finish(s))
		return ERR_NOMEM;
	for (uint16_t i = 0; i < cl.num; i++)
		child_closed(cl.list[i],
			     cl.list[i]->reason ? cl.list[i]->reason : IKE_REASON_PEER_DELETE,
			     s->now_ns);
	return ERR_OK;
}

/* ---- liveness -------------------------------------------------------------------------------- */

enum err informational_request(struct step *s)
{
	crash_take(s->sa, s->msg);
	auth_life_take(s->sa, s->msg, s->now_ns);
	redirect_take(s->sa, s->msg, s->now_ns);
	step_reply(s);
	return mobike_echo(s);
}

enum err liveness_start(struct step *s)
{
	step_request(s, INFORMATIONAL);
	if (s->sa->crash.untold)
		crash_offer(s, s->sa);
	return mobike_detect(s);
}

enum err liveness_response(struct step *s)
{
	s->sa->crash.untold = false;
	mobike_detected(s);
	mobike_greet(s->sa, s->now_ns);
	return ERR_OK;
}
