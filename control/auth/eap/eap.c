/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "control/auth/eap/method.h"
#include "control/ike/wire/proto.h"

static const struct eap_method *const methods[] = {&eap_tls, &eap_mschapv2};

static const struct eap_method *find(uint8_t type)
{
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		if (methods[i]->type == type)
			return methods[i];
	}
	return NULL;
}

bool eap_alone_fits(uint8_t type)
{
	const struct eap_method *m = find(type);

	return m && m->alone;
}

/* A method that this side takes part in. */
static bool is_welcome(const struct eap_params *p, const struct eap_method *m)
{
	return m && (!p->type || p->type == m->type) && (!p->alone || m->alone);
}

enum err eap_fail(struct eap *x, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(x->why, sizeof(x->why), fmt, ap);
	va_end(ap);
	return ERR_AUTH;
}

enum err eap_new(struct eap **out, const struct eap_params *params)
{
	struct eap *x;

	if (params->server && !params->relay &&
	    (!params->type || !is_welcome(params, find(params->type))))
		return ERR_UNSUPPORTED;
	if (params->relay &&
	    (!params->server || params->alone)) /* its methods are not known here */
		return ERR_UNSUPPORTED;
	x = mem_alloc(sizeof(*x));
	if (!x)
		return ERR_NOMEM;
	x->params = *params;
	x->named = !params->asks_identity;
	*out = x;
	return ERR_OK;
}

void eap_free(struct eap *x)
{
	if (!x)
		return;
	if (x->state && x->method->fini)
		x->method->fini(x->state);
	if (x->state)
		secret_wipe(x->state, x->method->state_len);
	mem_free(x->state);
	secret_fini(&x->msk);
	secret_wipe(x, sizeof(*x));
	mem_free(x);
}

static enum err choose(struct eap *x, const struct eap_method *m)
{
	x->state = mem_alloc(m->state_len);
	if (!x->state)
		return ERR_NOMEM;
	x->method = m;
	return ERR_OK;
}

/* ---- what is sent ---------------------------------------------------------------------------- */

/* The packet that w holds is the next one of this side. */
static enum err say(struct eap *x, const struct writer *w)
{
	struct bytes packet;
	enum err e = writer_finish(w, &packet);

	if (e)
		return e;
	x->out_len = packet.len;
	x->wants = EAP_WANTS_PACKET;
	return ERR_OK;
}

/* A packet of a type whose data are here already. */
static enum err say_data(struct eap *x, enum eap_code code, uint8_t type, struct bytes data)
{
	struct writer w;
	size_t mark;

	writer_init(&w, x->out, sizeof(x->out));
	mark = eap_packet_begin(&w, code, x->id, type);
	writer_bytes(&w, data.p, data.len);
	eap_packet_end(&w, mark);
	return say(x, &w);
}

/* The first request of a server's method. */
static enum err begin_method(struct eap *x)
{
	struct writer w;
	const struct eap_method *m = find(x->params.type);
	size_t mark;
	enum err e = m ? choose(x, m) : ERR_UNSUPPORTED;

	if (e)
		return e;
	x->id++;
	writer_init(&w, x->out, sizeof(x->out));
	mark = eap_packet_begin(&w, EAP_REQUEST, x->id, x->method->type);
	e = x->method->start(x, &w);
	eap_packet_end(&w, mark);
	return e ? e : say(x, &w);
}

enum err eap_begin(struct eap *x)
{
	enum err e = rng_fill(crypto_ctx_rng(x->params.crypto), &x->id, 1);

	if (e)
		return e;
	if (x->named && x->params.relay)
		return eap_relay_begin(x);
	return x->named ? begin_method(x)
			: say_data(x, EAP_REQUEST, EAP_TYPE_IDENTITY, bytes_of(NULL, 0));
}

/* ---- methods --------------------------------------------------------------------------------- */

