/* SPDX-License-Identifier: Apache-2.0 */
/* conn.c - connections.<conn>. */
#include "base/alloc.h"
#include "base/clock.h"
#include "control/conf/check.h"
#include "control/conf/values.h"

#include <ctype.h>
#include <sodium.h>

#define CHILDREN_MAX 1024

enum err set_version(struct check *c, void *obj, const struct tree *node)
{
	uint64_t v;

	(void)obj;
	if (take_number(c, &v, node, 2) && v == 1)
		CHECK_ERROR(c, node, "IKEv1 is not supported: only IKEv2 is (2, or 0 for any)");
	return ERR_OK;
}

static bool is_any_addr(const char *text)
{
	static const char *const any[] = {"%any", "%any4", "%any6", "0.0.0.0", "::"};

	for (size_t i = 0; i < ARRAY_LEN(any); i++) {
		if (strcmp(text, any[i]) == 0)
			return true;
	}
	return false;
}

/* Letters, digits, '-', '_', '.'; not digits and dots alone, which was to be an address. */
static bool is_host_name(const char *text)
{
	bool letter = false;

	if (strlen(text) > 253 || !isalnum((unsigned char)*text))
		return false;
	for (; *text; text++) {
		if (!isalnum((unsigned char)*text) && !strchr("-_.", *text))
			return false;
		letter |= isalpha((unsigned char)*text) != 0;
	}
	return letter;
}

/* Errors: NOMEM, MALFORMED. */
static enum err addr_from_text(struct conf_addr *out, const char *text)
{
	struct conf_addr a = {.any = is_any_addr(text)};

	if (!a.any && (strchr(text, '[') || ts_parse(&a.range, text)))
		a.name = is_host_name(text);
	if (!a.any && !a.name && a.range.lo.family == IP_NONE)
		return ERR_MALFORMED;
	a.text = str_dup(text);
	if (!a.text)
		return ERR_NOMEM;
	*out = a;
	return ERR_OK;
}

static enum err set_addrs(struct check *c, struct conf_addr list[CONF_MAX_ADDRS], uint32_t *num,
			  const struct tree *node)
{
	char item[VALUE_ITEM_MAX];
	struct value_items it;

	value_items_init(&it, node);
	while (take_item(c, item, &it, &(struct take_list){"addresses", *num, CONF_MAX_ADDRS})) {
		const enum err e = addr_from_text(&list[*num], item);

		if (e == ERR_NOMEM)
			return e;
		if (e)
			CHECK_ERROR(c, node, "'%.60s' is not an address, prefix, range or name",
				    item);
		else
			(*num)++;
	}
	return ERR_OK;
}

enum err set_local_addrs(struct check *c, void *obj, const struct tree *node)
{
	return set_addrs(c, CONN(obj)->local_addrs, &CONN(obj)->num_local_addrs, node);
}

enum err set_remote_addrs(struct check *c, void *obj, const struct tree *node)
{
	return set_addrs(c, CONN(obj)->remote_addrs, &CONN(obj)->num_remote_addrs, node);
}

/* "%any" is strongSwan's other word for 0.0.0.0, "%any6" for ::. */
static enum err vip_from_text(struct ip_addr *out, const char *text)
{
	if (strcmp(text, "%any") == 0 || strcmp(text, "%any4") == 0)
		text = "0.0.0.0";
	else if (strcmp(text, "%any6") == 0)
		text = "::";
	return ip_addr_parse(out, text);
}

enum err set_vips(struct check *c, void *obj, const struct tree *node)
{
	struct conf_conn *conn = CONN(obj);
	char item[VALUE_ITEM_MAX];
	struct value_items it;

	value_items_init(&it, node);
	while (take_item(c, item, &it,
			 &(struct take_list){"addresses", conn->num_vips, CONF_MAX_VIPS}))
		if (vip_from_text(&conn->vips[conn->num_vips], item))
			CHECK_ERROR(c, node,
				    "'%.60s' is not an address: 0.0.0.0 asks for any of IPv4, :: "
				    "for any of IPv6",
				    item);
		else
			conn->num_vips++;
	return ERR_OK;
}

