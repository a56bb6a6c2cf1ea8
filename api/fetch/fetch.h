/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch.h - api/engine/fetcher.h over libcurl: HTTP alone, without redirects, proxies, cookies or
 * passwords, each by a connection of its own, and to no address that is not allowed: asked when
 * the connection is made, so that a name that leads elsewhere by then changes nothing (S27).
 */
#pragma once

#include "api/engine/fetcher.h"

/* fetch_open - mark: of its sockets (SO_MARK), 0 = none. Errors: NOMEM, SYS. */
MUST_USE enum err fetch_open(struct fetcher *out, uint32_t mark) NONNULL(1);
