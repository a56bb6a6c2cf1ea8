/* SPDX-License-Identifier: Apache-2.0 */
/* The validator: what becomes of a configuration, as a whole and with what comes to it. */
#include "base/alloc.h"
#include "base/clock.h"
#include "tests/control/load_text.h"
#include "tests/tap/tap.h"

#include <stdio.h>
#include <stdlib.h>

static struct conf *must_load(const char *text)
{
	static struct conf_diags diags;
	struct conf *conf = NULL;
	enum err e = load_text(&conf, &diags, text);

	if (e)
		tap_diag("%s", diags.list[0].text);
	CU_ASSERT_EQUAL_FATAL(e, ERR_OK);
	return conf;
}

#define SIDES "local { auth = psk\n}\nremote { auth = psk\n}\n"

/* A secret never shows in a remark, whatever is wrong with it. */
static void test_secrets_are_not_shown(void)
{
	static const char *const texts[] = {
		"secrets { ike { secret = 0xhunter2hunter2\n } }",
		"secrets { ike { secret = 0shunter2!hunter2\n } }",
		"secrets { ike { secret = hunter2\n id = *x\n } }",
		"secrets { ike { secret { hunter2 = x\n } } }",
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		static struct conf_diags diags;
		struct conf *conf;

		if (!load_text(&conf, &diags, texts[i]))
			conf_put(conf);
		CU_ASSERT_TRUE(diags.num > 0);
		CU_ASSERT_PTR_NULL(strstr(diags.list[0].text, "hunter2"));
	}
}

/* A side that says nothing signs, and the other side's signature is wanted. */
static void test_missing_sides(void)
{
	struct conf *conf = must_load("connections { a { } }");

	CU_ASSERT_EQUAL(conf->conns[0]->local.auth, CONF_AUTH_PUBKEY);
	CU_ASSERT_EQUAL(conf->conns[0]->remote.auth, CONF_AUTH_PUBKEY);
	CU_ASSERT_EQUAL(conf->conns[0]->remote.sign.kinds, KEY_BITS_ANY);
	CU_ASSERT_EQUAL(conf->conns[0]->remote.sign.hashes, SIG_HASHES_ALL);
	conf_put(conf);
}

static const char net2net[] =
	"# a gateway as in strongSwan's net2net-psk\n"
	"connections {\n"
	"   gw-gw {\n"
	"      local_addrs  = 192.168.0.1\n"
	"      remote_addrs = 192.168.0.2\n"
	"      local {\n         auth = psk\n         id = moon.strongswan.org\n      }\n"
	"      remote {\n         auth = psk\n         id = sun.strongswan.org\n      }\n"
	"      children {\n"
	"         net-net {\n"
	"            local_ts  = 10.1.0.0/16\n"
	"            remote_ts = 10.2.0.0/16\n"
	"            rekey_time = 5400\n"
	"            rekey_bytes = 500000000\n"
	"            rekey_packets = 1000000\n"
	"            esp_proposals = aes128gcm128-x25519\n"
	"         }\n"
	"      }\n"
	"      version = 2\n"
	"      mobike = no\n"
	"      reauth_time = 10800\n"
	"      proposals = aes128gcm16-prfsha256-x25519\n"
	"   }\n"
	"}\n"
	"secrets {\n"
	"   ike-1 {\n      id-1 = moon.strongswan.org\n"
	"      secret = 0sFpZAZqEN6Ti9sqt4ZP5EWcqx\n   }\n"
	"   ike-2 {\n      id-2 = sun.strongswan.org\n"
	"      secret = 0sFpZAZqEN6Ti9sqt4ZP5EWcqx\n   }\n"
	"}\n";

