/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fake_host.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Counts the call; the error if this is the one that shall fail. */
static enum err call(struct fake_host *f, const char *op)
{
	f->num_calls++;
	if (!f->fail_op || (strcmp(f->fail_op, "*") != 0 && strcmp(f->fail_op, op) != 0))
		return ERR_OK;
	if (f->fail_skip-- > 0)
		return ERR_OK;
	f->fail_op = NULL;
	errno = EIO;
	return f->fail_err;
}

static size_t find(const struct fake_host *f, const char *line)
{
	size_t i = 0;

	while (i < f->num_lines && strcmp(f->lines[i], line) != 0)
		i++;
	return i;
}

static void add(struct fake_host *f, const char *line)
{
	if (find(f, line) < f->num_lines)
		return;
	assert(f->num_lines < FAKE_HOST_LINES);
	snprintf(f->lines[f->num_lines++], FAKE_HOST_LINE_MAX, "%s", line);
}

/* The words of `words` stand in the line, as whole words, at its beginning or (anywhere) further
 * on. */
static bool has_words(const char *line, const char *words, bool anywhere)
{
	size_t len = strlen(words);

	for (const char *at = line; (at = strstr(at, words)) != NULL; at++) {
		bool starts = at == line || (anywhere && at[-1] == ' ');

		if (starts && (at[len] == '\0' || at[len] == ' '))
			return true;
	}
	return false;
}

/* Takes away every line that has these words. */
static void drop(struct fake_host *f, const char *words, bool anywhere)
{
	size_t kept = 0;

	for (size_t i = 0; i < f->num_lines; i++) {
		if (has_words(f->lines[i], words, anywhere))
			continue;
		if (kept != i)
			memcpy(f->lines[kept], f->lines[i], FAKE_HOST_LINE_MAX);
		kept++;
	}
	f->num_lines = kept;
}

static bool bad_name(const char *ifname)
{
	return !*ifname || strlen(ifname) > 15 || strchr(ifname, '/') || strchr(ifname, ' ');
}

static enum err open_queue(struct fake_host *f, struct host_tap *out)
{
	int pair[2];

	if (f->num_taps == FAKE_HOST_FDS ||
	    socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
		return ERR_SYS;
	f->tap_peers[f->num_taps++] = pair[1];
	*out = (struct host_tap){.fd = pair[0], .tun = f->tun_only, .offloads = f->given};
	return ERR_OK;
}

static enum err tap_open(void *ctx, struct host_tap *out, uint32_t *out_num, const char *name,
			 uint32_t offloads, uint32_t num)
{
	struct fake_host *f = ctx;
	char line[FAKE_HOST_LINE_MAX];
	enum err e = call(f, "tap_open");

	if (e)
		return e;
	if (bad_name(name) || !num)
		return ERR_INVAL;
	if (f->queues && f->queues < num)
		num = f->queues;
	f->given = offloads & f->offloads;
	for (uint32_t i = 0; i < num; i++)
		if (open_queue(f, &out[i]))
			return ERR_SYS;
	*out_num = num;
	snprintf(line, sizeof(line), "tap %s", name);
	add(f, line);
	return ERR_OK;
}

static enum err link_gso(void *ctx, const char *ifname, uint32_t max_len, uint32_t max_num)
{
	struct fake_host *f = ctx;
	char line[FAKE_HOST_LINE_MAX];
	enum err e = call(f, "link_gso");

	if (e)
		return e;
	snprintf(line, sizeof(line), "gso %s", ifname);
	drop(f, line, false);
	snprintf(line, sizeof(line), "gso %s %u bytes %u segments", ifname, max_len, max_num);
	add(f, line);
	return ERR_OK;
}

static enum err link_set(void *ctx, const char *ifname, uint32_t mtu, const uint8_t *mac)
{
	struct fake_host *f = ctx;
	char line[FAKE_HOST_LINE_MAX];
	enum err e = call(f, "link_set");

	(void)mac;
	if (e)
		return e;
	snprintf(line, sizeof(line), "link %s", ifname);
	drop(f, line, false);
	snprintf(line, sizeof(line), "link %s mtu %u", ifname, mtu);
	add(f, line);
	return ERR_OK;
}

/* With a link everything goes that stands on it, as in the kernel. */
static enum err link_del(void *ctx, const char *ifname)
{
	struct fake_host *f = ctx;
	char line[FAKE_HOST_LINE_MAX];
	enum err e = call(f, "link_del");

