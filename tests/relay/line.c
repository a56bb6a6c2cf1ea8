/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/relay/line.h"

#include "base/clock.h"
#include "tests/relay/content.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what happens to one ----------------------------------------------------------------------
 */

/* enum decision - what chance decides of each one. */
enum decision {
	DECIDE_LOSS,
	DECIDE_DUPLICATE,
	DECIDE_REORDER,
	DECIDE_JITTER,
	DECISIONS = 8,
};

static uint64_t chance(const struct line *l, enum decision what)
{
	return content_mix(content_mix(l->seed) + l->n * DECISIONS + what);
}

static bool decide(const struct line *l, enum decision what, uint64_t share)
{
	return chance(l, what) % LINE_MILLION < share;
}

void line_seed(struct line *l, uint64_t seed)
{
	l->seed = seed;
	l->n = 0;
	l->to_lose = 0;
}

/* has_room - it may wait until what entered before it has been sent. */
static bool has_room(const struct line *l, uint64_t now)
{
	const struct line_rules *r = &l->rules;
	uint64_t wait = l->free_ns > now ? l->free_ns - now : 0;

	if (!r->rate)
		return true;
	if (r->queue_ns && wait > r->queue_ns)
		return false;
	return !r->queue_len || wait <= r->queue_len * 8 * NS_PER_S / r->rate;
}

/* sent - when all of it has been sent. */
static uint64_t sent(struct line *l, size_t len, uint64_t now)
{
	if (!l->rules.rate)
		return now;
	if (l->free_ns < now)
		l->free_ns = now;
	l->free_ns += len * 8 * NS_PER_S / l->rules.rate;
	return l->free_ns;
}

/* is_lost - a burst of N begins as often as makes `loss` of all of them lost. */
static bool is_lost(struct line *l)
{
	const struct line_rules *r = &l->rules;
	uint64_t burst = r->burst ? r->burst : 1;
	uint64_t most = burst * LINE_MILLION - (burst - 1) * r->loss;

	if (l->to_lose) {
		l->to_lose--;
		return true;
	}
	if (!r->loss || !decide(l, DECIDE_LOSS, r->loss * LINE_MILLION / most))
		return false;
	l->to_lose = burst - 1;
	return true;
}

static uint64_t due(struct line *l, uint64_t sent_ns)
{
	const struct line_rules *r = &l->rules;
	uint64_t at = sent_ns + r->delay_ns;

	if (r->jitter_ns)
		at += chance(l, DECIDE_JITTER) % r->jitter_ns;
	if (decide(l, DECIDE_REORDER, r->reorder)) {
		l->counts.late++;
		return at + r->late_ns;
	}
	if (at < l->last_ns)
		at = l->last_ns;
	l->last_ns = at;
	return at;
}

/* put_out - it comes out once or twice; returns how often. */
static uint32_t put_out(struct line *l, uint64_t *out_due, size_t len, uint64_t sent_ns)
{
	uint32_t copies = decide(l, DECIDE_DUPLICATE, l->rules.duplicate) ? 2 : 1;

	out_due[0] = out_due[1] = due(l, sent_ns);
	l->counts.again += copies - 1;
	l->counts.out += copies;
	l->counts.out_len += copies * len;
	return copies;
}

uint32_t line_take(struct line *l, uint64_t out_due[static LINE_COPIES], size_t len, uint64_t now)
{
	uint32_t copies = 0;

	l->counts.in++;
	l->counts.in_len += len;
	if (l->rules.black_hole) {
		l->counts.swallowed++;
	} else if (!has_room(l, now)) {
		l->counts.full++;
	} else {
		uint64_t sent_ns = sent(l, len, now);

		if (is_lost(l))
			l->counts.lost++;
		else
			copies = put_out(l, out_due, len, sent_ns);
	}
	l->n++;
	return copies;
}

/* ---- orders ------------------------------------------------------------------------------------
 */

/* VALUE_MAX - of every number; so that no product of the model is too large for 64 bits. */
#define VALUE_MAX 1e9

/* struct unit - a word behind a number and what it multiplies. */
struct unit {
	const char *word;
	double factor;
};

