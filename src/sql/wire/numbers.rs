//! Numbers as MySQL writes and reads them.

use std::io::Write;

/// An integer.
pub(super) fn push_int(into: &mut Vec<u8>, value: i64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut left = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    if value < 0 {
        into.push(b'-');
    }
    into.extend_from_slice(&digits[at..]);
}

/// A DOUBLE: the shortest digits that give it again, with an exponent from 1e15 on and below 1e-15. MySQL has no infinity.
pub(super) fn push_double(into: &mut Vec<u8>, value: f64) {
    let value = finite(value);
    let size = value.abs();
    // Writing to a Vec does not fail.
    let _ = if size != 0.0 && !(1e-15..1e15).contains(&size) { write!(into, "{value:e}") } else { write!(into, "{value}") };
}

/// A DOUBLE with a fixed number of digits behind the point, rounded half away from zero by its shortest decimal form, as MySQL's
/// DECIMAL would be that the number stands for.
pub(super) fn push_decimal(into: &mut Vec<u8>, value: f64, scale: u8) {
    let scale = usize::from(scale.min(30));
    let text = finite(value).to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let start = into.len();
    into.extend_from_slice(whole.as_bytes());
    if scale > 0 {
        into.push(b'.');
    }
    into.extend(fraction.bytes().chain(std::iter::repeat(b'0')).take(scale));
    if fraction.as_bytes().get(scale).is_some_and(|digit| *digit >= b'5') {
        carry(into, start);
    }
    // No minus before a zero.
    if into[start..].iter().all(|byte| matches!(byte, b'-' | b'0' | b'.')) && into.get(start) == Some(&b'-') {
        into.remove(start);
    }
}

/// An integer with a fixed number of zeros behind the point.
pub(super) fn push_decimal_int(into: &mut Vec<u8>, value: i64, scale: u8) {
    push_int(into, value);
    if scale > 0 {
        into.push(b'.');
        into.extend(std::iter::repeat_n(b'0', usize::from(scale.min(30))));
    }
}

/// Adds one to the last digit.
fn carry(into: &mut Vec<u8>, start: usize) {
    for at in (start..into.len()).rev() {
        match into[at] {
            b'9' => into[at] = b'0',
            b'0'..=b'8' => {
                into[at] += 1;
                return;
            }
            _ => {}
        }
    }
    let after_sign = start + usize::from(into.get(start) == Some(&b'-'));
    into.insert(after_sign, b'1');
}

/// MySQL's limits stand for infinities; there is no NaN in SQLite.
pub(super) fn finite(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value.clamp(f64::MIN, f64::MAX) }
}

/// The number that a text starts with; 0: it starts with none.
pub(super) fn prefix(text: &[u8]) -> f64 {
    let text = text.trim_ascii_start();
    let digits = |from: usize| text.get(from..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit()).count();
    let sign = usize::from(matches!(text.first(), Some(b'-' | b'+')));
    let mut end = sign + digits(sign);
    let mut count = end - sign;
    if text.get(end) == Some(&b'.') {
        let fraction = digits(end + 1);
        count += fraction;
        end += 1 + fraction;
    }
    if count == 0 {
        return 0.0;
    }
    if matches!(text.get(end), Some(b'e' | b'E')) {
        let exponent = end + 1 + usize::from(matches!(text.get(end + 1), Some(b'-' | b'+')));
        if digits(exponent) > 0 {
            end = exponent + digits(exponent);
        }
    }
    std::str::from_utf8(&text[..end]).ok().and_then(|text| text.parse().ok()).unwrap_or(0.0)
}

/// The integer that a text stands for: as it is written, or rounded.
pub(super) fn integer(text: &[u8]) -> i64 {
    let exact = std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok());
    // The cast keeps to the limits.
    exact.unwrap_or_else(|| prefix(text).round() as i64)
}

#[cfg(test)]
mod tests {
    //! Numbers read like MySQL's, which were asked of a MySQL 8.0.
    use super::*;

    fn text(push: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut into = b"x".to_vec();
        push(&mut into);
        String::from_utf8(into.split_off(1)).expect("ASCII")
    }

    #[test]
    fn doubles() {
        let cases = [
            (0.0, "0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (0.1, "0.1"),
            (1e14, "100000000000000"),
            (1e15, "1e15"),
            (1.5e20, "1.5e20"),
            (1e-15, "0.000000000000001"),
            (1e-16, "1e-16"),
            (f64::INFINITY, "1.7976931348623157e308"),
        ];
        for (value, expected) in cases {
            assert_eq!(text(|into| push_double(into, value)), expected);
        }
    }

    #[test]
    fn decimals() {
        let cases = [
            (0.125, 2, "0.13"),
            (1.005, 2, "1.01"),
            (-9.999, 2, "-10.00"),
            (99.95, 1, "100.0"),
            (2.0, 4, "2.0000"),
            (2.5, 0, "3"),
            (-0.001, 2, "0.00"),
            (1e21, 1, "1000000000000000000000.0"),
        ];
        for (value, scale, expected) in cases {
            assert_eq!(text(|into| push_decimal(into, value, scale)), expected, "{value}");
        }
        assert_eq!(text(|into| push_decimal_int(into, -7, 3)), "-7.000");
    }

    #[test]
    fn integers() {
        for value in [0, 1, -1, 10, i64::MAX, i64::MIN] {
            assert_eq!(text(|into| push_int(into, value)), value.to_string());
        }
        assert_eq!(integer(b"9223372036854775807"), i64::MAX);
        assert_eq!(integer(b" 12.6 apples"), 13);
        assert_eq!(integer(b"1e3x"), 1000);
        assert_eq!(integer(b"apples"), 0);
        assert_eq!(integer(b"\xff"), 0);
        assert_eq!(integer(b"-"), 0);
        assert_eq!(integer(b"1e"), 1);
    }
}
