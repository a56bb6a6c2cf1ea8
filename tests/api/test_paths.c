/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several paths in whole engines: what the configuration, the host's addresses and commands want,
 * and what is told of it. "left" began, and decides; "right" follows. Times are those of the wire:
 * none.
 */
#include <stdio.h>

#include "api/engine/internal.h"
#include "base/alloc.h"
#include "tests/api/hosts.h"
#include "tests/tap/tap.h"

#define LEFT   "192.0.2.1"
#define LEFT2  "198.51.100.1"
#define LEFT3  "203.0.113.1"
#define RIGHT  "192.0.2.2"
#define NOBODY "203.0.113.77"
#define SOON   300 /* ms: whatever was asked has been answered */

static struct node *left, *right;
static uint64_t request;
static uint8_t priority; /* of what is added */
static char why[ENGINE_TEXT_MAX];

static const char *conf_of(bool of_left, const char *keys)
{
	static char text[2][1000];

	snprintf(text[of_left], sizeof(text[0]),
		 "connections { gw { local_addrs = %s\n remote_addrs = %s\n %s\n dpd_delay = 2s\n"
		 " local { auth = psk\n id = %s }\n remote { auth = psk\n id = %s }\n"
		 " children { net { local_ts = 10.%d.0.0/24\n remote_ts = 10.%d.0.0/24 } } } }\n"
		 "secrets { ike { secret = a-secret-of-both-0123456789 } }\n",
		 of_left ? LEFT : RIGHT, of_left ? RIGHT : LEFT, keys,
		 of_left ? "left.example" : "right.example",
		 of_left ? "right.example" : "left.example", of_left ? 1 : 2, of_left ? 2 : 1);
	return text[of_left];
}

/* begin - both are up, the left one with these keys of its connection, and as many addresses. */
static void begin(const char *keys, int num)
{
	hosts_begin();
	left = hosts_add(LEFT, conf_of(true, keys));
	right = hosts_add(RIGHT, conf_of(false, ""));
	if (num > 1)
		hosts_address(left, LEFT2, true);
	if (num > 2)
		hosts_address(left, LEFT3, true);
	CU_ASSERT_EQUAL_FATAL(engine_up(left->e, "gw", "net", engine_request(left->e)), ERR_OK);
	hosts_run(SOON);
	CU_ASSERT_FATAL(left->num_up == 1 && right->num_up == 1);
	request = 100;
	priority = 0;
}

/* ---- what there is --------------------------------------------------------------------------- */

static void copy_sa(void *ctx, const struct ike_sa_info *sa)
{
	*(struct ike_sa_info *)ctx = *sa;
}

static struct ike_sa_info sa_of(struct node *n)
{
	struct ike_sa_info sa = {0};

	engine_each_sa(n->e, copy_sa, &sa);
	return sa;
}

/* has_paths - these numbers of paths, and no others, of which `active` is in use, and the data path
 * has the same. */
static bool has_paths(struct node *n, const char *numbers, uint16_t active)
{
	const struct ike_sa_info sa = sa_of(n);
	struct engine_path_info list[PATHS_MAX];
	const uint32_t num = engine_paths(n->e, list, sa.peer);
	bool ok = sa.num_path_list == strlen(numbers) && num == strlen(numbers);

	for (uint32_t i = 0; i < sa.num_path_list; i++)
		ok &= strchr(numbers, '0' + sa.path_list[i].id) &&
		      sa.path_list[i].active == (sa.path_list[i].id == active);
	for (uint32_t i = 0; i < num; i++)
		ok &= strchr(numbers, '0' + list[i].path.id) &&
		      list[i].path.active == (list[i].path.id == active);
	for (uint32_t i = 0; !ok && i < sa.num_path_list; i++)
		tap_diag("%u: priority %u%s%s", sa.path_list[i].id, sa.path_list[i].priority,
			 sa.path_list[i].usable ? ", usable" : "",
			 sa.path_list[i].active ? ", in use" : "");
	return ok;
}

static bool both_have(const char *numbers, uint16_t active)
{
	return has_paths(left, numbers, active) && has_paths(right, numbers, active);
}

/* asks_elsewhere - the data path asks the path's peer at another address, too. */
static bool asks_elsewhere(struct node *n, uint16_t id)
{
	const uint64_t peer = sa_of(n).peer;
	struct htab_node *found = engine_find(&n->e->peers, &peer, sizeof(peer));
	struct path_info info;

	CU_ASSERT_FATAL(found != NULL);
	return dataplane_path_info(n->e->dp, &info,
				   container_of(found, struct peer_rec, by_id)->set,
				   0x8000 | id) == ERR_OK;
}

/* told - of this, since the news were counted last; forgets none. */
static uint32_t told(const struct node *n, enum engine_path_news news, uint16_t id)
{
	uint32_t num = 0;

	CU_ASSERT_FATAL(n->num_news <= NEWS_MAX);
	for (uint32_t i = 0; i < n->num_news; i++)
		num += n->news[i].news == news && n->news[i].id == id;
	return num;
}

static const struct engine_path_event *last(const struct node *n)
{
	CU_ASSERT_FATAL(n->num_news > 0);
	return &n->news[(n->num_news - 1) % NEWS_MAX];
}

/* answers - of the peer to the last request. */
static uint32_t answers(const struct node *n)
{
	uint32_t num = 0;

	for (uint32_t i = 0; i < n->num_news && i < NEWS_MAX; i++)
		num += n->news[i].request == request;
	return num;
}

