/* SPDX-License-Identifier: Apache-2.0 */
#include "api/fetch/fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/alloc.h"
#include "base/list.h"

/* What of a response is not its body: a server that goes on with headers for ever is cut off. */
#define HEADERS_MAX 16384

#define EVENTS_PER_TURN 16

/* struct transfer - in `waiting`, `running`, then `done`, then the one that was taken last. */
struct transfer {
	struct list_node node;
	struct fetch *fetch;
	CURL *easy;
	struct curl_slist *headers;
	char *url, *type;
	uint8_t *body;
	size_t body_len;
	bool local;
	bool refused;  /* an address was not allowed */
	bool too_long; /* a bound was met */
	size_t headers_len;
	uint8_t *data;
	size_t len;
	struct fetch_answer answer;
};

struct fetch {
	CURLM *multi;
	int epoll_fd, timer_fd;
	uint32_t mark;
	uint32_t num_running, num_waiting;
	struct list_node waiting, running, done;
	struct transfer *taken; /* what its answer points to stays until the next one */
};

/* ---- addresses ------------------------------------------------------------------------------- */

/* What is never anybody else's, and what is nobody's in particular. Of IPv4 in IPv6 the IPv4
 * address decides. */
static const char *const local_prefixes[] = {
	"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3",
	"::/96",     "fe80::/10",   "fec0::/10",      "ff00::/8",
};

static bool is_local(const struct ip_addr *addr)
{
	for (size_t i = 0; i < ARRAY_LEN(local_prefixes); i++) {
		struct ip_prefix p;

		if (!ip_prefix_parse(&p, local_prefixes[i]) && ip_prefix_contains(&p, addr))
			return true;
	}
	return false;
}

/* is_own - the host has it: what it sends there it sends from there. No packet leaves for that. Nor
 * may a datagram go to the broadcast address of a network of its own. */
static bool is_own(const struct transfer *t, const struct curl_sockaddr *a)
{
	const int mark = (int)t->fetch->mark;
	struct sockaddr_storage to = {0}, from = {0};
	socklen_t len = sizeof(from);
	struct endpoint there, here;
	int fd = socket(a->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool own = false;

	memcpy(&to, &a->addr, a->addrlen);
	if (fd < 0)
		return true; /* nothing is known: it is not allowed */
	if (mark && setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)))
		own = true;
	else if (connect(fd, (struct sockaddr *)&to, a->addrlen))
		own = errno == EACCES; /* all others fail likewise when it is tried */
	else if (getsockname(fd, (struct sockaddr *)&from, &len) ||
		 endpoint_from_sockaddr(&there, &to) || endpoint_from_sockaddr(&here, &from))
		own = true;
	else
		own = ip_addr_equal(&there.addr, &here.addr);
	close(fd);
	return own;
}

static bool address_allowed(const struct transfer *t, const struct curl_sockaddr *a)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct sockaddr_storage ss = {0};
	struct endpoint ep;

	if (a->addrlen > sizeof(ss))
		return false;
	memcpy(&ss, &a->addr, a->addrlen);
	if (endpoint_from_sockaddr(&ep, &ss))
		return false;
	if (ep.addr.family == IP_V6 &&
	    bytes_equal(bytes_of(ep.addr.b, sizeof(mapped)), bytes_of(mapped, sizeof(mapped))))
		ep.addr = ip_addr_v4(ep.addr.b + sizeof(mapped));
	return t->local || (!is_local(&ep.addr) && !is_own(t, a));
}

/* on_socket_open - called with each address that is about to be connected to. */
static curl_socket_t on_socket_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct transfer *t = ctx;
	const int mark = (int)t->fetch->mark;
	int fd;

	if (purpose != CURLSOCKTYPE_IPCXN || !address_allowed(t, a)) {
		t->refused = true;
		return CURL_SOCKET_BAD;
	}
	fd = socket(a->family, a->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->protocol);
	if (fd < 0)
		return CURL_SOCKET_BAD;
	if (mark && setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark))) {
		close(fd);
		return CURL_SOCKET_BAD;
	}
	return fd;
}

