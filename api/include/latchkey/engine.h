/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.h - Latchkey inside a program of your own: IKEv2 (RFC 7296) and ESP (RFC 4303) without a
 * daemon. Link with liblatchkey-engine (pkg-config latchkey-engine).
 *
 * An engine is made, configured, given its drivers, started, and then turned:
 *
 *	ipsec_engine_new(&e, &params);
 *	ipsec_engine_configure(e, text, strlen(text));   the grammar of swanctl.conf(5)
 *	ipsec_engine_attach_udp(e, sockets, 2);          towards peers
 *	ipsec_engine_attach_packets(e, &port, NULL);     clear packets, without any interface
 *	ipsec_engine_start(e);
 *	ipsec_engine_run(e);                             or poll ipsec_engine_fd() yourself
 *
 * Errors: functions that return int return 0, or -1 with errno set; each tells which values it sets
 * beside ENOMEM. Out-parameters are written on success only.
 *
 * Threads: any thread may call any function of an engine; calls to one engine wait for each other.
 * Callbacks come in the thread that is inside ipsec_engine_dispatch() or ipsec_engine_run(), or
 * inside the call that caused them; they may call the engine, but not free or run it. Different
 * engines have nothing to do with each other.
 *
 * What the library does not do: install a signal handler, fork, exit, change the environment or the
 * locale, write to standard output or error, touch the host's interfaces, routes or filters. What
 * all engines of a process share: the pages that hold keys, the choice of cipher implementation,
 *and what OpenSSL itself keeps. A forked child has no keys: it must not use an engine of its
 *parent.
 *
 * Keys and SPIs are not seen here. Strings are UTF-8 or ASCII and end with 0; what a callback is
 * given is borrowed until it returns.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define IPSEC_API __attribute__((visibility("default")))

struct ipsec_engine;

/* ---- values --------------------------------------------------------------------------------- */

/* enum ipsec_family - the version field of the IP header; 0 = unset. */
enum ipsec_family {
	IPSEC_IPV4 = 4,
	IPSEC_IPV6 = 6,
};

/* struct ipsec_endpoint - an address and a UDP port. */
struct ipsec_endpoint {
	uint8_t family;   /* enum ipsec_family; 0 = unset */
	uint8_t zero;     /* 0 */
	uint16_t port;    /* host order; 0 = none or any */
	uint8_t addr[16]; /* wire order; IPv4 has the first four bytes, the others are 0 */
};

/* enum ipsec_encap - what ESP is carried in. */
enum ipsec_encap {
	IPSEC_ENCAP_NONE = 0, /* IP protocol 50; on a UDP socket: IKE without a marker (port 500) */
	IPSEC_ENCAP_UDP = 1,  /* ESP, IKE and keepalives as RFC 3948 says (port 4500) */
};

/* struct ipsec_path - where a datagram comes from or goes to. */
struct ipsec_path {
	struct ipsec_endpoint local;
	struct ipsec_endpoint remote;
	uint32_t interface; /* the host's number of the interface; 0 = its routing decides */
	uint32_t encap;     /* enum ipsec_encap */
};

/* struct ipsec_selector - traffic that a Child SA protects (RFC 7296 3.13.1). */
struct ipsec_selector {
	uint8_t family; /* enum ipsec_family */
	uint8_t proto;  /* IP protocol number; 0 = any */
	uint16_t port_lo,
		port_hi; /* host order, inclusive; 0 to 65535 = any; ICMP: type << 8 | code */
	uint16_t zero;   /* 0 */
	uint8_t addr_lo[16], addr_hi[16]; /* wire order, inclusive */
};

/* struct ipsec_packet - one packet on its way between a program and the library. */
struct ipsec_packet {
	void *data;      /* an IP packet (inner), or a UDP payload or ESP packet (outer) */
	size_t len;      /* bytes at data */
	size_t room;     /* bytes that data has room for, when the packet is to be filled in */
	uint32_t token;  /* inner, received: the protection class it arrived under, see
			  * ipsec_engine_peer(); sent: the one that it must leave under, 0 = as
			  * policies say. Outer: 0 */
	uint8_t tos;     /* outer: the outer header's TOS or traffic class byte */
	uint8_t zero[3]; /* 0 */
	struct ipsec_path path; /* outer only */
};

/* ---- what an engine is made of -------------------------------------------------------------- */

/* enum ipsec_log_level - what is written: everything up to the level. */
enum ipsec_log_level {
	IPSEC_LOG_ERROR,
	IPSEC_LOG_WARN,
	IPSEC_LOG_INFO,
	IPSEC_LOG_DEBUG,
};

