/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.h - the validator's walk over a tree: every section is held against the one table of keys
 * (keys.c), and every supported key has a function that puts its value into the object being made.
 * Control thread.
 */
#pragma once

#include "control/conf/conf.h"
#include "control/conf/diag.h"
#include "control/conf/values.h"

/* enum scope - which section's keys. */
enum scope {
	SCOPE_ROOT,
	SCOPE_CONN,
	SCOPE_LOCAL,
	SCOPE_REMOTE,
	SCOPE_CERT,
	SCOPE_CACERT,
	SCOPE_CHILD,
	SCOPE_PATH,
	SCOPE_SECRETS,
	SCOPE_IKE_SECRET,
	SCOPE_KEY_SECRET,
	SCOPE_TOKEN_SECRET,
	SCOPE_OTHER_SECRET,
	SCOPE_POOL,
	SCOPE_AUTHORITY,
	SCOPE_DAEMON,
	SCOPE_DPDK,
	SCOPE_DPDK_PORT,
	SCOPE_RADIUS,
	SCOPE_RADIUS_SERVER,
	SCOPE_APP,
	SCOPE_NETWORK,
	SCOPE_NETWORK_USER,
	SCOPE_PROFILE,
	SCOPE_MODULE,
	SCOPE_LISTENER,
};

struct creds_passphrase;

/* struct check - one validation: where it is, and what it has found. */
struct check {
	struct conf_diags *diags;
	char path[200];     /* of the section or key being looked at */
	const char *folder; /* that the file is in; NULL: there is no file */
	struct creds_passphrase *passphrases;
	uint32_t num_passphrases;
};

/* CHECK_UNSET - a number that no key has set yet. */
#define CHECK_UNSET UINT64_MAX

/* check_section - hold a section's children against the keys of scope; obj goes to their set
 * functions, NULL only looks for unknown keys. Remarks go to the list; only lack of memory is
 * returned. Errors: NOMEM. */
MUST_USE enum err check_section(struct check *c, enum scope scope, void *obj,
				const struct tree *section) NONNULL(1, 4);

/* check_enter - append a name to the path; returns what check_leave() needs to take it away. */
size_t check_enter(struct check *c, const char *name) NONNULL(1, 2);
void check_leave(struct check *c, size_t mark) NONNULL(1);

/* CHECK_ERROR, CHECK_WARN - a remark about node, in a sentence. */
#define CHECK_ERROR(c, node, ...) CHECK_REMARK(c, true, node, __VA_ARGS__)
#define CHECK_WARN(c, node, ...)  CHECK_REMARK(c, false, node, __VA_ARGS__)
#define CHECK_REMARK(c, error, node, ...)                                                     \
	conf_diag_add((c)->diags, error,                                                      \
		      (struct conf_place){                                                    \
			      .file = (node)->file, .line = (node)->line, .path = (c)->path}, \
		      __VA_ARGS__)

/* check_name - a name of a connection, child or secret: 1 to 127 printable characters; says so if
 * it is not. */
bool check_name(struct check *c, const struct tree *node) NONNULL(1, 2);

/*
 * The set functions of the table, by what they make. Each takes the object's type as named and
 * returns NOMEM at most.
 */
#define SET(name) enum err name(struct check *c, void *obj, const struct tree *node)