enum err set_conn_pools(struct check *c, void *obj, const struct tree *node)
{
	struct conf_conn *conn = CONN(obj);
	char item[VALUE_ITEM_MAX];
	struct value_items it;

	value_items_init(&it, node);
	while (take_item(c, item, &it,
			 &(struct take_list){"pools", conn->num_pools, CONF_MAX_POOLS})) {
		conn->pools[conn->num_pools] = str_dup(item);
		if (!conn->pools[conn->num_pools])
			return ERR_NOMEM;
		conn->num_pools++;
	}
	return ERR_OK;
}

enum err set_local_port(struct check *c, void *obj, const struct tree *node)
{
	uint64_t v;

	if (take_number(c, &v, node, UINT16_MAX))
		CONN(obj)->local_port = (uint16_t)v;
	return ERR_OK;
}

enum err set_remote_port(struct check *c, void *obj, const struct tree *node)
{
	uint64_t v;

	if (take_number(c, &v, node, UINT16_MAX))
		CONN(obj)->remote_port = (uint16_t)v;
	return ERR_OK;
}

enum err set_ike_proposals(struct check *c, void *obj, const struct tree *node)
{
	char text[400];
	enum err e = conf_proposals_parse_node(CONN(obj)->ike, &CONN(obj)->num_ike, text,
					       sizeof(text), node, true);

	if (e)
		CHECK_ERROR(c, node, "%s", text);
	else if (text[0])
		CHECK_WARN(c, node, "%s", text);
	return ERR_OK;
}

enum err set_encap(struct check *c, void *obj, const struct tree *node)
{
	take_bool(c, &CONN(obj)->encap, node);
	return ERR_OK;
}

enum err set_conn_interface(struct check *c, void *obj, const struct tree *node)
{
	take_interface(c, CONN(obj)->interface, node);
	return ERR_OK;
}

enum err set_conn_interface_addrs(struct check *c, void *obj, const struct tree *node)
{
	take_addresses(c, CONN(obj)->interface_addrs, &CONN(obj)->num_interface_addrs, node);
	return ERR_OK;
}

enum err set_mobike(struct check *c, void *obj, const struct tree *node)
{
	take_bool(c, &CONN(obj)->mobike, node);
	return ERR_OK;
}

enum err set_multiple_interfaces(struct check *c, void *obj, const struct tree *node)
{
	static const struct take_word words[] = {
		{"yes", INTERFACES_YES}, {"decide", INTERFACES_DECIDE}, {"no", INTERFACES_NO}};
	int v;

	if (take_word(c, &v, node, words, ARRAY_LEN(words)))
		CONN(obj)->interfaces = (enum conf_interfaces)v;
	return ERR_OK;
}

enum err set_send_cert(struct check *c, void *obj, const struct tree *node)
{
	static const struct take_word words[] = {{"ifasked", CONF_SEND_CERT_IFASKED},
						 {"always", CONF_SEND_CERT_ALWAYS},
						 {"never", CONF_SEND_CERT_NEVER}};
	int v;

	if (take_word(c, &v, node, words, ARRAY_LEN(words)))
		CONN(obj)->send_cert = (enum conf_send_cert)v;
	return ERR_OK;
}

enum err set_ocsp(struct check *c, void *obj, const struct tree *node)
{
	enum {
		REQUEST = 1,
		REPLY = 2
	};
	static const struct take_word words[] = {
		{"both", REQUEST | REPLY}, {"request", REQUEST}, {"reply", REPLY}, {"never", 0}};
	int v;

	if (!take_word(c, &v, node, words, ARRAY_LEN(words)))
		return ERR_OK;
	CONN(obj)->ocsp_request = v & REQUEST;
	CONN(obj)->ocsp_reply = v & REPLY;
	return ERR_OK;
}

enum err set_send_certreq(struct check *c, void *obj, const struct tree *node)
{
	take_bool(c, &CONN(obj)->send_certreq, node);
	return ERR_OK;
}

