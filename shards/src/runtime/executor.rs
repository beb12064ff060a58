//! Pinned executors, their tasks and timers.

use std::future::Future;
use std::io;
use std::time::Duration;

use futures_channel::oneshot;
use glommio::{LocalExecutorBuilder, Placement};

use super::pulse;

/// How often a busy executor looks at its rings and at wakes from other threads. It bounds what a saturated core adds to the
/// latency of everything that arrives from outside. Not shorter: glommio 0.9 goes to sleep with tasks ready to run when this timer
/// fires before the first of them ran (`run_task_queues` takes the preemption for having nothing to do). [`pulse`] wakes one that did.
const PREEMPT: Duration = Duration::from_millis(10);

/// Memory registered with io_uring for file I/O, bytes per executor.
const IO_MEMORY_BYTES: usize = 16 << 20;

/// Submission queue entries per ring.
const RING_DEPTH: usize = 256;

/// The thread of an executor.
pub struct ExecutorThread<T: Send + 'static>(glommio::ExecutorJoinHandle<T>);

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
    LocalExecutorBuilder::new(placement)
        .name(name)
        .preempt_timer(PREEMPT)
        .io_memory(IO_MEMORY_BYTES)
        .ring_depth(RING_DEPTH)
        .spawn(|| async {
            let pulse = pulse::join().await;
            let result = main().await;
            drop(pulse);
            result
        })
        .map(ExecutorThread)
        .map_err(|e| io::Error::other(format!("executor {name}: {e}")))
}

impl<T: Send + 'static> ExecutorThread<T> {
    /// Waits for `main`'s result; blocks the calling thread.
    pub fn join(self) -> io::Result<T> {
        self.0.join().map_err(|e| io::Error::other(e.to_string()))
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

    #[test]
    fn core_lists_are_read_as_the_kernel_prints_them() {
        assert_eq!(parse_core_list("0-3,8"), [0, 1, 2, 3, 8]);
        assert_eq!(parse_core_list("5"), [5]);
        assert_eq!(parse_core_list(""), Vec::<usize>::new());
    }
}