/* enum ipsec_event_kind - what happened. */
enum ipsec_event_kind {
	IPSEC_EVENT_IKE_UP = 1,     /* an IKE SA is established */
	IPSEC_EVENT_IKE_REKEYED,    /* it was replaced by a new one, whose number ike_id is */
	IPSEC_EVENT_IKE_DOWN,       /* it is gone */
	IPSEC_EVENT_CHILD_UP,       /* a Child SA is in use: traffic is protected */
	IPSEC_EVENT_CHILD_REKEYED,  /* it was replaced by a new one, whose number child_id is */
	IPSEC_EVENT_CHILD_DOWN,     /* it is gone */
	IPSEC_EVENT_FAILED,         /* a negotiation failed: reason and text say why */
	IPSEC_EVENT_PROGRESS,       /* a step of a negotiation, for people who watch */
	IPSEC_EVENT_STOPPED,        /* ipsec_engine_stop() is done: the engine may be freed */
	IPSEC_EVENT_PATH_NEW,       /* of a path to a peer: it is there, and is asked */
	IPSEC_EVENT_PATH_USABLE,    /* it carries */
	IPSEC_EVENT_PATH_LOST,      /* it does not any more */
	IPSEC_EVENT_PATH_ELSEWHERE, /* its ends are others */
	IPSEC_EVENT_PATH_MOVED, /* traffic goes by it from now on; path_from: by which one before */
	IPSEC_EVENT_PATH_GONE,  /* it was removed */
	IPSEC_EVENT_PATH_DRAINED, /* both sides send by others, and the peer's last packets have
				     come */
	IPSEC_EVENT_PATH_DONE, /* a peer does what ipsec_engine_path_add() and others asked for */
	IPSEC_EVENT_PATH_REFUSED, /* or not, and all is as it was: text says why */
};

/* struct ipsec_event - see enum ipsec_event_kind. */
struct ipsec_event {
	enum ipsec_event_kind kind;
	const char *reason;     /* a short stable word, "no-proposal"; "none" if it did not fail */
	const char *connection; /* name in the configuration; NULL while none is chosen */
	const char *child;      /* name in the configuration, or NULL */
	uint32_t ike_id;        /* number of the IKE SA, 0 = none yet */
	uint32_t child_id;      /* number of the Child SA, 0 = not about one */
	uint64_t request;       /* that of ipsec_engine_initiate() and others; 0 = of nobody's */
	struct ipsec_path path; /* of the IKE SA, as far as known; PATH_...: this one */
	const char *text;       /* one sentence for people, "" if there is nothing to say */
	uint32_t path_number;   /* PATH_...; 0 = of none */
	uint32_t path_from;     /* PATH_MOVED; 0 = by none */
};

/* enum ipsec_ask_kind - what the engine wants to know. */
enum ipsec_ask_kind {
	IPSEC_ASK_SECRET = 1,   /* the pre-shared key of local_id and peer_id */
	IPSEC_ASK_AUTHORIZE,    /* the peer is authenticated: may it have an IKE SA? */
	IPSEC_ASK_CHILD_ACCEPT, /* may it have a Child SA with these selectors? */
	IPSEC_ASK_SIGN,         /* our signature, by a key that the program has: a connection with
				 * `local.auth = pubkey`; see ipsec_engine_sign() */
	IPSEC_ASK_VERIFY, /* are these the peer's certificates, or is this its key? A connection
			   * with `remote.auth = pubkey`; see ipsec_engine_answer(). After a no,
			   * a responder asks for the next connection that the peer may be for. */
};

/* enum ipsec_scheme - how a key signs. ECDSA signatures are the DER of r and s, as libraries give
 * them; RSASSA-PSS is with MGF1 of the same hash and a salt as long as the hash. */
enum ipsec_scheme {
	IPSEC_SCHEME_ED25519 = 1,
	IPSEC_SCHEME_ECDSA_SHA2_256,
	IPSEC_SCHEME_ECDSA_SHA2_384,
	IPSEC_SCHEME_ECDSA_SHA2_512,
	IPSEC_SCHEME_RSA_PSS_SHA2_256,
	IPSEC_SCHEME_RSA_PSS_SHA2_384,
	IPSEC_SCHEME_RSA_PSS_SHA2_512,
};

/* IPSEC_SCHEME_BIT - a scheme's bit in a mask. */
#define IPSEC_SCHEME_BIT(scheme) (1u << (scheme))

/* struct ipsec_bytes - borrowed bytes; NULL and 0: none. */
struct ipsec_bytes {
	const void *data;
	size_t len;
};

/* struct ipsec_ask - a question about one peer. A later library may ask what a program does not
 * know, and add members at the end. */
