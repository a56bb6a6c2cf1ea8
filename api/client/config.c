/* SPDX-License-Identifier: Apache-2.0 */
/* config.c - profiles, credentials, and the list of all latches: for who may configure or read. */
#include "api/client/internal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* struct each - whom to call. */
struct each {
	void (*profile)(void *arg, const struct ipsec_profile *profile);
	void (*latch)(void *arg, const struct ipsec_latch_info *info);
	void *arg;
};

static void take_profile(struct ipsec_profile *p, const struct app_attrs *in)
{
	struct bytes methods = app_attr_bytes(in, APP_A_METHODS);

	*p = (struct ipsec_profile){.size = sizeof(*p)};
	app_attr_text(in, APP_A_PROFILE, p->name, sizeof(p->name));
	app_attr_text(in, APP_A_SUITES, p->suites, sizeof(p->suites));
	for (; p->num_methods < methods.len && p->num_methods < ARRAY_LEN(p->methods);
	     p->num_methods++)
		p->methods[p->num_methods] = (enum ipsec_auth_method)methods.p[p->num_methods];
	p->part = (enum ipsec_part)app_attr_u32(in, APP_A_PART, 0);
	p->privacy = app_attr_u32(in, APP_A_PRIVACY, 0) == 2;
	p->integrity = app_attr_u32(in, APP_A_INTEGRITY, 0) == 2;
	p->clear = app_attr_bool(in, APP_A_CLEAR, false);
	p->make = app_attr_bool(in, APP_A_MAKE, false);
	p->bypass = app_attr_bool(in, APP_A_BYPASS, false);
}

static void each(void *arg, const struct app_msg *msg)
{
	const struct each *e = arg;
	struct ipsec_latch_info info;
	struct ipsec_profile profile;

	for (uint32_t i = 0; i < msg->attrs.num; i++) {
		const struct app_attr *a = &msg->attrs.list[i];
		struct app_attrs in;

		if (app_attrs_parse(&in, a->value, 1))
			continue;
		if (a->type == APP_A_PROFILE_INFO && e->profile) {
			take_profile(&profile, &in);
			e->profile(e->arg, &profile);
		} else if (a->type == APP_A_LATCH_INFO && e->latch) {
			latch_info_take(&info, &in);
			e->latch(e->arg, &info);
		}
	}
}

int ipsec_each_profile(void (*fn)(void *arg, const struct ipsec_profile *profile), void *arg)
{
	struct each e = {.profile = fn, .arg = arg};
	struct request req;

	request_begin(&req, APP_PROFILES);
	return fn ? transact_each(&req, -1, each, &e) : fail(EINVAL, "there is nobody to call");
}

int ipsec_each_latch(void (*fn)(void *arg, const struct ipsec_latch_info *info), void *arg)
{
	struct each e = {.latch = fn, .arg = arg};
	struct request req;

	request_begin(&req, APP_LIST);
	return fn ? transact_each(&req, -1, each, &e) : fail(EINVAL, "there is nobody to call");
}

int ipsec_set_profile(const struct ipsec_profile *profile)
{
	uint8_t methods[APP_NUM_METHODS - 1];
	struct request req;
	struct reply reply;
	size_t mark;

	if (!profile || profile->size != sizeof(*profile) ||
	    profile->num_methods > ARRAY_LEN(methods) ||
	    strnlen(profile->name, sizeof(profile->name)) == sizeof(profile->name) ||
	    strnlen(profile->suites, sizeof(profile->suites)) == sizeof(profile->suites))
		return fail(EINVAL, "that is no profile");
	for (uint32_t i = 0; i < profile->num_methods; i++)
		methods[i] = (uint8_t)profile->methods[i];
	request_begin(&req, APP_PROFILE_SET);
	mark = app_begin(&req.w, APP_A_PROFILE_INFO);
	app_put_text(&req.w, APP_A_PROFILE, profile->name);
	app_put_text(&req.w, APP_A_SUITES, profile->suites);
	app_put_bytes(&req.w, APP_A_METHODS, bytes_of(methods, profile->num_methods));
	app_put_u32(&req.w, APP_A_PART,
		    profile->part ? profile->part : (uint32_t)IPSEC_PART_IKE_ONLY);
	app_put_u32(&req.w, APP_A_PRIVACY, profile->privacy ? 2 : 1);
	app_put_u32(&req.w, APP_A_INTEGRITY, profile->integrity ? 2 : 1);
	app_put_bool(&req.w, APP_A_CLEAR, profile->clear);
	app_put_bool(&req.w, APP_A_MAKE, profile->make);
	app_end(&req.w, mark);
	return transact(&req, -1, USUAL_MS, &reply);
}

/* ---- credentials ---------------------------------------------------------------------------- */

static int add(struct request *req, const void *bytes, size_t len)
{
	struct reply reply;
	int fd, res, err;

	if (!bytes || len == 0)
		return fail(EINVAL, "there is no credential");
	fd = memory_file(bytes, len);
	if (fd < 0)
		return fail(errno, "there is no memory to pass the credential in");
	res = transact(req, fd, USUAL_MS, &reply);
	err = errno;
	close(fd);
	errno = err;
	return res;
}

int ipsec_add_secret(const char *const *identities, size_t num, const void *secret, size_t len)
{
	struct request req;

	if (!identities || num == 0 || num > 16)
		return fail(EINVAL, "a secret is for 1 to 16 identities");
	request_begin(&req, APP_CREDENTIAL_ADD);
	app_put_u32(&req.w, APP_A_CREDENTIAL, APP_CRED_SECRET);
	for (size_t i = 0; i < num; i++) {
		if (!identities[i] || strlen(identities[i]) >= ID_ROOM)
			return fail(EINVAL, "that is no identity");
		app_put_text(&req.w, APP_A_IDENTITY, identities[i]);
	}
	return add(&req, secret, len);
}

int ipsec_add_certificate(const void *bytes, size_t len, bool authority)
{
	struct request req;

	request_begin(&req, APP_CREDENTIAL_ADD);
	app_put_u32(&req.w, APP_A_CREDENTIAL,
		    authority ? APP_CRED_AUTHORITY : APP_CRED_CERTIFICATE);
	return add(&req, bytes, len);
}
