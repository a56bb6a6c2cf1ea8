/* SPDX-License-Identifier: Apache-2.0 */
/* Latched flows (RFC 5660) through whole data paths. A is the host. Behind the same addresses on
 * the other side are two peers of which both are authenticated: "b" and, with a group of its own,
 * "mallory". */
#include "base/alloc.h"
#include "dataplane/fragment.h"
#include "tests/dataplane/testbed.h"

#include <netinet/in.h>
#include <pthread.h>

#include "tests/tap/tap.h"

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define ACK 0x10

static const struct bed_options latching = {.latch_tcp = true};

/* struct stage - the bed, and what belongs to the second peer. */
static struct {
	struct bed bed;
	struct auth_proof *mallory;
	uint32_t group, policy;
	uint32_t b, m; /* classes */
	bool stop;     /* atomic */
} s;

static void as_mallory(struct child_params *p, bool is_a)
{
	if (!is_a)
		return;
	p->proof = s.mallory;
	p->group = s.group;
}

static uint32_t token_of(uint64_t pair)
{
	struct child_stats st;

	CU_ASSERT_EQUAL_FATAL(dataplane_child_stats(s.bed.a.dp, &st, pair), ERR_OK);
	return st.token;
}

/* set_up - pair 1 is b's, pair 2 mallory's. */
static void set_up(const struct bed_options *options)
{
	struct auth_proof_params who;

	bed_init(&s.bed, options);
	who = *auth_proof_params(s.bed.a.proof);
	memcpy(who.peer.data, "mallory", who.peer.len = 7);
	s.mallory = auth_proof_new(&who);
	CU_ASSERT_EQUAL_FATAL(dataplane_group_add(s.bed.a.dp, &s.group), ERR_OK);
	bed_pair(&s.bed, 1, NULL);
	bed_pair(&s.bed, 2, as_mallory);
	s.b = token_of(1);
	s.m = token_of(2);
	CU_ASSERT_NOT_EQUAL_FATAL(s.b, s.m);
}

/* take_over - mallory's policy is looked at first from now on. */
static void take_over(void)
{
	struct policy_params p = {
		.layer = POLICY_APPLICATION,
		.action = POLICY_PROTECT,
		.group = s.group,
		.local = &s.bed.a.local4, /* the one for IPv6 lies behind it */
		.remote = &s.bed.a.remote4,
		.num_local = 1,
		.num_remote = 1,
	};

	CU_ASSERT_EQUAL_FATAL(dataplane_policy_add(s.bed.a.dp, &s.policy, &p), ERR_OK);
}

static void tear_down(void)
{
	bed_fini(&s.bed);
	auth_proof_put(s.mallory);
}

static size_t tcp4(uint8_t *buf, bool a_to_b, uint16_t port_a, uint8_t flags)
{
	size_t len = bed_udp4(buf, a_to_b, a_to_b ? port_a : 80, a_to_b ? 80 : port_a, 0, 12);

	buf[9] = IPPROTO_TCP;
	buf[20 + 12] = 5 << 4;
	buf[20 + 13] = flags;
	return len;
}

static size_t udp4(uint8_t *buf, bool a_to_b, uint16_t port_a)
{
	return bed_udp4(buf, a_to_b, a_to_b ? port_a : 80, a_to_b ? 80 : port_a, 0, 12);
}

/* comes_in - this packet comes to A by the pair; true: the host gets it. */
static bool comes_in(uint64_t pair, const uint8_t *packet, size_t len)
{
	uint8_t got[BED_MAX_PACKET];

	CU_ASSERT_EQUAL(dataplane_child_activate(s.bed.b.dp, pair), ERR_OK);
	bed_send(&s.bed.b, packet, len);
	bed_turn(&s.bed);
	return bed_receive(&s.bed.a, got) > 0;
}

/* goes_by - the pair by which A sent it; 0: it did not. */
static uint64_t goes_by(const uint8_t *packet, size_t len)
{
	uint8_t got[BED_MAX_PACKET];
	struct child_stats before[2], after[2];

	for (uint64_t i = 0; i < 2; i++)
		CU_ASSERT_EQUAL_FATAL(dataplane_child_stats(s.bed.a.dp, &before[i], i + 1), ERR_OK);
	bed_send(&s.bed.a, packet, len);
	bed_turn(&s.bed);
	while (bed_receive(&s.bed.b, got))
		;
	for (uint64_t i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL_FATAL(dataplane_child_stats(s.bed.a.dp, &after[i], i + 1), ERR_OK);
		if (after[i].out_packets != before[i].out_packets)
			return i + 1;
	}
	return 0;
}

