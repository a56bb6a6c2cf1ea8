/* SPDX-License-Identifier: Apache-2.0 */
#include "api/engine/crash_secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_ROOM 200

static enum err say(char why[static CRASH_SECRET_WHY], enum err e, const char *path,
		    const char *what)
{
	snprintf(why, CRASH_SECRET_WHY, "%.160s %s", path, what);
	return e;
}

/* ---- what is there --------------------------------------------------------------------------- */

static bool is_ours_alone(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_uid == geteuid() &&
	       !(st->st_mode & (S_IRWXG | S_IRWXO));
}

static enum err read_bytes(struct secret *out, int fd)
{
	uint8_t bytes[CRASH_SECRET_LEN + 1];
	const ssize_t n = read(fd, bytes, sizeof(bytes));
	const enum err e = n == CRASH_SECRET_LEN ? secret_init_copy(out, bytes, CRASH_SECRET_LEN)
						 : ERR_MALFORMED;

	secret_wipe(bytes, sizeof(bytes));
	return e;
}

/* NOT_FOUND: there is no file. */
static enum err read_file(struct secret *out, char why[static CRASH_SECRET_WHY], const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	enum err e;

	if (fd < 0)
		return say(why, errno == ENOENT ? ERR_NOT_FOUND : ERR_SYS, path, strerror(errno));
	if (fstat(fd, &st) || !is_ours_alone(&st))
		e = say(why, ERR_PERM, path,
			"is not a file that its owner alone can read: delete it, since who has "
			"read it can end our peers' IKE SAs");
	else
		e = read_bytes(out, fd);
	close(fd);
	return e == ERR_MALFORMED ? say(why, e, path, "is not 32 bytes long: delete it") : e;
}

/* ---- the first time -------------------------------------------------------------------------- */

/* The folder alone, not those above it, is made if it is not there. */
static int open_new(const char *path, const char *beside)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
	char folder[PATH_ROOM];
	int fd = open(beside, flags, 0600);

	if (fd >= 0 || errno != ENOENT)
		return fd;
	snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(path, '/') - path), path);
	return mkdir(folder, 0700) ? -1 : open(beside, flags, 0600);
}

/* What has a name is whole: of two processes the one that is first makes it. */
static bool write_named(int fd, const uint8_t *bytes, const char *beside, const char *path)
{
	errno = ENOSPC; /* a part of it was written */
	return write(fd, bytes, CRASH_SECRET_LEN) == CRASH_SECRET_LEN && fsync(fd) == 0 &&
	       (link(beside, path) == 0 || errno == EEXIST);
}

static enum err make_file(char why[static CRASH_SECRET_WHY], const char *path,
			  const struct rng *rng)
{
	uint8_t bytes[CRASH_SECRET_LEN];
	char beside[PATH_ROOM + 32];
	enum err e = rng_fill(rng, bytes, sizeof(bytes));
	int fd;

	if (e)
		return say(why, e, path, "cannot be made: there is no randomness");
	snprintf(beside, sizeof(beside), "%s.%ld", path, (long)getpid());
	(void)unlink(beside); /* of a process that was killed and had this number */
	fd = open_new(path, beside);
	if (fd < 0 || !write_named(fd, bytes, beside, path))
		e = say(why, ERR_SYS, path, strerror(errno));
	if (fd >= 0) {
		(void)unlink(beside);
		close(fd);
	}
	secret_wipe(bytes, sizeof(bytes));
	return e;
}

enum err crash_secret_open(struct secret *out, char why[static CRASH_SECRET_WHY], const char *path,
			   const struct rng *rng)
{
	enum err e;

	if (path[0] != '/' || strlen(path) >= PATH_ROOM)
		return say(why, ERR_LIMIT, path, "is no whole path, or too long a one");
	e = read_file(out, why, path);
	if (e != ERR_NOT_FOUND)
		return e;
	e = make_file(why, path, rng);
	return e ? e : read_file(out, why, path);
}
