/* SPDX-License-Identifier: Apache-2.0 */
/*
 * token.h - the table that tells sockets of protection classes, for those who add to it. Control
 * thread.
 */
#pragma once

#include "api/host/nf.h"

/* token_table - there between token_set() and the last token_del(). token_devices - its set of
 * devices that have classes. */
extern const struct nf_table token_table;
extern const struct nf_set token_devices;

/* TOKEN_CLASS_* - where a frame has its class. */
#define TOKEN_CLASS_AT  8
#define TOKEN_CLASS_LEN 4

/* token_demanded - a rule goes on if what is in register 0 demands a class; that is all of it that
 * goes on. */
void token_demanded(struct nf_batch *b) NONNULL(1);