static bool tcp_in(uint64_t pair, uint16_t port, uint8_t flags)
{
	uint8_t buf[BED_MAX_PACKET];
	size_t len = tcp4(buf, false, port, flags);

	return comes_in(pair, buf, len);
}

static uint64_t tcp_out(uint16_t port, uint8_t flags)
{
	uint8_t buf[BED_MAX_PACKET];
	size_t len = tcp4(buf, true, port, flags);

	return goes_by(buf, len);
}

static bool udp_in(uint64_t pair, uint16_t port)
{
	uint8_t buf[BED_MAX_PACKET];
	size_t len = udp4(buf, false, port);

	return comes_in(pair, buf, len);
}

static uint64_t udp_out(uint16_t port)
{
	uint8_t buf[BED_MAX_PACKET];
	size_t len = udp4(buf, true, port);

	return goes_by(buf, len);
}

static struct flow flow(uint8_t proto, uint16_t port)
{
	static const uint8_t a[4] = {10, 1, 0, 1}, b[4] = {10, 2, 0, 1};

	return (struct flow){.local = ip_addr_v4(a),
			     .remote = ip_addr_v4(b),
			     .local_port = port,
			     .remote_port = 80,
			     .proto = proto};
}

static struct latch_info info(uint8_t proto, uint16_t port)
{
	struct flow f = flow(proto, port);
	struct latch_info out = {0};

	(void)!dataplane_latch_get(s.bed.a.dp, &out, &f, 0);
	return out;
}

static void set(uint8_t proto, uint16_t port, uint32_t token, bool shut)
{
	struct flow f = flow(proto, port);

	CU_ASSERT_EQUAL(dataplane_latch_set(s.bed.a.dp, &f, 0, token, shut), ERR_OK);
}

/* ---- what control latches -------------------------------------------------------------------- */

static void test_L1_nothing_passes_before(void)
{
	set_up(NULL);
	CU_ASSERT(udp_in(1, 9));
	CU_ASSERT_EQUAL(udp_out(9), 1);
	set(IPPROTO_UDP, 9, 0, true);
	CU_ASSERT(!udp_in(1, 9));
	CU_ASSERT(!udp_in(2, 9));
	CU_ASSERT_EQUAL(udp_out(9), 0);
	CU_ASSERT_EQUAL(bed_dropped(&s.bed.a, DROP_LATCH), 3);
	CU_ASSERT(udp_in(1, 10)); /* other flows do */
	set(IPPROTO_UDP, 9, s.b, false);
	CU_ASSERT(udp_in(1, 9));
	CU_ASSERT_EQUAL(udp_out(9), 1);
	tear_down();
}

/* B3: a second valid peer that takes the address never receives the flow. */
static void test_L2_another_peer(void)
{
	struct dp_event ev;

	set_up(NULL);
	set(IPPROTO_UDP, 9, s.b, false);
	CU_ASSERT(udp_in(1, 9));
	take_over();
	CU_ASSERT(udp_in(1, 9));
	CU_ASSERT(!udp_in(2, 9));
	CU_ASSERT_EQUAL(bed_dropped(&s.bed.a, DROP_LATCH), 1);
	CU_ASSERT(bed_event(&s.bed.a, &ev));
	while (ev.kind != DP_EVENT_FOREIGN && bed_event(&s.bed.a, &ev))
		;
	CU_ASSERT_EQUAL(ev.kind, DP_EVENT_FOREIGN);
	CU_ASSERT_EQUAL(ev.token, s.m);
	CU_ASSERT_EQUAL(ev.flow.local_port, 9);
	CU_ASSERT_EQUAL(udp_out(9), 1); /* though mallory's policy comes first */
	CU_ASSERT_EQUAL(udp_out(10), 2);
	dataplane_child_remove(s.bed.a.dp, 1, CHILD_OUT);
	CU_ASSERT_EQUAL(udp_out(9), 0);
	tear_down();
}

/* send_parts - a datagram of this port leaves A's host in fragments. */
static void send_parts(uint16_t port)
{
	uint8_t buf[BED_MAX_PACKET];
	size_t len = bed_udp4(buf, true, port, 80, 0, 3000);
	struct pool *pool = pool_new(2, 9000);
	struct packet *p = packet_get(pool), *part = packet_get(pool);
	struct fragment_cut c;
	bool more = true;

	memcpy(p->data, buf, len);
	p->len = (uint32_t)len;
	CU_ASSERT_FATAL(fragment_cut_begin(&c, p, 1200));
	while (more) {
		more = fragment_cut_next(&c, part);
		bed_send(&s.bed.a, part->data, part->len);
	}
	packet_put(p);
	packet_put(part);
	pool_free(pool);
	bed_turn(&s.bed);
}

