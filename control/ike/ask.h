/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask.h - questions to the caller. An IKE SA has at most one open; the exchange in the other
 * direction waits for its turn. Control thread.
 */
#pragma once

#include "control/ike/step.h"

/* ask_init - the slot of an exchange of sa. */
void ask_init(struct ask_slot *slot, struct ike_sa *sa) NONNULL(1, 2);

/* ask_close - the question needs no answer any more; a slot without one is accepted. The SA's other
 * question is put if it waited. */
void ask_close(struct ask_slot *slot) NONNULL(1);
