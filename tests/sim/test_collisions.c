/* SPDX-License-Identifier: Apache-2.0 */
/*
 * S32: every pair of exchanges that can cross (RFC 7296 2.25, 2.8.1, 2.8.2), begun by the two sides
 * at every moment of each other, in every order in which their messages can arrive. A run is a list
 * of choices (which datagram comes next, or the second side begins); the lists are counted through
 * like the figures of a number.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "control/child/child.h"
#include "control/ike/core.h"
#include "control/ike/sa.h"
#include "control/ike/task.h"
#include "control/ike/wire/proto.h"
#include "tests/sim/forge.h"
#include "tests/sim/sim.h"
#include "tests/tap/tap.h"

#define A 0
#define B 1

#define QUEUE_MAX   16
#define CHOICES_MAX 40
/* Nonces of one seed make the one side win, those of another the other. */
#define SEEDS 2
#define QUIET (90 * NS_PER_S)

enum act {
	REKEY_CHILD,
	DELETE_CHILD,
	CREATE_CHILD,
	REKEY_IKE,
	DELETE_IKE,
	NUM_ACTS
};

static const char *const act_names[NUM_ACTS] = {"re-key child", "delete child", "create child",
						"re-key IKE", "delete IKE"};

/* struct flying - a datagram that has not arrived. */
struct flying {
	unsigned from;
	size_t len;
	uint8_t bytes[SIM_MAX_REQUEST];
};

/* struct order - the choices of one run. */
struct order {
	unsigned choice[CHOICES_MAX], of[CHOICES_MAX];
	unsigned num;   /* made in this run */
	unsigned given; /* of these, decided beforehand */
};

/* struct play - one run. */
struct play {
	struct sim *s;
	struct flying queue[QUEUE_MAX];
	unsigned num;
	bool by_hand;   /* datagrams wait to be chosen */
	unsigned asked; /* CREATE_CHILD_SA, by either side */
};

static bool hold(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	struct play *p = ctx;
	struct flying *f;

	(void)s;
	p->asked += bytes[18] == CREATE_CHILD_SA && !(bytes[19] & IKE_FLAG_RESPONSE);
	if (!p->by_hand)
		return true;
	CU_ASSERT_FATAL(p->num < QUEUE_MAX && *len <= SIM_MAX_REQUEST);
	f = &p->queue[p->num++];
	f->from = from;
	f->len = *len;
	memcpy(f->bytes, bytes, *len);
	return false;
}

static void act(struct sim *s, unsigned side, enum act what)
{
	if (what == REKEY_CHILD || what == REKEY_IKE)
		(void)!sim_rekey(s, side, what == REKEY_CHILD ? "tun" : NULL);
	else if (what == CREATE_CHILD)
		(void)!sim_initiate(s, side, "two");
	else
		(void)!sim_terminate(s, side, what == DELETE_CHILD ? "tun" : NULL);
	sim_run(s, s->now_ns + NS_PER_MS);
}

/* series - each SA takes two key exchanges (RFC 9370). */
static bool series;

static const char *conf_of(unsigned side)
{
	const char *esp = series ? "esp_proposals = aes256gcm16-x25519-ke1_ecp256\n" : "";
	char child[400], conn[200];

	snprintf(child, sizeof(child),
		 "%s }\n two { local_ts = 10.%u.0.0/16\n remote_ts = 10.%u.0.0/16\n %s", esp,
		 11 + side, 12 - side, esp);
	/* Both on port 500, where sim_inject() delivers. */
	snprintf(conn, sizeof(conn), "encap = no\n mobike = no\n rekey_time = 0s\n %s",
		 series ? "proposals = aes256gcm16-prfsha256-x25519-ke1_ecp256" : "");
	return sim_conf(side, conn, child);
}

static struct sim *up(uint64_t seed)
{
	const struct sim_options opt = {.conf = {conf_of(A), conf_of(B)}};
	struct sim *s = sim_new(seed, &opt);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	CU_ASSERT_TRUE(sim_run_until(s, s->now_ns + NS_PER_S, sim_up));
	sim_run(s, s->now_ns + NS_PER_S / 10);
	return s;
}

static unsigned choose(struct order *o, unsigned of)
{
	unsigned i = o->num;

	CU_ASSERT_FATAL(i < CHOICES_MAX);
	if (of < 2)
		return 0;
	o->of[i] = of;
	if (i >= o->given)
		o->choice[i] = 0;
	o->num++;
	return o->choice[i];
}

