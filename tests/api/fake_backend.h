/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_backend: an engine for tests of the management socket, whose SAs and answers are whatever
 * the test says. Time stands still unless the test moves it.
 */
#pragma once

#include "api/engine/backend.h"
#include "api/vici/server.h"

/* struct fake_backend - what it shows and what it was asked. Zero-initialised by fake_init(). */
struct fake_backend {
	struct backend backend; /* give this to the server */
	uint64_t now_ns;
	struct conf *conf;
	uint32_t num_configured; /* configure() calls that were accepted */
	uint32_t num_flushed;
	enum err configure_result;
	enum err load_result; /* of load and check, with one remark each */
	char checked[256];    /* the file that check was last asked about */

	/* Its one SA; shown if sa_up. */
	bool sa_up;
	bool has_port;      /* each_port() tells of one, "wan" */
	uint32_t num_walks; /* each_sa() calls */
	struct ike_sa_info sa;
	struct ike_child_info child;
	struct ts local, remote;
	struct ike_id local_id, remote_id;
	uint32_t num_extra_children; /* as many copies of child */
	struct child_stats stats;

	/* initiate: the result, or OK and then what on_initiate does. */
	enum err initiate_result;
	char conn[64], name[64], tag[64];
	uint64_t request;
	enum err terminate_result;
	struct ike_select select; /* names are copied to conn and name */
	bool forced;
	uint32_t num_rekeyed;
	char redirected[200];
	/* path: what was asked last, its name in conn; the result, with the text "it is so". */
	struct engine_path_request path_request;
	enum err path_result;
	/* on_request - called within initiate, terminate and path, may be NULL. */
	void (*on_request)(struct fake_backend *f);
	void *arg; /* the test's */
};

/* fake_init - an engine with an empty configuration and an SA that is not up: connection "gw",
 * child "net". fake_fini - drop the configuration. */
void fake_init(struct fake_backend *f);
/* fake_agree - its SA has two paths, and this side decides about them. */
void fake_agree(struct fake_backend *f);
void fake_fini(struct fake_backend *f);

/* fake_configure - put a configuration in force from text; asserts that it is valid. */
void fake_configure(struct fake_backend *f, const char *text);

/* fake_answer - a peer's, to the request about a path last made; text: it refuses. */
struct engine_path_event fake_answer(const struct fake_backend *f, const char *text);

/* fake_event - an event about the request last made, for vici_server_event(). */
struct ike_event fake_event(const struct fake_backend *f, enum ike_event_kind kind,
			    enum ike_reason reason, const char *text);
