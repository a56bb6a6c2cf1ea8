/* SPDX-License-Identifier: Apache-2.0 */
/* Several workers, polled in turn: who owns an SA, what reaches the wrong worker, and where packets
 * go back to. */
#include <poll.h>

#include "base/alloc.h"
#include "tests/dataplane/testbed.h"
#include "tests/tap/tap.h"

static const struct bed_options four = {.open_wire = true, .num_workers = 4};

/* owner_wanted - what own() asks for: a worker's number and one more. */
static uint32_t owner_wanted;

static void own(struct child_params *p, bool is_a)
{
	(void)is_a;
	p->worker = owner_wanted;
}

static void pair_owned_by(struct bed *bed, uint64_t id, uint32_t worker)
{
	owner_wanted = worker + 1;
	bed_pair(bed, id, own);
}

static uint64_t handed(const struct side *s)
{
	struct dataplane_stats st;

	dataplane_stats(s->dp, &st);
	CU_ASSERT_EQUAL(st.handed_off, st.taken);
	return st.handed_off;
}

static void settle(struct bed *bed)
{
	while (dataplane_poll(bed->a.dp, bed->now) + dataplane_poll(bed->b.dp, bed->now))
		;
	bed_balance(&bed->a);
	bed_balance(&bed->b);
}

/* pools_full - every packet is where it came from. */
static void pools_full(const struct side *s)
{
	for (uint32_t i = 0; i < s->dp->num_workers; i++)
		CU_ASSERT_EQUAL(pool_num_free(s->dp->workers[i]->pool), 256);
}

/* Clear packets that any worker received leave by the owner, in the order of their queue. */
static void test_outbound_goes_to_the_owner(void)
{
	uint8_t in[BED_MAX_PACKET], out[BED_MAX_PACKET];
	struct bed bed;

	bed_init(&bed, &four);
	for (uint32_t owner = 0; owner < 4; owner++) {
		pair_owned_by(&bed, 1 + owner, owner);
		for (uint32_t from = 0; from < 4; from++) {
			bed_send_to(&bed.a, from, in, bed_udp4(in, true, 1, 2, 3, 40));
			settle(&bed);
			for (uint32_t by = 0; by < 4; by++)
				CU_ASSERT_EQUAL(bed_capture_from(&bed.a, by, out) != 0,
						by == owner);
			CU_ASSERT_EQUAL(load_be32(out + 4), from + 1);
		}
		CU_ASSERT_EQUAL(handed(&bed.a), 3 * (owner + 1));
	}
	pools_full(&bed.a);
	bed_fini(&bed);
}

/* ESP that any worker received is decrypted by the owner. */
static void test_inbound_goes_to_the_owner(void)
{
	uint8_t in[BED_MAX_PACKET], out[BED_MAX_PACKET];
	struct child_stats cs;
	struct bed bed;

	bed_init(&bed, &four);
	pair_owned_by(&bed, 1, 2);
	for (uint32_t i = 0; i < 8; i++) {
		size_t n = bed_udp4(in, true, 1, 2, i, 40);

		bed_send(&bed.a, in, n);
		settle(&bed);
		size_t len = bed_capture_from(&bed.a, 2, out);

		CU_ASSERT_NOT_EQUAL_FATAL(len, 0);
		bed_deliver_to(&bed.b, i % 4, out, len);
		settle(&bed);
		CU_ASSERT_EQUAL(bed_receive_from(&bed.b, 2, out), n);
		CU_ASSERT_EQUAL(memcmp(out, in, n), 0);
	}
	CU_ASSERT_EQUAL(handed(&bed.b), 6);
	CU_ASSERT_EQUAL(dataplane_child_stats(bed.b.dp, &cs, 1), ERR_OK);
	CU_ASSERT_EQUAL(cs.in_packets, 8);
	CU_ASSERT_EQUAL(bed_events(&bed.b, DP_EVENT_CHILD_USED), 1);
	CU_ASSERT_EQUAL(bed_events(&bed.b, DP_EVENT_MOVED), 0);
	pools_full(&bed.b);
	bed_fini(&bed);
}

