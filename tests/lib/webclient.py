"""HTTP from inside a host's namespace: the socket is made there, the rest happens here."""
import ctypes
import http.client
import os
import socket
import ssl

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
HOME = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def enter(fd):
    if libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def dial(node, address, timeout=5.0):
    """A connection from that host to (address, port). The namespace is this thread's, and only for the moment of socket()."""
    there = os.open(f"/run/netns/{node.ns}", os.O_RDONLY)
    try:
        enter(there)
        connection = socket.socket()
    finally:
        enter(HOME)
        os.close(there)
    connection.settimeout(timeout)
    connection.connect(address)
    return connection


class Reply:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read().decode()


def read_reply(connection, method="GET"):
    response = http.client.HTTPResponse(connection, method=method)
    response.begin()
    return Reply(response)


def ask(node, address, path, method="GET", headers=None, tls=None, timeout=5.0):
    """One request on a connection of its own; with tls, the certificate that must have signed the server's."""
    with dial(node, address, timeout) as plain:
        connection = plain
        if tls:
            connection = ssl.create_default_context(cafile=str(tls)).wrap_socket(plain, server_hostname=address[0])
        lines = [f"{method} {path} HTTP/1.1", f"Host: {address[0]}", "Connection: close"]
        lines += [f"{k}: {v}" for k, v in (headers or {}).items()]
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        return read_reply(connection, method)
