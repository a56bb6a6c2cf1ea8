/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The `latchkey` program as people and scripts use it: what it prints, its JSON, and above all its
 * exit codes, against a server with a fake engine. argv[1] is the program.
 */
#include "tests/api/stand.h"
#include "tests/tap/tap.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *program;

#define RUN(s, ...) \
	stand_run(s, program, (const char *const[]){"--run-dir", (s)->dir, __VA_ARGS__, NULL})

static const char conf[] = "connections {\n"
			   "  gw { remote_addrs = 192.0.2.2\n"
			   "    local { auth = psk\n"
			   "    }\n"
			   "    remote { auth = psk\n"
			   "    }\n"
			   "    children { net { remote_ts = 10.2.0.0/16 }\n"
			   "      other { start_action = trap } } }\n"
			   "  lonely { remote_addrs = 192.0.2.3\n"
			   "    local { auth = psk\n"
			   "    }\n"
			   "    remote { auth = psk\n"
			   "    } }\n"
			   "}\n";

static void set_up(struct stand *s)
{
	stand_up(s);
	fake_configure(&s->fake, conf);
}

static void tell(struct stand *s, enum ike_event_kind kind, enum ike_reason reason,
		 const char *text)
{
	struct ike_event ev = fake_event(&s->fake, kind, reason, text);

	vici_server_event(s->server, &ev);
}

static void test_help_and_usage(void)
{
	struct stand s;

	set_up(&s);
	CU_ASSERT_EQUAL(RUN(&s, "--help"), 0);
	CU_ASSERT_TRUE(has(&s, "usage: latchkey"));
	CU_ASSERT_TRUE(has(&s, "exit status: 0 done"));
	CU_ASSERT_EQUAL(RUN(&s, "--nonsense"), 2);
	CU_ASSERT_EQUAL(RUN(&s, "nonsense"), 2);
	CU_ASSERT_EQUAL(RUN(&s, "up"), 2);
	CU_ASSERT_EQUAL(RUN(&s, "stats", "what"), 2);
	CU_ASSERT_EQUAL(RUN(&s, "--timeout", "0"), 2);
	CU_ASSERT_EQUAL(RUN(&s, "--timeout", "3x"), 2);
	tear_down(&s);
}

static void test_no_daemon(void)
{
	struct stand s;

	set_up(&s);
	CU_ASSERT_EQUAL(
		stand_run(&s, program, (const char *const[]){"--run-dir", "/nonexistent", NULL}),
		3);
	CU_ASSERT_TRUE(has(&s, "no daemon is running"));
	tear_down(&s);
}

static void test_not_permitted(void)
{
	char copy[64], command[1024];
	struct stand s;

	if (geteuid() != 0) {
		tap_skip("only root can become somebody who may not");
		return;
	}
	set_up(&s);
	/* A copy, for the build directory may be closed to others. */
	snprintf(copy, sizeof(copy), "%s/latchkey", s.dir);
	snprintf(command, sizeof(command), "cp %s %s && chmod 755 %s %s", program, copy, s.dir,
		 copy);
	CU_ASSERT_EQUAL(system(command), 0);
	s.run_as_nobody = true;
	CU_ASSERT_EQUAL(
		stand_run(&s, copy, (const char *const[]){"--run-dir", s.dir, "show", NULL}), 5);
	CU_ASSERT_TRUE(has(&s, "Permission denied"));
	tear_down(&s);
}

static void test_show(void)
{
	struct stand s;

	set_up(&s);
	CU_ASSERT_EQUAL(RUN(&s, "show"), 0);
	CU_ASSERT_TRUE(has(&s, "gw: down, net down, other down (trapped)\n"));
	CU_ASSERT_TRUE(has(&s, "lonely: down\n"));
	tell(&s, IKE_EVENT_FAILED, IKE_REASON_LOCAL, "given up as asked");
	CU_ASSERT_EQUAL(RUN(&s, "show"), 0);
	CU_ASSERT_PTR_NULL(strstr(s.text, "given up as asked"));
	tell(&s, IKE_EVENT_FAILED, IKE_REASON_NO_PROPOSAL, "the peer knows none of our algorithms");
	s.fake.sa_up = true;
	CU_ASSERT_EQUAL(RUN(&s, "show", "gw"), 0);
	CU_ASSERT_TRUE(has(&s, "gw: up, net up, other down (trapped)\n"));
	CU_ASSERT_TRUE(
		has(&s, "  last failure: the peer knows none of our algorithms (no-proposal"));
	CU_ASSERT_PTR_NULL(strstr(s.text, "offered here"));
	CU_ASSERT_TRUE(has(&s, "  gw: #3, ESTABLISHED, IKEv2, 0123456789abcdef_i* "));
	CU_ASSERT_TRUE(has(&s, "    path 192.0.2.1[4500] - 192.0.2.2[4500], in UDP, MTU 1400"));
	CU_ASSERT_TRUE(has(
		&s, "    net: #5, reqid 1, INSTALLED, TUNNEL-in-UDP, ESP:AES_GCM_16-256/ESN\n"));
	CU_ASSERT_TRUE(has(&s, "      out deadbeef,    500 bytes,     5 packets\n"));
	CU_ASSERT_PTR_NULL(strstr(s.text, "lonely"));
	tell(&s, IKE_EVENT_CHILD_UP, IKE_REASON_NONE, "");
	CU_ASSERT_EQUAL(RUN(&s, "show", "gw"), 0);
	CU_ASSERT_TRUE(has(&s, "failed before: the peer knows"));
	CU_ASSERT_EQUAL(RUN(&s, "show", "nobody"), 4);
	CU_ASSERT_TRUE(has(&s, "there is no connection 'nobody'"));
	tear_down(&s);
}

