/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker's thread asks for packets: what its epoll says is ready, poll-mode ports always,
 * and nothing else. Drivers that count how often they are asked; what they give is of no policy and
 * dropped. */
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/dataplane.h"
#include "dataplane/pool.h"
#include "dataplane/state.h"
#include "tests/tap/tap.h"

#define SOURCES     3
#define TIME_OUT_NS (5 * NS_PER_S)

/* struct fake - sources[i] (or fds[0], of a driver that names none) is readable as long as have[i]
 * packets wait there; poll-mode: fds[0] is -1. */
struct fake {
	struct driver driver;
	int fds[SOURCES];
	uint32_t have[SOURCES];       /* atomic */
	uint32_t num_rx, num_rx_from; /* atomic */
	struct driver_ready last;
	uint32_t looks; /* atomic: num_looks when rx was called for the last time with packets there
			 */
};

/* wake_fd - reads of which are counted. */
static int wake_fd = -1;
static uint32_t wake_reads; /* atomic */

/* read - in place of libc's, for all of this program. */
ssize_t read(int fd, void *buf, size_t len)
{
	if (fd == __atomic_load_n(&wake_fd, __ATOMIC_RELAXED))
		__atomic_fetch_add(&wake_reads, 1, __ATOMIC_RELAXED);
	return syscall(SYS_read, fd, buf, len);
}

static uint32_t num_looks; /* atomic: at what is ready, without waiting */

/* epoll_wait - the same. */
int epoll_wait(int epfd, struct epoll_event *events, int max, int timeout_ms)
{
	if (timeout_ms == 0)
		__atomic_fetch_add(&num_looks, 1, __ATOMIC_RELAXED);
	return epoll_pwait(epfd, events, max, timeout_ms, NULL);
}

static struct fake *fake_of(const struct driver *d)
{
	return container_of((struct driver *)(uintptr_t)d, struct fake, driver);
}

/* give - what waits at source i, as far as it fits. */
static uint32_t give(struct fake *f, uint32_t i, struct pool *pool, struct pktvec *out)
{
	static const uint8_t packet[20] = {0x45, 0, 0, 20};
	uint64_t rung;
	uint32_t num = 0;

	while (__atomic_load_n(&f->have[i], __ATOMIC_ACQUIRE) && pktvec_room(out)) {
		struct packet *p = packet_get(pool);

		memcpy(p->data, packet, sizeof(packet));
		p->len = sizeof(packet);
		pktvec_push(out, p);
		num++;
		if (__atomic_sub_fetch(&f->have[i], 1, __ATOMIC_ACQ_REL) == 0 && f->fds[i] >= 0)
			CU_ASSERT_EQUAL(read(f->fds[i], &rung, sizeof(rung)), sizeof(rung));
	}
	return num;
}

static uint32_t rx(struct driver *d, struct pool *pool, struct pktvec *out)
{
	struct fake *f = fake_of(d);

	__atomic_fetch_add(&f->num_rx, 1, __ATOMIC_RELAXED);
	if (__atomic_load_n(&f->have[0], __ATOMIC_RELAXED))
		__atomic_store_n(&f->looks, __atomic_load_n(&num_looks, __ATOMIC_RELAXED),
				 __ATOMIC_RELAXED);
	return give(f, 0, pool, out);
}

static uint32_t rx_from(struct driver *d, const struct driver_ready *ready, struct pool *pool,
			struct pktvec *out)
{
	struct fake *f = fake_of(d);
	uint32_t num = 0;

	__atomic_fetch_add(&f->num_rx_from, 1, __ATOMIC_RELAXED);
	f->last = *ready;
	for (uint32_t i = 0; i < SOURCES; i++) {
		if (ready->any >> i & 1)
			num += give(f, i, pool, out);
		/* Dealt with: it is an ordinary one from now on. */
		if (ready->failed >> i & 1)
			dup2(f->fds[0], f->fds[i]);
	}
	return num;
}

static void tx(struct driver *d, struct pktvec *v)
{
	(void)d;
	while (v->num)
		packet_put(v->pkt[--v->num]);
}

static int fd(const struct driver *d)
{
	return fake_of(d)->fds[0];
}

static int source(const struct driver *d, uint32_t i)
{
	return i < SOURCES ? fake_of(d)->fds[i] : -1;
}

static void close_fake(struct driver *d)
{
	for (uint32_t i = 0; i < SOURCES; i++) {
		if (fake_of(d)->fds[i] >= 0)
			close(fake_of(d)->fds[i]);
	}
}

static const struct driver_ops one_fd = {
	.name = "fake", .rx = rx, .tx = tx, .fd = fd, .close = close_fake};

