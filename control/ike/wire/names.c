/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/wire/names.h"

#include <stdio.h>

#include "control/conf/conf.h"
#include "control/ike/wire/proto.h"

struct name {
	uint16_t value;
	const char *text;
};

/* look_up - the name in a table, else "PREFIX_number". */
static const char *look_up(char buf[static WIRE_NAME_MAX], const struct name *table, size_t num,
			   uint16_t value, const char *prefix)
{
	for (size_t i = 0; i < num; i++) {
		if (table[i].value == value)
			return table[i].text;
	}
	snprintf(buf, WIRE_NAME_MAX, "%s_%u", prefix, value);
	return buf;
}

#define LOOK_UP(buf, table, value, prefix) look_up(buf, table, ARRAY_LEN(table), value, prefix)

const char *wire_exchange_name(char buf[static WIRE_NAME_MAX], uint8_t exchange)
{
	static const struct name names[] = {
		{IKE_SA_INIT, "IKE_SA_INIT"},
		{IKE_AUTH, "IKE_AUTH"},
		{CREATE_CHILD_SA, "CREATE_CHILD_SA"},
		{INFORMATIONAL, "INFORMATIONAL"},
		{IKE_INTERMEDIATE, "IKE_INTERMEDIATE"},
		{IKE_FOLLOWUP_KE, "IKE_FOLLOWUP_KE"},
		{IKE_SESSION_RESUME, "IKE_SESSION_RESUME"},
	};

	return LOOK_UP(buf, names, exchange, "EXCHANGE");
}

const char *wire_payload_name(char buf[static WIRE_NAME_MAX], uint8_t type)
{
	static const struct name names[] = {
		{PAYLOAD_SA, "SA"},     {PAYLOAD_KE, "KE"},       {PAYLOAD_IDI, "IDi"},
		{PAYLOAD_IDR, "IDr"},   {PAYLOAD_CERT, "CERT"},   {PAYLOAD_CERTREQ, "CERTREQ"},
		{PAYLOAD_AUTH, "AUTH"}, {PAYLOAD_NONCE, "Nonce"}, {PAYLOAD_NOTIFY, "N"},
		{PAYLOAD_DELETE, "D"},  {PAYLOAD_VENDOR, "V"},    {PAYLOAD_TSI, "TSi"},
		{PAYLOAD_TSR, "TSr"},   {PAYLOAD_SK, "SK"},       {PAYLOAD_CP, "CP"},
		{PAYLOAD_EAP, "EAP"},   {PAYLOAD_SKF, "SKF"},     {PAYLOAD_PS, "PS"},
	};

	return LOOK_UP(buf, names, type, "PAYLOAD");
}