enum err set_dpd_delay(struct check *c, void *obj, const struct tree *node)
{
	take_time(c, &CONN(obj)->dpd_delay_ns, node);
	return ERR_OK;
}

enum err set_fragmentation(struct check *c, void *obj, const struct tree *node)
{
	/* force asks for fragments even of IKEv1's first message, and is yes for IKEv2. */
	static const struct take_word words[] = {{"yes", FRAGMENTATION_YES},
						 {"force", FRAGMENTATION_YES},
						 {"accept", FRAGMENTATION_ACCEPT},
						 {"no", FRAGMENTATION_NO}};
	int v;

	if (take_word(c, &v, node, words, ARRAY_LEN(words)))
		CONN(obj)->fragmentation = (enum conf_fragmentation)v;
	return ERR_OK;
}

enum err set_childless(struct check *c, void *obj, const struct tree *node)
{
	static const struct take_word words[] = {{"allow", CHILDLESS_ALLOW},
						 {"prefer", CHILDLESS_PREFER},
						 {"force", CHILDLESS_FORCE},
						 {"never", CHILDLESS_NEVER}};
	int v;

	if (take_word(c, &v, node, words, ARRAY_LEN(words)))
		CONN(obj)->childless = (enum conf_childless)v;
	return ERR_OK;
}

enum err set_ppk_id(struct check *c, void *obj, const struct tree *node)
{
	const char *text;

	if (take_text(c, &text, node) &&
	    (text[0] == '*' || conf_id_parse(&CONN(obj)->ppk_id, text) || !CONN(obj)->ppk_id.len))
		CHECK_ERROR(c, node, "'%.60s' is no name of a PPK", text);
	return ERR_OK;
}

enum err set_ppk_required(struct check *c, void *obj, const struct tree *node)
{
	take_bool(c, &CONN(obj)->ppk_required, node);
	return ERR_OK;
}

enum err set_resumption(struct check *c, void *obj, const struct tree *node)
{
	take_bool(c, &CONN(obj)->resumption, node);
	return ERR_OK;
}

enum err set_unique(struct check *c, void *obj, const struct tree *node)
{
	static const struct take_word words[] = {{"no", UNIQUE_NO},
						 {"never", UNIQUE_NEVER},
						 {"keep", UNIQUE_KEEP},
						 {"replace", UNIQUE_REPLACE}};
	int v;

	if (take_word(c, &v, node, words, ARRAY_LEN(words)))
		CONN(obj)->unique = (enum conf_unique)v;
	return ERR_OK;
}

enum err set_keyingtries(struct check *c, void *obj, const struct tree *node)
{
	uint64_t v;

	if (take_number(c, &v, node, UINT32_MAX))
		CONN(obj)->keyingtries = (uint32_t)v;
	return ERR_OK;
}

enum err set_ike_rekey_time(struct check *c, void *obj, const struct tree *node)
{
	take_time(c, &CONN(obj)->rekey_ns, node);
	return ERR_OK;
}

enum err set_follow_redirects(struct check *c, void *obj, const struct tree *node)
{
	take_bool(c, &CONN(obj)->follow_redirects, node);
	return ERR_OK;
}

bool conf_is_host(const struct ip_addr *a)
{
	return !ip_addr_is_any(a) && (a->family == IP_V4 ? a->b[0] < 224 : a->b[0] != 0xff);
}

/* NAME_MAX_LEN - bytes of a name in the DNS, as text. */
#define NAME_MAX_LEN 253

bool conf_is_gateway(const char *text)
{
	const size_t len = strlen(text);
	struct ip_addr a;

	if (!ip_addr_parse(&a, text))
		return conf_is_host(&a);
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)text[i]) && text[i] != '-' && text[i] != '.')
			return false;
	return len && len <= NAME_MAX_LEN;
}

enum err set_redirect_to(struct check *c, void *obj, const struct tree *node)
{
	const char *text;

	if (!take_text(c, &text, node))
		return ERR_OK;
	if (!conf_is_gateway(text)) {
		CHECK_ERROR(c, node, "'%.60s' is neither the address of a gateway nor a name",
			    text);
		return ERR_OK;
	}
	mem_free(CONN(obj)->redirect_to);
	CONN(obj)->redirect_to = str_dup(text);
	return CONN(obj)->redirect_to ? ERR_OK : ERR_NOMEM;
}

