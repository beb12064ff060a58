//! What was durable and is no longer must never go unnoticed: the log refuses to open and names the place.

use z4_model::ids::GroupId;

use super::support::*;
use crate::log::{Log, LogError};
use crate::runtime::files::BLOCK_BYTES;

/// Three frames in one segment, a bit flipped at every byte of them (each byte another bit). The log must refuse and name file and
/// frame, also in the last one: a write that a crash tore lacks whole sectors. Only when a crash ended the log, and the header says that
/// the frame is longer than it is, zeros follow where it says that something is, and it is cut off.
#[test]
fn a_flipped_bit_anywhere() {
    flip_bits(false);
}

/// A log that was stopped is known to its last frame.
#[test]
fn a_flipped_bit_anywhere_in_a_log_that_was_stopped() {
    flip_bits(true);
}

fn flip_bits(stopped: bool) {
    let directory = tempfile::tempdir().expect("a directory");
    run(async {
        let (log, group) = group(directory.path(), options()).await;
        append(&group, entries(1, 0..2, 40)).await.expect("durable");
        append(&group, entries(1, 2..4, 2500)).await.expect("durable");
        append(&group, entries(1, 4..5, 100)).await.expect("durable");
        if stopped {
            log.close().await.expect("closed");
        }
    });
    let newest = Newest::of(directory.path());
    let path = segment(directory.path(), 1);
    let frames = frames(&path, 1);
    assert_eq!(frames.len(), 3);
    let image = std::fs::read(&path).expect("read");
    let end = frames[2].0 + frames[2].1;
    // The frames' headers and first records byte by byte; the rest, padding too, sparsely.
    let begin_of = |at: usize| frames.iter().rfind(|(begin, _)| *begin <= at).map_or(0, |(begin, _)| *begin);
    let sampled = |at: usize| at - begin_of(at) < 48 + 36 + 10 || at.is_multiple_of(29);
    run(async {
        for flip in (0..end).filter(|flip| sampled(*flip)) {
            patch(&path, 0, &image[..end]);
            newest.put_back();
            patch(&path, flip, &[image[flip] ^ (1 << (flip % 8))]);
            let begin = begin_of(flip);
            match Log::open(directory.path().to_owned(), options()).await {
                Ok(log) => {
                    assert!(!stopped, "flip at byte {flip}: the log was whole to its last frame");
                    assert_eq!(begin, frames[2].0, "flip at byte {flip}: only the last frame may be cut off");
                    assert!((28..32).contains(&(flip - begin)), "flip at byte {flip}: no sector is missing");
                    assert_eq!(log.group(GroupId(1)).state().last, Some(at(1, 3)), "flip at byte {flip}");
                    log.close().await.expect("closed");
                }
                Err(LogError::Damaged { file, offset, .. }) => {
                    assert_eq!((&file, offset), (&path, begin as u64), "flip at byte {flip}");
                    assert_eq!(std::fs::read(&path).expect("read")[..begin], image[..begin], "a refused log is not touched");
                }
                Err(other) => panic!("flip at byte {flip}: {other}"),
            }
        }
    });
}

/// Six segments full of entries: whichever is missing, the log refuses.
#[test]
fn a_missing_segment() {
    let directory = tempfile::tempdir().expect("a directory");
    let full = run(async {
        let (log, group) = group(directory.path(), options()).await;
        let mut index = 0;
        while index < 45 {
            append(&group, entries(1, index..index + 1, 100_000)).await.expect("durable");
            index += 1;
        }
        log.close().await.expect("closed");
        index
    });
    for missing in 1..=4 {
        let (path, aside) = (segment(directory.path(), missing), directory.path().join("aside"));
        std::fs::rename(&path, &aside).expect("renamed");
        match refusal(directory.path()) {
            LogError::Damaged { file, .. } if missing > 1 => assert_eq!(file, path),
            // Nothing tells a first segment that is missing from one that was purged but its entries.
            LogError::Damaged { file, reason, .. } => {
                assert_eq!(file, segment(directory.path(), 2));
                assert!(reason.starts_with("entries 0 to 9 of group 1 are in no segment"), "{reason}");
            }
            other => panic!("{other}"),
        }
        std::fs::rename(&aside, &path).expect("renamed");
    }
    run(async {
        let (_log, group) = group(directory.path(), options()).await;
        assert_eq!(group.state().last, Some(at(1, full - 1)));
    });
}

