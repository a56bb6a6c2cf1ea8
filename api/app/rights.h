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

/* APP_NO_UID - the user of a host that nobody is: chown(2) has no other use for it. */
#define APP_NO_UID UINT32_MAX

/* struct app_peer - who is at the other end: a user of this host, as the kernel told when he
 * connected, or one of another host, as his certificate did. */
struct app_peer {
	char user[CONF_NAME_MAX]; /* of another host; "": of this one */
	struct ike_id id;         /* of another host: by which he is that user; or unset */
	uint32_t uid, gid;
	int32_t pid; /* for the log alone */
	uint32_t groups[APP_GROUPS_MAX];
	uint32_t num_groups;
};

/* app_peer_remote - a user of another host, by the name that the administrator gave him; nobody's
 * numbers are his. app_peer_is_remote - he is one. */
struct app_peer app_peer_remote(const char *user) NONNULL(1);
static inline bool app_peer_is_remote(const struct app_peer *peer)
{
	return peer->user[0] != '\0';
}

/* app_peer_text - who it is, for the log. Returns buf. */
#define APP_PEER_TEXT_MAX 80
const char *app_peer_text(char buf[static APP_PEER_TEXT_MAX], const struct app_peer *peer)
	NONNULL(2);

/* app_peer_is_current - by this configuration he is still who he was when he came. */
bool app_peer_is_current(const struct conf_app *conf, const struct app_peer *peer) NONNULL(1, 2);

/* app_find_user - the user of another host with this name; NULL if there is none.
 * app_find_user_by_cert - whose certificate (DER) this is; that it is to be believed is for the
 * caller to know. The first one's whose identity is in it. */
const struct conf_user *app_find_user(const struct conf_app *conf, const char *name) NONNULL(1, 2);
const struct conf_user *app_find_user_by_cert(const struct conf_app *conf, struct bytes cert)
	NONNULL(1);

/* app_rights - APP_RIGHT_* of a client. Who asks from another host has what is said of him and no
 * more. */
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
