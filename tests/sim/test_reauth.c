/* SPDX-License-Identifier: Apache-2.0 */
/* A peer that is to prove itself again, while it is up (A17, RFC 7296 2.8.3). */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "tests/pki_conf.h"
#include "tests/sim/wish.h"
#include "tests/tap/tap.h"

#define BIT(method) (1u << AUTH_METHOD_##method)

/* Connection "net" lets anybody in; "sure", to the same peer, asks for a certificate. */
#define SURE(us, them)                                               \
	"sure { local { auth = pubkey\n id = host" us ".example }\n" \
	" remote { auth = pubkey\n id = host" them ".example }\n"    \
	" children { tun { local_ts = 10." us ".0.0/16\n remote_ts = 10." them ".0.0/16 } } }"

static const struct wish nobody = {.local = "auth = null", .remote = "auth = null"};
static const struct wish somebody[2] = {
	{.local = "auth = null", .remote = "auth = null", .conns = SURE("1", "2")},
	{.local = "auth = null", .remote = "auth = null", .conns = SURE("2", "1")}};

static const struct wish any = {.local = "auth = pubkey\n id = host%u.example",
				.remote = "auth = btns"};

static const struct wish sign = {.local = "auth = pubkey\n id = host%u.example",
				 .remote = "auth = pubkey\n id = host%u.example"};

static void number_of(void *ctx, const struct ike_sa_info *sa)
{
	*(uint32_t *)ctx = sa->unique;
}

static uint32_t ike_id(struct sim *s, unsigned side)
{
	uint32_t id = 0;

	ike_each_sa(s->n[side].e, number_of, &id);
	return id;
}

static enum err begin(struct sim *s, unsigned side, const char *conn, uint32_t methods)
{
	enum err e = ike_reauthenticate(
		s->n[side].e,
		&(struct ike_reauth_params){
			.ike_id = ike_id(s, side), .conn = conn, .methods = methods, .request = 9},
		s->now_ns);

	sim_settle(s, side);
	return e;
}

static void again(struct sim *s, unsigned side, const char *conn, uint32_t methods)
{
	CU_ASSERT_EQUAL(begin(s, side, conn, methods), ERR_OK);
	sim_run(s, s->now_ns + 20 * NS_PER_S);
}

/* One IKE SA with as many children is up on both sides. */
static void check_one(struct sim *s, uint32_t num_children)
{
	char why[200] = "";

	CU_ASSERT_TRUE(sim_up(s));
	if (!sim_same(s, why))
		tap_diag("%s", why);
	CU_ASSERT_TRUE(sim_same(s, why));
	for (unsigned side = 0; side < 2; side++) {
		CU_ASSERT_EQUAL(sim_num_sas(s, side), 1);
		CU_ASSERT_EQUAL(wish_seen(s, side).num_children, num_children);
	}
}

static struct sim *up(const struct wish *a, const struct wish *b, bool certificates)
{
	struct sim *s = wish_world(a, b, certificates);

	wish_go(s, "net", 0);
	check_one(s, 1);
	return s;
}

/* Both sides are nobody, who would have no traffic that is named for somebody (S29); then it is. */
static struct sim *two_nobodies(void)
{
	struct sim *s = up(&nobody, &nobody, true);

	for (unsigned side = 0; side < 2; side++)
		wish_configure(s, side, sim_creds(wish_conf(side, &somebody[side]), side, "P-256"));
	return s;
}

/* Nobody proves who it is, by either side's wish, and keys are others. */
static void test_A17_nobody_becomes_somebody(void)
{
	for (unsigned side = 0; side < 2; side++) {
		struct sim *s = two_nobodies();
		const uint32_t old = ike_id(s, side);
		uint8_t key[64];

		CU_ASSERT_STRING_EQUAL(wish_seen(s, side).method, "none");
		memcpy(key, s->n[A].pairs[0].key_in, sizeof(key));
		s->traffic = true;
		sim_run(s, s->now_ns + NS_PER_S);
		again(s, side, "sure", BIT(PKIX_INLINE) | BIT(PKIX_TRUSTED));
		CU_ASSERT_EQUAL(s->n[side].reauth, old);
		CU_ASSERT_FALSE(s->n[side].same_key);
		CU_ASSERT_STRING_EQUAL(wish_seen(s, side).method, "pkix-inline");
		check_one(s, 1);
		CU_ASSERT_NOT_EQUAL(ike_id(s, side), old);
		CU_ASSERT_NOT_EQUAL(memcmp(key, s->n[A].pairs[0].key_in, 32), 0);
		CU_ASSERT_EQUAL(s->n[A].failed + s->n[B].failed, 0);
		CU_ASSERT_EQUAL(s->n[A].ike_down, 1);
		CU_ASSERT_TRUE(s->n[A].got_packets > 100 && s->n[B].got_packets > 100);
		sim_free(s);
	}
}

