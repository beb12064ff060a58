//! Files of the caller's place, on its simulated disk.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use super::platter::{self, Inode, Named, Platter};
use super::{executor, world};

/// Offsets, lengths and memory of every read and write are multiples of this many bytes.
pub const BLOCK_BYTES: usize = 4096;

/// The disk of the caller's place.
#[derive(Clone, Debug, Default)]
pub struct Disk(());

/// Memory for a write.
pub struct Buffer(Vec<u8>);

impl Buffer {
    /// Its bytes.
    pub fn as_bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// Leaves the first bytes alone.
    pub fn trim_to_size(&mut self, bytes: usize) {
        self.0.truncate(bytes);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What was read.
pub struct ReadResult(Vec<u8>);

impl Deref for ReadResult {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

fn named(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> io::Error {
    move |source| io::Error::new(source.kind(), format!("{operation} {}: {source}", path.display()))
}

/// The time that an operation takes.
async fn take_time(longest: fn(&Platter) -> u64) {
    let us = longest(&platter::here().borrow());
    executor::sleep(Duration::from_micros(1 + world::below(us.max(1)))).await;
}

impl Disk {
    /// Opens a file for reading and writing; `create`: it is made, and must not be there yet.
    pub async fn open(&self, path: &Path, create: bool) -> io::Result<File> {
        take_time(|disk| disk.manners.io_us_max).await;
        let disk = platter::here();
        let inode = {
            let mut disk = disk.borrow_mut();
            let opened = if create { disk.create(path) } else { disk.inode(path) };
            let inode = opened.map_err(named(if create { "create" } else { "open" }, path))?;
            if create {
                disk.write(inode, 0, &[0; BLOCK_BYTES]).map_err(named("create", path))?;
            }
            inode
        };
        Ok(File { disk, inode, path: RefCell::new(path.to_owned()) })
    }
}

/// An open file.
pub struct File {
    disk: Rc<RefCell<Platter>>,
    inode: Inode,
    path: RefCell<PathBuf>,
}

impl File {
    /// Its present path.
    pub fn path(&self) -> PathBuf {
        self.path.borrow().clone()
    }

    /// Its size in bytes.
    pub async fn size(&self) -> io::Result<u64> {
        Ok(self.disk.borrow().len(self.inode))
    }

    /// Memory for a write; the length must be a multiple of [`BLOCK_BYTES`].
    pub fn buffer(&self, bytes: usize) -> Buffer {
        assert!(bytes.is_multiple_of(BLOCK_BYTES), "a buffer of {bytes} bytes is not a whole number of blocks");
        Buffer(vec![0xA5; bytes])
    }

    /// Reads exactly so many bytes from anywhere within the file.
    pub async fn read_at(&self, at: u64, bytes: usize) -> io::Result<ReadResult> {
        take_time(|disk| disk.manners.io_us_max).await;
        let read = self.disk.borrow().read(self.inode, at, bytes).map_err(named("read", &self.path()))?;
        if read.len() < bytes {
            return Err(named("read", &self.path())(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(ReadResult(read))
    }

    /// Writes the whole buffer at a block boundary.
    pub async fn write_at(&self, buffer: Buffer, at: u64) -> io::Result<()> {
        assert!(at.is_multiple_of(BLOCK_BYTES as u64), "a write at {at} is not at a block's beginning");
        // What a process that is killed had told the kernel to write is written, or was not told yet.
        if world::once_in(2) {
            take_time(|disk| disk.manners.io_us_max).await;
            return self.disk.borrow_mut().write(self.inode, at, &buffer.0).map_err(named("write", &self.path()));
        }
        self.disk.borrow_mut().write(self.inode, at, &buffer.0).map_err(named("write", &self.path()))?;
        take_time(|disk| disk.manners.io_us_max).await;
        Ok(())
    }

    /// Makes every completed write durable. Returns how long that took.
    pub async fn fdatasync(&self) -> io::Result<Duration> {
        let since = super::clock::monotonic();
        let upto = self.disk.borrow().writes();
        take_time(|disk| disk.manners.sync_us_max).await;
        let mut disk = self.disk.borrow_mut();
        let fails = disk.manners.sync_fails_once_in;
        if fails > 0 && world::once_in(fails) {
            disk.lose(self.inode, upto);
            return Err(named("fdatasync", &self.path())(io::Error::other("the disk could not write")));
        }
        disk.sync(self.inode, upto);
        Ok(since.elapsed())
    }

    /// Writes zeros from one block boundary up to another.
    pub async fn zero(&self, from: u64, to: u64) -> io::Result<()> {
        let bytes = to.saturating_sub(from) as usize;
        if bytes > 0 {
            let mut buffer = self.buffer(bytes);
            buffer.as_bytes_mut().fill(0);
            self.write_at(buffer, from).await?;
        }
        Ok(())
    }

    /// Closes it.
    pub async fn close(self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("File").field(&self.path.borrow()).finish()
    }
}

/// An open directory.
pub struct Directory {
    disk: Rc<RefCell<Platter>>,
    path: PathBuf,
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Directory").field(&self.path).finish()
    }
}

impl Directory {
    /// Opens it, and makes it durably with its parents when it is not there.
    pub async fn open(path: &Path) -> io::Result<Self> {
        let disk = platter::here();
        let missing: Vec<PathBuf> = {
            let disk = disk.borrow();
            path.ancestors().take_while(|path| disk.named(path).is_none()).map(Path::to_owned).collect()
        };
        for made in missing.into_iter().rev() {
            let mut disk = disk.borrow_mut();
            disk.create_directory(&made).map_err(named("create", &made))?;
            disk.sync_names(made.parent().unwrap_or(Path::new("")));
        }
        if disk.borrow().named(path) != Some(Named::Directory) {
            return Err(named("open", path)(io::ErrorKind::NotADirectory.into()));
        }
        Ok(Directory { disk, path: path.to_owned() })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names in it.
    pub fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.disk.borrow().list(&self.path)?.into_iter().map(|(name, _)| name).collect())
    }

    /// Gives an open file of this directory a new name, durably.
    pub async fn rename(&self, file: &File, name: &str) -> io::Result<()> {
        let (from, to) = (file.path(), self.path.join(name));
        self.disk.borrow_mut().rename(&from, &to).map_err(named("rename", &from))?;
        file.path.replace(to);
        self.sync().await
    }

    /// Removes a file of this directory, durably.
    pub async fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.path.join(name);
        self.disk.borrow_mut().remove_file(&path).map_err(named("remove", &path))?;
        self.sync().await
    }

    /// Makes names durable.
    pub async fn sync(&self) -> io::Result<()> {
        take_time(|disk| disk.manners.sync_us_max).await;
        self.disk.borrow_mut().sync_names(&self.path);
        Ok(())
    }

    /// Closes it.
    pub async fn close(self) -> io::Result<()> {
        Ok(())
    }
}

/// Starts a task of the caller's place. It runs on when the returned future is dropped; awaiting that gives the task's output, or `None`
/// when it was cancelled.
pub fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> impl Future<Output = Option<T>> {
    executor::spawn_joined(future)
}