/* ---- what comes ------------------------------------------------------------------------------ */

static size_t on_header(char *p, size_t size, size_t num, void *ctx)
{
	struct transfer *t = ctx;

	(void)p;
	t->headers_len += size * num;
	t->too_long |= t->headers_len > HEADERS_MAX;
	return t->too_long ? 0 : size * num;
}

static size_t on_data(char *p, size_t size, size_t num, void *ctx)
{
	struct transfer *t = ctx;
	const size_t more = size * num;

	if (more > FETCH_LEN_MAX - t->len) {
		t->too_long = true;
		return 0;
	}
	if (!t->data)
		t->data = mem_alloc(FETCH_LEN_MAX);
	if (!t->data)
		return 0;
	memcpy(t->data + t->len, p, more);
	t->len += more;
	return more;
}

/* ---- one transfer ---------------------------------------------------------------------------- */

static void transfer_free(struct transfer *t)
{
	if (!t)
		return;
	if (t->easy) {
		curl_multi_remove_handle(t->fetch->multi, t->easy);
		curl_easy_cleanup(t->easy);
	}
	curl_slist_free_all(t->headers);
	mem_free(t->url);
	mem_free(t->type);
	mem_free(t->body);
	mem_free(t->data);
	mem_free(t);
}

static struct transfer *transfer_new(struct fetch *f, const struct fetch_request *request)
{
	struct transfer *t = mem_alloc(sizeof(*t));

	if (!t)
		return NULL;
	*t = (struct transfer){.fetch = f, .local = request->local};
	t->answer.id = request->id;
	t->url = str_dup(request->url);
	t->type = request->type ? str_dup(request->type) : NULL;
	t->body_len = request->body.len;
	t->body = mem_alloc(request->body.len + 1);
	if (!t->url || !t->body || (request->type && !t->type)) {
		transfer_free(t);
		return NULL;
	}
	if (request->body.len)
		memcpy(t->body, request->body.p, request->body.len);
	return t;
}

static bool set_posted(struct transfer *t)
{
	char line[80];

	if (!t->type)
		return true;
	snprintf(line, sizeof(line), "Content-Type: %s", t->type);
	t->headers = curl_slist_append(NULL, line);
	return t->headers && !curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE, (long)t->body_len) &&
	       !curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, (const char *)t->body) &&
	       !curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
}

/* Without CURLOPT_QUICK_EXIT who gives a transfer up waits for the look-up of its name. */
static bool set_options(struct transfer *t)
{
	static const struct {
		CURLoption option;
		long value;
	} numbers[] = {
		{CURLOPT_FOLLOWLOCATION, 0},
		{CURLOPT_TIMEOUT_MS, FETCH_MS},
		{CURLOPT_MAXFILESIZE, FETCH_LEN_MAX},
		{CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1},
		{CURLOPT_FRESH_CONNECT, 1},
		{CURLOPT_FORBID_REUSE, 1},
		{CURLOPT_NOSIGNAL, 1},
		{CURLOPT_QUICK_EXIT, 1},
		{CURLOPT_DISALLOW_USERNAME_IN_URL, 1},
	};
	CURL *easy = t->easy;

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		if (curl_easy_setopt(easy, numbers[i].option, numbers[i].value))
			return false;
	}
	return !curl_easy_setopt(easy, CURLOPT_URL, t->url) &&
	       !curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http") &&
	       !curl_easy_setopt(easy, CURLOPT_PROXY, "") &&
	       !curl_easy_setopt(easy, CURLOPT_USERAGENT, "latchkey") &&
	       !curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_socket_open) &&
	       !curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, t) &&
	       !curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header) &&
	       !curl_easy_setopt(easy, CURLOPT_HEADERDATA, t) &&
	       !curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data) &&
	       !curl_easy_setopt(easy, CURLOPT_WRITEDATA, t) &&
	       !curl_easy_setopt(easy, CURLOPT_PRIVATE, t) && set_posted(t);
}

