/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "tests/api/hosts.h"

#include "base/alloc.h"
#include "tests/tap/tap.h"

#define STEP_NS NS_PER_MS
#define FRAME   4096
#define SMALL   100 /* a datagram of hosts_udp(); what is said of paths, and IKE, is larger */
#define QUIET   3   /* rounds in which nothing moved */
#define BASE_NS (1000 * NS_PER_S)

static struct node *nodes[HOSTS_MAX];
static uint64_t now_ns;
static const char *journal;
static uint64_t dead_socket;
static struct ip_addr hole;

static uint64_t the_time(void *ctx)
{
	(void)ctx;
	return now_ns;
}

uint64_t hosts_now(void)
{
	return now_ns;
}

void hosts_begin(void)
{
	now_ns = BASE_NS;
	journal = NULL;
	dead_socket = 0;
	hole = (struct ip_addr){0};
	memset(nodes, 0, sizeof(nodes));
}

void hosts_end(void)
{
	for (int i = 0; i < HOSTS_MAX; i++) {
		if (nodes[i])
			hosts_remove(nodes[i]);
	}
}

static void on_app(void *ctx, const struct app_event *event)
{
	struct node *n = ctx;
	struct note *note = &n->notes[n->num_notes++ % NOTES_MAX];

	*note = (struct note){.kind = event->kind, .parent = event->parent, .ask = event->ask};
	if (event->latch)
		note->latch = *event->latch;
}

static void on_ike(struct engine_observer *o, const struct ike_event *ev)
{
	struct node *n = container_of(o, struct node, observer);

	n->num_up += ev->kind == IKE_EVENT_CHILD_UP;
	n->num_down += ev->kind == IKE_EVENT_CHILD_DOWN;
	n->num_failed += ev->kind == IKE_EVENT_FAILED;
}

static void on_path(struct engine_observer *o, const struct engine_path_event *ev)
{
	struct node *n = container_of(o, struct node, observer);
	struct engine_path_event *news = &n->news[n->num_news++ % NEWS_MAX];

	*news = *ev;
	news->conn = news->text = NULL;
	snprintf(n->news_text, sizeof(n->news_text), "%s", ev->text);
}

static struct conf *conf_of(const char *text)
{
	struct conf_diags *diags = mem_alloc(sizeof(*diags));
	struct tree *tree = NULL;
	struct conf *conf = NULL;
	enum err e = conf_parse_text(&tree, diags, "test", text, strlen(text));

	if (!e)
		e = conf_new(&conf, diags, tree);
	for (uint32_t i = 0; i < diags->num; i++)
		tap_diag("%s", diags->list[i].text);
	CU_ASSERT_EQUAL_FATAL(e, ERR_OK);
	tree_free(tree);
	mem_free(diags);
	return conf;
}

struct node *hosts_add(const char *addr, const char *text)
{
	const struct memory_params inner = {.role = PORT_INNER, .frame_len = FRAME};
	const struct memory_params outer = {.role = PORT_OUTER, .frame_len = FRAME};
	struct node *n = mem_alloc(sizeof(*n));
	struct engine_port ports[2] = {{0}};
	struct engine_params params = {
		.ports = ports, .num_ports = 2, .polled = true, .now = the_time};
	int i = 0;

