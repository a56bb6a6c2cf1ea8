/* SPDX-License-Identifier: Apache-2.0 */
/* The data path of a side: its pairs, its paths, and packets that go by them. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "dataplane/replay.h"
#include "tests/sim/parts.h"

/* SIM_WINDOW - of every pair, where wires repeat what they carry. */
#define SIM_WINDOW 1024

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

enum err sim_spi_reserve(void *ctx, uint32_t *out, uint64_t replaces, uint32_t worker)
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

void sim_spi_release(void *ctx, uint32_t spi)
{
	struct sim_node *n = ctx;

	for (uint32_t i = 0; i < n->num_spis; i++)
		if (n->spis[i] == spi) {
			n->spis[i] = n->spis[--n->num_spis];
			return;
		}
	assert(!"an SPI is released that was not reserved");
}

enum err sim_child_stats(void *ctx, struct child_stats *out, uint64_t child)
{
	const struct sim_pair *p = pair_by_id(ctx, child);

	if (!p)
		return ERR_NOT_FOUND;
	*out = (struct child_stats){.in_last_ns = p->heard_ns};
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
				  .ipcomp = p->ipcomp,
				  .cpi_in = p->cpi_in,
				  .cpi_out = p->cpi_out,
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
		sim_spi_release(n, p->spi_in);
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
bool sim_is_outbound(const struct sim_node *n, const struct sim_pair *p)
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

/* ---- what the engine wants of it ------------------------------------------------------------- */

static void act_pathset_add(struct sim_node *n, const struct ike_action *a)
{
	assert(!peer_by_id(n, a->peer));
	n->peers[n->num_peers++] = (struct sim_peer){.id = a->peer,
						     .live = true,
						     .path = a->path,
						     .num_paths = 1,
						     .paths[0] = {1, 1, 0, true, false, a->path}};
}

static void act_pathset_move(struct sim_node *n, const struct ike_action *a)
{
	struct sim_peer *peer = peer_by_id(n, a->peer);

	assert(peer);
	assert(peer->num_paths == 1 && peer->paths[0].id == 1);
	peer->path = peer->paths[0].addr = a->path;
	n->moves++;
}

static void act_pathset_remove(struct sim_node *n, const struct ike_action *a)
{
	peer_remove(n, a->peer);
}

static void act_child_add(struct sim_node *n, const struct ike_action *a)
{
	const struct bytes key = a->child_add->params.key_in;

	sim_note(n->sim, key.p, key.len);
	child_add(n, a->child_add);
}

static void act_child_activate(struct sim_node *n, const struct ike_action *a)
{
	struct sim_pair *p = pair_by_id(n, a->child);

	assert(p && p->out);
	p->active = ++n->activations;
}

static void act_child_remove(struct sim_node *n, const struct ike_action *a)
{
	child_remove(n, a->child, a->half);
}

static void act_child_path(struct sim_node *n, const struct ike_action *a)
{
	struct sim_pair *p = pair_by_id(n, a->child);

	assert(p);
	p->path = a->say.id;
}

/* A path is of a set that is there. */
static struct sim_peer *peer_of(struct sim_node *n, const struct ike_action *a)
{
	struct sim_peer *peer = peer_by_id(n, a->peer);

