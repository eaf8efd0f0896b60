/* SPDX-License-Identifier: Apache-2.0 */
/* evalplus.h - the tests of a HumanEval+ record that holds inputs instead of a test program: what
 * the canonical solution returns for each input is what the answer must return.  As EvalPlus 0.3
 * compares: equal; or, with an atol (1e-6 where floats are expected and the record says 0), of the
 * same type and length and within atol + 1e-7 |expected|; a zero of HumanEval/32's polynomial is
 * any x with |p(x)| <= atol. */
#ifndef AUK_EVAL_EVALPLUS_H
#define AUK_EVAL_EVALPLUS_H

#include "base/json.h"

/* Inputs hold integers of any size, so the record's own line goes to Python as it is; whoever reads
 * the file leaves it in the record under this name. */
#define AUK_EVALPLUS_LINE "(line)"

/* Whether a record is of this form: HumanEval+ (MBPP+ in this form is not: its tuples and sets
 * are lists in JSON, and what they were is written nowhere in the file). */
bool auk_evalplus_has_inputs(const json_t *record);

/* Appends Python that stands after the answer's code and raises where it is wrong; `record` has
 * been checked to hold its strings. */
AUK_MUST_CHECK int auk_evalplus_tests(auk_buf *out, const json_t *record, auk_err *err);

#endif
