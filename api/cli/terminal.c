/* SPDX-License-Identifier: Apache-2.0 */
#include "api/cli/terminal.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define COLUMNS 80
#define ROWS    24

/* The alternate screen and no cursor, and back (ECMA-48, xterm). */
static const char enter[] = "\033[?1049h\033[?25l\033[2J";
static const char leave[] = "\033[?25h\033[?1049l";

static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH};

static struct termios before;
static struct sigaction actions[ARRAY_LEN(signals)];
static bool is_open;
static volatile sig_atomic_t ends, resized;

static void on_signal(int sig)
{
	if (sig == SIGWINCH)
		resized = 1;
	else
		ends = 1;
}

static void say(const char *text)
{
	fputs(text, stdout);
	fflush(stdout);
}

bool terminal_open(void)
{
	struct sigaction act = {.sa_handler = on_signal};
	struct termios raw;

	if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &before))
		return false;
	raw = before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VSUSP] = _POSIX_VDISABLE; /* it would be left like this */
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		sigaction(signals[i], &act, &actions[i]);
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw)) {
		for (size_t i = 0; i < ARRAY_LEN(signals); i++)
			sigaction(signals[i], &actions[i], NULL);
		return false;
	}
	is_open = true;
	say(enter);
	return true;
}

void terminal_close(void)
{
	if (!is_open)
		return;
	is_open = false;
	say(leave);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		sigaction(signals[i], &actions[i], NULL);
}

struct terminal_size terminal_size(void)
{
	struct winsize ws;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) || !ws.ws_col || !ws.ws_row)
		return (struct terminal_size){COLUMNS, ROWS};
	return (struct terminal_size){ws.ws_col, ws.ws_row};
}

/* is_quit - the key; a terminal that has gone ends it, too. */
static bool is_quit(short revents)
{
	char key;

	if (!(revents & POLLIN))
		return revents != 0;
	return read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q';
}

enum terminal_event terminal_wait(uint32_t ms)
{
	const uint64_t end_ns = clock_now_ns() + ms * NS_PER_MS;
	struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
	uint64_t now_ns;

	while (!ends && !resized && (now_ns = clock_now_ns()) < end_ns) {
		int n = poll(&p, 1, (int)((end_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS));

		if (n > 0 && is_quit(p.revents))
			ends = 1;
	}
	if (ends)
		return TERMINAL_QUIT;
	if (!resized)
		return TERMINAL_TIME;
	resized = 0;
	return TERMINAL_RESIZE;
}
