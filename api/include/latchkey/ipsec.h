/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipsec.h - IPsec as an application uses it: who is at the other end of a socket, how he proved it,
 * and that what travels is protected, by the names and meanings of draft-ietf-btns-abstract-api and
 * draft-ietf-btns-c-api and with the latches of RFC 5660. Link with liblatchkey (pkg-config
 * latchkey). The easy way:
 *
 *	fd = socket(AF_INET, SOCK_STREAM, 0);
 *	if (ipsec_connect(fd, addr, addr_len, "secure", "server.example", 10000))
 *		errx(1, "%s", ipsec_last_error());
 *	...
 *
 * From then on the connection is with server.example, or it is not at all. The daemon answers, or
 * an engine that the program embeds (ipsec_engine_use() of <latchkey/engine.h>).
 *
 * Errors: functions that return int return 0, or -1 with errno set, unless they say otherwise; each
 * tells which values it sets beside these, which all may set:
 *	ECONNREFUSED	no daemon answers
 *	ECONNRESET	it went away during the call
 *	EINVAL		an argument is not what it should be, a token of the other kind too
 *	ENOMEM		memory is short
 *	EPERM		the administrator does not let this user
 *	EDQUOT		the user has too many connections, latches or unread events
 *	ETIMEDOUT	no answer in time
 *	ENOENT		what was asked for is not there, or another user's
 *	EIO		the host did not do what was needed
 *	EDEADLK		from within a callback of an engine
 * ipsec_last_error() says it in a sentence. Out-parameters are written on success only.
 *
 * Threads: any thread may call any function. A token or latch is used by one thread at a time. All
 * share one connection to the daemon, which is made at the first call and again when the daemon
 * comes back; a forked child makes its own. No signal is raised, none is handled.
 *
 * Ownership: what a function creates is the caller's to free. Sockets are the caller's: the library
 * neither closes nor keeps one, and a token or latch that was got from a socket is used no longer
 * than that is open where it says so.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef IPSEC_API
#define IPSEC_API __attribute__((visibility("default")))
#endif

/* ---- what is known of a peer and of a protection --------------------------------------------- */

/* ipsec_iToken_t - an identity: who a peer is, by what he proved it. Valid on the whole system, and
 * with an external form, which means something to who believes the same authorities.
 * ipsec_pToken_t - a protection: of a connection, of a datagram, or one that is wished (a
 * template). Valid in this process; it is tied to whom it protects against, not to keys, which are
 * replaced under it. Neither is ever stored as bytes. */
typedef struct ipsec_iToken *ipsec_iToken_t;
typedef struct ipsec_pToken *ipsec_pToken_t;

/* enum ipsec_auth_method - how a peer proved who he is. */
enum ipsec_auth_method {
	IPSEC_AUTH_NONE = 1,          /* he did not (RFC 7619) */
	IPSEC_AUTH_BTNS = 2,          /* by a key that nobody vouches for (RFC 5386) */
	IPSEC_AUTH_LEAPOFFAITH = 3,   /* by the key that he had when he was first seen */
	IPSEC_AUTH_PRESHAREDKEY = 4,  /* by a secret that one pair has */
	IPSEC_AUTH_GROUPKEY = 5,      /* by a secret that several have */
	IPSEC_AUTH_XAUTH = 6,         /* IKEv1's, which is historic (RFC 9395): never comes */
	IPSEC_AUTH_EAP = 7,           /* IPSEC_API_ATTR_EAP_METHOD says by which method */
	IPSEC_AUTH_PKIX_TRUSTED = 8,  /* by the key of a certificate that is here */
	IPSEC_AUTH_PKIX_INLINE = 9,   /* of one that he sent, whose authority is believed here */
	IPSEC_AUTH_PKIX_OFFLINE = 10, /* of one that was fetched, likewise */
	IPSEC_AUTH_PUBKEY = 11,       /* by a raw public key that was configured */
	IPSEC_AUTH_LEAFOFFAITH = IPSEC_AUTH_LEAPOFFAITH, /* as the draft spells it */
};

