/* SPDX-License-Identifier: Apache-2.0 */
/* What a box on Linux sees of the file system: Landlock's rules, and at level A a root of its own.
 * System calls only: see box.h. */
#define _GNU_SOURCE
#include "eval/box_linux.h"

#if defined(__linux__)

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Landlock ----------------------------------------------------------------------------- */

typedef struct landlock_attr {
    uint64_t fs, net, scoped;
} landlock_attr;

typedef struct landlock_path {
    uint64_t allowed;
    int32_t fd;
} __attribute__((packed)) landlock_path;

#define LL_EXECUTE (1u << 0)
#define LL_WRITE (1u << 1)
#define LL_READ (1u << 2)
#define LL_READ_DIR (1u << 3)
#define LL_MAKE_SPECIAL (1u << 6 | 1u << 9 | 1u << 11) /* devices, sockets */
#define LL_TRUNCATE (1u << 14)

static void allow_path(int ruleset, const char *path, uint64_t rights)
{
    landlock_path rule = {.allowed = rights, .fd = open(path, O_PATH | O_CLOEXEC)};

    if (rule.fd < 0)
        return; /* what is not there needs no right */
    must((int)syscall(SYS_landlock_add_rule, ruleset, 1, &rule, 0), S_LANDLOCK);
    close(rule.fd);
}

/* Level A: read everywhere in the private root, write in /tmp.  Level B: read what Python needs. */
void auk_box_restrict_files(const auk_os *os)
{
    static const uint64_t known[] = {0, 0x1fff, 0x3fff, 0x7fff, 0x7fff, 0xffff};
    landlock_attr attr = {.fs = known[os->landlock > 5 ? 5 : os->landlock],
                          .net = os->landlock >= 4 ? 3 : 0,     /* TCP bind, connect */
                          .scoped = os->landlock >= 6 ? 3 : 0}; /* sockets, signals outside */
    size_t size = os->landlock >= 6 ? 24 : os->landlock >= 4 ? 16 : 8;
    uint64_t all = attr.fs, read_only = LL_EXECUTE | LL_READ | LL_READ_DIR;
    uint64_t device = (LL_READ | LL_WRITE | LL_TRUNCATE) & all;

    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    must(ruleset, S_LANDLOCK);
    if (os->level == AUK_LEVEL_A) {
        allow_path(ruleset, "/", read_only);
        allow_path(ruleset, "/tmp", all & ~(uint64_t)LL_MAKE_SPECIAL);
    }
    for (size_t i = 0; i < os->n_binds; i++) {
        const bind *b = &os->binds[i];
        if (b->kind == BIND_DEVICE)
            allow_path(ruleset, b->path, device);
        else if (os->level == AUK_LEVEL_B)
            allow_path(ruleset, b->path, b->kind == BIND_FILE ? LL_READ : read_only);
    }
    must((int)syscall(SYS_landlock_restrict_self, ruleset, 0), S_LANDLOCK);
    close(ruleset);
}

/* ---- the private root (level A) ----------------------------------------------------------- */

#define TREE_CLONE 1u          /* OPEN_TREE_CLONE */
#define TREE_RECURSIVE 0x8000u /* AT_RECURSIVE */
#define MOVE_EMPTY_PATH 4u     /* MOVE_MOUNT_F_EMPTY_PATH */
#define ATTR_RDONLY 1u         /* MOUNT_ATTR_* */
#define ATTR_NOSUID 2u
#define ATTR_NODEV 4u

typedef struct mount_attr_v0 {
    uint64_t set, clear, propagation, userns_fd;
} mount_attr_v0;

/* "a/b/c": makes a, a/b and, for a folder, a/b/c; else an empty file. */
static void make_place(const char *path, bool folder)
{
    char part[1024];
    size_t n = strlen(path);

    if (n >= sizeof part) {
        errno = ENAMETOOLONG;
        auk_box_give_up(S_MOUNT);
    }
    for (size_t i = 0; i <= n; i++) {
        part[i] = path[i];
        if (i > 0 && (path[i] == '/' || (path[i] == 0 && folder))) {
            part[i] = 0;
            if (mkdir(part, 0755) < 0 && errno != EEXIST)
                auk_box_give_up(S_MOUNT);
            part[i] = path[i];
        }
    }
    if (!folder) {
        int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
        must(fd, S_MOUNT);
        close(fd);
    }
}

static void place_tree(int tree, const bind *b)
{
    const char *to = b->path + 1; /* from the new root, which is the working folder */
    mount_attr_v0 attr = {.set = ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV};

    if (b->target != NULL) {
        must(symlink(b->target, to), S_MOUNT);
        return;
    }
    make_place(to, b->kind == BIND_FOLDER);
    must((int)syscall(SYS_move_mount, tree, "", AT_FDCWD, to, MOVE_EMPTY_PATH), S_MOUNT);
    close(tree);
    if (b->kind != BIND_DEVICE)
        must((int)syscall(SYS_mount_setattr, AT_FDCWD, to, TREE_RECURSIVE, &attr, sizeof attr),
             S_MOUNT);
}

void auk_box_become_nobody(const child *c)
{
    if (!c->os->as_root)
        return;
    if (setgroups(0, NULL) < 0 && !(c->os->nested && errno == EPERM))
        auk_box_give_up(S_IDENTITY); /* a nested root may not, and has no groups that matter */
    must((int)syscall(SYS_setresgid, 0, 0, 0), S_IDENTITY);
    must((int)syscall(SYS_setresuid, 0, 0, 0), S_IDENTITY);
}

void auk_box_build_root(const child *c)
{
    const auk_os *os = c->os;
    int trees[MAX_BINDS];

    /* The sources are opened with the rights we came with, and before /tmp is covered. */
    must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), S_MOUNT);
    for (size_t i = 0; i < os->n_binds; i++) {
        const bind *b = &os->binds[i];
        trees[i] = -1;
        if (b->target == NULL)
            trees[i] = (int)syscall(SYS_open_tree, AT_FDCWD, b->path,
                                    TREE_CLONE | O_CLOEXEC | TREE_RECURSIVE);
        if (b->target == NULL && trees[i] < 0)
            auk_box_give_up(S_OPEN_TREE);
    }
    auk_box_become_nobody(c);
    umask(022);
    must(mount("root", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,nr_inodes=512,mode=755"),
         S_MOUNT);
    must(chdir("/tmp"), S_MOUNT);
    make_place("tmp", true);
    must(mount("tmp", "tmp", "tmpfs", MS_NOSUID | MS_NODEV, c->tmp), S_MOUNT);
    for (size_t i = 0; i < os->n_binds; i++)
        place_tree(trees[i], &os->binds[i]);
    must(mount(NULL, ".", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL),
         S_MOUNT);
    must((int)syscall(SYS_pivot_root, ".", "."), S_PIVOT);
    must(umount2(".", MNT_DETACH), S_PIVOT);
    must(chdir("/tmp"), S_PIVOT);
}
#endif
