//! One connection at work: a task that reads, a task that writes, and one that asks now and then whether the other end lives.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures_channel::oneshot;
use z4_model::ids::{GroupId, PeerNumber};
use z4_proto::peer::frame::Body;
use z4_proto::peer::{Append, Beats, Failure, Frame, Ping, Pong, beat, failure};

use super::beats::{GATHER, Gathered};
use super::clocks::Reading;
use super::disks::Seen;
use super::error::LinkError;
use super::outgoing::{Incoming, Outgoing, is_urgent};
use super::pace::Pace;
use super::requests::{self, Turn, Turns, UnderWay};
use super::unread::Unread;
use super::{Links, frame};
use crate::account::{Full, Holder, PEER_PARTS, Share};
use crate::runtime::clock::Instant;
use crate::runtime::maps::HashMap;
use crate::runtime::net::{Connected, Socket, SocketCloser};
use crate::runtime::notify::Notify;
use crate::runtime::{clock, executor};

/// More bytes than these do not wait to be sent on one link.
const QUEUE_BYTES_MAX: usize = 32 << 20;

/// A link over which nothing came for so long is down: the other end asks at least once in [`PING`].
const SILENCE_MAX: Duration = Duration::from_secs(4);

/// A link over which something came within this is not given up for another one: the other end answers once in [`PING`].
const LIVING: Duration = Duration::from_millis(2_500);

/// How often the other end is asked whether it lives.
const PING: Duration = Duration::from_secs(1);

/// Why a link to a process that is over ends.
const OVER: &str = "another process has been started on that peer's disk";

/// A connection whose two ends know each other.
#[derive(Debug)]
pub struct Established {
    /// Who is at the other end.
    pub peer: PeerNumber,
    /// Which shard of it.
    pub remote_shard: u32,
    /// What is known of its disk; `None`: it says nothing of it, or nobody knows whose it is.
    pub disk: Option<Arc<Seen>>,
    /// The connection; nothing but the first words has been read from it.
    pub stream: Connected,
    /// Dropped when the link goes down.
    pub open: oneshot::Sender<()>,
}

/// One link.
pub struct Connection {
    pub(super) peer: PeerNumber,
    pub(super) remote_shard: u32,
    disk: Option<Arc<Seen>>,
    closer: SocketCloser,
    links: Links,
    out: RefCell<Outgoing>,
    /// Who is charged for what this end keeps for the other.
    holder: Option<Holder>,
    /// The charge for what waits to be sent. It is counted and never refused: the work of the cluster goes on, and clients wait for it.
    charge: RefCell<Option<Share>>,
    /// Something waits to be sent, or the connection was closed.
    more: Notify,
    /// Wakers of those who wait for room.
    crowded: RefCell<Vec<oneshot::Sender<()>>>,
    next_id: Cell<u64>,
    asked: RefCell<HashMap<u64, oneshot::Sender<Body>>>,
    turns: Turns,
    /// What the other end asks.
    under_way: UnderWay,
    beats: Gathered,
    heard: Cell<Instant>,
    closed: RefCell<Option<String>>,
    _open: oneshot::Sender<()>,
}

impl Connection {
    /// Starts to read and write.
    pub(super) fn start(established: Established, links: &Links) -> io::Result<Rc<Self>> {
        let Established { peer, remote_shard, disk, stream, open } = established;
        let (socket, closer) = Socket::adopt(stream)?;
        let holder = links.reach().account().map(|account| account.holder(PEER_PARTS));
        let connection = Rc::new(Connection {
            peer,
            remote_shard,
            disk,
            closer,
            links: links.clone(),
            out: RefCell::default(),
            charge: RefCell::new(holder.as_ref().map(|holder| holder.count(0))),
            holder,
            more: Notify::default(),
            crowded: RefCell::default(),
            next_id: Cell::new(1),
            asked: RefCell::default(),
            turns: Turns::default(),
            under_way: UnderWay::default(),
            beats: Gathered::default(),
            heard: Cell::new(clock::monotonic()),
            closed: RefCell::default(),
            _open: open,
        });
        let socket = Rc::new(socket);
        executor::spawn(Rc::clone(&connection).read(Rc::clone(&socket)));
        executor::spawn(Rc::clone(&connection).write(socket));
        executor::spawn(Rc::clone(&connection).keep_alive());
        Ok(connection)
    }

    /// Sends a request; the answer comes to the receiver, which is cancelled when the link goes down.
    pub(super) fn ask(&self, group: GroupId, body: Body) -> Result<oneshot::Receiver<Body>, LinkError> {
        self.check_room(is_urgent(&body))?;
        let id = self.next_id();
        self.put(id, false, group.0.into(), body);
        Ok(self.expect(id))
    }

    /// Sends a heartbeat with those of other groups.
    pub(super) fn beat(self: &Rc<Self>, group: GroupId, append: Append) -> oneshot::Receiver<Body> {
        let id = self.next_id();
        let answer = self.expect(id);
        if self.beats.append(id, group, append) {
            self.send_beats_soon();
        }
        answer
    }

