/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/tos.h"

/* RFC 6040 figure 4: [inner][outer]. A router on the way may turn ECT(0) into ECT(1) or CE and
 * ECT(1) into CE; where the inner header is Not-ECT, a mark of congestion can only be told by
 * dropping the packet. */
#define DROP_IT 0xff
static const uint8_t forwarded[4][4] = {
	[ECN_NOT_ECT] = {[ECN_NOT_ECT] = ECN_NOT_ECT,
			 [ECN_ECT0] = ECN_NOT_ECT,
			 [ECN_ECT1] = ECN_NOT_ECT,
			 [ECN_CE] = DROP_IT},
	[ECN_ECT0] = {[ECN_NOT_ECT] = ECN_ECT0,
		      [ECN_ECT0] = ECN_ECT0,
		      [ECN_ECT1] = ECN_ECT1,
		      [ECN_CE] = ECN_CE},
	[ECN_ECT1] = {[ECN_NOT_ECT] = ECN_ECT1,
		      [ECN_ECT0] = ECN_ECT1,
		      [ECN_ECT1] = ECN_ECT1,
		      [ECN_CE] = ECN_CE},
	[ECN_CE] = {[ECN_NOT_ECT] = ECN_CE,
		    [ECN_ECT0] = ECN_CE,
		    [ECN_ECT1] = ECN_CE,
		    [ECN_CE] = ECN_CE},
};

uint16_t tos_decapsulate(uint8_t inner, uint8_t outer, uint8_t copy)
{
	uint8_t ecn = forwarded[inner & TOS_ECN][outer & TOS_ECN];

	if (ecn == DROP_IT)
		return TOS_DROP;
	return (uint16_t)(((copy & DSCP_COPY_IN ? outer : inner) & TOS_DSCP) | ecn);
}

/* set_v4 - the checksum follows by the difference: HC' = ~(~HC + ~m + m') (RFC 1624 3). A wrong one
 * stays wrong. */
static void set_v4(uint8_t *ip, uint8_t tos)
{
	uint32_t before = load_be16(ip), sum;

	ip[1] = tos;
	sum = (~load_be16(ip + 10) & 0xffffu) + (~before & 0xffffu) + load_be16(ip);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	store_be16(ip + 10, (uint16_t)~sum);
}

void tos_set(uint8_t *ip, uint8_t tos)
{
	if (ip[0] >> 4 == 4)
		set_v4(ip, tos);
	else
		store_be16(ip, (uint16_t)((load_be16(ip) & 0xf00f) | tos << 4));
}
