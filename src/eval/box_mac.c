/* SPDX-License-Identifier: Apache-2.0 */
/* Levels C and D on macOS.  sandbox-exec denies by default: no files but Python's own, no writing,
 * no network, no other process.  There is no pidfd and no process namespace: the process group is
 * killed before its number is given back.  RLIMIT_AS cannot be set, so the memory in use is looked
 * at instead, every few milliseconds. */
#define _DARWIN_C_SOURCE
#include "eval/box.h"

#if defined(__APPLE__)
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <libproc.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define SANDBOX_EXEC "/usr/bin/sandbox-exec"

const char auk_os_levels[] = "CD";

const char *auk_os_stage(int s)
{
    static const char *const names[] = {"descriptors", "limits", "exec of Python"};
    return s >= 0 && s < 3 ? names[s] : "an unknown step";
}

struct auk_os {
    auk_level level;
    const char *exe; /* borrowed from the auk_python */
    auk_buf profile;
};

static const char profile_begin[] =
    "(version 1)\n"
    "(deny default)\n"
    "(allow process-exec*)\n" /* fork stays denied: what is executed replaces the program */
    "(allow signal (target self))\n"
    "(allow sysctl-read)\n"
    "(allow file-read-metadata)\n"
    "(allow file-read* (literal \"/\") (subpath \"/usr/lib\") (subpath \"/usr/share\")\n"
    "    (subpath \"/System\") (subpath \"/Library/Apple\") (subpath \"/private/var/db/dyld\")\n"
    "    (literal \"/dev/null\") (literal \"/dev/zero\") (literal \"/dev/urandom\"))\n"
    "(allow file-write-data (literal \"/dev/null\"))\n";

/* Nothing that a quotation mark in a path could end. */
static int allow_reading(auk_os *os, const char *path, auk_err *err)
{
    if (strchr(path, '"') != NULL || strchr(path, '\\') != NULL)
        return auk_fail(err, AUK_ENOTSUP, "'%s' cannot be written in a sandbox profile", path);
    auk_buf_printf(&os->profile, "(allow file-read* file-map-executable (subpath \"%s\"))\n", path);
    return AUK_OK;
}

int auk_os_prepare(auk_os **out, const auk_python *py, auk_level level, auk_err *err)
{
    auk_os *os = auk_alloc(sizeof *os);
    int rc = AUK_OK;

    *out = NULL;
    *os = (auk_os){.level = level, .exe = py->exe, .profile = AUK_BUF_INIT(1 << 20)};
    if (level != AUK_LEVEL_C && level != AUK_LEVEL_D)
        rc = auk_fail(err, AUK_ENOTSUP, "levels A and B are for Linux");
    if (rc == AUK_OK && level == AUK_LEVEL_C && access(SANDBOX_EXEC, X_OK) < 0)
        rc = auk_fail_errno(err, "cannot use '%s'", SANDBOX_EXEC);
    auk_buf_puts(&os->profile, profile_begin);
    if (rc == AUK_OK)
        rc = allow_reading(os, os->exe, err);
    for (size_t i = 0; i < py->n_roots && rc == AUK_OK; i++)
        rc = allow_reading(os, py->roots[i], err);
    if (rc == AUK_OK)
        rc = auk_buf_check(&os->profile, "the sandbox profile", err);
    if (rc == AUK_OK)
        *out = os;
    else
        auk_os_release(os);
    return rc;
}

void auk_os_release(auk_os *os)
{
    if (os != NULL)
        auk_buf_release(&os->profile);
    free(os);
}

void auk_os_last_filter(auk_buf *out, const auk_os *os)
{
    (void)out; /* no box serves here */
    (void)os;
}

int auk_os_data(int *fd, auk_str data, auk_err *err)
{
    char path[] = "/tmp/auklet-program-XXXXXX";

    *fd = mkstemp(path);
    if (*fd < 0)
        return auk_fail_errno(err, "cannot make a file in /tmp");
    unlink(path);
    fcntl(*fd, F_SETFD, FD_CLOEXEC);
    while (data.n > 0) {
        ssize_t n = write(*fd, data.p, data.n);
        if (n <= 0) {
            auk_fail_errno(err, "cannot write a file in /tmp");
            close(*fd);
            return AUK_EIO;
        }
        data = auk_str_from(data, (size_t)n);
    }
    lseek(*fd, 0, SEEK_SET);
    return AUK_OK;
}

