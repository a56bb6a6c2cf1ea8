/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/counter.h"
#include "dataplane/pool.h"
#include "drivers/vnet.h"

#define ETHERTYPE_V4 0x0800
#define ETHERTYPE_V6 0x86dd

/* struct eth_head - what a TAP frame begins with. */
struct eth_head {
	uint8_t dst[6];
	uint8_t src_fixed[2]; /* 02:00, locally administered; from the host HOST_DEMAND_MAC */
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

/* FRONT_MAX - bytes in front of the IP header: either head, and the one of offloads. A TUN has the
 * latter behind its own, a TAP in front. */
#define FRONT_MAX (sizeof(struct eth_head) + VNET_LEN)

struct tap {
	alignas(CACHE_LINE) struct driver driver; /* its counters are one worker's */
	int fd;
	bool tun;
	bool vnet;
	uint32_t front_len; /* in both directions */
	uint8_t mac[6];
};

/* before - bytes that the host counts as the packet's own in front of the IP header. */
static uint32_t before(const struct tap *t)
{
	return t->tun ? 0 : sizeof(struct eth_head);
}

/* vnet_at - where the head of offloads is in front[]. */
static uint32_t vnet_at(const struct tap *t)
{
	return t->tun ? sizeof(struct pi_head) : 0;
}

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

/* frame_type - of the frame whose IP header is at ip. */
static uint16_t frame_type(const struct tap *t, const uint8_t *ip)
{
	const uint8_t *front = ip - t->front_len;

	return load_be16(t->tun ? front + offsetof(struct pi_head, type) : ip - 2);
}

/* struct buffers - where the next frame goes: p, and what goes beyond it into the place that it
 * will have in `longer` (NULL: there is none). */
struct buffers {
	struct packet *p, *longer;
};

/* read_frame - one frame, what is in front of the packet into the headroom. False if there was
 * none.
 */
static bool read_frame(struct tap *t, const struct buffers *b, size_t *out_len)
{
	struct packet *p = b->p;
	uint32_t room = p->pool->data_room;
	/* One byte more than a packet may have: the device cuts silently, and this shows it. */
	struct iovec iov[2] = {{p->data - t->front_len, t->front_len + room + (b->longer ? 0 : 1)}};

	if (b->longer)
		iov[1] = (struct iovec){b->longer->data + room, POOL_LONGEST - room};
	ssize_t n = readv(t->fd, iov, b->longer ? 2 : 1);

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

/* take - the buffer that holds the whole frame. */
static struct packet *take(const struct tap *t, struct buffers *b, size_t len)
{
	struct packet *p = b->p, *w = b->longer;
	uint32_t room = p->pool->data_room;

	if (len <= t->front_len + room || !w) {
		b->p = NULL;
		return p;
	}
	memcpy(w->data - t->front_len, p->data - t->front_len, t->front_len + room);
	b->longer = NULL;
	return w;
}

/* demand_of - the class that the host's packet demands, where its source address says one. */
static uint32_t demand_of(const struct tap *t, const struct packet *p)
{
	static const uint8_t demand[] = {HOST_DEMAND_MAC};
	const uint8_t *src =
		p->data - sizeof(struct eth_head) + offsetof(struct eth_head, src_fixed);
	uint32_t token;

	if (t->tun || memcmp(src, demand, sizeof(demand)) != 0)
		return 0;
	memcpy(&token, src + sizeof(demand), sizeof(token));
	return token & HOST_MARK_TOKEN;
}

static bool accept_frame(const struct tap *t, struct packet *p, size_t len)
{
	uint16_t type;

	if (len <= t->front_len || len > t->front_len + p->pool->data_room)
		return false;
	type = frame_type(t, p->data);
	if (type != ETHERTYPE_V4 && type != ETHERTYPE_V6)
		return false;
	p->len = (uint32_t)(len - t->front_len);
	p->token = demand_of(t, p);
	return !t->vnet || vnet_take(p->data - t->front_len + vnet_at(t), p, before(t));
}

/* refill - both buffers; false: there are none. With offloads a frame may have any length, so it
 * waits in the device while there is no long packet. */
static bool refill(struct tap *t, struct buffers *b, struct pool *pool)
{
	if (!b->p)
		b->p = packet_get(pool);
	if (!b->longer && t->vnet && pool->longer)
		b->longer = packet_get(pool->longer);
	if (b->p && (b->longer || !t->vnet || !pool->longer))
		return true;
	counter_add(&t->driver.stats.rx_no_buffer, 1);
	return false;
}

static void give_back(struct buffers *b)
{
	if (b->p)
		packet_put(b->p);
	if (b->longer)
		packet_put(b->longer);
}

/* num_in - packets that p will be: a burst is as many, so that it does not spread over more memory
 * than is near. */
static uint32_t num_in(const struct packet *p)
{
	return p->seg_len ? (p->len + p->seg_len - 1) / p->seg_len : 1;
}

static uint32_t tap_rx(struct driver *d, struct pool *pool, struct pktvec *out)
{
	struct tap *t = tap_of(d);
	struct buffers b = {0};
	uint32_t num_before = out->num, tries = pktvec_room(out), num = 0;
	uint64_t bytes = 0;
	size_t len;

	/* Frames that are dropped use up tries too, so that a burst is bounded. */
	for (; tries && num < PKTVEC_MAX; tries--) {
		if (!refill(t, &b, pool) || !read_frame(t, &b, &len))
			break;
		struct packet *p = take(t, &b, len);

		if (!accept_frame(t, p, len)) {
			counter_add(&d->stats.rx_error, 1);
			packet_put(p);
			continue;
		}
		bytes += p->len;
		num += num_in(p);
		pktvec_push(out, p);
	}
	give_back(&b);
	counter_add(&d->stats.rx_packets, num);
	counter_add(&d->stats.rx_bytes, bytes);
	return out->num - num_before;
}

/* write_front - what is in front of p; its head of offloads is zero: nothing is left to the host.
 */
static void write_front(const struct tap *t, uint8_t front[static FRONT_MAX],
			const struct packet *p)
{
	uint16_t type = p->data[0] >> 4 == IP_V4 ? ETHERTYPE_V4 : ETHERTYPE_V6;

	memset(front, 0, FRONT_MAX);
	if (t->tun) {
		struct pi_head pi = {.type = be16_make(type)};

		memcpy(front, &pi, sizeof(pi));
	} else {
		struct eth_head eth = {.src_fixed = {0x02, 0x00}, .type = be16_make(type)};

		memcpy(eth.dst, t->mac, sizeof(eth.dst));
		memcpy(eth.src_token, &p->token, sizeof(p->token));
		memcpy(front + t->front_len - sizeof(eth), &eth, sizeof(eth));
	}
}

/* send_one - errno on failure, 0 when the host has it. */
static int send_one(struct tap *t, const struct packet *p)
{
	uint8_t front[FRONT_MAX];
	struct iovec iov[2] = {
		{.iov_base = front, .iov_len = t->front_len},
		{.iov_base = p->data, .iov_len = p->len},
	};
	uint8_t version = p->len ? p->data[0] >> 4 : 0;

	if (version != IP_V4 && version != IP_V6)
		return EPROTO;
	write_front(t, front, p);
	return writev(t->fd, iov, 2) < 0 ? errno : 0;
}

/* send_chain - p and what is behind it as one super-packet, nothing copied but headers. */
static int send_chain(struct tap *t, const struct packet *p)
{
	uint8_t front[FRONT_MAX + VNET_HEAD_MAX];
	struct iovec iov[1 + PKTVEC_MAX] = {
		{.iov_base = front, .iov_len = t->front_len + p->head_len}};
	int num = 1;

	write_front(t, front, p);
	vnet_join(front + vnet_at(t), front + t->front_len, p, before(t));
	for (const struct packet *q = p; q; q = q->next_part)
		iov[num++] = (struct iovec){q->data + p->head_len, q->len - p->head_len};
	return writev(t->fd, iov, num) < 0 ? errno : 0;
}

static bool is_full(int error)
{
	return error == EAGAIN || error == ENOBUFS || error == ENOMEM;
}

/* count_sent - num packets of so many bytes. */
static void count_sent(struct driver *d, uint64_t num, uint64_t bytes, int error)
{
	if (!error) {
		counter_add(&d->stats.tx_packets, num);
		counter_add(&d->stats.tx_bytes, bytes);
	} else if (is_full(error)) {
		counter_add(&d->stats.tx_full, num);
	} else {
		counter_add(&d->stats.tx_error, num);
	}
}

/* kind_of - which of JOIN_* a chain is. */
static uint8_t kind_of(const struct packet *p)
{
	bool v6 = p->data[0] >> 4 == 6;

	if (p->data[v6 ? 6 : 9] == IPPROTO_TCP)
		return v6 ? JOIN_TCP6 : JOIN_TCP4;
	return v6 ? JOIN_UDP6 : JOIN_UDP4;
}

/* try_chain - true: it is dealt with. A host that does not take it gets its packets one by one, and
 * no more such chains. */
static bool try_chain(struct tap *t, const struct packet *p)
{
	uint64_t bytes = p->len;
	int error;

	if (!(t->driver.joins & kind_of(p))) /* refused while it was made */
		return false;
	error = send_chain(t, p);
	if (error && !is_full(error) && error != EIO && error != EBADFD) {
		counter_add(&t->driver.stats.offload_refused, 1);
		t->driver.joins &= (uint8_t)~kind_of(p);
		return false;
	}
	for (const struct packet *q = p->next_part; q; q = q->next_part)
		bytes += q->len;
	count_sent(&t->driver, p->num_parts + 1u, bytes, error);
	return true;
}

static void tap_tx(struct driver *d, struct pktvec *v)
{
	struct tap *t = tap_of(d);

	for (uint32_t i = 0; i < v->num; i++) {
		bool done = v->pkt[i]->next_part && try_chain(t, v->pkt[i]);

		for (struct packet *p = v->pkt[i], *next; p; p = next) {
			next = p->next_part;
			if (!done)
				count_sent(d, 1, p->len, send_one(t, p));
			packet_put(p);
		}
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
	mem_free_aligned(t);
}

static const struct driver_ops tap_ops = {
	.name = "tap", .rx = tap_rx, .tx = tap_tx, .fd = tap_fd, .close = tap_close};

static const struct driver_ops tun_ops = {
	.name = "tun", .rx = tap_rx, .tx = tap_tx, .fd = tap_fd, .close = tap_close};

/* joins_of - what the kernel gives as super-packets it takes as such. */
static uint8_t joins_of(uint32_t offloads)
{
	return (uint8_t)((offloads & HOST_OFFLOAD_TCP4 ? JOIN_TCP4 : 0) |
			 (offloads & HOST_OFFLOAD_TCP6 ? JOIN_TCP6 : 0) |
			 (offloads & HOST_OFFLOAD_UDP ? JOIN_UDP4 | JOIN_UDP6 : 0));
}

enum err tap_driver_open(struct driver **out, const struct host_tap *tap, uint32_t mtu)
{
	struct ifreq ifr = {0};
	struct tap *t;

	if (tap->fd < 0 || !mtu)
		return ERR_INVAL;
	t = mem_alloc_aligned(CACHE_LINE, sizeof(*t));
	if (!t)
		return ERR_NOMEM;
	t->driver = (struct driver){.ops = tap->tun ? &tun_ops : &tap_ops,
				    .role = PORT_INNER,
				    .mtu = mtu,
				    .joins = joins_of(tap->offloads)};
	t->fd = tap->fd;
	t->tun = tap->tun;
	t->vnet = tap->offloads != 0;
	t->front_len = (uint32_t)(tap->tun ? sizeof(struct pi_head) : sizeof(struct eth_head)) +
		       (t->vnet ? VNET_LEN : 0);
	if (!t->tun && ioctl(t->fd, SIOCGIFHWADDR, &ifr) == 0)
		memcpy(t->mac, ifr.ifr_hwaddr.sa_data, sizeof(t->mac));
	*out = &t->driver;
	return ERR_OK;
}
