//! One call with all its attempts.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tonic::transport::Channel;
use tonic::{Response, Status};

use super::attempt::{Attempts, Backoff, Failure, Repeat, late};
use super::error::Error;
use super::peers::Address;
use super::{Client, ClientBuilder};

/// What is known of a call before it is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    pub(super) name: &'static str,
    pub(super) repeat: Repeat,
    /// That of its namespace.
    pub(super) slot: Option<u16>,
    /// How long the peer may wait before it answers.
    pub(super) wait: Duration,
    /// It can be sent again for as long as these namespaces remember its request ids.
    pub(super) remembered_by: &'a [&'a str],
}

impl<'a> Call<'a> {
    /// Creates under request ids in these namespaces.
    pub(super) fn creating(name: &'static str, slot: Option<u16>, namespaces: &'a [&'a str]) -> Self {
        Call { remembered_by: namespaces, ..Self::safe(name, slot) }
    }

    pub(super) fn read(name: &'static str, slot: Option<u16>) -> Self {
        Call { name, repeat: Repeat::Read, slot, wait: Duration::ZERO, remembered_by: &[] }
    }

    pub(super) fn safe(name: &'static str, slot: Option<u16>) -> Self {
        Call { name, repeat: Repeat::Safe, slot, wait: Duration::ZERO, remembered_by: &[] }
    }

    pub(super) fn once(name: &'static str, slot: Option<u16>) -> Self {
        Call { name, repeat: Repeat::Unsafe, slot, wait: Duration::ZERO, remembered_by: &[] }
    }
}

/// A journey from peer to peer until one of them serves. Calls, producers and consumers make it alike.
pub(super) struct Journey {
    tried: Vec<Address>,
    backoff: Backoff,
    /// The last attempt was refused for want of room: the same peer is asked again.
    overloaded: bool,
    failures: u32,
    /// Every failure since the beginning was a missing connection.
    nobody_there: bool,
}

impl Journey {
    pub(super) fn new() -> Self {
        Journey { tried: Vec::new(), backoff: Backoff::default(), overloaded: false, failures: 0, nobody_there: true }
    }

    /// Nothing has failed yet.
    pub(super) fn is_new(&self) -> bool {
        self.failures == 0
    }

    /// The next peer, after a wait when all were asked; `None`: nobody is there, and the client does not wait for peers.
    pub(super) async fn next(&mut self, client: &Client, wish: Option<&str>) -> Option<Address> {
        if std::mem::take(&mut self.overloaded) {
            sleep(self.backoff.next()).await;
        }
        loop {
            let chosen = client.peers().choose(wish, &self.tried, Instant::now());
            if chosen.is_some() {
                return chosen;
            }
            if self.nobody_there && !client.options().wait_for_peers {
                return None;
            }
            self.tried.clear();
            sleep(self.backoff.next()).await;
        }
    }

    /// An attempt at a peer failed. A final answer is no failure of the peer.
    pub(super) fn failed(&mut self, client: &Client, peer: &Address, slot: Option<u16>, failure: Failure) {
        if failure == Failure::Final {
            client.peers().answered(peer, Instant::now());
            return;
        }
        let mut peers = client.peers();
        match failure {
            Failure::NotSent | Failure::Lost => peers.failed(peer, Instant::now()),
            Failure::Unavailable | Failure::Unserved => peers.forget_leader(slot),
            Failure::Overloaded | Failure::Final => {}
        }
        drop(peers);
        self.failures += 1;
        self.nobody_there &= failure == Failure::NotSent;
        if failure == Failure::Overloaded {
            self.overloaded = true;
        } else {
            self.tried.push(peer.clone());
            client.discover();
        }
    }
}

impl Client {
    /// Makes a call until it is answered, refused for good, or its time is over. Returns the answer and the peer that gave it.
    pub(super) async fn call<A, F>(&self, call: Call<'_>, send: impl Fn(Channel) -> F) -> Result<(A, Address), Error>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let ClientBuilder { timeout, attempt_timeout, .. } = *self.options();
        let since = Instant::now();
        let until = since + timeout + call.wait;
        let mut attempts = Attempts::new(call.repeat);
        let mut journey = Journey::new();
        loop {
            let wish = self.leader(call.slot);
            let next = timeout_at(until, journey.next(self, wish.as_deref())).await;
            let Ok(Some(peer)) = next else { return Err(attempts.error(call.name)) };
            let channel = self.channel(&peer)?;
            let began = Instant::now();
            let patience = (attempt_timeout + call.wait).min(until - began);
            let status = match tokio::time::timeout(patience, send(channel)).await {
                Ok(Ok(response)) => {
                    self.peers().answered(&peer, Instant::now());
                    self.discover_sometimes();
                    return Ok((response.into_inner(), peer));
                }
                Ok(Err(status)) => status,
                Err(_) => late(patience),
            };
            let failure = Failure::of(&status);
            let again = attempts.failed(failure, &peer, status);
            journey.failed(self, &peer, call.slot, failure);
            if !again || Instant::now() >= until {
                return Err(attempts.error(call.name));
            }
            if attempts.may_be_done() && !self.all_remember(call.remembered_by, since, until).await {
                return Err(attempts.error(call.name));
            }
        }
    }

    /// Makes a call that only reads to one peer, once.
    pub(super) async fn call_at<A, F>(&self, peer: &str, name: &'static str, send: impl FnOnce(Channel) -> F) -> Result<A, Error>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let channel = self.channel(peer)?;
        let timeout = self.options().attempt_timeout;
        let status = match tokio::time::timeout(timeout, send(channel)).await {
            Ok(Ok(response)) => return Ok(response.into_inner()),
            Ok(Err(status)) => status,
            Err(_) => late(timeout),
        };
        let mut attempts = Attempts::new(Repeat::Read);
        attempts.failed(Failure::of(&status), peer, status);
        Err(attempts.error(name))
    }
}
