/* SPDX-License-Identifier: Apache-2.0 */
/*
 * puzzle.h - puzzles as initiator (RFC 8019 7.1.2): what the responder wants solved is asked of the
 * caller, who may take his time (IKE_ASK_PUZZLE). What is too difficult, or takes too long, is left
 * out: the responder may have room for some who do not solve any.
 *
 * Whoever has seen the request can ask for a puzzle. So the request stays under way while one is
 * solved, is repeated as any other, and the first answer to it that leads on, or asks for less, is
 * taken; the solving is called off then. What is no easier is not: neither a copy of the same
 * puzzle nor one with a newer cookie, which a responder sends to each repeat. Else nobody who is
 * sent puzzles without end would ever solve one; and a cookie is good for longer than anything is
 * solved here. If it was not, that is said in the answer to the solution. Nor is what refuses or
 * names another gateway: a responder that means it says so to the solution, too. Control thread.
 */
#pragma once

#include "control/ike/sa.h"

/* puzzle_under_way - one is being solved. puzzle_call_off - it need not be any more: its solution
 * would be ignored; nothing if none is under way. */
bool puzzle_under_way(const struct ike_sa *sa) NONNULL(1);
void puzzle_call_off(struct ike_sa *sa) NONNULL(1);

/* puzzle_in_vain - if a puzzle was not solved, say so in text, as why nobody answers. */
void puzzle_in_vain(char *text, size_t size, const struct ike_sa *sa) NONNULL(1, 3);
