/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim.h"

#include "base/alloc.h"
#include "base/log.h"
#include "control/ike/core.h"
#include "control/ike/wire/mif.h"
#include "dataplane/replay.h"
#include "tests/pki_conf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* SIM_WINDOW - of every pair, where wires repeat what they carry. */
#define SIM_WINDOW 1024

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

static void note(struct sim *s, const void *p, size_t len)
{
	crypto_generichash_update(&s->hash, p, len);
}

static void note_u64(struct sim *s, uint64_t v)
{
	note(s, &v, sizeof(v));
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

static void push(struct sim *s, struct sim_fly f)
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
	push(s, (struct sim_fly){.at_ns = at_ns, .kind = SIM_CALL, .call = fn, .arg = arg});
}

/* ---- the wire ----------------------------------------------------------------------------------
 */

static uint64_t delay(struct sim *s)
{
	uint64_t d = s->wire.delay_ns + sim_random(s, s->wire.jitter_ns);

	if (sim_chance(s, s->wire.reorder))
		d += s->wire.reorder_ns / 4 + sim_random(s, s->wire.reorder_ns);
	return d;
}

/* What the other side sees of a path: the translator stands between. */
static struct path_addr seen(struct sim *s, unsigned from, const struct path_addr *path)
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

static bool has(const struct sim_node *n, const struct ip_addr *a)
{
	for (uint32_t i = 0; i < n->num_addrs; i++)
		if (ip_addr_equal(&n->addrs[i], a))
			return true;
	return false;
}

/* There is a way for what `from` sends along path. */
static bool passes(struct sim *s, unsigned from, const struct path_addr *path)
{
	if (!s->addresses)
		return true;
	return has(&s->n[from], &path->local.addr) && !(s->cut && s->cut(s, path));
}

/* Who receives has the address that it was sent to; and the port, which is another one where a
 * translator has given up the one that was sent to. */
static bool arrives(const struct sim *s, const struct sim_fly *f)
{
	const uint16_t port = f->path.local.port;

	if (s->num_links && !f->to && f->path.encap == ENCAP_UDP && port != 500 && port != 4500)
		return false;
	return !s->addresses || has(&s->n[f->to], &f->path.local.addr);
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

static enum err source_for(void *ctx, struct ip_addr *out, const struct conf_conn *conn,
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

static uint32_t local_addrs(void *ctx, struct ip_addr *out, uint32_t max)
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
			    .path = seen(s, from, path),
			    .len = len};

	f.bytes = malloc(len);
	assert(f.bytes);
	memcpy(f.bytes, bytes, len);
	push(s, f);
}

/* by_wire - one goes out onto the wire between its addresses; returns how many come out of it. */
static uint32_t by_wire(struct sim *s, unsigned from, const struct path_addr *path, size_t len,
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
		uint32_t n = by_wire(s, from, path, len, due);

		for (uint32_t i = 0; i < n; i++)
			fly_datagram(s, from, path, bytes, len, due[i]);
		return;
	}
	if (!sim_chance(s, s->wire.loss))
		fly_datagram(s, from, path, bytes, len, s->now_ns + delay(s));
	if (sim_chance(s, s->wire.repeat))
		fly_datagram(s, from, path, bytes, len, s->now_ns + delay(s));
}

static void send_datagram(struct sim *s, unsigned from, const struct ike_action *a)
{
	uint8_t *copy = malloc(a->bytes.len);
	size_t len = a->bytes.len;

	assert(copy);
	memcpy(copy, a->bytes.p, len);
	note(s, copy, len);
	s->keepalives += a->raw;
	s->tapped = seen(s, from, &a->path);
	if (!a->raw && passes(s, from, &a->path) &&
	    (!s->tap || s->tap(s, from, copy, &len, s->tap_ctx)))
		put_on_wire(s, from, &a->path, copy, len);
	free(copy);
}

/* ---- the data path -----------------------------------------------------------------------------
 */

static struct sim_pair *pair_by_id(struct sim_node *n, uint64_t id)
{
	for (uint32_t i = 0; i < n->num_pairs; i++)
		if (n->pairs[i].id == id)
			return &n->pairs[i];
	return NULL;
}

static struct sim_pair *pair_by_spi_in(struct sim_node *n, uint32_t spi)
{
	for (uint32_t i = 0; i < n->num_pairs; i++)
		if (n->pairs[i].in && n->pairs[i].spi_in == spi)
			return &n->pairs[i];
	return NULL;
}

static enum err spi_reserve(void *ctx, uint32_t *out, uint64_t replaces, uint32_t worker)
{
	struct sim_node *n = ctx;
	const struct sim_pair *old = replaces ? pair_by_id(n, replaces) : NULL;
	uint32_t spi;

