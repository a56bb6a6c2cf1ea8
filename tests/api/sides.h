/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sides.h - the composition without a privilege: engines on one loop, each on a fake host, joined
 * by real UDP sockets on the loopback; packets go in and come out at the test's ends of the virtual
 * interfaces. SIDES_PORT: the first of the program's own four ports. One thread.
 */
#pragma once

#include <uv.h>

#include "api/engine/engine.h"
#include "tests/fake_host.h"

#define FRAME_MAX 2048
#define ETH_LEN   14
#define SECRET    "s3cret-s3cret-s3cret"

struct side {
	struct fake_host host;
	struct engine *engine;
	uv_poll_t *poll; /* freed as it closes */
	struct engine_observer observer;
	unsigned ups, downs, failures, packets;
	uint32_t requests; /* bits: the numbers in the failures */
	enum ike_reason reason;
	char why[400];
	uint8_t frame[FRAME_MAX];
	ssize_t frame_len;
};

/* The loop of all sides, and whether the test's patience is over. */
extern uv_loop_t sides_loop;
extern bool sides_late;

/* sides_begin, sides_end - the loop, without a side; it is gone, and nothing was left open. */
void sides_begin(void);
void sides_end(void);

/* side_text - one end's configuration, in a buffer of its own. The ends are the same but for ports
 * and networks. with - a text with one line or word in place of another; valid until the fourth
 * call after. side_conf - the configuration of a text, one reference; NULL: it is wrong, and that
 * was said. */
const char *side_text(bool first, const char *action, const char *secret);
const char *with(const char *text, const char *what, const char *instead);
struct conf *side_conf(const char *text);

/* side_open - an engine of this configuration on a host. _at - source: what the host says when
 * asked where from a peer is reached; unset = no route. _by - now: NULL, or the clock of a side
 * that does all it does in engine_dispatch(). side_close - both are gone. */
void side_open(struct side *s, const char *text);
void side_open_at(struct side *s, const char *text, struct ip_addr source);
void side_open_by(struct side *s, const char *text, struct ip_addr source,
		  uint64_t (*now)(void *ctx));
void side_close(struct side *s);

/* loopback - 127.0.0.1. */
struct ip_addr loopback(void);

/* side_listen - for an engine that the test made itself: the loop turns it. side_event - and what
 * the observer's events are counted by. */
void side_listen(struct side *s);
void side_event(struct engine_observer *o, const struct ike_event *ev);

/* wait_for - turn the loop until *count reaches n; false when patience is over. turn_for - for a
 * while, in which something must not happen. */
bool wait_for(const unsigned *count, unsigned n);
void turn_for(uint64_t ms);

/* poll_frame - turn the loop until a frame arrives at the test's end of one of the first num queues
 * of the side; false when patience is over. */
bool poll_frame(struct side *s, size_t num);

/* make_frame - Ethernet, IPv4, UDP to port 9 and a pattern; checksums are not what is tested. Its
 * length. send_and_check - one arrives as it was sent. */
size_t make_frame(uint8_t frame[FRAME_MAX], uint8_t from_net, uint8_t to_net, size_t payload);
void send_and_check(struct side *from, struct side *to, uint8_t from_net, uint8_t to_net);