/* enum ipsec_part - which part IPsec plays in authenticating the peer. */
enum ipsec_part {
	IPSEC_PART_PROFILE = 0,     /* what the profile says */
	IPSEC_PART_IKE_ONLY = 1,    /* IKE authenticates him, and that is all */
	IPSEC_PART_IKE_APP_ACK = 2, /* then the application says yes or no: ipsec_decide() */
	IPSEC_PART_APP_ONLY = 3,    /* the application does, bound to the channel */
	IPSEC_PART_NONE = 4,        /* nobody does */
};

/* IPSEC_API_ATTR_* - attributes. In brackets: of which kind of token (p, i), type as get and set
 * have it: bool is an int that is 0 or 1, number a uint32_t, text ends with a 0 that counts. */
enum ipsec_attr {
	IPSEC_API_ATTR_PRIVACY_PROTECTED = 1,     /* [p] bool: nobody on the way reads it */
	IPSEC_API_ATTR_INTEGRITY_PROTECTED = 2,   /* [p] bool: nor changes it */
	IPSEC_API_ATTR_COMPRESSION_AVAILABLE = 3, /* [p] bool: bytes and bytes on the wire differ */
	IPSEC_API_ATTR_TUNNEL_MODE = 4,           /* [p] bool */
	IPSEC_API_ATTR_ITOKEN = 5,       /* [p] ipsec_iToken_t: the peer; get makes a new one */
	IPSEC_API_ATTR_LOCAL_ITOKEN = 6, /* [p] ipsec_iToken_t: ourselves, likewise */
	IPSEC_API_ATTR_POLICY_NAME = 7,  /* [p] text: name of a profile (templates), or of the
					  * connection in the configuration */
	IPSEC_API_ATTR_AUTH_METHODS = 8, /* [p] templates: numbers, enum ipsec_auth_method, the
					  * best first; no other is used */
	IPSEC_API_ATTR_PART = 9,         /* [p] templates: number, enum ipsec_part */
	IPSEC_API_ATTR_SUITE = 10,       /* [p] text: algorithms; in a template as
					  * `esp_proposals` has them */
	IPSEC_API_ATTR_INFORMATION_STRING = 11, /* [p] text for people, not for comparing */
	IPSEC_API_ATTR_REPLAY_PROTECTED = 12,   /* [p] bool: what comes twice is found */
	IPSEC_API_ATTR_INDETERMINATE = 13,      /* [p] bool: the suite may change with new keys */
	IPSEC_API_ATTR_AUDIT_STRING = 14, /* [p, i] text for logs; its structure is no promise,
					   * and no secret is in it */
	IPSEC_API_ATTR_AUTH_METHOD = 15,  /* [i] number, enum ipsec_auth_method */
	IPSEC_API_ATTR_EAP_METHOD = 16,   /* [i] number, IANA's; with IPSEC_AUTH_EAP */
	IPSEC_API_ATTR_IDENTITY = 17,     /* [i] text: the name that he proved */
	IPSEC_API_ATTR_CERTIFICATE_AUTHORITY_DN = 18, /* [i] text: who vouches for him */
	IPSEC_API_ATTR_CERTIFICATE_DN = 19,           /* [i] text: in his certificate */
	IPSEC_API_ATTR_PUBKEY_ID = 20,                /* [i] text: short, for people and logs */
	IPSEC_API_ATTR_CHANNEL_BINDING = 21, /* [i] bytes: both public keys, the initiator's first;
					      * the same at both ends, and another one where a
					      * third is between them (RFC 5056) */
	IPSEC_API_ATTR_CHANNEL_BINDING_HASH = 22, /* [i] bytes: their SHA-256 */
	IPSEC_API_ATTR_PUBLIC_KEY = 23,           /* [i] bytes: his SubjectPublicKeyInfo */
};

/* ipsec_create_iToken, ipsec_create_pToken - an empty token: one to get into, or a template, which
 * leaves open what is not set. NULL with errno ENOMEM. ipsec_free_... - NULL is accepted. */
IPSEC_API ipsec_iToken_t ipsec_create_iToken(void);
IPSEC_API int ipsec_free_iToken(ipsec_iToken_t token);
IPSEC_API ipsec_pToken_t ipsec_create_pToken(void);
IPSEC_API int ipsec_free_pToken(ipsec_pToken_t token);

/* ipsec_dup_pToken, ipsec_dup_iToken - a new token that is the same. */
IPSEC_API int ipsec_dup_pToken(const ipsec_pToken_t token, ipsec_pToken_t *out);
IPSEC_API int ipsec_dup_iToken(const ipsec_iToken_t token, ipsec_iToken_t *out);