/* A worker that has no queue of a port sends by one that has. */
static void test_ports_without_a_queue(void)
{
	const struct bed_options o = {
		.open_wire = true, .num_workers = 4, .num_inner = 1, .num_outer = 2};
	uint8_t in[BED_MAX_PACKET], out[BED_MAX_PACKET];
	struct bed bed;
	size_t n;

	bed_init(&bed, &o);
	for (uint32_t owner = 0; owner < 4; owner++) {
		pair_owned_by(&bed, 1 + owner, owner);
		n = bed_udp4(in, true, 1, 2, 3, 40);
		bed_send(&bed.a, in, n);
		settle(&bed);
		size_t len = bed_capture_from(&bed.a, owner % 2, out);

		CU_ASSERT_NOT_EQUAL_FATAL(len, 0);
		CU_ASSERT_EQUAL(bed_capture_from(&bed.a, 1 - owner % 2, in), 0);
		bed_deliver_to(&bed.b, 1, out, len);
		settle(&bed);
		CU_ASSERT_EQUAL(bed_receive(&bed.b, out), n);
	}
	/* A: to the owner (3), to the sender (2). B: to the owner (3), to the host's worker (3). */
	CU_ASSERT_EQUAL(handed(&bed.a), 5);
	CU_ASSERT_EQUAL(handed(&bed.b), 6);
	pools_full(&bed.a);
	pools_full(&bed.b);
	bed_fini(&bed);
}

/* A driver of one worker leaves packets to a port that only another worker has a queue of: the
 * books of both stay exact, and the address that the packet goes to may change meanwhile. */
static void test_left_to_another_workers_port(void)
{
	const struct bed_options o = {.open_wire = true, .num_workers = 2, .num_outer = 1};
	uint8_t out[BED_MAX_PACKET];
	struct path_addr to;
	struct driver *d;
	struct worker *w;
	struct bed bed;

	bed_init(&bed, &o);
	w = bed.a.dp->workers[1];
	CU_ASSERT_PTR_EQUAL(dataplane_sender(bed.a.dp, bed.a.outer, 0),
			    bed.a.dp->workers[0]->ports[bed.a.outer]);
	CU_ASSERT_PTR_NULL(dataplane_sender(bed.a.dp, bed.a.outer, 2));
	CU_ASSERT_PTR_NULL(dataplane_sender(bed.a.dp, 9, 0));
	d = dataplane_sender(bed.a.dp, bed.a.outer, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	for (uint32_t i = 0; i < 3; i++) {
		struct packet *p = packet_get(w->pool);
		struct pktvec v = {.num = 1, .pkt = {p}};

		to = bed.a.path;
		p->len = 40 + i;
		memset(p->data, 0x55, p->len);
		p->to = &to;
		/* It came by a port, and that one's tx, in a turn of this worker, goes on here. */
		counter_add(&w->count.rx, 1);
		counter_add(&w->count.tx, 1);
		bed.a.injected++;
		d->ops->tx(d, &v);
		CU_ASSERT_EQUAL(v.num, 0);
		handoff_notify(w);
		memset(&to, 0, sizeof(to));
		settle(&bed);
		CU_ASSERT_EQUAL(bed_capture_from(&bed.a, 0, out), 40 + i);
	}
	CU_ASSERT_EQUAL(handed(&bed.a), 3);
	pools_full(&bed.a);
	bed_fini(&bed);
}

/* The path may be moved, and its old address freed, while a packet is on its way to the sender. */
static void test_path_moves_on_the_way(void)
{
	const struct bed_options o = {.open_wire = true, .num_workers = 2, .num_outer = 1};
	uint8_t buf[BED_MAX_PACKET];
	struct path_addr moved;
	struct bed bed;

	bed_init(&bed, &o);
	pair_owned_by(&bed, 1, 1);
	bed_send_to(&bed.a, 1, buf, bed_udp4(buf, true, 1, 2, 3, 40));
	bed_turn_one(&bed, &bed.a); /* worker 0 was asked before worker 1 */
	CU_ASSERT_EQUAL(bed_capture(&bed.a, buf), 0);
	CU_ASSERT_EQUAL(dataplane_poll_next(bed.a.dp), 0);
	moved = bed.a.path;
	moved.remote.port = 1;
	CU_ASSERT_EQUAL(dataplane_pathset_move(bed.a.dp, bed.a.pathset, bed.a.outer, &moved),
			ERR_OK);
	dataplane_reclaim(bed.a.dp);
	settle(&bed);
	CU_ASSERT_NOT_EQUAL(bed_capture(&bed.a, buf), 0); /* which compares the addresses */
	CU_ASSERT_EQUAL(dataplane_poll_next(bed.a.dp), TIME_NEVER);
	bed_fini(&bed);
}

/* The SA goes, and its memory is freed, while packets are on their way to its worker. */
static void test_sa_goes_on_the_way(void)
{
	uint8_t buf[BED_MAX_PACKET], esp[BED_MAX_PACKET];
	struct bed bed;
	size_t len;

	bed_init(&bed, &four);
	pair_owned_by(&bed, 1, 0);
	bed_send(&bed.a, buf, bed_udp4(buf, true, 1, 2, 3, 40));
	settle(&bed);
	len = bed_capture(&bed.a, esp);
	bed_send_to(&bed.a, 3, buf, bed_udp4(buf, true, 1, 2, 3, 40));
	bed_deliver_to(&bed.b, 3, esp, len);
	bed_turn_one(&bed, &bed.a);
	bed_turn_one(&bed, &bed.b);
	dataplane_child_remove(bed.a.dp, 1, CHILD_BOTH);
	dataplane_child_remove(bed.b.dp, 1, CHILD_BOTH);
	dataplane_reclaim(bed.a.dp);
	dataplane_reclaim(bed.b.dp);
	settle(&bed);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_NO_SA), 1);
	CU_ASSERT_EQUAL(bed_events(&bed.a, DP_EVENT_ACQUIRE), 1); /* held where it was handed to */
	pair_owned_by(&bed, 2, 2);
	settle(&bed);
	CU_ASSERT_NOT_EQUAL(bed_capture_from(&bed.a, 2, buf), 0);
	pools_full(&bed.a);
	pools_full(&bed.b);
	bed_fini(&bed);
}

