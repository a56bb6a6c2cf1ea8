/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/crash.h"

#include <sodium.h>
#include <stdio.h>

#include "control/child/child.h"
#include "control/crypto/prf.h"
#include "control/ike/index.h"
#include "control/ike/mobike.h"
#include "control/ike/task.h"
#include "control/ike/window.h"

/* HINTS_PER_S - that are sent, and that are looked at. ASK_AGAIN_NS - hints about one IKE SA lead
 * to no more questions than one in this time. */
#define HINTS_PER_S  20
#define HINTED_MAX   4
#define ASK_AGAIN_NS (2 * NS_PER_S)
/* SECRET_MIN - bytes of a secret that nobody guesses. */
#define SECRET_MIN 16

enum err ike_engine_crash_secret(struct ike_engine *e, struct bytes secret)
{
	if (secret.len && secret.len < SECRET_MIN)
		return ERR_INVAL;
	secret_fini(&e->crash_secret);
	return secret.len ? secret_init_copy(&e->crash_secret, secret.p, secret.len) : ERR_OK;
}

/* ---- the end that makes tokens --------------------------------------------------------------- */

enum err crash_token(const struct ike_engine *e, uint8_t out[static CRASH_TOKEN_LEN],
		     uint64_t spi_i, uint64_t spi_r)
{
	const struct be64 spis[] = {be64_make(spi_i), be64_make(spi_r)};
	const struct bytes part = bytes_of(spis, sizeof(spis));
	uint8_t mac[PRF_LEN_MAX];
	enum err err;

	if (!e->crash_secret.len)
		return ERR_NOT_FOUND;
	err = prf_compute(e->crypto, mac, PRF_HMAC_SHA2_256,
			  bytes_of(e->crash_secret.p, e->crash_secret.len), &part, 1);
	if (!err)
		memcpy(out, mac, CRASH_TOKEN_LEN);
	secret_wipe(mac, sizeof(mac));
	return err;
}

void crash_offer(struct step *s, const struct ike_sa *sa)
{
	uint8_t token[CRASH_TOKEN_LEN];

	if (!crash_token(s->e, token, sa->spi_i, sa->spi_r))
		wire_token_build(&s->b, bytes_of(token, sizeof(token)));
	secret_wipe(token, sizeof(token));
}

void crash_tell(struct ike_sa *sa)
{
	if (!sa->initiator || !sa->e->crash_secret.len)
		return;
	sa->crash.untold = true;
	if (task_need(sa, TASK_LIVENESS, 0) == ERR_NOMEM)
		LOG(WARN, IKE, sa->conn->name, "out of memory: the peer has no token of ours");
}

bool crash_may_show(const struct ike_engine *e, const struct ike_header *h)
{
	return h->spi_i && h->spi_r && !sa_by_spi(e, h->spi_i) && !sa_by_spi(e, h->spi_r) &&
	       !sa_by_peer_spi(e, h->spi_i) && !sa_by_peer_spi(e, h->spi_r);
}

/* ---- the end that takes them ----------------------------------------------------------------- */

/* What is kept of a token, and compared: its hash, as long whatever the token's length. */
static void digest(uint8_t out[static CRASH_DIGEST_LEN], struct bytes token)
{
	crypto_generichash(out, CRASH_DIGEST_LEN, token.p, token.len, NULL, 0);
}

void crash_take(struct ike_sa *sa, const struct ike_msg *m)
{
	struct wire_notify n;

	if (!wire_notify_find(&n, m, NOTIFY_QUICK_CRASH_DETECTION))
		return;
	digest(sa->crash.token, n.data);
	sa->crash.has_token = true;
}

/* Whoever changes his secret may show several (RFC 6290 4.5); a message has a bounded number of
 * payloads. */
