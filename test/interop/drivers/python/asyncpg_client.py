"""asyncpg."""

import asyncio
import os
import socket
import ssl
import sys

import asyncpg

from steps import ADDRESS, DATABASE, PLACE, TLS, WANTED, announce_cancel, failed, passed, show_rows


# The driver can't be told a name and an address: the name is resolved here instead of by the machine.
resolve = socket.getaddrinfo
socket.getaddrinfo = lambda host, *more, **named: resolve(ADDRESS if ADDRESS and host == PLACE["host"] else host, *more, **named)


def tls():
    if not TLS:
        return False
    context = ssl.create_default_context(cafile=os.environ["DB_ROOTS"])
    context.load_cert_chain(os.environ["DB_CERTIFICATE"], os.environ["DB_KEY"])
    return context


async def connect():
    direct = TLS and os.environ["DB_NEGOTIATION"] == "direct"
    return await asyncpg.connect(**PLACE, database=DATABASE, ssl=tls(), direct_tls=direct)


async def failure(work):
    try:
        await work
    except asyncpg.PostgresError as error:
        return error.sqlstate
    raise ValueError("it did not fail")


async def types(conn):
    return show_rows(await conn.fetch("select * from kinds order by id"))


async def types_own(conn):
    return show_rows(await conn.fetch("select * from homes order by id"))


async def simple(conn):
    # Its simple queries show no rows, only the last command tag.
    return [await conn.execute("select 0; select id, name from items order by id")]


async def parameters(conn):
    text = "select $1::int4 + 1, $2::text || '!', $3::bool, $4::text"
    return show_rows(await conn.fetch(text, 41, "ünï", True, None))


async def three_items(conn):
    statement = await conn.prepare("select name from items where id = $1")
    return [await statement.fetchval(number) for number in (1, 2, 3)]


async def prepared(conn):
    found = await three_items(conn)
    # A pool cleans its connection up before the next one gets it.
    async with asyncpg.create_pool(connect=lambda *_, **__: connect(), min_size=1, max_size=1) as pool:
        for _ in range(2):
            async with pool.acquire() as each:
                again = await three_items(each)
    return found + again


async def transaction(conn):
    async with conn.transaction():
        await conn.execute("insert into items values (100, 'gear', 1)")

        async def twice():
            async with conn.transaction():
                await conn.execute("insert into items values ($1, 'twice', 1)", 1)

        code = await failure(twice())
        await conn.execute("insert into items values ($1, 'hinge', 1)", 101)
    count = await conn.fetchval("select count(*) from items where id >= 100")
    await conn.execute("delete from items where id >= 100")
    return [code, count]


async def copy_in(conn):
    async def lines():
        for number in range(1, 10001):
            yield f"{number}\tnote {number}\n".encode()

    await conn.copy_to_table("loads", source=lines(), columns=("id", "note"))
    binary = ((number, f"note {number}") for number in range(10001, 10101))
    await conn.copy_records_to_table("loads", records=binary, columns=("id", "note"))
    await conn.execute("delete from loads where id > 10000")
    found = show_rows(await conn.fetch("select count(*), sum(id) from loads"))
    await conn.execute("delete from loads")

    async def bad():
        yield b"nothing\tof a number\n"

    return [*found, await failure(conn.copy_to_table("loads", source=bad(), columns=("id", "note")))]


async def copy_out(conn):
    received = []

    async def keep(chunk):
        received.append(len(chunk))

    await conn.copy_from_query("select n, 'note ' || n from generate_series(1, 10000) n", output=keep)
    return [sum(received)]


async def cancel(conn):
    sleeping = asyncio.create_task(conn.fetch("select pg_sleep(60)"))
    announce_cancel()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    sleeping.cancel()
    try:
        await sleeping
        raise ValueError("it was not cancelled")
    except asyncio.CancelledError:
        code = "57014"  # The driver waits for the target's error and tells of it in this way.
    return [code, await conn.fetchval("select 1")]


async def listen(conn):
    heard = asyncio.get_running_loop().create_future()
    listener = lambda _conn, _pid, channel, payload: heard.set_result(f"{channel}:{payload}")
    await conn.add_listener("news", listener)
    other = await connect()
    await other.execute("notify news, 'fresh'")
    await other.close()
    found = await asyncio.wait_for(heard, 20)
    await conn.remove_listener("news", listener)
    return [found]


async def million(conn):
    count = total = 0
    async with conn.transaction():
        async for n, _ in conn.cursor("select n, md5(n::text) from generate_series(1, 1000000) n", prefetch=5000):
            count += 1
            total += n
    return [count, total]


async def denied(conn):
    return [
        await failure(conn.execute("select * from private")),
        await failure(conn.fetch("select * from private where id = $1", 1)),
        await conn.fetchval("select $1::int", 1),
    ]


async def connected(conn):
    return [await conn.fetchval("select current_database()")]


STEPS = {
    "connect": connected,
    "simple": simple,
    "parameters": parameters,
    "types-binary": types,
    "types-own": types_own,
    "prepared": prepared,
    "transaction": transaction,
    "copy-in": copy_in,
    "copy-out": copy_out,
    "cancel": cancel,
    "listen": listen,
    "million": million,
    "denied": denied,
}


async def main():
    conn = await connect()
    for step in WANTED:
        try:
            passed(step, await STEPS[step](conn))
        except Exception as error:  # Whatever went wrong is the answer of this step.
            failed(step, error)
    await conn.close()


asyncio.run(main())
