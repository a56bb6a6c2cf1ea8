/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire: a cable between two interfaces, for ARP and all other frames, which has a rate, a delay,
 * losses and whatever else line.h tells of, in each direction its own.
 *
 * usage: wire LEFT RIGHT CONTROL [SEED]       (until SIGTERM; prints what it counted)
 *   LEFT and RIGHT are interfaces in its namespace, each one end of a pair; "left" is the direction
 *   of what comes from LEFT. CONTROL is a datagram socket in the file system that it makes; each
 *   datagram to it is answered with one:
 *     orders of line_order()   "ok", or "error: " and why: then nothing was changed
 *     seed N                   "ok"; chance begins again in both directions
 *     counts                   the same JSON that is printed at the end
 *
 * What a host left to its device to do (checksums, cutting) comes and goes as it is, with the
 * header that says so (PACKET_VNET_HDR). A frame's time is the one at which the kernel had it: that
 * this program came late to it does not change when it goes on. tests/relay/relay is the one that
 * counts in datagrams instead of time, and knows ESP.
 */
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/relay/line.h"
#include "tests/relay/underway.h"

#define BATCH      64
#define FRAME_MAX  (65536 + 128)
#define BUFFER_LEN (32 << 20)
#define VNET_LEN   sizeof(struct virtio_net_hdr)
#define ANSWER_LEN 2048

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

/* struct end - an interface; line: of what comes from it. */
struct end {
	int fd;
	struct line line;
	uint64_t missed;  /* the kernel had no room for them */
	uint64_t refused; /* the interface did not take them */
	uint64_t uncut;   /* of those that came, longer than one packet */
};

struct wire {
	struct end end[2]; /* left, right */
	int control;
	struct underway underway;
	uint64_t tardy_ns; /* the most by which one went later than it was due */
	uint64_t dropped;  /* too many were under way */
};

static volatile sig_atomic_t asked_to_end;

static void on_signal(int number)
{
	(void)number;
	asked_to_end = 1;
}

static void fail(const char *what)
{
	fprintf(stderr, "wire: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* ---- receiving ---------------------------------------------------------------------------------
 */

/* arrived - when the kernel had it; by the clock of `now`, and not later than that. */
static uint64_t arrived(struct msghdr *m, uint64_t now)
{
	struct timespec t;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&t, CMSG_DATA(c), sizeof(t));
		uint64_t age = clock_ns(CLOCK_REALTIME) -
			       ((uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec);

		return age < NS_PER_S ? now - age : now; /* the clock was set */
	}
	return now;
}

static void take(struct wire *w, uint32_t side, const uint8_t *bytes, size_t len, uint64_t at)
{
	struct end *e = &w->end[side];
	uint64_t due[LINE_COPIES];
	uint32_t copies = line_take(&e->line, due, len - VNET_LEN, at);

	e->uncut += ((const struct virtio_net_hdr *)bytes)->gso_type != VIRTIO_NET_HDR_GSO_NONE;
	for (uint32_t i = 0; i < copies; i++)
		w->dropped += !underway_add(&w->underway, due[i], !side, bytes, len);
}

/* receive - a batch; false: there was nothing, or the interface is down. */
static bool receive(struct wire *w, uint32_t side)
{
	static alignas(16) uint8_t buf[BATCH][FRAME_MAX];
	alignas(struct cmsghdr) uint8_t control[BATCH][64];
	static uint64_t last[2];
	struct mmsghdr msgs[BATCH];
	struct iovec iov[BATCH];

	for (uint32_t i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){buf[i], FRAME_MAX};
		msgs[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov[i],
						       .msg_iovlen = 1,
						       .msg_control = control[i],
						       .msg_controllen = sizeof(control[i])}};
	}
	int n = recvmmsg(w->end[side].fd, msgs, BATCH, MSG_DONTWAIT, NULL);
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	for (int i = 0; i < n; i++) {
		uint64_t at = arrived(&msgs[i].msg_hdr, now);

		if (at < last[side])
			at = last[side];
		last[side] = at;
		if (msgs[i].msg_len > VNET_LEN)
			take(w, side, buf[i], msgs[i].msg_len, at);
	}
	return n == BATCH;
}

