/* SPDX-License-Identifier: Apache-2.0 */
/* A list of what is allowed: calls that are newer than it are refused too.  Python, numpy and
 * threads run; other processes, sockets, other people's processes and kernel interfaces do not. */
#define _GNU_SOURCE
#include "eval/filter.h"

#if defined(__linux__)
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* clang-format off */
static const char *const allowed[] = {
    /* files: what may be opened is Landlock's business */
    "read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "preadv2",
    "pwritev2", "open", "openat", "creat", "close", "close_range", "lseek", "_llseek", "stat",
    "fstat", "lstat", "newfstatat", "fstatat64", "statx", "statfs", "fstatfs", "access",
    "faccessat", "faccessat2", "readlink", "readlinkat", "getdents", "getdents64", "getcwd",
    "chdir", "fchdir", "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat",
    "renameat2", "link", "linkat", "symlink", "symlinkat", "chmod", "fchmod", "fchmodat",
    "truncate", "ftruncate", "fallocate", "utime", "utimes", "utimensat", "futimesat", "umask",
    "fsync", "fdatasync", "flock", "dup", "dup2", "dup3", "pipe", "pipe2", "sendfile",
    "copy_file_range", "splice", "fadvise64",
    /* waiting */
    "poll", "ppoll", "select", "pselect6", "epoll_create", "epoll_create1", "epoll_ctl",
    "epoll_wait", "epoll_pwait", "epoll_pwait2", "eventfd", "eventfd2", "timerfd_create",
    "timerfd_settime", "timerfd_gettime", "signalfd", "signalfd4", "nanosleep",
    "clock_nanosleep", "pause", "alarm", "getitimer", "setitimer", "timer_create",
    "timer_settime", "timer_gettime", "timer_getoverrun", "timer_delete",
    /* a pair of stream sockets talks to nobody else; other sockets cannot be made */
    "recvfrom", "recvmsg", "shutdown", "getsockname", "getpeername", "getsockopt",
    /* memory, threads */
    "mmap", "mprotect", "munmap", "mremap", "madvise", "mincore", "msync", "brk", "membarrier",
    "rseq", "set_robust_list", "get_robust_list", "futex", "futex_waitv", "set_tid_address",
    "arch_prctl", "prctl", "sched_yield", "sched_getaffinity", "sched_getparam",
    "sched_getscheduler", "sched_get_priority_max", "sched_get_priority_min", "getcpu",
    /* itself */
    "execve", "execveat", "exit", "exit_group", "wait4", "waitid", "rt_sigaction",
    "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigtimedwait", "rt_sigsuspend",
    "sigaltstack", "restart_syscall", "getpid", "getppid", "gettid", "getuid", "geteuid",
    "getgid", "getegid", "getresuid", "getresgid", "getgroups", "getpgrp", "getpgid", "getsid",
    "setsid", "getrusage", "getrlimit", "setrlimit", "getpriority", "capget", "times",
    /* the machine */
    "time", "gettimeofday", "clock_gettime", "clock_getres", "uname", "sysinfo", "getrandom",
};
/* clang-format on */

static const char *const own_namespace[] = {"kill", "tkill", "tgkill", "rt_sigqueueinfo",
                                            "rt_tgsigqueueinfo"};

/* What a shell and its tools ask for besides.  chown and setuid can do nothing in a namespace of
 * one user; they are here because tar and cp give up without an answer they know. */
static const char *const shell[] = {"fork",
                                    "vfork",
                                    "setpgid",
                                    "chown",
                                    "fchown",
                                    "lchown",
                                    "fchownat",
                                    "setxattr",
                                    "fsetxattr",
                                    "lsetxattr",
                                    "removexattr",
                                    "getxattr",
                                    "lgetxattr",
                                    "fgetxattr",
                                    "listxattr",
                                    "llistxattr",
                                    "flistxattr",
                                    "sched_setaffinity",
                                    "setpriority",
                                    "sync_file_range",
                                    "fchmodat2",
                                    "inotify_init1",
                                    "inotify_add_watch",
                                    "inotify_rm_watch",
                                    "sync",
                                    "syncfs"};

#define NAMESPACES                                                                                 \
    (CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |     \
     CLONE_NEWCGROUP)

/* Names a processor does not have are left out. */
static int allow_names(scmp_filter_ctx f, const char *const *names, size_t n)
{
    int rc = 0;

    for (size_t i = 0; i < n && rc == 0; i++) {
        int number = seccomp_syscall_resolve_name(names[i]);
        if (number >= 0)
            rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, number, 0);
    }
    return rc;
}

static int allow_if(scmp_filter_ctx f, int call, struct scmp_arg_cmp test)
{
    return seccomp_rule_add_array(f, SCMP_ACT_ALLOW, call, 1, &test);
}

