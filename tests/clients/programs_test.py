"""The MySQL clients that people have, a short program for each language, with their defaults.

A program prints a line a step: connect, metadata, a query, a prepared query with a parameter of each type, a transaction, the number of
an error, a connection that was killed, and what the client has besides. EXPECTED says what the steps print; CLIENTS says who has which,
and where a client, not the peer, makes something else of an answer. What is missing on the machine is skipped and named.
"""

import dataclasses
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

from peer import Peer
from sql_clients_test import HERE, JDBC, fill

PROGRAMS = HERE / "programs"
TIMEOUT = 120
EXPECTED = {
    "connect": "z4",
    "tables": "groups namespaces peers tasks",
    "columns": "namespace id deliver_at metadata payload state created_at last_retry attempts payload_bytes last_error",
    "query": "50 00ff NULL",
    "int": "-42",
    "unsigned": "18446744073709551615",
    "double": "1.5",
    "decimal": "2.50",
    "text": "ünï",
    "bytes": "ff00",
    "date": "2024-01-02",
    "datetime": "2024-01-02 03:04:05.678",
    "null": "NULL",
    "transaction": "3",
    "error": "1175",
    "reconnect": "4",
    "multi": "5 6",
    "compressed": "300000",
}
STEPS = list(EXPECTED)
BASE, MULTI, ALL = STEPS[:-2], STEPS[:-1], STEPS


@dataclasses.dataclass
class Client:
    """`needs`: commands, `python:` and `node:` packages, files. `differs`: steps whose answers the client shows otherwise. `also`: lines
    that only it prints."""

    command: list
    needs: list
    steps: list
    differs: dict = dataclasses.field(default_factory=dict)
    also: list = dataclasses.field(default_factory=list)

    def lines(self):
        return sorted([f"{step} {self.differs.get(step, EXPECTED[step])}" for step in self.steps] + self.also)


def python(module, steps, program="drivers.py", **more):
    return Client([sys.executable, PROGRAMS / program], [f"python:{module}"], steps, **more)


def alchemy(driver):
    return python("sqlalchemy", BASE, "frameworks.py", also=["keys id", "built 50"])


def node(package, steps, **more):
    return Client(["node", PROGRAMS / "node.js"], ["node", f"node:{package}"], steps, **more)


def php(steps, **more):
    return Client(["php", PROGRAMS / "client.php"], ["php", "php:mysqli"], steps, **more)


def perl(module, **more):
    return Client(["perl", PROGRAMS / "client.pl"], ["perl", f"perl:DBD::{module}"], ALL, also=[
        "keys id", f"tables {EXPECTED['tables']}",
        "groups id leader leads term last_log_index applied_index lag stale_ms bytes shard voters learners slots"], **more)


def ruby(steps, gem, **more):
    return Client(["ruby", PROGRAMS / "client.rb"], ["ruby", f"ruby:{gem}"], steps, **more)


def rust(steps):
    return Client(["rust"], ["cargo"], steps)


