/* SPDX-License-Identifier: Apache-2.0 */
#include "swebench/job.h"

int auk_swebench_agent(auk_swebench_result *out, const auk_swebench_options *o, auk_err *err)
{
    (void)out;
    (void)o;
    return auk_fail(err, AUK_ENOTSUP, "not yet");
}
