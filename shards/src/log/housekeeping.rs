//! The task beside the writer: it has the next segment's file ready before the present one is full, frees segments that no group needs, and
//! writes down how long leases are.

use std::io;
use std::rc::Rc;

use super::error::describe;
use super::leases;
use super::newest::{self, Newest};
use super::segments::{EmptyFile, UNFINISHED, segment_name, spare_name};
use super::state::Shared;

/// Does what there is to do whenever it is called, until the log is closed or has stopped.
pub(crate) async fn run(log: Rc<Shared>) {
    while is_open(&log) {
        if let Err(error) = leases::write(&log).await {
            // Nothing longer is told until it is there; the next frame tries again.
            tracing::warn!(error = %describe(&error), "cannot write down how long leases are");
        }
        if let Err(error) = free(&log).await {
            // Nothing is lost but space, and the next call tries again.
            tracing::warn!(error = %describe(&error), "cannot free a segment of the raft log");
        }
        prepare(&log).await;
        log.moves.raise();
        if is_open(&log) {
            log.chores.wait().await;
        }
    }
    log.moves.raise();
}

/// The writer may still need a segment, even while the log closes.
fn is_open(log: &Shared) -> bool {
    !log.state.borrow().ended
}

/// Makes the next segment's file, if there is none. After a failure only once there is a reason to try again: the writer needs it
/// now, or a segment came free.
async fn prepare(log: &Shared) {
    let (number, spare) = {
        let mut state = log.state.borrow_mut();
        if state.next.is_some() || state.next_error.is_some() {
            return;
        }
        (state.tail.segment + 1, state.spares.pop())
    };
    let next = match spare {
        Some(spare) => match log.directory.rename(&spare.file, &segment_name(number)).await {
            Ok(()) => Ok(spare),
            Err(error) => {
                log.state.borrow_mut().spares.push(spare);
                Err(error)
            }
        },
        None => create(log, number).await,
    };
    let next = match next {
        Ok(file) => {
            let newest = Newest { segment: number, frame: log.durable_frame() };
            newest::write(&log.directory, &log.options, newest).await.map(|()| file)
        }
        error => error,
    };
    {
        let mut state = log.state.borrow_mut();
        match next {
            Ok(file) => (state.next, state.next_error) = (Some(file), None),
            Err(error) => {
                tracing::warn!(segment = number, error = %describe(&error), "cannot prepare the raft log's next segment");
                state.next_error = Some(error);
            }
        }
    }
    log.prepared.raise();
}

/// A new segment file, full of zeros and durable. It gets its name last, so that a half-filled one is never taken for a segment.
pub(crate) async fn create(log: &Shared, number: u32) -> io::Result<EmptyFile> {
    let path = log.directory.path().join(UNFINISHED);
    let file = match log.options.disk.open(&path, true).await {
        // Left over from a try that failed.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            log.directory.remove(UNFINISHED).await?;
            log.options.disk.open(&path, true).await?
        }
        opened => opened?,
    };
    let bytes = log.options.segment_bytes;
    let filled = match file.zero(0, bytes).await {
        Ok(()) => file.fdatasync().await,
        Err(error) => Err(error),
    };
    if let Err(error) = filled {
        // What was written takes space that is short now.
        let _ = file.close().await;
        let _ = log.directory.remove(UNFINISHED).await;
        return Err(error);
    }
    log.directory.rename(&file, &segment_name(number)).await?;
    Ok(EmptyFile { file: Rc::new(file), bytes, recycled: false })
}

/// Frees the oldest segments while no group needs them: oldest first and each durably, so that a crash leaves no hole.
async fn free(log: &Shared) -> io::Result<()> {
    loop {
        let (number, file, keep) = {
            let state = log.state.borrow();
            let Some((number, segment)) = state.segments.first_key_value() else { return Ok(()) };
            // The map holds one reference; another one is a read that is under way.
            let in_use = segment.live_entries > 0 || Rc::strong_count(&segment.file) > 1;
            if in_use || *number >= state.checkpointed {
                return Ok(());
            }
            let room = state.spares.len() < log.options.spare_segments_max;
            (*number, Rc::clone(&segment.file), room && segment.bytes == log.options.segment_bytes)
        };
        if keep {
            log.directory.rename(&file, &spare_name(number)).await?;
        } else {
            match log.directory.remove(&segment_name(number)).await {
                // It went the last time, when the name could not be made durable.
                Err(error) if error.kind() == io::ErrorKind::NotFound => log.directory.sync().await?,
                removed => removed?,
            }
        }
        let mut state = log.state.borrow_mut();
        state.next_error = None;
        if let Some(segment) = state.segments.remove(&number)
            && keep
        {
            state.spares.push(EmptyFile { file, bytes: segment.bytes, recycled: true });
        }
    }
}
