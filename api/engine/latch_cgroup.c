/* SPDX-License-Identifier: Apache-2.0 */
/*
 * latch_cgroup.c - control groups whose processes demand a peer, for programs that know nothing of
 * latches. What is kept is as a latch without a flow: LARVAL until a class that meets the demand
 * has SAs, ESTABLISHED when the group's mark demands it. From then on the mark stays as it is: when
 * the class has no SAs what the group sends is dropped, and its connection is brought up again. It
 * stays while there are processes in the group, whoever asked for it is gone or not.
 */
#include "api/engine/latch.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

#define RETRY_NS (5 * NS_PER_S)

/* struct cgroup_rec - one group. fd: its directory, our own. tie: the class that is demanded. */
struct cgroup_rec {
	struct list_node node;
	struct app_latch pub;
	struct latch_needs needs;
	struct class_info tie;
	uint64_t request; /* of the negotiation under way; 0 = none */
	uint64_t next_ns; /* when another may begin */
	dev_t dev;
	ino_t ino;
	int fd;
	struct host_cgroup group;
	bool marked;
	bool failed; /* pub says why: it goes when nobody is at work on it */
};

static void rec_free(struct engine *e, struct cgroup_rec *g)
{
	if (g->marked && e->host.ops->cgroup_del(e->host.ctx, &g->group))
		LOG(WARN, KNL, NULL, "a control group's demand cannot be removed");
	close(g->fd);
	list_remove(&g->node);
	mem_free(g);
}

/* ---- the way to ESTABLISHED --------------------------------------------------------------------
 */

static enum err mark(struct engine *e, struct cgroup_rec *g, uint32_t token,
		     char text[APP_TEXT_MAX])
{
	enum err err = dataplane_class(e->dp, &g->tie, token);

	if (!err)
		err = e->host.ops->cgroup_mark(e->host.ctx, &g->group, g->fd, token);
	if (err) {
		snprintf(text, APP_TEXT_MAX, "the control group cannot be marked: %s",
			 err_text(err));
		return err;
	}
	g->marked = true;
	g->needs.tie = &g->tie;
	g->pub.token = token;
	g->pub.state = LATCH_ESTABLISHED;
	return ERR_OK;
}

/* begin - a negotiation with who is asked for. */
static enum err begin(struct engine *e, struct cgroup_rec *g, char text[APP_TEXT_MAX])
{
	const struct connect_wish wish = {.methods = g->needs.methods};
	const struct conf_conn *conn = NULL;
	const struct conf_child *child = needs_child(e, &conn, &g->needs, NULL);
	enum err err;

	g->next_ns = engine_now(e) + RETRY_NS;
	if (!child) {
		snprintf(text, APP_TEXT_MAX,
			 "no peer that is up is such a one, and no connection would bring one up");
		return ERR_NOT_FOUND;
	}
	g->request = engine_request(e);
	err = connect_bring_up(e, conn, child->name, g->request, &wish);
	if (!err)
		return ERR_OK;
	g->request = 0;
	snprintf(text, APP_TEXT_MAX, "%s", err_text(err));
	return err == ERR_EXISTS ? ERR_OK : err; /* it is under way: what comes of it is seen */
}

/* settle - go on as far as possible now. A class that was forgotten while its peer was away has
 * another number afterwards. Errors: only while nothing stands. */
static enum err settle(struct engine *e, struct cgroup_rec *g, char text[APP_TEXT_MAX])
{
	uint32_t token = needs_token(e, &g->needs, NULL);
	enum err err = ERR_OK;

	if (token && token != g->pub.token)
		err = mark(e, g, token, text);
	else if (!token && !g->request && engine_now(e) >= g->next_ns)
		err = begin(e, g, text);
	return g->pub.state == LATCH_ESTABLISHED ? ERR_OK : err;
}

static void tell(const struct engine *e, const struct cgroup_rec *g)
{
	latch_tell(e, &(struct app_event){
			      .kind = APP_EVENT_CGROUP, .client = g->pub.client, .latch = &g->pub});
}

static void set_failed(struct cgroup_rec *g, enum ike_reason reason, const char *text)
{
	g->failed = true;
	g->pub.state = LATCH_CLOSED;
	g->pub.reason = reason;
	snprintf(g->pub.text, sizeof(g->pub.text), "%s", text);
}

/* is_over - who asked is gone, and there is nobody left whom it could keep from anybody. */
static bool is_over(const struct engine *e, const struct cgroup_rec *g)
{
	return !g->pub.client && (!g->marked || !e->host.ops->cgroup_populated(e->host.ctx, g->fd));
}

void cgroups_settle(struct engine *e)
{
	list_for_each_safe (n, &e->latches->cgroups) {
		struct cgroup_rec *g = list_entry(n, struct cgroup_rec, node);
		bool stood = g->pub.state == LATCH_ESTABLISHED;
		char text[APP_TEXT_MAX] = "";

		if (!g->failed && settle(e, g, text) && !g->failed)
			set_failed(g, IKE_REASON_LOCAL, text);
		if (!g->failed && is_over(e, g))
			set_failed(g, IKE_REASON_LOCAL, "the last process has ended");
		if (g->failed || (!stood && g->pub.state == LATCH_ESTABLISHED))
			tell(e, g);
		if (g->failed)
			rec_free(e, g);
	}
}

