/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h - what the library's files share. Any thread, unless it says otherwise. */
#pragma once

#include "api/app/proto.h"
#include "api/client/backend.h"
#include "api/include/latchkey/ipsec.h"
#include "base/list.h"

/* ---- errors (error.c) ----------------------------------------------------------------------- */

/* fail - note a sentence for this thread and set errno; returns -1. fail_reason - of a peer. */
int fail(int err, const char *text);
int fail_reason(const struct app_msg *msg);
/* reason_of - by the name that the daemon has for it. */
enum ipsec_reason reason_of(const char *name);

/* ---- the connection (conn.c) ---------------------------------------------------------------- */

/* struct request - one that is written; body is finished with transact(). */
struct request {
	uint8_t bytes[APP_MESSAGE_MAX];
	struct writer w;
	uint16_t verb;
};

/* struct reply - the daemon's answer, taken apart. instance: of the daemon that gave it. */
struct reply {
	uint8_t bytes[APP_MESSAGE_MAX];
	struct app_msg msg;
	uint64_t instance;
};

/* request_begin - a request for verb. transact - send it with a descriptor or -1 and wait for the
 * answer, timeout_ms at most; -1 with errno and the sentence set where the answer is an error.
 * transact_each - the same where several answers may come: fn is told each. */
void request_begin(struct request *r, uint16_t verb);
int transact(struct request *r, int fd, int timeout_ms, struct reply *out);
int transact_each(struct request *r, int fd, void (*fn)(void *arg, const struct app_msg *msg),
		  void *arg);

/* instance_now - of the daemon that is there; 0: none is. events_open - a descriptor that is
 * readable when event_take() has something; -1. event_take - 1: *kind is one of our own, or 0 and
 * *out the message; 0: there is none. */
uint64_t instance_now(void);
/* marks_tell - to this daemon the bits of a token in a mark are one, and nobody else's. */
bool marks_tell(void);
int events_open(void);
int event_take(enum ipsec_app_event_kind *kind, struct reply *out);

/* USUAL_MS - time for what the daemon answers at once. */
#define USUAL_MS 10000

/* ---- tokens (token.c) ----------------------------------------------------------------------- */

#define TAG_PTOKEN 0x70546b6eu
#define TAG_ITOKEN 0x69546b6eu
#define ID_ROOM    264

/* struct blob - bytes of a token's own. */
struct blob {
	uint8_t *p;
	size_t len;
};

struct ipsec_iToken {
	uint32_t tag;
	bool wished; /* set by the application: may be set again */
	uint32_t method;
	uint32_t eap;
	uint32_t kind; /* of the identity, RFC 7296 3.5 */
	char identity[ID_ROOM];
	char authority[ID_ROOM];
	char subject[ID_ROOM];
	char key_id[64];
	struct blob key, binding;
	uint8_t binding_hash[32];
	bool has_hash;
};

/* struct ipsec_pToken - handle: 0 = a template. known: what it stands for was asked for. set: bits
 * (1 << attribute) of what is known or wished. */
struct ipsec_pToken {
	uint32_t tag;
	uint32_t handle;
	uint64_t instance;
	bool known;
	uint32_t set;
	bool privacy, integrity, compression, tunnel, replay, indeterminate;
	char policy[128];
	char suite[64];
	uint32_t part;
	uint8_t methods[APP_NUM_METHODS - 1];
	uint32_t num_methods;
	struct ipsec_iToken remote, local;
};

/* as_ptoken, as_itoken - the token, if it is one; else NULL with errno EINVAL. */
struct ipsec_pToken *as_ptoken(const void *token);
struct ipsec_iToken *as_itoken(const void *token);

/* itoken_fini - what it holds. itoken_copy - into an empty one; -1: ENOMEM. itoken_take - what the
 * daemon says of a peer; local: of ourselves. ptoken_take - of a class. */
void itoken_fini(struct ipsec_iToken *t);
int itoken_copy(struct ipsec_iToken *to, const struct ipsec_iToken *from);
int itoken_take(struct ipsec_iToken *t, const struct app_attrs *class, bool local);
int ptoken_take(struct ipsec_pToken *t, const struct app_attrs *class);

/* ptoken_reset - as ipsec_create_pToken() makes it. ptoken_know - ask what it stands for, by a
 * socket that takes such tokens; 0: it is known. put_demand - a template, NULL is the default. */
void ptoken_reset(struct ipsec_pToken *t);
int ptoken_know(struct ipsec_pToken *t);
int put_demand(struct writer *w, const struct ipsec_pToken *t);

/* class_by_socket - what a handle stands for, to who has this socket. socket.c */
int class_by_socket(struct ipsec_pToken *t, int fd);

/* pair_flow - as the daemon knows it; -1: it is none. pairs.c */
int pair_flow(struct flow *out, const struct ipsec_pair *pair);

/* path_ends_take - of a path's attributes; unset if they are not there. path.c */
void path_ends_take(struct sockaddr_storage *local, struct sockaddr_storage *remote,
		    const struct app_attrs *in);

/* latch_info_take - from attributes inside LATCH_INFO. latch.c */
void latch_info_take(struct ipsec_latch_info *out, const struct app_attrs *in);

/* socket_cookie - the kernel's number of a socket, which no other has; 0: it is none. linux.c */
uint64_t socket_cookie(int fd);
/* memory_file - a sealed file in memory with these bytes. -1 with errno. linux.c */
int memory_file(const void *bytes, size_t len);

/* SOCKETS_MAX - that bring tokens, and are asked what these stand for. sockets_bringing - those
 * that are open. socket.c */
#define SOCKETS_MAX 64
uint32_t sockets_bringing(int out[static SOCKETS_MAX]);

/* struct arrival - the index of the interface that a datagram came by, and the address of this host
 * that it came to. arrival_of - false: msg does not say so, or it came to many. linux.c */
struct arrival {
	uint32_t ifindex;
	struct ip_addr to;
};
bool arrival_of(const struct msghdr *msg, struct arrival *out);
/* arrival_token - of the one class that comes there by this interface; 0 with errno. ENOENT: it has
 * none. arrivals_forget - ask anew. arrival.c */
uint32_t arrival_token(const struct arrival *a);
void arrivals_forget(void);
/* socket_network - number of its network namespace; 0: not known. linux.c */
uint64_t socket_network(int fd);

/* token_marks_enable - datagrams of this socket bring their class along. arrivals_enable - and the
 * interface that they came by. token_mark_of - which one
 * a received message has; 0: none. token_mark_allowed - this process may say one for a message.
 * token_mark_put - say it, in msg's control data. linux.c */
int token_marks_enable(int fd);
int arrivals_enable(int fd);
uint32_t token_mark_of(const struct msghdr *msg);
bool token_mark_allowed(void);
void token_mark_put(struct msghdr *msg, uint32_t token);
