/* SPDX-License-Identifier: Apache-2.0 */
/* facts.h - what a report says, before it has a form.  Private to report/. */
#ifndef AUK_REPORT_FACTS_H
#define AUK_REPORT_FACTS_H

#include "report/doc.h"

/* A record of the report with its items parsed. */
typedef struct auk_case {
    const auk_entry *entry; /* borrowed from the caller of auk_report */
    const char *kind;       /* the head's */
    char label[8];          /* "A" ... "Z", "AA" ... */
    auk_rows rows;
    auk_tasks tasks; /* of an eval record */
    int group;       /* eval: which data, from 0; -1 otherwise */
} auk_case;

AUK_MUST_CHECK int auk_cases_make(auk_case **out, const auk_entry *entries, size_t n, auk_err *err);
void auk_cases_free(auk_case *cases, size_t n);

/* The JSON report. */
AUK_MUST_CHECK int auk_facts_make(json_t **out, const auk_case *cases, size_t n, auk_err *err);

/* One group of eval records (facts_eval.c). */
AUK_MUST_CHECK int auk_facts_eval(json_t **out, const auk_case *cases, size_t n, int group,
                                  auk_err *err);

/* Facts as a page (view.c), the parts about eval records (view_eval.c). */
void auk_view(auk_doc *d, const json_t *facts, const auk_case *cases, size_t n);
void auk_view_swebench(auk_doc *d, const auk_case *cases, size_t n); /* rule_swebench.c */
void auk_view_eval(auk_doc *d, const json_t *group, const auk_case *cases, size_t n);

/* Diagnoses: what they say in a few sentences, then each part (view_diagnose.c, view_inspect.c,
 * view_audit.c, view_agent.c).  Nothing where there is none. */
void auk_view_verdicts(auk_doc *d, const auk_case *cases, size_t n);
void auk_view_inspect(auk_doc *d, const auk_case *cases, size_t n);
void auk_view_audit(auk_doc *d, const auk_case *cases, size_t n);
void auk_view_agent(auk_doc *d, const auk_case *cases, size_t n);
bool auk_case_is(const auk_case *c, const char *kind);

/* "" when there is no such text. */
auk_str auk_text_at(const json_t *v, const char *path);
double auk_number_at(const json_t *v, const char *path); /* NAN without one */
json_int_t auk_int_at(const json_t *v, const char *path);

/* The last part of a path: what a model is called where its folder is nobody's business. */
auk_str auk_base_name(auk_str path);

#endif
