/* SPDX-License-Identifier: Apache-2.0 */
/*
 * app_client.c - bench/app's clients of the application socket, by api/app/proto.h.
 *
 * usage: app-client polite PATH LOCAL REMOTE NUM
 *        app-client WAY PATH LOCAL REMOTE NUM (bench/app says what the ways are)
 *
 * The polite one sends NUM requests for each line of its input, one after the other and PORTION of
 * them every PAUSE_US, so that it meets each part of the period in which a group's processor time
 * is dealt out; between two portions it connects once more, and is greeted: not just before one,
 * which would then stand beside those that were in the backlog with it. It says for each line
 * how many were answered in a second of waiting for answers, the median and 99th percentile of
 * their times, and the median and the longest time that it took to be greeted, all in us.
 * A hostile one has NUM connections, does what its name says as fast as it can, and says at SIGTERM
 * how often it did.
 */
#include "api/app/proto.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define REMOTE_PORT 9400
#define MANY_MAX    4096
#define PORTION     25
#define PAUSE_US    62500
#define FDS_MAX     253 /* that a message can bring */

static const char *path, *remote_addr;
static int udp;
static volatile sig_atomic_t over;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int udp_open(const char *local, const char *remote)
{
	struct sockaddr_in from = {.sin_family = AF_INET};
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(REMOTE_PORT)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	inet_pton(AF_INET, local, &from.sin_addr);
	inet_pton(AF_INET, remote, &to.sin_addr);
	if (fd < 0 || bind(fd, (void *)&from, sizeof(from)) || connect(fd, (void *)&to, sizeof(to)))
		die("udp");
	return fd;
}

