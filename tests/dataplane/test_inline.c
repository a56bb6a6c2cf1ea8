/* SPDX-License-Identifier: Apache-2.0 */
/* SAs whose packets a port encrypts and decrypts: what leaves by drivers that know nothing of it,
 * what a driver is given that does, and whose word counts about what came. */
#include "dataplane/inline.h"

#include "base/alloc.h"
#include "tests/dataplane/fake_device.h"
#include "tests/dataplane/testbed.h"
#include "tests/tap/tap.h"

#define NUM 100

struct inline_key {
	uint32_t spi;
	bool encrypts;
};

/* struct fake - A's ports: they take keys, and do nothing by themselves. */
struct fake {
	struct inline_ports ports;
	uint32_t num_keys, num_asked;
	enum err refuse;
	bool closed;
};

static struct fake fake;

static enum err key_new(struct inline_ports *p, struct inline_key **out,
			const struct inline_use *use)
{
	struct inline_key *k;

	(void)p;
	fake.num_asked++;
	CU_ASSERT(use->tunnel && use->path && use->path->encap == ENCAP_UDP);
	CU_ASSERT_EQUAL(use->material.len, aead_alg_material_len(use->alg));
	if (fake.refuse)
		return fake.refuse;
	k = mem_alloc(sizeof(*k));
	CU_ASSERT_FATAL(k != NULL);
	*k = (struct inline_key){.spi = use->spi, .encrypts = use->encrypts};
	fake.num_keys++;
	*out = k;
	return ERR_OK;
}

static void key_free(struct inline_ports *p, struct inline_key *k)
{
	(void)p;
	fake.num_keys--;
	mem_free(k);
}

static void settle_fake(struct inline_ports *p)
{
	(void)p;
}

static void close_fake(struct inline_ports *p)
{
	(void)p;
	CU_ASSERT_EQUAL(fake.num_keys, 0);
	fake.closed = true;
}

static const struct inline_ops fake_ops = {
	.key_new = key_new, .key_free = key_free, .settle = settle_fake, .close = close_fake};

static void use_fake(struct bed *bed)
{
	fake = (struct fake){.ports.ops = &fake_ops};
	CU_ASSERT_EQUAL_FATAL(dataplane_use_inline(bed->a.dp, &fake.ports), ERR_OK);
}

static void end(struct bed *bed)
{
	bed_balance(&bed->a);
	bed_fini(bed);
	CU_ASSERT(fake.closed);
}

static void settle(struct bed *bed)
{
	while (dataplane_poll(bed->a.dp, bed->now) + dataplane_poll(bed->b.dp, bed->now))
		;
	bed_balance(&bed->a);
	bed_balance(&bed->b);
}

static void send_all(struct side *s, bool a_to_b)
{
	uint8_t buf[BED_MAX_PACKET];

	for (uint32_t i = 0; i < NUM; i++)
		bed_send(s, buf, bed_udp4(buf, a_to_b, 1, 2, i, 20 + i * 13));
}

/* received - all of them, in order, as they were sent. */
static bool received(struct side *s, bool a_to_b)
{
	uint8_t buf[BED_MAX_PACKET], wanted[BED_MAX_PACKET];

	for (uint32_t i = 0; i < NUM; i++) {
		size_t len = bed_udp4(wanted, a_to_b, 1, 2, i, 20 + i * 13);

		if (bed_receive(s, buf) != len || memcmp(buf, wanted, len) != 0)
			return false;
	}
	return bed_receive(s, buf) == 0;
}

/* ---- what leaves ----------------------------------------------------------------------------- */

/* test_other_drivers - what is no port that encrypts sends what we encrypted. */
static void test_other_drivers(void)
{
	struct bed bed;

	bed_init(&bed, &(struct bed_options){.num_frames = 256});
	use_fake(&bed);
	bed_pair(&bed, 1, NULL);
	CU_ASSERT_EQUAL(fake.num_keys, 2);
	send_all(&bed.a, true);
	send_all(&bed.b, false);
	settle(&bed);
	CU_ASSERT(received(&bed.b, true));
	CU_ASSERT(received(&bed.a, false));
	CU_ASSERT_EQUAL(bed_drops(&bed.a) + bed_drops(&bed.b), 0);
	end(&bed);
}

static void of_worker_1(struct child_params *p, bool is_a)
{
	p->worker = is_a ? 2 : 0;
}

/* shows - an inner packet's text is in it. */
static bool shows(const uint8_t *bytes, size_t len, const uint8_t *inner, size_t inner_len)
{
	return memmem(bytes, len, inner + inner_len - 32, 32) != NULL;
}

