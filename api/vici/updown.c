/* SPDX-License-Identifier: Apache-2.0 */
/* updown.c - ike-updown, child-updown, ike-rekey and child-rekey, for those who listen. */
#include "api/vici/internal.h"

/* struct finding - the SA an event is about, put into a tree while it can be seen. */
struct finding {
	const struct vici_server *s;
	const struct ike_event *event;
	struct tree *out;
	bool with_child, rekeyed;
	bool found;
	enum err err;
};

/* Which of the children the event is about; num_children if none. */
static uint32_t child_index(const struct ike_sa_info *sa, uint32_t child_id)
{
	uint32_t i = 0;

	while (i < sa->num_children && sa->children[i].unique != child_id)
		i++;
	return i;
}

/* A re-key is told as strongSwan does, old and new apart; the old one has gone by now. */
static enum err fill_rekeyed(const struct finding *f, const struct ike_sa_info *sa, uint32_t i)
{
	struct tree *t, *children, *child, *new;

	TRY(tree_section(f->out, &t, sa->conn ? sa->conn : "(unnamed)"));
	if (!f->with_child) {
		TRY(tree_section(t, &new, "new"));
		return sa_fill(f->s->backend, new, sa);
	}
	TRY(sa_fill(f->s->backend, t, sa));
	if (i == sa->num_children)
		return ERR_OK;
	TRY(tree_section(t, &children, "child-sas"));
	TRY(tree_section(children, &child, sa->children[i].name));
	TRY(tree_section(child, &new, "new"));
	return sa_child(f->s->backend, new, sa, &sa->children[i]);
}

static void find_sa(void *arg, const struct ike_sa_info *sa)
{
	struct finding *f = arg;
	uint32_t i;

	if (f->found || sa->unique != f->event->ike_id)
		return;
	i = child_index(sa, f->event->child_id);
	f->found = true;
	if (f->rekeyed) {
		f->err = fill_rekeyed(f, sa, i);
		return;
	}
	f->err = sa_section(f->s->backend, f->out, sa, i,
			    f->with_child && i < sa->num_children ? 1 : 0);
}

/* What is gone already is told by its names and numbers. */
static enum err fill_gone(struct tree *out, const struct ike_event *event)
{
	struct tree *t, *children, *child;

	TRY(tree_section(out, &t, event->conn ? event->conn : "(unnamed)"));
	TRY(tree_setf(t, "uniqueid", "%u", event->ike_id));
	TRY(tree_setf(t, "version", "2"));
	if (!event->child)
		return ERR_OK;
	TRY(tree_section(t, &children, "child-sas"));
	TRY(tree_section(children, &child, event->child));
	TRY(tree_setf(child, "name", "%s", event->child));
	return tree_setf(child, "uniqueid", "%u", event->child_id);
}

/* struct kind - how an event of the engine is told. */
struct kind {
	enum vici_event_id id;
	bool up, with_child;
};

static enum err fill(struct vici_server *s, struct tree *out, const struct ike_event *event,
		     const struct kind *kind)
{
	struct finding f = {
		.s = s,
		.event = event,
		.out = out,
		.with_child = kind->with_child,
		.rekeyed = kind->id == EV_IKE_REKEY || kind->id == EV_CHILD_REKEY,
	};

	if (kind->up)
		TRY(tree_setf(out, "up", "yes"));
	s->backend->ops->each_sa(s->backend->ctx, find_sa, &f);
	return f.found ? f.err : fill_gone(out, event);
}

static bool kind_of(struct kind *out, const struct ike_event *event)
{
	switch (event->kind) {
	case IKE_EVENT_IKE_UP:
		*out = (struct kind){EV_IKE_UPDOWN, true, false};
		return true;
	case IKE_EVENT_IKE_DOWN:
		*out = (struct kind){EV_IKE_UPDOWN, false, false};
		return true;
	case IKE_EVENT_IKE_REKEYED:
		*out = (struct kind){EV_IKE_REKEY, false, false};
		return true;
	case IKE_EVENT_CHILD_UP:
		*out = (struct kind){EV_CHILD_UPDOWN, true, true};
		return true;
	case IKE_EVENT_CHILD_DOWN:
		*out = (struct kind){EV_CHILD_UPDOWN, false, true};
		return true;
	case IKE_EVENT_CHILD_REKEYED:
		*out = (struct kind){EV_CHILD_REKEY, false, true};
		return true;
	case IKE_EVENT_FAILED:
	case IKE_EVENT_PROGRESS:
	default:
		return false;
	}
}

void updown_event(struct vici_server *s, const struct ike_event *event)
{
	struct kind kind;
	struct tree *t;

	if (!kind_of(&kind, event) || !vici_anyone_wants(s, kind.id))
		return;
	t = tree_new();
	if (t && !fill(s, t, event, &kind))
		vici_broadcast(s, kind.id, t);
	tree_free(t);
}
