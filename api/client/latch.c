/* SPDX-License-Identifier: Apache-2.0 */
/* latch.c - latches of RFC 5660 as objects of this process. */
#include "api/client/internal.h"

#include "base/alloc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TAG_LATCH 0x6c746368u

/* struct subject - what is latched: the socket's flow, what comes to it (listener), or that of its
 * flows that has the pair's ends, if these are set. */
struct subject {
	int fd;
	bool listener;
	struct flow pair;
};

/* struct ipsec_latch - number and instance: as the daemon has it. The descriptor is the caller's;
 * its cookie tells whether it is the same socket still. */
struct ipsec_latch {
	uint32_t tag;
	uint64_t number, instance;
	struct subject of;
	uint64_t cookie;
};

static struct ipsec_latch *as_latch(struct ipsec_latch *latch)
{
	if (latch && latch->tag == TAG_LATCH)
		return latch;
	fail(EINVAL, "this is no latch");
	return NULL;
}

static int latch_new(struct ipsec_latch **out, const struct subject *of, uint64_t number,
		     uint64_t instance)
{
	struct ipsec_latch *l = mem_alloc(sizeof(*l));

	if (!l)
		return fail(ENOMEM, "memory is short");
	*l = (struct ipsec_latch){.tag = TAG_LATCH,
				  .number = number,
				  .instance = instance,
				  .of = *of,
				  .cookie = socket_cookie(of->fd)};
	*out = l;
	return 0;
}

static void put_subject(struct writer *w, const struct subject *of)
{
	app_put_bool(w, APP_A_LISTENER, of->listener);
	if (of->pair.proto)
		app_put_flow(w, APP_A_PAIR, &of->pair);
}

static int create(struct ipsec_latch **out, const struct subject *of, const ipsec_pToken_t demand,
		  unsigned int flags)
{
	struct request req;
	struct reply reply;

	if (!out || flags & ~IPSEC_LATCH_KEEP)
		return fail(EINVAL, "there is no such flag, or no place for the latch");
	if (demand && !as_ptoken(demand))
		return -1;
	request_begin(&req, APP_LATCH_CREATE);
	put_subject(&req.w, of);
	app_put_bool(&req.w, APP_A_KEEP, flags & IPSEC_LATCH_KEEP);
	if (put_demand(&req.w, demand) || transact(&req, of->fd, USUAL_MS, &reply))
		return -1;
	return latch_new(out, of, app_attr_u64(&reply.msg.attrs, APP_A_LATCH, 0), reply.instance);
}

int ipsec_latch_create(struct ipsec_latch **out, int fd, const ipsec_pToken_t demand,
		       unsigned int flags)
{
	return create(out, &(struct subject){.fd = fd}, demand, flags);
}

int ipsec_latch_create_pair(struct ipsec_latch **out, int fd, const struct ipsec_pair *pair,
			    const ipsec_pToken_t demand, unsigned int flags)
{
	struct subject of = {.fd = fd};

	return pair_flow(&of.pair, pair) ? -1 : create(out, &of, demand, flags);
}

int ipsec_latch_listen(struct ipsec_latch **out, int fd, const ipsec_pToken_t demand,
		       unsigned int flags)
{
	return create(out, &(struct subject){.fd = fd, .listener = true}, demand, flags);
}

static int find(uint64_t *number, uint64_t *instance, const struct subject *of)
{
	struct request req;
	struct reply reply;
	struct app_attrs in;

	request_begin(&req, APP_LATCH_FIND);
	put_subject(&req.w, of);
	if (transact(&req, of->fd, USUAL_MS, &reply))
		return -1;
	if (app_attr_inside(&reply.msg.attrs, APP_A_LATCH_INFO, &in))
		return fail(EIO, "the daemon does not say which latch it is");
	*number = app_attr_u64(&in, APP_A_LATCH, 0);
	*instance = reply.instance;
	return 0;
}

static int find_new(struct ipsec_latch **out, const struct subject *of)
{
	uint64_t number, instance;

	return find(&number, &instance, of) ? -1 : latch_new(out, of, number, instance);
}

int ipsec_latch_find(struct ipsec_latch **out, int fd, unsigned int flags)
{
	const struct subject of = {.fd = fd, .listener = flags & IPSEC_LATCH_LISTENER};

	if (!out || flags & ~IPSEC_LATCH_LISTENER)
		return fail(EINVAL, "there is no such flag, or no place for the latch");
	return find_new(out, &of);
}

