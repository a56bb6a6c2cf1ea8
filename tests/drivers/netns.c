/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/drivers/netns.h"

#include "tests/tap/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Without duplicate detection link-local addresses are usable at once. */
static void start_namespace(void)
{
	netns_sh("ip link set lo up; for i in all default; do "
		 "echo 0 >/proc/sys/net/ipv6/conf/$i/accept_dad; done");
}

bool netns_enter(void)
{
	if (unshare(CLONE_NEWNET) < 0) {
		tap_skip("network namespaces are not permitted here");
		return false;
	}
	start_namespace();
	return true;
}

int netns_current(void)
{
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	CU_ASSERT_FATAL(fd >= 0);
	return fd;
}

void netns_switch(int fd)
{
	CU_ASSERT_FATAL(setns(fd, CLONE_NEWNET) == 0);
}

int netns_make(void)
{
	int here = netns_current(), made;

	CU_ASSERT_FATAL(unshare(CLONE_NEWNET) == 0);
	made = netns_current();
	start_namespace();
	netns_switch(here);
	close(here);
	return made;
}

static void run(const char *command)
{
	int status = system(command);

	if (status)
		tap_diag("failed (%d): %s", status, command);
	CU_ASSERT_FATAL(status == 0);
}

void netns_sh(const char *fmt, ...)
{
	char command[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	run(command);
}

void netns_in(int fd, const char *fmt, ...)
{
	int here = netns_current();
	char command[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	netns_switch(fd);
	run(command);
	netns_switch(here);
	close(here);
}

const char *netns_read(const char *fmt, ...)
{
	static char out[65536];
	char command[1024];
	size_t len = 0;
	va_list args;
	FILE *pipe;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	pipe = popen(command, "r");
	CU_ASSERT_FATAL(pipe != NULL);
	while (len + 1 < sizeof(out) && fgets(out + len, (int)(sizeof(out) - len), pipe)) {
		len += strlen(out + len);
		while (len && (out[len - 1] == ' ' || out[len - 1] == '\n'))
			len--;
		out[len++] = '\n';
	}
	pclose(pipe);
	if (len)
		len--;
	out[len] = '\0';
	return out;
}

void netns_wait(unsigned ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}
