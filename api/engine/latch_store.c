/* SPDX-License-Identifier: Apache-2.0 */
#include "api/engine/latch_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/htab.h"
#include "base/reader.h"
#include "base/rng.h"
#include "base/writer.h"

/* TRY - return the error of a step where nothing is owned. */
#define TRY(x)                           \
	do {                             \
		enum err try_err_ = (x); \
		if (try_err_)            \
			return try_err_; \
	} while (0)

#define MAGIC      0x4c4b4c31u /* "LKL1": another format has another one */
#define RECORD_MAX 2048
#define HEAD_LEN   6
#define FILE_MAX   (256u << 20)

enum kind {
	KIND_LATCH = 1,
	KIND_GONE = 2,
};

#define PATH_ROOM 240

struct latch_store {
	int fd;
	bool committed;
	uint64_t len;
	char path[PATH_ROOM], beside[PATH_ROOM + 4];
};

/* ---- records ------------------------------------------------------------------------------------
 * magic, length of what follows, kind, number; of a latch: all of it. */

static void write_text(struct writer *w, const char *text)
{
	writer_u16(w, (uint16_t)strlen(text));
	writer_bytes(w, text, strlen(text));
}

static void write_id(struct writer *w, const struct ike_id *id)
{
	writer_u8(w, id->type);
	writer_u16(w, id->len);
	writer_bytes(w, id->data, id->len);
}

static void write_addr(struct writer *w, const struct ip_addr *a)
{
	writer_u8(w, a->family);
	writer_bytes(w, a->b, sizeof(a->b));
}

static void write_demand(struct writer *w, const struct app_demand *d)
{
	write_text(w, d->profile);
	write_text(w, d->peer);
	write_text(w, d->local);
	write_text(w, d->suite);
	writer_u8(w, (uint8_t)d->num_methods);
	writer_bytes(w, d->methods, d->num_methods);
	writer_u8(w, d->part);
	writer_u8(w, d->privacy);
	writer_u8(w, d->integrity);
	writer_u8(w, d->tunnel);
}

static void write_latch(struct writer *w, const struct latch_saved *s)
{
	writer_u8(w, (uint8_t)(s->keep | s->tied << 1 | s->listener << 2 | s->upgrades << 3));
	writer_u8(w, s->flow.proto);
	write_addr(w, &s->flow.local);
	write_addr(w, &s->flow.remote);
	writer_u16(w, s->flow.local_port);
	writer_u16(w, s->flow.remote_port);
	writer_u64(w, s->cookie);
	writer_u32(w, s->uid);
	write_demand(w, &s->demand);
	if (!s->tied)
		return;
	writer_u8(w, (uint8_t)s->whom.method);
	writer_u8(w, s->whom.quality);
	write_id(w, &s->whom.local);
	write_id(w, &s->whom.peer);
}

static enum err append(struct latch_store *s, enum kind kind, uint64_t id,
		       const struct latch_saved *saved)
{
	uint8_t buf[RECORD_MAX];
	struct bytes record;
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	writer_u32(&w, MAGIC);
	writer_u16(&w, 0);
	writer_u8(&w, (uint8_t)kind);
	writer_u64(&w, id);
	if (saved)
		write_latch(&w, saved);
	TRY(writer_finish(&w, &record));
	store_be16(buf + 4, (uint16_t)(record.len - HEAD_LEN));
	if (write(s->fd, record.p, record.len) != (ssize_t)record.len)
		return ERR_SYS;
	s->len += record.len;
	return ERR_OK;
}

enum err latch_store_put(struct latch_store *s, const struct latch_saved *saved)
{
	return append(s, KIND_LATCH, saved->id, saved);
}

enum err latch_store_gone(struct latch_store *s, uint64_t id)
{
	return append(s, KIND_GONE, id, NULL);
}

uint64_t latch_store_len(const struct latch_store *s)
{
	return s->len;
}

/* ---- reading ------------------------------------------------------------------------------------
 */

static enum err read_text(struct reader *r, char *out, size_t size)
{
	struct bytes text;
	uint16_t len;

	TRY(reader_u16(r, &len));
	if (len >= size)
		return ERR_MALFORMED;
	TRY(reader_bytes(r, &text, len));
	if (len && memchr(text.p, 0, len))
		return ERR_MALFORMED;
	if (len)
		memcpy(out, text.p, len);
	out[len] = '\0';
	return ERR_OK;
}