static const struct driver_ops many = {
	.name = "fake",
	.rx = rx,
	.tx = tx,
	.fd = fd,
	.source = source,
	.rx_from = rx_from,
	.close = close_fake,
};

/* struct stand - one worker, with two ports of one descriptor, and a third one. */
struct stand {
	struct dataplane *dp;
	struct fake a, b, c;
};

static void attach(struct stand *s, struct fake *f, const struct driver_ops *ops, int num_fds)
{
	uint16_t port;

	*f = (struct fake){.driver = {.ops = ops, .role = PORT_INNER, .mtu = 1400}};
	for (int i = 0; i < SOURCES; i++)
		f->fds[i] = i < num_fds ? eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) : -1;
	CU_ASSERT_EQUAL_FATAL(dataplane_attach(s->dp, &port, &f->driver), ERR_OK);
}

static void begin(struct stand *s, const struct driver_ops *third, int num_fds)
{
	const struct dataplane_config config = {.num_packets = 256, .flow_cache_len = 64};

	CU_ASSERT_EQUAL_FATAL(dataplane_new(&s->dp, &config), ERR_OK);
	attach(s, &s->a, &one_fd, 1);
	attach(s, &s->b, &one_fd, 1);
	attach(s, &s->c, third, num_fds);
	__atomic_store_n(&wake_reads, 0, __ATOMIC_RELAXED);
}

static void start(struct stand *s)
{
	CU_ASSERT_EQUAL_FATAL(dataplane_start(s->dp), ERR_OK);
	__atomic_store_n(&wake_fd, s->dp->workers[0]->wake_fd, __ATOMIC_RELAXED);
}

static void stop(struct stand *s)
{
	__atomic_store_n(&wake_fd, -1, __ATOMIC_RELAXED);
	dataplane_stop(s->dp);
}

static void offer(struct fake *f, uint32_t i, uint32_t num)
{
	uint64_t one = 1;

	__atomic_fetch_add(&f->have[i], num, __ATOMIC_RELEASE);
	if (f->fds[i] >= 0)
		CU_ASSERT_EQUAL(write(f->fds[i], &one, sizeof(one)), sizeof(one));
}

static void rest(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 2 * NS_PER_MS}, NULL);
}

/* wait_until - something was counted so often, and the worker has had time to go on. */
static void wait_until(const uint32_t *counted, uint32_t num)
{
	uint64_t end = clock_now_ns() + TIME_OUT_NS;

	while (__atomic_load_n(counted, __ATOMIC_RELAXED) < num && clock_now_ns() < end)
		rest();
	for (int i = 0; i < 5; i++)
		rest();
}

/* wait_for - num packets have come, and the worker has had time to ask for more. */
static void wait_for(const struct stand *s, uint64_t num)
{
	uint64_t end = clock_now_ns() + TIME_OUT_NS;
	struct dataplane_stats st;

	do {
		rest();
		dataplane_stats(s->dp, &st);
	} while (st.rx_packets < num && clock_now_ns() < end);
	CU_ASSERT_EQUAL(st.rx_packets, num);
	for (int i = 0; i < 5; i++)
		rest();
}

static void test_only_ready_ports(void)
{
	struct stand s;

	begin(&s, &one_fd, 1);
	start(&s);
	for (uint64_t i = 1; i <= 10; i++) {
		offer(&s.a, 0, 1);
		wait_for(&s, i);
	}
	offer(&s.c, 0, 1);
	wait_for(&s, 11);
	stop(&s);
	CU_ASSERT_EQUAL(s.a.num_rx, 10);
	CU_ASSERT_EQUAL(s.b.num_rx, 0);
	CU_ASSERT_EQUAL(s.c.num_rx, 1);
	dataplane_free(s.dp);
}

/* What a full vector leaves is fetched by the next turns, and no turn asks in vain. */
static void test_full_burst(void)
{
	struct stand s;

	begin(&s, &one_fd, 1);
	offer(&s.a, 0, 3 * PKTVEC_MAX + 1);
	offer(&s.b, 0, PKTVEC_MAX);
	start(&s);
	wait_for(&s, 4 * PKTVEC_MAX + 1);
	stop(&s);
	CU_ASSERT_EQUAL(s.a.num_rx, 4);
	CU_ASSERT_EQUAL(s.b.num_rx, 1);
	CU_ASSERT_EQUAL(s.c.num_rx, 0);
	dataplane_free(s.dp);
}

