/* SPDX-License-Identifier: Apache-2.0 */
/* The attack list.  Each attack is a program that tries, and prints "stopped: why" or "through:
 * what"; one that must be ended from outside prints nothing or "started".  After each we look for
 * what it may have left: processes, files, mounts, descriptors, and the things it was after: a
 * file, a process, two listening sockets, all of our own making. */
#define _GNU_SOURCE
#include "eval/eval.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

typedef enum want { SAYS, ENDED } want; /* by its own words; by a limit or a signal */

typedef struct attack {
    const char *name;
    want want;
    const char *text;
} attack;

/* Before every attack: names of what it is after come in front of this. */
static const char prelude[] =
    "import os, sys, errno, time\n"
    "def name(e):\n"
    "    n = getattr(e, 'errno', None)\n"
    "    return errno.errorcode.get(n, type(e).__name__) if n else type(e).__name__\n"
    "def end(word, text):\n"
    "    os.write(1, (word + ': ' + text + '\\n').encode())\n"
    "    os._exit(0)\n"
    "def stopped(text): end('stopped', text)\n"
    "def through(text): end('through', text)\n"
    "def each(*tries):\n"
    "    why = []\n"
    "    for what, fn in tries:\n"
    "        try:\n"
    "            r = fn()\n"
    "        except BaseException as e:\n"
    "            why.append(what + ' ' + name(e))\n"
    "            continue\n"
    "        through(what + ' gave ' + repr(r)[:60])\n"
    "    stopped(', '.join(why))\n"
    "def reading(p): return lambda: open(p, 'rb').read(16)\n"
    "def writing(p): return lambda: open(p, 'ab').write(b'x')\n"
    "def libc():\n"
    "    import ctypes\n"
    "    c = ctypes.CDLL(None, use_errno=True)\n"
    "    def call(fn, *a):\n"
    "        r = getattr(c, fn)(*a)\n"
    "        if r < 0:\n"
    "            raise OSError(ctypes.get_errno(), fn)\n"
    "        return r\n"
    "    return call\n";

