/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arrival.c - whose a datagram is, by the interface that it came by: the daemon says so of those
 * that packets of one class alone come out of. Its answer holds for as long as it says from when it
 * was asked, and no longer than its connection; within that no datagram is a question of its own.
 */
#include "api/client/internal.h"

#include "base/clock.h"

#include <errno.h>
#include <pthread.h>

#define ARRIVALS_MAX 64
#define NOT_MS       1000 /* that one without a class is not asked for again */

static struct {
	pthread_mutex_t lock;
	struct known {
		struct arrival at;
		uint32_t token; /* 0: none */
		uint64_t instance, until_ns;
	} list[ARRIVALS_MAX];
	uint32_t next;
	uint32_t life; /* what was asked in an earlier one is not kept */
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool find(const struct arrival *a, uint64_t instance, uint32_t *out_token, uint32_t *life)
{
	uint64_t now_ns = clock_now_ns();
	bool found = false;

	pthread_mutex_lock(&cache.lock);
	*life = cache.life;
	for (uint32_t i = 0; i < ARRIVALS_MAX && !found; i++) {
		const struct known *k = &cache.list[i];

		found = k->at.ifindex == a->ifindex && ip_addr_equal(&k->at.to, &a->to) &&
			k->instance == instance && now_ns < k->until_ns;
		if (found)
			*out_token = k->token;
	}
	pthread_mutex_unlock(&cache.lock);
	return found;
}

static void keep(const struct known *k, uint32_t life)
{
	pthread_mutex_lock(&cache.lock);
	if (life == cache.life) {
		cache.list[cache.next] = *k;
		cache.next = (cache.next + 1) % ARRIVALS_MAX;
	}
	pthread_mutex_unlock(&cache.lock);
}

void arrivals_forget(void)
{
	pthread_mutex_lock(&cache.lock);
	cache.life++;
	for (uint32_t i = 0; i < ARRIVALS_MAX; i++)
		cache.list[i].until_ns = 0;
	pthread_mutex_unlock(&cache.lock);
}

/* A message does not say of which socket it is, and each network has its own interfaces. */
static uint32_t of_one_network(int fds[static SOCKETS_MAX])
{
	uint32_t num = sockets_bringing(fds);
	uint64_t network = num ? socket_network(fds[0]) : 0;

	for (uint32_t i = 1; i < num; i++)
		if (socket_network(fds[i]) != network)
			network = 0;
	return network ? num : 0;
}

static int ask(struct known *k, int fd)
{
	const struct flow flow = {.local = k->at.to};
	uint64_t now_ns = clock_now_ns();
	struct request req;
	struct reply reply;

	request_begin(&req, APP_INTERFACE_TOKEN);
	app_put_u32(&req.w, APP_A_INTERFACE, k->at.ifindex);
	app_put_flow(&req.w, APP_A_FLOW, &flow);
	if (transact(&req, fd, USUAL_MS, &reply))
		return -1;
	k->token = app_attr_u32(&reply.msg.attrs, APP_A_TOKEN, 0);
	k->instance = reply.instance;
	k->until_ns = now_ns + app_attr_u32(&reply.msg.attrs, APP_A_TIMEOUT_MS, 0) * NS_PER_MS;
	return 0;
}

uint32_t arrival_token(const struct arrival *a)
{
	struct known k = {.at = *a, .instance = instance_now()};
	int fds[SOCKETS_MAX];
	uint32_t num, life;

	if (find(a, k.instance, &k.token, &life)) {
		if (!k.token)
			fail(ENOENT, "the message came without protection");
		return k.token;
	}
	num = of_one_network(fds);
	if (!num)
		fail(ENOENT, "which sockets bring tokens is not known, or they are of several "
			     "networks");
	for (uint32_t i = 0; i < num; i++) {
		if (!ask(&k, fds[i])) {
			keep(&k, life);
			return k.token;
		}
		if (errno != ENOENT)
			return 0;
	}
	if (num) {
		k.until_ns = clock_now_ns() + NOT_MS * NS_PER_MS;
		keep(&k, life);
	}
	return 0;
}
