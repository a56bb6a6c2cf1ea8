/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/machine.h"

#include "bench/esp.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>
#ifdef LATCHKEY_IPSEC_MB
#include <intel-ipsec-mb.h>
#endif

/* The value of the first line of /proc/cpuinfo that begins with key, to buf. */
static void cpuinfo(char *buf, size_t size, const char *key)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char *line = NULL;
	size_t room = 0;

	snprintf(buf, size, "unknown");
	while (f && getline(&line, &room, f) > 0) {
		char *colon = strchr(line, ':');

		if (!colon || strncmp(line, key, strlen(key)) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(buf, size, "%s", colon + 2);
		break;
	}
	free(line);
	if (f)
		fclose(f);
}

void machine_cpu(char out[static MACHINE_CPU_MAX])
{
	cpuinfo(out, MACHINE_CPU_MAX, "model name");
}

static const char *const features[] = {"aes",  "pclmulqdq",  "avx2",      "avx512f",
				       "vaes", "vpclmulqdq", "hypervisor"};

static bool has_flag(const char *flags, const char *flag)
{
	size_t len = strlen(flag);

	for (const char *p = strstr(flags, flag); p; p = strstr(p + 1, flag))
		if ((p == flags || p[-1] == ' ') && (p[len] == ' ' || p[len] == '\0'))
			return true;
	return false;
}

const char *machine_ipsec_mb(void)
{
#ifdef LATCHKEY_IPSEC_MB
	return imb_get_version_str();
#else
	return "not built in";
#endif
}

#ifdef __clang__
#define COMPILER __VERSION__
#else
#define COMPILER "gcc " __VERSION__
#endif

json_t *machine_json(double tsc_hz)
{
	char cpu[MACHINE_CPU_MAX], flags[8192];
	struct utsname u;
	json_t *list = json_array();

	machine_cpu(cpu);
	cpuinfo(flags, sizeof(flags), "flags");
	for (size_t i = 0; i < ARRAY_LEN(features); i++)
		if (has_flag(flags, features[i]))
			json_array_append_new(list, json_string(features[i]));
	uname(&u);
	return json_pack("{s:s, s:i, s:s, s:o, s:f, s:s, s:{s:s, s:s}}", "cpu", cpu, "cores",
			 (int)sysconf(_SC_NPROCESSORS_ONLN), "kernel", u.release, "features", list,
			 "tsc_hz", tsc_hz, "compiler", COMPILER, "libraries", "openssl",
			 OpenSSL_version(OPENSSL_VERSION_STRING), "ipsec-mb", machine_ipsec_mb());
}

json_t *bench_series_json(const struct series *s)
{
	return json_pack("{s:f, s:f, s:f}", "median", series_median(s), "min", series_min(s), "max",
			 series_max(s));
}
