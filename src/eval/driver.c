/* SPDX-License-Identifier: Apache-2.0 */
/* The Python that runs inside a box, as text for -c.  Descriptor 3 brings the work: sys.path (a
 * folder a line), an empty line, a name, an empty line, then the program. */
#include "eval/driver.h"
#include "eval/eval.h"

const char auk_script_plain[] =
    "import sys, __main__\n"
    "with open(3, 'rb') as f:\n"
    "    path, name, text = f.read().split(b'\\n\\n', 2)\n"
    "sys.path[:] = path.decode('utf-8', 'surrogateescape').split('\\n')\n"
    "sys.argv[:] = [name.decode('utf-8', 'surrogateescape')]\n"
    "text = compile(text, sys.argv[0], 'exec', dont_inherit=True)\n"
    "space = __main__.__dict__\n"
    "for key in ('sys', '__main__', 'f', 'path', 'name'):\n"
    "    space.pop(key, None)\n"
    "space['__file__'] = __import__('sys').argv[0]\n"
    "exec(space.pop('text'), space.pop('space'))\n";

/* Requests "<bytes of entry> <bytes of text>\n" entry text; answers "cd\n", c and d 0 or 1. */
const char auk_script_checker[] =
    "import sys\n"
    "sys.stderr = None\n"
    "if hasattr(sys, 'set_int_max_str_digits'):\n"
    "    sys.set_int_max_str_digits(0)\n"
    "def names(stmts):\n"
    "    for s in stmts:\n"
    "        kind = type(s).__name__\n"
    "        if kind in ('FunctionDef', 'AsyncFunctionDef', 'ClassDef'):\n"
    "            yield s.name\n"
    "            continue\n"
    "        for t in getattr(s, 'targets', None) or [getattr(s, 'target', None)]:\n"
    "            for e in getattr(t, 'elts', [t]):\n"
    "                if type(e).__name__ == 'Name':\n"
    "                    yield e.id\n"
    "        if kind in ('Import', 'ImportFrom'):\n"
    "            for a in s.names:\n"
    "                yield a.asname or a.name.split('.')[0]\n"
    "        for part in ('body', 'orelse', 'finalbody'):\n"
    "            yield from names(getattr(s, part, []) if kind != 'Expr' else [])\n"
    "        for h in getattr(s, 'handlers', []):\n"
    "            yield from names(h.body)\n"
    "def look(text, entry):\n"
    "    try:\n"
    "        compile(text, 'answer', 'exec', dont_inherit=True)\n"
    "        tree = compile(text, 'answer', 'exec', 1024, True)\n"
    "        return b'11\\n' if not entry or entry in set(names(tree.body)) else b'10\\n'\n"
    "    except BaseException:\n"
    "        return b'00\\n'\n"
    "f, out = open(3, 'rb'), open(4, 'wb', 0)\n"
    "while True:\n"
    "    head = f.readline().split()\n"
    "    if len(head) != 2:\n"
    "        break\n"
    "    entry = f.read(int(head[0])).decode('utf-8', 'replace')\n"
    "    out.write(look(f.read(int(head[1])), entry))\n";

/* Runs a program with its tests and says on descriptor 4, in one line: token, word, seconds, and
 * for "fail" why.  What is used after the program ran was looked up before it. */
