//! The peer as a process: what an operator, a supervisor and Prometheus see from outside, with the real binary.
//!
//! Each test has directories of its own and lets the kernel choose the ports. Nothing sleeps for a while and hopes: what is waited for
//! is a line on stdout or the end of a process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use tempfile::TempDir;
use z4::process::ready::Ready;

fn z4(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_z4"));
    for (variable, _) in std::env::vars_os().filter(|(v, _)| v.to_string_lossy().starts_with("Z4_")) {
        command.env_remove(variable);
    }
    command.current_dir(directory).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn directory() -> TempDir {
    // Below target/: a temporary directory of the system is often a tmpfs, which has no direct IO.
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory")
}

const PORTS: [&str; 4] = ["--service-port=0", "--peer-port=0", "--metrics-port=0", "--sql-port=0"];

/// A running peer; killed when the test ends.
struct Running {
    child: Child,
    ready: Ready,
}

impl Running {
    fn start(directory: &Path, arguments: &[&str]) -> Running {
        let mut child = z4(directory).args(PORTS).args(arguments).spawn().expect("starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("readable");
        if line.is_empty() {
            let mut log = String::new();
            child.stderr.take().expect("piped").read_to_string(&mut log).expect("readable");
            panic!("the peer ended before it was ready:\n{log}");
        }
        Running { child, ready: serde_json::from_str(&line).expect("one JSON object") }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status().expect("sh");
        assert!(sent.success());
    }

    fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("waited for")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(directory: &Path, arguments: &[&str]) -> Output {
    z4(directory).args(PORTS).args(arguments).output().expect("runs")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Two processes on one log would destroy it: the second must end at once and say who is in its way, and the first must not notice.
#[test]
fn a_second_process_on_the_same_directories_ends_at_once() {
    let dir = directory();
    let mut first = Running::start(dir.path(), &["--dev"]);
    for arguments in [&["--dev"][..], &["--dev", "--peer-data-dir=other"], &["--dev", "--db-data-dir=other"]] {
        let second = run(dir.path(), arguments);
        assert_eq!(second.status.code(), Some(69), "{}", stderr(&second));
        let told = format!("another z4 process (pid {}) holds z4", first.child.id());
        assert!(stderr(&second).contains(&told), "{arguments:?}: {}", stderr(&second));
    }
    assert!(first.child.try_wait().expect("asked").is_none(), "the first one goes on");
    // However a process ends, its locks end with it.
    first.signal("KILL");
    first.wait();
    let mut third = Running::start(dir.path(), &["--dev"]);
    third.signal("TERM");
    assert_eq!(third.wait().code(), Some(0));
}

/// A supervisor stops a peer with SIGTERM, a person with Ctrl-C: both must end with 0, and the ports file must not outlive the peer.
#[test]
fn either_signal_stops_gracefully() {
    for signal in ["TERM", "INT"] {
        let dir = directory();
        let mut peer = Running::start(dir.path(), &["--dev"]);
        assert_eq!(Ready::read(&dir.path().join("z4peer")).expect("readable"), peer.ready, "file and line tell the same");
        assert_eq!((peer.ready.peer_id.as_str(), peer.ready.pid), ("dev", peer.child.id()));
        peer.signal(signal);
        assert_eq!(peer.wait().code(), Some(0), "{signal}");
        assert!(!dir.path().join("z4peer/ports.json").exists(), "nobody listens any more");
    }
}

/// As Prometheus asks, on the port that the ready line tells.
#[test]
fn metrics_and_health_are_served() {
    let dir = directory();
    let peer = Running::start(dir.path(), &["--dev", "--log-format=json"]);
    let port = peer.ready.metrics_port.expect("served");
    let get = |path: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connects");
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: z4\r\nConnection: close\r\n\r\n").as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        answer
    };
    assert!(get("/metrics").contains(concat!("version=\"", env!("CARGO_PKG_VERSION"), "\"} 1")));
    assert!(get("/healthz").starts_with("HTTP/1.1 200"));
}

/// Wrong configurations end with 64 and name what is wrong; a start never half happens.
#[test]
fn wrong_configurations_end_with_their_status() {
    let dir = directory();
    for (arguments, told) in [
        (&["--nonsense"][..], "--nonsense"),
        (&["--shards=1000"], "--shards is \"1000\"; it takes 0 to 256"),
        (&["--config=missing.toml"], "missing.toml cannot be read"),
    ] {
        let output = run(dir.path(), arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(told), "{arguments:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty(), "stdout is for the ready line alone");
    }
    let output = z4(dir.path()).env("Z4_SHRADS", "1").output().expect("runs");
    assert_eq!(output.status.code(), Some(64));
    assert!(stderr(&output).contains("Z4_SHRADS is unknown, Z4_SHARDS is known"), "{}", stderr(&output));
}

/// A taken port is not the configuration's fault: another status, and the option is named.
#[test]
fn a_taken_port_is_named() {
    let dir = directory();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let output = run(dir.path(), &["--dev", "--metrics-port", &port]);
    assert_eq!(output.status.code(), Some(69), "{}", stderr(&output));
    assert!(stderr(&output).contains(&format!("metrics_port {port} on 127.0.0.1")), "{}", stderr(&output));
}

#[test]
fn help_and_version_are_no_errors() {
    let dir = directory();
    for flag in ["--help", "--version", "--print-config"] {
        let output = run(dir.path(), &[flag]);
        assert_eq!(output.status.code(), Some(0), "{flag}");
        assert!(!output.stdout.is_empty() && output.stderr.is_empty(), "{flag}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).expect("dir").count(), 0, "asking leaves no directories behind");
}
