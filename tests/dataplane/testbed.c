/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/dataplane/testbed.h"
#include "dataplane/lookaside.h"

#include <CUnit/CUnit.h>
#include <stdlib.h>

static void must(enum err e)
{
	CU_ASSERT_EQUAL_FATAL(e, ERR_OK);
}

static struct ts ts_of(const char *text)
{
	struct ts ts = {0};

	must(ts_parse(&ts, text));
	return ts;
}

static struct endpoint endpoint_of(const char *text, uint16_t port)
{
	struct endpoint e = {.port = port};

	must(ip_addr_parse(&e.addr, text));
	return e;
}

static struct auth_proof *proof_for(const char *local, const char *peer)
{
	struct auth_proof_params p = {.method = AUTH_METHOD_PSK};

	p.local.type = p.peer.type = 2;
	p.local.len = (uint16_t)strlen(local);
	p.peer.len = (uint16_t)strlen(peer);
	memcpy(p.local.data, local, p.local.len);
	memcpy(p.peer.data, peer, p.peer.len);
	return auth_proof_new(&p);
}

/* queues - how many workers have a queue of a port. */
static uint32_t queues(const struct bed_options *o, uint32_t wanted)
{
	uint32_t num = o->num_workers ? o->num_workers : 1;

	CU_ASSERT_FATAL(num <= BED_WORKERS);
	return wanted ? wanted : num;
}

static void attach(struct side *s, uint16_t *port, uint32_t worker, struct driver *d)
{
	if (worker == 0)
		must(dataplane_attach(s->dp, port, d));
	else
		must(dataplane_attach_queue(s->dp, *port, worker, d));
}

static void make_side(struct side *s, bool is_a, const struct bed_options *o)
{
	const struct memory_params inner = {.role = PORT_INNER,
					    .joins = o->joins,
					    .num_frames = o->num_frames,
					    .frame_len =
						    o->frame_len ? o->frame_len : BED_MAX_PACKET};
	struct dataplane_config config = {
		.aead = o->aead,
		.num_packets = o->num_packets ? o->num_packets : 256,
		.packet_room = o->packet_room,
		.hold_packets = o->hold_packets,
		.flow_cache_len = o->flow_cache_len ? o->flow_cache_len : 64,
		.hold_ns = o->hold_ns,
		.num_workers = o->num_workers,
		.handoff_packets = o->handoff_packets,
		.num_latches = o->num_latches,
		.latch_tcp = o->latch_tcp,
	};
	const char *a = o->outer_v6 ? "2001:db8::1" : "192.0.2.1";
	const char *b = o->outer_v6 ? "2001:db8::2" : "192.0.2.2";
	rng_seeded_init(&s->rng, is_a ? 1 : 2);
	config.rng = &s->rng.rng;
	must(dataplane_new(&s->dp, &config));
	for (uint32_t i = 0; i < queues(o, o->num_inner); i++) {
		struct driver *d;

		must(memory_open(&d, &s->hosts[i], &inner));
		attach(s, &s->inner, i, d);
	}
	s->host = s->hosts[0];
	s->path.local = endpoint_of(is_a ? a : b, 4500);
	s->path.remote = endpoint_of(is_a ? b : a, 4500);
	s->path.encap = ENCAP_UDP;
	s->local4 = ts_of(is_a ? "10.1.0.0/16" : "10.2.0.0/16");
	s->remote4 = ts_of(is_a ? "10.2.0.0/16" : "10.1.0.0/16");
	s->local6 = ts_of(is_a ? "fd01::/32" : "fd02::/32");
	s->remote6 = ts_of(is_a ? "fd02::/32" : "fd01::/32");
	s->proof = proof_for(is_a ? "a" : "b", is_a ? "b" : "a");
	CU_ASSERT_PTR_NOT_NULL_FATAL(s->proof);
}

static void join(struct bed *bed, const struct bed_options *o)
{
	const struct memory_params outer = {.role = PORT_OUTER,
					    .num_frames = o->num_frames,
					    .frame_len =
						    o->frame_len ? o->frame_len : BED_MAX_PACKET};

	for (uint32_t i = 0; i < queues(o, o->num_outer); i++) {
		struct driver *da, *db;

		if (o->open_wire) {
			must(memory_open(&da, &bed->a.wires[i], &outer));
			must(memory_open(&db, &bed->b.wires[i], &outer));
		} else {
			must(memory_open_pair(&da, &db, &outer));
		}
		attach(&bed->a, &bed->a.outer, i, da);
		attach(&bed->b, &bed->b.outer, i, db);
	}
	bed->a.wire = bed->a.wires[0];
	bed->b.wire = bed->b.wires[0];
}

