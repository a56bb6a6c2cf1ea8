/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys.c - the one table of keys: all that strongSwan 5.9.8's swanctl.conf(5) knows and what is
 * Latchkey's own, with what becomes of each.
 */
#include "control/conf/check.h"
#include "control/conf/values.h"

#include <stdio.h>
#include <strings.h>

/* enum fate - what a key means here. */
enum fate {
	SETS,    /* supported: set() takes it */
	LATER,   /* known and not supported: a warning, unless the value is one of `quiet` */
	REFUSED, /* as LATER, but leaving it out would weaken what was asked for: an error */
	IDLE,    /* of no consequence with what is supported: nothing is said */
};

/* enum form - what a key looks like. */
enum form {
	VALUE,
	SECTION,
	NAMED,  /* a section whose name begins with this */
	VALUES, /* a value whose name begins with this */
};

struct key {
	enum scope scope;
	enum form form;
	const char *name;
	enum fate fate;
	const char *quiet; /* LATER, REFUSED: values that mean what happens anyway, between '|' */
	SET((*set));
	enum scope inner; /* sections that are not SETS: where their keys are */
};

#define SETS_(scope_, form_, name_, set_)                                                        \
	{                                                                                        \
		.scope = SCOPE_##scope_, .form = form_, .name = name_, .fate = SETS, .set = set_ \
	}
#define FATE_(scope_, name_, fate_, quiet_)                                           \
	{                                                                             \
		.scope = SCOPE_##scope_, .form = VALUE, .name = name_, .fate = fate_, \
		.quiet = quiet_                                                       \
	}
#define INNER_(scope_, name_, fate_, inner_)                                          \
	{                                                                             \
		.scope = SCOPE_##scope_, .form = NAMED, .name = name_, .fate = fate_, \
		.inner = SCOPE_##inner_                                               \
	}

#define NO_MARK "0|0/0x00000000|0x0"