	if (rng_fill(&n->rng.rng, &spi, sizeof(spi)))
		return ERR_CRYPTO;
	spi |= 0x100;
	if (old)
		worker = old->worker;
	if (worker) /* the SPI names it */
		spi = (spi & 0xffffff) | worker << 24;
	assert(n->num_spis < SIM_MAX_PAIRS * 4);
	n->spis[n->num_spis++] = spi;
	*out = spi;
	return ERR_OK;
}

static void spi_release(void *ctx, uint32_t spi)
{
	struct sim_node *n = ctx;

	for (uint32_t i = 0; i < n->num_spis; i++)
		if (n->spis[i] == spi) {
			n->spis[i] = n->spis[--n->num_spis];
			return;
		}
	assert(!"an SPI is released that was not reserved");
}

static enum err child_stats(void *ctx, struct child_stats *out, uint64_t child)
{
	struct sim_node *n = ctx;

	if (!pair_by_id(n, child))
		return ERR_NOT_FOUND;
	*out = (struct child_stats){.in_last_ns = n->heard_ns};
	return ERR_OK;
}

static struct sim_peer *peer_by_id(struct sim_node *n, uint64_t id)
{
	for (uint32_t i = 0; i < n->num_peers; i++)
		if (n->peers[i].id == id)
			return &n->peers[i];
	return NULL;
}

/* One that is being left comes after all others. */
static uint32_t rank(const struct sim_path *p)
{
	return p->leaving ? UINT8_MAX + 1u : p->priority;
}

/* The usable path of the smallest rank, of equals the first; NULL: packets go nowhere. */
static const struct sim_path *best_path(const struct sim_peer *peer)
{
	const struct sim_path *best = NULL;

	for (uint32_t i = 0; i < peer->num_paths; i++) {
		const struct sim_path *p = &peer->paths[i];

		if (p->usable &&
		    (!best || rank(p) < rank(best) || (rank(p) == rank(best) && p->id < best->id)))
			best = p;
	}
	return best;
}

static struct sim_path *path_by_id(struct sim_peer *peer, uint16_t id)
{
	for (uint32_t i = 0; i < peer->num_paths; i++)
		if (peer->paths[i].id == id)
			return &peer->paths[i];
	return NULL;
}

static void paths_changed(struct sim_peer *peer)
{
	const struct sim_path *best = best_path(peer);

	if (best)
		peer->path = best->addr;
}

static void path_put(struct sim_peer *peer, const struct ike_action *a)
{
	struct sim_path *p = path_by_id(peer, a->say.id);
	const uint32_t came = p ? p->came : a->say.came;

	if (!p) {
		assert(peer->num_paths < ARRAY_LEN(peer->paths) && a->say.id);
		p = &peer->paths[peer->num_paths++];
	}
	assert(a->say.weight);
	*p = (struct sim_path){.id = a->say.id,
			       .weight = a->say.weight,
			       .priority = a->say.priority,
			       .usable = a->say.usable,
			       .leaving = a->say.leaving,
			       .came = came,
			       .addr = a->path};
	paths_changed(peer);
}

static void path_take(struct sim_node *n, struct sim_peer *peer, uint16_t id)
{
	struct sim_path *p = path_by_id(peer, id);

	assert(p && peer->num_paths > 1); /* what is taken is there, and not the only one */
	*p = peer->paths[--peer->num_paths];
	for (uint32_t i = 0; i < n->num_pairs; i++) /* children were untied, or will be at once */
		if (n->pairs[i].peer == peer->id && n->pairs[i].path == id)
			n->pairs[i].path = 0;
	paths_changed(peer);
}

static void change_paths(struct sim_node *n, const struct ike_action *a)
{
	struct sim_peer *peer = peer_by_id(n, a->peer);

	assert(peer); /* a path is of a set that is there */
	if (a->kind == IKE_ACTION_PATH_PUT)
		path_put(peer, a);
	else if (a->kind == IKE_ACTION_PATH_TAKE)
		path_take(n, peer, a->say.id);
	else
		peer->policy = a->say.policy;
}

static void take_news(struct sim_node *n, const struct ike_action *a)
{
	n->last_status = a->say.status;
	switch ((enum ike_path_news)a->say.news) {
	case IKE_PATH_DONE:
		n->done++;
		break;
	case IKE_PATH_REFUSED:
		n->refused++;
		break;
	case IKE_PATH_PROPOSED:
		n->proposed++;
		n->last_proposed = a->path;
		break;
	}
}

struct sim_path *sim_path_find(struct sim *s, unsigned side, uint16_t id)
{
	return s->n[side].num_peers ? path_by_id(&s->n[side].peers[0], id) : NULL;
}

