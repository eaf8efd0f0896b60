/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE
#include "quant/quant.h"

#include "base/mem.h"
#include "base/time.h"
#include "quant/plan.h"
#include "quant/calibrate.h"

#include <sys/resource.h>

auk_quant_options auk_quant_defaults(void)
{
    return (auk_quant_options){.mx_scale = AUK_MX_UP, .weight_power = 2};
}

/* The high-water mark of the resident set.  getrusage's also knows what ran before exec, so
 * /proc is asked first. */
static uint64_t peak_rss(void)
{
    auk_buf text = AUK_BUF_INIT(1 << 16);
    struct rusage usage;
    uint64_t bytes = 0;
    auk_err ignored;

    if (auk_file_read(&text, "/proc/self/status", &ignored) == AUK_OK) {
        const char *line = strstr(text.p, "VmHWM:");
        if (line != NULL)
            bytes = 1024 * strtoull(line + 6, NULL, 10);
    }
    auk_buf_release(&text);
    if (bytes == 0 && getrusage(RUSAGE_SELF, &usage) == 0)
#if defined(__APPLE__)
        bytes = (uint64_t)usage.ru_maxrss;
#else
        bytes = 1024 * (uint64_t)usage.ru_maxrss;
#endif
    return bytes;
}

/* Replacing dst must not delete src: dst is neither src nor a folder above it. */
static int check_places(const char *src, const char *dst, auk_err *err)
{
    char *from = realpath(src, NULL), *to = realpath(dst, NULL);
    int rc = AUK_OK;

    if (from != NULL && to != NULL) {
        size_t n = strlen(to);
        if (strncmp(from, to, n) == 0 &&
            (from[n] == 0 || from[n] == '/' || n == 1)) /* 1: the root */
            rc = auk_fail(err, AUK_EINVAL, "the destination '%s' holds the source: choose another",
                          dst);
    }
    free(from);
    free(to);
    return rc;
}

static int declare(int **outputs, auk_sink *sink, const auk_quant_plan *plan, auk_err *err)
{
    int rc = auk_try_alloc(outputs, plan->list.n, sizeof **outputs, err);

    for (size_t i = 0; i < plan->list.n && rc >= 0; i++) {
        const auk_quant_module *m = &plan->list.modules[i];
        auk_quant_output o[3];
        char name[128];
        int n = auk_quant_outputs(o, m, plan->origins[i].to);
        for (int j = 0; j < n && rc >= 0; j++) {
            auk_quant_output_name(name, sizeof name, m, &o[j]);
            rc = auk_sink_declare(sink, name, o[j].dtype, o[j].rank, o[j].shape, err);
            if (j == 0)
                (*outputs)[i] = rc;
        }
    }
    return rc < 0 ? rc : AUK_OK;
}

/* Everything but the weights. */
static int write_rest(auk_sink *sink, const auk_quant_source *s, const auk_quant_plan *plan,
                      const char *src, auk_err *err)
{
    auk_buf config = AUK_BUF_INIT(AUK_MAX_JSON_FILE);
    char *path = auk_path_join(auk_sink_dir(sink), "config.json");

    int rc = auk_quant_copy_files(src, auk_sink_dir(sink), err);
    if (rc == AUK_OK)
        rc = auk_quant_config_print(&config, s, &plan->list, err);
    if (rc == AUK_OK)
        rc = auk_file_write(path, auk_buf_str(&config), err);
    free(path);
    auk_buf_release(&config);
    return rc;
}

static void fill_result(auk_quant_result *out, const auk_quant_plan *plan, const auk_sink *sink)
{
    for (size_t i = 0; i < plan->list.n; i++)
        out->weights +=
            auk_quant_rows(&plan->list.modules[i]) * auk_quant_cols(&plan->list.modules[i]);
    out->bytes = auk_sink_bytes(sink);
    out->tensors = auk_sink_count(sink);
    out->bits_per_weight = 8.0 * (double)out->bytes / (double)out->weights;
}

