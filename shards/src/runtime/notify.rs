//! A wake-up call within one executor: remembers one call, for one waiter.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// Starts without a call pending.
#[derive(Default)]
pub struct Notify {
    called: Cell<bool>,
    waiter: RefCell<Option<Waker>>,
}

impl Notify {
    /// Wakes the waiter, or lets the next wait return at once.
    pub fn call(&self) {
        if !self.called.replace(true)
            && let Some(waiter) = self.waiter.borrow_mut().take()
        {
            waiter.wake();
        }
    }

    /// Waits for a call since the last wait.
    pub async fn wait(&self) {
        poll_fn(|cx| {
            if self.called.replace(false) {
                return Poll::Ready(());
            }
            *self.waiter.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}