/* ipsec_cmp_pToken - 0: both protect alike, with the same peer, whatever keys, addresses and paths
 * they use; 1: they do not; -1: an error. A peer that had to be found anew after an outage, or
 * after the daemon was started again, gives an equal token if he proved the same identity alike.
 * ipsec_cmp_iToken - 0: the same identity by the same key (where keys are known), proven in the
 * same way; 1: not; -1: an error. */
IPSEC_API int ipsec_cmp_pToken(ipsec_pToken_t a, ipsec_pToken_t b);
IPSEC_API int ipsec_cmp_iToken(ipsec_iToken_t a, ipsec_iToken_t b);

/* ipsec_export_iToken - its external form, printable ASCII in one line, with a 0. *len: room; on
 * success and with ERANGE what is needed. ipsec_import_iToken - the reverse, into an empty token.
 * The form holds no secret; whoever can change where it is kept decides whom it stands for. Errors:
 * ERANGE (too little room), ENOENT (the token is empty), EINVAL (no such form). */
IPSEC_API int ipsec_export_iToken(const ipsec_iToken_t token, char *out, size_t *len);
IPSEC_API int ipsec_import_iToken(ipsec_iToken_t token, const char *text);

/* ipsec_get_token_attr - of a pToken or an iToken; *len: room at val in bytes, on success and with
 * ERANGE what the value takes. Errors: ENOENT (not set, not known), ERANGE, EINVAL (no token, or
 * not of this kind). ipsec_set_token_attr - in a template, or an iToken that is to go into one:
 * IDENTITY and AUTH_METHOD there. Errors: EACCES (what is known of a protection is not changed). */
IPSEC_API int ipsec_get_token_attr(const void *token, uint32_t type, uint32_t *len, void *val);
IPSEC_API int ipsec_set_token_attr(const void *token, uint32_t type, uint32_t len, const void *val);

/* The same with types. get_text, get_bytes: cut to nothing, ERANGE if there is too little room.
 * get_iToken fills a token that is there. Errors: as ipsec_get_token_attr(). */
IPSEC_API int ipsec_pToken_get_bool(ipsec_pToken_t token, enum ipsec_attr attr, bool *out);
IPSEC_API int ipsec_pToken_get_text(ipsec_pToken_t token, enum ipsec_attr attr, char *out,
				    size_t room);
IPSEC_API int ipsec_pToken_get_iToken(ipsec_pToken_t token, enum ipsec_attr attr,
				      ipsec_iToken_t out);
IPSEC_API int ipsec_pToken_set_bool(ipsec_pToken_t token, enum ipsec_attr attr, bool v);
IPSEC_API int ipsec_pToken_set_number(ipsec_pToken_t token, enum ipsec_attr attr, uint32_t v);
IPSEC_API int ipsec_pToken_set_text(ipsec_pToken_t token, enum ipsec_attr attr, const char *v);
IPSEC_API int ipsec_pToken_set_iToken(ipsec_pToken_t token, enum ipsec_attr attr, ipsec_iToken_t v);
IPSEC_API int ipsec_pToken_set_methods(ipsec_pToken_t token, const enum ipsec_auth_method *methods,
				       size_t num);
IPSEC_API int ipsec_iToken_get_method(ipsec_iToken_t token, enum ipsec_auth_method *out);
IPSEC_API int ipsec_iToken_get_text(ipsec_iToken_t token, enum ipsec_attr attr, char *out,
				    size_t room);
IPSEC_API int ipsec_iToken_get_bytes(ipsec_iToken_t token, enum ipsec_attr attr, void *out,
				     size_t *len);
IPSEC_API int ipsec_iToken_set_identity(ipsec_iToken_t token, const char *identity);

/* ---- sockets -------------------------------------------------------------------------------- */

/* ipsec_get_socket_pToken - what protects a connected socket; the same for as long as it is
 * connected. Errors: ENOENT (nothing, or not from its first packet), ENOTCONN (each datagram has
 * its own: ipsec_get_msg_pToken()). */
IPSEC_API int ipsec_get_socket_pToken(int fd, ipsec_pToken_t out);

