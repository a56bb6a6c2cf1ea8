/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/relay/content.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define STAMP_LEN 16

static uint64_t seed_of(uint64_t seed, const struct content_stamp *s)
{
	return content_mix(seed << 48 ^ (uint64_t)s->flow << 40 ^ s->n) ^ s->len;
}

/* word_at - bytes of a datagram behind its stamp, or of a stream. */
static uint64_t word_at(uint64_t seed, uint64_t at)
{
	return content_mix(seed + at);
}

void content_make(uint8_t *at, uint64_t seed, uint16_t flow, uint64_t n, uint16_t len)
{
	const struct content_stamp s = {.flow = flow, .len = len, .n = n};
	uint64_t own = seed_of(seed, &s);

	store_be32(at, (uint32_t)own);
	store_be16(at + 4, flow);
	store_be16(at + 6, len);
	store_be64(at + 8, n);
	for (size_t i = STAMP_LEN; i < len; i += 8) {
		uint64_t word = word_at(own, i);

		memcpy(at + i, &word, len - i < 8 ? len - i : 8);
	}
}

bool content_read(struct content_stamp *out, const uint8_t *at, size_t len, uint64_t seed)
{
	if (len < CONTENT_MIN)
		return false;
	*out = (struct content_stamp){.check = load_be32(at),
				      .flow = load_be16(at + 4),
				      .len = load_be16(at + 6),
				      .n = load_be64(at + 8)};
	uint64_t own = seed_of(seed, out);

	if (out->check != (uint32_t)own || out->len != len)
		return false;
	for (size_t i = STAMP_LEN; i < len; i += 8) {
		uint64_t word = word_at(own, i);

		if (memcmp(at + i, &word, len - i < 8 ? len - i : 8) != 0)
			return false;
	}
	return true;
}

/* piece - the stream's next bytes, at most up to a word's end; returns how many. */
static size_t piece(uint8_t out[8], uint64_t seed, uint64_t offset, size_t len)
{
	size_t skip = offset % 8, n = 8 - skip < len ? 8 - skip : len;
	uint64_t word = word_at(seed, offset / 8) >> 8 * skip;

	memcpy(out, &word, 8);
	return n;
}

void content_fill(uint8_t *at, uint64_t seed, uint64_t offset, size_t len)
{
	uint8_t word[8];

	for (size_t n; len; at += n, offset += n, len -= n) {
		n = piece(word, seed, offset, len);
		memcpy(at, word, n);
	}
}

bool content_is(const uint8_t *at, uint64_t seed, uint64_t offset, size_t len)
{
	uint8_t word[8];

	for (size_t n; len; at += n, offset += n, len -= n) {
		n = piece(word, seed, offset, len);
		if (memcmp(at, word, n) != 0)
			return false;
	}
	return true;
}

struct content_books *content_map(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *p = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, sizeof(struct content_books)) == 0)
		p = mmap(NULL, sizeof(struct content_books), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			 0);
	if (fd >= 0)
		close(fd);
	return p == MAP_FAILED ? NULL : p;
}
