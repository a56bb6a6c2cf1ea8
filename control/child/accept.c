/* SPDX-License-Identifier: Apache-2.0 */
#include "control/child/accept.h"

#include "control/child/claims.h"

static enum err refused(struct step *s, const struct child_work *w)
{
	const struct ike_answer *a = s->answer;
	const bool rekey = w->replaces && !w->initiator;
	const uint16_t notify = rekey && a->reason != IKE_REASON_TS_UNACCEPTABLE
					? NOTIFY_NO_ADDITIONAL_SAS
					: NOTIFY_TS_UNACCEPTABLE;
	const char *what = w->replaces ? "the re-key of " : "";

	return step_fail_child(s, a->reason ? a->reason : IKE_REASON_REFUSED, notify,
			       "%schild %s was refused here%s%s", what, w->conf->name,
			       a->text ? ": " : "", a->text ? a->text : "");
}

static enum err conflict(struct step *s, const struct child_work *w, const struct ts *other)
{
	char text[TS_TEXT_MAX];

	return step_fail_child(s, IKE_REASON_TS_UNACCEPTABLE, NOTIFY_TS_UNACCEPTABLE,
			       "child %s would have %s, which is another's here%s%s", w->conf->name,
			       ts_text(text, other), s->answer->text ? ": " : "",
			       s->answer->text ? s->answer->text : "");
}

/* leave_out - one selector of the peer's side. */
static enum err leave_out(struct step *s, struct child_work *w, const struct ts *other)
{
	struct ts_list less = w->remote;

	if (!ts_list_without(&less, other)) {
		w->remote = less;
		return ERR_OK;
	}
	return conflict(s, w, other);
}

static bool meets(const struct ts_list *l, const struct ts *ts)
{
	struct ts both;

	for (uint32_t i = 0; i < l->num; i++)
		if (ts_intersect(&both, &l->ts[i], ts))
			return true;
	return false;
}

enum err child_accept(struct step *s, struct child_work *w)
{
	const struct ike_answer *a = s->answer;
	enum err e = a->allow ? ERR_OK : refused(s, w);

	for (uint32_t i = 0; !e && i < a->num_without; i++) {
		if (!meets(&w->remote, &a->without[i]))
			continue;
		/* With additional key exchanges made the peer was told what it is to have. */
		e = w->initiator || w->more.done ? conflict(s, w, &a->without[i])
						 : leave_out(s, w, &a->without[i]);
	}
	return e ? e : claims_check(s, w);
}
