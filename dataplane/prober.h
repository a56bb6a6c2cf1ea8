/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prober.h - whether the paths to one peer carry packets, how long they take and how much they
 * take: found out by probes that the peer answers (path_message.h). An answer proves the path whose
 * challenge it brings back, and no other. It reads no clock, draws no randomness of its own, and
 * sends and counts by functions it is given. Thread: control.
 *
 * A path is probed quickly while payload leaves by it and another one could take over, so that one
 * that swallows all without a word is found out within three round trips or 100 ms, whichever is
 * longer; slowly otherwise. The last usable one is never given up. What has come by a path says
 * nothing of whether it carries the other way, and does not count.
 */
#pragma once

#include "base/clock.h"
#include "base/rng.h"
#include "dataplane/path_message.h"

/* PROBER_PATHS - paths to a peer at most. PROBER_FLIGHT - probes by one of them that may still be
 * answered; the oldest is forgotten for the next one. */
#define PROBER_PATHS  8
#define PROBER_FLIGHT 8

/* PROBER_QUICK_NS - between two probes of a path that is watched closely, at least; more where the
 * round trip leaves more. PROBER_STANDBY_NS - of a path that carries nothing while another
 * does. PROBER_IDLE_NS - of any path of a peer to whom nothing is sent: its budget is one probe and
 * one answer a path in so long. */
#define PROBER_QUICK_NS   (10 * NS_PER_MS)
#define PROBER_STANDBY_NS NS_PER_S
#define PROBER_IDLE_NS    (30 * NS_PER_S)

/* PROBER_FIRST_NS, PROBER_LAST_NS - between probes of a path that does not answer: doubled from the
 * one to the other. */
#define PROBER_FIRST_NS (100 * NS_PER_MS)
#define PROBER_LAST_NS  (5 * NS_PER_S)

/* PROBER_UNASKED - probes sent to an address that a peer told, before it answers: somebody else may
 * be there (RFC 9000 8.1's reason). Each message from there allows one more. */
#define PROBER_UNASKED 3

/* PROBER_LOAN_NS - in this time who is sent payload before it has answered is to answer (RFC 9000
 * 8.2.4's three times the least patience). */
#define PROBER_LOAN_NS (3 * NS_PER_S)

/* PROBER_OPENING - probes that a path begins with by which payload goes at once: so long, and so
 * far apart, behind what the peer is told of the path by. It may send there as much as these and
 * all else that comes from there allow (PATH_LOAN). */
#define PROBER_OPENING     3
#define PROBER_OPENING_LEN 1152
#define PROBER_OPENING_NS  NS_PER_MS

/* PROBER_BACK - answers in a row after which a path that failed is used again. */
#define PROBER_BACK 3

/* PROBER_LEFT_NS - after a path is used no more: by then workers have sent what they had for it.
 * PROBER_DRAIN_ASKS - probes that are sent quickly to find out whether it has all arrived; then it
 * is asked as other paths are. PROBER_CAME_NS - that the peer's last packets have come is told of a
 * path no more often, unless this side has used it meanwhile. */
#define PROBER_LEFT_NS    (10 * NS_PER_MS)
#define PROBER_DRAIN_ASKS 16
#define PROBER_CAME_NS    NS_PER_S

/* struct prober_io - what a prober is given; ctx goes with each call. None may call it back. */
struct prober_io {
	void *ctx;
	const struct rng *rng;
	/* send - m by this path, whether it is usable or not, with zeros behind it up to len bytes
	 * if the path takes that; fills in what m has of observed and top. May fail silently: that
	 * is a loss like another. */
	void (*send)(void *ctx, uint16_t path, struct path_message *m, size_t len);
	/* traffic - what has gone by the path, messages too. */
	void (*traffic)(void *ctx, uint16_t path, struct path_traffic *out);
	/* usable - payload may go by the path from now on, or may not. */
	void (*usable)(void *ctx, uint16_t path, bool usable);
	/* lapse - the path has not answered in time: no payload goes by it any more. */
	void (*lapse)(void *ctx, uint16_t path);
	/* used - payload may leave by the path as it is now. */
	bool (*used)(void *ctx, uint16_t path);
	/* last - of a path that this side does not use: the peer's last packets have come by it,
	 * and, ours, this side's have arrived there, too. */
	void (*last)(void *ctx, uint16_t path, bool ours);
	/* watch - call prober_busy() when the next packet leaves by the path, once. */
	void (*watch)(void *ctx, uint16_t path);
};

