"""Answers /healthz where TS_LOCAL_ADDR_PORT says, once the key file and the network device have been found usable."""

import fcntl
import os
import struct
from http.server import BaseHTTPRequestHandler, HTTPServer

TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x1001


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()


def prove_rights() -> None:
    """What tailscaled needs of its container: the key, a place for its state, and a network device of its own."""
    with open(os.environ["TS_AUTHKEY"].removeprefix("file:"), encoding="utf-8") as key:
        assert key.read().startswith("tskey-")
    with open(os.path.join(os.environ["TS_STATE_DIR"], "probe"), "w", encoding="utf-8") as probe:
        probe.write("state")
    device = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"tailscale0", IFF_TUN_NO_PI))


if __name__ == "__main__":
    prove_rights()
    host, _, port = os.environ["TS_LOCAL_ADDR_PORT"].rpartition(":")
    HTTPServer((host, int(port)), Handler).serve_forever()