static void child_add(struct sim_node *n, const struct ike_child_add *add)
{
	const struct child_params *p = &add->params;
	struct sim_pair *pair = &n->pairs[n->num_pairs++];
	const struct sim_peer *peer = peer_by_id(n, add->peer);

	assert(n->num_pairs < SIM_MAX_PAIRS);
	assert(p->proof && peer && peer->live);
	assert(p->key_in.len && p->key_in.len == p->key_out.len);
	assert(p->worker <= n->num_workers);
	assert(!p->worker || p->spi_in >> 24 == p->worker);
	*pair = (struct sim_pair){.id = p->id,
				  .peer = add->peer,
				  .spi_in = p->spi_in,
				  .spi_out = p->spi_out,
				  .in = true,
				  .out = true,
				  .key_len = p->key_in.len,
				  .mode = p->mode,
				  .local = p->local[0],
				  .remote = p->remote[0],
				  .seen_local = p->seen_local,
				  .seen_remote = p->seen_remote,
				  .replay_window = p->replay_window,
				  .tfc_padding = p->tfc_padding,
				  .dummies = p->dummies,
				  .dummy_len = p->dummy_len,
				  .worker = p->worker,
				  .share = p->share,
				  .num_ts = p->num_local + p->num_remote};
	memcpy(pair->key_in, p->key_in.p, p->key_in.len);
	memcpy(pair->key_out, p->key_out.p, p->key_out.len);
	snprintf(pair->name, sizeof(pair->name), "%s", add->child);
	if (p->outbound_active)
		pair->active = ++n->activations;
}

static void pair_fini(struct sim_pair *p)
{
	mem_free_aligned(p->window);
	free(p->accepted);
}

static void child_remove(struct sim_node *n, uint64_t id, enum child_half half)
{
	struct sim_pair *p = pair_by_id(n, id);

	assert(p); /* what is taken away was there */
	if (half & CHILD_OUT)
		p->out = false;
	if (half & CHILD_IN) {
		p->in = false;
		spi_release(n, p->spi_in);
	}
	if (p->in || p->out)
		return;
	pair_fini(p);
	*p = n->pairs[--n->num_pairs];
}

static void peer_remove(struct sim_node *n, uint64_t id)
{
	struct sim_peer *peer = peer_by_id(n, id);

	assert(peer);
	for (uint32_t i = 0; i < n->num_pairs; i++)
		assert(n->pairs[i].peer != id); /* no SA may use it any more */
	*peer = n->peers[--n->num_peers];
}

/* Packets of its child go out on it: it is the one that was activated last. */
static bool is_outbound(const struct sim_node *n, const struct sim_pair *p)
{
	if (!p->out || !p->active)
		return false;
	for (uint32_t i = 0; i < n->num_pairs; i++) {
		const struct sim_pair *o = &n->pairs[i];

		if (o->out && o->active > p->active && strcmp(o->name, p->name) == 0)
			return false;
	}
	return true;
}

/* One of each child. */
static void send_on(struct sim *s, unsigned from, struct sim_pair *p)
{
	struct sim_node *n = &s->n[from];
	struct sim_peer *peer = peer_by_id(n, p->peer);
	const struct sim_path *tied = p->path ? path_by_id(peer, p->path) : NULL;
	const struct path_addr *by =
		tied && tied->usable && !tied->leaving ? &tied->addr : &peer->path;
	struct sim_fly f = {.kind = SIM_PACKET,
			    .to = !from,
			    .path = seen(s, from, by),
			    .spi = p->spi_out,
			    .number = ++p->sent};
	uint64_t due[LINE_COPIES];
	uint32_t copies = 0;

	n->sent_packets++;
	if (!best_path(peer) || !passes(s, from, by)) {
		n->lost_packets++;
		return;
	}
	if (s->num_links)
		copies = by_wire(s, from, by, SIM_PACKET_LEN, due);
	else
		due[copies++] = s->now_ns + delay(s);
	n->lost_packets += !copies;
	for (uint32_t i = 0; i < copies; i++) {
		f.at_ns = due[i];
		push(s, f);
	}
}

static void send_packet(struct sim *s, unsigned from)
{
	struct sim_node *n = &s->n[from];

	sim_at(s, s->now_ns + (s->traffic ? s->packet_ns : NS_PER_S / 2), send_packet, from);
	for (uint32_t i = 0; s->traffic && !n->mute && i < n->num_pairs; i++)
		if (is_outbound(n, &n->pairs[i]))
			send_on(s, from, &n->pairs[i]);
}

/* As the data path does: the newest packet alone says it, and at most once a second. */
static void report_move(struct sim *s, const struct sim_fly *f)
{
	struct sim_pair *p = pair_by_spi_in(&s->n[f->to], f->spi);
	struct sim_peer *peer = p && f->order > p->top ? peer_by_id(&s->n[f->to], p->peer) : NULL;

	if (!peer || !s->addresses || f->path.encap != ENCAP_UDP ||
	    !memcmp(&peer->path.remote, &f->path.remote, sizeof(f->path.remote)) ||
	    s->now_ns - peer->moved_ns < NS_PER_S)
		return;
	peer->moved_ns = s->now_ns;
	ike_child_moved(s->n[f->to].e, p->id, &f->path, 0, s->now_ns);
	sim_settle(s, f->to);
}

