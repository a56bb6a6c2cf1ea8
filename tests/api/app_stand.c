/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/api/app_stand.h"

#include "api/app/proto.h"
#include "api/client/backend.h"
#include "api/include/latchkey/ipsec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void on_event(void *ctx, const struct app_event *event)
{
	app_server_event(((struct app_stand *)ctx)->server, event);
}

static void stop(struct app_stand *s)
{
	app_listen_close(s->listen);
	app_listen_tls_close(s->network);
	s->network = NULL;
	uv_close((uv_handle_t *)&s->async, NULL);
}

static void on_async(uv_async_t *async)
{
	struct app_stand *s = async->data;

	pthread_mutex_lock(&s->lock);
	if (s->step)
		s->step(&s->fake, s->arg);
	s->step = NULL;
	pthread_cond_broadcast(&s->cond);
	if (s->stop)
		stop(s);
	s->stop = false;
	pthread_mutex_unlock(&s->lock);
}

static void *serve(void *arg)
{
	struct app_stand *s = arg;

	uv_run(&s->loop, UV_RUN_DEFAULT);
	must(uv_loop_close(&s->loop) == 0);
	app_server_free(s->server);
	return NULL;
}

void app_stand_start(struct app_stand *s)
{
	char why[TLS_WHY_MAX];

	must(uv_loop_init(&s->loop) == 0);
	must(uv_async_init(&s->loop, &s->async, on_async) == 0);
	s->async.data = s;
	must(app_server_new(&s->server, &s->fake.backend, &s->conf, ++s->instance) == ERR_OK);
	s->fake.tell = on_event;
	s->fake.tell_ctx = s;
	must(app_listen_open(&s->listen, &s->loop, s->path, s->server) == ERR_OK);
	if (s->conf.network.num_addrs)
		must(app_listen_tls_open(&s->network, why, &s->loop, s->server, &s->conf.network) ==
		     ERR_OK);
	must(pthread_create(&s->thread, NULL, serve, s) == 0);
}

void app_stand_stop(struct app_stand *s)
{
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_mutex_unlock(&s->lock);
	uv_async_send(&s->async);
	pthread_join(s->thread, NULL);
}

void app_stand_up(struct app_stand *s)
{
	memset(s, 0, sizeof(*s));
	fake_app_init(&s->fake);
	s->fake.now_ns = 0;
	s->instance = 40;
	s->conf = (struct conf_app){.clients_per_uid = 32,
				    .latches_per_uid = 100,
				    .requests_per_second = 1000000,
				    .queue_per_uid = 1u << 20};
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->cond, NULL);
	snprintf(s->dir, sizeof(s->dir), "/tmp/latchkey-ipsec-XXXXXX");
	must(mkdtemp(s->dir) != NULL);
	must(chmod(s->dir, 0755) == 0);
	snprintf(s->path, sizeof(s->path), "%s/" APP_SOCKET, s->dir);
	must(ipsec_set_socket_path(s->path) == 0);
	app_stand_start(s);
}

void app_stand_down(struct app_stand *s)
{
	app_stand_stop(s);
	ipsec_backend_use(NULL); /* the next test's calls begin anew */
	fake_app_fini(&s->fake);
	rmdir(s->dir);
}

void app_stand_do(struct app_stand *s, void (*step)(struct fake_app *fake, void *arg), void *arg)
{
	pthread_mutex_lock(&s->lock);
	s->step = step;
	s->arg = arg;
	uv_async_send(&s->async);
	while (s->step)
		pthread_cond_wait(&s->cond, &s->lock);
	pthread_mutex_unlock(&s->lock);
}
