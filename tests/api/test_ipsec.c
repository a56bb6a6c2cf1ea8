/* SPDX-License-Identifier: Apache-2.0 */
/*
 * <latchkey/ipsec.h> before an application socket with a fake engine: tokens of sockets and of
 * messages, latches, the easy way, events, several threads, forked children, and a daemon that goes
 * and comes back.
 */
#include "api/app/proto.h"
#include "api/include/latchkey/ipsec.h"
#include "tests/api/app_stand.h"
#include "tests/tap/tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define FAILS(call, err)                                     \
	do {                                                 \
		errno = 0;                                   \
		CU_ASSERT_EQUAL(call, -1);                   \
		CU_ASSERT_EQUAL(errno, err);                 \
		CU_ASSERT_TRUE(*ipsec_last_error() != '\0'); \
	} while (0)

static struct sockaddr_in loop_addr(uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_addr = {htonl(INADDR_LOOPBACK)},
				    .sin_port = htons(port)};
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);

	CU_ASSERT_EQUAL(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	return ntohs(sin.sin_port);
}

static int udp(uint16_t remote_port)
{
	struct sockaddr_in sin = loop_addr(0);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	sin = loop_addr(remote_port);
	if (remote_port)
		CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	return fd;
}

/* ---- steps in the serving thread ------------------------------------------------------------ */

static void any_flow(struct fake_app *f, void *arg)
{
	f->any_flow = true;
	f->classes[0].reaches = *(uint16_t *)arg;
}

static void at_once(struct fake_app *f, void *arg)
{
	f->create_state = *(enum latch_state *)arg;
}

static void first_stands(struct fake_app *f, void *arg)
{
	(void)arg;
	if (f->num_latches)
		fake_app_state(f, f->latches[0].id, LATCH_ESTABLISHED, IKE_REASON_NONE, "");
}

static void first_breaks(struct fake_app *f, void *arg)
{
	(void)arg;
	if (f->num_latches)
		fake_app_state(f, f->latches[0].id, LATCH_BROKEN, IKE_REASON_CERT_EXPIRED,
			       "the certificate is from last year");
}

static void ask_about_first(struct fake_app *f, void *arg)
{
	(void)arg;
	f->now_ns = 1000 * NS_PER_S; /* so that time left is exact */
	fake_app_ask(f, f->latches[0].id, 77);
}

static void look(struct fake_app *f, void *arg)
{
	*(struct fake_app *)arg = *f;
}

static void interface_tells(struct fake_app *f, void *arg)
{
	f->ifindex = 5;
	f->of_it = *(uint32_t *)arg;
	f->holds_ms = 60;
}

static void lose_latches(struct fake_app *f, void *arg)
{
	(void)arg;
	f->num_latches = 0;
}

static struct fake_app seen;

static const struct fake_app *what_was_seen(struct app_stand *s)
{
	app_stand_do(s, look, &seen);
	return &seen;
}

/* ---- tokens --------------------------------------------------------------------------------- */

static bool says(ipsec_iToken_t i, enum ipsec_attr attr, const char *text)
{
	char got[300] = "";

	ipsec_iToken_get_text(i, attr, got, sizeof(got));
	if (strcmp(got, text) != 0)
		tap_diag("%s instead of %s", got, text);
	return strcmp(got, text) == 0;
}

/* Who it is and how he proved it, and the keys of both. */
static void check_identity(ipsec_iToken_t i)
{
	enum ipsec_auth_method method;
	uint8_t key[64], binding[128], hash[32];
	size_t len = sizeof(key);
	char text[64];

	CU_ASSERT_EQUAL(ipsec_iToken_get_method(i, &method), 0);
	CU_ASSERT_EQUAL(method, IPSEC_AUTH_PUBKEY);
	CU_ASSERT_STRING_EQUAL(ipsec_auth_method_name(method), "pubkey");
	CU_ASSERT_TRUE(says(i, IPSEC_API_ATTR_IDENTITY, "peer.example"));
	CU_ASSERT_EQUAL(ipsec_iToken_get_bytes(i, IPSEC_API_ATTR_PUBLIC_KEY, key, &len), 0);
	CU_ASSERT_EQUAL(len, 44);
	CU_ASSERT_EQUAL(key[12], 128);
	/* Our key first, for we began; and the hash of that. */
	len = sizeof(binding);
	CU_ASSERT_EQUAL(ipsec_iToken_get_bytes(i, IPSEC_API_ATTR_CHANNEL_BINDING, binding, &len),
			0);
	CU_ASSERT_EQUAL(len, 88);
	CU_ASSERT_EQUAL(binding[12], 0);
	CU_ASSERT_EQUAL(binding[44 + 12], 128);
	crypto_hash_sha256(hash, binding, len);
	len = sizeof(binding);
	CU_ASSERT_EQUAL(
		ipsec_iToken_get_bytes(i, IPSEC_API_ATTR_CHANNEL_BINDING_HASH, binding, &len), 0);
	CU_ASSERT_EQUAL(len, 32);
	CU_ASSERT_EQUAL(memcmp(binding, hash, 32), 0);
	CU_ASSERT_EQUAL(ipsec_iToken_get_text(i, IPSEC_API_ATTR_PUBKEY_ID, text, 64), 0);
	CU_ASSERT_EQUAL(strlen(text), 9);
	FAILS(ipsec_iToken_get_text(i, IPSEC_API_ATTR_CERTIFICATE_DN, text, 64), ENOENT);
	FAILS(ipsec_iToken_set_identity(i, "somebody.else"), EACCES);
}

/* A12, A13: who it is and how he proved it, from the socket. */
static void test_A12_socket_token(void)
{
	struct app_stand s;
	ipsec_pToken_t p = ipsec_create_pToken(), again = ipsec_create_pToken();
	ipsec_iToken_t i = ipsec_create_iToken();
	int fd = udp(9), loose = udp(0);
	uint16_t port = port_of(fd);
	char text[400];
	bool yes = false;

	app_stand_up(&s);
	FAILS(ipsec_get_socket_pToken(fd, p), ENOENT);
	FAILS(ipsec_get_socket_pToken(loose, p), ENOTCONN);
	FAILS(ipsec_get_socket_pToken(-1, p), EINVAL);
	FAILS(ipsec_get_socket_pToken(0x7ffffff, p), EBADF);
	app_stand_do(&s, any_flow, &port);
	CU_ASSERT_EQUAL_FATAL(ipsec_get_socket_pToken(fd, p), 0);
	CU_ASSERT_EQUAL(ipsec_pToken_get_bool(p, IPSEC_API_ATTR_PRIVACY_PROTECTED, &yes), 0);
	CU_ASSERT_TRUE(yes);
	CU_ASSERT_EQUAL(ipsec_pToken_get_bool(p, IPSEC_API_ATTR_COMPRESSION_AVAILABLE, &yes), 0);
	CU_ASSERT_FALSE(yes);
	CU_ASSERT_EQUAL(ipsec_pToken_get_text(p, IPSEC_API_ATTR_POLICY_NAME, text, 128), 0);
	CU_ASSERT_STRING_EQUAL(text, "gw");
	CU_ASSERT_EQUAL(ipsec_pToken_get_text(p, IPSEC_API_ATTR_AUDIT_STRING, text, sizeof(text)),
			0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "peer.example"));
	CU_ASSERT_EQUAL(ipsec_pToken_get_iToken(p, IPSEC_API_ATTR_ITOKEN, i), 0);
	check_identity(i);
	FAILS(ipsec_pToken_set_bool(p, IPSEC_API_ATTR_TUNNEL_MODE, true), EACCES);
	CU_ASSERT_EQUAL(ipsec_get_socket_pToken(fd, again), 0);
	CU_ASSERT_EQUAL(ipsec_cmp_pToken(p, again), 0);
	ipsec_free_pToken(p);
	ipsec_free_pToken(again);
	ipsec_free_iToken(i);
	close(fd);
	close(loose);
	app_stand_down(&s);
}

