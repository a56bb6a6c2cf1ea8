/* SPDX-License-Identifier: Apache-2.0 */
/* child.c - connections.<conn>.children.<child>. */
#include "base/alloc.h"
#include "base/clock.h"
#include "control/conf/check.h"
#include "control/conf/values.h"

#include <stdio.h>

#define BEET                  -1                   /* a mode that others have */
#define PRIORITY_MAX          (UINT32_MAX / 4 - 1) /* there are steps between two of them */
#define REPLAY_WINDOW_DEFAULT 64
#define REPLAY_WINDOW_MAX     (1u << 20)

enum err set_esp_proposals(struct check *c, void *obj, const struct tree *node)
{
	struct conf_child *child = obj;
	char text[400];
	enum err e = conf_proposals_parse_node(child->esp, &child->num_esp, text, sizeof(text),
					       node, false);

	if (e)
		CHECK_ERROR(c, node, "%s", text);
	else if (text[0])
		CHECK_WARN(c, node, "%s", text);
	return ERR_OK;
}

#define DYNAMIC "dynamic"

/* "dynamic[proto/port]" has the protocol and ports of the selector and no addresses. */
static enum err ts_from_text(struct conf_ts *out, const char *text)
{
	size_t len = strlen(DYNAMIC);
	char any[VALUE_ITEM_MAX + 16];
	struct conf_ts t = {0};

	if (strncmp(text, DYNAMIC, len) != 0 || (text[len] != '\0' && text[len] != '['))
		return ts_parse(&out->ts, text);
	snprintf(any, sizeof(any), "0.0.0.0/0%s", text + len);
	if (ts_parse(&t.ts, any))
		return ERR_MALFORMED;
	t.dynamic = true;
	t.ts.lo = t.ts.hi = (struct ip_addr){0};
	*out = t;
	return ERR_OK;
}

static enum err parse_ts(void *list, uint32_t i, const char *text)
{
	return ts_from_text((struct conf_ts *)list + i, text);
}

static enum err set_ts(struct check *c, struct conf_ts *list, uint32_t *num,
		       const struct tree *node)
{
	take_selectors(c,
		       &(struct selector_list){.list = list,
					       .num = num,
					       .max = CONF_MAX_TS,
					       .parse = parse_ts,
					       .kinds = "a prefix, a range or dynamic"},
		       node);
	return ERR_OK;
}

enum err set_local_ts(struct check *c, void *obj, const struct tree *node)
{
	struct conf_child *child = obj;

	return set_ts(c, child->local_ts, &child->num_local_ts, node);
}

enum err set_remote_ts(struct check *c, void *obj, const struct tree *node)
{
	struct conf_child *child = obj;

	return set_ts(c, child->remote_ts, &child->num_remote_ts, node);
}

/* The lifetimes differ in their field and in what kind of number they are. */
#define LIFETIME(name, take, field)                                              \
	enum err set_##name(struct check *c, void *obj, const struct tree *node) \
	{                                                                        \
		take(c, &((struct conf_child *)obj)->field, node);               \
		return ERR_OK;                                                   \
	}

static bool take_packets(struct check *c, uint64_t *out, const struct tree *node)
{
	return take_number(c, out, node, UINT64_MAX / 4);
}

LIFETIME(rekey_time, take_time, rekey_ns)
LIFETIME(life_time, take_time, life_ns)
LIFETIME(rand_time, take_time, rand_ns)
LIFETIME(inactivity, take_time, inactivity_ns)
LIFETIME(rekey_bytes, take_size, rekey_bytes)
LIFETIME(life_bytes, take_size, life_bytes)
LIFETIME(rand_bytes, take_size, rand_bytes)
LIFETIME(rekey_packets, take_packets, rekey_packets)
LIFETIME(life_packets, take_packets, life_packets)
LIFETIME(rand_packets, take_packets, rand_packets)

enum err set_mode(struct check *c, void *obj, const struct tree *node)
{
	static const struct take_word words[] = {
		{"tunnel", CONF_TUNNEL}, {"transport", CONF_TRANSPORT},
		{"pass", CONF_PASS},     {"drop", CONF_DROP},
		{"beet", BEET},
	};
	int v;

