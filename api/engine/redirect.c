/* SPDX-License-Identifier: Apache-2.0 */
/* redirect.c - which peers another gateway is named to, as text says it (RFC 5685). */
#include "api/engine/internal.h"

/* A star in front stands for whatever is there. */
static enum err peer_of(struct conf_side *out, char pattern[static CONF_NAME_MAX], const char *text)
{
	if (text[0] != '*' || !text[1])
		return conf_id_parse(&out->id, text);
	if (strlen(text) >= CONF_NAME_MAX)
		return ERR_LIMIT;
	memcpy(pattern, text, strlen(text) + 1);
	out->pattern = pattern;
	return ERR_OK;
}

static enum err redirect(struct engine *e, uint32_t *out_num, const struct engine_redirect *r)
{
	struct ike_redirect_params p = {
		.conn = r->conn, .ike_id = r->ike_id, .gateway = r->gateway};
	struct conf_side side = {.pattern = NULL};
	char pattern[CONF_NAME_MAX];
	struct ts ts;

	if (!r->gateway || (!r->conn && !r->ike_id && !r->peer_ip && !r->peer_id))
		return ERR_INVAL;
	if (r->peer_ip) {
		if (ts_parse(&ts, r->peer_ip))
			return ERR_INVAL;
		p.lo = ts.lo;
		p.hi = ts.hi;
	}
	if (r->peer_id) {
		if (peer_of(&side, pattern, r->peer_id))
			return ERR_INVAL;
		p.peer = &side;
	}
	return ike_redirect(e->ike, out_num, &p, engine_now(e));
}

enum err engine_redirect(struct engine *e, uint32_t *out_num, const struct engine_redirect *r)
{
	const struct log_sink *before = log_use(&e->sink);
	enum err err = redirect(e, out_num, r);

	engine_turn(e);
	log_use(before);
	return err;
}
