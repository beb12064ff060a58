"""z4's SQL beside MariaDB's: the same rows, the same queries, warm, in one run."""

import argparse
import itertools
import json
import pathlib
import statistics
import subprocess
import tempfile
import threading
import time

import pymysql.cursors

from servers import MariaDB, Z4, memory

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
NUMBERS = itertools.count(1_000)
TURNS = 20


def stamp(ms):
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(ms // 1000)) + f".{ms % 1000:03}"


def queries(namespaces, from_ms, tasks):
    """Name, SQL, how often it is asked."""
    until = stamp(from_ms + 365 * DAY_MS)
    year = f"deliver_at >= '{stamp(from_ms)}' AND deliver_at < '{until}'"
    noon = from_ms + 100 * DAY_MS + 12 * HOUR_MS
    hour = f"deliver_at >= '{stamp(noon)}' AND deliver_at < '{stamp(noon + HOUR_MS)}'"
    all_of_them = ", ".join(f"'tenant-{n:04}'" for n in range(namespaces))
    one, some = "namespace = 'tenant-0042'", f"namespace IN ({all_of_them})"
    user = "JSON_EXTRACT(metadata, '$.user_id') = 'user000042@example.com'"
    mail = "JSON_EXTRACT(metadata, '$.channel') = 'mail'"
    few = max(3, min(9, 20_000_000 // tasks))
    return [
        ("one namespace, one hour, JSON filter", f"SELECT * FROM tasks WHERE {one} AND {hour} AND {user}", 400),
        ("the same, a new text each time", f"SELECT * FROM tasks WHERE {one} AND {hour} AND {user} AND attempts < {{n}}", 400),
        ("one namespace, one day, all columns", f"SELECT namespace, state, deliver_at, metadata, payload FROM tasks WHERE {one} AND "
         f"deliver_at >= '{stamp(noon)}' AND deliver_at < '{stamp(noon + DAY_MS)}' ORDER BY deliver_at", 200),
        ("one namespace, a year: count by state", f"SELECT state, COUNT(*) FROM tasks WHERE {one} AND {year} GROUP BY state", 100),
        ("one namespace, a year: JSON filter", f"SELECT COUNT(*) FROM tasks WHERE {one} AND {year} AND {mail}", 50),
        ("one namespace: the last ten", f"SELECT deliver_at FROM tasks WHERE {one} AND {year} ORDER BY deliver_at DESC LIMIT 10", 200),
        ("all namespaces, one hour: count", f"SELECT COUNT(*) FROM tasks WHERE {some} AND {hour}", 400),
        ("all namespaces, a year: count by state", f"SELECT state, COUNT(*) FROM tasks WHERE {some} AND {year} GROUP BY state", few),
        ("all namespaces, a year: count by namespace and state",
         f"SELECT namespace, state, COUNT(*) FROM tasks WHERE {some} AND {year} GROUP BY namespace, state ORDER BY 1, 2", few),
        ("all namespaces, a year: JSON filter", f"SELECT COUNT(*) FROM tasks WHERE {some} AND {year} AND {mail}", few),
    ]


def ask(connection, sql):
    with connection.cursor() as cursor:
        cursor.execute(sql.replace("{n}", str(next(NUMBERS))))
        return cursor.fetchall()


def milliseconds(connection, sql, times):
    """Each of `times` answers: how long it took."""
    took = []
    for _ in range(times):
        start = time.perf_counter()
        ask(connection, sql)
        took.append((time.perf_counter() - start) * 1e3)
    return took


def without_ids(rows, sql):
    return rows if "SELECT *" not in sql else len(rows)


def compare(servers, asked):
    others = servers[1:]
    heads = [f"{server.name} {percentile}" for server in servers for percentile in ("p50", "p90")] + [f"z4 / {other.name}" for other in others]
    print(f"| query | {' | '.join(heads)} |\n|---|{'---|' * len(heads)}")
    for name, sql, times in asked:
        found, figures = [], {server.name: [] for server in servers}
        connections = [server.connect() for server in servers]
        for connection in connections:
            if connection.server_version.startswith("8.0"):
                ask(connection, "SET SESSION max_execution_time = 600000")
            found.append(without_ids(ask(connection, sql), sql))
        for other in found[1:]:
            if other != found[0]:
                print(f"| {name} | different answers: {str(found[0])[:120]} and {str(other)[:120]} |")
        # In turns, so that a slow minute of the machine is shared.
        turn = max(1, times // TURNS)
        for part in range(0, times, turn):
            for server, connection in zip(servers, connections):
                figures[server.name] += milliseconds(connection, sql, min(turn, times - part))
        for connection in connections:
            connection.close()
        p50 = [statistics.median(figures[server.name]) for server in servers]
        p90 = [sorted(figures[server.name])[int(len(figures[server.name]) * 0.9)] for server in servers]
        cells = [f"{figure:.2f} ms" for pair in zip(p50, p90) for figure in pair] + [f"{p50[0] / other:.2f}" for other in p50[1:]]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def stream(servers, namespaces, from_ms):
    """An unlimited SELECT: the first row, all rows, and the memory of the server meanwhile."""
    some = ", ".join(f"'tenant-{n:04}'" for n in range(namespaces))
    sql = (f"SELECT id, namespace, state, deliver_at, created_at, attempts, metadata, payload FROM tasks WHERE namespace IN ({some}) "
           f"AND deliver_at >= '{stamp(from_ms)}' AND deliver_at < '{stamp(from_ms + 365 * DAY_MS)}'")
    print("\n| unlimited SELECT | first row p50 | rows | all rows | memory before | most above it |\n|---|---|---|---|---|---|")
    for server in servers:
        firsts = []
        for _ in range(5):
            with server.connect(cursorclass=pymysql.cursors.SSCursor) as connection:
                cursor = connection.cursor()
                start = time.perf_counter()
                cursor.execute(sql)
                cursor.fetchone()
                firsts.append((time.perf_counter() - start) * 1e3)
                # Else the driver reads the other rows first.
                connection._result = None
                connection._force_close()
        time.sleep(2)
        before, most, done = memory(server.process.pid), [0], threading.Event()

        def watch(pid=server.process.pid, most=most, done=done):
            while not done.wait(0.02):
                most[0] = max(most[0], memory(pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        start, rows = time.perf_counter(), 0
        # A client in C, so that it is not what is waited for.
        limits = ["--init-command=SET SESSION max_execution_time = 600000"] if server.name == "z4" else []
        client = subprocess.Popen(
            ["mariadb", "--no-defaults", "--host=127.0.0.1", f"--port={server.port}", "--user=root", "--quick", "--skip-ssl", "--batch",
             "--skip-column-names", *limits, "z4", "-e", sql], stdout=subprocess.PIPE)
        for block in iter(lambda: client.stdout.read(1 << 20), b""):
            rows += block.count(b"\n")
        took = time.perf_counter() - start
        done.set()
        watcher.join()
        client.wait()
        print(f"| {server.name} | {statistics.median(firsts):.1f} ms | {rows:,} | {took:.1f} s | {before / 2**20:.0f} MiB | "
              f"{(most[0] - before) / 2**20:.0f} MiB |", flush=True)


def beside_load(options, z4, namespaces, from_ms):
    """Creates and deliveries at a fifth of what the peer takes, alone and while every task is counted again and again."""
    some = ", ".join(f"'tenant-{n:04}'" for n in range(namespaces))
    sql = (f"SELECT namespace, COUNT(*), SUM(JSON_EXTRACT(metadata, '$.channel') = 'mail') FROM tasks WHERE namespace IN ({some}) "
           f"AND deliver_at >= '{stamp(from_ms)}' AND deliver_at < '{stamp(from_ms + 365 * DAY_MS)}' GROUP BY namespace")
    print(f"\n| {options.rate:,} creates and deliveries a second | create p50 | create p99 | end to end p50 | end to end p99 | queries |\n"
          "|---|---|---|---|---|---|")
    for beside in ("alone", "one query at a time", "four queries at a time", "alone again"):
        done, answers, threads = threading.Event(), [], []

        def query(done=done, answers=answers):
            with z4.connect() as connection:
                ask(connection, "SET SESSION max_execution_time = 600000")
                while not done.is_set():
                    ask(connection, sql)
                    answers.append(1)

        for _ in range({"one query at a time": 1, "four queries at a time": 4}.get(beside, 0)):
            threads.append(threading.Thread(target=query))
            threads[-1].start()
        run = subprocess.run(
            [options.bin / "z4-bench", "--target", z4.service, "--pid", str(z4.process.pid), "--data", options.keep or ".", "--json",
             "mixed", "--rate", str(options.rate), "--seconds", "20"], capture_output=True, text=True, check=True)
        done.set()
        for thread in threads:
            thread.join()
        latency = json.loads(run.stdout)["latency"]
        figures = [f"{latency[kind][percentile] / 1e3:.2f} ms" for kind in ("create", "end_to_end") for percentile in ("p50_us", "p99_us")]
        print(f"| {beside} | {' | '.join(figures)} | {len(answers)} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--tasks", type=int, default=5_000_000)
    parser.add_argument("--namespaces", type=int, default=1_000)
    parser.add_argument("--data", default=None, help="a temporary directory is made here, and removed")
    parser.add_argument("--keep", type=pathlib.Path, help="this directory instead: it stays, and the next run finds the rows there")
    parser.add_argument("--z4-args", default="")
    parser.add_argument("--rate", type=int, default=20_000, help="tasks a second while queries run")
    parser.add_argument("--beside", type=pathlib.Path, help="the directory of an earlier z4 and z4-bench, which are asked in turns with these")
    parser.add_argument("--exchanged", action="store_true",
                        help="the earlier build reads the rows that this one wrote, and the other way round: a difference that goes with the rows "
                        "is one of their files, and not of the builds")
    parser.add_argument("--only", default="", help="queries whose names hold this")
    options = parser.parse_args()
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
        measure(options, options.keep)
    else:
        with tempfile.TemporaryDirectory(prefix="z4-bench-sql-", dir=options.data) as directory:
            measure(options, pathlib.Path(directory))


def measure(options, directory):
    from_ms = (int(time.time() * 1000) // DAY_MS + 2) * DAY_MS
    loaded = directory / "loaded"
    is_loaded = loaded.exists()
    if is_loaded:
        from_ms = int(loaded.read_text())
    tsv = directory / "rows.tsv"
    own, others = directory, directory / "earlier"
    if options.exchanged:
        own, others = others, own
    own.mkdir(exist_ok=True)
    servers = [Z4(options.bin / "z4", own, options.z4_args.split())]
    try:
        servers.append(MariaDB(directory))
        if options.beside:
            others.mkdir(exist_ok=True)
            servers.append(Z4(options.beside / "z4", others, name="earlier"))
        if not is_loaded:
            load(options, servers, from_ms, tsv)
            loaded.write_text(str(from_ms))
        asked = [query for query in queries(options.namespaces, from_ms, options.tasks) if options.only in query[0]]
        compare(servers, asked)
        if not options.only:
            stream(servers, options.namespaces, from_ms)
            while len(servers) > 1:
                servers.pop().close()
            beside_load(options, servers[0], options.namespaces, from_ms)
    finally:
        for server in servers:
            server.close()


def load(options, servers, from_ms, tsv):
    for server in servers:
        if server.name == "MariaDB":
            continue
        binary = (options.beside if server.name == "earlier" else options.bin) / "z4-bench"
        subprocess.run([binary, "--target", server.service, "--pid", str(server.process.pid), "--data", tsv.parent, "rows", "--tasks",
                        str(options.tasks), "--namespaces", str(options.namespaces), "--from", str(from_ms), "--tsv", tsv], check=True)
    start = time.monotonic()
    servers[1].load(tsv)
    print(f"MariaDB loaded the rows in {time.monotonic() - start:.0f} s\n", flush=True)
    tsv.unlink()


if __name__ == "__main__":
    main()
