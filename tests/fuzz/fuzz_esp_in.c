/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_esp_in: datagrams on the outer port of a data path with four SAs. The first byte chooses
 * their algorithm; the rest of an input is a list of records
 *
 *	op (1 byte) || length (2 bytes, big endian) || that many bytes
 *
 * whose bytes arrive as they are, or are encrypted with an SA's key first, so that what lies behind
 * authentication is reached as well (text that is not whole blocks is cut). Every other SA has
 * control messages about paths, those without compress (next header 108), and one puts what comes
 *by two paths in order. What is delivered must be well-formed and inside the selectors, and the
 *books must balance.
 */
#include <stdlib.h>

#include "dataplane/dataplane.h"
#include "dataplane/flow.h"
#include "drivers/memory.h"

/* Bits of an op. */
#define OP_SEALED 0x01 /* the bytes are inner packet, padding and trailer */
#define OP_SA     0x02 /* which SA: 1 = the one with ESN; in transport mode the one for IPv6 */
#define OP_NO_UDP 0x04 /* came without encapsulation */
#define OP_PORT   0x08 /* ... by UDP port 500; in UDP encapsulation: an SA in transport mode */
#define OP_BACK   0x10 /* an older sequence number */
#define OP_STEP   5    /* upper three bits: how far the number moves */

#define MAX_LEN   2000
#define FRONT_MAX (AEAD_HEAD_LEN + AEAD_IV_MAX)
#define CPI       0x4142
#define NUM_SAS   4 /* tunnel mode, the same with ESN, transport mode for IPv4 and for IPv6 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* struct target - a data path with its surroundings. */
struct target {
	struct dataplane *dp;
	struct memory_port *host, *wire;
	struct path_addr path;
	uint32_t spi[NUM_SAS];
	uint64_t seq[NUM_SAS];
	enum aead_alg alg;
	struct aead_key *key[NUM_SAS];
	struct aead_work *work;
	const struct aead_backend *aead;
	uint64_t now;
};

static const uint8_t key_material[AEAD_KEY_MAX] = {1, 2, 3, 4};
static const struct aead_shape *shape;
static struct ts local[2], remote[2];
static struct ts local_end[2], remote_end[2]; /* transport mode: IPv4, IPv6 */

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void add_ports(struct target *t)
{
	const struct memory_params inner = {.role = PORT_INNER, .num_frames = 64};
	const struct memory_params outer = {.role = PORT_OUTER, .num_frames = 64};
	struct driver *d;
	uint16_t port;

	must(memory_open(&d, &t->host, &inner) == ERR_OK);
	must(dataplane_attach(t->dp, &port, d) == ERR_OK);
	must(memory_open(&d, &t->wire, &outer) == ERR_OK);
	must(dataplane_attach(t->dp, &port, d) == ERR_OK);
}

/* set_transport - between two addresses, with a NAT on the way. */
static void set_transport(struct child_params *p, unsigned i)
{
	p->mode = SA_TRANSPORT;
	p->local = &local_end[i];
	p->remote = &remote_end[i];
	p->num_local = p->num_remote = 1;
	must(ip_addr_parse(&p->seen_remote, i ? "fd55::7" : "192.168.0.7") == ERR_OK);
}

/* add_path - what comes by IP itself has a path of its own. */
static void add_path(struct target *t, uint32_t set)
{
	struct path_params p = {.id = 2, .port = 1, .addr = t->path, .weight = 1};

	p.addr.encap = ENCAP_NONE;
	p.addr.local.port = p.addr.remote.port = 0;
	must(dataplane_path_put(t->dp, set, &p) == ERR_OK);
}

