#!/usr/bin/env python3
"""A plugin for a service node that sends back what it is sent, in both forms, with the standard library only.

docs/operating/write-a-plugin.md says what node and plugin expect of each other. The node starts it with
`-protocol stream` or `-protocol http`, as its entry's Config says.
"""

import argparse
import http.server
import io
import os
import signal
import socketserver
import struct
import sys
import tempfile

VERSION = "1"


def encode(value):
    """A CBOR item (RFC 8949) of what messages consist of."""

    def head(major, number):
        for extra, form, bits in ((24, ">BB", 8), (25, ">BH", 16), (26, ">BI", 32), (27, ">BQ", 64)):
            if number < 24:
                return bytes([major << 5 | number])
            if number < 1 << bits:
                return struct.pack(form, major << 5 | extra, number)
        raise ValueError("a number of more than 64 bits")

    if value is None:
        return b"\xf6"
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, dict):
        return head(5, len(value)) + b"".join(encode(key) + encode(item) for key, item in value.items())
    raise TypeError(type(value))


def decode(read):
    """The next item of what `read(count)` gives; a node writes definite lengths only."""

    def exactly(count):
        found = read(count)
        if len(found) != count:
            raise EOFError
        return found

    first = exactly(1)[0]
    major, number = first >> 5, first & 31
    if first in (0xF4, 0xF5):
        return first == 0xF5
    if first in (0xF6, 0xF7):
        return None
    if 24 <= number <= 27:
        number = int.from_bytes(exactly(1 << number - 24), "big")
    elif number > 27:
        raise ValueError("an item of indefinite length")
    if major == 0:
        return number
    if major == 1:
        return -1 - number
    if major == 2:
        return exactly(number)
    if major == 3:
        return exactly(number).decode()
    if major == 5:
        return {decode(read): decode(read) for _ in range(number)}
    raise ValueError(f"an item of type {major}")


def answer(payload):
    """The service itself: what it answers to a request's payload, which ends in zeros."""
    return payload


def serve_stream(listener):
    """CBOR items over the one connection that the node makes."""
    connection, _ = listener.accept()
    with connection, connection.makefile("rb") as requests:
        while True:
            try:
                request = decode(requests.read)
            except EOFError:
                return
            if request.get("IsParametersRequest"):
                reply = {"ID": request["ID"], "IsParametersResponse": True, "Params": {"version": VERSION}}
            else:
                # ID and SURB say whose answer it is; without a SURB nobody waits for one.
                reply = {"ID": request["ID"], "Payload": answer(request["Payload"]), "SURB": request["SURB"]}
            connection.sendall(encode(reply))


class Handler(http.server.BaseHTTPRequestHandler):
    """One POST for each request."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.path == "/parameters":
            reply = {"version": VERSION}
        elif self.path == "/request":
            request = decode(io.BytesIO(body).read)
            # An empty payload is no reply.
            reply = {"Payload": answer(request["Payload"]) if request["HasSURB"] else b""}
        else:
            return self.send_error(404)
        encoded = encode(reply)
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def address_string(self):
        return "node"

    def log_message(self, *_):
        """What goes to standard error is in the node's log: nothing about requests."""


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("-protocol", choices=["stream", "http"], default="stream")
    protocol = arguments.parse_args().protocol
    # The node ends its plugins with SIGTERM.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "socket")
        with socketserver.UnixStreamServer(path, Handler) as server:
            # The first line: where it listens. The node connects when it has read it.
            print(path, flush=True)
            if protocol == "stream":
                serve_stream(server.socket)
            else:
                server.serve_forever()


if __name__ == "__main__":
    main()