struct ipsec_ask {
	uint64_t id; /* for ipsec_engine_answer() */
	enum ipsec_ask_kind kind;
	uint64_t deadline_ns;   /* on the engine's clock; no answer until then is a refusal */
	const char *connection; /* name in the configuration */
	const char *child;      /* CHILD_ACCEPT: name in the configuration; else NULL */
	const char *local_id;   /* as people write it: "gw.example.com"; NULL = not known */
	const char *peer_id;    /* authenticated with AUTHORIZE and CHILD_ACCEPT, else claimed; as
				 * the connection's `remote.auth` has it, "%null" of nobody */
	const struct ipsec_selector *local_ts;  /* CHILD_ACCEPT: what is to be protected */
	const struct ipsec_selector *remote_ts; /* CHILD_ACCEPT */
	uint32_t num_local_ts, num_remote_ts;
	struct ipsec_bytes octets;      /* SIGN: what is to be signed, unhashed (RFC 7296 2.15) */
	uint32_t schemes;               /* SIGN: IPSEC_SCHEME_BIT()s that the peer can verify and
					 * `local.auth` lets; 0: there is no way */
	bool wants_certificate;         /* SIGN: the peer asks for certificates */
	bool wants_key;                 /* SIGN: the peer asks for a raw public key */
	struct ipsec_bytes authorities; /* SIGN: those that the peer names, as SHA-1 of their
					 * SubjectPublicKeyInfo, 20 bytes each (RFC 7296 3.7) */
	const struct ipsec_bytes *certificates; /* VERIFY: X.509, DER, unchecked; as the peer sent
						 * them, its own first */
	uint32_t num_certificates;
	struct ipsec_bytes key; /* VERIFY: SubjectPublicKeyInfo, DER, unchecked, if the peer sent
				 * one raw */
};

/* struct ipsec_signature - the answer to SIGN; copied. What the peer did not ask for is not sent,
 * unless `send_cert` says so. */
struct ipsec_signature {
	enum ipsec_scheme scheme;
	struct ipsec_bytes value;
	const struct ipsec_bytes *certificates; /* X.509, DER: that of the key, then those above */
	uint32_t num_certificates;              /* at most 10; 0: the key has none */
	struct ipsec_bytes key; /* without certificates: its SubjectPublicKeyInfo, DER */
};

/* struct ipsec_answer - to a question. */
struct ipsec_answer {
	bool allow;         /* AUTHORIZE, CHILD_ACCEPT, VERIFY: yes or no; SECRET: there is one */
	const void *secret; /* SECRET: the key; copied and yours to wipe */
	size_t secret_len;  /* bytes */
	bool secret_is_shared; /* SECRET: more than one identity may use it, so it proves less */
};

/* struct ipsec_engine_params - what an engine is made of. Begin with IPSEC_ENGINE_PARAMS; a member
 * that stays 0 means the default given. Copied, but for what ctx points to. */
struct ipsec_engine_params {
	size_t size; /* sizeof(struct ipsec_engine_params), set by IPSEC_ENGINE_PARAMS: how a later
		      * library knows what an earlier program means */

	/* ctx - handed to all callbacks here. */
	void *ctx;

	/* threads - 0: everything but puzzles runs in ipsec_engine_dispatch(). 1: the data path has
	 * a thread of its own, so that packets flow while the program does something else. Puzzles
	 * of gateways in a flood (RFC 8019) are solved in a thread of the library's in either case,
	 * which calls nothing of the program's and goes by the host's clock; `puzzle_max = 0` in
	 * the configuration: none are. */
	unsigned int threads;

	/* log - a line for people, without newline; connection may be NULL. Default: nothing is
	 * written. log_level: how much; IPSEC_LOG_ERROR. `log_level` in the configuration does not
	 * matter to an embedded engine. */
	void (*log)(void *ctx, enum ipsec_log_level level, const char *subsystem,
		    const char *connection, const char *line);
	enum ipsec_log_level log_level;

	/* event - something happened. Default: the last 256 wait for ipsec_engine_next_event(). */
	void (*event)(void *ctx, const struct ipsec_event *event);

	/* ask - a question. Return true if ipsec_engine_answer() was called or will be called for
	 * it (or one of its sisters), from here or later; false, as for all kinds that the program
	 * does not know: it is answered from the configuration, as without this. */
	bool (*ask)(void *ctx, const struct ipsec_ask *ask);

	/* clock - monotonic time in nanoseconds, for simulations; with threads = 0 only. Default:
	 * the host's, suspended time included. */
	uint64_t (*clock)(void *ctx);

	/* random - fill len bytes with randomness fit for keys; 0, or -1 if it cannot: what needed
	 * it then fails. Any thread, and not within the engine's lock. Default: the host's. */
	int (*random)(void *ctx, void *out, size_t len);
};

/* IPSEC_ENGINE_PARAMS - the defaults: struct ipsec_engine_params p = IPSEC_ENGINE_PARAMS; */
#define IPSEC_ENGINE_PARAMS                                \
	{                                                  \
		.size = sizeof(struct ipsec_engine_params) \
	}

/* struct ipsec_allocator - memory for everything but keys. realloc(NULL, n) allocates, realloc(p,
 * 0) frees and returns NULL; aligned as malloc(3). Any thread. */
struct ipsec_allocator {
	void *(*realloc)(void *ctx, void *p, size_t size);
	void *ctx;
};

/* ipsec_set_allocator - the allocator of all engines of the process, NULL = malloc(3)'s. Before the
 * first engine is made and not after; the struct is copied. Errors: EBUSY. */
IPSEC_API int ipsec_set_allocator(const struct ipsec_allocator *allocator);

/* ---- life ----------------------------------------------------------------------------------- */

/* ipsec_engine_new - an engine that does nothing yet; *out is freed with ipsec_engine_free().
 * Errors: EINVAL (size; a clock with threads; more than 1 thread). */
