//! Rows in one value: a function gives them, and a table with the value as its argument has them (`tables::rows`). So a query may stand
//! in FROM that reads the tables before it, which SQLite does not have: as a value it may.
//!
//! Cells stand one after another, row after row: a byte for the kind, then what it takes, with the length of what has one.

use rusqlite::types::ValueRef;

const NULL: u8 = 0;
const INTEGER: u8 = 1;
const REAL: u8 = 2;
const TEXT: u8 = 3;
const BLOB: u8 = 4;

/// Appends a cell.
pub fn push(bytes: &mut Vec<u8>, value: ValueRef<'_>) {
    let string = |bytes: &mut Vec<u8>, kind: u8, string: &[u8]| {
        bytes.push(kind);
        bytes.extend_from_slice(&u32::try_from(string.len()).unwrap_or(0).to_le_bytes());
        bytes.extend_from_slice(string);
    };
    match value {
        ValueRef::Null => bytes.push(NULL),
        ValueRef::Integer(number) => {
            bytes.push(INTEGER);
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        ValueRef::Real(number) => {
            bytes.push(REAL);
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        ValueRef::Text(text) => string(bytes, TEXT, text),
        ValueRef::Blob(blob) => string(bytes, BLOB, blob),
    }
}

/// The cell that begins at a place, and where the next one does; `None`: there is none.
pub fn cell(bytes: &[u8], at: usize) -> Option<(ValueRef<'_>, usize)> {
    let (kind, rest) = bytes.get(at..)?.split_first()?;
    let word = |rest: &[u8]| rest.first_chunk::<8>().copied();
    let at = at + 1;
    Some(match *kind {
        NULL => (ValueRef::Null, at),
        INTEGER => (ValueRef::Integer(i64::from_le_bytes(word(rest)?)), at + 8),
        REAL => (ValueRef::Real(f64::from_le_bytes(word(rest)?)), at + 8),
        TEXT | BLOB => {
            let length = u32::from_le_bytes(*rest.first_chunk::<4>()?) as usize;
            let string = rest.get(4..4 + length)?;
            (if *kind == TEXT { ValueRef::Text(string) } else { ValueRef::Blob(string) }, at + 4 + length)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    //! A cell that came back as another would be a wrong answer, one that is cut a panic.
    use super::*;

    #[test]
    fn cells_come_back() {
        let cells = [
            ValueRef::Null,
            ValueRef::Integer(i64::MIN),
            ValueRef::Real(-0.5),
            ValueRef::Text("é".as_bytes()),
            ValueRef::Blob(&[0, 255]),
            ValueRef::Text(b""),
        ];
        let mut bytes = Vec::new();
        cells.iter().for_each(|cell| push(&mut bytes, *cell));
        let mut at = 0;
        for expected in cells {
            let (found, next) = cell(&bytes, at).expect("a cell");
            assert_eq!(found, expected);
            at = next;
        }
        assert_eq!(at, bytes.len());
        assert_eq!(cell(&bytes, at), None);
        for end in 0..bytes.len() {
            let mut at = 0;
            while let Some((_, next)) = cell(&bytes[..end], at) {
                at = next;
            }
            assert!(at <= end);
        }
    }
}
