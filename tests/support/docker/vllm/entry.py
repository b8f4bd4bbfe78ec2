"""Answers like one replica: says which one it is, asks for the engine's key, and says a sentence, streamed or whole."""

import argparse
import json
import os
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WORDS = ["We ", "have ", "two ", "SUVs."]
# What a gateway steers by and a drain waits for: an idle engine that has generated something.
METRICS = """\
vllm:num_requests_running{engine="0"} 0.0
vllm:num_requests_waiting{engine="0"} 0.0
vllm:kv_cache_usage_perc{engine="0"} 0.0
vllm:generation_tokens_total{engine="0"} 4.0
"""


class Engine(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model = ""

    def do_GET(self) -> None:
        if self.path == "/health":
            return self.answer(200, None)
        if self.path == "/metrics":
            return self.send(200, "text/plain; version=1.0.0; charset=utf-8", METRICS.encode())
        if not self.knows_key():
            return self.answer(401, {"error": "Unauthorized"})
        seen = {"gpus": os.environ.get("NVIDIA_VISIBLE_DEVICES"), "replica": socket.gethostname()}
        card = {"id": self.model, "object": "model", "created": 1, "owned_by": "vllm"}
        self.answer(200, {"object": "list", "data": [card], **seen})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.knows_key():
            return self.answer(401, {"error": "Unauthorized"})
        if not body.get("stream"):
            message = {"role": "assistant", "content": "".join(WORDS)}
            choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
            answer = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": self.model}
            return self.answer(200, {**answer, "choices": [choice], "usage": {"completion_tokens": len(WORDS)}})
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        deltas = [{"role": "assistant", "content": ""}, *({"content": word} for word in WORDS), {}]
        for index, delta in enumerate(deltas):
            reason = "stop" if index == len(deltas) - 1 else None
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
            chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": self.model}
            self.wfile.write(f"data: {json.dumps({**chunk, 'choices': [choice]})}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def knows_key(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {os.environ['VLLM_API_KEY']}"

    def answer(self, status: int, body: object) -> None:
        self.send(status, "application/json", b"" if body is None else json.dumps(body).encode())

    def send(self, status: int, content_type: str, payload: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--served-model-name")
    options, _ = parser.parse_known_args()
    Engine.model = options.served_model_name
    ThreadingHTTPServer((options.host, options.port), Engine).serve_forever()
