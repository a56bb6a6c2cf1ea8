/* SPDX-License-Identifier: Apache-2.0 */
/* sa.c - IKE SAs and their children in the keys of strongSwan's list-sa event. */
#include "api/vici/internal.h"

#include <stdio.h>

const char *sa_state_text(enum ike_sa_state state)
{
	static const char *const names[] = {
		[IKE_STATE_CONNECTING] = "CONNECTING",
		[IKE_STATE_ESTABLISHED] = "ESTABLISHED",
		[IKE_STATE_REKEYING] = "REKEYING",
		[IKE_STATE_DELETING] = "DELETING",
	};

	return (size_t)state < ARRAY_LEN(names) ? names[state] : "UNKNOWN";
}

/* Whole seconds from `from` to `to`, 0 if that is over. */
static uint64_t seconds(uint64_t from, uint64_t to)
{
	return to > from ? (to - from) / NS_PER_S : 0;
}

static enum err set_remaining(struct tree *t, const char *key, uint64_t at, uint64_t now)
{
	if (at == TIME_NEVER || at == 0)
		return ERR_OK;
	return tree_setf(t, key, "%llu", (unsigned long long)seconds(now, at));
}

static enum err set_age(struct tree *t, const char *key, uint64_t at, uint64_t now)
{
	if (at == TIME_NEVER || at == 0)
		return ERR_OK;
	return tree_setf(t, key, "%llu", (unsigned long long)seconds(at, now));
}

static enum err set_count(struct tree *t, const char *key, uint64_t v)
{
	return tree_setf(t, key, "%llu", (unsigned long long)v);
}

/* One transform's name of a proposal; its kind shows in how it begins. */
static enum err set_transform(struct tree *t, char *name)
{
	char *bits = strchr(name, '-');

	char key[] = "ake0";

	if (strncmp(name, "KE", 2) == 0 && name[2] &&
	    name[3] == '_') { /* additional: "KE1_ECP_256" */
		key[3] = name[2];
		return tree_setf(t, key, "%s", name + 4);
	}
	if (strncmp(name, "PRF_", 4) == 0)
		return tree_setf(t, "prf-alg", "%s", name);
	if (strncmp(name, "HMAC_", 5) == 0)
		return tree_setf(t, "integ-alg", "%s", name);
	if (strncmp(name, "CURVE_", 6) == 0 || strncmp(name, "ECP_", 4) == 0 ||
	    strncmp(name, "MODP_", 5) == 0)
		return tree_setf(t, "dh-group", "%s", name);
	if (bits)
		*bits++ = '\0';
	TRY(tree_setf(t, "encr-alg", "%s", name));
	return bits ? tree_setf(t, "encr-keysize", "%s", bits) : ERR_OK;
}

/* "AES_GCM_16-256/PRF_HMAC_SHA2_256/CURVE_25519" by its parts. */
static enum err set_proposal(struct tree *t, const char *proposal)
{
	char buf[200], *save = NULL;

	if (!proposal)
		return ERR_OK;
	snprintf(buf, sizeof(buf), "%s", proposal);
	for (char *part = strtok_r(buf, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
		if (strcmp(part, "ESN") != 0 && strcmp(part, "NO_EXT_SEQ") != 0)
			TRY(set_transform(t, part));
	}
	return ERR_OK;
}

static enum err set_end(struct tree *t, const char *side, const struct endpoint *end,
			const struct ike_id *id)
{
	char key[32], text[IP_TEXT_MAX], who[300];

	snprintf(key, sizeof(key), "%s-host", side);
	TRY(tree_setf(t, key, "%s", ip_addr_text(text, &end->addr)));
	snprintf(key, sizeof(key), "%s-port", side);
	TRY(tree_setf(t, key, "%u", end->port));
	snprintf(key, sizeof(key), "%s-id", side);
	return tree_setf(t, key, "%s", id ? ike_id_text(who, sizeof(who), id) : "%any");
}

static enum err set_ts(struct tree *t, const char *name, const struct ts *list, uint32_t num)
{
	char text[TS_TEXT_MAX];
	struct tree *node;

