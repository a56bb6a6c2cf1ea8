/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/pcap.h"

#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/counter.h"
#include "dataplane/pool.h"
#include "drivers/ip_frame.h"

#define GAP_MAX_NS      (10 * NS_PER_S)
#define OUT_BYTES       (UINT64_C(1) << 30)
#define SNAP_LEN        262144 /* as tcpdump has it: longer than any packet */
#define FILE_HEADER_LEN 24
#define RECORD_LEN      16

struct capture {
	struct driver driver;
	int timer; /* readable while there is something to receive */
	bool real_time, ethernet;

	pcap_t *in; /* NULL: none, or at its end */
	bool in_ethernet;
	struct pcap_pkthdr *head; /* the packet that comes next; NULL = not read yet */
	const u_char *bytes;
	uint64_t stamp_ns; /* of the packet before it */
	uint64_t due_ns;   /* when it comes, by clock_now_ns(); 0 = at once */

	pcap_t *out_kind;
	pcap_dumper_t *out;
	uint64_t out_left; /* bytes that may still be written */
	uint16_t id;
};

static struct capture *capture_of(struct driver *d)
{
	return container_of(d, struct capture, driver);
}

/* ---- receiving ------------------------------------------------------------------------------ */

/* set_timer - readable from then on; 0: not any more. */
static void set_timer(const struct capture *c, uint64_t at_ns)
{
	const struct itimerspec when = {
		.it_value = {.tv_sec = (time_t)(at_ns / NS_PER_S),
			     .tv_nsec = (long)(at_ns % NS_PER_S)},
	};

	(void)timerfd_settime(c->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/* pace - the packet that was just read comes as long after the one before as it was captured. */
static void pace(struct capture *c)
{
	uint64_t stamp = (uint64_t)c->head->ts.tv_sec * NS_PER_S + (uint64_t)c->head->ts.tv_usec;
	uint64_t gap = c->due_ns && stamp > c->stamp_ns ? stamp - c->stamp_ns : 0;

	if (!c->due_ns)
		c->due_ns = clock_now_ns();
	c->due_ns += gap < GAP_MAX_NS ? gap : GAP_MAX_NS;
	c->stamp_ns = stamp;
}

/* look - whether the next packet is due. */
static bool look(struct capture *c)
{
	if (!c->head && c->in) {
		int rc = pcap_next_ex(c->in, &c->head, &c->bytes);

		if (rc != 1) {
			counter_add(&c->driver.stats.rx_error, rc != PCAP_ERROR_BREAK);
			pcap_close(c->in);
			c->in = NULL;
			c->head = NULL;
			set_timer(c, 0);
		} else if (c->real_time) {
			pace(c);
		}
	}
	if (!c->head)
		return false;
	if (!c->real_time || c->due_ns <= clock_now_ns())
		return true;
	set_timer(c, c->due_ns);
	return false;
}

/* read_packet - what lies at c->bytes becomes p; false: it is not one to go on with. */
static bool read_packet(const struct capture *c, struct packet *p, uint32_t room)
{
	uint32_t len = c->head->caplen;
	uint32_t link = c->in_ethernet ? FRAME_ETHERNET_LEN : 0;

	if (len != c->head->len || len <= link || len - link > room)
		return false;
	p->data -= link;
	memcpy(p->data, c->bytes, len);
	p->len = len;
	if (c->in_ethernet && !frame_strip_ethernet(p))
		return false;
	if (c->driver.role == PORT_OUTER)
		return frame_strip_outer(p);
	return p->data[0] >> 4 == IP_V4 || p->data[0] >> 4 == IP_V6;
}

static uint32_t capture_rx(struct driver *d, struct pool *pool, struct pktvec *out)
{
	struct capture *c = capture_of(d);
	uint32_t before = out->num;
	uint64_t bytes = 0;

	/* What is not taken uses up tries too, so that a burst is bounded. */
	for (uint32_t tries = pktvec_room(out); tries && look(c); tries--) {
		struct packet *p = packet_get(pool);

		if (!p) {
			counter_add(&d->stats.rx_no_buffer, 1);
			break;
		}
		bool taken = read_packet(c, p, pool->data_room);

		c->head = NULL;
		if (!taken) {
			counter_add(&d->stats.rx_error, 1);
			packet_put(p);
			continue;
		}
		bytes += p->len;
		pktvec_push(out, p);
	}
	counter_add(&d->stats.rx_packets, out->num - before);
	counter_add(&d->stats.rx_bytes, bytes);
	return out->num - before;
}

/* ---- sending -------------------------------------------------------------------------------- */

/* frame - p becomes what the file holds. */
static bool frame(struct capture *c, struct packet *p)
{
	if (c->driver.role == PORT_OUTER && (!p->to || !frame_push_outer(p, c->id++)))
		return false;
	if (c->ethernet)
		return frame_push_ethernet(p);
	return p->len && (p->data[0] >> 4 == IP_V4 || p->data[0] >> 4 == IP_V6);
}

static void send_one(struct capture *c, struct packet *p)
{
	struct driver_stats *stats = &c->driver.stats;
	uint32_t payload_len = p->len;
	struct pcap_pkthdr head = {0};
	struct timespec now;

	if (!frame(c, p)) {
		counter_add(&stats->tx_error, 1);
		return;
	}
	if (c->out && c->out_left < RECORD_LEN + p->len) {
		counter_add(&stats->tx_full, 1);
		return;
	}
	if (c->out) {
		clock_gettime(CLOCK_REALTIME, &now);
		head.ts.tv_sec = now.tv_sec;
		head.ts.tv_usec = now.tv_nsec; /* nanoseconds: so the file says */
		head.caplen = head.len = p->len;
		pcap_dump((u_char *)c->out, &head, p->data);
		c->out_left -= RECORD_LEN + p->len;
	}
	counter_add(&stats->tx_packets, 1);
	counter_add(&stats->tx_bytes, payload_len);
}

static void capture_tx(struct driver *d, struct pktvec *v)
{
	struct capture *c = capture_of(d);
	uint64_t before = d->stats.tx_packets;

	for (uint32_t i = 0; i < v->num; i++) {
		send_one(c, v->pkt[i]);
		packet_put(v->pkt[i]);
	}
	v->num = 0;
	/* A file that cannot be written any more stays as it is. */
	if (c->out && (pcap_dump_flush(c->out) != 0 || ferror(pcap_dump_file(c->out)))) {
		uint64_t lost = d->stats.tx_packets - before;

		counter_set(&d->stats.tx_packets, before);
		counter_add(&d->stats.tx_error, lost);
		c->out_left = 0;
	}
}

/* ---- opening and closing --------------------------------------------------------------------- */

/* open_file - a regular file as a stream. */
static enum err open_file(FILE **out, const char *path, int flags, const char *mode)
{
	int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK, S_IRUSR | S_IWUSR);
	struct stat st;
	enum err e = ERR_SYS;

	if (fd < 0)
		return ERR_SYS;
	if (fstat(fd, &st) == 0) {
		e = S_ISREG(st.st_mode) ? ERR_OK : ERR_INVAL;
		*out = e == ERR_OK ? fdopen(fd, mode) : NULL;
		if (e == ERR_OK && !*out)
			e = ERR_NOMEM;
	}
	if (e != ERR_OK)
		close(fd);
	return e;
}

static enum err open_in(struct capture *c, const char *path)
{
	char why[PCAP_ERRBUF_SIZE];
	FILE *file;
	enum err e = open_file(&file, path, O_RDONLY, "r");

	if (e != ERR_OK)
		return e;
	c->in = pcap_fopen_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, why);
	if (!c->in) {
		fclose(file);
		return ERR_MALFORMED;
	}
	switch (pcap_datalink(c->in)) {
	case DLT_EN10MB:
		c->in_ethernet = true;
		return ERR_OK;
	case DLT_RAW:
	case DLT_IPV4:
	case DLT_IPV6:
		return ERR_OK;
	default:
		return ERR_UNSUPPORTED;
	}
}

