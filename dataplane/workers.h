/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workers.h - all workers of a data path: made, given ports, started and stopped together. Thread:
 * control.
 */
#pragma once

#include "dataplane/state.h"

/* workers_new - as many as config says. Errors: NOMEM, CRYPTO, SYS, INVAL (number). workers_free -
 * stops them, closes the drivers and frees all; what was not made is accepted. */
MUST_USE enum err workers_new(struct dataplane *dp, const struct dataplane_config *config)
	NONNULL(1, 2);
void workers_free(struct dataplane *dp) NONNULL(1);

/* workers_add_port - one more port, whose driver worker 0 has. Errors: FULL. */
MUST_USE enum err workers_add_port(struct dataplane *dp, uint16_t *out_port, struct driver *driver)
	NONNULL(1, 2, 3);

/* workers_clock - the time of the latest turn of any. */
uint64_t workers_clock(const struct dataplane *dp) NONNULL(1);

/* told_judge - what a worker was told of a path's MTU (DP_EVENT_TOLD). */
void told_judge(struct dataplane *dp, const struct dp_event *ev) NONNULL(1, 2);

/* workers_choose - the worker that will own a pair of a group: the wished one (its index and 1
 * more), else where the others are, else the one that the inbound SPI names. workers_least - the
 * one with the fewest pairs. */
uint16_t workers_choose(const struct dataplane *dp, const struct sa_group *g, uint32_t spi_in,
			uint32_t wished) NONNULL(1, 2);
uint16_t workers_least(const struct dataplane *dp) NONNULL(1);