	TRY(tree_list(t, &node, name));
	for (uint32_t i = 0; i < num; i++) {
		ts_text(text, &list[i]);
		TRY(tree_append(node, text, strlen(text)));
	}
	return ERR_OK;
}

static enum err set_child_stats(const struct backend *b, struct tree *t, uint64_t id, bool ipcomp,
				uint64_t now)
{
	struct child_stats st = {0};

	if (b->ops->child_stats(b->ctx, &st, id))
		st = (struct child_stats){0};
	TRY(set_count(t, "bytes-in", st.in_bytes));
	TRY(set_count(t, "packets-in", st.in_packets));
	TRY(set_age(t, "use-in", st.in_last_ns, now));
	TRY(set_count(t, "bytes-out", st.out_bytes));
	TRY(set_count(t, "packets-out", st.out_packets));
	if (ipcomp) { /* not in strongSwan */
		TRY(set_count(t, "compressed-in", st.in_compressed));
		TRY(set_count(t, "saved-in", st.in_saved));
		TRY(set_count(t, "compressed-out", st.out_compressed));
		TRY(set_count(t, "saved-out", st.out_saved));
	}
	TRY(set_count(t, "token", st.token)); /* its protection class: not in strongSwan */
	return set_age(t, "use-out", st.out_last_ns, now);
}

/* strongSwan numbers what shares policies; here that is the configured child: its place in the
 * configuration, 0 if it is not there any more. */
static uint32_t reqid_of(const struct backend *b, const char *conn, const char *child)
{
	const struct conf *conf = b->ops->conf(b->ctx);
	uint32_t reqid = 0;

	for (uint32_t i = 0; conn && child && i < conf->num_conns; i++) {
		const struct conf_conn *c = conf->conns[i];

		for (uint32_t j = 0; j < c->num_children; j++) {
			reqid++;
			if (strcmp(c->name, conn) == 0 && strcmp(c->children[j].name, child) == 0)
				return reqid;
		}
	}
	return 0;
}

enum err sa_child(const struct backend *b, struct tree *t, const struct ike_sa_info *sa,
		  const struct ike_child_info *c)
{
	uint64_t now = b->ops->now(b->ctx);

	TRY(tree_setf(t, "name", "%s", c->name));
	TRY(tree_setf(t, "uniqueid", "%u", c->unique));
	TRY(tree_setf(t, "reqid", "%u", reqid_of(b, sa->conn, c->name)));
	TRY(tree_setf(t, "state", "%s", c->state));
	TRY(tree_setf(t, "mode", c->mode == SA_TRANSPORT ? "TRANSPORT" : "TUNNEL"));
	TRY(tree_setf(t, "protocol", "ESP"));
	if (c->encap)
		TRY(tree_setf(t, "encap", "yes"));
	TRY(tree_setf(t, "spi-in", "%08x", c->spi_in));
	TRY(tree_setf(t, "spi-out", "%08x", c->spi_out));
	if (c->ipcomp) {
		TRY(tree_setf(t, "cpi-in", "%04x", c->cpi_in));
		TRY(tree_setf(t, "cpi-out", "%04x", c->cpi_out));
	}
	TRY(set_proposal(t, c->proposal));
	if (c->esn)
		TRY(tree_setf(t, "esn", "1"));
	if (c->siblings)
		TRY(tree_setf(t, "per-cpu-sas", "yes"));
	if (c->worker)
		TRY(tree_setf(t, "cpu", "%u", c->worker - 1));
	TRY(set_child_stats(b, t, c->id, c->ipcomp, now));
	TRY(set_remaining(t, "rekey-time", c->rekey_ns, now));
	TRY(set_remaining(t, "life-time", c->expire_ns, now));
	TRY(set_age(t, "install-time", c->installed_ns, now));
	TRY(set_ts(t, "local-ts", c->local, c->num_local));
	return set_ts(t, "remote-ts", c->remote, c->num_remote);
}

static enum err fill_children(const struct backend *b, struct tree *t, const struct ike_sa_info *sa,
			      uint32_t first, uint32_t num)
{
	struct tree *children, *section;
	char name[256];

	TRY(tree_section(t, &children, "child-sas"));
	for (uint32_t i = first; i < sa->num_children && i - first < num; i++) {
		const struct ike_child_info *c = &sa->children[i];

		snprintf(name, sizeof(name), "%.200s-%u", c->name, c->unique);
		TRY(tree_add_section(children, &section, name));
		TRY(sa_child(b, section, sa, c));
	}
	return ERR_OK;
}

static enum err set_addrs(struct tree *t, const char *name, const struct ip_addr *list,
			  uint32_t num)
{
	char text[IP_TEXT_MAX];
	struct tree *node;

	if (!num)
		return ERR_OK;
	TRY(tree_list(t, &node, name));
	for (uint32_t i = 0; i < num; i++) {
		ip_addr_text(text, &list[i]);
		TRY(tree_append(node, text, strlen(text)));
	}
	return ERR_OK;
}

static enum err fill_nat(struct tree *t, const struct ike_sa_info *sa)
{
	if (sa->nat_local)
		TRY(tree_setf(t, "nat-local", "yes"));
	if (sa->nat_remote)
		TRY(tree_setf(t, "nat-remote", "yes"));
	if (sa->nat_local || sa->nat_remote)
		TRY(tree_setf(t, "nat-any", "yes"));
	return ERR_OK;
}

/* path_state - as docs/multiple-interfaces.md 4 has it, as far as this side sends. */
static const char *path_state(const struct ike_path_info *p)
{
	if (!p->usable)
		return "VALIDATING";
	return p->active ? "ACTIVE" : "STANDBY";
}

/* struct path_row - a path as the keying engine has it, and what the data path knows of it, or
 * NULL.
 */
struct path_row {
	uint16_t id, weight;
	uint8_t priority;
	const char *state;
	const struct path_addr *addr;
	const struct engine_path_info *data;
};

static enum err set_traffic(struct tree *t, const struct path_info *p)
{
	if (p->pmtu)
		TRY(tree_setf(t, "pmtu", "%u", p->pmtu));
	TRY(set_count(t, "tx-packets", p->tx_packets));
	TRY(set_count(t, "tx-bytes", p->tx_bytes));
	TRY(set_count(t, "rx-packets", p->rx_packets));
	return set_count(t, "rx-bytes", p->rx_bytes);
}

/* What is not known is not said. */
static enum err set_quality(struct tree *t, const struct path_quality *q)
{
	if (q->rtt_ns)
		TRY(set_count(t, "rtt-us", q->rtt_ns / NS_PER_US));
	if (q->rate)
		TRY(set_count(t, "rate", q->rate));
	return set_count(t, "loss-permille", q->loss_permille);
}

static enum err set_path(struct tree *list, const struct path_row *row)
{
	char text[ENDPOINT_TEXT_MAX], number[8];
	struct tree *t;