	while (nodes[i])
		i++;
	CU_ASSERT_FATAL(n && i < HOSTS_MAX);
	nodes[i] = n;
	CU_ASSERT_EQUAL_FATAL(ip_addr_parse(&n->addr, addr), ERR_OK);
	fake_host_init(&n->host);
	n->host.source4 = n->addr;
	n->host.dead_cookie = dead_socket;
	CU_ASSERT_EQUAL_FATAL(memory_open(&ports[0].driver, &n->inner, &inner), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(memory_open(&ports[1].driver, &n->outer, &outer), ERR_OK);
	params.latch_file = journal;
	params.host = n->host.host;
	params.conf = conf_of(text);
	CU_ASSERT_EQUAL_FATAL(engine_new(&n->e, &params), ERR_OK);
	conf_put(params.conf);
	n->app = engine_app(n->e);
	engine_app_observe(n->e, on_app, n);
	n->observer.event = on_ike;
	n->observer.path = on_path;
	engine_observe(n->e, &n->observer);
	return n;
}

void hosts_dead_socket(uint64_t cookie)
{
	dead_socket = cookie;
}

void hosts_journal(const char *path)
{
	journal = path;
}

void hosts_load(struct node *n, const char *text)
{
	struct conf *conf = conf_of(text);

	CU_ASSERT_EQUAL(engine_configure(n->e, conf), ERR_OK);
	conf_put(conf);
	hosts_settle();
}

void hosts_remove(struct node *n)
{
	for (int i = 0; i < HOSTS_MAX; i++) {
		if (nodes[i] == n)
			nodes[i] = NULL;
	}
	engine_free(n->e);
	memory_close_far(n->inner);
	memory_close_far(n->outer);
	fake_host_fini(&n->host);
	mem_free(n);
}

/* ---- the network --------------------------------------------------------------------------------
 */

static bool has(const struct node *n, const struct ip_addr *a)
{
	bool found = ip_addr_equal(&n->addr, a);

	for (size_t i = 0; i < ARRAY_LEN(n->host.more); i++)
		found |= ip_addr_equal(&n->host.more[i], a);
	return found;
}

static struct node *at(const struct ip_addr *a)
{
	for (int i = 0; i < HOSTS_MAX; i++) {
		if (nodes[i] && a->family && has(nodes[i], a))
			return nodes[i];
	}
	return NULL;
}

static struct ip_addr addr_of(const char *text)
{
	struct ip_addr a;

