/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim.h - two keying engines on a virtual clock, joined by a seeded wire that loses, repeats,
 * delays and reorders, with a model of each side's data path. The same seed gives the same run:
 * every action and datagram goes into one hash.
 */
#pragma once

#include <sodium.h>

#include "base/rng.h"
#include "control/engine.h"
#include "tests/sim/links.h"

#define SIM_MAX_PAIRS   4096
#define SIM_MAX_REQUEST 2048

/* struct sim_pair - a Child SA as the data path has it. */
struct sim_pair {
	uint64_t id;
	uint64_t peer;
	uint64_t active;   /* order of activation, 0 = not sent on */
	uint64_t top;      /* the newest packet received */
	uint64_t heard_ns; /* when the last one was */
	uint32_t spi_in, spi_out;
	bool in, out, used;
	uint8_t key_in[64], key_out[64];
	size_t key_len;
	uint32_t num_ts;
	enum sa_mode mode;
	struct ts local, remote; /* the first ones */
	struct ip_addr seen_local, seen_remote;
	uint32_t tfc_padding, dummies, dummy_len;
	bool ipcomp;
	uint16_t cpi_in, cpi_out;
	uint32_t worker; /* that it is for, and 1 more */
	enum child_share share;
	char name[32];
	/* with wires that repeat: numbers, the window that they go through, and, beside it, which
	 * of them were accepted */
	uint64_t sent;
	uint32_t replay_window; /* packets, as asked for */
	struct replay *window;
	uint8_t *accepted;
	size_t accepted_len;
	uint16_t path; /* that it is tied to */
};

/* struct sim_path - one path of a set. */
struct sim_path {
	uint16_t id, weight;
	uint8_t priority;
	bool usable, leaving;
	struct path_addr addr;
	uint32_t came; /* of what told it, from where it ends */
};

/* struct sim_peer - a path set as the data path has it. */
struct sim_peer {
	uint64_t id;
	bool live;
	struct path_addr path; /* by which packets go that are tied to none */
	struct sim_path paths[8];
	uint32_t num_paths;
	uint8_t policy;
	uint64_t moved_ns; /* last report that it sends from elsewhere */
};

/* SIM_MAX_ADDRS - addresses that a side can have: the first two are IPv4, the others IPv6. */
#define SIM_MAX_ADDRS 4

struct sim;

/* struct sim_node - one side. */
struct sim_node {
	struct sim *sim;
	unsigned index;
	struct ike_engine *e;
	struct rng_seeded rng;
	struct conf *conf;
	struct endpoint addr;
	struct sim_pair pairs[SIM_MAX_PAIRS];
	uint32_t num_pairs;
	struct sim_peer peers[SIM_MAX_PAIRS];
	uint32_t num_peers;
	uint64_t
		sent_to; /* whom the last datagram was for; 0: nobody that there is a path set of */
	uint64_t activations;
	uint32_t num_workers;
	uint32_t spis[SIM_MAX_PAIRS * 4];
	uint32_t num_spis;
	struct ip_addr addresses[16];     /* that the peer has lent */
	uint32_t num_addresses, num_lent; /* now, and in all */
	/* as its process was begun, and is again after sim_crash() */
	struct ike_limits limits;
	uint8_t max_paths;
	const char *tokens;
	const char *secret; /* the pre-shared key that an ask is answered with; NULL = none */
	bool by_keyring;    /* the same from the configuration instead */
	struct ike_keyring *keyring; /* answers asks about signatures and certificates */
	struct rng_seeded keyring_rng;
	int64_t wall_s;       /* the time by which certificates are judged */
	struct ip_addr named; /* what every name means; unset: there is none */
	/* test: may change an answer about signatures, or the question before it is answered */
	void (*forge_ask)(struct sim_node *n, struct ike_ask *ask);
	void (*forge)(struct sim_node *n, const struct ike_ask *ask, struct ike_answer *answer);
	/* fetches what the keyring wants, by ike_keyring_learn(); NULL: nothing is fetched */
	void (*serve)(struct sim_node *n, const struct ike_want *want);
	bool refuse_peer, refuse_child;
	/* what was reported */
	uint32_t ike_up, ike_down, child_up, child_down, failed, rekeyed_ike, rekeyed_child;
	uint32_t told_early; /* losses that were told while a pair of the child was sent on */
	uint64_t up_ns;      /* first CHILD_UP */
	uint32_t unsaid;     /* failures without a reason or a sentence */
	enum ike_reason last_failure, last_down, last_child_down;
	/* of the last failure: where, and what each side wanted (struct ike_event) */
	char phase[32], here[IKE_OFFER_MAX], there[IKE_OFFER_MAX];
	uint32_t reauth; /* that the last event named, of IKE_UP and FAILED */
	bool same_key;
	char last_text[400], down_text[400];
	uint64_t sent_packets, lost_packets, got_packets;
	struct ip_addr addrs[SIM_MAX_ADDRS]; /* those it has now, the preferred one first */
	uint32_t num_addrs;
	uint32_t others;                  /* test: it has so many more, which it lists first */
	bool unlisted;                    /* test: it does not say which ones it has */
	uint32_t moves;                   /* PATHSET_MOVE */
	uint32_t done, refused, proposed; /* news of paths */
	uint16_t last_status;
	struct path_addr last_proposed;
	bool deaf; /* test: nothing reaches it */
	bool mute; /* test: it sends no packets */
};

