/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/api/fake_app.h"

#include "base/clock.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static uint64_t now(void *ctx)
{
	const struct fake_app *f = ctx;

	return f->now_ns ? f->now_ns : clock_now_ns();
}

static struct endpoint end_of(int fd, bool peer)
{
	struct sockaddr_storage ss = {0};
	struct endpoint e = {0};
	socklen_t len = sizeof(ss);

	if ((peer ? getpeername(fd, (struct sockaddr *)&ss, &len)
		  : getsockname(fd, (struct sockaddr *)&ss, &len)) ||
	    endpoint_from_sockaddr(&e, &ss))
		return (struct endpoint){0};
	return e;
}

static enum err socket_inspect(void *ctx, struct host_socket *out, int fd, const struct flow *pair)
{
	struct fake_app *f = ctx;
	struct endpoint local, remote;
	socklen_t len = sizeof(out->cookie);
	int type = 0, domain = 0, listening = 0;
	socklen_t int_len = sizeof(int);

	f->num_inspected++;
	memset(out, 0, sizeof(*out));
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &int_len) || domain == AF_UNIX ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &int_len) ||
	    getsockopt(fd, SOL_SOCKET, SO_COOKIE, &out->cookie, &len))
		return ERR_INVAL;
	local = end_of(fd, false);
	remote = end_of(fd, true);
	out->flow.local = local.addr;
	out->flow.remote = remote.addr;
	out->flow.local_port = local.port;
	out->flow.remote_port = remote.port;
	out->flow.proto = type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
	out->connected = remote.port != 0;
	out->listening =
		!getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &int_len) && listening;
	out->live = out->connected && !f->dead;
	out->here = true;
	if (pair && memcmp(pair, &f->pair, sizeof(*pair)) != 0)
		return ERR_NOT_FOUND;
	if (pair)
		out->flow = *pair;
	for (size_t i = 0; i < ARRAY_LEN(f->foreign); i++)
		out->here &= f->foreign[i] != out->cookie;
	return ERR_OK;
}

static enum err socket_mark(void *ctx, int fd, uint32_t token)
{
	struct fake_app *f = ctx;

	(void)fd;
	f->marked = token;
	return f->mark_result;
}

struct app_latch *fake_app_latch(struct fake_app *f, uint64_t id)
{
	for (uint32_t i = 0; i < f->num_latches; i++) {
		if (f->latches[i].id == id)
			return &f->latches[i];
	}
	return NULL;
}

struct fake_class *fake_app_class(struct fake_app *f, uint32_t token)
{
	for (size_t i = 0; i < FAKE_APP_CLASSES; i++) {
		if (f->classes[i].token == token)
			return &f->classes[i];
	}
	return NULL;
}

/* A latch that has to be there. */
static struct app_latch *known(struct fake_app *f, uint64_t id)
{
	struct app_latch *l = fake_app_latch(f, id);

	if (!l)
		abort();
	return l;
}

static struct app_latch *by_flow(struct fake_app *f, const struct flow *flow, bool listener)
{
	for (uint32_t i = 0; i < f->num_latches; i++) {
		if (f->latches[i].listener == listener &&
		    memcmp(&f->latches[i].flow, flow, sizeof(*flow)) == 0)
			return &f->latches[i];
	}
	return NULL;
}

static void emit(struct fake_app *f, const struct app_event *event)
{
	if (f->tell)
		f->tell(f->tell_ctx, event);
}

static struct app_latch *add(struct fake_app *f)
{
	struct app_latch *l = &f->latches[f->num_latches];

	if (f->num_latches == FAKE_APP_LATCHES)
		abort();
	f->num_latches++;
	memset(l, 0, sizeof(*l));
	l->id = ++f->last_id;
	return l;
}

static void take_away(struct fake_app *f, struct app_latch *l)
{
	*l = f->latches[--f->num_latches];
}

static enum err latch_create(void *ctx, uint64_t *out_id, const struct app_latch_params *p,
			     char text[APP_TEXT_MAX])
{
	struct fake_app *f = ctx;
	struct app_latch *l;

	f->created = *p;
	if (f->create_result) {
		snprintf(text, APP_TEXT_MAX, "nothing here could protect the flow");
		return f->create_result;
	}
	l = by_flow(f, &p->flow, p->listener);
	if (l && l->id != p->instead)
		return ERR_EXISTS;
	if (l)
		fake_app_gone(f, l->id);
	l = add(f);
	l->flow = p->flow;
	l->listener = p->listener;
	l->cookie = p->cookie;
	l->client = p->client;
	l->uid = p->uid;
	l->demand = p->demand;
	l->state = p->listener ? LATCH_LISTENER : f->create_state;
	l->token = l->state == LATCH_ESTABLISHED ? 7 : 0;
	l->reason = l->state == LATCH_BROKEN ? IKE_REASON_NO_PROPOSAL : IKE_REASON_NONE;
	*out_id = l->id;
	return ERR_OK;
}

