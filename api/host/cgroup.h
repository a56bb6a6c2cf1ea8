/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup.h - which control group (v2) a directory is of, as the kernel numbers it, whatever mounts
 * and namespaces it was opened in. Control thread.
 */
#pragma once

#include "api/host/linux.h"

/* cgroup_find - number and level below our root of the group whose directory fd is. Errors: INVAL
 * (it is none, or the root), NOT_FOUND (it is not below our root), UNSUPPORTED (there are no such
 * groups here), as host_err(). */
MUST_USE enum err cgroup_find(struct host_cgroup *out, int fd) NONNULL(1);

/* cgroup_mount_parse - the place at which all groups (v2) are mounted, out of one line of
 * /proc/self/mountinfo, into out. False: the line is of something else, or does not fit. */
bool cgroup_mount_parse(char *out, size_t cap, const char *line) NONNULL(1, 3);
