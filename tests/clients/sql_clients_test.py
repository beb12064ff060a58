"""MySQL clients that people have: mariadb on the command line, PyMySQL, MySQL's own connector, mysql2 for Node, JDBC.

What is missing on the machine is skipped and named.
"""

import datetime
import decimal
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import unittest

import grpc
import mysql.connector
import pymysql
import pymysql.cursors
from google.protobuf import timestamp_pb2

import z4_pb2 as z4
import z4_pb2_grpc
from peer import Peer

TIMEOUT = 120
HERE = pathlib.Path(__file__).parent
NAMESPACE = "welcome_emails"
ALL = f"namespace = '{NAMESPACE}' AND deliver_at BETWEEN '2000-01-01' AND '2100-01-01'"
JDBC = pathlib.Path("/usr/share/java/mariadb-java-client.jar")
TASKS = 50


def fill(address):
    with grpc.insecure_channel(address) as channel:
        tasks = z4_pb2_grpc.CollectionStub(channel)
        for n in range(TASKS):
            due = timestamp_pb2.Timestamp(seconds=int(time.time()) + 3_600 + n, nanos=123_000_000)
            metadata = {"user_id": "newuser@example.com" if n == 7 else f"user{n}@example.com"}
            tasks.CreateTask(z4.CreateTaskRequest(namespace=NAMESPACE, metadata=metadata, payload=b"\x00\xff", deliver_at=due), timeout=60)


def run(*command, **options):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=TIMEOUT,
                          check=False, **options)


