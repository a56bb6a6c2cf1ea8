/* SPDX-License-Identifier: Apache-2.0 */
/* Programs of DPDK's as this one's peers: each is started, left alone for some seconds, told to
 * end, and what it wrote is read for its counters. Whatever it needs lies in a folder of its own.
 */
#include "bench/dpdk.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARGS_MAX     40
#define START_S      2  /* before a program carries anything, about */
#define END_S        10 /* it ends in so long, or is killed */
#define SAMPLES_MAX  128
#define ETHERNET_LEN 14
#define PCAP_MAGIC   0xa1b2c3d4u
#define PCAP_ETHER   1

/* struct peer - a run of a program. */
struct peer {
	const char *program;
	char folder[64];
	char told[96], in_pcap[96], conf[96]; /* files there */
	char *argv[ARGS_MAX];
	uint32_t argc;
};

static void end(struct peer *p)
{
	unlink(p->told);
	unlink(p->in_pcap);
	unlink(p->conf);
	rmdir(p->folder);
	for (uint32_t i = 0; i < p->argc; i++)
		free(p->argv[i]);
}

/* show - what the program said last. */
static void show(const struct peer *p)
{
	char text[1024];
	FILE *f = fopen(p->told, "re");
	size_t len;

	if (!f)
		return;
	if (fseek(f, -(long)sizeof(text), SEEK_END))
		rewind(f);
	len = fread(text, 1, sizeof(text), f);
	fclose(f);
	fwrite(text, 1, len, stderr);
}

static void fail(struct peer *p, const char *what)
{
	show(p);
	fprintf(stderr, "dpdk: %s: %s\n", p->program, what);
	end(p);
	exit(1);
}

static FILE *create(struct peer *p, const char *path)
{
	FILE *f = fopen(path, "we");

	if (!f)
		fail(p, "no file can be made for it");
	return f;
}

static void finish(struct peer *p, FILE *f)
{
	if (fclose(f))
		fail(p, "a file for it cannot be written");
}

static void begin(struct peer *p, const char *program)
{
	*p = (struct peer){.program = program, .folder = "/tmp/latchkey-bench-XXXXXX"};
	if (!mkdtemp(p->folder))
		fail(p, "there is no folder for it");
	snprintf(p->told, sizeof(p->told), "%s/told", p->folder);
	snprintf(p->in_pcap, sizeof(p->in_pcap), "%s/in.pcap", p->folder);
	snprintf(p->conf, sizeof(p->conf), "%s/loop.cfg", p->folder);
}

PRINTF_LIKE(2, 3) static void arg(struct peer *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (p->argc >= ARGS_MAX - 1 || vasprintf(&p->argv[p->argc++], fmt, ap) < 0)
		fail(p, "no memory");
	va_end(ap);
}

/* cpu - the index-th that this process may run on, or the only one. */
static int cpu(int index)
{
	int found = 0;
	cpu_set_t set;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set))
		return 0;
	for (int i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, &set))
			continue;
		found = i;
		if (index-- == 0)
			break;
	}
	return found;
}

/* ---- running --------------------------------------------------------------------------------- */

