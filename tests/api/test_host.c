/* SPDX-License-Identifier: Apache-2.0 */
/* Every host operation against the real kernel, in namespaces of the tests' own, read back through
 * iproute2. What the guard does to packets is in test_guard.c. */
#include "api/host/host.h"
#include "api/host/socket_look.h"

#include "tests/drivers/netns.h"
#include "tests/tap/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <arpa/inet.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define OK(call) CU_ASSERT_EQUAL(call, ERR_OK)

static uint32_t num_queues; /* that tap_open() gave */

static struct ip_prefix prefix(const char *text)
{
	struct ip_prefix p;

	CU_ASSERT_FATAL(ip_prefix_parse(&p, text) == ERR_OK);
	return p;
}

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	CU_ASSERT_FATAL(ip_addr_parse(&a, text) == ERR_OK);
	return a;
}

static struct ts ts(const char *text)
{
	struct ts t;

	CU_ASSERT_FATAL(ts_parse(&t, text) == ERR_OK);
	return t;
}

static bool same_text(const char *got, const char *wanted)
{
	if (strcmp(got, wanted) == 0)
		return true;
	tap_diag("got:    %s", got);
	tap_diag("wanted: %s", wanted);
	return false;
}

static bool addr_is(const struct ip_addr *a, const char *wanted)
{
	char text[IP_TEXT_MAX];

	return same_text(ip_addr_text(text, a), wanted);
}

/* begin - a namespace with an underlay: out0 10.1.0.1/24, fd01::1/64, default routes. */
static bool begin(struct host *h)
{
	if (!netns_enter())
		return false;
	netns_sh("ip link add out0 type veth peer name out1 && ip link set out0 up mtu 1480 && "
		 "ip link set out1 up && ip addr add 10.1.0.1/24 dev out0 && "
		 "ip -6 addr add fd01::1/64 dev out0 nodad && "
		 "ip route add default via 10.1.0.2 && ip -6 route add default via fd01::2");
	CU_ASSERT_FATAL(host_linux_open(h) == ERR_OK);
	return true;
}

static int open_device(struct host *h, const char *name)
{
	struct host_tap tap;

	CU_ASSERT_FATAL(h->ops->tap_open(h->ctx, &tap, &num_queues, name, 0, 1) == ERR_OK);
	CU_ASSERT(!tap.tun && !tap.offloads);
	OK(h->ops->link_set(h->ctx, name, 1400, NULL));
	return tap.fd;
}

static void test_names(void)
{
	static const char *const bad[] = {"",
					  "a/b",
					  ".",
					  "..",
					  "a b",
					  "-x",
					  "a;b",
					  "a\"b",
					  "a{b}",
					  "a:b",
					  "1234567890123456"};
	struct ip_prefix p = prefix("10.0.0.0/8");
	struct host h;
	struct host_tap tap;
	int fd;

	if (!begin(&h))
		return;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		CU_ASSERT_EQUAL(h.ops->tap_open(h.ctx, &tap, &num_queues, bad[i], 0, 1), ERR_INVAL);
		CU_ASSERT_EQUAL(h.ops->link_set(h.ctx, bad[i], 1400, NULL), ERR_INVAL);
		CU_ASSERT_EQUAL(h.ops->link_del(h.ctx, bad[i]), ERR_INVAL);
		CU_ASSERT_EQUAL(h.ops->addr_add(h.ctx, bad[i], &p), ERR_INVAL);
		CU_ASSERT_EQUAL(h.ops->route_add(h.ctx, &p, bad[i], NULL), ERR_INVAL);
		CU_ASSERT_EQUAL(h.ops->rules_set(h.ctx, bad[i]), ERR_INVAL);
		CU_ASSERT_EQUAL(h.ops->guard_set(h.ctx, bad[i], NULL, 0), ERR_INVAL);
	}
	/* The longest one, with all sorts of characters. */
	fd = open_device(&h, "Lk_9.a-b_c.d-e0");
	OK(h.ops->guard_set(h.ctx, "Lk_9.a-b_c.d-e0", NULL, 0));
	CU_ASSERT(same_text(netns_read("nft list tables"), "table inet latchkey-Lk_9.a-b_c.d-e0"));
	OK(h.ops->guard_del(h.ctx));
	CU_ASSERT(same_text(netns_read("nft list tables"), ""));
	close(fd);
	h.ops->close(h.ctx);
}

