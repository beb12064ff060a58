//! As much of MySQL's protocol as it takes to ask a question: text queries, no password.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::wait::within;

/// PROTOCOL_41, SECURE_CONNECTION, PLUGIN_AUTH, CONNECT_WITH_DB.
const CAPABILITIES: u32 = 0x200 | 0x8000 | 0x8_0000 | 0x8;
const COM_QUERY: u8 = 3;

/// An error of the server: its code and its sentence.
pub type SqlError = (u16, String);

/// Rows as text; `None` is NULL.
pub type Rows = Vec<Vec<Option<String>>>;

/// A connection.
pub struct Sql {
    stream: TcpStream,
}

impl Sql {
    /// Logs in as root, without a password, to database z4.
    pub async fn connect(address: &str) -> Result<Sql, SqlError> {
        let stream = TcpStream::connect(address).await.map_err(|e| (0, e.to_string()))?;
        let mut sql = Sql { stream };
        sql.packet().await?;
        let mut response = CAPABILITIES.to_le_bytes().to_vec();
        response.extend_from_slice(&(1u32 << 24).to_le_bytes());
        response.push(45);
        response.extend_from_slice(&[0; 23]);
        response.extend_from_slice(b"root\0\0z4\0mysql_native_password\0");
        sql.send(1, &response).await?;
        sql.packet().await.map(|_| sql)
    }

    /// The connection, for what no client would say.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Asks, and reads all rows.
    pub async fn ask(&mut self, query: &str) -> Result<Rows, SqlError> {
        within("the answer to a query", self.asked(query)).await
    }

    async fn asked(&mut self, query: &str) -> Result<Rows, SqlError> {
        self.send(0, &[&[COM_QUERY], query.as_bytes()].concat()).await?;
        let first = self.packet().await?;
        if first[0] == 0 {
            return Ok(Vec::new());
        }
        for _ in 0..first[0] {
            self.packet().await?;
        }
        self.packet().await?;
        let mut rows = Vec::new();
        loop {
            let row = self.packet().await?;
            if row[0] == 0xfe && row.len() < 9 {
                return Ok(rows);
            }
            rows.push(fields(&row));
        }
    }

    async fn send(&mut self, sequence: u8, payload: &[u8]) -> Result<(), SqlError> {
        let mut packet = (payload.len() as u32 | u32::from(sequence) << 24).to_le_bytes().to_vec();
        packet.extend_from_slice(payload);
        self.stream.write_all(&packet).await.map_err(|e| (0, e.to_string()))
    }

    /// A packet; one that tells an error is one.
    async fn packet(&mut self) -> Result<Vec<u8>, SqlError> {
        let mut head = [0; 4];
        self.stream.read_exact(&mut head).await.map_err(|e| (0, e.to_string()))?;
        let length = u32::from_le_bytes(head) & 0xff_ffff;
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload).await.map_err(|e| (0, e.to_string()))?;
        if payload.first() == Some(&0xff) {
            let text = payload.get(9..).unwrap_or_default();
            return Err((u16::from_le_bytes([payload[1], payload[2]]), String::from_utf8_lossy(text).into_owned()));
        }
        Ok(payload)
    }
}

/// The values of a row: strings with their length in front.
fn fields(mut row: &[u8]) -> Vec<Option<String>> {
    let mut fields = Vec::new();
    while let Some((first, rest)) = row.split_first() {
        let (length_bytes, mut length) = match first {
            0xfb => {
                fields.push(None);
                row = rest;
                continue;
            }
            0xfc => (2, 0),
            0xfd => (3, 0),
            0xfe => (8, 0),
            short => (0, usize::from(*short)),
        };
        for (at, byte) in rest[..length_bytes].iter().enumerate() {
            length |= usize::from(*byte) << (8 * at);
        }
        let (value, rest) = rest[length_bytes..].split_at(length);
        fields.push(Some(String::from_utf8_lossy(value).into_owned()));
        row = rest;
    }
    fields
}
