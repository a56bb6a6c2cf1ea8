/* SPDX-License-Identifier: Apache-2.0 */
/* list.c - what people see of the SAs. */
#include <stdio.h>

#include "base/alloc.h"
#include "control/auth/dn.h"
#include "control/auth/eap/packet.h"
#include "control/child/child.h"
#include "control/ike/core.h"
#include "control/ike/mif_plan.h"
#include "control/ike/task.h"

static enum ike_sa_state state_of(const struct ike_sa *sa)
{
	if (sa->state < SA_ESTABLISHED)
		return IKE_STATE_CONNECTING;
	if (sa->state == SA_REKEYED || (sa->out.task && (sa->out.task->kind == TASK_IKE_REKEY)))
		return IKE_STATE_REKEYING;
	return sa->state == SA_DELETING ? IKE_STATE_DELETING : IKE_STATE_ESTABLISHED;
}

static const char *child_state(const struct ike_child *c)
{
	if (c->state == CHILD_LINGERING || (c->state == CHILD_DELETING && c->replaced_by))
		return "REKEYED";
	if (c->state == CHILD_DELETING)
		return "DELETING";
	return task_find(c->sa, TASK_CHILD_REKEY, c->id) ? "REKEYING" : "INSTALLED";
}

static struct ike_child_info child_info(const struct ike_child *c)
{
	return (struct ike_child_info){
		.id = c->id,
		.unique = c->unique,
		.name = c->conf->name,
		.state = child_state(c),
		.spi_in = c->spi_in,
		.spi_out = c->spi_out,
		.proposal = c->proposal,
		.mode = c->mode,
		.ipcomp = c->ipcomp,
		.cpi_in = c->cpi_in,
		.cpi_out = c->cpi_out,
		.esn = c->chosen.esn,
		.narrow = wish_narrow(c->wish),
		.siblings = c->siblings,
		.worker = c->worker,
		.path = c->path,
		.encap = sa_esp_encap(c->sa) == ENCAP_UDP,
		.local = c->ts,
		.remote = c->ts + c->num_local,
		.num_local = c->num_local,
		.num_remote = c->num_remote,
		.installed_ns = c->installed_ns,
		.rekey_ns = c->rekey_ns,
		.expire_ns = c->expire_ns,
	};
}

/* Pairs that are only lingering, or were never wanted, are nobody's business. */
static bool shown(const struct ike_child *c)
{
	return c->state != CHILD_LINGERING && !(c->redundant && !c->in);
}

static uint32_t count_children(const struct ike_sa *sa)
{
	uint32_t num = 0;

	list_for_each (n, &sa->children) {
		num += shown(list_entry(n, struct ike_child, node));
	}
	return num;
}

static void show_paths(struct ike_sa_info *info, const struct ike_sa *sa)
{
	const struct sa_paths *t = &sa->mif.paths;

	if (!sa->mif.on)
		return;
	info->path_policy = t->policy;
	info->num_path_list = t->num;
	for (uint8_t i = 0; i < t->num; i++)
		info->path_list[i] = (struct ike_path_info){
			.id = t->list[i].id,
			.weight = t->list[i].weight,
			.priority = t->list[i].priority,
			.usable = t->list[i].usable,
			.active = paths_active(t, &t->list[i]),
			.leaving = t->list[i].leaving,
			.addr = t->list[i].addr,
		};
}

static void show(const struct ike_sa *sa, void (*fn)(void *ctx, const struct ike_sa_info *sa),
		 void *ctx)
{
	uint32_t num = count_children(sa);
	struct ike_child_info *children = num ? mem_alloc_array(num, sizeof(*children)) : NULL;
	struct ike_sa_info info = {
		.unique = sa->unique,
		.conn = sa->conn ? sa->conn->name : NULL,
		.state = state_of(sa),
		.initiator = sa->initiator,
		.spi_i = sa->spi_i,
		.spi_r = sa->spi_r,
		.path = sa->path,
		.peer = sa->peer ? sa->peer->id : 0,
		.local_id = sa->local_id.type ? &sa->local_id : NULL,
		.remote_id = sa->remote_id.type ? &sa->remote_id : NULL,
		.proof = sa->proof,
		.proposal = sa->proposal,
		.established_ns = sa->established_ns,
		.reauth_ns = sa->auth_life.due_ns,
		.rekey_ns = sa->rekey_ns,
		.nat_local = sa->nat_local,
		.nat_remote = sa->nat_remote,
		.paths = sa->mif.on,
		.paths_decides = sa->mif.on && sa->mif.decides,
		.vips = sa->vips.addrs,
		.dns = sa->vips.dns,
		.num_vips = sa->vips.installed ? sa->vips.num : 0,
		.num_dns = sa->vips.installed ? sa->vips.num_dns : 0,
		.lent = sa->lent ? sa->lent->addrs : NULL,
		.num_lent = sa->lent ? sa->lent->num : 0,
		.children = children,
	};

	show_paths(&info, sa);
	list_for_each (n, &sa->children) {
		const struct ike_child *c = list_entry(n, struct ike_child, node);

		if (children && shown(c))
			children[info.num_children++] = child_info(c);
	}
	fn(ctx, &info);
	mem_free(children);
}