/* A fragment that shows no ports is of the latched flow too: none goes to whom the policy names. */
static void test_L2_fragments_out(void)
{
	struct child_stats b, m;

	set_up(NULL);
	set(IPPROTO_UDP, 9, s.b, false);
	take_over();
	send_parts(9);
	CU_ASSERT_EQUAL_FATAL(dataplane_child_stats(s.bed.a.dp, &b, 1), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(dataplane_child_stats(s.bed.a.dp, &m, 2), ERR_OK);
	CU_ASSERT(b.out_packets > 0);
	CU_ASSERT_EQUAL(m.out_packets, 0);
	set(IPPROTO_UDP, 9, 0, true);
	send_parts(9);
	CU_ASSERT_EQUAL_FATAL(dataplane_child_stats(s.bed.a.dp, &m, 2), ERR_OK);
	CU_ASSERT_EQUAL(m.out_packets, 0);
	tear_down();
}

static void test_L3_congruent_sas(void)
{
	set_up(NULL);
	set(IPPROTO_UDP, 9, s.b, false);
	CU_ASSERT(udp_in(1, 9));
	bed_pair(&s.bed, 3, NULL); /* a re-key */
	CU_ASSERT(udp_in(3, 9));
	dataplane_child_remove(s.bed.a.dp, 1, CHILD_BOTH);
	dataplane_child_remove(s.bed.b.dp, 1, CHILD_BOTH);
	dataplane_child_remove(s.bed.a.dp, 3, CHILD_BOTH);
	dataplane_child_remove(s.bed.b.dp, 3, CHILD_BOTH);
	CU_ASSERT(!udp_in(2, 9)); /* the peer is away */
	bed_pair(&s.bed, 1, NULL);
	CU_ASSERT_EQUAL(token_of(1), s.b);
	CU_ASSERT(udp_in(1, 9));
	CU_ASSERT_EQUAL(udp_out(9), 1);
	tear_down();
}

static void test_L6_ends(void)
{
	struct flow f = flow(IPPROTO_UDP, 9);

	set_up(NULL);
	set(IPPROTO_UDP, 9, s.b, false);
	take_over();
	CU_ASSERT(!udp_in(2, 9));
	dataplane_latch_end(s.bed.a.dp, &f, 0);
	CU_ASSERT(udp_in(2, 9)); /* the attack, without a latch */
	CU_ASSERT_EQUAL(dataplane_num_latches(s.bed.a.dp), 0);
	dataplane_latch_end(s.bed.a.dp, &f, 0);
	tear_down();
}

/* first - a policy for everything, before what there is. */
static uint32_t first(enum policy_action action)
{
	const struct policy_params p = {
		.layer = POLICY_LATCH,
		.action = action,
		.local = &s.bed.a.local4,
		.remote = &s.bed.a.remote4,
		.num_local = 1,
		.num_remote = 1,
	};
	uint32_t id;

	CU_ASSERT_EQUAL_FATAL(dataplane_policy_add(s.bed.a.dp, &id, &p), ERR_OK);
	return id;
}

/* What a policy discards stays discarded, and what a worker has latched does not pass in the clear
 * when a policy would let it. */
static void test_L5_policy_beside(void)
{
	uint32_t id;

	set_up(&latching);
	CU_ASSERT(tcp_in(1, 9, SYN));
	CU_ASSERT_EQUAL(tcp_out(9, SYN | ACK), 1);
	id = first(POLICY_BYPASS);
	CU_ASSERT_EQUAL(tcp_out(9, ACK), 0);
	CU_ASSERT_EQUAL(bed_dropped(&s.bed.a, DROP_LATCH), 1);
	CU_ASSERT(tcp_in(1, 9, ACK)); /* it is protected all the same */
	CU_ASSERT(!tcp_in(2, 9, ACK));
	dataplane_policy_remove(s.bed.a.dp, id);
	first(POLICY_DISCARD);
	CU_ASSERT(!tcp_in(1, 9, ACK));
	CU_ASSERT_EQUAL(tcp_out(9, ACK), 0);
	tear_down();
}

/* A latch that was asked for goes before a policy that would let its flow pass in the clear. */
static void test_L10_before_bypass(void)
{
	struct flow f = flow(IPPROTO_UDP, 9);
	uint32_t id;

	set_up(NULL);
	CU_ASSERT(!dataplane_bypasses(s.bed.a.dp, &f));
	id = first(POLICY_BYPASS);
	CU_ASSERT(dataplane_bypasses(s.bed.a.dp, &f));
	CU_ASSERT_EQUAL(udp_out(9), 0);
	CU_ASSERT_EQUAL(bed_dropped(&s.bed.a, DROP_POLICY_BYPASS), 1);
	set(IPPROTO_UDP, 9, s.b, false);
	CU_ASSERT_EQUAL(udp_out(9), 1);
	CU_ASSERT(udp_in(1, 9));
	CU_ASSERT(!udp_in(2, 9));
	CU_ASSERT_EQUAL(udp_out(10), 0); /* another flow */
	set(IPPROTO_UDP, 9, s.m, false);
	CU_ASSERT_EQUAL(udp_out(9), 2);
	set(IPPROTO_UDP, 9, 0, true);
	CU_ASSERT_EQUAL(udp_out(9), 0);
	dataplane_policy_remove(s.bed.a.dp, id);
	set(IPPROTO_UDP, 9, s.b, false);
	first(POLICY_DISCARD);
	CU_ASSERT_EQUAL(udp_out(9), 0);
	CU_ASSERT(!udp_in(1, 9));
	tear_down();
}

static void test_bounds(void)
{
	const struct bed_options few = {.num_latches = 64};
	struct flow f = flow(IPPROTO_UDP, 1);
	uint32_t num = 0;

	set_up(&few);
	CU_ASSERT_EQUAL(dataplane_latch_set(s.bed.a.dp, &f, 0, 0, false), ERR_INVAL);
	CU_ASSERT_EQUAL(dataplane_latch_set(s.bed.a.dp, &f, 0, 0xfff, false), ERR_NOT_FOUND);
	while (num < 1000 && dataplane_latch_set(s.bed.a.dp, &f, 0, s.b, false) == ERR_OK) {
		f.local_port++;
		num++;
		alloc_fail_nth(1);
	}
	alloc_fail_nth(0);
	CU_ASSERT(num >= 64 && num <= 128);
	CU_ASSERT_EQUAL(dataplane_num_latches(s.bed.a.dp), num);
	tear_down();
}

/* L1: what control latches is so when the table is full, of connections or of itself: a flow does
 * not go by policy, which would have mallory have it. */
static void test_L1_full_table(void)
{
	const struct bed_options few = {.num_latches = 64, .latch_tcp = true};

	set_up(&few);
	take_over();
	for (uint16_t port = 1; port <= 100; port++)
		CU_ASSERT(tcp_in(2, port, SYN));
	for (uint16_t port = 1; port <= 300; port++)
		set(IPPROTO_UDP, port, port & 1 ? s.b : 0, !(port & 1));
	for (uint16_t port = 1; port <= 300; port++) {
		CU_ASSERT_EQUAL(udp_out(port), port & 1);
		CU_ASSERT_EQUAL(udp_in(1, port), port & 1);
		CU_ASSERT(!udp_in(2, port));
	}
	for (uint16_t port = 1; port <= 300; port++) {
		struct flow f = flow(IPPROTO_UDP, port);

		if (port % 3)
			set(IPPROTO_UDP, port, s.b, false);
		else
			dataplane_latch_end(s.bed.a.dp, &f, 0);
	}
	dataplane_reclaim(s.bed.a.dp);
	for (uint16_t port = 1; port <= 300; port++) {
		CU_ASSERT_EQUAL(info(IPPROTO_UDP, port).held, port % 3 != 0);
		CU_ASSERT_EQUAL(udp_out(port), port % 3 ? 1 : 2);
	}
	tear_down();
}

#define TIMES 20000

/* latches - a worker that latches the same flow again and again. */
static void *latches(void *arg)
{
	struct latch_table *t = arg;
	struct flow_id id = {.what = 9 | 80 << 16 | (uint64_t)IPPROTO_UDP << 32,
			     .addr = {UINT64_C(0x0100020a0100010a)}};
	struct latch *l;

	rcu_thread_register();
	while (!__atomic_load_n(&s.stop, __ATOMIC_ACQUIRE)) {
		(void)!latch_enter(t, &l, &id, latch_word(s.m, 0), 0, 0);
		l = latch_find(t, &id);
		if (l)
			(void)!latch_change(t, l, latch_word(s.m, 0), latch_word(s.m, LATCH_F_UP));
		rcu_quiescent();
	}
	rcu_thread_unregister();
	return NULL;
}

/* placed - the flow could be latched in a place of the table; it is not any more. */
static bool placed(const struct flow *f)
{
	enum err e;

	alloc_fail_nth(1);
	e = dataplane_latch_set(s.bed.a.dp, f, 0, s.b, false);
	alloc_fail_nth(0);
	if (e == ERR_OK)
		dataplane_latch_end(s.bed.a.dp, f, 0);
	dataplane_reclaim(s.bed.a.dp);
	return e == ERR_OK;
}

/* leave_one_place - for this flow, which workers may take as well. */
static void leave_one_place(const struct flow *f)
{
	struct flow other = flow(IPPROTO_UDP, 1000);

	while (placed(f)) {
		CU_ASSERT_EQUAL_FATAL(dataplane_latch_set(s.bed.a.dp, &other, 0, s.b, false),
				      ERR_OK);
		other.local_port++;
	}
	while (!placed(f)) {
		other.local_port--;
		CU_ASSERT_FATAL(other.local_port >= 1000);
		dataplane_latch_end(s.bed.a.dp, &other, 0);
		dataplane_reclaim(s.bed.a.dp);
	}
}

static void while_workers_latch(const struct bed_options *options)
{
	struct flow f = flow(IPPROTO_UDP, 9);
	uint32_t wrong = 0;
	pthread_t worker;

	set_up(options);
	if (options)
		leave_one_place(&f);
	s.stop = false;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&worker, NULL, latches, s.bed.a.dp->latches), 0);
	for (int i = 0; i < TIMES; i++) {
		wrong += dataplane_latch_set(s.bed.a.dp, &f, 0, 0, true) != ERR_OK;
		wrong += !info(IPPROTO_UDP, 9).shut;
		wrong += dataplane_latch_set(s.bed.a.dp, &f, 0, s.b, false) != ERR_OK;
		wrong += info(IPPROTO_UDP, 9).token != s.b;
		dataplane_latch_end(s.bed.a.dp, &f, 0);
		dataplane_reclaim(s.bed.a.dp);
	}
	__atomic_store_n(&s.stop, true, __ATOMIC_RELEASE);
	pthread_join(worker, NULL);
	CU_ASSERT_EQUAL(wrong, 0);
	tear_down();
}

