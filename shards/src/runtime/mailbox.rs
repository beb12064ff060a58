//! A bounded mailbox between threads: many senders, one receiver on an executor.
//!
//! A send is one push into a lock-free ring and, when the receiver waits, one wake. The receiver drains what is there in one go, so
//! under load a wake pays for many messages.
//!
//! Beside the ring is a lane for messages that must arrive, also when the ring is full: nobody waits for room, so no two executors can
//! wait for each other. It has no bound of its own; what goes there is bounded by what exists.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::task::Poll;

use crossbeam::queue::{ArrayQueue, SegQueue};
use futures_util::task::AtomicWaker;

struct Shared<T> {
    ring: ArrayQueue<T>,
    /// What found the ring full and must arrive.
    lane: SegQueue<T>,
    waker: AtomicWaker,
    senders: AtomicUsize,
    receiver_gone: AtomicBool,
}

/// The sending side; cheap to clone.
pub struct Sender<T>(Arc<Shared<T>>);

/// The receiving side.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    /// Messages of the lane that are next in turn, and how many of the ring come before them.
    overdue: usize,
    before: usize,
}

/// Why a message was not taken; it is given back.
#[derive(Debug)]
pub enum SendError<T> {
    /// The mailbox holds as many messages as it may.
    Full(T),
    /// Nobody will ever read it.
    Closed(T),
}

/// Makes a mailbox for at most `messages_max` messages.
pub fn mailbox<T>(messages_max: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        ring: ArrayQueue::new(messages_max.max(1)),
        lane: SegQueue::new(),
        waker: AtomicWaker::new(),
        senders: AtomicUsize::new(1),
        receiver_gone: AtomicBool::new(false),
    });
    (Sender(Arc::clone(&shared)), Receiver { shared, overdue: 0, before: 0 })
}

impl<T> Shared<T> {
    /// A message was put in.
    fn sent(&self) {
        self.waker.wake();
        // A receiver that went meanwhile may have emptied the mailbox before the message was there.
        fence(Ordering::SeqCst);
        if self.receiver_gone.load(Ordering::Relaxed) {
            self.clear();
        }
    }

    /// Messages may own reply channels: dropping them tells their senders.
    fn clear(&self) {
        while self.ring.pop().is_some() {}
        while self.lane.pop().is_some() {}
    }
}

impl<T> Sender<T> {
    /// Puts a message in, or gives it back.
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        if self.0.receiver_gone.load(Ordering::Acquire) {
            return Err(SendError::Closed(message));
        }
        self.0.ring.push(message).map_err(SendError::Full)?;
        self.0.sent();
        Ok(())
    }

    /// Puts a message in that must arrive, full or not. What one sender sends this way arrives in its order, and behind what it sent
    /// before with [`Sender::send`]. Only for messages whose number is bounded by what exists, never for requests that anybody
    /// can make more of. `false`: nobody will ever read it.
    pub fn send_surely(&self, message: T) -> bool {
        if self.0.receiver_gone.load(Ordering::Acquire) {
            return false;
        }
        // What waits in the lane came first.
        let refused = if self.0.lane.is_empty() { self.0.ring.push(message).err() } else { Some(message) };
        if let Some(message) = refused {
            self.0.lane.push(message);
        }
        self.0.sent();
        true
    }

    /// Messages waiting.
    pub fn depth(&self) -> usize {
        self.0.ring.len() + self.0.lane.len()
    }

    /// How many messages may wait.
    pub fn capacity(&self) -> usize {
        self.0.ring.capacity()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.senders.fetch_add(1, Ordering::Relaxed);
        Sender(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.0.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.waker.wake();
        }
    }
}

impl<T> Receiver<T> {
    /// Waits for messages and moves up to `at_most` of them to `into`. `false`: every sender is gone and nothing is left.
    pub async fn receive(&mut self, into: &mut Vec<T>, at_most: usize) -> bool {
        poll_fn(|cx| {
            if self.take(into, at_most) > 0 {
                return Poll::Ready(true);
            }
            self.shared.waker.register(cx.waker());
            // Again, because a message may have come between the look and the registration.
            if self.take(into, at_most) > 0 {
                return Poll::Ready(true);
            }
            match self.shared.senders.load(Ordering::Acquire) {
                0 => Poll::Ready(self.take(into, at_most) > 0),
                _ => Poll::Pending,
            }
        })
        .await
    }

