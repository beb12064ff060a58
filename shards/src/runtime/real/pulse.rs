//! A thread that wakes every executor of the process now and then, whatever they think of themselves.
//!
//! An executor that was preempted before it ran any task may go to sleep with tasks ready to run (see `executor`). Its own timers
//! cannot help: the task of one that has fired is just one more of them. A wake from another thread does.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Mutex, Once, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

/// How long an executor may sleep by mistake.
const INTERVAL: Duration = Duration::from_millis(20);

static WAKERS: Mutex<BTreeMap<u64, Waker>> = Mutex::new(BTreeMap::new());
static THREAD: Once = Once::new();

/// An executor's place among those that are woken; it is left when this is dropped.
pub(super) struct Pulse(u64);

/// Has the executor of the calling task woken from now on.
pub(super) async fn join() -> Pulse {
    THREAD.call_once(|| {
        // Without the thread everything works, but for the rare wrong sleep, which then lasts until something else happens.
        if let Err(e) = std::thread::Builder::new().name("z4-pulse".to_owned()).spawn(beat) {
            tracing::warn!(error = %e, "no thread to wake executors that sleep by mistake");
        }
    });
    let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
    let mut wakers = WAKERS.lock().unwrap_or_else(PoisonError::into_inner);
    let id = wakers.last_key_value().map_or(0, |(id, _)| id + 1);
    wakers.insert(id, waker);
    Pulse(id)
}

impl Drop for Pulse {
    fn drop(&mut self) {
        WAKERS.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

#[allow(clippy::disallowed_methods, reason = "a thread of its own, which does nothing but wait")]
fn beat() {
    loop {
        std::thread::sleep(INTERVAL);
        WAKERS.lock().unwrap_or_else(PoisonError::into_inner).values().for_each(Waker::wake_by_ref);
    }
}
