/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/prober.h"

#include "base/secret.h"

/* AWAY_NS - a turn so late saw no answer in time: what is on its way is excused. */
#define AWAY_NS (50 * NS_PER_MS)
/* BUSY_NS - a path by which nothing left for so long carries nothing. */
#define BUSY_NS NS_PER_S
/* SOON_NS - from one probe to the next where the peer's probe is the reason for it. */
#define SOON_NS (5 * NS_PER_MS)
/* HOLE_NS - in so long, or three round trips, a black hole is to be found. MARGIN_NS - of it, for
 * turns that come late, and the first packet's way. */
#define HOLE_NS   (100 * NS_PER_MS)
#define MARGIN_NS (20 * NS_PER_MS)
/* PATIENCE_MIN_NS - for an answer, beside what the round trip takes; PATIENCE_NEW_NS - where no
 * round trip is known, which may be one by a satellite; QUICK_NEW_NS - between probes there: the
 * first ones are still remembered when they are answered. */
#define PATIENCE_MIN_NS (10 * NS_PER_MS)
#define PATIENCE_NEW_NS NS_PER_S
#define QUICK_NEW_NS    (PATIENCE_NEW_NS / (PROBER_FLIGHT / 2))
/* LEAST_NS - for how long the least round trip is the least: a transfer may keep a queue standing
 * all the while. */
#define LEAST_NS (30 * NS_PER_S)
/* QUEUE_NS - a queue that stands for so long (or for a 32nd of the round trip) is one. LOST -
 * of that which was sent so much must be missing to be called lost: some packets of a batch may
 * leave between the count and the probe. */
#define LOST(sent) ((sent) / 16 + 8)
#define QUEUE_NS   NS_PER_MS
/* FEW - by so few packets of payload between two measures a path is not judged: a queue at its
 * messages is somebody else's, or the other direction's, and some of them may not be counted yet.
 */
#define FEW 8
/* SLOWER - of what it seems to take less now a path loses such a part with each measure. */
#define SLOWER 8
/* SPAN_NS - what arrived is measured over so long at least. */
#define SPAN_NS (100 * NS_PER_MS)

#define LOSS_ONE 65536u

void prober_init(struct prober *p, const struct prober_io *io)
{
	*p = (struct prober){.io = io, .due_ns = TIME_NEVER};
}

static struct probed *find(struct prober *p, uint16_t id)
{
	for (uint32_t i = 0; id && i < PROBER_PATHS; i++)
		if (p->paths[i].id == id)
			return &p->paths[i];
	return NULL;
}

enum err prober_add(struct prober *p, uint16_t path, bool learned, bool usable, uint64_t now_ns)
{
	if (find(p, path))
		return ERR_EXISTS;
	for (uint32_t i = 0; i < PROBER_PATHS; i++) {
		struct probed *d = &p->paths[i];

		if (d->id)
			continue;
		*d = (struct probed){
			.id = path,
			.learned = learned && !usable,
			.usable = usable,
			.credit = PROBER_UNASKED,
			.next_ns = now_ns,
			.backoff_ns = PROBER_FIRST_NS,
		};
		p->io->watch(p->io->ctx, path);
		return ERR_OK;
	}
	return ERR_FULL;
}

void prober_lend(struct prober *p, uint16_t path, uint64_t since_ns)
{
	struct probed *d = find(p, path);

	if (d && !d->usable)
		d->lapses_ns = since_ns + PROBER_LOAN_NS;
}

void prober_open(struct prober *p, uint16_t path, uint64_t now_ns)
{
	struct probed *d = find(p, path);

	if (!d)
		return;
	d->opening = PROBER_OPENING;
	d->next_ns = now_ns + PROBER_OPENING_NS;
}

void prober_remove(struct prober *p, uint16_t path)
{
	struct probed *d = find(p, path);

	if (d)
		*d = (struct probed){0};
}