IPSEC_API int ipsec_engine_new(struct ipsec_engine **out, const struct ipsec_engine_params *params);

/* ipsec_engine_free - forget all SAs without telling the peers, close all drivers, wipe all keys.
 * Nobody may be inside a call of the engine. NULL is accepted. */
IPSEC_API void ipsec_engine_free(struct ipsec_engine *e);

/* ipsec_engine_configure - `len` bytes of text in the grammar of swanctl.conf(5) become the
 * configuration, all of it: a connection that is not in it is gone, its SAs stay until they end.
 * Before the start, and at any time after it. Of the section `latchkey` only `cookies`, `puzzles`
 * and what belongs to it matter, from then on, and `mtu`, `aead`, `port`, `port_nat_t`,
 * `retransmit_timeout`, `retransmit_tries`, as they are at the start. Errors: EINVAL, and
 * ipsec_engine_error() tells where and what; the old configuration then stays whole. */
IPSEC_API int ipsec_engine_configure(struct ipsec_engine *e, const char *text, size_t len);

/* ipsec_engine_configure_file - the same from a file and what it includes. Errors: as above, and
 * those of open(2) and read(2). */
IPSEC_API int ipsec_engine_configure_file(struct ipsec_engine *e, const char *path);

/* ipsec_engine_error - what the last call that failed or warned has to tell people, a line for each
 * remark ("name:line: sentence"); "" if nothing. Owned by the engine, until its next call. */
IPSEC_API const char *ipsec_engine_error(struct ipsec_engine *e);

/* ipsec_engine_start - begin: connections with start_action = start are brought up. What is
 * attached stays so until the engine is freed. Errors: EBUSY (it was started before), ENOTCONN
 * (nothing is attached towards peers), ENOENT (`aead` names no back end), EIO (a cipher failed its
 * self-test). After an error the engine can only be freed. */
IPSEC_API int ipsec_engine_start(struct ipsec_engine *e);

/* ipsec_engine_fd - a descriptor that is readable when ipsec_engine_dispatch() is to be called; it
 * includes a timer. Wait for it (poll, epoll, select), do nothing else with it. From the start
 * until the engine is freed. Errors: EINVAL (not started). */
IPSEC_API int ipsec_engine_fd(struct ipsec_engine *e);

/* ipsec_engine_dispatch - do all that is to be done now; never blocks, and is harmless when there
 * is nothing. With threads = 0 this is also what moves packets: call it after ipsec_port_send().
 * Errors: EINVAL (not started). */
IPSEC_API int ipsec_engine_dispatch(struct ipsec_engine *e);

/* ipsec_engine_deadline - when something is due next, on the engine's clock; UINT64_MAX if nothing
 * is. For programs with a clock of their own: the descriptor's timer runs on the host's. */
IPSEC_API uint64_t ipsec_engine_deadline(struct ipsec_engine *e);

/* ipsec_engine_run - wait and dispatch until ipsec_engine_stop() is done. For a program that gives
 * the engine a thread. Errors: EINVAL (not started, or a clock of its own), EBUSY (runs already).
 */
IPSEC_API int ipsec_engine_run(struct ipsec_engine *e);

/* ipsec_engine_stop - tell every peer that its SAs end (RFC 7296 1.4.1) and wait for their answers,
 * 2 seconds at most; then comes IPSEC_EVENT_STOPPED and ipsec_engine_run() returns. Returns at
 * once; a second call ends the waiting. Errors: EINVAL (not started). */
IPSEC_API int ipsec_engine_stop(struct ipsec_engine *e);

/* ---- drivers: before the start ----------------------------------------------------------------
 */

/* enum ipsec_role - which side of the protection boundary a driver is on (RFC 4301 3.1). */
enum ipsec_role {
	IPSEC_INNER, /* clear IP packets */
	IPSEC_OUTER, /* datagrams to and from peers */
};

/* An engine has exactly one driver for IKE and ESP in UDP, at most one for bare ESP, and inner
 * ones. Each attach function fails with EBUSY after the start and with ENOSPC when there are 64. A
 * failed one leaves descriptors and ctx to the caller; else they are the engine's and closed with
 * it. */

/* struct ipsec_socket - a bound, non-blocking UDP socket and what arrives there: IPSEC_ENCAP_NONE
 * for port 500, IPSEC_ENCAP_UDP for port 4500 (UDP_ENCAP of udp(7) is not to be set). The library
 * sets what it needs: packet information, and that datagrams may be cut on the way. */
struct ipsec_socket {
	int fd;
	uint32_t encap; /* enum ipsec_encap */
};

/* ipsec_engine_attach_udp - 1 to 8 sockets, of both families in any mixture. Errors: EINVAL (not
 * UDP sockets, or their number), EEXIST (attached already). */
IPSEC_API int ipsec_engine_attach_udp(struct ipsec_engine *e, const struct ipsec_socket *sockets,
				      size_t num);

