/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An engine in an event loop of one's own, epoll(7): its descriptor is one of those that the
 *program waits for. It speaks with peers by UDP sockets, brings up a child of FILE if one is named,
 *and tells what happens until it is interrupted.
 *
 *	cc own-loop.c $(pkg-config --cflags --libs latchkey-engine)
 *	./own-loop FILE PORT PORT-NAT-T [CONNECTION CHILD]
 */
#include <errno.h>
#include <fcntl.h>
#include <latchkey/engine.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

static bool stopped;

static void die(struct ipsec_engine *e, const char *what)
{
	fprintf(stderr, "%s: %s\n%s\n", what, strerror(errno), e ? ipsec_engine_error(e) : "");
	exit(1);
}

static void on_log(void *ctx, enum ipsec_log_level level, const char *subsystem,
		   const char *connection, const char *line)
{
	(void)ctx;
	(void)level;
	printf("[%s] %s%s%s\n", subsystem, connection ? connection : "", connection ? ": " : "",
	       line);
}

/* udp_socket - the library wants what arrives there, and with which addresses: it asks for those
 * itself. */
static int udp_socket(uint16_t port)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any)))
		die(NULL, "no socket");
	return fd;
}

/* stop_signals - SIGINT and SIGTERM as a descriptor: the library leaves signals alone. */
static int stop_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static void watch(int loop, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

	if (epoll_ctl(loop, EPOLL_CTL_ADD, fd, &ev))
		die(NULL, "epoll");
}

/* tell - every event that waits. */
static void tell(struct ipsec_engine *e)
{
	struct ipsec_event ev;

	while (ipsec_engine_next_event(e, &ev) == 1) {
		if (ev.kind == IPSEC_EVENT_CHILD_UP)
			printf("%s is up\n", ev.child);
		if (ev.kind == IPSEC_EVENT_CHILD_DOWN)
			printf("%s is down: %s\n", ev.child, ev.reason);
		if (ev.kind == IPSEC_EVENT_FAILED)
			printf("failed, %s: %s\n", ev.reason, ev.text);
		stopped |= ev.kind == IPSEC_EVENT_STOPPED;
	}
	fflush(stdout);
}

/* loop - everything the program waits for is here; the engine is one descriptor of it. */
static void loop(struct ipsec_engine *e, int signals)
{
	int loop = epoll_create1(EPOLL_CLOEXEC);
	struct signalfd_siginfo info;
	struct epoll_event ev;

	watch(loop, ipsec_engine_fd(e));
	watch(loop, signals);
	while (!stopped) {
		if (epoll_wait(loop, &ev, 1, -1) == 1 && ev.data.fd == signals &&
		    read(signals, &info, sizeof(info)) == sizeof(info))
			ipsec_engine_stop(e); /* tells the peer, then comes EVENT_STOPPED */
		ipsec_engine_dispatch(e);
		tell(e);
	}
	close(loop);
}

int main(int argc, char **argv)
{
	struct ipsec_engine_params params = IPSEC_ENGINE_PARAMS;
	struct ipsec_engine *e;
	struct ipsec_port *port;
	int signals = stop_signals();

	if (argc != 4 && argc != 6) {
		fprintf(stderr, "usage: own-loop FILE PORT PORT-NAT-T [CONNECTION CHILD]\n");
		return 2;
	}
	const struct ipsec_socket sockets[] = {
		{.fd = udp_socket((uint16_t)atoi(argv[2])), .encap = IPSEC_ENCAP_NONE},
		{.fd = udp_socket((uint16_t)atoi(argv[3])), .encap = IPSEC_ENCAP_UDP},
	};

	params.log = on_log;
	params.log_level = IPSEC_LOG_INFO;
	if (ipsec_engine_new(&e, &params))
		die(NULL, "no engine");
	if (ipsec_engine_configure_file(e, argv[1]))
		die(e, argv[1]);
	if (ipsec_engine_attach_udp(e, sockets, 2) || ipsec_engine_attach_packets(e, &port, NULL))
		die(e, "cannot attach");
	if (ipsec_engine_start(e) ||
	    (argc == 6 && ipsec_engine_initiate(e, argv[4], argv[5], NULL)))
		die(e, "cannot begin");
	loop(e, signals);
	ipsec_engine_free(e);
	return 0;
}
