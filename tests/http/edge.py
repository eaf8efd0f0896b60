"""Raw sockets against a running server: what the edge must accept and refuse, cancel, keep-alives,
endings.  `edge.py PORT GROUP` prints one line per probe and fails with the first wrong one.
Standard library only."""
import json
import socket
import sys
import threading
import time
import urllib.request

PORT = int(sys.argv[1])
BODY = b'{"model":"m","max_tokens":4,"messages":[{"role":"user","content":"hi"}]}'


def talk(data, wait=15, half_close=False):
    s = socket.create_connection(("127.0.0.1", PORT))
    s.settimeout(wait)
    s.sendall(data)
    if half_close:
        s.shutdown(socket.SHUT_WR)
    out = b""
    try:
        while chunk := s.recv(65536):
            out += chunk
    except socket.timeout:
        out += b"(timeout)"
    except ConnectionResetError:
        pass
    s.close()
    return out


def status(answer):
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def request(head, body=b"", method="POST", path="/v1/chat/completions", host="Host: localhost\r\n"):
    return f"{method} {path} HTTP/1.1\r\n{host}".encode() + head + b"\r\n" + body


def check(name, answer, want, holds=None, count=1):
    got = status(answer)
    if got != want or (holds and holds not in answer) or answer.count(b"HTTP/1.1 ") != count:
        sys.exit(f"{name}: wanted {want} {holds}, got {answer[:400]!r}")
    print(f"ok {name}: {got}")


def length(n):
    return f"Content-Length: {n}\r\n".encode()


def table():
    n = len(BODY)
    hidden = b"GET /api/version HTTP/1.1\r\nHost: localhost\r\n\r\n"
    check("plain", talk(request(length(n), BODY)), 200, b'"choices"')
    check("two lengths", talk(request(length(3) + length(5), b"abcde")), 400, b'"error"')
    check("hidden request", talk(request(length(0) + length(len(hidden)), hidden)), 400)
    check("pipelined request is not served", talk(request(length(n), BODY + hidden)), 200)
    te = b"Transfer-Encoding: chunked\r\n"
    check("TE and CL", talk(request(te + length(5), b"0\r\n\r\n")), 400)
    check("TE gzip", talk(request(b"Transfer-Encoding: gzip, chunked\r\n")), 400)
    check("TE twice", talk(request(te + te)), 400)
    check("two Host", talk(request(b"Host: a\r\n" + length(n), BODY)), 400)
    check("no Host", talk(request(length(n), BODY, host="")), 400)
    check("space before colon", talk(request(b"Content-Length : 5\r\n", b"abcde")), 400)
    check("plus", talk(request(b"Content-Length: +5\r\n", b"abcde")), 400)
    check("list of lengths", talk(request(b"Content-Length: 5, 5\r\n", b"abcde")), 400)
    check("folded", talk(request(b"Foo: bar\r\n baz\r\n" + length(n), BODY)), 400)
    check("NUL", talk(request(b"Foo: a\0b\r\n" + length(n), BODY)), 400)
    check("bare LF", talk(b"GET /health HTTP/1.1\nHost: localhost\n\n"), 400)
    check("bare CR", talk(b"GET /health HTTP/1.1\r\nHost: localhost\r\nA: b\rc: d\r\n\r\n"), 400)
    check("bad name", talk(request(b"F(o: x\r\n" + length(n), BODY)), 400)
    check("100 KB header", talk(request(b"A: " + b"x" * 100000 + b"\r\n")), 431)
    check("101 fields", talk(request(b"".join(b"A%d: x\r\n" % i for i in range(101)))), 431)
    check("HTTP/2", talk(b"PRI * HTTP/2.0\r\n\r\n"), 400)
    check("HTTP/9", talk(b"GET / HTTP/9.1\r\nHost: localhost\r\n\r\n"), 400)
    check("absolute form, foreign", talk(request(b"", b"", "GET", "http://evil.example/health")), 403)
    check("absolute form, own", talk(request(b"", b"", "GET", "http://localhost/health")), 200)
    chunked = b"%x\r\n" % n + BODY + b"\r\n0\r\n\r\n"
    check("chunked body", talk(request(te, chunked)), 200)
    check("expect", talk(request(b"Expect: 100-continue\r\n" + length(n), BODY)), 100, b"choices", 2)
    check("method", talk(request(b"", b"", "GET")), 405)
    check("unknown method", talk(request(b"", b"", "BREW")), 405)
    check("unknown path", talk(request(b"", b"", "GET", "/nothing")), 404)


