/* SPDX-License-Identifier: Apache-2.0 */
/* server.c - clients, their requests, and what they are told. */
#include "api/app/internal.h"

#include "base/alloc.h"

#include <stdio.h>
#include <unistd.h>

/* Denials of one user that are logged in a second. */
#define DENIALS_BURST 5

/* What it takes to turn somebody away. */
#define REFUSAL_NS (10 * NS_PER_US)

static const struct verb verbs[APP_NUM_VERBS] = {
	[APP_HELLO] = {0, FD_NONE, verb_hello},
	[APP_SOCKET_TOKEN] = {APP_RIGHT_READ_OWN, FD_SOCKET, verb_socket_token},
	[APP_TOKEN_INFO] = {APP_RIGHT_READ_OWN, FD_MAYBE_SOCKET, verb_token_info},
	[APP_LATCH_CREATE] = {APP_RIGHT_USE, FD_SOCKET, verb_latch_create},
	[APP_LATCH_RELEASE] = {APP_RIGHT_USE, FD_MAYBE_SOCKET, verb_latch_release},
	[APP_LATCH_FIND] = {APP_RIGHT_READ_OWN, FD_SOCKET, verb_latch_find},
	[APP_LATCH_INQUIRE] = {APP_RIGHT_READ_OWN, FD_MAYBE_SOCKET, verb_latch_inquire},
	[APP_REQUIRE] = {APP_RIGHT_USE, FD_SOCKET, verb_require},
	[APP_DEMAND] = {APP_RIGHT_USE, FD_SOCKET, verb_demand},
	[APP_REAUTHENTICATE] = {APP_RIGHT_INTERACT, FD_MAYBE_SOCKET, verb_reauthenticate},
	[APP_DELETE] = {APP_RIGHT_INTERACT, FD_MAYBE_SOCKET, verb_delete},
	[APP_TRIGGER] = {APP_RIGHT_INTERACT, FD_MAYBE_SOCKET, verb_trigger},
	[APP_DECIDE] = {APP_RIGHT_INTERACT, FD_NONE, verb_decide},
	[APP_EVENTS] = {APP_RIGHT_READ_OWN, FD_NONE, verb_events},
	[APP_PROFILES] = {APP_RIGHT_READ_OWN, FD_NONE, verb_profiles},
	[APP_PROFILE_SET] = {APP_RIGHT_CONFIGURE, FD_NONE, verb_profile_set},
	[APP_CREDENTIAL_ADD] = {APP_RIGHT_CONFIGURE, FD_FILE, verb_credential_add},
	[APP_LIST] = {APP_RIGHT_READ_ALL, FD_NONE, verb_list},
	[APP_RUN] = {APP_RIGHT_USE, FD_FILE, verb_run},
	[APP_INTERFACE_TOKEN] = {APP_RIGHT_READ_OWN, FD_SOCKET, verb_interface_token},
	[APP_PATH] = {APP_RIGHT_CONFIGURE, FD_NONE, verb_path},
	[APP_PATHS] = {APP_RIGHT_READ_ALL, FD_NONE, verb_paths},
};

static void doom(struct app_client *c)
{
	c->doomed = true;
	if (!c->in_input)
		c->wake(c->ctx);
}

/* ---- the server ----------------------------------------------------------------------------- */

enum err app_server_new(struct app_server **out, const struct app_backend *backend,
			const struct conf_app *conf, uint64_t instance)
{
	struct app_server *s = mem_alloc(sizeof(*s));
	enum err e = s ? htab_init(&s->by_id, rng_system()) : ERR_NOMEM;

	if (e) {
		mem_free(s);
		return e;
	}
	s->backend = backend;
	s->conf = *conf;
	s->instance = instance;
	/* A latch that outlives the daemon has a number of its last life. */
	s->next_client = instance << 32 | 1;
	list_init(&s->clients);
	list_init(&s->latches);
	list_init(&s->waits);
	list_init(&s->path_waits);
	list_init(&s->asks);
	app_users_init(&s->users);
	*out = s;
	return ERR_OK;
}

