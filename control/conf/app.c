/* SPDX-License-Identifier: Apache-2.0 */
/* app.c - the section latchkey.app: who may do what by the application socket, and how much. */
#include "control/conf/check.h"
#include "control/conf/values.h"

#include <grp.h>
#include <pwd.h>

/* More of anything is a fault of writing. */
#define CLIENTS_MAX  1024
#define LATCHES_MAX  65536
#define REQUESTS_MAX 1000000
#define QUEUE_MIN    16384 /* two messages */
#define QUEUE_MAX    (64u << 20)
/* What a user's or a group's entry may need. */
#define ENTRY_SIZE 16384

void app_defaults(struct conf_app *a)
{
	*a = (struct conf_app){
		.clients_per_uid = 32,
		.latches_per_uid = 1024,
		.requests_per_second = 1000,
		.queue_per_uid = 1u << 20,
	};
}

enum err set_app(struct check *c, void *obj, const struct tree *node)
{
	return check_section(c, SCOPE_APP, &((struct conf_daemon *)obj)->app, node);
}

enum err set_app_enabled(struct check *c, void *obj, const struct tree *node)
{
	bool yes;

	if (take_bool(c, &yes, node))
		((struct conf_app *)obj)->disabled = !yes;
	return ERR_OK;
}

/* ---- users and groups ----------------------------------------------------------------------- */

static bool find_user(uint32_t *out, const char *name)
{
	char buf[ENTRY_SIZE];
	struct passwd entry, *found = NULL;
	uint64_t v;

	if (!value_u64(&v, name, UINT32_MAX - 1)) {
		*out = (uint32_t)v;
		return true;
	}
	if (getpwnam_r(name, &entry, buf, sizeof(buf), &found) || !found)
		return false;
	*out = found->pw_uid;
	return true;
}

static bool find_group(uint32_t *out, const char *name)
{
	char buf[ENTRY_SIZE];
	struct group entry, *found = NULL;
	uint64_t v;

	if (!value_u64(&v, name, UINT32_MAX - 1)) {
		*out = (uint32_t)v;
		return true;
	}
	if (getgrnam_r(name, &entry, buf, sizeof(buf), &found) || !found)
		return false;
	*out = found->gr_gid;
	return true;
}

static void add_who(struct check *c, struct conf_who *who, const struct tree *node,
		    const char *item)
{
	bool group = item[0] == '@';
	uint32_t *num = group ? &who->num_gids : &who->num_uids, id;

	if (*num == CONF_WHO_MAX)
		CHECK_ERROR(c, node, "more than %d users or groups", CONF_WHO_MAX);
	else if (!(group ? find_group(&id, item + 1) : find_user(&id, item)))
		CHECK_ERROR(c, node, "there is no %s '%.60s'", group ? "group" : "user",
			    item + group);
	else
		(group ? who->gids : who->uids)[(*num)++] = id;
}

static enum err take_who(struct check *c, struct conf_who *who, const struct tree *node)
{
	char item[VALUE_ITEM_MAX];
	struct value_items it;
	enum err e;

	value_items_init(&it, node);
	while (!(e = value_items_next(&it, item)))
		add_who(c, who, node, item);
	if (e != ERR_NOT_FOUND)
		CHECK_ERROR(c, node, "a name is too long");
	return ERR_OK;
}

enum err set_app_interact(struct check *c, void *obj, const struct tree *node)
{
	return take_who(c, &((struct conf_app *)obj)->interact, node);
}

enum err set_app_configure(struct check *c, void *obj, const struct tree *node)
{
	return take_who(c, &((struct conf_app *)obj)->configure, node);
}

enum err set_app_read_all(struct check *c, void *obj, const struct tree *node)
{
	return take_who(c, &((struct conf_app *)obj)->read_all, node);
}

/* ---- quotas --------------------------------------------------------------------------------- */

static enum err take_quota(struct check *c, uint32_t *out, const struct tree *node, uint32_t min,
			   uint32_t max)
{
	uint64_t v;

	if (!take_number(c, &v, node, max))
		return ERR_OK;
	if (v < min)
		CHECK_ERROR(c, node, "%llu is less than %u", (unsigned long long)v, min);
	else
		*out = (uint32_t)v;
	return ERR_OK;
}

enum err set_app_clients(struct check *c, void *obj, const struct tree *node)
{
	return take_quota(c, &((struct conf_app *)obj)->clients_per_uid, node, 1, CLIENTS_MAX);
}

enum err set_app_latches(struct check *c, void *obj, const struct tree *node)
{
	return take_quota(c, &((struct conf_app *)obj)->latches_per_uid, node, 1, LATCHES_MAX);
}

enum err set_app_requests(struct check *c, void *obj, const struct tree *node)
{
	return take_quota(c, &((struct conf_app *)obj)->requests_per_second, node, 1, REQUESTS_MAX);
}

enum err set_app_queue(struct check *c, void *obj, const struct tree *node)
{
	return take_quota(c, &((struct conf_app *)obj)->queue_per_uid, node, QUEUE_MIN, QUEUE_MAX);
}
