/* SPDX-License-Identifier: Apache-2.0 */
/*
 * latchkeyd - the engine and its control socket as a daemon. This file owns what only a program may
 * own: arguments, signals, the process, standard output.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <uv.h>

#include "api/app/listen.h"
#include "api/app/listen_tls.h"
#include "api/engine/app.h"
#include "api/engine/backend.h"
#include "api/engine/engine.h"
#include "api/fetch/fetch.h"
#include "api/host/host.h"
#include "api/syslog_line.h"
#include "api/token/token.h"
#include "api/vici/listen.h"
#include "base/alloc.h"

#define DEFAULT_CONF    "/etc/latchkey/latchkey.conf"
#define DEFAULT_RUN_DIR "/run/latchkey"
#define SOCKET_NAME     "latchkey.vici"
#define APP_SOCKET_NAME "latchkey.app"
#define PATH_LEN        256

enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2
};

struct daemon {
	const char *conf_file;
	const char *run_dir;
	bool foreground;
	bool check;
	int ready_fd; /* tells the waiting parent how the start went; -1 in the foreground */

	uv_loop_t loop;
	uv_signal_t on_signal[3];
	uv_poll_t on_engine;
	bool listens; /* on_engine is open */
	struct host host;
	struct fetcher fetcher;
	struct signer signer;
	struct engine *engine;
	struct backend backend;
	struct vici_server *vici;
	struct vici_listen *listen;
	struct app_backend app_backend;
	struct app_server *app; /* NULL: applications may ask nothing */
	struct app_listen *app_listen;
	struct app_listen_tls *network; /* NULL: other hosts may ask nothing */
	uint8_t network_digest[32];     /* of what it was opened with */
	const struct conf *app_conf;    /* whose rights are in force there; never looked into */
	uv_prepare_t on_sleep;
	struct engine_observer observer;
	struct log_sink sink;
};

/* ---- log ------------------------------------------------------------------------------------ */

static void write_stdout(enum log_level level, const char *line)
{
	struct timespec ts;
	struct tm tm;
	char when[16];

	clock_gettime(CLOCK_REALTIME, &ts);
	localtime_r(&ts.tv_sec, &tm);
	strftime(when, sizeof(when), "%H:%M:%S", &tm);
	printf("%s.%03ld %-5s %s\n", when, ts.tv_nsec / 1000000, log_level_name(level), line);
	fflush(stdout);
}

static void write_line(void *ctx, enum log_level level, enum log_subsystem sub,
		       const char *connection, const char *line)
{
	const struct daemon *d = ctx;
	char text[1200];

	snprintf(text, sizeof(text), "[%s]%s%s%s %s", log_subsystem_name(sub),
		 connection ? " <" : "", connection ? connection : "", connection ? ">" : "", line);
	if (d->foreground)
		write_stdout(level, text);
	else
		syslog_line(level, text);
}

static void log_begin(struct daemon *d, const struct conf *conf)
{
	d->sink = (struct log_sink){.write = write_line, .ctx = d};
	for (size_t i = 0; i < LOG_NUM_SUBSYSTEMS; i++)
		d->sink.levels[i] = conf ? (enum log_level)conf->daemon.log_level : LOG_INFO;
	log_use(&d->sink);
}

/* ---- configuration -------------------------------------------------------------------------- */

static void print_diags(const struct conf_diags *diags)
{
	for (uint32_t i = 0; i < diags->num; i++)
		fprintf(stderr, "%s: %s\n", diags->list[i].error ? "error" : "warning",
			diags->list[i].text);
}

static struct conf *load(const char *file)
{
	struct conf_diags *diags = mem_alloc(sizeof(*diags));
	struct conf *conf = NULL;
	enum err err = diags ? engine_load_conf(&conf, diags, file) : ERR_NOMEM;

	if (diags)
		print_diags(diags);
	if (err)
		fprintf(stderr, "latchkeyd: %s: %s\n", file, err_text(err));
	mem_free(diags);
	return err ? NULL : conf;
}

static const char *action_text(enum conf_action a)
{
	static const char *const text[] = {
		[ACTION_NONE] = "when asked or by the peer",
		[ACTION_TRAP] = "when a packet needs it",
		[ACTION_START] = "at once",
		[ACTION_TRAP_START] = "at once, and when a packet needs it",
	};

	return text[a];
}

