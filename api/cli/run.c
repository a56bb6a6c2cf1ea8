/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.c - a command in a control group of its own, whose processes reach the peer that is asked for
 * or nobody, however they are linked. The daemon is asked before there is a process. Should our
 * connection to it break, the group is frozen until a daemon holds it again; should we be killed,
 * the daemon holds it to its last process.
 */
#include "api/cli/cli.h"
#include "api/client/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <mntent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MS 30000
#define AGAIN_MS  2000 /* for a group that is frozen */
#define LOOK_NS   100000000L

/* As shells have them. */
#define STATUS_SIGNAL   128
#define STATUS_NO_EXEC  126
#define STATUS_NOT_SEEN 127

/* struct job - the command and its group. instance: of the daemon that holds it. */
struct job {
	struct cli *cli;
	char path[4096];
	int fd;
	pid_t self, pid;
	uint64_t instance;
	bool ended, frozen;
	int status;
};

/* ---- the group ------------------------------------------------------------------------------ */

/* Another file system may be mounted above it. */
static bool is_seen(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

static bool find_mount(char *out, size_t cap)
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	const struct mntent *m;
	bool found = false;

	while (f && !found && (m = getmntent(f))) {
		found = strcmp(m->mnt_type, "cgroup2") == 0 && strlen(m->mnt_dir) < cap &&
			is_seen(m->mnt_dir);
		if (found)
			snprintf(out, cap, "%s", m->mnt_dir);
	}
	if (f)
		endmntent(f);
	return found;
}

/* The line of version 2 is "0::PATH". */
static bool find_own(char *out, size_t cap)
{
	FILE *f = fopen("/proc/self/cgroup", "re");
	char line[2048];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		found = strncmp(line, "0::/", 4) == 0 && strlen(line + 3) < cap;
		if (found)
			snprintf(out, cap, "%s", line[4] ? line + 3 : "");
	}
	if (f)
		(void)fclose(f);
	return found;
}

static enum exit_code make_group(struct job *j)
{
	char mount[1024], own[1024];

	if (!find_mount(mount, sizeof(mount)) || !find_own(own, sizeof(own)))
		return cli_fail(j->cli, EXIT_FAILED,
				"no control groups of version 2 are mounted here");
	snprintf(j->path, sizeof(j->path), "%s%s/latchkey-run-XXXXXX", mount, own);
	if (!mkdtemp(j->path))
		return cli_fail(j->cli, errno == EACCES ? EXIT_NOT_PERMITTED : EXIT_FAILED,
				"no control group can be made below %s%s/: %s", mount, own,
				strerror(errno));
	j->fd = open(j->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (j->fd >= 0)
		return EXIT_OK;
	rmdir(j->path);
	return cli_fail(j->cli, EXIT_FAILED, "%s: %s", j->path, strerror(errno));
}

static bool group_write(const struct job *j, const char *file, const char *value)
{
	int fd = openat(j->fd, file, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value);

	if (fd >= 0)
		close(fd);
	return ok;
}

static void kill_all(const struct job *j)
{
	if (!group_write(j, "cgroup.kill", "1") && !j->ended)
		kill(j->pid, SIGKILL);
}

/* ---- the daemon ----------------------------------------------------------------------------- */

static enum exit_code code_of(const struct reply *reply, int err)
{
	static const uint8_t codes[APP_NUM_CODES] = {
		[APP_NOT_FOUND] = EXIT_NOT_FOUND,
		[APP_PERM] = EXIT_NOT_PERMITTED,
		[APP_TIMEOUT] = EXIT_PEER,
		[APP_FAILED] = EXIT_PEER,
	};
	uint16_t code = reply->msg.code;

	if (!code && err == ECONNREFUSED)
		return EXIT_DAEMON_DOWN;
	if (!code && err == EACCES)
		return EXIT_NOT_PERMITTED;
	return code < APP_NUM_CODES && codes[code] ? (enum exit_code)codes[code] : EXIT_FAILED;
}

/* ask - the daemon holds the group from OK on. Another code: ipsec_last_error() says why. */
static enum exit_code ask(struct job *j, int timeout_ms)
{
	struct request req;
	struct reply reply;

