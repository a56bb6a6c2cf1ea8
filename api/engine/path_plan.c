/* SPDX-License-Identifier: Apache-2.0 */
#include "api/engine/path_plan.h"

/* PRIORITY_LATER - of a path that another one goes before (docs/multiple-interfaces.md 4). */
#define PRIORITY_LATER 1

bool ours_has(const struct ours *ours, const struct ip_addr *a)
{
	for (uint32_t i = 0; i < ours->num; i++)
		if (ip_addr_equal(&ours->list[i].addr, a))
			return true;
	return false;
}

/* ---- what was said ----------------------------------------------------------------------------
 */

/* is_same - the ends are those that are wanted, whose other one may be left open. */
static bool is_same(const struct conf_path *want, const struct ip_addr *local,
		    const struct ip_addr *remote)
{
	return ip_addr_equal(&want->local, local) &&
	       (ip_addr_is_any(&want->remote) || ip_addr_equal(&want->remote, remote));
}

/* said_of - the entry about a path that is wanted, or said->num. One that was added is no other's
 * whose other end is left open. */
static uint32_t said_of(const struct said *s, const struct conf_path *want)
{
	const bool open = ip_addr_is_any(&want->remote);
	uint32_t i = 0;

	while (i < s->num && ((open && s->list[i].kind == SAID_ADDED) ||
			      !is_same(want, &s->list[i].path.local, &s->list[i].path.remote)))
		i++;
	return i;
}

static void forget(struct said *s, uint32_t i)
{
	s->num--;
	memmove(&s->list[i], &s->list[i + 1], (s->num - i) * sizeof(s->list[0]));
}

/* forget_oldest - what was added goes last. */
static void forget_oldest(struct said *s)
{
	static const enum said_kind order[] = {SAID_REMOVED, SAID_ORDERED, SAID_ADDED};

	for (size_t k = 0; k < ARRAY_LEN(order); k++)
		for (uint32_t i = 0; i < s->num; i++)
			if (s->list[i].kind == order[k]) {
				forget(s, i);
				return;
			}
}

void said_note(struct said *s, enum said_kind kind, const struct conf_path *path)
{
	const uint32_t at = said_of(s, path);

	if (at < s->num) {
		if (kind == SAID_ORDERED && s->list[at].kind == SAID_ADDED)
			kind = SAID_ADDED; /* and so it stays */
		forget(s, at);
	}
	if (s->num == SAID_MAX)
		forget_oldest(s);
	s->list[s->num].path = *path;
	s->list[s->num++].kind = kind;
}

static struct conf_path ends_of(const struct ike_path_info *p)
{
	return (struct conf_path){.local = p->addr.local.addr,
				  .remote = p->addr.remote.addr,
				  .priority = p->priority,
				  .weight = p->weight};
}

/* ---- which paths are wanted -------------------------------------------------------------------
 */

/* struct wanted - the paths of one IKE SA as they should be. */
struct wanted {
	struct conf_path path[CONF_MAX_PATHS];
	uint32_t num;
};

/* is_protected - what the connection protects is no address to be reached at; but in transport mode
 * it is just that. */
static bool is_protected(const struct conf_conn *conn, const struct ip_addr *a)
{
	for (uint32_t i = 0; i < conn->num_children; i++) {
		const struct conf_child *c = &conn->children[i];

		for (uint32_t j = 0; c->mode != CONF_TRANSPORT && j < c->num_local_ts; j++)
			if (!c->local_ts[j].dynamic && ts_match(&c->local_ts[j].ts, a, 0, 0))
				return true;
	}
	return false;
}

/* want - one that the host has the address for, unless something else was said of it by hand. */
static void want(struct wanted *w, const struct ours *ours, const struct said *said,
		 struct conf_path path)
{
	const uint32_t at = said ? said_of(said, &path) : 0;

	if (w->num == CONF_MAX_PATHS || !ours_has(ours, &path.local))
		return;
	if (said && at < said->num) {
		if (said->list[at].kind != SAID_ORDERED)
			return; /* it is wanted already, or it is not */
		path.priority = said->list[at].path.priority;
		path.weight = said->list[at].path.weight;
	}
	w->path[w->num++] = path;
}

static void want_said(struct wanted *w, const struct ours *ours, const struct said *said)
{
	for (uint32_t i = 0; said && i < said->num; i++)
		if (said->list[i].kind == SAID_ADDED)
			want(w, ours, NULL, said->list[i].path);
}

static bool begins(const struct ike_sa_info *sa, const struct ip_addr *a)
{
	for (uint32_t i = 0; i < sa->num_path_list; i++)
		if (ip_addr_equal(&sa->path_list[i].addr.local.addr, a))
			return true;
	return false;
}

/* address_of - that the interface has now, of the version of IP that the path is for: one that a
 * path begins at already, else the first. NULL: it has none. */
