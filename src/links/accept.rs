//! The peer port.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use z4_proto::peer::welcome::Verdict;
use z4_proto::peer::{Hello, Welcome};
use z4_shards::account::PEER_PARTS;
use z4_shards::link::Reading;
use z4_shards::roster::Registry;

use super::hello::{self, Answer, Knows};
use super::{Identity, State, VERSION, words};

/// Connections that have not said who they are, at a time.
const STRANGERS_MAX: usize = 64;

/// After an error of accept (descriptors used up, most likely) this long passes before the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A caller that has not said who it is.
struct Stranger {
    task: AbortHandle,
    /// It has: it is none any more.
    known: Rc<Cell<bool>>,
}

impl State {
    /// Takes calls. Never ends. One stranger more than there may be ends the oldest: those who keep quiet keep no peer out.
    pub(super) async fn accept(self: Rc<Self>, listener: TcpListener) {
        let mut strangers = VecDeque::<Stranger>::new();
        loop {
            match listener.accept().await {
                Ok((stream, address)) => {
                    strangers.retain(|stranger| !stranger.known.get() && !stranger.task.is_finished());
                    if strangers.len() >= STRANGERS_MAX
                        && let Some(oldest) = strangers.pop_front()
                    {
                        oldest.task.abort();
                    }
                    let (state, known) = (Rc::clone(&self), Rc::<Cell<bool>>::default());
                    let heard = Rc::clone(&known);
                    let task = tokio::task::spawn_local(async move {
                        if let Err(error) = state.answer(stream, address, &heard).await {
                            tracing::debug!(%address, %error, "a call on the peer port came to nothing");
                        }
                    });
                    strangers.push_back(Stranger { task: task.abort_handle(), known });
                }
                Err(error) => {
                    tracing::warn!(%error, "the peer port cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn answer(self: &Rc<Self>, mut stream: TcpStream, address: SocketAddr, heard: &Cell<bool>) -> io::Result<()> {
        // Counted, so that clients take less meanwhile, and never refused: a peer must come in also when they have taken everything.
        let charge = self.links.shards.reach().account().map(|account| account.holder(PEER_PARTS).count(words::BYTES_MAX));
        let hello: Hello = words::hear(&mut stream).await?;
        heard.set(true);
        drop(charge);
        let reading = Reading::before_now(hello.clock_ms);
        let identity = self.links.standing.identity();
        let roster = self.links.shards.roster();
        let (identity, named) = (identity.as_deref(), self.links.shards.named());
        let (peer_id, disk) = (&*self.links.peer_id, self.links.disk);
        let knows = Knows { identity, peer_id, disk, roster: &roster, named: &named };
        let answer = hello::answer(&hello, &knows);
        // Also of a caller that gets no link: one that this peer's registry does not know may know more of its disk.
        let own = self.check_own(&hello, identity);
        let judged = match answer {
            Answer::Accept | Answer::Tell => {
                own.and_then(|knows_us| Ok((knows_us, self.judge_caller(&hello, identity, &roster)?)))
            }
            _ => Ok((false, None)),
        };
        let joins = matches!(answer, Answer::Join(_));
        let (verdict, reason) = match (answer, &judged) {
            (_, Err(refusal)) => refusal.clone(),
            (Answer::Accept, Ok(_)) => self.proof.taken_call(hello.from),
            (Answer::Join(registry), _) => self.join(&hello, *registry).await,
            (Answer::Empty, _) => (Verdict::Empty, "this peer's disk is empty".to_owned()),
            (Answer::Tell, _) => (Verdict::Told, String::new()),
            (Answer::Refuse(verdict, reason), _) => (verdict, reason),
        };
        // Who does not know this disk's key yet is told it when the registry has it for a member.
        let (knows_us, mut disk) = judged.unwrap_or_default();
        if joins && verdict == Verdict::Accepted {
            let me = self.links.standing.identity();
            disk = self.judge_caller(&hello, me.as_deref(), &roster).unwrap_or_default();
        }
        if verdict == Verdict::Accepted {
            self.believed_by(hello.from).await?;
        }
        let welcome = Welcome {
            verdict: verdict.into(),
            reason: reason.clone(),
            version: VERSION,
            clock_ms: self.links.shards.reach().clocks().own().ms(),
            service_address: self.links.service_address.clone(),
            disk_state: (knows_us || disk.is_some()).then(|| self.own_disk(hello.from)),
            ..self.introduce(verdict, identity)
        };
        words::say(&mut stream, &welcome).await?;
        if verdict != Verdict::Accepted {
            if matches!(verdict, Verdict::Mismatch | Verdict::Outdated) && self.told.is_due(&reason, tokio::time::Instant::now())
            {
                tracing::warn!(%address, reason, "refused a link");
            }
            return Ok(());
        }
        let reach = self.links.shards.reach();
        reach.update(hello.from, |reach| reach.service_address.clone_from(&hello.service_address));
        reach.measured(hello.from, reading);
        let shard = hello.shard as usize % self.links.shards.count();
        self.hand_over((hello.from, disk), hello.shard, shard, stream)
    }

    /// Who this peer is, for those who are told.
    fn introduce(&self, verdict: Verdict, identity: Option<&Identity>) -> Welcome {
        if !matches!(verdict, Verdict::Empty | Verdict::Told | Verdict::Outdated | Verdict::Removed) {
            return Welcome::default();
        }
        Welcome {
            peer_id: identity.map_or_else(|| self.links.peer_id.clone(), |me| me.peer_id.clone()),
            peer_number: identity.map_or(0, |me| me.peer_number),
            cluster_id: identity.map(|me| me.cluster_id.clone()).unwrap_or_default(),
            disk: self.links.disk.to_string(),
            ..Welcome::default()
        }
    }

    /// Becomes the member that the registry has this peer for.
    async fn join(&self, hello: &Hello, registry: Registry) -> (Verdict, String) {
        if self.joining.replace(true) {
            return (Verdict::Later, "this peer is joining".to_owned());
        }
        self.invited.replace(Some(registry.roster.clone()));
        let joined = (self.links.join)(hello.clone(), registry).await;
        self.joining.set(false);
        match joined {
            Ok(()) => (Verdict::Accepted, String::new()),
            Err(reason) => (Verdict::Later, format!("this peer could not join: {reason}")),
        }
    }
}