static void set_policy(struct side *s)
{
	const struct ts local[] = {s->local4, s->local6};
	const struct ts remote[] = {s->remote4, s->remote6};
	struct policy_params p = {
		.layer = POLICY_CONFIG,
		.action = POLICY_PROTECT,
		.owner = 77,
		.local = local,
		.remote = remote,
		.num_local = 2,
		.num_remote = 2,
	};

	must(dataplane_pathset_add(s->dp, &s->pathset, s->outer, &s->path));
	must(dataplane_group_add(s->dp, &s->group));
	p.group = s->group;
	must(dataplane_policy_add(s->dp, &s->policy, &p));
}

void bed_init(struct bed *bed, const struct bed_options *options)
{
	static const struct bed_options none;

	*bed = (struct bed){.now = NS_PER_S, .alg = AEAD_AES_GCM_16_256};
	if (options && options->alg)
		bed->alg = options->alg;
	make_side(&bed->a, true, options ? options : &none);
	make_side(&bed->b, false, options ? options : &none);
	join(bed, options ? options : &none);
	set_policy(&bed->a);
	set_policy(&bed->b);
}

static void fini_side(struct side *s)
{
	dataplane_free(s->dp);
	for (uint32_t i = 0; i < BED_WORKERS; i++) {
		memory_close_far(s->hosts[i]);
		memory_close_far(s->wires[i]);
	}
	auth_proof_put(s->proof);
}

void bed_fini(struct bed *bed)
{
	if (!bed->threaded) {
		bed_balance(&bed->a);
		bed_balance(&bed->b);
	}
	fini_side(&bed->a);
	fini_side(&bed->b);
}

struct child_params bed_child_params(struct side *s, uint64_t id)
{
	return (struct child_params){
		.id = id,
		.group = s->group,
		.pathset = s->pathset,
		.alg = AEAD_AES_GCM_16_256,
		.outbound_active = true,
		.replay_window = 64,
		.local = &s->local4, /* local4, local6 and so on lie one behind the other */
		.remote = &s->remote4,
		.num_local = 1,
		.num_remote = 1,
		.proof = s->proof,
	};
}