static void test_net2net(void)
{
	struct conf *conf = must_load(net2net);
	const struct conf_conn *conn = conf_find_conn(conf, "gw-gw"), *of = NULL;
	const struct conf_child *child = conf_find_child(conf, &of, NULL, "net-net");

	CU_ASSERT_PTR_NOT_NULL_FATAL(conn);
	CU_ASSERT_PTR_NOT_NULL_FATAL(child);
	CU_ASSERT_PTR_EQUAL(of, conn);
	CU_ASSERT_PTR_NULL(conf_find_child(conf, &of, "other", "net-net"));
	CU_ASSERT_STRING_EQUAL(conn->remote_addrs[0].text, "192.168.0.2");
	CU_ASSERT_EQUAL(conn->local.id.type, 2);
	CU_ASSERT_EQUAL(memcmp(conn->remote.id.data, "sun.strongswan.org", 18), 0);
	CU_ASSERT_EQUAL(conn->num_ike, 1);
	CU_ASSERT_EQUAL(conn->ike[0].num_encr, 1);
	CU_ASSERT_EQUAL(conn->ike[0].dh[0], DH_CURVE_25519);
	CU_ASSERT_EQUAL(child->esp[0].dh[0], DH_CURVE_25519);
	CU_ASSERT_EQUAL(child->esp[0].num_prf, 0);
	CU_ASSERT_EQUAL(child->esp[0].num_esn, 1);
	CU_ASSERT_EQUAL(child->esp[0].esn[0], 0);
	CU_ASSERT_EQUAL(child->rekey_ns, 5400 * NS_PER_S);
	CU_ASSERT_EQUAL(child->life_ns, 5940 * NS_PER_S);
	CU_ASSERT_EQUAL(child->rand_ns, 540 * NS_PER_S);
	CU_ASSERT_EQUAL(child->life_bytes, 550000000);
	CU_ASSERT_EQUAL(child->rand_packets, 100000);
	CU_ASSERT_EQUAL(conf->num_secrets, 2);
	CU_ASSERT_EQUAL(conf->secrets[0]->value.len, 18);
	conf_put(conf);
}

/* What holds where nothing is said: swanctl.conf(5)'s defaults, and Latchkey's algorithms. */
static void test_defaults(void)
{
	struct conf *conf = must_load("connections { a { " SIDES " children { c { } } } }");
	const struct conf_conn *conn = conf->conns[0];
	const struct conf_child *child = &conn->children[0];

	CU_ASSERT_EQUAL(conn->rekey_ns, 14400 * NS_PER_S);
	CU_ASSERT_EQUAL(conn->over_ns, 1440 * NS_PER_S);
	CU_ASSERT_EQUAL(conn->rand_ns, 1440 * NS_PER_S);
	CU_ASSERT_EQUAL(conn->dpd_delay_ns, 0);
	CU_ASSERT_EQUAL(conn->keyingtries, 1);
	CU_ASSERT_TRUE(conn->encap);
	CU_ASSERT_EQUAL(conn->local_port, 500);
	CU_ASSERT_EQUAL(conn->num_remote_addrs, 0);
	CU_ASSERT_EQUAL(conn->remote.id.type, 0);
	CU_ASSERT_EQUAL(conn->ike[0].encr[0].key_bits, 256);
	CU_ASSERT_EQUAL(conn->ike[0].num_dh, 7);
	CU_ASSERT_EQUAL(child->rekey_ns, 3600 * NS_PER_S);
	CU_ASSERT_EQUAL(child->life_ns, 3960 * NS_PER_S);
	CU_ASSERT_EQUAL(child->rand_ns, 360 * NS_PER_S);
	CU_ASSERT_EQUAL(child->rekey_bytes + child->life_bytes + child->rand_bytes, 0);
	CU_ASSERT_EQUAL(child->replay_window, 64);
	CU_ASSERT_EQUAL(child->copy_dscp, DSCP_COPY_OUT);
	CU_ASSERT_EQUAL(child->copy_df, DF_COPY);
	CU_ASSERT_EQUAL(child->mss_clamp, MSS_CLAMP_PATH);
	CU_ASSERT_EQUAL(child->tfc_padding, 0);
	CU_ASSERT_EQUAL(child->tfc_dummies, 0);
	CU_ASSERT_FALSE(child->ipcomp);
	CU_ASSERT_FALSE(child->per_cpu_sas);
	CU_ASSERT_EQUAL(child->start_action, ACTION_NONE);
	CU_ASSERT_EQUAL(child->num_local_ts, 1);
	CU_ASSERT_TRUE(child->local_ts[0].dynamic && child->remote_ts[0].dynamic);
	CU_ASSERT_EQUAL(child->local_ts[0].ts.port_hi, 65535);
	CU_ASSERT_EQUAL(child->esp[0].num_esn, 2);
	CU_ASSERT_EQUAL(child->esp[0].num_dh, 0);
	CU_ASSERT_STRING_EQUAL(conf->daemon.interface, "latchkey0");
	CU_ASSERT_EQUAL(conf->daemon.port, 500);
	CU_ASSERT_EQUAL(conf->daemon.port_nat_t, 4500);
	CU_ASSERT_EQUAL(conf->daemon.retransmit_ns, 0);
	CU_ASSERT_EQUAL(conf->daemon.retransmit_tries, 0);
	CU_ASSERT_EQUAL(conf->daemon.fragment_size, 1280);
	CU_ASSERT_EQUAL(conn->fragmentation, FRAGMENTATION_YES);
	CU_ASSERT_EQUAL(conn->unique, UNIQUE_NO);
	CU_ASSERT_EQUAL(conn->childless, CHILDLESS_ALLOW);
	CU_ASSERT_EQUAL(conn->num_vips, 0);
	CU_ASSERT_EQUAL(child->inactivity_ns, 0);
	conf_put(conf);
}