/* struct prober_arrival - of a message: when it came, and what had come by its path until then,
 * itself too; 0: not known. */
struct prober_arrival {
	uint64_t at_ns;
	uint64_t rx_packets, rx_bytes;
};

/* struct probe - one that was sent. */
struct probe {
	uint8_t challenge[PATH_CHALLENGE_LEN];
	uint64_t sent_ns;
	uint64_t tx_packets; /* of the path, when it was sent */
	uint64_t messages;   /* of these no payload */
	bool answered, missed;
	bool excused; /* nobody was here to see the answer in time */
};

/* struct probe_span - what the peer said in an answer, which the next measure begins with. */
struct probe_span {
	uint64_t sent_ns, came_ns; /* its probe; came: and half a round trip, which cancels out */
	uint64_t tx_packets;       /* sent by then */
	uint64_t messages;         /* of these no payload */
	uint64_t rx_packets, rx_bytes; /* of these, arrived */
	uint64_t least_ns, most_ns;    /* round trips since then */
	uint64_t sum_ns;               /* of num */
	uint32_t num;
};

/* struct probe_measure - how much a path takes, see prober_info. */
struct probe_measure {
	struct probe_span from;   /* sent_ns 0: nothing yet */
	uint64_t paced_ns, paced; /* bytes that were sent, and when */
	uint64_t pace;            /* bytes a second that are sent, by the latest probes */
	uint64_t rate;
	uint64_t stands_ns; /* a queue that stood all the time: of the least round trip */
	uint64_t queue_ns;  /* on the average */
	uint32_t lacks;     /* measures in a row by which fewer came than were sent */
	bool full;
};

/* struct probed - a path, as its prober knows it. */
struct probed {
	uint16_t id;         /* 0: there is none */
	bool usable, failed; /* now; and once it was and then not */
	bool learned;        /* its address was told by the peer, and has not answered yet */
	bool trusted;        /* usable, and has not answered yet: prober_trust() */
	bool busy;           /* payload leaves by it */
	bool undrained;      /* a side has used it, and the peer's last packets have not come */
	bool unproven;       /* and nobody knows whether this side's have arrived there */
	uint8_t asks;        /* probes that went because of that */
	uint64_t left_ns;    /* it is not used since then; 0: it is */
	uint64_t came_ns;    /* when `last` was called for the peer; 0: not since it was used */
	uint8_t credit;      /* learned: probes that may be sent */
	uint8_t opening;     /* long probes that it still begins with */
	uint64_t lapses_ns;  /* when payload may not go by it any more; 0: that is not to be said */
	uint8_t in_a_row;    /* answers since the last miss */
	uint8_t misses;      /* probes without an answer since the last that had one */
	uint16_t peer_flags; /* PATH_MESSAGE_* of the peer's last probe, or answer to one */
	uint64_t num;        /* probes sent; number n is flight[n % PROBER_FLIGHT] */
	uint64_t counted;    /* those before this number are in `loss` */
	uint32_t loss;       /* of probes, in 65536ths */
	uint64_t next_ns;    /* when the next one leaves */
	uint64_t backoff_ns; /* without an answer: to the one after */
	uint64_t busy_ns;    /* payload was seen to leave by then */
	uint64_t payload;    /* packets of it, as counted then */
	uint64_t messages;   /* probes and answers sent by it */
	uint64_t answered_ns;            /* when an answer came last; 0: none did */
	uint64_t rtt_ns, rtt_var_ns;     /* RFC 6298 2; 0: not known */
	uint64_t latest_ns;              /* round trip: the latest */
	uint64_t least_ns, least_was_ns; /* round trip: the least of this while, of the last one */
	uint64_t least_at_ns;            /* when this while began */
	struct probe_measure measure;
	struct probe flight[PROBER_FLIGHT];
};

