/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge of the management socket is strongSwan's own swanctl: it is run against a server with a
 * fake engine, over a real unix socket in a libuv loop, and what it prints and returns is checked.
 */
#include "tests/api/stand.h"
#include "tests/tap/tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SWANCTL "/usr/sbin/swanctl"

static bool have_swanctl(void)
{
	if (access(SWANCTL, X_OK) == 0)
		return true;
	tap_skip("strongSwan's swanctl is not installed");
	return false;
}

#define SWANCTL_RUN(s, ...) \
	stand_run(s, SWANCTL, (const char *const[]){__VA_ARGS__, "--uri", (s)->uri, NULL})

static const char gateway_conf[] = "connections {\n"
				   "   gw-gw {\n"
				   "      local_addrs  = 192.168.0.1\n"
				   "      remote_addrs = 192.168.0.2\n"
				   "      local {\n"
				   "         auth = psk\n"
				   "         id = moon.strongswan.org\n"
				   "      }\n"
				   "      remote {\n"
				   "         auth = psk\n"
				   "         id = sun.strongswan.org\n"
				   "      }\n"
				   "      children {\n"
				   "         net-net {\n"
				   "            local_ts  = 10.1.0.0/16\n"
				   "            remote_ts = 10.2.0.0/16, 10.3.0.0/16\n"
				   "            rekey_time = 5400\n"
				   "            esp_proposals = aes128gcm128-x25519\n"
				   "            start_action = trap\n"
				   "         }\n"
				   "      }\n"
				   "      version = 2\n"
				   "      mobike = no\n"
				   "      proposals = aes128gcm16-prfsha256-x25519\n"
				   "   }\n"
				   "}\n"
				   "secrets {\n"
				   "   ike-1 {\n"
				   "      id-1 = moon.strongswan.org\n"
				   "      secret = 0x45a30759df97dc26a15b88ff\n"
				   "   }\n"
				   "   ike-2 {\n"
				   "      id-2 = sun.strongswan.org\n"
				   "      secret = \"This is a strong password\"\n"
				   "   }\n"
				   "}\n";

static void test_version_and_stats(void)
{
	struct stand s;

	if (!have_swanctl())
		return;
	stand_up(&s);
	CU_ASSERT_EQUAL(SWANCTL_RUN(&s, "--version", "--daemon"), 0);
	CU_ASSERT_TRUE(has(&s, "latchkeyd"));
	CU_ASSERT_EQUAL(SWANCTL_RUN(&s, "--stats"), 0);
	CU_ASSERT_TRUE(has(&s, "uptime: 1000 seconds, since"));
	CU_ASSERT_TRUE(has(&s, "IKE_SAs: 3 total, 1 half-open"));
	tear_down(&s);
}

static void test_load_all(void)
{
	const struct conf_conn *conn;
	const struct conf_secret *psk;
	struct ike_id moon, sun;
	bool group;
	struct stand s;

	if (!have_swanctl())
		return;
	stand_up(&s);
	stand_write(&s, "swanctl.conf", gateway_conf);
	CU_ASSERT_EQUAL(SWANCTL_RUN(&s, "--load-all", "--noprompt"), 0);
	CU_ASSERT_TRUE(has(&s, "loaded ike secret 'ike-1'"));
	CU_ASSERT_TRUE(has(&s, "loaded connection 'gw-gw'"));
	CU_ASSERT_TRUE(has(&s, "successfully loaded 1 connections, 0 unloaded"));

	conn = conf_find_conn(s.fake.conf, "gw-gw");
	CU_ASSERT_PTR_NOT_NULL_FATAL(conn);
	CU_ASSERT_EQUAL(conn->num_children, 1);
	CU_ASSERT_EQUAL(conn->children[0].num_remote_ts, 2);
	CU_ASSERT_EQUAL(conn->children[0].rekey_ns, 5400 * NS_PER_S);
	CU_ASSERT_EQUAL(conn->ike[0].encr[0].key_bits, 128);
	CU_ASSERT_EQUAL(conf_id_parse(&moon, "moon.strongswan.org"), ERR_OK);
	CU_ASSERT_EQUAL(conf_id_parse(&sun, "sun.strongswan.org"), ERR_OK);
	psk = conf_find_psk(s.fake.conf, &group, &moon, &sun);
	CU_ASSERT_PTR_NOT_NULL_FATAL(psk);
	CU_ASSERT_EQUAL(psk->value.len, strlen("This is a strong password"));

	/* Once more: nothing has changed, so the connection keeps its place. */
	CU_ASSERT_EQUAL(SWANCTL_RUN(&s, "--load-all", "--noprompt"), 0);
	CU_ASSERT_PTR_EQUAL(conf_find_conn(s.fake.conf, "gw-gw"), conn);

	/* What is no longer in the file is unloaded. */
	stand_write(&s, "swanctl.conf", "secrets { }\n");
	CU_ASSERT_EQUAL(SWANCTL_RUN(&s, "--load-all", "--noprompt"), 0);
	CU_ASSERT_TRUE(has(&s, "1 unloaded"));
	CU_ASSERT_EQUAL(s.fake.conf->num_conns, 0);
	CU_ASSERT_EQUAL(s.fake.conf->num_secrets, 0);
	tear_down(&s);
}