	if (e)
		return e;
	snprintf(line, sizeof(line), "link %s", ifname);
	drop(f, line, false);
	snprintf(line, sizeof(line), "addr %s", ifname);
	drop(f, line, false);
	snprintf(line, sizeof(line), "tap %s", ifname);
	drop(f, line, false);
	snprintf(line, sizeof(line), "gso %s", ifname);
	drop(f, line, false);
	snprintf(line, sizeof(line), "dev %s", ifname);
	drop(f, line, true);
	return ERR_OK;
}

static enum err link_mtu(void *ctx, uint32_t *out_mtu, const struct ip_addr *remote)
{
	struct fake_host *f = ctx;
	enum err e = call(f, "link_mtu");

	(void)remote;
	if (!e)
		*out_mtu = f->link_mtu;
	return e;
}

static void addr_line(char line[static FAKE_HOST_LINE_MAX], const char *ifname,
		      const struct ip_prefix *addr)
{
	char text[PREFIX_TEXT_MAX];

	snprintf(line, FAKE_HOST_LINE_MAX, "addr %s %s", ifname, ip_prefix_text(text, addr));
}

static enum err link_look(void *ctx, struct host_link *out, const char *ifname,
			  const struct ip_addr *addr)
{
	struct fake_host *f = ctx;
	const struct ip_prefix whole = {.addr = *addr, .len = (uint8_t)(ip_addr_len(addr) * 8)};
	char line[FAKE_HOST_LINE_MAX];
	enum err e = call(f, "link_look");

	if (e)
		return e;
	*out = (struct host_link){.used = f->link_used};
	snprintf(line, sizeof(line), "tap %s", ifname);
	for (size_t i = 0; i < f->num_lines; i++)
		if (strcmp(f->lines[i], line) == 0)
			out->ifindex = f->ifindex;
	if (addr->family) {
		addr_line(line, ifname, &whole);
		out->has = fake_host_has(f, line);
	}
	return out->ifindex ? ERR_OK : ERR_NOT_FOUND;
}

static enum err addr_add(void *ctx, const char *ifname, const struct ip_prefix *addr)
{
	char line[FAKE_HOST_LINE_MAX];
	enum err e = call(ctx, "addr_add");

	if (e)
		return e;
	addr_line(line, ifname, addr);
	add(ctx, line);
	return ERR_OK;
}

static enum err addr_del(void *ctx, const char *ifname, const struct ip_prefix *addr)
{
	char line[FAKE_HOST_LINE_MAX];
	enum err e = call(ctx, "addr_del");

	if (e)
		return e;
	addr_line(line, ifname, addr);
	drop(ctx, line, false);
	return ERR_OK;
}

static void route_line(char line[static FAKE_HOST_LINE_MAX], const struct ip_prefix *dst,
		       const char *ifname)
{
	char text[PREFIX_TEXT_MAX];

	snprintf(line, FAKE_HOST_LINE_MAX, "route %s dev %s", ip_prefix_text(text, dst), ifname);
}

static enum err route_add(void *ctx, const struct ip_prefix *dst, const char *ifname,
			  const struct ip_addr *src)
{
	char line[FAKE_HOST_LINE_MAX], text[IP_TEXT_MAX];
	enum err e = call(ctx, "route_add");

	if (e)
		return e;
	route_line(line, dst, ifname);
	drop(ctx, line, false);
	if (src && src->family != IP_NONE) {
		size_t used = strlen(line);

		snprintf(line + used, sizeof(line) - used, " src %s", ip_addr_text(text, src));
	}
	add(ctx, line);
	return ERR_OK;
}

static enum err route_del(void *ctx, const struct ip_prefix *dst, const char *ifname)
{
	char line[FAKE_HOST_LINE_MAX];
	enum err e = call(ctx, "route_del");

	if (e)
		return e;
	route_line(line, dst, ifname);
	drop(ctx, line, false);
	return ERR_OK;
}

static enum err route_flush(void *ctx, const char *ifname)
{
	struct fake_host *f = ctx;
	enum err e = call(f, "route_flush");

