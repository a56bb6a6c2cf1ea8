/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pktvec.h - a vector of packets: what passes work on. Thread: its worker.
 */
#pragma once

#include "dataplane/packet.h"

/* PKTVEC_MAX - packets a vector holds. */
#define PKTVEC_MAX 64

/* struct pktvec - num packets, owned by the vector. */
struct pktvec {
	uint32_t num;
	struct packet *pkt[PKTVEC_MAX];
};

/* pktvec_room - how many more fit. */
static inline uint32_t pktvec_room(const struct pktvec *v)
{
	return PKTVEC_MAX - v->num;
}

/* pktvec_push - append; there must be room. */
static inline void pktvec_push(struct pktvec *v, struct packet *p)
{
	v->pkt[v->num++] = p;
}

/* pktvec_copy - out holds what v does, which gives it up. */
static inline void pktvec_copy(struct pktvec *out, const struct pktvec *v)
{
	out->num = v->num;
	memcpy(out->pkt, v->pkt, v->num * sizeof(v->pkt[0]));
}
