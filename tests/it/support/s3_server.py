"""An S3-compatible server for the tests: moto, one request at a time.

moto looks whether an object is there and writes it afterwards; two requests at once could both win.
"""

import sys
import threading

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

application = DomainDispatcherApplication(create_backend_app)
turn = threading.Lock()


def serve(environ, start_response):
    with turn:
        return list(application(environ, start_response))


run_simple("127.0.0.1", int(sys.argv[1]), serve, threaded=True)
