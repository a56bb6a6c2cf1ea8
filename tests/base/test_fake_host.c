/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fake_host.h"

#include "tests/tap/tap.h"

#include <sys/socket.h>
#include <unistd.h>

static struct fake_host f;

static struct ip_prefix prefix(const char *text)
{
	struct ip_prefix p = {0};

	CU_ASSERT_EQUAL_FATAL(ip_prefix_parse(&p, text), ERR_OK);
	return p;
}

static struct ts selector(const char *text)
{
	struct ts t = {0};

	CU_ASSERT_EQUAL_FATAL(ts_parse(&t, text), ERR_OK);
	return t;
}

static void test_what_is_told_stands_once(void)
{
	const struct ip_prefix net = prefix("10.2.0.0/16"), addr = prefix("10.1.0.1/24");
	const struct host *h = &f.host;

	fake_host_init(&f);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(h->ops->link_set(h->ctx, "lk0", 1400, NULL), ERR_OK);
		CU_ASSERT_EQUAL(h->ops->addr_add(h->ctx, "lk0", &addr), ERR_OK);
		CU_ASSERT_EQUAL(h->ops->route_add(h->ctx, &net, "lk0", &addr.addr), ERR_OK);
		CU_ASSERT_EQUAL(h->ops->rules_set(h->ctx, "lk0"), ERR_OK);
	}
	CU_ASSERT(fake_host_has(&f, "link lk0 mtu 1400"));
	CU_ASSERT(fake_host_has(&f, "addr lk0 10.1.0.1/24"));
	CU_ASSERT(fake_host_has(&f, "route 10.2.0.0/16 dev lk0 src 10.1.0.1"));
	CU_ASSERT(fake_host_has(&f, "rules lk0"));
	CU_ASSERT_EQUAL(f.num_lines, 4);
	CU_ASSERT_EQUAL(f.num_calls, 8);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(h->ops->route_del(h->ctx, &net, "lk0"), ERR_OK);
		CU_ASSERT_EQUAL(h->ops->rules_del(h->ctx), ERR_OK);
		CU_ASSERT_EQUAL(h->ops->addr_del(h->ctx, "lk0", &addr), ERR_OK);
	}
	CU_ASSERT_EQUAL(f.num_lines, 1);
	fake_host_fini(&f);
}

static void test_a_link_takes_with_it_what_stands_on_it(void)
{
	const struct ip_prefix a = prefix("10.1.0.0/16"), b = prefix("10.2.0.0/16");
	const struct host *h = &f.host;

	fake_host_init(&f);
	CU_ASSERT_EQUAL(h->ops->route_add(h->ctx, &a, "lk0", NULL), ERR_OK);
	CU_ASSERT_EQUAL(h->ops->route_add(h->ctx, &b, "lk0", NULL), ERR_OK);
	CU_ASSERT_EQUAL(h->ops->route_add(h->ctx, &b, "lk01", NULL), ERR_OK);
	CU_ASSERT_EQUAL(h->ops->link_set(h->ctx, "lk0", 1400, NULL), ERR_OK);
	CU_ASSERT_EQUAL(h->ops->link_del(h->ctx, "lk0"), ERR_OK);
	CU_ASSERT_EQUAL(f.num_lines, 1);
	CU_ASSERT(fake_host_has(&f, "route 10.2.0.0/16 dev lk01"));
	fake_host_fini(&f);
}

