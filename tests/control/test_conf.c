/* SPDX-License-Identifier: Apache-2.0 */
/* The validator: what becomes of every kind of key, and what it says about those that are wrong. */
#include "control/conf/conf.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "tests/tap/tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum err load(struct conf **out, struct conf_diags *diags, const char *text)
{
	struct tree *t;
	enum err e;

	memset(diags, 0, sizeof(*diags));
	e = conf_parse_text(&t, diags, "f", text, strlen(text));
	if (e)
		return e;
	e = conf_new(out, diags, t);
	tree_free(t);
	return e;
}

static struct conf *must_load(const char *text)
{
	static struct conf_diags diags;
	struct conf *conf = NULL;
	enum err e = load(&conf, &diags, text);

	if (e)
		tap_diag("%s", diags.list[0].text);
	CU_ASSERT_EQUAL_FATAL(e, ERR_OK);
	return conf;
}

#define SIDES "local { auth = psk\n}\nremote { auth = psk\n}\n"

/* One key in a place where it belongs, and the remark that follows: "E..." or "W...", "" for none.
 */
struct row {
	const char *key, *remark;
};

static void check_rows(const char *before, const char *after, const struct row *rows, size_t num)
{
	for (size_t i = 0; i < num; i++) {
		static struct conf_diags diags;
		bool error = rows[i].remark[0] == 'E';
		const char *wanted = rows[i].remark + (rows[i].remark[0] != '\0');
		struct conf *conf = NULL;
		char text[1024];
		enum err e;

		snprintf(text, sizeof(text), "%s%s%s", before, rows[i].key, after);
		e = load(&conf, &diags, text);
		CU_ASSERT_EQUAL(e, error ? ERR_CONFIG : ERR_OK);
		CU_ASSERT_EQUAL(diags.num, rows[i].remark[0] ? 1 : 0);
		if (diags.num != (rows[i].remark[0] ? 1 : 0))
			tap_diag("'%s': %u remarks", rows[i].key, diags.num);
		for (uint32_t j = wanted[0] != '\0'; j < diags.num; j++)
			tap_diag("'%s': %s", rows[i].key, diags.list[j].text);
		if (diags.num)
			CU_ASSERT_STRING_EQUAL(diags.list[0].text, wanted);
		if (diags.num)
			CU_ASSERT_EQUAL(diags.list[0].error, error);
		if (!e)
			conf_put(conf);
	}
}

#define LATER(path)   "Wf:4: " path ": is not supported yet and has no effect"
#define REFUSED(path) "Ef:4: " path ": is not supported yet, and what it demands cannot be left out"
#define GROUPS                                                           \
	"x25519, ecp256, ecp384, ecp521, modp3072, modp4096, modp2048; " \
	"ke1_ to ke7_ with these and mlkem768, mlkem1024, mlkem512"
#define CIPHERS                                                                        \
	"(supported: aes256gcm16, aes128gcm16, chacha20poly1305, aes256/192/128 with " \
	"sha256/384/512; "
#define IKE_SUPPORT CIPHERS "prfsha256, prfsha384, prfsha512; " GROUPS ")"
#define ESP_SUPPORT CIPHERS "null, aes256gmac, aes256gcm16iiv; " GROUPS "; esn, noesn)"

