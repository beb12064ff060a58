//! openraft's view of the executor: tasks and timers from glommio, channels from `openraft-rt-tokio`, whose channel types need no
//! tokio runtime.

use std::future::Future;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::future::LocalBoxFuture;
use openraft_rt::AsyncRuntime;
use openraft_rt_tokio::{TokioMpsc, TokioMutex, TokioOneshot, TokioWatch};

use super::clock;
use crate::runtime::pace::{self, PacedInstant};
use crate::runtime::waits::{Elapsed, TaskGone, Timeout};

/// The common beat of openraft's ticks. Short beside the heartbeat interval, long beside what a wake costs.
const BEAT: Duration = Duration::from_millis(50);

/// Beats are counted from here.
static EPOCH: LazyLock<Instant> = LazyLock::new(clock::monotonic);

/// The executor as openraft's `AsyncRuntime`.
#[derive(Debug)]
pub struct ExecutorRuntime;

/// A spawned task; dropping the handle lets the task go on.
pub struct TaskHandle<T>(glommio::task::JoinHandle<T>);

impl<T> Unpin for TaskHandle<T> {}

impl<T> Future for TaskHandle<T> {
    type Output = Result<T, TaskGone>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|value| value.ok_or(TaskGone))
    }
}

impl AsyncRuntime for ExecutorRuntime {
    type JoinError = TaskGone;
    type JoinHandle<T: 'static> = TaskHandle<T>;
    type Sleep = LocalBoxFuture<'static, ()>;
    type Instant = PacedInstant;
    type TimeoutError = Elapsed;
    type Timeout<R, T: Future<Output = R>> = Timeout<T>;
    type ThreadLocalRng = rand::rngs::ThreadRng;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + 'static,
        T::Output: 'static,
    {
        TaskHandle(glommio::spawn_local(future).detach())
    }

    /// As long as it takes by openraft's clock, as that goes now.
    fn sleep(duration: Duration) -> Self::Sleep {
        Box::pin(glommio::timer::sleep(pace::stretch(duration)))
    }

    /// Ends on a common beat: openraft spreads the ticks of its groups over time (a tick each 40 ms), and each would wake the executor,
    /// and send its heartbeats, by itself.
    fn sleep_until(deadline: PacedInstant) -> Self::Sleep {
        let wait = deadline.wait();
        let past = (clock::monotonic() + wait).saturating_duration_since(*EPOCH).as_micros() % BEAT.as_micros();
        Box::pin(glommio::timer::sleep(wait + BEAT - Duration::from_micros(past as u64)))
    }

    fn timeout<R, F: Future<Output = R>>(duration: Duration, future: F) -> Self::Timeout<R, F> {
        Timeout { future: Box::pin(future), sleep: Self::sleep(duration) }
    }

    fn timeout_at<R, F: Future<Output = R>>(deadline: PacedInstant, future: F) -> Self::Timeout<R, F> {
        Timeout { future: Box::pin(future), sleep: Box::pin(glommio::timer::sleep(deadline.wait())) }
    }

    fn is_panic(_: &TaskGone) -> bool {
        // glommio does not tell a panic from a cancellation, and openraft cancels no task that it waits for.
        true
    }

    fn thread_rng() -> Self::ThreadLocalRng {
        rand::rng()
    }

    type Mpsc = TokioMpsc;
    type Watch = TokioWatch;
    type Oneshot = TokioOneshot;
    type Mutex<T: 'static> = TokioMutex<T>;

    fn new(_threads: usize) -> Self {
        ExecutorRuntime
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        glommio::LocalExecutorBuilder::default()
            .io_memory(1 << 20)
            .ring_depth(16)
            .make()
            .map_or_else(|e| panic!("an executor for block_on: {e}"), |executor| executor.run(future))
    }
}

#[cfg(test)]
mod tests {
    use openraft_rt::testing::Suite;

    use super::*;

    /// openraft's own suite for runtimes.
    #[test]
    fn passes_openrafts_runtime_suite() {
        Suite::<ExecutorRuntime>::test_all();
    }
}
