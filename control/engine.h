/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.h - the IKEv2 keying engine (RFC 7296) as the rest of Latchkey sees it. It is sans-I/O:
 * its inputs are datagrams, the passing of time, requests and answers; its outputs are actions that
 * the caller takes one by one and carries out. It reads no clock, opens no socket, and draws
 * randomness only from the source it was given: the same inputs give the same actions, byte for
 * byte.
 *
 * After every input call, take all actions with ike_action_next(), carry them out in order, and ask
 * ike_deadline() when to come back. Thread: one control thread per engine.
 */
#pragma once

#include "base/addr.h"
#include "base/clock.h"
#include "base/rng.h"
#include "base/secret.h"
#include "control/conf/conf.h"
#include "control/mif.h"
#include "control/puzzle.h"
#include "dataplane/dataplane.h"

struct cred;
struct ike_engine;

/* struct ike_env - what the engine is given. spi_reserve and spi_release act on the inbound SAD
 * (dataplane_spi_reserve, dataplane_spi_release); `replaces` is the pair in whose place the new one
 * will be, 0 = none, worker the one (and 1 more) that it is for, 0 = any; child_stats tells what
 * the data path saw (for liveness, RFC 7296 2.4, and lists). All are called during input calls
 * only. */
struct ike_env {
	const struct rng *rng;
	enum err (*spi_reserve)(void *ctx, uint32_t *out_spi, uint64_t replaces, uint32_t worker);
	void (*spi_release)(void *ctx, uint32_t spi);
	enum err (*child_stats)(void *ctx, struct child_stats *out, uint64_t child);
	/* source_for - the local address that datagrams of a connection leave from towards remote;
	 * NOT_FOUND: there is no way. local_addrs - up to max of the host's addresses; returns how
	 * many; max: there may be others, 0: it does not say, or has none, which source_for tells.
	 * Both NULL: addresses never change. */
	enum err (*source_for)(void *ctx, struct ip_addr *out, const struct conf_conn *conn,
			       const struct ip_addr *remote);
	uint32_t (*local_addrs)(void *ctx, struct ip_addr *out, uint32_t max);
	void *ctx;
	/* udp_only - there is no port for bare ESP: encapsulation in UDP is wanted always. */
	bool udp_only;
	/* max_paths - that the data path can have for one peer, and what it can do with them (enum
	 * mif_capability); less than two: an IKE SA has one path, and nothing is said of more. */
	uint8_t max_paths;
	/* path_window - packets that a replay window holds at least once there are several paths.
	 */
	uint32_t path_window;
	uint16_t path_caps;
	/* num_workers - of the data path, which may each have pairs of their own; 0: 1. */
	uint32_t num_workers;
	/* fetches - ike_keyring_want() is heeded: certificates may be shown by URL. */
	bool fetches;
	/* test_keylog - a test build's hook that sees the keys of each new SA; NULL otherwise. */
	const struct ike_keylog *keylog;
};

/* struct ike_limits - 0 means the default given. */
struct ike_limits {
	uint32_t cookie_threshold;     /* half-open IKE SAs at which cookies are asked for; 30 */
	uint32_t puzzle_threshold;     /* at which puzzles are given (RFC 8019); 100 */
	uint32_t half_open_max;        /* above it new IKE_SA_INITs are refused silently; 1000 */
	uint32_t half_open_per_source; /* per IPv4 address or IPv6 /64, with those that have failed
					  to prove themselves in the last 5 s; 8 */
	uint64_t half_open_ns;      /* a half-open IKE SA lives this long; 60 s, 10 s in a crowd */
	uint64_t retransmit_ns;     /* first retransmission after; 1 s, times 1.8 each */
	uint64_t retransmit_max_ns; /* no interval is longer; 4 s */
	uint32_t retransmit_tries;  /* sends of one request before giving up; 20 (about 74 s) */
	uint32_t siblings_max; /* pairs of a child for single workers that a peer may make; 64 */
	bool cookies_always;   /* ask for cookies from the first request on (tests) */
};

/* ike_engine_new - an engine with no configuration. Errors: NOMEM, CRYPTO. */
MUST_USE enum err ike_engine_new(struct ike_engine **out, const struct ike_env *env,
				 const struct ike_limits *limits, uint64_t now_ns) NONNULL(1, 2, 3);

/* ike_engine_free - forget everything without telling the peers; wipes all keys. NULL accepted. */
void ike_engine_free(struct ike_engine *e);

/* ike_engine_configure - new SAs use this configuration from now on (a reference is taken); SAs
 * that exist keep theirs until they are re-keyed or ended. No session of before is resumed. */
void ike_engine_configure(struct ike_engine *e, struct conf *conf) NONNULL(1, 2);

/* ike_engine_crash_secret - from now on peers are given tokens made of this secret, of at least 16
 * bytes, by which they know of us that we have restarted (RFC 6290): the same one at each start,
 * and nobody else has it. Empty, as at first: none are given. The bytes are copied. Errors: INVAL
 * (it is shorter), NOMEM, LIMIT. */
MUST_USE enum err ike_engine_crash_secret(struct ike_engine *e, struct bytes secret) NONNULL(1);

/* ---- inputs -------------------------------------------------------------------------------- */

/* struct ike_datagram - one received IKE message, without the non-ESP marker; borrowed. */
struct ike_datagram {
	struct path_addr path;
	uint16_t port; /* outer port of the data path */
	struct bytes bytes;
};

/* ike_receive - handle a datagram. Nothing a peer sends is an error here: it is counted, answered
 * or logged. */
void ike_receive(struct ike_engine *e, const struct ike_datagram *dg, uint64_t now_ns)
	NONNULL(1, 2);

/* ike_stray - ESP of an unknown SPI came: its sender, as IKE reaches it along path, is told
 * (INVALID_SPI, RFC 7296 1.5), unless it has an IKE SA with us; so many a second and no more. */
