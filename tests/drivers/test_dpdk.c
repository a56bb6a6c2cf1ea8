/* SPDX-License-Identifier: Apache-2.0 */
/* DPDK's module on devices that need none: rings, a source of zeros, captures. EAL can be started
 * once, so the tests that need it share one. */
#include "drivers/dpdk.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/bytes.h"
#include "dataplane/pool.h"

#include "tests/drivers/netns.h"
#include "tests/tap/tap.h"

#define NUM_PACKETS 1023
#define ROOM        2048
#define FRAME_LEN   90

static struct dpdk *dpdk;
static char text[DPDK_TEXT_MAX];

static const char *module_path(void)
{
	return getenv("LATCHKEY_DPDK_MODULE");
}

/* started - the module, running; false where it cannot be. */
static const struct dpdk_module *started(void)
{
	const struct dpdk_params params = {
		.memory_mb = 64, .num_packets = NUM_PACKETS, .packet_room = ROOM};

	if (dpdk)
		return dpdk_module(dpdk);
	CU_ASSERT_EQUAL_FATAL(dpdk_load(&dpdk, module_path(), NULL, text), ERR_OK);
	enum err err = dpdk_module(dpdk)->start(&params, text);

	if (err)
		tap_diag("%s", text);
	CU_ASSERT_EQUAL_FATAL(err, ERR_OK);
	return dpdk_module(dpdk);
}

static struct driver *opened(const char *device)
{
	struct driver *d = NULL;
	enum err err = started()->open(&d, device, 1, 0, 0, text);

	if (err)
		tap_diag("%s", text);
	CU_ASSERT_EQUAL_FATAL(err, ERR_OK);
	return d;
}

static void close_driver(struct driver *d)
{
	d->ops->close(d);
}

/* receive - a frame; devices need not have it at once. */
static struct packet *receive(struct driver *d)
{
	for (int i = 0; i < 1000; i++) {
		struct pktvec v = {0};

		if (d->ops->rx(d, NULL, &v)) {
			for (uint32_t k = 1; k < v.num; k++)
				packet_put(v.pkt[k]);
			return v.pkt[0];
		}
		usleep(1000);
	}
	return NULL;
}

static void send_one(struct driver *d, struct packet *p)
{
	struct pktvec v = {.num = 1, .pkt = {p}};

	d->ops->tx(d, &v);
	CU_ASSERT_EQUAL(v.num, 0);
}

static void fill(struct packet *p, uint8_t seed)
{
	p->len = FRAME_LEN;
	for (uint32_t i = 0; i < FRAME_LEN; i++)
		p->data[i] = (uint8_t)(seed + i);
}

static bool is_filled(const struct packet *p, uint8_t seed)
{
	for (uint32_t i = 0; i < FRAME_LEN; i++)
		if (p->data[i] != (uint8_t)(seed + i))
			return false;
	return p->len == FRAME_LEN;
}

/* ---- without DPDK --------------------------------------------------------------------------- */

static void test_pci_addresses(void)
{
	CU_ASSERT_TRUE(dpdk_is_pci("0000:01:00.0"));
	CU_ASSERT_TRUE(dpdk_is_pci("0a:1f.7"));
	CU_ASSERT_FALSE(dpdk_is_pci("0000:01:00"));
	CU_ASSERT_FALSE(dpdk_is_pci("0000:01:00.0,x=1"));
	CU_ASSERT_FALSE(dpdk_is_pci("net_ring0"));
	CU_ASSERT_FALSE(dpdk_is_pci(""));
}

static void test_module_that_is_not_there(void)
{
	struct dpdk *d;

	text[0] = '\0';
	CU_ASSERT_EQUAL(dpdk_load(&d, "/nonexistent/module.so", NULL, text), ERR_NOT_FOUND);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "/nonexistent/module.so"));
	CU_ASSERT_EQUAL(dpdk_load(&d, "libm.so.6", NULL, text), ERR_UNSUPPORTED);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "libm.so.6 is no module"));
}

