/* SPDX-License-Identifier: Apache-2.0 */
/* keeper.c - the processes that speak to tokens: one that waits and loads nothing, and its child
 * with the modules, which is made anew when it dies. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/token/pkcs11.h"
#include "api/token/proto.h"
#include "base/secret.h"

/* AGAIN_S - a module that crashes at once is not tried without end. */
#define AGAIN_S 1

/* OVER - the status of a child that nobody wants anything of any more: a module may end it too,
 * with whatever it thinks right. */
#define OVER 77

/* work - what comes is done, until the daemon has gone; its status. A module that hangs is ended by
 * the alarm, whose signal nobody catches. */
static int work(int fd, struct pkcs11 *p)
{
	static struct token_request request;
	static struct token_reply reply;
	ssize_t n;

	for (;;) {
		n = recv(fd, &request, sizeof(request), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n != sizeof(request))
			return OVER;
		alarm(TOKEN_S);
		pkcs11_do(p, &reply, &request);
		alarm(0);
		secret_wipe(&request, sizeof(request));
		if (send(fd, &reply, sizeof(reply), MSG_NOSIGNAL) < 0)
			return OVER;
	}
}

/* What the daemon had open is not for a vendor's code, nor is a core dump with a PIN in it. The
 * daemon's end of the socket is how we learn that it has gone: nobody here may hold it. The signals
 * that stop the daemon leave us alone: it may need a signature to say good-bye. Nor do we hold a
 * terminal, or a pipe that somebody reads to its end. */
static void shut_in(int fd)
{
	const int ours = fcntl(fd, F_DUPFD, 4), null = open("/dev/null", O_RDWR);
	const struct rlimit none = {0};

	for (int i = 0; i < 3; i++) {
		if (dup2(null, i) < 0)
			_exit(1);
	}
	if (dup2(ours, 3) != 3)
		_exit(1);
	if (close_range(4, ~0u, 0) || setrlimit(RLIMIT_CORE, &none) ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		_exit(1);
	prctl(PR_SET_NAME, "latchkey-token", 0, 0, 0);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGALRM, SIG_DFL);
}

/* True if there is nobody to work for any more. */
static bool is_over(int status)
{
	return WIFEXITED(status) && WEXITSTATUS(status) == OVER;
}

void token_keep(int fd, const struct conf_module *modules, uint32_t num)
{
	static struct token_reply lost; /* id 0 */
	struct pkcs11_wrong *wrong;

	shut_in(fd);
	fd = 3;
	wrong = pkcs11_wrong_new();
	for (;;) {
		pid_t pid = fork();
		int status = 0;

		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* nobody would end it */
			_exit(work(fd, pkcs11_new(modules, num, wrong)));
		}
		while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		/* Where no process can be made now what is wanted waits, and nothing is lost. */
		if (is_over(status) || (pid > 0 && send(fd, &lost, sizeof(lost), MSG_NOSIGNAL) < 0))
			_exit(0);
		sleep(AGAIN_S);
	}
}