/* accept - the window lets it through. What it has let through before is found by other means. */
static bool accept_number(struct sim *s, struct sim_pair *p, uint64_t number)
{
	if (!s->num_links)
		return true; /* nothing comes twice */
	if (!p->window)
		p->window = replay_new(SIM_WINDOW);
	assert(p->window);
	if (!replay_check(p->window, number) || !replay_commit(p->window, number))
		return false;
	if (number / 8 >= p->accepted_len) {
		size_t len = number / 4 + 64;

		p->accepted = realloc(p->accepted, len);
		assert(p->accepted);
		memset(p->accepted + p->accepted_len, 0, len - p->accepted_len);
		p->accepted_len = len;
	}
	s->twice += p->accepted[number / 8] >> number % 8 & 1;
	p->accepted[number / 8] |= (uint8_t)(1 << number % 8);
	return true;
}

static void receive_packet(struct sim *s, const struct sim_fly *f)
{
	struct sim_node *n = &s->n[f->to];
	struct sim_pair *p = arrives(s, f) ? pair_by_spi_in(n, f->spi) : NULL;

	if (p && !accept_number(s, p, f->number))
		return; /* another one of it did, or it is too late */
	if (p)
		report_move(s, f); /* which may take the pair away */
	p = p ? pair_by_spi_in(n, f->spi) : NULL;
	if (!p) {
		s->n[!f->to].lost_packets++;
		return;
	}
	n->got_packets++;
	p->top = f->order > p->top ? f->order : p->top;
	n->heard_ns = s->now_ns;
	if (p->used)
		return;
	p->used = true;
	ike_child_used(n->e, p->id, s->now_ns);
	sim_settle(s, f->to);
}

/* The other side's path with the same number, if packets pass both ways between these addresses. */
static bool is_answered(struct sim *s, unsigned side, const struct sim_path *p)
{
	const struct path_addr back = seen(s, side, &p->addr);
	struct sim_node *other = &s->n[!side];

	for (uint32_t i = 0; i < other->num_peers; i++)
		if (path_by_id(&other->peers[i], p->id))
			return passes(s, side, &p->addr) && has(other, &back.local.addr) &&
			       passes(s, !side, &back) && has(&s->n[side], &p->addr.local.addr);
	return false;
}

void sim_probe(struct sim *s)
{
	for (unsigned side = 0; side < 2; side++) {
		struct sim_node *n = &s->n[side];

		for (uint32_t i = 0; i < n->num_peers; i++) {
			const struct sim_peer peer = n->peers[i];

			for (uint32_t k = 0; k < peer.num_paths; k++)
				ike_path_usable(n->e, peer.id, peer.paths[k].id,
						is_answered(s, side, &peer.paths[k]), NULL,
						s->now_ns);
		}
		sim_settle(s, side);
	}
}

/* ---- asks and events ---------------------------------------------------------------------------
 */

static void put_ask(struct sim *s, unsigned side, const struct ike_ask *ask)
{
	assert(ask && ask->conn && ask->local_id);
	if (s->quiet_ask || (s->asked && !s->asked(s, side, ask, s->tap_ctx)))
		return;
	push(s, (struct sim_fly){.at_ns = s->now_ns + sim_random(s, s->wire.ask_ns),
				 .kind = SIM_ANSWER,
				 .to = side,
				 .ask = ask->id,
				 .ask_kind = ask->kind});
}

static void answer_from_keyring(struct sim_node *n, struct ike_answer *a, const struct ike_ask *ask)
{
	struct ike_ask asked = *ask;

	if (n->forge_ask)
		n->forge_ask(n, &asked);
	ike_keyring_answer(n->keyring, a, n->conf, &asked, n->wall_s);
	if (n->forge)
		n->forge(n, ask, a);
}

void sim_answer(struct sim *s, unsigned side, uint64_t id, enum ike_ask_kind kind, bool allow)
{
	struct sim_node *n = &s->n[side];
	struct ike_answer a = {.allow = allow};
	const struct ike_ask *ask = ask_find(n->e, id);

	if (allow && ask &&
	    (kind == IKE_ASK_SIGN || kind == IKE_ASK_VERIFY_CHAIN || kind == IKE_ASK_EAP_SECRET ||
	     kind == IKE_ASK_EAP_KEY || kind == IKE_ASK_EAP_SERVER || kind == IKE_ASK_PPK ||
	     (n->by_keyring && (kind == IKE_ASK_SECRET || kind == IKE_ASK_AUTHORIZE))))
		answer_from_keyring(n, &a, ask);
	else if (allow && kind == IKE_ASK_SECRET && n->secret)
		a.secret = bytes_of(n->secret, strlen(n->secret));
	if (kind == IKE_ASK_AUTHORIZE)
		a.allow = a.allow && !n->refuse_peer;
	if (kind == IKE_ASK_CHILD_ACCEPT)
		a.allow = allow && !n->refuse_child;
	ike_answer(n->e, id, &a, s->now_ns);
	sim_settle(s, side);
}

