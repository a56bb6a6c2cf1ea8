/* SPDX-License-Identifier: Apache-2.0 */
#include "api/host/linux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* attach - make or open the device with these flags, without offloads that another program may
 * have left on it. A persistent device that has no owner could be opened by every user of the host,
 * and what goes through it is clear. errno on failure, else 0. */
static int attach(int fd, const char *name, short flags)
{
	struct ifreq ifr = {.ifr_flags = flags};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0 || ioctl(fd, TUNSETOFFLOAD, 0UL) < 0 ||
	    ioctl(fd, TUNSETOWNER, (unsigned long)geteuid()) < 0 ||
	    ioctl(fd, TUNSETPERSIST, 1UL) < 0)
		return errno;
	return 0;
}

enum err host_tap_open(void *ctx, int *out_fd, bool *out_tun, const char *name)
{
	struct host_linux *h = ctx;
	bool tun = false;
	int fd, e;

	if (!host_name_ok(name)) {
		errno = EINVAL;
		return ERR_INVAL;
	}
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return host_err(errno);
	e = attach(fd, name, IFF_TAP | IFF_NO_PI);
	/* A device of that name that is there already, but layer 3, is taken as it is. */
	if (e == EINVAL) {
		tun = true;
		e = attach(fd, name, IFF_TUN);
	}
	if (e) {
		close(fd);
		errno = e;
		/* The name belongs to a device of another kind. */
		return e == EINVAL ? ERR_INVAL : host_err(e);
	}
	snprintf(h->device, sizeof(h->device), "%s", name);
	*out_fd = fd;
	*out_tun = tun;
	return ERR_OK;
}