/* Also by a worker that never sleeps, which has others to look at as well. */
static void poll_mode(uint32_t idle_us)
{
	struct stand s;

	begin(&s, &one_fd, 0);
	s.c.driver.idle_us = idle_us;
	start(&s);
	wait_until(&s.c.num_rx, 11);
	offer(&s.c, 0, 1);
	wait_for(&s, 1);
	offer(&s.b, 0, 1);
	wait_for(&s, 2);
	stop(&s);
	CU_ASSERT(s.c.num_rx > 10);
	CU_ASSERT_EQUAL(s.a.num_rx, 0);
	CU_ASSERT_EQUAL(s.b.num_rx, 1);
	dataplane_free(s.dp);
}

static void test_poll_mode_is_always_asked(void)
{
	poll_mode(100);
	poll_mode(0);
}

/* While there is always more for it the others are asked for now and then. */
static void test_busy_poll_mode(void)
{
	const uint32_t turns = 400;
	struct stand s;

	begin(&s, &one_fd, 0);
	s.c.driver.idle_us = 100;
	offer(&s.c, 0, turns * PKTVEC_MAX);
	offer(&s.b, 0, 1);
	__atomic_store_n(&num_looks, 0, __ATOMIC_RELAXED);
	start(&s);
	wait_until(&s.c.num_rx, turns);
	uint32_t looks = __atomic_load_n(&s.c.looks, __ATOMIC_RELAXED);

	CU_ASSERT(looks >= turns / 40 && looks <= turns / 10);
	CU_ASSERT_EQUAL(s.b.num_rx, 1);
	wait_for(&s, (uint64_t)turns * PKTVEC_MAX + 1);
	stop(&s);
	dataplane_free(s.dp);
}

static void test_sources_are_told(void)
{
	struct stand s;
	int ends[2];

	begin(&s, &many, SOURCES);
	/* The end of a pipe that nobody reads is what has an error. */
	CU_ASSERT_FATAL(pipe(ends) == 0);
	CU_ASSERT_FATAL(dup2(ends[1], s.c.fds[2]) >= 0);
	close(ends[1]);
	start(&s);
	offer(&s.c, 1, 2);
	wait_for(&s, 2);
	stop(&s);
	CU_ASSERT_EQUAL(s.c.num_rx, 0);
	CU_ASSERT_EQUAL(s.c.num_rx_from, 1);
	CU_ASSERT_EQUAL(s.c.last.any, 1 << 1);
	CU_ASSERT_EQUAL(s.c.last.failed, 0);
	start(&s);
	close(ends[0]);
	wait_until(&s.c.num_rx_from, 2);
	stop(&s);
	CU_ASSERT_EQUAL(s.c.num_rx_from, 2);
	CU_ASSERT_EQUAL(s.c.last.any, 1 << 2);
	CU_ASSERT_EQUAL(s.c.last.failed, 1 << 2);
	CU_ASSERT_EQUAL(s.c.num_rx, 0);
	dataplane_free(s.dp);
}

/* The bell is not looked at unless it rang, and is silent again then. */
static void test_bell(void)
{
	struct stand s;

	begin(&s, &one_fd, 1);
	start(&s);
	for (uint64_t i = 1; i <= 5; i++) {
		offer(&s.a, 0, 1);
		wait_for(&s, i);
	}
	CU_ASSERT_EQUAL(__atomic_load_n(&wake_reads, __ATOMIC_RELAXED), 0);
	dataplane_changed(s.dp);
	wait_until(&wake_reads, 1);
	CU_ASSERT_EQUAL(__atomic_load_n(&wake_reads, __ATOMIC_RELAXED), 1);
	stop(&s);
	CU_ASSERT_EQUAL(s.a.num_rx, 5);
	dataplane_free(s.dp);
}

/* A loop of an embedder knows nothing of what is ready. */
static void test_poll_asks_all(void)
{
	struct stand s;

	begin(&s, &many, SOURCES);
	offer(&s.b, 0, 1);
	CU_ASSERT_EQUAL(dataplane_poll(s.dp, 1), 1);
	CU_ASSERT_EQUAL(dataplane_poll(s.dp, 1), 0);
	CU_ASSERT_EQUAL(s.a.num_rx, 2);
	CU_ASSERT_EQUAL(s.b.num_rx, 2);
	CU_ASSERT_EQUAL(s.c.num_rx, 2);
	CU_ASSERT_EQUAL(s.c.num_rx_from, 0);
	dataplane_free(s.dp);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_only_ready_ports),
	TAP_TEST(test_full_burst),
	TAP_TEST(test_poll_mode_is_always_asked),
	TAP_TEST(test_busy_poll_mode),
	TAP_TEST(test_sources_are_told),
	TAP_TEST(test_bell),
	TAP_TEST(test_poll_asks_all),
};

TAP_MAIN("dataplane/ready", tests)