/* struct sim_fly - something that happens later. */
enum sim_fly_kind {
	SIM_DATAGRAM,
	SIM_ANSWER,
	SIM_PACKET, /* ESP */
	SIM_CALL,
};
struct sim_fly {
	uint64_t at_ns, order;
	enum sim_fly_kind kind;
	unsigned to;
	struct path_addr path;
	uint8_t *bytes;
	size_t len;
	uint64_t ask;
	enum ike_ask_kind ask_kind;
	uint32_t spi;
	uint64_t number; /* of a packet, from 1 on */
	void (*call)(struct sim *s, unsigned arg);
	unsigned arg;
};

/* struct sim_wire - percentages and delays; ESP is delayed as IKE is but never lost. */
struct sim_wire {
	uint32_t loss, repeat, reorder;
	uint64_t delay_ns, jitter_ns, reorder_ns;
	uint64_t ask_ns; /* answers take up to this long */
};

/* struct sim - the world. */
struct sim {
	uint64_t now_ns;
	struct rng_seeded rng;
	struct sim_wire wire;
	struct sim_node n[2];
	struct sim_fly *fly; /* heap by time, then order */
	size_t num_fly, cap_fly;
	uint64_t order;
	crypto_generichash_state hash;
	bool traffic; /* each side sends a packet every packet_ns */
	uint64_t packet_ns;
	/* tap: sees every datagram sent; may change it (returns false to drop it). */
	bool (*tap)(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx);
	void *tap_ctx;
	struct path_addr tapped; /* the path of what tap sees, as its receiver would see it */
	bool quiet_ask;          /* asks are never answered */
	/* asked: sees every ask; false: it is answered by sim_answer(), or never. ctx is tap_ctx.
	 */
	bool (*asked)(struct sim *s, unsigned side, const struct ike_ask *ask, void *ctx);
	uint16_t nat; /* A is behind 203.0.113.5, its ports moved up by this; 0 = no NAT */
	uint32_t keepalives;
	/* addresses: datagrams go only from and to addresses that the sides have */
	bool addresses;
	/* cut: with addresses, no datagram goes along this path of its sender. NULL: none is cut.
	 */
	bool (*cut)(struct sim *s, const struct path_addr *path);
	struct sim_link links[SIM_MAX_LINKS]; /* sim_join(); with one, addresses is set as well */
	unsigned num_links;
	bool strays;    /* packets of no SA are told to the engine */
	uint64_t twice; /* packets that were accepted once more */
};

/* struct sim_options - zero means the default given. */
struct sim_options {
	struct sim_wire wire;
	struct ike_limits limits[2];
	const char *conf[2]; /* text; NULL = sim_conf() of that side */
	struct conf
		*ready[2]; /* instead of a text: one that was made before; a reference is taken */
	const char *secret[2];
	bool by_keyring;       /* secrets are those of the configuration */
	uint32_t workers[2];   /* of the data paths */
	uint8_t paths[2];      /* that they can have for one peer; 0: as many as there can be */
	const char *tokens[2]; /* secrets of 16 characters or more, for RFC 6290; NULL: none */
	void (*serve[2])(struct sim_node *n, const struct ike_want *want); /* struct sim_node */
	const char *kind; /* of keys with sign; NULL = "P-256" */
	bool sign;        /* both sides sign: conf NULL is sim_conf_sign(), certificates come from
			     sim_creds() */
};

/* sim_conf - a configuration text: connection "net", child "tun". extra goes into the connection,
 * child_extra into the child. Static buffer for each side. */
const char *sim_conf(unsigned side, const char *extra, const char *child_extra);

/* sim_conf_anywhere - the same between whatever addresses. */
const char *sim_conf_anywhere(unsigned side, const char *extra, const char *child_extra);
/* sim_conf_twins - of the first side: num connections to the other one, five at most, "net", "net2"
 * and so on, that are the same but for their names. */
const char *sim_conf_twins(unsigned num, const char *extra);

/* sim_conf_sign - the same with auth = pubkey on both sides. */
const char *sim_conf_sign(unsigned side, const char *extra, const char *child_extra);

/* sim_conf_eap - the same where the first side proves itself by EAP, the second by its
 * signature; to be answered by the keyring (by_keyring, sign). */
const char *sim_conf_eap(unsigned side, const char *extra, const char *child_extra);