/* L1: whatever workers do, what control latches is latched so; also in a table that is full. */
static void test_L1_while_workers_latch(void)
{
	static const struct bed_options few = {.num_latches = 64};

	while_workers_latch(NULL);
	while_workers_latch(&few);
}

/* ---- TCP, latched at its SYN -------------------------------------------------------------------
 */

static void test_D4_tcp_server(void)
{
	set_up(&latching);
	CU_ASSERT(tcp_in(1, 9, SYN));
	CU_ASSERT_EQUAL(info(IPPROTO_TCP, 9).token, s.b);
	take_over();
	CU_ASSERT_EQUAL(tcp_out(9, SYN | ACK), 1); /* and not as the policy would now */
	CU_ASSERT(tcp_in(1, 9, ACK));
	CU_ASSERT(!tcp_in(2, 9, ACK));
	CU_ASSERT(!tcp_in(2, 9, SYN));
	CU_ASSERT(!tcp_in(2, 9, RST));
	CU_ASSERT_EQUAL(bed_dropped(&s.bed.a, DROP_LATCH), 3);
	CU_ASSERT_EQUAL(tcp_out(9, ACK), 1);
	CU_ASSERT(!info(IPPROTO_TCP, 9).late);
	CU_ASSERT(!info(IPPROTO_TCP, 9).held);
	tear_down();
}

