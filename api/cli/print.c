/* SPDX-License-Identifier: Apache-2.0 */
/* print.c - what people read, in the layout they know from swanctl. */
#include "api/cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const char *text(const struct tree *t, const char *key)
{
	const char *value = tree_get(t, key);

	return value ? value : "";
}

void put(const char *fmt, ...)
{
	char line[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	for (char *p = line; *p; p++) {
		if (((unsigned char)*p < ' ' && *p != '\n') || *p == 0x7f)
			*p = '?';
	}
	fputs(line, stdout);
}

static bool has(const struct tree *t, const char *key)
{
	return text(t, key)[0] != '\0';
}

static bool says(const struct tree *t, const char *key, const char *value)
{
	return strcmp(text(t, key), value) == 0;
}

void print_age(const char *seconds)
{
	unsigned long long s = strtoull(seconds, NULL, 10);

	if (s < 120)
		put("%llus ago", s);
	else if (s < 7200)
		put("%llum %llus ago", s / 60, s % 60);
	else if (s < 172800)
		put("%lluh %llum ago", s / 3600, s / 60 % 60);
	else
		put("%llud %lluh ago", s / 86400, s / 3600 % 24);
}

static void print_list(const struct tree *t, const char *key)
{
	const struct tree *list = tree_child(t, key);

	if (!list || list->kind != TREE_LIST)
		return;
	tree_for_each (item, list)
		put(" %s", item->value);
}

/* "ALG-256/INTEG/PRF/DH/KE1_METHOD" of what is there. */
static void print_algorithms(const struct tree *t)
{
	char ake[] = "ake1";

	put("%s", text(t, "encr-alg"));
	if (has(t, "encr-keysize"))
		put("-%s", text(t, "encr-keysize"));
	if (has(t, "integ-alg"))
		put("/%s", text(t, "integ-alg"));
	if (has(t, "prf-alg"))
		put("/%s", text(t, "prf-alg"));
	if (has(t, "dh-group"))
		put("/%s", text(t, "dh-group"));
	if (says(t, "esn", "1"))
		put("/ESN");
	for (; ake[3] <= '7'; ake[3]++) { /* additional key exchanges */
		if (has(t, ake))
			put("/KE%c_%s", ake[3], text(t, ake));
	}
}

static void print_end(const struct tree *sa, const char *side, int indent)
{
	char host[32], port[32], id[32];

	snprintf(host, sizeof(host), "%s-host", side);
	snprintf(port, sizeof(port), "%s-port", side);
	snprintf(id, sizeof(id), "%s-id", side);
	put("%*s%-6s '%s' @ %s[%s]\n", indent, "", side, text(sa, id), text(sa, host),
	    text(sa, port));
}

static void print_compressed(const struct tree *c, const char *way)
{
	char packets[32], saved[32];

	snprintf(packets, sizeof(packets), "compressed-%s", way);
	snprintf(saved, sizeof(saved), "saved-%s", way);
	if (has(c, packets))
		put(", %s compressed, %s bytes saved", text(c, packets), text(c, saved));
}

static void print_direction(const struct tree *c, const char *way, int indent)
{
	char spi[16], bytes[16], packets[16], use[16];

	snprintf(spi, sizeof(spi), "spi-%s", way);
	snprintf(bytes, sizeof(bytes), "bytes-%s", way);
	snprintf(packets, sizeof(packets), "packets-%s", way);
	snprintf(use, sizeof(use), "use-%s", way);
	put("%*s%-3s %s, %6s bytes, %5s packets", indent, "", way, text(c, spi), text(c, bytes),
	    text(c, packets));
	if (has(c, use))
		put(", %5ss ago", text(c, use));
	print_compressed(c, way);
	put("\n");
}

static void print_child(const struct tree *c, int indent)
{
	put("%*s%s: #%s, reqid %s, %s, %s%s, %s:", indent, "", text(c, "name"), text(c, "uniqueid"),
	    text(c, "reqid"), text(c, "state"), text(c, "mode"),
	    says(c, "encap", "yes") ? "-in-UDP" : "", text(c, "protocol"));
	print_algorithms(c);
	if (has(c, "cpu"))
		put(", worker %s", text(c, "cpu"));
	put("\n%*sinstalled %ss ago", indent + 2, "", text(c, "install-time"));
	if (has(c, "rekey-time"))
		put(", rekeying in %ss", text(c, "rekey-time"));
	if (has(c, "life-time"))
		put(", expires in %ss", text(c, "life-time"));
	put("\n");
	print_direction(c, "in", indent + 2);
	print_direction(c, "out", indent + 2);
	put("%*slocal ", indent + 2, "");
	print_list(c, "local-ts");
	put("\n%*sremote", indent + 2, "");
	print_list(c, "remote-ts");
	put("\n");
}

static void print_path(const struct tree *path, int indent)
{
	put("%*spath %s - %s", indent, "", text(path, "local"), text(path, "remote"));
	if (says(path, "encap", "udp"))
		put(", in UDP");
	if (has(path, "pmtu"))
		put(", MTU %s", text(path, "pmtu"));
	put(", in %s bytes, out %s bytes\n", text(path, "rx-bytes"), text(path, "tx-bytes"));
}

/* print_paths - several of them, as both sides have agreed. */
static void print_paths(const struct tree *sa, int indent)
{
	const struct tree *paths = tree_child(sa, "paths");

	if (!paths)
		return;
	put("%*spaths, %s; this side %s\n", indent, "", text(sa, "path-policy"),
	    text(sa, "multiple-interfaces"));
	tree_for_each (p, paths)
		put("%*s%s: %s - %s, priority %s, weight %s, %s\n", indent + 2, "", p->name,
		    text(p, "local"), text(p, "remote"), text(p, "priority"), text(p, "weight"),
		    text(p, "state"));
}

/* What the peer lends this host, and this host the peer. */
static void print_lent(const struct tree *sa, int indent)
{
	static const struct {
		const char *key, *text;
	} lines[] = {{"local-vips", "virtual addresses"},
		     {"local-dns", "name servers"},
		     {"remote-vips", "lent to the peer"}};

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		if (!tree_child(sa, lines[i].key))
			continue;
		put("%*s%s", indent, "", lines[i].text);
		print_list(sa, lines[i].key);
		put("\n");
	}
}

