/* SPDX-License-Identifier: Apache-2.0 */
/* profile.c - demands with a name, so that nobody who writes a program must know algorithms. */
#include "api/engine/latch.h"

static_assert((int)CONF_PART_IKE_ONLY == (int)APP_PART_IKE_ONLY &&
		      (int)CONF_PART_NONE == (int)APP_PART_NONE,
	      "a configured part is an application's");

#define PROVEN                                                                       \
	AUTH_METHOD_PKIX_TRUSTED, AUTH_METHOD_PKIX_INLINE, AUTH_METHOD_PKIX_OFFLINE, \
		AUTH_METHOD_PUBKEY, AUTH_METHOD_PSK

/* What there is before an administrator says otherwise, the strongest first. */
static const struct app_profile built_in[] = {
	{.name = "secure",
	 .methods = {PROVEN},
	 .num_methods = 5,
	 .privacy = true,
	 .integrity = true,
	 .part = APP_PART_IKE_ONLY},
	{.name = "authenticated",
	 .methods = {PROVEN, AUTH_METHOD_GROUP_PSK, AUTH_METHOD_EAP, AUTH_METHOD_LEAPOFFAITH},
	 .num_methods = 8,
	 .privacy = true,
	 .integrity = true,
	 .part = APP_PART_IKE_ONLY},
	{.name = "integrity",
	 .methods = {PROVEN},
	 .num_methods = 5,
	 .integrity = true,
	 .part = APP_PART_IKE_ONLY},
	{.name = "btns",
	 .methods = {PROVEN, AUTH_METHOD_GROUP_PSK, AUTH_METHOD_EAP, AUTH_METHOD_LEAPOFFAITH,
		     AUTH_METHOD_BTNS},
	 .num_methods = 9,
	 .privacy = true,
	 .integrity = true,
	 .make = true,
	 .part = APP_PART_APP_ONLY},
	{.name = "opportunistic",
	 .methods = {PROVEN, AUTH_METHOD_GROUP_PSK, AUTH_METHOD_EAP, AUTH_METHOD_LEAPOFFAITH,
		     AUTH_METHOD_BTNS, AUTH_METHOD_NONE},
	 .num_methods = 10,
	 .clear = true,
	 .make = true,
	 .part = APP_PART_NONE},
	{.name = "bypass", .bypass = true, .part = APP_PART_NONE},
};

static struct app_profile *find(const struct latches *t, const char *name)
{
	for (uint32_t i = 0; i < t->num_profiles; i++) {
		if (strcmp(t->profiles[i].name, name) == 0)
			return (struct app_profile *)(uintptr_t)&t->profiles[i];
	}
	return NULL;
}

const struct app_profile *profile_find(const struct latches *t, const char *name)
{
	return find(t, name[0] ? name : built_in[0].name);
}

/* is_valid - a name, methods of which none is there twice, and a part of its own. */
static bool is_valid(const struct app_profile *p)
{
	uint32_t seen = 0;

	if (!p->name[0] || !p->num_methods || p->num_methods > AUTH_NUM_METHODS ||
	    p->part == APP_PART_PROFILE || p->part > APP_PART_NONE)
		return false;
	for (uint32_t i = 0; i < p->num_methods; i++) {
		if (p->methods[i] >= AUTH_NUM_METHODS || seen >> p->methods[i] & 1)
			return false;
		seen |= 1u << p->methods[i];
	}
	return true;
}

enum err profile_set(struct latches *t, const struct app_profile *profile)
{
	struct app_profile *p = find(t, profile->name);

	if (!is_valid(profile))
		return ERR_INVAL;
	if (!p && t->num_profiles == PROFILES_MAX)
		return ERR_FULL;
	if (!p)
		p = &t->profiles[t->num_profiles++];
	*p = *profile;
	return ERR_OK;
}

static void add(struct latches *t, const struct conf_profile *c)
{
	struct app_profile p = {
		.num_methods = c->num_methods,
		.privacy = c->privacy,
		.integrity = c->integrity,
		.clear = c->clear,
		.part = c->part,
	};

	static_assert(sizeof(p.name) == sizeof(c->name), "one bound");
	memcpy(p.name, c->name, sizeof(p.name));
	memcpy(p.methods, c->methods, sizeof(p.methods));
	if (profile_set(t, &p))
		LOG(WARN, CFG, NULL, "there is no room for the profile %s", c->name);
}

void profiles_configure(struct latches *t, const struct conf *conf)
{
	memcpy(t->profiles, built_in, sizeof(built_in));
	t->num_profiles = ARRAY_LEN(built_in);
	for (uint32_t i = 0; i < conf->daemon.num_profiles; i++)
		add(t, &conf->daemon.profiles[i]);
}
