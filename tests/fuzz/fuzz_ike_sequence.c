/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_ike_sequence: two peers, the real state machines, and an input that decides what happens:
 * which letter arrives, is lost, comes again or goes back to its sender, cut, with other bits, or
 * authentic with other contents; what is asked of a side, how its asks are answered, when time
 * passes. The first byte chooses the world (choose()); then come steps, a byte and its arguments
 * (step()). Who attacks may have the keys of an IKE SA, but never the shared secret. What must
 *hold:
 *
 *	- a side believes in a handshake only if its peer made the same keys in it (S20), and with
 *	  another secret never;
 *	- nobody has a pair or an established IKE SA without a proof of AUTH, or after a refusal;
 *	- an old message, one that comes back, and one that is not authentic change nothing where
 *	  there are keys (S28, S31); one datagram moves a window by one at most;
 *	- half-open IKE SAs are bounded, in all and by source (S43);
 *	- in the end, with a good wire, all ends, and nothing is left (S12).
 */
#include <stdio.h>
#include <string.h>

#include "control/ike/halfopen.h"
#include "tests/fuzz/peers.h"
#include "tests/sim/forge.h"

/* STEPS_MAX, IDLE_MAX - of one input: fewer SAs than tests/sim has room for. */
#define STEPS_MAX 48
#define IDLE_MAX  (600 * NS_PER_S)
/* PATIENCE - every bound of a state, and the time that a request is repeated for. */
#define PATIENCE (300 * NS_PER_S)
/* HALF_OPEN, PER_SOURCE - limits, small, so that they are met. */
#define HALF_OPEN  6
#define PER_SOURCE 3
#define MET_MAX    64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* struct met - a handshake that a side has keys for. */
struct met {
	uint64_t spi_i, spi_r;
	uint8_t sk_d[64];
	size_t sk_d_len;
};

/* struct play - one run. */
struct play {
	struct peers p;
	struct input in;
	bool strangers; /* the secrets differ */
	bool resuming;  /* a side may lose its IKE SAs and keep the tickets of them */
	struct met met[2][MET_MAX];
	unsigned num_met[2];
	uint64_t idle_ns;
};

static struct play play;

/* ---- the world ----------------------------------------------------------------------------------
 */

/* struct world - what goes into the configurations. */
struct world {
	const char *conn[2], *child, *daemon, *more;
	uint32_t crowd; /* half-open IKE SAs at which cookies are asked for */
};

#define FOLLOWS "encap = no\n mobike = no\n follow_redirects = yes"
#define TICKETS FOLLOWS "\n resumption = yes"

/* From RESUMING on what is lost is resumed. */
#define RESUMING 4

static const struct world worlds[] = {
	{{FOLLOWS, FOLLOWS}, "", "", "", 100},
	{{"proposals = aes256gcm16-prfsha256-ecp256-x25519\n dpd_delay = 20s\n rekey_time = 200s",
	  "proposals = aes256gcm16-prfsha256-x25519\n dpd_delay = 30s\n rekey_time = 250s"},
	 "esp_proposals = aes256gcm16-x25519\n rekey_time = 60s",
	 "",
	 "",
	 2},
	{{"fragmentation = yes", "fragmentation = yes"}, "", "fragment_size = 256", "", 100},
	{{"mobike = no\n encap = no\n proposals = aes256gcm16-prfsha256-x25519-ke1_ecp256",
	  "dpd_delay = 10s\n proposals = aes256gcm16-prfsha256-x25519-ke1_ecp256"},
	 "esp_proposals = aes256gcm16-x25519-ke1_ecp256",
	 "puzzles = always\n puzzle_difficulty = 8",
	 "",
	 1},
	{{TICKETS, TICKETS}, "", "", "", 100},
	{{TICKETS "\n ppk_id = ours\n ppk_required = yes", TICKETS "\n dpd_delay = 10s"},
	 "",
	 "",
	 "secrets { ppk { id = ours\n secret = 0123456789abcdef0123456789abcdef } }",
	 100},
	{{TICKETS "\n proposals = aes256gcm16-prfsha256-x25519-ke1_ecp256\n rekey_time = 200s",
	  TICKETS "\n proposals = aes256gcm16-prfsha256-x25519-ke1_ecp256\n dpd_delay = 20s"},
	 "",
	 "cookies = always",
	 "",
	 1},
	{{TICKETS "\n fragmentation = yes", TICKETS "\n fragmentation = yes\n ppk_id = ours"},
	 "rekey_time = 60s",
	 "fragment_size = 256",
	 "secrets { ppk { id = ours\n secret = 0123456789abcdef0123456789abcdef } }",
	 2},
};

