//! Boot and shutdown of a peer.

use std::io;
use std::net::{IpAddr, TcpListener};

use z4_shards::metrics::Metrics;

use crate::config::Config;
use crate::process::exit::Exit;
use crate::process::ready::Ready;
use crate::process::side_thread;
use crate::process::stop::{self, StopReason};
use crate::telemetry::endpoint::Endpoint;
use crate::telemetry::health::{Health, Stage};

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
    /// The side thread cannot be started.
    #[error("the thread for signals and metrics cannot be started")]
    SideThread(#[source] io::Error),
    /// The ready file cannot be written.
    #[error("ports.json cannot be written")]
    Announce(#[source] io::Error),
    /// A part of the peer could not go on.
    #[error("{what}")]
    Failed {
        /// What happened.
        what: String,
        /// The exit status for it.
        exit: Exit,
    },
}

impl BootError {
    /// The exit status that tells this error.
    pub fn exit(&self) -> Exit {
        match self {
            BootError::Port { .. } => Exit::Unavailable,
            BootError::Announce(_) => Exit::Storage,
            BootError::Metrics(_) | BootError::SideThread(_) => Exit::Internal,
            BootError::Failed { exit, .. } => *exit,
        }
    }
}

/// Runs a peer until it is asked to stop. The directories are locked by the caller.
pub fn run(config: Config) -> Result<(), BootError> {
    let (stopper, requests) = stop::requests();
    let health = Health::default();
    let metrics = Metrics::new(env!("CARGO_PKG_VERSION"))?;
    let (listener, metrics_port) = bind("metrics_port", config.bind_address, config.metrics_port)?;
    side_thread::start(listener, Endpoint { metrics, health: health.clone() }, stopper).map_err(BootError::SideThread)?;
    let ready = Ready {
        peer_id: config.peer_id,
        pid: std::process::id(),
        bind_address: config.bind_address,
        service_port: None,
        peer_port: None,
        metrics_port: Some(metrics_port),
        sql_port: None,
    };
    health.enter(Stage::Serving);
    ready.announce(&config.peer_data_dir).map_err(BootError::Announce)?;
    let reason = requests.wait();
    health.enter(Stage::Stopping);
    Ready::withdraw(&config.peer_data_dir).map_err(BootError::Announce)?;
    match reason {
        StopReason::Signal(_) => Ok(()),
        StopReason::Failed { exit, what } => Err(BootError::Failed { what, exit }),
    }
}

/// Listens on a port; returns the port that the kernel chose when it was 0.
fn bind(option: &'static str, address: IpAddr, port: u16) -> Result<(TcpListener, u16), BootError> {
    let failed = |source| BootError::Port { option, port, address, source };
    let listener = TcpListener::bind((address, port)).map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    Ok((listener, port))
}
