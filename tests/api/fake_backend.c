/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/api/fake_backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t fake_now(void *ctx)
{
	return ((struct fake_backend *)ctx)->now_ns;
}

static struct conf *fake_conf(void *ctx)
{
	return ((struct fake_backend *)ctx)->conf;
}

static void replace_conf(struct fake_backend *f, struct conf *next)
{
	conf_put(f->conf);
	f->conf = conf_get(next);
}

static enum err fake_configure_op(void *ctx, struct conf *next, char text[BACKEND_TEXT_MAX])
{
	struct fake_backend *f = ctx;

	if (f->configure_result) {
		snprintf(text, BACKEND_TEXT_MAX, "the device is gone");
		return f->configure_result;
	}
	replace_conf(f, next);
	f->num_configured++;
	return ERR_OK;
}

static enum err fake_load(void *ctx, struct conf_diags *diags)
{
	struct fake_backend *f = ctx;

	diags->num = 1;
	diags->list[0].error = f->load_result != ERR_OK;
	snprintf(diags->list[0].text, sizeof(diags->list[0].text), "x.conf:3: it is %s",
		 f->load_result ? "wrong" : "odd");
	return f->load_result;
}

static enum err fake_check(void *ctx, struct conf_diags *diags, const char *file)
{
	struct fake_backend *f = ctx;

	snprintf(f->checked, sizeof(f->checked), "%s", file ? file : "");
	return fake_load(ctx, diags);
}

static void fake_each_policy(void *ctx, void (*fn)(void *arg, const struct engine_policy *policy),
			     void *arg)
{
	struct fake_backend *f = ctx;
	struct engine_policy p = {
		.conn = "gw",
		.child = "net",
		.action = POLICY_PROTECT,
		.trap = true,
		.closed = !f->sa_up,
		.num_sas = f->sa_up,
		.local = &f->local,
		.remote = &f->remote,
		.num_local = 1,
		.num_remote = 1,
	};

	fn(arg, &p);
}

static void note(char *to, size_t size, const char *text)
{
	snprintf(to, size, "%s", text ? text : "");
}

static enum err fake_initiate(void *ctx, const struct backend_initiate *what,
			      char text[BACKEND_TEXT_MAX])
{
	struct fake_backend *f = ctx;
	const struct conf_conn *conn;

	if (what->child && !conf_find_child(f->conf, &conn, what->conn, what->child)) {
		snprintf(text, BACKEND_TEXT_MAX, "there is no child '%s'", what->child);
		return ERR_NOT_FOUND;
	}
	note(f->conn, sizeof(f->conn), what->conn);
	note(f->name, sizeof(f->name), what->child);
	f->request = what->request;
	if (!f->initiate_result && f->on_request)
		f->on_request(f);
	return f->initiate_result;
}

static bool is_selected(const struct fake_backend *f, const struct ike_select *sel)
{
	return f->sa_up && (!sel->conn || strcmp(sel->conn, f->sa.conn) == 0) &&
	       (!sel->child || strcmp(sel->child, f->child.name) == 0) &&
	       (!sel->ike_id || sel->ike_id == f->sa.unique) &&
	       (!sel->child_id || sel->child_id == f->child.unique);
}

static enum err fake_terminate(void *ctx, uint32_t *out_num, const struct ike_select *sel,
			       bool force)
{
	struct fake_backend *f = ctx;

	f->select = *sel;
	f->request = sel->request;
	f->forced = force;
	note(f->conn, sizeof(f->conn), f->sa.conn);
	note(f->name, sizeof(f->name), sel->child || sel->child_id ? f->child.name : NULL);
	if (!is_selected(f, sel))
		return ERR_NOT_FOUND;
	*out_num = 1;
	if (f->on_request)
		f->on_request(f);
	return f->terminate_result;
}

static enum err fake_redirect(void *ctx, uint32_t *out_num, const struct engine_redirect *r)
{
	struct fake_backend *f = ctx;

	if (!r->gateway || !*r->gateway)
		return ERR_INVAL;
	if (!f->sa_up || (r->conn && strcmp(r->conn, "gw") != 0))
		return ERR_NOT_FOUND;
	snprintf(f->redirected, sizeof(f->redirected), "%s %s %s", r->peer_ip ? r->peer_ip : "-",
		 r->peer_id ? r->peer_id : "-", r->gateway);
	*out_num = 1;
	return ERR_OK;
}

static enum err fake_rekey(void *ctx, uint32_t *out_num, const struct ike_select *sel)
{
	struct fake_backend *f = ctx;

	if (!is_selected(f, sel))
		return ERR_NOT_FOUND;
	f->num_rekeyed++;
	*out_num = 1;
	return ERR_OK;
}