static _Noreturn void give_up(int stage)
{
    auk_report report = {.failed_at = stage, .error = errno};

    if (write(5, &report, sizeof report) < 0)
        _exit(126);
    _exit(127);
}

static _Noreturn void be_child(const auk_rlimit *limits, size_t n, const char *const *argv,
                               const char *const *envp, const auk_stdio *io, int report)
{
    int fds[] = {io->in, io->out, io->err, io->data, io->verdict, report};
    enum { N = sizeof fds / sizeof *fds };

    for (int i = 0; i < N; i++)
        fds[i] = fcntl(fds[i], F_DUPFD, 64);
    for (int i = 0; i < N; i++)
        if (fds[i] < 0 || dup2(fds[i], i) < 0)
            _exit(126);
    for (int fd = N; fd < 4096; fd++)
        close(fd);
    fcntl(5, F_SETFD, FD_CLOEXEC);
    setsid();
    for (int s = 1; s < 32; s++)
        signal(s, SIG_DFL);
    for (size_t i = 0; i < n; i++)
        if (setrlimit(limits[i].which, &limits[i].value) < 0)
            give_up(1);
    if (chdir("/") == 0)
        execve(argv[0], (char *const *)argv, (char *const *)envp);
    give_up(2);
}

int auk_os_spawn(auk_box *box, const char *script, const auk_stdio *io, auk_err *err)
{
    static const char *const envp[] = {"PATH=/usr/bin:/bin",
                                       "HOME=/tmp",
                                       "TMPDIR=/tmp",
                                       "LC_ALL=C.UTF-8",
                                       "TZ=UTC",
                                       "PYTHONHASHSEED=0",
                                       "OMP_NUM_THREADS=1",
                                       "OPENBLAS_NUM_THREADS=1",
                                       NULL};
    auk_os *os = box->sb->os;
    const char *const argv[] = {
        SANDBOX_EXEC, "-p", auk_buf_str(&os->profile).p, os->exe, "-S", "-s", "-B", "-c",
        script,       NULL};
    auk_rlimit limits[12];
    size_t n = auk_box_rlimits(limits, box);
    int report[2];

    if (pipe(report) < 0)
        return auk_fail_errno(err, "cannot make a pipe");
    fcntl(report[0], F_SETFD, FD_CLOEXEC);
    fcntl(report[0], F_SETFL, O_NONBLOCK);
    box->pid = fork();
    if (box->pid == 0)
        be_child(limits, n, os->level == AUK_LEVEL_C ? argv : argv + 3, envp, io, report[1]);
    close(report[1]);
    box->report = report[0];
    return box->pid < 0 ? auk_fail_errno(err, "cannot make a process") : AUK_OK;
}

void auk_os_kill(const auk_box *box)
{
    if (box->pid > 0)
        kill(-box->pid, SIGKILL); /* not reaped yet, so the number is still its own */
}

/* The memory in use now; past the limit that is the end. */
static void watch_memory(auk_box *box)
{
    struct rusage_info_v2 info;

    if (!box->killed && proc_pid_rusage(box->pid, RUSAGE_INFO_V2, (rusage_info_t *)&info) == 0 &&
        info.ri_phys_footprint > box->limits.memory_bytes) {
        box->killed = true;
        box->killed_for = AUK_END_MEMORY;
        auk_os_kill(box);
    }
}

bool auk_os_reap(auk_box *box)
{
    siginfo_t info = {0};
    struct rusage used = {0};
    int status = 0;

    if (waitid(P_PID, (id_t)box->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        info.si_pid == 0) {
        watch_memory(box);
        return false;
    }
    kill(-box->pid, SIGKILL); /* what is left in its group, while the number is its own */
    if (wait4(box->pid, &status, 0, &used) < 0) {
        if (errno == EINTR)
            return false;
        box->failed = errno;
    }
    box->wait_status = status;
    box->cpu_ns = (uint64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000000u +
                  (uint64_t)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1000u;
    box->pid = -1;
    return true;
}
#endif
