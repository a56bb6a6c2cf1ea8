/* SPDX-License-Identifier: Apache-2.0 */
#include "control/child/ipcomp.h"

#include "control/ike/wire/ipcomp.h"

/* CPI_FIRST, CPI_LAST - those that two agree on (RFC 3173 3.3): below, numbers name algorithms by
 * themselves or are reserved, above they are for private use. */
#define CPI_FIRST 256
#define CPI_LAST  61439

/* new_cpi - one after the other, from anywhere: a peer that finds what it sends with by address and
 * CPI alone, as kernels do, never has two pairs of ours with one of them. */
static enum err new_cpi(struct ike_engine *e, uint16_t *out)
{
	uint16_t v;
	enum err err;

	if (e->last_cpi) {
		e->last_cpi = e->last_cpi == CPI_LAST ? CPI_FIRST : (uint16_t)(e->last_cpi + 1);
		*out = e->last_cpi;
		return ERR_OK;
	}
	err = engine_random(e, &v, sizeof(v));
	if (err)
		return err;
	*out = e->last_cpi = (uint16_t)(CPI_FIRST + v % (CPI_LAST - CPI_FIRST + 1));
	return ERR_OK;
}

enum err ipcomp_offer(struct step *s, struct child_work *w)
{
	return w->conf->ipcomp && !w->cpi_in ? new_cpi(s->e, &w->cpi_in) : ERR_OK;
}

void ipcomp_build(struct step *s, const struct child_work *w)
{
	if (w->initiator ? w->cpi_in : w->ipcomp)
		wire_ipcomp_build(&s->b, w->cpi_in, IPCOMP_DEFLATE);
}

enum err ipcomp_choose(struct step *s, struct child_work *w)
{
	struct wire_ipcomp n;

	if (!wire_ipcomp_find(&n, s->msg))
		return ERR_OK;
	if (!w->conf->ipcomp || n.transform != IPCOMP_DEFLATE) {
		LOG(INFO, CHD, s->sa->conn->name,
		    "%s: the peer offers compression, %s: packets go as they are", w->conf->name,
		    w->conf->ipcomp ? "and not by DEFLATE" : "which `ipcomp` is not set for");
		return ERR_OK;
	}
	w->ipcomp = true;
	w->cpi_out = n.cpi;
	return new_cpi(s->e, &w->cpi_in);
}

enum err ipcomp_take(struct step *s, struct child_work *w)
{
	struct wire_ipcomp n;

	w->ipcomp = wire_ipcomp_find(&n, s->msg);
	if (!w->ipcomp) {
		if (w->cpi_in)
			LOG(INFO, CHD, s->sa->conn->name,
			    "%s: the peer does not take compression: packets go as they are",
			    w->conf->name);
		return ERR_OK;
	}
	if (!w->cpi_in || n.transform != IPCOMP_DEFLATE || n.num > 1)
		return step_fail_child(
			s, IKE_REASON_PEER_ERROR, 0,
			"the peer compresses what goes by child %s in a way that was "
			"not offered: switch compression off there",
			w->conf->name);
	w->cpi_out = n.cpi;
	return ERR_OK;
}
