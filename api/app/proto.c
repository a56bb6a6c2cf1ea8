/* SPDX-License-Identifier: Apache-2.0 */
/* proto.c - the table of attributes, and what reads and writes by it. */
#include "api/app/proto.h"

/* enum kind - how a value looks. NUMBER: four or eight bytes, as max says. LIST: attributes. */
enum kind {
	UNKNOWN,
	BOOL,
	NUMBER,
	TEXT,
	BYTES,
	FLOW,
	LIST,
};

#define FLOW_LEN 39

/* struct shape - min and max bound a value's length; a TEXT has at least one byte. most: of a
 * number. many: it may be there several times. */
struct shape {
	enum kind kind;
	uint16_t max;
	uint32_t most;
	bool many;
};

#define KEY_MAX 2048
#define ID_LEN  263
#define U32_SHAPE                                            \
	{                                                    \
		.kind = NUMBER, .max = 4, .most = UINT32_MAX \
	}
#define U64_SHAPE                        \
	{                                \
		.kind = NUMBER, .max = 8 \
	}
#define ENUM_SHAPE(num)                                   \
	{                                                 \
		.kind = NUMBER, .max = 4, .most = (num)-1 \
	}
#define TEXT_SHAPE(len)                    \
	{                                  \
		.kind = TEXT, .max = (len) \
	}
#define BYTES_SHAPE(len)                    \
	{                                   \
		.kind = BYTES, .max = (len) \
	}
#define ONE(shape_kind)            \
	{                          \
		.kind = shape_kind \
	}
#define SEVERAL(shape_kind, len)                               \
	{                                                      \
		.kind = shape_kind, .max = (len), .many = true \
	}

static const struct shape shapes[] = {
	[APP_A_VERSION] = U32_SHAPE,
	[APP_A_INSTANCE] = U64_SHAPE,
	[APP_A_RIGHTS] = U32_SHAPE,
	[APP_A_TEXT] = TEXT_SHAPE(255),
	[APP_A_REASON] = TEXT_SHAPE(31),
	[APP_A_TOKEN] = U32_SHAPE,
	[APP_A_LATCH] = U64_SHAPE,
	[APP_A_PARENT] = U64_SHAPE,
	[APP_A_ASK] = U64_SHAPE,
	[APP_A_ACCEPT] = ONE(BOOL),
	[APP_A_TIMEOUT_MS] = U32_SHAPE,
	[APP_A_KEEP] = ONE(BOOL),
	[APP_A_LISTENER] = ONE(BOOL),
	[APP_A_REMOTE] = ONE(FLOW),
	[APP_A_FLOW] = ONE(FLOW),
	[APP_A_STATE] = ENUM_SHAPE(5),
	[APP_A_UID] = U32_SHAPE,
	[APP_A_PAIR] = ONE(FLOW),
	[APP_A_INTERFACE] = U32_SHAPE,
	[APP_A_MARKS] = ONE(BOOL),
	[APP_A_PROFILE] = TEXT_SHAPE(31),
	[APP_A_PEER] = TEXT_SHAPE(ID_LEN),
	[APP_A_LOCAL] = TEXT_SHAPE(ID_LEN),
	[APP_A_METHODS] = BYTES_SHAPE(APP_NUM_METHODS - 1),
	[APP_A_PART] = ENUM_SHAPE(5),
	[APP_A_PRIVACY] = ENUM_SHAPE(3),
	[APP_A_INTEGRITY] = ENUM_SHAPE(3),
	[APP_A_TUNNEL] = ENUM_SHAPE(3),
	[APP_A_SUITE] = TEXT_SHAPE(63),
	[APP_A_UP] = ONE(BOOL),
	[APP_A_METHOD] = ENUM_SHAPE(APP_NUM_METHODS),
	[APP_A_PEER_KEY] = BYTES_SHAPE(KEY_MAX),
	[APP_A_LOCAL_KEY] = BYTES_SHAPE(KEY_MAX),
	[APP_A_CA] = TEXT_SHAPE(ID_LEN),
	[APP_A_PEER_KIND] = ENUM_SHAPE(256),
	[APP_A_COMPRESSION] = ONE(BOOL),
	[APP_A_REPLAY] = ONE(BOOL),
	[APP_A_INDETERMINATE] = ONE(BOOL),
	[APP_A_CONN] = TEXT_SHAPE(127),
	[APP_A_EAP] = ENUM_SHAPE(256),
	[APP_A_INITIATOR] = ONE(BOOL),
	[APP_A_SUBJECT] = TEXT_SHAPE(ID_LEN),
	[APP_A_BINDING_HASH] = BYTES_SHAPE(32),
	[APP_A_PUBKEY_ID] = TEXT_SHAPE(63),
	[APP_A_CLEAR] = ONE(BOOL),
	[APP_A_MAKE] = ONE(BOOL),
	[APP_A_SUITES] = TEXT_SHAPE(255),
	[APP_A_BYPASS] = ONE(BOOL),
	[APP_A_CREDENTIAL] = ENUM_SHAPE(APP_NUM_CREDS),
	[APP_A_IDENTITY] = SEVERAL(TEXT, ID_LEN),
	[APP_A_LATCH_INFO] = SEVERAL(LIST, 0),
	[APP_A_CLASS] = ONE(LIST),
	[APP_A_PROFILE_INFO] = SEVERAL(LIST, 0),
	[APP_A_PATH] = ENUM_SHAPE(65536),
	[APP_A_PATH_ACT] = ENUM_SHAPE(APP_NUM_PATH_ACTS),
	[APP_A_PATH_STATE] = ENUM_SHAPE(3),
	[APP_A_PATH_NEWS] = ENUM_SHAPE(APP_NUM_PATH_NEWS),
	[APP_A_FROM] = ENUM_SHAPE(65536),
	[APP_A_PRIORITY] = ENUM_SHAPE(256),
	[APP_A_WEIGHT] = ENUM_SHAPE(65536),
	[APP_A_DECIDES] = ONE(BOOL),
	[APP_A_UDP] = ONE(BOOL),
	[APP_A_RTT_US] = U32_SHAPE,
	[APP_A_LOSS] = ENUM_SHAPE(1001),
	[APP_A_MTU] = ENUM_SHAPE(65536),
	[APP_A_RATE] = U64_SHAPE,
	[APP_A_RX_PACKETS] = U64_SHAPE,
	[APP_A_RX_BYTES] = U64_SHAPE,
	[APP_A_TX_PACKETS] = U64_SHAPE,
	[APP_A_PATH_INFO] = SEVERAL(LIST, 0),
	[APP_A_TX_BYTES] = U64_SHAPE,
};