/// The last frame of a segment that is not the last one, and the first of one in the middle: refused, each under its own name.
#[test]
fn damage_at_the_edges_of_segments() {
    let directory = tempfile::tempdir().expect("a directory");
    run(async {
        let (log, group) = group(directory.path(), options()).await;
        append(&group, entries(1, 0..60, 50_000)).await.expect("durable");
        for index in 60..80 {
            append(&group, entries(1, index..index + 1, 50_000)).await.expect("durable");
        }
        log.close().await.expect("closed");
    });
    for (number, frame) in [(1, usize::MAX), (2, 0), (3, 0), (3, usize::MAX)] {
        let path = segment(directory.path(), number);
        let frames = frames(&path, number);
        let (offset, bytes) = frames[frame.min(frames.len() - 1)];
        let image = std::fs::read(&path).expect("read");
        patch(&path, offset + bytes / 2, &[image[offset + bytes / 2] ^ 4]);
        match refusal(directory.path()) {
            LogError::Damaged { file, offset: named, .. } => assert_eq!((file, named), (path.clone(), offset as u64)),
            other => panic!("{other}"),
        }
        patch(&path, offset, &image[offset..offset + bytes]);
    }
    run(async { drop(open(directory.path(), options()).await) });
}

/// A payload that contains the image of a later frame must not make a torn tail look like damage: an attacker who knows the
/// format does not know the log's identity.
#[test]
fn a_forged_frame_in_a_payload() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut forged = vec![0u8; 3 * BLOCK_BYTES];
    for at in 0..3 * BLOCK_BYTES - 64 {
        // The header's place within a block depends on what is before the payload; one of them is right.
        if (at + 48 + 36).is_multiple_of(BLOCK_BYTES) {
            let header = crate::log::frame::FrameHeader {
                version: 1,
                flags: 0,
                log: 0,
                frame: 1000,
                segment: 1,
                payload_bytes: 0,
                records: 0,
                previous_crc: 0,
            };
            header.seal(&mut forged[at..at + BLOCK_BYTES]);
            break;
        }
    }
    run(async {
        let (_log, group) = group(directory.path(), options()).await;
        append(&group, entries(1, 0..1, 10)).await.expect("durable");
        let payload = z4_model::log::LogPayload::Normal(forged.into());
        append(&group, vec![z4_model::log::LogEntry { position: at(1, 1), payload }]).await.expect("durable");
    });
    let path = segment(directory.path(), 1);
    let (offset, _) = frames(&path, 1)[1];
    patch(&path, offset + 60, &[0xff]);
    run(async {
        let (_log, group) = group(directory.path(), options()).await;
        assert_eq!(group.state().last, Some(at(1, 0)));
    });
}

/// Reads check what they get: an entry that went bad on disk after the log was opened is an error that names the place.
#[test]
fn a_read_of_a_damaged_entry() {
    let directory = tempfile::tempdir().expect("a directory");
    run(async {
        let (_log, group) = group(directory.path(), without_cache()).await;
        append(&group, entries(1, 0..1, 1000)).await.expect("durable");
        let path = segment(directory.path(), 1);
        patch(&path, 500, &[0xff]);
        std::fs::File::open(&path).and_then(|file| file.sync_all()).expect("synced");
        let error = group.read(ALL, usize::MAX).await.expect_err("damaged");
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
        assert!(error.to_string().contains("0000000001.log at byte 48: entry 0 of group 1"), "{error}");
    });
}

/// What a sync vouched for is gone although every file has its right name: a segment is empty, or the last ones are not there. The log
/// would look like one that ends earlier.
#[test]
fn an_empty_or_missing_last_segment() {
    for prepared in [true, false] {
        let directory = tempfile::tempdir().expect("a directory");
        let newest = run(async {
            let (log, group) = group(directory.path(), options()).await;
            append(&group, entries(1, 0..1, 100_000)).await.expect("durable");
            let mut index = 1;
            while log.shared.state.borrow().tail.segment < 3 || log.shared.state.borrow().next.is_none() {
                append(&group, entries(1, index..index + 1, 100_000)).await.expect("durable");
                index += 1;
            }
            log.close().await.expect("closed");
            4
        });
        if !prepared {
            // A full disk, or a crash, and there is no next one.
            std::fs::remove_file(segment(directory.path(), newest)).expect("removed");
            std::fs::write(directory.path().join("newest"), crate::log::newest::Newest { segment: newest - 1, frame: 0 }.text())
                .expect("written");
        }
        let last = segment(directory.path(), newest - 1);
        let image = std::fs::read(&last).expect("read");
        std::fs::write(&last, b"").expect("emptied");
        match refusal(directory.path()) {
            LogError::Damaged { file, .. } => assert_eq!(file, last),
            other => panic!("{other}"),
        }
        std::fs::remove_file(&last).expect("removed");
        match refusal(directory.path()) {
            LogError::Damaged { file, .. } => assert_eq!(file, last),
            other => panic!("{other}"),
        }
        std::fs::write(&last, image).expect("put back");
        run(async {
            let (_log, group) = group(directory.path(), options()).await;
            assert!(group.state().last.is_some_and(|last| last.index >= 20));
        });
    }
}

