/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/fit.h"
#include "dataplane/icmp.h"
#include "dataplane/mss.h"
#include "dataplane/passes.h"

/* IP6_MIN_MTU - so much every IPv6 link takes, a tunnel included (RFC 8200 5). */
#define IP6_MIN_MTU 1280

/* struct fit - of successive packets of one SA. */
struct fit {
	const struct esp_sa *sa;
	const struct sa_conf *conf;
	uint32_t len;    /* of the longest packet that goes in one outer packet */
	uint32_t tfc;    /* packets are padded to so many bytes */
	uint8_t copy_df; /* enum df_copy */
	bool touches;    /* packets are changed, or looked into */
};

/* begin - what holds for the packets of an SA now. While what the path takes is in doubt, routers
 * may cut what we send: it gets there, whatever is true. */
static void begin(struct fit *f, const struct esp_sa *sa, uint64_t now_ns)
{
	const struct sa_conf *c = rcu_deref(sa->conf);
	const struct path_table *t = path_table_of(c->paths);

	*f = (struct fit){.sa = sa, .conf = c, .len = fit_len(sa, t, now_ns)};
	f->copy_df = path_in_doubt(t, now_ns) ? DF_CLEAR : c->copy_df;
	/* A transport header does not say where what it begins ends: padding would be taken for
	 * data (RFC 4303 2.7). */
	if (c->tfc_padding && c->mode == SA_TUNNEL)
		f->tfc = c->tfc_padding < f->len ? c->tfc_padding : f->len;
	if (f->tfc == FIT_ANY) /* "as the path takes", and that is not known */
		f->tfc = 0;
	f->touches = f->tfc || c->mss_clamp;
}

/* keeps_whole - the packet says that it is not to be cut; IPv6 packets are cut by nobody on their
 * way, but for one that came in fragments. */
static inline bool keeps_whole(const struct packet *p)
{
	if (p->data[0] >> 4 == 6)
		return !(p->flags & PACKET_F_JOINED);
	return (p->data[6] & IP4_DF >> 8) != 0;
}

/* df_of - the outer header's DF (RFC 4301 8.1). */
static inline uint8_t df_of(const struct fit *f, const struct packet *p)
{
	if (likely(f->copy_df == DF_COPY))
		return p->data[0] >> 4 == 6 || keeps_whole(p) ? PACKET_F_DF : 0;
	return f->copy_df == DF_SET ? PACKET_F_DF : 0;
}

/* pad - traffic flow confidentiality: zeros behind the inner packet, whose header says where it
 * ends (RFC 4303 2.7). */
static void pad(const struct fit *f, struct packet *p)
{
	uint32_t room = packet_tailroom(p);
	uint32_t more = f->tfc > p->len ? f->tfc - p->len : 0;

	/* What prepare adds behind it has its room still. */
	room = room > PACKET_TAILROOM ? room - PACKET_TAILROOM : 0;
	more = more < room ? more : room;
	memset(p->data + p->len, 0, more);
	p->len += more;
}

static void clamp(const struct fit *f, struct packet *p)
{
	uint32_t mss = fit_mss(f->conf, f->len, p->data[0] >> 4 == 6);

	if (mss)
		mss_clamp(p, mss);
}

/* pass_on - a packet that fits, or must not be kept back. */
static inline void pass_on(const struct fit *f, struct packet *p, uint8_t df, struct pktvec *out)
{
	if (f->conf->mss_clamp && unlikely(mss_is_syn(p)))
		clamp(f, p);
	if (unlikely(f->tfc))
		pad(f, p);
	p->flags |= df;
	pktvec_push(out, p);
}

/* tell - the packet's sender, as often as is proper (RFC 4443 2.4 f). */
static void tell(struct worker *w, const struct packet *p, uint32_t mtu)
{
	struct packet *icmp = worker_may(w, &w->tell, WORKER_TELLS) ? packet_get(w->pool) : NULL;

	if (!icmp)
		return;
	if (icmp->pool->data_room < ICMP6_MAX_LEN || !icmp_too_big(icmp, p, mtu)) {
		packet_put(icmp);
		return;
	}
	counter_add(&w->count.made, 1);
	worker_tx(w, p->port, icmp);
}

