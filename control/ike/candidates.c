/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/candidates.h"

#include "base/alloc.h"

static size_t bytes_in(const struct ike_msg *msg)
{
	size_t len = 0;

	for (uint32_t i = 0; i < msg->num; i++)
		len += msg->payloads[i].body.len;
	return len;
}

static void copy_message(struct candidates *c, const struct ike_msg *msg)
{
	uint8_t *at = c->bytes;

	c->msg = *msg;
	c->msg.raw = bytes_of(NULL, 0);
	for (uint32_t i = 0; i < msg->num; i++) {
		const struct bytes body = msg->payloads[i].body;

		if (body.len)
			memcpy(at, body.p, body.len);
		c->msg.payloads[i].body = bytes_of(at, body.len);
		at += body.len;
	}
}

enum err candidates_new(struct candidates **out, const struct conf_conn *const conns[MATCH_MAX],
			uint32_t num, const struct ike_msg *msg)
{
	struct candidates *c = mem_alloc(sizeof(*c) + bytes_in(msg));

	if (!c)
		return ERR_NOMEM;
	memcpy(c->conns, conns, num * sizeof(c->conns[0]));
	c->num = num;
	copy_message(c, msg);
	*out = c;
	return ERR_OK;
}

void candidates_free(struct candidates *c)
{
	mem_free(c);
}

const struct conf_conn *candidates_next(struct candidates *c, const struct failure *why)
{
	const uint32_t rank = conf_auth_rank(c->conns[c->at]->remote.auth);
	const struct conf_conn *next;

	if (c->at == 0)
		c->first = *why;
	if (why->reason != IKE_REASON_CERT_UNKNOWN_CA && rank > c->known)
		c->known = rank;
	next = ++c->at < c->num ? c->conns[c->at] : NULL;
	return next && conf_auth_rank(next->remote.auth) < c->known ? NULL : next;
}
