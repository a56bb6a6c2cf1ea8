/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual interfaces of single connections: the same inner addresses behind two of them, each with
 * policies and pairs of its own, while ports come and go under traffic. */
#include "tests/dataplane/testbed.h"

#include "tests/tap/tap.h"

/* struct vif - one on either side, with the group and policy of its traffic. */
struct vif {
	struct memory_port *far;
	uint32_t scope, group, policy;
	uint16_t port;
};

static struct vif vifs[2][2]; /* number, side */
static unsigned chosen;       /* whose pair is made by bed_pair() */

static void vif_open(struct side *s, struct vif *v)
{
	const struct memory_params params = {.role = PORT_INNER, .frame_len = BED_MAX_PACKET};
	struct policy_params p = {
		.layer = POLICY_CONFIG,
		.action = POLICY_PROTECT,
		.owner = 78,
		.local = &s->local4,
		.remote = &s->remote4,
		.num_local = 1,
		.num_remote = 1,
	};
	struct driver *d;

	CU_ASSERT_FATAL(memory_open(&d, &v->far, &params) == ERR_OK);
	CU_ASSERT_FATAL(dataplane_vif_add(s->dp, &v->scope, &v->port, d) == ERR_OK);
	CU_ASSERT_FATAL(dataplane_group_add(s->dp, &v->group) == ERR_OK);
	p.group = v->group;
	p.scope = v->scope;
	CU_ASSERT_FATAL(dataplane_policy_add(s->dp, &v->policy, &p) == ERR_OK);
}

static void into_vif(struct child_params *p, bool is_a)
{
	const struct vif *v = &vifs[chosen][!is_a];

	p->group = v->group;
	p->scope = v->scope;
}

static void make_pair(struct bed *bed, unsigned number)
{
	chosen = number;
	vif_open(&bed->a, &vifs[number][0]);
	vif_open(&bed->b, &vifs[number][1]);
	bed_pair(bed, 10 + number, into_vif);
}

static void open_two(struct bed *bed, const struct bed_options *options)
{
	bed_init(bed, options);
	bed_pair(bed, 1, NULL); /* that of the shared ports */
	make_pair(bed, 0);
	make_pair(bed, 1);
}

static void close_two(struct bed *bed)
{
	for (unsigned n = 0; n < 2; n++)
		for (unsigned s = 0; s < 2; s++)
			memory_close_far(vifs[n][s].far);
	bed_fini(bed);
}

static void give(struct memory_port *far, uint32_t tag)
{
	uint8_t buf[BED_MAX_PACKET];
	size_t len = bed_udp4(buf, true, 5, 6, tag, 100);

	CU_ASSERT(memory_inject(far, buf, len, NULL) == ERR_OK);
}

/* got - the tag of what came out there; 0 if nothing did. */
static uint32_t got(struct memory_port *far)
{
	uint8_t buf[BED_MAX_PACKET];
	size_t len;

	return memory_take(far, buf, sizeof(buf), &len, NULL) ? load_be32(buf + 28) : 0;
}

static void test_the_same_addresses_stay_apart(void)
{
	struct bed bed;

	open_two(&bed, NULL);
	for (int i = 0; i < 3; i++) { /* from the tables, then from the flow cache */
		give(vifs[0][0].far, 100);
		give(vifs[1][0].far, 200);
		give(bed.a.host, 300);
		bed_turn(&bed);
		CU_ASSERT(got(vifs[0][1].far) == 100);
		CU_ASSERT(got(vifs[1][1].far) == 200);
		CU_ASSERT(got(bed.b.host) == 300);
		CU_ASSERT(!got(vifs[0][1].far) && !got(vifs[1][1].far) && !got(bed.b.host));
	}
	CU_ASSERT(bed_drops(&bed.a) == 0 && bed_drops(&bed.b) == 0);
	close_two(&bed);
}

/* D4: an interface that tells whose a packet is tells it of all that come out there. */
static void test_D4_of_one_class_alone(void)
{
	struct bed bed;
	uint32_t token, other;

	open_two(&bed, NULL);
	token = dataplane_group_token(bed.b.dp, vifs[0][1].group);
	other = token + 1;
	CU_ASSERT_FATAL(token != 0);
	CU_ASSERT(dataplane_vif_only(bed.b.dp, 0, token) == ERR_NOT_FOUND);
	CU_ASSERT(dataplane_vif_only(bed.b.dp, 65, token) == ERR_NOT_FOUND);
	CU_ASSERT(dataplane_vif_only(bed.b.dp, vifs[0][1].scope, token) == ERR_OK);
	for (int i = 0; i < 2; i++) {
		give(vifs[0][0].far, 100);
		give(vifs[1][0].far, 200);
		bed_turn(&bed);
		CU_ASSERT(got(vifs[0][1].far) == 100);
		CU_ASSERT(got(vifs[1][1].far) == 200);
	}
	/* Also what the flow cache knows already; the others' is another affair. */
	CU_ASSERT(dataplane_vif_only(bed.b.dp, vifs[0][1].scope, other) == ERR_OK);
	for (uint32_t i = 0; i < 2; i++) {
		give(vifs[0][0].far, 100);
		give(vifs[1][0].far, 200);
		give(bed.a.host, 300);
		bed_turn(&bed);
		CU_ASSERT(!got(vifs[0][1].far));
		CU_ASSERT(got(vifs[1][1].far) == 200);
		CU_ASSERT(got(bed.b.host) == 300);
		CU_ASSERT(bed_dropped(&bed.b, DROP_CLASS) == i + 1);
	}
	CU_ASSERT(dataplane_vif_only(bed.b.dp, vifs[0][1].scope, 0) == ERR_OK);
	give(vifs[0][0].far, 100);
	bed_turn(&bed);
	CU_ASSERT(got(vifs[0][1].far) == 100);
	close_two(&bed);
}

