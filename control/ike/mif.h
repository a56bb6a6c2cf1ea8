/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mif.h - an IKE SA with several paths (docs/multiple-interfaces.md): who can do it, and who
 * decides. Control thread.
 */
#pragma once

#include "control/ike/step.h"

/* mif_show - our vendor ID into an IKE_SA_INIT message, if connection and data path are for it.
 * mif_seen - from the peer's; sets hs->mif_vendor. */
void mif_show(struct step *s) NONNULL(1);
void mif_seen(struct step *s) NONNULL(1);

/* mif_offer - MIF_SUPPORTED into an IKE_AUTH message, if both have shown the vendor ID and, as
 * responder, the peer offered it. mif_take - from the peer's, once sa->conn is known. */
void mif_offer(struct step *s) NONNULL(1);
void mif_take(struct step *s) NONNULL(1);

/* mif_inherit - an IKE SA that takes another one's place goes on as that one. */
void mif_inherit(struct ike_sa *sa, const struct ike_sa *old) NONNULL(1, 2);
