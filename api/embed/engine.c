/* SPDX-License-Identifier: Apache-2.0 */
#include "api/include/latchkey/engine.h"

#include <errno.h>
#include <poll.h>

#include "api/embed/internal.h"
#include "base/alloc.h"

/* Engines made so far: the allocator may not change under them. */
static uint32_t num_made; /* atomic */
/* Calls of engines that this thread is in. */
static _Thread_local uint32_t num_inside;

bool embed_inside(void)
{
	return num_inside > 0;
}

const struct log_sink *embed_enter(struct ipsec_engine *e)
{
	pthread_mutex_lock(&e->lock);
	num_inside++;
	e->depth++;
	return log_use(&e->sink);
}

void embed_leave(struct ipsec_engine *e, const struct log_sink *before)
{
	if (e->app && e->depth == 1)
		embed_serve(e->app);
	log_use(before);
	e->depth--;
	num_inside--;
	pthread_mutex_unlock(&e->lock);
}

int embed_fail(enum err err)
{
	static const int numbers[] = {
		[ERR_NOMEM] = ENOMEM,   [ERR_INVAL] = EINVAL,       [ERR_CONFIG] = EINVAL,
		[ERR_LIMIT] = EINVAL,   [ERR_MALFORMED] = EINVAL,   [ERR_NOT_FOUND] = ENOENT,
		[ERR_EXISTS] = EEXIST,  [ERR_AGAIN] = EAGAIN,       [ERR_FULL] = ENOSPC,
		[ERR_BUSY] = EBUSY,     [ERR_BAD_STATE] = EBUSY,    [ERR_PERM] = EPERM,
		[ERR_TIMEOUT] = ENOENT, [ERR_UNSUPPORTED] = EINVAL,
	};

	if (!err)
		return 0;
	if (err != ERR_SYS || !errno)
		errno = err < ARRAY_LEN(numbers) && numbers[err] ? numbers[err] : EIO;
	return -1;
}

/* ---- life ----------------------------------------------------------------------------------- */

int ipsec_set_allocator(const struct ipsec_allocator *allocator)
{
	struct alloc_ops ops = {0};

	if (__atomic_load_n(&num_made, __ATOMIC_ACQUIRE)) {
		errno = EBUSY;
		return -1;
	}
	if (allocator)
		ops = (struct alloc_ops){.realloc = allocator->realloc, .ctx = allocator->ctx};
	alloc_set_ops(allocator ? &ops : NULL);
	return 0;
}

static void write_log(void *ctx, enum log_level level, enum log_subsystem sub,
		      const char *connection, const char *line)
{
	struct ipsec_engine *e = ctx;

	static_assert((int)IPSEC_LOG_DEBUG == (int)LOG_DEBUG, "the same numbers");
	if (e->params.log)
		e->params.log(e->params.ctx, (enum ipsec_log_level)level, log_subsystem_name(sub),
			      connection, line);
}

static enum err fill(void *ctx, void *out, size_t len)
{
	struct ipsec_engine *e = ctx;

	return e->params.random(e->params.ctx, out, len) ? ERR_CRYPTO : ERR_OK;
}

static void init_lock(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(lock, &attr);
	pthread_mutexattr_destroy(&attr);
}

/* copy_params - those that the program knew when it was compiled. */
static bool copy_params(struct ipsec_engine *e, const struct ipsec_engine_params *params)
{
	size_t known = offsetof(struct ipsec_engine_params, random) + sizeof(params->random);

	if (params->size < known || params->size > sizeof(e->params))
		return false;
	memcpy(&e->params, params, params->size);
	return params->threads <= 1 && !(params->threads && params->clock) &&
	       (unsigned int)params->log_level <= IPSEC_LOG_DEBUG;
}

int ipsec_engine_new(struct ipsec_engine **out, const struct ipsec_engine_params *params)
{
	struct ipsec_engine *e = mem_alloc(sizeof(*e));

	if (!e)
		return embed_fail(ERR_NOMEM);
	if (!copy_params(e, params)) {
		mem_free(e);
		return embed_fail(ERR_INVAL);
	}
	__atomic_add_fetch(&num_made, 1, __ATOMIC_ACQ_REL);
	init_lock(&e->lock);
	list_init(&e->packet_ports);
	list_init(&e->events);
	e->rng = (struct rng){.fill = fill, .ctx = e};
	e->sink = (struct log_sink){.write = write_log, .ctx = e};
	for (size_t i = 0; i < LOG_NUM_SUBSYSTEMS; i++)
		e->sink.levels[i] = (enum log_level)e->params.log_level;
	*out = e;
	return 0;
}

void ipsec_engine_free(struct ipsec_engine *e)
{
	const struct log_sink *before;

	if (!e)
		return;
	embed_unuse(e);
	before = embed_enter(e);
	embed_app_free(e->app);
	e->app = NULL;
	engine_free(e->core);
	embed_drop_ports(e);
	ports_free(e);
	events_free(e);
	conf_put(e->conf);
	mem_free(e->error);
	embed_leave(e, before);
	pthread_mutex_destroy(&e->lock);
	mem_free(e);
}

static uint64_t now(void *ctx)
{
	struct ipsec_engine *e = ctx;

	return e->params.clock(e->params.ctx);
}

/* empty_conf - what an engine that was not configured has. */
static enum err empty_conf(struct ipsec_engine *e)
{
	struct conf_diags diags = {0};
	struct tree *tree;
	enum err err = conf_parse_text(&tree, &diags, "none", "", 0);