/* A peer that no connection matches is shown too, with its address. */
static void test_show_refused(void)
{
	struct stand s;
	struct ike_event ev;

	set_up(&s);
	ev = fake_event(&s.fake, IKE_EVENT_FAILED, IKE_REASON_NO_CONFIG, "no connection for it");
	ev.conn = NULL;
	vici_server_event(s.server, &ev);
	CU_ASSERT_EQUAL(RUN(&s, "show"), 0);
	CU_ASSERT_TRUE(
		has(&s, "peers without a connection:\n  last refused: no connection for it"));
	CU_ASSERT_TRUE(has(&s, "peer 192.0.2.2[4500]"));
	tear_down(&s);
}

static json_t *parse(const struct stand *s)
{
	json_error_t error;
	json_t *j = json_loads(s->text, 0, &error);

	if (!j)
		tap_diag("%s in: %s", error.text, s->text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(j);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(j, "version")), 1);
	return j;
}

static json_t *at(json_t *j, const char *key, size_t i)
{
	json_t *list = json_object_get(j, key);

	return json_is_array(list) ? json_array_get(list, i) : list;
}

/* Why it failed, taken apart: for people a line each, for programs a key each. */
static void test_show_what_was_offered(void)
{
	struct stand s;
	struct ike_event ev;
	json_t *j, *why;

	set_up(&s);
	ev = fake_event(&s.fake, IKE_EVENT_FAILED, IKE_REASON_NO_PROPOSAL, "no proposal is ours");
	ev.phase = "IKE_SA_INIT";
	ev.here = "aes256gcm16-prfsha384-ecp384";
	ev.there = "aes128-sha256-modp2048";
	vici_server_event(s.server, &ev);
	CU_ASSERT_EQUAL(RUN(&s, "show", "gw"), 0);
	CU_ASSERT_TRUE(has(&s, "no proposal is ours (no-proposal in IKE_SA_INIT, peer 192.0.2.2"));
	CU_ASSERT_TRUE(has(&s, "    offered here: aes256gcm16-prfsha384-ecp384\n"));
	CU_ASSERT_TRUE(has(&s, "    by the peer: aes128-sha256-modp2048\n"));
	CU_ASSERT_EQUAL(RUN(&s, "--json", "show", "gw"), 0);
	j = parse(&s);
	why = json_object_get(at(j, "connections", 0), "last-failure");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(why, "phase")), "IKE_SA_INIT");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(why, "here")), ev.here);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(why, "there")), ev.there);
	json_decref(j);
	tear_down(&s);
}

/* What ends an SA that was up is shown where it is a failure. */
static void test_show_what_ended_it(void)
{
	static const struct {
		enum ike_event_kind kind;
		enum ike_reason reason;
		bool shown;
	} rows[] = {
		{IKE_EVENT_IKE_DOWN, IKE_REASON_PEER_DELETE, false},
		{IKE_EVENT_IKE_DOWN, IKE_REASON_AUTH_FAILED_PEER, true},
		{IKE_EVENT_CHILD_DOWN, IKE_REASON_AUTH_FAILED_PEER, false},
		{IKE_EVENT_IKE_DOWN, IKE_REASON_NO_ANSWER, true},
		{IKE_EVENT_CHILD_DOWN, IKE_REASON_EXPIRED, true},
		{IKE_EVENT_IKE_DOWN, IKE_REASON_LOCAL, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct stand s;
		struct ike_event ev;

		set_up(&s);
		ev = fake_event(&s.fake, rows[i].kind, rows[i].reason, "that is why");
		vici_server_event(s.server, &ev);
		CU_ASSERT_EQUAL(RUN(&s, "show", "gw"), 0);
		CU_ASSERT_EQUAL(strstr(s.text, "last failure: that is why") != NULL, rows[i].shown);
		tear_down(&s);
	}
}

static void test_json(void)
{
	struct stand s;
	json_t *j, *sa, *child, *workers, *value;
	const char *key;

	set_up(&s);
	s.fake.sa_up = true;
	CU_ASSERT_EQUAL(RUN(&s, "--json"), 0);
	j = parse(&s);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(j, "command")), "show");
	CU_ASSERT_EQUAL(json_array_size(json_object_get(j, "connections")), 2);
	sa = at(j, "sas", 0);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(sa, "name")), "gw");
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(sa, "uniqueid")), 3);
	child = json_object_get(json_object_get(sa, "child-sas"), "net-5");
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(child, "bytes-out")), 500);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(child, "token")), 0x0a5c3e71);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(child, "spi-in")), "c0ffee01");
	CU_ASSERT_STRING_EQUAL(json_string_value(at(child, "local-ts", 0)), "10.1.0.0/16");
	json_decref(j);
	CU_ASSERT_EQUAL(RUN(&s, "stats", "--json"), 0);
	j = parse(&s);
	CU_ASSERT_PTR_NOT_NULL(json_object_get(json_object_get(j, "stats"), "data"));
	workers = json_object_get(json_object_get(j, "stats"), "workers");
	CU_ASSERT_EQUAL(json_object_size(workers), 2);
	CU_ASSERT_EQUAL(
		json_integer_value(json_object_get(json_object_get(workers, "1"), "rx-packets")),
		61);
	json_object_foreach(json_object_get(workers, "0"), key, value)
		CU_ASSERT(json_is_integer(value));
	json_decref(j);
	tear_down(&s);
}

