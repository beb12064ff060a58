//! What the errors of a tree mean for the replica, whichever tree it is.

/// What an error of the tree means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It is open elsewhere.
    Locked,
    /// A file is not there any more.
    Missing,
    /// What is there is not what was written.
    Damaged,
    /// The disk.
    Storage,
}

/// An error of a tree.
pub(super) trait Troubles: std::error::Error + Send + Sync + 'static {
    /// What it means.
    fn trouble(&self) -> Trouble;
}