static void test_the_guard_is_replaced(void)
{
	const struct guard_entry entries[] = {
		{.local = selector("10.1.0.0/16"), .remote = selector("10.2.0.0/16")},
		{.local = selector("10.1.0.1[tcp]"),
		 .remote = selector("10.3.0.1[tcp/80]"),
		 .capture = 1},
	};
	const struct host *h = &f.host;

	fake_host_init(&f);
	CU_ASSERT_EQUAL(h->ops->guard_set(h->ctx, "lk0", entries, 2), ERR_OK);
	CU_ASSERT(fake_host_has(&f, "guard lk0 10.1.0.0/16 10.2.0.0/16"));
	CU_ASSERT(fake_host_has(&f, "guard lk0 10.1.0.1/32[tcp] 10.3.0.1/32[tcp/80] capture"));
	CU_ASSERT_EQUAL(h->ops->guard_set(h->ctx, "lk0", entries, 1), ERR_OK);
	CU_ASSERT_EQUAL(fake_host_count(&f, "guard "), 1);
	CU_ASSERT_EQUAL(h->ops->guard_del(h->ctx), ERR_OK);
	CU_ASSERT_EQUAL(fake_host_count(&f, ""), 0);
	fake_host_fini(&f);
}

static void test_it_fails_when_told(void)
{
	const struct host *h = &f.host;

	fake_host_init(&f);
	fake_host_fail(&f, "rules_set", ERR_PERM, 1);
	CU_ASSERT_EQUAL(h->ops->rules_set(h->ctx, "lk0"), ERR_OK);
	CU_ASSERT_EQUAL(h->ops->guard_del(h->ctx), ERR_OK);
	CU_ASSERT_EQUAL(h->ops->rules_set(h->ctx, "lk1"), ERR_PERM);
	CU_ASSERT(fake_host_has(&f, "rules lk0"));
	CU_ASSERT_EQUAL(h->ops->rules_set(h->ctx, "lk1"), ERR_OK);
	fake_host_fini(&f);
}

static void test_devices_carry_frames(void)
{
	const struct host *h = &f.host;
	char buf[16];
	struct host_tap tap;
	uint32_t num = 0;
	int fd = -1;

	fake_host_init(&f);
	CU_ASSERT_EQUAL(h->ops->tap_open(h->ctx, &tap, &num, "a name too long for it", 0, 1),
			ERR_INVAL);
	CU_ASSERT_EQUAL_FATAL(h->ops->tap_open(h->ctx, &tap, &num, "lk0", 0, 1), ERR_OK);
	CU_ASSERT(!tap.tun);
	fd = tap.fd;
	CU_ASSERT_EQUAL(write(fd, "frame", 5), 5);
	CU_ASSERT_EQUAL(read(f.tap_peers[0], buf, sizeof(buf)), 5);
	CU_ASSERT_EQUAL(read(fd, buf, sizeof(buf)), -1);
	close(fd);
	CU_ASSERT_EQUAL_FATAL(h->ops->udp_open(h->ctx, &fd, IP_V4, 500, 1), ERR_OK);
	close(fd);
	fake_host_fini(&f);
}

static void test_addresses_are_answered(void)
{
	const struct ip_prefix remote = prefix("198.51.100.1"), own = prefix("10.1.0.7");
	const struct ts inside = selector("10.1.0.0/24"), outside = selector("10.2.0.0/24");
	const struct host *h = &f.host;
	struct ip_addr a;

	fake_host_init(&f);
	f.local = own.addr;
	CU_ASSERT_EQUAL(h->ops->source_for(h->ctx, &a, &remote.addr), ERR_OK);
	CU_ASSERT(ip_addr_equal(&a, &f.source4));
	CU_ASSERT_EQUAL(h->ops->local_in(h->ctx, &a, &inside), ERR_OK);
	CU_ASSERT(ip_addr_equal(&a, &own.addr));
	CU_ASSERT_EQUAL(h->ops->local_in(h->ctx, &a, &outside), ERR_NOT_FOUND);
	f.source4 = (struct ip_addr){0};
	CU_ASSERT_EQUAL(h->ops->source_for(h->ctx, &a, &remote.addr), ERR_NOT_FOUND);
	fake_host_fini(&f);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_what_is_told_stands_once),
	TAP_TEST(test_a_link_takes_with_it_what_stands_on_it),
	TAP_TEST(test_the_guard_is_replaced),
	TAP_TEST(test_it_fails_when_told),
	TAP_TEST(test_devices_carry_frames),
	TAP_TEST(test_addresses_are_answered),
};
TAP_MAIN("base/fake_host", tests)