/* What waits at one worker goes to the owner when there is one. */
static void test_held_packets_go_to_the_owner(void)
{
	uint8_t buf[BED_MAX_PACKET];
	struct bed bed;

	bed_init(&bed, &four);
	for (uint32_t i = 0; i < 4; i++)
		bed_send_to(&bed.a, i, buf, bed_udp4(buf, true, 1, 2, i, 40));
	bed_turn_one(&bed, &bed.a);
	CU_ASSERT_EQUAL(bed_events(&bed.a, DP_EVENT_ACQUIRE), 4);
	CU_ASSERT_EQUAL(bed_capture(&bed.a, buf), 0);
	pair_owned_by(&bed, 1, 3);
	settle(&bed);
	for (uint32_t i = 0; i < 4; i++)
		CU_ASSERT_NOT_EQUAL(bed_capture_from(&bed.a, 3, buf), 0);
	CU_ASSERT_EQUAL(handed(&bed.a), 3);
	bed_fini(&bed);
}

/* port_53 - selectors that ask for ports: fragments have to be put together first. */
static struct ts port_53[2]; /* A's, B's */

static void only_port_53(struct child_params *p, bool is_a)
{
	p->worker = owner_wanted;
	p->local = &port_53[!is_a];
	p->remote = &port_53[is_a];
	p->num_local = p->num_remote = 1;
}

/* What was put together at one worker, in a buffer for the longest packet, goes to the owner, and
 * the buffer home. */
static void test_joined_packets_go_to_the_owner(void)
{
	uint8_t whole[BED_MAX_PACKET], part[BED_MAX_PACKET];
	struct bed bed;
	size_t n, free_before;

	bed_init(&bed, &four);
	port_53[0] = bed.a.local4;
	port_53[1] = bed.b.local4;
	port_53[1].proto = 17;
	port_53[1].port_lo = port_53[1].port_hi = 53;
	owner_wanted = 1;
	bed_pair(&bed, 1, only_port_53);
	free_before = pool_num_free(bed.a.dp->workers[3]->reasm.pool);
	n = bed_udp4(whole, true, 1, 53, 3, 1200);
	memcpy(part, whole, n);
	store_be16(part + 2, 20 + 800);
	store_be16(part + 6, 0x2000);
	bed_send_to(&bed.a, 3, part, 820);
	store_be16(part + 2, (uint16_t)(n - 800));
	store_be16(part + 6, 100);
	memcpy(part + 20, whole + 820, n - 820);
	bed_send_to(&bed.a, 3, part, n - 800);
	settle(&bed);
	CU_ASSERT_EQUAL(handed(&bed.a), 1);
	CU_ASSERT_NOT_EQUAL(bed_capture_from(&bed.a, 0, part), 0);
	CU_ASSERT_EQUAL(pool_num_free(bed.a.dp->workers[3]->reasm.pool), free_before);
	pools_full(&bed.a);
	bed_fini(&bed);
}

