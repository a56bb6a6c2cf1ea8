/* SPDX-License-Identifier: Apache-2.0 */
/* client.c - the RADIUS client: see control/radius.h. */
#include "control/radius.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/reader.h"
#include "base/secret.h"
#include "base/timers.h"
#include "control/auth/eap/packet.h"
#include "control/auth/radius/packet.h"

static_assert(RADIUS_DATAGRAM_MAX == RADIUS_PACKET_MAX && RADIUS_TOKEN_MAX == 5 + RADIUS_VALUE_MAX,
	      "the same");

/* EXCHANGES_MAX - requests under way. IDS - identifiers of a server's port (RFC 2865 3). TICK_NS -
 * no timer is later than that. */
#define EXCHANGES_MAX 1024
#define IDS           256
#define TICK_NS       (10 * NS_PER_MS)

/* Of RFC 2865 5.6, 5.12, 5.41: a port that exists only here, and what EAP packets may be long. */
#define SERVICE_FRAMED 2
#define PORT_VIRTUAL   5
#define FRAMED_MTU     1400

/* STATION_MAX - room for an endpoint's text. */
#define STATION_MAX 64

/* struct server - one server. */
struct server {
	char name[RADIUS_NAME_MAX];
	struct endpoint addr;
	struct secret secret;
	struct exchange *by_id[IDS]; /* under way; NULL: the identifier is free */
	uint8_t next_id;
	uint32_t num_busy;
	uint64_t down_until_ns; /* it did not answer; 0 = it did */
	uint64_t answered_ns;   /* last proven answer */
	struct radius_stats stats;
};

/* struct exchange - one request: in `waiting` for an identifier, in `busy`, in `done`, then the one
 * that was taken last. */
struct exchange {
	struct list_node node, send; /* send: in `out` while it is to be sent */
	struct radius *r;
	struct timer timer;
	uint64_t id, begun_ns, interval_ns;
	uint64_t asked_ns; /* first sent to this server */
	uint8_t eap[EAP_PACKET_MAX], name[RADIUS_VALUE_MAX], state[RADIUS_VALUE_MAX];
	size_t eap_len, name_len, state_len;
	char called[STATION_MAX], calling[STATION_MAX];
	bool bound;             /* the conversation has its server already */
	bool placed;            /* it has an identifier */
	uint32_t server, tried; /* tried: bits of those that said nothing */
	uint32_t tries, wrong;  /* wrong: answers that were not proven */
	uint8_t radius_id, authenticator[RADIUS_AUTHENTICATOR_LEN];
	uint8_t packet[RADIUS_PACKET_MAX];
	size_t packet_len;
	struct radius_answer answer;
	uint8_t token[RADIUS_TOKEN_MAX];
	struct secret msk;
	char why[RADIUS_WHY_MAX];
};

struct radius {
	struct crypto_ctx *crypto;
	struct timers timers;
	struct server servers[RADIUS_SERVERS_MAX];
	uint32_t num_servers, generation;
	char nas[RADIUS_VALUE_MAX + 1];
	uint64_t timeout_ns;
	uint32_t tries, num_exchanges;
	struct list_node waiting, busy, done, out;
	struct exchange *taken;
};

enum err radius_new(struct radius **out, const struct rng *rng, uint64_t now_ns)
{
	struct radius *r = mem_alloc(sizeof(*r));
	enum err e;

	if (!r)
		return ERR_NOMEM;
	e = crypto_ctx_new(&r->crypto, rng);
	if (e) {
		mem_free(r);
		return e;
	}
	timers_init(&r->timers, TICK_NS, now_ns);
	list_init(&r->waiting);
	list_init(&r->busy);
	list_init(&r->done);
	list_init(&r->out);
	*out = r;
	return ERR_OK;
}

/* It has no identifier any more, and is not sent. */
static void release(struct exchange *x)
{
	struct radius *r = x->r;

	timer_cancel(&r->timers, &x->timer);
	list_remove(&x->send);
	if (!x->placed)
		return;
	r->servers[x->server].by_id[x->radius_id] = NULL;
	r->servers[x->server].num_busy--;
	x->placed = false;
}

static void exchange_free(struct exchange *x)
{
	if (!x)
		return;
	release(x);
	x->r->num_exchanges--;
	secret_fini(&x->msk);
	secret_wipe(x, sizeof(*x));
	mem_free(x);
}

static void servers_fini(struct radius *r)
{
	for (uint32_t i = 0; i < r->num_servers; i++)
		secret_fini(&r->servers[i].secret);
	memset(r->servers, 0, sizeof(r->servers));
	r->num_servers = 0;
}