/* ipsec_set_socket_pToken - what the socket sends goes by this protection or not at all. A token
 * that was got marks the socket, connected or not; a template latches a connected one, as
 * ipsec_latch_create() does, for as long as the process lives. Errors: ENOENT (the token reaches no
 * such socket), ENOTCONN, EEXIST, EPERM. */
IPSEC_API int ipsec_set_socket_pToken(int fd, const ipsec_pToken_t token);

/* ipsec_enable_msg_pToken - recvmsg() on this socket brings each datagram's token along, or which
 * interface it came by where that tells it, in IPSEC_MSG_SPACE bytes of control data. Errors:
 * EOPNOTSUPP (the kernel cannot). The socket is asked what its tokens stand for while it is open.
 */
IPSEC_API int ipsec_enable_msg_pToken(int fd);

/* IPSEC_MSG_SPACE - control data that a token takes in a message. */
#define IPSEC_MSG_SPACE 96

/* ipsec_get_msg_pToken - of a datagram that was received by a socket that brings tokens. What it
 * stands for is asked when an attribute is read; two are compared without. Where the host cannot
 * mark a packet the interface tells, if it is one connection's own. Errors: ENOENT (it came without
 * protection, or by an interface that does not tell). */
IPSEC_API int ipsec_get_msg_pToken(const struct msghdr *msg, ipsec_pToken_t out);

/* ipsec_set_msg_pToken - a datagram that is to be sent goes by this protection or not at all. The
 * token becomes the message's only control data: msg_control has msg_controllen bytes of room,
 * IPSEC_MSG_SPACE or more. Errors: EPERM (the kernel lets only who has the capability to administer
 * the network say this for each message; for all of a socket everybody may:
 * ipsec_set_socket_pToken()), ENOBUFS (room), EINVAL (a template). */
IPSEC_API int ipsec_set_msg_pToken(struct msghdr *msg, const ipsec_pToken_t token);

/* ipsec_require - the peer of this connected socket is peer_name (NULL: whoever the profile lets),
 * protected as the profile says (NULL: "secure"), from now on until it is closed; waits until that
 * stands. On a failure the flow stays shut: nothing goes in the clear; ipsec_last_reason() says
 * why. Errors: EPROTO (it failed: ipsec_last_reason()), EEXIST (it is latched otherwise), ENOTCONN,
 * ENOENT (no such profile, or nothing configured that could protect it), ETIMEDOUT (after 30 s). */
IPSEC_API int ipsec_require(int fd, const char *profile, const char *peer_name);

/* ipsec_connect - the same for a socket that is not connected yet, and connect(): no packet leaves
 * before the peer is known. The socket is bound to the address that the host would use, unless it
 * is bound. timeout_ms: for the protection; negative: 30 s. Errors: as ipsec_require(), bind() and
 * connect(). */
IPSEC_API int ipsec_connect(int fd, const struct sockaddr *addr, socklen_t addr_len,
			    const char *profile, const char *peer_name, int timeout_ms);

/* ---- latches (RFC 5660) --------------------------------------------------------------------- */

struct ipsec_latch;

/* IPSEC_LATCH_KEEP - it outlives the process, until it is released or the socket is closed by all
 * who have it. IPSEC_LATCH_LISTENER - find the listener's. */
#define IPSEC_LATCH_KEEP     0x01u
#define IPSEC_LATCH_LISTENER 0x02u

/* enum ipsec_latch_state - RFC 5660 2.3, and LARVAL before it stands. */
enum ipsec_latch_state {
	IPSEC_LATCH_LARVAL = 0,
	IPSEC_LATCH_LISTENING = 1,
	IPSEC_LATCH_ESTABLISHED = 2,
	IPSEC_LATCH_BROKEN = 3, /* like a loss: nothing passes, it may come back */
	IPSEC_LATCH_CLOSED = 4, /* like a reset: it does not */
};

