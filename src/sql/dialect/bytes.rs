//! A statement's bytes as text. Clients write bytes as they are into strings, with `_binary` before them or without; a string may be no
//! UTF-8, everything else must be.

use super::source::comments::{self, Part};
use crate::sql::error::SqlError;

/// What says that a string is one of bytes.
const INTRODUCER: &[u8] = b"_binary";

/// The text of a statement. Strings that are no UTF-8 are written with hexadecimal digits, as strings of bytes.
///
/// # Errors
/// 1300: something else is no UTF-8.
pub fn readable(bytes: Vec<u8>) -> Result<String, SqlError> {
    let error = match String::from_utf8(bytes) {
        Ok(text) => return Ok(text),
        Err(error) => error,
    };
    let at = error.utf8_error().valid_up_to();
    let told = format!("Invalid utf8mb4 character string: the statement is no UTF-8 from its byte {at} on");
    String::from_utf8(with_digits(error.as_bytes())).map_err(|_| SqlError::new(1300, "HY000", told))
}

/// A string that is open.
struct Open {
    quote: char,
    /// Where it begins in what is written.
    from: usize,
    /// The bytes that it stands for.
    bytes: Vec<u8>,
    /// Its quote has come again: it ends, unless the quote comes once more.
    closed: bool,
}

/// The same with hexadecimal digits for the strings that are no UTF-8.
fn with_digits(bytes: &[u8]) -> Vec<u8> {
    // A character for each byte: quotes and comments are ASCII, and no byte of a longer character is.
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 2);
    let mut open: Option<Open> = None;
    comments::walk(&text, |piece| {
        if let Some(string) = &mut open {
            if piece.part == Part::Quoted && !string.closed {
                string.closed = piece.first == string.quote;
                if !string.closed {
                    string.bytes.extend(unescaped(piece.text).map(|c| c as u8));
                }
            } else if piece.part == Part::Quote && piece.first == string.quote {
                string.closed = false;
                string.bytes.push(piece.first as u8);
            } else {
                open.take().into_iter().for_each(|string| end(&mut out, &string));
            }
        }
        if open.is_none() && piece.part == Part::Quote && piece.first != '`' {
            open = Some(Open { quote: piece.first, from: out.len(), bytes: Vec::new(), closed: false });
        }
        out.extend(piece.text.chars().map(|c| c as u8));
        true
    });
    open.into_iter().filter(|string| string.closed).for_each(|string| end(&mut out, &string));
    out
}

/// Writes a string otherwise when it must be.
fn end(out: &mut Vec<u8>, string: &Open) {
    let Some((before, written)) = out.split_at_checked(string.from) else { return };
    if std::str::from_utf8(written).is_ok() {
        return;
    }
    let before = before.trim_ascii_end();
    let part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'@' | b'.' | b'`') || *byte >= 0x80;
    let start = before.iter().rposition(|byte| !part(byte)).map_or(0, |at| at + 1);
    let word = before.get(start..).unwrap_or_default();
    let introduced = word.eq_ignore_ascii_case(INTRODUCER);
    // A string of another character set is none of bytes.
    if word.starts_with(b"_") && !introduced {
        return;
    }
    out.truncate(string.from);
    if !introduced {
        out.push(b' ');
        out.extend(INTRODUCER);
    }
    out.extend(b" x'");
    string
        .bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .for_each(|digit| out.push(b"0123456789ABCDEF"[usize::from(digit)]));
    out.push(b'\'');
}

/// What an escape stands for.
fn unescaped(text: &str) -> impl Iterator<Item = char> {
    let escape = text.strip_prefix('\\').and_then(|rest| rest.chars().next());
    let one = escape.map(|c| match c {
        '0' => '\0',
        'b' => '\u{8}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'Z' => '\u{1a}',
        other => other,
    });
    // `\%` and `\_` keep their backslash.
    let whole = one.is_none() || matches!(escape, Some('%' | '_'));
    one.filter(|_| !whole).into_iter().chain(text.chars().filter(move |_| whole))
}

#[cfg(test)]
mod tests {
    //! Bytes of a client must arrive as they are, and nothing else that is no text may.
    use super::*;

    #[test]
    fn strings_of_bytes_are_read_whatever_they_hold() {
        for (sent, expected) in [
            (&b"SELECT _binary'\xff\0'"[..], "SELECT _binary x'FF00'"),
            (b"SELECT _binary '\xff', 'x'", "SELECT _binary  x'FF', 'x'"),
            (b"SELECT _BINARY\"\xff'\"", "SELECT _BINARY x'FF27'"),
            (b"SELECT _binary'\xff''\xfe'", "SELECT _binary x'FF27FE'"),
            (b"SELECT _binary'\xff\\'\\\\\\n\\0\\Z\\q\\%'", "SELECT _binary x'FF275C0A001A715C25'"),
            (b"SELECT _binary'\xc3\xa9\xff', '\xc3\xa9'", "SELECT _binary x'C3A9FF', '\u{e9}'"),
            (b"SELECT (_binary'\xff') /* _binary'x' */", "SELECT (_binary x'FF') /* _binary'x' */"),
            (b"SELECT _binary'\xff' '\xc3\xa9'", "SELECT _binary x'FF' '\u{e9}'"),
            (b"SELECT '\xff', 'a'", "SELECT  _binary x'FF', 'a'"),
            (b"SELECT '_binary' '\xff'", "SELECT '_binary'  _binary x'FF'"),
            (b"SELECT /* _utf8mb4 */ '\xff'", "SELECT /* _utf8mb4 */  _binary x'FF'"),
            (b"SELECT '\xc3''\xa9'", "SELECT  _binary x'C327A9'"),
        ] {
            assert_eq!(readable(sent.to_vec()).as_deref(), Ok(expected), "{}", sent.escape_ascii());
        }
        // What is text already stays as it is written.
        assert_eq!(readable(b"SELECT _binary'a'".to_vec()).as_deref(), Ok("SELECT _binary'a'"));
    }

    #[test]
    fn other_bytes_are_refused() {
        for sent in [
            &b"\xff"[..],
            b"SELECT \xff'a'",
            b"SELECT _utf8mb4'\xff'",
            b"SELECT _latin1 '\xff'",
            b"SELECT `\xff`",
            b"SELECT 1 /* \xff */",
            b"SELECT '\xff",
        ] {
            assert_eq!(readable(sent.to_vec()).map_err(|error| error.code), Err(1300), "{}", sent.escape_ascii());
        }
    }
}