/* cut - w->cut into out, from where it stopped; true once nothing is left of it. */
static bool cut(struct worker *w, const struct fit *f, struct pktvec *out)
{
	struct packet *p = w->cut.whole;
	bool more = true;

	while (more) {
		if (pktvec_room(out) == 0)
			return false;
		struct packet *part = packet_get(w->pool);

		if (!part) {
			worker_drop(w, p, DROP_NO_BUFFER);
			w->cut.whole = NULL;
			return true;
		}
		more = fragment_cut_next(&w->cut, part);
		counter_add(&w->count.made, 1);
		pass_on(f, part, df_of(f, part), out);
	}
	counter_add(&w->count.consumed, 1);
	packet_put(p);
	w->cut.whole = NULL;
	return true;
}

/* max_part - bytes of one fragment. */
static uint32_t max_part(const struct worker *w, const struct fit *f, const struct packet *p)
{
	uint32_t max = f->len < w->pool->data_room ? f->len : w->pool->data_room;

	return p->flags & PACKET_F_JOINED && p->mtu < max ? p->mtu : max;
}

/* may_exceed - the outer packet is cut instead of this one, which says that it is not to be. */
static bool may_exceed(const struct fit *f, const struct packet *p, uint32_t len)
{
	return f->copy_df == DF_CLEAR || (p->data[0] >> 4 == 6 && len <= IP6_MIN_MTU);
}

/* refuse - p is not to be cut and does not fit. */
static void refuse(struct worker *w, const struct fit *f, struct packet *p)
{
	bool v6 = p->data[0] >> 4 == 6;

	tell(w, p, v6 && f->len < IP6_MIN_MTU ? IP6_MIN_MTU : f->len);
	worker_drop(w, p, DROP_TOLD_MTU);
}

/* too_big - p is longer than what goes in one outer packet, or came in fragments. True: it is dealt
 * with; false: out is full, and w->cut has the rest. */
static bool too_big(struct worker *w, const struct fit *f, struct packet *p, struct pktvec *out)
{
	if (f->conf->mode != SA_TUNNEL && !keeps_whole(p)) {
		pass_on(f, p, 0, out); /* ESP is about whole packets there (RFC 4303 3.3.4) */
	} else if (!keeps_whole(p)) {
		if (fragment_cut_begin(&w->cut, p, max_part(w, f, p)))
			return cut(w, f, out);
		worker_drop(w, p, DROP_TOO_BIG);
	} else if (may_exceed(f, p, p->len)) {
		pass_on(f, p, 0, out);
	} else {
		refuse(w, f, p);
	}
	return true;
}

/* goes_whole - p is for one outer packet, as it is. */
static inline bool goes_whole(const struct fit *f, const struct packet *p)
{
	if (unlikely(p->flags & (PACKET_F_JOINED | PACKET_F_SUM)) &&
	    (p->flags & PACKET_F_SUM || p->len > p->mtu))
		return false;
	return p->len <= f->len && !p->seg_len;
}

/* take_segment - the next one of w->super; NULL: there is no buffer, and what is left is dropped.
 */
static struct packet *take_segment(struct worker *w)
{
	struct packet *p = w->super.whole;
	bool fits = super_longest(&w->super) <= w->pool->data_room;
	struct packet *part = packet_get(fits ? w->pool : w->longer);

	if (!part) {
		worker_drop(w, p, DROP_NO_BUFFER);
		w->super.whole = NULL;
		return NULL;
	}
	counter_add(&w->count.made, 1);
	if (super_next(&w->super, part))
		return part;
	counter_add(&w->count.consumed, 1);
	packet_put(p);
	w->super.whole = NULL;
	return part;
}

/* cut_super - w->super into out, from where it stopped; each segment is then a packet as any other.
 * False: out is full. */
