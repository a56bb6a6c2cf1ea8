/* SPDX-License-Identifier: Apache-2.0 */
#include "api/token/pkcs11.h"

#include <p11-kit/p11-kit.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/mman.h>

#include "api/token/objects.h"
#include "base/alloc.h"
#include "base/secret.h"

#define SLOTS_MAX 32

/* WRONG_MAX - wrong PINs that are remembered, of all places together. */
#define WRONG_MAX 256

/* struct pkcs11_wrong - hashes of PINs that were wrong, each with the place that it is of. */
struct pkcs11_wrong {
	uint8_t key[crypto_generichash_KEYBYTES];
	uint32_t next; /* the oldest goes */
	uint8_t hashes[WRONG_MAX][crypto_generichash_BYTES];
};

/* struct place - a token that a session is open to. */
struct place {
	CK_SLOT_ID slot;
	CK_SESSION_HANDLE session;
	bool open;
};

/* struct module - f NULL: it is not loaded yet. */
struct module {
	const struct conf_module *conf;
	CK_FUNCTION_LIST *f;
	struct place places[SLOTS_MAX];
	uint32_t num_places;
};

struct pkcs11 {
	struct module modules[CONF_MAX_MODULES];
	uint32_t num;
	struct pkcs11_wrong *wrong;
};

/* struct work - one request under way. */
struct work {
	struct pkcs11 *p;
	struct module *m;
	const struct token_request *r;
	struct token_reply *out;
};

struct pkcs11_wrong *pkcs11_wrong_new(void)
{
	struct pkcs11_wrong *w;

	if (sodium_init() < 0)
		return NULL;
	w = mmap(NULL, sizeof(*w), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (w == MAP_FAILED)
		return NULL;
	randombytes_buf(w->key, sizeof(w->key));
	return w;
}

struct pkcs11 *pkcs11_new(const struct conf_module *modules, uint32_t num,
			  struct pkcs11_wrong *wrong)
{
	struct pkcs11 *p = wrong ? mem_alloc(sizeof(*p)) : NULL;

