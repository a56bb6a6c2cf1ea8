/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/parts.h"

/* ---- randomness and the trace ------------------------------------------------------------------
 */

uint64_t sim_random(struct sim *s, uint64_t n)
{
	uint64_t v;

	if (!n || rng_fill(&s->rng.rng, &v, sizeof(v)))
		return 0;
	return v % n;
}

bool sim_chance(struct sim *s, uint32_t percent)
{
	return sim_random(s, 100) < percent;
}

void sim_note(struct sim *s, const void *p, size_t len)
{
	crypto_generichash_update(&s->hash, p, len);
}

void sim_note_u64(struct sim *s, uint64_t v)
{
	sim_note(s, &v, sizeof(v));
}

void sim_digest(struct sim *s, uint8_t out[32])
{
	crypto_generichash_state copy = s->hash;

	crypto_generichash_final(&copy, out, 32);
}

/* ---- things that happen later ------------------------------------------------------------------
 */

static bool before(const struct sim_fly *a, const struct sim_fly *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

void sim_push(struct sim *s, struct sim_fly f)
{
	size_t i;

	f.order = ++s->order;
	if (s->num_fly == s->cap_fly) {
		s->cap_fly = s->cap_fly ? 2 * s->cap_fly : 64;
		s->fly = realloc(s->fly, s->cap_fly * sizeof(*s->fly));
		assert(s->fly);
	}
	for (i = s->num_fly++; i && before(&f, &s->fly[(i - 1) / 2]); i = (i - 1) / 2)
		s->fly[i] = s->fly[(i - 1) / 2];
	s->fly[i] = f;
}

static struct sim_fly pop(struct sim *s)
{
	struct sim_fly top = s->fly[0], last = s->fly[--s->num_fly];
	size_t i = 0, c;

	while ((c = 2 * i + 1) < s->num_fly) {
		if (c + 1 < s->num_fly && before(&s->fly[c + 1], &s->fly[c]))
			c++;
		if (!before(&s->fly[c], &last))
			break;
		s->fly[i] = s->fly[c];
		i = c;
	}
	s->fly[i] = last;
	return top;
}

void sim_at(struct sim *s, uint64_t at_ns, void (*fn)(struct sim *s, unsigned arg), unsigned arg)
{
	sim_push(s, (struct sim_fly){.at_ns = at_ns, .kind = SIM_CALL, .call = fn, .arg = arg});
}

/* ---- the wire ----------------------------------------------------------------------------------
 */

uint64_t sim_delay(struct sim *s)
{
	uint64_t d = s->wire.delay_ns + sim_random(s, s->wire.jitter_ns);

	if (sim_chance(s, s->wire.reorder))
		d += s->wire.reorder_ns / 4 + sim_random(s, s->wire.reorder_ns);
	return d;
}

/* What the other side sees of a path: the translator stands between. */
struct path_addr sim_path_seen(struct sim *s, unsigned from, const struct path_addr *path)
{
	static const uint8_t outside[4] = {203, 0, 113, 5};
	struct path_addr p = {.local = path->remote, .remote = path->local, .encap = path->encap};
	const struct sim_link *l = sim_link_of(s, from, path);

	if (l)
		return sim_link_seen(l, from, path);
	if (!s->nat)
		return p;
	if (from == 0) {
		p.remote.addr = ip_addr_v4(outside);
		p.remote.port = (uint16_t)(p.remote.port + s->nat);
	} else {
		p.local.addr = s->n[0].addr.addr;
		p.local.port = (uint16_t)(p.local.port - s->nat);
	}
	return p;
}

struct ip_addr sim_addr(unsigned side, unsigned i)
{
	const uint8_t v4[2][4] = {{192, 0, 2, (uint8_t)(side + 1)},
				  {198, 51, 100, (uint8_t)(side + 1)}};
	const uint8_t v6[16] = {0x20, 1, 0xd, 0xb8, (uint8_t)i, [15] = (uint8_t)(side + 1)};

	return i < 2 ? ip_addr_v4(v4[i]) : ip_addr_v6(v6);
}

bool sim_has(const struct sim_node *n, const struct ip_addr *a)
{
	for (uint32_t i = 0; i < n->num_addrs; i++)
		if (ip_addr_equal(&n->addrs[i], a))
			return true;
	return false;
}

/* There is a way for what `from` sends along path. */
bool sim_passes(struct sim *s, unsigned from, const struct path_addr *path)
{
	if (!s->addresses)
		return true;
	return sim_has(&s->n[from], &path->local.addr) && !(s->cut && s->cut(s, path));
}

/* Who receives has the address that it was sent to; and the port, which is another one where a
 * translator has given up the one that was sent to. */
bool sim_arrives(const struct sim *s, const struct sim_fly *f)
{
	const uint16_t port = f->path.local.port;

	if (s->num_links && !f->to && f->path.encap == ENCAP_UDP && port != 500 && port != 4500)
		return false;
	return !s->addresses || sim_has(&s->n[f->to], &f->path.local.addr);
}

void sim_have(struct sim *s, unsigned side, unsigned mask, unsigned first)
{
	struct sim_node *n = &s->n[side];

	s->addresses = true;
	n->num_addrs = 0;
	if (mask & 1u << first)
		n->addrs[n->num_addrs++] = sim_addr(side, first);
	for (unsigned i = 0; i < SIM_MAX_ADDRS; i++)
		if (mask & 1u << i && i != first)
			n->addrs[n->num_addrs++] = sim_addr(side, i);
	ike_addresses_changed(n->e, s->now_ns);
	sim_settle(s, side);
}

enum err sim_source_for(void *ctx, struct ip_addr *out, const struct conf_conn *conn,
			const struct ip_addr *remote)
{
	const struct sim_node *n = ctx;

	(void)conn;
	for (uint32_t i = 0; i < n->num_addrs; i++) {
		const struct path_addr p = {.local.addr = n->addrs[i], .remote.addr = *remote};

		if (n->addrs[i].family != remote->family ||
		    (n->sim->num_links && !sim_link_of(n->sim, n->index, &p)))
			continue;
		*out = n->addrs[i];
		return ERR_OK;
	}
	return ERR_NOT_FOUND;
}

uint32_t sim_local_addrs(void *ctx, struct ip_addr *out, uint32_t max)
{
	const struct sim_node *n = ctx;
	uint32_t num = 0;

	if (n->unlisted)
		return 0;
	for (; num < n->others && num < max; num++) {
		out[num] = sim_addr(n->index, 0);
		out[num].b[0] = 10;
		out[num].b[1] = (uint8_t)num;
	}
	for (uint32_t i = 0; i < n->num_addrs && num < max; i++)
		out[num++] = n->addrs[i];
	return num;
}

static void fly_datagram(struct sim *s, unsigned from, const struct path_addr *path,
			 const uint8_t *bytes, size_t len, uint64_t at_ns)
{
	struct sim_fly f = {.at_ns = at_ns,
			    .kind = SIM_DATAGRAM,
			    .to = !from,
			    .path = sim_path_seen(s, from, path),
			    .len = len};

	f.bytes = malloc(len);
	assert(f.bytes);
	memcpy(f.bytes, bytes, len);
	sim_push(s, f);
}

/* by_wire - one goes out onto the wire between its addresses; returns how many come out of it. */
uint32_t sim_by_wire(struct sim *s, unsigned from, const struct path_addr *path, size_t len,
		     uint64_t due[static LINE_COPIES])
{
	struct sim_link *l = sim_link_of(s, from, path);

	return l ? line_take(&l->line[from], due, len, s->now_ns) : 0;
}

static void put_on_wire(struct sim *s, unsigned from, const struct path_addr *path,
			const uint8_t *bytes, size_t len)
{
	uint64_t due[LINE_COPIES];

	if (s->num_links) {
		uint32_t n = sim_by_wire(s, from, path, len, due);

		for (uint32_t i = 0; i < n; i++)
			fly_datagram(s, from, path, bytes, len, due[i]);
		return;
	}
	if (!sim_chance(s, s->wire.loss))
		fly_datagram(s, from, path, bytes, len, s->now_ns + sim_delay(s));
	if (sim_chance(s, s->wire.repeat))
		fly_datagram(s, from, path, bytes, len, s->now_ns + sim_delay(s));
}

void sim_send_datagram(struct sim *s, unsigned from, const struct ike_action *a)
{
	uint8_t *copy = malloc(a->bytes.len);
	size_t len = a->bytes.len;

	assert(copy);
	memcpy(copy, a->bytes.p, len);
	sim_note(s, copy, len);
	s->keepalives += a->raw;
	s->tapped = sim_path_seen(s, from, &a->path);
	if (!a->raw && sim_passes(s, from, &a->path) &&
	    (!s->tap || s->tap(s, from, copy, &len, s->tap_ctx)))
		put_on_wire(s, from, &a->path, copy, len);
	free(copy);
}

/* ---- time --------------------------------------------------------------------------------------
 */

static void happen(struct sim *s, struct sim_fly *f)
{
	struct ike_datagram dg = {.path = f->path, .bytes = bytes_of(f->bytes, f->len)};

	switch (f->kind) {
	case SIM_DATAGRAM:
		if (s->n[f->to].deaf || !sim_arrives(s, f) ||
		    (s->nat && !f->to && f->path.local.port != 500 && f->path.local.port != 4500))
			break; /* also what is sent to a port that the translator has given up */
		ike_receive(s->n[f->to].e, &dg, s->now_ns);
		sim_settle(s, f->to);
		break;
	case SIM_ANSWER:
		sim_answer(s, f->to, f->ask, f->ask_kind, true);
		break;
	case SIM_PACKET:
		sim_receive_packet(s, f);
		break;
	case SIM_CALL:
		f->call(s, f->arg);
		break;
	}
	free(f->bytes);
}

static uint64_t next_time(const struct sim *s)
{
	uint64_t t = s->num_fly ? s->fly[0].at_ns : TIME_NEVER;

	for (unsigned i = 0; i < 2; i++) {
		uint64_t d = ike_deadline(s->n[i].e);

		t = d < t ? d : t;
	}
	return t;
}

static bool step(struct sim *s, uint64_t until_ns)
{
	uint64_t t = next_time(s);

	if (t > until_ns) {
		s->now_ns = until_ns;
		return false;
	}
	s->now_ns =
		t > s->now_ns
			? t
			: s->now_ns + (s->num_fly && s->fly[0].at_ns <= s->now_ns ? 0 : NS_PER_MS);
	if (s->num_fly && s->fly[0].at_ns <= s->now_ns) {
		struct sim_fly f = pop(s);

		happen(s, &f);
		return true;
	}
	for (unsigned i = 0; i < 2; i++) {
		ike_run(s->n[i].e, s->now_ns);
		sim_settle(s, i);
	}
	return true;
}

void sim_run(struct sim *s, uint64_t until_ns)
{
	while (step(s, until_ns))
		;
}

bool sim_run_until(struct sim *s, uint64_t until_ns, bool (*done)(struct sim *s))
{
	while (!done(s))
		if (!step(s, until_ns))
			return done(s);
	return true;
}

/* ---- what a side asks for ----------------------------------------------------------------------
 */

/* Between the addresses that the sides have now, as names would be looked up. */
static void find_ends(struct sim *s, unsigned side, struct path_addr *p)
{
	const struct sim_node *n = &s->n[side], *other = &s->n[!side];

	for (uint32_t i = 0; i < n->num_addrs; i++)
		for (uint32_t j = 0; j < other->num_addrs; j++) {
			if (n->addrs[i].family != other->addrs[j].family)
				continue;
			p->local.addr = n->addrs[i];
			p->remote.addr = other->addrs[j];
			if (!s->num_links || sim_link_of(s, side, p))
				return;
		}
}

enum err sim_initiate_flow(struct sim *s, unsigned side, const char *child, const struct flow *flow)
{
	struct sim_node *n = &s->n[side];
	struct ike_initiate_params p = {.conn = "net",
					.child = child,
					.path = {.local = n->addr, .remote = s->n[!side].addr},
					.flow = flow,
					.request = 1};
	enum err e;

	if (s->addresses)
		find_ends(s, side, &p.path);
	e = ike_initiate(n->e, &p, s->now_ns);
	sim_settle(s, side);
	return e;
}

enum err sim_initiate(struct sim *s, unsigned side, const char *child)
{
	return sim_initiate_flow(s, side, child, NULL);
}

enum err sim_terminate(struct sim *s, unsigned side, const char *child)
{
	struct ike_select sel = {.conn = "net", .child = child};
	uint32_t num;
	enum err e = ike_terminate(s->n[side].e, &num, &sel, s->now_ns);

	sim_settle(s, side);
	return e;
}

enum err sim_rekey(struct sim *s, unsigned side, const char *child)
{
	struct ike_select sel = {.conn = "net", .child = child};
	uint32_t num;
	enum err e = ike_rekey(s->n[side].e, &num, &sel, s->now_ns);

	sim_settle(s, side);
	return e;
}

enum err sim_redirect(struct sim *s, unsigned side, const char *gateway)
{
	const struct ike_redirect_params p = {.conn = "net", .gateway = gateway};
	uint32_t num;
	enum err e = ike_redirect(s->n[side].e, &num, &p, s->now_ns);

	sim_settle(s, side);
	return e;
}

void sim_alone(struct sim *s, unsigned side, uint32_t worker)
{
	struct sim_node *n = &s->n[side];
	const struct sim_pair *shared = NULL;

	for (uint32_t i = 0; i < n->num_pairs; i++) {
		const struct sim_pair *p = &n->pairs[i];

		if (p->out && p->share == SHARE_OWNER && p->worker == worker + 1 && p->active)
			return;
		if (p->out && p->share == SHARE_ASK && p->active &&
		    (!shared || p->active > shared->active))
			shared = p;
	}
	if (!shared)
		return;
	ike_child_alone(n->e, shared->id, worker, s->now_ns);
	sim_settle(s, side);
}

void sim_deliver(struct sim *s, unsigned to, const struct path_addr *path, const void *bytes,
		 size_t len)
{
	struct ike_datagram dg = {.path = *path, .bytes = bytes_of(bytes, len)};

	ike_receive(s->n[to].e, &dg, s->now_ns);
	sim_settle(s, to);
}

void sim_inject(struct sim *s, unsigned to, const void *bytes, size_t len)
{
	const struct path_addr path = {.local = s->n[to].addr, .remote = s->n[!to].addr};

	sim_deliver(s, to, &path, bytes, len);
}