#define SCORE                                                                                      \
    "import sys, os, io, signal, time, builtins, shutil, subprocess\n"                             \
    "class TimedOut(Exception):\n"                                                                 \
    "    pass\n"                                                                                   \
    "class Sink(io.StringIO):\n"                                                                   \
    "    def read(self, *args):\n"                                                                 \
    "        raise OSError\n"                                                                      \
    "    readline = readlines = read\n"                                                            \
    "    def readable(self):\n"                                                                    \
    "        return False\n"                                                                       \
    "    def write(self, s):\n"                                                                    \
    "        return super().write(s) if self.tell() < 1 << 20 else len(s)\n"                       \
    "def disable():\n"                                                                             \
    "    builtins.exit = builtins.quit = builtins.help = None\n"                                   \
    "    for name in ('kill system putenv remove removedirs rmdir fchdir setuid fork forkpty '\n"  \
    "                 'killpg rename renames truncate replace unlink fchmod fchown chmod chown "   \
    "'\n"                                                                                          \
    "                 'chroot lchflags lchmod lchown getcwd chdir').split():\n"                    \
    "        setattr(os, name, None)\n"                                                            \
    "    shutil.rmtree = shutil.move = shutil.chown = None\n"                                      \
    "    subprocess.Popen = None\n"                                                                \
    "    for name in ('ipdb', 'joblib', 'resource', 'psutil', 'tkinter'):\n"                       \
    "        sys.modules[name] = None\n"                                                           \
    "def score(token, seconds, text):\n"                                                           \
    "    text, seconds = text.decode('utf-8', 'replace'), float(seconds)\n"                        \
    "    write, leave, timer, real = os.write, os._exit, signal.setitimer, signal.ITIMER_REAL\n"   \
    "    run, kind, text_of, clock, every = exec, type, str, time.perf_counter, BaseException\n"   \
    "    def on_alarm(number, frame):\n"                                                           \
    "        raise TimedOut('Timed out!')\n"                                                       \
    "    signal.signal(signal.SIGALRM, on_alarm)\n"                                                \
    "    disable()\n"                                                                              \
    "    sys.stdin = sys.stdout = sys.stderr = Sink()\n"                                           \
    "    why, begin = b'', clock()\n"                                                              \
    "    try:\n"                                                                                   \
    "        try:\n"                                                                               \
    "            timer(real, seconds)\n"                                                           \
    "            run(text, {})\n"                                                                  \
    "        finally:\n"                                                                           \
    "            timer(real, 0)\n"                                                                 \
    "        word = b'pass'\n"                                                                     \
    "    except TimedOut:\n"                                                                       \
    "        word = b'timeout'\n"                                                                  \
    "    except every as e:\n"                                                                     \
    "        word, why = b'fail', b'?'\n"                                                          \
    "        try:\n"                                                                               \
    "            why = kind(e).__name__\n"                                                         \
    "            if kind(e).__module__ == 'builtins':\n"                                           \
    "                why += ': ' + text_of(e)\n"                                                   \
    "            why = why[:120].encode('ascii', 'replace').replace(b'\\n', b' ')\n"               \
    "        except every:\n"                                                                      \
    "            why = b'?'\n"                                                                     \
    "    spent = b'%.6f' % (clock() - begin)\n"                                                    \
    "    write(4, token + b' ' + word + b' ' + spent + b' ' + why + b'\\n')\n"                     \
    "    leave(0)\n"                                                                               \
    "def load(names):\n"                                                                           \
    "    for name in names:\n"                                                                     \
    "        try:\n"                                                                               \
    "            __import__(name.decode())\n"                                                      \
    "        except ImportError:\n"                                                                \
    "            pass\n"                                                                           \
    "def use_path(path):\n"                                                                        \
    "    sys.path[:] = path.decode('utf-8', 'surrogateescape').split('\\n')\n"

/* Descriptor 3: sys.path, the token, the seconds, what the tests import, the program, an empty
 * line between each. */
const char auk_script_score[] =
    SCORE "def main():\n"
          "    with open(3, 'rb') as f:\n"
          "        path, token, seconds, names, text = f.read().split(b'\\n\\n', 4)\n"
          "    use_path(path)\n"
          "    load(names.split())\n"
          "    score(token, seconds, text)\n"
          "main()\n";

/* Descriptor 3: a line with the lengths of sys.path and of the last filter (hexadecimal), those,
 * and then requests "TOKEN SECONDS CPU BYTES-OF-MEMORY LENGTH [IMPORTS]\n" program.  Descriptor 1
 * answers each with "wait-status cpu-seconds clean\n". */
const char auk_script_server[] =
    SCORE "import ctypes, gc, resource\n"
          "class Program(ctypes.Structure):\n"
          "    _fields_ = [('n', ctypes.c_ushort), ('p', ctypes.c_void_p)]\n"
          "def child(control, keep, words, text):\n"
          "    os.dup2(2, 1)\n"
          "    os.close(control)\n"
          "    os.close(3)\n"
          "    os.setsid()\n"
          "    cpu, memory = int(words[2]), int(words[3])\n"
          "    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))\n"
          "    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))\n"
          "    if keep[0].prctl(22, 2, ctypes.byref(keep[1]), 0, 0) != 0:\n"
          "        os._exit(120)\n"
          "    score(words[0], words[1], text)\n"
          "def serve():\n"
          "    f, control = open(3, 'rb', closefd=False), os.dup(1)\n"
          "    n, m = map(int, f.readline().split())\n"
          "    use_path(f.read(n))\n"
          "    blob = ctypes.create_string_buffer(bytes.fromhex(f.read(m).decode()), m // 2)\n"
          "    keep = ctypes.CDLL(None), Program(m // 16, ctypes.addressof(blob)), blob\n"
          "    before = sorted(os.listdir('/tmp'))\n"
          "    gc.collect()\n"
          "    gc.freeze()\n"
          "    while True:\n"
          "        words = f.readline().split()\n"
          "        if len(words) < 5:\n"
          "            break\n"
          "        text = f.read(int(words[4]))\n"
          "        load(words[5:])\n"
          "        pid = os.fork()\n"
          "        if pid == 0:\n"
          "            try:\n"
          "                child(control, keep, words, text)\n"
          "            finally:\n"
          "                os._exit(121)\n"
          "        _, status, used = os.wait4(pid, 0)\n"
          "        os.write(control, b'%d %.6f %d\\n' % (status, used.ru_utime + used.ru_stime,\n"
          "                                            sorted(os.listdir('/tmp')) == before))\n"
          "serve()\n";
