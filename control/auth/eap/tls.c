/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls.c - EAP-TLS, both roles (RFC 5216; with TLS 1.3 RFC 9190): TLS's records in packets, a flight
 * in as many as it takes, each but the last acknowledged by an empty one.
 *
 *	                  <--  start
 *	ClientHello       -->
 *	                  <--  ServerHello ... (in fragments)
 *	...               -->
 *	                  <--  Finished, or (1.3) that it is done
 *	(empty)           -->
 */
#include "base/reader.h"
#include "control/auth/eap/method.h"
#include "control/crypto/tls.h"

/* Flags, the first byte of each packet (RFC 5216 3.1). */
#define FLAG_LENGTH 0x80
#define FLAG_MORE   0x40
#define FLAG_START  0x20

/* FRAGMENT_LEN - bytes of TLS in a packet of ours: IKE adds its own to it. */
#define FRAGMENT_LEN 1024

/* FIRST_FLIGHT_MAX - bytes that a server takes of whoever calls before TLS has looked at any: a
 * ClientHello. */
#define FIRST_FLIGHT_MAX 16384

struct state {
	struct crypto_tls *tls;
	bool sending;  /* fragments of a flight remain */
	bool stepping; /* the packet is in, and TLS has a question */
	bool finished; /* nothing of this side is missing: the empty packet is the last */
	bool heard;    /* TLS had something to say to what came in */
	size_t taken;  /* bytes of the one that comes in */
};

static enum err broken(struct eap *x, const struct state *s)
{
	return eap_fail(x, "%s", crypto_tls_why(s->tls));
}

/* The next piece of what waits to be sent, or the empty packet. */
static void put_fragment(struct state *s, struct writer *w)
{
	const size_t pending = crypto_tls_pending(s->tls);
	const size_t len = pending < FRAGMENT_LEN ? pending : FRAGMENT_LEN;
	const bool more = pending > len, first = more && !s->sending;
	uint8_t *at;

	writer_u8(w, (uint8_t)((more ? FLAG_MORE : 0) | (first ? FLAG_LENGTH : 0)));
	if (first)
		writer_u32(w, (uint32_t)pending);
	at = len ? writer_reserve(w, len) : NULL;
	if (at)
		(void)crypto_tls_take(s->tls, at, len);
	s->sending = more;
}

static enum err begin(struct eap *x, struct state *s)
{
	struct crypto_tls_params p = {.server = x->params.server};
	enum err e;

	if (!x->answer) {
		x->wants = EAP_WANTS_KEY;
		return ERR_AGAIN;
	}
	if (!x->answer->secret.len || !x->answer->num_certs)
		return eap_fail(x, "%s",
				x->answer->why ? x->answer->why
					       : "there is no certificate for it here");
	p.certs = x->answer->certs;
	p.num_certs = x->answer->num_certs;
	p.key = x->answer->secret;
	e = crypto_tls_new(&s->tls, x->params.crypto, &p);
	return e == ERR_INVAL ? eap_fail(x, "TLS cannot use the certificate or its key") : e;
}

static enum err make_key(struct eap *x, struct state *s)
{
	uint8_t msk[EAP_MSK_LEN];
	enum err e = crypto_tls_export(s->tls, msk, sizeof(msk));

	secret_fini(&x->msk);
	if (!e)
		e = secret_init_copy(&x->msk, msk, sizeof(msk));
	secret_wipe(msk, sizeof(msk));
	return e;
}

/* Keys are there. A client is done with TLS 1.2's last flight, and with 1.3 when the server has
 * said that it is; a server when its own last word has been acknowledged. */
static enum err is_up(struct eap *x, struct state *s)
{
	const bool said = crypto_tls_is_13(s->tls);
	enum err e = ERR_OK;

	if (x->params.server && said && !s->finished)
		e = crypto_tls_say_done(s->tls);
	else if (!x->params.server && said)
		e = crypto_tls_heard_done(s->tls);
	if (e == ERR_AGAIN)
		return ERR_OK;
	if (e)
		return e == ERR_AUTH ? broken(x, s) : e;
	e = make_key(x, s);
	s->finished = !e;
	if (!e && !x->params.server)
		x->done = true;
	return e;
}

