/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_app_ipc: what a program may send to the application socket. The input is a user, then
 * messages of one connection, each with a descriptor or none:
 *	user | descriptor, length (16), message | ...
 * They go to the server, whose engine is the fake of tests/api; between them latches change their
 * state and peers are asked about. Each message goes through the parser alone as well.
 */
#include "api/app/proto.h"
#include "api/app/server.h"
#include "base/log.h"
#include "tests/api/fake_app.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void wake(void *ctx)
{
	(void)ctx;
}

static void quiet(void *ctx, enum log_level level, enum log_subsystem sub, const char *connection,
		  const char *line)
{
	(void)ctx;
	(void)level;
	(void)sub;
	(void)connection;
	(void)line;
}

static int some_socket(bool connected)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	must(bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0);
	sin.sin_port = htons(9);
	if (connected)
		must(connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0);
	return fd;
}

static int some_file(void)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	must(write(fd, "secret", 6) == 6);
	must(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0);
	return fd;
}

static int descriptor(uint8_t kind)
{
	static int fds[4];

	if (!fds[0]) {
		fds[0] = some_socket(true);
		fds[1] = some_socket(false);
		fds[2] = some_file();
		fds[3] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
	return kind < 4 ? fds[kind] : -1;
}

static void on_event(void *ctx, const struct app_event *event)
{
	app_server_event(ctx, event);
}

/* What the server says can be read. */
static void check_output(struct app_client *c)
{
	struct bytes out;

	while ((out = app_client_output(c)).len > 0) {
		struct app_msg msg;

		must(app_msg_parse(&msg, out.p, out.len) == ERR_OK);
		must(msg.flags & (APP_F_ANSWER | APP_F_EVENT));
		app_client_sent(c);
	}
}

/* Each latch goes on to its next state. */
static void stir(struct fake_app *f, struct app_server *server)
{
	const struct engine_path_event news[] = {
		{.news = ENGINE_PATH_MOVED, .conn = "gw", .id = 2, .from = 1, .text = ""},
		{.news = ENGINE_PATH_REFUSED, .request = f->path.request, .text = "a reason"},
	};
	struct app_latch *l = f->num_latches ? &f->latches[f->num_latches - 1] : NULL;

	/* Every other peer answers what was said of a path. */
	for (size_t i = 0; i < ARRAY_LEN(news); i++)
		if (i == 0 || news[i].request % 2)
			app_server_path_event(server, &news[i]);
	if (!l)
		return;
	fake_app_ask(f, l->id, l->id);
	if (l->listener && f->num_latches < 8)
		fake_app_spawn(f, l->id, &l->flow);
	else
		fake_app_state(f, l->id,
			       l->state == LATCH_LARVAL ? LATCH_ESTABLISHED : LATCH_BROKEN,
			       IKE_REASON_NO_ANSWER, "a reason");
	f->now_ns += NS_PER_S;
}

static enum err one(struct app_client *c, struct reader *r)
{
	struct bytes message;
	struct app_msg alone;
	uint8_t kind;
	uint16_t len;

	if (reader_u8(r, &kind) || reader_u16(r, &len) || reader_bytes(r, &message, len))
		return ERR_TRUNCATED;
	if (!app_msg_parse(&alone, message.p, message.len))
		must(alone.attrs.num <= APP_ATTRS_MAX);
	return app_client_input(c, message.p, message.len, descriptor(kind));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct log_sink sink = {.write = quiet};
	static const struct conf_app conf = {.interact = {.uids = {1, 2}, .num_uids = 2},
					     .configure = {.uids = {2}, .num_uids = 1},
					     .clients_per_uid = 2,
					     .latches_per_uid = 20,
					     .requests_per_second = 100,
					     .queue_per_uid = 1u << 20};
	struct app_peer peer = {0};
	struct app_server *server;
	struct app_client *c;
	struct fake_app fake;
	struct reader r;
	uint8_t user = 0;

	log_use(&sink);
	fake_app_init(&fake);
	must(app_server_new(&server, &fake.backend, &conf, 1) == ERR_OK);
	fake.tell = on_event;
	fake.tell_ctx = server;
	reader_init(&r, data, len);
	if (!reader_u8(&r, &user))
		peer.uid = user % 4;
	must(app_client_open(server, &c, &peer, wake, NULL) == ERR_OK);
	while (fake.num_latches < 64 && !one(c, &r)) {
		check_output(c);
		stir(&fake, server);
		check_output(c);
	}
	app_server_run(server, TIME_NEVER - 1);
	check_output(c);
	app_client_close(c);
	app_server_free(server);
	fake_app_fini(&fake);
	return 0;
}
