/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/api/stand.h"

#include "tests/tap/tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIMIT_MS 20000

void stand_write(const struct stand *s, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", s->dir, name);
	f = fopen(path, "w");
	if (!f || fputs(text, f) < 0 || fclose(f))
		abort();
}

void stand_up(struct stand *s)
{
	char path[64];

	memset(s, 0, sizeof(*s));
	snprintf(s->dir, sizeof(s->dir), "/tmp/lk-vici-XXXXXX");
	if (!mkdtemp(s->dir) || uv_loop_init(&s->loop))
		abort();
	fake_init(&s->fake);
	s->fake.arg = s;
	snprintf(path, sizeof(path), "%s/latchkey.vici", s->dir);
	snprintf(s->uri, sizeof(s->uri), "unix://%s", path);
	if (vici_server_new(&s->server, &s->fake.backend) ||
	    vici_listen_open(&s->listen, &s->loop, path, s->server))
		abort();
	uv_timer_init(&s->loop, &s->later);
	s->later.data = s;
}

void tear_down(struct stand *s)
{
	char command[160];

	vici_listen_close(s->listen, NULL, NULL);
	uv_close((uv_handle_t *)&s->later, NULL);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	CU_ASSERT_EQUAL(uv_loop_close(&s->loop), 0);
	vici_server_free(s->server);
	fake_fini(&s->fake);
	snprintf(command, sizeof(command), "rm -rf %s", s->dir);
	CU_ASSERT_EQUAL(system(command), 0);
}

static void give_buffer(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct stand *s = h->data;

	(void)suggested;
	*buf = uv_buf_init(s->buf, sizeof(s->buf));
}

static void printed(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
	struct stand *s = stream->data;

	if (len < 0) {
		uv_close((uv_handle_t *)stream, NULL);
		return;
	}
	if (s->text_len + (size_t)len >= sizeof(s->text))
		abort();
	memcpy(s->text + s->text_len, buf->base, (size_t)len);
	s->text_len += (size_t)len;
	s->text[s->text_len] = '\0';
}

static void exited(uv_process_t *process, int64_t status, int signal)
{
	struct stand *s = process->data;

	s->status = signal ? 1000 + signal : status;
	uv_timer_stop(&s->limit);
	uv_close((uv_handle_t *)&s->limit, NULL);
	uv_close((uv_handle_t *)process, NULL);
}

static void too_long(uv_timer_t *timer)
{
	struct stand *s = timer->data;

	uv_process_kill(&s->process, SIGKILL);
}

static void start(struct stand *s, const char *program, const char *const *args)
{
	uv_stdio_container_t stdio[3] = {{.flags = UV_IGNORE}};
	uv_process_options_t options = {.file = program, .exit_cb = exited, .stdio = stdio};
	char dir_env[128];
	char *env[] = {dir_env, NULL};
	char *argv[16] = {(char *)(uintptr_t)program};
	uv_file fds[2];
	size_t n = 1;

	for (; args[n - 1]; n++)
		argv[n] = (char *)(uintptr_t)args[n - 1];
	snprintf(dir_env, sizeof(dir_env), "SWANCTL_DIR=%s", s->dir);
	uv_pipe_init(&s->loop, &s->out, 0);
	uv_timer_init(&s->loop, &s->limit);
	s->out.data = s->process.data = s->limit.data = s;
	if (uv_pipe(fds, 0, 0) || uv_pipe_open(&s->out, fds[0]))
		abort();
	for (int i = 1; i < 3; i++)
		stdio[i] = (uv_stdio_container_t){.flags = UV_INHERIT_FD, .data.fd = fds[1]};
	options.args = argv;
	options.env = env;
	options.stdio_count = 3;
	if (s->run_as_nobody) {
		options.flags = UV_PROCESS_SETUID | UV_PROCESS_SETGID;
		options.uid = options.gid = 65534;
	}
	s->text_len = 0;
	s->text[0] = '\0';
	if (uv_spawn(&s->loop, &s->process, &options) ||
	    uv_read_start((uv_stream_t *)&s->out, give_buffer, printed))
		abort();
	close(fds[1]);
	uv_timer_start(&s->limit, too_long, LIMIT_MS, 0);
}

int64_t stand_run(struct stand *s, const char *program, const char *const *args)
{
	start(s, program, args);
	while (uv_is_active((uv_handle_t *)&s->limit) || !uv_is_closing((uv_handle_t *)&s->out))
		uv_run(&s->loop, UV_RUN_ONCE);
	uv_run(&s->loop, UV_RUN_NOWAIT);
	return s->status;
}

/* Printed, or the whole output is shown. */
bool has(const struct stand *s, const char *text)
{
	if (strstr(s->text, text))
		return true;
	tap_diag("'%s' is not in:\n%s", text, s->text);
	return false;
}

void stand_later(struct stand *s, uv_timer_cb step, uint64_t ms)
{
	uv_timer_start(&s->later, step, ms, 0);
}
