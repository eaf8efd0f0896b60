/* SPDX-License-Identifier: Apache-2.0 */
/* What serving does not need is given up once the model is loaded: root, and starting programs. */
#define _GNU_SOURCE
#include "serve/server_state.h"

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOBODY 65534

static int leave_root(const auk_serving *s, auk_err *err)
{
    struct stat st = {.st_uid = NOBODY, .st_gid = NOBODY};

    if (geteuid() != 0)
        return AUK_OK;
    if (s->opts.cache_dir != NULL && stat(s->opts.cache_dir, &st) != 0)
        return auk_fail_errno(err, "cannot look at '%s'", s->opts.cache_dir);
    if (st.st_uid == 0) /* what it keeps belongs to root */
        return AUK_OK;
    if (setgroups(0, NULL) != 0 || setgid(st.st_gid) != 0 || setuid(st.st_uid) != 0)
        return auk_fail_errno(err, "cannot give up root's rights (--keep-rights keeps them)");
    return AUK_OK;
}

#if defined(__linux__)
#include <errno.h>
#include <seccomp.h>

static int filter_calls(auk_err *err)
{
    static const int denied[] = {SCMP_SYS(execve),  SCMP_SYS(execveat),        SCMP_SYS(ptrace),
                                 SCMP_SYS(mount),   SCMP_SYS(umount2),         SCMP_SYS(pivot_root),
                                 SCMP_SYS(bpf),     SCMP_SYS(perf_event_open), SCMP_SYS(keyctl),
                                 SCMP_SYS(add_key), SCMP_SYS(init_module),     SCMP_SYS(reboot),
                                 SCMP_SYS(setns),   SCMP_SYS(unshare),         SCMP_SYS(chroot),
                                 SCMP_SYS(connect), SCMP_SYS(userfaultfd)};
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
    int rc = f != NULL ? seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1) : -ENOMEM;

    for (size_t i = 0; i < sizeof denied / sizeof *denied && rc == 0; i++)
        rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), denied[i], 0);
    if (rc == 0)
        rc = seccomp_load(f);
    seccomp_release(f);
    errno = -rc;
    return rc == 0 ? AUK_OK : auk_fail_errno(err, "cannot filter system calls (--keep-rights)");
}
#else
static int filter_calls(auk_err *err)
{
    (void)err;
    return AUK_OK;
}
#endif

int auk_drop_rights(const auk_serving *s, auk_err *err)
{
    if (!s->opts.drop_rights)
        return AUK_OK;
    int rc = leave_root(s, err);
    return rc == AUK_OK ? filter_calls(err) : rc;
}