void ike_stray(struct ike_engine *e, const struct path_addr *path, uint16_t port, uint32_t spi,
	       uint64_t now_ns) NONNULL(1, 2);

/* ike_run - fire what is due. */
void ike_run(struct ike_engine *e, uint64_t now_ns) NONNULL(1);

/* ike_deadline - when to call ike_run() next; TIME_NEVER if nothing is due. */
uint64_t ike_deadline(const struct ike_engine *e) NONNULL(1);

/*
 * struct ike_initiate_params - bring up a child of a connection; the caller has resolved the
 * addresses. flow: the packet that asked for it goes first into TSi and TSr (RFC 7296 2.9). narrow:
 * nothing but the flow's own selectors does: a pair of its own is made, beside what the child has
 * already, and keeps its selectors when it is re-keyed. suite: ESP proposals in place of the
 * child's, and for what takes the pair's place. methods: 1u << enum auth_method of those that the
 * peer may prove itself by, 0 = as configured; an IKE SA whose peer did otherwise is not used.
 */
struct ike_initiate_params {
	const char *conn;
	const char *child; /* NULL: the IKE SA alone */
	struct path_addr path;
	uint16_t port;
	const struct flow *flow; /* NULL if no packet asked */
	uint64_t request;        /* comes back in events about this request; 0 = none */
	bool narrow;
	const struct conf_proposal *suite; /* NULL: as configured */
	uint32_t num_suite;
	uint32_t methods;
};

/* ike_initiate - begin; events tell the outcome. If a usable IKE SA of the connection is up, only a
 * CREATE_CHILD_SA is made; if the child is up or under way and no flow asks for more, nothing.
 * Errors: NOT_FOUND (connection or child), NOMEM, CRYPTO, EXISTS (up already: not a failure), INVAL
 * (narrow without a flow, a suite that is none), UNSUPPORTED (the peer cannot prove itself by any
 * of the methods as the connection is configured). */
MUST_USE enum err ike_initiate(struct ike_engine *e, const struct ike_initiate_params *params,
			       uint64_t now_ns) NONNULL(1, 2);

/* struct ike_select - which SAs a request is about; unset fields (0, NULL) match all. */
struct ike_select {
	const char *conn;  /* connection name */
	const char *child; /* child configuration name: then only Child SAs are meant */
	uint32_t ike_id;   /* unique number of an IKE SA */
	uint32_t child_id; /* unique number of a Child SA */
	uint64_t request;  /* comes back in events */
};

/* ike_terminate, ike_rekey - delete or re-key all that match; *out_num is how many. Errors:
 * NOT_FOUND if none. */
MUST_USE enum err ike_terminate(struct ike_engine *e, uint32_t *out_num,
				const struct ike_select *sel, uint64_t now_ns) NONNULL(1, 2, 3);
MUST_USE enum err ike_rekey(struct ike_engine *e, uint32_t *out_num, const struct ike_select *sel,
			    uint64_t now_ns) NONNULL(1, 2, 3);

/* struct ike_reauth_params - an IKE SA's peer is to authenticate itself again. */
struct ike_reauth_params {
	uint32_t ike_id;  /* the IKE SA */
	const char *conn; /* the connection that says how; NULL: the IKE SA's own */
	uint32_t methods; /* as in ike_initiate_params */
	uint64_t request; /* comes back in events */
};

/* ike_reauthenticate - by a new IKE SA with the same peer along the same path, with new keys and
 * the same children (RFC 7296 2.8.3), of another connection those of the same names. IKE_UP names
 * the old one, which is closed when the children are there; FAILED does, too, and it stays. Errors:
 * NOT_FOUND (no such IKE SA is up, or connection), EXISTS (it is being done), UNSUPPORTED (as
 * ike_initiate()), NOMEM, CRYPTO. */
MUST_USE enum err ike_reauthenticate(struct ike_engine *e, const struct ike_reauth_params *params,
				     uint64_t now_ns) NONNULL(1, 2);

/* ike_child_used - DP_EVENT_CHILD_USED, ike_child_expiring - DP_EVENT_SOFT (re-key),
 * ike_child_expired
 * - DP_EVENT_HARD (gone), ike_child_moved - DP_EVENT_MOVED. Unknown children are ignored. */
void ike_child_used(struct ike_engine *e, uint64_t child, uint64_t now_ns) NONNULL(1);
void ike_child_expiring(struct ike_engine *e, uint64_t child, uint64_t now_ns) NONNULL(1);
void ike_child_expired(struct ike_engine *e, uint64_t child, uint64_t now_ns) NONNULL(1);
void ike_child_moved(struct ike_engine *e, uint64_t child, const struct path_addr *path,
		     uint16_t port, uint64_t now_ns) NONNULL(1, 3);

/* ike_child_alone - DP_EVENT_SIBLING: worker sends by this pair, and has none of its own: one is
 * made, if the peer lets (RFC 9611). */
void ike_child_alone(struct ike_engine *e, uint64_t child, uint32_t worker, uint64_t now_ns)
	NONNULL(1);

/* ike_addresses_changed - addresses or routes of the host are others: every IKE SA asks
 * ike_env.source_for where it goes from now. With MOBIKE it moves and tells its peer (RFC 4555);
 * without, who began it makes it anew. */
void ike_addresses_changed(struct ike_engine *e, uint64_t now_ns) NONNULL(1);

/* ---- several paths (docs/multiple-interfaces.md) -----------------------------------------------
 */

/* enum ike_path_act - what is done about paths. */
enum ike_path_act {
	IKE_PATH_ADD,      /* one more, which is validated and waits by its priority */
	IKE_PATH_REMOVE,   /* it goes, at once */
	IKE_PATH_SOFT,     /* traffic moves there when it is usable; the others stay and wait */
	IKE_PATH_HARD,     /* the same; those that had it are gone */
	IKE_PATH_SCHEDULE, /* other priority, weight, policy */
	IKE_PATH_QUERY,    /* ask how the peer sees them: the answer is logged */
	IKE_PATH_LEAVE,    /* both send by others, and receive by it: before it is removed */
};

