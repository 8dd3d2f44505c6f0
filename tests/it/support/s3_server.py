"""An S3-compatible server for the tests: moto, one request at a time.

moto looks whether an object is there and writes it afterwards; two requests at once could both win.

Who signs nothing speaks the XML API of Google Cloud Storage, which is that of S3 but for the condition of
a write, which has another header.
"""

import sys
import threading
from urllib.parse import quote, unquote

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

application = DomainDispatcherApplication(create_backend_app)
turn = threading.Lock()
# moto checks no signature, but treats requests without one as the public's.
SIGNED = (
    "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
)


def from_google(environ):
    environ["HTTP_AUTHORIZATION"] = SIGNED
    # Its client escapes every letter that is neither letter nor digit; moto reads the line as it came.
    for line in ("RAW_URI", "REQUEST_URI"):
        path, mark, query = environ[line].partition("?")
        environ[line] = quote(unquote(path)) + mark + query
    generation = environ.pop("HTTP_X_GOOG_IF_GENERATION_MATCH", None)
    if generation is not None:
        # Generation 0 is "nothing is there"; Larder asks for no other.
        assert generation == "0", generation
        environ["HTTP_IF_NONE_MATCH"] = "*"


def serve(environ, start_response):
    if not environ.get("HTTP_AUTHORIZATION", "").startswith("AWS4"):
        from_google(environ)
    with turn:
        return list(application(environ, start_response))


run_simple("127.0.0.1", int(sys.argv[1]), serve, threaded=True)
