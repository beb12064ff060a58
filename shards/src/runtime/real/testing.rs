//! Executors for tests: small enough that many run in parallel, and ending as a killed process does.

use std::cell::Cell;
use std::future::{Future, pending};

use glommio::{LocalExecutorBuilder, Placement};

thread_local! {
    static KILLED: Cell<bool> = const { Cell::new(false) };
    static UNDER_WAY: Cell<usize> = const { Cell::new(0) };
}

/// Runs one future on a fresh executor. Then nothing further reaches the disk: what the kernel was told to do it does, and the
/// tasks that are left are dropped with the executor. That is what a killed process leaves behind.
pub(crate) fn run<F: Future>(future: F) -> F::Output {
    let executor = LocalExecutorBuilder::new(Placement::Unbound)
        .io_memory(128 << 10)
        .ring_depth(32)
        .make()
        .expect("an executor needs io_uring and 512 KiB of locked memory");
    KILLED.set(false);
    executor.run(async {
        let output = future.await;
        KILLED.set(true);
        while UNDER_WAY.get() > 0 {
            glommio::executor().yield_task_queue_now().await;
        }
        output
    })
}

/// One operation on the disk, as long as it is alive.
pub(crate) struct UnderWay(());

impl Drop for UnderWay {
    fn drop(&mut self) {
        UNDER_WAY.set(UNDER_WAY.get() - 1);
    }
}

/// Every operation on the disk begins here. In a killed process none does any more.
pub(crate) async fn begin() -> UnderWay {
    if KILLED.get() {
        pending::<()>().await;
    }
    UNDER_WAY.set(UNDER_WAY.get() + 1);
    UnderWay(())
}
