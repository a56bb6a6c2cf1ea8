/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sa.h - an IKE SA: its state, keys, the two message windows (RFC 7296 2.2, 2.3; window 1), what it
 * has to do, and its children. Control thread.
 */
#pragma once

#include "control/auth/algorithm.h"
#include "control/auth/announce.h"
#include "control/crypto/dh.h"
#include "control/crypto/ike_aead.h"
#include "control/crypto/keys.h"
#include "control/crypto/prf.h"
#include "control/ike/core.h"
#include "control/ike/nonce.h"
#include "control/ike/wire/cp.h"
#include "control/ike/wire/mif.h"
#include "control/ike/wire/mobike.h"
#include "control/ike/wire/payload.h"
#include "control/ike/wire/proposal.h"
#include "control/ike/wire/selectors.h"

/* enum sa_state - where an IKE SA stands; only step.c assigns it. */
enum sa_state {
	SA_NONE,      /* nothing sent or received yet */
	SA_I_INIT,    /* initiator: IKE_SA_INIT sent */
	SA_I_FIND,    /* initiator: asks where the gateway is that another one named */
	SA_I_JUDGE,   /* initiator: asks whether what vouched for the peer still does, to resume */
	SA_I_RESUME,  /* initiator: IKE_SESSION_RESUME sent */
	SA_I_PUZZLE,  /* initiator: IKE_SA_INIT sent, and a puzzle is solved that was the answer */
	SA_I_PPK,     /* initiator: makes what additional key exchanges were agreed on (RFC 9370),
		       * then asks for the post-quantum pre-shared key */
	SA_I_SECRET,  /* initiator: asks for the secret of its own AUTH */
	SA_I_AUTH,    /* initiator: IKE_AUTH sent */
	SA_I_RESUMED, /* initiator: IKE_AUTH sent, with AUTH of the IKE SA that is resumed */
	SA_I_VERIFY,  /* initiator: asks for the secret that verifies the peer's AUTH */
	SA_I_EAP_SERVER, /* initiator: the same of a server that wants EAP */
	SA_I_EAP_WORK,   /* initiator: asks for what the EAP method needs */
	SA_I_EAP,        /* initiator: an EAP packet is sent, or AUTH behind the last one */
	SA_I_AUTHORIZE,  /* initiator: asks whether the authenticated peer is welcome */
	SA_I_ACCEPT,     /* initiator: asks whether the first Child SA is */
	SA_R_INIT,       /* responder: IKE_SA_INIT answered; half open, and answers additional key
			  * exchanges until those are made that were agreed on */
	SA_R_RESUMED,    /* responder: IKE_SESSION_RESUME answered; half open */
	SA_R_JUDGE,      /* responder: asks whether what vouched for the peer still does */
	SA_R_PPK,        /* responder: as above, with the request unanswered: asks for the PPK */
	SA_R_VERIFY,     /* responder: asks for what verifies the peer's AUTH */
	SA_R_SIGN,       /* responder: asks for its own AUTH */
	SA_R_EAP_SIGN,   /* responder: the same before EAP begins */
	SA_R_EAP,        /* responder: an EAP packet is sent */
	SA_R_EAP_WORK,   /* responder: asks for what the EAP method needs */
	SA_R_EAP_PPK,    /* responder: AUTH of EAP's key is there: asks for the PPK */
	SA_R_AUTHORIZE,
	SA_R_ACCEPT,
	SA_ESTABLISHED,
	SA_REKEYED,  /* another IKE SA has taken over; waits for its delete */
	SA_DELETING, /* our delete is under way */
	SA_DEAD,     /* swept at the end of the input call */
	SA_NUM_STATES
};