/* ---- how long, and how often ---------------------------------------------------------------- */

/* patience - an answer that takes longer is taken for lost, for now. */
static uint64_t patience(const struct probed *d)
{
	if (!d->rtt_ns)
		return PATIENCE_NEW_NS;
	uint64_t varied = d->rtt_ns + 4 * d->rtt_var_ns;
	uint64_t half_more = d->rtt_ns + d->rtt_ns / 2;

	uint64_t wait = varied < half_more ? varied : half_more;

	/* Never beyond half as much again: the time in which a black hole is found counts. But what
	 * the latest answer took the next one may take, too: it is a queue that grows. */
	return (wait > d->latest_ns ? wait : d->latest_ns) + PATIENCE_MIN_NS;
}

/* quick - between probes of a path that is watched closely: three of them, of which none is
 * answered, fit into the time in which a black hole is to be found. */
static uint64_t quick(const struct probed *d)
{
	uint64_t bound = 3 * d->rtt_ns > HOLE_NS ? 3 * d->rtt_ns : HOLE_NS;
	uint64_t wait = patience(d) + MARGIN_NS;

	if (!d->rtt_ns)
		return QUICK_NEW_NS;

	wait = wait < bound ? (bound - wait) / 3 : 0;
	return wait > PROBER_QUICK_NS ? wait : PROBER_QUICK_NS;
}

/* misses_allowed - so many in a row say that it is the path and not chance: one in some thousands.
 * loss: up to so many 65536ths of the probes. */
static uint8_t misses_allowed(const struct probed *d)
{
	static const struct {
		uint32_t loss;
		uint8_t misses;
	} table[] = {{655, 3}, {3277, 4}, {9830, 5}, {19661, 6}};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (d->loss < table[i].loss)
			return table[i].misses;
	return PROBER_FLIGHT;
}

/* num_usable, any_busy - of all paths. */
static uint32_t num_usable(const struct prober *p)
{
	uint32_t num = 0;

	for (uint32_t i = 0; i < PROBER_PATHS; i++)
		num += p->paths[i].id && p->paths[i].usable;
	return num;
}

static bool any_busy(const struct prober *p)
{
	for (uint32_t i = 0; i < PROBER_PATHS; i++)
		if (p->paths[i].id && p->paths[i].busy)
			return true;
	return false;
}

/* is_draining - it carried payload, does not any more, and what is on its way is waited for. */
static bool is_draining(const struct probed *d)
{
	return d->unproven && d->left_ns && d->asks < PROBER_DRAIN_ASKS;
}

/* until_next - from one probe to the next. */
static uint64_t until_next(const struct prober *p, struct probed *d)
{
	uint64_t wait = d->backoff_ns;

	if (d->usable) {
		if (is_draining(d)) {
			d->asks++;
			return quick(d);
		}
		if (num_usable(p) > 1 && (d->busy || d->misses))
			return quick(d);
		return d->misses     ? PROBER_FIRST_NS
		       : any_busy(p) ? PROBER_STANDBY_NS
				     : PROBER_IDLE_NS;
	}
	if (d->in_a_row)
		return quick(d);
	d->backoff_ns = wait * 2 < PROBER_LAST_NS ? wait * 2 : PROBER_LAST_NS;
	return wait;
}

/* ---- what a probe says ---------------------------------------------------------------------- */

/* watch_closely - there may be another path for what goes by those in use: time to look at them. */
static void watch_closely(struct prober *p, uint64_t now_ns)
{
	for (uint32_t i = 0; i < PROBER_PATHS; i++) {
		struct probed *d = &p->paths[i];

		if (d->id && d->usable && d->busy && d->next_ns > now_ns + quick(d))
			d->next_ns = now_ns;
	}
}

/* set_drained - nothing of either side is waited for, or all may be on its way. */
static void set_drained(struct probed *d, bool drained)
{
	d->undrained = d->unproven = !drained;
}

