/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay: a host between two that have ESP in UDP, which it hands on out of order. To each of them
 * it is the other one: what comes to its ports 500 and 4500 goes to the same port of the other.
 *
 * usage: relay [OPTION N]... LEFT LEFT-HOST RIGHT RIGHT-HOST   (until SIGTERM; prints its books)
 *   LEFT and RIGHT are its own addresses there
 *   --window N    a late datagram is behind at most N - 1 newer ones (64)
 *   --late N      one in N comes late; 0 = none
 *   --again N     one in N comes again, up to four windows later
 *   --forged N    in front of one in N goes one that differs in a bit behind its ESP header
 *   --lost N      one in N does not come
 *   --seed N
 *
 * IKE and keepalives it hands on as they are. What is late and nothing newer comes is handed on
 * after IDLE_MS. One thread; datagrams come and go in batches (recvmmsg, UDP_GRO; sendmmsg,
 * UDP_SEGMENT).
 */
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/addr.h"
#include "tests/relay/segments.h"

#define PORTS        2 /* 500 and 4500 */
#define IN_MSGS      16
#define MSG_LEN      65536
#define OUT_MSGS     64
#define OUT_SEGMENTS 512
#define MSG_SEGMENTS 60
#define MSG_PAYLOAD  60000
#define ESP_HEADER   8
#define BUFFER_LEN   (32 << 20)
#define IDLE_MS      3

/* struct datagram - one that waits, in memory of its own. */
struct datagram {
	size_t len;
	uint8_t bytes[];
};

/* struct output - what goes to one side, in order. `own` is freed when it went. */
struct output {
	int fd;
	uint32_t num;
	struct iovec part[OUT_SEGMENTS];
	struct datagram *own[OUT_SEGMENTS];
};

/* struct way - ESP in one direction; wheels of `places` each, by the number of a datagram. */
struct way {
	struct datagram **late_ones, **copies;
	uint32_t waiting;
	uint64_t in, out, late, again, forged, lost;
};

struct relay {
	uint32_t window, late, again, forged, lost; /* options */
	uint32_t places;
	uint64_t chance;
	int fd[PORTS][2]; /* to the left, to the right */
	struct way way[2];
	struct output output;
};

static volatile sig_atomic_t asked_to_end;

static void on_signal(int number)
{
	(void)number;
	asked_to_end = 1;
}

