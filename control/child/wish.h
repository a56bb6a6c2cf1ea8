/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wish.h - what a request wants of a Child SA beyond what the configuration says: the flow's own
 * selectors and no others (narrow), algorithms of its own. It goes from the request by its task and
 * its negotiation to the pair, and on to what takes that one's place. Control thread.
 */
#pragma once

#include "control/engine.h"

/* struct child_wish - immutable and counted. */
struct child_wish {
	uint32_t refs;
	bool narrow;
	struct flow flow; /* narrow */
	uint32_t num_esp; /* 0 = as configured */
	struct conf_proposal esp[];
};

/* wish_new - of a request; *out is NULL if it wants nothing in particular. Errors: INVAL (narrow
 * without a flow, too many proposals, or some for IKE), NOMEM. wish_params - the other way round:
 * p lives as long as w, which may be NULL. */
MUST_USE enum err wish_new(struct child_wish **out, const struct ike_initiate_params *p)
	NONNULL(1, 2);
void wish_params(struct ike_initiate_params *p, const struct child_wish *w) NONNULL(1);

/* wish_get, wish_put - references; both accept NULL. */
struct child_wish *wish_get(struct child_wish *w);
void wish_put(struct child_wish *w);

/* wish_narrow - w is for one flow alone. wish_met - what was made for `had` is what w asks for.
 * NULL: nothing in particular, which everything meets that is not narrow. */
bool wish_narrow(const struct child_wish *w);
bool wish_met(const struct child_wish *w, const struct child_wish *had);

/* wish_esp - the proposals of a child of this configuration: the wish's, or the configured ones. */
const struct conf_proposal *wish_esp(uint32_t *out_num, const struct child_wish *w,
				     const struct conf_child *conf) NONNULL(1, 3);
