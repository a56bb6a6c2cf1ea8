/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/packet.h"

static const char *const names[DROP_NUM] = {
#define DROP(name, text) #name,
#include "dataplane/drop.def"
#undef DROP
};

static const char *const texts[DROP_NUM] = {
#define DROP(name, text) text,
#include "dataplane/drop.def"
#undef DROP
};

const char *drop_name(enum drop_reason r)
{
	return (unsigned)r < DROP_NUM ? names[r] : "UNKNOWN";
}

const char *drop_text(enum drop_reason r)
{
	return (unsigned)r < DROP_NUM ? texts[r] : "unknown reason";
}