/* ipsec_engine_attach_raw - bare ESP by one or two raw sockets of IP protocol 50, non-blocking, one
 * of each family. Needs privilege to have made. Errors: as above. */
IPSEC_API int ipsec_engine_attach_raw(struct ipsec_engine *e, const int *fds, size_t num);

/* ipsec_engine_attach_wire - join two engines of one process by a wire of memory, which carries IKE
 * and ESP in UDP between all addresses. Errors: EEXIST. */
IPSEC_API int ipsec_engine_attach_wire(struct ipsec_engine *a, struct ipsec_engine *b);

/* ipsec_engine_attach_tap - a TAP (or, with tun, a TUN with packet information) that the program
 * opened, non-blocking, and gave addresses and routes; mtu: the device's, in bytes. Nothing guards
 * what does not go through it: filters are the program's. name: that of a connection's `interface`,
 * or NULL for all connections without one. Errors: EINVAL, EEXIST (the name). */
IPSEC_API int ipsec_engine_attach_tap(struct ipsec_engine *e, int fd, bool tun, uint32_t mtu,
				      const char *name);

/* struct ipsec_driver_ops - a driver of the program's own. All are called by one thread at a time:
 * that which dispatches, or with threads = 1 the data path's. None may block or call the engine. */
struct ipsec_driver_ops {
	/* receive - fill up to num packets: data has room bytes; set len, on an outer driver path
	 * (with encap) and tos, on an inner one token if the packet demands one. Returns how many
	 * were filled. */
	unsigned int (*receive)(void *ctx, struct ipsec_packet *packets, unsigned int num);
	/* send - send num packets in order; they are the library's. Returns how many were sent: the
	 * others are counted and lost. */
	unsigned int (*send)(void *ctx, const struct ipsec_packet *packets, unsigned int num);
	/* fd - readable as long as receive() has something: with threads = 1 it is not called
	 * otherwise. -1 or NULL: the program calls ipsec_engine_dispatch() itself when there is;
	 * not possible with threads = 1. */
	int (*fd)(void *ctx);
	/* close - the engine is done with it. May be NULL. */
	void (*close)(void *ctx);
};

/* ipsec_engine_attach_driver - ops is borrowed and outlives the engine. bare: an outer driver that
 * carries ESP as IP protocol 50 and no IKE. mtu: inner, largest packet in bytes; 0 = 1400. name: as
 * for a TAP. Errors: EINVAL, EEXIST. */
IPSEC_API int ipsec_engine_attach_driver(struct ipsec_engine *e, const struct ipsec_driver_ops *ops,
					 void *ctx, enum ipsec_role role, bool bare, uint32_t mtu,
					 const char *name);

/* ---- clear packets without an interface ------------------------------------------------------ */

struct ipsec_port;

/* ipsec_engine_attach_packets - packets come from ipsec_tx_burst() and go to ipsec_rx_burst(). 256
 * packets of up to 2048 bytes wait in each direction. *out is valid until
 * the engine is freed. name: as for a TAP. Errors: EEXIST. */
IPSEC_API int ipsec_engine_attach_packets(struct ipsec_engine *e, struct ipsec_port **out,
					  const char *name);

/* ipsec_tx_burst - IP packets to be protected and sent: data, len and token are read, and copied.
 * With a token a packet leaves by an SA of that protection class, between these two identities and
 * as well protected, or not at all (ipsec_engine_drops(): CLASS), whatever policy or SA comes first
 * otherwise. Returns how many were taken, in order; what no policy protects is dropped and counted,
 * never sent in the clear. -1: EMSGSIZE (the first is longer than 2048), EAGAIN (no room now). One
 * thread at a time for each port, without waiting for the engine. ipsec_port_send - the same. */
IPSEC_API int ipsec_tx_burst(struct ipsec_port *port, const struct ipsec_packet *packets,
			     unsigned int num);
IPSEC_API int ipsec_port_send(struct ipsec_port *port, const struct ipsec_packet *packets,
			      unsigned int num);

/* ipsec_rx_burst - packets that arrived under protection: data and room say where to, len and token
 * are set; what is longer than room is cut. The token is that of the SA which the packet came by,
 * and of no other, whatever its addresses are. Returns how many, 0 if there are none. Threads: as
 * above, beside a thread that sends. ipsec_port_receive - the same. */
IPSEC_API int ipsec_rx_burst(struct ipsec_port *port, struct ipsec_packet *packets,
			     unsigned int num);
IPSEC_API int ipsec_port_receive(struct ipsec_port *port, struct ipsec_packet *packets,
				 unsigned int num);

/* ipsec_port_fd - readable when there is something to receive. */
IPSEC_API int ipsec_port_fd(const struct ipsec_port *port);

/* ---- virtual interfaces of single connections ------------------------------------------------ */

/* A connection with `interface = NAME` in its configuration is route-based: its traffic is what
 * goes in and comes out at the driver of that name, whatever its selectors are, and two of them may
 * know the same inner addresses. A connection whose interface is not there carries nothing. */

