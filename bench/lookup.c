/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lookup - what it costs to find a policy and an SA among so many: with 1 to 1,000,000 tunnels,
 * each with a policy, a group and a pair of SAs of its own. Warm: the same few again and again;
 * cold: any of all, so that what is looked at lies in memory and not in a cache. Beside that, the
 * memory of a tunnel, and the time to install and to remove one.
 *
 * usage: lookup [--max N] [--json]
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "bench/esp.h"
#include "bench/tunnel.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "dataplane/state.h"

#define SAMPLES 20000
#define WARM    32
/* This host, and where each tunnel has one address of 10/8. */
#define HERE   0xac100001
#define REMOTE 0x0a000000

/* struct tunnels - so many, and what finds them. */
struct tunnels {
	struct dataplane *dp;
	uint32_t num, set;
	uint32_t *groups, *policies, *spis;
	struct auth_proof *proof;
};

/* struct figure - cycles of one look-up. */
struct figure {
	double median, p99;
};

/* struct row - with so many tunnels. */
struct row {
	uint32_t num;
	struct figure policy[2], sa[2]; /* warm, cold */
	double install_us, remove_us, bytes;
};

static void must(enum err e, const char *what)
{
	if (e == ERR_OK)
		return;
	fprintf(stderr, "lookup: %s: %s\n", what, err_name(e));
	exit(1);
}

static struct ip_addr addr(uint32_t address)
{
	uint8_t b[4];

	store_be32(b, address);
	return ip_addr_v4(b);
}

static void add(struct tunnels *t, uint32_t i)
{
	const uint8_t key[AEAD_KEY_MAX] = {1};
	struct ts local = tunnel_ts(HERE, 32), far = tunnel_ts(REMOTE | i, 32);
	struct child_params c = {.id = i + 1,
				 .pathset = t->set,
				 .spi_out = 0x10000 + i,
				 .alg = AEAD_AES_GCM_16_256,
				 .mode = SA_TUNNEL,
				 .replay_window = 64,
				 .local = &local,
				 .remote = &far,
				 .num_local = 1,
				 .num_remote = 1,
				 .proof = t->proof,
				 .outbound_active = true};

	c.key_in = c.key_out = bytes_of(key, aead_alg_material_len(c.alg));
	must(dataplane_spi_reserve(t->dp, &t->spis[i]), "SPI");
	c.spi_in = t->spis[i];
	must(tunnel_add(t->dp, &t->policies[i], &c), "tunnel");
	t->groups[i] = c.group;
}

