/* SPDX-License-Identifier: Apache-2.0 */
/*
 * payload.h - the simple payloads, parse and build side by side: KE (RFC 7296 3.4), ID (3.5), AUTH
 * (3.8), Nonce (3.9), Notify (3.10), Delete (3.11), Vendor ID (3.12). Parsers take the body after
 * the generic header, borrow it, and write *out only on success. Builders open the payload
 * themselves. Pure functions over untrusted bytes, any thread.
 */
#pragma once

#include "control/ike/wire/build.h"
#include "control/puzzle.h"
#include "dataplane/dataplane.h"

/* struct wire_ke - group and public value; the value's length is dh_compute_shared()'s to check. */
struct wire_ke {
	uint16_t group;
	struct bytes value;
};

/* wire_ke_parse - Errors: TRUNCATED, MALFORMED (empty value). */
MUST_USE enum err wire_ke_parse(struct wire_ke *out, struct bytes body) NONNULL(1);
void wire_ke_build(struct ike_builder *b, uint16_t group, struct bytes value) NONNULL(1);

/* wire_nonce_parse - 16 to 256 bytes. Errors: MALFORMED. */
MUST_USE enum err wire_nonce_parse(struct bytes *out, struct bytes body) NONNULL(1);
void wire_nonce_build(struct ike_builder *b, struct bytes nonce) NONNULL(1);

/* wire_id_parse - an identity; addresses must have their length, others 1 to 256 bytes. Unknown
 * types are values too. The AUTH computation needs the body itself. Errors: TRUNCATED, MALFORMED,
 * LIMIT. */
MUST_USE enum err wire_id_parse(struct ike_id *out, struct bytes body) NONNULL(1);

/* ike_id_same - the same type and bytes. */
bool ike_id_same(const struct ike_id *a, const struct ike_id *b) NONNULL(1, 2);

/* wire_id_body - the body of an ID payload for id (for AUTH), in buf[WIRE_ID_BODY_MAX]. */
#define WIRE_ID_BODY_MAX 260
struct bytes wire_id_body(uint8_t buf[static WIRE_ID_BODY_MAX], const struct ike_id *id) NONNULL(2);

/* wire_id_build - type is PAYLOAD_IDI or PAYLOAD_IDR. */
void wire_id_build(struct ike_builder *b, uint8_t type, const struct ike_id *id) NONNULL(1, 3);

/* struct wire_auth - method and value. */
struct wire_auth {
	uint8_t method;
	struct bytes value;
};

/* wire_auth_parse - Errors: TRUNCATED, MALFORMED (empty value, method 0). */
MUST_USE enum err wire_auth_parse(struct wire_auth *out, struct bytes body) NONNULL(1);
void wire_auth_build(struct ike_builder *b, uint8_t method, struct bytes value) NONNULL(1);

/* struct wire_notify - spi is empty, 4 (ESP) or 8 (IKE) bytes for the types we know. */
struct wire_notify {
	uint16_t type;
	uint8_t protocol;
	struct bytes spi;
	struct bytes data;
};

/* wire_notify_parse - Errors: TRUNCATED, MALFORMED (data that a known type cannot have). */
MUST_USE enum err wire_notify_parse(struct wire_notify *out, struct bytes body) NONNULL(1);

/* wire_notify_build - without SPI. wire_notify_spi_build - about an ESP SA (REKEY_SA, INVALID_SPI,
 * CHILD_SA_NOT_FOUND). wire_notify_ke_build - INVALID_KE_PAYLOAD naming the group we want.
 * wire_token_build - QUICK_CRASH_DETECTION, which is said to be about the IKE SA (RFC 6290 4.1). */
void wire_notify_build(struct ike_builder *b, uint16_t type, struct bytes data) NONNULL(1);
void wire_notify_spi_build(struct ike_builder *b, uint16_t type, uint32_t spi) NONNULL(1);
void wire_notify_ke_build(struct ike_builder *b, uint16_t group) NONNULL(1);
void wire_token_build(struct ike_builder *b, struct bytes token) NONNULL(1);

/* wire_notify_find - the first well-formed notify of a type in a message; false if there is none.
 */