static const struct ip_addr *address_of(const struct ours *ours, const struct conf_path *path,
					const struct conf_conn *conn, const struct ike_sa_info *sa)
{
	const struct ip_addr *first = NULL;
	const uint8_t family =
		ip_addr_is_any(&path->remote) ? sa->path.remote.addr.family : path->remote.family;

	for (uint32_t i = 0; i < ours->num; i++) {
		const struct ip_addr *a = &ours->list[i].addr;

		if (strcmp(ours->list[i].ifname, path->interface) != 0 || a->family != family ||
		    is_protected(conn, a))
			continue;
		if (begins(sa, a))
			return a;
		if (!first)
			first = a;
	}
	return first;
}

bool path_resolve(struct conf_path *path, const struct ours *ours, const struct conf_conn *conn,
		  const struct ike_sa_info *sa)
{
	const struct ip_addr *a =
		path->interface[0] ? address_of(ours, path, conn, sa) : &path->local;

	if (a)
		path->local = *a;
	return a != NULL;
}

/* want_configured - by its address, or that of its interface. */
static void want_configured(struct wanted *w, const struct ours *ours, const struct conf_conn *conn,
			    const struct ike_sa_info *sa, const struct said *said,
			    struct conf_path path)
{
	if (path_resolve(&path, ours, conn, sa))
		want(w, ours, said, path);
}

/* want_all - what was said by hand goes before what is configured; without configured paths each
 * address that is of the version that IKE goes by begins one. Without a policy there are those that
 * there are. */
static void want_all(struct wanted *w, const struct ours *ours, const struct conf_conn *conn,
		     const struct ike_sa_info *sa, const struct said *said)
{
	w->num = 0;
	want_said(w, ours, said);
	if (conn->path_policy == CONF_PATHS_NONE) {
		for (uint32_t i = 0; i < sa->num_path_list; i++)
			want(w, ours, said, ends_of(&sa->path_list[i]));
		return;
	}
	for (uint32_t i = 0; i < conn->num_paths; i++)
		want_configured(w, ours, conn, sa, said, conn->paths[i]);
	for (uint32_t i = 0; !conn->num_paths && i < ours->num; i++)
		if (ours->list[i].addr.family == sa->path.remote.addr.family &&
		    !is_protected(conn, &ours->list[i].addr))
			want(w, ours, said,
			     (struct conf_path){.local = ours->list[i].addr, .weight = 1});
}

bool path_is(const struct ike_path_info *p, const struct conf_path *want)
{
	return is_same(want, &p->addr.local.addr, &p->addr.remote.addr);
}

static const struct conf_path *wanted_as(const struct wanted *w, const struct ike_path_info *p)
{
	for (uint32_t i = 0; i < w->num; i++)
		if (path_is(p, &w->path[i]))
			return &w->path[i];
	return NULL;
}

static bool is_there(const struct ike_sa_info *sa, const struct conf_path *want)
{
	for (uint32_t i = 0; i < sa->num_path_list; i++)
		if (path_is(&sa->path_list[i], want))
			return true;
	return false;
}

/* ---- what is said by hand ---------------------------------------------------------------------
 */

/* comes_again - the configuration wants the path, and no other one that is there will do. */
static bool comes_again(const struct said *s, const struct ours *ours, const struct conf_conn *conn,
			const struct ike_sa_info *sa, const struct ike_path_info *path)
{
	struct ike_sa_info without = *sa;
	struct wanted w;

	without.num_path_list = 0;
	for (uint32_t i = 0; i < sa->num_path_list; i++)
		if (sa->path_list[i].id != path->id)
			without.path_list[without.num_path_list++] = sa->path_list[i];
	want_all(&w, ours, conn, &without, s);
	for (uint32_t i = 0; i < w.num; i++)
		if (path_is(path, &w.path[i]) && !is_there(&without, &w.path[i]))
			return true;
	return false;
}

void said_remove(struct said *s, const struct ours *ours, const struct conf_conn *conn,
		 const struct ike_sa_info *sa, uint16_t id)
{
	for (uint32_t i = 0; i < sa->num_path_list; i++) {
		const struct ike_path_info *p = &sa->path_list[i];
		const struct conf_path path = ends_of(p);
		const uint32_t at = said_of(s, &path);

		if (p->id != id)
			continue;
		if (at < s->num)
			forget(s, at);
		if (!conn || comes_again(s, ours, conn, sa, p))
			said_note(s, SAID_REMOVED, &path);
	}
}

/* first_of_others - the smallest priority that another path has. */
static uint8_t first_of_others(const struct ike_sa_info *sa, uint16_t id)
{
	uint8_t least = UINT8_MAX;

	for (uint32_t i = 0; i < sa->num_path_list; i++)
		if (sa->path_list[i].id != id && sa->path_list[i].priority < least)
			least = sa->path_list[i].priority;
	return least;
}

static uint8_t priority_beside(const struct ike_path_info *p, uint16_t first)
{
	if (p->id == first)
		return 0;
	return p->priority ? p->priority : PRIORITY_LATER;
}

