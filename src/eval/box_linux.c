/* SPDX-License-Identifier: Apache-2.0 */
/* Levels A, B and D on Linux.
 *
 * Level A: the child of clone is process 1 of its namespaces.  It builds a root of its own, gives
 * up every capability, starts the program as process 2, reports how that ended and exits; the
 * kernel then kills whatever is left in the namespace before we can reap process 1.
 * Level B: the child becomes the program.  It cannot make another process (seccomp), so killing it
 * is killing all of it, and it can write nowhere (Landlock), so nothing is left on disk.
 * Level D: limits, a session of its own, and a kill of its process group.
 *
 * Between clone and exec there are system calls only: see box.h. */
#define _GNU_SOURCE
#include "eval/box_linux.h"

#if defined(__linux__)
#include "base/mem.h"
#include "eval/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

const char auk_os_levels[] = "ABD";

const char *auk_os_stage(int s)
{
    static const char *const names[] = {"descriptors", "start",      "open_tree", "setuid",
                                        "mount",       "pivot_root", "Landlock",  "privileges",
                                        "fork",        "limits",     "seccomp",   "exec of Python"};
    return s >= 0 && s < (int)(sizeof names / sizeof *names) ? names[s] : "an unknown step";
}

/* ---- prepare ------------------------------------------------------------------------------ */

static void add_bind(auk_os *os, const char *path, bind_kind kind)
{
    struct stat st;
    char target[512];
    ssize_t n;

    if (os->n_binds == MAX_BINDS || lstat(path, &st) < 0)
        return;
    bind *b = &os->binds[os->n_binds++];
    *b = (bind){.path = auk_strndup(path, strlen(path)), .kind = kind};
    if (S_ISLNK(st.st_mode) && kind == BIND_FOLDER &&
        (n = readlink(path, target, sizeof target)) > 0 && n < (ssize_t)sizeof target)
        b->target = auk_strndup(target, (size_t)n);
}

static bool in_user_namespace(void)
{
    char map[256] = "";
    int fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);

    if (fd >= 0 && read(fd, map, sizeof map - 1) < 0)
        map[0] = 0;
    if (fd >= 0)
        close(fd);
    return map[0] != 0 && strstr(map, "4294967295") == NULL; /* the first one maps all users */
}

static int landlock_abi(void)
{
    return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, 1 /* ask for the version */);
}

int auk_os_prepare(auk_os **out, const auk_python *py, auk_level level, auk_err *err)
{
    static const char *const folders[] = {"/usr",   "/lib", "/lib64",
                                          "/lib32", "/bin", "/etc/alternatives"};
    static const char *const devices[] = {"/dev/null", "/dev/zero", "/dev/urandom"};
    auk_os *os = auk_alloc(sizeof *os);
    int rc = AUK_OK;

    *out = NULL;
    os->level = level;
    os->exe = py->exe;
    os->as_root = geteuid() == 0;
    os->nested = in_user_namespace();
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        add_bind(os, folders[i], BIND_FOLDER);
    for (size_t i = 0; i < py->n_roots; i++)
        add_bind(os, py->roots[i], BIND_FOLDER);
    add_bind(os, "/etc/ld.so.cache", BIND_FILE);
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
        add_bind(os, devices[i], BIND_DEVICE);
    if (level == AUK_LEVEL_C)
        rc = auk_fail(err, AUK_ENOTSUP, "level C is for macOS");
    if (rc == AUK_OK && level != AUK_LEVEL_D)
        rc = auk_filter_make(&os->filter, level == AUK_LEVEL_A, false, err);
    if (rc == AUK_OK && level == AUK_LEVEL_A)
        rc = auk_filter_make(&os->server_filter, true, true, err);
    if (rc == AUK_OK && level == AUK_LEVEL_A)
        rc = auk_filter_make_commands(&os->commands_filter, err);
    if (rc == AUK_OK && level == AUK_LEVEL_A)
        rc = auk_filter_make_last(&os->last_filter, err);
    os->landlock = landlock_abi();
    if (rc == AUK_OK && level == AUK_LEVEL_B && os->landlock < 1)
        rc = auk_fail(err, AUK_ENOTSUP, "this kernel has no Landlock");
    if (rc == AUK_OK)
        *out = os;
    else
        auk_os_release(os);
    return rc;
}