/* More than one turn takes: nothing is lost or overtaken, and what does not fit is counted. */
static void test_full_ring(void)
{
	const struct bed_options o = {.open_wire = true, .num_workers = 2, .handoff_packets = 128};
	uint8_t buf[BED_MAX_PACKET];
	struct bed bed;
	uint32_t num = 0;

	bed_init(&bed, &o);
	pair_owned_by(&bed, 1, 0);
	rcu_thread_register();
	for (uint32_t i = 0; i < 192; i++)
		bed_send_to(&bed.a, 1, buf, bed_udp4(buf, true, 1, 2, i, 40));
	for (uint32_t i = 0; i < 3; i++)
		worker_turn(bed.a.dp->workers[1], NULL, bed.now); /* the other one does not come */
	rcu_thread_unregister();
	bed_balance(&bed.a);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_HANDOFF_FULL), 64);
	CU_ASSERT_EQUAL(dataplane_poll_next(bed.a.dp), 0);
	CU_ASSERT_EQUAL(dataplane_poll(bed.a.dp, bed.now), 64); /* one vector a turn */
	settle(&bed);
	while (bed_capture(&bed.a, buf))
		CU_ASSERT_EQUAL(load_be32(buf + 4), ++num);
	CU_ASSERT_EQUAL(num, 128);
	pools_full(&bed.a);
	bed_fini(&bed);
}

static void test_freed_on_the_way(void)
{
	uint8_t buf[BED_MAX_PACKET];
	struct bed bed;

	bed_init(&bed, &four);
	pair_owned_by(&bed, 1, 0);
	for (uint32_t i = 1; i < 4; i++)
		bed_send_to(&bed.a, i, buf, bed_udp4(buf, true, 1, 2, 3, 40));
	bed_turn_one(&bed, &bed.a);
	CU_ASSERT_EQUAL(bed_capture(&bed.a, buf), 0);
	bed_fini(&bed); /* a pool asserts that all packets are back */
}

/* loads - how many pairs each worker of A owns. */
static bool loads(const struct bed *bed, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	const uint32_t *num = bed->a.dp->num_pairs;

	return num[0] == a && num[1] == b && num[2] == c && num[3] == d;
}

/* Groups are spread, and a re-keyed pair goes where its predecessor is. */
static void test_choice_of_owner(void)
{
	struct child_params p;
	uint32_t first;
	struct bed bed;

	bed_init(&bed, &four);
	first = bed.a.group;
	bed_pair(&bed, 1, NULL);
	CU_ASSERT(loads(&bed, 1, 0, 0, 0));
	CU_ASSERT_EQUAL(dataplane_group_add(bed.a.dp, &bed.a.group), ERR_OK);
	bed_pair(&bed, 2, NULL);
	CU_ASSERT(loads(&bed, 1, 1, 0, 0));
	bed_pair(&bed, 3, NULL);
	CU_ASSERT(loads(&bed, 1, 2, 0, 0)); /* the group of pair 2 */
	dataplane_child_remove(bed.a.dp, 2, CHILD_BOTH);
	pair_owned_by(&bed, 4, 3); /* a sibling somewhere else */
	CU_ASSERT(loads(&bed, 1, 1, 0, 1));
	dataplane_child_remove(bed.a.dp, 3, CHILD_BOTH);
	dataplane_child_remove(bed.a.dp, 4, CHILD_IN);
	CU_ASSERT(loads(&bed, 1, 0, 0, 1));
	dataplane_child_remove(bed.a.dp, 4, CHILD_OUT);
	CU_ASSERT(loads(&bed, 1, 0, 0, 0));
	bed_pair(&bed, 5, NULL);
	CU_ASSERT(loads(&bed, 1, 1, 0, 0));
	p = bed_child_params(&bed.a, 6);
	p.spi_in = p.spi_out = 1000;
	p.worker = 5;
	CU_ASSERT_EQUAL(dataplane_child_add(bed.a.dp, &p), ERR_NOT_FOUND);
	CU_ASSERT(loads(&bed, 1, 1, 0, 0));
	bed.a.group = first;
	bed_fini(&bed);
}