/* enum ike_path_policy - how what is sent is spread over the usable paths of the smallest priority.
 */
enum ike_path_policy {
	IKE_PATHS_FAILOVER = 0,
	IKE_PATHS_FLOW = 1,
	IKE_PATHS_SPRAY = 2,
	IKE_PATHS_DUPLICATE = 3,
	IKE_PATHS_AS_BEFORE = 255,
};

/* struct ike_path_op - one operation. The path is that with the number `id`; with 0 the one whose
 * own address is addr.local.addr (ADD: a new one always; SOFT, HARD: a new one if there is none;
 * SCHEDULE, QUERY without an address: all). addr: local is needed; what is not said of remote,
 * ports and encapsulation is as IKE goes now. */
struct ike_path_op {
	enum ike_path_act act;
	uint16_t id;
	struct path_addr addr;
	uint16_t port; /* outer port of the data path */
	bool nat;      /* a translator stands before this host there */
	bool dry;      /* say what would be, and do nothing */
	uint8_t priority;
	uint16_t weight; /* 0: 1 */
	enum ike_path_policy policy;
	uint32_t idle_ms, dead_ms; /* 0: as the data path does */
	const char *tag; /* SOFT, HARD: of the children alone whose path_tag it is; NULL: of all */
};

/* ike_path - num (1 to 8) operations, all of them or none, on each IKE SA that matches; with
 * `child` or `child_id` in sel, or a tag, SOFT and HARD are about these children alone. This side's
 * table is changed at once and changed back if the peer refuses; what came of it is told by
 * IKE_ACTION_PATH_NEWS, with the request of sel. Where the peer knows of one path only, SOFT and
 * HARD move that one to the addresses that are given: by MOBIKE, or with an IKE SA that is made
 * before the one that is there ends. *out_num is how many IKE SAs; *out_id (or NULL) the last new
 * path's number, on the last of them. Errors: NOT_FOUND (no such IKE SA, path, or child),
 * UNSUPPORTED (the peer cannot do it), PERM (the peer decides), LIMIT (too many paths), INVAL (an
 * address that cannot be), EXISTS (such an IKE SA is being made), NOMEM. Where some of several IKE
 * SAs fail, the first error is returned only if all do. */
MUST_USE enum err ike_path(struct ike_engine *e, uint32_t *out_num, uint16_t *out_id,
			   const struct ike_select *sel, const struct ike_path_op *ops,
			   uint32_t num, uint64_t now_ns) NONNULL(1, 2, 4, 5);

/* ike_path_usable - the data path of a peer (as in actions) says that a path is usable or not;
 * seen: where the peer's end is seen, which is believed of a usable one only; NULL: as it was. */
void ike_path_usable(struct ike_engine *e, uint64_t peer, uint16_t id, bool usable,
		     const struct endpoint *seen, uint64_t now_ns) NONNULL(1);

/* struct ike_redirect_params - whom another gateway is named, and which one; unset fields match
 * all.
 */
struct ike_redirect_params {
	const char *conn;
	uint32_t ike_id;
	struct ip_addr lo, hi;        /* the peer's address is one of these */
	const struct conf_side *peer; /* its identity is this one's */
	const char *gateway;          /* an address, or a name for the peer to look up */
};

/* ike_redirect - name another gateway to peers that began and said that they follow (RFC 5685 5);
 * what they do then is theirs. *out_num is how many were told. Errors: INVAL (such a gateway there
 * cannot be), NOT_FOUND, UNSUPPORTED (those that match do not follow), NOMEM. */
MUST_USE enum err ike_redirect(struct ike_engine *e, uint32_t *out_num,
			       const struct ike_redirect_params *params, uint64_t now_ns)
	NONNULL(1, 2, 3);

/* ike_child_failed - an IKE_ACTION_CHILD_ADD could not be carried out. */
void ike_child_failed(struct ike_engine *e, uint64_t child, enum err why, uint64_t now_ns)
	NONNULL(1);

/* enum ike_reason - why something went down or failed. ike_reason_name() gives the short name. */
enum ike_reason {
	IKE_REASON_NONE,
	IKE_REASON_LOCAL,       /* asked for here */
	IKE_REASON_PEER_DELETE, /* the peer deleted it */
	IKE_REASON_NO_ANSWER,   /* no answer to retransmissions */
	IKE_REASON_NO_PROPOSAL,
	IKE_REASON_INVALID_KE,
	IKE_REASON_AUTH_FAILED_PEER,  /* the peer refused our AUTH */
	IKE_REASON_AUTH_FAILED_LOCAL, /* we refused the peer's */
	IKE_REASON_NO_SECRET,
	IKE_REASON_NO_KEY, /* no private key, or none that the peer could verify */
	IKE_REASON_ID_MISMATCH,
	IKE_REASON_CERT_INVALID, /* malformed, or a signature of the chain is wrong */
	IKE_REASON_CERT_EXPIRED,
	IKE_REASON_CERT_NOT_YET,     /* not valid yet */
	IKE_REASON_CERT_NAME,        /* does not hold the identity, or a constraint forbids it */
	IKE_REASON_CERT_USAGE,       /* is not for this use, or not for an authority's */
	IKE_REASON_CERT_UNKNOWN_CA,  /* leads to no authority that is believed */
	IKE_REASON_CERT_PATH_LENGTH, /* a chain is longer than an authority allows */
	IKE_REASON_CERT_REVOKED,
	IKE_REASON_CERT_NO_REVOCATION, /* nothing is known, and something must be */
	IKE_REASON_CERT_WEAK,          /* a key or a signature of the chain */
	IKE_REASON_KEY_CHANGED,        /* not the key that the peer had at first */
	IKE_REASON_TS_UNACCEPTABLE,
	IKE_REASON_NO_CONFIG, /* no connection for these addresses and identities */
	IKE_REASON_REFUSED,   /* an ask was answered no, or not in time */
	IKE_REASON_MALFORMED,
	IKE_REASON_UNSUPPORTED, /* unsupported critical payload, major version */
	IKE_REASON_EXPIRED,     /* lifetime over without a re-key */
	IKE_REASON_PEER_ERROR,  /* another error notify */
	IKE_REASON_RESOURCES,
	IKE_REASON_REPLACED, /* a newer SA took its place */
	IKE_REASON_INACTIVE, /* no packet for as long as `inactivity` says */
	IKE_REASON_METHOD,   /* the peer proved itself by a method that the request does not take */
	IKE_REASON_AAA,      /* no server that knows the peer can be asked */
	IKE_REASON_PPK_MISSING, /* a PPK is demanded (RFC 8784), and the peer has or uses none */
	IKE_REASON_PPK_UNKNOWN, /* there is no PPK of that name here */
	IKE_REASON_PPK_WRONG,   /* the two sides have different ones of that name */
	IKE_NUM_REASONS
};