static const struct row conn_rows[] = {
	{"version = 2", ""},
	{"version = 0", ""},
	{"version = 1", "Ef:4: connections.a.version: IKEv1 is not supported: only IKEv2 is (2, or "
			"0 for any)"},
	{"version = 3", "Ef:4: connections.a.version: '3' is not a number from 0 to 2"},
	{"remote_addrs = 192.0.2.1, 2001:db8::1, 10.0.0.0/8, 10.0.0.1-10.0.0.9, gw.example.com, "
	 "%any",
	 ""},
	{"remote_addrs = 192.0.2.300", "Ef:4: connections.a.remote_addrs: '192.0.2.300' is not an "
				       "address, prefix, range or name"},
	{"local_addrs = a b", "Ef:4: connections.a.local_addrs: 'a b' is not an address, prefix, "
			      "range or name"},
	{"remote_addrs = 10.0.0.0/8[tcp/80]",
	 "Ef:4: connections.a.remote_addrs: '10.0.0.0/8[tcp/80]' is not an address, prefix, range "
	 "or name"},
	{"remote_port = 65536",
	 "Ef:4: connections.a.remote_port: '65536' is not a number from 0 to 65535"},
	{"remote_adrs = x", "Ef:4: connections.a: unknown key 'remote_adrs'; did you mean "
			    "'remote_addrs'?"},
	{"xyzzyxyzzy = x", "Ef:4: connections.a: unknown key 'xyzzyxyzzy'"},
	{"lokal { }", "Ef:4: connections.a: unknown key 'lokal'; did you mean 'local'?"},
	{"proposals { }", "Ef:4: connections.a.proposals: is a value, not a section"},
	{"children = x", "Ef:4: connections.a.children: is a section: { ... } was expected"},
	{"local-2 { auth = psk\n}", "Ef:4: connections.a.local-2: more than one round of "
				    "authentication is not supported yet"},
	{"rekey_time = 3h", ""},
	{"rekey_time = 3x", "Ef:4: connections.a.rekey_time: '3x' is not a time: seconds, or a "
			    "number with s, m, h or d"},
	{"rekey_time = -1", "Ef:4: connections.a.rekey_time: '-1' is not a time: seconds, or a "
			    "number with s, m, h or d"},
	{"rekey_time = 99999999999999999999d",
	 "Ef:4: connections.a.rekey_time: '99999999999999999999d' is not a time: seconds, or a "
	 "number with s, m, h or d"},
	{"interface = to-hub", ""},
	{"interface = to/hub",
	 "Ef:4: connections.a.interface: 'to/hub' is not an interface's name"},
	{"interface = sixteen-letters-",
	 "Ef:4: connections.a.interface: 'sixteen-letters-' is not an interface's name"},
	{"interface_addrs = 10.3.0.1/24, fd00::1", ""},
	{"interface_addrs = 10.3.0.1/33",
	 "Ef:4: connections.a.interface_addrs: '10.3.0.1/33' is not an address or address/length"},
	{"interface_addrs = ::,::,::,::,::,::,::,::,::",
	 "Ef:4: connections.a.interface_addrs: more than 8 addresses"},
	{"vips = 0.0.0.0, ::", ""},
	{"vips = %any, %any6, 10.3.0.5, fd00::5", ""},
	{"vips = 10.3.0.0/24",
	 "Ef:4: connections.a.vips: '10.3.0.0/24' is not an address: 0.0.0.0 asks for any of "
	 "IPv4, :: for any of IPv6"},
	{"vips = ::,::,::,::,::,::,::,::,::", "Ef:4: connections.a.vips: more than 8 addresses"},
	{"mobike = no", ""},
	{"mobike = false", ""},
	{"mobike = yes", ""},
	{"mobike = maybe", "Ef:4: connections.a.mobike: 'maybe' is neither yes nor no"},
	{"multiple_interfaces = no", ""},
	{"multiple_interfaces = yes", ""},
	{"multiple_interfaces = decide", ""},
	{"multiple_interfaces = always",
	 "Ef:4: connections.a.multiple_interfaces: 'always' is none of: yes, decide, no"},
	{"path_policy = failover", ""},
	{"path_policy = flow", ""},
	{"path_policy = spray", ""},
	{"path_policy = duplicate", ""},
	{"path_policy = none", ""},
	{"path_policy = best", "Ef:4: connections.a.path_policy: 'best' is none of: none, "
			       "failover, flow, spray, duplicate"},
	{"paths { one { local_addr = 192.0.2.1\n priority = 255\n weight = 65535\n} }", ""},
	{"paths { one { weight = 2\n} }", "Ef:4: connections.a.paths.one: has no local_addr, and "
					  "no interface: which address does it begin at?"},
	{"paths { one { interface = wlan0\n} two { interface = wwan0\n} }", ""},
	{"paths { one { interface = wlan0\n local_addr = 192.0.2.1\n} }",
	 "Ef:4: connections.a.paths.one: has a local_addr and an interface: it begins at one of "
	 "them"},
	{"paths { one { interface = wlan0\n}\n two { interface = wlan0\n} }",
	 "Ef:6: connections.a.paths.two: has the addresses of one before it"},
	{"paths { one { remote_addr = here\n local_addr = 192.0.2.1\n} }",
	 "Ef:4: connections.a.paths.one.remote_addr: 'here' is not an address"},
	{"paths { one { weight = 0\n local_addr = 192.0.2.1\n} }",
	 "Ef:4: connections.a.paths.one.weight: 0: a path that nothing shall go by is left out"},
	{"paths { one { local_addr = 192.0.2.1\n}\n two { local_addr = 192.0.2.1\n} }",
	 "Ef:6: connections.a.paths.two: has the addresses of one before it"},
	{"paths { one { local_addr = 192.0.2.1\n dscp = ef, af41,le , 63,0\n} }", ""},
	{"paths { one { local_addr = 192.0.2.1\n dscp = 64\n} }",
	 "Ef:5: connections.a.paths.one.dscp: '64' is no class of packets: 0 to 63, or a name such "
	 "as "
	 "ef or af41"},
	{"paths { one { local_addr = 192.0.2.1\n dscp = ef af\n} }",
	 "Ef:5: connections.a.paths.one.dscp: 'ef af' is no class of packets: 0 to 63, or a name "
	 "such "
	 "as ef or af41"},
	{"paths { one { local_addr = 192.0.2.1\n local_ts = 10.0.0.0/8[udp/53], fd00::/8\n} }", ""},
	{"paths { one { local_addr = 192.0.2.1\n remote_ts = dynamic\n} }",
	 "Ef:5: connections.a.paths.one.remote_ts: 'dynamic' is not a selector: a prefix or a "
	 "range, "
	 "then possibly [protocol/port]"},
	{"paths { one { local_addr = 192.0.2.1\n local_ts = ::, ::1, ::2, ::3, ::4\n} }",
	 "Ef:5: connections.a.paths.one.local_ts: more than 4 selectors"},
	{"paths { one { local_addr = 192.0.2.1\n local_ts = ::\n remote_ts = 0.0.0.0\n} }",
	 "Ef:4: connections.a.paths.one: local_ts and remote_ts are of different versions of IP: a "
	 "path for each is needed"},
	{"paths { one { local_addr = 192.0.2.1\n dscp = 1\n}\n two { local_addr = 192.0.2.2\n "
	 "local_ts "
	 "= ::1, ::2, ::3, ::4\n remote_ts = ::1, ::2, ::3, ::4\n} }",
	 "Ef:7: connections.a.paths.two: 17 rules of what goes by which path, and the connection "
	 "may "
	 "have 16: local_ts times remote_ts of each path"},
	{"paths { one { local_addr = ::1\n remote_addr = 192.0.2.1\n} }",
	 "Ef:4: connections.a.paths.one: begins with one version of IP and ends with the other"},
	{"reauth_time = 0", ""},
	{"reauth_time = 3h", ""},
	{"follow_redirects = yes", ""},
	{"pools = a, b", ""},
	{"pools = a,b,c,d,e,f,g,h,i", "Ef:4: connections.a.pools: more than 8 pools"},
	{"childless = allow", ""},
	{"childless = prefer", ""},
	{"childless = force", ""},
	{"childless = never", ""},
	{"childless = yes", "Ef:4: connections.a.childless: 'yes' is none of: allow, prefer, "
			    "force, never"},
	{"unique = never", ""},
	{"unique = no", ""},
	{"unique = keep", ""},
	{"unique = replace", ""},
	{"unique = once", "Ef:4: connections.a.unique: 'once' is none of: no, never, keep, "
			  "replace"},
	{"fragmentation = yes", ""},
	{"fragmentation = force", ""},
	{"fragmentation = accept", ""},
	{"fragmentation = no", ""},
	{"fragmentation = maybe",
	 "Ef:4: connections.a.fragmentation: 'maybe' is none of: yes, force, accept, no"},
	{"send_cert = always", ""},
	{"send_cert = ifasked", ""},
	{"send_cert = perhaps",
	 "Ef:4: connections.a.send_cert: 'perhaps' is none of: ifasked, always, never"},
	{"ocsp = never", ""},
	{"ocsp = request", ""},
	{"ocsp = yes", "Ef:4: connections.a.ocsp: 'yes' is none of: both, request, reply, never"},
	{"send_certreq = no", ""},
	{"send_certreq = some", "Ef:4: connections.a.send_certreq: 'some' is neither yes nor no"},
	{"dpd_timeout = 3s", ""},
	{"ppk_required = no", ""},
	{"ppk_required = yes", ""},
	{"ppk_required = some", "Ef:4: connections.a.ppk_required: 'some' is neither yes nor no"},
	{"ppk_id = carol-ppk", ""},
	{"resumption = yes", ""},
	{"resumption = some", "Ef:4: connections.a.resumption: 'some' is neither yes nor no"},
	{"ppk_id = %any", "Ef:4: connections.a.ppk_id: '%any' is no name of a PPK"},
	{"ppk_id = *.example", "Ef:4: connections.a.ppk_id: '*.example' is no name of a PPK"},
	{"mediation = yes", REFUSED("connections.a.mediation")},
	{"proposals = default", ""},
	{"proposals = aes256gcm16-prfsha384-x25519", ""},
	{"proposals = aes128gcm128-sha256-curve25519", ""},
	{"proposals = aes256gcm16-prfsha512-ecp521-modp2048-modp3072-modp4096", ""},
	{"proposals = chacha20poly1305-prfsha256-x25519", ""},
	{"proposals = aes256gcm16-sha512-ecp521, aes256gcm16-sha2_512-modp4096", ""},
	{"proposals = aes128-sha256-modp2048, aes256-sha512-prfsha384-x25519", ""},
	{"proposals = aes128-sha256_96-modp2048, aes128gcm16-prfsha256-ecp256",
	 "Wf:4: connections.a.proposals: 'sha256_96' is left out: RFC 4868 has 128 bits of it, not "
	 "96 " IKE_SUPPORT},
	{"proposals = null-sha256-modp2048", "Ef:4: connections.a.proposals: 'null' belongs in ESP "
					     "proposals only " IKE_SUPPORT},
	{"proposals = aes256gcm16iiv-prfsha256-modp2048",
	 "Ef:4: connections.a.proposals: 'aes256gcm16iiv' belongs in ESP proposals "
	 "only " IKE_SUPPORT},
	{"proposals = aes128gmac-prfsha256-modp2048",
	 "Ef:4: connections.a.proposals: 'aes128gmac' belongs in ESP proposals only " IKE_SUPPORT},
	{"proposals = aes128-sha1-modp2048",
	 "Ef:4: connections.a.proposals: 'aes128-sha1-modp2048' has no proposal that is "
	 "supported " IKE_SUPPORT},
	{"proposals = aes128gcm16-x25519", "Ef:4: connections.a.proposals: 'aes128gcm16-x25519' "
					   "has no proposal that is supported " IKE_SUPPORT},
	{"proposals = aes128gcm16-prfsha256",
	 "Ef:4: connections.a.proposals: 'aes128gcm16-prfsha256' has no proposal that is "
	 "supported " IKE_SUPPORT},
	{"proposals = aes128gcm16-prfsha265-x25519",
	 "Ef:4: connections.a.proposals: 'prfsha265' is no algorithm; did you mean "
	 "'prfsha256'? " IKE_SUPPORT},
	{"proposals = aes128gcm16-prfsha256-x25519-esn",
	 "Ef:4: connections.a.proposals: 'esn' belongs in ESP proposals only " IKE_SUPPORT},
	{"proposals = aes128gcm16-prfsha256-x25519-ke1_ecp256-KE7_ecp384-ke7_none", ""},
	{"proposals = aes128gcm16-prfsha256-x25519-ke1_ecp265",
	 "Ef:4: connections.a.proposals: 'ke1_ecp265' is no algorithm; did you mean "
	 "'ke1_ecp256'? " IKE_SUPPORT},
	{"proposals = aes128gcm16-prfsha256-x25519-ke8_ecp256",
	 "Ef:4: connections.a.proposals: 'ke8_ecp256' is no algorithm; did you mean "
	 "'ecp256'? " IKE_SUPPORT},
	{"proposals = aes128gcm16-prfsha256-x25519-ke1_sha256",
	 "Ef:4: connections.a.proposals: 'ke1_sha256' is no key exchange method " IKE_SUPPORT},
	{"proposals = aes128gcm16-prfsha256-mlkem768",
	 "Ef:4: connections.a.proposals: 'mlkem768' is a key exchange in addition to another one: "
	 "put it behind one such as x25519, with ke1_ before its name " IKE_SUPPORT},
	/* Without its additional key exchange the proposal would be a weaker one. */
	{"proposals = aes128gcm16-prfsha256-x25519-ke1_x448, aes128gcm16-prfsha256-ecp256",
	 "Wf:4: connections.a.proposals: 'ke1_x448' is left out: it is not supported " IKE_SUPPORT},
	{"proposals = aes128gcm16-prfsha256-x25519-ke1_x448",
	 "Ef:4: connections.a.proposals: 'aes128gcm16-prfsha256-x25519-ke1_x448' has no proposal "
	 "that is supported " IKE_SUPPORT},
};

static void test_connection_keys(void)
{
	check_rows("connections { a { local { auth = psk\n} remote {\n auth = psk\n} ", "\n } }",
		   conn_rows, ARRAY_LEN(conn_rows));
}

