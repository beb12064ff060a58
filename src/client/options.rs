//! How a client connects, waits and gives up.

use std::sync::Arc;
use std::time::Duration;

use super::Client;
use super::error::Error;

/// Settings of a [`Client`]; made with [`Client::builder`].
#[derive(Clone, Debug)]
pub struct ClientBuilder {
    pub(super) connect_timeout: Duration,
    pub(super) attempt_timeout: Duration,
    pub(super) timeout: Duration,
    pub(super) keep_alive: Duration,
    pub(super) keep_alive_timeout: Duration,
    pub(super) answer_bytes_max: usize,
    pub(super) learn_addresses: bool,
    pub(super) wait_for_peers: bool,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        ClientBuilder {
            connect_timeout: Duration::from_secs(2),
            attempt_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(15),
            keep_alive: Duration::from_secs(5),
            keep_alive_timeout: Duration::from_secs(5),
            answer_bytes_max: 256 << 20,
            learn_addresses: true,
            wait_for_peers: true,
        }
    }
}

impl ClientBuilder {
    /// How long to wait for one connection: 2 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long to wait for one peer's answer before another one is asked: 5 s.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// How long a call may take with all its attempts: 15 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// A connection with open calls that is silent for `interval` is asked whether it lives, and is given up when it does not answer
    /// within `timeout`: 5 s and 5 s.
    pub fn keep_alive(mut self, interval: Duration, timeout: Duration) -> Self {
        (self.keep_alive, self.keep_alive_timeout) = (interval, timeout);
        self
    }

    /// The largest answer that is taken: 256 MiB.
    pub fn answer_bytes_max(mut self, bytes: usize) -> Self {
        self.answer_bytes_max = bytes;
        self
    }

    /// False: only the given addresses are used, and leaders are not followed. True by default.
    pub fn learn_addresses(mut self, learn: bool) -> Self {
        self.learn_addresses = learn;
        self
    }

    /// False: a call fails as soon as every known peer was tried and none could be connected with. By default it waits for one to come
    /// up, until its time is over.
    pub fn wait_for_peers(mut self, wait: bool) -> Self {
        self.wait_for_peers = wait;
        self
    }

    /// A client for the peers at these addresses, `HOST:PORT` each. Connections are made when they are first needed.
    ///
    /// # Errors
    /// There is no address, or one of them is not `HOST:PORT`.
    pub fn connect<A: AsRef<str>>(self, addresses: impl IntoIterator<Item = A>) -> Result<Client, Error> {
        let addresses: Vec<Arc<str>> = addresses.into_iter().map(|a| a.as_ref().trim().into()).collect();
        if addresses.is_empty() {
            return Err(Error::address("", "is no address; at least one is needed"));
        }
        Client::new(self, addresses)
    }
}