/* D1: a daemon that was started again gives another handle, and the token is equal to the old one;
 * it is another if the peer is. */
static void test_D1_survives_a_restart(void)
{
	struct app_stand s;
	ipsec_pToken_t before = ipsec_create_pToken(), after = ipsec_create_pToken();
	int fd = udp(9);
	uint16_t port = port_of(fd);

	app_stand_up(&s);
	app_stand_do(&s, any_flow, &port);
	CU_ASSERT_EQUAL(ipsec_get_socket_pToken(fd, before), 0);
	app_stand_stop(&s);
	FAILS(ipsec_get_socket_pToken(fd, after), ECONNREFUSED);
	app_stand_start(&s);
	CU_ASSERT_EQUAL(ipsec_get_socket_pToken(fd, after), 0);
	CU_ASSERT_EQUAL(ipsec_cmp_pToken(before, after), 0);
	/* What is marked by the old life's handle would be anybody's in this one. */
	FAILS(ipsec_set_socket_pToken(fd, before), ENOENT);
	CU_ASSERT_EQUAL(what_was_seen(&s)->marked, 0);
	CU_ASSERT_EQUAL(ipsec_set_socket_pToken(fd, after), 0);
	CU_ASSERT_EQUAL(what_was_seen(&s)->marked, 7);
	app_stand_stop(&s);
	s.fake.classes[0].quality.privacy = false;
	app_stand_start(&s);
	CU_ASSERT_EQUAL(ipsec_get_socket_pToken(fd, after), 0);
	CU_ASSERT_EQUAL(ipsec_cmp_pToken(before, after), 1);
	ipsec_free_pToken(before);
	ipsec_free_pToken(after);
	close(fd);
	app_stand_down(&s);
}

/* A message with a mark, as the kernel gives it. */
static void marked(struct msghdr *msg, void *control, size_t room, uint32_t mark)
{
	struct cmsghdr *c;

	memset(control, 0, room);
	*msg = (struct msghdr){.msg_control = control, .msg_controllen = room};
	c = CMSG_FIRSTHDR(msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SO_MARK;
	c->cmsg_len = CMSG_LEN(sizeof(mark));
	memcpy(CMSG_DATA(c), &mark, sizeof(mark));
}

static void test_D4_message_token(void)
{
	alignas(struct cmsghdr) uint8_t control[IPSEC_MSG_SPACE];
	struct app_stand s;
	ipsec_pToken_t p = ipsec_create_pToken(), of_socket = ipsec_create_pToken();
	int fd = udp(9);
	uint16_t port = port_of(fd);
	struct msghdr msg;
	bool yes;

	app_stand_up(&s);
	app_stand_do(&s, any_flow, &port);
	/* Bits of the mark that are not a token's say nothing; without a token there is none. */
	marked(&msg, control, sizeof(control), 0x80000000);
	FAILS(ipsec_get_msg_pToken(&msg, p), ENOENT);
	msg.msg_controllen = 0;
	FAILS(ipsec_get_msg_pToken(&msg, p), ENOENT);
	marked(&msg, control, sizeof(control), 0xf0000007);
	CU_ASSERT_EQUAL(ipsec_get_msg_pToken(&msg, p), 0);
	/* No socket of ours brings tokens: what it stands for is not ours to know. */
	FAILS(ipsec_pToken_get_bool(p, IPSEC_API_ATTR_PRIVACY_PROTECTED, &yes), ENOENT);
	CU_ASSERT_EQUAL(ipsec_get_socket_pToken(fd, of_socket), 0);
	CU_ASSERT_EQUAL(ipsec_cmp_pToken(p, of_socket), 0);
	if (ipsec_enable_msg_pToken(fd) == 0) {
		CU_ASSERT_EQUAL(ipsec_pToken_get_bool(p, IPSEC_API_ATTR_PRIVACY_PROTECTED, &yes),
				0);
		CU_ASSERT_TRUE(yes);
	} else {
		CU_ASSERT_EQUAL(errno, EOPNOTSUPP);
		tap_diag("this kernel brings no marks");
	}
	FAILS(ipsec_enable_msg_pToken(-1), EINVAL);
	close(fd);
	marked(&msg, control, sizeof(control), 7);
	ipsec_free_pToken(p);
	p = ipsec_create_pToken();
	CU_ASSERT_EQUAL(ipsec_get_msg_pToken(&msg, p), 0);
	FAILS(ipsec_pToken_get_bool(p, IPSEC_API_ATTR_PRIVACY_PROTECTED, &yes), ENOENT);
	ipsec_free_pToken(p);
	ipsec_free_pToken(of_socket);
	app_stand_down(&s);
}

/* put - one more control message. */
static void put(struct msghdr *msg, int level, int type, const void *data, size_t len)
{
	struct cmsghdr *c = (struct cmsghdr *)((uint8_t *)msg->msg_control + msg->msg_controllen);

	msg->msg_controllen += CMSG_SPACE(len);
	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), data, len);
}

/* struct by - how a message came, as the kernel tells it. */
struct by {
	bool has_mark;
	uint32_t mark;
	int ifindex;      /* of IPv4; 0 = nothing is said */
	const char *spec; /* where it would be answered from; NULL = to */
	const char *to;
	int ifindex6;
	const char *to6;
	size_t cut; /* bytes that are missing of the last */
};

static const struct msghdr *message(const struct by *by)
{
	static alignas(struct cmsghdr) uint8_t control[IPSEC_MSG_SPACE];
	static struct msghdr msg;
	struct in_pktinfo info = {.ipi_ifindex = by->ifindex};
	struct in6_pktinfo info6 = {.ipi6_ifindex = (unsigned int)by->ifindex6};

	memset(control, 0, sizeof(control));
	msg = (struct msghdr){.msg_control = control};
	if (by->has_mark)
		put(&msg, SOL_SOCKET, SO_MARK, &by->mark, sizeof(by->mark));
	if (by->ifindex) {
		inet_pton(AF_INET, by->to, &info.ipi_addr);
		inet_pton(AF_INET, by->spec ? by->spec : by->to, &info.ipi_spec_dst);
		put(&msg, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info) - by->cut);
	}
	if (by->ifindex6) {
		inet_pton(AF_INET6, by->to6, &info6.ipi6_addr);
		put(&msg, IPPROTO_IPV6, IPV6_PKTINFO, &info6, sizeof(info6) - by->cut);
	}
	return &msg;
}

/* D4: by the interface, where the mark says nothing: of IPv4 and IPv6, to one address of the host,
 * and asked once in a while. */
