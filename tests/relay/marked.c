/* SPDX-License-Identifier: Apache-2.0 */
/*
 * marked: datagrams of several sites that all come from one address and port, and at the other end
 * one socket that compares each one's mark, the interface that it came by, or the name of whom
 * <latchkey/ipsec.h> says that it is from, with what it must be.
 *
 * usage: marked send BOOKS SITE COUNT LOCAL PORT REMOTE PORT
 *        marked receive BOOKS PORT mark|interface|name WANTED...   (one for each site; prints
 *               its books)
 *
 * A sender goes on after COUNT until BOOKS say that it is enough, and is never more than AHEAD
 * datagrams ahead of what arrived, so that no queue on the way is full; every second message is
 * one that the kernel or a device cuts (UDP_SEGMENT). The receiver ends when all have, and nothing
 * came for a while.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/include/latchkey/ipsec.h"
#include "base/addr.h"

#define SITES       2
#define AHEAD       32
#define SEGMENTS    16
#define PAYLOAD     64
#define BUFFER_LEN  (16 << 20)
#define IDLE_MS     2000
#define PATIENCE_MS 500 /* for what may be lost */

#ifndef SO_RCVMARK
#define SO_RCVMARK 75
#endif

#define TOKEN 0x0fffffffu

/* struct books - in a file that all of them have mapped, and the scenario. */
struct books {
	uint64_t sent[SITES], received[SITES]; /* atomic */
	uint64_t enough;                       /* atomic: the scenario's word */
	uint64_t ended[SITES];                 /* atomic: the sender has */
};

/* struct datagram - what is in one. */
struct datagram {
	uint32_t site;
	uint32_t number;
	uint8_t rest[PAYLOAD - 8];
};

static void fail(const char *what)
{
	fprintf(stderr, "marked: %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct books *books_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *p;

	if (fd < 0 || ftruncate(fd, sizeof(struct books)) < 0)
		fail(path);
	p = mmap(NULL, sizeof(struct books), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		fail("mmap");
	close(fd);
	return p;
}

static uint64_t get(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static void set(uint64_t *p, uint64_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}

static socklen_t place(struct sockaddr_storage *ss, const char *addr, const char *port)
{
	struct endpoint e = {.port = (uint16_t)atoi(port)};

	if (ip_addr_parse(&e.addr, addr))
		fail(addr);
	return endpoint_to_sockaddr(ss, &e);
}

static void option(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)) < 0)
		fail("setsockopt");
}

/* ---- sender -----------------------------------------------------------------------------------
 */

static int connected(char *const *where)
{
	struct sockaddr_storage local, remote;
	socklen_t local_len = place(&local, where[0], where[1]);
	socklen_t remote_len = place(&remote, where[2], where[3]);
	int fd = socket(local.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&local, local_len) < 0 ||
	    connect(fd, (struct sockaddr *)&remote, remote_len) < 0)
		fail("socket");
	return fd;
}

/* wait_for_room - false: what is missing was lost, and is not waited for again. */
static void wait_for_room(const struct books *b, uint32_t site, uint64_t sent, uint64_t *lost)
{
	uint64_t last = get(&b->received[site]);
	int idle = 0;

	while (sent - *lost - get(&b->received[site]) > AHEAD) {
		poll(NULL, 0, 1);
		if (get(&b->received[site]) != last)
			idle = 0;
		last = get(&b->received[site]);
		if (++idle >= PATIENCE_MS)
			*lost = sent - last;
	}
}

static void send_some(int fd, uint32_t site, uint64_t number, uint32_t num)
{
	struct datagram d[SEGMENTS] = {0};

	for (uint32_t i = 0; i < num; i++)
		d[i] = (struct datagram){.site = site, .number = (uint32_t)(number + i)};
	option(fd, IPPROTO_UDP, UDP_SEGMENT, num > 1 ? PAYLOAD : 0);
	while (send(fd, d, num * sizeof(d[0]), 0) < 0) {
		if (errno != ENOBUFS && errno != EAGAIN)
			fail("send");
		poll(NULL, 0, 1);
	}
}

static void do_send(struct books *b, uint32_t site, uint64_t count, char *const *where)
{
	int fd = connected(where);
	uint64_t sent = 0, lost = 0;

	for (uint32_t turn = 0; sent < count || !get(&b->enough); turn++) {
		uint32_t num = turn % 2 ? 2 + turn / 2 % (SEGMENTS - 1) : 1;

		wait_for_room(b, site, sent, &lost);
		send_some(fd, site, sent, num);
		sent += num;
		set(&b->sent[site], sent);
	}
	set(&b->ended[site], 1);
	close(fd);
}

/* ---- receiver ---------------------------------------------------------------------------------
 */

/* struct judge - what came. */
struct judge {
	struct books *books;
	bool by_interface, by_name;
	uint32_t wanted[SITES];
	const char *names[SITES];
	ipsec_pToken_t token, known[SITES]; /* of this datagram; of a site, once it was looked at */
	bool right[SITES];                  /* and stands for this name */
	uint64_t wrong, strange, joined, turns;
	uint32_t last; /* site of the one before: turns count how often it changed */
};

