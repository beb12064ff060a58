//! The first messages on a connection, each after its length, u32 big endian.

use std::io;
use std::time::Duration;

use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Neither end waits longer for the other's first words.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// The first words are short: a slot table and a few names.
pub const BYTES_MAX: usize = 64 << 10;

/// Sends a message.
pub async fn say(stream: &mut TcpStream, message: &impl Message) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(4 + message.encoded_len());
    bytes.extend((message.encoded_len() as u32).to_be_bytes());
    message.encode(&mut bytes).map_err(io::Error::other)?;
    in_time(stream.write_all(&bytes)).await
}

/// Reads a message, and not a byte more.
pub async fn hear<M: Message + Default>(stream: &mut TcpStream) -> io::Result<M> {
    in_time(async {
        let length = stream.read_u32().await? as usize;
        if length > BYTES_MAX {
            let text = format!("{length} bytes for a first message; is the other end a z4 peer?");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes).await?;
        M::decode(&bytes[..]).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
    })
    .await
}

async fn in_time<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", PATIENCE.as_secs()))),
    }
}