	(void)ifname; /* a fake host has one device with routes */
	if (!e)
		drop(f, "route", false);
	return e;
}

static enum err rules_set(void *ctx, const char *ifname)
{
	char line[FAKE_HOST_LINE_MAX];
	enum err e = call(ctx, "rules_set");

	if (e)
		return e;
	drop(ctx, "rules", false);
	snprintf(line, sizeof(line), "rules %s", ifname);
	add(ctx, line);
	return ERR_OK;
}

static enum err rules_del(void *ctx)
{
	enum err e = call(ctx, "rules_del");

	if (!e)
		drop(ctx, "rules", false);
	return e;
}

static enum err guard_devices(void *ctx, const char *const *names, size_t num)
{
	enum err e = call(ctx, "guard_devices");

	if (e)
		return e;
	drop(ctx, "device", false);
	for (size_t i = 0; i < num; i++) {
		char line[FAKE_HOST_LINE_MAX];

		snprintf(line, sizeof(line), "device %s", names[i]);
		add(ctx, line);
	}
	return ERR_OK;
}

static enum err guard_set(void *ctx, const char *ifname, const struct guard_entry *entries,
			  size_t num_entries)
{
	enum err e = call(ctx, "guard_set");

	if (e)
		return e;
	drop(ctx, "guard", false);
	for (size_t i = 0; i < num_entries; i++) {
		char local[TS_TEXT_MAX], remote[TS_TEXT_MAX], line[FAKE_HOST_LINE_MAX];

		snprintf(line, sizeof(line), "guard %s %s %s%s%s", ifname,
			 ts_text(local, &entries[i].local), ts_text(remote, &entries[i].remote),
			 entries[i].capture ? " capture" : "", entries[i].pass ? " pass" : "");
		add(ctx, line);
	}
	return ERR_OK;
}

static enum err guard_del(void *ctx)
{
	enum err e = call(ctx, "guard_del");

	if (!e) {
		drop(ctx, "guard", false);
		drop(ctx, "device", false);
	}
	return e;
}

static enum err source_for(void *ctx, struct ip_addr *out, const struct ip_addr *remote)
{
	struct fake_host *f = ctx;
	const struct ip_addr *a = remote->family == IP_V4 ? &f->source4 : &f->source6;
	enum err e = call(f, "source_for");

	f->num_sources++;
	if (e)
		return e;
	if (a->family == IP_NONE)
		return ERR_NOT_FOUND;
	*out = *a;
	return ERR_OK;
}

static enum err local_in(void *ctx, struct ip_addr *out, const struct ts *ts)
{
	struct fake_host *f = ctx;
	enum err e = call(f, "local_in");

	if (e)
		return e;
	if (f->local.family != ts->lo.family || ip_addr_cmp(&f->local, &ts->lo) < 0 ||
	    ip_addr_cmp(&f->local, &ts->hi) > 0)
		return ERR_NOT_FOUND;
	*out = f->local;
	return ERR_OK;
}

static void add_addr(struct host_addr *out, size_t *num, size_t max, const struct ip_addr *addr,
		     const char *ifname, bool running)
{
	if (!addr->family || *num == max)
		return;
	out[*num] = (struct host_addr){.addr = *addr, .running = running};
	snprintf(out[*num].ifname, sizeof(out[*num].ifname), "%s", ifname);
	(*num)++;
}

static enum err addrs(void *ctx, struct host_addr *out, size_t *out_num, size_t max)
{
	struct fake_host *f = ctx;
	enum err e = call(f, "addrs");
	char name[16];
	size_t num = 0;

	f->num_addrs++;
	if (e)
		return e;
	add_addr(out, &num, max, &f->source4, "eth0", true);
	add_addr(out, &num, max, &f->source6, "eth0", true);
	for (size_t i = 0; i < ARRAY_LEN(f->more); i++) {
		snprintf(name, sizeof(name), "more%zu", i);
		add_addr(out, &num, max, &f->more[i], name, !f->link_down[i]);
	}
	*out_num = num;
	return ERR_OK;
}

static enum err watch_open(void *ctx, int *out_fd)
{
	struct fake_host *f = ctx;
	enum err e = call(f, "watch_open");
	int pair[2];

