//! TCP on a glommio executor: listener, stream, sleeps and tasks.
//!
//! Everything here belongs to the executor that made it and never leaves its thread.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{FromRawFd, IntoRawFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use futures_util::io::{AsyncRead as _, AsyncWrite as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: i32 = 1_024;
/// A new stream's read buffer, bytes; it doubles whenever one read fills it.
const READ_BYTES_MIN: usize = 4 * 1024;
/// The largest read buffer of a stream, bytes: one system call fetches at most this much.
const READ_BYTES_MAX: usize = 64 * 1024;
/// A [`Socket`] reads at most so many bytes with one system call: an append of a full entry takes a few.
const READ_ROOM_MAX: usize = 1 << 20;
/// Slices of a vectored write are gathered into one call up to this size, bytes.
const GATHER_BYTES_MAX: usize = 64 * 1024;

thread_local! {
    /// Where vectored writes are gathered. One for all streams of the thread: nothing stays in it between calls.
    static GATHER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A listening socket with SO_REUSEPORT: every shard binds the same address and the kernel spreads connections over them. And with
/// SO_REUSEADDR: what lingers for a minute of another program's connections on that port is not in the way.
#[derive(Debug)]
pub struct Listener {
    inner: glommio::net::TcpListener,
}

impl Listener {
    /// Binds and listens. Port 0 takes a free port, which [`Listener::local_addr`] then tells: bind the listeners of the other
    /// shards to that one.
    ///
    /// # Errors
    /// The system's: the address is not ours, the port is taken without SO_REUSEPORT, no permission.
    // One of the few places with unsafe code: glommio's own way to bind sets SO_REUSEPORT alone.
    #[allow(unsafe_code)]
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        // SAFETY: the descriptor is that of a listening socket, and nobody else owns it any more.
        let inner = unsafe { glommio::net::TcpListener::from_raw_fd(socket.into_raw_fd()) };
        Ok(Self { inner })
    }

    /// The address that it listens on.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.inner.local_addr()?)
    }

    /// The next connection, with TCP_NODELAY set.
    ///
    /// # Errors
    /// The system's, for example that the process is out of file descriptors. None of them ends the listener.
    pub async fn accept(&self) -> io::Result<Stream> {
        let inner = self.inner.accept().await?;
        inner.set_nodelay(true)?;
        // A connection outlives a process that is killed, until its client goes or a minute has passed. Without this, the process that
        // is started again finds the port taken meanwhile.
        socket2::SockRef::from(&inner).set_reuse_address(true)?;
        Ok(Stream::new(inner))
    }
}

/// One TCP connection, with reads in large pieces: h2 asks for a few KiB at a time, the kernel is asked for up to 64 KiB.
pub struct Stream {
    inner: glommio::net::TcpStream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    received: Rc<Cell<u64>>,
}

impl Stream {
    fn new(inner: glommio::net::TcpStream) -> Self {
        Self { inner, buffer: vec![0; READ_BYTES_MIN], start: 0, end: 0, received: Rc::default() }
    }

    /// Connects to a peer, with TCP_NODELAY set.
    ///
    /// # Errors
    /// The system's; `TimedOut` after `timeout`.
    pub async fn connect(address: SocketAddr, timeout: Duration) -> io::Result<Self> {
        let inner = glommio::net::TcpStream::connect_timeout(address, timeout).await?;
        inner.set_nodelay(true)?;
        Ok(Self::new(inner))
    }

    /// Who is at the other end.
    ///
    /// # Errors
    /// The system's, for example when the connection is gone already.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.inner.peer_addr()?)
    }

    /// Counts the bytes that came in; shared, so that it can be read while another owns the stream.
    pub fn received(&self) -> Rc<Cell<u64>> {
        self.received.clone()
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.end == self.buffer.len() && self.end < READ_BYTES_MAX {
            // The read before filled it: more is probably waiting.
            self.buffer.resize(self.end * 2, 0);
        }
        self.start = 0;
        self.end = 0;
        self.end = ready!(Pin::new(&mut self.inner).poll_read(cx, &mut self.buffer))?;
        self.received.set(self.received.get() + self.end as u64);
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.start == this.end {
            ready!(this.poll_fill(cx))?;
        }
        let bytes = (this.end - this.start).min(into.remaining());
        into.put_slice(&this.buffer[this.start..this.start + bytes]);
        this.start += bytes;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, from)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_close(cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// glommio has no vectored send. A frame's head and body are copied together instead: with TCP_NODELAY, a send of the 9 bytes
    /// of a head would be a packet of its own, which costs far more than the copy.
    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let inner = Pin::new(&mut self.get_mut().inner);
        let mut parts = from.iter().filter(|part| !part.is_empty());
        let Some(first) = parts.next() else { return Poll::Ready(Ok(0)) };
        let Some(second) = parts.next() else { return inner.poll_write(cx, first) };
        GATHER.with_borrow_mut(|gather| {
            gather.clear();
            for part in [first, second].into_iter().chain(parts) {
                let room = GATHER_BYTES_MAX - gather.len();
                gather.extend_from_slice(&part[..part.len().min(room)]);
            }
            inner.poll_write(cx, gather)
        })
    }
}

/// A connection that was made elsewhere, before a [`Socket`] takes it over.
pub type Connected = std::net::TcpStream;

/// A connection that was made elsewhere, for one task that reads and one that writes.
pub struct Socket(RefCell<glommio::net::TcpStream>);

/// Closes a [`Socket`] under its reader and writer.
pub struct SocketCloser(std::net::TcpStream);

impl SocketCloser {
    /// Reads find the end, writes fail.
    pub fn close(&self) {
        // An error means that it is closed already.
        let _ = self.0.shutdown(std::net::Shutdown::Both);
    }
}

