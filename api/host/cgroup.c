/* SPDX-License-Identifier: Apache-2.0 */
#include "api/host/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define LINE_MAX_LEN 4096
#define PATH_LEN     1024
#define LEVEL_MAX    255 /* that nftables can ask for */
#define ID_LEN       8   /* of a group's file handle */

/* struct handle - a group's file handle: its number. */
struct handle {
	struct file_handle head;
	uint64_t id;
};

/* A line is "ID PARENT DEVICE ROOT PLACE OPTIONS... - TYPE ...", and all groups are below ROOT "/".
 * Blanks in PLACE are written with a backslash: such a place is not ours to look for. */
bool cgroup_mount_parse(char *out, size_t cap, const char *line)
{
	const char *type = strstr(line, " - ");
	char root[8], place[PATH_LEN];

	if (!type || strncmp(type, " - cgroup2 ", 11) != 0 ||
	    sscanf(line, "%*u %*u %*s %7s %1023s", root, place) != 2 || strcmp(root, "/") != 0 ||
	    strchr(place, '\\') || strlen(place) >= cap)
		return false;
	snprintf(out, cap, "%s", place);
	return true;
}

static bool is_group(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

/* open_place - -1 if it is not to be seen: something else may be mounted above it. */
static int open_place(const char *place)
{
	int fd = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0 && !is_group(fd)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* open_root - our root. */
static enum err open_root(int *out)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[LINE_MAX_LEN], place[PATH_LEN];
	int fd = -1;

	if (!f)
		return host_failed();
	while (fd < 0 && fgets(line, sizeof(line), f)) {
		if (cgroup_mount_parse(place, sizeof(place), line))
			fd = open_place(place);
	}
	(void)fclose(f);
	if (fd < 0)
		return ERR_UNSUPPORTED;
	*out = fd;
	return ERR_OK;
}

static bool same(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

/* level_of - how far below root fd is; fd is closed. 0: it is not, or too far. */
static uint32_t level_of(int root, int fd)
{
	uint32_t level = 0;

	while (fd >= 0 && level <= LEVEL_MAX && !same(fd, root)) {
		int up = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		/* The root of a file system is above itself. */
		if (up >= 0 && same(up, fd)) {
			close(up);
			up = -1;
		}
		close(fd);
		fd = up;
		level++;
	}
	if (fd < 0)
		return 0;
	close(fd);
	return level <= LEVEL_MAX ? level : 0;
}

/* find_below - the same group, seen from our root. */
static enum err find_below(struct host_cgroup *out, int root, struct handle *h)
{
	int fd = open_by_handle_at(root, &h->head, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return errno == ESTALE ? ERR_NOT_FOUND : host_failed();
	if (same(fd, root)) {
		close(fd);
		return ERR_INVAL;
	}
	out->level = level_of(root, fd);
	out->id = h->id;
	return out->level ? ERR_OK : ERR_NOT_FOUND;
}

enum err cgroup_find(struct host_cgroup *out, int fd)
{
	struct handle h = {.head = {.handle_bytes = ID_LEN}};
	struct host_cgroup found;
	struct stat st;
	enum err err;
	int mount, root;

	if (!is_group(fd) || fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode) ||
	    name_to_handle_at(fd, "", &h.head, &mount, AT_EMPTY_PATH) < 0 ||
	    h.head.handle_bytes != ID_LEN) {
		errno = EINVAL;
		return ERR_INVAL;
	}
	err = open_root(&root);
	if (err)
		return err;
	err = find_below(&found, root, &h);
	close(root);
	if (!err)
		*out = found;
	return err;
}

/* Of a group that is removed there is no such file any more. */
bool host_cgroup_populated(void *ctx, int fd)
{
	int events = openat(fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	char buf[256] = "";
	ssize_t len;

	(void)ctx;
	if (events < 0)
		return errno != ENOENT && errno != ENODEV;
	len = read(events, buf, sizeof(buf) - 1);
	if (len < 0)
		len = errno == ENODEV ? 0 : -1;
	close(events);
	return len < 0 || strstr(buf, "populated 1") != NULL;
}