    /// Sends a message that wants no answer.
    pub(super) fn tell(&self, group: GroupId, body: Body) -> Result<(), LinkError> {
        self.check_room(is_urgent(&body))?;
        self.put(0, false, group.0.into(), body);
        Ok(())
    }

    /// Waits until less than half of the bound waits to be sent.
    pub(super) async fn room(&self) {
        while self.closed.borrow().is_none() && self.out.borrow().bytes() > QUEUE_BYTES_MAX / 2 {
            let (tx, rx) = oneshot::channel();
            self.crowded.borrow_mut().push(tx);
            let _ = rx.await;
        }
    }

    /// Takes memory for something of the other end's that is kept here; `None`: nobody is charged.
    pub(super) fn charge(&self, bytes: usize) -> Result<Option<Share>, Full> {
        self.holder.as_ref().map(|holder| holder.take(bytes)).transpose()
    }

    /// Waits until this request may be sent; the other end refuses what is beyond its bound. `None`: the link is down.
    pub(super) async fn turn(&self, body: &Body) -> Option<Turn> {
        self.turns.take(body).await
    }

    /// The other end was there just now.
    pub(super) fn is_living(&self) -> bool {
        self.closed.borrow().is_none() && !self.is_over() && clock::monotonic().duration_since(self.heard.get()) < LIVING
    }

    /// The process at the other end is one that another has taken the place of, with the same disk.
    fn is_over(&self) -> bool {
        self.disk.as_ref().is_some_and(|disk| disk.is_over())
    }

    /// Ends the connection: whoever waits for an answer hears that it is lost.
    pub(super) fn close(&self, reason: &str) {
        self.closed.borrow_mut().get_or_insert_with(|| reason.to_owned());
        self.closer.close();
        self.asked.take();
        self.turns.end();
        self.crowded.take();
        self.more.call();
    }

    fn next_id(&self) -> u64 {
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        id
    }

    fn expect(&self, id: u64) -> oneshot::Receiver<Body> {
        let (tx, rx) = oneshot::channel();
        self.asked.borrow_mut().insert(id, tx);
        rx
    }

    /// What is urgent does not wait for the rest to become less.
    fn check_room(&self, urgent: bool) -> Result<(), LinkError> {
        if let Some(reason) = &*self.closed.borrow() {
            return Err(LinkError::Down { peer: self.peer, reason: reason.clone() });
        }
        let waiting = if urgent { self.out.borrow().urgent_bytes() } else { self.out.borrow().bytes() };
        match waiting < QUEUE_BYTES_MAX {
            true => Ok(()),
            false => Err(LinkError::Full { peer: self.peer, limit: QUEUE_BYTES_MAX }),
        }
    }

    /// What is said of the log is said after it: whatever the body answers is durable up to there.
    fn put(&self, id: u64, answer: bool, group: u32, body: Body) {
        let log_end = self.links.log_end();
        let more = {
            let mut out = self.out.borrow_mut();
            let before = out.bytes();
            out.put(&Frame { id, answer, group, log_end, body: Some(body) });
            out.bytes() - before
        };
        if let Some(charge) = &mut *self.charge.borrow_mut() {
            charge.count(more);
        }
        self.more.call();
    }

    fn send_beats_soon(self: &Rc<Self>) {
        let connection = Rc::clone(self);
        executor::spawn(async move {
            executor::sleep(GATHER).await;
            if let Some(body) = connection.beats.take() {
                connection.put(0, false, 0, body);
            }
        });
    }

    async fn write(self: Rc<Self>, socket: Rc<Socket>) {
        loop {
            self.more.wait().await;
            loop {
                let Some(batch) = self.out.borrow_mut().next() else { break };
                if let Err(error) = socket.write_all(&batch).await {
                    return self.end(&format!("writing: {error}"));
                }
                if let Some(charge) = &mut *self.charge.borrow_mut() {
                    charge.shrink(batch.len());
                }
                if self.out.borrow().bytes() <= QUEUE_BYTES_MAX / 2 {
                    self.crowded.take();
                }
            }
            if self.closed.borrow().is_some() {
                return;
            }
        }
    }

