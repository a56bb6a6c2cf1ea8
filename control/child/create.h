/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create.h - what CREATE_CHILD_SA for new Child SAs and for re-keys share. Control thread.
 */
#pragma once

#include "control/ike/step.h"

/* child_refused - the peer's error as a failure for people. Errors: PEER, always. */
MUST_USE enum err child_refused(struct step *s, const struct wire_notify *n) NONNULL(1, 2);

/* child_try_again - begin anew with another group or after a while if the error allows it, else
 * child_refused(). */
MUST_USE enum err child_try_again(struct step *s, const struct wire_notify *n) NONNULL(1, 2);
