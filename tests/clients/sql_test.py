"""z4's SQL with clients that are not ours, and beside MariaDB.

The rows are made over gRPC, read back over gRPC, and put into a MariaDB table of the same form: whatever both are asked, they must
answer alike. MariaDB is Debian's mariadb-server; without it those tests are skipped, and say so.
"""

import datetime
import decimal
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import unittest

import grpc
import pymysql
from google.protobuf import timestamp_pb2
from pymysql.constants import FIELD_TYPE

import z4_pb2 as z4
import z4_pb2_grpc
from peer import Peer
from sql_corner_queries import NOTHING, REFUSED, filled
from sql_queries import Queries

SEED = int(os.environ.get("Z4_TEST_SEED") or 20240607)
RANDOM_QUERIES = 400
TIMEOUT = 60
NAMESPACES = ["mail-a", "mail-b", "sms", "Ümlaut", "x"]


def fill(channel):
    """Tasks in every state but leased, in NAMESPACES; returns them as (namespace, task) as gRPC tells."""
    tasks = z4_pb2_grpc.CollectionStub(channel)
    now = int(time.time())
    for n, namespace in enumerate(NAMESPACES):
        settings = z4.NamespaceSettings(max_attempts=1 + n, backoff_first_ms=86_400_000)
        tasks.UpdateNamespace(z4.UpdateNamespaceRequest(namespace=namespace, settings=settings), timeout=TIMEOUT)
    for n in range(240):
        metadata = {"user_id": f"user{n % 7}@example.com", "channel": ("mail", "sms", "push")[n % 3]}
        if n % 4 == 0:
            metadata["n"] = str(n % 17)
        if n % 10 == 0:
            metadata["text"] = 'quote " back\\slash ünï\n'
        # A quarter is due at once, without a time: a past one is not what SQL has. The others over two years, some at the same time.
        ahead = n // 2 * 2 * 262_800 if n % 4 else 0
        due = timestamp_pb2.Timestamp(seconds=now + ahead, nanos=n % 5 * 200_000_000) if ahead else None
        tasks.CreateTask(z4.CreateTaskRequest(
            namespace=NAMESPACES[n % len(NAMESPACES)], metadata=metadata, payload=bytes((n * 7 + i) % 256 for i in range(n % 40)),
            deliver_at=due), timeout=TIMEOUT)
    # Some of each fail once: dead where one attempt is all they have, tomorrow again elsewhere.
    deliveries = []
    for namespace in NAMESPACES:
        request = z4.LeaseTasksRequest(namespaces=[namespace], max_tasks=6, wait_ms=2_000)
        deliveries += tasks.LeaseTasks(request, timeout=TIMEOUT).deliveries
    for delivery in deliveries:
        nack = z4.Nack(namespace=delivery.task.namespace, task_id=delivery.task.id, token=delivery.token, reason="no answer")
        tasks.NackTasks(z4.NackTasksRequest(nacks=[nack]), timeout=TIMEOUT)
    found = []
    for namespace in NAMESPACES:
        token = ""
        while True:
            page = tasks.ListTasks(z4.ListTasksRequest(namespace=namespace, page_size=100, page_token=token), timeout=TIMEOUT)
            found += page.tasks
            token = page.next_page_token
            if not token:
                break
    states = {task.state for task in found}
    assert states == {z4.TASK_STATE_SCHEDULED, z4.TASK_STATE_READY, z4.TASK_STATE_DEAD}, states
    return found


