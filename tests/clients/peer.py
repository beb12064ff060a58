"""A real z4 process in a temporary directory, with ports from the kernel."""

import json
import os
import pathlib
import subprocess
import tempfile
import time

START_SECONDS_MAX = 60


class Peer:
    """Starts a peer and waits until it has written down its ports; kills it when closed."""

    def __init__(self, binary, **options):
        self._directory = tempfile.TemporaryDirectory(prefix="z4-clients-")
        root = pathlib.Path(self._directory.name)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("Z4_")}
        environment |= {
            "Z4_DB_DATA_DIR": str(root / "db"),
            "Z4_PEER_DATA_DIR": str(root / "peer"),
            "Z4_SERVICE_PORT": "0",
            "Z4_PEER_PORT": "0",
            "Z4_METRICS_PORT": "0",
            "Z4_SQL_PORT": "0",
            "Z4_PEER_ID": "peer-1",
            "Z4_BOOTSTRAP_CLUSTER": "true",
            "Z4_BIND_ADDRESS": "127.0.0.1",
            "Z4_SHARDS": "2",
            **options,
        }
        self._log = root / "log"
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen([binary], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            ports = self._ports(root / "peer" / "ports.json")
            self.address, self.sql = f"127.0.0.1:{ports['service']}", ports["sql"]
        except BaseException:
            self.close()
            raise

    def _ports(self, path):
        give_up = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < give_up:
            if self._process.poll() is not None:
                raise RuntimeError(f"z4 ended with {self._process.returncode}:\n{self._log.read_text()}")
            if path.exists():
                return json.loads(path.read_text())
            time.sleep(0.02)
        raise RuntimeError(f"z4 was not ready in {START_SECONDS_MAX} s:\n{self._log.read_text()}")

    def close(self):
        self._process.kill()
        self._process.wait()
        self._directory.cleanup()