static void test_missing_device(void)
{
	struct ip_prefix p = prefix("10.9.0.0/16");
	struct host h;

	if (!begin(&h))
		return;
	CU_ASSERT_EQUAL(h.ops->link_set(h.ctx, "lk0", 1400, NULL), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(h.ops->addr_add(h.ctx, "lk0", &p), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(h.ops->route_add(h.ctx, &p, "lk0", NULL), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(h.ops->rules_set(h.ctx, "lk0"), ERR_NOT_FOUND);
	/* Removing what is not there is done already. */
	OK(h.ops->addr_del(h.ctx, "lk0", &p));
	OK(h.ops->route_del(h.ctx, &p, "lk0"));
	OK(h.ops->link_del(h.ctx, "lk0"));
	OK(h.ops->rules_del(h.ctx));
	OK(h.ops->guard_del(h.ctx));
	h.ops->close(h.ctx);
}

/* feature - what the device says of itself (SIOCETHTOOL). */
static bool feature(const char *name, uint32_t what)
{
	struct ethtool_value value = {.cmd = what};
	struct ifreq ifr = {.ifr_data = (void *)&value};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	CU_ASSERT(ioctl(fd, SIOCETHTOOL, &ifr) == 0);
	close(fd);
	return value.data != 0;
}

/* What is asked for is in force, what another program left is not, with either kind of device. */
static void test_tap_offloads(void)
{
	static const uint32_t sets[] = {
		HOST_OFFLOAD_SUM | HOST_OFFLOAD_TCP4 | HOST_OFFLOAD_TCP6 | HOST_OFFLOAD_ECN |
			HOST_OFFLOAD_UDP,
		0,
		HOST_OFFLOAD_SUM | HOST_OFFLOAD_UDP,
		HOST_OFFLOAD_SUM,
		HOST_OFFLOAD_SUM | HOST_OFFLOAD_TCP4 | HOST_OFFLOAD_TCP6,
	};
	struct host_tap tap;
	struct host h;

	if (!begin(&h))
		return;
	netns_sh("ip tuntap add lk1 mode tun");
	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		for (int tun = 0; tun < 2; tun++) {
			const char *name = tun ? "lk1" : "lk0";

			OK(h.ops->tap_open(h.ctx, &tap, &num_queues, name, sets[i], 1));
			CU_ASSERT_EQUAL(tap.tun, tun);
			CU_ASSERT_EQUAL(tap.offloads, sets[i]);
			CU_ASSERT_EQUAL(feature(name, ETHTOOL_GTXCSUM), sets[i] != 0);
			CU_ASSERT_EQUAL(feature(name, ETHTOOL_GTSO),
					(sets[i] & HOST_OFFLOAD_TCP4) != 0);
			CU_ASSERT_EQUAL(strstr(netns_read("ip -d link show %s", name),
					       "vnet_hdr on") != NULL,
					sets[i] != 0);
			close(tap.fd);
		}
	}
	/* Others need the checksum. */
	OK(h.ops->tap_open(h.ctx, &tap, &num_queues, "lk0", HOST_OFFLOAD_TCP4, 1));
	CU_ASSERT_EQUAL(tap.offloads, 0);
	OK(h.ops->link_gso(h.ctx, "lk0", 60000, 44));
	CU_ASSERT(strstr(netns_read("ip -d link show lk0"), "gso_max_size 60000 gso_max_segs 44") !=
		  NULL);
	CU_ASSERT_EQUAL(h.ops->link_gso(h.ctx, "lk9", 60000, 44), ERR_NOT_FOUND);
	close(tap.fd);
	h.ops->close(h.ctx);
}

static void test_tap_open(void)
{
	struct host h;
	struct host_tap tap, again = {.fd = -1};
	int fd;

	if (!begin(&h))
		return;
	fd = open_device(&h, "lk0");
	CU_ASSERT(fcntl(fd, F_GETFL) & O_NONBLOCK);
	CU_ASSERT(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	CU_ASSERT_EQUAL(h.ops->tap_open(h.ctx, &again, &num_queues, "lk0", 0, 1), ERR_BUSY);
	CU_ASSERT_EQUAL(again.fd, -1);
	close(fd);
	/* It outlives the descriptor and is taken over. */
	netns_sh("ip link show lk0 >/dev/null");
	OK(h.ops->tap_open(h.ctx, &tap, &num_queues, "lk0", 0, 1));
	CU_ASSERT(!tap.tun);
	close(tap.fd);
	OK(h.ops->link_del(h.ctx, "lk0"));
	CU_ASSERT(same_text(netns_read("ip -br link show lk0 2>/dev/null"), ""));
	OK(h.ops->link_del(h.ctx, "lk0"));
	/* A layer-3 device that is there already is used with packet information. */
	netns_sh("ip tuntap add lk1 mode tun");
	OK(h.ops->tap_open(h.ctx, &tap, &num_queues, "lk1", 0, 1));
	CU_ASSERT(tap.tun);
	OK(h.ops->link_set(h.ctx, "lk1", 1400, NULL));
	CU_ASSERT(strstr(netns_read("ip -d link show lk1"), "tun type tun pi on") != NULL);
	close(tap.fd);
	/* Somebody else's device is neither used nor removed. */
	CU_ASSERT_EQUAL(h.ops->tap_open(h.ctx, &tap, &num_queues, "out0", 0, 1), ERR_INVAL);
	CU_ASSERT_EQUAL(h.ops->link_del(h.ctx, "out0"), ERR_INVAL);
	netns_sh("ip link show out0 >/dev/null");
	h.ops->close(h.ctx);
}

static void close_queues(const struct host_tap *taps, uint32_t n)
{
	while (n)
		close(taps[--n].fd);
}

/* One device, a queue for each; what stands already is taken with the queues that it has. */
static void test_tap_queues(void)
{
	struct host_tap taps[4], again[4];
	const uint32_t all = HOST_OFFLOAD_SUM | HOST_OFFLOAD_TCP4 | HOST_OFFLOAD_TCP6;
	struct host h;

	if (!begin(&h))
		return;
	OK(h.ops->tap_open(h.ctx, taps, &num_queues, "lk0", all, 4));
	CU_ASSERT_EQUAL_FATAL(num_queues, 4);
	for (uint32_t i = 0; i < 4; i++)
		CU_ASSERT(!taps[i].tun && taps[i].offloads == all &&
			  fcntl(taps[i].fd, F_GETFL) & O_NONBLOCK);
	CU_ASSERT(strstr(netns_read("ip -d link show lk0"), "multi_queue") != NULL);
	/* The kernel would give further queues, and each process some of the packets. */
	OK(h.ops->link_set(h.ctx, "lk0", 1400, NULL));
	CU_ASSERT_EQUAL(h.ops->tap_open(h.ctx, again, &num_queues, "lk0", 0, 4), ERR_BUSY);
	CU_ASSERT_EQUAL(h.ops->tap_open(h.ctx, again, &num_queues, "lk0", 0, 1), ERR_BUSY);
	CU_ASSERT_EQUAL(feature("lk0", ETHTOOL_GTSO), true);
	close_queues(taps, 4);
	/* As soon as its queues are closed it can be taken over, by as many or by one. */
	OK(h.ops->tap_open(h.ctx, taps, &num_queues, "lk0", 0, 2));
	CU_ASSERT_EQUAL_FATAL(num_queues, 2);
	close_queues(taps, 2);
	OK(h.ops->tap_open(h.ctx, taps, &num_queues, "lk0", 0, 1));
	CU_ASSERT(num_queues == 1 && !taps[0].tun);
	close_queues(taps, 1);
	OK(h.ops->link_del(h.ctx, "lk0"));
	/* One that was made with one queue has no more, layer 3 or not. */
	for (int tun = 0; tun < 2; tun++) {
		netns_sh("ip tuntap add lk1 mode %s", tun ? "tun" : "tap");
		OK(h.ops->tap_open(h.ctx, taps, &num_queues, "lk1", all, 4));
		CU_ASSERT(num_queues == 1 && taps[0].tun == tun && taps[0].offloads == all);
		close_queues(taps, 1);
		OK(h.ops->link_del(h.ctx, "lk1"));
	}
	netns_sh("ip tuntap add lk2 mode tun multi_queue");
	OK(h.ops->tap_open(h.ctx, taps, &num_queues, "lk2", 0, 3));
	CU_ASSERT(num_queues == 3 && taps[2].tun);
	close_queues(taps, 3);
	CU_ASSERT_EQUAL(h.ops->tap_open(h.ctx, taps, &num_queues, "out0", 0, 4), ERR_INVAL);
	CU_ASSERT_EQUAL(h.ops->tap_open(h.ctx, taps, &num_queues, "lk0", 0, 0), ERR_INVAL);
	h.ops->close(h.ctx);
}

static void test_link_set(void)
{
	static const uint8_t mac[6] = {0x02, 0, 0, 0, 0xab, 0xcd};
	struct host h;
	int fd;

	if (!begin(&h))
		return;
	netns_sh("echo 1 >/proc/sys/net/ipv4/conf/default/rp_filter");
	fd = open_device(&h, "lk0");
	OK(h.ops->link_set(h.ctx, "lk0", 1300, mac));
	OK(h.ops->link_set(h.ctx, "lk0", 1300, mac));
	OK(h.ops->link_set(h.ctx, "lk0", 1380, NULL));
	CU_ASSERT(same_text(netns_read("ip -j -d link show lk0 | jq -r '.[0] | (.flags | "
				       "map(select(. == \"NOARP\" or . == \"UP\")) | sort | "
				       "join(\",\")), .mtu, .address, .inet6_addr_gen_mode'"),
			    "NOARP,UP\n1380\n02:00:00:00:ab:cd\nnone"));
	/* The address it always has, and none that the kernel made up. */
	netns_wait(50);
	CU_ASSERT(same_text(netns_read("ip -j addr show lk0 | jq -r '.[0].addr_info[] | "
				       "\"\\(.local)/\\(.prefixlen) \\(.scope)\"'"),
			    "169.254.43.1/32 host"));
	CU_ASSERT(same_text(netns_read("cat /proc/sys/net/ipv4/conf/lk0/rp_filter"), "2"));
	CU_ASSERT(same_text(netns_read("cat /proc/sys/net/ipv6/conf/lk0/accept_ra"), "0"));
	CU_ASSERT_EQUAL(h.ops->link_set(h.ctx, "lk0", 1, NULL), ERR_SYS);
	close(fd);
	h.ops->close(h.ctx);
}

static void test_addresses(void)
{
	static const char *const list = "ip -j addr show lk0 | jq -r '.[0].addr_info[] | "
					"\"\\(.local)/\\(.prefixlen) \\(.nodad // false)\"'";
	struct ip_prefix v4 = prefix("172.20.0.5/24"), v6 = prefix("fd77::5/64");
	struct ip_prefix bad = {.addr = v4.addr, .len = 33}, unset = {0};
	struct host h;
	int fd;

	if (!begin(&h))
		return;
	fd = open_device(&h, "lk0");
	for (int i = 0; i < 2; i++) {
		OK(h.ops->addr_add(h.ctx, "lk0", &v4));
		OK(h.ops->addr_add(h.ctx, "lk0", &v6));
	}
	CU_ASSERT(same_text(netns_read("%s", list),
			    "169.254.43.1/32 false\n172.20.0.5/24 false\nfd77::5/64 true"));
	/* Usable at once, and no route came with it. */
	CU_ASSERT(same_text(netns_read("ip -6 -br addr show lk0 tentative"), ""));
	CU_ASSERT(same_text(netns_read("ip route show dev lk0; ip -6 route show dev lk0"), ""));
	CU_ASSERT_EQUAL(h.ops->addr_add(h.ctx, "lk0", &bad), ERR_INVAL);
	CU_ASSERT_EQUAL(h.ops->addr_add(h.ctx, "lk0", &unset), ERR_INVAL);
	for (int i = 0; i < 2; i++) {
		OK(h.ops->addr_del(h.ctx, "lk0", &v4));
		OK(h.ops->addr_del(h.ctx, "lk0", &v6));
	}
	CU_ASSERT(same_text(netns_read("%s", list), "169.254.43.1/32 false"));
	close(fd);
	h.ops->close(h.ctx);
}

/* source_chosen - the source the kernel would give a socket that talks to this address. */
static struct ip_addr source_chosen(const char *remote)
{
	struct endpoint e = {.addr = addr(remote), .port = 9}, local;
	struct sockaddr_storage ss;
	socklen_t len = endpoint_to_sockaddr(&ss, &e);
	int fd = socket(ss.ss_family, SOCK_DGRAM, 0);

	CU_ASSERT_FATAL(fd >= 0 && connect(fd, (struct sockaddr *)&ss, len) == 0);
	len = sizeof(ss);
	CU_ASSERT_FATAL(getsockname(fd, (struct sockaddr *)&ss, &len) == 0);
	CU_ASSERT_FATAL(endpoint_from_sockaddr(&local, &ss) == ERR_OK);
	close(fd);
	return local.addr;
}

static void test_routes(void)
{
	struct ip_prefix v4 = prefix("10.9.1.7/16"), v6 = prefix("fd99::7/32");
	struct ip_addr src4 = addr("10.1.0.1"), src6 = addr("fd01::1"), none = {0}, chosen;
	struct host h;
	int fd;

	if (!begin(&h))
		return;
	fd = open_device(&h, "lk0");
	OK(h.ops->rules_set(h.ctx, "lk0"));
	OK(h.ops->route_add(h.ctx, &v4, "lk0", &none));
	OK(h.ops->route_add(h.ctx, &v6, "lk0", NULL));
	CU_ASSERT(same_text(netns_read("ip route show table 4301; ip -6 route show table 4301"),
			    "10.9.0.0/16 dev lk0 proto 201 scope link\n"
			    "fd99::/32 dev lk0 proto 201 metric 1024 pref medium"));
	/* The device's own address is never a source, with or without one in the route. */
	chosen = source_chosen("10.9.3.3");
	CU_ASSERT(addr_is(&chosen, "10.1.0.1"));
	for (int i = 0; i < 2; i++) {
		OK(h.ops->route_add(h.ctx, &v4, "lk0", &src4));
		OK(h.ops->route_add(h.ctx, &v6, "lk0", &src6));
	}
	CU_ASSERT(same_text(netns_read("ip route show table 4301; ip -6 route show table 4301"),
			    "10.9.0.0/16 dev lk0 proto 201 scope link src 10.1.0.1\n"
			    "fd99::/32 dev lk0 proto 201 src fd01::1 metric 1024 pref medium"));
	CU_ASSERT_EQUAL(h.ops->route_add(h.ctx, &v4, "lk0", &src6), ERR_INVAL);
	for (int i = 0; i < 2; i++) {
		OK(h.ops->route_del(h.ctx, &v4, "lk0"));
		OK(h.ops->route_del(h.ctx, &v6, "lk0"));
	}
	CU_ASSERT(
		same_text(netns_read("ip route show table 4301; ip -6 route show table 4301"), ""));
	close(fd);
	h.ops->close(h.ctx);
}

/* Routes that a process before us left go, in either family; others' routes stay. */
static void test_route_flush(void)
{
	struct ip_prefix v6 = prefix("fd99::7/32"), v4;
	char text[32];
	struct host h;
	int fd;

	if (!begin(&h))
		return;
	fd = open_device(&h, "lk0");
	for (int i = 0; i < 150; i++) {
		snprintf(text, sizeof(text), "10.9.%d.0/24", i);
		v4 = prefix(text);
		OK(h.ops->route_add(h.ctx, &v4, "lk0", NULL));
	}
	OK(h.ops->route_add(h.ctx, &v6, "lk0", NULL));
	netns_read("ip route add 10.10.0.0/16 dev lo table 4301");
	netns_read("ip route add 10.11.0.0/16 dev lk0 table 77");
	for (int i = 0; i < 2; i++)
		OK(h.ops->route_flush(h.ctx, "lk0"));
	CU_ASSERT(same_text(netns_read("ip route show table 4301; ip -6 route show table 4301; "
				       "ip route show table 77"),
			    "10.10.0.0/16 dev lo scope link\n10.11.0.0/16 dev lk0 scope link"));
	CU_ASSERT_EQUAL(h.ops->route_flush(h.ctx, "lk9"), ERR_NOT_FOUND);
	close(fd);
	h.ops->close(h.ctx);
}

static bool goes_by(const char *what, const char *device)
{
	char wanted[32];
	const char *got = netns_read("ip route get %s 2>&1", what);

	snprintf(wanted, sizeof(wanted), "dev %s ", device);
	if (strstr(got, wanted))
		return true;
	tap_diag("%s: %s", what, got);
	return false;
}

static void test_rules(void)
{
	static const char *const list = "ip rule | grep -v -e main -e default -e local; "
					"ip -6 rule | grep -v -e main -e local";
	struct ip_prefix all4 = prefix("0.0.0.0/0"), all6 = prefix("::/0");
	struct host h;
	int fd;

	if (!begin(&h))
		return;
	fd = open_device(&h, "lk0");
	OK(h.ops->rules_set(h.ctx, "lk0"));
	OK(h.ops->rules_set(h.ctx, "lk0"));
	CU_ASSERT(same_text(netns_read("%s", list),
			    "4300:\tfrom all fwmark 0x40000000/0xc0000000 lookup 4302 proto 201\n"
			    "4301:\tfrom all fwmark 0/0xa0000000 lookup 4301 proto 201\n"
			    "4300:\tfrom all fwmark 0x40000000/0xc0000000 lookup 4302 proto 201\n"
			    "4301:\tfrom all fwmark 0/0xa0000000 lookup 4301 proto 201"));
	/* Captured traffic goes to the device whatever the routes say, unless it is ours. */
	CU_ASSERT(goes_by("10.1.0.2", "out0"));
	CU_ASSERT(goes_by("10.1.0.2 mark 0x40000000", "lk0"));
	CU_ASSERT(goes_by("10.1.0.2 mark 0x40000005", "lk0"));
	CU_ASSERT(goes_by("10.1.0.2 mark 0xc0000000", "out0"));
	CU_ASSERT(goes_by("fd01::2 mark 0x40000000", "lk0"));
	CU_ASSERT(goes_by("fd01::2 mark 0x80000000", "out0"));
	/* Routes into the device, even to everything, are not for our own outer traffic. */
	OK(h.ops->route_add(h.ctx, &all4, "lk0", NULL));
	OK(h.ops->route_add(h.ctx, &all6, "lk0", NULL));
	CU_ASSERT(goes_by("10.1.0.2", "lk0"));
	CU_ASSERT(goes_by("10.1.0.2 mark 0x7", "lk0"));
	CU_ASSERT(goes_by("10.1.0.2 mark 0x80000000", "out0"));
	CU_ASSERT(goes_by("10.1.0.2 mark 0x80000007", "out0"));
	CU_ASSERT(goes_by("192.0.2.1 mark 0x80000000", "out0"));
	CU_ASSERT(goes_by("10.1.0.2 mark 0x20000000", "out0")); /* nor for what passes */
	CU_ASSERT(goes_by("fd05::1 mark 0x20000000", "out0"));
	CU_ASSERT(goes_by("fd05::1", "lk0"));
	CU_ASSERT(goes_by("fd05::1 mark 0x80000000", "out0"));
	CU_ASSERT(goes_by("10.1.0.1", "lo"));
	/* A copy that somebody made goes as well. */
	netns_sh("ip rule add pref 4301 fwmark 0/0xa0000000 lookup 4301 proto 201 "
		 "2>/dev/null || true");
	OK(h.ops->rules_del(h.ctx));
	OK(h.ops->rules_del(h.ctx));
	CU_ASSERT(same_text(netns_read("%s", list), ""));
	CU_ASSERT(same_text(
		netns_read("ip route show table 4302 2>&1; ip -6 route show table 4302"), ""));
	close(fd);
	h.ops->close(h.ctx);
}

/* What is known of a device: its index, its addresses, and whether something came by it. */
static void test_link_look(void)
{
	static const uint8_t frame[60] = {[12] = 0x88, [13] = 0xb5};
	struct ip_addr none = {0}, own4 = addr("10.77.0.1"), own6 = addr("fd77::1"),
		       always = addr("169.254.43.1"), others = addr("10.1.0.1");
	struct host_link link = {0};
	struct host h;
	int fd;

	if (!begin(&h))
		return;
	fd = open_device(&h, "lk0");
	CU_ASSERT_EQUAL(h.ops->link_look(h.ctx, &link, "lk1", &none), ERR_NOT_FOUND);
	OK(h.ops->link_look(h.ctx, &link, "lk0", &none));
	CU_ASSERT(link.ifindex == if_nametoindex("lk0") && !link.used && !link.has);
	netns_sh("ip addr add 10.77.0.1/24 dev lk0 && ip addr add fd77::1/64 dev lk0 nodad");
	OK(h.ops->link_look(h.ctx, &link, "lk0", &own4));
	CU_ASSERT(link.has);
	OK(h.ops->link_look(h.ctx, &link, "lk0", &own6));
	CU_ASSERT(link.has);
	OK(h.ops->link_look(h.ctx, &link, "lk0", &always));
	CU_ASSERT(link.has);
	OK(h.ops->link_look(h.ctx, &link, "lk0", &others));
	CU_ASSERT(!link.has && !link.used);
	CU_ASSERT_EQUAL(write(fd, frame, sizeof(frame)), sizeof(frame));
	OK(h.ops->link_look(h.ctx, &link, "lk0", &none));
	CU_ASSERT(link.used);
	close(fd);
	h.ops->close(h.ctx);
}

static void test_source_and_mtu(void)
{
	struct ip_prefix all4 = prefix("0.0.0.0/0");
	struct ip_addr far4 = addr("192.0.2.1"), far6 = addr("2001:db8::1"),
		       small = addr("10.4.0.1");
	struct ip_addr unset = {0}, none = addr("10.5.0.1"), out;
	struct host h;
	uint32_t mtu;
	int fd;

	if (!begin(&h))
		return;
	fd = open_device(&h, "lk0");
	OK(h.ops->rules_set(h.ctx, "lk0"));
	OK(h.ops->route_add(h.ctx, &all4, "lk0", NULL));
	netns_sh("ip route add 10.4.0.0/16 via 10.1.0.2 mtu 1200 && "
		 "ip route add unreachable 10.5.0.0/16");
	OK(h.ops->source_for(h.ctx, &out, &far4));
	CU_ASSERT(addr_is(&out, "10.1.0.1"));
	OK(h.ops->source_for(h.ctx, &out, &far6));
	CU_ASSERT(addr_is(&out, "fd01::1"));
	OK(h.ops->link_mtu(h.ctx, &mtu, &far4));
	CU_ASSERT_EQUAL(mtu, 1480);
	OK(h.ops->link_mtu(h.ctx, &mtu, &far6));
	CU_ASSERT_EQUAL(mtu, 1480);
	OK(h.ops->link_mtu(h.ctx, &mtu, &small));
	CU_ASSERT_EQUAL(mtu, 1200);
	CU_ASSERT_EQUAL(h.ops->source_for(h.ctx, &out, &none), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(h.ops->link_mtu(h.ctx, &mtu, &none), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(h.ops->source_for(h.ctx, &out, &unset), ERR_INVAL);
	netns_sh("ip route del default && ip -6 route del default");
	CU_ASSERT_EQUAL(h.ops->source_for(h.ctx, &out, &far4), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(h.ops->source_for(h.ctx, &out, &far6), ERR_NOT_FOUND);
	close(fd);
	h.ops->close(h.ctx);
}

static void test_local_in(void)
{
	struct ts wide = ts("10.1.0.0/16"), narrow = ts("10.2.0.5-10.2.0.6"),
		  gone = ts("10.7.0.0/16");
	struct ts v6 = ts("fd00::/8"), linklocal = ts("fe80::/10"), tap = ts("169.254.0.0/16");
	struct ts ports = ts("10.2.0.0/16[tcp/80]"), broken = {0};
	struct ip_addr out;
	struct host h;
	int fd;

	if (!begin(&h))
		return;
	fd = open_device(&h, "lk0");
	netns_sh("ip addr add 10.2.0.5/24 dev out1 && ip addr add 10.2.0.6/24 dev out1 && "
		 "ip -6 addr add fd02::9/64 dev out1 nodad preferred_lft 0 && "
		 "ip -6 addr add fe80::9/64 dev out1 nodad");
	OK(h.ops->local_in(h.ctx, &out, &wide));
	CU_ASSERT(addr_is(&out, "10.1.0.1"));
	/* Primary before secondary. */
	OK(h.ops->local_in(h.ctx, &out, &narrow));
	CU_ASSERT(addr_is(&out, "10.2.0.5"));
	OK(h.ops->local_in(h.ctx, &out, &ports));
	CU_ASSERT(addr_is(&out, "10.2.0.5"));
	netns_sh("ip -6 addr del fd01::1/64 dev out0");
	OK(h.ops->local_in(h.ctx, &out, &v6));
	CU_ASSERT(addr_is(&out, "fd02::9"));
	/* A deprecated one only where there is no other. */
	netns_sh("ip -6 addr add fd01::1/64 dev out0 nodad");
	OK(h.ops->local_in(h.ctx, &out, &v6));
	CU_ASSERT(addr_is(&out, "fd01::1"));
	OK(h.ops->local_in(h.ctx, &out, &linklocal));
	CU_ASSERT_EQUAL(h.ops->local_in(h.ctx, &out, &gone), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(h.ops->local_in(h.ctx, &out, &tap), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(h.ops->local_in(h.ctx, &out, &broken), ERR_INVAL);
	close(fd);
	h.ops->close(h.ctx);
}

/* What others may reach the host at: not what is on our own device, nor what is no use to them. */
static void test_addrs(void)
{
	struct ts none = ts("10.99.0.0/16");
	struct guard_entry entry = {.local = none, .remote = none};
	struct ip_prefix lent = prefix("10.77.0.1/32");
	struct host_addr list[16];
	size_t num = 0, found = 0;
	struct host h;
	int fd;

	if (!begin(&h))
		return;
	fd = open_device(&h, "lk0");
	OK(h.ops->guard_set(h.ctx, "lk0", &entry, 1)); /* says which device is ours */
	OK(h.ops->addr_add(h.ctx, "lk0", &lent));
	netns_sh("ip -6 addr add fe80::9/64 dev out1 nodad && "
		 "ip -6 addr add fd02::9/64 dev out1 nodad preferred_lft 0 && "
		 "ip -6 addr add fd02::8/64 dev out1 nodad && "
		 "ip addr add 10.2.0.5/24 dev out1");
	OK(h.ops->addrs(h.ctx, list, &num, ARRAY_LEN(list)));
	for (size_t i = 0; i < num; i++) {
		char text[IP_TEXT_MAX];

		ip_addr_text(text, &list[i].addr);
		CU_ASSERT(strcmp(text, "10.77.0.1") != 0 && strcmp(text, "fe80::9") != 0 &&
			  strcmp(text, "fd02::9") != 0 && strcmp(text, "127.0.0.1") != 0 &&
			  strcmp(text, "169.254.43.1") != 0 && strcmp(text, "::1") != 0);
		found += strcmp(list[i].ifname, "out1") == 0 && list[i].running &&
			 addr_is(&list[i].addr, text) &&
			 (!strcmp(text, "fd02::8") || !strcmp(text, "10.2.0.5"));
	}
	CU_ASSERT_EQUAL(found, 2);
	OK(h.ops->addrs(h.ctx, list, &num, 1));
	CU_ASSERT_EQUAL(num, 1);
	netns_sh("ip link set out1 down"); /* which keeps its IPv4 address, and is no way in */
	CU_ASSERT(strlen(netns_read("ip -br addr show dev out1 to 10.2.0.5")) > 0);
	OK(h.ops->addrs(h.ctx, list, &num, ARRAY_LEN(list)));
	for (size_t i = 0; i < num; i++)
		CU_ASSERT(!addr_is(&list[i].addr, "10.2.0.5"));
	OK(h.ops->guard_del(h.ctx));
	close(fd);
	h.ops->close(h.ctx);
}

/* runs - what addrs() says of the interface that has this address. */
static bool runs(struct host *h, const char *addr, const char *ifname)
{
	struct host_addr list[16];
	struct ip_addr wanted;
	size_t num = 0;
	bool running = false, found = false;

	CU_ASSERT_EQUAL_FATAL(ip_addr_parse(&wanted, addr), ERR_OK);
	OK(h->ops->addrs(h->ctx, list, &num, ARRAY_LEN(list)));
	for (size_t i = 0; i < num; i++) {
		if (!ip_addr_equal(&list[i].addr, &wanted))
			continue;
		found = true;
		running = list[i].running;
		CU_ASSERT_STRING_EQUAL(list[i].ifname, ifname);
	}
	CU_ASSERT(found);
	return running;
}

/* M1: an address stays on an interface whose link is down, and is told from one that carries. */
static void test_M1_link_of_an_address(void)
{
	struct host h;

	if (!begin(&h))
		return;
	netns_sh("ip link add ca type veth peer name cb && ip addr add 10.9.0.1/24 dev ca && "
		 "ip link set ca up");
	CU_ASSERT_FALSE(runs(&h, "10.9.0.1", "ca")); /* the other end is down */
	netns_sh("ip link set cb up");
	for (int i = 0; i < 100 && !runs(&h, "10.9.0.1", "ca"); i++)
		netns_wait(10);
	CU_ASSERT_TRUE(runs(&h, "10.9.0.1", "ca"));
	netns_sh("ip link set cb down");
	for (int i = 0; i < 100 && runs(&h, "10.9.0.1", "ca"); i++)
		netns_wait(10);
	CU_ASSERT_FALSE(runs(&h, "10.9.0.1", "ca"));
	h.ops->close(h.ctx);
}

static bool watched(struct host *h, int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	bool changed = false;

	if (poll(&p, 1, 0) != 1)
		return false;
	OK(h->ops->watch_read(h->ctx, fd, &changed));
	CU_ASSERT_EQUAL(poll(&p, 1, 0), 0); /* read empty */
	return changed;
}

/* Others' changes are reported, ours are not. */
static void test_watch(void)
{
	static const char *const theirs[] = {
		"ip addr add 10.2.0.5/24 dev out1",
		"ip addr del 10.2.0.5/24 dev out1",
		"ip route add 10.55.0.0/16 dev out1",
		"ip -6 addr add fd02::8/64 dev out1 nodad",
		"ip link set out1 down",
		"ip route del 10.55.0.0/16 dev out1 || true; ip link set out1 up"};
	struct ip_prefix lent = prefix("10.77.0.1/32"), net = prefix("10.99.0.0/16");
	struct ts none = ts("10.99.0.0/16");
	struct guard_entry entry = {.local = none, .remote = none};
	struct host h;
	int fd, watch = -1;

	if (!begin(&h))
		return;
	fd = open_device(&h, "lk0");
	OK(h.ops->guard_set(h.ctx, "lk0", &entry, 1));
	OK(h.ops->watch_open(h.ctx, &watch));
	CU_ASSERT_FALSE(watched(&h, watch));
	OK(h.ops->addr_add(h.ctx, "lk0", &lent));
	OK(h.ops->route_add(h.ctx, &net, "lk0", NULL));
	OK(h.ops->route_del(h.ctx, &net, "lk0"));
	OK(h.ops->link_set(h.ctx, "lk0", 1300, NULL));
	CU_ASSERT_FALSE(watched(&h, watch));
	for (size_t i = 0; i < ARRAY_LEN(theirs); i++) {
		netns_sh("%s", theirs[i]);
		CU_ASSERT(watched(&h, watch));
	}
	OK(h.ops->guard_del(h.ctx));
	close(watch);
	close(fd);
	h.ops->close(h.ctx);
}

static int get_int(int fd, int level, int option)
{
	socklen_t len = sizeof(int);
	int value = -1;

	CU_ASSERT(getsockopt(fd, level, option, &value, &len) == 0);
	return value;
}

static void test_esp_open(void)
{
	struct host h;
	int v4, v6;

	if (!begin(&h))
		return;
	OK(h.ops->esp_open(h.ctx, &v4, IP_V4, 1, 0));
	OK(h.ops->esp_open(h.ctx, &v6, IP_V6, 1, 0));
	CU_ASSERT(fcntl(v4, F_GETFL) & O_NONBLOCK);
	CU_ASSERT_EQUAL(get_int(v4, SOL_SOCKET, SO_TYPE), SOCK_RAW);
	CU_ASSERT_EQUAL(get_int(v4, SOL_SOCKET, SO_PROTOCOL), IPPROTO_ESP);
	CU_ASSERT_EQUAL(get_int(v6, SOL_SOCKET, SO_PROTOCOL), IPPROTO_ESP);
	CU_ASSERT_EQUAL((uint32_t)get_int(v4, SOL_SOCKET, SO_MARK), HOST_MARK_OUTER);
	CU_ASSERT_EQUAL((uint32_t)get_int(v6, SOL_SOCKET, SO_MARK), HOST_MARK_OUTER);
	CU_ASSERT_EQUAL(get_int(v4, IPPROTO_IP, IP_PKTINFO), 1);
	CU_ASSERT_EQUAL(get_int(v6, IPPROTO_IPV6, IPV6_RECVPKTINFO), 1);
	CU_ASSERT_EQUAL(get_int(v4, IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC_OMIT);
	CU_ASSERT_EQUAL(get_int(v6, IPPROTO_IPV6, IPV6_MTU_DISCOVER), IPV6_PMTUDISC_DONT);
	CU_ASSERT(get_int(v4, SOL_SOCKET, SO_RCVBUF) >= 7 << 20);
	CU_ASSERT_EQUAL(h.ops->esp_open(h.ctx, &v4, IP_NONE, 1, 0), ERR_INVAL);
	close(v4);
	close(v6);
	h.ops->close(h.ctx);
}

static void test_udp_open(void)
{
	struct host h;
	int v4, v6, other;

	if (!begin(&h))
		return;
	OK(h.ops->udp_open(h.ctx, &v4, IP_V4, 500, 1));
	OK(h.ops->udp_open(h.ctx, &v6, IP_V6, 500, 1));
	CU_ASSERT(fcntl(v4, F_GETFL) & O_NONBLOCK);
	CU_ASSERT_EQUAL((uint32_t)get_int(v4, SOL_SOCKET, SO_MARK), HOST_MARK_OUTER);
	CU_ASSERT_EQUAL((uint32_t)get_int(v6, SOL_SOCKET, SO_MARK), HOST_MARK_OUTER);
	CU_ASSERT_EQUAL(get_int(v4, IPPROTO_IP, IP_PKTINFO), 1);
	CU_ASSERT_EQUAL(get_int(v6, IPPROTO_IPV6, IPV6_RECVPKTINFO), 1);
	CU_ASSERT_EQUAL(get_int(v6, IPPROTO_IPV6, IPV6_V6ONLY), 1);
	CU_ASSERT_EQUAL(get_int(v4, IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC_OMIT);
	CU_ASSERT_EQUAL(get_int(v6, IPPROTO_IPV6, IPV6_MTU_DISCOVER), IPV6_PMTUDISC_DONT);
	CU_ASSERT(get_int(v4, SOL_SOCKET, SO_RCVBUF) >= 7 << 20);
	CU_ASSERT(get_int(v6, SOL_SOCKET, SO_SNDBUF) >= 7 << 20);
	/* Nobody can share the port, not even by saying so. */
	CU_ASSERT_EQUAL(h.ops->udp_open(h.ctx, &other, IP_V4, 500, 1), ERR_BUSY);
	CU_ASSERT_EQUAL(h.ops->udp_open(h.ctx, &other, IP_NONE, 500, 1), ERR_INVAL);
	close(v4);
	OK(h.ops->udp_open(h.ctx, &v4, IP_V4, 500, 1));
	close(v4);
	close(v6);
	h.ops->close(h.ctx);
}

/* datagrams_at - that wait in the socket. */
static unsigned datagrams_at(int fd)
{
	uint8_t buf[64];
	unsigned n = 0;

	while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) >= 0)
		n++;
	return n;
}

/* A datagram goes where its first 32 bits say, whatever flow it is of, if there is such a socket;
 * one that is too short to say so, and what begins with zeros (IKE behind its marker), to the
 * first. */
static void test_udp_steer(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(4500)};
	unsigned got[3];
	struct host h;
	int fds[3], from;

	if (!begin(&h))
		return;
	netns_sh("ip link set lo up");
	OK(h.ops->udp_open(h.ctx, fds, IP_V4, 4500, 3));
	OK(h.ops->udp_steer(h.ctx, fds[0], 22, 3));
	inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
	from = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	for (uint32_t high = 0; high < 1024; high += 31) {
		uint8_t esp[40] = {0};

		store_be32(esp, high << 22 | high);
		CU_ASSERT(sendto(from, esp, sizeof(esp), 0, (struct sockaddr *)&to, sizeof(to)) ==
			  sizeof(esp));
		for (uint32_t i = 0; i < 3; i++)
			got[i] = datagrams_at(fds[i]);
		CU_ASSERT_EQUAL(got[0] + got[1] + got[2], 1);
		CU_ASSERT(high % 4 == 3 || got[high % 4] == 1);
	}
	for (size_t len = 0; len < 4; len++) {
		CU_ASSERT(sendto(from, "\xff\xff\xff\xff", len, 0, (struct sockaddr *)&to,
				 sizeof(to)) == (ssize_t)len);
		CU_ASSERT_EQUAL(datagrams_at(fds[0]), 1);
	}
	CU_ASSERT_EQUAL(h.ops->udp_steer(h.ctx, fds[0], 22, 0), ERR_INVAL);
	CU_ASSERT_EQUAL(h.ops->udp_steer(h.ctx, fds[0], 32, 2), ERR_INVAL);
	close(from);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	h.ops->close(h.ctx);
}

/* send_esp - so many bytes of IP protocol 50 to this host itself. */
static void send_esp(int from, enum ip_family family, const uint8_t *esp, size_t len)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};

	CU_ASSERT_EQUAL(family == IP_V4
				? sendto(from, esp, len, 0, (struct sockaddr *)&v4, sizeof(v4))
				: sendto(from, esp, len, 0, (struct sockaddr *)&v6, sizeof(v6)),
			(ssize_t)len);
}

/* esp_comes_once - to the one of num that its SPI names; what names none, too. */
static void esp_comes_once(struct host *h, enum ip_family family, uint32_t num)
{
	int fds[5], from = socket(family == IP_V4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC,
				  IPPROTO_ESP);
	uint8_t esp[40] = {0};

	CU_ASSERT_TRUE_FATAL(from >= 0);
	OK(h->ops->esp_open(h->ctx, fds, family, num, 22));
	for (uint32_t high = 0; high < 1024; high += 31) {
		uint8_t options[4] = {1, 1, 1, 0};

		/* The SPI is where the header ends, be it longer or not. */
		if (family == IP_V4 && high % 2)
			CU_ASSERT_EQUAL(setsockopt(from, IPPROTO_IP, IP_OPTIONS, options, 4), 0);
		store_be32(esp, high << 22 | high);
		send_esp(from, family, esp, sizeof(esp));
		uint32_t named = high % (num < 3 ? 2 : num < 5 ? 4 : 8);

		for (uint32_t i = 0; i < num; i++)
			CU_ASSERT_EQUAL(datagrams_at(fds[i]),
					i == (named < num ? named : named - num));
	}
	memset(esp, 0xff, sizeof(esp));
	for (size_t len = 0; len < 4; len++) {
		send_esp(from, family, esp, len);
		for (uint32_t i = 0; i < num; i++)
			CU_ASSERT_EQUAL(datagrams_at(fds[i]), i == 0);
	}
	for (uint32_t i = 0; i < num; i++)
		close(fds[i]);
	close(from);
}

/* Every raw socket would have every packet. */
static void test_esp_open_for_several(void)
{
	struct host h;
	int fds[2];

	if (!begin(&h))
		return;
	netns_sh("ip link set lo up");
	for (uint32_t num = 2; num <= 5; num++) {
		esp_comes_once(&h, IP_V4, num);
		esp_comes_once(&h, IP_V6, num);
	}
	CU_ASSERT_EQUAL(h.ops->esp_open(h.ctx, fds, IP_V4, 0, 22), ERR_INVAL);
	CU_ASSERT_EQUAL(h.ops->esp_open(h.ctx, fds, IP_V4, 2, 32), ERR_INVAL);
	h.ops->close(h.ctx);
}

/* Sockets that share a port share its flows; whoever else has the port has it alone. */
static void test_udp_open_shared(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(4500)};
	int fds[4], others[4], single = -1;
	unsigned got = 0, with = 0;
	struct host h;

	if (!begin(&h))
		return;
	netns_sh("ip link set lo up");
	OK(h.ops->udp_open(h.ctx, fds, IP_V4, 4500, 4));
	OK(h.ops->udp_open(h.ctx, others, IP_V6, 4500, 4));
	for (int i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL((uint32_t)get_int(fds[i], SOL_SOCKET, SO_MARK), HOST_MARK_OUTER);
		CU_ASSERT_EQUAL(get_int(fds[i], IPPROTO_IP, IP_PKTINFO), 1);
		CU_ASSERT_EQUAL(get_int(others[i], IPPROTO_IPV6, IPV6_V6ONLY), 1);
		close(others[i]);
	}
	inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
	for (int flow = 0; flow < 32; flow++) {
		int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

		for (int i = 0; i < 2; i++)
			CU_ASSERT(sendto(fd, "12345678", 8, 0, (struct sockaddr *)&to,
					 sizeof(to)) == 8);
		close(fd);
	}
	for (int i = 0; i < 4; i++) {
		unsigned n = datagrams_at(fds[i]);

		CU_ASSERT_EQUAL(n % 2, 0);
		got += n;
		with += n > 0;
	}
	CU_ASSERT_EQUAL(got, 64);
	CU_ASSERT(with > 1); /* of four, for 32 flows: all of one socket 1 in 4^31 times */
	/* A second daemon, with one socket or several, is told that somebody is there. */
	CU_ASSERT_EQUAL(h.ops->udp_open(h.ctx, others, IP_V4, 4500, 4), ERR_BUSY);
	CU_ASSERT_EQUAL(h.ops->udp_open(h.ctx, others, IP_V4, 4500, 1), ERR_BUSY);
	for (int i = 0; i < 4; i++)
		close(fds[i]);
	OK(h.ops->udp_open(h.ctx, &single, IP_V4, 4500, 1));
	CU_ASSERT_EQUAL(h.ops->udp_open(h.ctx, fds, IP_V4, 4500, 4), ERR_BUSY);
	close(single);
	h.ops->close(h.ctx);
}

static void test_rp_filter(void)
{
	const char *text = NULL;
	struct host h;
	bool ok = false;

	if (!begin(&h))
		return;
	netns_sh("cd /proc/sys/net/ipv4/conf; echo 0 >all/rp_filter; echo 0 >out0/rp_filter; "
		 "echo 1 >out1/rp_filter");
	OK(h.ops->rp_filter_check(h.ctx, &ok, &text));
	CU_ASSERT(ok && text && text[0]);
	CU_ASSERT(same_text(netns_read("cd /proc/sys/net/ipv4/conf; cat all/rp_filter "
				       "out0/rp_filter out1/rp_filter"),
			    "0\n0\n2"));
	/* Strict for all: each interface is made loose, "all" stays what the administrator said. */
	netns_sh("echo 1 >/proc/sys/net/ipv4/conf/all/rp_filter");
	OK(h.ops->rp_filter_check(h.ctx, &ok, &text));
	CU_ASSERT(ok);
	CU_ASSERT(same_text(netns_read("cd /proc/sys/net/ipv4/conf; cat all/rp_filter "
				       "out0/rp_filter out1/rp_filter"),
			    "1\n2\n2"));
	h.ops->close(h.ctx);
}

/* in_child - run fn in a child process and return its exit status, since what it does to the
 * process cannot be undone. */
static int in_child(int (*fn)(void))
{
	int status = -1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	CU_ASSERT_FATAL(pid >= 0);
	if (pid == 0)
		_exit(fn());
	CU_ASSERT(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static struct host child_host;

/* Step by step, so that the status tells which one went wrong. */
static int rp_filter_read_only(void)
{
	const char *text = NULL;
	bool ok = true;

	if (unshare(CLONE_NEWNS) || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) ||
	    mount("/proc/sys", "/proc/sys", "none", MS_BIND, NULL) ||
	    mount("none", "/proc/sys", "none", MS_BIND | MS_REMOUNT | MS_RDONLY, NULL))
		return 77;
	if (child_host.ops->rp_filter_check(child_host.ctx, &ok, &text))
		return 1;
	return !ok && strstr(text, "rp_filter") ? 0 : 2;
}

static void test_rp_filter_refused(void)
{
	int status;

	if (!begin(&child_host))
		return;
	netns_sh("echo 1 >/proc/sys/net/ipv4/conf/all/rp_filter");
	status = in_child(rp_filter_read_only);
	if (status == 77)
		tap_skip("mount namespaces are not permitted here");
	else
		CU_ASSERT_EQUAL(status, 0);
	child_host.ops->close(child_host.ctx);
}

static int without_privilege(void)
{
	const struct host_ops *ops = child_host.ops;
	void *ctx = child_host.ctx;
	struct ip_prefix p = {.len = 8};
	struct guard_entry entry = {0};
	struct flow flow = {.local_port = 1, .remote_port = 2, .proto = IPPROTO_UDP};
	struct host h;
	struct host_tap tap;
	int fd;

	flow.local = flow.remote = ip_addr_v4("\x0a\x00\x00\x01");
	p.addr = ip_addr_v4("\x0a\x00\x00");
	entry.local = entry.remote = ts_from_prefix(&p);
	if (setgroups(0, NULL) || setresgid(65534, 65534, 65534) ||
	    setresuid(65534, 65534, 65534) || host_linux_open(&h))
		return 1;
	/* With the sockets of a privileged opener and with its own. */
	for (int i = 0; i < 2; i++) {
		if (ops->link_set(ctx, "lk0", 1400, NULL) != ERR_PERM)
			return 2;
		if (ops->addr_add(ctx, "lk0", &p) != ERR_PERM)
			return 3;
		if (ops->route_add(ctx, &p, "lk0", NULL) != ERR_PERM)
			return 4;
		if (ops->rules_set(ctx, "lk0") != ERR_PERM)
			return 5;
		if (ops->link_del(ctx, "lk0") != ERR_PERM)
			return 6;
		if (ops->udp_open(ctx, &fd, IP_V4, 5000, 1) != ERR_PERM)
			return 7;
		if (ops->tap_open(ctx, &tap, &num_queues, "lk0", 0, 1) != ERR_PERM)
			return 8;
		if (ops->guard_set(ctx, "lk0", &entry, 1) != ERR_PERM)
			return 9;
		if (ops->esp_open(ctx, &fd, IP_V4, 1, 0) != ERR_PERM)
			return 10;
		if (ops->token_set(ctx, "lk0") != ERR_PERM)
			return 11;
		if (ops->flow_guard(ctx, "lk0", &flow, true) != ERR_PERM)
			return 12;
		fd = socket(AF_INET, SOCK_DGRAM, 0);
		if (ops->socket_mark(ctx, fd, 5) != ERR_PERM)
			return 13;
		close(fd);
		ops = h.ops;
		ctx = h.ctx;
	}
	h.ops->close(h.ctx);
	return 0;
}

static void test_without_privilege(void)
{
	int fd;

	if (!begin(&child_host))
		return;
	fd = open_device(&child_host, "lk0");
	close(fd);
	int status = in_child(without_privilege);

	if (status)
		tap_diag("step %d", status);
	CU_ASSERT_EQUAL(status, 0);
	child_host.ops->close(child_host.ctx);
}

/* What errno says is believed, but not that nothing failed. */
static void test_a_failure_is_one(void)
{
	errno = EADDRINUSE;
	CU_ASSERT_EQUAL(host_failed(), ERR_BUSY);
	CU_ASSERT_EQUAL(errno, EADDRINUSE);
	errno = 0;
	CU_ASSERT_EQUAL(host_failed(), ERR_SYS);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_a_failure_is_one),
	TAP_TEST(test_names),
	TAP_TEST(test_missing_device),
	TAP_TEST(test_tap_open),
	TAP_TEST(test_tap_offloads),
	TAP_TEST(test_tap_queues),
	TAP_TEST(test_link_set),
	TAP_TEST(test_addresses),
	TAP_TEST(test_routes),
	TAP_TEST(test_route_flush),
	TAP_TEST(test_rules),
	TAP_TEST(test_link_look),
	TAP_TEST(test_source_and_mtu),
	TAP_TEST(test_local_in),
	TAP_TEST(test_addrs),
	TAP_TEST(test_M1_link_of_an_address),
	TAP_TEST(test_watch),
	TAP_TEST(test_udp_open),
	TAP_TEST(test_udp_open_shared),
	TAP_TEST(test_udp_steer),
	TAP_TEST(test_esp_open),
	TAP_TEST(test_esp_open_for_several),
	TAP_TEST(test_rp_filter),
	TAP_TEST(test_rp_filter_refused),
	TAP_TEST(test_without_privilege),
};

TAP_MAIN("api/host", tests)