/* notifies - RFC 7296 3.10.1 and what came later. */
static const struct name notifies[] = {
	{NOTIFY_UNSUPPORTED_CRITICAL_PAYLOAD, "UNSUPPORTED_CRITICAL_PAYLOAD"},
	{NOTIFY_INVALID_IKE_SPI, "INVALID_IKE_SPI"},
	{NOTIFY_INVALID_MAJOR_VERSION, "INVALID_MAJOR_VERSION"},
	{NOTIFY_INVALID_SYNTAX, "INVALID_SYNTAX"},
	{NOTIFY_INVALID_MESSAGE_ID, "INVALID_MESSAGE_ID"},
	{NOTIFY_INVALID_SPI, "INVALID_SPI"},
	{NOTIFY_NO_PROPOSAL_CHOSEN, "NO_PROPOSAL_CHOSEN"},
	{NOTIFY_INVALID_KE_PAYLOAD, "INVALID_KE_PAYLOAD"},
	{NOTIFY_AUTHENTICATION_FAILED, "AUTHENTICATION_FAILED"},
	{NOTIFY_SINGLE_PAIR_REQUIRED, "SINGLE_PAIR_REQUIRED"},
	{NOTIFY_NO_ADDITIONAL_SAS, "NO_ADDITIONAL_SAS"},
	{NOTIFY_INTERNAL_ADDRESS_FAILURE, "INTERNAL_ADDRESS_FAILURE"},
	{NOTIFY_FAILED_CP_REQUIRED, "FAILED_CP_REQUIRED"},
	{NOTIFY_TS_UNACCEPTABLE, "TS_UNACCEPTABLE"},
	{NOTIFY_INVALID_SELECTORS, "INVALID_SELECTORS"},
	{NOTIFY_TEMPORARY_FAILURE, "TEMPORARY_FAILURE"},
	{NOTIFY_CHILD_SA_NOT_FOUND, "CHILD_SA_NOT_FOUND"},
	{NOTIFY_INITIAL_CONTACT, "INITIAL_CONTACT"},
	{NOTIFY_SET_WINDOW_SIZE, "SET_WINDOW_SIZE"},
	{NOTIFY_ADDITIONAL_TS_POSSIBLE, "ADDITIONAL_TS_POSSIBLE"},
	{NOTIFY_IPCOMP_SUPPORTED, "IPCOMP_SUPPORTED"},
	{NOTIFY_NAT_DETECTION_SOURCE_IP, "NAT_DETECTION_SOURCE_IP"},
	{NOTIFY_NAT_DETECTION_DESTINATION_IP, "NAT_DETECTION_DESTINATION_IP"},
	{NOTIFY_COOKIE, "COOKIE"},
	{NOTIFY_USE_TRANSPORT_MODE, "USE_TRANSPORT_MODE"},
	{NOTIFY_HTTP_CERT_LOOKUP_SUPPORTED, "HTTP_CERT_LOOKUP_SUPPORTED"},
	{NOTIFY_REKEY_SA, "REKEY_SA"},
	{NOTIFY_ESP_TFC_PADDING_NOT_SUPPORTED, "ESP_TFC_PADDING_NOT_SUPPORTED"},
	{NOTIFY_NON_FIRST_FRAGMENTS_ALSO, "NON_FIRST_FRAGMENTS_ALSO"},
	{NOTIFY_UNACCEPTABLE_ADDRESSES, "UNACCEPTABLE_ADDRESSES"},
	{NOTIFY_UNEXPECTED_NAT_DETECTED, "UNEXPECTED_NAT_DETECTED"},
	{NOTIFY_MOBIKE_SUPPORTED, "MOBIKE_SUPPORTED"},
	{NOTIFY_ADDITIONAL_IP4_ADDRESS, "ADDITIONAL_IP4_ADDRESS"},
	{NOTIFY_ADDITIONAL_IP6_ADDRESS, "ADDITIONAL_IP6_ADDRESS"},
	{NOTIFY_NO_ADDITIONAL_ADDRESSES, "NO_ADDITIONAL_ADDRESSES"},
	{NOTIFY_UPDATE_SA_ADDRESSES, "UPDATE_SA_ADDRESSES"},
	{NOTIFY_COOKIE2, "COOKIE2"},
	{NOTIFY_NO_NATS_ALLOWED, "NO_NATS_ALLOWED"},
	{NOTIFY_AUTH_LIFETIME, "AUTH_LIFETIME"},
	{NOTIFY_TICKET_LT_OPAQUE, "TICKET_LT_OPAQUE"},
	{NOTIFY_TICKET_REQUEST, "TICKET_REQUEST"},
	{NOTIFY_TICKET_ACK, "TICKET_ACK"},
	{NOTIFY_TICKET_NACK, "TICKET_NACK"},
	{NOTIFY_TICKET_OPAQUE, "TICKET_OPAQUE"},
	{NOTIFY_PUZZLE, "PUZZLE"},
	{NOTIFY_USE_PPK, "USE_PPK"},
	{NOTIFY_PPK_IDENTITY, "PPK_IDENTITY"},
	{NOTIFY_NO_PPK_AUTH, "NO_PPK_AUTH"},
	{NOTIFY_REDIRECT_SUPPORTED, "REDIRECT_SUPPORTED"},
	{NOTIFY_REDIRECT, "REDIRECT"},
	{NOTIFY_REDIRECTED_FROM, "REDIRECTED_FROM"},
	{NOTIFY_QUICK_CRASH_DETECTION, "QUICK_CRASH_DETECTION"},
	{NOTIFY_TS_MAX_QUEUE, "TS_MAX_QUEUE"},
	{NOTIFY_STATE_NOT_FOUND, "STATE_NOT_FOUND"},
	{NOTIFY_INTERMEDIATE_EXCHANGE_SUPPORTED, "INTERMEDIATE_EXCHANGE_SUPPORTED"},
	{NOTIFY_ADDITIONAL_KEY_EXCHANGE, "ADDITIONAL_KEY_EXCHANGE"},
	{NOTIFY_SUPPORTED_AUTH_METHODS, "SUPPORTED_AUTH_METHODS"},
	{NOTIFY_SA_RESOURCE_INFO, "SA_RESOURCE_INFO"},
	{NOTIFY_MIF_SUPPORTED, "MIF_SUPPORTED"},
	{NOTIFY_MIF_OP, "MIF_OP"},
	{NOTIFY_MIF_RESULT, "MIF_RESULT"},
	/* Not spoken, but seen from other implementations. */
	{42, "USE_ASSIGNED_HoA"},
	{45, "INVALID_GROUP_ID"},
	{46, "AUTHORIZATION_FAILED"},
	{16404, "MULTIPLE_AUTH_SUPPORTED"},
	{16417, "EAP_ONLY_AUTHENTICATION"},
	{16418, "CHILDLESS_IKEV2_SUPPORTED"},
	{16420, "IKEV2_MESSAGE_ID_SYNC_SUPPORTED"},
	{16430, "IKEV2_FRAGMENTATION_SUPPORTED"},
	{16431, "SIGNATURE_HASH_ALGORITHMS"},
};

const char *wire_notify_name(char buf[static WIRE_NAME_MAX], uint16_t type)
{
	return LOOK_UP(buf, notifies, type, "NOTIFY");
}

