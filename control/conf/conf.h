/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf.h - the validated configuration: what a swanctl.conf tree (file or control socket) becomes.
 * A configuration is immutable and counted; a change makes a new one. Control thread.
 */
#pragma once

#include "base/addr.h"
#include "base/secret.h"
#include "base/tree.h"
#include "control/auth/cred.h"
#include "control/crypto/sig.h"
#include "dataplane/dataplane.h"

/* IKE transform numbers used in proposals (RFC 7296 3.3.2 and IANA): only those supported. */
enum ike_encr {
	ENCR_NULL = 11,    /* ESP only; with an integrity algorithm */
	ENCR_AES_CBC = 12, /* RFC 3602; with an integrity algorithm */
	ENCR_AES_GCM_16 = 20,
	ENCR_AES_GMAC = 21,          /* ESP only; ENCR_NULL_AUTH_AES_GMAC, RFC 4543 */
	ENCR_CHACHA20_POLY1305 = 28, /* RFC 7634 */
	ENCR_AES_GCM_16_IIV = 30,    /* ESP only: the IV is not in the packet, RFC 8750 */
	ENCR_CHACHA20_POLY1305_IIV = 31,
};
enum ike_integ {
	INTEG_NONE = 0,
	INTEG_HMAC_SHA2_256_128 = 12, /* RFC 4868 */
	INTEG_HMAC_SHA2_384_192 = 13,
	INTEG_HMAC_SHA2_512_256 = 14,
};
enum ike_prf {
	PRF_HMAC_SHA2_256 = 5,
	PRF_HMAC_SHA2_384 = 6,
	PRF_HMAC_SHA2_512 = 7,
};
enum ike_dh {
	DH_NONE = 0,
	DH_MODP_2048 = 14,
	DH_MODP_3072 = 15,
	DH_MODP_4096 = 16,
	DH_ECP_256 = 19,
	DH_ECP_384 = 20,
	DH_ECP_521 = 21,
	DH_CURVE_25519 = 31,
	/* FIPS 203; only in addition to one of the above, and where OpenSSL has them. */
	KE_ML_KEM_512 = 35,
	KE_ML_KEM_768 = 36,
	KE_ML_KEM_1024 = 37,
};

#define CONF_MAX_TRANSFORMS 8
/* CONF_MAX_ADDKE - additional key exchanges of one SA (RFC 9370 2.2.1). */
#define CONF_MAX_ADDKE     7
#define CONF_MAX_PROPOSALS 8
#define CONF_MAX_TS        64

/* CONF_NAME_MAX - of a path, profile, listener or user, with the 0. */
#define CONF_NAME_MAX  32
#define CONF_MAX_ADDRS 16
/* Addresses given to a virtual interface. */
#define CONF_MAX_INTERFACE_ADDRS 8
#define CONF_MAX_VIPS            8
/* Pools of a connection. */
#define CONF_MAX_POOLS 8

/* struct conf_encr - cipher and key length in bits; 0 for a cipher that has only one and is
 * proposed without the attribute (ChaCha20-Poly1305, RFC 7634 4). */
struct conf_encr {
	uint16_t id;
	uint16_t key_bits;
	uint16_t integ; /* of one that was chosen: what goes with it, INTEG_NONE for a combined
			 * mode. In a proposal the integrity algorithms are a list of their own. */
};

/* conf_encr_combined - the cipher authenticates too: it has no integrity algorithm beside it, and
 * is not proposed together with ciphers that need one (RFC 7296 3.3, RFC 5282 8). */
static inline bool conf_encr_combined(uint16_t id)
{
	return id != ENCR_NULL && id != ENCR_AES_CBC;
}

/* struct conf_proposal - the transforms of each type, in order of preference. integ is empty if the
 * ciphers are combined modes, and else not. For ESP prf is empty,
 * dh is for PFS (may be empty), esn holds 0 and/or 1. addke[i] are the choices for additional key
 * exchange i + 1, with DH_NONE among them if it may be left out; empty: there is none. */
struct conf_proposal {
	struct conf_encr encr[CONF_MAX_TRANSFORMS];
	uint16_t integ[CONF_MAX_TRANSFORMS];
	uint16_t prf[CONF_MAX_TRANSFORMS];
	uint16_t dh[CONF_MAX_TRANSFORMS];
	uint16_t addke[CONF_MAX_ADDKE][CONF_MAX_TRANSFORMS];
	uint8_t esn[2];
	uint8_t num_encr, num_integ, num_prf, num_dh, num_esn;
	uint8_t num_addke[CONF_MAX_ADDKE];
};

/* enum conf_action - start_action, dpd_action, close_action: bits, for start_action may have both
 * (trap|start). Test with &. */
enum conf_action {
	ACTION_NONE = 0,
	ACTION_TRAP = 1,
	ACTION_START = 2,
	ACTION_TRAP_START = 3,
};

/* enum conf_mode - what a child does with its traffic: how it is protected, or that it is not
 * (pass) or not at all sent (drop). */
enum conf_mode {
	CONF_TUNNEL,
	CONF_TRANSPORT,
	CONF_PASS,
	CONF_DROP,
};

