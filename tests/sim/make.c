/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations, certificates, and worlds out of them. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "control/ike/wire/mif.h"
#include "tests/pki_conf.h"
#include "tests/sim/parts.h"

#define TEXT_MAX 4096

/* The side's own address and the other's. */
static const char *const addrs[2] = {"local_addrs = 192.0.2.1\n remote_addrs = 192.0.2.2",
				     "local_addrs = 192.0.2.2\n remote_addrs = 192.0.2.1"};

/* struct words - where; how each of the two proves itself; and what comes behind the connections.
 */
struct words {
	const char *addrs, *local, *remote, *secrets;
};

static const char *conf_text(char text[static TEXT_MAX], unsigned side, const struct words *w,
			     const char *extra, const char *child_extra)
{
	const unsigned us = side + 1, them = 2 - side;

	snprintf(text, TEXT_MAX,
		 "connections { net {\n version = 2\n %s\n encap = yes\n %s\n"
		 " local { id = host%u.example\n %s }\n"
		 " remote { id = host%u.example\n %s }\n"
		 " children { tun { local_ts = 10.%u.0.0/16\n remote_ts = 10.%u.0.0/16\n"
		 "  %s\n } } } }\n%s",
		 w->addrs, extra, us, w->local, them, w->remote, us, them, child_extra, w->secrets);
	return text;
}

static const char *conf_psk(unsigned side, const char *where, const char *extra,
			    const char *child_extra)
{
	static char text[2][TEXT_MAX];
	const struct words w = {
		.addrs = where,
		.local = "auth = psk",
		.remote = "auth = psk",
		.secrets = "secrets { ike-1 { secret = \"a fairly long shared secret\" } }\n"};

	return conf_text(text[side], side, &w, extra, child_extra);
}

const char *sim_conf(unsigned side, const char *extra, const char *child_extra)
{
	return conf_psk(side, addrs[side], extra, child_extra);
}

const char *sim_conf_anywhere(unsigned side, const char *extra, const char *child_extra)
{
	return conf_psk(side, "", extra, child_extra);
}

const char *sim_conf_twins(unsigned num, const char *extra)
{
	static char text[6000];
	int n = snprintf(text, sizeof(text), "connections {\n");

	for (unsigned i = 1; i <= num; i++) {
		const char which[] = {(char)('0' + i), 0};

		n += snprintf(text + n, sizeof(text) - (size_t)n,
			      "net%s {\n local_addrs = %%any\n remote_addrs = 192.0.2.2\n %s\n"
			      " local { auth = psk\n id = host1.example }\n"
			      " remote { auth = psk\n id = host2.example }\n"
			      " children { tun { local_ts = 10.1.0.0/16\n"
			      "  remote_ts = 10.2.0.0/16\n } } }\n",
			      i > 1 ? which : "", extra);
	}
	assert((size_t)n < sizeof(text));
	snprintf(text + n, sizeof(text) - (size_t)n,
		 "}\nsecrets { ike-1 { secret = \"a fairly long shared secret\" } }\n");
	return text;
}

const char *sim_conf_sign(unsigned side, const char *extra, const char *child_extra)
{
	static char text[2][TEXT_MAX];
	const struct words w = {.addrs = addrs[side], .local = "", .remote = "", .secrets = ""};

	return conf_text(text[side], side, &w, extra, child_extra);
}

const char *sim_conf_eap(unsigned side, const char *extra, const char *child_extra)
{
	static char text[2][TEXT_MAX];
	const struct words w = {
		.addrs = addrs[side],
		.local = side ? "auth = pubkey" : "auth = eap",
		.remote = side ? "auth = eap-mschapv2" : "auth = pubkey",
		.secrets = "secrets { eap { id = host1.example\n secret = \"a password\" } }\n"};

	return conf_text(text[side], side, &w, extra, child_extra);
}

