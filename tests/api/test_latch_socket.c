/* SPDX-License-Identifier: Apache-2.0 */
/* Latches of sockets and of groups of processes, and what an administrator or nobody has configured
 * for them. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/api/trio.h"
#include "tests/tap/tap.h"

/* B1: one host has nothing configured, the other lets nobody in particular in. */
static void test_B1_nothing_is_configured(void)
{
	static const char anybody[] = "connections { any { remote_addrs = %any\n"
				      " local { auth = null }\n remote { auth = null }\n"
				      " children { any { mode = transport } } } }\n";
	struct app_latch_params p = trio_params(7, "");
	char text[APP_TEXT_MAX];
	struct app_class class;
	uint64_t ids[3];

	hosts_begin();
	here = hosts_add(HERE, "");
	bob = hosts_add(BOB, anybody);
	p.flow.local = here->addr;
	p.flow.remote = bob->addr;
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &ids[0], &p, text), ERR_OK);
	CU_ASSERT_EQUAL(trio_get(ids[0]).state, LATCH_CLOSED); /* "secure" makes nothing */
	p.flow.local_port++;
	snprintf(p.demand.profile, sizeof(p.demand.profile), "opportunistic");
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &ids[1], &p, text), ERR_OK);
	hosts_run(200);
	CU_ASSERT_EQUAL(trio_get(ids[1]).state, LATCH_ESTABLISHED);
	CU_ASSERT_NOT_EQUAL(trio_get(ids[1]).token, 0);
	CU_ASSERT_EQUAL(here->app.ops->class_info(here->app.ctx, &class, trio_get(ids[1]).token),
			ERR_OK);
	CU_ASSERT_EQUAL(auth_proof_params(class.proof)->method, AUTH_METHOD_NONE);
	CU_ASSERT(class.quality.privacy && !class.quality.tunnel);
	p.flow.local_port++; /* and again: it is there */
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &ids[2], &p, text), ERR_OK);
	CU_ASSERT_EQUAL(trio_get(ids[2]).state, LATCH_ESTABLISHED);
	CU_ASSERT_EQUAL(here->num_up, 1);
	hosts_end();
}

/* The configuration's: whatever program listens there, and again when it is loaded anew. */
/* A class that is for one port alone reaches a socket that is bound there, and not one without a
 * port, which anybody has. */
static void test_E5_without_a_port(void)
{
	struct app_latch_params p = trio_params(7, "bob.example");
	struct flow local = {.local = p.flow.local, .local_port = 7, .proto = p.flow.proto};
	char text[APP_TEXT_MAX];
	uint32_t wide;
	uint64_t id;

	trio_up();
	snprintf(p.demand.suite, sizeof(p.demand.suite), "aes128gcm16");
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &id, &p, text), ERR_OK);
	hosts_run(1000);
	CU_ASSERT_EQUAL(trio_get(id).state, LATCH_ESTABLISHED);
	CU_ASSERT(here->app.ops->class_reaches(here->app.ctx, trio_get(id).token, &local));
	local.local_port = 8;
	CU_ASSERT(!here->app.ops->class_reaches(here->app.ctx, trio_get(id).token, &local));
	local.local_port = 0;
	CU_ASSERT(!here->app.ops->class_reaches(here->app.ctx, trio_get(id).token, &local));
	mallory_up();
	wide = trio_get(trio_latch(8, "mallory.example")).token;
	CU_ASSERT(here->app.ops->class_reaches(here->app.ctx, wide, &local));
	hosts_end();
}

static uint64_t latch_of_socket(uint16_t port, bool connected)
{
	struct app_latch_params p = trio_params(port, "bob.example");
	char text[APP_TEXT_MAX];
	uint64_t id = 0;

	p.cookie = 77;
	p.connected = connected;
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &id, &p, text), ERR_OK);
	return id;
}