static const struct shape *shape_of(uint16_t type)
{
	static const struct shape unknown = {.kind = UNKNOWN};

	return type < ARRAY_LEN(shapes) ? &shapes[type] : &unknown;
}

/* ---- reading -------------------------------------------------------------------------------- */

static bool is_control(uint8_t ch)
{
	return ch < ' ' || ch == 0x7f;
}

static enum err check_text(struct bytes v, size_t max)
{
	if (v.len == 0)
		return ERR_MALFORMED;
	if (v.len > max)
		return ERR_LIMIT;
	for (size_t i = 0; i < v.len; i++) {
		if (is_control(v.p[i]))
			return ERR_MALFORMED;
	}
	return ERR_OK;
}

static enum err check_number(const struct shape *s, struct bytes v)
{
	if (v.len != s->max)
		return ERR_MALFORMED;
	return s->max == 4 && load_be32(v.p) > s->most ? ERR_MALFORMED : ERR_OK;
}

/* An end's family is 0, 4 or 6, and what a family does not use is 0. */
static enum err flow_end(struct ip_addr *out, struct reader *r)
{
	uint8_t family, b[16];
	enum err e = reader_u8(r, &family);

	if (!e)
		e = reader_copy(r, b, sizeof(b));
	if (e)
		return e;
	*out = family == IP_V4   ? ip_addr_v4(b)
	       : family == IP_V6 ? ip_addr_v6(b)
				 : (struct ip_addr){0};
	return family == out->family && memcmp(out->b, b, sizeof(b)) == 0 ? ERR_OK : ERR_MALFORMED;
}

static enum err read_flow(struct flow *out, struct bytes v)
{
	struct flow f = {0};
	struct reader r;
	enum err e;

	reader_init(&r, v.p, v.len);
	e = flow_end(&f.local, &r);
	if (!e)
		e = flow_end(&f.remote, &r);
	if (!e)
		e = reader_u16(&r, &f.local_port);
	if (!e)
		e = reader_u16(&r, &f.remote_port);
	if (!e)
		e = reader_u8(&r, &f.proto);
	if (!e && !reader_empty(&r))
		e = ERR_MALFORMED;
	if (!e)
		*out = f;
	return e;
}

static enum err check_value(const struct shape *s, struct bytes v, uint32_t depth)
{
	struct app_attrs inside;
	struct flow flow;