static void print_proof(const struct tree *sa, int indent)
{
	put("%*sremote authentication: %s", indent, "", text(sa, "remote-auth"));
	if (has(sa, "remote-eap-method"))
		put(" (%s)", text(sa, "remote-eap-method"));
	put("\n");
}

void print_sa(const struct tree *sa, int indent)
{
	bool initiator = says(sa, "initiator", "yes");
	const struct tree *children = tree_child(sa, "child-sas"), *path = tree_child(sa, "path");

	put("%*s%s: #%s, %s, IKEv%s, %s_i%s %s_r%s\n", indent, "", sa->name, text(sa, "uniqueid"),
	    text(sa, "state"), text(sa, "version"), text(sa, "initiator-spi"), initiator ? "*" : "",
	    text(sa, "responder-spi"), initiator ? "" : "*");
	print_end(sa, "local", indent + 2);
	print_end(sa, "remote", indent + 2);
	if (has(sa, "remote-auth"))
		print_proof(sa, indent + 2);
	if (has(sa, "encr-alg")) {
		put("%*s", indent + 2, "");
		print_algorithms(sa);
		if (says(sa, "ppk", "yes"))
			put("/PPK");
		put("\n");
	}
	if (has(sa, "established")) {
		put("%*sestablished %ss ago", indent + 2, "", text(sa, "established"));
		if (has(sa, "rekey-time"))
			put(", rekeying in %ss", text(sa, "rekey-time"));
		if (has(sa, "reauth-time"))
			put(", asked again who it is in %ss", text(sa, "reauth-time"));
		put("\n");
	}
	print_lent(sa, indent + 2);
	if (path)
		print_path(path, indent + 2);
	print_paths(sa, indent + 2);
	if (!children)
		return;
	tree_for_each (c, children)
		print_child(c, indent + 2);
}

static void print_conn_child(const struct tree *c)
{
	put("  %s: %s, ", c->name, text(c, "mode"));
	if (says(c, "rekey_time", "0"))
		put("no rekeying\n");
	else
		put("rekeying every %ss\n", text(c, "rekey_time"));
	put("    local: ");
	print_list(c, "local-ts");
	put("\n    remote:");
	print_list(c, "remote-ts");
	put("\n");
}

static bool begins(const char *name, const char *with)
{
	return strncmp(name, with, strlen(with)) == 0;
}

void print_conn(const struct tree *conn)
{
	const struct tree *children = tree_child(conn, "children");

	put("%s: %s, rekeying every %ss\n", conn->name, text(conn, "version"),
	    text(conn, "rekey_time"));
	put("  local: ");
	print_list(conn, "local_addrs");
	put("\n  remote:");
	print_list(conn, "remote_addrs");
	put("\n");
	tree_for_each (c, conn) {
		if (c->kind != TREE_SECTION ||
		    (!begins(c->name, "local") && !begins(c->name, "remote")))
			continue;
		put("  %s %s authentication:\n", begins(c->name, "local") ? "local" : "remote",
		    text(c, "class"));
		put("    id: %s\n", has(c, "id") ? text(c, "id") : "%any");
	}
	if (!children)
		return;
	tree_for_each (c, children)
		print_conn_child(c);
}
