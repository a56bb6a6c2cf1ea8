/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/probing.h"

#include "base/alloc.h"
#include "dataplane/workers.h"

/* WEIGH_NS - weights follow what was measured so often at most, in WEIGH_STEPS of the whole. */
#define WEIGH_NS    (100 * NS_PER_MS)
#define WEIGH_STEPS 1000
/* LEVEL_NS - a path whose queue is longer than the others' is given so much less that it would be
 * level in this time; no more than LEVEL_MOST of what it takes. */
#define LEVEL_NS   (250 * NS_PER_MS)
#define LEVEL_MOST 0.25
/* PROVEN_NS - for so long an address that answered is one that a peer may come back to. */
#define PROVEN_NS (60 * NS_PER_S)
/* OWED_NS - for so long it is known how much went to one that did not. */
#define OWED_NS (60 * NS_PER_S)
/* MESSAGE_HEADERS - what a message has around it in a packet at most: IPv6, UDP, ESP with the
 * longest IV, padding and ICV. */
#define MESSAGE_HEADERS 128

/* ---- what is to be told -----------------------------------------------------------------------
 */

static void note(struct probing *pr, uint16_t list[static PROBER_PATHS], uint16_t path)
{
	for (uint32_t i = 0; i < PROBER_PATHS; i++) {
		if (list[i] && list[i] != path)
			continue;
		list[i] = path;
		if (!list_linked(&pr->told))
			list_push_back(&pr->dp->told, &pr->told);
		return;
	}
}

/* take - the first path that is noted; 0: none. */
static uint16_t take(uint16_t list[static PROBER_PATHS])
{
	for (uint32_t i = 0; i < PROBER_PATHS; i++) {
		uint16_t path = list[i];

		list[i] = 0;
		if (path)
			return path;
	}
	return 0;
}

/* take_any - the next one, of whichever kind; 0: none. */
static uint16_t take_any(struct probing *pr, enum dp_event_kind *out_kind)
{
	const struct {
		uint16_t *list;
		enum dp_event_kind kind;
	} lists[] = {{pr->moved, DP_EVENT_PATH_MOVED},
		     {pr->changed, DP_EVENT_PATH},
		     {pr->came, DP_EVENT_PATH_CAME},
		     {pr->drained, DP_EVENT_PATH_DRAINED}};
	uint16_t path = 0;

	for (size_t i = 0; i < ARRAY_LEN(lists) && !path; i++) {
		*out_kind = lists[i].kind;
		path = take(lists[i].list);
	}
	return path;
}

bool probing_report(struct dataplane *dp, struct dp_event *out)
{
	while (!list_empty(&dp->told)) {
		struct probing *pr = list_entry(dp->told.next, struct probing, told);
		enum dp_event_kind kind;
		const uint16_t path = take_any(pr, &kind);
		const struct path *p = path ? path_set_find(pr->set, path) : NULL;

		if (!path)
			list_remove(&pr->told);
		if (!p)
			continue;
		*out = (struct dp_event){.kind = kind,
					 .pathset = pr->set->id,
					 .path_id = path,
					 .port = p->port,
					 .path = p->addr,
					 .usable = p->usable,
					 .time_ns = workers_clock(dp)};
		return true;
	}
	return false;
}

/* ---- what the prober is given ------------------------------------------------------------------
 */

static void set_usable(struct probing *pr, const struct path *p, bool usable)
{
	const struct path_params params = {.id = p->id,
					   .port = p->port,
					   .addr = p->addr,
					   .priority = p->priority,
					   .weight = p->weight,
					   .usable = usable,
					   .leaving = p->leaving};

	/* Without memory it stays as it is until the next change; what is sent may be lost. */
	if (path_set_put(pr->set, &pr->dp->retired, &params) == ERR_OK)
		note(pr, pr->changed, p->id);
}

static void io_usable(void *ctx, uint16_t path, bool usable)
{
	struct probing *pr = ctx;
	const struct path *p = path_set_find(pr->set, path);

	if (p && !(path & PATH_ELSEWHERE))
		set_usable(pr, p, usable);
}

