/* SPDX-License-Identifier: Apache-2.0 */
/*
 * D4 for whole programs: what the processes of a control group send demands a class, also if they
 * are linked statically and know nothing of it. Groups are made below the root of the machine's
 * hierarchy, by names of this process, in which nothing else is.
 */
#include "api/host/cgroup.h"

#include "tests/api/frames.h"
#include "tests/drivers/netns.h"
#include "tests/tap/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define OK(call) CU_ASSERT_EQUAL(call, ERR_OK)

static struct host host;
static int tap, wire;
static struct frame frame;
static char root[256], top[300], deep[340];

#define HOST(op, ...) host.ops->op(host.ctx, __VA_ARGS__)

static int device(const char *name)
{
	struct host_tap t;
	uint32_t queues;

	CU_ASSERT_FATAL(HOST(tap_open, &t, &queues, name, 0, 1) == ERR_OK);
	OK(HOST(link_set, name, 1400, NULL));
	return t.fd;
}

/* find_root - where groups are mounted on this machine; else the test is skipped. */
static bool find_root(void)
{
	FILE *f = fopen("/proc/self/mountinfo", "r");
	char line[4096];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = cgroup_mount_parse(root, sizeof(root), line);
	if (f)
		fclose(f);
	if (!found || access(root, W_OK)) {
		tap_skip("no control groups of version 2 that could be written to");
		return false;
	}
	snprintf(top, sizeof(top), "%s/latchkey-test-%d", root, (int)getpid());
	snprintf(deep, sizeof(deep), "%s/a/b", top);
	return true;
}

static void make_groups(void)
{
	char a[340];

	snprintf(a, sizeof(a), "%s/a", top);
	CU_ASSERT(mkdir(top, 0755) == 0 && mkdir(a, 0755) == 0 && mkdir(deep, 0755) == 0);
}

static void remove_groups(void)
{
	char a[340];

	snprintf(a, sizeof(a), "%s/a", top);
	for (int i = 0; i < 50 && rmdir(deep) < 0 && errno == EBUSY; i++)
		netns_wait(10); /* a process that has ended may be there for a moment */
	CU_ASSERT(rmdir(a) == 0 && rmdir(top) == 0);
}

static bool begin(void)
{
	if (!find_root() || !netns_enter())
		return false;
	CU_ASSERT_FATAL(host_linux_open(&host) == ERR_OK);
	tap = device("lk0");
	wire = device("wire");
	netns_sh("ip addr add 10.1.0.1/32 dev lk0; ip -6 addr add fd01::1/128 dev lk0 nodad; "
		 "ip route add 10.2.0.0/16 dev lk0; ip -6 route add fd02::/16 dev lk0; "
		 "ip route add default dev wire; ip -6 route add default dev wire");
	netns_wait_for6("fd01::1");
	OK(HOST(rules_set, "lk0"));
	OK(HOST(token_set, "lk0"));
	make_groups();
	return true;
}

static void end(void)
{
	remove_groups();
	close(tap);
	close(wire);
	host.ops->close(host.ctx);
}

/* struct program - a sender that runs; a byte in its pipe makes it send. */
struct program {
	pid_t pid;
	int in;
};

static const char *sender;

static void start(struct program *p, const char *group, const char *remote)
{
	int fds[2], to;
	char procs[400];

	CU_ASSERT_FATAL(pipe2(fds, O_CLOEXEC) == 0);
	p->in = fds[1];
	p->pid = fork();
	CU_ASSERT_FATAL(p->pid >= 0);
	if (p->pid == 0) {
		snprintf(procs, sizeof(procs), "%s/cgroup.procs", group);
		to = open(procs, O_WRONLY);
		if (to < 0 || write(to, "0", 1) != 1)
			_exit(9);
		dup2(fds[0], 0);
		close(fds[1]);
		execl(sender, sender, remote, "4000", (char *)NULL);
		_exit(8);
	}
	close(fds[0]);
}

static void stop(struct program *p)
{
	int status;

	close(p->in);
	CU_ASSERT(waitpid(p->pid, &status, 0) == p->pid && status == 0);
}

/* sent - the class that its next datagram demands, -1: none; by the device. */
static int64_t sent(const struct program *p, int by)
{
	static const uint8_t says[] = {HOST_DEMAND_MAC};
	uint32_t token;

	CU_ASSERT(write(p->in, "x", 1) == 1);
	if (!frame_read(by, &frame))
		return -2;
	memcpy(&token, frame.b + 8, sizeof(token));
	return memcmp(frame.b + 6, says, sizeof(says)) == 0 ? (int64_t)token : -1;
}

static int open_group(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	CU_ASSERT_FATAL(fd >= 0);
	return fd;
}