/* By the same connection, and of the same key: whoever it is, it is the same. */
static void test_A17_the_same_key(void)
{
	for (unsigned side = 0; side < 2; side++) {
		struct sim *s = up(&sign, &sign, true);
		const uint32_t old = ike_id(s, side);

		again(s, side, NULL, BIT(PKIX_INLINE));
		CU_ASSERT_EQUAL(s->n[side].reauth, old);
		CU_ASSERT_TRUE(s->n[side].same_key);
		check_one(s, 1);
		sim_free(s);
	}
}

/* A side has a certificate of its own making. */
static void certify(struct sim *s, unsigned side, const char *kind)
{
	struct pki_cert made;
	char names[40];

	snprintf(names, sizeof(names), "DNS:host%u.example", side + 1);
	pki_cert_make(&made, &(struct pki_params){.subject = "/C=CH/CN=Anybody",
						  .names = names,
						  .key = pki_key_get(kind)});
	wish_configure(s, side,
		       pki_add(pki_add(wish_conf(side, &any), CRED_CERT, pki_der(&made)), CRED_KEY,
			       pki_private(made.key)));
}

/* Who has another key now is somebody else, and gets nothing of what the first has. */
static void test_A17_another_key(void)
{
	struct sim *s = wish_world(&any, &any, false);

	certify(s, A, "P-256");
	certify(s, B, "P-384");
	wish_go(s, "net", 0);
	check_one(s, 1);
	again(s, A, NULL, BIT(BTNS));
	CU_ASSERT_TRUE(s->n[A].same_key);
	check_one(s, 1);
	certify(s, B, "P-521");
	again(s, A, NULL, BIT(BTNS));
	CU_ASSERT_FALSE(s->n[A].same_key);
	CU_ASSERT_TRUE(s->n[A].failed > 0);
	check_one(s, 1);
	CU_ASSERT_TRUE(bytes_equal(wish_seen(s, A).proof.peer_key, pki_spki(pki_key_get("P-384"))));
	sim_free(s);
}

/* What was nobody, known by no key, is not said to be the same. */
static void test_A17_no_key_is_not_the_same(void)
{
	struct sim *s = up(&nobody, &nobody, false);

	again(s, A, NULL, 0);
	CU_ASSERT_TRUE(s->n[A].reauth > 0);
	CU_ASSERT_FALSE(s->n[A].same_key);
	sim_free(s);
}

/* A peer that refuses: what it had stays, and the event says of which IKE SA. */
static void test_A17_failure_changes_nothing(void)
{
	for (unsigned side = 0; side < 2; side++) {
		struct sim *s = two_nobodies();
		const uint32_t old = ike_id(s, side);

		s->n[!side].refuse_peer = true;
		s->traffic = true;
		again(s, side, "sure", BIT(PKIX_INLINE));
		CU_ASSERT_EQUAL(s->n[side].reauth, old);
		CU_ASSERT_EQUAL(s->n[side].last_failure, IKE_REASON_AUTH_FAILED_PEER);
		CU_ASSERT_EQUAL(ike_id(s, side), old);
		CU_ASSERT_EQUAL(s->n[A].lost_packets + s->n[B].lost_packets, 0);
		check_one(s, 1);
		sim_free(s);
	}
}

/* A peer that is refused, and one that proves itself by another method. */
static void test_A17_refusal_changes_nothing(void)
{
	for (unsigned side = 0; side < 2; side++) {
		struct sim *s = up(&sign, &sign, true);
		const uint32_t old = ike_id(s, side);

		s->n[side].refuse_peer = true;
		again(s, side, NULL, 0);
		CU_ASSERT_EQUAL(s->n[side].last_failure, IKE_REASON_REFUSED);
		CU_ASSERT_EQUAL(s->n[side].reauth, old);
		s->n[side].refuse_peer = false;
		again(s, side, NULL, BIT(PKIX_TRUSTED));
		CU_ASSERT_EQUAL(s->n[side].last_failure, IKE_REASON_METHOD);
		CU_ASSERT_EQUAL(s->n[side].reauth, old);
		CU_ASSERT_EQUAL(ike_id(s, side), old);
		check_one(s, 1);
		sim_free(s);
	}
}

/* It is somebody, and is not let have the child: the old IKE SA has it still. */
static void test_A17_without_its_child(void)
{
	struct sim *s = up(&sign, &sign, true);
	const uint32_t old = ike_id(s, A);

	s->n[A].refuse_child = true;
	again(s, A, NULL, 0);
	CU_ASSERT_EQUAL(ike_id(s, A), old);
	check_one(s, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(s->n[A].last_text, "what it had before stays"));
	sim_free(s);
}