/* conf_negotiated - the child is made with the peer; else it is a policy of our own. */
static inline bool conf_negotiated(enum conf_mode mode)
{
	return mode == CONF_TUNNEL || mode == CONF_TRANSPORT;
}

/* struct conf_ts - a configured selector; dynamic: the tunnel endpoint's address takes its place.
 */
struct conf_ts {
	struct ts ts;
	bool dynamic;
};

/* CONF_TAG_MAX - bytes of a child's path_tag: as many as an operation on paths can name. */
#define CONF_TAG_MAX 64

/* struct conf_child - connections.<conn>.children.<child>. Times in ns; 0 = never. */
struct conf_child {
	char *name;
	struct conf_ts local_ts[CONF_MAX_TS], remote_ts[CONF_MAX_TS];
	uint32_t num_local_ts, num_remote_ts;
	struct conf_proposal esp[CONF_MAX_PROPOSALS];
	uint32_t num_esp;
	uint64_t rekey_ns, life_ns, rand_ns; /* re-key at rekey - [0, rand] */
	uint64_t inactivity_ns;              /* closed after no packet either way for so long */
	uint64_t rekey_bytes, life_bytes, rand_bytes;
	uint64_t rekey_packets, life_packets, rand_packets;
	uint32_t replay_window;
	enum conf_mode mode;
	enum dscp_copy copy_dscp; /* out */
	enum df_copy copy_df;     /* copy */
	uint16_t mss_clamp;       /* MSS_CLAMP_PATH */
	uint32_t tfc_padding;     /* 0 */
	uint32_t tfc_dummies;     /* a second at least; 0 */
	bool ipcomp;              /* what goes is compressed if the peer wants it, too; no */
	bool per_cpu_sas;         /* a pair of SAs for each worker (RFC 9611); no */
	char path[CONF_NAME_MAX]; /* of the connection's: goes by it while it can; "" = as all */
	char path_tag[CONF_TAG_MAX + 1]; /* of what is moved by it; "" = none */
	uint32_t priority; /* of its policy: smaller is looked at first, 0 = after all that say */
	enum conf_action start_action, dpd_action, close_action;
};

/* enum conf_auth - how a side authenticates. */
enum conf_auth {
	CONF_AUTH_PSK,
	CONF_AUTH_PUBKEY,      /* a signature */
	CONF_AUTH_NULL,        /* not at all (RFC 7619) */
	CONF_AUTH_BTNS,        /* a signature by whatever key is shown (RFC 5386); the peer's */
	CONF_AUTH_LEAPOFFAITH, /* the same, by the key that the peer had at first; the peer's */
	CONF_AUTH_EAP,         /* by a method of EAP, the initiator; or both (RFC 5998) */
};

/* conf_auth_signs - by a signature, whatever makes it believed. */
static inline bool conf_auth_signs(enum conf_auth auth)
{
	return auth == CONF_AUTH_PUBKEY || auth == CONF_AUTH_BTNS || auth == CONF_AUTH_LEAPOFFAITH;
}

/* CONF_EAP_TLS - IANA's number of the method whose peers have certificates. */
#define CONF_EAP_TLS 13

/* CONF_EAP_RADIUS - no method of its own (IANA's numbers end before): RADIUS servers judge the
 * peer, by whatever method they want (latchkey.radius). */
#define CONF_EAP_RADIUS 255

/* CONF_RANK_PROVEN - of peers that prove who they are. */
#define CONF_RANK_PROVEN 2

/* conf_auth_rank - who is believed for less claims nothing that another connection or peer has that
 * is believed for more (S29): 0 whoever it is, 1 whoever came first. */
static inline uint32_t conf_auth_rank(enum conf_auth auth)
{
	if (auth == CONF_AUTH_NULL || auth == CONF_AUTH_BTNS)
		return 0;
	return auth == CONF_AUTH_LEAPOFFAITH ? 1 : CONF_RANK_PROVEN;
}

/* conf_auth_methods - all that a side's proof can come to: 1u << enum auth_method. */
uint32_t conf_auth_methods(enum conf_auth auth);

/* enum conf_revocation - what a certificate's revocation must be known by: relaxed: what is known
 * counts; ifuri: of a certificate that says where its list is, or whose authority's configuration
 * does, it is known; strict: of every one it is. */
enum conf_revocation {
	CONF_REVOCATION_RELAXED,
	CONF_REVOCATION_IFURI,
	CONF_REVOCATION_STRICT,
};

/* struct conf_sign - which signatures a side may make: `auth = ecdsa-384-sha384`. */
struct conf_sign {
	uint32_t kinds;                /* KEY_BIT()s */
	uint32_t hashes;               /* SIG_HASH_BIT()s */
	uint32_t rsa_bits, ecdsa_bits; /* at least; 0 = what S25 asks */
	bool pss;                      /* of RSA only RSASSA-PSS */
};

/* struct conf_creds - a list of credentials, references. */
struct conf_creds {
	struct cred **list;
	uint32_t num;
};

/* CONF_TOKEN_HANDLE_MAX - bytes. CONF_TOKEN_ANY - whichever slot it is in. CONF_MAX_TOKENS - of a
 * side. struct conf_token - a key or certificate on a PKCS#11 token. */
