/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/links.h"

#include "tests/sim/sim.h"

#include <assert.h>
#include <stdio.h>

struct sim_link *sim_join(struct sim *s, unsigned a, unsigned b, const char *orders)
{
	const uint8_t outside[4] = {203, 0, 113, (uint8_t)(10 + s->num_links)};
	struct sim_link *l = &s->links[s->num_links++];

	assert(s->num_links <= SIM_MAX_LINKS);
	*l = (struct sim_link){.ends = {sim_addr(0, a), sim_addr(1, b)},
			       .outside = ip_addr_v4(outside)};
	for (unsigned i = 0; i < 2; i++)
		line_seed(&l->line[i], sim_random(s, UINT64_MAX));
	sim_tell(l, orders);
	return l;
}

void sim_tell(struct sim_link *l, const char *orders)
{
	struct line_rules rules[2] = {l->line[0].rules, l->line[1].rules};
	const char *wrong = line_order(rules, orders);

	if (wrong)
		fprintf(stderr, "%s: %s\n", orders, wrong);
	assert(!wrong);
	for (unsigned i = 0; i < 2; i++)
		l->line[i].rules = rules[i];
}

/* a_at - where B finds A by this wire. */
static const struct ip_addr *a_at(const struct sim_link *l)
{
	return l->nat ? &l->outside : &l->ends[0];
}

struct sim_link *sim_link_of(struct sim *s, unsigned from, const struct path_addr *path)
{
	for (unsigned i = 0; i < s->num_links; i++) {
		struct sim_link *l = &s->links[i];
		const struct ip_addr *local = from ? &l->ends[1] : &l->ends[0];
		const struct ip_addr *remote = from ? a_at(l) : &l->ends[1];

		if (ip_addr_equal(local, &path->local.addr) &&
		    ip_addr_equal(remote, &path->remote.addr))
			return l;
	}
	return NULL;
}

struct path_addr sim_link_seen(const struct sim_link *l, unsigned from,
			       const struct path_addr *path)
{
	struct path_addr p = {.local = path->remote, .remote = path->local, .encap = path->encap};

	if (!l->nat)
		return p;
	if (from == 0) {
		p.remote.addr = l->outside;
		p.remote.port = (uint16_t)(p.remote.port + l->nat);
	} else {
		p.local.addr = l->ends[0];
		p.local.port = (uint16_t)(p.local.port - l->nat);
	}
	return p;
}