	switch (s->kind) {
	case BOOL:
		return v.len == 1 && v.p[0] <= 1 ? ERR_OK : ERR_MALFORMED;
	case NUMBER:
		return check_number(s, v);
	case TEXT:
		return check_text(v, s->max);
	case BYTES:
		return v.len <= s->max ? ERR_OK : ERR_LIMIT;
	case FLOW:
		return read_flow(&flow, v);
	case LIST:
		return app_attrs_parse(&inside, v, depth + 1);
	case UNKNOWN:
	default:
		return ERR_MALFORMED;
	}
}

/* Errors: as app_msg_parse(). A type to be passed over is read and not kept. */
static enum err take_attr(struct app_attrs *out, struct reader *r, uint32_t depth)
{
	struct app_attr a;
	uint16_t len;
	enum err e = reader_u16(r, &a.type);

	if (!e)
		e = reader_u16(r, &len);
	if (!e)
		e = reader_bytes(r, &a.value, len);
	if (e || a.type >= APP_A_OPTIONAL)
		return e;
	if (out->num == APP_ATTRS_MAX)
		return ERR_LIMIT;
	if (!shape_of(a.type)->many && app_attr(out, a.type))
		return ERR_MALFORMED;
	e = check_value(shape_of(a.type), a.value, depth);
	if (!e)
		out->list[out->num++] = a;
	return e;
}

enum err app_attrs_parse(struct app_attrs *out, struct bytes value, uint32_t depth)
{
	struct reader r;
	enum err e = depth > APP_DEPTH_MAX ? ERR_LIMIT : ERR_OK;

	out->num = 0;
	reader_init(&r, value.p, value.len);
	while (!e && !reader_empty(&r))
		e = take_attr(out, &r, depth);
	return e;
}

static enum err read_header(struct app_msg *out, struct reader *r)
{
	uint16_t magic;
	uint8_t version;
	enum err e = reader_u16(r, &magic);

	if (!e)
		e = reader_u8(r, &version);
	if (!e)
		e = reader_u8(r, &out->flags);
	if (!e)
		e = reader_u16(r, &out->verb);
	if (!e)
		e = reader_u16(r, &out->code);
	if (!e)
		e = reader_u32(r, &out->id);
	if (!e && magic != APP_MAGIC)
		return ERR_MALFORMED;
	return !e && version != APP_VERSION ? ERR_UNSUPPORTED : e;
}

enum err app_msg_parse(struct app_msg *out, const void *bytes, size_t len)
{
	struct reader r;
	enum err e;

	if (len > APP_MESSAGE_MAX)
		return ERR_LIMIT;
	reader_init(&r, bytes, len);
	e = read_header(out, &r);
	return e ? e : app_attrs_parse(&out->attrs, reader_rest(&r), 0);
}

const struct app_attr *app_attr(const struct app_attrs *attrs, uint16_t type)
{
	for (uint32_t i = 0; i < attrs->num; i++) {
		if (attrs->list[i].type == type)
			return &attrs->list[i];
	}
	return NULL;
}

uint32_t app_attr_u32(const struct app_attrs *attrs, uint16_t type, uint32_t absent)
{
	const struct app_attr *a = app_attr(attrs, type);

	return a ? load_be32(a->value.p) : absent;
}

uint64_t app_attr_u64(const struct app_attrs *attrs, uint16_t type, uint64_t absent)
{
	const struct app_attr *a = app_attr(attrs, type);

	return a ? load_be64(a->value.p) : absent;
}

bool app_attr_bool(const struct app_attrs *attrs, uint16_t type, bool absent)
{
	const struct app_attr *a = app_attr(attrs, type);

	return a ? a->value.p[0] != 0 : absent;
}

struct bytes app_attr_bytes(const struct app_attrs *attrs, uint16_t type)
{
	const struct app_attr *a = app_attr(attrs, type);

	return a ? a->value : bytes_of(NULL, 0);
}

const char *app_attr_text(const struct app_attrs *attrs, uint16_t type, char *buf, size_t size)
{
	struct bytes v = app_attr_bytes(attrs, type);

	assert(shape_of(type)->kind == TEXT && size > shape_of(type)->max);
	if (v.len)
		memcpy(buf, v.p, v.len);
	buf[v.len] = '\0';
	return buf;
}

enum err app_attr_flow(const struct app_attrs *attrs, uint16_t type, struct flow *out)
{
	const struct app_attr *a = app_attr(attrs, type);

	return a ? read_flow(out, a->value) : ERR_NOT_FOUND;
}

enum err app_attr_inside(const struct app_attrs *attrs, uint16_t type, struct app_attrs *out)
{
	const struct app_attr *a = app_attr(attrs, type);

	return a ? app_attrs_parse(out, a->value, 1) : ERR_NOT_FOUND;
}

/* ---- writing -------------------------------------------------------------------------------- */

