/* SPDX-License-Identifier: Apache-2.0 */
/* Every reason to drop a packet is reached, counted under its name, and leaves the books balanced.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dataplane/passes.h"
#include "tests/dataplane/fake_device.h"
#include "tests/dataplane/testbed.h"
#include "tests/tap/tap.h"

static const struct bed_options open_wire = {.open_wire = true};

/* reached - how often each reason was seen in this program. */
static uint64_t reached[DROP_NUM];

/* finish - remember what both sides dropped, and end. */
static void finish(struct bed *bed)
{
	for (int i = 0; i < DROP_NUM; i++) {
		reached[i] += bed_dropped(&bed->a, (enum drop_reason)i);
		reached[i] += bed_dropped(&bed->b, (enum drop_reason)i);
	}
	bed_fini(bed);
}

static void send_clear(struct bed *bed)
{
	uint8_t buf[BED_MAX_PACKET];

	bed_send(&bed->a, buf, bed_udp4(buf, true, 1, 2, 3, 40));
	bed_turn_one(bed, &bed->a);
}

/* clear_flow - that of send_clear(). */
static const struct flow clear_flow = {
	.local = {.b = {10, 1, 0, 1}, .family = IP_V4},
	.remote = {.b = {10, 2, 0, 1}, .family = IP_V4},
	.local_port = 1,
	.remote_port = 2,
	.proto = 17,
};

/* sealed - B receives an inner packet with this trailer. */
static void sealed(struct bed *bed, struct bed_esp e, const uint8_t *inner, size_t n)
{
	uint8_t esp[BED_MAX_PACKET];

	e.pair = 1;
	if (!e.wrong_padding)
		e.pad_len = bed_pad(n);
	bed_deliver(&bed->b, esp, bed_seal(bed, esp, &e, inner, n));
	bed_turn_one(bed, &bed->b);
}

static struct sa_group *group_of(struct side *s)
{
	return slots_get(s->dp->groups, s->group);
}

static void one_packet(struct child_params *p, bool is_a)
{
	(void)is_a;
	p->lifetime.hard_packets = 1;
}

static void test_outbound(void)
{
	uint8_t junk[20] = {0x45};
	struct bed bed;

	bed_init(&bed,
		 &(struct bed_options){.open_wire = true, .hold_packets = 1, .hold_ns = NS_PER_S});
	bed_send(&bed.a, junk, sizeof(junk));
	send_clear(&bed);
	send_clear(&bed);
	bed.now += 2 * NS_PER_S;
	bed_turn_one(&bed, &bed.a);
	bed_pair(&bed, 1, one_packet);
	send_clear(&bed);
	send_clear(&bed);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_MALFORMED_INNER), 1);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_HOLD_FULL), 1);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_HOLD_EXPIRED), 1);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_LIFETIME), 1);
	group_of(&bed.a)->newest->seq = UINT32_MAX;
	send_clear(&bed);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_SEQ_EXHAUSTED), 1);
	finish(&bed);
}

static void test_policies(void)
{
	struct bed bed;
	struct policy_params p = {.layer = POLICY_LATCH, .action = POLICY_DISCARD};
	uint32_t id;

	bed_init(&bed, &open_wire);
	bed_pair(&bed, 1, NULL);
	p.local = &bed.a.local4;
	p.remote = &bed.a.remote4;
	p.num_local = p.num_remote = 1;
	p.group = bed.a.group;
	for (int i = POLICY_DISCARD; i <= POLICY_PROTECT; i++) {
		p.action = (enum policy_action)i;
		p.class_demanded = 12345;
		CU_ASSERT_EQUAL(dataplane_policy_add(bed.a.dp, &id, &p), ERR_OK);
		send_clear(&bed);
		dataplane_policy_remove(bed.a.dp, id);
	}
	dataplane_policy_remove(bed.a.dp, bed.a.policy);
	send_clear(&bed);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_POLICY_DISCARD), 1);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_POLICY_BYPASS), 1);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_CLASS), 1);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_NO_POLICY), 1);
	CU_ASSERT_EQUAL(dataplane_latch_set(bed.a.dp, &clear_flow, 0, 0, true), ERR_OK);
	send_clear(&bed);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_LATCH), 1);
	finish(&bed);
}

