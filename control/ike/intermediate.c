/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/intermediate.h"

#include "base/alloc.h"
#include "control/ike/auth.h"
#include "control/ike/handlers.h"
#include "control/ike/ppk.h"

/* Where IntAuth_iN, IntAuth_rN and the message ID of IKE_AUTH lie in the octets. */
#define MSGID_LEN  4
#define OCTETS_MAX (2 * PRF_LEN_MAX + MSGID_LEN)

struct intermediate {
	uint8_t done;    /* key exchanges made */
	size_t half_len; /* of IntAuth_iN, and of IntAuth_rN */
	uint8_t octets[OCTETS_MAX];
	struct dh *dh;                /* initiator: of the exchange under way, */
	uint8_t pending[PRF_LEN_MAX]; /* and its half of IntAuth */
	struct ike_aead *before;      /* responder: opens what the last request was sealed with */
};

/* struct keyed - the keys of an IKE SA, and what seals and opens with them. */
struct keyed {
	struct ike_keys keys;
	struct ike_aead *seal, *open;
};

static struct intermediate *im_new(const struct ike_sa *sa)
{
	struct intermediate *im = mem_alloc(sizeof(*im));

	if (im)
		im->half_len = prf_len(sa->suite.prf);
	return im;
}

void intermediate_free(struct intermediate *im)
{
	if (!im)
		return;
	dh_free(im->dh);
	ike_aead_free(im->before);
	secret_wipe(im, sizeof(*im));
	mem_free(im);
}

uint16_t intermediate_next(const struct ike_sa *sa)
{
	const struct intermediate *im = sa->hs ? sa->hs->between : NULL;

	return im ? sa_next_addke(&sa->suite, im->done) : DH_NONE;
}

struct bytes intermediate_octets(const struct intermediate *im)
{
	return im && im->done ? bytes_of(im->octets, 2 * im->half_len + MSGID_LEN)
			      : bytes_of(NULL, 0);
}

struct ike_aead *intermediate_repeat_key(const struct ike_sa *sa)
{
	const struct intermediate *im = sa->hs ? sa->hs->between : NULL;

	return im && im->before && sa->in.exchange_type == IKE_INTERMEDIATE ? im->before : sa->open;
}

/* ---- what AUTH covers (RFC 9242 3.3.2) ------------------------------------------------------- */

/* struct covered - one message as IntAuth has it, whether or not it goes in fragments: its header
 * and that of the Encrypted payload as they would be without IV, padding and ICV, and the payloads.
 */
struct covered {
	uint8_t head[IKE_HEADER_LEN + IKE_PAYLOAD_HDR_LEN];
	struct bytes chain;
};

#define NEXT_PAYLOAD_AT 16
#define LENGTH_AT       24

static void cover(struct covered *out, const uint8_t header[static IKE_HEADER_LEN], uint8_t first,
		  uint8_t flags, struct bytes chain)
{
	uint8_t *sk = out->head + IKE_HEADER_LEN;

	memcpy(out->head, header, IKE_HEADER_LEN);
	out->head[NEXT_PAYLOAD_AT] = PAYLOAD_SK;
	store_be32(out->head + LENGTH_AT, (uint32_t)(sizeof(out->head) + chain.len));
	sk[0] = first;
	sk[1] = flags;
	store_be16(sk + 2, (uint16_t)(IKE_PAYLOAD_HDR_LEN + chain.len));
	out->chain = chain;
}

/* What we are about to send. Errors: FULL, LIMIT. */
static enum err cover_own(struct covered *out, struct ike_builder *b)
{
	struct ike_fragment plain;
	enum err e = ike_build_plain(b, &plain);

	if (!e)
		cover(out, b->w.buf, plain.first, 0, plain.text);
	return e;
}

/* What has come. In front of the Encrypted payload there is nothing: who puts something there would
 * have to say by what it is authenticated. */
static enum err cover_received(struct step *s, struct covered *out)
{
	const struct ike_msg *m = s->msg;
	const bool whole = m->h.next_payload == PAYLOAD_SK;

	if (!whole && m->h.next_payload != PAYLOAD_SKF)
		return step_fail(s, IKE_REASON_MALFORMED, NOTIFY_INVALID_SYNTAX,
				 "the peer's IKE_INTERMEDIATE has payloads that are not encrypted");
	cover(out, m->raw.p, m->first, whole ? m->raw.p[IKE_HEADER_LEN + 1] : 0, m->chain);
	return ERR_OK;
}

