/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_pins: the text of a file of known peers. What it says does not depend on whether its last
 * line ends, nor do comments before it change anything but the line's number; and a key is never
 * found that another scan does not find. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/auth/pins.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_pins: %s\n", what);
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t key[] = "not the key of anybody here";
	static uint8_t copy[1 << 16];
	const struct bytes other = bytes_of(key, sizeof(key));
	uint32_t line, moved;
	enum pins_found found;

	if (len + 4 > sizeof(copy))
		return 0;
	found = pins_scan(&line, bytes_of(data, len), "fqdn:bob.example", other);
	must(found != PINS_SAME, "a key is found that is not there");
	must((found == PINS_NONE) == (line == 0), "a line is named, or none");
	memcpy(copy, "#\n", 2);
	memcpy(copy + 2, data, len);
	copy[len + 2] = '\n';
	must(pins_scan(&moved, bytes_of(copy, len + 3), "fqdn:bob.example", other) == found,
	     "a comment changes what is found");
	must(moved == line + (line != 0), "a comment moves a line by one");
	return 0;
}