static void forget_news(void)
{
	left->num_news = right->num_news = 0;
}

/* ---- what is said ---------------------------------------------------------------------------- */

static enum err say_at(struct node *n, enum engine_path_act act, uint16_t id, const char *local,
		       const char *remote)
{
	struct engine_path_request req = {
		.act = act, .name = "gw", .id = id, .request = ++request, .priority = priority};
	uint32_t num = 0;
	uint16_t path = 0;
	enum err err;

	CU_ASSERT(!local || ip_addr_parse(&req.local, local) == ERR_OK);
	CU_ASSERT(!remote || ip_addr_parse(&req.remote, remote) == ERR_OK);
	err = engine_path(n->e, &num, &path, &req, why);
	CU_ASSERT_EQUAL(num, err ? 0 : 1);
	CU_ASSERT_EQUAL(why[0] != 0, err != ERR_OK);
	hosts_run(SOON);
	return err;
}

static enum err say(enum engine_path_act act, uint16_t id, const char *local)
{
	return say_at(left, act, id, local, NULL);
}

static bool cross(void)
{
	return hosts_udp(left, 1, 1000, 2, 9, right, NULL) &&
	       hosts_udp(right, 2, 9, 1, 1000, left, NULL);
}

/* went_by - what left sends goes from this address. */
static bool went_by(const char *addr)
{
	bool ok;

	(void)hosts_sent_from(left, addr);
	ok = hosts_udp(left, 1, 1000, 2, 9, right, NULL);
	return hosts_sent_from(left, addr) == 1 && ok;
}

/* ---- tests ----------------------------------------------------------------------------------- */

/* Configured paths are there while the host has their addresses, and both sides are told. */
static void test_M1_configured(void)
{
	begin("path_policy = failover", 1);
	CU_ASSERT(both_have("1", 1));
	hosts_address(left, LEFT2, true);
	hosts_run(SOON);
	CU_ASSERT(both_have("12", 1));
	for (int i = 0; i < 2; i++) {
		struct node *n = i ? right : left;

		CU_ASSERT_EQUAL(told(n, ENGINE_PATH_NEW, 2), 1);
		CU_ASSERT_EQUAL(told(n, ENGINE_PATH_USABLE, 2), 1);
		CU_ASSERT_EQUAL(told(n, ENGINE_PATH_MOVED, 2), 0);
	}
	CU_ASSERT_EQUAL(sa_of(left).path_list[1].addr.encap, ENCAP_UDP);
	CU_ASSERT_FALSE(asks_elsewhere(left, 2) || asks_elsewhere(right, 2));
	CU_ASSERT(went_by(LEFT));
	hosts_address(left, LEFT2, false);
	hosts_run(SOON);
	CU_ASSERT(both_have("1", 1));
	CU_ASSERT_EQUAL(told(left, ENGINE_PATH_GONE, 2), 1);
	CU_ASSERT_EQUAL(told(right, ENGINE_PATH_GONE, 2), 1);
	hosts_end();
}

/* A path that the peer does not answer on is not used: it is asked first. */
static void test_M1_silent_path(void)
{
	begin("path_policy = failover", 1);
	hosts_hole(LEFT2);
	hosts_address(left, LEFT2, true);
	CU_ASSERT_EQUAL(say(ENGINE_PATH_SOFT, 2, NULL), ERR_OK);
	CU_ASSERT(both_have("12", 1));
	CU_ASSERT(went_by(LEFT));
	hosts_hole(NULL);
	hosts_run(6000);
	CU_ASSERT(both_have("12", 2));
	CU_ASSERT(went_by(LEFT2));
	hosts_end();
}

/* Of a path that swallows packets both sides tell, and of the one that has them then. */
static void test_M6_lost_and_back(void)
{
	begin("path_policy = failover", 2);
	CU_ASSERT(both_have("12", 1));
	forget_news();
	hosts_hole(LEFT);
	for (int i = 0; i < 300; i++) {
		(void)cross();
		hosts_run(2);
	}
	CU_ASSERT(both_have("12", 2));
	CU_ASSERT_EQUAL(told(left, ENGINE_PATH_LOST, 1), 1);
	CU_ASSERT_EQUAL(told(right, ENGINE_PATH_LOST, 1), 1);
	CU_ASSERT(last(left)->news == ENGINE_PATH_MOVED && last(left)->id == 2 &&
		  last(left)->from == 1);
	CU_ASSERT(cross() && went_by(LEFT2));
	hosts_hole(NULL);
	hosts_run(12000);
	CU_ASSERT(both_have("12", 1));
	CU_ASSERT_EQUAL(told(left, ENGINE_PATH_USABLE, 1), 1);
	CU_ASSERT_EQUAL(told(left, ENGINE_PATH_MOVED, 1), 1);
	hosts_end();
}

/* A link that is down takes its path out of use before any time passes, though the address stays;
 * and the path has the traffic again when it is up. It is the same path. */
