//! What one end of a link has asked of the other and has no answer to yet. Each request is a task there, and mostly a wait for a quorum and a
//! read, so there is a bound, and the end that is asked keeps it: what is beyond it is refused with a word, at once. The link is read on,
//! because appends and heartbeats come over it. An end that has its requests wait for a turn is never refused.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use futures_channel::oneshot;
use z4_proto::peer::frame::Body;
use z4_proto::peer::{Failure, failure};

/// The other end's requests under way, by their weight.
const UNDER_WAY_MAX: usize = 1_024;

/// This end's requests that wait for a turn have so much of it; the rest is for commands, which go at once and have a queue of their own.
const TURNS_MAX: usize = 768;

/// A page is up to a mebibyte of answer, and many rows to read.
const PAGE_WEIGHT: usize = 16;

/// What too many requests are called.
pub const REQUESTS: &str = "the requests of a link between peers that are under way";

/// How much a request counts. What a replica asks of another counts nothing: it is bounded where it is asked, and a group whose appends or
/// ballots were refused would be without a leader. Nor does a consumer's seat, which lasts as long as the consumer.
pub(super) fn weight(body: &Body) -> usize {
    match body {
        Body::Append(_) | Body::Ballot(_) | Body::Transfer(_) | Body::Estate(_) | Body::Rebuild(_) => 0,
        Body::SnapshotBegin(_) | Body::SnapshotChunk(_) | Body::SnapshotEnd(_) => 0,
        Body::Subscribe(_) => 0,
        Body::ListTasks(_) | Body::ListNamespaces(_) | Body::ListLeases(_) => PAGE_WEIGHT,
        _ => 1,
    }
}

/// The answer to a request beyond the bound: nothing was done.
pub(super) fn refusal() -> Body {
    let limit = UNDER_WAY_MAX as u64;
    Body::Failure(Failure { kind: failure::Kind::Overloaded.into(), text: REQUESTS.to_owned(), limit })
}

/// Requests of the other end.
#[derive(Default)]
pub(super) struct UnderWay(Rc<Cell<usize>>);

/// One of them; it is answered when this is dropped.
pub(super) struct Asked(Rc<Cell<usize>>, usize);

impl UnderWay {
    /// One more; `None`: there are too many.
    pub(super) fn enter(&self, weight: usize) -> Option<Asked> {
        let UnderWay(sum) = self;
        if weight > 0 && sum.get() + weight > UNDER_WAY_MAX {
            return None;
        }
        sum.set(sum.get() + weight);
        Some(Asked(Rc::clone(sum), weight))
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let Asked(sum, weight) = self;
        sum.set(sum.get() - *weight);
    }
}

/// This end's requests that take turns, in the order in which they come.
#[derive(Default)]
pub(super) struct Turns(Rc<Line>);

#[derive(Default)]
struct Line {
    sum: Cell<usize>,
    waiting: RefCell<VecDeque<(usize, oneshot::Sender<Turn>)>>,
}

/// A request's turn; it is over when this is dropped.
pub struct Turn {
    line: Rc<Line>,
    weight: usize,
}

impl Turns {
    /// Waits for a turn; one that is there is taken at once. `None`: the link is down.
    pub(super) async fn take(&self, body: &Body) -> Option<Turn> {
        let (Turns(line), weight) = (self, weight(body));
        if line.waiting.borrow().is_empty() && line.has_room(weight) {
            return Some(line.begin(weight));
        }
        let (tx, rx) = oneshot::channel();
        {
            let mut waiting = line.waiting.borrow_mut();
            // Those who gave up at the end of the line; the others go when it is their turn.
            while waiting.back().is_some_and(|(_, last)| last.is_canceled()) {
                waiting.pop_back();
            }
            waiting.push_back((weight, tx));
        }
        rx.await.ok()
    }

    /// Nobody waits any more.
    pub(super) fn end(&self) {
        self.0.waiting.take();
    }
}

impl Line {
    fn has_room(&self, weight: usize) -> bool {
        self.sum.get() + weight <= TURNS_MAX
    }

    fn begin(self: &Rc<Self>, weight: usize) -> Turn {
        self.sum.set(self.sum.get() + weight);
        Turn { line: Rc::clone(self), weight }
    }

