"""The two databases of the comparison, each in a directory of its own, with ports from the kernel."""

import json
import os
import pathlib
import socket
import subprocess
import time

import pymysql

START_SECONDS_MAX = 120


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def memory(pid, key="VmRSS:"):
    """Bytes of a process, from /proc."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    return 0


class Server:
    """A process that is ended with the comparison."""

    name = ""
    process = None
    port = 0

    def connect(self, **options):
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user="root", database="z4", charset="utf8mb4", autocommit=True,
            init_command="SET NAMES utf8mb4 COLLATE utf8mb4_bin, time_zone = '+00:00'", **options)

    def close(self):
        if self.process:
            self.process.terminate()
            self.process.wait()


class Z4(Server):
    def __init__(self, binary, directory, arguments=(), name="z4"):
        self.name = name
        environment = {name: value for name, value in os.environ.items() if not name.startswith("Z4_")}
        environment |= {
            "Z4_DB_DATA_DIR": str(directory / "z4-db"), "Z4_PEER_DATA_DIR": str(directory / "z4-peer"),
            "Z4_SERVICE_PORT": "0", "Z4_PEER_PORT": "0", "Z4_METRICS_PORT": "0", "Z4_SQL_PORT": "0",
            "Z4_BOOTSTRAP_CLUSTER": "true", "Z4_BIND_ADDRESS": "127.0.0.1",
        }
        self.log = directory / "z4.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([binary, *arguments], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        ports = directory / "z4-peer" / "ports.json"
        give_up = time.monotonic() + START_SECONDS_MAX
        while not ports.exists():
            if self.process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"z4 did not start:\n{self.log.read_text()}")
            time.sleep(0.02)
        ports = json.loads(ports.read_text())
        self.port, self.service = ports["sql"], f"127.0.0.1:{ports['service']}"


class MariaDB(Server):
    name = "MariaDB"

    def __init__(self, directory, buffer_pool="6G"):
        data = directory / "mariadb"
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
        if not data.exists():
            subprocess.run(["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--user=root",
                            "--auth-root-authentication-method=normal", "--skip-test-db"], check=True, **quiet)
        self.port, self.log = free_port(), directory / "mariadb.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                ["mariadbd", "--no-defaults", f"--datadir={data}", "--user=root", f"--port={self.port}", "--bind-address=127.0.0.1",
                 f"--socket={directory / 'mariadb.sock'}", f"--innodb-buffer-pool-size={buffer_pool}", "--innodb-log-file-size=1G",
                 "--innodb-flush-log-at-trx-commit=2", "--secure-file-priv=", "--max-allowed-packet=64M"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        give_up = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                with pymysql.connect(host="127.0.0.1", port=self.port, user="root") as connection:
                    connection.cursor().execute("CREATE DATABASE IF NOT EXISTS z4 CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
                return
            except pymysql.err.OperationalError:
                if self.process.poll() is not None or time.monotonic() > give_up:
                    raise RuntimeError(f"MariaDB did not start:\n{self.log.read_text()}") from None
                time.sleep(0.1)

    def load(self, tsv):
        """The rows of the file, in a table like z4's, with the index that its queries want."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute("""
                CREATE TABLE tasks (
                    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, namespace VARCHAR(255) NOT NULL, state VARCHAR(16) NOT NULL,
                    deliver_at DATETIME(3) NOT NULL, created_at DATETIME(3) NOT NULL, last_retry DATETIME(3), attempts INT UNSIGNED NOT NULL,
                    metadata JSON NOT NULL, payload LONGBLOB NOT NULL, last_error TEXT
                ) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin""")
            cursor.execute("SET unique_checks = 0, foreign_key_checks = 0, sql_log_bin = 0")
            cursor.execute(f"""
                LOAD DATA INFILE '{tsv}' INTO TABLE tasks CHARACTER SET utf8mb4 FIELDS TERMINATED BY '\\t' ESCAPED BY ''
                (namespace, state, @due, metadata, @payload)
                SET deliver_at = FROM_UNIXTIME(@due DIV 1000) + INTERVAL (@due % 1000) * 1000 MICROSECOND, created_at = NOW(3), attempts = 0, payload = UNHEX(@payload)""")
            cursor.execute("ALTER TABLE tasks ADD INDEX due (namespace, deliver_at)")
            cursor.execute("ANALYZE TABLE tasks")
