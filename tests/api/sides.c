/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/api/sides.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "tests/tap/tap.h"

#define PATIENCE_MS 20000

uv_loop_t sides_loop;
bool sides_late;

static uv_timer_t watchdog;

void side_event(struct engine_observer *o, const struct ike_event *ev)
{
	struct side *s = container_of(o, struct side, observer);

	if (ev->kind == IKE_EVENT_CHILD_UP)
		s->ups++;
	if (ev->kind == IKE_EVENT_CHILD_DOWN)
		s->downs++;
	if (ev->kind == IKE_EVENT_FAILED) {
		s->failures++;
		s->requests |= 1u << (ev->request & 31);
		s->reason = ev->reason;
		snprintf(s->why, sizeof(s->why), "%s", ev->text);
	}
}

struct conf *side_conf(const char *text)
{
	struct conf_diags diags = {0};
	struct tree *tree;
	struct conf *conf;

	if (conf_parse_text(&tree, &diags, "test", text, strlen(text)))
		goto fail;
	if (conf_new(&conf, &diags, tree)) {
		tree_free(tree);
		goto fail;
	}
	tree_free(tree);
	return conf;
fail:
	for (uint32_t i = 0; i < diags.num; i++)
		tap_diag("%s", diags.list[i].text);
	return NULL;
}

const char *side_text(bool first, const char *action, const char *secret)
{
	const unsigned own = SIDES_PORT + (first ? 0 : 2), other = SIDES_PORT + (first ? 2 : 0);
	static char text[2][1024];

	snprintf(text[first], sizeof(text[first]),
		 "latchkey {\n interface = %s\n port = %u\n port_nat_t = %u\n}\n"
		 "connections { net {\n local_addrs = 127.0.0.1\n remote_addrs = 127.0.0.1\n"
		 " remote_port = %u\n"
		 " local { auth = psk\n id = %s }\n remote { auth = psk\n id = %s }\n"
		 " children { net { local_ts = %s\n remote_ts = %s\n start_action = %s } } } }\n"
		 "secrets { ike { secret = %s } }\n",
		 first ? "lka" : "lkb", own, own + 1, other + 1, first ? "a.example" : "b.example",
		 first ? "b.example" : "a.example", first ? "10.1.0.0/24" : "10.2.0.0/24",
		 first ? "10.2.0.0/24" : "10.1.0.0/24", action, secret);
	return text[first];
}

const char *with(const char *text, const char *what, const char *instead)
{
	static char texts[4][1300];
	static int turn;
	const char *at = strstr(text, what);
	char made[sizeof(texts[0])]; /* text may be one of ours */

	CU_ASSERT_FATAL(at != NULL);
	snprintf(made, sizeof(made), "%.*s%s%s", (int)(at - text), text, instead,
		 at + strlen(what));
	turn = (turn + 1) % 4;
	return memcpy(texts[turn], made, strlen(made) + 1);
}

struct ip_addr loopback(void)
{
	const uint8_t bytes[4] = {127, 0, 0, 1};

	return ip_addr_v4(bytes);
}

static void on_engine(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	engine_dispatch(poll->data);
}

void side_listen(struct side *s)
{
	s->poll = mem_alloc(sizeof(*s->poll));
	CU_ASSERT_FATAL(s->poll != NULL);
	CU_ASSERT_FATAL(uv_poll_init(&sides_loop, s->poll, engine_fd(s->engine)) == 0);
	s->poll->data = s->engine;
	uv_poll_start(s->poll, UV_READABLE, on_engine);
}

static void free_poll(uv_handle_t *handle)
{
	mem_free(handle);
}

void side_open_by(struct side *s, const char *text, struct ip_addr source,
		  uint64_t (*now)(void *ctx))
{
	struct engine_params params = {.polled = now != NULL, .now = now};

	memset(s, 0, sizeof(*s));
	fake_host_init(&s->host);
	s->host.source4 = source;
	params.host = s->host.host;
	params.conf = side_conf(text);
	CU_ASSERT_FATAL(params.conf != NULL);
	CU_ASSERT_FATAL(engine_new(&s->engine, &params) == ERR_OK);
	conf_put(params.conf);
	side_listen(s);
	s->observer.event = side_event;
	engine_observe(s->engine, &s->observer);
}

