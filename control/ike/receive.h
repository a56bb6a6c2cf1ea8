/* SPDX-License-Identifier: Apache-2.0 */
/*
 * receive.h - datagrams in, unprotected errors out. Control thread.
 */
#pragma once

#include "control/ike/sa.h"

/* receive_refuse_unprotected - answer a request without state with a notify and its data (RFC 7296
 * 2.6, 2.21.4): errors are rate limited, nothing is longer than thrice the request, and a response
 * is never answered. */
void receive_refuse_unprotected(struct ike_engine *e, const struct ike_header *h,
				const struct ike_datagram *dg, uint16_t notify, struct bytes data)
	NONNULL(1, 2, 3);

/* receive_demand - answer a first request without state: it is to come again with this cookie, and
 * with the solution of this puzzle (RFC 8019 7.1.1); NULL: the cookie is enough. */
void receive_demand(struct ike_engine *e, const struct ike_header *h, const struct ike_datagram *dg,
		    struct bytes cookie, const struct wire_puzzle *puzzle) NONNULL(1, 2, 3);