#define CONF_TOKEN_HANDLE_MAX 64
#define CONF_TOKEN_ANY        UINT64_MAX
#define CONF_MAX_TOKENS       8
struct conf_token {
	char module[CONF_NAME_MAX]; /* "" = the only one that there is */
	uint64_t slot;
	uint8_t handle[CONF_TOKEN_HANDLE_MAX]; /* its CKA_ID */
	uint32_t handle_len;
};

/* struct conf_side - local or remote section: id.type 0 means "any" (remote) or "the address"
 * (local). Wildcards in a remote id are kept in pattern, as text: "*.example.com",
 * "*@example.com", or "C=DE, CN=*", which is in id too, its stars being values. Credentials: of the
 * local side our own, of the remote side those that it must use. */
struct conf_side {
	enum conf_auth auth;
	struct ike_id id;
	char *pattern;        /* NULL if id is exact or any */
	bool anybody;         /* that is said: id = %any */
	uint8_t eap;          /* CONF_AUTH_EAP: number of the method (IANA); 0, local: any */
	bool eap_asks;        /* remote, `eap_id` is set: the peer is asked for its name in EAP */
	struct ike_id eap_id; /* `eap_id`; type 0: as `id` */
	struct ike_id aaa_id; /* local, `aaa_id`: whom the server's certificate in EAP is to name;
			       * type 0: the gateway itself */
	struct conf_sign sign;
	struct conf_creds certs, cacerts, pubkeys;
	struct conf_token *tokens; /* local: certificates that lie on tokens */
	uint32_t num_tokens;
	enum conf_revocation revocation;
};

/* conf_eap_signs - by EAP, and by a method that may need certificates. */
static inline bool conf_eap_signs(const struct conf_side *side)
{
	return side->auth == CONF_AUTH_EAP && (side->eap == CONF_EAP_TLS || !side->eap);
}

/* struct conf_addr - local_addrs/remote_addrs entry: a prefix, a range, or a name to resolve. */
struct conf_addr {
	char *text;
	struct ts range; /* addresses; family unset for names */
	bool any;        /* %any */
	bool name;       /* must be resolved before initiating */
};

/* enum conf_fragmentation - IKE messages in fragments (RFC 7383): taken if there are any, in any
 * case; announced; sent. */
enum conf_fragmentation {
	FRAGMENTATION_YES,
	FRAGMENTATION_ACCEPT, /* announced, not sent */
	FRAGMENTATION_NO,     /* neither */
};

/* enum conf_interfaces - connections.<conn>.multiple_interfaces: several paths at once, by the
 * extension of docs/multiple-interfaces.md. */
enum conf_interfaces {
	INTERFACES_YES,
	INTERFACES_DECIDE, /* and this side wants to decide about them, whoever began */
	INTERFACES_NO,
};

/* enum conf_path_policy - connections.<conn>.path_policy: which paths this side wants, where it
 * decides, and how what it sends is spread over them. */
enum conf_path_policy {
	CONF_PATHS_NONE, /* the one that the connection was made by; it moves as MOBIKE says */
	CONF_PATHS_FAILOVER,
	CONF_PATHS_FLOW,
	CONF_PATHS_SPRAY,
	CONF_PATHS_DUPLICATE,
};

/* CONF_MAX_PATHS - of a connection. */
#define CONF_MAX_PATHS 6

/* CONF_MAX_PATH_TS - selectors of a path, on each side. CONF_MAX_PATH_RULES - all paths of a
 * connection: each with one side's selectors times the other's, where it has any or a class. */
#define CONF_MAX_PATH_TS    4
#define CONF_MAX_PATH_RULES 16

/* struct conf_path - one section of connections.<conn>.paths: used while the host has the address,
 * or the interface one. What is of its classes and within its selectors goes by it alone, while it
 * can. */
struct conf_path {
	char name[CONF_NAME_MAX];
	char interface[16]; /* "": it begins at local */
	struct ip_addr local;
	struct ip_addr remote; /* unset: where IKE goes */
	uint8_t priority;      /* smaller is used first; 0 */
	uint16_t weight;       /* 1 */
	uint64_t dscps;        /* bit n: what has DSCP n; 0: any */
	struct ts local_ts[CONF_MAX_PATH_TS], remote_ts[CONF_MAX_PATH_TS]; /* none: any */
	uint32_t num_local_ts, num_remote_ts;
};

/* conf_path_rules - how many rules its classes and selectors make. */
uint32_t conf_path_rules(const struct conf_path *p) NONNULL(1);

/* enum conf_send_cert - whether our certificate goes with our signature. */
enum conf_send_cert {
	CONF_SEND_CERT_IFASKED,
	CONF_SEND_CERT_ALWAYS,
	CONF_SEND_CERT_NEVER,
};

/* enum conf_childless - an IKE SA without a first Child SA (RFC 6023). */
enum conf_childless {
	CHILDLESS_ALLOW,  /* if the peer begins so */
	CHILDLESS_PREFER, /* begin so if the peer can: each child has a key exchange of its own */
	CHILDLESS_FORCE,  /* and not otherwise, nor may the peer */
	CHILDLESS_NEVER,
};

