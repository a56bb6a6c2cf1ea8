/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trio.h - three hosts for latches: "here" is the one whose applications ask; "bob" is who they
 * want; "mallory" is another peer that is as authentic, and claims the same addresses behind it.
 * One thread.
 */
#pragma once

#include "tests/api/hosts.h"

#define HERE    "192.0.2.1"
#define BOB     "192.0.2.2"
#define MALLORY "192.0.2.3"

extern struct node *here, *bob, *mallory;

/* PEER - a connection of here's with this peer; mode: of child "net", "" or lines. SECRETS - those
 * of all three. */
#define PEER(name, addr, action, mode)                                                \
	"  " name " { local_addrs = " HERE "\n remote_addrs = " addr "\n"             \
	"   local { auth = psk\n id = here.example }\n"                               \
	"   remote { auth = psk\n id = " name ".example }\n"                          \
	"   children { net { local_ts = 10.1.0.0/24\n remote_ts = 10.2.0.0/24\n" mode \
	"    start_action = " action "\n } } }\n"

#define SECRETS                                                                                  \
	"secrets {\n"                                                                            \
	" ike-a { secret = bobs-own-secret-0123456789\n id1 = here.example\n id2 = bob.example " \
	"}\n"                                                                                    \
	" ike-b { secret = mallorys-own-secret-01234\n id1 = here.example\n id2 = "              \
	"mallory.example }\n"                                                                    \
	"}\n"

/* HERE_CONF - here's configuration. peer_conf - that of another one, in a static buffer. */
#define HERE_CONF                                      \
	"connections {\n" PEER("bob", BOB, "none", "") \
		PEER("mallory", MALLORY, "none", "") "}\n" SECRETS
const char *peer_conf(const char *name, const char *addr);

/* trio_up - three hosts, and no SA; hosts_end() takes them away. bob_up, mallory_up - here has one
 * with this peer, both for the same addresses. */
void trio_up(void);
void bob_up(void);
void mallory_up(void);

/* trio_params - what a program asks for: a latch of the flow from this port of here's to port 9
 * behind the peer that is called so; "": any. trio_latch - asks, and asserts that there is one; its
 * number. trio_get - how it is; CLOSED for IKE_NUM_REASONS: there is none. */
struct app_latch_params trio_params(uint16_t port, const char *peer);
uint64_t trio_latch(uint16_t port, const char *peer);
struct app_latch trio_get(uint64_t id);
