/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/ticket.h"

#include <sodium.h>

#include "base/alloc.h"
#include "base/reader.h"
#include "base/writer.h"

#define VERSION   2
#define NONCE_LEN crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_LEN   crypto_aead_xchacha20poly1305_ietf_ABYTES
#define KEY_LEN   crypto_aead_xchacha20poly1305_ietf_KEYBYTES
#define AD_LEN    (1 + 8) /* version and the key's number, which are in the clear */

static_assert(TICKET_OVERHEAD == AD_LEN + NONCE_LEN + TAG_LEN, "what sealing adds");

/* ---- text ------------------------------------------------------------------------------------ */

static void write_bytes(struct writer *w, struct bytes b)
{
	const size_t mark = writer_begin_u16(w);

	writer_bytes(w, b.p, b.len);
	writer_end_u16(w, mark, 0);
}

static void write_id(struct writer *w, const struct ike_id *id)
{
	writer_u8(w, id->type);
	write_bytes(w, bytes_of(id->data, id->len));
}

enum err ticket_write(uint8_t *buf, size_t cap, struct bytes *out, const struct ticket *t)
{
	const struct auth_proof_params *p = &t->proven;
	struct writer w;

	writer_init(&w, buf, cap);
	writer_u32(&w, t->id.number);
	writer_u64(&w, t->expires_ns);
	writer_u64(&w, t->auth_until_ns);
	writer_u16(&w, t->encr.id);
	writer_u16(&w, t->encr.key_bits);
	writer_u16(&w, t->encr.integ);
	writer_u16(&w, t->prf);
	writer_u16(&w, t->dh);
	for (size_t i = 0; i < ARRAY_LEN(t->addke); i++)
		writer_u16(&w, t->addke[i]);
	write_bytes(&w, t->sk_d);
	write_bytes(&w, t->conn);
	write_id(&w, &t->idi);
	writer_u8(&w, (uint8_t)p->method);
	writer_u8(&w, p->eap);
	writer_u8(&w, p->ppk);
	write_id(&w, &p->local);
	write_id(&w, &p->peer);
	write_bytes(&w, p->local_key);
	write_bytes(&w, p->peer_key);
	write_bytes(&w, p->ca);
	write_bytes(&w, p->subject);
	writer_u8(&w, (uint8_t)t->num_certs);
	for (uint32_t i = 0; i < t->num_certs; i++) {
		writer_u8(&w, t->certs[i].encoding);
		write_bytes(&w, t->certs[i].data);
	}
	return writer_finish(&w, out);
}

static enum err read_bytes(struct reader *r, struct bytes *out)
{
	uint16_t len;
	enum err e = reader_u16(r, &len);

	return e ? e : reader_bytes(r, out, len);
}

static enum err read_id(struct reader *r, struct ike_id *out)
{
	struct bytes data;
	enum err e = reader_u8(r, &out->type);

	if (!e)
		e = read_bytes(r, &data);
	if (!e && data.len > sizeof(out->data))
		e = ERR_LIMIT;
	if (e)
		return e;
	out->len = (uint16_t)data.len;
	memcpy(out->data, data.p, data.len);
	return ERR_OK;
}

static enum err read_suite(struct reader *r, struct ticket *t)
{
	uint16_t *const fields[] = {&t->encr.id, &t->encr.key_bits, &t->encr.integ, &t->prf,
				    &t->dh};
	enum err e = ERR_OK;

	for (size_t i = 0; !e && i < ARRAY_LEN(fields); i++)
		e = reader_u16(r, fields[i]);
	for (size_t i = 0; !e && i < ARRAY_LEN(t->addke); i++)
		e = reader_u16(r, &t->addke[i]);
	return e ? e : read_bytes(r, &t->sk_d);
}

static enum err read_proven(struct reader *r, struct auth_proof_params *p)
{
	struct bytes *const views[] = {&p->local_key, &p->peer_key, &p->ca, &p->subject};
	uint8_t method = 0, ppk = 0;
	enum err e = reader_u8(r, &method);

	if (!e)
		e = reader_u8(r, &p->eap);
	if (!e)
		e = reader_u8(r, &ppk);
	if (!e && (method >= AUTH_NUM_METHODS || ppk > 1))
		e = ERR_MALFORMED;
	if (!e)
		e = read_id(r, &p->local);
	if (!e)
		e = read_id(r, &p->peer);
	for (size_t i = 0; !e && i < ARRAY_LEN(views); i++)
		e = read_bytes(r, views[i]);
	p->method = (enum auth_method)method;
	p->ppk = ppk;
	return e;
}

static enum err read_certs(struct reader *r, struct ticket *t)
{
	uint8_t num = 0;
	enum err e = reader_u8(r, &num);

	if (!e && num > TICKET_CERTS)
		e = ERR_LIMIT;
	for (t->num_certs = 0; !e && t->num_certs < num; t->num_certs++) {
		struct ike_cert *c = &t->certs[t->num_certs];

		e = reader_u8(r, &c->encoding);
		if (!e)
			e = read_bytes(r, &c->data);
	}
	return e;
}

enum err ticket_parse(struct ticket *out, struct bytes text)
{
	struct ticket t = {.num_certs = 0};
	struct reader r;
	enum err e;

	reader_init(&r, text.p, text.len);
	e = reader_u32(&r, &t.id.number);
	if (!e)
		e = reader_u64(&r, &t.expires_ns);
	if (!e)
		e = reader_u64(&r, &t.auth_until_ns);
	if (!e)
		e = read_suite(&r, &t);
	if (!e)
		e = read_bytes(&r, &t.conn);
	if (!e)
		e = read_id(&r, &t.idi);
	if (!e)
		e = read_proven(&r, &t.proven);
	if (!e)
		e = read_certs(&r, &t);
	if (!e && (!reader_empty(&r) || t.id.number >= TICKETS_PER_KEY))
		e = ERR_MALFORMED;
	if (e)
		return e;
	*out = t;
	return ERR_OK;
}

