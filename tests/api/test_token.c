/* SPDX-License-Identifier: Apache-2.0 */
/* The process that speaks to tokens, and what it makes of a module that behaves badly. What a real
 * one does tests/netns/pkcs11.py shows. */
#include "api/token/token.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/tap/tap.h"

#define SLOT 5

static struct conf_module module = {.name = "fake"};
static struct signer signer;
static const char *own_module;
static char log_path[] = "/tmp/lk-token-XXXXXX";

/* The module sees the environment as it is when the process is made. */
static void begin(const char *state)
{
	int fd = mkstemp(strcpy(log_path, "/tmp/lk-token-XXXXXX"));

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	close(fd);
	setenv("FAKE_MODULE_LOG", log_path, 1);
	setenv("FAKE_MODULE_STATE", state, 1);
	CU_ASSERT_EQUAL_FATAL(token_open(&signer, &module, 1), ERR_OK);
	CU_ASSERT_PTR_NOT_NULL_FATAL(signer.ops);
}

static void finish(void)
{
	signer.ops->close(signer.ctx);
	CU_ASSERT_TRUE(wait(NULL) > 0); /* without its other end the process goes */
	unlink(log_path);
}

static off_t num_logins(void)
{
	struct stat st;

	return stat(log_path, &st) ? -1 : st.st_size;
}

static struct ike_token_task task(uint64_t id, const char *pin)
{
	return (struct ike_token_task){.id = id,
				       .op = IKE_TOKEN_SIGN,
				       .module = "fake",
				       .slot = SLOT,
				       .handle = bytes_of("\1", 1),
				       .pin = bytes_of(pin, strlen(pin)),
				       .scheme = IKE_SCHEME_ECDSA_SHA2_256,
				       .data = bytes_of(pin, strlen(pin))};
}

static bool next(struct signer_answer *a)
{
	struct pollfd p = {.fd = signer.ops->fd(signer.ctx), .events = POLLIN};

	while (!signer.ops->next(signer.ctx, a)) {
		if (poll(&p, 1, 30000) != 1)
			return false;
	}
	return true;
}

static void says(const struct ike_token_task *t, const char *part)
{
	struct signer_answer a;

	CU_ASSERT_EQUAL_FATAL(signer.ops->begin(signer.ctx, t), ERR_OK);
	CU_ASSERT_TRUE_FATAL(next(&a));
	CU_ASSERT_EQUAL(a.id, t->id);
	CU_ASSERT_EQUAL(a.data.len, 0);
	if (!strstr(a.why, part))
		tap_diag("'%s', not '%s'", a.why, part);
	CU_ASSERT_PTR_NOT_NULL(strstr(a.why, part));
}

static void says_of(const char *pin, const char *part)
{
	const struct ike_token_task t = task(1, pin);

	says(&t, part);
}

/* Of r and s side by side the DER of both. */
static void test_signs(void)
{
	const struct ike_token_task t = task(9, "right");
	struct signer_answer a;

	begin("");
	CU_ASSERT_EQUAL_FATAL(signer.ops->begin(signer.ctx, &t), ERR_OK);
	CU_ASSERT_TRUE_FATAL(next(&a));
	CU_ASSERT_EQUAL(a.id, 9);
	CU_ASSERT_STRING_EQUAL(a.why, "");
	CU_ASSERT_EQUAL(a.data.len, 2 + 2 * 34);
	CU_ASSERT_EQUAL(num_logins(), 1);
	finish();
}

static void test_without_modules(void)
{
	struct signer none = {.ops = NULL};

	CU_ASSERT_EQUAL(token_open(&none, NULL, 0), ERR_OK);
	CU_ASSERT_PTR_NULL(none.ops);
}

static void test_S25_token_wrong_pin_once(void)
{
	begin("");
	says_of("wrong", "its PIN is wrong");
	for (int i = 0; i < 20; i++)
		says_of("wrong", "was not taken before (secrets, `pin`), and is not tried again");
	CU_ASSERT_EQUAL(num_logins(), 1);
	says_of("gone", "it is gone"); /* another PIN is */
	CU_ASSERT_EQUAL(num_logins(), 2);
	finish();
}

/* Whatever was tried since, and though the module died since. */
static void test_S25_token_wrong_pin_kept(void)
{
	begin("");
	says_of("wrong", "its PIN is wrong");
	says_of("wrong too", "its PIN is wrong");
	says_of("wrong", "was not taken before (secrets, `pin`), and is not tried again");
	says_of("crash", "its module has crashed");
	CU_ASSERT_EQUAL(num_logins(), 3);
	says_of("wrong", "was not taken before (secrets, `pin`), and is not tried again");
	says_of("wrong too", "was not taken before (secrets, `pin`), and is not tried again");
	CU_ASSERT_EQUAL(num_logins(), 3);
	finish();
}

/* One over which the module dies may have cost a try: it is not given again. */
static void test_S25_token_died_over_it(void)
{
	begin("");
	says_of("dies", "its module has crashed");
	for (int i = 0; i < 3; i++)
		says_of("dies", "was not taken before");
	CU_ASSERT_EQUAL(num_logins(), 1);
	says_of("wrong", "its PIN is wrong");
	says_of("dies", "was not taken before");
	CU_ASSERT_EQUAL(num_logins(), 2);
	finish();
}

static void test_S25_token_last_try(void)
{
	begin("final");
	says_of("right", "takes one more PIN before it locks itself, which is not tried");
	CU_ASSERT_EQUAL(num_logins(), 0);
	finish();
	begin("locked");
	says_of("right", "its PIN is locked");
	CU_ASSERT_EQUAL(num_logins(), 0);
	finish();
}