/* How much is compressed, where it is. */
static void test_compressed(void)
{
	struct stand s;
	json_t *j, *child;

	set_up(&s);
	s.fake.sa_up = true;
	CU_ASSERT_EQUAL(RUN(&s, "show"), 0);
	CU_ASSERT_PTR_NULL(strstr(s.text, "compressed"));
	s.fake.child.ipcomp = true;
	s.fake.child.cpi_in = 0x0abc;
	s.fake.child.cpi_out = 0xdef0;
	s.fake.stats.in_compressed = 3;
	s.fake.stats.in_saved = 99;
	s.fake.stats.out_compressed = 1;
	s.fake.stats.out_saved = 12345;
	CU_ASSERT_EQUAL(RUN(&s, "show"), 0);
	CU_ASSERT_TRUE(has(&s, ", 3 compressed, 99 bytes saved\n"));
	CU_ASSERT_TRUE(has(&s, ", 1 compressed, 12345 bytes saved\n"));
	CU_ASSERT_EQUAL(RUN(&s, "--json"), 0);
	j = parse(&s);
	child = json_object_get(json_object_get(at(j, "sas", 0), "child-sas"), "net-5");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(child, "cpi-in")), "0abc");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(child, "cpi-out")), "def0");
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(child, "compressed-in")), 3);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(child, "saved-out")), 12345);
	json_decref(j);
	tear_down(&s);
}

/* A gateway's ports, where there are some. */
static void test_ports(void)
{
	struct stand s;
	json_t *j, *port;

	set_up(&s);
	CU_ASSERT_EQUAL(RUN(&s, "show"), 0);
	CU_ASSERT_PTR_NULL(strstr(s.text, "port "));
	CU_ASSERT_EQUAL(RUN(&s, "stats"), 0);
	CU_ASSERT_PTR_NULL(strstr(s.text, "ports"));
	s.fake.has_port = true;
	CU_ASSERT_EQUAL(RUN(&s, "show"), 0);
	CU_ASSERT_TRUE(has(&s, "port wan: link up, net_af_packet1,iface=eth1 by net_af_packet, "
			       "MTU 1500, 10000 Mb/s, offloads tx_checksum tso4\n"));
	CU_ASSERT_EQUAL(RUN(&s, "stats"), 0);
	CU_ASSERT_TRUE(has(&s, "    rx-esp: 70"));
	CU_ASSERT_TRUE(has(&s, "    mac: 02:00:00:00:00:20"));
	CU_ASSERT_EQUAL(RUN(&s, "stats", "--json"), 0);
	j = parse(&s);
	port = json_object_get(json_object_get(json_object_get(j, "stats"), "ports"), "wan");
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(port, "tx-fast")), 66);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(port, "rx-inline")), 33);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(port, "tx-inline")), 44);
	json_decref(j);
	CU_ASSERT_EQUAL(RUN(&s, "show", "--json"), 0);
	j = parse(&s);
	port = json_object_get(json_object_get(j, "ports"), "wan");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(port, "link")), "up");
	json_decref(j);
	tear_down(&s);
}

static void test_sas_conns_stats_version(void)
{
	struct stand s;

	set_up(&s);
	CU_ASSERT_EQUAL(RUN(&s, "sas"), 0);
	CU_ASSERT_STRING_EQUAL(s.text, "");
	CU_ASSERT_EQUAL(RUN(&s, "sas", "gw"), 0);
	s.fake.sa_up = true;
	CU_ASSERT_EQUAL(RUN(&s, "sas"), 0);
	CU_ASSERT_EQUAL(strncmp(s.text, "gw: #3, ESTABLISHED", 19), 0);
	CU_ASSERT_EQUAL(RUN(&s, "conns"), 0);
	CU_ASSERT_TRUE(has(&s, "gw: IKEv2, rekeying every 14400s"));
	CU_ASSERT_TRUE(has(&s, "  net: TUNNEL, rekeying every 3600s"));
	CU_ASSERT_EQUAL(RUN(&s, "stats"), 0);
	CU_ASSERT_TRUE(has(&s, "rx-packets: 99"));
	CU_ASSERT_TRUE(has(&s, "workers:\n  0:\n    rx-packets: 60"));
	CU_ASSERT_TRUE(has(&s, "REPLAY:\n      count: 5"));
	CU_ASSERT_EQUAL(RUN(&s, "version"), 0);
	CU_ASSERT_TRUE(has(&s, "latchkeyd"));
	tear_down(&s);
}