	if (!p)
		return NULL;
	for (uint32_t i = 0; i < num && i < CONF_MAX_MODULES; i++)
		p->modules[p->num++].conf = &modules[i];
	p->wrong = wrong;
	return p;
}

/* ---- why not --------------------------------------------------------------------------------- */

static const struct meaning {
	CK_RV rv;
	const char *text;
} meanings[] = {
	{CKR_PIN_INCORRECT, "its PIN is wrong (secrets, `pin`): it is not tried again"},
	{CKR_PIN_INVALID, "its PIN is wrong (secrets, `pin`): it is not tried again"},
	{CKR_PIN_LEN_RANGE, "its PIN is wrong (secrets, `pin`): it is not tried again"},
	{CKR_PIN_LOCKED, "its PIN is locked: unlock it with the tool of its vendor"},
	{CKR_PIN_EXPIRED, "its PIN has expired: set another one with the tool of its vendor"},
	{CKR_USER_PIN_NOT_INITIALIZED, "it has no PIN yet: give it one with its vendor's tool"},
	{CKR_TOKEN_NOT_PRESENT, "it is gone, or was never there: put it in its slot"},
	{CKR_DEVICE_REMOVED, "it is gone: put it in its slot again"},
	{CKR_TOKEN_NOT_RECOGNIZED, "what is in its slot is not known to the module"},
	{CKR_MECHANISM_INVALID, "it makes no signatures of the kind that is wanted"},
	{CKR_MECHANISM_PARAM_INVALID, "it makes no signatures of the kind that is wanted"},
	{CKR_KEY_FUNCTION_NOT_PERMITTED, "its key may not sign (CKA_SIGN)"},
	{CKR_KEY_TYPE_INCONSISTENT, "its key is of a kind that does not sign here"},
	{CKR_DATA_INVALID, "what it answers is not encoded as PKCS#11 says"},
	{CKR_ATTRIBUTE_TYPE_INVALID,
	 "there is neither a public key nor a certificate beside its private key: put one there, "
	 "with the same CKA_ID"},
};

static void why(struct work *w, CK_RV rv)
{
	for (size_t i = 0; i < ARRAY_LEN(meanings); i++) {
		if (meanings[i].rv == rv) {
			snprintf(w->out->why, sizeof(w->out->why), "%s", meanings[i].text);
			return;
		}
	}
	snprintf(w->out->why, sizeof(w->out->why), "%s (0x%lx)", p11_kit_strerror(rv), rv);
}

/* ---- sessions -------------------------------------------------------------------------------- */

static struct place *place_of(struct module *m, CK_SLOT_ID slot)
{
	for (uint32_t i = 0; i < m->num_places; i++) {
		if (m->places[i].slot == slot)
			return &m->places[i];
	}
	if (m->num_places == SLOTS_MAX)
		return NULL;
	m->places[m->num_places] = (struct place){.slot = slot};
	return &m->places[m->num_places++];
}

static void place_close(struct work *w, struct place *at)
{
	if (at->open)
		(void)w->m->f->C_CloseSession(at->session);
	at->open = false;
}

static CK_RV place_open(struct work *w, struct place *at)
{
	CK_SESSION_INFO info;
	CK_RV rv;

	if (at->open && w->m->f->C_GetSessionInfo(at->session, &info) != CKR_OK)
		place_close(w, at);
	if (at->open)
		return CKR_OK;
	rv = w->m->f->C_OpenSession(at->slot, CKF_SERIAL_SESSION, NULL, NULL, &at->session);
	at->open = rv == CKR_OK;
	return rv;
}

static CK_RV module_load(struct work *w)
{
	CK_FUNCTION_LIST *f;
	CK_RV rv;

	if (w->m->f)
		return CKR_OK;
	f = p11_kit_module_load(w->m->conf->path, P11_KIT_MODULE_UNMANAGED);
	if (!f)
		return CKR_GENERAL_ERROR;
	rv = p11_kit_module_initialize(f);
	if (rv == CKR_OK)
		w->m->f = f;
	else
		p11_kit_module_release(f);
	return rv;
}

/* ---- logins ---------------------------------------------------------------------------------- */

static bool say(struct work *w, const char *text)
{
	snprintf(w->out->why, sizeof(w->out->why), "%s", text);
	return false;
}

static bool is_logged_in(const struct work *w, const struct place *at)
{
	CK_SESSION_INFO info;

	return w->m->f->C_GetSessionInfo(at->session, &info) == CKR_OK &&
	       (info.state == CKS_RO_USER_FUNCTIONS || info.state == CKS_RW_USER_FUNCTIONS);
}

/* A PIN of another place is another one. */
static void hash_pin(uint8_t out[static crypto_generichash_BYTES], const struct work *w,
		     const struct place *at)
{
	const uint64_t place[] = {(uint64_t)(w->m - w->p->modules), at->slot};
	crypto_generichash_state state;

	crypto_generichash_init(&state, w->p->wrong->key, sizeof(w->p->wrong->key),
				crypto_generichash_BYTES);
	crypto_generichash_update(&state, (const uint8_t *)place, sizeof(place));
	crypto_generichash_update(&state, w->r->pin, w->r->pin_len);
	crypto_generichash_final(&state, out, crypto_generichash_BYTES);
	secret_wipe(&state, sizeof(state));
}

static bool was_wrong(const struct pkcs11_wrong *wrong, const uint8_t *hash)
{
	for (size_t i = 0; i < WRONG_MAX; i++) {
		if (sodium_memcmp(wrong->hashes[i], hash, crypto_generichash_BYTES) == 0)
			return true;
	}
	return false;
}

/* Not a try is spent where the answer is known, or where it would be the last one. */
static bool may_try(struct work *w, const uint8_t *hash, CK_FLAGS flags)
{
	if (flags & CKF_USER_PIN_LOCKED)
		return say(w, "its PIN is locked: unlock it with the tool of its vendor");
	if (flags & CKF_USER_PIN_FINAL_TRY)
		return say(w, "it takes one more PIN before it locks itself, which is not tried: "
			      "log in to it once with another program");
	if (was_wrong(w->p->wrong, hash))
		return say(w,
			   "its PIN was not taken before (secrets, `pin`), and is not tried again");
	return true;
}

static bool is_wrong(CK_RV rv)
{
	return rv == CKR_PIN_INCORRECT || rv == CKR_PIN_INVALID || rv == CKR_PIN_LEN_RANGE;
}

/* try - a PIN counts as wrong until the module says something else: one that ends or hangs over it
 * may have spent a try, and whoever asks next must not spend another. */
static CK_RV try(struct work *w, struct place *at, CK_USER_TYPE user, const uint8_t *hash)
{
	struct pkcs11_wrong *wrong = w->p->wrong;
	uint8_t *place = wrong->hashes[wrong->next++ % WRONG_MAX]; /* nobody else's from now on */
	uint8_t before[crypto_generichash_BYTES], pin[TOKEN_PIN_MAX];
	CK_RV rv;

	memcpy(before, place, sizeof(before));
	memcpy(place, hash, sizeof(before));
	memcpy(pin, w->r->pin, w->r->pin_len);
	rv = w->m->f->C_Login(at->session, user, pin, w->r->pin_len);
	secret_wipe(pin, sizeof(pin));
	if (!is_wrong(rv)) {
		memcpy(place, before, sizeof(before));
		wrong->next--;
	}
	return rv;
}

/* present - the PIN is given to the token: every way there is leads through here. */
static bool present(struct work *w, struct place *at, CK_USER_TYPE user)
{
	uint8_t hash[crypto_generichash_BYTES];
	CK_TOKEN_INFO info;
	CK_RV rv = w->m->f->C_GetTokenInfo(at->slot, &info);

	hash_pin(hash, w, at);
	if (rv == CKR_OK && !may_try(w, hash, info.flags))
		return false;
	if (rv == CKR_OK)
		rv = try(w, at, user, hash);
	if (rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN)
		return true;
	why(w, rv);
	return false;
}

static bool login(struct work *w, struct place *at)
{
	CK_TOKEN_INFO info;

	if (w->m->f->C_GetTokenInfo(at->slot, &info) == CKR_OK &&
	    (!(info.flags & CKF_LOGIN_REQUIRED) || is_logged_in(w, at)))
		return true;
	return present(w, at, CKU_USER);
}

/* ---- what is asked --------------------------------------------------------------------------- */

static struct bytes handle_of(const struct token_request *r)
{
	return bytes_of(r->handle, r->handle_len);
}

static bool find(struct work *w, struct object *o, CK_OBJECT_CLASS class, const char *none)
{
	CK_RV rv = object_find(o, class, handle_of(w->r));

	if (rv == CKR_OK && o->handle)
		return true;
	if (rv == CKR_OK)
		return say(w, none);
	why(w, rv);
	return false;
}

#define NO_KEY  "it holds no private key with this handle (CKA_ID)"
#define NO_CERT "it holds no certificate with this handle (CKA_ID)"

static bool do_cert(struct work *w, struct object *o)
{
	CK_RV rv;

	if (!find(w, o, CKO_CERTIFICATE, NO_CERT))
		return false;
	rv = object_value(w->out, o);
	if (rv != CKR_OK)
		why(w, rv);
	return rv == CKR_OK;
}

/* The private key must be there; what it is called in public is found beside it. */
static bool do_key(struct work *w, struct object *o)
{
	static const CK_OBJECT_CLASS classes[] = {CKO_PUBLIC_KEY, CKO_CERTIFICATE, CKO_PRIVATE_KEY};
	CK_RV first = CKR_OK;

	if (!find(w, o, CKO_PRIVATE_KEY, NO_KEY))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
		CK_RV rv = object_find(o, classes[i], handle_of(w->r));

		if (rv == CKR_OK && !o->handle)
			continue;
		if (rv == CKR_OK)
			rv = object_public(w->out, o, classes[i]);
		if (rv == CKR_OK)
			return true;
		first = first == CKR_OK ? rv : first;
	}
	why(w, first);
	return false;
}

