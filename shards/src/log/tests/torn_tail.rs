//! A crash tears the frame that was being written. Whatever arrived of it, everything before it must be there, nothing of it may
//! be, and the log must take appends again, which must then survive.

use std::path::Path;

use super::support::*;

/// Three frames; the last one with so many bytes of payload. Returns where the last one is.
fn three_frames(directory: &Path, bytes: usize) -> (usize, usize) {
    run(async {
        let (_log, group) = group(directory, options()).await;
        append(&group, entries(1, 0..3, 300)).await.expect("durable");
        append(&group, entries(1, 3..5, 4000)).await.expect("durable");
        append(&group, entries(1, 5..7, bytes / 2)).await.expect("durable");
    });
    let frames = frames(&segment(directory, 1), 1);
    assert_eq!(frames.len(), 3);
    frames[2]
}

async fn check_cut_off(directory: &Path, what: &str) {
    let before = [entries(1, 0..3, 300), entries(1, 3..5, 4000)].concat();
    let (log, one) = group(directory, options()).await;
    assert_eq!(read_all(&one).await, before, "{what}");
    append(&one, entries(2, 5..7, 2500)).await.expect("the log is usable");
    log.close().await.expect("closed");
    let (log, one) = group(directory, options()).await;
    assert_eq!(read_all(&one).await, [before, entries(2, 5..7, 2500)].concat(), "{what}");
    log.close().await.expect("closed");
}

/// The write stopped after so many bytes: the rest of the frame is as the file was before, zeros.
fn cut_at(payload_bytes: usize, step: usize) {
    let directory = tempfile::tempdir().expect("a directory");
    let (offset, bytes) = three_frames(directory.path(), payload_bytes);
    let path = segment(directory.path(), 1);
    let image = std::fs::read(&path).expect("read");
    let newest = Newest::of(directory.path());
    // From the last byte that is not padding on the frame is whole.
    let content = offset + image[offset..offset + bytes].iter().rposition(|byte| *byte != 0).expect("content") + 1;
    run(async {
        for cut in (offset..content).step_by(step) {
            // The iteration before this one wrote into the rest of the segment.
            let mut torn = image.clone();
            torn[cut..].fill(0);
            patch(&path, 0, &torn);
            newest.put_back();
            check_cut_off(directory.path(), &format!("cut at byte {} of {}", cut - offset, bytes)).await;
        }
    });
}

/// Every sector of a frame of one block.
#[test]
fn at_every_sector_of_a_block_the_rest_is_missing() {
    cut_at(3_500, 512);
}

/// Every sector of a frame of several blocks.
#[test]
fn at_any_sector_the_rest_is_missing() {
    cut_at(14_000, 512);
}

/// Blocks of one write reach the disk in any order: each subset of the last frame's blocks.
#[test]
fn any_blocks_are_missing() {
    let directory = tempfile::tempdir().expect("a directory");
    let (offset, bytes) = three_frames(directory.path(), 14_000);
    let path = segment(directory.path(), 1);
    let image = std::fs::read(&path).expect("read");
    let newest = Newest::of(directory.path());
    let blocks = bytes / 4096;
    assert!(blocks >= 2);
    run(async {
        for subset in 0..(1u32 << blocks) - 1 {
            patch(&path, 0, &image);
            newest.put_back();
            for block in (0..blocks).filter(|block| subset & (1 << block) == 0) {
                patch(&path, offset + block * 4096, &[0; 4096]);
            }
            check_cut_off(directory.path(), &format!("blocks {subset:b}")).await;
        }
    });
}

/// The very first frame is torn: the log is empty, not damaged.
#[test]
fn the_first_frame_of_all() {
    let directory = tempfile::tempdir().expect("a directory");
    run(async {
        let (_log, group) = group(directory.path(), options()).await;
        append(&group, entries(1, 0..3, 3000)).await.expect("durable");
    });
    patch(&segment(directory.path(), 1), 4096, &[0; 4096]);
    run(async {
        let (_log, group) = group(directory.path(), options()).await;
        assert_eq!(read_all(&group).await, []);
        append(&group, entries(2, 0..2, 10)).await.expect("durable");
    });
    run(async {
        let (_log, group) = group(directory.path(), options()).await;
        assert_eq!(read_all(&group).await, entries(2, 0..2, 10));
    });
}

/// The first frame of a new segment is torn: the log goes on where the segment before ended. In the second round the segment's
/// file has had an earlier life.
#[test]
fn the_first_frame_of_a_segment() {
    for recycle in [false, true] {
        let directory = tempfile::tempdir().expect("a directory");
        let (first, last, number) = run(async {
            let (log, group) = group(directory.path(), options()).await;
            let mut index = 0;
            loop {
                append(&group, entries(1, index..index + 1, 100_000)).await.expect("durable");
                if recycle && index == 35 {
                    group.purge(at(1, 33)).await.expect("durable");
                }
                let number = log.shared.state.borrow().tail.segment;
                let frames = frames(&segment(directory.path(), number), number).len();
                if frames == 1 && number == if recycle { 6 } else { 3 } {
                    return (if recycle { 34 } else { 0 }, index, number);
                }
                index += 1;
            }
        });
        // In a file that had no earlier life, what is missing are zeros.
        patch(&segment(directory.path(), number), 8192, &[if recycle { 0xa5 } else { 0 }; 512]);
        run(async {
            let (_log, group) = group(directory.path(), options()).await;
            assert_eq!(read_all(&group).await, entries(1, first..last, 100_000), "recycle {recycle}");
            append(&group, entries(2, last..last + 20, 100_000)).await.expect("durable");
        });
        run(async {
            let (_log, group) = group(directory.path(), options()).await;
            let expected = [entries(1, first..last, 100_000), entries(2, last..last + 20, 100_000)].concat();
            assert_eq!(read_all(&group).await, expected, "recycle {recycle}");
        });
    }
}
