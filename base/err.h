/* SPDX-License-Identifier: Apache-2.0 */
/*
 * err.h - the one error type. Every function that can fail returns enum err and is MUST_USE;
 * results go to out-parameters, which are written only on success.
 */
#pragma once

#include "base/attr.h"

/* enum err - ERR_OK is zero; the others are listed with their sentences in err.def. */
enum err {
#define ERR(name, text) ERR_##name,
#include "base/err.def"
#undef ERR
	ERR_COUNT
};

/* err_name - the symbolic name ("NOMEM"); never NULL, any value is accepted. */
const char *err_name(enum err e);

/* err_text - a sentence fragment for people ("out of memory"); never NULL. */
const char *err_text(enum err e);
