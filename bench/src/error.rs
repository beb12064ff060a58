//! What can go wrong while a peer is loaded.

use std::path::PathBuf;

/// The result of a benchmark step.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a run ended without a figure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A call failed; refused tasks are counted and do not end a run.
    #[error("{call} failed")]
    Call {
        /// The rpc.
        call: &'static str,
        /// What came back.
        #[source]
        status: Box<tonic::Status>,
    },
    /// The peer does not accept connections.
    #[error("cannot connect to {address}")]
    Connect {
        /// Host and port.
        address: String,
        /// The cause.
        #[source]
        source: tonic::transport::Error,
    },
    /// A file, directory or socket.
    #[error("{what}")]
    Io {
        /// What was tried, with the path.
        what: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The started peer ended before it served.
    #[error("the peer ended ({status}); the end of {log}:\n{tail}", log = .log.display())]
    PeerEnded {
        /// Its exit status.
        status: std::process::ExitStatus,
        /// Where its output is.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// Nothing happened for too long.
    #[error("gave up after {seconds} s: {what}")]
    Stalled {
        /// What was waited for and how far it got.
        what: String,
        /// How long.
        seconds: u64,
    },
    /// The command line or an input file asks for something that cannot be done.
    #[error("{0}")]
    Input(String),
}

impl Error {
    /// For `map_err`: names what was tried.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// For `map_err`: names the address.
    pub fn connect(address: &str) -> impl FnOnce(tonic::transport::Error) -> Self {
        let address = address.to_owned();
        move |source| Self::Connect { address, source }
    }

    /// For `map_err`: names the rpc.
    pub fn call(call: &'static str) -> impl FnOnce(tonic::Status) -> Self {
        move |status| Self::Call { call, status: Box::new(status) }
    }

    /// The error and its causes, one after another.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let next = error.to_string();
            if !next.is_empty() && !text.contains(&next) {
                text = format!("{text}: {next}");
            }
            cause = error.source();
        }
        text
    }
}