/* enum ipsec_reason - why something failed, broke or was closed. */
enum ipsec_reason {
	IPSEC_REASON_NONE,
	IPSEC_REASON_LOCAL,
	IPSEC_REASON_PEER_DELETE,
	IPSEC_REASON_NO_ANSWER,
	IPSEC_REASON_NO_PROPOSAL,
	IPSEC_REASON_INVALID_KE,
	IPSEC_REASON_AUTH_FAILED_PEER,
	IPSEC_REASON_AUTH_FAILED_LOCAL,
	IPSEC_REASON_NO_SECRET,
	IPSEC_REASON_NO_KEY,
	IPSEC_REASON_ID_MISMATCH,
	IPSEC_REASON_CERT_INVALID,
	IPSEC_REASON_CERT_EXPIRED,
	IPSEC_REASON_CERT_NOT_YET,
	IPSEC_REASON_CERT_NAME,
	IPSEC_REASON_CERT_USAGE,
	IPSEC_REASON_CERT_UNKNOWN_CA,
	IPSEC_REASON_CERT_PATH_LENGTH,
	IPSEC_REASON_CERT_REVOKED,
	IPSEC_REASON_CERT_NO_REVOCATION,
	IPSEC_REASON_CERT_WEAK,
	IPSEC_REASON_KEY_CHANGED,
	IPSEC_REASON_TS_UNACCEPTABLE,
	IPSEC_REASON_NO_CONFIG,
	IPSEC_REASON_REFUSED,
	IPSEC_REASON_MALFORMED,
	IPSEC_REASON_UNSUPPORTED,
	IPSEC_REASON_EXPIRED,
	IPSEC_REASON_PEER_ERROR,
	IPSEC_REASON_RESOURCES,
	IPSEC_REASON_REPLACED,
	IPSEC_REASON_INACTIVE,
	IPSEC_REASON_METHOD,      /* the peer proved himself otherwise than was demanded */
	IPSEC_REASON_PPK_MISSING, /* a post-quantum pre-shared key is demanded, and not used */
	IPSEC_REASON_PPK_UNKNOWN, /* it is not known here */
	IPSEC_REASON_PPK_WRONG,   /* it is another one than the peer's */
	IPSEC_REASON_OTHER,       /* one that this library does not know yet */
};

/* struct ipsec_latch_info - a latch as it is. size: sizeof, set by the caller. */
struct ipsec_latch_info {
	size_t size;
	enum ipsec_latch_state state;
	enum ipsec_reason reason;
	bool listener;
	uint32_t uid; /* of the user whose it is */
	char profile[32];
	char peer[264];  /* that was demanded; "" = any */
	char text[256];  /* why it is BROKEN or CLOSED; "" if there is nothing to say */
	uint64_t number; /* as in events */
};

/* ipsec_latch_create - tie the connected socket's flow to the protection that the template demands
 * (NULL: the profile "secure"); its SAs are made at once, before any packet. Nothing of the flow
 * passes until it is ESTABLISHED, which an event tells. ipsec_latch_listen - the same for what
 * comes to a bound socket, of TCP a listening one: each connection gets a latch of its own. Errors:
 * EEXIST (it is latched: find it), ENOTCONN (not connected, bound, listening), ENOENT (no profile,
 * or nothing that could protect it), EPERM (a demand that is weaker than its profile). */
IPSEC_API int ipsec_latch_create(struct ipsec_latch **out, int fd, const ipsec_pToken_t demand,
				 unsigned int flags);
IPSEC_API int ipsec_latch_listen(struct ipsec_latch **out, int fd, const ipsec_pToken_t demand,
				 unsigned int flags);

/* ipsec_latch_find - the latch of this socket's flow; of a listening socket with
 * IPSEC_LATCH_LISTENER. Errors: ENOENT. */
IPSEC_API int ipsec_latch_find(struct ipsec_latch **out, int fd, unsigned int flags);

/* ipsec_latch_by_number - the one with this number, as events and ipsec_each_latch() tell it: of
 * this process, or anybody's for who may read all. Errors: ENOENT. */
IPSEC_API int ipsec_latch_by_number(struct ipsec_latch **out, uint64_t number);

/* ipsec_latch_inquire - how it stands. ipsec_latch_release - the flow is no longer tied; what had
 * been allowed before is again. The latch is freed, on a failure too. ipsec_latch_free - the latch
 * stays as it is, this process forgets it; NULL is accepted.
 * A daemon that was started again knows the kept ones, and this library finds those by their
 * socket, which has to be open. Errors of all: ESTALE (it did not survive). */
IPSEC_API int ipsec_latch_inquire(struct ipsec_latch *latch, struct ipsec_latch_info *out);
IPSEC_API int ipsec_latch_release(struct ipsec_latch *latch);
IPSEC_API void ipsec_latch_free(struct ipsec_latch *latch);

