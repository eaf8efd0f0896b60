/* SPDX-License-Identifier: Apache-2.0 */
/* report.h - what records say: their headlines, reports and model cards.  All of it is a pure
 * function of records: the same records, the same bytes; no clock, no network, no file.
 *
 * Items come from models and servers and are hostile: every text is escaped where it is printed,
 * control and direction characters are shown, not obeyed. */
#ifndef AUK_REPORT_REPORT_H
#define AUK_REPORT_REPORT_H

#include "ledger/ledger.h"

/* The headline rules, an auk_headline_fn for the ledger:
 *     eval/1      tasks, passes, pass@1 with its interval, outcomes
 *     compare/1   divergence and perplexity over positions, error over tensors
 *     quantize/1  sums over modules, choices over experts
 *     bench/1     medians by depth
 *     swebench/1  as eval/1, and how far each instance came
 *     items/1     every other kind: items, and the rate of those with "passed"
 * docs/ledger.md says what each wants of its items. */
AUK_MUST_CHECK int auk_headline(json_t **out, const char *rule, const char *kind,
                                const auk_str *items, size_t n, auk_err *err);

/* May a model be left alone with tools?  Facts: strict_rate (strictly passed tasks of all, null:
 * not measured), tasks, finished (runs), incomplete (tasks), failures {class: runs}, avg_steps,
 * ms_per_step, fits (null: not measured), pressure, cliff {status (none, collapsed, broken,
 * not_probed), tokens, samples}, native, same_instance, tiers {name: {rate, tasks}}.  A profile is
 * one of data/agent/profiles.  Returns {status (READY, CONDITIONAL, NOT READY), profile,
 * blocking[], conditions[], evidence[], cleared_tier}; every reason names metric, value, bound and
 * sample size.  There is no second rule set. */
json_t *auk_assess(const json_t *facts, const json_t *profile);

/* Appends what a head's headline says in half a line: "pass@1 89.02 % of 164 tasks". */
void auk_headline_say(auk_buf *out, const json_t *head);

typedef enum auk_report_format {
    AUK_REPORT_HTML, /* one file: no script, nothing from elsewhere, light and dark, for print */
    AUK_REPORT_MARKDOWN,
    AUK_REPORT_JSON, /* "auklet.report/1": what the other two show */
} auk_report_format;

/* Appends the report of n >= 1 records, named A, B, C ... in their order; the first of those on
 * the same data is what the others are compared with. */
AUK_MUST_CHECK int auk_report(auk_buf *out, const auk_entry *entries, size_t n,
                              auk_report_format format, auk_err *err);

/* Text from a record for a terminal: bytes that are not UTF-8 become U+FFFD, control characters
 * their pictures (U+2400 ...), characters that turn or hide text their number.  Newlines and tabs
 * stay in auk_escape_text and are pictures too in auk_escape_line. */
void auk_escape_text(auk_buf *out, auk_str text);
void auk_escape_line(auk_buf *out, auk_str text);

typedef struct auk_card_options {
    const char *name;        /* borrowed; the model's own */
    const char *fingerprint; /* borrowed */
    const char *base_model;  /* borrowed; NULL: from the quantize record, where it is North's */
    const char *license;     /* borrowed */
} auk_card_options;

/* Appends a model card with the hub's front matter.  The entries are the heads of the model's
 * records, in order of arrival; items are not needed. */
AUK_MUST_CHECK int auk_card(auk_buf *out, const auk_entry *entries, size_t n,
                            const auk_card_options *opts, auk_err *err);

#endif