static void test_load_refused(void)
{
	struct stand s;

	if (!have_swanctl())
		return;
	stand_up(&s);
	stand_write(&s, "swanctl.conf",
		    "connections { a { remote_addrs = 192.0.2.1\n local { auth = xauth\n }\n"
		    "remote { auth = psk\n } } }\n");
	CU_ASSERT_NOT_EQUAL(SWANCTL_RUN(&s, "--load-conns"), 0);
	CU_ASSERT_TRUE(has(&s,
			   "loading connection 'a' failed: a.local.auth: 'xauth': 'xauth' is not "
			   "supported: psk, null, btns, leapoffaith, or pubkey"));
	stand_write(&s, "swanctl.conf",
		    "connections { b { remote_adrs = 192.0.2.1\n local { auth = psk\n }\n"
		    "remote { auth = psk\n } } }\n");
	CU_ASSERT_NOT_EQUAL(SWANCTL_RUN(&s, "--load-conns"), 0);
	CU_ASSERT_TRUE(has(&s, "did you mean 'remote_addrs'?"));
	CU_ASSERT_EQUAL(s.fake.conf->num_conns, 0);
	tear_down(&s);
}

static void test_lists(void)
{
	struct stand s;

	if (!have_swanctl())
		return;
	stand_up(&s);
	fake_configure(&s.fake, gateway_conf);
	CU_ASSERT_EQUAL(SWANCTL_RUN(&s, "--list-conns"), 0);
	CU_ASSERT_TRUE(has(&s, "gw-gw: IKEv2, no reauthentication, rekeying every 14400s"));
	CU_ASSERT_TRUE(has(&s, "local:  192.168.0.1"));
	CU_ASSERT_TRUE(has(&s, "remote: 192.168.0.2"));
	CU_ASSERT_TRUE(has(&s, "local pre-shared key authentication"));
	CU_ASSERT_TRUE(has(&s, "id: moon.strongswan.org"));
	CU_ASSERT_TRUE(has(&s, "net-net: TUNNEL, rekeying every 5400s"));
	CU_ASSERT_TRUE(has(&s, "remote: 10.2.0.0/16 10.3.0.0/16"));
	CU_ASSERT_EQUAL(SWANCTL_RUN(&s, "--list-pols", "--trap"), 0);
	CU_ASSERT_TRUE(has(&s, "gw-gw/net-net, TUNNEL"));
	CU_ASSERT_EQUAL(SWANCTL_RUN(&s, "--list-sas"), 0);
	CU_ASSERT_STRING_EQUAL(s.text, "");
	s.fake.sa_up = true;
	CU_ASSERT_EQUAL(SWANCTL_RUN(&s, "--list-sas"), 0);
	CU_ASSERT_TRUE(
		has(&s, "gw: #3, ESTABLISHED, IKEv2, 0123456789abcdef_i* fedcba9876543210_r"));
	CU_ASSERT_TRUE(has(&s, "local  'moon.example.org' @ 192.0.2.1[4500]"));
	CU_ASSERT_TRUE(has(&s, "remote 'sun.example.org' @ 192.0.2.2[4500]"));
	CU_ASSERT_TRUE(has(&s, "AES_GCM_16-256/PRF_HMAC_SHA2_384/CURVE_25519"));
	CU_ASSERT_TRUE(has(&s, "established 100s ago, rekeying in 13000s"));
	CU_ASSERT_TRUE(
		has(&s, "net: #5, reqid 0, INSTALLED, TUNNEL-in-UDP, ESP:AES_GCM_16-256/ESN"));
	CU_ASSERT_TRUE(has(&s, "installed 100s ago, rekeying in 3000s, expires in 3600s"));
	CU_ASSERT_TRUE(has(&s, "in  c0ffee01,    400 bytes,     4 packets,    10s ago"));
	CU_ASSERT_TRUE(has(&s, "out deadbeef,    500 bytes,     5 packets"));
	CU_ASSERT_TRUE(has(&s, "local  10.1.0.0/16"));
	CU_ASSERT_TRUE(has(&s, "remote 10.2.0.0/16[tcp/80]"));
	tear_down(&s);
}

