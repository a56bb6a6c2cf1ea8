/* SPDX-License-Identifier: Apache-2.0 */
/*
 * radius.h - a RADIUS server's part for tests: answers with authenticators that are right, or,
 * where a test says so, are not.
 */
#pragma once

#include "control/auth/radius/packet.h"

/* struct say - an answer. request: the datagram that it answers. attrs: what is in it beside the
 * Message-Authenticator, as attributes. no_mac: it has none. two_macs: before the right one is
 * one of zeros. bad_mac: it is wrong, and the MD5 of the whole is right: what is forged without the
 * secret's knowledge at best. */
struct say {
	enum radius_code code;
	struct bytes request, secret, attrs;
	bool no_mac, two_macs, bad_mac;
};

/* radius_say - the datagram, in buf of RADIUS_PACKET_MAX bytes; a view. */
struct bytes radius_say(uint8_t *buf, const struct say *say);

/* radius_hide - an attribute with a key of up to 64 bytes hidden as RFC 2548 2.4 says, into w; type
 * 16: the server sends by it, 17: receives. request: the datagram that is answered. */
void radius_hide(struct writer *w, uint8_t type, struct bytes key, struct bytes request,
		 struct bytes secret);