bool crash_proven(const struct ike_sa *sa, const struct ike_msg *m)
{
	uint8_t shown[CRASH_DIGEST_LEN];
	struct wire_notify n;
	bool right = false;

	if (!sa->crash.has_token || sa->state < SA_ESTABLISHED)
		return false;
	for (uint32_t i = 0; i < m->num; i++) {
		if (m->payloads[i].type != PAYLOAD_NOTIFY ||
		    wire_notify_parse(&n, m->payloads[i].body) ||
		    n.type != NOTIFY_QUICK_CRASH_DETECTION)
			continue;
		digest(shown, n.data);
		right |= secret_equal(shown, sizeof(shown), sa->crash.token, sizeof(shown));
	}
	return right;
}

void crash_end(struct ike_sa *sa, uint64_t now_ns)
{
	char remote[ENDPOINT_TEXT_MAX], text[200];

	if (sa->state != SA_ESTABLISHED) {
		sa_end(sa, now_ns);
		return;
	}
	snprintf(text, sizeof(text),
		 "%s has restarted without its IKE SA, as the token shows that it gave us",
		 endpoint_text(remote, &sa->path.remote));
	sa_kill(sa, IKE_REASON_NO_ANSWER, text, now_ns);
}

/* ---- ESP without an SA ----------------------------------------------------------------------- */

/* A request that waits for its answer is the question already. */
static void ask(struct ike_sa *sa, uint64_t now_ns)
{
	if (sa->crash.asked_ns && now_ns - sa->crash.asked_ns < ASK_AGAIN_NS)
		return;
	sa->crash.asked_ns = now_ns;
	if (sa->out.waiting)
		window_out_repeat(sa);
	else if (task_need(sa, mobike_question(sa), 0) != ERR_NOMEM)
		step_task(sa, now_ns);
}

/* From where it came says nothing: whoever knows the SPI can send from anywhere. */
void crash_hint(struct ike_engine *e, const struct ike_msg *m, uint64_t now_ns)
{
	const struct ike_child *c, *next;
	struct wire_notify n;
	uint32_t spi, num = 0;

	if (!wire_notify_find(&n, m, NOTIFY_INVALID_SPI) || n.data.len != sizeof(spi) ||
	    !log_limited(&e->hints_in, HINTS_PER_S, now_ns))
		return;
	spi = load_be32(n.data.p);
	for (c = child_sending(e, spi); c && num < HINTED_MAX; c = next) {
		next = child_sending_next(c);
		if (c->sa->state != SA_ESTABLISHED || c->state == CHILD_LINGERING)
			continue;
		ask(c->sa, now_ns);
		num++;
	}
}

/* Somebody who has an IKE SA with us is told nothing: what is wrong with ESP alone that mends. Bare
 * ESP has no ports that would tell peers behind one address apart. */
static bool is_known(const struct ike_engine *e, const struct path_addr *path)
{
	const struct ike_sa *sa;

	for (sa = sa_first_at(e, &path->remote.addr); sa; sa = sa_next_at(sa))
		if (sa->state == SA_ESTABLISHED &&
		    (path->encap != ENCAP_UDP || sa->path.remote.port == path->remote.port))
			return true;
	return false;
}

/* The Initiator SPI may be anything, zero too (RFC 7296 1.5). */
void ike_stray(struct ike_engine *e, const struct path_addr *path, uint16_t port, uint32_t spi,
	       uint64_t now_ns)
{
	const struct ike_header h = {.exchange = INFORMATIONAL, .flags = IKE_FLAG_INITIATOR};
	const struct be32 data = be32_make(spi);
	struct ike_builder b;
	struct bytes message;

	e->now_ns = now_ns;
	if (!log_limited(&e->hints_out, HINTS_PER_S, now_ns) || is_known(e, path))
		return;
	ike_build_begin(&b, e->out, sizeof(e->out), &h);
	wire_notify_build(&b, NOTIFY_INVALID_SPI, bytes_of(&data, sizeof(data)));
	if (!ike_build_finish(&b, &message, NULL))
		(void)!action_send(e, path, port, message); /* the next packet leads to another */
}
