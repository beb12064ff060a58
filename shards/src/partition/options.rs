//! What an operator may choose about a partition, and what the choices were measured against.
//!
//! Measured with `tests/measure.rs`: 5 M creates of 256-byte payloads (half of it incompressible), runs of 1,000 tasks, one partition,
//! 2 cores that other work shared, so that CPU times are good to a third and latencies are upper bounds.
//!
//! | CPU per task, µs | due times over one hour, at random | in the order of creation |
//! |---|---|---|
//! | storage thread (machine and layer) | 0.9 | 0.7 |
//! | writer thread (fjall's journal and memtable) | 2.1 | 0.9 |
//! | flush | 1.0 | 0.6 |
//! | compaction | 2.1 | 0.02 |
//! | anonymous memory, MiB, at full speed / at 60,000 tasks/s | 134 / 86 | 150 / - |
//! | disk, MiB | 930 | 1,400 |
//!
//! At an offered rate the queue keeps apply (of 1,000 tasks) at p50 0.6, p99 11, max 29 ms for 150,000 tasks/s in order, and p50 0.65,
//! p99 23, max 54 ms for 100,000 tasks/s at random: what is left is waiting for a core. At full speed the queue fills and apply waits for
//! fjall (max 790 ms), which is the backpressure that it should be.
//!
//! An ack costs the storage thread 0.2 µs and the writer 0.6 µs. Windows of 1,000 rows: 0.3 to 0.5 ms. A partition of 5 M rows opens in
//! 0.5 to 2.5 s, most of it the replay of up to 64 MiB of journal. Passing a million acked rows whose tombstones were not merged yet takes
//! about a second: scans should start at the low-water mark, or where the last one ended.
//!
//! What was tried besides (3 M tasks, due times at random unless said otherwise, machine mostly idle):
//!
//! - fjall alone (memtable 16 MiB, one worker): memory 490 MiB, stalls of a commit up to 425 ms, for flushes wait behind compactions. With
//!   four workers and a memtable of 64 MiB 370 MiB, up to 288 ms. With compaction on a thread of its own: 150 MiB, up to 110 ms,
//!   which the queue hides;
//! - two fjall workers: the first does no compaction and spins while the second does, so there is one;
//! - syncing the journal from aside before fjall does, so that its sync under the lock has little left: no difference beyond noise;
//! - one keyspace instead of two: 2.8 instead of 1.6 µs per task for due times in the order of creation, 470 instead of 830 thousand tasks/s;
//! - `compaction_tables` 4, 8, 16: 4.6, 4.3, 4.7 µs in all; `table_bytes` 16, 32, 64 MiB: within noise; memtable 32 MiB: 5.0 µs and
//!   40 MiB more memory; no compression: 4.1 µs and 1.8 times the disk; blocks of 8 KiB: 4.5 µs and twice the index in memory.

/// Sizes of one partition. The defaults keep two groups of 2.5 M tasks and the registry within 400 MiB of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionOptions {
    /// Blocks of tables kept in memory, bytes. Delivery reads in order and each block once, so only gets by id gain from more.
    pub cache_bytes: u64,
    /// Memtables of this size together are sealed and flushed into tables, bytes as fjall counts them (a quarter less than they take).
    pub memtable_bytes: u64,
    /// How many sealed memtables may wait for their flush before the writer waits too; each costs up to `memtable_bytes`. At least 1;
    /// fjall itself stops for 100 ms at a time from 4 on.
    pub memtables_sealed_max: usize,
    /// fjall starts flushes early when its sealed journals take more than this, bytes; at least 64 MiB.
    pub journal_bytes_max: u64,
    /// Applied writes that wait for fjall, bytes of keys and values; apply waits when they are more. This takes fjall's stalls off
    /// the commit path: 16 MiB are 50,000 tasks of 256 bytes, half a second at 100,000 tasks/s.
    pub queue_bytes_max: usize,
    /// fjall's own worker threads. They only flush.
    pub worker_threads: usize,
    /// Open files of tables.
    pub files_max: usize,
    /// So many tables of flushed memtables are merged at once into the sorted levels.
    pub compaction_tables: u8,
    /// The size of a table in the sorted levels, bytes on disk.
    pub table_bytes: u64,
}

impl Default for PartitionOptions {
    fn default() -> Self {
        PartitionOptions {
            cache_bytes: 16 << 20,
            memtable_bytes: 16 << 20,
            memtables_sealed_max: 2,
            journal_bytes_max: 128 << 20,
            queue_bytes_max: 16 << 20,
            worker_threads: 1,
            files_max: 128,
            compaction_tables: 8,
            table_bytes: 32 << 20,
        }
    }
}
