/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listen_tls.h - joins an app_server to the network in a libuv loop: TLS 1.3 where both ends have a
 * certificate (api/tls/tls.h), messages in frames (frame.h). Whose certificate names no configured
 * user is refused within the handshake, and who is in it is out when his certificate expires. Of
 * strangers there are so many at once and so many a second, of all and of one place, and each has
 * so much time; who is more of his place is closed at once, and of all the one who is there
 * longest, so that nobody is locked out. What they take of the processor is one user's share, of
 * all together. Thread: the loop's.
 */
#pragma once

#include "api/app/conns.h"
#include "api/tls/tls.h"

struct app_listen_tls;

/* APP_TLS_CLIENTS_MAX - connections at once that are somebody's; APP_TLS_CLIENTS_EACH - one user's.
 * APP_TLS_STRANGERS_MAX - handshakes under way; APP_TLS_STRANGERS_RATE - begun in a second. The
 * others' _EACH - of one place: an IPv4 address, an IPv6 network of 56 bits. APP_TLS_TIME_NS - that
 * a handshake may take. */
#define APP_TLS_CLIENTS_MAX    128
#define APP_TLS_CLIENTS_EACH   8
#define APP_TLS_STRANGERS_MAX  64
#define APP_TLS_STRANGERS_EACH 4
#define APP_TLS_STRANGERS_RATE 256
#define APP_TLS_RATE_EACH      16
#define APP_TLS_TIME_NS        (10 * UINT64_C(1000000000))

/* app_listen_tls_open - listen at conf's addresses, whose users are asked for at the server
 * (app_server_conf()). why says what is wrong. Errors: CONFIG (a file), SYS, BUSY (the port is in
 * use), CRYPTO, NOMEM. */
MUST_USE enum err app_listen_tls_open(struct app_listen_tls **out, char why[static TLS_WHY_MAX],
				      uv_loop_t *loop, struct app_server *server,
				      const struct conf_network *conf) NONNULL(1, 3, 4, 5);

/* app_listen_tls_close - stop listening, close all clients. Memory goes when the loop has run its
 * close callbacks: run it once more. NULL is accepted. */
void app_listen_tls_close(struct app_listen_tls *l);

/* app_listen_tls_refused - how many were. */
uint64_t app_listen_tls_refused(const struct app_listen_tls *l) NONNULL(1);