static void test_D4_message_by_interface(void)
{
	static const struct by known[] =
		{
			{.ifindex = 5, .to = "127.0.0.1"},
			{.has_mark = true, .ifindex = 5, .to = "127.0.0.1"},
			{.has_mark = true, .mark = 7, .ifindex = 6, .to = "127.0.0.1"},
			{.ifindex6 = 5, .to6 = "fd00::1"},
			{.ifindex = 5, .to = "127.0.0.1", .ifindex6 = 5, .to6 = "::ffff:127.0.0.1"},
		},
			       unknown[] = {
				       {.ifindex = 6, .to = "127.0.0.1"},
				       {.ifindex6 = 6, .to6 = "fd00::1"},
				       {.ifindex = 5, .to = "10.1.0.255", .spec = "10.1.0.1"},
				       {.ifindex = 5, .to = "127.0.0.1", .cut = 1},
				       {.ifindex6 = 5, .to6 = "ff02::1"},
				       {.ifindex6 = 5, .to6 = "::ffff:127.0.0.1"},
				       {.ifindex6 = 5, .to6 = "fd00::1", .cut = 1},
			       };
	ipsec_pToken_t p = ipsec_create_pToken(), of_socket = ipsec_create_pToken();
	uint32_t seven = 7, asked;
	int fd = udp(9);
	uint16_t port = port_of(fd);
	struct app_stand s;
	bool yes;

	app_stand_up(&s);
	app_stand_do(&s, any_flow, &port);
	app_stand_do(&s, interface_tells, &seven);
	CU_ASSERT_EQUAL(ipsec_get_socket_pToken(fd, of_socket), 0);
	/* Nobody knows of which socket, and of which network, it is. */
	FAILS(ipsec_get_msg_pToken(message(&known[0]), p), ENOENT);
	CU_ASSERT_EQUAL_FATAL(ipsec_enable_msg_pToken(fd), 0);
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		CU_ASSERT_EQUAL(ipsec_get_msg_pToken(message(&known[i]), p), 0);
		CU_ASSERT_EQUAL(ipsec_cmp_pToken(p, of_socket), 0);
	}
	CU_ASSERT_EQUAL(ipsec_pToken_get_bool(p, IPSEC_API_ATTR_PRIVACY_PROTECTED, &yes), 0);
	for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
		FAILS(ipsec_get_msg_pToken(message(&unknown[i]), p), ENOENT);
	/* A mark decides, whatever the interface is. */
	CU_ASSERT_EQUAL(
		ipsec_get_msg_pToken(
			message(&(struct by){
				.has_mark = true, .mark = 9, .ifindex = 5, .to = "127.0.0.1"}),
			p),
		0);
	FAILS(ipsec_pToken_get_bool(p, IPSEC_API_ATTR_PRIVACY_PROTECTED, &yes), ENOENT);
	asked = what_was_seen(&s)->num_asked;
	for (size_t i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(ipsec_get_msg_pToken(message(&known[0]), p), 0);
	for (size_t i = 0; i < 100; i++)
		FAILS(ipsec_get_msg_pToken(message(&unknown[0]), p), ENOENT);
	CU_ASSERT_TRUE(what_was_seen(&s)->num_asked <= asked + 2);
	ipsec_free_pToken(p);
	ipsec_free_pToken(of_socket);
	close(fd);
	app_stand_down(&s);
}

/* D4: what was said of an interface is forgotten in time, and with the daemon. */
static void test_D4_interface_is_forgotten(void)
{
	static const struct by by = {.ifindex = 5, .to = "127.0.0.1"};
	ipsec_pToken_t p = ipsec_create_pToken();
	uint32_t seven = 7, none = 0;
	int fd = udp(9);
	uint16_t port = port_of(fd);
	struct app_stand s;

	app_stand_up(&s);
	app_stand_do(&s, any_flow, &port);
	app_stand_do(&s, interface_tells, &seven);
	CU_ASSERT_EQUAL_FATAL(ipsec_enable_msg_pToken(fd), 0);
	CU_ASSERT_EQUAL(ipsec_get_msg_pToken(message(&by), p), 0);
	app_stand_do(&s, interface_tells, &none);
	usleep(70000);
	FAILS(ipsec_get_msg_pToken(message(&by), p), ENOENT);
	usleep(1000000); /* a no holds longer */
	app_stand_do(&s, interface_tells, &seven);
	s.fake.holds_ms = 60000;
	CU_ASSERT_EQUAL(ipsec_get_msg_pToken(message(&by), p), 0);
	app_stand_stop(&s);
	FAILS(ipsec_get_msg_pToken(message(&by), p), ECONNREFUSED);
	s.fake.of_it = 0;
	app_stand_start(&s);
	FAILS(ipsec_get_msg_pToken(message(&by), p), ENOENT);
	ipsec_free_pToken(p);
	close(fd);
	app_stand_down(&s);
}

/* D4: where the host has no marks of ours, those of others name nobody. */
static void test_D4_marks_of_others(void)
{
	static const struct by marked_only = {.has_mark = true, .mark = 7},
			       both = {.has_mark = true,
				       .mark = 9,
				       .ifindex = 5,
				       .to = "127.0.0.1"};
	ipsec_pToken_t p = ipsec_create_pToken();
	uint32_t seven = 7;
	int fd = udp(9);
	uint16_t port = port_of(fd);
	struct app_stand s;
	bool yes;

	app_stand_up(&s);
	app_stand_stop(&s);
	s.fake.no_marks = true;
	app_stand_start(&s);
	app_stand_do(&s, any_flow, &port);
	app_stand_do(&s, interface_tells, &seven);
	CU_ASSERT_EQUAL_FATAL(ipsec_enable_msg_pToken(fd), 0);
	FAILS(ipsec_get_msg_pToken(message(&marked_only), p), ENOENT);
	CU_ASSERT_EQUAL(ipsec_get_msg_pToken(message(&both), p), 0);
	CU_ASSERT_EQUAL(ipsec_pToken_get_bool(p, IPSEC_API_ATTR_PRIVACY_PROTECTED, &yes), 0);
	ipsec_free_pToken(p);
	close(fd);
	app_stand_down(&s);
}

/* enabled_elsewhere - a socket of another network that brings tokens; -1: that may not be made. */
static void *enabled_elsewhere(void *arg)
{
	int *fd = arg;

	if (unshare(CLONE_NEWNET))
		return NULL;
	*fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL(ipsec_enable_msg_pToken(*fd), 0);
	return NULL;
}

/* D4: each network counts its interfaces by itself, and a message does not say of which it is. */
static void test_D4_interfaces_of_two_networks(void)
{
	static const struct by by = {.ifindex = 5, .to = "127.0.0.1"};
	ipsec_pToken_t p = ipsec_create_pToken();
	uint32_t seven = 7;
	int fd = udp(9), other = -1;
	uint16_t port = port_of(fd);
	struct app_stand s;
	pthread_t thread;

	app_stand_up(&s);
	app_stand_do(&s, any_flow, &port);
	app_stand_do(&s, interface_tells, &seven);
	CU_ASSERT_EQUAL_FATAL(ipsec_enable_msg_pToken(fd), 0);
	CU_ASSERT_EQUAL(ipsec_get_msg_pToken(message(&by), p), 0);
	CU_ASSERT_EQUAL(pthread_create(&thread, NULL, enabled_elsewhere, &other), 0);
	pthread_join(thread, NULL);
	if (other >= 0) {
		FAILS(ipsec_get_msg_pToken(message(&by), p), ENOENT);
		close(other);
		CU_ASSERT_EQUAL(ipsec_get_msg_pToken(message(&by), p), 0);
	} else {
		tap_diag("no other network can be made");
	}
	ipsec_free_pToken(p);
	close(fd);
	app_stand_down(&s);
}