static void test_dpdk(void)
{
	struct conf *conf = must_load("latchkey { dpdk {\n module = /opt/x.so\n huge = no\n"
				      "memory = 256\n packets = 8192\n idle = 50\n"
				      "crypto = crypto_aesni_mb0\n crypto_sessions = 300\n"
				      "ports {\n"
				      "lan { device = 0000:01:00.0\n }\n"
				      "wan { device = net_af_packet0,iface=eth1\n mtu = 9000\n"
				      "tx_checksum = no\n rx_checksum = no\n tso = no\n }\n"
				      "} } }");
	const struct conf_dpdk *d = &conf->daemon.dpdk;

	CU_ASSERT_STRING_EQUAL(d->module, "/opt/x.so");
	CU_ASSERT_TRUE(d->no_huge);
	CU_ASSERT_EQUAL(d->memory_mb, 256);
	CU_ASSERT_EQUAL(d->num_packets, 8192);
	CU_ASSERT_EQUAL(d->idle_us, 50);
	CU_ASSERT_STRING_EQUAL(d->crypto, "crypto_aesni_mb0");
	CU_ASSERT_EQUAL(conf_crypto_sessions(d), 300);
	CU_ASSERT_EQUAL_FATAL(d->num_ports, 2);
	CU_ASSERT_STRING_EQUAL(d->ports[0].name, "lan");
	CU_ASSERT_STRING_EQUAL(d->ports[0].device, "0000:01:00.0");
	CU_ASSERT_EQUAL(d->ports[0].mtu, 0);
	CU_ASSERT_STRING_EQUAL(d->ports[1].device, "net_af_packet0,iface=eth1");
	CU_ASSERT_EQUAL(d->ports[1].mtu, 9000);
	CU_ASSERT_FALSE(d->ports[0].no_tx_checksum || d->ports[0].no_rx_checksum ||
			d->ports[0].no_tso);
	CU_ASSERT_TRUE(d->ports[1].no_tx_checksum && d->ports[1].no_rx_checksum &&
		       d->ports[1].no_tso);
	conf_put(conf);
	conf = must_load(
		"latchkey { dpdk { ports { wan { device = x\n inline_ipsec = yes\n} } } }");
	CU_ASSERT_TRUE(conf->daemon.dpdk.ports[0].inline_ipsec);
	conf_put(conf);
	conf = must_load("latchkey { dpdk { ports { wan { device = net_null0\n} } } }");
	CU_ASSERT_FALSE(conf->daemon.dpdk.no_huge);
	CU_ASSERT_FALSE(conf->daemon.dpdk.ports[0].inline_ipsec);
	CU_ASSERT_EQUAL(conf->daemon.dpdk.idle_us, 0);
	CU_ASSERT_STRING_EQUAL(conf->daemon.dpdk.crypto, "");
	CU_ASSERT_EQUAL(conf_crypto_sessions(&conf->daemon.dpdk), CONF_CRYPTO_SESSIONS);
	conf_put(conf);
}

