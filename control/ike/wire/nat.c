/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/wire/nat.h"

enum err nat_hash(struct crypto_ctx *c, uint8_t out[static SHA1_LEN], uint64_t spi_i,
		  uint64_t spi_r, const struct endpoint *end)
{
	const struct be64 i = be64_make(spi_i), r = be64_make(spi_r);
	const struct be16 port = be16_make(end->port);
	const struct bytes parts[] = {bytes_of(&i, 8), bytes_of(&r, 8),
				      bytes_of(end->addr.b, ip_addr_len(&end->addr)),
				      bytes_of(&port, 2)};

	return crypto_sha1(c, out, parts, ARRAY_LEN(parts));
}

enum err nat_build(struct crypto_ctx *c, struct ike_builder *b, uint64_t spi_i, uint64_t spi_r,
		   const struct path_addr *path, bool force)
{
	uint8_t source[SHA1_LEN], destination[SHA1_LEN];
	struct endpoint from = path->local;
	enum err e;

	/* No datagram comes from address zero, so this hash matches none. */
	if (force)
		memset(from.addr.b, 0, sizeof(from.addr.b));
	e = nat_hash(c, source, spi_i, spi_r, &from);
	if (e == ERR_OK)
		e = nat_hash(c, destination, spi_i, spi_r, &path->remote);
	if (e != ERR_OK)
		return e;
	wire_notify_build(b, NOTIFY_NAT_DETECTION_SOURCE_IP, bytes_of(source, SHA1_LEN));
	wire_notify_build(b, NOTIFY_NAT_DETECTION_DESTINATION_IP, bytes_of(destination, SHA1_LEN));
	return ERR_OK;
}

enum err nat_detect(struct crypto_ctx *c, struct nat_found *out, const struct ike_msg *m,
		    const struct path_addr *path)
{
	uint8_t source[SHA1_LEN], destination[SHA1_LEN];
	bool any_source = false, any_destination = false, same_source = false,
	     same_destination = false;
	struct wire_notify n;
	enum err e;

	e = nat_hash(c, source, m->h.spi_i, m->h.spi_r, &path->remote);
	if (e == ERR_OK)
		e = nat_hash(c, destination, m->h.spi_i, m->h.spi_r, &path->local);
	if (e != ERR_OK)
		return e;
	/* A sender with several addresses sends several source hashes; one that matches is enough.
	 */
	for (uint32_t i = 0; i < m->num; i++) {
		if (m->payloads[i].type != PAYLOAD_NOTIFY ||
		    wire_notify_parse(&n, m->payloads[i].body) != ERR_OK)
			continue;
		if (n.type == NOTIFY_NAT_DETECTION_SOURCE_IP) {
			any_source = true;
			same_source |= bytes_equal(n.data, bytes_of(source, SHA1_LEN));
		} else if (n.type == NOTIFY_NAT_DETECTION_DESTINATION_IP) {
			any_destination = true;
			same_destination |= bytes_equal(n.data, bytes_of(destination, SHA1_LEN));
		}
	}
	*out = (struct nat_found){.known = any_source && any_destination};
	out->peer = out->known && !same_source;
	out->local = out->known && !same_destination;
	return ERR_OK;
}