/* What another interface's policy protects is nothing to this one, and never goes in the clear. */
static void test_S56_a_policy_is_its_interfaces(void)
{
	struct bed bed;

	open_two(&bed, NULL);
	give(vifs[0][0].far, 1);
	bed_turn(&bed);
	CU_ASSERT(got(vifs[0][1].far) == 1);
	dataplane_policy_remove(bed.a.dp, vifs[0][0].policy);
	give(vifs[0][0].far, 100);
	bed_turn(&bed);
	CU_ASSERT(bed_dropped(&bed.a, DROP_NO_POLICY) == 1);
	CU_ASSERT(!got(vifs[0][1].far) && !got(vifs[1][1].far) && !got(bed.b.host));
	dataplane_policy_remove(bed.a.dp, bed.a.policy);
	give(bed.a.host, 200); /* those of the interfaces do not help the shared one either */
	bed_turn(&bed);
	CU_ASSERT(bed_dropped(&bed.a, DROP_NO_POLICY) == 2);
	close_two(&bed);
}

static struct ts narrow;

static void into_vif_narrow(struct child_params *p, bool is_a)
{
	into_vif(p, is_a);
	if (!is_a) { /* B lets in less than A sends */
		p->remote = &narrow;
		p->num_remote = 1;
	}
}

/* What comes by an interface's SA has to lie in that SA's selectors, whatever is routed there. */
static void test_S56_selectors_hold_in_an_interface(void)
{
	struct bed bed;

	bed_init(&bed, NULL);
	CU_ASSERT(ts_parse(&narrow, "10.1.9.0/24") == ERR_OK);
	chosen = 0;
	vif_open(&bed.a, &vifs[0][0]);
	vif_open(&bed.b, &vifs[0][1]);
	bed_pair(&bed, 10, into_vif_narrow);
	give(vifs[0][0].far, 100);
	bed_turn(&bed);
	CU_ASSERT(bed_dropped(&bed.b, DROP_SA_SELECTOR_IN) == 1);
	CU_ASSERT(!got(vifs[0][1].far) && !got(bed.b.host));
	memory_close_far(vifs[0][0].far);
	memory_close_far(vifs[0][1].far);
	bed_fini(&bed);
}

/* want_whole - fragments are put together before they are looked up, in every scope. */
static void want_whole(struct side *s)
{
	struct ts ports = {0};
	struct policy_params p = {
		.layer = POLICY_CONFIG,
		.action = POLICY_DISCARD,
		.priority = 9,
		.local = &ports,
		.remote = &ports,
		.num_local = 1,
		.num_remote = 1,
	};
	uint32_t id;

	CU_ASSERT(ts_parse(&ports, "10.200.0.0/16[udp/53]") == ERR_OK);
	CU_ASSERT_FATAL(dataplane_policy_add(s->dp, &id, &p) == ERR_OK);
}

/* struct halves - both fragments of one packet. */
struct halves {
	uint8_t part[2][600];
};

static void make_halves(struct halves *h)
{
	uint8_t whole[BED_MAX_PACKET];

	bed_udp4(whole, true, 5, 6, 7, 992);
	for (int i = 0; i < 2; i++) {
		memcpy(h->part[i], whole, 20);
		memcpy(h->part[i] + 20, whole + 20 + 500 / 8 * 8 * i, 504);
		store_be16(h->part[i] + 2, (uint16_t)(i ? 20 + 1000 - 496 : 20 + 496));
		store_be16(h->part[i] + 4, 77);
		store_be16(h->part[i] + 6, i ? 496 / 8 : 0x2000);
	}
}

static void give_half(struct memory_port *far, const struct halves *h, int i)
{
	CU_ASSERT(memory_inject(far, h->part[i], i ? 20 + 504 : 20 + 496, NULL) == ERR_OK);
}

