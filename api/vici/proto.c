/* SPDX-License-Identifier: Apache-2.0 */
#include "api/vici/proto.h"

#include "base/alloc.h"
#include "base/reader.h"
#include "base/writer.h"

static bool has_name(enum vici_type type)
{
	return type == VICI_CMD_REQUEST || type == VICI_EVENT_REGISTER ||
	       type == VICI_EVENT_UNREGISTER || type == VICI_EVENT;
}

/* A name: one byte of length and text without NUL. Errors: TRUNCATED, MALFORMED. */
static enum err read_name(struct reader *r, char out[VICI_NAME_MAX + 1])
{
	struct reader probe = *r;
	struct bytes text;
	uint8_t len;
	enum err e = reader_u8(&probe, &len);

	if (!e)
		e = reader_bytes(&probe, &text, len);
	if (e)
		return e;
	if (len && memchr(text.p, '\0', len))
		return ERR_MALFORMED;
	memcpy(out, text.p, len);
	out[len] = '\0';
	*r = probe;
	return ERR_OK;
}

enum err vici_packet_parse(struct vici_packet *out, const void *bytes, size_t len)
{
	struct vici_packet p = {.name = ""};
	struct reader r;
	uint8_t type;
	enum err e;

	reader_init(&r, bytes, len);
	e = reader_u8(&r, &type);
	if (e)
		return e;
	if (type > VICI_EVENT)
		return ERR_MALFORMED;
	p.type = type;
	if (has_name(p.type)) {
		e = read_name(&r, p.name);
		if (e)
			return e;
	}
	p.body = reader_rest(&r);
	*out = p;
	return ERR_OK;
}

/* struct decoder - the sections that are open, innermost last; list: one is open in it. */
struct decoder {
	struct reader r;
	struct tree *open[TREE_DEPTH_MAX];
	size_t depth;
	struct tree *list;
};

static enum err read_value(struct reader *r, struct bytes *out)
{
	uint16_t len;
	enum err e = reader_u16(r, &len);

	return e ? e : reader_bytes(r, out, len);
}

static enum err decode_section(struct decoder *d, const char *name)
{
	struct tree *section;
	enum err e;

	if (d->depth == TREE_DEPTH_MAX)
		return ERR_LIMIT;
	e = tree_add_section(d->open[d->depth - 1], &section, name);
	if (!e)
		d->open[d->depth++] = section;
	return e;
}

static enum err decode_key_value(struct decoder *d, const char *name)
{
	struct tree *node;
	struct bytes value;
	enum err e = read_value(&d->r, &value);

	return e ? e : tree_add_value(d->open[d->depth - 1], &node, name, value.p, value.len);
}

static enum err decode_in_list(struct decoder *d, uint8_t type)
{
	struct bytes value;
	enum err e;

	if (type == VICI_LIST_END) {
		d->list = NULL;
		return ERR_OK;
	}
	if (type != VICI_LIST_ITEM)
		return ERR_MALFORMED;
	e = read_value(&d->r, &value);
	return e ? e : tree_append(d->list, value.p, value.len);
}

static enum err decode_element(struct decoder *d)
{
	char name[VICI_NAME_MAX + 1];
	uint8_t type;
	enum err e = reader_u8(&d->r, &type);

	if (e)
		return e;
	if (d->list)
		return decode_in_list(d, type);
	if (type == VICI_SECTION_END && d->depth > 1) {
		d->depth--;
		return ERR_OK;
	}
	if (type != VICI_SECTION_START && type != VICI_KEY_VALUE && type != VICI_LIST_START)
		return ERR_MALFORMED;
	e = read_name(&d->r, name);
	if (e)
		return e;
	if (type == VICI_SECTION_START)
		return decode_section(d, name);
	if (type == VICI_KEY_VALUE)
		return decode_key_value(d, name);
	return tree_add_list(d->open[d->depth - 1], &d->list, name);
}

enum err vici_message_decode(struct tree **out, struct bytes message)
{
	struct tree *root = tree_new();
	struct decoder d = {.open = {root}, .depth = 1};
	enum err e = ERR_OK;

