/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/counter.h"
#include "dataplane/pool.h"

#define ETHERTYPE_V4 0x0800
#define ETHERTYPE_V6 0x86dd

/* struct eth_head - what a TAP frame begins with. */
struct eth_head {
	uint8_t dst[6];
	uint8_t src_fixed[2]; /* 02:00, locally administered */
	uint8_t src_token[4]; /* protection class, host order */
	struct be16 type;
};
static_assert(sizeof(struct eth_head) == 14, "wire format");

/* struct pi_head - what a TUN packet begins with when packet information is on. */
struct pi_head {
	uint8_t flags[2]; /* struct tun_pi: host order */
	struct be16 type;
};
static_assert(sizeof(struct pi_head) == 4, "wire format");

struct tap {
	struct driver driver;
	int fd;
	bool tun;
	uint32_t head_len; /* bytes in front of the IP header, in both directions */
	uint8_t mac[6];
};

static struct tap *tap_of(struct driver *d)
{
	return container_of(d, struct tap, driver);
}

/* fall_silent - the device is gone, and its descriptor would wake the worker for ever: put one that
 * is never readable in its place. The number stays the same; epoll forgets the old description. */
static void fall_silent(struct tap *t)
{
	int quiet = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (quiet < 0)
		return;
	if (dup3(quiet, t->fd, O_CLOEXEC) < 0)
		counter_add(&t->driver.stats.rx_error, 1);
	close(quiet);
}

static uint16_t frame_type(const struct tap *t, const uint8_t *frame)
{
	return load_be16(frame + t->head_len - 2);
}

/* read_frame - one frame into p, its header into the headroom. False if there was none. */
static bool read_frame(struct tap *t, struct packet *p, uint32_t room, size_t *out_len)
{
	/* One byte more than a packet may have: the device cuts silently, and this shows it. */
	ssize_t n = read(t->fd, p->data - t->head_len, t->head_len + room + 1);

	if (n >= 0) {
		*out_len = (size_t)n;
		return true;
	}
	if (errno == EBADFD) {
		counter_add(&t->driver.stats.rx_error, 1);
		fall_silent(t);
	} else if (errno != EAGAIN && errno != EINTR) {
		counter_add(&t->driver.stats.rx_error, 1);
	}
	return false;
}

static bool accept_frame(const struct tap *t, struct packet *p, uint32_t room, size_t len)
{
	uint16_t type;

	if (len <= t->head_len || len > t->head_len + room)
		return false;
	type = frame_type(t, p->data - t->head_len);
	if (type != ETHERTYPE_V4 && type != ETHERTYPE_V6)
		return false;
	p->len = (uint32_t)(len - t->head_len);
	return true;
}

static uint32_t tap_rx(struct driver *d, struct pool *pool, struct pktvec *out)
{
	struct tap *t = tap_of(d);
	uint32_t before = out->num, tries = pktvec_room(out);
	uint64_t bytes = 0;
	size_t len;

	/* Frames that are dropped use up tries too, so that a burst is bounded. */
	for (; tries; tries--) {
		struct packet *p = packet_get(pool);

		if (!p) {
			counter_add(&d->stats.rx_no_buffer, 1);
			break;
		}
		if (!read_frame(t, p, pool->data_room, &len)) {
			packet_put(p);
			break;
		}
		if (!accept_frame(t, p, pool->data_room, len)) {
			counter_add(&d->stats.rx_error, 1);
			packet_put(p);
			continue;
		}
		bytes += p->len;
		pktvec_push(out, p);
	}
	counter_add(&d->stats.rx_packets, out->num - before);
	counter_add(&d->stats.rx_bytes, bytes);
	return out->num - before;
}

static void write_head(const struct tap *t, uint8_t head[sizeof(struct eth_head)], uint16_t type,
		       uint32_t token)
{
	if (t->tun) {
		struct pi_head pi = {.type = be16_make(type)};

		memcpy(head, &pi, sizeof(pi));
	} else {
		struct eth_head eth = {.src_fixed = {0x02, 0x00}, .type = be16_make(type)};

		memcpy(eth.dst, t->mac, sizeof(eth.dst));
		memcpy(eth.src_token, &token, sizeof(token));
		memcpy(head, &eth, sizeof(eth));
	}
}

/* send_one - errno on failure, 0 when the host has it. */
static int send_one(struct tap *t, struct packet *p)
{
	uint8_t head[sizeof(struct eth_head)];
	struct iovec iov[2] = {
		{.iov_base = head, .iov_len = t->head_len},
		{.iov_base = p->data, .iov_len = p->len},
	};
	uint8_t version = p->len ? p->data[0] >> 4 : 0;

	if (version != IP_V4 && version != IP_V6)
		return EPROTO;
	write_head(t, head, version == IP_V4 ? ETHERTYPE_V4 : ETHERTYPE_V6, p->token);
	return writev(t->fd, iov, 2) < 0 ? errno : 0;
}

static void count_sent(struct driver *d, const struct packet *p, int error)
{
	if (!error) {
		counter_add(&d->stats.tx_packets, 1);
		counter_add(&d->stats.tx_bytes, p->len);
	} else if (error == EAGAIN || error == ENOBUFS || error == ENOMEM) {
		counter_add(&d->stats.tx_full, 1);
	} else {
		counter_add(&d->stats.tx_error, 1);
	}
}

static void tap_tx(struct driver *d, struct pktvec *v)
{
	struct tap *t = tap_of(d);

	for (uint32_t i = 0; i < v->num; i++) {
		count_sent(d, v->pkt[i], send_one(t, v->pkt[i]));
		packet_put(v->pkt[i]);
	}
	v->num = 0;
}

static_assert(offsetof(struct tap, driver) == 0, "tap_fd() relies on it");

static int tap_fd(const struct driver *d)
{
	return ((const struct tap *)(const void *)d)->fd;
}

static void tap_close(struct driver *d)
{
	struct tap *t = tap_of(d);

	close(t->fd);
	mem_free(t);
}

static const struct driver_ops tap_ops = {
	.name = "tap", .rx = tap_rx, .tx = tap_tx, .fd = tap_fd, .close = tap_close};

static const struct driver_ops tun_ops = {
	.name = "tun", .rx = tap_rx, .tx = tap_tx, .fd = tap_fd, .close = tap_close};

enum err tap_driver_open(struct driver **out, int fd, bool tun, uint32_t mtu)
{
	struct ifreq ifr = {0};
	struct tap *t;

	if (fd < 0 || !mtu)
		return ERR_INVAL;
	t = mem_alloc(sizeof(*t));
	if (!t)
		return ERR_NOMEM;
	t->driver =
		(struct driver){.ops = tun ? &tun_ops : &tap_ops, .role = PORT_INNER, .mtu = mtu};
	t->fd = fd;
	t->tun = tun;
	t->head_len = tun ? sizeof(struct pi_head) : sizeof(struct eth_head);
	if (!tun && ioctl(fd, SIOCGIFHWADDR, &ifr) == 0)
		memcpy(t->mac, ifr.ifr_hwaddr.sa_data, sizeof(t->mac));
	*out = &t->driver;
	return ERR_OK;
}
