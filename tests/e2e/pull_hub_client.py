# SPDX-License-Identifier: Apache-2.0
"""pull_hub_client.py ROOT WORK - huggingface_hub's snapshot_download and `auklet pull` fetch one
repository from tests/http/hub.py: the two folders hold the same files with the same bytes (the
client's own .cache aside) and the same as the hub, whole and with include patterns, and `auklet`
opens ours as it opens the original."""
import filecmp
import os
import shutil
import subprocess
import sys

ROOT, WORK = sys.argv[1:3]
AUKLET = os.environ["AUKLET"]
os.environ.update(no_proxy="localhost,127.0.0.1", NO_PROXY="localhost,127.0.0.1",
                  HF_HOME=os.path.join(WORK, "hf"), HF_HUB_DISABLE_TELEMETRY="1",
                  HF_HUB_DISABLE_PROGRESS_BARS="1", HF_HUB_DISABLE_XET="1", AUK_LEDGER="")
os.environ.pop("HF_TOKEN", None)
REPO, TOKEN = "org/miniature", "hf_secret"


def repository(folder):
    """The miniature, and what repositories have besides: folders, an empty file, odd names."""
    shutil.copytree(os.path.join(ROOT, "data/miniature"), folder)
    os.makedirs(os.path.join(folder, "deep/er"))
    for name, data in ((".gitattributes", b"*.bin filter=lfs\n"), ("README.md", b"# a card\n"),
                       ("deep/empty", b""), ("deep/er/a b#c.txt", b"odd\n"),
                       ("deep/big.bin", os.urandom(5000000))):
        with open(os.path.join(folder, name), "wb") as f:
            f.write(data)


def tree(folder):
    return sorted(os.path.relpath(os.path.join(d, f), folder) for d, _, fs in os.walk(folder)
                  for f in fs if not os.path.relpath(d, folder).startswith(".cache"))


def same(a, b, names):
    assert tree(a) == names, (a, tree(a), names)
    assert tree(b) == names, (b, tree(b), names)
    _, different, unread = filecmp.cmpfiles(a, b, names, shallow=False)
    assert not different and not unread, (different, unread)


def auklet(*args):
    done = subprocess.run([AUKLET, *args], input=b'{"text": "def f(x): return x"}\n',
                          capture_output=True)
    assert done.returncode == 0, (args, done.returncode, done.stderr.decode())
    return done.stdout


def main():
    origin = os.path.join(WORK, "root", REPO)
    repository(origin)
    hub = subprocess.Popen([sys.executable, os.path.join(ROOT, "tests/http/hub.py"), "--root",
                            os.path.join(WORK, "root"), "--log", os.path.join(WORK, "log"),
                            "--fault", "token=" + TOKEN],
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    endpoint = "http://localhost:%s" % hub.stdout.readline().decode().split()[0]
    os.environ["HF_ENDPOINT"] = endpoint  # read when huggingface_hub is imported
    import huggingface_hub

    os.environ["HF_TOKEN"] = TOKEN
    print("huggingface_hub", huggingface_hub.__version__)
    for what, patterns in (("all", []), ("some", ["*.json", "deep/*"])):
        theirs, ours = os.path.join(WORK, "theirs-" + what), os.path.join(WORK, "ours-" + what)
        huggingface_hub.snapshot_download(REPO, local_dir=theirs, token=TOKEN,
                                          allow_patterns=patterns or None)
        auklet("pull", "--endpoint", endpoint, REPO, "-o", ours, "-q",
               *(["--include", ",".join(patterns)] if patterns else []))
        names = tree(theirs)
        same(theirs, ours, names)
        if what == "all":
            same(theirs, origin, tree(origin))
        else:
            assert 0 < len(names) < len(tree(origin)), names
        print("%s: %d files, the same names and bytes" % (what, len(names)))
    hub.stdin.close()
    hub.wait(10)

    ours, theirs = os.path.join(WORK, "ours-all"), os.path.join(WORK, "theirs-all")
    for args in (["tensors", "%s", "--json"], ["tokenize", "%s", "--json"]):
        here, there = ([a.replace("%s", d) for a in args] for d in (ours, theirs))
        assert auklet(*here).replace(ours.encode(), b"") == \
            auklet(*there).replace(theirs.encode(), b"")
        print("auklet %s: the same of both" % args[0])


main()
