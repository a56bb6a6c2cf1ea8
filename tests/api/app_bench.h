/* SPDX-License-Identifier: Apache-2.0 */
/*
 * app_bench: the application socket's server with a fake engine behind it, message by message: what
 * clients of different users send and are sent, without a loop. One thread.
 */
#pragma once

#include "api/app/proto.h"
#include "api/app/server.h"
#include "tests/api/fake_app.h"

/* The users that there are, and what each may beside his own (section E). */
#define INTERACTS 1000
#define PLAIN     1001
#define OTHER     1002
#define READER    1003
#define SETTER    1004

/* users - PLAIN, INTERACTS, SETTER, READER and root. */
extern const uint32_t users[5];

/* struct bench - a server, and the message that is being written. */
struct bench {
	struct fake_app fake;
	struct conf_app conf;
	struct app_server *server;
	uint32_t num_wakes;
	uint32_t last_id;
	uint8_t bytes[APP_MESSAGE_MAX];
	struct writer w;
};

/* bench_open, bench_close - a server without clients; it is gone, with all that it has. */
void bench_open(struct bench *b);
void bench_close(struct bench *b);

/* bench_client - somebody connects; app_client_close() ends it. bench_wake - what its being woken
 * is told to, with the bench: num_wakes counts. */
struct app_client *bench_client(struct bench *b, uint32_t uid);
void bench_wake(void *ctx);

/* bench_begin - a request that is written to b->w from now on. bench_submit - sends it, with a
 * descriptor or -1; the error is app_client_input()'s. */
void bench_begin(struct bench *b, uint16_t verb);
enum err bench_submit(struct bench *b, struct app_client *c, int fd);

/* bench_take - takes the next message that a client is sent; false: there is none. It lies in copy,
 * of APP_MESSAGE_MAX bytes. bench_silent - there is none. */
bool bench_take(struct app_client *c, struct app_msg *msg, uint8_t *copy);
bool bench_silent(const struct app_client *c);

/* struct answer - an answer and the bytes that it lies in. */
struct answer {
	struct app_msg msg;
	uint8_t bytes[APP_MESSAGE_MAX];
};

/* bench_ask - sends what was begun and takes the answer; APP_NUM_CODES: there is none. answer_u64 -
 * an attribute of it, 0 = it has none. */
enum app_code bench_ask(struct bench *b, struct app_client *c, int fd, struct answer *a);
uint64_t answer_u64(const struct answer *a, uint16_t type);

/* bench_latch - a latch of this socket, kept beyond its client or not; its number. */
uint64_t bench_latch(struct bench *b, struct app_client *c, int fd, bool keep);

/* bench_udp - a UDP socket bound on the loop, connected to a port of it unless that is 0. port_of,
 * cookie_of - its own port, and what the kernel calls it by. */
int bench_udp(uint16_t remote_port);
uint16_t port_of(int fd);
uint64_t cookie_of(int fd);
