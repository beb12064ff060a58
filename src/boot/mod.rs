//! Boot and shutdown of a peer: threads, logs, groups, ports, in this order; and back.

mod cluster;
mod counting;
mod disk;
mod join;
mod options;
mod serving;
mod shard_thread;
mod sql;
mod view;

use std::io;
use std::net::{IpAddr, TcpListener};
use std::sync::Arc;

use futures_channel::oneshot;
use z4_model::ids::GroupId;
use z4_model::rows::incarnation::Incarnation;
use z4_shards::account::Account;
use z4_shards::log::LogError;
use z4_shards::metrics::Metrics;
use z4_shards::partition::PartitionError;
use z4_shards::runtime::clock;
use z4_shards::runtime::executor::{self, ExecutorThread};
use z4_shards::shard::OpenError;
use z4_shards::shard::api::Rejection;
use z4_shards::shard::handle::Shards;

use crate::config::Config;
use crate::links::identity::{Identity, IdentityError};
use crate::links::{self, Links, Standing};
use crate::process::exit::Exit;
use crate::process::ready::Ready;
use crate::process::stop::{self, StopReason, StopRequests, Stopper};
use crate::process::{side_thread, space};
use crate::sql::wire::users::UsersError;
use crate::telemetry::endpoint::Endpoint;
use crate::telemetry::health::{Health, Stage};
use serving::{Server, Serving};
use shard_thread::{ShardStart, ShardThread};

