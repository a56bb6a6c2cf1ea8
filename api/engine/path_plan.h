/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path_plan.h - which paths an IKE SA should have, by the configuration, the host's addresses and
 * what was said by hand; and what is to be done about those that it has. It touches nothing. Any
 * thread.
 */
#pragma once

#include "base/host.h"
#include "control/engine.h"

/* ADDRS_MAX - addresses of this host that are looked at. OPS_AT_ONCE - operations in one request.
 */
#define ADDRS_MAX   256
#define OPS_AT_ONCE 8

/* struct ours - the host's addresses. */
struct ours {
	struct host_addr list[ADDRS_MAX];
	uint32_t num;
};

/* ours_has - the address is one of them. */
bool ours_has(const struct ours *ours, const struct ip_addr *a) NONNULL(1, 2);

/* enum said_kind - what was said of a path by hand. */
enum said_kind {
	SAID_ADDED,   /* it is wanted, whatever the configuration has */
	SAID_REMOVED, /* it is not */
	SAID_ORDERED, /* it has this priority and weight while the configuration wants it */
};

/* SAID_MAX - paths of a peer that something is known to have been said of. */
#define SAID_MAX 16

/* struct said - all that was said of one peer's paths, oldest first; no two entries are about one
 * path. path: both ends are set. */
struct said {
	struct {
		struct conf_path path;
		enum said_kind kind;
	} list[SAID_MAX];
	uint32_t num;
};

/* said_note - something is said of a path, in place of what was said of it before. If too much was
 * said the oldest is forgotten that took a path away, then one that ordered it. */
void said_note(struct said *s, enum said_kind kind, const struct conf_path *path) NONNULL(1, 3);

/* said_remove - path `id` of the IKE SA goes: that is noted if it would come again by itself. conn
 * may be NULL: it is not configured any more. */
void said_remove(struct said *s, const struct ours *ours, const struct conf_conn *conn,
		 const struct ike_sa_info *sa, uint16_t id) NONNULL(1, 2, 4);

/* said_move - path `id` of the IKE SA goes before all others from now on, as control/ike does it:
 * priority 0, and 1 for others that have it. hard: those that went first are taken away.
 * said_prefer_ops - the operations for the first half of that, where IKE stays where it is; returns
 * how many. */
void said_move(struct said *s, const struct ours *ours, const struct conf_conn *conn,
	       const struct ike_sa_info *sa, uint16_t id, bool hard) NONNULL(1, 2, 4);
uint32_t said_prefer_ops(struct ike_path_op ops[static OPS_AT_ONCE], const struct ike_sa_info *sa,
			 uint16_t id) NONNULL(2);

/* path_resolve - a path of the configuration begins at the address that its interface has now, if
 * it is named by that. False: the interface has none. */
bool path_resolve(struct conf_path *path, const struct ours *ours, const struct conf_conn *conn,
		  const struct ike_sa_info *sa) NONNULL(1, 2, 3, 4);

/* path_is - the IKE SA's path is the one that is wanted. */
bool path_is(const struct ike_path_info *p, const struct conf_path *want) NONNULL(1, 2);

/* struct path_ops - operations for one IKE SA; all of them fit. */
struct path_ops {
	struct ike_path_op op[2 * CONF_MAX_PATHS + 8];
	uint32_t num;
};

/* path_encap_of - how ESP goes by a new path of the IKE SA: as by those that it has. */
uint8_t path_encap_of(const struct ike_sa_info *sa) NONNULL(1);

/* path_plan - what is to be done so that the IKE SA has the paths that are wanted. said may be
 * NULL; port: the outer port of the data path that new ones use. */
void path_plan(struct path_ops *out, const struct ours *ours, const struct conf_conn *conn,
	       const struct ike_sa_info *sa, const struct said *said, uint16_t port)
	NONNULL(1, 2, 3, 4);
