/* SPDX-License-Identifier: Apache-2.0 */
#include "control/child/wish.h"

#include "base/alloc.h"

static bool is_esp(const struct conf_proposal *list, uint32_t num)
{
	for (uint32_t i = 0; i < num; i++)
		if (list[i].num_prf || !list[i].num_encr)
			return false;
	return num <= CONF_MAX_PROPOSALS;
}

enum err wish_new(struct child_wish **out, const struct ike_initiate_params *p)
{
	const uint32_t num = p->suite ? p->num_suite : 0;
	struct child_wish *w;

	if ((p->narrow && !p->flow) || !is_esp(p->suite, num))
		return ERR_INVAL;
	*out = NULL;
	if (!p->narrow && !num)
		return ERR_OK;
	w = mem_alloc(sizeof(*w) + num * sizeof(w->esp[0]));
	if (!w)
		return ERR_NOMEM;
	w->refs = 1;
	w->narrow = p->narrow;
	if (p->narrow)
		w->flow = *p->flow;
	w->num_esp = num;
	if (num)
		memcpy(w->esp, p->suite, num * sizeof(w->esp[0]));
	*out = w;
	return ERR_OK;
}

void wish_params(struct ike_initiate_params *p, const struct child_wish *w)
{
	p->narrow = w && w->narrow;
	p->flow = p->narrow ? &w->flow : NULL;
	p->suite = w && w->num_esp ? w->esp : NULL;
	p->num_suite = w ? w->num_esp : 0;
}

struct child_wish *wish_get(struct child_wish *w)
{
	if (w)
		w->refs++;
	return w;
}

void wish_put(struct child_wish *w)
{
	if (w && !--w->refs)
		mem_free(w);
}

bool wish_narrow(const struct child_wish *w)
{
	return w && w->narrow;
}

static bool same_esp(const struct child_wish *a, const struct child_wish *b)
{
	return a->num_esp == b->num_esp &&
	       memcmp(a->esp, b->esp, a->num_esp * sizeof(a->esp[0])) == 0;
}

bool wish_met(const struct child_wish *w, const struct child_wish *had)
{
	if (!w)
		return !wish_narrow(had);
	return had && w->narrow == had->narrow &&
	       (!w->narrow || memcmp(&w->flow, &had->flow, sizeof(w->flow)) == 0) &&
	       same_esp(w, had);
}

const struct conf_proposal *wish_esp(uint32_t *out_num, const struct child_wish *w,
				     const struct conf_child *conf)
{
	const bool own = w && w->num_esp;

	*out_num = own ? w->num_esp : conf->num_esp;
	return own ? w->esp : conf->esp;
}