static void free_list(struct list_node *list)
{
	list_for_each_safe (n, list) {
		list_remove(n);
		exchange_free(list_entry(n, struct exchange, node));
	}
}

void radius_free(struct radius *r)
{
	if (!r)
		return;
	free_list(&r->waiting);
	free_list(&r->busy);
	free_list(&r->done);
	exchange_free(r->taken);
	servers_fini(r);
	crypto_ctx_free(r->crypto);
	mem_free(r);
}

/* ---- what becomes of a request --------------------------------------------------------------- */

/* The answer is known: radius_answer_next() tells it. */
static void finish(struct exchange *x, enum radius_outcome outcome)
{
	release(x);
	list_remove(&x->node);
	list_push_back(&x->r->done, &x->node);
	x->answer.id = x->id;
	x->answer.outcome = outcome;
	x->answer.why = x->why;
}

static void fail(struct exchange *x, const char *why)
{
	snprintf(x->why, sizeof(x->why), "%s", why);
	finish(x, RADIUS_FAILED);
}

static void write_request(struct writer *w, const struct exchange *x)
{
	const struct radius *r = x->r;

	radius_request_begin(w, x->radius_id, x->authenticator);
	radius_put(w, RADIUS_USER_NAME, bytes_of(x->name, x->name_len));
	radius_put(w, RADIUS_NAS_IDENTIFIER, bytes_of(r->nas, strlen(r->nas)));
	radius_put_u32(w, RADIUS_NAS_PORT_TYPE, PORT_VIRTUAL);
	radius_put_u32(w, RADIUS_SERVICE_TYPE, SERVICE_FRAMED);
	radius_put_u32(w, RADIUS_FRAMED_MTU, FRAMED_MTU);
	if (x->called[0])
		radius_put(w, RADIUS_CALLED_STATION_ID, bytes_of(x->called, strlen(x->called)));
	if (x->calling[0])
		radius_put(w, RADIUS_CALLING_STATION_ID, bytes_of(x->calling, strlen(x->calling)));
	if (x->state_len)
		radius_put(w, RADIUS_STATE, bytes_of(x->state, x->state_len));
	radius_put_eap(w, bytes_of(x->eap, x->eap_len));
}

static void send_out(struct exchange *x, uint64_t now_ns)
{
	struct radius *r = x->r;
	const uint64_t end_ns = x->begun_ns + RADIUS_BUDGET_NS;

	x->tries++;
	r->servers[x->server].stats.sent++;
	if (!list_linked(&x->send))
		list_push_back(&r->out, &x->send);
	timer_set(&r->timers, &x->timer,
		  now_ns + x->interval_ns < end_ns ? now_ns + x->interval_ns : end_ns);
	x->interval_ns += x->interval_ns / 2;
}

/* Each server has an identifier, an authenticator and a Message-Authenticator of its own. */
static void ask(struct exchange *x, uint32_t server, uint64_t now_ns)
{
	struct radius *r = x->r;
	struct server *s = &r->servers[server];
	struct bytes packet;
	struct writer w;
	enum err e;

	while (s->by_id[s->next_id])
		s->next_id++;
	x->server = server;
	x->radius_id = s->next_id++;
	s->by_id[x->radius_id] = x;
	s->num_busy++;
	x->placed = true;
	x->tries = 0;
	x->interval_ns = r->timeout_ns;
	x->asked_ns = now_ns;
	writer_init(&w, x->packet, sizeof(x->packet));
	e = rng_fill(crypto_ctx_rng(r->crypto), x->authenticator, sizeof(x->authenticator));
	if (!e)
		write_request(&w, x);
	if (!e)
		e = radius_request_finish(r->crypto, &packet, &w,
					  bytes_of(s->secret.p, s->secret.len));
	if (e) {
		fail(x, e == ERR_FULL ? "the client's EAP packet is too long for RADIUS"
				      : err_text(e));
		return;
	}
	x->packet_len = packet.len;
	list_remove(&x->node);
	list_push_back(&r->busy, &x->node);
	send_out(x, now_ns);
}

/* The first that has not been asked, of those that answered last time if there is one; num_servers:
 * none is left. */
static uint32_t choose(const struct exchange *x, uint64_t now_ns)
{
	const struct radius *r = x->r;
	uint32_t down = r->num_servers;

	if (x->bound)
		return x->tried ? r->num_servers : x->server;
	for (uint32_t i = 0; i < r->num_servers; i++) {
		if (x->tried & 1u << i)
			continue;
		if (r->servers[i].down_until_ns <= now_ns)
			return i;
		if (down == r->num_servers)
			down = i;
	}
	return down;
}

