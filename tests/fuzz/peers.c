/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/peers.h"

#include <stdio.h>
#include <string.h>

#include "control/child/child.h"
#include "control/ike/core.h"

/* TEXTS_MAX - configurations of one target. */
#define TEXTS_MAX 16

void peers_finding(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: %s does not hold\n", file, line, what);
	abort();
}

const char *peers_text(const char *text)
{
	char *copy = strdup(text);

	must(copy != NULL);
	return copy;
}

/* The configuration of a text, made once. */
static struct conf *parsed(const char *text)
{
	static struct {
		const char *text;
		struct conf *conf;
	} made[TEXTS_MAX];
	size_t i = 0;

	while (i < TEXTS_MAX && made[i].text && made[i].text != text)
		i++;
	must(i < TEXTS_MAX);
	if (!made[i].text) {
		made[i].text = text;
		made[i].conf = sim_conf_parse(text);
		must(made[i].conf != NULL);
	}
	return made[i].conf;
}

static bool hold(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	struct peers *p = ctx;
	struct letter *l = &p->letters[p->num_letters % LETTERS_MAX];

	if (!p->by_hand)
		return true;
	if (*len > sizeof(l->bytes))
		return false;
	l->from = from;
	l->path = s->tapped;
	l->waiting = true;
	l->len = *len;
	memcpy(l->bytes, bytes, *len);
	p->num_letters++;
	return false;
}

static bool question(struct sim *s, unsigned side, const struct ike_ask *ask, void *ctx)
{
	struct peers *p = ctx;

	(void)s;
	if (!p->asks)
		return true;
	if (p->num_questions == QUESTIONS_MAX) /* the oldest one stays without an answer */
		memmove(&p->questions[0], &p->questions[1],
			--p->num_questions * sizeof(p->questions[0]));
	p->questions[p->num_questions++] =
		(struct question){.side = side, .id = ask->id, .kind = ask->kind};
	return false;
}

void peers_begin(struct peers *p, uint64_t seed, struct sim_options *opt)
{
	for (unsigned i = 0; i < 2; i++)
		opt->ready[i] = parsed(opt->conf[i]);
	p->num_letters = p->num_questions = 0;
	p->by_hand = p->asks = false;
	p->s = sim_new(seed, opt);
	must(p->s != NULL);
	p->s->tap = hold;
	p->s->asked = question;
	p->s->tap_ctx = p;
}

void peers_end(struct peers *p)
{
	sim_free(p->s);
	p->s = NULL;
}

static unsigned kept(const struct peers *p)
{
	return p->num_letters < LETTERS_MAX ? p->num_letters : LETTERS_MAX;
}

unsigned peers_waiting(const struct peers *p)
{
	unsigned num = 0;

	for (unsigned i = 0; i < kept(p); i++)
		num += p->letters[i].waiting;
	return num;
}

struct letter *peers_pick(struct peers *p, unsigned n)
{
	unsigned num = peers_waiting(p);

	if (!num)
		return NULL;
	n %= num;
	for (unsigned i = p->num_letters - kept(p);; i++) {
		struct letter *l = &p->letters[i % LETTERS_MAX];

		if (l->waiting && !n--)
			return l;
	}
}

struct letter *peers_any(struct peers *p, unsigned n)
{
	return kept(p) ? &p->letters[(p->num_letters - 1 - n % kept(p)) % LETTERS_MAX] : NULL;
}

void peers_forget(struct peers *p)
{
	for (unsigned i = 0; i < kept(p); i++)
		p->letters[i].waiting = false;
}

bool peers_question(struct peers *p, struct question *out, unsigned n)
{
	if (!p->num_questions)
		return false;
	n %= p->num_questions;
	*out = p->questions[n];
	memmove(&p->questions[n], &p->questions[n + 1],
		(--p->num_questions - n) * sizeof(p->questions[0]));
	return true;
}

static bool idle(const struct ike_sa *sa)
{
	list_for_each (n, &sa->children) {
		if (list_entry(n, struct ike_child, node)->state != CHILD_INSTALLED)
			return false;
	}
	return sa->state == SA_ESTABLISHED && !sa->out.waiting && !sa->in.busy &&
	       list_empty(&sa->tasks);
}

bool peers_settled(struct peers *p)
{
	char why[200];

	for (unsigned side = 0; side < 2; side++)
		list_for_each (n, &p->s->n[side].e->sas) {
			if (!idle(list_entry(n, struct ike_sa, node)))
				return false;
		}
	return sim_same(p->s, why);
}

struct ike_sa *peers_sa(struct peers *p, unsigned side, unsigned n)
{
	struct list_node *sas = &p->s->n[side].e->sas;
	unsigned num = 0;

	list_for_each (node, sas) {
		(void)node;
		num++;
	}
	if (!num)
		return NULL;
	n %= num;
	list_for_each (node, sas) {
		if (!n--)
			return list_entry(node, struct ike_sa, node);
	}
	return NULL;
}
