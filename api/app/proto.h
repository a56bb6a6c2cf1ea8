/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proto.h - what programs and the daemon say to each other at the application socket: one message a
 * packet (SOCK_SEQPACKET), a fixed header, then attributes of a type, a length and a value. Numbers
 * are in network order. Every length, count and depth has a bound here (S61); a message is taken
 * apart whole before anything in it is believed. Pure functions, any thread.
 *
 *	 0                   1                   2                   3
 *	+-------------------------------+---------------+---------------+
 *	|  magic 0x4c6b                 |  version 1    |  flags        |
 *	+-------------------------------+---------------+---------------+
 *	|  verb                         |  code (answers, else 0)       |
 *	+-------------------------------+-------------------------------+
 *	|  id: an answer has its request's; events 0                    |
 *	+---------------------------------------------------------------+
 *	|  attributes: type (16), length of the value (16), value       |
 */
#pragma once

#include "base/addr.h"
#include "base/reader.h"
#include "base/writer.h"

/* APP_SOCKET - the socket's name in the daemon's run directory. */
#define APP_SOCKET "latchkey.app"

/* APP_MESSAGE_MAX - bytes of a message. APP_ATTRS_MAX - attributes of a message or of one level in
 * it. APP_DEPTH_MAX - attributes inside attributes. */
#define APP_MAGIC       0x4c6b
#define APP_VERSION     1
#define APP_HEADER_LEN  12
#define APP_MESSAGE_MAX 8192
#define APP_ATTRS_MAX   64
#define APP_DEPTH_MAX   2

/* APP_F_* - flags of a header. MORE: another answer with the same id follows. */
#define APP_F_ANSWER 0x01
#define APP_F_EVENT  0x02
#define APP_F_MORE   0x04

/* enum app_verb - what is asked, or told. fd: the socket that it is about travels with it. */
enum app_verb {
	APP_HELLO = 1,           /* -> VERSION, INSTANCE, RIGHTS, MARKS */
	APP_SOCKET_TOKEN = 2,    /* fd of a connection -> TOKEN */
	APP_TOKEN_INFO = 3,      /* TOKEN, fd that it reaches -> CLASS */
	APP_LATCH_CREATE = 4,    /* fd, demand -> LATCH; the state follows in events */
	APP_LATCH_RELEASE = 5,   /* LATCH, fd unless it is the client's own */
	APP_LATCH_FIND = 6,      /* fd, LISTENER -> LATCH_INFO; the client has it from now on */
	APP_LATCH_INQUIRE = 7,   /* LATCH, perhaps fd -> LATCH_INFO */
	APP_REQUIRE = 8,         /* as LATCH_CREATE, TIMEOUT_MS; answered when it stands or fails */
	APP_DEMAND = 9,          /* fd, TOKEN: what it sends demands this class; 0: none */
	APP_REAUTHENTICATE = 10, /* LATCH, demand -> LATCH, the one that follows it */
	APP_DELETE = 11,         /* LATCH: the SAs that serve it */
	APP_TRIGGER = 12,        /* LATCH: the SA that it needs, before any packet */
	APP_DECIDE = 13,         /* ASK, ACCEPT */
	APP_EVENTS = 14,         /* ACCEPT: whether events are wanted */
	APP_PROFILES = 15,       /* -> PROFILE_INFO, several */
	APP_PROFILE_SET = 16,    /* PROFILE_INFO */
	APP_CREDENTIAL_ADD = 17, /* fd of a sealed memory file, CREDENTIAL, IDENTITY */
	APP_LIST = 18,           /* -> LATCH_INFO, several */
	APP_RUN = 19, /* fd of a control group's directory, demand, TIMEOUT_MS -> LATCH, TOKEN:
		       * while the client is there its processes reach such a peer or nobody;
		       * answered when it stands or fails */
	APP_INTERFACE_TOKEN = 20, /* fd, INTERFACE, FLOW: a datagram came by it, to FLOW's local
				   * address -> TOKEN, TIMEOUT_MS that this holds */
	APP_PATH = 21,  /* PATH_ACT, PEER (of it or a connection), PATH or FLOW (whose ends are
			 * the path's), PRIORITY, WEIGHT, TIMEOUT_MS -> PATH; answered when the
			 * peer has agreed or not */
	APP_PATHS = 22, /* -> PATH_INFO, several */
	APP_NUM_VERBS,