static void fail_silent(struct exchange *x)
{
	const struct radius *r = x->r;
	const struct server *s = &r->servers[x->server];
	char addr[ENDPOINT_TEXT_MAX];

	endpoint_text(addr, &s->addr);
	x->answer.silent = true;
	if (x->wrong)
		snprintf(x->why, sizeof(x->why),
			 "what came from the RADIUS server %s at %s was not proven by its secret: "
			 "is that in `secrets.radius` the server's, and does the server send "
			 "Message-Authenticator?",
			 s->name, addr);
	else
		snprintf(
			x->why, sizeof(x->why),
			"no answer from the RADIUS server %s at %s%s: is it there, and has it this "
			"host among its clients, with the same secret?",
			s->name, addr, x->bound || r->num_servers == 1 ? "" : ", the last of all");
	finish(x, RADIUS_FAILED);
}

/* Where there is a server but no identifier it waits until one is free. */
static void place(struct exchange *x, uint64_t now_ns)
{
	struct radius *r = x->r;
	const uint32_t server = choose(x, now_ns);

	if (server == r->num_servers || now_ns - x->begun_ns >= RADIUS_BUDGET_NS) {
		fail_silent(x);
		return;
	}
	if (r->servers[server].num_busy < IDS) {
		ask(x, server, now_ns);
		return;
	}
	list_remove(&x->node);
	list_push_back(&r->waiting, &x->node);
	timer_set(&r->timers, &x->timer, x->begun_ns + RADIUS_BUDGET_NS);
}

static void place_waiting(struct radius *r, uint64_t now_ns)
{
	list_for_each_safe (n, &r->waiting) {
		struct exchange *x = list_entry(n, struct exchange, node);

		const uint32_t server = choose(x, now_ns);

		if (server == r->num_servers || r->servers[server].num_busy < IDS)
			place(x, now_ns);
	}
}

/* One that answers others is there: what it drops is for the client to answer for, and moves nobody
 * else to another server. */
static void note_silence(struct server *s, const struct exchange *x, uint64_t now_ns)
{
	char addr[ENDPOINT_TEXT_MAX];

	s->stats.silent++;
	if (s->answered_ns >= x->asked_ns)
		return;
	if (s->down_until_ns <= now_ns)
		LOG(WARN, IKE, NULL,
		    "the RADIUS server %s at %s does not answer: others are asked first", s->name,
		    endpoint_text(addr, &s->addr));
	s->down_until_ns = now_ns + RADIUS_DOWN_NS;
}

static void give_up_server(struct exchange *x, uint64_t now_ns)
{
	note_silence(&x->r->servers[x->server], x, now_ns);
	x->tried |= 1u << x->server;
	release(x);
	place(x, now_ns);
}

static void due(struct timer *t, uint64_t now_ns)
{
	struct exchange *x = container_of(t, struct exchange, timer);
	struct radius *r = x->r;

	if (!x->placed)
		fail(x, "too many requests wait for the RADIUS servers");
	else if (x->tries >= r->tries || now_ns - x->begun_ns >= RADIUS_BUDGET_NS)
		give_up_server(x, now_ns);
	else
		send_out(x, now_ns);
	place_waiting(r, now_ns);
}

/* ---- servers --------------------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
	return bytes_equal(bytes_of(a, strlen(a)), bytes_of(b, strlen(b)));
}

static bool is_same(const struct radius *r, const struct radius_config *c)
{
	bool same = r->num_servers == c->num_servers && r->timeout_ns == c->timeout_ns &&
		    r->tries == c->tries && same_text(r->nas, c->nas);

	for (uint32_t i = 0; same && i < c->num_servers; i++) {
		const struct radius_server *s = &c->servers[i];
		const struct secret *secret = &r->servers[i].secret;

		same = same_text(r->servers[i].name, s->name) &&
		       bytes_equal(bytes_of(&r->servers[i].addr, sizeof(s->addr)),
				   bytes_of(&s->addr, sizeof(s->addr))) &&
		       secret_equal(secret->p, secret->len, s->secret.p, s->secret.len);
	}
	return same;
}

static void fail_all(struct list_node *list)
{
	list_for_each_safe (n, list) {
		fail(list_entry(n, struct exchange, node),
		     "the RADIUS servers were changed: it may try again");
	}
}

enum err radius_configure(struct radius *r, const struct radius_config *config, uint64_t now_ns)
{
	if (is_same(r, config))
		return ERR_OK;
	(void)timers_run(&r->timers, now_ns);
	fail_all(&r->waiting);
	fail_all(&r->busy);
	servers_fini(r);
	r->generation++;
	r->timeout_ns = config->timeout_ns;
	r->tries = config->tries;
	snprintf(r->nas, sizeof(r->nas), "%s", config->nas);
	for (uint32_t i = 0; i < config->num_servers && i < RADIUS_SERVERS_MAX; i++) {
		const struct radius_server *from = &config->servers[i];
		struct server *s = &r->servers[i];

		if (secret_init_copy(&s->secret, from->secret.p, from->secret.len)) {
			servers_fini(r);
			return ERR_NOMEM;
		}
		memcpy(s->name, from->name, sizeof(s->name));
		s->addr = from->addr;
		r->num_servers++;
	}
	return ERR_OK;
}

const struct endpoint *radius_server_addr(const struct radius *r, uint32_t server)
{
	return server < r->num_servers ? &r->servers[server].addr : NULL;
}

void radius_stats(const struct radius *r, uint32_t server, struct radius_stats *out)
{
	*out = server < r->num_servers ? r->servers[server].stats : (struct radius_stats){0};
}

/* ---- conversations --------------------------------------------------------------------------- */