static void demands(const char *group, const char *remote)
{
	struct host_cgroup g;
	struct program p, other;
	int fd = open_group(group);

	start(&p, deep, remote);
	start(&other, top, remote);
	CU_ASSERT_EQUAL(sent(&p, tap), -1);
	OK(HOST(cgroup_mark, &g, fd, 0x0a5c3e71));
	CU_ASSERT_EQUAL(sent(&p, tap), 0x0a5c3e71);
	CU_ASSERT_EQUAL(sent(&other, tap), group == top ? 0x0a5c3e71 : -1);
	OK(HOST(cgroup_mark, &g, fd, 5));
	CU_ASSERT_EQUAL(sent(&p, tap), 5);
	OK(HOST(cgroup_mark, &g, fd, 5));
	CU_ASSERT_EQUAL(sent(&p, tap), 5);
	OK(HOST(cgroup_del, &g));
	OK(HOST(cgroup_del, &g));
	CU_ASSERT_EQUAL(sent(&p, tap), -1);
	CU_ASSERT(strstr(netns_read("nft list table inet latchkey/token"), "level") == NULL);
	stop(&p);
	stop(&other);
	close(fd);
}

static void test_D4_group(void)
{
	if (!begin())
		return;
	demands(top, "10.2.0.9");
	demands(deep, "10.2.0.9");
	demands(deep, "fd02::9");
	end();
}

/* As with a socket's own demand: not by another interface, whatever others do to marks. */
static void test_D4_group_elsewhere(void)
{
	struct host_cgroup g;
	struct program p;
	int fd;

	if (!begin())
		return;
	fd = open_group(deep);
	start(&p, deep, "10.3.0.9");
	CU_ASSERT_EQUAL(sent(&p, wire), -1);
	OK(HOST(cgroup_mark, &g, fd, 0x0a5c3e71));
	netns_sh("nft 'add table inet other; add chain inet other o { type route hook output "
		 "priority 0; }; add rule inet other o meta mark set 0x10000017'");
	CU_ASSERT_EQUAL(sent(&p, tap), 0x0a5c3e71);
	CU_ASSERT(frame_none(wire));
	OK(host.ops->rules_del(host.ctx));
	CU_ASSERT_EQUAL(sent(&p, wire), -2);
	OK(HOST(cgroup_del, &g));
	stop(&p);
	close(fd);
	end();
}

/* socket_in - what makes() returns, a socket, as one of the group's: a process that is there makes
 * it, in our table of descriptors. */
static int socket_in(const char *group, int (*makes)(void))
{
	char procs[400];
	int status;
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, 0);

	CU_ASSERT_FATAL(pid >= 0);
	if (pid == 0) {
		int to;

		snprintf(procs, sizeof(procs), "%s/cgroup.procs", group);
		to = open(procs, O_WRONLY);
		if (to < 0 || write(to, "0", 1) != 1)
			_exit(0);
		close(to);
		_exit(makes());
	}
	CU_ASSERT(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	CU_ASSERT_FATAL(WEXITSTATUS(status) > 2);
	return WEXITSTATUS(status);
}

static const struct family {
	const char *here, *there, *away;
} families[] = {{"10.1.0.1", "10.2.0.9", "10.3.0.9"}, {"fd01::1", "fd02::9", "fd03::9"}};
static const struct family *family;

static int make_udp(void)
{
	return frame_udp(family->here, 5000, NULL, 0);
}

/* to_here - a datagram from there to port 5000. */
static void to_here(const char *there, int by)
{
	int fd = frame_udp(family->here, 5000, there, 4000);

	CU_ASSERT(send(fd, "ping", 4, 0) == 4);
	CU_ASSERT_FATAL(frame_read(by, &frame));
	close(fd);
	frame_turn(&frame, 0);
}

static bool hears(int fd, int by, uint32_t token)
{
	uint32_t mark;
	size_t len;

	memcpy(frame.b + 8, &token, sizeof(token));
	frame_write(by, &frame);
	return frame_recv(fd, &mark, &len);
}

static bool hears_loopback(int fd)
{
	int other = frame_udp(family->here, 5001, family->here, 5000);
	uint32_t mark;
	size_t len;

	CU_ASSERT(send(other, "ping", 4, 0) == 4);
	close(other);
	return frame_recv(fd, &mark, &len);
}

