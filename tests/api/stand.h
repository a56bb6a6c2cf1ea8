/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stand: a management server with a fake engine on a unix socket in a libuv loop, and a program
 * that talks to it, run by the same loop. Failures of the stand itself abort.
 */
#pragma once

#include "api/vici/listen.h"
#include "tests/api/fake_backend.h"

/* struct stand - a server on a socket, and a program that talks to it. */
struct stand {
	uv_loop_t loop;
	struct fake_backend fake;
	struct vici_server *server;
	struct vici_listen *listen;
	char dir[32], uri[128];
	/* the program that runs */
	bool run_as_nobody;
	uv_process_t process;
	uv_pipe_t out;
	uv_timer_t limit;
	uv_timer_t later;
	char text[65536]; /* what it printed, both streams together */
	size_t text_len;
	int64_t status;
	char buf[4096];
};

/* stand_up - make a directory, a socket in it, a server; tear_down takes all away and asserts that
 * nothing was left open. */
void stand_up(struct stand *s);
void tear_down(struct stand *s);

/* stand_write - a file in the stand's directory. */
void stand_write(const struct stand *s, const char *name, const char *text);

/* stand_run - run a program with these arguments (the last is NULL) while the server serves; its
 * exit status, 1000 + signal if one ended it (a program that takes too long is killed). */
int64_t stand_run(struct stand *s, const char *program, const char *const *args);

/* has - the program printed this; shows all it printed if not. */
bool has(const struct stand *s, const char *text);

/* stand_later - run step once, ms from now, in the loop; its data is the stand. */
void stand_later(struct stand *s, uv_timer_cb step, uint64_t ms);