static void ask_free(struct ask *ask)
{
	list_remove(&ask->node);
	mem_free(ask);
}

void app_server_free(struct app_server *s)
{
	if (!s)
		return;
	assert(list_empty(&s->clients) && list_empty(&s->waits) && list_empty(&s->path_waits));
	list_for_each_safe (n, &s->latches)
		held_drop(s, list_entry(n, struct held, node));
	list_for_each_safe (n, &s->asks)
		ask_free(list_entry(n, struct ask, node));
	htab_fini(&s->by_id);
	app_users_fini(&s->users);
	mem_free(s);
}

void app_server_configure(struct app_server *s, const struct conf_app *conf)
{
	s->conf = *conf;
	list_for_each (n, &s->clients) {
		struct app_client *c = list_entry(n, struct app_client, node);

		c->rights = app_rights(conf, &c->peer);
		if (!app_peer_is_current(conf, &c->peer))
			doom(c);
	}
}

const struct conf_app *app_server_conf(const struct app_server *s)
{
	return &s->conf;
}

uint64_t app_server_now(const struct app_server *s)
{
	return s->backend->ops->now(s->backend->ctx);
}

void app_server_run(struct app_server *s, uint64_t now_ns)
{
	waits_run(s, now_ns);
	path_waits_run(s, now_ns);
}

uint64_t app_server_deadline(const struct app_server *s)
{
	const uint64_t latches = waits_deadline(s), paths = path_waits_deadline(s);

	return latches < paths ? latches : paths;
}

/* ---- clients -------------------------------------------------------------------------------- */

struct app_client *client_find(const struct app_server *s, uint64_t number)
{
	list_for_each (n, &s->clients) {
		struct app_client *c = list_entry(n, struct app_client, node);

		if (c->number == number)
			return c;
	}
	return NULL;
}

bool app_server_admits(struct app_server *s, const struct app_peer *peer)
{
	struct app_user *user;
	uint64_t now = app_server_now(s);

	if (s->num_clients == APP_CLIENTS_MAX || !app_peer_is_current(&s->conf, peer) ||
	    app_user_get(&s->users, &user, peer->uid, peer->user, now))
		return false;
	if (user->num_clients < s->conf.clients_per_uid &&
	    app_user_spend(user, s->conf.requests_per_second, now))
		return true;
	app_user_charge(user, REFUSAL_NS);
	return false;
}

enum err app_client_open(struct app_server *s, struct app_client **out, const struct app_peer *peer,
			 void (*wake)(void *ctx), void *ctx)
{
	struct app_user *user;
	struct app_client *c;

	if (s->num_clients == APP_CLIENTS_MAX)
		return ERR_FULL;
	TRY(app_user_get(&s->users, &user, peer->uid, peer->user, app_server_now(s)));
	if (user->num_clients >= s->conf.clients_per_uid)
		return ERR_FULL;
	c = mem_alloc(sizeof(*c));
	if (!c)
		return ERR_NOMEM;
	c->server = s;
	c->peer = *peer;
	c->user = user;
	c->number = s->next_client++;
	c->rights = app_rights(&s->conf, peer);
	c->wake = wake;
	c->ctx = ctx;
	list_init(&c->out);
	user->num_clients++;
	s->num_clients++;
	list_push_back(&s->clients, &c->node);
	*out = c;
	return ERR_OK;
}

static void drop_first(struct app_client *c)
{
	struct app_out *m = list_entry(c->out.next, struct app_out, node);

	list_remove(&m->node);
	c->queued -= m->len;
	c->user->queued -= m->len;
	mem_free(m);
}

static void asks_gone(struct app_server *s, uint64_t client)
{
	list_for_each_safe (n, &s->asks) {
		struct ask *ask = list_entry(n, struct ask, node);

		if (ask->client == client)
			ask_free(ask);
	}
}

