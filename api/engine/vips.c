/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vips.c - addresses that peers lend this host: on the virtual interface while they last. And the
 * name servers that came with them, in a file for whoever wants to use it: nothing is executed
 * (S62).
 */
#include <stdio.h>
#include <unistd.h>

#include "api/engine/internal.h"
#include "base/alloc.h"

/* DNS_MAX - name servers in the file: the C library looks at three. */
#define DNS_MAX 16

/* struct vip_rec - an address that is lent for a connection, and by how many IKE SAs. */
struct vip_rec {
	struct list_node node;
	struct ip_addr addr;
	char *conn;
	char device[16]; /* where it is */
	uint32_t refs;
	bool there; /* the host has it */
	bool ours;  /* and did not have it before */
};

static struct ip_prefix whole(const struct ip_addr *a)
{
	return (struct ip_prefix){.addr = *a, .len = (uint8_t)(ip_addr_len(a) * 8)};
}

static struct vip_rec *find(const struct engine *e, const char *conn, const struct ip_addr *a)
{
	list_for_each (n, &e->vips) {
		struct vip_rec *v = list_entry(n, struct vip_rec, node);

		if (ip_addr_equal(&v->addr, a) && strcmp(v->conn, conn) == 0)
			return v;
	}
	return NULL;
}

static bool host_has(struct engine *e, const struct ip_addr *a)
{
	const struct ip_prefix p = whole(a);
	const struct ts ts = ts_from_prefix(&p);
	struct ip_addr found;

	return !e->host.ops->local_in(e->host.ctx, &found, &ts);
}

/* The connection's own interface, if it has one, or the shared one. */
static const char *device_of(const struct engine *e, const char *name)
{
	const struct conf_conn *conn = conf_find_conn(e->conf, name);

	return conn && vif_is_own(e, conn) ? conn->interface : e->daemon.interface;
}

static void put_on(struct engine *e, struct vip_rec *v)
{
	const struct ip_prefix p = whole(&v->addr);
	char text[IP_TEXT_MAX];

	ip_addr_text(text, &v->addr);
	snprintf(v->device, sizeof(v->device), "%s", device_of(e, v->conn));
	if (!e->has_device)
		return;
	v->there = host_has(e, &v->addr);
	if (!v->there && e->host.ops->addr_add(e->host.ctx, v->device, &p)) {
		LOG(ERROR, KNL, v->conn, "the virtual address %s cannot be set on %s", text,
		    v->device);
		return;
	}
	v->ours = !v->there;
	v->there = true;
	if (v->ours)
		LOG(INFO, KNL, v->conn, "virtual address %s on %s", text, v->device);
	/* It is the source of what is routed into the tunnel from now on. */
	routes_again(e);
}

static struct vip_rec *rec_new(struct engine *e, const char *conn, const struct ip_addr *a)
{
	struct vip_rec *v = mem_alloc(sizeof(*v));

	if (!v)
		return NULL;
	v->addr = *a;
	v->conn = str_dup(conn);
	if (!v->conn) {
		mem_free(v);
		return NULL;
	}
	list_push_back(&e->vips, &v->node);
	put_on(e, v);
	return v;
}

void vips_add(struct engine *e, const char *conn, const struct ip_addr *a)
{
	struct vip_rec *v = find(e, conn, a);

	if (!v)
		v = rec_new(e, conn, a);
	if (v)
		v->refs++;
	else
		LOG(ERROR, KNL, conn, "no memory for a virtual address");
}

/* Another connection has the same address: it stays for that one. */
static bool leave_to_another(struct engine *e, const struct vip_rec *v)
{
	list_for_each (n, &e->vips) {
		struct vip_rec *o = list_entry(n, struct vip_rec, node);

		if (!ip_addr_equal(&o->addr, &v->addr))
			continue;
		o->ours = true;
		memcpy(o->device, v->device, sizeof(o->device));
		return true;
	}
	return false;
}

static void take_off(struct engine *e, struct vip_rec *v)
{
	const struct ip_prefix p = whole(&v->addr);

	list_remove(&v->node);
	if (v->ours && !e->leave_host && !leave_to_another(e, v) &&
	    e->host.ops->addr_del(e->host.ctx, v->device, &p))
		LOG(WARN, KNL, v->conn, "a virtual address could not be removed from %s",
		    v->device);
	mem_free(v->conn);
	mem_free(v);
}

void vips_remove(struct engine *e, const char *conn, const struct ip_addr *a)
{
	struct vip_rec *v = find(e, conn, a);

	if (!v || --v->refs)
		return;
	take_off(e, v);
	/* The host takes the routes away that had it as their source. */
	routes_again(e);
}

bool vips_in(const struct engine *e, struct ip_addr *out, const struct ts *ts)
{
	list_for_each (n, &e->vips) {
		const struct vip_rec *v = list_entry(n, struct vip_rec, node);

		if (v->there && v->addr.family == ts->lo.family &&
		    ip_addr_cmp(&ts->lo, &v->addr) <= 0 && ip_addr_cmp(&v->addr, &ts->hi) <= 0) {
			*out = v->addr;
			return true;
		}
	}
	return false;
}

/* ---- name servers ---------------------------------------------------------------------------- */

/* struct servers - those of all IKE SAs, each once. */
struct servers {
	struct ip_addr list[DNS_MAX];
	uint32_t num;
};

static void collect(void *ctx, const struct ike_sa_info *sa)
{
	struct servers *s = ctx;

	for (uint32_t i = 0; i < sa->num_dns && s->num < DNS_MAX; i++) {
		bool known = false;

		for (uint32_t k = 0; k < s->num; k++)
			known |= ip_addr_equal(&s->list[k], &sa->dns[i]);
		if (!known)
			s->list[s->num++] = sa->dns[i];
	}
}

static bool write_all(FILE *f, const struct servers *s)
{
	char text[IP_TEXT_MAX];
	bool good = fputs("# name servers behind IPsec peers, written by latchkeyd\n", f) >= 0;

	for (uint32_t i = 0; i < s->num; i++)
		good &= fprintf(f, "nameserver %s\n", ip_addr_text(text, &s->list[i])) > 0;
	return (fclose(f) == 0) & good;
}

/* Whole or not at all: whoever reads it never sees half of it. */
static void replace(const char *path, const struct servers *s)
{
	char other[4096];
	FILE *f;

	snprintf(other, sizeof(other), "%s.new", path);
	f = fopen(other, "we");
	if (f && write_all(f, s) && rename(other, path) == 0)
		return;
	LOG(WARN, DMN, NULL, "the name servers of peers cannot be written to %s", path);
	if (f)
		(void)unlink(other);
}

void vips_settle(struct engine *e)
{
	struct servers s = {.num = 0};

	if (!e->dns_dirty || !e->resolv_file)
		return;
	e->dns_dirty = false;
	ike_each_sa(e->ike, collect, &s);
	if (s.num || e->has_dns)
		replace(e->resolv_file, &s);
	e->has_dns = s.num > 0;
}

void vips_fini(struct engine *e)
{
	list_for_each_safe (n, &e->vips)
		take_off(e, list_entry(n, struct vip_rec, node));
	if (e->resolv_file && e->has_dns)
		(void)unlink(e->resolv_file);
}
