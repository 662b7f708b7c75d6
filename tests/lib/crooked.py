"""A proxy to a database socket that can turn bad: crooked.py PORT SOCKET MODE-FILE. The file holds one word, looked at before
every chunk: pass, silent (accepts, forwards nothing), garbage (noise for the server's words), reset (half a reply, then RST)."""
import os
import pathlib
import select
import socket
import struct
import sys
import threading


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def serve(client, path, mode):
    server = socket.socket(socket.AF_UNIX)
    server.connect(path)
    while True:
        ready, _, _ = select.select([client, server], [], [], 0.05)
        word = mode.read_text().strip()
        if word == "silent":
            # Nothing is read either: what was sent stays unanswered, also after a change of mode.
            threading.Event().wait(0.05)
            continue
        for end in ready:
            data = end.recv(65536)
            if not data:
                client.close()
                server.close()
                return
            if end is client:
                server.sendall(data)
            elif word == "garbage":
                client.sendall(os.urandom(len(data)))
            elif word == "reset":
                client.sendall(data[:len(data) // 2])
                reset(client)
                return
            else:
                client.sendall(data)


def attempt(*args):
    try:
        serve(*args)
    except OSError:
        pass


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=64)
    print("ready", flush=True)
    while True:
        threading.Thread(target=attempt, args=(listener.accept()[0], sys.argv[2], pathlib.Path(sys.argv[3])), daemon=True).start()