	if (e)
		return e;
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
		return ERR_SYS;
	if (f->watch_peer > 0)
		close(f->watch_peer);
	f->watch_peer = pair[1];
	*out_fd = pair[0];
	return ERR_OK;
}

static enum err watch_read(void *ctx, int fd, bool *out_changed)
{
	enum err e = call(ctx, "watch_read");
	char byte;

	if (e)
		return e;
	*out_changed = false;
	while (read(fd, &byte, 1) == 1)
		*out_changed |= byte == 'y';
	return ERR_OK;
}

void fake_host_changed(struct fake_host *f, bool by_others)
{
	ssize_t n = write(f->watch_peer, by_others ? "y" : "n", 1);

	assert(n == 1);
}

/* Nobody's wire is here. */
static enum err shadow_open(void *ctx, int *out_fds, uint32_t *num, uint32_t *out_ifindex,
			    const char *name, const uint8_t *mac, uint32_t mtu, uint32_t *offloads)
{
	enum err e = call(ctx, "shadow_open");

	(void)out_fds, (void)num, (void)out_ifindex, (void)name, (void)mac, (void)mtu;
	(void)offloads;
	return e ? e : ERR_UNSUPPORTED;
}

static enum err mirror_open(void *ctx, struct host_mirror **out, int *out_fd)
{
	enum err e = call(ctx, "mirror_open");

	(void)out, (void)out_fd;
	return e ? e : ERR_UNSUPPORTED;
}

/* open_udp - a socket at ss, which becomes what it is bound to. */
static enum err open_udp(int *out_fd, struct sockaddr_storage *ss, socklen_t len, bool shared)
{
	const int on = 1;
	int fd = socket(ss->ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return ERR_SYS;
	if (ss->ss_family == AF_INET)
		setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	else
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
	if ((shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0) ||
	    bind(fd, (const struct sockaddr *)ss, len) != 0 ||
	    getsockname(fd, (struct sockaddr *)ss, &len) != 0) {
		close(fd);
		return ERR_SYS;
	}
	*out_fd = fd;
	return ERR_OK;
}

/* True sockets, but on the loopback address and on a port of the kernel's choice. */
static enum err udp_open(void *ctx, int *out_fds, enum ip_family family, uint16_t port,
			 uint32_t num)
{
	static const uint8_t loopback4[4] = {127, 0, 0, 1};
	static const uint8_t loopback6[16] = {[15] = 1};
	const struct endpoint e = {.addr = family == IP_V4 ? ip_addr_v4(loopback4)
							   : ip_addr_v6(loopback6),
				   .port = port >= 1024 ? port : 0};
	struct sockaddr_storage ss;
	socklen_t len = endpoint_to_sockaddr(&ss, &e);
	enum err err = call(ctx, "udp_open");
	uint32_t got = 0;

	while (!err && got < num) {
		err = open_udp(&out_fds[got], &ss, len, num > 1);
		if (!err)
			got++;
	}
	while (err && got)
		close(out_fds[--got]);
	return err;
}

static enum err udp_connect(void *ctx, int *out_fd, const struct endpoint *remote)
{
	struct sockaddr_storage ss;
	socklen_t len = endpoint_to_sockaddr(&ss, remote);
	enum err e = call(ctx, "udp_connect");

	if (e)
		return e;
	*out_fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (*out_fd >= 0 && !connect(*out_fd, (const struct sockaddr *)&ss, len))
		return ERR_OK;
	close(*out_fd);
	return ERR_SYS;
}

static enum err udp_steer(void *ctx, int fd, uint32_t shift, uint32_t num)
{
	struct fake_host *f = ctx;
	enum err e = call(f, "udp_steer");

	(void)fd;
	if (e)
		return e;
	f->steer_shift = shift;
	f->steer_num = num;
	f->num_steered++;
	return ERR_OK;
}

/* Without a network namespace of one's own there is nothing to send bare ESP by. */
static enum err esp_open(void *ctx, int *out_fds, enum ip_family family, uint32_t num,
			 uint32_t shift)
{
	struct fake_host *f = ctx;
	enum err e = call(f, "esp_open");

	if (e)
		return e;
	errno = EPERM;
	if (!f->raw_esp)
		return ERR_PERM;
	(void)shift;
	for (uint32_t i = 0; i < num; i++) {
		out_fds[i] = socket(family == IP_V4 ? AF_INET : AF_INET6,
				    SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ESP);
		if (out_fds[i] < 0) {
			while (i)
				close(out_fds[--i]);
			return ERR_SYS;
		}
	}
	return ERR_OK;
}

static enum err socket_inspect(void *ctx, struct host_socket *out, int fd, const struct flow *pair)
{
	struct fake_host *f = ctx;
	enum err e = call(f, "socket_inspect");

