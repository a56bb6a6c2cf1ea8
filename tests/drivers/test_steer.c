/* SPDX-License-Identifier: Apache-2.0 */
/* The rules that bring ESP to its worker's queue, by a device of the test's that compares packets
 * with them as rte_flow says: whichever SPI the data path gives out, its packets come to the queue
 * of the worker that it names. */
#include "drivers/dpdk/steer.h"

#include <rte_byteorder.h>
#include <rte_flow.h>
#undef NS_PER_S /* both have one */

#include "dataplane/dataplane.h"

#include "tests/tap/tap.h"

#define PORT      3
#define RULES_MAX 512

/* struct rte_flow - a rule as the device keeps it. */
struct rte_flow {
	enum rte_flow_item_type ip;
	bool udp, used;
	uint16_t dst_port, queue;
	uint32_t spi, spi_mask;
};

/* device - refuse: rules with this item, from the so many-th on. */
static struct {
	struct rte_flow rules[RULES_MAX];
	uint32_t num_rules, num_made;
	enum rte_flow_item_type refuse;
	uint32_t from;
} device;

static void keep(struct rte_flow *f, const struct rte_flow_item *item)
{
	const struct rte_flow_item_udp *udp = item->spec, *udp_mask = item->mask;
	const struct rte_flow_item_esp *esp = item->spec, *esp_mask = item->mask;

	if (item->type == RTE_FLOW_ITEM_TYPE_UDP) {
		CU_ASSERT_EQUAL(udp_mask->hdr.dst_port, 0xffff);
		CU_ASSERT_EQUAL(udp_mask->hdr.src_port, 0);
		f->udp = true;
		f->dst_port = rte_be_to_cpu_16(udp->hdr.dst_port);
	} else if (item->type == RTE_FLOW_ITEM_TYPE_ESP) {
		CU_ASSERT_EQUAL(esp_mask->hdr.seq, 0);
		f->spi = rte_be_to_cpu_32(esp->hdr.spi);
		f->spi_mask = rte_be_to_cpu_32(esp_mask->hdr.spi);
		/* Bits that are not compared are zero: some devices insist. */
		CU_ASSERT_EQUAL(f->spi & ~f->spi_mask, 0);
	} else {
		CU_ASSERT_PTR_NULL(item->spec);
		CU_ASSERT_PTR_NULL(item->mask);
	}
}

struct rte_flow *rte_flow_create(uint16_t port, const struct rte_flow_attr *attr,
				 const struct rte_flow_item pattern[],
				 const struct rte_flow_action actions[],
				 struct rte_flow_error *error)
{
	struct rte_flow *f = &device.rules[device.num_made];
	const struct rte_flow_action_queue *queue = actions[0].conf;

	CU_ASSERT_EQUAL(port, PORT);
	CU_ASSERT(attr->ingress && !attr->egress && !attr->transfer && !attr->group);
	CU_ASSERT_EQUAL(pattern[0].type, RTE_FLOW_ITEM_TYPE_ETH);
	CU_ASSERT_EQUAL(actions[0].type, RTE_FLOW_ACTION_TYPE_QUEUE);
	CU_ASSERT_EQUAL(actions[1].type, RTE_FLOW_ACTION_TYPE_END);
	*f = (struct rte_flow){.ip = pattern[1].type, .queue = queue->index, .used = true};
	for (uint32_t i = 0; pattern[i].type != RTE_FLOW_ITEM_TYPE_END; i++) {
		if (pattern[i].type == device.refuse && device.num_made >= device.from) {
			error->message = "no such item";
			f->used = false;
			return NULL;
		}
		keep(f, &pattern[i]);
	}
	CU_ASSERT_FATAL(device.num_made < RULES_MAX);
	device.num_made++;
	device.num_rules++;
	return f;
}

int rte_flow_destroy(uint16_t port, struct rte_flow *flow, struct rte_flow_error *error)
{
	(void)error;
	CU_ASSERT_EQUAL(port, PORT);
	CU_ASSERT(flow->used);
	flow->used = false;
	device.num_rules--;
	return 0;
}

/* queue_of - where the device puts a packet; -1: no rule is about it; two are a mistake. */
static int queue_of(enum rte_flow_item_type ip, bool udp, uint16_t dst_port, uint32_t spi)
{
	int queue = -1;

	for (uint32_t i = 0; i < device.num_made; i++) {
		const struct rte_flow *f = &device.rules[i];

		if (!f->used || f->ip != ip || f->udp != udp || (udp && f->dst_port != dst_port) ||
		    (spi & f->spi_mask) != f->spi)
			continue;
		CU_ASSERT_EQUAL(queue, -1);
		queue = f->queue;
	}
	return queue;
}

