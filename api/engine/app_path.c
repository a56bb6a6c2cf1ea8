/* SPDX-License-Identifier: Apache-2.0 */
/* app_path.c - the paths to peers, for applications that may configure. */
#include "api/engine/app.h"
#include "api/engine/internal.h"

enum err app_path_op(void *ctx, uint32_t *out_num, uint16_t *out_id,
		     const struct engine_path_request *req, char text[ENGINE_TEXT_MAX])
{
	return engine_path(ctx, out_num, out_id, req, text);
}

uint64_t app_request(void *ctx)
{
	return engine_request(ctx);
}

/* struct telling - a list on its way. */
struct telling {
	struct engine *e;
	void (*fn)(void *arg, const struct app_path *path);
	void *arg;
};

static const struct engine_path_info *data_of(const struct engine_path_info *list, uint32_t num,
					      uint16_t id)
{
	for (uint32_t i = 0; i < num; i++)
		if (list[i].path.id == id)
			return &list[i];
	return NULL;
}

/* tell_only - without an agreement on several there is the one that the data path has. */
static void tell_only(const struct telling *t, struct app_path path,
		      const struct engine_path_info *only)
{
	path.id = only->path.id;
	path.weight = only->path.weight;
	path.priority = only->path.priority;
	path.usable = path.active = true;
	path.addr = &only->path.addr;
	path.data = only;
	t->fn(t->arg, &path);
}

static void tell_paths(void *ctx, const struct ike_sa_info *sa)
{
	const struct telling *t = ctx;
	struct engine_path_info data[PATHS_MAX];
	const uint32_t num = engine_paths(t->e, data, sa->peer);
	char id[ENGINE_ID_MAX];
	struct app_path path = {
		.conn = sa->conn,
		.peer = sa->remote_id ? ike_id_text(id, sizeof(id), sa->remote_id) : NULL,
		.decides = sa->paths_decides,
	};

	if (sa->state == IKE_STATE_CONNECTING)
		return;
	if (!sa->paths && num)
		tell_only(t, path, &data[0]);
	for (uint32_t i = 0; i < sa->num_path_list; i++) {
		const struct ike_path_info *p = &sa->path_list[i];

		path.id = p->id;
		path.weight = p->weight;
		path.priority = p->priority;
		path.usable = p->usable;
		path.active = p->active;
		path.addr = &p->addr;
		path.data = data_of(data, num, p->id);
		t->fn(t->arg, &path);
	}
}

void app_each_path(void *ctx, void (*fn)(void *arg, const struct app_path *path), void *arg)
{
	struct telling t = {.e = ctx, .fn = fn, .arg = arg};

	engine_each_sa(ctx, tell_paths, &t);
}
