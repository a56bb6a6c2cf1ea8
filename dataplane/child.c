/* SPDX-License-Identifier: Apache-2.0 */
/* Pairs of SAs: the control thread's functions. */
#include "dataplane/workers.h"

#include "base/alloc.h"
#include "dataplane/dummy.h"
#include "dataplane/ipcomp.h"
#include "dataplane/probing.h"
#include "dataplane/sibling.h"
#include "dataplane/transport.h"

#define SPI_RESERVED 255 /* RFC 4303 2.1 */

/* struct child - a pair as the control thread knows it. */
struct child {
	struct htab_node node;     /* keyed by id */
	struct htab_node out_node; /* while `out` is there: keyed by its SPI */
	uint64_t id;
	uint32_t spi_in;
	uint32_t token;
	uint16_t owner; /* worker */
	struct sa_group *group;
	struct path_set *paths;
	struct list_node of_paths; /* in paths->children while messages about them may go by it */
	struct path_tie tie;       /* of the outbound SA */
	struct auth_proof *proof;
	struct esp_sa *in, *out;   /* NULL once removed */
	bool needs_whole;          /* the outbound one's selectors cannot judge fragments */
	struct child_stats before; /* counters of the SAs that were removed */
};

static struct child *find(const struct dataplane *dp, uint64_t id)
{
	struct htab_node *node = htab_find(&dp->children, bytes_of(&id, sizeof(id)));

	return node ? container_of(node, struct child, node) : NULL;
}

struct esp_sa *dataplane_outbound(const struct dataplane *dp, uint32_t spi)
{
	struct be32 key = be32_make(spi);
	struct htab_node *node = htab_find(&dp->outbound, bytes_of(&key, sizeof(key)));

	return node ? container_of(node, struct child, out_node)->out : NULL;
}

enum err dataplane_spi_reserve_at(struct dataplane *dp, uint32_t *out_spi, uint32_t worker)
{
	uint32_t named = worker ? worker - 1 : workers_least(dp);
	uint64_t id;
	enum err e;

	if (worker > dp->num_workers)
		return ERR_NOT_FOUND;
	e = slots_reserve_as(dp->sad, &id,
			     (dataplane_spi_mask(dp->num_workers) >> DATAPLANE_SPI_SHIFT) + 1,
			     named);
	if (e != ERR_OK)
		return e;
	dp->num_reserved[named]++;
	*out_spi = (uint32_t)id;
	return ERR_OK;
}

enum err dataplane_spi_reserve(struct dataplane *dp, uint32_t *out_spi)
{
	return dataplane_spi_reserve_at(dp, out_spi, 0);
}

/* not_waiting - the SPI is given back or installed. */
static void not_waiting(struct dataplane *dp, uint32_t spi)
{
	dp->num_reserved[dataplane_spi_worker(spi, dp->num_workers)]--;
}

void dataplane_spi_release(struct dataplane *dp, uint32_t spi)
{
	slots_release(dp->sad, spi);
	not_waiting(dp, spi);
}

/* check - what the caller must have right, before anything is made. */
static enum err check(const struct dataplane *dp, const struct child_params *params)
{
	if (!params->proof || params->spi_in <= SPI_RESERVED || params->spi_out <= SPI_RESERVED)
		return ERR_INVAL;
	if (!flow_selectors_valid(params->local, params->num_local) ||
	    !flow_selectors_valid(params->remote, params->num_remote))
		return ERR_INVAL;
	if (params->mode > SA_TRANSPORT || params->alg <= AEAD_NONE || params->alg >= AEAD_NUM)
		return ERR_UNSUPPORTED;
	if (params->mode == SA_TRANSPORT && !transport_valid(params))
		return ERR_INVAL;
	if (params->ipcomp && params->tfc_padding)
		return ERR_INVAL;
	if (params->dummies > DUMMIES_MAX || params->share > SHARE_OWNER)
		return ERR_INVAL;
	if (params->worker > dp->num_workers)
		return ERR_NOT_FOUND;
	return find(dp, params->id) || slots_get(dp->sad, params->spi_in) ? ERR_EXISTS : ERR_OK;
}

