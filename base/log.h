/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - log lines for people. Anywhere but in a worker's pass. The sink is the current thread's:
 * an engine sets its own when it is dispatched, so that two engines in one process do not mix.
 */
#pragma once

#include <stdarg.h>

#include "base/attr.h"

/* enum log_level - what is written: everything at or below the sink's level. */
enum log_level {
	LOG_ERROR,
	LOG_WARN,
	LOG_INFO,
	LOG_DEBUG,
};

/* enum log_subsystem - strongSwan's names where they exist, because people know them. */
enum log_subsystem {
	LOG_DMN, /* daemon start, stop, signals */
	LOG_CFG, /* configuration and control socket */
	LOG_IKE, /* IKE SAs */
	LOG_CHD, /* Child SAs */
	LOG_NET, /* datagrams, paths */
	LOG_KNL, /* host operations: devices, routes, guard */
	LOG_ESP, /* data path */
	LOG_NUM_SUBSYSTEMS
};

/* struct log_sink - receives finished lines; line has no newline and is valid during the call.
 * connection may be NULL. */
struct log_sink {
	void (*write)(void *ctx, enum log_level level, enum log_subsystem sub,
		      const char *connection, const char *line);
	void *ctx;
	enum log_level levels[LOG_NUM_SUBSYSTEMS];
};

/* log_use - the calling thread's sink from now on, borrowed; NULL restores stderr at LOG_INFO.
 * Returns the one before. */
const struct log_sink *log_use(const struct log_sink *sink);

/* log_enabled - whether a line would be written (to skip costly arguments). */
bool log_enabled(enum log_level level, enum log_subsystem sub);

/* log_write - use LOG(). Lines are cut at 1000 bytes and control characters are replaced, so that
 * nothing a peer sends can forge a line (S8). */
void log_write(enum log_level level, enum log_subsystem sub, const char *connection,
	       const char *fmt, ...) PRINTF_LIKE(4, 5);

/* LOG(level, subsystem, connection, fmt, ...) - e.g. LOG(INFO, IKE, conn->name, "up"). */
#define LOG(level, sub, conn, ...)                                              \
	do {                                                                    \
		if (log_enabled(LOG_##level, LOG_##sub))                        \
			log_write(LOG_##level, LOG_##sub, (conn), __VA_ARGS__); \
	} while (0)

/* struct log_limit - a budget for lines that a peer can trigger: at most burst lines a second; the
 * next line after a silence tells how many were left out. The zero state is full. One thread. */
struct log_limit {
	uint64_t second;
	uint32_t used;
	uint32_t suppressed;
};

/* log_limited - true if a line may be written now; counts it. burst: lines a second. How many lines
 * were left out before is written here, as a line of its own (INFO, NET). */
bool log_limited(struct log_limit *l, uint32_t burst, uint64_t now_ns) NONNULL(1);

/* log_level_name, log_subsystem_name - "info", "IKE". */
const char *log_level_name(enum log_level level);
const char *log_subsystem_name(enum log_subsystem sub);