static void add_sas(struct target *t)
{
	static const struct auth_proof_params proven = {.method = AUTH_METHOD_PSK};
	struct auth_proof *proof = auth_proof_new(&proven);
	struct policy_params policy = {.layer = POLICY_CONFIG, .action = POLICY_PROTECT};
	struct child_params p = {.spi_out = 0x1000, .alg = t->alg, .replay_window = 64};
	uint32_t id;

	must(dataplane_group_add(t->dp, &p.group) == ERR_OK);
	must(dataplane_pathset_add(t->dp, &p.pathset, 1, &t->path) == ERR_OK);
	add_path(t, p.pathset);
	policy.local = p.local = local;
	policy.remote = p.remote = remote;
	policy.num_local = policy.num_remote = p.num_local = p.num_remote = 2;
	policy.group = p.group;
	p.key_in = p.key_out = bytes_of(key_material, aead_alg_material_len(t->alg));
	p.proof = proof;
	must(proof && dataplane_policy_add(t->dp, &id, &policy) == ERR_OK);
	for (uint64_t i = 0; i < NUM_SAS; i++) {
		if (i >= 2)
			set_transport(&p, (unsigned)i - 2);
		must(dataplane_spi_reserve(t->dp, &p.spi_in) == ERR_OK);
		p.id = i;
		p.esn = i == 1;
		p.mif = i & 1; /* every other one has control messages */
		p.ipcomp = !p.mif;
		p.cpi_in = p.cpi_out = CPI;
		must(dataplane_child_add(t->dp, &p) == ERR_OK);
		if (i == 1)
			must(dataplane_child_resequence(t->dp, i, 8, 3 * NS_PER_MS, i % 2) ==
			     ERR_OK);
		t->spi[i] = p.spi_in;
		must(t->aead->key_new(&t->key[i], p.alg, key_material, aead_alg_key_len(p.alg),
				      key_material) == ERR_OK);
	}
	auth_proof_put(proof);
}

static void open_target(struct target *t, uint8_t alg)
{
	struct rng_seeded rng;
	const struct dataplane_config config = {
		.num_packets = 32, .flow_cache_len = 64, .rng = &rng.rng};

	*t = (struct target){.now = NS_PER_S, .alg = AEAD_NONE + 1 + alg % (AEAD_NUM - 1)};
	shape = aead_shape(t->alg);
	rng_seeded_init(&rng, 1);
	must(ts_parse(&local[0], "10.2.0.0/16") == ERR_OK);
	must(ts_parse(&local[1], "fd02::/32") == ERR_OK);
	must(ts_parse(&remote[0], "10.1.0.0/16") == ERR_OK);
	must(ts_parse(&remote[1], "fd01::/32[udp]") == ERR_OK);
	must(ts_parse(&local_end[0], "10.2.0.1") == ERR_OK);
	must(ts_parse(&local_end[1], "fd02::1") == ERR_OK);
	must(ts_parse(&remote_end[0], "10.1.0.1") == ERR_OK);
	must(ts_parse(&remote_end[1], "fd01::1[udp]") == ERR_OK);
	must(ip_addr_parse(&t->path.local.addr, "192.0.2.2") == ERR_OK);
	must(ip_addr_parse(&t->path.remote.addr, "192.0.2.1") == ERR_OK);
	t->path.local.port = t->path.remote.port = 4500;
	t->path.encap = ENCAP_UDP;
	must(aead_select(&t->aead, t->alg, "openssl") == ERR_OK);
	must(aead_work_new(&t->work) == ERR_OK);
	must(dataplane_new(&t->dp, &config) == ERR_OK);
	add_ports(t);
	add_sas(t);
}

static void close_target(struct target *t)
{
	dataplane_free(t->dp);
	memory_close_far(t->host);
	memory_close_far(t->wire);
	for (int i = 0; i < NUM_SAS; i++)
		t->aead->key_free(t->key[i]);
	aead_work_free(t->work);
}

/* sa_of - the number of the SA that an op means. */
static unsigned sa_of(uint8_t op)
{
	return (op & OP_SA ? 1u : 0u) + ((op & (OP_NO_UDP | OP_PORT)) == OP_PORT ? 2u : 0u);
}

/* seal - encrypt len bytes of text at room + FRONT_MAX, which becomes an ESP packet; where it
 * begins. */