int ipsec_latch_find_pair(struct ipsec_latch **out, int fd, const struct ipsec_pair *pair)
{
	struct subject of = {.fd = fd};

	if (!out)
		return fail(EINVAL, "there is no place for the latch");
	return pair_flow(&of.pair, pair) ? -1 : find_new(out, &of);
}

int ipsec_latch_by_number(struct ipsec_latch **out, uint64_t number)
{
	struct request req;
	struct reply reply;

	if (!out || !number)
		return fail(EINVAL, "there is no such number, or no place for the latch");
	request_begin(&req, APP_LATCH_INQUIRE);
	app_put_u64(&req.w, APP_A_LATCH, number);
	if (transact(&req, -1, USUAL_MS, &reply))
		return -1;
	return latch_new(out, &(struct subject){.fd = -1}, number, reply.instance);
}

/* A daemon that was started again has other numbers: the latch is found by its socket, or is no
 * more. */
static int current(struct ipsec_latch *l)
{
	uint64_t now = instance_now();

	if (now == 0 || now == l->instance)
		return 0; /* who calls says what is wrong where there is no daemon */
	if (!l->cookie || socket_cookie(l->of.fd) != l->cookie ||
	    find(&l->number, &l->instance, &l->of))
		return fail(ESTALE, "the latch has not outlived the daemon");
	return 0;
}

static int ask(struct ipsec_latch *l, uint16_t verb, const ipsec_pToken_t demand,
	       struct reply *reply)
{
	struct request req;

	if (!as_latch(l) || current(l))
		return -1;
	request_begin(&req, verb);
	app_put_u64(&req.w, APP_A_LATCH, l->number);
	if (demand && (!as_ptoken(demand) || put_demand(&req.w, demand)))
		return -1;
	return transact(&req, -1, USUAL_MS, reply);
}

void latch_info_take(struct ipsec_latch_info *out, const struct app_attrs *in)
{
	char name[32];

	*out = (struct ipsec_latch_info){.size = sizeof(*out)};
	out->state = (enum ipsec_latch_state)app_attr_u32(in, APP_A_STATE, 0);
	out->reason = reason_of(app_attr_text(in, APP_A_REASON, name, sizeof(name)));
	out->listener = app_attr_bool(in, APP_A_LISTENER, false);
	out->uid = app_attr_u32(in, APP_A_UID, 0);
	out->number = app_attr_u64(in, APP_A_LATCH, 0);
	app_attr_text(in, APP_A_PROFILE, out->profile, sizeof(out->profile));
	app_attr_text(in, APP_A_PEER, out->peer, sizeof(out->peer));
	app_attr_text(in, APP_A_TEXT, out->text, sizeof(out->text));
}

int ipsec_latch_inquire(struct ipsec_latch *latch, struct ipsec_latch_info *out)
{
	struct ipsec_latch_info info;
	struct app_attrs in;
	struct reply reply;

	if (!out || out->size != sizeof(*out))
		return fail(EINVAL, "the size is of another version");
	if (ask(latch, APP_LATCH_INQUIRE, NULL, &reply))
		return -1;
	if (app_attr_inside(&reply.msg.attrs, APP_A_LATCH_INFO, &in))
		return fail(EIO, "the daemon does not say how the latch is");
	latch_info_take(&info, &in);
	*out = info;
	return 0;
}

uint64_t ipsec_latch_number(const struct ipsec_latch *latch)
{
	return latch && latch->tag == TAG_LATCH ? latch->number : 0;
}

int ipsec_latch_release(struct ipsec_latch *latch)
{
	struct reply reply;
	int res = ask(latch, APP_LATCH_RELEASE, NULL, &reply), err = errno;

	ipsec_latch_free(latch);
	errno = err;
	return res;
}

void ipsec_latch_free(struct ipsec_latch *latch)
{
	if (!latch || latch->tag != TAG_LATCH)
		return;
	latch->tag = 0;
	mem_free(latch);
}

int ipsec_latch_reauthenticate(struct ipsec_latch *latch, const ipsec_pToken_t demand)
{
	struct reply reply;

	if (ask(latch, APP_REAUTHENTICATE, demand, &reply))
		return -1;
	latch->number = app_attr_u64(&reply.msg.attrs, APP_A_LATCH, 0);
	return 0;
}

int ipsec_latch_trigger(struct ipsec_latch *latch)
{
	struct reply reply;

	return ask(latch, APP_TRIGGER, NULL, &reply);
}

int ipsec_latch_delete(struct ipsec_latch *latch)
{
	struct reply reply;

	return ask(latch, APP_DELETE, NULL, &reply);
}
