/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syslog_line.h - one line to syslog(3). A file of its own because <syslog.h> claims names that
 * base/log.h uses. Any thread.
 */
#pragma once

/* syslog_open - as the program called ident, which is borrowed. */
void syslog_open(const char *ident);

/* syslog_line - level 0 (error) to 3 (debug), as in base/log.h. */
void syslog_line(unsigned level, const char *line);