static void hears_one(void)
{
	struct host_cgroup g;
	int fd = open_group(top), udp;

	to_here(family->there, tap);
	udp = socket_in(deep, make_udp);
	CU_ASSERT(hears(udp, tap, 7) && hears(udp, tap, 0));
	OK(HOST(cgroup_mark, &g, fd, 5));
	CU_ASSERT(hears(udp, tap, 5));
	CU_ASSERT(!hears(udp, tap, 7) && !hears(udp, tap, 0));
	OK(HOST(cgroup_mark, &g, fd, 7));
	CU_ASSERT(!hears(udp, tap, 5) && hears(udp, tap, 7));
	CU_ASSERT(hears_loopback(udp));
	OK(HOST(socket_mark, udp, 9)); /* it demands for itself */
	CU_ASSERT(hears(udp, tap, 9));
	OK(HOST(socket_mark, udp, 0));
	CU_ASSERT(!hears(udp, tap, 9));
	OK(HOST(cgroup_del, &g));
	CU_ASSERT(hears(udp, tap, 5));
	close(udp);
	to_here(family->away, wire);
	udp = socket_in(deep, make_udp);
	CU_ASSERT(hears(udp, wire, 5));
	OK(HOST(cgroup_mark, &g, fd, 5));
	CU_ASSERT(!hears(udp, wire, 5));
	OK(HOST(cgroup_del, &g));
	close(udp);
	close(fd);
	CU_ASSERT(strstr(netns_read("nft list table inet latchkey/token"), "level") == NULL);
}

/* Nobody but the peer is heard, asked or not; the host itself is. */
static void test_D4_group_hears(void)
{
	if (!begin())
		return;
	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		family = &families[i];
		hears_one();
	}
	end();
}

static int make_tcp(int type)
{
	const struct sockaddr_in here = {
		.sin_family = AF_INET, .sin_port = htons(5000), .sin_addr = {htonl(0x0a010001)}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | type, 0), on = 1;

	CU_ASSERT(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0);
	CU_ASSERT(bind(fd, (const struct sockaddr *)&here, sizeof(here)) == 0);
	return fd;
}

static int make_listener(void)
{
	int fd = make_tcp(0);

	CU_ASSERT(listen(fd, 5) == 0);
	return fd;
}

/* Nor does anybody else get an answer of the group's TCP. */
static void test_D4_group_answers(void)
{
	const struct sockaddr_in there = {
		.sin_family = AF_INET, .sin_port = htons(4000), .sin_addr = {htonl(0x0a020009)}};
	uint32_t token = 7;
	struct host_cgroup g;
	static struct frame answer;
	int fd, tcp;

	if (!begin())
		return;
	fd = open_group(deep);
	tcp = make_tcp(SOCK_NONBLOCK);
	CU_ASSERT(connect(tcp, (const struct sockaddr *)&there, sizeof(there)) != 0);
	CU_ASSERT_FATAL(frame_read(tap, &frame));
	close(tcp);
	tcp = socket_in(deep, make_listener);
	OK(HOST(cgroup_mark, &g, fd, 5));
	frame_turn(&frame, token);
	frame_write(tap, &frame);
	CU_ASSERT(frame_none(tap));
	token = 5;
	memcpy(frame.b + 8, &token, sizeof(token));
	frame_write(tap, &frame);
	CU_ASSERT(frame_read(tap, &answer));
	OK(HOST(cgroup_del, &g));
	close(tcp);
	close(fd);
	end();
}

/* A group that is gone, and several at one level. */
static void test_groups_come_and_go(void)
{
	struct host_cgroup g, h;
	struct program p;
	char other[400];
	int fd;

	if (!begin())
		return;
	snprintf(other, sizeof(other), "%s/a/c", top);
	CU_ASSERT(mkdir(other, 0755) == 0);
	fd = open_group(other);
	OK(HOST(cgroup_mark, &g, fd, 7));
	close(fd);
	fd = open_group(deep);
	OK(HOST(cgroup_mark, &h, fd, 8));
	CU_ASSERT(g.id != h.id && g.level == h.level);
	start(&p, deep, "10.2.0.9");
	CU_ASSERT_EQUAL(sent(&p, tap), 8);
	CU_ASSERT(rmdir(other) == 0);
	OK(HOST(cgroup_del, &g));
	CU_ASSERT_EQUAL(sent(&p, tap), 8);
	OK(HOST(token_del, "lk0"));
	CU_ASSERT(strstr(netns_read("nft list tables"), "latchkey") == NULL);
	struct host_cgroup none;

	CU_ASSERT_EQUAL(HOST(cgroup_mark, &none, fd, 8), ERR_UNSUPPORTED);
	stop(&p);
	close(fd);
	end();
}

/* A process in the group or below is there, and not when it has ended; nor in what is removed. */
static void test_A6_populated(void)
{
	struct program p;
	char other[400];
	int fd, gone;

	if (!begin())
		return;
	snprintf(other, sizeof(other), "%s/a/c", top);
	CU_ASSERT(mkdir(other, 0755) == 0);
	gone = open_group(other);
	fd = open_group(top);
	CU_ASSERT(!HOST(cgroup_populated, fd) && !HOST(cgroup_populated, gone));
	start(&p, deep, "10.2.0.9");
	CU_ASSERT_EQUAL(sent(&p, tap), -1); /* it is there */
	CU_ASSERT(HOST(cgroup_populated, fd) && !HOST(cgroup_populated, gone));
	stop(&p);
	CU_ASSERT(!HOST(cgroup_populated, fd));
	CU_ASSERT(rmdir(other) == 0);
	CU_ASSERT(!HOST(cgroup_populated, gone));
	CU_ASSERT(HOST(cgroup_populated, -1)); /* nobody knows */
	close(gone);
	close(fd);
	end();
}