/* room - for a message of len bytes, as it is or as much of it as one packet takes. */
static size_t room(const struct path *p, size_t len, uint64_t now_ns)
{
	const size_t mtu = path_mtu(p, now_ns);

	if (!mtu || mtu >= len + MESSAGE_HEADERS)
		return len;
	return mtu > PATH_MESSAGE_LEN + MESSAGE_HEADERS ? mtu - MESSAGE_HEADERS : PATH_MESSAGE_LEN;
}

static void io_send(void *ctx, uint16_t path, struct path_message *m, size_t len)
{
	const struct probing *pr = ctx;
	const struct path *p = path_set_find(pr->set, path);
	uint8_t bytes[PROBER_OPENING_LEN] = {0};

	if (!p || !pr->child)
		return;
	m->path = path & ~PATH_ELSEWHERE;
	m->observed = p->addr.remote;
	m->top = pr->top;
	path_message_build(bytes, m);
	if (dataplane_probe_send(pr->dp, pr->child, path, bytes,
				 room(p, len, workers_clock(pr->dp))))
		return; /* as good as lost on the wire */
}

static void io_traffic(void *ctx, uint16_t path, struct path_traffic *out)
{
	const struct probing *pr = ctx;
	const struct path *p = path_set_find(pr->set, path);
	struct path_counters sum = {0};

	if (p)
		sum = path_count_sum(p, pr->set->num_workers);
	*out = (struct path_traffic){.tx_packets = sum.tx_packets,
				     .tx_bytes = sum.tx_bytes,
				     .rx_packets = sum.rx_packets,
				     .rx_bytes = sum.rx_bytes};
}

/* close_loan - nothing is lent any more: the path did not answer, or cannot be asked. */
static void close_loan(struct dataplane *dp, struct path_set *s, const struct path *p)
{
	/* Without memory it looks lent, and more went than will ever come. */
	if (path_set_close(s, &dp->retired, p->id))
		path_owe(p, INT64_MAX / 2);
}

static void io_lapse(void *ctx, uint16_t path)
{
	const struct probing *pr = ctx;
	const struct path *p = path_set_find(pr->set, path);

	if (p)
		close_loan(pr->dp, pr->set, p);
}

static bool io_used(void *ctx, uint16_t path)
{
	const struct probing *pr = ctx;
	const struct path *p = path_set_find(pr->set, path);

	return p &&
	       (p->active || p->steered || (pr->set->table->on_loan && p == pr->set->table->path));
}

static void io_last(void *ctx, uint16_t path, bool ours)
{
	struct probing *pr = ctx;

	if (!(path & PATH_ELSEWHERE))
		note(pr, ours ? pr->drained : pr->came, path);
}

static void io_watch(void *ctx, uint16_t path)
{
	const struct probing *pr = ctx;
	const struct path *p = path_set_find(pr->set, path);

	if (p)
		path_watch(p, pr->set->num_workers);
}

/* ---- turns ------------------------------------------------------------------------------------
 */

/* struct measured - what is known of the active paths, in the table's order. */
struct measured {
	struct prober_info info[PATHS_MAX];
	uint64_t rate;     /* of all */
	uint64_t queue_ns; /* on the average of what they take */
};

/* look - false: of no path a limit is known, or of one nothing: the weights do as they are. */
static bool look(struct measured *m, struct probing *pr, const struct path_table *t)
{
	double sum = 0;
	bool full = false;

	m->rate = 0;
	for (uint32_t i = 0; i < t->num_active; i++) {
		struct prober_info *info = &m->info[i];

		if (prober_get(&pr->prober, info, t->path[i].id) || !info->rate)
			return false;
		m->rate += info->rate;
		sum += (double)info->rate * (double)info->queue_ns;
		full |= info->full;
	}
	m->queue_ns = full ? (uint64_t)(sum / (double)m->rate) : 0;
	return full;
}

/* weight_of - by its rate, and less or more by the queue that stands before it, so that all are
 * equally long and overflow together: a path that is given as much as it takes keeps its queue. */