/* sim_with_ppk - a side's configuration text and a post-quantum pre-shared key, SIM_PPK; static
 * buffer for each side. */
#define SIM_PPK "ppk_id = ours"
const char *sim_with_ppk(unsigned side, const char *text);

/* sim_creds - the configuration plus a side's certificate and key of this kind and the authority of
 * both; takes conf over. */
struct conf *sim_creds(struct conf *conf, unsigned side, const char *kind);

/* sim_puzzles - from now on a side gives everybody puzzles, easy ones (RFC 8019). */
void sim_puzzles(struct sim *s, unsigned side);

/* sim_new, sim_free - a world at time 1000 s. NULL if an allocation failed (then nothing is left).
 */
struct sim *sim_new(uint64_t seed, const struct sim_options *opt);
void sim_free(struct sim *s);

/* sim_crash - a side's process is killed, and begins anew at once with the same configuration: it
 * says nothing, and knows nothing of before. */
void sim_crash(struct sim *s, unsigned side);

/* sim_run - until the time, or for a while, or until done() says so; false if time was up first. */
void sim_run(struct sim *s, uint64_t until_ns);
bool sim_run_until(struct sim *s, uint64_t until_ns, bool (*done)(struct sim *s));

/* sim_initiate - side brings up "net"/"tun" (or another child). */
enum err sim_initiate(struct sim *s, unsigned side, const char *child);
enum err sim_initiate_flow(struct sim *s, unsigned side, const char *child,
			   const struct flow *flow);

/* sim_terminate, sim_rekey - child NULL: the IKE SA. */
enum err sim_terminate(struct sim *s, unsigned side, const char *child);
enum err sim_rekey(struct sim *s, unsigned side, const char *child);

/* sim_redirect - side names another gateway to its peer. */
enum err sim_redirect(struct sim *s, unsigned side, const char *gateway);

/* sim_alone - a worker of a side sends by the pair that all share, and has none of its own: said as
 * the data path says it. */
void sim_alone(struct sim *s, unsigned side, uint32_t worker);

/* sim_settle - carry out the actions of a side; after any call to its engine. */
void sim_settle(struct sim *s, unsigned side);

/* sim_inject - a datagram reaches a side now, as if from the other. sim_deliver - by this path. */
void sim_inject(struct sim *s, unsigned to, const void *bytes, size_t len);
void sim_deliver(struct sim *s, unsigned to, const struct path_addr *path, const void *bytes,
		 size_t len);

/* sim_answer - an ask of a side is answered now as it would be, or not allowed. An id that is no
 * longer asked is ignored. */
void sim_answer(struct sim *s, unsigned side, uint64_t ask, enum ike_ask_kind kind, bool allow);

/* sim_conf_parse - a configuration text as a side would read it; NULL: it is wrong, and why went to
 * stderr. */
struct conf *sim_conf_parse(const char *text);

/* sim_at - call fn(s, arg) later. */
void sim_at(struct sim *s, uint64_t at_ns, void (*fn)(struct sim *s, unsigned arg), unsigned arg);

/* sim_addr - address number i of a side; 0 is the one it begins with. */
struct ip_addr sim_addr(unsigned side, unsigned i);

/* sim_have - from now on a side has these addresses (bit i: number i; the lowest is preferred, or
 * number `first` if it is among them), and its engine is told. */
void sim_have(struct sim *s, unsigned side, unsigned mask, unsigned first);

/* sim_up - both sides have a pair that matches the other's, keys and all. */
bool sim_up(struct sim *s);

/* sim_same - both sides hold the same IKE SAs and the same pairs, and nothing else; if not, why[]
 * says what differs. */
bool sim_same(struct sim *s, char why[static 200]);

/* sim_num_pairs - installed pairs of a side that are not lingering. sim_num_sas - IKE SAs listed.
 */
uint32_t sim_num_pairs(const struct sim *s, unsigned side);
uint32_t sim_num_sas(struct sim *s, unsigned side);

/* sim_newest - the pair that a side made last; where it made none one with id 0, of a mode and with
 * padding that there are not. */
const struct sim_pair *sim_newest(const struct sim *s, unsigned side);

/* sim_path_find - a path as a side's data path has it, of the only peer that it has; NULL: none. */
struct sim_path *sim_path_find(struct sim *s, unsigned side, uint16_t id);

/* sim_probe - what the data paths find out within a round trip: every path that both sides have and
 * that lets packets through both ways is usable, others are not; the engines are told. */
void sim_probe(struct sim *s);

/* sim_clean - side holds no pair, no path set, no SPI. */
bool sim_clean(const struct sim *s, unsigned side);

/* sim_digest - of everything that happened. */
void sim_digest(struct sim *s, uint8_t out[32]);

/* sim_chance - true in percent of cases. sim_random - below n. */
bool sim_chance(struct sim *s, uint32_t percent);
uint64_t sim_random(struct sim *s, uint64_t n);
