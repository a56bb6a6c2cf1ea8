/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top.c - a live view of the paths: what each carries now, how long and how well, and what happened
 * to them last. Where there is no terminal, one table.
 */
#include "api/cli/cli.h"
#include "api/cli/terminal.h"

#include "base/addr.h"
#include "base/alloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define PERIOD_MS    1000
#define CALL_S       2   /* a daemon that is silent for longer is not waited for */
#define EVENTS_SHOWN 8   /* at most */
#define TEXT_LEN     512 /* bytes of a line */
#define WIDTH_PIPE   100 /* of a table that no terminal shows */

/* struct row - a path. in, out: bytes a second, as far as `has_rate`. */
struct row {
	char conn[64], number[8], state[16], local[ENDPOINT_TEXT_MAX], remote[ENDPOINT_TEXT_MAX];
	char rtt[16], loss[16];
	uint32_t ike_id;
	uint64_t rx_bytes, tx_bytes;
	double in, out;
	bool has_rate;
};

/* struct sample - the paths at a time. */
struct sample {
	struct row *rows;
	size_t num, cap;
	uint64_t at_ns;
	struct tree *answer; /* its events */
	const char *only;
	bool failed; /* memory was short */
};

/* struct screen - lines as they are drawn. left: that still fit. */
struct screen {
	unsigned columns, left;
	bool live;
};

/* ---- what there is --------------------------------------------------------------------------- */

static void copy(char *out, size_t size, const char *value)
{
	snprintf(out, size, "%s", value);
}

static uint64_t count(const struct tree *t, const char *key)
{
	return strtoull(text(t, key), NULL, 10);
}

/* scaled - a value with a point before its last digits; "-" if it is not known. */
static void scaled(char *out, size_t size, const struct tree *t, const char *key, double by)
{
	if (text(t, key)[0])
		snprintf(out, size, "%.1f", (double)count(t, key) / by);
	else
		snprintf(out, size, "-");
}

static void add_row(struct sample *s, const struct tree *sa, const struct tree *path)
{
	struct row *r;

	if (s->num == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 16;

		r = mem_grow(s->rows, cap, sizeof(*r));
		if (!r) {
			s->failed = true;
			return;
		}
		s->rows = r;
		s->cap = cap;
	}
	r = &s->rows[s->num++];
	*r = (struct row){.ike_id = (uint32_t)count(sa, "uniqueid"),
			  .rx_bytes = count(path, "rx-bytes"),
			  .tx_bytes = count(path, "tx-bytes")};
	copy(r->conn, sizeof(r->conn), sa->name);
	copy(r->number, sizeof(r->number), path->name);
	copy(r->state, sizeof(r->state), text(path, "state"));
	copy(r->local, sizeof(r->local), text(path, "local"));
	copy(r->remote, sizeof(r->remote), text(path, "remote"));
	scaled(r->rtt, sizeof(r->rtt), path, "rtt-us", 1e3);
	scaled(r->loss, sizeof(r->loss), path, "loss-permille", 10);
}

static bool is_meant(const char *only, const struct tree *sa)
{
	return !only || strcmp(only, sa->name) == 0 || strcmp(only, text(sa, "remote-id")) == 0;
}

static void on_paths(void *arg, const char *event, const struct tree *message)
{
	struct sample *s = arg;

	(void)event;
	tree_for_each (sa, message) {
		const struct tree *paths = tree_child(sa, "paths");

		if (!paths || !is_meant(s->only, sa))
			continue;
		tree_for_each (path, paths)
			add_row(s, sa, path);
	}
}

static void sample_free(struct sample *s)
{
	mem_free(s->rows);
	tree_free(s->answer);
	*s = (struct sample){.only = s->only};
}

/* take - why it failed is said on the terminal as it was before. */
static bool take(struct cli *cli, struct sample *s, enum exit_code *out_code)
{
	enum err e;

	cli->client.deadline_ns = clock_now_ns() + CALL_S * NS_PER_S;
	e = client_call(&cli->client, &s->answer, "latchkey-paths", NULL, on_paths, s);
	s->at_ns = clock_now_ns();
	if (!e && !s->failed)
		return true;
	terminal_close();
	*out_code = cli_call_failed(cli, e ? e : ERR_NOMEM, "latchkey-paths");
	return false;
}

