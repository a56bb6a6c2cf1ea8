/* SPDX-License-Identifier: Apache-2.0 */
/*
 * S4, S9: the transition table as a matrix. Every message of a scene with every exchange meets the
 * state that it finds, with every subset of its payloads, with each of them twice, and in other
 * orders. What the table has no row for is refused by INVALID_SYNTAX where it is authentic, is met
 * with silence where anybody can have sent it, and makes no SA; what it has a row for is not
 * refused for its form. At the most verbose log level, so that every line can be written.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "control/ike/handlers.h"
#include "control/ike/intermediate.h"
#include "tests/sim/forge.h"
#include "tests/tap/tap.h"

#define A 0
#define B 1

enum change {
	SUBSET,
	TWICE,
	TURN, /* the last payloads come first */
};

/* struct cell - one message and what is done to it. */
struct cell {
	uint32_t at; /* which datagram, counted from 0 */
	enum change change;
	uint32_t what; /* mask of the payloads that stay, or which one */
	uint32_t seen;
	bool done, response, answered;
	bool in_table; /* a row takes it */
	unsigned to;
	uint8_t exchange;
	enum sa_state state; /* that it meets */
	uint32_t pairs, sas; /* of the receiver before */
	uint64_t until_ns;   /* before anything is sent again */
	uint16_t notify;     /* error in what the receiver says next */
};

/* struct scene - what both sides say of the connection and its child, what is played beyond the
 * first exchanges, and how many messages that takes at least. */
static const struct scene {
	const char *conn, *child;
	bool eap, ppk;
	bool life;        /* all that an IKE SA goes through */
	bool resumed;     /* lost, and begun by a ticket */
	bool redirect;    /* B names another gateway */
	uint32_t subsets; /* of messages from this one: 2 where those of IKE_SA_INIT are as in
			     others */
	uint32_t messages;
} life = {.conn = "encap = no\n mobike = no\n rekey_time = 0s", .life = true, .messages = 18},
  by_eap = {.conn = "mobike = no", .eap = true, .messages = 10},
  by_kes = {.conn = "mobike = no\n proposals = aes128gcm16-prfsha256-x25519-ke1_ecp256-ke2_ecp384",
	    .messages = 8},
  followups = {.conn = "mobike = no\n rekey_time = 0s\n childless = prefer\n"
		       " proposals = aes128gcm16-prfsha256-x25519-ke1_ecp256",
	       .child = "esp_proposals = aes128gcm16-x25519-ke1_ecp256",
	       .life = true,
	       .subsets = 2,
	       .messages = 26},
  by_ticket = {.conn = "mobike = no\n resumption = yes\n " SIM_PPK,
	       .ppk = true,
	       .resumed = true,
	       .subsets = 2,
	       .messages = 8},
  elsewhere = {.conn = "mobike = yes\n follow_redirects = yes\n reauth_time = 1h",
	       .redirect = true,
	       .subsets = 2,
	       .messages = 10};

static const struct scene *scene = &life;

static void beat(struct sim *s)
{
	sim_run(s, s->now_ns + NS_PER_S / 4);
}

static void live(struct sim *s)
{
	(void)!sim_rekey(s, A, "tun");
	beat(s);
	(void)!sim_rekey(s, B, NULL);
	beat(s);
	(void)!sim_terminate(s, B, "tun");
	beat(s);
	(void)!sim_initiate(s, B, "tun");
	beat(s);
	(void)!sim_terminate(s, A, NULL);
	beat(s);
}

static void redirect(struct sim *s)
{
	const struct ike_redirect_params p = {.gateway = "198.51.100.2"};
	uint32_t num;

	(void)!ike_redirect(s->n[B].e, &num, &p, s->now_ns);
	sim_settle(s, B);
	beat(s);
}

static void play(struct sim *s)
{
	(void)!sim_initiate(s, A, "tun");
	beat(s);
	if (scene->life)
		live(s);
	if (scene->redirect)
		redirect(s);
	if (!scene->resumed)
		return;
	forge_lost(s);
	(void)!sim_initiate(s, A, "tun");
	beat(s);
}

/* As what is parsed: forge_open() has the payloads, the table wants bits. */
static uint64_t bits_of(const struct forge_msg *m)
{
	static struct ike_msg msg;

	memset(&msg, 0, sizeof(msg));
	msg.h = m->h;
	msg.num = m->num;
	memcpy(msg.payloads, m->payloads, m->num * sizeof(m->payloads[0]));
	for (uint32_t i = 0; i < m->num; i++)
		msg.present |= PAYLOAD_BIT(m->payloads[i].type);
	return step_bits(&msg);
}