static enum err fake_path(void *ctx, uint32_t *out_num, uint16_t *out_id,
			  const struct engine_path_request *req, char text[BACKEND_TEXT_MAX])
{
	struct fake_backend *f = ctx;

	note(f->conn, sizeof(f->conn), req->name);
	f->path_request = *req;
	f->path_request.name = f->conn;
	note(f->tag, sizeof(f->tag), req->tag);
	f->path_request.tag = req->tag ? f->tag : NULL;
	if (f->path_result) {
		snprintf(text, BACKEND_TEXT_MAX, "it is so");
		return f->path_result;
	}
	f->request = req->request;
	*out_num = 1;
	*out_id = req->id ? req->id : 3;
	if (f->on_request)
		f->on_request(f);
	return ERR_OK;
}

/* Path 1, which is probed, and path 2, which is not. */
static uint32_t fake_paths(void *ctx, struct engine_path_info out[PATHS_MAX], uint64_t peer)
{
	const struct fake_backend *f = ctx;

	if (peer != f->sa.peer)
		return 0;
	for (uint16_t id = 1; id <= 2; id++)
		out[id - 1] = (struct engine_path_info){
			.path = {.id = id, .weight = 1, .addr = f->sa.path, .pmtu = 1400},
		};
	out[0].path.tx_packets = 7;
	out[0].path.rx_bytes = 1234;
	out[0].probed = true;
	out[0].quality = (struct path_quality){
		.loss_permille = 15, .rtt_ns = 20500 * NS_PER_US, .rate = 1250000};
	return 2;
}

/* Of a pool called "road" alice has the first address, and bob had the second. */
static void fake_each_lease(void *ctx, const char *pool,
			    void (*fn)(void *arg, const struct ike_lease *l), void *arg)
{
	static const char *const names[] = {"alice@example.org", "bob@example.org"};

	(void)ctx;
	for (unsigned i = 0; strcmp(pool, "road") == 0 && i < 2; i++) {
		const uint8_t a[4] = {10, 3, 0, (uint8_t)(1 + i)};
		struct ike_id id;

		if (!conf_id_parse(&id, names[i]))
			fn(arg, &(struct ike_lease){ip_addr_v4(a), &id, i == 0});
	}
}

static void fake_each_sa(void *ctx, void (*fn)(void *arg, const struct ike_sa_info *sa), void *arg)
{
	struct fake_backend *f = ctx;
	struct ike_sa_info sa = f->sa;
	uint32_t num = 1 + f->num_extra_children;

	f->num_walks++;
	if (!f->sa_up)
		return;
	sa.children = calloc(num, sizeof(sa.children[0]));
	for (uint32_t i = 0; i < num; i++) {
		sa.children[i] = f->child;
		sa.children[i].unique += i;
	}
	sa.num_children = num;
	fn(arg, &sa);
	free(sa.children);
}

static enum err fake_child_stats(void *ctx, struct child_stats *out, uint64_t child)
{
	struct fake_backend *f = ctx;

	if (child != f->child.id)
		return ERR_NOT_FOUND;
	*out = f->stats;
	return ERR_OK;
}

static enum err fake_path_info(void *ctx, struct path_info *out, uint32_t ike_id)
{
	struct fake_backend *f = ctx;

	if (ike_id != f->sa.unique)
		return ERR_NOT_FOUND;
	*out = (struct path_info){.addr = f->sa.path, .pmtu = 1400, .tx_packets = 7};
	return ERR_OK;
}

static void fake_each_port(void *ctx, void (*fn)(void *arg, const struct engine_port_info *port),
			   void *arg)
{
	const struct fake_backend *f = ctx;
	const struct engine_port_info wan = {.name = "wan",
					     .device = "net_af_packet1,iface=eth1",
					     .driver = "net_af_packet",
					     .offloads = "tx_checksum tso4",
					     .mac = {2, 0, 0, 0, 0, 0x20},
					     .up = true,
					     .mtu = 1500,
					     .speed_mbps = 10000,
					     .rx_packets = 77,
					     .rx_esp = 70,
					     .tx_fast = 66,
					     .rx_inline = 33,
					     .tx_inline = 44};

	if (f->has_port)
		fn(arg, &wan);
}

static void fake_stats(void *ctx, struct backend_stats *out)
{
	struct fake_backend *f = ctx;

	*out = (struct backend_stats){
		.start_wall_s = 1700000000,
		.uptime_ns = f->now_ns,
		.ike = {.ike_sas = 3, .half_open = 1, .sent = 17},
		.data = {.rx_packets = 99, .drops = {[1] = 5}},
	};
}

/* Two workers. */
static bool fake_worker_stats(void *ctx, struct dataplane_worker_stats *out, uint32_t worker)
{
	(void)ctx;
	*out = (struct dataplane_worker_stats){
		.rx_packets = 60 + worker, .by_device = 5, .num_pairs = 3};
	return worker < 2;
}

static const char *fake_drop_name(uint32_t i, const char **out_text)
{
	static const char *const names[] = {"NONE", "REPLAY"};

	*out_text = "a sentence";
	return i < 2 ? names[i] : NULL;
}

static void fake_flush(void *ctx)
{
	((struct fake_backend *)ctx)->num_flushed++;
}