static void take_event(struct sim *s, struct sim_node *n, const struct ike_event *ev)
{
	if (ev->kind == IKE_EVENT_IKE_UP || ev->kind == IKE_EVENT_FAILED) {
		n->reauth = ev->reauth;
		n->same_key = ev->same_key;
	}
	switch (ev->kind) {
	case IKE_EVENT_IKE_UP:
		n->ike_up++;
		break;
	case IKE_EVENT_IKE_REKEYED:
		n->rekeyed_ike++;
		break;
	case IKE_EVENT_IKE_DOWN:
		n->ike_down++;
		n->last_down = ev->reason;
		snprintf(n->down_text, sizeof(n->down_text), "%s", ev->text);
		break;
	case IKE_EVENT_CHILD_UP:
		n->child_up++;
		if (!n->up_ns)
			n->up_ns = s->now_ns;
		break;
	case IKE_EVENT_CHILD_REKEYED:
		n->rekeyed_child++;
		break;
	case IKE_EVENT_CHILD_DOWN:
		n->child_down++;
		break;
	case IKE_EVENT_FAILED:
		n->failed++;
		n->last_failure = ev->reason;
		snprintf(n->phase, sizeof(n->phase), "%s", ev->phase);
		snprintf(n->here, sizeof(n->here), "%s", ev->here);
		snprintf(n->there, sizeof(n->there), "%s", ev->there);
		snprintf(n->last_text, sizeof(n->last_text), "%s", ev->text);
		break;
	case IKE_EVENT_PROGRESS:
		break;
	}
	note(s, ev->text, strlen(ev->text));
	if (getenv("SIM_VERBOSE"))
		printf("# %8.3f %c event %d %s: %s\n", (double)(s->now_ns - 1000 * NS_PER_S) / 1e9,
		       'A' + (int)n->index, (int)ev->kind, ike_reason_name(ev->reason), ev->text);
}

static void address_remove(struct sim_node *n, const struct ip_addr *a)
{
	for (uint32_t i = 0; i < n->num_addresses; i++)
		if (ip_addr_equal(&n->addresses[i], a)) {
			n->addresses[i] = n->addresses[--n->num_addresses];
			return;
		}
	assert(!"an address is taken away that was not given");
}

static void act(struct sim *s, unsigned side, const struct ike_action *a)
{
	struct sim_node *n = &s->n[side];
	struct sim_peer *peer;
	struct sim_pair *p;

	note_u64(s, s->now_ns);
	note_u64(s, (uint64_t)a->kind << 32 | side);
	note_u64(s, a->child ^ a->peer);
	switch (a->kind) {
	case IKE_ACTION_SEND:
		n->sent_to = a->peer;
		send_datagram(s, side, a);
		break;
	case IKE_ACTION_PATHSET_ADD:
		assert(!peer_by_id(n, a->peer));
		n->peers[n->num_peers++] =
			(struct sim_peer){.id = a->peer,
					  .live = true,
					  .path = a->path,
					  .num_paths = 1,
					  .paths[0] = {1, 1, 0, true, false, a->path}};
		break;
	case IKE_ACTION_PATHSET_MOVE:
		peer = peer_by_id(n, a->peer);
		assert(peer);
		assert(peer->num_paths == 1 && peer->paths[0].id == 1);
		peer->path = peer->paths[0].addr = a->path;
		n->moves++;
		break;
	case IKE_ACTION_PATHSET_REMOVE:
		peer_remove(n, a->peer);
		break;
	case IKE_ACTION_CHILD_ADD:
		note(s, a->child_add->params.key_in.p, a->child_add->params.key_in.len);
		child_add(n, a->child_add);
		break;
	case IKE_ACTION_CHILD_ACTIVATE:
		p = pair_by_id(n, a->child);
		assert(p && p->out);
		p->active = ++n->activations;
		break;
	case IKE_ACTION_CHILD_REMOVE:
		child_remove(n, a->child, a->half);
		break;
	case IKE_ACTION_PATH_PUT:
	case IKE_ACTION_PATH_TAKE:
	case IKE_ACTION_PATH_SCHEDULE:
		change_paths(n, a);
		break;
	case IKE_ACTION_PATH_NEWS:
		take_news(n, a);
		break;
	case IKE_ACTION_CHILD_PATH:
		p = pair_by_id(n, a->child);
		assert(p);
		p->path = a->say.id;
		break;
	case IKE_ACTION_ADDRESS_ADD:
		assert(n->num_addresses < ARRAY_LEN(n->addresses));
		n->addresses[n->num_addresses++] = a->address;
		n->num_lent++;
		break;
	case IKE_ACTION_ADDRESS_REMOVE:
		address_remove(n, &a->address);
		break;
	case IKE_ACTION_ASK:
		put_ask(s, side, a->ask);
		break;
	case IKE_ACTION_EVENT:
		take_event(s, n, a->event);
		break;
	}
}

