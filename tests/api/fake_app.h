/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_app: an engine as applications see it (api/engine/app.h) that protects nothing: it keeps
 * latches, answers as it is told to, and inspects true sockets. One thread.
 */
#pragma once

#include "api/engine/app.h"
#include "base/host.h"

#define FAKE_APP_LATCHES 256
#define FAKE_APP_CLASSES 8

/* struct fake_class - reaches: sockets bound to this local port; 0 = none. */
struct fake_class {
	uint32_t token;
	uint16_t reaches;
	struct auth_proof *proof;
	struct app_quality quality;
};

struct fake_app {
	struct app_backend backend; /* what is handed to the code under test */
	uint64_t now_ns;            /* 0: the clock's time */

	/* What it answers. */
	enum err create_result, decide_result, mark_result;
	enum latch_state create_state; /* that a latch has at once; LARVAL */
	struct flow pair;              /* that sockets have beside their own */
	uint64_t foreign[4];           /* cookies of sockets that are of another network */
	bool dead;                     /* TCP sockets have no connection */
	bool populated;                /* groups outlive their clients */
	bool any_flow;                 /* flow_token knows every flow */
	struct fake_class classes[FAKE_APP_CLASSES];
	struct app_profile profiles[8];
	uint32_t num_profiles;
	bool no_marks;           /* has_marks() */
	uint32_t ifindex, of_it; /* interface_token(): its class; 0 = none */
	uint32_t holds_ms;       /* and for how long */

	enum err path_result; /* path(): with the text "it is so" */
	uint32_t path_peers;  /* how many IKE SAs do it */

	/* What it was told. */
	struct engine_path_request path; /* its name in path_name */
	char path_name[300];
	struct app_latch latches[FAKE_APP_LATCHES];
	uint32_t num_latches;
	uint64_t last_id;
	struct app_latch_params created;
	struct app_demand reauthenticated;
	struct host_socket seen;
	uint64_t deleted, triggered, gone;
	struct app_demand grouped; /* by cgroup_demand() */
	uint32_t marked;
	uint64_t decided_client, decided;
	bool accepted;
	uint32_t num_decided, num_inspected, num_asked;
	struct ip_addr to; /* by interface_token() */
	struct app_profile set;
	char secret[64], ids[128];
	uint32_t num_certs;
	bool authority;

	/* Where events go. */
	void (*tell)(void *ctx, const struct app_event *event);
	void *tell_ctx;
};

/* fake_app_init - profiles "secure", "authenticated" (integrity alone) and "bypass"; class 7, which
 * is "peer.example" by a raw key and reaches no port. */
void fake_app_init(struct fake_app *f);
void fake_app_fini(struct fake_app *f);

/* fake_app_state - a latch gets another state, and an event says so. fake_app_gone -
 * it is CLOSED, and no more. fake_app_spawn - a listener gets a connection. fake_app_ask - may this
 * peer? NULL reason texts are "". */
void fake_app_state(struct fake_app *f, uint64_t id, enum latch_state state, enum ike_reason reason,
		    const char *text);
void fake_app_gone(struct fake_app *f, uint64_t id);
uint64_t fake_app_spawn(struct fake_app *f, uint64_t parent, const struct flow *flow);
void fake_app_ask(struct fake_app *f, uint64_t id, uint64_t ask);

/* fake_app_latch - by id; NULL if it is not there. fake_app_class - by token. */
struct app_latch *fake_app_latch(struct fake_app *f, uint64_t id);
struct fake_class *fake_app_class(struct fake_app *f, uint32_t token);