/* struct conf being built (root.c) */
MUST_USE SET(set_connections);
MUST_USE SET(set_secrets);
MUST_USE SET(set_daemon);
MUST_USE SET(set_pools);
MUST_USE SET(set_authorities);
/* struct conn_draft (conn.c, paths.c): a connection and what its defaults depend on. */
struct conn_draft {
	struct conf_conn *conn;
	bool has_local, has_remote;
};
#define CONN(obj) (((struct conn_draft *)(obj))->conn)
MUST_USE SET(set_version);
MUST_USE SET(set_local_addrs);
MUST_USE SET(set_remote_addrs);
MUST_USE SET(set_local_port);
MUST_USE SET(set_remote_port);
MUST_USE SET(set_ike_proposals);
MUST_USE SET(set_encap);
MUST_USE SET(set_vips);
MUST_USE SET(set_conn_pools);
MUST_USE SET(set_mobike);
MUST_USE SET(set_multiple_interfaces);
MUST_USE SET(set_path_policy);
MUST_USE SET(set_paths);
MUST_USE SET(set_send_cert);
MUST_USE SET(set_send_certreq);
MUST_USE SET(set_ocsp);
MUST_USE SET(set_conn_interface);
MUST_USE SET(set_conn_interface_addrs);
MUST_USE SET(set_dpd_delay);
MUST_USE SET(set_fragmentation);
MUST_USE SET(set_childless);
MUST_USE SET(set_ppk_id);
MUST_USE SET(set_ppk_required);
MUST_USE SET(set_resumption);
MUST_USE SET(set_unique);
MUST_USE SET(set_keyingtries);
MUST_USE SET(set_ike_rekey_time);
MUST_USE SET(set_follow_redirects);
MUST_USE SET(set_redirect_to);
MUST_USE SET(set_reauth_time);
MUST_USE SET(set_ike_over_time);
MUST_USE SET(set_ike_rand_time);
MUST_USE SET(set_local);
MUST_USE SET(set_remote);
MUST_USE SET(set_children);
/* struct conf_pool (pool.c) */
MUST_USE SET(set_pool_addrs);
MUST_USE SET(set_pool_attr);
/* struct conf_path (paths.c) */
MUST_USE SET(set_path_local);
MUST_USE SET(set_path_interface);
MUST_USE SET(set_path_remote);
MUST_USE SET(set_path_priority);
MUST_USE SET(set_path_weight);
MUST_USE SET(set_path_dscp);
MUST_USE SET(set_path_local_ts);
MUST_USE SET(set_path_remote_ts);
/* struct side_draft (side.c) */
MUST_USE SET(set_auth);
MUST_USE SET(set_id);
MUST_USE SET(set_eap_id);
MUST_USE SET(set_aaa_id);
MUST_USE SET(set_certs);
MUST_USE SET(set_cacerts);
MUST_USE SET(set_pubkeys);
MUST_USE SET(set_cert);
MUST_USE SET(set_cacert);
MUST_USE SET(set_cert_file);
MUST_USE SET(set_cacert_file);
MUST_USE SET(set_cert_handle);
MUST_USE SET(set_cert_slot);
MUST_USE SET(set_cert_module);
MUST_USE SET(set_revocation);
/* struct conf_child (child.c) */
MUST_USE SET(set_esp_proposals);
MUST_USE SET(set_local_ts);
MUST_USE SET(set_remote_ts);
MUST_USE SET(set_rekey_time);
MUST_USE SET(set_life_time);
MUST_USE SET(set_inactivity);
MUST_USE SET(set_rand_time);
MUST_USE SET(set_rekey_bytes);
MUST_USE SET(set_life_bytes);
MUST_USE SET(set_rand_bytes);
MUST_USE SET(set_rekey_packets);
MUST_USE SET(set_life_packets);
MUST_USE SET(set_rand_packets);
MUST_USE SET(set_mode);
MUST_USE SET(set_replay_window);
MUST_USE SET(set_ipcomp);
MUST_USE SET(set_per_cpu_sas);
MUST_USE SET(set_child_path);
MUST_USE SET(set_path_tag);
MUST_USE SET(set_copy_dscp);
MUST_USE SET(set_copy_df);
MUST_USE SET(set_mss_clamp);
MUST_USE SET(set_tfc_padding);
MUST_USE SET(set_tfc_dummies);
MUST_USE SET(set_priority);
MUST_USE SET(set_start_action);
MUST_USE SET(set_dpd_action);
MUST_USE SET(set_close_action);
/* struct conf (secret.c), struct secret_draft (secret.c) */
MUST_USE SET(set_ike_secret);
MUST_USE SET(set_eap_secret);
MUST_USE SET(set_radius_secret);
MUST_USE SET(set_ppk_secret);
MUST_USE SET(set_secret_value);
MUST_USE SET(set_secret_id);
/* struct conf; struct token_draft (token.c) */
MUST_USE SET(set_token_secret);
MUST_USE SET(set_token_handle);
MUST_USE SET(set_token_slot);
MUST_USE SET(set_token_module);
MUST_USE SET(set_token_pin);
/* struct passphrase_draft, struct authority_draft (creds.c) */
MUST_USE SET(set_key_passphrase);
MUST_USE SET(set_key_file);
MUST_USE SET(set_key_secret);
MUST_USE SET(set_authority_cacert);
MUST_USE SET(set_authority_file);
MUST_USE SET(set_authority_crl_uris);
MUST_USE SET(set_authority_ocsp_uris);
MUST_USE SET(set_authority_cert_base);
/* struct conf_daemon (daemon.c) */
MUST_USE SET(set_interface);
MUST_USE SET(set_addresses);
MUST_USE SET(set_mtu);
MUST_USE SET(set_aead);
MUST_USE SET(set_workers);
MUST_USE SET(set_port);
MUST_USE SET(set_port_nat_t);
MUST_USE SET(set_cookies);
MUST_USE SET(set_puzzles);
MUST_USE SET(set_puzzle_threshold);
MUST_USE SET(set_puzzle_difficulty);
MUST_USE SET(set_puzzle_max);
MUST_USE SET(set_retransmit_timeout);
MUST_USE SET(set_retransmit_tries);
MUST_USE SET(set_fragment_size);
MUST_USE SET(set_log_level);
MUST_USE SET(set_known_peers);
MUST_USE SET(set_crash_secret);
MUST_USE SET(set_profiles);
MUST_USE SET(set_listeners);
MUST_USE SET(set_fetch);
MUST_USE SET(set_fetch_local);
MUST_USE SET(set_latch_tcp);
MUST_USE SET(set_latches);
MUST_USE SET(set_udp_gso);
MUST_USE SET(set_udp_gro);
MUST_USE SET(set_tun_checksum);
MUST_USE SET(set_tun_tso);
MUST_USE SET(set_tun_uso);
MUST_USE SET(set_dpdk);
MUST_USE SET(set_radius);
/* struct conf_radius, struct conf_radius_server (radius.c) */
MUST_USE SET(set_radius_nas);
MUST_USE SET(set_radius_timeout);
MUST_USE SET(set_radius_tries);
MUST_USE SET(set_radius_servers);
MUST_USE SET(set_radius_address);
MUST_USE SET(set_radius_port);
MUST_USE SET(set_radius_misplaced);
MUST_USE SET(set_modules);
/* struct conf_module (token.c) */
MUST_USE SET(set_module_path);
/* struct conf_dpdk, struct conf_dpdk_port (dpdk.c) */
MUST_USE SET(set_dpdk_module);
MUST_USE SET(set_dpdk_huge);
MUST_USE SET(set_dpdk_memory);
MUST_USE SET(set_dpdk_packets);
MUST_USE SET(set_dpdk_idle);
MUST_USE SET(set_dpdk_ports);
MUST_USE SET(set_dpdk_crypto);
MUST_USE SET(set_dpdk_crypto_sessions);
MUST_USE SET(set_dpdk_device);
MUST_USE SET(set_dpdk_mtu);
MUST_USE SET(set_dpdk_tx_checksum);
MUST_USE SET(set_dpdk_rx_checksum);
MUST_USE SET(set_dpdk_tso);
MUST_USE SET(set_dpdk_inline_ipsec);
/* struct conf_app (app.c) */
MUST_USE SET(set_app);
MUST_USE SET(set_app_enabled);
MUST_USE SET(set_app_interact);
MUST_USE SET(set_app_configure);
MUST_USE SET(set_app_read_all);
MUST_USE SET(set_app_clients);
MUST_USE SET(set_app_latches);
MUST_USE SET(set_app_requests);
MUST_USE SET(set_app_queue);
/* struct conf_network, struct conf_user (network.c) */
MUST_USE SET(set_network);
MUST_USE SET(set_network_addresses);
MUST_USE SET(set_network_port);
MUST_USE SET(set_network_certificate);
MUST_USE SET(set_network_key);
MUST_USE SET(set_network_ca);
MUST_USE SET(set_network_crl);
MUST_USE SET(set_network_users);
MUST_USE SET(set_network_user_id);
MUST_USE SET(set_network_user_rights);
/* struct conf_listener (demand.c) */
MUST_USE SET(set_listener_address);
MUST_USE SET(set_listener_protocol);
MUST_USE SET(set_listener_port);
MUST_USE SET(set_listener_profile);
MUST_USE SET(set_listener_peer);
/* struct conf_profile (demand.c) */
MUST_USE SET(set_profile_methods);
MUST_USE SET(set_profile_privacy);
MUST_USE SET(set_profile_integrity);
MUST_USE SET(set_profile_clear);
MUST_USE SET(set_profile_part);

