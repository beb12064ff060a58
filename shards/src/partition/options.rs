//! What an operator may choose about a partition.

/// Sizes of one partition. The defaults keep two groups of 2.5 M tasks and the registry within 400 MiB of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionOptions {
    /// Blocks of tables kept in memory, bytes.
    pub cache_bytes: u64,
    /// A memtable of this size is sealed and flushed into a table, bytes as fjall counts them.
    pub memtable_bytes: u64,
    /// How many sealed memtables may wait for their flush before writes wait too. Each costs up to `memtable_bytes`.
    pub memtables_sealed_max: usize,
    /// fjall starts flushes early when its sealed journals take more than this, bytes; at least 64 MiB.
    pub journal_bytes_max: u64,
    /// Applied writes that wait for fjall, bytes of keys and values; apply waits when they are more. This is what takes fjall's stalls
    /// off the commit path.
    pub queue_bytes_max: usize,
    /// fjall's own worker threads. They flush; compaction has a thread of the partition.
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
            cache_bytes: 32 << 20,
            memtable_bytes: 16 << 20,
            memtables_sealed_max: 2,
            journal_bytes_max: 128 << 20,
            queue_bytes_max: 32 << 20,
            worker_threads: 1,
            files_max: 128,
            compaction_tables: 8,
            table_bytes: 32 << 20,
        }
    }
}
