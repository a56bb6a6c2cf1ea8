/* SPDX-License-Identifier: Apache-2.0 */
/*
 * app_serve: an application socket with a fake engine, for tests in other languages. It prints the
 * socket's path, then does a line of standard input each, says "done", and ends with the input:
 *	flows PORT     every flow is protected, by a class that reaches this port
 *	state NUMBER   new latches have this state at once
 *	break          the first latch breaks
 *	ask            may the first latch's peer?
 *	interface      what comes by that of index 5 is of this class
 *	paths NUMBER   what is said of paths is done at once; or refused, 1: nothing of that name
 *	asked          prints what was said of paths last, in a line before "done"
 *	moves          traffic moves from path 1 to path 2
 *	restart        the daemon goes and comes back
 */
#include "tests/api/app_stand.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void flows(struct fake_app *f, void *arg)
{
	f->any_flow = true;
	f->classes[0].reaches = (uint16_t) * (int *)arg;
}

static void interface_tells(struct fake_app *f, void *arg)
{
	(void)arg;
	f->ifindex = 5;
	f->of_it = 7;
	f->holds_ms = 1000;
}

static void state(struct fake_app *f, void *arg)
{
	f->create_state = (enum latch_state) * (int *)arg;
}

static void break_first(struct fake_app *f, void *arg)
{
	(void)arg;
	if (f->num_latches)
		fake_app_state(f, f->latches[0].id, LATCH_BROKEN, IKE_REASON_NO_ANSWER,
			       "the peer is silent");
}

static void ask_first(struct fake_app *f, void *arg)
{
	(void)arg;
	if (f->num_latches)
		fake_app_ask(f, f->latches[0].id, 5);
}

static void answer_paths(struct fake_app *f, void *arg)
{
	f->path_peers = 0; /* nobody is waited for */
	f->path_result = *(int *)arg ? ERR_NOT_FOUND : ERR_OK;
}

static const char *text_or_dash(char text[IP_TEXT_MAX], const struct ip_addr *a)
{
	return ip_addr_is_any(a) ? "-" : ip_addr_text(text, a);
}

static void print_asked(struct fake_app *f, void *arg)
{
	static const char *const acts[] = {
		[ENGINE_PATH_ADD] = "add",       [ENGINE_PATH_REMOVE] = "remove",
		[ENGINE_PATH_SOFT] = "soft",     [ENGINE_PATH_HARD] = "hard",
		[ENGINE_PATH_PREFER] = "prefer",
	};
	char local[IP_TEXT_MAX], remote[IP_TEXT_MAX];

	(void)arg;
	printf("%s %s %u %s %s %u %u\n", acts[f->path.act], f->path_name, f->path.id,
	       text_or_dash(local, &f->path.local), text_or_dash(remote, &f->path.remote),
	       f->path.priority, f->path.weight);
}

static void traffic_moves(struct fake_app *f, void *arg)
{
	struct engine_path_event ev = {
		.news = ENGINE_PATH_MOVED, .conn = "gw", .id = 2, .from = 1, .text = ""};

	(void)arg;
	if (ip_addr_parse(&ev.addr.local.addr, "192.0.2.1") ||
	    ip_addr_parse(&ev.addr.remote.addr, "192.0.2.2"))
		abort();
	ev.addr.local.port = ev.addr.remote.port = 4500;
	app_server_path_event(container_of(f, struct app_stand, fake)->server, &ev);
}

static const struct {
	const char *word;
	void (*step)(struct fake_app *f, void *arg);
} steps[] = {
	{"flows", flows},
	{"state", state},
	{"break", break_first},
	{"ask", ask_first},
	{"interface", interface_tells},
	{"paths", answer_paths},
	{"asked", print_asked},
	{"moves", traffic_moves},
};

static void act(struct app_stand *s, const char *word, int number)
{
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		if (strcmp(steps[i].word, word) == 0)
			app_stand_do(s, steps[i].step, &number);
	}
	if (strcmp(word, "restart") == 0) {
		app_stand_stop(s);
		app_stand_start(s);
	}
}

int main(void)
{
	static struct app_stand s;
	char line[64], word[32];
	int number;

	app_stand_up(&s);
	printf("%s\n", s.path);
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		number = 0;
		if (sscanf(line, "%31s %d", word, &number) >= 1)
			act(&s, word, number);
		puts("done");
		fflush(stdout);
	}
	app_stand_down(&s);
	return 0;
}