static void test_M6_link_goes_down(void)
{
	begin("", 2);
	CU_ASSERT_EQUAL(say(ENGINE_PATH_ADD, 0, LEFT2), ERR_OK);
	CU_ASSERT_EQUAL(say(ENGINE_PATH_SOFT, 2, NULL), ERR_OK);
	CU_ASSERT(both_have("12", 2));
	forget_news();
	hosts_link(left, LEFT2, false);
	CU_ASSERT(has_paths(left, "12", 1));
	CU_ASSERT(went_by(LEFT));
	CU_ASSERT_EQUAL(told(left, ENGINE_PATH_LOST, 2), 1);
	CU_ASSERT_EQUAL(told(left, ENGINE_PATH_MOVED, 1), 1);
	hosts_run(2000);
	CU_ASSERT(has_paths(left, "12", 1));
	hosts_link(left, LEFT2, true);
	hosts_run(SOON);
	CU_ASSERT(has_paths(left, "12", 2));
	CU_ASSERT_EQUAL(told(left, ENGINE_PATH_GONE, 2), 0);
	hosts_end();
}

/* By command: it is there, has the traffic, and goes; each is answered and told, once. */
static void test_M3_by_command(void)
{
	begin("", 2);
	CU_ASSERT(both_have("1", 1));
	CU_ASSERT_EQUAL(say(ENGINE_PATH_ADD, 0, LEFT2), ERR_OK);
	CU_ASSERT(both_have("12", 1));
	forget_news();
	CU_ASSERT_EQUAL(say(ENGINE_PATH_SOFT, 0, LEFT2), ERR_OK);
	CU_ASSERT(both_have("12", 2));
	CU_ASSERT(went_by(LEFT2) && cross());
	CU_ASSERT_EQUAL(told(left, ENGINE_PATH_DONE, 2), 1);
	CU_ASSERT_EQUAL(told(left, ENGINE_PATH_MOVED, 2), 1);
	CU_ASSERT_EQUAL(told(left, ENGINE_PATH_DRAINED, 1), 1);
	CU_ASSERT_EQUAL(left->num_news, 3); /* and nothing on the way */
	CU_ASSERT_EQUAL(told(right, ENGINE_PATH_MOVED, 2), 1);
	CU_ASSERT_EQUAL(told(right, ENGINE_PATH_DRAINED, 1), 1);
	CU_ASSERT_EQUAL(right->num_news, 2);
	CU_ASSERT_EQUAL(say(ENGINE_PATH_PREFER, 1, NULL), ERR_OK);
	CU_ASSERT(both_have("12", 1));
	CU_ASSERT_EQUAL(answers(left), 1); /* to two operations */
	CU_ASSERT_EQUAL(left->num_news, 6);
	CU_ASSERT_EQUAL(say(ENGINE_PATH_REMOVE, 2, NULL), ERR_OK);
	CU_ASSERT(both_have("1", 1));
	CU_ASSERT_EQUAL(told(left, ENGINE_PATH_GONE, 2), 1);
	hosts_end();
}

/* ---- M15: the last packets are waited for -----------------------------------------------------
 */

/* happened - these news and no others, in this order: letters of New, Usable, Lost, Elsewhere,
 * Moved, Gone, Drained, dOne, Refused, each before the path's number. */
static bool happened(const struct node *n, const char *trace)
{
	static const char letters[ENGINE_PATH_NEWS_NUM + 1] = "NULEMGDOR";
	char got[2 * NEWS_MAX + 1] = "";
	bool ok;

	for (uint32_t i = 0; i < n->num_news && i < NEWS_MAX; i++)
		snprintf(got + 2 * i, 3, "%c%u", letters[n->news[i].news], n->news[i].id % 10u);
	ok = strcmp(got, trace) == 0;
	if (!ok)
		tap_diag("%s, and not %s", got, trace);
	return ok;
}

/* begin_two - traffic goes by path 1, and path 2 carries. */
static void begin_two(void)
{
	begin("", 2);
	CU_ASSERT_EQUAL(say(ENGINE_PATH_ADD, 0, LEFT2), ERR_OK);
	CU_ASSERT(both_have("12", 1) && cross());
	forget_news();
}

/* remove_path - is said, and what follows within so many milliseconds happens. */
static enum err remove_path(uint16_t id, bool now, uint64_t ms)
{
	const struct engine_path_request req = {.act = ENGINE_PATH_REMOVE,
						.name = "gw",
						.id = id,
						.now = now,
						.request = ++request};
	uint32_t num;
	uint16_t path;
	enum err err = engine_path(left->e, &num, &path, &req, why);

	hosts_run(ms);
	return err;
}

/* The order of events on both sides: traffic moves, the last packets come, and only then the path
 * goes; who asked is told at the end, and what was waited for. */
static void test_M15_in_order(void)
{
	begin_two();
	CU_ASSERT_EQUAL(remove_path(1, false, 5), ERR_OK);
	CU_ASSERT(both_have("12", 2)); /* left, and there still */
	CU_ASSERT(went_by(LEFT2) && cross());
	CU_ASSERT(happened(left, "M2") && happened(right, "M2"));
	CU_ASSERT_EQUAL(remove_path(1, false, 0), ERR_EXISTS);
	request--;
	hosts_run(SOON);
	CU_ASSERT(both_have("2", 2) && cross());
	CU_ASSERT(happened(left, "M2D1G1O1") && happened(right, "M2D1G1"));
	CU_ASSERT_EQUAL(answers(left), 1);
	CU_ASSERT(strstr(left->news_text, "last packets of both sides have come") != NULL);
	hosts_end();
}

