/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tun-floor: what the devices themselves cost. It carries frames between a TAP with the header of
 * offloads and a UDP socket as they are: no cipher, no policy, no IKE. Two threads, one for each
 * direction, each blocked in the call that it waits for; nothing that stands between a TAP and a
 * socket in user space can answer sooner without spinning.
 *
 * usage: tun-floor DEVICE LOCAL-ADDRESS REMOTE-ADDRESS PORT
 *
 * It makes the device, which the caller configures, and runs until it is killed. IPv4.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define FRAME_MAX 65600
#define VNET_LEN  10
#define MAC_LEN   6

/* struct relay - both ends; mac is the device's own, which it wants in frames to it. */
struct relay {
	int tap, udp;
	uint8_t mac[MAC_LEN];
};

static void die(const char *what)
{
	fprintf(stderr, "tun-floor: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void open_tap(struct relay *r, const char *name)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	r->tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (r->tap < 0 || ioctl(r->tap, TUNSETIFF, &ifr) < 0)
		die(name);
	if (ioctl(r->tap, SIOCGIFHWADDR, &ifr) < 0)
		die("SIOCGIFHWADDR");
	memcpy(r->mac, ifr.ifr_hwaddr.sa_data, sizeof(r->mac));
}

static struct sockaddr_in address(const char *text, const char *port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};

	if (inet_pton(AF_INET, text, &sin.sin_addr) != 1) {
		errno = EINVAL;
		die(text);
	}
	return sin;
}

static void open_udp(struct relay *r, const char *local, const char *remote, const char *port)
{
	struct sockaddr_in here = address(local, port), there = address(remote, port);

	r->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (r->udp < 0 || bind(r->udp, (struct sockaddr *)&here, sizeof(here)) < 0 ||
	    connect(r->udp, (struct sockaddr *)&there, sizeof(there)) < 0)
		die("socket");
}

/* outward - without its header of offloads: nothing was left to us, since we asked for nothing. A
 * far end that is not there yet is told of by an error, and is nothing to us. */
static void *outward(void *arg)
{
	const struct relay *r = arg;
	static uint8_t frame[FRAME_MAX];

	for (;;) {
		ssize_t n = read(r->tap, frame, sizeof(frame));

		if (n < 0 && errno != EINTR)
			die("read");
		if (n > VNET_LEN && send(r->udp, frame + VNET_LEN, (size_t)n - VNET_LEN, 0) < 0 &&
		    errno != ECONNREFUSED)
			die("send");
	}
	return NULL;
}

static void inward(const struct relay *r)
{
	static uint8_t frame[FRAME_MAX];

	for (;;) {
		ssize_t n = recv(r->udp, frame + VNET_LEN, sizeof(frame) - VNET_LEN, 0);

		if (n < 0 && errno != EINTR && errno != ECONNREFUSED)
			die("recv");
		if (n <= MAC_LEN)
			continue;
		memcpy(frame + VNET_LEN, r->mac, sizeof(r->mac));
		if (write(r->tap, frame, (size_t)n + VNET_LEN) < 0 && errno != EIO)
			die("write");
	}
}

int main(int argc, char **argv)
{
	struct relay r;
	pthread_t thread;

	if (argc != 5) {
		fprintf(stderr, "usage: tun-floor DEVICE LOCAL-ADDRESS REMOTE-ADDRESS PORT\n");
		return 2;
	}
	open_tap(&r, argv[1]);
	open_udp(&r, argv[2], argv[3], argv[4]);
	if (pthread_create(&thread, NULL, outward, &r) != 0)
		die("thread");
	inward(&r);
}
