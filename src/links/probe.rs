//! Who is at an address: asked before a peer is added, so that a wish which cannot come true is not stored.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use futures_channel::oneshot;
use tokio::sync::mpsc;
use z4_model::ids::PeerNumber;
use z4_model::rows::incarnation::Incarnation;
use z4_proto::peer::welcome::Verdict;
use z4_proto::peer::{Hello, Welcome};

use super::{State, VERSION, dial, words};

/// Whoever does not answer within this is not there: less than a client waits for a request.
const ANSWER_MAX: Duration = Duration::from_secs(3);

/// Questions that wait.
const WAITING_MAX: usize = 16;

/// Who is at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A peer that belongs to no cluster, with an empty disk.
    Empty {
        /// What its configuration calls it; empty: nothing.
        id: String,
        /// Its disk.
        disk: Incarnation,
    },
    /// A member of some cluster.
    Member {
        /// Its id.
        id: String,
        /// Its number.
        number: PeerNumber,
        /// The cluster.
        cluster: String,
    },
    /// Nobody who answers as a peer does, and why.
    Nobody(String),
}

struct Question {
    address: String,
    id: String,
    answer: oneshot::Sender<Found>,
}

/// Asks, from any thread.
#[derive(Clone, Debug)]
pub struct Prober(mpsc::Sender<Question>);

/// Where the questions arrive: on the thread of the links.
#[derive(Debug)]
pub struct Questions(mpsc::Receiver<Question>);

/// A new pair.
pub fn prober() -> (Prober, Questions) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    (Prober(sender), Questions(receiver))
}

impl Prober {
    /// Asks who is at an address; `id`: whom one hopes for.
    pub async fn who_is_at(&self, address: &str, id: &str) -> Found {
        let (answer, answered) = oneshot::channel();
        let question = Question { address: address.to_owned(), id: id.to_owned(), answer };
        let nobody = || Found::Nobody("this peer cannot call it now; try again".to_owned());
        match self.0.try_send(question) {
            Ok(()) => answered.await.unwrap_or_else(|_| nobody()),
            Err(_) => nobody(),
        }
    }
}

impl State {
    /// Answers questions. Never ends.
    pub(super) async fn probe(self: Rc<Self>, mut questions: Questions) {
        while let Some(Question { address, id, answer }) = questions.0.recv().await {
            let state = Rc::clone(&self);
            tokio::task::spawn_local(async move {
                let found = match tokio::time::timeout(ANSWER_MAX, state.who_is_at(&address, &id)).await {
                    Ok(Ok(found)) => found,
                    Ok(Err(error)) => Found::Nobody(error.to_string()),
                    Err(_) => Found::Nobody(format!("no answer within {} s", ANSWER_MAX.as_secs())),
                };
                // Whoever asked may have gone.
                let _ = answer.send(found);
            });
        }
    }

    async fn who_is_at(&self, address: &str, id: &str) -> io::Result<Found> {
        let mut stream = dial::connect(address).await?;
        let me = self.links.standing.identity();
        let hello = Hello {
            version: VERSION,
            from: me.as_ref().map_or(0, |me| me.peer_number),
            from_id: me.map(|me| me.peer_id.clone()).unwrap_or_default(),
            to_id: id.to_owned(),
            probe: true,
            ..Hello::default()
        };
        words::say(&mut stream, &hello).await?;
        let welcome: Welcome = words::hear(&mut stream).await?;
        if welcome.verdict() != Verdict::Told {
            return Ok(Found::Nobody(welcome.reason));
        }
        if welcome.peer_number != 0 {
            return Ok(Found::Member { id: welcome.peer_id, number: welcome.peer_number, cluster: welcome.cluster_id });
        }
        let disk = Incarnation::parse(&welcome.disk).ok_or_else(|| io::Error::other("its answer is malformed"))?;
        Ok(Found::Empty { id: welcome.peer_id, disk })
    }

    /// Tells early when nobody will reach this peer: it calls itself.
    pub(super) async fn check_address(self: Rc<Self>) {
        let mut error = String::new();
        for _ in 0..SELF_TRIES {
            match dial::connect(&self.links.address).await {
                Ok(_) => return,
                Err(e) => error = e.to_string(),
            }
            tokio::time::sleep(SELF_AGAIN).await;
        }
        tracing::warn!(
            peer_advertise_addr = self.links.address,
            error,
            "this peer does not reach itself under the address that it tells other peers"
        );
    }
}

/// A name may take a while until it can be looked up.
const SELF_TRIES: u32 = 5;
const SELF_AGAIN: Duration = Duration::from_secs(2);
