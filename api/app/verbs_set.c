/* SPDX-License-Identifier: Apache-2.0 */
/* verbs_set.c - decisions, subscriptions, profiles, credentials. */
#include "api/app/internal.h"

#include "base/alloc.h"
#include "base/secret.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* A credential's bytes; a chain of certificates in PEM is shorter. */
#define CREDENTIAL_MAX 65536
#define IDENTITIES_MAX 16
/* A file in memory that nobody changes any more: reading it takes no time, whoever made it. */
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* That he is asked says that he may answer; another's question is as none. */
enum err verb_decide(struct call *call)
{
	uint64_t id = app_attr_u64(call->in, APP_A_ASK, 0);

	list_for_each (n, &call->server->asks) {
		struct ask *ask = list_entry(n, struct ask, node);
		uint64_t maker = ask->maker;

		if (ask->id != id || ask->client != call->client->number)
			continue;
		list_remove(&ask->node);
		mem_free(ask);
		return call->ops->decide(call->ctx, maker, id,
					 app_attr_bool(call->in, APP_A_ACCEPT, false));
	}
	return ERR_NOT_FOUND;
}

enum err verb_events(struct call *call)
{
	call->client->events = app_attr_bool(call->in, APP_A_ACCEPT, true);
	return ERR_OK;
}

enum err verb_profile_set(struct call *call)
{
	struct app_profile profile;
	struct app_attrs in;

	if (app_attr_inside(call->in, APP_A_PROFILE_INFO, &in))
		return ERR_INVAL;
	TRY(take_profile(&profile, &in));
	return call->ops->profile_set(call->ctx, &profile);
}

/* ---- credentials ---------------------------------------------------------------------------- */

static enum err size_of(size_t *out, int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return ERR_INVAL;
	if (st.st_size <= 0 || st.st_size > CREDENTIAL_MAX)
		return ERR_LIMIT;
	*out = (size_t)st.st_size;
	return ERR_OK;
}

static uint32_t take_ids(char (*ids)[APP_ID_MAX], const char **list, const struct app_attrs *in)
{
	uint32_t num = 0;

	for (uint32_t i = 0; i < in->num && num < IDENTITIES_MAX; i++) {
		struct bytes v = in->list[i].value;

		if (in->list[i].type != APP_A_IDENTITY)
			continue;
		memcpy(ids[num], v.p, v.len);
		ids[num][v.len] = '\0';
		list[num] = ids[num];
		num++;
	}
	return num;
}

static enum err add(struct call *call, struct bytes bytes)
{
	char ids[IDENTITIES_MAX][APP_ID_MAX];
	const char *list[IDENTITIES_MAX];
	uint32_t kind = app_attr_u32(call->in, APP_A_CREDENTIAL, APP_NUM_CREDS), num;

	if (kind == APP_NUM_CREDS)
		return ERR_INVAL;
	if (kind != APP_CRED_SECRET)
		return call->ops->cert_add(call->ctx, kind == APP_CRED_AUTHORITY, bytes,
					   call->text);
	num = take_ids(ids, list, call->in);
	return num ? call->ops->secret_add(call->ctx, list, num, bytes, call->text) : ERR_INVAL;
}

enum err verb_credential_add(struct call *call)
{
	struct secret secret = {0};
	size_t len;
	enum err e = size_of(&len, call->fd);

	if (!e)
		e = secret_init(&secret, len);
	if (!e && pread(call->fd, secret.p, len, 0) != (ssize_t)len)
		e = ERR_SYS;
	if (!e)
		e = add(call, bytes_of(secret.p, len));
	secret_fini(&secret);
	return e;
}
