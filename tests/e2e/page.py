#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The page at "/" in headless Chromium: send, stream, stop, reload, errors, tools, keyboard, dark,
light and phone width.

    page.py [--url URL] --shots DIR

Without --url a scripted server gives the answers; with it a real one does, of which less can be
said.  Chromium is driven through its debugging pipe.  Exit 77 when it is not installed.
"""
import argparse
import base64
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests", "http"))
import foreign  # noqa: E402
import scripted  # noqa: E402

CODE = "Use this:\n\n```python\nprint('<b>bold</b>')\n```\n\nand `that`."


def policy(request, n, argument):
    """What is asked decides what is answered."""
    text = scripted.last_user(request)
    if any(m.get("role") == "tool" for m in request["messages"]):
        return {"text": "The tool said " + request["messages"][-1]["content"]}
    if "slow" in text:
        return {"text": "word " * 400, "faults": {"rate": "20"}}
    if "broken" in text:
        return {"status": 400, "message": "this model's maximum context length is 100 tokens"}
    if "cut" in text:
        return {"text": "one two three four", "faults": {"cut": "3"}}
    if "tool" in text:
        return {"calls": [{"name": "read_file", "arguments": {"path": "a.c"}}]}
    return {"thinking": "Let me think about it.", "text": CODE}


class Handler(scripted.Handler):
    """scripted.py's chat, with the page and what it reads beside it."""
    others = {"/health": (200, {"status": "ok"}), "/props": (200, {
        "model_alias": "m", "default_generation_settings": {"n_ctx": 8192}}),
        "/slots": (200, [{"id": 0, "is_processing": False}, {"id": 1, "is_processing": True}])}
    paths = []

    def do_GET(self):
        self.entry = {}
        self.paths.append(self.path)
        if self.path == "/":
            return self.sent(open(os.path.join(ROOT, "src/serve/page.html"), "rb").read(), "text/html")
        if self.path == "/metrics":
            return self.sent(b"llamacpp:prompt_tokens_total 300\nllamacpp:prompt_tokens_cached_total 100\n"
                             b"llamacpp:requests_deferred 0\n", "text/plain")
        if self.path in self.others:
            return self.plain(*self.others[self.path])
        return super().do_GET()

    def sent(self, body, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind + "; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Browser:
    """One tab of Chromium, over the debugging pipe (descriptors 3 and 4)."""

    def __init__(self, program):
        self.home = tempfile.mkdtemp(prefix="auk-page-")
        self.out_r, their_w = os.pipe()
        their_r, self.in_w = os.pipe()

        def descriptors():
            r, w = os.dup(their_r), os.dup(their_w)  # away from 3 and 4 first
            os.dup2(r, 3), os.dup2(w, 4)
        self.process = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
             "--no-first-run", "--disable-extensions", "--disable-background-networking",
             "--user-data-dir=" + self.home, "about:blank"], preexec_fn=descriptors, close_fds=False,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(their_r), os.close(their_w)
        self.ids, self.answers, self.events = itertools.count(1), {}, []
        self.changed = threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()
        self.session = None
        target = next(t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=target["targetId"],
                                 flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(domain + ".enable")

    def read(self):
        data = b""
        while True:
            piece = os.read(self.out_r, 1 << 16)
            if not piece:
                return
            data += piece
            *whole, data = data.split(b"\0")
            for message in map(json.loads, whole):
                with self.changed:
                    if "id" in message:
                        self.answers[message["id"]] = message
                    else:
                        self.events.append(message)
                    self.changed.notify_all()

    def call(self, method, **params):
        n = next(self.ids)
        message = {"id": n, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.in_w, json.dumps(message).encode() + b"\0")
        with self.changed:
            if not self.changed.wait_for(lambda: n in self.answers, 60):
                raise SystemExit("page.py: Chromium does not answer " + method)
            answer = self.answers.pop(n)
        if "error" in answer:
            raise SystemExit("page.py: %s: %s" % (method, answer["error"]))
        return answer["result"]

    def js(self, expression):
        r = self.call("Runtime.evaluate", expression=expression, awaitPromise=True,
                      returnByValue=True)
        if "exceptionDetails" in r:
            raise SystemExit("page.py: %s: %s" % (expression, r["exceptionDetails"]))
        return r["result"].get("value")

    def until(self, expression, what, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.js(expression):
                return
            time.sleep(0.05)
        raise SystemExit("page.py: not seen: %s\n%s" % (what, self.js("document.body.innerText")))

    def key(self, name, code, text=None, modifiers=0):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name, modifiers=modifiers,
                      windowsVirtualKeyCode=code, **({"text": text} if text and kind == "keyDown" else {}))

    def ask(self, text):
        self.js("$('ask').focus()")
        self.call("Input.insertText", text=text)
        self.key("Enter", 13, "\r")

    def open(self, url):
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && typeof poll === 'function'", "the page")

    def size(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=width < 600)

    def theme(self, name):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def shot(self, folder, name):
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, name + ".png"), "wb") as f:
            f.write(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def close(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.home, ignore_errors=True)


def check(right, what):
    if not right:
        raise SystemExit("page.py: " + what)
    print("ok   " + what, flush=True)


def idle(b):
    b.until("running === null && !$('send').hidden", "the end of the answer", 120)


def with_script(b, shots, url):
    b.open(url)
    b.until("$('state').textContent.includes('window 8192')", "model and window in the head")
    check(b.js("document.activeElement.id") == "ask", "the question box has the focus")
    b.until("$('server').innerText.includes('1 of 2')", "sessions")
    check("100 (25 %)" in b.js("$('server').innerText"), "the server's state is shown")

    b.ask("hello")
    idle(b)
    check(b.js("document.querySelector('.answer details').open") is False, "thinking is folded")
    check(b.js("document.querySelector('.answer details div').textContent") == "Let me think about it.",
          "and holds the thoughts")
    check(b.js("document.querySelector('.answer pre code').textContent") == "print('<b>bold</b>')\n",
          "code stands in a block, markup stays text")
    check(b.js("document.querySelectorAll('.answer b').length") == 0, "nothing of the answer is markup")
    check("Let me" not in b.js("document.querySelector('.answer > div').textContent"),
          "no thinking in the answer")
    check("from the cache" in b.js("$('now').innerText"), "cache and timings are shown")
    check(b.js("document.querySelectorAll('#falls li').length") == 1, "the waterfall has one bar")
    b.shot(shots, "answer-light")

    b.ask("slow please")
    b.until("document.querySelectorAll('.answer')[1]?.textContent.includes('word word word')", "streaming")
    check(b.js("!$('stop').hidden && $('send').hidden"), "while it streams there is a stop button")
    check(b.js("document.activeElement.id") == "stop", "which has the focus")
    b.key("Escape", 27)
    idle(b)
    n = b.js("document.querySelectorAll('.answer')[1].textContent.split('word').length")
    check(1 < n < 300, "Esc stops (%d of 400 words were there)" % (n - 1))
    check("stopped" in b.js("$('falls').innerText"), "which the waterfall says")
    b.ask("slow again")
    b.until("document.querySelectorAll('.answer')[2]?.textContent.includes('word')", "streaming")
    b.js("$('stop').click()")
    idle(b)
    check(b.js("document.querySelectorAll('.error').length") == 0, "stopping is no error")

    before = b.js("$('log').innerText")
    b.call("Page.reload")
    b.until("typeof poll === 'function' && document.querySelectorAll('.answer').length === 3", "the reloaded page")
    after = b.js("$('log').innerText")
    check([w for w in before.split() if w.isalpha()] == [w for w in after.split() if w.isalpha()],
          "a reload keeps the conversation")
    check(b.js("document.querySelectorAll('#falls li').length") == 3, "and the last answers' times")

    b.ask("broken")
    idle(b)
    check("maximum context length" in b.js("document.querySelector('.error').textContent"),
          "the server's error is shown in its words")
    b.js("document.querySelector('.error button').click()")
    idle(b)
    check(b.js("document.querySelectorAll('.error').length") == 1, "and can be tried again")
    b.ask("cut it")
    idle(b)
    check("broke off" in b.js("[...document.querySelectorAll('.error')].pop().textContent"),
          "a stream without its end is an error")
    b.shot(shots, "error")

    b.js("$('new').click()")
    check(b.js("$('log').children.length") == 0, "a new chat is empty")
    b.ask("use a tool")
    idle(b)
    check("read_file" in b.js("document.querySelector('.call').innerText"), "a tool call is shown")
    b.js("document.querySelector('.call input').focus()")
    b.call("Input.insertText", text="42 lines")
    b.key("Enter", 13, "\r")
    b.until("$('log').innerText.includes('The tool said 42 lines')", "the answer to the tool's result")
    idle(b)
    b.key("ArrowUp", 38)
    check(b.js("$('ask').value") == "use a tool", "the arrow brings the last question back")
    b.js("$('ask').value = ''")

    b.theme("dark")
    dark = b.js("getComputedStyle(document.body).backgroundColor")
    b.shot(shots, "tool-dark")
    b.theme("light")
    check(dark != b.js("getComputedStyle(document.body).backgroundColor"), "dark and light follow the system")
    b.js("$('theme').click()")
    check(dark == b.js("getComputedStyle(document.body).backgroundColor"), "and the button")
    b.size(375, 700)
    check(b.js("document.documentElement.scrollWidth <= 375"), "at phone width nothing is cut off")
    check(b.js("getComputedStyle($('side')).display") == "none", "and the details are away")
    b.shot(shots, "phone")
    b.js("$('open-side').click()")
    check(b.js("getComputedStyle($('side')).display") == "block", "until they are asked for")
    b.shot(shots, "phone-details")


def with_server(b, shots, url):
    b.open(url)
    b.until("model !== ''", "the model's name")
    b.js("$('most').value = '24'; keep()")
    b.ask("Say something.")
    b.until("!$('stop').hidden || document.querySelector('.answer .note')?.textContent", "an answer")
    idle(b)
    check(b.js("document.querySelectorAll('.error').length") == 0, "the server's answer has no error")
    check(b.js("chat.falls[0].tokens > 0 && chat.falls[0].first >= 0"), "it has tokens and times")
    check("<|" not in b.js("$('log').innerText"), "and no marker of the model")
    b.js("$('most').value = '4000'; keep()")
    b.ask("Count as far as you can.")
    b.until("!$('stop').hidden", "the stop button")
    b.key("Escape", 27)
    idle(b)
    check(b.js("$('send').hidden") is False, "an answer can be stopped")
    b.until("!$('server').innerText.includes('not told')", "the server's state")
    b.shot(shots, "server")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url")
    parser.add_argument("--shots", required=True)
    args = parser.parse_args()
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not program:
        print("page.py: SKIPPED: Chromium is not installed", file=sys.stderr)
        return 77
    url, log = args.url, tempfile.NamedTemporaryFile()
    if not url:
        Handler.state = foreign.State(argparse.Namespace(fault=[], answers=None, replay=None, log=log.name))
        Handler.policy = staticmethod(policy)
        server = foreign.Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = "http://127.0.0.1:%d/" % server.server_address[1]
    b = Browser(program)
    try:
        b.size(1200, 800)
        b.theme("light")
        (with_server if args.url else with_script)(b, args.shots, url)
        asked = {e["params"]["request"]["url"] for e in b.events if e["method"] == "Network.requestWillBeSent"}
        outside = [u for u in asked if not u.startswith((url, "data:", "about:"))]
        check(not outside, "no request but to the server %s" % (outside or ""))
        thrown = [e for e in b.events if e["method"] == "Runtime.exceptionThrown"]
        check(not thrown, "no script failed %s" % (thrown or ""))
    finally:
        b.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