/// Why a peer did not start, or stopped unasked.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// A port cannot be listened on.
    #[error("{option} {port} on {address} cannot be listened on")]
    Port {
        /// The option that names the port.
        option: &'static str,
        /// The port.
        port: u16,
        /// The address.
        address: IpAddr,
        /// Why.
        source: io::Error,
    },
    /// The metrics cannot be registered.
    #[error("the metrics cannot be registered")]
    Metrics(#[from] prometheus::Error),
    /// A thread cannot be started.
    #[error("the thread for signals and metrics cannot be started")]
    SideThread(#[source] io::Error),
    /// Its threads cannot be started.
    #[error("the threads of SQL cannot be started")]
    Sql(#[source] io::Error),
    /// Who may ask in SQL.
    #[error("sql_users cannot be used")]
    SqlUsers(#[from] UsersError),
    /// An executor or its storage thread cannot be started.
    #[error("an executor cannot be started")]
    Executor(#[source] io::Error),
    /// Who this peer is.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A raft log cannot be opened.
    #[error("the raft log of shard {shard} cannot be opened")]
    Log {
        /// Whose.
        shard: usize,
        /// Why.
        source: LogError,
    },
    /// A group cannot be opened.
    #[error("a group cannot be opened")]
    Open(#[from] OpenError),
    /// The registry cannot be read or written.
    #[error("the registry cannot be used")]
    RegistryAccess(#[from] Rejection),
    /// The registry holds something that this version does not understand.
    #[error("the registry's {0} cannot be understood; was it written by a newer z4?")]
    Registry(&'static str),
    /// A group did not find its leader.
    #[error("group {group} has found no leader within 30 s")]
    NoLeader {
        /// Which.
        group: GroupId,
    },
    /// The services of the gRPC edge cannot be put together.
    #[error("the descriptors of the gRPC services cannot be read")]
    Services(#[from] prost::DecodeError),
    /// The ready file cannot be written.
    #[error("ports.json cannot be written")]
    Announce(#[source] io::Error),
    /// It was asked to stop before it served.
    #[error("stopped by {0} while starting")]
    Interrupted(StopReason),
    /// A part of the peer could not go on.
    #[error("{what}")]
    Failed {
        /// What happened.
        what: String,
        /// The exit status for it.
        exit: Exit,
    },
}

/// Also for one whose disk was emptied, see [`crate::links`].
const REPLACE: &str = "where other peers have what it had, empty both of its directories, start it, and have it take its own place: \
                       z4t -t ANY_MEMBER -p ITS_ADDRESS -id ITS_ID add-peer --replace";

impl BootError {
    /// How an operator goes on with a disk that has lost something.
    pub fn advice(&self) -> Option<&'static str> {
        let is_lost = match self {
            BootError::Log { source, .. } => matches!(source, LogError::Damaged { .. } | LogError::Missing { .. }),
            BootError::Open(error) => match error {
                OpenError::Partition(error) => matches!(error, PartitionError::Damaged { .. }),
                error => matches!(error, OpenError::Behind { .. } | OpenError::Missing { .. } | OpenError::LogGone { .. }),
            },
            _ => false,
        };
        is_lost.then_some(REPLACE)
    }

    /// The exit status that tells this error.
    pub fn exit(&self) -> Exit {
        match self {
            BootError::Port { .. } | BootError::NoLeader { .. } | BootError::Executor(_) => Exit::Unavailable,
            BootError::Announce(_) | BootError::Log { .. } | BootError::Open(_) | BootError::Registry(_) => Exit::Storage,
            BootError::Identity(
                IdentityError::Contradiction { .. }
                | IdentityError::OthersDirectory { .. }
                | IdentityError::OthersCluster { .. }
                | IdentityError::Foreign { .. },
            )
            | BootError::SqlUsers(_) => Exit::Configuration,
            BootError::Identity(_) => Exit::Storage,
            BootError::Metrics(_)
            | BootError::SideThread(_)
            | BootError::Sql(_)
            | BootError::Services(_)
            | BootError::RegistryAccess(_) => Exit::Internal,
            BootError::Interrupted(_) => Exit::Stopped,
            BootError::Failed { exit, .. } => *exit,
        }
    }
}

/// Runs a peer until it is asked to stop. The directories are locked by the caller.
pub fn run(config: Config) -> Result<(), BootError> {
    let since = clock::monotonic();
    let (stopper, mut requests) = stop::requests();
    let health = Health::default();
    let metrics = Metrics::new(env!("CARGO_PKG_VERSION"))?;
    let (listener, metrics_port) = bind("metrics_port", config.bind_address, config.metrics_port)?;
    let account = Account::new(config.request_memory_bytes_max);
    let endpoint = Endpoint { metrics: metrics.clone(), health: health.clone(), account: account.clone() };
    side_thread::start(listener, endpoint, stopper.clone()).map_err(BootError::SideThread)?;
    let (peer_listener, peer_port) = bind("peer_port", config.bind_address, config.peer_port)?;
    let sql = sql::Sql::bind(&config)?;
    let sql_port = sql.as_ref().map(|sql| sql.port);
    let address = options::advertised(&config, peer_port);
    options::warn_of_loopback(&config, &address);

    let mut disk = disk::examine(&config)?;
    let count = shard_count(&config, disk.identity.as_ref());
    let starts = links::starts::count(&config.peer_data_dir)?;
    let seen = links::seen::read(&config.peer_data_dir).unwrap_or_else(|error| {
        tracing::warn!(%error, "what was seen of other peers' disks is forgotten");
        Vec::new()
    });
    let is_new = disk.identity.is_none();
    let standing = Arc::new(Standing::default());
    let (shards, threads) = start_shards(&config, (count, disk.identity.is_some()), &metrics, &stopper)?;
    shards.reach().charge_to(account.clone());
    shards.reach().disks().live(starts.life, starts.key);
    shards.reach().disks().remember(seen);
    space::start(space::Watch {
        dirs: vec![config.db_data_dir.clone(), config.peer_data_dir.clone()],
        reserve_bytes: config.disk_reserve_bytes,
        space: shards.reach().space().clone(),
        metrics: metrics.disk.clone(),
    })
    .map_err(BootError::SideThread)?;
    health.watch(&shards);
    // The boot's own waiting happens on this thread; shards have executors of their own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(BootError::SideThread)?;
    let (threads, serve) = runtime.block_on(unless_stopped(&mut requests, opened(threads)))?;
    starts.opened(shards.reach().disks())?;
    if disk.identity.is_none() && config.bootstrap_cluster {
        disk.identity = Some(bootstrap(&config, count, disk.incarnation)?);
    }
    let disk::Disk { incarnation, identity } = disk;
    // Before anybody can ask: a member that is taken for nobody, be it for a moment, is how a second cluster begins.
    if let Some(identity) = &identity {
        standing.become_member(identity.clone());
        shards.identify(identity.peer_number, &identity.cluster_id);
    }

    let (prober, questions) = links::prober();
    let starting = Serving::start(&config, (&standing, prober, &address, &health), (&shards, &metrics, &account), serve);
    let serving = runtime.block_on(unless_stopped(&mut requests, starting))?;
    let sql = sql.map(|sql| sql.serve(&config, (&shards, &metrics), serving.view())).transpose()?;
    let links = Links {
        shards: shards.clone(),
        standing: Arc::clone(&standing),
        peer_id: config.peer_id.clone(),
        disk: incarnation,
        is_new,
        peer_dir: config.peer_data_dir.clone(),
        starts: Arc::new(starts),
        address: address.clone(),
        service_address: serving.address.clone(),
        join: join::join(&config, (count, incarnation), (&shards, &standing), &stopper),
        fail: join::failing(&stopper),
    };
    links.start(peer_listener, questions).map_err(BootError::SideThread)?;
    match &identity {
        Some(identity) => {
            let opening = cluster::open(&shards, identity, &address, &config);
            runtime.block_on(unless_stopped(&mut requests, opening))?;
            standing.open();
        }
        None => tracing::info!(address, "waiting to be added to a cluster: z4t -t ANY_MEMBER -p {address} -id ID add-peer"),
    }
    let peer_id = identity.map_or_else(|| config.peer_id.clone(), |identity| identity.peer_id);
    let ready = Ready {
        peer_id: peer_id.clone(),
        pid: std::process::id(),
        bind_address: config.bind_address,
        service_port: Some(serving.port),
        peer_port: Some(peer_port),
        metrics_port: Some(metrics_port),
        sql_port,
    };
    health.enter(Stage::Serving);
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        peer = peer_id,
        service = %std::net::SocketAddr::new(config.bind_address, serving.port),
        peer_port,
        metrics_port,
        sql_port,
        shards = count,
        db_data_dir = %config.db_data_dir.display(),
        peer_data_dir = %config.peer_data_dir.display(),
        took_ms = since.elapsed().as_millis() as u64,
        "serving"
    );
    ready.announce(&config.peer_data_dir).map_err(BootError::Announce)?;

    let reason = requests.wait();
    health.enter(Stage::Stopping);
    let withdrawn = Ready::withdraw(&config.peer_data_dir).map_err(BootError::Announce);
    if let StopReason::Failed { exit, what } = reason {
        // Durability is lost: nothing may be finished as if it were not.
        tracing::error!(what, "ending without a graceful stop");
        return Err(BootError::Failed { what, exit });
    }
    if let Some(sql) = sql {
        sql.stop();
    }
    let stopped = runtime.block_on(async {
        // Others lead what this peer leads before anybody is turned away: no second without a leader.
        shards.hand_over().await;
        shards.end_consumers();
        serving.stop().await;
        shards.stop().await
    });
    for thread in threads {
        thread.join().map_err(BootError::Executor)?;
    }
    stopped.map_err(|what| BootError::Failed { what, exit: Exit::Storage })?;
    if let Err(error) = links::seen::write(&config.peer_data_dir, &shards.reach().disks().seen()) {
        // It is no part of the disk.
        tracing::warn!(%error, "what was seen of other peers' disks is not kept");
    }
    withdrawn
}

/// A step of the boot; it ends when the peer is asked to stop, or when a part of it cannot go on: nobody would wait for that later.
async fn unless_stopped<T>(
    requests: &mut StopRequests,
    step: impl Future<Output = Result<T, BootError>>,
) -> Result<T, BootError> {
    tokio::select! {
        done = step => done,
        reason = requests.next() => Err(match reason {
            StopReason::Failed { exit, what } => BootError::Failed { what, exit },
            reason => BootError::Interrupted(reason),
        }),
    }
}

/// Raft logs belong to shards: a member has as many as it had at first.
fn shard_count(config: &Config, identity: Option<&Identity>) -> usize {
    match (identity, config.shards) {
        (Some(identity), _) => identity.shards,
        (None, 0) => executor::allowed_cores().len().max(1),
        (None, shards) => shards,
    }
}

/// Becomes the first member of a new cluster. Its logs are there, so that a member without logs is one that has lost them.
fn bootstrap(config: &Config, shards: usize, incarnation: Incarnation) -> Result<Identity, BootError> {
    let cluster_id = format!("{:032x}", rand::random::<u128>());
    let peer_id = match config.peer_id.as_str() {
        "" => format!("peer-{}", &cluster_id[..8]),
        id => id.to_owned(),
    };
    let groups = options::groups(config);
    let identity = Identity { cluster_id, peer_id, peer_number: 1, shards, groups, incarnation: incarnation.to_string() };
    disk::become_member(&config.db_data_dir, &config.peer_data_dir, &identity)?;
    tracing::info!(cluster = identity.cluster_id, peer = identity.peer_id, shards, "bootstrapping a new cluster");
    Ok(identity)
}

/// Starts the executors. `is_member`: each has a log already.
fn start_shards(
    config: &Config,
    (count, is_member): (usize, bool),
    metrics: &Metrics,
    stopper: &Stopper,
) -> Result<(Shards, Vec<ShardThread>), BootError> {
    let (shards, inboxes) = Shards::new(count, config.mailbox_messages_max);
    let stopper = stopper.clone();
    let on_fatal = Arc::new(move |what: &str| {
        stopper.stop(StopReason::Failed { exit: Exit::Storage, what: what.to_owned() });
    });
    let shared = options::shard(config, metrics, on_fatal);
    // The executors' files are opened relative to no directory: io_uring is given absolute paths.
    let peer_data_dir = std::path::absolute(&config.peer_data_dir).map_err(BootError::Executor)?;
    let start = |(index, inbox)| {
        shard_thread::start(ShardStart {
            index,
            inbox,
            shards: shards.clone(),
            options: shared.clone(),
            log_dir: peer_data_dir.join(format!("log-{index:03}")),
            log: options::log(config),
            is_member,
        })
    };
    let threads = inboxes.into_iter().enumerate().map(start).collect::<Result<_, _>>()?;
    Ok((shards, threads))
}

/// Waits until every shard has opened its log.
async fn opened(threads: Vec<ShardThread>) -> Result<(Vec<ExecutorThread<()>>, Vec<oneshot::Sender<Server>>), BootError> {
    let (mut running, mut serve) = (Vec::new(), Vec::new());
    for shard in threads {
        let gone = |_| Err(BootError::Executor(io::Error::other("a shard ended before it was open")));
        shard.opened.await.unwrap_or_else(gone)?;
        running.push(shard.thread);
        serve.push(shard.serve);
    }
    Ok((running, serve))
}

/// Listens on a port; returns the port that the kernel chose when it was 0.
fn bind(option: &'static str, address: IpAddr, port: u16) -> Result<(TcpListener, u16), BootError> {
    let failed = |source| BootError::Port { option, port, address, source };
    let listener = TcpListener::bind((address, port)).map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    Ok((listener, port))
}
