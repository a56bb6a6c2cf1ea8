/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/aaa.h"

#include <assert.h>
#include <string.h>

#include "control/auth/eap/method.h"
#include "tests/sim/drawn.h"

/* ROOM - conversations at a time; the oldest one goes for a new one. */
#define ROOM 8

/* struct conversation - number: what leads back to it, 0 = none. */
struct conversation {
	struct eap *x;
	uint32_t number;
};

static struct {
	struct crypto_ctx *crypto;
	struct rng_seeded rng;
	struct conversation room[ROOM];
	struct ike_aaa said;
	uint32_t num, accepted;
} aaa;

void aaa_end(void)
{
	for (size_t i = 0; i < ROOM; i++)
		eap_free(aaa.room[i].x);
	crypto_ctx_free(aaa.crypto);
	memset(&aaa, 0, sizeof(aaa));
}

void aaa_begin(uint64_t seed)
{
	enum err e;

	aaa_end();
	rng_seeded_init(&aaa.rng, seed);
	e = crypto_ctx_new(&aaa.crypto, &aaa.rng.rng);
	assert(!e);
}

uint32_t aaa_accepted(void)
{
	return aaa.accepted;
}

/* The gateway has asked for the name: the first packet is the answer to that. */
static struct conversation *begun(const struct ike_ask *ask)
{
	const struct eap_params p = {.crypto = aaa.crypto,
				     .server = true,
				     .type = EAP_TYPE_MSCHAPV2,
				     .asks_identity = true};
	struct conversation *c = &aaa.room[aaa.num % ROOM];

	eap_free(c->x);
	*c = (struct conversation){.number = ++aaa.num};
	if (eap_new(&c->x, &p) || eap_begin(c->x))
		return NULL;
	c->x->id = ask->eap_packet.p[1];
	return c;
}

static struct conversation *known(struct bytes token)
{
	for (size_t i = 0; i < ROOM; i++) {
		struct conversation *c = &aaa.room[i];

		if (c->number && bytes_equal(token, bytes_of(&c->number, sizeof(c->number))))
			return c;
	}
	return NULL;
}

static enum err take(struct eap *x, struct bytes packet)
{
	const struct eap_answer password = {
		.secret = bytes_of(CAROLS_PASSWORD, strlen(CAROLS_PASSWORD))};
	enum err e = eap_take(x, packet);

	while (!e && eap_wants(x) == EAP_WANTS_SECRET)
		e = eap_answer(x, &password);
	return e;
}

void aaa_answer(const struct ike_ask *ask, struct ike_answer *out)
{
	struct conversation *c = ask->aaa_token.len ? known(ask->aaa_token) : begun(ask);
	struct ike_aaa *said = &aaa.said;

	if (!c) {
		*out = (struct ike_answer){.reason = IKE_REASON_AAA, .text = "it has forgotten"};
		return;
	}
	*said = (struct ike_aaa){.token = bytes_of(&c->number, sizeof(c->number))};
	*out = (struct ike_answer){.allow = true, .aaa = said};
	if (take(c->x, ask->eap_packet)) {
		out->text = "it is not carol";
		said->packet = eap_failed(c->x);
		return;
	}
	said->packet = eap_packet(c->x);
	said->accepted = eap_wants(c->x) == EAP_WANTS_NOTHING;
	said->key = eap_msk(c->x);
	aaa.accepted += said->accepted;
}