enum err set_reauth_time(struct check *c, void *obj, const struct tree *node)
{
	take_time(c, &CONN(obj)->reauth_ns, node);
	return ERR_OK;
}

enum err set_ike_over_time(struct check *c, void *obj, const struct tree *node)
{
	take_time(c, &CONN(obj)->over_ns, node);
	return ERR_OK;
}

enum err set_ike_rand_time(struct check *c, void *obj, const struct tree *node)
{
	take_time(c, &CONN(obj)->rand_ns, node);
	return ERR_OK;
}

static enum err set_side(struct check *c, struct conf_side *side, bool *has, enum scope scope,
			 const struct tree *node)
{
	if (*has) {
		CHECK_ERROR(c, node, "more than one round of authentication is not supported yet");
		return ERR_OK;
	}
	*has = true;
	return side_check(c, side, scope, node);
}

enum err set_local(struct check *c, void *obj, const struct tree *node)
{
	struct conn_draft *d = obj;

	return set_side(c, &d->conn->local, &d->has_local, SCOPE_LOCAL, node);
}

enum err set_remote(struct check *c, void *obj, const struct tree *node)
{
	struct conn_draft *d = obj;

	return set_side(c, &d->conn->remote, &d->has_remote, SCOPE_REMOTE, node);
}

static size_t count_children(const struct tree *section)
{
	size_t n = 0;

	list_for_each (node, &section->children)
		n++;
	return n;
}

static bool has_child(const struct conf_conn *conn, const char *name)
{
	for (uint32_t i = 0; i < conn->num_children; i++) {
		if (strcmp(conn->children[i].name, name) == 0)
			return true;
	}
	return false;
}

static enum err add_child(struct check *c, struct conf_conn *conn, const struct tree *node)
{
	size_t mark = check_enter(c, node->name);
	enum err e = ERR_OK;

	if (node->kind != TREE_SECTION)
		CHECK_ERROR(c, node, "is a section: { ... } was expected");
	else if (has_child(conn, node->name))
		CHECK_ERROR(c, node, "is there twice");
	else if (check_name(c, node))
		e = child_check(c, &conn->children[conn->num_children++], node);
	check_leave(c, mark);
	return e;
}

enum err set_children(struct check *c, void *obj, const struct tree *node)
{
	struct conf_conn *conn = CONN(obj);
	size_t num = count_children(node);
	enum err e = ERR_OK;

	if (num > CHILDREN_MAX || conn->children) {
		CHECK_ERROR(c, node, "more than %d children", CHILDREN_MAX);
		return ERR_OK;
	}
	if (num == 0)
		return ERR_OK;
	conn->children = mem_alloc_array(num, sizeof(conn->children[0]));
	if (!conn->children)
		return ERR_NOMEM;
	tree_for_each (child, node) {
		e = add_child(c, conn, child);
		if (e)
			break;
	}
	return e;
}

/* What the section does not say, as swanctl.conf(5) has it. */
static enum err set_defaults(struct conf_conn *conn)
{
	char text[8];

	uint64_t longer;

	if (conn->rekey_ns == CHECK_UNSET)
		conn->rekey_ns = conn->reauth_ns ? 0 : 4 * 3600 * NS_PER_S;
	longer = conn->rekey_ns > conn->reauth_ns ? conn->rekey_ns : conn->reauth_ns;
	if (conn->over_ns == CHECK_UNSET)
		conn->over_ns = longer / 10;
	if (conn->rand_ns == CHECK_UNSET)
		conn->rand_ns = conn->over_ns;
	if (conn->rand_ns > longer)
		conn->rand_ns = longer;
	if (conn->num_ike == 0)
		return conf_proposals_parse(conn->ike, &conn->num_ike, text, sizeof(text),
					    "default", true);
	return ERR_OK;
}

/* The digest is the same for one meaning in a file's words and in a control message's: commas in
 * values and lists make the same items. */
