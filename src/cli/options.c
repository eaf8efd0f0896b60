/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "base/mem.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>

static const auk_opt common_options[] = {
    {"help", AUK_OPT_FLAG, offsetof(auk_common, help), NULL, "show this text"},
    {"json", AUK_OPT_FLAG, offsetof(auk_common, json), NULL, "print the result as JSON"},
    {"quiet", AUK_OPT_FLAG, offsetof(auk_common, quiet), NULL, "say nothing but errors"},
    {"verbose", AUK_OPT_FLAG, offsetof(auk_common, verbose), NULL, "say more on stderr"},
    {"progress", AUK_OPT_STR, offsetof(auk_common, progress), "WHEN",
     "auto (on a terminal), always, never"},
    {"color", AUK_OPT_STR, offsetof(auk_common, color), "WHEN", "auto, always, never"},
    {"threads", AUK_OPT_INT, offsetof(auk_common, threads), "N",
     "threads to use (default: one per processor)"},
    {"cpu", AUK_OPT_STR, offsetof(auk_common, cpu), "LEVEL",
     "highest level to use: scalar, avx2, avx512, avx512bf16, amx, neon"},
    {0},
};

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

/* Levenshtein distance of words shorter than 64. */
static size_t distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b), row[65];

    if (n > 64 || m > 64)
        return 99;
    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t above = row[j];
            row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[m];
}

const char *auk_nearest(const char *word, const char *const *names, size_t n)
{
    const char *best = NULL;
    size_t least = strlen(word) / 3 + 2; /* farther than this is another word */

    for (size_t i = 0; i < n; i++) {
        size_t d = distance(word, names[i]);
        if (d < least) {
            least = d;
            best = names[i];
        }
    }
    return best;
}

int auk_cli_usage(const auk_cmd *cmd, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    fprintf(stderr, "auklet: %s: ", cmd->name);
    vfprintf(stderr, fmt, args);
    fprintf(stderr, "\nusage: auklet %s; see 'auklet %s --help'\n", cmd->usage, cmd->name);
    va_end(args);
    return 2;
}

static const auk_opt *find_in(const auk_opt *table, const char *name, size_t n)
{
    for (; table != NULL && table->name != NULL; table++)
        if (strlen(table->name) == n && strncmp(table->name, name, n) == 0)
            return table;
    return NULL;
}

static int unknown(const auk_cmd *cmd, const char *name, size_t n)
{
    const char *names[128];
    size_t count = 0;
    char *word = auk_strndup(name, n);

    for (const auk_opt *o = cmd->options; o != NULL && o->name != NULL && count < 128; o++)
        names[count++] = o->name;
    for (const auk_opt *o = common_options; o->name != NULL && count < 128; o++)
        names[count++] = o->name;
    const char *near = auk_nearest(word, names, count);
    int status = near != NULL
                     ? auk_cli_usage(cmd, "unknown option '--%s': did you mean '--%s'?", word, near)
                     : auk_cli_usage(cmd, "unknown option '--%s'", word);
    free(word);
    return status;
}

static bool parse_bytes(uint64_t *out, const char *text)
{
    static const struct {
        const char *suffix;
        double factor;
    } units[] = {{"", 1},
                 {"B", 1},
                 {"KB", 1e3},
                 {"MB", 1e6},
                 {"GB", 1e9},
                 {"TB", 1e12},
                 {"KiB", 1024},
                 {"MiB", 1048576.0},
                 {"K", 1e3},
                 {"M", 1e6},
                 {"GiB", 1073741824.0},
                 {"G", 1e9},
                 {"TiB", 1099511627776.0}};
    char *end;
    double v = strtod(text, &end);

    if (end == text || !(v >= 0) || !isfinite(v))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(end, units[i].suffix) == 0 && v * units[i].factor < 9e18) {
            *out = (uint64_t)(v * units[i].factor);
            return true;
        }
    return false;
}

/* Stores a value; false when the text is not one. */
static bool store(const auk_opt *o, void *args, const char *text)
{
    char *field = (char *)args + o->offset, *end = NULL;

    errno = 0;
    switch (o->kind) {
    case AUK_OPT_INT: {
        long v = strtol(text, &end, 10);
        int as_int = (int)v;
        memcpy(field, &as_int, sizeof as_int);
        return end != text && *end == 0 && errno == 0 && v == as_int;
    }
    case AUK_OPT_U64: {
        uint64_t v = strtoull(text, &end, 10);
        memcpy(field, &v, sizeof v);
        return end != text && *end == 0 && errno == 0 && text[0] != '-';
    }
    case AUK_OPT_REAL: {
        double v = strtod(text, &end);
        memcpy(field, &v, sizeof v);
        return end != text && *end == 0 && isfinite(v);
    }
    case AUK_OPT_BYTES: {
        uint64_t v = 0;
        bool ok = parse_bytes(&v, text);
        memcpy(field, &v, sizeof v);
        return ok;
    }
    default:
        memcpy(field, &text, sizeof text);
        return true;
    }
}