    /// Gives turns to those who wait, as far as there is room.
    fn pass_on(self: &Rc<Self>) {
        loop {
            let next = self.waiting.borrow_mut().pop_front_if(|(weight, tx)| tx.is_canceled() || self.has_room(*weight));
            let Some((weight, tx)) = next else { return };
            if !tx.is_canceled() {
                // It waits, so it takes it, or drops it, which passes it on.
                let _ = tx.send(self.begin(weight));
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.line.sum.set(self.line.sum.get() - self.weight);
        self.line.pass_on();
    }
}

#[cfg(test)]
mod tests {
    //! Were a turn lost, the line would stand still one day; were it given twice, the other end would refuse what honest clients ask.
    use futures_util::FutureExt;
    use z4_proto::peer::{ListNamespaces, ReadIndex};

    use super::*;

    fn read() -> Body {
        Body::ReadIndex(ReadIndex::default())
    }

    fn page() -> Body {
        Body::ListNamespaces(ListNamespaces::default())
    }

    #[test]
    fn what_is_beyond_the_bound_is_refused_until_something_is_answered() {
        let requests = UnderWay::default();
        let mut asked: Vec<Asked> = std::iter::from_fn(|| requests.enter(weight(&page()))).collect();
        assert_eq!(asked.len(), UNDER_WAY_MAX / PAGE_WEIGHT);
        assert!(requests.enter(weight(&read())).is_none());
        let append = Body::Append(z4_proto::peer::Append::default());
        assert!((0..10_000).all(|_| requests.enter(weight(&append)).is_some()), "a replica's are not refused");
        asked.pop();
        asked.extend(std::iter::from_fn(|| requests.enter(weight(&read()))));
        assert_eq!(asked.len(), UNDER_WAY_MAX / PAGE_WEIGHT - 1 + PAGE_WEIGHT);
        drop(asked);
        assert_eq!(requests.0.get(), 0);
    }

    #[test]
    fn turns_are_taken_in_order_and_none_is_lost() {
        let turns = Turns::default();
        let take = |body: Body| {
            let turns = Turns(Rc::clone(&turns.0));
            Box::pin(async move { turns.take(&body).await })
        };
        let mut held: Vec<Turn> = Vec::new();
        while let Some(Some(turn)) = take(read()).now_or_never() {
            held.push(turn);
        }
        assert_eq!(held.len(), TURNS_MAX);
        let (mut first, mut gone, mut large, mut last) = (take(read()), take(read()), take(page()), take(read()));
        for waiting in [&mut first, &mut gone, &mut large, &mut last] {
            assert!(waiting.now_or_never().is_none());
        }
        drop(gone);
        held.pop();
        let first = first.now_or_never().flatten().expect("its turn");
        held.truncate(held.len() + 1 - PAGE_WEIGHT);
        assert!((&mut last).now_or_never().is_none(), "nobody overtakes the one before, however small it is");
        drop(first);
        let large = large.now_or_never().flatten().expect("there is room for it");
        assert!((&mut last).now_or_never().is_none());
        drop(large);
        let last = last.now_or_never().flatten().expect("its turn");
        // One that was given its turn and does not look any more passes it on.
        let filled: Vec<Turn> = std::iter::from_fn(|| take(read()).now_or_never().flatten()).collect();
        let (mut given, mut next) = (take(read()), take(read()));
        assert!((&mut given).now_or_never().is_none() && (&mut next).now_or_never().is_none());
        drop(last);
        drop(given);
        assert!(next.now_or_never().flatten().is_some());
        let mut late = take(read());
        let all: Vec<Turn> = std::iter::from_fn(|| take(read()).now_or_never().flatten()).collect();
        assert!((&mut late).now_or_never().is_none_or(|turn| turn.is_some()));
        turns.end();
        drop((held, filled, all, late));
        assert_eq!((turns.0.sum.get(), turns.0.waiting.borrow().len()), (0, 0));
    }

    #[test]
    fn who_waits_for_a_link_that_goes_down_hears_it() {
        let turns = Turns::default();
        let _held: Vec<Turn> = std::iter::from_fn(|| turns.take(&read()).now_or_never().flatten()).collect();
        let body = read();
        let mut waits = Box::pin(turns.take(&body));
        assert!((&mut waits).now_or_never().is_none());
        turns.end();
        assert!(waits.now_or_never().expect("it hears").is_none());
    }
}
