//! The one task that writes: a frame, a sync, the callbacks, and again.

use std::io;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use super::batch::{Batch, Step, next_step, segment_bytes_min};
use super::error::{Stopped, describe};
use super::options::LogObservation;
use super::segments::{EmptyFile, Segment};
use super::state::{Done, Shared};
use crate::runtime::{clock, pace};

/// Writes what is put in line until the log is closed and nothing is left, or a write fails.
pub(crate) async fn run(log: Rc<Shared>) {
    write_all(&log).await;
    log.state.borrow_mut().ended = true;
    log.chores.raise();
}

async fn write_all(log: &Rc<Shared>) {
    loop {
        let closing = log.state.borrow().closing;
        let step = next_step(&mut log.state.borrow_mut(), &log.options, closing);
        let outcome = match step {
            Ok(Step::Idle) if closing => return,
            Ok(Step::Idle) => {
                log.work.wait().await;
                continue;
            }
            Ok(Step::Rotate) => rotate(log).await.map_err(|cause| (cause, Vec::new())),
            Ok(Step::Write(batch)) => write(log, batch).await,
            Err(cause) => Err((cause, Vec::new())),
        };
        if let Err((cause, waiting)) = outcome {
            stop(log, cause, waiting);
            return;
        }
    }
}

/// One frame: on the disk, then told to who waits. An error comes with those who still wait.
async fn write(log: &Rc<Shared>, batch: Batch) -> Result<(), (io::Error, Vec<Done>)> {
    let Batch { file, segment, offset, buffer, records, done, mut released, moved, sequence_end } = batch;
    let bytes = buffer.len();
    let since = clock::monotonic();
    let synced = match file.write_at(buffer, offset).await {
        Ok(()) => file.fdatasync().await,
        Err(error) => Err(error),
    };
    let fdatasync = match synced {
        Ok(fdatasync) => fdatasync,
        Err(cause) => return Err((cause, done)),
    };
    pace::measure(clock::monotonic().saturating_duration_since(since));
    let chores = {
        let mut state = log.state.borrow_mut();
        let state = &mut *state;
        for moved in moved {
            moved.apply(state, segment, &mut released);
        }
        let chores = !released.is_empty() || offset == 0 || pace::to_assure(log.leases.get()).is_some();
        released.apply(&mut state.segments);
        state.checkpointed = segment;
        // Before anybody hears that it is durable, and can tell others.
        state.end.store(state.tail.frame - 1, Ordering::Release);
        if let Some(end) = sequence_end {
            state.durable_sequence = end;
        }
        state.evict(log.options.cache_bytes_max);
        chores
    };
    for done in done {
        done(Ok(()));
    }
    if let Some(observe) = &log.options.observe {
        observe(&LogObservation { fdatasync, records: records as usize, bytes });
    }
    if chores {
        log.chores.raise();
    }
    Ok(())
}

/// Goes on in the next segment. Waits for its file when it is not ready yet.
async fn rotate(log: &Rc<Shared>) -> io::Result<()> {
    // An error from before is worth one more try, and so is one of an attempt that was under way: space may have come free.
    log.state.borrow_mut().next_error = None;
    let mut attempts = 2;
    loop {
        let mut next = log.state.borrow_mut().next.take();
        if let Some(next) = &mut next {
            enlarge(log, next).await?;
        }
        {
            let mut state = log.state.borrow_mut();
            if let Some(next) = next {
                state.tail.segment += 1;
                state.tail.offset = 0;
                let number = state.tail.segment;
                let (file, bytes, recycled) = (next.file, next.bytes, next.recycled);
                state.segments.insert(number, Segment { file, bytes, recycled, live_entries: 0, live_bytes: 0 });
                log.chores.raise();
                return Ok(());
            }
            if let Some(error) = state.next_error.take() {
                attempts -= 1;
                if attempts == 0 {
                    return Err(error);
                }
            }
        }
        log.chores.raise();
        log.prepared.wait().await;
    }
}

/// A segment that is too small for what waits first grows: another peer's log, with larger segments, has taken that entry.
async fn enlarge(log: &Rc<Shared>, next: &mut EmptyFile) -> io::Result<()> {
    let bytes = segment_bytes_min(&log.state.borrow());
    if bytes > next.bytes {
        next.file.zero(next.bytes, bytes).await?;
        next.file.fdatasync().await?;
        next.bytes = bytes;
    }
    Ok(())
}

/// Nothing is acknowledged any more, whatever comes: after a failed sync the kernel may have dropped the pages, and a later sync
/// that succeeds proves nothing (<https://wiki.postgresql.org/wiki/Fsync_Errors>).
fn stop(log: &Rc<Shared>, cause: io::Error, mut waiting: Vec<Done>) {
    let stopped = Stopped::new(cause);
    tracing::error!(directory = %log.directory.path().display(), error = %describe(&stopped), "the raft log stops");
    {
        let mut state = log.state.borrow_mut();
        state.stopped = Some(stopped.clone());
        state.waiting_bytes = 0;
        waiting.extend(state.queue.drain(..).filter_map(|op| op.done));
    }
    for done in waiting {
        done(Err(stopped.to_io()));
    }
}