/* enum conf_unique - what becomes of the IKE SAs that a peer has already when it makes another. */
enum conf_unique {
	UNIQUE_NO,      /* they are closed if it says that it has none (INITIAL_CONTACT) */
	UNIQUE_NEVER,   /* they stay whatever it says, and we do not say it */
	UNIQUE_KEEP,    /* they stay, and the new one is refused if it comes from elsewhere */
	UNIQUE_REPLACE, /* they are closed */
};

/* struct conf_conn - connections.<conn>; immutable, counted, shared by successive configurations as
 * long as it does not change: a pointer that both hold is a connection that stayed as it was. */
struct conf_conn {
	uint32_t refs;
	char *name;
	struct conf_addr local_addrs[CONF_MAX_ADDRS], remote_addrs[CONF_MAX_ADDRS];
	uint32_t num_local_addrs, num_remote_addrs;
	uint16_t local_port, remote_port; /* 500 */
	struct conf_proposal ike[CONF_MAX_PROPOSALS];
	uint32_t num_ike;
	struct conf_side local, remote;
	enum conf_send_cert send_cert;
	bool send_certreq; /* name our authorities to the peer */
	/* RFC 4806: the peer is asked to send what an OCSP responder says of its certificate; and
	 * is sent what one says of ours, if it asks */
	bool ocsp_request, ocsp_reply;
	bool encap;  /* UDP encapsulation even without a NAT; yes: sockets for UDP are the faster */
	bool mobike; /* RFC 4555: the SAs follow when an address changes; yes */
	enum conf_interfaces interfaces;
	enum conf_path_policy path_policy;
	struct conf_path paths[CONF_MAX_PATHS]; /* none: each address of the host begins one */
	uint32_t num_paths;
	enum conf_fragmentation fragmentation;
	enum conf_childless childless;
	enum conf_unique unique;
	struct ike_id ppk_id; /* names a post-quantum pre-shared key (RFC 8784); len 0: none */
	bool ppk_required;    /* no IKE SA without one */
	bool resumption;      /* tickets are asked for, used and given (RFC 5723) */
	struct ip_addr vips[CONF_MAX_VIPS]; /* to be asked for; 0.0.0.0, :: = any of the family */
	uint32_t num_vips;
	char *pools[CONF_MAX_POOLS]; /* names of those that lend the peer addresses */
	uint32_t num_pools;
	char interface[16]; /* "" = the shared one */
	struct ip_prefix interface_addrs[CONF_MAX_INTERFACE_ADDRS];
	uint32_t num_interface_addrs;
	uint64_t rekey_ns, over_ns, rand_ns; /* re-key at rekey - [0, rand], gone at rekey + over */
	uint64_t reauth_ns; /* the peer proves itself again at reauth - [0, rand]; 0 = not */
	uint64_t dpd_delay_ns;
	bool follow_redirects; /* go to the gateway that the peer names (RFC 5685); no */
	char *redirect_to;     /* where peers that follow are sent in IKE_AUTH; NULL: nowhere */
	uint32_t keyingtries;  /* 0 = for ever */
	struct conf_child *children;
	uint32_t num_children;
	uint8_t digest[32]; /* of the section it was made from; equal: nothing has changed */
};

/* CONF_POOL_ATTRS - values that a pool tells beside an address. */
#define CONF_POOL_ATTRS 32

/* struct conf_attr - an attribute of the Configuration payload (RFC 7296 3.15.1), as it is sent. */
struct conf_attr {
	uint16_t type;
	uint8_t len;
	uint8_t value[17];
};

/* struct conf_pool - pools.<name>: addresses that peers are lent, lo to hi, of one family; and what
 * who is lent one of them is told. */
struct conf_pool {
	uint32_t refs; /* shared like conf_conn */
	char *name;
	struct ip_addr lo, hi;
	struct conf_attr attrs[CONF_POOL_ATTRS];
	uint32_t num_attrs;
};

#define CONF_SECRET_MAX_IDS 8

/* enum conf_secret_kind - what a secret is for. */
enum conf_secret_kind {
	CONF_SECRET_IKE,    /* a pre-shared key */
	CONF_SECRET_EAP,    /* a password */
	CONF_SECRET_RADIUS, /* of this host and a server, by its name in latchkey.radius.servers;
			     * the control socket neither sees it nor takes it away */
	CONF_SECRET_TOKEN,  /* the PIN of a token with a private key */
	CONF_SECRET_PPK,    /* a post-quantum pre-shared key (RFC 8784) */
};

/* struct conf_secret - secrets.ike<suffix>: a PSK and the identities it belongs to (none = any);
 * secrets.eap<suffix>: a password and whose it is (one at least); secrets.radius<suffix>: with
 * which servers it is shared (the same); secrets.ppk<suffix>: a PPK and its names (the same);
 * secrets.token<suffix>: a PIN and the key that it opens (no identities). */
struct conf_secret {
	uint32_t refs; /* shared like conf_conn */
	enum conf_secret_kind kind;
	char *name;
	struct secret value;
	struct ike_id ids[CONF_SECRET_MAX_IDS];
	uint32_t num_ids;
	struct conf_token *token; /* TOKEN; of all others NULL */
};

/* CONF_MAX_DPDK_PORTS - ports; CONF_DEVICE_MAX - room for a device with its arguments. */
#define CONF_MAX_DPDK_PORTS 16
#define CONF_DEVICE_MAX     160