/* enum task_kind - exchanges that we begin. */
enum task_kind {
	TASK_NONE,    /* in tables: whatever is under way */
	TASK_SA_INIT, /* the whole handshake */
	TASK_FIND,    /* the same with a gateway whose name is looked up first */
	TASK_RESUME,  /* the same by a ticket; then TASK_SA_INIT if it does not help */
	TASK_CHILD_NEW,
	TASK_CHILD_REKEY,
	TASK_CHILD_SIBLING, /* one more like a pair that is there, for a worker */
	TASK_CHILD_DELETE,
	TASK_IKE_REKEY,
	TASK_IKE_REKEY_CROSSED, /* under way, and the peer's own request was answered meanwhile */
	TASK_IKE_DELETE,
	TASK_LIVENESS,
	TASK_MOBIKE_UPDATE,  /* tell the peer where we are and where it is to be reached */
	TASK_MOBIKE_ADDRS,   /* tell the peer what other addresses there are */
	TASK_MOBIKE_CHECK,   /* does the peer answer from where it may be now? */
	TASK_MIF,            /* operations on paths */
	TASK_REDIRECT,       /* name another gateway */
	TASK_TELL,           /* tell the responder that its AUTH was wrong, which ends the SA */
	TASK_PEER_CHILD_NEW, /* exchanges that the peer begins: only as exchange.kind */
	TASK_PEER_CHILD_REKEY,
	TASK_NUM_KINDS
};

/* struct task - something to do on an IKE SA when its window is free. */
struct task {
	struct list_node node;
	enum task_kind kind;
	uint64_t child;                      /* the Child SA it is about */
	const struct conf_child *child_conf; /* CHILD_NEW; lives with the SA's configuration */
	struct child_wish *wish;             /* CHILD_NEW; NULL: nothing in particular */
	struct flow flow;
	bool has_flow;
	bool or_here;    /* FIND: else with who named it, as there was no handshake yet */
	uint16_t notify; /* TELL; 0 = a delete */
	uint16_t data_len;
	uint8_t *data;          /* REDIRECT: of the notify; FIND: the name, with its NUL */
	uint16_t group;         /* DH group that the peer insists on, 0 = our first */
	uint8_t retries;        /* answers of TEMPORARY_FAILURE or INVALID_KE_PAYLOAD */
	uint32_t worker;        /* CHILD_SIBLING: that it is for, and 1 more */
	uint64_t not_before_ns; /* waits after TEMPORARY_FAILURE */
	uint64_t held_ns;       /* when key exchanges of the peer's first held it back; 0: never */
	uint64_t request;
};

/* struct ask_slot - an ask that is open, or waits until the SA's other one is answered. */
struct ask_slot {
	struct htab_node node;
	struct ike_ask ask;
	bool open, waiting;
	struct timer timer;
	struct ike_sa *sa;
};

struct sa_target;
struct child_wish;
struct child_work;
struct rekey_work;

/* struct exchange - one direction's window of one message. */
struct exchange {
	uint32_t next_id;    /* in: expected next; out: of the request under way or the next one */
	enum task_kind kind; /* what is being worked on */
	struct ask_slot ask;
	struct child_work *child;
	struct rekey_work *rekey;
};

struct reassembly;
struct candidates;
struct eap;
struct intermediate;
struct followup;
struct held_ticket;

/* struct handshake_resume - session resumption (resume.h). */
struct handshake_resume {
	struct held_ticket *held; /* initiator: the one that is shown; owned */
	uint8_t *got;             /* and the one that the peer gives now, */
	size_t got_len;
	uint64_t got_ns;    /* good for so long */
	bool asked;         /* responder: the peer wants one */
	struct secret text; /* and what is in the one that it showed: views of this; empty: none */
	struct ticket ticket;
};

/* struct window_in - what the peer begins. */
struct window_in {
	struct exchange x;
	bool busy; /* the request waits for an answer to an ask: repeats are absorbed */
	uint8_t exchange_type;
	uint8_t digest[16]; /* of the request that is worked on or was answered last */
	uint8_t *response;  /* to the request next_id - 1: one message or its fragments */
	size_t response_len;
	struct reassembly *parts; /* of the request next_id */
	struct path_addr path;    /* where the response goes */
	uint16_t port;
};