static void test_D4_tcp_client(void)
{
	set_up(&latching);
	take_over();
	CU_ASSERT_EQUAL(tcp_out(9, SYN), 2);
	CU_ASSERT_EQUAL(info(IPPROTO_TCP, 9).token, s.m);
	CU_ASSERT(!tcp_in(1, 9, SYN | ACK));
	CU_ASSERT(tcp_in(2, 9, SYN | ACK));
	CU_ASSERT_EQUAL(tcp_out(9, ACK), 2);
	dataplane_policy_remove(s.bed.a.dp, s.policy);
	CU_ASSERT_EQUAL(tcp_out(9, ACK), 2);
	CU_ASSERT_EQUAL(tcp_out(9, SYN), 1); /* a new one, which goes by today's policy */
	CU_ASSERT_EQUAL(info(IPPROTO_TCP, 9).token, s.b);
	tear_down();
}

/* Who began a connection that was there before is not known. */
static void test_D4_late(void)
{
	set_up(&latching);
	CU_ASSERT(tcp_in(1, 9, ACK));
	CU_ASSERT_EQUAL(info(IPPROTO_TCP, 9).token, s.b);
	CU_ASSERT(info(IPPROTO_TCP, 9).late);
	take_over();
	CU_ASSERT(!tcp_in(2, 9, ACK));
	CU_ASSERT(tcp_in(1, 9, SYN)); /* in its midst that is no beginning */
	CU_ASSERT(info(IPPROTO_TCP, 9).late);
	CU_ASSERT(tcp_in(1, 9, RST));
	CU_ASSERT(info(IPPROTO_TCP, 9).ends);
	CU_ASSERT(tcp_in(1, 9, SYN));
	CU_ASSERT(!info(IPPROTO_TCP, 9).late);
	tear_down();
}

