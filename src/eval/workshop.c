/* SPDX-License-Identifier: Apache-2.0 */
/* One Python stays in the box, takes files and commands on descriptor 3 and answers each command
 * with one line of JSON on its standard output.  Commands could kill it or forge its answers, which
 * concern nobody but whoever gave the command: here an answer is hostile input like any other. */
#define _POSIX_C_SOURCE 200809L
#include "eval/box.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/time.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#define ANSWER_BYTES ((uint64_t)32 << 20)
#define FIRST_MS 120000 /* to take in the files */

struct auk_workshop {
    auk_box *box; /* owned; NULL: gone */
    int to;       /* owned, or -1 */
    auk_workshop_limits limits;
    char *folder;    /* owned; level D: on this machine's disk, removed at the end; else NULL */
    json_t *changes; /* owned */
};

/* Two halves: no compiler need take a longer literal. */
static const char script_begin[] =
    "import json, os, signal, select, stat, subprocess, sys, time\n"
    "import resource\n"
    "try:\n"
    "    import ctypes\n"
    "    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)\n" /* not dumpable: /proc/PID/fd is closed */
    "except Exception:\n"
    "    pass\n"
    "take = os.fdopen(3, 'rb')\n"
    "give = os.fdopen(os.dup(1), 'w')\n"
    "os.dup2(2, 1)\n"
    "head = take.readline().split()\n"
    "alone, ms, keep = head[0] == b'A', int(head[1]), int(head[2])\n"
    "root = take.read(int(head[3])).decode()\n"
    "os.makedirs(root, exist_ok=True)\n"
    "env = dict(os.environ, PWD=root, HOME='/tmp', PAGER='cat', PYTHONDONTWRITEBYTECODE='1',\n"
    "           PATH=os.path.dirname(sys.executable) + ':/usr/local/bin:/usr/bin:/bin')\n"
    "base, seen = {}, {}\n"
    "SKIP = {'.git', '__pycache__', '.pytest_cache', '.mypy_cache', '.tox', '.eggs'}\n"
    "def key(s):\n"
    "    return (s.st_size, s.st_mtime_ns, s.st_ino, s.st_mode)\n"
    "def put(path, mode, text):\n"
    "    full = os.path.join(root, path)\n"
    "    os.makedirs(os.path.dirname(full), exist_ok=True)\n"
    "    with open(full, 'wb') as f:\n"
    "        f.write(text)\n"
    "    os.chmod(full, mode)\n"
    "    seen[path] = key(os.lstat(full))\n"
    "    base[path] = hash(text)\n"
    "def text_of(full, size):\n"
    "    if size > 1000000:\n"
    "        return None\n"
    "    try:\n"
    "        fd = os.open(full, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)\n"
    "        with os.fdopen(fd, 'rb') as f:\n"
    "            return f.read(1000001)\n"
    "    except OSError:\n"
    "        return None\n"
    "def changes():\n"
    "    out, here = {}, set()\n"
    "    for folder, dirs, files in os.walk(root):\n"
    "        dirs[:] = sorted(d for d in dirs if d not in SKIP and not d.endswith('.egg-info'))\n"
    "        for name in sorted(files):\n"
    "            full = os.path.join(folder, name)\n"
    "            path = os.path.relpath(full, root)\n"
    "            try:\n"
    "                s = os.lstat(full)\n"
    "            except OSError:\n"
    "                continue\n"
    "            here.add(path)\n"
    "            if not stat.S_ISREG(s.st_mode) or name.endswith('.pyc') or seen.get(path) == "
    "key(s):\n"
    "                continue\n"
    "            text = text_of(full, s.st_size)\n"
    "            if text is None or len(out) >= 500 or hash(text) == base.get(path):\n"
    "                continue\n"
    "            try:\n"
    "                out[path] = text.decode('utf-8')\n"
    "            except UnicodeDecodeError:\n"
    "                pass\n"
    "    for path in base:\n"
    "        if path not in here and len(out) < 500:\n"
    "            out[path] = None\n"
    "    return out\n"
    "";