/* ipsec_vif_create - one of packets, as ipsec_engine_attach_packets(); before the start or at any
 * time after it. *out is valid until ipsec_vif_destroy(). Errors: EINVAL (the name: 1 to 15 bytes),
 * EEXIST, ENOSPC. */
IPSEC_API int ipsec_vif_create(struct ipsec_engine *e, struct ipsec_port **out, const char *name);

/* ipsec_vif_create_tap - one that is a device of the host, as ipsec_engine_attach_tap(); the
 * descriptor is the engine's, also on failure, unless that is EINVAL or EEXIST. */
IPSEC_API int ipsec_vif_create_tap(struct ipsec_engine *e, int fd, bool tun, uint32_t mtu,
				   const char *name);

/* ipsec_vif_destroy - closes the driver, and ends the port of one of packets. Errors: EINVAL (not
 * started, or no name), ENOENT, EBUSY: a connection protects its traffic; terminate that and
 * configure it away, or use it no more. */
IPSEC_API int ipsec_vif_destroy(struct ipsec_engine *e, const char *name);

/* struct ipsec_peer - whom a token stands for. */
struct ipsec_peer {
	char local_id[264]; /* the identity we proved, as people write it; cut to fit */
	char peer_id[264];  /* the identity the peer proved */
	bool shared_secret; /* by a pre-shared key that more than one identity may use */
	const char *method; /* how: "psk", "group-psk", "pkix-trusted" (its certificate is here),
			     * "pkix-inline" (it was sent), "pkix-offline" (it was fetched),
			     * "pubkey", "eap", "leap-of-faith" (the key that it had at first),
			     * "btns" (any key: peer_id is its hash), "none" (nobody: peer_id is
			     * "%null") */
	bool privacy;       /* packets are encrypted, */
	bool integrity;     /* changed ones are found, */
	bool replay;        /* and those that come twice */
	bool tunnel;        /* tunnel mode, else transport mode */
};

/* ipsec_engine_peer - the peer of a packet by its token. The token of a peer is the same for all
 * its SAs and paths, also after re-keying. Errors: ENOENT: nobody's, or nobody's any more. */
IPSEC_API int ipsec_engine_peer(struct ipsec_engine *e, struct ipsec_peer *out, uint32_t token);

/* enum ipsec_binding - forms of a channel binding (RFC 5056), of the public keys that both ends
 * signed with. */
enum ipsec_binding {
	IPSEC_BINDING_KEYS,   /* both SubjectPublicKeyInfo, that of who began first */
	IPSEC_BINDING_SHA256, /* SHA-256 of that */
};

/* ipsec_engine_binding - of an established IKE SA, into *len bytes at out (4096 always suffice);
 * *len becomes its length. Both ends have the same value, for as long as the IKE SA and those that
 * re-keying puts in its place; two who compare it over the channel know that nobody is in the
 * middle. Errors: EINVAL (not started, out is too short), ENOENT (no such IKE SA; an end has shown
 * no key, as with pre-shared keys). */
IPSEC_API int ipsec_engine_binding(struct ipsec_engine *e, void *out, size_t *len, uint32_t ike_id,
				   enum ipsec_binding form);

/* ---- requests -------------------------------------------------------------------------------- */

/* ipsec_engine_initiate - bring up a child of a connection; child NULL: the IKE SA alone;
 * connection NULL: that which has the child. *out_request (may be NULL) comes back in the events:
 * exactly one of IPSEC_EVENT_CHILD_UP (IPSEC_EVENT_IKE_UP without a child) and IPSEC_EVENT_FAILED.
 * Errors: EINVAL (not started, no name), ENOENT (no such connection or child), EEXIST (it is up).
 */
IPSEC_API int ipsec_engine_initiate(struct ipsec_engine *e, const char *connection,
				    const char *child, uint64_t *out_request);

/* struct ipsec_select - which SAs; a member that is 0 or NULL matches all. */
struct ipsec_select {
	const char *connection; /* by name */
	const char *child;      /* by name: Child SAs only */
	uint32_t ike_id;        /* one IKE SA */
	uint32_t child_id;      /* one Child SA */
};

/* ipsec_engine_terminate - delete what matches, and do not bring it up again by itself; *out_num
 * (may be NULL) is how many SAs that are. ipsec_engine_rekey - give them new keys now. Errors:
 * EINVAL (not started), ENOENT (nothing matches). */
IPSEC_API int ipsec_engine_terminate(struct ipsec_engine *e, uint32_t *out_num,
				     const struct ipsec_select *select);
IPSEC_API int ipsec_engine_rekey(struct ipsec_engine *e, uint32_t *out_num,
				 const struct ipsec_select *select);

/* ---- several paths to a peer ------------------------------------------------------------------
 */

/* Two engines of Latchkey use several pairs of addresses at once, if the configuration lets. Which
 * ones, the program of who decides says, since the library does not know the host's addresses; it
 * holds as long as the peer is connected. name: of a connection, or a peer's identity; all IKE SAs
 * that it means are concerned. *out_request (may be NULL) comes back in one IPSEC_EVENT_PATH_DONE
 * or IPSEC_EVENT_PATH_REFUSED of each of them. Errors of all: EINVAL (not started, no name, an
 * address that cannot be), ENOENT (nothing of that name is up, no such path), EPERM (the peer
 * decides; the last path stays), EOPNOTSUPP (the peer has agreed to one path alone), ENOSPC (there
 * are as many as there can be); ipsec_engine_error() says it in a sentence. */

