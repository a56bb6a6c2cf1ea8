/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wires.h - two data paths that probe the paths between them, with payload on the way, in steps of
 * a millisecond. Path k of a test is B's port 4499 + k.
 */
#pragma once

#include "tests/dataplane/testbed.h"

#define PATHS       3
#define FLYING_MAX  1024
#define QUEUE_STEPS 20

/* struct wire - of a path, both ways. */
struct wire {
	uint32_t delay_ms;
	uint32_t per_step;     /* A's packets at most, and as many that wait; 0: all */
	uint32_t waiting;      /* for the next steps */
	uint32_t jitter_ms;    /* up to so much more delay */
	uint32_t loss, repeat; /* percent */
	bool black;
	bool deaf;         /* what A sends by it does not arrive */
	bool forge;        /* what B sends by it comes once more, with another last byte */
	uint16_t nat_port; /* that B sees A's packets come from; 0: as it is */
};

/* struct flying - a datagram on its way. */
struct flying {
	uint64_t at_ns;
	struct side *to;
	struct path_addr from;
	size_t len;
	uint8_t bytes[1300];
};

/* struct told - what a side reported of a path. */
struct told {
	uint32_t usable, lost, moved;
	uint64_t at_ns; /* the last one */
};

/* struct wires - the world of a test. */
struct wires {
	struct bed bed;
	struct wire wire[PATHS + 1];
	struct flying flying[FLYING_MAX];
	uint32_t num;
	struct told told[2][PATHS + 1]; /* A's, B's */
	uint32_t a_sends, b_sends;      /* payload a step */
	uint32_t queue_steps;           /* that packets of A wait at most */
	uint32_t tag;
	uint64_t sent, received;            /* from A to B */
	uint64_t a_tx[PATHS + 1];           /* bytes that A sent by a path, IPv4 and UDP too */
	uint64_t b_tx[PATHS + 1];           /* that B did and that arrive, each once */
	uint64_t to_nat[PATHS + 1], astray; /* datagrams of B to the NAT's port, to its old one */
	uint64_t payload_to_nat;
	uint64_t random; /* what comes next by chance: set it to a seed */
	/* got - payload that a side delivers; NULL: it is only counted. Its ports are its number
	 * then, the lower half first. */
	void (*got)(struct side *s, uint32_t number);
	uint32_t next[2]; /* number of A's next one, B's */
};

extern struct wires wires;
extern enum sa_mode wires_mode; /* of the pair that wires_begin() makes */

/* wires_in_both - of a test: by pairs in tunnel mode, and in transport mode. */
void wires_in_both(void (*body)(void));

/* wires_pair - how bed_pair() makes a pair that messages about paths may go by. */
void wires_pair(struct child_params *p, bool is_a);

/* wires_begin - wires of 5 ms; with a pair or without, and path 1, which is used. */
void wires_begin(bool pair);

/* wires_put, wires_probe - path k at a side; it is probed. wires_both - both, at both sides. */
void wires_put(struct side *s, uint16_t k, uint8_t priority, bool usable);
void wires_probe(struct side *s, uint16_t k, bool learned);
void wires_both(uint16_t k, uint8_t priority, bool usable);

/* wires_random - 0 to n - 1. */
uint32_t wires_random(uint32_t n);

/* wires_run - so many steps. */
void wires_run(uint32_t ms);