static void deliver(struct play *p, unsigned i)
{
	struct flying f = p->queue[i];

	memmove(&p->queue[i], &p->queue[i + 1], (--p->num - i) * sizeof(f));
	sim_inject(p->s, !f.from, f.bytes, f.len);
	sim_run(p->s, p->s->now_ns + NS_PER_MS); /* asks are answered */
}

/* The first side begins; after that each choice is a datagram or the other side's beginning. */
static void play_through(struct play *p, struct order *o, unsigned first, const enum act what[2])
{
	bool begun = false;

	p->by_hand = true;
	act(p->s, first, what[first]);
	while (p->num || !begun) {
		unsigned pick = choose(o, p->num + !begun);

		if (pick < p->num) {
			deliver(p, pick);
			continue;
		}
		begun = true;
		act(p->s, !first, what[!first]);
	}
	p->by_hand = false;
	p->s->traffic = true;
	sim_run(p->s, p->s->now_ns + QUIET);
}

/* The next list of choices; false after the last one. */
static bool next_order(struct order *o)
{
	while (o->num && o->choice[o->num - 1] + 1 >= o->of[o->num - 1])
		o->num--;
	if (!o->num)
		return false;
	o->choice[o->num - 1]++;
	o->given = o->num;
	o->num = 0;
	return true;
}

/* Pairs by name that both sides send and receive on. */
static unsigned pairs(const struct sim *s, const char *name)
{
	unsigned num = 0;

	for (uint32_t i = 0; i < s->n[A].num_pairs; i++)
		num += !strcmp(s->n[A].pairs[i].name, name) && s->n[A].pairs[i].in &&
		       s->n[A].pairs[i].out;
	return num;
}

/* What is there in the end, whatever came first. */
static bool is_right(struct sim *s, const enum act what[2], char why[static 200])
{
	const bool ended = what[A] == DELETE_IKE || what[B] == DELETE_IKE;
	const bool deleted = what[A] == DELETE_CHILD || what[B] == DELETE_CHILD;
	const bool created = what[A] == CREATE_CHILD || what[B] == CREATE_CHILD;

	if (!sim_same(s, why))
		return false;
	snprintf(why, 200, "%u and %u IKE SAs, %u of tun, %u of two", sim_num_sas(s, A),
		 sim_num_sas(s, B), pairs(s, "tun"), pairs(s, "two"));
	/* A delete that is asked for while the IKE SA is being replaced closes the new one too. */
	if (ended && created && sim_num_sas(s, A) == 1) /* made anew, for the new child alone */
		return pairs(s, "tun") == 0 && pairs(s, "two") == 1;
	if (ended)
		return sim_num_sas(s, A) == 0 && sim_num_sas(s, B) == 0 && sim_clean(s, A) &&
		       sim_clean(s, B);
	return sim_num_sas(s, A) == 1 && sim_num_sas(s, B) == 1 &&
	       pairs(s, "tun") == (deleted ? 0 : 1) &&
	       (created ? pairs(s, "two") >= 1 && pairs(s, "two") <= 2 : pairs(s, "two") == 0);
}

static void tell(const struct order *o, unsigned first, const enum act what[2], uint64_t seed,
		 const char *why)
{
	char list[200] = "";

	for (unsigned i = 0; i < o->num; i++)
		snprintf(list + strlen(list), sizeof(list) - strlen(list), " %u/%u", o->choice[i],
			 o->of[i]);
	tap_diag("%s by A, %s by B, %c first, seed %lu, choices%s: %s", act_names[what[A]],
		 act_names[what[B]], 'A' + (int)first, (unsigned long)seed, list, why);
}

/* Where each took several exchanges, of two re-keys of the same one goes no further, and the other
 * one to its end: nobody has to begin again. */
static bool is_enough(const struct play *p, const enum act what[2], char why[static 200])
{
	snprintf(why, 200, "%u re-keys were begun", p->asked);
	return !series || what[A] != what[B] || p->asked <= 2;
}

static unsigned long total, wrong;

/* All orders of a pair. */
static void cross(enum act by_a, enum act by_b)
{
	const enum act what[2] = {by_a, by_b};

	/* There is more of it with more exchanges, and the two sides are alike. */
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		for (unsigned first = 0; first < (series ? 1 : 2); first++) {
			struct order o = {.num = 0};

			do {
				struct play p = {.s = up(seed)};
				char why[200];

				p.s->tap = hold;
				p.s->tap_ctx = &p;
				play_through(&p, &o, first, what);
				if ((!is_right(p.s, what, why) || !is_enough(&p, what, why)) &&
				    wrong++ < 20)
					tell(&o, first, what, seed, why);
				sim_free(p.s);
				total++;
			} while (next_order(&o));
		}
}

