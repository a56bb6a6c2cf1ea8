/* SPDX-License-Identifier: Apache-2.0 */
/*
 * methods.h - by which methods a peer may prove itself, where a request demands less than the
 * configuration lets: sets of 1u << enum auth_method. Control thread.
 */
#pragma once

#include "control/ike/sa.h"

/* methods_meet - an IKE SA does for who demands these, 0 = any: its peer proved itself by one of
 * them, or can do so by no other. */
bool methods_meet(const struct ike_sa *sa, uint32_t demanded) NONNULL(1);

/* METHODS_TEXT_MAX - room for all names. methods_text - "psk, pkix-inline". Returns buf. */
#define METHODS_TEXT_MAX 160
const char *methods_text(char buf[static METHODS_TEXT_MAX], uint32_t methods);
