/* SPDX-License-Identifier: Apache-2.0 */
/* relay.c - a gateway between a client and the server that knows it (RFC 3579 2): packets pass as
 * they are, once they are packets that have their place, and what the server says in the end is
 * believed, for who brings it here has proven that it is the server's. */
#include "control/auth/eap/method.h"
#include "control/engine.h"
#include "control/ike/wire/proto.h"

/* METHODS_FROM - types below are of EAP itself (RFC 3748 5). */
#define METHODS_FROM 4

/* EAP_LENGTH_AT - where a packet says how long it is. */
#define EAP_LENGTH_AT 2

/* The client's packet is the server's to see. */
static enum err relay(struct eap *x, const uint8_t *packet, size_t len)
{
	if (len > sizeof(x->held))
		return ERR_LIMIT;
	if (packet != x->held)
		memcpy(x->held, packet, len);
	x->held_len = len;
	x->out_len = 0;
	x->wants = EAP_WANTS_SERVER;
	return ERR_OK;
}

/* Errors: LIMIT. */
static enum err note_name(struct eap *x, struct bytes name)
{
	if (name.len > sizeof(x->name))
		return ERR_LIMIT;
	memcpy(x->name, name.p, name.len);
	x->name_len = name.len;
	return ERR_OK;
}

static bool is_text(const struct ike_id *id)
{
	return id->type == ID_FQDN || id->type == ID_RFC822_ADDR;
}

/* Others have the same text, or the server takes it for a name of another kind. */
static bool is_vague(const struct ike_id *id)
{
	return !is_text(id) && id->type != ID_IPV4_ADDR && id->type != ID_IPV6_ADDR;
}

/* A name that is no text goes by the text that people see. */
static struct bytes text_of(char buf[static EAP_NAME_MAX + 1], const struct ike_id *id)
{
	if (is_text(id) || id->type == ID_KEY_ID)
		return bytes_of(id->data, id->len);
	return bytes_of(buf, strlen(ike_id_text(buf, EAP_NAME_MAX + 1, id)));
}

/* The client is taken for whom the server is told of, and for nobody whom it only seems to be: a
 * server may read a name up to a NUL (S22). */
static enum err tell_name(struct eap *x)
{
	char buf[EAP_NAME_MAX + 1];
	const struct bytes name = text_of(buf, &x->params.identity);

	if (!name.len || memchr(name.p, '\0', name.len))
		return eap_fail(x, "its name is empty, or holds a NUL");
	if (note_name(x, name))
		return eap_fail(x, "its name is longer than servers take");
	x->vague = is_vague(&x->params.identity);
	return is_text(&x->params.identity) ? eap_id_of(&x->params.identity, eap_name(x)) : ERR_OK;
}

enum err eap_relay_begin(struct eap *x)
{
	struct bytes packet;
	struct writer w;
	size_t mark;
	enum err e = tell_name(x);

	writer_init(&w, x->held, sizeof(x->held));
	mark = eap_packet_begin(&w, EAP_RESPONSE, x->id, EAP_TYPE_IDENTITY);
	writer_bytes(&w, x->name, x->name_len);
	eap_packet_end(&w, mark);
	if (!e)
		e = writer_finish(&w, &packet);
	return e ? e : relay(x, packet.p, packet.len);
}

/* What is behind the packet's own length does not go on. */
enum err eap_relay_take(struct eap *x, const struct eap_packet *p)
{
	const size_t head = EAP_HEADER_LEN + 1;
	enum err e = ERR_OK;

	if (p->type == EAP_TYPE_IDENTITY)
		e = x->name_len ? ERR_MALFORMED : note_name(x, p->data);
	return e ? e : relay(x, p->data.p - head, head + p->data.len);
}

/* What is behind a packet's own length does not go on in this direction either. */
static enum err say(struct eap *x, struct bytes packet)
{
	const size_t len = load_be16(packet.p + EAP_LENGTH_AT);

	if (len > sizeof(x->out))
		return ERR_LIMIT;
	memcpy(x->out, packet.p, len);
	x->out_len = len;
	x->wants = EAP_WANTS_PACKET;
	return ERR_OK;
}

static enum err take_request(struct eap *x, const struct eap_packet *p, struct bytes packet)
{
	const struct eap_relayed *r = x->answer->relayed;

	if (r->token.len > sizeof(x->token))
		return ERR_LIMIT;
	if (r->token.len)
		memcpy(x->token, r->token.p, r->token.len);
	x->token_len = r->token.len;
	x->id = p->id;
	if (p->type >= METHODS_FROM)
		x->relayed_type = p->type;
	return say(x, packet);
}

/* Whom the server takes the client for; mostly the one whom it was told. Errors: MALFORMED, LIMIT.
 */
static enum err take_name(struct eap *x, struct bytes name)
{
	if (!x->vague && (!name.len || bytes_equal(name, eap_name(x))))
		return ERR_OK;
	return eap_id_of(&x->params.identity, name);
}

/* A server that accepts and says it by no packet of EAP means the same (RFC 3579 2.6.3). */
static enum err take_success(struct eap *x)
{
	const struct eap_relayed *r = x->answer->relayed;
	const uint8_t success[] = {EAP_SUCCESS, x->id, 0, EAP_HEADER_LEN};
	enum err e;

	if (!r->msk.len) /* S21 */
		return eap_fail(x, "the server behind it accepts it without a key");
	if (take_name(x, r->name))
		return eap_fail(x, "the server behind it takes it for nobody that has a name");
	e = secret_init_copy(&x->msk, r->msk.p, r->msk.len);
	if (!e)
		e = say(x, r->packet.len ? r->packet : bytes_of(success, sizeof(success)));
	if (e)
		return e;
	x->session_s = r->session_s;
	x->done = x->over = true;
	x->wants = EAP_WANTS_NOTHING;
	return ERR_OK;
}

static enum err take_failure(struct eap *x)
{
	return eap_fail(x, "%s", x->answer->why ? x->answer->why : "the server behind it says no");
}

/* The packet and what is said beside it have to mean the same. */
enum err eap_relay_answer(struct eap *x)
{
	const struct eap_relayed *r = x->answer->relayed;
	struct eap_packet p = {.code = EAP_FAILURE};

	if (!r)
		return take_failure(x);
	if (r->packet.len && eap_packet_parse(&p, r->packet))
		return eap_fail(x, "the server behind it sends what is no packet of EAP");
	if (r->accepted && (!r->packet.len || p.code == EAP_SUCCESS))
		return take_success(x);
	if (!r->accepted && p.code == EAP_REQUEST)
		return take_request(x, &p, r->packet);
	if (!r->accepted && p.code == EAP_FAILURE)
		return take_failure(x);
	return eap_fail(x, "the server behind it says one thing, and another by EAP");
}
