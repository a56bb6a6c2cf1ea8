/* SPDX-License-Identifier: Apache-2.0 */
#include "api/token/token.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/token/proto.h"
#include "base/alloc.h"
#include "base/log.h"

#define GONE "the process that speaks to it has ended: start the daemon anew"

/* struct place - one thing that is under way; id 0: nothing. lost: why nothing will come of it. */
struct place {
	uint64_t id;
	const char *lost;
};

/* struct token - fd is the daemon's end. */
struct token {
	int fd;
	bool ended; /* there is nobody at the other end any more */
	struct place places[TOKEN_AT_ONCE];
	struct token_reply reply;
};

static int token_fd(void *ctx)
{
	const struct token *t = ctx;

	return t->fd;
}

/* ---- what is wanted -------------------------------------------------------------------------- */

static bool copy(uint8_t *to, uint32_t *len, size_t size, struct bytes from)
{
	if (from.len > size)
		return false;
	*len = (uint32_t)from.len;
	if (from.len)
		memcpy(to, from.p, from.len);
	return true;
}

static bool request_fill(struct token_request *r, const struct ike_token_task *task)
{
	*r = (struct token_request){
		.id = task->id, .slot = task->slot, .op = task->op, .scheme = task->scheme};
	snprintf(r->module, sizeof(r->module), "%s", task->module);
	return copy(r->handle, &r->handle_len, sizeof(r->handle), task->handle) &&
	       copy(r->pin, &r->pin_len, sizeof(r->pin), task->pin) &&
	       copy(r->data, &r->data_len, sizeof(r->data), task->data);
}

static void lose_all(struct token *t, const char *why)
{
	for (uint32_t i = 0; i < TOKEN_AT_ONCE; i++) {
		if (t->places[i].id && !t->places[i].lost)
			t->places[i].lost = why;
	}
}

/* A descriptor that is readable for ever would wake the loop for ever: one that never is takes its
 * number, and whoever watches the number sees nothing more. */
static void end(struct token *t)
{
	int silent = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	LOG(ERROR, DMN, NULL,
	    "the process that speaks to tokens has ended: keys on tokens sign again after the next "
	    "start");
	t->ended = true;
	if (silent < 0 || dup3(silent, t->fd, O_CLOEXEC) < 0)
		LOG(ERROR, DMN, NULL, "its socket cannot be left: %s", strerror(errno));
	if (silent >= 0)
		close(silent);
}

static struct place *find_place(struct token *t, uint64_t id)
{
	for (uint32_t i = 0; i < TOKEN_AT_ONCE; i++) {
		if (t->places[i].id == id)
			return &t->places[i];
	}
	return NULL;
}

static enum err token_begin(void *ctx, const struct ike_token_task *task)
{
	struct token *t = ctx;
	struct place *place = find_place(t, 0);
	struct token_request r;
	bool fits = request_fill(&r, task);
	ssize_t n = -1;

	if (place && fits && !t->ended)
		n = send(t->fd, &r, sizeof(r), MSG_DONTWAIT | MSG_NOSIGNAL);
	secret_wipe(&r, sizeof(r));
	if (!place || (n < 0 && fits && !t->ended && errno == EAGAIN))
		return ERR_LIMIT;
	*place = (struct place){.id = task->id};
	if (!fits)
		place->lost = "what it is given is too long for it";
	else if (n != sizeof(r))
		place->lost = GONE;
	return ERR_OK;
}

/* ---- what comes ------------------------------------------------------------------------------ */

static bool next_lost(struct token *t, struct signer_answer *out)
{
	for (uint32_t i = 0; i < TOKEN_AT_ONCE; i++) {
		struct place *p = &t->places[i];

		if (!p->id || !p->lost)
			continue;
		*out = (struct signer_answer){.id = p->id};
		snprintf(out->why, sizeof(out->why), "%s", p->lost);
		*p = (struct place){0};
		return true;
	}
	return false;
}

/* A line of the log, and no more than that. */
static void clean(char *to, size_t size, const char *from, size_t from_size)
{
	size_t i = 0;

	for (; i + 1 < size && i < from_size && from[i]; i++)
		to[i] = from[i] >= ' ' && from[i] < 0x7f ? from[i] : '?';
	to[i] = '\0';
}

static bool take(struct token *t, struct signer_answer *out)
{
	const struct token_reply *r = &t->reply;
	struct place *p = find_place(t, r->id);

	*out = (struct signer_answer){.id = r->id};
	if (!p)
		return false;
	*p = (struct place){0};
	clean(out->why, sizeof(out->why), r->why, sizeof(r->why));
	if (!out->why[0] && r->len && r->len <= sizeof(r->result))
		out->data = bytes_of(r->result, r->len);
	else if (!out->why[0])
		snprintf(out->why, sizeof(out->why), "it answered nothing");
	return true;
}

static bool token_next(void *ctx, struct signer_answer *out)
{
	struct token *t = ctx;
	ssize_t n;

	while (!next_lost(t, out)) {
		if (t->ended)
			return false;
		n = recv(t->fd, &t->reply, sizeof(t->reply), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return false;
		if (n <= 0) {
			end(t);
			lose_all(t, GONE);
		} else if (n == sizeof(t->reply) && !t->reply.id) {
			lose_all(t, "its module has crashed, or it did not answer in time");
		} else if (n == sizeof(t->reply) && take(t, out)) {
			return true;
		}
	}
	return true;
}

/* ---- both ------------------------------------------------------------------------------------ */

static void token_close(void *ctx)
{
	struct token *t = ctx;

	close(t->fd);
	mem_free(t);
}

static const struct signer_ops ops = {
	.fd = token_fd, .begin = token_begin, .next = token_next, .close = token_close};

enum err token_open(struct signer *out, const struct conf_module *modules, uint32_t num)
{
	struct token *t;
	int fds[2];
	pid_t pid;

	if (!num)
		return ERR_OK;
	t = mem_alloc(sizeof(*t));
	if (!t)
		return ERR_NOMEM;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds)) {
		mem_free(t);
		return ERR_SYS;
	}
	pid = fork();
	if (pid == 0)
		token_keep(fds[1], modules, num);
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		mem_free(t);
		return ERR_SYS;
	}
	t->fd = fds[0];
	*out = (struct signer){.ops = &ops, .ctx = t};
	return ERR_OK;
}
