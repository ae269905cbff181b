"""Verifies a delivery of events with Python alone, as a receiver does that wants no library.

Environment: SECRET, WEBHOOK_ID, WEBHOOK_TIMESTAMP, WEBHOOK_SIGNATURE, BODY. Prints the body; fails if anything is wrong.
"""

import base64
import hmac
import json
import os
import sys
import time

key = base64.b64decode(os.environ["SECRET"].removeprefix("whsec_"))
timestamp = os.environ["WEBHOOK_TIMESTAMP"]
signed = f"{os.environ['WEBHOOK_ID']}.{timestamp}.{os.environ['BODY']}".encode()
expected = "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
if abs(time.time() - int(timestamp)) > 300:
    sys.exit("too old or too new")
if not any(hmac.compare_digest(expected, given) for given in os.environ["WEBHOOK_SIGNATURE"].split()):
    sys.exit("not signed with this secret")
print(json.dumps(json.loads(os.environ["BODY"])))