static enum err read_id(struct reader *r, struct ike_id *id)
{
	TRY(reader_u8(r, &id->type));
	TRY(reader_u16(r, &id->len));
	if (id->len > sizeof(id->data))
		return ERR_MALFORMED;
	return reader_copy(r, id->data, id->len);
}

static enum err read_addr(struct reader *r, struct ip_addr *a)
{
	TRY(reader_u8(r, &a->family));
	if (a->family != IP_NONE && a->family != IP_V4 && a->family != IP_V6)
		return ERR_MALFORMED;
	return reader_copy(r, a->b, sizeof(a->b));
}

static enum err read_demand(struct reader *r, struct app_demand *d)
{
	uint8_t num;

	TRY(read_text(r, d->profile, sizeof(d->profile)));
	TRY(read_text(r, d->peer, sizeof(d->peer)));
	TRY(read_text(r, d->local, sizeof(d->local)));
	TRY(read_text(r, d->suite, sizeof(d->suite)));
	TRY(reader_u8(r, &num));
	if (num > sizeof(d->methods))
		return ERR_MALFORMED;
	d->num_methods = num;
	TRY(reader_copy(r, d->methods, num));
	for (uint8_t i = 0; i < num; i++) {
		if (d->methods[i] >= AUTH_NUM_METHODS)
			return ERR_MALFORMED;
	}
	TRY(reader_u8(r, &d->part));
	TRY(reader_u8(r, &d->privacy));
	TRY(reader_u8(r, &d->integrity));
	TRY(reader_u8(r, &d->tunnel));
	return d->part <= APP_PART_NONE && d->privacy <= APP_ASK_YES &&
			       d->integrity <= APP_ASK_YES && d->tunnel <= APP_ASK_YES
		       ? ERR_OK
		       : ERR_MALFORMED;
}

static enum err read_whom(struct reader *r, struct class_info *whom)
{
	uint8_t method;

	TRY(reader_u8(r, &method));
	if (method >= AUTH_NUM_METHODS)
		return ERR_MALFORMED;
	whom->method = (enum auth_method)method;
	TRY(reader_u8(r, &whom->quality));
	TRY(read_id(r, &whom->local));
	return read_id(r, &whom->peer);
}

static enum err read_latch(struct reader *r, struct latch_saved *s)
{
	uint8_t flags;

	TRY(reader_u8(r, &flags));
	s->keep = flags & 1;
	s->tied = flags & 2;
	s->listener = flags & 4;
	s->upgrades = flags & 8;
	TRY(reader_u8(r, &s->flow.proto));
	TRY(read_addr(r, &s->flow.local));
	TRY(read_addr(r, &s->flow.remote));
	TRY(reader_u16(r, &s->flow.local_port));
	TRY(reader_u16(r, &s->flow.remote_port));
	TRY(reader_u64(r, &s->cookie));
	TRY(reader_u32(r, &s->uid));
	TRY(read_demand(r, &s->demand));
	return s->tied ? read_whom(r, &s->whom) : ERR_OK;
}

/* read_record - the next one; *is_gone: of a latch that is no more. */
static enum err read_record(struct reader *r, struct latch_saved *s, bool *is_gone)
{
	struct reader body;
	uint32_t magic;
	uint16_t len;
	uint8_t kind;

	TRY(reader_u32(r, &magic));
	if (magic != MAGIC)
		return ERR_MALFORMED;
	TRY(reader_u16(r, &len));
	TRY(reader_sub(r, &body, len));
	TRY(reader_u8(&body, &kind));
	TRY(reader_u64(&body, &s->id));
	*is_gone = kind == KIND_GONE;
	if (kind == KIND_LATCH)
		TRY(read_latch(&body, s));
	else if (kind != KIND_GONE)
		return ERR_MALFORMED;
	return reader_empty(&body) ? ERR_OK : ERR_MALFORMED;
}

size_t latch_store_parse(const void *bytes, size_t len,
			 void (*fn)(void *ctx, uint64_t id, const struct latch_saved *saved),
			 void *ctx)
{
	struct reader r;
	size_t taken = 0;

	reader_init(&r, bytes, len);
	while (!reader_empty(&r)) {
		struct latch_saved s = {0};
		bool is_gone;

		if (read_record(&r, &s, &is_gone))
			break;
		taken = len - r.left;
		fn(ctx, s.id, is_gone ? NULL : &s);
	}
	return taken;
}