static const struct way {
	CK_MECHANISM_TYPE type, hash;
	CK_RSA_PKCS_MGF_TYPE mgf;
	CK_ULONG hash_len;
} ways[IKE_NUM_SCHEMES] = {
	[IKE_SCHEME_ED25519] = {CKM_EDDSA, 0, 0, 0},
	[IKE_SCHEME_ECDSA_SHA2_256] = {CKM_ECDSA, 0, 0, 0},
	[IKE_SCHEME_ECDSA_SHA2_384] = {CKM_ECDSA, 0, 0, 0},
	[IKE_SCHEME_ECDSA_SHA2_512] = {CKM_ECDSA, 0, 0, 0},
	[IKE_SCHEME_RSA_PSS_SHA2_256] = {CKM_RSA_PKCS_PSS, CKM_SHA256, CKG_MGF1_SHA256, 32},
	[IKE_SCHEME_RSA_PSS_SHA2_384] = {CKM_RSA_PKCS_PSS, CKM_SHA384, CKG_MGF1_SHA384, 48},
	[IKE_SCHEME_RSA_PSS_SHA2_512] = {CKM_RSA_PKCS_PSS, CKM_SHA512, CKG_MGF1_SHA512, 64},
};

/* sign_with - a key may want the PIN for each signature (CKA_ALWAYS_AUTHENTICATE), between the two
 * calls; where it is not right what was begun goes with the session. */
