/* SPDX-License-Identifier: Apache-2.0 */
#include "control/auth/fetched.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"

/* Lines a second about what came and what did not: peers name what is fetched. */
#define LINES_PER_S 10

/* enum state - of an item. */
enum state {
	WANTED,
	ASKED, /* given out, and nothing has come yet */
	KNOWN, /* something came, or why nothing did */
};

/* struct item - what a URL is to name. What was there before stays until something
 * better comes. */
struct item {
	struct list_node node; /* what was wanted last is the last */
	uint64_t id, used;     /* used: the larger, the later */
	enum fetched_kind kind;
	enum state state;
	struct cred *list; /* LIST */
	uint8_t *data;     /* the others, as they came */
	size_t data_len;
	uint8_t nonce[OCSP_NONCE_LEN];      /* that it answers to */
	uint8_t next_nonce[OCSP_NONCE_LEN]; /* of the question under way */
	uint8_t request[OCSP_REQUEST_MAX];
	size_t request_len;
	uint8_t key[OCSP_KEY_MAX];
	size_t key_len;
	int64_t learned_s; /* when data came */
	int64_t tried_s;   /* when it was KNOWN last, whatever came */
	char why[FETCHED_WHY_MAX];
	char url[CRED_URL_MAX];
};

struct fetched {
	const struct rng *rng;
	struct list_node items;
	uint64_t last_id, last_use;
	struct log_limit lines;
};

struct fetched *fetched_new(const struct rng *rng)
{
	struct fetched *f = mem_alloc(sizeof(*f));

	if (!f)
		return NULL;
	f->rng = rng;
	list_init(&f->items);
	return f;
}

static void drop(struct item *i)
{
	list_remove(&i->node);
	cred_put(i->list);
	mem_free(i->data);
	mem_free(i);
}

void fetched_free(struct fetched *f)
{
	if (!f)
		return;
	list_for_each_safe (n, &f->items) {
		drop(list_entry(n, struct item, node));
	}
	mem_free(f);
}

void fetched_forget(struct fetched *f)
{
	list_for_each_safe (n, &f->items) {
		struct item *i = list_entry(n, struct item, node);

		if (i->state == KNOWN) {
			drop(i);
			continue;
		}
		cred_put(i->list);
		mem_free(i->data);
		i->list = NULL;
		i->data = NULL;
	}
}

static struct item *find(struct fetched *f, const struct fetched_ref *ref)
{
	list_for_each (n, &f->items) {
		struct item *i = list_entry(n, struct item, node);

		if (i->kind == ref->kind &&
		    bytes_equal(bytes_of(i->url, strlen(i->url)), ref->url) &&
		    bytes_equal(bytes_of(i->key, i->key_len), ref->key))
			return i;
	}
	return NULL;
}

static struct item *find_id(struct fetched *f, uint64_t id)
{
	list_for_each (n, &f->items) {
		struct item *i = list_entry(n, struct item, node);

		if (i->id == id)
			return i;
	}
	return NULL;
}

static void use(struct fetched *f, struct item *i)
{
	i->used = ++f->last_use;
}

/* Room for one more of a kind, at the cost of what was not used for the longest time. Certificates
 * and the rest have each their own. */
static bool make_room(struct fetched *f, enum fetched_kind kind)
{
	const uint32_t max = kind == FETCHED_CERT ? FETCHED_CERTS_MAX : FETCHED_MAX;
	struct item *oldest = NULL;
	uint32_t num = 0;

	list_for_each (n, &f->items) {
		struct item *i = list_entry(n, struct item, node);

		if ((i->kind == FETCHED_CERT) != (kind == FETCHED_CERT))
			continue;
		num++;
		if (i->state == KNOWN && (!oldest || i->used < oldest->used))
			oldest = i;
	}
	if (num < max)
		return true;
	if (oldest)
		drop(oldest);
	return oldest != NULL;
}

static struct item *add(struct fetched *f, const struct fetched_ref *ref)
{
	struct item *i = mem_alloc(sizeof(*i));

	if (!i)
		return NULL;
	i->id = ++f->last_id;
	i->kind = ref->kind;
	memcpy(i->url, ref->url.p, ref->url.len);
	i->key_len = ref->key.len;
	if (i->key_len)
		memcpy(i->key, ref->key.p, i->key_len);
	list_push_back(&f->items, &i->node);
	return i;
}

/* A clock that was set back must not make anybody wait. */
static bool is_recent(const struct item *i, int64_t wall_s)
{
	return wall_s >= i->tried_s && wall_s - i->tried_s < FETCHED_AGAIN_S;
}

bool fetched_want(struct fetched *f, const char **out_why, const struct fetched_ref *ref,
		  int64_t wall_s)
{
	struct item *i = find(f, ref);

	*out_why = "";
	if (!i && !make_room(f, ref->kind))
		return true; /* all others are being fetched: there is room when one has come */
	if (!i)
		i = add(f, ref);
	if (!i) {
		*out_why = err_text(ERR_NOMEM);
		return false;
	}
	use(f, i);
	if (i->state != KNOWN)
		return true;
	if (is_recent(i, wall_s)) {
		*out_why = i->why;
		return false;
	}
	i->state = WANTED;
	list_remove(&i->node);
	list_push_back(&f->items, &i->node);
	return true;
}