static void elsewhere(struct child_params *p, bool is_a)
{
	static struct ts ts;

	(void)is_a;
	CU_ASSERT_EQUAL(ts_parse(&ts, "192.168.0.0/16"), ERR_OK);
	p->local = p->remote = &ts;
	p->num_local = p->num_remote = 1;
}

static void test_selectors(void)
{
	uint8_t inner[BED_MAX_PACKET];
	struct bed bed;

	bed_init(&bed, &open_wire);
	bed_pair(&bed, 1, elsewhere);
	send_clear(&bed);
	sealed(&bed, (struct bed_esp){.seq = 1, .next_header = 4}, inner,
	       bed_udp4(inner, true, 1, 2, 3, 4));
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_SA_SELECTOR_OUT), 1);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_SA_SELECTOR_IN), 1);
	finish(&bed);
}

static void test_inbound(void)
{
	uint8_t inner[BED_MAX_PACKET], esp[BED_MAX_PACKET] = {0xff};
	struct bed_esp e = {.pair = 1, .seq = 9, .next_header = 4};
	struct bed bed;
	size_t n = bed_udp4(inner, true, 1, 2, 3, 4);

	bed_init(&bed, &open_wire);
	bed_pair(&bed, 1, NULL);
	bed_deliver(&bed.b, esp, 1);  /* keepalive */
	bed_deliver(&bed.b, esp, 7);  /* too short */
	bed_deliver(&bed.b, esp, 64); /* unknown SPI */
	sealed(&bed, e, inner, n);
	sealed(&bed, e, inner, n);
	e.seq++;
	e.next_header = 59;
	sealed(&bed, e, inner, n);
	e.seq++;
	e.next_header = 6;
	sealed(&bed, e, inner, n);
	e.seq++;
	e.wrong_padding = true;
	e.pad_len = 6;
	sealed(&bed, e, inner, n);
	size_t len = bed_seal(&bed, esp, &e, inner, n);

	store_be32(esp + 4, 20);
	bed_deliver(&bed.b, esp, len); /* another sequence number: not authentic */
	bed_turn_one(&bed, &bed.b);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_KEEPALIVE), 1);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_MALFORMED_ESP), 1);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_NO_SA), 1);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_REPLAY), 1);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_DUMMY), 1);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_NEXT_HEADER), 1);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_PADDING), 1);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_AUTH), 1);
	finish(&bed);
}

static void test_paths_and_ports(void)
{
	struct bed bed;

	bed_init(&bed, &open_wire);
	bed_pair(&bed, 1, NULL);
	CU_ASSERT_EQUAL(dataplane_pathset_move(bed.a.dp, bed.a.pathset, 7, &bed.a.path), ERR_OK);
	send_clear(&bed);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_NO_PORT), 1);
	CU_ASSERT_EQUAL(
		dataplane_path_put(
			bed.a.dp, bed.a.pathset,
			&(struct path_params){.id = 1, .port = 7, .weight = 1, .addr = bed.a.path}),
		ERR_OK);
	send_clear(&bed);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_NO_PATH), 1);
	CU_ASSERT_EQUAL(
		dataplane_path_put(
			bed.a.dp, bed.a.pathset,
			&(struct path_params){.id = 2, .weight = 1, .addr = bed.a.path, .came = 1}),
		ERR_OK);
	send_clear(&bed);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_UNPROVEN), 1);
	finish(&bed);
}