void app_client_close(struct app_client *c)
{
	struct app_server *s = c->server;

	list_remove(&c->node);
	s->num_clients--;
	waits_gone(s, c);
	path_waits_gone(s, c);
	asks_gone(s, c->number);
	held_gone(s, c);
	s->backend->ops->latch_client_gone(s->backend->ctx, c->number);
	while (!list_empty(&c->out))
		drop_first(c);
	c->user->num_clients--;
	mem_free(c);
}

bool app_client_turn(struct app_client *c, uint64_t turn)
{
	if (c->user->turn == turn)
		return false;
	c->user->turn = turn;
	return true;
}

struct app_user *app_client_user(struct app_client *c)
{
	return c->user;
}

void app_client_charge(struct app_client *c, uint64_t worked_ns)
{
	app_user_charge(c->user, worked_ns);
}

uint64_t app_client_wait(struct app_client *c)
{
	return app_user_wait(c->user, c->server->conf.requests_per_second,
			     app_server_now(c->server));
}

struct bytes app_client_output(const struct app_client *c)
{
	const struct app_out *m;

	if (list_empty(&c->out))
		return bytes_of(NULL, 0);
	m = list_entry(c->out.next, struct app_out, node);
	return bytes_of(m->bytes, m->len);
}

void app_client_sent(struct app_client *c)
{
	drop_first(c);
}

bool app_client_doomed(const struct app_client *c)
{
	return c->doomed;
}

/* ---- sending -------------------------------------------------------------------------------- */

static bool has_room(const struct app_client *c, size_t len)
{
	return c->queued + len <= APP_CLIENT_QUEUE_MAX &&
	       c->user->queued + len <= c->server->conf.queue_per_uid;
}

void send_message(struct app_client *c, const struct writer *w)
{
	struct app_out *m = NULL;
	struct bytes bytes;

	if (c->doomed)
		return;
	if (!writer_finish(w, &bytes) && has_room(c, bytes.len))
		m = mem_alloc(sizeof(*m) + bytes.len);
	if (!m) {
		doom(c);
		return;
	}
	m->len = bytes.len;
	memcpy(m->bytes, bytes.p, bytes.len);
	list_push_back(&c->out, &m->node);
	c->queued += m->len;
	c->user->queued += m->len;
	if (!c->in_input)
		c->wake(c->ctx);
}

/* ---- requests ------------------------------------------------------------------------------- */

enum err deny(struct call *call, enum err e, const char *why)
{
	char who[APP_PEER_TEXT_MAX];

	if (log_limited(&call->client->user->denials, DENIALS_BURST, app_server_now(call->server)))
		LOG(WARN, CFG, NULL, "%s is refused %s: %s",
		    app_peer_text(who, &call->client->peer), app_verb_name(call->msg->verb), why);
	return e;
}

static void begin_answer(struct call *call, uint8_t flags, uint16_t code)
{
	call->out.len = 0;
	call->out.err = ERR_OK;
	app_put_header(&call->out, call->msg->verb, APP_F_ANSWER | flags, code, call->msg->id);
}

void send_part(struct call *call)
{
	call->out.buf[3] |= APP_F_MORE;
	send_message(call->client, &call->out);
	begin_answer(call, 0, APP_OK);
}

/* A socket of another network, or with an address that is not here, is nobody's. Which of its
 * pairs of addresses is meant may be said: it is one that the kernel knows it by. */
static enum err look_at_socket(struct call *call)
{
	struct host_socket sock = {0};
	struct flow pair;
	bool named = !app_attr_flow(call->in, APP_A_PAIR, &pair);
	enum err e = call->ops->socket_inspect(call->ctx, &sock, call->fd, named ? &pair : NULL);

