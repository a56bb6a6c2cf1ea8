/* SPDX-License-Identifier: Apache-2.0 */
/* server.c - clients, their buffers, and the packets they send. */
#include "api/vici/server.h"

#include "api/vici/internal.h"
#include "base/alloc.h"
#include "base/secret.h"

#include <stdio.h>

/* in: a packet and its length; more has to wait in the socket's buffer or is too much. */
#define IN_MAX (VICI_LEN_SIZE + VICI_PACKET_MAX + 4096)

static const char *const event_names[EV_NUM] = {
	[EV_LOG] = "log",
	[EV_CONTROL_LOG] = "control-log",
	[EV_LIST_SA] = "list-sa",
	[EV_LIST_POLICY] = "list-policy",
	[EV_LIST_CONN] = "list-conn",
	[EV_LIST_CERT] = "list-cert",
	[EV_LIST_AUTHORITY] = "list-authority",
	[EV_IKE_UPDOWN] = "ike-updown",
	[EV_IKE_REKEY] = "ike-rekey",
	[EV_IKE_UPDATE] = "ike-update",
	[EV_CHILD_UPDOWN] = "child-updown",
	[EV_CHILD_REKEY] = "child-rekey",
	[EV_LATCHKEY_CONN] = "latchkey-conn",
	[EV_LATCHKEY_SA] = "latchkey-sa",
	[EV_LATCHKEY_PATH] = "latchkey-path",
	[EV_LATCHKEY_PATH_EVENT] = "latchkey-path-event",
	[EV_LATCHKEY_POLICY] = "latchkey-policy",
};

const char *vici_event_name(enum vici_event_id id)
{
	return event_names[id];
}

enum err vici_server_new(struct vici_server **out, const struct backend *backend)
{
	struct vici_server *s = mem_alloc(sizeof(*s));

	if (!s)
		return ERR_NOMEM;
	s->backend = backend;
	s->next_request = REQUEST_FIRST;
	list_init(&s->clients);
	list_init(&s->jobs);
	list_init(&s->failures);
	*out = s;
	return ERR_OK;
}

void vici_server_free(struct vici_server *s)
{
	if (!s)
		return;
	assert(list_empty(&s->clients));
	failures_free(s);
	mem_free(s);
}

void vici_server_event(struct vici_server *s, const struct ike_event *event)
{
	failure_note(s, event);
	job_event(s, event);
	updown_event(s, event);
}

void vici_server_path_event(struct vici_server *s, const struct engine_path_event *event)
{
	path_event_note(s, event);
	job_path_event(s, event);
}

static void doom(struct vici_client *c)
{
	c->doomed = true;
	if (!c->in_input)
		c->wake(c->ctx);
}

/* A packet has come while a command was waiting, and now none is. */
static bool has_work(const struct vici_client *c)
{
	return !c->job && !c->doomed && c->in_len >= VICI_LEN_SIZE &&
	       c->in_len - VICI_LEN_SIZE >= load_be32(c->in);
}

void vici_server_run(struct vici_server *s, uint64_t now_ns)
{
	jobs_run(s, now_ns);
	list_for_each (n, &s->clients) {
		struct vici_client *c = list_entry(n, struct vici_client, node);

		if (has_work(c) && vici_client_work(c))
			doom(c);
	}
}

uint64_t vici_server_now(const struct vici_server *s)
{
	return s->backend->ops->now(s->backend->ctx);
}

uint64_t vici_server_deadline(const struct vici_server *s)
{
	list_for_each (n, &s->clients) {
		if (has_work(list_entry(n, struct vici_client, node)))
			return 0;
	}
	return jobs_deadline(s);
}

/* strongSwan's levels: -1 silent, 0 audit, 1 control, 2 detail. */
static int strongswan_level(enum log_level level)
{
	return level == LOG_DEBUG ? 2 : level == LOG_INFO ? 1 : 0;
}

static enum err log_message(struct tree *t, enum log_level level, enum log_subsystem sub,
			    const char *conn, const char *line)
{
	TRY(tree_setf(t, "group", "%s", log_subsystem_name(sub)));
	TRY(tree_setf(t, "level", "%d", strongswan_level(level)));
	TRY(tree_setf(t, "latchkey-level", "%s", log_level_name(level)));
	TRY(tree_setf(t, "thread", "1"));
	if (conn)
		TRY(tree_setf(t, "ikesa-name", "%s", conn));
	return tree_setf(t, "msg", "%s", line);
}