static const char *text_of(const struct world *w, unsigned side)
{
	static const char *texts[ARRAY_LEN(worlds)][2];
	const char **text = &texts[w - worlds][side];
	char child[300], all[5000];

	if (*text)
		return *text;
	snprintf(child, sizeof(child),
		 "%s\n }\n two { local_ts = 10.%u.0.0/16\n remote_ts = 10.%u.0.0/16\n %s", w->child,
		 11 + side, 12 - side, w->child);
	snprintf(all, sizeof(all), "%s latchkey { %s\n }\n %s\n",
		 sim_conf_anywhere(side, w->conn[side], child), w->daemon, w->more);
	*text = peers_text(all);
	return *text;
}

/* Bits of the first byte: 2 world, 1 seed, then the secrets differ, asks are answered by
 * themselves, the peers are up (the ones that can be), one is left out, and a world that resumes.
 */
static void choose(struct play *y, uint8_t bits)
{
	const struct world *w = &worlds[(bits & 3) + (bits & 128 ? RESUMING : 0)];
	const struct ike_limits limits = {.cookie_threshold = w->crowd,
					  .half_open_max = HALF_OPEN,
					  .half_open_per_source = PER_SOURCE};
	struct sim_options opt = {.conf = {text_of(w, 0), text_of(w, 1)},
				  .limits = {limits, limits}};

	y->strangers = bits & 8;
	if (y->strangers)
		opt.secret[1] = "another secret, as long as the first";
	y->num_met[0] = y->num_met[1] = 0;
	y->idle_ns = 0;
	y->resuming = bits & 128;
	peers_begin(&y->p, 1 + (bits >> 2 & 1), &opt);
	for (unsigned side = 0; side < 2; side++)
		y->p.s->n[side].named = sim_addr(!side, 1);
	if (bits & 32 && !y->strangers) {
		must(sim_initiate(y->p.s, 0, "tun") == ERR_OK);
		must(sim_run_until(y->p.s, y->p.s->now_ns + NS_PER_S, sim_up));
		sim_run(y->p.s, y->p.s->now_ns + NS_PER_S / 10);
	}
	y->p.by_hand = true;
	y->p.asks = !(bits & 16);
}

/* ---- what must hold -----------------------------------------------------------------------------
 */

static bool in_handshake(const struct ike_sa *sa)
{
	return sa->state > SA_NONE && sa->state < SA_ESTABLISHED;
}

static struct met *met_find(struct play *y, unsigned side, const struct ike_sa *sa)
{
	for (unsigned i = 0; i < y->num_met[side]; i++) {
		struct met *m = &y->met[side][i];

		if (m->spi_i == sa->spi_i && m->spi_r == sa->spi_r)
			return m;
	}
	return NULL;
}

/* Additional key exchanges renew the keys. So does a PPK, with each side as soon as it knows that
 * the other has it: those before that are compared. */
static void meet(struct play *y, unsigned side, const struct ike_sa *sa)
{
	struct met *m = met_find(y, side, sa);

	must(sa->keys.sk_d.len <= sizeof(m->sk_d));
	if (m && sa->hs->ppk.used)
		return;
	if (m) {
		memcpy(m->sk_d, sa->keys.sk_d.p, sa->keys.sk_d.len);
		return;
	}
	must(y->num_met[side] < MET_MAX);
	m = &y->met[side][y->num_met[side]];
	*m = (struct met){.spi_i = sa->spi_i, .spi_r = sa->spi_r, .sk_d_len = sa->keys.sk_d.len};
	memcpy(m->sk_d, sa->keys.sk_d.p, sa->keys.sk_d.len);
	y->num_met[side]++;
}

