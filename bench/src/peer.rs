//! A peer as a process of its own: started on ports that the kernel chooses, stopped by signal.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::clock::Origin;
use crate::error::{Error, Result};

/// How long a peer may take until it serves.
const START_SECONDS: u64 = 120;
/// How long a graceful stop may take.
const STOP_SECONDS: u64 = 60;
/// How often the process and its files are looked at.
const POLL: Duration = Duration::from_millis(2);

/// Where and how a peer is run; it can be started many times on the same directories.
#[derive(Clone, Debug)]
pub struct PeerHome {
    binary: PathBuf,
    directory: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

/// A running peer. Dropping it kills the process.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    /// `127.0.0.1:PORT` of its gRPC service.
    pub address: String,
    /// From the start of the process until it said that it serves.
    pub started_in: Duration,
    home: PeerHome,
}

impl PeerHome {
    /// A peer run from `binary` that keeps its data and its output below `directory`.
    pub fn new(binary: &Path, directory: &Path, arguments: &[String]) -> Result<Self> {
        if !binary.is_file() {
            return Err(Error::Input(format!(
                "{} is no file: build the peer with `cargo build --release --bin z4`",
                binary.display()
            )));
        }
        fs::create_dir_all(directory).map_err(Error::io(format!("cannot create {}", directory.display())))?;
        Ok(Self {
            binary: binary.to_owned(),
            directory: directory.to_owned(),
            arguments: arguments.to_vec(),
            environment: Vec::new(),
        })
    }

    /// Sets a variable of the process's environment, over the ones that every peer gets.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Where the peer's output goes.
    pub fn log(&self) -> PathBuf {
        self.directory.join("z4.log")
    }

    fn peer_directory(&self) -> PathBuf {
        self.directory.join("peer")
    }

    /// Starts the process and waits until it serves.
    pub async fn start(&self) -> Result<Peer> {
        let clock = Origin::start();
        // A peer from the start, so that the process ends with this future wherever that is dropped.
        let mut peer = Peer { child: self.spawn()?, address: String::new(), started_in: Duration::ZERO, home: self.clone() };
        loop {
            if let Some(port) = self.service_port(peer.pid()) {
                peer.address = format!("127.0.0.1:{port}");
                peer.started_in = clock.elapsed();
                return Ok(peer);
            }
            if let Some(status) = peer.child.try_wait().map_err(Error::io("cannot wait for the peer"))? {
                return Err(self.ended(status));
            }
            if clock.elapsed() > Duration::from_secs(START_SECONDS) {
                let what = format!("the peer wrote no ports.json; its output is in {}", self.log().display());
                return Err(Error::Stalled { what, seconds: START_SECONDS });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn spawn(&self) -> Result<Child> {
        let log = self.log();
        let open = || -> std::io::Result<(File, File)> {
            let file = OpenOptions::new().create(true).append(true).open(&log)?;
            Ok((file.try_clone()?, file))
        };
        let (out, err) = open().map_err(Error::io(format!("cannot open {}", log.display())))?;
        let mut command = Command::new(&self.binary);
        for port in ["Z4_SERVICE_PORT", "Z4_PEER_PORT", "Z4_METRICS_PORT", "Z4_SQL_PORT"] {
            command.env(port, "0");
        }
        command
            .arg("--dev")
            .args(&self.arguments)
            .env("Z4_DB_DATA_DIR", self.directory.join("data"))
            .env("Z4_PEER_DATA_DIR", self.peer_directory())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err);
        command.spawn().map_err(Error::io(format!("cannot start {}", self.binary.display())))
    }

    /// From ports.json, unless a process before this one left it behind.
    fn service_port(&self, pid: u32) -> Option<u16> {
        let text = fs::read(self.peer_directory().join("ports.json")).ok()?;
        let ports: serde_json::Value = serde_json::from_slice(&text).ok()?;
        if ports.get("pid").and_then(serde_json::Value::as_u64).is_some_and(|writer| writer != u64::from(pid)) {
            return None;
        }
        ports.get("service")?.as_u64()?.try_into().ok()
    }

    fn ended(&self, status: ExitStatus) -> Error {
        let log = self.log();
        let text = fs::read(&log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(15)..].join("\n");
        Error::PeerEnded { status, log, tail }
    }
}

impl Peer {
    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name, without `SIG`.
    pub fn signal(&self, name: &str) -> Result<()> {
        // The shell's kill is everywhere, and sending a signal otherwise takes unsafe code or one more dependency.
        let sent = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", self.pid())).status();
        sent.map(|_| ()).map_err(Error::io(format!("cannot send SIG{name}")))
    }

    /// SIGTERM, and waits for the process to end; a status other than 0 is an error.
    pub async fn stop(mut self) -> Result<Duration> {
        let clock = Origin::start();
        self.signal("TERM")?;
        while clock.elapsed() < Duration::from_secs(STOP_SECONDS) {
            match self.child.try_wait().map_err(Error::io("cannot wait for the peer"))? {
                Some(status) if status.success() => return Ok(clock.elapsed()),
                Some(status) => return Err(self.home.ended(status)),
                None => tokio::time::sleep(POLL).await,
            }
        }
        Err(Error::Stalled { what: "the peer did not stop on SIGTERM".into(), seconds: STOP_SECONDS })
    }

    /// SIGKILL: the process ends in the middle of whatever it does.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill().map_err(Error::io("cannot kill the peer"))?;
        self.child.wait().map_err(Error::io("cannot wait for the peer"))?;
        Ok(())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Already ended and waited for, or a run failed: no process may outlive the run that started it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    //! A peer that cannot start must be reported with what it said, at once, and not after two minutes; a ports.json of an earlier
    //! process must not be taken for the new one's. Shell scripts stand in for the peer.
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn home(directory: &Path, script: &str) -> PeerHome {
        let binary = directory.join("peer.sh");
        fs::write(&binary, format!("#!/bin/sh\n{script}\n")).expect("a script");
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).expect("permissions");
        PeerHome::new(&binary, &directory.join("home"), &[]).expect("a home")
    }

    #[tokio::test]
    async fn a_peer_that_ends_early_is_reported_with_its_output() {
        let directory = tempfile::tempdir().expect("a directory");
        let error = home(directory.path(), "echo no space left >&2; exit 7").start().await.expect_err("it ended");
        let text = error.to_string();
        assert!(text.contains("no space left") && text.contains('7'), "{text}");
    }

    #[tokio::test]
    async fn ports_of_an_earlier_process_are_not_believed() {
        let directory = tempfile::tempdir().expect("a directory");
        let script = r#"mkdir -p $Z4_PEER_DATA_DIR
[ -e $Z4_PEER_DATA_DIR/ports.json ] || { echo "{\"pid\":$$,\"service\":1111}" > $Z4_PEER_DATA_DIR/ports.json; exec sleep 60; }
trap 'exit 0' TERM
sleep 0.1
echo "{\"pid\":$$,\"service\":2222}" > $Z4_PEER_DATA_DIR/new; mv $Z4_PEER_DATA_DIR/new $Z4_PEER_DATA_DIR/ports.json
while :; do sleep 0.01; done"#;
        let home = home(directory.path(), script);
        let first = home.start().await.expect("the first process");
        assert_eq!(first.address, "127.0.0.1:1111");
        first.kill().expect("killed");
        let second = home.start().await.expect("the second process");
        assert_eq!(second.address, "127.0.0.1:2222");
        second.stop().await.expect("it ends on SIGTERM");
    }
}