static const struct row child_rows[] = {
	{"local_ts = 10.0.0.0/8, 10.0.0.1-10.0.0.9[tcp/80], dynamic, dynamic[udp/53], fd00::/8",
	 ""},
	{"local_ts = 10.0.0.0/33",
	 "Ef:4: connections.a.children.c.local_ts: '10.0.0.0/33' is not a selector: a prefix, a "
	 "range or dynamic, then possibly [protocol/port]"},
	{"remote_ts = dynamix", "Ef:4: connections.a.children.c.remote_ts: 'dynamix' is not a "
				"selector: a prefix, a range or dynamic, then possibly "
				"[protocol/port]"},
	{"remote_ts = dynamic[tcp/99999]",
	 "Ef:4: connections.a.children.c.remote_ts: 'dynamic[tcp/99999]' is not a selector: a "
	 "prefix, a range or dynamic, then possibly [protocol/port]"},
	{"mode = tunnel", ""},
	{"mode = transport", ""},
	{"mode = pass\n start_action = trap", ""},
	{"mode = drop\n start_action = trap", ""},
	{"mode = drop", "Wf:4: connections.a.children.c: mode = pass and mode = drop stand with "
			"start_action = trap only: this child does nothing"},
	{"mode = beet",
	 "Wf:4: connections.a.children.c.mode: beet is not supported: tunnel mode is "
	 "used"},
	{"mode = transport_proxy", "Ef:4: connections.a.children.c.mode: 'transport_proxy' is none "
				   "of: tunnel, transport, pass, drop, beet"},
	{"start_action = trap|start", ""},
	{"start_action = go", "Ef:4: connections.a.children.c.start_action: 'go' is none of: none, "
			      "trap, start, trap|start, start|trap, route"},
	{"rekey_bytes = 500m", ""},
	{"rekey_bytes = many", "Ef:4: connections.a.children.c.rekey_bytes: 'many' is not a number "
			       "of bytes (k, m and g may follow it)"},
	{"replay_window = 1024", ""},
	{"replay_window = 0", "Wf:4: connections.a.children.c.replay_window: 0 means that repeated "
			      "packets are accepted"},
	{"replay_window = 1048577",
	 "Ef:4: connections.a.children.c.replay_window: '1048577' is not "
	 "a number from 0 to 1048576"},
	{"path = nowhere", "Ef:1: connections.a: children.c.path: 'nowhere' is none of the "
			   "connection's `paths`"},
	{"path = a-name-of-thirty-two-characters--",
	 "Ef:4: connections.a.children.c.path: "
	 "'a-name-of-thirty-two-characters--...' is too long for the name of a path"},
	{"copy_dscp = out", ""},
	{"copy_dscp = in", ""},
	{"copy_dscp = yes", ""},
	{"copy_dscp = no", ""},
	{"path_tag = voice", ""},
	{"path_tag = 0123456789012345678901234567890123456789012345678901234567890123", ""},
	{"path_tag = 01234567890123456789012345678901234567890123456789012345678901234",
	 "Ef:4: connections.a.children.c.path_tag: "
	 "'0123456789012345678901234567890123456789...' is longer than 64 bytes"},
	{"per_cpu_sas = yes", ""},
	{"per_cpu_sas = no", ""},
	{"ipcomp = yes", ""},
	{"ipcomp = no", ""},
	{"ipcomp = lzs", "Ef:4: connections.a.children.c.ipcomp: 'lzs' is neither yes nor no"},
	{"ipcomp = yes\n tfc_padding = 500",
	 "Ef:4: connections.a.children.c: tfc_padding hides how long packets are, and ipcomp shows "
	 "what is in them by their length: leave out one"},
	{"per_cpu_sas = 4",
	 "Ef:4: connections.a.children.c.per_cpu_sas: '4' is neither yes nor no"},
	{"per_cpu_sas = encap",
	 "Ef:4: connections.a.children.c.per_cpu_sas: encap, a UDP port for each pair of SAs, is "
	 "not supported: say yes, then all go by the port of the connection"},
	{"copy_df = yes", ""},
	{"copy_df = no", ""},
	{"copy_df = set", ""},
	{"copy_df = maybe",
	 "Ef:4: connections.a.children.c.copy_df: 'maybe' is none of: yes, no, set"},
	{"mss_clamp = yes", ""},
	{"mss_clamp = no", ""},
	{"mss_clamp = 1300", ""},
	{"mss_clamp = 500", "Ef:4: connections.a.children.c.mss_clamp: '500' is neither yes nor no "
			    "nor a number from 536 to 65535"},
	{"tfc_padding = 0", ""},
	{"tfc_padding = 1000", ""},
	{"tfc_padding = mtu", ""},
	{"tfc_padding = all",
	 "Ef:4: connections.a.children.c.tfc_padding: 'all' is neither mtu nor "
	 "a number from 0 to 65535"},
	{"tfc_padding = 500\n tfc_dummies = 1000", ""},
	{"tfc_padding = 500\n tfc_dummies = 1001",
	 "Ef:5: connections.a.children.c.tfc_dummies: '1001' is not a number from 0 to 1000"},
	{"tfc_dummies = 0", ""},
	{"tfc_dummies = 5",
	 "Ef:4: connections.a.children.c: tfc_dummies needs tfc_padding: by their length dummies "
	 "would be told from packets that are not padded"},
	{"copy_dscp = both",
	 "Ef:4: connections.a.children.c.copy_dscp: 'both' is none of: out, in, yes, no"},
	{"ah_proposals = sha256", REFUSED("connections.a.children.c.ah_proposals")},
	{"policies = yes", ""},
	{"policies = no", REFUSED("connections.a.children.c.policies")},
	{"label = x", REFUSED("connections.a.children.c.label")},
	{"inactivity = 30m", ""},
	{"inactivity = soon", "Ef:4: connections.a.children.c.inactivity: 'soon' is not a time: "
			      "seconds, or a number with s, m, h or d"},
	{"updown = /bin/x", LATER("connections.a.children.c.updown")},
	{"mark_in = 0/0x00000000", ""},
	{"mark_in = 42", LATER("connections.a.children.c.mark_in")},
	{"hw_offload = auto", ""},
	{"hw_offload = yes", LATER("connections.a.children.c.hw_offload")},
	{"esp_proposals = aes128gcm16-x25519-esn-noesn", ""},
	{"esp_proposals = aes128gcm16-modp2048-ecp521", ""},
	{"esp_proposals = chacha20poly1305, chacha20poly1305-x25519-esn", ""},
	{"esp_proposals = aes128-sha256, aes256-sha2_384-esn, null-sha256, aes128gmac", ""},
	{"esp_proposals = aes256gcm16iiv-aes128gcm16iiv-chacha20poly1305iiv-aes256gcm16-esn", ""},
	{"esp_proposals = aes128",
	 "Ef:4: connections.a.children.c.esp_proposals: 'aes128' has no proposal that is "
	 "supported " ESP_SUPPORT},
	{"esp_proposals = aes128, aes128gcm16",
	 "Wf:4: connections.a.children.c.esp_proposals: 'aes128' is left out: its cipher needs an "
	 "integrity algorithm " ESP_SUPPORT},
	{"esp_proposals = aes128gcm16-modp1536",
	 "Ef:4: connections.a.children.c.esp_proposals: 'aes128gcm16-modp1536' has no proposal "
	 "that is supported " ESP_SUPPORT},
	{"life_time = 5m", "Wf:4: connections.a.children.c: life_time is less than rekey_time: the "
			   "SA ends before it is re-keyed"},
	{"rekeytime = 3", "Ef:4: connections.a.children.c: unknown key 'rekeytime'; did you mean "
			  "'rekey_time'?"},
};

static void test_child_keys(void)
{
	check_rows(
		"connections { a { local { auth = psk\n} remote {\n auth = psk\n} children { c { ",
		"\n } } } }", child_rows, ARRAY_LEN(child_rows));
}

#define AUTH_WORDS(text, word)                                                            \
	"Ef:2: connections.a.remote.auth: '" text "': '" word "' is not supported: psk, " \
	"null, btns, leapoffaith, or pubkey, rsa, rsa/pss, ecdsa, ed25519, ed448 with "   \
	"sizes and sha256, sha384, sha512 after dashes"
#define NOWHERE(key)                                                                              \
	"Ef:2: connections.a.remote." key ": '/nowhere/x.pem' is not usable: it cannot be read: " \
	"No such file or directory"

static const struct row side_rows[] = {
	{"auth = psk\n id = gw.example.com", ""},
	{"auth = psk\n id = *.example.com", ""},
	{"auth = psk\n id = *", ""},
	{"auth = psk\n id = a*b*", ""},
	{"auth = psk\n id = *x*", "Ef:3: connections.a.remote.id: '*x*' is not an identity: only "
				  "its beginning may be a '*'"},
	{"auth = psk\n id = \"C=CH, O=x, CN=y\"", ""},
	{"auth = psk\n id = \"C=CH, O=x, CN=*\"", ""},
	{"auth = psk\n id = \"C=CH, XYZZY=x\"",
	 "Ef:3: connections.a.remote.id: 'C=CH, XYZZY=x' is not an identity"},
	{"auth = pubkey", ""},
	{"auth = pubkey-sha256-sha384", ""},
	{"auth = rsa-3072-sha512", ""},
	{"auth = rsa/pss-sha256", ""},
	{"auth = ecdsa-384-sha384", ""},
	{"auth = ed25519", ""},
	{"auth = ecdsa-sha1", AUTH_WORDS("ecdsa-sha1", "sha1")},
	{"auth = ike:rsa-sha256", AUTH_WORDS("ike:rsa-sha256", "ike:rsa")},
	{"auth = pubkey-2048", AUTH_WORDS("pubkey-2048", "2048")},
	{"auth = null", ""},
	{"auth = NULL\n id = %null", ""},
	{"auth = null\n id = %any", ""},
	{"auth = null\n id = x", "Ef:1: connections.a.remote: nothing proves an identity beside "
				 "`auth = null`: leave `id` out"},
	{"auth = null\n id = *.x", "Ef:1: connections.a.remote: nothing proves an identity beside "
				   "`auth = null`: leave `id` out"},
	{"auth = psk\n id = %null", "Ef:1: connections.a.remote: `id = %null` is for `auth = null` "
				    "alone"},
	{"id = %null", "Ef:1: connections.a.remote: `id = %null` is for `auth = null` alone"},
	{"auth = null-sha256", AUTH_WORDS("null-sha256", "null")},
	{"auth = btns", ""},
	{"auth = btns-ecdsa-384-sha384", ""},
	{"auth = btns-", AUTH_WORDS("btns-", "")},
	{"auth = btnsx", AUTH_WORDS("btnsx", "btnsx")},
	{"auth = btns-sha1", AUTH_WORDS("btns-sha1", "sha1")},
	{"auth = leapoffaith\n id = x", ""},
	{"auth = leapoffaith-ed25519\n id = *.x", ""},
	{"auth = leapoffaith\n id = %any", ""},
	{"auth = leapoffaith",
	 "Ef:1: connections.a.remote: `id` is missing: by its name the peer's key is remembered "
	 "(with %any by whatever it calls itself)"},
	{"auth = btns\n id = x", "Ef:1: connections.a.remote: nothing proves an identity beside "
				 "`auth = btns`: leave `id` out"},
	{"id = x", ""},
	{"auth = psk\n round = 2", ""},
	{"revocation = strict", ""},
	{"revocation = ifuri", ""},
	{"revocation = never",
	 "Ef:2: connections.a.remote.revocation: 'never' is none of: relaxed, ifuri, strict"},
	{"auth = psk\n groups = x", "Ef:3: connections.a.remote.groups: is not supported yet, and "
				    "what it demands cannot be left out"},
	{"cacerts = x.pem", "Ef:2: connections.a.remote.cacerts: 'x.pem': files cannot be named "
			    "here, only with a whole path"},
	{"certs = /nowhere/x.pem", NOWHERE("certs")},
	{"pubkeys = /nowhere/x.pem", NOWHERE("pubkeys")},
	{"cacert-1 { file = /nowhere/x.pem\n }", NOWHERE("cacert-1.file")},
	{"cert { file = /nowhere/x.pem\n }", NOWHERE("cert.file")},
	{"cert { handle = 01\n }",
	 "Ef:2: connections.a.remote.cert: a certificate on a token is this "
	 "side's own: the peer's goes to `file`"},
	{"cert { slot = 1\n }",
	 "Ef:2: connections.a.remote.cert: has no 'handle', the CKA_ID of an "
	 "object on a token"},
	{"ca_id = x", "Ef:2: connections.a.remote.ca_id: is not supported yet, and what it demands "
		      "cannot be left out"},
	{"auth = psk\n eap_id = x", "Ef:1: connections.a.remote: `eap_id` is for `auth = eap` and "
				    "its methods alone"},
};

