/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_vici: what a client may send. The input goes whole to the management server, whose engine
 * has one connection and one SA and answers every request at once; and, as a message, through
 * decoder and encoder and back.
 */
#include "api/vici/proto.h"
#include "api/vici/server.h"
#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* struct engine - as little of one as the server needs. */
struct engine {
	struct conf *conf;
	struct vici_server *server;
};

static uint64_t now(void *ctx)
{
	(void)ctx;
	return 5 * NS_PER_S;
}

static struct conf *conf_of(void *ctx)
{
	return ((struct engine *)ctx)->conf;
}

static enum err configure(void *ctx, struct conf *next, char text[BACKEND_TEXT_MAX])
{
	struct engine *e = ctx;

	(void)text;
	conf_put(e->conf);
	e->conf = conf_get(next);
	return ERR_OK;
}

static void tell(struct engine *e, enum ike_event_kind kind, uint64_t request)
{
	struct ike_event ev = {.kind = kind,
			       .conn = "gw",
			       .child = "net",
			       .ike_id = 1,
			       .child_id = 2,
			       .request = request,
			       .text = "a step"};

	vici_server_event(e->server, &ev);
}

static enum err initiate(void *ctx, const struct backend_initiate *what,
			 char text[BACKEND_TEXT_MAX])
{
	(void)text;
	tell(ctx, IKE_EVENT_PROGRESS, what->request);
	tell(ctx, what->conn ? IKE_EVENT_FAILED : IKE_EVENT_CHILD_UP, what->request);
	return ERR_OK;
}

static enum err terminate(void *ctx, uint32_t *out_num, const struct ike_select *sel, bool force)
{
	*out_num = 1;
	if (force)
		tell(ctx, IKE_EVENT_IKE_DOWN, sel->request);
	return ERR_OK;
}

static enum err rekey(void *ctx, uint32_t *out_num, const struct ike_select *sel)
{
	(void)ctx;
	(void)sel;
	*out_num = 1;
	return ERR_OK;
}

/* What the engine is asked for is always complete. */
static enum err path(void *ctx, uint32_t *out_num, uint16_t *out_id,
		     const struct engine_path_request *req, char text[BACKEND_TEXT_MAX])
{
	const struct engine_path_event done = {
		.news = ENGINE_PATH_DONE, .request = req->request, .text = ""};

	(void)text;
	must(req->act <= ENGINE_PATH_PREFER && (req->name || req->ike_id) && req->weight > 0);
	must(req->id || !ip_addr_is_any(&req->local));
	must(req->act != ENGINE_PATH_ADD || !ip_addr_is_any(&req->local));
	if (req->id != 7) /* whose peer never answers */
		vici_server_path_event(((struct engine *)ctx)->server, &done);
	*out_num = 1;
	*out_id = req->id;
	return ERR_OK;
}

static uint32_t paths(void *ctx, struct engine_path_info out[PATHS_MAX], uint64_t peer)
{
	(void)ctx;
	out[0] = (struct engine_path_info){.path = {.id = 1, .weight = 1}, .probed = true};
	return peer == 9;
}

static void each_sa(void *ctx, void (*fn)(void *arg, const struct ike_sa_info *sa), void *arg)
{
	static struct ts ts;
	struct ike_child_info child = {.id = 1,
				       .unique = 2,
				       .name = "net",
				       .state = "INSTALLED",
				       .proposal = "AES_GCM_16-256",
				       .local = &ts,
				       .remote = &ts,
				       .num_local = 1,
				       .num_remote = 1};
	struct ike_sa_info sa = {.unique = 1,
				 .peer = 9,
				 .paths = true,
				 .num_path_list = 1,
				 .path_list = {{.id = 1, .usable = true}},
				 .conn = "gw",
				 .state = IKE_STATE_ESTABLISHED,
				 .proposal = "AES_GCM_16-256/PRF_HMAC_SHA2_256/CURVE_25519",
				 .children = &child,
				 .num_children = 1};

	(void)ctx;
	fn(arg, &sa);
}

