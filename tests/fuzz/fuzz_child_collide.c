/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_child_collide: two established peers re-key, create and delete children and IKE SAs across
 * each other (S32, RFC 7296 2.25). The input's first byte chooses the world (choose()), each other
 * byte does one thing: a letter arrives, is lost or comes again, a side begins something, time
 * passes, an ask is answered. Then the wire is perfect and time runs on, and both sides must agree:
 * the same IKE SAs and pairs with the same keys, nothing lost that nobody deleted, no SPI or path
 * set left over, and, in the end, nothing at all.
 */
#include <stdio.h>
#include <string.h>

#include "tests/fuzz/peers.h"

/* STEPS_MAX - bytes of an input that are used: fewer SAs than tests/sim has room for. */
#define STEPS_MAX 64
/* PATIENCE - liveness checks and the time that a request is repeated for, on both sides. */
#define PATIENCE (250 * NS_PER_S)
/* GIVING_UP - less than the time that a request is repeated for. */
#define GIVING_UP (60 * NS_PER_S)
/* ASKED_NS - less than the time that an ask stays open, or that a responder waits for what follows.
 */
#define ASKED_NS (15 * NS_PER_S)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum what {
	REKEY_TUN,
	REKEY_TWO,
	REKEY_IKE,
	CREATE_TUN,
	CREATE_TWO,
	DELETE_TUN,
	DELETE_TWO,
	DELETE_IKE,
	NUM_WHATS
};

/* struct play - one run. */
struct play {
	struct peers p;
	bool keep;        /* letters that wait in the end arrive */
	unsigned done;    /* 1u << enum what, by either side */
	bool series;      /* key exchanges follow each other */
	bool refused;     /* an ask was, or what follows did not come in time */
	uint64_t idle_ns; /* time that passed by the input's wish */
};

static struct play play;

/* ---- the world ----------------------------------------------------------------------------------
 */

/* struct world - what goes into the configuration of both sides. */
struct world {
	const char *conn, *child, *daemon;
};

#define KE1 "aes256gcm16-prfsha256-x25519-ke1_ecp256"

/* From SERIES on with additional key exchanges. */
#define SERIES 4

static const struct world worlds[] = {
	{"encap = no\n mobike = no", "", ""},
	{"encap = no\n mobike = no", "esp_proposals = aes256gcm16-x25519", ""},
	{"encap = no\n mobike = no", "", "fragment_size = 256"},
	{"encap = yes\n mobike = yes", "esp_proposals = aes256gcm16-x25519", ""},
	{"encap = no\n mobike = no\n proposals = " KE1, "", ""},
	{"encap = no\n mobike = no\n proposals = " KE1,
	 "esp_proposals = aes256gcm16-x25519-ke1_ecp256", ""},
	{"encap = no\n mobike = no", "esp_proposals = aes256gcm16-x25519-ke1_ecp256-ke3_ecp384",
	 ""},
	{"encap = yes\n mobike = yes\n proposals = " KE1 "-ke2_ecp384",
	 "esp_proposals = aes256gcm16-x25519-ke1_ecp256", "fragment_size = 256"},
};

static const char *text_of(const struct world *w, unsigned side)
{
	static const char *texts[ARRAY_LEN(worlds)][2];
	const char **text = &texts[w - worlds][side];
	char conn[200], child[300], all[5000];

	if (*text)
		return *text;
	snprintf(conn, sizeof(conn), "%s\n rekey_time = 0s\n dpd_delay = 10s", w->conn);
	snprintf(child, sizeof(child),
		 "rekey_time = 0s\n %s\n }\n two { local_ts = 10.%u.0.0/16\n"
		 " remote_ts = 10.%u.0.0/16\n rekey_time = 0s\n %s",
		 w->child, 11 + side, 12 - side, w->child);
	snprintf(all, sizeof(all), "%s latchkey { %s\n }\n", sim_conf(side, conn, child),
		 w->daemon);
	*text = peers_text(all);
	return *text;
}