/* Who does not want to wait does not; nor is a path waited for that carries nothing. */
static void test_M15_now(void)
{
	begin_two();
	CU_ASSERT_EQUAL(remove_path(1, true, 5), ERR_OK);
	CU_ASSERT(both_have("2", 2) && told(left, ENGINE_PATH_DRAINED, 1) == 0);
	CU_ASSERT_EQUAL(say(ENGINE_PATH_ADD, 0, LEFT), ERR_OK);
	hosts_hole(LEFT);
	hosts_run(60000);
	CU_ASSERT_EQUAL(told(left, ENGINE_PATH_LOST, 3), 1);
	CU_ASSERT_EQUAL(remove_path(3, false, 5), ERR_OK);
	CU_ASSERT(both_have("2", 2));
	hosts_hole(NULL);
	hosts_end();
}

/* It dies while its last packets are waited for: it goes at once, and nobody says that they came.
 */
static void test_M15_dies_meanwhile(void)
{
	begin_two();
	CU_ASSERT_EQUAL(remove_path(1, false, 5), ERR_OK);
	hosts_hole(LEFT);
	hosts_run(1000);
	CU_ASSERT(both_have("2", 2) && cross());
	CU_ASSERT_EQUAL(told(left, ENGINE_PATH_DRAINED, 1) + told(right, ENGINE_PATH_DRAINED, 1),
			0);
	CU_ASSERT(happened(left, "M2L1G1O1"));
	CU_ASSERT(strstr(left->news_text, "failed meanwhile") != NULL);
	hosts_hole(NULL);
	hosts_end();
}

/* stay - a host goes on sending by path 1, whatever it was told. */
static void stay(struct node *n)
{
	const uint64_t peer = sa_of(n).peer;
	struct htab_node *found = engine_find(&n->e->peers, &peer, sizeof(peer));
	const uint32_t set = container_of(found, struct peer_rec, by_id)->set;
	struct path_params params = {.id = 1, .weight = 1, .usable = true};
	struct path_info info;

	CU_ASSERT_EQUAL(dataplane_path_info(n->e->dp, &info, set, 1), ERR_OK);
	params.addr = info.addr;
	params.port = info.port;
	CU_ASSERT_EQUAL(dataplane_path_put(n->e->dp, set, &params), ERR_OK);
}

/* A peer that goes on sending by it is waited for as long as it was said, and no longer. */
static void test_M15_bound(void)
{
	begin_two();
	CU_ASSERT_EQUAL(remove_path(1, false, 5), ERR_OK);
	stay(right);
	hosts_run(ENGINE_LEAVE_NS / NS_PER_MS - 100);
	CU_ASSERT(happened(left, "M2"));
	hosts_run(200);
	CU_ASSERT(both_have("2", 2));
	CU_ASSERT_EQUAL(told(right, ENGINE_PATH_DRAINED, 1), 0);
	CU_ASSERT(happened(left, "M2G1O1"));
	CU_ASSERT(strstr(left->news_text, "in vain") != NULL);
	hosts_end();
}

/* Another request is under way, so that the peer hears long after that the path is left: nobody
 * says before what comes of it. */
static void test_M15_peer_hears_late(void)
{
	struct ike_select sel = {.conn = "gw"};
	uint32_t num;

	begin_two();
	right->no_ike = true;
	CU_ASSERT_EQUAL(engine_rekey(left->e, &num, &sel), ERR_OK);
	hosts_run(5);
	CU_ASSERT_EQUAL(remove_path(1, false, 2 * ENGINE_LEAVE_NS / NS_PER_MS), ERR_OK);
	CU_ASSERT(happened(left, "") && both_have("12", 1));
	right->no_ike = false;
	hosts_run(10000);
	CU_ASSERT(both_have("2", 2) && cross());
	CU_ASSERT(happened(left, "M2D1G1O1") && happened(right, "M2D1G1"));
	hosts_end();
}

/* The only one that carries stays, and carries as before. */
static void test_M15_only_one(void)
{
	begin_two();
	hosts_hole(LEFT2);
	hosts_run(60000);
	CU_ASSERT_EQUAL(told(left, ENGINE_PATH_LOST, 2), 1);
	forget_news();
	CU_ASSERT_EQUAL(remove_path(1, false, 1000), ERR_OK);
	CU_ASSERT(cross());
	hosts_run(1500);
	CU_ASSERT(happened(left, "R1") && left->news[0].own && answers(left) == 1);
	CU_ASSERT(strstr(left->news_text, "no other path carries") != NULL);
	CU_ASSERT(both_have("12", 1) && cross());
	CU_ASSERT(!sa_of(left).path_list[0].leaving && !sa_of(right).path_list[0].leaving);
	CU_ASSERT_EQUAL(remove_path(1, true, 5), ERR_OK); /* unless that is meant */
	CU_ASSERT(told(left, ENGINE_PATH_GONE, 1) == 1);  /* of which the peer has not heard */
	hosts_hole(NULL);
	hosts_end();
}

/* The other one goes while it is left, and so it is the last one: it stays, and carries as before.
 */
static void test_M15_other_goes(void)
{
	begin_two();
	CU_ASSERT_EQUAL(remove_path(1, false, 5), ERR_OK);
	CU_ASSERT_EQUAL(say_at(right, ENGINE_PATH_REMOVE, 2, NULL, NULL), ERR_OK);
	hosts_run(3000);
	CU_ASSERT(both_have("1", 1) && cross());
	CU_ASSERT(!sa_of(left).path_list[0].leaving && !sa_of(right).path_list[0].leaving);
	CU_ASSERT(happened(left, "M2G2M1R1") && last(left)->own);
	CU_ASSERT(strstr(left->news_text, "no other path carries") != NULL);
	hosts_end();
}

