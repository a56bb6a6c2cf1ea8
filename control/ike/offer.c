/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/offer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "control/ike/wire/names.h"

/* struct text - a buffer of OFFER_TEXT_MAX that fills up. */
struct text {
	char *buf;
	size_t len;
	bool full;
};

static const char more[] = "...";

static struct text text_begin(char *buf)
{
	buf[0] = 0;
	return (struct text){.buf = buf};
}

/* A piece that does not fit is left out whole, with room kept for saying so. */
static void PRINTF_LIKE(2, 3) text_add(struct text *t, const char *fmt, ...)
{
	const size_t room = OFFER_TEXT_MAX - sizeof(more) + 1 - t->len;
	va_list ap;
	int n;

	if (t->full)
		return;
	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->len, room, fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < room) {
		t->len += (size_t)n;
		return;
	}
	t->full = true;
	memcpy(t->buf + t->len, more, sizeof(more));
}

/* A transform of a proposal; first: nothing of it stands yet. "None" of a type goes without. */
static void add_transform(struct text *t, bool *first, uint8_t type, uint16_t id, uint16_t bits)
{
	const bool added = type >= TRANSFORM_ADDKE1 && type <= TRANSFORM_ADDKE7;
	const char *word = conf_transform_word(added ? TRANSFORM_DH : type, id, bits);
	const char *dash = *first ? "" : "-";
	char name[WIRE_NAME_MAX];

	if (id == 0 && (type == TRANSFORM_INTEG || type == TRANSFORM_DH || added))
		return;
	if (word && added)
		text_add(t, "%ske%u_%s", dash, type - TRANSFORM_ADDKE1 + 1u, word);
	else if (word)
		text_add(t, "%s%s", dash, word);
	else if (bits)
		text_add(t, "%s%s-%u", dash, wire_transform_name(name, type, id), bits);
	else
		text_add(t, "%s%s", dash, wire_transform_name(name, type, id));
	*first = false;
}

const char *offer_text(char buf[static OFFER_TEXT_MAX], enum sa_kind kind,
		       const struct conf_proposal *ours, uint32_t num)
{
	struct text t = text_begin(buf);

	for (uint32_t i = 0; i < num; i++) {
		const struct conf_proposal *p = &ours[i];
		bool first = true;

		if (i)
			text_add(&t, ", ");
		for (uint32_t n = 0; n < p->num_encr; n++)
			add_transform(&t, &first, TRANSFORM_ENCR, p->encr[n].id,
				      p->encr[n].key_bits);
		for (uint32_t n = 0; n < p->num_integ; n++)
			add_transform(&t, &first, TRANSFORM_INTEG, p->integ[n], 0);
		for (uint32_t n = 0; n < p->num_prf; n++)
			add_transform(&t, &first, TRANSFORM_PRF, p->prf[n], 0);
		for (uint32_t n = 0; n < p->num_dh && kind != SA_KIND_CHILD_AUTH; n++)
			add_transform(&t, &first, TRANSFORM_DH, p->dh[n], 0);
		for (uint8_t k = 0; k < CONF_MAX_ADDKE && kind != SA_KIND_CHILD_AUTH; k++)
			for (uint32_t n = 0; n < p->num_addke[k]; n++)
				add_transform(&t, &first, TRANSFORM_ADDKE1 + k, p->addke[k][n], 0);
		for (uint32_t n = 0; n < p->num_esn; n++)
			add_transform(&t, &first, TRANSFORM_ESN, p->esn[n], 0);
	}
	return buf;
}

const char *offer_peer_text(char buf[static OFFER_TEXT_MAX], const struct sa_payload *peer)
{
	struct text t = text_begin(buf);

	for (uint32_t i = 0; i < peer->num_proposals; i++) {
		const struct sa_proposal *p = &peer->proposals[i];
		bool first = true;

		if (i)
			text_add(&t, ", ");
		for (uint32_t n = 0; n < p->num_transforms; n++) {
			const struct sa_transform *x = &peer->transforms[p->first + n];

			add_transform(&t, &first, x->type, x->id, x->key_bits);
		}
	}
	return buf;
}

static void add_ts(struct text *t, const struct ts_list *l)
{
	char one[TS_TEXT_MAX];

	if (!l->num)
		text_add(t, "nothing");
	for (uint32_t i = 0; i < l->num; i++)
		text_add(t, "%s%s", i ? ", " : "", ts_text(one, &l->ts[i]));
}

const char *offer_ts_text(char buf[static OFFER_TEXT_MAX], const struct ts_list *local,
			  const struct ts_list *remote)
{
	struct text t = text_begin(buf);

	add_ts(&t, local);
	text_add(&t, " === ");
	add_ts(&t, remote);
	return buf;
}

static void add_conf_ts(struct text *t, const struct conf_ts *ts, uint32_t num)
{
	char one[TS_TEXT_MAX];

	for (uint32_t i = 0; i < num; i++)
		text_add(t, "%s%s", i ? ", " : "",
			 ts[i].dynamic ? "dynamic" : ts_text(one, &ts[i].ts));
}

const char *offer_children_text(char buf[static OFFER_TEXT_MAX], const struct conf_child *children,
				uint32_t num)
{
	struct text t = text_begin(buf);

	for (uint32_t i = 0; i < num; i++) {
		const struct conf_child *c = &children[i];

		text_add(&t, "%s", i ? "; " : "");
		add_conf_ts(&t, c->local_ts, c->num_local_ts);
		text_add(&t, " === ");
		add_conf_ts(&t, c->remote_ts, c->num_remote_ts);
	}
	return buf;
}
