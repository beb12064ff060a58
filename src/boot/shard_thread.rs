//! What runs on each executor: open the log, host the groups, serve gRPC, stop.

use std::path::PathBuf;
use std::rc::Rc;

use futures_channel::oneshot;
use z4_shards::log::{Log, LogOptions};
use z4_shards::runtime::executor::{self, ExecutorThread};
use z4_shards::runtime::mailbox::Receiver;
use z4_shards::shard::handle::Shards;
use z4_shards::shard::{Message, Shard, ShardOptions};
use z4_shards::storage::Storage;

use super::BootError;
use super::options::LogSettings;
use super::serving::Server;
use crate::links::identity::IdentityError;

/// Everything that one shard needs to start.
pub struct ShardStart {
    /// Its index, and the core that it is pinned to.
    pub index: usize,
    /// Its mailbox.
    pub inbox: Receiver<Message>,
    /// The handle to all shards.
    pub shards: Shards,
    /// What the shards of this peer share.
    pub options: ShardOptions,
    /// The directory of its raft log.
    pub log_dir: PathBuf,
    /// How the log is kept.
    pub log: LogSettings,
    /// The peer is a member of a cluster: the log was there before. Else nothing is in it.
    pub is_member: bool,
}

/// A shard's thread and what the boot needs of it.
pub struct ShardThread {
    /// The executor's thread.
    pub thread: ExecutorThread<()>,
    /// The log is open, or why it is not.
    pub opened: oneshot::Receiver<Result<(), BootError>>,
    /// Tells it to serve gRPC.
    pub serve: oneshot::Sender<Server>,
}

/// Starts a shard's executor.
pub fn start(start: ShardStart) -> Result<ShardThread, BootError> {
    let (opened_tx, opened) = oneshot::channel();
    let (serve, serve_rx) = oneshot::channel();
    let name = format!("z4-shard-{}", start.index);
    let index = start.index;
    let thread = executor::start(&name, index, move || run(start, opened_tx, serve_rx)).map_err(BootError::Executor)?;
    Ok(ShardThread { thread, opened, serve })
}

async fn run(start: ShardStart, opened: oneshot::Sender<Result<(), BootError>>, serve: oneshot::Receiver<Server>) {
    let ShardStart { index, inbox, shards, options, log_dir, log, is_member } = start;
    let settings = LogOptions { must_exist: is_member, ..log.options(&options.metrics) };
    let log = match Log::open(log_dir.clone(), settings).await {
        Ok(log) => log,
        Err(e) => {
            let _ = opened.send(Err(BootError::Log { shard: index, source: e }));
            return;
        }
    };
    if !is_member && !log.groups().is_empty() {
        let peer = log_dir.parent().unwrap_or(&log_dir).to_owned();
        let _ = opened.send(Err(IdentityError::Nameless { log: log_dir, peer }.into()));
        return;
    }
    let storage = match Storage::start(&format!("z4-store-{index}")) {
        Ok(storage) => storage,
        Err(e) => {
            let _ = opened.send(Err(BootError::Executor(e)));
            return;
        }
    };
    let shard = Shard::new(index, options, log, storage, shards.reach().clone());
    shards.bind(index, Rc::clone(&shard));
    let _ = opened.send(Ok(()));
    executor::spawn(async move {
        if let Ok(server) = serve.await {
            server.run().await;
        }
    });
    shard.run(inbox, &shards).await;
    shards.unbind();
}
