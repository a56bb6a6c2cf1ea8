/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DPDK's environment layer. It binds the thread that starts it to a processor and keeps it as its
 * main one, so it gets one of its own, which sleeps until the end. It touches no device that was
 * not asked for: the PCI bus is off or has a list of what is allowed, and virtual devices are made
 * one by one (port.c), since one that fails in the list given here would fail unnoticed.
 */
#include "drivers/dpdk/internal.h"
#include "drivers/dpdk/mbuf.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_mempool.h>

#define ARGS_MAX     64
#define ARG_LEN      64
#define LINE_LEN_MAX 256

/* struct eal - the one there is. */
static struct eal {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t thread;
	enum {
		EAL_IDLE,
		EAL_STARTING,
		EAL_RUNS,
		EAL_FAILED,
		EAL_STOPPING,
		EAL_OVER
	} state;
	int argc;
	char args[ARGS_MAX][ARG_LEN];
	char *argv[ARGS_MAX + 1]; /* EAL moves these about */
	char why[LINE_LEN_MAX];   /* first error since eal_forget() */
	pthread_key_t joined;
} eal = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

const struct driver_services *dpdk_services;

/* ---- what it says --------------------------------------------------------------------------- */

static void keep(const char *line)
{
	pthread_mutex_lock(&eal.lock);
	if (!eal.why[0])
		snprintf(eal.why, sizeof(eal.why), "%s", line);
	pthread_mutex_unlock(&eal.lock);
}

/* on_line - DPDK writes a message at a time. */
static ssize_t on_line(void *cookie, const char *text, size_t len)
{
	bool error = rte_log_cur_msg_loglevel() <= (int)RTE_LOG_ERR;
	char line[LINE_LEN_MAX];
	size_t n = len;

	(void)cookie;
	while (n && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	snprintf(line, sizeof(line), "%.*s", (int)(n < sizeof(line) ? n : sizeof(line)), text);
	if (error)
		keep(line);
	if (line[0] && dpdk_services->log)
		dpdk_services->log(error, line);
	return (ssize_t)len;
}

static bool listen_to_it(void)
{
	FILE *f = fopencookie(NULL, "w", (cookie_io_functions_t){.write = on_line});

	if (!f)
		return false;
	setvbuf(f, NULL, _IOLBF, 0);
	return rte_openlog_stream(f) == 0;
}

void eal_forget(void)
{
	pthread_mutex_lock(&eal.lock);
	eal.why[0] = '\0';
	pthread_mutex_unlock(&eal.lock);
}

/* Written by the thread that is asking, or before it was woken. */
const char *eal_why(void)
{
	return eal.why;
}

/* ---- arguments ------------------------------------------------------------------------------ */

PRINTF_LIKE(1, 2) static void arg(const char *fmt, ...)
{
	va_list ap;

	if (eal.argc == ARGS_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(eal.args[eal.argc], ARG_LEN, fmt, ap);
	va_end(ap);
	eal.argv[eal.argc] = eal.args[eal.argc];
	eal.argc++;
}

/* first_cpu - one that this process may run on; 0 need not be. */
static int first_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set))
		return 0;
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &set))
			return i;
	return 0;
}

/* make_args - no files, no sockets, no other process: with huge pages --in-memory says so; without
 * them EAL refuses it, and --no-shconf leaves the same. */
static void make_args(const struct dpdk_params *p)
{
	eal.argc = 0;
	arg("latchkey");
	arg("--no-telemetry");
	arg("--lcores=0@%d", first_cpu());
	if (p->huge) {
		arg("--in-memory");
		arg("--socket-limit=%u", p->memory_mb);
	} else {
		arg("--no-huge");
		arg("--no-shconf");
		arg("-m%u", p->memory_mb);
	}
	if (!p->num_allow)
		arg("--no-pci");
	for (uint32_t i = 0; i < p->num_allow; i++)
		arg("--allow=%s", p->allow[i]);
}

