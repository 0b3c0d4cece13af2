"""psycopg 3 with the libpq that its package brings."""

import os
import sys
import threading

import psycopg
from psycopg.types.composite import CompositeInfo, register_composite
from psycopg.types.enum import EnumInfo, register_enum

from steps import ADDRESS, DATABASE, PLACE, TLS, WANTED, announce_cancel, failed, passed, show_rows


def connect():
    options = {**PLACE, "dbname": DATABASE, "autocommit": True}
    if TLS:
        options["hostaddr"] = ADDRESS
        options |= {
            "sslmode": "verify-full",
            "sslnegotiation": os.environ["DB_NEGOTIATION"],
            "sslcert": os.environ["DB_CERTIFICATE"],
            "sslkey": os.environ["DB_KEY"],
            "sslrootcert": os.environ["DB_ROOTS"],
        }
    # libpq 18 asks for protocol 3.0 unless it is told to; servers from 18 on speak 3.2.
    options["max_protocol_version"] = "latest"
    return psycopg.connect(**{name: value for name, value in options.items() if value is not None})


conn = connect()


def rows(text, values=None, **how):
    return show_rows(conn.execute(text, values, **how).fetchall())


def failure(work):
    try:
        work()
    except psycopg.Error as error:
        return error.sqlstate or "aborted"
    raise ValueError("it did not fail")


def simple():
    # Two statements in one text only go by the simple protocol.
    cursor = psycopg.ClientCursor(conn)
    cursor.execute("select 0; select id, name from items order by id")
    cursor.nextset()
    return show_rows(cursor.fetchall())


def parameters():
    return rows("select %s::int4 + 1, %s::text || '!', %s::bool, %s::text", (41, "ünï", True, None))


def types_own():
    register_enum(EnumInfo.fetch(conn, "mood"), conn)
    register_composite(CompositeInfo.fetch(conn, "place"), conn)
    return rows("select * from homes order by id", binary=True)


def prepared():
    found = []
    for each in (conn, connect()):
        for number in (1, 2, 3):
            item = each.execute("select name from items where id = %s", (number,), prepare=True)
            found += show_rows(item.fetchall())
        if each is not conn:
            each.close()
    return found


def pipeline():
    found = []
    other = connect()
    with other.pipeline() as line:
        # Slow enough that all is sent before the error of the second comes: else the third would raise it.
        first = other.execute("select %s::int from pg_sleep(0.3)", (1,))
        bad = other.execute("insert into items values (%s, 'twice', 0)", (1,))
        last = other.execute("select %s::int", (2,))
        found.append(failure(line.sync))
        found += show_rows(first.fetchall())
        found.append(failure(last.fetchall))
        found += show_rows(other.execute("select %s::int", (3,)).fetchall())
    other.close()
    return found


def transaction():
    with conn.transaction():
        conn.execute("insert into items values (100, 'gear', 1)")

        def twice():
            with conn.transaction():
                conn.execute("insert into items values (%s, 'twice', 1)", (1,))

        code = failure(twice)
        conn.execute("insert into items values (%s, 'hinge', 1)", (101,))
    count = rows("select count(*) from items where id >= 100")
    conn.execute("delete from items where id >= 100")
    return [code, *count]


def copy_in():
    with conn.cursor() as cursor:
        with cursor.copy("copy loads (id, note) from stdin") as copy:
            for number in range(1, 10001):
                copy.write_row((number, f"note {number}"))
        found = rows("select count(*), sum(id) from loads")
        conn.execute("delete from loads")

        def bad():
            with cursor.copy("copy loads (id, note) from stdin") as copy:
                copy.write(b"nothing\tof a number\n")

        return [*found, failure(bad)]


def copy_out():
    with conn.cursor().copy("copy (select n, 'note ' || n from generate_series(1, 10000) n) to stdout") as copy:
        return [sum(len(chunk) for chunk in copy)]


def cancel():
    def when_running():
        sys.stdin.readline()
        conn.cancel_safe(timeout=20)

    other = threading.Thread(target=when_running)
    announce_cancel()
    other.start()
    code = failure(lambda: conn.execute("select pg_sleep(60)"))
    other.join()
    return [code, *rows("select 1")]


def listen():
    conn.execute("listen news")
    with connect() as other:
        other.execute("notify news, 'fresh'")
    heard = next(conn.notifies(timeout=20, stop_after=1))
    conn.execute("unlisten news")
    return [f"{heard.channel}:{heard.payload}"]


def million():
    count = total = 0
    with conn.cursor() as cursor:
        for n, _ in cursor.stream("select n, md5(n::text) from generate_series(1, 1000000) n", size=1000):
            count += 1
            total += n
    return [count, total]


def denied():
    return [
        failure(lambda: conn.execute("select * from private")),
        failure(lambda: conn.execute("select * from private where id = %s", (1,))),
        *rows("select %s::int", (1,)),
    ]


STEPS = {
    "connect": lambda: rows("select current_database()"),
    "simple": simple,
    "parameters": parameters,
    "types-text": lambda: rows("select * from kinds order by id", binary=False),
    "types-binary": lambda: rows("select * from kinds order by id", binary=True),
    "types-own": types_own,
    "prepared": prepared,
    "pipeline": pipeline,
    "transaction": transaction,
    "copy-in": copy_in,
    "copy-out": copy_out,
    "cancel": cancel,
    "listen": listen,
    "million": million,
    "denied": denied,
}

for step in WANTED:
    try:
        passed(step, STEPS[step]())
    except Exception as error:  # Whatever went wrong is the answer of this step.
        failed(step, error)