static void print_child(const struct conf_child *c)
{
	char text[TS_TEXT_MAX];

	printf("  child %s: up %s; protects", c->name, action_text(c->start_action));
	for (uint32_t i = 0; i < c->num_local_ts; i++)
		printf("%s %s", i ? "," : "",
		       c->local_ts[i].dynamic ? "dynamic" : ts_text(text, &c->local_ts[i].ts));
	printf(" <->");
	for (uint32_t i = 0; i < c->num_remote_ts; i++)
		printf("%s %s", i ? "," : "",
		       c->remote_ts[i].dynamic ? "dynamic" : ts_text(text, &c->remote_ts[i].ts));
	printf("\n");
}

/* print_plan - what --check says would be done. */
static void print_plan(const struct conf *conf)
{
	printf("interface %s, UDP ports %u and %u, %u connection%s, %u secret%s\n",
	       conf->daemon.interface, conf->daemon.port, conf->daemon.port_nat_t, conf->num_conns,
	       conf->num_conns == 1 ? "" : "s", conf->num_secrets,
	       conf->num_secrets == 1 ? "" : "s");
	for (uint32_t i = 0; i < conf->num_conns; i++) {
		const struct conf_conn *c = conf->conns[i];
		char id[128];

		printf("connection %s to", c->name);
		for (uint32_t a = 0; a < c->num_remote_addrs; a++)
			printf("%s %s", a ? "," : "", c->remote_addrs[a].text);
		printf(", peer identity %s\n", c->remote.pattern ? c->remote.pattern
					       : c->remote.id.type
						       ? ike_id_text(id, sizeof(id), &c->remote.id)
						       : "any");
		for (uint32_t n = 0; n < c->num_children; n++)
			print_child(&c->children[n]);
	}
}

/* ---- control socket ------------------------------------------------------------------------- */

static void on_event(struct engine_observer *o, const struct ike_event *ev)
{
	struct daemon *d = container_of(o, struct daemon, observer);

	vici_server_event(d->vici, ev);
}

static void on_path(struct engine_observer *o, const struct engine_path_event *ev)
{
	struct daemon *d = container_of(o, struct daemon, observer);

	vici_server_path_event(d->vici, ev);
	if (d->app)
		app_server_path_event(d->app, ev);
}

static void on_log(struct engine_observer *o, enum log_level level, enum log_subsystem sub,
		   const char *connection, const char *line)
{
	struct daemon *d = container_of(o, struct daemon, observer);

	vici_server_log(d->vici, level, sub, connection, line);
}

static enum err control_open(struct daemon *d)
{
	char path[PATH_LEN];
	enum err err;

	snprintf(path, sizeof(path), "%s/" SOCKET_NAME, d->run_dir);
	d->backend = engine_backend(d->engine);
	err = vici_server_new(&d->vici, &d->backend);
	if (err)
		return err;
	err = vici_listen_open(&d->listen, &d->loop, path, d->vici);
	if (err) {
		LOG(ERROR, DMN, NULL, "the control socket %s cannot be opened: %s", path,
		    err == ERR_BUSY ? "another latchkeyd answers there" : strerror(errno));
		return err;
	}
	d->observer = (struct engine_observer){.event = on_event, .path = on_path, .log = on_log};
	engine_observe(d->engine, &d->observer);
	return ERR_OK;
}

/* ---- application socket ---------------------------------------------------------------------- */

static void on_app_event(void *ctx, const struct app_event *event)
{
	const struct daemon *d = ctx;

	app_server_event(d->app, event);
}

/* instance - another number for each life of the daemon, so that programs see that it is one. */
static enum err instance(uint64_t *out)
{
	return rng_fill(rng_system(), out, sizeof(*out));
}

static enum err network_open(struct daemon *d, const struct conf_network *conf)
{
	char why[TLS_WHY_MAX] = "memory is short";
	enum err err = ERR_OK;

	memcpy(d->network_digest, conf->digest, sizeof(d->network_digest));
	if (conf->num_addrs)
		err = app_listen_tls_open(&d->network, why, &d->loop, d->app, conf);
	if (err)
		LOG(ERROR, DMN, NULL, "the network interface cannot be opened: %s", why);
	if (err) /* the next configuration is tried, even if it is the same */
		memset(d->network_digest, 0, sizeof(d->network_digest));
	else if (conf->num_addrs)
		LOG(INFO, DMN, NULL, "other hosts may ask at port %u", conf->port);
	return err;
}

/* Other addresses, keys or authorities: who is connected by the old ones comes again. */
static void network_configure(struct daemon *d, const struct conf_network *conf)
{
	if (memcmp(d->network_digest, conf->digest, sizeof(d->network_digest)) == 0)
		return;
	app_listen_tls_close(d->network);
	d->network = NULL;
	if (network_open(d, conf))
		LOG(ERROR, DMN, NULL, "other hosts may ask nothing until it is loaded again");
}

