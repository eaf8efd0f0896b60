#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A hub as Hugging Face's looks from outside, for tests of `auklet pull`: the listing with pages
and LFS hashes, resolve URLs that redirect large files to another host, ranges; and every way such
a hub misbehaves.

    hub.py --root DIR --log FILE [--fault NAME=VALUE]...

Serves DIR/<owner>/<name>/... as repositories, on two ports: the hub (localhost) and its storage
(127.0.0.1), which are different hosts to a client.  Prints both ports on one line.  Every request
is one JSON line in FILE: where, method, path, range, authorization, status, bytes sent.

Faults: delay=SECONDS per 64 KB piece; cut=BYTES of each answer after which the connection closes;
cut_times=N stops cutting after N answers; announce=N adds N to Content-Length; corrupt=N damages
the first N answers of large files; busy=N answers the first N requests 429 (busy_status=503 ...)
with retry_after=SECONDS; no_ranges=1; no_hash=1 leaves hashes out of listing and headers;
token=T wants it; page=N entries per page; no_tree=1 has only the model info; wrong_range=1 answers
another range; evil=PATH lists a file of that name; no_length=1 sends chunks; gzip=1 compresses;
redirect_loop=1; wrong_size=N adds N to the sizes of the listing; tag_change=1 new ETag each time.
"""
import argparse
import hashlib
import http.server
import json
import os
import re
import socketserver
import sys
import threading
import time
import urllib.parse

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = 4096  # from here on a file is "LFS"


class Hub:
    def __init__(self, root, log, faults):
        self.root, self.log, self.faults = root, log, faults
        self.lock = threading.Lock()
        self.counts = {}
        self.ports = {}

    def fault(self, name, default=None):
        value = self.faults.get(name, default)
        if isinstance(default, (int, float)) and value is not None:
            return type(default)(value)
        return value

    def count(self, name):
        with self.lock:
            self.counts[name] = self.counts.get(name, 0) + 1
            return self.counts[name]

    def note(self, **what):
        with self.lock, open(self.log, "a") as f:
            f.write(json.dumps(what) + "\n")


def entry(hub, root, path):
    data = open(os.path.join(root, path), "rb").read()
    size = len(data) + hub.fault("wrong_size", 0)
    e = {"type": "file", "path": path, "size": size}
    if len(data) >= LARGE:
        e["oid"] = hashlib.sha1(b"pointer").hexdigest()
        e["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": size, "pointerSize": 134}
    else:
        e["oid"] = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    if hub.fault("no_hash"):
        e.pop("oid", None)
        e.pop("lfs", None)
    return e


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub = None
    where = None
    sent = 0
    status = 0

    def log_message(self, *args):
        pass

    def send_response(self, status, message=None):
        self.status = status
        super().send_response(status, message)

    def do_HEAD(self):  # what huggingface_hub asks before it fetches a file
        self.do_GET()

    def do_GET(self):
        self.sent = 0
        began = time.time()
        try:
            self.answer()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        self.hub.note(where=self.where, method=self.command, path=self.path,
                      range=self.headers.get("Range"), authorization=self.headers.get("Authorization"),
                      status=self.status, sent=self.sent, began=began, ended=time.time())

    def plain(self, status, body, kind="application/json", headers=()):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
            self.sent += len(body)

    def answer(self):
        hub, url = self.hub, urllib.parse.urlsplit(self.path)
        path = urllib.parse.unquote(url.path)
        if hub.fault("busy") and hub.count("busy") <= hub.fault("busy", 0):
            return self.plain(hub.fault("busy_status", 429), {"error": "slow down"},
                              headers=[("Retry-After", hub.fault("retry_after", "0"))])
        if self.where == "storage":
            return self.storage(path)
        wanted = hub.fault("token")
        if wanted and self.headers.get("Authorization") != "Bearer " + wanted:
            return self.plain(401, {"error": "Repository not found"})
        m = re.fullmatch(r"/api/(?:models|datasets)/([^/]+/[^/]+)(?:/(revision|tree)/(.+))?", path)
        if m:
            return self.api(m, urllib.parse.parse_qs(url.query))
        m = re.fullmatch(r"/(?:datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        if m and m.group(2) in (COMMIT, "main"):
            return self.resolve(m.group(1), m.group(3))
        if path.startswith("/plain/"):
            return self.send_file(os.path.join(hub.root, path[7:]), None)
        return self.plain(404, {"error": "not found"})

    def api(self, m, query):
        hub, root = self.hub, os.path.join(self.hub.root, m.group(1))
        revision = urllib.parse.unquote(m.group(3) or "main")
        if not os.path.isdir(root):
            return self.plain(404 if hub.fault("token") else 401, {"error": "Repository not found"})
        if revision not in ("main", COMMIT):
            return self.plain(404, {"error": "Invalid rev id"})
        names = sorted(os.path.relpath(os.path.join(d, f), root)
                       for d, _, fs in os.walk(root) for f in fs)
        entries = [entry(hub, root, n) for n in names]
        if hub.fault("evil"):
            entries.append({"type": "file", "path": hub.fault("evil"), "size": 3, "oid": "0" * 40})
        if m.group(2) != "tree":
            return self.plain(200, {"id": m.group(1), "sha": COMMIT, "siblings": [
                {"rfilename": e["path"]} for e in entries]})
        if hub.fault("no_tree"):
            return self.plain(404, {"error": "no such route"})
        page, start = hub.fault("page", 1000), int(query.get("cursor", ["0"])[0])
        folders = [{"type": "directory", "path": "sub", "oid": "0" * 40, "size": 0}]
        headers = []
        if start + page < len(entries):
            base = "http://%s%s?recursive=true&cursor=%d" % (
                self.headers["Host"], urllib.parse.urlsplit(self.path).path, start + page)
            headers = [("Link", '<%s>; rel="next"' % base)]
        return self.plain(200, folders + entries[start:start + page], headers=headers)

    def resolve(self, repo, path):
        hub, name = self.hub, os.path.join(self.hub.root, repo, path)
        if not os.path.isfile(name):
            return self.plain(404, {"error": "Entry not found"})
        if hub.fault("redirect_loop"):
            return self.plain(302, b"", headers=[("Location", self.path)])
        data = open(name, "rb").read()
        if len(data) < LARGE:
            return self.send_file(name, None)
        headers = [("Location", "http://127.0.0.1:%d/blobs/%s?signature=secret" % (
                        hub.ports["storage"], urllib.parse.quote(repo + "/" + path))),
                   ("X-Repo-Commit", COMMIT), ("X-Linked-Size", str(len(data)))]
        if not hub.fault("no_hash"):
            headers.append(("X-Linked-Etag", '"%s"' % hashlib.sha256(data).hexdigest()))
        return self.plain(302, b"Found", headers=headers)

    def storage(self, path):
        return self.send_file(os.path.join(self.hub.root, path[len("/blobs/"):]), "storage")

    def send_file(self, name, where):
        hub = self.hub
        if not os.path.isfile(name):
            return self.plain(404, b"<Error>NoSuchKey</Error>", "application/xml")
        data = open(name, "rb").read()
        first, last, status = 0, len(data) - 1, 200
        m = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if m and not hub.fault("no_ranges"):
            first, status = int(m.group(1)), 206
            last = min(int(m.group(2) or last), last)
            if first > last:
                return self.plain(416, b"", headers=[("Content-Range", "bytes */%d" % len(data))])
        if len(data) >= LARGE and hub.fault("corrupt") and (last > 0):
            if hub.count("corrupt") <= hub.fault("corrupt", 0):
                data = data[:first] + bytes([data[first] ^ 1]) + data[first + 1:]
        body = data[first:last + 1]
        self.send_response(status)
        if status == 206:
            shift = 1 if hub.fault("wrong_range") else 0
            self.send_header("Content-Range", "bytes %d-%d/%d" % (first + shift, last + shift,
                                                                  len(data)))
        if not hub.fault("no_hash"):
            tag = hashlib.md5(data).hexdigest()
            if hub.fault("tag_change"):
                tag += "-%d" % hub.count("tag")
            self.send_header("ETag", '"%s"' % tag)
        if hub.fault("gzip"):
            self.send_header("Content-Encoding", "gzip")
        if where != "storage":
            self.send_header("X-Repo-Commit", COMMIT)
        if hub.fault("no_length"):
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(body) + hub.fault("announce", 0)))
        self.end_headers()
        if self.command != "HEAD":
            self.send_body(body, len(data) >= LARGE)

    def send_body(self, body, large):
        hub = self.hub
        cut = hub.fault("cut", 0) if large else 0
        if cut and hub.fault("cut_times") and hub.count("cut") > hub.fault("cut_times", 0):
            cut = 0
        for at in range(0, len(body), 65536):
            piece = body[at:at + 65536]
            if cut and self.sent + len(piece) > cut:
                piece = piece[:cut - self.sent]
            if hub.fault("delay") and large:
                time.sleep(hub.fault("delay", 0.0))
            if hub.fault("no_length"):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            else:
                self.wfile.write(piece)
            self.wfile.flush()
            self.sent += len(piece)
            if cut and self.sent >= cut:
                self.close_connection = True
                return
        if hub.fault("no_length"):
            self.wfile.write(b"0\r\n\r\n")
        if hub.fault("announce"):
            self.close_connection = True


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass  # a client that left


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--fault", action="append", default=[])
    args = parser.parse_args()
    open(args.log, "w").close()
    hub = Hub(args.root, args.log, dict(f.split("=", 1) for f in args.fault))
    for where in ("hub", "storage"):
        kind = type(where, (Handler,), {"hub": hub, "where": where})
        server = Server(("127.0.0.1", 0), kind)
        hub.ports[where] = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(hub.ports["hub"], hub.ports["storage"], flush=True)
    sys.stdin.read()  # lives as long as whoever started it keeps our stdin open


if __name__ == "__main__":
    main()
