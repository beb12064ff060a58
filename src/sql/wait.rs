//! A plain thread waits for what others will tell it.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Instant;

use z4_shards::runtime::clock;

/// Unparks a thread.
struct Parked(Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Blocks this thread until it is told, or until a time; `None`: that came first. Without a time it waits for as long as it takes.
pub fn wait_until<T>(told: impl Future<Output = T>, until: Option<Instant>) -> Option<T> {
    let waker = Waker::from(Arc::new(Parked(std::thread::current())));
    let (mut told, mut context) = (pin!(told), Context::from_waker(&waker));
    loop {
        if let Poll::Ready(told) = told.as_mut().poll(&mut context) {
            return Some(told);
        }
        let Some(until) = until else {
            std::thread::park();
            continue;
        };
        let left = until.saturating_duration_since(clock::monotonic());
        if left.is_zero() {
            return None;
        }
        std::thread::park_timeout(left);
    }
}
