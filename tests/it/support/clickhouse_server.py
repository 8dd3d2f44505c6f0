"""ClickHouse's HTTP interface for the tests, in front of its own engine (chdb).

It does what the server does with a request: settings from the parameters, credentials from the headers, rows as
they are made, an exception within the rows. `KILL QUERY` ends a query between two blocks.
"""

import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from chdb import session

USER, PASSWORD = "reader", "secret ?#/@%"
REFUSED = "Code: 516. DB::Exception: {}: Authentication failed: password is incorrect, or there is no user with such name. (AUTHENTICATION_FAILED) (version 26.9.1.1 (official build))"
engine = session.Session()
# One query at a time: the engine has one session.
turn = threading.Lock()
killed = []


class Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer(200, "\n".join(killed))

    def do_POST(self):
        parameters = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        sql = self.rfile.read(int(self.headers["content-length"])).decode()
        user = self.headers.get("x-clickhouse-user", "default")
        if (user, self.headers.get("x-clickhouse-key")) != (USER, PASSWORD):
            return self.answer(403, REFUSED.format(user))
        kill = re.match("kill query where query_id = '(.*)'", sql)
        if kill:
            killed.append(kill[1])
            return self.answer(200, "")
        with turn:
            self.query(sql, parameters)

    def query(self, sql, parameters):
        query_id = parameters.pop("query_id", "")
        database = parameters.pop("database", "default")
        settings = ", ".join(f"{name}='{value}'" for name, value in parameters.items())
        try:
            engine.query(f"use `{database}`")
            # Without settings this is a statement of a test.
            if not settings:
                return self.answer(200, engine.query(sql, "CSV").bytes())
            blocks = engine.send_query(f"{sql}\nsettings {settings}", "TabSeparated")
            first = next(iter(blocks), None)
            # Of an empty result, the stream has not even the names of the columns.
            if first is None:
                return self.answer(200, engine.query(f"{sql}\nsettings {settings}").bytes())
        except Exception as error:
            return self.answer(500, exception(error))
        self.begin(200, [("Transfer-Encoding", "chunked")])
        is_later = False
        try:
            while first is not None and query_id not in killed:
                rows = first.bytes()
                # The engine writes the two lines with the columns before each block; the server, once.
                if is_later:
                    rows = rows.split(b"\n", 2)[2]
                is_later = True
                # An empty chunk would end the answer.
                if rows:
                    self.chunk(rows)
                first = next(iter(blocks), None)
        except OSError:
            return
        except Exception as error:
            self.chunk(exception(error).encode())
        finally:
            blocks.close()
        self.chunk(b"")

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def begin(self, status, headers):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()

    def answer(self, status, text):
        data = text if isinstance(text, bytes) else text.encode()
        self.begin(status, [("Content-Length", str(len(data)))])
        self.wfile.write(data)


def exception(error):
    text = str(error)
    return text[text.index("Code: ") :] + " (version 26.9.1.1 (official build))\n"


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Request).serve_forever()