/* Bits of the first byte: 2 world, 2 seed (the nonces' order differs), then both children are up,
 * asks wait, what waits in the end arrives, a world with additional key exchanges. */
static void choose(struct play *y, uint8_t bits)
{
	const struct world *w = &worlds[(bits & 3) + (bits & 128 ? SERIES : 0)];
	struct sim_options opt = {.conf = {text_of(w, 0), text_of(w, 1)}};
	struct sim *s;

	y->done = 0;
	y->refused = false;
	y->idle_ns = 0;
	y->series = w >= &worlds[SERIES];
	peers_begin(&y->p, 1 + (bits >> 2 & 3), &opt);
	s = y->p.s;
	must(sim_initiate(s, 0, "tun") == ERR_OK);
	must(sim_run_until(s, s->now_ns + NS_PER_S, sim_up));
	sim_run(s, s->now_ns + NS_PER_S / 10);
	if (bits & 16) {
		must(sim_initiate(s, 1, "two") == ERR_OK);
		sim_run(s, s->now_ns + NS_PER_S / 10);
	}
	/* What was made by the peer's exchange is confirmed by then. */
	sim_run(s, s->now_ns + SA_CONFIRM_NS);
	must(peers_settled(&y->p));
	y->p.by_hand = true;
	y->p.asks = bits & 32;
	y->keep = bits & 64;
}

/* ---- steps --------------------------------------------------------------------------------------
 */

static void deliver(struct play *y, struct letter *l)
{
	if (!l)
		return;
	l->waiting = false;
	sim_deliver(y->p.s, !l->from, &l->path, l->bytes, l->len);
}

static void begin(struct play *y, unsigned side, enum what what)
{
	static const char *const child[NUM_WHATS] = {
		[REKEY_TUN] = "tun",  [REKEY_TWO] = "two",  [CREATE_TUN] = "tun",
		[CREATE_TWO] = "two", [DELETE_TUN] = "tun", [DELETE_TWO] = "two",
	};
	struct sim *s = y->p.s;

	y->done |= 1u << what;
	if (what <= REKEY_IKE)
		(void)!sim_rekey(s, side, child[what]);
	else if (what <= CREATE_TWO)
		(void)!sim_initiate(s, side, child[what]);
	else
		(void)!sim_terminate(s, side, child[what]);
}

/* An ask that waits for too long is refused, and nobody waits for longer for a key exchange that
 * follows another one. */
static void pass_time(struct play *y, uint64_t ns)
{
	y->idle_ns += ns;
	y->refused |= (y->p.asks || y->series) && y->idle_ns >= ASKED_NS;
	sim_run(y->p.s, y->p.s->now_ns + ns);
}

static void answer(struct play *y, unsigned n, bool allow)
{
	struct question q;

	if (!peers_question(&y->p, &q, n))
		return;
	y->refused |= !allow;
	sim_answer(y->p.s, q.side, q.id, q.kind, allow);
}

static void step(struct play *y, uint8_t byte)
{
	const unsigned arg = byte & 31;

	switch (byte >> 5) {
	case 0:
	case 1:
		deliver(y, peers_pick(&y->p, arg));
		break;
	case 2: /* it is lost */
		if (peers_waiting(&y->p))
			peers_pick(&y->p, arg)->waiting = false;
		break;
	case 3: /* it comes again */
		if (peers_any(&y->p, arg)) {
			struct letter again = *peers_any(&y->p, arg);

			deliver(y, &again);
		}
		break;
	case 4:
		begin(y, arg & 1, (enum what)((arg >> 1) % NUM_WHATS));
		break;
	case 5:
		pass_time(y, NS_PER_MS << arg % 13);
		break;
	case 6:
		answer(y, arg >> 1, arg & 1);
		break;
	default:
		for (unsigned i = arg & 15; i && peers_waiting(&y->p); i--) {
			deliver(y, peers_pick(&y->p, 0));
			pass_time(y, NS_PER_MS);
		}
		break;
	}
	if (!y->p.asks)
		pass_time(y, NS_PER_MS); /* asks are answered */
}

