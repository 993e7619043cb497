"""An HTTP server over a few files in memory, with the faults that servers have."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Files:
    """What the server has, how it behaves, and what it was asked.

    Attributes
    ----------
    content
        The files, by path ("/a.png").
    ranges
        Whether it answers requests for a part of a file.
    cut_after
        Close the connection after so many bytes of each answer's body; None means never.
    shift
        Answer a range as if it were asked for so many bytes later.
    url
        Address of its root.
    asked
        Path and Range header of every request.
    """

    content: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    cut_after: int | None = None
    shift: int = 0
    url: str = ""
    asked: list[tuple[str, str | None]] = field(default_factory=list)


@contextmanager
def serving(files: Files) -> Iterator[Files]:
    """Serve the files on a free port of this machine."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            files.asked.append((self.path, asked))
            body = files.content.get(self.path)
            if body is None:
                self.send_error(404, "Not Found")
                return
            start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and files.ranges else None
            if start is not None and start >= len(body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(body)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(200 if start is None else 206)
            first = 0 if start is None else start + files.shift
            if start is not None:
                self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
            self.send_header("Content-Length", str(len(body) - first))
            self.end_headers()
            end = None if files.cut_after is None else first + files.cut_after
            self.wfile.write(body[first:end])

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    files.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield files
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
