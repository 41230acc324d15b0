"""A small web server on this computer that sends one file, and misbehaves on demand."""

import re
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Sender(ThreadingHTTPServer):
    """Sends `data` to whoever asks, in the way that its attributes say.

    Attributes
    ----------
    status : int
        Anything but 200 is an error page.
    ranges, length : bool
        Whether it understands "Range", and says how long its answers are.
    cuts : list of int
        One for each of the next answers: how many bytes it sends before it hangs up.
    pause : float
        Seconds between two pieces.
    asked : list
        The "Range" of each request so far, or None.
    """

    daemon_threads = True

    def __init__(self, data):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.data, self.status, self.ranges, self.length = data, 200, True, True
        self.cuts, self.pause, self.asked = [], 0, []

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}/archive.zip"

    def handle_error(self, request, client_address):
        """Stay silent when the other side hangs up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        sender, wanted = self.server, self.headers.get("Range")
        sender.asked.append(wanted)
        self.close_connection = True
        if sender.status != 200:
            return self.send_error(sender.status)
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and sender.ranges else 0
        if start and start >= len(sender.data):
            return self.send_error(416)
        body, cut = sender.data[start:], sender.cuts.pop(0) if sender.cuts else None
        self.send_response(206 if start else 200)
        if start:
            total = len(sender.data)
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        if sender.length:
            self.send_header("Content-Length", str(len(body)))
        else:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        body = body[:cut]
        step = max(1, len(body) // 20 + 1)
        for i in range(0, len(body), step):
            piece = body[i : i + step]
            self.wfile.write(piece if sender.length else b"%x\r\n%s\r\n" % (len(piece), piece))
            time.sleep(sender.pause)
        if not sender.length and cut is None:
            self.wfile.write(b"0\r\n\r\n")


@contextmanager
def serving(data):
    """Serve in a thread until the block ends."""
    with Sender(data) as sender:
        thread = threading.Thread(target=sender.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield sender
        finally:
            sender.shutdown()
            thread.join()