/* A configuration that was loaded, by whatever way, has other rights: it is another object. */
static void before_sleep(uv_prepare_t *handle)
{
	struct daemon *d = handle->data;
	const struct conf *conf = engine_conf(d->engine);

	if (conf != d->app_conf) {
		app_server_configure(d->app, &conf->daemon.app);
		network_configure(d, &conf->daemon.app.network);
	}
	d->app_conf = conf;
}

static void watch_rights(struct daemon *d)
{
	uv_prepare_init(&d->loop, &d->on_sleep);
	d->on_sleep.data = d;
	uv_prepare_start(&d->on_sleep, before_sleep);
}

static enum err app_open(struct daemon *d)
{
	const struct conf_app *conf = &engine_conf(d->engine)->daemon.app;
	char path[PATH_LEN];
	uint64_t number;
	enum err err;

	if (conf->disabled)
		return ERR_OK;
	snprintf(path, sizeof(path), "%s/" APP_SOCKET_NAME, d->run_dir);
	d->app_backend = engine_app(d->engine);
	err = instance(&number);
	if (!err)
		err = app_server_new(&d->app, &d->app_backend, conf, number);
	if (!err)
		err = app_listen_open(&d->app_listen, &d->loop, path, d->app);
	if (err) {
		LOG(ERROR, DMN, NULL, "the application socket %s cannot be opened: %s", path,
		    err == ERR_SYS ? strerror(errno) : err_text(err));
		return err;
	}
	engine_app_observe(d->engine, on_app_event, d);
	watch_rights(d);
	if (network_open(d, &conf->network)) /* IKE does not wait for somebody else's port */
		LOG(ERROR, DMN, NULL, "other hosts may ask nothing until it is loaded again");
	return ERR_OK;
}

static void app_close(struct daemon *d)
{
	engine_app_observe(d->engine, NULL, NULL);
	if (d->app_listen)
		uv_close((uv_handle_t *)&d->on_sleep, NULL);
	app_listen_tls_close(d->network);
	d->network = NULL;
	app_listen_close(d->app_listen);
	d->app_listen = NULL;
}

static void control_close(struct daemon *d)
{
	app_close(d);
	if (d->observer.event)
		engine_unobserve(d->engine, &d->observer);
	vici_listen_close(d->listen, NULL, NULL);
	d->listen = NULL;
}

/* ---- life ----------------------------------------------------------------------------------- */

static void on_stopped(void *ctx)
{
	struct daemon *d = ctx;

	uv_stop(&d->loop);
}

static void on_terminate(uv_signal_t *handle, int signum)
{
	struct daemon *d = handle->data;

	LOG(INFO, DMN, NULL, "signal %d: stopping", signum);
	engine_stop(d->engine, on_stopped, d);
}

static void on_reload(uv_signal_t *handle, int signum)
{
	struct daemon *d = handle->data;
	struct conf_diags *diags = mem_alloc(sizeof(*diags));
	enum err err = diags ? engine_reload(d->engine, diags) : ERR_NOMEM;

	(void)signum;
	for (uint32_t i = 0; diags && i < diags->num; i++)
		LOG(WARN, CFG, NULL, "%s", diags->list[i].text);
	if (err)
		LOG(ERROR, CFG, NULL, "the old configuration stays in force: %s", err_text(err));
	else
		LOG(INFO, CFG, NULL, "configuration loaded again");
	mem_free(diags);
}

static void signals_open(struct daemon *d)
{
	static const struct {
		int signum;
		uv_signal_cb cb;
	} table[] = {{SIGTERM, on_terminate}, {SIGINT, on_terminate}, {SIGHUP, on_reload}};

	static_assert(ARRAY_LEN(table) == ARRAY_LEN(d->on_signal), "one handle a signal");
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		uv_signal_init(&d->loop, &d->on_signal[i]);
		d->on_signal[i].data = d;
		uv_signal_start(&d->on_signal[i], table[i].cb, table[i].signum);
	}
	signal(SIGPIPE, SIG_IGN);
}

static void signals_close(struct daemon *d)
{
	for (size_t i = 0; i < ARRAY_LEN(d->on_signal); i++)
		uv_close((uv_handle_t *)&d->on_signal[i], NULL);
}

/* leave_terminal - from now on the log alone tells. */
static void leave_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; fd < 3 && null >= 0; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
}

/* tell_parent - the waiting parent exits with this status; nobody waits in the foreground. */
static void tell_parent(struct daemon *d, uint8_t status)
{
	if (d->ready_fd < 0)
		return;
	if (write(d->ready_fd, &status, 1) != 1)
		LOG(WARN, DMN, NULL, "nobody waited for the start");
	close(d->ready_fd);
	d->ready_fd = -1;
	if (status == EXIT_OK)
		leave_terminal();
}

