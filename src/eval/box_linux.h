/* SPDX-License-Identifier: Apache-2.0 */
/* box_linux.h - what box_linux.c (processes) and box_root.c (files: Landlock, the private root) of
 * the Linux boxes share.  Private to them.  Between clone and exec there are system calls only. */
#ifndef AUK_EVAL_BOX_LINUX_H
#define AUK_EVAL_BOX_LINUX_H

#include "eval/box.h"
#include "eval/filter.h"

/* Newer than Debian 12's headers. */
#include <sys/syscall.h>
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

#define MAX_BINDS 48
#define FIRST_UID 65000 /* a process of root becomes FIRST_UID + its box's number modulo N_UIDS */
#define N_UIDS 400
#define NOBODY 65534

typedef enum stage {
    S_FDS,
    S_GO,
    S_OPEN_TREE,
    S_IDENTITY,
    S_MOUNT,
    S_PIVOT,
    S_LANDLOCK,
    S_PRIVILEGES,
    S_FORK,
    S_LIMITS,
    S_SECCOMP,
    S_EXEC,
} stage;

typedef enum bind_kind { BIND_FOLDER, BIND_FILE, BIND_DEVICE } bind_kind;

typedef struct bind {
    char *path;   /* owned */
    char *target; /* owned; not NULL: a symbolic link */
    bind_kind kind;
} bind;

struct auk_os {
    auk_level level;
    bool as_root, nested; /* nested: root of a user namespace, which may lack other users */
    unsigned started;     /* boxes so far: their uid */
    const char *exe;      /* borrowed from the auk_python */
    bind binds[MAX_BINDS];
    size_t n_binds;
    auk_filter filter, server_filter, last_filter, commands_filter; /* all but one: level A */
    int landlock;                                                   /* its ABI */
};

/* Where the child keeps its descriptors. */
enum { FD_DATA = 3, FD_VERDICT = 4, FD_REPORT = 5, FD_LIFE = 6, FD_FREE = 7 };

typedef struct child {
    auk_os *os;
    char *const *argv, *const *envp;
    auk_rlimit limits[12];
    size_t n_limits;
    const auk_filter *filter;
    char tmp[64]; /* mount options of /tmp */
    rlim_t tasks;
    uid_t uid; /* of a process of root: what it becomes outside */
} child;

/* Tells the parent where it failed, with errno, and ends. */
_Noreturn void auk_box_give_up(stage s);
static inline void must(int result, stage s)
{
    if (result < 0)
        auk_box_give_up(s);
}

/* Level A: read everywhere in the private root, write in /tmp.  Level B: read what Python needs. */
void auk_box_restrict_files(const auk_os *os);

/* Level A: a root of its own, from mounts that cannot be written. */
void auk_box_build_root(const child *c);

/* A process of root becomes the one user of its namespace. */
void auk_box_become_nobody(const child *c);

#endif
