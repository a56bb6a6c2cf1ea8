/* SPDX-License-Identifier: Apache-2.0 */
/* Frames between a port and the TAP that stands for it on the host. Worker, but for the carrier. */
#include "drivers/lane/internal.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/counter.h"
#include "drivers/ethernet.h"
#include "drivers/frame_parts.h"
#include "drivers/vnet.h"

void shadow_write(struct lane_wire *wire, struct packet *p)
{
	/* Nothing is said of checksums: the host looks for itself. */
	static uint8_t front[VNET_LEN];
	struct iovec iov[2] = {{front, wire->vnet ? VNET_LEN : 0}, {p->data, p->len}};

	/* While the shadow is down the host wants nothing. */
	if (writev(wire->shadow, iov, 2) < 0)
		counter_add(&wire->stats.shadow_error, 1);
	packet_put(p);
}

/* take_sum - the checksum of a single packet stays the port's to complete, where it will find it by
 * itself; else it is done here. */
static bool take_sum(struct packet *p, const uint8_t *front, uint32_t start, uint32_t at)
{
	struct frame_parts f;

	if (!frame_parts_find(&f, p->data, p->len) || start != (uint32_t)f.l2_len + f.l3_len ||
	    at != frame_parts_sum_at(&f))
		return vnet_take(front, p, 0);
	p->flags |= PACKET_F_SUM;
	return true;
}

/* take_super - one that the port can cut: TCP, as it is. */
static bool take_super(struct packet *p, const uint8_t *front)
{
	struct frame_parts f;

	if (!vnet_take(front, p, 0))
		return false;
	return !p->seg_len || (frame_parts_find(&f, p->data, p->len) && f.tcp);
}

/* accept_frame - n bytes were read, with what is in front of the frame, into room for so many. */
static bool accept_frame(const struct lane_wire *wire, struct packet *p, ssize_t n, size_t room)
{
	uint32_t front_len = wire->vnet ? VNET_LEN : 0, start, at;
	const uint8_t *front = p->data - front_len;

	if (n <= (ssize_t)front_len + ETHERNET_LEN || (size_t)n > front_len + room)
		return false;
	p->len = (uint32_t)n - front_len;
	if (!wire->vnet)
		return true;
	return vnet_sum(front, &start, &at) ? take_sum(p, front, start, at) : take_super(p, front);
}

/* read_frame - into p, and what goes beyond it into `longer` (NULL: there is none), in the place
 * that it will have there. *out becomes the one that has it all, and the other is given back. */
static ssize_t read_frame(const struct lane_wire *wire, struct packet *p, struct packet *longer,
			  struct packet **out)
{
	uint32_t front = wire->vnet ? VNET_LEN : 0;
	size_t first = front + ETHERNET_LEN + p->pool->data_room;
	/* One byte more shows what does not fit. */
	struct iovec iov[2] = {{p->data - front, first + (longer ? 0 : 1)}};

	if (longer)
		iov[1] = (struct iovec){longer->data - front + first,
					POOL_LONGEST - p->pool->data_room};
	ssize_t n = readv(wire->shadow, iov, longer ? 2 : 1);

	*out = p;
	if (!longer)
		return n;
	if (n > (ssize_t)first) {
		memcpy(longer->data - front, p->data - front, first);
		*out = longer;
	}
	packet_put(*out == p ? longer : p);
	return n;
}

struct packet *shadow_read(struct lane_wire *wire, struct pool *pool)
{
	struct packet *p = packet_get(pool), *longer = NULL;
	ssize_t n;

	if (!p)
		return NULL;
	/* A frame may have any length then: it waits while there is no long packet. */
	if (wire->vnet && pool->longer && !(longer = packet_get(pool->longer))) {
		packet_put(p);
		return NULL;
	}
	/* The IP header lies where other drivers put it. */
	p->data -= ETHERNET_LEN;
	if (longer)
		longer->data -= ETHERNET_LEN;
	n = read_frame(wire, p, longer, &p);
	if (n > 0 && accept_frame(wire, p, n, ETHERNET_LEN + (size_t)p->pool->data_room))
		return p;
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