static void cross_all(enum act what)
{
	total = wrong = 0;
	for (unsigned other = 0; other < NUM_ACTS; other++)
		cross(what, other);
	tap_diag("%lu orders, %lu wrong", total, wrong);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_TRUE(total >= 100);
}

static void test_S32_rekey_child(void)
{
	cross_all(REKEY_CHILD);
}

static void test_S32_delete_child(void)
{
	cross_all(DELETE_CHILD);
}

static void test_S32_create_child(void)
{
	cross_all(CREATE_CHILD);
}

static void test_S32_rekey_ike(void)
{
	cross_all(REKEY_IKE);
}

static void test_S32_delete_ike(void)
{
	cross_all(DELETE_IKE);
}

static void test_S32_additional_key_exchanges(void)
{
	series = true;
	cross_all(REKEY_CHILD);
	cross_all(REKEY_IKE);
	series = false;
}

/* ---- what follows a collision -------------------------------------------------------------------
 */

/* begin - both are up, and letters wait from wait_for_letters() on. */
static struct play begin(uint64_t seed)
{
	return (struct play){.s = up(seed), .by_hand = true};
}

/* By then B knows that A has the child. */
static void wait_for_letters(struct play *p)
{
	p->s->tap = hold;
	p->s->tap_ctx = p;
	sim_run(p->s, p->s->now_ns + 6 * NS_PER_S);
}

/* The letter of a side that waits longest. */
static unsigned first_of(const struct play *p, unsigned from)
{
	unsigned i = 0;

	while (i < p->num && p->queue[i].from != from)
		i++;
	CU_ASSERT_FATAL(i < p->num);
	return i;
}

static void deliver_of(struct play *p, unsigned from)
{
	deliver(p, first_of(p, from));
}

static void lose_of(struct play *p, unsigned from)
{
	const unsigned i = first_of(p, from);

	memmove(&p->queue[i], &p->queue[i + 1], (--p->num - i) * sizeof(p->queue[i]));
}

static unsigned num_established(struct sim *s, unsigned side)
{
	unsigned num = 0;

	list_for_each (n, &s->n[side].e->sas)
		num += list_entry(n, struct ike_sa, node)->state == SA_ESTABLISHED;
	return num;
}

/* B is to close the IKE SA when its own request is answered: who re-keys it is to try later, and
 * its end is not put off (RFC 7296 2.25.2). */
static void test_S32_closing(void)
{
	struct play p = begin(1);

	wait_for_letters(&p);
	act(p.s, B, REKEY_IKE);
	act(p.s, B, DELETE_IKE);
	act(p.s, A, REKEY_IKE);
	deliver_of(&p, A);
	CU_ASSERT_EQUAL(num_established(p.s, B), 1);
	p.by_hand = false;
	while (p.num)
		deliver(&p, 0);
	sim_run(p.s, p.s->now_ns + QUIET);
	CU_ASSERT_EQUAL(sim_num_sas(p.s, A) + sim_num_sas(p.s, B), 0);
	sim_free(p.s);
}

/* Nothing arrives for so long. */
static void lose_all(struct play *p, uint64_t ns)
{
	const uint64_t end = p->s->now_ns + ns;

	while (p->s->now_ns < end) {
		sim_run(p->s, p->s->now_ns + NS_PER_S);
		p->num = 0;
	}
}

/* Both re-key the child, and B is told to close it when it has A's answer, while its own answer is
 * lost: when A has that at last, B's new pair, to which its own gives way, is gone already. */
static void test_S32_closed_before_it_is_decided(void)
{
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct play p = begin(seed);
		char why[200];

		wait_for_letters(&p);
		act(p.s, B, REKEY_CHILD);
		act(p.s, A, REKEY_CHILD);
		deliver_of(&p, A); /* each other's request */
		deliver_of(&p, B);
		deliver_of(&p, A);
		lose_of(&p, B); /* its answer */
		act(p.s, B, DELETE_CHILD);
		for (unsigned i = 0; i < 2; i++) { /* what it closes */
			deliver_of(&p, B);
			deliver_of(&p, A);
		}
		p.by_hand = false;
		sim_run(p.s, p.s->now_ns + QUIET);
		CU_ASSERT_TRUE(sim_same(p.s, why));
		CU_ASSERT_EQUAL(pairs(p.s, "tun"), 0);
		CU_ASSERT_EQUAL(sim_num_sas(p.s, A), 1);
		sim_free(p.s);
	}
}