	(void)fd;
	(void)pair;
	if (e)
		return e;
	if (!f->socket.flow.proto)
		return ERR_INVAL;
	*out = f->socket;
	return ERR_OK;
}

static enum err socket_mark(void *ctx, int fd, uint32_t token)
{
	struct fake_host *f = ctx;
	enum err e = call(f, "socket_mark");

	(void)fd;
	if (!e)
		f->socket_token = token;
	return e;
}

static enum err sockets_open(void *ctx, int *out_fd)
{
	struct fake_host *f = ctx;
	enum err e = call(f, "sockets_open");
	int pair[2];

	if (e)
		return e;
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
		return ERR_SYS;
	if (f->sockets_peer > 0)
		close(f->sockets_peer);
	f->sockets_peer = pair[1];
	*out_fd = pair[0];
	return ERR_OK;
}

static enum err sockets_read(void *ctx, int fd, bool *out_lost,
			     void (*fn)(void *arg, uint64_t cookie), void *arg)
{
	enum err e = call(ctx, "sockets_read");
	uint64_t cookie;

	if (e)
		return e;
	*out_lost = false;
	while (read(fd, &cookie, sizeof(cookie)) == sizeof(cookie)) {
		if (cookie)
			fn(arg, cookie);
		else
			*out_lost = true;
	}
	return ERR_OK;
}

static enum err socket_alive(void *ctx, bool *out, const struct flow *flow, uint64_t cookie)
{
	struct fake_host *f = ctx;
	enum err e = call(f, "socket_alive");

	(void)flow;
	if (!e)
		*out = cookie != f->dead_cookie;
	return e;
}

void fake_host_closed(struct fake_host *f, uint64_t cookie)
{
	ssize_t n = write(f->sockets_peer, &cookie, sizeof(cookie));

	assert(n == sizeof(cookie));
}

static enum err flow_guard(void *ctx, const char *ifname, const struct flow *flow, bool on)
{
	const struct endpoint local = {.addr = flow->local, .port = flow->local_port};
	const struct endpoint remote = {.addr = flow->remote, .port = flow->remote_port};
	char a[ENDPOINT_TEXT_MAX], b[ENDPOINT_TEXT_MAX], line[FAKE_HOST_LINE_MAX];
	enum err e = call(ctx, "flow_guard");

	if (e)
		return e;
	if (((const struct fake_host *)ctx)->no_guard)
		return ERR_NOMEM;
	if (flow->local_port && flow->remote.family && !flow->remote_port)
		return ERR_INVAL; /* as the real one says */
	snprintf(line, sizeof(line), "flow %s %s %s %u", ifname, endpoint_text(a, &local),
		 endpoint_text(b, &remote), flow->proto);
	drop(ctx, line, false);
	if (on)
		add(ctx, line);
	return ERR_OK;
}

static enum err flow_guard_only(void *ctx, const char *ifname, const struct flow *flows, size_t num)
{
	char line[FAKE_HOST_LINE_MAX];
	enum err e = call(ctx, "flow_guard_only");

	if (e)
		return e;
	snprintf(line, sizeof(line), "flow %s", ifname);
	drop(ctx, line, false);
	for (size_t i = 0; i < num && !e; i++)
		e = flow_guard(ctx, ifname, &flows[i], true);
	return e;
}

static enum err token_set(void *ctx, const char *ifname)
{
	char line[FAKE_HOST_LINE_MAX];
	enum err e = call(ctx, "token_set");

	if (e)
		return e;
	snprintf(line, sizeof(line), "token %s", ifname);
	add(ctx, line);
	return ERR_OK;
}

static enum err token_del(void *ctx, const char *ifname)
{
	char line[FAKE_HOST_LINE_MAX];
	enum err e = call(ctx, "token_del");

	if (e)
		return e;
	snprintf(line, sizeof(line), "token %s", ifname);
	drop(ctx, line, false);
	return ERR_OK;
}

/* Any descriptor is of the group that has its number. */
static enum err cgroup_mark(void *ctx, struct host_cgroup *out, int fd, uint32_t token)
{
	char line[FAKE_HOST_LINE_MAX];
	enum err e = call(ctx, "cgroup_mark");