/* ---- the end ------------------------------------------------------------------------------------
 */

static unsigned pairs(const struct sim *s, unsigned side, const char *name)
{
	unsigned num = 0;

	for (uint32_t i = 0; i < s->n[side].num_pairs; i++)
		num += strcmp(s->n[side].pairs[i].name, name) == 0;
	return num;
}

/* Every SPI is a pair's, every path set an IKE SA's. */
static void no_orphans(struct sim *s)
{
	for (unsigned side = 0; side < 2; side++) {
		must(s->n[side].num_spis == s->n[side].num_pairs);
		must(s->n[side].num_peers <= sim_num_sas(s, side)); /* with the first child */
		must(s->n[side].num_pairs == 0 || s->n[side].num_peers > 0);
	}
}

/* What nobody ended is there, once. */
static void nothing_lost(const struct play *y)
{
	struct sim *s = y->p.s;
	const unsigned ends = 1u << DELETE_TUN | 1u << DELETE_TWO | 1u << DELETE_IKE;

	if (y->idle_ns >= GIVING_UP || y->done & 1u << DELETE_IKE)
		return;
	must(sim_num_sas(s, 0) == 1);
	if (!(y->done & 1u << DELETE_TUN))
		must(pairs(s, 0, "tun") == 1);
	if (!(y->done & ends) && !y->refused && y->done & 1u << CREATE_TWO)
		must(pairs(s, 0, "two") >= 1);
	must(pairs(s, 0, "tun") <= 2 && pairs(s, 0, "two") <= 2);
}

/* Packets of all pairs arrive. */
static void traffic_flows(struct sim *s)
{
	const uint64_t lost = s->n[0].lost_packets + s->n[1].lost_packets;
	const uint64_t got[2] = {s->n[0].got_packets, s->n[1].got_packets};

	sim_run(s, s->now_ns + NS_PER_S);
	must(s->n[0].lost_packets + s->n[1].lost_packets == lost);
	for (unsigned side = 0; side < 2; side++)
		must(!s->n[side].num_pairs || s->n[side].got_packets > got[side]);
}

static void settle(struct play *y)
{
	struct sim *s = y->p.s;
	const uint64_t end = s->now_ns + PATIENCE;

	while (y->p.num_questions)
		answer(y, 0, true);
	y->p.by_hand = y->p.asks = false;
	while (y->keep && peers_waiting(&y->p))
		deliver(y, peers_pick(&y->p, 0));
	s->traffic = true;
	s->packet_ns = 200 * NS_PER_MS;
	do {
		must(s->now_ns < end);
		sim_run(s, s->now_ns + NS_PER_S);
	} while (!peers_settled(&y->p));
}

static bool settled(struct sim *s)
{
	(void)s;
	return peers_settled(&play.p);
}

static bool all_gone(struct sim *s)
{
	return sim_clean(s, 0) && sim_clean(s, 1) && !sim_num_sas(s, 0) && !sim_num_sas(s, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input in = {.p = data, .len = len < STEPS_MAX ? len : STEPS_MAX};
	struct sim *s;

	choose(&play, take(&in));
	s = play.p.s;
	while (in.len)
		step(&play, take(&in));
	settle(&play);
	no_orphans(s);
	nothing_lost(&play);
	traffic_flows(s);
	must(sim_run_until(s, s->now_ns + NS_PER_S, settled)); /* of a liveness check */
	(void)!sim_terminate(s, 0, NULL);
	(void)!sim_terminate(s, 1, NULL);
	must(sim_run_until(s, s->now_ns + PATIENCE, all_gone));
	peers_end(&play.p);
	return 0;
}
