/* SPDX-License-Identifier: Apache-2.0 */
/*
 * puzzle.h - puzzles as initiator (RFC 8019 7.1.2): what the responder wants solved is asked of the
 * caller, who may take his time (IKE_ASK_PUZZLE). What is too difficult, or takes too long, is left
 * out: the responder may have room for some who do not solve any. Control thread.
 */
#pragma once

#include "control/ike/sa.h"

/* puzzle_in_vain - if a puzzle was not solved, say so in text, as why nobody answers. */
void puzzle_in_vain(char *text, size_t size, const struct ike_sa *sa) NONNULL(1, 3);