/* clang-format off */
static const attack attacks[] = {
    {"fork-loop", SAYS,
     "n = 0\n"
     "try:\n"
     "    while n < 64:\n"
     "        if os.fork() == 0:\n"
     "            time.sleep(60); os._exit(0)\n"
     "        n += 1\n"
     "except OSError as e:\n"
     "    stopped('fork %s after %d' % (name(e), n))\n"
     "through('64 processes')\n"},
    {"fork-bomb", ENDED,
     "while True:\n"
     "    try: os.fork()\n"
     "    except OSError: pass\n"},
    {"spawn", SAYS,
     "import subprocess\n"
     "def system():\n"
     "    if os.system('true') != 0: raise OSError(errno.EPERM, 'no shell')\n"
     "each(('Popen', lambda: subprocess.Popen(['/usr/bin/env']).wait()),\n"
     "     ('posix_spawn', lambda: os.posix_spawn('/usr/bin/env', ['env'], {})),\n"
     "     ('system', system))\n"},
    {"memory", SAYS,
     "held = []\n"
     "try:\n"
     "    while len(held) < 64:\n"
     "        held.append(bytearray(b'x') * (64 << 20))\n"
     "except MemoryError:\n"
     "    n = len(held); held = None\n"
     "    (stopped if n <= 16 else through)('MemoryError at %d MiB' % (64 * n))\n"
     "through('4 GiB')\n"},
    {"memory-file", SAYS,
     "def fill():\n"
     "    fd = os.memfd_create('x')\n"
     "    for i in range(64): os.write(fd, bytes(1 << 20))\n"
     "each(('memfd', fill))\n"},
    {"disk-fill", SAYS,
     "n = 0\n"
     "try:\n"
     "    while n < 400:\n"
     "        with open('/tmp/auk-attack-fill%d' % (n // 8), 'ab') as f: f.write(bytes(1 << 20))\n"
     "        n += 1\n"
     "except OSError as e:\n"
     "    (stopped if n <= 64 else through)('%s after %d MiB' % (name(e), n))\n"
     "through('400 MiB')\n"},
    {"huge-file", SAYS,
     "n = 0\n"
     "try:\n"
     "    with open('/tmp/auk-attack-huge', 'wb', 0) as f:\n"
     "        while n < 400:\n"
     "            if f.write(bytes(1 << 20)) < 1 << 20: raise OSError(errno.EFBIG, 'short')\n"
     "            n += 1\n"
     "except OSError as e:\n"
     "    (stopped if n <= 64 else through)('%s after %d MiB' % (name(e), n))\n"
     "through('400 MiB')\n"},
    {"inode-flood", SAYS,
     "n = 0\n"
     "try:\n"
     "    while n < 20000:\n"
     "        os.close(os.open('/tmp/auk-attack-i%d' % n, os.O_CREAT | os.O_WRONLY)); n += 1\n"
     "except OSError as e:\n"
     "    (stopped if n <= 5000 else through)('%s after %d files' % (name(e), n))\n"
     "through('20000 files')\n"},
    {"tcp", SAYS,
     "import socket\n"
     "each(('loopback', lambda: socket.create_connection(('127.0.0.1', PORT), 2)),\n"
     "     ('outside', lambda: socket.create_connection(('192.0.2.1', 80), 1)),\n"
     "     ('listen', lambda: socket.create_server(('127.0.0.1', 0))))\n"},
    {"udp", SAYS,
     "import socket\n"
     "each(('udp', lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(\n"
     "          b'x', ('127.0.0.1', PORT))),\n"
     "     ('udp6', lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(\n"
     "          b'x', ('::1', PORT))))\n"},
    {"unix-socket", SAYS,
     "import socket\n"
     "def to(p):\n"
     "    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect(p); return 'connected'\n"
     "each(('abstract', lambda: to('\\0' + SOCKET)), ('netlink', lambda: socket.socket(16, 3, 0)),\n"
     "     ('packet', lambda: socket.socket(17, 3, 0)))\n"},
    {"socket-pair-escape", SAYS,
     "import socket\n"
     "def go(kind, send):\n"
     "    a, b = socket.socketpair(socket.AF_UNIX, kind)\n"
     "    return a.sendto(b'x', '\\0' + SOCKET) if send else a.sendmsg([b'x'], [], 0, '\\0' + SOCKET)\n"
     "each(*[('%s %s' % ('sendto' if s else 'sendmsg', k.name), lambda k=k, s=s: go(k, s))\n"
     "       for s in (0, 1) for k in (socket.SOCK_DGRAM, socket.SOCK_STREAM, socket.SOCK_SEQPACKET)])\n"},
    {"read-host", SAYS,
     "each(('canary', reading(CANARY)), ('shadow', reading('/etc/shadow')),\n"
     "     ('passwd', reading('/etc/passwd')), ('root', lambda: open('/root/.bashrc').read()),\n"
     "     ('home', lambda: os.listdir('/home')), ('ssh', lambda: os.listdir('/root/.ssh')))\n"},
    {"read-proc", SAYS,
     "each(('1/environ', reading('/proc/1/environ')),\n"
     "     ('ppid/environ', reading('/proc/%d/environ' % os.getppid())),\n"
     "     ('ppid/mem', reading('/proc/%d/mem' % os.getppid())),\n"
     "     ('canary/environ', reading('/proc/%d/environ' % PID)), ('kcore', reading('/proc/kcore')))\n"},
    {"environment", SAYS,
     "ours = {'PATH', 'HOME', 'TMPDIR', 'LC_ALL', 'TZ', 'PYTHONHASHSEED', 'OMP_NUM_THREADS',\n"
     "        'OPENBLAS_NUM_THREADS', 'MALLOC_ARENA_MAX', '__CF_USER_TEXT_ENCODING'}\n"
     "more = set(os.environ) - ours\n"
     "(through if more else stopped)(', '.join(sorted(more)) or 'only what the box sets')\n"},
    {"write-host", SAYS,
     "each(('canary', writing(CANARY)), ('/usr', writing('/usr/auk-attack')),\n"
     "     ('/etc', writing('/etc/auk-attack')), ('/', writing('/auk-attack')),\n"
     "     ('/dev', writing('/dev/auk-attack')), ('sysctl', writing('/proc/sys/kernel/core_pattern')),\n"
     "     ('beside canary', writing(os.path.dirname(CANARY) + '/auk-attack')),\n"
     "     ('exe', writing(sys.executable)))\n"},
    {"devices", SAYS,
     "each(('sda', reading('/dev/sda')), ('vda', reading('/dev/vda')), ('mem', reading('/dev/mem')),\n"
     "     ('kmsg', reading('/dev/kmsg')), ('shm', writing('/dev/shm/auk-attack')),\n"
     "     ('tty', reading('/dev/tty')), ('mknod', lambda: os.mknod('/tmp/n', 0o60666, 0x800)))\n"},
    {"symlink", SAYS,
     "def via():\n"
     "    os.symlink(CANARY, '/tmp/auk-attack-result')\n"
     "    return open('/tmp/auk-attack-result').read()\n"
     "def hard():\n"
     "    os.link(CANARY, '/tmp/hard')\n"
     "each(('symlink', via), ('hard link', hard))\n"},
    {"kill-parent", SAYS,
     "import signal\n"
     "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
     "why = []\n"
     "for pid in (os.getppid() or 1, 1, PID):\n"
     "    try: os.kill(pid, 9); why.append('no effect')\n"
     "    except OSError as e: why.append(name(e))\n"
     "stopped('parent %s, 1 %s, canary %s' % tuple(why))\n"},
    {"kill-all", SAYS,
     "try: os.kill(-1, 9)\n"
     "except OSError as e: stopped('kill -1 ' + name(e))\n"
     "stopped('kill -1 reached nobody outside')\n"},
    {"kill-group", ENDED,
     "os.kill(0, 9)\n"},
    {"async-signal", SAYS,
     "import fcntl\n"
     "r, w = os.pipe()\n"
     "each(('F_SETOWN', lambda: fcntl.fcntl(r, 8, PID)), ('F_SETSIG', lambda: fcntl.fcntl(r, 10, 9)))\n"},
    {"limits-of-others", SAYS,
     "import resource\n"
     "each(('prlimit', lambda: resource.prlimit(PID, resource.RLIMIT_CPU, (1, 1))),\n"
     "     ('setpriority', lambda: os.setpriority(os.PRIO_PROCESS, PID, 19)),\n"
     "     ('affinity', lambda: os.sched_setaffinity(PID, {0})))\n"},
    {"raise-limits", SAYS,
     "import resource as r\n"
     "big = (1 << 40, 1 << 40)\n"
     "each(('AS', lambda: r.setrlimit(r.RLIMIT_AS, big)), ('CPU', lambda: r.setrlimit(r.RLIMIT_CPU, big)),\n"
     "     ('FSIZE', lambda: r.setrlimit(r.RLIMIT_FSIZE, big)),\n"
     "     ('NOFILE', lambda: r.setrlimit(r.RLIMIT_NOFILE, (4096, 4096))))\n"},
    {"ignore-signals", ENDED,
     "import signal\n"
     "for s in range(1, 64):\n"
     "    try: signal.signal(s, signal.SIG_IGN)\n"
     "    except (OSError, ValueError): pass\n"
     "while True: pass\n"},
    {"stop-itself", ENDED,
     "import signal\n"
     "try: os.kill(os.getpid(), signal.SIGSTOP)\n"
     "except OSError: time.sleep(1000)\n"},
    {"output-flood", ENDED,
     "while True: os.write(1, b'x' * 65536)\n"},
    {"error-flood", ENDED,
     "while True: os.write(2, b'x' * 65536)\n"},
    {"verdict-flood", ENDED,
     "while True: os.write(4, b'x' * 65536)\n"},
    {"daemon", SAYS,
     "try:\n"
     "    if os.fork() == 0:\n"
     "        os.setsid()\n"
     "        if os.fork() == 0:\n"
     "            time.sleep(1000)\n"
     "        os._exit(0)\n"
     "    time.sleep(0.3)\n"
     "    stopped('made; killed with the box')\n"
     "except OSError as e: stopped('fork ' + name(e))\n"},
    {"namespaces", SAYS,
     "c = libc()\n"
     "each(*[('unshare %x' % f, lambda f=f: c('unshare', f)) for f in (1 << 28, 1 << 17, 1 << 30)],\n"
     "     ('setns', lambda: c('setns', 0, 0)), ('chroot', lambda: c('chroot', b'/tmp')),\n"
     "     ('mount', lambda: c('mount', b'x', b'/tmp', b'tmpfs', 0, None)),\n"
     "     ('umount', lambda: c('umount2', b'/tmp', 2)),\n"
     "     ('sethostname', lambda: c('sethostname', b'x', 1)))\n"},
    {"ptrace", SAYS,
     "c = libc()\n"
     "each(('traceme', lambda: c('ptrace', 0, 0, 0, 0)), ('attach', lambda: c('ptrace', 16, PID, 0, 0)),\n"
     "     ('vm_readv', lambda: c('process_vm_readv', PID, None, 0, None, 0, 0)))\n"},
    {"kernel-interfaces", SAYS,
     "import platform\n"
     "c = libc()\n"
     "x86 = {'bpf': 321, 'keyctl': 250, 'io_uring_setup': 425, 'userfaultfd': 323,\n"
     "       'perf_event_open': 298, 'add_key': 248, 'open_by_handle_at': 304, 'clone3': 435,\n"
     "       'memfd_create': 319, 'pidfd_open': 434, 'init_module': 175, 'kexec_load': 246}\n"
     "arm = {'bpf': 280, 'keyctl': 219, 'io_uring_setup': 425, 'userfaultfd': 282,\n"
     "       'perf_event_open': 241, 'add_key': 217, 'open_by_handle_at': 265, 'clone3': 435,\n"
     "       'memfd_create': 279, 'pidfd_open': 434, 'init_module': 105, 'kexec_load': 104}\n"
     "calls = x86 if platform.machine() == 'x86_64' else arm\n"
     "bad, why = [], set()\n"
     "for k, n in calls.items():\n"
     "    try: c('syscall', n, 0, 0, 0, 0, 0, 0); bad.append(k)\n"
     "    except OSError as e:\n"
     "        why.add(name(e))\n"
     "        if name(e) not in ('EPERM', 'ENOSYS'): bad.append(k)\n"
     "(through if bad else stopped)(', '.join(bad) or '%d calls: %s' % (len(calls), ' '.join(sorted(why))))\n"},
    {"ipc-leftover", SAYS,
     "c = libc()\n"
     "each(('shmget', lambda: c('shmget', 0x61756b, 4096, 0o1600)),\n"
     "     ('semget', lambda: c('semget', 0x61756b, 1, 0o1600)),\n"
     "     ('msgget', lambda: c('msgget', 0x61756b, 0o1600)))\n"},
    {"other-abi", SAYS,
     "import platform, mmap, ctypes\n"
     "if platform.machine() != 'x86_64': stopped('no 32-bit gate on this processor')\n"
     "m = mmap.mmap(-1, 4096, prot=7)\n"
     "m.write(bytes.fromhex('53b867010000bb02000000b90100000031d2cd805bc3'))\n"
     "f = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))\n"
     "os.write(1, b'stopped: killed at int 0x80\\n')\n"
     "r = f()\n"
     "if r >= 0: through('a socket by int 0x80')\n"
     "os._exit(0)\n"},
    {"privileges", SAYS,
     "each(('setuid', lambda: os.setuid(1)), ('setgid', lambda: os.setgid(1)),\n"
     "     ('setgroups', lambda: os.setgroups([0])), ('chown', lambda: os.chown('/tmp', 1, 1)),\n"
     "     ('nice', lambda: os.nice(-5)), ('settime', lambda: time.clock_settime(0, 0)))\n"},
    {"deep-recursion", ENDED,
     "sys.setrecursionlimit(10 ** 9)\n"
     "def f(): f()\n"
     "while True:\n"
     "    try: f()\n"
     "    except (MemoryError, RecursionError): pass\n"},
    {"huge-integer", ENDED,
     "x = 10 ** 10 ** 8\n"
     "while True: x = x * x % (x - 1)\n"},
    {"sleeping-thread", ENDED,
     "import threading\n"
     "threading.Thread(target=time.sleep, args=(1000,)).start()\n"},
    {"thread-flood", SAYS,
     "import threading\n"
     "n = 0\n"
     "try:\n"
     "    while n < 1000:\n"
     "        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start(); n += 1\n"
     "except (RuntimeError, MemoryError) as e: stopped('%s after %d threads' % (name(e), n))\n"
     "through('1000 threads')\n"},
    {"leftover-file", SAYS,
     "try:\n"
     "    open('/tmp/auk-attack-leftover', 'w').write('x')\n"
     "    stopped('written; gone with the box')\n"
     "except OSError as e: stopped(name(e))\n"},
};
/* clang-format on */
#define N_ATTACKS (sizeof attacks / sizeof *attacks)
_Static_assert(N_ATTACKS <= AUK_MAX_ATTACKS, "auk_sandbox_selftest's caller gives so many");