static void set_usable(struct prober *p, struct probed *d, bool usable, uint64_t now_ns)
{
	if (d->usable == usable)
		return;
	d->usable = usable;
	d->failed |= !usable && !d->trusted;
	d->trusted = false;
	if (!usable)
		set_drained(d, true); /* what was lost with it is not waited for */
	d->lapses_ns = 0;
	d->in_a_row = 0;
	d->counted = d->num;
	d->backoff_ns = PROBER_FIRST_NS;
	p->io->usable(p->io->ctx, d->id, usable);
	if (usable)
		watch_closely(p, now_ns);
}

void prober_trust(struct prober *p, uint16_t path, uint64_t rtt_ns, uint64_t now_ns)
{
	struct probed *d = find(p, path);

	if (!d || d->usable || d->misses)
		return;
	set_usable(p, d, true, now_ns);
	d->trusted = true;
	d->rtt_ns = rtt_ns;
	d->rtt_var_ns = rtt_ns / 2;
	if (d->next_ns > now_ns + quick(d))
		d->next_ns = now_ns + quick(d);
}

/* count_losses - of the probes up to number n, which was answered: those before it that were not
 * are losses. Of what has no answer behind it nobody knows yet whether it was lost or is in a hole.
 */
static void count_losses(struct probed *d, uint64_t n)
{
	uint64_t oldest = d->num > PROBER_FLIGHT ? d->num - PROBER_FLIGHT : 0;

	for (uint64_t k = d->counted > oldest ? d->counted : oldest; k <= n; k++) {
		d->loss -= d->loss / 16;
		if (d->flight[k % PROBER_FLIGHT].missed)
			d->loss += LOSS_ONE / 16;
		d->counted = k + 1;
	}
}

/* miss - a probe has no answer in time. */
static void miss(struct prober *p, struct probed *d, struct probe *b, uint64_t now_ns)
{
	b->missed = true;
	d->in_a_row = 0;
	if (d->misses < UINT8_MAX)
		d->misses++;
	/* The last one is not given up: it may carry something still, and nothing is better. But
	 * where nobody has answered yet it may be somebody else who gets it. */
	if (d->usable && d->misses >= misses_allowed(d) && (d->trusted || num_usable(p) > 1))
		set_usable(p, d, false, now_ns);
}

/* note_rtt - RFC 6298 2. */
static void note_rtt(struct probed *d, uint64_t rtt, uint64_t now_ns)
{
	uint64_t differ = rtt > d->rtt_ns ? rtt - d->rtt_ns : d->rtt_ns - rtt;

	d->latest_ns = rtt;
	if (!d->rtt_ns) {
		d->rtt_ns = rtt ? rtt : 1;
		d->rtt_var_ns = rtt / 2;
	} else {
		d->rtt_var_ns = d->rtt_var_ns - d->rtt_var_ns / 4 + differ / 4;
		d->rtt_ns = d->rtt_ns - d->rtt_ns / 8 + rtt / 8;
	}
	if (!d->least_at_ns || now_ns - d->least_at_ns > LEAST_NS) {
		d->least_was_ns = d->least_at_ns ? d->least_ns : rtt;
		d->least_ns = rtt;
		d->least_at_ns = now_ns;
	}
	d->least_ns = rtt < d->least_ns ? rtt : d->least_ns;
}

static uint64_t least_of(const struct probed *d)
{
	return d->least_was_ns < d->least_ns ? d->least_was_ns : d->least_ns;
}

/* queue - how much longer a round trip is than the least one. */
static uint64_t queue(const struct probed *d, uint64_t rtt)
{
	uint64_t least = least_of(d);

	return rtt > least ? rtt - least : 0;
}

/* is_queue - so long is no chance. Of some round trips the least says that a queue stands, for it
 * is no burst that all of them met; the most that there was one. */