void bed_mode(struct child_params *p, bool is_a, enum sa_mode mode)
{
	static struct ts ts[2];

	CU_ASSERT_EQUAL_FATAL(ts_parse(&ts[0], "10.1.0.1"), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(ts_parse(&ts[1], "10.2.0.1"), ERR_OK);
	p->mode = mode;
	if (mode != SA_TRANSPORT)
		return;
	p->local = &ts[is_a ? 0 : 1];
	p->remote = &ts[is_a ? 1 : 0];
	p->num_local = p->num_remote = 1;
}

void bed_pair(struct bed *bed, uint64_t id, void (*tweak)(struct child_params *p, bool is_a))
{
	struct child_params pa = bed_child_params(&bed->a, id);
	struct child_params pb = bed_child_params(&bed->b, id);
	const struct ts la[] = {bed->a.local4, bed->a.local6};
	const struct ts lb[] = {bed->b.local4, bed->b.local6};
	uint8_t ab[BED_KEY_MAX], ba[BED_KEY_MAX];
	size_t key_len;

	bed_key(ab, id, true);
	bed_key(ba, id, false);
	pa.alg = pb.alg = bed->alg;
	key_len = aead_alg_material_len(bed->alg);
	pa.key_out = pb.key_in = bytes_of(ab, key_len);
	pa.key_in = pb.key_out = bytes_of(ba, key_len);
	pa.local = pb.remote = la;
	pa.remote = pb.local = lb;
	pa.num_local = pa.num_remote = pb.num_local = pb.num_remote = 2;
	must(dataplane_spi_reserve(bed->a.dp, &pa.spi_in));
	must(dataplane_spi_reserve(bed->b.dp, &pb.spi_in));
	bed->a.spi_in = pa.spi_in;
	bed->b.spi_in = pb.spi_in;
	pa.spi_out = pb.spi_in;
	pb.spi_out = pa.spi_in;
	if (tweak) {
		tweak(&pa, true);
		tweak(&pb, false);
	}
	must(dataplane_child_add(bed->b.dp, &pb));
	must(dataplane_child_add(bed->a.dp, &pa));
}

void bed_balance(const struct side *s)
{
	struct dataplane_stats st;
	uint64_t held = 0;

	dataplane_stats(s->dp, &st);
	CU_ASSERT_EQUAL(st.rx_packets + st.made + st.taken, st.tx_packets + st.held + bed_drops(s) +
								    st.punted + st.handed_off +
								    st.consumed);
	for (uint32_t i = 0; i < s->dp->num_workers; i++) {
		const struct worker *w = s->dp->workers[i];

		held += w->hold.num + w->reasm.num + w->num_waiting;
		held += w->lookaside ? lookaside_num(w->lookaside) : 0;
	}
	CU_ASSERT_EQUAL(held, st.held);
}

uint64_t bed_dropped(const struct side *s, enum drop_reason why)
{
	struct dataplane_stats st;

	dataplane_stats(s->dp, &st);
	return st.drops[why];
}

uint64_t bed_drops(const struct side *s)
{
	struct dataplane_stats st;
	uint64_t sum = 0;

	dataplane_stats(s->dp, &st);
	for (size_t i = 0; i < ARRAY_LEN(st.drops); i++)
		sum += st.drops[i];
	return sum;
}

uint32_t bed_turn_one(struct bed *bed, struct side *s)
{
	uint32_t num = dataplane_poll(s->dp, bed->now);

	dataplane_reclaim(s->dp);
	bed_balance(s);
	return num;
}

void bed_turn(struct bed *bed)
{
	for (int i = 0; i < 2; i++) {
		bed_turn_one(bed, &bed->a);
		bed_turn_one(bed, &bed->b);
	}
}

static void fill(uint8_t *p, uint32_t tag, size_t len)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(tag * 31 + i * 7);
	if (len >= 4)
		store_be32(p, tag);
}

static void udp(uint8_t *u, uint16_t src_port, uint16_t dst_port, uint32_t tag, size_t len)
{
	store_be16(u, src_port);
	store_be16(u + 2, dst_port);
	store_be16(u + 4, (uint16_t)(8 + len));
	store_be16(u + 6, 0);
	fill(u + 8, tag, len);
}

size_t bed_udp4(uint8_t *buf, bool a_to_b, uint16_t src_port, uint16_t dst_port, uint32_t tag,
		size_t len)
{
	static const uint8_t a[4] = {10, 1, 0, 1}, b[4] = {10, 2, 0, 1};

	memset(buf, 0, 20);
	buf[0] = 0x45;
	store_be16(buf + 2, (uint16_t)(28 + len));
	buf[8] = 64;
	buf[9] = 17;
	memcpy(buf + 12, a_to_b ? a : b, 4);
	memcpy(buf + 16, a_to_b ? b : a, 4);
	udp(buf + 20, src_port, dst_port, tag, len);
	return 28 + len;
}

size_t bed_udp6(uint8_t *buf, bool a_to_b, uint16_t src_port, uint16_t dst_port, uint32_t tag,
		size_t len)
{
	memset(buf, 0, 40);
	buf[0] = 0x60;
	store_be16(buf + 4, (uint16_t)(8 + len));
	buf[6] = 17;
	buf[7] = 64;
	buf[8] = buf[24] = 0xfd;
	buf[9] = a_to_b ? 1 : 2;
	buf[25] = a_to_b ? 2 : 1;
	buf[23] = buf[39] = 1;
	udp(buf + 40, src_port, dst_port, tag, len);
	return 48 + len;
}

void bed_send_to(struct side *s, uint32_t worker, const uint8_t *packet, size_t len)
{
	must(memory_inject(s->hosts[worker], packet, len, NULL));
}

void bed_send(struct side *s, const uint8_t *packet, size_t len)
{
	bed_send_to(s, 0, packet, len);
}

size_t bed_receive_from(struct side *s, uint32_t worker, uint8_t buf[static BED_MAX_PACKET])
{
	size_t len;

	return memory_take(s->hosts[worker], buf, BED_MAX_PACKET, &len, NULL) ? len : 0;
}

size_t bed_receive(struct side *s, uint8_t buf[static BED_MAX_PACKET])
{
	return bed_receive_from(s, 0, buf);
}

