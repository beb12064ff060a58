//! How far back so many bytes of entries reach decides what is purged: too far and a follower needs a snapshot, too short and the disk
//! fills.

use super::support::{append, entries, group, options, run};
use crate::log::record::ENTRY_HEADER_BYTES;

#[test]
fn entries_are_weighed_from_the_end() {
    let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("dir");
    run(async {
        let (log, group) = group(dir.path(), options()).await;
        assert_eq!(group.first_within(0, 1_000).await, 1, "an empty log has nothing to weigh");
        append(&group, entries(1, 1..101, 200)).await.expect("appended");
        let one = (ENTRY_HEADER_BYTES + 200) as u64;
        assert_eq!(group.first_within(100, 0).await, 101);
        assert_eq!(group.first_within(100, one - 1).await, 101);
        assert_eq!(group.first_within(100, one).await, 100);
        assert_eq!(group.first_within(100, 10 * one + 1).await, 91);
        assert_eq!(group.first_within(60, 10 * one).await, 51, "later entries are not applied yet");
        assert_eq!(group.first_within(100, u64::MAX).await, 1);
        group.purge(super::support::at(1, 40)).await.expect("purged");
        assert_eq!(group.first_within(100, u64::MAX).await, 41);
        log.close().await.expect("closed");
    });
}