/* struct conf_dpdk_port - one section of latchkey.dpdk.ports. */
struct conf_dpdk_port {
	char name[16]; /* of its shadow */
	char device[CONF_DEVICE_MAX];
	uint32_t mtu; /* 0 = as the device has it */
	bool no_tx_checksum, no_rx_checksum, no_tso;
	bool inline_ipsec; /* it encrypts and decrypts, if it can */
};

/* CONF_CRYPTO_SESSIONS - keys that a device or a port holds, unless said otherwise. */
#define CONF_CRYPTO_SESSIONS 8192

/* struct conf_dpdk - the section latchkey.dpdk; without ports and a device for ciphers there is no
 * DPDK. */
struct conf_dpdk {
	char module[CONF_DEVICE_MAX]; /* "" = where it was installed */
	bool no_huge;
	uint32_t memory_mb;   /* 0 = enough for the packets */
	uint32_t num_packets; /* 0 = the default */
	uint32_t idle_us;     /* the worker's longest sleep; 0 = it does not sleep */
	struct conf_dpdk_port ports[CONF_MAX_DPDK_PORTS];
	uint32_t num_ports;
	char crypto[CONF_DEVICE_MAX]; /* a lookaside device; "" = none */
	uint32_t crypto_sessions;     /* 0 = CONF_CRYPTO_SESSIONS */
};

/* conf_crypto_sessions - as many as are meant. */
static inline uint32_t conf_crypto_sessions(const struct conf_dpdk *d)
{
	return d->crypto_sessions ? d->crypto_sessions : CONF_CRYPTO_SESSIONS;
}

/* CONF_WORKERS_AUTO - as many as there are processors. */
#define CONF_WORKERS_AUTO 0

/* CONF_WHO_MAX - users, and groups, that a right may name. */
#define CONF_WHO_MAX 32

/* struct conf_who - users and groups of the host. */
struct conf_who {
	uint32_t uids[CONF_WHO_MAX], gids[CONF_WHO_MAX];
	uint32_t num_uids, num_gids;
};

/* CONF_PATH_MAX - room for a file's name. */
#define CONF_PATH_MAX 256

/* CONF_MAX_MODULES - of PKCS#11. struct conf_module - latchkey.pkcs11.<name>: a library by which
 * tokens are spoken to; only a file can name one, so that nobody has the daemon load another. */
#define CONF_MAX_MODULES 4
struct conf_module {
	char name[CONF_NAME_MAX];
	char path[CONF_PATH_MAX];
};

/* CONF_NETWORK_ADDRS, CONF_NETWORK_USERS - that the network interface has at most. */
#define CONF_NETWORK_ADDRS 4
#define CONF_NETWORK_USERS 16

/* struct conf_user - latchkey.app.network.users.<name>: somebody who asks from another host. */
struct conf_user {
	char name[CONF_NAME_MAX];
	struct ike_id id; /* in his certificate */
	bool read_all, configure, admin;
};

/* struct conf_network - latchkey.app.network: where other hosts may ask, by TLS. Files are PEM. */
struct conf_network {
	struct ip_addr addrs[CONF_NETWORK_ADDRS];
	uint32_t num_addrs; /* 0 = nowhere */
	uint16_t port;
	char certificate[CONF_PATH_MAX], key[CONF_PATH_MAX];
	char ca[CONF_PATH_MAX];  /* who vouches for users */
	char crl[CONF_PATH_MAX]; /* "" = what they took back is not known */
	uint8_t digest[32];      /* of where it is, and of what the files held */
	struct conf_user users[CONF_NETWORK_USERS];
	uint32_t num_users;
};

/* struct conf_app - the section latchkey.app: what programs may do by the application socket. */
struct conf_app {
	bool disabled;
	struct conf_who interact, configure, read_all; /* beside root */
	uint32_t clients_per_uid;
	uint32_t latches_per_uid;
	uint32_t requests_per_second; /* of a user */
	uint32_t queue_per_uid;       /* bytes that a user's programs have not read yet */
	struct conf_network network;
};

#define CONF_MAX_PROFILES  16
#define CONF_MAX_LISTENERS 32

/* enum conf_part - which part IPsec plays in authenticating the peer. */
enum conf_part {
	CONF_PART_IKE_ONLY = 1, /* IKE does */
	CONF_PART_IKE_APP_ACK,  /* IKE does, then the application says yes or no */
	CONF_PART_APP_ONLY,     /* the application does */
	CONF_PART_NONE,         /* nobody does */
};

/* struct conf_profile - latchkey.profiles.<name>: what an application may demand by this name. */
struct conf_profile {
	char name[CONF_NAME_MAX];
	uint8_t methods[AUTH_NUM_METHODS]; /* enum auth_method, the best first; never none */
	uint32_t num_methods;
	bool privacy, integrity; /* are demanded; yes */
	bool clear;              /* without IPsec is better than not at all; no */
	uint8_t part;            /* enum conf_part */
};

/* struct conf_listener - latchkey.listeners.<name>: who may begin flows to a port of this host. */
struct conf_listener {
	char name[CONF_NAME_MAX];
	struct ip_addr addr; /* unset: any */
	uint8_t proto;       /* TCP */
	uint16_t port;
	char profile[CONF_NAME_MAX]; /* "" = secure */
	char peer[264];              /* an identity; "" = whoever the profile lets */
};