	reply.msg.code = 0;
	request_begin(&req, APP_RUN);
	app_put_text(&req.w, APP_A_PROFILE, j->cli->require);
	app_put_text(&req.w, APP_A_PEER, j->cli->peer);
	app_put_u32(&req.w, APP_A_TIMEOUT_MS, (uint32_t)timeout_ms);
	if (transact(&req, j->fd, timeout_ms + USUAL_MS, &reply))
		return code_of(&reply, errno);
	j->instance = reply.instance;
	return EXIT_OK;
}

static void freeze(struct job *j)
{
	j->frozen = true;
	if (!group_write(j, "cgroup.freeze", "1"))
		kill_all(j);
	fprintf(stderr, "latchkey: the daemon went away: the command stands still until it holds "
			"it again\n");
}

static void thaw(struct job *j)
{
	j->frozen = false;
	if (!group_write(j, "cgroup.freeze", "0"))
		kill_all(j);
}

static void look_at_daemon(struct job *j)
{
	uint64_t now = instance_now();

	if (!j->frozen && now != j->instance)
		freeze(j);
	if (j->frozen && now && ask(j, AGAIN_MS) == EXIT_OK)
		thaw(j);
}

/* ---- the command ---------------------------------------------------------------------------- */

static void child_run(const struct job *j, const sigset_t *mask)
{
	int err;

	/* Without us nobody stops it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != j->self)
		_exit(EXIT_FAILED);
	if (!group_write(j, "cgroup.procs", "0")) {
		fprintf(stderr, "latchkey: %s: %s\n", j->path, strerror(errno));
		_exit(EXIT_FAILED);
	}
	sigprocmask(SIG_SETMASK, mask, NULL);
	execvp(j->cli->args[0], j->cli->args);
	err = errno;
	fprintf(stderr, "latchkey: %s: %s\n", j->cli->args[0], strerror(err));
	_exit(err == ENOENT ? STATUS_NOT_SEEN : STATUS_NO_EXEC);
}

/* What a terminal sends the command has got, too. */
static void on_signal(const struct job *j, int sig)
{
	if (sig == SIGCHLD)
		return;
	if (j->frozen || j->ended)
		kill_all(j);
	else if (sig == SIGTERM || sig == SIGHUP)
		kill(j->pid, sig);
}

/* gone - the group is empty, and removed. */
static bool gone(const struct job *j)
{
	return rmdir(j->path) == 0 || errno != EBUSY;
}

static void look_at_command(struct job *j)
{
	int status;

	if (j->ended || waitpid(j->pid, &status, WNOHANG) != j->pid)
		return;
	j->ended = true;
	j->status = WIFEXITED(status) ? WEXITSTATUS(status) : STATUS_SIGNAL + WTERMSIG(status);
}

/* watch - until the last process of the group has ended. */
static void watch(struct job *j, const sigset_t *signals)
{
	const struct timespec look = {.tv_nsec = LOOK_NS};

	while (!j->ended || !gone(j)) {
		int sig = sigtimedwait(signals, NULL, &look);

		if (sig > 0)
			on_signal(j, sig);
		look_at_command(j);
		if (!j->ended || !gone(j))
			look_at_daemon(j);
	}
}

static int run_command(struct job *j)
{
	static const int caught[] = {SIGCHLD, SIGTERM, SIGHUP, SIGINT, SIGQUIT};
	sigset_t signals, before;

	sigemptyset(&signals);
	for (size_t i = 0; i < ARRAY_LEN(caught); i++)
		sigaddset(&signals, caught[i]);
	sigprocmask(SIG_BLOCK, &signals, &before);
	j->self = getpid();
	j->pid = fork();
	if (j->pid == 0)
		child_run(j, &before);
	if (j->pid < 0) {
		rmdir(j->path);
		return (int)cli_fail(j->cli, EXIT_FAILED, "%s", strerror(errno));
	}
	watch(j, &signals);
	return j->status;
}

enum exit_code run_run(struct cli *cli)
{
	struct job j = {.cli = cli, .fd = -1};
	char path[4096];
	enum exit_code code;

	snprintf(path, sizeof(path), "%s/%s", cli->run_dir, APP_SOCKET);
	if (strcmp(cli->run_dir, DEFAULT_RUN_DIR) != 0 && ipsec_set_socket_path(path))
		return cli_fail(cli, EXIT_FAILED, "%s: the path is too long", path);
	code = make_group(&j);
	if (code)
		return code;
	code = ask(&j, cli->timeout_s ? (int)cli->timeout_s * 1000 : ANSWER_MS);
	if (code) {
		rmdir(j.path);
		code = cli_fail(cli, code, "%s was not begun: %s", cli->args[0],
				ipsec_last_error());
	} else {
		code = (enum exit_code)run_command(&j);
	}
	close(j.fd);
	return code;
}