/* same_path - an IKE SA that was re-keyed has another number, and begins anew. */
static const struct row *same_path(const struct sample *s, const struct row *r)
{
	for (size_t i = 0; i < s->num; i++)
		if (s->rows[i].ike_id == r->ike_id && strcmp(s->rows[i].number, r->number) == 0)
			return &s->rows[i];
	return NULL;
}

static void set_rates(struct sample *now, const struct sample *before)
{
	const double seconds = (double)(now->at_ns - before->at_ns) / NS_PER_S;

	for (size_t i = 0; i < now->num; i++) {
		struct row *r = &now->rows[i];
		const struct row *was = same_path(before, r);

		if (!was || seconds <= 0 || r->rx_bytes < was->rx_bytes ||
		    r->tx_bytes < was->tx_bytes)
			continue;
		r->has_rate = true;
		r->in = (double)(r->rx_bytes - was->rx_bytes) / seconds;
		r->out = (double)(r->tx_bytes - was->tx_bytes) / seconds;
	}
}

/* ---- how it is shown ------------------------------------------------------------------------- */

/* cut - what of a line fits; not within a character of UTF-8. */
static void cut(char *line, unsigned columns)
{
	unsigned used = 0;

	for (char *p = line; *p; p++) {
		const unsigned char c = (unsigned char)*p;

		if ((c & 0xc0) == 0x80)
			continue;
		if (used++ == columns) {
			*p = '\0';
			return;
		}
		if (c < ' ' || c == 0x7f)
			*p = '?';
	}
}