/* struct window_out - what we begin. */
struct window_out {
	struct exchange x;
	struct task *task; /* under way, from its start until its end */
	bool waiting;      /* for the response */
	uint8_t exchange_type;
	uint32_t tries;
	uint8_t *request; /* one message, or its fragments one after the other */
	size_t request_len;
	struct reassembly *parts; /* of the response */
	uint64_t interval_ns;
	struct timer timer;
};

/* struct failure - why a step failed, and what the peer is to hear. */
struct failure {
	enum ike_reason reason; /* NONE: nothing was said, the message is dropped */
	uint16_t notify;        /* for the peer; 0 = nothing */
	uint16_t data;          /* group of INVALID_KE_PAYLOAD, type of an unsupported payload */
	bool only_child;        /* the IKE SA is not concerned */
	bool eap;               /* responder: EAP failed, which is said in its words, too */
	uint32_t spi;           /* of CHILD_SA_NOT_FOUND */
	char text[300];
	char here[IKE_OFFER_MAX],
		there[IKE_OFFER_MAX]; /* what each side offers; "" = not by that */
};

/* struct handshake_ppk - the post-quantum pre-shared key (ppk.h). */
struct handshake_ppk {
	bool offered;                /* both sides have said that they may have one */
	bool named;                  /* responder: the peer names one, */
	struct ike_id id;            /* this one; initiator: the connection's; len 0: none */
	bool mixing;                 /* AUTH is made and verified with it */
	bool used;                   /* it is in the IKE SA's keys */
	struct ppk_keys keys;        /* with it in them; none: it is not known */
	uint8_t plain[AUTH_SIG_MAX]; /* NO_PPK_AUTH, our own or the peer's */
	size_t plain_len;
};

/* struct handshake_puzzle - what the responder wants solved (RFC 8019), as initiator. The cookie of
 * what is being solved is here, and handshake.cookie is that of the request under way. */
struct handshake_puzzle {
	struct puzzle asked; /* the last one; its text is `cookie` */
	uint8_t cookie[IKE_COOKIE_MAX];
	uint8_t solution[PUZZLE_SOLUTION_LEN]; /* for handshake.cookie */
	size_t solution_len;                   /* 0 = none, or not yet */
	bool refused;                          /* this side does not solve it */
};

