/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pass_cycles.h - what each pass costs, in cycles of the time stamp counter (TSC), for bench/esp
 * --passes: in a build with -Dpass_cycles=true, where they are added up in worker->cycles. In every
 * other build nothing of it is left. Thread: the worker.
 */
#pragma once

#include "base/attr.h"

/* PASSES - X(pass) for each, in the order of passes.h. */
#define PASSES(X)       \
	X(out_classify) \
	X(out_fit)      \
	X(out_prepare)  \
	X(out_encrypt)  \
	X(out_path)     \
	X(in_demux)     \
	X(in_lookup)    \
	X(in_decrypt)   \
	X(in_commit)    \
	X(in_finish)    \
	X(in_join)      \
	X(in_deliver)

/* enum pass_id - PASS_out_classify and so on. */
enum pass_id {
#define PASS_ID(pass) PASS_##pass,
	PASSES(PASS_ID)
#undef PASS_ID
	PASS_NUM
};

/* PASS_RUN - pass(w, in, out). */
#ifdef LATCHKEY_PASS_CYCLES

/* pass_clock - the TSC, not before everything above it in the program was done. */
static inline uint64_t pass_clock(void)
{
	uint32_t lo, hi;

	__asm__ volatile("lfence\n\trdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

#define PASS_RUN(pass, w, in, out)                                \
	do {                                                      \
		uint64_t began = pass_clock();                    \
		pass(w, in, out);                                 \
		(w)->cycles[PASS_##pass] += pass_clock() - began; \
	} while (0)
#else
#define PASS_RUN(pass, w, in, out) pass(w, in, out)
#endif