static void comes_up(uv_timer_t *timer)
{
	struct stand *s = timer->data;
	struct ike_event ev = fake_event(&s->fake, IKE_EVENT_PROGRESS, 0, "sending IKE_SA_INIT");

	vici_server_event(s->server, &ev);
	ev = fake_event(&s->fake, IKE_EVENT_CHILD_UP, 0, "the child is up");
	vici_server_event(s->server, &ev);
}

static void fails(uv_timer_t *timer)
{
	struct stand *s = timer->data;
	struct ike_event ev = fake_event(&s->fake, IKE_EVENT_FAILED, IKE_REASON_AUTH_FAILED_PEER,
					 "the peer refused our key");

	vici_server_event(s->server, &ev);
}

static void goes_down(uv_timer_t *timer)
{
	struct stand *s = timer->data;
	struct ike_event ev = fake_event(&s->fake, IKE_EVENT_IKE_DOWN, IKE_REASON_LOCAL, "closed");

	vici_server_event(s->server, &ev);
}

static uv_timer_cb next_step;

static void on_request(struct fake_backend *f)
{
	struct stand *s = f->arg;

	stand_later(s, next_step, 50);
}

static void test_initiate(void)
{
	struct stand s;

	if (!have_swanctl())
		return;
	stand_up(&s);
	fake_configure(&s.fake, gateway_conf);
	s.fake.on_request = on_request;
	next_step = comes_up;
	CU_ASSERT_EQUAL(SWANCTL_RUN(&s, "--initiate", "--child", "net-net"), 0);
	CU_ASSERT_STRING_EQUAL(s.fake.name, "net-net");
	CU_ASSERT_TRUE(has(&s, "[CHD] sending IKE_SA_INIT"));
	CU_ASSERT_TRUE(has(&s, "initiate completed successfully"));
	next_step = fails;
	CU_ASSERT_NOT_EQUAL(SWANCTL_RUN(&s, "--initiate", "--child", "net-net"), 0);
	CU_ASSERT_TRUE(has(&s, "initiate failed: the peer refused our key"));
	CU_ASSERT_NOT_EQUAL(SWANCTL_RUN(&s, "--initiate", "--child", "nothing"), 0);
	CU_ASSERT_TRUE(has(&s, "initiate failed: there is no child 'nothing'"));
	tear_down(&s);
}

static void test_terminate_and_rekey(void)
{
	struct stand s;

	if (!have_swanctl())
		return;
	stand_up(&s);
	CU_ASSERT_NOT_EQUAL(SWANCTL_RUN(&s, "--terminate", "--ike", "gw"), 0);
	CU_ASSERT_TRUE(has(&s, "no matching SAs to terminate found"));
	s.fake.sa_up = true;
	s.fake.on_request = on_request;
	next_step = goes_down;
	CU_ASSERT_EQUAL(SWANCTL_RUN(&s, "--terminate", "--ike", "gw"), 0);
	CU_ASSERT_TRUE(has(&s, "[IKE] closed"));
	CU_ASSERT_TRUE(has(&s, "terminate completed successfully"));
	CU_ASSERT_EQUAL(SWANCTL_RUN(&s, "--rekey", "--child", "net"), 0);
	CU_ASSERT_TRUE(has(&s, "rekey completed successfully"));
	CU_ASSERT_EQUAL(s.fake.num_rekeyed, 1);
	tear_down(&s);
}

/* The other lists of a daemon without certificates are empty, and no error. */
static void test_empty_lists(void)
{
	struct stand s;

	if (!have_swanctl())
		return;
	stand_up(&s);
	CU_ASSERT_EQUAL(SWANCTL_RUN(&s, "--list-certs"), 0);
	CU_ASSERT_EQUAL(SWANCTL_RUN(&s, "--list-authorities"), 0);
	CU_ASSERT_EQUAL(SWANCTL_RUN(&s, "--flush-certs"), 0);
	CU_ASSERT_EQUAL(s.fake.num_flushed, 1);
	CU_ASSERT_EQUAL(SWANCTL_RUN(&s, "--list-algs"), 0);
	CU_ASSERT_TRUE(has(&s, "AES_GCM_16[openssl]"));
	CU_ASSERT_EQUAL(SWANCTL_RUN(&s, "--reload-settings"), 0);
	tear_down(&s);
}

