//! Calls to the other members, again and again until each shard has its link.

use std::collections::{HashMap, HashSet};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;
use z4_model::ids::PeerNumber;
use z4_model::rows::incarnation::Incarnation;
use z4_proto::peer::welcome::Verdict;
use z4_proto::peer::{Hello, RegistryRow, Welcome};
use z4_shards::link::Reading;
use z4_shards::roster::{Member, Registry};
use z4_shards::runtime::clock;
use z4_shards::shard::members::ChangeError;

use super::{Identity, State, VERSION, proof, words};

/// How often missing links are looked for.
const LOOK: Duration = Duration::from_millis(50);

/// The peer with the higher number waits this long for a call before it calls itself.
const COURTESY: Duration = Duration::from_secs(2);

/// The wait after a call that came to nothing, the first time; each one is twice as long.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// A connection that is not made by then never will be.
const CONNECT_MAX: Duration = Duration::from_secs(3);

/// A link that is missing.
struct Missing {
    since: Instant,
    next: Instant,
    backoff: Duration,
}

type Key = (PeerNumber, usize);

impl State {
    /// Calls. Never ends.
    pub(super) async fn dial(self: Rc<Self>) {
        let mut missing: HashMap<Key, Missing> = HashMap::new();
        let calling: Rc<std::cell::RefCell<HashSet<Key>>> = Rc::default();
        loop {
            tokio::time::sleep(LOOK).await;
            let Some(me) = self.links.standing.identity().filter(|_| self.proof.is_proven()) else { continue };
            let (roster, named) = (self.links.shards.roster(), self.links.shards.named());
            let now = Instant::now();
            let linked = |member: &&Member| member.number != me.peer_number && roster.links_to(member.number, &named);
            for member in roster.members.iter().filter(linked) {
                for shard in 0..self.links.shards.count() {
                    let key = (member.number, shard);
                    if self.is_up(member.number, shard) {
                        missing.remove(&key);
                        continue;
                    }
                    let missing = missing.entry(key).or_insert(Missing { since: now, next: now, backoff: BACKOFF_MIN });
                    let courteous = me.peer_number > member.number && now < missing.since + COURTESY;
                    if courteous || now < missing.next || !calling.borrow_mut().insert(key) {
                        continue;
                    }
                    missing.next = now + missing.backoff;
                    missing.backoff = (missing.backoff * 2).min(BACKOFF_MAX);
                    let (state, me, member, calling) = (Rc::clone(&self), me.clone(), member.clone(), Rc::clone(&calling));
                    tokio::task::spawn_local(async move {
                        if let Err(error) = state.call(&me, &member, shard).await {
                            state.links.shards.reach().update(member.number, |reach| {
                                if reach.links == 0 {
                                    reach.error = error.to_string();
                                }
                            });
                        }
                        calling.borrow_mut().remove(&key);
                    });
                }
            }
        }
    }

    async fn call(self: &Rc<Self>, me: &Identity, member: &Member, shard: usize) -> io::Result<()> {
        let known = self.links.shards.roster().incarnation(member.number);
        // Before it is asked: a link that another shard makes meanwhile says nothing about the answer.
        let had_links = self.links.shards.reach().disks().has_seen(member.number, None);
        let mut hello = self.hello(me, member, shard, known);
        let mut asked_us = clock::monotonic_us();
        let mut welcome = self.greet(member, &hello).await?;
        if welcome.1.verdict() == Verdict::Empty {
            if had_links {
                return Err(self.put_back(member));
            }
            let registry = self.write_down(member, &welcome.1.disk).await?;
            hello = self.hello(me, member, shard, registry.roster.incarnation(member.number));
            let rows = registry.invitation(me.peer_number).into_iter();
            hello.registry = rows.map(|(name, row)| RegistryRow { name, row }).collect();
            asked_us = clock::monotonic_us();
            welcome = self.greet(member, &hello).await?;
        }
        let (stream, welcome) = welcome;
        let reading = Reading::between(asked_us, welcome.clock_ms);
        match welcome.verdict() {
            Verdict::Accepted => {
                let disk = self.judge_called(member, &welcome)?;
                self.believed_by(member.number).await?;
                let reach = self.links.shards.reach();
                reach.update(member.number, |reach| reach.service_address.clone_from(&welcome.service_address));
                reach.measured(member.number, reading);
                self.hand_over((member.number, disk), shard_there(shard, &welcome), shard, stream)
            }
            Verdict::Removed => {
                if proof::is_by(member, &me.cluster_id, &welcome) {
                    self.removed(&welcome.reason);
                }
                Err(io::Error::other(welcome.reason))
            }
            Verdict::Mismatch => {
                // Where a removed peer was, the one that took its place may answer.
                if !member.removed && self.told.is_due(&welcome.reason, Instant::now()) {
                    tracing::warn!(peer = member.id, address = member.address, reason = welcome.reason, "the link was refused");
                }
                Err(io::Error::other(welcome.reason))
            }
            Verdict::Outdated => Err(self.outdated(member, welcome)),
            Verdict::Later | Verdict::Empty | Verdict::Told => Err(io::Error::other(welcome.reason)),
        }
    }