static void comes_up(uv_timer_t *timer)
{
	struct stand *s = timer->data;

	tell(s, IKE_EVENT_PROGRESS, IKE_REASON_NONE, "sending IKE_AUTH");
	tell(s, IKE_EVENT_CHILD_UP, IKE_REASON_NONE, "");
}

static void is_silent(uv_timer_t *timer)
{
	tell(timer->data, IKE_EVENT_FAILED, IKE_REASON_NO_ANSWER, "nobody answers");
}

static void has_no_key(uv_timer_t *timer)
{
	tell(timer->data, IKE_EVENT_FAILED, IKE_REASON_NO_SECRET, "there is no key for it");
}

static void goes_down(uv_timer_t *timer)
{
	struct stand *s = timer->data;

	tell(s, s->fake.name[0] ? IKE_EVENT_CHILD_DOWN : IKE_EVENT_IKE_DOWN, IKE_REASON_LOCAL, "");
}

static void time_passes(uv_timer_t *timer)
{
	struct stand *s = timer->data;

	s->fake.now_ns += 10 * NS_PER_S;
}

static uv_timer_cb next_step;

static void on_request(struct fake_backend *f)
{
	stand_later(f->arg, next_step, 20);
}

static void test_up(void)
{
	struct stand s;

	set_up(&s);
	s.fake.on_request = on_request;
	next_step = comes_up;
	CU_ASSERT_EQUAL(RUN(&s, "up", "net"), 0);
	CU_ASSERT_TRUE(has(&s, "[CHD] sending IKE_AUTH\ngw/net is up\n"));
	CU_ASSERT_EQUAL(RUN(&s, "up", "gw"), 0);
	CU_ASSERT_TRUE(has(&s, "gw/net is up\n"));
	CU_ASSERT_TRUE(has(&s, "gw/other is up\n"));
	CU_ASSERT_EQUAL(RUN(&s, "up", "gw/other"), 0);
	CU_ASSERT_STRING_EQUAL(s.fake.name, "other");
	CU_ASSERT_EQUAL(RUN(&s, "up", "nobody"), 4);
	next_step = is_silent;
	CU_ASSERT_EQUAL(RUN(&s, "up", "net"), 6);
	CU_ASSERT_TRUE(has(&s, "gw/net is not up: nobody answers"));
	next_step = has_no_key;
	CU_ASSERT_EQUAL(RUN(&s, "up", "net"), 1);
	next_step = time_passes;
	CU_ASSERT_EQUAL(RUN(&s, "up", "net", "--timeout", "1"), 6);
	CU_ASSERT_TRUE(has(&s, "longer than the time given"));
	s.fake.initiate_result = ERR_EXISTS;
	CU_ASSERT_EQUAL(RUN(&s, "up", "net"), 0);
	tear_down(&s);
}

static void test_up_json(void)
{
	struct stand s;
	json_t *j, *one;

	set_up(&s);
	s.fake.on_request = on_request;
	next_step = comes_up;
	CU_ASSERT_EQUAL(RUN(&s, "up", "net", "--json"), 0);
	j = parse(&s);
	one = at(j, "results", 0);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(one, "child")), "net");
	CU_ASSERT_TRUE(json_is_true(json_object_get(one, "success")));
	json_decref(j);
	tear_down(&s);
}

static void test_down(void)
{
	struct stand s;

	set_up(&s);
	s.fake.on_request = on_request;
	next_step = goes_down;
	CU_ASSERT_EQUAL(RUN(&s, "down", "gw"), 0);
	CU_ASSERT_TRUE(has(&s, "gw was down already"));
	s.fake.sa_up = true;
	CU_ASSERT_EQUAL(RUN(&s, "down", "gw"), 0);
	CU_ASSERT_TRUE(has(&s, "gw is down\n"));
	CU_ASSERT_EQUAL(RUN(&s, "down", "net"), 0);
	CU_ASSERT_TRUE(has(&s, "net is down\n"));
	CU_ASSERT_EQUAL(RUN(&s, "down", "gw/net"), 0);
	CU_ASSERT_EQUAL(RUN(&s, "down", "nobody"), 4);
	/* An SA whose connection is not configured any more. */
	fake_configure(&s.fake, "");
	CU_ASSERT_EQUAL(RUN(&s, "down", "gw"), 0);
	tear_down(&s);
}

static void test_rekey(void)
{
	struct stand s;

	set_up(&s);
	CU_ASSERT_EQUAL(RUN(&s, "rekey", "gw"), 4);
	CU_ASSERT_TRUE(has(&s, "nothing called 'gw' is up"));
	s.fake.sa_up = true;
	CU_ASSERT_EQUAL(RUN(&s, "rekey", "gw"), 0);
	CU_ASSERT_TRUE(has(&s, "gw is being re-keyed\n"));
	CU_ASSERT_EQUAL(RUN(&s, "rekey", "net"), 0);
	CU_ASSERT_EQUAL(RUN(&s, "rekey", "gw/net"), 0);
	CU_ASSERT_EQUAL(s.fake.num_rekeyed, 3);
	CU_ASSERT_EQUAL(RUN(&s, "rekey", "gw/other"), 4);
	CU_ASSERT_EQUAL(s.fake.num_rekeyed, 3);
	tear_down(&s);
}

