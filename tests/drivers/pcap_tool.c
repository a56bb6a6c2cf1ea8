/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcap_tool: plays a capture through the data path and writes what comes out into another one.
 *
 *	pcap_tool spi [--workers N]                the SPI that "in" expects, in decimal
 *	pcap_tool out|in [--udp] [--ethernet] [--workers N] KEY SPI IN OUT
 *
 * "out": IN holds inner packets, OUT becomes ESP from 192.0.2.1 to 192.0.2.2. "in": IN holds ESP
 * from 192.0.2.2 to 192.0.2.1, OUT becomes inner packets. KEY is AES-GCM-256's key and salt, 72
 * hexadecimal digits, of either direction; SPI that of the other side. The last line of output says
 * what became of the packets: "received N sent N errors N" and the drops by name.
 */
#include "base/clock.h"
#include "dataplane/dataplane.h"
#include "drivers/pcap.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#define KEY_LEN 36

/* struct tool - one data path between two files. */
struct tool {
	struct dataplane *dp;
	struct driver *from, *to;
	uint16_t wire_port;
	bool out, udp, ethernet;
	uint32_t workers, spi_out, spi_in;
	uint8_t key[KEY_LEN];
	const char *in_file, *out_file;
};

static void must(enum err e, const char *what)
{
	if (e == ERR_OK)
		return;
	fprintf(stderr, "pcap_tool: %s: %s\n", what, err_text(e));
	exit(1);
}

static void usage(void)
{
	fputs("usage: pcap_tool spi [--workers N] | out|in [--udp] [--ethernet] [--workers N] KEY "
	      "SPI IN OUT\n",
	      stderr);
	exit(2);
}

static struct ts everything(const char *text)
{
	struct ts ts;

	must(ts_parse(&ts, text), text);
	return ts;
}

static void new_dataplane(struct tool *t)
{
	static struct rng_seeded rng;
	struct dataplane_config config = {.rng = &rng.rng, .num_workers = t->workers};

	rng_seeded_init(&rng, 50);
	must(dataplane_new(&t->dp, &config), "data path");
	must(dataplane_spi_reserve(t->dp, &t->spi_in), "SPI");
}

static void open_ports(struct tool *t)
{
	struct pcap_params inner = {.role = PORT_INNER, .ethernet = t->ethernet};
	struct pcap_params outer = {.role = PORT_OUTER, .ethernet = t->ethernet};
	struct driver *di, *wire;
	uint16_t port;

	inner.in = t->out ? t->in_file : NULL;
	inner.out = t->out ? NULL : t->out_file;
	outer.in = t->out ? NULL : t->in_file;
	outer.out = t->out ? t->out_file : NULL;
	must(pcap_driver_open(&di, &inner), "inner capture");
	must(pcap_driver_open(&wire, &outer), "outer capture");
	must(dataplane_attach(t->dp, &port, di), "inner port");
	must(dataplane_attach(t->dp, &t->wire_port, wire), "outer port");
	t->from = t->out ? di : wire;
	t->to = t->out ? wire : di;
}

static void add_child(struct tool *t)
{
	const struct ts any[2] = {everything("0.0.0.0/0"), everything("::/0")};
	const struct auth_proof_params who = {.method = AUTH_METHOD_PSK};
	const uint16_t udp_port = t->udp ? 4500 : 0;
	struct path_addr path = {.encap = t->udp ? ENCAP_UDP : ENCAP_NONE};
	struct child_params c = {
		.id = 1,
		.spi_in = t->spi_in,
		.spi_out = t->spi_out,
		.alg = AEAD_AES_GCM_16_256,
		.key_out = bytes_of(t->key, KEY_LEN),
		.key_in = bytes_of(t->key, KEY_LEN),
		.mode = SA_TUNNEL,
		.outbound_active = true,
		.replay_window = 1024,
		.local = any,
		.remote = any,
		.num_local = 2,
		.num_remote = 2,
		.worker = t->workers, /* the last: what the first receives is handed over */
	};
	struct policy_params policy = {.layer = POLICY_CONFIG,
				       .action = POLICY_PROTECT,
				       .local = any,
				       .remote = any,
				       .num_local = 2,
				       .num_remote = 2};
	uint32_t id;

	must(ip_addr_parse(&path.local.addr, "192.0.2.1"), "address");
	must(ip_addr_parse(&path.remote.addr, "192.0.2.2"), "address");
	path.local.port = path.remote.port = udp_port;
	must(dataplane_pathset_add(t->dp, &c.pathset, t->wire_port, &path), "paths");
	must(dataplane_group_add(t->dp, &c.group), "group");
	policy.group = c.group;
	must(dataplane_policy_add(t->dp, &id, &policy), "policy");
	c.proof = auth_proof_new(&who);
	must(c.proof ? ERR_OK : ERR_NOMEM, "proof");
	must(dataplane_child_add(t->dp, &c), "Child SA");
	auth_proof_put(c.proof);
}

static void play(struct tool *t)
{
	struct dataplane_stats s;
	const char *name;

	/* What is on its way is through when a turn finds nothing. */
	while (!pcap_driver_ended(t->from) || dataplane_poll_next(t->dp) == 0)
		dataplane_poll(t->dp, clock_now_ns());
	dataplane_stats(t->dp, &s);
	printf("received %llu sent %llu errors %llu", (unsigned long long)s.rx_packets,
	       (unsigned long long)s.tx_packets, (unsigned long long)t->from->stats.rx_error);
	for (uint32_t i = 0; (name = dataplane_drop_name(i, NULL)) != NULL; i++) {
		if (s.drops[i])
			printf(" %s %llu", name, (unsigned long long)s.drops[i]);
	}
	putchar('\n');
}

static void set_key(struct tool *t, const char *text)
{
	if (strlen(text) != 2 * KEY_LEN)
		usage();
	for (int i = 0; i < KEY_LEN; i++) {
		unsigned int byte;

		if (sscanf(text + 2 * i, "%2x", &byte) != 1)
			usage();
		t->key[i] = (uint8_t)byte;
	}
}

static void set_options(struct tool *t, int argc, char **argv)
{
	static const struct option list[] = {
		{"udp", no_argument, NULL, 'u'},
		{"ethernet", no_argument, NULL, 'e'},
		{"workers", required_argument, NULL, 'w'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", list, NULL)) != -1) {
		if (c == '?')
			usage();
		t->udp |= c == 'u';
		t->ethernet |= c == 'e';
		t->workers = c == 'w' ? (uint32_t)strtoul(optarg, NULL, 0) : t->workers;
	}
	argv += optind;
	if (argc - optind == 1 && strcmp(argv[0], "spi") == 0)
		return;
	if (argc - optind != 5 || (strcmp(argv[0], "in") != 0 && strcmp(argv[0], "out") != 0))
		usage();
	t->out = strcmp(argv[0], "out") == 0;
	set_key(t, argv[1]);
	t->spi_out = (uint32_t)strtoul(argv[2], NULL, 0);
	t->in_file = argv[3];
	t->out_file = argv[4];
}

int main(int argc, char **argv)
{
	static struct tool t = {.workers = 1};

	set_options(&t, argc, argv);
	new_dataplane(&t);
	if (!t.in_file) {
		printf("%u\n", t.spi_in);
	} else {
		open_ports(&t);
		add_child(&t);
		play(&t);
	}
	dataplane_free(t.dp);
	return 0;
}
