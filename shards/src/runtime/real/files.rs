//! Files with direct IO, and the directory operations that go with them. A thin wrapper over glommio's, which adds what the raft
//! log needs: whole writes, errors that name the operation and the path, timed syncs, and a seam where tests make the disk fail.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use glommio::GlommioError;
pub use glommio::io::DmaBuffer as Buffer;
use glommio::io::{Directory as DmaDirectory, DmaFile, OpenOptions, ReadResult};

/// Offsets, lengths and memory of every read and write are multiples of this many bytes.
pub const BLOCK_BYTES: usize = 4096;

#[cfg(test)]
use super::testing::begin;

#[cfg(not(test))]
struct UnderWay;

/// Tests end a process here, see `testing`.
#[cfg(not(test))]
async fn begin() -> UnderWay {
    UnderWay
}

/// How much one write of zeros covers.
const ZERO_BYTES: usize = 256 << 10;

/// Decides before each write and sync whether the disk does it. Tests simulate full and broken disks with it.
pub trait Faults {
    /// An error here is the write's error; nothing is written.
    fn before_write(&self, path: &Path, at: u64, bytes: usize) -> io::Result<()>;
    /// An error here is the sync's error.
    fn before_sync(&self, path: &Path) -> io::Result<()>;
    /// So much longer the sync takes.
    fn sync_delay(&self, _path: &Path) -> Duration {
        Duration::ZERO
    }
}

/// Where files are opened: the real disk, behind faults when there are some.
#[derive(Clone, Default)]
pub struct Disk {
    faults: Option<Rc<dyn Faults>>,
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").field("faults", &self.faults.is_some()).finish()
    }
}

/// What failed, and on which path; the cause is its source. The [`io::Error`] around it has the cause's kind.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {path}")]
struct FileError {
    operation: &'static str,
    path: PathBuf,
    source: io::Error,
}

fn named(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> io::Error {
    move |source| io::Error::new(source.kind(), FileError { operation, path: path.to_owned(), source })
}

fn plain<T>(error: GlommioError<T>) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => error.into(),
    }
}

impl Disk {
    /// A disk that fails when the faults say so.
    pub fn with_faults(faults: Rc<dyn Faults>) -> Self {
        Disk { faults: Some(faults) }
    }

    /// Opens a file for reading and writing; `create`: it is made, and must not be there yet.
    pub async fn open(&self, path: &Path, create: bool) -> io::Result<File> {
        let _under_way = begin().await;
        if create {
            // glommio asks each device once, by a read of the first file that is opened on it, whether it can poll for completions.
            // An empty file makes that read succeed on devices which cannot, and every read thereafter fails. So the file gets its
            // first block before. (Blocks for one write into the page cache; files are made once per segment.)
            let make = || std::fs::File::create_new(path)?.write_all(&[0; BLOCK_BYTES]);
            make().map_err(named("create", path))?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let file = options.dma_open(path).await.map_err(plain).map_err(named("open", path))?;
        Ok(File { file, path: RefCell::new(path.to_owned()), faults: self.faults.clone() })
    }
}

/// An open file. Dropping it without [`File::close`] closes it at the executor's next turn.
pub struct File {
    file: DmaFile,
    path: RefCell<PathBuf>,
    faults: Option<Rc<dyn Faults>>,
}

impl File {
    /// Its present path.
    pub fn path(&self) -> PathBuf {
        self.path.borrow().clone()
    }

    /// Its size in bytes.
    pub async fn size(&self) -> io::Result<u64> {
        let _under_way = begin().await;
        self.file.file_size().await.map_err(plain).map_err(|e| named("stat", &self.path())(e))
    }

    /// Memory for a write; the length must be a multiple of [`BLOCK_BYTES`]. Its content is undefined.
    pub fn buffer(&self, bytes: usize) -> Buffer {
        self.file.alloc_dma_buffer(bytes)
    }

    /// Reads exactly so many bytes from anywhere within the file.
    pub async fn read_at(&self, at: u64, bytes: usize) -> io::Result<ReadResult> {
        let _under_way = begin().await;
        let read = match self.file.read_at(at, bytes).await {
            Ok(read) if read.len() == bytes => return Ok(read),
            Ok(_) => io::Error::from(io::ErrorKind::UnexpectedEof),
            Err(error) => plain(error),
        };
        Err(named("read", &self.path())(read))
    }