/* ---- what the attacks are after ----------------------------------------------------------- */

typedef struct scene {
    char folder[64], canary[96], socket_name[64], marker[64];
    int tcp, local;
    int port;
    pid_t pid; /* a process that only waits */
} scene;

static int listen_tcp(scene *s)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t n = sizeof at;

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->tcp = socket(AF_INET, SOCK_STREAM, 0);
    if (s->tcp < 0 || bind(s->tcp, (struct sockaddr *)&at, sizeof at) < 0 ||
        listen(s->tcp, 4) < 0 || getsockname(s->tcp, (struct sockaddr *)&at, &n) < 0)
        return -1;
    s->port = ntohs(at.sin_port);
    return 0;
}

static int listen_local(scene *s)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    size_t n = strlen(s->socket_name);

    memcpy(at.sun_path + 1, s->socket_name, n); /* abstract: begins with a NUL */
    s->local = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (s->local < 0)
        return -1;
    if (bind(s->local, (struct sockaddr *)&at,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n)) == 0)
        return 0;
    close(s->local); /* no abstract sockets here: macOS */
    s->local = -1;
    return 0;
}

static void clear_scene(scene *s)
{
    auk_err ignored;

    if (s->pid > 0) {
        kill(s->pid, SIGKILL);
        waitpid(s->pid, NULL, 0);
    }
    if (s->tcp >= 0)
        close(s->tcp);
    if (s->local >= 0)
        close(s->local);
    if (s->folder[0] != 0 && auk_tree_remove(s->folder, &ignored) < 0)
        return; /* a temporary folder that stays is not worth the result */
}

