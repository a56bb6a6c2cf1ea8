/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mschapv2.c - EAP-MSCHAPv2 (draft-kamath-pppext-eap-mschapv2), both roles:
 *
 *	                  <--  challenge
 *	response          -->
 *	                  <--  success (the server knows the password too), or failure
 *	success, failure  -->
 */
#include <stdio.h>

#include "base/reader.h"
#include "control/auth/eap/method.h"
#include "control/auth/eap/mschap.h"
#include "control/conf/conf.h"

enum op {
	OP_CHALLENGE = 1,
	OP_RESPONSE = 2,
	OP_SUCCESS = 3,
	OP_FAILURE = 4,
};

/* A response's value: challenge, 8 bytes of nothing, NT-Response, flags. */
#define RESERVED_LEN       8
#define RESPONSE_VALUE_LEN (MSCHAP_CHALLENGE_LEN + RESERVED_LEN + MSCHAP_NT_RESPONSE_LEN + 1)

/* NAME_MAX_LEN - of names in packets (RFC 2759 4). */
#define NAME_MAX_LEN 256

/* What this side calls itself as server; nothing depends on it. */
#define SERVER_NAME "latchkey"

/* Error codes in a failure (RFC 2759 6). */
#define FAILURE_TEXT "E=691 R=0 C=%s V=3 M=Authentication failed"

enum stage {
	STAGE_BEGIN,
	STAGE_CHALLENGED, /* the response is under way */
	STAGE_RESPONDED,  /* success or failure is */
	STAGE_REFUSED,    /* and it was failure */
};

struct state {
	enum stage stage;
	uint8_t id;         /* MS-CHAPv2-ID: of the challenge, and of all that follows */
	struct secret hash; /* of the password: m borrows it */
	struct mschap m;
	uint8_t response[MSCHAP_NT_RESPONSE_LEN];
	uint8_t authenticator[MSCHAP_AUTHENTICATOR_LEN];
};

/* struct message - what all have in common; a success or failure that answers another is an op
 * alone. */
struct message {
	uint8_t op, id;
	struct reader body;
};

static enum err parse(struct message *out, struct bytes data)
{
	struct message m = {0};
	struct reader r;
	uint16_t len;

	reader_init(&r, data.p, data.len);
	if (reader_u8(&r, &m.op))
		return ERR_TRUNCATED;
	if (reader_empty(&r)) {
		*out = m;
		return m.op == OP_SUCCESS || m.op == OP_FAILURE ? ERR_OK : ERR_TRUNCATED;
	}
	if (reader_u8(&r, &m.id) || reader_u16(&r, &len))
		return ERR_TRUNCATED;
	if (len != data.len)
		return ERR_MALFORMED;
	m.body = r;
	*out = m;
	return ERR_OK;
}

static size_t begin(struct writer *w, enum op op, uint8_t id)
{
	writer_u8(w, (uint8_t)op);
	writer_u8(w, id);
	return writer_begin_u16(w);
}

/* The length counts the op and the id in front of it. */
static void end(struct writer *w, size_t mark)
{
	writer_end_u16(w, mark, 4);
}

static enum err draw(struct eap *x, uint8_t out[static MSCHAP_CHALLENGE_LEN])
{
	return rng_fill(crypto_ctx_rng(x->params.crypto), out, MSCHAP_CHALLENGE_LEN);
}

/* The password's hash, once somebody has looked for the password. Errors: AGAIN, AUTH, and those of
 * a secret. */
static enum err take_secret(struct eap *x, struct state *s)
{
	enum err e;

	if (!x->answer) {
		x->wants = EAP_WANTS_SECRET;
		return ERR_AGAIN;
	}
	secret_fini(&s->hash);
	e = secret_init(&s->hash, MD4_LEN);
	if (e)
		return e;
	s->m.hash = s->hash.p;
	if (!x->answer->secret.len)
		return eap_fail(x, "there is no secret of it in `secrets { eap { } }`");
	if (mschap_hash(s->hash.p, x->answer->secret))
		return eap_fail(x, "its password is no text of at most 256 characters");
	return ERR_OK;
}

/* The MSK is made of both directions' keys, the peer's first, filled up with zeros. */
static enum err make_key(struct eap *x, const struct state *s)
{
	uint8_t msk[EAP_MSK_LEN] = {0};
	enum err e = mschap_keys(x->params.crypto, msk, msk + MSCHAP_KEY_LEN, &s->m, s->response);

	secret_fini(&x->msk);
	if (!e)
		e = secret_init_copy(&x->msk, msk, sizeof(msk));
	secret_wipe(msk, sizeof(msk));
	return e;
}

/* ---- the peer -------------------------------------------------------------------------------- */