static enum err open_out(struct capture *c, const struct pcap_params *params)
{
	FILE *file;
	enum err e;

	c->out_kind = pcap_open_dead_with_tstamp_precision(params->ethernet ? DLT_EN10MB : DLT_RAW,
							   SNAP_LEN, PCAP_TSTAMP_PRECISION_NANO);
	if (!c->out_kind)
		return ERR_NOMEM;
	e = open_file(&file, params->out, O_WRONLY | O_CREAT | O_TRUNC, "w");
	if (e != ERR_OK)
		return e;
	/* On failure it closes the file. */
	c->out = pcap_dump_fopen(c->out_kind, file);
	if (!c->out)
		return ERR_SYS;
	c->out_left = params->out_bytes ? params->out_bytes : OUT_BYTES;
	c->out_left -= c->out_left < FILE_HEADER_LEN ? c->out_left : FILE_HEADER_LEN;
	return ERR_OK;
}

static int capture_fd(const struct driver *d)
{
	static_assert(offsetof(struct capture, driver) == 0, "the cast keeps const");
	return ((const struct capture *)(const void *)d)->timer;
}

static void capture_close(struct driver *d)
{
	struct capture *c = capture_of(d);

	if (c->in)
		pcap_close(c->in);
	if (c->out)
		pcap_dump_close(c->out);
	if (c->out_kind)
		pcap_close(c->out_kind);
	if (c->timer >= 0)
		close(c->timer);
	mem_free(c);
}

static const struct driver_ops capture_ops = {
	.name = "pcap",
	.rx = capture_rx,
	.tx = capture_tx,
	.fd = capture_fd,
	.close = capture_close,
};

enum err pcap_driver_open(struct driver **out, const struct pcap_params *params)
{
	struct capture *c = mem_alloc(sizeof(*c));
	enum err e = ERR_OK;

	if (!c)
		return ERR_NOMEM;
	c->driver = (struct driver){.ops = &capture_ops, .role = params->role, .mtu = 65535};
	c->real_time = params->real_time;
	c->ethernet = params->ethernet;
	c->timer = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (c->timer < 0)
		e = ERR_SYS;
	if (e == ERR_OK && params->in)
		e = open_in(c, params->in);
	if (e == ERR_OK && params->out)
		e = open_out(c, params);
	if (e != ERR_OK) {
		int error = errno;

		capture_close(&c->driver);
		errno = error;
		return e;
	}
	if (c->in)
		set_timer(c, 1); /* long ago */
	*out = &c->driver;
	return ERR_OK;
}

bool pcap_driver_ended(const struct driver *d)
{
	return !((const struct capture *)(const void *)d)->in;
}
