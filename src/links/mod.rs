//! Who dials whom, and what two peers say to each other first. It runs on an ordinary tokio thread, because names are looked up and
//! strangers are waited for here; a connection whose ends know each other goes to a shard, which never sees another kind.
//!
//! Each shard has one connection to each other peer. The peer with the lower number dials; the other one dials only when nothing
//! came for a while (the first does not know it yet, or cannot reach it). A peer that was started again has none before the others have
//! said that they have not seen more of its disk than it has (`proof.rs`).

mod accept;
mod dial;
mod hello;
pub mod identity;
mod probe;
mod proof;
mod registered;
pub mod seen;
mod standing;
pub mod starts;
mod told;
mod words;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, mpsc};

use futures_channel::oneshot;
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use z4_proto::peer::Hello;
use z4_shards::link::{Established, Seen};
use z4_shards::roster::{Registry, Roster};
use z4_shards::shard::handle::Shards;

pub use hello::VERSION;
pub use identity::Identity;
pub use probe::{Found, Prober, Questions, prober};
use proof::Proof;
pub use registered::is_loopback;
pub use standing::Standing;
pub use starts::Starts;
use told::Told;
use z4_model::ids::PeerNumber;
use z4_model::rows::incarnation::Incarnation;

/// Makes this peer, which belongs to no cluster yet, the member that the registry has it for: whom the Hello calls.
pub type Join = Box<dyn Fn(Hello, Registry) -> Pin<Box<dyn Future<Output = Result<(), String>>>> + Send>;

/// What links need to know.
pub struct Links {
    /// The handle to this peer's shards.
    pub shards: Shards,
    /// Who this peer is.
    pub standing: Arc<Standing>,
    /// The id that the configuration gives it; empty: any.
    pub peer_id: String,
    /// Which disk it is.
    pub disk: Incarnation,
    /// Nothing was ever promised on this disk, so there is nothing that it could have forgotten.
    pub is_new: bool,
    /// Where what is known of other disks is kept.
    pub peer_dir: PathBuf,
    /// Where other peers reach it.
    pub address: String,
    /// This start of its disk.
    pub starts: Arc<Starts>,
    /// Where clients reach it.
    pub service_address: String,
    /// Ends the peer, with this reason.
    pub fail: Box<dyn Fn(String) + Send>,
    /// How it becomes a member.
    pub join: Join,
}

/// The links' state, on their thread.
struct State {
    links: Links,
    /// Connections per peer and shard of this one.
    up: RefCell<HashMap<(PeerNumber, usize), usize>>,
    joining: Cell<bool>,
    /// What the registry was when this peer joined: as long as its own has not come, that tells who is a member.
    invited: RefCell<Option<Roster>>,
    proof: Proof,
    /// Held while it is written to whom this disk has still to prove itself.
    proving: tokio::sync::Mutex<()>,
    told: Told,
}

impl Links {
    /// Starts the thread; it runs until the process ends. It listens when this returns.
    pub fn start(self, listener: TcpListener, questions: Questions) -> io::Result<()> {
        let (started, outcome) = mpsc::sync_channel(1);
        let run = move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(started.send(Err(error))),
            };
            let (up, joining, invited) = (RefCell::default(), Cell::new(false), RefCell::default());
            let proof = Proof::new(self.is_new);
            let (proving, told) = (tokio::sync::Mutex::default(), Told::default());
            let state = Rc::new(State { links: self, up, joining, invited, proof, proving, told });
            LocalSet::new().block_on(&runtime, async {
                let ready = listener.set_nonblocking(true).and_then(|()| tokio::net::TcpListener::from_std(listener));
                let listener = match ready {
                    Ok(listener) => listener,
                    Err(error) => return drop(started.send(Err(error))),
                };
                drop(started.send(Ok(())));
                tokio::task::spawn_local(Rc::clone(&state).probe(questions));
                tokio::task::spawn_local(Rc::clone(&state).check_address());
                tokio::task::spawn_local(Rc::clone(&state).keep_registered());
                tokio::task::spawn_local(Rc::clone(&state).prove());
                tokio::task::spawn_local(Rc::clone(&state).keep_seen());
                tokio::join!(Rc::clone(&state).accept(listener), Rc::clone(&state).dial());
            });
        };
        std::thread::Builder::new().name("z4-links".into()).spawn(run)?;
        outcome.recv().unwrap_or_else(|_| Err(io::Error::other("the thread of the links ended before it started")))
    }
}

impl State {
    /// Gives a connection to a shard, and remembers it for as long as it lasts.
    fn hand_over(
        self: &Rc<Self>,
        (peer, disk): (PeerNumber, Option<Arc<Seen>>),
        remote_shard: u32,
        shard: usize,
        stream: TcpStream,
    ) -> io::Result<()> {
        let stream = stream.into_std()?;
        let (open, closed) = oneshot::channel::<()>();
        *self.up.borrow_mut().entry((peer, shard)).or_default() += 1;
        self.links.shards.adopt(shard, Established { peer, remote_shard, disk, stream, open });
        let state = Rc::clone(self);
        tokio::task::spawn_local(async move {
            // Never sent: the sender goes with the connection.
            let _ = closed.await;
            let mut up = state.up.borrow_mut();
            if let Some(count) = up.get_mut(&(peer, shard)) {
                *count -= 1;
            }
        });
        Ok(())
    }

    fn is_up(&self, peer: PeerNumber, shard: usize) -> bool {
        self.up.borrow().get(&(peer, shard)).is_some_and(|count| *count > 0)
    }
}