static void digest_text(crypto_generichash_state *h, char kind, const char *text)
{
	crypto_generichash_update(h, (const uint8_t *)&kind, 1);
	crypto_generichash_update(h, (const uint8_t *)text, strlen(text) + 1);
}

static void digest_data(crypto_generichash_state *h, const struct tree *value)
{
	const uint64_t len = value->value_len;

	crypto_generichash_update(h, (const uint8_t *)&len, sizeof(len));
	crypto_generichash_update(h, (const uint8_t *)value->value, value->value_len);
}

static void digest_list(crypto_generichash_state *h, const struct tree *list)
{
	tree_for_each (item, list) {
		digest_text(h, ',', "");
		digest_data(h, item);
	}
}

/* Lists of certificates are compared by their bytes; other values by their items. */
static bool is_data(const struct tree *node)
{
	static const char *const names[] = {"certs", "cacerts", "pubkeys"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(node->name, names[i]) == 0)
			return node->kind == TREE_LIST;
	}
	return false;
}

static void digest_section(crypto_generichash_state *h, const struct tree *section)
{
	tree_for_each (node, section) {
		char item[VALUE_ITEM_MAX];
		struct value_items it;

		digest_text(h, node->kind == TREE_SECTION ? '{' : '=', node->name);
		if (node->kind == TREE_SECTION) {
			digest_section(h, node);
			digest_text(h, '}', "");
			continue;
		}
		/* A certificate's commas separate nothing. */
		if (node->kind == TREE_VALUE && node->value_len >= VALUE_ITEM_MAX) {
			digest_data(h, node);
			continue;
		}
		if (is_data(node)) {
			digest_list(h, node);
			continue;
		}
		value_items_init(&it, node);
		while (!value_items_next(&it, item))
			digest_text(h, ',', item);
	}
}

/* What files held counts, not only their names: a certificate or key may have been exchanged. */
static void digest_creds(crypto_generichash_state *h, const struct conf_creds *creds)
{
	for (uint32_t i = 0; i < creds->num; i++)
		crypto_generichash_update(h, creds->list[i]->der, creds->list[i]->len);
}

static void digest_side(crypto_generichash_state *h, const struct conf_side *side)
{
	digest_creds(h, &side->certs);
	digest_creds(h, &side->cacerts);
	digest_creds(h, &side->pubkeys);
}

static void digest(struct conf_conn *conn, const struct tree *section)
{
	crypto_generichash_state h;

	crypto_generichash_init(&h, NULL, 0, sizeof(conn->digest));
	digest_text(&h, '{', section->name);
	digest_section(&h, section);
	digest_side(&h, &conn->local);
	digest_side(&h, &conn->remote);
	crypto_generichash_final(&h, conn->digest, sizeof(conn->digest));
}

static struct conf_conn *conn_new(const char *name)
{
	struct conf_conn *conn = mem_alloc(sizeof(*conn));

	if (!conn)
		return NULL;
	conn->refs = 1;
	conn->local_port = conn->remote_port = 500;
	conn->encap = true;
	conn->mobike = true;
	conn->send_certreq = true;
	conn->ocsp_request = true;
	conn->ocsp_reply = true;
	side_defaults(&conn->local);
	side_defaults(&conn->remote);
	conn->keyingtries = 1;
	conn->rekey_ns = conn->over_ns = conn->rand_ns = CHECK_UNSET;
	conn->name = str_dup(name);
	if (conn->name)
		return conn;
	mem_free(conn);
	return NULL;
}

/* EAP in place of more (RFC 5998 4) is for a method that proves both sides as well as that. */
static void check_eap_alone(struct check *c, const struct conf_conn *conn,
			    const struct tree *section)
{
	if (conn->local.auth == CONF_AUTH_EAP && conn->remote.auth == CONF_AUTH_EAP &&
	    (conn->local.eap != CONF_EAP_TLS || conn->remote.eap != CONF_EAP_TLS))
		CHECK_ERROR(
			c, section,
			"EAP alone proves both sides by `auth = eap-tls` in both sections and no "
			"other: one of the two needs another `auth`");
}