static enum err latch_release(void *ctx, uint64_t id)
{
	struct fake_app *f = ctx;
	struct app_latch *l = fake_app_latch(f, id);

	if (!l)
		return ERR_NOT_FOUND;
	take_away(f, l);
	return ERR_OK;
}

static enum err latch_info(void *ctx, struct app_latch *out, uint64_t id)
{
	struct app_latch *l = fake_app_latch(ctx, id);

	if (l)
		*out = *l;
	return l ? ERR_OK : ERR_NOT_FOUND;
}

static enum err latch_find(void *ctx, struct app_latch *out, const struct flow *flow, bool listener)
{
	struct app_latch *l = by_flow(ctx, flow, listener);

	if (l)
		*out = *l;
	return l ? ERR_OK : ERR_NOT_FOUND;
}

static void latch_client_gone(void *ctx, uint64_t client)
{
	struct fake_app *f = ctx;

	f->gone = client;
	for (uint32_t i = f->num_latches; i-- > 0;) {
		struct app_latch *l = &f->latches[i];

		if (l->client == client && !l->flow.local.family && f->populated)
			l->client = 0;
		else if (l->client == client && !l->flow.local.family && !l->listener)
			fake_app_state(f, l->id, LATCH_CLOSED, IKE_REASON_LOCAL, "");
	}
}

static void latch_socket_gone(void *ctx, uint64_t cookie)
{
	(void)ctx;
	(void)cookie;
}

static void latch_socket_seen(void *ctx, const struct host_socket *sock)
{
	((struct fake_app *)ctx)->seen = *sock;
}

static enum err flow_token(void *ctx, uint32_t *out_token, const struct flow *flow)
{
	struct fake_app *f = ctx;
	struct app_latch *l = by_flow(f, flow, false);

	if (f->any_flow)
		*out_token = 7;
	else if (l && l->token)
		*out_token = l->token;
	else
		return ERR_NOT_FOUND;
	return ERR_OK;
}

static bool has_marks(void *ctx)
{
	return !((const struct fake_app *)ctx)->no_marks;
}

static enum err interface_token(void *ctx, uint32_t *out_token, uint32_t *out_ms, uint32_t ifindex,
				const struct ip_addr *to)
{
	struct fake_app *f = ctx;

	f->num_asked++;
	f->to = *to;
	if (!f->of_it || ifindex != f->ifindex)
		return ERR_NOT_FOUND;
	*out_token = f->of_it;
	*out_ms = f->holds_ms;
	return ERR_OK;
}

static enum err class_info(void *ctx, struct app_class *out, uint32_t token)
{
	struct fake_class *c = fake_app_class(ctx, token);

	if (!c)
		return ERR_NOT_FOUND;
	*out = (struct app_class){
		.token = token, .up = true, .proof = c->proof, .quality = c->quality, .conn = "gw"};
	return ERR_OK;
}

static bool class_reaches(void *ctx, uint32_t token, const struct flow *local)
{
	struct fake_class *c = fake_app_class(ctx, token);

	return c && c->reaches && c->reaches == local->local_port;
}

static enum err reauthenticate(void *ctx, uint64_t *out_id, uint64_t id,
			       const struct app_demand *demand, char text[APP_TEXT_MAX])
{
	struct fake_app *f = ctx;
	struct app_latch *old = known(f, id), next;

	(void)text;
	f->reauthenticated = *demand;
	next = *old;
	fake_app_gone(f, id);
	next.id = ++f->last_id;
	next.state = LATCH_LARVAL;
	f->latches[f->num_latches++] = next;
	*out_id = next.id;
	return ERR_OK;
}

static enum err trigger(void *ctx, uint64_t id)
{
	((struct fake_app *)ctx)->triggered = id;
	return ERR_OK;
}

static enum err sa_delete(void *ctx, uint64_t id)
{
	((struct fake_app *)ctx)->deleted = id;
	return ERR_OK;
}

static enum err decide(void *ctx, uint64_t client, uint64_t ask, bool accept)
{
	struct fake_app *f = ctx;

	f->decided_client = client;
	f->decided = ask;
	f->accepted = accept;
	f->num_decided++;
	return f->decide_result;
}

