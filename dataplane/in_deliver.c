/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/passes.h"

void in_deliver(struct worker *w, struct pktvec *in, struct pktvec *out)
{
	out->num = 0;
	for (uint32_t i = 0; i < in->num; i++)
		worker_tx(w, w->inner_port, in->pkt[i]);
}
