"""Asks a server for a Look and its SQL by Looker's own client: URL, client id, client secret, Look."""

import os
import sys

url, client_id, client_secret, look = sys.argv[1:]
os.environ.update(
    LOOKERSDK_BASE_URL=url,
    LOOKERSDK_CLIENT_ID=client_id,
    LOOKERSDK_CLIENT_SECRET=client_secret,
    LOOKERSDK_VERIFY_SSL="false",
)

import looker_sdk  # noqa: E402

sdk = looker_sdk.init40()
print(sdk.look(look, fields="id,title,deleted,query_id,query").title)
sys.stdout.write(sdk.run_look(look, "sql", limit=-1, force_production=True))
sdk.logout()