static bool is_queue(const struct probed *d, uint64_t ns)
{
	uint64_t part = d->rtt_ns / 32;

	return ns > (part > QUEUE_NS ? part : QUEUE_NS);
}

static uint64_t per_second(uint64_t bytes, uint64_t ns)
{
	return (uint64_t)((double)bytes * (double)NS_PER_S / (double)(ns ? ns : 1));
}

/* pace - how much is sent now, which the peer confirms a round trip later. */
static void pace(struct probe_measure *m, uint64_t tx_bytes, uint64_t now_ns)
{
	if (m->paced_ns && now_ns - m->paced_ns < SPAN_NS)
		return;
	if (m->paced_ns)
		m->pace = per_second(tx_bytes - m->paced, now_ns - m->paced_ns);
	m->paced_ns = now_ns;
	m->paced = tx_bytes;
}

/* enum limit - what a path showed between two probes. */
enum limit {
	LIMIT_NONE,
	LIMIT_BURST, /* it lost of a burst, and was not busy all the time */
	LIMIT_FULL,  /* it queues, or loses without a queue */
};

/* slower - a path that is full takes less than it was seen to. Bursts leave it idle between two
 * probes that both met a queue: what was seen once is given up little by little. */
static uint64_t slower(uint64_t rate, uint64_t seen)
{
	return rate - (rate - seen) / SLOWER;
}

/* judge_rate - a path that is full takes what came through, `seen`, and no more. Another one takes
 * at least that, and once its limit was found more is tried while it is nearly full. */
static void judge_rate(struct probe_measure *m, uint64_t seen, enum limit limit)
{
	if (limit == LIMIT_FULL && m->full)
		m->rate = seen > m->rate ? (m->rate + seen) / 2 : slower(m->rate, seen);
	else if (limit == LIMIT_FULL || seen > m->rate)
		m->rate = seen;
	else if (limit == LIMIT_NONE && m->full && seen > m->rate / 8 * 7)
		m->rate += m->rate / 32;
	m->full |= limit != LIMIT_NONE;
}

/* is_lack - more is missing than chance. */
static bool is_lack(uint64_t sent, uint64_t came)
{
	return sent > came && sent - came > LOST(sent);
}

/* limit_of - queue_ns: the longest. */
static enum limit limit_of(const struct probed *d, uint64_t sent, uint64_t came, uint64_t queue_ns)
{
	if (is_queue(d, d->measure.stands_ns))
		return LIMIT_FULL;
	if (!is_lack(sent, came))
		return LIMIT_NONE;
	return is_queue(d, queue_ns) ? LIMIT_BURST : LIMIT_FULL;
}

/* ARRIVES_MOST - bytes between two probes: more is not believed of any path, and what is computed
 * of it stays within its types. */
#define ARRIVES_MOST (UINT64_C(100) * UINT32_MAX)

/* goes_on - what the peer says that came can be, after what it said before. */
static bool goes_on(const struct probe_span *from, const struct probe_span *to)
{
	return to->rx_packets >= from->rx_packets && to->rx_bytes >= from->rx_bytes &&
	       to->rx_bytes - from->rx_bytes <= ARRIVES_MOST;
}

/* measure - how much arrived between two probes: these were so far apart at the other end, too, but
 * for what the round trip changed meanwhile. With a queue that is the time it took what arrived to
 * pass the narrowest place; without one a shorter time at the other end is chance. */
