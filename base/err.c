/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

static const struct {
	const char *name;
	const char *text;
} table[ERR_COUNT] = {
#define ERR(name_, text_) [ERR_##name_] = {#name_, text_},
#include "base/err.def"
#undef ERR
};

const char *err_name(enum err e)
{
	return (unsigned int)e < ERR_COUNT ? table[e].name : "UNKNOWN";
}

const char *err_text(enum err e)
{
	return (unsigned int)e < ERR_COUNT ? table[e].text : "unknown error";
}