/* What a socket was connected to, and is not, is shut, not free; what it named is as it was. */
static void test_E23_connected_elsewhere(void)
{
	struct host_socket sock = {
		.flow = hosts_flow(1, 7, 2, 9), .cookie = 77, .here = true, .connected = true};
	uint64_t id, named;

	trio_up();
	bob_up();
	named = latch_of_socket(8, false);
	id = latch_of_socket(7, true);
	(void)latch_of_socket(6, false);
	here->app.ops->latch_socket_seen(here->app.ctx, &sock);
	CU_ASSERT_EQUAL(trio_get(id).state, LATCH_ESTABLISHED);
	CU_ASSERT(hosts_udp(here, 1, 7, 2, 9, bob, NULL));
	sock.cookie = 78;
	sock.flow.remote_port = 10;
	here->app.ops->latch_socket_seen(here->app.ctx, &sock);
	CU_ASSERT_EQUAL(trio_get(id).state, LATCH_ESTABLISHED);
	sock.cookie = 77;
	here->app.ops->latch_socket_seen(here->app.ctx, &sock);
	CU_ASSERT_EQUAL(trio_get(id).state, LATCH_CLOSED);
	CU_ASSERT_EQUAL(trio_get(named).state, LATCH_ESTABLISHED);
	CU_ASSERT(!hosts_udp(here, 1, 7, 2, 9, bob, NULL));
	CU_ASSERT(!hosts_udp(bob, 2, 9, 1, 7, here, NULL));
	here->app.ops->latch_socket_gone(here->app.ctx, 77);
	id = latch_of_socket(7, true);
	CU_ASSERT_EQUAL(trio_get(id).state, LATCH_ESTABLISHED);
	sock = (struct host_socket){.flow = hosts_flow(1, 7, 2, 9), .cookie = 77};
	here->app.ops->latch_socket_seen(here->app.ctx, &sock); /* to nobody */
	CU_ASSERT_EQUAL(trio_get(id).state, LATCH_CLOSED);
	/* Named, then connected to. */
	named = latch_of_socket(8, false);
	here->app.ops->latch_socket_seen(here->app.ctx, &sock);
	CU_ASSERT_EQUAL(trio_get(named).state, LATCH_ESTABLISHED);
	sock.flow = hosts_flow(1, 8, 2, 9);
	sock.connected = true;
	here->app.ops->latch_socket_seen(here->app.ctx, &sock);
	CU_ASSERT_EQUAL(trio_get(named).state, LATCH_ESTABLISHED);
	sock.flow.remote_port = 10;
	here->app.ops->latch_socket_seen(here->app.ctx, &sock);
	CU_ASSERT_EQUAL(trio_get(named).state, LATCH_CLOSED);
	hosts_end();
}

static void test_listener_of_the_administrator(void)
{
	static const char more[] = "latchkey { profiles { ours { methods = psk\n part = ike } }\n"
				   " listeners { web { port = 7\n protocol = udp\n profile = ours\n"
				   "  peer = bob.example } } }\n";
	char conf[2500];

	trio_up();
	hosts_remove(here);
	snprintf(conf, sizeof(conf), "%s%s", HERE_CONF, more);
	here = hosts_add(HERE, conf);
	mallory_up();
	CU_ASSERT(hosts_udp(mallory, 2, 9, 1, 8, here, NULL));
	CU_ASSERT(!hosts_udp(mallory, 2, 9, 1, 7, here, NULL));
	CU_ASSERT(!hosts_udp(here, 1, 7, 2, 9, mallory, NULL));
	hosts_load(here, HERE_CONF);
	CU_ASSERT(hosts_udp(mallory, 2, 9, 1, 7, here, NULL));
	hosts_load(here, conf);
	CU_ASSERT(!hosts_udp(mallory, 2, 10, 1, 7, here, NULL));
	CU_ASSERT_EQUAL(
		engine_down(here->e, &(uint32_t){0}, &(struct ike_select){.conn = "mallory"}),
		ERR_OK);
	hosts_run(1000);
	bob_up();
	CU_ASSERT(hosts_udp(bob, 2, 10, 1, 7, here, NULL));
	hosts_end();
}

static void test_profiles_of_the_administrator(void)
{
	static const char more[] =
		"latchkey { profiles { secure { methods = pkix-trusted, pkix-inline, pubkey, psk,"
		" pkix-offline, group-psk, eap, leap-of-faith, btns, none\n privacy = no\n clear = "
		"yes\n"
		" part = none } } }\n";
	struct app_profile p;
	char conf[2500];

	trio_up();
	hosts_remove(here);
	snprintf(conf, sizeof(conf), "%s%s", HERE_CONF, more);
	here = hosts_add(HERE, conf);
	CU_ASSERT(here->app.ops->profile_each(here->app.ctx, &p, 0));
	CU_ASSERT_STRING_EQUAL(p.name, "secure");
	CU_ASSERT(!p.privacy && p.integrity && p.clear && p.part == APP_PART_NONE);
	CU_ASSERT_EQUAL(p.num_methods, AUTH_NUM_METHODS);
	hosts_load(here, HERE_CONF);
	CU_ASSERT(here->app.ops->profile_each(here->app.ctx, &p, 0));
	CU_ASSERT(p.privacy && !p.clear);
	hosts_end();
}

