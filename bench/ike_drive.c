/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drive SECONDS RATE ADDRESS LOCAL COUNT INITIATOR.conf - handshakes with a responder, on port 4500
 * from the first message on, from COUNT addresses of this host, the first of which is LOCAL: RATE
 * of them a second, or with 0 one at a time from each address. The SAs are forgotten, and not
 * deleted. What is told: how many were begun, were up, were up within three seconds, and how long
 * it took.
 *
 * Each handshake is of a connection of its own, so that none is taken for a child of another one;
 * when all were used the engine is made anew, once nothing is under way.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/ike_gen.h"

#define PORT       4500
#define MARKER     4 /* bytes in front of IKE on this port (RFC 3948 2.2) */
#define MAX_SLOTS  256
#define MAX_CONNS  4096
#define MAX_TIMES  1000000
#define LIMIT_NS   (3 * NS_PER_S) /* what is up within this is in time */
#define GIVE_UP_NS (5 * NS_PER_S) /* no place waits longer than this */

/* struct slot - one address: at most one handshake is under way from it. */
struct slot {
	struct path_addr path;
	int fd;
	bool busy;
	uint32_t conn; /* that is under way */
	uint64_t began_ns;
};

/* struct drive - the whole. */
struct drive {
	struct side side;
	struct slot slots[MAX_SLOTS];
	struct pollfd polled[MAX_SLOTS];
	uint32_t num_slots, next_conn, busy;
	uint64_t rate;
	uint64_t begun, up, in_time, failed;
	uint64_t began_ns, until_ns;
	bool counting;           /* handshakes that end now count in `up` */
	bool told;               /* why one failed */
	struct ike_stats before; /* of engines that are gone */
	double *times;           /* ms */
	size_t num_times;
};

static struct slot *slot_of_path(struct drive *d, const struct path_addr *path)
{
	for (uint32_t i = 0; i < d->num_slots; i++)
		if (ip_addr_equal(&d->slots[i].path.local.addr, &path->local.addr))
			return &d->slots[i];
	return NULL;
}

static void send_message(struct side *s, const struct ike_action *a)
{
	const struct slot *slot = slot_of_path(s->ctx, &a->path);
	uint8_t buf[MARKER + 4096] = {0};

	if (!slot || a->raw || a->bytes.len > sizeof(buf) - MARKER)
		return;
	memcpy(buf + MARKER, a->bytes.p, a->bytes.len);
	/* What is lost here is lost as on any wire: it is sent again. */
	(void)!send(slot->fd, buf, MARKER + a->bytes.len, 0);
}

static void ended(struct drive *d, struct slot *s, bool up)
{
	const uint64_t took_ns = gen_ns() - s->began_ns;

	s->busy = false;
	d->busy--;
	d->failed += !up;
	if (!up)
		return;
	d->up += d->counting;
	d->in_time += took_ns <= LIMIT_NS;
	if (d->num_times < MAX_TIMES)
		d->times[d->num_times++] = (double)took_ns / 1e6;
}

static void tell(struct side *s, const struct ike_event *ev)
{
	struct drive *d = s->ctx;
	uint32_t conn;

	if ((ev->kind != IKE_EVENT_IKE_UP && ev->kind != IKE_EVENT_FAILED) || !ev->conn)
		return;
	conn = (uint32_t)atol(ev->conn + 1);
	for (uint32_t i = 0; i < d->num_slots; i++)
		if (d->slots[i].busy && d->slots[i].conn == conn)
			ended(d, &d->slots[i], ev->kind == IKE_EVENT_IKE_UP);
	if (ev->kind == IKE_EVENT_FAILED && !d->told)
		fprintf(stderr, "ike-gen: %s\n", ev->text);
	d->told |= ev->kind == IKE_EVENT_FAILED;
}

static void open_slot(struct drive *d, const char *remote, uint32_t first, uint32_t i)
{
	struct slot *s = &d->slots[d->num_slots];
	struct sockaddr_storage ss;
	const int room = 1 << 22;
	uint8_t b[4];
	socklen_t len;

	store_be32(b, first + i);
	s->path.local = (struct endpoint){.addr = ip_addr_v4(b), .port = PORT};
	s->path.remote.port = PORT;
	s->path.encap = ENCAP_UDP;
	gen_must(ip_addr_parse(&s->path.remote.addr, remote), remote);
	s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	len = endpoint_to_sockaddr(&ss, &s->path.local);
	if (s->fd < 0 || setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)) ||
	    bind(s->fd, (struct sockaddr *)&ss, len))
		gen_must(ERR_SYS, "bind");
	len = endpoint_to_sockaddr(&ss, &s->path.remote);
	if (connect(s->fd, (struct sockaddr *)&ss, len))
		gen_must(ERR_SYS, "connect");
	d->polled[d->num_slots++] = (struct pollfd){.fd = s->fd, .events = POLLIN};
}