static void test_redirect(void)
{
	struct stand s;

	set_up(&s);
	CU_ASSERT_EQUAL(RUN(&s, "redirect", "gw", "192.0.2.9"), 4);
	CU_ASSERT_TRUE(has(&s, "no matching SAs to redirect found"));
	s.fake.sa_up = true;
	CU_ASSERT_EQUAL(RUN(&s, "redirect", "gw", "192.0.2.9"), 0);
	CU_ASSERT_TRUE(has(&s, "the peer of gw was told to go to 192.0.2.9\n"));
	CU_ASSERT_STRING_EQUAL(s.fake.redirected, "- - 192.0.2.9");
	CU_ASSERT_NOT_EQUAL(RUN(&s, "redirect", "gw", ""), 0);
	CU_ASSERT_EQUAL(RUN(&s, "redirect", "gw"), 2);
	tear_down(&s);
}

/* Every path with what is known of it, and the one of a peer that has agreed to no more. */
static void test_paths(void)
{
	struct stand s;
	json_t *j, *one;

	set_up(&s);
	CU_ASSERT_EQUAL(RUN(&s, "paths"), 0);
	CU_ASSERT_STRING_EQUAL(s.text, "");
	CU_ASSERT_EQUAL(RUN(&s, "paths", "gw"), 4);
	CU_ASSERT_TRUE(has(&s, "nothing called 'gw' is up"));
	s.fake.sa_up = true;
	CU_ASSERT_EQUAL(RUN(&s, "paths"), 0);
	CU_ASSERT_TRUE(has(&s, "gw: #3, peer sun.example.org, one path: the peer has not agreed"));
	CU_ASSERT_PTR_NULL(strstr(s.text, "  2: "));
	fake_agree(&s.fake);
	CU_ASSERT_EQUAL(RUN(&s, "paths", "sun.example.org"), 0);
	CU_ASSERT_TRUE(has(&s, "gw: #3, peer sun.example.org, failover; this side decides\n"));
	CU_ASSERT_TRUE(has(&s, "  1: 192.0.2.1[4500] - 192.0.2.2[4500], in UDP, priority 0, "
			       "weight 1, ACTIVE, RTT 20.5 ms, loss 1.5 %, rate 10.0 Mb/s, "
			       "MTU 1400\n    in 0 packets, 1234 bytes; out 7 packets, 0 bytes\n"));
	CU_ASSERT_TRUE(has(&s, "priority 1, weight 1, STANDBY, MTU 1400\n"));
	CU_ASSERT_EQUAL(RUN(&s, "paths", "gw", "--json"), 0);
	j = parse(&s);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(j, "paths")), 2);
	one = at(j, "paths", 0);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(one, "connection")), "gw");
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(one, "number")), 1);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(one, "uniqueid")), 3);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(one, "rtt-us")), 20500);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(one, "loss-permille")), 15);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(one, "rate")), 1250000);
	CU_ASSERT_PTR_NULL(json_object_get(at(j, "paths", 1), "rtt-us"));
	json_decref(j);
	tear_down(&s);
}

static bool asked(const struct stand *s, enum engine_path_act act, uint16_t id, const char *local)
{
	const struct engine_path_request *r = &s->fake.path_request;
	struct ip_addr a = {0};

	return strcmp(s->fake.conn, "gw") == 0 && r->act == act && r->id == id &&
	       (!local || ip_addr_parse(&a, local) == ERR_OK) && ip_addr_equal(&r->local, &a);
}

/* One table where there is no terminal; what it cannot show it does not take. */
static void test_top(void)
{
	const struct engine_path_event moved = {.news = ENGINE_PATH_MOVED,
						.conn = "gw",
						.ike_id = 3,
						.id = 2,
						.from = 1,
						.text = ""};
	struct stand s;
	json_t *j;

	set_up(&s);
	CU_ASSERT_EQUAL(RUN(&s, "rekey", "gw", "--once"), 2);
	s.fake.sa_up = true;
	fake_agree(&s.fake);
	vici_server_path_event(s.server, &moved);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(RUN(&s, "top", i ? "gw" : "--once"), 0);
		CU_ASSERT_TRUE(has(&s, "paths: 2\nCONNECTION    NO STATE "));
		CU_ASSERT_TRUE(has(&s,
				   "gw             1 ACTIVE         0.00     0.00    20.5   1.5 "
				   "192.0.2.1[4500] - 192.0.2.2[4500]\n"));
		CU_ASSERT_TRUE(
			has(&s, "gw             2 STANDBY        0.00     0.00       -     - "));
		CU_ASSERT_TRUE(has(&s, " gw           path 2 has the traffic, after path 1 ("));
		CU_ASSERT_PTR_NULL(strchr(s.text, '\033'));
	}
	CU_ASSERT_EQUAL(RUN(&s, "top", "nobody"), 0);
	CU_ASSERT_TRUE(has(&s, "paths: 0\n"));
	CU_ASSERT_PTR_NULL(strstr(s.text, "has the traffic"));
	CU_ASSERT_EQUAL(RUN(&s, "top", "--json"), 0);
	j = parse(&s);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(j, "paths")), 2);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(at(j, "paths", 0), "out-rate")), 0);
	json_decref(j);
	tear_down(&s);
}