/* Its address goes before it does, and comes again: the path was removed, and stays so. */
static void test_M15_address_goes(void)
{
	begin("path_policy = failover", 2);
	CU_ASSERT(both_have("12", 1));
	CU_ASSERT_EQUAL(say(ENGINE_PATH_SOFT, 2, NULL), ERR_OK);
	forget_news();
	CU_ASSERT_EQUAL(remove_path(2, false, 5), ERR_OK);
	CU_ASSERT(both_have("12", 1));
	hosts_address(left, LEFT2, false);
	hosts_run(SOON);
	CU_ASSERT(both_have("1", 1) && answers(left) == 1);
	hosts_address(left, LEFT2, true);
	hosts_run(3000);
	CU_ASSERT(both_have("1", 1));
	hosts_end();
}

/* The connection goes while a path of it is left. */
static void test_M15_connection_goes(void)
{
	struct ike_select sel = {.conn = "gw"};
	uint32_t num;

	begin_two();
	CU_ASSERT_EQUAL(remove_path(1, false, 5), ERR_OK);
	CU_ASSERT_EQUAL(engine_down(left->e, &num, &sel), ERR_OK);
	hosts_run(SOON);
	CU_ASSERT_EQUAL(answers(left), 1);
	CU_ASSERT_EQUAL(told(left, ENGINE_PATH_REFUSED, 1), 1);
	CU_ASSERT_STRING_EQUAL(left->news_text, "the connection has gone");
	hosts_end();
}

/* strangers - answers to requests that nobody made. */
static uint32_t strangers(const struct node *n)
{
	uint32_t num = 0;

	for (uint32_t i = 0; i < n->num_news && i < NEWS_MAX; i++)
		num += n->news[i].request && n->news[i].request != request;
	return num;
}

/* The path fails before the peer has heard that it is left, and cannot be removed: who asked is
 * told that, nobody is told more, and it carries when it is back. */
static void test_M15_cannot_be_removed(void)
{
	struct engine_path_request req = {.act = ENGINE_PATH_ADD, .name = "gw"};
	struct ike_select sel = {.conn = "gw"};
	uint16_t path;
	uint32_t num;

	begin_two();
	right->no_ike = true;
	CU_ASSERT_EQUAL(engine_rekey(left->e, &num, &sel), ERR_OK);
	hosts_run(5);
	CU_ASSERT_EQUAL(remove_path(1, false, 5), ERR_OK);
	hosts_address(left, LEFT3, true);
	CU_ASSERT(ip_addr_parse(&req.local, LEFT3) == ERR_OK);
	while (engine_path(left->e, &num, &path, &req, why) == ERR_OK) /* no room for another one */
		;
	hosts_hole(LEFT);
	for (int i = 0; i < 300; i++) {
		(void)cross();
		hosts_run(2);
	}
	CU_ASSERT_EQUAL(told(left, ENGINE_PATH_LOST, 1), 1);
	CU_ASSERT(answers(left) == 1 && told(left, ENGINE_PATH_REFUSED, 1) == 1);
	hosts_hole(NULL);
	right->no_ike = false;
	hosts_run(30000);
	CU_ASSERT_EQUAL(answers(left), 1);
	CU_ASSERT_EQUAL(strangers(left), 0);
	CU_ASSERT_TRUE(list_empty(&left->e->leavings));
	CU_ASSERT_FALSE(sa_of(left).path_list[0].leaving || sa_of(right).path_list[0].leaving);
	hosts_end();
}

/* The connection goes while the peer is told that a path does, and of something else. */
static void test_M15_never_answered(void)
{
	struct engine_path_request req = {.act = ENGINE_PATH_PREFER, .name = "gw", .id = 2};
	uint16_t path;
	uint32_t num;

	begin_two();
	CU_ASSERT_EQUAL(remove_path(1, false, 5), ERR_OK);
	right->no_ike = true;
	hosts_run(SOON);
	req.request = request + 1;
	CU_ASSERT_EQUAL(engine_path(left->e, &num, &path, &req, why), ERR_OK);
	CU_ASSERT_EQUAL(answers(left), 0);
	hosts_run(200000);
	CU_ASSERT_EQUAL(left->num_down, 1);
	CU_ASSERT_EQUAL(answers(left), 1);
	CU_ASSERT_EQUAL(strangers(left), 1); /* the other one's */
	CU_ASSERT_TRUE(list_empty(&left->e->leavings));
	hosts_end();
}

/* Re-keyed while a path is left: it is the same path, and goes. */
static void test_M15_rekeyed(void)
{
	struct ike_select sel = {.conn = "gw"};
	uint32_t num;

	begin_two();
	CU_ASSERT_EQUAL(remove_path(1, false, 0), ERR_OK);
	CU_ASSERT_EQUAL(engine_rekey(left->e, &num, &sel), ERR_OK);
	hosts_run(SOON);
	CU_ASSERT(both_have("2", 2) && cross());
	CU_ASSERT_EQUAL(answers(left), 1);
	hosts_end();
}

/* struct meddler - an observer that moves the traffic when the last packets of a path have come.
 * within: it is being told now; nested: it was told something else meanwhile. */
