"""Python's drivers, each as its documentation shows it. Arguments: client, port. Prints what programs_test.py expects."""

import asyncio
import datetime
import decimal
import re
import sys
import warnings

NAMESPACE = "welcome_emails"
TASKS = ("SELECT payload, last_retry FROM tasks WHERE namespace = {0} AND deliver_at >= {0} AND deliver_at < {0} ORDER BY deliver_at",
         (NAMESPACE, datetime.date(2000, 1, 1), datetime.datetime(2100, 1, 1)))
VALUES = [
    ("int", "{0}", -42),
    ("unsigned", "{0}", 2**64 - 1),
    ("double", "{0}", 1.5),
    ("decimal", "CAST({0} AS DECIMAL(10,2))", decimal.Decimal("2.50")),
    ("text", "{0}", "ünï"),
    ("bytes", "{0}", b"\xff\x00"),
    ("date", "CAST({0} AS DATE)", datetime.date(2024, 1, 2)),
    ("datetime", "CAST({0} AS DATETIME(3))", datetime.datetime(2024, 1, 2, 3, 4, 5, 678000)),
    ("null", "{0}", None),
]


def shown(value):
    """A value as every program prints it."""
    if value is None:
        return "NULL"
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ", "milliseconds")
    return str(value)


def walk(connect, several, marker="%s", prepared=lambda c: c.cursor(), look="*", unsigned=2**64 - 1):
    """DB-API: every driver but for what it has beyond it."""
    with_defaults = connect()
    cursor = with_defaults.cursor()

    def ask(sql, values=None, of=cursor):
        of.execute(sql, *([values] if values else []))
        return of.fetchall()

    print("connect", ask("SELECT DATABASE()")[0][0])
    print("tables", *(name for (name,) in ask("SHOW TABLES")))
    ask(f"SELECT {look} FROM tasks LIMIT 1")
    print("columns", *(column[0] for column in cursor.description))
    binary = prepared(with_defaults)
    rows = ask(TASKS[0].format(marker), TASKS[1], binary)
    print("query", len(rows), *map(shown, rows[0]))
    for name, expression, value in VALUES:
        kept = prepared(with_defaults)
        value = unsigned if name == "unsigned" else value
        (found,), = ask(f"SELECT {expression.format(marker)}", (value,), kept)
        if name == "text" and isinstance(found, (bytes, bytearray)):
            found = bytes(found).decode()
        print(name, shown(found))
        kept.close()
    cursor.execute("BEGIN")
    three = ask("SELECT 3")[0][0]
    with_defaults.commit()
    print("transaction", three)
    try:
        ask("SELECT * FROM tasks")
    except Exception as error:
        print("error", getattr(error, "errno", None) or code(error.args))
    killed = connect()
    other = killed.cursor()
    (number,), = ask("SELECT CONNECTION_ID()", of=other)
    cursor.execute(f"KILL {number}")
    try:
        ask("SELECT 1", of=other)
        print("a killed connection answers")
    except Exception:
        again = connect()
        print("reconnect", ask("SELECT 4", of=again.cursor())[0][0])
    print("multi", *several(connect))


def code(args):
    """The first of an exception's arguments is a number, or a text that tells it in parentheses."""
    return args[0] if isinstance(args[0], int) else re.search(r"\((\d{4})\)", args[1])[1]


def squeezed(connect):
    connection = connect()
    (text,), = fetched(connection.cursor(), "SELECT REPEAT('abc', 100000)")
    print("compressed", len(text))


def fetched(cursor, sql):
    cursor.execute(sql)
    return cursor.fetchall()


def by_nextset(cursor):
    yield cursor.fetchone()[0]
    while cursor.nextset():
        yield cursor.fetchone()[0]


def pymysql(port):
    import pymysql
    from pymysql.constants import CLIENT

    def connect(**options):
        return pymysql.connect(host="127.0.0.1", port=port, user="root", database="z4", **options)

    def several(connect):
        connection = connect(client_flag=CLIENT.MULTI_STATEMENTS)
        cursor = connection.cursor()
        cursor.execute("SELECT 5; SELECT 6")
        yield from by_nextset(cursor)

    walk(connect, several)


def mysqlclient(port):
    import MySQLdb

    def connect(**options):
        return MySQLdb.connect(host="127.0.0.1", port=port, user="root", db="z4", **options)

    def several(connect):
        connection = connect()
        cursor = connection.cursor()
        cursor.execute("SELECT 5; SELECT 6")
        yield from by_nextset(cursor)

    walk(connect, several)
    squeezed(lambda: connect(compress=True))


