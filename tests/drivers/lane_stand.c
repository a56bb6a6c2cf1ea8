/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/drivers/lane_stand.h"

#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/pool.h"
#include "drivers/memory.h"

#include "tests/tap/tap.h"

const uint8_t stand_macs[2][6] = {{2, 0, 0, 0, 0, 0x10}, {2, 0, 0, 0, 0, 0x20}};
const uint8_t stand_client_mac[6] = {2, 0, 0, 0, 0, 0x11};
const uint8_t stand_router_mac[6] = {2, 0, 0, 0, 0, 0x21};

struct ip_addr stand_addr(const char *text)
{
	struct ip_addr a;

	CU_ASSERT_EQUAL_FATAL(ip_addr_parse(&a, text), ERR_OK);
	return a;
}

/* ---- what the host tells -------------------------------------------------------------------- */

void stand_tell_route(struct stand *s, uint32_t table, const char *dst, uint32_t ifindex,
		      const char *gateway)
{
	struct host_change c = {.kind = HOST_CHANGE_ROUTE,
				.table = table,
				.ifindex = ifindex,
				.route = table == LOCAL ? HOST_ROUTE_LOCAL : HOST_ROUTE_FORWARD};

	CU_ASSERT_EQUAL_FATAL(ip_prefix_parse(&c.dst, dst), ERR_OK);
	if (gateway)
		c.gateway = stand_addr(gateway);
	lane_change(s->lane, &c);
}

void stand_tell_neigh(struct stand *s, const char *a, uint32_t ifindex, const uint8_t *mac,
		      bool stale)
{
	struct host_change c = {.kind = HOST_CHANGE_NEIGH,
				.ifindex = ifindex,
				.addr = stand_addr(a),
				.gone = !mac,
				.stale = stale};

	if (mac)
		memcpy(c.mac, mac, 6);
	lane_change(s->lane, &c);
}

void stand_tell_link(struct stand *s, uint32_t ifindex, bool up, uint32_t mtu)
{
	const struct host_change c = {
		.kind = HOST_CHANGE_LINK, .ifindex = ifindex, .up = up, .mtu = mtu};

	lane_change(s->lane, &c);
}

void stand_settle(struct stand *s)
{
	CU_ASSERT_EQUAL(lane_settle(s->lane), ERR_OK);
}

void stand_tell_all(struct stand *s)
{
	stand_tell_route(s, LOCAL, "10.1.0.1/32", IF_LAN, NULL);
	stand_tell_route(s, LOCAL, "192.0.2.1/32", IF_WAN, NULL);
	stand_tell_route(s, LOCAL, "2001:db8:2::1/128", IF_WAN, NULL);
	stand_tell_route(s, MAIN, "10.1.0.0/24", IF_LAN, NULL);
	stand_tell_route(s, MAIN, "192.0.2.0/24", IF_WAN, NULL);
	stand_tell_route(s, MAIN, "0.0.0.0/0", IF_WAN, "192.0.2.254");
	stand_tell_route(s, MAIN, "::/0", IF_WAN, "2001:db8:2::fe");
	stand_tell_route(s, MAIN, "172.16.0.0/12", IF_ELSE, NULL);
	stand_tell_route(s, HOST_ROUTE_TABLE, "10.2.0.0/16", IF_ELSE, NULL);
	stand_tell_neigh(s, "10.1.0.9", IF_LAN, stand_client_mac, false);
	stand_tell_neigh(s, "192.0.2.254", IF_WAN, stand_router_mac, false);
	stand_tell_neigh(s, "2001:db8:2::fe", IF_WAN, stand_router_mac, false);
	for (uint32_t i = 0; i < 2; i++) {
		stand_tell_link(s, IF_LAN + i, true, 1500);
		lane_link(s->lane, i, true);
	}
	stand_settle(s);
}

/* ---- the stand ------------------------------------------------------------------------------ */