/* struct handshake - what is needed until the IKE SA is established, then wiped. */
struct handshake {
	struct nonce ni, nr;
	struct dh *dh;
	uint8_t peer_ke[DH_PUBLIC_MAX];
	size_t peer_ke_len;
	uint16_t group;  /* of our KE payload */
	bool ke_retried; /* S30: one INVALID_KE_PAYLOAD is believed */
	uint8_t num_cookies;
	uint8_t cookie[IKE_COOKIE_MAX];
	size_t cookie_len;
	struct handshake_puzzle puzzle;
	uint8_t *request; /* IKE_SA_INIT as sent or received, for AUTH */
	size_t request_len;
	uint8_t *request2; /* responder: the same with a cookie that we asked for (S41) */
	size_t request2_len;
	uint8_t *response;
	size_t response_len;
	bool intermediate;             /* the peer can do IKE_INTERMEDIATE (RFC 9242) */
	struct intermediate *between;  /* NULL: nothing goes between IKE_SA_INIT and IKE_AUTH */
	bool fragments;                /* both announced them, and we are to send them */
	struct candidates *candidates; /* responder: NULL if one connection alone is possible */
	struct ike_id idr_wanted; /* responder: the IDr of the request; type 0 if there was none */
	uint8_t auth_method;
	uint8_t auth[AUTH_SIG_MAX];
	size_t auth_len;
	struct ike_cert certs[IKE_MAX_CERTS]; /* of the peer; their data is owned */
	uint32_t num_certs;
	uint32_t peer_hashes;            /* SIG_HASH_BIT()s that the peer can verify */
	bool peer_speaks_7427;           /* the peer sent SIGNATURE_HASH_ALGORITHMS */
	bool asked_x509, asked_raw;      /* the peer's certificate requests */
	bool asked_ocsp;                 /* and for what a responder says of our certificate */
	bool peer_fetches;               /* the peer sent HTTP_CERT_LOOKUP_SUPPORTED */
	bool peer_announces;             /* the peer sent SUPPORTED_AUTH_METHODS, */
	struct auth_announced announced; /* and this was in it */
	uint8_t authorities[IKE_MAX_CERTREQS * KEY_ID_LEN];
	size_t authorities_len;
	struct eap *eap;    /* with EAP, from its first packet on */
	uint8_t *eap_first; /* initiator: that packet, until the server is proven */
	size_t eap_first_len;
	struct ike_cert eap_certs[IKE_MAX_CERTS]; /* of an ask; views */
	uint8_t peer_id_body[WIRE_ID_BODY_MAX];
	size_t peer_id_body_len;
	bool initial_contact; /* the peer claims to have no other SA with us */
	bool childless;       /* the peer can do without a first Child SA (RFC 6023) */
	bool mif_vendor;      /* IKE_SA_INIT had its vendor ID, ours and the peer's */
	struct handshake_ppk ppk;
	struct handshake_resume resume;
	uint8_t *elsewhere; /* initiator: the gateway that the peer names in IKE_AUTH; NULL: none */
	size_t elsewhere_len;
	bool redirected; /* responder: the peer is sent to another one */
	uint8_t *octets; /* what is being signed */
	size_t octets_len;
	uint8_t own_method; /* our AUTH; a responder sends it at the end */
	uint8_t own_auth[AUTH_SIG_MAX];
	size_t own_auth_len; /* 0 = not made yet */
	struct ike_cert own_certs[IKE_MAX_CERTS];
	uint32_t num_own_certs;
	uint8_t own_key[KEY_SPKI_MAX];
	size_t own_key_len;
	struct ip_addr wants[CONF_MAX_VIPS]; /* addresses that the peer asks for; any: which is all
					      * one */
	uint32_t num_wants;
	uint16_t child_error; /* notify that answers the first Child SA's offer; 0 = it is made */
	struct failure child_failure;
};

/* struct vips - what the peer has lent this host (vips.h). */
struct vips {
	struct ip_addr addrs[CONF_MAX_VIPS];
	struct ip_addr dns[CP_MAX_DNS];
	uint32_t num, num_dns;
	uint32_t cells; /* actions promised and not used */
	bool installed; /* the caller has the addresses */
};

/* struct lent - what this host has lent the peer (vips.h); most are lent nothing. */
struct lent {
	struct lease *leases[CONF_MAX_VIPS];
	struct ip_addr addrs[CONF_MAX_VIPS];
	struct conf_pool *pools[CONF_MAX_VIPS]; /* that they are of; referenced */
	uint32_t num;
};

/* PEER_REFS_MAX - with more references than all children that one may have, and some IKE SAs, a
 * peer re-keys IKE SAs and closes none of the old ones. */
#define PEER_REFS_MAX 512

/* struct ike_peer - a path set's name and life: IKE SAs and children hold references. */
struct ike_peer {
	struct ike_engine *e;
	uint64_t id;
	uint32_t refs;
	bool added; /* the caller was told */
};

/* struct sa_probe - where an authentic peer may be now, until it has answered from there (S57). */
struct sa_probe {
	bool on;
	bool nat_local, nat_remote; /* as on that path; with MOBIKE */
	bool strayed;    /* the check under way went elsewhere too: its answer proves nothing */
	uint8_t checks;  /* begun */
	uint16_t port;   /* outer port of the data path */
	uint64_t credit; /* bytes that may still be sent there: three for each that came */
	struct path_addr path;
};

