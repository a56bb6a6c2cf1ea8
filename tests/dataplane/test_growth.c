/* SPDX-License-Identifier: Apache-2.0 */
/* Tunnels come and go by the thousand, each with a policy, a group and a pair of SAs, while packets
 * pass by one of them: none is lost, for tables grow without a stop. GROWTH_TUNNELS sets how many
 * (5,000); tests/long/README.md tells of a million. */
#include <stdlib.h>

#include "tests/dataplane/testbed.h"
#include "tests/tap/tap.h"

#define IN_FLIGHT 32
#define BURST     16 /* tunnels between two looks at the traffic */

/* struct crowd - the tunnels beside the one that is used, at one side. */
struct crowd {
	struct side *side;
	uint32_t *groups, *policies;
};

/* struct lane - one direction of the traffic. */
struct lane {
	struct side *from, *to;
	uint32_t sent, got, wrong;
};

static uint32_t num_tunnels(void)
{
	const char *text = getenv("GROWTH_TUNNELS");
	long n = text ? atol(text) : 5000;

	return n > 0 && n <= 2000000 ? (uint32_t)n : 5000;
}

/* far - tunnel i's network, which is nobody else's. */
static struct ts far(uint32_t i)
{
	const uint8_t b[4] = {(uint8_t)(20 + (i >> 16)), (uint8_t)(i >> 8), (uint8_t)i, 0};
	struct ip_prefix p = {.addr = ip_addr_v4(b), .len = 24};

	return ts_from_prefix(&p);
}

static void must(enum err e)
{
	CU_ASSERT_EQUAL_FATAL(e, ERR_OK);
}

static void add(struct crowd *c, uint32_t i)
{
	struct side *s = c->side;
	struct child_params child = bed_child_params(s, 10 + i);
	struct ts remote = far(i);
	struct policy_params policy = {.layer = POLICY_CONFIG,
				       .action = POLICY_PROTECT,
				       .local = &s->local4,
				       .remote = &remote,
				       .num_local = 1,
				       .num_remote = 1};

	uint8_t key[BED_KEY_MAX];

	bed_key(key, 10 + i, true);
	child.key_in = child.key_out = bytes_of(key, aead_alg_material_len(child.alg));
	must(dataplane_group_add(s->dp, &c->groups[i]));
	policy.group = child.group = c->groups[i];
	must(dataplane_policy_add(s->dp, &c->policies[i], &policy));
	must(dataplane_spi_reserve(s->dp, &child.spi_in));
	child.spi_out = 1000 + i;
	child.local = &s->local4;
	child.remote = &remote;
	child.num_local = child.num_remote = 1;
	child.outbound_active = true;
	must(dataplane_child_add(s->dp, &child));
}

static void take_out(struct crowd *c, uint32_t i)
{
	dataplane_child_remove(c->side->dp, 10 + i, CHILD_BOTH);
	dataplane_policy_remove(c->side->dp, c->policies[i]);
	dataplane_group_remove(c->side->dp, c->groups[i]);
}

static void pump(struct lane *l)
{
	bool a_to_b = l->from->local4.lo.b[1] == 1;
	uint8_t buf[BED_MAX_PACKET];

	while (l->sent - l->got < IN_FLIGHT) {
		size_t n = bed_udp4(buf, a_to_b, (uint16_t)(l->sent % 50), 9, l->sent, 40);

		bed_send(l->from, buf, n);
		l->sent++;
	}
	while (bed_receive(l->to, buf)) {
		l->wrong += load_be32(buf + 28) != l->got;
		l->got++;
	}
}

static void look(struct bed *bed, struct lane *ab, struct lane *ba)
{
	pump(ab);
	pump(ba);
	dataplane_reclaim(bed->a.dp);
	dataplane_reclaim(bed->b.dp);
}

static void drain(struct bed *bed, struct lane *l)
{
	uint64_t end = clock_now_ns() + 60 * NS_PER_S;
	uint8_t buf[BED_MAX_PACKET];

	while (l->got < l->sent && clock_now_ns() < end) {
		while (bed_receive(l->to, buf)) {
			l->wrong += load_be32(buf + 28) != l->got;
			l->got++;
		}
		dataplane_reclaim(bed->a.dp);
	}
	CU_ASSERT_EQUAL(l->got, l->sent);
	CU_ASSERT_EQUAL(l->wrong, 0);
	CU_ASSERT(l->sent > 1000);
}

static void test_no_packet_is_lost(void)
{
	const uint32_t num = num_tunnels();
	struct bed bed;

	bed_init(&bed, &(struct bed_options){.num_packets = 512});
	bed.threaded = true;
	bed_pair(&bed, 1, NULL);
	struct crowd crowd[2] = {{.side = &bed.a}, {.side = &bed.b}};
	struct lane ab = {.from = &bed.a, .to = &bed.b}, ba = {.from = &bed.b, .to = &bed.a};

	for (int s = 0; s < 2; s++) {
		crowd[s].groups = calloc(num, sizeof(uint32_t));
		crowd[s].policies = calloc(num, sizeof(uint32_t));
		CU_ASSERT_FATAL(crowd[s].groups && crowd[s].policies);
	}
	must(dataplane_start(bed.a.dp));
	must(dataplane_start(bed.b.dp));
	for (uint32_t i = 0; i < num; i++) {
		add(&crowd[0], i);
		add(&crowd[1], i);
		if (i % BURST == 0)
			look(&bed, &ab, &ba);
	}
	uint32_t halfway = ab.got;

	for (uint32_t i = 0; i < num; i++) {
		take_out(&crowd[0], i);
		take_out(&crowd[1], num - 1 - i);
		if (i % BURST == 0)
			look(&bed, &ab, &ba);
	}
	tap_diag("%u tunnels came and went under %u packets, %u of them while they came", num,
		 ab.sent + ba.sent, halfway);
	drain(&bed, &ab);
	drain(&bed, &ba);
	dataplane_stop(bed.a.dp);
	dataplane_stop(bed.b.dp);
	CU_ASSERT_EQUAL(bed_drops(&bed.a) + bed_drops(&bed.b), 0);
	for (int s = 0; s < 2; s++) {
		free(crowd[s].groups);
		free(crowd[s].policies);
	}
	bed_fini(&bed);
}

static const struct tap_test tests[] = {TAP_TEST(test_no_packet_is_lost)};

TAP_MAIN("dataplane/growth", tests)