/* A handshake of ours came to its end: the peer was in it, and has the same keys. */
static void agreed(struct play *y, unsigned side, const struct ike_sa *sa)
{
	const struct met *ours = met_find(y, side, sa), *peers = met_find(y, !side, sa);

	if (!ours || sa->state < SA_ESTABLISHED || sa->state == SA_DEAD || !sa->was_up)
		return;
	must(peers && ours->sk_d_len == peers->sk_d_len &&
	     !memcmp(ours->sk_d, peers->sk_d, ours->sk_d_len));
}

static void look_at(struct play *y, unsigned side, const struct ike_sa *sa)
{
	if (sa->was_up)
		must(sa->proof && sa->keys.sk_d.len && !y->strangers);
	if (!sa->proof)
		must(list_empty(&sa->children));
	if (in_handshake(sa) && !sa->initiator) /* not with ourselves (S31) */
		must(!sa_by_spi(sa->e, sa->spi_i));
	if (sa->keys.sk_d.len && in_handshake(sa))
		meet(y, side, sa);
}

static void bounded(const struct ike_engine *e)
{
	struct ike_stats st;
	uint32_t num = 0;

	list_for_each (n, &e->sas) {
		const struct ike_sa *sa = list_entry(n, struct ike_sa, node);

		num += sa->source != NULL;
		must(!sa->source || sa->source->num <= PER_SOURCE);
	}
	ike_stats(e, &st);
	must(st.half_open == num && num <= HALF_OPEN);
}

static void look(struct play *y)
{
	struct sim *s = y->p.s;

	for (unsigned side = 0; side < 2; side++)
		list_for_each (n, &s->n[side].e->sas) {
			look_at(y, side, list_entry(n, struct ike_sa, node));
		}
	for (unsigned side = 0; side < 2; side++) {
		list_for_each (n, &s->n[side].e->sas) {
			agreed(y, side, list_entry(n, struct ike_sa, node));
		}
		bounded(s->n[side].e);
		must(!y->strangers || (!s->n[side].ike_up && !s->n[side].num_pairs));
	}
}

/* struct glance - an IKE SA that has keys. */
struct glance {
	uint64_t spi_i, spi_r;
	enum sa_state state;
	uint32_t in, out, children;
	bool busy, waiting;
};

static struct glance glance_of(const struct ike_sa *sa)
{
	struct glance g = {.spi_i = sa->spi_i,
			   .spi_r = sa->spi_r,
			   .state = sa->state,
			   .in = sa->in.x.next_id,
			   .out = sa->out.x.next_id,
			   .busy = sa->in.busy,
			   .waiting = sa->out.waiting};

	list_for_each (n, &sa->children) {
		(void)n;
		g.children++;
	}
	return g;
}

/* All of a side but those that any datagram may move: who closes one may be spared the delete by a
 * message without proof, and what waits for its turn may begin now. */
static unsigned glance(struct play *y, unsigned side, struct glance out[MET_MAX])
{
	unsigned num = 0;

	list_for_each (n, &y->p.s->n[side].e->sas) {
		const struct ike_sa *sa = list_entry(n, struct ike_sa, node);

		if (sa->open && sa->state != SA_DELETING && list_empty(&sa->tasks) && num < MET_MAX)
			out[num++] = glance_of(sa);
	}
	return num;
}

static bool same_glance(const struct glance *a, const struct glance *b)
{
	return a->state == b->state && a->in == b->in && a->out == b->out &&
	       a->children == b->children && a->busy == b->busy && a->waiting == b->waiting;
}

/* enum worth - what may come of a datagram. */
enum worth {
	NOTHING, /* no IKE SA with keys may change */
	ONE_STEP /* each window moves by one at most */
};

/* A datagram whose number is not the one that its IKE SA expects. */
static bool is_old(struct play *y, unsigned to, const uint8_t *bytes, size_t len)
{
	struct ike_header h;
	const struct ike_sa *sa;

	if (ike_header_parse(&h, bytes_of(bytes, len)) || exchange_is_first(h.exchange))
		return false;
	sa = forge_sa(y->p.s, to, &h);
	if (!sa || sa->initiator == !!(h.flags & IKE_FLAG_INITIATOR))
		return true; /* of no IKE SA, or of its receiver */
	if (h.flags & IKE_FLAG_RESPONSE)
		return !sa->out.waiting || h.msgid != sa->out.x.next_id;
	return sa->in.busy || h.msgid != sa->in.x.next_id;
}