void auk_os_release(auk_os *os)
{
    if (os == NULL)
        return;
    for (size_t i = 0; i < os->n_binds; i++) {
        free(os->binds[i].path);
        free(os->binds[i].target);
    }
    auk_filter_release(&os->filter);
    auk_filter_release(&os->server_filter);
    auk_filter_release(&os->last_filter);
    auk_filter_release(&os->commands_filter);
    free(os);
}

void auk_os_last_filter(auk_buf *out, const auk_os *os)
{
    const unsigned char *p = os->last_filter.p;

    for (size_t i = 0; i < os->last_filter.n * 8; i++) /* an instruction is 8 bytes */
        auk_buf_printf(out, "%02x", p[i]);
}

int auk_os_data(int *fd, auk_str data, auk_err *err)
{
    *fd = memfd_create("program", MFD_CLOEXEC);
    if (*fd < 0)
        return auk_fail_errno(err, "cannot make a memory file");
    while (data.n > 0) {
        ssize_t n = write(*fd, data.p, data.n);
        if (n <= 0) {
            auk_fail_errno(err, "cannot write a memory file");
            close(*fd);
            return AUK_EIO;
        }
        data = auk_str_from(data, (size_t)n);
    }
    lseek(*fd, 0, SEEK_SET);
    return AUK_OK;
}

/* ---- the child: system calls only --------------------------------------------------------- */

_Noreturn void auk_box_give_up(stage s)
{
    auk_report report = {.failed_at = s, .error = errno};

    if (write(FD_REPORT, &report, sizeof report) < 0)
        _exit(126);
    _exit(127);
}

/* Moves what it was given to fixed places and closes everything else. */
static void arrange_fds(const auk_stdio *io, int report, int life)
{
    int fds[] = {io->in, io->out, io->err, io->data, io->verdict, report, life};
    enum { N = sizeof fds / sizeof *fds };

    for (int i = 0; i < N; i++)
        fds[i] = fcntl(fds[i], F_DUPFD, 64);
    for (int i = 0; i < N; i++)
        if (fds[i] < 0 || dup2(fds[i], i) < 0)
            _exit(126);
    if (syscall(SYS_close_range, (unsigned)FD_FREE, ~0u, 0u) < 0)
        for (int fd = FD_FREE; fd < 4096; fd++)
            close(fd);
    fcntl(FD_REPORT, F_SETFD, FD_CLOEXEC);
    fcntl(FD_LIFE, F_SETFD, FD_CLOEXEC);
}

static void reset_signals(void)
{
    sigset_t none;

    for (int s = 1; s < 32; s++)
        signal(s, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Dies with the parent, also when that is dead already. */
static void follow_parent(void)
{
    struct pollfd life = {.fd = FD_LIFE, .events = POLLIN};

    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (poll(&life, 1, 0) > 0 && (life.revents & POLLHUP))
        _exit(126);
}

static void drop_privileges(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};

    for (int cap = 0; cap < 64; cap++)
        prctl(PR_CAPBSET_DROP, cap, 0, 0, 0); /* fails for those that do not exist, or are gone */
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    must((int)syscall(SYS_capset, &head, none), S_PRIVILEGES);
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), S_PRIVILEGES);
}

/* ---- the program -------------------------------------------------------------------------- */

static _Noreturn void run_program(const child *c)
{
    for (size_t i = 0; i < c->n_limits; i++)
        must(setrlimit(c->limits[i].which, &c->limits[i].value), S_LIMITS);
    if (c->filter->n > 0)
        must(auk_filter_apply(c->filter), S_SECCOMP);
    execve(c->os->exe, c->argv, c->envp);
    auk_box_give_up(S_EXEC);
}