	snprintf(number, sizeof(number), "%u", row->id);
	TRY(tree_add_section(list, &t, number));
	TRY(tree_setf(t, "local", "%s", endpoint_text(text, &row->addr->local)));
	TRY(tree_setf(t, "remote", "%s", endpoint_text(text, &row->addr->remote)));
	TRY(tree_setf(t, "encap", "%s", row->addr->encap == ENCAP_UDP ? "udp" : "none"));
	TRY(tree_setf(t, "priority", "%u", row->priority));
	TRY(tree_setf(t, "weight", "%u", row->weight));
	TRY(tree_setf(t, "state", "%s", row->state));
	if (row->data)
		TRY(set_traffic(t, &row->data->path));
	return row->data && row->data->probed ? set_quality(t, &row->data->quality) : ERR_OK;
}

static const struct engine_path_info *data_of(const struct engine_path_info *list, uint32_t num,
					      uint16_t id)
{
	for (uint32_t i = 0; i < num; i++)
		if (list[i].path.id == id)
			return &list[i];
	return NULL;
}

static enum err set_agreement(struct tree *t, const struct ike_sa_info *sa)
{
	static const char *const policies[] = {"failover", "flow", "spray", "duplicate"};

	TRY(tree_setf(t, "multiple-interfaces", sa->paths_decides ? "decides" : "follows"));
	if (sa->path_policy < ARRAY_LEN(policies))
		TRY(tree_setf(t, "path-policy", "%s", policies[sa->path_policy]));
	return ERR_OK;
}

/* set_only - without an agreement there is the one that the data path has. */
static enum err set_only(struct tree *list, const struct engine_path_info *only)
{
	return set_path(list, &(struct path_row){.id = only->path.id,
						 .weight = only->path.weight,
						 .priority = only->path.priority,
						 .state = "ACTIVE",
						 .addr = &only->path.addr,
						 .data = only});
}

enum err sa_paths(const struct backend *b, struct tree *t, const struct ike_sa_info *sa)
{
	struct engine_path_info data[PATHS_MAX];
	uint32_t num = b->ops->paths ? b->ops->paths(b->ctx, data, sa->peer) : 0;
	struct tree *list;

