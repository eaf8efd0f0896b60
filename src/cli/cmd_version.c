/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "kernel/kernel.h"

static const auk_opt options[] = {{0}};

static json_t *slots(const auk_kernel *k)
{
    json_t *out = json_object();
    const char *name;

    for (size_t i = 0; (name = auk_kernel_slot_name(i)) != NULL; i++)
        json_object_set_new(out, name, json_string(auk_kernel_slot_level(k, name)));
    return out;
}

static int run(const auk_cmd *self, int argc, char **argv)
{
    auk_common a = {0};
    auk_kernel k;
    unsigned flags;
    char names[64], model[128];
    auk_err err;

    int status = auk_opt_parse(self, &a, argc, argv);
    if (status != AUK_OPT_GO)
        return status;
    if (auk_cli_cpu(&flags, &a, &err) < 0)
        return auk_cli_fail(&err);
    auk_kernel_init(&k, flags);
    auk_cpu_names(names, sizeof names, flags);
    auk_cpu_model(model, sizeof model);
    if (!a.json) {
        printf("auklet %s (%s)\n%s, %s\ncpu: %s, levels: %s\n", AUK_VERSION, AUK_COMMIT,
               AUK_COMPILER, AUK_CFLAGS, model, names);
        return 0;
    }
    return auk_cli_print_json(
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:n, s:o}", "schema", "auklet.version/1",
                  "version", AUK_VERSION, "commit", AUK_COMMIT, "compiler", AUK_COMPILER, "flags",
                  AUK_CFLAGS, "cpu", model, "levels", names, "blas", "kernels", slots(&k)));
}

const auk_cmd auk_cmd_version = {
    .name = "version",
    .run = run,
    .usage = "version [options]",
    .summary = "what this program was built from and which kernels it uses here",
    .examples = "  auklet version\n  auklet version --json\n",
    .options = options,
    .max_args = 0,
};