void side_open_at(struct side *s, const char *text, struct ip_addr source)
{
	side_open_by(s, text, source, NULL);
}

void side_open(struct side *s, const char *text)
{
	side_open_at(s, text, loopback());
}

void side_close(struct side *s)
{
	uv_close((uv_handle_t *)s->poll, free_poll);
	engine_free(s->engine);
	uv_run(&sides_loop, UV_RUN_NOWAIT);
	fake_host_fini(&s->host);
}

static void on_watchdog(uv_timer_t *t)
{
	(void)t;
	sides_late = true;
}

void sides_begin(void)
{
	uv_loop_init(&sides_loop);
	uv_timer_init(&sides_loop, &watchdog);
	sides_late = false;
	uv_timer_start(&watchdog, on_watchdog, PATIENCE_MS, 0);
}

void sides_end(void)
{
	uv_close((uv_handle_t *)&watchdog, NULL);
	uv_run(&sides_loop, UV_RUN_DEFAULT);
	CU_ASSERT(uv_loop_close(&sides_loop) == 0);
}

bool wait_for(const unsigned *count, unsigned n)
{
	while (*count < n && !sides_late)
		uv_run(&sides_loop, UV_RUN_ONCE);
	return *count >= n;
}

static void count(uv_timer_t *t)
{
	*(unsigned *)t->data += 1;
}

void turn_for(uint64_t ms)
{
	unsigned over = 0;
	uv_timer_t timer;

	uv_timer_init(&sides_loop, &timer);
	timer.data = &over;
	uv_timer_start(&timer, count, ms, 0);
	while (!over)
		uv_run(&sides_loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(&sides_loop, UV_RUN_NOWAIT);
}

static void nothing(uv_timer_t *t)
{
	(void)t;
}

bool poll_frame(struct side *s, size_t num)
{
	uv_timer_t tick;

	s->frame_len = -1;
	uv_timer_init(&sides_loop, &tick);
	uv_timer_start(&tick, nothing, 1, 1);
	do {
		uv_run(&sides_loop, UV_RUN_ONCE);
		for (size_t i = 0; i < num && s->frame_len < 0; i++)
			s->frame_len =
				recv(s->host.tap_peers[i], s->frame, FRAME_MAX, MSG_DONTWAIT);
	} while (s->frame_len < 0 && !sides_late);
	uv_close((uv_handle_t *)&tick, NULL);
	uv_run(&sides_loop, UV_RUN_NOWAIT);
	return s->frame_len > 0;
}

size_t make_frame(uint8_t frame[FRAME_MAX], uint8_t from_net, uint8_t to_net, size_t payload)
{
	const uint8_t src[4] = {10, from_net, 0, 1}, dst[4] = {10, to_net, 0, 1};
	uint8_t *ip = frame + ETH_LEN;
	size_t len = 28 + payload;

	memset(frame, 0, ETH_LEN + 28);
	store_be16(frame + 12, 0x0800);
	ip[0] = 0x45;
	store_be16(ip + 2, (uint16_t)len);
	ip[8] = 64;
	ip[9] = 17;
	memcpy(ip + 12, src, 4);
	memcpy(ip + 16, dst, 4);
	store_be16(ip + 20, 4000);
	store_be16(ip + 22, 9);
	store_be16(ip + 24, (uint16_t)(8 + payload));
	for (size_t i = 0; i < payload; i++)
		ip[28 + i] = (uint8_t)(i * 7 + from_net);
	return ETH_LEN + len;
}

void send_and_check(struct side *from, struct side *to, uint8_t from_net, uint8_t to_net)
{
	uint8_t frame[FRAME_MAX];
	size_t len = make_frame(frame, from_net, to_net, 500);

	CU_ASSERT(send(from->host.tap_peers[0], frame, len, 0) == (ssize_t)len);
	CU_ASSERT_FATAL(poll_frame(to, 1));
	CU_ASSERT((size_t)to->frame_len == len);
	CU_ASSERT(memcmp(to->frame + ETH_LEN, frame + ETH_LEN, len - ETH_LEN) == 0);
}