/* Of a client of a gateway that signs. */
static const struct row eap_rows[] = {
	{"auth = eap-mschapv2", ""},
	{"auth = EAP-MSCHAPv2\n eap_id = %any", ""},
	{"auth = eap-mschapv2\n eap_id = carol@example.org\n id = *@example.org", ""},
	{"auth = eap-md5", "Ef:2: connections.a.remote.auth: 'eap-md5' is not supported: eap, "
			   "eap-mschapv2, eap-tls, or eap-radius"},
	{"auth = eap", "Ef:1: connections.a.remote: which method of EAP does the peer prove itself "
		       "by? `auth = eap-mschapv2`, eap-tls or eap-radius"},
	{"auth = eap-radius",
	 "Econnections.a: `auth = eap-radius` needs servers: latchkey { radius "
	 "{ servers { ... } } }"},
	{"auth = eap-mschapv2\n eap_id = *@x",
	 "Ef:3: connections.a.remote.eap_id: '*@x' is no identity: a name, user@domain, or %any"},
};

static void test_side_keys(void)
{
	check_rows("connections { a { local { auth = psk } remote {\n", "\n} } }", side_rows,
		   ARRAY_LEN(side_rows));
	check_rows("connections { a { remote {\n", "\n} } }", eap_rows, ARRAY_LEN(eap_rows));
}

/* S23: beside EAP the other side signs, and is believed for that. */
static void test_S23_a_key_beside_eap(void)
{
#define BESIDE(side)                                                                          \
	"Ef:1: connections.a: EAP is for a client of a gateway that has signed first: `" side \
	"` needs `auth = pubkey`"
	static const struct row gateway[] = {
		{"auth = pubkey", ""},
		{"auth = psk", BESIDE("local")},
		{"auth = null", BESIDE("local")},
	};
	static const struct row client[] = {
		{"auth = ecdsa-384-sha384", ""},
		{"auth = psk", BESIDE("remote")},
		{"auth = null", BESIDE("remote")},
		{"auth = btns", BESIDE("remote")},
		{"auth = leapoffaith\n id = x", BESIDE("remote")},
	};
	static const struct row both[] = {{"auth = eap-tls", ""}};

	check_rows("connections { a { remote { auth = eap-mschapv2\n } local {\n", "\n} } }",
		   gateway, ARRAY_LEN(gateway));
	check_rows("connections { a { remote { auth = eap-tls\n } local {\n", "\n} } }", gateway,
		   ARRAY_LEN(gateway));
	check_rows("connections { a { local { auth = eap\n id = c\n } remote {\n", "\n} } }",
		   client, ARRAY_LEN(client));
	check_rows("connections { a { local { auth = eap-tls\n } remote {\n", "\n} } }", both,
		   ARRAY_LEN(both));
}

