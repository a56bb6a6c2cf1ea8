/* SPDX-License-Identifier: Apache-2.0 */
#include "api/host/linux.h"

#include "base/log.h"

/* Reverse path filtering: 1 = strict, 2 = loose; what counts for an interface is the larger of its
 * own value and that of "all". Strict, it drops arriving outer packets wherever a route into the
 * virtual interface covers the peer's own address. IPv6 has no such filter. */
#define STRICT 1
#define LOOSE  2

/* loosen - make an interface's filter loose if it is strict. False: it is and stays strict. */
static bool loosen(const char *ifname, long all)
{
	long own;

	if (host_sysctl_read(&own, "ipv4", ifname, "rp_filter"))
		return true; /* the interface went away */
	if (own > STRICT || (own != STRICT && all != STRICT))
		return true;
	if (host_sysctl_write("ipv4", ifname, "rp_filter", LOOSE))
		return false;
	LOG(WARN, KNL, NULL, "reverse path filter of %s changed from strict to loose", ifname);
	return true;
}

enum err host_rp_filter_check(void *ctx, bool *out_ok, const char **out_text)
{
	struct if_nameindex *names;
	bool ok = true;
	long all;

	(void)ctx;
	if (host_sysctl_read(&all, "ipv4", "all", "rp_filter")) {
		*out_ok = false;
		*out_text =
			"the reverse path filter cannot be read: if net.ipv4.conf.all.rp_filter "
			"is 1, arriving ESP is dropped";
		return ERR_OK;
	}
	names = if_nameindex();
	if (!names)
		return ERR_SYS;
	for (size_t i = 0; names[i].if_index; i++)
		if (all < LOOSE && strcmp(names[i].if_name, "lo") != 0 &&
		    !loosen(names[i].if_name, all))
			ok = false;
	if_freenameindex(names);
	*out_ok = ok;
	*out_text =
		ok ? "the reverse path filter lets ESP arrive"
		   : "the reverse path filter is strict and cannot be changed: arriving ESP may "
		     "be dropped; set net.ipv4.conf.all.rp_filter to 2";
	return ERR_OK;
}
