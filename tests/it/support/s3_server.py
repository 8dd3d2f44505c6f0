"""An S3-compatible server for the tests: moto, one request at a time.

moto checks whether an object exists and then writes it, so that two concurrent requests could both succeed.

Unsigned requests use the XML API of Google Cloud Storage. It equals that of S3, except for the header with
the condition of a write.
"""

import sys
import threading
from urllib.parse import quote, unquote

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

application = DomainDispatcherApplication(create_backend_app)
turn = threading.Lock()
# moto checks no signature, but treats unsigned requests as anonymous.
SIGNED = (
    "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
)


def from_google(environ):
    environ["HTTP_AUTHORIZATION"] = SIGNED
    # Google's client escapes every character but letters and digits; moto reads the path as it was sent.
    for line in ("RAW_URI", "REQUEST_URI"):
        path, mark, query = environ[line].partition("?")
        environ[line] = quote(unquote(path)) + mark + query
    generation = environ.pop("HTTP_X_GOOG_IF_GENERATION_MATCH", None)
    if generation is not None:
        # Generation 0 means that the object does not exist. Larder uses no other.
        assert generation == "0", generation
        environ["HTTP_IF_NONE_MATCH"] = "*"


def serve(environ, start_response):
    if not environ.get("HTTP_AUTHORIZATION", "").startswith("AWS4"):
        from_google(environ)
    with turn:
        return list(application(environ, start_response))


run_simple("127.0.0.1", int(sys.argv[1]), serve, threaded=True)