/// Without the file that says how far the log was, a log that lacks its end looks whole.
#[test]
fn a_missing_word_of_how_far_the_log_was() {
    let directory = tempfile::tempdir().expect("a directory");
    run(async {
        let (log, group) = group(directory.path(), options()).await;
        append(&group, entries(1, 0..5, 100)).await.expect("durable");
        log.close().await.expect("closed");
    });
    let newest = directory.path().join("newest");
    let text = std::fs::read(&newest).expect("read");
    std::fs::remove_file(&newest).expect("removed");
    match refusal(directory.path()) {
        LogError::Damaged { file, .. } => assert_eq!(file, newest),
        other => panic!("{other}"),
    }
    std::fs::write(&newest, text).expect("put back");
    run(async {
        let (_log, group) = group(directory.path(), options()).await;
        assert_eq!(group.state().last.map(|last| last.index), Some(4));
    });
}

/// The end of a log is zeros, from the begin of a frame on: it looks like one that ends earlier. One that was stopped, and one that was
/// opened since, is known to have been longer.
#[test]
fn zeros_in_the_place_of_the_last_frames() {
    for stopped in [true, false] {
        let directory = tempfile::tempdir().expect("a directory");
        run(async {
            let (log, group) = group(directory.path(), options()).await;
            for index in 0..25 {
                append(&group, entries(1, index..index + 1, 100_000)).await.expect("durable");
            }
            if stopped {
                log.close().await.expect("closed");
            }
        });
        if !stopped {
            run(async { drop(open(directory.path(), options()).await) });
        }
        let newest = Newest::of(directory.path());
        let path = segment(directory.path(), 3);
        let (before, frames) = (frames(&segment(directory.path(), 2), 2), frames(&path, 3));
        assert_eq!(frames.len(), 5);
        let image = std::fs::read(&path).expect("read");
        for (begin, _) in &frames {
            patch(&path, *begin, &vec![0; image.len() - begin]);
            newest.put_back();
            match refusal(directory.path()) {
                LogError::Damaged { file, offset, reason } => {
                    // The second segment has room for more: nothing tells that there was a third one.
                    let (at, bytes) = before[before.len() - 1];
                    let ends = if *begin == 0 { (segment(directory.path(), 2), at + bytes) } else { (path.clone(), *begin) };
                    assert_eq!((file, offset as usize), ends);
                    assert!(reason.contains("frame 25 was durable"), "{reason}");
                }
                other => panic!("{other}"),
            }
            patch(&path, 0, &image);
        }
        run(async {
            let (_log, group) = group(directory.path(), options()).await;
            assert_eq!(read_all(&group).await, entries(1, 0..25, 100_000));
        });
    }
}

/// Every file of a log that was stopped is removed or emptied: what opens has everything, what does not says what is wrong.
#[test]
fn a_missing_or_empty_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let last = run(async {
        let (log, group) = group(directory.path(), options()).await;
        for index in 0..35 {
            append(&group, entries(1, index..index + 1, 100_000)).await.expect("durable");
        }
        group.purge(at(1, 12)).await.expect("durable");
        let state = group.state();
        log.close().await.expect("closed");
        state
    });
    let files: Vec<_> = std::fs::read_dir(directory.path()).expect("listed").map(|entry| entry.expect("entry").path()).collect();
    assert!(files.len() >= 5, "{files:?}");
    for (harmed, empties) in files.iter().flat_map(|file| [(file, false), (file, true)]) {
        let victim = tempfile::tempdir().expect("a directory");
        for file in &files {
            std::fs::copy(file, victim.path().join(file.file_name().expect("a name"))).expect("copied");
        }
        let path = victim.path().join(harmed.file_name().expect("a name"));
        match empties {
            true => std::fs::write(&path, b"").expect("emptied"),
            false => std::fs::remove_file(&path).expect("removed"),
        }
        run(async {
            match Log::open(victim.path().to_owned(), options()).await {
                Ok(log) => {
                    let group = log.group(GroupId(1));
                    assert_eq!(group.state(), last, "{} is missing, and entries with it", path.display());
                    assert_eq!(read_all(&group).await, entries(1, 13..35, 100_000), "{}", path.display());
                    log.close().await.expect("closed");
                }
                Err(LogError::Damaged { .. }) => {}
                Err(other) => panic!("{}: {other}", path.display()),
            }
        });
    }
}