	if (e)
		return e;
	*out = (struct host_cgroup){.id = (uint64_t)fd, .level = 1};
	snprintf(line, sizeof(line), "cgroup %d", fd);
	drop(ctx, line, false);
	snprintf(line, sizeof(line), "cgroup %d %u", fd, token);
	add(ctx, line);
	return ERR_OK;
}

static bool cgroup_populated(void *ctx, int fd)
{
	(void)fd;
	return ((const struct fake_host *)ctx)->populated;
}

static enum err cgroup_del(void *ctx, const struct host_cgroup *g)
{
	char line[FAKE_HOST_LINE_MAX];
	enum err e = call(ctx, "cgroup_del");

	if (e)
		return e;
	snprintf(line, sizeof(line), "cgroup %d", (int)g->id);
	drop(ctx, line, false);
	return ERR_OK;
}

static enum err rp_filter_check(void *ctx, bool *out_ok, const char **out_text)
{
	struct fake_host *f = ctx;
	enum err e = call(f, "rp_filter_check");

	if (e)
		return e;
	*out_ok = f->rp_filter_ok;
	*out_text = f->rp_filter_ok ? "" : "rp_filter is 1 on the fake host";
	return ERR_OK;
}

static void close_host(void *ctx)
{
	struct fake_host *f = ctx;

	f->closed = true;
}

static const struct host_ops ops = {
	.tap_open = tap_open,
	.link_gso = link_gso,
	.link_set = link_set,
	.link_del = link_del,
	.link_mtu = link_mtu,
	.link_look = link_look,
	.addr_add = addr_add,
	.addr_del = addr_del,
	.route_add = route_add,
	.route_del = route_del,
	.route_flush = route_flush,
	.rules_set = rules_set,
	.rules_del = rules_del,
	.guard_devices = guard_devices,
	.guard_set = guard_set,
	.guard_del = guard_del,
	.source_for = source_for,
	.local_in = local_in,
	.addrs = addrs,
	.watch_open = watch_open,
	.watch_read = watch_read,
	.shadow_open = shadow_open,
	.mirror_open = mirror_open,
	.udp_open = udp_open,
	.udp_connect = udp_connect,
	.udp_steer = udp_steer,
	.esp_open = esp_open,
	.socket_inspect = socket_inspect,
	.socket_mark = socket_mark,
	.sockets_open = sockets_open,
	.sockets_read = sockets_read,
	.socket_alive = socket_alive,
	.flow_guard = flow_guard,
	.flow_guard_only = flow_guard_only,
	.token_set = token_set,
	.token_del = token_del,
	.cgroup_mark = cgroup_mark,
	.cgroup_populated = cgroup_populated,
	.cgroup_del = cgroup_del,
	.rp_filter_check = rp_filter_check,
	.close = close_host,
};

void fake_host_init(struct fake_host *f)
{
	static const uint8_t doc4[4] = {192, 0, 2, 1};
	static const uint8_t doc6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};

	memset(f, 0, sizeof(*f));
	f->host.ops = &ops;
	f->host.ctx = f;
	f->source4 = ip_addr_v4(doc4);
	f->source6 = ip_addr_v6(doc6);
	f->link_mtu = 1500;
	f->ifindex = 5;
	f->rp_filter_ok = true;
}

void fake_host_fini(struct fake_host *f)
{
	while (f->num_taps > 0)
		close(f->tap_peers[--f->num_taps]);
	if (f->watch_peer > 0)
		close(f->watch_peer);
	if (f->sockets_peer > 0)
		close(f->sockets_peer);
}

void fake_host_fail(struct fake_host *f, const char *op, enum err e, size_t skip)
{
	f->fail_op = op;
	f->fail_err = e;
	f->fail_skip = skip;
}

bool fake_host_has(const struct fake_host *f, const char *line)
{
	return find(f, line) < f->num_lines;
}

size_t fake_host_count(const struct fake_host *f, const char *beginning)
{
	size_t num = 0;

	for (size_t i = 0; i < f->num_lines; i++)
		num += strncmp(f->lines[i], beginning, strlen(beginning)) == 0;
	return num;
}
