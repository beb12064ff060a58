//! Numbers as MySQL writes them, and rounding of their decimal digits.

/// The digits of a finite number, the shortest that read back as it, without a point; and where the point stands: `0.d₁d₂… × 10^place`.
fn digits(value: f64) -> (Vec<u8>, i32) {
    let text = format!("{:e}", value.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).map(|b| b - b'0').collect();
    (digits, exponent.parse::<i32>().unwrap_or(0) + 1)
}

/// A DOUBLE: without exponent between 1e-15 and 1e15, without a point when it is whole.
pub(super) fn double(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return "0".to_owned();
    }
    let (digits, place) = digits(value);
    if (-14..=15).contains(&place) {
        return format!("{value}");
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let (first, rest) = digits.split_first().map_or((0, &[][..]), |(first, rest)| (*first, rest));
    let rest: String = rest.iter().map(|digit| char::from(b'0' + digit)).collect();
    let point = if rest.is_empty() { "" } else { "." };
    format!("{sign}{first}{point}{rest}e{}", place - 1)
}

/// Rounds the decimal digits, away from zero at a half: 1.005 with two digits is 1.01, as with MySQL's DECIMAL.
pub(super) fn round(value: f64, scale: i64) -> f64 {
    keep(value, scale, true)
}

/// Cuts the decimal digits.
pub(super) fn truncate(value: f64, scale: i64) -> f64 {
    keep(value, scale, false)
}

fn keep(value: f64, scale: i64, round: bool) -> f64 {
    if !value.is_finite() || value == 0.0 {
        return value;
    }
    let (mut digits, place) = digits(value);
    let kept = i64::from(place) + scale.clamp(-400, 400);
    if kept >= digits.len() as i64 {
        return value;
    }
    if kept < 0 {
        return 0.0;
    }
    let kept = kept as usize;
    let up = round && digits.get(kept).is_some_and(|digit| *digit >= 5);
    digits.truncate(kept);
    let mut text: String = digits.iter().map(|digit| char::from(b'0' + digit)).collect();
    if up {
        text = increment(&text);
    }
    // The digits are a whole number now, `kept` places behind where the point was.
    let exponent = i64::from(place) - kept as i64;
    let result = format!("{}e{exponent}", if text.is_empty() { "0" } else { &text }).parse::<f64>().unwrap_or(value);
    if value < 0.0 { -result } else { result }
}

/// A whole number of digits, plus one.
fn increment(text: &str) -> String {
    let mut digits = text.as_bytes().to_vec();
    for digit in digits.iter_mut().rev() {
        if *digit == b'9' {
            *digit = b'0';
        } else {
            *digit += 1;
            return String::from_utf8_lossy(&digits).into_owned();
        }
    }
    format!("1{}", String::from_utf8_lossy(&digits))
}

/// With exactly so many digits behind the point (at most 30): those that a DOUBLE has, and zeros for those that it has not.
pub(super) fn fixed(value: f64, scale: i64) -> String {
    let scale = scale.clamp(0, 30);
    let rounded = round(value, scale);
    let (mut kept, place) = digits(rounded);
    if rounded == 0.0 {
        kept.clear();
    }
    let whole = usize::try_from(place).unwrap_or(0);
    let before = usize::try_from(-place).unwrap_or(0);
    let letters = std::iter::repeat_n(0, before).chain(kept).chain(std::iter::repeat(0));
    let mut letters = letters.map(|digit| char::from(b'0' + digit));
    let mut text = String::from(if rounded < 0.0 { "-" } else { "" });
    if whole == 0 {
        text.push('0');
    }
    text.extend(letters.by_ref().take(whole));
    if scale > 0 {
        text.push('.');
        text.extend(letters.take(scale as usize));
    }
    text
}