/* CONF_MAX_RADIUS - servers. CONF_NAS_MAX - of this host's name for itself there, with the 0. */
#define CONF_MAX_RADIUS 8
#define CONF_NAS_MAX    64

/* struct conf_radius_server - latchkey.radius.servers.<name>. */
struct conf_radius_server {
	char name[CONF_NAME_MAX];
	struct ip_addr addr;
	uint16_t port; /* 1812 */
};

/* struct conf_radius - the section latchkey.radius: who judges peers with `auth = eap-radius`, in
 * order of preference. A request is repeated after timeout_ns, and tries times sent to a server. */
struct conf_radius {
	struct conf_radius_server servers[CONF_MAX_RADIUS];
	uint32_t num_servers;
	char nas[CONF_NAS_MAX]; /* NAS-Identifier; "latchkey" */
	uint64_t timeout_ns;    /* 1 s */
	uint32_t tries;         /* 3 */
};

/* enum conf_puzzles - when initiators are given puzzles (RFC 8019). */
enum conf_puzzles {
	PUZZLES_AUTO, /* when very many IKE SAs are half open */
	PUZZLES_ALWAYS,
	PUZZLES_NEVER,
};

/* struct conf_daemon - the latchkey section. */
struct conf_daemon {
	char interface[16];                                   /* "latchkey0" */
	struct ip_prefix addresses[CONF_MAX_INTERFACE_ADDRS]; /* given to the interface */
	uint32_t num_addresses;
	uint32_t mtu;              /* 0 = derived from the underlay */
	uint32_t workers;          /* of the data path, or CONF_WORKERS_AUTO; 1 */
	char aead[16];             /* "" = fastest */
	uint16_t port, port_nat_t; /* 500, 4500; for tests and embedders */
	bool cookies_always;
	enum conf_puzzles puzzles;
	uint32_t puzzle_threshold; /* half-open IKE SAs; 0 = the engine's default */
	uint8_t puzzle_difficulty; /* zero bits at the threshold; 16 */
	uint8_t puzzle_max;        /* of a puzzle that is solved as initiator; 0 = none; 22 */
	uint64_t retransmit_ns;    /* first retransmission after; 0 = the engine's default */
	uint32_t retransmit_tries; /* sends of one request; 0 = the engine's default */
	uint32_t fragment_size;    /* of IP packets with fragments of IKE; 0 = 576 or 1280 (IPv6) */
	uint32_t log_level;        /* enum log_level */
	char known_peers[160];     /* the file of their keys (pins.h) */
	char crash_secret[160];    /* the file of the secret of our tokens (RFC 6290); "": none */
	/* Many datagrams as one message; super-packets of the virtual interface. Where the kernel
	 * can. */
	bool udp_gso, udp_gro, tun_checksum, tun_tso, tun_uso;
	bool fetch;           /* revocation lists are fetched; yes */
	bool fetch_local;     /* from this host itself and from the link, too; no */
	bool latch_tcp;       /* each TCP connection of the host is latched; yes */
	uint32_t num_latches; /* at most; 65536 */
	struct conf_dpdk dpdk;
	struct conf_radius radius;
	struct conf_app app;
	struct conf_profile profiles[CONF_MAX_PROFILES];
	uint32_t num_profiles;
	struct conf_listener listeners[CONF_MAX_LISTENERS];
	uint32_t num_listeners;
	struct conf_module modules[CONF_MAX_MODULES]; /* as at the start of the daemon */
	uint32_t num_modules;
};

/* struct conf - everything. */
struct conf {
	uint32_t refs;
	struct conf_daemon daemon;
	struct conf_conn **conns;
	uint32_t num_conns;
	struct conf_secret **secrets;
	uint32_t num_secrets;
	struct conf_pool **pools;
	uint32_t num_pools;
	struct conf_creds
		creds; /* certificates, authorities, lists and keys of nobody in particular */
};

/* struct conf_diag - one remark of the validator. */
struct conf_diag {
	bool error;     /* else a warning */
	char text[480]; /* "file:line: sentence" for people */
};

/* struct conf_diags - up to 64 remarks; more are counted. Zero-initialise. */
struct conf_diags {
	struct conf_diag list[64];
	uint32_t num, num_errors;
};

/* conf_parse_file - read FILE and its includes (relative to it) into a tree. Errors: SYS, CONFIG
 * (diags say where), NOMEM, LIMIT. */
MUST_USE enum err conf_parse_file(struct tree **out, struct conf_diags *diags, const char *file)
	NONNULL(1, 2, 3);

/* conf_parse_text - the same from memory (untrusted, fuzzed); includes are refused. */
MUST_USE enum err conf_parse_text(struct tree **out, struct conf_diags *diags, const char *name,
				  const char *text, size_t len) NONNULL(1, 2, 3, 4);

/* conf_new - validate a tree (sections connections, secrets, pools, authorities, latchkey) into a
 * configuration with one reference. An unknown key is an error that names the nearest known key; a
 * key that strongSwan knows and Latchkey does not support is a warning. Errors: CONFIG (diags),
 * NOMEM. */