static void test_module_refuses_another_host(void)
{
	const struct driver_services other = {.abi = DPDK_MODULE_ABI + 1};
	void *handle = dlopen(module_path(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	union {
		void *object;
		dpdk_module_fn *fn;
	} symbol = {.object = handle ? dlsym(handle, DPDK_MODULE_SYMBOL) : NULL};

	CU_ASSERT_PTR_NOT_NULL_FATAL(symbol.object);
	CU_ASSERT_PTR_NULL(symbol.fn(&other));
	CU_ASSERT_PTR_NULL(symbol.fn(NULL));
}

/* ---- with it -------------------------------------------------------------------------------- */

static void test_second_start(void)
{
	const struct dpdk_params params = {.memory_mb = 64, .num_packets = 63, .packet_room = 256};

	CU_ASSERT_EQUAL(started()->start(&params, text), ERR_EXISTS);
}

/* DPDK goes on as if nothing were when a virtual device fails: we do not. */
static void test_device_that_does_not_start(void)
{
	static const char *const devices[] = {
		"net_af_packet7,iface=lk-none",
		"net_nosuch0",
		"net_pcap8,rx_pcap=/nonexistent/x.pcap",
		"mem_nothing",
		"0000:7f:1f.7",
	};

	for (size_t i = 0; i < ARRAY_LEN(devices); i++) {
		struct driver *d = NULL;

		text[0] = '\0';
		CU_ASSERT_NOT_EQUAL(started()->open(&d, devices[i], 1, 0, 0, text), ERR_OK);
		CU_ASSERT_PTR_NULL(d);
		CU_ASSERT_PTR_EQUAL(strstr(text, devices[i]), text);
		tap_diag("%s", text);
	}
	struct driver *many[DPDK_QUEUES_MAX];

	CU_ASSERT_EQUAL(started()->open(many, "net_ring3", DPDK_QUEUES_MAX, 0, 0, text),
			ERR_UNSUPPORTED);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "net_ring3: it has "));
	CU_ASSERT_EQUAL(started()->open(many, "net_ring4", 0, 0, 0, text), ERR_INVAL);
}

/* What is sent by a ring's port is received by it. */
static void test_frames_by_a_ring(void)
{
	struct pool *heap = pool_new(4, ROOM);
	struct driver *d = opened("net_ring0");
	struct packet *p = packet_get(heap);
	uint8_t *buf;

	fill(p, 3);
	send_one(d, p);
	CU_ASSERT_EQUAL(pool_num_free(heap), 4); /* copied */
	p = receive(d);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_TRUE(is_filled(p, 3));
	CU_ASSERT_TRUE(packet_headroom(p) >= PACKET_HEADROOM);
	CU_ASSERT_TRUE(packet_tailroom(p) >= PACKET_TAILROOM);

	/* Out again in the same buffer, with a header in front and a trailer behind. */
	buf = p->buf;
	p->data -= 60;
	p->len += 60 + 200;
	memset(p->data, 0x77, 60);
	send_one(d, p);
	p = receive(d);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_PTR_EQUAL(p->buf, buf);
	CU_ASSERT_EQUAL(p->len, 60 + FRAME_LEN + 200);
	CU_ASSERT_EQUAL(p->data[59], 0x77);
	CU_ASSERT_EQUAL(p->data[60], 3);
	CU_ASSERT_EQUAL(p->flags, 0);
	packet_put(p);
	CU_ASSERT_EQUAL(d->stats.rx_packets, 2);
	CU_ASSERT_EQUAL(d->stats.tx_packets, 2);
	CU_ASSERT_EQUAL(d->stats.tx_bytes, 2 * FRAME_LEN + 260);
	close_driver(d);
	pool_free(heap);
}

/* A frame that leaves no tailroom is none for us. */
static void test_frame_that_is_too_long(void)
{
	struct pool *heap = pool_new(2, ROOM + 64);
	struct driver *d = opened("net_ring1");
	struct pktvec v = {0};
	struct packet *p = packet_get(heap);

	p->len = ROOM + 1;
	memset(p->data, 1, p->len);
	send_one(d, p);
	CU_ASSERT_EQUAL(d->ops->rx(d, NULL, &v), 0);
	CU_ASSERT_EQUAL(d->stats.rx_error, 1);
	p = packet_get(heap);
	p->len = ROOM;
	memset(p->data, 1, p->len);
	send_one(d, p);
	CU_ASSERT_EQUAL(d->ops->rx(d, NULL, &v), 1);
	CU_ASSERT_TRUE(packet_tailroom(v.pkt[0]) >= PACKET_TAILROOM);
	packet_put(v.pkt[0]);
	close_driver(d);
	pool_free(heap);
}

