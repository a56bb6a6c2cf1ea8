/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/move.h"

#include "control/child/claims.h"
#include "control/ike/index.h"
#include "control/ike/mif.h"
#include "control/ike/mobike.h"
#include "control/ike/task.h"
#include "control/ike/window.h"

/* CREDIT - bytes that an unproven address is sent for each that came from there (S57). */
#define CREDIT 3
/* CHECK_TRIES - copies of a check that go to the new address alone. If none of them is answered the
 * old one gets some too: an IKE SA lives only as long as its requests are answered (RFC 7296 2.4).
 */
#define CHECK_TRIES 5
/* STRAGGLERS_NS - after a move nobody wonders for so long at what comes from where the peer was. */
#define STRAGGLERS_NS (2 * NS_PER_S)

bool path_same_remote(const struct path_addr *a, const struct path_addr *b)
{
	return a->remote.port == b->remote.port && ip_addr_equal(&a->remote.addr, &b->remote.addr);
}

bool path_same_addrs(const struct path_addr *a, const struct path_addr *b)
{
	return ip_addr_equal(&a->remote.addr, &b->remote.addr) &&
	       ip_addr_equal(&a->local.addr, &b->local.addr);
}

enum err sa_move_children(struct ike_sa *sa)
{
	struct action_cell *c;

	if (!sa->peer || !sa->peer->added)
		return ERR_OK;
	if (mif_rules(sa))
		return mif_moved(sa);
	if (actions_promise(&sa->e->actions, 1))
		return ERR_NOMEM;
	c = action_simple(&sa->e->actions, IKE_ACTION_PATHSET_MOVE, sa->peer->id);
	c->path = sa->path;
	c->path.encap = (uint8_t)sa_esp_encap(sa);
	c->port = sa->port;
	return mif_moved(sa);
}

void sa_move(struct ike_sa *sa, const struct path_addr *path, uint16_t port)
{
	const struct path_addr old = sa->path;
	const uint16_t old_port = sa->port;

	if (!mif_first(sa)) { /* IKE goes by another path by now */
		mif_first_moved(sa, path, port);
		return;
	}
	sa_set_path(sa, path);
	sa->port = port;
	if (!sa_move_children(sa)) {
		if (!path_same_remote(&old, path))
			sa_left(sa, &old.remote);
		mobike_keep(sa, &old.remote.addr);
		return;
	}
	sa_set_path(sa, &old);
	sa->port = old_port;
}

void sa_left(struct ike_sa *sa, const struct endpoint *where)
{
	sa->left = *where;
	sa->left_until_ns = sa->e->now_ns + STRAGGLERS_NS;
}

/* is_straggler - it was under way when the peer moved away from there. */
static bool is_straggler(const struct ike_sa *sa, const struct path_addr *path)
{
	return sa->e->now_ns < sa->left_until_ns && sa->left.port == path->remote.port &&
	       ip_addr_equal(&sa->left.addr, &path->remote.addr);
}

/* ---- asking whether the peer is there -------------------------------------------------------- */

static bool probing_there(const struct ike_sa *sa, const struct path_addr *path)
{
	return sa->probe.on && path_same_remote(&sa->probe.path, path);
}

static enum err ask(struct ike_sa *sa)
{
	enum err e = task_need(sa, sa->mobike.on ? TASK_MOBIKE_CHECK : TASK_LIVENESS, 0);

	return e == ERR_NOMEM ? e : ERR_OK;
}

enum err sa_probe_begin(struct ike_sa *sa, const struct path_addr *path, uint16_t port, size_t len)
{
	const struct sa_probe old = sa->probe;

	sa->probe = (struct sa_probe){.on = true,
				      .nat_local = sa->nat_local,
				      .nat_remote = sa->nat_remote,
				      .port = port,
				      .credit = CREDIT * len,
				      .path = *path};
	if (ask(sa)) {
		sa->probe = old; /* the next packet from there asks again */
		return ERR_NOMEM;
	}
	/* A check of another place may be under way: its answer proves nothing about this one. */
	sa->probe.strayed = sa->out.waiting && sa->out.x.kind == TASK_MOBIKE_CHECK;
	return ERR_OK;
}

void sa_probe(struct ike_sa *sa, const struct path_addr *path, uint16_t port, size_t len,
	      uint64_t now_ns)
{
	if (mif_rules(sa) || !sa->nat_remote || sa->state != SA_ESTABLISHED ||
	    path_same_remote(&sa->path, path) || is_straggler(sa, path) ||
	    claims_stay(sa, &path->remote.addr))
		return;
	if (probing_there(sa, path)) {
		sa_probe_heard(sa, path, len);
		return;
	}
	if (!sa_probe_begin(sa, path, port, len) && sa->out.waiting)
		window_out_hurry(sa, now_ns);
}

void sa_probe_heard(struct ike_sa *sa, const struct path_addr *path, size_t len)
{
	if (probing_there(sa, path))
		sa->probe.credit += CREDIT * len;
}

void sa_probe_sent(struct ike_sa *sa, const struct path_addr *path, size_t len)
{
	struct sa_probe *p = &sa->probe;

	if (probing_there(sa, path))
		p->credit = p->credit > len ? p->credit - len : 0;
}

void sa_probed(struct ike_sa *sa, const struct path_addr *path, uint16_t port)
{
	if (!sa->probe.on)
		return;
	sa->probe.on = false;
	if (path_same_remote(&sa->probe.path, path))
		sa_move(sa, path, port);
}

bool sa_target(struct ike_sa *sa, struct sa_target *out, uint32_t tries, size_t len)
{
	struct sa_probe *p = &sa->probe;
	const bool check = p->on && sa->out.x.kind == TASK_MOBIKE_CHECK;
	const bool only_there = check && tries < CHECK_TRIES && !p->strayed;

	if (p->on && (only_there || tries % 2 == 0) && p->credit >= len) {
		*out = (struct sa_target){.path = p->path, .port = p->port};
		sa_probe_sent(sa, &p->path, len);
		return true;
	}
	if (only_there)
		return false;
	p->strayed |= check;
	*out = (struct sa_target){.path = sa->path, .port = sa->port};
	return true;
}