MUST_USE enum err conf_new(struct conf **out, struct conf_diags *diags, const struct tree *tree)
	NONNULL(1, 2, 3);

/* conf_load - conf_parse_file() and conf_new(), and the credentials that lie in swanctl's folders
 * beside the file: x509, x509ca, x509crl, pubkey, private, rsa, ecdsa, pkcs8. What cannot be read
 * there is a warning. Errors: as both. */
MUST_USE enum err conf_load(struct conf **out, struct conf_diags *diags, const char *file)
	NONNULL(1, 2, 3);

/*
 * conf_with_conn, conf_with_secret - a new configuration with one reference: `old` (NULL = empty)
 * plus this connection or secret in place of one of the same name, as the control socket loads
 * them. conn is a section named like the connection, in the grammar of the file or of the control
 * socket (lists instead of commas). What is the same as before keeps its pointer.
 * conf_without_conn, conf_without_secret - less this one; name NULL: less all of them.
 * conf_with_pool, conf_without_pool - the same of a pool. Errors: CONFIG (diags), NOT_FOUND, NOMEM,
 * LIMIT.
 */
MUST_USE enum err conf_with_conn(struct conf **out, struct conf_diags *diags, struct conf *old,
				 const struct tree *conn) NONNULL(1, 2, 4);
MUST_USE enum err conf_without_conn(struct conf **out, struct conf *old, const char *name)
	NONNULL(1, 2);
MUST_USE enum err conf_without_secret(struct conf **out, struct conf *old, const char *name)
	NONNULL(1, 2);

MUST_USE enum err conf_with_pool(struct conf **out, struct conf_diags *diags, struct conf *old,
				 const struct tree *pool) NONNULL(1, 2, 4);
MUST_USE enum err conf_without_pool(struct conf **out, struct conf *old, const char *name)
	NONNULL(1, 2);

/* struct conf_secret_params - a secret as the control socket sends it: raw bytes and owners. */
struct conf_secret_params {
	enum conf_secret_kind kind;
	const char *name;
	struct bytes value;
	const char *const *owners;
	uint32_t num_owners;
	const struct conf_token *token; /* TOKEN */
};
MUST_USE enum err conf_with_secret(struct conf **out, struct conf_diags *diags, struct conf *old,
				   const struct conf_secret_params *secret) NONNULL(1, 2, 4);

/* conf_with_token - the same of a private key on a token, in the place of one with the same handle,
 * slot and module: section has handle, slot, module, pin as in secrets.token<suffix>.
 * conf_without_token - less all with this handle. By its name none is taken away. */
MUST_USE enum err conf_with_token(struct conf **out, struct conf_diags *diags, struct conf *old,
				  const struct tree *section) NONNULL(1, 2, 4);
MUST_USE enum err conf_without_token(struct conf **out, struct conf *old, struct bytes handle)
	NONNULL(1, 2);

/*
 * conf_with_cred - `old` (NULL = empty) plus a credential, a reference to which is taken; in place
 * of one that is the same. conf_without_key - less the private key whose bits_id this is.
 * conf_without_authority - less the anchor of this name. conf_without_creds - less all of them.
 * Errors: NOT_FOUND, NOMEM, LIMIT.
 */
MUST_USE enum err conf_with_cred(struct conf **out, struct conf *old, struct cred *cred)
	NONNULL(1, 3);
MUST_USE enum err conf_without_key(struct conf **out, struct conf *old,
				   const uint8_t id[static KEY_ID_LEN]) NONNULL(1, 2);
MUST_USE enum err conf_without_authority(struct conf **out, struct conf *old, const char *name)
	NONNULL(1, 2, 3);
MUST_USE enum err conf_without_creds(struct conf **out, struct conf *old) NONNULL(1, 2);

/* conf_private_key - the private key that belongs to this public one, or NULL. */
const struct cred *conf_private_key(const struct conf *c, const struct cred *public) NONNULL(1, 2);

/* conf_forget_secrets - drop its secrets and private keys, though it may be referred to for long,
 * as by the SAs that were made under it: a secret that was taken away is wiped when nothing in
 * force has it. */
void conf_forget_secrets(struct conf *c) NONNULL(1);

/* conf_conn_get, conf_conn_put - references to one connection; put(NULL) is accepted. */
struct conf_conn *conf_conn_get(struct conf_conn *c) NONNULL(1);
void conf_conn_put(struct conf_conn *c);

/* conf_pool_size - how many addresses it has; more than 2^32 - 1 count as that. */
uint32_t conf_pool_size(const struct conf_pool *p) NONNULL(1);

/* conf_pool_get, conf_pool_put - references to one pool; put(NULL) is accepted. conf_find_pool - by
 * name; NULL if there is none. */
struct conf_pool *conf_pool_get(struct conf_pool *p) NONNULL(1);
void conf_pool_put(struct conf_pool *p);
struct conf_pool *conf_find_pool(const struct conf *c, const char *name) NONNULL(1, 2);

/* conf_get, conf_put - references; the last one wipes the secrets. put(NULL) is accepted. */
struct conf *conf_get(struct conf *c) NONNULL(1);
void conf_put(struct conf *c);