/* The same with the IKE SA: B's new one is closed before A knows that its own gives way to it, and
 * B's delete of the old one is lost. False if with this seed B's gives way. */
static bool ended_before_it_is_decided(uint64_t seed)
{
	struct play p = begin(seed);
	struct flying asked;
	bool wins;

	wait_for_letters(&p);
	act(p.s, A, REKEY_IKE);
	act(p.s, B, REKEY_IKE);
	asked = p.queue[first_of(&p, A)];
	deliver_of(&p, A); /* each other's request */
	deliver_of(&p, B);
	deliver_of(&p, A);
	lose_of(&p, B); /* its answer */
	wins = p.num > 0;
	if (wins) {
		act(p.s, B, DELETE_IKE);
		lose_of(&p, B);
		while (p.num)
			deliver(&p, 0);
		sim_inject(p.s, B, asked.bytes, asked.len); /* A asks again */
		deliver_of(&p, B);
		p.by_hand = false;
		sim_run(p.s, p.s->now_ns + 20 * NS_PER_S); /* B has not lost patience by then */
		CU_ASSERT_EQUAL(sim_num_sas(p.s, A), 0);
		CU_ASSERT_EQUAL(sim_num_sas(p.s, B), 0);
	}
	sim_free(p.s);
	return wins;
}

static void test_S32_ended_before_it_is_decided(void)
{
	unsigned num = 0;

	for (uint64_t seed = 1; seed <= 8; seed++)
		num += ended_before_it_is_decided(seed);
	CU_ASSERT_NOT_EQUAL(num, 0);
}

/* What lost is the peer's to close. If the peer does not, we do, and say so. */
static void test_S32_loser_is_closed(void)
{
	struct play p = begin(1);

	wait_for_letters(&p);
	act(p.s, A, REKEY_IKE);
	act(p.s, B, REKEY_IKE);
	deliver_of(&p, A); /* each other's request */
	deliver_of(&p, B);
	lose_of(&p, A); /* its answer, for good */
	deliver_of(&p, B);
	while (p.num) /* A, whose own stays, closes the old IKE SA */
		deliver(&p, 0);
	CU_ASSERT_EQUAL(sim_num_sas(p.s, A), 2);
	CU_ASSERT_EQUAL(sim_num_sas(p.s, B), 1);
	sim_run(p.s, p.s->now_ns + 25 * NS_PER_S);
	CU_ASSERT_EQUAL(p.num, 0);
	sim_run(p.s, p.s->now_ns + 6 * NS_PER_S);
	CU_ASSERT_NOT_EQUAL(p.num, 0);
	sim_free(p.s);
}

/* Both re-key the IKE SA, B is to close it, and then A is not heard any more: with the old IKE SA
 * the one ends that stood by for it. */
static void test_S32_nothing_stands_by_for_ever(void)
{
	struct play p = begin(1);

	wait_for_letters(&p);
	act(p.s, A, REKEY_IKE);
	act(p.s, B, REKEY_IKE);
	deliver_of(&p, A);
	CU_ASSERT_EQUAL(num_established(p.s, B), 2);
	act(p.s, B, DELETE_IKE);
	lose_all(&p, 400 * NS_PER_S);
	CU_ASSERT_EQUAL(sim_num_sas(p.s, B), 0);
	CU_ASSERT_TRUE(sim_clean(p.s, B));
	sim_free(p.s);
}

/*
 * Both re-key the IKE SA. B has A's answer before A's request, goes on with its new IKE SA and
 * makes a request there, which overtakes its delete of the old one: A, which knows of two, learns
 * by the request which one it is to be.
 */
static bool used_at_once(uint64_t seed, enum act then, bool request_arrives, char why[static 200])
{
	struct play p = begin(seed);
	bool same;

	wait_for_letters(&p);
	act(p.s, A, REKEY_IKE);
	act(p.s, B, REKEY_IKE);
	deliver_of(&p, B); /* its request */
	CU_ASSERT_EQUAL_FATAL(p.num, 2);
	deliver(&p, 1); /* A's answer to it: B has a new IKE SA, and closes the old one */
	act(p.s, B, then);
	CU_ASSERT_EQUAL_FATAL(p.num, 3);
	deliver(&p, 2); /* what it asks for there */
	CU_ASSERT_EQUAL_FATAL(p.num, 3);
	deliver_of(&p, A); /* A's own request, which B does not take any more */
	if (!request_arrives)
		p.num = 0; /* all else is lost, and comes again */
	p.by_hand = false;
	while (p.num)
		deliver(&p, 0);
	p.s->traffic = true;
	sim_run(p.s, p.s->now_ns + QUIET);
	same = sim_same(p.s, why);
	if (same)
		snprintf(why, 200, "%u IKE SAs, %u of tun, %u of two", sim_num_sas(p.s, A),
			 pairs(p.s, "tun"), pairs(p.s, "two"));
	same = same && sim_num_sas(p.s, A) == 1 && pairs(p.s, "tun") == (then != DELETE_CHILD) &&
	       pairs(p.s, "two") == (then == CREATE_CHILD);
	sim_free(p.s);
	return same;
}