def rules():
    n = len(BODY)
    evil = b"Origin: https://evil.example\r\nContent-Type: text/plain\r\n"
    check("foreign Host", talk(request(b"", b"", "GET", "/", "Host: evil.example\r\n")), 403)
    check("local name", talk(request(b"", b"", "GET", "/", "Host: a.localhost:1\r\n")), 200)
    check("address", talk(request(b"", b"", "GET", "/", "Host: [::1]:1\r\n")), 200)
    check("unlisted .local", talk(request(b"", b"", "GET", "/", "Host: pc.local\r\n")), 403)
    check("foreign Origin", talk(request(evil + length(n), BODY)), 403)
    own = b"Origin: http://localhost:3000\r\n"
    check("own Origin", talk(request(own + length(n), BODY)), 200, b"Access-Control-Allow-Origin")
    check("preflight", talk(request(own, b"", "OPTIONS")), 204, b"Access-Control-Allow-Methods")
    check("too large", talk(request(length(40 << 20))), 413)
    deep = b'{"model":"m","messages":' + b"[" * 10000 + b"]" * 10000 + b"}"
    check("depth", talk(request(length(len(deep)), deep)), 400)
    for name, path, key in (("openai", "/v1/chat/completions", b'"invalid_request_error"'),
                            ("anthropic", "/v1/messages", b'"type": "error"'),
                            ("ollama", "/api/chat", b'{"error": "'),
                            ("responses", "/v1/responses", b'"invalid_request_error"')):
        for bad in (b"{", b"", b"[]", b'{"model":1}', b'{"model":"m"}', b'{"model":"m","messages":7}',
                    b'{"model":"m","messages":[{"role":"user","content":"\xff"}]}',
                    b'{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}',
                    b'{"model":"m","messages":[{"role":"user","content":[{"type":"image"}]}],'
                    b'"input":[{"role":"user","content":[{"type":"input_image"}]}]}',
                    b'{"model":"m","model":"m"}', b'{"model":"m","temperature":"hot","messages":'
                    b'[{"role":"user","content":"x"}],"input":"x","options":{"top_k":"x"}}'):
            if name == "ollama" and bad == b'{"model":"m"}':
                continue
            check(f"{name} {bad[:40]!r}", talk(request(length(len(bad)), bad, path=path)), 400, key)
    long = json.dumps({"model": "m", "max_tokens": 1, "input": "x " * 60000, "messages": [
        {"role": "user", "content": "x " * 60000}]}).encode()
    for path, words in (("/v1/chat/completions", b"maximum context length"),
                        ("/api/chat", b"maximum context length"),
                        ("/v1/responses", b"context_length_exceeded"),
                        ("/v1/messages", b"prompt is too long: ")):
        check(f"overflow {path}", talk(request(length(len(long)), long, path=path)), 400, words)
    nul = b'{"model":"m","max_tokens":2,"messages":[{"role":"user","content":"a\\u0000b"}]}'
    check("NUL in text", talk(request(length(len(nul)), nul)), 200)


def slots():
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/slots") as r:
        return sum(s["is_processing"] for s in json.load(r))


def wait_idle(name, seconds):
    end = time.time() + seconds
    while slots() and time.time() < end:
        time.sleep(0.01)
    if slots():
        sys.exit(f"{name}: a lane is still busy")
    print(f"ok {name}")