bool wire_notify_find(struct wire_notify *out, const struct ike_msg *m, uint16_t type)
	NONNULL(1, 2);

/* wire_notify_find_error - the first well-formed notify that is an error (type < 16384). */
bool wire_notify_find_error(struct wire_notify *out, const struct ike_msg *m) NONNULL(1, 2);

/* wire_notify_u16 - the data of INVALID_KE_PAYLOAD as a number. Errors: MALFORMED. */
MUST_USE enum err wire_notify_u16(uint16_t *out, const struct wire_notify *n) NONNULL(1, 2);

/* wire_ppk_parse - the name of a PPK (RFC 8784 5.1), its type fixed (2): 1 to 256 bytes, kept as
 * ID_FQDN if they are printable, else as ID_KEY_ID. Errors: TRUNCATED, UNSUPPORTED (another type),
 * LIMIT. wire_ppk_build - PPK_IDENTITY; of id only the bytes are sent; NULL: empty, as a responder
 * says that it uses it. */
MUST_USE enum err wire_ppk_parse(struct ike_id *out, struct bytes data) NONNULL(1);
void wire_ppk_build(struct ike_builder *b, const struct ike_id *id) NONNULL(1);

/* struct wire_puzzle - PUZZLE (RFC 8019 8.1): the PRF that it is solved by, and how many zero bits
 * each of its values is to end with; 0: as many as the initiator can afford. */
struct wire_puzzle {
	uint16_t prf;
	uint8_t bits;
};

/* wire_puzzle_parse - the notify's data. Errors: TRUNCATED, MALFORMED. */
MUST_USE enum err wire_puzzle_parse(struct wire_puzzle *out, struct bytes data) NONNULL(1);
void wire_puzzle_build(struct ike_builder *b, const struct wire_puzzle *puzzle) NONNULL(1, 2);

/* wire_solution_parse - a Puzzle Solution (RFC 8019 8.2): four keys of one length, no two of them
 * the same; how long they may be is the PRF's affair. Errors: MALFORMED. wire_solution_build - from
 * the keys, one after the other. */
MUST_USE enum err wire_solution_parse(struct bytes keys[static PUZZLE_KEYS], struct bytes body);
void wire_solution_build(struct ike_builder *b, struct bytes keys) NONNULL(1);

/* WIRE_RESOURCE_MAX - a buffer for wire_resource_text() that always suffices. wire_resource_text -
 * what the peer calls the resource of a pair (SA_RESOURCE_INFO, RFC 9611 5.1), for people: the
 * first bytes in hexadecimal, "-" if it says nothing. It is opaque. Returns buf. */
#define WIRE_RESOURCE_MAX 40
const char *wire_resource_text(char buf[static WIRE_RESOURCE_MAX], struct bytes data);

/* wire_notify_check - every Notify payload of the message is well formed. Errors: as
 * wire_notify_parse(). */
MUST_USE enum err wire_notify_check(const struct ike_msg *m) NONNULL(1);

/* struct wire_delete - SPIs of SAs that the sender no longer receives on: num of spi_len bytes. */
struct wire_delete {
	uint8_t protocol;
	uint8_t spi_len;
	uint16_t num;
	struct bytes spis;
};

/* wire_delete_parse - IKE: no SPI; ESP and AH: SPIs of 4 bytes that fill the payload. Errors:
 * TRUNCATED, MALFORMED, UNSUPPORTED (another protocol). */
MUST_USE enum err wire_delete_parse(struct wire_delete *out, struct bytes body) NONNULL(1);

/* wire_delete_spi - the i-th SPI of an ESP or AH delete, i < num. */
uint32_t wire_delete_spi(const struct wire_delete *d, uint16_t i) NONNULL(1);

/* wire_delete_ike_build - this IKE SA. wire_delete_esp_build - num Child SAs by our inbound SPIs.
 */
void wire_delete_ike_build(struct ike_builder *b) NONNULL(1);
void wire_delete_esp_build(struct ike_builder *b, const uint32_t *spis, uint16_t num) NONNULL(1, 2);

/* wire_vendor_build - a vendor ID. To parse one is to take its body. */
void wire_vendor_build(struct ike_builder *b, struct bytes vendor) NONNULL(1);