/* A token of a message that is sent: root may, others are told that they may not. */
static void test_message_to_send(void)
{
	alignas(struct cmsghdr) uint8_t control[IPSEC_MSG_SPACE];
	struct app_stand s;
	ipsec_pToken_t p = ipsec_create_pToken(), got = ipsec_create_pToken(),
		       template = ipsec_create_pToken();
	int fd = udp(9), status;
	uint16_t port = port_of(fd);
	struct msghdr msg = {.msg_control = control, .msg_controllen = sizeof(control)};
	pid_t pid;

	app_stand_up(&s);
	app_stand_do(&s, any_flow, &port);
	CU_ASSERT_EQUAL(ipsec_get_socket_pToken(fd, p), 0);
	FAILS(ipsec_set_msg_pToken(&msg, template), EINVAL);
	msg.msg_controllen = 8;
	FAILS(ipsec_set_msg_pToken(&msg, p), ENOBUFS);
	msg.msg_controllen = sizeof(control);
	if (geteuid() == 0) {
		CU_ASSERT_EQUAL(ipsec_set_msg_pToken(&msg, p), 0);
		CU_ASSERT_EQUAL(ipsec_get_msg_pToken(&msg, got), 0);
		CU_ASSERT_EQUAL(ipsec_cmp_pToken(p, got), 0);
		pid = fork();
		if (pid == 0) {
			msg.msg_controllen = sizeof(control);
			if (setgid(65534) || setuid(65534))
				_exit(2);
			_exit(ipsec_set_msg_pToken(&msg, p) == -1 && errno == EPERM ? 0 : 1);
		}
		CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
		CU_ASSERT_EQUAL(status, 0);
	} else {
		FAILS(ipsec_set_msg_pToken(&msg, p), EPERM);
	}
	ipsec_free_pToken(p);
	ipsec_free_pToken(got);
	ipsec_free_pToken(template);
	close(fd);
	app_stand_down(&s);
}

/* ---- the easy way --------------------------------------------------------------------------- */

static void *require_in_thread(void *arg)
{
	int *fd = arg;

	return (void *)(intptr_t)(ipsec_require(*fd, NULL, "peer.example") == 0 ? 1 : errno + 1000);
}

/* A3: one call. It waits, and others are served meanwhile, by the same connection. */
static void test_A3_require(void)
{
	struct app_stand s;
	enum latch_state broken = LATCH_BROKEN;
	int fd = udp(9), two = udp(9);
	pthread_t thread;
	void *res;

	app_stand_up(&s);
	CU_ASSERT_EQUAL(pthread_create(&thread, NULL, require_in_thread, &fd), 0);
	for (int i = 0; i < 500 && what_was_seen(&s)->num_latches == 0; i++)
		usleep(2000);
	FAILS(ipsec_require(-1, NULL, NULL), EINVAL);
	CU_ASSERT_STRING_EQUAL(what_was_seen(&s)->created.demand.peer, "peer.example");
	CU_ASSERT_STRING_EQUAL(what_was_seen(&s)->created.demand.profile, "");
	app_stand_do(&s, first_stands, NULL);
	pthread_join(thread, &res);
	CU_ASSERT_EQUAL((intptr_t)res, 1);
	/* B7: a failure has its reason, as a number and in a sentence. */
	app_stand_do(&s, at_once, &broken);
	FAILS(ipsec_require(two, "secure", "peer.example"), EPROTO);
	CU_ASSERT_EQUAL(ipsec_last_reason(), IPSEC_REASON_NO_PROPOSAL);
	FAILS(ipsec_require(two, "no-such", "peer.example"), ENOENT);
	CU_ASSERT_EQUAL(ipsec_last_reason(), IPSEC_REASON_NONE);
	CU_ASSERT_STRING_EQUAL(ipsec_last_error(), "there is no profile 'no-such'");
	FAILS(ipsec_require(two, "a name that is much longer than a profile's", NULL), EINVAL);
	FAILS(ipsec_require(fd, NULL, "somebody.else"), EEXIST);
	close(fd);
	close(two);
	app_stand_down(&s);
}

/* The peer is known before the first packet: the socket is bound, the latch made, then connected.
 */