static void test_profiles(void)
{
	struct app_profile p = {.name = "ours", .methods = {AUTH_METHOD_PSK}, .num_methods = 1},
			   got;
	uint32_t num = 0;

	trio_up();
	while (here->app.ops->profile_each(here->app.ctx, &got, num))
		num++;
	CU_ASSERT_EQUAL(num, 6);
	CU_ASSERT_EQUAL(here->app.ops->profile_set(here->app.ctx, &p), ERR_INVAL); /* no part */
	p.part = APP_PART_IKE_ONLY;
	CU_ASSERT_EQUAL(here->app.ops->profile_set(here->app.ctx, &p), ERR_OK);
	p.privacy = true;
	CU_ASSERT_EQUAL(here->app.ops->profile_set(here->app.ctx, &p), ERR_OK);
	CU_ASSERT(here->app.ops->profile_each(here->app.ctx, &got, 6));
	CU_ASSERT(got.privacy);
	CU_ASSERT(!here->app.ops->profile_each(here->app.ctx, &got, 7));
	p.methods[1] = AUTH_METHOD_PSK;
	p.num_methods = 2;
	CU_ASSERT_EQUAL(here->app.ops->profile_set(here->app.ctx, &p), ERR_INVAL);
	hosts_end();
}

static enum err group(struct app_latch *out, int fd, const char *peer, char text[APP_TEXT_MAX])
{
	struct app_demand demand = {0};

	memset(out, 0, sizeof(*out));
	snprintf(demand.peer, sizeof(demand.peer), "%s", peer);
	return here->app.ops->cgroup_demand(here->app.ctx, out, fd, &demand, 1, 1000, text);
}

static size_t num_marks(void)
{
	size_t num = 0;

	for (size_t i = 0; i < here->host.num_lines; i++)
		num += strncmp(here->host.lines[i], "cgroup ", 7) == 0;
	return num;
}

/* A6: a group's peer is brought up, and the group demands it and no other, whoever else is there;
 * when it is away too. */
