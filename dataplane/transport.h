/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transport.h - transport mode (RFC 4303 3.1.1): ESP carries what lies behind the IP header, and
 * the IP header is the outer one. That one is the path's: its driver writes it, so an outgoing
 * packet's own header is taken off, and an arriving one gets a header again, with the addresses
 * that the SA's selectors name. These are the ones that applications here use, whatever a NAT wrote
 * into the outer header. Of the header that is taken off its TOS byte and its next header go along.
 *
 * What can only stand before ESP (IPv4 options; IPv6 hop-by-hop, routing and fragment headers) is
 * not carried, and neither is a fragment (RFC 4301 4.1): such a packet is dropped, never sent
 * without. IPv6 destination options go behind the ESP header, where they are protected. Thread: the
 * worker.
 */
#pragma once

#include "dataplane/packet.h"
#include "dataplane/sa.h"

/* TRANSPORT_HOP_LIMIT - of a header that is made: the outer one's is not known here. */
#define TRANSPORT_HOP_LIMIT 64

/* transport_valid - the selectors can be those of a transport mode SA: each side names one address,
 * both of one family; and what the peer sees is of that family or unset (RFC 7296 2.23.1). */
bool transport_valid(const struct child_params *params) NONNULL(1);

/* transport_fix - what is added to a transport checksum that the peer made over the addresses it
 * sees, so that it fits those of the selectors; 0 if they are the same (RFC 3948 3.1.2, RFC 1624).
 */
uint16_t transport_fix(const struct child_params *params) NONNULL(1);

/* transport_strip - take the IP header off an outgoing packet, which flow_parse() has found
 * well-formed; sets its next_header and dscp_ecn. DROP_NONE, or why it cannot be carried. */
enum drop_reason transport_strip(struct packet *p) NONNULL(1);

/* transport_restore - put an IP header before the payload of an authentic packet: p->next_header
 * and p->dscp_ecn are set. DROP_NONE, or why it is no packet. */
enum drop_reason transport_restore(struct packet *p, const struct sa_conf *c) NONNULL(1, 2);
