/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/drivers/netns.h"

#include "tests/tap/tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Without duplicate detection link-local addresses are usable at once. */
static void start_namespace(void)
{
	netns_sh("ip link set lo up; for i in all default; do "
		 "echo 0 >/proc/sys/net/ipv6/conf/$i/accept_dad; done");
}

static void stay_here(void)
{
	int cpu = sched_getcpu();
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu < 0 ? 0 : cpu, &set);
	CU_ASSERT_EQUAL(sched_setaffinity(0, sizeof(set), &set), 0);
}

bool netns_enter(void)
{
	if (unshare(CLONE_NEWNET) < 0) {
		tap_skip("network namespaces are not permitted here");
		return false;
	}
	start_namespace();
	stay_here();
	return true;
}

/* A datagram of our own waits behind what was sent before it. */
void netns_settle(void)
{
	struct sockaddr_in self = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(self);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct pollfd p = {.fd = fd, .events = POLLIN};

	CU_ASSERT_FATAL(fd >= 0 && bind(fd, (struct sockaddr *)&self, len) == 0);
	CU_ASSERT_FATAL(getsockname(fd, (struct sockaddr *)&self, &len) == 0);
	CU_ASSERT_FATAL(sendto(fd, "", 1, 0, (struct sockaddr *)&self, len) == 1);
	CU_ASSERT_EQUAL_FATAL(poll(&p, 1, 10000), 1);
	close(fd);
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

void netns_wait_for6(const char *address)
{
	netns_sh("until ip -6 route show table local | grep -q '^local %s '; do sleep 0.01; done",
		 address);
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