CLIENTS = {
    "PyMySQL": python("pymysql", MULTI),
    "mysqlclient": python("MySQLdb", ALL),
    "Connector/Python": python("mysql.connector", ALL, also=["pool 7"]),
    "Connector/Python in C": python("mysql.connector", ALL, also=["pool 7"]),
    "aiomysql": python("aiomysql", BASE),
    "asyncmy": python("asyncmy", BASE),
    # It sends whole seconds, and cannot show JSON.
    "pyodbc": python("pyodbc", ALL, differs={"columns": "namespace metadata", "datetime": "2024-01-02 03:04:05.000"},
                     also=["keys id", *(f"{step} {EXPECTED[step]}" for step in ("tables", "columns"))]),
    "SQLAlchemy over pymysql": alchemy("pymysql"),
    "SQLAlchemy over mysqldb": alchemy("MySQLdb"),
    "SQLAlchemy over mysqlconnector": alchemy("mysql.connector"),
    "Django": python("django", BASE, "frameworks.py", also=["built 50 1"]),
    "pandas": python("pandas", ["query", "columns"], "frameworks.py", also=["built 50", "types M i"]),
    "mysql": node("mysql", MULTI),
    "mysql2": node("mysql2", ALL),
    "mariadb": node("mariadb", ALL),
    "knex": node("knex", BASE, also=["built 50", f"columns {EXPECTED['columns']}"]),
    # It writes whole seconds.
    "sequelize": node("sequelize", BASE, differs={"datetime": "2024-01-02 03:04:05.000"},
                      also=["built 50", *(f"{step} {EXPECTED[step]}" for step in ("tables", "columns"))]),
    "typeorm": node("typeorm", BASE, also=["built 50", f"columns {EXPECTED['columns']}"]),
    "mysqli": php(ALL, also=["user z4"]),
    "PDO": php(ALL),
    "PDO on the server": php([step for step in ALL if step != "multi"]),
    "DBD::mysql": perl("mysql"),
    "DBD::MariaDB": perl("MariaDB"),
    "Ruby's mysql2": ruby(ALL, "mysql2"),
    "ActiveRecord": ruby(["connect", "tables", "columns", "query", "transaction", "error", "reconnect"], "active_record", also=["keys id", "built 50"]),
    "go-sql-driver": Client(["go", "run", PROGRAMS / "client.go"], ["go", "/usr/share/gocode/src/github.com/go-sql-driver/mysql"], MULTI, also=["bytes ff00"]),
    "RMySQL": Client(["Rscript", PROGRAMS / "client.R"], ["Rscript", "r:RMySQL"],
                     ["connect", "tables", "columns", "query", "int", "double", "text", "null", "transaction", "error", "reconnect"]),
    "MariaDB Connector/J": Client(["java", "-cp", JDBC, PROGRAMS / "Client.java"], ["java", str(JDBC)], ALL),
    "sqlx": rust(MULTI),
    "mysql_async": rust(ALL),
}


def missing(need):
    """What a need lacks, in words; None: it is there."""
    kind, _, name = need.rpartition(":")
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": False}
    match kind:
        case "python":
            there = importlib.util.find_spec(name.split(".")[0]) is not None
        case "node":
            there = (modules() / name).is_dir()
        case "php":
            there = not subprocess.run(["php", "-r", f"exit((int) !extension_loaded('{name}'));"], **quiet).returncode
        case "ruby":
            there = not subprocess.run(["ruby", "-e", f"require '{name}'"], **quiet).returncode
        case "r":
            there = not subprocess.run(["Rscript", "-e", f"library({name})"], **quiet).returncode
        case "perl" | "perl:DBD:":
            there = not subprocess.run(["perl", f"-MDBD::{name}", "-e", "1"], **quiet).returncode
        case _:
            there = pathlib.Path(name).exists() or shutil.which(name) is not None
    return None if there else f"{need} is missing"


def modules():
    return pathlib.Path(os.environ.get("Z4_CLIENTS_NODE", tempfile.gettempdir() + "/z4-clients-node")) / "programs" / "node_modules"


def build_rust():
    """The program of Rust's clients, built beside the virtual environment."""
    target = os.environ.get("Z4_CLIENTS_RUST", tempfile.gettempdir() + "/z4-clients-rust")
    done = subprocess.run(["cargo", "build", "--quiet", "--locked", "--manifest-path", PROGRAMS / "rust/Cargo.toml", "--target-dir", target],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise unittest.SkipTest(f"cargo cannot build it: {done.stderr[-1000:]}")
    return pathlib.Path(target) / "debug" / "z4-sql-clients"


class Programs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.peer = Peer(os.environ["Z4_CLIENTS_BIN"])
        cls.addClassCleanup(cls.peer.close)
        fill(cls.peer.address)


def test_of(name, client):
    def test(self):
        for lack in filter(None, map(missing, client.needs)):
            self.skipTest(lack)
        command = [build_rust()] if client.command == ["rust"] else client.command
        environment = {**os.environ, "NODE_PATH": str(modules()), "GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "LC_ALL": "C.UTF-8"}
        done = subprocess.run([*command, name.split("::")[-1].split("'s ")[-1], str(self.peer.sql)], env=environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=TIMEOUT, check=False)
        self.assertEqual((sorted(done.stdout.splitlines()), done.returncode), (client.lines(), 0), done.stderr)
    return test


for known, its in CLIENTS.items():
    setattr(Programs, f"test_{known}", test_of(known, its))


if __name__ == "__main__":
    unittest.main()