	CU_ASSERT_EQUAL_FATAL(ip_addr_parse(&a, text), ERR_OK);
	return a;
}

void hosts_address(struct node *n, const char *text, bool there)
{
	const struct ip_addr a = addr_of(text), none = {0};
	size_t i = 0;

	while (i < ARRAY_LEN(n->host.more) && !ip_addr_equal(&n->host.more[i], there ? &none : &a))
		i++;
	CU_ASSERT_FATAL(i < ARRAY_LEN(n->host.more));
	n->host.more[i] = there ? a : none;
	engine_addresses_changed(n->e);
	hosts_settle();
}

void hosts_link(struct node *n, const char *text, bool up)
{
	const struct ip_addr a = addr_of(text);

	for (size_t i = 0; i < ARRAY_LEN(n->host.more); i++)
		if (ip_addr_equal(&n->host.more[i], &a))
			n->host.link_down[i] = !up;
	hole = up ? (struct ip_addr){0} : a;
	fake_host_changed(&n->host, true);
	hosts_settle();
}

void hosts_hole(const char *text)
{
	hole = text ? addr_of(text) : (struct ip_addr){0};
}

uint32_t hosts_sent_from(struct node *n, const char *text)
{
	const struct ip_addr a = addr_of(text);
	uint32_t num = 0;

	for (uint32_t i = 0; i < n->num_from && i < NEWS_MAX; i++)
		num += ip_addr_equal(&n->last_from[i], &a);
	n->num_from = 0;
	return num;
}

static bool is_swallowed(const struct ip_addr *a)
{
	return hole.family && ip_addr_equal(&hole, a);
}

/* is_ike - by the marker in front of it (RFC 3948 2.2). */
static bool is_ike(const uint8_t *buf, size_t len)
{
	return len > 4 && load_be32(buf) == 0;
}

/* carry - what a host has sent outside goes where it is for. */
static bool carry(struct node *n)
{
	uint8_t buf[FRAME];
	struct path_addr to, from;
	size_t len;
	bool any = false;

	while (memory_take(n->outer, buf, sizeof(buf), &len, &to)) {
		struct node *peer = at(&to.remote.addr);

		any = true;
		from = to;
		from.local = to.remote;
		from.remote = to.local;
		if (!has(n, &from.remote.addr))
			from.remote.addr = n->addr;
		if (len < SMALL)
			n->last_from[n->num_from++ % NEWS_MAX] = from.remote.addr;
		if (!peer || n->deaf || peer->deaf || is_swallowed(&from.remote.addr) ||
		    is_swallowed(&from.local.addr) ||
		    ((n->no_ike || peer->no_ike) && is_ike(buf, len)))
			continue;
		(void)!memory_inject(peer->outer, buf, len, &from);
	}
	return any;
}

static bool turn(void)
{
	bool any = false;

	for (int i = 0; i < HOSTS_MAX; i++) {
		if (!nodes[i])
			continue;
		engine_dispatch(nodes[i]->e);
		any |= carry(nodes[i]);
	}
	return any;
}

void hosts_settle(void)
{
	for (int quiet = 0; quiet < QUIET;)
		quiet = turn() ? 0 : quiet + 1;
}

void hosts_run(uint64_t ms)
{
	uint64_t end = now_ns + ms * NS_PER_MS;

	hosts_settle();
	while (now_ns < end) {
		uint64_t step = ms > 2000 ? 20 * STEP_NS : STEP_NS;

		now_ns = end - now_ns < step ? end : now_ns + step;
		hosts_settle();
	}
}

/* ---- packets ------------------------------------------------------------------------------------
 */

struct flow hosts_flow(uint8_t local_net, uint16_t local_port, uint8_t remote_net,
		       uint16_t remote_port)
{
	const uint8_t local[4] = {10, local_net, 0, 1}, remote[4] = {10, remote_net, 0, 1};

	return (struct flow){
		.local = ip_addr_v4(local),
		.remote = ip_addr_v4(remote),
		.local_port = local_port,
		.remote_port = remote_port,
		.proto = 17,
	};
}

static size_t make_packet(uint8_t *ip, const struct flow *f)
{
	static uint16_t id;

	memset(ip, 0, 40);
	ip[0] = 0x45;
	store_be16(ip + 2, 40);
	store_be16(ip + 4, ++id);
	ip[8] = 64;
	ip[9] = f->proto;
	memcpy(ip + 12, f->local.b, 4);
	memcpy(ip + 16, f->remote.b, 4);
	store_be16(ip + 20, f->local_port);
	store_be16(ip + 22, f->remote_port);
	store_be16(ip + 24, 20);
	store_be16(ip + 28, id);
	return 40;
}

bool hosts_send(struct node *from, const struct flow *f, struct node *to, uint32_t *out_token)
{
	uint8_t sent[FRAME], got[FRAME];
	struct memory_meta meta;
	size_t len = make_packet(sent, f), got_len;
	bool arrived = false;

	CU_ASSERT_EQUAL_FATAL(memory_inject(from->inner, sent, len, NULL), ERR_OK);
	hosts_settle();
	for (int i = 0; i < HOSTS_MAX; i++) {
		while (nodes[i] &&
		       memory_take_meta(nodes[i]->inner, got, sizeof(got), &got_len, &meta)) {
			if (nodes[i] != to || got_len != len || memcmp(got + 28, sent + 28, 2) != 0)
				continue;
			arrived = true;
			if (out_token)
				*out_token = meta.token;
		}
	}
	return arrived;
}

bool hosts_udp(struct node *from, uint8_t from_net, uint16_t from_port, uint8_t to_net,
	       uint16_t to_port, struct node *to, uint32_t *out_token)
{
	const struct flow f = hosts_flow(from_net, from_port, to_net, to_port);

	return hosts_send(from, &f, to, out_token);
}

const struct note *hosts_last(const struct node *n, enum app_event_kind kind)
{
	for (uint32_t i = n->num_notes; i > 0; i--) {
		const struct note *note = &n->notes[(i - 1) % NOTES_MAX];

		if (note->kind == kind)
			return note;
	}
	return NULL;
}