/* ---- sending -----------------------------------------------------------------------------------
 */

static void send_all(struct end *to, struct mmsghdr *msgs, uint32_t num)
{
	for (uint32_t done = 0; done < num;) {
		int n = sendmmsg(to->fd, msgs + done, num - done, 0);

		if (n < 0 && errno == EINTR)
			continue;
		to->refused += n < 0;
		done += n < 0 ? 1 : (uint32_t)n;
	}
}

/* release - those that are due now, in their order. */
static void release(struct wire *w)
{
	struct underway *u = &w->underway;

	while (underway_due(u) <= clock_ns(CLOCK_MONOTONIC)) {
		uint64_t now = clock_ns(CLOCK_MONOTONIC);
		uint32_t to = u->heap[0].to, num = 0;
		struct frame *own[BATCH];
		struct mmsghdr msgs[BATCH];
		struct iovec iov[BATCH];

		while (num < BATCH && underway_due(u) <= now && u->heap[0].to == to) {
			struct place p = underway_take(u);

			if (now - p.due > w->tardy_ns)
				w->tardy_ns = now - p.due;
			own[num] = p.frame;
			iov[num] = (struct iovec){p.frame->bytes, p.frame->len};
			msgs[num] = (struct mmsghdr){
				.msg_hdr = {.msg_iov = &iov[num], .msg_iovlen = 1}};
			num++;
		}
		send_all(&w->end[to], msgs, num);
		for (uint32_t i = 0; i < num; i++)
			free(own[i]);
	}
}

/* ---- what it is told, and tells ----------------------------------------------------------------
 */

static void look_at_socket(struct end *e)
{
	struct tpacket_stats s;
	socklen_t len = sizeof(s);

	if (getsockopt(e->fd, SOL_PACKET, PACKET_STATISTICS, &s, &len) == 0)
		e->missed += s.tp_drops; /* since it was asked last */
}

static void write_counts(struct wire *w, char out[static ANSWER_LEN])
{
	static const char *const names[2] = {"left", "right"};
	size_t at = 0;

	for (uint32_t i = 0; i < 2; i++) {
		struct end *e = &w->end[i];
		const struct line_counts *c = &e->line.counts;
		const struct {
			const char *name;
			uint64_t value;
		} list[] = {{"in", c->in},
			    {"in_len", c->in_len},
			    {"out", c->out},
			    {"out_len", c->out_len},
			    {"lost", c->lost},
			    {"full", c->full},
			    {"swallowed", c->swallowed},
			    {"again", c->again},
			    {"late", c->late},
			    {"missed", e->missed},
			    {"uncut", e->uncut},
			    {"refused", w->end[!i].refused}};

		look_at_socket(e);
		at += (size_t)snprintf(out + at, ANSWER_LEN - at, "%s\"%s\": {", i ? ", " : "{",
				       names[i]);
		for (size_t k = 0; k < ARRAY_LEN(list); k++)
			at += (size_t)snprintf(out + at, ANSWER_LEN - at, "%s\"%s\": %llu",
					       k ? ", " : "", list[k].name,
					       (unsigned long long)list[k].value);
		at += (size_t)snprintf(out + at, ANSWER_LEN - at, "}");
	}
	snprintf(out + at, ANSWER_LEN - at,
		 ", \"under_way\": %u, \"dropped\": %llu, \"tardy_ns\": %llu}", w->underway.num,
		 (unsigned long long)w->dropped, (unsigned long long)w->tardy_ns);
}

static void seed(struct wire *w, uint64_t number)
{
	for (uint32_t i = 0; i < 2; i++)
		line_seed(&w->end[i].line, 2 * number + i);
}

static const char *order(struct wire *w, const char *text)
{
	struct line_rules rules[2] = {w->end[0].line.rules, w->end[1].line.rules};
	const char *wrong = line_order(rules, text);

	for (uint32_t i = 0; i < 2; i++)
		w->end[i].line.rules = rules[i];
	return wrong;
}