/* A group is a latch without a flow. */
static enum err cgroup_demand(void *ctx, struct app_latch *out, int fd,
			      const struct app_demand *demand, uint64_t client, uint32_t uid,
			      char text[APP_TEXT_MAX])
{
	struct fake_app *f = ctx;
	struct app_latch *l;

	(void)fd;
	f->grouped = *demand;
	if (f->create_result) {
		snprintf(text, APP_TEXT_MAX, "no such peer");
		return f->create_result;
	}
	l = add(f);
	l->client = client;
	l->uid = uid;
	l->demand = *demand;
	l->state = f->create_state;
	l->token = l->state == LATCH_ESTABLISHED ? 7 : 0;
	*out = *l;
	return ERR_OK;
}

static bool profile_each(void *ctx, struct app_profile *out, uint32_t i)
{
	struct fake_app *f = ctx;

	if (i < f->num_profiles)
		*out = f->profiles[i];
	return i < f->num_profiles;
}

static enum err profile_set(void *ctx, const struct app_profile *profile)
{
	((struct fake_app *)ctx)->set = *profile;
	return ERR_OK;
}

static enum err secret_add(void *ctx, const char *const *ids, uint32_t num_ids, struct bytes secret,
			   char text[APP_TEXT_MAX])
{
	struct fake_app *f = ctx;

	(void)text;
	f->ids[0] = '\0';
	for (uint32_t i = 0; i < num_ids && strlen(f->ids) < 60; i++)
		snprintf(f->ids + strlen(f->ids), 60, "%s ", ids[i]);
	if (secret.len < sizeof(f->secret)) {
		memcpy(f->secret, secret.p, secret.len);
		f->secret[secret.len] = '\0';
	}
	return ERR_OK;
}

static enum err cert_add(void *ctx, bool authority, struct bytes cert, char text[APP_TEXT_MAX])
{
	struct fake_app *f = ctx;

	f->num_certs++;
	f->authority = authority;
	if (cert.p[0] == '?') {
		snprintf(text, APP_TEXT_MAX, "this is no certificate");
		return ERR_INVAL;
	}
	return ERR_OK;
}

static enum err path(void *ctx, uint32_t *out_num, uint16_t *out_id,
		     const struct engine_path_request *req, char text[ENGINE_TEXT_MAX])
{
	struct fake_app *f = ctx;

	f->path = *req;
	snprintf(f->path_name, sizeof(f->path_name), "%s", req->name);
	f->path.name = f->path_name;
	if (f->path_result) {
		snprintf(text, ENGINE_TEXT_MAX, "it is so");
		return f->path_result;
	}
	*out_num = f->path_peers;
	*out_id = req->id ? req->id : 3;
	return ERR_OK;
}

static uint64_t request(void *ctx)
{
	return ((struct fake_app *)ctx)->path.request + 1;
}

/* One that is known well, and one of which nothing is. */
static void each_path(void *ctx, void (*fn)(void *arg, const struct app_path *path), void *arg)
{
	const uint8_t here[4] = {192, 0, 2, 1}, there[4] = {192, 0, 2, 2};
	const struct path_addr addr = {.local = {ip_addr_v4(here), 4500, 0},
				       .remote = {ip_addr_v4(there), 4500, 0},
				       .encap = ENCAP_UDP};
	const struct engine_path_info data = {
		.path = {.pmtu = 1400,
			 .rx_packets = 4,
			 .rx_bytes = 400,
			 .tx_packets = 5,
			 .tx_bytes = 1ull << 40},
		.quality = {.loss_permille = 15, .rtt_ns = 20500 * NS_PER_US, .rate = 1250000},
		.probed = true};
	struct app_path p = {.conn = "gw",
			     .peer = "peer.example",
			     .id = 1,
			     .weight = 7,
			     .priority = 2,
			     .usable = true,
			     .active = true,
			     .decides = true,
			     .addr = &addr,
			     .data = &data};

	(void)ctx;
	fn(arg, &p);
	p = (struct app_path){.conn = "gw", .id = 2, .weight = 1, .addr = &addr};
	fn(arg, &p);
}

static const struct app_ops ops = {
	.now = now,
	.socket_inspect = socket_inspect,
	.socket_mark = socket_mark,
	.latch_create = latch_create,
	.latch_release = latch_release,
	.latch_info = latch_info,
	.latch_find = latch_find,
	.latch_client_gone = latch_client_gone,
	.latch_socket_gone = latch_socket_gone,
	.latch_socket_seen = latch_socket_seen,
	.flow_token = flow_token,
	.has_marks = has_marks,
	.interface_token = interface_token,
	.class_info = class_info,
	.class_reaches = class_reaches,
	.reauthenticate = reauthenticate,
	.trigger = trigger,
	.sa_delete = sa_delete,
	.decide = decide,
	.cgroup_demand = cgroup_demand,
	.cgroup_release = latch_release,
	.path = path,
	.request = request,
	.each_path = each_path,
	.profile_each = profile_each,
	.profile_set = profile_set,
	.secret_add = secret_add,
	.cert_add = cert_add,
};

