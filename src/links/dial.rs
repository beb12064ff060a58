//! Calls to the other members, again and again until each shard has its link.

use std::collections::{HashMap, HashSet};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;
use z4_proto::peer::welcome::Verdict;
use z4_proto::peer::{Hello, Welcome};
use z4_shards::ids::PeerNumber;
use z4_shards::roster::Member;
use z4_shards::runtime::clock;

use super::{Identity, State, VERSION, words};

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
            let Some(me) = self.links.standing.identity() else { continue };
            let roster = self.links.shards.roster();
            let now = Instant::now();
            for member in roster.present().filter(|member| member.number != me.peer_number) {
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
        let connecting = TcpStream::connect(&member.address);
        let timed_out = |_| io::Error::new(io::ErrorKind::TimedOut, format!("{} cannot be reached: no answer", member.address));
        let connected = tokio::time::timeout(CONNECT_MAX, connecting).await.map_err(timed_out)?;
        let mut stream = connected.map_err(|e| io::Error::new(e.kind(), format!("{} cannot be reached: {e}", member.address)))?;
        let hello = Hello {
            version: VERSION,
            cluster_id: me.cluster_id.clone(),
            from: me.peer_number,
            from_id: me.peer_id.clone(),
            shard: shard as u32,
            to: member.number,
            to_id: member.id.clone(),
            clock_ms: clock::wall_ms(),
            slots: self.links.shards.slots(),
            service_address: self.links.service_address.clone(),
        };
        words::say(&mut stream, &hello).await?;
        let welcome: Welcome = words::hear(&mut stream).await?;
        let skew_ms = welcome.clock_ms as f64 - clock::wall_ms() as f64;
        match welcome.verdict() {
            Verdict::Accepted => {
                self.links.shards.reach().update(member.number, |reach| {
                    reach.service_address.clone_from(&welcome.service_address);
                    reach.skew_ms = skew_ms;
                });
                self.hand_over(member.number, shard as u32, shard, stream)
            }
            Verdict::Removed => {
                self.removed(&welcome.reason);
                Err(io::Error::other(welcome.reason))
            }
            Verdict::Mismatch => {
                tracing::warn!(peer = member.id, address = member.address, reason = welcome.reason, "the link was refused");
                Err(io::Error::other(welcome.reason))
            }
            Verdict::Later => Err(io::Error::other(welcome.reason)),
        }
    }

    /// Another member says that this peer is none any more.
    fn removed(&self, reason: &str) {
        if self.links.shards.set_removed() {
            tracing::warn!(reason, "this peer was removed from the cluster; stop it, it serves nothing any more");
        }
    }
}