static void test_devices(void)
{
	uint8_t ike[100] = {[4 + 8] = 1}, buf[BED_MAX_PACKET];
	struct bed bed;

	bed_init(&bed, &(struct bed_options){.open_wire = true, .num_frames = 4, .frame_len = 200});
	bed_pair(&bed, 1, NULL);
	for (int i = 0; i < 5; i++)
		send_clear(&bed);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_TX_FULL), 1);
	bed_send(&bed.a, buf, bed_udp4(buf, true, 1, 2, 3, 160)); /* too long as ESP */
	bed_turn_one(&bed, &bed.a);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_TX_ERROR), 1);
	for (int i = 0; i < 80; i++) {
		bed_deliver(&bed.b, ike, sizeof(ike));
		bed_turn_one(&bed, &bed.b);
	}
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_PUNT_FULL), 16);
	bed_deliver(&bed.b, ike, 4 + 27);
	bed_turn_one(&bed, &bed.b);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_MALFORMED_IKE), 1);
	finish(&bed);
}

static void test_too_big(void)
{
	static uint8_t buf[65535];
	struct bed bed;

	bed_init(&bed, &(struct bed_options){.open_wire = true,
					     .packet_room = 66000,
					     .frame_len = 66000,
					     .num_frames = 8});
	bed_pair(&bed, 1, NULL);
	for (size_t len = 65407; len <= 65408; len++) {
		bed_udp4(buf, true, 1, 2, 3, len - 28);
		bed_send(&bed.a, buf, len);
		bed_turn_one(&bed, &bed.a);
	}
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_TOO_BIG), 1);
	finish(&bed);
}

static void fail_all(struct aead_work *work, struct aead_op *ops, uint32_t n)
{
	(void)work;
	for (uint32_t i = 0; i < n; i++)
		ops[i].ok = i % 2;
}

static void test_cipher_fails(void)
{
	static struct aead_backend broken;
	uint8_t buf[BED_MAX_PACKET];
	struct bed bed;

	bed_init(&bed, &open_wire);
	bed_pair(&bed, 1, NULL);
	broken = *group_of(&bed.a)->newest->aead;
	broken.encrypt = fail_all;
	group_of(&bed.a)->newest->aead = &broken;
	for (int i = 0; i < 6; i++)
		bed_send(&bed.a, buf, bed_udp4(buf, true, 1, 2, 3, 40));
	bed_turn_one(&bed, &bed.a);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_CRYPTO), 3);
	CU_ASSERT_NOT_EQUAL(bed_capture(&bed.a, buf), 0);
	finish(&bed);
}

static void test_lookaside_device_is_lost(void)
{
	struct fake_device *fake = fake_device_new();
	uint32_t algs, failed;
	struct bed bed;

	bed_init(&bed, &open_wire);
	CU_ASSERT_EQUAL(dataplane_use_device(bed.a.dp, &algs, &failed, &fake->device), ERR_OK);
	bed_pair(&bed, 1, NULL);
	fake->shut = true;
	send_clear(&bed);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_DEVICE), 1);
	finish(&bed);
	fake_device_free(fake);
}

static void of_worker_0(struct child_params *p, bool is_a)
{
	(void)is_a;
	p->worker = 1;
}

/* Of 128 packets that worker 1 receives in two turns its neighbour's ring takes two. */
static void test_worker_is_behind(void)
{
	uint8_t buf[BED_MAX_PACKET];
	struct bed bed;

	bed_init(&bed,
		 &(struct bed_options){.open_wire = true, .num_workers = 2, .handoff_packets = 2});
	bed_pair(&bed, 1, of_worker_0);
	for (int i = 0; i < 128; i++)
		bed_send_to(&bed.a, 1, buf, bed_udp4(buf, true, 1, 2, 3, 40));
	for (int i = 0; i < 3; i++)
		bed_turn_one(&bed, &bed.a);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_HANDOFF_FULL), 124);
	for (int i = 0; i < 4; i++)
		CU_ASSERT_NOT_EQUAL(bed_capture(&bed.a, buf), 0);
	CU_ASSERT_EQUAL(bed_capture(&bed.a, buf), 0);
	finish(&bed);
}

