/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ethernet.h - Ethernet's header and the tags of VLANs (IEEE 802.1Q) behind it. It knows nothing of
 * its host, so that DPDK's module has it too. Pure functions, any thread.
 */
#pragma once

#include "base/bytes.h"

#define ETHERNET_LEN      14
#define ETHERTYPE_V4      0x0800
#define ETHERTYPE_V6      0x86dd
#define ETHERTYPE_VLAN    0x8100
#define ETHERTYPE_VLAN_S  0x88a8
#define ETHERNET_TAG_LEN  4
#define ETHERNET_TAGS_MAX 2 /* that are looked behind: a customer's and a provider's */

/* ethernet_find_ip - where IP begins in a frame of len bytes, and which version; 0: it carries
 * something else, or is cut off. */
static inline uint32_t ethernet_find_ip(const uint8_t *frame, uint32_t len, bool *v6)
{
	uint32_t at = ETHERNET_LEN;

	for (int tags = 0; at <= len; tags++, at += ETHERNET_TAG_LEN) {
		uint16_t type = load_be16(frame + at - 2);

		*v6 = type == ETHERTYPE_V6;
		if (type == ETHERTYPE_V4 || type == ETHERTYPE_V6)
			return at;
		if ((type != ETHERTYPE_VLAN && type != ETHERTYPE_VLAN_S) ||
		    tags == ETHERNET_TAGS_MAX)
			return 0;
	}
	return 0;
}
