//! Those who wait for another leader: as many entries as there are waiters, however many there were before.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Wakes those who wait for another leader.
#[derive(Default)]
pub(super) struct RouteWatch {
    /// Counts changes.
    changes: Cell<u64>,
    next_waiter: Cell<u64>,
    waiters: RefCell<BTreeMap<u64, Waker>>,
}

impl RouteWatch {
    /// The route has changed.
    pub(super) fn call(&self) {
        self.changes.set(self.changes.get() + 1);
        self.waiters.take().into_values().for_each(Waker::wake);
    }

    /// Ends with the next change. Dropped before, it leaves nothing behind.
    pub(super) fn next(&self) -> Change<'_> {
        let waiter = self.next_waiter.replace(self.next_waiter.get() + 1);
        Change { watch: self, seen: self.changes.get(), waiter }
    }

    #[cfg(test)]
    pub(super) fn waiters(&self) -> usize {
        self.waiters.borrow().len()
    }
}

/// Waits for a change.
pub(super) struct Change<'a> {
    watch: &'a RouteWatch,
    seen: u64,
    waiter: u64,
}

impl Future for Change<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.watch.changes.get() != self.seen {
            return Poll::Ready(());
        }
        self.watch.waiters.borrow_mut().insert(self.waiter, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        self.watch.waiters.borrow_mut().remove(&self.waiter);
    }
}
