/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rights.h - who may do what at the application socket: the administrator's ceiling for a user and
 * his groups. What is left of it for one object is decided where the object is known. Pure
 * functions.
 */
#pragma once

#include "api/engine/app.h"

/* APP_GROUPS_MAX - supplementary groups of a client that count. */
#define APP_GROUPS_MAX 64

/* struct app_peer - who is at the other end, as the kernel told when he connected. */
struct app_peer {
	uint32_t uid, gid;
	int32_t pid; /* for the log alone */
	uint32_t groups[APP_GROUPS_MAX];
	uint32_t num_groups;
};

/* app_rights - APP_RIGHT_* of a client. */
uint32_t app_rights(const struct conf_app *conf, const struct app_peer *peer) NONNULL(1, 2);

/* app_demand_check - an application may strengthen what the profile demands, not weaken it, unless
 * it has APP_RIGHT_CONFIGURE. local: the socket's own end. Errors: NOT_FOUND (no such profile, or
 * no class that reaches the socket), PERM; text says why. */
MUST_USE enum err app_demand_check(const struct app_backend *backend,
				   const struct app_demand *demand, const struct flow *local,
				   uint32_t rights, char text[APP_TEXT_MAX]) NONNULL(1, 2, 3, 5);

/* app_find_profile - by name, "" is "secure". Errors: NOT_FOUND. */
MUST_USE enum err app_find_profile(const struct app_backend *backend, struct app_profile *out,
				   const char *name) NONNULL(1, 2, 3);