static void test_S32_used_before_it_is_decided(void)
{
	for (uint64_t seed = 1; seed <= 4; seed++)
		for (unsigned then = REKEY_CHILD; then <= CREATE_CHILD; then++)
			for (unsigned arrives = 0; arrives < 2; arrives++) {
				char why[200];
				bool right = used_at_once(seed, then, arrives, why);

				if (!right)
					tap_diag("%s, seed %lu: %s", act_names[then],
						 (unsigned long)seed, why);
				CU_ASSERT_TRUE(right);
			}
}

/* ---- what is to be closed while it is re-keyed --------------------------------------------------
 */

/* All that waits arrives, and what follows. */
static void go_on(struct play *p, uint64_t ns)
{
	p->by_hand = false;
	while (p->num)
		deliver(p, 0);
	sim_run(p->s, p->s->now_ns + ns);
}

/* tun is closed on both sides, as this side was told, and nothing else. */
static void check_closed(const struct play *p, unsigned by, uint64_t seed)
{
	const struct sim_node *n = &p->s->n[by];
	const bool right = pairs(p->s, "tun") == 0 && n->child_down == 1 &&
			   n->last_child_down == IKE_REASON_LOCAL && p->s->n[!by].child_down == 1 &&
			   sim_num_sas(p->s, A) == 1;

	if (!right)
		tap_diag("seed %lu: %u of tun, told %u times, last %s", (unsigned long)seed,
			 pairs(p->s, "tun"), n->child_down, ike_reason_name(n->last_child_down));
	CU_ASSERT_TRUE(right);
}

/* A re-keys the child and is told to close it before it has the answer: that is not undone. */
static void test_S32_closed_while_it_is_rekeyed(void)
{
	struct play p = begin(1);

	wait_for_letters(&p);
	act(p.s, A, REKEY_CHILD);
	act(p.s, A, DELETE_CHILD);
	go_on(&p, QUIET);
	check_closed(&p, A, 1);
	sim_free(p.s);
}

/* The same where the peer's re-key of it crosses ours, and is made: the new pair is to go. */
static void test_S32_closed_while_both_rekey(void)
{
	for (uint64_t seed = 1; seed <= 8; seed++) {
		struct play p = begin(seed);

		wait_for_letters(&p);
		act(p.s, A, REKEY_CHILD);
		act(p.s, B, REKEY_CHILD);
		deliver_of(&p, B);
		act(p.s, A, DELETE_CHILD);
		go_on(&p, QUIET);
		check_closed(&p, A, seed);
		sim_free(p.s);
	}
}

/* The peer closes the old pair first: what A asked for in its place is not to be there either. */
static void test_S32_closed_by_both_while_it_is_rekeyed(void)
{
	struct play p = begin(1);
	struct ike_child *old = child_find(p.s->n[B].e, p.s->n[B].pairs[0].id);

	wait_for_letters(&p);
	act(p.s, A, REKEY_CHILD);
	deliver_of(&p, A);
	act(p.s, A, DELETE_CHILD);
	CU_ASSERT_EQUAL(child_delete(old, IKE_REASON_REPLACED, 0), ERR_OK);
	step_task(old->sa, p.s->now_ns);
	sim_settle(p.s, B);
	deliver(&p, 1); /* its delete overtakes its answer */
	CU_ASSERT_EQUAL(p.s->n[A].child_down, 1);
	go_on(&p, QUIET);
	check_closed(&p, A, 1);
	sim_free(p.s);
}

/* Both re-key; A, told to close the child, has the answer to its own re-key after the peer, whose
 * pair lost, has closed that. */
static void test_S32_closed_by_both_while_both_rekey(void)
{
	unsigned overtaken = 0;

	for (uint64_t seed = 1; seed <= 8; seed++) {
		struct play p = begin(seed);
		unsigned last;

		wait_for_letters(&p);
		act(p.s, A, REKEY_CHILD);
		act(p.s, B, REKEY_CHILD);
		deliver_of(&p, B);
		deliver_of(&p, A);
		act(p.s, A, DELETE_CHILD);
		deliver_of(&p, A); /* B has decided, and closes its own pair if that lost */
		last = first_of(&p, B);
		for (unsigned i = last + 1; i < p.num; i++)
			last = p.queue[i].from == B ? i : last;
		overtaken += last != first_of(&p, B);
		deliver(&p, last);
		go_on(&p, QUIET);
		check_closed(&p, A, seed);
		sim_free(p.s);
	}
	CU_ASSERT(overtaken > 0);
}

