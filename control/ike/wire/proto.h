/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proto.h - the numbers of the IKEv2 wire format (RFC 7296 and IANA) and our bounds (S3). Transform
 * numbers that we support are in control/conf/conf.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

#define IKE_HEADER_LEN      28
#define IKE_PAYLOAD_HDR_LEN 4
#define IKE_MAJOR_VERSION   2

/* enum ike_exchange - 3.1. */
enum ike_exchange {
	IKE_SA_INIT = 34,
	IKE_AUTH = 35,
	CREATE_CHILD_SA = 36,
	INFORMATIONAL = 37,
	IKE_SESSION_RESUME = 38, /* RFC 5723 */
	IKE_INTERMEDIATE = 43,   /* RFC 9242 */
	IKE_FOLLOWUP_KE = 44,    /* RFC 9370 */
};

/* exchange_is_first - an IKE SA begins with it: it is in the clear, and its number is 0. */
static inline bool exchange_is_first(uint8_t exchange)
{
	return exchange == IKE_SA_INIT || exchange == IKE_SESSION_RESUME;
}

/* enum ike_flags - 3.1; other bits are sent as zero and ignored. */
enum ike_flags {
	IKE_FLAG_INITIATOR = 0x08, /* the sender is the original initiator of the IKE SA */
	IKE_FLAG_VERSION = 0x10,
	IKE_FLAG_RESPONSE = 0x20,
};

/* enum ike_payload_type - 3.2. */
enum ike_payload_type {
	PAYLOAD_NONE = 0,
	PAYLOAD_SA = 33,
	PAYLOAD_KE = 34,
	PAYLOAD_IDI = 35,
	PAYLOAD_IDR = 36,
	PAYLOAD_CERT = 37,
	PAYLOAD_CERTREQ = 38,
	PAYLOAD_AUTH = 39,
	PAYLOAD_NONCE = 40,
	PAYLOAD_NOTIFY = 41,
	PAYLOAD_DELETE = 42,
	PAYLOAD_VENDOR = 43,
	PAYLOAD_TSI = 44,
	PAYLOAD_TSR = 45,
	PAYLOAD_SK = 46,
	PAYLOAD_CP = 47,
	PAYLOAD_EAP = 48,
	PAYLOAD_SKF = 53,   /* RFC 7383 */
	PAYLOAD_PS = 54,    /* RFC 8019 */
	PAYLOAD_LIMIT = 64, /* types below it have a bit */
};

/* PAYLOAD_BIT - the bit of a payload type (33 to 63) in a presence mask. */
#define PAYLOAD_BIT(type) (UINT64_C(1) << (type))

/* PAYLOAD_REPEATABLE - payloads that any message may carry more than once. */
#define PAYLOAD_REPEATABLE                                                                         \
	(PAYLOAD_BIT(PAYLOAD_NOTIFY) | PAYLOAD_BIT(PAYLOAD_DELETE) | PAYLOAD_BIT(PAYLOAD_VENDOR) | \
	 PAYLOAD_BIT(PAYLOAD_CERT) | PAYLOAD_BIT(PAYLOAD_CERTREQ))

/* enum ike_protocol - 3.3.1. */
enum ike_protocol {
	PROTO_NONE = 0,
	PROTO_IKE = 1,
	PROTO_AH = 2,
	PROTO_ESP = 3,
};

/* enum ike_transform_type - 3.3.2. */
enum ike_transform_type {
	TRANSFORM_ENCR = 1,
	TRANSFORM_PRF = 2,
	TRANSFORM_INTEG = 3,
	TRANSFORM_DH = 4,
	TRANSFORM_ESN = 5,
	TRANSFORM_ADDKE1 = 6, /* RFC 9370: additional key exchanges, in this order */
	TRANSFORM_ADDKE7 = 12,
};

/* ATTR_KEY_LENGTH - 3.3.5: the only attribute there is, in TV format. */
#define ATTR_KEY_LENGTH 14
#define ATTR_FORMAT_TV  0x8000