/* struct prober - of the paths to one peer. */
struct prober {
	const struct prober_io *io;
	uint64_t due_ns; /* what prober_turn() said last */
	struct probed paths[PROBER_PATHS];
};

/* struct prober_info - what is known of a path. */
struct prober_info {
	bool usable;
	bool learned; /* its address was told by the peer, and has not answered yet */
	uint16_t peer_flags;
	uint64_t answered_ns;        /* when an answer came last; 0: none did */
	uint32_t loss_permille;      /* of the latest probes */
	uint64_t rtt_ns, rtt_var_ns; /* 0: not known */
	uint64_t least_ns; /* the least round trip of the last half minute or so; 0: not known */
	uint64_t rate;     /* bytes a second that it takes; 0: not known */
	uint64_t queue_ns; /* what queues before it makes a packet wait for so long, on the average:
			    * paths are probed more and less often */
	uint32_t lacks;    /* measures in a row by which fewer came than were sent */
	bool full;         /* it was seen to take no more than that: else more may fit */
};

/* prober_init - without paths; io outlives it. It needs no end. */
void prober_init(struct prober *p, const struct prober_io *io) NONNULL(1, 2);

/* prober_add - a path that is not usable yet, probed with the next turn; its number is not 0.
 * learned: the peer told its address. usable: another proof was had already (the path IKE_AUTH went
 * by). Errors: EXISTS, FULL. */
MUST_USE enum err prober_add(struct prober *p, uint16_t path, bool learned, bool usable,
			     uint64_t now_ns) NONNULL(1);

/* prober_trust - payload may go by a path before it has answered, because nothing else is left and
 * the same address answered lately, after rtt_ns: three probes without an answer end that, also of
 * the last path. One that is not there, usable, or has left a probe without an answer stays as it
 * is. */
void prober_trust(struct prober *p, uint16_t path, uint64_t rtt_ns, uint64_t now_ns) NONNULL(1);

/* prober_lend - payload goes, in measure, by a path that has not answered, since then: `lapse` ends
 * that after PROBER_LOAN_NS. One that is not there or usable stays as it is. */
void prober_lend(struct prober *p, uint16_t path, uint64_t since_ns) NONNULL(1);

/* prober_open - a path that was just added and that payload goes by begins with PROBER_OPENING long
 * probes. One that is not there is accepted. */
void prober_open(struct prober *p, uint16_t path, uint64_t now_ns) NONNULL(1);

/* prober_remove - a path that is gone; one that is not there is accepted. */
void prober_remove(struct prober *p, uint16_t path) NONNULL(1);

/* prober_take - a message came by this path, which is the one that it names (others are not looked
 * at): a probe is answered, an answer is judged. False: it proves nothing. */
bool prober_take(struct prober *p, uint16_t path, const struct path_message *m,
		 const struct prober_arrival *came, uint64_t now_ns) NONNULL(1, 3, 4);

/* prober_leave - a path is being left: whatever went by it until now, it is found out whether all
 * has come. */
void prober_leave(struct prober *p, uint16_t path, uint64_t now_ns) NONNULL(1);

/* prober_busy - a packet left by a path that was watched. */
void prober_busy(struct prober *p, uint16_t path, uint64_t now_ns) NONNULL(1);

/* prober_link - the link that a path begins with is down: it has failed, unless it is the last one;
 * or up again: it is asked at once. */
void prober_link(struct prober *p, uint16_t path, bool up, uint64_t now_ns) NONNULL(1);

/* prober_turn - what is due; all messages that have come were taken before. Returns when it is to
 * be called again, TIME_NEVER without paths; after each of the calls above it is called at once. */
uint64_t prober_turn(struct prober *p, uint64_t now_ns) NONNULL(1);

/* prober_get - Errors: NOT_FOUND. */
MUST_USE enum err prober_get(const struct prober *p, struct prober_info *out, uint16_t path)
	NONNULL(1, 2);
