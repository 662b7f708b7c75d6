"""Prints every ARP announcement (sender and target are one address) that reaches this host: kind, address, MAC."""
import socket

ETH_P_ARP = 0x0806

watch = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ARP))
print("ready", flush=True)
while True:
    frame = watch.recv(2048)
    kind = int.from_bytes(frame[20:22], "big")
    mac, sender, target = frame[22:28], frame[28:32], frame[38:42]
    if sender == target:
        print({1: "request", 2: "reply"}.get(kind, kind), socket.inet_ntoa(sender), mac.hex(":"), flush=True)