static void test_fragmentation(void)
{
	struct conf *conf = must_load("connections {\n a { " SIDES " fragmentation = accept\n }\n"
				      " b { " SIDES " fragmentation = no\n }\n c { " SIDES
				      " fragmentation = force\n } }\n"
				      "latchkey { fragment_size = 0\n}");

	CU_ASSERT_EQUAL(conf->conns[0]->fragmentation, FRAGMENTATION_ACCEPT);
	CU_ASSERT_EQUAL(conf->conns[1]->fragmentation, FRAGMENTATION_NO);
	CU_ASSERT_EQUAL(conf->conns[2]->fragmentation, FRAGMENTATION_YES);
	CU_ASSERT_EQUAL(conf->daemon.fragment_size, 0);
	conf_put(conf);
}

static void test_workers(void)
{
	static const struct {
		const char *text;
		uint32_t workers;
	} rows[] = {
		{"connections { }", 1},
		{"latchkey { workers = 1\n}", 1},
		{"latchkey { workers = 64\n}", 64},
		{"latchkey { workers = auto\n}", CONF_WORKERS_AUTO},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct conf *conf = must_load(rows[i].text);

		CU_ASSERT_EQUAL(conf->daemon.workers, rows[i].workers);
		conf_put(conf);
	}
}

/* Offloads are on unless switched off, each by itself. */
static void test_offloads(void)
{
	static const char *const keys[] = {"udp_gso", "udp_gro", "tun_checksum", "tun_tso",
					   "tun_uso"};

	for (size_t off = 0; off <= ARRAY_LEN(keys); off++) {
		char text[128] = "connections { }";

		if (off < ARRAY_LEN(keys))
			snprintf(text, sizeof(text), "latchkey { %s = no\n}", keys[off]);
		struct conf *conf = must_load(text);
		const struct conf_daemon *d = &conf->daemon;
		const bool is[] = {d->udp_gso, d->udp_gro, d->tun_checksum, d->tun_tso, d->tun_uso};

		for (size_t i = 0; i < ARRAY_LEN(keys); i++)
			CU_ASSERT_EQUAL(is[i], i != off);
		conf_put(conf);
	}
}

/* What is said of lifetimes stands; what is not follows from it. */
static void test_lifetimes(void)
{
	struct conf *conf = must_load(
		"connections { a { " SIDES "rekey_time = 2h\n over_time = 5m\n rand_time = 1m\n"
		"children { c { rekey_time = 30m\n life_time = 40m\n rand_time = 2m\n"
		"rekey_bytes = 10k\n life_bytes = 12k\n rand_bytes = 1k\n"
		"rekey_packets = 100\n life_packets = 120\n rand_packets = 7\n} } } }");
	const struct conf_conn *conn = conf->conns[0];
	const struct conf_child *child = &conn->children[0];

	CU_ASSERT_EQUAL(conn->rekey_ns, 7200 * NS_PER_S);
	CU_ASSERT_EQUAL(conn->over_ns, 300 * NS_PER_S);
	CU_ASSERT_EQUAL(conn->rand_ns, 60 * NS_PER_S);
	CU_ASSERT_EQUAL(child->rekey_ns, 1800 * NS_PER_S);
	CU_ASSERT_EQUAL(child->life_ns, 2400 * NS_PER_S);
	CU_ASSERT_EQUAL(child->rand_ns, 120 * NS_PER_S);
	CU_ASSERT_EQUAL(child->rekey_bytes, 10240);
	CU_ASSERT_EQUAL(child->life_bytes, 12288);
	CU_ASSERT_EQUAL(child->rand_bytes, 1024);
	CU_ASSERT_EQUAL(child->rekey_packets, 100);
	CU_ASSERT_EQUAL(child->life_packets, 120);
	CU_ASSERT_EQUAL(child->rand_packets, 7);
	conf_put(conf);
}