/* ike_reason_name - a short stable name ("no-proposal") for --json. */
const char *ike_reason_name(enum ike_reason r);

/* ---- asks: what the engine does not decide or know itself ------------------------------------ */

/* enum ike_ask_kind - what is asked. Only one ask per IKE SA is open at a time. */
enum ike_ask_kind {
	IKE_ASK_SECRET,       /* the pre-shared key for (local id, peer id): answer.secret */
	IKE_ASK_SIGN,         /* our AUTH value, a signature: answer.auth and answer.certs */
	IKE_ASK_VERIFY_CHAIN, /* whose signature would prove the peer's identity? answer.trust; as
			       * responder again for each further connection that it may be for */
	IKE_ASK_AUTHORIZE,    /* the peer is authenticated: may it have an IKE SA? answer.allow */
	IKE_ASK_CHILD_ACCEPT, /* a Child SA with these selectors is about to be made: answer.allow;
			       * as responder again when additional key exchanges were made for it
			       */
	IKE_ASK_EAP_SECRET,   /* the password of eap_id: answer.secret */
	IKE_ASK_EAP_KEY,    /* a certificate of local_id, and its key, for TLS in EAP: answer.certs
			     * and answer.secret (PKCS#8, DER) */
	IKE_ASK_EAP_SERVER, /* what the server that knows eap_id says of eap_packet: answer.aaa */
	IKE_ASK_PPK,        /* the PPK of ppk_id (RFC 8784): answer.secret */
	IKE_ASK_PUZZLE,     /* the solution of `puzzle` (RFC 8019): answer.solution; refused, the
			     * handshake goes on without */
	IKE_ASK_RESOLVE,    /* the address of `name`, a gateway that the peer names: answer.addr */
};

/* struct ike_cert - what a CERT payload holds: encoding (RFC 7296 3.6; 4 X.509, 15 raw public key,
 * 14 an OCSP response (RFC 4806)) and DER; or with 12 the SHA-1 of an X.509 certificate's DER, with
 * 13 of a CertificateBundle's, and a URL. */
struct ike_cert {
	uint8_t encoding;
	struct bytes data;
};

/* struct ike_ask - a question; pointers are valid until the answer. */
struct ike_ask {
	uint64_t id;
	enum ike_ask_kind kind;
	uint64_t deadline_ns; /* no answer until then is a refusal */
	uint64_t request;     /* that it serves, 0 = none */
	const char *conn;     /* connection name */
	const struct ike_id *local_id;
	const struct ike_id *peer_id;
	const struct auth_proof *proof; /* AUTHORIZE, CHILD_ACCEPT */
	const char *child;              /* CHILD_ACCEPT: child configuration name */
	const struct ts *local;         /* CHILD_ACCEPT */
	const struct ts *remote;
	uint32_t num_local, num_remote;
	const struct conf_conn *config; /* SIGN, VERIFY_CHAIN: the connection as the SA has it */
	struct bytes octets;            /* SIGN: what is to be signed (RFC 7296 2.15) */
	struct bytes authorities;       /* SIGN: hashes of keys, of authorities that it named */
	uint32_t peer_hashes;           /* SIGN: SIG_HASH_BIT()s; 0: it does not speak RFC 7427 */
	uint32_t peer_schemes;          /* SIGN: AUTH_SCHEME_BIT()s that it announces; 0: none */
	bool asked_x509, asked_raw;     /* SIGN: the peer wants to see a certificate, a raw key */
	bool asked_ocsp;                /* SIGN: and what an OCSP responder says of it */
	bool peer_fetches;              /* SIGN: certificates may be shown to it by URL */
	uint32_t num_certs;             /* VERIFY_CHAIN */
	const struct ike_cert *certs;   /* the same: as the peer sent them, the end's own first */
	const struct ike_id *
		eap_id; /* EAP_SECRET, EAP_SERVER: who proves itself by it, this side or the peer */
	struct bytes eap_name;        /* EAP_SERVER: eap_id as it goes by in EAP */
	struct bytes eap_packet;      /* EAP_SERVER: the peer's */
	struct bytes aaa_token;       /* EAP_SERVER: of the last answer; empty: this is the first */
	const struct path_addr *path; /* EAP_SERVER: where the peer is */
	const struct ike_id *ppk_id;  /* PPK: its name; only the bytes count */
	union {
		const struct puzzle *puzzle; /* PUZZLE */
		const char *name;            /* RESOLVE: a domain name, or an address as text */
	};
};