	if (e == ERR_NOT_FOUND)
		return deny(call, e, "the socket has no such pair of addresses");
	if (e)
		return e == ERR_SYS ? ERR_INVAL : e;
	if (!sock.here)
		return deny(call, ERR_NOT_FOUND, "the socket is not of this network");
	call->sock = sock;
	call->has_sock = true;
	if (sock.cookie)
		call->ops->latch_socket_seen(call->ctx, &sock);
	return ERR_OK;
}

/* What is done for a socket or a file is done for who has it here. */
static enum err look_from_where(struct call *call, const struct verb *v)
{
	if (!app_peer_is_remote(&call->client->peer) || (v->fd != FD_SOCKET && v->fd != FD_FILE))
		return ERR_OK;
	snprintf(call->text, sizeof(call->text),
		 "a caller from another host has no socket and no file here");
	return deny(call, ERR_PERM, "it needs a descriptor of this host");
}

static enum err look_at_fd(struct call *call, const struct verb *v)
{
	if (call->fd >= 0 && v->fd == FD_NONE)
		return ERR_INVAL;
	if (call->fd < 0 && (v->fd == FD_SOCKET || v->fd == FD_FILE))
		return ERR_INVAL;
	return call->fd >= 0 && v->fd != FD_FILE ? look_at_socket(call) : ERR_OK;
}

static enum err run(struct call *call)
{
	uint16_t verb = call->msg->verb;
	const struct verb *v = verb < APP_NUM_VERBS && verbs[verb].run ? &verbs[verb] : NULL;

	if (!v)
		return ERR_UNSUPPORTED;
	TRY(look_from_where(call, v));
	if ((call->client->rights & v->right) != v->right)
		return deny(call, ERR_PERM, "the user has not the right");
	TRY(look_at_fd(call, v));
	return v->run(call);
}

/* PEER: the answer is in place, and says FAILED. */
static void answer(struct call *call, enum err e)
{
	if (e == ERR_PEER) {
		store_be16(call->out.buf + 6, APP_FAILED);
	} else if (e) {
		begin_answer(call, 0, (uint16_t)app_code_of(e));
		app_put_text(&call->out, APP_A_TEXT, call->text[0] ? call->text : err_text(e));
	}
	send_message(call->client, &call->out);
}

static void handle(struct app_client *c, const struct app_msg *msg, int fd)
{
	uint8_t buf[APP_MESSAGE_MAX];
	struct call call = {
		.client = c,
		.server = c->server,
		.ops = c->server->backend->ops,
		.ctx = c->server->backend->ctx,
		.msg = msg,
		.in = &msg->attrs,
		.fd = fd,
	};
	enum err e;

	writer_init(&call.out, buf, sizeof(buf));
	begin_answer(&call, 0, APP_OK);
	if (app_user_spend(c->user, c->server->conf.requests_per_second,
			   app_server_now(c->server))) {
		e = run(&call);
	} else {
		snprintf(call.text, sizeof(call.text), "too many requests a second");
		e = deny(&call, ERR_FULL, "too many requests");
	}
	if (!call.deferred)
		answer(&call, e);
}

enum err app_client_input(struct app_client *c, const void *bytes, size_t len, int fd)
{
	struct app_msg msg;
	enum err e = app_msg_parse(&msg, bytes, len);

	if (!e && (msg.flags || msg.code))
		e = ERR_MALFORMED;
	c->in_input = true;
	if (!e)
		handle(c, &msg, fd);
	c->in_input = false;
	return e;
}

/* ---- events --------------------------------------------------------------------------------- */

/* Whose the latch is now: who found it has it from who made it. */
static struct app_client *client_of(const struct app_server *s, const struct app_event *event)
{
	const struct held *rec = event->latch ? held_find(s, event->latch->id) : NULL;

	return client_find(s, rec ? rec->client : event->client);
}