/* B has answered A's re-key, and is told to close the child before A has that: it is closed as
 * asked, and not as if the peer had done it. */
static void test_S32_closed_by_who_answered(void)
{
	struct play p = begin(1);

	wait_for_letters(&p);
	act(p.s, A, REKEY_CHILD);
	deliver_of(&p, A);
	act(p.s, B, DELETE_CHILD);
	deliver(&p, 1); /* its delete overtakes its answer */
	deliver_of(&p, A);
	go_on(&p, QUIET);
	check_closed(&p, B, 1);
	sim_free(p.s);
}

/* active - pairs of tun that this side sends on. */
static unsigned active(const struct sim_node *n)
{
	unsigned num = 0;

	for (uint32_t i = 0; i < n->num_pairs; i++)
		num += n->pairs[i].active && n->pairs[i].out && !strcmp(n->pairs[i].name, "tun");
	return num;
}

/* The same where B has no memory to ask that the old pair be closed with the new one: nothing goes
 * by it any more all the same, and the child is told of as gone. */
static void test_S32_closed_without_memory(void)
{
	bool failed = false;

	for (int nth = 1; nth <= 12; nth++) {
		struct play p = begin(1);
		const struct sim_node *b = &p.s->n[B];
		const uint64_t id = b->pairs[0].id;
		const struct ike_child *old;

		wait_for_letters(&p);
		act(p.s, A, REKEY_CHILD);
		deliver_of(&p, A);
		act(p.s, B, DELETE_CHILD);
		deliver(&p, 1);
		alloc_fail_nth(nth);
		deliver_of(&p, A); /* B's pair is closed, and the one before it is not */
		alloc_fail_nth(0);
		old = child_find(b->e, id);
		if (b->child_down && old && old->state == CHILD_INSTALLED) {
			CU_ASSERT_EQUAL(active(b), 0);
			failed = true;
		}
		sim_free(p.s);
	}
	CU_ASSERT_TRUE(failed);
}

/* Nor does it matter that the peer closes the IKE SA first: it was to end as asked here. */
static void test_S32_both_end_it(void)
{
	struct play p = begin(1);

	wait_for_letters(&p);
	act(p.s, A, REKEY_CHILD); /* what A asks next waits */
	act(p.s, A, DELETE_IKE);
	act(p.s, B, DELETE_IKE);
	deliver_of(&p, B);
	CU_ASSERT_EQUAL(sim_num_sas(p.s, A), 0);
	CU_ASSERT_EQUAL(p.s->n[A].last_down, IKE_REASON_LOCAL);
	CU_ASSERT_EQUAL(p.s->n[A].last_child_down, IKE_REASON_LOCAL);
	sim_free(p.s);
}

/* Why an IKE SA ends, and for whom, goes with its end to the one that takes its place. */
static void test_S32_reason_moves(void)
{
	struct play p = begin(1);
	struct ike_sa *sa;

	wait_for_letters(&p);
	act(p.s, A, REKEY_IKE);
	sa = list_entry(p.s->n[A].e->sas.next, struct ike_sa, node);
	sa->reason = IKE_REASON_EXPIRED; /* as with an authentication whose time is over */
	CU_ASSERT_EQUAL(task_need(sa, TASK_IKE_DELETE, 0), ERR_OK);
	go_on(&p, QUIET);
	CU_ASSERT_EQUAL(sim_num_sas(p.s, A) + sim_num_sas(p.s, B), 0);
	CU_ASSERT_EQUAL(p.s->n[A].last_down, IKE_REASON_EXPIRED);
	CU_ASSERT_EQUAL(p.s->n[A].last_child_down, IKE_REASON_EXPIRED);
	sim_free(p.s);
}

/* What replaces the child cannot be installed: it is lost when the old pair goes, and not before.
 */
