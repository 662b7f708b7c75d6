#!/usr/bin/python3
"""The far end of webhooks and health URLs: a real HTTP server that answers as its paths say, and writes down what it got.

    receiver.py LOG [CERTIFICATE KEY]      listens on a free port of loopback, and prints it

    /ok                   200
    /status/503           503
    /flaky/503/2          503 twice, then 200
    /hang                 takes the request and never answers
    /drip                 answers, and its body has no end
    /redirect             302 to /ok
    /file/PATH            what PATH says: "503", "200 a text", "hang"; 404 when there is no such file

LOG gets a line of JSON for each request: path, method, headers (in lower case), body.
"""
import http.server
import json
import pathlib
import ssl
import sys
import threading
import time

lock = threading.Lock()
seen = {}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def drip(self):
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"x" * 65536)
        except OSError:
            self.close_connection = True

    def from_file(self, path):
        try:
            said = pathlib.Path(path).read_text().split(None, 1)
        except OSError:
            said = ["404"]
        if said[0] == "hang":
            time.sleep(3600)
        self.answer(int(said[0]), said[1].encode() if len(said) > 1 else b"")

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        with lock:
            seen[self.path] = seen.get(self.path, 0) + 1
            nth = seen[self.path]
            with open(sys.argv[1], "a", encoding="ascii") as log:
                log.write(json.dumps({"path": self.path, "method": self.command, "at": time.monotonic(), "body": body,
                                      "headers": {k.lower(): v for k, v in self.headers.items()}}) + "\n")
        what, *rest = self.path.split("?")[0].strip("/").split("/")
        if what == "ok":
            self.answer(200)
        elif what == "status":
            self.answer(int(rest[0]))
        elif what == "flaky":
            self.answer(int(rest[0]) if nth <= int(rest[1]) else 200)
        elif what == "hang":
            time.sleep(3600)
        elif what == "drip":
            self.drip()
        elif what == "redirect":
            self.answer(302, Location="/ok")
        elif what == "file":
            self.from_file("/" + "/".join(rest))
        else:
            self.answer(404)

    do_GET = do_POST = handle_any

    def log_message(self, *_):
        pass


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if len(sys.argv) > 2:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2], sys.argv[3])
        server.socket = context.wrap_socket(server.socket, server_side=True)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