static void compare(struct play *y, unsigned to, const struct glance *before, unsigned num,
		    enum worth worth)
{
	struct glance after[MET_MAX];
	unsigned num_after = glance(y, to, after);

	for (unsigned i = 0; i < num; i++) {
		const struct glance *b = &before[i], *a = NULL;

		for (unsigned j = 0; j < num_after && !a; j++)
			if (after[j].spi_i == b->spi_i && after[j].spi_r == b->spi_r)
				a = &after[j];
		must(a || worth != NOTHING);
		if (!a)
			continue;
		must(worth != NOTHING || same_glance(a, b));
		must(a->in == b->in || a->in == b->in + 1);
		must(a->out == b->out || a->out == b->out + 1);
	}
}

static void deliver(struct play *y, unsigned to, const struct path_addr *path, const uint8_t *bytes,
		    size_t len, enum worth worth)
{
	struct glance before[MET_MAX];
	unsigned num = glance(y, to, before);

	if (is_old(y, to, bytes, len))
		worth = NOTHING;
	sim_deliver(y->p.s, to, path, bytes, len);
	compare(y, to, before, num, worth);
	look(y);
}

/* ---- steps with letters -------------------------------------------------------------------------
 */

static void arrive(struct play *y, struct letter *l)
{
	if (!l)
		return;
	l->waiting = false;
	deliver(y, !l->from, &l->path, l->bytes, l->len, ONE_STEP);
}

static struct path_addr back(const struct path_addr *p)
{
	struct path_addr r = *p;

	r.local = p->remote;
	r.remote = p->local;
	return r;
}

/* Anybody can do these: the letter comes again, goes back, is cut, has other bits. */
static void bend(struct play *y, struct letter *l, unsigned how)
{
	struct letter other;
	struct path_addr reverse;
	const uint8_t a = take(&y->in), b = take(&y->in);
	enum worth worth;

	if (!l)
		return;
	other = *l;
	worth = l->len > 18 && !exchange_is_first(l->bytes[18]) ? NOTHING : ONE_STEP;
	switch (how) {
	case 0:
		deliver(y, !l->from, &other.path, other.bytes, other.len, ONE_STEP);
		return;
	case 1:
		reverse = back(&l->path);
		deliver(y, l->from, &reverse, other.bytes, other.len, NOTHING);
		return;
	case 2:
		other.len = (size_t)(a << 8 | b) % l->len;
		break;
	default:
		other.bytes[(size_t)(a << 3 | b >> 5) % l->len] ^= (uint8_t)(1u << (b & 7));
		if (b & 8) /* the header is where the decisions are */
			other.bytes[a % IKE_HEADER_LEN] ^= (uint8_t)(b >> 4 | 1);
		break;
	}
	/* Two bits that were one: it is the letter. */
	if (other.len == l->len && memcmp(other.bytes, l->bytes, l->len) == 0)
		worth = ONE_STEP;
	deliver(y, !l->from, &other.path, other.bytes, other.len, worth);
}

static struct letter *last_opening(struct play *y)
{
	for (unsigned i = 0; i < y->p.num_letters && i < LETTERS_MAX; i++) {
		struct letter *l = peers_any(&y->p, i);

		if (l->len > IKE_HEADER_LEN && exchange_is_first(l->bytes[18]) &&
		    !(l->bytes[19] & IKE_FLAG_RESPONSE))
			return l;
	}
	return NULL;
}

/* Many senders, or one of many addresses, begin with the same first message under other SPIs. */
static void stranger(struct play *y, unsigned which)
{
	struct letter *l = last_opening(y), other;
	const uint8_t a = take(&y->in);

	if (!l)
		return;
	other = *l;
	other.bytes[0] = (uint8_t)(a | 1);
	other.path.remote.addr.b[3] = (uint8_t)(which | 4);
	deliver(y, !l->from, &other.path, other.bytes, other.len, NOTHING);
}

/* ---- steps of somebody who has the keys ---------------------------------------------------------
 */