/* test_another_workers_queue - what another worker sends for the SA's is encrypted before it goes
 * there, without the SA. */
static void test_another_workers_queue(void)
{
	uint8_t in[BED_MAX_PACKET], out[BED_MAX_PACKET];
	struct bed bed;

	bed_init(&bed, &(struct bed_options){.open_wire = true, .num_workers = 2, .num_outer = 1});
	use_fake(&bed);
	bed_pair(&bed, 1, of_worker_1);
	for (uint32_t i = 0; i < NUM; i++) {
		size_t in_len = bed_udp4(in, true, 1, 2, i, 200), len;

		bed_send_to(&bed.a, i % 2, in, in_len);
		settle(&bed);
		len = bed_capture(&bed.a, out);
		CU_ASSERT_FATAL(len > in_len);
		CU_ASSERT_FALSE(shows(out, len, in, in_len));
		bed_deliver(&bed.b, out, len);
		settle(&bed);
		CU_ASSERT_EQUAL(bed_receive(&bed.b, out), in_len);
		CU_ASSERT_EQUAL(memcmp(in, out, in_len), 0);
	}
	end(&bed);
}

/* ---- a driver that knows --------------------------------------------------------------------- */

/* opener - A's outer driver, with these functions in front; what it found. */
static struct {
	const struct driver_ops *own;
	struct driver_ops ops;
	uint32_t num, num_wrong;
	bool forgets;  /* it neither encrypts nor has it done */
	uint16_t says; /* of what it receives */
} opener;

/* opener_tx - open packets have no bytes; each is encrypted by us. */
static void opener_tx(struct driver *d, struct pktvec *v)
{
	for (uint32_t i = 0; i < v->num; i++) {
		struct packet *p = v->pkt[i];

		if (!(p->flags & PACKET_F_OPEN))
			continue;
		opener.num++;
		opener.num_wrong += p->len != 0 || packet_whole_len(p) < 40 || !p->key->encrypts ||
				    load_be32(p->data) != p->key->spi;
		if (!opener.forgets)
			opener.num_wrong += !d->seal(d->sealer, p);
	}
	opener.own->tx(d, v);
}

static uint32_t opener_rx(struct driver *d, struct pool *pool, struct pktvec *out)
{
	uint32_t before = out->num, n = opener.own->rx(d, pool, out);

	for (uint32_t i = before; i < out->num; i++)
		out->pkt[i]->flags |= opener.says;
	return n;
}

static void use_opener(struct bed *bed)
{
	struct driver *d = bed->a.dp->workers[0]->ports[bed->a.outer];

	memset(&opener, 0, sizeof(opener));
	opener.own = d->ops;
	opener.ops = *d->ops;
	opener.ops.tx = opener_tx;
	opener.ops.rx = opener_rx;
	d->ops = &opener.ops;
	d->opens = true;
	use_fake(bed);
}

static void test_open_packets_have_no_bytes(void)
{
	struct path_info path;
	uint64_t bytes = 0;
	struct bed bed;

	bed_init(&bed, &(struct bed_options){.num_frames = 256});
	use_opener(&bed);
	bed_pair(&bed, 1, NULL);
	send_all(&bed.a, true);
	settle(&bed);
	CU_ASSERT_EQUAL(opener.num, NUM);
	CU_ASSERT_EQUAL(opener.num_wrong, 0);
	CU_ASSERT(received(&bed.b, true));
	for (uint32_t i = 0; i < NUM; i++) /* header, IV, padding and trailer, ICV */
		bytes += 16 + ((28 + 20 + i * 13 + 2 + 3) & ~3u) + 16;
	CU_ASSERT_EQUAL(dataplane_pathset_info(bed.a.dp, &path, bed.a.pathset), ERR_OK);
	CU_ASSERT_EQUAL(path.tx_bytes, bytes);
	end(&bed);
}

/* M16: a copy for another path is an open packet of its own, and what comes of both is the same. */
static void test_M16_open_packets_in_copies(void)
{
	struct path_params p = {.id = 2, .weight = 1, .usable = true};
	struct bed bed;

	bed_init(&bed, &(struct bed_options){.num_frames = 256, .num_packets = 1024});
	use_opener(&bed);
	bed_pair(&bed, 1, NULL);
	p.port = bed.a.outer;
	p.addr = bed.a.path;
	p.addr.remote.port++;
	CU_ASSERT_EQUAL(dataplane_path_put(bed.a.dp, bed.a.pathset, &p), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_path_schedule(bed.a.dp, bed.a.pathset, SCHEDULE_DUPLICATE),
			ERR_OK);
	send_all(&bed.a, true);
	settle(&bed);
	CU_ASSERT_EQUAL(opener.num, 2 * NUM);
	CU_ASSERT_EQUAL(opener.num_wrong, 0);
	CU_ASSERT(received(&bed.b, true));
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_REPLAY), NUM);
	CU_ASSERT_EQUAL(bed_drops(&bed.b), NUM);
	end(&bed);
}

