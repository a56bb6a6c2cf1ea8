/* SPDX-License-Identifier: Apache-2.0 */
/* What the keyring wants is fetched, as far as the fetcher has room, and what has come is told. */
#include "api/engine/internal.h"
#include "base/rng.h"
#include "control/ike/wire/proto.h"
#include "tests/pki_conf.h"
#include "tests/tap/tap.h"

#define CA     "critical,CA:TRUE"
#define PLACES "URI:http://192.0.2.1/a,URI:http://192.0.2.2/b,URI:http://192.0.2.3/c"

/* A fetcher that has room for a few, and tells what it is told to. */
static struct fake {
	uint32_t room, begun, taken;
	enum err full; /* what begin says without room */
	bool at_once;  /* what is begun has failed */
	uint64_t ids[8];
	uint32_t num_ids;
} fake;

static enum err fake_begin(void *ctx, const struct fetch_request *request)
{
	struct fake *f = ctx;

	if (!f->room)
		return f->full;
	CU_ASSERT_TRUE_FATAL(f->num_ids < ARRAY_LEN(f->ids));
	f->room--;
	f->begun++;
	f->ids[f->num_ids++] = request->id;
	return ERR_OK;
}

static void fake_ends(void)
{
	fake.taken++; /* so many may be taken */
}

static bool fake_next(void *ctx, struct fetch_answer *out)
{
	struct fake *f = ctx;

	if (!f->num_ids || (!f->taken && !f->at_once))
		return false;
	f->taken -= f->taken > 0;
	*out = (struct fetch_answer){.id = f->ids[0], .why = "nobody there"};
	memmove(f->ids, f->ids + 1, --f->num_ids * sizeof(f->ids[0]));
	f->room++;
	return true;
}

static const struct fetcher_ops ops = {.begin = fake_begin, .next = fake_next};
static const struct fetcher fetcher = {.ops = &ops, .ctx = &fake};

static struct pki_cert root, end;
static struct conf *conf;
static struct ike_keyring *keyring;
static struct ike_id name;

/* A connection whose peer's certificate has three places of lists. */
static void begin(uint32_t room)
{
	static const char text[] = "c { local { auth = pubkey\n id = gw.example\n }\n"
				   "remote { auth = pubkey\n id = gw.example\n } }\n";
	struct conf_diags *diags = calloc(1, sizeof(*diags));
	struct conf *with;
	struct tree *tree;

	fake = (struct fake){.room = room, .full = ERR_LIMIT};
	pki_cert_make(&root, &(struct pki_params){.subject = "/CN=Root", .ca = CA});
	pki_cert_make(&end, &(struct pki_params){.subject = "/CN=gw",
						 .names = "DNS:gw.example",
						 .issuer = &root,
						 .crl_uri = PLACES});
	with = pki_add(NULL, CRED_CA, pki_der(&root));
	CU_ASSERT_EQUAL_FATAL(conf_parse_text(&tree, diags, "text", text, strlen(text)), ERR_OK);
	tree_for_each (conn, tree) {
		CU_ASSERT_EQUAL_FATAL(conf_with_conn(&conf, diags, with, conn), ERR_OK);
	}
	CU_ASSERT_EQUAL_FATAL(ike_keyring_new(&keyring, rng_system()), ERR_OK);
	ike_keyring_fetches(keyring, true);
	CU_ASSERT_EQUAL_FATAL(conf_id_parse(&name, "gw.example"), ERR_OK);
	tree_free(tree);
	conf_put(with);
	free(diags);
}

static void finish(void)
{
	ike_keyring_free(keyring);
	conf_put(conf);
}

/* The question is put; true if it is worth to wait. */
static bool waits(void)
{
	const struct ike_cert cert = {.encoding = CERT_X509_SIGNATURE, .data = pki_der(&end)};
	const struct ike_ask ask = {.kind = IKE_ASK_VERIFY_CHAIN,
				    .config = conf->conns[0],
				    .peer_id = &name,
				    .local_id = &name,
				    .certs = &cert,
				    .num_certs = 1};
	struct ike_answer a;

	ike_keyring_answer(keyring, &a, conf, &ask, clock_wall_s());
	return ike_keyring_waits(keyring);
}

static bool fetch(void)
{
	return asks_fetch(keyring, &fetcher, false);
}

/* That there is no room now says nothing of what is wanted: who asks goes on waiting. */
static void test_S27_no_room_is_no_answer(void)
{
	begin(1);
	CU_ASSERT_TRUE(waits());
	CU_ASSERT_FALSE(fetch());
	CU_ASSERT_EQUAL(fake.begun, 1);
	for (uint32_t n = 1; n <= 3; n++) {
		CU_ASSERT_TRUE(waits());
		fake_ends();
		CU_ASSERT_TRUE(fetch());
		CU_ASSERT_EQUAL(fake.begun, n < 3 ? n + 1 : 3);
	}
	CU_ASSERT_FALSE(waits());
	finish();
}

/* Of what is under way nobody is asked again: that something moves is no news. */
static void test_S27_news(void)
{
	begin(8);
	CU_ASSERT_FALSE(fetch());
	CU_ASSERT_TRUE(waits());
	CU_ASSERT_FALSE(fetch());
	CU_ASSERT_EQUAL(fake.begun, 3);
	CU_ASSERT_FALSE(fetch());
	fake_ends();
	CU_ASSERT_TRUE(fetch());
	CU_ASSERT_FALSE(fetch());
	CU_ASSERT_TRUE(waits());
	finish();
}

/* Nor does that there is no memory: nobody gets in because it was short for a moment. */
static void test_S27_no_memory_is_no_answer(void)
{
	begin(0);
	fake.full = ERR_NOMEM;
	CU_ASSERT_TRUE(waits());
	CU_ASSERT_FALSE(fetch());
	CU_ASSERT_TRUE(waits());
	fake.room = 8;
	CU_ASSERT_FALSE(fetch());
	CU_ASSERT_EQUAL(fake.begun, 3);
	finish();
}

/* What ends as it begins is known at once, in however little room. */
static void test_known_at_once(void)
{
	begin(1);
	fake.at_once = true;
	CU_ASSERT_TRUE(waits());
	CU_ASSERT_TRUE(fetch());
	CU_ASSERT_EQUAL(fake.begun, 3);
	CU_ASSERT_FALSE(waits());
	finish();
}

static const struct tap_test tests[] = {
	TAP_TEST(test_S27_no_room_is_no_answer),
	TAP_TEST(test_S27_no_memory_is_no_answer),
	TAP_TEST(test_S27_news),
	TAP_TEST(test_known_at_once),
};

TAP_MAIN("api/asks", tests)
