#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Looks at a page in headless Chromium, through the browser's debugging pipe.

usage: report_page.py FILE.html [AXE.js]

Light and dark, at the width of a phone and of a desk: no console message of error level, no
exception, no request but the page's own, nothing wider than the window, text of at least 11 px, and
with AXE.js (axe-core's axe.min.js) no violation.  Prints what is wrong, one a line; exit 1 then.
Needs Python 3 alone.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time


class Browser:
    def __init__(self, program):
        self.home = tempfile.mkdtemp()
        to_r, self.to = os.pipe()
        self.back, back_w = os.pipe()

        def pipes():  # the protocol's: 3 is read, 4 is written
            os.dup2(to_r, 100)
            os.dup2(back_w, 101)
            os.dup2(100, 3)
            os.dup2(101, 4)

        self.process = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--remote-debugging-pipe", "--user-data-dir=" + self.home, "about:blank"],
            preexec_fn=pipes, close_fds=False, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_r)
        os.close(back_w)
        self.held, self.n, self.events, self.session = b"", 0, [], None

    def read(self):
        while b"\0" not in self.held:
            piece = os.read(self.back, 1 << 20)
            if not piece:
                raise SystemExit("the browser ended")
            self.held += piece
        message, self.held = self.held.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **params):
        self.n += 1
        message = {"id": self.n, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            got = self.read()
            if got.get("id") == self.n:
                if "error" in got:
                    raise SystemExit("%s: %s" % (method, got["error"]))
                return got["result"]
            self.events.append(got)

    def wait(self, event):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            for e in self.events:
                if e.get("method") == event:
                    return
            self.events.append(self.read())
        raise SystemExit("no " + event)

    def value(self, expression):
        r = self.call("Runtime.evaluate", expression=expression, awaitPromise=True,
                      returnByValue=True)
        if "exceptionDetails" in r:
            raise SystemExit("in the page: %s" % json.dumps(r["exceptionDetails"])[:500])
        return r["result"].get("value")

    def close(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.home, ignore_errors=True)


SMALL = """[...document.querySelectorAll('p,td,th,summary,h1,h2,h3')]
    .filter(e => e.innerText.trim() && parseFloat(getComputedStyle(e).fontSize) < 11).length"""
WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
AXE = """axe.run(document, {resultTypes: ['violations']}).then(r => r.violations.map(v =>
    v.impact + ' ' + v.id + ': ' + v.nodes.length + ' x ' + v.nodes[0].html.slice(0, 160)))"""


def look(browser, url, axe, width, scheme):
    """What is wrong with the page at this width in this colour scheme."""
    wrong = []
    browser.events = []
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1,
                 mobile=width < 600)
    browser.call("Emulation.setEmulatedMedia",
                 features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.call("Page.navigate", url=url)
    browser.wait("Page.loadEventFired")
    if browser.value(WIDE) > 0:
        wrong.append("it is %d px wider than the window" % browser.value(WIDE))
    if browser.value(SMALL) > 0:
        wrong.append("%d texts are smaller than 11 px" % browser.value(SMALL))
    if not browser.value("document.body.innerText.trim().length > 100"):
        wrong.append("it is empty")
    if axe:
        browser.call("Page.setBypassCSP", enabled=True)
        browser.value(axe + "; 0")
        wrong += browser.value(AXE)
    for e in browser.events:
        method, p = e.get("method"), e.get("params", {})
        if method == "Runtime.exceptionThrown":
            wrong.append("exception: %s" % json.dumps(p)[:300])
        elif method == "Runtime.consoleAPICalled" and p.get("type") in ("error", "assert"):
            wrong.append("console: %s" % json.dumps(p.get("args"))[:300])
        elif method == "Log.entryAdded" and p["entry"]["level"] == "error":
            wrong.append("log: %s" % p["entry"]["text"][:300])
        elif method == "Network.requestWillBeSent" and p["request"]["url"] != url:
            wrong.append("request: %s" % p["request"]["url"][:300])
    return ["%d px, %s: %s" % (width, scheme, w) for w in wrong]


def main():
    program = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
                    if p), None)
    if program is None:
        print("SKIPPED: no chromium", file=sys.stderr)
        return 77
    url = "file://" + os.path.abspath(sys.argv[1])
    axe = open(sys.argv[2]).read() if len(sys.argv) > 2 else None
    browser, wrong = Browser(program), []
    try:
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        browser.session = browser.call("Target.attachToTarget", targetId=target,
                                       flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            browser.call(domain + ".enable")
        for width in (360, 1200):
            for scheme in ("light", "dark"):
                wrong += look(browser, url, axe, width, scheme)
    finally:
        browser.close()
    for w in wrong:
        print(w)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
