//! openraft's view of the simulated executor.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use openraft_rt::AsyncRuntime;
use openraft_rt_tokio::{TokioMpsc, TokioMutex, TokioOneshot};

use super::executor::{self, Joined};
use super::watch::WorldWatch;
use super::world;
use crate::runtime::pace::{self, PacedInstant};
use crate::runtime::waits::{Elapsed, TaskGone, Timeout};

/// The simulated executor as openraft's `AsyncRuntime`.
#[derive(Debug)]
pub struct ExecutorRuntime;

/// A spawned task; dropping the handle lets the task go on.
pub struct TaskHandle<T>(Joined<T>);

impl<T> Unpin for TaskHandle<T> {}

impl<T> Future for TaskHandle<T> {
    type Output = Result<T, TaskGone>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|value| value.ok_or(TaskGone))
    }
}

/// Draws from the world.
#[derive(Debug, Default)]
pub struct WorldRng;

impl rand::TryRng for WorldRng {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(world::draw() as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(world::draw())
    }

    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), Self::Error> {
        for bytes in into.chunks_mut(8) {
            bytes.copy_from_slice(&world::draw().to_le_bytes()[..bytes.len()]);
        }
        Ok(())
    }
}

impl AsyncRuntime for ExecutorRuntime {
    type JoinError = TaskGone;
    type JoinHandle<T: 'static> = TaskHandle<T>;
    type Sleep = LocalBoxFuture<'static, ()>;
    type Instant = PacedInstant;
    type TimeoutError = Elapsed;
    type Timeout<R, T: Future<Output = R>> = Timeout<T>;
    type ThreadLocalRng = WorldRng;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + 'static,
        T::Output: 'static,
    {
        TaskHandle(executor::spawn_joined(future))
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        Box::pin(executor::sleep(pace::stretch(duration)))
    }

    fn sleep_until(deadline: PacedInstant) -> Self::Sleep {
        Box::pin(executor::sleep(deadline.wait()))
    }

    fn timeout<R, F: Future<Output = R>>(duration: Duration, future: F) -> Self::Timeout<R, F> {
        Timeout { future: Box::pin(future), sleep: Self::sleep(duration) }
    }

    fn timeout_at<R, F: Future<Output = R>>(deadline: PacedInstant, future: F) -> Self::Timeout<R, F> {
        Timeout { future: Box::pin(future), sleep: Self::sleep_until(deadline) }
    }

    fn is_panic(_: &TaskGone) -> bool {
        true
    }

    fn thread_rng() -> Self::ThreadLocalRng {
        WorldRng
    }

    type Mpsc = TokioMpsc;
    type Watch = WorldWatch;
    type Oneshot = TokioOneshot;
    type Mutex<T: 'static> = TokioMutex<T>;

    fn new(_threads: usize) -> Self {
        ExecutorRuntime
    }

    fn block_on<F, T>(&mut self, _future: F) -> T
    where
        F: Future<Output = T>,
    {
        unreachable!("a simulated world has one executor, which runs already")
    }
}