/* Beside EAP the other side signs, by a key that is believed (RFC 7296 2.16): names and answers are
 * not for whoever it is (S23), and AUTH of a secret, given to whoever asks, is something to try
 * secrets out on. */
static void check_beside_eap(struct check *c, const struct conf_conn *conn,
			     const struct tree *section)
{
	const bool local = conn->local.auth == CONF_AUTH_EAP;
	const bool remote = conn->remote.auth == CONF_AUTH_EAP;
	const enum conf_auth other = local ? conn->remote.auth : conn->local.auth;

	if (local && remote && conn->local.aaa_id.type)
		CHECK_ERROR(
			c, section,
			"`aaa_id` is for a gateway that has signed first: by EAP alone it is the "
			"gateway that shows its certificate there");
	if (local != remote && other != CONF_AUTH_PUBKEY)
		CHECK_ERROR(c, section,
			    "EAP is for a client of a gateway that has signed first: `%s` needs "
			    "`auth = pubkey`",
			    local ? "remote" : "local");
}

enum err conn_check(struct check *c, struct conf_conn **out, const struct tree *section)
{
	struct conn_draft d = {.conn = conn_new(section->name)};
	uint32_t errors = c->diags->num_errors;
	enum err e;

	if (!d.conn)
		return ERR_NOMEM;
	e = check_section(c, SCOPE_CONN, &d, section);
	if (!e) {
		check_eap_alone(c, d.conn, section);
		check_beside_eap(c, d.conn, section);
		paths_check(c, d.conn, section);
		e = set_defaults(d.conn);
	}
	if (e || c->diags->num_errors != errors) {
		conf_conn_put(d.conn);
		*out = NULL;
		return e;
	}
	digest(d.conn, section);
	*out = d.conn;
	return ERR_OK;
}

static bool negotiates(const struct conf_conn *conn)
{
	bool found = conn->num_children == 0;

	for (uint32_t i = 0; i < conn->num_children; i++)
		found |= conf_negotiated(conn->children[i].mode);
	return found;
}

/* No identity, authority, certificate or key is asked for. */
static bool is_open(const struct conf_side *remote)
{
	return remote->auth == CONF_AUTH_PUBKEY && !remote->anybody && !remote->id.type &&
	       !remote->pattern && !remote->cacerts.num && !remote->certs.num &&
	       !remote->pubkeys.num;
}

void conn_check_open(struct check *c, const struct conf_conn *conn, const struct conf_creds *creds)
{
	bool believes = false;
	char path[160];

	snprintf(path, sizeof(path), "connections.%s", conn->name);
	for (uint32_t i = 0; i < creds->num; i++)
		believes |= creds->list[i]->kind == CRED_CA;
	if (believes && negotiates(conn) && is_open(&conn->remote))
		conf_diag_add(c->diags, false, (struct conf_place){.path = path},
			      "takes whoever has a certificate of any authority that is loaded "
			      "(x509ca, authorities): set `remote.id`, `cacerts`, `certs` or "
			      "`pubkeys`; `id = %%any` says that it is meant");
}

struct conf_conn *conf_conn_get(struct conf_conn *conn)
{
	conn->refs++;
	return conn;
}

static void addrs_fini(struct conf_addr *list, uint32_t num)
{
	for (uint32_t i = 0; i < num; i++)
		mem_free(list[i].text);
}

void conf_conn_put(struct conf_conn *conn)
{
	if (!conn || --conn->refs > 0)
		return;
	addrs_fini(conn->local_addrs, conn->num_local_addrs);
	addrs_fini(conn->remote_addrs, conn->num_remote_addrs);
	for (uint32_t i = 0; i < conn->num_children; i++)
		child_fini(&conn->children[i]);
	mem_free(conn->children);
	for (uint32_t i = 0; i < conn->num_pools; i++)
		mem_free(conn->pools[i]);
	mem_free(conn->redirect_to);
	side_fini(&conn->local);
	side_fini(&conn->remote);
	mem_free(conn->name);
	mem_free(conn);
}
