/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_path_message: what a peer says of a path. What is taken and built again is what it was, but
 * for what is reserved and what a later version may add.
 */
#include <stdlib.h>

#include "dataplane/path_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t built[PATH_MESSAGE_LEN];
	struct path_message m, again;

	if (path_message_parse(&m, bytes_of(data, len)))
		return 0;
	require(len >= PATH_MESSAGE_LEN && m.path != 0);
	require(m.type == PATH_PROBE || m.type == PATH_ANSWER);
	path_message_build(built, &m);
	require(memcmp(built, data, 36) == 0 || m.observed.addr.family == IP_NONE);
	require(memcmp(built + 56, data + 56, PATH_MESSAGE_LEN - 56) == 0);
	require(path_message_parse(&again, bytes_of(built, sizeof(built))) == ERR_OK);
	require(memcmp(&again.observed, &m.observed, sizeof(m.observed)) == 0);
	require(memcmp(again.challenge, m.challenge, PATH_CHALLENGE_LEN) == 0);
	require(again.held_us == m.held_us && again.top == m.top);
	return 0;
}