static void peer_does(uv_timer_t *timer)
{
	struct stand *s = timer->data;
	struct engine_path_event ev = fake_answer(&s->fake, NULL);

	vici_server_path_event(s->server, &ev);
}

static void peer_refuses(uv_timer_t *timer)
{
	struct stand *s = timer->data;
	struct engine_path_event ev = fake_answer(&s->fake, "it is full");

	vici_server_path_event(s->server, &ev);
}

static void test_path(void)
{
	struct stand s;
	json_t *j;

	set_up(&s);
	s.fake.on_request = on_request;
	next_step = peer_does;
	CU_ASSERT_EQUAL(RUN(&s, "path", "add", "gw", "--local", "192.0.2.7", "--remote",
			    "192.0.2.8", "--priority", "4", "--weight", "6"),
			0);
	CU_ASSERT_TRUE(has(&s, "gw: path 3 is there, and is used as soon as it answers\n"));
	CU_ASSERT(asked(&s, ENGINE_PATH_ADD, 0, "192.0.2.7"));
	CU_ASSERT_EQUAL(s.fake.path_request.remote.family, 4);
	CU_ASSERT_EQUAL(s.fake.path_request.priority, 4);
	CU_ASSERT_EQUAL(s.fake.path_request.weight, 6);
	CU_ASSERT_EQUAL(RUN(&s, "path", "remove", "gw", "2"), 0);
	CU_ASSERT_TRUE(has(&s, "gw: path 2 is removed\n"));
	CU_ASSERT(asked(&s, ENGINE_PATH_REMOVE, 2, NULL));
	CU_ASSERT_EQUAL(RUN(&s, "path", "move", "gw", "192.0.2.7"), 0);
	CU_ASSERT(asked(&s, ENGINE_PATH_SOFT, 0, "192.0.2.7"));
	CU_ASSERT_EQUAL(RUN(&s, "path", "move", "--hard", "gw", "2"), 0);
	CU_ASSERT(asked(&s, ENGINE_PATH_HARD, 2, NULL));
	CU_ASSERT_PTR_NULL(s.fake.path_request.tag);
	CU_ASSERT_EQUAL(RUN(&s, "path", "move", "--tag", "voice", "gw", "2"), 0);
	CU_ASSERT(asked(&s, ENGINE_PATH_SOFT, 2, NULL));
	CU_ASSERT_STRING_EQUAL(s.fake.path_request.tag, "voice");
	CU_ASSERT_TRUE(has(&s, "gw: path 2 has what is tagged voice as soon as it carries\n"));
	CU_ASSERT_EQUAL(RUN(&s, "path", "move", "--tag", "", "gw", "2"), 1);
	CU_ASSERT_TRUE(has(&s, "`tag` is not said as it has to be"));
	CU_ASSERT_EQUAL(RUN(&s, "path", "prefer", "gw", "2001:db8::7", "--json"), 0);
	CU_ASSERT(asked(&s, ENGINE_PATH_PREFER, 0, "2001:db8::7"));
	j = parse(&s);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(j, "path")), 3);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(j, "matches")), 1);
	json_decref(j);
	next_step = peer_refuses;
	CU_ASSERT_EQUAL(RUN(&s, "path", "move", "gw", "2"), 6);
	CU_ASSERT_TRUE(has(&s, "latchkey: the peer refuses it: it is full\n"));
	next_step = time_passes;
	CU_ASSERT_EQUAL(RUN(&s, "path", "move", "gw", "2", "--timeout", "1"), 6);
	CU_ASSERT_TRUE(has(&s, "longer than the time given"));
	tear_down(&s);
}

static void path_has_gone(uv_timer_t *timer)
{
	struct stand *s = timer->data;
	struct engine_path_event ev = fake_answer(&s->fake, NULL);

	ev.text = "the last packets have come";
	vici_server_path_event(s->server, &ev);
}

static void path_stays(uv_timer_t *timer)
{
	struct stand *s = timer->data;
	struct engine_path_event ev = fake_answer(&s->fake, "no other one carries");

	ev.own = true;
	vici_server_path_event(s->server, &ev);
}

