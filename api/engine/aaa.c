/* SPDX-License-Identifier: Apache-2.0 */
/* aaa.c - RADIUS servers that know who peers are: their sockets, and what they say as answers to
 * the keying engine, which goes on with everybody else meanwhile. */
#include <errno.h>
#include <unistd.h>

#include "api/engine/internal.h"
#include "base/alloc.h"
#include "control/radius.h"

static_assert(CONF_MAX_RADIUS == RADIUS_SERVERS_MAX && CONF_NAME_MAX == RADIUS_NAME_MAX,
	      "the same");

/* DATAGRAMS_PER_TURN - taken from one server before others have their turn. LINES_PER_S - of what
 * peers can cause. */
#define DATAGRAMS_PER_TURN 32
#define LINES_PER_S        5

/* struct aaa_link - the way to a server: a socket that hears nobody else, and has another port
 * whenever nothing was under way, so that whoever does not see it has to guess it anew. */
struct aaa_link {
	struct loop_source source; /* fd -1: none is open */
	struct endpoint to;
	bool reading; /* its ready() is running, which may not take it away */
};

struct aaa {
	struct radius *client;
	struct aaa_link links[RADIUS_SERVERS_MAX];
	struct log_limit limit;
};

static void link_close(struct engine *e, struct aaa_link *l)
{
	if (l->source.fd < 0)
		return;
	loop_unwatch(e, &l->source);
	close(l->source.fd);
	l->source.fd = -1;
}

static void settle(struct engine *e);

static void on_datagrams(struct engine *e, struct loop_source *source)
{
	struct aaa_link *l = container_of(source, struct aaa_link, source);
	uint8_t buf[RADIUS_DATAGRAM_MAX];

	l->reading = true;
	for (int i = 0; i < DATAGRAMS_PER_TURN; i++) {
		ssize_t n = recv(source->fd, buf, sizeof(buf), 0);

		if (n < 0 && errno != ECONNREFUSED && errno != EINTR)
			break;
		if (n >= 0) /* an ICMP error is anybody's: the server has its time */
			radius_receive(e->aaa->client, (uint32_t)(l - e->aaa->links),
				       bytes_of(buf, (size_t)n), engine_now(e));
		settle(e);
	}
	l->reading = false;
}

static enum err link_open(struct engine *e, struct aaa_link *l)
{
	enum err err = e->host.ops->udp_connect(e->host.ctx, &l->source.fd, &l->to);

	if (err) {
		l->source.fd = -1;
		return err;
	}
	l->source.ready = on_datagrams;
	err = loop_watch(e, &l->source);
	if (err) {
		close(l->source.fd);
		l->source.fd = -1;
	}
	return err;
}

/* What cannot be sent is as if it were lost. */
static void send_one(struct engine *e, const struct radius_datagram *d)
{
	struct aaa_link *l = &e->aaa->links[d->server];
	char text[ENDPOINT_TEXT_MAX];
	enum err err = ERR_OK;

	if (d->fresh && !l->reading)
		link_close(e, l);
	if (l->source.fd < 0)
		err = link_open(e, l);
	if (!err && send(l->source.fd, d->bytes.p, d->bytes.len, 0) < 0 && errno != ECONNREFUSED)
		err = ERR_SYS;
	if (err && log_limited(&e->aaa->limit, LINES_PER_S, engine_now(e)))
		LOG(WARN, NET, NULL, "nothing can be sent to the RADIUS server at %s: %s",
		    endpoint_text(text, &l->to), err_text(err));
}

static void tell(struct engine *e, const struct radius_answer *r)
{
	const struct ike_aaa aaa = {
		.accepted = r->outcome == RADIUS_ACCEPTED,
		.packet = r->eap,
		.key = r->msk,
		.token = r->token,
		.name = r->name,
		.session_s = r->session_s,
	};
	const struct ike_answer answer = {
		.allow = r->outcome != RADIUS_FAILED,
		.reason = IKE_REASON_AAA,
		.text = r->why,
		.aaa = &aaa,
	};

	ike_answer(e->ike, r->id, &answer, engine_now(e));
}