static void keep(struct forge_msg *m, uint32_t mask)
{
	uint32_t num = 0;

	for (uint32_t i = 0; i < m->num; i++)
		if (mask >> i & 1)
			m->payloads[num++] = m->payloads[i];
	m->num = num;
}

/* False: there is nothing more of this kind to do. */
static bool apply(struct cell *c, struct forge_msg *m)
{
	struct ike_payload p[IKE_MAX_PAYLOADS];

	if (c->change == SUBSET) {
		if (c->what >> m->num)
			return false;
		keep(m, c->what);
		return true;
	}
	if (c->what >= m->num)
		return false;
	if (c->change == TWICE) {
		m->payloads[m->num++] = m->payloads[c->what];
		return true;
	}
	memcpy(p, m->payloads, m->num * sizeof(p[0]));
	for (uint32_t i = 0; i < m->num; i++)
		m->payloads[i] = p[(i + c->what) % m->num];
	return true;
}

/* What the table wants to know of an IKE SA that is not authenticated yet. */
static uint64_t keys_of(const struct ike_sa *sa)
{
	if (sa && sa->state >= SA_ESTABLISHED)
		return 0;
	return sa && intermediate_next(sa) ? KEYS_MORE : KEYS_DONE;
}

static void judge(struct cell *c, struct sim *s, const struct forge_msg *m)
{
	struct ike_sa *sa = forge_sa(s, c->to, &m->h);
	const bool twice = c->change == TWICE &&
			   !(PAYLOAD_BIT(m->payloads[c->what].type) & PAYLOAD_REPEATABLE);

	c->response = m->h.flags & IKE_FLAG_RESPONSE;
	if (!sa && c->response) /* the first one: it does not know the other SPI yet */
		sa = sa_by_spi(s->n[c->to].e, m->h.spi_i);
	c->exchange = m->h.exchange;
	c->state = sa ? sa->state : SA_NONE;
	c->in_table = !twice && transition_find(c->state, c->response ? ON_RESPONSE : ON_REQUEST,
						m->h.exchange, sa ? sa->out.x.kind : TASK_NONE,
						bits_of(m) | keys_of(sa)) != NULL;
	c->pairs = s->n[c->to].num_pairs;
	c->sas = s->n[c->to].ike_up + s->n[c->to].rekeyed_ike;
}

/* The error in what the receiver says. */
static void overhear(struct cell *c, struct sim *s, unsigned from, const uint8_t *bytes, size_t len)
{
	struct wire_notify n;
	struct forge_msg m;

	if (from != c->to || c->answered || s->now_ns > c->until_ns ||
	    !forge_open(s, &m, from, bytes, len))
		return;
	c->answered = true;
	for (uint32_t i = 0; i < m.num; i++)
		if (m.payloads[i].type == PAYLOAD_NOTIFY &&
		    !wire_notify_parse(&n, m.payloads[i].body) && n.type < NOTIFY_STATUS_FIRST)
			c->notify = n.type;
}

static uint32_t wrong;

static void check(const struct cell *c, const struct sim *s)
{
	const struct sim_node *n = &s->n[c->to];
	const bool anybody = exchange_is_first(c->exchange);
	bool right = true;

	if (c->in_table)
		right = c->notify != NOTIFY_INVALID_SYNTAX;
	else if (anybody)
		right = !c->answered;
	else if (!c->response || c->exchange == IKE_AUTH) /* an initiator tells (2.21.2) */
		right = c->notify == NOTIFY_INVALID_SYNTAX;
	if (!c->in_table)
		right &= n->num_pairs <= c->pairs && n->ike_up + n->rekeyed_ike == c->sas;
	if (!right && wrong < 20)
		tap_diag("datagram %u, change %d %x: exchange %u %s in %s, in table %d: answered "
			 "%d with %u, %u pairs",
			 c->at, (int)c->change, c->what, c->exchange,
			 c->response ? "response" : "request", sa_state_name(c->state), c->in_table,
			 c->answered, c->notify, n->num_pairs);
	wrong += !right;
}

static void examine(struct sim *s, unsigned arg)
{
	(void)arg;
	check(s->tap_ctx, s);
}

static bool meet(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	static uint8_t out[FORGE_BUF];
	struct cell *c = ctx;
	struct forge_msg m;
	size_t n;

	if (c->done) {
		overhear(c, s, from, bytes, *len);
		return true;
	}
	if (c->seen++ != c->at || !forge_open(s, &m, from, bytes, *len) || !apply(c, &m))
		return true;
	c->to = !from;
	judge(c, s, &m);
	n = forge_close(s, &m, from, out, sizeof(out));
	CU_ASSERT_FATAL(n > 0);
	c->done = true;
	c->until_ns = s->now_ns + NS_PER_S / 10;
	sim_at(s, c->until_ns, examine, 0);
	sim_inject(s, c->to, out, n);
	return false;
}