static void test_A3_connect(void)
{
	struct sockaddr_in sin = loop_addr(0);
	enum latch_state stands = LATCH_ESTABLISHED, broken = LATCH_BROKEN;
	int server = socket(AF_INET, SOCK_STREAM, 0), fd, udp_fd;
	struct app_stand s;

	CU_ASSERT_EQUAL(bind(server, (struct sockaddr *)&sin, sizeof(sin)), 0);
	CU_ASSERT_EQUAL(listen(server, 4), 0);
	sin = loop_addr(port_of(server));
	app_stand_up(&s);
	app_stand_do(&s, at_once, &stands);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	CU_ASSERT_EQUAL(
		ipsec_connect(fd, (struct sockaddr *)&sin, sizeof(sin), NULL, "peer.example", 1000),
		0);
	CU_ASSERT_EQUAL(what_was_seen(&s)->created.flow.local_port, port_of(fd));
	CU_ASSERT_EQUAL(seen.created.flow.local.b[0], 127);
	CU_ASSERT_EQUAL(seen.created.flow.remote_port, port_of(server));
	CU_ASSERT_EQUAL(send(fd, "x", 1, 0), 1);
	close(fd);
	/* No protection, no connection. */
	app_stand_do(&s, at_once, &broken);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	FAILS(ipsec_connect(fd, (struct sockaddr *)&sin, sizeof(sin), NULL, NULL, 1000), EPROTO);
	CU_ASSERT_EQUAL(send(fd, "x", 1, MSG_NOSIGNAL), -1);
	close(fd);
	/* A port that everybody has an address of is nobody's end. */
	udp_fd = socket(AF_INET, SOCK_DGRAM, 0);
	sin.sin_addr.s_addr = 0;
	sin.sin_port = 0;
	CU_ASSERT_EQUAL(bind(udp_fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	sin = loop_addr(9);
	FAILS(ipsec_connect(udp_fd, (struct sockaddr *)&sin, sizeof(sin), NULL, NULL, 10), EINVAL);
	FAILS(ipsec_connect(udp_fd, NULL, 0, NULL, NULL, 10), EINVAL);
	close(udp_fd);
	close(server);
	app_stand_down(&s);
}

static void test_timeout(void)
{
	struct sockaddr_in sin = loop_addr(9);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct app_stand s;

	app_stand_up(&s);
	FAILS(ipsec_connect(fd, (struct sockaddr *)&sin, sizeof(sin), NULL, NULL, 30), ETIMEDOUT);
	close(fd);
	app_stand_down(&s);
}

/* ---- latches -------------------------------------------------------------------------------- */

static void test_latches(void)
{
	static const enum ipsec_auth_method psk[] = {IPSEC_AUTH_PRESHAREDKEY},
					    weak[] = {IPSEC_AUTH_NONE};
	struct ipsec_latch_info info = {.size = sizeof(info)};
	struct ipsec_latch *latch, *found, *listener, *none = NULL;
	ipsec_pToken_t demand = ipsec_create_pToken();
	int fd = udp(9), server = udp(0);
	struct app_stand s;
	uint64_t number;

	app_stand_up(&s);
	ipsec_pToken_set_methods(demand, psk, 1);
	ipsec_pToken_set_bool(demand, IPSEC_API_ATTR_TUNNEL_MODE, true);
	CU_ASSERT_EQUAL_FATAL(ipsec_latch_create(&latch, fd, demand, IPSEC_LATCH_KEEP), 0);
	CU_ASSERT_TRUE(what_was_seen(&s)->created.keep);
	CU_ASSERT_EQUAL(seen.created.demand.methods[0], AUTH_METHOD_PSK);
	CU_ASSERT_EQUAL(seen.created.demand.tunnel, APP_ASK_YES);
	CU_ASSERT_EQUAL(seen.created.demand.privacy, APP_ASK_PROFILE);
	CU_ASSERT_EQUAL(ipsec_latch_inquire(latch, &info), 0);
	CU_ASSERT_EQUAL(info.state, IPSEC_LATCH_LARVAL);
	app_stand_do(&s, first_breaks, NULL);
	CU_ASSERT_EQUAL(ipsec_latch_inquire(latch, &info), 0);
	CU_ASSERT_EQUAL(info.state, IPSEC_LATCH_BROKEN);
	CU_ASSERT_EQUAL(info.reason, IPSEC_REASON_CERT_EXPIRED);
	CU_ASSERT_STRING_EQUAL(info.text, "the certificate is from last year");
	FAILS(ipsec_latch_create(&none, fd, NULL, 0), EEXIST);
	CU_ASSERT_EQUAL(ipsec_latch_find(&found, fd, 0), 0);
	CU_ASSERT_EQUAL(ipsec_latch_number(found), ipsec_latch_number(latch));
	ipsec_latch_free(found);
	CU_ASSERT_EQUAL(ipsec_latch_listen(&listener, server, NULL, 0), 0);
	CU_ASSERT_TRUE(what_was_seen(&s)->created.listener);
	CU_ASSERT_EQUAL(ipsec_latch_find(&found, server, IPSEC_LATCH_LISTENER), 0);
	ipsec_latch_free(found);
	FAILS(ipsec_latch_find(&none, server, 0), ENOENT);
	number = ipsec_latch_number(latch);
	CU_ASSERT_EQUAL(ipsec_latch_trigger(latch), 0);
	CU_ASSERT_EQUAL(what_was_seen(&s)->triggered, number);
	CU_ASSERT_EQUAL(ipsec_latch_delete(latch), 0);
	CU_ASSERT_EQUAL(what_was_seen(&s)->deleted, number);
	CU_ASSERT_EQUAL(ipsec_latch_reauthenticate(latch, demand), 0);
	CU_ASSERT_NOT_EQUAL(ipsec_latch_number(latch), number);
	CU_ASSERT_EQUAL(ipsec_latch_release(latch), 0);
	FAILS(ipsec_latch_find(&none, fd, 0), ENOENT);
	CU_ASSERT_EQUAL(ipsec_latch_release(listener), 0);
	/* What is not a demand, a flag, or a latch. */
	ipsec_pToken_set_methods(demand, weak, 1);
	(void)weak;
	FAILS(ipsec_latch_create(&none, fd, demand, 8), EINVAL);
	FAILS(ipsec_latch_inquire((struct ipsec_latch *)(void *)demand, &info), EINVAL);
	info.size = 1;
	FAILS(ipsec_latch_inquire(latch, &info), EINVAL);
	CU_ASSERT_PTR_NULL(none);
	ipsec_free_pToken(demand);
	close(fd);
	close(server);
	app_stand_down(&s);
}

/* L9: a kept latch is found again by its socket after a restart; one that did not survive is gone,
 * and one whose socket is another now is not taken for it. */
/* ---- several pairs of addresses ------------------------------------------------------------- */

static void other_pair(struct fake_app *f, void *arg)
{
	static const uint8_t here[] = {10, 1, 0, 1}, there[] = {10, 2, 0, 2};

	(void)arg;
	f->pair = (struct flow){.local = ip_addr_v4(here),
				.remote = ip_addr_v4(there),
				.local_port = 4001,
				.remote_port = 4000,
				.proto = IPPROTO_TCP};
}

/* mptcp - a socket of MPTCP, connected to one that listens at the port, if it is one. */
static int mptcp(uint16_t remote_port)
{
	struct sockaddr_in sin = loop_addr(0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);

	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	sin = loop_addr(remote_port);
	CU_ASSERT_EQUAL_FATAL(
		remote_port ? connect(fd, (struct sockaddr *)&sin, sizeof(sin)) : listen(fd, 1), 0);
	return fd;
}

/* L11: a latch is one pair's; what is required of a socket each pair that comes demands. */
static void test_L11_pairs(void)
{
	struct ipsec_latch *latch, *first, *found, *none = NULL;
	enum latch_state up = LATCH_ESTABLISHED;
	int listener = mptcp(0), fd = mptcp(port_of(listener)), plain = udp(9);
	struct ipsec_pair pairs[4], other = {0};
	ipsec_pToken_t token = ipsec_create_pToken();
	struct app_stand s;
	size_t num = 4;

	app_stand_up(&s);
	app_stand_do(&s, other_pair, NULL);
	CU_ASSERT_EQUAL_FATAL(ipsec_socket_pairs(fd, pairs, &num), 0);
	CU_ASSERT_EQUAL(num, 1);
	CU_ASSERT_EQUAL(ntohs(((struct sockaddr_in *)&pairs[0].remote)->sin_port),
			port_of(listener));
	CU_ASSERT_EQUAL(ntohs(((struct sockaddr_in *)&pairs[0].local)->sin_port), port_of(fd));
	num = 0;
	FAILS(ipsec_socket_pairs(fd, NULL, &num), ERANGE);
	CU_ASSERT_EQUAL(num, 1);
	FAILS(ipsec_socket_pairs(fd, NULL, NULL), EINVAL);
	FAILS(ipsec_socket_pairs(plain, pairs, &num), EOPNOTSUPP);
	FAILS(ipsec_socket_pairs(listener, pairs, &num), ENOTCONN);
	CU_ASSERT_EQUAL_FATAL(ipsec_latch_create(&first, fd, NULL, 0), 0);
	CU_ASSERT_EQUAL(what_was_seen(&s)->created.flow.local_port, port_of(fd));
	FAILS(ipsec_latch_create_pair(&none, fd, &pairs[0], NULL, 0), ENOENT); /* the fake's */
	FAILS(ipsec_latch_create_pair(&none, fd, &other, NULL, 0), EINVAL);
	FAILS(ipsec_latch_find_pair(&none, fd, NULL), EINVAL);
	*(struct sockaddr_in *)&other.local =
		(struct sockaddr_in){AF_INET, htons(4001), {htonl(0x0a010001)}, {0}};
	*(struct sockaddr_in *)&other.remote =
		(struct sockaddr_in){AF_INET, htons(4000), {htonl(0x0a020002)}, {0}};
	FAILS(ipsec_latch_find_pair(&none, fd, &other), ENOENT);
	CU_ASSERT_EQUAL_FATAL(ipsec_latch_create_pair(&latch, fd, &other, NULL, 0), 0);
	CU_ASSERT_EQUAL(what_was_seen(&s)->num_latches, 2);
	CU_ASSERT_EQUAL(memcmp(&seen.created.flow, &seen.pair, sizeof(seen.pair)), 0);
	CU_ASSERT_NOT_EQUAL(ipsec_latch_number(latch), ipsec_latch_number(first));
	CU_ASSERT_EQUAL(ipsec_latch_find_pair(&found, fd, &other), 0);
	CU_ASSERT_EQUAL(ipsec_latch_number(found), ipsec_latch_number(latch));
	ipsec_latch_free(found);
	CU_ASSERT_EQUAL(ipsec_latch_release(first), 0);
	CU_ASSERT_EQUAL(what_was_seen(&s)->num_latches, 1);
	CU_ASSERT_EQUAL(ipsec_latch_release(latch), 0);
	CU_ASSERT_EQUAL(what_was_seen(&s)->marked, 0);
	app_stand_do(&s, at_once, &up);
	app_stand_do(&s, any_flow, &(uint16_t){port_of(fd)});
	CU_ASSERT_EQUAL(ipsec_require(fd, NULL, NULL), 0);
	app_stand_do(&s, any_flow, &(uint16_t){4001});
	CU_ASSERT_EQUAL(what_was_seen(&s)->marked, seen.latches[0].token);
	CU_ASSERT_NOT_EQUAL(seen.marked, 0);
	FAILS(ipsec_get_pair_pToken(fd, &pairs[0], token), ENOENT);
	CU_ASSERT_EQUAL(ipsec_get_pair_pToken(fd, &other, token), 0);
	ipsec_free_pToken(token);
	app_stand_down(&s);
	close(fd);
	close(listener);
	close(plain);
}

static void test_L9_restart(void)
{
	struct ipsec_latch_info info = {.size = sizeof(info)};
	struct ipsec_latch *latch, *others;
	int fd = udp(9), other;
	struct app_stand s;

	app_stand_up(&s);
	CU_ASSERT_EQUAL_FATAL(ipsec_latch_create(&latch, fd, NULL, IPSEC_LATCH_KEEP), 0);
	app_stand_stop(&s);
	FAILS(ipsec_latch_inquire(latch, &info), ECONNREFUSED);
	s.fake.latches[0].id = 900; /* its number in the next life */
	app_stand_start(&s);
	CU_ASSERT_EQUAL(ipsec_latch_inquire(latch, &info), 0);
	CU_ASSERT_EQUAL(info.number, 900);
	CU_ASSERT_EQUAL(ipsec_latch_number(latch), 900);
	app_stand_stop(&s);
	app_stand_start(&s);
	other = udp(9);
	CU_ASSERT_EQUAL(ipsec_latch_create(&others, other, NULL, 0), 0);
	CU_ASSERT_EQUAL(dup2(other, fd), fd);
	FAILS(ipsec_latch_inquire(latch, &info), ESTALE);
	app_stand_do(&s, lose_latches, NULL);
	FAILS(ipsec_latch_release(latch), ESTALE);
	ipsec_latch_free(others);
	close(fd);
	close(other);
	app_stand_down(&s);
}

/* ---- events --------------------------------------------------------------------------------- */

static bool wait_for(int fd, struct ipsec_app_event *ev, enum ipsec_app_event_kind kind)
{
	for (int i = 0; i < 300; i++) {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		ev->size = sizeof(*ev);
		if (ipsec_event_next(ev) == 1)
			return ev->kind == kind;
		poll(&p, 1, 20);
	}
	return false;
}

static void test_events(void)
{
	struct ipsec_app_event ev = {.size = sizeof(ev)};
	struct ipsec_latch *latch;
	int fd = udp(9), events;
	struct app_stand s;
	struct pollfd p;

	app_stand_up(&s);
	events = ipsec_event_fd();
	CU_ASSERT_TRUE_FATAL(events >= 0);
	CU_ASSERT_EQUAL(ipsec_event_fd(), events);
	CU_ASSERT_EQUAL(ipsec_latch_create(&latch, fd, NULL, 0), 0);
	CU_ASSERT_EQUAL(ipsec_event_next(&ev), 0);
	p = (struct pollfd){.fd = events, .events = POLLIN};
	CU_ASSERT_EQUAL(poll(&p, 1, 0), 0);
	app_stand_do(&s, first_breaks, NULL);
	CU_ASSERT_EQUAL(poll(&p, 1, 2000), 1);
	CU_ASSERT_TRUE(wait_for(events, &ev, IPSEC_APP_EVENT_LATCH));
	CU_ASSERT_EQUAL(ev.latch, ipsec_latch_number(latch));
	CU_ASSERT_EQUAL(ev.state, IPSEC_LATCH_BROKEN);
	CU_ASSERT_EQUAL(ev.reason, IPSEC_REASON_CERT_EXPIRED);
	CU_ASSERT_STRING_EQUAL(ipsec_reason_text(ev.reason),
			       "the peer's certificate is out of date");
	CU_ASSERT_STRING_EQUAL(ev.text, "the certificate is from last year");
	/* A16: one is asked, and decides. */
	app_stand_do(&s, ask_about_first, NULL);
	CU_ASSERT_TRUE(wait_for(events, &ev, IPSEC_APP_EVENT_ASK));
	CU_ASSERT_EQUAL(ev.timeout_ms, 5000);
	CU_ASSERT_PTR_NOT_NULL_FATAL(ev.peer);
	CU_ASSERT_TRUE(says(ev.peer, IPSEC_API_ATTR_IDENTITY, "peer.example"));
	ipsec_free_iToken(ev.peer);
	CU_ASSERT_EQUAL(ipsec_decide(ev.ask, true), 0);
	CU_ASSERT_EQUAL(what_was_seen(&s)->decided, 77);
	CU_ASSERT_TRUE(seen.accepted);
	FAILS(ipsec_decide(ev.ask, true), ENOENT);
	/* What comes while a call waits is not lost. */
	app_stand_do(&s, first_stands, NULL);
	CU_ASSERT_EQUAL(ipsec_latch_trigger(latch), 0);
	CU_ASSERT_EQUAL(poll(&p, 1, 0), 1);
	CU_ASSERT_TRUE(wait_for(events, &ev, IPSEC_APP_EVENT_LATCH));
	CU_ASSERT_EQUAL(poll(&p, 1, 0), 0);
	ev.size = 3;
	FAILS(ipsec_event_next(&ev), EINVAL);
	ipsec_latch_free(latch);
	close(fd);
	app_stand_down(&s);
}

/* ---- paths ----------------------------------------------------------------------------------- */

static struct sockaddr_in v4(const char *text)
{
	struct sockaddr_in a = {.sin_family = AF_INET};

	CU_ASSERT_EQUAL(inet_pton(AF_INET, text, &a.sin_addr), 1);
	return a;
}

/* The fake engine's peers answer at once: there are none. */
static void no_peers(struct fake_app *f, void *arg)
{
	(void)arg;
	f->path_peers = 0;
}

static void refuses(struct fake_app *f, void *arg)
{
	f->path_result = *(enum err *)arg;
}

static void note_path(void *arg, const struct ipsec_path_info *path)
{
	struct ipsec_path_info *list = arg;

	CU_ASSERT_TRUE(path->number >= 1 && path->number <= 2);
	list[path->number - 1] = *path;
}

/* M10: each call says what it is for, and its errors what is wrong. */
static void test_M10_paths(void)
{
	static const struct {
		enum err err;
		int number;
	} errors[] = {{ERR_NOT_FOUND, ENOENT},       {ERR_PERM, EPERM},
		      {ERR_EXISTS, EEXIST},          {ERR_LIMIT, EDQUOT},
		      {ERR_UNSUPPORTED, EOPNOTSUPP}, {ERR_INVAL, EINVAL}};
	const struct sockaddr_in here = v4("192.0.2.1"), there = v4("192.0.2.2");
	const struct sockaddr *local = (const struct sockaddr *)&here,
			      *remote = (const struct sockaddr *)&there;
	struct ipsec_path_info list[2] = {0};
	struct sockaddr bad = {.sa_family = AF_UNIX};
	const struct fake_app *f;
	struct app_stand s;
	uint32_t number = 0;

	app_stand_up(&s);
	app_stand_do(&s, no_peers, NULL);
	CU_ASSERT_EQUAL(ipsec_path_add("gw", local, remote, 4, 0, &number), 0);
	f = what_was_seen(&s);
	CU_ASSERT_EQUAL(number, 3);
	CU_ASSERT_TRUE(f->path.act == ENGINE_PATH_ADD && f->path.priority == 4);
	CU_ASSERT_TRUE(f->path.weight == 1 && f->path.local.b[3] == 1 && f->path.remote.b[3] == 2);
	CU_ASSERT_EQUAL(ipsec_path_add("gw", local, NULL, 0, 9, NULL), 0);
	f = what_was_seen(&s);
	CU_ASSERT_TRUE(f->path.remote.family == 0 && f->path.weight == 9);
	CU_ASSERT_EQUAL(ipsec_path_move("gw", 7, false), 0);
	CU_ASSERT_EQUAL(what_was_seen(&s)->path.act, ENGINE_PATH_SOFT);
	CU_ASSERT_EQUAL(ipsec_path_move("gw", 7, true), 0);
	CU_ASSERT_EQUAL(what_was_seen(&s)->path.act, ENGINE_PATH_HARD);
	CU_ASSERT_EQUAL(ipsec_path_prefer("gw", 7), 0);
	CU_ASSERT_EQUAL(what_was_seen(&s)->path.act, ENGINE_PATH_PREFER);
	CU_ASSERT_EQUAL(ipsec_path_remove("gw", 7), 0);
	f = what_was_seen(&s);
	CU_ASSERT_TRUE(f->path.act == ENGINE_PATH_REMOVE && f->path.id == 7);
	FAILS(ipsec_path_remove("gw", 0), EINVAL);
	FAILS(ipsec_path_remove("gw", 65536), EINVAL);
	FAILS(ipsec_path_remove("", 1), EINVAL);
	FAILS(ipsec_path_remove(NULL, 1), EINVAL);
	FAILS(ipsec_path_add("gw", NULL, NULL, 0, 1, NULL), EINVAL);
	FAILS(ipsec_path_add("gw", &bad, NULL, 0, 1, NULL), EINVAL);
	FAILS(ipsec_path_add("gw", local, NULL, 256, 1, NULL), EINVAL);
	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		enum err err = errors[i].err;

		app_stand_do(&s, refuses, &err);
		FAILS(ipsec_path_move("gw", 7, false), errors[i].number);
		CU_ASSERT_STRING_EQUAL(ipsec_last_error(), "it is so");
	}
	CU_ASSERT_EQUAL(ipsec_each_path(note_path, list), 0);
	CU_ASSERT_STRING_EQUAL(list[0].peer, "peer.example");
	CU_ASSERT_TRUE(list[0].state == IPSEC_PATH_ACTIVE && list[0].udp && list[0].decides);
	CU_ASSERT_TRUE(list[0].rtt_us == 20500 && list[0].loss_permille == 15);
	CU_ASSERT_TRUE(list[0].tx_bytes == 1ull << 40 && list[0].rate == 1250000);
	CU_ASSERT_EQUAL(((struct sockaddr_in *)&list[0].local)->sin_port, htons(4500));
	CU_ASSERT_EQUAL(((struct sockaddr_in *)&list[0].local)->sin_addr.s_addr,
			here.sin_addr.s_addr);
	CU_ASSERT_TRUE(list[1].state == IPSEC_PATH_ASKED && list[1].rtt_us == 0);
	app_stand_down(&s);
}

static void path_moves(struct fake_app *f, void *arg)
{
	const struct engine_path_event ev = {
		.news = ENGINE_PATH_MOVED, .conn = "gw", .id = 2, .from = 1, .text = ""};

	(void)f;
	app_server_path_event(((struct app_stand *)arg)->server, &ev);
}

/* M10: a handover is an event; who was built before there were such gets the others alone. */
static void test_M10_path_event(void)
{
	const size_t before = offsetof(struct ipsec_app_event, news);
	struct ipsec_app_event ev = {.size = sizeof(ev)};
	struct ipsec_path_info list[2];
	struct app_stand s;
	int events;

	app_stand_up(&s);
	events = ipsec_event_fd();
	CU_ASSERT_EQUAL(ipsec_each_path(note_path, list), 0);
	while (ipsec_event_next(&ev) == 1)
		; /* of the daemon before */
	app_stand_do(&s, path_moves, &s);
	CU_ASSERT_TRUE(wait_for(events, &ev, IPSEC_APP_EVENT_PATH));
	CU_ASSERT_TRUE(ev.news == IPSEC_PATH_MOVED && ev.path == 2 && ev.from == 1);
	CU_ASSERT_STRING_EQUAL(ev.connection, "gw");
	app_stand_do(&s, path_moves, &s);
	CU_ASSERT_EQUAL(poll(&(struct pollfd){.fd = events, .events = POLLIN}, 1, 2000), 1);
	memset(&ev, 0x55, sizeof(ev));
	ev.size = before;
	CU_ASSERT_EQUAL(ipsec_event_next(&ev), 0);
	CU_ASSERT_EQUAL(ev.path, 0x55555555);
	app_stand_down(&s);
}

/* Who asks for events after the daemon was away gets them. */
static void test_events_after_a_restart(void)
{
	struct ipsec_app_event ev = {.size = sizeof(ev)};
	struct ipsec_latch *latch;
	int fd = udp(9), events;
	struct app_stand s;

	app_stand_up(&s);
	CU_ASSERT_EQUAL(ipsec_latch_create(&latch, fd, NULL, 0), 0);
	ipsec_latch_free(latch);
	app_stand_stop(&s);
	s.fake.num_latches = 0;
	app_stand_start(&s);
	events = ipsec_event_fd();
	CU_ASSERT_TRUE_FATAL(events >= 0);
	CU_ASSERT_EQUAL(ipsec_latch_create(&latch, fd, NULL, 0), 0);
	app_stand_do(&s, first_stands, NULL);
	for (int i = 0; i < 3 && !wait_for(events, &ev, IPSEC_APP_EVENT_LATCH); i++) {
	}
	CU_ASSERT_EQUAL(ev.state, IPSEC_LATCH_ESTABLISHED);
	ipsec_latch_free(latch);
	close(fd);
	app_stand_down(&s);
}

/* A daemon that goes and comes back is told, by the descriptor alone; events go on. */
static void test_events_restart(void)
{
	struct ipsec_app_event ev = {.size = sizeof(ev)};
	struct ipsec_latch *latch;
	int fd = udp(9), events;
	struct app_stand s;

	app_stand_up(&s);
	events = ipsec_event_fd();
	CU_ASSERT_EQUAL(ipsec_latch_create(&latch, fd, NULL, 0), 0);
	app_stand_stop(&s);
	CU_ASSERT_TRUE(wait_for(events, &ev, IPSEC_APP_EVENT_DISCONNECTED));
	s.fake.num_latches = 0;
	app_stand_start(&s);
	CU_ASSERT_TRUE(wait_for(events, &ev, IPSEC_APP_EVENT_RECONNECTED));
	ipsec_latch_free(latch);
	CU_ASSERT_EQUAL(ipsec_latch_create(&latch, fd, NULL, 0), 0);
	app_stand_do(&s, first_stands, NULL);
	CU_ASSERT_TRUE(wait_for(events, &ev, IPSEC_APP_EVENT_LATCH));
	CU_ASSERT_EQUAL(ev.state, IPSEC_LATCH_ESTABLISHED);
	ipsec_latch_free(latch);
	close(fd);
	app_stand_down(&s);
}

static void many(struct fake_app *f, void *arg)
{
	(void)arg;
	for (int i = 0; i < 400; i++)
		fake_app_state(f, f->latches[0].id, LATCH_BROKEN, IKE_REASON_NO_ANSWER, "");
}

/* Events that nobody takes are bounded, and that some were lost is told. */
static void test_events_lost(void)
{
	struct ipsec_app_event ev = {.size = sizeof(ev)};
	uint32_t num = 0, lost = 0;
	struct ipsec_latch *latch;
	int fd = udp(9);
	struct app_stand s;

	app_stand_up(&s);
	CU_ASSERT_TRUE(ipsec_event_fd() >= 0);
	CU_ASSERT_EQUAL(ipsec_latch_create(&latch, fd, NULL, 0), 0);
	app_stand_do(&s, many, NULL);
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(ipsec_latch_trigger(latch), 0);
		usleep(50000);
	}
	while (ipsec_event_next(&ev) == 1) {
		num += ev.kind == IPSEC_APP_EVENT_LATCH;
		lost += ev.kind == IPSEC_APP_EVENT_LOST;
	}
	CU_ASSERT_EQUAL(num, 256);
	CU_ASSERT_EQUAL(lost, 1);
	ipsec_latch_free(latch);
	close(fd);
	app_stand_down(&s);
}

