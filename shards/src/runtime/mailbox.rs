//! A bounded mailbox between threads: many senders, one receiver on an executor.
//!
//! A send is one push into a lock-free ring and, when the receiver waits, one wake. The receiver drains what is there in one go, so
//! under load a wake pays for many messages.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;

use crossbeam::queue::ArrayQueue;
use futures_util::task::AtomicWaker;

struct Shared<T> {
    ring: ArrayQueue<T>,
    waker: AtomicWaker,
    senders: AtomicUsize,
    receiver_gone: AtomicBool,
}

/// The sending side; cheap to clone.
pub struct Sender<T>(Arc<Shared<T>>);

/// The receiving side.
pub struct Receiver<T>(Arc<Shared<T>>);

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
        waker: AtomicWaker::new(),
        senders: AtomicUsize::new(1),
        receiver_gone: AtomicBool::new(false),
    });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

impl<T> Sender<T> {
    /// Puts a message in, or gives it back.
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        if self.0.receiver_gone.load(Ordering::Acquire) {
            return Err(SendError::Closed(message));
        }
        self.0.ring.push(message).map_err(SendError::Full)?;
        self.0.waker.wake();
        Ok(())
    }

    /// Messages waiting.
    pub fn depth(&self) -> usize {
        self.0.ring.len()
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
            self.0.waker.register(cx.waker());
            // Again, because a message may have come between the look and the registration.
            if self.take(into, at_most) > 0 {
                return Poll::Ready(true);
            }
            match self.0.senders.load(Ordering::Acquire) {
                0 => Poll::Ready(self.take(into, at_most) > 0),
                _ => Poll::Pending,
            }
        })
        .await
    }

    fn take(&mut self, into: &mut Vec<T>, at_most: usize) -> usize {
        let before = into.len();
        while into.len() - before < at_most {
            match self.0.ring.pop() {
                Some(message) => into.push(message),
                None => break,
            }
        }
        into.len() - before
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.0.receiver_gone.store(true, Ordering::Release);
        // Messages may own reply channels: dropping them tells their senders.
        while self.0.ring.pop().is_some() {}
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
    }
}