/* S53: a child process has no keys; it sends nothing and accepts nothing, and says why. */
static void test_S53_forked(void)
{
	const struct bed_esp e = {.pair = 1, .seq = 1, .next_header = 4};
	uint8_t inner[BED_MAX_PACKET], esp[BED_MAX_PACKET], out[BED_MAX_PACKET];
	size_t n = bed_udp4(inner, true, 1, 2, 3, 2); /* needs no padding */
	struct bed bed;
	int status = 0;
	pid_t pid;

	bed_init(&bed, &open_wire);
	bed_pair(&bed, 1, NULL);
	n = bed_seal(&bed, esp, &e, inner, n);
	bed_deliver(&bed.b, esp, n);
	pid = fork();
	CU_ASSERT_FATAL(pid >= 0);
	if (pid == 0) {
		send_clear(&bed);
		bed_turn_one(&bed, &bed.b);
		_exit(bed_dropped(&bed.a, DROP_FORKED) == 1 && bed_capture(&bed.a, out) == 0 &&
				      bed_dropped(&bed.b, DROP_FORKED) == 1 &&
				      bed_receive(&bed.b, out) == 0
			      ? 42
			      : 1);
	}
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	reached[DROP_FORKED] += WIFEXITED(status) && WEXITSTATUS(status) == 42;
	bed_turn_one(&bed, &bed.b); /* the parent is not disturbed */
	CU_ASSERT_EQUAL(bed_receive(&bed.b, out), 30);
	send_clear(&bed);
	CU_ASSERT_NOT_EQUAL(bed_capture(&bed.a, out), 0);
	finish(&bed);
}

/* RFC 6040 4.2: a mark of congestion that the inner header cannot carry on. */
static void test_congestion(void)
{
	uint8_t inner[BED_MAX_PACKET], esp[BED_MAX_PACKET];
	struct bed_esp e = {.pair = 1, .seq = 1, .next_header = 4};
	size_t n = bed_udp4(inner, true, 1, 2, 3, 2); /* needs no padding */
	struct pktvec v = {.num = 0}, out;
	struct worker *w;
	struct packet *p;
	struct bed bed;

	bed_init(&bed, &open_wire);
	bed_pair(&bed, 1, NULL);
	w = bed.b.dp->workers[0];
	p = packet_get(w->pool);
	CU_ASSERT_FATAL(p != NULL);
	p->len = (uint32_t)bed_seal(&bed, esp, &e, inner, n);
	memcpy(p->data, esp, p->len);
	p->port = bed.b.outer;
	p->from = bed.b.path;
	p->dscp_ecn = 3;
	pktvec_push(&v, p);
	counter_add(&w->count.rx, 1);
	in_demux(w, &v, &out);
	in_lookup(w, &out, &v);
	in_decrypt(w, &v, &out);
	in_commit(w, &out, &v);
	in_finish(w, &v, &out);
	CU_ASSERT_EQUAL(out.num, 0);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_ECN), 1);
	finish(&bed);
}

static void transport(struct child_params *p, bool is_a)
{
	bed_mode(p, is_a, SA_TRANSPORT);
}

static void transport6(struct child_params *p, bool is_a)
{
	static struct ts a, b;

	CU_ASSERT_EQUAL(ts_parse(&a, "fd01::1"), ERR_OK);
	CU_ASSERT_EQUAL(ts_parse(&b, "fd02::1"), ERR_OK);
	p->mode = SA_TRANSPORT;
	p->local = is_a ? &a : &b;
	p->remote = is_a ? &b : &a;
	p->num_local = p->num_remote = 1;
}

/* What transport mode does not carry: IPv4 options, and a packet that says it is a fragment though
 * it is all of it (others are put together). */