static const struct key keys[] = {
	SETS_(ROOT, SECTION, "connections", set_connections),
	SETS_(ROOT, SECTION, "secrets", set_secrets),
	SETS_(ROOT, SECTION, "pools", set_pools),
	SETS_(ROOT, SECTION, "authorities", set_authorities),
	SETS_(ROOT, SECTION, "latchkey", set_daemon),

	SETS_(CONN, VALUE, "version", set_version),
	SETS_(CONN, VALUE, "local_addrs", set_local_addrs),
	SETS_(CONN, VALUE, "remote_addrs", set_remote_addrs),
	SETS_(CONN, VALUE, "local_port", set_local_port),
	SETS_(CONN, VALUE, "remote_port", set_remote_port),
	SETS_(CONN, VALUE, "proposals", set_ike_proposals),
	SETS_(CONN, VALUE, "vips", set_vips),
	SETS_(CONN, VALUE, "interface", set_conn_interface),
	SETS_(CONN, VALUE, "interface_addrs", set_conn_interface_addrs),
	FATE_(CONN, "aggressive", IDLE, NULL),
	FATE_(CONN, "pull", IDLE, NULL),
	FATE_(CONN, "dscp", LATER, "000000"),
	SETS_(CONN, VALUE, "encap", set_encap),
	SETS_(CONN, VALUE, "mobike", set_mobike),
	SETS_(CONN, VALUE, "multiple_interfaces", set_multiple_interfaces),
	SETS_(CONN, VALUE, "path_policy", set_path_policy),
	SETS_(CONN, SECTION, "paths", set_paths),
	SETS_(CONN, VALUE, "dpd_delay", set_dpd_delay),
	FATE_(CONN, "dpd_timeout", IDLE, NULL),
	SETS_(CONN, VALUE, "fragmentation", set_fragmentation),
	SETS_(CONN, VALUE, "childless", set_childless),
	SETS_(CONN, VALUE, "send_certreq", set_send_certreq),
	SETS_(CONN, VALUE, "send_cert", set_send_cert),
	SETS_(CONN, VALUE, "ocsp", set_ocsp),
	SETS_(CONN, VALUE, "ppk_id", set_ppk_id),
	SETS_(CONN, VALUE, "ppk_required", set_ppk_required),
	SETS_(CONN, VALUE, "resumption", set_resumption),
	SETS_(CONN, VALUE, "keyingtries", set_keyingtries),
	SETS_(CONN, VALUE, "unique", set_unique),
	SETS_(CONN, VALUE, "reauth_time", set_reauth_time),
	SETS_(CONN, VALUE, "follow_redirects", set_follow_redirects),
	SETS_(CONN, VALUE, "redirect_to", set_redirect_to),
	SETS_(CONN, VALUE, "rekey_time", set_ike_rekey_time),
	SETS_(CONN, VALUE, "over_time", set_ike_over_time),
	SETS_(CONN, VALUE, "rand_time", set_ike_rand_time),
	SETS_(CONN, VALUE, "pools", set_conn_pools),
	FATE_(CONN, "if_id_in", LATER, "0"),
	FATE_(CONN, "if_id_out", LATER, "0"),
	FATE_(CONN, "mediation", REFUSED, "no"),
	FATE_(CONN, "mediated_by", REFUSED, NULL),
	FATE_(CONN, "mediation_peer", LATER, NULL),
	SETS_(CONN, NAMED, "local", set_local),
	SETS_(CONN, NAMED, "remote", set_remote),
	SETS_(CONN, SECTION, "children", set_children),

	FATE_(LOCAL, "round", IDLE, NULL),
	SETS_(LOCAL, VALUE, "certs", set_certs),
	SETS_(LOCAL, NAMED, "cert", set_cert),
	SETS_(LOCAL, VALUE, "pubkeys", set_pubkeys),
	SETS_(LOCAL, VALUE, "auth", set_auth),
	SETS_(LOCAL, VALUE, "id", set_id),
	SETS_(LOCAL, VALUE, "eap_id", set_eap_id),
	SETS_(LOCAL, VALUE, "aaa_id", set_aaa_id),
	FATE_(LOCAL, "xauth_id", LATER, NULL),

	FATE_(REMOTE, "round", IDLE, NULL),
	SETS_(REMOTE, VALUE, "id", set_id),
	SETS_(REMOTE, VALUE, "eap_id", set_eap_id),
	FATE_(REMOTE, "groups", REFUSED, NULL),
	FATE_(REMOTE, "cert_policy", REFUSED, NULL),
	SETS_(REMOTE, VALUE, "certs", set_certs),
	SETS_(REMOTE, NAMED, "cert", set_cert),
	SETS_(REMOTE, VALUE, "cacerts", set_cacerts),
	SETS_(REMOTE, NAMED, "cacert", set_cacert),
	FATE_(REMOTE, "ca_id", REFUSED, NULL),
	SETS_(REMOTE, VALUE, "pubkeys", set_pubkeys),
	SETS_(REMOTE, VALUE, "revocation", set_revocation),
	SETS_(REMOTE, VALUE, "auth", set_auth),

	SETS_(CERT, VALUE, "file", set_cert_file),
	SETS_(CERT, VALUE, "handle", set_cert_handle),
	SETS_(CERT, VALUE, "slot", set_cert_slot),
	SETS_(CERT, VALUE, "module", set_cert_module),
	SETS_(CACERT, VALUE, "file", set_cacert_file),
	FATE_(CACERT, "handle", REFUSED, NULL),
	FATE_(CACERT, "slot", REFUSED, NULL),
	FATE_(CACERT, "module", REFUSED, NULL),

	FATE_(CHILD, "ah_proposals", REFUSED, NULL),
	SETS_(CHILD, VALUE, "esp_proposals", set_esp_proposals),
	FATE_(CHILD, "sha256_96", IDLE, NULL),
	SETS_(CHILD, VALUE, "local_ts", set_local_ts),
	SETS_(CHILD, VALUE, "remote_ts", set_remote_ts),
	SETS_(CHILD, VALUE, "rekey_time", set_rekey_time),
	SETS_(CHILD, VALUE, "life_time", set_life_time),
	SETS_(CHILD, VALUE, "rand_time", set_rand_time),
	SETS_(CHILD, VALUE, "rekey_bytes", set_rekey_bytes),
	SETS_(CHILD, VALUE, "life_bytes", set_life_bytes),
	SETS_(CHILD, VALUE, "rand_bytes", set_rand_bytes),
	SETS_(CHILD, VALUE, "rekey_packets", set_rekey_packets),
	SETS_(CHILD, VALUE, "life_packets", set_life_packets),
	SETS_(CHILD, VALUE, "rand_packets", set_rand_packets),
	FATE_(CHILD, "updown", LATER, NULL),
	FATE_(CHILD, "hostaccess", IDLE, NULL),
	SETS_(CHILD, VALUE, "mode", set_mode),
	FATE_(CHILD, "policies", REFUSED, "yes"),
	FATE_(CHILD, "policies_fwd_out", LATER, "no"),
	SETS_(CHILD, VALUE, "dpd_action", set_dpd_action),
	SETS_(CHILD, VALUE, "ipcomp", set_ipcomp),
	SETS_(CHILD, VALUE, "inactivity", set_inactivity),
	FATE_(CHILD, "reqid", LATER, "0"),
	SETS_(CHILD, VALUE, "priority", set_priority),
	FATE_(CHILD, "interface", LATER, NULL),
	FATE_(CHILD, "mark_in", LATER, NO_MARK),
	FATE_(CHILD, "mark_in_sa", LATER, "no"),
	FATE_(CHILD, "mark_out", LATER, NO_MARK),
	FATE_(CHILD, "set_mark_in", LATER, NO_MARK),
	FATE_(CHILD, "set_mark_out", LATER, NO_MARK),
	FATE_(CHILD, "if_id_in", LATER, "0"),
	FATE_(CHILD, "if_id_out", LATER, "0"),
	FATE_(CHILD, "label", REFUSED, NULL),
	FATE_(CHILD, "label_mode", IDLE, NULL),
	SETS_(CHILD, VALUE, "tfc_padding", set_tfc_padding),
	SETS_(CHILD, VALUE, "tfc_dummies", set_tfc_dummies),
	SETS_(CHILD, VALUE, "mss_clamp", set_mss_clamp),
	SETS_(CHILD, VALUE, "replay_window", set_replay_window),
	SETS_(CHILD, VALUE, "per_cpu_sas", set_per_cpu_sas),
	SETS_(CHILD, VALUE, "path", set_child_path),
	SETS_(CHILD, VALUE, "path_tag", set_path_tag),
	FATE_(CHILD, "hw_offload", LATER, "no|auto"),
	SETS_(CHILD, VALUE, "copy_df", set_copy_df),
	FATE_(CHILD, "copy_ecn", LATER, "yes"),
	SETS_(CHILD, VALUE, "copy_dscp", set_copy_dscp),
	SETS_(CHILD, VALUE, "start_action", set_start_action),
	SETS_(CHILD, VALUE, "close_action", set_close_action),

	SETS_(SECRETS, NAMED, "ike", set_ike_secret),
	SETS_(SECRETS, NAMED, "eap", set_eap_secret),
	SETS_(SECRETS, NAMED, "radius", set_radius_secret),
	INNER_(SECRETS, "xauth", LATER, OTHER_SECRET),
	INNER_(SECRETS, "ntlm", LATER, OTHER_SECRET),
	SETS_(SECRETS, NAMED, "ppk", set_ppk_secret),
	SETS_(SECRETS, NAMED, "private", set_key_passphrase),
	SETS_(SECRETS, NAMED, "rsa", set_key_passphrase),
	SETS_(SECRETS, NAMED, "ecdsa", set_key_passphrase),
	SETS_(SECRETS, NAMED, "pkcs8", set_key_passphrase),
	INNER_(SECRETS, "pkcs12", LATER, OTHER_SECRET),
	SETS_(SECRETS, NAMED, "token", set_token_secret),

	SETS_(IKE_SECRET, VALUE, "secret", set_secret_value),
	SETS_(IKE_SECRET, VALUES, "id", set_secret_id),

	SETS_(TOKEN_SECRET, VALUE, "handle", set_token_handle),
	SETS_(TOKEN_SECRET, VALUE, "slot", set_token_slot),
	SETS_(TOKEN_SECRET, VALUE, "module", set_token_module),
	SETS_(TOKEN_SECRET, VALUE, "pin", set_token_pin),

	SETS_(KEY_SECRET, VALUE, "file", set_key_file),
	SETS_(KEY_SECRET, VALUE, "secret", set_key_secret),

	FATE_(OTHER_SECRET, "secret", IDLE, NULL),
	{.scope = SCOPE_OTHER_SECRET, .form = VALUES, .name = "id", .fate = IDLE},
	FATE_(OTHER_SECRET, "file", IDLE, NULL),

	SETS_(POOL, VALUE, "addrs", set_pool_addrs),
	SETS_(POOL, VALUE, "netmask", set_pool_attr),
	SETS_(POOL, VALUE, "dns", set_pool_attr),
	SETS_(POOL, VALUE, "nbns", set_pool_attr),
	SETS_(POOL, VALUE, "dhcp", set_pool_attr),
	SETS_(POOL, VALUE, "subnet", set_pool_attr),
	FATE_(POOL, "server", LATER, NULL),
	FATE_(POOL, "split_include", LATER, NULL),
	FATE_(POOL, "split_exclude", LATER, NULL),

	SETS_(AUTHORITY, VALUE, "cacert", set_authority_cacert),
	SETS_(AUTHORITY, VALUE, "file", set_authority_file),
	FATE_(AUTHORITY, "handle", REFUSED, NULL),
	FATE_(AUTHORITY, "slot", REFUSED, NULL),
	FATE_(AUTHORITY, "module", REFUSED, NULL),
	SETS_(AUTHORITY, VALUE, "crl_uris", set_authority_crl_uris),
	SETS_(AUTHORITY, VALUE, "ocsp_uris", set_authority_ocsp_uris),
	SETS_(AUTHORITY, VALUE, "cert_uri_base", set_authority_cert_base),

	SETS_(DAEMON, VALUE, "interface", set_interface),
	SETS_(DAEMON, VALUE, "address", set_addresses),
	SETS_(DAEMON, VALUE, "addresses", set_addresses),
	SETS_(DAEMON, VALUE, "mtu", set_mtu),
	SETS_(DAEMON, VALUE, "aead", set_aead),
	SETS_(DAEMON, VALUE, "workers", set_workers),
	SETS_(DAEMON, VALUE, "port", set_port),
	SETS_(DAEMON, VALUE, "port_nat_t", set_port_nat_t),
	SETS_(DAEMON, VALUE, "cookies", set_cookies),
	SETS_(DAEMON, VALUE, "puzzles", set_puzzles),
	SETS_(DAEMON, VALUE, "puzzle_threshold", set_puzzle_threshold),
	SETS_(DAEMON, VALUE, "puzzle_difficulty", set_puzzle_difficulty),
	SETS_(DAEMON, VALUE, "puzzle_max", set_puzzle_max),
	SETS_(DAEMON, VALUE, "retransmit_timeout", set_retransmit_timeout),
	SETS_(DAEMON, VALUE, "retransmit_tries", set_retransmit_tries),
	SETS_(DAEMON, VALUE, "fragment_size", set_fragment_size),
	SETS_(DAEMON, VALUE, "log_level", set_log_level),
	SETS_(DAEMON, VALUE, "known_peers", set_known_peers),
	SETS_(DAEMON, VALUE, "crash_secret", set_crash_secret),
	SETS_(DAEMON, VALUE, "fetch", set_fetch),
	SETS_(DAEMON, VALUE, "fetch_local", set_fetch_local),
	SETS_(DAEMON, VALUE, "latch_tcp", set_latch_tcp),
	SETS_(DAEMON, VALUE, "latches", set_latches),
	SETS_(DAEMON, VALUE, "udp_gso", set_udp_gso),
	SETS_(DAEMON, VALUE, "udp_gro", set_udp_gro),
	SETS_(DAEMON, VALUE, "tun_checksum", set_tun_checksum),
	SETS_(DAEMON, VALUE, "tun_tso", set_tun_tso),
	SETS_(DAEMON, VALUE, "tun_uso", set_tun_uso),
	SETS_(DAEMON, SECTION, "app", set_app),
	SETS_(DAEMON, SECTION, "profiles", set_profiles),
	SETS_(DAEMON, SECTION, "listeners", set_listeners),
	SETS_(DAEMON, SECTION, "dpdk", set_dpdk),
	SETS_(DAEMON, SECTION, "radius", set_radius),
	SETS_(DAEMON, SECTION, "pkcs11", set_modules),

	SETS_(DPDK, VALUE, "module", set_dpdk_module),
	SETS_(DPDK, VALUE, "huge", set_dpdk_huge),
	SETS_(DPDK, VALUE, "memory", set_dpdk_memory),
	SETS_(DPDK, VALUE, "packets", set_dpdk_packets),
	SETS_(DPDK, VALUE, "idle", set_dpdk_idle),
	SETS_(DPDK, SECTION, "ports", set_dpdk_ports),
	SETS_(DPDK, VALUE, "crypto", set_dpdk_crypto),
	SETS_(DPDK, VALUE, "crypto_sessions", set_dpdk_crypto_sessions),

	SETS_(MODULE, VALUE, "path", set_module_path),

	SETS_(PATH, VALUE, "local_addr", set_path_local),
	SETS_(PATH, VALUE, "interface", set_path_interface),
	SETS_(PATH, VALUE, "remote_addr", set_path_remote),
	SETS_(PATH, VALUE, "priority", set_path_priority),
	SETS_(PATH, VALUE, "weight", set_path_weight),
	SETS_(PATH, VALUE, "dscp", set_path_dscp),
	SETS_(PATH, VALUE, "local_ts", set_path_local_ts),
	SETS_(PATH, VALUE, "remote_ts", set_path_remote_ts),

	SETS_(DPDK_PORT, VALUE, "device", set_dpdk_device),
	SETS_(DPDK_PORT, VALUE, "mtu", set_dpdk_mtu),
	SETS_(DPDK_PORT, VALUE, "tx_checksum", set_dpdk_tx_checksum),
	SETS_(DPDK_PORT, VALUE, "rx_checksum", set_dpdk_rx_checksum),
	SETS_(DPDK_PORT, VALUE, "tso", set_dpdk_tso),
	SETS_(DPDK_PORT, VALUE, "inline_ipsec", set_dpdk_inline_ipsec),

	SETS_(RADIUS, VALUE, "nas_identifier", set_radius_nas),
	SETS_(RADIUS, VALUE, "retransmit_timeout", set_radius_timeout),
	SETS_(RADIUS, VALUE, "retransmit_tries", set_radius_tries),
	SETS_(RADIUS, SECTION, "servers", set_radius_servers),

	SETS_(RADIUS_SERVER, VALUE, "address", set_radius_address),
	SETS_(RADIUS_SERVER, VALUE, "auth_port", set_radius_port),
	SETS_(RADIUS_SERVER, VALUE, "secret", set_radius_misplaced),

	SETS_(PROFILE, VALUE, "methods", set_profile_methods),
	SETS_(PROFILE, VALUE, "privacy", set_profile_privacy),
	SETS_(PROFILE, VALUE, "integrity", set_profile_integrity),
	SETS_(PROFILE, VALUE, "clear", set_profile_clear),
	SETS_(PROFILE, VALUE, "part", set_profile_part),

	SETS_(LISTENER, VALUE, "address", set_listener_address),
	SETS_(LISTENER, VALUE, "protocol", set_listener_protocol),
	SETS_(LISTENER, VALUE, "port", set_listener_port),
	SETS_(LISTENER, VALUE, "profile", set_listener_profile),
	SETS_(LISTENER, VALUE, "peer", set_listener_peer),

	SETS_(APP, VALUE, "enabled", set_app_enabled),
	SETS_(APP, VALUE, "interact", set_app_interact),
	SETS_(APP, VALUE, "configure", set_app_configure),
	SETS_(APP, VALUE, "read_all", set_app_read_all),
	SETS_(APP, VALUE, "clients_per_uid", set_app_clients),
	SETS_(APP, VALUE, "latches_per_uid", set_app_latches),
	SETS_(APP, VALUE, "requests_per_second", set_app_requests),
	SETS_(APP, VALUE, "queue_per_uid", set_app_queue),
	SETS_(APP, SECTION, "network", set_network),

	SETS_(NETWORK, VALUE, "addresses", set_network_addresses),
	SETS_(NETWORK, VALUE, "port", set_network_port),
	SETS_(NETWORK, VALUE, "certificate", set_network_certificate),
	SETS_(NETWORK, VALUE, "key", set_network_key),
	SETS_(NETWORK, VALUE, "ca", set_network_ca),
	SETS_(NETWORK, VALUE, "crl", set_network_crl),
	SETS_(NETWORK, SECTION, "users", set_network_users),

	SETS_(NETWORK_USER, VALUE, "id", set_network_user_id),
	SETS_(NETWORK_USER, VALUE, "rights", set_network_user_rights),
};