static void measure(struct probed *d, const struct probe *b, uint64_t rtt,
		    const struct path_traffic *theirs)
{
	struct probe_measure *m = &d->measure;
	const struct probe_span from = m->from, to = {.sent_ns = b->sent_ns,
						      .came_ns = b->sent_ns + rtt,
						      .tx_packets = b->tx_packets,
						      .messages = b->messages,
						      .rx_packets = theirs->rx_packets,
						      .rx_bytes = theirs->rx_bytes,
						      .least_ns = UINT64_MAX};
	uint64_t took = to.sent_ns - from.sent_ns, sent = to.tx_packets - from.tx_packets;
	uint64_t came = to.rx_packets - from.rx_packets, messages = to.messages - from.messages;

	if (from.sent_ns && to.sent_ns < from.sent_ns)
		return; /* a later one was answered before */
	if (!from.sent_ns || !goes_on(&from, &to) || to.came_ns <= from.came_ns) {
		m->from = to;
		return;
	}
	m->from.least_ns = rtt < from.least_ns ? rtt : from.least_ns;
	m->from.most_ns = rtt > from.most_ns ? rtt : from.most_ns;
	m->from.sum_ns += rtt;
	m->from.num++;
	if (took < SPAN_NS)
		return;
	m->stands_ns = queue(d, m->from.least_ns);
	m->queue_ns = queue(d, m->from.sum_ns / m->from.num);
	if (is_queue(d, m->stands_ns) || to.came_ns - from.came_ns > took)
		took = to.came_ns - from.came_ns;
	if (sent > messages + FEW) {
		m->lacks = is_lack(sent, came) ? m->lacks + 1 : 0;
		judge_rate(m, per_second(to.rx_bytes - from.rx_bytes, took),
			   limit_of(d, sent, came, queue(d, m->from.most_ns)));
	}
	m->from = to;
}

/* misses_since - of probes that were sent after number n. */
static uint8_t misses_since(const struct probed *d, uint64_t n)
{
	uint8_t num = 0;

	for (uint64_t k = n + 1; k < d->num; k++)
		num += d->flight[k % PROBER_FLIGHT].missed;
	return num;
}

/* find_probe - which one this answers; false: none that is still known and has no answer. */
static bool find_probe(const struct probed *d, const uint8_t *challenge, uint64_t *out)
{
	uint64_t oldest = d->num > PROBER_FLIGHT ? d->num - PROBER_FLIGHT : 0;

	for (uint64_t n = oldest; n < d->num; n++) {
		const struct probe *b = &d->flight[n % PROBER_FLIGHT];

		if (!b->answered &&
		    secret_equal(b->challenge, PATH_CHALLENGE_LEN, challenge, PATH_CHALLENGE_LEN)) {
			*out = n;
			return true;
		}
	}
	return false;
}

/* look_used - whether payload may leave by it, which what is done about other paths changes, too.
 */
static void look_used(struct prober *p, struct probed *d, uint64_t now_ns)
{
	if (p->io->used(p->io->ctx, d->id)) {
		d->left_ns = d->came_ns = 0;
		d->asks = 0;
		set_drained(d, false);
		return;
	}
	if (d->left_ns)
		return;
	d->left_ns = now_ns;
	if (d->usable && d->unproven && d->next_ns > now_ns + PROBER_LEFT_NS)
		d->next_ns = now_ns + PROBER_LEFT_NS;
}

/* has_left - all payload that was sent by it has left, so that a message is behind the last of it.
 */
static bool has_left(const struct probed *d, uint64_t at_ns)
{
	return d->left_ns && at_ns >= d->left_ns + PROBER_LEFT_NS;
}

static uint16_t flags_of(struct prober *p, struct probed *d, uint64_t now_ns)
{
	look_used(p, d, now_ns);
	if (d->usable && has_left(d, now_ns))
		return PATH_MESSAGE_LEFT;
	return d->busy ? PATH_MESSAGE_ACTIVE : 0;
}

/* judge_came - who says that it has left the path says so behind its last packet, and in all that
 * follows: who changes its mind all the time is heard once in a while. */
static void judge_came(struct prober *p, struct probed *d, uint16_t flags, uint64_t now_ns)
{
	if (!d->usable || !d->undrained || !d->left_ns || !(flags & PATH_MESSAGE_LEFT))
		return;
	if (d->came_ns && now_ns < d->came_ns + PROBER_CAME_NS)
		return;
	d->came_ns = now_ns;
	d->undrained = false;
	p->io->last(p->io->ctx, d->id, false);
}