/* Success is a server's last word, once nothing is left to be proven. */
static enum err succeed(struct eap *x)
{
	x->over = true;
	x->wants = EAP_WANTS_NOTHING;
	x->out_len = 0;
	return ERR_OK;
}

static enum err say_success(struct eap *x)
{
	enum err e = say_data(x, EAP_SUCCESS, EAP_TYPE_NONE, bytes_of(NULL, 0));

	if (e)
		return e;
	x->over = true;
	x->wants = EAP_WANTS_NOTHING;
	return ERR_OK;
}

/* A packet that is kept while something is asked for. */
static enum err hold(struct eap *x, struct bytes data)
{
	if (data.p != x->held)
		memcpy(x->held, data.p, data.len);
	x->held_len = data.len;
	x->out_len = 0;
	return ERR_OK;
}

static enum err process(struct eap *x, struct bytes data)
{
	const bool server = x->params.server;
	struct writer w;
	size_t mark;
	enum err e;

	writer_init(&w, x->out, sizeof(x->out));
	mark = eap_packet_begin(&w, server ? EAP_REQUEST : EAP_RESPONSE,
				(uint8_t)(x->id + (server ? 1 : 0)), x->method->type);
	e = x->method->process(x, data, &w);
	if (e == ERR_AGAIN)
		return hold(x, data);
	if (e)
		return e;
	if (server && x->done)
		return say_success(x);
	x->id = (uint8_t)(x->id + (server ? 1 : 0));
	eap_packet_end(&w, mark);
	return say(x, &w);
}

/* ---- what is received ------------------------------------------------------------------------ */

enum err eap_id_of(struct ike_id *out, struct bytes name)
{
	if (!name.len || memchr(name.p, '\0', name.len))
		return ERR_MALFORMED;
	if (name.len > sizeof(out->data))
		return ERR_LIMIT;
	*out = (struct ike_id){.type = memchr(name.p, '@', name.len) ? ID_RFC822_ADDR : ID_FQDN,
			       .len = (uint16_t)name.len};
	memcpy(out->data, name.p, name.len);
	return ERR_OK;
}

/* As many do, a request for anything else is answered with what would do instead (RFC 3748
 * 5.3.1). */
static enum err say_nak(struct eap *x)
{
	uint8_t wanted[ARRAY_LEN(methods)] = {0};
	size_t num = 0;

	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		if (is_welcome(&x->params, methods[i]))
			wanted[num++] = methods[i]->type;
	}
	return say_data(x, EAP_RESPONSE, EAP_TYPE_NAK, bytes_of(wanted, num ? num : 1));
}

static enum err take_request(struct eap *x, const struct eap_packet *p)
{
	const struct eap_method *m = find(p->type);
	enum err e;

	x->id = p->id;
	if (p->type == EAP_TYPE_IDENTITY && !x->method)
		return say_data(x, EAP_RESPONSE, EAP_TYPE_IDENTITY,
				bytes_of(x->params.identity.data, x->params.identity.len));
	if (p->type == EAP_TYPE_NOTIFICATION)
		return say_data(x, EAP_RESPONSE, EAP_TYPE_NOTIFICATION, bytes_of(NULL, 0));
	if (!x->method && !is_welcome(&x->params, m))
		return say_nak(x);
	if (x->method && x->method != m)
		return eap_fail(x, "the server changes its mind about the method");
	e = x->method ? ERR_OK : choose(x, m);
	return e ? e : process(x, p->data);
}

static enum err take_as_peer(struct eap *x, const struct eap_packet *p)
{
	switch (p->code) {
	case EAP_REQUEST:
		return take_request(x, p);
	case EAP_SUCCESS:
		if (!x->done) /* S21 */
			return eap_fail(x, "the server says that all is well before anything was "
					   "proven");
		return succeed(x);
	case EAP_FAILURE:
		if (x->why[0])
			return ERR_AUTH;
		return eap_fail(x, "the server says no, and not why");
	default:
		return ERR_MALFORMED;
	}
}