/* A key that wants the PIN each time: a wrong one that was loaded since is tried once, too. */
static void test_S25_token_each_time(void)
{
	begin("each");
	says_of("gone", "it is gone");
	CU_ASSERT_EQUAL(num_logins(), 2);
	says_of("wrong", "its PIN is wrong");
	CU_ASSERT_EQUAL(num_logins(), 3);
	for (int i = 0; i < 20; i++)
		says_of("wrong", "was not taken before (secrets, `pin`), and is not tried again");
	CU_ASSERT_EQUAL(num_logins(), 3);
	finish();
}

static void test_other_modules(void)
{
	struct ike_token_task t = task(1, "right");

	begin("");
	t.module = "/usr/lib/evil.so";
	says(&t, "was not in latchkey.pkcs11 when the daemon started");
	finish();
	snprintf(module.path, sizeof(module.path), "/nowhere/module.so");
	begin("");
	says_of("right", "its module /nowhere/module.so cannot be loaded");
	finish();
	snprintf(module.path, sizeof(module.path), "%s", own_module);
}

static void test_places(void)
{
	struct ike_token_task t = task(1, "right");

	begin("");
	t.slot = 6;
	says(&t, "there is none in its slot");
	t.slot = CONF_TOKEN_ANY; /* the only one */
	t.scheme = IKE_SCHEME_NONE;
	says(&t, "makes no signatures of the kind");
	t.op = IKE_TOKEN_CERT;
	says(&t, "no certificate with this handle");
	finish();
}

/* Lengths that are longer than what there is are no lengths. */
static void test_S25_token_lengths(void)
{
	struct ike_token_task t = task(1, "right");

	begin("");
	says_of("long", "not encoded as PKCS#11 says");
	t.op = IKE_TOKEN_KEY;
	says(&t, "not encoded as PKCS#11 says");
	finish();
}

/* A module that dies takes nothing with it but what it was doing, and is there again. */
static void test_crash(void)
{
	const struct ike_token_task dies = task(1, "crash"), behind = task(2, "right");
	struct signer_answer a;

	begin("");
	CU_ASSERT_EQUAL(signer.ops->begin(signer.ctx, &dies), ERR_OK);
	CU_ASSERT_EQUAL(signer.ops->begin(signer.ctx, &behind), ERR_OK);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_TRUE_FATAL(next(&a));
		CU_ASSERT_PTR_NOT_NULL(strstr(a.why, "its module has crashed"));
	}
	says_of("gone", "it is gone");
	finish();
}

/* Nor does it take anything with it if it thinks that it may end the program. */
static void test_exit(void)
{
	begin("");
	says_of("exit", "its module has crashed");
	says_of("gone", "it is gone");
	finish();
}

/* Who is not there any more is said to have gone, each time, and wakes nobody. */
static void test_ended(void)
{
	struct pollfd p = {.events = POLLIN};
	struct signer_answer a;
	char path[64];
	int pid = 0;
	FILE *f;

	begin("");
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	f = fopen(path, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL_FATAL(fscanf(f, "%d", &pid), 1);
	fclose(f);
	CU_ASSERT_EQUAL(kill(pid, SIGKILL), 0);
	CU_ASSERT_EQUAL(waitpid(pid, NULL, 0), pid);
	says_of("right", "has ended: start the daemon anew");
	says_of("right", "has ended: start the daemon anew");
	CU_ASSERT_FALSE(signer.ops->next(signer.ctx, &a));
	p.fd = signer.ops->fd(signer.ctx);
	CU_ASSERT_EQUAL(poll(&p, 1, 0), 0);
	signer.ops->close(signer.ctx);
	unlink(log_path);
}

/* No more are under way than there is room for. */
static void test_at_once(void)
{
	struct signer_answer a;
	struct ike_token_task t;

	begin("");
	for (uint64_t i = 1; i <= TOKEN_AT_ONCE; i++) {
		t = task(i, "right");
		CU_ASSERT_EQUAL(signer.ops->begin(signer.ctx, &t), ERR_OK);
	}
	t = task(100, "right");
	CU_ASSERT_EQUAL(signer.ops->begin(signer.ctx, &t), ERR_LIMIT);
	CU_ASSERT_TRUE_FATAL(next(&a));
	CU_ASSERT_EQUAL(signer.ops->begin(signer.ctx, &t), ERR_OK);
	finish();
}

static const struct tap_test tests[] = {
	TAP_TEST(test_signs),
	TAP_TEST(test_without_modules),
	TAP_TEST(test_S25_token_wrong_pin_once),
	TAP_TEST(test_S25_token_died_over_it),
	TAP_TEST(test_S25_token_last_try),
	TAP_TEST(test_S25_token_each_time),
	TAP_TEST(test_other_modules),
	TAP_TEST(test_places),
	TAP_TEST(test_S25_token_lengths),
	TAP_TEST(test_S25_token_wrong_pin_kept),
	TAP_TEST(test_crash),
	TAP_TEST(test_exit),
	TAP_TEST(test_ended),
	TAP_TEST(test_at_once),
};

/* The module lies beside the program, and is named by its whole path. */
int main(void)
{
	char path[sizeof(module.path)];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	if (len < 0)
		return 2;
	path[len] = '\0';
	slash = strrchr(path, '/');
	snprintf(slash + 1, sizeof(path) - (size_t)(slash + 1 - path), "fake_module.so");
	own_module = path;
	snprintf(module.path, sizeof(module.path), "%s", own_module);
	return tap_main("api/token", tests, ARRAY_LEN(tests));
}
