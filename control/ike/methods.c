/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/methods.h"

#include <stdio.h>

bool methods_meet(const struct ike_sa *sa, uint32_t demanded)
{
	uint32_t may = conf_auth_methods(sa->conn->remote.auth);

	if (!demanded)
		return true;
	if (sa->proof)
		return demanded & 1u << auth_proof_params(sa->proof)->method;
	if (sa->methods)
		may &= sa->methods;
	return !(may & ~demanded);
}

const char *methods_text(char buf[static METHODS_TEXT_MAX], uint32_t methods)
{
	size_t at = 0;

	buf[0] = 0;
	for (unsigned m = 0; m < AUTH_NUM_METHODS && at < METHODS_TEXT_MAX; m++)
		if (methods & 1u << m)
			at += (size_t)snprintf(buf + at, METHODS_TEXT_MAX - at, "%s%s",
					       at ? ", " : "",
					       auth_method_name((enum auth_method)m));
	return buf;
}