static const char script_end[] =
    "def sweep(p):\n"
    "    try:\n"
    "        os.kill(-1, 9) if alone else os.killpg(p.pid, 9)\n"
    "    except OSError:\n"
    "        pass\n"
    "def limits():\n"
    "    resource.setrlimit(resource.RLIMIT_CPU, (ms // 1000 + 1, ms // 1000 + 2))\n"
    "def run(command):\n"
    "    began, first, last, total, late = time.monotonic(), b'', b'', 0, False\n"
    "    r, w = os.pipe()\n"
    "    p = subprocess.Popen(['/bin/bash', '-c', command], cwd=root, env=env, "
    "stdin=subprocess.DEVNULL,\n"
    "                         stdout=w, stderr=w, start_new_session=True, preexec_fn=limits)\n"
    "    os.close(w)\n"
    "    open_, ended = True, None\n"
    "    while open_:\n"
    "        left = began + ms / 1000 - time.monotonic()\n"
    "        if ended is None and p.poll() is not None:\n"
    "            ended = time.monotonic()\n"
    "            sweep(p)\n"
    "        if left <= 0 and ended is None:\n"
    "            late = True\n"
    "            sweep(p)\n"
    "            ended = time.monotonic()\n"
    "        if ended is not None and time.monotonic() > ended + 2:\n"
    "            break\n"
    "        if select.select([r], [], [], min(0.05, max(left, 0.01)))[0]:\n"
    "            chunk = os.read(r, 65536)\n"
    "            open_ = bool(chunk)\n"
    "            total += len(chunk)\n"
    "            room = keep - len(first)\n"
    "            first += chunk[:max(room, 0)]\n"
    "            last = (last + chunk[max(room, 0):])[-(keep // 2):]\n"
    "    os.close(r)\n"
    "    try:\n" /* its output ended, which is a moment before it has */
    "        p.wait(max(began + ms / 1000 - time.monotonic(), 0.1))\n"
    "    except subprocess.TimeoutExpired:\n"
    "        late = True\n"
    "    sweep(p)\n"
    "    code = p.wait()\n"
    "    if total > keep:\n"
    "        cut = total - keep // 2 - len(last)\n"
    "        first = first[:keep // 2]\n"
    "        note = '\\n[... %d bytes left out ...]\\n' % max(total - len(first) - len(last), 0)\n"
    "        text = first.decode('utf-8', 'replace') + note + last.decode('utf-8', 'replace')\n"
    "    else:\n"
    "        text = (first + last).decode('utf-8', 'replace')\n"
    "    return {'exit': -1000 if late else code, 'late': late, 'total': total, 'output': text,\n"
    "            'seconds': time.monotonic() - began, 'changes': changes()}\n"
    "while True:\n"
    "    line = take.readline().split()\n"
    "    if not line:\n"
    "        break\n"
    "    if line[0] == b'F':\n"
    "        path = take.read(int(line[2])).decode('utf-8', 'surrogateescape')\n"
    "        put(path, int(line[1], 8), take.read(int(line[3])))\n"
    "        continue\n"
    "    command = take.read(int(line[1])).decode('utf-8', 'replace')\n"
    "    try:\n"
    "        answer = run(command)\n"
    "    except Exception as e:\n"
    "        answer = {'exit': 126, 'late': False, 'total': 0, 'output': 'cannot run it: %s' % e,\n"
    "                  'seconds': 0.0, 'changes': changes()}\n"
    "    print(json.dumps(answer), file=give, flush=True)\n";

auk_workshop_limits auk_workshop_defaults(void)
{
    return (auk_workshop_limits){.command_ms = 60000,
                                 .memory_bytes = (uint64_t)2 << 30,
                                 .disk_bytes = (uint64_t)512 << 20,
                                 .output_bytes = 10000};
}

static void lose(auk_workshop *w)
{
    if (w->to >= 0)
        close(w->to);
    w->to = -1;
    auk_box_abort(w->box);
    w->box = NULL;
}

/* A box that reads nothing any more is given up, however much it is sent. */
static bool send_all(auk_workshop *w, auk_str text)
{
    while (text.n > 0) {
        struct pollfd to = {.fd = w->to, .events = POLLOUT};
        if (poll(&to, 1, FIRST_MS) <= 0 || (to.revents & POLLERR))
            return false;
        ssize_t n = write(w->to, text.p, text.n);
        if (n <= 0)
            return false;
        text = auk_str_from(text, (size_t)n);
    }
    return true;
}

int auk_workshop_open(auk_workshop **out, const auk_sandbox *sb, const auk_workshop_limits *limits,
                      auk_err *err)
{
    auk_workshop *w = auk_alloc(sizeof *w);
    auk_limits box = auk_limits_defaults();
    auk_buf script = AUK_BUF_INIT(1 << 16);
    char head[128], folder[] = "/tmp/auklet-workshop-XXXXXX";
    bool alone = sb->level == AUK_LEVEL_A;
    const char *root = alone ? "/tmp/testbed" : folder;
    int rc = AUK_OK;

    *out = NULL;
    w->to = -1;
    w->limits = *limits;
    w->changes = json_object();
    if (!alone && sb->level != AUK_LEVEL_D)
        rc = auk_fail(
            err, AUK_ENOTSUP,
            "at sandbox level %c programs cannot start programs: a workshop needs level A, "
            "or D with --unsafe-no-sandbox",
            auk_level_letter(sb->level));
    if (rc == AUK_OK && !alone) {
        if (mkdtemp(folder) == NULL)
            rc = auk_fail_errno(err, "cannot make a folder in /tmp");
        else
            w->folder = auk_strndup(folder, strlen(folder));
    }
    box.wall_ms = FIRST_MS;
    box.cpu_s = 86400;
    box.memory_bytes = limits->memory_bytes;
    box.output_bytes = ANSWER_BYTES;
    box.disk_bytes = limits->disk_bytes;
    box.commands = true;
    auk_buf_puts(&script, script_begin);
    auk_buf_puts(&script, script_end);
    if (rc == AUK_OK)
        rc = auk_box_open_lines(&w->box, &w->to, sb, script.p, &box, err);
    auk_buf_release(&script);
    if (rc == AUK_OK) {
        fcntl(w->to, F_SETFL, O_NONBLOCK);
        snprintf(head, sizeof head, "%c %d %zu %zu\n%s", alone ? 'A' : 'D', limits->command_ms,
                 limits->output_bytes, strlen(root), root);
        if (!send_all(w, auk_str_of(head)))
            rc = auk_fail(err, AUK_EIO, "the workshop's box ended at once");
    }
    if (rc == AUK_OK)
        *out = w;
    else
        auk_workshop_close(w);
    return rc;
}