/* A connection; -1: refused for now. */
static int app_open(int flags)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | flags, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	if (fd >= 0 && connect(fd, (void *)&sun, sizeof(sun)) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* With a descriptor num times, or none. */
static ssize_t put_many(int fd, void *bytes, size_t len, int passed, size_t num)
{
	alignas(struct cmsghdr) char control[CMSG_SPACE(FDS_MAX * sizeof(int))] = {0};
	struct iovec iov = {.iov_base = bytes, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (passed >= 0) {
		struct cmsghdr *c = (struct cmsghdr *)control;

		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(num * sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(num * sizeof(int));
		for (size_t i = 0; i < num; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &passed, sizeof(passed));
	}
	return sendmsg(fd, &msg, MSG_NOSIGNAL);
}

static ssize_t put(int fd, void *bytes, size_t len, int passed)
{
	return put_many(fd, bytes, len, passed, 1);
}

static size_t request(uint8_t *buf, size_t room, enum app_verb verb, uint64_t latch)
{
	struct bytes bytes = {0};
	struct writer w;

	writer_init(&w, buf, room);
	app_put_header(&w, verb, 0, APP_OK, 1);
	if (latch)
		app_put_u64(&w, APP_A_LATCH, latch);
	if (writer_finish(&w, &bytes))
		die("a request");
	return bytes.len;
}

/* ---- the polite one ------------------------------------------------------------------------- */

/* Its requests in their order. */
static const struct {
	enum app_verb verb;
	bool socket, latch;
} cycle[] = {
	{APP_LATCH_CREATE, true, false},
	{APP_SOCKET_TOKEN, true, false},
	{APP_LATCH_INQUIRE, false, true},
	{APP_LATCH_RELEASE, false, true},
};

static void ask(int fd, int num, uint64_t *latch)
{
	size_t k = (size_t)num % (sizeof(cycle) / sizeof(cycle[0]));
	uint8_t buf[APP_MESSAGE_MAX];
	size_t len = request(buf, sizeof(buf), cycle[k].verb, cycle[k].latch ? *latch : 0);
	ssize_t got;

	if (put(fd, buf, len, cycle[k].socket ? udp : -1) < 0)
		die("the request");
	got = recv(fd, buf, sizeof(buf), 0);
	if (got < APP_HEADER_LEN || load_be16(buf + 6) != APP_OK) {
		fprintf(stderr, "verb %d: %zd bytes, code %d\n", cycle[k].verb, got,
			got < 8 ? -1 : load_be16(buf + 6));
		exit(1);
	}
	if (cycle[k].verb == APP_LATCH_CREATE)
		*latch = load_be64(buf + APP_HEADER_LEN + 4);
}

/* How long it takes to connect and to be greeted, us. */
static double greeting(void)
{
	uint8_t buf[APP_MESSAGE_MAX];
	size_t len = request(buf, sizeof(buf), APP_HELLO, 0);
	double start = now_us();
	int fd = app_open(0);

	if (fd < 0 || put(fd, buf, len, -1) < 0 || recv(fd, buf, sizeof(buf), 0) <= 0)
		die("another connection");
	close(fd);
	return now_us() - start;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void polite(int num)
{
	double times[MANY_MAX], greetings[MANY_MAX], sum;
	int num_greetings, fd = app_open(0);
	uint64_t latch = 0;
	char line[16];

	if (fd < 0)
		die(path);
	while (fgets(line, sizeof(line), stdin)) {
		sum = 0;
		num_greetings = 0;
		for (int i = 0; i < num; i++) {
			double start;

			if (i % PORTION == 0) {
				usleep(PAUSE_US / 2);
				greetings[num_greetings++] = greeting();
				usleep(PAUSE_US / 2);
			}
			start = now_us();
			ask(fd, i, &latch);
			times[i] = now_us() - start;
			sum += times[i];
		}
		qsort(times, (size_t)num, sizeof(times[0]), compare);
		qsort(greetings, (size_t)num_greetings, sizeof(greetings[0]), compare);
		printf("%.1f %.2f %.2f %.1f %.1f\n", num / sum * 1e6, times[num / 2],
		       times[num * 99 / 100], greetings[num_greetings / 2],
		       greetings[num_greetings - 1]);
		fflush(stdout);
	}
}

/* ---- the hostile ones ----------------------------------------------------------------------- */

/* Each does one thing to a connection that does not block; false: it is to be opened anew. */

static bool gone(ssize_t done)
{
	return done < 0 && errno != EAGAIN;
}

/* Latches of his own flow, and tokens. */
static bool unread(int fd, uint64_t turn)
{
	uint8_t buf[64];
	size_t len = request(buf, sizeof(buf), turn % 2 ? APP_LATCH_CREATE : APP_SOCKET_TOKEN, 0);

	return !gone(put(fd, buf, len, udp));
}

/* The same, and whatever is answered is read, so that he is never thrown out. */
static bool flood(int fd, uint64_t turn)
{
	uint8_t buf[APP_MESSAGE_MAX];
	ssize_t got = recv(fd, buf, sizeof(buf), 0);

	if (got >= APP_HEADER_LEN + 12 && load_be16(buf + 4) == APP_LATCH_CREATE &&
	    load_be16(buf + 6) == APP_OK)
		(void)put(fd, buf,
			  request(buf, sizeof(buf), APP_LATCH_RELEASE,
				  load_be64(buf + APP_HEADER_LEN + 4)),
			  -1);
	return got != 0 && !gone(got) && unread(fd, turn);
}

static bool garbage(int fd, uint64_t turn)
{
	uint64_t junk[16];

	for (size_t i = 0; i < sizeof(junk) / sizeof(junk[0]); i++)
		junk[i] = (turn + i) * 0x9e3779b97f4a7c15u;
	return !gone(put(fd, junk, sizeof(junk), -1));
}

/* As long as the server takes, with a demand's attribute that fills it, and longer. */
static bool big(int fd, uint64_t turn)
{
	static uint8_t buf[4 * APP_MESSAGE_MAX];
	size_t len = turn % 4 ? APP_MESSAGE_MAX : sizeof(buf);

	request(buf, sizeof(buf), APP_LATCH_CREATE, 0);
	store_be16(buf + APP_HEADER_LEN, APP_A_OPTIONAL);
	store_be16(buf + APP_HEADER_LEN + 2, APP_MESSAGE_MAX - APP_HEADER_LEN - 4);
	return !gone(put(fd, buf, len, udp));
}

/* A header that says that more follows. */
static bool half(int fd, uint64_t turn)
{
	uint8_t buf[64];
	size_t len = request(buf, sizeof(buf), APP_LATCH_CREATE, 1);

	return !gone(put(fd, buf, len - 1 - turn % 8, udp));
}

/* More descriptors than a message may bring. */
static bool many_fds(int fd, uint64_t turn)
{
	uint8_t buf[64];
	size_t len = request(buf, sizeof(buf), APP_SOCKET_TOKEN, 0);

	(void)turn;
	return !gone(put_many(fd, buf, len, udp, FDS_MAX));
}

/* Events are asked for, and latches made and released, but nothing is read. */
static bool events(int fd, uint64_t turn)
{
	uint8_t buf[64];
	struct bytes bytes = {0};
	struct writer w;

	if (turn % 16)
		return unread(fd, turn);
	writer_init(&w, buf, sizeof(buf));
	app_put_header(&w, APP_EVENTS, 0, APP_OK, 1);
	app_put_bool(&w, APP_A_ACCEPT, true);
	if (writer_finish(&w, &bytes))
		die("a request");
	return !gone(put(fd, buf, bytes.len, -1));
}

/* Latches of as many flows as there may be, and one more, over and over. */
static bool fill(int fd, uint64_t turn)
{
	static int flows[2048];
	uint8_t buf[APP_MESSAGE_MAX];
	int *flow = &flows[turn % (sizeof(flows) / sizeof(flows[0]))];
	size_t len = request(buf, sizeof(buf), APP_LATCH_CREATE, 0);
	struct sockaddr_in to = {.sin_family = AF_INET};

	if (!*flow) {
		inet_pton(AF_INET, remote_addr, &to.sin_addr);
		to.sin_port = htons((uint16_t)(20000 + flow - flows));
		*flow = socket(AF_INET, SOCK_DGRAM, 0);
		if (connect(*flow, (void *)&to, sizeof(to)))
			*flow = udp;
	}
	if (gone(put(fd, buf, len, *flow)))
		return false;
	return recv(fd, buf, sizeof(buf), 0) != 0;
}

static void wake(int number)
{
	(void)number;
}

/* Where the daemon is the quicker one it is this side that closes for good, and would linger: it
 * waits no longer than this. */
static void linger_briefly(void)
{
	const struct sigaction act = {.sa_handler = wake};
	const struct itimerval each = {.it_interval = {.tv_usec = 5000},
				       .it_value = {.tv_usec = 5000}};

	if (sigaction(SIGALRM, &act, NULL) || setitimer(ITIMER_REAL, &each, NULL))
		die("a timer");
}

/* Connections that linger when they are closed, which nobody but the daemon has any more. */
static bool linger(int fd, uint64_t turn)
{
	static const struct linger minute = {.l_onoff = 1, .l_linger = 60};
	static const char data[65536];
	static struct sockaddr_in sin = {.sin_family = AF_INET};
	static int server;
	socklen_t len = sizeof(sin);
	uint8_t buf[APP_MESSAGE_MAX];
	ssize_t done;
	int tcp;

	(void)turn;
	if (!server) {
		linger_briefly();
		server = socket(AF_INET, SOCK_STREAM, 0);
		sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		if (bind(server, (void *)&sin, sizeof(sin)) || listen(server, 4096) ||
		    getsockname(server, (void *)&sin, &len))
			die("a server");
	}
	tcp = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(tcp, (void *)&sin, sizeof(sin)) == 0)
		while (send(tcp, data, sizeof(data), MSG_DONTWAIT) > 0)
			;
	setsockopt(tcp, SOL_SOCKET, SO_LINGER, &minute, sizeof(minute));
	done = put(fd, buf, request(buf, sizeof(buf), APP_SOCKET_TOKEN, 0), tcp);
	close(tcp);
	return !gone(done) && recv(fd, buf, sizeof(buf), 0) != 0;
}

/* Nothing but the processor's time. */
static bool spin(int fd, uint64_t turn)
{
	(void)fd;
	(void)turn;
	return true;
}

static bool churn(int fd, uint64_t turn)
{
	(void)fd;
	(void)turn;
	return false;
}

static void end(int number)
{
	(void)number;
	over = 1;
}

static void hostile(bool (*act)(int fd, uint64_t turn), int num)
{
	uint64_t acts = 0, opened = 0;
	int fds[MANY_MAX];

	signal(SIGTERM, end);
	for (int i = 0; i < num; i++)
		fds[i] = -1;
	for (uint64_t turn = 0; !over; turn++) {
		int *fd = &fds[turn % (uint64_t)num];

		if (*fd < 0) {
			*fd = app_open(SOCK_NONBLOCK);
			opened += *fd >= 0;
		}
		if (*fd < 0)
			continue;
		acts++;
		if (!act(*fd, turn)) {
			close(*fd);
			*fd = -1;
		}
	}
	printf("%llu acts, %llu connections\n", (unsigned long long)acts,
	       (unsigned long long)opened);
}

static const struct {
	const char *name;
	bool (*act)(int fd, uint64_t turn);
} ways[] = {
	{"spin", spin},    {"flood", flood}, {"unread", unread},   {"events", events},
	{"fill", fill},    {"big", big},     {"garbage", garbage}, {"half", half},
	{"fds", many_fds}, {"churn", churn}, {"linger", linger},
};

int main(int argc, char **argv)
{
	int num = argc == 6 ? atoi(argv[5]) : 0;

	if (num < 1 || num > MANY_MAX) {
		fprintf(stderr, "usage: app-client WHAT PATH LOCAL REMOTE NUM\n");
		return 2;
	}
	path = argv[2];
	remote_addr = argv[4];
	udp = udp_open(argv[3], argv[4]);
	if (strcmp(argv[1], "polite") == 0) {
		polite(num);
		return 0;
	}
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (strcmp(argv[1], ways[i].name) == 0) {
			hostile(ways[i].act, num);
			return 0;
		}
	}
	fprintf(stderr, "app-client: %s is nothing it can be\n", argv[1]);
	return 2;
}