/* What is said of paths is there, and by which one a child goes. */
static void test_paths(void)
{
	struct conf *conf = must_load(
		"connections { a { " SIDES "children { c { path = two\n} }\n path_policy = spray\n"
		"paths { one { local_addr = 192.0.2.1\n}\n"
		"two { local_addr = 2001:db8::1\n remote_addr = 2001:db8::2\n priority = 3\n"
		"weight = 7\n dscp = ef, le, 63\n local_ts = 10.0.0.0/8[udp/53], 10.0.0.1\n"
		"remote_ts = 10.2.0.0/16\n} } } }");
	const struct conf_conn *conn = conf->conns[0];
	const struct conf_path *one = conf_find_path(conn, "one");
	const struct conf_path *two = conf_find_path(conn, "two");

	CU_ASSERT(conn->num_paths == 2 && one == &conn->paths[0] && two == &conn->paths[1]);
	CU_ASSERT_PTR_NULL(conf_find_path(conn, "tw"));
	CU_ASSERT(one->weight == 1 && one->priority == 0 && ip_addr_is_any(&one->remote));
	CU_ASSERT(one->dscps == 0 && conf_path_rules(one) == 0);
	CU_ASSERT(two->weight == 7 && two->priority == 3 && two->remote.family == IP_V6);
	CU_ASSERT_EQUAL(two->dscps, UINT64_C(1) << 46 | UINT64_C(1) << 63 | 2);
	CU_ASSERT(two->num_local_ts == 2 && two->local_ts[0].port_lo == 53);
	CU_ASSERT(two->num_remote_ts == 1 && conf_path_rules(two) == 2);
	CU_ASSERT_EQUAL(conn->path_policy, CONF_PATHS_SPRAY);
	CU_ASSERT_STRING_EQUAL(conn->children[0].path, "two");
	conf_put(conf);
}

static void test_retransmission(void)
{
	struct conf *conf =
		must_load("latchkey { retransmit_timeout = 2s\n retransmit_tries = 3\n}");

	CU_ASSERT_EQUAL(conf->daemon.retransmit_ns, 2000000000ull);
	CU_ASSERT_EQUAL(conf->daemon.retransmit_tries, 3);
	conf_put(conf);
}

static void test_values(void)
{
	struct conf *conf = must_load(
		"connections { a { " SIDES "rekey_time = 0\n remote_addrs = %any, gw.example.com\n"
		"keyingtries = 0\n dpd_delay = 2m\n encap = no\n unique = keep\n"
		"vips = 0.0.0.0, fd00::5\n children { c {\n inactivity = 30m\n"
		"start_action = start|trap\n dpd_action = restart\n close_action = hold\n "
		"life_time = 0\n rekey_bytes = 2k\n copy_dscp = in\n"
		"copy_df = set\n mss_clamp = 1200\n tfc_padding = mtu\n tfc_dummies = 20\n"
		"remote_ts = dynamic[tcp/80]\n } } } }\n"
		"latchkey { address = 10.0.0.1/24, fd00::1\n cookies = always\n aead = auto\n"
		"puzzles = never\n puzzle_threshold = 77\n puzzle_difficulty = 9\n }");
	const struct conf_conn *conn = conf->conns[0];
	const struct conf_child *child = &conn->children[0];

	CU_ASSERT_EQUAL(conn->rekey_ns + conn->over_ns + conn->rand_ns, 0);
	CU_ASSERT_TRUE(conn->remote_addrs[0].any && !conn->remote_addrs[0].name);
	CU_ASSERT_TRUE(conn->remote_addrs[1].name && !conn->remote_addrs[1].any);
	CU_ASSERT_EQUAL(conn->keyingtries, 0);
	CU_ASSERT_EQUAL(conn->unique, UNIQUE_KEEP);
	CU_ASSERT_EQUAL(conn->num_vips, 2);
	CU_ASSERT_TRUE(conn->vips[0].family == IP_V4 && ip_addr_is_any(&conn->vips[0]));
	CU_ASSERT_TRUE(conn->vips[1].family == IP_V6 && conn->vips[1].b[15] == 5);
	CU_ASSERT_EQUAL(child->inactivity_ns, 1800 * NS_PER_S);
	CU_ASSERT_FALSE(conn->encap);
	CU_ASSERT_EQUAL(conn->dpd_delay_ns, 120 * NS_PER_S);
	CU_ASSERT_EQUAL(child->start_action, ACTION_TRAP_START);
	CU_ASSERT_EQUAL(child->dpd_action, ACTION_START);
	CU_ASSERT_EQUAL(child->close_action, ACTION_TRAP);
	CU_ASSERT_EQUAL(child->life_ns, 0);
	CU_ASSERT_EQUAL(child->rekey_bytes, 2048);
	CU_ASSERT_EQUAL(child->copy_dscp, DSCP_COPY_IN);
	CU_ASSERT_EQUAL(child->copy_df, DF_SET);
	CU_ASSERT_EQUAL(child->mss_clamp, 1200);
	CU_ASSERT_EQUAL(child->tfc_padding, TFC_PADDING_PATH);
	CU_ASSERT_EQUAL(child->tfc_dummies, 20);
	CU_ASSERT_TRUE(child->remote_ts[0].dynamic);
	CU_ASSERT_EQUAL(child->remote_ts[0].ts.proto, 6);
	CU_ASSERT_EQUAL(child->remote_ts[0].ts.port_lo, 80);
	CU_ASSERT_EQUAL(child->remote_ts[0].ts.lo.family, IP_NONE);
	CU_ASSERT_EQUAL(conf->daemon.num_addresses, 2);
	CU_ASSERT_EQUAL(conf->daemon.addresses[1].len, 128);
	CU_ASSERT_TRUE(conf->daemon.cookies_always);
	CU_ASSERT_EQUAL(conf->daemon.puzzles, PUZZLES_NEVER);
	CU_ASSERT_EQUAL(conf->daemon.puzzle_threshold, 77);
	CU_ASSERT_EQUAL(conf->daemon.puzzle_difficulty, 9);
	CU_ASSERT_EQUAL(conf->daemon.puzzle_max, 22);
	CU_ASSERT_STRING_EQUAL(conf->daemon.aead, "");
	conf_put(conf);
}