static void settle(struct engine *e)
{
	struct radius_datagram d;
	struct radius_answer r;

	while (radius_send_next(e->aaa->client, &d))
		send_one(e, &d);
	while (radius_answer_next(e->aaa->client, &r))
		tell(e, &r);
}

static void refuse(struct engine *e, const struct ike_ask *ask, enum err err)
{
	const char *text = err_text(err);
	struct ike_answer answer = {.reason = IKE_REASON_AAA};

	if (err == ERR_NOT_FOUND)
		text = "there is no RADIUS server (latchkey.radius.servers)";
	else if (err == ERR_BAD_STATE)
		text = "the RADIUS servers were changed: it may try again";
	else if (err == ERR_LIMIT)
		text = "its EAP packet or its name is too long for RADIUS, or too much is under "
		       "way";
	answer.text = text;
	ike_answer(e->ike, ask->id, &answer, engine_now(e));
}

void aaa_ask(struct engine *e, const struct ike_ask *ask)
{
	char called[ENDPOINT_TEXT_MAX], calling[ENDPOINT_TEXT_MAX];
	const struct radius_request request = {
		.id = ask->id,
		.eap = ask->eap_packet,
		.token = ask->aaa_token,
		.name = ask->eap_name,
		.called = endpoint_text(called, &ask->path->local),
		.calling = endpoint_text(calling, &ask->path->remote),
	};
	enum err err = radius_begin(e->aaa->client, &request, engine_now(e));

	if (err)
		refuse(e, ask, err);
	settle(e);
}

/* A server without a secret cannot be: the configuration is checked. */
static uint32_t read_servers(const struct conf *conf, struct radius_server *out)
{
	uint32_t num = 0;

	for (uint32_t i = 0; i < conf->daemon.radius.num_servers; i++) {
		const struct conf_radius_server *s = &conf->daemon.radius.servers[i];
		const struct conf_secret *secret = conf_find_radius_secret(conf, s->name);

		if (!secret)
			continue;
		out[num] = (struct radius_server){
			.addr = {.addr = s->addr, .port = s->port},
			.secret = bytes_of(secret->value.p, secret->value.len)};
		memcpy(out[num++].name, s->name, sizeof(s->name));
	}
	return num;
}

void aaa_configure(struct engine *e)
{
	const struct conf_radius *r = &e->conf->daemon.radius;
	struct radius_server servers[RADIUS_SERVERS_MAX];
	const struct radius_config config = {.servers = servers,
					     .num_servers = read_servers(e->conf, servers),
					     .nas = r->nas,
					     .timeout_ns = r->timeout_ns,
					     .tries = r->tries};

	if (radius_configure(e->aaa->client, &config, engine_now(e)))
		LOG(ERROR, CFG, NULL, "no memory for the RADIUS servers: none will be asked");
	for (uint32_t i = 0; i < RADIUS_SERVERS_MAX; i++) {
		struct aaa_link *l = &e->aaa->links[i];
		const struct endpoint *to = radius_server_addr(e->aaa->client, i);

		if (to && memcmp(&l->to, to, sizeof(*to)) == 0)
			continue;
		link_close(e, l);
		l->to = to ? *to : (struct endpoint){0};
	}
	settle(e);
}

enum err aaa_open(struct engine *e)
{
	struct aaa *a = mem_alloc(sizeof(*a));
	enum err err;

	if (!a)
		return ERR_NOMEM;
	e->aaa = a;
	for (uint32_t i = 0; i < RADIUS_SERVERS_MAX; i++)
		a->links[i].source.fd = -1;
	err = radius_new(&a->client, e->rng, engine_now(e));
	if (!err)
		aaa_configure(e);
	return err;
}

void aaa_close(struct engine *e)
{
	struct aaa *a = e->aaa;

	if (!a)
		return;
	for (uint32_t i = 0; i < RADIUS_SERVERS_MAX; i++)
		link_close(e, &a->links[i]);
	radius_free(a->client);
	mem_free(a);
	e->aaa = NULL;
}

void aaa_run(struct engine *e)
{
	radius_run(e->aaa->client, engine_now(e));
	settle(e);
}

uint64_t aaa_deadline(const struct engine *e)
{
	return radius_deadline(e->aaa->client);
}
