/* SPDX-License-Identifier: Apache-2.0 */
/*
 * offer.h - what a side offers, for people whose negotiation failed: proposals in the words of a
 * configuration, so that what a peer offers can be written into `proposals` as it stands. Bounded,
 * whatever a peer offers (S8): what does not fit ends in "...". Pure functions, any thread.
 */
#pragma once

#include "control/ike/wire/proposal.h"
#include "control/ike/wire/selectors.h"

/* OFFER_TEXT_MAX - a buffer for the texts of this file, which are cut to fit. */
#define OFFER_TEXT_MAX 240

/* offer_text - num proposals of a configuration: "aes256gcm16-prfsha384-ecp384, aes256-...". kind
 * decides whether key exchange groups belong to it. Returns buf. */
const char *offer_text(char buf[static OFFER_TEXT_MAX], enum sa_kind kind,
		       const struct conf_proposal *ours, uint32_t num) NONNULL(1);

/* offer_peer_text - those of a parsed SA payload; an algorithm without a keyword goes by its name
 * on the wire ("3DES", "ENCR_99"). Returns buf. */
const char *offer_peer_text(char buf[static OFFER_TEXT_MAX], const struct sa_payload *peer)
	NONNULL(2);

/* offer_ts_text - the selectors of one side and those of the other: "10.1.0.0/24 === 10.2.0.0/24".
 * offer_children_text - those of num configured children; "dynamic" where they say so. Return buf.
 */
const char *offer_ts_text(char buf[static OFFER_TEXT_MAX], const struct ts_list *local,
			  const struct ts_list *remote) NONNULL(2, 3);
const char *offer_children_text(char buf[static OFFER_TEXT_MAX], const struct conf_child *children,
				uint32_t num);
