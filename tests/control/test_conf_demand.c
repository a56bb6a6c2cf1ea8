/* SPDX-License-Identifier: Apache-2.0 */
/* The sections latchkey.profiles and latchkey.listeners, and the keys of latches. */
#include "control/conf/conf.h"
#include "tests/tap/tap.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static struct conf_diags diags;

static struct conf *load(const char *keys)
{
	struct conf *conf = NULL;
	struct tree *t = NULL;
	char text[4096];

	snprintf(text, sizeof(text), "latchkey {\n%s\n}", keys);
	memset(&diags, 0, sizeof(diags));
	CU_ASSERT_EQUAL_FATAL(conf_parse_text(&t, &diags, "f", text, strlen(text)), ERR_OK);
	if (conf_new(&conf, &diags, t))
		conf = NULL;
	tree_free(t);
	return conf;
}

static void refused(const char *keys, const char *why)
{
	struct conf *conf = load(keys);

	CU_ASSERT_PTR_NULL(conf);
	CU_ASSERT(diags.num > 0 && strstr(diags.list[0].text, why) != NULL);
	if (!diags.num || !strstr(diags.list[0].text, why))
		tap_diag("%s: %s", keys, diags.num ? diags.list[0].text : "no remark");
	conf_put(conf);
}

static void test_profile(void)
{
	struct conf *conf =
		load("profiles {\n a { methods = psk, pkix-trusted }\n"
		     " b { methods = none\n privacy = no\n integrity = no\n clear = yes\n"
		     "  part = ike-ack } }");
	const struct conf_profile *p;

	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	CU_ASSERT_EQUAL_FATAL(conf->daemon.num_profiles, 2);
	p = conf->daemon.profiles;
	CU_ASSERT_STRING_EQUAL(p[0].name, "a");
	CU_ASSERT_EQUAL(p[0].num_methods, 2);
	CU_ASSERT_EQUAL(p[0].methods[0], AUTH_METHOD_PSK);
	CU_ASSERT_EQUAL(p[0].methods[1], AUTH_METHOD_PKIX_TRUSTED);
	CU_ASSERT(p[0].privacy && p[0].integrity && !p[0].clear);
	CU_ASSERT_EQUAL(p[0].part, CONF_PART_IKE_ONLY);
	CU_ASSERT(!p[1].privacy && !p[1].integrity && p[1].clear);
	CU_ASSERT_EQUAL(p[1].part, CONF_PART_IKE_APP_ACK);
	conf_put(conf);
}

static void test_listener(void)
{
	struct conf *conf = load("listeners {\n ssh { port = 22\n peer = admin.example }\n"
				 " dns { port = 53\n protocol = udp\n address = fd00::1\n"
				 "  profile = btns } }");
	const struct conf_listener *l;

	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	CU_ASSERT_EQUAL_FATAL(conf->daemon.num_listeners, 2);
	l = conf->daemon.listeners;
	CU_ASSERT_STRING_EQUAL(l[0].name, "ssh");
	CU_ASSERT_EQUAL(l[0].port, 22);
	CU_ASSERT_EQUAL(l[0].proto, IPPROTO_TCP);
	CU_ASSERT_EQUAL(l[0].addr.family, IP_NONE);
	CU_ASSERT_STRING_EQUAL(l[0].peer, "admin.example");
	CU_ASSERT_STRING_EQUAL(l[0].profile, "");
	CU_ASSERT_EQUAL(l[1].proto, IPPROTO_UDP);
	CU_ASSERT_EQUAL(l[1].addr.family, IP_V6);
	CU_ASSERT_STRING_EQUAL(l[1].profile, "btns");
	conf_put(conf);
}

static void test_numbers(void)
{
	struct conf *conf =
		load("latch_tcp = no\nlatches = 1000000\nfetch = no\nfetch_local = yes");

	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	CU_ASSERT(!conf->daemon.latch_tcp);
	CU_ASSERT(!conf->daemon.fetch && conf->daemon.fetch_local);
	CU_ASSERT_EQUAL(conf->daemon.num_latches, 1000000);
	conf_put(conf);
	conf = load("");
	CU_ASSERT(conf && conf->daemon.latch_tcp && conf->daemon.num_latches == 65536);
	CU_ASSERT(conf->daemon.fetch && !conf->daemon.fetch_local);
	conf_put(conf);
}

static void test_refused(void)
{
	char many[4096] = "listeners {\n";

	refused("profiles { a { privacy = yes } }", "methods");
	refused("profiles { a { methods = magic } }", "magic");
	refused("profiles { a { methods = psk, psk } }", "twice");
	refused("profiles { a { methods = psk\n part = us } }", "us");
	refused("profiles { a { methods = psk\n privacy = perhaps } }", "perhaps");
	refused("profiles { a-name-of-more-than-thirty-one-characters { methods = psk } }", "31");
	refused("profiles { a = b }", "section");
	refused("listeners { a { protocol = tcp } }", "port");
	refused("listeners { a { port = 0 } }", "port");
	refused("listeners { a { port = 70000 } }", "70000");
	refused("listeners { a { port = 1\n protocol = sctp } }", "sctp");
	refused("listeners { a { port = 1\n address = here } }", "here");
	refused("listeners { a { port = 1\n peer = \"@#zz\" } }", "zz");
	refused("latches = 10", "64");
	refused("latches = 100000000", "100000000");
	for (int i = 0; i <= CONF_MAX_LISTENERS; i++)
		snprintf(many + strlen(many), sizeof(many) - strlen(many), "l%d { port = %d }\n", i,
			 i + 1);
	strcat(many, "}");
	refused(many, "more than 32");
}

static const struct tap_test tests[] = {
	TAP_TEST(test_profile),
	TAP_TEST(test_listener),
	TAP_TEST(test_numbers),
	TAP_TEST(test_refused),
};

TAP_MAIN("control/conf_demand", tests)