/* IntAuth_iN = prf(SK_piN, IntAuth_iN-1 | IntAuth_iNA | IntAuth_iNP), or of the responder, with the
 * keys that the exchange itself is protected by. */
static enum err add(uint8_t out[static PRF_LEN_MAX], const struct ike_sa *sa, bool initiators,
		    const struct covered *m)
{
	const struct intermediate *im = sa->hs->between;
	const struct secret *sk_p = initiators ? &sa->keys.sk_pi : &sa->keys.sk_pr;
	const struct bytes parts[] = {
		bytes_of(im->octets + (initiators ? 0 : im->half_len), im->done ? im->half_len : 0),
		bytes_of(m->head, sizeof(m->head)), m->chain};

	return prf_compute(sa->e->crypto, out, sa->suite.prf, bytes_of(sk_p->p, sk_p->len), parts,
			   ARRAY_LEN(parts));
}

/* An exchange is complete; if it is the last one, the next message is the first of IKE_AUTH. */
static void advance(struct intermediate *im, const uint8_t *i, const uint8_t *r)
{
	memcpy(im->octets, i, im->half_len);
	memcpy(im->octets + im->half_len, r, im->half_len);
	im->done++;
	store_be32(im->octets + 2 * im->half_len, im->done + 1u);
}

/* ---- keys ------------------------------------------------------------------------------------ */

/* SKEYSEED(n) = prf(SK_d(n-1), SK(n) | Ni | Nr), and what follows from it (RFC 9370 2.2.2). What
 * was in use goes to *old, which the caller ends or puts back. Errors: NOMEM, CRYPTO, UNSUPPORTED;
 * nothing has changed then. */
static enum err renew(struct ike_sa *sa, struct keyed *old, const struct secret *shared)
{
	struct ike_keys keys = {0};
	enum err e = ike_keys_derive(sa->e->crypto, &keys,
				     &(struct ike_keys_params){.encr = sa->suite.encr,
							       .prf = sa->suite.prf,
							       .spi_i = sa->spi_i,
							       .spi_r = sa->spi_r,
							       .ni = nonce_bytes(&sa->hs->ni),
							       .nr = nonce_bytes(&sa->hs->nr),
							       .dh = shared,
							       .rekeyed = &sa->keys});

	if (e)
		return e;
	*old = (struct keyed){.keys = sa->keys, .seal = sa->seal, .open = sa->open};
	sa->keys = keys;
	e = sa_keys_install(sa);
	if (!e)
		return ERR_OK;
	ike_keys_fini(&sa->keys);
	sa->keys = old->keys;
	return e;
}

static void put_back(struct ike_sa *sa, const struct keyed *old)
{
	ike_keys_fini(&sa->keys);
	ike_aead_free(sa->seal);
	ike_aead_free(sa->open);
	sa->keys = old->keys;
	sa->seal = old->seal;
	sa->open = old->open;
}

static enum err take_share(struct step *s, struct wire_ke *ke)
{
	const uint16_t next = intermediate_next(s->sa);
	char name[WIRE_NAME_MAX];

	if (wire_ke_parse(ke, ike_msg_body(s->msg, PAYLOAD_KE)) || ke->group != next)
		return step_fail(s, IKE_REASON_MALFORMED, NOTIFY_INVALID_SYNTAX,
				 "the peer sends no key share of %s, the additional key exchange "
				 "that is next",
				 wire_transform_name(name, TRANSFORM_DH, next));
	return ERR_OK;
}

static enum err bad_share(struct step *s)
{
	return step_fail(s, IKE_REASON_MALFORMED, NOTIFY_INVALID_SYNTAX,
			 "the peer's key share of an additional key exchange cannot be used");
}

/* ---- initiator ------------------------------------------------------------------------------- */

/* The request, and our half of IntAuth with it: it is sent as it is until its answer comes. */
static enum err begin(struct step *s)
{
	struct intermediate *im = s->sa->hs->between;
	struct covered m;
	enum err e = dh_new(s->e->crypto, &im->dh, intermediate_next(s->sa));

	if (e)
		return e;
	step_request(s, IKE_INTERMEDIATE);
	wire_ke_build(&s->b, dh_group(im->dh), dh_public(im->dh));
	e = cover_own(&m, &s->b);
	if (!e)
		e = add(im->pending, s->sa, true, &m);
	return e ? e : step_finish(s);
}

