/* SPDX-License-Identifier: Apache-2.0 */
#include "control/auth/pins.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "control/auth/dn.h"
#include "control/ike/wire/proto.h"

#define B64       sodium_base64_VARIANT_ORIGINAL
#define B64_HASH  sodium_base64_VARIANT_ORIGINAL_NO_PADDING
#define HASH_MARK "SHA256:"
#define HASH_TEXT (sizeof(HASH_MARK) + 44)
#define KEY_TEXT  (4 * ((KEY_SPKI_MAX + 2) / 3) + 1)
#define LINE_MAX_ (PINS_LABEL_MAX + HASH_TEXT + KEY_TEXT + 4)
#define PATH_ROOM 200
#define DN_MARK   "asn1dn:#"
#define DN_MAX    sizeof(((struct ike_id *)NULL)->data)

/* ---- lines ----------------------------------------------------------------------------------- */

static const struct {
	uint8_t type;
	const char *prefix;
} types[] = {
	{ID_FQDN, "fqdn:"},      {ID_RFC822_ADDR, "email:"},  {ID_IPV4_ADDR, "ipv4:"},
	{ID_IPV6_ADDR, "ipv6:"}, {ID_DER_ASN1_DN, "asn1dn:"}, {ID_KEY_ID, "keyid:"},
};

/* A name without regard to case, of characters that a line can have. */
static bool take_name(char *out, size_t size, const struct ike_id *id)
{
	if (!id->len || id->len >= size || id->data[0] == '#')
		return false;
	for (size_t i = 0; i < id->len; i++) {
		if (id->data[i] <= ' ' || id->data[i] >= 0x7f)
			return false;
		out[i] = (char)tolower(id->data[i]);
	}
	out[id->len] = '\0';
	return true;
}

static void take_hex(char *out, size_t size, const struct ike_id *id)
{
	const bool name = id->type == ID_FQDN || id->type == ID_RFC822_ADDR;
	size_t at = (size_t)snprintf(out, size, "#");

	for (size_t i = 0; i < id->len && at + 3 <= size; i++, at += 2)
		snprintf(out + at, size - at, "%02x", name ? tolower(id->data[i]) : id->data[i]);
}

void pins_label(char out[static PINS_LABEL_MAX], const struct ike_id *id)
{
	const bool name = id->type == ID_FQDN || id->type == ID_RFC822_ADDR;
	size_t len;

	snprintf(out, PINS_LABEL_MAX, "type-%u:", id->type);
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (types[i].type == id->type)
			snprintf(out, PINS_LABEL_MAX, "%s", types[i].prefix);
	}
	len = strlen(out);
	if (!name || !take_name(out + len, PINS_LABEL_MAX - len, id))
		take_hex(out + len, PINS_LABEL_MAX - len, id);
}