static const struct row root_rows[] = {
	{"pools { p { addrs = 10.0.0.0/8\n dns = 1.1.1.1\n 25 = x } }",
	 "Wf:3: pools.p: attribute 25 is not supported yet"},
	{"pools { p { addrs = 10.0.0.0/8\n split_include = 10.0.0.0/8 } }",
	 "Wf:2: pools.p.split_include: is not supported yet and has no effect"},
	{"pools { p { dns = 1.1.1.1 } }", "Ef:1: pools.p: has no 'addrs'"},
	{"pools { p { addrs = 10.0.0.0/33 } }",
	 "Ef:1: pools.p.addrs: '10.0.0.0/33' is neither a prefix nor a range: 10.3.0.0/24 and "
	 "10.3.0.10-10.3.0.99 are"},
	{"pools { p { addrs = 10.0.0.0/24[tcp] } }",
	 "Ef:1: pools.p.addrs: '10.0.0.0/24[tcp]' is neither a prefix nor a range: 10.3.0.0/24 and "
	 "10.3.0.10-10.3.0.99 are"},
	{"pools { p { addrs = 10.0.0.9-10.0.0.3 } }",
	 "Ef:1: pools.p.addrs: '10.0.0.9-10.0.0.3' is neither a prefix nor a range: 10.3.0.0/24 "
	 "and "
	 "10.3.0.10-10.3.0.99 are"},
	{"pools { p { addrs = 10.0.0.0/24\n dns = x } }",
	 "Ef:2: pools.p.dns: 'x' is not an address"},
	{"pools { p { addrs = 10.0.0.0/24\n nbns = fd00::1 } }",
	 "Ef:2: pools.p.nbns: 'fd00::1' is not an IPv4 address"},
	{"pools { p { addrs = 10.0.0.0/24\n subnet = 10.0.0.0/8, x } }",
	 "Ef:2: pools.p.subnet: 'x' is not a network, as 10.0.0.0/8 is"},
	{"pools = x", "Ef:1: pools: is a section: { ... } was expected"},
	{"pools { p = x\n }", "Ef:1: pools.p: is a section: { ... } was expected"},
	{"authorities { a { cacert = x } }",
	 "Ef:1: authorities.a.cacert: 'x': files cannot be named here, only with a whole path"},
	{"authorities { a { } }",
	 "Ef:1: authorities.a: a certificate was expected: 'cacert' or 'file'"},
	{"secrets { private-x { file = a\n secret = b\n } }", ""},
	{"secrets { rsa { file = a\n } }", "Ef:1: secrets.rsa: 'file' and 'secret' were expected"},
	{"secrets { pkcs8 { file = x/y\n secret = b\n } }",
	 "Ef:1: secrets.pkcs8: 'x/y': a file in the folder `private`, without a path"},
	{"authorities { }", ""},
	{"conections { }", "Ef:1: unknown key 'conections'; did you mean 'connections'?"},
	{"connections = x", "Ef:1: connections: is a section: { ... } was expected"},
	{"connections { a = x\n }", "Ef:1: connections.a: is a section: { ... } was expected"},
	{"secrets { eap-x { id = a\n secret = b\n } }", ""},
	{"secrets { eap-x { secret = b\n } }",
	 "Ef:1: secrets.eap-x: id is missing: a password is somebody's"},
	{"secrets { eap-x { id = %any\n secret = b\n } }",
	 "Ef:1: secrets.eap-x: '%any': a password is somebody's"},
	{"secrets { radius { id = main\n secret = 0123456789abcdef\n } }", ""},
	{"secrets { radius { id = main\n secret = 0123456789abcdef\n } }\n"
	 "latchkey { radius { nas_identifier = gw\n servers { main { address = fd00::1\n } } } }\n"
	 "connections { a { remote { auth = eap-radius\n eap_id = %any\n } } }",
	 ""},
	{"connections { a { local { auth = eap-radius\n id = x\n } } }",
	 "Ef:1: connections.a.local: `auth = eap-radius` is for the peer (`remote`): this side "
	 "proves itself by `auth = eap`"},
	{"secrets { radius { id = main\n secret = b\n } }",
	 "Wf:1: secrets.radius: the secret has fewer than 16 bytes: whoever sees a packet can try "
	 "to guess it"},
	{"secrets { radius { secret = 0123456789abcdef\n } }",
	 "Ef:1: secrets.radius: id is missing: it is that of a server, by its name in "
	 "latchkey.radius.servers"},
	{"secrets { ppk-x { id = a\n secret = 0123456789abcdef0123456789abcdef\n } }", ""},
	{"secrets { ppk-x { secret = 0123456789abcdef0123456789abcdef\n } }",
	 "Ef:1: secrets.ppk-x: id is missing: a PPK is found by its name"},
	{"secrets { ppk-x { id = %any\n secret = 0123456789abcdef0123456789abcdef\n } }",
	 "Ef:1: secrets.ppk-x: '%any': a PPK is found by its name"},
	{"secrets { ppk-x { id = a\n secret = 0123456789abcdef\n } }",
	 "Wf:1: secrets.ppk-x: the PPK has fewer than 32 bytes: a quantum computer can try to "
	 "guess it"},
	{"secrets { token-1 { handle = 0x0a:0B\n slot = 4294967296\n module = m\n pin = 1\n } }",
	 ""},
	{"secrets { token1 { pin = 12\n } }",
	 "Ef:1: secrets.token1: has no 'handle', the CKA_ID of an object on a token"},
	{"secrets { token1 { handle = 0a\n } }",
	 "Ef:1: secrets.token1: has no 'pin': nobody is there to type it when the key is needed"},
	{"secrets { token1 { handle = 0\n pin = 12\n } }",
	 "Ef:1: secrets.token1.handle: '0' is not the CKA_ID of an object in hexadecimal, of 1 to "
	 "64 bytes"},
	{"secrets { token1 { handle = zz\n pin = 12\n } }",
	 "Ef:1: secrets.token1.handle: 'zz' is not the CKA_ID of an object in hexadecimal, of 1 to "
	 "64 bytes"},
	{"secrets { token1 { handle = 0a\n slot = x\n pin = 12\n } }",
	 "Ef:2: secrets.token1.slot: 'x' is not a number from 0 to 18446744073709551614"},
	{"latchkey { pkcs11 { m { path = /usr/lib/m.so\n } } }", ""},
	{"latchkey { pkcs11 { m { path = m.so\n } } }",
	 "Ef:1: latchkey.pkcs11.m.path: 'm.so': a whole path was expected, shorter than 256 bytes"},
	{"latchkey { pkcs11 { m { } } }",
	 "Ef:1: latchkey.pkcs11.m: has no 'path', that of a PKCS#11 module"},
	{"latchkey { pkcs11 { m = x\n } }",
	 "Ef:1: latchkey.pkcs11.m: is a section with a name of 1 to 31 characters"},
	{"connections { a { local { auth = eap-tls\n id = x\n aaa_id = \"C=CH, CN=aaa\"\n } } }",
	 ""},
	{"connections { a { local { auth = eap\n id = x\n aaa_id = aaa.example\n } } }", ""},
	{"connections { a { local { auth = eap\n id = x\n aaa_id = %any\n } } }",
	 "Ef:3: connections.a.local.aaa_id: '%any' is not one identity: whoever has a certificate "
	 "could be the server"},
	{"connections { a { local { auth = eap-mschapv2\n id = x\n aaa_id = y\n } } }",
	 "Ef:1: connections.a.local: `aaa_id` is for `auth = eap-tls` or eap alone"},
	{"connections { a { local { auth = eap-tls\n id = x\n aaa_id = y\n }\n"
	 "remote { auth = eap-tls\n } } }",
	 "Ef:1: connections.a: `aaa_id` is for a gateway that has signed first: by EAP alone it is "
	 "the gateway that shows its certificate there"},
	{"secrets { ikey { secret = 0123456789abcdef\n } }", ""},
	{"secrets { psk { secret = 0123456789abcdef\n } }", "Ef:1: secrets: unknown key 'psk'; did "
							    "you mean 'ppk'?"},
	{"secrets { ike { id = a\n } }",
	 "Ef:1: secrets.ike: secret: 1 to 4096 bytes were expected"},
	{"secrets { ike { secret = short\n } }",
	 "Wf:1: secrets.ike: the secret has fewer than 16 bytes: whoever answers an initiator can "
	 "try to guess it"},
	{"secrets { ike { secret = 0xzz\n } }",
	 "Ef:1: secrets.ike.secret: is not valid hex after its prefix"},
	{"secrets { ike { secret = 0s!!\n } }",
	 "Ef:1: secrets.ike.secret: is not valid base64 after its prefix"},
	{"secrets { ike { sekret = x\n } }",
	 "Ef:1: secrets.ike: unknown key 'sekret'; did you mean 'secret'?"},
	{"secrets { ike { secret = 0123456789abcdef\n id = *@x\n } }",
	 "Ef:1: secrets.ike: '*@x': a secret's identity may not be a pattern"},
	{"latchkey { interface = lk0\n address = 10.0.0.1/24, fd00::1\n mtu = 1400\n"
	 "aead = openssl\n port = 501\n port_nat_t = 4501\n cookies = always\n log_level = debug }",
	 ""},
	{"latchkey { puzzles = auto\n puzzle_threshold = 1\n puzzle_difficulty = 18\n"
	 "puzzle_max = 0\n}",
	 ""},
	{"latchkey { puzzles = yes\n}",
	 "Ef:1: latchkey.puzzles: 'yes' is none of: auto, always, never"},
	{"latchkey { puzzle_threshold = 0\n}",
	 "Ef:1: latchkey.puzzle_threshold: 0 is no crowd; for puzzles at all times say puzzles = "
	 "always"},
	{"latchkey { puzzle_difficulty = 7\n}",
	 "Ef:1: latchkey.puzzle_difficulty: 7 is less than 8"},
	{"latchkey { puzzle_difficulty = 19\n}",
	 "Ef:1: latchkey.puzzle_difficulty: '19' is not a number from 0 to 18"},
	{"latchkey { puzzle_max = 23\n}", ""},
	{"latchkey { puzzle_max = 24\n}",
	 "Ef:1: latchkey.puzzle_max: '24' is not a number from 0 to 23"},
	{"latchkey { retransmit_tries = 1001\n}",
	 "Ef:1: latchkey.retransmit_tries: '1001' is not a number from 0 to 1000"},
	{"latchkey { dpdk { packets = 1023\n} }",
	 "Ef:1: latchkey.dpdk.packets: 1023 is less than 1024"},
	{"latchkey { dpdk { memory = 63\n} }", "Ef:1: latchkey.dpdk.memory: 63 is less than 64"},
	{"latchkey { dpdk { idle = 1000001\n} }",
	 "Ef:1: latchkey.dpdk.idle: '1000001' is not a number from 0 to 1000000"},
	{"latchkey { dpdk { crypto_sessions = 255\n} }",
	 "Ef:1: latchkey.dpdk.crypto_sessions: 255 is less than 256"},
	{"latchkey { dpdk { huge = perhaps\n} }",
	 "Ef:1: latchkey.dpdk.huge: 'perhaps' is neither yes nor no"},
	{"latchkey { dpdk { ports { wan { device = x\n inline_ipsec = maybe\n} } } }",
	 "Ef:2: latchkey.dpdk.ports.wan.inline_ipsec: 'maybe' is neither yes nor no"},
	{"latchkey { dpdk { crypto = y\n ports { wan { device = x\n inline_ipsec = yes\n} } } }",
	 "Ef:1: latchkey.dpdk: has 'crypto', and inline_ipsec of the port 'wan'"},
	{"latchkey { dpdk { ports { wan { mtu = 1500\n} } } }",
	 "Ef:1: latchkey.dpdk.ports.wan: names no device"},
	{"latchkey { dpdk { ports { wan = net_null0\n} } }",
	 "Ef:1: latchkey.dpdk.ports.wan: is a section: { ... } was expected"},
	{"latchkey { dpdk { ports { a_name_too_long_ { device = net_null0\n} } } }",
	 "Ef:1: latchkey.dpdk.ports.a_name_too_long_: 'a_name_too_long_' is not an interface's "
	 "name"},
	{"latchkey { dpdk { ports { a { device = x\n} b { device = x\n} } } }",
	 "Ef:2: latchkey.dpdk.ports.b: its device is that of 'a' too"},
	{"latchkey { dpdk { ports { a { device = x\n mtu = 1279\n} } } }",
	 "Ef:2: latchkey.dpdk.ports.a.mtu: 1279 is less than 1280"},
	{"latchkey { radius { servers { x { address = 192.0.2.1\n} } } }",
	 "Elatchkey.radius.servers.x: has no secret: secrets { radius { id = x  secret = ... } }"},
	{"latchkey { radius { servers { x { auth_port = 1\n} } } }",
	 "Ef:1: latchkey.radius.servers.x: has no 'address'"},
	{"latchkey { radius { servers { x { address = aaa.example\n} } } }",
	 "Ef:1: latchkey.radius.servers.x.address: 'aaa.example' is no address (names are not "
	 "looked up here)"},
	{"latchkey { radius { servers { x { address = 192.0.2.1\n auth_port = 0\n} } } }",
	 "Ef:2: latchkey.radius.servers.x.auth_port: 0 is not a port"},
	{"latchkey { radius { servers { x { address = 192.0.2.1\n secret = y\n} } } }",
	 "Ef:2: latchkey.radius.servers.x.secret: belongs in the section `secrets`: radius { id = "
	 "the server's name here  secret = ... }"},
	{"latchkey { radius { retransmit_timeout = 11s\n} }",
	 "Ef:1: latchkey.radius.retransmit_timeout: more than 0 s and at most 10 s were expected"},
	{"latchkey { radius { retransmit_tries = 0\n} }",
	 "Ef:1: latchkey.radius.retransmit_tries: a request is sent once at least"},
	{"latchkey { radius { nas_identifier = "
	 "a234567890123456789012345678901234567890123456789012345678901234\n} }",
	 "Ef:1: latchkey.radius.nas_identifier: 1 to 63 characters were expected"},
	{"latchkey { fragment_size = 255\n}", "Ef:1: latchkey.fragment_size: 255 is less than 256"},
	{"latchkey { fragment_size = 16385\n}",
	 "Ef:1: latchkey.fragment_size: '16385' is not a number from 0 to 16384"},
	{"latchkey { workers = 0\n}",
	 "Ef:1: latchkey.workers: '0' is neither auto nor a number from 1 to 64"},
	{"latchkey { workers = 65\n}",
	 "Ef:1: latchkey.workers: '65' is neither auto nor a number from 1 to 64"},
	{"latchkey { workers = many\n}",
	 "Ef:1: latchkey.workers: 'many' is neither auto nor a number from 1 to 64"},
	{"latchkey { udp_gso = maybe\n}", "Ef:1: latchkey.udp_gso: 'maybe' is neither yes nor no"},
	{"latchkey { interface = a/b\n}", "Ef:1: latchkey.interface: 'a/b' is not an interface's "
					  "name"},
	{"latchkey { interface = sixteen-letters-\n}",
	 "Ef:1: latchkey.interface: 'sixteen-letters-' is not an interface's name"},
	{"latchkey { mtu = 500\n}", "Ef:1: latchkey.mtu: 500 is less than 576"},
	{"latchkey { port = 0\n}", "Ef:1: latchkey.port: 0 is not a port"},
	{"latchkey { address = 10.0.0.0.1\n}",
	 "Ef:1: latchkey.address: '10.0.0.0.1' is not an address or address/length"},
	{"latchkey { log_level = loud\n}", "Ef:1: latchkey.log_level: 'loud' is none of: error, "
					   "warning, info, debug"},
};

static void test_other_keys(void)
{
	check_rows("", "", root_rows, ARRAY_LEN(root_rows));
}

/* A secret never shows in a remark, whatever is wrong with it. */
static void test_secrets_are_not_shown(void)
{
	static const char *const texts[] = {
		"secrets { ike { secret = 0xhunter2hunter2\n } }",
		"secrets { ike { secret = 0shunter2!hunter2\n } }",
		"secrets { ike { secret = hunter2\n id = *x\n } }",
		"secrets { ike { secret { hunter2 = x\n } } }",
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		static struct conf_diags diags;
		struct conf *conf;

		if (!load(&conf, &diags, texts[i]))
			conf_put(conf);
		CU_ASSERT_TRUE(diags.num > 0);
		CU_ASSERT_PTR_NULL(strstr(diags.list[0].text, "hunter2"));
	}
}

/* A side that says nothing signs, and the other side's signature is wanted. */
static void test_missing_sides(void)
{
	struct conf *conf = must_load("connections { a { } }");

	CU_ASSERT_EQUAL(conf->conns[0]->local.auth, CONF_AUTH_PUBKEY);
	CU_ASSERT_EQUAL(conf->conns[0]->remote.auth, CONF_AUTH_PUBKEY);
	CU_ASSERT_EQUAL(conf->conns[0]->remote.sign.kinds, KEY_BITS_ANY);
	CU_ASSERT_EQUAL(conf->conns[0]->remote.sign.hashes, SIG_HASHES_ALL);
	conf_put(conf);
}

