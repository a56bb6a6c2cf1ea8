/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/dataplane/wires.h"

#include <CUnit/CUnit.h>

#include "dataplane/sa.h"

#define STEP_NS NS_PER_MS
#define HEADERS 28 /* IPv4 and UDP */

static uint8_t buf[BED_MAX_PACKET];

static struct path_addr addr_of(const struct side *s, uint16_t k)
{
	struct path_addr a = s->path;

	if (s == &wires.bed.a)
		a.remote.port = (uint16_t)(4499 + k);
	else
		a.local.port = (uint16_t)(4499 + k);
	return a;
}

struct wires wires;
enum sa_mode wires_mode;

void wires_pair(struct child_params *p, bool is_a)
{
	p->mif = true;
	bed_mode(p, is_a, wires_mode);
}

void wires_in_both(void (*body)(void))
{
	for (int i = 0; i < 2; i++) {
		wires_mode = i ? SA_TRANSPORT : SA_TUNNEL;
		body();
	}
	wires_mode = SA_TUNNEL;
}

/* set_up - a pair, and path 1 which is used. */
void wires_begin(bool pair)
{
	memset(&wires, 0, sizeof(wires));
	bed_init(&wires.bed, &(struct bed_options){.open_wire = true, .num_packets = 1024});
	if (pair)
		bed_pair(&wires.bed, 1, wires_pair);
	wires.queue_steps = QUEUE_STEPS;
	for (uint16_t k = 1; k <= PATHS; k++)
		wires.wire[k].delay_ms = 5;
}

void wires_put(struct side *s, uint16_t k, uint8_t priority, bool usable)
{
	const struct path_params p = {.id = k,
				      .port = s->outer,
				      .addr = addr_of(s, k),
				      .priority = priority,
				      .weight = 1,
				      .usable = usable};

	CU_ASSERT_EQUAL_FATAL(dataplane_path_put(s->dp, s->pathset, &p), ERR_OK);
}

void wires_probe(struct side *s, uint16_t k, bool learned)
{
	CU_ASSERT_EQUAL_FATAL(dataplane_path_probe(s->dp, s->pathset, k, learned, wires.bed.now),
			      ERR_OK);
}

/* both - path k at both sides, probed. */
void wires_both(uint16_t k, uint8_t priority, bool usable)
{
	struct side *sides[] = {&wires.bed.a, &wires.bed.b};

	for (int i = 0; i < 2; i++) {
		wires_put(sides[i], k, priority, usable);
		wires_probe(sides[i], k, false);
	}
}

uint32_t wires_random(uint32_t n)
{
	wires.random = wires.random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(wires.random >> 33) % n;
}

/* fly - onto the wire. */
static void fly(struct wire *wire, bool is_a, const uint8_t *bytes, size_t len,
		const struct path_addr *to, uint64_t late_ns)
{
	struct flying *f = &wires.flying[wires.num];

	CU_ASSERT_FATAL(wires.num < FLYING_MAX && len <= sizeof(f->bytes));
	*f = (struct flying){.at_ns = wires.bed.now + wire->delay_ms * NS_PER_MS + late_ns,
			     .to = is_a ? &wires.bed.b : &wires.bed.a,
			     .len = len};
	if (wire->jitter_ms)
		f->at_ns += wires_random(wire->jitter_ms * 1000) * NS_PER_US;
	memcpy(f->bytes, bytes, len);
	f->from = *to;
	f->from.local = to->remote;
	f->from.remote = to->local;
	if (is_a && wire->nat_port)
		f->from.remote.port = wire->nat_port;
	if (!is_a && wire->nat_port)
		f->from.local.port = wires.bed.a.path.local.port;
	wires.num++;
}

/* forge - a copy that is not authentic. */
static void forge(struct wire *wire, const uint8_t *bytes, size_t len, const struct path_addr *to)
{
	uint8_t copy[BED_MAX_PACKET];

	memcpy(copy, bytes, len);
	copy[len - 1] ^= 1;
	fly(wire, false, copy, len, to, 0);
}