	if (sa->paths)
		TRY(set_agreement(t, sa));
	TRY(tree_section(t, &list, "paths"));
	for (uint32_t i = 0; i < sa->num_path_list; i++) {
		const struct ike_path_info *p = &sa->path_list[i];

		TRY(set_path(list, &(struct path_row){.id = p->id,
						      .weight = p->weight,
						      .priority = p->priority,
						      .state = path_state(p),
						      .addr = &p->addr,
						      .data = data_of(data, num, p->id)}));
	}
	return sa->paths || !num ? ERR_OK : set_only(list, &data[0]);
}

enum err sa_section(const struct backend *b, struct tree *parent, const struct ike_sa_info *sa,
		    uint32_t first, uint32_t num)
{
	struct tree *t;

	TRY(tree_add_section(parent, &t, sa->conn ? sa->conn : "(unnamed)"));
	TRY(sa_fill(b, t, sa));
	return num ? fill_children(b, t, sa, first, num) : ERR_OK;
}

/* set_eap - who proved itself by EAP is known by its name there. */
static enum err set_eap(struct tree *t, const struct auth_proof_params *p)
{
	char id[300], method[IKE_EAP_NAME_MAX];

	TRY(tree_setf(t, "remote-eap-id", "%s", ike_id_text(id, sizeof(id), &p->peer)));
	return tree_setf(t, "remote-eap-method", "%s", ike_eap_name(method, p->eap));
}

static enum err set_proof(struct tree *t, const struct auth_proof_params *p)
{
	TRY(tree_setf(t, "remote-auth", "%s", auth_method_name(p->method)));
	if (p->method == AUTH_METHOD_EAP)
		TRY(set_eap(t, p));
	if (p->ppk)
		TRY(tree_setf(t, "ppk", "yes"));
	return ERR_OK;
}

enum err sa_fill(const struct backend *b, struct tree *t, const struct ike_sa_info *sa)
{
	uint64_t now = b->ops->now(b->ctx);

	TRY(tree_setf(t, "uniqueid", "%u", sa->unique));
	TRY(tree_setf(t, "version", "2"));
	TRY(tree_setf(t, "state", "%s", sa_state_text(sa->state)));
	TRY(set_end(t, "local", &sa->path.local, sa->local_id));
	TRY(set_end(t, "remote", &sa->path.remote, sa->remote_id));
	if (sa->proof)
		TRY(set_proof(t, auth_proof_params(sa->proof)));
	if (sa->initiator)
		TRY(tree_setf(t, "initiator", "yes"));
	TRY(tree_setf(t, "initiator-spi", "%016llx", (unsigned long long)sa->spi_i));
	TRY(tree_setf(t, "responder-spi", "%016llx", (unsigned long long)sa->spi_r));
	TRY(fill_nat(t, sa));
	if (sa->paths)
		TRY(sa_paths(b, t, sa));
	TRY(set_addrs(t, "local-vips", sa->vips, sa->num_vips));
	TRY(set_addrs(t, "local-dns", sa->dns, sa->num_dns));
	TRY(set_addrs(t, "remote-vips", sa->lent, sa->num_lent));
	TRY(set_proposal(t, sa->proposal));
	if (sa->state != IKE_STATE_CONNECTING) {
		TRY(set_age(t, "established", sa->established_ns, now));
		TRY(set_remaining(t, "rekey-time", sa->rekey_ns, now));
		TRY(set_remaining(t, "reauth-time", sa->reauth_ns, now));
	}
	return ERR_OK;
}

enum err sa_path(const struct backend *b, struct tree *parent, const struct ike_sa_info *sa)
{
	char text[ENDPOINT_TEXT_MAX];
	struct path_info info;
	struct tree *t;

	if (!b->ops->path_info || b->ops->path_info(b->ctx, &info, sa->unique))
		return ERR_OK;
	TRY(tree_section(parent, &t, "path"));
	TRY(tree_setf(t, "local", "%s", endpoint_text(text, &info.addr.local)));
	TRY(tree_setf(t, "remote", "%s", endpoint_text(text, &info.addr.remote)));
	TRY(tree_setf(t, "encap", "%s", info.addr.encap == ENCAP_UDP ? "udp" : "none"));
	return set_traffic(t, &info);
}
