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

/// With exactly so many digits behind the point (at most 38).
pub(super) fn fixed(value: f64, scale: i64) -> String {
    let scale = scale.clamp(0, 38);
    let rounded = round(value, scale);
    let (kept, place) = digits(rounded);
    let text = match usize::try_from(place) {
        // Digits that a DOUBLE does not have are zeros.
        Ok(place) if place >= 16 && place >= kept.len() => {
            let whole: String = kept.iter().map(|digit| char::from(b'0' + digit)).collect();
            let sign = if rounded < 0.0 { "-" } else { "" };
            let fraction = if scale > 0 { format!(".{}", "0".repeat(scale as usize)) } else { String::new() };
            format!("{sign}{whole}{}{fraction}", "0".repeat(place - kept.len()))
        }
        _ => format!("{:.*}", scale as usize, rounded),
    };
    if text.starts_with('-') && text.bytes().all(|b| matches!(b, b'-' | b'0' | b'.')) { text[1..].to_owned() } else { text }
}
