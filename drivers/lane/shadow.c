/* SPDX-License-Identifier: Apache-2.0 */
/* Frames between a port and the TAP that stands for it on the host. Worker, but for the carrier. */
#include "drivers/lane/internal.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/counter.h"

#define ETHERNET_LEN 14

void shadow_write(struct lane_wire *wire, struct packet *p)
{
	/* While the shadow is down the host wants nothing. */
	if (write(wire->shadow, p->data, p->len) < 0)
		counter_add(&wire->stats.shadow_error, 1);
	packet_put(p);
}

struct packet *shadow_read(struct lane_wire *wire, struct pool *pool)
{
	struct packet *p = packet_get(pool);
	ssize_t n;

	if (!p)
		return NULL;
	/* The IP header lies where other drivers put it. One byte more shows what does not fit. */
	p->data -= ETHERNET_LEN;
	n = read(wire->shadow, p->data, ETHERNET_LEN + (size_t)pool->data_room + 1);
	if (n > ETHERNET_LEN && n <= ETHERNET_LEN + (ssize_t)pool->data_room) {
		p->len = (uint32_t)n;
		return p;
	}
	if (n >= 0)
		counter_add(&wire->stats.shadow_error, 1);
	packet_put(p);
	return NULL;
}

void shadow_carrier(const struct lane_wire *wire, bool up)
{
	int on = up;

	/* A descriptor that is no TAP, as in tests, has none. */
	(void)!ioctl(wire->shadow, TUNSETCARRIER, &on);
}
