/* SPDX-License-Identifier: Apache-2.0 */
/*
 * app_stand: an application socket with a fake engine behind it, served by a thread of its own, so
 * that the library's calls can wait for it. Failures of the stand itself abort.
 */
#pragma once

#include <pthread.h>
#include <uv.h>

#include "api/app/listen.h"
#include "api/app/listen_tls.h"
#include "tests/api/fake_app.h"

/* struct app_stand - fake belongs to the thread: reach it by app_stand_do(). */
struct app_stand {
	struct fake_app fake;
	struct conf_app conf;
	char dir[40], path[80];
	uint64_t instance;
	pthread_t thread;
	uv_loop_t loop;
	uv_async_t async;
	struct app_server *server;
	struct app_listen *listen;
	struct app_listen_tls *network; /* if conf has one when a life begins */
	pthread_mutex_t lock;
	pthread_cond_t cond;
	void (*step)(struct fake_app *fake, void *arg);
	void *arg;
	bool stop, ready;
};

/* app_stand_up - a socket in a directory of its own, with the library's calls led there.
 * app_stand_start, app_stand_stop - the daemon of this life begins, and ends; up has begun one.
 * app_stand_down - all goes. */
void app_stand_up(struct app_stand *s);
void app_stand_start(struct app_stand *s);
void app_stand_stop(struct app_stand *s);
void app_stand_down(struct app_stand *s);

/* app_stand_do - run step in the serving thread, and wait for it. */
void app_stand_do(struct app_stand *s, void (*step)(struct fake_app *fake, void *arg), void *arg);
