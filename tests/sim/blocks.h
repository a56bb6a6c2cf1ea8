/* SPDX-License-Identifier: Apache-2.0 */
/* blocks.h - counts what a program has of the heap, so that a leak shows in any build. */
#pragma once

/* blocks_num - blocks that were allocated by base/alloc.h and not given back; programs that call it
 * count from their start. */
long blocks_num(void);