/* Process 1: sends on how process 2 ended, and by exiting takes the rest with it. */
static _Noreturn void be_init(const child *c)
{
    auk_report report = {.failed_at = -1};
    struct rlimit tasks = {c->tasks, c->tasks};
    int status;

    pid_t program = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0);
    must(program, S_FORK);
    if (program == 0) {
        setsid(); /* else kill(getppid()), which is kill(0), would reach process 1's group */
        must(setrlimit(RLIMIT_NPROC, &tasks), S_LIMITS);
        run_program(c);
    }
    for (int fd = 0; fd <= FD_VERDICT; fd++)
        close(fd);
    for (pid_t pid; (pid = wait4(-1, &status, 0, NULL)) != program;)
        if (pid < 0 && errno != EINTR)
            auk_box_give_up(S_FORK);
    report.wait_status = status;
    if (write(FD_REPORT, &report, sizeof report) < 0)
        _exit(126); /* an exec that failed has told already */
    _exit(0);
}

static _Noreturn void child_a(const child *c)
{
    char go;

    if (read(FD_LIFE, &go, 1) != 1) /* until the parent has written our id maps */
        _exit(126);
    auk_box_build_root(c);
    if (c->os->landlock >= 1) {
        must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), S_PRIVILEGES);
        auk_box_restrict_files(c->os);
    }
    drop_privileges();
    follow_parent();
    be_init(c);
}

static _Noreturn void child_b(const child *c)
{
    must(chdir("/"), S_IDENTITY);
    if (c->os->as_root) {
        must(setgroups(0, NULL), S_IDENTITY);
        must((int)syscall(SYS_setresgid, c->uid, c->uid, c->uid), S_IDENTITY);
        must((int)syscall(SYS_setresuid, c->uid, c->uid, c->uid), S_IDENTITY);
    }
    drop_privileges();
    auk_box_restrict_files(c->os);
    follow_parent();
    run_program(c);
}

static _Noreturn void child_d(const child *c)
{
    must(chdir("/"), S_IDENTITY);
    follow_parent();
    run_program(c);
}

/* ---- the parent --------------------------------------------------------------------------- */

static bool write_proc(pid_t pid, const char *name, const char *text)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return ok;
}

/* Inside the box there is one user, 0.  Outside that is us, or for root a user without rights. */
static bool write_maps(pid_t pid, const child *c)
{
    const uid_t choices[] = {c->uid, NOBODY, 0};
    char line[64];

    if (!c->os->as_root) {
        snprintf(line, sizeof line, "0 %u 1", (unsigned)getegid());
        if (!write_proc(pid, "setgroups", "deny") || !write_proc(pid, "gid_map", line))
            return false;
        snprintf(line, sizeof line, "0 %u 1", (unsigned)geteuid());
        return write_proc(pid, "uid_map", line);
    }
    /* A user that our own namespace lacks is refused; its root alone is no root outside. */
    for (size_t i = 0; i < (c->os->nested ? 3 : 2); i++) {
        snprintf(line, sizeof line, "0 %u 1", (unsigned)choices[i]);
        if (write_proc(pid, "uid_map", line))
            return write_proc(pid, "gid_map", line);
    }
    return false;
}

static _Noreturn void be_child(const child *c, const auk_stdio *io, int report, int life)
{
    arrange_fds(io, report, life);
    setsid();
    reset_signals();
    if (c->os->level == AUK_LEVEL_A)
        child_a(c);
    if (c->os->level == AUK_LEVEL_B)
        child_b(c);
    child_d(c);
}

/* Lets go of a box whose start failed. */
static void undo(auk_box *box)
{
    siginfo_t info;

    auk_os_kill(box);
    waitid((idtype_t)3, (id_t)box->handle, &info, WEXITED);
    box->pid = -1;
}

