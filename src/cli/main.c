/* SPDX-License-Identifier: Apache-2.0 */
/* The command table. */
#define _POSIX_C_SOURCE 200809L
#include "cli/cli.h"

#include "base/str.h"

#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <unistd.h>

typedef enum group { MAKE, USE, KNOW, STAGES } group;

static const struct {
    const auk_cmd *cmd;
    group group;
} commands[] = {
    {&auk_cmd_plan, MAKE},       {&auk_cmd_pull, MAKE},       {&auk_cmd_quantize, MAKE},
    {&auk_cmd_compare, KNOW},    {&auk_cmd_run, USE},         {&auk_cmd_serve, USE},
    {&auk_cmd_tensors, STAGES},  {&auk_cmd_tokenize, STAGES}, {&auk_cmd_detokenize, STAGES},
    {&auk_cmd_render, STAGES},   {&auk_cmd_parse, STAGES},    {&auk_cmd_logits, STAGES},
    {&auk_cmd_generate, STAGES}, {&auk_cmd_version, STAGES},  {&auk_cmd_stats, KNOW},
    {&auk_cmd_mt19937, STAGES},  {&auk_cmd_extract, STAGES},  {&auk_cmd_sandbox, STAGES},
    {&auk_cmd_eval, KNOW},       {&auk_cmd_ledger, KNOW},     {&auk_cmd_report, KNOW},
    {&auk_cmd_card, KNOW},       {&auk_cmd_patch, STAGES},    {&auk_cmd_bench, USE},
    {&auk_cmd_inspect, KNOW},    {&auk_cmd_audit, KNOW},      {&auk_cmd_launch, USE},
    {&auk_cmd_doctor, USE},      {&auk_cmd_agent, KNOW},      {&auk_cmd_swebench, KNOW},
};
#define N_COMMANDS (sizeof commands / sizeof *commands)

static void print_group(const char *title, group g)
{
    printf("\n%s\n", title);
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (commands[i].group == g)
            printf("  %-12s %s\n", commands[i].cmd->name, commands[i].cmd->summary);
}

static void print_help(void)
{
    printf("auklet makes the coding model North-Mini-Code-1.0 small, runs it and says what you "
           "got.\n\nusage: auklet COMMAND [options] [arguments]\n");
    print_group("make it small", MAKE);
    print_group("use it", USE);
    print_group("know what you got", KNOW);
    print_group("one stage each, for scripts", STAGES);
    printf(
        "\n'auklet COMMAND --help' explains one; 'auklet help env' lists environment variables;\n"
        "'make demo' shows the whole way on the model that lies in the repository.\n");
}

static void print_env(void)
{
    printf(
        "AUK_THREADS   threads to use (default: one per processor)\n"
        "AUK_CPU       highest instruction level to use: scalar, avx2, avx512, avx512bf16, amx, "
        "neon\n"
        "HF_TOKEN      pull: sent to the hub and to no other host\n"
        "HF_ENDPOINT   pull: the hub (default: https://huggingface.co)\n"
        "AUKLET_API_KEY  the key for a server given as MODEL\n"
        "AUK_LEDGER    the ledger's file, where runs keep a record; empty: they keep none\n"
        "AUK_DATA_URL  eval: a folder that has the files of named sets, instead of their authors'\n"
        "NO_COLOR      when set, no colour\n");
}

static const auk_cmd *find(const char *name)
{
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(commands[i].cmd->name, name) == 0)
            return commands[i].cmd;
    return NULL;
}

static int unknown(const char *word)
{
    const char *names[N_COMMANDS];

    for (size_t i = 0; i < N_COMMANDS; i++)
        names[i] = commands[i].cmd->name;
    const char *near = auk_nearest(word, names, N_COMMANDS);
    if (near != NULL)
        fprintf(stderr, "auklet: unknown command '%s': did you mean '%s'?\n", word, near);
    else
        fprintf(stderr, "auklet: unknown command '%s'\n", word);
    fprintf(stderr, "usage: auklet COMMAND [options]; see 'auklet help'\n");
    return 2;
}

static int help(int argc, char **argv)
{
    const char *what = argc > 0 ? argv[0] : "";

    if (strcmp(what, "--list") == 0) {
        for (size_t i = 0; i < N_COMMANDS; i++)
            printf("%s\n", commands[i].cmd->name);
        return 0;
    }
    if (strcmp(what, "env") == 0) {
        print_env();
        return 0;
    }
    bool list = strcmp(what, "--options") == 0 && argc > 1;
    const auk_cmd *cmd = list ? find(argv[1]) : find(what);
    if (cmd == NULL) {
        if (argc > 0)
            return unknown(list ? argv[1] : what);
        print_help();
        return 0;
    }
    if (list)
        auk_opt_list(cmd);
    else
        auk_opt_help(cmd);
    return 0;
}

/* A file opened later must not get the number of a standard stream that the caller closed: what is
 * printed would end up in it. */
static void hold_streams(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) < 0)
            _exit(1);
}

static int dispatch(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "auklet: no command given\nusage: auklet COMMAND [options]; see 'auklet "
                        "help'\n");
        return 2;
    }
    const char *name = argv[1];
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return help(argc - 2, argv + 2);
    if (strcmp(name, "--version") == 0)
        name = "version";
    const auk_cmd *cmd = find(name);
    if (cmd == NULL)
        return unknown(name);
    return cmd->run(cmd, argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
    hold_streams();
    setlocale(LC_CTYPE, ""); /* for line editing; numbers stay in the C locale */
    signal(SIGPIPE, SIG_IGN);
    int status = dispatch(argc, argv);
    bool lost = fflush(stdout) != 0 || ferror(stdout);
    if (!lost || (status != 0 && status != 3)) /* a failure has been said already */
        return status;
    fprintf(stderr, "auklet: cannot write to standard output\n");
    return 1;
}