void sim_settle(struct sim *s, unsigned side)
{
	struct ike_action a;

	while (ike_action_next(s->n[side].e, &a))
		act(s, side, &a);
}

/* ---- time --------------------------------------------------------------------------------------
 */

static void happen(struct sim *s, struct sim_fly *f)
{
	struct ike_datagram dg = {.path = f->path, .bytes = bytes_of(f->bytes, f->len)};

	switch (f->kind) {
	case SIM_DATAGRAM:
		if (s->n[f->to].deaf || !arrives(s, f) ||
		    (s->nat && !f->to && f->path.local.port != 500 && f->path.local.port != 4500))
			break; /* also what is sent to a port that the translator has given up */
		ike_receive(s->n[f->to].e, &dg, s->now_ns);
		sim_settle(s, f->to);
		break;
	case SIM_ANSWER:
		sim_answer(s, f->to, f->ask, f->ask_kind, true);
		break;
	case SIM_PACKET:
		receive_packet(s, f);
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

/* ---- making ------------------------------------------------------------------------------------
 */

static const char *conf_text(unsigned side, const char *addrs, const char *extra,
			     const char *child_extra)
{
	static char text[2][4096];
	const unsigned us = side + 1, them = 2 - side;

	snprintf(text[side], sizeof(text[side]),
		 "connections { net {\n version = 2\n %s\n encap = yes\n %s\n"
		 " local { auth = psk\n id = host%u.example }\n"
		 " remote { auth = psk\n id = host%u.example }\n"
		 " children { tun { local_ts = 10.%u.0.0/16\n remote_ts = 10.%u.0.0/16\n"
		 "  %s\n } } } }\n"
		 "secrets { ike-1 { secret = \"a fairly long shared secret\" } }\n",
		 addrs, extra, us, them, us, them, child_extra);
	return text[side];
}

const char *sim_conf(unsigned side, const char *extra, const char *child_extra)
{
	return conf_text(side,
			 side ? "local_addrs = 192.0.2.2\n remote_addrs = 192.0.2.1"
			      : "local_addrs = 192.0.2.1\n remote_addrs = 192.0.2.2",
			 extra, child_extra);
}

const char *sim_conf_anywhere(unsigned side, const char *extra, const char *child_extra)
{
	return conf_text(side, "", extra, child_extra);
}

const char *sim_conf_sign(unsigned side, const char *extra, const char *child_extra)
{
	static char text[2][4096];
	const unsigned us = side + 1, them = 2 - side;

	snprintf(text[side], sizeof(text[side]),
		 "connections { net {\n version = 2\n local_addrs = 192.0.2.%u\n"
		 " remote_addrs = 192.0.2.%u\n encap = yes\n %s\n"
		 " local { id = host%u.example }\n remote { id = host%u.example }\n"
		 " children { tun { local_ts = 10.%u.0.0/16\n remote_ts = 10.%u.0.0/16\n"
		 "  %s\n } } } }\n",
		 us, them, extra, us, them, us, them, child_extra);
	return text[side];
}

const char *sim_conf_eap(unsigned side, const char *extra, const char *child_extra)
{
	static char text[2][4096];
	const unsigned us = side + 1, them = 2 - side;

	snprintf(text[side], sizeof(text[side]),
		 "connections { net {\n version = 2\n local_addrs = 192.0.2.%u\n"
		 " remote_addrs = 192.0.2.%u\n encap = yes\n %s\n"
		 " local { id = host%u.example\n auth = %s }\n"
		 " remote { id = host%u.example\n auth = %s }\n"
		 " children { tun { local_ts = 10.%u.0.0/16\n remote_ts = 10.%u.0.0/16\n"
		 "  %s\n } } } }\n"
		 "secrets { eap { id = host1.example\n secret = \"a password\" } }\n",
		 us, them, extra, us, side ? "pubkey" : "eap", them,
		 side ? "eap-mschapv2" : "pubkey", us, them, child_extra);
	return text[side];
}

struct conf *sim_creds(struct conf *conf, unsigned side, const char *kind)
{
	/* Made once: the same seed gives the same run, and a certificate's signature is random. */
	static struct {
		char kind[16];
		struct pki_cert own[2];
	} made[8];
	static struct pki_cert authority;
	struct pki_cert *own = NULL;
	char subject[64], names[64];

	if (!authority.len)
		pki_cert_make(&authority, &(struct pki_params){.subject = "/C=CH/CN=Sim root",
							       .ca = "critical,CA:TRUE"});
	for (size_t i = 0; i < ARRAY_LEN(made) && !own; i++) {
		if (!made[i].kind[0])
			snprintf(made[i].kind, sizeof(made[i].kind), "%s", kind);
		if (strcmp(made[i].kind, kind) == 0)
			own = &made[i].own[side];
	}
	assert(own);
	snprintf(subject, sizeof(subject), "/C=CH/CN=host%u.example", side + 1);
	snprintf(names, sizeof(names), "DNS:host%u.example", side + 1);
	if (!own->len)
		pki_cert_make(own, &(struct pki_params){.subject = subject,
							.names = names,
							.key = pki_key_get(kind),
							.issuer = &authority,
							.serial = side + 2});
	return pki_add(
		pki_add(pki_add(conf, CRED_CA, pki_der(&authority)), CRED_CERT, pki_der(own)),
		CRED_KEY, pki_private(own->key));
}

const char *sim_with_ppk(unsigned side, const char *text)
{
	static char buf[2][4096];

	snprintf(buf[side], sizeof(buf[side]),
		 "%s\nsecrets { ppk { id = ours\n secret = 0123456789abcdef0123456789abcdef } }",
		 text);
	return buf[side];
}

struct conf *sim_conf_parse(const char *text)
{
	struct conf_diags *diags = calloc(1, sizeof(*diags));
	struct tree *tree = NULL;
	struct conf *conf = NULL;

	assert(diags);
	if (!conf_parse_text(&tree, diags, "sim", text, strlen(text)) &&
	    conf_new(&conf, diags, tree))
		conf = NULL;
	for (uint32_t i = 0; i < diags->num && i < 64; i++)
		if (diags->list[i].error)
			fprintf(stderr, "%s\n", diags->list[i].text);
	tree_free(tree);
	free(diags);
	return conf;
}

static bool make_node(struct sim *s, unsigned i, uint64_t seed, const struct sim_options *opt)
{
	struct sim_node *n = &s->n[i];
	const char *text = opt->conf[i] ? opt->conf[i]
			   : opt->sign  ? sim_conf_sign(i, "", "")
					: sim_conf(i, "", "");
	struct ike_env env = {.rng = &n->rng.rng,
			      .spi_reserve = spi_reserve,
			      .spi_release = spi_release,
			      .child_stats = child_stats,
			      .source_for = source_for,
			      .local_addrs = local_addrs,
			      .num_workers = opt->workers[i],
			      .max_paths = opt->paths[i] ? opt->paths[i] : MIF_PATHS_MAX,
			      .path_window = 65536,
			      .path_caps = MIF_CAP_TUNNEL | MIF_CAP_TRANSPORT | MIF_CAP_BULK,
			      .ctx = n};

	n->sim = s;
	n->index = i;
	n->num_workers = opt->workers[i] ? opt->workers[i] : 1;
	n->secret = opt->secret[i] ? opt->secret[i] : "a fairly long shared secret";
	n->addr = (struct endpoint){.addr = sim_addr(i, 0), .port = 500};
	n->addrs[n->num_addrs++] = n->addr.addr;
	rng_seeded_init(&n->rng, seed * 3 + i + 1);
	n->conf = opt->ready[i] ? conf_get(opt->ready[i]) : sim_conf_parse(text);
	n->wall_s = PKI_NOW_S;
	if (opt->sign && n->conf)
		n->conf = sim_creds(n->conf, i, opt->kind ? opt->kind : "P-256");
	rng_seeded_init(&n->keyring_rng, seed * 5 + i + 1);
	n->by_keyring = opt->by_keyring;
	if (ike_keyring_new(&n->keyring, &n->keyring_rng.rng))
		return false;
	if (!n->conf || ike_engine_new(&n->e, &env, &opt->limits[i], s->now_ns))
		return false;
	ike_engine_configure(n->e, n->conf);
	return true;
}

/* SIM_VERBOSE=1 shows every event, SIM_VERBOSE=2 every log line too; otherwise the engines are
 * mute. */
static void write_line(void *ctx, enum log_level level, enum log_subsystem sub, const char *conn,
		       const char *line)
{
	(void)ctx;
	(void)sub;
	(void)conn;
	printf("#   %s %s\n", log_level_name(level), line);
}

static void set_log(void)
{
	static struct log_sink sink = {.write = write_line};
	const char *verbose = getenv("SIM_VERBOSE");

	for (unsigned i = 0; i < LOG_NUM_SUBSYSTEMS; i++)
		sink.levels[i] = verbose && verbose[0] == '2' ? LOG_DEBUG : LOG_ERROR;
	log_use(&sink);
}

struct sim *sim_new(uint64_t seed, const struct sim_options *opt)
{
	struct sim *s = calloc(1, sizeof(*s));

	assert(s);
	set_log();
	s->now_ns = 1000 * NS_PER_S;
	s->wire = opt->wire;
	if (!s->wire.delay_ns)
		s->wire.delay_ns = 5 * NS_PER_MS;
	if (!s->wire.reorder_ns)
		s->wire.reorder_ns = 200 * NS_PER_MS;
	s->packet_ns = 20 * NS_PER_MS;
	crypto_generichash_init(&s->hash, NULL, 0, 32);
	rng_seeded_init(&s->rng, seed * 3);
	if (!make_node(s, 0, seed, opt) || !make_node(s, 1, seed, opt)) {
		sim_free(s);
		return NULL;
	}
	sim_at(s, s->now_ns, send_packet, 0);
	sim_at(s, s->now_ns, send_packet, 1);
	return s;
}

void sim_free(struct sim *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < 2; i++) {
		for (uint32_t k = 0; k < s->n[i].num_pairs; k++)
			pair_fini(&s->n[i].pairs[k]);
		ike_engine_free(s->n[i].e);
		ike_keyring_free(s->n[i].keyring);
		conf_put(s->n[i].conf);
	}
	for (size_t i = 0; i < s->num_fly; i++)
		free(s->fly[i].bytes);
	free(s->fly);
	free(s);
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

/* ---- judging -----------------------------------------------------------------------------------
 */

uint32_t sim_num_pairs(const struct sim *s, unsigned side)
{
	const struct sim_node *n = &s->n[side];
	uint32_t num = 0;

	for (uint32_t i = 0; i < n->num_pairs; i++)
		num += n->pairs[i].in && n->pairs[i].out;
	return num;
}

static bool matched(const struct sim_pair *a, const struct sim_node *other)
{
	for (uint32_t i = 0; i < other->num_pairs; i++) {
		const struct sim_pair *b = &other->pairs[i];

		if (a->spi_in == b->spi_out && a->spi_out == b->spi_in && b->in && b->out)
			return a->mode == b->mode && a->key_len == b->key_len &&
			       memcmp(a->key_in, b->key_out, a->key_len) == 0 &&
			       memcmp(a->key_out, b->key_in, a->key_len) == 0;
	}
	return false;
}

/* All that packets go out on, and there is something. */
static bool side_up(const struct sim_node *n, const struct sim_node *other)
{
	bool any = false;

	for (uint32_t i = 0; i < n->num_pairs; i++) {
		if (!is_outbound(n, &n->pairs[i]))
			continue;
		any = true;
		if (!matched(&n->pairs[i], other))
			return false;
	}
	return any;
}

bool sim_up(struct sim *s)
{
	return side_up(&s->n[0], &s->n[1]) && side_up(&s->n[1], &s->n[0]);
}

struct sas {
	uint64_t spi[64][2];
	uint32_t num;
};

static void collect(void *ctx, const struct ike_sa_info *sa)
{
	struct sas *l = ctx;

	assert(l->num < 64);
	l->spi[l->num][0] = sa->spi_i;
	l->spi[l->num++][1] = sa->spi_r;
}

uint32_t sim_num_sas(struct sim *s, unsigned side)
{
	struct sas l = {.num = 0};

	ike_each_sa(s->n[side].e, collect, &l);
	return l.num;
}

static bool same_sas(struct sim *s, char why[static 200])
{
	struct sas l[2] = {{.num = 0}, {.num = 0}};

	for (unsigned i = 0; i < 2; i++)
		ike_each_sa(s->n[i].e, collect, &l[i]);
	for (unsigned side = 0; side < 2; side++)
		for (uint32_t i = 0; i < l[side].num; i++) {
			bool found = false;

			for (uint32_t j = 0; j < l[!side].num; j++)
				found |= !memcmp(l[side].spi[i], l[!side].spi[j], 16);
			if (!found) {
				snprintf(why, 200, "IKE SA %016lx_i only on side %c",
					 (unsigned long)l[side].spi[i][0], 'A' + (int)side);
				return false;
			}
		}
	return true;
}

bool sim_same(struct sim *s, char why[static 200])
{
	if (!same_sas(s, why))
		return false;
	for (unsigned side = 0; side < 2; side++) {
		const struct sim_node *n = &s->n[side];

		for (uint32_t i = 0; i < n->num_pairs; i++) {
			const struct sim_pair *p = &n->pairs[i];

			if (p->in && p->out && matched(p, &s->n[!side]))
				continue;
			snprintf(why, 200, "pair %08x/%08x of side %c (in %d, out %d) is alone",
				 p->spi_in, p->spi_out, 'A' + (int)side, p->in, p->out);
			return false;
		}
	}
	return true;
}

bool sim_clean(const struct sim *s, unsigned side)
{
	const struct sim_node *n = &s->n[side];

	return !n->num_pairs && !n->num_peers && !n->num_spis && !n->num_addresses;
}