static int set_scene(scene *s, auk_err *err)
{
    *s = (scene){.tcp = -1, .local = -1};
    snprintf(s->folder, sizeof s->folder, "/tmp/auk-selftest-XXXXXX");
    if (mkdtemp(s->folder) == NULL || chmod(s->folder, 0755) < 0)
        return auk_fail_errno(err, "cannot make a folder in /tmp");
    snprintf(s->canary, sizeof s->canary, "%s/canary", s->folder);
    snprintf(s->socket_name, sizeof s->socket_name, "auk-selftest-%d", (int)getpid());
    snprintf(s->marker, sizeof s->marker, "# auk-selftest-%d", (int)getpid());
    int rc = auk_file_write(s->canary, auk_str_of("secret\n"), err);
    if (rc == AUK_OK && (listen_tcp(s) < 0 || listen_local(s) < 0))
        rc = auk_fail_errno(err, "cannot listen on a socket");
    if (rc == AUK_OK) {
        s->pid = fork();
        if (s->pid == 0)
            for (;;)
                pause();
        if (s->pid < 0)
            rc = auk_fail_errno(err, "cannot make a process");
    }
    return rc;
}

/* ---- what may be left --------------------------------------------------------------------- */

/* Processes whose command line holds the marker; -1 where there is no /proc. */
static int count_marked(const char *marker)
{
    DIR *d = opendir("/proc");
    struct dirent *e;
    char path[300], text[8192];
    int found = 0;

    if (d == NULL)
        return 0;
    while ((e = readdir(d)) != NULL) {
        if (e->d_name[0] < '0' || e->d_name[0] > '9')
            continue;
        snprintf(path, sizeof path, "/proc/%s/cmdline", e->d_name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd >= 0 ? read(fd, text, sizeof text) : 0;
        if (fd >= 0)
            close(fd);
        if (n > 0 && memmem(text, (size_t)n, marker, strlen(marker)) != NULL)
            found++;
    }
    closedir(d);
    return found;
}

static int count_fds(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static size_t count_mounts(void)
{
    auk_buf text = AUK_BUF_INIT(1 << 24);
    size_t lines = 0;
    auk_err ignored;

    if (auk_file_read(&text, "/proc/self/mountinfo", &ignored) == AUK_OK)
        for (size_t i = 0; i < text.n; i++)
            lines += text.p[i] == '\n';
    auk_buf_release(&text);
    return lines;
}

static const char *damage(const scene *s, int fds, size_t mounts)
{
    static const char *const files[] = {
        "/usr/auk-attack",      "/etc/auk-attack",          "/auk-attack",
        "/dev/shm/auk-attack",  "/tmp/auk-attack-leftover", "/tmp/auk-attack-fill0",
        "/tmp/auk-attack-huge", "/tmp/auk-attack-result"};
    auk_buf text = AUK_BUF_INIT(1 << 16);
    const char *found = NULL;
    char path[128];
    auk_err ignored;

    if (waitpid(s->pid, NULL, WNOHANG) != 0)
        found = "our process was killed";
    if (auk_file_read(&text, s->canary, &ignored) < 0 ||
        !auk_str_is(auk_buf_str(&text), "secret\n"))
        found = "our file was changed";
    auk_buf_release(&text);
    snprintf(path, sizeof path, "%s/auk-attack", s->folder);
    if (auk_file_exists(path))
        found = "a file was made outside";
    if (s->local >= 0 && recv(s->local, path, sizeof path, MSG_DONTWAIT) >= 0)
        found = "a message reached our socket";
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (auk_file_exists(files[i]))
            found = "a file was left";
    if (count_marked(s->marker) > 0)
        found = "a process was left";
    if (count_fds() != fds)
        found = "a descriptor was left";
    if (count_mounts() != mounts)
        found = "a mount was left";
    return found;
}

/* ---- one attack --------------------------------------------------------------------------- */

static void judge(auk_attack_result *out, const attack *a, const auk_box_result *r)
{
    auk_str said = auk_buf_str(&r->out);
    const char *end = auk_end_name(r->end);
    double seconds = (double)r->wall_ns / 1e9;

    if (auk_str_starts(said, "stopped: ") || auk_str_starts(said, "through: ")) {
        out->stopped = said.p[0] == 's';
        if (a->want == SAYS && said.n > 9) {
            auk_str why = auk_str_from(said, 9);
            const char *line = memchr(why.p, '\n', why.n);
            why.n = line != NULL ? (size_t)(line - why.p) : why.n;
            snprintf(out->by, sizeof out->by, "%.*s", (int)(why.n > 150 ? 150 : why.n), why.p);
            return;
        }
    }
    if (r->end == AUK_END_EXITED) {
        /* A refusal that nobody caught ends the program too. */
        out->stopped = r->exit_code != 0;
        snprintf(out->by, sizeof out->by, "ended with status %d", r->exit_code);
    } else {
        out->stopped = true;
        if (r->end == AUK_END_SIGNALED || r->end == AUK_END_MEMORY)
            snprintf(out->by, sizeof out->by, "ended by signal %d after %.1f s", r->signal,
                     seconds);
        else
            snprintf(out->by, sizeof out->by, "%s limit after %.1f s; nothing left over", end,
                     seconds);
    }
}

static int run_attack(auk_attack_result *out, const attack *a, const auk_sandbox *sb,
                      const scene *s, auk_err *err)
{
    auk_limits limits = auk_limits_defaults();
    auk_buf data = AUK_BUF_INIT(1 << 20), script = AUK_BUF_INIT(1 << 16);
    int fds = count_fds();
    size_t mounts = count_mounts();
    auk_box_result r;

    if (a->want == ENDED)
        limits.wall_ms = 1000;
    /* the marker stands in the command line of all that comes of it */
    auk_buf_printf(&script, "%s%s\n", auk_script_plain, s->marker);
    auk_buf_printf(&data, "%s\n\n%s\n\n", auk_sandbox_python(sb)->path, a->name);
    auk_buf_printf(&data, "CANARY, PORT, SOCKET, PID = '%s', %d, '%s', %d\n%s%s", s->canary,
                   s->port, s->socket_name, (int)s->pid, prelude, a->text);
    *out = (auk_attack_result){.name = a->name};
    int rc = auk_box_run(&r, sb, script.p, auk_buf_str(&data), &limits, err);
    auk_buf_release(&data);
    auk_buf_release(&script);
    if (rc < 0)
        return rc;
    judge(out, a, &r);
    auk_box_result_release(&r);
    const char *found = damage(s, fds, mounts);
    if (found != NULL) {
        out->stopped = false;
        snprintf(out->by, sizeof out->by, "%s", found);
    }
    return AUK_OK;
}

int auk_sandbox_selftest(auk_attack_result *out, size_t *n, const auk_sandbox *sb, auk_err *err)
{
    scene s;

    *n = 0;
    if (auk_sandbox_level(sb) == AUK_LEVEL_D)
        return auk_fail(err, AUK_ENOTSUP, "level D stops nothing: its attacks are not run");
    int rc = set_scene(&s, err);
    for (size_t i = 0; i < N_ATTACKS && rc == AUK_OK; i++) {
        rc = run_attack(&out[i], &attacks[i], sb, &s, err);
        *n = i + 1;
    }
    clear_scene(&s);
    return rc;
}