static uint64_t weight_of(const struct measured *m, const struct prober_info *info)
{
	double more = ((double)m->queue_ns - (double)info->queue_ns) / (double)LEVEL_NS;

	more = more > LEVEL_MOST ? LEVEL_MOST : more < -LEVEL_MOST ? -LEVEL_MOST : more;
	double weight = (double)info->rate * (1 + more) * WEIGH_STEPS / (double)m->rate;

	return weight >= 1 ? (uint64_t)weight : 1;
}

/* set_alone - which path carries all, if one does. */
static void set_alone(struct probing *pr, const struct path_table *t, uint64_t now_ns)
{
	struct quickest_path paths[PATHS_MAX];
	uint64_t even_ns[PATHS_MAX];
	uint16_t alone;

	for (uint32_t i = 0; i < t->num_active; i++) {
		struct path_traffic traffic;
		struct prober_info info;

		if (prober_get(&pr->prober, &info, t->path[i].id))
			info = (struct prober_info){0};
		io_traffic(pr, t->path[i].id, &traffic);
		paths[i] = (struct quickest_path){.id = t->path[i].id,
						  .tx_bytes = traffic.tx_bytes,
						  .rx_bytes = traffic.rx_bytes,
						  .rtt_ns = info.rtt_ns,
						  .least_ns = info.least_ns,
						  .lacks = info.lacks};
	}
	alone = quickest_look(&pr->quickest, paths, t->num_active, pr->set->alone, now_ns);
	quickest_even(paths, t->num_active, even_ns);
	if (alone != pr->set->alone && path_set_alone(pr->set, &pr->dp->retired, alone, even_ns))
		return; /* it is as it was for another tenth of a second */
}

/* weigh - spray by what was measured, once it is known of all paths that are used. */
static void weigh(struct probing *pr, uint64_t now_ns)
{
	const struct path_table *t = pr->set->table;
	uint64_t weight[PATHS_MAX];
	struct measured m;
	bool differ = false;

	if (t->schedule != SCHEDULE_SPRAY || t->num_active < 2 ||
	    now_ns - pr->weighed_ns < WEIGH_NS)
		return;
	pr->weighed_ns = now_ns;
	set_alone(pr, t, now_ns);
	t = pr->set->table;
	if (pr->set->alone || !look(&m, pr, t))
		return;
	for (uint32_t i = 0; i < t->num_active; i++) {
		weight[i] = weight_of(&m, &m.info[i]);
		differ |= weight[i] != t->path[i].weight;
	}
	if (differ && path_set_weigh(pr->set, &pr->dp->retired, weight))
		return; /* the old weights do for another tenth of a second */
}

static void turn(struct timer *timer, uint64_t now_ns)
{
	struct probing *pr = container_of(timer, struct probing, timer);
	uint64_t due = TIME_NEVER;

	if (pr->child) {
		due = prober_turn(&pr->prober, now_ns);
		weigh(pr, now_ns);
	}
	timer_set(&pr->dp->probes, &pr->timer, due);
}

static void turn_soon(struct probing *pr, uint64_t now_ns)
{
	turn(&pr->timer, now_ns);
}

uint64_t dataplane_probe_turn(struct dataplane *dp, uint64_t now_ns)
{
	timers_run(&dp->probes, now_ns);
	return list_empty(&dp->told) ? timers_next(&dp->probes) : now_ns;
}

/* ---- addresses that answered lately -----------------------------------------------------------
 */

/* remember - before a path goes. */
static void remember(struct probing *pr, uint16_t path, const struct endpoint *remote)
{
	struct prober_info info;

	if (prober_get(&pr->prober, &info, path) || !info.answered_ns)
		return;
	pr->proven[pr->next_proven++ % PROBER_PATHS] = (struct proven){
		.remote = *remote, .answered_ns = info.answered_ns, .rtt_ns = info.rtt_ns};
}

