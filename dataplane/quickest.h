/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quickest.h - when a side that could spray sends all by the path of the least delay. Most of what
 * it sends while it receives a transfer are acknowledgements: sprayed, they are put in order at the
 * delay of the slowest path, and each round trip of the transfer is longer by that. One path has
 * room for them. It reads no clock and no counter. Thread: control.
 *
 * Meanwhile what comes by the quicker paths waits nearly as long as the slowest one takes, even if
 * nothing before it is missing: congestion control that takes the least round trip for the path's
 * own (BBR) does not get on when a few packets, after a pause, make it in a fraction of what all
 * others take. For the same reason what a side sends while little is received either is sprayed,
 * however little it is: a transfer may begin of it.
 */
#pragma once

#include "dataplane/dataplane.h"

/* QUICKEST_RATE - bytes a second that are received while a transfer is. QUICKEST_ENTER - as many
 * times as much as is sent, for that to be its acknowledgements; QUICKEST_LEAVE - at least, for as
 * long as it is. QUICKEST_QUIET_NS - a transfer may stop for so long. */
#define QUICKEST_RATE     100000
#define QUICKEST_ENTER    8
#define QUICKEST_LEAVE    4
#define QUICKEST_QUIET_NS (NS_PER_S / 2)

/* QUICKEST_GAIN_NS - the round trip by any other path is longer by so much, and by a quarter, for
 * one to carry all. QUICKEST_LACKS - it does not if it lost some between so many measures in a row.
 * QUICKEST_AGAIN_NS - such a one, or one that was overtaken, is not tried again for so long. */
#define QUICKEST_GAIN_NS  (5 * NS_PER_MS)
#define QUICKEST_LACKS    3
#define QUICKEST_AGAIN_NS (10 * NS_PER_S)

/* struct quickest_path - a path that packets may go by, as it is now. */
struct quickest_path {
	uint64_t tx_bytes, rx_bytes; /* from its beginning on */
	uint64_t rtt_ns;             /* smoothed, with what queues; 0: not known */
	uint64_t least_ns;           /* the least round trip; 0: not known */
	uint32_t lacks;              /* so often in a row fewer came than were sent by it */
	uint16_t id;
};

/* struct quickest - what is known from the last look; zero at first. */
struct quickest {
	uint64_t tx_bytes, rx_bytes, at_ns; /* then; at_ns 0: there was none */
	uint64_t mostly_ns;                 /* when a transfer was received, last */
	uint64_t again_ns;                  /* before this none carries all */
};

/* quickest_look - which of the paths, of which there is one at least, is to carry all from now on;
 * 0: none, all do. alone: what it said last, or 0 if that was not done or has ended. Called each
 * tenth of a second or so. */
uint16_t quickest_look(struct quickest *q, const struct quickest_path *paths, uint32_t num,
		       uint16_t alone, uint64_t now_ns) NONNULL(1, 2);

/* quickest_even - out_ns[i]: how long what comes by paths[i] is to wait while one carries all: a
 * bit less than the slowest path takes longer. */
void quickest_even(const struct quickest_path *paths, uint32_t num,
		   uint64_t out_ns[static PATHS_MAX]) NONNULL(1, 3);
