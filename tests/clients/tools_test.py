"""Programs that people administer MySQL with: command lines, dumps that MariaDB loads again, phpMyAdmin's pages.

What is missing on the machine is skipped and named.
"""

import http.cookiejar
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

from peer import Peer
from sql_clients_test import ALL, NAMESPACE, TASKS, fill, run
from sql_test import MariaDB

PHPMYADMIN = pathlib.Path("/usr/share/phpmyadmin")
ROWS = ("SELECT namespace, id, deliver_at, metadata, HEX(payload), state, created_at, last_retry, attempts, payload_bytes, last_error "
        "FROM tasks WHERE {} ORDER BY id")


class Administered(unittest.TestCase):
    """A peer that lets all its tasks be asked for at once."""

    @classmethod
    def setUpClass(cls):
        cls.peer = Peer(os.environ["Z4_CLIENTS_BIN"], Z4_SQL_UNBOUNDED_ROWS_MAX="1000")
        cls.addClassCleanup(cls.peer.close)
        fill(cls.peer.address)
        cls.directory = tempfile.TemporaryDirectory(prefix="z4-tools-")
        cls.addClassCleanup(cls.directory.cleanup)

    def tool(self, name, *arguments, defaults=True):
        if not shutil.which(name):
            self.skipTest(f"{name} is missing")
        before = ["--no-defaults"] if defaults else []
        done = run(name, *before, "--host=127.0.0.1", f"--port={self.peer.sql}", "--user=root", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def loaded(self):
        """A MariaDB into which dumps are loaded."""
        if not shutil.which("mariadbd"):
            self.skipTest("mariadbd is missing: apt-get install mariadb-server")
        mariadb = MariaDB()
        self.addCleanup(mariadb.close)
        return mariadb

    def same_rows(self, mariadb):
        theirs = run("mariadb", "--no-defaults", f"--socket={mariadb.socket}", "--user=root", "z4", "--skip-column-names", "-e", ROWS.format("TRUE"))
        ours = self.tool("mariadb", "z4", "--skip-column-names", "-e", ROWS.format(ALL))
        self.assertEqual((theirs.stdout, theirs.stderr), (ours, ""))
        self.assertEqual(len(ours.splitlines()), TASKS)

    def test_command_lines(self):
        self.assertIn("namespaces", self.tool("mariadb-show", "z4"))
        self.assertIn("datetime(3)", self.tool("mariadb-show", "z4", "tasks"))
        for command, word in [("status", "Uptime"), ("processlist", "show processlist"), ("version", "Server version"), ("ping", "alive"),
                              ("variables", "max_allowed_packet"), ("extended-status", "Uptime")]:
            self.assertIn(word, self.tool("mariadb-admin", command))
        for options in (["--safe-updates"], ["--compress"], ["--safe-updates", "--compress"]):
            self.assertIn(NAMESPACE, self.tool("mariadb", *options, "z4", "-e", "SELECT name FROM namespaces"))

    def test_mycli(self):
        said = self.tool("mycli", "--no-warn", "-e", "SELECT 5; SELECT name FROM namespaces", "z4", defaults=False)
        self.assertEqual(said.split(), ["5", "5", "name", NAMESPACE])

    def test_a_dump_is_loaded_into_mariadb(self):
        mariadb, dump = self.loaded(), pathlib.Path(self.directory.name) / "dump.sql"
        for options in ([], ["--compress", "--hex-blob"], ["--single-transaction", "--skip-extended-insert"]):
            self.tool("mariadb-dump", *options, f"--result-file={dump}", "z4")
            mariadb.take(dump)
            self.same_rows(mariadb)
        self.tool("mariadb-dump", "--no-data", f"--result-file={dump}", "z4")
        mariadb.take(dump)

    def test_a_dump_of_all_databases_holds_no_accounts(self):
        dump = self.tool("mariadb-dump", "--all-databases", "--no-data")
        self.assertEqual(re.findall(r"CREATE TABLE `(\w+)`", dump), ["groups", "namespaces", "peers", "tasks"])

    def test_mydumper_and_myloader(self):
        for name in ("mydumper", "myloader"):
            if not shutil.which(name):
                self.skipTest(f"{name} is missing")
        at = pathlib.Path(self.directory.name) / "mydumper"
        self.tool("mydumper", f"--outputdir={at}", defaults=False)
        self.assertEqual(sorted(path.name for path in at.glob("*.tasks*")), ["z4.tasks-schema.sql", "z4.tasks.sql"])
        # myloader asks a server for the engine that a definition names.
        for schema in at.glob("*-schema.sql"):
            schema.write_text(schema.read_text().replace("ENGINE=z4", "ENGINE=InnoDB"))
        mariadb = self.loaded()
        done = run("myloader", f"--socket={mariadb.socket}", "--user=root", "--overwrite-tables", "--database=z4", f"--directory={at}")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.same_rows(mariadb)


class Pages:
    """phpMyAdmin as PHP's own server serves it, with a configuration of ours, and somebody who is logged in."""

    def __init__(self, root, port):
        site = root / "phpmyadmin"
        site.mkdir()
        (site / "libraries").mkdir()
        for entry in [*PHPMYADMIN.iterdir(), *(PHPMYADMIN / "libraries").iterdir()]:
            at = site / entry.relative_to(PHPMYADMIN)
            if not at.exists():
                at.symlink_to(entry)
        # These know where they are, and so where everything else is.
        for name in ("index.php", "libraries/vendor_config.php"):
            (site / name).unlink()
            text = (PHPMYADMIN / name).read_text()
            text = text.replace("'/etc/phpmyadmin/config.inc.php'", f"'{root}/config.php'").replace("'/var/lib/phpmyadmin/tmp/'", f"'{root}/tmp/'")
            (site / name).write_text(text)
        (root / "tmp").mkdir()
        (root / "config.php").write_text(f"""<?php
            $cfg['blowfish_secret'] = '{"s" * 32}';
            $cfg['Servers'][1] = ['host' => '127.0.0.1', 'port' => '{port}', 'auth_type' => 'cookie', 'AllowNoPassword' => true];
            $cfg['SendErrorReports'] = 'never';
        """)
        self._log = open(root / "log", "w+b")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._address = f"http://127.0.0.1:{free.getsockname()[1]}"
        self._process = subprocess.Popen(["php", "-S", self._address[7:], "-t", site], stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def page(self, path, **fields):
        data = urllib.parse.urlencode(fields).encode() if fields else None
        for attempt in range(100):
            try:
                with self._opener.open(f"{self._address}/{path}", data, timeout=60) as answer:
                    return answer.read().decode()
            except urllib.error.HTTPError as error:
                return f"{error} {error.read().decode()}"
            except urllib.error.URLError:
                if attempt == 99 or self._process.poll() is not None:
                    raise
                time.sleep(0.1)
        return ""

    def close(self):
        self._process.kill()
        self._process.wait()
        self._log.close()


class PhpMyAdmin(unittest.TestCase):
    def test_pages(self):
        if not PHPMYADMIN.exists() or not shutil.which("php"):
            self.skipTest("phpMyAdmin is missing: apt-get install phpmyadmin php-cli php-mysql")
        peer = Peer(os.environ["Z4_CLIENTS_BIN"])
        self.addCleanup(peer.close)
        fill(peer.address)
        directory = tempfile.TemporaryDirectory(prefix="z4-pages-")
        self.addCleanup(directory.cleanup)
        pages = Pages(pathlib.Path(directory.name), peer.sql)
        self.addCleanup(pages.close)
        token = re.search(r'name="token" value="([^"]*)"', pages.page("index.php"))[1]
        home = pages.page("index.php?route=/", pma_username="root", pma_password="", server="1", target="index.php", token=token)
        self.assertIn("Database server", home)
        for path, *words in [
            ("/server/databases", "information_schema"),
            ("/server/status", "has been running"),
            ("/server/status/variables", "Uptime"),
            ("/server/variables", "autocommit"),
            ("/server/engines", "read-only here"),
            ("/server/collations", "utf8mb4_bin"),
            ("/server/privileges&viewing_mode=server", "No Privileges"),
            ("/server/plugins", "Plugins"),
            ("/database/structure&db=z4", "tasks", "namespaces"),
            ("/table/structure&db=z4&table=tasks", "deliver_at", "datetime(3)"),
            ("/table/indexes&db=z4&table=tasks", ""),
            ("/sql&db=z4&table=namespaces&pos=0", NAMESPACE),
            ("/sql&db=z4&table=tasks&pos=0", "user0@example.com"),
            ("/table/search&db=z4&table=tasks", "deliver_at"),
            ("/database/sql&db=z4", "SQL"),
        ]:
            page = pages.page(f"index.php?route={path}")
            with self.subTest(path):
                for word in words:
                    self.assertIn(word, page)
                said = re.findall(r"#\d{4} - [^<]*|Fatal error[^<]*|HTTP Error 5\d\d.{0,500}", page)
                self.assertEqual(said, [])


if __name__ == "__main__":
    unittest.main()