/* struct known - a latch while the file is read. */
struct known {
	struct htab_node node;
	struct latch_saved saved;
};

/* struct reading - all that is known so far. */
struct reading {
	struct htab latches;
	enum err err;
};

static void learn(void *ctx, uint64_t id, const struct latch_saved *saved)
{
	struct reading *all = ctx;
	struct htab_node *n = htab_find(&all->latches, bytes_of(&id, sizeof(id)));
	struct known *k = n ? container_of(n, struct known, node) : NULL;

	if (!saved) {
		if (k)
			htab_remove(&all->latches, &k->node);
		mem_free(k);
		return;
	}
	if (k) {
		k->saved = *saved;
		return;
	}
	k = mem_alloc(sizeof(*k));
	if (!k) {
		all->err = ERR_NOMEM;
		return;
	}
	k->saved = *saved;
	htab_insert(&all->latches, &k->node, bytes_of(&k->saved.id, sizeof(k->saved.id)));
}

static void hand_over(struct reading *all, void (*fn)(void *ctx, const struct latch_saved *saved),
		      void *ctx)
{
	for (size_t i = 0; i < all->latches.num_buckets; i++) {
		while (all->latches.buckets[i]) {
			struct known *k = container_of(all->latches.buckets[i], struct known, node);

			htab_remove(&all->latches, &k->node);
			if (!all->err)
				fn(ctx, &k->saved);
			mem_free(k);
		}
	}
	htab_fini(&all->latches);
}

/* is_ours - nobody else could have written it. */
static bool is_ours(const struct stat *st)
{
	return S_ISREG(st->st_mode) && !(st->st_mode & (S_IWGRP | S_IWOTH)) &&
	       (st->st_uid == 0 || st->st_uid == geteuid());
}

static enum err slurp(int fd, uint8_t **out, size_t *out_len)
{
	struct stat st;
	uint8_t *all;

	if (fstat(fd, &st))
		return ERR_SYS;
	if (!is_ours(&st))
		return ERR_PERM;
	if (st.st_size > (off_t)FILE_MAX)
		return ERR_LIMIT;
	all = mem_alloc((size_t)st.st_size + 1);
	if (!all)
		return ERR_NOMEM;
	if (read(fd, all, (size_t)st.st_size) != (ssize_t)st.st_size) {
		mem_free(all);
		return ERR_SYS;
	}
	*out = all;
	*out_len = (size_t)st.st_size;
	return ERR_OK;
}

enum err latch_store_read(const char *path, void (*fn)(void *ctx, const struct latch_saved *saved),
			  void *ctx)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct reading all = {.err = ERR_OK};
	uint8_t *bytes;
	size_t len;
	enum err e;

	if (fd < 0)
		return errno == ENOENT ? ERR_OK : ERR_SYS;
	e = slurp(fd, &bytes, &len);
	close(fd);
	if (e)
		return e;
	e = htab_init(&all.latches, rng_system());
	if (!e) {
		(void)latch_store_parse(bytes, len, learn, &all);
		hand_over(&all, fn, ctx);
		e = all.err;
	}
	mem_free(bytes);
	return e;
}

/* ---- the file
 * ------------------------------------------------------------------------------------ */

enum err latch_store_new(struct latch_store **out, const char *path)
{
	struct latch_store *s = mem_alloc(sizeof(*s));

	if (!s)
		return ERR_NOMEM;
	if (strlen(path) >= sizeof(s->path)) {
		mem_free(s);
		return ERR_LIMIT;
	}
	memcpy(s->path, path, strlen(path));
	snprintf(s->beside, sizeof(s->beside), "%s.new", s->path);
	(void)unlink(s->beside);
	s->fd = open(s->beside, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	if (s->fd < 0) {
		mem_free(s);
		return ERR_SYS;
	}
	*out = s;
	return ERR_OK;
}

enum err latch_store_commit(struct latch_store *s)
{
	if (rename(s->beside, s->path))
		return ERR_SYS;
	s->committed = true;
	return ERR_OK;
}

void latch_store_close(struct latch_store *s)
{
	if (!s)
		return;
	close(s->fd);
	if (!s->committed)
		(void)unlink(s->beside);
	mem_free(s);
}