/* test_forgotten - a driver that sends one as it is sends nothing of it. */
static void test_forgotten(void)
{
	uint8_t in[BED_MAX_PACKET], out[BED_MAX_PACKET];
	size_t len = bed_udp4(in, true, 1, 2, 3, 200), sent;
	struct bed bed;

	bed_init(&bed, &(struct bed_options){.open_wire = true});
	use_opener(&bed);
	bed_pair(&bed, 1, NULL);
	opener.forgets = true;
	bed_send(&bed.a, in, len);
	settle(&bed);
	sent = bed_capture(&bed.a, out);
	CU_ASSERT_EQUAL(opener.num, 1);
	CU_ASSERT_FALSE(shows(out, sent, in, len));
	CU_ASSERT_EQUAL(sent, 0);
	end(&bed);
}

/* ---- what came ------------------------------------------------------------------------------- */

/* opened - an ESP packet for A as a port that decrypted it gives it; returns its length. */
static size_t opened(const struct bed *bed, uint8_t *out, uint32_t seq, const uint8_t *inner,
		     size_t len)
{
	const size_t pad = bed_pad(len);

	store_be32(out, bed->a.spi_in);
	store_be32(out + 4, seq);
	store_be64(out + 8, seq);
	memcpy(out + 16, inner, len);
	for (uint8_t i = 0; i < pad; i++)
		out[16 + len + i] = (uint8_t)(i + 1);
	out[16 + len + pad] = (uint8_t)pad;
	out[16 + len + pad + 1] = 4;
	memset(out + 16 + len + pad + 2, 0xaa, AEAD_TAG_LEN);
	return 16 + len + pad + 2 + AEAD_TAG_LEN;
}

static void deliver(struct bed *bed, const uint8_t *esp, size_t len, uint16_t says)
{
	opener.says = says;
	bed_deliver(&bed->a, esp, len);
	settle(bed);
}

static void test_the_ports_word(void)
{
	uint8_t in[BED_MAX_PACKET], esp[BED_MAX_PACKET], out[BED_MAX_PACKET];
	size_t len = bed_udp4(in, false, 1, 2, 3, 200), esp_len;
	struct child_stats st;
	struct bed bed;

	bed_init(&bed, &(struct bed_options){.open_wire = true});
	use_opener(&bed);
	bed_pair(&bed, 1, NULL);
	esp_len = opened(&bed, esp, 1, in, len);
	deliver(&bed, esp, esp_len, PACKET_F_OPEN);
	CU_ASSERT_EQUAL(bed_receive(&bed.a, out), len);
	CU_ASSERT_EQUAL(memcmp(in, out, len), 0);
	/* Everything else is judged as ever. */
	deliver(&bed, esp, esp_len, PACKET_F_OPEN);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_REPLAY), 1);
	esp_len = opened(&bed, esp, 2, in, len);
	esp[16 + 12] = 99; /* a source that no selector has */
	deliver(&bed, esp, esp_len, PACKET_F_OPEN);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_SA_SELECTOR_IN), 1);
	esp_len = opened(&bed, esp, 3, in, len);
	deliver(&bed, esp, esp_len, PACKET_F_FORGED);
	deliver(&bed, esp, esp_len, PACKET_F_FORGED | PACKET_F_OPEN);
	deliver(&bed, esp, esp_len, 0); /* it was not decrypted: we do, and it is no ESP of B's */
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_AUTH), 3);
	CU_ASSERT_EQUAL(dataplane_child_stats(bed.a.dp, &st, 1), ERR_OK);
	CU_ASSERT_EQUAL(st.in_auth_failed, 3);
	CU_ASSERT_EQUAL(bed_receive(&bed.a, out), 0);
	end(&bed);
}

/* test_the_word_goes_along - what came to another worker than the SA's. */
static void test_the_word_goes_along(void)
{
	uint8_t in[BED_MAX_PACKET], esp[BED_MAX_PACKET], out[BED_MAX_PACKET];
	size_t len = bed_udp4(in, false, 1, 2, 3, 200);
	struct bed bed;

	bed_init(&bed, &(struct bed_options){.open_wire = true, .num_workers = 2});
	use_opener(&bed);
	bed_pair(&bed, 1, of_worker_1);
	deliver(&bed, esp, opened(&bed, esp, 1, in, len), PACKET_F_OPEN);
	CU_ASSERT_EQUAL(bed_receive_from(&bed.a, 1, out), len);
	CU_ASSERT_EQUAL(memcmp(in, out, len), 0);
	deliver(&bed, esp, opened(&bed, esp, 2, in, len), PACKET_F_FORGED);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_AUTH), 1);
	end(&bed);
}