static enum err answer_challenge(struct eap *x, struct state *s, struct message *m,
				 struct writer *w)
{
	const struct bytes name = bytes_of(x->params.identity.data, x->params.identity.len);
	uint8_t len;
	size_t mark;
	enum err e;

	if (s->stage != STAGE_BEGIN)
		return ERR_MALFORMED;
	if (reader_u8(&m->body, &len) || len != MSCHAP_CHALLENGE_LEN ||
	    reader_copy(&m->body, s->m.authenticator_challenge, len))
		return ERR_MALFORMED;
	e = take_secret(x, s);
	if (!e)
		e = draw(x, s->m.peer_challenge);
	if (e)
		return e;
	s->id = m->id;
	s->m.user = mschap_user(name);
	e = mschap_response(x->params.crypto, s->response, &s->m);
	if (!e)
		e = mschap_authenticator(x->params.crypto, s->authenticator, &s->m, s->response);
	mark = begin(w, OP_RESPONSE, s->id);
	writer_u8(w, RESPONSE_VALUE_LEN);
	writer_bytes(w, s->m.peer_challenge, sizeof(s->m.peer_challenge));
	writer_zero(w, RESERVED_LEN);
	writer_bytes(w, s->response, sizeof(s->response));
	writer_u8(w, 0);
	writer_bytes(w, name.p, name.len);
	end(w, mark);
	s->stage = STAGE_CHALLENGED;
	return e;
}

static int digit(uint8_t c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
				      : -1;
}

/* "S=" and 40 hexadecimal digits: the server knows the password too. */
static enum err check_server(struct eap *x, const struct state *s, struct bytes text)
{
	uint8_t shown[MSCHAP_AUTHENTICATOR_LEN];

	if (text.len < 2 + 2 * sizeof(shown) || text.p[0] != 'S' || text.p[1] != '=')
		return ERR_MALFORMED;
	for (size_t i = 0; i < sizeof(shown); i++) {
		const int high = digit(text.p[2 + 2 * i]), low = digit(text.p[3 + 2 * i]);

		if (high < 0 || low < 0)
			return ERR_MALFORMED;
		shown[i] = (uint8_t)(high << 4 | low);
	}
	if (!secret_equal(shown, sizeof(shown), s->authenticator, sizeof(s->authenticator)))
		return eap_fail(x, "the server does not know the password");
	return ERR_OK;
}

static enum err take_success(struct eap *x, struct state *s, struct message *m, struct writer *w)
{
	enum err e;

	if (s->stage != STAGE_CHALLENGED)
		return ERR_MALFORMED;
	e = check_server(x, s, reader_rest(&m->body));
	if (!e)
		e = make_key(x, s);
	if (e)
		return e;
	s->stage = STAGE_RESPONDED;
	x->done = true;
	writer_u8(w, OP_SUCCESS);
	return ERR_OK;
}

/* A number behind "E=" says why; the password is not asked for again. */
static enum err take_failure(struct eap *x, struct state *s, struct message *m, struct writer *w)
{
	const struct bytes text = reader_rest(&m->body);
	char code[5] = "?";
	size_t num = 0;

	if (s->stage != STAGE_CHALLENGED)
		return ERR_MALFORMED;
	for (size_t i = 2; text.len > 2 && text.p[0] == 'E' && text.p[1] == '=' && i < text.len &&
			   num < sizeof(code) - 1 && text.p[i] >= '0' && text.p[i] <= '9';
	     i++)
		code[num++] = (char)text.p[i];
	eap_fail(x, "the server does not accept the name or the password (E=%s)", code);
	s->stage = STAGE_REFUSED;
	writer_u8(w, OP_FAILURE);
	return ERR_OK;
}

static enum err process_peer(struct eap *x, struct state *s, struct message *m, struct writer *w)
{
	switch (m->op) {
	case OP_CHALLENGE:
		return answer_challenge(x, s, m, w);
	case OP_SUCCESS:
		return take_success(x, s, m, w);
	case OP_FAILURE:
		return take_failure(x, s, m, w);
	default:
		return ERR_MALFORMED;
	}
}

/* ---- the server ------------------------------------------------------------------------------ */

static enum err start(struct eap *x, struct writer *w)
{
	struct state *s = x->state;
	enum err e = draw(x, s->m.authenticator_challenge);
	size_t mark;

	s->id = x->id;
	mark = begin(w, OP_CHALLENGE, s->id);
	writer_u8(w, MSCHAP_CHALLENGE_LEN);
	writer_bytes(w, s->m.authenticator_challenge, MSCHAP_CHALLENGE_LEN);
	writer_bytes(w, SERVER_NAME, sizeof(SERVER_NAME) - 1);
	end(w, mark);
	return e;
}

static void put_hex(char *out, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		snprintf(out + 2 * i, 3, "%02X", p[i]);
}