/* make_sa - one direction with a configuration of its own. */
static enum err make_sa(struct dataplane *dp, struct esp_sa **out, struct child *c,
			const struct child_params *params, enum child_half dir)
{
	struct sa_conf *conf = sa_conf_new(params, c->group, c->paths, c->token, dp->next_uid++);
	enum err e;

	if (!conf)
		return ERR_NOMEM;
	e = esp_sa_new(out, params, dir, dp->aead[params->alg], conf, c->owner, &dp->rng);
	if (e != ERR_OK)
		mem_free(conf);
	else if (!dataplane_inline_give(dp, *out, params, dir))
		dataplane_device_give(dp, *out, params, dir);
	return e;
}

/* prepare_ipcomp - the worker that is to own the pair has what it compresses with: it is there
 * before the SAs are, and stays. */
static enum err prepare_ipcomp(struct worker *w)
{
	if (!w->ipcomp)
		w->ipcomp = ipcomp_work_new();
	return w->ipcomp ? ERR_OK : ERR_NOMEM;
}

static void free_child(struct dataplane *dp, struct child *c)
{
	if (c->token)
		class_put(dp->classes, c->token);
	auth_proof_put(c->proof);
	mem_free(c);
}

/* make_child - a pair that nothing reaches yet. */
static enum err make_child(struct dataplane *dp, struct child **out,
			   const struct child_params *params)
{
	struct child *c = mem_alloc(sizeof(*c));
	enum err e;

	if (!c)
		return ERR_NOMEM;
	c->id = params->id;
	c->spi_in = params->spi_in;
	c->needs_whole = params->mode == SA_TRANSPORT ||
			 spd_needs_whole(params->local, params->num_local) ||
			 spd_needs_whole(params->remote, params->num_remote);
	c->proof = auth_proof_get(params->proof);
	c->group = slots_get(dp->groups, params->group);
	c->paths = slots_get(dp->pathsets, params->pathset);
	e = c->group && c->paths ? ERR_OK : ERR_NOT_FOUND;
	if (e == ERR_OK)
		c->owner = workers_choose(dp, c->group, c->spi_in, params->worker);
	if (e == ERR_OK)
		e = class_get(dp->classes, &c->token, auth_proof_params(c->proof),
			      sa_quality(params));
	if (e == ERR_OK && params->ipcomp)
		e = prepare_ipcomp(dp->workers[c->owner]);
	if (e == ERR_OK)
		e = make_sa(dp, &c->in, c, params, CHILD_IN);
	if (e == ERR_OK)
		e = make_sa(dp, &c->out, c, params, CHILD_OUT);
	if (e == ERR_OK && params->share == SHARE_ASK) {
		c->out->asks = sibling_asks_new(dp->num_workers);
		e = c->out->asks ? ERR_OK : ERR_NOMEM;
	}
	if (e != ERR_OK) {
		esp_sa_free(c->in);
		esp_sa_free(c->out);
		free_child(dp, c);
		return e;
	}
	*out = c;
	return ERR_OK;
}

enum err dataplane_child_add(struct dataplane *dp, const struct child_params *params)
{
	struct child *c = NULL;
	enum err e = check(dp, params);

	if (e == ERR_OK)
		e = make_child(dp, &c, params);
	if (e != ERR_OK)
		return e;
	e = group_set_token(c->group, dp->classes, c->token);
	if (e != ERR_OK) {
		esp_sa_free(c->in);
		esp_sa_free(c->out);
		free_child(dp, c);
		return e;
	}
	htab_insert(&dp->children, &c->node, bytes_of(&c->id, sizeof(c->id)));
	htab_insert(&dp->outbound, &c->out_node, bytes_of(&c->out->spi, sizeof(c->out->spi)));
	if (c->group->num_children++ == 0)
		c->group->owner = c->owner;
	dp->num_pairs[c->owner]++;
	not_waiting(dp, c->spi_in);
	spd_count_whole(&dp->spd, c->needs_whole);
	c->paths->num_refs++;
	slots_publish(dp->sad, c->spi_in, c->in);
	return params->outbound_active ? dataplane_child_activate(dp, c->id) : ERR_OK;
}

