/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_ike_header: a datagram. Whatever parses must lie within it, in order, and fill it. */
#include <stdlib.h>

#include "control/ike/wire/msg.h"
#include "control/ike/wire/names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void check_chain(const struct ike_msg *m)
{
	const uint8_t *at = m->raw.p + IKE_HEADER_LEN;
	uint32_t known = 0;
	char name[WIRE_NAME_MAX];

	require(m->num <= IKE_MAX_PAYLOADS);
	for (uint32_t i = 0; i < m->num; i++) {
		const struct ike_payload *p = &m->payloads[i];

		require(p->body.p == at + IKE_PAYLOAD_HDR_LEN);
		at = p->body.p + p->body.len;
		known += p->type < PAYLOAD_LIMIT && (m->present & PAYLOAD_BIT(p->type));
		require(ike_msg_find(m, p->type) <= p);
		require(strlen(wire_payload_name(name, p->type)) < sizeof(name));
	}
	require(at == m->raw.p + m->raw.len);
	for (uint32_t type = 0; type < PAYLOAD_LIMIT; type++) {
		require((m->count[type] > 0) == !!(m->present & PAYLOAD_BIT(type)));
		known -= m->count[type];
	}
	require(known == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct ike_header h;
	struct ike_msg m;
	enum err e = ike_header_parse(&h, bytes_of(data, len));

	require((e == ERR_OK) == (len >= IKE_HEADER_LEN));
	if (ike_msg_parse(&m, bytes_of(data, len)) != ERR_OK)
		return 0;
	require(h.major == IKE_MAJOR_VERSION && h.length == len);
	check_chain(&m);
	(void)!ike_msg_check(&m, m.present, PAYLOAD_REPEATABLE);
	require(ike_msg_check(&m, m.present, UINT64_MAX) == ERR_OK);
	return 0;
}