struct meddler {
	struct engine_observer observer;
	uint16_t to;
	bool within, nested;
	enum err err;
};

static void meddle(struct engine_observer *o, const struct engine_path_event *ev)
{
	struct meddler *m = container_of(o, struct meddler, observer);
	const struct engine_path_request req = {
		.act = ENGINE_PATH_SOFT, .name = "gw", .id = m->to, .request = ++request};
	char text[ENGINE_TEXT_MAX];
	uint32_t num;
	uint16_t path;

	m->nested |= m->within;
	m->within = true;
	if (ev->news == ENGINE_PATH_DRAINED && m->to) {
		m->to = 0;
		m->err = engine_path(left->e, &num, &path, &req, text);
	}
	m->within = false;
}

/* Whoever is told that the last packets have come may say something of paths at once: everybody
 * hears of one thing after the other, and once. */
static void test_M15_said_when_told(void)
{
	struct meddler m = {.observer.path = meddle, .to = 1, .err = ERR_SYS};

	begin_two();
	engine_observe(left->e, &m.observer);
	CU_ASSERT_EQUAL(say(ENGINE_PATH_SOFT, 2, NULL), ERR_OK);
	hosts_run(SOON);
	CU_ASSERT_EQUAL(m.err, ERR_OK);
	CU_ASSERT_FALSE(m.nested);
	CU_ASSERT(both_have("12", 1) && cross());
	CU_ASSERT_EQUAL(told(left, ENGINE_PATH_DRAINED, 1), 1);
	CU_ASSERT_EQUAL(told(left, ENGINE_PATH_MOVED, 1), 1);
	engine_unobserve(left->e, &m.observer);
	hosts_end();
}

static void nothing(struct timer *timer, uint64_t now_ns)
{
	(void)timer, (void)now_ns;
}

/* going - the peer is told that a path goes, by the last request. */
static void going(uint64_t peer)
{
	struct leaving *l = mem_alloc(sizeof(*l));

	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	l->engine = left->e;
	l->peer = peer;
	l->request = request;
	l->id = 1;
	l->removing = true;
	l->answered = true;
	l->note = "as it was";
	timer_init(&l->timer, nothing);
	list_push_back(&left->e->leavings, &l->node);
}

/* One request about paths to several peers: each of them answers for its own. */
static void test_M15_of_several_peers(void)
{
	begin_two();
	going(1000);
	going(1001);
	CU_ASSERT_PTR_NULL(path_leave_end(left->e, 1002, request, false));
	CU_ASSERT_PTR_NOT_NULL(path_leave_end(left->e, 1001, request, false));
	CU_ASSERT_PTR_NULL(path_leave_end(left->e, 1001, request, false));
	CU_ASSERT_PTR_NOT_NULL(path_leave_end(left->e, 1000, request, false));
	CU_ASSERT_TRUE(list_empty(&left->e->leavings));
	hosts_end();
}

/* cut - the peers hear nothing more of IKE once the first of them has a new IKE SA. */
static void cut(struct engine_observer *o, const struct ike_event *ev)
{
	(void)o;
	right->no_ike |= ev->kind == IKE_EVENT_IKE_REKEYED;
}

/* Both sides re-key, and there are three IKE SAs when the path is to go: it goes with the one that
 * has the paths. Which one that is is chance. */
static void test_M15_rekeyed_by_both(void)
{
	for (int i = 0; i < 24; i++) {
		struct engine_observer of_left = {.event = cut}, of_right = {.event = cut};
		struct ike_select sel = {.conn = "gw"};
		uint32_t num;

		begin_two();
		engine_observe(left->e, &of_left);
		engine_observe(right->e, &of_right);
		CU_ASSERT_EQUAL(remove_path(1, false, 1), ERR_OK);
		CU_ASSERT_EQUAL(engine_rekey(left->e, &num, &sel), ERR_OK);
		CU_ASSERT_EQUAL(engine_rekey(right->e, &num, &sel), ERR_OK);
		hosts_run(SOON);
		CU_ASSERT_EQUAL(answers(left), 0);
		engine_unobserve(left->e, &of_left);
		engine_unobserve(right->e, &of_right);
		right->no_ike = false;
		hosts_run(60000);
		CU_ASSERT(both_have("2", 2) && cross());
		CU_ASSERT_EQUAL(answers(left), 1);
		CU_ASSERT_EQUAL(told(left, ENGINE_PATH_DONE, 1), 1);
		hosts_end();
	}
}

/* A hard move to an address that no path begins at yet: it comes, and the first one goes. */
static void test_M4_by_command(void)
{
	begin("", 2);
	CU_ASSERT_EQUAL(say(ENGINE_PATH_HARD, 0, LEFT2), ERR_OK);
	CU_ASSERT(both_have("2", 2));
	CU_ASSERT(went_by(LEFT2) && cross());
	hosts_end();
}

