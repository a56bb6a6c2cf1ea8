/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the two sides agree. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/parts.h"

const struct sim_pair *sim_newest(const struct sim *s, unsigned side)
{
	static const struct sim_pair none = {.mode = (enum sa_mode)99, .tfc_padding = UINT32_MAX};
	const struct sim_pair *p = &none;

	for (uint32_t i = 0; i < s->n[side].num_pairs; i++)
		if (s->n[side].pairs[i].id > p->id)
			p = &s->n[side].pairs[i];
	return p;
}

uint32_t sim_num_pairs(const struct sim *s, unsigned side)
{
	const struct sim_node *n = &s->n[side];
	uint32_t num = 0;

	for (uint32_t i = 0; i < n->num_pairs; i++)
		num += n->pairs[i].in && n->pairs[i].out;
	return num;
}

static bool matched(const struct sim_pair *a, const struct sim_node *other)
{
	for (uint32_t i = 0; i < other->num_pairs; i++) {
		const struct sim_pair *b = &other->pairs[i];

		if (a->spi_in == b->spi_out && a->spi_out == b->spi_in && b->in && b->out)
			return a->mode == b->mode && a->key_len == b->key_len &&
			       memcmp(a->key_in, b->key_out, a->key_len) == 0 &&
			       memcmp(a->key_out, b->key_in, a->key_len) == 0;
	}
	return false;
}

/* All that packets go out on, and there is something. */
static bool side_up(const struct sim_node *n, const struct sim_node *other)
{
	bool any = false;

	for (uint32_t i = 0; i < n->num_pairs; i++) {
		if (!sim_is_outbound(n, &n->pairs[i]))
			continue;
		any = true;
		if (!matched(&n->pairs[i], other))
			return false;
	}
	return any;
}

bool sim_up(struct sim *s)
{
	return side_up(&s->n[0], &s->n[1]) && side_up(&s->n[1], &s->n[0]);
}

struct sas {
	uint64_t spi[64][2];
	uint32_t num;
};

static void collect(void *ctx, const struct ike_sa_info *sa)
{
	struct sas *l = ctx;

	assert(l->num < 64);
	l->spi[l->num][0] = sa->spi_i;
	l->spi[l->num++][1] = sa->spi_r;
}

uint32_t sim_num_sas(struct sim *s, unsigned side)
{
	struct sas l = {.num = 0};

	ike_each_sa(s->n[side].e, collect, &l);
	return l.num;
}

static bool same_sas(struct sim *s, char why[static 200])
{
	struct sas l[2] = {{.num = 0}, {.num = 0}};

	for (unsigned i = 0; i < 2; i++)
		ike_each_sa(s->n[i].e, collect, &l[i]);
	for (unsigned side = 0; side < 2; side++)
		for (uint32_t i = 0; i < l[side].num; i++) {
			bool found = false;

			for (uint32_t j = 0; j < l[!side].num; j++)
				found |= !memcmp(l[side].spi[i], l[!side].spi[j], 16);
			if (!found) {
				snprintf(why, 200, "IKE SA %016lx_i only on side %c",
					 (unsigned long)l[side].spi[i][0], 'A' + (int)side);
				return false;
			}
		}
	return true;
}

bool sim_same(struct sim *s, char why[static 200])
{
	if (!same_sas(s, why))
		return false;
	for (unsigned side = 0; side < 2; side++) {
		const struct sim_node *n = &s->n[side];

		for (uint32_t i = 0; i < n->num_pairs; i++) {
			const struct sim_pair *p = &n->pairs[i];

			if (p->in && p->out && matched(p, &s->n[!side]))
				continue;
			snprintf(why, 200, "pair %08x/%08x of side %c (in %d, out %d) is alone",
				 p->spi_in, p->spi_out, 'A' + (int)side, p->in, p->out);
			return false;
		}
	}
	return true;
}

bool sim_clean(const struct sim *s, unsigned side)
{
	const struct sim_node *n = &s->n[side];

	return !n->num_pairs && !n->num_peers && !n->num_spis && !n->num_addresses;
}
