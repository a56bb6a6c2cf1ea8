/* SPDX-License-Identifier: Apache-2.0 */
/* quota.c - users, and the bucket of their requests. */
#include "api/app/quota.h"

#include "base/alloc.h"

#include <stdio.h>

/* More than this at once is not counted: he who waits for what was done is to be served again. */
#define CHARGE_MAX_NS NS_PER_S

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

/* A second's worth of credit and no more. */
static void refill(struct app_user *user, uint64_t now_ns)
{
	uint64_t passed = now_ns > user->at_ns ? now_ns - user->at_ns : 0;
	int64_t most = (int64_t)NS_PER_S;

	if (passed >= (uint64_t)(most - user->credit))
		user->credit = most;
	else
		user->credit += (int64_t)passed;
	user->at_ns = now_ns;
}

/* Who connects anew has no more credit than before: only who has all of it is forgotten. */
static void forget(struct app_users *u, uint64_t now_ns)
{
	list_for_each_safe (n, &u->list) {
		struct app_user *user = list_entry(n, struct app_user, node);

		refill(user, now_ns);
		if (user->num_clients || user->num_latches || user->credit < (int64_t)NS_PER_S)
			continue;
		list_remove(&user->node);
		mem_free(user);
		u->num--;
	}
}

enum err app_user_get(struct app_users *u, struct app_user **out, uint32_t uid, const char *name,
		      uint64_t now_ns)
{
	struct app_user *user;

	list_for_each (n, &u->list) {
		user = list_entry(n, struct app_user, node);
		if (user->uid == uid && strcmp(user->name, name) == 0) {
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
	snprintf(user->name, sizeof(user->name), "%s", name);
	user->credit = (int64_t)NS_PER_S;
	user->at_ns = now_ns;
	list_push_back(&u->list, &user->node);
	u->num++;
	*out = user;
	return ERR_OK;
}

uint64_t app_user_wait(struct app_user *user, uint32_t rate, uint64_t now_ns)
{
	int64_t cost = (int64_t)(NS_PER_S / rate);
	int64_t resume = cost < (int64_t)APP_RESUME_NS ? (int64_t)APP_RESUME_NS : cost;

	refill(user, now_ns);
	user->spent = user->credit < (user->spent ? resume : cost);
	return user->spent ? (uint64_t)(resume - user->credit) : 0;
}

bool app_user_spend(struct app_user *user, uint32_t rate, uint64_t now_ns)
{
	uint64_t cost = NS_PER_S / rate;

	if (app_user_wait(user, rate, now_ns))
		return false;
	user->credit -= (int64_t)cost;
	user->paid += cost / APP_SHARE;
	if (user->paid > cost)
		user->paid = cost;
	return true;
}

void app_user_charge(struct app_user *user, uint64_t worked_ns)
{
	uint64_t rest = worked_ns > user->paid ? worked_ns - user->paid : 0;

	user->paid -= worked_ns - rest;
	if (rest > CHARGE_MAX_NS)
		rest = CHARGE_MAX_NS;
	user->credit -= (int64_t)(rest * APP_SHARE);
}
