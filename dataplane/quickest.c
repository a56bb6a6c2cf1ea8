/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/quickest.h"

/* PART - of a difference of round trips half is one way's, as far as anybody knows. Of that five
 * eighths: more than half of what others take, which BBR makes up for, as it keeps twice as much
 * under way as the least round trip says; and the less it keeps the fewer are lost. In a steady
 * flow what the slowest path brings is there first, and nobody has to look at the clock. */
#define PART(ns) ((ns) / 2 / 8 * 5)

/* struct pace - bytes a second since the last look. */
struct pace {
	uint64_t sent, received;
};

static uint64_t per_second(uint64_t bytes, uint64_t ns)
{
	return (uint64_t)((double)bytes * (double)NS_PER_S / (double)ns);
}

/* measure - false: there is nothing to compare with, as a path went with its counters. */
static bool measure(struct quickest *q, struct pace *out, const struct quickest_path *paths,
		    uint32_t num, uint64_t now_ns)
{
	const struct quickest last = *q;

	q->tx_bytes = q->rx_bytes = 0;
	for (uint32_t i = 0; i < num; i++) {
		q->tx_bytes += paths[i].tx_bytes;
		q->rx_bytes += paths[i].rx_bytes;
	}
	q->at_ns = now_ns;
	if (!last.at_ns || now_ns <= last.at_ns || q->tx_bytes < last.tx_bytes ||
	    q->rx_bytes < last.rx_bytes)
		return false;
	out->sent = per_second(q->tx_bytes - last.tx_bytes, now_ns - last.at_ns);
	out->received = per_second(q->rx_bytes - last.rx_bytes, now_ns - last.at_ns);
	return true;
}

/* least - the path of the least round trip that is known, but for `other`; NULL: there is none. */
static const struct quickest_path *least(const struct quickest_path *paths, uint32_t num,
					 const struct quickest_path *other)
{
	const struct quickest_path *best = NULL;

	for (uint32_t i = 0; i < num; i++) {
		if (&paths[i] == other || !paths[i].least_ns)
			continue;
		if (!best || paths[i].least_ns < best->least_ns)
			best = &paths[i];
	}
	return best;
}

static const struct quickest_path *with(const struct quickest_path *paths, uint32_t num,
					uint16_t id)
{
	for (uint32_t i = 0; i < num; i++) {
		if (paths[i].id == id)
			return &paths[i];
	}
	return NULL;
}

/* does - the path carries what it is given, and no other one is quicker by now. */
static bool does(const struct quickest_path *paths, uint32_t num, const struct quickest_path *path)
{
	for (uint32_t i = 0; i < num; i++) {
		if (paths[i].rtt_ns && paths[i].rtt_ns < path->rtt_ns)
			return false;
	}
	return path->lacks < QUICKEST_LACKS;
}

/* enter - the path that is worth it, while a transfer is received; 0: none. What the transfer has
 * queue up is not in its way: by the least round trips. */
static uint16_t enter(struct quickest *q, const struct quickest_path *paths, uint32_t num,
		      const struct pace *pace, uint64_t now_ns)
{
	const struct quickest_path *first = least(paths, num, NULL);
	const struct quickest_path *next = least(paths, num, first);

	if (!next || now_ns < q->again_ns || !does(paths, num, first))
		return 0;
	if (pace->received < QUICKEST_RATE || pace->received / QUICKEST_ENTER < pace->sent)
		return 0;
	if (next->least_ns < first->least_ns + QUICKEST_GAIN_NS ||
	    next->least_ns < first->least_ns + first->least_ns / 4)
		return 0;
	q->mostly_ns = now_ns;
	return first->id;
}

/* goes_on - the transfer: little in either direction may be a pause of it. */
static bool goes_on(struct quickest *q, const struct pace *pace, uint64_t now_ns)
{
	if (pace->received >= QUICKEST_RATE / 2 && pace->received / QUICKEST_LEAVE >= pace->sent)
		q->mostly_ns = now_ns;
	else if (pace->sent >= QUICKEST_RATE / 2)
		return false;
	return now_ns - q->mostly_ns < QUICKEST_QUIET_NS;
}

uint16_t quickest_look(struct quickest *q, const struct quickest_path *paths, uint32_t num,
		       uint16_t alone, uint64_t now_ns)
{
	const struct quickest_path *path = with(paths, num, alone);
	struct pace pace;

	if (!measure(q, &pace, paths, num, now_ns))
		return path && num > 1 ? alone : 0;
	if (!path)
		return enter(q, paths, num, &pace, now_ns);
	if (num < 2 || !goes_on(q, &pace, now_ns))
		return 0;
	if (does(paths, num, path))
		return alone;
	q->again_ns = now_ns + QUICKEST_AGAIN_NS;
	return 0;
}

void quickest_even(const struct quickest_path *paths, uint32_t num,
		   uint64_t out_ns[static PATHS_MAX])
{
	uint64_t most = 0;

	for (uint32_t i = 0; i < num; i++)
		most = paths[i].least_ns > most ? paths[i].least_ns : most;
	for (uint32_t i = 0; i < num; i++)
		out_ns[i] = paths[i].least_ns ? PART(most - paths[i].least_ns) : 0;
}
