/* SPDX-License-Identifier: Apache-2.0 */
/* status.c - version, totals, algorithms. */
#include "api/vici/internal.h"

#include <stdio.h>
#include <sys/utsname.h>
#include <time.h>

#ifndef LATCHKEY_VERSION
#define LATCHKEY_VERSION "unknown"
#endif

enum err cmd_version(struct call *call)
{
	struct utsname u;

	TRY(tree_setf(call->out, "daemon", "latchkeyd"));
	TRY(tree_setf(call->out, "version", "%s", LATCHKEY_VERSION));
	if (uname(&u))
		return ERR_OK;
	TRY(tree_setf(call->out, "sysname", "%s", u.sysname));
	TRY(tree_setf(call->out, "release", "%s", u.release));
	return tree_setf(call->out, "machine", "%s", u.machine);
}

static enum err set_count(struct tree *t, const char *key, uint64_t v)
{
	return tree_setf(t, key, "%llu", (unsigned long long)v);
}

static enum err set_uptime(struct tree *out, const struct backend_stats *st)
{
	char since[64] = "";
	time_t start = (time_t)st->start_wall_s;
	struct tree *t;
	struct tm tm;

	if (localtime_r(&start, &tm))
		strftime(since, sizeof(since), "%b %d %H:%M:%S %Y", &tm);
	TRY(tree_section(out, &t, "uptime"));
	TRY(tree_setf(t, "running", "%llu seconds",
		      (unsigned long long)(st->uptime_ns / NS_PER_S)));
	return tree_setf(t, "since", "%s", since);
}

static enum err set_counts(struct tree *out, const char *name, const char *const *keys, size_t num)
{
	struct tree *t;

	TRY(tree_section(out, &t, name));
	for (size_t i = 0; i < num; i++)
		TRY(tree_setf(t, keys[i], "0"));
	return ERR_OK;
}

/* strongSwan's threads and queues have no counterpart: they are told as idle. */
static enum err set_workers(struct tree *out)
{
	static const char *const levels[] = {"critical", "high", "medium", "low"};
	struct tree *t;

	TRY(tree_section(out, &t, "workers"));
	TRY(tree_setf(t, "total", "1"));
	TRY(tree_setf(t, "idle", "1"));
	TRY(set_counts(t, "active", levels, ARRAY_LEN(levels)));
	TRY(set_counts(out, "queues", levels, ARRAY_LEN(levels)));
	return tree_setf(out, "scheduled", "0");
}

enum err cmd_stats(struct call *call)
{
	struct backend_stats st = {0};
	struct tree *t;

	call->ops->stats(call->ctx, &st);
	TRY(set_uptime(call->out, &st));
	TRY(set_workers(call->out));
	TRY(tree_section(call->out, &t, "ikesas"));
	TRY(tree_setf(t, "total", "%u", st.ike.ike_sas));
	TRY(tree_setf(t, "half-open", "%u", st.ike.half_open));
	return tree_list(call->out, &t, "plugins");
}

static enum err set_ike_stats(struct tree *out, const struct ike_stats *st)
{
	struct tree *t;

	TRY(tree_section(out, &t, "ike"));
	TRY(set_count(t, "sent", st->sent));
	TRY(set_count(t, "received", st->received));
	TRY(set_count(t, "retransmitted", st->retransmitted));
	TRY(set_count(t, "malformed", st->malformed));
	TRY(set_count(t, "dropped", st->dropped));
	TRY(set_count(t, "cookies-sent", st->cookies_sent));
	TRY(set_count(t, "puzzles-set", st->puzzles_set));
	TRY(set_count(t, "puzzles-solved", st->puzzles_solved));
	TRY(set_count(t, "puzzles-failed", st->puzzles_failed));
	TRY(set_count(t, "puzzles-spared", st->puzzles_spared));
	TRY(set_count(t, "tickets-given", st->tickets_given));
	TRY(set_count(t, "tickets-refused", st->tickets_refused));
	TRY(set_count(t, "ikesas-resumed", st->resumed));
	TRY(set_count(t, "ike-established", st->ike_established));
	TRY(set_count(t, "child-established", st->child_established));
	TRY(set_count(t, "failed", st->failed));
	TRY(set_count(t, "ike-sas", st->ike_sas));
	TRY(set_count(t, "half-open", st->half_open));
	return set_count(t, "child-sas", st->child_sas);
}