	APP_EV_LATCH = 256,   /* LATCH_INFO: its state is another */
	APP_EV_SPAWNED = 257, /* PARENT, LATCH_INFO: a listener has a new connection */
	APP_EV_ASK = 258,     /* ASK, LATCH_INFO, CLASS, TIMEOUT_MS: may this peer? */
	APP_EV_PATH = 259,    /* PATH_NEWS, PATH, CONN, FLOW, perhaps FROM: what happened to it */
};

/* enum app_code - how a request went. */
enum app_code {
	APP_OK = 0,
	APP_INVAL = 1,
	APP_NOT_FOUND = 2, /* or somebody else's, which is the same */
	APP_EXISTS = 3,
	APP_PERM = 4,
	APP_FULL = 5, /* a quota */
	APP_NOMEM = 6,
	APP_BAD_STATE = 7,
	APP_TIMEOUT = 8,
	APP_UNSUPPORTED = 9,
	APP_FAILED = 10, /* REASON and TEXT say why */
	APP_SYS = 11,
	APP_NUM_CODES
};

/* APP_RIGHT_* - what a client may do. */
#define APP_RIGHT_READ_OWN  0x01 /* tokens and latches of one's own sockets */
#define APP_RIGHT_USE       0x02 /* latch one's own flows to what policy allows */
#define APP_RIGHT_INTERACT  0x04 /* trigger, decide, re-authenticate, delete for them */
#define APP_RIGHT_CONFIGURE 0x08 /* profiles, credentials, what is weaker than a profile */
#define APP_RIGHT_READ_ALL  0x10 /* everybody's */
#define APP_RIGHT_ADMIN     0x20 /* release everybody's */

/* enum app_attr_type - what an attribute holds; its kind and bounds are in proto.c's table. Who
 * does not know a type from APP_A_OPTIONAL on passes over it; any other is an error. */