/* struct ike_trust - a key that speaks for the peer: an end's certificate (DER), or a raw public
 * key (SubjectPublicKeyInfo) that the configuration names. ca: the subject (DER) of the anchor that
 * the certificate leads to; empty if it is named itself. stored: the certificate is here, whether
 * it was sent or not. fetched: the peer sent its hash and where it is, and it was had from there.
 * parsed: the certificate taken apart, where whoever answers has it (its cred_der() is cert); NULL
 * else. */
struct ike_trust {
	struct bytes cert;
	struct cred *parsed;
	struct bytes key;
	struct bytes ca;
	bool stored, fetched;
};

/* enum ike_scheme - how a key outside of this process signs. ECDSA: the DER of r and s; RSA: PSS
 * with MGF1 of the same hash and a salt as long as the hash. */
enum ike_scheme {
	IKE_SCHEME_NONE,
	IKE_SCHEME_ED25519,
	IKE_SCHEME_ECDSA_SHA2_256,
	IKE_SCHEME_ECDSA_SHA2_384,
	IKE_SCHEME_ECDSA_SHA2_512,
	IKE_SCHEME_RSA_PSS_SHA2_256,
	IKE_SCHEME_RSA_PSS_SHA2_384,
	IKE_SCHEME_RSA_PSS_SHA2_512,
	IKE_NUM_SCHEMES
};

/* ike_schemes - SIGN: 1u << enum ike_scheme of those that the peer can verify (RFC 7427; without it
 * ECDSA as in RFC 4754) and the connection's `local.auth` lets. */
uint32_t ike_schemes(const struct ike_ask *ask) NONNULL(1);

/* struct ike_aaa - what a server that knows the peer says, in EAP and beside it (as eap_relayed).
 * accepted: it is who it says, and key is what both have; packet is then a success or empty, else a
 * request, or a failure or empty. token: comes back with the next ask. name: whom it takes the peer
 * for; empty: for whom it says it is. session_s: how long that holds, 0 = for ever. */
struct ike_aaa {
	bool accepted;
	struct bytes packet, key, token, name;
	uint32_t session_s;
};

/* struct ike_answer - to an ask; all that it points to is borrowed during the call. */
struct ike_answer {
	bool allow;
	struct bytes secret;  /* SECRET, EAP_SECRET, EAP_KEY, PPK: the key; empty = there is none */
	bool secret_is_group; /* SECRET: more than one identity may use it */
	/* SIGN, VERIFY_CHAIN, AUTHORIZE, EAP_SERVER: why not, if not allowed; text is a clause ("it
	 * has expired"), or NULL
	 */
	enum ike_reason reason;
	const char *text;
	uint8_t auth_method;          /* SIGN: of the AUTH payload */
	struct bytes auth;            /* SIGN: its value */
	struct bytes key;             /* SIGN: our public key (SubjectPublicKeyInfo) */
	const struct ike_cert *certs; /* SIGN, EAP_KEY: what to send with it */
	uint32_t num_certs;
	/* SIGN, instead of auth_method, auth and key: a signature by the key of certs[0]. The
	 * engine makes the AUTH value, and `send_cert` decides whether certs are sent. */
	enum ike_scheme scheme;
	struct bytes signature;
	const struct ike_trust *trust; /* VERIFY_CHAIN: any of them will do */
	uint32_t num_trust;
	/* CHILD_ACCEPT: traffic of the peer's side that others have. As responder it is left out of
	 * the selectors (RFC 7296 2.9); as initiator, and where nothing remains, the child is
	 * refused. reason and text are told of a refusal, too. */
	const struct ts *without;
	uint32_t num_without;
	struct bytes solution; /* PUZZLE: of puzzle_solver_solution() */
	bool vouched; /* VERIFY_CHAIN, instead of trust: what the peer shows first is its own */
	const struct ike_aaa *aaa; /* EAP_SERVER; text: why, if it refuses the peer */
	struct ip_addr addr;       /* RESOLVE; unset: there is no such name, or nobody can tell */
};

/* ike_answer - answer an open ask. Late, repeated or unknown ids are ignored. */
void ike_answer(struct ike_engine *e, uint64_t id, const struct ike_answer *answer, uint64_t now_ns)
	NONNULL(1, 3);

/* ike_ask_open - the question with this id while it waits for an answer, or NULL. */
const struct ike_ask *ike_ask_open(const struct ike_engine *e, uint64_t id) NONNULL(1);

/* ---- outputs ------------------------------------------------------------------------------- */

/* enum ike_event_kind - what happened, for logs, lists, requests and reconnecting. */
enum ike_event_kind {
	IKE_EVENT_IKE_UP,      /* IKE SA established */
	IKE_EVENT_IKE_REKEYED, /* replaced by a new one; ike_id is the new one's */
	IKE_EVENT_IKE_DOWN,    /* gone: deleted by either side, or the peer is dead */
	IKE_EVENT_CHILD_UP,
	IKE_EVENT_CHILD_REKEYED,
	IKE_EVENT_CHILD_DOWN,
	IKE_EVENT_FAILED,   /* a negotiation failed; text says why and what to change */
	IKE_EVENT_PROGRESS, /* a step of a negotiation, for people who watch (text) */
};

/* IKE_OFFER_MAX - the text of what one side offers, its NUL counted. */
#define IKE_OFFER_MAX 240

/* struct ike_event - borrowed until the next ike_action_next(). */
struct ike_event {
	enum ike_event_kind kind;
	enum ike_reason reason;
	const char *conn;  /* connection name, NULL while none is chosen */
	const char *child; /* child configuration name or NULL */
	uint32_t ike_id;
	uint32_t child_id;
	bool narrow; /* the child is for one flow alone: others of its name are not concerned */
	/* reauth: the IKE SA in whose place this one is to be (ike_reauthenticate()), 0 = none;
	 * with FAILED it stays. same_key: the same public key signed both: it is the same peer. */
	uint32_t reauth;
	bool same_key;
	bool dns; /* the peer has told name servers: they come or go with the IKE SA */
	uint64_t request;
	struct path_addr path;
	const char *text; /* one sentence for people: why, and what to change; "" if none */
	/* FAILED, DOWN: the exchange in which it failed ("IKE_AUTH"), "" outside of any; and where
	 * the two sides could not agree, what this side and what the peer offers or asks for, in
	 * the words of a configuration, "" where that is not known or not what it failed by */
	const char *phase, *here, *there;
};