/* take_all - packets of the pool until it has none; given back at once. Returns how many. */
static uint32_t take_all(struct pool *pool)
{
	static struct packet *taken[NUM_PACKETS + PKTVEC_MAX];
	uint32_t num = 0;

	while (num <= NUM_PACKETS && pool->ops->get(pool, &taken[num], 1))
		num++;
	for (uint32_t i = 0; i < num; i++)
		packet_put(taken[i]);
	return num;
}

static void *give_back(void *arg)
{
	struct pktvec *v = arg;

	for (uint32_t i = 0; i < v->num; i++)
		packet_put(v->pkt[i]);
	v->num = 0;
	return NULL;
}

/* What a thread receives another may give back; nothing is lost over many rounds. */
static void test_packets_go_home_from_any_thread(void)
{
	struct driver *d = opened("net_null0");
	struct pktvec v = {0};
	struct pool *pool;
	pthread_t thread;
	uint32_t num = 0;

	for (int i = 0; i < 100; i++) {
		num += d->ops->rx(d, NULL, &v);
		CU_ASSERT_EQUAL_FATAL(v.num, PKTVEC_MAX);
		pool = v.pkt[0]->pool;
		CU_ASSERT_PTR_NULL(pool->away);
		CU_ASSERT_EQUAL(pthread_create(&thread, NULL, give_back, &v), 0);
		pthread_join(thread, NULL);
	}
	CU_ASSERT_TRUE(num > 4 * NUM_PACKETS);
	CU_ASSERT_EQUAL(take_all(pool), NUM_PACKETS);
	close_driver(d);
}

/* With no buffer free nothing comes, and nothing goes; then it goes on. */
static void test_no_buffers(void)
{
	static struct packet *taken[NUM_PACKETS];
	struct driver *d = opened("net_null1");
	struct pool *heap = pool_new(1, ROOM);
	struct packet *p = receive(d);
	struct pktvec v = {0};
	uint32_t num = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	while (num < NUM_PACKETS && p->pool->ops->get(p->pool, &taken[num], 1))
		num++;
	CU_ASSERT_EQUAL(num, NUM_PACKETS - 1);
	CU_ASSERT_EQUAL(d->ops->rx(d, NULL, &v), 0);
	struct packet *ours = packet_get(heap);

	fill(ours, 0);
	send_one(d, ours);
	CU_ASSERT_EQUAL(d->stats.tx_full, 1);
	CU_ASSERT_EQUAL(pool_num_free(heap), 1);
	packet_put(p);
	for (uint32_t i = 0; i < num; i++)
		packet_put(taken[i]);
	CU_ASSERT_EQUAL(d->ops->rx(d, NULL, &v), PKTVEC_MAX);
	give_back(&v);
	close_driver(d);
	pool_free(heap);
}

/* write_capture - one frame, in the format of pcap-savefile(5). */
static void write_capture(const char *path, const uint8_t *frame, uint32_t len)
{
	const uint32_t head[] = {0xa1b2c3d4, 4u << 16 | 2, 0, 0, 65535, 1};
	const uint32_t record[] = {1, 2, len, len};
	FILE *f = fopen(path, "wb");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fwrite(head, sizeof(head), 1, f);
	fwrite(record, sizeof(record), 1, f);
	fwrite(frame, len, 1, f);
	fclose(f);
}

static void test_frames_by_captures(void)
{
	char folder[] = "/tmp/latchkey-dpdk-XXXXXX", in[64], out[64], device[DPDK_DEVICE_MAX];
	uint8_t frame[FRAME_LEN], back[40 + FRAME_LEN];
	struct driver *d;
	struct packet *p;
	FILE *f;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	snprintf(in, sizeof(in), "%s/in", folder);
	snprintf(out, sizeof(out), "%s/out", folder);
	for (uint32_t i = 0; i < FRAME_LEN; i++)
		frame[i] = (uint8_t)(9 + i);
	write_capture(in, frame, FRAME_LEN);
	snprintf(device, sizeof(device), "net_pcap0,rx_pcap=%s,tx_pcap=%s", in, out);
	d = opened(device);
	p = receive(d);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_TRUE(is_filled(p, 9));
	send_one(d, p);
	close_driver(d);
	f = fopen(out, "rb");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL(fread(back, 1, sizeof(back), f), sizeof(back));
	CU_ASSERT_EQUAL(memcmp(back + 40, frame, FRAME_LEN), 0);
	fclose(f);
	unlink(in);
	unlink(out);
	rmdir(folder);
}