/* heed - what the peer says of how it uses the path, by a message that is its own. */
static void heed(struct prober *p, struct probed *d, uint16_t flags, uint64_t now_ns)
{
	d->peer_flags = flags;
	if (d->usable && flags & PATH_MESSAGE_ACTIVE)
		set_drained(d, false);
	look_used(p, d, now_ns);
	judge_came(p, d, flags, now_ns);
}

/* judge_arrived - an answer to a probe that went behind this side's last packet: that is there. */
static void judge_arrived(struct prober *p, struct probed *d, const struct probe *b, uint16_t flags)
{
	if (!d->usable || d->undrained || !d->unproven || !has_left(d, b->sent_ns) ||
	    !(flags & PATH_MESSAGE_LEFT))
		return;
	d->unproven = false;
	p->io->last(p->io->ctx, d->id, true);
}

static bool take_answer(struct prober *p, struct probed *d, const struct path_message *m,
			uint64_t at_ns, uint64_t now_ns)
{
	uint64_t n;

	if (!find_probe(d, m->challenge, &n))
		return false;
	struct probe *b = &d->flight[n % PROBER_FLIGHT];
	uint64_t took = at_ns > b->sent_ns ? at_ns - b->sent_ns : 0, held = m->held_us * NS_PER_US;
	uint64_t rtt = held < took ? took - held : took;

	heed(p, d, m->flags, now_ns);
	b->answered = true;
	b->missed = false;
	if (d->usable)
		count_losses(d, n); /* what is missing while it is not was in a hole */
	d->misses = misses_since(d, n);
	d->learned = d->trusted = false;
	d->answered_ns = now_ns;
	if (d->in_a_row < UINT8_MAX)
		d->in_a_row++;
	note_rtt(d, rtt, now_ns);
	measure(d, b, rtt, &m->traffic);
	judge_arrived(p, d, b, m->flags);
	if (!d->usable && d->misses == 0 && d->in_a_row >= (d->failed ? PROBER_BACK : 1))
		set_usable(p, d, true, now_ns);
	else if (!d->usable && d->next_ns > now_ns + quick(d))
		d->next_ns = now_ns + quick(d);
	return true;
}

/* answer - what is said to have come is what had when the probe did. */
static void answer(struct prober *p, struct probed *d, const struct path_message *probe,
		   const struct prober_arrival *came, uint64_t now_ns)
{
	uint64_t held_us = now_ns > came->at_ns ? (now_ns - came->at_ns) / NS_PER_US : 0;
	struct path_message m = {
		.type = PATH_ANSWER,
		.path = d->id,
		.flags = flags_of(p, d, now_ns),
		.held_us = held_us < UINT32_MAX ? (uint32_t)held_us : UINT32_MAX,
		.sent_us = probe->sent_us,
	};

	memcpy(m.challenge, probe->challenge, PATH_CHALLENGE_LEN);
	p->io->traffic(p->io->ctx, d->id, &m.traffic);
	m.traffic.rx_packets = came->rx_packets;
	m.traffic.rx_bytes = came->rx_bytes;
	d->messages++;
	p->io->send(p->io->ctx, d->id, &m, PATH_MESSAGE_LEN);
}

/* ask_soon - the peer asks by a path that has not answered us: most likely it would now. */
static void ask_soon(struct probed *d, uint64_t now_ns)
{
	const struct probe *last = &d->flight[(d->num - 1) % PROBER_FLIGHT];
	uint64_t at = d->num ? last->sent_ns + SOON_NS : now_ns;

	at = at > now_ns ? at : now_ns;
	d->next_ns = at < d->next_ns ? at : d->next_ns;
}