struct path_set *dataplane_paths_of(const struct dataplane *dp, uint64_t child)
{
	const struct child *c = find(dp, child);

	return c ? c->paths : NULL;
}

uint64_t dataplane_mif_child(const struct path_set *s)
{
	if (list_empty(&s->children))
		return 0;
	return list_entry(s->children.next, struct child, of_paths)->id;
}

/* speaks - messages about paths go by this pair rather than by others, or no more. */
static void speaks(struct child *c, bool on)
{
	list_remove(&c->of_paths);
	if (on)
		list_push_front(&c->paths->children, &c->of_paths);
	if (c->paths->probing)
		probing_child(c->paths->probing, dataplane_mif_child(c->paths));
}

enum err dataplane_child_activate(struct dataplane *dp, uint64_t id)
{
	struct child *c = find(dp, id);

	if (!c || !c->out)
		return ERR_NOT_FOUND;
	group_activate(c->group, c->out);
	dummies_begin(&dp->dummies, c->out);
	if (c->out->conf->mif)
		speaks(c, true);
	dataplane_changed(dp);
	return ERR_OK;
}

enum err dataplane_child_path(struct dataplane *dp, uint64_t id, uint16_t path)
{
	struct child *c = find(dp, id);
	enum err e;

	if (!c || !c->out)
		return ERR_NOT_FOUND;
	e = path_set_tie(c->paths, &dp->retired, &c->tie, path);
	if (e)
		return e;
	esp_sa_tie(c->out, path);
	if (c->paths->probing)
		probing_changed(c->paths->probing);
	return ERR_OK;
}

enum err dataplane_child_window(struct dataplane *dp, uint64_t id, uint32_t window)
{
	struct child *c = find(dp, id);

	return c && c->in ? esp_sa_grow_window(c->in, window) : ERR_NOT_FOUND;
}

enum err dataplane_child_resequence(struct dataplane *dp, uint64_t id, uint32_t packets,
				    uint64_t bound_ns, bool turns)
{
	struct child *c = find(dp, id);
	struct resequence *r;

	if (!c || !c->in)
		return ERR_NOT_FOUND;
	if (packets > RESEQUENCE_MAX || bound_ns > RESEQUENCE_MAX_NS)
		return ERR_INVAL;
	if (c->in->order) {
		resequence_set(c->in->order, packets ? bound_ns : 0, turns);
		return ERR_OK;
	}
	if (!packets)
		return ERR_OK;
	r = resequence_new(packets, bound_ns, turns);
	if (!r)
		return ERR_NOMEM;
	rcu_publish(c->in->order, r);
	__atomic_fetch_add(&dp->workers[c->owner]->num_orders, 1, __ATOMIC_RELAXED);
	return ERR_OK;
}

/* end_order - packets of an SA that goes wait for nothing any more: its worker is woken, so that
 * their buffers are free again. */
static void end_order(struct dataplane *dp, struct child *c)
{
	if (!c->in->order)
		return;
	resequence_retire(c->in->order, &dp->retired);
	if (!dp->workers[c->owner]) /* all is being freed */
		return;
	__atomic_fetch_sub(&dp->workers[c->owner]->num_orders, 1, __ATOMIC_RELAXED);
	dataplane_changed(dp);
}