static struct proven *proven_find(struct probing *pr, const struct endpoint *remote,
				  uint64_t now_ns)
{
	for (uint32_t i = 0; i < PROBER_PATHS; i++) {
		struct proven *v = &pr->proven[i];

		if (v->answered_ns && now_ns - v->answered_ns < PROVEN_NS &&
		    memcmp(&v->remote, remote, sizeof(*remote)) == 0)
			return v;
	}
	return NULL;
}

/* trust_one - where nothing carries a peer that comes back to where it was is believed for as long
 * as its answer takes, once. */
static void trust_one(struct probing *pr, uint64_t now_ns)
{
	const struct path_table *t = pr->set->table;

	for (uint32_t i = 0; i < t->num; i++)
		if (t->path[i].usable)
			return;
	for (uint32_t i = 0; i < t->num; i++) {
		const uint16_t id = t->path[i].id;
		struct proven *v = proven_find(pr, &t->path[i].addr.remote, now_ns);
		struct prober_info info;

		if (!v || prober_get(&pr->prober, &info, id) || !info.learned ||
		    id & PATH_ELSEWHERE)
			continue;
		v->answered_ns = 0;
		prober_trust(&pr->prober, id, v->rtt_ns, now_ns);
		return;
	}
}

/* ---- what went to addresses that have not answered ---------------------------------------------
 */

/* has_answered - by a path, at any time. */
static bool has_answered(const struct probing *pr, uint16_t path)
{
	struct prober_info info;

	return !prober_get(&pr->prober, &info, path) && info.answered_ns;
}

/* repay - the loan of a path's counters, which have none any more: what a worker has under way is
 * not lent there either. */
static int64_t repay(struct path_count *count)
{
	return __atomic_exchange_n(&count->loan, 0, __ATOMIC_RELAXED);
}

/* spent - how long there was a loan by now. */
static uint64_t spent(const struct path_count *count, uint64_t now_ns)
{
	return count->lent_ns ? now_ns - count->lent_ns : 0;
}

/* is_owing - there was a loan of the path's, and where it ends has not answered. */
static bool is_owing(const struct probing *pr, const struct path *p)
{
	return p->count->was_lent && !has_answered(pr, p->id);
}

static bool is_young(const struct owed *o, uint64_t now_ns)
{
	return o->taken_ns && now_ns - o->taken_ns < OWED_NS;
}

/* owed_place - of an address: what is remembered of it, else a free one; NULL: there is none, which
 * is_open() keeps from being. */
static struct owed *owed_place(struct probing *pr, const struct ip_addr *remote, uint64_t now_ns)
{
	struct owed *place = NULL;

	for (uint32_t i = 0; i < PROBER_PATHS; i++) {
		struct owed *o = &pr->owed[i];

		if (!is_young(o, now_ns))
			place = o;
		else if (ip_addr_equal(&o->remote, remote))
			return o;
	}
	return place;
}