static void test_transport(void)
{
	uint8_t packet[BED_MAX_PACKET];
	struct bed bed;
	size_t n = bed_udp4(packet, true, 1, 2, 3, 60);

	bed_init(&bed, &open_wire);
	bed_pair(&bed, 1, transport);
	packet[0] = 0x46; /* options */
	bed_send(&bed.a, packet, n);
	bed_turn_one(&bed, &bed.a);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_TRANSPORT_HEADER), 1);
	bed_pair(&bed, 2, transport6);
	n = bed_udp6(packet, true, 1, 2, 3, 60);
	memmove(packet + 48, packet + 40, n - 40);
	memset(packet + 40, 0, 8);
	packet[40] = 17;
	packet[6] = 44;
	store_be16(packet + 4, (uint16_t)(n + 8 - 40));
	bed_send(&bed.a, packet, n + 8);
	bed_turn_one(&bed, &bed.a);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_TRANSPORT_FRAGMENT), 1);
	finish(&bed);
}

/* fragment - B receives eight bytes of a packet, at this offset and with this content. */
static void fragment(struct bed *bed, uint64_t seq, uint16_t id, uint16_t field, uint8_t byte)
{
	uint8_t inner[BED_MAX_PACKET];
	struct bed_esp e = {.seq = seq, .next_header = 4};

	bed_udp4(inner, true, 1, 2, 3, 0);
	store_be16(inner + 4, id);
	store_be16(inner + 6, field);
	inner[27] = byte;
	sealed(bed, e, inner, 28);
}

static void test_fragments(void)
{
	struct bed bed;

	bed_init(&bed, &open_wire);
	bed_pair(&bed, 1, NULL);
	fragment(&bed, 1, 1, 0x1fff, 0); /* beyond the longest packet there is */
	fragment(&bed, 2, 1, 0x2000, 0);
	fragment(&bed, 3, 1, 0x2000, 0);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_FRAGMENT_REPEATED), 1);
	fragment(&bed, 4, 1, 0x2000, 1);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_FRAGMENT_MALFORMED), 1);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_FRAGMENT_OVERLAP), 2);
	for (uint16_t i = 0; i < 32; i++)
		fragment(&bed, 5u + i, 2 + i, 0x2000, 0);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_FRAGMENT_FULL), 0);
	fragment(&bed, 40, 100, 0x2000, 0);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_FRAGMENT_FULL), 1);
	bed.now += 31 * NS_PER_S;
	bed_turn_one(&bed, &bed.b);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_FRAGMENT_EXPIRED), 32);
	finish(&bed);
}

/* Too long for the path: one that is not to be cut, and one for which there are no buffers. */
static void test_mtu(void)
{
	uint8_t buf[BED_MAX_PACKET];
	struct packet *taken[256];
	struct bed bed;
	size_t n = bed_udp4(buf, true, 1, 2, 3, 1000);

	bed_init(&bed, &open_wire);
	bed_pair(&bed, 1, NULL);
	CU_ASSERT_EQUAL(dataplane_pathset_mtu(bed.a.dp, bed.a.pathset, 600), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_pathset_mtu(bed.a.dp, 0, 600), ERR_NOT_FOUND);
	buf[6] = 0x40;
	bed_send(&bed.a, buf, n);
	bed_turn_one(&bed, &bed.a);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_TOLD_MTU), 1);
	struct pool *pool = bed.a.dp->workers[0]->pool;
	uint32_t num = pool->ops->get(pool, taken, pool_num_free(pool) - 1);

	buf[6] = 0;
	bed_send(&bed.a, buf, n);
	bed_turn_one(&bed, &bed.a);
	pool->ops->put(pool, taken, num);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_NO_BUFFER), 1);
	finish(&bed);
}

static void agreed(struct child_params *p, bool is_a)
{
	(void)is_a;
	p->mif = true;
}

static void compressing(struct child_params *p, bool is_a)
{
	(void)is_a;
	p->ipcomp = true;
	p->cpi_in = p->cpi_out = 0x1234;
}