/* enum ike_action_kind - what the caller is to do. */
enum ike_action_kind {
	IKE_ACTION_SEND,        /* send bytes by path and port */
	IKE_ACTION_PATHSET_ADD, /* a peer's path set, named by the engine's ike_peer number */
	IKE_ACTION_PATHSET_MOVE,
	IKE_ACTION_PATHSET_REMOVE,
	IKE_ACTION_CHILD_ADD,      /* install the pair (child_add) */
	IKE_ACTION_CHILD_ACTIVATE, /* send on it from now on */
	IKE_ACTION_CHILD_REMOVE,   /* child, half */
	IKE_ACTION_PATH_PUT,       /* a path of the peer's is new, or other (say, path, port) */
	IKE_ACTION_PATH_TAKE,      /* it is gone; never the only one (say.id) */
	IKE_ACTION_PATH_SCHEDULE,  /* how packets are spread over them (say.policy) */
	IKE_ACTION_PATH_NEWS,      /* say.news */
	IKE_ACTION_CHILD_PATH,     /* child goes by path say.id while it is usable; 0: as all */
	IKE_ACTION_ADDRESS_ADD,    /* address: the peer lends it to this host */
	IKE_ACTION_ADDRESS_REMOVE, /* address: as often as it was added */
	IKE_ACTION_ASK,
	IKE_ACTION_EVENT,
};

/* struct ike_child_add - everything to install; peer is the path set's name. The caller maps conn +
 * child (+ peer) to an SA group. `replaces` is the id of the pair that this one re-keys, or 0: then
 * it joins that pair's group. narrow: it is for one flow alone, and belongs to no other group.
 * request: that made it, or the first of those whose place it takes; 0 = none of ours. Keys are
 * wiped when the next action is taken. */
struct ike_child_add {
	uint64_t peer;
	uint64_t replaces;
	uint64_t request;
	bool narrow;
	const char *conn;
	const char *child;
	struct child_params params; /* group and pathset are left 0 for the caller */
};

/* enum ike_path_news - what the owner may want to know. */
enum ike_path_news {
	IKE_PATH_DONE,     /* the peer did what was asked, or would (dry) */
	IKE_PATH_REFUSED,  /* or did not: status, and this side's table is as it was */
	IKE_PATH_PROPOSED, /* the peer may be reached at path.remote, too */
};

/* struct ike_path_say - what an action is about a path. */
struct ike_path_say {
	uint16_t id;
	uint16_t weight;
	uint8_t priority;
	uint8_t policy; /* enum ike_path_policy */
	bool usable;    /* else it is to be validated: no payload goes by it */
	bool leaving;   /* payload goes by it only if no other one is usable */
	bool told;     /* the peer told its end; else this side's configuration or its caller did */
	uint32_t came; /* PATH_PUT, told, of a new path: bytes of the request that told it, if that
			* came from there; else 0 */
	uint8_t news;  /* enum ike_path_news */
	uint16_t status;
	uint32_t idle_ms, dead_ms;
	uint32_t ike_id;  /* unique number of the IKE SA */
	uint64_t request; /* DONE, REFUSED: that it serves, 0 = none */
	bool more;        /* DONE, REFUSED: the next news are of the same transaction */
};

/* ike_path_status_text - why a peer refuses what was said of a path: a clause. */
const char *ike_path_status_text(uint16_t status);

/* struct ike_action - borrowed until the next ike_action_next(). */
struct ike_action {
	enum ike_action_kind kind;
	uint16_t port;
	struct path_addr path;   /* SEND, PATHSET_*, PATH_PUT, PATH_NEWS */
	struct bytes bytes;      /* SEND: IKE header on, without the non-ESP marker */
	bool raw;                /* SEND: a NAT keepalive, to be sent as it is */
	uint64_t peer;           /* PATHSET_*, PATH_*; SEND: whom it goes to, 0: none of these */
	uint64_t child;          /* CHILD_ACTIVATE, CHILD_REMOVE, CHILD_PATH */
	struct ike_path_say say; /* PATH_*, CHILD_PATH */
	enum child_half half;    /* CHILD_REMOVE */
	struct ip_addr address;  /* ADDRESS_* */
	const char *conn;        /* ADDRESS_*: the connection that it is for */
	const struct ike_child_add *child_add;
	const struct ike_ask *ask;
	const struct ike_event *event;
};

/* ike_action_next - take the oldest action; false if there is none. */
bool ike_action_next(struct ike_engine *e, struct ike_action *out) NONNULL(1, 2);

/* ---- lists --------------------------------------------------------------------------------- */

/* enum ike_sa_state - as people see it. */
enum ike_sa_state {
	IKE_STATE_CONNECTING,
	IKE_STATE_ESTABLISHED,
	IKE_STATE_REKEYING,
	IKE_STATE_DELETING,
};

/* struct ike_child_info - one Child SA; times absolute on the engine's clock, TIME_NEVER = not. */
struct ike_child_info {
	uint64_t id;     /* as in child_params */
	uint32_t unique; /* number for people */
	const char *name;
	const char *state; /* "INSTALLED", "REKEYING", "DELETING" */
	uint32_t spi_in, spi_out;
	const char *proposal; /* "AES_GCM_16-256" */
	enum sa_mode mode;
	bool esn, encap;
	bool ipcomp; /* what goes is compressed, with these CPIs (RFC 3173) */
	uint16_t cpi_in, cpi_out;
	bool narrow;     /* it is for one flow alone */
	bool siblings;   /* it is one of several (RFC 9611) */
	uint32_t worker; /* that it is for, and 1 more; 0 = all */
	uint16_t path;   /* that it goes by while that is usable; 0 = as all */
	const struct ts *local;
	const struct ts *remote;
	uint32_t num_local, num_remote;
	uint64_t installed_ns, rekey_ns, expire_ns;
};