	if (!take_word(c, &v, node, words, ARRAY_LEN(words)))
		return ERR_OK;
	if (v == BEET) {
		CHECK_WARN(c, node, "beet is not supported: tunnel mode is used");
		v = CONF_TUNNEL;
	}
	((struct conf_child *)obj)->mode = (enum conf_mode)v;
	return ERR_OK;
}

enum err set_replay_window(struct check *c, void *obj, const struct tree *node)
{
	struct conf_child *child = obj;
	uint64_t v;

	if (take_number(c, &v, node, REPLAY_WINDOW_MAX))
		child->replay_window = (uint32_t)v;
	if (child->replay_window == 0)
		CHECK_WARN(c, node, "0 means that repeated packets are accepted");
	return ERR_OK;
}

enum err set_priority(struct check *c, void *obj, const struct tree *node)
{
	struct conf_child *child = obj;
	uint64_t v;

	if (take_number(c, &v, node, PRIORITY_MAX))
		child->priority = (uint32_t)v;
	return ERR_OK;
}

static void set_action(struct check *c, enum conf_action *out, const struct tree *node,
		       const struct take_word *words, size_t num)
{
	int v;

	if (take_word(c, &v, node, words, num))
		*out = (enum conf_action)v;
}

enum err set_start_action(struct check *c, void *obj, const struct tree *node)
{
	static const struct take_word words[] = {
		{"none", ACTION_NONE},
		{"trap", ACTION_TRAP},
		{"start", ACTION_START},
		{"trap|start", ACTION_TRAP_START},
		{"start|trap", ACTION_TRAP_START},
		{"route", ACTION_TRAP},
	};

	set_action(c, &((struct conf_child *)obj)->start_action, node, words, ARRAY_LEN(words));
	return ERR_OK;
}

enum err set_ipcomp(struct check *c, void *obj, const struct tree *node)
{
	take_bool(c, &((struct conf_child *)obj)->ipcomp, node);
	return ERR_OK;
}

/* With encap each pair has a UDP source port of its own, which only the sender knows. */
enum err set_per_cpu_sas(struct check *c, void *obj, const struct tree *node)
{
	if (node->value && strcmp(node->value, "encap") == 0)
		CHECK_ERROR(c, node,
			    "encap, a UDP port for each pair of SAs, is not supported: say yes, "
			    "then all go by the port of the connection");
	else
		take_bool(c, &((struct conf_child *)obj)->per_cpu_sas, node);
	return ERR_OK;
}

enum err set_child_path(struct check *c, void *obj, const struct tree *node)
{
	const char *name;

	if (!take_text(c, &name, node))
		return ERR_OK;
	if (strlen(name) < CONF_NAME_MAX)
		strcpy(((struct conf_child *)obj)->path, name);
	else
		CHECK_ERROR(c, node, "'%.40s...' is too long for the name of a path", name);
	return ERR_OK;
}

enum err set_path_tag(struct check *c, void *obj, const struct tree *node)
{
	const char *tag;

	if (!take_text(c, &tag, node))
		return ERR_OK;
	if (strlen(tag) <= CONF_TAG_MAX)
		strcpy(((struct conf_child *)obj)->path_tag, tag);
	else
		CHECK_ERROR(c, node, "'%.40s...' is longer than %d bytes", tag, CONF_TAG_MAX);
	return ERR_OK;
}

enum err set_copy_dscp(struct check *c, void *obj, const struct tree *node)
{
	static const struct take_word words[] = {
		{"out", DSCP_COPY_OUT},
		{"in", DSCP_COPY_IN},
		{"yes", DSCP_COPY_BOTH},
		{"no", DSCP_COPY_NONE},
	};
	int v;

	if (take_word(c, &v, node, words, ARRAY_LEN(words)))
		((struct conf_child *)obj)->copy_dscp = (enum dscp_copy)v;
	return ERR_OK;
}

enum err set_dpd_action(struct check *c, void *obj, const struct tree *node)
{
	static const struct take_word words[] = {
		{"clear", ACTION_NONE}, {"none", ACTION_NONE},     {"trap", ACTION_TRAP},
		{"hold", ACTION_TRAP},  {"restart", ACTION_START}, {"start", ACTION_START},
	};