static void remove_payload(struct forge_msg *m, uint32_t at)
{
	for (uint32_t i = at; i + 1 < m->num; i++)
		m->payloads[i] = m->payloads[i + 1];
	m->num--;
}

static void add_payload(struct forge_msg *m, const struct ike_payload *p)
{
	if (m->num < IKE_MAX_PAYLOADS)
		m->payloads[m->num++] = *p;
}

/* A payload of another letter. The message borrows from *from. */
static void splice(struct play *y, struct forge_msg *m, struct forge_msg *from, uint32_t at,
		   uint8_t which)
{
	const struct letter *l = peers_any(&y->p, which);

	if (!l || !forge_open(y->p.s, from, l->from, l->bytes, l->len) || !from->num)
		return;
	if (m->num && which & 128)
		m->payloads[at % m->num] = from->payloads[at % from->num];
	else
		add_payload(m, &from->payloads[at % from->num]);
}

/* A notify of this type with what the input says. */
static struct ike_payload notify(struct play *y, uint8_t buf[64], uint8_t type)
{
	static const uint16_t types[] = {
		NOTIFY_UNSUPPORTED_CRITICAL_PAYLOAD,
		NOTIFY_INVALID_SYNTAX,
		NOTIFY_NO_PROPOSAL_CHOSEN,
		NOTIFY_INVALID_KE_PAYLOAD,
		NOTIFY_AUTHENTICATION_FAILED,
		NOTIFY_NO_ADDITIONAL_SAS,
		NOTIFY_TS_UNACCEPTABLE,
		NOTIFY_TEMPORARY_FAILURE,
		NOTIFY_CHILD_SA_NOT_FOUND,
		NOTIFY_INITIAL_CONTACT,
		NOTIFY_COOKIE,
		NOTIFY_REKEY_SA,
		NOTIFY_MOBIKE_SUPPORTED,
		NOTIFY_ADDITIONAL_IP4_ADDRESS,
		NOTIFY_UPDATE_SA_ADDRESSES,
		NOTIFY_COOKIE2,
		NOTIFY_INVALID_SPI,
		NOTIFY_QUICK_CRASH_DETECTION,
		NOTIFY_AUTH_LIFETIME,
		NOTIFY_REDIRECT,
		NOTIFY_ADDITIONAL_KEY_EXCHANGE,
	};
	size_t len = 4 + (type >> 3);

	memset(buf, 0, 64);
	store_be16(buf + 2, types[type % ARRAY_LEN(types)]);
	for (size_t i = 4; i < len; i++)
		buf[i] = take(&y->in);
	return (struct ike_payload){.type = PAYLOAD_NOTIFY, .body = bytes_of(buf, len)};
}

/* enum edit - what becomes of an opened message. */
enum edit {
	EDIT_OMIT,
	EDIT_DOUBLE,
	EDIT_SWAP,
	EDIT_CUT,
	EDIT_FLIP,
	EDIT_RETYPE,
	EDIT_SPLICE,
	EDIT_NOTIFY,
	EDIT_EXCHANGE,
	EDIT_NUMBER,
	EDIT_FLAGS,
	NUM_EDITS
};

static void edit_payload(struct forge_msg *m, enum edit how, uint32_t at, uint8_t v)
{
	struct ike_payload *p = &m->payloads[at], *q = &m->payloads[v % m->num], old = *p;

	if (how == EDIT_OMIT)
		remove_payload(m, at);
	else if (how == EDIT_DOUBLE)
		add_payload(m, &old);
	else if (how == EDIT_CUT)
		p->body.len = p->body.len * v / 256;
	else if (how == EDIT_RETYPE)
		p->type = v;
	else if (how == EDIT_FLIP && p->body.len)
		m->buf[(size_t)(p->body.p - m->buf) + (v >> 3) % p->body.len] ^=
			(uint8_t)(1u << (v & 7));
	else if (how == EDIT_SWAP) {
		*p = *q;
		*q = old;
	}
}

