//! One z4 process: its directories, its ports, its life and its deaths.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use serde::Deserialize;
use tempfile::TempDir;

use super::client::Client;
use super::wait::{until, until_started};

/// How much of the log is printed when a test fails, bytes.
const LOG_TAIL_BYTES: usize = 8 << 10;

/// The exit status of a peer that could not have a port (or a directory).
const PORT_TAKEN: i32 = 69;

/// The ports that a peer got from the kernel, as it writes them down once it is ready.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Ports {
    service: u16,
    peer: u16,
    metrics: u16,
    sql: u16,
}

/// A peer in temporary directories. It is killed, and its directories are removed, when it is dropped.
pub struct Peer {
    dir: TempDir,
    options: Vec<(String, String)>,
    child: Option<Child>,
    ports: Option<Ports>,
    starts: u32,
    /// The most files that the process may have open; `None`: as many as this one.
    descriptors_max: Option<u32>,
    /// A script from the root of the tree that starts the process; `None`: it is started itself.
    script: Option<&'static str>,
    /// Where the next process writes its log; `None`: to a file.
    stderr: Option<Stdio>,
}

impl Peer {
    /// Starts a small peer and waits until it serves.
    pub async fn start() -> Peer {
        Self::start_with(&[]).await
    }

    /// The same, with more environment variables.
    pub async fn start_with(options: &[(&str, &str)]) -> Peer {
        // Below target/, not in /tmp: that is often a tmpfs, where no direct IO is to be had.
        Self::start_below(env!("CARGO_TARGET_TMPDIR").as_ref(), options).await
    }

    /// The same, with its directories below this one.
    pub async fn start_below(parent: &Path, options: &[(&str, &str)]) -> Peer {
        Self::start_as(parent, None, options).await
    }

    /// A peer whose process may have so many files open, sockets included.
    pub async fn start_with_descriptors(max: u32, options: &[(&str, &str)]) -> Peer {
        Self::start_as(env!("CARGO_TARGET_TMPDIR").as_ref(), Some(max), options).await
    }

    async fn start_as(parent: &Path, descriptors_max: Option<u32>, options: &[(&str, &str)]) -> Peer {
        let mut peer = Self::idle_below(parent, descriptors_max, options);
        peer.restart().await;
        peer
    }

    /// A peer that is not started.
    pub fn idle(options: &[(&str, &str)]) -> Peer {
        Self::idle_below(env!("CARGO_TARGET_TMPDIR").as_ref(), None, options)
    }

    fn idle_below(parent: &Path, descriptors_max: Option<u32>, options: &[(&str, &str)]) -> Peer {
        let dir = tempfile::Builder::new().prefix("peer-").tempdir_in(parent).expect("a temporary directory");
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Peer { dir, options, child: None, ports: None, starts: 0, descriptors_max, script: None, stderr: None }
    }

    /// Has a script from the root of the tree start the process from now on.
    pub fn start_by(&mut self, script: &'static str) {
        self.script = Some(script);
    }

    /// Has the next process write its log there.
    pub fn log_to(&mut self, stderr: Stdio) {
        self.stderr = Some(stderr);
    }

    /// Starts the process on the directories of the one before, and waits until it serves.
    pub async fn restart(&mut self) {
        self.begin();
        self.until_ready().await;
    }

    /// The same without waiting.
    pub fn begin(&mut self) {
        assert!(self.child.is_none(), "the peer runs already");
        // What an earlier process wrote tells nothing about this one.
        let _ = fs::remove_file(self.peer_dir().join("ports.json"));
        self.spawn();
    }

    /// Waits until a peer that was started serves.
    pub async fn until_ready(&mut self) {
        let ports_file = self.peer_dir().join("ports.json");
        let ports: Ports = until_started("the peer writes ports.json", async || {
            match self.exited() {
                // Somebody else has a port that this peer had before: an outgoing connection, most likely.
                Some(status) if self.ports.is_some() && status.code() == Some(PORT_TAKEN) => self.spawn(),
                Some(status) => panic!("the peer ended while it started: {status}"),
                None => {}
            }
            serde_json::from_slice(&fs::read(&ports_file).ok()?).ok()
        })
        .await;
        if self.ports.is_none() {
            // A peer that comes back does so under the addresses that it had.
            for (option, port) in [("Z4_SERVICE_PORT", ports.service), ("Z4_METRICS_PORT", ports.metrics)] {
                self.options.push((option.to_owned(), port.to_string()));
            }
        }
        self.ports = Some(ports);
        // It may have no leader until others are there.
        until_started("the peer answers", async || Client::connect(&self.address()).await?.answers().await.then_some(())).await;
    }

