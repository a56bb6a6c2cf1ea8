/* SPDX-License-Identifier: Apache-2.0 */
/* rights.c - the ceiling, as a table, and demands beside profiles. */
#include "api/app/rights.h"

#include "api/app/proto.h"

#include <stdio.h>

/* Profiles that one may look through. */
#define PROFILES_MAX 4096

/* enum holder - who has a right beside root. */
enum holder {
	EVERYONE,
	ROOT,
	NAMED,
};

static const struct right {
	uint32_t right;
	enum holder holder;
	size_t who; /* NAMED: offset in struct conf_app */
} table[] = {
	{APP_RIGHT_READ_OWN, EVERYONE, 0},
	{APP_RIGHT_USE, EVERYONE, 0},
	{APP_RIGHT_INTERACT, NAMED, offsetof(struct conf_app, interact)},
	{APP_RIGHT_CONFIGURE, NAMED, offsetof(struct conf_app, configure)},
	{APP_RIGHT_READ_ALL, NAMED, offsetof(struct conf_app, read_all)},
	{APP_RIGHT_ADMIN, ROOT, 0},
};

static bool is_in(const uint32_t *list, uint32_t num, uint32_t id)
{
	for (uint32_t i = 0; i < num; i++) {
		if (list[i] == id)
			return true;
	}
	return false;
}

static bool is_named(const struct conf_who *who, const struct app_peer *peer)
{
	if (is_in(who->uids, who->num_uids, peer->uid) ||
	    is_in(who->gids, who->num_gids, peer->gid))
		return true;
	for (uint32_t i = 0; i < peer->num_groups; i++) {
		if (is_in(who->gids, who->num_gids, peer->groups[i]))
			return true;
	}
	return false;
}

static bool holds(const struct conf_app *conf, const struct app_peer *peer, const struct right *r)
{
	const void *who = (const char *)conf + r->who;

	if (r->holder == EVERYONE || peer->uid == 0)
		return true;
	return r->holder == NAMED && is_named(who, peer);
}

/* What of one's own is everybody's here has no meaning there: a socket cannot be shown. */
static uint32_t rights_of_user(const struct conf_user *user)
{
	uint32_t rights = 0;

	if (!user)
		return 0;
	if (user->read_all)
		rights |= APP_RIGHT_READ_OWN | APP_RIGHT_READ_ALL;
	if (user->configure)
		rights |= APP_RIGHT_READ_OWN | APP_RIGHT_CONFIGURE;
	if (user->admin)
		rights |= APP_RIGHT_READ_OWN | APP_RIGHT_USE | APP_RIGHT_INTERACT |
			  APP_RIGHT_READ_ALL | APP_RIGHT_CONFIGURE | APP_RIGHT_ADMIN;
	return rights;
}

uint32_t app_rights(const struct conf_app *conf, const struct app_peer *peer)
{
	uint32_t rights = 0;

	if (app_peer_is_remote(peer))
		return rights_of_user(app_find_user(conf, peer->user));
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (holds(conf, peer, &table[i]))
			rights |= table[i].right;
	}
	return rights;
}

/* ---- users of other hosts ------------------------------------------------------------------- */

struct app_peer app_peer_remote(const char *user)
{
	struct app_peer peer = {.uid = APP_NO_UID, .gid = APP_NO_UID};

	assert(*user && strlen(user) < sizeof(peer.user));
	snprintf(peer.user, sizeof(peer.user), "%s", user);
	return peer;
}

bool app_peer_is_current(const struct conf_app *conf, const struct app_peer *peer)
{
	const struct conf_user *user = app_find_user(conf, peer->user);
	const struct ike_id *id = &peer->id;

	if (!app_peer_is_remote(peer))
		return true;
	return user && (!id->type || (id->type == user->id.type && id->len == user->id.len &&
				      memcmp(id->data, user->id.data, id->len) == 0));
}

const char *app_peer_text(char buf[static APP_PEER_TEXT_MAX], const struct app_peer *peer)
{
	if (app_peer_is_remote(peer))
		snprintf(buf, APP_PEER_TEXT_MAX, "'%s' of another host", peer->user);
	else
		snprintf(buf, APP_PEER_TEXT_MAX, "user %u (process %d)", peer->uid, peer->pid);
	return buf;
}