/* ---- processes and threads ------------------------------------------------------------------ */

static void *hammer(void *arg)
{
	ipsec_pToken_t p = ipsec_create_pToken();
	int *fd = arg;
	intptr_t good = 0;

	for (int i = 0; i < 200; i++)
		good += ipsec_get_socket_pToken(*fd, p) == 0;
	ipsec_free_pToken(p);
	return (void *)good;
}

static void test_threads(void)
{
	pthread_t threads[6];
	int fd = udp(9);
	uint16_t port = port_of(fd);
	struct app_stand s;

	app_stand_up(&s);
	app_stand_do(&s, any_flow, &port);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		CU_ASSERT_EQUAL(pthread_create(&threads[i], NULL, hammer, &fd), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		void *good;

		pthread_join(threads[i], &good);
		CU_ASSERT_EQUAL((intptr_t)good, 200);
	}
	close(fd);
	app_stand_down(&s);
}

/* A forked child has a connection of its own; what its parent made is not his when he ends. */
static void test_fork(void)
{
	ipsec_pToken_t p = ipsec_create_pToken();
	int fd = udp(9), status;
	uint16_t port = port_of(fd);
	struct app_stand s;
	pid_t pid;

	app_stand_up(&s);
	app_stand_do(&s, any_flow, &port);
	CU_ASSERT_EQUAL(ipsec_get_socket_pToken(fd, p), 0);
	pid = fork();
	if (pid == 0)
		_exit(ipsec_get_socket_pToken(fd, p) ? 1 : 0);
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_EQUAL(status, 0);
	CU_ASSERT_EQUAL(ipsec_get_socket_pToken(fd, p), 0);
	CU_ASSERT_NOT_EQUAL(what_was_seen(&s)->gone, 0);
	CU_ASSERT_NOT_EQUAL(seen.gone & 0xffffffff, 1);
	ipsec_free_pToken(p);
	close(fd);
	app_stand_down(&s);
}