struct conf *sim_creds(struct conf *conf, unsigned side, const char *kind)
{
	/* Made once: the same seed gives the same run, and a certificate's signature is random. */
	static struct {
		char kind[16];
		struct pki_cert own[2];
	} made[8];
	static struct pki_cert authority;
	struct pki_cert *own = NULL;
	char subject[64], names[64];

	if (!authority.len)
		pki_cert_make(&authority, &(struct pki_params){.subject = "/C=CH/CN=Sim root",
							       .ca = "critical,CA:TRUE"});
	for (size_t i = 0; i < ARRAY_LEN(made) && !own; i++) {
		if (!made[i].kind[0])
			snprintf(made[i].kind, sizeof(made[i].kind), "%s", kind);
		if (strcmp(made[i].kind, kind) == 0)
			own = &made[i].own[side];
	}
	assert(own);
	snprintf(subject, sizeof(subject), "/C=CH/CN=host%u.example", side + 1);
	snprintf(names, sizeof(names), "DNS:host%u.example", side + 1);
	if (!own->len)
		pki_cert_make(own, &(struct pki_params){.subject = subject,
							.names = names,
							.key = pki_key_get(kind),
							.issuer = &authority,
							.serial = side + 2});
	return pki_add(
		pki_add(pki_add(conf, CRED_CA, pki_der(&authority)), CRED_CERT, pki_der(own)),
		CRED_KEY, pki_private(own->key));
}

const char *sim_with_ppk(unsigned side, const char *text)
{
	static char buf[2][4096];

	snprintf(buf[side], sizeof(buf[side]),
		 "%s\nsecrets { ppk { id = ours\n secret = 0123456789abcdef0123456789abcdef } }",
		 text);
	return buf[side];
}

void sim_puzzles(struct sim *s, unsigned side)
{
	s->n[side].conf->daemon.puzzles = PUZZLES_ALWAYS;
	s->n[side].conf->daemon.puzzle_difficulty = 8;
}

struct conf *sim_conf_parse(const char *text)
{
	struct conf_diags *diags = calloc(1, sizeof(*diags));
	struct tree *tree = NULL;
	struct conf *conf = NULL;

	assert(diags);
	if (!conf_parse_text(&tree, diags, "sim", text, strlen(text)) &&
	    conf_new(&conf, diags, tree))
		conf = NULL;
	for (uint32_t i = 0; i < diags->num && i < 64; i++)
		if (diags->list[i].error)
			fprintf(stderr, "%s\n", diags->list[i].text);
	tree_free(tree);
	free(diags);
	return conf;
}

/* start - its process begins: nothing is known of before. */
static bool start(struct sim_node *n)
{
	const struct ike_env env = {.rng = &n->rng.rng,
				    .spi_reserve = sim_spi_reserve,
				    .spi_release = sim_spi_release,
				    .child_stats = sim_child_stats,
				    .source_for = sim_source_for,
				    .local_addrs = sim_local_addrs,
				    .num_workers = n->num_workers,
				    .max_paths = n->max_paths,
				    .path_window = 65536,
				    .path_caps = MIF_CAP_TUNNEL | MIF_CAP_TRANSPORT | MIF_CAP_BULK,
				    .fetches = n->serve != NULL,
				    .ctx = n};

	if (ike_keyring_new(&n->keyring, &n->keyring_rng.rng) ||
	    ike_engine_new(&n->e, &env, &n->limits, n->sim->now_ns))
		return false;
	ike_keyring_fetches(n->keyring, n->serve != NULL);
	ike_engine_configure(n->e, n->conf);
	return !n->tokens || !ike_engine_crash_secret(n->e, bytes_of(n->tokens, strlen(n->tokens)));
}

static void stop(struct sim_node *n)
{
	ike_engine_free(n->e);
	ike_keyring_free(n->keyring);
	sim_data_fini(n);
	n->e = NULL;
	n->keyring = NULL;
}