const struct conf_user *app_find_user(const struct conf_app *conf, const char *name)
{
	const struct conf_network *n = &conf->network;

	for (uint32_t i = 0; i < n->num_users; i++) {
		if (strcmp(n->users[i].name, name) == 0)
			return &n->users[i];
	}
	return NULL;
}

const struct conf_user *app_find_user_by_cert(const struct conf_app *conf, struct bytes cert)
{
	const struct conf_network *n = &conf->network;
	const struct conf_user *found = NULL;
	char why[KEY_WHY_MAX];
	struct cred *cred;

	if (cred_from_peer(&cred, why, cert))
		return NULL;
	for (uint32_t i = 0; !found && i < n->num_users; i++) {
		if (cred_has_id(cred, &n->users[i].id))
			found = &n->users[i];
	}
	cred_put(cred);
	return found;
}

/* ---- demands -------------------------------------------------------------------------------- */

enum err app_find_profile(const struct app_backend *backend, struct app_profile *out,
			  const char *name)
{
	struct app_profile p;

	for (uint32_t i = 0; i < PROFILES_MAX; i++) {
		memset(&p, 0, sizeof(p));
		if (!backend->ops->profile_each(backend->ctx, &p, i))
			return ERR_NOT_FOUND;
		if (strcmp(p.name, *name ? name : "secure") == 0) {
			*out = p;
			return ERR_OK;
		}
	}
	return ERR_NOT_FOUND;
}

static bool methods_within(const struct app_demand *d, const struct app_profile *p)
{
	for (uint32_t i = 0; i < d->num_methods; i++) {
		if (!memchr(p->methods, d->methods[i], p->num_methods))
			return false;
	}
	return true;
}

/* How much each part asks of the peer. */
static uint32_t strength(uint8_t part)
{
	static const uint8_t table_of[] = {
		[APP_PART_NONE] = 0,
		[APP_PART_APP_ONLY] = 1,
		[APP_PART_IKE_ONLY] = 2,
		[APP_PART_IKE_APP_ACK] = 3,
	};

	return table_of[part];
}

/* Is the suite one of the profile's, which stand between commas? */
static bool suite_within(const char *suite, const char *suites)
{
	size_t len = strlen(suite);

	if (!*suite || !*suites)
		return true;
	for (const char *at = suites; at;) {
		size_t n;

		at += strspn(at, " ,");
		n = strcspn(at, " ,");
		if (n == len && strncmp(at, suite, len) == 0)
			return true;
		at = at[n] ? at + n : NULL;
	}
	return false;
}

/* weaker_by - what of the demand is less than the profile's; NULL if nothing is. */
static const char *weaker_by(const struct app_demand *d, const struct app_profile *p)
{
	if (!methods_within(d, p))
		return "a method of authentication";
	if (d->part != APP_PART_PROFILE && strength(d->part) < strength(p->part))
		return "the part of IKE";
	if (d->privacy == APP_ASK_NO && p->privacy)
		return "privacy";
	if (d->integrity == APP_ASK_NO && p->integrity)
		return "integrity";
	return suite_within(d->suite, p->suites) ? NULL : "the suite";
}

enum err app_demand_check(const struct app_backend *backend, const struct app_demand *demand,
			  const struct flow *local, uint32_t rights, char text[APP_TEXT_MAX])
{
	struct app_profile profile;
	const char *weaker;

	if (app_find_profile(backend, &profile, demand->profile)) {
		snprintf(text, APP_TEXT_MAX, "there is no profile '%s'", demand->profile);
		return ERR_NOT_FOUND;
	}
	weaker = rights & APP_RIGHT_CONFIGURE ? NULL : weaker_by(demand, &profile);
	if (weaker) {
		snprintf(text, APP_TEXT_MAX, "%s is weaker than the profile '%s' demands", weaker,
			 profile.name);
		return ERR_PERM;
	}
	if (profile.bypass && !(rights & APP_RIGHT_CONFIGURE)) {
		snprintf(text, APP_TEXT_MAX, "only who configures may let a flow pass by IPsec");
		return ERR_PERM;
	}
	if (demand->part == APP_PART_IKE_APP_ACK && !(rights & APP_RIGHT_INTERACT)) {
		snprintf(text, APP_TEXT_MAX, "this user may not accept or reject peers");
		return ERR_PERM;
	}
	if (demand->token && !backend->ops->class_reaches(backend->ctx, demand->token, local)) {
		snprintf(text, APP_TEXT_MAX, "there is no such token here");
		return ERR_NOT_FOUND;
	}
	return ERR_OK;
}