/* conn_check - make a connection with one reference from its section. *out is NULL if there were
 * errors. Errors: NOMEM. conn.c */
MUST_USE enum err conn_check(struct check *c, struct conf_conn **out, const struct tree *section)
	NONNULL(1, 2, 3);

/* side_check - local or remote section. side.c */
MUST_USE enum err side_check(struct check *c, struct conf_side *side, enum scope scope,
			     const struct tree *section) NONNULL(1, 2, 4);
/* conn_check_open - a warning if the connection is open to whoever has a certificate of any
 * authority among creds, and does not say that this is meant. conn.c */
void conn_check_open(struct check *c, const struct conf_conn *conn, const struct conf_creds *creds)
	NONNULL(1, 2, 3);

/* side_defaults - what holds where no section says anything: any signature. side_fini - free what
 * a side holds. side.c */
void side_defaults(struct conf_side *side) NONNULL(1);
void side_fini(struct conf_side *side) NONNULL(1);

/* authority_check - the anchor of authorities.<name>, added to creds. Errors: NOMEM, LIMIT.
 * creds.c */
MUST_USE enum err authority_check(struct check *c, struct conf_creds *creds,
				  const struct tree *section) NONNULL(1, 2, 3);

/* child_check - make a child from its section; child_fini frees what it holds. child.c */
MUST_USE enum err child_check(struct check *c, struct conf_child *child, const struct tree *section)
	NONNULL(1, 2, 3);