static struct auth_proof *some_proof(void)
{
	/* An Ed25519 SubjectPublicKeyInfo each, of 32 bytes that are counted. */
	uint8_t own[44] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0},
		peer[44];
	struct auth_proof_params p = {
		.method = AUTH_METHOD_PUBKEY,
		.initiator = true,
		.local = {.type = 2, .len = 11, .data = "own.example"},
		.peer = {.type = 2, .len = 12, .data = "peer.example"},
		.local_key = bytes_of(own, sizeof(own)),
		.peer_key = bytes_of(peer, sizeof(peer)),
	};
	struct auth_proof *proof;

	memcpy(peer, own, sizeof(own));
	for (uint8_t i = 0; i < 32; i++) {
		own[12 + i] = i;
		peer[12 + i] = (uint8_t)(128 + i);
	}
	proof = auth_proof_new(&p);
	if (!proof)
		abort();
	return proof;
}

void fake_app_init(struct fake_app *f)
{
	memset(f, 0, sizeof(*f));
	f->backend = (struct app_backend){.ops = &ops, .ctx = f};
	f->now_ns = 100 * NS_PER_S;
	f->path_peers = 1;
	f->classes[0] = (struct fake_class){
		.token = 7,
		.proof = some_proof(),
		.quality = {.privacy = true,
			    .integrity = true,
			    .replay = true,
			    .tunnel = true,
			    .suite = "AES_GCM_16-256"},
	};
	f->profiles[0] = (struct app_profile){
		.name = "secure",
		.methods = {AUTH_METHOD_PKIX_INLINE, AUTH_METHOD_PUBKEY, AUTH_METHOD_PSK},
		.num_methods = 3,
		.privacy = true,
		.integrity = true,
		.part = APP_PART_IKE_ONLY,
		.suites = "aes256gcm16, aes128gcm16",
	};
	f->profiles[1] = (struct app_profile){
		.name = "authenticated",
		.methods = {AUTH_METHOD_PSK},
		.num_methods = 1,
		.integrity = true,
		.part = APP_PART_IKE_ONLY,
	};
	f->profiles[2] =
		(struct app_profile){.name = "bypass", .bypass = true, .part = APP_PART_NONE};
	f->num_profiles = 3;
}

void fake_app_fini(struct fake_app *f)
{
	for (size_t i = 0; i < FAKE_APP_CLASSES; i++)
		auth_proof_put(f->classes[i].proof);
}

void fake_app_state(struct fake_app *f, uint64_t id, enum latch_state state, enum ike_reason reason,
		    const char *text)
{
	struct app_latch *l = known(f, id), told;
	enum app_event_kind kind = l->flow.local.family ? APP_EVENT_LATCH : APP_EVENT_CGROUP;

	l->state = state;
	l->token = state == LATCH_ESTABLISHED ? 7 : l->token;
	l->reason = reason;
	snprintf(l->text, sizeof(l->text), "%s", text);
	told = *l;
	if (state == LATCH_CLOSED && kind == APP_EVENT_CGROUP)
		take_away(f, l);
	emit(f, &(struct app_event){.kind = kind, .client = told.client, .latch = &told});
}

void fake_app_gone(struct fake_app *f, uint64_t id)
{
	struct app_latch told = *known(f, id);

	told.state = LATCH_CLOSED;
	take_away(f, known(f, id));
	emit(f,
	     &(struct app_event){
		     .kind = APP_EVENT_LATCH, .client = told.client, .latch = &told, .gone = true});
}

uint64_t fake_app_spawn(struct fake_app *f, uint64_t parent, const struct flow *flow)
{
	const struct app_latch *p = known(f, parent);
	struct app_latch *l = add(f);

	l->flow = *flow;
	l->client = p->client;
	l->uid = p->uid;
	l->state = LATCH_ESTABLISHED;
	l->token = 7;
	emit(f,
	     &(struct app_event){
		     .kind = APP_EVENT_SPAWNED, .client = l->client, .latch = l, .parent = parent});
	return l->id;
}

void fake_app_ask(struct fake_app *f, uint64_t id, uint64_t ask)
{
	struct app_latch *l = known(f, id);

	emit(f, &(struct app_event){.kind = APP_EVENT_ASK,
				    .client = l->client,
				    .latch = l,
				    .ask = ask,
				    .deadline_ns = now(f) + 5 * NS_PER_S,
				    .proof = f->classes[0].proof});
}
