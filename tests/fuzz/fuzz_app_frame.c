/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_app_frame: what a user of another host may send once his certificate was believed. The input
 * is who it is, the length of the parts that the stream comes in, and the stream:
 *	user | length | frames ...
 * Each message goes to the server, whose engine is the fake of tests/api, with a latch of a program
 * of this host to be had. The same stream in one part must give the same messages.
 */
#include "api/app/frame.h"
#include "api/app/server.h"
#include "base/log.h"
#include "tests/api/fake_app.h"

#include <stdlib.h>
#include <string.h>

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

/* What the server says can be read, and fits a frame. */
static void check_output(struct app_client *c)
{
	static struct app_frame f;
	struct bytes out;

	while ((out = app_client_output(c)).len > 0) {
		struct app_msg msg;

		must(app_frame_put(&f, out) == ERR_OK && app_frame_wants(&f) == 0);
		must(app_msg_parse(&msg, app_frame_message(&f).p, out.len) == ERR_OK);
		app_client_sent(c);
	}
}

/* One part; *whole counts messages. */
static enum err feed(struct app_frame *f, struct app_client *c, const uint8_t *p, size_t len,
		     uint32_t *whole)
{
	while (len > 0) {
		size_t wants = app_frame_wants(f), num = len < wants ? len : wants;
		enum err e;

		must(wants > 0 && f->len + num <= sizeof(f->bytes));
		memcpy(f->bytes + f->len, p, num);
		p += num;
		len -= num;
		e = app_frame_add(f, num);
		if (e)
			return e;
		if (app_frame_wants(f))
			continue;
		++*whole;
		if (c) {
			struct bytes m = app_frame_message(f);

			e = app_client_input(c, m.p, m.len, -1);
			check_output(c);
		}
		f->len = 0;
		if (e)
			return e;
	}
	return ERR_OK;
}

static uint32_t feed_parts(struct app_client *c, const uint8_t *p, size_t len, size_t part)
{
	static struct app_frame f;
	uint32_t whole = 0;
	enum err e = ERR_OK;

	f.len = 0;
	for (size_t at = 0; at < len && !e; at += part)
		e = feed(&f, c, p + at, len - at < part ? len - at : part, &whole);
	return whole;
}

/* Some program's, of this host. */
static void add_latch(struct fake_app *f)
{
	f->latches[0] = (struct app_latch){
		.id = 1, .uid = 1000, .client = 1, .cookie = 5, .state = LATCH_ESTABLISHED};
	f->num_latches = 1;
	f->last_id = 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct log_sink sink = {.write = quiet};
	static const struct conf_app conf = {
		.network = {.users = {{.name = "reader", .read_all = true},
				      {.name = "setter", .configure = true},
				      {.name = "admin", .admin = true}},
			    .num_users = 3},
		.clients_per_uid = 2,
		.latches_per_uid = 20,
		.requests_per_second = 100,
		.queue_per_uid = 1u << 20,
	};
	static const char *const names[] = {"reader", "setter", "admin", "stranger"};
	struct app_server *server;
	struct app_client *c;
	struct app_peer peer;
	struct fake_app fake;

	if (len < 2)
		return 0;
	log_use(&sink);
	fake_app_init(&fake);
	add_latch(&fake);
	must(app_server_new(&server, &fake.backend, &conf, 1) == ERR_OK);
	peer = app_peer_remote(names[data[0] % 4]);
	must(app_client_open(server, &c, &peer, wake, NULL) == ERR_OK);
	must(feed_parts(c, data + 2, len - 2, data[1] + 1u) <=
	     feed_parts(NULL, data + 2, len - 2, len));
	/* Nothing that is for a socket was done, whoever it was. */
	must(fake.num_inspected == 0 && fake.marked == 0 && fake.created.flow.proto == 0);
	app_client_close(c);
	app_server_free(server);
	fake_app_fini(&fake);
	return 0;
}