void child_fini(struct conf_child *child) NONNULL(1);

/* token_take_handle, token_take_slot, token_take_module - what says where on which token something
 * lies. token_check - that it says enough, with a remark if not. token.c */
void token_take_handle(struct check *c, struct conf_token *out, const struct tree *node)
	NONNULL(1, 2, 3);
void token_take_slot(struct check *c, struct conf_token *out, const struct tree *node)
	NONNULL(1, 2, 3);
void token_take_module(struct check *c, struct conf_token *out, const struct tree *node)
	NONNULL(1, 2, 3);
bool token_check(struct check *c, const struct conf_token *t, const struct tree *section)
	NONNULL(1, 2, 3);

/* token_secret_new - secrets.token<suffix> with one reference, or *out is NULL and a remark says
 * why. Errors: NOMEM. token.c */
MUST_USE enum err token_secret_new(struct check *c, struct conf_secret **out, const char *name,
				   const struct tree *section) NONNULL(1, 2, 3, 4);

/* secret_add - to the list of a configuration; takes the reference over, also when it fails.
 * Errors: NOMEM. secret.c */
MUST_USE enum err secret_add(struct conf *conf, struct conf_secret *s) NONNULL(1, 2);

/* secret_new_from - a secret with one reference from raw bytes and identities. *out is NULL if
 * there were errors. Errors: NOMEM. secret.c */