def long_request(stream, path="/v1/chat/completions"):
    body = json.dumps({"model": "m", "stream": stream, "max_tokens": 4000, "temperature": 1.5,
                       "seed": 3, "messages": [{"role": "user", "content": "count to ten"}]}).encode()
    return request(length(len(body)), body, path=path)


def cancel():
    for stream in (True, False):
        s = socket.create_connection(("127.0.0.1", PORT))
        s.sendall(long_request(stream))
        time.sleep(0.2)
        busy = slots()
        s.close()
        if not busy:
            sys.exit("the request had ended before it was cancelled")
        wait_idle(f"cancel stream={stream}", 1)
    s = socket.create_connection(("127.0.0.1", PORT))  # a half-close counts as leaving
    s.sendall(long_request(True))
    time.sleep(0.2)
    s.shutdown(socket.SHUT_WR)
    wait_idle("half-close", 1)
    s.close()


def drip():
    s = socket.create_connection(("127.0.0.1", PORT))
    begun = time.time()
    try:
        for c in b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 100:
            s.sendall(bytes([c]))
            time.sleep(0.25)
    except OSError:
        pass
    took = time.time() - begun
    if not 9 < took < 13:
        sys.exit(f"a dripping header was cut after {took:.1f} s, not ten")
    print(f"ok drip: cut after {took:.1f} s")


def alive():
    """Scripted: 12 s of silence before the first token.  Bytes come every 5 s, in legal forms."""
    def one(path, stream, mark):
        s = socket.create_connection(("127.0.0.1", PORT))
        s.settimeout(6)
        body = json.dumps({"model": "m", "stream": stream, "input": "slow", "max_tokens": 50,
                           "messages": [{"role": "user", "content": "slow"}]}).encode()
        s.sendall(request(length(len(body)), body, path=path))
        out = b""
        try:
            while chunk := s.recv(65536):
                out += chunk
        except socket.timeout:
            failures.append(f"{path}: silent for 6 s after {out[-200:]!r}")
        s.close()
        if out.count(mark) < 2:
            failures.append(f"{path}: {out.count(mark)} signs of life: {out[:2000]!r}")
    failures = []
    threads = [threading.Thread(target=one, args=a) for a in (
        ("/v1/chat/completions", True, b": keep-alive"), ("/v1/messages", True, b"event: ping"),
        ("/api/chat", True, b'"done":false'), ("/v1/responses", True, b"event: response.in_progress"))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failures:
        sys.exit("; ".join(failures))
    print("ok alive")


def load():
    """Eight clients with random cancels beside idle connections: nothing but 200 and 503."""
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 4
    idle = [socket.create_connection(("127.0.0.1", PORT)) for _ in range(200)]
    end, failures, done = time.time() + seconds, [], [0, 0]

    def client(number):
        i = 0
        while time.time() < end:
            i += 1
            body = json.dumps({"model": "m", "stream": i % 2 == 0, "max_tokens": 12, "seed": i,
                               "messages": [{"role": "user", "content": f"{number} {i}"}]}).encode()
            data = request(length(len(body)), body)
            if i % 5 == 0:
                s = socket.create_connection(("127.0.0.1", PORT))
                s.sendall(data)
                time.sleep((i * 7 % 40) / 1000)
                s.close()
                continue
            answer = talk(data, 60)
            done[0] += 1
            done[1] += status(answer) == 503
            if status(answer) == 503 and b"Retry-After" in answer:
                continue
            if status(answer) != 200 or (i % 2 == 0 and b"[DONE]" not in answer):
                failures.append(answer[:300])
                return
    threads = [threading.Thread(target=client, args=(n,)) for n in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for s in idle:
        s.close()
    if failures:
        sys.exit(f"load: {failures[0]!r}")
    wait_idle(f"load: {done[0]} answers, {done[1]} of them 503", 3)


globals()[sys.argv[2]]()