static bool sign_with(struct work *w, struct place *at, const struct object *o,
		      CK_MECHANISM *mechanism)
{
	uint8_t data[IKE_TOKEN_DATA_MAX];
	CK_ULONG len = sizeof(w->out->result);
	CK_RV rv = o->f->C_SignInit(o->session, mechanism, o->handle);

	if (rv == CKR_OK && object_flag(o, CKA_ALWAYS_AUTHENTICATE) &&
	    !present(w, at, CKU_CONTEXT_SPECIFIC)) {
		place_close(w, at);
		return false;
	}
	memcpy(data, w->r->data, w->r->data_len);
	if (rv == CKR_OK)
		rv = o->f->C_Sign(o->session, data, w->r->data_len, w->out->result, &len);
	if (rv == CKR_OK && (!len || len > sizeof(w->out->result)))
		rv = CKR_DATA_INVALID;
	w->out->len = rv == CKR_OK ? (uint32_t)len : 0;
	if (rv == CKR_OK && mechanism->mechanism == CKM_ECDSA)
		rv = signature_der(w->out);
	if (rv != CKR_OK)
		why(w, rv);
	return rv == CKR_OK;
}

static bool do_sign(struct work *w, struct place *at, struct object *o)
{
	const struct way *way = w->r->scheme < IKE_NUM_SCHEMES ? &ways[w->r->scheme] : &ways[0];
	CK_RSA_PKCS_PSS_PARAMS pss = {.hashAlg = way->hash, .mgf = way->mgf, .sLen = way->hash_len};
	CK_MECHANISM mechanism = {.mechanism = way->type};

	if (!way->type)
		return say(w, "it makes no signatures of the kind that is wanted");
	if (way->hash_len) {
		mechanism.pParameter = &pss;
		mechanism.ulParameterLen = sizeof(pss);
	}
	return find(w, o, CKO_PRIVATE_KEY, NO_KEY) && sign_with(w, at, o, &mechanism);
}

/* ---- which token ----------------------------------------------------------------------------- */