static void pass_time(uint64_t seconds)
{
	for (uint64_t t = 0; t < seconds; t++) {
		s.bed.now += NS_PER_S;
		bed_turn(&s.bed);
		dataplane_latch_sweep(s.bed.a.dp, s.bed.now);
		dataplane_reclaim(s.bed.a.dp);
	}
}

/* What is half open goes when nobody answers; what is up stays, and more so while it is in use. */
static void test_sweep(void)
{
	set_up(&latching);
	CU_ASSERT(tcp_in(1, 8, SYN)); /* never answered */
	CU_ASSERT(tcp_in(1, 9, SYN));
	CU_ASSERT(tcp_in(1, 9, ACK));
	take_over();
	pass_time(50);
	CU_ASSERT_EQUAL(dataplane_num_latches(s.bed.a.dp), 2);
	pass_time(50);
	CU_ASSERT_EQUAL(dataplane_num_latches(s.bed.a.dp), 1);
	CU_ASSERT(tcp_in(1, 9, FIN | ACK));
	pass_time(50);
	CU_ASSERT(tcp_in(1, 9, ACK)); /* half closed, but alive */
	pass_time(50);
	CU_ASSERT_EQUAL(info(IPPROTO_TCP, 9).token, s.b);
	CU_ASSERT(!tcp_in(2, 9, SYN));
	pass_time(50);
	CU_ASSERT_EQUAL(dataplane_num_latches(s.bed.a.dp), 0);
	CU_ASSERT(tcp_in(2, 9, SYN));
	tear_down();
}

static void test_held_stays(void)
{
	set_up(&latching);
	CU_ASSERT(tcp_in(1, 9, SYN));
	set(IPPROTO_TCP, 9, s.b, false);
	take_over();
	CU_ASSERT(tcp_in(1, 9, RST));
	CU_ASSERT_EQUAL(tcp_out(9, SYN), 1);
	pass_time(100);
	CU_ASSERT(info(IPPROTO_TCP, 9).held);
	CU_ASSERT(!tcp_in(2, 9, SYN));
	tear_down();
}

/* A class that is forgotten takes its connections along: its handle will be another's. */
static void test_class_forgotten(void)
{
	struct auth_proof_params p;
	uint32_t handle;

	set_up(&latching);
	p = *auth_proof_params(s.mallory);
	CU_ASSERT(tcp_in(1, 8, SYN));
	take_over();
	CU_ASSERT(tcp_in(2, 9, SYN));
	dataplane_child_remove(s.bed.a.dp, 2, CHILD_BOTH);
	CU_ASSERT_EQUAL(info(IPPROTO_TCP, 9).token, s.m);
	for (uint32_t i = 0; i < 3 * CLASS_REST && info(IPPROTO_TCP, 9).token; i++) {
		store_be32(p.peer.data, i);
		CU_ASSERT_EQUAL(class_get(s.bed.a.dp->classes, &handle, &p, 0), ERR_OK);
		class_put(s.bed.a.dp->classes, handle);
	}
	CU_ASSERT_EQUAL(info(IPPROTO_TCP, 9).token, 0);
	CU_ASSERT_EQUAL(info(IPPROTO_TCP, 8).token, s.b);
	tear_down();
}

/* Without room a connection is not latched, and nobody is told whose it is; it is not refused. */
static void test_no_room(void)
{
	const struct bed_options few = {.num_latches = 64, .latch_tcp = true};

	set_up(&few);
	for (uint16_t port = 1; port <= 200; port++)
		CU_ASSERT(tcp_in(1, port, SYN));
	CU_ASSERT(dataplane_num_latches(s.bed.a.dp) <= 128);
	CU_ASSERT_EQUAL(info(IPPROTO_TCP, 200).token, 0);
	tear_down();
}

