/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "api/embed/internal.h"
#include "base/alloc.h"

#define ID_TEXT_MAX 264

/* struct listing - a list on its way to the program. */
struct listing {
	struct ipsec_engine *engine;
	void (*fn)(void *ctx, const struct ipsec_sa_info *sa);
	void *ctx;
	enum err err;
};

static const enum ipsec_sa_state states[] = {
	[IKE_STATE_CONNECTING] = IPSEC_SA_CONNECTING,
	[IKE_STATE_ESTABLISHED] = IPSEC_SA_ESTABLISHED,
	[IKE_STATE_REKEYING] = IPSEC_SA_REKEYING,
	[IKE_STATE_DELETING] = IPSEC_SA_DELETING,
};

static struct ipsec_child_info child_out(struct ipsec_engine *e, const struct ike_child_info *c,
					 struct ipsec_selector *ts)
{
	struct child_stats stats = {0};
	enum err err = engine_child_stats(e->core, &stats, c->id);

	(void)err; /* on its way out: no figures any more */
	selectors_out(ts, c->local, c->num_local);
	selectors_out(ts + c->num_local, c->remote, c->num_remote);
	return (struct ipsec_child_info){
		.child_id = c->unique,
		.name = c->name,
		.state = c->state,
		.proposal = c->proposal,
		.encap = c->encap,
		.local_ts = ts,
		.remote_ts = ts + c->num_local,
		.num_local_ts = c->num_local,
		.num_remote_ts = c->num_remote,
		.in_packets = stats.in_packets,
		.in_bytes = stats.in_bytes,
		.out_packets = stats.out_packets,
		.out_bytes = stats.out_bytes,
		.installed_ns = c->installed_ns,
		.rekey_ns = c->rekey_ns,
		.expire_ns = c->expire_ns,
		.token = stats.token,
	};
}

static size_t num_selectors(const struct ike_sa_info *sa)
{
	size_t num = 0;

	for (uint32_t i = 0; i < sa->num_children; i++)
		num += sa->children[i].num_local + sa->children[i].num_remote;
	return num;
}

static const char *id_text(char buf[ID_TEXT_MAX], const struct ike_id *id)
{
	return id ? ike_id_text(buf, ID_TEXT_MAX, id) : NULL;
}

static void show(struct listing *l, const struct ike_sa_info *sa, struct ipsec_child_info *children,
		 struct ipsec_selector *ts)
{
	char local_id[ID_TEXT_MAX], peer_id[ID_TEXT_MAX];
	const struct ipsec_sa_info info = {
		.ike_id = sa->unique,
		.connection = sa->conn,
		.state = states[sa->state],
		.initiator = sa->initiator,
		.local_id = id_text(local_id, sa->local_id),
		.peer_id = id_text(peer_id, sa->remote_id),
		.proposal = sa->proposal,
		.path = path_out(&sa->path),
		.nat_local = sa->nat_local,
		.nat_remote = sa->nat_remote,
		.established_ns = sa->established_ns,
		.rekey_ns = sa->rekey_ns,
		.children = children,
		.num_children = sa->num_children,
	};

	for (uint32_t i = 0; i < sa->num_children; i++) {
		children[i] = child_out(l->engine, &sa->children[i], ts);
		ts += sa->children[i].num_local + sa->children[i].num_remote;
	}
	l->fn(l->ctx, &info);
}

static void show_sa(void *ctx, const struct ike_sa_info *sa)
{
	struct listing *l = ctx;
	struct ipsec_child_info *children =
		mem_alloc_array(sa->num_children + 1u, sizeof(*children));
	struct ipsec_selector *ts = mem_alloc_array(num_selectors(sa) + 1, sizeof(*ts));

	if (children && ts)
		show(l, sa, children, ts);
	else
		l->err = ERR_NOMEM;
	mem_free(children);
	mem_free(ts);
}

int ipsec_engine_each_sa(struct ipsec_engine *e,
			 void (*fn)(void *ctx, const struct ipsec_sa_info *sa), void *ctx)
{
	const struct log_sink *before = embed_enter(e);
	struct listing l = {.engine = e, .fn = fn, .ctx = ctx, .err = ERR_INVAL};

	if (e->core) {
		l.err = ERR_OK;
		engine_each_sa(e->core, show_sa, &l);
	}
	embed_leave(e, before);
	return embed_fail(l.err);
}

