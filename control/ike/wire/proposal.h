/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proposal.h - the SA payload (RFC 7296 3.3): parse, offer, select (2.7, 3.3.6), and check that a
 * selection is one of our offers. Pure functions over untrusted bytes, any thread.
 */
#pragma once

#include "control/conf/conf.h"
#include "control/ike/wire/build.h"

/* struct sa_transform - key_bits 0: no Key Length attribute. usable false: an attribute that we do
 * not know or that is not well formed; such a transform is never chosen (3.3.6). */
struct sa_transform {
	uint8_t type;
	bool usable;
	uint16_t id;
	uint16_t key_bits;
};

/* struct sa_proposal - num_transforms entries from transforms[first]. spi as a number, 0 if none.
 */
struct sa_proposal {
	uint8_t number;
	uint8_t protocol;
	uint8_t spi_len;
	uint64_t spi;
	uint16_t first, num_transforms;
};

/* struct sa_payload - a parsed SA payload; about 3 KiB. */
struct sa_payload {
	struct sa_proposal proposals[IKE_MAX_PROPOSALS];
	struct sa_transform transforms[IKE_MAX_TRANSFORMS];
	uint32_t num_proposals, num_transforms;
};

/* enum sa_kind - what is negotiated; decides protocol, SPI length and which transforms belong. */
enum sa_kind {
	SA_KIND_IKE,        /* IKE_SA_INIT: no SPI */
	SA_KIND_IKE_REKEY,  /* SPI of 8 bytes */
	SA_KIND_CHILD_AUTH, /* ESP in IKE_AUTH: no DH */
	SA_KIND_CHILD,      /* ESP in CREATE_CHILD_SA: DH if PFS is configured */
};

/* struct sa_chosen - the outcome of a negotiation. */
struct sa_chosen {
	enum sa_kind kind;
	uint8_t number;                 /* of the proposal */
	uint64_t spi;                   /* the peer's SPI from its SA payload; 0 for SA_KIND_IKE */
	struct conf_encr encr;          /* with its integrity transform */
	uint16_t prf;                   /* IKE only */
	uint16_t dh;                    /* DH_NONE for a Child SA without PFS */
	bool esn;                       /* Child SAs only */
	bool lists_integ_none;          /* the offer named INTEG NONE, so the answer does */
	bool lists_dh_none;             /* the offer named DH NONE, so the answer does */
	uint16_t addke[CONF_MAX_ADDKE]; /* additional key exchanges (RFC 9370), DH_NONE where there
					 * is none; not in IKE_AUTH */
	uint8_t lists_addke_none;       /* bit i: the offer named NONE for it, so the answer does */
};

/* sa_parse - the body of an SA payload. Errors: TRUNCATED, MALFORMED, LIMIT. */
MUST_USE enum err sa_parse(struct sa_payload *out, struct bytes body) NONNULL(1);

/* sa_select - as responder: the first of our num proposals that matches one of the peer's, with our
 * first choice of each transform; only the DH group is the peer's KE payload's (ke_group, 0 = none)
 * if it is among those in common, which saves a round trip. If the chosen dh is not ke_group the
 * caller answers INVALID_KE_PAYLOAD. Errors: NO_PROPOSAL. */
MUST_USE enum err sa_select(struct sa_chosen *out, const struct sa_payload *peer, enum sa_kind kind,
			    const struct conf_proposal *ours, uint32_t num, uint16_t ke_group)
	NONNULL(1, 2, 4);

/* sa_check - as initiator: the answer is exactly one proposal, with exactly one transform of each
 * type, all taken from the proposal of that number that we offered with sa_offer_build(). Errors:
 * NO_PROPOSAL (it is not), MALFORMED (several proposals, SPI length). */
MUST_USE enum err sa_check(struct sa_chosen *out, const struct sa_payload *answer,
			   enum sa_kind kind, const struct conf_proposal *ours, uint32_t num)
	NONNULL(1, 2, 4);

/* sa_offer_build - an SA payload with all our proposals; spi: ours (SA_KIND_IKE: not looked at). */
void sa_offer_build(struct ike_builder *b, enum sa_kind kind, uint64_t spi,
		    const struct conf_proposal *ours, uint32_t num) NONNULL(1, 4);

/* sa_answer_build - an SA payload with the chosen proposal; spi: ours. */
void sa_answer_build(struct ike_builder *b, const struct sa_chosen *chosen, uint64_t spi)
	NONNULL(1, 2);

/* sa_offers_dh - one of our proposals lists the group (S30: INVALID_KE names a group we offered).
 */
bool sa_offers_dh(const struct conf_proposal *ours, uint32_t num, uint16_t group) NONNULL(1);

/* sa_offers_prf - one of our proposals lists the PRF. */
bool sa_offers_prf(const struct conf_proposal *ours, uint32_t num, uint16_t prf) NONNULL(1);

/* sa_common_prf - the first PRF of the peer's that there is here, whatever connection it is for
 * (RFC 8019 7.1.1.2); 0: none. */
uint16_t sa_common_prf(const struct sa_payload *peer) NONNULL(1);

/* sa_offers_addke - one of our proposals lists an additional key exchange. */
bool sa_offers_addke(const struct conf_proposal *ours, uint32_t num) NONNULL(1);

/* sa_next_addke - the additional key exchange that is made after `done` others, DH_NONE if those
 * were all: in the order of their transform types (RFC 9370 2.2.1). */
uint16_t sa_next_addke(const struct sa_chosen *chosen, unsigned done) NONNULL(1);

/* sa_takes_addke - the additional key exchanges of a choice, or that there are none, are such as
 * this proposal of ours allows. */
bool sa_takes_addke(const struct conf_proposal *ours, const struct sa_chosen *chosen) NONNULL(1, 2);

/* sa_first_dh - the group that we would rather use, DH_NONE if none is listed. */
uint16_t sa_first_dh(const struct conf_proposal *ours, uint32_t num) NONNULL(1);

/* SA_TEXT_MAX - a buffer for sa_chosen_text() that suffices for all that is supported. */
#define SA_TEXT_MAX 192

/* sa_chosen_text - for people: "AES_GCM_16-256/PRF_HMAC_SHA2_256/CURVE_25519", for a Child SA
 * "AES_GCM_16-256" with "/CURVE_25519" and "/ESN" where they apply; a cipher of one key length goes
 * without: "CHACHA20_POLY1305"; one that needs it has its integrity transform behind it:
 * "AES_CBC-256/HMAC_SHA2_512_256". Additional key exchanges follow: "/KE1_ML_KEM_768". Returns buf.
 */
const char *sa_chosen_text(char buf[static SA_TEXT_MAX], const struct sa_chosen *chosen) NONNULL(2);
