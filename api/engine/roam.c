/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roam.c - the host's addresses and routes change under us: the keying engine is told (RFC 4555),
 * the routes that the kernel dropped with an address are put back, and addresses that programs go
 * on using are held.
 */
#include <unistd.h>

#include "api/engine/internal.h"

/* SETTLE_NS - a change of address is several events: they are taken together. HURRIES - so many of
 * them within that time are acted on at once where somebody goes from an address that is gone: each
 * may be the one that brings another. LOOKS - so many are looked at: routes may change all the
 * time.
 */
#define SETTLE_NS (100 * NS_PER_MS)
#define HURRIES   8
#define LOOKS     32

static void settle(struct engine *e, uint64_t now_ns)
{
	paths_settle(e); /* first: what has one path only is moved as MOBIKE does */
	ike_addresses_changed(e->ike, now_ns);
	actions_run(e); /* what goes out waits for no route */
	routes_again(e);
}

static void settled(struct timer *t, uint64_t now_ns)
{
	struct engine *e = container_of(t, struct engine, roam);

	e->hurries = e->looks = 0;
	e->has_listed = false;
	held_settle(e);
	path_links(e);
	settle(e, now_ns);
}

/* struct adrift - what is looked for: somebody who goes from an address that the host has not. */
struct adrift {
	struct ours ours;
	bool found;
};

static bool is_gone(const struct adrift *a, const struct ip_addr *addr)
{
	return !ip_addr_is_any(addr) && !ours_has(&a->ours, addr);
}

static void look(void *ctx, const struct ike_sa_info *sa)
{
	struct adrift *a = ctx;

	a->found |= is_gone(a, &sa->path.local.addr);
	for (uint32_t i = 0; sa->paths_decides && i < sa->num_path_list; i++)
		a->found |= is_gone(a, &sa->path_list[i].addr.local.addr);
}

static bool same(const struct ours *a, const struct ours *b)
{
	for (uint32_t i = 0; i < a->num; i++)
		if (!ours_has(b, &a->list[i].addr))
			return false;
	return a->num == b->num;
}

/* is_adrift - there is nothing to be lost by acting on half of a change. Who is is only looked for
 * if addresses are others, or somebody was: there may be many who could be. */
static bool is_adrift(struct engine *e)
{
	struct adrift a = {.found = false};

	roam_ours(e, &a.ours);
	if (!e->adrift && same(&a.ours, &e->ours))
		return false;
	e->ours = a.ours;
	ike_each_sa(e->ike, look, &a);
	e->adrift = a.found;
	return a.found;
}

static void on_change(struct engine *e, struct loop_source *s)
{
	bool changed = false;

	if (e->host.ops->watch_read(e->host.ctx, s->fd, &changed)) {
		LOG(ERROR, KNL, NULL, "the host's addresses are not watched any more");
		loop_unwatch(e, s);
		e->watching = false;
		return;
	}
	if (!changed)
		return;
	e->has_listed = false;
	if (e->looks++ < LOOKS) {
		held_settle(e); /* programs use what is gone */
		path_links(e);
		if (e->hurries < HURRIES && is_adrift(e)) {
			e->hurries++;
			settle(e, engine_now(e));
		}
	}
	if (!timer_is_set(&e->roam))
		timer_set(&e->timers, &e->roam, engine_now(e) + SETTLE_NS);
}

enum err roam_open(struct engine *e)
{
	enum err err;

	timer_init(&e->roam, settled);
	e->watch = (struct loop_source){.fd = -1, .ready = on_change};
	err = e->host.ops->watch_open(e->host.ctx, &e->watch.fd);
	if (err == ERR_UNSUPPORTED)
		return ERR_OK;
	if (!err)
		err = loop_watch(e, &e->watch);
	e->watching = !err;
	return err;
}

void roam_close(struct engine *e)
{
	if (e->watch.fd >= 0)
		close(e->watch.fd);
	e->watch.fd = -1;
}

void engine_addresses_changed(struct engine *e)
{
	const struct log_sink *before = log_use(&e->sink);

	timer_cancel(&e->timers, &e->roam);
	settled(&e->roam, engine_now(e));
	engine_turn(e);
	log_use(before);
}

/* ---- what the keying engine asks ------------------------------------------------------------- */

void roam_ours(struct engine *e, struct ours *out)
{
	size_t num = 0;

	out->num = 0;
	if (!e->host.ops->addrs(e->host.ctx, out->list, &num, ADDRS_MAX))
		out->num = (uint32_t)num;
}

/* Each handshake asks, and the host takes its time to say: while we are told of changes it is asked
 * once after each. */
uint32_t roam_addrs(void *ctx, struct ip_addr *out, uint32_t max)
{
	struct engine *e = ctx;
	uint32_t num = 0;

	if (!e->watching || !e->has_listed)
		roam_ours(e, &e->listed);
	e->has_listed = true;
	for (; num < e->listed.num && num < max; num++)
		out[num] = e->listed.list[num].addr;
	return num;
}

static bool is_one(const struct conf_addr *a)
{
	return !a->any && !a->name && ip_addr_equal(&a->range.lo, &a->range.hi);
}

/* An address that the connection names, if the host has it; else what the host would use. */
enum err roam_source(void *ctx, struct ip_addr *out, const struct conf_conn *conn,
		     const struct ip_addr *remote)
{
	struct engine *e = ctx;
	struct ip_addr list[ADDRS_MAX], routed;
	uint32_t num = roam_addrs(ctx, list, ADDRS_MAX);
	enum err err = e->host.ops->source_for(e->host.ctx, &routed, remote);

	if (err)
		return err;
	for (uint32_t i = 0; i < conn->num_local_addrs; i++)
		for (uint32_t j = 0; is_one(&conn->local_addrs[i]) && j < num; j++)
			if (list[j].family == remote->family &&
			    ip_addr_equal(&list[j], &conn->local_addrs[i].range.lo)) {
				*out = list[j];
				return ERR_OK;
			}
	*out = routed;
	return ERR_OK;
}
