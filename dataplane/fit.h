/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fit.h - how large an inner packet may be, for one SA at one time: what its paths take, less what
 * ESP and the outer header add. Thread: the worker.
 */
#pragma once

#include "dataplane/path.h"
#include "dataplane/sa.h"

/* FIT_ANY - nothing is known of the path: every length goes. */
#define FIT_ANY UINT32_MAX

/* fit_by - the most that ESP may carry by `path` in one outer packet, without padding and trailer;
 * in transport mode that and the header that ESP does not carry. FIT_ANY if the path's MTU is not
 * known. */
static inline uint32_t fit_by(const struct esp_sa *sa, const struct path *path, bool transport,
			      uint64_t now_ns)
{
	uint32_t mtu = path_mtu(path, now_ns);
	uint32_t outer = path->addr.remote.addr.family == IP_V6 ? 40 : 20;

	if (!mtu)
		return FIT_ANY;
	uint32_t around =
		outer + (path->addr.encap == ENCAP_UDP ? 8u : 0u) + sa->front_len + sa->icv_len;

	return ((mtu - around) & ~(sa->align - 1u)) - ESP_TRAILER_LEN + (transport ? outer : 0);
}

/* fit_least - fit_by() by whichever of the paths that packets leave by: a packet may go any way,
 * and that of the next one may be another. */
static inline uint32_t fit_least(const struct esp_sa *sa, const struct path_table *t,
				 bool transport, uint64_t now_ns)
{
	uint32_t least = fit_by(sa, t->path, transport, now_ns);

	for (uint32_t i = 1; i < path_num_used(t); i++) {
		uint32_t len = fit_by(sa, &t->path[i], transport, now_ns);

		least = len < least ? len : least;
	}
	return least;
}

/* fit_text - the most that ESP may carry by the paths in one outer packet, without padding and
 * trailer; FIT_ANY if the MTU of none is known. */
static inline uint32_t fit_text(const struct esp_sa *sa, const struct path_table *t,
				uint64_t now_ns)
{
	return fit_least(sa, t, false, now_ns);
}

/* fit_len - the longest inner packet that goes by the paths in one outer packet; FIT_ANY if the MTU
 * of none is known. In transport mode the packet's own header is the outer one. */
static inline uint32_t fit_len(const struct esp_sa *sa, const struct path_table *t, uint64_t now_ns)
{
	return fit_least(sa, t, unlikely(rcu_deref(sa->conf)->mode == SA_TRANSPORT), now_ns);
}

/* fit_mss - the TCP MSS option's value at most (RFC 9293 3.7.1) for packets of fit_len() bytes, as
 * the SA's configuration says (mss_clamp); 0 = none. */
static inline uint32_t fit_mss(const struct sa_conf *c, uint32_t len, bool v6)
{
	if (c->mss_clamp != MSS_CLAMP_PATH)
		return c->mss_clamp;
	return len == FIT_ANY ? 0 : len - (v6 ? 60 : 40);
}
