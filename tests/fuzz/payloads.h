/* SPDX-License-Identifier: Apache-2.0 */
/*
 * payloads.h - for fuzz targets: every payload of a parsed message goes through its parser, and
 * what comes out is used as the engine would use it. abort() on a broken promise.
 */
#pragma once

#include <stdlib.h>

#include "control/ike/wire/cp.h"
#include "control/ike/wire/gateway.h"
#include "control/ike/wire/ipcomp.h"
#include "control/ike/wire/mobike.h"
#include "control/ike/wire/names.h"
#include "control/ike/wire/payload.h"
#include "control/ike/wire/proposal.h"
#include "control/ike/wire/selectors.h"

static inline void require(bool ok)
{
	if (!ok)
		abort();
}

static inline void require_within(struct bytes inner, struct bytes outer)
{
	require(inner.len == 0 ||
		(inner.p >= outer.p && inner.p + inner.len <= outer.p + outer.len));
}

static inline void use_sa(struct bytes body)
{
	static const struct conf_proposal ours[2] = {
		{.encr = {{ENCR_AES_GCM_16, 256, 0},
			  {ENCR_AES_GCM_16, 128, 0},
			  {ENCR_CHACHA20_POLY1305, 0, 0}},
		 .prf = {PRF_HMAC_SHA2_256, PRF_HMAC_SHA2_384, PRF_HMAC_SHA2_512},
		 .dh = {DH_CURVE_25519, DH_ECP_256, DH_ECP_384, DH_ECP_521, DH_MODP_2048},
		 .esn = {1, 0},
		 .num_encr = 3,
		 .num_prf = 3,
		 .addke = {[0] = {DH_ECP_256, KE_ML_KEM_768, DH_NONE}, [6] = {DH_ECP_384, DH_NONE}},
		 .num_dh = 5,
		 .num_addke = {[0] = 3, [6] = 2},
		 .num_esn = 2},
		{.encr = {{ENCR_AES_GCM_16, 128, 0}},
		 .prf = {PRF_HMAC_SHA2_256},
		 .esn = {0},
		 .num_encr = 1,
		 .num_prf = 1,
		 .num_esn = 1},
	};
	const struct ike_header h = {0};
	struct sa_payload sa;
	struct sa_chosen c;
	char text[SA_TEXT_MAX];
	uint8_t buf[512];

	if (sa_parse(&sa, body) != ERR_OK)
		return;
	require(sa.num_proposals >= 1 && sa.num_proposals <= IKE_MAX_PROPOSALS);
	require(sa.num_transforms <= IKE_MAX_TRANSFORMS);
	for (enum sa_kind kind = SA_KIND_IKE; kind <= SA_KIND_CHILD; kind++) {
		struct ike_builder b;
		struct sa_payload answer;
		struct sa_chosen again;
		struct bytes out;

		(void)!sa_check(&c, &sa, kind, ours, 2);
		if (sa_select(&c, &sa, kind, ours, 2, DH_ECP_256) != ERR_OK)
			continue;
		/* What was selected can be answered, and the answer is within our own offer. */
		require(strlen(sa_chosen_text(text, &c)) < sizeof(text));
		ike_build_begin(&b, buf, sizeof(buf), &h);
		c.number = 1;
		sa_answer_build(&b, &c, 0x01020304);
		require(ike_build_finish(&b, &out, NULL) == ERR_OK);
		require(sa_parse(&answer, bytes_of(out.p + 32, out.len - 32)) == ERR_OK);
		require(sa_check(&again, &answer, kind, &ours[0], 1) == ERR_OK ||
			sa_check(&again, &answer, kind, &ours[1], 1) == ERR_OK);
		require(again.encr.key_bits == c.encr.key_bits && again.dh == c.dh);
	}
}