static void test_A6_group(void)
{
	char text[APP_TEXT_MAX] = "";
	int fd = dup(0), other = open("/tmp", O_RDONLY);
	const struct note *note;
	struct app_latch l, m;
	uint32_t token, num;

	trio_up();
	mallory_up();
	CU_ASSERT_EQUAL(group(&l, fd, "bob.example", text), ERR_OK);
	CU_ASSERT_EQUAL(l.state, LATCH_LARVAL);
	CU_ASSERT_EQUAL(num_marks(), 0);
	hosts_run(100);
	note = hosts_last(here, APP_EVENT_CGROUP);
	CU_ASSERT_PTR_NOT_NULL_FATAL(note);
	CU_ASSERT(note->latch.id == l.id && note->latch.state == LATCH_ESTABLISHED);
	token = note->latch.token;
	CU_ASSERT(token != 0 && num_marks() == 1);
	/* Nobody takes its place; another group has what is up at once. */
	CU_ASSERT_EQUAL(group(&m, fd, "mallory.example", text), ERR_EXISTS);
	CU_ASSERT_EQUAL(group(&m, other, "mallory.example", text), ERR_OK);
	CU_ASSERT(m.state == LATCH_ESTABLISHED && m.token != token && num_marks() == 2);
	CU_ASSERT_EQUAL(here->app.ops->cgroup_release(here->app.ctx, m.id), ERR_OK);
	CU_ASSERT_EQUAL(here->app.ops->cgroup_release(here->app.ctx, m.id), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(num_marks(), 1);
	CU_ASSERT_EQUAL(engine_down(here->e, &num, &(struct ike_select){.conn = "bob"}), ERR_OK);
	hosts_run(100);
	CU_ASSERT_EQUAL(num_marks(), 1);
	here->app.ops->latch_client_gone(here->app.ctx, 1);
	CU_ASSERT_EQUAL(num_marks(), 0);
	close(fd);
	close(other);
	hosts_end();
}

/* What is left of a group whose keeper was killed has its peer or nobody, to its end; who comes for
 * it again has it by the same demand, and no one else. */
static void test_A6_group_is_left(void)
{
	const struct app_demand other = {.peer = "mallory.example"};
	const struct app_demand same = {.peer = "bob.example"};
	const struct app_ops *ops;
	char text[APP_TEXT_MAX] = "";
	int fd = dup(0);
	const struct note *note;
	struct app_latch l, m;

	trio_up();
	ops = here->app.ops;
	CU_ASSERT_EQUAL(group(&l, fd, "bob.example", text), ERR_OK);
	hosts_run(100);
	CU_ASSERT_EQUAL(num_marks(), 1);
	here->host.populated = true;
	ops->latch_client_gone(here->app.ctx, 1);
	hosts_run(3000);
	CU_ASSERT_EQUAL(num_marks(), 1);
	CU_ASSERT_EQUAL(ops->cgroup_demand(here->app.ctx, &m, fd, &other, 2, 1000, text),
			ERR_EXISTS);
	CU_ASSERT_EQUAL(ops->cgroup_demand(here->app.ctx, &m, fd, &same, 2, 1001, text),
			ERR_EXISTS);
	CU_ASSERT_EQUAL(ops->cgroup_demand(here->app.ctx, &m, fd, &same, 2, 1000, text), ERR_OK);
	CU_ASSERT(m.id == l.id && m.state == LATCH_ESTABLISHED && num_marks() == 1);
	CU_ASSERT_EQUAL(ops->cgroup_demand(here->app.ctx, &m, fd, &same, 3, 1000, text),
			ERR_EXISTS);
	here->host.populated = false; /* whoever has it may fill it yet */
	hosts_run(3000);
	CU_ASSERT_EQUAL(num_marks(), 1);
	here->host.populated = true;
	ops->latch_client_gone(here->app.ctx, 2);
	hosts_run(3000);
	CU_ASSERT_EQUAL(num_marks(), 1);
	here->host.populated = false;
	hosts_run(3000);
	CU_ASSERT_EQUAL(num_marks(), 0);
	note = hosts_last(here, APP_EVENT_CGROUP);
	CU_ASSERT_PTR_NOT_NULL_FATAL(note);
	CU_ASSERT(note->latch.id == l.id && note->latch.state == LATCH_CLOSED);
	close(fd);
	hosts_end();
}

/* There is no way to the peer: that is known before there is a negotiation, and while the group is
 * being looked at. */
static void test_A6_no_route(void)
{
	static const char own[] = "local_addrs = " HERE;
	char text[APP_TEXT_MAX] = "", conf[2500], *at;
	const struct note *note;
	struct app_latch l;

	trio_up();
	hosts_remove(here);
	snprintf(conf, sizeof(conf), "%s", HERE_CONF);
	while ((at = strstr(conf, own)) != NULL)
		memset(at, ' ', strlen(own)); /* it is the host's routes that say where from */
	here = hosts_add(HERE, conf);
	here->host.source4 = (struct ip_addr){.family = IP_NONE};
	CU_ASSERT_EQUAL(group(&l, 0, "bob.example", text), ERR_NOT_FOUND);
	CU_ASSERT(strstr(text, "route") != NULL);
	here->host.source4 = here->addr;
	bob->deaf = true;
	CU_ASSERT_EQUAL(group(&l, 0, "bob.example", text), ERR_OK);
	CU_ASSERT_EQUAL(l.state, LATCH_LARVAL);
	hosts_run(200000); /* nobody answers */
	note = hosts_last(here, APP_EVENT_CGROUP);
	CU_ASSERT_PTR_NOT_NULL_FATAL(note);
	CU_ASSERT_EQUAL(note->latch.state, LATCH_CLOSED);
	CU_ASSERT_EQUAL(note->latch.reason, IKE_REASON_NO_ANSWER);
	CU_ASSERT_EQUAL(here->app.ops->cgroup_release(here->app.ctx, l.id), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(num_marks(), 0);
	hosts_end();
}

static void test_A6_nobody_who_could(void)
{
	char text[APP_TEXT_MAX] = "";
	struct app_demand demand = {.suite = "aes128gcm16"};
	const struct note *note;
	struct app_latch l;

	trio_up();
	CU_ASSERT_EQUAL(group(&l, 0, "nobody.example", text), ERR_NOT_FOUND);
	CU_ASSERT(text[0] != 0);
	text[0] = 0;
	CU_ASSERT_EQUAL(here->app.ops->cgroup_demand(here->app.ctx, &l, 0, &demand, 1, 1000, text),
			ERR_INVAL);
	CU_ASSERT(text[0] != 0);
	/* A peer that refuses: why not is told. */
	hosts_load(bob, "connections { }\n");
	CU_ASSERT_EQUAL(group(&l, 0, "bob.example", text), ERR_OK);
	hosts_run(100);
	note = hosts_last(here, APP_EVENT_CGROUP);
	CU_ASSERT_PTR_NOT_NULL_FATAL(note);
	CU_ASSERT(note->latch.id == l.id && note->latch.state == LATCH_CLOSED);
	CU_ASSERT(note->latch.text[0] != 0 && num_marks() == 0);
	CU_ASSERT_EQUAL(here->app.ops->cgroup_release(here->app.ctx, l.id), ERR_NOT_FOUND);
	hosts_end();
}

static const struct tap_test tests[] = {
	TAP_TEST(test_A6_group),
	TAP_TEST(test_A6_group_is_left),
	TAP_TEST(test_A6_no_route),
	TAP_TEST(test_A6_nobody_who_could),
	TAP_TEST(test_B1_nothing_is_configured),
	TAP_TEST(test_E5_without_a_port),
	TAP_TEST(test_E23_connected_elsewhere),
	TAP_TEST(test_listener_of_the_administrator),
	TAP_TEST(test_profiles_of_the_administrator),
	TAP_TEST(test_profiles),
};

TAP_MAIN("api/latch_socket", tests)