static bool is_section_key(const struct key *k)
{
	return k->form == SECTION || k->form == NAMED;
}

static bool key_matches(const struct key *k, const struct tree *node)
{
	if (k->form == VALUE || k->form == SECTION)
		return strcmp(k->name, node->name) == 0;
	if (is_section_key(k) != (node->kind == TREE_SECTION))
		return false;
	return strncmp(k->name, node->name, strlen(k->name)) == 0;
}

/* The whole name counts more than its beginning, a long beginning more than a short one. */
static const struct key *find_key(enum scope scope, const struct tree *node)
{
	const struct key *found = NULL;
	size_t best = 0;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		size_t len = strlen(keys[i].name);

		if (keys[i].scope != scope || !key_matches(&keys[i], node))
			continue;
		if (len == strlen(node->name))
			return &keys[i];
		if (len > best) {
			best = len;
			found = &keys[i];
		}
	}
	return found;
}

static void say_unknown(struct check *c, enum scope scope, const struct tree *node)
{
	const char *names[ARRAY_LEN(keys)], *near;
	size_t num = 0;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (keys[i].scope == scope)
			names[num++] = keys[i].name;
	}
	near = conf_nearest(node->name, names, num);
	if (near)
		CHECK_ERROR(c, node, "unknown key '%.60s'; did you mean '%s'?", node->name, near);
	else
		CHECK_ERROR(c, node, "unknown key '%.60s'", node->name);
}

