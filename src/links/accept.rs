//! The peer port.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use z4_proto::peer::welcome::Verdict;
use z4_proto::peer::{Hello, Welcome};
use z4_shards::runtime::clock;

use super::hello::{self, Answer};
use super::{State, VERSION, words};

/// Connections that have not said who they are, at a time; more wait in the listener's backlog.
const STRANGERS_MAX: usize = 64;

/// After an error of accept (descriptors used up, most likely) this long passes before the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl State {
    /// Takes calls. Never ends.
    pub(super) async fn accept(self: Rc<Self>, listener: TcpListener) {
        let strangers = std::sync::Arc::new(tokio::sync::Semaphore::new(STRANGERS_MAX));
        while let Ok(place) = strangers.clone().acquire_owned().await {
            match listener.accept().await {
                Ok((stream, address)) => {
                    let state = Rc::clone(&self);
                    tokio::task::spawn_local(async move {
                        if let Err(error) = state.answer(stream).await {
                            tracing::debug!(%address, %error, "a call on the peer port came to nothing");
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the peer port cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn answer(self: &Rc<Self>, mut stream: TcpStream) -> io::Result<()> {
        let hello: Hello = words::hear(&mut stream).await?;
        let heard_ms = clock::wall_ms();
        let identity = self.links.standing.identity();
        let roster = self.links.shards.roster();
        let mut answer = hello::answer(&hello, identity.as_deref(), &self.links.peer_id, &roster);
        if answer == Answer::Join {
            answer = self.join(&hello).await;
        }
        let (verdict, reason) = match answer {
            Answer::Accept => (Verdict::Accepted, String::new()),
            Answer::Join => (Verdict::Later, "this peer is joining".to_owned()),
            Answer::Refuse(verdict, reason) => (verdict, reason),
        };
        let welcome = Welcome {
            verdict: verdict.into(),
            reason: reason.clone(),
            version: VERSION,
            clock_ms: clock::wall_ms(),
            service_address: self.links.service_address.clone(),
        };
        words::say(&mut stream, &welcome).await?;
        if verdict != Verdict::Accepted {
            tracing::debug!(from = hello.from_id, ?verdict, reason, "refused a link");
            if verdict == Verdict::Mismatch {
                tracing::warn!(from = hello.from_id, cluster = hello.cluster_id, reason, "refused a link");
            }
            return Ok(());
        }
        self.links.shards.reach().update(hello.from, |reach| {
            reach.service_address.clone_from(&hello.service_address);
            reach.skew_ms = hello.clock_ms as f64 - heard_ms as f64;
        });
        let shard = hello.shard as usize % self.links.shards.count();
        self.hand_over(hello.from, hello.shard, shard, stream)
    }

    /// Becomes the member that the caller takes this peer for.
    async fn join(&self, hello: &Hello) -> Answer {
        if self.joining.replace(true) {
            return Answer::Refuse(Verdict::Later, "this peer is joining".to_owned());
        }
        let joined = (self.links.join)(hello.clone()).await;
        self.joining.set(false);
        match joined {
            Ok(()) => Answer::Accept,
            Err(reason) => Answer::Refuse(Verdict::Later, format!("this peer could not join: {reason}")),
        }
    }
}
