/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "api/embed/internal.h"
#include "api/engine/app.h"

/* answer - with numbers of this header's own for what a path cannot. */
static int answer(enum err err)
{
	if (err == ERR_UNSUPPORTED) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return embed_fail(err == ERR_LIMIT ? ERR_FULL : err);
}

/* say - one request; the caller has filled in all but its number. */
static int say(struct ipsec_engine *e, struct engine_path_request *req, uint32_t *out_number,
	       uint64_t *out_request)
{
	const struct log_sink *before = embed_enter(e);
	char text[ENGINE_TEXT_MAX] = "";
	enum err err = ERR_INVAL;
	uint32_t num = 0;
	uint16_t id = 0;

	if (e->core && req->name && *req->name) {
		req->request = engine_request(e->core);
		if (out_request) /* first: events may come before the call returns */
			*out_request = req->request;
		err = engine_path(e->core, &num, &id, req, text);
	}
	if (err && text[0])
		embed_error(e, text);
	if (!err && out_number)
		*out_number = id;
	embed_leave(e, before);
	return answer(err);
}

int ipsec_engine_path_add(struct ipsec_engine *e, const char *name, const struct ipsec_path *path,
			  unsigned int priority, unsigned int weight, uint32_t *out_number,
			  uint64_t *out_request)
{
	struct engine_path_request req = {.act = ENGINE_PATH_ADD, .name = name};

	if (!path || priority > UINT8_MAX || weight > UINT16_MAX) {
		errno = EINVAL;
		return -1;
	}
	req.local = path_in(path).local.addr;
	req.remote = path_in(path).remote.addr;
	req.priority = (uint8_t)priority;
	req.weight = (uint16_t)weight;
	return say(e, &req, out_number, out_request);
}

static int say_of(struct ipsec_engine *e, enum engine_path_act act, const char *name,
		  uint32_t number, uint64_t *out_request)
{
	struct engine_path_request req = {.act = act, .name = name, .id = (uint16_t)number};

	if (!number || number > UINT16_MAX) {
		errno = EINVAL;
		return -1;
	}
	return say(e, &req, NULL, out_request);
}

int ipsec_engine_path_remove(struct ipsec_engine *e, const char *name, uint32_t number,
			     uint64_t *out_request)
{
	return say_of(e, ENGINE_PATH_REMOVE, name, number, out_request);
}

int ipsec_engine_path_move(struct ipsec_engine *e, const char *name, uint32_t number, bool hard,
			   uint64_t *out_request)
{
	return say_of(e, hard ? ENGINE_PATH_HARD : ENGINE_PATH_SOFT, name, number, out_request);
}

int ipsec_engine_path_prefer(struct ipsec_engine *e, const char *name, uint32_t number,
			     uint64_t *out_request)
{
	return say_of(e, ENGINE_PATH_PREFER, name, number, out_request);
}

/* ---- lists ----------------------------------------------------------------------------------- */

/* struct telling - a list on its way to the program. */
struct telling {
	void (*fn)(void *ctx, const struct ipsec_engine_path *path);
	void *ctx;
};

static void tell(void *arg, const struct app_path *p)
{
	const struct telling *t = arg;
	struct ipsec_engine_path out = {.connection = p->conn,
					.peer_id = p->peer,
					.number = p->id,
					.usable = p->usable,
					.active = p->active,
					.decides = p->decides,
					.priority = p->priority,
					.weight = p->weight,
					.path = path_out(p->addr)};

	if (p->data) {
		out.mtu = p->data->path.pmtu;
		out.rx_packets = p->data->path.rx_packets;
		out.rx_bytes = p->data->path.rx_bytes;
		out.tx_packets = p->data->path.tx_packets;
		out.tx_bytes = p->data->path.tx_bytes;
	}
	if (p->data && p->data->probed) {
		out.rtt_ns = p->data->quality.rtt_ns;
		out.rate = p->data->quality.rate;
		out.loss_permille = p->data->quality.loss_permille;
	}
	t->fn(t->ctx, &out);
}

int ipsec_engine_each_path(struct ipsec_engine *e,
			   void (*fn)(void *ctx, const struct ipsec_engine_path *path), void *ctx)
{
	const struct log_sink *before = embed_enter(e);
	struct telling t = {.fn = fn, .ctx = ctx};
	const bool ok = e->core && fn;

	if (ok) {
		const struct app_backend backend = engine_app(e->core);

		backend.ops->each_path(backend.ctx, tell, &t);
	}
	embed_leave(e, before);
	return embed_fail(ok ? ERR_OK : ERR_INVAL);
}