/* Compressed under another CPI, and nothing that can be opened. */
static void test_compressed(void)
{
	uint8_t text[] = {IPPROTO_IPIP, 0, 0x12, 0x35};
	struct bed bed;

	bed_init(&bed, &open_wire);
	bed_pair(&bed, 1, compressing);
	sealed(&bed, (struct bed_esp){.seq = 1, .next_header = IPPROTO_COMP}, text, sizeof(text));
	text[3] = 0x34;
	sealed(&bed, (struct bed_esp){.seq = 2, .next_header = IPPROTO_COMP}, text, sizeof(text));
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_IPCOMP), 1);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_IPCOMP_DATA), 1);
	finish(&bed);
}

/* More control messages about paths than are taken in a second. */
static void test_probes(void)
{
	uint8_t text[96] = {0};
	struct bed bed;

	bed_init(&bed, &open_wire);
	bed_pair(&bed, 1, agreed);
	for (uint64_t i = 1; i <= 2001; i++) {
		sealed(&bed, (struct bed_esp){.seq = i, .next_header = ESP_PROBE}, text,
		       sizeof(text));
		bed_events(&bed.b, DP_EVENT_PROBE);
	}
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_PROBE_RATE), 1);
	finish(&bed);
}

/* From the wire itself: neither ESP nor UDP, and a message that one of ours was too big. */
static void test_wire(void)
{
	uint8_t ip[60] = {0x45}, quote[] = {0x45, 0, 0, 36};
	struct bed bed;

	bed_init(&bed, &open_wire);
	bed_pair(&bed, 1, NULL);
	store_be16(ip + 2, 60);
	ip[9] = 6;
	CU_ASSERT_EQUAL(memory_inject(bed.b.wire, ip, sizeof(ip), NULL), ERR_OK);
	ip[9] = 1;
	ip[20] = 3;
	ip[21] = 4;
	memcpy(ip + 28, quote, sizeof(quote));
	ip[28 + 9] = 50;
	CU_ASSERT_EQUAL(memory_inject(bed.b.wire, ip, sizeof(ip), NULL), ERR_OK);
	bed_turn_one(&bed, &bed.b);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_OUTER), 1);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_TOLD), 1);
	finish(&bed);
}

static void test_every_reason_was_reached(void)
{
	for (int i = 1; i < DROP_NUM; i++) {
		CU_ASSERT(reached[i] > 0);
		if (!reached[i])
			tap_diag("%s was never reached", drop_name((enum drop_reason)i));
	}
}

static void test_names(void)
{
	const char *text = NULL;

	CU_ASSERT_STRING_EQUAL(dataplane_drop_name(DROP_REPLAY, &text), "REPLAY");
	CU_ASSERT_STRING_EQUAL(text, "replayed or too old");
	CU_ASSERT_PTR_NULL(dataplane_drop_name(DROP_NUM, &text));
	CU_ASSERT_STRING_EQUAL(drop_name((enum drop_reason)200), "UNKNOWN");
	CU_ASSERT_STRING_EQUAL(drop_text((enum drop_reason)200), "unknown reason");
}

static const struct tap_test tests[] = {
	TAP_TEST(test_outbound),
	TAP_TEST(test_policies),
	TAP_TEST(test_selectors),
	TAP_TEST(test_inbound),
	TAP_TEST(test_paths_and_ports),
	TAP_TEST(test_devices),
	TAP_TEST(test_too_big),
	TAP_TEST(test_cipher_fails),
	TAP_TEST(test_lookaside_device_is_lost),
	TAP_TEST(test_worker_is_behind),
	TAP_TEST(test_S53_forked),
	TAP_TEST(test_congestion),
	TAP_TEST(test_transport),
	TAP_TEST(test_fragments),
	TAP_TEST(test_mtu),
	TAP_TEST(test_compressed),
	TAP_TEST(test_probes),
	TAP_TEST(test_wire),
	TAP_TEST(test_every_reason_was_reached),
	TAP_TEST(test_names),
};

TAP_MAIN("dataplane/drops", tests)