	if (!root)
		return ERR_NOMEM;
	reader_init(&d.r, message.p, message.len);
	while (!e && !reader_empty(&d.r))
		e = decode_element(&d);
	if (!e && (d.depth != 1 || d.list))
		e = ERR_TRUNCATED;
	if (e) {
		tree_free(root);
		return e;
	}
	*out = root;
	return ERR_OK;
}

/* Adds to *len what the node's encoding takes. Errors: LIMIT. */
static enum err measure(const struct tree *node, size_t *len, size_t depth);

static enum err measure_children(const struct tree *parent, size_t *len, size_t depth)
{
	enum err e = ERR_OK;

	if (depth > TREE_DEPTH_MAX)
		return ERR_LIMIT;
	tree_for_each (c, parent) {
		e = measure(c, len, depth);
		if (e)
			break;
	}
	return e;
}

static enum err measure(const struct tree *node, size_t *len, size_t depth)
{
	size_t name_len = strlen(node->name);

	if (name_len > VICI_NAME_MAX || node->value_len > VICI_VALUE_MAX)
		return ERR_LIMIT;
	*len += 2 + name_len;
	if (node->kind == TREE_VALUE) {
		*len += 2 + node->value_len;
		return ERR_OK;
	}
	*len += 1;
	if (node->kind == TREE_SECTION)
		return measure_children(node, len, depth + 1);
	tree_for_each (item, node) {
		if (item->kind != TREE_VALUE || item->value_len > VICI_VALUE_MAX)
			return ERR_LIMIT;
		*len += 3 + item->value_len;
	}
	return ERR_OK;
}

static void write_name(struct writer *w, const char *name)
{
	size_t len = strlen(name);

	writer_u8(w, (uint8_t)len);
	writer_bytes(w, name, len);
}

static void write_value(struct writer *w, const struct tree *node)
{
	writer_u16(w, (uint16_t)node->value_len);
	writer_bytes(w, node->value, node->value_len);
}

static void write_children(struct writer *w, const struct tree *parent);

static void write_node(struct writer *w, const struct tree *node)
{
	static const uint8_t start[] = {
		[TREE_SECTION] = VICI_SECTION_START,
		[TREE_VALUE] = VICI_KEY_VALUE,
		[TREE_LIST] = VICI_LIST_START,
	};

	writer_u8(w, start[node->kind]);
	write_name(w, node->name);
	if (node->kind == TREE_VALUE) {
		write_value(w, node);
	} else if (node->kind == TREE_SECTION) {
		write_children(w, node);
		writer_u8(w, VICI_SECTION_END);
	} else {
		tree_for_each (item, node) {
			writer_u8(w, VICI_LIST_ITEM);
			write_value(w, item);
		}
		writer_u8(w, VICI_LIST_END);
	}
}

/* Depth was bounded by measure(). */
static void write_children(struct writer *w, const struct tree *parent)
{
	tree_for_each (c, parent)
		write_node(w, c);
}

static enum err write_packet(uint8_t *buf, size_t size, enum vici_type type, const char *name,
			     const struct tree *message)
{
	struct bytes done;
	struct writer w;

	writer_init(&w, buf, size);
	writer_u32(&w, (uint32_t)(size - VICI_LEN_SIZE));
	writer_u8(&w, (uint8_t)type);
	if (name)
		write_name(&w, name);
	if (message)
		write_children(&w, message);
	return writer_finish(&w, &done);
}

enum err vici_packet_encode(uint8_t **out, size_t *out_len, enum vici_type type, const char *name,
			    const struct tree *message)
{
	size_t len = 1 + (name ? 1 + strlen(name) : 0);
	uint8_t *buf;
	enum err e = ERR_OK;

	if (name && strlen(name) > VICI_NAME_MAX)
		return ERR_LIMIT;
	if (message)
		e = measure_children(message, &len, 1);
	if (!e && len > VICI_PACKET_MAX)
		e = ERR_LIMIT;
	if (e)
		return e;
	buf = mem_alloc(VICI_LEN_SIZE + len);
	if (!buf)
		return ERR_NOMEM;
	e = write_packet(buf, VICI_LEN_SIZE + len, type, name, message);
	if (e) {
		mem_free(buf);
		return e;
	}
	*out = buf;
	*out_len = VICI_LEN_SIZE + len;
	return ERR_OK;
}