enum app_attr_type {
	APP_A_VERSION = 1,
	APP_A_INSTANCE = 2, /* number of the daemon's life: handles of another one mean nothing */
	APP_A_RIGHTS = 3,
	APP_A_TEXT = 4,   /* a sentence for people */
	APP_A_REASON = 5, /* short stable name of why */
	APP_A_TOKEN = 6,
	APP_A_LATCH = 7,
	APP_A_PARENT = 8,
	APP_A_ASK = 9,
	APP_A_ACCEPT = 10,
	APP_A_TIMEOUT_MS = 11,
	APP_A_KEEP = 12,
	APP_A_LISTENER = 13,
	APP_A_REMOTE = 14, /* FLOW whose remote end is meant */
	APP_A_FLOW = 15,
	APP_A_STATE = 16,
	APP_A_UID = 17,
	APP_A_PAIR = 18, /* FLOW: of a socket of several pairs of addresses that one, as TCP's */
	APP_A_INTERFACE = 19, /* its index */
	APP_A_MARKS = 20,     /* the token of a datagram is in its mark */
	/* a demand */
	APP_A_PROFILE = 32,
	APP_A_PEER = 33,
	APP_A_LOCAL = 34,
	APP_A_METHODS = 35, /* APP_METHOD_*, a byte each, the best first */
	APP_A_PART = 36,
	APP_A_PRIVACY = 37,
	APP_A_INTEGRITY = 38,
	APP_A_TUNNEL = 39,
	APP_A_SUITE = 40,
	/* a class */
	APP_A_UP = 48,
	APP_A_METHOD = 49,
	APP_A_PEER_KEY = 50, /* SubjectPublicKeyInfo */
	APP_A_LOCAL_KEY = 51,
	APP_A_CA = 52,        /* a distinguished name, as people write it */
	APP_A_PEER_KIND = 53, /* type of the peer's identity, RFC 7296 3.5 */
	APP_A_COMPRESSION = 54,
	APP_A_REPLAY = 55,
	APP_A_INDETERMINATE = 56,
	APP_A_CONN = 57,
	APP_A_EAP = 58,
	APP_A_INITIATOR = 59,    /* this side began: its key is first in a channel binding */
	APP_A_SUBJECT = 60,      /* of the peer's certificate */
	APP_A_BINDING_HASH = 61, /* SHA-256 of both keys */
	APP_A_PUBKEY_ID = 62,    /* short name of the peer's key */
	/* a profile */
	APP_A_CLEAR = 64,
	APP_A_MAKE = 65,
	APP_A_SUITES = 66,
	APP_A_BYPASS = 67,
	/* credentials */
	APP_A_CREDENTIAL = 72, /* enum app_credential */
	APP_A_IDENTITY = 73,   /* may be there several times */
	/* a path to a peer */
	APP_A_PATH = 80,       /* its number */
	APP_A_PATH_ACT = 81,   /* enum app_path_act */
	APP_A_PATH_STATE = 82, /* 0 it is asked, 1 it waits, 2 it is in use */
	APP_A_PATH_NEWS = 83,  /* enum app_path_news */
	APP_A_FROM = 84,       /* number of the path that had the traffic before */
	APP_A_PRIORITY = 85,
	APP_A_WEIGHT = 86,
	APP_A_DECIDES = 87, /* this side does, about the paths to this peer */
	APP_A_UDP = 88,     /* ESP goes in UDP there */
	APP_A_RTT_US = 89,
	APP_A_LOSS = 90, /* thousandths */
	APP_A_MTU = 91,
	APP_A_RATE = 92, /* bytes a second */
	APP_A_RX_PACKETS = 93,
	APP_A_RX_BYTES = 94,
	APP_A_TX_PACKETS = 95,
	/* attributes inside */
	APP_A_LATCH_INFO = 96,
	APP_A_CLASS = 97,
	APP_A_PROFILE_INFO = 98,
	APP_A_PATH_INFO = 99,
	APP_A_TX_BYTES = 100, /* of a path */

	APP_A_OPTIONAL = 0x8000,
};

/* enum app_credential - what is added. */
enum app_credential {
	APP_CRED_SECRET,
	APP_CRED_AUTHORITY,
	APP_CRED_CERTIFICATE,
	APP_NUM_CREDS
};

/* enum app_path_act - what is done about a path. enum app_path_news - what happened to it. Both by
 * the order of api/engine/engine.h. */
enum app_path_act {
	APP_PATH_ADD,
	APP_PATH_REMOVE,
	APP_PATH_SOFT,
	APP_PATH_HARD,
	APP_PATH_PREFER,
	APP_NUM_PATH_ACTS
};
enum app_path_news {
	APP_PATH_NEW,
	APP_PATH_USABLE,
	APP_PATH_LOST,
	APP_PATH_ELSEWHERE,
	APP_PATH_MOVED,
	APP_PATH_GONE,
	APP_PATH_DRAINED,
	APP_NUM_PATH_NEWS
};

/* enum app_method - how a peer proved itself, by the numbers of <latchkey/ipsec.h>. */
enum app_method {
	APP_METHOD_NONE = 1,
	APP_METHOD_BTNS = 2,
	APP_METHOD_LEAPOFFAITH = 3,
	APP_METHOD_PRESHAREDKEY = 4,
	APP_METHOD_GROUPKEY = 5,
	APP_METHOD_XAUTH = 6,
	APP_METHOD_EAP = 7,
	APP_METHOD_PKIX_TRUSTED = 8,
	APP_METHOD_PKIX_INLINE = 9,
	APP_METHOD_PKIX_OFFLINE = 10,
	APP_METHOD_PUBKEY = 11,
	APP_NUM_METHODS
};

/* APP_TOKEN_MASK - the bits that a protection class has in a socket's mark. */
#define APP_TOKEN_MASK 0x0fffffffu

