/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/api/trio.h"

#include <stdio.h>

#include "tests/tap/tap.h"

struct node *here, *bob, *mallory;

const char *peer_conf(const char *name, const char *addr)
{
	static char text[1500];

	snprintf(text, sizeof(text),
		 "connections { here { local_addrs = %s\n remote_addrs = " HERE "\n"
		 " local { auth = psk\n id = %s.example }\n"
		 " remote { auth = psk\n id = here.example }\n"
		 " children { net { local_ts = 10.2.0.0/24\n remote_ts = 10.1.0.0/24 } } } "
		 "}\n" SECRETS,
		 addr, name);
	return text;
}

void trio_up(void)
{
	hosts_begin();
	here = hosts_add(HERE, HERE_CONF);
	bob = hosts_add(BOB, peer_conf("bob", BOB));
	mallory = hosts_add(MALLORY, peer_conf("mallory", MALLORY));
}

struct app_latch_params trio_params(uint16_t port, const char *peer)
{
	struct app_latch_params p = {.flow = hosts_flow(1, port, 2, 9), .client = 1, .uid = 1000};

	snprintf(p.demand.peer, sizeof(p.demand.peer), "%s", peer);
	return p;
}

uint64_t trio_latch(uint16_t port, const char *peer)
{
	const struct app_latch_params p = trio_params(port, peer);
	char text[APP_TEXT_MAX] = "";
	uint64_t id = 0;

	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &id, &p, text), ERR_OK);
	if (text[0])
		tap_diag("%s", text);
	return id;
}

struct app_latch trio_get(uint64_t id)
{
	struct app_latch l = {.state = LATCH_CLOSED, .reason = IKE_NUM_REASONS};

	(void)!here->app.ops->latch_info(here->app.ctx, &l, id);
	return l;
}

void mallory_up(void)
{
	CU_ASSERT_EQUAL(engine_up(here->e, "mallory", "net", 0), ERR_OK);
	hosts_run(100);
}

void bob_up(void)
{
	CU_ASSERT_EQUAL(engine_up(here->e, "bob", "net", 0), ERR_OK);
	hosts_run(100);
}
