/* SPDX-License-Identifier: Apache-2.0 */
/* Negotiation: docs/multiple-interfaces.md, section 3. */
#include "control/ike/mif.h"

/* The connection lets, and the data path can. */
static bool is_wanted(const struct ike_sa *sa)
{
	return sa->conn->interfaces != INTERFACES_NO && sa->e->env.max_paths >= MIF_PATHS_MIN;
}

void mif_show(struct step *s)
{
	if (is_wanted(s->sa))
		mif_vendor_build(&s->b);
}

void mif_seen(struct step *s)
{
	s->sa->hs->mif_vendor = is_wanted(s->sa) && mif_vendor_find(s->msg);
}

/* What the smallest replay window of the connection's children holds. */
static uint32_t window_of(const struct conf_conn *conn)
{
	uint32_t least = UINT32_MAX;

	for (uint32_t i = 0; i < conn->num_children; i++) {
		const struct conf_child *c = &conn->children[i];

		if (conf_negotiated(c->mode) && c->replay_window && c->replay_window < least)
			least = c->replay_window;
	}
	return least;
}

static uint16_t caps_of(const struct ike_sa *sa)
{
	const bool decides = sa->conn->interfaces == INTERFACES_DECIDE;

	return (uint16_t)(sa->e->env.path_caps | MIF_CAP_BULK | (decides ? MIF_CAP_DECIDES : 0));
}

void mif_offer(struct step *s)
{
	const struct ike_sa *sa = s->sa;
	const uint8_t max = sa->e->env.max_paths;

	if (!sa->hs->mif_vendor || !is_wanted(sa) || (!sa->initiator && !sa->mif.on))
		return;
	mif_supported_build(&s->b, &(struct mif_supported){
					   .version = MIF_VERSION,
					   .max_paths = max < MIF_PATHS_MAX ? max : MIF_PATHS_MAX,
					   .caps = caps_of(sa),
					   .max_ops = MIF_OPS_MAX,
					   .window = window_of(sa->conn)});
}

/* The initiator decides, unless the responder alone wants to. */
static bool decides(const struct ike_sa *sa, uint16_t peers)
{
	const bool ours = caps_of(sa) & MIF_CAP_DECIDES, theirs = peers & MIF_CAP_DECIDES;

	return sa->initiator ? ours || !theirs : ours && !theirs;
}

void mif_take(struct step *s)
{
	struct ike_sa *sa = s->sa;
	struct wire_notify n;

	sa->mif = (struct sa_mif){.on = false};
	if (!sa->hs->mif_vendor || !is_wanted(sa) ||
	    !wire_notify_find(&n, s->msg, NOTIFY_MIF_SUPPORTED) ||
	    mif_supported_parse(&sa->mif.peer, n.data))
		return;
	sa->mif.on = true;
	sa->mif.decides = decides(sa, sa->mif.peer.caps);
}

void mif_inherit(struct ike_sa *sa, const struct ike_sa *old)
{
	sa->mif = old->mif;
}
