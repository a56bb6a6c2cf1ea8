/* SPDX-License-Identifier: Apache-2.0 */
/* path.c - the paths to peers: for who may configure. */
#include "api/client/internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

/* ANSWER_MS - the daemon says itself when a peer has not answered. */
#define ANSWER_MS 8000

static int put_name(struct request *req, const char *name)
{
	if (!name || !*name || strlen(name) >= ID_ROOM)
		return fail(EINVAL, "whose path is it?");
	app_put_text(&req->w, APP_A_PEER, name);
	return 0;
}

static int begin(struct request *req, enum app_path_act act, const char *name)
{
	request_begin(req, APP_PATH);
	app_put_u32(&req->w, APP_A_PATH_ACT, act);
	app_put_u32(&req->w, APP_A_TIMEOUT_MS, ANSWER_MS);
	return put_name(req, name);
}

static int end_of(struct ip_addr *out, const struct sockaddr *sa)
{
	struct sockaddr_storage ss = {0};
	struct endpoint e;

	if (!sa)
		return 0;
	if (sa->sa_family == AF_INET)
		memcpy(&ss, sa, sizeof(struct sockaddr_in));
	else if (sa->sa_family == AF_INET6)
		memcpy(&ss, sa, sizeof(struct sockaddr_in6));
	if (endpoint_from_sockaddr(&e, &ss))
		return fail(EINVAL, "that is no address");
	*out = e.addr;
	return 0;
}

int ipsec_path_add(const char *name, const struct sockaddr *local, const struct sockaddr *remote,
		   unsigned int priority, unsigned int weight, uint32_t *out)
{
	struct flow ends = {0};
	struct request req;
	struct reply reply;

	if (!local || priority > UINT8_MAX || weight > UINT16_MAX)
		return fail(EINVAL, "that is no path");
	if (end_of(&ends.local, local) || end_of(&ends.remote, remote) ||
	    begin(&req, APP_PATH_ADD, name))
		return -1;
	app_put_flow(&req.w, APP_A_FLOW, &ends);
	app_put_u32(&req.w, APP_A_PRIORITY, priority);
	app_put_u32(&req.w, APP_A_WEIGHT, weight ? weight : 1);
	if (transact(&req, -1, ANSWER_MS + USUAL_MS, &reply))
		return -1;
	if (out)
		*out = app_attr_u32(&reply.msg.attrs, APP_A_PATH, 0);
	return 0;
}

static int say(enum app_path_act act, const char *name, uint32_t number)
{
	struct request req;
	struct reply reply;

	if (!number || number > UINT16_MAX)
		return fail(EINVAL, "a path has a number");
	if (begin(&req, act, name))
		return -1;
	app_put_u32(&req.w, APP_A_PATH, number);
	return transact(&req, -1, ANSWER_MS + USUAL_MS, &reply);
}

int ipsec_path_remove(const char *name, uint32_t number)
{
	return say(APP_PATH_REMOVE, name, number);
}

int ipsec_path_move(const char *name, uint32_t number, bool hard)
{
	return say(hard ? APP_PATH_HARD : APP_PATH_SOFT, name, number);
}

int ipsec_path_prefer(const char *name, uint32_t number)
{
	return say(APP_PATH_PREFER, name, number);
}

/* ---- what there is --------------------------------------------------------------------------- */

void path_ends_take(struct sockaddr_storage *local, struct sockaddr_storage *remote,
		    const struct app_attrs *in)
{
	struct flow ends = {0};

	memset(local, 0, sizeof(*local));
	memset(remote, 0, sizeof(*remote));
	if (app_attr_flow(in, APP_A_FLOW, &ends))
		return;
	(void)endpoint_to_sockaddr(local, &(struct endpoint){ends.local, ends.local_port, 0});
	(void)endpoint_to_sockaddr(remote, &(struct endpoint){ends.remote, ends.remote_port, 0});
}

static void take_path(struct ipsec_path_info *p, const struct app_attrs *in)
{
	*p = (struct ipsec_path_info){
		.size = sizeof(*p),
		.number = app_attr_u32(in, APP_A_PATH, 0),
		.state = (enum ipsec_path_state)app_attr_u32(in, APP_A_PATH_STATE, 0),
		.decides = app_attr_bool(in, APP_A_DECIDES, false),
		.udp = app_attr_bool(in, APP_A_UDP, false),
		.priority = app_attr_u32(in, APP_A_PRIORITY, 0),
		.weight = app_attr_u32(in, APP_A_WEIGHT, 0),
		.rtt_us = app_attr_u32(in, APP_A_RTT_US, 0),
		.loss_permille = app_attr_u32(in, APP_A_LOSS, 0),
		.mtu = app_attr_u32(in, APP_A_MTU, 0),
		.rate = app_attr_u64(in, APP_A_RATE, 0),
		.rx_packets = app_attr_u64(in, APP_A_RX_PACKETS, 0),
		.rx_bytes = app_attr_u64(in, APP_A_RX_BYTES, 0),
		.tx_packets = app_attr_u64(in, APP_A_TX_PACKETS, 0),
		.tx_bytes = app_attr_u64(in, APP_A_TX_BYTES, 0),
	};
	app_attr_text(in, APP_A_CONN, p->connection, sizeof(p->connection));
	app_attr_text(in, APP_A_PEER, p->peer, sizeof(p->peer));
	path_ends_take(&p->local, &p->remote, in);
}

/* struct each - whom to call. */
struct each {
	void (*fn)(void *arg, const struct ipsec_path_info *path);
	void *arg;
};

static void each(void *arg, const struct app_msg *msg)
{
	const struct each *e = arg;
	struct ipsec_path_info path;

	for (uint32_t i = 0; i < msg->attrs.num; i++) {
		const struct app_attr *a = &msg->attrs.list[i];
		struct app_attrs in;

		if (a->type != APP_A_PATH_INFO || app_attrs_parse(&in, a->value, 1))
			continue;
		take_path(&path, &in);
		e->fn(e->arg, &path);
	}
}

int ipsec_each_path(void (*fn)(void *arg, const struct ipsec_path_info *path), void *arg)
{
	struct each e = {.fn = fn, .arg = arg};
	struct request req;

	request_begin(&req, APP_PATHS);
	return fn ? transact_each(&req, -1, each, &e) : fail(EINVAL, "there is nobody to call");
}
