"""A WebDAV service in memory, as small as the clients in `clients` let it be. Only requests with a token reach it."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FOLDER = None
# Folders by their path without a slash at the end, files with their content.
held = {"": FOLDER}


class Service(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b"", **fields):
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def read(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while length := int(self.rfile.readline(), 16):
            body += self.rfile.read(length)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def handle_any(self):
        body, path = self.read(), self.path.rstrip("/")
        if not self.headers.get("Authorization", "").startswith("Bearer ey"):
            return self.answer(500)
        getattr(self, self.command.lower())(path, body)

    do_OPTIONS = do_PROPFIND = do_MKCOL = do_PUT = do_GET = do_HEAD = do_LOCK = do_UNLOCK = handle_any

    def options(self, path, body):
        self.answer(200, DAV="1,2", Allow="OPTIONS, PROPFIND, MKCOL, PUT, GET, HEAD, LOCK, UNLOCK")

    def propfind(self, path, body):
        if path not in held:
            return self.answer(404)
        depth = self.headers.get("Depth", "0")
        found = [path] + [p for p in held if depth != "0" and p != path and p.rpartition("/")[0] == path]
        entries = "".join(map(self.entry, found))
        text = f'<?xml version="1.0" encoding="utf-8"?><D:multistatus xmlns:D="DAV:">{entries}</D:multistatus>'
        self.answer(207, text.encode(), Content_Type="application/xml")

    @staticmethod
    def entry(path):
        is_folder = held[path] is FOLDER
        kind = "<D:collection/>" if is_folder else ""
        length = 0 if is_folder else len(held[path])
        return (
            f"<D:response><D:href>{path}{'/' if is_folder else ''}</D:href><D:propstat><D:prop>"
            f"<D:resourcetype>{kind}</D:resourcetype><D:getcontentlength>{length}</D:getcontentlength>"
            "</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
        )

    def mkcol(self, path, body):
        status = 405 if path in held else 201
        held.setdefault(path, FOLDER)
        self.answer(status)

    def put(self, path, body):
        held[path] = body
        self.answer(201)

    def get(self, path, body):
        content = held.get(path)
        self.answer(404) if content is None else self.answer(200, content)

    head = get

    def lock(self, path, body):
        token = "<D:locktoken><D:href>opaquelocktoken:1</D:href></D:locktoken>"
        active = f"<D:activelock><D:locktype><D:write/></D:locktype>{token}</D:activelock>"
        text = f'<D:prop xmlns:D="DAV:"><D:lockdiscovery>{active}</D:lockdiscovery></D:prop>'
        is_lock = b"lockinfo" in body
        self.answer(200 if is_lock else 400, text.encode(), Lock_Token="<opaquelocktoken:1>")

    def unlock(self, path, body):
        self.answer(204 if self.headers.get("Lock-Token") else 400)

    def log_message(self, *arguments):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