static const char net2net[] =
	"# a gateway as in strongSwan's net2net-psk\n"
	"connections {\n"
	"   gw-gw {\n"
	"      local_addrs  = 192.168.0.1\n"
	"      remote_addrs = 192.168.0.2\n"
	"      local {\n         auth = psk\n         id = moon.strongswan.org\n      }\n"
	"      remote {\n         auth = psk\n         id = sun.strongswan.org\n      }\n"
	"      children {\n"
	"         net-net {\n"
	"            local_ts  = 10.1.0.0/16\n"
	"            remote_ts = 10.2.0.0/16\n"
	"            rekey_time = 5400\n"
	"            rekey_bytes = 500000000\n"
	"            rekey_packets = 1000000\n"
	"            esp_proposals = aes128gcm128-x25519\n"
	"         }\n"
	"      }\n"
	"      version = 2\n"
	"      mobike = no\n"
	"      reauth_time = 10800\n"
	"      proposals = aes128gcm16-prfsha256-x25519\n"
	"   }\n"
	"}\n"
	"secrets {\n"
	"   ike-1 {\n      id-1 = moon.strongswan.org\n"
	"      secret = 0sFpZAZqEN6Ti9sqt4ZP5EWcqx\n   }\n"
	"   ike-2 {\n      id-2 = sun.strongswan.org\n"
	"      secret = 0sFpZAZqEN6Ti9sqt4ZP5EWcqx\n   }\n"
	"}\n";

static void test_net2net(void)
{
	struct conf *conf = must_load(net2net);
	const struct conf_conn *conn = conf_find_conn(conf, "gw-gw"), *of = NULL;
	const struct conf_child *child = conf_find_child(conf, &of, NULL, "net-net");

	CU_ASSERT_PTR_NOT_NULL_FATAL(conn);
	CU_ASSERT_PTR_NOT_NULL_FATAL(child);
	CU_ASSERT_PTR_EQUAL(of, conn);
	CU_ASSERT_PTR_NULL(conf_find_child(conf, &of, "other", "net-net"));
	CU_ASSERT_STRING_EQUAL(conn->remote_addrs[0].text, "192.168.0.2");
	CU_ASSERT_EQUAL(conn->local.id.type, 2);
	CU_ASSERT_EQUAL(memcmp(conn->remote.id.data, "sun.strongswan.org", 18), 0);
	CU_ASSERT_EQUAL(conn->num_ike, 1);
	CU_ASSERT_EQUAL(conn->ike[0].num_encr, 1);
	CU_ASSERT_EQUAL(conn->ike[0].dh[0], DH_CURVE_25519);
	CU_ASSERT_EQUAL(child->esp[0].dh[0], DH_CURVE_25519);
	CU_ASSERT_EQUAL(child->esp[0].num_prf, 0);
	CU_ASSERT_EQUAL(child->esp[0].num_esn, 1);
	CU_ASSERT_EQUAL(child->esp[0].esn[0], 0);
	CU_ASSERT_EQUAL(child->rekey_ns, 5400 * NS_PER_S);
	CU_ASSERT_EQUAL(child->life_ns, 5940 * NS_PER_S);
	CU_ASSERT_EQUAL(child->rand_ns, 540 * NS_PER_S);
	CU_ASSERT_EQUAL(child->life_bytes, 550000000);
	CU_ASSERT_EQUAL(child->rand_packets, 100000);
	CU_ASSERT_EQUAL(conf->num_secrets, 2);
	CU_ASSERT_EQUAL(conf->secrets[0]->value.len, 18);
	conf_put(conf);
}

/* What holds where nothing is said: swanctl.conf(5)'s defaults, and Latchkey's algorithms. */
static void test_defaults(void)
{
	struct conf *conf = must_load("connections { a { " SIDES " children { c { } } } }");
	const struct conf_conn *conn = conf->conns[0];
	const struct conf_child *child = &conn->children[0];

	CU_ASSERT_EQUAL(conn->rekey_ns, 14400 * NS_PER_S);
	CU_ASSERT_EQUAL(conn->over_ns, 1440 * NS_PER_S);
	CU_ASSERT_EQUAL(conn->rand_ns, 1440 * NS_PER_S);
	CU_ASSERT_EQUAL(conn->dpd_delay_ns, 0);
	CU_ASSERT_EQUAL(conn->keyingtries, 1);
	CU_ASSERT_TRUE(conn->encap);
	CU_ASSERT_EQUAL(conn->local_port, 500);
	CU_ASSERT_EQUAL(conn->num_remote_addrs, 0);
	CU_ASSERT_EQUAL(conn->remote.id.type, 0);
	CU_ASSERT_EQUAL(conn->ike[0].encr[0].key_bits, 256);
	CU_ASSERT_EQUAL(conn->ike[0].num_dh, 7);
	CU_ASSERT_EQUAL(child->rekey_ns, 3600 * NS_PER_S);
	CU_ASSERT_EQUAL(child->life_ns, 3960 * NS_PER_S);
	CU_ASSERT_EQUAL(child->rand_ns, 360 * NS_PER_S);
	CU_ASSERT_EQUAL(child->rekey_bytes + child->life_bytes + child->rand_bytes, 0);
	CU_ASSERT_EQUAL(child->replay_window, 64);
	CU_ASSERT_EQUAL(child->copy_dscp, DSCP_COPY_OUT);
	CU_ASSERT_EQUAL(child->copy_df, DF_COPY);
	CU_ASSERT_EQUAL(child->mss_clamp, MSS_CLAMP_PATH);
	CU_ASSERT_EQUAL(child->tfc_padding, 0);
	CU_ASSERT_EQUAL(child->tfc_dummies, 0);
	CU_ASSERT_FALSE(child->ipcomp);
	CU_ASSERT_FALSE(child->per_cpu_sas);
	CU_ASSERT_EQUAL(child->start_action, ACTION_NONE);
	CU_ASSERT_EQUAL(child->num_local_ts, 1);
	CU_ASSERT_TRUE(child->local_ts[0].dynamic && child->remote_ts[0].dynamic);
	CU_ASSERT_EQUAL(child->local_ts[0].ts.port_hi, 65535);
	CU_ASSERT_EQUAL(child->esp[0].num_esn, 2);
	CU_ASSERT_EQUAL(child->esp[0].num_dh, 0);
	CU_ASSERT_STRING_EQUAL(conf->daemon.interface, "latchkey0");
	CU_ASSERT_EQUAL(conf->daemon.port, 500);
	CU_ASSERT_EQUAL(conf->daemon.port_nat_t, 4500);
	CU_ASSERT_EQUAL(conf->daemon.retransmit_ns, 0);
	CU_ASSERT_EQUAL(conf->daemon.retransmit_tries, 0);
	CU_ASSERT_EQUAL(conf->daemon.fragment_size, 1280);
	CU_ASSERT_EQUAL(conn->fragmentation, FRAGMENTATION_YES);
	CU_ASSERT_EQUAL(conn->unique, UNIQUE_NO);
	CU_ASSERT_EQUAL(conn->childless, CHILDLESS_ALLOW);
	CU_ASSERT_EQUAL(conn->num_vips, 0);
	CU_ASSERT_EQUAL(child->inactivity_ns, 0);
	conf_put(conf);
}

static void test_dpdk(void)
{
	struct conf *conf = must_load("latchkey { dpdk {\n module = /opt/x.so\n huge = no\n"
				      "memory = 256\n packets = 8192\n idle = 50\n"
				      "crypto = crypto_aesni_mb0\n crypto_sessions = 300\n"
				      "ports {\n"
				      "lan { device = 0000:01:00.0\n }\n"
				      "wan { device = net_af_packet0,iface=eth1\n mtu = 9000\n"
				      "tx_checksum = no\n rx_checksum = no\n tso = no\n }\n"
				      "} } }");
	const struct conf_dpdk *d = &conf->daemon.dpdk;

	CU_ASSERT_STRING_EQUAL(d->module, "/opt/x.so");
	CU_ASSERT_TRUE(d->no_huge);
	CU_ASSERT_EQUAL(d->memory_mb, 256);
	CU_ASSERT_EQUAL(d->num_packets, 8192);
	CU_ASSERT_EQUAL(d->idle_us, 50);
	CU_ASSERT_STRING_EQUAL(d->crypto, "crypto_aesni_mb0");
	CU_ASSERT_EQUAL(conf_crypto_sessions(d), 300);
	CU_ASSERT_EQUAL_FATAL(d->num_ports, 2);
	CU_ASSERT_STRING_EQUAL(d->ports[0].name, "lan");
	CU_ASSERT_STRING_EQUAL(d->ports[0].device, "0000:01:00.0");
	CU_ASSERT_EQUAL(d->ports[0].mtu, 0);
	CU_ASSERT_STRING_EQUAL(d->ports[1].device, "net_af_packet0,iface=eth1");
	CU_ASSERT_EQUAL(d->ports[1].mtu, 9000);
	CU_ASSERT_FALSE(d->ports[0].no_tx_checksum || d->ports[0].no_rx_checksum ||
			d->ports[0].no_tso);
	CU_ASSERT_TRUE(d->ports[1].no_tx_checksum && d->ports[1].no_rx_checksum &&
		       d->ports[1].no_tso);
	conf_put(conf);
	conf = must_load(
		"latchkey { dpdk { ports { wan { device = x\n inline_ipsec = yes\n} } } }");
	CU_ASSERT_TRUE(conf->daemon.dpdk.ports[0].inline_ipsec);
	conf_put(conf);
	conf = must_load("latchkey { dpdk { ports { wan { device = net_null0\n} } } }");
	CU_ASSERT_FALSE(conf->daemon.dpdk.no_huge);
	CU_ASSERT_FALSE(conf->daemon.dpdk.ports[0].inline_ipsec);
	CU_ASSERT_EQUAL(conf->daemon.dpdk.idle_us, 0);
	CU_ASSERT_STRING_EQUAL(conf->daemon.dpdk.crypto, "");
	CU_ASSERT_EQUAL(conf_crypto_sessions(&conf->daemon.dpdk), CONF_CRYPTO_SESSIONS);
	conf_put(conf);
}

static void test_fragmentation(void)
{
	struct conf *conf = must_load("connections {\n a { " SIDES " fragmentation = accept\n }\n"
				      " b { " SIDES " fragmentation = no\n }\n c { " SIDES
				      " fragmentation = force\n } }\n"
				      "latchkey { fragment_size = 0\n}");

	CU_ASSERT_EQUAL(conf->conns[0]->fragmentation, FRAGMENTATION_ACCEPT);
	CU_ASSERT_EQUAL(conf->conns[1]->fragmentation, FRAGMENTATION_NO);
	CU_ASSERT_EQUAL(conf->conns[2]->fragmentation, FRAGMENTATION_YES);
	CU_ASSERT_EQUAL(conf->daemon.fragment_size, 0);
	conf_put(conf);
}

