/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dummy.h - packets that say nothing (RFC 4303 2.6): where a child asks for them, one leaves by its
 * outbound SA whenever nothing else has for a while, so that who watches the wire cannot tell when
 * there is traffic. They are as long as the child's packets are padded to (RFC 4303 2.7).
 */
#pragma once

#include "dataplane/worker.h"

/* dummies_begin - sa, now active, sends them if its configuration says so; one that does already is
 * accepted. dummies_end - it does no more; one that did not is accepted. *list is read by the
 * workers (RCU). Control thread. */
void dummies_begin(struct esp_sa **list, struct esp_sa *sa) NONNULL(1, 2);
void dummies_end(struct esp_sa **list, struct esp_sa *sa) NONNULL(1, 2);

/* dummies_due - of the worker's timer: sends what is due, and sets the timer again. */
void dummies_due(struct timer *t, uint64_t now_ns) NONNULL(1);