/* ---- its thread ----------------------------------------------------------------------------- */

static void set_state(int state)
{
	pthread_mutex_lock(&eal.lock);
	eal.state = state;
	pthread_cond_broadcast(&eal.changed);
	pthread_mutex_unlock(&eal.lock);
}

static void *run(void *arg_)
{
	(void)arg_;
	if (rte_eal_init(eal.argc, eal.argv) < 0) {
		keep(rte_strerror(rte_errno));
		set_state(EAL_FAILED);
		return NULL;
	}
	set_state(EAL_RUNS);
	pthread_mutex_lock(&eal.lock);
	while (eal.state != EAL_STOPPING)
		pthread_cond_wait(&eal.changed, &eal.lock);
	pthread_mutex_unlock(&eal.lock);
	rte_eal_cleanup();
	return NULL;
}

static void leave(void *set)
{
	(void)set;
	rte_thread_unregister();
}

void eal_join_thread(void)
{
	if (likely(rte_lcore_id() != LCORE_ID_ANY) || pthread_getspecific(eal.joined))
		return;
	/* Where there is no room for one more the thread does without caches. */
	if (rte_thread_register() == 0)
		pthread_setspecific(eal.joined, &eal);
}

static enum err begin(void)
{
	if (!listen_to_it() || pthread_key_create(&eal.joined, leave))
		return ERR_NOMEM;
	rte_log_set_global_level(RTE_LOG_NOTICE);
	eal.state = EAL_STARTING;
	if (pthread_create(&eal.thread, NULL, run, NULL))
		return ERR_SYS;
	pthread_mutex_lock(&eal.lock);
	while (eal.state == EAL_STARTING)
		pthread_cond_wait(&eal.changed, &eal.lock);
	pthread_mutex_unlock(&eal.lock);
	if (eal.state == EAL_RUNS)
		return ERR_OK;
	pthread_join(eal.thread, NULL);
	return ERR_SYS;
}

enum err eal_start(const struct dpdk_params *params, char text[static DPDK_TEXT_MAX])
{
	enum err err;

	if (eal.state == EAL_RUNS)
		return ERR_EXISTS;
	if (eal.state != EAL_IDLE) {
		snprintf(text, DPDK_TEXT_MAX, "DPDK can be started once in a process");
		return ERR_SYS;
	}
	if (params->num_allow > ARGS_MAX / 2)
		return ERR_INVAL;
	make_args(params);
	err = begin();
	if (err) {
		snprintf(text, DPDK_TEXT_MAX, "DPDK does not start: %s", eal_why());
		return err;
	}
	err = mbuf_pool_open(params->num_packets, params->packet_room);
	if (err) {
		snprintf(text, DPDK_TEXT_MAX,
			 "DPDK has no memory for %u packets of %u bytes in %u MiB%s",
			 params->num_packets, params->packet_room, params->memory_mb,
			 params->huge ? " of huge pages: are there any?" : "");
		eal_stop();
	}
	return err;
}

void eal_stop(void)
{
	if (eal.state != EAL_RUNS)
		return;
	mbuf_pool_close();
	set_state(EAL_STOPPING);
	pthread_join(eal.thread, NULL);
	eal.state = EAL_OVER;
}

static void leave_out(struct rte_mempool *mp, void *arg, struct rte_mempool_memhdr *mem,
		      unsigned int i)
{
	const uintptr_t page = 4096, begin = (uintptr_t)mem->addr & ~(page - 1);
	const uintptr_t end = ((uintptr_t)mem->addr + mem->len + page - 1) & ~(page - 1);

	(void)mp, (void)arg, (void)i;
	(void)!madvise((void *)begin, end - begin, MADV_DONTDUMP);
}

void eal_leave_out(struct rte_mempool *pool)
{
	rte_mempool_mem_iter(pool, leave_out, NULL);
}
