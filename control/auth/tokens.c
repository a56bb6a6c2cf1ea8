/* SPDX-License-Identifier: Apache-2.0 */
#include "control/auth/tokens.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"

/* Lines a second about what did not come: peers may have it asked for. */
#define LINES_PER_S 10

/* enum state - of an item. */
enum state {
	WANTED,
	ASKED, /* given out, and nothing has come yet */
	KNOWN, /* something came, or why nothing did */
};

/* struct item - one thing that a token is to do. */
struct item {
	struct list_node node; /* what was wanted last is the last */
	uint64_t id;
	enum ike_token_op op;
	enum state state;
	char module[CONF_NAME_MAX];
	struct conf_token token;
	struct secret pin; /* until something has come */
	enum ike_scheme scheme;
	uint8_t *data;
	size_t data_len;
	uint8_t *result; /* NULL: nothing came */
	size_t result_len;
	struct cred *cert;
	int64_t known_s;
	uint64_t round; /* in which somebody has asked for it last */
	char why[TOKENS_WHY_MAX];
};

struct tokens {
	struct list_node items;
	struct item *handed; /* a signature that its user looks at: gone with the next question */
	uint64_t last_id;
	uint64_t round;
	bool no_room; /* for somebody, in this round */
	struct log_limit lines;
};

struct tokens *tokens_new(void)
{
	struct tokens *t = mem_alloc(sizeof(*t));

	if (t)
		list_init(&t->items);
	return t;
}

static void drop(struct item *i)
{
	list_remove(&i->node);
	secret_fini(&i->pin);
	cred_put(i->cert);
	mem_free(i->data);
	mem_free(i->result);
	mem_free(i);
}

void tokens_free(struct tokens *t)
{
	if (!t)
		return;
	list_for_each_safe (n, &t->items) {
		drop(list_entry(n, struct item, node));
	}
	mem_free(t);
}

static void take_back(struct tokens *t)
{
	if (t->handed)
		drop(t->handed);
	t->handed = NULL;
}

void tokens_forget(struct tokens *t)
{
	take_back(t);
	list_for_each_safe (n, &t->items) {
		struct item *i = list_entry(n, struct item, node);

		if (i->state == KNOWN)
			drop(i);
	}
}

static bool is_meant(const struct item *i, const struct tokens_ref *ref)
{
	return i->op == ref->op && i->scheme == ref->scheme &&
	       strcmp(i->module, ref->module) == 0 && /* public data: a name */
	       conf_token_equal(&i->token, ref->token) &&
	       bytes_equal(bytes_of(i->data, i->data_len), ref->data);
}

static struct item *find(struct tokens *t, const struct tokens_ref *ref)
{
	list_for_each (n, &t->items) {
		struct item *i = list_entry(n, struct item, node);

		if (is_meant(i, ref))
			return i;
	}
	return NULL;
}

static struct item *find_id(struct tokens *t, uint64_t id)
{
	list_for_each (n, &t->items) {
		struct item *i = list_entry(n, struct item, node);

		if (i->id == id)
			return i;
	}
	return NULL;
}

void tokens_round(struct tokens *t)
{
	t->round++;
	t->no_room = false;
}

/* is_awaited - a key or a certificate is: who waits for that has not come to its signature yet. */
static bool is_awaited(const struct tokens *t)
{
	list_for_each (n, &t->items) {
		const struct item *i = list_entry(n, struct item, node);

		if (i->op != IKE_TOKEN_SIGN && (i->state == WANTED || i->state == ASKED))
			return true;
	}
	return false;
}

bool tokens_unclaimed(struct tokens *t)
{
	bool dropped = false;

	take_back(t);
	if (is_awaited(t)) /* their arrival makes another round */
		return false;
	list_for_each_safe (n, &t->items) {
		struct item *i = list_entry(n, struct item, node);

		if (i->op != IKE_TOKEN_SIGN || i->state == ASKED || i->round == t->round)
			continue;
		drop(i);
		dropped = true;
	}
	return dropped && t->no_room;
}

/* Room for one more, at the cost of the key or certificate that is known for the longest time.
 * Signatures have room of their own, and none gives way to another: anybody may begin what wants
 * one, and one that was thrown away is made again. */
static bool make_room(struct tokens *t, enum ike_token_op op)
{
	const bool sign = op == IKE_TOKEN_SIGN;
	struct item *oldest = NULL;
	uint32_t num = 0;

	list_for_each (n, &t->items) {
		struct item *i = list_entry(n, struct item, node);

		if ((i->op == IKE_TOKEN_SIGN) != sign)
			continue;
		num++;
		if (!sign && i->state == KNOWN && !oldest)
			oldest = i;
	}
	if (num < TOKENS_MAX)
		return true;
	if (oldest)
		drop(oldest);
	return oldest != NULL;
}