static void hash_text(char out[static HASH_TEXT], struct bytes spki)
{
	uint8_t hash[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(hash, spki.p, spki.len);
	memcpy(out, HASH_MARK, sizeof(HASH_MARK) - 1);
	sodium_bin2base64(out + sizeof(HASH_MARK) - 1, HASH_TEXT - sizeof(HASH_MARK) + 1, hash,
			  sizeof(hash), B64_HASH);
}

/* The next word of a line; empty at its end. */
static struct bytes next_word(struct bytes *line)
{
	struct bytes word = *line;

	while (word.len && (*word.p == ' ' || *word.p == '\t'))
		word = bytes_of(word.p + 1, word.len - 1);
	*line = word;
	while (line->len && *line->p != ' ' && *line->p != '\t')
		*line = bytes_of(line->p + 1, line->len - 1);
	word.len -= line->len;
	return word;
}

static bool is_word(struct bytes word, const char *text)
{
	return bytes_equal(word, bytes_of(text, strlen(text)));
}

/* The name that a word has; empty if it has none. */
static struct bytes take_dn(uint8_t out[static DN_MAX], struct bytes word)
{
	const size_t mark = sizeof(DN_MARK) - 1;
	size_t len;

	if (word.len < mark || !is_word(bytes_of(word.p, mark), DN_MARK) ||
	    sodium_hex2bin(out, DN_MAX, (const char *)word.p + mark, word.len - mark, NULL, &len,
			   NULL))
		return bytes_of(NULL, 0);
	return bytes_of(out, len);
}

/* Whom conf_id_equal() takes for the same has the same key: a name spelt in another way is no new
 * one. */
static bool is_label(struct bytes word, const char *label)
{
	uint8_t a[DN_MAX], b[DN_MAX];
	struct bytes x, y;

	if (is_word(word, label))
		return true;
	x = take_dn(a, word);
	y = x.len ? take_dn(b, bytes_of(label, strlen(label))) : x;
	return y.len && dn_equal(x, y, false);
}

/* The key of a line, if its hash is the one beside it. */
static bool take_key(uint8_t out[static KEY_SPKI_MAX], size_t *len, struct bytes hash,
		     struct bytes key)
{
	char text[HASH_TEXT];
	const char *end;

	if (sodium_base642bin(out, KEY_SPKI_MAX, (const char *)key.p, key.len, NULL, len, &end,
			      B64) ||
	    end != (const char *)key.p + key.len || !*len)
		return false;
	hash_text(text, bytes_of(out, *len));
	return is_word(hash, text);
}

static enum pins_found scan_line(struct bytes line, const char *label, struct bytes spki)
{
	const struct bytes who = next_word(&line), hash = next_word(&line), key = next_word(&line);
	uint8_t der[KEY_SPKI_MAX];
	size_t len;

	if (!who.len || *who.p == '#')
		return PINS_NONE;
	if (!memchr(who.p, ':', who.len) || !key.len || next_word(&line).len ||
	    !take_key(der, &len, hash, key))
		return PINS_BAD;
	if (!is_label(who, label))
		return PINS_NONE;
	return bytes_equal(bytes_of(der, len), spki) ? PINS_SAME : PINS_OTHER;
}

static struct bytes next_line(struct bytes *text)
{
	const uint8_t *end = memchr(text->p, '\n', text->len);
	struct bytes line = bytes_of(text->p, end ? (size_t)(end - text->p) : text->len);
	const size_t used = line.len + (end != NULL);

	*text = bytes_of(text->p + used, text->len - used);
	if (line.len && line.p[line.len - 1] == '\r')
		line.len--;
	return line;
}

enum pins_found pins_scan(uint32_t *out_line, struct bytes text, const char *label,
			  struct bytes spki)
{
	enum pins_found found = PINS_NONE;

	*out_line = 0;
	for (uint32_t n = 1; text.len; n++) {
		const enum pins_found one = scan_line(next_line(&text), label, spki);

		if (one == PINS_NONE || (one == PINS_OTHER && found != PINS_NONE) ||
		    (one == PINS_SAME && found == PINS_SAME))
			continue;
		*out_line = n;
		found = one;
		if (one == PINS_BAD) /* nothing of it can be relied upon */
			return PINS_BAD;
	}
	return found;
}

/* ---- the file -------------------------------------------------------------------------------- */

static enum err say(char why[static PINS_WHY_MAX], enum err e, const char *path, const char *what)
{
	snprintf(why, PINS_WHY_MAX, "%.160s %s", path, what);
	return e;
}

/* struct text - what a file holds; none is empty. */
struct text {
	uint8_t *p;
	size_t len;
};

static enum err read_open(struct text *out, char why[static PINS_WHY_MAX], const char *path, int fd)
{
	struct stat st;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return say(why, ERR_SYS, path, "is no file");
	if ((st.st_mode & 022) || (st.st_uid != geteuid() && st.st_uid != 0))
		return say(why, ERR_SYS, path,
			   "can be written by other users: look through it, and chmod 600 it");
	if (st.st_size > PINS_FILE_MAX)
		return say(why, ERR_LIMIT, path, "is too long: delete lines that are not needed");
	out->len = (size_t)st.st_size;
	out->p = mem_alloc(out->len + 1);
	if (!out->p)
		return ERR_NOMEM;
	if (read(fd, out->p, out->len) == (ssize_t)out->len)
		return ERR_OK;
	mem_free(out->p);
	return say(why, ERR_SYS, path, "cannot be read");
}

static enum err read_file(struct text *out, char why[static PINS_WHY_MAX], const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	enum err e;

	*out = (struct text){.p = NULL};
	if (fd < 0 && errno == ENOENT)
		return ERR_OK;
	if (fd < 0)
		return say(why, ERR_SYS, path, strerror(errno));
	e = read_open(out, why, path, fd);
	close(fd);
	return e;
}

static enum err judge(char why[static PINS_WHY_MAX], enum pins_found found, uint32_t line,
		      const char *path)
{
	if (found == PINS_OTHER) {
		snprintf(why, PINS_WHY_MAX,
			 "its key is not the one that it had: if it is known to have a new one, "
			 "delete line %u of %.160s",
			 line, path);
		return ERR_AUTH;
	}
	if (found != PINS_BAD)
		return ERR_OK;
	snprintf(why, PINS_WHY_MAX,
		 "line %u of %.160s is not an identity, a fingerprint and a key: mend or delete it",
		 line, path);
	return ERR_MALFORMED;
}

/* ---- a line more ----------------------------------------------------------------------------- */

static size_t make_line(char out[static LINE_MAX_], const char *label, struct bytes spki)
{
	char hash[HASH_TEXT], key[KEY_TEXT];

	hash_text(hash, spki);
	sodium_bin2base64(key, sizeof(key), spki.p, spki.len, B64);
	return (size_t)snprintf(out, LINE_MAX_, "%s %s %s\n", label, hash, key);
}

static bool write_all(int fd, const void *p, size_t len)
{
	errno = ENOSPC; /* a part of it was written */
	return write(fd, p, len) == (ssize_t)len;
}

static bool write_text(int fd, const struct text *old, const char *line, size_t len)
{
	const bool broken = old->len && old->p[old->len - 1] != '\n';

	return (!old->len || write_all(fd, old->p, old->len)) &&
	       (!broken || write_all(fd, "\n", 1)) && write_all(fd, line, len) && fsync(fd) == 0;
}

/* struct made - the file that is to take the place of the old one. Whoever has the lock on it may
 * write: there may be several processes. */
struct made {
	char path[PATH_ROOM + 8], folder[PATH_ROOM];
	int fd;
};

/* The folder alone, not those above it, is made if it is not there. */
static int open_made(const struct made *m)
{
	const int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	int fd = open(m->path, flags, 0600);

	if (fd >= 0)
		return fd;
	if (errno == ELOOP)
		(void)unlink(m->path); /* a link is none of ours */
	else if (errno != ENOENT || mkdir(m->folder, 0700))
		return -1;
	return open(m->path, flags, 0600);
}

/* The lock is ours, and the file is still there by this name; it may be of a process that was
 * killed. */
static bool lock_made(const struct made *m)
{
	struct stat st, named;

	return flock(m->fd, LOCK_EX | LOCK_NB) == 0 && fstat(m->fd, &st) == 0 &&
	       lstat(m->path, &named) == 0 && st.st_ino == named.st_ino &&
	       st.st_dev == named.st_dev && S_ISREG(st.st_mode) && st.st_nlink == 1 &&
	       st.st_uid == geteuid() && fchmod(m->fd, 0600) == 0 && ftruncate(m->fd, 0) == 0;
}

static enum err begin_made(struct made *m, char why[static PINS_WHY_MAX], const char *path)
{
	const char *slash = strrchr(path, '/');

	if (strlen(path) >= PATH_ROOM)
		return say(why, ERR_LIMIT, path, "is too long a name");
	*m = (struct made){.folder = "."};
	if (slash)
		snprintf(m->folder, sizeof(m->folder), "%.*s", (int)(slash - path), path);
	snprintf(m->path, sizeof(m->path), "%s.new", path);
	m->fd = open_made(m);
	if (m->fd < 0)
		return say(why, ERR_SYS, path, strerror(errno));
	if (lock_made(m))
		return ERR_OK;
	close(m->fd);
	return say(why, ERR_SYS, path, "is written by another process (a file \".new\" is there)");
}

/* What was renamed is there after a loss of power too. */
static void sync_folder(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)fsync(fd);
	close(fd);
}