/* struct sa_mobike - MOBIKE's share of an IKE SA (RFC 4555). */
struct sa_mobike {
	bool on;        /* both sides can do it */
	bool initiator; /* we began the first IKE SA of the series: we decide about addresses */
	bool pending;   /* the peer has not confirmed sa->path yet */
	bool esp_waits; /* until it has, its children go where they went */
	bool wandered;  /* the request under way was sent along other paths too */
	bool restart;   /* it changed since the UPDATE_SA_ADDRESSES under way was built */
	bool has_seen_as;
	bool lost;   /* it was reported that no path leads to the peer */
	bool chosen; /* the owner said from where, which holds while the host has the address */
	bool untold; /* our other addresses changed while nothing could be said */
	uint8_t cookie_len;
	uint8_t greetings;         /* that are still sent after a move */
	uint8_t next;              /* candidate to be tried next */
	uint8_t refusals;          /* candidates that the peer did not want, in a row */
	uint64_t request;          /* the owner's, that the move under way is for; 0 = none */
	uint8_t cookie[64];        /* COOKIE2 of the exchange under way */
	uint8_t seen_as[SHA1_LEN]; /* our address and port as the peer saw them, hashed */
	struct mobike_addrs ours;  /* as the peer was told last */
	struct mobike_addrs peers;
};

/* struct sa_path - one path of an IKE SA. */
struct sa_path {
	uint16_t id, weight;
	uint8_t priority;
	bool usable;  /* the peer has answered from there */
	bool nat;     /* its end is behind a translator */
	bool leaving; /* it is about to go: traffic goes by another one */
	uint16_t port;
	struct path_addr addr; /* with the ports of IKE; encap is ESP's */
	struct mif_liveness liveness;
};

/* struct sa_paths - all of them, by number. */
struct sa_paths {
	struct sa_path list[MIF_PATHS_MAX];
	uint8_t num;
	uint8_t policy;   /* enum mif_policy */
	uint16_t last_id; /* the largest that there ever was */
};

/* struct sa_mif - an IKE SA's share of several paths (mif.h). */
struct sa_mif {
	bool on;            /* both sides can do it, and are let */
	bool decides;       /* this side says which paths there are */
	bool asked;         /* `before` is from before what the peer is asked for now */
	bool all_done;      /* and all of that was done here at once */
	uint16_t ike;       /* the path that IKE goes by; 0: one that is gone */
	uint16_t last;      /* transaction of ours */
	uint16_t last_in;   /* the newest one of the peer's */
	uint8_t digest[16]; /* of its last message with operations */
	uint8_t num_gone;   /* see `gone` */
	uint8_t *done;      /* what came of them: results, each behind its length */
	size_t done_len;
	struct list_node ops; /* of ours, to be sent or under way */
	struct sa_paths paths;
	struct mif_supported peer;
	struct sa_paths *before; /* what they were when `ops` were sent; NULL: none ever were */
	uint16_t gone[MIF_PATHS_MAX]; /* paths that the peer took away since `before` */
};

/* CRASH_DIGEST_LEN - of a token. struct sa_crash - an IKE SA's share of crash.h. */
#define CRASH_DIGEST_LEN 16
struct sa_crash {
	bool has_token;                  /* the peer has given one, */
	uint8_t token[CRASH_DIGEST_LEN]; /* whose hash this is */
	bool untold;                     /* and has none of ours yet */
	uint64_t asked_ns;               /* when a hint last had us ask; 0 = never */
};

/* struct sa_auth_life - an IKE SA's share of auth_life.h. */
struct sa_auth_life {
	bool began;      /* this side began the first IKE SA of the series */
	uint64_t due_ns; /* when the peer is asked again; TIME_NEVER = not by us */
	uint64_t end_ns; /* when it is closed unless it was; TIME_NEVER = not by us */
	struct timer timer;
};

/* struct sa_redirect - an IKE SA's share of redirect.h. */
struct sa_redirect {
	bool follows;        /* responder: the peer says that it does */
	uint8_t num;         /* that were followed since since_ns */
	struct ip_addr from; /* the gateway that named this one; unset: none did */
	uint64_t since_ns;
};