static void edit_header(struct forge_msg *m, enum edit how, uint8_t v)
{
	static const uint8_t exchanges[] = {IKE_AUTH, CREATE_CHILD_SA, INFORMATIONAL,
					    IKE_INTERMEDIATE, IKE_FOLLOWUP_KE};

	if (how == EDIT_EXCHANGE)
		m->h.exchange = exchanges[v % ARRAY_LEN(exchanges)];
	else if (how == EDIT_NUMBER)
		m->h.msgid += (uint32_t)(int8_t)v;
	else if (how == EDIT_FLAGS)
		m->h.flags ^= v;
}

/* The letter with another content, authentic. */
static void forge(struct play *y, struct letter *l)
{
	static struct forge_msg m, from;
	static uint8_t out[FORGE_BUF];
	uint8_t buf[64], edits = take(&y->in) % 4 + 1;
	struct ike_payload p;
	size_t len;

	if (!l || !forge_open(y->p.s, &m, l->from, l->bytes, l->len))
		return;
	while (edits--) {
		enum edit how = take(&y->in) % NUM_EDITS;
		const uint8_t at = take(&y->in), v = take(&y->in);

		if (how == EDIT_SPLICE) {
			splice(y, &m, &from, at, v);
			edits = 0; /* m borrows from it */
		} else if (how == EDIT_NOTIFY) {
			p = notify(y, buf, v);
			add_payload(&m, &p);
			edits = 0;
		} else if (how >= EDIT_EXCHANGE) {
			edit_header(&m, how, v);
		} else if (m.num) {
			edit_payload(&m, how, at % m.num, v);
		}
	}
	len = forge_close(y->p.s, &m, l->from, out, sizeof(out));
	if (!len)
		return;
	l->waiting = false;
	deliver(y, !l->from, &l->path, out, len, ONE_STEP);
}

/* A message of a side that it never made: its payloads are bytes of the input. */
static void invent(struct play *y)
{
	static const uint8_t exchanges[] = {IKE_AUTH, CREATE_CHILD_SA, INFORMATIONAL,
					    IKE_FOLLOWUP_KE};
	static uint8_t out[FORGE_BUF], bodies[4][64];
	const uint8_t who = take(&y->in), what = take(&y->in);
	const unsigned side = who & 1;
	const bool response = what & 4;
	struct ike_sa *sa = peers_sa(&y->p, side, who >> 1), *peers;
	struct ike_payload p[4];
	struct ike_header h;
	size_t len;

	for (unsigned i = 0; i < (what >> 3 & 3); i++) {
		uint8_t type = take(&y->in), n = take(&y->in) % 40;

		if (type == PAYLOAD_NOTIFY) {
			p[i] = notify(y, bodies[i], n * 7);
			continue;
		}
		for (unsigned j = 0; j < n; j++)
			bodies[i][j] = take(&y->in);
		p[i] = (struct ike_payload){.type = type, .body = bytes_of(bodies[i], n)};
	}
	if (!sa || !sa->seal)
		return;
	h = (struct ike_header){.spi_i = sa->spi_i, .spi_r = sa->spi_r};
	peers = forge_sa(y->p.s, !side, &h);
	if (!peers)
		return;
	len = forge_bare(y->p.s, sa, exchanges[what & 3], response ? IKE_FLAG_RESPONSE : 0,
			 response ? peers->out.x.next_id : peers->in.x.next_id, p, what >> 3 & 3,
			 out, sizeof(out));
	if (len)
		deliver(y, !side, &peers->path, out, len, ONE_STEP);
}

/* ---- steps of the two sides ---------------------------------------------------------------------
 */

static void begin(struct play *y, uint8_t arg)
{
	static const char *const children[] = {"tun", "two", NULL, "tun"};
	const unsigned side = arg & 1;
	const char *child = children[arg >> 1 & 3];
	struct sim *s = y->p.s;
	struct sim_node *n = &s->n[side];
	const uint64_t pair = n->num_pairs ? n->pairs[(arg >> 6) % n->num_pairs].id : 0;

	switch (arg >> 3 & 7) {
	case 0:
	case 1:
		if (y->resuming && arg & 8)
			forge_lost(s);
		else
			(void)!sim_initiate(s, side, child);
		break;
	case 2:
		if ((arg >> 1 & 3) == 3)
			(void)!sim_redirect(s, side, arg >> 6 ? "gw.example" : "192.0.2.77");
		else
			(void)!sim_rekey(s, side, child);
		break;
	case 3:
		(void)!sim_terminate(s, side, child);
		break;
	case 4:
		sim_have(s, side, 1u << (arg >> 6 & 1) | (arg & 2), arg >> 6 & 1);
		sim_have(s, !side, 3, 0);
		break;
	case 5:
		ike_child_used(n->e, pair, s->now_ns);
		break;
	case 6:
		ike_child_expiring(n->e, pair, s->now_ns);
		break;
	default:
		ike_child_expired(n->e, pair, s->now_ns);
		break;
	}
	sim_settle(s, side);
	look(y);
}

