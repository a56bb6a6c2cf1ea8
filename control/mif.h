/* SPDX-License-Identifier: Apache-2.0 */
/* mif.h - what a side can do with several paths to a peer (docs/multiple-interfaces.md 3). */
#pragma once

/* enum mif_capability - bits of it. */
enum mif_capability {
	MIF_CAP_TUNNEL = 0x01,
	MIF_CAP_TRANSPORT = 0x02, /* addresses of transport mode are restored */
	MIF_CAP_DUPLICATE = 0x04,
	MIF_CAP_RESEQUENCE = 0x08,
	MIF_CAP_SPRAY = 0x10,
	MIF_CAP_BULK = 0x20,   /* selectors of many SAs */
	MIF_CAP_DECIDES = 0x40 /* wants to decide about paths */
};