void app_put_header(struct writer *w, uint16_t verb, uint8_t flags, uint16_t code, uint32_t id)
{
	writer_u16(w, APP_MAGIC);
	writer_u8(w, APP_VERSION);
	writer_u8(w, flags);
	writer_u16(w, verb);
	writer_u16(w, code);
	writer_u32(w, id);
}

size_t app_begin(struct writer *w, uint16_t type)
{
	writer_u16(w, type);
	return writer_begin_u16(w);
}

void app_end(struct writer *w, size_t mark)
{
	writer_end_u16(w, mark, 0);
}

void app_put_u32(struct writer *w, uint16_t type, uint32_t v)
{
	size_t mark = app_begin(w, type);

	writer_u32(w, v);
	app_end(w, mark);
}

void app_put_u64(struct writer *w, uint16_t type, uint64_t v)
{
	size_t mark = app_begin(w, type);

	writer_u64(w, v);
	app_end(w, mark);
}

void app_put_bool(struct writer *w, uint16_t type, bool v)
{
	size_t mark = app_begin(w, type);

	writer_u8(w, v);
	app_end(w, mark);
}

void app_put_bytes(struct writer *w, uint16_t type, struct bytes v)
{
	size_t mark;

	if (v.len == 0)
		return;
	mark = app_begin(w, type);
	writer_bytes(w, v.p, v.len);
	app_end(w, mark);
}

void app_put_text(struct writer *w, uint16_t type, const char *v)
{
	size_t max = shape_of(type)->max, mark;

	if (!v || !*v)
		return;
	mark = app_begin(w, type);
	for (size_t i = 0; i < max && v[i]; i++)
		writer_u8(w, is_control((uint8_t)v[i]) ? '?' : (uint8_t)v[i]);
	app_end(w, mark);
}

static void put_end(struct writer *w, const struct ip_addr *a)
{
	writer_u8(w, a->family);
	writer_bytes(w, a->b, sizeof(a->b));
}

void app_put_flow(struct writer *w, uint16_t type, const struct flow *v)
{
	size_t mark = app_begin(w, type);

	put_end(w, &v->local);
	put_end(w, &v->remote);
	writer_u16(w, v->local_port);
	writer_u16(w, v->remote_port);
	writer_u8(w, v->proto);
	app_end(w, mark);
}

/* ---- names ---------------------------------------------------------------------------------- */

enum app_code app_code_of(enum err e)
{
	static const uint8_t codes[ERR_COUNT] = {
		[ERR_OK] = APP_OK,
		[ERR_NOMEM] = APP_NOMEM,
		[ERR_NOT_FOUND] = APP_NOT_FOUND,
		[ERR_EXISTS] = APP_EXISTS,
		[ERR_FULL] = APP_FULL,
		[ERR_LIMIT] = APP_FULL,
		[ERR_BAD_STATE] = APP_BAD_STATE,
		[ERR_SYS] = APP_SYS,
		[ERR_PERM] = APP_PERM,
		[ERR_UNSUPPORTED] = APP_UNSUPPORTED,
		[ERR_TIMEOUT] = APP_TIMEOUT,
	};

	if (e == ERR_OK)
		return APP_OK;
	return e < ERR_COUNT && codes[e] ? (enum app_code)codes[e] : APP_INVAL;
}

const char *app_verb_name(uint16_t verb)
{
	static const char *const names[APP_NUM_VERBS] = {
		[APP_HELLO] = "hello",
		[APP_SOCKET_TOKEN] = "socket-token",
		[APP_TOKEN_INFO] = "token-info",
		[APP_LATCH_CREATE] = "latch-create",
		[APP_LATCH_RELEASE] = "latch-release",
		[APP_LATCH_FIND] = "latch-find",
		[APP_LATCH_INQUIRE] = "latch-inquire",
		[APP_REQUIRE] = "require",
		[APP_DEMAND] = "demand",
		[APP_REAUTHENTICATE] = "reauthenticate",
		[APP_DELETE] = "delete",
		[APP_TRIGGER] = "trigger",
		[APP_DECIDE] = "decide",
		[APP_EVENTS] = "events",
		[APP_PROFILES] = "profiles",
		[APP_PROFILE_SET] = "profile-set",
		[APP_CREDENTIAL_ADD] = "credential-add",
		[APP_PATH] = "path",
		[APP_PATHS] = "paths",
		[APP_LIST] = "list",
		[APP_RUN] = "run",
		[APP_INTERFACE_TOKEN] = "interface-token",
	};

	return verb < APP_NUM_VERBS && names[verb] ? names[verb] : "?";
}