/* cgroups_ike_event - it may come from within settle(), where no route leads to the peer: the
 * record stays until cgroups_settle() comes by. */
void cgroups_ike_event(struct engine *e, const struct ike_event *ev)
{
	list_for_each_safe (n, &e->latches->cgroups) {
		struct cgroup_rec *g = list_entry(n, struct cgroup_rec, node);

		if (!g->request || g->request != ev->request)
			continue;
		if (ev->kind == IKE_EVENT_FAILED || ev->kind == IKE_EVENT_CHILD_UP)
			g->request = 0;
		if (ev->kind == IKE_EVENT_FAILED && g->pub.state == LATCH_LARVAL)
			set_failed(g, ev->reason, ev->text);
	}
}

/* ---- who asks ----------------------------------------------------------------------------------
 */

/* needs_for - what a group can demand: whom, but neither algorithms of its own, for which a flow
 * would have SAs of its own, nor no protection, nor that somebody is asked about the peer. */
static enum err needs_for(const struct engine *e, struct latch_needs *out,
			  const struct app_demand *demand, char text[APP_TEXT_MAX])
{
	TRY(needs_of(e, out, demand, text));
	if (!out->narrow && !out->bypass && out->part != APP_PART_IKE_APP_ACK)
		return ERR_OK;
	snprintf(text, APP_TEXT_MAX, "a control group cannot demand %s",
		 out->narrow   ? "algorithms of its own"
		 : out->bypass ? "to pass by IPsec"
			       : "that it is asked about its peer");
	return ERR_INVAL;
}

/* of_group - what stands for this one; NULL: nobody has it demand anything. */
static struct cgroup_rec *of_group(const struct engine *e, const struct stat *st)
{
	list_for_each (n, &e->latches->cgroups) {
		struct cgroup_rec *g = list_entry(n, struct cgroup_rec, node);

		if (g->dev == st->st_dev && g->ino == st->st_ino)
			return g;
	}
	return NULL;
}

/* take_over - what has outlived who asked for it is had by the same demand; what stands is not
 * weakened. */
static enum err take_over(struct cgroup_rec *g, struct app_latch *out, const struct cgroup_rec *as)
{
	if (g->pub.client || g->pub.uid != as->pub.uid ||
	    memcmp(&g->pub.demand, &as->pub.demand, sizeof(g->pub.demand)) != 0)
		return ERR_EXISTS;
	g->pub.client = as->pub.client;
	*out = g->pub;
	return ERR_OK;
}

static enum err rec_new(struct engine *e, struct cgroup_rec **out, int fd,
			const struct cgroup_rec *as)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	struct cgroup_rec *g = own < 0 ? NULL : mem_dup(as, sizeof(*as));

	if (!g) {
		if (own >= 0)
			close(own);
		return own < 0 ? ERR_SYS : ERR_NOMEM;
	}
	g->fd = own;
	g->pub.id = ++e->latches->next_id;
	list_push_back(&e->latches->cgroups, &g->node);
	latches_watch(e);
	*out = g;
	return ERR_OK;
}

enum err cgroup_demand(struct engine *e, struct app_latch *out, int fd,
		       const struct app_demand *demand, uint64_t client, uint32_t uid,
		       char text[APP_TEXT_MAX])
{
	struct cgroup_rec as = {.pub = {.client = client, .uid = uid, .demand = *demand}}, *g;
	struct stat st;
	enum err err;

	if (!e->host.ops->cgroup_mark)
		return ERR_UNSUPPORTED;
	TRY(needs_for(e, &as.needs, demand, text));
	if (fstat(fd, &st))
		return ERR_INVAL;
	g = of_group(e, &st);
	if (g)
		return take_over(g, out, &as);
	as.dev = st.st_dev;
	as.ino = st.st_ino;
	TRY(rec_new(e, &g, fd, &as));
	err = settle(e, g, text);
	if (!err && g->failed) {
		snprintf(text, APP_TEXT_MAX, "%s", g->pub.text);
		err = ERR_NOT_FOUND;
	}
	if (err)
		rec_free(e, g);
	else
		*out = g->pub;
	engine_turn(e);
	return err;
}

enum err cgroup_release(struct engine *e, uint64_t id)
{
	list_for_each_safe (n, &e->latches->cgroups) {
		struct cgroup_rec *g = list_entry(n, struct cgroup_rec, node);

		if (g->pub.id == id) {
			rec_free(e, g);
			return ERR_OK;
		}
	}
	return ERR_NOT_FOUND;
}

void cgroups_client_gone(struct engine *e, uint64_t client)
{
	list_for_each_safe (n, &e->latches->cgroups) {
		struct cgroup_rec *g = list_entry(n, struct cgroup_rec, node);

		if (g->pub.client != client)
			continue;
		g->pub.client = 0;
		if (!is_over(e, g))
			continue;
		set_failed(g, IKE_REASON_LOCAL, "who asked for it is gone");
		tell(e, g);
		rec_free(e, g);
	}
}

void cgroups_close(struct engine *e)
{
	list_for_each_safe (n, &e->latches->cgroups)
		rec_free(e, list_entry(n, struct cgroup_rec, node));
}
