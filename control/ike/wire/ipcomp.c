/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/wire/ipcomp.h"

/* parse - one payload; false if it is something else. */
static bool parse(struct wire_ipcomp *out, const struct ike_payload *p)
{
	struct wire_notify n;
	struct reader r;

	if (p->type != PAYLOAD_NOTIFY || wire_notify_parse(&n, p->body) ||
	    n.type != NOTIFY_IPCOMP_SUPPORTED)
		return false;
	reader_init(&r, n.data.p, n.data.len);
	return !reader_u16(&r, &out->cpi) && !reader_u8(&r, &out->transform);
}

bool wire_ipcomp_find(struct wire_ipcomp *out, const struct ike_msg *m)
{
	struct wire_ipcomp one, best = {0};

	for (uint32_t i = 0; i < m->num; i++) {
		if (!parse(&one, &m->payloads[i]))
			continue;
		one.num = best.num + 1;
		if (!best.num ||
		    (best.transform != IPCOMP_DEFLATE && one.transform == IPCOMP_DEFLATE))
			best = one;
		best.num = one.num;
	}
	if (best.num)
		*out = best;
	return best.num;
}

void wire_ipcomp_build(struct ike_builder *b, uint16_t cpi, uint8_t transform)
{
	uint8_t data[3];

	store_be16(data, cpi);
	data[2] = transform;
	wire_notify_build(b, NOTIFY_IPCOMP_SUPPORTED, bytes_of(data, sizeof(data)));
}
