/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/api/app_bench.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/tap/tap.h"

void bench_wake(void *ctx)
{
	((struct bench *)ctx)->num_wakes++;
}

static void on_event(void *ctx, const struct app_event *event)
{
	app_server_event(((struct bench *)ctx)->server, event);
}

void bench_open(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	fake_app_init(&b->fake);
	b->conf = (struct conf_app){
		.interact = {.uids = {INTERACTS}, .num_uids = 1},
		.configure = {.uids = {SETTER}, .num_uids = 1},
		.read_all = {.uids = {READER}, .num_uids = 1},
		.clients_per_uid = 4,
		.latches_per_uid = 3,
		.requests_per_second = 1000,
		.queue_per_uid = 1u << 20,
	};
	CU_ASSERT_EQUAL_FATAL(app_server_new(&b->server, &b->fake.backend, &b->conf, 5), ERR_OK);
	b->fake.tell = on_event;
	b->fake.tell_ctx = b;
}

void bench_close(struct bench *b)
{
	app_server_free(b->server);
	fake_app_fini(&b->fake);
}

struct app_client *bench_client(struct bench *b, uint32_t uid)
{
	struct app_peer peer = {.uid = uid, .gid = uid, .pid = 1};
	struct app_client *c = NULL;

	CU_ASSERT_EQUAL_FATAL(app_client_open(b->server, &c, &peer, bench_wake, b), ERR_OK);
	return c;
}

void bench_begin(struct bench *b, uint16_t verb)
{
	writer_init(&b->w, b->bytes, sizeof(b->bytes));
	app_put_header(&b->w, verb, 0, 0, ++b->last_id);
}

enum err bench_submit(struct bench *b, struct app_client *c, int fd)
{
	struct bytes out;

	CU_ASSERT_EQUAL_FATAL(writer_finish(&b->w, &out), ERR_OK);
	return app_client_input(c, out.p, out.len, fd);
}

bool bench_take(struct app_client *c, struct app_msg *msg, uint8_t *copy)
{
	struct bytes out = app_client_output(c);

	if (out.len == 0)
		return false;
	memcpy(copy, out.p, out.len);
	app_client_sent(c);
	CU_ASSERT_EQUAL_FATAL(app_msg_parse(msg, copy, out.len), ERR_OK);
	return true;
}

enum app_code bench_ask(struct bench *b, struct app_client *c, int fd, struct answer *a)
{
	CU_ASSERT_EQUAL_FATAL(bench_submit(b, c, fd), ERR_OK);
	if (!bench_take(c, &a->msg, a->bytes))
		return APP_NUM_CODES;
	CU_ASSERT_EQUAL(a->msg.flags & ~APP_F_MORE, APP_F_ANSWER);
	CU_ASSERT_EQUAL(a->msg.id, b->last_id);
	return (enum app_code)a->msg.code;
}

uint64_t answer_u64(const struct answer *a, uint16_t type)
{
	return app_attr_u64(&a->msg.attrs, type, 0);
}

bool bench_silent(const struct app_client *c)
{
	return app_client_output(c).len == 0;
}

int bench_udp(uint16_t remote_port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	sin.sin_port = htons(remote_port);
	if (remote_port)
		CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	return fd;
}

uint64_t bench_latch(struct bench *b, struct app_client *c, int fd, bool keep)
{
	struct answer a;

	bench_begin(b, APP_LATCH_CREATE);
	app_put_bool(&b->w, APP_A_KEEP, keep);
	CU_ASSERT_EQUAL(bench_ask(b, c, fd, &a), APP_OK);
	return answer_u64(&a, APP_A_LATCH);
}

uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	CU_ASSERT_EQUAL(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len), 0);
	return cookie;
}

uint16_t port_of(int fd)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);

	CU_ASSERT_EQUAL(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	return ntohs(sin.sin_port);
}

const uint32_t users[] = {PLAIN, INTERACTS, SETTER, READER, 0};