static void test_S32_lost_with_the_old_pair(void)
{
	struct play p = begin(1);
	const struct sim_node *b = &p.s->n[B];

	wait_for_letters(&p);
	act(p.s, A, REKEY_CHILD);
	deliver_of(&p, A);
	ike_child_failed(b->e, b->pairs[b->num_pairs - 1].id, ERR_NOMEM, p.s->now_ns);
	sim_settle(p.s, B);
	CU_ASSERT_EQUAL(b->child_down, 0);
	go_on(&p, QUIET);
	CU_ASSERT_EQUAL(b->child_down, 1);
	CU_ASSERT_EQUAL(b->last_child_down, IKE_REASON_RESOURCES);
	CU_ASSERT_EQUAL(pairs(p.s, "tun"), 0);
	sim_free(p.s);
}

/* B closes an IKE SA that A does not have yet, and A says that it does not know it: it will. */
static void test_S32_not_known_yet(void)
{
	struct play p = begin(1);
	struct flying asked;

	wait_for_letters(&p);
	act(p.s, A, REKEY_IKE);
	asked = p.queue[first_of(&p, A)];
	deliver_of(&p, A);
	lose_of(&p, B); /* its answer */
	act(p.s, B, DELETE_IKE);
	lose_all(&p, 6 * NS_PER_S); /* until B need not wait for A any more */
	sim_run(p.s, p.s->now_ns + 4 * NS_PER_S);
	deliver_of(&p, B); /* B's delete, said again */
	while (p.num && p.queue[p.num - 1].from != A)
		p.num--;
	deliver(&p, p.num - 1); /* that it is not known */
	p.num = 0;
	sim_inject(p.s, B, asked.bytes, asked.len);
	go_on(&p, QUIET);
	CU_ASSERT_EQUAL(sim_num_sas(p.s, A) + sim_num_sas(p.s, B), 0);
	sim_free(p.s);
}

/* The pair that goes on after all, since what was to replace it was refused, is re-keyed. */
static void test_S32_due_meanwhile(void)
{
	struct play p = begin(1);
	struct sim_node *b = &p.s->n[B];
	uint64_t old = b->pairs[0].id;

	wait_for_letters(&p);
	act(p.s, A, REKEY_CHILD);
	deliver_of(&p, A);
	ike_child_expiring(b->e, old, p.s->now_ns); /* it is being replaced */
	p.s->n[A].refuse_child = true;
	go_on(&p, NS_PER_S);
	p.s->n[A].refuse_child = false;
	CU_ASSERT_EQUAL(pairs(p.s, "tun"), 1);
	CU_ASSERT_EQUAL(b->pairs[0].id, old);
	sim_run(p.s, p.s->now_ns + 20 * NS_PER_S);
	CU_ASSERT_EQUAL(pairs(p.s, "tun"), 1);
	CU_ASSERT_NOT_EQUAL(b->pairs[0].id, old);
	sim_free(p.s);
}

/* However fast a peer re-keys and closes, few pairs linger. */
static void test_S32_few_linger(void)
{
	struct sim *s = up(1);
	uint64_t before;

	sim_run(s, s->now_ns + 6 * NS_PER_S);
	before = s->n[A].rekeyed_child;
	for (unsigned i = 0; i < 3 * CHILDREN_LINGER_MAX; i++) {
		CU_ASSERT_EQUAL(sim_rekey(s, A, "tun"), ERR_OK);
		sim_run(s, s->now_ns + 30 * NS_PER_MS);
	}
	CU_ASSERT_EQUAL(s->n[A].rekeyed_child - before, 3 * CHILDREN_LINGER_MAX);
	CU_ASSERT_TRUE(s->n[B].num_pairs <= CHILDREN_LINGER_MAX + 2);
	sim_free(s);
}

/* closes_none - the deletes of A arrive empty: it keeps, for all that B knows, what it replaced. */
static bool closes_none(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	static struct forge_msg m;

	(void)ctx;
	if (from != A || !forge_open(s, &m, from, bytes, *len) || !m.num ||
	    m.payloads[0].type != PAYLOAD_DELETE)
		return true;
	m.num = 0;
	*len = forge_close(s, &m, from, bytes, *len);
	return true;
}

/* Of three pairs each of which replaced another, the one in the middle is closed first: the oldest
 * goes on being replaced, and its end is not that of the child. */