/* named - the worker that an SPI of A's names. */
static uint32_t named(struct bed *bed, uint32_t spi)
{
	return dataplane_spi_worker(spi, bed->a.dp->num_workers);
}

/* An SPI names the worker that will own the pair, so that its packets can be brought there at once;
 * negotiations that have not come to an end count. */
static void test_spi_names_the_owner(void)
{
	struct child_stats cs;
	uint32_t spi[4], other;
	struct bed bed;

	bed_init(&bed, &four);
	for (uint32_t i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL_FATAL(dataplane_spi_reserve(bed.a.dp, &spi[i]), ERR_OK);
		CU_ASSERT_EQUAL(named(&bed, spi[i]), i);
	}
	dataplane_spi_release(bed.a.dp, spi[2]);
	bed_pair(&bed, 1, NULL);
	CU_ASSERT_EQUAL(named(&bed, bed.a.spi_in), 2);
	CU_ASSERT_EQUAL(dataplane_child_stats(bed.a.dp, &cs, 1), ERR_OK);
	CU_ASSERT_EQUAL(cs.worker, 2);
	/* As asked for: for the pair that takes its place. */
	CU_ASSERT_EQUAL(dataplane_spi_reserve_at(bed.a.dp, &other, cs.worker + 1), ERR_OK);
	CU_ASSERT_EQUAL(named(&bed, other), 2);
	dataplane_spi_release(bed.a.dp, other);
	CU_ASSERT_EQUAL(dataplane_spi_reserve_at(bed.a.dp, &other, 5), ERR_NOT_FOUND);
	for (uint32_t i = 0; i < 4; i++) {
		if (i != 2)
			dataplane_spi_release(bed.a.dp, spi[i]);
		CU_ASSERT_EQUAL(bed.a.dp->num_reserved[i], 0);
	}
	bed_fini(&bed);
}

/* However many workers there are, a few bits of the SPI are the owner's number: a device that
 * compares them under a mask needs no division. */
static void test_spi_names_the_owner_by_bits(void)
{
	static const uint32_t nums[] = {1, 2, 3, 5, 12};

	for (size_t n = 0; n < ARRAY_LEN(nums); n++) {
		const uint32_t num = nums[n];
		const struct dataplane_config config = {.num_workers = num, .num_packets = 1};
		uint32_t mask = dataplane_spi_mask(num), spi = 0;
		struct dataplane *dp;

		CU_ASSERT_EQUAL_FATAL(dataplane_new(&dp, &config), ERR_OK);
		for (uint32_t i = 0; i < 2 * num; i++) {
			CU_ASSERT_EQUAL_FATAL(dataplane_spi_reserve_at(dp, &spi, i % num + 1),
					      ERR_OK);
			CU_ASSERT_EQUAL((spi & mask) >> DATAPLANE_SPI_SHIFT, i % num);
			CU_ASSERT_EQUAL(dataplane_spi_worker(spi, num), i % num);
		}
		/* What a peer makes up names one as well. */
		CU_ASSERT(dataplane_spi_worker(UINT32_MAX, num) < num);
		dataplane_free(dp);
	}
}