enum err intermediate_start(struct step *s)
{
	struct handshake *hs = s->sa->hs;

	hs->between = im_new(s->sa);
	return hs->between ? begin(s) : ERR_NOMEM;
}

/* With new keys: the next exchange, or IKE_AUTH. If memory is short all is as before, and the
 * response is as if lost. */
static enum err go_on(struct step *s, const struct secret *shared, const uint8_t *theirs)
{
	struct intermediate *im = s->sa->hs->between, before = *im;
	struct keyed old;
	enum err e = renew(s->sa, &old, shared);

	if (e)
		return e;
	im->dh = NULL;
	advance(im, before.pending, theirs);
	e = intermediate_next(s->sa) ? begin(s) : ppk_ask_i(s);
	if (e) {
		put_back(s->sa, &old);
		dh_free(im->dh);
		*im = before;
	} else {
		ike_keys_fini(&old.keys);
		ike_aead_free(old.seal);
		ike_aead_free(old.open);
		dh_free(before.dh);
	}
	secret_wipe(&before, sizeof(before));
	return e;
}

enum err intermediate_response(struct step *s)
{
	struct intermediate *im = s->sa->hs->between;
	struct secret shared = {0};
	uint8_t theirs[PRF_LEN_MAX];
	struct covered m;
	struct wire_ke ke;
	enum err e = take_share(s, &ke);

	if (!e)
		e = cover_received(s, &m);
	if (!e)
		e = add(theirs, s->sa, false, &m);
	if (!e)
		e = dh_compute_shared(im->dh, &shared, ke.value);
	if (e == ERR_MALFORMED)
		return bad_share(s);
	if (!e)
		e = go_on(s, &shared, theirs);
	secret_fini(&shared);
	return e;
}

enum err intermediate_refused(struct step *s)
{
	char name[WIRE_NAME_MAX], method[WIRE_NAME_MAX];
	struct wire_notify n;

	if (!wire_notify_find_error(&n, s->msg))
		return ERR_MALFORMED;
	return step_fail(s, IKE_REASON_PEER_ERROR, 0,
			 "the peer refused the additional key exchange %s with %s: its log says "
			 "more",
			 wire_transform_name(method, TRANSFORM_DH, intermediate_next(s->sa)),
			 wire_notify_name(name, n.type));
}

/* ---- responder ------------------------------------------------------------------------------- */

enum err intermediate_expect(struct ike_sa *sa)
{
	sa->hs->between = im_new(sa);
	return sa->hs->between ? ERR_OK : ERR_NOMEM;
}

/* The answer, still under the keys of the request, and our half of IntAuth with it. */
static enum err answer(struct step *s, uint8_t ours[static PRF_LEN_MAX], const struct dh *dh)
{
	struct covered m;
	enum err e;

	step_reply(s);
	wire_ke_build(&s->b, dh_group(dh), dh_public(dh));
	e = cover_own(&m, &s->b);
	if (!e)
		e = add(ours, s->sa, false, &m);
	return e ? e : step_finish(s);
}

/* What opened the request still tells whether a repeat of it is authentic. */
static void turn(struct ike_sa *sa, struct keyed *old)
{
	struct intermediate *im = sa->hs->between;

	ike_aead_free(im->before);
	im->before = old->open;
	ike_aead_free(old->seal);
	ike_keys_fini(&old->keys);
}

enum err intermediate_request(struct step *s)
{
	struct ike_sa *sa = s->sa;
	uint8_t theirs[PRF_LEN_MAX], ours[PRF_LEN_MAX];
	struct secret shared = {0};
	struct dh *dh = NULL;
	struct covered m;
	struct keyed old;
	struct wire_ke ke;
	enum err e = take_share(s, &ke);

	if (!e)
		e = cover_received(s, &m);
	if (!e)
		e = add(theirs, sa, true, &m);
	if (!e)
		e = dh_respond(s->e->crypto, &dh, &shared, ke.group, ke.value);
	if (e == ERR_MALFORMED)
		return bad_share(s);
	if (!e)
		e = answer(s, ours, dh);
	if (!e)
		e = renew(sa, &old, &shared);
	if (!e) {
		turn(sa, &old);
		advance(sa->hs->between, theirs, ours);
	}
	dh_free(dh);
	secret_fini(&shared);
	return e;
}