    async fn read(self: Rc<Self>, socket: Rc<Socket>) {
        let (mut buffer, mut incoming) = (BytesMut::new(), Incoming::default());
        let mut unread = Unread::new(self.links.reach());
        let mut pace = Pace::default();
        let reason = loop {
            // The other end does not read what it asks for: it is not asked for more.
            if self.out.borrow().bytes() >= QUEUE_BYTES_MAX {
                self.room().await;
            }
            match socket.read(&mut buffer).await {
                Ok(0) => break "the other end closed it".to_owned(),
                Ok(_) => self.heard.set(clock::monotonic()),
                Err(error) => break format!("reading: {error}"),
            }
            pace.go_on(self.heard.get());
            loop {
                // Frames may be tiny and many: everything else has its turn among them, and the executor looks at its rings.
                pace.step().await;
                let whole = match frame::take(&mut buffer) {
                    Ok(Some(Frame { body: Some(Body::Piece(piece)), .. })) => match incoming.take(&piece) {
                        Ok(None) => continue,
                        whole => whole,
                    },
                    whole => whole,
                };
                match whole {
                    Ok(Some(_)) if self.is_over() => return self.end(OVER),
                    Ok(Some(frame)) => {
                        if frame.id != 0 && !frame.answer {
                            pace.began();
                        }
                        self.take_in(frame);
                    }
                    Ok(None) => break,
                    Err(error) => return self.end(&error.to_string()),
                }
            }
            pace.rest();
            if let Err(full) = unread.hold(buffer.len() + incoming.bytes()).await {
                return self.end(&format!("reading a frame: {full}"));
            }
            executor::yield_if_needed().await;
        };
        self.end(&reason);
    }

    fn end(self: &Rc<Self>, reason: &str) {
        self.close(reason);
        self.links.gone(self, reason);
    }

    /// Hands a frame to whom it is for.
    fn take_in(self: &Rc<Self>, frame: Frame) {
        let Some(body) = frame.body else { return };
        if let Some(disk) = &self.disk {
            disk.saw(self.remote_shard as usize, frame.log_end);
        }
        if frame.answer {
            return self.answered(frame.id, body);
        }
        let group = GroupId(frame.group as u16);
        match body {
            Body::Ping(_) => {
                let pong = Body::Pong(Pong {
                    clock_ms: self.links.reach().clocks().own().ms(),
                    disk_short_of: self.links.reach().space().short_of().unwrap_or(0),
                });
                self.put(frame.id, true, 0, pong);
            }
            Body::Beats(beats) => self.take_beats(beats),
            body => {
                let Some(inbound) = self.links.inbound() else { return };
                if frame.id == 0 {
                    return inbound.tell(self.peer, group, body);
                }
                let Some(asked) = self.under_way.enter(requests::weight(&body)) else {
                    return self.put(frame.id, true, frame.group, requests::refusal());
                };
                let (answer, answered) = oneshot::channel();
                inbound.ask(self.peer, group, body, answer);
                let connection = Rc::clone(self);
                executor::spawn(async move {
                    let body = answered.await.unwrap_or_else(|_| unknown());
                    connection.put(frame.id, true, frame.group, body);
                    drop(asked);
                });
            }
        }
    }

    fn answered(&self, id: u64, body: Body) {
        if let Some(asker) = self.asked.borrow_mut().remove(&id) {
            // Whoever asked may have given up.
            let _ = asker.send(body);
        }
    }

    fn take_beats(self: &Rc<Self>, beats: Beats) {
        let Some(inbound) = self.links.inbound() else { return };
        for one in beats.beats {
            let group = GroupId(one.group as u16);
            match one.body {
                Some(beat::Body::Append(append)) => {
                    let (answer, answered) = oneshot::channel();
                    inbound.ask(self.peer, group, Body::Append(append), answer);
                    let connection = Rc::clone(self);
                    executor::spawn(async move {
                        if let Ok(Body::Appended(appended)) = answered.await
                            && connection.beats.appended(one.id, group, appended)
                        {
                            connection.send_beats_soon();
                        }
                    });
                }
                Some(beat::Body::Appended(appended)) => self.answered(one.id, Body::Appended(appended)),
                None => {}
            }
        }
    }

    /// Asks whether the other end lives, for as long as the connection does.
    async fn keep_alive(self: Rc<Self>) {
        while self.closed.borrow().is_none() {
            if self.is_over() {
                return self.end(OVER);
            }
            let now = clock::monotonic();
            if now.duration_since(self.heard.get()) > SILENCE_MAX {
                return self.end(&format!("nothing was heard for {} s", SILENCE_MAX.as_secs()));
            }
            let (clock_ms, asked_us) = (self.links.reach().clocks().own().ms(), clock::monotonic_us());
            if let Ok(answer) = self.ask(GroupId::REGISTRY, Body::Ping(Ping { clock_ms })) {
                let connection = Rc::clone(&self);
                executor::spawn(async move {
                    if let Ok(Body::Pong(pong)) = answer.await {
                        let reach = connection.links.reach();
                        let short_of = Some(pong.disk_short_of).filter(|reserve| *reserve > 0);
                        reach.update(connection.peer, |reach| reach.short_of = short_of);
                        reach.measured(connection.peer, Reading::between(asked_us, pong.clock_ms));
                    }
                });
            }
            executor::sleep(PING).await;
        }
    }
}

/// Answers a request of which nothing is known.
fn unknown() -> Body {
    Body::Failure(Failure { kind: failure::Kind::Unknown.into(), text: "the request was dropped".to_owned(), limit: 0 })
}
