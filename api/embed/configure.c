/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "api/embed/internal.h"
#include "base/alloc.h"

/* remember - what there is to tell people, a line for each remark. */
static void remember(struct ipsec_engine *e, const struct conf_diags *diags)
{
	size_t room = 1;

	mem_free(e->error);
	e->error = NULL;
	for (uint32_t i = 0; i < diags->num; i++)
		room += strlen(diags->list[i].text) + 1;
	e->error = mem_alloc(room);
	for (uint32_t i = 0; e->error && i < diags->num; i++) {
		if (i)
			strcat(e->error, "\n");
		strcat(e->error, diags->list[i].text);
	}
}

void embed_error(struct ipsec_engine *e, const char *text)
{
	mem_free(e->error);
	e->error = str_dup(text);
}

/* in_force - conf is only ours yet, so that its level of the log can be the program's. */
static enum err in_force(struct ipsec_engine *e, struct conf *conf)
{
	conf->daemon.log_level = (uint32_t)e->params.log_level;
	if (e->core) {
		enum err err = engine_configure(e->core, conf);

		conf_put(conf);
		return err;
	}
	conf_put(e->conf);
	e->conf = conf;
	return ERR_OK;
}

static enum err load_text(struct conf **out, struct conf_diags *diags, const char *text, size_t len)
{
	struct tree *tree;
	enum err err = conf_parse_text(&tree, diags, "configuration", text, len);

	if (err)
		return err;
	err = conf_new(out, diags, tree);
	tree_free(tree);
	return err;
}

static int configure(struct ipsec_engine *e, const char *path, const char *text, size_t len)
{
	const struct log_sink *before = embed_enter(e);
	struct conf_diags *diags = mem_alloc(sizeof(*diags));
	struct conf *conf = NULL;
	enum err err = ERR_NOMEM;

	if (diags) {
		err = path ? engine_load_conf(&conf, diags, path)
			   : load_text(&conf, diags, text, len);
		remember(e, diags);
	}
	if (!err)
		err = in_force(e, conf);
	mem_free(diags);
	embed_leave(e, before);
	return embed_fail(err);
}

int ipsec_engine_configure(struct ipsec_engine *e, const char *text, size_t len)
{
	return configure(e, NULL, text, len);
}

int ipsec_engine_configure_file(struct ipsec_engine *e, const char *path)
{
	return configure(e, path, NULL, 0);
}

const char *ipsec_engine_error(struct ipsec_engine *e)
{
	return e->error ? e->error : "";
}
