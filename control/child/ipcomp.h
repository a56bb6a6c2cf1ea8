/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipcomp.h - payload compression of a Child SA (RFC 3173), by DEFLATE (RFC 2394), which both sides
 * say by N(IPCOMP_SUPPORTED) that they want, each with the CPI that it will know what is compressed
 * by (RFC 7296 2.22). Each exchange that makes a pair agrees on it anew, also one that re-keys.
 * Control thread.
 */
#pragma once

#include "control/child/work.h"

/* ipcomp_offer - as initiator, before the request is built: a CPI of ours if it is configured.
 * Errors: CRYPTO. */
MUST_USE enum err ipcomp_offer(struct step *s, struct child_work *w) NONNULL(1, 2);

/* ipcomp_build - N(IPCOMP_SUPPORTED) into s->b, if w offers it or has agreed to it. */
void ipcomp_build(struct step *s, const struct child_work *w) NONNULL(1, 2);

/* ipcomp_choose - as responder, once w->conf is chosen: it is agreed on if the request offers it
 * and it is configured. Errors: CRYPTO. */
MUST_USE enum err ipcomp_choose(struct step *s, struct child_work *w) NONNULL(1, 2);

/* ipcomp_take - as initiator, from the response. Errors: PEER (it is answered as it was not
 * offered: RFC 7296 2.22). */
MUST_USE enum err ipcomp_take(struct step *s, struct child_work *w) NONNULL(1, 2);