/* struct app_attr - one attribute; value is borrowed from the message. */
struct app_attr {
	uint16_t type;
	struct bytes value;
};

/* struct app_attrs - the attributes of a message, or of an attribute. */
struct app_attrs {
	struct app_attr list[APP_ATTRS_MAX];
	uint32_t num;
};

/* struct app_msg - a message taken apart. */
struct app_msg {
	uint8_t flags;
	uint16_t verb;
	uint16_t code;
	uint32_t id;
	struct app_attrs attrs;
};

/* app_msg_parse - take a whole message apart; attributes inside attributes are looked at too, so
 * that app_attr_inside() cannot fail of it later. Errors: TRUNCATED, MALFORMED (magic, a type
 * that is not known or comes twice, a value that its type does not let), UNSUPPORTED (another
 * version), LIMIT (a bound). */
MUST_USE enum err app_msg_parse(struct app_msg *out, const void *bytes, size_t len) NONNULL(1);

/* app_attrs_parse - the attributes in a value, which lie depth levels inside. Errors: as
 * app_msg_parse(). */
MUST_USE enum err app_attrs_parse(struct app_attrs *out, struct bytes value, uint32_t depth)
	NONNULL(1);

/* app_attr - the first attribute of this type; NULL if there is none. */
const struct app_attr *app_attr(const struct app_attrs *attrs, uint16_t type) NONNULL(1);

/* app_attr_u32, app_attr_u64, app_attr_bool - its value; `absent` where it is not there. */
uint32_t app_attr_u32(const struct app_attrs *attrs, uint16_t type, uint32_t absent) NONNULL(1);
uint64_t app_attr_u64(const struct app_attrs *attrs, uint16_t type, uint64_t absent) NONNULL(1);
bool app_attr_bool(const struct app_attrs *attrs, uint16_t type, bool absent) NONNULL(1);

/* app_attr_bytes - its value; empty where it is not there. app_attr_text - copied to buf with a 0,
 * "" where it is not there; returns buf. size holds the type's longest text and the 0 (asserted).
 */
struct bytes app_attr_bytes(const struct app_attrs *attrs, uint16_t type) NONNULL(1);
const char *app_attr_text(const struct app_attrs *attrs, uint16_t type, char *buf, size_t size)
	NONNULL(1, 3);

/* app_attr_flow - Errors: NOT_FOUND. */
MUST_USE enum err app_attr_flow(const struct app_attrs *attrs, uint16_t type, struct flow *out)
	NONNULL(1, 3);

/* app_attr_inside - the attributes inside the first of this type. Errors: NOT_FOUND. */
MUST_USE enum err app_attr_inside(const struct app_attrs *attrs, uint16_t type,
				  struct app_attrs *out) NONNULL(1, 3);

/* app_put_header - begin a message. The others append an attribute to a message or to one that was
 * begun with app_begin(), whose mark app_end() takes. A text is cut at its type's longest and
 * control characters are replaced, so that whatever is put can be parsed; NULL and "" are left out.
 * Errors are the writer's. */
void app_put_header(struct writer *w, uint16_t verb, uint8_t flags, uint16_t code, uint32_t id)
	NONNULL(1);
void app_put_u32(struct writer *w, uint16_t type, uint32_t v) NONNULL(1);
void app_put_u64(struct writer *w, uint16_t type, uint64_t v) NONNULL(1);
void app_put_bool(struct writer *w, uint16_t type, bool v) NONNULL(1);
void app_put_bytes(struct writer *w, uint16_t type, struct bytes v) NONNULL(1);
void app_put_text(struct writer *w, uint16_t type, const char *v) NONNULL(1);
void app_put_flow(struct writer *w, uint16_t type, const struct flow *v) NONNULL(1, 3);
size_t app_begin(struct writer *w, uint16_t type) NONNULL(1);
void app_end(struct writer *w, size_t mark) NONNULL(1);

/* app_code_of - of an error. app_verb_name - "latch-create"; "?" for what is none. */
enum app_code app_code_of(enum err e);
const char *app_verb_name(uint16_t verb);
