/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fit.h - how large an inner packet may be, for one SA at one time: what its path takes, less what
 * ESP and the outer header add. Thread: the worker.
 */
#pragma once

#include "dataplane/path.h"
#include "dataplane/sa.h"

/* FIT_ANY - nothing is known of the path: every length goes. */
#define FIT_ANY UINT32_MAX

/* fit_text - the most that ESP may carry by `path` in one outer packet, without padding and
 * trailer; FIT_ANY if the path's MTU is not known. */
static inline uint32_t fit_text(const struct esp_sa *sa, const struct path *path, uint64_t now_ns)
{
	uint32_t mtu = path_mtu(path, now_ns);
	uint32_t outer = path->addr.remote.addr.family == IP_V6 ? 40 : 20;

	if (!mtu)
		return FIT_ANY;
	uint32_t around =
		outer + (path->addr.encap == ENCAP_UDP ? 8u : 0u) + sa->front_len + sa->icv_len;

	return ((mtu - around) & ~(sa->align - 1u)) - ESP_TRAILER_LEN;
}

/* fit_len - the longest inner packet that goes by `path` in one outer packet; FIT_ANY if the path's
 * MTU is not known. In transport mode the packet's own header is the outer one. */
static inline uint32_t fit_len(const struct esp_sa *sa, const struct path *path, uint64_t now_ns)
{
	uint32_t len = fit_text(sa, path, now_ns);

	if (len == FIT_ANY || likely(rcu_deref(sa->conf)->mode != SA_TRANSPORT))
		return len;
	return len + (path->addr.remote.addr.family == IP_V6 ? 40 : 20);
}

/* fit_mss - the TCP MSS option's value at most (RFC 9293 3.7.1) for packets of fit_len() bytes, as
 * the SA's configuration says (mss_clamp); 0 = none. */
static inline uint32_t fit_mss(const struct sa_conf *c, uint32_t len, bool v6)
{
	if (c->mss_clamp != MSS_CLAMP_PATH)
		return c->mss_clamp;
	return len == FIT_ANY ? 0 : len - (v6 ? 60 : 40);
}
