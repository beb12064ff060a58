//! The bounds of one engine, in one place.

/// What an engine holds and does at most. The defaults suit one group on one core.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Rows in one namespace's window.
    pub window_rows_max: usize,
    /// Bytes in one namespace's window, see [`weight`](super::weight); the row that crosses it still stays.
    pub window_bytes_max: usize,
    /// Bytes in all windows together. Every namespace keeps at least one row, whatever its size, so that none starves: the true
    /// bound is an eighth more, plus one row for each active namespace.
    pub total_bytes_max: usize,
    /// A window is kept for so long after its namespace's last consumer, milliseconds: whoever leases one task at a time comes again.
    pub keep_ms: u64,
    /// Of so many namespaces at most.
    pub keep_max: usize,
    /// So many rows of namespaces are read at a time.
    pub loads_max: usize,
    /// A scan reads so many rows at least, and a few times as many as its consumers take at a time.
    pub scan_rows_min: usize,
    /// Rows that are due within this time from now may be in memory, milliseconds. A scan starts when less than half of it is known.
    pub lookahead_ms: u64,
    /// A consumer gets at most so many tasks of one namespace before it is another one's turn.
    pub batch_tasks: usize,
    /// The same in bytes; the task that crosses it still goes.
    pub batch_bytes: usize,
    /// Tasks in one [`Action::Deliver`](super::Action::Deliver).
    pub deliver_tasks: usize,
    /// The same in bytes; the task that crosses it still goes.
    pub deliver_bytes: usize,
    /// Operations in one [`Action::Propose`](super::Action::Propose).
    pub propose_ops: usize,
    /// Tasks delivered by one [`Engine::run`](super::Engine::run): it keeps the executor for about so many microseconds.
    pub run_tasks: usize,
    /// The wait before a retry whose proposal failed is proposed again, milliseconds.
    pub propose_again_ms: u64,
    /// What a consumer says of a task that is being changed waits, and its lease with it, for so long, milliseconds.
    pub hold_wait_ms: u64,
    /// After a change of leader that told nothing of leases, what was due before waits so long for consumers that still hold it,
    /// milliseconds; twice as long at most while claims that came in time are looked up.
    pub claim_grace_ms: u64,
    /// The times of two leaders differ by no more than this, milliseconds. Default 0: the shell knows, see
    /// [`Clocks::differ_ms`](crate::link::Clocks::differ_ms).
    pub clocks_differ_ms: u64,
    /// The low-water mark moves after so many rows went.
    pub water_rows: u32,
    /// It also moves after a hundredth of them, when it has so far to go, milliseconds.
    pub water_step_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            window_rows_max: 4_096,
            window_bytes_max: 4 << 20,
            total_bytes_max: 64 << 20,
            keep_ms: 5_000,
            keep_max: 1_000,
            loads_max: 32,
            scan_rows_min: 256,
            lookahead_ms: 2_000,
            batch_tasks: 32,
            batch_bytes: 64 << 10,
            deliver_tasks: 256,
            deliver_bytes: 256 << 10,
            propose_ops: 500,
            run_tasks: 8_192,
            propose_again_ms: 1_000,
            hold_wait_ms: 10_000,
            claim_grace_ms: 2_000,
            clocks_differ_ms: 0,
            water_rows: 10_000,
            water_step_ms: 10_000,
        }
    }
}