static void take_out(struct tunnels *t, uint32_t i)
{
	dataplane_child_remove(t->dp, i + 1, CHILD_BOTH);
	dataplane_policy_remove(t->dp, t->policies[i]);
	dataplane_group_remove(t->dp, t->groups[i]);
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static struct figure figure_of(double *samples)
{
	qsort(samples, SAMPLES, sizeof(samples[0]), compare);
	return (struct figure){samples[SAMPLES / 2], samples[SAMPLES / 100 * 99]};
}

/* measure - one look-up after the other, each timed by itself; the counter's own cost is in all. */
static struct figure measure(struct tunnels *t, bool policy, bool cold)
{
	static double samples[SAMPLES];
	uint32_t x = 12345, among = cold ? t->num : (t->num < WARM ? t->num : WARM);
	uint64_t missed = 0;

	for (uint32_t i = 0; i < SAMPLES; i++) {
		struct flow_key k = {.flow = {.local = addr(HERE), .proto = 17}};

		x = x * 1664525 + 1013904223;
		uint32_t which = (uint32_t)((uint64_t)x * among >> 32), spi = t->spis[which];

		k.flow.remote = addr(REMOTE | which);
		uint64_t start = bench_tsc();
		const void *found = policy ? (const void *)spd_lookup(&t->dp->spd, &k)
					   : slots_get(t->dp->sad, spi);

		samples[i] = (double)(bench_tsc() - start);
		missed += !found;
	}
	if (missed)
		must(ERR_NOT_FOUND, "a tunnel that is there");
	return figure_of(samples);
}

static double us_each(uint64_t since_ns, uint32_t num)
{
	return (double)(clock_now_ns() - since_ns) / 1000 / num;
}

static struct row run(uint32_t num)
{
	struct row r = {.num = num};
	struct tunnels t = {.num = num};
	struct dataplane_config config = {.num_packets = 256, .flow_cache_len = 1024};
	struct auth_proof_params who = {.method = AUTH_METHOD_PSK};
	struct path_addr path = {.remote.addr = addr(REMOTE | 1), .encap = ENCAP_NONE};

	t.groups = calloc(num, sizeof(uint32_t));
	t.policies = calloc(num, sizeof(uint32_t));
	t.spis = calloc(num, sizeof(uint32_t));
	t.proof = auth_proof_new(&who);
	if (!t.groups || !t.policies || !t.spis || !t.proof)
		must(ERR_NOMEM, "tunnels");
	must(dataplane_new(&t.dp, &config), "data path");
	must(dataplane_pathset_add(t.dp, &t.set, 0, &path), "path");
	size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
	uint64_t start = clock_now_ns();

	for (uint32_t i = 0; i < num; i++)
		add(&t, i);
	r.install_us = us_each(start, num);
	rcu_flush(&t.dp->retired);
	r.bytes = (double)(mallinfo2().uordblks + mallinfo2().hblkhd - before) / num;
	for (int cold = 0; cold < 2; cold++) {
		r.policy[cold] = measure(&t, true, cold);
		r.sa[cold] = measure(&t, false, cold);
	}
	start = clock_now_ns();
	for (uint32_t i = 0; i < num; i++)
		take_out(&t, i);
	rcu_flush(&t.dp->retired);
	r.remove_us = us_each(start, num);
	dataplane_free(t.dp);
	auth_proof_put(t.proof);
	free(t.groups);
	free(t.policies);
	free(t.spis);
	return r;
}

static void print_table(const struct row *r)
{
	printf("| %u | %.0f, %.0f | %.0f, %.0f | %.0f, %.0f | %.0f, %.0f | %.2f | %.2f | %.0f |\n",
	       r->num, r->policy[0].median, r->policy[0].p99, r->policy[1].median, r->policy[1].p99,
	       r->sa[0].median, r->sa[0].p99, r->sa[1].median, r->sa[1].p99, r->install_us,
	       r->remove_us, r->bytes);
}

static void print_json(const struct row *r)
{
	static const char *const names[] = {"policy_warm", "policy_cold", "sa_warm", "sa_cold"};
	const struct figure figures[] = {r->policy[0], r->policy[1], r->sa[0], r->sa[1]};

	printf("%s{\"tunnels\": %u", r->num == 1 ? "" : ",\n", r->num);
	for (int i = 0; i < 4; i++)
		printf(", \"%s\": {\"median\": %.0f, \"p99\": %.0f}", names[i], figures[i].median,
		       figures[i].p99);
	printf(", \"install_us\": %.2f, \"remove_us\": %.2f, \"bytes\": %.0f}", r->install_us,
	       r->remove_us, r->bytes);
}

int main(int argc, char **argv)
{
	uint32_t max = 1000000;
	bool json = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0) {
			json = true;
		} else if (strcmp(argv[i], "--max") == 0 && i + 1 < argc && atol(argv[i + 1]) > 0 &&
			   atol(argv[i + 1]) <= 4000000) {
			max = (uint32_t)atol(argv[++i]);
		} else {
			fprintf(stderr, "usage: lookup [--max N] [--json]\n");
			return 2;
		}
	}
	if (json)
		printf("{\"schema\": \"latchkey-bench-lookup/1\", \"rows\": [\n");
	else
		printf("cycles, median and 99th of 100\n| tunnels | policy warm | policy cold | SA "
		       "warm | SA cold | install us | remove us | bytes |\n"
		       "| --- | --- | --- | --- | --- | --- | --- | --- |\n");
	for (uint32_t num = 1; num <= max; num *= 10) {
		struct row r = run(num);

		if (json)
			print_json(&r);
		else
			print_table(&r);
		fflush(stdout);
	}
	if (json)
		printf("]}\n");
	return 0;
}
