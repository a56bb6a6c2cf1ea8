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

/* struct item - a URL. */
struct item {
	struct list_node node; /* what was used last is the last */
	uint64_t id;
	enum state state;
	struct cred *list; /* what was there before stays until something better comes */
	int64_t learned_s;
	char why[FETCHED_WHY_MAX];
	char url[CRED_URL_MAX];
};

struct fetched {
	struct list_node items;
	uint32_t num;
	uint64_t last_id;
};

struct fetched *fetched_new(void)
{
	struct fetched *f = mem_alloc(sizeof(*f));

	if (!f)
		return NULL;
	list_init(&f->items);
	return f;
}

static void drop(struct fetched *f, struct item *i)
{
	list_remove(&i->node);
	cred_put(i->list);
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

static struct item *find(struct fetched *f, struct bytes url)
{
	list_for_each (n, &f->items) {
		struct item *i = list_entry(n, struct item, node);

		if (bytes_equal(bytes_of(i->url, strlen(i->url)), url))
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

static struct item *add(struct fetched *f, struct bytes url)
{
	struct item *i = make_room(f) ? mem_alloc(sizeof(*i)) : NULL;

	if (!i)
		return NULL;
	*i = (struct item){.id = ++f->last_id};
	memcpy(i->url, url.p, url.len);
	list_push_back(&f->items, &i->node);
	f->num++;
	return i;
}

/* A clock that was set back must not make anybody wait. */
static bool is_recent(const struct item *i, int64_t wall_s)
{
	return wall_s >= i->learned_s && wall_s - i->learned_s < FETCHED_AGAIN_S;
}

bool fetched_want(struct fetched *f, const char **out_why, struct bytes url, int64_t wall_s)
{
	struct item *i = find(f, url);

	*out_why = "";
	if (!i)
		i = add(f, url);
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

bool fetched_next(struct fetched *f, uint64_t *out_id, const char **out_url)
{
	list_for_each (n, &f->items) {
		struct item *i = list_entry(n, struct item, node);

		if (i->state != WANTED)
			continue;
		i->state = ASKED;
		*out_id = i->id;
		*out_url = i->url;
		return true;
	}
	return false;
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
	i->learned_s = wall_s;
	snprintf(i->why, sizeof(i->why), "%s", why);
	if (data.len)
		import(i, data);
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