/* struct ike_path_info - one path of an IKE SA. */
struct ike_path_info {
	uint16_t id, weight;
	uint8_t priority;
	bool usable, active; /* this side may send by it; it does */
	bool leaving;        /* it is about to go */
	struct path_addr addr;
};

/* struct ike_sa_info - one IKE SA. */
struct ike_sa_info {
	uint32_t unique;
	const char *conn;
	enum ike_sa_state state;
	bool initiator;
	uint64_t spi_i, spi_r;
	struct path_addr path;
	uint64_t peer; /* the path set's name, as in actions; 0 while there is none */
	const struct ike_id *local_id, *remote_id; /* NULL while unknown */
	const struct auth_proof *proof;            /* NULL until the peer is authenticated */
	const char *proposal; /* "AES_GCM_16-256/PRF_HMAC_SHA2_256/CURVE_25519" or "" */
	uint64_t established_ns, rekey_ns;
	uint64_t reauth_ns; /* the peer is asked again who it is */
	bool nat_local, nat_remote;
	bool paths;             /* several paths are agreed on (docs/multiple-interfaces.md) */
	bool paths_decides;     /* and this side decides about them */
	uint8_t path_policy;    /* enum ike_path_policy */
	uint32_t num_path_list; /* 0 without agreement */
	struct ike_path_info path_list[8];
	const struct ip_addr *vips, *dns; /* addresses lent to this host, name servers there */
	uint32_t num_vips, num_dns;
	const struct ip_addr *lent; /* addresses that this host has lent the peer */
	uint32_t num_lent;
	struct ike_child_info *children;
	uint32_t num_children;
};

/* ike_each_sa - call fn for every IKE SA, in order of unique number. fn may not call the engine. */
void ike_each_sa(struct ike_engine *e, void (*fn)(void *ctx, const struct ike_sa_info *sa),
		 void *ctx) NONNULL(1, 2);

/* struct ike_lease - an address of a pool that is lent, or was and would be to the same peer.
 * peer: NULL, it has no name. */
struct ike_lease {
	struct ip_addr addr;
	const struct ike_id *peer;
	bool online;
};

/* ike_each_lease - call fn for the leases of a pool, by its name, in no order. fn may not call the
 * engine. */
void ike_each_lease(const struct ike_engine *e, const char *pool,
		    void (*fn)(void *ctx, const struct ike_lease *l), void *ctx) NONNULL(1, 2, 3);

/* struct ike_stats - totals since the start. */
struct ike_stats {
	uint64_t sent, received, retransmitted, malformed, dropped, cookies_sent;
	/* RFC 8019, as responder: set; solved; not solved though a solution was sent; not solved,
	 * and let in all the same */
	uint64_t puzzles_set, puzzles_solved, puzzles_failed, puzzles_spared;
	uint64_t tickets_given, tickets_refused, resumed; /* RFC 5723, as gateway */
	uint64_t ike_established, child_established, failed;
	uint32_t ike_sas, half_open, child_sas;
	uint32_t closing; /* IKE SAs that the peer has not confirmed the end of */
};
void ike_stats(const struct ike_engine *e, struct ike_stats *out) NONNULL(1, 2);

/* ike_id_text - an identity for people ("gw.example.com"), cleaned; cut to fit. Returns buf. */
const char *ike_id_text(char *buf, size_t size, const struct ike_id *id) NONNULL(1, 3);

/* IKE_EAP_NAME_MAX - room for a name with its NUL. ike_eap_name - a method of EAP
 * (auth_proof_params.eap) for lists: "mschapv2"; of one that servers of RADIUS alone speak its
 * number (IANA's). Returns buf. */
#define IKE_EAP_NAME_MAX 16
const char *ike_eap_name(char buf[static IKE_EAP_NAME_MAX], uint8_t method) NONNULL(1);

/* ---- what an application may know of an authentication ----------------------------------------
 */

/* enum ike_binding - two forms of a channel binding (RFC 5056), made of the public keys that the
 * two ends of the first IKE SA signed with, the initiator's first: who speaks over the channel and
 * shows that both ends have the same value knows that nobody is in the middle. */
enum ike_binding {
	IKE_BINDING_KEYS,   /* the two SubjectPublicKeyInfo, one after the other */
	IKE_BINDING_SHA256, /* SHA-256 of that */
};

/* IKE_BINDING_MAX - room for either. ike_channel_binding - Errors: NOT_FOUND (an end has shown no
 * key), LIMIT (cap). */
#define IKE_BINDING_MAX 4096
MUST_USE enum err ike_channel_binding(uint8_t *out, size_t cap, size_t *out_len,
				      const struct auth_proof *proof, enum ike_binding form)
	NONNULL(1, 3, 4);

/* ike_pubkey_id - a short name of the peer's key: nine base64 digits of an RSA modulus (RFC 3110
 * 2), or of the SHA-256 of another key's SubjectPublicKeyInfo. Errors: NOT_FOUND (it has shown
 * none). */
#define IKE_PUBKEY_ID_MAX 10
MUST_USE enum err ike_pubkey_id(char out[static IKE_PUBKEY_ID_MAX], const struct auth_proof *proof)
	NONNULL(2);

/* ike_certificate_dn, ike_authority_dn - the names in the peer's certificate and of the authority
 * that it leads to, for people; cut to fit. Errors: NOT_FOUND (there is none that was believed). */
MUST_USE enum err ike_certificate_dn(char *buf, size_t size, const struct auth_proof *proof)
	NONNULL(1, 3);