/* The first of three goes: traffic moves to the third, and nobody hears of the second. */
static void test_M4_told_once(void)
{
	begin("", 3);
	priority = 1;
	CU_ASSERT_EQUAL(say(ENGINE_PATH_ADD, 0, LEFT2), ERR_OK);
	priority = 2;
	CU_ASSERT_EQUAL(say(ENGINE_PATH_ADD, 0, LEFT3), ERR_OK);
	CU_ASSERT(both_have("123", 1));
	forget_news();
	CU_ASSERT_EQUAL(say(ENGINE_PATH_HARD, 3, NULL), ERR_OK);
	CU_ASSERT(both_have("23", 3));
	for (int i = 0; i < 2; i++) {
		struct node *n = i ? right : left;

		CU_ASSERT_EQUAL(told(n, ENGINE_PATH_GONE, 1), 1);
		CU_ASSERT_EQUAL(told(n, ENGINE_PATH_MOVED, 3), 1);
		CU_ASSERT_EQUAL(told(n, ENGINE_PATH_MOVED, 2), 0);
	}
	hosts_end();
}

/* Neither a change of addresses nor another configuration undoes what was said. */
static void test_M2_what_was_said_stays(void)
{
	begin("path_policy = failover", 2);
	CU_ASSERT(both_have("12", 1));
	CU_ASSERT_EQUAL(say(ENGINE_PATH_REMOVE, 0, LEFT), ERR_OK);
	CU_ASSERT(both_have("2", 2));
	hosts_address(left, LEFT3, true);
	hosts_run(SOON);
	CU_ASSERT(both_have("23", 2));
	hosts_load(left, conf_of(true, "path_policy = failover\n mobike = no"));
	hosts_run(SOON);
	CU_ASSERT(both_have("23", 2));
	CU_ASSERT_EQUAL(say(ENGINE_PATH_ADD, 0, LEFT), ERR_OK);
	CU_ASSERT(both_have("234", 2));
	hosts_end();
}

/* What the peer refuses is taken back, and is not said again. */
static void test_M10_refused(void)
{
	begin("path_policy = failover", 1);
	hosts_address(left, LEFT2, true);
	hosts_run(SOON);
	forget_news();
	CU_ASSERT_EQUAL(say_at(left, ENGINE_PATH_ADD, 0, LEFT2, NOBODY), ERR_OK);
	CU_ASSERT_EQUAL(told(left, ENGINE_PATH_REFUSED, 3), 1);
	CU_ASSERT_EQUAL(last(left)->news == ENGINE_PATH_GONE || left->news_text[0], true);
	CU_ASSERT(both_have("12", 1));
	forget_news();
	hosts_address(left, LEFT3, true);
	hosts_run(SOON);
	CU_ASSERT(both_have("124", 1));
	CU_ASSERT_EQUAL(told(left, ENGINE_PATH_NEW, 5), 0); /* it is not said once more */
	hosts_end();
}

/* A request ends with the connection, also if the peer never says anything. */
static void test_M10_no_answer(void)
{
	begin("", 2);
	right->deaf = true;
	CU_ASSERT_EQUAL(say(ENGINE_PATH_ADD, 0, LEFT2), ERR_OK);
	CU_ASSERT_EQUAL(told(left, ENGINE_PATH_REFUSED, 0), 0);
	hosts_run(200000);
	CU_ASSERT_EQUAL(left->num_down, 1);
	CU_ASSERT_EQUAL(told(left, ENGINE_PATH_REFUSED, 0), 1);
	CU_ASSERT_EQUAL(last(left)->request, request);
	CU_ASSERT_STRING_EQUAL(left->news_text, "the connection has gone");
	hosts_end();
}

/* What was said goes with the IKE SA: a new one begins with what is configured. */
static void test_M2_said_of_one_connection(void)
{
	struct ike_select sel = {.conn = "gw"};
	uint32_t num;

	begin("path_policy = failover", 2);
	CU_ASSERT_EQUAL(say(ENGINE_PATH_REMOVE, 2, NULL), ERR_OK);
	CU_ASSERT(both_have("1", 1));
	CU_ASSERT_EQUAL(engine_rekey(left->e, &num, &sel), ERR_OK);
	hosts_run(SOON);
	hosts_address(left, LEFT3, true);
	hosts_run(SOON);
	CU_ASSERT(both_have("13", 1)); /* the same series: the second is still away */
	CU_ASSERT_EQUAL(engine_down(left->e, &num, &sel), ERR_OK);
	hosts_run(SOON);
	CU_ASSERT_EQUAL(engine_up(left->e, "gw", "net", engine_request(left->e)), ERR_OK);
	hosts_run(SOON);
	CU_ASSERT(both_have("123", 1));
	hosts_end();
}

/* Who follows proposes, and says nothing of the order. */
static void test_M10_follower_by_command(void)
{
	begin("", 1);
	hosts_address(right, "198.51.100.2", true);
	CU_ASSERT_EQUAL(say_at(right, ENGINE_PATH_SOFT, 1, NULL, NULL), ERR_PERM);
	CU_ASSERT(strstr(why, "the peer decides") != NULL);
	CU_ASSERT_EQUAL(say_at(right, ENGINE_PATH_ADD, 0, "198.51.100.2", NULL), ERR_OK);
	CU_ASSERT_EQUAL(told(right, ENGINE_PATH_DONE, 0), 1);
	CU_ASSERT(both_have("1", 1));
	hosts_end();
}