static const struct backend_ops fake_ops = {
	.flush = fake_flush,
	.now = fake_now,
	.conf = fake_conf,
	.configure = fake_configure_op,
	.load = fake_load,
	.check = fake_check,
	.initiate = fake_initiate,
	.terminate = fake_terminate,
	.rekey = fake_rekey,
	.redirect = fake_redirect,
	.path = fake_path,
	.paths = fake_paths,
	.each_sa = fake_each_sa,
	.each_lease = fake_each_lease,
	.each_policy = fake_each_policy,
	.child_stats = fake_child_stats,
	.path_info = fake_path_info,
	.each_port = fake_each_port,
	.worker_stats = fake_worker_stats,
	.stats = fake_stats,
	.drop_name = fake_drop_name,
};

static struct endpoint endpoint(const char *addr, uint16_t port)
{
	struct endpoint e = {.port = port};

	if (ip_addr_parse(&e.addr, addr))
		abort();
	return e;
}

static struct ts selector(const char *text)
{
	struct ts ts;

	if (ts_parse(&ts, text))
		abort();
	return ts;
}

static void fill_sa(struct fake_backend *f)
{
	f->local = selector("10.1.0.0/16");
	f->remote = selector("10.2.0.0/16[tcp/80]");
	if (conf_id_parse(&f->local_id, "moon.example.org") ||
	    conf_id_parse(&f->remote_id, "sun.example.org"))
		abort();
	f->stats = (struct child_stats){.in_packets = 4,
					.in_bytes = 400,
					.out_packets = 5,
					.out_bytes = 500,
					.token = 0x0a5c3e71,
					.in_last_ns = 990 * NS_PER_S};
	f->child = (struct ike_child_info){
		.id = 77,
		.unique = 5,
		.name = "net",
		.state = "INSTALLED",
		.spi_in = 0xc0ffee01,
		.spi_out = 0xdeadbeef,
		.proposal = "AES_GCM_16-256",
		.esn = true,
		.encap = true,
		.local = &f->local,
		.remote = &f->remote,
		.num_local = 1,
		.num_remote = 1,
		.installed_ns = 900 * NS_PER_S,
		.rekey_ns = 4000 * NS_PER_S,
		.expire_ns = 4600 * NS_PER_S,
	};
	f->sa = (struct ike_sa_info){
		.unique = 3,
		.conn = "gw",
		.state = IKE_STATE_ESTABLISHED,
		.initiator = true,
		.peer = 9,
		.spi_i = 0x0123456789abcdef,
		.spi_r = 0xfedcba9876543210,
		.path = {.local = endpoint("192.0.2.1", 4500),
			 .remote = endpoint("192.0.2.2", 4500),
			 .encap = ENCAP_UDP},
		.local_id = &f->local_id,
		.remote_id = &f->remote_id,
		.proposal = "AES_GCM_16-256/PRF_HMAC_SHA2_384/CURVE_25519",
		.established_ns = 900 * NS_PER_S,
		.rekey_ns = 14000 * NS_PER_S,
		.nat_remote = true,
	};
}

void fake_init(struct fake_backend *f)
{
	*f = (struct fake_backend){.now_ns = 1000 * NS_PER_S};
	f->backend = (struct backend){.ops = &fake_ops, .ctx = f};
	fill_sa(f);
	fake_configure(f, "");
}

void fake_agree(struct fake_backend *f)
{
	f->sa.paths = f->sa.paths_decides = true;
	f->sa.num_path_list = 2;
	for (uint16_t id = 1; id <= 2; id++)
		f->sa.path_list[id - 1] = (struct ike_path_info){.id = id,
								 .weight = 1,
								 .priority = (uint8_t)(id - 1),
								 .usable = true,
								 .active = id == 1,
								 .addr = f->sa.path};
}

void fake_fini(struct fake_backend *f)
{
	conf_put(f->conf);
}

void fake_configure(struct fake_backend *f, const char *text)
{
	struct conf_diags diags = {0};
	struct tree *tree;
	struct conf *conf;

	if (conf_parse_text(&tree, &diags, "test", text, strlen(text)) ||
	    conf_new(&conf, &diags, tree)) {
		fprintf(stderr, "%s\n", diags.list[0].text);
		abort();
	}
	tree_free(tree);
	replace_conf(f, conf);
	conf_put(conf);
}

struct ike_event fake_event(const struct fake_backend *f, enum ike_event_kind kind,
			    enum ike_reason reason, const char *text)
{
	return (struct ike_event){
		.kind = kind,
		.reason = reason,
		.conn = f->conn[0] ? f->conn : "gw",
		.child = f->name[0] ? f->name : NULL,
		.ike_id = f->sa.unique,
		.child_id = f->child.unique,
		.request = f->request,
		.path = f->sa.path,
		.text = text,
	};
}

struct engine_path_event fake_answer(const struct fake_backend *f, const char *text)
{
	return (struct engine_path_event){
		.news = text ? ENGINE_PATH_REFUSED : ENGINE_PATH_DONE,
		.ike_id = f->sa.unique,
		.id = f->path_request.id,
		.request = f->request,
		.text = text ? text : "",
	};
}