/* test_of_an_sa_without_a_key - a port has nothing to say of it. */
static void test_of_an_sa_without_a_key(void)
{
	uint8_t in[BED_MAX_PACKET], esp[BED_MAX_PACKET], out[BED_MAX_PACKET];
	size_t len = bed_udp4(in, false, 1, 2, 3, 200);
	struct bed bed;

	bed_init(&bed, &(struct bed_options){.open_wire = true});
	use_opener(&bed);
	fake.refuse = ERR_NOMEM;
	bed_pair(&bed, 1, NULL);
	deliver(&bed, esp, opened(&bed, esp, 1, in, len), PACKET_F_OPEN);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_AUTH), 1);
	CU_ASSERT_EQUAL(bed_receive(&bed.a, out), 0);
	end(&bed);
}

/* test_not_decrypted - what a port let through as it came is decrypted by us, among others. */
static void test_not_decrypted(void)
{
	struct bed bed;

	bed_init(&bed, &(struct bed_options){.num_frames = 256});
	use_opener(&bed);
	bed_pair(&bed, 1, NULL);
	send_all(&bed.b, false);
	settle(&bed);
	CU_ASSERT(received(&bed.a, false));
	CU_ASSERT_EQUAL(bed_drops(&bed.a), 0);
	end(&bed);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static void esn(struct child_params *p, bool is_a)
{
	(void)is_a;
	p->esn = true;
}

/* test_which_SAs - of 64-bit numbers a port is not asked; what it refuses is ours. */
static void test_which_SAs(void)
{
	for (int i = 0; i < 3; i++) {
		struct bed bed;

		bed_init(&bed, &(struct bed_options){.num_frames = 256});
		use_opener(&bed);
		fake.refuse = i == 0 ? ERR_UNSUPPORTED : i == 1 ? ERR_CRYPTO : ERR_OK;
		bed_pair(&bed, 1, i == 2 ? esn : NULL);
		CU_ASSERT_EQUAL(fake.num_asked, i == 2 ? 0 : 2);
		CU_ASSERT_EQUAL(fake.num_keys, 0);
		send_all(&bed.a, true);
		settle(&bed);
		CU_ASSERT(received(&bed.b, true));
		CU_ASSERT_EQUAL(opener.num, 0);
		end(&bed);
	}
}

static void test_keys_go_with_their_SAs(void)
{
	struct bed bed;

	bed_init(&bed, &(struct bed_options){0});
	use_fake(&bed);
	for (uint64_t id = 1; id <= 3; id++)
		bed_pair(&bed, id, NULL);
	CU_ASSERT_EQUAL(fake.num_keys, 6);
	dataplane_child_remove(bed.a.dp, 1, CHILD_OUT);
	dataplane_child_remove(bed.a.dp, 2, CHILD_BOTH);
	dataplane_reclaim(bed.a.dp);
	CU_ASSERT_EQUAL(fake.num_keys, 3);
	end(&bed);
}

/* test_one_of_both - ports and a lookaside device exclude each other. */
static void test_one_of_both(void)
{
	struct fake_device *device = fake_device_new();
	uint32_t algs, failed;
	struct bed bed;

	bed_init(&bed, &(struct bed_options){0});
	use_fake(&bed);
	CU_ASSERT_EQUAL(dataplane_use_device(bed.a.dp, &algs, &failed, &device->device),
			ERR_EXISTS);
	CU_ASSERT(device->closed);
	fake_device_free(device);
	end(&bed);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_other_drivers),
	TAP_TEST(test_another_workers_queue),
	TAP_TEST(test_open_packets_have_no_bytes),
	TAP_TEST(test_M16_open_packets_in_copies),
	TAP_TEST(test_forgotten),
	TAP_TEST(test_the_ports_word),
	TAP_TEST(test_the_word_goes_along),
	TAP_TEST(test_of_an_sa_without_a_key),
	TAP_TEST(test_not_decrypted),
	TAP_TEST(test_which_SAs),
	TAP_TEST(test_keys_go_with_their_SAs),
	TAP_TEST(test_one_of_both),
};

TAP_MAIN("dataplane/inline", tests)
