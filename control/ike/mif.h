/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mif.h - an IKE SA with several paths (docs/multiple-interfaces.md): who can do it, who decides,
 * and which path IKE itself goes by. Control thread.
 */
#pragma once

#include "control/ike/step.h"

/* mif_show - our vendor ID into an IKE_SA_INIT message, if connection and data path are for it.
 * mif_seen - from the peer's; sets hs->mif_vendor. */
void mif_show(struct step *s) NONNULL(1);
void mif_seen(struct step *s) NONNULL(1);

/* mif_offer - MIF_SUPPORTED into an IKE_AUTH message, if both have shown the vendor ID and, as
 * responder, the peer offered it. mif_take - from the peer's, once sa->conn is known. */
void mif_offer(struct step *s) NONNULL(1);
void mif_take(struct step *s) NONNULL(1);

/* mif_begin - the IKE SA is up: path 1 is where it goes. mif_end - forget all. */
void mif_begin(struct ike_sa *sa) NONNULL(1);
void mif_end(struct ike_sa *sa) NONNULL(1);

/* mif_inherit - an IKE SA that takes another one's place goes on as that one. */
void mif_inherit(struct ike_sa *sa, struct ike_sa *old) NONNULL(1, 2);

struct ike_child;

/* mif_tie_like - a child goes by the path that the one which it replaces was tied to, if any. */
void mif_tie_like(struct ike_child *c, const struct ike_child *old) NONNULL(1);

/* mif_announce - the data path has the IKE SA's path set now: it is told of what is in it. */
void mif_announce(struct ike_sa *sa) NONNULL(1);

/* mif_rules - operations say where it goes, and no longer MOBIKE: there are several paths, or the
 * first one is gone. */
bool mif_rules(const struct ike_sa *sa) NONNULL(1);

/* mif_first - IKE goes by path 1: MOBIKE may say that this one is elsewhere. */
bool mif_first(const struct ike_sa *sa) NONNULL(1);

/* mif_settle - IKE goes by the best path that is usable: after any change of the table. */
void mif_settle(struct ike_sa *sa, uint64_t now_ns) NONNULL(1);

/* mif_moved - the path that IKE goes by has sa->path's addresses from now on. Errors: NOMEM (then
 * nothing has changed). */
MUST_USE enum err mif_moved(struct ike_sa *sa) NONNULL(1);

/* mif_first_moved - path 1 goes along path from now on, and IKE by another one. */
void mif_first_moved(struct ike_sa *sa, const struct path_addr *path, uint16_t port) NONNULL(1, 2);

/* struct mif_pending - an operation of ours, to be sent or under way. */
struct mif_pending {
	struct list_node node;
	struct mif_op op;               /* without the bytes of its selector */
	const struct conf_child *child; /* SOFT, HARD of these children alone; NULL: of all */
	uint32_t child_id;              /* or of this one; 0: not so */
	char tag[MIF_TAG_MAX];          /* of a selector of a domain */
	uint8_t tag_len;                /* bytes of it */
	uint16_t port;
	bool sent;
	uint64_t request; /* that it serves, 0 = none */
	uint8_t *bytes;   /* as it is sent; it stays like this */
	size_t len;
};

/* mif_pending_free - one that is in no list; NULL is accepted. */
void mif_pending_free(struct mif_pending *p);

/* mif_news - IKE_ACTION_PATH_NEWS, lost if memory is short; path may be NULL. */
void mif_news(struct ike_sa *sa, const struct ike_path_say *say, const struct path_addr *path)
	NONNULL(1, 2);

/* mif_next - the data of the next notify of a type, from payload *at on; false at the end. */
bool mif_next(struct bytes *out, const struct ike_msg *m, uint16_t type, uint32_t *at)
	NONNULL(1, 2, 4);