/* That it waits is said at once, and in the end what came of it; --now is told. */
static void test_M15_by_command(void)
{
	struct stand s;
	json_t *j;

	set_up(&s);
	s.fake.on_request = on_request;
	next_step = path_has_gone;
	CU_ASSERT_EQUAL(RUN(&s, "path", "remove", "gw", "2"), 0);
	CU_ASSERT_TRUE(has(
		&s,
		"gw: path 2: its last packets are waited for, 2 s at most once the peer knows\n"));
	CU_ASSERT_TRUE(has(&s, "gw: path 2 is removed: the last packets have come\n"));
	CU_ASSERT(asked(&s, ENGINE_PATH_REMOVE, 2, NULL) && !s.fake.path_request.now);
	CU_ASSERT_EQUAL(RUN(&s, "path", "remove", "gw", "2", "--json"), 0);
	j = parse(&s);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(j, "note")),
			       "the last packets have come");
	json_decref(j);
	CU_ASSERT_EQUAL(RUN(&s, "path", "remove", "--now", "gw", "2"), 0);
	CU_ASSERT(asked(&s, ENGINE_PATH_REMOVE, 2, NULL) && s.fake.path_request.now);
	CU_ASSERT_PTR_NULL(strstr(s.text, "waited for"));
	next_step = path_stays;
	CU_ASSERT_EQUAL(RUN(&s, "path", "remove", "gw", "2"), 1);
	CU_ASSERT_TRUE(has(&s, "latchkey: no other one carries\n"));
	tear_down(&s);
}

/* What is said wrongly is not asked; what the daemon refuses is told with its sentence. */
static void test_path_is_not_possible(void)
{
	static const struct {
		const char *words[8];
		int status;
	} wrong[] = {
		{{"path"}, 2},
		{{"path", "bend", "gw", "1"}, 2},
		{{"path", "add", "gw"}, 2},
		{{"path", "add", "gw", "1", "--local", "192.0.2.7"}, 2},
		{{"path", "move", "gw"}, 2},
		{{"path", "move", "gw", "1", "--local", "192.0.2.7"}, 2},
		{{"path", "move", "gw", "1", "--weight", "2"}, 2},
		{{"path", "prefer", "gw", "1", "--hard"}, 2},
		{{"path", "prefer", "gw", "1", "--tag", "voice"}, 2},
		{{"path", "move", "gw", "1", "--tag", "voice", "--remote", "192.0.2.9"}, 2},
		{{"rekey", "gw", "--tag", "voice"}, 2},
		{{"rekey", "gw", "--hard"}, 2},
		{{"path", "move", "gw", "1", "--now"}, 2},
		{{"rekey", "gw", "--now"}, 2},
		{{"path", "move", "gw", "here"}, 1},
		{{"path", "move", "gw", "0"}, 1},
		{{"path", "move", "gw", "65536"}, 1},
		{{"path", "add", "gw", "--local", "here"}, 1},
		{{"path", "remove", "gw", "192.0.2.300"}, 1},
	};
	static const struct {
		enum err result;
		int status;
	} refused[] = {{ERR_NOT_FOUND, 4}, {ERR_PERM, 5}, {ERR_UNSUPPORTED, 1}, {ERR_LIMIT, 1}};
	struct stand s;

	set_up(&s);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		const char *const *w = wrong[i].words;

		CU_ASSERT_EQUAL(RUN(&s, w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]),
				wrong[i].status);
		CU_ASSERT_STRING_EQUAL(s.fake.conn, "");
	}
	CU_ASSERT_EQUAL(RUN(&s, "path", "add", "gw", "--local", "192.0.2.7", "--priority", "256"),
			1);
	CU_ASSERT_TRUE(has(&s, "`priority` is not said as it has to be"));
	CU_ASSERT_EQUAL(RUN(&s, "path", "add", "gw", "--local", "192.0.2.7", "--weight", "0"), 1);
	CU_ASSERT_STRING_EQUAL(s.fake.conn, "");
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		s.fake.path_result = refused[i].result;
		CU_ASSERT_EQUAL(RUN(&s, "path", "move", "gw", "1"), refused[i].status);
		CU_ASSERT_TRUE(has(&s, "latchkey: it is so\n"));
	}
	tear_down(&s);
}

static void test_policies(void)
{
	struct stand s;
	json_t *j;

	set_up(&s);
	CU_ASSERT_EQUAL(RUN(&s, "policies"), 0);
	CU_ASSERT_TRUE(has(&s, "gw/net: protect, trapped, nothing passes: no SA is up\n"));
	CU_ASSERT_TRUE(has(&s, "  remote: 10.2.0.0/16[tcp/80]\n"));
	s.fake.sa_up = true;
	CU_ASSERT_EQUAL(RUN(&s, "policies", "gw"), 0);
	CU_ASSERT_TRUE(has(&s, "gw/net: protect, trapped, SAs 1\n"));
	CU_ASSERT_EQUAL(RUN(&s, "policies", "lonely"), 4);
	CU_ASSERT_EQUAL(RUN(&s, "policies", "--json"), 0);
	j = parse(&s);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(at(j, "policies", 0), "action")),
			       "protect");
	json_decref(j);
	tear_down(&s);
}

static void test_load_and_check(void)
{
	char expected[64];
	struct stand s;

	set_up(&s);
	CU_ASSERT_EQUAL(RUN(&s, "load"), 0);
	CU_ASSERT_TRUE(has(&s, "warning: x.conf:3: it is odd\nthe configuration is in force\n"));
	CU_ASSERT_EQUAL(RUN(&s, "check"), 0);
	CU_ASSERT_STRING_EQUAL(s.fake.checked, "");
	s.fake.load_result = ERR_CONFIG;
	CU_ASSERT_EQUAL(RUN(&s, "load"), 1);
	CU_ASSERT_TRUE(has(&s, "error: x.conf:3: it is wrong\n"));
	CU_ASSERT_TRUE(has(&s, "the configuration has errors; the old one stays in force"));
	stand_write(&s, "other.conf", "");
	snprintf(expected, sizeof(expected), "%s/other.conf", s.dir);
	CU_ASSERT_EQUAL(RUN(&s, "check", expected), 1);
	CU_ASSERT_STRING_EQUAL(s.fake.checked, expected);
	CU_ASSERT_PTR_NULL(strstr(s.text, "stays in force"));
	CU_ASSERT_EQUAL(RUN(&s, "check", "/nonexistent/file"), 1);
	CU_ASSERT_TRUE(has(&s, "/nonexistent/file: No such file"));
	tear_down(&s);
}