/* One "--name", "--name=value" or "--name value" at argv[*at]. */
static int parse_one(const auk_cmd *cmd, void *args, int argc, char **argv, int *at)
{
    const char *name = argv[*at] + 2, *equals = strchr(name, '=');
    size_t n = equals != NULL ? (size_t)(equals - name) : strlen(name);
    bool on = true;

    const auk_opt *o = find_in(cmd->options, name, n);
    if (o == NULL)
        o = find_in(common_options, name, n);
    if (o == NULL && n > 3 && strncmp(name, "no-", 3) == 0) {
        o = find_in(cmd->options, name + 3, n - 3);
        if (o == NULL)
            o = find_in(common_options, name + 3, n - 3);
        if (o != NULL && o->kind != AUK_OPT_FLAG)
            o = NULL;
        on = false;
    }
    if (o == NULL)
        return unknown(cmd, name, n);
    if (o->kind == AUK_OPT_FLAG) {
        if (equals != NULL)
            return auk_cli_usage(cmd, "option '--%s' takes no value", o->name);
        memcpy((char *)args + o->offset, &on, sizeof on);
        return AUK_OPT_GO;
    }
    const char *value = equals != NULL ? equals + 1 : *at + 1 < argc ? argv[++*at] : NULL;
    if (value == NULL)
        return auk_cli_usage(cmd, "option '--%s' wants a value: %s", o->name, o->value);
    if (!store(o, args, value))
        return auk_cli_usage(cmd, "option '--%s': '%s' is not a valid %s", o->name, value,
                             o->value);
    return AUK_OPT_GO;
}

/* auto, always, never, or not given */
static bool is_when(const char *text)
{
    return text == NULL || strcmp(text, "auto") == 0 || strcmp(text, "always") == 0 ||
           strcmp(text, "never") == 0;
}

/* The options every command has. */
static int check_common(const auk_cmd *cmd, const auk_common *common)
{
    if (common->threads < 0 || common->threads > 256)
        return auk_cli_usage(cmd, "option '--threads': %d is not within 1 to 256", common->threads);
    if (!is_when(common->progress))
        return auk_cli_usage(cmd, "option '--progress': '%s' is not auto, always or never",
                             common->progress);
    if (!is_when(common->color))
        return auk_cli_usage(cmd, "option '--color': '%s' is not auto, always or never",
                             common->color);
    return AUK_OPT_GO;
}

int auk_opt_parse(const auk_cmd *cmd, void *args, int argc, char **argv)
{
    auk_common *common = args;
    bool options = true;

    common->arg = argv + 1; /* positional arguments move to the front; never past what is read */
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i];
        if (options && strcmp(a, "--") == 0) {
            options = false;
        } else if (options && strcmp(a, "-o") == 0 && find_in(cmd->options, "output", 6) != NULL) {
            if (++i == argc)
                return auk_cli_usage(cmd, "option '-o' wants a value: FILE");
            store(find_in(cmd->options, "output", 6), args, argv[i]);
        } else if (options && (strcmp(a, "-q") == 0 || strcmp(a, "-v") == 0)) {
            *(a[1] == 'q' ? &common->quiet : &common->verbose) = true;
        } else if (options && strcmp(a, "-h") == 0) {
            common->help = true;
        } else if (options && a[0] == '-' && a[1] == '-') {
            int status = parse_one(cmd, args, argc, argv, &i);
            if (status != AUK_OPT_GO)
                return status;
        } else if (options && a[0] == '-' && a[1] != 0) {
            return auk_cli_usage(cmd, "unknown option '%s': options are long, as in --help", a);
        } else {
            common->arg[common->n_args++] = argv[i];
        }
    }
    if (common->help) {
        auk_opt_help(cmd);
        return 0;
    }
    if (common->n_args < cmd->min_args)
        return auk_cli_usage(cmd, "something is missing");
    if (cmd->max_args >= 0 && common->n_args > cmd->max_args)
        return auk_cli_usage(cmd, "'%s' is one too many", common->arg[cmd->max_args]);
    return check_common(cmd, common);
}

static void print_table(const auk_opt *o)
{
    char left[64];

    for (; o != NULL && o->name != NULL; o++) {
        snprintf(left, sizeof left, "--%s%s%s", o->name, o->value != NULL ? " " : "",
                 o->value != NULL ? o->value : "");
        printf("  %-24s %s\n", left, o->help);
    }
}

void auk_opt_help(const auk_cmd *cmd)
{
    printf("usage: auklet %s\n\n%s\n\nexamples:\n%s\n", cmd->usage, cmd->summary, cmd->examples);
    if (cmd->options != NULL && cmd->options->name != NULL) {
        printf("options:\n");
        print_table(cmd->options);
        printf("\n");
    }
    printf("options of every command:\n");
    print_table(common_options);
}

void auk_opt_list(const auk_cmd *cmd)
{
    for (const auk_opt *o = cmd->options; o != NULL && o->name != NULL; o++)
        printf("--%s\n", o->name);
    for (const auk_opt *o = common_options; o->name != NULL; o++)
        printf("--%s\n", o->name);
}