/* Pools are loaded, listed with who has what, and unloaded when the file lacks them. */
static void test_pools(void)
{
	struct stand s;

	if (!have_swanctl())
		return;
	stand_up(&s);
	CU_ASSERT_EQUAL(SWANCTL_RUN(&s, "--list-pools"), 0);
	stand_write(&s, "swanctl.conf",
		    "pools { road { addrs = 10.3.0.0/24\n dns = 10.2.0.53 }"
		    " six { addrs = fd00:3::/64 } }\n");
	CU_ASSERT_EQUAL(SWANCTL_RUN(&s, "--load-pools"), 0);
	CU_ASSERT_TRUE(has(&s, "loaded pool 'road'"));
	CU_ASSERT_EQUAL_FATAL(s.fake.conf->num_pools, 2);
	CU_ASSERT_EQUAL(SWANCTL_RUN(&s, "--list-pools", "--leases"), 0);
	CU_ASSERT_TRUE(has(&s, "1 / 1 / 254"));
	CU_ASSERT_TRUE(has(&s, "10.3.0.1") && has(&s, "alice@example.org"));
	CU_ASSERT_TRUE(has(&s, "offline") && has(&s, "bob@example.org"));
	stand_write(&s, "swanctl.conf", "pools { six { addrs = fd00:4::/64 } }\n");
	CU_ASSERT_EQUAL(SWANCTL_RUN(&s, "--load-pools"), 0);
	CU_ASSERT_EQUAL_FATAL(s.fake.conf->num_pools, 1);
	CU_ASSERT_STRING_EQUAL(s.fake.conf->pools[0]->name, "six");
	CU_ASSERT_EQUAL(s.fake.conf->pools[0]->lo.b[3], 4);
	stand_write(&s, "swanctl.conf", "pools { six { addrs = fd00:4::/640 } }\n");
	CU_ASSERT_NOT_EQUAL(SWANCTL_RUN(&s, "--load-pools"), 0);
	CU_ASSERT_TRUE(has(&s, "neither a prefix nor a range"));
	tear_down(&s);
}

/* Keys on tokens are loaded, and unloaded when the file lacks them; secrets they are none. */
static void test_tokens(void)
{
	struct stand s;

	if (!have_swanctl())
		return;
	stand_up(&s);
	stand_write(&s, "swanctl.conf",
		    "secrets { token1 { handle = 0A0b\n slot = 7\n module = m\n pin = 4711 }\n"
		    "ike { secret = 0123456789abcdef } }\n");
	CU_ASSERT_EQUAL(SWANCTL_RUN(&s, "--load-creds", "--noprompt"), 0);
	CU_ASSERT_TRUE(has(&s, "loaded key token1 from token [keyid: 0a0b]"));
	CU_ASSERT_EQUAL(SWANCTL_RUN(&s, "--load-creds", "--noprompt"), 0);
	CU_ASSERT_EQUAL_FATAL(s.fake.conf->num_secrets, 2);
	for (uint32_t i = 0; i < 2; i++) {
		const struct conf_token *t = s.fake.conf->secrets[i]->token;

		if (!t)
			continue;
		CU_ASSERT_EQUAL(t->slot, 7);
		CU_ASSERT_STRING_EQUAL(t->module, "m");
		CU_ASSERT_EQUAL(s.fake.conf->secrets[i]->value.len, 4);
	}
	stand_write(&s, "swanctl.conf", "secrets { ike { secret = 0123456789abcdef } }\n");
	CU_ASSERT_EQUAL(SWANCTL_RUN(&s, "--load-creds", "--noprompt"), 0);
	CU_ASSERT_EQUAL_FATAL(s.fake.conf->num_secrets, 1);
	CU_ASSERT_PTR_NULL(s.fake.conf->secrets[0]->token);
	tear_down(&s);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_version_and_stats),
	TAP_TEST(test_load_all),
	TAP_TEST(test_load_refused),
	TAP_TEST(test_lists),
	TAP_TEST(test_initiate),
	TAP_TEST(test_terminate_and_rekey),
	TAP_TEST(test_empty_lists),
	TAP_TEST(test_pools),
	TAP_TEST(test_tokens),
};

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	return tap_main("vici_swanctl", tests, sizeof(tests) / sizeof(tests[0]));
}
