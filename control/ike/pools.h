/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pools.h - addresses that peers are lent (RFC 7296 2.19), and who has or had which: a peer gets
 * again what it had as long as nobody else needed it. The configuration says what pools there are;
 * leases outlast its changes. Control thread.
 */
#pragma once

#include "base/htab.h"
#include "base/list.h"
#include "control/conf/conf.h"

struct rng;

/* LEASES_KEPT - of a pool, remembered after they were given back. LEASES_EACH - of a pool that one
 * peer may have at a time. */
#define LEASES_KEPT 65536
#define LEASES_EACH 16

/* POOL_OWNER_LEN - of what tells owners apart. */
#define POOL_OWNER_LEN 32

/* struct lease - an address that is lent, or was. */
struct lease {
	struct htab_node by_addr, by_owner;
	struct list_node node; /* pool's free ones, the one given back first in front */
	struct pool *pool;
	uint32_t refs; /* IKE SAs that have it */
	struct ip_addr addr;
	struct ike_id owner; /* type 0: nobody with a name */
	uint8_t owner_key[POOL_OWNER_LEN];
};

/* struct pools - all of an engine. An address has one lease, whatever pools it is or was of. */
struct pools {
	struct list_node list;
	struct htab by_addr;
	const struct rng *rng;
};

/* struct pool_peer - who wants an address. conn: of which connection: an identity is one's there,
 * and may be another's elsewhere. many: more than one may prove to be it (a key of a group): what
 * it has in use is not shared. */
struct pool_peer {
	const char *conn;
	const struct ike_id *id;
	bool many;
};

/* pools_init - none. Errors: NOMEM, CRYPTO. pools_fini - nobody has an address any more; also of
 * the zero state. */
MUST_USE enum err pools_init(struct pools *p, const struct rng *rng) NONNULL(1, 2);
void pools_fini(struct pools *p) NONNULL(1);

/*
 * pool_lend - an address of the pool to this peer: that which it asks for if it has it or had it
 * last; else another one that it had; else one that nobody had; else that which was given back
 * longest ago. wanted: 0.0.0.0 or :: for any. *out has one more reference. Errors: FULL (all are
 * lent, or the peer has as many as it may), NOMEM, CRYPTO.
 */
MUST_USE enum err pool_lend(struct lease **out, struct pools *p, const struct conf_pool *conf,
			    const struct pool_peer *peer, const struct ip_addr *wanted)
	NONNULL(1, 2, 3, 4, 5);

/* lease_put - one reference less. */
void lease_put(struct lease *l) NONNULL(1);

/* pool_each - the leases of the pool of this name, in use or not, in no order. */
void pool_each(const struct pools *p, const char *name,
	       void (*fn)(void *ctx, const struct lease *l), void *ctx) NONNULL(1, 2, 3);
