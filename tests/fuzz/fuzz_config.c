/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_config: a configuration's text through parser and validator. Whatever is accepted has to
 * hold what users of a configuration rely on, and has to be the same again when it is loaded a
 * second time, connection by connection, as the control socket does.
 */
#include "control/conf/conf.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void check_proposals(const struct conf_proposal *p, uint32_t num, bool is_ike)
{
	must(num >= 1 && num <= CONF_MAX_PROPOSALS);
	for (uint32_t i = 0; i < num; i++) {
		must(p[i].num_encr >= 1 && p[i].num_encr <= CONF_MAX_TRANSFORMS);
		must(is_ike ? p[i].num_prf >= 1 && p[i].num_dh >= 1 && p[i].num_esn == 0
			    : p[i].num_prf == 0 && p[i].num_esn >= 1);
	}
}

static void check_ts(const struct conf_ts *ts, uint32_t num)
{
	must(num >= 1 && num <= CONF_MAX_TS);
	for (uint32_t i = 0; i < num; i++)
		must(ts[i].dynamic || ts_valid(&ts[i].ts));
}

static void check_conn(const struct conf_conn *conn)
{
	must(conn->name && conn->name[0]);
	check_proposals(conn->ike, conn->num_ike, true);
	must(conn->rand_ns <= conn->rekey_ns);
	for (uint32_t i = 0; i < conn->num_children; i++) {
		const struct conf_child *c = &conn->children[i];

		must(c->name && c->name[0]);
		check_proposals(c->esp, c->num_esp, false);
		check_ts(c->local_ts, c->num_local_ts);
		check_ts(c->remote_ts, c->num_remote_ts);
		must(c->rand_ns <= c->rekey_ns && c->rand_bytes <= c->rekey_bytes);
	}
}

static void check_conf(const struct conf *conf)
{
	for (uint32_t i = 0; i < conf->num_conns; i++)
		check_conn(conf->conns[i]);
	for (uint32_t i = 0; i < conf->num_secrets; i++)
		must(conf->secrets[i]->value.len > 0);
}

/* The socket's way: one connection after the other, none of which is new. */
static void load_again(struct conf *conf, const struct tree *tree, struct conf_diags *diags)
{
	const struct tree *conns = tree_child(tree, "connections");

	if (!conns)
		return;
	tree_for_each (section, conns) {
		struct conf *next;

		must(conf_with_conn(&next, diags, conf, section) == ERR_OK);
		must(next->num_conns == conf->num_conns);
		for (uint32_t i = 0; i < conf->num_conns; i++)
			must(next->conns[i] == conf->conns[i]);
		conf_put(next);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct conf_diags diags;
	struct conf *conf;
	struct tree *tree;

	/* Longer texts find nothing that short ones do not, but slowly. */
	if (len > 16384)
		return 0;
	memset(&diags, 0, sizeof(diags));
	if (conf_parse_text(&tree, &diags, "fuzz", (const char *)data, len)) {
		must(diags.num_errors > 0);
		return 0;
	}
	if (!conf_new(&conf, &diags, tree)) {
		must(diags.num_errors == 0);
		check_conf(conf);
		load_again(conf, tree, &diags);
		conf_put(conf);
	} else {
		must(diags.num_errors > 0);
	}
	tree_free(tree);
	return 0;
}
