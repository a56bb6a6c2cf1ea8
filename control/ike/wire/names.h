/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.h - names for people of what is on the wire, in the spelling of RFC 7296 and IANA. Each
 * call takes a buffer for numbers without a name ("NOTIFY_4711"), so that every result is bounded
 * (S8). They return buf or a constant. Any thread.
 */
#pragma once

#include "base/attr.h"

/* WIRE_NAME_MAX - a buffer that always suffices. */
#define WIRE_NAME_MAX 48

/* wire_exchange_name - "IKE_SA_INIT". wire_payload_name - "SA", "KEi/KEr" as "KE", "IDi". */
const char *wire_exchange_name(char buf[static WIRE_NAME_MAX], uint8_t exchange);
const char *wire_payload_name(char buf[static WIRE_NAME_MAX], uint8_t type);

/* wire_notify_name - "NO_PROPOSAL_CHOSEN". */
const char *wire_notify_name(char buf[static WIRE_NAME_MAX], uint16_t type);

/* wire_transform_name - "AES_GCM_16", "PRF_HMAC_SHA2_256", "CURVE_25519", "ESN". */
const char *wire_transform_name(char buf[static WIRE_NAME_MAX], uint8_t type, uint16_t id);

/* wire_transform_type_name - "ENCR"; wire_protocol_name - "ESP". */
const char *wire_transform_type_name(char buf[static WIRE_NAME_MAX], uint8_t type);
const char *wire_protocol_name(char buf[static WIRE_NAME_MAX], uint8_t protocol);

/* wire_id_type_name - "FQDN"; wire_auth_method_name - "SHARED_KEY_MIC". */
const char *wire_id_type_name(char buf[static WIRE_NAME_MAX], uint8_t type);
const char *wire_auth_method_name(char buf[static WIRE_NAME_MAX], uint8_t method);
