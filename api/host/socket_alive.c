/* SPDX-License-Identifier: Apache-2.0 */
/* socket_alive.c - one socket, by its number or by its ends: the kernel is asked, and answers
 * everybody. */
#include "api/host/socket_look.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECV_LEN 16384

/* ANY_COOKIE - whichever has the ends. BOUND_INACTIVE - a state that only dumps know: bound, and
 * neither connected nor listening. */
#define ANY_COOKIE     UINT64_MAX
#define BOUND_INACTIVE 13

/* struct question - is there a socket with these ends and this cookie? */
struct question {
	struct nlmsghdr head;
	struct inet_diag_req_v2 req;
};

static void put_end(__be32 out[4], __be16 *port, const struct ip_addr *a, uint16_t number)
{
	memcpy(out, a->b, ip_addr_len(a));
	*port = htons(number);
}

/* ask - for UDP the kernel has the ends the other way round, from of old. */
static void ask(struct question *q, const struct flow *f, uint64_t cookie)
{
	struct inet_diag_sockid *id = &q->req.id;
	bool udp = f->proto == IPPROTO_UDP;

	*q = (struct question){.head = {.nlmsg_len = sizeof(*q),
					.nlmsg_type = SOCK_DIAG_BY_FAMILY,
					.nlmsg_flags = NLM_F_REQUEST}};
	q->req.sdiag_family = f->local.family == IP_V4 ? AF_INET : AF_INET6;
	q->req.sdiag_protocol = f->proto;
	q->req.idiag_states = UINT32_MAX;
	put_end(udp ? id->idiag_dst : id->idiag_src, udp ? &id->idiag_dport : &id->idiag_sport,
		&f->local, f->local_port);
	put_end(udp ? id->idiag_src : id->idiag_dst, udp ? &id->idiag_sport : &id->idiag_dport,
		&f->remote, f->remote_port);
	id->idiag_cookie[0] = (uint32_t)cookie;
	id->idiag_cookie[1] = (uint32_t)(cookie >> 32);
}

static uint64_t cookie_of(const struct inet_diag_msg *m)
{
	return (uint64_t)m->id.idiag_cookie[1] << 32 | m->id.idiag_cookie[0];
}

/* answer - found, not found (another one has these ends, or none), or an error. */
static enum err answer(bool *out, struct host_subflow *out_what, int fd)
{
	alignas(struct nlmsghdr) uint8_t buf[RECV_LEN];
	const struct nlmsghdr *head = (const void *)buf;
	ssize_t n = recv(fd, buf, sizeof(buf), 0);

	if (n < 0)
		return host_failed();
	if ((size_t)n < NLMSG_LENGTH(sizeof(struct nlmsgerr)))
		return ERR_SYS;
	const struct inet_diag_msg *m = NLMSG_DATA(head);
	const struct nlmsgerr *e = NLMSG_DATA(head);

	*out = head->nlmsg_type == SOCK_DIAG_BY_FAMILY && (size_t)n >= NLMSG_LENGTH(sizeof(*m));
	if (*out) {
		*out_what = (struct host_subflow){cookie_of(m), m->idiag_state};
		return ERR_OK;
	}
	if (head->nlmsg_type != NLMSG_ERROR)
		return ERR_SYS;
	if (e->error == -ENOENT || e->error == -ESTALE)
		return ERR_OK;
	return host_err(-e->error);
}

/* ask_all - the same of all sockets of the protocol and family, one of which may be bound to a
 * device or not be connected yet: those the kernel does not find by their ends. */
static void ask_all(struct question *q, const struct flow *f, int family, uint32_t states)
{
	*q = (struct question){.head = {.nlmsg_len = sizeof(*q),
					.nlmsg_type = SOCK_DIAG_BY_FAMILY,
					.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}};
	q->req.sdiag_family = (uint8_t)family;
	q->req.sdiag_protocol = f->proto;
	q->req.idiag_states = states;
}

