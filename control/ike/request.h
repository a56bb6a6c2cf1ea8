/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request.h - what this side asks for, as the engine's own parts ask for it. Control thread.
 */
#pragma once

#include "control/engine.h"

/* request_initiate - as ike_initiate(), in the middle of another input call. Errors: as that. */
MUST_USE enum err request_initiate(struct ike_engine *e, const struct ike_initiate_params *p,
				   uint64_t now_ns) NONNULL(1, 2);