static void draw(struct screen *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void draw(struct screen *s, const char *fmt, ...)
{
	char line[TEXT_LEN];
	va_list ap;

	if (!s->left)
		return;
	s->left--;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	cut(line, s->columns);
	fputs(line, stdout);
	if (!s->live)
		putchar('\n');
	else
		fputs(s->left ? "\033[K\n" : "\033[K", stdout);
}

static void rate_text(char out[16], const struct row *r, double bytes)
{
	if (r->has_rate)
		snprintf(out, 16, "%.2f", bytes * 8 / 1e6);
	else
		snprintf(out, 16, "-");
}

static void draw_row(struct screen *s, const struct row *r)
{
	char in[16], out[16];

	rate_text(in, r, r->in);
	rate_text(out, r, r->out);
	draw(s, "%-12.12s %3s %-10s %8s %8s %7s %5s %s - %s", r->conn, r->number, r->state, in, out,
	     r->rtt, r->loss, r->local, r->remote);
}

/* busier - those that carry most come first; else as they are listed. */
static int busier(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	const double more = (y->in + y->out) - (x->in + x->out);

	return more > 0 ? 1 : more < 0 ? -1 : x->ike_id < y->ike_id ? -1 : x->ike_id > y->ike_id;
}

static void draw_rows(struct screen *s, struct sample *now, size_t room)
{
	size_t num = now->num;

	if (num > room) {
		qsort(now->rows, num, sizeof(now->rows[0]), busier);
		num = room ? room - 1 : 0;
	}
	for (size_t i = 0; i < num; i++)
		draw_row(s, &now->rows[i]);
	if (num < now->num)
		draw(s, "(%zu more paths, which carry less)", now->num - num);
}

static void draw_event(struct screen *s, const struct tree *ev)
{
	static const struct {
		const char *event, *text;
	} texts[] = {
		{"new", "is there, and is asked"},
		{"usable", "carries"},
		{"lost", "does not carry any more"},
		{"elsewhere", "has other ends"},
		{"moved", "has the traffic"},
		{"gone", "is removed"},
		{"drained", "has brought its last packets"},
	};
	const time_t at = (time_t)strtoll(text(ev, "time"), NULL, 10);
	const char *what = "", *from = text(ev, "from");
	char clock[16] = "";
	struct tm tm;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (strcmp(texts[i].event, text(ev, "event")) == 0)
			what = texts[i].text;
	if (localtime_r(&at, &tm))
		strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	draw(s, "%s %-12.12s path %s %s%s%s (%s)", clock, text(ev, "connection"),
	     text(ev, "number"), what, from[0] ? ", after path " : "", from, text(ev, "local"));
}

static size_t num_events(const struct sample *s)
{
	const struct tree *events = tree_child(s->answer, "events");
	size_t num = 0;

	if (!events)
		return 0;
	tree_for_each (ev, events)
		num += !s->only || strcmp(text(ev, "connection"), s->only) == 0;
	return num;
}

static void draw_events(struct screen *s, const struct sample *now, size_t num, size_t shown)
{
	if (!shown)
		return;
	draw(s, "%s", "");
	draw(s, "what happened last");
	tree_for_each (ev, tree_child(now->answer, "events")) {
		if (now->only && strcmp(text(ev, "connection"), now->only) != 0)
			continue;
		if (num-- <= shown)
			draw_event(s, ev);
	}
}

/* show - the events have a third of the lines at most. */
static void show(struct screen *s, struct sample *now)
{
	const size_t num = num_events(now), most = s->left / 3;
	size_t shown = num < EVENTS_SHOWN ? num : EVENTS_SHOWN;
	char clock[16] = "";
	time_t at = time(NULL);
	struct tm tm;

	if (shown > most)
		shown = most;
	if (localtime_r(&at, &tm))
		strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	draw(s, "latchkey top  %s  paths: %zu%s", clock, now->num, s->live ? "  (q: end)" : "");
	draw(s, "%-12s %3s %-10s %8s %8s %7s %5s %s", "CONNECTION", "NO", "STATE", "IN Mb/s",
	     "OUT Mb/s", "RTT ms", "LOSS%", "FROM - TO");
	draw_rows(s, now, s->left > shown + 2 ? s->left - (shown ? shown + 2 : 0) : 0);
	draw_events(s, now, num, shown);
}

static void show_live(struct sample *now)
{
	const struct terminal_size size = terminal_size();
	struct screen s = {.columns = size.columns, .left = size.rows, .live = true};

	fputs("\033[H", stdout);
	show(&s, now);
	fputs(s.left ? "\033[J" : "", stdout);
	fflush(stdout);
}

static void show_once(struct sample *now)
{
	struct screen s = {.columns = WIDTH_PIPE, .left = UINT32_MAX};

	if (isatty(STDOUT_FILENO))
		s.columns = terminal_size().columns;
	show(&s, now);
}

static void note(struct cli *cli, const struct sample *now)
{
	json_t *list = json_array();

	for (size_t i = 0; i < now->num; i++) {
		const struct row *r = &now->rows[i];
		json_t *one = json_pack("{s:s, s:i, s:i, s:s, s:s, s:s}", "connection", r->conn,
					"uniqueid", (int)r->ike_id, "number", atoi(r->number),
					"state", r->state, "local", r->local, "remote", r->remote);

		if (r->has_rate) {
			json_object_set_new(one, "in-rate", json_integer((json_int_t)r->in));
			json_object_set_new(one, "out-rate", json_integer((json_int_t)r->out));
		}
		json_array_append_new(list, one);
	}
	json_object_set_new(cli->result, "paths", list);
}

/* ---- the command ----------------------------------------------------------------------------- */

/* once - two samples, since rates need them. */
static enum exit_code once(struct cli *cli, struct sample *before, struct sample *now)
{
	const struct timespec period = {.tv_sec = PERIOD_MS / 1000};
	enum exit_code code;

	if (!take(cli, before, &code))
		return code;
	nanosleep(&period, NULL);
	if (!take(cli, now, &code))
		return code;
	set_rates(now, before);
	note(cli, now);
	if (!cli->json)
		show_once(now);
	return EXIT_OK;
}

static enum exit_code live(struct cli *cli, struct sample *before, struct sample *now)
{
	enum terminal_event event = TERMINAL_TIME;
	enum exit_code code = EXIT_OK;

	while (event != TERMINAL_QUIT) {
		if (event == TERMINAL_TIME) {
			sample_free(before);
			*before = *now;
			*now = (struct sample){.only = before->only};
			if (!take(cli, now, &code))
				break;
			set_rates(now, before);
		}
		show_live(now);
		event = terminal_wait(PERIOD_MS);
	}
	return code;
}

enum exit_code run_top(struct cli *cli)
{
	const char *only = cli->num_args ? cli->args[0] : NULL;
	struct sample before = {.only = only}, now = {.only = only};
	enum exit_code code;

	if (!cli_listen(cli, &code, "latchkey-path"))
		return code;
	if (cli->once || cli->json || !terminal_open())
		code = once(cli, &before, &now);
	else
		code = live(cli, &before, &now);
	terminal_close();
	sample_free(&before);
	sample_free(&now);
	return code;
}