static struct item *add(struct tokens *t, const struct tokens_ref *ref)
{
	struct item *i = mem_alloc(sizeof(*i));

	if (!i)
		return NULL;
	list_push_back(&t->items, &i->node);
	i->data = ref->data.len ? mem_dup(ref->data.p, ref->data.len) : NULL;
	if ((ref->data.len && !i->data) ||
	    (ref->pin.len && secret_init_copy(&i->pin, ref->pin.p, ref->pin.len))) {
		drop(i);
		return NULL;
	}
	i->id = ++t->last_id;
	i->op = ref->op;
	i->token = *ref->token;
	snprintf(i->module, sizeof(i->module), "%s", ref->module);
	i->scheme = ref->scheme;
	i->data_len = ref->data.len;
	return i;
}

/* A clock that was set back must not keep anything for longer. */
static bool is_over(const struct item *i, int64_t wall_s)
{
	const int64_t kept_s = i->why[0] ? TOKENS_AGAIN_S : TOKENS_KEPT_S;

	return wall_s < i->known_s || wall_s - i->known_s >= kept_s;
}

static enum tokens_state not_there(struct tokens_found *out, const char *why)
{
	out->why = why;
	return TOKENS_NOT;
}

enum tokens_state tokens_ask(struct tokens *t, struct tokens_found *out,
			     const struct tokens_ref *ref, int64_t wall_s)
{
	struct item *i;

	take_back(t);
	i = find(t, ref);
	*out = (struct tokens_found){.why = ""};
	if (ref->data.len > IKE_TOKEN_DATA_MAX)
		return not_there(out, "what is to be signed is too long for a token");
	if (i && i->state == KNOWN && is_over(i, wall_s)) {
		drop(i);
		i = NULL;
	}
	if (!i && !make_room(t, ref->op)) {
		t->no_room = true; /* until something has come */
		return TOKENS_WAITS;
	}
	if (!i)
		i = add(t, ref);
	if (!i)
		return not_there(out, err_text(ERR_NOMEM));
	i->round = t->round;
	if (i->state != KNOWN)
		return TOKENS_WAITS;
	if (i->op == IKE_TOKEN_SIGN)
		t->handed = i;
	if (i->why[0])
		return not_there(out, i->why);
	out->data = bytes_of(i->result, i->result_len);
	out->cert = i->cert;
	return TOKENS_HERE;
}

bool tokens_next(struct tokens *t, struct ike_token_task *out)
{
	list_for_each (n, &t->items) {
		struct item *i = list_entry(n, struct item, node);

		if (i->state != WANTED)
			continue;
		i->state = ASKED;
		*out = (struct ike_token_task){
			.id = i->id,
			.op = i->op,
			.module = i->module,
			.slot = i->token.slot,
			.handle = bytes_of(i->token.handle, i->token.handle_len),
			.pin = bytes_of(i->pin.p, i->pin.len),
			.scheme = i->scheme,
			.data = bytes_of(i->data, i->data_len),
		};
		return true;
	}
	return false;
}

void tokens_put_back(struct tokens *t, uint64_t id)
{
	struct item *i = find_id(t, id);

	if (i && i->state == ASKED)
		i->state = WANTED;
}

/* What came is of the kind that was asked for; how good it is its user finds out. */
static void take(struct item *i, struct bytes data)
{
	struct key_info info;
	char why[KEY_WHY_MAX] = "";
	enum err e = ERR_OK;

	if (i->op == IKE_TOKEN_CERT)
		e = cred_import(
			&i->cert, why,
			&(struct cred_source){.kind = CRED_CERT, .name = "token", .data = data});
	else if (i->op == IKE_TOKEN_KEY)
		e = key_check(&info, why, data);
	if (!e && i->op != IKE_TOKEN_CERT) {
		i->result = mem_dup(data.p, data.len);
		i->result_len = data.len;
		e = i->result ? ERR_OK : ERR_NOMEM;
	}
	if (e)
		snprintf(i->why, sizeof(i->why), "what the token holds there is not usable: %.120s",
			 why[0] ? why : err_text(e));
}

void tokens_learn(struct tokens *t, uint64_t id, struct bytes data, const char *why, int64_t wall_s)
{
	struct item *i = find_id(t, id);

	if (!i || i->state != ASKED)
		return;
	i->state = KNOWN;
	i->known_s = wall_s;
	secret_fini(&i->pin);
	if (data.len)
		take(i, data);
	else
		snprintf(i->why, sizeof(i->why), "%s", why[0] ? why : "it answered nothing");
	if (i->why[0] && log_limited(&t->lines, LINES_PER_S, (uint64_t)wall_s * NS_PER_S))
		LOG(WARN, IKE, NULL, "a token did not do what was wanted: %s", i->why);
	list_remove(&i->node); /* what is known for the longest time is the first */
	list_push_back(&t->items, &i->node);
	take_back(t);
}
