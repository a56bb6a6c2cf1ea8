/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.h - IKE SAs by what others name them by: the peer's SPI, where the peer is, and who it is.
 * What a peer, or a stranger, can cause a look-up by takes as long with 100,000 IKE SAs as with
 * one, those apart that share what is looked for: peers behind one address, or with one identity.
 * (By our own SPI: sa_by_spi().) Control thread.
 */
#pragma once

#include "control/ike/sa.h"

/* sa_index_init - three empty tables, with the key of another one. Errors: NOMEM. sa_index_fini -
 * their memory; the zero state is accepted. */
MUST_USE enum err sa_index_init(struct sa_index *x, const struct htab *like) NONNULL(1, 2);
void sa_index_fini(struct sa_index *x) NONNULL(1);

/* sa_set_peer_spi, sa_set_path - the only places where sa->spi_i or spi_r of the peer, and the
 * address in sa->path, are assigned. */
void sa_set_peer_spi(struct ike_sa *sa, uint64_t spi) NONNULL(1);
void sa_set_path(struct ike_sa *sa, const struct path_addr *path) NONNULL(1, 2);

/* sa_index_enter - it is established: it is found by its peer's address and, unless the peer is
 * nobody (ID_NULL), its identity from now on.
 * sa_index_leave - it is over: it is not found any more. */
void sa_index_enter(struct ike_sa *sa) NONNULL(1);
void sa_index_leave(struct ike_sa *sa) NONNULL(1);

/* sa_by_peer_spi - one whose peer has this SPI, NULL: none has. */
struct ike_sa *sa_by_peer_spi(const struct ike_engine *e, uint64_t spi) NONNULL(1);

/* sa_first_at, sa_next_at - those whose peer is at an address, whatever its port, the newest first;
 * NULL: there is no other one. */
struct ike_sa *sa_first_at(const struct ike_engine *e, const struct ip_addr *addr) NONNULL(1, 2);
struct ike_sa *sa_next_at(const struct ike_sa *sa) NONNULL(1);

/* sa_first_of, sa_next_of - those whose peer may have this identity: conf_id_equal() tells. */
struct ike_sa *sa_first_of(const struct ike_engine *e, const struct ike_id *id) NONNULL(1, 2);
struct ike_sa *sa_next_of(const struct ike_sa *sa) NONNULL(1);
