"""A running receiver.py, and what it got."""
import json
import pathlib
import subprocess

RECEIVER = pathlib.Path(__file__).resolve().parent / "receiver.py"


class FarEnd:
    """On the loopback of a node's host: that is where its sidecar looks for it."""

    def __init__(self, folder, node, certificate=None, key=None):
        self.log = folder / f"far-end-{node.index}{'-tls' if certificate else ''}"
        more = [str(certificate), str(key)] if certificate else []
        self.process = subprocess.Popen([*node.inside(), "/usr/bin/python3", str(RECEIVER), str(self.log), *more],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        self.scheme = "https" if certificate else "http"

    def url(self, path):
        return f"{self.scheme}://127.0.0.1:{self.port}{path}"

    def requests(self, path):
        """In the order in which they came."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [r for r in map(json.loads, lines) if r["path"] == path]

    def end(self):
        self.process.kill()
        self.process.wait()