static bool make_node(struct sim *s, unsigned i, uint64_t seed, const struct sim_options *opt)
{
	struct sim_node *n = &s->n[i];
	const char *text = opt->conf[i] ? opt->conf[i]
			   : opt->sign  ? sim_conf_sign(i, "", "")
					: sim_conf(i, "", "");

	n->sim = s;
	n->index = i;
	n->limits = opt->limits[i];
	n->num_workers = opt->workers[i] ? opt->workers[i] : 1;
	n->max_paths = opt->paths[i] ? opt->paths[i] : MIF_PATHS_MAX;
	n->tokens = opt->tokens[i];
	n->serve = opt->serve[i];
	n->secret = opt->secret[i] ? opt->secret[i] : "a fairly long shared secret";
	n->addr = (struct endpoint){.addr = sim_addr(i, 0), .port = 500};
	n->addrs[n->num_addrs++] = n->addr.addr;
	rng_seeded_init(&n->rng, seed * 3 + i + 1);
	n->conf = opt->ready[i] ? conf_get(opt->ready[i]) : sim_conf_parse(text);
	n->wall_s = PKI_NOW_S;
	if (opt->sign && n->conf)
		n->conf = sim_creds(n->conf, i, opt->kind ? opt->kind : "P-256");
	rng_seeded_init(&n->keyring_rng, seed * 5 + i + 1);
	n->by_keyring = opt->by_keyring;
	return n->conf && start(n);
}

/* What was asked before is nobody's question any more. */
static void forget_asks(struct sim *s, unsigned side)
{
	for (size_t i = 0; i < s->num_fly; i++)
		if (s->fly[i].kind == SIM_ANSWER && s->fly[i].to == side)
			s->fly[i].ask = 0;
}

void sim_crash(struct sim *s, unsigned side)
{
	bool started;

	stop(&s->n[side]);
	forget_asks(s, side);
	started = start(&s->n[side]);
	assert(started);
}

/* SIM_VERBOSE=1 shows every event, SIM_VERBOSE=2 every log line too; otherwise the engines are
 * mute. */
static void write_line(void *ctx, enum log_level level, enum log_subsystem sub, const char *conn,
		       const char *line)
{
	(void)ctx;
	(void)sub;
	(void)conn;
	printf("#   %s %s\n", log_level_name(level), line);
}

static void set_log(void)
{
	static struct log_sink sink = {.write = write_line};
	const char *verbose = getenv("SIM_VERBOSE");

	for (unsigned i = 0; i < LOG_NUM_SUBSYSTEMS; i++)
		sink.levels[i] = verbose && verbose[0] == '2' ? LOG_DEBUG : LOG_ERROR;
	log_use(&sink);
}

struct sim *sim_new(uint64_t seed, const struct sim_options *opt)
{
	struct sim *s = calloc(1, sizeof(*s));

	assert(s);
	set_log();
	s->now_ns = 1000 * NS_PER_S;
	s->wire = opt->wire;
	if (!s->wire.delay_ns)
		s->wire.delay_ns = 5 * NS_PER_MS;
	if (!s->wire.reorder_ns)
		s->wire.reorder_ns = 200 * NS_PER_MS;
	s->packet_ns = 20 * NS_PER_MS;
	crypto_generichash_init(&s->hash, NULL, 0, 32);
	rng_seeded_init(&s->rng, seed * 3);
	if (!make_node(s, 0, seed, opt) || !make_node(s, 1, seed, opt)) {
		sim_free(s);
		return NULL;
	}
	sim_at(s, s->now_ns, sim_send_packet, 0);
	sim_at(s, s->now_ns, sim_send_packet, 1);
	return s;
}

void sim_free(struct sim *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < 2; i++) {
		stop(&s->n[i]);
		conf_put(s->n[i].conf);
	}
	for (size_t i = 0; i < s->num_fly; i++)
		free(s->fly[i].bytes);
	free(s->fly);
	free(s);
}