void vici_server_log(struct vici_server *s, enum log_level level, enum log_subsystem sub,
		     const char *conn, const char *line)
{
	struct tree *t;

	if (s->in_log || !vici_anyone_wants(s, EV_LOG))
		return;
	t = tree_new();
	if (!t)
		return;
	s->in_log = true;
	if (!log_message(t, level, sub, conn, line))
		vici_broadcast(s, EV_LOG, t);
	s->in_log = false;
	tree_free(t);
}

enum err vici_client_open(struct vici_server *s, struct vici_client **out, void (*wake)(void *ctx),
			  void *ctx)
{
	struct vici_client *c;

	if (s->num_clients == VICI_CLIENTS_MAX)
		return ERR_FULL;
	c = mem_alloc(sizeof(*c));
	if (!c)
		return ERR_NOMEM;
	c->server = s;
	c->wake = wake;
	c->ctx = ctx;
	list_push_back(&s->clients, &c->node);
	s->num_clients++;
	*out = c;
	return ERR_OK;
}

static void buffer_free(uint8_t *buf, size_t cap)
{
	if (buf)
		secret_wipe(buf, cap);
	mem_free(buf);
}

void vici_client_close(struct vici_client *c)
{
	list_remove(&c->node);
	c->server->num_clients--;
	job_free(c->job);
	buffer_free(c->in, c->in_cap);
	mem_free(c->out);
	mem_free(c);
}

bool vici_client_doomed(const struct vici_client *c)
{
	return c->doomed;
}

struct bytes vici_client_output(const struct vici_client *c)
{
	return bytes_of(c->out ? c->out + c->out_at : NULL, c->out_len);
}

/* A big buffer is given back as soon as it is empty. */
void vici_client_sent(struct vici_client *c, size_t len)
{
	assert(len <= c->out_len);
	c->out_at += len;
	c->out_len -= len;
	if (c->out_len > 0)
		return;
	c->out_at = 0;
	if (c->out_cap > 65536) {
		mem_free(c->out);
		c->out = NULL;
		c->out_cap = 0;
	}
}

/* Room for len more bytes behind what is queued. Errors: NOMEM, LIMIT. */
static enum err out_reserve(struct vici_client *c, size_t len)
{
	size_t cap = c->out_cap ? c->out_cap : 4096;
	uint8_t *buf;

	if (len > VICI_QUEUE_MAX - c->out_len)
		return ERR_LIMIT;
	if (c->out_at && c->out_at + c->out_len + len > c->out_cap) {
		memmove(c->out, c->out + c->out_at, c->out_len);
		c->out_at = 0;
	}
	if (c->out_len + len <= c->out_cap)
		return ERR_OK;
	while (cap < c->out_len + len)
		cap *= 2;
	buf = mem_grow(c->out, cap, 1);
	if (!buf)
		return ERR_NOMEM;
	c->out = buf;
	c->out_cap = cap;
	return ERR_OK;
}

void vici_client_send(struct vici_client *c, enum vici_type type, const char *name,
		      const struct tree *message)
{
	uint8_t *packet;
	bool was_empty = c->out_len == 0;
	size_t len;
	enum err e;

	if (c->doomed)
		return;
	e = vici_packet_encode(&packet, &len, type, name, message);
	if (e) {
		doom(c);
		return;
	}
	e = out_reserve(c, len);
	if (!e) {
		memcpy(c->out + c->out_at + c->out_len, packet, len);
		c->out_len += len;
	}
	mem_free(packet);
	if (e)
		doom(c);
	else if (was_empty && !c->in_input)
		c->wake(c->ctx);
}

bool vici_client_wants(const struct vici_client *c, enum vici_event_id id)
{
	return c->events & (1u << id);
}

void vici_client_event(struct vici_client *c, enum vici_event_id id, const struct tree *message)
{
	if (vici_client_wants(c, id))
		vici_client_send(c, VICI_EVENT, event_names[id], message);
}

void vici_broadcast(struct vici_server *s, enum vici_event_id id, const struct tree *message)
{
	list_for_each (n, &s->clients)
		vici_client_event(list_entry(n, struct vici_client, node), id, message);
}

bool vici_anyone_wants(const struct vici_server *s, enum vici_event_id id)
{
	list_for_each (n, &s->clients) {
		if (vici_client_wants(list_entry(n, struct vici_client, node), id))
			return true;
	}
	return false;
}