int auk_os_spawn(auk_box *box, const char *script, const auk_stdio *io, auk_err *err)
{
    static const char *const envp[] = {
        "PATH=/usr/bin:/bin",
        "HOME=/tmp",
        "TMPDIR=/tmp",
        "LC_ALL=C.UTF-8",
        "TZ=UTC",
        "PYTHONHASHSEED=0",
        "OMP_NUM_THREADS=1",
        "OPENBLAS_NUM_THREADS=1",
        "MALLOC_ARENA_MAX=1", /* else every thread takes 64 MiB of address space */
        NULL};
    auk_os *os = box->sb->os;
    const char *const argv[] = {os->exe, "-S", "-s", "-B", "-c", script, NULL};
    child c = {.os = os,
               .argv = (char *const *)argv,
               .envp = (char *const *)envp,
               .uid = FIRST_UID + os->started++ % N_UIDS};
    unsigned long flags = CLONE_PIDFD | SIGCHLD;
    int report[2], life[2];

    c.n_limits = auk_box_rlimits(c.limits, box);
    bool commands = box->limits.commands;
    c.filter = commands ? &os->commands_filter : box->serving ? &os->server_filter : &os->filter;
    c.tasks = commands ? 256 : 128; /* threads; without commands no other process can be made */
    snprintf(
        c.tmp, sizeof c.tmp, "size=%lluk,nr_inodes=%d,mode=1777",
        (unsigned long long)(box->limits.disk_bytes > 0 ? box->limits.disk_bytes >> 10 : 64 << 10),
        commands ? 200000 : 4096);
    if (os->level == AUK_LEVEL_A)
        flags |= CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC |
                 CLONE_NEWUTS | CLONE_NEWCGROUP;
    if (pipe2(report, O_CLOEXEC) < 0)
        return auk_fail_errno(err, "cannot make a pipe");
    if (pipe2(life, O_CLOEXEC) < 0) {
        auk_fail_errno(err, "cannot make a pipe");
        close(report[0]);
        close(report[1]);
        return AUK_EIO;
    }
    long pid = syscall(SYS_clone, flags, NULL, &box->handle, NULL, 0);
    if (pid == 0)
        be_child(&c, io, report[1], life[0]);
    int failed = errno;
    close(report[1]);
    close(life[0]);
    fcntl(report[0], F_SETFL, O_NONBLOCK);
    box->report = report[0];
    box->lifeline = life[1];
    if (pid < 0) {
        box->handle = -1;
        return auk_fail(err, AUK_EIO, "cannot make a process%s: %s",
                        os->level == AUK_LEVEL_A ? " with namespaces" : "", strerror(failed));
    }
    box->pid = (pid_t)pid;
    if (os->level == AUK_LEVEL_A &&
        (!write_maps(box->pid, &c) || write(box->lifeline, "g", 1) != 1)) {
        auk_fail_errno(err, "cannot map the users of a sandbox");
        undo(box);
        return AUK_EIO;
    }
    return AUK_OK;
}

void auk_os_kill(const auk_box *box)
{
    if (box->pid < 0)
        return;
    syscall(SYS_pidfd_send_signal, box->handle, SIGKILL, NULL, 0);
    if (box->sb->level == AUK_LEVEL_D)
        kill(-box->pid, SIGKILL); /* not reaped yet, so the number is still its own */
}

bool auk_os_reap(auk_box *box)
{
    siginfo_t info = {0};
    struct rusage used = {0};
    long options = WEXITED | WNOHANG;

    if (box->sb->level == AUK_LEVEL_D) { /* what it left in its group goes before its number does */
        if (waitid((idtype_t)3, (id_t)box->handle, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
            info.si_pid != 0)
            kill(-box->pid, SIGKILL);
        info = (siginfo_t){0};
    }
    if (syscall(SYS_waitid, 3 /* P_PIDFD */, box->handle, &info, options, &used) < 0) {
        if (errno == EINTR)
            return false;
        box->failed = errno;
    } else if (info.si_pid == 0) {
        return false;
    }
    box->wait_status = info.si_code == CLD_EXITED ? info.si_status << 8 : info.si_status;
    box->cpu_ns = (uint64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000000u +
                  (uint64_t)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1000u;
    box->pid = -1;
    return true;
}
#endif
