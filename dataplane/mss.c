/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/mss.h"

#define OPT_END 0
#define OPT_NOP 1
#define OPT_MSS 2
#define MSS_LEN 4

/* replace - the 16-bit word at p, of which the checksum is over: HC' = ~(~HC + ~m + m') (RFC 1624
 * 3). The option may stand at an odd place: then its bytes lie in the sum the other way round. */
static void replace(uint8_t *tcp, uint32_t at, uint16_t value)
{
	uint32_t was = load_be16(tcp + at), now = value, sum;

	if (at % 2) {
		was = (was >> 8 | was << 8) & 0xffff;
		now = (now >> 8 | now << 8) & 0xffff;
	}
	sum = (~load_be16(tcp + 16) & 0xffffu) + (~was & 0xffffu) + now;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	store_be16(tcp + at, value);
	store_be16(tcp + 16, (uint16_t)~sum);
}

void mss_clamp(struct packet *p, uint32_t mss)
{
	uint8_t *tcp = p->data + (p->data[0] >> 4 == 4 ? (p->data[0] & 0x0fu) * 4 : 40);
	uint32_t room = p->len - (uint32_t)(tcp - p->data);
	uint32_t end = (tcp[12] >> 4) * 4u;

	if (end > room)
		return;
	for (uint32_t i = TCP_MIN_LEN; i < end && tcp[i] != OPT_END;) {
		uint32_t len = tcp[i] == OPT_NOP ? 1u : i + 1 < end ? tcp[i + 1] : 0u;

		if (len == 0 || (len == 1 && tcp[i] != OPT_NOP) || len > end - i)
			return;
		if (tcp[i] == OPT_MSS && len == MSS_LEN && load_be16(tcp + i + 2) > mss)
			replace(tcp, i + 2, (uint16_t)mss);
		i += len;
	}
}