/* What leads a conversation back: which servers were there, which of them it was, and what that one
 * wants to see again (RFC 2865 5.24). */
static void write_token(struct exchange *x, struct bytes state)
{
	struct writer w;

	writer_init(&w, x->token, sizeof(x->token));
	writer_u32(&w, x->r->generation);
	writer_u8(&w, (uint8_t)x->server);
	writer_bytes(&w, state.p, state.len);
	if (writer_finish(&w, &x->answer.token))
		x->answer.token = bytes_of(NULL, 0);
}

/* Errors: BAD_STATE. */
static enum err read_token(struct exchange *x, struct bytes token)
{
	struct bytes state;
	struct reader in;
	uint32_t generation;
	uint8_t server;

	if (!token.len)
		return ERR_OK;
	reader_init(&in, token.p, token.len);
	if (reader_u32(&in, &generation) || reader_u8(&in, &server) ||
	    generation != x->r->generation || server >= x->r->num_servers ||
	    in.left > sizeof(x->state))
		return ERR_BAD_STATE;
	state = reader_rest(&in);
	x->bound = true;
	x->server = server;
	x->state_len = state.len;
	if (state.len)
		memcpy(x->state, state.p, state.len);
	return ERR_OK;
}

static enum err fill(struct exchange *x, const struct radius_request *request)
{
	if (request->eap.len > sizeof(x->eap) || request->name.len > sizeof(x->name) ||
	    !request->name.len || !request->eap.len)
		return ERR_LIMIT;
	memcpy(x->eap, request->eap.p, request->eap.len);
	memcpy(x->name, request->name.p, request->name.len);
	x->eap_len = request->eap.len;
	x->name_len = request->name.len;
	x->id = request->id;
	snprintf(x->called, sizeof(x->called), "%s", request->called);
	snprintf(x->calling, sizeof(x->calling), "%s", request->calling);
	return read_token(x, request->token);
}

enum err radius_begin(struct radius *r, const struct radius_request *request, uint64_t now_ns)
{
	struct exchange *x;
	enum err e;

	if (!r->num_servers)
		return ERR_NOT_FOUND;
	if (r->num_exchanges >= EXCHANGES_MAX)
		return ERR_LIMIT;
	x = mem_alloc(sizeof(*x));
	if (!x)
		return ERR_NOMEM;
	x->r = r;
	x->begun_ns = now_ns;
	r->num_exchanges++;
	timer_init(&x->timer, due);
	e = fill(x, request);
	if (e) {
		exchange_free(x);
		return e;
	}
	list_push_back(&r->waiting, &x->node);
	place(x, now_ns);
	return ERR_OK;
}

/* ---- answers --------------------------------------------------------------------------------- */

static void take_reject(struct exchange *x, const struct radius_packet *p)
{
	const int len = p->reply.len < 120 ? (int)p->reply.len : 120;

	snprintf(x->why, sizeof(x->why), "the RADIUS server %s rejects it%s%.*s",
		 x->r->servers[x->server].name, len ? ": " : "", len,
		 len ? (const char *)p->reply.p : "");
	/* Also what a terminal takes for a control beyond ASCII, or for the half of a character. */
	for (char *c = x->why; *c; c++)
		*c = *c < ' ' || *c > '~' ? '?' : *c;
	finish(x, RADIUS_REJECTED);
}