/* The directory may have been opened in another namespace, by another mount of the hierarchy. */
static int other_mount(void)
{
	int fd;
	char place[] = "/tmp/lk-cgroup-XXXXXX", inner[400];
	struct host_cgroup a, b;

	fd = open_group(deep);
	if (cgroup_find(&a, fd))
		return 1;
	close(fd);
	if (unshare(CLONE_NEWNS) || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) ||
	    !mkdtemp(place) || mount(top, place, NULL, MS_BIND, NULL))
		return 77;
	snprintf(inner, sizeof(inner), "%s/a/b", place);
	fd = open_group(inner);
	if (cgroup_find(&b, fd))
		return 2;
	close(fd);
	umount(place);
	rmdir(place);
	return a.id == b.id && a.level == b.level && a.level >= 3 ? 0 : 3;
}

static void test_E1_group_of_another_mount(void)
{
	int status;
	pid_t pid;

	if (!begin())
		return;
	pid = fork();
	CU_ASSERT_FATAL(pid >= 0);
	if (pid == 0)
		_exit(other_mount());
	CU_ASSERT(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		tap_skip("mount namespaces are not permitted here");
	else
		CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
	end();
}

static void refused(int fd)
{
	struct host_cgroup g;

	CU_ASSERT_EQUAL(HOST(cgroup_mark, &g, fd, 1), ERR_INVAL);
	close(fd);
}

static void test_E1_no_group(void)
{
	struct host_cgroup g;
	char file[400];
	int fd;

	if (!begin())
		return;
	refused(open("/tmp", O_RDONLY));
	refused(open("/dev/null", O_RDONLY));
	refused(-1);
	refused(open(root, O_RDONLY | O_DIRECTORY));
	snprintf(file, sizeof(file), "%s/cgroup.procs", deep);
	fd = open(file, O_RDONLY);
	CU_ASSERT(fd >= 0);
	refused(fd);
	fd = open_group(deep);
	CU_ASSERT_EQUAL(HOST(cgroup_mark, &g, fd, 0), ERR_INVAL);
	CU_ASSERT_EQUAL(HOST(cgroup_mark, &g, fd, 0x10000001), ERR_INVAL);
	close(fd);
	end();
}

static void test_mount_lines(void)
{
	static const struct {
		const char *line, *place;
	} rows[] = {
		{"41 31 0:38 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n",
		 "/sys/fs/cgroup"},
		{"41 31 0:38 / /sys/fs/cgroup rw shared:9 - cgroup2 none rw\n", "/sys/fs/cgroup"},
		{"41 31 0:38 /a /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n", NULL},
		{"41 31 0:38 / /sys/fs/cgroup rw,relatime - cgroup cgroup rw\n", NULL},
		{"41 31 0:38 / /a\\040b rw,relatime - cgroup2 cgroup2 rw\n", NULL},
		{"41 31 0:38 / /sys/fs/cgroup rw,relatime - tmpfs cgroup2 rw\n", NULL},
		{" - cgroup2 ", NULL},
		{"", NULL},
	};
	char place[64], copy[128];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bool found = cgroup_mount_parse(place, sizeof(place), rows[i].line);

		CU_ASSERT_EQUAL(found, rows[i].place != NULL);
		CU_ASSERT(!found || strcmp(place, rows[i].place) == 0);
	}
	CU_ASSERT(!cgroup_mount_parse(place, 14, rows[0].line));
	CU_ASSERT(cgroup_mount_parse(place, 15, rows[0].line));
	for (size_t len = 0; len < strlen(rows[0].line); len++) {
		memcpy(copy, rows[0].line, len);
		copy[len] = '\0';
		(void)cgroup_mount_parse(place, sizeof(place), copy);
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_D4_group),
	TAP_TEST(test_D4_group_elsewhere),
	TAP_TEST(test_D4_group_hears),
	TAP_TEST(test_D4_group_answers),
	TAP_TEST(test_A6_populated),
	TAP_TEST(test_groups_come_and_go),
	TAP_TEST(test_E1_group_of_another_mount),
	TAP_TEST(test_E1_no_group),
	TAP_TEST(test_mount_lines),
};

/* The sender lies beside this program. */
int main(void)
{
	static char path[512];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 32);

	if (n < 0)
		return 1;
	path[n] = '\0';
	snprintf(strrchr(path, '/'), 32, "/cgroup_sender");
	sender = path;
	return tap_main("api/host_cgroups", tests, ARRAY_LEN(tests));
}