/* struct sa_named - an IKE SA's share of index.h; a node whose key is empty is in no table. */
struct sa_named {
	struct ike_sa *sa;
	struct htab_node by_spi, by_place, by_peer;
	uint8_t peer[CONF_ID_DIGEST_LEN]; /* of remote_id */
};

/* SA_CONFIRM_NS - without a repeat of its request in that time the peer has our response. */
#define SA_CONFIRM_NS (5 * NS_PER_S)

/* struct ike_sa - one IKE SA. */
struct ike_sa {
	struct list_node node;
	struct ike_sa *next_dead; /* in ike_engine.dead */
	struct ike_engine *e;
	uint32_t unique;
	enum sa_state state;
	bool initiator; /* we began it */
	bool nat_local, nat_remote;
	bool fragments;     /* both can take fragments of messages (RFC 7383): we may send them */
	bool udp_wanted;    /* we asked for encapsulation in UDP, NAT or not */
	bool counted;       /* in half_open_num and its source */
	bool was_up;        /* IKE_UP or IKE_REKEYED was reported */
	bool ended;         /* its end was reported: terminate while not yet established */
	bool quiet;         /* its end is no news: replaced */
	bool confirmed;     /* the peer is known to have it, too */
	bool dns;           /* name servers came with it, as events tell */
	uint16_t port;      /* outer port of the data path, for `path` */
	uint64_t successor; /* our SPI of the IKE SA that took its place, 0 = none */
	uint64_t reserve;   /* our SPI of the one whose place it takes if our own re-key does not */
	uint64_t spi_i, spi_r; /* the peer's is set by sa_set_peer_spi() */
	struct conf *conf;     /* NULL only while no connection is chosen */
	const struct conf_conn *conn;
	struct path_addr path;  /* its remote address is set by sa_set_path() */
	struct sa_named *named; /* owned */
	struct endpoint left;   /* where the peer was before it moved, */
	uint64_t left_until_ns; /* and until when that is of interest */
	struct ip_addr origin; /* where the peer was when the first IKE SA of the series was made */
	enum ike_reason reason; /* of its end */
	struct sa_probe probe;
	struct sa_mobike mobike;
	struct sa_mif mif;
	struct sa_crash crash;
	struct sa_auth_life auth_life;
	struct sa_redirect redirect;
	struct ike_peer *peer;
	struct ike_id local_id, remote_id; /* type 0 while unknown */
	struct sa_chosen suite;
	char proposal[SA_TEXT_MAX];
	struct ike_keys keys;
	struct ike_aead *seal, *open;
	struct handshake *hs;
	struct followup *followup; /* of the peer's; NULL: none waits */
	struct vips vips;
	struct lent *lent;        /* NULL: nothing is */
	struct auth_proof *proof; /* S20: non-NULL before anything is established */
	struct window_in in;
	struct window_out out;
	struct list_node tasks;
	struct list_node children;
	struct htab_node half_open;
	uint8_t half_open_key[32];
	struct source *source;
	struct ticket_id ticket; /* that the peer has of it */
	uint32_t methods;    /* 1u << enum auth_method of those that the peer may use; 0 = any */
	uint32_t reauth_of;  /* unique number of the one in whose place it will be; 0 = none */
	uint64_t reauth_spi; /* our SPI of that one */
	uint64_t renewed_by; /* our SPI of the last one that was to be in its place; 0: none was */
	struct auth_proof *reauth_proof; /* that one's */
	uint64_t request;                /* of who wants it up */
	uint64_t seen_ns;                /* last authenticated message */
	uint64_t sent_ns;                /* last message sent, for the NAT keepalive */
	uint64_t established_ns, rekey_ns, expire_ns;
	uint64_t session_ns; /* so long holds what a server said of the peer, also of what takes
				its place; TIME_NEVER: for ever */
	char *end_text;      /* why it ends in a sentence, owned; NULL: none */
	struct timer state_timer; /* bound of this state; lifetime when established */
	struct timer rekey_timer, dpd_timer, keepalive_timer, task_timer;
};