static size_t lines;

static void count_line(void *ctx, enum log_level level, enum log_subsystem sub, const char *conn,
		       const char *line)
{
	(void)ctx, (void)level, (void)sub, (void)conn;
	lines += strlen(line) > 0;
}

static struct sim *world(void)
{
	struct sim_options opt = {.by_keyring = scene->eap, .sign = scene->eap};

	for (unsigned side = 0; side < 2; side++) {
		const char *child = scene->child ? scene->child : "";

		opt.conf[side] = scene->eap        ? sim_conf_eap(side, scene->conn, child)
				 : scene->redirect ? sim_conf_anywhere(side, scene->conn, child)
						   : sim_conf(side, scene->conn, child);
		if (scene->ppk)
			opt.conf[side] = sim_with_ppk(side, opt.conf[side]);
	}
	return sim_new(1, &opt);
}

/* True if the change was one. */
static bool run(struct cell *c)
{
	static struct log_sink sink = {.write = count_line};
	struct sim *s = world();

	for (unsigned i = 0; i < LOG_NUM_SUBSYSTEMS; i++)
		sink.levels[i] = LOG_DEBUG;
	log_use(&sink);
	s->tap = meet;
	s->tap_ctx = c;
	play(s);
	for (unsigned i = 0; i < 2; i++)
		(void)!sim_terminate(s, i, NULL);
	sim_run(s, s->now_ns + 300 * NS_PER_S);
	CU_ASSERT_TRUE(sim_clean(s, A) && sim_clean(s, B));
	CU_ASSERT_EQUAL(sim_num_sas(s, A) + sim_num_sas(s, B), 0);
	sim_free(s);
	log_use(NULL);
	return c->done;
}

static uint32_t num_messages(void)
{
	struct sim *s = world();
	struct ike_stats a, b;

	play(s);
	ike_stats(s->n[A].e, &a);
	ike_stats(s->n[B].e, &b);
	sim_free(s);
	return (uint32_t)(a.sent + b.sent);
}

static void sweep(enum change change, uint32_t first)
{
	uint32_t num = num_messages(), applied = 0, refused = 0;

	lines = wrong = 0;
	CU_ASSERT_TRUE(num >= scene->messages);
	for (uint32_t at = change == SUBSET ? scene->subsets : 0; at < num; at++)
		for (uint32_t what = first;; what++) {
			struct cell c = {.at = at, .change = change, .what = what};

			if (!run(&c))
				break;
			applied++;
			refused += !c.in_table;
		}
	tap_diag("%u messages, %u cells, %u without a row", num, applied, refused);
	CU_ASSERT_TRUE(applied > num && lines > applied);
	CU_ASSERT_EQUAL(refused > 0, change != TURN);
	CU_ASSERT_EQUAL(wrong, 0);
}

static void test_S4_every_subset(void)
{
	sweep(SUBSET, 0);
}

static void test_S4_every_payload_twice(void)
{
	sweep(TWICE, 0);
}

static void test_S4_every_turn(void)
{
	sweep(TURN, 1);
}

static void sweep_all(const struct scene *of)
{
	scene = of;
	sweep(SUBSET, 0);
	sweep(TWICE, 0);
	sweep(TURN, 1);
	scene = &life;
}

/* Every message of IKE_AUTH in its several rounds. */
static void test_S4_with_eap(void)
{
	sweep_all(&by_eap);
}

/* Every message of IKE_INTERMEDIATE, and of what comes before and after. */
static void test_S4_with_additional_key_exchanges(void)
{
	sweep_all(&by_kes);
}

/* Every message of IKE_FOLLOWUP_KE, and of a child that comes after its IKE SA. */
static void test_S4_with_followups(void)
{
	sweep_all(&followups);
}

/* IKE_SESSION_RESUME, and the names of a PPK. */
static void test_S4_with_a_ticket(void)
{
	sweep_all(&by_ticket);
}

/* What MOBIKE, a redirection and a lifetime of authentication say. */
static void test_S4_with_redirection(void)
{
	sweep_all(&elsewhere);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_S4_every_subset),
	TAP_TEST(test_S4_every_payload_twice),
	TAP_TEST(test_S4_every_turn),
	TAP_TEST(test_S4_with_eap),
	TAP_TEST(test_S4_with_additional_key_exchanges),
	TAP_TEST(test_S4_with_followups),
	TAP_TEST(test_S4_with_a_ticket),
	TAP_TEST(test_S4_with_redirection),
};

TAP_MAIN("sim/matrix", tests)
