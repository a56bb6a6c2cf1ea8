/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The library's back end as a program has it that embeds the engine: the server in the same
 * process, which is given the messages, without a socket.
 */
#include "api/app/proto.h"
#include "api/app/server.h"
#include "api/client/backend.h"
#include "api/include/latchkey/ipsec.h"
#include "tests/api/fake_app.h"
#include "tests/tap/tap.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* What an embedder has: a server, and one connection of this process. */
static struct {
	struct fake_app fake;
	struct app_server *server;
	struct app_client *client;
	int wake;
	bool full; /* send() has no room, once */
	uint32_t num_sent;
} here;

static void wake(void *ctx)
{
	uint64_t one = 1;

	(void)ctx;
	CU_ASSERT_EQUAL(write(here.wake, &one, sizeof(one)), sizeof(one));
}

static int here_open(void **out)
{
	struct app_peer self = {.uid = geteuid(), .gid = getegid(), .pid = getpid()};

	if (app_client_open(here.server, &here.client, &self, wake, NULL)) {
		errno = ECONNREFUSED;
		return -1;
	}
	here.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	*out = here.client;
	return 0;
}

static int here_send(void *conn, const void *bytes, size_t len, int fd)
{
	if (here.full) {
		here.full = false;
		errno = EAGAIN;
		return -1;
	}
	here.num_sent++;
	if (app_client_input(conn, bytes, len, fd)) {
		errno = ECONNRESET;
		return -1;
	}
	wake(NULL); /* the answer is there */
	return 0;
}

static ssize_t here_recv(void *conn, void *buf, size_t room)
{
	struct bytes out = app_client_output(conn);
	uint64_t num;

	if (out.len == 0 || out.len > room) {
		if (read(here.wake, &num, sizeof(num)) < 0)
			CU_ASSERT_EQUAL(errno, EAGAIN);
		errno = EAGAIN;
		return -1;
	}
	memcpy(buf, out.p, out.len);
	app_client_sent(conn);
	return (ssize_t)out.len;
}

static int here_fd(void *conn)
{
	(void)conn;
	return here.wake;
}

static void here_close(void *conn)
{
	app_client_close(conn);
	close(here.wake);
}

static const struct ipsec_backend backend = {
	.open = here_open,
	.send = here_send,
	.recv = here_recv,
	.fd = here_fd,
	.close = here_close,
};

static void on_event(void *ctx, const struct app_event *event)
{
	(void)ctx;
	app_server_event(here.server, event);
}

static void set_up(void)
{
	static const struct conf_app conf = {.clients_per_uid = 2,
					     .latches_per_uid = 10,
					     .requests_per_second = 1000,
					     .queue_per_uid = 1u << 20};

	memset(&here, 0, sizeof(here));
	fake_app_init(&here.fake);
	here.fake.tell = on_event;
	CU_ASSERT_EQUAL_FATAL(app_server_new(&here.server, &here.fake.backend, &conf, 1), ERR_OK);
	ipsec_backend_use(&backend);
}

static void tear_down(void)
{
	ipsec_backend_use(NULL);
	app_server_free(here.server);
	fake_app_fini(&here.fake);
}

static int udp(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	sin.sin_port = htons(9);
	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	return fd;
}

static void test_same_calls(void)
{
	ipsec_pToken_t token = ipsec_create_pToken();
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);
	char text[32];
	int fd = udp();

	set_up();
	here.fake.any_flow = true;
	CU_ASSERT_EQUAL(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	here.fake.classes[0].reaches = ntohs(sin.sin_port);
	CU_ASSERT_EQUAL(ipsec_get_socket_pToken(fd, token), 0);
	CU_ASSERT_EQUAL(ipsec_pToken_get_text(token, IPSEC_API_ATTR_SUITE, text, sizeof(text)), 0);
	CU_ASSERT_STRING_EQUAL(text, "AES_GCM_16-256");
	/* No room for a moment is waited for. */
	here.full = true;
	CU_ASSERT_EQUAL(ipsec_get_socket_pToken(fd, token), 0);
	ipsec_free_pToken(token);
	close(fd);
	tear_down();
}

static void test_events(void)
{
	struct ipsec_app_event ev = {.size = sizeof(ev)};
	struct ipsec_latch *latch;
	int fd = udp();

	set_up();
	CU_ASSERT_TRUE(ipsec_event_fd() >= 0);
	CU_ASSERT_EQUAL_FATAL(ipsec_latch_create(&latch, fd, NULL, 0), 0);
	CU_ASSERT_EQUAL(ipsec_event_next(&ev), 0);
	fake_app_state(&here.fake, ipsec_latch_number(latch), LATCH_ESTABLISHED, IKE_REASON_NONE,
		       "");
	CU_ASSERT_EQUAL(ipsec_event_next(&ev), 1);
	CU_ASSERT_EQUAL(ev.state, IPSEC_LATCH_ESTABLISHED);
	CU_ASSERT_EQUAL(ipsec_latch_release(latch), 0);
	CU_ASSERT_EQUAL(here.fake.num_latches, 0);
	close(fd);
	tear_down();
}

static const struct tap_test tests[] = {
	TAP_TEST(test_same_calls),
	TAP_TEST(test_events),
};

TAP_MAIN("ipsec_backend", tests)