size_t bed_capture_from(struct side *s, uint32_t worker, uint8_t buf[static BED_MAX_PACKET])
{
	struct path_addr to;
	size_t len;

	if (!memory_take(s->wires[worker], buf, BED_MAX_PACKET, &len, &to))
		return 0;
	CU_ASSERT_EQUAL(memcmp(&to, &s->path, sizeof(to)), 0);
	return len;
}

size_t bed_capture(struct side *s, uint8_t buf[static BED_MAX_PACKET])
{
	return bed_capture_from(s, 0, buf);
}

void bed_deliver_to(struct side *s, uint32_t worker, const uint8_t *bytes, size_t len)
{
	must(memory_inject(s->wires[worker], bytes, len, &s->path));
}

void bed_deliver(struct side *s, const uint8_t *bytes, size_t len)
{
	bed_deliver_to(s, 0, bytes, len);
}

bool bed_event(struct side *s, struct dp_event *out)
{
	struct dp_event ev;

	if (!dataplane_event_next(s->dp, &ev))
		return false;
	*out = ev;
	dp_event_release(s->dp, &ev);
	return true;
}

uint32_t bed_events(struct side *s, enum dp_event_kind kind)
{
	struct dp_event ev;
	uint32_t num = 0;

	while (bed_event(s, &ev))
		num += ev.kind == kind;
	return num;
}

void bed_key(uint8_t out[static BED_KEY_MAX], uint64_t pair, bool a_to_b)
{
	for (unsigned i = 0; i < BED_KEY_MAX; i++)
		out[i] = (uint8_t)(a_to_b ? pair * 7 + i : pair * 13 + 3 * i + 1);
}

uint8_t bed_pad(size_t len)
{
	return bed_pad_for(AEAD_AES_GCM_16_256, len);
}

uint8_t bed_pad_for(enum aead_alg alg, size_t len)
{
	return (uint8_t)(-(len + ESP_TRAILER_LEN) & (aead_shape(alg)->align - 1U));
}

static size_t add_trailer(uint8_t *text, size_t len, const struct bed_esp *esp)
{
	for (unsigned i = 0; i < esp->pad_len; i++)
		text[len + i] = (uint8_t)(i + 1);
	if (esp->wrong_padding)
		text[len + esp->pad_len - 1] ^= 0x80;
	text[len + esp->pad_len] = (uint8_t)(esp->pad_len + esp->claimed_more);
	text[len + esp->pad_len + 1] = esp->next_header;
	return len + esp->pad_len + ESP_TRAILER_LEN;
}

size_t bed_seal(struct bed *bed, uint8_t out[static BED_MAX_PACKET], const struct bed_esp *esp,
		const uint8_t *inner, size_t len)
{
	const struct aead_shape *shape = aead_shape(bed->alg);
	const size_t front = ESP_HEADER_LEN + shape->iv_len, key_len = aead_alg_key_len(bed->alg);
	struct aead_op op = {.text = out + ESP_FRONT_MAX, .aad_len = esp->esn ? 12 : 8};
	const struct aead_backend *aead;
	struct aead_key *key;
	uint8_t material[BED_KEY_MAX], *head = op.text - front;

	bed_key(material, esp->pair, true);
	must(aead_select(&aead, bed->alg, NULL));
	must(aead->key_new(&key, bed->alg, material, key_len, material));
	store_be64(out, 0);
	store_be64(op.text - 8, esp->seq);
	store_be32(head, bed->b.spi_in);
	store_be32(head + 4, (uint32_t)esp->seq);
	if (len)
		memcpy(op.text, inner, len);
	op.key = key;
	op.len = (uint32_t)add_trailer(op.text, len, esp);
	op.icv = op.text + op.len;
	memcpy(op.nonce, material + key_len, shape->salt_len);
	store_be64(op.nonce + 4, esp->seq);
	store_be32(op.aad, bed->b.spi_in);
	if (esp->esn)
		store_be64(op.aad + 4, esp->seq);
	else
		store_be32(op.aad + 4, (uint32_t)esp->seq);
	aead->encrypt(bed->b.dp->workers[0]->crypto, &op, 1);
	CU_ASSERT_FATAL(op.ok);
	aead->key_free(key);
	memmove(out, head, front + op.len + shape->icv_len);
	return front + op.len + shape->icv_len;
}