/* ---- profiles, credentials ------------------------------------------------------------------ */

static void note_profile(void *arg, const struct ipsec_profile *p)
{
	snprintf((char *)arg + strlen(arg), 64, "%s:%u:%s ", p->name, p->num_methods,
		 p->num_methods ? ipsec_auth_method_name(p->methods[0])
		 : p->bypass    ? "past"
				: "");
}

static void count_latch(void *arg, const struct ipsec_latch_info *info)
{
	*(uint32_t *)arg += info->number != 0;
}

static void test_A19_profiles(void)
{
	struct ipsec_profile p = {.size = sizeof(p),
				  .name = "mine",
				  .methods = {IPSEC_AUTH_PKIX_INLINE},
				  .num_methods = 1,
				  .privacy = true,
				  .integrity = true};
	static const char *const ids[] = {"a.example", "b.example"};
	char text[300] = "";
	struct ipsec_latch *latches[70];
	int fds[70];
	uint32_t num = 0;
	struct app_stand s;

	app_stand_up(&s);
	CU_ASSERT_EQUAL(ipsec_each_profile(note_profile, text), 0);
	CU_ASSERT_STRING_EQUAL(text, "secure:3:pkix-inline authenticated:1:psk bypass:0:past ");
	CU_ASSERT_EQUAL(ipsec_set_profile(&p), 0);
	CU_ASSERT_STRING_EQUAL(what_was_seen(&s)->set.name, "mine");
	CU_ASSERT_EQUAL(seen.set.methods[0], AUTH_METHOD_PKIX_INLINE);
	CU_ASSERT_EQUAL(seen.set.part, APP_PART_IKE_ONLY);
	p.num_methods = 0;
	FAILS(ipsec_set_profile(&p), EINVAL);
	memset(p.name, 'x', sizeof(p.name));
	FAILS(ipsec_set_profile(&p), EINVAL);
	CU_ASSERT_EQUAL(ipsec_add_secret(ids, 2, "correct horse", 13), 0);
	CU_ASSERT_STRING_EQUAL(what_was_seen(&s)->secret, "correct horse");
	CU_ASSERT_STRING_EQUAL(seen.ids, "a.example b.example ");
	CU_ASSERT_EQUAL(ipsec_add_certificate("certificate", 11, true), 0);
	CU_ASSERT_TRUE(what_was_seen(&s)->authority);
	FAILS(ipsec_add_certificate("?", 1, false), EINVAL);
	CU_ASSERT_STRING_EQUAL(ipsec_last_error(), "this is no certificate");
	FAILS(ipsec_add_secret(ids, 0, "x", 1), EINVAL);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = udp(9);
		CU_ASSERT_EQUAL(ipsec_latch_create(&latches[i], fds[i], NULL, 0), 0);
	}
	CU_ASSERT_EQUAL(ipsec_each_latch(count_latch, &num), 0);
	CU_ASSERT_EQUAL(num, ARRAY_LEN(fds));
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		ipsec_latch_free(latches[i]);
		close(fds[i]);
	}
	app_stand_down(&s);
}