/* What each worker did is the whole. */
static void test_counters_by_worker(void)
{
	struct dataplane_worker_stats w;
	struct dataplane_stats all, sum = {0};
	uint8_t in[BED_MAX_PACKET];
	uint64_t drops = 0;
	struct bed bed;

	bed_init(&bed, &four);
	pair_owned_by(&bed, 1, 2);
	for (uint32_t from = 0; from < 4; from++)
		for (uint32_t n = 0; n <= from; n++)
			bed_send_to(&bed.a, from, in, bed_udp4(in, true, 1, 2, 3, 40));
	in[0] = 0;
	bed_send_to(&bed.a, 3, in, 20); /* no IP */
	settle(&bed);
	dataplane_stats(bed.a.dp, &all);
	for (uint32_t i = 0; i < 4; i++) {
		CU_ASSERT_FATAL(dataplane_worker_stats(bed.a.dp, &w, i));
		CU_ASSERT_EQUAL(w.rx_packets, i + 1 + (i == 3));
		CU_ASSERT_EQUAL(w.handed_off, i == 2 ? 0 : i + 1);
		CU_ASSERT_EQUAL(w.taken, i == 2 ? 7 : 0);
		CU_ASSERT_EQUAL(w.tx_packets, i == 2 ? 10 : 0);
		CU_ASSERT_EQUAL(w.drops, i == 3);
		CU_ASSERT_EQUAL(w.num_pairs, i == 2);
		sum.rx_packets += w.rx_packets;
		sum.tx_packets += w.tx_packets;
		drops += w.drops;
	}
	CU_ASSERT(sum.rx_packets == all.rx_packets && sum.tx_packets == all.tx_packets);
	CU_ASSERT_EQUAL(drops, bed_drops(&bed.a));
	CU_ASSERT_FALSE(dataplane_worker_stats(bed.a.dp, &w, 4));
	bed_fini(&bed);
}

/* struct span - bytes that a worker writes while packets pass. */
struct span {
	uintptr_t from, to; /* lines */
	uint32_t worker;
};

static struct span span(const void *p, size_t len, uint32_t worker)
{
	uintptr_t at = (uintptr_t)p;

	CU_ASSERT_EQUAL(at % CACHE_LINE, 0);
	return (struct span){at / CACHE_LINE, (at + len - 1) / CACHE_LINE, worker};
}

/* What one worker writes for each packet lies in no cache line that another one writes too: two
 * cores would take it from each other again and again. */
static void test_no_line_is_written_by_two(void)
{
	struct span spans[64];
	struct dataplane *dp;
	size_t num = 0;
	struct bed bed;

	bed_init(&bed, &four);
	dp = bed.a.dp;
	for (uint32_t i = 0; i < 16; i++) {
		pair_owned_by(&bed, 1 + i, i % 4);
		const struct esp_sa *sa = slots_get(dp->sad, bed.a.spi_in);

		CU_ASSERT_FATAL(sa != NULL && sa->owner == i % 4);
		spans[num++] = span(sa, offsetof(struct esp_sa, own_key), sa->owner);
		spans[num++] = span(sa->replay,
				    sizeof(*sa->replay) +
					    (sa->replay->mask + 1) * sizeof(sa->replay->words[0]),
				    sa->owner);
	}
	for (uint32_t i = 0; i < 4; i++) {
		const struct worker *w = dp->workers[i];

		spans[num++] = span(w, sizeof(*w), i);
		spans[num++] = span(w->flows.entries, sizeof(*w->flows.entries), i);
	}
	for (size_t i = 0; i < num; i++)
		for (size_t j = 0; j < i; j++)
			CU_ASSERT(spans[i].worker == spans[j].worker ||
				  spans[i].from > spans[j].to || spans[j].from > spans[i].to);
	bed_fini(&bed);
}