/* launch - onto the wire that its addresses name, if there is one that takes it. */
static void launch(struct side *s, const uint8_t *bytes, size_t len, const struct path_addr *to)
{
	const bool is_a = s == &wires.bed.a;
	const uint16_t k = (uint16_t)((is_a ? to->remote.port : to->local.port) - 4499);
	struct wire *wire = &wires.wire[k];
	uint64_t late_ns = 0;

	CU_ASSERT_FATAL(k >= 1 && k <= PATHS);
	if (!is_a && wire->nat_port && to->remote.port == wire->nat_port) {
		wires.to_nat[k]++;
		wires.payload_to_nat += len > 200;
	} else if (!is_a && wire->nat_port) {
		wires.astray++;
		return;
	}
	if (is_a)
		wires.a_tx[k] += len + HEADERS;
	if (wire->black || (is_a && wire->deaf) || (wire->loss && wires_random(100) < wire->loss))
		return;
	if (!is_a)
		wires.b_tx[k] += len + HEADERS;
	if (!is_a && wire->forge)
		forge(wire, bytes, len, to);
	if (is_a && wire->per_step && wire->waiting >= wires.queue_steps * wire->per_step)
		return;
	if (is_a && wire->per_step)
		late_ns = wire->waiting++ / wire->per_step * STEP_NS;
	fly(wire, is_a, bytes, len, to, late_ns);
	if (wire->repeat && wires_random(100) < wire->repeat)
		fly(wire, is_a, bytes, len, to, late_ns);
}

static void events(struct side *s)
{
	struct told *told = wires.told[s == &wires.bed.b];
	struct dp_event ev;

	while (dataplane_event_next(s->dp, &ev)) {
		if (ev.kind == DP_EVENT_PATH || ev.kind == DP_EVENT_PATH_MOVED) {
			struct told *t = &told[ev.path_id];

			CU_ASSERT_EQUAL(ev.pathset, s->pathset);
			t->moved += ev.kind == DP_EVENT_PATH_MOVED;
			t->usable += ev.kind == DP_EVENT_PATH && ev.usable;
			t->lost += ev.kind == DP_EVENT_PATH && !ev.usable;
			t->at_ns = wires.bed.now;
		}
		dp_event_release(s->dp, &ev);
	}
	(void)dataplane_probe_turn(s->dp, wires.bed.now);
}

static void turn(struct side *s)
{
	struct path_addr to;
	size_t len;

	bed_turn_one(&wires.bed, s);
	events(s);
	bed_turn_one(&wires.bed, s);
	while (memory_take(s->wire, buf, sizeof(buf), &len, &to))
		launch(s, buf, len, &to);
	while (bed_receive(s, buf)) {
		wires.received += s == &wires.bed.b;
		if (wires.got)
			wires.got(s, load_be16(buf + 20) | (uint32_t)load_be16(buf + 22) << 16);
	}
}

static void arrive(void)
{
	for (uint32_t i = 0; i < wires.num;) {
		const struct flying *f = &wires.flying[i];

		if (f->at_ns > wires.bed.now) {
			i++;
			continue;
		}
		CU_ASSERT_EQUAL(memory_inject(f->to->wire, f->bytes, f->len, &f->from), ERR_OK);
		f->to->injected++;
		wires.flying[i] = wires.flying[--wires.num];
	}
}

static void give(struct side *s)
{
	const bool is_a = s == &wires.bed.a;
	const uint32_t number = wires.next[!is_a]++;
	const uint16_t src = wires.got ? (uint16_t)number : (is_a ? 1 : 2);
	const uint16_t dst = wires.got ? (uint16_t)(number >> 16) : (is_a ? 2 : 1);

	bed_send(s, buf, bed_udp4(buf, is_a, src, dst, wires.tag++, 200));
}

void wires_run(uint32_t ms)
{
	while (ms--) {
		wires.bed.now += STEP_NS;
		for (uint16_t k = 1; k <= PATHS; k++) {
			struct wire *wire = &wires.wire[k];

			wire->waiting -=
				wire->waiting < wire->per_step ? wire->waiting : wire->per_step;
		}
		for (uint32_t i = 0; i < wires.a_sends; i++, wires.sent++)
			give(&wires.bed.a);
		for (uint32_t i = 0; i < wires.b_sends; i++)
			give(&wires.bed.b);
		arrive();
		turn(&wires.bed.a);
		turn(&wires.bed.b);
	}
}