	assert(peer);
	return peer;
}

static void act_path_put(struct sim_node *n, const struct ike_action *a)
{
	path_put(peer_of(n, a), a);
}

static void act_path_take(struct sim_node *n, const struct ike_action *a)
{
	path_take(n, peer_of(n, a), a->say.id);
}

static void act_path_schedule(struct sim_node *n, const struct ike_action *a)
{
	peer_of(n, a)->policy = a->say.policy;
}

bool sim_data_act(struct sim *s, unsigned side, const struct ike_action *a)
{
	static void (*const acts[])(struct sim_node * n, const struct ike_action *a) = {
		[IKE_ACTION_PATHSET_ADD] = act_pathset_add,
		[IKE_ACTION_PATHSET_MOVE] = act_pathset_move,
		[IKE_ACTION_PATHSET_REMOVE] = act_pathset_remove,
		[IKE_ACTION_CHILD_ADD] = act_child_add,
		[IKE_ACTION_CHILD_ACTIVATE] = act_child_activate,
		[IKE_ACTION_CHILD_REMOVE] = act_child_remove,
		[IKE_ACTION_CHILD_PATH] = act_child_path,
		[IKE_ACTION_PATH_PUT] = act_path_put,
		[IKE_ACTION_PATH_TAKE] = act_path_take,
		[IKE_ACTION_PATH_SCHEDULE] = act_path_schedule,
	};

	if (a->kind >= ARRAY_LEN(acts) || !acts[a->kind])
		return false;
	acts[a->kind](&s->n[side], a);
	return true;
}

void sim_data_fini(struct sim_node *n)
{
	for (uint32_t i = 0; i < n->num_pairs; i++)
		pair_fini(&n->pairs[i]);
	n->num_pairs = n->num_peers = n->num_spis = n->num_addresses = 0;
}

/* ---- packets --------------------------------------------------------------------------------- */

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
			    .path = sim_path_seen(s, from, by),
			    .spi = p->spi_out,
			    .number = ++p->sent};
	uint64_t due[LINE_COPIES];
	uint32_t copies = 0;

	n->sent_packets++;
	if (!best_path(peer) || !sim_passes(s, from, by)) {
		n->lost_packets++;
		return;
	}
	if (s->num_links)
		copies = sim_by_wire(s, from, by, SIM_PACKET_LEN, due);
	else
		due[copies++] = s->now_ns + sim_delay(s);
	n->lost_packets += !copies;
	for (uint32_t i = 0; i < copies; i++) {
		f.at_ns = due[i];
		sim_push(s, f);
	}
}

void sim_send_packet(struct sim *s, unsigned from)
{
	struct sim_node *n = &s->n[from];

	sim_at(s, s->now_ns + (s->traffic ? s->packet_ns : NS_PER_S / 2), sim_send_packet, from);
	for (uint32_t i = 0; s->traffic && !n->mute && i < n->num_pairs; i++)
		if (sim_is_outbound(n, &n->pairs[i]))
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

/* It is of no SA here: who sent it may be told. */
static void stray(struct sim *s, const struct sim_fly *f)
{
	ike_stray(s->n[f->to].e, &f->path, 0, f->spi, s->now_ns);
	sim_settle(s, f->to);
}

void sim_receive_packet(struct sim *s, const struct sim_fly *f)
{
	struct sim_node *n = &s->n[f->to];
	struct sim_pair *p = sim_arrives(s, f) ? pair_by_spi_in(n, f->spi) : NULL;

	if (p && !accept_number(s, p, f->number))
		return; /* another one of it did, or it is too late */
	if (p)
		report_move(s, f); /* which may take the pair away */
	p = p ? pair_by_spi_in(n, f->spi) : NULL;
	if (!p) {
		s->n[!f->to].lost_packets++;
		if (s->strays && sim_arrives(s, f))
			stray(s, f);
		return;
	}
	n->got_packets++;
	p->top = f->order > p->top ? f->order : p->top;
	p->heard_ns = s->now_ns;
	if (p->used)
		return;
	p->used = true;
	ike_child_used(n->e, p->id, s->now_ns);
	sim_settle(s, f->to);
}

/* The other side's path with the same number, if packets pass both ways between these addresses. */
static bool is_answered(struct sim *s, unsigned side, const struct sim_path *p)
{
	const struct path_addr back = sim_path_seen(s, side, &p->addr);
	struct sim_node *other = &s->n[!side];

	for (uint32_t i = 0; i < other->num_peers; i++)
		if (path_by_id(&other->peers[i], p->id))
			return sim_passes(s, side, &p->addr) && sim_has(other, &back.local.addr) &&
			       sim_passes(s, !side, &back) &&
			       sim_has(&s->n[side], &p->addr.local.addr);
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