static void test_no_daemon(void)
{
	ipsec_pToken_t p = ipsec_create_pToken();
	int fd = udp(9);
	char path[200];

	CU_ASSERT_EQUAL(ipsec_set_socket_path("/nonexistent/latchkey.app"), 0);
	FAILS(ipsec_get_socket_pToken(fd, p), ECONNREFUSED);
	CU_ASSERT_STRING_EQUAL(ipsec_last_error(), "no daemon answers: is latchkeyd running?");
	FAILS(ipsec_event_fd(), ECONNREFUSED);
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	FAILS(ipsec_set_socket_path(path), ENAMETOOLONG);
	ipsec_free_pToken(p);
	close(fd);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_no_daemon),
	TAP_TEST(test_A12_socket_token),
	TAP_TEST(test_D1_survives_a_restart),
	TAP_TEST(test_D4_message_token),
	TAP_TEST(test_D4_message_by_interface),
	TAP_TEST(test_D4_interface_is_forgotten),
	TAP_TEST(test_D4_marks_of_others),
	TAP_TEST(test_D4_interfaces_of_two_networks),
	TAP_TEST(test_message_to_send),
	TAP_TEST(test_A3_require),
	TAP_TEST(test_A3_connect),
	TAP_TEST(test_timeout),
	TAP_TEST(test_latches),
	TAP_TEST(test_L11_pairs),
	TAP_TEST(test_L9_restart),
	TAP_TEST(test_fork),
	TAP_TEST(test_threads),
	TAP_TEST(test_A19_profiles),
	TAP_TEST(test_events_after_a_restart),
	TAP_TEST(test_M10_paths),
	TAP_TEST(test_M10_path_event),
	TAP_TEST(test_events),
	TAP_TEST(test_events_restart),
	TAP_TEST(test_events_lost),
};

TAP_MAIN("ipsec", tests)