	set_action(c, &((struct conf_child *)obj)->dpd_action, node, words, ARRAY_LEN(words));
	return ERR_OK;
}

enum err set_close_action(struct check *c, void *obj, const struct tree *node)
{
	static const struct take_word words[] = {
		{"none", ACTION_NONE}, {"clear", ACTION_NONE},  {"trap", ACTION_TRAP},
		{"hold", ACTION_TRAP}, {"start", ACTION_START}, {"restart", ACTION_START},
	};

	set_action(c, &((struct conf_child *)obj)->close_action, node, words, ARRAY_LEN(words));
	return ERR_OK;
}

/* life = rekey + 10 %, rand = life - rekey; a hard limit before the soft one leaves no re-key. */
static void lifetime_defaults(struct check *c, const struct tree *section, const char *kind,
			      uint64_t *rekey, uint64_t *life, uint64_t *rand)
{
	if (*life == CHECK_UNSET)
		*life = *rekey + *rekey / 10;
	if (*life && *rekey && *life < *rekey)
		CHECK_WARN(c, section,
			   "life_%s is less than rekey_%s: the SA ends before it is re-keyed", kind,
			   kind);
	if (*rand == CHECK_UNSET)
		*rand = *life > *rekey && *rekey ? *life - *rekey : 0;
	if (*rand > *rekey)
		*rand = *rekey;
}

static enum err set_defaults(struct check *c, struct conf_child *child, const struct tree *section)
{
	static const struct conf_ts dynamic = {.dynamic = true, .ts = {.port_hi = UINT16_MAX}};
	char text[8];

	if (!conf_negotiated(child->mode) && child->start_action == ACTION_NONE)
		CHECK_WARN(c, section,
			   "mode = pass and mode = drop stand with start_action = trap "
			   "only: this child does nothing");
	if (child->tfc_dummies && !child->tfc_padding)
		CHECK_ERROR(c, section,
			    "tfc_dummies needs tfc_padding: by their length dummies would be told "
			    "from packets that are not padded");
	if (child->ipcomp && child->tfc_padding)
		CHECK_ERROR(c, section,
			    "tfc_padding hides how long packets are, and ipcomp shows what is in "
			    "them by their length: leave out one");
	lifetime_defaults(c, section, "time", &child->rekey_ns, &child->life_ns, &child->rand_ns);
	lifetime_defaults(c, section, "bytes", &child->rekey_bytes, &child->life_bytes,
			  &child->rand_bytes);
	lifetime_defaults(c, section, "packets", &child->rekey_packets, &child->life_packets,
			  &child->rand_packets);
	if (child->num_local_ts == 0)
		child->local_ts[child->num_local_ts++] = dynamic;
	if (child->num_remote_ts == 0)
		child->remote_ts[child->num_remote_ts++] = dynamic;
	if (child->num_esp == 0)
		return conf_proposals_parse(child->esp, &child->num_esp, text, sizeof(text),
					    "default", false);
	return ERR_OK;
}

enum err child_check(struct check *c, struct conf_child *child, const struct tree *section)
{
	enum err e;

	*child = (struct conf_child){
		.rekey_ns = 3600 * NS_PER_S,
		.life_ns = CHECK_UNSET,
		.rand_ns = CHECK_UNSET,
		.life_bytes = CHECK_UNSET,
		.rand_bytes = CHECK_UNSET,
		.life_packets = CHECK_UNSET,
		.rand_packets = CHECK_UNSET,
		.replay_window = REPLAY_WINDOW_DEFAULT,
		.copy_dscp = DSCP_COPY_OUT,
		.copy_df = DF_COPY,
		.mss_clamp = MSS_CLAMP_PATH,
		.name = str_dup(section->name),
	};
	if (!child->name)
		return ERR_NOMEM;
	e = check_section(c, SCOPE_CHILD, child, section);
	return e ? e : set_defaults(c, child, section);
}

void child_fini(struct conf_child *child)
{
	mem_free(child->name);
}
