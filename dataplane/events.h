/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events.h - reports of a worker to the control thread: preallocated records that go out by one
 * ring and come back by another, and an eventfd. A record may carry a packet (IKE, or a control
 * message about paths), which comes back with it and is freed by the worker. Packets may not use up
 * all records: what is reported once per SA must not be lost to a flood of IKE, and no path is to
 * seem to fail in it.
 */
#pragma once

#include "base/ring.h"
#include "dataplane/dataplane.h"
#include "dataplane/packet.h"

/* EVENTS_NUM - records; EVENTS_NUM_IKE - of these, how many may carry IKE at a time; half as many
 * may carry DP_EVENT_PROBE besides. */
#define EVENTS_NUM     1024u
#define EVENTS_NUM_IKE 512u

/* struct event_record - owned by the free stack, a ring, or the control thread. */
struct event_record {
	struct dp_event ev;
	struct events *queue; /* whose it is; constant */
	struct packet *packet;
};

/* struct events - the queue of one worker. */
struct events {
	struct ring *out;    /* worker -> control */
	struct ring *back;   /* control -> worker */
	int fd;              /* eventfd of the data path, for all its workers */
	uint32_t num_free;   /* worker */
	uint32_t num_ike;    /* worker: records out that carry IKE */
	uint32_t num_probes; /* worker: and those that carry DP_EVENT_PROBE */
	uint32_t max_ike;    /* constant */
	bool notify;         /* worker: something was pushed since the last events_flush() */
	struct event_record *records;
	struct event_record **free; /* worker: a stack */
};

/* events_init - max_ike: IKE that may be out at a time, at most EVENTS_NUM_IKE messages; fd: the
 * eventfd that events_flush() makes readable. Errors: NOMEM. events_fini - frees packets that are
 * still out; both threads are done. */
MUST_USE enum err events_init(struct events *q, uint32_t max_ike, int fd) NONNULL(1);
void events_fini(struct events *q) NONNULL(1);

/* events_push - report ev, with a packet or NULL; false if there is no record. events_hears_probe -
 * there is one for DP_EVENT_PROBE. Worker. */
MUST_USE bool events_push(struct events *q, const struct dp_event *ev, struct packet *packet)
	NONNULL(1, 2);

static inline bool events_hears_probe(const struct events *q)
{
	return q->num_probes < q->max_ike / 2;
}

/* events_busy - so many eighths of the records that may carry IKE do. Worker. */
static inline bool events_busy(const struct events *q, uint32_t eighths)
{
	return q->num_ike >= q->max_ike / 8 * eighths;
}

/* events_collect - take back what control released and free its packets. Worker, once a turn. */
void events_collect(struct events *q) NONNULL(1);

/* events_flush - wake the control thread if something was pushed. Worker, once a turn. */
void events_flush(struct events *q) NONNULL(1);

/* events_pop - the next report, NULL if there is none. events_release - give it back. Control
 * thread. */
struct event_record *events_pop(struct events *q) NONNULL(1);
void events_release(struct events *q, struct event_record *r) NONNULL(1, 2);