/* unreachable - an ICMP error to A about its datagram from this port, which it quotes. */
static size_t unreachable(uint8_t *buf, uint16_t port)
{
	uint8_t ours[BED_MAX_PACKET];
	size_t len = bed_udp4(buf, false, 80, port, 0, 28);

	CU_ASSERT(udp4(ours, true, port) >= 28);
	buf[9] = IPPROTO_ICMP;
	memset(buf + 20, 0, 8);
	buf[20] = buf[21] = 3;
	memcpy(buf + 28, ours, 28);
	return len;
}

static size_t unreachable6(uint8_t *buf, uint16_t port)
{
	uint8_t ours[BED_MAX_PACKET];
	size_t len = bed_udp6(buf, false, 80, port, 0, 56);

	CU_ASSERT(bed_udp6(ours, true, port, 80, 0, 12) >= 48);
	buf[6] = IPPROTO_DSTOPTS; /* in front, so that it is looked for */
	memset(buf + 40, 0, 16);
	buf[40] = IPPROTO_ICMPV6;
	buf[42] = 1; /* PadN of four bytes */
	buf[43] = 4;
	buf[48] = 1;
	buf[49] = 4;
	memcpy(buf + 56, ours, 48);
	return len;
}

/* What another peer says of a latched flow does not reach the host, however often. */
static void test_L2_icmp_errors(void)
{
	uint8_t buf[BED_MAX_PACKET];
	size_t len = unreachable(buf, 9);
	struct flow f = flow(IPPROTO_UDP, 9);

	set_up(NULL);
	take_over();
	CU_ASSERT(comes_in(2, buf, len));
	set(IPPROTO_UDP, 9, s.b, false);
	CU_ASSERT(!comes_in(2, buf, len));
	CU_ASSERT(!comes_in(2, buf, len));
	CU_ASSERT_EQUAL(bed_dropped(&s.bed.a, DROP_LATCH), 2);
	len = unreachable(buf, 10);
	CU_ASSERT(comes_in(2, buf, len)); /* of another flow */
	len = unreachable(buf, 9);
	CU_ASSERT(!comes_in(2, buf, len));
	dataplane_policy_remove(s.bed.a.dp, s.policy);
	CU_ASSERT(comes_in(1, buf, len));
	len = unreachable6(buf, 9);
	CU_ASSERT(comes_in(1, buf, len));
	f.local = ip_addr_v6(buf + 24);
	f.remote = ip_addr_v6(buf + 8);
	CU_ASSERT_EQUAL(dataplane_latch_set(s.bed.a.dp, &f, 0, s.m, false), ERR_OK);
	CU_ASSERT(!comes_in(1, buf, len));
	CU_ASSERT(!comes_in(1, buf, len));
	tear_down();
}

static void test_ipv6(void)
{
	struct flow f = {.local_port = 9, .remote_port = 80, .proto = IPPROTO_UDP};
	uint8_t buf[BED_MAX_PACKET];
	size_t len = bed_udp6(buf, false, 80, 9, 0, 12);

	set_up(NULL);
	f.local = ip_addr_v6(buf + 24);
	f.remote = ip_addr_v6(buf + 8);
	CU_ASSERT(comes_in(1, buf, len));
	CU_ASSERT_EQUAL(dataplane_latch_set(s.bed.a.dp, &f, 0, s.m, false), ERR_OK);
	CU_ASSERT(!comes_in(1, buf, len));
	CU_ASSERT(comes_in(2, buf, len));
	tear_down();
}

/* ---- listeners --------------------------------------------------------------------------------
 */

static void listen_for(const uint32_t *tokens, uint32_t num, uint32_t methods, uint8_t quality)
{
	struct listener_params l = {.number = 77, .methods = methods, .quality = quality};

	l.local = flow(IPPROTO_UDP, 9);
	l.local.remote = (struct ip_addr){0};
	l.local.remote_port = 0;
	l.named = tokens != NULL;
	l.tokens = tokens;
	l.num_tokens = num;
	CU_ASSERT_EQUAL(dataplane_listeners_set(s.bed.a.dp, &l, 1), ERR_OK);
}