/* ---- keys ------------------------------------------------------------------------------------ */

static void key_fini(struct ticket_key *k)
{
	secret_fini(&k->key);
	mem_free(k->spent);
	*k = (struct ticket_key){.id = 0};
}

void ticket_jar_void(struct ticket_jar *jar)
{
	for (size_t i = 0; i < ARRAY_LEN(jar->keys); i++)
		key_fini(&jar->keys[i]);
}

/* A key's tickets are all too old when the one after the next takes its place, or there were more
 * of them than anybody needs. */
static enum err next_key(struct ticket_jar *jar, const struct rng *rng, uint64_t now_ns)
{
	struct ticket_key k = {.until_ns = now_ns + TICKET_NS};
	enum err e = secret_init(&k.key, KEY_LEN);

	if (!e)
		e = rng_fill(rng, k.key.p, KEY_LEN);
	while (!e && !k.id)
		e = rng_fill(rng, &k.id, sizeof(k.id));
	if (!e)
		k.spent = mem_alloc(TICKETS_PER_KEY / 8);
	if (!e && !k.spent)
		e = ERR_NOMEM;
	if (e) {
		key_fini(&k);
		return e;
	}
	key_fini(&jar->keys[1]);
	jar->keys[1] = jar->keys[0];
	jar->keys[0] = k;
	return ERR_OK;
}

static const struct ticket_key *find_key(const struct ticket_jar *jar, uint64_t id)
{
	for (size_t i = 0; id && i < ARRAY_LEN(jar->keys); i++)
		if (jar->keys[i].id == id)
			return &jar->keys[i];
	return NULL;
}

void ticket_spend(struct ticket_jar *jar, struct ticket_id id)
{
	const struct ticket_key *k = find_key(jar, id.key);

	if (k && id.number < TICKETS_PER_KEY)
		k->spent[id.number / 8] |= (uint8_t)(1u << id.number % 8);
}

bool ticket_is_spent(const struct ticket_jar *jar, struct ticket_id id)
{
	const struct ticket_key *k = find_key(jar, id.key);

	return !k || id.number >= k->next || (k->spent[id.number / 8] & 1u << id.number % 8);
}

/* ---- sealed ---------------------------------------------------------------------------------- */

static void write_head(uint8_t head[static AD_LEN], uint64_t key)
{
	const struct be64 id = be64_make(key);

	head[0] = VERSION;
	memcpy(head + 1, &id, sizeof(id));
}

static enum err seal(const struct ticket_key *k, const struct rng *rng, uint8_t *out,
		     size_t *out_len, const struct ticket *t)
{
	uint8_t text[TICKET_TEXT_MAX], *nonce = out + AD_LEN;
	unsigned long long len = 0;
	struct bytes plain;
	enum err e = ticket_write(text, sizeof(text), &plain, t);

	if (!e)
		e = rng_fill(rng, nonce, NONCE_LEN);
	if (!e) {
		write_head(out, k->id);
		crypto_aead_xchacha20poly1305_ietf_encrypt(nonce + NONCE_LEN, &len, plain.p,
							   plain.len, out, AD_LEN, NULL, nonce,
							   k->key.p);
		*out_len = AD_LEN + NONCE_LEN + (size_t)len;
	}
	secret_wipe(text, sizeof(text));
	return e;
}

enum err ticket_seal(struct ticket_jar *jar, const struct rng *rng, uint8_t *out, size_t *out_len,
		     struct ticket *t, uint64_t now_ns)
{
	struct ticket_key *k = &jar->keys[0];
	enum err e = ERR_OK;

	if (!k->id || now_ns >= k->until_ns || k->next == TICKETS_PER_KEY)
		e = next_key(jar, rng, now_ns);
	if (e)
		return e;
	t->id = (struct ticket_id){.key = k->id, .number = k->next};
	e = seal(k, rng, out, out_len, t);
	if (!e)
		k->next++;
	return e;
}

static enum err open_text(const struct ticket_key *k, struct secret *text, struct bytes sealed)
{
	const uint8_t *nonce = sealed.p + AD_LEN;
	enum err e = secret_init(text, sealed.len - TICKET_OVERHEAD);

	if (e)
		return e;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(text->p, NULL, NULL, nonce + NONCE_LEN,
						       sealed.len - AD_LEN - NONCE_LEN, sealed.p,
						       AD_LEN, nonce, k->key.p) == 0)
		return ERR_OK;
	secret_fini(text);
	return ERR_AUTH;
}

enum err ticket_open(const struct ticket_jar *jar, struct ticket *out, struct secret *text,
		     struct bytes sealed, uint64_t now_ns)
{
	const struct ticket_key *k;
	struct ticket t;
	enum err e;

	if (sealed.len <= TICKET_OVERHEAD)
		return ERR_TRUNCATED;
	if (sealed.len > TICKET_MAX)
		return ERR_LIMIT;
	k = sealed.p[0] == VERSION ? find_key(jar, load_be64(sealed.p + 1)) : NULL;
	if (!k)
		return ERR_NOT_FOUND;
	e = open_text(k, text, sealed);
	if (e)
		return e;
	e = ticket_parse(&t, bytes_of(text->p, text->len));
	t.id.key = k->id;
	if (!e && now_ns >= t.expires_ns)
		e = ERR_TIMEOUT;
	if (!e && ticket_is_spent(jar, t.id))
		e = ERR_EXISTS;
	if (e) {
		secret_fini(text);
		return e;
	}
	*out = t;
	return ERR_OK;
}