/* ipsec_latch_number - as events have it. */
IPSEC_API uint64_t ipsec_latch_number(const struct ipsec_latch *latch);

/* ipsec_latch_reauthenticate - its peer proves himself anew, as the template demands: traffic
 * waits, keys are made anew; the old latch is CLOSED and this one is the one that follows.
 * ipsec_latch_trigger - its SAs are made, if they are not there. ipsec_latch_delete - they are
 * deleted: the latch breaks. Errors: EPERM (needs the right to interact), EOPNOTSUPP. */
IPSEC_API int ipsec_latch_reauthenticate(struct ipsec_latch *latch, const ipsec_pToken_t demand);
IPSEC_API int ipsec_latch_trigger(struct ipsec_latch *latch);
IPSEC_API int ipsec_latch_delete(struct ipsec_latch *latch);

/* ---- several pairs of addresses (RFC 5660: multi-homed transports) ----------------------------
 */

/* struct ipsec_pair - the ends of one of the subflows of an MPTCP connection, with their ports. */
struct ipsec_pair {
	struct sockaddr_storage local, remote;
};

/* ipsec_socket_pairs - those that the connection has now, the oldest first; *num: room, then how
 * many there are. The calls above mean the first of them; ipsec_require() and ipsec_connect() see
 * to all: each has a latch of its own, and what the kernel adds later demands the same protection.
 * Those that the peer adds are a listener's, which latches each. Errors: EOPNOTSUPP (the socket is
 * of one pair), ENOTCONN, ERANGE (room; some were told). */
IPSEC_API int ipsec_socket_pairs(int fd, struct ipsec_pair *out, size_t *num);

/* ipsec_get_pair_pToken - as ipsec_get_socket_pToken(), of one pair. Errors: ENOENT also if the
 * connection has no such pair any more. */
IPSEC_API int ipsec_get_pair_pToken(int fd, const struct ipsec_pair *pair, ipsec_pToken_t out);

/* ipsec_latch_create_pair, ipsec_latch_find_pair - as ipsec_latch_create() and ipsec_latch_find(),
 * of one pair. A latch of one says nothing of the others, and breaks alone. Errors: as above. */
IPSEC_API int ipsec_latch_create_pair(struct ipsec_latch **out, int fd,
				      const struct ipsec_pair *pair, const ipsec_pToken_t demand,
				      unsigned int flags);
IPSEC_API int ipsec_latch_find_pair(struct ipsec_latch **out, int fd,
				    const struct ipsec_pair *pair);

/* ---- events --------------------------------------------------------------------------------- */

/* enum ipsec_app_event_kind - what happened. */
enum ipsec_app_event_kind {
	IPSEC_APP_EVENT_LATCH = 1,    /* a latch has another state (ALERT of RFC 5660) */
	IPSEC_APP_EVENT_SPAWNED,      /* a listener's latch has a new connection */
	IPSEC_APP_EVENT_ASK,          /* may this peer? ipsec_decide() within timeout_ms */
	IPSEC_APP_EVENT_DISCONNECTED, /* the daemon is gone; what was latched stays shut */
	IPSEC_APP_EVENT_RECONNECTED,  /* it is back; latches that were not kept are gone */
	IPSEC_APP_EVENT_LOST,         /* there were more than could be kept: inquire */
	IPSEC_APP_EVENT_PATH,         /* something happened to a path to a peer: `news`; told who
				       * may configure or read all */
};

/* enum ipsec_path_news - what happened to a path. */
enum ipsec_path_news {
	IPSEC_PATH_NEW = 1,   /* it is there, and is asked whether it carries */
	IPSEC_PATH_USABLE,    /* it does */
	IPSEC_PATH_LOST,      /* it does not any more */
	IPSEC_PATH_ELSEWHERE, /* its ends are others */
	IPSEC_PATH_MOVED,     /* traffic goes by it from now on; `from`: by which one before */
	IPSEC_PATH_GONE,      /* it was removed */
	IPSEC_PATH_DRAINED,   /* both sides send by others, and the peer's last packets have come */
};

/* struct ipsec_app_event - size: sizeof, set by the caller. peer: ASK: who it is; the caller's to
 * free; else NULL. */