enum err dataplane_probe_send(struct dataplane *dp, uint64_t child, uint16_t path,
			      const void *bytes, size_t len)
{
	struct child *c = find(dp, child);

	if (!c || !c->out || !path_set_find(c->paths, path))
		return ERR_NOT_FOUND;
	if (!c->out->conf->mif)
		return ERR_BAD_STATE;
	if (len > PROBE_MAX_LEN)
		return ERR_LIMIT;
	return worker_probe_send(dp->workers[c->owner], c->out, path, bytes_of(bytes, len));
}

static void add_in(struct child_stats *s, const struct esp_sa *sa)
{
	s->in_packets = counter_get(&sa->packets);
	s->in_bytes = counter_get(&sa->bytes);
	s->in_last_ns = counter_get(&sa->last_ns);
	s->in_replay = counter_get(&sa->num_replay);
	s->in_auth_failed = counter_get(&sa->num_auth_failed);
	if (!sa->ipcomp)
		return;
	s->in_compressed = counter_get(&sa->ipcomp->packets);
	s->in_saved = counter_get(&sa->ipcomp->saved);
}

static void add_out(struct child_stats *s, const struct esp_sa *sa)
{
	s->out_packets = counter_get(&sa->packets);
	s->out_bytes = counter_get(&sa->bytes);
	s->out_last_ns = counter_get(&sa->last_ns);
	s->out_seq = counter_get(&sa->seq);
	if (!sa->ipcomp)
		return;
	s->out_compressed = counter_get(&sa->ipcomp->packets);
	s->out_saved = counter_get(&sa->ipcomp->saved);
}

static void remove_in(struct dataplane *dp, struct child *c)
{
	if (!c->in)
		return;
	slots_withdraw(dp->sad, c->spi_in);
	slots_release(dp->sad, c->spi_in);
	end_order(dp, c);
	add_in(&c->before, c->in);
	esp_sa_retire(c->in, &dp->retired);
	c->in = NULL;
}

static void remove_out(struct dataplane *dp, struct child *c)
{
	if (!c->out)
		return;
	if (c->out->conf->mif)
		speaks(c, false);
	list_remove(&c->tie.node); /* its path is one that is used until the next change */
	dummies_end(&dp->dummies, c->out);
	if (dp->workers[c->owner]) /* else all is being freed */
		worker_probe_forget(dp->workers[c->owner], c->out);
	group_deactivate(c->group, c->out);
	htab_remove(&dp->outbound, &c->out_node);
	spd_count_whole(&dp->spd, -(int)c->needs_whole);
	add_out(&c->before, c->out);
	esp_sa_retire(c->out, &dp->retired);
	c->out = NULL;
}

static void remove_halves(struct dataplane *dp, struct child *c, enum child_half half)
{
	if (half & CHILD_OUT)
		remove_out(dp, c);
	if (half & CHILD_IN)
		remove_in(dp, c);
	if (c->in || c->out)
		return;
	htab_remove(&dp->children, &c->node);
	c->group->num_children--;
	dp->num_pairs[c->owner]--;
	c->paths->num_refs--;
	free_child(dp, c);
}

void dataplane_child_remove(struct dataplane *dp, uint64_t id, enum child_half half)
{
	struct child *c = find(dp, id);

	if (c)
		remove_halves(dp, c, half);
}

enum err dataplane_child_stats(struct dataplane *dp, struct child_stats *out, uint64_t id)
{
	const struct child *c = find(dp, id);

	if (!c)
		return ERR_NOT_FOUND;
	*out = c->before;
	out->token = c->token;
	out->worker = c->owner;
	if (c->in)
		add_in(out, c->in);
	if (c->out)
		add_out(out, c->out);
	return ERR_OK;
}

void dataplane_children_free(struct dataplane *dp)
{
	for (size_t b = 0; b < dp->children.num_buckets; b++) {
		while (dp->children.buckets[b]) {
			struct htab_node *node = dp->children.buckets[b];

			remove_halves(dp, container_of(node, struct child, node), CHILD_BOTH);
		}
	}
}