impl Socket {
    /// Takes a connection over, with TCP_NODELAY set.
    ///
    /// # Errors
    /// The system's, for example that the process is out of file descriptors.
    pub fn adopt(stream: Connected) -> io::Result<(Self, SocketCloser)> {
        // The ring waits for the socket; one that does not block would answer EAGAIN instead.
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        let closer = SocketCloser(stream.try_clone()?);
        Ok((Socket(RefCell::new(socket2::Socket::from(stream).into())), closer))
    }

    /// Appends what is there, at least a byte; 0: the other end has closed.
    ///
    /// # Errors
    /// The system's.
    pub async fn read(&self, into: &mut BytesMut) -> io::Result<usize> {
        if into.capacity() - into.len() < READ_BYTES_MAX / 2 {
            into.reserve(READ_BYTES_MAX);
        }
        let start = into.len();
        // Room that one call may fill; what it did not fill is cut off again.
        into.resize(into.capacity().min(start + READ_ROOM_MAX), 0);
        let read = poll_fn(|cx| Pin::new(&mut *self.0.borrow_mut()).poll_read(cx, &mut into[start..])).await;
        into.truncate(start + read.as_ref().map_or(0, |bytes| *bytes));
        read
    }

    /// Sends everything.
    ///
    /// # Errors
    /// The system's.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let sent = poll_fn(|cx| Pin::new(&mut *self.0.borrow_mut()).poll_write(cx, bytes)).await?;
            if sent == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = &bytes[sent..];
        }
        Ok(())
    }
}

/// A sleep to be polled by hand.
pub struct Sleep(glommio::timer::Timer);

impl Sleep {
    /// Ready after so long.
    pub fn new(duration: Duration) -> Self {
        Sleep(glommio::timer::Timer::new(duration))
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(|_| ())
    }
}

/// Sleeps on the executor.
pub async fn sleep(duration: Duration) {
    glommio::timer::Timer::new(duration).await;
}

/// Starts a task on the caller's executor; it ends by itself.
///
/// glommio runs a new task at once, inside this call, until it first waits: no `RefCell` that the task borrows may be borrowed here.
pub fn spawn(task: impl Future<Output = ()> + 'static) {
    glommio::spawn_local(task).detach();
}

/// Runs a future to its end on an executor of its own, unpinned, on the caller's thread: for tests and small programs.
///
/// # Errors
/// io_uring is missing or too little memory may be locked.
pub fn run<T>(future: impl Future<Output = T>) -> io::Result<T> {
    Ok(glommio::LocalExecutorBuilder::default().make()?.run(future))
}

#[cfg(test)]
mod tests {
    //! Were a byte lost, doubled or moved between the buffers, HTTP/2 would break under load only.
    use futures_util::future::join;

    use super::*;

    /// Sends everything, as two slices of changing sizes per call, the way h2 sends a frame's head and body.
    async fn send(stream: &mut Stream, bytes: &[u8]) {
        let mut sent = 0;
        while sent < bytes.len() {
            let head = (sent % 300).min(bytes.len() - sent);
            let (head, body) = bytes[sent..].split_at(head);
            let body = &body[..body.len().min(40_000)];
            let parts = [IoSlice::new(head), IoSlice::new(&[]), IoSlice::new(body)];
            let part = poll_fn(|cx| Pin::new(&mut *stream).poll_write_vectored(cx, &parts)).await.expect("connected");
            assert!(part > 0);
            sent += part;
        }
        poll_fn(|cx| Pin::new(&mut *stream).poll_shutdown(cx)).await.expect("connected");
    }

    /// Reads to the end in pieces of an odd size.
    async fn receive(stream: &mut Stream) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let mut piece = [0; 7_919];
            let mut piece = ReadBuf::new(&mut piece);
            poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, &mut piece)).await.expect("connected");
            if piece.filled().is_empty() {
                return all;
            }
            all.extend_from_slice(piece.filled());
        }
    }

    /// Another program's connection lingers on the port (TIME_WAIT): its listener shared the port with nobody.
    #[test]
    fn what_lingers_of_another_program_is_not_in_the_way() {
        let program = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = program.local_addr().expect("bound");
        let client = std::net::TcpStream::connect(address).expect("it listens");
        let (server, _) = program.accept().expect("a client");
        // Who closes first lingers.
        drop(server);
        std::io::Read::read(&mut &client, &mut [0]).expect("the end");
        drop((client, program));
        run(async move { Listener::bind(address).map(drop) }).expect("io_uring").expect("the port is free");
    }

    #[test]
    fn what_is_sent_arrives() {
        let bytes: Vec<u8> = (0..3_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let talk = async {
            let listener = Listener::bind(([127, 0, 0, 1], 0).into()).expect("a free port");
            let address = listener.local_addr().expect("bound");
            // Another shard's listener on the same port.
            let second = Listener::bind(address).expect("SO_REUSEPORT");
            assert_eq!(second.local_addr().expect("bound"), address);
            drop(second);
            let connect = Stream::connect(address, Duration::from_secs(10));
            let (here, there) = join(connect, listener.accept()).await;
            let (mut here, mut there) = (here.expect("connected"), there.expect("accepted"));
            let received = there.received();
            let (_, arrived) = join(send(&mut here, &bytes), receive(&mut there)).await;
            assert!(arrived == bytes, "{} bytes arrived, {} were sent", arrived.len(), bytes.len());
            assert_eq!(received.get(), bytes.len() as u64);
            assert_eq!(there.buffer.len(), READ_BYTES_MAX, "the buffer grew under load");
        };
        run(talk).expect("io_uring");
    }
}
