/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcap.h - a port that receives what a capture file holds and writes what it sends into another
 * one: for tests, and to look at what a data path does with packets that somebody recorded. Reads
 * pcap and pcapng, writes pcap; the link type is raw IP or Ethernet. An outer port's captures hold
 * whole datagrams, IP headers included. A capture holds what was protected in the clear: a file
 * that is written can be read by its owner only. Worker's thread, except pcap_driver_open().
 */
#pragma once

#include "dataplane/driver.h"

/* struct pcap_params - of one port. */
struct pcap_params {
	enum port_role role;
	const char *in;     /* file to read; NULL: nothing is received */
	const char *out;    /* file to write, emptied if it is there; NULL: what is sent is gone */
	bool real_time;     /* packets come at the pace of the capture, gaps of at most 10 s */
	bool ethernet;      /* write Ethernet frames, with made-up addresses; else raw IP */
	uint64_t out_bytes; /* the file grows to so many at most; 0: 1 GiB */
};

/*
 * pcap_driver_open - open both files. What is cut short in the capture, longer than a buffer, not
 * IP, or on an outer port neither UDP to port 500 or 4500 nor ESP, and fragments there, is
 * rx_error. What the file has no room for is tx_full, what cannot be written tx_error. A capture
 * that breaks off ends there (rx_error). The strings are not kept.
 *
 * Errors: NOMEM, SYS (errno says why a file cannot be opened), INVAL (not a regular file),
 * MALFORMED (not a capture), UNSUPPORTED (its link type).
 */
MUST_USE enum err pcap_driver_open(struct driver **out, const struct pcap_params *params)
	NONNULL(1, 2);

/* pcap_driver_ended - all of the capture was received. */
bool pcap_driver_ended(const struct driver *d) NONNULL(1);