static enum err note_ask(struct app_server *s, const struct app_event *event,
			 const struct app_client *c)
{
	struct ask *ask;
	uint32_t num = 0;

	list_for_each_safe (n, &s->asks) {
		ask = list_entry(n, struct ask, node);
		if (ask->deadline_ns <= app_server_now(s))
			ask_free(ask);
		else
			num += ask->client == c->number;
	}
	ask = num < APP_ASKS_MAX ? mem_alloc(sizeof(*ask)) : NULL;
	if (!ask)
		return ERR_FULL;
	ask->id = event->ask;
	ask->maker = event->client;
	ask->client = c->number;
	ask->deadline_ns = event->deadline_ns;
	list_push_back(&s->asks, &ask->node);
	return ERR_OK;
}

static void put_ask(struct writer *w, const struct app_event *event, uint64_t now_ns)
{
	uint64_t left = event->deadline_ns > now_ns ? event->deadline_ns - now_ns : 0;
	size_t mark;

	app_put_u64(w, APP_A_ASK, event->ask);
	app_put_u32(w, APP_A_TIMEOUT_MS,
		    left / NS_PER_MS < UINT32_MAX ? (uint32_t)(left / NS_PER_MS) : UINT32_MAX);
	if (!event->proof)
		return;
	mark = app_begin(w, APP_A_CLASS);
	put_proof(w, event->proof);
	app_end(w, mark);
}

static void tell(struct app_client *c, const struct app_event *event)
{
	static const uint16_t kinds[] = {
		[APP_EVENT_LATCH] = APP_EV_LATCH,
		[APP_EVENT_SPAWNED] = APP_EV_SPAWNED,
		[APP_EVENT_ASK] = APP_EV_ASK,
	};
	uint8_t buf[APP_MESSAGE_MAX];
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	app_put_header(&w, kinds[event->kind], APP_F_EVENT, APP_OK, 0);
	if (event->kind == APP_EVENT_SPAWNED)
		app_put_u64(&w, APP_A_PARENT, event->parent);
	if (event->kind == APP_EVENT_ASK)
		put_ask(&w, event, app_server_now(c->server));
	if (event->latch)
		put_latch(&w, event->latch);
	send_message(c, &w);
}

static void ask(struct app_server *s, struct app_client *c, const struct app_event *event)
{
	if (c && c->events && c->rights & APP_RIGHT_INTERACT && !note_ask(s, event, c))
		tell(c, event);
	else
		(void)s->backend->ops->decide(s->backend->ctx, event->client, event->ask, false);
}

/* Who asks from another host has no latch of his own: he is told of all, if he may read them. */
static void tell_readers(struct app_server *s, const struct app_event *event)
{
	list_for_each (n, &s->clients) {
		struct app_client *c = list_entry(n, struct app_client, node);

		if (app_peer_is_remote(&c->peer) && c->events && c->rights & APP_RIGHT_READ_ALL)
			tell(c, event);
	}
}

/* A listener's connections are its client's, and count for nothing. */
static void note_spawned(struct app_server *s, const struct app_event *event)
{
	const struct held *parent = held_find(s, event->parent);
	uint64_t client = parent ? parent->client : event->client;

	if (held_add(s, event->latch, client, false, parent && parent->keep))
		LOG(WARN, CFG, NULL, "no memory for a listener's new latch");
}

void app_server_event(struct app_server *s, const struct app_event *event)
{
	struct held *rec;
	struct app_client *c;

	if (event->kind == APP_EVENT_SPAWNED && event->latch)
		note_spawned(s, event);
	c = client_of(s, event);
	if (event->kind == APP_EVENT_ASK) {
		ask(s, c, event);
		return;
	}
	if (!event->latch)
		return;
	if (event->kind == APP_EVENT_CGROUP) {
		cgroup_event(s, event->latch);
		return;
	}
	if (c && c->events)
		tell(c, event);
	tell_readers(s, event);
	wait_tell(s, event->latch);
	rec = event->gone ? held_find(s, event->latch->id) : NULL;
	if (rec)
		held_drop(s, rec);
}