bool prober_take(struct prober *p, uint16_t path, const struct path_message *m,
		 const struct prober_arrival *came, uint64_t now_ns)
{
	struct probed *d = find(p, path);

	if (!d || m->path != path)
		return false;
	if (m->type == PATH_ANSWER)
		return take_answer(p, d, m, came->at_ns, now_ns);
	heed(p, d, m->flags, now_ns);
	answer(p, d, m, came, now_ns);
	if (d->learned && d->credit < PROBER_UNASKED)
		d->credit++;
	if (!d->usable || (m->flags & PATH_MESSAGE_LEFT && is_draining(d)))
		ask_soon(d, now_ns);
	return true;
}

/* ---- turns ---------------------------------------------------------------------------------- */

static void set_busy(struct probed *d, uint64_t now_ns)
{
	d->busy_ns = now_ns;
	if (d->busy)
		return;
	d->busy = true;
	if (d->next_ns > now_ns + PROBER_QUICK_NS)
		d->next_ns = now_ns;
}

void prober_leave(struct prober *p, uint16_t path, uint64_t now_ns)
{
	struct probed *d = find(p, path);

	if (!d || !d->usable)
		return;
	set_drained(d, false);
	d->asks = 0;
	d->came_ns = 0;
	if (d->next_ns > now_ns + PROBER_LEFT_NS)
		d->next_ns = now_ns + PROBER_LEFT_NS;
}

void prober_link(struct prober *p, uint16_t path, bool up, uint64_t now_ns)
{
	struct probed *d = find(p, path);

	if (!d)
		return;
	if (up) {
		d->backoff_ns = PROBER_FIRST_NS;
		d->next_ns = now_ns;
	} else if (d->usable && num_usable(p) > 1) {
		set_usable(p, d, false, now_ns);
	}
}

void prober_busy(struct prober *p, uint16_t path, uint64_t now_ns)
{
	struct probed *d = find(p, path);

	if (d)
		set_busy(d, now_ns);
}

/* look - whether payload still leaves by it. A message of ours that is not counted yet makes it
 * seem less than it was, never more. */
static void look(struct prober *p, struct probed *d, uint64_t now_ns)
{
	struct path_traffic t;

	p->io->traffic(p->io->ctx, d->id, &t);
	uint64_t payload = t.tx_packets > d->messages ? t.tx_packets - d->messages : 0;

	if (payload > d->payload) {
		d->payload = payload;
		if (d->busy)
			d->busy_ns = now_ns;
	} else if (d->busy && now_ns - d->busy_ns >= BUSY_NS) {
		d->busy = false;
		p->io->watch(p->io->ctx, d->id);
	}
}

/* next_opening - true: it was not the last of the long probes that the path begins with. */
static bool next_opening(struct probed *d)
{
	return d->opening && --d->opening;
}

/* probe - of those that leave together the loss of one is not also that of the others. */
static void probe(struct prober *p, struct probed *d, uint64_t now_ns)
{
	struct probe *b = &d->flight[d->num % PROBER_FLIGHT];
	struct path_message m = {
		.type = PATH_PROBE,
		.path = d->id,
		.flags = flags_of(p, d, now_ns),
		.sent_us = now_ns / NS_PER_US,
	};

	const size_t len = d->opening ? PROBER_OPENING_LEN : PATH_MESSAGE_LEN;

	if (d->learned && d->credit == 0) {
		d->next_ns = TIME_NEVER;
		return;
	}
	d->credit -= d->learned;
	const bool opening = next_opening(d);

	d->next_ns = now_ns + (opening ? PROBER_OPENING_NS : until_next(p, d));
	if (rng_fill(p->io->rng, m.challenge, PATH_CHALLENGE_LEN))
		return; /* the next one may have more luck */
	p->io->traffic(p->io->ctx, d->id, &m.traffic);
	pace(&d->measure, m.traffic.tx_bytes, now_ns);
	*b = (struct probe){
		.sent_ns = now_ns,
		.tx_packets = m.traffic.tx_packets,
		.messages = d->messages,
		.excused = opening,
	};
	memcpy(b->challenge, m.challenge, PATH_CHALLENGE_LEN);
	d->num++;
	d->messages++;
	p->io->send(p->io->ctx, d->id, &m, len);
}