void stand_begin(struct stand *s)
{
	const struct memory_params inner = {.role = PORT_INNER}, outer = {.role = PORT_OUTER};
	const struct lane_params params = {.port_ike = 500, .port_nat_t = 4500, .idle_us = 50};

	*s = (struct stand){.pool = pool_new(256, 2048)};
	CU_ASSERT_EQUAL_FATAL(lane_new(&s->lane, &params), ERR_OK);
	for (uint32_t i = 0; i < 2; i++) {
		struct driver *frames;
		int ends[2];
		struct lane_port_params p = {
			.frames = &frames, .shadows = &ends[0], .ifindex = IF_LAN + i, .mtu = 1500};

		CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends),
				      0);
		s->shadow[i] = ends[1];
		memcpy(p.mac, stand_macs[i], 6);
		CU_ASSERT_EQUAL_FATAL(memory_open(&frames, &s->wire[i], &inner), ERR_OK);
		CU_ASSERT_EQUAL_FATAL(lane_add_port(s->lane, &p), ERR_OK);
	}
	CU_ASSERT_EQUAL_FATAL(memory_open(&s->tap, &s->tap_far, &inner), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(memory_open(&s->udp, &s->udp_far, &outer), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(memory_open(&s->esp, &s->esp_far, &outer), ERR_OK);
	lane_use_host(s->lane, 0, s->tap, s->udp, s->esp);
}

void stand_end_host(struct stand *s)
{
	for (uint32_t i = 0; i < 2; i++) {
		memory_close_far(s->wire[i]);
		close(s->shadow[i]);
	}
	memory_close_far(s->tap_far);
	memory_close_far(s->udp_far);
	memory_close_far(s->esp_far);
	pool_free(s->pool);
}

void stand_end(struct stand *s)
{
	struct driver *inner = lane_inner(s->lane, 0), *outer = lane_outer(s->lane, 0);

	inner->ops->close(inner);
	outer->ops->close(outer);
	lane_free(s->lane);
	s->tap->ops->close(s->tap);
	s->udp->ops->close(s->udp);
	s->esp->ops->close(s->esp);
	stand_end_host(s);
}

/* ---- frames --------------------------------------------------------------------------------- */

void stand_ip4_sum(uint8_t *h)
{
	uint32_t sum = 0;

	store_be16(h + 10, 0);
	for (int i = 0; i < 20; i += 2)
		sum += load_be16(h + i);
	sum = (sum >> 16) + (sum & 0xffff);
	store_be16(h + 10, (uint16_t) ~(sum + (sum >> 16)));
}

void stand_make_v4(struct stand *s, uint32_t port, const char *src, const char *dst)
{
	uint8_t *h = s->frame + 14;
	struct ip_addr from = stand_addr(src), to = stand_addr(dst);

	memset(s->frame, 0, sizeof(s->frame));
	memcpy(s->frame, stand_macs[port], 6);
	memcpy(s->frame + 6, stand_client_mac, 6);
	store_be16(s->frame + 12, 0x0800);
	h[0] = 0x45;
	store_be16(h + 2, STAND_V4_LEN - 14);
	h[8] = 64;
	h[9] = 17;
	memcpy(h + 12, from.b, 4);
	memcpy(h + 16, to.b, 4);
	store_be16(h + 20, 1111);
	store_be16(h + 22, 2222);
	store_be16(h + 24, 8 + STAND_PAYLOAD);
	memset(h + 28, 0xaa, STAND_PAYLOAD);
	stand_ip4_sum(h);
	s->len = STAND_V4_LEN;
}

void stand_make_v6(struct stand *s, const char *src, const char *dst, uint8_t next)
{
	uint8_t *h = s->frame + 14;
	struct ip_addr from = stand_addr(src), to = stand_addr(dst);

	memset(s->frame, 0, sizeof(s->frame));
	memcpy(s->frame, stand_macs[WAN], 6);
	store_be16(s->frame + 12, 0x86dd);
	h[0] = 0x60;
	store_be16(h + 4, STAND_PAYLOAD);
	h[6] = next;
	h[7] = 64;
	memcpy(h + 8, from.b, 16);
	memcpy(h + 24, to.b, 16);
	memset(h + 40, 0xaa, STAND_PAYLOAD);
	s->len = 14 + 40 + STAND_PAYLOAD;
}

void stand_to_wire(struct stand *s, uint32_t port)
{
	CU_ASSERT_EQUAL(memory_inject(s->wire[port], s->frame, s->len, NULL), ERR_OK);
}

void stand_to_shadow(struct stand *s, uint32_t port)
{
	CU_ASSERT_EQUAL(send(s->shadow[port], s->frame, s->len, 0), (ssize_t)s->len);
}

static bool same_frame(const struct stand *s, const uint8_t *buf, size_t len)
{
	return len == s->len && memcmp(buf, s->frame, len) == 0;
}

bool stand_at_shadow(struct stand *s, uint32_t port)
{
	uint8_t buf[2048];
	ssize_t n = recv(s->shadow[port], buf, sizeof(buf), 0);

	return n > 0 && same_frame(s, buf, (size_t)n);
}

bool stand_at_wire(struct stand *s, uint32_t port)
{
	uint8_t buf[2048];
	size_t n;

	return memory_take(s->wire[port], buf, sizeof(buf), &n, NULL) && same_frame(s, buf, n);
}

uint32_t stand_receive(struct stand *s, struct driver *d, struct pktvec *v)
{
	v->num = 0;
	return d->ops->rx(d, s->pool, v);
}

void stand_put_all(struct pktvec *v)
{
	for (uint32_t i = 0; i < v->num; i++)
		packet_put(v->pkt[i]);
	v->num = 0;
}

void stand_decrypted_as(struct stand *s, uint16_t flags)
{
	struct driver *d = lane_inner(s->lane, 0);
	struct packet *p = packet_get(s->pool);
	struct pktvec v = {.num = 1, .pkt = {p}};

	p->flags = flags;
	p->len = (uint32_t)s->len - 14;
	memcpy(p->data, s->frame + 14, p->len);
	d->ops->tx(d, &v);
	CU_ASSERT_EQUAL(v.num, 0);
}

void stand_decrypted(struct stand *s)
{
	stand_decrypted_as(s, 0);
}

bool stand_at_tap(struct stand *s)
{
	uint8_t buf[2048];
	size_t n;

	return memory_take(s->tap_far, buf, sizeof(buf), &n, NULL) && n == s->len - 14 &&
	       memcmp(buf, s->frame + 14, n) == 0;
}

bool stand_forwarded(struct stand *s, uint32_t port, const uint8_t *mac)
{
	uint8_t buf[2048];
	size_t n;

	if (!memory_take(s->wire[port], buf, sizeof(buf), &n, NULL))
		return false;
	memcpy(s->frame, mac, 6);
	memcpy(s->frame + 6, stand_macs[port], 6);
	s->frame[14 + 8]--;
	stand_ip4_sum(s->frame + 14);
	bool same = same_frame(s, buf, n);

	s->frame[14 + 8]++;
	stand_ip4_sum(s->frame + 14);
	return same;
}
