/* SPDX-License-Identifier: Apache-2.0 */
/* other-host HOST PORT CERTIFICATE KEY AUTHORITIES [VERB NUMBER]: lists the latches of another
 * host, one a line; or has one release, trigger, delete. */
#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <latchkey/ipsec_remote.h>

static const char *const states[] = {"larval", "listening", "established", "broken", "closed"};

static void show(void *arg, const struct ipsec_latch_info *info)
{
	(void)arg;
	printf("%" PRIu64 " %s %s %s\n", info->number, states[info->state], info->peer, info->text);
}

static const struct {
	const char *name;
	int (*act)(struct ipsec_latch *latch);
} verbs[] = {
	{"release", ipsec_latch_release},
	{"trigger", ipsec_latch_trigger},
	{"delete", ipsec_latch_delete},
};

static int act(const char *name, const char *number)
{
	struct ipsec_latch *latch;

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(verbs[i].name, name) == 0)
			return ipsec_latch_by_number(&latch, strtoull(number, NULL, 10)) ||
			       verbs[i].act(latch);
	}
	errx(2, "no such verb: %s", name);
}

int main(int argc, char **argv)
{
	struct ipsec_remote host = {.size = sizeof(host)};

	if (argc != 6 && argc != 8)
		errx(2, "usage: other-host HOST PORT CERTIFICATE KEY AUTHORITIES [VERB NUMBER]");
	host.host = argv[1];
	host.port = argv[2];
	host.certificate = argv[3];
	host.key = argv[4];
	host.ca = argv[5];
	if (ipsec_remote_use(&host) ||
	    (argc == 6 ? ipsec_each_latch(show, NULL) : act(argv[6], argv[7])))
		errx(1, "%s", ipsec_last_error());
	return 0;
}
