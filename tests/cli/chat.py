#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Drives a command on a terminal of its own.

usage: chat.py [--stdout FILE] [--stderr FILE] STEP... -- COMMAND [ARG]...

    send:TEXT   types TEXT and Enter          key:NAME    presses ctrl-c, ctrl-d, up or enter
    wait:TEXT   until TEXT has been shown, after what earlier waits found
    sleep:S     seconds

The command's standard streams are the terminal, or FILE.  What it showed (FILEs included, as it came)
is printed at the end, then "exit N".  A wait that takes longer than 60 s, or a command that does not
end 60 s after the last step, is killed and exit 99 is printed.  Needs Python 3 alone.
"""
import fcntl
import os
import pty
import select
import signal
import sys
import termios
import time

LIMIT_S = 60
KEYS = {"ctrl-c": b"\x03", "ctrl-d": b"\x04", "up": b"\x1b[A", "enter": b"\r"}


class Terminal:
    def __init__(self, command, files):
        self.shown, self.seen, self.ended = b"", 0, None
        self.files = [open(f, "w+b") for f in files.values()]
        self.master, slave = pty.openpty()
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
            for fd in (0, 1, 2):
                os.dup2(slave, fd)
            for fd, name in files.items():
                os.dup2(os.open(name, os.O_WRONLY | os.O_APPEND), fd)
            os.closerange(3, 64)
            os.environ["TERM"] = "xterm"
            os.execvp(command[0], command)
        os.close(slave)

    def read(self, seconds):
        """Takes in what has come, waiting at most so long for it."""
        try:
            if select.select([self.master], [], [], seconds)[0]:
                self.shown += os.read(self.master, 65536)
        except OSError:  # the other end is closed
            time.sleep(seconds)
        for f in self.files:
            self.shown += f.read()
        if self.ended is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid != 0:
                self.ended = os.waitstatus_to_exitcode(status)

    def wait(self, text):
        end = time.monotonic() + LIMIT_S
        while True:
            self.read(0.05)
            at = self.shown.find(text, self.seen)
            if at >= 0:
                self.seen = at + len(text)
                return
            if time.monotonic() > end or self.ended is not None:
                self.give_up("waited for %r" % text.decode())

    def finish(self):
        end = time.monotonic() + LIMIT_S
        while self.ended is None and time.monotonic() < end:
            self.read(0.05)
        if self.ended is None:
            self.give_up("did not end")
        self.read(0.05)
        self.report(self.ended)

    def give_up(self, why):
        if self.ended is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        self.shown += b"\n[" + why.encode() + b"]"
        self.report(99)

    def report(self, status):
        sys.stdout.buffer.write(self.shown + b"\nexit %d\n" % status)
        sys.stdout.flush()
        sys.exit(0)


def main(args):
    at = args.index("--")
    steps, command, files = args[:at], args[at + 1:], {}
    while steps and steps[0].startswith("--"):
        files[{"--stdout": 1, "--stderr": 2}[steps[0]]] = steps[1]
        steps = steps[2:]
    terminal = Terminal(command, files)
    for step in steps:
        kind, _, text = step.partition(":")
        if kind == "wait":
            terminal.wait(text.encode())
        elif kind == "sleep":
            end = time.monotonic() + float(text)
            while time.monotonic() < end:
                terminal.read(0.05)
        else:
            os.write(terminal.master, text.encode() + b"\r" if kind == "send" else KEYS[text])
    terminal.finish()


if __name__ == "__main__":
    main(sys.argv[1:])