static struct dpdk_steering steering(uint32_t num_workers)
{
	return (struct dpdk_steering){.spi_mask = dataplane_spi_mask(num_workers),
				      .spi_shift = DATAPLANE_SPI_SHIFT,
				      .num_workers = num_workers,
				      .port_nat_t = 4500};
}

/* check_spi - one that names this worker comes to its queue, in whatever it comes. */
static void check_spi(uint32_t spi, uint32_t worker, uint32_t num_queues)
{
	for (uint32_t k = 0; k < 4; k++) {
		enum rte_flow_item_type ip =
			k % 2 ? RTE_FLOW_ITEM_TYPE_IPV6 : RTE_FLOW_ITEM_TYPE_IPV4;

		CU_ASSERT_EQUAL(queue_of(ip, k / 2, 4500, spi), (int)(worker % num_queues));
	}
	CU_ASSERT_EQUAL(queue_of(RTE_FLOW_ITEM_TYPE_IPV4, true, 500, spi), -1);
}

/* check_given_out - SPIs of a data path of so many workers. */
static void check_given_out(uint32_t num_workers, uint32_t num_queues)
{
	const struct dataplane_config config = {.num_workers = num_workers, .num_packets = 1};
	struct dataplane *dp;

	CU_ASSERT_EQUAL_FATAL(dataplane_new(&dp, &config), ERR_OK);
	for (uint32_t i = 0; i < 20 * num_workers; i++) {
		uint32_t spi = 0;

		CU_ASSERT_EQUAL_FATAL(dataplane_spi_reserve_at(dp, &spi, i % num_workers + 1),
				      ERR_OK);
		check_spi(spi, i % num_workers, num_queues);
	}
	dataplane_free(dp);
}

static void steer(uint32_t num_workers, uint32_t num_queues, bool given_out)
{
	const struct dpdk_steering how = steering(num_workers);
	char text[DPDK_TEXT_MAX] = "";
	struct steer s = {0};

	memset(&device, 0, sizeof(device));
	CU_ASSERT_EQUAL(steer_add(&s, PORT, num_queues, &how, text), ERR_OK);
	CU_ASSERT_STRING_EQUAL(s.text, "esp4 esp6 udp4 udp6");
	CU_ASSERT_STRING_EQUAL(text, "");
	/* As many as there are workers, not as there are SAs. */
	CU_ASSERT_EQUAL(device.num_rules, 4 * num_workers);
	for (uint32_t w = 0; w < num_workers; w++)
		check_spi(w << DATAPLANE_SPI_SHIFT | ~(UINT32_MAX << DATAPLANE_SPI_SHIFT), w,
			  num_queues);
	if (given_out)
		check_given_out(num_workers, num_queues);
	steer_remove(&s, PORT);
	CU_ASSERT_EQUAL(device.num_rules, 0);
	steer_remove(&s, PORT);
}

static void test_each_spi_to_its_worker(void)
{
	for (uint32_t num = 2; num <= DPDK_QUEUES_MAX; num++)
		steer(num, num, num <= 5);
	/* A worker without a queue has its packets from one that has. */
	steer(5, 3, true);
	steer(DPDK_QUEUES_MAX, 2, false);
}

/* struct refused - what a device does not take, and what is left. */
static const struct refused {
	enum rte_flow_item_type item;
	uint32_t from;
	const char *left, *refused;
	uint32_t num_rules;
} refused[] = {
	{RTE_FLOW_ITEM_TYPE_ESP, 0, "", "(esp4 esp6 udp4 udp6: no such item)", 0},
	{RTE_FLOW_ITEM_TYPE_UDP, 0, "esp4 esp6", "(udp4 udp6: no such item)", 6},
	{RTE_FLOW_ITEM_TYPE_IPV6, 0, "esp4 udp4", "(esp6 udp6: no such item)", 6},
	/* The table is full: no kind is steered by half. */
	{RTE_FLOW_ITEM_TYPE_ETH, 5, "esp4", "(esp6 udp4 udp6: no such item)", 3},
};

static void test_what_a_device_refuses(void)
{
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		const struct dpdk_steering how = steering(3);
		char text[DPDK_TEXT_MAX] = "";
		struct steer s = {0};

		memset(&device, 0, sizeof(device));
		device.refuse = refused[i].item;
		device.from = refused[i].from;
		CU_ASSERT_EQUAL(steer_add(&s, PORT, 3, &how, text), ERR_UNSUPPORTED);
		CU_ASSERT_STRING_EQUAL(s.text, refused[i].left);
		CU_ASSERT_PTR_NOT_NULL(strstr(text, refused[i].refused));
		CU_ASSERT_EQUAL(device.num_rules, refused[i].num_rules);
		steer_remove(&s, PORT);
		CU_ASSERT_EQUAL(device.num_rules, 0);
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_each_spi_to_its_worker),
	TAP_TEST(test_what_a_device_refuses),
};

TAP_MAIN("drivers/steer", tests)
