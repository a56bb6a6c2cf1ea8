/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/drivers/kind.h"

#include <netinet/in.h>

#include "base/checksum.h"

const struct kind kinds[4] = {{false, false}, {false, true}, {true, false}, {true, true}};

static uint8_t proto(struct kind k)
{
	return k.tcp ? IPPROTO_TCP : IPPROTO_UDP;
}

uint32_t kind_l4_at(struct kind k)
{
	return ETHERNET + (k.v6 ? 40 : 20);
}

uint32_t kind_sum_at(struct kind k)
{
	return kind_l4_at(k) + (k.tcp ? 16 : 6);
}

uint32_t kind_payload_at(struct kind k)
{
	return kind_l4_at(k) + (k.tcp ? 20 : 8);
}

void kind_header_sum(uint8_t *ip)
{
	store_be16(ip + 10, 0);
	checksum_put(ip + 10, (uint16_t)~checksum_fold(checksum_add(0, ip, 20)));
}

uint16_t kind_pseudo(const uint8_t *frame, size_t len, struct kind k)
{
	return checksum_fold(checksum_pseudo(frame + ETHERNET, proto(k)) +
			     checksum_value((uint16_t)(len - kind_l4_at(k))));
}

static void write_ip(uint8_t *ip, struct kind k, uint32_t l4_len)
{
	memset(ip, 0, k.v6 ? 40 : 20);
	if (k.v6) {
		ip[0] = 0x60;
		store_be16(ip + 4, (uint16_t)l4_len);
		ip[6] = proto(k);
		ip[7] = 64;
		ip[8] = ip[24] = 0xfd;
		ip[23] = 1;
		ip[39] = 2;
		return;
	}
	ip[0] = 0x45;
	store_be16(ip + 2, (uint16_t)(20 + l4_len));
	store_be16(ip + 4, 7);
	ip[8] = 64;
	ip[9] = proto(k);
	memcpy(ip + 12, "\x0a\x01\x00\x09\x0a\x02\x00\x09", 8);
	kind_header_sum(ip);
}

static void write_l4(uint8_t *t, struct kind k, uint32_t l4_len)
{
	memset(t, 0, k.tcp ? 20 : 8);
	store_be16(t, 4000);
	store_be16(t + 2, 4001);
	if (k.tcp) {
		store_be32(t + 4, 5000);
		t[12] = 5 << 4;
		t[13] = 0x18;
	} else {
		store_be16(t + 4, (uint16_t)l4_len);
	}
}

uint32_t kind_make(uint8_t *frame, struct kind k, uint32_t payload)
{
	uint32_t len = kind_payload_at(k) + payload, l4_len = len - kind_l4_at(k);

	store_be16(frame + 12, k.v6 ? 0x86dd : 0x0800);
	write_ip(frame + ETHERNET, k, l4_len);
	write_l4(frame + kind_l4_at(k), k, l4_len);
	for (uint32_t i = 0; i < payload; i++)
		frame[kind_payload_at(k) + i] = (uint8_t)(i * 7);
	checksum_put(frame + kind_sum_at(k), kind_pseudo(frame, len, k));
	return len;
}

bool kind_is_whole(const uint8_t *frame, size_t len, struct kind k)
{
	const uint32_t at = kind_l4_at(k);

	if (!k.v6 && checksum_fold(checksum_add(0, frame + ETHERNET, 20)) != 0xffff)
		return false;
	return checksum_fold(checksum_add(kind_pseudo(frame, len, k), frame + at, len - at)) ==
	       0xffff;
}