/* struct search - for one cookie or, if that is 0, for one inode's at a port. */
struct search {
	uint64_t cookie;
	uint32_t inode;
	uint16_t port;
	struct host_subflow what; /* that was found */
	bool found, done;
	int error; /* errno that the kernel answered with */
};

static bool is_wanted(const struct search *s, const struct inet_diag_msg *m)
{
	return s->cookie ? s->cookie == cookie_of(m)
			 : s->inode == m->idiag_inode && s->port == ntohs(m->id.idiag_sport);
}

static void take(struct search *s, const struct nlmsghdr *head)
{
	const struct inet_diag_msg *m = NLMSG_DATA(head);
	const struct nlmsgerr *e = NLMSG_DATA(head);

	if (head->nlmsg_type == SOCK_DIAG_BY_FAMILY &&
	    head->nlmsg_len >= NLMSG_LENGTH(sizeof(*m)) && is_wanted(s, m)) {
		s->found = true;
		s->what = (struct host_subflow){cookie_of(m), m->idiag_state};
	}
	if (head->nlmsg_type == NLMSG_ERROR)
		s->error = head->nlmsg_len >= NLMSG_LENGTH(sizeof(*e)) ? -e->error : EBADMSG;
	s->done |= head->nlmsg_type == NLMSG_DONE || head->nlmsg_type == NLMSG_ERROR;
}

/* read_all - up to the end of a dump. */
static enum err read_all(int fd, struct search *s)
{
	alignas(struct nlmsghdr) uint8_t buf[RECV_LEN];

	for (s->done = false; !s->done;) {
		const struct nlmsghdr *head = (const void *)buf;
		ssize_t n = recv(fd, buf, sizeof(buf), 0);

		if (n < 0)
			return host_failed();
		for (size_t left = (size_t)n; NLMSG_OK(head, left) && !s->done;
		     head = NLMSG_NEXT(head, left))
			take(s, head);
	}
	return host_err(s->error);
}

static enum err look_for(struct search *s, int fd, const struct flow *flow, uint32_t states)
{
	static const int domains[] = {AF_INET, AF_INET6};
	struct question q;

	for (size_t i = 0; i < ARRAY_LEN(domains) && !s->found; i++) {
		ask_all(&q, flow, domains[i], states);
		if (send(fd, &q, sizeof(q), 0) < 0)
			return host_failed();
		enum err err = read_all(fd, s);

		if (err)
			return err;
	}
	return ERR_OK;
}

/* ask_one - by its ends. */
static enum err ask_one(bool *out, struct host_subflow *out_what, int fd, const struct flow *flow,
			uint64_t cookie)
{
	struct question q;

	ask(&q, flow, cookie);
	return send(fd, &q, sizeof(q), 0) < 0 ? host_failed() : answer(out, out_what, fd);
}

static int open_diag(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
}

enum err host_socket_alive(void *ctx, bool *out, const struct flow *flow, uint64_t cookie)
{
	struct search s = {.cookie = cookie};
	struct host_subflow what;
	int fd = open_diag();
	enum err err;

	(void)ctx;
	if (fd < 0)
		return host_failed();
	err = ask_one(out, &what, fd, flow, cookie);
	if (!err && !*out) {
		err = look_for(&s, fd, flow, UINT32_MAX);
		*out = s.found;
	}
	close(fd);
	return err;
}

enum err host_subflow_of(struct host_subflow *out, const struct flow *flow)
{
	bool found = false;
	int fd = open_diag();
	enum err err;

	if (fd < 0)
		return host_failed();
	err = ask_one(&found, out, fd, flow, ANY_COOKIE);
	close(fd);
	return err || found ? err : ERR_NOT_FOUND;
}

enum err host_subflow_bound(struct host_subflow *out, const struct flow *flow, uint32_t inode)
{
	struct search s = {.inode = inode, .port = flow->local_port};
	int fd = open_diag();
	enum err err;

	if (fd < 0)
		return host_failed();
	err = look_for(&s, fd, flow, 1u << BOUND_INACTIVE);
	close(fd);
	if (err)
		return err;
	*out = s.what;
	return s.found ? ERR_OK : ERR_NOT_FOUND;
}
