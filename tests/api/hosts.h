/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hosts.h - engines on one virtual network and one clock, without a privilege: each host has an
 * address, an engine whose ports are memory, and a far end where its packets are put in and come
 * out. Nothing happens but in hosts_run().
 */
#pragma once

#include "api/engine/app.h"
#include "api/engine/engine.h"
#include "drivers/memory.h"
#include "tests/fake_host.h"

#define HOSTS_MAX 4
#define NOTES_MAX 64
#define NEWS_MAX  64

/* struct note - what was told to applications. */
struct note {
	enum app_event_kind kind;
	struct app_latch latch;
	uint64_t parent, ask;
};

/* struct node - one host. */
struct node {
	struct engine *e;
	struct app_backend app;
	struct fake_host host;
	struct memory_port *inner, *outer;
	struct ip_addr addr;                /* outside */
	struct ip_addr last_from[NEWS_MAX]; /* sources of what was sent since they were counted */
	uint32_t num_from;
	bool deaf;   /* nothing reaches it from outside, nor leaves it */
	bool no_ike; /* nothing of IKE */
	struct note notes[NOTES_MAX];
	uint32_t num_notes;
	struct engine_observer observer;
	uint32_t num_up, num_down, num_failed;   /* Child SAs, and negotiations */
	struct engine_path_event news[NEWS_MAX]; /* of paths; without names */
	uint32_t num_news;
	char news_text[128]; /* of the last one */
};

/* hosts_address - a host has one more address, or, not `there`, loses one that is not its first:
 * it is told. hosts_hole - what comes from or goes to this address is swallowed; NULL: nothing. */
void hosts_address(struct node *n, const char *addr, bool there);
void hosts_hole(const char *addr);

/* hosts_link - the link of this further address goes down, or comes up; the host is told. */
void hosts_link(struct node *n, const char *addr, bool up);

/* hosts_sent_from - payload that has left a host from this address since the last call. */
uint32_t hosts_sent_from(struct node *n, const char *addr);

/* hosts_begin, hosts_end - no hosts; none any more. */
void hosts_begin(void);
void hosts_end(void);

/* hosts_add - one with this outer address and configuration. hosts_remove - it is gone without a
 * word. Failures are fatal. */
struct node *hosts_add(const char *addr, const char *conf);
void hosts_remove(struct node *n);

/* hosts_journal - where the next host has its latches for the process after it; NULL: nowhere. */
void hosts_journal(const char *path);

/* hosts_dead_socket - the next host finds no socket with this cookie. */
void hosts_dead_socket(uint64_t cookie);

/* hosts_load - another configuration takes the place of the first. */
void hosts_load(struct node *n, const char *conf);

/* hosts_run - so many milliseconds pass. hosts_settle - until nothing moves any more. hosts_now -
 * the clock. */
void hosts_run(uint64_t ms);
void hosts_settle(void);
uint64_t hosts_now(void);

/* hosts_udp - a datagram with these ends (10.X.0.1) leaves a host's inside; *out_token: the class
 * that `to`, which may be anybody, gets it with. False: it does not arrive. */
bool hosts_udp(struct node *from, uint8_t from_net, uint16_t from_port, uint8_t to_net,
	       uint16_t to_port, struct node *to, uint32_t *out_token);

/* hosts_send - the same of any IPv4 flow of a protocol with ports, as `from` sees it. */
bool hosts_send(struct node *from, const struct flow *f, struct node *to, uint32_t *out_token);

/* hosts_flow - as `local_net` sees it. */
struct flow hosts_flow(uint8_t local_net, uint16_t local_port, uint8_t remote_net,
		       uint16_t remote_port);

/* hosts_last - what was told of this kind last; NULL: nothing. */
const struct note *hosts_last(const struct node *n, enum app_event_kind kind);