static const struct unit times[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {NULL, 0}};
static const struct unit sizes[] = {{"", 1}, {"k", 1e3}, {"M", 1e6}, {NULL, 0}};
static const struct unit rates[] = {{"", 1}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9}, {NULL, 0}};
static const struct unit shares[] = {{"%", LINE_MILLION / 100.0}, {NULL, 0}};
static const struct unit plain[] = {{"", 1}, {NULL, 0}};

/* struct name - what an order can set; max: of its value in the rules' unit. Two of one name: the
 * one whose units fit. */
struct name {
	const char *word;
	size_t at;
	const struct unit *units;
	double max;
};

#define AT(field_) offsetof(struct line_rules, field_)
#define TIME_MAX   60e9

static const struct name names[] = {
	{"rate", AT(rate), rates, 1e11},
	{"queue", AT(queue_ns), times, TIME_MAX},
	{"queue", AT(queue_len), sizes, VALUE_MAX},
	{"delay", AT(delay_ns), times, TIME_MAX},
	{"jitter", AT(jitter_ns), times, TIME_MAX},
	{"late", AT(late_ns), times, TIME_MAX},
	{"loss", AT(loss), shares, LINE_MILLION},
	{"duplicate", AT(duplicate), shares, LINE_MILLION},
	{"reorder", AT(reorder), shares, LINE_MILLION},
	{"burst", AT(burst), plain, 1e6},
};

/* read_value - false: it is no number of these units, or too large. */
static bool read_value(uint64_t *out, const char *word, const struct name *name)
{
	char *end;
	double v = strtod(word, &end);

	if (end == word || v < 0)
		return false;
	for (const struct unit *u = name->units; u->word; u++)
		if (strcmp(end, u->word) == 0 && v * u->factor <= name->max) {
			*out = (uint64_t)(v * u->factor + 0.5);
			return true;
		}
	return false;
}

static bool read_switch(uint64_t *out, const char *word)
{
	*out = strcmp(word, "on") == 0;
	return *out || strcmp(word, "off") == 0;
}

static const char *set(struct line_rules *r, const char *name, const char *word)
{
	const char *wrong = "no such name";

	if (strcmp(name, "blackhole") == 0)
		return read_switch(&r->black_hole, word) ? NULL : "on or off";
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		uint64_t value;

		if (strcmp(name, names[i].word) != 0)
			continue;
		if (read_value(&value, word, &names[i])) {
			memcpy((uint8_t *)r + names[i].at, &value, sizeof(value));
			return NULL;
		}
		wrong = "no such value";
	}
	return wrong;
}

/* obey - one order, for one side or both. */
static const char *obey(struct line_rules rules[static 2], char *order)
{
	static const char *const sides[2] = {"left", "right"};
	char *rest, *word = strtok_r(order, " \t\n", &rest);
	bool which[2] = {true, true}, is_said = false;
	const char *wrong = NULL;

	if (!word)
		return NULL;
	for (unsigned i = 0; i < 2; i++)
		if (strcmp(word, sides[i]) == 0) {
			which[!i] = false;
			is_said = true;
		}
	const char *name = is_said ? strtok_r(NULL, " \t\n", &rest) : word;
	const char *value = strtok_r(NULL, " \t\n", &rest);

	if (!name || !value || strtok_r(NULL, " \t\n", &rest))
		return "a name and a value are wanted";
	for (unsigned i = 0; i < 2 && !wrong; i++)
		if (which[i])
			wrong = set(&rules[i], name, value);
	return wrong;
}

const char *line_order(struct line_rules rules[static 2], const char *text)
{
	struct line_rules next[2] = {rules[0], rules[1]};
	char copy[1024], *rest;
	const char *wrong = NULL;

	if (strlen(text) >= sizeof(copy))
		return "too long";
	snprintf(copy, sizeof(copy), "%s", text);
	for (char *order = strtok_r(copy, ";", &rest); order && !wrong;
	     order = strtok_r(NULL, ";", &rest))
		wrong = obey(next, order);
	if (!wrong)
		memcpy(rules, next, sizeof(next));
	return wrong;
}