/* conf_find_path - by name; NULL if there is none. */
const struct conf_path *conf_find_path(const struct conf_conn *conn, const char *name)
	NONNULL(1, 2);

/* conf_find_conn, conf_find_child - by name; NULL if there is none. A NULL conn in conf_find_child
 * searches all connections and sets *out_conn. */
const struct conf_conn *conf_find_conn(const struct conf *c, const char *name) NONNULL(1, 2);
const struct conf_child *conf_find_child(const struct conf *c, const struct conf_conn **out_conn,
					 const char *conn, const char *child) NONNULL(1, 4);

/* conf_find_password - what `id` proves itself by in EAP; NULL if there is none. */
const struct conf_secret *conf_find_password(const struct conf *c, const struct ike_id *id)
	NONNULL(1, 2);

/* conf_find_radius_secret - what is shared with the server of this name; NULL if there is none. */
const struct conf_secret *conf_find_radius_secret(const struct conf *c, const char *server)
	NONNULL(1, 2);

/* conf_ppk_id_equal - the same name of a PPK: as it is sent, in bytes alone, and not empty.
 * conf_find_ppk - the PPK of this name; NULL if there is none. conf_uses_ppk - there is one, or a
 * connection that wants one. */
bool conf_ppk_id_equal(const struct ike_id *a, const struct ike_id *b) NONNULL(1, 2);
const struct conf_secret *conf_find_ppk(const struct conf *c, const struct ike_id *id)
	NONNULL(1, 2);
bool conf_uses_ppk(const struct conf *c) NONNULL(1);

/* conf_find_module - by name; "": the only one. NULL if there is none. conf_token_equal - the same
 * place. */
const struct conf_module *conf_find_module(const struct conf_daemon *d, const char *name)
	NONNULL(1, 2);
bool conf_token_equal(const struct conf_token *a, const struct conf_token *b) NONNULL(1, 2);

/* conf_find_psk - the secret for these identities: the best match wins (both ids, then the peer's
 * id, then the local id if it is the only one or stands beside %any, then %any, then one without
 * ids); NULL if there is none. *out_group: more than one
 * identity may use it. */
const struct conf_secret *conf_find_psk(const struct conf *c, bool *out_group,
					const struct ike_id *local, const struct ike_id *peer)
	NONNULL(1, 2, 3, 4);

/* conf_is_host - the address of one host. conf_is_gateway - such an address, or a name as the DNS
 * has it: what REDIRECT may name (RFC 5685). */
bool conf_is_host(const struct ip_addr *a) NONNULL(1);
bool conf_is_gateway(const char *text) NONNULL(1);

/* conf_id_parse - an identity as in swanctl.conf ("gw.example.com", "1.2.3.4", "user@host",
 * "@#hex", "fqdn:x", "keyid:x", "C=DE, CN=gw", "%any"). Errors: MALFORMED, LIMIT, UNSUPPORTED. */
MUST_USE enum err conf_id_parse(struct ike_id *out, const char *text) NONNULL(1, 2);

/* conf_id_equal - the same identity, as certificates and configurations are compared: names without
 * regard to case. */
bool conf_id_equal(const struct ike_id *a, const struct ike_id *b) NONNULL(1, 2);

/* conf_id_digest - the same for identities that are equal (conf_id_equal()), and hardly ever for
 * others: to look them up by. */
#define CONF_ID_DIGEST_LEN 16
void conf_id_digest(uint8_t out[static CONF_ID_DIGEST_LEN], const struct ike_id *id) NONNULL(2);

/* conf_id_matches - the authenticated identity satisfies a configured side (S22 compares here).
 * Nobody (ID_NULL) is the peer of `auth = null` alone, and of nobody's else. */
bool conf_id_matches(const struct conf_side *side, const struct ike_id *id) NONNULL(1, 2);

/* conf_proven_matches - the same of an identity that was proven: by EAP it is that of `eap_id`,
 * where that names one, else that of `id`. */
bool conf_proven_matches(const struct conf_side *side, const struct ike_id *id) NONNULL(1, 2);

/* conf_proposals_parse - "aes256gcm16-prfsha384-x25519, default" with strongSwan's keywords. is_ike
 * selects the kind. What is not supported is left out; text[text_len] then tells what (else it is
 * ""). Errors: CONFIG with the reason in text: nothing remains, or a word is unknown. */
MUST_USE enum err conf_proposals_parse(struct conf_proposal out[CONF_MAX_PROPOSALS],
				       uint32_t *out_num, char *text, size_t text_len,
				       const char *value, bool is_ike) NONNULL(1, 2, 3, 5);

/* conf_transform_word - the keyword of a transform in a proposal ("aes256gcm16", "ecp384"): type
 * and id as on the wire (RFC 7296 3.3.2), key_bits 0 where the cipher has one key length. NULL if
 * there is none that is supported. Any thread. */
const char *conf_transform_word(uint8_t type, uint16_t id, uint16_t key_bits);

/* conf_proposals_parse_node - the same from a tree's value or list. */
MUST_USE enum err conf_proposals_parse_node(struct conf_proposal out[CONF_MAX_PROPOSALS],
					    uint32_t *out_num, char *text, size_t text_len,
					    const struct tree *node, bool is_ike)
	NONNULL(1, 2, 3, 5);