/* text is one of the words between '|', or says the same as a boolean. */
static bool is_quiet(const char *words, const struct tree *node)
{
	const char *text = node->kind == TREE_VALUE ? node->value : "";
	bool a, b;

	for (const char *at = words; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL) {
		size_t len = strcspn(at, "|");

		if (strlen(text) == len && strncasecmp(at, text, len) == 0)
			return true;
	}
	return words && !value_bool(&a, words) && !value_bool(&b, text) && a == b;
}

static bool is_empty(const struct tree *node)
{
	return node->kind == TREE_VALUE ? node->value_len == 0 : list_empty(&node->children);
}

static enum err check_key(struct check *c, const struct key *k, void *obj, const struct tree *node)
{
	switch (k->fate) {
	case SETS:
		return obj ? k->set(c, obj, node) : ERR_OK;
	case LATER:
		if (!is_quiet(k->quiet, node))
			CHECK_WARN(c, node, "is not supported yet and has no effect");
		break;
	case REFUSED:
		if (!is_quiet(k->quiet, node))
			CHECK_ERROR(c, node,
				    "is not supported yet, and what it demands cannot be left out");
		break;
	case IDLE:
	default:
		break;
	}
	return is_section_key(k) ? check_section(c, k->inner, NULL, node) : ERR_OK;
}

