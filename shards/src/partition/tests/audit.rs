//! fjall's journal is audited before fjall reads it. What was written must survive a torn tail up to the last whole batch, and a
//! broken sealed journal must be refused: fjall would skip the rest of it and go on with the next, and rows would be gone from the
//! middle of history.

use std::fs;

use super::super::engine::audit_journals;
use super::*;
use crate::partition::PartitionError;

/// Three batches in `0.jnl`, its unused space cut off.
fn three_batches() -> (TempDir, Vec<u8>) {
    let dir = temp();
    let parts = Parts::open(dir.path());
    for n in 0..3u8 {
        parts.commit(&[(&task_key(n), &[n; 9]), (&state_key(1), &[n])]);
    }
    drop(parts);
    let bytes = fs::read(dir.path().join("0.jnl")).expect("there is a journal");
    let end = bytes.iter().rposition(|b| *b != 0).expect("it was written") + 1;
    (dir, bytes[..end].to_vec())
}

fn audit(dir: &Path) -> Result<(), PartitionError> {
    audit_journals(dir, &Place::new(GroupId(1), Arc::from(dir))).map(|_| ())
}

/// The batches that are there: state row 1 says the last, and all task rows up to it must be there.
fn last_batch(dir: &Path) -> Option<u8> {
    let parts = Parts::open(dir);
    let view = parts.view();
    let last = view.value(&state_key(1)).expect("reads").map(|v| v[0]);
    let tasks = view.range(&task_key(0), &task_key(200)).count();
    assert_eq!(tasks, last.map_or(0, |n| usize::from(n) + 1), "rows and the last batch disagree");
    last
}

#[test]
fn an_intact_journal_is_left_alone() {
    let (dir, bytes) = three_batches();
    let before = fs::read(dir.path().join("0.jnl")).expect("read");
    assert!(before.starts_with(&bytes));
    audit(dir.path()).expect("it is intact");
    assert_eq!(fs::read(dir.path().join("0.jnl")).expect("read"), before);
    assert_eq!(last_batch(dir.path()), Some(2));
}

#[test]
fn a_torn_or_flipped_tail_is_cut_after_the_last_whole_batch() {
    let (dir, bytes) = three_batches();
    let journal = dir.path().join("0.jnl");
    let batch = bytes.len() / 3;
    assert_eq!(bytes.len() % 3, 0, "the batches have one size");
    for at in 0..bytes.len() {
        // Torn: the rest was never written.
        let mut torn = bytes[..at].to_vec();
        torn.resize(bytes.len() + 100, 0);
        // Flipped: the rest is there, but cannot be trusted.
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        for (what, content) in [("torn", torn), ("flipped", flipped)] {
            fs::write(&journal, &content).expect("written");
            audit(dir.path()).expect("a tail is cut, not refused");
            let left = fs::read(&journal).expect("read");
            let end = left.iter().rposition(|b| *b != 0).map_or(0, |end| end + 1);
            // A start's sequence number is under no checksum: a flip there may pass, or show in the batch that follows.
            let unsure = what == "flipped" && (5..13).contains(&(at % batch));
            assert!(end == at / batch * batch || (unsure && end % batch == 0), "{what} at byte {at}: {end} bytes are left");
        }
        if at % 7 == 0 {
            let mut torn = bytes[..at].to_vec();
            torn.resize(bytes.len() + 100, 0);
            fs::write(&journal, &torn).expect("written");
            audit(dir.path()).expect("cut");
            assert_eq!(last_batch(dir.path()), (at / batch).checked_sub(1).map(|n| n as u8), "torn at byte {at}");
        }
    }
}

#[test]
fn a_broken_sealed_journal_is_damage_and_names_the_byte() {
    let (dir, bytes) = three_batches();
    // The same batches, as if the journal had been sealed and its successor were empty.
    fs::write(dir.path().join("1.jnl"), vec![0u8; 100]).expect("written");
    fs::write(dir.path().join("0.jnl"), &bytes).expect("written");
    audit(dir.path()).expect("it is intact");
    let batch = bytes.len() / 3;
    for at in (0..bytes.len()).filter(|at| !(5..13).contains(&(at % batch))) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        fs::write(dir.path().join("0.jnl"), &flipped).expect("written");
        let error = audit(dir.path()).expect_err("a flip in a sealed journal is damage");
        assert!(matches!(&error, PartitionError::Damaged { .. }), "{error}");
        let source = std::error::Error::source(&error).expect("it says what").to_string();
        assert!(source.ends_with(&format!("0.jnl is broken at byte {}", at / batch * batch)), "{source}");
    }
}

/// Rows would be gone from the middle of history: position and counts of the later journal would say that all is well.
#[test]
fn a_missing_journal_between_others_is_refused() {
    let (dir, bytes) = three_batches();
    fs::write(dir.path().join("2.jnl"), &bytes).expect("written");
    let error = audit(dir.path()).expect_err("1.jnl is missing");
    assert!(matches!(error, PartitionError::Damaged { .. }));
    assert!(std::error::Error::source(&error).is_some_and(|cause| cause.to_string().starts_with("the journal 1 is missing")));
}