static void become(const struct peer *p)
{
	int out = open(p->told, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int in = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (out >= 0 && in >= 0 && dup2(in, 0) >= 0 && dup2(out, 1) >= 0 && dup2(out, 2) >= 0)
		execvp(p->program, p->argv);
	_exit(127);
}

static void rest(uint32_t ms)
{
	const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	nanosleep(&t, NULL);
}

static void run(struct peer *p, uint32_t seconds)
{
	pid_t pid = fork();
	int status = 0;

	if (pid < 0)
		fail(p, strerror(errno));
	if (pid == 0)
		become(p);
	rest((START_S + seconds) * 1000);
	kill(pid, SIGINT);
	for (uint32_t i = 0; waitpid(pid, &status, WNOHANG) == 0; i++) {
		if (i == END_S * 10)
			kill(pid, SIGKILL);
		rest(100);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		fail(p, "it cannot be started");
}

/* collect - the numbers behind each `name` in what it told. */
static uint32_t collect(const struct peer *p, double out[static SAMPLES_MAX], const char *name)
{
	FILE *f = fopen(p->told, "re");
	char line[512];
	uint32_t num = 0;

	while (f && fgets(line, sizeof(line), f) && num < SAMPLES_MAX) {
		const char *at = strstr(line, name);

		if (at)
			out[num++] = strtod(at + strlen(name), NULL);
	}
	if (f)
		fclose(f);
	return num;
}

/* ---- ipsec-secgw ------------------------------------------------------------------------------
 */

/* write_frames - one of each flow, the same that our source gives. */
static void write_frames(struct peer *p, uint32_t inner_len)
{
	const struct half source = source_of(NULL, inner_len);
	const uint32_t len = inner_len + ETHERNET_LEN;
	const uint32_t file[6] = {PCAP_MAGIC, 2 | 4 << 16, 0, 0, 65535, PCAP_ETHER};
	const uint32_t record[4] = {1, 0, len, len};
	FILE *f = create(p, p->in_pcap);
	static uint8_t frame[2048];

	fwrite(file, sizeof(file), 1, f);
	for (uint32_t i = 0; i < DPDK_NUM_FLOWS; i++) {
		memcpy(frame, source.heads[i], DPDK_HEAD_LEN);
		fwrite(record, sizeof(record), 1, f);
		fwrite(frame, len, 1, f);
	}
	finish(p, f);
}

/* write_conf - a tunnel each way with one key and one SPI: what it encrypts it decrypts. */
static void write_conf(struct peer *p)
{
	static const char *const ways[] = {"in", "out"};
	FILE *f = create(p, p->conf);

	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		fprintf(f,
			"sp ipv4 %s esp protect 5 pri 1 dst 10.2.0.0/24 sport 0:65535 dport "
			"0:65535\n",
			ways[i]);
		fprintf(f, "sa %s 5 aead_algo aes-256-gcm aead_key 00", ways[i]);
		for (int k = 1; k < 36; k++)
			fprintf(f, ":%02x", k * 7);
		fprintf(f, " mode ipv4-tunnel src 192.0.2.1 dst 192.0.2.2\n");
	}
	fputs("rt ipv4 dst 192.0.2.2/32 port 1\nrt ipv4 dst 10.2.0.0/24 port 0\n"
	      "neigh port 0 02:00:00:00:00:03\nneigh port 1 02:00:00:00:00:02\n",
	      f);
	finish(p, f);
}

static void secgw_args(struct peer *p)
{
	arg(p, "ipsec-secgw");
	arg(p, "-l%d", cpu(0));
	arg(p, "--no-huge");
	arg(p, "-m512");
	arg(p, "--no-pci");
	arg(p, "--no-telemetry");
	arg(p, "--no-shconf");
	arg(p, "--vdev=net_pcap0,rx_pcap=%s,infinite_rx=1", p->in_pcap);
	arg(p, "--vdev=net_ring0");
	arg(p, "--vdev=crypto_aesni_gcm0");
	arg(p, "--");
	arg(p, "-p0x3");
	arg(p, "-P");
	arg(p, "-u0x2");
	arg(p, "-l");
	arg(p, "-w%d", DPDK_WINDOW);
	arg(p, "-j2500");
	arg(p, "-t1");
	arg(p, "--config=(0,0,%d),(1,0,%d)", cpu(0), cpu(0));
	arg(p, "-f%s", p->conf);
}

/* It counts once a second all that it sent since it began, and sends a packet twice: sealed and
 * clear. */
double peer_secgw(const char *program, uint32_t inner_len, uint32_t seconds)
{
	double sent[SAMPLES_MAX];
	struct peer p;
	uint32_t num;

	begin(&p, program);
	write_frames(&p, inner_len);
	write_conf(&p);
	secgw_args(&p);
	run(&p, seconds);
	num = collect(&p, sent, "Total packets sent:");
	if (num < 2 || !(sent[num - 1] > sent[0]))
		fail(&p, "it does not say that it sent anything");
	end(&p);
	return (sent[num - 1] - sent[0]) / (num - 1) / 2 / 1e6;
}

/* ---- testpmd ----------------------------------------------------------------------------------
 */

static void testpmd_args(struct peer *p, uint32_t inner_len)
{
	arg(p, "dpdk-testpmd");
	arg(p, "--lcores=0@%d,1@%d", cpu(1), cpu(0)); /* the first one only waits */
	arg(p, "--no-huge");
	arg(p, "-m256");
	arg(p, "--no-pci");
	arg(p, "--no-telemetry");
	arg(p, "--no-shconf");
	for (int i = 0; i < 2; i++)
		arg(p, "--vdev=net_null%d,size=%u", i, inner_len + ETHERNET_LEN);
	arg(p, "--");
	arg(p, "--forward-mode=io");
	arg(p, "--burst=%d", BENCH_BATCH);
	arg(p, "--nb-cores=1");
	arg(p, "--total-num-mbufs=8191");
	arg(p, "--no-mlockall");
	arg(p, "--stats-period=1");
}

/* It tells once a second for each of its two ports how many were sent in a second; the first time
 * covers its start. */
double peer_testpmd(const char *program, uint32_t inner_len, uint32_t seconds)
{
	double pps[SAMPLES_MAX], both[SAMPLES_MAX / 2];
	uint32_t num, at = 0;
	struct peer p;

	begin(&p, program);
	testpmd_args(&p, inner_len);
	run(&p, seconds);
	num = collect(&p, pps, "Tx-pps:");
	for (uint32_t i = 2; i + 1 < num; i += 2)
		both[at++] = pps[i] + pps[i + 1];
	if (!at || !(median_of(both, at) > 0))
		fail(&p, "it does not say that it sent anything");
	end(&p);
	return median_of(both, at) / 1e6;
}