static uint64_t longer(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* remember_owed - of where a path ended, before its prober forgets it. */
static void remember_owed(struct probing *pr, const struct path *was)
{
	const uint64_t now_ns = workers_clock(pr->dp);
	struct owed *o;

	if (!is_owing(pr, was))
		return;
	o = owed_place(pr, &was->addr.remote.addr, now_ns);
	if (!o)
		return;
	if (!is_young(o, now_ns))
		*o = (struct owed){.remote = was->addr.remote.addr};
	o->taken_ns = now_ns;
	o->spent_ns = longer(o->spent_ns, spent(was->count, now_ns));
	o->loan += repay(was->count);
	o->closed |= was->count->closed;
}

/* leave_owed - a path, which was this, ends elsewhere now: nothing is lent there, and nothing owed.
 */
static void leave_owed(struct probing *pr, const struct path *was)
{
	remember_owed(pr, was);
	was->count->was_lent = was->count->closed = false;
	was->count->lent_ns = 0;
}

/* is_open - nobody failed to answer at an address lately, whatever the port, by a path that is
 * there or was; and what is lent there will not be forgotten, whichever paths go. */
static bool is_open(const struct probing *pr, const struct ip_addr *remote, uint64_t now_ns)
{
	const struct path_table *t = pr->set->table;
	uint32_t num = 0;

	for (uint32_t i = 0; i < t->num; i++) {
		const struct path *p = &t->path[i];

		if (!is_owing(pr, p))
			continue;
		if (p->count->closed && ip_addr_equal(&p->addr.remote.addr, remote))
			return false;
		num++;
	}
	for (uint32_t i = 0; i < PROBER_PATHS; i++) {
		const struct owed *o = &pr->owed[i];

		if (!is_young(o, now_ns))
			continue;
		if (o->closed && ip_addr_equal(&o->remote, remote))
			return false;
		num++;
	}
	return num < PROBER_PATHS;
}

/* take_over - a path to an address that others lead to, or led to: it goes on with their loans,
 * whether there is something left of them or more went than came, and with their time. */
static void take_over(struct probing *pr, const struct path *path, uint64_t now_ns)
{
	const struct path_table *t = pr->set->table;
	const struct ip_addr *remote = &path->addr.remote.addr;
	uint64_t most_ns = 0;
	int64_t sum = 0;

	for (uint32_t i = 0; i < t->num; i++) {
		const struct path *p = &t->path[i];

		if (p == path || !is_owing(pr, p) || !ip_addr_equal(&p->addr.remote.addr, remote))
			continue;
		sum += repay(p->count);
		most_ns = longer(most_ns, spent(p->count, now_ns));
	}
	for (uint32_t i = 0; i < PROBER_PATHS; i++) {
		struct owed *o = &pr->owed[i];

		if (!is_young(o, now_ns) || !ip_addr_equal(&o->remote, remote))
			continue;
		sum += o->loan;
		most_ns = longer(most_ns, o->spent_ns);
		*o = (struct owed){0};
	}
	__atomic_fetch_add(&path->count->loan, sum, __ATOMIC_RELAXED);
	path->count->lent_ns = now_ns - most_ns;
}

/* ---- paths ------------------------------------------------------------------------------------
 */

static struct probing *probing_of(struct dataplane *dp, struct path_set *s)
{
	struct probing *pr = s->probing;

	if (pr)
		return pr;
	pr = mem_alloc(sizeof(*pr));
	if (!pr)
		return NULL;
	pr->dp = dp;
	pr->set = s;
	pr->io = (struct prober_io){.ctx = pr,
				    .rng = &dp->rng,
				    .send = io_send,
				    .traffic = io_traffic,
				    .usable = io_usable,
				    .lapse = io_lapse,
				    .used = io_used,
				    .last = io_last,
				    .watch = io_watch};
	prober_init(&pr->prober, &pr->io);
	timer_init(&pr->timer, turn);
	pr->child = dataplane_mif_child(s);
	s->probing = pr;
	return pr;
}

void probing_free(struct probing *pr)
{
	if (!pr)
		return;
	timer_cancel(&pr->dp->probes, &pr->timer);
	if (list_linked(&pr->told))
		list_remove(&pr->told);
	mem_free(pr);
}

/* begin - to ask a path. */
static enum err begin(struct dataplane *dp, struct path_set *s, const struct path *p,
		      enum path_origin origin, uint64_t now_ns)
{
	struct probing *pr = probing_of(dp, s);

	if (!pr)
		return ERR_NOMEM;
	return prober_add(&pr->prober, p->id, origin == PATH_LEARNED, p->usable, now_ns);
}

enum err dataplane_path_probe(struct dataplane *dp, uint32_t set, uint16_t id,
			      enum path_origin origin, uint64_t now_ns)
{
	struct path_set *s = slots_get(dp->pathsets, set);
	const struct path *p = s ? path_set_find(s, id) : NULL;
	struct probing *pr;
	enum err err;

	if (!p)
		return ERR_NOT_FOUND;
	if (id & PATH_ELSEWHERE)
		return ERR_INVAL;
	err = begin(dp, s, p, origin, now_ns);
	if (err && err != ERR_EXISTS && p->lent)
		close_loan(dp, s, p); /* nothing else would end it */
	if (err)
		return err;
	pr = s->probing;
	if (p->lent && !p->count->lent_ns)
		p->count->lent_ns = now_ns;
	if (p->lent)
		prober_lend(&pr->prober, id, p->count->lent_ns);
	if (origin == PATH_PRESUMED)
		prober_open(&pr->prober, id, now_ns);
	trust_one(pr, now_ns);
	turn_soon(pr, now_ns);
	return ERR_OK;
}

enum err dataplane_path_link(struct dataplane *dp, uint32_t set, uint16_t id, bool up,
			     uint64_t now_ns)
{
	const struct path_set *s = slots_get(dp->pathsets, set);
	struct prober_info info;

	if (!s || !s->probing || prober_get(&s->probing->prober, &info, id))
		return ERR_NOT_FOUND;
	prober_link(&s->probing->prober, id, up, now_ns);
	turn_soon(s->probing, now_ns);
	return ERR_OK;
}

enum err dataplane_path_quality(struct dataplane *dp, struct path_quality *out, uint32_t set,
				uint16_t id)
{
	const struct path_set *s = slots_get(dp->pathsets, set);
	struct prober_info info;

	if (!s || !s->probing || prober_get(&s->probing->prober, &info, id))
		return ERR_NOT_FOUND;
	*out = (struct path_quality){.usable = info.usable,
				     .used_by_peer = info.peer_flags & PATH_MESSAGE_ACTIVE,
				     .left_by_peer = info.peer_flags & PATH_MESSAGE_LEFT,
				     .loss_permille = info.loss_permille,
				     .rtt_ns = info.rtt_ns,
				     .rtt_var_ns = info.rtt_var_ns,
				     .rate = info.rate};
	return ERR_OK;
}

/* is_there - the params say nothing new of where the path is. */
static bool is_there(const struct path *p, const struct path_params *params)
{
	return p->port == params->port && memcmp(&p->addr, &params->addr, sizeof(p->addr)) == 0;
}

enum err probing_put(struct probing *pr, const struct path_params *params)
{
	const uint64_t now_ns = workers_clock(pr->dp);
	const struct path *old = path_set_find(pr->set, params->id);
	struct path_params put = *params;
	struct prober_info info;
	bool probed = !prober_get(&pr->prober, &info, params->id);
	const bool elsewhere = old && !is_there(old, params);
	const struct path was = elsewhere ? *old : (struct path){0};
	bool moved = probed && elsewhere;
	bool leaves = params->leaving && !(old && old->leaving);
	enum err err;

	if (probed && !moved)
		put.usable = info.usable;
	if (!is_open(pr, &put.addr.remote.addr, now_ns))
		put.came = 0;
	err = path_set_put(pr->set, &pr->dp->retired, &put);
	if (err)
		return err;
	if (elsewhere)
		leave_owed(pr, &was);
	if (!old && put.came)
		take_over(pr, path_set_find(pr->set, put.id), now_ns);
	if (leaves && !moved)
		prober_leave(&pr->prober, params->id, now_ns);
	if (!moved) {
		turn_soon(pr, now_ns);
		return ERR_OK;
	}
	prober_remove(&pr->prober, params->id);
	err = prober_add(&pr->prober, params->id, false, params->usable, now_ns);
	turn_soon(pr, now_ns);
	return err;
}

void probing_changed(struct probing *pr)
{
	turn_soon(pr, workers_clock(pr->dp));
}

void probing_took(struct probing *pr, const struct path *was)
{
	const uint64_t now_ns = workers_clock(pr->dp);
	const uint16_t path = was->id;

	remember(pr, path, &was->addr.remote);
	remember_owed(pr, was);
	prober_remove(&pr->prober, path);
	trust_one(pr, now_ns);
	turn_soon(pr, now_ns);
	if (path & PATH_ELSEWHERE)
		return;
	prober_remove(&pr->prober, path | PATH_ELSEWHERE);
	if (path_set_find(pr->set, path | PATH_ELSEWHERE) &&
	    path_set_take(pr->set, &pr->dp->retired, path | PATH_ELSEWHERE))
		return; /* it is not used, and goes with the set */
}

void probing_child(struct probing *pr, uint64_t child)
{
	bool first = !pr->child;

	pr->child = child;
	pr->top = 0;
	if (child && first)
		turn_soon(pr, workers_clock(pr->dp));
}

/* ---- what workers report ----------------------------------------------------------------------
 */

/* by_now - a path may have been added since a worker saw the message: the peer has it earlier,
 * where it is the one that wants it. 0: none has these addresses. */
static uint16_t by_now(const struct probing *pr, const struct dp_event *ev)
{
	const struct path *p = path_by(pr->set->table, ev->port, &ev->path);

	return p ? p->id : 0;
}

/* from_elsewhere - a message about a path that came from other addresses than the path has: these
 * are asked, as an address that the peer told. Returns the number that they have meanwhile; 0: they
 * cannot be asked. */
static uint16_t from_elsewhere(struct probing *pr, const struct path_message *m,
			       const struct dp_event *ev, uint64_t now_ns)
{
	const uint16_t id = m->path | PATH_ELSEWHERE;
	const struct path *p = path_set_find(pr->set, m->path);
	struct path_params there = {.id = id, .port = ev->port, .addr = ev->path, .weight = 1};

	if (!p || m->path & PATH_ELSEWHERE || m->type != PATH_PROBE)
		return 0;
	prober_remove(&pr->prober, id);
	there.priority = UINT8_MAX;
	if (path_set_put(pr->set, &pr->dp->retired, &there) ||
	    prober_add(&pr->prober, id, true, false, now_ns))
		return 0;
	return id;
}

/* go_there - a path is where it was found to be now. */
static void go_there(struct probing *pr, const struct path *there)
{
	const uint16_t id = there->id & ~PATH_ELSEWHERE;
	const struct path *p = path_set_find(pr->set, id);
	struct path_params params = {.id = id, .port = there->port, .addr = there->addr};
	const uint16_t elsewhere = there->id;
	struct path was;

	if (!p)
		return;
	was = *p;
	params.priority = p->priority;
	params.weight = p->weight;
	params.usable = true;
	params.leaving = p->leaving;
	if (path_set_take(pr->set, &pr->dp->retired, elsewhere) ||
	    path_set_put(pr->set, &pr->dp->retired, &params))
		return; /* it is asked again when the next message comes from there */
	leave_owed(pr, &was);
	prober_remove(&pr->prober, id);
	if (prober_add(&pr->prober, id, false, true, workers_clock(pr->dp)))
		return; /* there is room: it had a place */
	note(pr, pr->moved, id);
}

void probing_message(struct probing *pr, const struct dp_event *ev, uint64_t now_ns)
{
	const struct prober_arrival came = {
		.at_ns = ev->time_ns, .rx_packets = ev->came_packets, .rx_bytes = ev->came_bytes};
	struct path_message m;
	uint16_t path = ev->path_id;

	if (path_message_parse(&m, ev->bytes)) {
		pr->dp->probes_refused++;
		return;
	}
	if (ev->child == pr->child && ev->top > pr->top)
		pr->top = ev->top;
	if (path == 0)
		path = by_now(pr, ev);
	if (path == 0)
		path = from_elsewhere(pr, &m, ev, now_ns);
	m.path |= path & PATH_ELSEWHERE;
	if (!path || !prober_take(&pr->prober, path, &m, &came, now_ns))
		return;
	if (path & PATH_ELSEWHERE && m.type == PATH_ANSWER) {
		const struct path *there = path_set_find(pr->set, path);

		prober_remove(&pr->prober, path);
		if (there)
			go_there(pr, there);
	}
	turn_soon(pr, now_ns);
}

void probing_busy(struct probing *pr, uint16_t path, uint64_t now_ns)
{
	prober_busy(&pr->prober, path, now_ns);
	turn_soon(pr, now_ns);
}