static void test_refused(void)
{
	const struct memory_params inner = {.role = PORT_INNER};
	const struct memory_params outer = {.role = PORT_OUTER};
	struct memory_port *far[4];
	struct driver *d[4];
	struct dataplane *dp = NULL;
	uint32_t scope;
	uint16_t port = 9;

	CU_ASSERT_EQUAL(dataplane_new(&dp, &(struct dataplane_config){.num_workers = 65}),
			ERR_INVAL);
	CU_ASSERT_EQUAL_FATAL(dataplane_new(&dp, &(struct dataplane_config){.num_workers = 64,
									    .num_packets = 8,
									    .flow_cache_len = 64,
									    .handoff_packets = 2}),
			      ERR_OK);
	CU_ASSERT_EQUAL_FATAL(memory_open(&d[0], &far[0], &inner), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(memory_open(&d[1], &far[1], &outer), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_attach_queue(dp, 0, 1, d[0]), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(dataplane_attach(dp, &port, d[0]), ERR_OK);
	CU_ASSERT_EQUAL(port, 0);
	CU_ASSERT_EQUAL(dataplane_attach_queue(dp, 0, 64, d[1]), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(dataplane_attach_queue(dp, 0, 63, d[1]), ERR_INVAL);
	CU_ASSERT_EQUAL(dataplane_attach_queue(dp, 0, 0, d[0]), ERR_EXISTS);
	CU_ASSERT_EQUAL_FATAL(memory_open(&d[2], &far[2], &inner), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(memory_open(&d[3], &far[3], &inner), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_vif_add(dp, &scope, &port, d[2]), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_attach_queue(dp, port, 1, d[3]), ERR_INVAL);
	d[1]->ops->close(d[1]);
	d[3]->ops->close(d[3]);
	CU_ASSERT_EQUAL(dataplane_poll(dp, NS_PER_S), 0);
	dataplane_free(dp);
	for (int i = 0; i < 4; i++)
		memory_close_far(far[i]);
}

/* IKE that any worker received reaches control, which answers by a worker that has the port. */
static void test_ike(void)
{
	uint8_t ike[40] = {0}, out[BED_MAX_PACKET];
	struct pollfd fd = {.events = POLLIN};
	struct dp_event ev[4];
	struct bed bed;

	bed_init(&bed, &four);
	fd.fd = dataplane_event_fd(bed.b.dp);
	for (uint32_t i = 0; i < 4; i++) {
		ike[4] = (uint8_t)i;
		bed_deliver_to(&bed.b, i, ike, sizeof(ike));
	}
	CU_ASSERT_EQUAL(poll(&fd, 1, 0), 0);
	bed_turn_one(&bed, &bed.b);
	for (uint32_t i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL(poll(&fd, 1, 0), 1);
		CU_ASSERT_FATAL(dataplane_event_next(bed.b.dp, &ev[i]));
		CU_ASSERT_EQUAL(ev[i].kind, DP_EVENT_IKE);
		CU_ASSERT_EQUAL(ev[i].bytes.p[0], i);
	}
	CU_ASSERT(!dataplane_event_next(bed.b.dp, &ev[0]));
	CU_ASSERT_EQUAL(poll(&fd, 1, 0), 0);
	for (uint32_t i = 0; i < 4; i++)
		dp_event_release(bed.b.dp, &ev[i]);
	CU_ASSERT_EQUAL(dataplane_ike_send(bed.b.dp, bed.b.outer, &bed.b.path, "ike", 3, false),
			ERR_OK);
	CU_ASSERT_EQUAL(dataplane_ike_send(bed.b.dp, 5, &bed.b.path, "ike", 3, false),
			ERR_NOT_FOUND);
	settle(&bed);
	CU_ASSERT_EQUAL(bed_capture(&bed.b, out), 7);
	pools_full(&bed.b);
	bed_fini(&bed);
}

/* Every allocation of a birth with several workers fails once. */
static void test_memory_short_at_start(void)
{
	const struct dataplane_config config = {
		.num_packets = 8, .flow_cache_len = 64, .num_workers = 3};
	struct dataplane *dp = NULL;
	uint32_t failed = 0;

	for (uint64_t n = 1;; n++) {
		alloc_fail_nth(n);
		enum err e = dataplane_new(&dp, &config);

		alloc_fail_nth(0);
		if (e == ERR_OK)
			break;
		CU_ASSERT(e == ERR_NOMEM || e == ERR_CRYPTO);
		failed++;
	}
	CU_ASSERT(failed > 45);
	dataplane_free(dp);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_outbound_goes_to_the_owner),
	TAP_TEST(test_inbound_goes_to_the_owner),
	TAP_TEST(test_ports_without_a_queue),
	TAP_TEST(test_left_to_another_workers_port),
	TAP_TEST(test_path_moves_on_the_way),
	TAP_TEST(test_sa_goes_on_the_way),
	TAP_TEST(test_held_packets_go_to_the_owner),
	TAP_TEST(test_joined_packets_go_to_the_owner),
	TAP_TEST(test_full_ring),
	TAP_TEST(test_freed_on_the_way),
	TAP_TEST(test_choice_of_owner),
	TAP_TEST(test_spi_names_the_owner),
	TAP_TEST(test_spi_names_the_owner_by_bits),
	TAP_TEST(test_counters_by_worker),
	TAP_TEST(test_no_line_is_written_by_two),
	TAP_TEST(test_refused),
	TAP_TEST(test_ike),
	TAP_TEST(test_memory_short_at_start),
};

TAP_MAIN("dataplane/workers", tests)