static void obey(struct wire *w)
{
	char text[1024], answer[ANSWER_LEN] = "ok";
	struct sockaddr_un from;
	socklen_t from_len = sizeof(from);
	ssize_t n = recvfrom(w->control, text, sizeof(text) - 1, MSG_DONTWAIT,
			     (struct sockaddr *)&from, &from_len);
	const char *wrong = NULL;

	if (n < 0)
		return;
	text[n] = '\0';
	if (strcmp(text, "counts") == 0)
		write_counts(w, answer);
	else if (strncmp(text, "seed ", 5) == 0)
		seed(w, strtoull(text + 5, NULL, 10));
	else if ((wrong = order(w, text)))
		snprintf(answer, sizeof(answer), "error: %s", wrong);
	/* Who is gone is not told. */
	(void)!sendto(w->control, answer, strlen(answer), MSG_DONTWAIT, (struct sockaddr *)&from,
		      from_len);
}

/* ---- the whole ---------------------------------------------------------------------------------
 */

static void set_int(int fd, int level, int option, int value)
{
	if (setsockopt(fd, level, option, &value, sizeof(value)))
		fail("setsockopt");
}

static int open_interface(const char *name)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(ETH_P_ALL),
				 .sll_ifindex = (int)if_nametoindex(name)};
	struct packet_mreq all = {.mr_ifindex = at.sll_ifindex, .mr_type = PACKET_MR_PROMISC};
	int fd = socket(AF_PACKET, SOCK_RAW, 0); /* bound before it receives anything */

	if (!at.sll_ifindex || fd < 0)
		fail(name);
	set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_LEN);
	set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, BUFFER_LEN);
	set_int(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
	set_int(fd, SOL_PACKET, PACKET_VNET_HDR, 1);
	set_int(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
	if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all)) ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)))
		fail(name);
	return fd;
}

static int open_control(const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	if (strlen(path) >= sizeof(at.sun_path)) {
		errno = ENAMETOOLONG;
		fail(path);
	}
	memcpy(at.sun_path, path, strlen(path) + 1);
	unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)))
		fail(path);
	return fd;
}

/* wait_for_more - until a frame is due, something came, or it is to end. */
static void wait_for_more(struct wire *w, const sigset_t *mask)
{
	struct pollfd fds[3] = {{.fd = w->end[0].fd, .events = POLLIN},
				{.fd = w->end[1].fd, .events = POLLIN},
				{.fd = w->control, .events = POLLIN}};
	uint64_t now = clock_ns(CLOCK_MONOTONIC), due = underway_due(&w->underway);
	uint64_t wait = due > now ? due - now : 0;
	struct timespec t = {.tv_sec = (time_t)(wait / NS_PER_S),
			     .tv_nsec = (long)(wait % NS_PER_S)};

	if (ppoll(fds, ARRAY_LEN(fds), due < UINT64_MAX ? &t : NULL, mask) < 0 && errno != EINTR)
		fail("ppoll");
	if (fds[2].revents)
		obey(w); /* before what came meanwhile is looked at */
	for (uint32_t side = 0; side < 2; side++)
		while (fds[side].revents && receive(w, side))
			release(w);
}

int main(int argc, char **argv)
{
	const struct sigaction end = {.sa_handler = on_signal};
	static struct wire w;
	char text[ANSWER_LEN];
	sigset_t block, mask;

	if (argc != 4 && argc != 5) {
		fputs("usage: wire LEFT RIGHT CONTROL [SEED]\n", stderr);
		return 2;
	}
	sigemptyset(&block);
	sigaddset(&block, SIGTERM);
	sigprocmask(SIG_BLOCK, &block, &mask);
	sigaction(SIGTERM, &end, NULL);
	prctl(PR_SET_TIMERSLACK, 1);
	for (uint32_t i = 0; i < 2; i++)
		w.end[i].fd = open_interface(argv[1 + i]);
	w.control = open_control(argv[3]);
	if (!underway_init(&w.underway))
		fail("memory");
	seed(&w, argc == 5 ? strtoull(argv[4], NULL, 10) : 1);
	puts("ready");
	fflush(stdout);
	while (!asked_to_end) {
		wait_for_more(&w, &mask);
		release(&w);
	}
	write_counts(&w, text);
	puts(text);
	underway_fini(&w.underway);
	return 0;
}