void ike_each_sa(struct ike_engine *e, void (*fn)(void *ctx, const struct ike_sa_info *sa),
		 void *ctx)
{
	list_for_each (n, &e->sas) {
		const struct ike_sa *sa = list_entry(n, struct ike_sa, node);

		if (sa->state != SA_NONE && sa->state != SA_DEAD)
			show(sa, fn, ctx);
	}
}

/* struct lease_call - for whom leases are listed. */
struct lease_call {
	void (*fn)(void *ctx, const struct ike_lease *l);
	void *ctx;
};

static void show_lease(void *ctx, const struct lease *l)
{
	const struct lease_call *call = ctx;

	call->fn(call->ctx, &(struct ike_lease){.addr = l->addr,
						.peer = l->owner.type ? &l->owner : NULL,
						.online = l->refs > 0});
}

void ike_each_lease(const struct ike_engine *e, const char *pool,
		    void (*fn)(void *ctx, const struct ike_lease *l), void *ctx)
{
	struct lease_call call = {fn, ctx};

	pool_each(&e->pools, pool, show_lease, &call);
}

void ike_stats(const struct ike_engine *e, struct ike_stats *out)
{
	struct ike_stats st = e->stats;

	st.ike_sas = st.child_sas = st.closing = 0;
	st.half_open = e->half_open_num;
	list_for_each (n, &e->sas) {
		const struct ike_sa *sa = list_entry(n, struct ike_sa, node);

		st.ike_sas += sa->state == SA_ESTABLISHED;
		st.closing += sa->state == SA_DELETING;
		st.child_sas += count_children(sa);
	}
	*out = st;
}

/* ---- identities -------------------------------------------------------------------------------
 */

static void clean(char *buf, size_t size, const uint8_t *p, size_t len)
{
	size_t n = len < size - 1 ? len : size - 1;

	for (size_t i = 0; i < n; i++)
		buf[i] = p[i] >= 0x20 && p[i] < 0x7f ? (char)p[i] : '?';
	buf[n] = 0;
}

static void hex(char *buf, size_t size, const struct ike_id *id)
{
	size_t at = 0;

	for (size_t i = 0; i < id->len && at + 3 < size; i++, at += 2)
		snprintf(buf + at, size - at, "%02x", id->data[i]);
}

const char *ike_id_text(char *buf, size_t size, const struct ike_id *id)
{
	char addr[IP_TEXT_MAX], name[300];
	struct ip_addr a;

	if (!size)
		return "";
	buf[0] = 0;
	switch (id->type) {
	case 0:
		snprintf(buf, size, "%%any");
		break;
	case ID_NULL:
		snprintf(buf, size, "%%null");
		break;
	case ID_IPV4_ADDR:
	case ID_IPV6_ADDR:
		if (id->len != (id->type == ID_IPV4_ADDR ? 4 : 16))
			break;
		a = id->type == ID_IPV4_ADDR ? ip_addr_v4(id->data) : ip_addr_v6(id->data);
		snprintf(buf, size, "%s", ip_addr_text(addr, &a));
		break;
	case ID_FQDN:
	case ID_RFC822_ADDR:
		clean(buf, size, id->data, id->len);
		break;
	case ID_DER_ASN1_DN:
		dn_text(name, sizeof(name), bytes_of(id->data, id->len));
		clean(buf, size, (const uint8_t *)name, strlen(name));
		if (!buf[0])
			hex(buf, size, id);
		break;
	default:
		hex(buf, size, id);
	}
	return buf;
}

const char *ike_eap_name(char buf[static IKE_EAP_NAME_MAX], uint8_t method)
{
	const char *name = eap_type_name(method);

	if (name)
		snprintf(buf, IKE_EAP_NAME_MAX, "%s", name);
	else
		snprintf(buf, IKE_EAP_NAME_MAX, "%u", method);
	return buf;
}