static bool cut_super(struct worker *w, const struct fit *f, struct pktvec *out)
{
	while (w->super.whole) {
		if (pktvec_room(out) == 0)
			return false;
		struct packet *p = take_segment(w);

		if (likely(p != NULL) && likely(goes_whole(f, p)))
			pass_on(f, p, df_of(f, p), out);
		else if (p && !too_big(w, f, p, out))
			return false;
	}
	return true;
}

/* begin_super - as cut_super() with p. One that would not fit out beside what is there waits, so
 * that its segments stay together on their way. If segments do not fit the path TCP's are made
 * shorter; where they may not be cut the sender is told once. */
static bool begin_super(struct worker *w, const struct fit *f, struct packet *p, struct pktvec *out)
{
	struct super *s = &w->super;

	if (!super_begin(s, p)) {
		worker_drop(w, p, DROP_MALFORMED_INNER);
		return true;
	}
	if (unlikely(super_longest(s) > f->len) && keeps_whole(p) &&
	    !may_exceed(f, p, super_longest(s))) {
		super_first(s);
		s->whole = NULL;
		refuse(w, f, p);
		return true;
	}
	/* What cannot be made shorter is cut segment by segment. */
	bool shorter = super_longest(s) > f->len && !keeps_whole(p) && super_shrink(s, f->len);

	(void)shorter;
	if (out->num && super_count(s) > pktvec_room(out))
		return false;
	return cut_super(w, f, out);
}

/* as_it_is - how many from in->pkt[i] on are for one outer packet each and need nothing else: the
 * everyday case. They get their DF and go to out. */
static uint32_t as_it_is(const struct fit *f, const struct pktvec *in, uint32_t i,
			 struct pktvec *out)
{
	uint32_t max = in->num - i < pktvec_room(out) ? in->num - i : pktvec_room(out);
	uint32_t n;

	for (n = 0; n < max; n++) {
		struct packet *p = in->pkt[i + n];

		if (unlikely(p->sa != f->sa || !goes_whole(f, p)))
			break;
		p->flags |= df_of(f, p);
		out->pkt[out->num + n] = p;
	}
	out->num += n;
	return n;
}

/* go_on - with what did not fit out the last time, whatever its path takes by now. False: it still
 * does not. */
static bool go_on(struct worker *w, struct fit *f, struct pktvec *out)
{
	if (w->cut.whole) {
		begin(f, w->cut.whole->sa, w->now_ns);
		if (!cut(w, f, out))
			return false;
	}
	if (w->super.whole) {
		begin(f, w->super.whole->sa, w->now_ns);
		return cut_super(w, f, out);
	}
	return true;
}

/* complete - a checksum that was for a port to complete: behind the encryption none can. */
static bool complete(struct worker *w, struct packet *p)
{
	if (super_sum(p))
		return true;
	worker_drop(w, p, DROP_MALFORMED_INNER);
	return false;
}

void out_fit(struct worker *w, struct pktvec *in, struct pktvec *out)
{
	struct fit f = {0};
	bool goes = true;
	uint32_t i = 0;

	out->num = 0;
	if (unlikely(out_fit_pending(w)))
		goes = go_on(w, &f, out);
	while (goes && i < in->num && pktvec_room(out)) {
		struct packet *p = in->pkt[i];

		if (p->sa != f.sa)
			begin(&f, p->sa, w->now_ns);
		if (likely(!f.touches) && likely(goes_whole(&f, p))) {
			i += as_it_is(&f, in, i, out);
			continue;
		}
		i++;
		if (unlikely(p->flags & PACKET_F_SUM) && !complete(w, p))
			continue;
		if (p->seg_len)
			goes = begin_super(w, &f, p, out);
		else if (goes_whole(&f, p))
			pass_on(&f, p, df_of(&f, p), out);
		else
			goes = too_big(w, &f, p, out);
	}
	in->num -= i;
	memmove(in->pkt, in->pkt + i, in->num * sizeof(in->pkt[0]));
}
