/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipsec_remote.h - the calls of <latchkey/ipsec.h> to the daemon of another host, by TLS 1.3 with a
 * certificate on both sides. Link with liblatchkey-remote (pkg-config latchkey-remote).
 *
 *	struct ipsec_remote host = {
 *		.size = sizeof(host), .host = "gw.example.com", .port = "4505",
 *		.certificate = "monitor.pem", .key = "monitor.key", .ca = "gw-ca.pem"};
 *
 *	if (ipsec_remote_use(&host) || ipsec_each_latch(show, NULL))
 *		errx(1, "%s", ipsec_last_error());
 *
 * The other host's administrator decides what this caller may (latchkey.conf(5),
 * latchkey.app.network). What is about a socket is EPERM there: it has none of this process. Calls
 * that need no daemon are as they were.
 */
#pragma once

#include <latchkey/ipsec.h>

#ifdef __cplusplus
extern "C" {
#endif

/* struct ipsec_remote - the daemon that is called. size: sizeof, set by the caller. host: a name or
 * an address, which has to be in the daemon's certificate. Files are PEM: certificate, the caller's
 * own and the authorities between; key, not encrypted; ca, the authorities that vouch for the
 * daemon: nobody else is believed. crl: what these took back; NULL: it is not known. */
struct ipsec_remote {
	size_t size;
	const char *host;
	const char *port;
	const char *certificate;
	const char *key;
	const char *ca;
	const char *crl;
};

/* ipsec_remote_use - from the next connection on it is this daemon that all calls of this process
 * ask; NULL: that of this host again. What is pointed at is copied, the files are read at each
 * connection, which is made at the first call and may take 5 seconds then. Handles and latches of
 * the daemon before are of no use with this one. Errors: EINVAL (something is not set),
 * ENAMETOOLONG. What fails later the calls say: ECONNREFUSED with a sentence in ipsec_last_error()
 * (no such host, no answer, a certificate that is not believed, on either side). */
IPSEC_API int ipsec_remote_use(const struct ipsec_remote *remote);

#ifdef __cplusplus
}
#endif