    /// Writes the whole buffer at a block boundary.
    pub async fn write_at(&self, buffer: Buffer, at: u64) -> io::Result<()> {
        let _under_way = begin().await;
        let bytes = buffer.len();
        if let Some(faults) = &self.faults {
            faults.before_write(&self.path(), at, bytes).map_err(|e| named("write", &self.path())(e))?;
        }
        let error = match self.file.write_at(buffer, at).await {
            Ok(written) if written == bytes => return Ok(()),
            // A short write within a file whose blocks exist means that something is badly wrong; the caller fails over it.
            Ok(_) => io::Error::from(io::ErrorKind::WriteZero),
            Err(error) => plain(error),
        };
        Err(named("write", &self.path())(error))
    }

    /// Makes every completed write durable. Returns how long that took.
    #[allow(clippy::disallowed_methods, reason = "this is the runtime")]
    pub async fn fdatasync(&self) -> io::Result<Duration> {
        let _under_way = begin().await;
        if let Some(faults) = &self.faults {
            faults.before_sync(&self.path()).map_err(|e| named("fdatasync", &self.path())(e))?;
        }
        let start = Instant::now();
        let delay = self.faults.as_ref().map_or(Duration::ZERO, |faults| faults.sync_delay(&self.path()));
        if !delay.is_zero() {
            glommio::timer::sleep(delay).await;
        }
        self.file.fdatasync().await.map_err(plain).map_err(|e| named("fdatasync", &self.path())(e))?;
        Ok(start.elapsed())
    }

    /// Writes zeros from one block boundary up to another, really, so that later writes there change no metadata.
    pub async fn zero(&self, from: u64, to: u64) -> io::Result<()> {
        let mut at = from;
        while at < to {
            let bytes = (to - at).min(ZERO_BYTES as u64);
            let mut buffer = self.buffer(bytes as usize);
            buffer.as_bytes_mut().fill(0);
            self.write_at(buffer, at).await?;
            at += bytes;
        }
        Ok(())
    }

    /// Closes it.
    pub async fn close(self) -> io::Result<()> {
        let path = self.path.into_inner();
        self.file.close().await.map_err(plain).map_err(named("close", &path))
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("File").field(&self.path.borrow()).finish()
    }
}

/// An open directory.
#[derive(Debug)]
pub struct Directory {
    directory: DmaDirectory,
    path: PathBuf,
}

impl Directory {
    /// Opens it, and makes it durably with its parents when it is not there. Blocks while it makes them.
    pub async fn open(path: &Path) -> io::Result<Self> {
        let _under_way = begin().await;
        let missing: Vec<&Path> = path.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.is_dir()).collect();
        for made in missing.into_iter().rev() {
            std::fs::create_dir(made).map_err(named("create", made))?;
            let parent = made.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            std::fs::File::open(parent).and_then(|parent| parent.sync_all()).map_err(named("sync", parent))?;
        }
        let directory = DmaDirectory::open(path).await.map_err(plain).map_err(named("open", path))?;
        Ok(Directory { directory, path: path.to_owned() })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names in it. Blocks.
    pub fn list(&self) -> io::Result<Vec<String>> {
        let names = std::fs::read_dir(&self.path).map_err(named("list", &self.path))?;
        names.map(|name| Ok(name.map_err(named("list", &self.path))?.file_name().to_string_lossy().into_owned())).collect()
    }

    /// Gives an open file of this directory a new name, durably.
    pub async fn rename(&self, file: &File, name: &str) -> io::Result<()> {
        let (from, to) = (file.path(), self.path.join(name));
        {
            let _under_way = begin().await;
            glommio::io::rename(&from, &to).await.map_err(plain).map_err(named("rename", &from))?;
        }
        file.path.replace(to);
        self.sync().await
    }

    /// Removes a file of this directory, durably.
    pub async fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.path.join(name);
        {
            let _under_way = begin().await;
            glommio::io::remove(&path).await.map_err(plain).map_err(named("remove", &path))?;
        }
        self.sync().await
    }

    /// Makes names durable.
    pub async fn sync(&self) -> io::Result<()> {
        let _under_way = begin().await;
        self.directory.sync().await.map_err(plain).map_err(named("sync", &self.path))
    }

    /// Closes it.
    pub async fn close(self) -> io::Result<()> {
        self.directory.close().await.map_err(plain).map_err(named("close", &self.path))
    }
}

/// Starts a task on this executor. It runs on when the returned future is dropped; awaiting that gives the task's output, or
/// `None` when it was cancelled.
pub fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> impl Future<Output = Option<T>> {
    glommio::spawn_local(future).detach()
}
