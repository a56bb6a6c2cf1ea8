/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backend.h - the running engine as the control sockets see it: a narrow vtable, so that a socket
 * server is tested against a fake and knows neither the event loop nor the data path's internals.
 * Everything here is called on the control thread, and no call may block.
 *
 * What happens later is told by events: the implementer hands every ike_event to the server
 * (vici_server_event), and makes one itself where a request ends before the keying engine saw it
 * (a name that cannot be resolved: IKE_EVENT_FAILED with the request's number).
 */
#pragma once

#include "api/engine/engine.h"
#include "base/tree.h"
#include "control/conf/conf.h"
#include "control/engine.h"
#include "dataplane/dataplane.h"

/* BACKEND_TEXT_MAX - room for one sentence that tells people why. */
#define BACKEND_TEXT_MAX ENGINE_TEXT_MAX

/* struct backend_stats - totals for --stats. */
struct backend_stats {
	int64_t start_wall_s; /* when the daemon started, seconds since 1970 */
	uint64_t uptime_ns;
	struct ike_stats ike;
	struct dataplane_stats data;
};

/* struct backend_initiate - bring up a child (NULL: the IKE SA alone) of a connection. conn may be
 * NULL: then the child's name must be known in one connection. */
struct backend_initiate {
	const char *conn;
	const char *child;
	uint64_t request; /* number to put in the events about it; never 0 */
};

/*
 * struct backend_ops - what the engine does for a control socket. The functions that take `text`
 * write a sentence there for people when they fail (text[0] stays 0 otherwise); NULL members mean
 * "not supported".
 */
struct backend_ops {
	/* now - the engine's clock (that of ike_sa_info's times). */
	uint64_t (*now)(void *ctx);

	/* conf - the configuration in force; borrowed until the loop's next turn. Never NULL. */
	struct conf *(*conf)(void *ctx);

	/* configure - put `next` in force (the implementer takes its own reference): policies of
	 * trapped children, start actions of connections that were not there before or have changed
	 * (conf_conn pointers that the old configuration does not hold), conf of the keying engine.
	 * Existing SAs stay. Errors: any; the old configuration then remains whole. */
	enum err (*configure)(void *ctx, struct conf *next, char text[BACKEND_TEXT_MAX]);

	/* load - read the configuration file again and put it in force: the file alone, what came
	 * by a socket goes. diags hold every remark, also on success. Errors: NOT_FOUND (there is
	 * no file), CONFIG, SYS, NOMEM; the old configuration then remains whole. */
	enum err (*load)(void *ctx, struct conf_diags *diags);

	/* flush - forget what was fetched, and what is known of tokens: it is asked for again when
	 * it is needed. */
	void (*flush)(void *ctx);

	/* check - read and validate a file (NULL: the one load would read) and forget it. Errors:
	 * as load. */
	enum err (*check)(void *ctx, struct conf_diags *diags, const char *file);

	/* initiate - begin. OK: it is under way and ends in exactly one event with this request
	 * number: CHILD_UP (IKE_UP if no child was named) or FAILED. EXISTS: up already, nothing to
	 * do. Other errors: it did not begin, and no event follows. */
	enum err (*initiate)(void *ctx, const struct backend_initiate *what,
			     char text[BACKEND_TEXT_MAX]);

	/* terminate - delete what matches (see ike_terminate; force: do not wait for the peer's
	 * answer). *out_num SAs are on their way down; each ends in one IKE_DOWN or CHILD_DOWN
	 * event with its number (FAILED if it was not up yet). Errors: NOT_FOUND. */
	enum err (*terminate)(void *ctx, uint32_t *out_num, const struct ike_select *sel,
			      bool force);

	/* rekey - re-key what matches; *out_num is how many. Errors: NOT_FOUND. */
	enum err (*rekey)(void *ctx, uint32_t *out_num, const struct ike_select *sel);

	/* redirect - name another gateway to peers, see engine_redirect(). */
	enum err (*redirect)(void *ctx, uint32_t *out_num, const struct engine_redirect *r);

	/* path - change the paths of what is up, see engine_path(); text: why not. */
	enum err (*path)(void *ctx, uint32_t *out_num, uint16_t *out_id,
			 const struct engine_path_request *req, char text[BACKEND_TEXT_MAX]);

	/* paths - those to a peer (engine_paths()), named as in ike_sa_info; returns how many. */
	uint32_t (*paths)(void *ctx, struct engine_path_info out[PATHS_MAX], uint64_t peer);

	/* each_sa - fn for every IKE SA (ike_each_sa). fn does not call the backend's initiate,
	 * terminate, rekey or configure. */
	void (*each_sa)(void *ctx, void (*fn)(void *arg, const struct ike_sa_info *sa), void *arg);

	/* each_lease - fn for every address of a pool that is lent or was (ike_each_lease). */
	void (*each_lease)(void *ctx, const char *pool,
			   void (*fn)(void *arg, const struct ike_lease *l), void *arg);

	/* each_policy - fn for every policy that is installed; fn changes nothing. */
	void (*each_policy)(void *ctx, void (*fn)(void *arg, const struct engine_policy *policy),
			    void *arg);

	/* child_stats - counters of a Child SA by its id. Errors: NOT_FOUND. */
	enum err (*child_stats)(void *ctx, struct child_stats *out, uint64_t child);

	/* path_info - the path in use of an IKE SA by its unique number. Errors: NOT_FOUND. */
	enum err (*path_info)(void *ctx, struct path_info *out, uint32_t ike_id);

	/* each_port - fn for every port of a gateway's (DPDK). */
	void (*each_port)(void *ctx, void (*fn)(void *arg, const struct engine_port_info *port),
			  void *arg);

	/* worker_stats - of one worker; false: there is none of this number. */
	bool (*worker_stats)(void *ctx, struct dataplane_worker_stats *out, uint32_t worker);

	/* stats - totals. drop_name - as dataplane_drop_name. */
	void (*stats)(void *ctx, struct backend_stats *out);
	const char *(*drop_name)(uint32_t i, const char **out_text);
};

/* struct backend - an implementation and its state. */
struct backend {
	const struct backend_ops *ops;
	void *ctx;
};