void said_move(struct said *s, const struct ours *ours, const struct conf_conn *conn,
	       const struct ike_sa_info *sa, uint16_t id, bool hard)
{
	const uint8_t least = first_of_others(sa, id);

	for (uint32_t i = 0; i < sa->num_path_list; i++) {
		const struct ike_path_info *p = &sa->path_list[i];
		struct conf_path path = ends_of(p);

		if (hard && p->id != id && p->priority == least) {
			said_remove(s, ours, conn, sa, p->id);
			continue;
		}
		path.priority = priority_beside(p, id);
		said_note(s, SAID_ORDERED, &path);
	}
}

uint32_t said_prefer_ops(struct ike_path_op ops[static OPS_AT_ONCE], const struct ike_sa_info *sa,
			 uint16_t id)
{
	uint32_t num = 0;

	for (uint32_t i = 0; i < sa->num_path_list && num < OPS_AT_ONCE; i++) {
		const struct ike_path_info *p = &sa->path_list[i];
		const uint8_t priority = priority_beside(p, id);

		if (p->id == id || priority != p->priority)
			ops[num++] = (struct ike_path_op){.act = IKE_PATH_SCHEDULE,
							  .id = p->id,
							  .priority = priority,
							  .weight = p->weight,
							  .policy = IKE_PATHS_AS_BEFORE};
	}
	return num;
}

/* ---- what is to be done ---------------------------------------------------------------------- */

static enum ike_path_policy policy_of(const struct conf_conn *conn)
{
	static const enum ike_path_policy policies[] = {
		[CONF_PATHS_NONE] = IKE_PATHS_AS_BEFORE,
		[CONF_PATHS_FAILOVER] = IKE_PATHS_FAILOVER,
		[CONF_PATHS_FLOW] = IKE_PATHS_FLOW,
		[CONF_PATHS_SPRAY] = IKE_PATHS_SPRAY,
		[CONF_PATHS_DUPLICATE] = IKE_PATHS_DUPLICATE,
	};

	return policies[conn->path_policy];
}

uint8_t path_encap_of(const struct ike_sa_info *sa)
{
	return sa->num_path_list ? sa->path_list[0].addr.encap : sa->path.encap;
}

static void add_missing(struct path_ops *ops, const struct wanted *w, const struct conf_conn *conn,
			const struct ike_sa_info *sa, uint16_t port)
{
	for (uint32_t i = 0; i < w->num; i++) {
		const struct conf_path *p = &w->path[i];

		if (!is_there(sa, p))
			ops->op[ops->num++] = (struct ike_path_op){
				.act = IKE_PATH_ADD,
				.addr = {.local.addr = p->local,
					 .remote.addr = p->remote,
					 .encap = path_encap_of(sa)},
				.port = port,
				.priority = p->priority,
				.weight = p->weight,
				.policy = policy_of(conn),
			};
	}
}

/* set_order - paths that are there have the priorities and weights that are wanted. */
static void set_order(struct path_ops *ops, const struct wanted *w, const struct conf_conn *conn,
		      const struct ike_sa_info *sa)
{
	const enum ike_path_policy policy = policy_of(conn);
	const bool other = policy != IKE_PATHS_AS_BEFORE && policy != sa->path_policy;

	for (uint32_t i = 0; i < sa->num_path_list; i++) {
		const struct ike_path_info *p = &sa->path_list[i];
		const struct conf_path *want = wanted_as(w, p);

		if (want && (other || want->priority != p->priority || want->weight != p->weight))
			ops->op[ops->num++] = (struct ike_path_op){
				.act = IKE_PATH_SCHEDULE,
				.id = p->id,
				.priority = want->priority,
				.weight = want->weight,
				.policy = policy,
			};
	}
}

/* remove_others - paths that are not wanted go when their address has gone, or a wanted one
 * carries. */
static void remove_others(struct path_ops *ops, const struct wanted *w, const struct ours *ours,
			  const struct ike_sa_info *sa)
{
	bool carries = false;

	for (uint32_t i = 0; i < sa->num_path_list; i++)
		carries |= sa->path_list[i].usable && wanted_as(w, &sa->path_list[i]);
	for (uint32_t i = 0; w->num && i < sa->num_path_list; i++) {
		const struct ike_path_info *p = &sa->path_list[i];

		if (!wanted_as(w, p) && (carries || !ours_has(ours, &p->addr.local.addr)))
			ops->op[ops->num++] =
				(struct ike_path_op){.act = IKE_PATH_REMOVE, .id = p->id};
	}
}

void path_plan(struct path_ops *out, const struct ours *ours, const struct conf_conn *conn,
	       const struct ike_sa_info *sa, const struct said *said, uint16_t port)
{
	struct wanted w;

	out->num = 0;
	want_all(&w, ours, conn, sa, said);
	add_missing(out, &w, conn, sa, port);
	set_order(out, &w, conn, sa);
	remove_others(out, &w, ours, sa);
}