/* With the source open and planned, and the sink made. */
static int convert(auk_quant_result *out, const char *src, auk_quant_job *job,
                   const auk_quant_source *s, auk_err *err)
{
    char stamp[65];
    int *outputs = NULL;
    uint64_t done = 0, units = 0;

    int rc = declare(&outputs, job->sink, job->plan, err);
    if (rc == AUK_OK)
        rc = auk_quant_stamp(stamp, job->ck, s, job->opts, err);
    if (rc == AUK_OK)
        rc = auk_sink_begin(job->sink, stamp, &done, err);
    job->outputs = outputs;
    out->source_bytes = auk_quant_source_bytes(job->plan);
    if (rc == AUK_OK)
        rc = auk_quant_run(job, done, &units, err);
    if (rc == AUK_OK && job->opts->method != AUK_METHOD_RTN && job->opts->calibration != NULL)
        rc = auk_calibrate(out, job, src, units, done, err);
    if (rc == AUK_OK)
        rc = write_rest(job->sink, s, job->plan, src, err);
    if (rc == AUK_OK)
        fill_result(out, job->plan, job->sink);
    if (rc == AUK_OK)
        rc = auk_sink_commit(job->sink, err);
    free(outputs);
    return rc;
}

static int check_method(const auk_quant_options *opts, auk_err *err)
{
    if (opts->method == AUK_METHOD_GPTQ && opts->calibration == NULL)
        return auk_fail(err, AUK_EINVAL, "gptq needs calibration tokens");
    if (opts->method == AUK_METHOD_GPTQ && opts->mode != AUK_AFFINE)
        return auk_fail(err, AUK_EINVAL,
                        "gptq writes affine codes; mode %s has a searched scale with method wrtn",
                        auk_mode_name(opts->mode));
    if (opts->method != AUK_METHOD_RTN && opts->bits == AUK_QUANT_NONE)
        return auk_fail(err, AUK_EINVAL, "16 bits quantize nothing: they take no method");
    if (opts->weight_power < 0 || opts->weight_power > 2)
        return auk_fail(err, AUK_EINVAL, "tokens count by router weight to the power 0, 1 or 2");
    return AUK_OK;
}

int auk_quantize(auk_quant_result *out, const char *src, const char *dst,
                 const auk_quant_options *opts, auk_err *err)
{
    uint64_t started = auk_now_ns();
    auk_quant_source s = {0};
    auk_checkpoint *ck = NULL;
    auk_quant_plan plan = {0};
    auk_sink *sink = NULL;
    auk_kernel k;
    unsigned flags = opts->cpu_flags;

    *out = (auk_quant_result){0};
    int rc = check_method(opts, err);
    if (rc == AUK_OK && flags == 0)
        rc = auk_cpu_default(&flags, err);
    if (rc == AUK_OK)
        rc = check_places(src, dst, err);
    if (rc == AUK_OK)
        rc = auk_sink_new(&sink, dst, opts->shard_bytes, opts->force, err);
    if (rc == AUK_OK && opts->resume)
        auk_sink_expect(sink);
    if (rc == AUK_OK)
        rc = auk_checkpoint_open(&ck, src, err);
    if (rc == AUK_OK)
        rc = auk_quant_source_open(&s, src, err);
    if (rc == AUK_OK)
        rc = auk_quant_plan_make(&plan, ck, &s, opts, err);
    if (rc == AUK_OK) {
        auk_kernel_init(&k, flags);
        auk_pool *pool = auk_pool_new(opts->threads);
        auk_quant_job job = {&plan, opts, ck, sink, NULL, &k, pool};
        rc = convert(out, src, &job, &s, err);
        auk_pool_free(pool);
    }
    auk_quant_plan_release(&plan);
    auk_quant_source_release(&s);
    auk_checkpoint_close(ck);
    auk_sink_free(sink);
    out->seconds = (double)(auk_now_ns() - started) * 1e-9;
    out->peak_rss_bytes = peak_rss();
    return rc;
}
