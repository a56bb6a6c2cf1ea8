/* SPDX-License-Identifier: Apache-2.0 */
/* error.c - what went wrong, for programs and for people. */
#include "api/client/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char last_text[256];
static _Thread_local enum ipsec_reason last_reason;

/* The names are the daemon's, the sentences ours. */
static const struct {
	const char *name, *text;
} reasons[] = {
	[IPSEC_REASON_NONE] = {"none", "nothing is wrong"},
	[IPSEC_REASON_LOCAL] = {"local", "it was asked for here"},
	[IPSEC_REASON_PEER_DELETE] = {"peer-delete", "the peer ended it"},
	[IPSEC_REASON_NO_ANSWER] = {"no-answer", "the peer does not answer"},
	[IPSEC_REASON_NO_PROPOSAL] = {"no-proposal", "there is no algorithm that both sides want"},
	[IPSEC_REASON_INVALID_KE] = {"invalid-ke", "there is no key exchange that both sides want"},
	[IPSEC_REASON_AUTH_FAILED_PEER] = {"auth-failed-peer",
					   "the peer does not believe who we are"},
	[IPSEC_REASON_AUTH_FAILED_LOCAL] = {"auth-failed-local",
					    "the peer could not prove who he is"},
	[IPSEC_REASON_NO_SECRET] = {"no-secret", "there is no secret for this peer"},
	[IPSEC_REASON_NO_KEY] = {"no-key", "there is no private key that the peer could verify"},
	[IPSEC_REASON_ID_MISMATCH] = {"id-mismatch", "the peer is somebody else"},
	[IPSEC_REASON_CERT_INVALID] = {"certificate-invalid", "the peer's certificate is wrong"},
	[IPSEC_REASON_CERT_EXPIRED] = {"certificate-expired",
				       "the peer's certificate is out of date"},
	[IPSEC_REASON_CERT_NOT_YET] = {"certificate-not-yet-valid",
				       "the peer's certificate is not valid yet"},
	[IPSEC_REASON_CERT_NAME] = {"certificate-name",
				    "the peer's certificate is for another name"},
	[IPSEC_REASON_CERT_USAGE] = {"certificate-usage",
				     "the peer's certificate is for another use"},
	[IPSEC_REASON_CERT_UNKNOWN_CA] = {"certificate-unknown-ca",
					  "nobody who is believed vouches for the peer"},
	[IPSEC_REASON_CERT_PATH_LENGTH] = {"certificate-path-length",
					   "the peer's chain of certificates is too long"},
	[IPSEC_REASON_CERT_REVOKED] = {"certificate-revoked", "the peer's certificate was revoked"},
	[IPSEC_REASON_CERT_NO_REVOCATION] = {"certificate-no-revocation",
					     "nothing is known of the peer's certificate's "
					     "revocation"},
	[IPSEC_REASON_CERT_WEAK] = {"certificate-weak", "the peer's certificate is too weak"},
	[IPSEC_REASON_KEY_CHANGED] = {"key-changed", "the peer's key is not the one it was"},
	[IPSEC_REASON_TS_UNACCEPTABLE] = {"ts-unacceptable",
					  "the peer does not want to protect this traffic"},
	[IPSEC_REASON_NO_CONFIG] = {"no-config", "nothing is configured for this peer"},
	[IPSEC_REASON_REFUSED] = {"refused", "the peer was refused here"},
	[IPSEC_REASON_MALFORMED] = {"malformed", "the peer sent what is no IKE"},
	[IPSEC_REASON_UNSUPPORTED] = {"unsupported", "the peer wants what is not supported"},
	[IPSEC_REASON_EXPIRED] = {"expired", "its lifetime is over"},
	[IPSEC_REASON_PEER_ERROR] = {"peer-error", "the peer reports an error"},
	[IPSEC_REASON_RESOURCES] = {"resources", "there is no room for it here"},
	[IPSEC_REASON_REPLACED] = {"replaced", "a newer one took its place"},
	[IPSEC_REASON_INACTIVE] = {"inactive", "nothing was sent for long"},
	[IPSEC_REASON_METHOD] = {"method-refused",
				 "the peer proved himself otherwise than was demanded"},
	[IPSEC_REASON_PPK_MISSING] = {"ppk-missing",
				      "the peer uses no post-quantum pre-shared key"},
	[IPSEC_REASON_PPK_UNKNOWN] = {"ppk-unknown",
				      "the post-quantum pre-shared key is not known here"},
	[IPSEC_REASON_PPK_WRONG] = {"ppk-wrong",
				    "the post-quantum pre-shared keys of the two sides differ"},
	[IPSEC_REASON_OTHER] = {"other", "of a reason that is not known here"},
};