MUST_USE enum err secret_new_from(struct check *c, struct conf_secret **out,
				  const struct conf_secret_params *params, const struct tree *node)
	NONNULL(1, 2, 3, 4);
void secret_put(struct conf_secret *s);

/* pool_check - make a pool with one reference from its section. *out is NULL if there were errors.
 * Errors: NOMEM. pool.c */
MUST_USE enum err pool_check(struct check *c, struct conf_pool **out, const struct tree *section)
	NONNULL(1, 2, 3);

/* daemon_defaults - what holds where the latchkey section says nothing. daemon.c */
void daemon_defaults(struct conf_daemon *d) NONNULL(1);

/* radius_defaults - of the section latchkey.radius. radius_check - each server has a secret, and
 * who is to be judged by servers has some. radius.c */
void radius_defaults(struct conf_radius *r) NONNULL(1);
void radius_check(struct check *c, const struct conf *conf) NONNULL(1, 2);

/* paths_check - the children of a connection, which is complete, go by paths that it has; says so
 * if not. paths.c */
void paths_check(struct check *c, const struct conf_conn *conn, const struct tree *section)
	NONNULL(1, 2, 3);

/* check_short_name - of a path, profile, listener or user: a section, and CONF_NAME_MAX holds its
 * name; says so if it is not. demand.c */
bool check_short_name(struct check *c, const struct tree *section) NONNULL(1, 2);

/* app_defaults - of the section latchkey.app. app.c */
void app_defaults(struct conf_app *a) NONNULL(1);

/* conf_is_interface_name - as the kernel has it. daemon.c */
bool conf_is_interface_name(const char *text) NONNULL(1);

/* take_interface - a device's name. take_addresses - addresses for one, with prefix lengths, up to
 * CONF_MAX_INTERFACE_ADDRS. daemon.c */
void take_interface(struct check *c, char out[static 16], const struct tree *node) NONNULL(1, 3);
void take_addresses(struct check *c, struct ip_prefix *out, uint32_t *num, const struct tree *node)
	NONNULL(1, 2, 3, 4);

/* take_* - a value of this kind, or a remark that says what was expected; false then. value.c */
bool take_text(struct check *c, const char **out, const struct tree *node) NONNULL(1, 2, 3);
bool take_bool(struct check *c, bool *out, const struct tree *node) NONNULL(1, 2, 3);
bool take_time(struct check *c, uint64_t *out_ns, const struct tree *node) NONNULL(1, 2, 3);
bool take_size(struct check *c, uint64_t *out, const struct tree *node) NONNULL(1, 2, 3);
bool take_number(struct check *c, uint64_t *out, const struct tree *node, uint64_t max)
	NONNULL(1, 2, 3);

/* struct take_list - where the items of a value go: what they are called, how many there are. */
struct take_list {
	const char *what;
	uint32_t num, max;
};

/* take_item - the next item of a value that is walked; false after the last one, and, with a
 * remark, if there are too many or one is too long. */
bool take_item(struct check *c, char out[static VALUE_ITEM_MAX], struct value_items *it,
	       const struct take_list *list) NONNULL(1, 3, 4);

/* struct selector_list - where the selectors of a key go. parse - the i-th of them, from text.
 * kinds: what each of them may be, for people. */
struct selector_list {
	void *list;
	uint32_t *num; /* there so far */
	uint32_t max;
	enum err (*parse)(void *list, uint32_t i, const char *text);
	const char *kinds;
};

/* take_selectors - all of a value; a remark for each that is none, and if they are too many. */
void take_selectors(struct check *c, const struct selector_list *to, const struct tree *node)
	NONNULL(1, 2, 3);

/* struct take_word - a word and the number it stands for. */
struct take_word {
	const char *word;
	int value;
};
/* take_word - one of num words. */
bool take_word(struct check *c, int *out, const struct tree *node, const struct take_word *words,
	       size_t num) NONNULL(1, 2, 3, 4);