void auk_workshop_close(auk_workshop *w)
{
    auk_err ignored;

    if (w == NULL)
        return;
    lose(w);
    if (w->folder != NULL && auk_tree_remove(w->folder, &ignored) < 0)
        w->folder[0] = 0; /* it is under /tmp: the system's business now */
    free(w->folder);
    json_decref(w->changes);
    free(w);
}

int auk_workshop_put(auk_workshop *w, const char *path, bool executable, auk_str text, auk_err *err)
{
    char head[128];

    snprintf(head, sizeof head, "F %s %zu %zu\n", executable ? "755" : "644", strlen(path), text.n);
    if (w->box == NULL || !send_all(w, auk_str_of(head)) || !send_all(w, auk_str_of(path)) ||
        !send_all(w, text)) {
        lose(w);
        return auk_fail(err, AUK_EIO, "the workshop ended while '%s' was put there", path);
    }
    return AUK_OK;
}

/* Waits for the answer's line; false when none comes. */
static bool receive(json_t **answer, auk_workshop *w)
{
    auk_err ignored;

    *answer = NULL;
    while (!auk_box_done(w->box))
        auk_box_pump(&w->box, 1, 1000);
    auk_str line = auk_buf_str(&w->box->result.out);
    if (w->box->done || line.n == 0 || line.p[line.n - 1] != '\n')
        return false;
    line.n--;
    return auk_json_parse(answer, line, "a workshop's answer", &ignored) == AUK_OK;
}

static void take_answer(auk_workshop_result *out, auk_workshop *w, const json_t *answer)
{
    const json_t *output = json_object_get(answer, "output");
    json_t *changes = json_object_get(answer, "changes");
    json_int_t code = json_integer_value(json_object_get(answer, "exit")),
               total = json_integer_value(json_object_get(answer, "total"));

    out->exit_code = code < -1000 || code > 255 ? 255 : (int)code;
    out->timed_out = json_is_true(json_object_get(answer, "late"));
    out->output_total = total > 0 ? (size_t)total : 0;
    out->seconds = json_number_value(json_object_get(answer, "seconds"));
    if (json_is_string(output))
        out->output = auk_strndup(json_string_value(output), json_string_length(output));
    if (json_is_object(changes)) {
        json_decref(w->changes);
        w->changes = json_incref(changes);
    }
}

int auk_workshop_run(auk_workshop_result *out, auk_workshop *w, auk_str command, auk_err *err)
{
    char head[64];
    json_t *answer;

    *out = (auk_workshop_result){.exit_code = -1};
    if (command.n > AUK_MAX_COMMAND || memchr(command.p, 0, command.n) != NULL)
        return auk_fail(err, AUK_EINVAL, "a command of %zu bytes, or with a NUL, is not run",
                        command.n);
    if (w->box != NULL) {
        auk_buf_clear(&w->box->result.out);
        auk_buf_clear(&w->box->result.err);
        w->box->began_ns = auk_now_ns();
        w->box->deadline_ns =
            w->box->began_ns + ((uint64_t)w->limits.command_ms + FIRST_MS) * 1000000u;
        snprintf(head, sizeof head, "C %zu\n", command.n);
        if (!send_all(w, auk_str_of(head)) || !send_all(w, command) || !receive(&answer, w)) {
            lose(w);
        } else {
            take_answer(out, w, answer);
            json_decref(answer);
        }
    }
    out->gone = w->box == NULL;
    if (out->output == NULL)
        out->output = auk_strndup("", 0);
    return AUK_OK;
}

void auk_workshop_result_release(auk_workshop_result *r)
{
    free(r->output);
    *r = (auk_workshop_result){0};
}

const json_t *auk_workshop_changes(const auk_workshop *w)
{
    return w->changes;
}