/* sa_new - a fresh IKE SA in state SA_NONE with an SPI of ours, in the engine's list. conf may be
 * NULL as responder. Errors: NOMEM, FULL, CRYPTO. */
MUST_USE enum err sa_new(struct ike_engine *e, struct ike_sa **out, bool initiator,
			 struct conf *conf, const struct conf_conn *conn) NONNULL(1, 2);

/* sa_free - wipe and free; children must be gone. */
void sa_free(struct ike_sa *sa) NONNULL(1);

/* sa_our_spi, sa_peer_spi - by role; the peer's is 0 while unknown. */
uint64_t sa_our_spi(const struct ike_sa *sa) NONNULL(1);
uint64_t sa_peer_spi(const struct ike_sa *sa) NONNULL(1);

/* sa_by_spi - the IKE SA with this SPI of ours, or NULL. */
struct ike_sa *sa_by_spi(const struct ike_engine *e, uint64_t spi) NONNULL(1);

/* sa_state_name - for logs and the story of the table. */
const char *sa_state_name(enum sa_state s);

/* sa_keys_install - seal and open contexts from sa->keys. Errors: NOMEM, CRYPTO, UNSUPPORTED. */
MUST_USE enum err sa_keys_install(struct ike_sa *sa) NONNULL(1);

/* sa_handshake_free - wipe what only the handshake needed. */
void sa_handshake_free(struct ike_sa *sa) NONNULL(1);

/* sa_kill - the SA is over: events are queued, children are taken away, and the object is freed at
 * the end of the input call. reason and text say why; text may be NULL for none. */
void sa_kill(struct ike_sa *sa, enum ike_reason reason, const char *text, uint64_t now_ns)
	NONNULL(1);

/* sa_established - start the lifetime, liveness and keepalive timers. */
void sa_established(struct ike_sa *sa, uint64_t now_ns) NONNULL(1);

/* sa_say_end - why it ends when what ends it is done: a reason, and a sentence, which is lost if
 * memory is short. sa_end - it ends now, as was said. */
void sa_say_end(struct ike_sa *sa, enum ike_reason reason, const char *fmt, ...) NONNULL(1, 3)
	PRINTF_LIKE(3, 4);
void sa_end(struct ike_sa *sa, uint64_t now_ns) NONNULL(1);

/* sa_unconfirmed_until - it was made by the peer's exchange, and the peer may not have our response
 * yet: nothing is begun on it until then. 0 = no need to wait. sa_confirm - the peer has it. */
uint64_t sa_unconfirmed_until(const struct ike_sa *sa) NONNULL(1);
void sa_confirm(struct ike_sa *sa) NONNULL(1);

/* sa_usable - established, and new Child SAs can be made on it: it gives way to no other one, and
 * is not to be closed. */
bool sa_usable(const struct ike_sa *sa) NONNULL(1);

/* peer_new, peer_get, peer_put - a path set's name; put removes the path set with the last
 * reference. peer_ready - queue PATHSET_ADD unless it was. */
MUST_USE enum err peer_new(struct ike_engine *e, struct ike_peer **out) NONNULL(1, 2);
struct ike_peer *peer_get(struct ike_peer *p) NONNULL(1);
void peer_put(struct ike_peer *p);
void peer_ready(struct ike_sa *sa) NONNULL(1);

/* sa_esp_encap - what carries ESP where IKE goes by sa->path: UDP with a NAT, or if either side
 * wanted it (a peer that does looks like a NAT). IKE itself may be on port 4500 all the same, where
 * a peer that does MOBIKE takes it (RFC 7296 2.23, RFC 4555 3.3). */
enum path_encap sa_esp_encap(const struct ike_sa *sa) NONNULL(1);