struct ipsec_app_event {
	size_t size;
	enum ipsec_app_event_kind kind;
	enum ipsec_latch_state state;
	enum ipsec_reason reason;
	uint32_t timeout_ms;
	uint64_t latch;  /* its number; 0 = about none */
	uint64_t parent; /* SPAWNED: the listener's */
	uint64_t ask;
	ipsec_iToken_t peer;
	char text[256]; /* in a sentence; "" if there is nothing to say */
	/* PATH; who sets the size of what is above gets no such events */
	enum ipsec_path_news news;
	uint32_t path, from; /* numbers; from: 0 = by none */
	char connection[128];
	struct sockaddr_storage local, remote;
};

/* ipsec_event_fd - a descriptor that is readable when ipsec_event_next() has something; from the
 * first call on events of this process's latches are kept. It is the library's: not read, not
 * closed. ipsec_event_next - the next one: 1, or 0 if there is none now. */
IPSEC_API int ipsec_event_fd(void);
IPSEC_API int ipsec_event_next(struct ipsec_app_event *out);

/* ipsec_decide - the answer to an ASK; none in time is a no. Errors: ENOENT (too late). */
IPSEC_API int ipsec_decide(uint64_t ask, bool accept);

/* ---- profiles and credentials (who may configure) -------------------------------------------- */

/* struct ipsec_profile - a name for demands. size: sizeof, set by the caller. */
struct ipsec_profile {
	size_t size;
	char name[32];
	enum ipsec_auth_method methods[16]; /* that may be used, the best first */
	uint32_t num_methods;
	enum ipsec_part part;
	bool privacy, integrity; /* are demanded */
	bool clear;              /* without protection is better than not at all */
	bool make;               /* a connection is made where none is configured */
	char suites[256];        /* `esp_proposals` of what is made; "" = default */
	bool bypass; /* past IPsec, whatever protects the flow: the built-in "bypass" alone */
};

/* ipsec_each_profile, ipsec_each_latch - call fn for each profile; for everybody's latches (EPERM
 * without the right to read all). What fn is given is borrowed. */
IPSEC_API int ipsec_each_profile(void (*fn)(void *arg, const struct ipsec_profile *profile),
				 void *arg);
IPSEC_API int ipsec_each_latch(void (*fn)(void *arg, const struct ipsec_latch_info *info),
			       void *arg);

/* ipsec_set_profile - replaces one of this name, or adds it, until the configuration is loaded
 * again. Errors: EPERM. */
IPSEC_API int ipsec_set_profile(const struct ipsec_profile *profile);

/* ipsec_add_secret - a pre-shared key for these identities. ipsec_add_certificate - one (DER or
 * PEM) that is believed, as an authority's or as the peer's own. Until the configuration is loaded
 * again. The bytes are passed in memory and are not kept here. Errors: EPERM. */
IPSEC_API int ipsec_add_secret(const char *const *identities, size_t num, const void *secret,
			       size_t len);
IPSEC_API int ipsec_add_certificate(const void *bytes, size_t len, bool authority);

/* ---- paths to peers (who may configure) ------------------------------------------------------ */

/* A peer that several paths are agreed on with is reached by several pairs of addresses at once, of
 * which some carry traffic and others wait. `name` of the functions that change them is a
 * connection's in the configuration, or a peer's identity; all that it means are concerned. They
 * return when the peers have agreed, and what was said holds as long as they are connected,
 * whatever the configuration has. Errors of all: EPERM (the right to configure; the peer decides
 * about the paths, or the last one would go), ENOENT (nothing of that name is up, no such path),
 * EOPNOTSUPP (the peer has agreed to one path alone), EPROTO (it refuses), ETIMEDOUT (it has not
 * answered in 8 seconds: it goes on), EDQUOT (there are as many as there can be). */

/* ipsec_path_add - one more, from an address of this host to one of the peer (NULL: where the
 * keying protocol goes); ports do not count. It is used when it has answered, by its priority (0 to
 * 255, those with the smallest one are used) and weight (1 to 65535, or 0: 1). *out (may be NULL)
 * is its number; 0: the peer, who decides, has been told of the address. Errors: EINVAL (no such
 * address), EEXIST. */
IPSEC_API int ipsec_path_add(const char *name, const struct sockaddr *local,
			     const struct sockaddr *remote, unsigned int priority,
			     unsigned int weight, uint32_t *out);