static void on_engine(uv_poll_t *handle, int status, int events)
{
	struct daemon *d = handle->data;

	(void)status;
	(void)events;
	engine_dispatch(d->engine);
}

/* engine_listen - the loop turns the engine from now on. */
static enum err engine_listen(struct daemon *d)
{
	if (uv_poll_init(&d->loop, &d->on_engine, engine_fd(d->engine)))
		return ERR_SYS;
	d->on_engine.data = d;
	d->listens = true;
	return uv_poll_start(&d->on_engine, UV_READABLE, on_engine) ? ERR_SYS : ERR_OK;
}

static void engine_unlisten(struct daemon *d)
{
	if (d->listens)
		uv_close((uv_handle_t *)&d->on_engine, NULL);
	d->listens = false;
}

/* outside_close - what an engine that does not start leaves to us. */
static void outside_close(struct daemon *d)
{
	d->host.ops->close(d->host.ctx);
	if (d->fetcher.ops)
		d->fetcher.ops->close(d->fetcher.ctx);
	d->fetcher.ops = NULL;
	if (d->signer.ops)
		d->signer.ops->close(d->signer.ctx);
	d->signer.ops = NULL;
}

static enum err engine_open(struct daemon *d, struct conf *conf)
{
	struct engine_params params = {.conf = conf, .conf_file = d->conf_file};
	enum err err = host_linux_open(&d->host);
	char resolv[PATH_LEN], latches[PATH_LEN];
#ifdef LATCHKEY_TEST_KEYLOG
	char keylog[PATH_LEN];

	snprintf(keylog, sizeof(keylog), "%s/keylog", d->run_dir);
	mkdir(keylog, 0700);
	params.keylog_dir = keylog;
#endif
	if (err) {
		LOG(ERROR, DMN, NULL, "netlink cannot be opened: %s", err_text(err));
		return err;
	}
	snprintf(resolv, sizeof(resolv), "%s/resolv.conf", d->run_dir);
	params.resolv_file = resolv;
	snprintf(latches, sizeof(latches), "%s/latches", d->run_dir);
	params.latch_file = latches;
	if (conf->daemon.crash_secret[0])
		params.crash_file = conf->daemon.crash_secret;
	params.host = d->host;
	err = fetch_open(&d->fetcher, HOST_MARK_OUTER);
	params.fetcher = d->fetcher;
	params.signer = d->signer;
	if (err)
		LOG(ERROR, DMN, NULL, "nothing could be fetched: %s", err_text(err));
	else
		err = engine_new(&d->engine, &params);
	if (err)
		outside_close(d);
	return err;
}

/* start - on a failure what a process before us left guarded stays so. */
static enum err start(struct daemon *d, struct conf *conf)
{
	enum err err = engine_open(d, conf);

	if (err)
		return err;
	err = engine_listen(d);
	if (!err)
		err = control_open(d);
	if (!err)
		err = app_open(d);
	if (!err)
		return ERR_OK;
	control_close(d);
	engine_unlisten(d);
	engine_abandon(d->engine);
	d->engine = NULL;
	outside_close(d);
	return err;
}

static int run(struct daemon *d, struct conf *conf)
{
	int status = EXIT_FAILED;

	uv_loop_init(&d->loop);
	signals_open(d);
	if (!start(d, conf)) {
		LOG(INFO, DMN, NULL,
		    "latchkeyd " LATCHKEY_VERSION " is ready; control socket in %s", d->run_dir);
		tell_parent(d, EXIT_OK);
		uv_run(&d->loop, UV_RUN_DEFAULT);
		status = EXIT_OK;
	}
	tell_parent(d, EXIT_FAILED);
	if (d->engine)
		control_close(d);
	engine_unlisten(d);
	engine_free(d->engine);
	signals_close(d);
	uv_run(&d->loop, UV_RUN_DEFAULT); /* the handles close */
	vici_server_free(d->vici);
	app_server_free(d->app);
	uv_loop_close(&d->loop);
	LOG(INFO, DMN, NULL, "stopped");
	return status;
}

/* wait_for_child - the parent's part: its exit status is how the daemon's start went. */
static int wait_for_child(int fd)
{
	uint8_t status = EXIT_FAILED;

	if (read(fd, &status, 1) != 1)
		fprintf(stderr, "latchkeyd: ended while starting; the system log may say why\n");
	else if (status != EXIT_OK)
		fprintf(stderr, "latchkeyd: could not start; what is not said above is in the "
				"system log\n");
	return status;
}