/* What cannot be is said in a sentence that says what to change. */
static void test_M10_not_possible(void)
{
	static const struct {
		enum engine_path_act act;
		uint16_t id;
		const char *local, *remote;
		enum err err;
		const char *text;
	} cannot[] = {
		{ENGINE_PATH_SOFT, 9, NULL, NULL, ERR_NOT_FOUND, "has no path 9"},
		{ENGINE_PATH_PREFER, 0, NOBODY, NULL, ERR_NOT_FOUND, "has no path at " NOBODY},
		{ENGINE_PATH_HARD, 0, NOBODY, NULL, ERR_NOT_FOUND, "has no path at " NOBODY},
		{ENGINE_PATH_REMOVE, 0, NOBODY, NULL, ERR_NOT_FOUND, "has no path at " NOBODY},
		{ENGINE_PATH_REMOVE, 1, NULL, NULL, ERR_PERM, "keeps its last path"},
		{ENGINE_PATH_ADD, 0, NOBODY, NULL, ERR_INVAL, "no address of this host"},
		{ENGINE_PATH_ADD, 0, LEFT, NULL, ERR_EXISTS, "is path 1 of gw already"},
		{ENGINE_PATH_ADD, 0, LEFT2, "2001:db8::1", ERR_INVAL, "can be no path"},
		{ENGINE_PATH_ADD, 0, LEFT2, "127.0.0.1", ERR_INVAL, "can be no path"},
	};

	begin("", 2);
	for (size_t i = 0; i < ARRAY_LEN(cannot); i++) {
		CU_ASSERT_EQUAL(say_at(left, cannot[i].act, cannot[i].id, cannot[i].local,
				       cannot[i].remote),
				cannot[i].err);
		CU_ASSERT(strstr(why, cannot[i].text) != NULL);
		if (!strstr(why, cannot[i].text))
			tap_diag("%zu: %s", i, why);
	}
	CU_ASSERT(both_have("1", 1));
	hosts_end();
	begin("multiple_interfaces = no", 2);
	CU_ASSERT_EQUAL(say(ENGINE_PATH_ADD, 0, LEFT2), ERR_UNSUPPORTED);
	CU_ASSERT(strstr(why, "multiple_interfaces on both sides") != NULL);
	hosts_end();
}

/* refuses - why what is asked for cannot be. */
static bool refuses(const struct engine_path_request *req, enum err err, const char *text)
{
	uint32_t num = 7;
	uint16_t id;
	const bool refused =
		engine_path(left->e, &num, &id, req, why) == err && num == 0 && strstr(why, text);

	if (!refused)
		tap_diag("%s", why);
	return refused;
}

/* The same of a part of the traffic, and of whom. */
static void test_M10_not_possible_of_a_part(void)
{
	struct engine_path_request req = {.act = ENGINE_PATH_SOFT, .name = "nobody", .id = 1};
	uint32_t num;
	uint16_t id;

	begin("", 2);
	CU_ASSERT(refuses(&req, ERR_NOT_FOUND, "nothing called 'nobody' is up"));
	req.name = "gw";
	req.tag = "voice";
	CU_ASSERT(refuses(&req, ERR_NOT_FOUND, "no child of gw that is up has path_tag = voice"));
	req.id = 9;
	CU_ASSERT(refuses(&req, ERR_NOT_FOUND, "has no path 9"));
	CU_ASSERT(ip_addr_parse(&req.local, LEFT2) == ERR_OK);
	req.id = 0; /* a part of the traffic makes no path */
	CU_ASSERT(refuses(&req, ERR_NOT_FOUND, "has no path at " LEFT2));
	req = (struct engine_path_request){.act = ENGINE_PATH_SOFT, .id = 1};
	req.name = "right.example"; /* a peer's name does as well */
	CU_ASSERT_EQUAL(engine_path(left->e, &num, &id, &req, why), ERR_OK);
	hosts_run(SOON);
	hosts_end();
	begin("multiple_interfaces = no", 2);
	req.id = 0;
	CU_ASSERT(ip_addr_parse(&req.local, LEFT) == ERR_OK);
	req.tag = "voice";
	CU_ASSERT(refuses(&req, ERR_UNSUPPORTED, "moves all of its traffic or none"));
	hosts_end();
}

static const struct tap_test tests[] = {
	TAP_TEST(test_M1_configured),
	TAP_TEST(test_M1_silent_path),
	TAP_TEST(test_M6_lost_and_back),
	TAP_TEST(test_M6_link_goes_down),
	TAP_TEST(test_M3_by_command),
	TAP_TEST(test_M15_in_order),
	TAP_TEST(test_M15_now),
	TAP_TEST(test_M15_dies_meanwhile),
	TAP_TEST(test_M15_bound),
	TAP_TEST(test_M15_peer_hears_late),
	TAP_TEST(test_M15_only_one),
	TAP_TEST(test_M15_address_goes),
	TAP_TEST(test_M15_connection_goes),
	TAP_TEST(test_M15_other_goes),
	TAP_TEST(test_M15_cannot_be_removed),
	TAP_TEST(test_M15_never_answered),
	TAP_TEST(test_M15_rekeyed),
	TAP_TEST(test_M15_rekeyed_by_both),
	TAP_TEST(test_M15_of_several_peers),
	TAP_TEST(test_M15_said_when_told),
	TAP_TEST(test_M4_by_command),
	TAP_TEST(test_M4_told_once),
	TAP_TEST(test_M2_what_was_said_stays),
	TAP_TEST(test_M10_refused),
	TAP_TEST(test_M10_no_answer),
	TAP_TEST(test_M2_said_of_one_connection),
	TAP_TEST(test_M10_follower_by_command),
	TAP_TEST(test_M10_not_possible),
	TAP_TEST(test_M10_not_possible_of_a_part),
};
TAP_MAIN("api/paths", tests)
