/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys of every SA in the formats of Wireshark's esp_sa and ikev2_decryption_table, so that a
 * capture can be judged by somebody else's decoder. Compiled to nothing unless -Dtest_keylog=true.
 */
#include "api/engine/internal.h"

#ifdef LATCHKEY_TEST_KEYLOG

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static FILE *open_log(const struct engine *e, const char *name)
{
	char path[512];
	FILE *f = NULL;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", e->keylog_dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd >= 0)
		f = fdopen(fd, "a");
	if (!f) {
		LOG(ERROR, DMN, NULL, "cannot write %s", path);
		if (fd >= 0)
			close(fd);
	}
	return f;
}

static void put_hex(FILE *f, struct bytes b)
{
	for (size_t i = 0; i < b.len; i++)
		fprintf(f, "%02x", b.p[i]);
}

/* The names are Wireshark's own. With a combined mode the key is followed by four octets of salt
 * (RFC 5282 7), else by the MAC's key. */
static void put_ike_line(FILE *f, uint64_t spi_i, uint64_t spi_r, struct bytes sk_ei,
			 struct bytes sk_er, const char *encr_name)
{
	const struct {
		const char *ours, *theirs;
		size_t len;
	} macs[] = {{"HMAC_SHA2_256_128", "HMAC_SHA2_256_128 [RFC4868]", 32},
		    {"HMAC_SHA2_384_192", "HMAC_SHA2_384_192 [RFC4868]", 48},
		    {"HMAC_SHA2_512_256", "HMAC_SHA2_512_256 [RFC4868]", 64}};
	const bool is_cbc = strncmp(encr_name, "AES_CBC", 7) == 0;
	const char *mac = "NONE [RFC4306]", *name = strchr(encr_name, '/');
	size_t mac_len = 0;

	for (size_t i = 0; is_cbc && i < ARRAY_LEN(macs); i++) {
		if (name && strncmp(name + 1, macs[i].ours, strlen(macs[i].ours)) == 0) {
			mac = macs[i].theirs;
			mac_len = macs[i].len;
		}
	}
	fprintf(f, "%016llx,%016llx,", (unsigned long long)spi_i, (unsigned long long)spi_r);
	put_hex(f, bytes_of(sk_ei.p, sk_ei.len - mac_len));
	fputc(',', f);
	put_hex(f, bytes_of(sk_er.p, sk_er.len - mac_len));
	if (is_cbc)
		fprintf(f, ",\"AES-CBC-%zu [RFC3602]\",", (sk_ei.len - mac_len) * 8);
	else
		fprintf(f, ",\"AES-GCM-%zu with 16 octet ICV [RFC5282]\",", (sk_ei.len - 4) * 8);
	put_hex(f, bytes_of(sk_ei.p + sk_ei.len - mac_len, mac_len));
	fputc(',', f);
	put_hex(f, bytes_of(sk_er.p + sk_er.len - mac_len, mac_len));
	fprintf(f, ",\"%s\"\n", mac);
}

static void log_ike_sa(void *ctx, uint64_t spi_i, uint64_t spi_r, struct bytes sk_ei,
		       struct bytes sk_er, const char *encr_name)
{
	struct engine *e = ctx;
	FILE *f = open_log(e, "ikev2_decryption_table");

	if (!f)
		return;
	/* tshark 4.0 cannot decrypt ChaCha20-Poly1305 in IKE, and refuses a table that names it. */
	if (strncmp(encr_name, "CHACHA20", 8) == 0) {
		fclose(f);
		return;
	}
	put_ike_line(f, spi_i, spi_r, sk_ei, sk_er, encr_name);
	fclose(f);
}

static void put_key(FILE *f, struct bytes key)
{
	fputs(key.len ? "\"0x" : "\"", f);
	put_hex(f, key);
	fputc('"', f);
}

/* The names are Wireshark's; its 4.0 knows ChaCha20 and cannot decrypt it, and knows no GMAC. */
static const char *encr_text(const struct aead_shape *shape)
{
	if (shape->kind == AEAD_KIND_CHACHA)
		return "ChaCha20 with Poly1305 [RFC7634]";
	if (shape->kind == AEAD_KIND_HMAC)
		return shape->key_len ? "AES-CBC [RFC3602]" : "NULL";
	return "AES-GCM with 16 octet ICV [RFC4106]";
}

static const char *auth_text(const struct aead_shape *shape)
{
	switch (shape->auth_len) {
	case 32:
		return "HMAC-SHA-256-128 [RFC4868]";
	case 48:
		return "HMAC-SHA-384-192 [RFC4868]";
	case 64:
		return "HMAC-SHA-512-256 [RFC4868]";
	default:
		return "NULL";
	}
}

static void esp_line(FILE *f, const struct ip_addr *src, const struct ip_addr *dst, uint32_t spi,
		     struct bytes key, const struct aead_shape *shape)
{
	const size_t encr_len = key.len - shape->auth_len;
	char s[IP_TEXT_MAX], d[IP_TEXT_MAX];

	fprintf(f, "\"%s\",\"%s\",\"%s\",\"0x%08x\",\"%s\",",
		src->family == IP_V4 ? "IPv4" : "IPv6", ip_addr_text(s, src), ip_addr_text(d, dst),
		spi, encr_text(shape));
	put_key(f, bytes_of(key.p, encr_len));
	fprintf(f, ",\"%s\",", auth_text(shape));
	put_key(f, bytes_of(key.p + encr_len, shape->auth_len));
	fputc('\n', f);
}

static void log_child(void *ctx, const struct child_params *p, const struct path_addr *path)
{
	const struct aead_shape *shape = aead_shape(p->alg);
	struct engine *e = ctx;
	FILE *f = open_log(e, "esp_sa");

	if (!f)
		return;
	esp_line(f, &path->remote.addr, &path->local.addr, p->spi_in, p->key_in, shape);
	esp_line(f, &path->local.addr, &path->remote.addr, p->spi_out, p->key_out, shape);
	fclose(f);
}

const struct ike_keylog *keylog_hook(struct engine *e)
{
	if (!e->keylog_dir)
		return NULL;
	LOG(WARN, DMN, NULL, "TEST BUILD: session keys are written to %s", e->keylog_dir);
	e->keylog = (struct ike_keylog){.ike_sa = log_ike_sa, .child = log_child, .ctx = e};
	return &e->keylog;
}

#else

const struct ike_keylog *keylog_hook(struct engine *e)
{
	(void)e;
	return NULL;
}

#endif
