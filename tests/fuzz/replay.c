/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay: the main() of a fuzz target in an everyday build. It runs the target over its corpus, and
 * over every truncation and many single-bit changes of each file, and reports in TAP: one test
 * point a file. What it can find is a crash, an endless loop or, in a sanitizer build, a report.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* At most this many bits are flipped in one file, spread evenly over it. */
#define MAX_FLIPS 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A copy of exactly the input's size, so that a sanitizer sees each byte read beyond it. */
static void run(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	if (!copy)
		abort();
	memcpy(copy, data, len);
	LLVMFuzzerTestOneInput(copy, len);
	free(copy);
}

static void sweep(uint8_t *data, size_t len)
{
	size_t step = len * 8 / MAX_FLIPS + 1;
	size_t cut = len / MAX_FLIPS + 1;

	run(data, len);
	for (size_t shorter = 0; shorter < len; shorter += cut)
		run(data, shorter);
	for (size_t bit = 0; bit < len * 8; bit += step) {
		data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		run(data, len);
		data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static int replay(const char *folder, const char *name, unsigned int number)
{
	static uint8_t data[1 << 20];
	char path[4096];
	FILE *file;
	size_t len;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "rb");
	if (!file) {
		printf("not ok %u - %s: cannot be read\n", number, name);
		return 1;
	}
	len = fread(data, 1, sizeof(data), file);
	fclose(file);
	/* A loop that does not end is an end by signal, which breaks the plan. */
	alarm(300);
	sweep(data, len);
	printf("ok %u - %s, %zu bytes\n", number, name, len);
	fflush(stdout);
	return 0;
}

static int is_input(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
	struct dirent **entries = NULL;
	int num = argc == 2 ? scandir(argv[1], &entries, is_input, alphasort) : -1;
	int failed = 0;

	if (num <= 0) {
		printf("1..0\nBail out! no corpus in %s\n", argc == 2 ? argv[1] : "(no folder)");
		return 1;
	}
	printf("TAP version 13\n1..%d\n", num);
	fflush(stdout);
	for (int i = 0; i < num; i++) {
		failed |= replay(argv[1], entries[i]->d_name, (unsigned int)i + 1);
		free(entries[i]);
	}
	free(entries);
	return failed;
}
