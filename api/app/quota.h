/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quota.h - what each user has at once, however many programs he runs: connections, latches,
 * requests a second, bytes that are not read yet. Thread: the loop's.
 */
#pragma once

#include "api/engine/app.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"

/* APP_USERS_MAX - users that are remembered at once. */
#define APP_USERS_MAX 1024

/* APP_SHARE - part of the loop's time, 1/APP_SHARE, that a user's requests take at most when there
 * are always more of them; what the first second's worth of them took is given. */
#define APP_SHARE 48

/* APP_RESUME_NS - credit that a user who had none waits for: his connections are not all looked at
 * for each single request that he may send again. */
#define APP_RESUME_NS (20 * NS_PER_MS)

/* struct app_user - a user who has connections or latches, or had just now. */
struct app_user {
	struct list_node node;
	uint32_t uid;
	char name[CONF_NAME_MAX]; /* of another host; "": uid of this one */
	uint32_t num_clients, num_latches;
	uint64_t queued; /* bytes */
	int64_t credit;  /* time's worth of requests, ns; a second's at most, or what he owes */
	uint64_t at_ns;  /* when credit was right */
	uint64_t paid;   /* work that the requests he has sent cover, ns */
	uint64_t turn;   /* the last one in which a request of his was answered */
	bool spent;      /* and until there is APP_RESUME_NS of it he sends nothing */
	struct log_limit denials;
};

/* struct app_users - all of them. */
struct app_users {
	struct list_node list;
	uint32_t num;
};

void app_users_init(struct app_users *u) NONNULL(1);
void app_users_fini(struct app_users *u) NONNULL(1);

/* app_user_get - who this is, by his number, or by his name if he is of another host ("": he is
 * not), with all his credit if he was not known. Those who have nothing and all their credit are
 * forgotten. Errors: FULL, NOMEM. */
MUST_USE enum err app_user_get(struct app_users *u, struct app_user **out, uint32_t uid,
			       const char *name, uint64_t now_ns) NONNULL(1, 2, 4);

/* app_user_wait - ns until the user may send a request; 0: now. app_user_spend - he sends one;
 * false: he may not. rate: requests a second. */
uint64_t app_user_wait(struct app_user *user, uint32_t rate, uint64_t now_ns) NONNULL(1);
bool app_user_spend(struct app_user *user, uint32_t rate, uint64_t now_ns) NONNULL(1);

/* app_user_charge - work for him took so long: what his requests do not cover is taken from his
 * credit, APP_SHARE times. */
void app_user_charge(struct app_user *user, uint64_t worked_ns) NONNULL(1);