    fn spawn(&mut self) {
        self.starts += 1;
        let mut command = self.command(&self.log_file());
        if let Some(stderr) = self.stderr.take() {
            command.stderr(stderr);
        }
        self.child = Some(command.spawn().expect("the z4 binary runs"));
    }

    /// Runs a process that is expected to end by itself on the same directories, and waits for that.
    pub async fn attempt(&self) -> Attempt {
        self.attempt_with(&[]).await
    }

    /// The same, with its log elsewhere: there may be no room for it here.
    pub async fn attempt_logging_below(&self, parent: &Path) -> Attempt {
        let dir = tempfile::tempdir_in(parent).expect("a temporary directory");
        self.attempt_in(&dir.path().join("attempt.log"), &[]).await
    }

    /// The same, with more environment variables.
    pub async fn attempt_with(&self, options: &[(&str, &str)]) -> Attempt {
        self.attempt_in(&self.dir.path().join("attempt.log"), options).await
    }

    async fn attempt_in(&self, log: &Path, options: &[(&str, &str)]) -> Attempt {
        let mut child = self.command(log).envs(options.iter().copied()).spawn().expect("the z4 binary runs");
        let status = ended(&mut child).await;
        Attempt { status, log: fs::read_to_string(log).unwrap_or_default() }
    }

    /// SIGKILL, in the middle of whatever it does.
    pub async fn kill(&mut self) {
        let mut child = self.child.take().expect("the peer runs");
        child.kill().expect("SIGKILL");
        ended(&mut child).await;
    }

