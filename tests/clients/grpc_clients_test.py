"""gRPC clients of other makes, on the main path: grpc-go, and @grpc/grpc-js for Node. Each sends a frame for each of many small messages.

What is missing on the machine is skipped and named.
"""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from peer import Peer

TIMEOUT = 600
HERE = pathlib.Path(__file__).parent
PROTO = HERE.parent.parent / "proto" / "proto"
# Debian's packages of Go libraries.
GOPATH = pathlib.Path("/usr/share/gocode")
TASKS = 100_000


def run(*command, **options):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=TIMEOUT,
                          check=False, **options)


class OtherClients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.peer = Peer(os.environ["Z4_CLIENTS_BIN"])
        cls.addClassCleanup(cls.peer.close)

    def is_ok(self, word, done):
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn(f"{word} ok", done.stdout)
        print("\n" + done.stdout.strip())

    def test_grpc_go(self):
        tools = ["go", "protoc", "protoc-gen-go", "protoc-gen-go-grpc"]
        missing = [tool for tool in tools if not shutil.which(tool)]
        if missing or not (GOPATH / "src" / "google.golang.org" / "grpc").exists():
            self.skipTest(f"{', '.join(missing) or 'grpc-go'} is missing: apt-get install golang-go golang-google-grpc-dev protobuf-compiler "
                          "protoc-gen-go-1-5 protoc-gen-go-grpc")
        with tempfile.TemporaryDirectory(prefix="z4-go-") as home:
            stubs = pathlib.Path(home) / "src" / "z4pb"
            stubs.mkdir(parents=True)
            made = run("protoc", "-I", str(PROTO), f"--go_out={stubs}", f"--go-grpc_out={stubs}", "--go_opt=Mz4.proto=./;z4pb",
                       "--go-grpc_opt=Mz4.proto=./;z4pb", "z4.proto")
            self.assertEqual(made.returncode, 0, made.stderr)
            environment = os.environ | {"GOPATH": f"{home}:{GOPATH}", "GO111MODULE": "off", "GOFLAGS": "", "GOCACHE": f"{home}/cache"}
            built = run("go", "build", "-o", f"{home}/client", str(HERE / "client.go"), env=environment)
            self.assertEqual(built.returncode, 0, built.stderr)
            self.is_ok("go", run(f"{home}/client", self.peer.address, "go", str(TASKS)))

    def test_grpc_js(self):
        if not shutil.which("npm"):
            self.skipTest("Node is missing: apt-get install nodejs npm")
        modules = node_modules()
        done = run("node", str(HERE / "grpc_client.js"), self.peer.address, "node", str(TASKS), str(PROTO / "z4.proto"),
                   env=os.environ | {"NODE_PATH": str(modules)})
        self.is_ok("node", done)


def node_modules():
    """Where grpc-js is; installed once, beside the virtual environment."""
    home = pathlib.Path(os.environ.get("Z4_CLIENTS_NODE", tempfile.gettempdir() + "/z4-clients-node") + "-grpc")
    if not (home / "node_modules" / "@grpc" / "proto-loader").exists():
        home.mkdir(parents=True, exist_ok=True)
        done = run("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(home), "@grpc/grpc-js@1", "@grpc/proto-loader@0.8")
        if done.returncode:
            raise unittest.SkipTest(f"npm cannot install grpc-js: {done.stderr}")
    return home / "node_modules"
