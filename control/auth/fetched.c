/* SPDX-License-Identifier: Apache-2.0 */
#include "control/auth/fetched.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/list.h"
#include "base/log.h"

/* enum state - of an item. */
enum state {
	WANTED,
	ASKED, /* given out, and nothing has come yet */
	KNOWN, /* something came, or why nothing did */
};

/* struct item - what a URL is to name. What was there before stays until something
 * better comes. */
struct item {
	struct list_node node; /* what was used last is the last */
	uint64_t id;
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
	uint32_t num;
	uint64_t last_id;
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

static void drop(struct fetched *f, struct item *i)
{
	list_remove(&i->node);
	cred_put(i->list);
	mem_free(i->data);
	mem_free(i);
	f->num--;
}

void fetched_free(struct fetched *f)
{
	if (!f)
		return;
	list_for_each_safe (n, &f->items) {
		drop(f, list_entry(n, struct item, node));
	}
	mem_free(f);
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

/* Room for one more, at the cost of what was not used for the longest time. */
static bool make_room(struct fetched *f)
{
	if (f->num < FETCHED_MAX)
		return true;
	list_for_each_safe (n, &f->items) {
		struct item *i = list_entry(n, struct item, node);

		if (i->state == KNOWN) {
			drop(f, i);
			return true;
		}
	}
	return false;
}

static struct item *add(struct fetched *f, const struct fetched_ref *ref)
{
	struct item *i = make_room(f) ? mem_alloc(sizeof(*i)) : NULL;

	if (!i)
		return NULL;
	i->id = ++f->last_id;
	i->kind = ref->kind;
	memcpy(i->url, ref->url.p, ref->url.len);
	i->key_len = ref->key.len;
	if (i->key_len)
		memcpy(i->key, ref->key.p, i->key_len);
	list_push_back(&f->items, &i->node);
	f->num++;
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
	if (!i)
		i = add(f, ref);
	if (!i) {
		*out_why = "there are too many to be fetched";
		return false;
	}
	list_remove(&i->node);
	list_push_back(&f->items, &i->node);
	if (i->state == KNOWN && is_recent(i, wall_s)) {
		*out_why = i->why;
		return false;
	}
	if (i->state == KNOWN)
		i->state = WANTED;
	return true;
}

/* A question of OCSP has a nonce each time. */
static enum err make_request(struct fetched *f, struct item *i)
{
	enum err e;

	if (i->kind != FETCHED_STATUS)
		return ERR_OK;
	e = rng_fill(f->rng, i->next_nonce, sizeof(i->next_nonce));
	if (!e)
		e = ocsp_request(i->request, &i->request_len, bytes_of(i->key, i->key_len),
				 i->next_nonce);
	return e;
}

bool fetched_next(struct fetched *f, struct fetched_task *out, int64_t wall_s)
{
	list_for_each (n, &f->items) {
		struct item *i = list_entry(n, struct item, node);
		enum err e;

		if (i->state != WANTED)
			continue;
		i->state = ASKED;
		e = make_request(f, i);
		if (e) {
			fetched_learn(f, i->id, bytes_of(NULL, 0), err_text(e), wall_s);
			continue;
		}
		*out = (struct fetched_task){
			.id = i->id,
			.url = i->url,
			.type = i->kind == FETCHED_STATUS ? "application/ocsp-request" : NULL,
			.body = bytes_of(i->request, i->request_len),
		};
		return true;
	}
	return false;
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
	cred_put(i->list);
	i->list = list;
}

void fetched_learn(struct fetched *f, uint64_t id, struct bytes data, const char *why,
		   int64_t wall_s)
{
	struct item *i = NULL;

	list_for_each (n, &f->items) {
		if (list_entry(n, struct item, node)->id == id)
			i = list_entry(n, struct item, node);
	}
	if (!i || i->state != ASKED)
		return;
	i->state = KNOWN;
	i->tried_s = wall_s;
	snprintf(i->why, sizeof(i->why), "%s", why);
	if (data.len && i->kind == FETCHED_LIST)
		import(i, data);
	else if (data.len)
		keep_data(i, data, wall_s);
	if (i->why[0])
		LOG(WARN, IKE, NULL, "%s could not be fetched: %s", i->url, i->why);
	else
		LOG(INFO, IKE, NULL, "fetched %s, %zu bytes", i->url, data.len);
}

void fetched_each_list(struct fetched *f, void (*fn)(void *ctx, const struct cred *list), void *ctx)
{
	list_for_each (n, &f->items) {
		const struct item *i = list_entry(n, struct item, node);

		if (i->list)
			fn(ctx, i->list);
	}
}

bool fetched_data(struct fetched *f, struct fetched_data *out, const struct fetched_ref *ref)
{
	const struct item *i = find(f, ref);

	if (!i || !i->data)
		return false;
	*out = (struct fetched_data){
		.data = bytes_of(i->data, i->data_len),
		.nonce = i->nonce,
		.learned_s = i->learned_s,
	};
	return true;
}