/* Only drops that have happened, each with its sentence. */
static enum err set_drops(struct tree *out, const struct backend_ops *ops,
			  const struct dataplane_stats *st)
{
	struct tree *drops, *t;

	TRY(tree_section(out, &drops, "drops"));
	for (uint32_t i = 0; ops->drop_name && i < ARRAY_LEN(st->drops); i++) {
		const char *text = "", *name = ops->drop_name(i, &text);

		if (!name)
			break;
		if (!st->drops[i])
			continue;
		TRY(tree_section(drops, &t, name));
		TRY(set_count(t, "count", st->drops[i]));
		TRY(tree_setf(t, "text", "%s", text));
	}
	return ERR_OK;
}

static enum err set_data_stats(struct tree *out, const struct backend_ops *ops,
			       const struct dataplane_stats *st)
{
	struct tree *t;

	TRY(tree_section(out, &t, "data"));
	TRY(set_count(t, "rx-packets", st->rx_packets));
	TRY(set_count(t, "made", st->made));
	TRY(set_count(t, "tx-packets", st->tx_packets));
	TRY(set_count(t, "held", st->held));
	TRY(set_count(t, "punted", st->punted));
	TRY(set_count(t, "handed-off", st->handed_off));
	TRY(set_count(t, "taken", st->taken));
	TRY(set_count(t, "consumed", st->consumed));
	TRY(set_count(t, "offload-refused", st->offload_refused));
	return set_drops(t, ops, st);
}

/* set_worker_stats - a section for each, by its number. */
static enum err set_worker_stats(struct tree *out, const struct backend_ops *ops, void *ctx)
{
	struct dataplane_worker_stats st;
	struct tree *workers, *t;
	char name[16];

	if (!ops->worker_stats)
		return ERR_OK;
	TRY(tree_section(out, &workers, "workers"));
	for (uint32_t i = 0; ops->worker_stats(ctx, &st, i); i++) {
		snprintf(name, sizeof(name), "%u", i);
		TRY(tree_add_section(workers, &t, name));
		TRY(set_count(t, "rx-packets", st.rx_packets));
		TRY(set_count(t, "tx-packets", st.tx_packets));
		TRY(set_count(t, "handed-off", st.handed_off));
		TRY(set_count(t, "taken", st.taken));
		TRY(set_count(t, "by-device", st.by_device));
		TRY(set_count(t, "drops", st.drops));
		TRY(set_count(t, "pairs", st.num_pairs));
	}
	return ERR_OK;
}

enum err cmd_latchkey_stats(struct call *call)
{
	struct backend_stats st = {0};

	call->ops->stats(call->ctx, &st);
	TRY(set_uptime(call->out, &st));
	TRY(set_ike_stats(call->out, &st.ike));
	TRY(set_ports(call, true));
	TRY(set_worker_stats(call->out, call->ops, call->ctx));
	return set_data_stats(call->out, call->ops, &st.data);
}

struct algorithms {
	const char *kind;
	const char *const *names; /* NULL-terminated */
};

/* strongSwan tells which plugin brings an algorithm; here there is one source. */
enum err cmd_get_algorithms(struct call *call)
{
	static const char *const aead[] = {
		"AES_GCM_16",     "CHACHA20_POLY1305",     "NULL_AES_GMAC",
		"AES_GCM_16_IIV", "CHACHA20_POLY1305_IIV", NULL};
	static const char *const encr[] = {"AES_CBC", "NULL", NULL};
	static const char *const integ[] = {"HMAC_SHA2_256_128", "HMAC_SHA2_384_192",
					    "HMAC_SHA2_512_256", NULL};
	static const char *const prf[] = {"PRF_HMAC_SHA2_256", "PRF_HMAC_SHA2_384",
					  "PRF_HMAC_SHA2_512", NULL};
	static const char *const dh[] = {"CURVE_25519", "ECP_256",   "ECP_384",   "ECP_521",
					 "MODP_3072",   "MODP_4096", "MODP_2048", NULL};
	static const struct algorithms all[] = {{"encryption", encr},
						{"integrity", integ},
						{"aead", aead},
						{"prf", prf},
						{"ke", dh}};
	struct tree *t;

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		TRY(tree_section(call->out, &t, all[i].kind));
		for (const char *const *name = all[i].names; *name; name++)
			TRY(tree_setf(t, *name, "openssl"));
	}
	return ERR_OK;
}
