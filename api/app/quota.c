/* SPDX-License-Identifier: Apache-2.0 */
/* quota.c - users, and the bucket of their requests. */
#include "api/app/quota.h"

#include "base/alloc.h"
#include "base/clock.h"

void app_users_init(struct app_users *u)
{
	list_init(&u->list);
	u->num = 0;
}

void app_users_fini(struct app_users *u)
{
	struct list_node *n;

	while ((n = list_pop_front(&u->list)))
		mem_free(list_entry(n, struct app_user, node));
}

static void refill(struct app_user *user, uint64_t now_ns)
{
	uint64_t passed = now_ns > user->at_ns ? now_ns - user->at_ns : 0;

	user->credit = passed >= NS_PER_S || user->credit + passed > NS_PER_S
			       ? NS_PER_S
			       : user->credit + passed;
	user->at_ns = now_ns;
}

/* Who connects anew has no more credit than before: only who has all of it is forgotten. */
static void forget(struct app_users *u, uint64_t now_ns)
{
	list_for_each_safe (n, &u->list) {
		struct app_user *user = list_entry(n, struct app_user, node);

		refill(user, now_ns);
		if (user->num_clients || user->num_latches || user->credit < NS_PER_S)
			continue;
		list_remove(&user->node);
		mem_free(user);
		u->num--;
	}
}

enum err app_user_get(struct app_users *u, struct app_user **out, uint32_t uid, uint64_t now_ns)
{
	struct app_user *user;

	list_for_each (n, &u->list) {
		user = list_entry(n, struct app_user, node);
		if (user->uid == uid) {
			*out = user;
			return ERR_OK;
		}
	}
	forget(u, now_ns);
	if (u->num == APP_USERS_MAX)
		return ERR_FULL;
	user = mem_alloc(sizeof(*user));
	if (!user)
		return ERR_NOMEM;
	user->uid = uid;
	user->credit = NS_PER_S;
	user->at_ns = now_ns;
	list_push_back(&u->list, &user->node);
	u->num++;
	*out = user;
	return ERR_OK;
}

uint64_t app_user_wait(struct app_user *user, uint32_t rate, uint64_t now_ns)
{
	uint64_t cost = NS_PER_S / rate;

	refill(user, now_ns);
	return user->credit >= cost ? 0 : cost - user->credit;
}

bool app_user_spend(struct app_user *user, uint32_t rate, uint64_t now_ns)
{
	if (app_user_wait(user, rate, now_ns))
		return false;
	user->credit -= NS_PER_S / rate;
	return true;
}
