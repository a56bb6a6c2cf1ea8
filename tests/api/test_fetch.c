/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is fetched, from a server of the test's own that behaves as badly as its path says, and what
 * is not. Nothing here is asserted of how long anything takes.
 */
#include "api/fetch/fetch.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "tests/tap/tap.h"

/* So long an answer is waited for before the test has failed. */
#define PATIENCE_MS 60000

static struct {
	uint16_t port;
	int fd;
	_Atomic uint32_t num;        /* connections, of all */
	_Atomic uint32_t held, most; /* that are held, and were at a time */
} server;

/* ---- the server ------------------------------------------------------------------------------ */

/* Until the other end has gone. */
static void swallow(int fd)
{
	char buf[512];

	while (recv(fd, buf, sizeof(buf), 0) > 0)
		;
}

static bool say(int fd, const char *text)
{
	const size_t len = strlen(text);

	return send(fd, text, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static void say_for_ever(int fd, const char *text)
{
	static const char line[] = "X-More: and more, and more, and more, and more, and more\r\n";

	(void)say(fd, text);
	while (say(fd, line))
		;
}

static void say_length_of(int fd, size_t len)
{
	char text[80];

	snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", len);
	(void)say(fd, text);
}

/* say_length - so many bytes, whose number is told before, or is not. */
static void say_length(int fd, size_t len, bool told)
{
	static const char zeros[1024];

	if (told)
		say_length_of(fd, len);
	else
		(void)say(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
	for (size_t sent = 0; sent < len; sent += sizeof(zeros)) {
		const size_t n = len - sent < sizeof(zeros) ? len - sent : sizeof(zeros);

		if (send(fd, zeros, n, MSG_NOSIGNAL) < 0)
			break;
	}
}

static void do_good(int fd, const char *request)
{
	(void)request;
	(void)say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
}

/* The request's own body, and its type. */
static void do_echo(int fd, const char *request)
{
	const char *body = strstr(request, "\r\n\r\n");
	const bool typed = strstr(request, "\r\nContent-Type: application/ocsp-request\r\n");

	if (strncmp(request, "POST ", 5) == 0 && typed && body) {
		say_length_of(fd, strlen(body + 4));
		(void)say(fd, body + 4);
	}
}

static void do_hang(int fd, const char *request)
{
	(void)request;
	swallow(fd);
}

static void do_drip(int fd, const char *request)
{
	(void)request;
	(void)say(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
	while (say(fd, "x"))
		usleep(100000);
}

static void do_hold(int fd, const char *request)
{
	const uint32_t held = ++server.held;

	if (server.most < held)
		server.most = held;
	usleep(50000);
	server.held--; /* before the other end can know */
	do_good(fd, request);
}

static void do_gigabyte(int fd, const char *request)
{
	say_length(fd, 1u << 30, strstr(request, "told"));
}

static void do_most(int fd, const char *request)
{
	say_length(fd, FETCH_LEN_MAX, strstr(request, "told"));
}

static void do_one_more(int fd, const char *request)
{
	say_length(fd, FETCH_LEN_MAX + 1, strstr(request, "told"));
}

static void do_headers(int fd, const char *request)
{
	(void)request;
	say_for_ever(fd, "HTTP/1.1 200 OK\r\n");
}

static void do_loop(int fd, const char *request)
{
	char text[128];

	(void)request;
	snprintf(text, sizeof(text),
		 "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%u/loop\r\n"
		 "Content-Length: 0\r\n\r\n",
		 server.port);
	(void)say(fd, text);
}

static void do_early(int fd, const char *request)
{
	(void)request;
	(void)say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
}

static void do_garbage(int fd, const char *request)
{
	(void)request;
	(void)say(fd, "\x16\x03\x01 this is no HTTP\r\n\r\n\r\n");
}

static void do_empty(int fd, const char *request)
{
	(void)request;
	(void)say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

static void do_missing(int fd, const char *request)
{
	(void)request;
	(void)say(fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nsorry");
}

static void do_nothing(int fd, const char *request)
{
	(void)fd;
	(void)request;
}

static const struct behaviour {
	const char *path;
	void (*fn)(int fd, const char *request);
} behaviours[] = {
	{"/good", do_good},   {"/echo", do_echo},         {"/hang", do_hang},
	{"/drip", do_drip},   {"/hold", do_hold},         {"/gigabyte", do_gigabyte},
	{"/most", do_most},   {"/one-more", do_one_more}, {"/headers", do_headers},
	{"/loop", do_loop},   {"/early", do_early},       {"/garbage", do_garbage},
	{"/empty", do_empty}, {"/missing", do_missing},   {"/nothing", do_nothing},
};

static void *serve_one(void *arg)
{
	const int fd = (int)(intptr_t)arg;
	char request[2048] = "";
	ssize_t n = recv(fd, request, sizeof(request) - 1, 0);
	const char *path = n > 0 ? strchr(request, ' ') : NULL;

	for (size_t i = 0; path && i < ARRAY_LEN(behaviours); i++) {
		const size_t len = strlen(behaviours[i].path);

		if (strncmp(path + 1, behaviours[i].path, len) == 0 && strchr(" ?", path[1 + len]))
			behaviours[i].fn(fd, request);
	}
	shutdown(fd, SHUT_WR);
	swallow(fd);
	close(fd);
	return NULL;
}

static void *serve(void *arg)
{
	(void)arg;
	for (;;) {
		const int fd = accept(server.fd, NULL, NULL);
		pthread_t thread;

		if (fd < 0)
			continue;
		server.num++;
		if (!pthread_create(&thread, NULL, serve_one, (void *)(intptr_t)fd))
			pthread_detach(thread);
	}
	return NULL;
}

/* Of both families, so that no spelling of this host finds nobody. */
static void start_server(void)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6};
	socklen_t len = sizeof(any);
	pthread_t thread;

	server.fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (server.fd < 0 || bind(server.fd, (struct sockaddr *)&any, sizeof(any)) ||
	    listen(server.fd, 64) || getsockname(server.fd, (struct sockaddr *)&any, &len) ||
	    pthread_create(&thread, NULL, serve, NULL))
		abort();
	server.port = ntohs(any.sin6_port);
}

/* ---- fetching -------------------------------------------------------------------------------- */

static struct fetcher fetcher;

static void begin(uint64_t id, const char *host, const char *path, bool local)
{
	struct fetch_request r = {.id = id, .local = local};
	char url[FETCH_URL_MAX];

	snprintf(url, sizeof(url), "http://%s:%u%s", host, server.port, path);
	r.url = url;
	CU_ASSERT_EQUAL_FATAL(fetcher.ops->begin(fetcher.ctx, &r), ERR_OK);
}

static void next(struct fetch_answer *out)
{
	while (!fetcher.ops->next(fetcher.ctx, out)) {
		struct pollfd p = {.fd = fetcher.ops->fd(fetcher.ctx), .events = POLLIN};

		if (poll(&p, 1, PATIENCE_MS) <= 0) {
			tap_diag("no answer at all");
			abort();
		}
		fetcher.ops->dispatch(fetcher.ctx);
	}
}

static void expect(const char *host, const char *path, bool local, const char *data,
		   const char *why)
{
	struct fetch_answer a;

	begin(7, host, path, local);
	next(&a);
	CU_ASSERT_EQUAL(a.id, 7);
	if (!strstr(a.why, why) || !*a.why != !*why)
		tap_diag("%s%s: '%s', not '%s'", host, path, a.why, why);
	CU_ASSERT_TRUE(strstr(a.why, why) && !*a.why == !*why);
	CU_ASSERT_TRUE(bytes_equal(a.data, bytes_of(data, strlen(data))));
}

static void open_fetcher(void)
{
	CU_ASSERT_EQUAL_FATAL(fetch_open(&fetcher, 0), ERR_OK);
}

static void close_fetcher(void)
{
	fetcher.ops->close(fetcher.ctx);
}

static void test_fetched(void)
{
	open_fetcher();
	expect("127.0.0.1", "/good", true, "hello", "");
	expect("localhost", "/good", true, "hello", "");
	expect("[::1]", "/good", true, "hello", "");
	close_fetcher();
}

static void test_posted(void)
{
	struct fetch_answer a;
	char url[64];
	const struct fetch_request r = {.url = url,
					.type = "application/ocsp-request",
					.body = bytes_of("question", 8),
					.local = true};

	open_fetcher();
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/echo", server.port);
	CU_ASSERT_EQUAL_FATAL(fetcher.ops->begin(fetcher.ctx, &r), ERR_OK);
	next(&a);
	CU_ASSERT_STRING_EQUAL(a.why, "");
	CU_ASSERT_TRUE(bytes_equal(a.data, bytes_of("question", 8)));
	close_fetcher();
}

/* Who behaves badly is given up, with a reason, and the next one is served. */
static void test_S27_bad_servers(void)
{
	static const struct {
		const char *path, *why;
	} rows[] = {
		{"/hang", "no answer within 2 s"},
		{"/drip", "no answer within 2 s"},
		{"/gigabyte", "longer than 65536"},
		{"/gigabyte?told", "longer than 65536"},
		{"/one-more", "longer than 65536"},
		{"/one-more?told", "longer than 65536"},
		{"/headers", "longer than 65536"},
		{"/early", "artial"},
		{"/garbage", "not HTTP"},
		{"/empty", "is empty"},
		{"/missing", "the server said HTTP 404"},
		{"/nothing", "othing"},
	};

	open_fetcher();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		expect("127.0.0.1", rows[i].path, true, "", rows[i].why);
		expect("127.0.0.1", "/good", true, "hello", "");
	}
	close_fetcher();
}

static void test_S27_length(void)
{
	static const char *const paths[] = {"/most", "/most?told"};
	struct fetch_answer a;

	open_fetcher();
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		begin(1, "127.0.0.1", paths[i], true);
		next(&a);
		CU_ASSERT_STRING_EQUAL(a.why, "");
		CU_ASSERT_EQUAL(a.data.len, FETCH_LEN_MAX);
	}
	close_fetcher();
}

static void test_S27_redirects(void)
{
	uint32_t before;

	open_fetcher();
	before = server.num;
	expect("127.0.0.1", "/loop", true, "", "leads elsewhere (HTTP 302)");
	CU_ASSERT_EQUAL(server.num, before + 1);
	close_fetcher();
}

/* By whatever name, this host and the link are not asked, and hear nothing. */
static void test_S27_local(void)
{
	static const char *const hosts[] = {
		"127.0.0.1",  "localhost",   "[::1]",     "[::ffff:127.0.0.1]",
		"127.1",      "0.0.0.0",     "[::]",      "2130706433",
		"0x7f000001", "169.254.7.7", "[fe80::1]", "255.255.255.255",
	};
	uint32_t before;

	open_fetcher();
	before = server.num;
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++)
		expect(hosts[i], "/good", false, "", "this host's own or of the link");
	CU_ASSERT_EQUAL(server.num, before);
	close_fetcher();
}

/* An address of this host that is no loopback one; false: it has none. */
static bool own_address(char out[static INET_ADDRSTRLEN])
{
	struct ifaddrs *all;
	bool found = false;

	if (getifaddrs(&all))
		return false;
	for (struct ifaddrs *i = all; i && !found; i = i->ifa_next) {
		if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET ||
		    (i->ifa_flags & IFF_LOOPBACK))
			continue;
		found = inet_ntop(
				AF_INET,
				&((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr,
				out, INET_ADDRSTRLEN) != NULL;
	}
	freeifaddrs(all);
	return found;
}

/* What the host has is its own, whatever it is called. */
static void test_S27_own_address(void)
{
	char own[INET_ADDRSTRLEN];

	if (!own_address(own)) {
		tap_skip("this host has no address but loopback ones");
		return;
	}
	open_fetcher();
	expect(own, "/good", false, "", "this host's own or of the link");
	close_fetcher();
}

static void test_S27_http_alone(void)
{
	static const struct {
		const char *url, *why;
	} rows[] = {
		{"file:///etc/hostname", "it is not HTTP"},
		{"https://127.0.0.1/", "it is not HTTP"},
		{"ldap://127.0.0.1/", "it is not HTTP"},
		{"gopher://127.0.0.1/", "it is not HTTP"},
		{"ftp://127.0.0.1/", "it is not HTTP"},
		{"http://a:b@127.0.0.1/good", ""},
	};
	struct fetch_answer a;

	open_fetcher();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct fetch_request r = {.url = rows[i].url, .local = true};

		CU_ASSERT_EQUAL_FATAL(fetcher.ops->begin(fetcher.ctx, &r), ERR_OK);
		next(&a);
		CU_ASSERT_TRUE(a.why[0] && strstr(a.why, rows[i].why) && !a.data.len);
	}
	close_fetcher();
}

/* No proxy stands between, whatever the environment says. */
static void test_S27_no_proxy(void)
{
	setenv("http_proxy", "http://192.0.2.1:9", 1);
	open_fetcher();
	expect("127.0.0.1", "/good", true, "hello", "");
	close_fetcher();
	unsetenv("http_proxy");
}

/* Who hangs delays nobody else. */
static void test_S27_beside_one_that_hangs(void)
{
	struct fetch_answer a;

	open_fetcher();
	begin(1, "127.0.0.1", "/hang", true);
	begin(2, "127.0.0.1", "/good", true);
	next(&a);
	CU_ASSERT_EQUAL(a.id, 2);
	CU_ASSERT_STRING_EQUAL(a.why, "");
	next(&a);
	CU_ASSERT_EQUAL(a.id, 1);
	CU_ASSERT_STRING_NOT_EQUAL(a.why, "");
	close_fetcher();
}

static void test_S27_at_once(void)
{
	const struct fetch_request r = {.url = "http://127.0.0.1:1/"};
	struct fetch_answer a;
	uint32_t num = 0;

	open_fetcher();
	server.most = 0;
	for (; num < FETCH_AT_ONCE + FETCH_WAITING; num++)
		begin(num, "127.0.0.1", "/hold", true);
	CU_ASSERT_EQUAL(fetcher.ops->begin(fetcher.ctx, &r), ERR_LIMIT);
	for (uint32_t i = 0; i < num; i++) {
		next(&a);
		CU_ASSERT_STRING_EQUAL(a.why, "");
	}
	CU_ASSERT_FALSE(fetcher.ops->next(fetcher.ctx, &a));
	CU_ASSERT_TRUE(server.most > 1 && server.most <= FETCH_AT_ONCE);
	close_fetcher();
}

/* Whoever goes while fetches are under way waits for nobody. */
static void test_closed_meanwhile(void)
{
	struct fetch_answer a;

	open_fetcher();
	for (uint32_t i = 0; i < FETCH_AT_ONCE + 3; i++)
		begin(i, "127.0.0.1", i ? "/hang" : "/good", true);
	next(&a);
	CU_ASSERT_EQUAL(a.id, 0);
	close_fetcher();
}

int main(void)
{
	static const struct tap_test tests[] = {
		TAP_TEST(test_fetched),         TAP_TEST(test_posted),
		TAP_TEST(test_S27_bad_servers), TAP_TEST(test_S27_length),
		TAP_TEST(test_S27_redirects),   TAP_TEST(test_S27_local),
		TAP_TEST(test_S27_own_address), TAP_TEST(test_S27_http_alone),
		TAP_TEST(test_S27_no_proxy),    TAP_TEST(test_S27_beside_one_that_hangs),
		TAP_TEST(test_S27_at_once),     TAP_TEST(test_closed_meanwhile),
	};

	start_server();
	return tap_main("api/fetch", tests, ARRAY_LEN(tests));
}