/* background - fork before there is a thread or a key: the key arena does not outlive a fork.
 * Returns only in the child, which keeps the terminal until it is ready. */
static void background(struct daemon *d)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) || (pid = fork()) < 0) {
		perror("latchkeyd");
		exit(EXIT_FAILED);
	}
	if (pid > 0) {
		close(fds[1]);
		exit(wait_for_child(fds[0]));
	}
	close(fds[0]);
	d->ready_fd = fds[1];
	setsid();
	syslog_open("latchkeyd");
}

/* ---- arguments ------------------------------------------------------------------------------ */

static void usage(FILE *out)
{
	fprintf(out,
		"usage: latchkeyd [-c FILE] [--run-dir DIR] [--foreground]\n"
		"       latchkeyd --check [-c FILE]\n"
		"\n"
		"  -c, --config FILE  configuration in the swanctl.conf grammar\n"
		"                     (default " DEFAULT_CONF ")\n"
		"      --run-dir DIR  where the control socket is made (default " DEFAULT_RUN_DIR
		")\n"
		"  -f, --foreground   do not become a daemon; log to standard output\n"
		"      --check        validate FILE, print what would be done, and exit\n"
		"      --version      print the version\n");
}

static int parse_args(struct daemon *d, int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"run-dir", required_argument, NULL, 'r'},
		{"foreground", no_argument, NULL, 'f'},
		{"check", no_argument, NULL, 'k'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:fh", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			d->conf_file = optarg;
			break;
		case 'r':
			d->run_dir = optarg;
			break;
		case 'f':
			d->foreground = true;
			break;
		case 'k':
			d->check = true;
			break;
		case 'h':
			usage(stdout);
			exit(EXIT_OK);
		case 'V':
			printf("latchkeyd " LATCHKEY_VERSION "\n");
			exit(EXIT_OK);
		default:
			return EXIT_USAGE;
		}
	}
	return optind == argc ? EXIT_OK : EXIT_USAGE;
}

/* run_dir_fault - why the control socket cannot be made there; NULL if it can. Who may write in the
 * directory may put a socket of his own in the place of ours, and be told the secrets. */
static const char *run_dir_fault(const char *dir)
{
	struct stat st;

	if (strlen(dir) + sizeof("/" SOCKET_NAME) > sizeof(((struct sockaddr_un *)0)->sun_path))
		return "the path is too long for a socket";
	/* Everybody may reach the application socket; the control socket is its owner's alone. */
	if (mkdir(dir, 0755) && errno != EEXIST)
		return strerror(errno);
	if (stat(dir, &st))
		return strerror(errno);
	if (!S_ISDIR(st.st_mode))
		return "it is not a directory";
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return "it belongs to somebody else";
	if (st.st_mode & S_IWOTH)
		return "everybody may write there: chmod o-w it";
	return NULL;
}

static bool make_run_dir(const char *dir)
{
	const char *fault = run_dir_fault(dir);

	if (fault)
		fprintf(stderr, "latchkeyd: --run-dir %s: %s\n", dir, fault);
	return !fault;
}

/* serve - with a valid configuration: do what the arguments say. */
static int serve(struct daemon *d, struct conf *conf)
{
	if (d->check) {
		print_plan(conf);
		return EXIT_OK;
	}
	if (!make_run_dir(d->run_dir))
		return EXIT_FAILED;
	log_begin(d, conf);
	if (token_open(&d->signer, conf->daemon.modules, conf->daemon.num_modules)) {
		LOG(ERROR, DMN, NULL, "no process can be made that speaks to tokens: %s",
		    strerror(errno));
		return EXIT_FAILED;
	}
	return run(d, conf);
}

/* Clients have so many descriptors as their quotas let them: as many as the system gives. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		LOG(WARN, DMN, NULL, "the limit of open files stays as it is: %s", strerror(errno));
}

int main(int argc, char **argv)
{
	struct daemon d = {
		.conf_file = DEFAULT_CONF,
		.run_dir = DEFAULT_RUN_DIR,
		.ready_fd = -1,
	};
	struct conf *conf;
	int status;

	if (parse_args(&d, argc, argv)) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (!d.foreground && !d.check)
		background(&d);
	raise_limit();
	if (cred_wipe_freed())
		LOG(WARN, CFG, NULL, "what OpenSSL frees cannot be wiped here");
	conf = load(d.conf_file);
	status = conf ? serve(&d, conf) : EXIT_FAILED;
	conf_put(conf);
	tell_parent(&d, (uint8_t)status);
	return status;
}