/* All children go over, one for a single flow as such. */
static void test_A17_every_child(void)
{
	const uint8_t local[4] = {10, 1, 0, 9}, remote[4] = {10, 2, 0, 7};
	const struct flow flow = {.local = ip_addr_v4(local),
				  .remote = ip_addr_v4(remote),
				  .local_port = 40000,
				  .remote_port = 80,
				  .proto = 6};
	struct sim *s = up(&sign, &sign, true);
	const struct ike_initiate_params p = {
		.conn = "net",
		.child = "tun",
		.path = {.local = s->n[A].addr, .remote = s->n[B].addr},
		.flow = &flow,
		.narrow = true};

	CU_ASSERT_EQUAL(ike_initiate(s->n[A].e, &p, s->now_ns), ERR_OK);
	sim_settle(s, A);
	sim_run(s, s->now_ns + 5 * NS_PER_S);
	check_one(s, 2);
	again(s, A, NULL, 0);
	check_one(s, 2);
	CU_ASSERT_EQUAL(ike_initiate(s->n[A].e, &p, s->now_ns), ERR_EXISTS);
	sim_free(s);
}

/* The old IKE SA is re-keyed meanwhile: it is its successor that goes. */
static void test_A17_rekeyed_meanwhile(void)
{
	for (unsigned side = 0; side < 2; side++) {
		struct sim *s = up(&sign, &sign, true);

		CU_ASSERT_EQUAL(begin(s, A, NULL, 0), ERR_OK);
		sim_run(s, s->now_ns + 12 * NS_PER_MS);
		CU_ASSERT_EQUAL(sim_rekey(s, side, NULL), ERR_OK);
		sim_run(s, s->now_ns + 30 * NS_PER_S);
		CU_ASSERT_EQUAL(s->n[A].rekeyed_ike, 1);
		check_one(s, 1);
		CU_ASSERT_EQUAL(s->n[A].ike_up, 2);
		sim_free(s);
	}
}

static void test_A17_refused_at_once(void)
{
	struct sim *s = up(&sign, &sign, true);
	const uint32_t id = ike_id(s, A);

	CU_ASSERT_EQUAL(begin(s, A, "none", 0), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(begin(s, A, NULL, BIT(PSK)), ERR_UNSUPPORTED);
	CU_ASSERT_EQUAL(begin(s, A, NULL, BIT(PKIX_INLINE)), ERR_OK);
	CU_ASSERT_EQUAL(
		ike_reauthenticate(s->n[A].e, &(struct ike_reauth_params){.ike_id = id}, s->now_ns),
		ERR_EXISTS);
	CU_ASSERT_EQUAL(ike_reauthenticate(s->n[A].e,
					   &(struct ike_reauth_params){.ike_id = id + 77},
					   s->now_ns),
			ERR_NOT_FOUND);
	sim_run(s, s->now_ns + 20 * NS_PER_S);
	check_one(s, 1);
	sim_free(s);
}

/* On a bad wire, too, one IKE SA is left. */
static void test_A17_bad_wire(void)
{
	for (uint64_t seed = 1; seed <= 40; seed++) {
		const struct sim_options opt = {.wire = {.jitter_ns = 50 * NS_PER_MS,
							 .ask_ns = 50 * NS_PER_MS,
							 .loss = 20,
							 .repeat = 20,
							 .reorder = 20},
						.conf = {wish_text(A, &sign), wish_text(B, &sign)},
						.by_keyring = true,
						.sign = true};
		struct sim *s = sim_new(seed, &opt);

		CU_ASSERT_PTR_NOT_NULL_FATAL(s);
		wish_go(s, "net", 0);
		sim_run(s, s->now_ns + 60 * NS_PER_S);
		again(s, (unsigned)(seed & 1), NULL, 0);
		sim_run(s, s->now_ns + 100 * NS_PER_S);
		check_one(s, 1);
		sim_free(s);
	}
}

/* Each allocation fails once: nothing leaks, and one IKE SA at least is left. */
static void test_A17_every_allocation_fails_once(void)
{
	struct sim *s = up(&sign, &sign, true);
	uint64_t num, before = alloc_count();

	again(s, A, NULL, 0);
	num = alloc_count() - before;
	sim_free(s);
	CU_ASSERT_TRUE(num > 50);
	for (uint64_t n = 1; n <= num; n++) {
		s = up(&sign, &sign, true);
		alloc_fail_nth(n);
		(void)!begin(s, A, NULL, 0);
		sim_run(s, s->now_ns + 20 * NS_PER_S);
		alloc_fail_nth(0);
		sim_run(s, s->now_ns + 100 * NS_PER_S);
		CU_ASSERT_TRUE(wish_seen(s, A).num >= 1);
		CU_ASSERT_TRUE(wish_seen(s, A).num_children >= 1);
		sim_free(s);
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_A17_nobody_becomes_somebody),
	TAP_TEST(test_A17_the_same_key),
	TAP_TEST(test_A17_another_key),
	TAP_TEST(test_A17_no_key_is_not_the_same),
	TAP_TEST(test_A17_failure_changes_nothing),
	TAP_TEST(test_A17_refusal_changes_nothing),
	TAP_TEST(test_A17_without_its_child),
	TAP_TEST(test_A17_every_child),
	TAP_TEST(test_A17_rekeyed_meanwhile),
	TAP_TEST(test_A17_refused_at_once),
	TAP_TEST(test_A17_bad_wire),
	TAP_TEST(test_A17_every_allocation_fails_once),
};

TAP_MAIN("reauth", tests)