static void test_what_is_known_of_a_port(void)
{
	struct driver *d = opened("net_null2");
	struct dpdk_port_info info;
	struct pktvec v = {0};

	started()->info(d, &info);
	CU_ASSERT_TRUE(info.up);
	CU_ASSERT_EQUAL(info.mtu, 1500);
	CU_ASSERT_STRING_EQUAL(info.driver, "net_null");
	CU_ASSERT_EQUAL(d->ops->rx(d, NULL, &v), PKTVEC_MAX);
	d->ops->tx(d, &v);
	started()->info(d, &info);
	CU_ASSERT_EQUAL(info.rx_packets, PKTVEC_MAX);
	CU_ASSERT_EQUAL(info.tx_packets, PKTVEC_MAX);
	CU_ASSERT_EQUAL(d->ops->fd(d), -1);
	close_driver(d);
}

/* links_agree - what is known of the port is what its link is now, and it is that. The kernel tells
 * of links once a second where many change. */
static bool links_agree(const struct driver *d, bool up)
{
	struct dpdk_port_info info;

	for (int i = 0; i < 300 && started()->is_up(d) != up; i++)
		usleep(10000);
	started()->info(d, &info);
	return info.up == up && started()->is_up(d) == up;
}

/* A port that stands on an interface of the host has the link that this has: net_tap tells of it by
 * itself, net_af_packet does not. */
static void test_M6_link_of_the_host(void)
{
	static const struct {
		const char *make, *device, *down, *up;
	} cases[] = {
		{"ip link add lk-a type veth peer name lk-b; ip link set lk-a up; ip link set lk-b "
		 "up",
		 "net_af_packet8,iface=lk-a", "ip link set lk-b down", "ip link set lk-b up"},
		{"true", "net_af_packet9,iface=lk-a", "ip link set lk-a down",
		 "ip link set lk-a up"},
		{"true", "net_af_packet10,iface=lk-a",
		 "ip link set lk-a down; ip link set lk-a name lk-c; ip link set lk-c up;"
		 "ip link set lk-b down",
		 "ip link set lk-b up"},
		{"true", "net_tap8,iface=lk-tap", "ip link set lk-tap down",
		 "ip link set lk-tap up"},
	};
	struct driver *d;

	started();
	if (!netns_enter())
		return;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		netns_sh("%s", cases[i].make);
		d = opened(cases[i].device);
		CU_ASSERT_TRUE(links_agree(d, true));
		netns_sh("%s", cases[i].down);
		CU_ASSERT_TRUE(links_agree(d, false));
		netns_sh("%s", cases[i].up);
		CU_ASSERT_TRUE(links_agree(d, true));
		close_driver(d);
	}
	d = opened("net_af_packet11,iface=lk-c");
	netns_sh("ip link delete lk-c");
	CU_ASSERT_TRUE(links_agree(d, false));
	close_driver(d);
}

/* leave_free - of descriptors so many can be opened, and no more. */
static void leave_free(rlim_t num)
{
	const int fd = dup(0);
	struct rlimit limit;

	CU_ASSERT_FATAL(fd >= 0 && !getrlimit(RLIMIT_NOFILE, &limit));
	close(fd);
	limit.rlim_cur = (rlim_t)fd + num;
	CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* That descriptors run out says nothing of a link. */
static void test_M6_link_not_known(void)
{
	struct rlimit limit;
	struct driver *d;

	started();
	if (!netns_enter())
		return;
	CU_ASSERT_EQUAL(getrlimit(RLIMIT_NOFILE, &limit), 0);
	netns_sh("ip link add lk-d type veth peer name lk-e; ip link set lk-d up; ip link set lk-e "
		 "up");
	d = opened("net_af_packet12,iface=lk-d");
	CU_ASSERT_TRUE(links_agree(d, true));
	for (rlim_t num = 0; num < 3; num++) {
		leave_free(num);
		CU_ASSERT_TRUE(started()->is_up(d));
		CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &limit), 0);
	}
	close_driver(d);
}