/* An empty slot of a module that makes tokens on demand counts as none. */
static bool is_token(const struct work *w, CK_SLOT_ID slot)
{
	CK_TOKEN_INFO info;

	return w->m->f->C_GetTokenInfo(slot, &info) == CKR_OK &&
	       (info.flags & CKF_TOKEN_INITIALIZED);
}

/* Something with this handle is to be seen there without a PIN. */
static bool shows(struct work *w, struct place *at)
{
	struct object o = {.f = w->m->f, .session = at->session};

	if (object_find(&o, CKO_CERTIFICATE, handle_of(w->r)) == CKR_OK && o.handle)
		return true;
	return object_find(&o, CKO_PUBLIC_KEY, handle_of(w->r)) == CKR_OK && o.handle;
}

/* A PIN is given to one token: to the one in the slot that is named, else to the one that shows
 * something with this handle, else to the only one. */
static struct place *choose(struct work *w)
{
	CK_SLOT_ID slots[SLOTS_MAX];
	CK_ULONG num = SLOTS_MAX;
	struct place *last = NULL;
	uint32_t tokens = 0;
	CK_RV rv = w->m->f->C_GetSlotList(CK_TRUE, slots, &num);

	for (CK_ULONG i = 0; rv == CKR_OK && i < num; i++) {
		const bool any = w->r->slot == CONF_TOKEN_ANY;

		if ((!any && w->r->slot != slots[i]) || !is_token(w, slots[i]))
			continue;
		tokens++;
		last = place_of(w->m, slots[i]);
		rv = last ? place_open(w, last) : CKR_HOST_MEMORY;
		if (rv == CKR_OK && (!any || shows(w, last)))
			return last;
	}
	if (rv == CKR_OK && tokens == 1)
		return last;
	if (rv != CKR_OK)
		why(w, rv);
	else
		say(w, tokens ? "none of several tokens shows something with this handle (CKA_ID): "
				"name the slot (`slot`)"
			      : "it is gone, or was never there: there is none in its slot");
	return NULL;
}

static bool perform(struct work *w)
{
	struct object o = {.f = w->m->f};
	struct place *at = choose(w);

	if (!at)
		return false;
	o.session = at->session;
	switch (w->r->op) {
	case IKE_TOKEN_CERT:
		return do_cert(w, &o);
	case IKE_TOKEN_KEY:
		return login(w, at) && do_key(w, &o);
	case IKE_TOKEN_SIGN:
		return login(w, at) && do_sign(w, at, &o);
	default:
		return say(w, "it is asked for what it does not know");
	}
}

static bool is_sane(const struct token_request *r)
{
	return r->handle_len && r->handle_len <= sizeof(r->handle) &&
	       r->pin_len <= sizeof(r->pin) && r->data_len <= sizeof(r->data);
}

static bool find_module(struct work *w)
{
	CK_RV rv;

	for (uint32_t i = 0; w->p && i < w->p->num; i++) {
		if (strncmp(w->p->modules[i].conf->name, w->r->module, sizeof(w->r->module)) == 0)
			w->m = &w->p->modules[i];
	}
	if (!w->m)
		return say(w, "its module was not in latchkey.pkcs11 when the daemon started: "
			      "start it anew");
	rv = module_load(w);
	if (rv == CKR_OK)
		return true;
	snprintf(w->out->why, sizeof(w->out->why), "its module %.80s cannot be loaded: %.45s",
		 w->m->conf->path, p11_kit_strerror(rv));
	return false;
}

void pkcs11_do(struct pkcs11 *p, struct token_reply *out, const struct token_request *request)
{
	struct work w = {.p = p, .r = request, .out = out};

	memset(out, 0, sizeof(*out));
	out->id = request->id;
	if (is_sane(request) && find_module(&w) && perform(&w))
		return;
	out->len = 0;
	if (!out->why[0])
		say(&w, "it was asked wrongly");
}