    fn take(&mut self, into: &mut Vec<T>, at_most: usize) -> usize {
        let before = into.len();
        while into.len() - before < at_most {
            match self.next() {
                Some(message) => into.push(message),
                None => break,
            }
        }
        into.len() - before
    }

    /// The next message. One of the lane comes behind everything that was in the ring before it.
    fn next(&mut self) -> Option<T> {
        if self.overdue == 0 {
            // In this order: whoever put one into the lane has put what it sent before into the ring.
            self.overdue = self.shared.lane.len();
            self.before = if self.overdue == 0 { 0 } else { self.shared.ring.len() };
        }
        if self.overdue == 0 {
            return self.shared.ring.pop();
        }
        if self.before > 0 {
            self.before -= 1;
            if let Some(message) = self.shared.ring.pop() {
                return Some(message);
            }
            self.before = 0;
        }
        self.overdue -= 1;
        self.shared.lane.pop()
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.receiver_gone.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
        self.shared.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::executor;

    /// Story: three threads send while an executor receives. Every message arrives once, in the order of its sender, and the
    /// receiver learns of the end.
    #[test]
    fn messages_from_other_threads_arrive_once_and_in_order() {
        let (tx, mut rx) = mailbox::<(usize, usize)>(64);
        let thread = executor::start("mailbox-test", 0, move || async move {
            let mut next = [0usize; 3];
            let mut batch = Vec::new();
            while rx.receive(&mut batch, 16).await {
                for (sender, n) in batch.drain(..) {
                    assert_eq!(next[sender], n);
                    next[sender] += 1;
                }
            }
            next
        })
        .expect("executor");
        let senders: Vec<_> = (0..3)
            .map(|sender| {
                let tx = tx.clone();
                std::thread::spawn(move || {
                    for n in 0..10_000 {
                        let mut message = (sender, n);
                        while let Err(SendError::Full(back)) = tx.send(message) {
                            message = back;
                            std::thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        drop(tx);
        for sender in senders {
            sender.join().expect("sender");
        }
        assert_eq!(thread.join().expect("receiver"), [10_000; 3]);
    }

    #[test]
    fn a_full_or_closed_mailbox_gives_the_message_back() {
        let (tx, rx) = mailbox::<u8>(1);
        assert!(tx.send(1).is_ok());
        assert!(matches!(tx.send(2), Err(SendError::Full(2))));
        drop(rx);
        assert!(matches!(tx.send(3), Err(SendError::Closed(3))));
        assert!(!tx.send_surely(4));
    }

    /// Story: the ring is full, and a message that must arrive finds it so. It arrives, behind what was sent before it, and what the
    /// same sender sends surely after it comes after it, although the ring has room by then.
    #[test]
    fn what_must_arrive_arrives_in_its_turn_also_in_a_full_mailbox() {
        let (tx, mut rx) = mailbox::<u8>(2);
        assert!(tx.send(1).is_ok() && tx.send(2).is_ok());
        assert!(tx.send_surely(3) && tx.send_surely(4));
        assert!(matches!(tx.send(9), Err(SendError::Full(9))));
        assert_eq!(tx.depth(), 4);
        let mut got = Vec::new();
        assert_eq!(rx.take(&mut got, 1), 1);
        assert!(tx.send_surely(5), "behind those that wait, not into the room that there is now");
        assert!(tx.send(6).is_ok());
        assert_eq!(rx.take(&mut got, 99), 5);
        assert_eq!(got.iter().filter(|n| **n != 6).copied().collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        assert_eq!(rx.take(&mut got, 99), 0);
    }

    /// Story: whoever waits for an answer hears that nobody will give one, wherever the message was when the receiver went.
    #[test]
    fn messages_in_both_places_are_dropped_with_the_receiver() {
        let (tx, rx) = mailbox::<Arc<()>>(1);
        let message = Arc::new(());
        assert!(tx.send_surely(Arc::clone(&message)) && tx.send_surely(Arc::clone(&message)));
        drop(rx);
        assert_eq!(Arc::strong_count(&message), 1);
    }
}