static uint32_t established(struct sim *s, unsigned side)
{
	uint32_t num = 0;

	list_for_each (n, &s->n[side].e->sas) {
		num += list_entry(n, struct ike_sa, node)->was_up;
	}
	return num;
}

static void answer(struct play *y, uint8_t arg)
{
	struct peers *p = &y->p;
	struct sim *s = p->s;
	const bool allow = (arg & 7) != 7;
	struct question q;
	uint32_t pairs, up;

	if (!peers_question(p, &q, arg >> 3))
		return;
	pairs = s->n[q.side].num_pairs;
	up = established(s, q.side);
	sim_answer(s, q.side, q.id, q.kind, allow);
	if (!allow) {
		must(s->n[q.side].num_pairs <= pairs);
		must(q.kind == IKE_ASK_CHILD_ACCEPT || established(s, q.side) <= up);
	}
	look(y);
}

static void pass_time(struct play *y, uint64_t ns)
{
	y->idle_ns += ns;
	if (y->idle_ns > IDLE_MAX)
		return;
	sim_run(y->p.s, y->p.s->now_ns + ns);
	look(y);
}

/* All is well for a while: up to num letters arrive, and the asks are answered. */
static void go_on(struct play *y, unsigned num)
{
	while (num-- && (peers_waiting(&y->p) || y->p.num_questions)) {
		if (y->p.num_questions)
			answer(y, 0);
		else
			arrive(y, peers_pick(&y->p, 0));
		pass_time(y, NS_PER_MS);
	}
}

enum kind {
	ARRIVE,
	GO_ON,
	LOSE,
	BEND,
	STRANGER,
	FORGE,
	INVENT,
	BEGIN,
	ANSWER,
	TIME,
	NUM_KINDS
};

static void step(struct play *y)
{
	const uint8_t byte = take(&y->in), which = byte / NUM_KINDS;
	struct letter *l;

	switch ((enum kind)(byte % NUM_KINDS)) {
	case ARRIVE:
		arrive(y, peers_pick(&y->p, which));
		break;
	case GO_ON:
		go_on(y, which);
		break;
	case LOSE:
		l = peers_pick(&y->p, which);
		if (l)
			l->waiting = false;
		break;
	case BEND:
		bend(y, peers_any(&y->p, which >> 2), which & 3);
		break;
	case STRANGER:
		stranger(y, which);
		break;
	case FORGE:
		forge(y, peers_any(&y->p, which));
		break;
	case INVENT:
		invent(y);
		break;
	case BEGIN:
		begin(y, take(&y->in));
		break;
	case ANSWER:
		answer(y, which);
		break;
	case TIME:
	case NUM_KINDS:
		pass_time(y, NS_PER_MS << which % 18);
		break;
	}
	if (!y->p.asks)
		pass_time(y, NS_PER_MS);
}

/* ---- the end ------------------------------------------------------------------------------------
 */

static bool all_gone(struct sim *s)
{
	return sim_clean(s, 0) && sim_clean(s, 1) && !sim_num_sas(s, 0) && !sim_num_sas(s, 1);
}

static void end(struct play *y)
{
	struct sim *s = y->p.s;

	y->p.by_hand = y->p.asks = false;
	(void)!sim_terminate(s, 0, NULL);
	(void)!sim_terminate(s, 1, NULL);
	must(sim_run_until(s, s->now_ns + PATIENCE, all_gone));
	look(y);
	peers_end(&y->p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	play.in = (struct input){.p = data, .len = len};
	choose(&play, take(&play.in));
	for (unsigned i = 0; i < STEPS_MAX && play.in.len; i++)
		step(&play);
	end(&play);
	return 0;
}
