/* SPDX-License-Identifier: Apache-2.0 */
/* The validator: what it says about every kind of key, right and wrong ones. */
#include "tests/control/load_text.h"
#include "tests/tap/tap.h"

#include <stdio.h>

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
		e = load_text(&conf, &diags, text);
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
	{"redirect_to = 192.0.2.7", ""},
	{"redirect_to = gw-2.example.com", ""},
	{"redirect_to = 224.0.0.9",
	 "Ef:4: connections.a.redirect_to: '224.0.0.9' is neither the address of a "
	 "gateway nor a name"},
	{"redirect_to = a_b",
	 "Ef:4: connections.a.redirect_to: 'a_b' is neither the address of a gateway nor a "
	 "name"},
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

static const struct tap_test tests[] = {
	TAP_TEST(test_connection_keys),      TAP_TEST(test_child_keys), TAP_TEST(test_side_keys),
	TAP_TEST(test_S23_a_key_beside_eap), TAP_TEST(test_other_keys),
};

TAP_MAIN("control/conf_keys", tests)