static void fail(const char *what)
{
	fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void *must_alloc(size_t len)
{
	void *p = calloc(1, len);

	if (!p)
		fail("memory");
	return p;
}

static uint32_t below(struct relay *r, uint32_t n)
{
	uint64_t x = r->chance++ * 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return (uint32_t)(x >> 32) % n;
}

static bool one_in(struct relay *r, uint32_t n)
{
	return n && below(r, n) == 0;
}

/* ---- sending --------------------------------------------------------------------------------- */

/* together - how many of the parts from `first` on are one message: all of one length but the last.
 */
static uint32_t together(const struct output *o, uint32_t first)
{
	size_t len = o->part[first].iov_len, all = len;
	uint32_t n = 1;

	while (first + n < o->num && n < MSG_SEGMENTS) {
		size_t next = o->part[first + n].iov_len;

		all += next;
		if (next > len || all > MSG_PAYLOAD)
			break;
		n++;
		if (next < len)
			break;
	}
	return n;
}

static void set_segment(struct msghdr *m, uint8_t *control, size_t len)
{
	uint16_t segment = (uint16_t)len;

	m->msg_control = control;
	m->msg_controllen = CMSG_SPACE(sizeof(segment));
	struct cmsghdr *c = CMSG_FIRSTHDR(m);

	c->cmsg_level = IPPROTO_UDP;
	c->cmsg_type = UDP_SEGMENT_OPTION;
	c->cmsg_len = CMSG_LEN(sizeof(segment));
	memcpy(CMSG_DATA(c), &segment, sizeof(segment));
}

static void send_all(int fd, struct mmsghdr *msgs, uint32_t num)
{
	for (uint32_t done = 0; done < num;) {
		int n = sendmmsg(fd, msgs + done, num - done, 0);

		if (n < 0 && errno == ECONNREFUSED)
			continue; /* of one before: nobody listens yet */
		if (n < 0 && errno != EINTR)
			fail("sendmmsg");
		done += n > 0 ? (uint32_t)n : 0;
	}
}

static void flush(struct output *o)
{
	alignas(struct cmsghdr) uint8_t control[OUT_MSGS][CMSG_SPACE(sizeof(uint16_t))];
	struct mmsghdr msgs[OUT_MSGS];
	uint32_t num = 0;

	for (uint32_t i = 0, n; i < o->num; i += n) {
		n = together(o, i);
		msgs[num] = (struct mmsghdr){.msg_hdr = {.msg_iov = &o->part[i], .msg_iovlen = n}};
		if (n > 1)
			set_segment(&msgs[num].msg_hdr, control[num], o->part[i].iov_len);
		if (++num == OUT_MSGS || i + n == o->num) {
			send_all(o->fd, msgs, num);
			num = 0;
		}
	}
	for (uint32_t i = 0; i < o->num; i++)
		free(o->own[i]);
	o->num = 0;
}

static void put(struct output *o, uint8_t *bytes, size_t len, struct datagram *own)
{
	if (o->num == OUT_SEGMENTS)
		flush(o);
	o->part[o->num] = (struct iovec){bytes, len};
	o->own[o->num++] = own;
}

/* ---- out of order ---------------------------------------------------------------------------- */

static struct datagram *copy_of(const uint8_t *bytes, size_t len)
{
	struct datagram *d = must_alloc(sizeof(*d) + len);

	d->len = len;
	memcpy(d->bytes, bytes, len);
	return d;
}

/* put_off - it goes `behind` datagrams after this one; false: that place is taken. */
static bool put_off(struct relay *r, struct way *w, struct datagram **wheel, uint32_t behind,
		    const uint8_t *bytes, size_t len)
{
	struct datagram **at = &wheel[(w->in + behind) % r->places];

	if (*at)
		return false;
	*at = copy_of(bytes, len);
	w->waiting++;
	return true;
}

static void turn(struct relay *r, struct way *w, struct datagram **at)
{
	if (!*at)
		return;
	put(&r->output, (*at)->bytes, (*at)->len, *at);
	*at = NULL;
	w->waiting--;
	w->out++;
}

static void forge(struct relay *r, struct way *w, const uint8_t *bytes, size_t len)
{
	struct datagram *d = copy_of(bytes, len);

	d->bytes[ESP_HEADER + below(r, (uint32_t)len - ESP_HEADER)] ^= (uint8_t)(1 << below(r, 8));
	put(&r->output, d->bytes, len, d);
	w->forged++;
	w->out++;
}

/* hand_on - one datagram of ESP. What is lost is of no use to a later forger either. */
static void hand_on(struct relay *r, struct way *w, uint8_t *bytes, size_t len)
{
	if (one_in(r, r->lost)) {
		w->lost++;
	} else {
		if (one_in(r, r->forged))
			forge(r, w, bytes, len);
		if (one_in(r, r->again) &&
		    put_off(r, w, w->copies, below(r, r->places), bytes, len))
			w->again++;
		if (one_in(r, r->late) &&
		    put_off(r, w, w->late_ones, 1 + below(r, r->window - 1), bytes, len)) {
			w->late++;
		} else {
			put(&r->output, bytes, len, NULL);
			w->out++;
		}
	}
	turn(r, w, &w->late_ones[w->in % r->places]);
	turn(r, w, &w->copies[w->in % r->places]);
	w->in++;
}

static void let_go(struct relay *r, uint32_t side)
{
	struct way *w = &r->way[side];

	r->output.fd = r->fd[1][!side];
	/* From the next place on: the oldest first, as if others had come. */
	for (uint64_t i = w->in; w->waiting && i < w->in + r->places; i++) {
		turn(r, w, &w->late_ones[i % r->places]);
		turn(r, w, &w->copies[i % r->places]);
	}
	flush(&r->output);
}

/* ---- receiving ------------------------------------------------------------------------------- */

static bool is_esp(const uint8_t *bytes, size_t len)
{
	static const uint8_t marker[4];

	return len > 2 * ESP_HEADER && memcmp(bytes, marker, sizeof(marker)) != 0;
}

static void take(struct relay *r, uint32_t port, uint32_t side, uint8_t *bytes, size_t len)
{
	if (port == 1 && is_esp(bytes, len))
		hand_on(r, &r->way[side], bytes, len);
	else
		put(&r->output, bytes, len, NULL);
}

/* receive - a batch; false: there was nothing. */
static bool receive(struct relay *r, uint32_t port, uint32_t side)
{
	static uint8_t buf[IN_MSGS][MSG_LEN];
	alignas(struct cmsghdr) uint8_t control[IN_MSGS][64];
	struct mmsghdr msgs[IN_MSGS];
	struct iovec iov[IN_MSGS];

	for (uint32_t i = 0; i < IN_MSGS; i++) {
		iov[i] = (struct iovec){buf[i], MSG_LEN};
		msgs[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov[i],
						       .msg_iovlen = 1,
						       .msg_control = control[i],
						       .msg_controllen = sizeof(control[i])}};
	}
	int n = recvmmsg(r->fd[port][side], msgs, IN_MSGS, MSG_DONTWAIT, NULL);

	r->output.fd = r->fd[port][!side];
	for (int i = 0; i < n; i++) {
		size_t len = msgs[i].msg_len, segment = segment_of(&msgs[i].msg_hdr, len);

		for (size_t at = 0; at < len; at += segment)
			take(r, port, side, buf[i] + at, len - at < segment ? len - at : segment);
	}
	flush(&r->output);
	return n > 0;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void set_int(int fd, int level, int option, int value)
{
	if (setsockopt(fd, level, option, &value, sizeof(value)))
		fail("setsockopt");
}

static int open_socket(const char *local, const char *remote, uint16_t port)
{
	struct endpoint ends[2] = {{.port = port}, {.port = port}};
	struct sockaddr_storage ss;

	if (ip_addr_parse(&ends[0].addr, local) || ip_addr_parse(&ends[1].addr, remote)) {
		fprintf(stderr, "relay: %s, %s: not addresses\n", local, remote);
		exit(2);
	}
	int fd = socket(ends[0].addr.family == IP_V6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);

	if (fd < 0)
		fail("socket");
	set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_LEN);
	set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, BUFFER_LEN);
	set_int(fd, IPPROTO_UDP, UDP_GRO_OPTION, 1);
	socklen_t len = endpoint_to_sockaddr(&ss, &ends[0]);

	if (bind(fd, (struct sockaddr *)&ss, len))
		fail(local);
	len = endpoint_to_sockaddr(&ss, &ends[1]);
	if (connect(fd, (struct sockaddr *)&ss, len))
		fail(remote);
	return fd;
}