static void begin(struct drive *d, struct slot *s)
{
	const struct conf_conn *conn = d->side.conf->conns[d->next_conn];
	const struct ike_initiate_params p = {.conn = conn->name,
					      .child = conn->num_children ? conn->children[0].name
									  : NULL,
					      .path = s->path};
	const uint64_t now_ns = clock_now_ns();

	s->busy = true;
	s->conn = (uint32_t)atol(conn->name + 1);
	s->began_ns = gen_ns();
	d->next_conn++;
	d->busy++;
	d->begun++;
	gen_must(ike_initiate(d->side.e, &p, now_ns), "initiate");
	side_settle(&d->side, now_ns);
}

static void receive(struct drive *d, struct slot *s)
{
	const uint64_t now_ns = clock_now_ns();
	uint8_t buf[65536];
	ssize_t n;

	while ((n = recv(s->fd, buf, sizeof(buf), 0)) > 0) {
		if (n <= MARKER || load_be32(buf))
			continue;
		ike_receive(
			d->side.e,
			&(struct ike_datagram){.path = s->path,
					       .bytes = bytes_of(buf + MARKER, (size_t)n - MARKER)},
			now_ns);
		side_settle(&d->side, now_ns);
	}
}

static void add_stats(struct drive *d)
{
	struct ike_stats st;

	ike_stats(d->side.e, &st);
	d->before.retransmitted += st.retransmitted;
}

/* A fresh engine, when all connections of this one were used. */
static void renew(struct drive *d)
{
	add_stats(d);
	side_close(&d->side);
	side_open(&d->side);
	d->next_conn = 0;
}

static bool is_due(const struct drive *d, uint64_t now_ns)
{
	return !d->rate || d->begun * NS_PER_S < (now_ns - d->began_ns) * d->rate;
}

static void begin_due(struct drive *d)
{
	if (d->next_conn == d->side.conf->num_conns) {
		if (d->busy)
			return;
		renew(d);
	}
	for (uint32_t i = 0; i < d->num_slots && d->next_conn < d->side.conf->num_conns; i++)
		if (!d->slots[i].busy && is_due(d, gen_ns()))
			begin(d, &d->slots[i]);
}

static void give_up(struct drive *d)
{
	const uint64_t now_ns = gen_ns();

	for (uint32_t i = 0; i < d->num_slots; i++)
		if (d->slots[i].busy && now_ns - d->slots[i].began_ns > GIVE_UP_NS)
			ended(d, &d->slots[i], false);
}

static void turn(struct drive *d)
{
	const int num = poll(d->polled, d->num_slots, 1);
	const uint64_t now_ns = clock_now_ns();

	for (uint32_t i = 0; num > 0 && i < d->num_slots; i++)
		if (d->polled[i].revents)
			receive(d, &d->slots[i]);
	if (ike_deadline(d->side.e) <= now_ns) {
		ike_run(d->side.e, now_ns);
		side_settle(&d->side, now_ns);
	}
	give_up(d);
}

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double part(const struct drive *d, double share)
{
	return d->num_times ? d->times[(size_t)((double)(d->num_times - 1) * share)] : 0;
}

static void report(struct drive *d, double seconds)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	add_stats(d);
	qsort(d->times, d->num_times, sizeof(d->times[0]), by_value);
	printf("{\"seconds\": %.3f, \"begun\": %llu, \"up\": %llu, \"in_time\": %llu, "
	       "\"failed\": %llu, \"retransmitted\": %llu, \"p50_ms\": %.3f, \"p99_ms\": %.3f, "
	       "\"max_ms\": %.3f, \"cpu_seconds\": %.3f}\n",
	       seconds, (unsigned long long)d->begun, (unsigned long long)d->up,
	       (unsigned long long)d->in_time, (unsigned long long)d->failed,
	       (unsigned long long)d->before.retransmitted, part(d, 0.5), part(d, 0.99), part(d, 1),
	       (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
		       (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6);
}

int drive_run(int argc, char **argv)
{
	static struct drive d;
	struct in_addr local;
	uint32_t count;
	double seconds;

	if (argc != 7 || (count = (uint32_t)atol(argv[5])) < 1 || count > MAX_SLOTS ||
	    (seconds = atof(argv[1])) <= 0 || inet_pton(AF_INET, argv[4], &local) != 1) {
		fprintf(stderr,
			"usage: ike-gen drive SECONDS RATE ADDRESS LOCAL COUNT INITIATOR.conf\n");
		return 2;
	}
	d.rate = (uint64_t)atol(argv[2]);
	d.times = mem_alloc_array(MAX_TIMES, sizeof(d.times[0]));
	d.side = (struct side){
		.conf = gen_conf(argv[6]), .send = send_message, .tell = tell, .ctx = &d};
	for (uint32_t i = 0; i < count; i++)
		open_slot(&d, argv[3], ntohl(local.s_addr), i);
	side_open(&d.side);
	d.began_ns = gen_ns();
	d.until_ns = d.began_ns + (uint64_t)(seconds * 1e9);
	d.counting = true;
	while (gen_ns() < d.until_ns) {
		begin_due(&d);
		turn(&d);
	}
	/* What was begun in the last moment may still end in time. */
	d.counting = d.rate != 0;
	while (d.busy && gen_ns() < d.until_ns + GIVE_UP_NS)
		turn(&d);
	report(&d, seconds);
	side_close(&d.side);
	conf_put(d.side.conf);
	mem_free(d.times);
	return d.up ? 0 : 1;
}
