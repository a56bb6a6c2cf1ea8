/* SPDX-License-Identifier: Apache-2.0 */
/* segments.h - datagrams that one message holds (UDP_SEGMENT, UDP_GRO of Linux; libc's headers may
 * be older). */
#pragma once

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define UDP_SEGMENT_OPTION 103
#define UDP_GRO_OPTION     104

/* segment_of - how long each datagram of a received message of len bytes is. */
static inline size_t segment_of(struct msghdr *m, size_t len)
{
	int segment;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != IPPROTO_UDP || c->cmsg_type != UDP_GRO_OPTION)
			continue;
		memcpy(&segment, CMSG_DATA(c), sizeof(segment));
		return (size_t)segment;
	}
	return len;
}