/* Errors: LIMIT (more than a packet and a little), NOMEM. */
static enum err in_append(struct vici_client *c, const void *bytes, size_t len)
{
	uint8_t *buf;
	size_t cap = c->in_cap ? c->in_cap : 4096;

	if (len > IN_MAX - c->in_len)
		return ERR_LIMIT;
	while (cap < c->in_len + len)
		cap *= 2;
	if (cap != c->in_cap) {
		buf = mem_alloc(cap);
		if (!buf)
			return ERR_NOMEM;
		if (c->in_len)
			memcpy(buf, c->in, c->in_len);
		buffer_free(c->in, c->in_cap);
		c->in = buf;
		c->in_cap = cap;
	}
	memcpy(c->in + c->in_len, bytes, len);
	c->in_len += len;
	return ERR_OK;
}

/* Handled bytes may have held a secret. */
static void in_drop(struct vici_client *c, size_t len)
{
	size_t left = c->in_len - len;

	memmove(c->in, c->in + len, left);
	secret_wipe(c->in + left, len);
	c->in_len = left;
}

static const struct command *find_command(const char *name)
{
	for (const struct command *cmd = vici_commands; cmd->name; cmd++) {
		if (strcmp(cmd->name, name) == 0)
			return cmd;
	}
	return NULL;
}

static enum err run_command(struct vici_client *c, const struct vici_packet *p)
{
	const struct command *cmd = find_command(p->name);
	struct tree *in, *out;
	enum err e;

	if (!cmd) {
		vici_client_send(c, VICI_CMD_UNKNOWN, NULL, NULL);
		return ERR_OK;
	}
	e = vici_message_decode(&in, p->body);
	if (e)
		return e;
	out = tree_new();
	if (out) {
		struct call call = {
			.client = c,
			.server = c->server,
			.ops = c->server->backend->ops,
			.ctx = c->server->backend->ctx,
			.in = in,
			.out = out,
		};

		e = cmd->run(&call);
	} else {
		e = ERR_NOMEM;
	}
	if (!e && !c->job)
		vici_client_send(c, VICI_CMD_RESPONSE, NULL, out);
	tree_free(in);
	tree_free(out);
	return e;
}

static void register_event(struct vici_client *c, const struct vici_packet *p)
{
	for (uint32_t i = 0; i < EV_NUM; i++) {
		if (strcmp(event_names[i], p->name) != 0)
			continue;
		if (p->type == VICI_EVENT_REGISTER)
			c->events |= 1u << i;
		else
			c->events &= ~(1u << i);
		vici_client_send(c, VICI_EVENT_CONFIRM, NULL, NULL);
		return;
	}
	vici_client_send(c, VICI_EVENT_UNKNOWN, NULL, NULL);
}

static enum err handle_packet(struct vici_client *c, const uint8_t *bytes, size_t len)
{
	struct vici_packet p;

	TRY(vici_packet_parse(&p, bytes, len));
	if (p.type == VICI_CMD_REQUEST)
		return run_command(c, &p);
	if (p.type != VICI_EVENT_REGISTER && p.type != VICI_EVENT_UNREGISTER)
		return ERR_MALFORMED;
	register_event(c, &p);
	return ERR_OK;
}

/* While a command waits, its client's further packets wait with it. */
enum err vici_client_work(struct vici_client *c)
{
	enum err e = ERR_OK;

	while (!e && !c->job && !c->doomed && c->in_len >= VICI_LEN_SIZE) {
		size_t len = load_be32(c->in);

		if (len > VICI_PACKET_MAX)
			return ERR_LIMIT;
		if (c->in_len - VICI_LEN_SIZE < len)
			break;
		e = handle_packet(c, c->in + VICI_LEN_SIZE, len);
		in_drop(c, VICI_LEN_SIZE + len);
	}
	return e;
}

enum err vici_client_input(struct vici_client *c, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;
	enum err e = ERR_OK;

	c->in_input = true;
	/* In pieces, so that many small packets at once are not "too much". */
	while (!e && len > 0) {
		size_t part = len < 4096 ? len : 4096;

		e = in_append(c, at, part);
		if (!e)
			e = vici_client_work(c);
		at += part;
		len -= part;
	}
	c->in_input = false;
	return e;
}