/* is_named - whom a site's first token stands for is asked; later ones are the same. */
static bool is_named(struct judge *j, uint32_t site)
{
	ipsec_iToken_t peer = ipsec_create_iToken();
	char name[264] = "";

	if (j->known[site])
		return j->right[site] && ipsec_cmp_pToken(j->token, j->known[site]) == 0;
	if (ipsec_pToken_get_iToken(j->token, IPSEC_API_ATTR_ITOKEN, peer) ||
	    ipsec_iToken_get_text(peer, IPSEC_API_ATTR_IDENTITY, name, sizeof(name)) ||
	    ipsec_dup_pToken(j->token, &j->known[site]))
		fprintf(stderr, "marked: %s\n", ipsec_last_error());
	ipsec_free_iToken(peer);
	j->right[site] = strcmp(name, j->names[site]) == 0;
	return j->right[site];
}

static int listener(const char *port, bool by_name)
{
	struct sockaddr_storage any;
	socklen_t len = place(&any, "::", port);
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

	if (fd < 0 || bind(fd, (struct sockaddr *)&any, len) < 0)
		fail("socket");
	if (by_name && ipsec_enable_msg_pToken(fd)) {
		fprintf(stderr, "marked: %s\n", ipsec_last_error());
		exit(1);
	}
	if (!by_name) {
		option(fd, SOL_SOCKET, SO_RCVMARK, 1);
		option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	}
	option(fd, IPPROTO_UDP, UDP_GRO, 1);
	/* Without the privilege the ordinary limit holds. */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &(int){BUFFER_LEN}, sizeof(one));
	return fd;
}

/* struct meta - what the kernel says beside the bytes. */
struct meta {
	uint32_t mark, ifindex;
	uint32_t seg_len;
	bool has_token; /* of a judge's */
};

static void read_meta(struct meta *m, struct msghdr *h)
{
	struct in6_pktinfo info;

	*m = (struct meta){0};
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_MARK) {
			memcpy(&m->mark, CMSG_DATA(c), sizeof(m->mark));
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			m->ifindex = info.ipi6_ifindex;
		} else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
			memcpy(&m->seg_len, CMSG_DATA(c), sizeof(m->seg_len));
		}
	}
}

static void judge_one(struct judge *j, const struct datagram *d, const struct meta *m)
{
	uint32_t got = j->by_interface ? m->ifindex : m->mark & TOKEN;

	if (d->site >= SITES) {
		j->strange++;
		return;
	}
	if (j->by_name)
		j->wrong += !m->has_token || !is_named(j, d->site);
	else
		j->wrong += got != j->wanted[d->site];
	j->turns += d->site != j->last;
	j->last = d->site;
	set(&j->books->received[d->site], j->books->received[d->site] + 1);
}

/* take - one message, which may be several datagrams. False: there is none. */
static bool take(struct judge *j, int fd)
{
	static uint8_t data[65536];
	alignas(struct cmsghdr) uint8_t control[256];
	struct iovec iov = {data, sizeof(data)};
	struct msghdr h = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(fd, &h, 0);
	struct datagram d;
	struct meta m;

	if (n < 0)
		return false;
	read_meta(&m, &h);
	m.has_token = j->by_name && ipsec_get_msg_pToken(&h, j->token) == 0;
	j->joined += m.seg_len && n > PAYLOAD;
	j->strange += n % PAYLOAD != 0;
	for (ssize_t at = 0; at + PAYLOAD <= n; at += PAYLOAD) {
		memcpy(&d, data + at, sizeof(d));
		judge_one(j, &d, &m);
	}
	return true;
}

static bool all_ended(const struct books *b)
{
	for (uint32_t i = 0; i < SITES; i++)
		if (!get(&b->ended[i]))
			return false;
	return true;
}

static void do_receive(struct judge *j, const char *port)
{
	struct pollfd p = {.fd = listener(port, j->by_name), .events = POLLIN};

	printf("ready\n");
	fflush(stdout);
	for (;;) {
		int n = poll(&p, 1, IDLE_MS);

		if (n == 0 && all_ended(j->books))
			break;
		while (n > 0 && take(j, p.fd))
			;
	}
	printf("{\"sent\": [%lu, %lu], \"received\": [%lu, %lu], \"wrong\": %lu, \"strange\": %lu, "
	       "\"joined\": %lu, \"turns\": %lu}\n",
	       j->books->sent[0], j->books->sent[1], j->books->received[0], j->books->received[1],
	       j->wrong, j->strange, j->joined, j->turns);
}

int main(int argc, char **argv)
{
	struct judge j = {0};

	if (argc == 9 && strcmp(argv[1], "send") == 0 && atoi(argv[3]) < SITES) {
		do_send(books_open(argv[2]), (uint32_t)atoi(argv[3]), strtoull(argv[4], NULL, 10),
			argv + 5);
		return 0;
	}
	if (argc == 5 + SITES && strcmp(argv[1], "receive") == 0) {
		j.books = books_open(argv[2]);
		j.by_interface = strcmp(argv[4], "interface") == 0;
		j.by_name = strcmp(argv[4], "name") == 0;
		j.token = ipsec_create_pToken();
		for (int i = 0; i < SITES; i++) {
			j.names[i] = argv[5 + i];
			j.wanted[i] = (uint32_t)strtoul(argv[5 + i], NULL, 10);
		}
		do_receive(&j, argv[3]);
		return 0;
	}
	fprintf(stderr, "usage: see tests/relay/marked.c\n");
	return 2;
}
