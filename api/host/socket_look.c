/* SPDX-License-Identifier: Apache-2.0 */
#include "api/host/socket_look.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/mptcp.h"

bool host_has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP ||
	       proto == IPPROTO_DCCP || proto == IPPROTO_UDPLITE;
}

static bool get(int fd, int level, int option, void *value, socklen_t len)
{
	return getsockopt(fd, level, option, value, &len) == 0;
}

static bool get_int(int fd, int option, int *out)
{
	return get(fd, SOL_SOCKET, option, out, sizeof(*out));
}

/* ---- what it is -------------------------------------------------------------------------------
 */

enum err host_socket_kind(uint8_t *out, int fd)
{
	int domain, type, proto;

	if (!get_int(fd, SO_DOMAIN, &domain) || !get_int(fd, SO_TYPE, &type) ||
	    !get_int(fd, SO_PROTOCOL, &proto))
		return ERR_INVAL;
	if (proto == IPPROTO_MPTCP)
		proto = IPPROTO_TCP;
	if ((domain != AF_INET && domain != AF_INET6) || proto <= 0 || proto > UINT8_MAX ||
	    (type == SOCK_RAW && host_has_ports((uint8_t)proto))) {
		errno = EINVAL;
		return ERR_INVAL;
	}
	*out = (uint8_t)proto;
	return ERR_OK;
}

/* struct end - one of its ends; scope: of an IPv6 link-local address. */
struct end {
	struct endpoint at;
	uint32_t scope;
};

static bool end_of(struct end *out, int fd, int (*ask)(int, struct sockaddr *, socklen_t *))
{
	struct sockaddr_storage ss = {0};
	socklen_t len = sizeof(ss);

	if (ask(fd, (struct sockaddr *)&ss, &len) < 0 || endpoint_from_sockaddr(&out->at, &ss))
		return false;
	out->scope = ss.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&ss)->sin6_scope_id : 0;
	return true;
}

static int local_end(int fd, struct sockaddr *sa, socklen_t *len)
{
	return getsockname(fd, sa, len);
}

static int remote_end(int fd, struct sockaddr *sa, socklen_t *len)
{
	return getpeername(fd, sa, len);
}

/* fill_flow - the ends; a protocol without ports has other numbers in their place. */
static enum err fill_flow(struct host_socket *s, int fd, uint32_t *out_scope)
{
	struct end local = {0}, remote = {0};

	if (!end_of(&local, fd, local_end))
		return host_failed();
	s->connected = end_of(&remote, fd, remote_end);
	if (!s->connected && errno != ENOTCONN)
		return host_failed();
	s->flow.local = local.at.addr;
	s->flow.remote = remote.at.addr;
	s->flow.no_ports = !host_has_ports(s->flow.proto);
	if (!s->flow.no_ports) {
		s->flow.local_port = local.at.port;
		s->flow.remote_port = remote.at.port;
	}
	*out_scope = local.scope;
	return ERR_OK;
}

/* takes_both - it is bound to any IPv6 address, and gets IPv4 too. */
static bool takes_both(int fd, const struct ip_addr *local)
{
	int only = 1;

	return local->family == IP_V6 && ip_addr_is_any(local) &&
	       get(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only)) && !only;
}

/* ---- how it is --------------------------------------------------------------------------------
 */

/* is_live - a state in which data may come or go. */
static bool is_live(uint8_t state)
{
	static const uint8_t live[] = {TCP_ESTABLISHED, TCP_FIN_WAIT1, TCP_FIN_WAIT2,
				       TCP_CLOSE_WAIT};

	return memchr(live, state, sizeof(live)) != NULL;
}

static bool tcp_live(int fd)
{
	struct tcp_info info = {0};

	return get(fd, IPPROTO_TCP, TCP_INFO, &info, sizeof(info)) && is_live(info.tcpi_state);
}

/* ---- MPTCP ------------------------------------------------------------------------------------
 */

/* choose - which of its pairs is meant. The kernel says which ones it has, not its owner. */
static enum err choose(struct host_socket *s, int fd, const struct flow *pair)
{
	struct flow pairs[MPTCP_PAIRS_MAX];
	uint32_t num = mptcp_pairs(pairs, fd);

	for (uint32_t i = 0; i < num; i++) {
		if (pair && memcmp(&pairs[i], pair, sizeof(*pair)) != 0)
			continue;
		s->flow = pairs[i];
		s->connected = true;
		return ERR_OK;
	}
	return pair ? ERR_NOT_FOUND : ERR_OK;
}

/* find_bound - one that is not bound yet has nothing that could be known by a number. */
static enum err find_bound(struct host_subflow *out, const struct host_socket *s, int fd)
{
	struct stat st;

	*out = (struct host_subflow){.cookie = s->cookie, .state = TCP_CLOSE};
	if (s->flow.local_port == 0)
		return ERR_OK;
	return fstat(fd, &st) ? host_failed()
			      : host_subflow_bound(out, &s->flow, (uint32_t)st.st_ino);
}

/* look_within - the pair's own socket has the cookie and the state; what has the connection's ends
 * and only listens is another one. */
static enum err look_within(struct host_socket *s, int fd, const struct flow *pair)
{
	struct host_subflow sub = {0};
	enum err err = choose(s, fd, pair);

	if (!err)
		err = s->connected || s->listening ? host_subflow_of(&sub, &s->flow)
						   : find_bound(&sub, s, fd);
	if (err)
		return err;
	if (s->listening != (sub.state == TCP_LISTEN))
		return ERR_NOT_FOUND;
	s->cookie = sub.cookie;
	s->live = s->connected && is_live(sub.state);
	return ERR_OK;
}

enum err host_socket_look(struct host_socket *out, uint32_t *out_scope, int fd,
			  const struct flow *pair)
{
	struct host_socket s = {0};
	uint32_t scope = 0;
	int listening = 0;
	enum err err = host_socket_kind(&s.flow.proto, fd);

	if (err)
		return err;
	if (!get(fd, SOL_SOCKET, SO_COOKIE, &s.cookie, sizeof(s.cookie)) ||
	    !get_int(fd, SO_ACCEPTCONN, &listening))
		return host_failed();
	err = fill_flow(&s, fd, &scope);
	if (err)
		return err;
	s.listening = listening != 0;
	s.live = s.connected && s.flow.proto == IPPROTO_TCP && tcp_live(fd);
	if (mptcp_is(fd))
		err = look_within(&s, fd, pair);
	else if (pair && memcmp(&s.flow, pair, sizeof(*pair)) != 0)
		err = ERR_NOT_FOUND;
	if (err)
		return err;
	if (!s.connected && takes_both(fd, &s.flow.local))
		s.flow.local = (struct ip_addr){.family = IP_NONE};
	*out = s;
	*out_scope = scope;
	return ERR_OK;
}