/* ipsec_engine_path_add - one more, between these addresses; remote unset: where IKE goes; ports,
 * interface and encap do not count. It is asked, and used when it has answered, by its priority (0
 * to 255: those with the smallest one are used) and weight (1 to 65535; 0: 1). *out_number (may be
 * NULL): what it is called from now on. Errors: EEXIST. */
IPSEC_API int ipsec_engine_path_add(struct ipsec_engine *e, const char *name,
				    const struct ipsec_path *path, unsigned int priority,
				    unsigned int weight, uint32_t *out_number,
				    uint64_t *out_request);

/* ipsec_engine_path_remove - traffic goes by others, and it goes when the last packets of both
 * sides have come by it (IPSEC_EVENT_PATH_DRAINED): after 2 seconds at most, or as soon as it
 * fails. Where no other one carries by then it stays: PATH_REFUSED. ipsec_engine_path_move -
 * traffic goes by it as soon as it carries, and the others wait; hard: those that had it go.
 * ipsec_engine_path_prefer - it goes before all others by its priority; IKE stays where it is. */
IPSEC_API int ipsec_engine_path_remove(struct ipsec_engine *e, const char *name, uint32_t number,
				       uint64_t *out_request);
IPSEC_API int ipsec_engine_path_move(struct ipsec_engine *e, const char *name, uint32_t number,
				     bool hard, uint64_t *out_request);
IPSEC_API int ipsec_engine_path_prefer(struct ipsec_engine *e, const char *name, uint32_t number,
				       uint64_t *out_request);

/* struct ipsec_engine_path - one of them. Figures that are 0 are not known. */
struct ipsec_engine_path {
	const char *connection, *peer_id; /* NULL while unknown */
	uint32_t number;
	bool usable, active; /* it carries; traffic goes by it */
	bool decides;        /* this engine decides about the paths to this peer */
	uint32_t priority, weight;
	struct ipsec_path path;
	uint64_t rtt_ns, rate;         /* round trip; bytes a second that it was seen to take */
	uint32_t loss_permille, mtu;   /* of the latest probes; of the link, bytes */
	uint64_t rx_packets, rx_bytes; /* that it brought */
	uint64_t tx_packets, tx_bytes; /* that it took */
};

/* ipsec_engine_each_path - fn for each path to each peer; it may not call the engine. Errors:
 * EINVAL (not started). */
IPSEC_API int ipsec_engine_each_path(struct ipsec_engine *e,
				     void (*fn)(void *ctx, const struct ipsec_engine_path *path),
				     void *ctx);

/* ipsec_engine_answer - answer a question. Late, repeated and unknown ids are ignored. Errors:
 * EINVAL (not started).
 *
 * Yes to VERIFY means: whoever can sign with the key of certificates[0] (of `key`, if there is no
 * certificate) is peer_id. It stands for all of the chain: authorities, validity, usage, revocation
 * and `remote.certs`, `cacerts`, `pubkeys` are not looked at any more. The engine goes on to verify
 * the signature, how strong key and signature are, that a certificate holds the identity, and that
 * the identity is the configured one: a raw key holds none, so only the program knows whose it is.
 */
IPSEC_API int ipsec_engine_answer(struct ipsec_engine *e, uint64_t id,
				  const struct ipsec_answer *answer);

/* ipsec_engine_sign - answer SIGN. A scheme that is not the key's, or that is not among the
 * question's, is a refusal, which IPSEC_EVENT_FAILED tells; a wrong signature is found by the peer.
 * Errors: EINVAL (not started; no such scheme, more than 10 certificates: the question stays). */
IPSEC_API int ipsec_engine_sign(struct ipsec_engine *e, uint64_t id,
				const struct ipsec_signature *signature);

/* ipsec_engine_refuse - answer any question with no; text (may be NULL) goes on from "cannot sign:"
 * or "is not believed:" in what IPSEC_EVENT_FAILED tells about SIGN and VERIFY. Errors: EINVAL (not
 * started). */
IPSEC_API int ipsec_engine_refuse(struct ipsec_engine *e, uint64_t id, const char *text);

/* ipsec_engine_next_event - the oldest event that waits: 1, or 0 if none does. For engines without
 * an event callback. Strings in it are valid until the next call. When 256 wait the oldest is lost.
 * Errors: EINVAL (the engine has a callback). */
IPSEC_API int ipsec_engine_next_event(struct ipsec_engine *e, struct ipsec_event *out);

/* ---- applications' calls ----------------------------------------------------------------------
 */