def connector(port, pure):
    import mysql.connector
    from mysql.connector.pooling import MySQLConnectionPool
    options = {"host": "127.0.0.1", "port": port, "user": "root", "database": "z4", "use_pure": pure}

    def connect():
        return mysql.connector.connect(**options)

    def several(connect):
        connection = connect()
        cursor = connection.cursor()
        cursor.execute("SELECT 5; SELECT 6")
        yield from by_nextset(cursor)

    # The extension in C takes no int from 2^63 on as a parameter, whatever the server.
    walk(connect, several, prepared=lambda connection: connection.cursor(prepared=True), unsigned=2**64 - 1 if pure else str(2**64 - 1))
    squeezed(lambda: mysql.connector.connect(**options, compress=True))
    pool = MySQLConnectionPool(pool_size=2, **options)
    for _ in range(5):
        with pool.get_connection() as connection:
            last = fetched(connection.cursor(), "SELECT 7")
    print("pool", last[0][0])


def odbc(port):
    import glob
    import pyodbc
    pyodbc.native_uuid = False
    driver, = glob.glob("/usr/lib/*/odbc/libmaodbc.so")
    text = f"DRIVER={driver};SERVER=127.0.0.1;PORT={port};USER=root;DATABASE=z4"

    def several(_):
        connection = pyodbc.connect(text + ";OPTION=67108864")
        cursor = connection.cursor()
        cursor.execute("SELECT 5; SELECT 6")
        yield from by_nextset(cursor)

    def connect():
        return pyodbc.connect(text)

    # The driver does not know the type JSON, nor pyodbc an int from 2^63 on.
    walk(connect, several, marker="?", look="namespace, CAST(metadata AS CHAR) metadata", unsigned=str(2**64 - 1))
    squeezed(lambda: pyodbc.connect(text + ";COMPRESSED_PROTO=1"))
    cursor = connect().cursor()
    print("tables", *(row.table_name for row in cursor.tables(catalog="z4")))
    print("columns", *(row.column_name for row in cursor.columns(table="tasks", catalog="z4")))
    print("keys", *(row.column_name for row in cursor.primaryKeys(table="tasks", catalog="z4")))


async def asynchronous(module, port):
    options = {"host": "127.0.0.1", "port": port, "user": "root", "db": "z4"}
    connection = await module.connect(**options)
    cursor = await in_order(connection.cursor())

    async def ask(sql, values=None, of=None):
        await (of or cursor).execute(sql, values)
        return await (of or cursor).fetchall()

    print("connect", (await ask("SELECT DATABASE()"))[0][0])
    print("tables", *(name for (name,) in await ask("SHOW TABLES")))
    await ask("SELECT * FROM tasks LIMIT 1")
    print("columns", *(column[0] for column in cursor.description))
    rows = await ask(TASKS[0].format("%s"), TASKS[1])
    print("query", len(rows), *map(shown, rows[0]))
    for name, expression, value in VALUES:
        (found,), = await ask(f"SELECT {expression.format('%s')}", (value,))
        print(name, shown(found))
    await connection.begin()
    three = (await ask("SELECT 3"))[0][0]
    await connection.commit()
    print("transaction", three)
    try:
        await ask("SELECT * FROM tasks")
    except Exception as error:
        print("error", error.args[0])
    killed = await module.connect(**options)
    other = await in_order(killed.cursor())
    (number,), = await ask("SELECT CONNECTION_ID()", of=other)
    await cursor.execute(f"KILL {number}")
    try:
        await ask("SELECT 1", of=other)
        print("a killed connection answers")
    except Exception:
        await killed.ping(reconnect=True)
        print("reconnect", (await ask("SELECT 4", of=await in_order(killed.cursor())))[0][0])
    connection.close()
    killed.close()


async def in_order(cursor):
    """One module gives cursors at once, the other when they are awaited."""
    return await cursor if hasattr(cursor, "__await__") else cursor


def main():
    warnings.simplefilter("ignore")
    client, port = sys.argv[1], int(sys.argv[2])
    match client:
        case "PyMySQL":
            pymysql(port)
        case "mysqlclient":
            mysqlclient(port)
        case "Connector/Python":
            connector(port, True)
        case "Connector/Python in C":
            connector(port, False)
        case "pyodbc":
            odbc(port)
        case "aiomysql" | "asyncmy":
            asyncio.run(asynchronous(__import__(client), port))
        case _:
            sys.exit(f"there is no client {client!r}")


if __name__ == "__main__":
    main()