def moment(stamp):
    """A protobuf time as MySQL writes it."""
    at = datetime.datetime.fromtimestamp(stamp.seconds, datetime.UTC).replace(tzinfo=None)
    return at.replace(microsecond=stamp.nanos // 1000)


STATES = {z4.TASK_STATE_SCHEDULED: "scheduled", z4.TASK_STATE_READY: "ready", z4.TASK_STATE_LEASED: "leased", z4.TASK_STATE_DEAD: "dead"}


def row(task):
    """The values of a task, in the order of z4's columns."""
    return (task.id, task.namespace, STATES[task.state], moment(task.deliver_at), moment(task.created_at),
            moment(task.last_retry) if task.HasField("last_retry") else None, task.attempts, json_object(task.metadata), task.payload,
            len(task.payload), task.last_error or None)


def json_object(metadata):
    return json.dumps(dict(sorted(metadata.items())), ensure_ascii=False)


class MariaDB:
    """A MariaDB of its own in a temporary directory, with a copy of z4's tables."""

    def __init__(self):
        self._directory = tempfile.TemporaryDirectory(prefix="z4-mariadb-")
        root = pathlib.Path(self._directory.name)
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
        subprocess.run(["mariadb-install-db", "--no-defaults", f"--datadir={root / 'data'}", "--auth-root-authentication-method=normal",
                        "--skip-test-db", *self._user()], check=True, **quiet)
        self._socket, self._log = root / "socket", root / "log"
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                ["mariadbd", "--no-defaults", f"--datadir={root / 'data'}", f"--socket={self._socket}", "--skip-networking", *self._user(),
                 "--default-time-zone=+00:00", "--group-concat-max-len=1000000"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self._wait()
        except BaseException:
            self.close()
            raise

    @staticmethod
    def _user():
        return ["--user=root"] if os.getuid() == 0 else []

    def _wait(self):
        give_up = time.monotonic() + TIMEOUT
        while True:
            try:
                with self.connect(database=None) as connection:
                    connection.cursor().execute("CREATE DATABASE z4 CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
                return
            except pymysql.err.OperationalError:
                if self._process.poll() is not None or time.monotonic() > give_up:
                    raise RuntimeError(f"MariaDB did not start:\n{self._log.read_text()}") from None
                time.sleep(0.1)

    def connect(self, database="z4"):
        return pymysql.connect(unix_socket=str(self._socket), user="root", database=database, charset="utf8mb4", autocommit=True,
                               init_command=SESSION)

    @property
    def socket(self):
        return self._socket

    def take(self, dump):
        """Loads a file of statements into a database z4 that was empty."""
        with self.connect(None) as connection, connection.cursor() as cursor:
            cursor.execute("DROP DATABASE IF EXISTS z4")
            cursor.execute("CREATE DATABASE z4 CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        with open(dump, "rb") as statements:
            done = subprocess.run(["mariadb", "--no-defaults", f"--socket={self._socket}", "--user=root", "z4"], stdin=statements,
                                  capture_output=True, text=True, timeout=TIMEOUT, check=False)
        if done.returncode:
            raise RuntimeError(f"MariaDB does not load it: {done.stderr}")

    def load(self, tasks, database="z4", moments="DATETIME(3)"):
        with self.connect(None) as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE IF NOT EXISTS {database} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
            connection.select_db(database)
            cursor.execute(f"""CREATE TABLE tasks (
                id CHAR(26) PRIMARY KEY, namespace VARCHAR(255), state VARCHAR(16), deliver_at {moments} NULL, created_at {moments} NULL,
                last_retry {moments} NULL, attempts BIGINT UNSIGNED, metadata JSON, payload LONGBLOB, payload_bytes BIGINT UNSIGNED,
                last_error TEXT) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin""")
            cursor.execute("CREATE TABLE namespaces (name VARCHAR(255) PRIMARY KEY, max_attempts BIGINT UNSIGNED) COLLATE utf8mb4_bin")
            cursor.executemany("INSERT INTO tasks VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)", [row(task) for task in tasks])
            cursor.executemany("INSERT INTO namespaces VALUES (%s, %s)", [(name, 1 + n) for n, name in enumerate(NAMESPACES)])

    def close(self):
        self._process.terminate()
        self._process.wait()
        self._directory.cleanup()


# Subtractions of unsigned columns below zero are errors in MySQL's default mode; z4's integers are signed.
SESSION = "SET NAMES utf8mb4 COLLATE utf8mb4_bin, time_zone = '+00:00', sql_mode = 'NO_UNSIGNED_SUBTRACTION'"


# Types that drivers make the same value of.
KINDS = [
    {FIELD_TYPE.TINY, FIELD_TYPE.SHORT, FIELD_TYPE.INT24, FIELD_TYPE.LONG, FIELD_TYPE.LONGLONG},
    {FIELD_TYPE.VAR_STRING, FIELD_TYPE.STRING, FIELD_TYPE.VARCHAR, FIELD_TYPE.BLOB, FIELD_TYPE.MEDIUM_BLOB, FIELD_TYPE.LONG_BLOB,
     FIELD_TYPE.JSON},
]


def same_kind(ours, theirs):
    return ours == theirs or any(ours in kinds and theirs in kinds for kinds in KINDS)


def same(ours, theirs):
    """The same value, whichever of its types a driver makes of it."""
    if isinstance(ours, (int, float, decimal.Decimal)) and isinstance(theirs, (int, float, decimal.Decimal)):
        return abs(float(ours) - float(theirs)) <= 1e-9 * max(1.0, abs(float(theirs)))
    if isinstance(ours, bytes) or isinstance(theirs, bytes):
        raw = [value if isinstance(value, bytes) else str(value).encode() for value in (ours, theirs) if value is not None]
        return len(raw) == 2 and raw[0] == raw[1]
    if {type(ours), type(theirs)} == {datetime.date, str}:
        return str(ours) == str(theirs)
    return ours == theirs


class BesideMariaDB(unittest.TestCase):
    """The same questions to both."""

    @classmethod
    def setUpClass(cls):
        if not shutil.which("mariadbd"):
            raise unittest.SkipTest("mariadbd is missing: apt-get install mariadb-server")
        cls.peer = Peer(os.environ["Z4_CLIENTS_BIN"])
        cls.addClassCleanup(cls.peer.close)
        with grpc.insecure_channel(cls.peer.address) as channel:
            tasks = fill(channel)
        cls.mariadb = MariaDB()
        cls.addClassCleanup(cls.mariadb.close)
        cls.mariadb.load(tasks)
        # What z4 tells of a moment depends on the session's time zone, as it does of MariaDB's TIMESTAMP and not of its DATETIME.
        cls.mariadb.load(tasks, "zoned", "TIMESTAMP(3)")
        cls.theirs = cls.mariadb.connect()
        cls.ours = pymysql.connect(host="127.0.0.1", port=cls.peer.sql, user="root", database="z4", charset="utf8mb4", init_command=SESSION)
        cls.addClassCleanup(cls.theirs.close)
        cls.addClassCleanup(cls.ours.close)
        dues = sorted({moment(task.deliver_at) for task in tasks})
        span = [str(due) for due in (dues[0] - datetime.timedelta(days=1), *dues[::20], dues[-1] + datetime.timedelta(days=1))]
        cls.queries, cls.corners = Queries(SEED, NAMESPACES, span), filled(span, NAMESPACES)

    def answer(self, connection, sql):
        with connection.cursor() as cursor:
            try:
                cursor.execute(sql)
                return cursor.fetchall()
            except pymysql.err.MySQLError as error:
                return error

    def difference(self, sql):
        """What differs, in a sentence; None: nothing."""
        ours, theirs = self.answer(self.ours, sql), self.answer(self.theirs, sql)
        if isinstance(theirs, Exception):
            self.fail(f"MariaDB does not take it: {sql}\n{theirs}")
        if isinstance(ours, Exception):
            return f"{sql}\n    z4: {ours}"
        if len(ours) != len(theirs):
            return f"{sql}\n    {len(ours)} rows instead of {len(theirs)}"
        for mine, other in zip(ours, theirs):
            if not all(map(same, mine, other)):
                return f"{sql}\n    z4:      {mine}\n    MariaDB: {other}"
        return None

    def all_alike(self, queries):
        asked = list(queries)
        found = [difference for difference in map(self.difference, asked) if difference]
        if found:
            self.fail(f"{len(found)} of {len(asked)} answers differ (Z4_TEST_SEED={SEED}):\n" + "\n".join(found))

    def test_every_expression(self):
        self.all_alike(self.queries.scalars())

    def test_corners(self):
        self.all_alike(self.corners)

    def test_types_of_corners(self):
        for sql in self.corners:
            kinds = []
            for connection in (self.ours, self.theirs):
                with connection.cursor() as cursor:
                    cursor.execute(sql)
                    kinds.append([column[1] for column in cursor.description])
            self.assertTrue(all(map(same_kind, *kinds)), f"{sql}: {kinds}")

    def test_queries_without_rows_need_no_bounds(self):
        self.all_alike(NOTHING)

    def test_constants_do_not_weaken_the_rule(self):
        for sql in REFUSED:
            answer = self.answer(self.ours, sql)
            self.assertTrue(isinstance(answer, pymysql.err.MySQLError) and answer.args[0] == 1175, f"{sql}: {answer}")

    def test_another_time_zone(self):
        self.theirs.select_db("zoned")
        for connection in (self.ours, self.theirs):
            connection.cursor().execute("SET time_zone = '+05:30'")
        try:
            # As a number a moment has 17 digits, and z4 counts with 15.
            self.all_alike(sql for sql in [*self.corners, *self.queries.scalars()] if "deliver_at + 0 AS" not in sql)
        finally:
            for connection in (self.ours, self.theirs):
                connection.cursor().execute("SET time_zone = '+00:00'")
            self.theirs.select_db("z4")

    def test_random_queries(self):
        self.all_alike(self.queries.one() for _ in range(RANDOM_QUERIES))


if __name__ == "__main__":
    unittest.main()
