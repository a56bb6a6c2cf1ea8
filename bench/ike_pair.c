/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pair NUM INITIATOR.conf RESPONDER.conf - NUM handshakes one after the other between two engines
 * in this process, without sockets: what each side's own calls take, and what memory the
 * responder's SAs have in the end, all of which it keeps. Each handshake is between addresses of
 * its own, as those of that many hosts are; the initiator forgets everything after each thousand.
 * Then what strangers can make the responder do, with all those IKE SAs (ike_stranger.c).
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/ike_gen.h"

#define IN_FLIGHT 8
#define ROUND     1000 /* handshakes of one engine that begins them */

/* struct flying - a message on its way. */
struct flying {
	unsigned to;
	struct path_addr path; /* as who receives it sees it */
	size_t len;
	uint8_t bytes[4096];
};

/* struct world - two sides: 0 begins. */
struct world {
	struct side side[2];
	uint64_t spent_ns[2]; /* of processor time, in calls to each */
	uint64_t up[2], failed[2];
	struct flying flying[IN_FLIGHT];
	unsigned first, num;
	bool deaf; /* nothing flies any more, and what happens is of no interest */
};

static void send_message(struct side *s, const struct ike_action *a)
{
	struct world *w = s->ctx;
	struct flying *f = &w->flying[(w->first + w->num) % IN_FLIGHT];

	if (a->raw || w->deaf)
		return;
	if (w->num == IN_FLIGHT || a->bytes.len > sizeof(f->bytes))
		gen_must(ERR_LIMIT, "a message");
	w->num++;
	f->to = s == &w->side[0];
	f->path = a->path;
	f->path.local = a->path.remote;
	f->path.remote = a->path.local;
	f->len = a->bytes.len;
	memcpy(f->bytes, a->bytes.p, f->len);
}

static void tell(struct side *s, const struct ike_event *ev)
{
	struct world *w = s->ctx;
	const unsigned i = s == &w->side[1];

	if (w->deaf)
		return;
	w->up[i] += ev->kind == IKE_EVENT_IKE_UP;
	if (ev->kind == IKE_EVENT_FAILED && !w->failed[i]++)
		fprintf(stderr, "ike-gen: %s\n", ev->text);
}

/* Nanoseconds that this process had a processor: others use it, too. */
static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* RFC 2544's addresses, one of each half for each handshake. */
static struct endpoint place(unsigned half, uint32_t n)
{
	const uint8_t b[4] = {(uint8_t)(198), (uint8_t)(18 + half), (uint8_t)(n >> 8), (uint8_t)n};
	/* beyond 65,536 the second byte would repeat: 10/8 has more */
	const uint8_t more[4] = {10, (uint8_t)(half << 7 | n >> 16), (uint8_t)(n >> 8), (uint8_t)n};

	return (struct endpoint){.addr = ip_addr_v4(n < 65536 ? b : more), .port = 500};
}

static void deliver(struct world *w, const struct flying *f)
{
	const uint64_t now_ns = clock_now_ns(), before = cpu_ns();
	struct side *s = &w->side[f->to];

	ike_receive(s->e,
		    &(struct ike_datagram){.path = f->path, .bytes = bytes_of(f->bytes, f->len)},
		    now_ns);
	side_settle(s, now_ns);
	w->spent_ns[f->to] += cpu_ns() - before;
}

static void handshake(struct world *w, uint32_t n, const char *conn, const char *child)
{
	const struct ike_initiate_params p = {
		.conn = conn,
		.child = child,
		.path = {.local = place(0, n), .remote = place(1, n)}};
	const uint64_t now_ns = clock_now_ns(), before = cpu_ns();

	gen_must(ike_initiate(w->side[0].e, &p, now_ns), "initiate");
	side_settle(&w->side[0], now_ns);
	w->spent_ns[0] += cpu_ns() - before;
	while (w->num) {
		const struct flying f = w->flying[w->first];

		w->first = (w->first + 1) % IN_FLIGHT;
		w->num--;
		deliver(w, &f);
	}
}

/* Bytes of this process that are in memory. */
static uint64_t resident(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long size, pages = 0;

	if (!f || fscanf(f, "%lu %lu", &size, &pages) != 2)
		gen_must(ERR_SYS, "/proc/self/statm");
	fclose(f);
	return (uint64_t)pages * 4096;
}

static void renew(struct side *s)
{
	side_close(s);
	side_open(s);
}

/* What whoever has no IKE SA with the responder can make it do, with all those that it has. */
static struct strangers strangers(struct world *w, uint32_t num, const char *conn)
{
	const struct ike_initiate_params p = {
		.conn = conn, .path = {.local = place(0, num), .remote = place(1, num)}};
	static struct flying first;
	struct strangers out;

	renew(&w->side[0]);
	gen_must(ike_initiate(w->side[0].e, &p, clock_now_ns()), "initiate");
	side_settle(&w->side[0], clock_now_ns());
	first = w->flying[w->first];
	w->num = 0;
	w->deaf = true;
	strangers_measure(&out, &w->side[1], bytes_of(first.bytes, first.len));
	return out;
}

static void report(const struct world *w, uint32_t num, uint64_t before, uint64_t after,
		   uint64_t took_ns, const struct strangers *x)
{
	printf("{\"handshakes\": %u, \"up\": [%llu, %llu], \"children\": [%llu, %llu], "
	       "\"initiator_us\": %.2f, \"responder_us\": %.2f, \"seconds\": %.3f, "
	       "\"rss_before\": %llu, \"rss_after\": %llu, "
	       "\"strangers_us\": {\"refused\": %.2f, \"unknown\": %.2f, \"hint\": %.2f, "
	       "\"stray\": %.2f}}\n",
	       num, (unsigned long long)w->up[0], (unsigned long long)w->up[1],
	       (unsigned long long)w->side[0].children, (unsigned long long)w->side[1].children,
	       (double)w->spent_ns[0] / 1e3 / num, (double)w->spent_ns[1] / 1e3 / num,
	       (double)took_ns / 1e9, (unsigned long long)before, (unsigned long long)after,
	       x->refused_us, x->unknown_us, x->hint_us, x->stray_us);
}

int pair_run(int argc, char **argv)
{
	static struct world w;
	const struct conf_conn *conn;
	uint64_t before, after, began, took_ns;
	struct strangers others;
	uint32_t num;

	if (argc != 4 || (num = (uint32_t)atol(argv[1])) < 1 || num > 8000000) {
		fprintf(stderr, "usage: ike-gen pair NUM INITIATOR.conf RESPONDER.conf\n");
		return 2;
	}
	for (unsigned i = 0; i < 2; i++) {
		w.side[i] = (struct side){.conf = gen_conf(argv[2 + i]),
					  .send = send_message,
					  .tell = tell,
					  .ctx = &w};
		side_open(&w.side[i]);
	}
	conn = w.side[0].conf->conns[0];
	before = resident();
	began = gen_ns();
	for (uint32_t n = 0; n < num; n++) {
		if (n % ROUND == ROUND - 1)
			renew(&w.side[0]);
		handshake(&w, n, conn->name, conn->num_children ? conn->children[0].name : NULL);
	}
	took_ns = gen_ns() - began;
	malloc_trim(0);
	after = resident();
	others = strangers(&w, num, conn->name);
	report(&w, num, before, after, took_ns, &others);
	for (unsigned i = 0; i < 2; i++) {
		side_close(&w.side[i]);
		conf_put(w.side[i].conf);
	}
	return w.up[0] == num && w.up[1] == num ? 0 : 1;
}
