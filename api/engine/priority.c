/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of policies. One with a `priority` stands before all without. Those without go as with
 * strongSwan: what passes, then what is protected, then what is dropped; within these the narrower
 * one first. Of two that are equal otherwise the one that lets less through comes first, so that
 * the data path and the packet filter agree whatever was installed when.
 */
#include "api/engine/internal.h"

#define BASE_PASS    100000u
#define BASE_PROTECT 200000u
#define BASE_DROP    400000u

/* spread - bits that addresses of the range differ in. */
static uint32_t spread(const struct ts *t)
{
	size_t len = ip_addr_len(&t->lo);

	for (size_t i = 0; i < len; i++) {
		unsigned diff = t->lo.b[i] ^ t->hi.b[i];

		for (unsigned bit = 0; diff && bit < 8; bit++)
			if (diff & 0x80u >> bit)
				return (uint32_t)(8 * (len - i) - bit);
	}
	return 0;
}

/* width - of the widest selector: 0 for one port of one protocol of one host. */
static uint32_t width(const struct ts *ts, uint32_t num)
{
	uint32_t widest = 0;

	for (uint32_t i = 0; i < num; i++) {
		uint32_t any_port = ts[i].port_lo == 0 && ts[i].port_hi == UINT16_MAX;
		uint32_t w = 4 * spread(&ts[i]) + 2 * !ts[i].proto + any_port;

		widest = w > widest ? w : widest;
	}
	return widest;
}

uint32_t priority_of(const struct policy_params *p, uint32_t configured)
{
	static const uint32_t bases[] = {
		[POLICY_DISCARD] = BASE_DROP,
		[POLICY_BYPASS] = BASE_PASS,
		[POLICY_PROTECT] = BASE_PROTECT,
	};
	static const uint32_t ranks[] = {
		[POLICY_DISCARD] = 0,
		[POLICY_PROTECT] = 1,
		[POLICY_BYPASS] = 2,
	};
	uint32_t plain = configured ? configured
				    : bases[p->action] + width(p->local, p->num_local) +
					      width(p->remote, p->num_remote);

	return plain * PRIORITY_STEP + ranks[p->action];
}