static uint8_t *seal(struct target *t, uint8_t *room, size_t *len, uint8_t op_byte)
{
	unsigned sa = sa_of(op_byte);
	bool esn = sa == 1;
	uint64_t step = op_byte >> OP_STEP;
	uint64_t seq = op_byte & OP_BACK ? t->seq[sa] - step : t->seq[sa] + step + 1;
	struct aead_op op = {.key = t->key[sa], .text = room + FRONT_MAX, .aad_len = esn ? 12 : 8};
	uint8_t *head = op.text - shape->iv_len - AEAD_HEAD_LEN;

	*len -= *len % shape->align;
	if (*len == 0)
		*len = shape->align;
	op.len = (uint32_t)*len;
	op.icv = op.text + *len;
	if (!(op_byte & OP_BACK))
		t->seq[sa] = seq;
	store_be64(op.text - 8, seq);
	store_be32(head, t->spi[sa]);
	store_be32(head + 4, (uint32_t)seq);
	memcpy(op.nonce, key_material + aead_alg_key_len(t->alg), shape->salt_len);
	store_be64(op.nonce + 4, seq);
	store_be32(op.aad, t->spi[sa]);
	if (esn)
		store_be64(op.aad + 4, seq);
	else
		store_be32(op.aad + 4, (uint32_t)seq);
	t->aead->encrypt(t->work, &op, 1);
	must(op.ok);
	*len += (size_t)(op.text - head) + shape->icv_len;
	return head;
}

/* check_delivered - what came in is IP that the SAs admit. */
static void check_delivered(struct target *t)
{
	uint8_t buf[MAX_LEN + 64];
	size_t len;

	while (memory_take(t->host, buf, sizeof(buf), &len, NULL)) {
		struct packet p = {
			.data = buf, .buf = buf, .len = (uint32_t)len, .cap = sizeof(buf)};
		struct flow_key key;
		struct flow_id id;

		must(flow_parse(&id, &p, FLOW_IN));
		key = flow_key(&id);
		must(p.len == len);
		must(flow_match(&key, local, 2, remote, 2));
	}
}

static void check_books(struct target *t)
{
	struct dataplane_stats st;
	uint64_t drops = 0;

	dataplane_stats(t->dp, &st);
	for (size_t i = 0; i < ARRAY_LEN(st.drops); i++)
		drops += st.drops[i];
	must(st.rx_packets + st.made == st.tx_packets + st.held + drops + st.punted + st.consumed);
}

static void take_events(struct target *t)
{
	struct dp_event ev;

	while (dataplane_event_next(t->dp, &ev)) {
		must(ev.kind != DP_EVENT_IKE || ev.bytes.p);
		must(ev.kind != DP_EVENT_PROBE || (ev.bytes.p && (ev.child & 1)));
		dp_event_release(t->dp, &ev);
	}
}

static void arrive(struct target *t, uint8_t op, const uint8_t *bytes, size_t len)
{
	uint8_t room[FRONT_MAX + MAX_LEN + AEAD_ALIGN_MAX + AEAD_ICV_MAX] = {0}, *buf = room;
	struct path_addr from = t->path;

	if (op & OP_SEALED) {
		memcpy(room + FRONT_MAX, bytes, len);
		buf = seal(t, room, &len, op);
	} else {
		memcpy(buf, bytes, len);
		if (len >= 4 && load_be32(buf) < NUM_SAS && len > 4 && buf[4] != 0)
			store_be32(buf, t->spi[load_be32(buf)]); /* a live SPI */
	}
	if (op & OP_NO_UDP) {
		from.encap = ENCAP_NONE;
		from.local.port = from.remote.port = op & OP_PORT ? 500 : 0;
	}
	must(memory_inject(t->wire, buf, len, &from) == ERR_OK);
}

/* turn - what has arrived is worked on; several records can be in one batch. */
static void turn(struct target *t)
{
	dataplane_poll(t->dp, t->now += NS_PER_MS);
	check_delivered(t);
	check_books(t);
	take_events(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct target t;
	unsigned num = 0;

	open_target(&t, len > 0 ? data[0] : 0);
	if (len > 0) {
		data++;
		len--;
	}
	while (len >= 3 && num < 64) {
		size_t n = load_be16(data + 1);

		if (n > len - 3)
			n = len - 3;
		if (n > MAX_LEN)
			n = MAX_LEN;
		arrive(&t, data[0], data + 3, n);
		data += 3 + n;
		len -= 3 + n;
		if (++num % 4 == 0)
			turn(&t);
	}
	turn(&t);
	close_target(&t);
	return 0;
}