MUST_USE enum err ike_authority_dn(char *buf, size_t size, const struct auth_proof *proof)
	NONNULL(1, 3);

/* ---- credentials of the configuration ----------------------------------------------------------
 */

/* struct ike_keyring - answers asks from what the configuration holds: pre-shared keys, private
 * keys, certificates. One for an engine; the thread of its callers. */
struct ike_keyring;

/* ike_keyring_new - it draws from rng, which must outlive it. Errors: NOMEM, CRYPTO.
 * ike_keyring_free - NULL accepted. */
MUST_USE enum err ike_keyring_new(struct ike_keyring **out, const struct rng *rng) NONNULL(1, 2);
void ike_keyring_free(struct ike_keyring *k);

/* ike_keyring_answer - the answer to SECRET, SIGN or VERIFY_CHAIN by conf at wall clock time
 * wall_s; to AUTHORIZE of a peer with `auth = leapoffaith`: allowed, and its key is remembered, or
 * why that cannot be; ask it also where a program decides. To all others: allowed. *out is valid
 * until the next call. Certificates and lists are taken from what was loaded, and from what was
 * learned by ike_keyring_learn(). */
void ike_keyring_answer(struct ike_keyring *k, struct ike_answer *out, const struct conf *conf,
			const struct ike_ask *ask, int64_t wall_s) NONNULL(1, 2, 3, 4);

/* IKE_WANT_URL_MAX - of a URL with its NUL. struct ike_want - what would tell more, by HTTP: a
 * revocation list, a certificate, or with type (of body, which is to be posted) an OCSP responder's
 * answer. Views, until ike_keyring_learn(). */
#define IKE_WANT_URL_MAX 512
struct ike_want {
	uint64_t id;
	const char *url, *type;
	struct bytes body;
};

/* ike_keyring_fetches - whoever asks fetches what is wanted from now on; at first nobody does.
 * ike_keyring_waits - the last answer may be another one when what is being fetched has come: ask
 * again then, and answer with what is said in the end. ike_keyring_want - the next one that is to
 * be fetched; each is given out once (but see put_back), and only for chains that lead to an anchor
 * (S27). False if there is none. ike_keyring_put_back - it cannot be begun now, and is given out
 * again; whoever waits for it goes on. ike_keyring_learn - what came, untrusted; empty: nothing
 * did, because of why (a clause, else ""). */
void ike_keyring_fetches(struct ike_keyring *k, bool fetches) NONNULL(1);
bool ike_keyring_waits(const struct ike_keyring *k) NONNULL(1);
bool ike_keyring_want(struct ike_keyring *k, struct ike_want *out) NONNULL(1, 2);
void ike_keyring_put_back(struct ike_keyring *k, uint64_t id) NONNULL(1);
void ike_keyring_learn(struct ike_keyring *k, uint64_t id, struct bytes data, const char *why,
		       int64_t wall_s) NONNULL(1, 4);

/* enum ike_token_op - what a PKCS#11 token is to do: its private key signs; the public key that
 * belongs to it (SubjectPublicKeyInfo); a certificate (DER). The last needs no PIN. */
enum ike_token_op {
	IKE_TOKEN_SIGN,
	IKE_TOKEN_KEY,
	IKE_TOKEN_CERT,
};

/* IKE_TOKEN_DATA_MAX - bytes that may have to be signed. struct ike_token_task - one thing; handle
 * is the object's CKA_ID, slot CONF_TOKEN_ANY for whichever it is in. data: of ECDSA and RSA the
 * hash, of Ed25519 all. Views, until ike_keyring_token_learn(). */
#define IKE_TOKEN_DATA_MAX 8192
struct ike_token_task {
	uint64_t id;
	enum ike_token_op op;
	const char *module; /* its name in the configuration */
	uint64_t slot;
	struct bytes handle, pin;
	enum ike_scheme scheme; /* SIGN */
	struct bytes data;
};

/* ike_keyring_tokens - whoever asks gives tokens what is wanted of them from now on; at first
 * nobody does. ike_keyring_token - the next one that is wanted; each is given out once (but see
 * put_back). False if there is none. ike_keyring_token_put_back - it cannot be begun now.
 * ike_keyring_token_learn - what came, untrusted: a signature (ECDSA: the DER of r and s), a key or
 * a certificate; empty: nothing, because of why (a clause). What waits for it: ike_keyring_waits().
 * ike_keyring_round - whoever asks begins to ask all questions again that wait;
 * ike_keyring_unclaimed
 * - it has: signatures for others, whose IKE SAs are gone, are not made any more. True if some that
 * wait have room now which they did not find: ask once more.
 * ike_keyring_flush - forget lists, answers and certificates that were fetched, and what is known
 * of tokens: all is asked for again when it is needed. */
void ike_keyring_tokens(struct ike_keyring *k, bool reached) NONNULL(1);
bool ike_keyring_token(struct ike_keyring *k, struct ike_token_task *out) NONNULL(1, 2);
void ike_keyring_token_put_back(struct ike_keyring *k, uint64_t id) NONNULL(1);
void ike_keyring_token_learn(struct ike_keyring *k, uint64_t id, struct bytes data, const char *why,
			     int64_t wall_s) NONNULL(1, 4);
void ike_keyring_round(struct ike_keyring *k) NONNULL(1);
bool ike_keyring_unclaimed(struct ike_keyring *k) NONNULL(1);
void ike_keyring_flush(struct ike_keyring *k) NONNULL(1);

/* struct ike_keylog - see ike_env.keylog; exists only in builds with -Dtest_keylog=true. */
struct ike_keylog {
	void (*ike_sa)(void *ctx, uint64_t spi_i, uint64_t spi_r, struct bytes sk_ei,
		       struct bytes sk_er, const char *encr_name);
	void (*child)(void *ctx, const struct child_params *params, const struct path_addr *path);
	void *ctx;
};