/* judge - probes that have waited long enough; returns when the next one has. */
static uint64_t judge(struct prober *p, struct probed *d, uint64_t now_ns)
{
	uint64_t oldest = d->num > PROBER_FLIGHT ? d->num - PROBER_FLIGHT : 0;
	uint64_t next = TIME_NEVER;

	for (uint64_t n = oldest; n < d->num; n++) {
		struct probe *b = &d->flight[n % PROBER_FLIGHT];
		uint64_t until = b->sent_ns + patience(d);

		if (b->answered || b->missed || b->excused)
			continue;
		if (now_ns >= until) {
			miss(p, d, b, now_ns);
			/* A doubt is looked into at once, not when an idle path is due. */
			if (d->usable && d->next_ns > now_ns + PROBER_FIRST_NS)
				d->next_ns = now_ns;
		} else if (until < next) {
			next = until;
		}
	}
	return next;
}

static void excuse(struct probed *d)
{
	for (uint32_t i = 0; i < PROBER_FLIGHT; i++)
		d->flight[i].excused = true;
}

/* lapse - returns when that is to be looked at again. */
static uint64_t lapse(struct prober *p, struct probed *d, uint64_t now_ns)
{
	if (!d->lapses_ns)
		return TIME_NEVER;
	if (now_ns < d->lapses_ns)
		return d->lapses_ns;
	d->lapses_ns = 0;
	p->io->lapse(p->io->ctx, d->id);
	return TIME_NEVER;
}

uint64_t prober_turn(struct prober *p, uint64_t now_ns)
{
	bool away = p->due_ns != TIME_NEVER && now_ns > p->due_ns + AWAY_NS;
	uint64_t due = TIME_NEVER;

	for (uint32_t i = 0; i < PROBER_PATHS; i++) {
		struct probed *d = &p->paths[i];

		if (!d->id)
			continue;
		if (away)
			excuse(d);
		look(p, d, now_ns);
		look_used(p, d, now_ns);
		if (now_ns >= d->next_ns)
			probe(p, d, now_ns);
		uint64_t judged = judge(p, d, now_ns), lapses = lapse(p, d, now_ns);

		due = judged < due ? judged : due;
		due = lapses < due ? lapses : due;
		due = d->next_ns < due ? d->next_ns : due;
	}
	p->due_ns = due;
	return due;
}

/* rate_of - what a path takes, of which no limit is known: a quarter more than is sent by it. What
 * its answers say lags behind that by its round trip, and paths are compared. */
static uint64_t rate_of(const struct probe_measure *m)
{
	const uint64_t more = m->pace + m->pace / 4;

	return m->full || m->rate > more ? m->rate : more;
}

enum err prober_get(const struct prober *p, struct prober_info *out, uint16_t path)
{
	for (uint32_t i = 0; path && i < PROBER_PATHS; i++) {
		const struct probed *d = &p->paths[i];

		if (d->id != path)
			continue;
		*out = (struct prober_info){
			.usable = d->usable,
			.learned = d->learned,
			.answered_ns = d->answered_ns,
			.peer_flags = d->peer_flags,
			.loss_permille = (uint32_t)((uint64_t)d->loss * 1000 / LOSS_ONE),
			.rtt_ns = d->rtt_ns,
			.rtt_var_ns = d->rtt_var_ns,
			.least_ns = least_of(d),
			.rate = rate_of(&d->measure),
			.queue_ns = d->measure.queue_ns,
			.lacks = d->measure.lacks,
			.full = d->measure.full,
		};
		return ERR_OK;
	}
	return ERR_NOT_FOUND;
}
