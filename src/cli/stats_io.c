/* SPDX-License-Identifier: Apache-2.0 */
/* Input and output of `auklet stats`. */
#include "cli/stats_cmd.h"

#include <inttypes.h>

/* ---- input -------------------------------------------------------------------------------- */

/* "140,8,6,10": exactly n numbers of digits alone. */
static bool parse_counts(uint64_t *out, size_t n, const char *text)
{
    for (size_t i = 0; i < n; i++) {
        size_t digits = strspn(text, "0123456789");
        if (digits == 0 || digits > 18 || text[digits] != (i + 1 < n ? ',' : 0))
            return false;
        out[i] = strtoull(text, NULL, 10);
        text += digits + 1;
    }
    return true;
}

/* Numbers on the command line are options: what is wrong with them is wrong usage. */
int auk_cli_stats_fail(const auk_cmd *self, const stats_args *a, const auk_err *err)
{
    if (a->a != NULL || err->code != AUK_EINVAL)
        return auk_cli_fail(err);
    return auk_cli_usage(self, "%s", err->msg);
}

void auk_cli_pair_release(pair *p)
{
    auk_tally_release(&p->a);
    auk_tally_release(&p->b);
}

int auk_cli_pair_files(pair *p, const stats_args *a, auk_err *err)
{
    int rc = auk_tally_read(&p->a, a->a, err);

    if (rc == AUK_OK)
        rc = auk_tally_read(&p->b, a->b, err);
    return rc;
}

/* Returns AUK_OPT_GO, or an exit status when everything has been said. */
int auk_cli_pair_read(pair *p, const auk_cmd *self, const stats_args *a)
{
    uint64_t cells[4];
    auk_err err;

    if (a->table != NULL) {
        if (!parse_counts(cells, 4, a->table))
            return auk_cli_usage(self, "option '--table': '%s' is not four counts a,b,c,d",
                                 a->table);
        p->table = (auk_paired){cells[0], cells[1], cells[2], cells[3]};
        return AUK_OPT_GO;
    }
    int rc = auk_cli_pair_files(p, a, &err);
    if (rc == AUK_OK)
        rc = auk_tally_table(&p->table, &p->excluded, &p->a, &p->b, &err);
    return rc != AUK_OK ? auk_cli_fail(&err) : AUK_OPT_GO;
}

/* ---- output ------------------------------------------------------------------------------- */

json_t *auk_cli_stats_begin(const char *test)
{
    return json_pack("{s:s, s:s}", "schema", "auklet.stats/1", "test", test);
}

void auk_cli_put(json_t *out, const char *key, double x)
{
    json_object_set_new(out, key, auk_json_real(x));
}

void auk_cli_put_count(json_t *out, const char *key, uint64_t n)
{
    json_object_set_new(out, key, json_integer((json_int_t)n));
}

void auk_cli_put_interval(json_t *out, const char *key, auk_interval i)
{
    json_object_set_new(out, key, json_pack("[o, o]", auk_json_real(i.lo), auk_json_real(i.hi)));
}

void auk_cli_put_bounds(json_t *out, auk_interval i)
{
    auk_cli_put(out, "lo", i.lo);
    auk_cli_put(out, "hi", i.hi);
}

void auk_cli_put_table(json_t *out, const pair *p)
{
    const auk_paired *t = &p->table;

    json_object_set_new(out, "table",
                        json_pack("[I, I, I, I]", (json_int_t)t->a, (json_int_t)t->b,
                                  (json_int_t)t->c, (json_int_t)t->d));
    auk_cli_put_count(out, "n", t->a + t->b + t->c + t->d);
    auk_cli_put_count(out, "excluded", p->excluded);
}

void auk_cli_put_text(json_t *out, const char *key, const auk_buf *text)
{
    json_object_set_new(out, key, json_stringn(text->p, text->n));
}

void auk_cli_print_points(const char *what, double level, auk_interval i)
{
    printf("  %-22s %g %%  %+.2f to %+.2f points\n", what, 100 * level, 100 * i.lo, 100 * i.hi);
}

void auk_cli_print_pair(const pair *p, const stats_args *a)
{
    const auk_paired *t = &p->table;
    double n = (double)(t->a + t->b + t->c + t->d);

    if (a->a != NULL)
        printf("A: %s\nB: %s\n\n", a->a, a->b);
    printf("%-10s %10s %10s\n", "", "B passes", "B fails");
    printf("%-10s %10" PRIu64 " %10" PRIu64 "\n", "A passes", t->a, t->b);
    printf("%-10s %10" PRIu64 " %10" PRIu64 "\n\n", "A fails", t->c, t->d);
    printf("A      %" PRIu64 "/%.0f = %.4f\n", t->a + t->b, n, (double)(t->a + t->b) / n);
    printf("B      %" PRIu64 "/%.0f = %.4f\n", t->a + t->c, n, (double)(t->a + t->c) / n);
    printf("A - B  %+.2f points\n", 100 * ((double)t->b - (double)t->c) / n);
    if (p->excluded > 0)
        printf("left out of both, since the harness broke: %zu\n", p->excluded);
}