static void finish(struct transfer *t)
{
	list_push_back(&t->fetch->done, &t->node);
}

/* begin - it is running, or done with a reason why not. */
static void begin(struct transfer *t)
{
	struct fetch *f = t->fetch;

	t->easy = curl_easy_init();
	if (t->easy && set_options(t) && !curl_multi_add_handle(f->multi, t->easy)) {
		list_push_back(&f->running, &t->node);
		f->num_running++;
		return;
	}
	snprintf(t->answer.why, sizeof(t->answer.why), "it cannot be begun");
	finish(t);
}

static void begin_next(struct fetch *f)
{
	while (!list_empty(&f->waiting) && f->num_running < FETCH_AT_ONCE) {
		f->num_waiting--;
		begin(list_entry(list_pop_front(&f->waiting), struct transfer, node));
	}
}

/* judge - what came of it: whole, or a clause that says why not. */
static void judge(struct transfer *t, CURLcode code)
{
	char *why = t->answer.why;
	const size_t size = sizeof(t->answer.why);
	long status = 0;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	if (t->too_long || code == CURLE_FILESIZE_EXCEEDED)
		snprintf(why, size, "the answer is longer than %d bytes", FETCH_LEN_MAX);
	else if (t->refused)
		snprintf(why, size,
			 "its address is this host's own or of the link (latchkey.fetch_local)");
	else if (code == CURLE_OPERATION_TIMEDOUT)
		snprintf(why, size, "no answer within %d s", FETCH_MS / 1000);
	else if (code == CURLE_UNSUPPORTED_PROTOCOL)
		snprintf(why, size, "it is not HTTP");
	else if (code)
		snprintf(why, size, "%s", curl_easy_strerror(code));
	else if (status / 100 == 3)
		snprintf(why, size, "the server leads elsewhere (HTTP %ld)", status);
	else if (status != 200)
		snprintf(why, size, "the server said HTTP %ld", status);
	else if (!t->len)
		snprintf(why, size, "the answer is empty");
	if (!why[0])
		t->answer.data = bytes_of(t->data, t->len);
}

static void take_finished(struct fetch *f)
{
	struct CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(f->multi, &left))) {
		struct transfer *t = NULL;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&t);
		judge(t, msg->data.result);
		curl_multi_remove_handle(f->multi, t->easy);
		list_remove(&t->node);
		f->num_running--;
		finish(t);
	}
	begin_next(f);
}

/* ---- what libcurl waits for ------------------------------------------------------------------ */