static enum err step(struct eap *x, struct state *s, struct writer *w)
{
	enum crypto_tls_state state = TLS_TALKS;
	enum err e;

	if (s->stepping) {
		if (!x->answer->believed)
			return eap_fail(x, "%s",
					x->answer->why ? x->answer->why
						       : "its certificate is not believed");
		crypto_tls_believe(s->tls);
	}
	s->stepping = false;
	e = crypto_tls_step(s->tls, &state);
	if (e)
		return e == ERR_AUTH ? broken(x, s) : e;
	if (state == TLS_ASKS) {
		s->stepping = true;
		x->wants = EAP_WANTS_CHAIN;
		return ERR_AGAIN;
	}
	if (state == TLS_IS_UP)
		e = is_up(x, s);
	s->heard |= crypto_tls_pending(s->tls) > 0;
	if (!e)
		put_fragment(s, w);
	return e;
}

/* The other side has nothing to say: it has our fragment, or all. */
static enum err acknowledged(struct eap *x, struct state *s, struct writer *w)
{
	if (s->sending) {
		put_fragment(s, w);
		return ERR_OK;
	}
	if (!x->params.server || !s->finished)
		return ERR_MALFORMED;
	x->done = true;
	return ERR_OK;
}

static size_t flight_max(const struct eap *x, const struct state *s)
{
	return x->params.server && !s->heard ? FIRST_FLIGHT_MAX : TLS_PENDING_MAX;
}

static enum err take_records(struct eap *x, struct state *s, struct reader *r, uint8_t flags,
			     struct writer *w)
{
	const struct bytes records = reader_rest(r);
	enum err e;

	if (s->sending || (s->finished && x->params.server))
		return ERR_MALFORMED;
	s->taken += records.len;
	if (s->taken > flight_max(x, s))
		return ERR_LIMIT;
	e = crypto_tls_give(s->tls, records);
	if (e)
		return e;
	if (flags & FLAG_MORE) {
		writer_u8(w, 0);
		return ERR_OK;
	}
	s->taken = 0;
	return step(x, s, w);
}

static enum err process(struct eap *x, struct bytes data, struct writer *w)
{
	struct state *s = x->state;
	uint32_t total;
	struct reader r;
	uint8_t flags;
	enum err e = ERR_OK;

	if (s->stepping) /* the packet was taken already */
		return step(x, s, w);
	reader_init(&r, data.p, data.len);
	if (reader_u8(&r, &flags) || (flags & FLAG_LENGTH && reader_u32(&r, &total)))
		return ERR_TRUNCATED;
	if (flags & FLAG_LENGTH && total > flight_max(x, s))
		return ERR_LIMIT;
	if (!!(flags & FLAG_START) != (!x->params.server && !s->tls))
		return ERR_MALFORMED;
	if (x->params.server && !s->tls && reader_empty(&r)) /* there is nothing to acknowledge */
		return ERR_MALFORMED;
	if (!s->tls)
		e = begin(x, s);
	if (e)
		return e;
	if (flags & FLAG_START)
		return step(x, s, w);
	return reader_empty(&r) ? acknowledged(x, s, w) : take_records(x, s, &r, flags, w);
}

static enum err start(struct eap *x, struct writer *w)
{
	(void)x;
	writer_u8(w, FLAG_START);
	return ERR_OK;
}

static void fini(void *state)
{
	crypto_tls_free(((struct state *)state)->tls);
}

static uint32_t chain(const void *state, struct bytes out[static EAP_MAX_CERTS])
{
	const struct state *s = state;

	return s->tls ? crypto_tls_chain(s->tls, out) : 0;
}

static_assert(TLS_MAX_CERTS == EAP_MAX_CERTS, "a chain is a chain");

/* Certificates on both sides, keys of its own: as good as IKE's own signatures. */
const struct eap_method eap_tls = {
	.type = EAP_TYPE_TLS,
	.alone = true,
	.state_len = sizeof(struct state),
	.start = start,
	.process = process,
	.fini = fini,
	.chain = chain,
};