static enum err replace(char why[static PINS_WHY_MAX], const char *path, const struct made *m,
			const struct text *old, const char *line, size_t len)
{
	if (!write_text(m->fd, old, line, len) || rename(m->path, path))
		return say(why, ERR_SYS, path, strerror(errno));
	sync_folder(m->folder);
	return ERR_OK;
}

static enum err add(char why[static PINS_WHY_MAX], const char *path, const struct made *m,
		    const struct text *old, const char *label, struct bytes spki)
{
	char *line;
	size_t len;
	enum err e;

	if (spki.len > KEY_SPKI_MAX)
		return ERR_LIMIT;
	line = mem_alloc(LINE_MAX_);
	if (!line)
		return ERR_NOMEM;
	len = make_line(line, label, spki);
	e = old->len + len + 1 > PINS_FILE_MAX
		    ? say(why, ERR_LIMIT, path, "is full: delete lines that are not needed")
		    : replace(why, path, m, old, line, len);
	mem_free(line);
	return e;
}

/* m: a key that was never seen is added; NULL: *out_new says that it was not. */
static enum err look(bool *out_new, char why[static PINS_WHY_MAX], const char *path,
		     const struct made *m, const struct ike_id *id, struct bytes spki)
{
	char label[PINS_LABEL_MAX];
	enum pins_found found;
	struct text text;
	uint32_t line = 0;
	enum err e = read_file(&text, why, path);

	if (e)
		return e;
	pins_label(label, id);
	found = pins_scan(&line, bytes_of(text.p, text.len), label, spki);
	*out_new = found == PINS_NONE;
	e = judge(why, found, line, path);
	if (!e && m && *out_new)
		e = add(why, path, m, &text, label, spki);
	mem_free(text.p);
	return e;
}

enum err pins_check(char why[static PINS_WHY_MAX], const char *path, const struct ike_id *id,
		    struct bytes spki)
{
	bool new;

	return look(&new, why, path, NULL, id, spki);
}

enum err pins_keep(char why[static PINS_WHY_MAX], const char *path, const struct ike_id *id,
		   struct bytes spki)
{
	struct made m;
	bool new;
	enum err e = look(&new, why, path, NULL, id, spki);

	if (e || !new)
		return e;
	e = begin_made(&m, why, path);
	if (e)
		return e;
	e = look(&new, why, path, &m, id, spki); /* as it is with the lock */
	if (e || !new)
		(void)unlink(m.path);
	close(m.fd);
	return e;
}