static int on_watch(CURL *easy, curl_socket_t fd, int what, void *ctx, void *watched)
{
	struct fetch *f = ctx;
	struct epoll_event ev = {.data.fd = fd};

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		epoll_ctl(f->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	ev.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
	if (epoll_ctl(f->epoll_fd, watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &ev))
		return -1;
	curl_multi_assign(f->multi, fd, f);
	return 0;
}

static int on_timer(CURLM *multi, long ms, void *ctx)
{
	const struct fetch *f = ctx;
	struct itimerspec when = {0};

	(void)multi;
	if (ms >= 0) {
		when.it_value.tv_sec = ms / 1000;
		when.it_value.tv_nsec = ms % 1000 * 1000000 + (ms == 0); /* 0 would mean: never */
	}
	return timerfd_settime(f->timer_fd, 0, &when, NULL);
}

static void on_event(struct fetch *f, const struct epoll_event *ev)
{
	const bool timer = ev->data.fd == f->timer_fd;
	const int what = (ev->events & EPOLLIN ? CURL_CSELECT_IN : 0) |
			 (ev->events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
			 (ev->events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
	uint64_t times;
	int running;

	if (timer) {
		const ssize_t n = read(f->timer_fd, &times, sizeof(times));

		(void)n;
		curl_multi_socket_action(f->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	} else {
		curl_multi_socket_action(f->multi, ev->data.fd, what, &running);
	}
}

/* ---- the interface --------------------------------------------------------------------------- */

static int fetch_fd(void *ctx)
{
	const struct fetch *f = ctx;

	return f->epoll_fd;
}

static void fetch_dispatch(void *ctx)
{
	struct fetch *f = ctx;
	struct epoll_event ev[EVENTS_PER_TURN];
	int num = epoll_wait(f->epoll_fd, ev, EVENTS_PER_TURN, 0);

	for (int i = 0; i < num; i++)
		on_event(f, &ev[i]);
	take_finished(f);
}

static enum err fetch_begin(void *ctx, const struct fetch_request *request)
{
	struct fetch *f = ctx;
	struct transfer *t;

	if (f->num_running >= FETCH_AT_ONCE && f->num_waiting >= FETCH_WAITING)
		return ERR_LIMIT;
	t = transfer_new(f, request);
	if (!t)
		return ERR_NOMEM;
	list_push_back(&f->waiting, &t->node);
	f->num_waiting++;
	begin_next(f);
	return ERR_OK;
}

static bool fetch_next(void *ctx, struct fetch_answer *out)
{
	struct fetch *f = ctx;
	struct list_node *n = list_pop_front(&f->done);

	transfer_free(f->taken);
	f->taken = n ? list_entry(n, struct transfer, node) : NULL;
	if (f->taken)
		*out = f->taken->answer;
	return n != NULL;
}

static void free_list(struct list_node *list)
{
	list_for_each_safe (n, list) {
		list_remove(n);
		transfer_free(list_entry(n, struct transfer, node));
	}
}

static void fetch_close(void *ctx)
{
	struct fetch *f = ctx;

	free_list(&f->waiting);
	free_list(&f->running);
	free_list(&f->done);
	transfer_free(f->taken);
	curl_multi_cleanup(f->multi);
	if (f->timer_fd >= 0)
		close(f->timer_fd);
	if (f->epoll_fd >= 0)
		close(f->epoll_fd);
	mem_free(f);
	curl_global_cleanup();
}

static enum err prepare(struct fetch *f)
{
	struct epoll_event ev = {.events = EPOLLIN};

	f->multi = curl_multi_init();
	if (!f->multi)
		return ERR_NOMEM;
	f->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	f->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	ev.data.fd = f->timer_fd;
	if (f->epoll_fd < 0 || f->timer_fd < 0 ||
	    epoll_ctl(f->epoll_fd, EPOLL_CTL_ADD, f->timer_fd, &ev))
		return ERR_SYS;
	curl_multi_setopt(f->multi, CURLMOPT_SOCKETFUNCTION, on_watch);
	curl_multi_setopt(f->multi, CURLMOPT_SOCKETDATA, f);
	curl_multi_setopt(f->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(f->multi, CURLMOPT_TIMERDATA, f);
	curl_multi_setopt(f->multi, CURLMOPT_MAXCONNECTS, 1L);
	return ERR_OK;
}

static const struct fetcher_ops ops = {
	.fd = fetch_fd,
	.dispatch = fetch_dispatch,
	.begin = fetch_begin,
	.next = fetch_next,
	.close = fetch_close,
};

/* CURL_GLOBAL_NOTHING: there is no TLS here. */
enum err fetch_open(struct fetcher *out, uint32_t mark)
{
	struct fetch *f;
	enum err err;

	if (curl_global_init(CURL_GLOBAL_NOTHING))
		return ERR_NOMEM;
	f = mem_alloc(sizeof(*f));
	if (!f) {
		curl_global_cleanup();
		return ERR_NOMEM;
	}
	*f = (struct fetch){.epoll_fd = -1, .timer_fd = -1, .mark = mark};
	list_init(&f->waiting);
	list_init(&f->running);
	list_init(&f->done);
	err = prepare(f);
	if (err) {
		fetch_close(f);
		return err;
	}
	*out = (struct fetcher){.ops = &ops, .ctx = f};
	return ERR_OK;
}