/* ipsec_engine_use - what this process calls of <latchkey/ipsec.h> is answered by this engine, in
 * the process itself, instead of by the daemon; NULL: by the daemon again. The engine is started
 * before. After it is freed nobody answers (ECONNREFUSED) until another one is used; who is inside
 * such a call is inside a call of the engine. A connection to who answered before ends: latches
 * that were not to be kept go with it, and tokens of his are no others' (ENOENT).
 *
 * All of those functions have the errors and meanings that they have with the daemon. The process
 * may do everything, without quotas. A call that waits turns the engine itself, as
 * ipsec_engine_dispatch() does, so callbacks may come in its thread; it is no matter who turns it
 * else. From within a callback they fail with EDEADLK.
 *
 * Sockets stand for flows: their packets are those that the program brings to the inner driver, a
 * device's or its own. That nothing of them goes another way is the program's business, as all of
 * the host is: tokens do not come with a socket's messages and are not demanded by a socket
 * (EOPNOTSUPP): ipsec_rx_burst() and ipsec_tx_burst() have them. That a socket was closed is seen
 * within seconds, or when another one has its ends.
 * Errors: EINVAL (not started, or a clock of its own), EDEADLK (from within a callback). */
IPSEC_API int ipsec_engine_use(struct ipsec_engine *e);

/* ---- lists and figures ----------------------------------------------------------------------- */

/* enum ipsec_sa_state - of an IKE SA. */
enum ipsec_sa_state {
	IPSEC_SA_CONNECTING,
	IPSEC_SA_ESTABLISHED,
	IPSEC_SA_REKEYING,
	IPSEC_SA_DELETING,
};

/* struct ipsec_child_info - one Child SA. Times are on the engine's clock, UINT64_MAX = never. */
struct ipsec_child_info {
	uint32_t child_id;
	const char *name;     /* in the configuration */
	const char *state;    /* "INSTALLED", "REKEYING", "DELETING" */
	const char *proposal; /* "AES_GCM_16-256" */
	bool encap;           /* ESP is carried in UDP */
	const struct ipsec_selector *local_ts, *remote_ts;
	uint32_t num_local_ts, num_remote_ts;
	uint64_t in_packets, in_bytes, out_packets, out_bytes; /* inner bytes */
	uint64_t installed_ns, rekey_ns, expire_ns;
	uint32_t token; /* the protection class, which ipsec_tx_burst() may demand */
};

/* struct ipsec_sa_info - one IKE SA and its Child SAs. */
struct ipsec_sa_info {
	uint32_t ike_id;
	const char *connection; /* name in the configuration, NULL while none is chosen */
	enum ipsec_sa_state state;
	bool initiator;       /* we began it */
	const char *local_id; /* NULL while unknown */
	const char *peer_id;  /* NULL while unknown */
	const char *proposal; /* "AES_GCM_16-256/PRF_HMAC_SHA2_256/CURVE_25519", "" while unknown */
	struct ipsec_path path;
	bool nat_local, nat_remote; /* an address translator on our or the peer's side */
	uint64_t established_ns, rekey_ns;
	const struct ipsec_child_info *children;
	uint32_t num_children;
};

/* ipsec_engine_each_sa - fn for each IKE SA, by number; it may not call the engine. Errors: EINVAL
 * (not started). */
IPSEC_API int ipsec_engine_each_sa(struct ipsec_engine *e,
				   void (*fn)(void *ctx, const struct ipsec_sa_info *sa),
				   void *ctx);

/* struct ipsec_stats - totals since the start. Every packet has one fate: rx_packets + made + taken
 * = tx_packets + held + punted + handed_off + consumed + dropped, when nothing is on its way. */
struct ipsec_stats {
	uint64_t rx_packets; /* taken from drivers */
	uint64_t made;       /* IKE datagrams of ours, and what the data path made itself */
	uint64_t tx_packets; /* sent by drivers */
	uint64_t held;       /* waiting for an SA now */
	uint64_t punted;     /* IKE datagrams received */
	uint64_t handed_off; /* to another thread */
	uint64_t taken;      /* from another thread */
	uint64_t consumed;   /* fragments that became part of a whole packet, and the reverse */
	uint64_t dropped;    /* for all reasons */
	uint32_t ike_sas, half_open, child_sas;              /* now */
	uint64_t ike_established, child_established, failed; /* negotiations that ended so */
	uint64_t ike_retransmitted, ike_malformed;           /* IKE messages */
};

/* ipsec_engine_stats - slightly behind while a thread runs. Errors: EINVAL (not started). */
IPSEC_API int ipsec_engine_stats(struct ipsec_engine *e, struct ipsec_stats *out);

/* ipsec_engine_drops - packets dropped for the reason numbered i, from 0; *out_name is a stable
 * word
 * ("REPLAY"), *out_text a sentence; both may be NULL and are constants. Errors: EINVAL (not
 * started), ENOENT: i is past the last reason. */
IPSEC_API int ipsec_engine_drops(struct ipsec_engine *e, unsigned int i, uint64_t *out_num,
				 const char **out_name, const char **out_text);

/* ipsec_version - of the library, "0.1.0". */
IPSEC_API const char *ipsec_version(void);

#ifdef __cplusplus
}
#endif
