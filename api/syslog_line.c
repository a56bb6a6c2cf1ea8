/* SPDX-License-Identifier: Apache-2.0 */
#include "api/syslog_line.h"

#include <syslog.h>

void syslog_open(const char *ident)
{
	openlog(ident, LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

void syslog_line(unsigned level, const char *line)
{
	static const int priority[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};

	syslog(priority[level < 4 ? level : 3], "%s", line);
}