static inline void use_ts(struct bytes body)
{
	const struct ike_header h = {0};
	struct ts_list l, again;
	struct ike_builder b;
	uint8_t buf[4096];
	char text[TS_TEXT_MAX];
	struct bytes out;

	if (ts_list_parse(&l, body) != ERR_OK || !l.num)
		return;
	for (uint32_t i = 0; i < l.num; i++) {
		require(ts_valid(&l.ts[i]));
		require(strlen(ts_text(text, &l.ts[i])) < sizeof(text));
	}
	ike_build_begin(&b, buf, sizeof(buf), &h);
	ts_list_build(&b, PAYLOAD_TSI, l.ts, l.num);
	require(ike_build_finish(&b, &out, NULL) == ERR_OK);
	require(ts_list_parse(&again, bytes_of(out.p + 32, out.len - 32)) == ERR_OK);
	require(again.num == l.num && memcmp(again.ts, l.ts, l.num * sizeof(l.ts[0])) == 0);
}

/* A name that is taken is sent as it came. */
static inline void use_ppk(struct bytes data)
{
	const struct ike_header h = {0};
	struct ike_builder b;
	struct ike_id id;
	uint8_t buf[512];
	struct bytes out;

	if (wire_ppk_parse(&id, data) != ERR_OK)
		return;
	require(id.len && id.len + 1u == data.len);
	ike_build_begin(&b, buf, sizeof(buf), &h);
	wire_ppk_build(&b, &id);
	require(ike_build_finish(&b, &out, NULL) == ERR_OK);
	require(bytes_equal(bytes_of(out.p + 36, out.len - 36), data));
}

/* What is parsed is within, and is built again as it was. */
static inline void use_gateway(struct bytes data)
{
	uint8_t buf[WIRE_GATEWAY_MAX];
	char text[WIRE_GATEWAY_TEXT];
	struct wire_gateway g;
	struct bytes again;

	if (wire_gateway_parse(&g, data) != ERR_OK)
		return;
	require_within(g.name, data);
	require_within(g.nonce, data);
	require(strlen(wire_gateway_text(text, &g)) < sizeof(text));
	again = wire_gateway_data(buf, &g);
	require(again.len + g.nonce.len == data.len && memcmp(again.p, data.p, again.len) == 0);
}

static inline void use_notify(struct bytes body)
{
	struct wire_notify n;
	char name[WIRE_NAME_MAX], resource[WIRE_RESOURCE_MAX];
	struct wire_puzzle puzzle;
	uint16_t group;

	if (wire_notify_parse(&n, body) != ERR_OK)
		return;
	use_gateway(n.data);
	require_within(n.spi, body);
	require_within(n.data, body);
	require(strlen(wire_notify_name(name, n.type)) < sizeof(name));
	require(strlen(wire_resource_text(resource, n.data)) < sizeof(resource));
	if (n.type == NOTIFY_INVALID_KE_PAYLOAD)
		require(wire_notify_u16(&group, &n) == ERR_OK);
	if (n.type == NOTIFY_PUZZLE)
		require(wire_puzzle_parse(&puzzle, n.data) == ERR_OK);
	use_ppk(n.data);
}

static inline void use_id(struct bytes body)
{
	uint8_t buf[WIRE_ID_BODY_MAX];
	struct ike_id id, again;

	if (wire_id_parse(&id, body) != ERR_OK)
		return;
	require(wire_id_parse(&again, wire_id_body(buf, &id)) == ERR_OK);
	require(memcmp(&id, &again, sizeof(id)) == 0);
}

static inline void use_delete(struct bytes body)
{
	struct wire_delete d;
	uint32_t sum = 0;

	if (wire_delete_parse(&d, body) != ERR_OK)
		return;
	for (uint16_t i = 0; i < d.num; i++)
		sum += wire_delete_spi(&d, i);
	__asm__ volatile("" : : "r"(sum));
}