/* enum ike_id_type - 3.5. */
enum ike_id_type {
	ID_IPV4_ADDR = 1,
	ID_FQDN = 2,
	ID_RFC822_ADDR = 3,
	ID_IPV6_ADDR = 5,
	ID_DER_ASN1_DN = 9,
	ID_DER_ASN1_GN = 10,
	ID_KEY_ID = 11,
	ID_NULL = 13, /* RFC 7619: nobody; no data */
};

/* enum ike_auth_method - 3.8 and IANA. RSA_SIGNATURE is refused: it is SHA-1 by custom (S28). */
enum ike_auth_method {
	AUTH_RSA_SIGNATURE = 1,
	AUTH_SHARED_KEY_MIC = 2,
	AUTH_ECDSA_256 = 9, /* RFC 4754 */
	AUTH_ECDSA_384 = 10,
	AUTH_ECDSA_521 = 11,
	AUTH_NULL = 13,              /* RFC 7619 */
	AUTH_DIGITAL_SIGNATURE = 14, /* RFC 7427 */
};

/* enum ike_cert_encoding - 3.6: only what we look at. */
enum ike_cert_encoding {
	CERT_X509_SIGNATURE = 4,
	CERT_HASH_AND_URL = 12,   /* of an X.509 certificate */
	CERT_BUNDLE_AND_URL = 13, /* of several, and of lists */
	CERT_OCSP_CONTENT = 14,   /* RFC 4806 */
	CERT_RAW_PUBLIC_KEY = 15, /* RFC 7670 */
};

/* enum ike_ts_type - 3.13.1. */
enum ike_ts_type {
	TS_IPV4_ADDR_RANGE = 7,
	TS_IPV6_ADDR_RANGE = 8,
};

