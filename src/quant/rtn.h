/* SPDX-License-Identifier: Apache-2.0 */
/* rtn.h - the pass over the weights.  Private to quant/. */
#ifndef AUK_QUANT_RTN_H
#define AUK_QUANT_RTN_H

#include "quant/plan.h"

/* Everything is borrowed. */
typedef struct auk_quant_job {
    const auk_quant_plan *plan;
    const auk_quant_options *opts;
    const auk_checkpoint *ck;
    auk_sink *sink;
    const int *outputs; /* per module: the sink's number of its first tensor */
    const auk_kernel *k;
    auk_pool *pool;
} auk_quant_job;

/* Writes all tensors that calibration does not into the sink, from what the sink says is `done`
 * already; *units is what `done` counts up to. */
AUK_MUST_CHECK int auk_quant_run(const auk_quant_job *job, uint64_t done, uint64_t *units,
                                 auk_err *err);

/* Bytes of the source's tensors. */
uint64_t auk_quant_source_bytes(const auk_quant_plan *plan);

#endif