static enum err child_stats(void *ctx, struct child_stats *out, uint64_t child)
{
	(void)ctx;
	(void)out;
	(void)child;
	return ERR_NOT_FOUND;
}

static enum err path_info(void *ctx, struct path_info *out, uint32_t ike_id)
{
	(void)ctx;
	(void)out;
	(void)ike_id;
	return ERR_NOT_FOUND;
}

static void stats(void *ctx, struct backend_stats *out)
{
	(void)ctx;
	*out = (struct backend_stats){.start_wall_s = 1};
}

static const struct backend_ops ops = {
	.now = now,
	.conf = conf_of,
	.configure = configure,
	.initiate = initiate,
	.terminate = terminate,
	.rekey = rekey,
	.path = path,
	.paths = paths,
	.each_sa = each_sa,
	.child_stats = child_stats,
	.path_info = path_info,
	.stats = stats,
};

static void wake(void *ctx)
{
	(void)ctx;
}

static struct conf *some_conf(void)
{
	static const char text[] =
		"connections { gw { local { auth = psk\n}\nremote { auth = psk\n}\n"
		"children { net { start_action = trap\n} } } }\n"
		"secrets { ike { secret = 0123456789abcdef\n } }\n";
	static struct conf_diags diags;
	struct conf *conf;
	struct tree *tree;

	must(conf_parse_text(&tree, &diags, "f", text, strlen(text)) == ERR_OK);
	must(conf_new(&conf, &diags, tree) == ERR_OK);
	tree_free(tree);
	return conf;
}

/* What the server says has to be packets that can be read. */
static void check_output(struct vici_client *c)
{
	struct bytes out = vici_client_output(c);

	while (out.len > 0) {
		struct vici_packet p;
		struct tree *message;
		size_t len;

		must(out.len >= VICI_LEN_SIZE);
		len = load_be32(out.p);
		must(out.len - VICI_LEN_SIZE >= len);
		must(vici_packet_parse(&p, out.p + VICI_LEN_SIZE, len) == ERR_OK);
		must(vici_message_decode(&message, p.body) == ERR_OK);
		tree_free(message);
		vici_client_sent(c, VICI_LEN_SIZE + len);
		out = vici_client_output(c);
	}
}

static void serve(const uint8_t *data, size_t len)
{
	struct engine e = {.conf = some_conf()};
	struct backend backend = {.ops = &ops, .ctx = &e};
	struct vici_client *c;

	must(vici_server_new(&e.server, &backend) == ERR_OK);
	must(vici_client_open(e.server, &c, wake, NULL) == ERR_OK);
	if (!vici_client_input(c, data, len)) {
		vici_server_run(e.server, TIME_NEVER - 1);
		check_output(c);
	}
	vici_client_close(c);
	vici_server_free(e.server);
	conf_put(e.conf);
}

/* A message that can be read is written in the same bytes again. */
static void decode(const uint8_t *data, size_t len)
{
	struct tree *message;
	uint8_t *packet;
	size_t packet_len;

	if (vici_message_decode(&message, bytes_of(data, len)))
		return;
	if (!vici_packet_encode(&packet, &packet_len, VICI_CMD_RESPONSE, NULL, message)) {
		must(packet_len == VICI_LEN_SIZE + 1 + len);
		must(len == 0 || memcmp(packet + VICI_LEN_SIZE + 1, data, len) == 0);
		mem_free(packet);
	} else {
		must(len >= VICI_PACKET_MAX);
	}
	tree_free(message);
}

static void quiet(void *ctx, enum log_level level, enum log_subsystem sub, const char *connection,
		  const char *line)
{
	(void)ctx;
	(void)level;
	(void)sub;
	(void)connection;
	(void)line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct log_sink sink = {.write = quiet};

	log_use(&sink);
	serve(data, len);
	decode(data, len);
	return 0;
}