/* Whole 64-bit arguments are compared, so nothing hides in an upper half. */
static int allow_some(scmp_filter_ctx f, bool forks)
{
    static const unsigned long ioctls[] = {FIOCLEX,  FIONCLEX, FIONBIO,
                                           FIONREAD, TCGETS,   TIOCGWINSZ};
    int rc = 0;

    for (size_t i = 0; i < sizeof ioctls / sizeof *ioctls && rc == 0; i++)
        rc = allow_if(f, SCMP_SYS(ioctl), SCMP_A1_64(SCMP_CMP_EQ, ioctls[i], 0));
    /* F_DUPFD to F_SETLKW: not F_SETOWN, which makes the kernel send signals */
    if (rc == 0)
        rc = allow_if(f, SCMP_SYS(fcntl), SCMP_A1_64(SCMP_CMP_LE, F_SETLKW, 0));
    if (rc == 0)
        rc = allow_if(f, SCMP_SYS(fcntl), SCMP_A1_64(SCMP_CMP_EQ, F_DUPFD_CLOEXEC, 0));
    if (rc == 0)
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 2,
                              SCMP_A0_64(SCMP_CMP_EQ, AF_UNIX, 0),
                              SCMP_A1_64(SCMP_CMP_MASKED_EQ, 0xf, SOCK_STREAM));
    if (rc == 0) /* without an address: to the other end */
        rc = allow_if(f, SCMP_SYS(sendto), SCMP_A4_64(SCMP_CMP_EQ, 0, 0));
    if (rc == 0)
        rc = allow_if(f, SCMP_SYS(prlimit64), SCMP_A0_64(SCMP_CMP_EQ, 0, 0));
    if (rc == 0)
        rc = allow_if(f, SCMP_SYS(clone),
                      SCMP_A0_64(SCMP_CMP_MASKED_EQ, NAMESPACES | (forks ? 0 : CLONE_THREAD),
                                 forks ? 0 : CLONE_THREAD));
    if (rc == 0) /* its flags lie in memory; without it threads are made by clone */
        rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    return rc;
}

static int export_filter(auk_filter *out, scmp_filter_ctx f)
{
    int fd = memfd_create("filter", MFD_CLOEXEC);
    off_t size = -1;
    bool ok = false;

    if (fd >= 0 && seccomp_export_bpf(f, fd) == 0)
        size = lseek(fd, 0, SEEK_END);
    if (size > 0)
        out->p = malloc((size_t)size);
    if (size > 0 && out->p != NULL)
        ok = pread(fd, out->p, (size_t)size, 0) == size;
    out->n = ok ? (size_t)size / sizeof(struct sock_filter) : 0;
    if (fd >= 0)
        close(fd);
    return ok ? 0 : -1;
}

static int finish(auk_filter *out, scmp_filter_ctx f, int rc, auk_err *err)
{
    *out = (auk_filter){0};
    if (rc == 0)
        rc = export_filter(out, f);
    seccomp_release(f);
    if (rc == 0)
        return AUK_OK;
    auk_filter_release(out);
    return auk_fail(err, AUK_ENOTSUP, "libseccomp cannot make the filter");
}

static int make(auk_filter *out, bool signals, bool forks, bool commands, auk_err *err)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int rc = f == NULL ? -1 : 0;

    if (rc == 0)
        rc = seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (rc == 0)
        rc = allow_names(f, allowed, sizeof allowed / sizeof *allowed);
    if (rc == 0 && signals)
        rc = allow_names(f, own_namespace, sizeof own_namespace / sizeof *own_namespace);
    if (rc == 0 && commands)
        rc = allow_names(f, shell, sizeof shell / sizeof *shell);
    if (rc == 0)
        rc = allow_some(f, forks);
    return finish(out, f, rc, err);
}

int auk_filter_make(auk_filter *out, bool signals, bool forks, auk_err *err)
{
    return make(out, signals, forks, false, err);
}

int auk_filter_make_commands(auk_filter *out, auk_err *err)
{
    return make(out, true, true, true, err);
}

int auk_filter_make_last(auk_filter *out, auk_err *err)
{
    const struct scmp_arg_cmp no_thread = SCMP_A0_64(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0);
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
    int rc = f == NULL ? -1 : 0;

    if (rc == 0)
        rc = seccomp_rule_add_array(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1, &no_thread);
    return finish(out, f, rc, err); /* fork, vfork and clone3 are on no list of ours */
}

void auk_filter_release(auk_filter *f)
{
    free(f->p);
    *f = (auk_filter){0};
}

int auk_filter_apply(const auk_filter *f)
{
    struct sock_fprog program = {.len = (unsigned short)f->n, .filter = f->p};

    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}
#endif