    /// SIGTERM; returns how the process ended.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        let mut child = self.child.take().expect("the peer runs");
        ended(&mut child).await
    }

    /// Sends a signal: `TERM`, `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        let pid = self.child.as_ref().expect("the peer runs").id();
        let sent = Command::new("sh").arg("-c").arg(format!("kill -{name} {pid}")).status().expect("sh runs");
        assert!(sent.success(), "SIG{name} was not sent");
    }

    /// The process has ended by itself: another one may be started.
    pub fn ended(&mut self) {
        self.child.take();
    }

    /// Removes everything from both directories, as a disk that is replaced has nothing.
    pub fn empty(&self) {
        assert!(self.child.is_none(), "the peer runs");
        for dir in [self.peer_dir(), self.db_dir()] {
            fs::remove_dir_all(&dir).expect("removed");
        }
    }

    /// A copy of both directories, as a backup has it.
    pub fn back_up(&self) -> TempDir {
        assert!(self.child.is_none(), "the peer runs");
        let backup =
            tempfile::Builder::new().prefix("backup-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
        copy(&self.dir, &backup);
        backup
    }

    /// Puts a backup in the place of what there is.
    pub fn put_back(&self, backup: &TempDir) {
        self.empty();
        copy(backup, &self.dir);
    }

    /// Puts the partitions of a backup in the place of those that there are; the raft logs stay.
    pub fn put_back_rows(&self, backup: &TempDir) {
        assert!(self.child.is_none(), "the peer runs");
        fs::remove_dir_all(self.db_dir()).expect("removed");
        copy_dir(backup.path(), self.dir.path(), "db");
    }

    /// A peer on a copy of the directories, under the same name, with ports of its own. It is not started.
    pub fn copy(&self) -> Peer {
        let is_own = |(name, _): &&(String, String)| !matches!(&**name, "Z4_SERVICE_PORT" | "Z4_METRICS_PORT");
        let options = self.options.iter().filter(is_own).cloned().collect();
        let (descriptors_max, script) = (self.descriptors_max, self.script);
        Peer { dir: self.back_up(), options, child: None, ports: None, starts: 0, descriptors_max, script, stderr: None }
    }

    /// Sets an option for the next start.
    pub fn set(&mut self, name: &str, value: &str) {
        self.options.push((name.to_owned(), value.to_owned()));
    }

    /// How many processes there were, those that ended at once included.
    pub fn starts(&self) -> u32 {
        self.starts
    }

    /// A process was started and not ended by the test.
    pub fn runs(&self) -> bool {
        self.child.is_some()
    }

    /// How the process ended, when it did so by itself.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().expect("the child is ours")
    }

    /// What the process has written so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// A new connection.
    pub async fn client(&self) -> Client {
        until("the peer takes a connection", async || Client::connect(&self.address()).await).await
    }

    /// `HOST:PORT` of the gRPC service.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.expect("the peer is ready").service)
    }

    /// `HOST:PORT` under which other peers reach it.
    pub fn peer_address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.expect("the peer is ready").peer)
    }

    /// `HOST:PORT` of the metrics.
    pub fn metrics_address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.expect("the peer is ready").metrics)
    }

    /// `HOST:PORT` for MySQL clients.
    pub fn sql_address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.expect("the peer is ready").sql)
    }

    /// The directory of the raft logs.
    pub fn peer_dir(&self) -> PathBuf {
        self.dir.path().join("peer")
    }

    /// The directory of the partitions.
    pub fn db_dir(&self) -> PathBuf {
        self.dir.path().join("db")
    }

    /// Resident memory of the process, bytes.
    pub fn resident_bytes(&self) -> u64 {
        let pid = self.child.as_ref().expect("the peer runs").id();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process exists");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS is reported");
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().expect("a number");
        kib * 1_024
    }

    fn command(&self, log: &Path) -> Command {
        let log = File::create(log).expect("a log file");
        let mut command = match (self.script, self.descriptors_max) {
            (Some(script), _) => {
                // It finds z4 and z4t as it does in a container.
                let binaries = Path::new(env!("CARGO_BIN_EXE_z4")).parent().expect("a directory");
                let path = std::env::var("PATH").unwrap_or_default();
                let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join(script));
                command.env("PATH", format!("{}:{path}", binaries.display()));
                command
            }
            (None, None) => Command::new(env!("CARGO_BIN_EXE_z4")),
            (None, Some(max)) => {
                let mut command = Command::new("sh");
                command.args(["-c", &format!("ulimit -n {max}; exec \"$0\""), env!("CARGO_BIN_EXE_z4")]);
                command
            }
        };
        // What the developer's shell sets is not what the test means.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("Z4_")) {
            command.env_remove(name);
        }
        command
            .env("Z4_DB_DATA_DIR", self.db_dir())
            .env("Z4_PEER_DATA_DIR", self.peer_dir())
            .env("Z4_SERVICE_PORT", "0")
            .env("Z4_PEER_PORT", "0")
            .env("Z4_METRICS_PORT", "0")
            .env("Z4_SQL_PORT", "0")
            .env("Z4_PEER_ADVERTISE_ADDR", "127.0.0.1:0")
            .env("Z4_PEER_ID", "peer-1")
            .env("Z4_BOOTSTRAP_CLUSTER", "true")
            .env("Z4_BIND_ADDRESS", "127.0.0.1")
            // More groups than shards, so that shards host several; small segments, so that they are changed.
            .env("Z4_SHARDS", "2")
            .env("Z4_GROUPS", "3")
            .env("Z4_LOG_SEGMENT_BYTES", "16777216")
            .envs(self.options.iter().map(|(name, value)| (name, value)))
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle of the log file"))
            .stderr(log);
        command
    }

    fn log_file(&self) -> PathBuf {
        self.dir.path().join(format!("start-{}.log", self.starts))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            if std::env::var_os("Z4_TEST_KEEP").is_some() {
                self.dir.disable_cleanup(true);
                eprintln!("---- the peer's directory is kept: {} ----", self.dir.path().display());
            }
            let attempt = self.dir.path().join("attempt.log");
            for (name, file) in [(format!("start {}", self.starts), self.log_file()), ("an attempt".to_owned(), attempt)] {
                let log = fs::read(file).unwrap_or_default();
                let tail = &log[log.len().saturating_sub(LOG_TAIL_BYTES)..];
                eprintln!("---- the peer's log, {name} ----\n{}", String::from_utf8_lossy(tail));
            }
        }
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A process that was expected to end by itself.
pub struct Attempt {
    /// How it ended.
    pub status: ExitStatus,
    /// Everything that it wrote.
    pub log: String,
}

async fn ended(child: &mut Child) -> ExitStatus {
    until("the process ends", async || child.try_wait().expect("the child is ours")).await
}

/// Copies the two directories of a peer.
fn copy(from: &TempDir, to: &TempDir) {
    for name in ["peer", "db"] {
        copy_dir(from.path(), to.path(), name);
    }
}

fn copy_dir(from: &Path, to: &Path, name: &str) {
    let copied = Command::new("cp").arg("-a").arg(from.join(name)).arg(to.join(name)).status().expect("cp runs");
    assert!(copied.success(), "{name} was not copied from {}", from.display());
}