static void test_listener_names_a_peer(void)
{
	struct dp_event ev = {0};

	set_up(NULL);
	take_over();
	CU_ASSERT(udp_in(2, 9));
	listen_for(&s.b, 1, UINT32_MAX, 0);
	CU_ASSERT(!udp_in(2, 9));
	CU_ASSERT_EQUAL(bed_dropped(&s.bed.a, DROP_LATCH), 1);
	dataplane_policy_remove(s.bed.a.dp, s.policy);
	CU_ASSERT(udp_in(1, 9));
	take_over();
	while (ev.kind != DP_EVENT_SPAWNED && bed_event(&s.bed.a, &ev))
		;
	CU_ASSERT_EQUAL(ev.kind, DP_EVENT_SPAWNED);
	CU_ASSERT_EQUAL(ev.listener, 77);
	CU_ASSERT_EQUAL(ev.token, s.b);
	CU_ASSERT_EQUAL(ev.flow.remote_port, 80);
	CU_ASSERT_EQUAL(info(IPPROTO_UDP, 9).listener, 77);
	CU_ASSERT_EQUAL(udp_out(9), 1);
	CU_ASSERT_EQUAL(dataplane_listeners_set(s.bed.a.dp, NULL, 0), ERR_OK);
	CU_ASSERT(!udp_in(2, 9)); /* the flow is latched for its life */
	CU_ASSERT(udp_in(2, 10));
	tear_down();
}

/* A connection of a listener's is watched to its end, also when control has taken it over. */
static void test_listeners_connection_ends(void)
{
	struct listener_params l = {.number = 77, .methods = UINT32_MAX};
	struct flow f = flow(IPPROTO_TCP, 9);

	set_up(&latching);
	l.local = (struct flow){.local = f.local, .local_port = 9, .proto = IPPROTO_TCP};
	CU_ASSERT_EQUAL(dataplane_listeners_set(s.bed.a.dp, &l, 1), ERR_OK);
	CU_ASSERT(tcp_in(1, 9, SYN));
	set(IPPROTO_TCP, 9, s.b, false);
	CU_ASSERT(info(IPPROTO_TCP, 9).held);
	CU_ASSERT_EQUAL(tcp_out(9, SYN | ACK), 1);
	CU_ASSERT(tcp_in(1, 9, ACK));
	pass_time(200);
	CU_ASSERT(!dataplane_latch_over(s.bed.a.dp, &f, 0, s.bed.now));
	CU_ASSERT(tcp_in(1, 9, FIN | ACK));
	CU_ASSERT(info(IPPROTO_TCP, 9).ends && info(IPPROTO_TCP, 9).held);
	CU_ASSERT(!dataplane_latch_over(s.bed.a.dp, &f, 0, s.bed.now));
	pass_time(100);
	CU_ASSERT(dataplane_latch_over(s.bed.a.dp, &f, 0, s.bed.now));
	CU_ASSERT(info(IPPROTO_TCP, 9).held); /* it is control's to end it */
	tear_down();
}

static void test_listener_demands_quality(void)
{
	set_up(NULL);
	listen_for(NULL, 0, 1u << AUTH_METHOD_PKIX_INLINE, 0);
	CU_ASSERT(!udp_in(1, 9));
	listen_for(NULL, 0, 1u << AUTH_METHOD_PSK, CLASS_Q_COMPRESS);
	CU_ASSERT(!udp_in(1, 9));
	CU_ASSERT_EQUAL(udp_out(9), 0);
	listen_for(NULL, 0, 1u << AUTH_METHOD_PSK, CLASS_Q_PRIVACY | CLASS_Q_REPLAY);
	take_over();
	CU_ASSERT_EQUAL(udp_out(9), 2);
	CU_ASSERT(udp_in(2, 9));
	CU_ASSERT(!udp_in(1, 9));                      /* the flow is the one's to whom we spoke */
	listen_for((uint32_t[]){0}, 0, UINT32_MAX, 0); /* nobody that is known */
	pass_time(400);
	CU_ASSERT(!udp_in(1, 9) && !udp_in(2, 9));
	tear_down();
}

static const struct tap_test tests[] = {
	TAP_TEST(test_L1_nothing_passes_before),
	TAP_TEST(test_L2_another_peer),
	TAP_TEST(test_L2_fragments_out),
	TAP_TEST(test_L3_congruent_sas),
	TAP_TEST(test_L6_ends),
	TAP_TEST(test_L5_policy_beside),
	TAP_TEST(test_L10_before_bypass),
	TAP_TEST(test_bounds),
	TAP_TEST(test_L1_full_table),
	TAP_TEST(test_L1_while_workers_latch),
	TAP_TEST(test_D4_tcp_server),
	TAP_TEST(test_D4_tcp_client),
	TAP_TEST(test_D4_late),
	TAP_TEST(test_sweep),
	TAP_TEST(test_held_stays),
	TAP_TEST(test_class_forgotten),
	TAP_TEST(test_no_room),
	TAP_TEST(test_L2_icmp_errors),
	TAP_TEST(test_ipv6),
	TAP_TEST(test_listener_names_a_peer),
	TAP_TEST(test_listeners_connection_ends),
	TAP_TEST(test_listener_demands_quality),
};

TAP_MAIN("dataplane/latches", tests)