static void take_accept(struct exchange *x, const struct radius_packet *p,
			const struct radius_proof *proof)
{
	uint8_t msk[RADIUS_MSK_MAX];
	size_t len;
	enum err e = radius_msk(x->r->crypto, msk, &len, p, proof);

	if (!e && secret_init_copy(&x->msk, msk, len))
		e = ERR_NOMEM;
	secret_wipe(msk, sizeof(msk));
	if (e) {
		snprintf(
			x->why, sizeof(x->why),
			e == ERR_NOT_FOUND
				? "the RADIUS server %s accepts it without a key: its method makes "
				  "none, or MS-MPPE-Recv-Key and MS-MPPE-Send-Key are not sent"
				: "the key that the RADIUS server %s sends cannot be read",
			x->r->servers[x->server].name);
		finish(x, RADIUS_FAILED);
		return;
	}
	x->answer.msk = bytes_of(x->msk.p, x->msk.len);
	x->answer.session_s = p->session_s;
	if (p->user_name.len) {
		memcpy(x->name, p->user_name.p, p->user_name.len);
		x->answer.name = bytes_of(x->name, p->user_name.len);
	}
	finish(x, RADIUS_ACCEPTED);
}

static void take_challenge(struct exchange *x, const struct radius_packet *p)
{
	if (!p->eap_len) {
		fail(x, "the RADIUS server asks for more, and not by EAP");
		return;
	}
	write_token(x, p->state);
	finish(x, RADIUS_CHALLENGED);
}

/* It is proven: whatever it says is the server's. */
static void take(struct exchange *x, const struct radius_packet *p,
		 const struct radius_proof *proof, uint64_t now_ns)
{
	struct server *s = &x->r->servers[x->server];
	char addr[ENDPOINT_TEXT_MAX];

	if (s->down_until_ns)
		LOG(INFO, IKE, NULL, "the RADIUS server %s at %s answers again", s->name,
		    endpoint_text(addr, &s->addr));
	s->down_until_ns = 0;
	s->answered_ns = now_ns;
	s->stats.answered++;
	if (p->eap_len > sizeof(x->eap)) {
		fail(x, "the RADIUS server sends an EAP packet that is too long");
	} else {
		radius_eap(x->eap, p);
		x->answer.eap = bytes_of(x->eap, p->eap_len);
		if (p->code == RADIUS_ACCESS_ACCEPT)
			take_accept(x, p, proof);
		else if (p->code == RADIUS_ACCESS_REJECT)
			take_reject(x, p);
		else
			take_challenge(x, p);
	}
	place_waiting(x->r, now_ns);
}

void radius_receive(struct radius *r, uint32_t server, struct bytes datagram, uint64_t now_ns)
{
	struct radius_packet p;
	struct radius_proof proof;
	struct exchange *x;
	struct server *s;

	if (server >= r->num_servers)
		return;
	s = &r->servers[server];
	s->stats.dropped++; /* until it is found to be more */
	if (radius_parse(&p, datagram) ||
	    (p.code != RADIUS_ACCESS_ACCEPT && p.code != RADIUS_ACCESS_REJECT &&
	     p.code != RADIUS_ACCESS_CHALLENGE))
		return;
	x = s->by_id[p.id];
	if (!x)
		return;
	proof = (struct radius_proof){.secret = bytes_of(s->secret.p, s->secret.len),
				      .authenticator = x->authenticator};
	if (radius_verify(r->crypto, &p, &proof)) {
		x->wrong++;
		return;
	}
	s->stats.dropped--;
	take(x, &p, &proof, now_ns);
}

/* ---- time, and what comes out ---------------------------------------------------------------- */

void radius_run(struct radius *r, uint64_t now_ns)
{
	(void)timers_run(&r->timers, now_ns);
}

uint64_t radius_deadline(const struct radius *r)
{
	return timers_next(&r->timers);
}

bool radius_send_next(struct radius *r, struct radius_datagram *out)
{
	struct list_node *n = list_pop_front(&r->out);
	struct exchange *x;

	if (!n)
		return false;
	x = list_entry(n, struct exchange, send);
	*out = (struct radius_datagram){.server = x->server,
					.fresh = x->tries == 1 &&
						 r->servers[x->server].num_busy == 1,
					.bytes = bytes_of(x->packet, x->packet_len)};
	return true;
}

bool radius_answer_next(struct radius *r, struct radius_answer *out)
{
	struct list_node *n = list_pop_front(&r->done);

	exchange_free(r->taken);
	r->taken = n ? list_entry(n, struct exchange, node) : NULL;
	if (r->taken)
		*out = r->taken->answer;
	return n != NULL;
}
