/* SPDX-License-Identifier: Apache-2.0 */
/* error.c - errno as an error of ours. */
#include "api/host/socket_look.h"

#include <errno.h>

enum err host_err(int e)
{
	switch (e) {
	case 0:
		return ERR_OK;
	case EPERM:
	case EACCES:
		return ERR_PERM;
	case ENOMEM:
		return ERR_NOMEM;
	case EBUSY:
	case EADDRINUSE:
		return ERR_BUSY;
	case ENODEV:
	case ENXIO:
	case ENOENT:
		return ERR_NOT_FOUND;
	default:
		return ERR_SYS;
	}
}