static const char *dh_name(char buf[static WIRE_NAME_MAX], uint16_t id)
{
	static const struct name names[] = {
		{DH_NONE, "NONE"},
		{DH_MODP_2048, "MODP_2048"},
		{DH_MODP_3072, "MODP_3072"},
		{DH_MODP_4096, "MODP_4096"},
		{DH_ECP_256, "ECP_256"},
		{DH_ECP_384, "ECP_384"},
		{DH_ECP_521, "ECP_521"},
		{DH_CURVE_25519, "CURVE_25519"},
		{32, "CURVE_448"},
		{KE_ML_KEM_512, "ML_KEM_512"},
		{KE_ML_KEM_768, "ML_KEM_768"},
		{KE_ML_KEM_1024, "ML_KEM_1024"},
	};

	return LOOK_UP(buf, names, id, "DH");
}

const char *wire_transform_name(char buf[static WIRE_NAME_MAX], uint8_t type, uint16_t id)
{
	static const struct name encr[] = {
		{ENCR_NULL, "NULL"},
		{ENCR_AES_CBC, "AES_CBC"},
		{13, "AES_CTR"},
		{ENCR_AES_GCM_16, "AES_GCM_16"},
		{ENCR_AES_GMAC, "NULL_AES_GMAC"},
		{ENCR_CHACHA20_POLY1305, "CHACHA20_POLY1305"},
		{ENCR_AES_GCM_16_IIV, "AES_GCM_16_IIV"},
		{ENCR_CHACHA20_POLY1305_IIV, "CHACHA20_POLY1305_IIV"},
	};
	static const struct name prf[] = {
		{2, "PRF_HMAC_SHA1"},
		{PRF_HMAC_SHA2_256, "PRF_HMAC_SHA2_256"},
		{PRF_HMAC_SHA2_384, "PRF_HMAC_SHA2_384"},
		{PRF_HMAC_SHA2_512, "PRF_HMAC_SHA2_512"},
	};
	static const struct name integ[] = {
		{0, "NONE"},
		{2, "HMAC_SHA1_96"},
		{12, "HMAC_SHA2_256_128"},
		{13, "HMAC_SHA2_384_192"},
		{14, "HMAC_SHA2_512_256"},
	};
	static const struct name esn[] = {{0, "NO_ESN"}, {1, "ESN"}};

	switch (type) {
	case TRANSFORM_ENCR:
		return LOOK_UP(buf, encr, id, "ENCR");
	case TRANSFORM_PRF:
		return LOOK_UP(buf, prf, id, "PRF");
	case TRANSFORM_INTEG:
		return LOOK_UP(buf, integ, id, "INTEG");
	case TRANSFORM_DH:
		return dh_name(buf, id);
	case TRANSFORM_ESN:
		return LOOK_UP(buf, esn, id, "ESN");
	default:
		if (type >= TRANSFORM_ADDKE1 && type <= TRANSFORM_ADDKE7)
			return dh_name(buf, id);
		snprintf(buf, WIRE_NAME_MAX, "TRANSFORM_%u_%u", type, id);
		return buf;
	}
}

const char *wire_transform_type_name(char buf[static WIRE_NAME_MAX], uint8_t type)
{
	static const struct name names[] = {
		{TRANSFORM_ENCR, "ENCR"}, {TRANSFORM_PRF, "PRF"}, {TRANSFORM_INTEG, "INTEG"},
		{TRANSFORM_DH, "DH"},     {TRANSFORM_ESN, "ESN"},
	};

	if (type >= TRANSFORM_ADDKE1 && type <= TRANSFORM_ADDKE7) {
		snprintf(buf, WIRE_NAME_MAX, "ADDKE%u", type - TRANSFORM_ADDKE1 + 1u);
		return buf;
	}

	return LOOK_UP(buf, names, type, "TRANSFORM");
}

const char *wire_protocol_name(char buf[static WIRE_NAME_MAX], uint8_t protocol)
{
	static const struct name names[] = {
		{PROTO_NONE, "NONE"},
		{PROTO_IKE, "IKE"},
		{PROTO_AH, "AH"},
		{PROTO_ESP, "ESP"},
	};

	return LOOK_UP(buf, names, protocol, "PROTOCOL");
}

const char *wire_id_type_name(char buf[static WIRE_NAME_MAX], uint8_t type)
{
	static const struct name names[] = {
		{ID_IPV4_ADDR, "IPV4_ADDR"},     {ID_FQDN, "FQDN"},
		{ID_RFC822_ADDR, "RFC822_ADDR"}, {ID_IPV6_ADDR, "IPV6_ADDR"},
		{ID_DER_ASN1_DN, "DER_ASN1_DN"}, {ID_DER_ASN1_GN, "DER_ASN1_GN"},
		{ID_KEY_ID, "KEY_ID"},           {ID_NULL, "NULL"},
	};

	return LOOK_UP(buf, names, type, "ID");
}

const char *wire_auth_method_name(char buf[static WIRE_NAME_MAX], uint8_t method)
{
	static const struct name names[] = {
		{1, "RSA_SIGNATURE"},
		{AUTH_SHARED_KEY_MIC, "SHARED_KEY_MIC"},
		{AUTH_NULL, "NULL"},
		{14, "DIGITAL_SIGNATURE"},
	};

	return LOOK_UP(buf, names, method, "AUTH_METHOD");
}