static const int errnos[APP_NUM_CODES] = {
	[APP_INVAL] = EINVAL,       [APP_NOT_FOUND] = ENOENT,  [APP_EXISTS] = EEXIST,
	[APP_PERM] = EPERM,         [APP_FULL] = EDQUOT,       [APP_NOMEM] = ENOMEM,
	[APP_BAD_STATE] = ENOTCONN, [APP_TIMEOUT] = ETIMEDOUT, [APP_UNSUPPORTED] = EOPNOTSUPP,
	[APP_FAILED] = EPROTO,      [APP_SYS] = EIO,
};

static bool is_reason(enum ipsec_reason r)
{
	return (unsigned int)r < ARRAY_LEN(reasons);
}

enum ipsec_reason reason_of(const char *name)
{
	if (!*name)
		return IPSEC_REASON_NONE;
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		if (strcmp(reasons[i].name, name) == 0)
			return (enum ipsec_reason)i;
	}
	return IPSEC_REASON_OTHER;
}

int fail(int err, const char *text)
{
	last_reason = IPSEC_REASON_NONE;
	snprintf(last_text, sizeof(last_text), "%s", text);
	errno = err;
	return -1;
}

int fail_reason(const struct app_msg *msg)
{
	int err = msg->code < APP_NUM_CODES ? errnos[msg->code] : EIO;
	char text[256], name[32];

	app_attr_text(&msg->attrs, APP_A_TEXT, text, sizeof(text));
	fail(err, text[0] ? text : strerror(err));
	last_reason = reason_of(app_attr_text(&msg->attrs, APP_A_REASON, name, sizeof(name)));
	errno = err;
	return -1;
}

const char *ipsec_last_error(void)
{
	return last_text;
}

enum ipsec_reason ipsec_last_reason(void)
{
	return last_reason;
}

const char *ipsec_reason_text(enum ipsec_reason reason)
{
	return reasons[is_reason(reason) ? reason : IPSEC_REASON_OTHER].text;
}

const char *ipsec_auth_method_name(enum ipsec_auth_method method)
{
	static const char *const names[APP_NUM_METHODS] = {
		[IPSEC_AUTH_NONE] = "none",
		[IPSEC_AUTH_BTNS] = "btns",
		[IPSEC_AUTH_LEAPOFFAITH] = "leap-of-faith",
		[IPSEC_AUTH_PRESHAREDKEY] = "psk",
		[IPSEC_AUTH_GROUPKEY] = "group-psk",
		[IPSEC_AUTH_XAUTH] = "xauth",
		[IPSEC_AUTH_EAP] = "eap",
		[IPSEC_AUTH_PKIX_TRUSTED] = "pkix-trusted",
		[IPSEC_AUTH_PKIX_INLINE] = "pkix-inline",
		[IPSEC_AUTH_PKIX_OFFLINE] = "pkix-offline",
		[IPSEC_AUTH_PUBKEY] = "pubkey",
	};

	return (unsigned int)method < ARRAY_LEN(names) && names[method] ? names[method] : "unknown";
}