static void test_S32_middle_is_closed(void)
{
	struct sim *s = up(1);
	struct sim_node *b = &s->n[B];
	uint8_t body[4 + 2 * 4] = {PROTO_ESP, 4, 0, 2}, message[300];
	struct ike_payload p = {.type = PAYLOAD_DELETE, .body = bytes_of(body, sizeof(body))};
	struct ike_sa *sa;
	size_t len;

	sim_run(s, s->now_ns + 6 * NS_PER_S);
	s->tap = closes_none;
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(sim_rekey(s, A, "tun"), ERR_OK);
		sim_run(s, s->now_ns + NS_PER_S);
	}
	s->tap = NULL;
	CU_ASSERT_EQUAL_FATAL(b->num_pairs, 3);
	store_be32(body + 4, b->pairs[1].spi_out);
	store_be32(body + 8, b->pairs[0].spi_out);
	sa = list_entry(s->n[A].e->sas.next, struct ike_sa, node);
	len = forge_bare(s, sa, INFORMATIONAL, IKE_FLAG_INITIATOR, sa->out.x.next_id, &p, 1,
			 message, sizeof(message));
	sim_inject(s, B, message, len);
	sim_run(s, s->now_ns + 10 * NS_PER_S);
	CU_ASSERT_EQUAL(b->child_down, 0);
	CU_ASSERT_EQUAL(b->num_pairs, 1);
	CU_ASSERT_EQUAL(pairs(s, "tun"), 1);
	sim_free(s);
}

/* given_way - the IKE SA of this side's own re-key that gave way to the peer's, or NULL. */
static struct ike_sa *given_way(struct sim *s, unsigned side)
{
	list_for_each (n, &s->n[side].e->sas) {
		struct ike_sa *sa = list_entry(n, struct ike_sa, node);

		if (sa->quiet && sa->initiator && !sa->successor)
			return sa;
	}
	return NULL;
}

/* What lost a collision makes nothing new, whatever its peer asks for: that would have no end. */
static void loser_makes_nothing(enum task_kind kind)
{
	struct play p = begin(1); /* A's stays */
	struct ike_sa *lost;
	struct task *t;
	uint32_t num;

	wait_for_letters(&p);
	act(p.s, A, REKEY_IKE);
	act(p.s, B, REKEY_IKE);
	deliver_of(&p, A); /* each other's request */
	deliver_of(&p, B);
	deliver_of(&p, B); /* B's answer: A has decided */
	deliver_of(&p, A);
	lost = given_way(p.s, B);
	CU_ASSERT_PTR_NOT_NULL_FATAL(lost);
	while ((t = task_next(lost, p.s->now_ns))) /* B does not close it */
		task_free(t);
	lost->quiet = false;
	p.num = 0;
	t = task_new(kind, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	t->child_conf = &lost->conn->children[1];
	task_add(lost, t);
	step_task(lost, p.s->now_ns);
	sim_settle(p.s, B);
	CU_ASSERT_EQUAL_FATAL(p.num, 1);
	num = sim_num_sas(p.s, A);
	deliver(&p, 0);
	CU_ASSERT_EQUAL(p.num, 1);
	CU_ASSERT_EQUAL(sim_num_sas(p.s, A), num);
	CU_ASSERT_EQUAL(pairs(p.s, "two"), 0);
	sim_free(p.s);
}

static void test_S32_loser_makes_nothing(void)
{
	loser_makes_nothing(TASK_IKE_REKEY);
	loser_makes_nothing(TASK_CHILD_NEW);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_S32_rekey_child),
	TAP_TEST(test_S32_delete_child),
	TAP_TEST(test_S32_create_child),
	TAP_TEST(test_S32_rekey_ike),
	TAP_TEST(test_S32_delete_ike),
	TAP_TEST(test_S32_additional_key_exchanges),
	TAP_TEST(test_S32_used_before_it_is_decided),
	TAP_TEST(test_S32_closing),
	TAP_TEST(test_S32_closed_before_it_is_decided),
	TAP_TEST(test_S32_ended_before_it_is_decided),
	TAP_TEST(test_S32_loser_is_closed),
	TAP_TEST(test_S32_nothing_stands_by_for_ever),
	TAP_TEST(test_S32_closed_while_it_is_rekeyed),
	TAP_TEST(test_S32_closed_while_both_rekey),
	TAP_TEST(test_S32_closed_by_both_while_it_is_rekeyed),
	TAP_TEST(test_S32_closed_by_both_while_both_rekey),
	TAP_TEST(test_S32_closed_by_who_answered),
	TAP_TEST(test_S32_closed_without_memory),
	TAP_TEST(test_S32_both_end_it),
	TAP_TEST(test_S32_reason_moves),
	TAP_TEST(test_S32_lost_with_the_old_pair),
	TAP_TEST(test_S32_not_known_yet),
	TAP_TEST(test_S32_due_meanwhile),
	TAP_TEST(test_S32_few_linger),
	TAP_TEST(test_S32_middle_is_closed),
	TAP_TEST(test_S32_loser_makes_nothing),
};

TAP_MAIN("sim/collisions", tests)