/* Fragments with the same identification from two interfaces are of two packets. */
static void test_fragments_stay_apart(void)
{
	struct halves h;
	struct bed bed;

	open_two(&bed, NULL);
	want_whole(&bed.a);
	make_halves(&h);
	give_half(vifs[0][0].far, &h, 0);
	give_half(vifs[1][0].far, &h, 1);
	bed_turn(&bed);
	CU_ASSERT(!got(vifs[0][1].far) && !got(vifs[1][1].far));
	give_half(vifs[0][0].far, &h, 1);
	bed_turn(&bed);
	CU_ASSERT(got(vifs[0][1].far) == 7 && !got(vifs[1][1].far));
	close_two(&bed);
}

static void take_away(struct side *s, struct vif *v, uint64_t pair)
{
	dataplane_child_remove(s->dp, pair, CHILD_BOTH);
	dataplane_policy_remove(s->dp, v->policy);
	dataplane_group_remove(s->dp, v->group);
	CU_ASSERT(dataplane_vif_remove(s->dp, v->scope) == ERR_OK);
	CU_ASSERT(dataplane_vif_remove(s->dp, v->scope) == ERR_NOT_FOUND);
}

/* Nor are one of an interface that went and one of that which has its number now. */
static void test_fragments_go_with_their_interface(void)
{
	struct halves h;
	struct bed bed;
	uint32_t scope;

	open_two(&bed, NULL);
	want_whole(&bed.a);
	make_halves(&h);
	give_half(vifs[0][0].far, &h, 0);
	bed_turn(&bed);
	scope = vifs[0][0].scope;
	take_away(&bed.a, &vifs[0][0], 10);
	take_away(&bed.b, &vifs[0][1], 10);
	memory_close_far(vifs[0][0].far);
	memory_close_far(vifs[0][1].far);
	make_pair(&bed, 0);
	CU_ASSERT(vifs[0][0].scope == scope);
	give_half(vifs[0][0].far, &h, 1);
	bed_turn(&bed);
	CU_ASSERT(!got(vifs[0][1].far));
	CU_ASSERT(bed_dropped(&bed.a, DROP_FRAGMENT_EXPIRED) == 1);
	close_two(&bed);
}

static void test_they_come_and_go(void)
{
	uint16_t first;
	struct bed bed;

	open_two(&bed, NULL);
	first = vifs[0][0].port;
	for (int i = 0; i < 100; i++) { /* far more than there are ports */
		take_away(&bed.a, &vifs[0][0], 10);
		take_away(&bed.b, &vifs[0][1], 10);
		memory_close_far(vifs[0][0].far);
		memory_close_far(vifs[0][1].far);
		give(vifs[1][0].far, 200);
		bed_turn(&bed);
		CU_ASSERT(got(vifs[1][1].far) == 200);
		make_pair(&bed, 0);
		give(vifs[0][0].far, 100);
		bed_turn(&bed);
		CU_ASSERT(got(vifs[0][1].far) == 100 && !got(vifs[1][1].far));
		CU_ASSERT(vifs[0][0].port == first);
	}
	CU_ASSERT(dataplane_vif_remove(bed.a.dp, 0) == ERR_NOT_FOUND);
	CU_ASSERT(dataplane_vif_remove(bed.a.dp, 65) == ERR_NOT_FOUND);
	close_two(&bed);
}

static void sent(struct memory_port *to, struct memory_port *from, uint32_t tag)
{
	uint64_t until = clock_now_ns() + 20 * NS_PER_S;
	uint32_t seen;

	give(to, tag);
	do
		seen = got(from);
	while (!seen && clock_now_ns() < until);
	CU_ASSERT(seen == tag);
}

/* With workers that run, several of them: the device has a queue of one. */
static void test_they_come_and_go_under_workers(void)
{
	const struct bed_options options = {.num_workers = 3};
	struct bed bed;

	open_two(&bed, &options);
	bed.threaded = true;
	CU_ASSERT_FATAL(dataplane_start(bed.a.dp) == ERR_OK);
	CU_ASSERT_FATAL(dataplane_start(bed.b.dp) == ERR_OK);
	for (int i = 0; i < 10; i++) {
		sent(vifs[1][0].far, vifs[1][1].far, 200);
		sent(vifs[0][0].far, vifs[0][1].far, 100);
		take_away(&bed.a, &vifs[0][0], 10);
		take_away(&bed.b, &vifs[0][1], 10);
		memory_close_far(vifs[0][0].far);
		memory_close_far(vifs[0][1].far);
		sent(vifs[1][0].far, vifs[1][1].far, 200);
		make_pair(&bed, 0);
	}
	dataplane_stop(bed.a.dp);
	dataplane_stop(bed.b.dp);
	close_two(&bed);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_the_same_addresses_stay_apart),
	TAP_TEST(test_D4_of_one_class_alone),
	TAP_TEST(test_S56_a_policy_is_its_interfaces),
	TAP_TEST(test_S56_selectors_hold_in_an_interface),
	TAP_TEST(test_fragments_stay_apart),
	TAP_TEST(test_fragments_go_with_their_interface),
	TAP_TEST(test_they_come_and_go),
	TAP_TEST(test_they_come_and_go_under_workers),
};

TAP_MAIN("vif", tests)