    pub(super) fn hello(&self, me: &Identity, member: &Member, shard: usize, disk: Option<Incarnation>) -> Hello {
        Hello {
            version: VERSION,
            cluster_id: me.cluster_id.clone(),
            from: me.peer_number,
            from_id: me.peer_id.clone(),
            from_incarnation: self.links.disk.to_string(),
            from_disk: Some(self.own_disk(member.number)),
            to_disk: self.seen_of(member, disk),
            shard: shard as u32,
            to: member.number,
            to_id: member.id.clone(),
            to_incarnation: disk.map(|disk| disk.to_string()).unwrap_or_default(),
            clock_ms: self.links.shards.reach().clocks().own().ms(),
            service_address: self.links.service_address.clone(),
            ..Hello::default()
        }
    }

    pub(super) async fn greet(&self, member: &Member, hello: &Hello) -> io::Result<(TcpStream, Welcome)> {
        let mut stream = connect(&member.address).await?;
        let welcome = exchange(&mut stream, hello).await?;
        Ok((stream, welcome))
    }

    /// Has the registry know the empty disk that answers where a member should be, when nobody was there before.
    async fn write_down(&self, member: &Member, disk: &str) -> io::Result<Registry> {
        let disk = Incarnation::parse(disk).ok_or_else(|| io::Error::other("the peer does not say which disk it is"))?;
        match self.links.shards.claim(member.number, disk, true).await {
            Ok(Some(registry)) => Ok(registry),
            Ok(None) => {
                let (id, address) = (&member.id, &member.address);
                let reason = format!(
                    "the disk at {address} is empty, but {id} has joined with another one: z4t -p {address} -id {id} add-peer --replace \
                     has it take the place of that one"
                );
                if self.told.is_due(&reason, Instant::now()) {
                    tracing::warn!(peer = id, reason, "the link was not made");
                }
                Err(io::Error::other(reason))
            }
            Err(error @ ChangeError::Copy { .. }) => {
                let (id, reason) = (&member.id, format!("the disk at {} is empty, and {error}", member.address));
                if self.told.is_due(&reason, Instant::now()) {
                    tracing::warn!(peer = id, reason, "the link was not made");
                }
                Err(io::Error::other(reason))
            }
            Err(error) => Err(io::Error::other(format!("the registry cannot be asked about its disk: {error}"))),
        }
    }

    /// A disk of which links told something says that it is empty: it was put back to what it was before it joined.
    fn put_back(&self, member: &Member) -> io::Error {
        let (id, address) = (&member.id, &member.address);
        let reason = format!(
            "the disk at {address} is empty, but {id} has taken part with the one that it had: it was emptied, or put back to what it was before \
             it joined. Empty both of its directories, start it, and have it take its own place: z4t -p {address} -id {id} add-peer --replace"
        );
        if self.told.is_due(&reason, Instant::now()) {
            tracing::warn!(peer = id, reason, "the link was not made");
        }
        io::Error::other(reason)
    }

    /// Another member says that this peer is none any more.
    fn removed(&self, reason: &str) {
        if self.links.shards.set_removed() {
            tracing::warn!(reason, "this peer was removed from the cluster; stop it, it serves nothing any more");
        }
    }
}

/// The shard at the other end of a link that this one's `shard` has asked for. That peer may have fewer: each has a log, and it says of each
/// where it ends.
fn shard_there(shard: usize, welcome: &Welcome) -> u32 {
    let count = welcome.disk_state.as_ref().map_or(0, |disk| disk.log_ends.len());
    shard.checked_rem(count).unwrap_or(shard) as u32
}

/// Says who calls, and hears who is there.
pub(super) async fn exchange(stream: &mut TcpStream, hello: &Hello) -> io::Result<Welcome> {
    words::say(stream, hello).await?;
    words::hear(stream).await
}

/// Calls an address.
pub(super) async fn connect(address: &str) -> io::Result<TcpStream> {
    let timed_out = |_| io::Error::new(io::ErrorKind::TimedOut, format!("{address} cannot be reached: no answer"));
    let connected = tokio::time::timeout(CONNECT_MAX, TcpStream::connect(address)).await.map_err(timed_out)?;
    connected.map_err(|e| io::Error::new(e.kind(), format!("{address} cannot be reached: {e}")))
}

#[cfg(test)]
mod tests {
    use z4_proto::peer::DiskState;

    use super::*;

    /// What arrives on the link tells of that shard's log: told of another one, or of none, it would not be seen.
    #[test]
    fn a_link_is_to_a_shard_that_the_other_peer_has() {
        let told = |log_ends: &[u64]| Welcome {
            disk_state: Some(DiskState { log_ends: log_ends.to_vec(), ..DiskState::default() }),
            ..Welcome::default()
        };
        assert_eq!([0, 1, 2, 3].map(|shard| shard_there(shard, &told(&[7, 8]))), [0, 1, 0, 1]);
        assert_eq!([0, 1].map(|shard| shard_there(shard, &told(&[7, 8, 9]))), [0, 1]);
        assert_eq!(shard_there(3, &told(&[])), 3);
        assert_eq!(shard_there(3, &Welcome::default()), 3, "it does not say");
    }
}