size_t check_enter(struct check *c, const char *name)
{
	size_t mark = strlen(c->path);

	snprintf(c->path + mark, sizeof(c->path) - mark, "%s%.60s", mark ? "." : "", name);
	return mark;
}

void check_leave(struct check *c, size_t mark)
{
	c->path[mark] = '\0';
}

static bool is_number(const char *text)
{
	return *text && strspn(text, "0123456789") == strlen(text);
}

static enum err check_child(struct check *c, enum scope scope, void *obj, const struct tree *node)
{
	const struct key *k = find_key(scope, node);
	size_t mark;
	enum err e = ERR_OK;

	if (!k && scope == SCOPE_POOL && is_number(node->name)) {
		CHECK_WARN(c, node, "attribute %.20s is not supported yet", node->name);
		return ERR_OK;
	}
	if (!k) {
		say_unknown(c, scope, node);
		return ERR_OK;
	}
	mark = check_enter(c, node->name);
	if (is_section_key(k) != (node->kind == TREE_SECTION))
		CHECK_ERROR(c, node,
			    is_section_key(k) ? "is a section: { ... } was expected"
					      : "is a value, not a section");
	else if (is_section_key(k) || !is_empty(node))
		e = check_key(c, k, obj, node);
	check_leave(c, mark);
	return e;
}

enum err check_section(struct check *c, enum scope scope, void *obj, const struct tree *section)
{
	enum err e = ERR_OK;

	tree_for_each (node, section) {
		e = check_child(c, scope, obj, node);
		if (e)
			break;
	}
	return e;
}

bool check_name(struct check *c, const struct tree *node)
{
	size_t len = strlen(node->name);

	for (size_t i = 0; i < len; i++) {
		unsigned char ch = (unsigned char)node->name[i];

		if (ch < ' ' || ch == 0x7f)
			len = 0;
	}
	if (len >= 1 && len <= 127)
		return true;
	CHECK_ERROR(c, node, "a name has 1 to 127 printable characters");
	return false;
}