def node_modules():
    """Where mysql2 is; installed once, beside the virtual environment."""
    home = pathlib.Path(os.environ.get("Z4_CLIENTS_NODE", tempfile.gettempdir() + "/z4-clients-node"))
    if not (home / "node_modules" / "mysql2").exists():
        home.mkdir(parents=True, exist_ok=True)
        done = run("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(home), "mysql2@3")
        if done.returncode:
            raise unittest.SkipTest(f"npm cannot install mysql2: {done.stderr}")
    return home / "node_modules"


class Anybody(unittest.TestCase):
    """A peer without users: anybody on this machine, no password."""

    @classmethod
    def setUpClass(cls):
        cls.peer = Peer(os.environ["Z4_CLIENTS_BIN"])
        cls.addClassCleanup(cls.peer.close)
        fill(cls.peer.address)

    def mariadb(self, sql, *arguments):
        if not shutil.which("mariadb"):
            self.skipTest("mariadb is missing: apt-get install mariadb-client")
        return run("mariadb", "--no-defaults", "--host=127.0.0.1", f"--port={self.peer.sql}", "--user=root", *arguments, "z4", "-e", sql)

    def connect(self, **options):
        return pymysql.connect(host="127.0.0.1", port=self.peer.sql, user="root", database="z4", charset="utf8mb4", **options)

    def test_command_line(self):
        done = self.mariadb(
            "SHOW DATABASES; SHOW TABLES; SHOW FULL TABLES; DESCRIBE tasks; SHOW CREATE TABLE tasks\\G SHOW COLUMNS FROM namespaces; USE z4; "
            "SHOW VARIABLES LIKE 'version%'; SHOW STATUS; SHOW PROCESSLIST; SHOW WARNINGS; SELECT DATABASE(), USER(), @@version; "
            f"SELECT * FROM tasks WHERE {ALL} AND JSON_EXTRACT(metadata, '$.user_id') = 'newuser@example.com'\\G "
            f"EXPLAIN SELECT * FROM tasks WHERE {ALL}; SELECT * FROM namespaces; SELECT * FROM peers; SELECT * FROM `groups`; \\s")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for word in ["information_schema", "deliver_at", "datetime(3)", "newuser@example.com", "Server version", NAMESPACE]:
            self.assertIn(word, done.stdout)

    def test_command_line_is_told_what_is_missing(self):
        for sql, missing in [("SELECT * FROM tasks", "namespace"), (f"SELECT * FROM tasks WHERE namespace = '{NAMESPACE}'", "deliver_at")]:
            done = self.mariadb(sql)
            self.assertEqual(done.returncode, 1)
            self.assertIn("ERROR 1175", done.stderr)
            self.assertIn(missing, done.stderr)
            self.assertIn("SELECT", done.stderr)

    def test_pymysql(self):
        with self.connect(cursorclass=pymysql.cursors.DictCursor) as connection, connection.cursor() as cursor:
            self.assertEqual(cursor.execute(f"SELECT * FROM tasks WHERE {ALL} ORDER BY deliver_at"), TASKS)
            row = cursor.fetchone()
            self.assertIsInstance(row["deliver_at"], datetime.datetime)
            self.assertEqual(row["deliver_at"].microsecond, 123_000)
            self.assertEqual((row["payload"], row["last_retry"], row["attempts"], row["state"]), (b"\x00\xff", None, 0, "scheduled"))
            cursor.execute("SELECT 1/3 AS d, 1.5 AS e, 7 DIV 2 AS i, AVG(attempts) AS a FROM tasks WHERE namespace IN %s AND deliver_at "
                           "BETWEEN %s AND %s", ([NAMESPACE], datetime.datetime(2000, 1, 1), datetime.datetime(2100, 1, 1)))
            row = cursor.fetchone()
            self.assertEqual(row, {"d": decimal.Decimal("0.3333"), "e": decimal.Decimal("1.5"), "i": 3, "a": decimal.Decimal("0.0000")})
            for sql, code in [("INSERT INTO tasks (id) VALUES (1)", 1290), ("DROP TABLE tasks", 1290), ("SELECT nope()", 1305),
                              ("SELECT * FROM nope", 1146), ("SELECT nope FROM namespaces", 1054), ("SELEC 1", 1064)]:
                with self.assertRaises(pymysql.err.MySQLError) as caught:
                    cursor.execute(sql)
                self.assertEqual(caught.exception.args[0], code, sql)
            self.assertTrue(connection.ping() is None)

    def test_pymysql_streams(self):
        with self.connect(cursorclass=pymysql.cursors.SSCursor) as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT id FROM tasks WHERE {ALL}")
            self.assertEqual(sum(1 for _ in cursor), TASKS)

    def test_mysql_connector(self):
        for pure in (True, False):
            connection = mysql.connector.connect(
                host="127.0.0.1", port=self.peer.sql, user="root", database="z4", ssl_disabled=True, use_pure=pure)
            cursor = connection.cursor(prepared=True)
            sql = "SELECT id, deliver_at, attempts, payload, ?, ?, ? FROM tasks WHERE namespace = ? AND deliver_at >= ? AND deliver_at < ?"
            values = (None, 42, "ünï", NAMESPACE, datetime.datetime(2000, 1, 1), "2100-01-01 00:00:00.5")
            for _ in range(3):
                cursor.execute(sql, values)
                rows = cursor.fetchall()
                self.assertEqual(len(rows), TASKS)
                self.assertIsInstance(rows[0][1], datetime.datetime)
                self.assertEqual((rows[0][2], bytes(rows[0][3]), rows[0][4], int(rows[0][5]), rows[0][6]), (0, b"\x00\xff", None, 42, "ünï"))
            cursor.close()
            cursor = connection.cursor()
            cursor.execute("SHOW TABLES")
            self.assertEqual(sorted(name for (name,) in cursor.fetchall()), ["groups", "namespaces", "peers", "tasks"])
            connection.cmd_reset_connection()
            connection.close()

    def test_node(self):
        if not shutil.which("npm"):
            self.skipTest("npm is missing: apt-get install nodejs npm")
        script = run("node", str(HERE / "node_client.js"), str(self.peer.sql), NAMESPACE, "root", "",
                     env={**os.environ, "NODE_PATH": str(node_modules())})
        self.assertEqual((script.returncode, script.stdout, script.stderr), (0, "node ok\n", ""))

    def test_jdbc(self):
        if not JDBC.exists() or not shutil.which("java"):
            self.skipTest("JDBC is missing: apt-get install libmariadb-java default-jdk-headless")
        script = run("java", "-cp", str(JDBC), str(HERE / "Jdbc.java"), str(self.peer.sql), NAMESPACE)
        self.assertEqual((script.returncode, script.stdout), (0, "jdbc ok\n"), script.stderr)

    def test_a_query_is_killed_and_others_go_on(self):
        with self.connect() as slow, self.connect() as other:
            slow_id = slow.thread_id()
            with other.cursor() as cursor:
                cursor.execute("SHOW PROCESSLIST")
                self.assertIn(slow_id, [row[0] for row in cursor.fetchall()])
                with self.assertRaises(pymysql.err.MySQLError) as caught, slow.cursor() as waiting:
                    waiting.execute("SET SESSION max_execution_time = 200")
                    waiting.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n")
                self.assertEqual(caught.exception.args[0], 3024)
                cursor.execute(f"KILL {slow_id}")
            with self.assertRaises(pymysql.err.MySQLError):
                slow.ping(reconnect=False)


class Users(unittest.TestCase):
    """A peer that knows two users."""

    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory(prefix="z4-users-")
        cls.addClassCleanup(directory.cleanup)
        users = pathlib.Path(directory.name) / "users"
        tool = pathlib.Path(os.environ["Z4_CLIENTS_BIN"]).with_name("z4t")
        lines = [subprocess.run([tool, "sql-user", name], input=f"{password}\n", capture_output=True, text=True, check=True).stdout
                 for name, password in [("ops", "s3cret"), ("grafana", "pässword")]]
        users.write_text("# who may ask\n" + "".join(lines))
        cls.peer = Peer(os.environ["Z4_CLIENTS_BIN"], Z4_SQL_USERS=str(users))
        cls.addClassCleanup(cls.peer.close)
        fill(cls.peer.address)

    def test_native_password(self):
        for user, password in [("ops", "s3cret"), ("grafana", "pässword")]:
            with pymysql.connect(host="127.0.0.1", port=self.peer.sql, user=user, password=password.encode(), database="z4") as connection:
                connection.cursor().execute("SELECT 1")

    def test_wrong_ones_are_refused_alike(self):
        messages = set()
        for user, password in [("ops", "wrong"), ("nobody", "s3cret"), ("root", "")]:
            with self.assertRaises(pymysql.err.OperationalError) as caught:
                pymysql.connect(host="127.0.0.1", port=self.peer.sql, user=user, password=password)
            self.assertEqual(caught.exception.args[0], 1045)
            messages.add(caught.exception.args[1].replace(user, "").replace("YES", "").replace("NO", ""))
        self.assertEqual(len(messages), 1, messages)

    def test_caching_sha2_password(self):
        connection = mysql.connector.connect(host="127.0.0.1", port=self.peer.sql, user="ops", password="s3cret", database="z4",
                                             auth_plugin="caching_sha2_password", ssl_disabled=True, use_pure=True)
        cursor = connection.cursor()
        cursor.execute("SELECT CURRENT_USER()")
        self.assertTrue(cursor.fetchone()[0].startswith("ops@"))
        connection.close()

    def test_node(self):
        if not shutil.which("npm"):
            self.skipTest("npm is missing: apt-get install nodejs npm")
        script = run("node", str(HERE / "node_client.js"), str(self.peer.sql), NAMESPACE, "ops", "s3cret",
                     env={**os.environ, "NODE_PATH": str(node_modules())})
        self.assertEqual((script.returncode, script.stdout, script.stderr), (0, "node ok\n", ""))

    def test_command_line(self):
        if not shutil.which("mariadb"):
            self.skipTest("mariadb is missing: apt-get install mariadb-client")
        done = run("mariadb", "--no-defaults", "--host=127.0.0.1", f"--port={self.peer.sql}", "--user=ops", "--password=s3cret", "z4", "-e",
                   "SELECT COUNT(*) FROM namespaces")
        self.assertEqual((done.returncode, done.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()
