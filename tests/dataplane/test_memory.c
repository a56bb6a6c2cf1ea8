/* SPDX-License-Identifier: Apache-2.0 */
/* The memory driver: frames, addresses, bounds. */
#include "drivers/memory.h"

#include <poll.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/counter.h"
#include "dataplane/pool.h"
#include "tests/tap/tap.h"

static const struct memory_params outer = {.role = PORT_OUTER, .num_frames = 4, .frame_len = 100};

static bool readable(const struct driver *d)
{
	struct pollfd p = {.fd = d->ops->fd(d), .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static struct path_addr some_path(void)
{
	struct path_addr p = {.encap = ENCAP_UDP};

	CU_ASSERT_EQUAL(ip_addr_parse(&p.local.addr, "192.0.2.1"), ERR_OK);
	CU_ASSERT_EQUAL(ip_addr_parse(&p.remote.addr, "192.0.2.2"), ERR_OK);
	p.local.port = 1;
	p.remote.port = 2;
	return p;
}

/* take - a packet of the pool, which must have one. */
static struct packet *take(struct pool *pool)
{
	struct packet *p = packet_get(pool);

	if (!p)
		abort();
	return p;
}

static void send_one(struct driver *d, struct pool *pool, uint32_t len, const struct path_addr *to)
{
	struct pktvec v = {.num = 0};
	struct packet *p = take(pool);

	memset(p->data, 7, len);
	p->len = len;
	p->to = to;
	pktvec_push(&v, p);
	d->ops->tx(d, &v);
	CU_ASSERT_EQUAL(v.num, 0);
}

static void test_pair_exchanges_addresses(void)
{
	struct path_addr to = some_path();
	struct pool *pool = pool_new(8, 200);
	struct pktvec v = {.num = 0};
	struct driver *a, *b;

	CU_ASSERT_PTR_NOT_NULL_FATAL(pool);
	CU_ASSERT_EQUAL_FATAL(memory_open_pair(&a, &b, &outer), ERR_OK);
	CU_ASSERT(!readable(b));
	send_one(a, pool, 50, &to);
	CU_ASSERT(readable(b));
	CU_ASSERT_EQUAL(b->ops->rx(b, pool, &v), 1);
	CU_ASSERT_EQUAL(v.pkt[0]->len, 50);
	CU_ASSERT_EQUAL(memcmp(&v.pkt[0]->from.local, &to.remote, sizeof(to.remote)), 0);
	CU_ASSERT_EQUAL(memcmp(&v.pkt[0]->from.remote, &to.local, sizeof(to.local)), 0);
	CU_ASSERT_EQUAL(v.pkt[0]->from.encap, ENCAP_UDP);
	packet_put(v.pkt[0]);
	v.num = 0;
	CU_ASSERT_EQUAL(b->ops->rx(b, pool, &v), 0);
	CU_ASSERT(!readable(b));
	a->ops->close(a);
	b->ops->close(b); /* in any order */
	CU_ASSERT_EQUAL(pool_num_free(pool), 8);
	pool_free(pool);
}

static void test_bounds_are_counted(void)
{
	struct path_addr to = some_path();
	struct pool *pool = pool_new(8, 60);
	struct pktvec v = {.num = 0};
	struct driver *a, *b;

	CU_ASSERT_PTR_NOT_NULL_FATAL(pool);
	CU_ASSERT_EQUAL_FATAL(memory_open_pair(&a, &b, &outer), ERR_OK);
	send_one(a, pool, 101, &to); /* longer than a frame */
	CU_ASSERT_EQUAL(counter_get(&a->stats.tx_error), 1);
	for (int i = 0; i < 6; i++)
		send_one(a, pool, i == 0 ? 61 : 60, &to);
	CU_ASSERT_EQUAL(counter_get(&a->stats.tx_full), 2);
	CU_ASSERT_EQUAL(counter_get(&a->stats.tx_packets), 4);
	CU_ASSERT_EQUAL(b->ops->rx(b, pool, &v), 3); /* the first is longer than our buffers */
	CU_ASSERT_EQUAL(counter_get(&b->stats.rx_error), 1);
	CU_ASSERT_EQUAL(counter_get(&b->stats.rx_packets), 3);
	CU_ASSERT_EQUAL(counter_get(&b->stats.rx_bytes), 180);
	pool->ops->put(pool, v.pkt, v.num);
	a->ops->close(a);
	b->ops->close(b);
	pool_free(pool);
}

/* What finds no buffer stays on the wire. */
static void test_no_buffer(void)
{
	struct pool *pool = pool_new(1, 60);
	struct pktvec v = {.num = 0};
	struct memory_port *far;
	struct driver *d;

	CU_ASSERT_PTR_NOT_NULL_FATAL(pool);
	CU_ASSERT_EQUAL_FATAL(memory_open(&d, &far, &outer), ERR_OK);
	for (int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(memory_inject(far, "x", 1, NULL), ERR_OK);
	CU_ASSERT_EQUAL(memory_inject(far, "x", 1, NULL), ERR_FULL);
	for (int i = 0; i < 4; i++) {
		v.num = 0;
		CU_ASSERT_EQUAL(d->ops->rx(d, pool, &v), 1);
		pool->ops->put(pool, v.pkt, v.num);
	}
	memory_close_far(far);
	d->ops->close(d);
	memory_close_far(NULL);
	pool_free(pool);
}

static void test_memory_short(void)
{
	struct driver *a, *b;
	uint32_t failed = 0;
	enum err e;

	do {
		alloc_fail_nth(failed + 1);
		e = memory_open_pair(&a, &b, &outer);
		alloc_fail_nth(0);
		CU_ASSERT(e == ERR_OK || e == ERR_NOMEM);
		failed += e != ERR_OK;
	} while (e != ERR_OK && failed < 100);
	CU_ASSERT(failed >= 5);
	CU_ASSERT_EQUAL_FATAL(e, ERR_OK);
	a->ops->close(a);
	b->ops->close(b);
}

static void test_pool(void)
{
	struct packet *p[5];
	struct pool *pool = pool_new(4, 100);

	CU_ASSERT_PTR_NOT_NULL_FATAL(pool);
	CU_ASSERT_EQUAL(pool->ops->get(pool, p, 5), 4);
	CU_ASSERT_PTR_NULL(packet_get(pool));
	for (int i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL(packet_headroom(p[i]), PACKET_HEADROOM);
		CU_ASSERT_EQUAL(packet_tailroom(p[i]), 100 + PACKET_TAILROOM);
		CU_ASSERT_EQUAL((uintptr_t)p[i]->buf % CACHE_LINE, 0);
		memset(p[i]->buf, i, p[i]->cap); /* a sanitizer would see an overlap with the end */
		p[i]->data = p[i]->buf;
		p[i]->len = 5;
		p[i]->token = 9;
	}
	for (int i = 0; i < 4; i++)
		CU_ASSERT(p[i]->buf[0] == i && p[i]->buf[p[i]->cap - 1] == i);
	pool->ops->put(pool, p, 4);
	p[0] = take(pool); /* reset */
	CU_ASSERT(p[0]->len == 0 && p[0]->token == 0 && packet_headroom(p[0]) == PACKET_HEADROOM);
	packet_put(p[0]);
	pool_free(pool);
	pool_free(NULL);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_pair_exchanges_addresses),
	TAP_TEST(test_bounds_are_counted),
	TAP_TEST(test_no_buffer),
	TAP_TEST(test_memory_short),
	TAP_TEST(test_pool),
};

TAP_MAIN("dataplane/memory", tests)