static void test_workers(void)
{
	static const struct {
		const char *text;
		uint32_t workers;
	} rows[] = {
		{"connections { }", 1},
		{"latchkey { workers = 1\n}", 1},
		{"latchkey { workers = 64\n}", 64},
		{"latchkey { workers = auto\n}", CONF_WORKERS_AUTO},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct conf *conf = must_load(rows[i].text);

		CU_ASSERT_EQUAL(conf->daemon.workers, rows[i].workers);
		conf_put(conf);
	}
}

/* Offloads are on unless switched off, each by itself. */
static void test_offloads(void)
{
	static const char *const keys[] = {"udp_gso", "udp_gro", "tun_checksum", "tun_tso",
					   "tun_uso"};

	for (size_t off = 0; off <= ARRAY_LEN(keys); off++) {
		char text[128] = "connections { }";

		if (off < ARRAY_LEN(keys))
			snprintf(text, sizeof(text), "latchkey { %s = no\n}", keys[off]);
		struct conf *conf = must_load(text);
		const struct conf_daemon *d = &conf->daemon;
		const bool is[] = {d->udp_gso, d->udp_gro, d->tun_checksum, d->tun_tso, d->tun_uso};

		for (size_t i = 0; i < ARRAY_LEN(keys); i++)
			CU_ASSERT_EQUAL(is[i], i != off);
		conf_put(conf);
	}
}

/* What is said of lifetimes stands; what is not follows from it. */
static void test_lifetimes(void)
{
	struct conf *conf = must_load(
		"connections { a { " SIDES "rekey_time = 2h\n over_time = 5m\n rand_time = 1m\n"
		"children { c { rekey_time = 30m\n life_time = 40m\n rand_time = 2m\n"
		"rekey_bytes = 10k\n life_bytes = 12k\n rand_bytes = 1k\n"
		"rekey_packets = 100\n life_packets = 120\n rand_packets = 7\n} } } }");
	const struct conf_conn *conn = conf->conns[0];
	const struct conf_child *child = &conn->children[0];

	CU_ASSERT_EQUAL(conn->rekey_ns, 7200 * NS_PER_S);
	CU_ASSERT_EQUAL(conn->over_ns, 300 * NS_PER_S);
	CU_ASSERT_EQUAL(conn->rand_ns, 60 * NS_PER_S);
	CU_ASSERT_EQUAL(child->rekey_ns, 1800 * NS_PER_S);
	CU_ASSERT_EQUAL(child->life_ns, 2400 * NS_PER_S);
	CU_ASSERT_EQUAL(child->rand_ns, 120 * NS_PER_S);
	CU_ASSERT_EQUAL(child->rekey_bytes, 10240);
	CU_ASSERT_EQUAL(child->life_bytes, 12288);
	CU_ASSERT_EQUAL(child->rand_bytes, 1024);
	CU_ASSERT_EQUAL(child->rekey_packets, 100);
	CU_ASSERT_EQUAL(child->life_packets, 120);
	CU_ASSERT_EQUAL(child->rand_packets, 7);
	conf_put(conf);
}

/* What is said of paths is there, and by which one a child goes. */
static void test_paths(void)
{
	struct conf *conf = must_load(
		"connections { a { " SIDES "children { c { path = two\n} }\n path_policy = spray\n"
		"paths { one { local_addr = 192.0.2.1\n}\n"
		"two { local_addr = 2001:db8::1\n remote_addr = 2001:db8::2\n priority = 3\n"
		"weight = 7\n dscp = ef, le, 63\n local_ts = 10.0.0.0/8[udp/53], 10.0.0.1\n"
		"remote_ts = 10.2.0.0/16\n} } } }");
	const struct conf_conn *conn = conf->conns[0];
	const struct conf_path *one = conf_find_path(conn, "one");
	const struct conf_path *two = conf_find_path(conn, "two");

	CU_ASSERT(conn->num_paths == 2 && one == &conn->paths[0] && two == &conn->paths[1]);
	CU_ASSERT_PTR_NULL(conf_find_path(conn, "tw"));
	CU_ASSERT(one->weight == 1 && one->priority == 0 && ip_addr_is_any(&one->remote));
	CU_ASSERT(one->dscps == 0 && conf_path_rules(one) == 0);
	CU_ASSERT(two->weight == 7 && two->priority == 3 && two->remote.family == IP_V6);
	CU_ASSERT_EQUAL(two->dscps, UINT64_C(1) << 46 | UINT64_C(1) << 63 | 2);
	CU_ASSERT(two->num_local_ts == 2 && two->local_ts[0].port_lo == 53);
	CU_ASSERT(two->num_remote_ts == 1 && conf_path_rules(two) == 2);
	CU_ASSERT_EQUAL(conn->path_policy, CONF_PATHS_SPRAY);
	CU_ASSERT_STRING_EQUAL(conn->children[0].path, "two");
	conf_put(conf);
}

static void test_retransmission(void)
{
	struct conf *conf =
		must_load("latchkey { retransmit_timeout = 2s\n retransmit_tries = 3\n}");

	CU_ASSERT_EQUAL(conf->daemon.retransmit_ns, 2000000000ull);
	CU_ASSERT_EQUAL(conf->daemon.retransmit_tries, 3);
	conf_put(conf);
}

static void test_values(void)
{
	struct conf *conf = must_load(
		"connections { a { " SIDES "rekey_time = 0\n remote_addrs = %any, gw.example.com\n"
		"keyingtries = 0\n dpd_delay = 2m\n encap = no\n unique = keep\n"
		"vips = 0.0.0.0, fd00::5\n children { c {\n inactivity = 30m\n"
		"start_action = start|trap\n dpd_action = restart\n close_action = hold\n "
		"life_time = 0\n rekey_bytes = 2k\n copy_dscp = in\n"
		"copy_df = set\n mss_clamp = 1200\n tfc_padding = mtu\n tfc_dummies = 20\n"
		"remote_ts = dynamic[tcp/80]\n } } } }\n"
		"latchkey { address = 10.0.0.1/24, fd00::1\n cookies = always\n aead = auto\n"
		"puzzles = never\n puzzle_threshold = 77\n puzzle_difficulty = 9\n }");
	const struct conf_conn *conn = conf->conns[0];
	const struct conf_child *child = &conn->children[0];

	CU_ASSERT_EQUAL(conn->rekey_ns + conn->over_ns + conn->rand_ns, 0);
	CU_ASSERT_TRUE(conn->remote_addrs[0].any && !conn->remote_addrs[0].name);
	CU_ASSERT_TRUE(conn->remote_addrs[1].name && !conn->remote_addrs[1].any);
	CU_ASSERT_EQUAL(conn->keyingtries, 0);
	CU_ASSERT_EQUAL(conn->unique, UNIQUE_KEEP);
	CU_ASSERT_EQUAL(conn->num_vips, 2);
	CU_ASSERT_TRUE(conn->vips[0].family == IP_V4 && ip_addr_is_any(&conn->vips[0]));
	CU_ASSERT_TRUE(conn->vips[1].family == IP_V6 && conn->vips[1].b[15] == 5);
	CU_ASSERT_EQUAL(child->inactivity_ns, 1800 * NS_PER_S);
	CU_ASSERT_FALSE(conn->encap);
	CU_ASSERT_EQUAL(conn->dpd_delay_ns, 120 * NS_PER_S);
	CU_ASSERT_EQUAL(child->start_action, ACTION_TRAP_START);
	CU_ASSERT_EQUAL(child->dpd_action, ACTION_START);
	CU_ASSERT_EQUAL(child->close_action, ACTION_TRAP);
	CU_ASSERT_EQUAL(child->life_ns, 0);
	CU_ASSERT_EQUAL(child->rekey_bytes, 2048);
	CU_ASSERT_EQUAL(child->copy_dscp, DSCP_COPY_IN);
	CU_ASSERT_EQUAL(child->copy_df, DF_SET);
	CU_ASSERT_EQUAL(child->mss_clamp, 1200);
	CU_ASSERT_EQUAL(child->tfc_padding, TFC_PADDING_PATH);
	CU_ASSERT_EQUAL(child->tfc_dummies, 20);
	CU_ASSERT_TRUE(child->remote_ts[0].dynamic);
	CU_ASSERT_EQUAL(child->remote_ts[0].ts.proto, 6);
	CU_ASSERT_EQUAL(child->remote_ts[0].ts.port_lo, 80);
	CU_ASSERT_EQUAL(child->remote_ts[0].ts.lo.family, IP_NONE);
	CU_ASSERT_EQUAL(conf->daemon.num_addresses, 2);
	CU_ASSERT_EQUAL(conf->daemon.addresses[1].len, 128);
	CU_ASSERT_TRUE(conf->daemon.cookies_always);
	CU_ASSERT_EQUAL(conf->daemon.puzzles, PUZZLES_NEVER);
	CU_ASSERT_EQUAL(conf->daemon.puzzle_threshold, 77);
	CU_ASSERT_EQUAL(conf->daemon.puzzle_difficulty, 9);
	CU_ASSERT_EQUAL(conf->daemon.puzzle_max, 22);
	CU_ASSERT_STRING_EQUAL(conf->daemon.aead, "");
	conf_put(conf);
}

/* All remarks of a file come at once, beyond the list's room they are counted. */
static void test_many_remarks(void)
{
	static struct conf_diags diags;
	char *text = calloc(1, 65536), *p = text;
	struct conf *conf;

	if (!text)
		abort();
	p += sprintf(p, "connections { a { " SIDES "\n");
	for (int i = 0; i < 100; i++)
		p += sprintf(p, "bad%d = x\n", i);
	sprintf(p, "} }");
	CU_ASSERT_EQUAL(load(&conf, &diags, text), ERR_CONFIG);
	CU_ASSERT_EQUAL(diags.num, 100);
	CU_ASSERT_EQUAL(diags.num_errors, 100);
	free(text);
}

static struct tree *section_of(const char *text)
{
	static struct conf_diags diags;
	struct tree *t;

	memset(&diags, 0, sizeof(diags));
	CU_ASSERT_EQUAL_FATAL(conf_parse_text(&t, &diags, "f", text, strlen(text)), ERR_OK);
	return t;
}