/* A question of OCSP has a nonce each time. */
static enum err make_request(struct fetched *f, struct item *i)
{
	enum err e;

	if (i->kind == FETCHED_STAPLE)
		return ocsp_request(i->request, &i->request_len, bytes_of(i->key, i->key_len),
				    NULL);
	if (i->kind != FETCHED_STATUS)
		return ERR_OK;
	e = rng_fill(f->rng, i->next_nonce, sizeof(i->next_nonce));
	if (!e)
		e = ocsp_request(i->request, &i->request_len, bytes_of(i->key, i->key_len),
				 i->next_nonce);
	return e;
}

/* Certificates wait for each other, and nothing else for them. */
static bool certs_may_go(const struct fetched *f)
{
	uint32_t num = 0;

	list_for_each (n, &f->items) {
		const struct item *i = list_entry(n, struct item, node);

		num += i->kind == FETCHED_CERT && i->state == ASKED;
	}
	return num < FETCHED_CERTS_AT_ONCE;
}

bool fetched_next(struct fetched *f, struct fetched_task *out)
{
	const bool certs = certs_may_go(f);

	list_for_each (n, &f->items) {
		struct item *i = list_entry(n, struct item, node);

		if (i->state != WANTED || (i->kind == FETCHED_CERT && !certs))
			continue;
		i->state = ASKED;
		if (make_request(f, i)) { /* which says nothing of what is wanted */
			i->state = WANTED;
			return false;
		}
		*out = (struct fetched_task){
			.id = i->id,
			.url = i->url,
			.type = i->request_len ? "application/ocsp-request" : NULL,
			.body = bytes_of(i->request, i->request_len),
		};
		return true;
	}
	return false;
}

void fetched_put_back(struct fetched *f, uint64_t id)
{
	struct item *i = find_id(f, id);

	if (i && i->state == ASKED)
		i->state = WANTED;
}

/* What it says is looked at where it is used. How old it is counts from here: that nothing came
 * later makes it no younger. */
static void keep_data(struct item *i, struct bytes data, int64_t wall_s)
{
	uint8_t *copy = mem_alloc(data.len);

	if (!copy) {
		snprintf(i->why, sizeof(i->why), "%s", err_text(ERR_NOMEM));
		return;
	}
	memcpy(copy, data.p, data.len);
	mem_free(i->data);
	i->data = copy;
	i->data_len = data.len;
	i->learned_s = wall_s;
	memcpy(i->nonce, i->next_nonce, sizeof(i->nonce));
}

static void import(struct item *i, struct bytes data)
{
	const struct cred_source source = {.kind = CRED_CRL, .name = i->url, .data = data};
	char why[KEY_WHY_MAX];
	struct cred *list;

	if (cred_import(&list, why, &source)) {
		snprintf(i->why, sizeof(i->why), "what came is no revocation list: %.120s", why);
		return;
	}
	if (!list->not_after_s) { /* RFC 5280 5.1.2.5; it would serve for ever */
		snprintf(i->why, sizeof(i->why),
			 "the revocation list does not say until when it holds (nextUpdate)");
		cred_put(list);
		return;
	}
	cred_put(i->list);
	i->list = list;
}

static void tell(struct fetched *f, const struct item *i, size_t len, int64_t wall_s)
{
	if (!log_limited(&f->lines, LINES_PER_S, (uint64_t)wall_s * NS_PER_S))
		return;
	if (i->why[0])
		LOG(WARN, IKE, NULL, "%s could not be fetched: %s", i->url, i->why);
	else
		LOG(INFO, IKE, NULL, "fetched %s, %zu bytes", i->url, len);
}

void fetched_learn(struct fetched *f, uint64_t id, struct bytes data, const char *why,
		   int64_t wall_s)
{
	struct item *i = find_id(f, id);

	if (!i || i->state != ASKED)
		return;
	i->state = KNOWN;
	i->tried_s = wall_s;
	use(f, i);
	snprintf(i->why, sizeof(i->why), "%s", why);
	if (data.len && i->kind == FETCHED_LIST)
		import(i, data);
	else if (data.len)
		keep_data(i, data, wall_s);
	tell(f, i, data.len, wall_s);
}

void fetched_each_list(struct fetched *f, bool (*fn)(void *ctx, struct cred *list), void *ctx)
{
	list_for_each (n, &f->items) {
		struct item *i = list_entry(n, struct item, node);

		if (i->list && fn(ctx, i->list))
			use(f, i);
	}
}

bool fetched_data(struct fetched *f, struct fetched_data *out, const struct fetched_ref *ref)
{
	struct item *i = find(f, ref);

	if (!i || !i->data)
		return false;
	use(f, i);
	*out = (struct fetched_data){
		.data = bytes_of(i->data, i->data_len),
		.nonce = i->nonce,
		.learned_s = i->learned_s,
	};
	return true;
}