static void run(struct relay *r)
{
	struct pollfd fds[2 * PORTS];

	for (uint32_t i = 0; i < 2 * PORTS; i++)
		fds[i] = (struct pollfd){.fd = r->fd[i / 2][i % 2], .events = POLLIN};
	while (!asked_to_end) {
		bool any = false;

		if (poll(fds, 2 * PORTS, IDLE_MS) < 0 && errno != EINTR)
			fail("poll");
		for (uint32_t i = 0; i < 2 * PORTS; i++)
			any |= receive(r, i / 2, i % 2);
		for (uint32_t side = 0; side < 2 && !any; side++)
			let_go(r, side);
	}
}

static void print_way(const char *name, const struct way *w)
{
	printf("\"%s\": {\"in\": %llu, \"out\": %llu, \"late\": %llu, \"again\": %llu, "
	       "\"forged\": %llu, \"lost\": %llu}",
	       name, (unsigned long long)w->in, (unsigned long long)w->out,
	       (unsigned long long)w->late, (unsigned long long)w->again,
	       (unsigned long long)w->forged, (unsigned long long)w->lost);
}

static void options_init(struct relay *r, int argc, char **argv)
{
	static const char *const names[] = {"window", "late", "again", "forged", "lost", "seed"};
	uint32_t values[] = {64, 0, 0, 0, 0, 1};
	struct option list[ARRAY_LEN(names) + 1] = {{0}};
	int c;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		list[i] = (struct option){names[i], required_argument, NULL, (int)i};
	while ((c = getopt_long(argc, argv, "", list, NULL)) >= 0 && c < (int)ARRAY_LEN(names))
		values[c] = (uint32_t)strtoul(optarg, NULL, 10);
	if (c >= 0 || argc - optind != 4 || values[0] < 2) {
		fputs("usage: relay [OPTION N]... LEFT LEFT-HOST RIGHT RIGHT-HOST\n", stderr);
		exit(2);
	}
	r->window = values[0];
	r->late = values[1];
	r->again = values[2];
	r->forged = values[3];
	r->lost = values[4];
	r->chance = (uint64_t)values[5] << 40;
	r->places = 4 * r->window;
}

int main(int argc, char **argv)
{
	static const uint16_t ports[PORTS] = {500, 4500};
	const struct sigaction end = {.sa_handler = on_signal};
	struct relay *r = must_alloc(sizeof(*r));

	options_init(r, argc, argv);
	for (uint32_t i = 0; i < 2; i++) {
		char **ends = argv + optind + 2 * i;

		for (uint32_t k = 0; k < PORTS; k++)
			r->fd[k][i] = open_socket(ends[0], ends[1], ports[k]);
		r->way[i].late_ones = must_alloc(r->places * sizeof(struct datagram *));
		r->way[i].copies = must_alloc(r->places * sizeof(struct datagram *));
	}
	sigaction(SIGTERM, &end, NULL);
	puts("ready");
	fflush(stdout);
	run(r);
	for (uint32_t i = 0; i < 2; i++)
		let_go(r, i);
	printf("{");
	print_way("left", &r->way[0]);
	printf(", ");
	print_way("right", &r->way[1]);
	printf("}\n");
	for (uint32_t i = 0; i < 2; i++) {
		free(r->way[i].late_ones);
		free(r->way[i].copies);
	}
	free(r);
	return 0;
}