/* ipsec_path_remove - traffic goes by others, and it goes when the last packets of both sides have
 * come by it: after 2 seconds at most, or as soon as it fails; EPROTO: no other one carries by
 * then, and it stays. ipsec_path_move - traffic goes by it as soon as it carries, and the others
 * wait; hard: those that had it go. ipsec_path_prefer - it goes before all others by its priority.
 */
IPSEC_API int ipsec_path_remove(const char *name, uint32_t number);
IPSEC_API int ipsec_path_move(const char *name, uint32_t number, bool hard);
IPSEC_API int ipsec_path_prefer(const char *name, uint32_t number);

/* enum ipsec_path_state - of a path. */
enum ipsec_path_state {
	IPSEC_PATH_ASKED = 0,   /* nothing goes by it: it has not answered */
	IPSEC_PATH_STANDBY = 1, /* it carries, and waits */
	IPSEC_PATH_ACTIVE = 2,  /* traffic goes by it */
};

/* struct ipsec_path_info - a path as it is. Figures that are 0 are not known. */
struct ipsec_path_info {
	size_t size; /* sizeof, set by the library */
	uint32_t number;
	enum ipsec_path_state state;
	char connection[128], peer[264]; /* name in the configuration, identity */
	bool decides;                    /* this host decides about the paths to this peer */
	bool udp;                        /* packets go in UDP */
	uint32_t priority, weight;
	struct sockaddr_storage local, remote;
	uint32_t rtt_us;               /* round trip, microseconds */
	uint32_t loss_permille;        /* of the latest messages that asked */
	uint32_t mtu;                  /* largest packet on the wire, bytes */
	uint64_t rate;                 /* that it was seen to take, bytes a second */
	uint64_t rx_packets, rx_bytes; /* that it brought */
	uint64_t tx_packets, tx_bytes; /* that it took */
};

/* ipsec_each_path - call fn for every path to every peer. What fn is given is borrowed. Errors:
 * EPERM (the right to read all). */
IPSEC_API int ipsec_each_path(void (*fn)(void *arg, const struct ipsec_path_info *path), void *arg);

/* ---- this library --------------------------------------------------------------------------- */

/* ipsec_last_error - why the last call in this thread failed, a sentence; valid until the next
 * call. ipsec_last_reason - the same as a number, where a peer was the cause.
 * ipsec_reason_text - a sentence fragment for people; never NULL. ipsec_auth_method_name - a short
 * word ("pkix-inline"); never NULL. */
IPSEC_API const char *ipsec_last_error(void);
IPSEC_API enum ipsec_reason ipsec_last_reason(void);
IPSEC_API const char *ipsec_reason_text(enum ipsec_reason reason);
IPSEC_API const char *ipsec_auth_method_name(enum ipsec_auth_method method);

/* ipsec_set_socket_path - where the daemon's application socket is, from the next connection on;
 * else what the environment variable LATCHKEY_SOCKET says (not in programs that run with another's
 * rights), else /run/latchkey/latchkey.app. Errors: ENAMETOOLONG. */
IPSEC_API int ipsec_set_socket_path(const char *path);

/* RFC 2367's numbers of algorithms, for who knows them; the suite's text is what counts. */
#define IPSEC_SADB_AALG_NONE       0
#define IPSEC_SADB_X_AALG_SHA2_256 5
#define IPSEC_SADB_X_AALG_SHA2_384 6
#define IPSEC_SADB_X_AALG_SHA2_512 7
#define IPSEC_SADB_X_AALG_NULL     251
#define IPSEC_SADB_EALG_NONE       0
#define IPSEC_SADB_EALG_NULL       11
#define IPSEC_SADB_X_EALG_AES_CBC  12
#define IPSEC_SADB_X_EALG_AES_GCM  20 /* with a tag of 16 bytes */
#define IPSEC_SADB_X_EALG_AES_GMAC 23

/* ipsec_suite_ealg, ipsec_suite_aalg - these numbers of a suite ("AES_GCM_16-256"); -1: RFC 2367
 * and those who went on with its numbers have none. */
IPSEC_API int ipsec_suite_ealg(const char *suite);
IPSEC_API int ipsec_suite_aalg(const char *suite);

#ifdef __cplusplus
}
#endif
