/* SPDX-License-Identifier: Apache-2.0 */
#include "api/cli/client.h"

#include "base/alloc.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum err client_open(struct client *c, const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(sun.sun_path))
		return ERR_LIMIT;
	memcpy(sun.sun_path, path, strlen(path) + 1);
	*c = (struct client){.deadline_ns = TIME_NEVER};
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return ERR_SYS;
	if (connect(c->fd, (struct sockaddr *)&sun, sizeof(sun))) {
		int saved = errno;

		close(c->fd);
		errno = saved;
		return ERR_SYS;
	}
	return ERR_OK;
}

void client_close(struct client *c)
{
	close(c->fd);
	mem_free(c->in);
	*c = (struct client){.fd = -1};
}

/* Milliseconds for poll(), rounded up; -1 = for ever. */
static int wait_ms(const struct client *c)
{
	uint64_t now = clock_now_ns();

	if (c->deadline_ns == TIME_NEVER)
		return -1;
	if (c->deadline_ns <= now)
		return 0;
	now = (c->deadline_ns - now) / NS_PER_MS + 1;
	return now > INT32_MAX ? INT32_MAX : (int)now;
}

/* Errors: SYS, TIMEOUT. */
static enum err wait_for(const struct client *c, short events)
{
	struct pollfd p = {.fd = c->fd, .events = events};
	int n;

	do {
		n = poll(&p, 1, wait_ms(c));
	} while (n < 0 && errno == EINTR);
	return n < 0 ? ERR_SYS : n == 0 ? ERR_TIMEOUT : ERR_OK;
}

static enum err send_all(struct client *c, const uint8_t *bytes, size_t len)
{
	while (len > 0) {
		enum err e = wait_for(c, POLLOUT);
		ssize_t n;

		if (e)
			return e;
		n = send(c->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return ERR_PEER;
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return ERR_SYS;
		bytes += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return ERR_OK;
}

static enum err send_packet(struct client *c, enum vici_type type, const char *name,
			    const struct tree *message)
{
	uint8_t *packet;
	size_t len;
	enum err e = vici_packet_encode(&packet, &len, type, name, message);

	if (e)
		return e;
	e = send_all(c, packet, len);
	mem_free(packet);
	return e;
}

/* More bytes behind what is in c->in. */
static enum err receive_more(struct client *c)
{
	enum err e = wait_for(c, POLLIN);
	ssize_t n;

	if (e)
		return e;
	if (c->in_len == c->in_cap) {
		size_t cap = c->in_cap ? c->in_cap * 2 : 16384;
		uint8_t *in = mem_grow(c->in, cap, 1);

		if (!in)
			return ERR_NOMEM;
		c->in = in;
		c->in_cap = cap;
	}
	n = recv(c->fd, c->in + c->in_len, c->in_cap - c->in_len, MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return ERR_PEER;
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? ERR_OK : ERR_SYS;
	c->in_len += (size_t)n;
	return ERR_OK;
}

/* The next packet is whole at the beginning of c->in; *out_len is its length without the field. */
static enum err receive_packet(struct client *c, size_t *out_len)
{
	for (;;) {
		enum err e;

		if (c->in_len >= VICI_LEN_SIZE) {
			*out_len = load_be32(c->in);
			if (*out_len > VICI_PACKET_MAX)
				return ERR_MALFORMED;
			if (c->in_len - VICI_LEN_SIZE >= *out_len)
				return ERR_OK;
		}
		e = receive_more(c);
		if (e)
			return e;
	}
}

static void drop_packet(struct client *c, size_t len)
{
	c->in_len -= VICI_LEN_SIZE + len;
	memmove(c->in, c->in + VICI_LEN_SIZE + len, c->in_len);
}

/* struct answer - what is awaited and whom events go to. */
struct answer {
	enum vici_type wanted, unknown;
	struct tree **out; /* NULL: no message is expected */
	client_event_fn *on_event;
	void *arg;
	bool done;
};

static enum err handle_event(const struct answer *a, const struct vici_packet *p)
{
	struct tree *message;
	enum err e;

	if (!a->on_event)
		return ERR_OK;
	e = vici_message_decode(&message, p->body);
	if (e)
		return e;
	a->on_event(a->arg, p->name, message);
	tree_free(message);
	return ERR_OK;
}

static enum err handle_packet(struct answer *a, const uint8_t *bytes, size_t len)
{
	struct vici_packet p;
	enum err e = vici_packet_parse(&p, bytes, len);

	if (e)
		return e;
	if (p.type == VICI_EVENT)
		return handle_event(a, &p);
	if (p.type == a->unknown)
		return ERR_NOT_FOUND;
	if (p.type != a->wanted)
		return ERR_MALFORMED;
	a->done = true;
	return a->out ? vici_message_decode(a->out, p.body) : ERR_OK;
}

static enum err await(struct client *c, struct answer *a)
{
	enum err e = ERR_OK;

	while (!e && !a->done) {
		size_t len;

		e = receive_packet(c, &len);
		if (e)
			break;
		e = handle_packet(a, c->in + VICI_LEN_SIZE, len);
		drop_packet(c, len);
	}
	return e;
}

enum err client_listen(struct client *c, const char *event)
{
	struct answer a = {.wanted = VICI_EVENT_CONFIRM, .unknown = VICI_EVENT_UNKNOWN};
	enum err e = send_packet(c, VICI_EVENT_REGISTER, event, NULL);

	return e ? e : await(c, &a);
}

enum err client_call(struct client *c, struct tree **out, const char *command,
		     const struct tree *message, client_event_fn *on_event, void *arg)
{
	struct answer a = {
		.wanted = VICI_CMD_RESPONSE,
		.unknown = VICI_CMD_UNKNOWN,
		.out = out,
		.on_event = on_event,
		.arg = arg,
	};
	enum err e = send_packet(c, VICI_CMD_REQUEST, command, message);

	return e ? e : await(c, &a);
}

enum err client_watch(struct client *c, client_event_fn *on_event, void *arg)
{
	struct answer a = {
		.wanted = VICI_CMD_RESPONSE,
		.unknown = VICI_CMD_UNKNOWN,
		.on_event = on_event,
		.arg = arg,
	};

	return await(c, &a);
}
