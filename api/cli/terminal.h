/* SPDX-License-Identifier: Apache-2.0 */
/*
 * terminal.h - a terminal that a program draws on and gives back as it was: the other screen, no
 * cursor, keys as they are pressed. One at a time. One thread.
 */
#pragma once

#include "base/attr.h"

#include <stdint.h>

/* terminal_open - false: standard input and output are no terminal, and nothing has changed.
 * terminal_close - as it was; harmless if it is not open. */
MUST_USE bool terminal_open(void);
void terminal_close(void);

/* struct terminal_size - in characters. terminal_size - of standard output now; 80 x 24 if it does
 * not say. */
struct terminal_size {
	unsigned columns, rows;
};
struct terminal_size terminal_size(void);

/* enum terminal_event - what ended a wait. */
enum terminal_event {
	TERMINAL_TIME,   /* nothing happened for as long as was asked for */
	TERMINAL_RESIZE, /* it has another size */
	TERMINAL_QUIT,   /* 'q', or a signal that asks to end, now or since it was opened */
};

/* terminal_wait - for at most so long. */
enum terminal_event terminal_wait(uint32_t ms);