/* writes_log - again and again, for the program on the other side may take its time to listen. */
static void writes_log(uv_timer_t *timer)
{
	struct stand *s = timer->data;

	vici_server_log(s->server, LOG_WARN, LOG_IKE, "gw", "something odd");
	stand_later(s, writes_log, 100);
}

static void test_log(void)
{
	struct stand s;

	set_up(&s);
	stand_later(&s, writes_log, 100);
	CU_ASSERT_EQUAL(RUN(&s, "--timeout", "2", "log"), 0);
	CU_ASSERT_TRUE(has(&s, "warn  [IKE] <gw> something odd\n"));
	CU_ASSERT_EQUAL(RUN(&s, "--timeout", "2", "--json", "log"), 0);
	CU_ASSERT_EQUAL(s.text[0], '{');
	CU_ASSERT_TRUE(has(&s, "\"msg\":\"something odd\"}\n"));
	tear_down(&s);
}

/* Keys are made without a daemon, and a program reads what another one wrote. */
static void test_genkey_and_pubkey(void)
{
	static const char *const kinds[] = {NULL,       "ed25519",  "ed448",  "ecdsa256",
					    "ecdsa384", "ecdsa521", "rsa2048"};
	char file[300], copy[8192];
	struct stand s;

	set_up(&s);
	snprintf(file, sizeof(file), "%s/key.pem", s.dir);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		CU_ASSERT_EQUAL(RUN(&s, "genkey", kinds[i]), 0);
		CU_ASSERT_TRUE(has(&s, "-----BEGIN PRIVATE KEY-----"));
		snprintf(copy, sizeof(copy), "%.*s", (int)s.text_len, s.text);
		stand_write(&s, "key.pem", copy);
		CU_ASSERT_EQUAL(RUN(&s, "pubkey", file), 0);
		CU_ASSERT_TRUE(has(&s, "-----BEGIN PUBLIC KEY-----"));
		CU_ASSERT_PTR_NULL(memmem(s.text, s.text_len, "PRIVATE", 7));
	}
	CU_ASSERT_EQUAL(RUN(&s, "genkey", "rsa1024"), 2);
	CU_ASSERT_EQUAL(RUN(&s, "genkey", "dsa"), 2);
	CU_ASSERT_EQUAL(RUN(&s, "--json", "genkey"), 2);
	CU_ASSERT_EQUAL(RUN(&s, "pubkey", "/nowhere/key"), 4);
	CU_ASSERT_EQUAL(RUN(&s, "pubkey", program), 1);
	unlink(file);
	tear_down(&s);
}

/* Whatever the umask, the file that a key goes to is its owner's. */
static void test_genkey_closes_its_file(void)
{
	char command[700], file[300];
	struct stat st;
	struct stand s;

	set_up(&s);
	snprintf(file, sizeof(file), "%s/open.pem", s.dir);
	snprintf(command, sizeof(command), "umask 0; %s genkey > %s", program, file);
	CU_ASSERT_EQUAL(system(command), 0);
	CU_ASSERT_EQUAL(stat(file, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	CU_ASSERT_TRUE(st.st_size > 100);
	unlink(file);
	tear_down(&s);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_help_and_usage),
	TAP_TEST(test_no_daemon),
	TAP_TEST(test_not_permitted),
	TAP_TEST(test_show),
	TAP_TEST(test_show_refused),
	TAP_TEST(test_show_what_was_offered),
	TAP_TEST(test_show_what_ended_it),
	TAP_TEST(test_json),
	TAP_TEST(test_compressed),
	TAP_TEST(test_up),
	TAP_TEST(test_up_json),
	TAP_TEST(test_down),
	TAP_TEST(test_rekey),
	TAP_TEST(test_redirect),
	TAP_TEST(test_paths),
	TAP_TEST(test_top),
	TAP_TEST(test_path),
	TAP_TEST(test_M15_by_command),
	TAP_TEST(test_path_is_not_possible),
	TAP_TEST(test_policies),
	TAP_TEST(test_load_and_check),
	TAP_TEST(test_log),
	TAP_TEST(test_ports),
	TAP_TEST(test_sas_conns_stats_version),
	TAP_TEST(test_genkey_and_pubkey),
	TAP_TEST(test_genkey_closes_its_file),
};

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: test_cli PROGRAM\n");
		return 2;
	}
	program = argv[1];
	signal(SIGPIPE, SIG_IGN);
	return tap_main("cli", tests, sizeof(tests) / sizeof(tests[0]));
}