/* struct binding - an IKE SA's, on its way to the program. */
struct binding {
	uint8_t *out;
	size_t *len;
	uint32_t ike_id;
	enum ike_binding form;
	enum err err;
};

static void bind_sa(void *ctx, const struct ike_sa_info *sa)
{
	struct binding *b = ctx;

	if (sa->unique == b->ike_id && sa->proof)
		b->err = ike_channel_binding(b->out, *b->len, b->len, sa->proof, b->form);
}

int ipsec_engine_binding(struct ipsec_engine *e, void *out, size_t *len, uint32_t ike_id,
			 enum ipsec_binding form)
{
	const struct log_sink *before = embed_enter(e);
	struct binding b = {.out = out,
			    .len = len,
			    .ike_id = ike_id,
			    .form = form == IPSEC_BINDING_KEYS ? IKE_BINDING_KEYS
							       : IKE_BINDING_SHA256,
			    .err = e->core ? ERR_NOT_FOUND : ERR_INVAL};

	if (e->core)
		engine_each_sa(e->core, bind_sa, &b);
	embed_leave(e, before);
	return embed_fail(b.err);
}

int ipsec_engine_stats(struct ipsec_engine *e, struct ipsec_stats *out)
{
	const struct log_sink *before = embed_enter(e);
	struct dataplane_stats data = {0};
	struct ike_stats ike = {0};

	if (e->core) {
		engine_dp_stats(e->core, &data);
		engine_ike_stats(e->core, &ike);
		*out = (struct ipsec_stats){
			.rx_packets = data.rx_packets,
			.made = data.made,
			.tx_packets = data.tx_packets,
			.held = data.held,
			.punted = data.punted,
			.handed_off = data.handed_off,
			.taken = data.taken,
			.consumed = data.consumed,
			.ike_sas = ike.ike_sas,
			.half_open = ike.half_open,
			.child_sas = ike.child_sas,
			.ike_established = ike.ike_established,
			.child_established = ike.child_established,
			.failed = ike.failed,
			.ike_retransmitted = ike.retransmitted,
			.ike_malformed = ike.malformed,
		};
		for (size_t i = 0; i < ARRAY_LEN(data.drops); i++)
			out->dropped += data.drops[i];
	}
	embed_leave(e, before);
	return embed_fail(e->core ? ERR_OK : ERR_INVAL);
}

int ipsec_engine_drops(struct ipsec_engine *e, unsigned int i, uint64_t *out_num,
		       const char **out_name, const char **out_text)
{
	const struct log_sink *before = embed_enter(e);
	struct dataplane_stats data = {0};
	const char *text = NULL, *name = dataplane_drop_name(i, &text);
	enum err err = e->core ? ERR_OK : ERR_INVAL;

	if (!err && !name)
		err = ERR_NOT_FOUND;
	if (!err) {
		engine_dp_stats(e->core, &data);
		*out_num = data.drops[i];
		if (out_name)
			*out_name = name;
		if (out_text)
			*out_text = text;
	}
	embed_leave(e, before);
	return embed_fail(err);
}

int ipsec_engine_peer(struct ipsec_engine *e, struct ipsec_peer *out, uint32_t token)
{
	const struct log_sink *before = embed_enter(e);
	struct class_info info;
	enum err err = e->core ? engine_class(e->core, &info, token) : ERR_NOT_FOUND;

	if (!err) {
		ike_id_text(out->local_id, sizeof(out->local_id), &info.local);
		ike_id_text(out->peer_id, sizeof(out->peer_id), &info.peer);
		out->shared_secret = info.method == AUTH_METHOD_GROUP_PSK;
		out->method = auth_method_name(info.method);
		out->privacy = info.quality & CLASS_Q_PRIVACY;
		out->integrity = info.quality & CLASS_Q_INTEGRITY;
		out->replay = info.quality & CLASS_Q_REPLAY;
		out->tunnel = info.quality & CLASS_Q_TUNNEL;
	}
	embed_leave(e, before);
	return embed_fail(err);
}