static enum err take_identity(struct eap *x, const struct eap_packet *p)
{
	enum err e;

	if (p->type != EAP_TYPE_IDENTITY)
		return ERR_MALFORMED;
	e = eap_id_of(&x->params.identity, p->data);
	if (e)
		return e;
	x->named = true;
	return x->params.relay ? eap_relay_take(x, p) : begin_method(x);
}

static enum err take_as_server(struct eap *x, const struct eap_packet *p)
{
	if (p->code != EAP_RESPONSE || p->id != x->id)
		return ERR_MALFORMED;
	if (!x->named)
		return take_identity(x, p);
	if (x->params.relay)
		return eap_relay_take(x, p);
	if (p->type == EAP_TYPE_NAK)
		return eap_fail(x, "it does not want to do EAP-%s", eap_type_name(x->method->type));
	return p->type == x->method->type ? process(x, p->data) : ERR_MALFORMED;
}

/* Once over, or wrong, it stays so: no later packet mends it. */
static enum err settle(struct eap *x, enum err e)
{
	if (e) {
		x->broken = true;
		x->over = x->done = false;
		secret_fini(&x->msk);
	}
	return e;
}

enum err eap_take(struct eap *x, struct bytes packet)
{
	struct eap_packet p;
	enum err e;

	if (x->broken || x->over || x->wants != EAP_WANTS_PACKET)
		return settle(x, ERR_MALFORMED);
	if (++x->rounds > EAP_ROUNDS_MAX)
		return settle(x, eap_fail(x, "it takes more than %d packets", EAP_ROUNDS_MAX));
	e = eap_packet_parse(&p, packet);
	if (!e)
		e = x->params.server ? take_as_server(x, &p) : take_as_peer(x, &p);
	return settle(x, e);
}

enum err eap_answer(struct eap *x, const struct eap_answer *answer)
{
	enum err e;

	if (x->broken || x->wants == EAP_WANTS_PACKET || x->wants == EAP_WANTS_NOTHING)
		return settle(x, ERR_BAD_STATE);
	x->answer = answer;
	x->wants = EAP_WANTS_PACKET;
	e = x->params.relay ? eap_relay_answer(x) : process(x, bytes_of(x->held, x->held_len));
	x->answer = NULL;
	return settle(x, e);
}

uint32_t eap_chain(const struct eap *x, struct bytes out[static EAP_MAX_CERTS])
{
	return x->state && x->method->chain ? x->method->chain(x->state, out) : 0;
}

/* ---- what came of it ------------------------------------------------------------------------- */

enum eap_wants eap_wants(const struct eap *x)
{
	return x->wants;
}

struct bytes eap_packet(const struct eap *x)
{
	return bytes_of(x->out, x->out_len);
}

struct bytes eap_failed(struct eap *x)
{
	if (say_data(x, EAP_FAILURE, EAP_TYPE_NONE, bytes_of(NULL, 0)))
		return bytes_of(NULL, 0);
	return eap_packet(x);
}

struct bytes eap_msk(const struct eap *x)
{
	const bool complete = x->done && x->over && !x->broken;

	return complete ? bytes_of(x->msk.p, x->msk.len) : bytes_of(NULL, 0);
}

const struct ike_id *eap_identity(const struct eap *x)
{
	return &x->params.identity;
}

uint8_t eap_type(const struct eap *x)
{
	return x->method ? x->method->type : x->relayed_type;
}

struct bytes eap_relayed(const struct eap *x)
{
	return x->wants == EAP_WANTS_SERVER ? bytes_of(x->held, x->held_len) : bytes_of(NULL, 0);
}

struct bytes eap_name(const struct eap *x)
{
	return bytes_of(x->name, x->name_len);
}

struct bytes eap_token(const struct eap *x)
{
	return bytes_of(x->token, x->token_len);
}

uint32_t eap_session_s(const struct eap *x)
{
	return x->session_s;
}

const char *eap_why(const struct eap *x)
{
	return x->why;
}
