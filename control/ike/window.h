/* SPDX-License-Identifier: Apache-2.0 */
/*
 * window.h - message IDs, repeats and retransmission (RFC 7296 2.1 to 2.4) with a window of one in
 * each direction. A number is checked before a message is decrypted and counts only after it was
 * authenticated. Control thread.
 */
#pragma once

#include "control/ike/sa.h"

/* enum window_verdict - what a message's number says. */
enum window_verdict {
	WINDOW_NEW,    /* the one that is expected */
	WINDOW_REPEAT, /* the request that was answered last, byte for byte: answered again */
	WINDOW_DROP,   /* old, too new, or being worked on */
};

/* window_check - by message ID alone; the repeat of an answered request is answered here, to where
 * it came from. */
enum window_verdict window_check(struct ike_sa *sa, const struct ike_header *h,
				 const struct ike_datagram *dg) NONNULL(1, 2, 3);

/* window_check_fragment - the same for one fragment of a message (RFC 7383 2.6.1). REPEAT: it is
 * the first one of a request that was answered; once it is found authentic, window_in_repeat()
 * sends the answer again, to where it came from. */
enum window_verdict window_check_fragment(const struct ike_sa *sa, const struct ike_header *h,
					  uint16_t number) NONNULL(1, 2);
void window_in_repeat(struct ike_sa *sa, const struct ike_datagram *dg) NONNULL(1, 2);

/* window_in_open - an authentic request is being worked on; its repeats are absorbed. */
void window_in_open(struct ike_sa *sa, uint8_t exchange, const struct ike_datagram *dg)
	NONNULL(1, 3);

/* window_in_answer - send the response (a message, or its fragments one after the other) and keep
 * it for repeats; takes bytes over. */
void window_in_answer(struct ike_sa *sa, uint8_t *bytes, size_t len, uint64_t now_ns) NONNULL(1, 2);

/* window_in_abandon - no response will come from the work under way: a repeat is handled afresh. */
void window_in_abandon(struct ike_sa *sa) NONNULL(1);

/* window_out_send - send our request and repeat it until window_out_close(); takes bytes over. */
void window_out_send(struct ike_sa *sa, uint8_t exchange, uint8_t *bytes, size_t len,
		     uint64_t now_ns) NONNULL(1, 3);

/* window_out_repeat - send the request under way once more, beside its repeats.
 * window_out_hurry - repeat it now, and begin to count anew: there is another address to try. */
void window_out_repeat(struct ike_sa *sa) NONNULL(1);
void window_out_hurry(struct ike_sa *sa, uint64_t now_ns) NONNULL(1);

/* window_out_close - the response has come. */
void window_out_close(struct ike_sa *sa) NONNULL(1);

/* window_init, window_fini - both directions of an SA. */
void window_init(struct ike_sa *sa) NONNULL(1);
void window_fini(struct ike_sa *sa) NONNULL(1);
