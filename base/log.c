/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/clock.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_LEN 1000
#define CONN_MAX_LEN 100

static void write_stderr(void *ctx, enum log_level level, enum log_subsystem sub,
			 const char *connection, const char *line)
{
	(void)ctx;
	fprintf(stderr, "%-5s %s%s%s%s %s\n", log_level_name(level), log_subsystem_name(sub),
		connection ? " <" : "", connection ? connection : "", connection ? ">" : "", line);
}

static const struct log_sink stderr_sink = {
	.write = write_stderr,
	.levels =
		{
			[LOG_DMN] = LOG_INFO,
			[LOG_CFG] = LOG_INFO,
			[LOG_IKE] = LOG_INFO,
			[LOG_CHD] = LOG_INFO,
			[LOG_NET] = LOG_INFO,
			[LOG_KNL] = LOG_INFO,
			[LOG_ESP] = LOG_INFO,
		},
};

static _Thread_local const struct log_sink *current;

static const struct log_sink *sink(void)
{
	return current ? current : &stderr_sink;
}

const struct log_sink *log_use(const struct log_sink *s)
{
	const struct log_sink *before = current;

	current = s;
	return before;
}

bool log_enabled(enum log_level level, enum log_subsystem sub)
{
	return (unsigned int)sub < LOG_NUM_SUBSYSTEMS && level <= sink()->levels[sub];
}

/* Length of the UTF-8 character at p (NUL-terminated) and its number; 0 if it is malformed. */
static size_t utf8_char(const unsigned char *p, uint32_t *out)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = p[0] < 0x80       ? 1
		     : p[0] >> 5 == 6  ? 2
		     : p[0] >> 4 == 14 ? 3
		     : p[0] >> 3 == 30 ? 4
				       : 0;
	uint32_t c;

	if (len == 0)
		return 0;
	c = len == 1 ? p[0] : p[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*out = c;
	return len;
}

/* Controls (C0, DEL, C1), line and paragraph separators, and what turns the writing direction:
 * each could make a terminal or a reader see another line than was written. */
static bool harmful(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069) || c == 0x200e || c == 0x200f || c == 0xfeff;
}

static void clean(char *line)
{
	unsigned char *p = (unsigned char *)line;

	while (*p) {
		uint32_t c = 0;
		size_t len = utf8_char(p, &c);

		if (len == 0) {
			*p = '?';
			len = 1;
		} else if (harmful(c)) {
			memset(p, '?', len);
		}
		p += len;
	}
}

/* Format into line[size], at most size - 1 bytes; a cut line ends with dots. */
PRINTF_LIKE(3, 0)
static void format(char *line, size_t size, const char *fmt, va_list ap)
{
	int len = vsnprintf(line, size, fmt, ap);

	if (len < 0)
		snprintf(line, size, "(a log line could not be formatted)");
	else if ((size_t)len >= size)
		memcpy(line + size - 4, "...", 4);
	clean(line);
}

void log_write(enum log_level level, enum log_subsystem sub, const char *connection,
	       const char *fmt, ...)
{
	char line[LINE_MAX_LEN + 1];
	char conn[CONN_MAX_LEN + 1];
	va_list ap;

	if (!log_enabled(level, sub))
		return;
	va_start(ap, fmt);
	format(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (connection) {
		snprintf(conn, sizeof(conn), "%s", connection);
		clean(conn);
	}
	sink()->write(sink()->ctx, level, sub, connection ? conn : NULL, line);
}

bool log_limited(struct log_limit *l, uint32_t burst, uint64_t now_ns)
{
	uint64_t second = now_ns / NS_PER_S;
	uint32_t left_out;

	if (second != l->second) {
		l->second = second;
		l->used = 0;
	}
	if (l->used >= burst) {
		if (l->suppressed < UINT32_MAX)
			l->suppressed++;
		return false;
	}
	l->used++;
	left_out = l->suppressed;
	l->suppressed = 0;
	if (left_out)
		log_write(LOG_INFO, LOG_NET, NULL, "%u lines like the next one were left out",
			  left_out);
	return true;
}

const char *log_level_name(enum log_level level)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};

	return (unsigned int)level < ARRAY_LEN(names) ? names[level] : "?";
}

const char *log_subsystem_name(enum log_subsystem sub)
{
	static const char *const names[] = {"DMN", "CFG", "IKE", "CHD", "NET", "KNL", "ESP"};

	static_assert(ARRAY_LEN(names) == LOG_NUM_SUBSYSTEMS, "a name each");
	return (unsigned int)sub < ARRAY_LEN(names) ? names[sub] : "?";
}