static enum err refuse(struct state *s, struct writer *w)
{
	char challenge[2 * MSCHAP_CHALLENGE_LEN + 1], text[100];
	const size_t mark = begin(w, OP_FAILURE, s->id);

	put_hex(challenge, s->m.authenticator_challenge, MSCHAP_CHALLENGE_LEN);
	writer_bytes(w, text, (size_t)snprintf(text, sizeof(text), FAILURE_TEXT, challenge));
	end(w, mark);
	s->stage = STAGE_REFUSED;
	return ERR_OK;
}

/* The name by which the response was made is that of who is to prove itself, with a domain in front
 * or without. */
static bool is_name_of(const struct ike_id *id, struct bytes name)
{
	struct ike_id whole, user;

	if (eap_id_of(&whole, name) || eap_id_of(&user, mschap_user(name)))
		return false;
	return conf_id_equal(&whole, id) || conf_id_equal(&user, id);
}

static enum err welcome(struct eap *x, struct state *s, struct writer *w)
{
	char hex[2 * MSCHAP_AUTHENTICATOR_LEN + 1];
	uint8_t shown[MSCHAP_AUTHENTICATOR_LEN];
	enum err e = mschap_authenticator(x->params.crypto, shown, &s->m, s->response);
	size_t mark;

	if (!e)
		e = make_key(x, s);
	if (e)
		return e;
	put_hex(hex, shown, sizeof(shown));
	mark = begin(w, OP_SUCCESS, s->id);
	writer_bytes(w, "S=", 2);
	writer_bytes(w, hex, sizeof(hex) - 1);
	writer_bytes(w, " M=OK", 5);
	end(w, mark);
	s->stage = STAGE_RESPONDED;
	return ERR_OK;
}

/* A secret that is not there looks like a wrong one to whoever tries names, by the time that it
 * takes too: there is a response to compare with in either case. */
static enum err take_response(struct eap *x, struct state *s, struct message *m, struct writer *w)
{
	uint8_t expected[MSCHAP_NT_RESPONSE_LEN], len;
	struct bytes name;
	bool equal, known;
	enum err e;

	if (s->stage != STAGE_BEGIN || m->id != s->id)
		return ERR_MALFORMED;
	if (reader_u8(&m->body, &len) || len != RESPONSE_VALUE_LEN ||
	    reader_copy(&m->body, s->m.peer_challenge, sizeof(s->m.peer_challenge)) ||
	    reader_skip(&m->body, RESERVED_LEN) ||
	    reader_copy(&m->body, s->response, sizeof(s->response)) || reader_skip(&m->body, 1))
		return ERR_MALFORMED;
	name = reader_rest(&m->body);
	if (name.len > NAME_MAX_LEN)
		return ERR_MALFORMED;
	e = take_secret(x, s);
	known = e != ERR_AUTH;
	if (!known)
		e = rng_fill(crypto_ctx_rng(x->params.crypto), s->hash.p, s->hash.len);
	s->m.user = mschap_user(name);
	if (!e)
		e = mschap_response(x->params.crypto, expected, &s->m);
	if (e)
		return e;
	equal = secret_equal(expected, sizeof(expected), s->response, sizeof(s->response));
	secret_wipe(expected, sizeof(expected));
	if (!known)
		return refuse(s, w);
	if (equal && is_name_of(&x->params.identity, name))
		return welcome(x, s, w);
	eap_fail(x, equal ? "it answers by another name than it said" : "its password is wrong");
	return refuse(s, w);
}

static enum err process_server(struct eap *x, struct state *s, struct message *m, struct writer *w)
{
	if (s->stage == STAGE_REFUSED)
		return ERR_AUTH;
	if (s->stage == STAGE_BEGIN && m->op == OP_RESPONSE)
		return take_response(x, s, m, w);
	if (s->stage != STAGE_RESPONDED || m->op != OP_SUCCESS)
		return m->op == OP_FAILURE ? eap_fail(x, "it gives up") : ERR_MALFORMED;
	x->done = true;
	return ERR_OK;
}

static enum err process(struct eap *x, struct bytes data, struct writer *w)
{
	struct message m;
	enum err e = parse(&m, data);

	if (e)
		return e;
	return x->params.server ? process_server(x, x->state, &m, w)
				: process_peer(x, x->state, &m, w);
}

static void fini(void *state)
{
	secret_fini(&((struct state *)state)->hash);
}

/* Whoever knows the password can be the server: the other side's word is not proven by it alone,
 * and an exchange can be tried out off-line. */
const struct eap_method eap_mschapv2 = {
	.type = EAP_TYPE_MSCHAPV2,
	.alone = false,
	.state_len = sizeof(struct state),
	.start = start,
	.process = process,
	.fini = fini,
};
