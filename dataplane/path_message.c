/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/path_message.h"

#define VERSION 1

/* Where the fields are. */
enum {
	AT_VERSION = 0,
	AT_TYPE = 1,
	AT_PATH = 2,
	AT_FLAGS = 4,
	AT_PORT = 6,
	AT_CHALLENGE = 8,
	AT_SENT = 24,
	AT_HELD = 32,
	AT_FAMILY = 36,
	AT_ADDR = 40,
	AT_TRAFFIC = 56,
	AT_TOP = 88,
};

static_assert(AT_TOP + 8 == PATH_MESSAGE_LEN, "the last field ends it");

void path_message_build(uint8_t out[static PATH_MESSAGE_LEN], const struct path_message *m)
{
	const struct path_traffic *t = &m->traffic;
	const uint64_t counts[] = {t->tx_packets, t->tx_bytes, t->rx_packets, t->rx_bytes};

	memset(out, 0, PATH_MESSAGE_LEN);
	out[AT_VERSION] = VERSION;
	out[AT_TYPE] = (uint8_t)m->type;
	store_be16(out + AT_PATH, m->path);
	store_be16(out + AT_FLAGS, m->flags);
	store_be16(out + AT_PORT, m->observed.port);
	memcpy(out + AT_CHALLENGE, m->challenge, PATH_CHALLENGE_LEN);
	store_be64(out + AT_SENT, m->sent_us);
	store_be32(out + AT_HELD, m->held_us);
	out[AT_FAMILY] = m->observed.addr.family;
	memcpy(out + AT_ADDR, m->observed.addr.b, sizeof(m->observed.addr.b));
	for (size_t i = 0; i < 4; i++)
		store_be64(out + AT_TRAFFIC + 8 * i, counts[i]);
	store_be64(out + AT_TOP, m->top);
}

/* parse_observed - false: a family that there is not. */
static bool parse_observed(struct endpoint *out, const uint8_t *p)
{
	*out = (struct endpoint){0};
	switch (p[AT_FAMILY]) {
	case IP_NONE:
		return true;
	case IP_V4:
		out->addr = ip_addr_v4(p + AT_ADDR);
		break;
	case IP_V6:
		out->addr = ip_addr_v6(p + AT_ADDR);
		break;
	default:
		return false;
	}
	out->port = load_be16(p + AT_PORT);
	return true;
}

enum err path_message_parse(struct path_message *out, struct bytes b)
{
	const uint8_t *p = b.p;

	if (b.len < PATH_MESSAGE_LEN || p[AT_VERSION] != VERSION)
		return ERR_MALFORMED;
	if (p[AT_TYPE] != PATH_PROBE && p[AT_TYPE] != PATH_ANSWER)
		return ERR_MALFORMED;
	*out = (struct path_message){
		.type = p[AT_TYPE],
		.path = load_be16(p + AT_PATH),
		.flags = load_be16(p + AT_FLAGS),
		.held_us = load_be32(p + AT_HELD),
		.sent_us = load_be64(p + AT_SENT),
		.traffic = {.tx_packets = load_be64(p + AT_TRAFFIC),
			    .tx_bytes = load_be64(p + AT_TRAFFIC + 8),
			    .rx_packets = load_be64(p + AT_TRAFFIC + 16),
			    .rx_bytes = load_be64(p + AT_TRAFFIC + 24)},
		.top = load_be64(p + AT_TOP),
	};
	memcpy(out->challenge, p + AT_CHALLENGE, PATH_CHALLENGE_LEN);
	if (out->path == 0 || !parse_observed(&out->observed, p))
		return ERR_MALFORMED;
	return ERR_OK;
}