/* enum ike_notify_type - 3.10.1; below NOTIFY_STATUS_FIRST they are errors. */
enum ike_notify_type {
	NOTIFY_UNSUPPORTED_CRITICAL_PAYLOAD = 1,
	NOTIFY_INVALID_IKE_SPI = 4,
	NOTIFY_INVALID_MAJOR_VERSION = 5,
	NOTIFY_INVALID_SYNTAX = 7,
	NOTIFY_INVALID_MESSAGE_ID = 9,
	NOTIFY_INVALID_SPI = 11,
	NOTIFY_NO_PROPOSAL_CHOSEN = 14,
	NOTIFY_INVALID_KE_PAYLOAD = 17,
	NOTIFY_AUTHENTICATION_FAILED = 24,
	NOTIFY_SINGLE_PAIR_REQUIRED = 34,
	NOTIFY_NO_ADDITIONAL_SAS = 35,
	NOTIFY_INTERNAL_ADDRESS_FAILURE = 36,
	NOTIFY_FAILED_CP_REQUIRED = 37,
	NOTIFY_TS_UNACCEPTABLE = 38,
	NOTIFY_INVALID_SELECTORS = 39,
	NOTIFY_UNACCEPTABLE_ADDRESSES = 40,  /* RFC 4555 */
	NOTIFY_UNEXPECTED_NAT_DETECTED = 41, /* RFC 4555 */
	NOTIFY_TEMPORARY_FAILURE = 43,
	NOTIFY_CHILD_SA_NOT_FOUND = 44,
	NOTIFY_STATE_NOT_FOUND = 47, /* RFC 9370 */
	NOTIFY_TS_MAX_QUEUE = 48,    /* RFC 9611 */
	NOTIFY_STATUS_FIRST = 16384,
	NOTIFY_INITIAL_CONTACT = 16384,
	NOTIFY_SET_WINDOW_SIZE = 16385,
	NOTIFY_ADDITIONAL_TS_POSSIBLE = 16386,
	NOTIFY_IPCOMP_SUPPORTED = 16387,
	NOTIFY_NAT_DETECTION_SOURCE_IP = 16388,
	NOTIFY_NAT_DETECTION_DESTINATION_IP = 16389,
	NOTIFY_COOKIE = 16390,
	NOTIFY_USE_TRANSPORT_MODE = 16391,
	NOTIFY_HTTP_CERT_LOOKUP_SUPPORTED = 16392,
	NOTIFY_REKEY_SA = 16393,
	NOTIFY_ESP_TFC_PADDING_NOT_SUPPORTED = 16394,
	NOTIFY_NON_FIRST_FRAGMENTS_ALSO = 16395,
	NOTIFY_MOBIKE_SUPPORTED = 16396, /* RFC 4555, and those that follow */
	NOTIFY_ADDITIONAL_IP4_ADDRESS = 16397,
	NOTIFY_ADDITIONAL_IP6_ADDRESS = 16398,
	NOTIFY_NO_ADDITIONAL_ADDRESSES = 16399,
	NOTIFY_UPDATE_SA_ADDRESSES = 16400,
	NOTIFY_COOKIE2 = 16401,
	NOTIFY_NO_NATS_ALLOWED = 16402,
	NOTIFY_AUTH_LIFETIME = 16403,      /* RFC 4478 */
	NOTIFY_REDIRECT_SUPPORTED = 16406, /* RFC 5685, and those that follow */
	NOTIFY_REDIRECT = 16407,
	NOTIFY_REDIRECTED_FROM = 16408,
	NOTIFY_TICKET_LT_OPAQUE = 16409, /* RFC 5723, and those that follow */
	NOTIFY_TICKET_REQUEST = 16410,
	NOTIFY_TICKET_ACK = 16411,
	NOTIFY_TICKET_NACK = 16412,
	NOTIFY_TICKET_OPAQUE = 16413,
	NOTIFY_EAP_ONLY_AUTHENTICATION = 16417,   /* RFC 5998 */
	NOTIFY_QUICK_CRASH_DETECTION = 16419,     /* RFC 6290 */
	NOTIFY_FRAGMENTATION_SUPPORTED = 16430,   /* RFC 7383 */
	NOTIFY_SIGNATURE_HASH_ALGORITHMS = 16431, /* RFC 7427 */
	NOTIFY_PUZZLE = 16434,                    /* RFC 8019 */
	NOTIFY_USE_PPK = 16435,                   /* RFC 8784, and those that follow */
	NOTIFY_PPK_IDENTITY = 16436,
	NOTIFY_NO_PPK_AUTH = 16437,
	NOTIFY_INTERMEDIATE_EXCHANGE_SUPPORTED = 16438, /* RFC 9242 */
	NOTIFY_ADDITIONAL_KEY_EXCHANGE = 16441,         /* RFC 9370 */
	NOTIFY_SUPPORTED_AUTH_METHODS = 16443,          /* RFC 9593 */
	NOTIFY_SA_RESOURCE_INFO = 16444,                /* RFC 9611 */
	NOTIFY_MIF_SUPPORTED = 42768, /* of private use, as those that follow: mif.h */
	NOTIFY_MIF_OP = 42769,
	NOTIFY_MIF_RESULT = 42770,
};

/* Bounds (S3): one more is an error, not a truncation. */
#define IKE_MAX_MESSAGE    65000 /* bytes of a message that we look at or build */
#define IKE_MAX_PAYLOADS   64    /* in one chain */
#define IKE_MAX_PROPOSALS  32
#define IKE_MAX_TRANSFORMS 256 /* in one SA payload */
#define IKE_MAX_TS         64  /* in one TS payload */
#define IKE_MAX_FRAGMENTS  64  /* of one message (RFC 7383) */
#define IKE_NONCE_MIN      16  /* 3.9 */
#define IKE_NONCE_MAX      256
#define IKE_NONCE_LEN      32 /* of ours */
#define IKE_COOKIE_MAX     64 /* 2.6 */
#define IKE_TOKEN_MIN      16 /* RFC 6290 4.1 */
#define IKE_TOKEN_MAX      128
#define IKE_MAX_CERTS      10 /* in one message; S27: a chain is no longer */
#define IKE_CERT_LEN_MAX   16384
#define IKE_MAX_CERTREQS   100 /* authorities that are looked at or named in one message */