/* All remarks of a file come at once, beyond the list's room they are counted. */
static void test_many_remarks(void)
{
	static struct conf_diags diags;
	char *text = calloc(1, 65536), *p = text;
	struct conf *conf;

	if (!text)
		abort();
	p += sprintf(p, "connections { a { " SIDES "\n");
	for (int i = 0; i < 100; i++)
		p += sprintf(p, "bad%d = x\n", i);
	sprintf(p, "} }");
	CU_ASSERT_EQUAL(load_text(&conf, &diags, text), ERR_CONFIG);
	CU_ASSERT_EQUAL(diags.num, 100);
	CU_ASSERT_EQUAL(diags.num_errors, 100);
	free(text);
}

static struct tree *section_of(const char *text)
{
	static struct conf_diags diags;
	struct tree *t;

	memset(&diags, 0, sizeof(diags));
	CU_ASSERT_EQUAL_FATAL(conf_parse_text(&t, &diags, "f", text, strlen(text)), ERR_OK);
	return t;
}

static struct tree *first(const struct tree *t)
{
	return list_entry(t->children.next, struct tree, node);
}

static struct conf *with_token(struct conf *old, const char *text)
{
	static struct conf_diags diags;
	struct tree *t = section_of(text);
	struct conf *next = NULL;

	memset(&diags, 0, sizeof(diags));
	CU_ASSERT_EQUAL_FATAL(conf_with_token(&next, &diags, old, t), ERR_OK);
	tree_free(t);
	if (old)
		conf_put(old);
	return next;
}

/* A key on a token is the one in that place, whatever else has its handle; a secret with the name
 * that the control socket gives all of them is another thing. */
