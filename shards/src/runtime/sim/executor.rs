//! Tasks and timers of the caller's place.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::world::{self, Timer};

/// The longest that blocking work takes, microseconds.
const BLOCKING_US_MAX: u64 = 3_000;

/// One turn in so many is the last before others have theirs.
const TURNS: u64 = 4;

/// Runs a future beside the caller, at once until it first waits.
pub fn spawn(task: impl Future<Output = ()> + 'static) {
    world::spawn(task);
}

/// A task whose output somebody may wait for; it goes on when nobody does.
pub(super) struct Joined<T>(Rc<Shared<T>>);

struct Shared<T> {
    output: RefCell<Option<T>>,
    /// It will have no output: it was dropped.
    gone: Cell<bool>,
    waiter: RefCell<Option<Waker>>,
}

/// Says so when the task is dropped, done or not.
struct Ends<T>(Rc<Shared<T>>);

impl<T> Drop for Ends<T> {
    fn drop(&mut self) {
        self.0.gone.set(true);
        if let Some(waiter) = self.0.waiter.borrow_mut().take() {
            waiter.wake();
        }
    }
}

pub(super) fn spawn_joined<T: 'static>(future: impl Future<Output = T> + 'static) -> Joined<T> {
    let shared = Rc::new(Shared { output: RefCell::new(None), gone: Cell::new(false), waiter: RefCell::new(None) });
    let ends = Ends(Rc::clone(&shared));
    world::spawn(async move {
        let output = future.await;
        *ends.0.output.borrow_mut() = Some(output);
    });
    Joined(shared)
}

impl<T> Future for Joined<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if let Some(output) = self.0.output.borrow_mut().take() {
            return Poll::Ready(Some(output));
        }
        if self.0.gone.get() {
            return Poll::Ready(None);
        }
        *self.0.waiter.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Runs work that blocks: at once, and its result comes a little later.
///
/// # Errors
/// None here.
pub async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let result = work();
    sleep(Duration::from_micros(1 + world::below(BLOCKING_US_MAX))).await;
    Ok(result)
}

/// Has work done that nobody waits for.
pub fn aside(_name: &str, work: impl FnOnce() + Send + 'static) {
    work();
}

/// Runs a future beside the caller.
///
/// # Errors
/// None here.
pub async fn run_beside<F: Future<Output = ()> + 'static>(work: impl FnOnce() -> F + Send + 'static) -> io::Result<()> {
    spawn_joined(work()).await.ok_or_else(|| io::Error::other("it was dropped"))
}

/// Lets other tasks run.
pub async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Lets other tasks run now and then.
pub async fn yield_if_needed() {
    if world::once_in(TURNS) {
        yield_now().await;
    }
}

/// Waits.
pub async fn sleep(wait: Duration) {
    Timer::after(wait).await;
}

/// One core for each shard is all that there is.
pub fn allowed_cores() -> Vec<usize> {
    vec![0]
}