/* struct work - one thread with a queue of its own. */
struct work {
	struct driver *queue;
	pthread_t thread;
	uint32_t num;
};

static void *work(void *arg)
{
	struct work *w = arg;
	struct pktvec v = {0};

	for (int i = 0; i < 2000; i++) {
		w->num += w->queue->ops->rx(w->queue, NULL, &v);
		w->queue->ops->tx(w->queue, &v);
	}
	return NULL;
}

/* A queue for each of several threads: none has to do with another, and the port is closed with the
 * last of them. What the device does not steer is told. */
static void test_several_queues(void)
{
	const struct dpdk_steering steering = {
		.spi_mask = 3u << 22, .spi_shift = 22, .num_workers = 4, .port_nat_t = 4500};
	struct driver *queues[4];
	struct work works[4] = {0};
	struct dpdk_port_info info;
	uint32_t num = 0;

	CU_ASSERT_EQUAL(started()->queues(&num, "net_ring5", text), ERR_OK);
	CU_ASSERT(num >= 1 && num < DPDK_QUEUES_MAX);
	CU_ASSERT_EQUAL(started()->queues(&num, "net_null4", text), ERR_OK);
	CU_ASSERT_EQUAL(num, DPDK_QUEUES_MAX);
	CU_ASSERT_NOT_EQUAL(started()->queues(&num, "net_nosuch1", text), ERR_OK);
	CU_ASSERT_PTR_EQUAL(strstr(text, "net_nosuch1: "), text);
	CU_ASSERT_EQUAL_FATAL(started()->open(queues, "net_null4", 4, 0, 0, text), ERR_OK);
	CU_ASSERT_EQUAL(started()->steer(queues[0], &steering, text), ERR_UNSUPPORTED);
	tap_diag("%s", text);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "does not steer ESP by its SPI (esp4 esp6 udp4 udp6"));
	started()->info(queues[3], &info);
	CU_ASSERT_EQUAL(info.num_queues, 4);
	CU_ASSERT_STRING_EQUAL(info.spread, "rss");
	CU_ASSERT_STRING_EQUAL(info.steered, "");
	for (int i = 0; i < 4; i++) {
		works[i].queue = queues[i];
		CU_ASSERT_EQUAL_FATAL(pthread_create(&works[i].thread, NULL, work, &works[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(works[i].thread, NULL);
		CU_ASSERT(works[i].num > 0);
		CU_ASSERT_EQUAL(queues[i]->stats.rx_packets, works[i].num);
		CU_ASSERT_EQUAL(queues[i]->stats.tx_packets, works[i].num);
	}
	for (int i = 0; i < 4; i++)
		close_driver(queues[i]);
	queues[0] = opened("net_null5");
	started()->info(queues[0], &info);
	CU_ASSERT_EQUAL(info.num_queues, 1);
	CU_ASSERT_STRING_EQUAL(info.spread, "none");
	close_driver(queues[0]);
}

/* The last one: DPDK does not come again in a process. */
static void test_end(void)
{
	const struct dpdk_params params = {.memory_mb = 64, .num_packets = 63, .packet_room = 256};
	const struct dpdk_module *m = started();

	m->stop();
	CU_ASSERT_EQUAL(m->start(&params, text), ERR_SYS);
	CU_ASSERT_STRING_EQUAL(text, "DPDK can be started once in a process");
	dpdk_unload(dpdk);
	dpdk = NULL;
}

static const struct tap_test tests[] = {
	TAP_TEST(test_pci_addresses),
	TAP_TEST(test_module_that_is_not_there),
	TAP_TEST(test_module_refuses_another_host),
	TAP_TEST(test_second_start),
	TAP_TEST(test_device_that_does_not_start),
	TAP_TEST(test_frames_by_a_ring),
	TAP_TEST(test_frame_that_is_too_long),
	TAP_TEST(test_packets_go_home_from_any_thread),
	TAP_TEST(test_no_buffers),
	TAP_TEST(test_frames_by_captures),
	TAP_TEST(test_what_is_known_of_a_port),
	TAP_TEST(test_M6_link_of_the_host),
	TAP_TEST(test_M6_link_not_known),
	TAP_TEST(test_several_queues),
	TAP_TEST(test_end),
};
TAP_MAIN("drivers/dpdk", tests)