static struct tree *first(const struct tree *t)
{
	return list_entry(t->children.next, struct tree, node);
}

static struct conf *with_token(struct conf *old, const char *text)
{
	static struct conf_diags diags;
	struct tree *t = section_of(text);
	struct conf *next = NULL;

	memset(&diags, 0, sizeof(diags));
	CU_ASSERT_EQUAL_FATAL(conf_with_token(&next, &diags, old, t), ERR_OK);
	tree_free(t);
	if (old)
		conf_put(old);
	return next;
}

/* A key on a token is the one in that place, whatever else has its handle; a secret with the name
 * that the control socket gives all of them is another thing. */
static void test_tokens_with_and_without(void)
{
	static struct conf_diags diags;
	const struct conf_secret_params shared = {
		.kind = CONF_SECRET_IKE, .name = "token", .value = bytes_of("secret", 6)};
	struct conf *one = with_token(NULL, "handle = 0a\n slot = 1\n pin = 1\n"), *two = NULL;

	memset(&diags, 0, sizeof(diags));
	one = with_token(one, "handle = 0a\n slot = 2\n pin = 2\n");
	CU_ASSERT_EQUAL(one->num_secrets, 2);
	one = with_token(one, "handle = 0a\n slot = 2\n pin = 3\n"); /* again */
	CU_ASSERT_EQUAL(one->num_secrets, 2);
	CU_ASSERT_EQUAL(conf_without_secret(&two, one, "token"), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL_FATAL(conf_with_secret(&two, &diags, one, &shared), ERR_OK);
	CU_ASSERT_EQUAL(two->num_secrets, 3);
	conf_put(two);
	CU_ASSERT_EQUAL_FATAL(conf_without_token(&two, one, bytes_of("\x0a", 1)), ERR_OK);
	CU_ASSERT_EQUAL(two->num_secrets, 0);
	conf_put(two);
	conf_put(one);
}

static void test_with_and_without(void)
{
	static struct conf_diags diags;
	struct conf *one = must_load(net2net), *two = NULL, *three = NULL;
	struct tree *same = section_of(net2net);
	struct tree *other = section_of("x { " SIDES " }"), *wrong = section_of("x { y = 1\n }");
	struct conf_conn *kept = one->conns[0];

	memset(&diags, 0, sizeof(diags));
	/* The same again: the pointer stays. */
	CU_ASSERT_EQUAL(conf_with_conn(&two, &diags, one, first(first(same))), ERR_OK);
	CU_ASSERT_EQUAL(two->num_conns, 1);
	CU_ASSERT_PTR_EQUAL(two->conns[0], kept);
	conf_put(two);
	CU_ASSERT_EQUAL(conf_with_conn(&two, &diags, one, first(other)), ERR_OK);
	CU_ASSERT_EQUAL(two->num_conns, 2);
	CU_ASSERT_EQUAL(two->num_secrets, 2);
	CU_ASSERT_EQUAL(one->num_conns, 1);
	CU_ASSERT_EQUAL(conf_with_conn(&three, &diags, two, first(wrong)), ERR_CONFIG);
	CU_ASSERT_EQUAL(conf_without_conn(&three, two, "nothing"), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(conf_without_conn(&three, two, "gw-gw"), ERR_OK);
	CU_ASSERT_EQUAL(three->num_conns, 1);
	CU_ASSERT_STRING_EQUAL(three->conns[0]->name, "x");
	conf_put(three);
	CU_ASSERT_EQUAL(conf_without_secret(&three, two, "ike-1"), ERR_OK);
	CU_ASSERT_EQUAL(three->num_secrets, 1);
	conf_put(three);
	CU_ASSERT_EQUAL(conf_without_secret(&three, two, NULL), ERR_OK);
	CU_ASSERT_EQUAL(three->num_secrets, 0);
	CU_ASSERT_EQUAL(three->num_conns, 2);
	conf_put(one);
	conf_put(two);
	/* Shared with those that are gone, and still whole. */
	CU_ASSERT_STRING_EQUAL(three->conns[0]->name, "gw-gw");
	conf_put(three);
	tree_free(same);
	tree_free(other);
	tree_free(wrong);
}

/* A list from the control socket and commas in a file are the same connection. */
static void test_list_or_commas(void)
{
	static struct conf_diags diags;
	struct conf *one =
		must_load("connections { a { " SIDES "remote_addrs = 192.0.2.1 , gw.x } }");
	struct tree *t = section_of("a { " SIDES " }"), *list;
	struct conf *two;

	memset(&diags, 0, sizeof(diags));
	CU_ASSERT_EQUAL(tree_list(first(t), &list, "remote_addrs"), ERR_OK);
	CU_ASSERT_EQUAL(tree_append(list, "192.0.2.1", 9), ERR_OK);
	CU_ASSERT_EQUAL(tree_append(list, "gw.x", 4), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(conf_with_conn(&two, &diags, one, first(t)), ERR_OK);
	CU_ASSERT_PTR_EQUAL(two->conns[0], one->conns[0]);
	conf_put(two);
	CU_ASSERT_EQUAL(tree_append(list, "gw.y", 4), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(conf_with_conn(&two, &diags, one, first(t)), ERR_OK);
	CU_ASSERT_PTR_NOT_EQUAL(two->conns[0], one->conns[0]);
	CU_ASSERT_EQUAL(two->conns[0]->num_remote_addrs, 3);
	conf_put(two);
	conf_put(one);
	tree_free(t);
}

/* Every allocation fails once in turn: no memory, no leak, no half a configuration. */
static void test_out_of_memory(void)
{
	static struct conf_diags diags;
	uint64_t n = 0;
	enum err e;

	do {
		struct conf *conf;

		alloc_fail_nth(++n);
		e = load(&conf, &diags, net2net);
		alloc_fail_nth(0);
		if (!e)
			conf_put(conf);
		CU_ASSERT_TRUE(e == ERR_OK || e == ERR_NOMEM);
	} while (e && n < 5000);
	CU_ASSERT_TRUE(!e && n > 50);
}

/* Attributes are as they are sent; what a prefix has that is no host's is not lent. */
static void test_pools(void)
{
	static const struct {
		const char *addrs, *lo, *hi;
		uint32_t size;
	} rows[] = {
		{"10.3.0.0/24", "10.3.0.1", "10.3.0.254", 254},
		{"10.3.0.7/24", "10.3.0.1", "10.3.0.254", 254},
		{"10.3.0.250-10.3.1.4", "10.3.0.250", "10.3.1.4", 11},
		{"10.3.0.4/31", "10.3.0.4", "10.3.0.5", 2},
		{"10.3.0.4", "10.3.0.4", "10.3.0.4", 1},
		{"0.0.0.0/0", "0.0.0.1", "255.255.255.254", UINT32_MAX - 1},
		{"fd00:3::/120", "fd00:3::1", "fd00:3::ff", 255},
		{"fd00:3::/64", "fd00:3::1", "fd00:3::ffff:ffff:ffff:ffff", UINT32_MAX},
	};
	static const uint8_t subnet4[] = {10, 0, 0, 0, 255, 240, 0, 0};
	static const uint8_t subnet6[17] = {0xfd, 0, 0, 2, [16] = 48};
	const struct conf_pool *p;
	char buf[IP_TEXT_MAX], text[200];
	struct conf *conf;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		snprintf(text, sizeof(text), "pools { p { addrs = %s } }", rows[i].addrs);
		conf = must_load(text);
		p = conf_find_pool(conf, "p");
		CU_ASSERT_PTR_NOT_NULL_FATAL(p);
		CU_ASSERT_STRING_EQUAL(ip_addr_text(buf, &p->lo), rows[i].lo);
		CU_ASSERT_STRING_EQUAL(ip_addr_text(buf, &p->hi), rows[i].hi);
		CU_ASSERT_EQUAL(conf_pool_size(p), rows[i].size);
		conf_put(conf);
	}
	conf = must_load("pools { p { addrs = 10.3.0.0/24\n dns = 10.2.0.53, fd00::53\n"
			 " subnet = 10.0.0.0/12, fd00:2::/48\n netmask = 255.0.0.0\n"
			 " nbns = 10.2.0.1\n dhcp = fd00::1 } }");
	p = conf_find_pool(conf, "p");
	CU_ASSERT_EQUAL_FATAL(p->num_attrs, 7);
	CU_ASSERT_TRUE(p->attrs[0].type == 3 && p->attrs[0].len == 4);
	CU_ASSERT_TRUE(p->attrs[1].type == 10 && p->attrs[1].len == 16);
	CU_ASSERT_TRUE(p->attrs[2].type == 13 && p->attrs[2].len == 8);
	CU_ASSERT_EQUAL(memcmp(p->attrs[2].value, subnet4, 8), 0);
	CU_ASSERT_TRUE(p->attrs[3].type == 15 && p->attrs[3].len == 17);
	CU_ASSERT_EQUAL(memcmp(p->attrs[3].value, subnet6, 17), 0);
	CU_ASSERT_TRUE(p->attrs[4].type == 2 && p->attrs[5].type == 4 && p->attrs[6].type == 12);
	CU_ASSERT_PTR_NULL(conf_find_pool(conf, "q"));
	conf_put(conf);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_connection_keys),
	TAP_TEST(test_child_keys),
	TAP_TEST(test_side_keys),
	TAP_TEST(test_S23_a_key_beside_eap),
	TAP_TEST(test_other_keys),
	TAP_TEST(test_secrets_are_not_shown),
	TAP_TEST(test_missing_sides),
	TAP_TEST(test_net2net),
	TAP_TEST(test_defaults),
	TAP_TEST(test_lifetimes),
	TAP_TEST(test_paths),
	TAP_TEST(test_pools),
	TAP_TEST(test_retransmission),
	TAP_TEST(test_dpdk),
	TAP_TEST(test_fragmentation),
	TAP_TEST(test_workers),
	TAP_TEST(test_offloads),
	TAP_TEST(test_values),
	TAP_TEST(test_many_remarks),
	TAP_TEST(test_with_and_without),
	TAP_TEST(test_tokens_with_and_without),
	TAP_TEST(test_list_or_commas),
	TAP_TEST(test_out_of_memory),
};
TAP_MAIN("conf", tests)
