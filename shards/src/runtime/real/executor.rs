//! Pinned executors, their tasks and timers.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_channel::oneshot;
use glommio::{LocalExecutorBuilder, Placement};

use super::pulse;

/// How often a busy executor looks at its rings and at wakes from other threads. It bounds what a saturated core adds to the
/// latency of everything that arrives from outside. Not shorter: glommio 0.9 goes to sleep with tasks ready to run when this timer
/// fires before the first of them ran (`run_task_queues` takes the preemption for having nothing to do). [`pulse`] wakes one that did;
/// one that sleeps before its first task has begun cannot be woken by anybody, see [`begin`].
const PREEMPT: Duration = Duration::from_millis(10);

/// Memory registered with io_uring for file I/O, bytes per executor.
const IO_MEMORY_BYTES: usize = 16 << 20;

/// Submission queue entries per ring.
const RING_DEPTH: usize = 256;

/// How long an executor may take to begin before another one is started in its place.
const BEGIN_MAX: Duration = Duration::from_millis(500);

/// How many are started in all: none of a saturated machine's, or of one that has no memory for it, will begin.
const TRIES_MAX: usize = 60;

/// The thread of an executor. `None`: another one had begun in its place.
pub struct ExecutorThread<T: Send + 'static>(glommio::ExecutorJoinHandle<Option<T>>);

/// Starts an executor pinned to a core and runs `main` on it. `core` counts the cores that this process may use, in order; with
/// more executors than cores they share them.
pub fn start<F, T>(name: &str, core: usize, main: impl FnOnce() -> F + Send + 'static) -> io::Result<ExecutorThread<T>>
where
    F: Future<Output = T> + 'static,
    T: Send + 'static,
{
    let cores = allowed_cores();
    let placement = match cores.get(core % cores.len().max(1)) {
        Some(core) => Placement::Fixed(*core),
        None => Placement::Unbound,
    };
    // Whoever begins first takes it.
    let main = Arc::new(Mutex::new(Some(main)));
    let (begins, begun) = mpsc::channel();
    let spawn = |number| {
        let (main, begins) = (Arc::clone(&main), begins.clone());
        LocalExecutorBuilder::new(placement.clone())
            .name(name)
            .preempt_timer(PREEMPT)
            .io_memory(IO_MEMORY_BYTES)
            .ring_depth(RING_DEPTH)
            .spawn(move || async move {
                let main = main.lock().unwrap_or_else(PoisonError::into_inner).take()?;
                let _ = begins.send(number);
                let pulse = pulse::join().await;
                let result = main().await;
                drop(pulse);
                Some(result)
            })
            .map_err(|e| io::Error::other(format!("executor {name}: {e}")))
    };
    begin(spawn, &begun, BEGIN_MAX).map(ExecutorThread)
}

/// Starts one after the other until one of them has begun, and gives that one back; the others sleep, or find nothing to do. Blocks the
/// calling thread.
fn begin<H>(mut spawn: impl FnMut(usize) -> io::Result<H>, begun: &mpsc::Receiver<usize>, patience: Duration) -> io::Result<H> {
    let mut started = Vec::new();
    while started.len() < TRIES_MAX {
        started.push(spawn(started.len())?);
        if let Ok(first) = begun.recv_timeout(patience) {
            return Ok(started.swap_remove(first));
        }
        tracing::warn!(
            tries = started.len(),
            "an executor does not begin: it is slow, or sleeps by mistake; starting another one"
        );
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, format!("none of {TRIES_MAX} executors has begun, each within {patience:?}")))
}

impl<T: Send + 'static> ExecutorThread<T> {
    /// Waits for `main`'s result; blocks the calling thread.
    pub fn join(self) -> io::Result<T> {
        let result = self.0.join().map_err(|e| io::Error::other(e.to_string()))?;
        result.ok_or_else(|| io::Error::other("another executor has begun in its place"))
    }
}

/// The cores that this process may run on (its affinity mask, as a container or `taskset` sets it).
pub fn allowed_cores() -> Vec<usize> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or_default();
    parse_core_list(list.trim())
}

/// Reads the kernel's list format, such as `0-3,8`.
fn parse_core_list(list: &str) -> Vec<usize> {
    let range = |part: &str| -> Option<std::ops::RangeInclusive<usize>> {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        Some(low.trim().parse().ok()?..=high.trim().parse().ok()?)
    };
    list.split(',').filter_map(range).flatten().collect()
}

/// Runs a future on the calling executor, beside the caller.
pub fn spawn(task: impl Future<Output = ()> + 'static) {
    glommio::spawn_local(task).detach();
}

/// Runs work that blocks on a thread of its own.
///
/// # Errors
/// The thread cannot be started, or the work panicked.
pub async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (done, result) = oneshot::channel();
    std::thread::Builder::new().name("z4-blocking".to_owned()).spawn(move || {
        // Who waits may have gone.
        let _ = done.send(work());
    })?;
    result.await.map_err(|_| io::Error::other("the blocking work panicked"))
}

/// Has work that blocks, and that nobody waits for, done on a thread of its own. Without a thread it is not done.
pub fn aside(name: &str, work: impl FnOnce() + Send + 'static) {
    if let Err(error) = std::thread::Builder::new().name(name.to_owned()).spawn(work) {
        tracing::warn!(%error, thread = name, "cannot start a thread");
    }
}

/// Runs a future on a thread of its own, where it may block between the words that it waits for.
///
/// # Errors
/// The thread cannot be started, or the future panicked.
pub async fn run_beside<F: Future<Output = ()>>(work: impl FnOnce() -> F + Send + 'static) -> io::Result<()> {
    run_blocking(move || block_on(work())).await
}

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        std::thread::park();
    }
}

/// Lets other tasks run.
pub async fn yield_now() {
    glommio::executor().yield_now().await;
}

/// Lets other tasks run when this task had its share of time.
pub async fn yield_if_needed() {
    glommio::yield_if_needed().await;
}

/// Waits.
pub async fn sleep(wait: Duration) {
    glommio::timer::sleep(wait).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An executor that sleeps before its first task would leave its shard without a beginning: the process hung at its start.
    #[test]
    fn another_executor_takes_the_place_of_one_that_does_not_begin() {
        let patience = Duration::from_millis(1);
        let (begins, begun) = mpsc::channel();
        let third = |number| {
            if number == 2 {
                begins.send(number).expect("heard");
            }
            Ok(number)
        };
        assert_eq!(begin(third, &begun, patience).expect("begun"), 2);
        // One that was only slow is the one that counts.
        let late = |number| {
            if number == 1 {
                begins.send(0).expect("heard");
            }
            Ok(number)
        };
        assert_eq!(begin(late, &begun, patience).expect("begun"), 0);
        let error = begin(Ok, &begun, patience).expect_err("none begins");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn an_executor_runs_what_it_was_given_and_ends() {
        let threads: Vec<_> = (0..4).map(|n| start("test", n, move || async move { n }).expect("started")).collect();
        let results: Vec<usize> = threads.into_iter().map(|thread| thread.join().expect("ended")).collect();
        assert_eq!(results, [0, 1, 2, 3]);
    }

    #[test]
    fn core_lists_are_read_as_the_kernel_prints_them() {
        assert_eq!(parse_core_list("0-3,8"), [0, 1, 2, 3, 8]);
        assert_eq!(parse_core_list("5"), [5]);
        assert_eq!(parse_core_list(""), Vec::<usize>::new());
    }
}