static void test_tokens_with_and_without(void)
{
	static struct conf_diags diags;
	const struct conf_secret_params shared = {
		.kind = CONF_SECRET_IKE, .name = "token", .value = bytes_of("secret", 6)};
	struct conf *one = with_token(NULL, "handle = 0a\n slot = 1\n pin = 1\n"), *two = NULL;

	memset(&diags, 0, sizeof(diags));
	one = with_token(one, "handle = 0a\n slot = 2\n pin = 2\n");
	CU_ASSERT_EQUAL(one->num_secrets, 2);
	one = with_token(one, "handle = 0a\n slot = 2\n pin = 3\n"); /* again */
	CU_ASSERT_EQUAL(one->num_secrets, 2);
	CU_ASSERT_EQUAL(conf_without_secret(&two, one, "token"), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL_FATAL(conf_with_secret(&two, &diags, one, &shared), ERR_OK);
	CU_ASSERT_EQUAL(two->num_secrets, 3);
	conf_put(two);
	CU_ASSERT_EQUAL_FATAL(conf_without_token(&two, one, bytes_of("\x0a", 1)), ERR_OK);
	CU_ASSERT_EQUAL(two->num_secrets, 0);
	conf_put(two);
	conf_put(one);
}

static void test_with_and_without(void)
{
	static struct conf_diags diags;
	struct conf *one = must_load(net2net), *two = NULL, *three = NULL;
	struct tree *same = section_of(net2net);
	struct tree *other = section_of("x { " SIDES " }"), *wrong = section_of("x { y = 1\n }");
	struct conf_conn *kept = one->conns[0];

	memset(&diags, 0, sizeof(diags));
	/* The same again: the pointer stays. */
	CU_ASSERT_EQUAL(conf_with_conn(&two, &diags, one, first(first(same))), ERR_OK);
	CU_ASSERT_EQUAL(two->num_conns, 1);
	CU_ASSERT_PTR_EQUAL(two->conns[0], kept);
	conf_put(two);
	CU_ASSERT_EQUAL(conf_with_conn(&two, &diags, one, first(other)), ERR_OK);
	CU_ASSERT_EQUAL(two->num_conns, 2);
	CU_ASSERT_EQUAL(two->num_secrets, 2);
	CU_ASSERT_EQUAL(one->num_conns, 1);
	CU_ASSERT_EQUAL(conf_with_conn(&three, &diags, two, first(wrong)), ERR_CONFIG);
	CU_ASSERT_EQUAL(conf_without_conn(&three, two, "nothing"), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(conf_without_conn(&three, two, "gw-gw"), ERR_OK);
	CU_ASSERT_EQUAL(three->num_conns, 1);
	CU_ASSERT_STRING_EQUAL(three->conns[0]->name, "x");
	conf_put(three);
	CU_ASSERT_EQUAL(conf_without_secret(&three, two, "ike-1"), ERR_OK);
	CU_ASSERT_EQUAL(three->num_secrets, 1);
	conf_put(three);
	CU_ASSERT_EQUAL(conf_without_secret(&three, two, NULL), ERR_OK);
	CU_ASSERT_EQUAL(three->num_secrets, 0);
	CU_ASSERT_EQUAL(three->num_conns, 2);
	conf_put(one);
	conf_put(two);
	/* Shared with those that are gone, and still whole. */
	CU_ASSERT_STRING_EQUAL(three->conns[0]->name, "gw-gw");
	conf_put(three);
	tree_free(same);
	tree_free(other);
	tree_free(wrong);
}

/* A list from the control socket and commas in a file are the same connection. */
static void test_list_or_commas(void)
{
	static struct conf_diags diags;
	struct conf *one =
		must_load("connections { a { " SIDES "remote_addrs = 192.0.2.1 , gw.x } }");
	struct tree *t = section_of("a { " SIDES " }"), *list;
	struct conf *two;

	memset(&diags, 0, sizeof(diags));
	CU_ASSERT_EQUAL(tree_list(first(t), &list, "remote_addrs"), ERR_OK);
	CU_ASSERT_EQUAL(tree_append(list, "192.0.2.1", 9), ERR_OK);
	CU_ASSERT_EQUAL(tree_append(list, "gw.x", 4), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(conf_with_conn(&two, &diags, one, first(t)), ERR_OK);
	CU_ASSERT_PTR_EQUAL(two->conns[0], one->conns[0]);
	conf_put(two);
	CU_ASSERT_EQUAL(tree_append(list, "gw.y", 4), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(conf_with_conn(&two, &diags, one, first(t)), ERR_OK);
	CU_ASSERT_PTR_NOT_EQUAL(two->conns[0], one->conns[0]);
	CU_ASSERT_EQUAL(two->conns[0]->num_remote_addrs, 3);
	conf_put(two);
	conf_put(one);
	tree_free(t);
}

/* Every allocation fails once in turn: no memory, no leak, no half a configuration. */
static void test_out_of_memory(void)
{
	static struct conf_diags diags;
	uint64_t n = 0;
	enum err e;

	do {
		struct conf *conf;

		alloc_fail_nth(++n);
		e = load_text(&conf, &diags, net2net);
		alloc_fail_nth(0);
		if (!e)
			conf_put(conf);
		CU_ASSERT_TRUE(e == ERR_OK || e == ERR_NOMEM);
	} while (e && n < 5000);
	CU_ASSERT_TRUE(!e && n > 50);
}

/* Attributes are as they are sent; what a prefix has that is no host's is not lent. */
static void test_pools(void)
{
	static const struct {
		const char *addrs, *lo, *hi;
		uint32_t size;
	} rows[] = {
		{"10.3.0.0/24", "10.3.0.1", "10.3.0.254", 254},
		{"10.3.0.7/24", "10.3.0.1", "10.3.0.254", 254},
		{"10.3.0.250-10.3.1.4", "10.3.0.250", "10.3.1.4", 11},
		{"10.3.0.4/31", "10.3.0.4", "10.3.0.5", 2},
		{"10.3.0.4", "10.3.0.4", "10.3.0.4", 1},
		{"0.0.0.0/0", "0.0.0.1", "255.255.255.254", UINT32_MAX - 1},
		{"fd00:3::/120", "fd00:3::1", "fd00:3::ff", 255},
		{"fd00:3::/64", "fd00:3::1", "fd00:3::ffff:ffff:ffff:ffff", UINT32_MAX},
	};
	static const uint8_t subnet4[] = {10, 0, 0, 0, 255, 240, 0, 0};
	static const uint8_t subnet6[17] = {0xfd, 0, 0, 2, [16] = 48};
	const struct conf_pool *p;
	char buf[IP_TEXT_MAX], text[200];
	struct conf *conf;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		snprintf(text, sizeof(text), "pools { p { addrs = %s } }", rows[i].addrs);
		conf = must_load(text);
		p = conf_find_pool(conf, "p");
		CU_ASSERT_PTR_NOT_NULL_FATAL(p);
		CU_ASSERT_STRING_EQUAL(ip_addr_text(buf, &p->lo), rows[i].lo);
		CU_ASSERT_STRING_EQUAL(ip_addr_text(buf, &p->hi), rows[i].hi);
		CU_ASSERT_EQUAL(conf_pool_size(p), rows[i].size);
		conf_put(conf);
	}
	conf = must_load("pools { p { addrs = 10.3.0.0/24\n dns = 10.2.0.53, fd00::53\n"
			 " subnet = 10.0.0.0/12, fd00:2::/48\n netmask = 255.0.0.0\n"
			 " nbns = 10.2.0.1\n dhcp = fd00::1 } }");
	p = conf_find_pool(conf, "p");
	CU_ASSERT_EQUAL_FATAL(p->num_attrs, 7);
	CU_ASSERT_TRUE(p->attrs[0].type == 3 && p->attrs[0].len == 4);
	CU_ASSERT_TRUE(p->attrs[1].type == 10 && p->attrs[1].len == 16);
	CU_ASSERT_TRUE(p->attrs[2].type == 13 && p->attrs[2].len == 8);
	CU_ASSERT_EQUAL(memcmp(p->attrs[2].value, subnet4, 8), 0);
	CU_ASSERT_TRUE(p->attrs[3].type == 15 && p->attrs[3].len == 17);
	CU_ASSERT_EQUAL(memcmp(p->attrs[3].value, subnet6, 17), 0);
	CU_ASSERT_TRUE(p->attrs[4].type == 2 && p->attrs[5].type == 4 && p->attrs[6].type == 12);
	CU_ASSERT_PTR_NULL(conf_find_pool(conf, "q"));
	conf_put(conf);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_secrets_are_not_shown),
	TAP_TEST(test_missing_sides),
	TAP_TEST(test_net2net),
	TAP_TEST(test_defaults),
	TAP_TEST(test_lifetimes),
	TAP_TEST(test_paths),
	TAP_TEST(test_pools),
	TAP_TEST(test_retransmission),
	TAP_TEST(test_dpdk),
	TAP_TEST(test_fragmentation),
	TAP_TEST(test_workers),
	TAP_TEST(test_offloads),
	TAP_TEST(test_values),
	TAP_TEST(test_many_remarks),
	TAP_TEST(test_with_and_without),
	TAP_TEST(test_tokens_with_and_without),
	TAP_TEST(test_list_or_commas),
	TAP_TEST(test_out_of_memory),
};

TAP_MAIN("conf", tests)