	if (err)
		return err;
	err = conf_new(&e->conf, &diags, tree);
	tree_free(tree);
	return err;
}

static enum err start(struct ipsec_engine *e)
{
	const struct engine_params params = {
		.host = no_host(e),
		.conf = e->conf,
		.ports = e->ports,
		.num_ports = e->num_ports,
		.polled = e->params.threads == 0,
		.now = e->params.clock ? now : NULL,
		.rng = e->params.random ? &e->rng : NULL,
		.ask = e->params.ask ? asks_take : NULL,
		.ctx = e,
	};
	enum err err = engine_new(&e->core, &params);

	e->num_ports = 0; /* they are the core's, or closed */
	conf_put(e->conf);
	e->conf = NULL;
	if (!err)
		events_observe(e);
	return err;
}

int ipsec_engine_start(struct ipsec_engine *e)
{
	const struct log_sink *before = embed_enter(e);
	enum err err = ERR_OK;
	int rc = -1;

	errno = 0;
	if (e->begun) {
		errno = EBUSY;
	} else if (!e->has_outer) {
		errno = ENOTCONN;
	} else {
		e->begun = true;
		if (!e->conf)
			err = empty_conf(e);
		if (!err)
			err = start(e);
		rc = embed_fail(err);
	}
	embed_leave(e, before);
	return rc;
}

/* ---- turning -------------------------------------------------------------------------------- */

int ipsec_engine_fd(struct ipsec_engine *e)
{
	const struct log_sink *before = embed_enter(e);
	int fd = e->core ? engine_fd(e->core) : embed_fail(ERR_INVAL);

	embed_leave(e, before);
	return fd;
}

int ipsec_engine_dispatch(struct ipsec_engine *e)
{
	const struct log_sink *before = embed_enter(e);
	int rc = embed_fail(e->core ? ERR_OK : ERR_INVAL);

	if (!rc)
		engine_dispatch(e->core);
	embed_leave(e, before);
	return rc;
}

uint64_t ipsec_engine_deadline(struct ipsec_engine *e)
{
	const struct log_sink *before = embed_enter(e);
	uint64_t at = e->core ? engine_deadline(e->core) : UINT64_MAX;

	embed_leave(e, before);
	return at;
}

static enum err run_begin(struct ipsec_engine *e)
{
	const struct log_sink *before = embed_enter(e);
	enum err err = !e->core || e->params.clock ? ERR_INVAL : e->running ? ERR_BUSY : ERR_OK;

	if (!err)
		e->running = true;
	embed_leave(e, before);
	return err;
}

/* run_once - dispatch; false when there is no more to do. */
static bool run_once(struct ipsec_engine *e)
{
	const struct log_sink *before = embed_enter(e);
	bool more;

	engine_dispatch(e->core);
	more = !e->stopped;
	if (!more)
		e->running = false;
	embed_leave(e, before);
	return more;
}

int ipsec_engine_run(struct ipsec_engine *e)
{
	enum err err = run_begin(e);
	struct pollfd ready = {.events = POLLIN};

	if (err)
		return embed_fail(err);
	ready.fd = engine_fd(e->core);
	while (run_once(e))
		poll(&ready, 1, -1);
	return 0;
}

static void on_stopped(void *ctx)
{
	struct ipsec_engine *e = ctx;

	e->stopped = true;
	events_stopped(e);
	engine_wake(e->core); /* whoever runs us is waiting */
}

int ipsec_engine_stop(struct ipsec_engine *e)
{
	const struct log_sink *before = embed_enter(e);
	int rc = embed_fail(e->core ? ERR_OK : ERR_INVAL);

	if (!rc && !e->stopped)
		engine_stop(e->core, on_stopped, e);
	embed_leave(e, before);
	return rc;
}

/* ---- requests ------------------------------------------------------------------------------- */

int ipsec_engine_initiate(struct ipsec_engine *e, const char *connection, const char *child,
			  uint64_t *out_request)
{
	const struct log_sink *before = embed_enter(e);
	enum err err = e->core && (connection || child) ? ERR_OK : ERR_INVAL;
	uint64_t request;

	if (!err) {
		request = engine_request(e->core);
		if (out_request) /* first: events may come before the call returns */
			*out_request = request;
		err = engine_up(e->core, connection, child, request);
	}
	embed_leave(e, before);
	return embed_fail(err);
}

typedef enum err (*sa_request)(struct engine *e, uint32_t *out_num, const struct ike_select *sel);

static int each_selected(struct ipsec_engine *e, uint32_t *out_num,
			 const struct ipsec_select *select, sa_request request)
{
	const struct log_sink *before = embed_enter(e);
	const struct ike_select sel = {
		.conn = select->connection,
		.child = select->child,
		.ike_id = select->ike_id,
		.child_id = select->child_id,
	};
	uint32_t num = 0;
	enum err err = e->core ? request(e->core, &num, &sel) : ERR_INVAL;

	if (!err && out_num)
		*out_num = num;
	embed_leave(e, before);
	return embed_fail(err);
}

int ipsec_engine_terminate(struct ipsec_engine *e, uint32_t *out_num,
			   const struct ipsec_select *select)
{
	return each_selected(e, out_num, select, engine_down);
}

int ipsec_engine_rekey(struct ipsec_engine *e, uint32_t *out_num, const struct ipsec_select *select)
{
	return each_selected(e, out_num, select, engine_rekey);
}

const char *ipsec_version(void)
{
	return LATCHKEY_VERSION;
}