static inline void use_cp(struct bytes body)
{
	const struct ike_header h = {0};
	uint8_t buf[512];
	struct ike_builder b;
	struct ike_msg m;
	struct cp cp, again;
	struct bytes built;

	if (cp_parse(&cp, body) != ERR_OK)
		return;
	require(cp.num_addrs <= CP_MAX_ADDRS && cp.num_dns <= CP_MAX_DNS);
	ike_build_begin(&b, buf, sizeof(buf), &h);
	cp_build(&b, &cp);
	require(ike_build_finish(&b, &built, NULL) == ERR_OK);
	require(ike_msg_parse(&m, built) == ERR_OK);
	require(cp_parse(&again, ike_msg_body(&m, PAYLOAD_CP)) == ERR_OK);
	require(again.num_addrs == cp.num_addrs && again.num_dns == cp.num_dns);
}

/* Four different keys that fill it, which are built again as they came. */
static inline void use_solution(struct bytes body)
{
	const struct ike_header h = {0};
	struct bytes keys[PUZZLE_KEYS], out;
	static uint8_t buf[IKE_MAX_MESSAGE + 64];
	struct ike_builder b;

	if (wire_solution_parse(keys, body) != ERR_OK)
		return;
	for (size_t i = 0; i < PUZZLE_KEYS; i++) {
		require_within(keys[i], body);
		require(keys[i].len && keys[i].len * PUZZLE_KEYS == body.len);
		require(!i || !bytes_equal(keys[i], keys[i - 1]));
	}
	ike_build_begin(&b, buf, sizeof(buf), &h);
	wire_solution_build(&b, body);
	require(ike_build_finish(&b, &out, NULL) == ERR_OK);
	require(bytes_equal(bytes_of(out.p + 32, out.len - 32), body));
}

static inline void use_mobike(const struct ike_msg *m)
{
	const struct path_addr path = {.local.addr.family = IP_V6, .remote.addr.family = IP_V4};
	struct mobike_addrs addrs;

	mobike_addrs_take(&addrs, m);
	require(addrs.num <= MOBIKE_ADDRS_MAX);
	for (uint8_t i = 0; i < addrs.num; i++)
		require(mobike_addr_usable(&addrs.list[i]));
	(void)mobike_translated(m, &path);
}

static inline void use_ipcomp(const struct ike_msg *m)
{
	const struct ike_header h = {0};
	struct wire_ipcomp n, again;
	struct ike_builder b;
	struct bytes built;
	struct ike_msg made;
	uint8_t buf[64];

	if (!wire_ipcomp_find(&n, m))
		return;
	require(n.num >= 1 && n.num <= m->num);
	ike_build_begin(&b, buf, sizeof(buf), &h);
	wire_ipcomp_build(&b, n.cpi, n.transform);
	require(ike_build_finish(&b, &built, NULL) == ERR_OK);
	require(ike_msg_parse(&made, built) == ERR_OK && wire_ipcomp_find(&again, &made));
	require(again.cpi == n.cpi && again.transform == n.transform && again.num == 1);
}

/* use_payloads - all of a message's. */
static inline void use_payloads(const struct ike_msg *m)
{
	struct wire_notify n;

	for (uint32_t i = 0; i < m->num; i++) {
		const struct bytes body = m->payloads[i].body;
		struct wire_auth auth;
		struct wire_ke ke;
		struct bytes nonce;

		/* Each body goes to each parser: a confused peer may send anything as anything. */
		use_sa(body);
		use_ts(body);
		use_notify(body);
		use_id(body);
		use_delete(body);
		use_cp(body);
		use_solution(body);
		if (wire_ke_parse(&ke, body) == ERR_OK)
			require_within(ke.value, body);
		if (wire_auth_parse(&auth, body) == ERR_OK)
			require_within(auth.value, body);
		if (wire_nonce_parse(&nonce, body) == ERR_OK)
			require_within(nonce, body);
	}
	use_mobike(m);
	use_ipcomp(m);
	(void)wire_notify_find_error(&n, m);
	(void)!wire_notify_check(m);
}
