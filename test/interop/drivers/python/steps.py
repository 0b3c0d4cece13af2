"""What both Python clients share: where to connect, the run through the steps, and how a value is shown."""

import json
import os
import sys

# The name that the gateway must prove, and where it is.
ADDRESS = os.environ.get("DB_ADDRESS")
PLACE = {
    "host": os.environ["DB_HOST"],
    "port": int(os.environ["DB_PORT"]),
    "user": os.environ["DB_USER"],
    "password": os.environ.get("DB_PASSWORD"),
}
DATABASE = os.environ["DB_NAME"]
TLS = "DB_CERTIFICATE" in os.environ
WANTED = os.environ["STEPS"].split(",")


def emit(line):
    print(json.dumps(line), flush=True)


def passed(step, result):
    emit({"step": step, "ok": True, "result": [show(one) for one in result]})


def failed(step, error):
    emit({"step": step, "ok": False, "error": repr(error)})
    sys.exit(1)


def announce_cancel():
    """Says that a statement is on its way which has to be cancelled; a line of input says that the target runs it."""
    emit({"step": "cancel", "waiting": True})


def show(value):
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (bytes, memoryview)):
        return bytes(value).hex()
    if isinstance(value, (dict, list)):
        return json.dumps(value)
    return str(value)


def show_rows(rows):
    return ["|".join(show(cell) for cell in row) for row in rows]
