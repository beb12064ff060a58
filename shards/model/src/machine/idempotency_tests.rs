//! The window must forget on every replica at the same index, whether the replica ran all the time or was loaded just now; were it
//! not so, one would answer a repeated request with the old task and the other would create a second one.

use super::*;
use crate::machine::testing::MemoryStore;

fn run(write: Write, store: &mut MemoryStore) {
    match write {
        Write::Put(key, value) => store.put(key, value),
        Write::Delete(key, weak) => store.delete(key, weak),
    }
}

/// One entry that brings `ids`.
fn entry(window: &mut Window, store: &mut MemoryStore, index: u64, stamp_ms: u64, ids: &[(u128, u64)]) {
    for (id, window_ms) in ids {
        assert_eq!(window.find(RequestHash(*id), stamp_ms), None);
        window.insert(
            RequestHash(*id),
            TaskKey { due_ms: stamp_ms, sequence: index << 16 },
            (stamp_ms, stamp_ms),
            *window_ms,
            index,
        );
    }
    window.close(index, (stamp_ms, None), |write| run(write, store));
    window.check();
}

fn sequence(window: &Window, id: u128, stamp_ms: u64) -> Option<u64> {
    window.find(RequestHash(id), stamp_ms).map(|known| known.home.sequence >> 16)
}

#[test]
fn a_block_is_golden() {
    let known = Known { home: TaskKey { due_ms: 300, sequence: 5 }, created_ms: 2, expires_ms: 130, index: 7 };
    let value = encode_block(2, None, &[(RequestHash(0x0102), known)]);
    let golden = b"\x01\x02\x01\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xac\x02\x05\x80\x01";
    assert_eq!(value, Bytes::from_static(golden));
    assert_eq!(decode_block(7, &value), Ok(vec![(RequestHash(0x0102), known)]));
    for len in 0..value.len() {
        assert!(decode_block(7, &value.slice(..len)).is_err(), "{len}");
    }
}

/// When it was created is what the producer is told, what the stamp was decides when it is forgotten.
#[test]
fn a_block_with_two_times_is_golden() {
    let known = Known { home: TaskKey { due_ms: 300, sequence: 5 }, created_ms: 9, expires_ms: 130, index: 7 };
    let value = encode_block(2, Some(9), &[(RequestHash(0x0102), known)]);
    let golden = b"\x02\x02\x09\x01\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xac\x02\x05\x80\x01";
    assert_eq!(value, Bytes::from_static(golden));
    assert_eq!(decode_block(7, &value), Ok(vec![(RequestHash(0x0102), known)]));
}

#[test]
fn an_id_is_known_until_it_expires_and_its_block_goes_later() {
    let (mut window, mut store) = (Window::new(), MemoryStore::strict());
    entry(&mut window, &mut store, 1, 100, &[(1, 10), (2, 50)]);
    assert_eq!(sequence(&window, 1, 109), Some(1));
    assert_eq!(sequence(&window, 1, 110), None);
    // The block stays for the second id; the first is taken over by a new block.
    entry(&mut window, &mut store, 2, 120, &[(1, 10)]);
    assert_eq!(store.len(), 2);
    assert_eq!((sequence(&window, 1, 120), sequence(&window, 2, 120)), (Some(2), Some(1)));
    // The newer block expires first and takes its id along; the old block must not bring it back.
    entry(&mut window, &mut store, 3, 140, &[]);
    assert_eq!(store.len(), 1);
    assert_eq!((sequence(&window, 1, 140), sequence(&window, 2, 140)), (None, Some(1)));
    entry(&mut window, &mut store, 4, 150, &[]);
    assert_eq!(store.len(), 0);
    assert!(window.known.is_empty() && window.blocks.is_empty() && window.by_expiry.is_empty() && window.ids == 0);
}

#[test]
fn a_full_window_forgets_the_oldest_first() {
    let (mut window, mut store) = (Window::bounded(3), MemoryStore::strict());
    entry(&mut window, &mut store, 1, 100, &[(1, 1_000), (2, 1_000)]);
    entry(&mut window, &mut store, 2, 100, &[(3, 10)]);
    assert_eq!(sequence(&window, 1, 100), Some(1));
    entry(&mut window, &mut store, 3, 100, &[(4, 10)]);
    assert_eq!([1, 2, 3, 4].map(|id| sequence(&window, id, 100)), [None, None, Some(2), Some(3)]);
    assert_eq!(store.len(), 2);
}

#[test]
fn expired_blocks_go_a_few_at_a_time() {
    let (mut window, mut store) = (Window::new(), MemoryStore::strict());
    for index in 1..=20 {
        entry(&mut window, &mut store, index, 100, &[(u128::from(index), 10)]);
    }
    entry(&mut window, &mut store, 21, 200, &[(1, 10)]);
    assert_eq!(store.len(), 20 - EXPIRED_BLOCKS_MAX + 1);
    assert_eq!(sequence(&window, 1, 200), Some(21));
}

#[test]
fn what_a_refused_command_brought_is_taken_back() {
    let (mut window, mut store) = (Window::new(), MemoryStore::strict());
    // The second id keeps the block when the first has expired.
    entry(&mut window, &mut store, 1, 100, &[(1, 10), (9, 1_000)]);
    window.insert(RequestHash(2), TaskKey::at(1), (110, 110), 10, 2);
    let fresh = window.fresh();
    window.insert(RequestHash(1), TaskKey::at(2), (110, 110), 10, 2);
    window.insert(RequestHash(3), TaskKey::at(3), (110, 110), 10, 2);
    window.undo(fresh);
    window.close(2, (110, None), |write| run(write, &mut store));
    assert_eq!([1, 2, 3].map(|id| window.find(RequestHash(id), 109).map(|known| known.index)), [Some(1), Some(2), None]);
    let loaded = Window::load(&mut store).expect("readable");
    assert_eq!(loaded.known, window.known);
}

#[test]
fn a_loaded_window_is_the_same() {
    let (mut window, mut store) = (Window::new(), MemoryStore::strict());
    for index in 0..200u64 {
        let stamp_ms = 100 + index * 3;
        let ids: Vec<_> = (0..index % 3).map(|i| (u128::from(index * 3 + i), 10 + index % 40 * 10)).collect();
        entry(&mut window, &mut store, index, stamp_ms, &ids);
    }
    let loaded = Window::load(&mut store).expect("readable");
    assert_eq!(loaded.known, window.known);
    assert_eq!(loaded.by_expiry, window.by_expiry);
    assert_eq!(loaded.ids, window.ids);
    assert!(loaded.ids > 0);
}
