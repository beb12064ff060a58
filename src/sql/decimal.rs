//! DECIMAL: exact numbers, and the bytes that carry them inside SQLite.
//!
//! The bytes of two numbers compare as the numbers do, and a number has one form, whatever the digits it was written with: what SQLite
//! compares, sorts, groups and puts in sets is right without a collation. They are
//!
//! ```text
//! 1 negative, 2 zero, 3 positive   nothing more for zero
//! two bytes                        the exponent of 0.d₁d₂… × 10^e, plus 2^15, the high byte first
//! pairs of digits, each plus one   without zeros at the end
//! 0xff                             of a negative number, whose exponent and digits are complements
//! ```

use std::cmp::Ordering;

use bigdecimal::num_bigint::{BigInt, Sign};
use bigdecimal::num_traits::{Signed, ToPrimitive, Zero};

/// Digits before the point that a DECIMAL can have: MySQL's limit.
pub const DIGITS_MAX: usize = 65;
/// Digits behind the point that are shown at most.
pub const SCALE_MAX: u8 = 30;
/// Digits of a word of MySQL's, and the words that a number has while it is calculated with: those before the point, and those behind it
/// that there is room for.
const WORD: u32 = 9;
const WORDS_MAX: u32 = 9;
/// Digits behind the point that are kept while calculating.
const FRACTION_MAX: u32 = WORD * WORDS_MAX;
/// A number of so many bits and digits behind the point, and another such, have room for their sum and product.
const SMALL_BITS: u64 = 85;
const SMALL_SCALE: u32 = 26;
/// Digits behind the point that a division adds (`div_precision_increment`).
pub const DIVISION_DIGITS: u8 = 4;

const NEGATIVE: u8 = 1;
const ZERO: u8 = 2;
const POSITIVE: u8 = 3;
const BIAS: i32 = 1 << 15;

/// `digits / 10^scale`.
#[derive(Clone, Debug)]
pub struct Dec {
    digits: BigInt,
    scale: u32,
}

impl PartialEq for Dec {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Dec {}

impl PartialOrd for Dec {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Dec {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b, _) = aligned(self, other);
        a.cmp(&b)
    }
}

impl From<i64> for Dec {
    fn from(value: i64) -> Dec {
        Dec { digits: value.into(), scale: 0 }
    }
}

impl From<u64> for Dec {
    fn from(value: u64) -> Dec {
        Dec { digits: value.into(), scale: 0 }
    }
}

fn power(places: u32) -> BigInt {
    BigInt::from(10).pow(places)
}

fn aligned(a: &Dec, b: &Dec) -> (BigInt, BigInt, u32) {
    let scale = a.scale.max(b.scale);
    (&a.digits * power(scale - a.scale), &b.digits * power(scale - b.scale), scale)
}

impl Dec {
    /// `digits / 10^scale`.
    pub fn new(digits: i64, scale: u32) -> Dec {
        Dec { digits: digits.into(), scale }
    }

    /// `[-+]d…[.d…]`; `None`: it is not that, or longer than a DECIMAL may be.
    pub fn parse(text: &str) -> Option<Dec> {
        let (negative, text) = match text.as_bytes().first()? {
            b'-' => (true, text.get(1..)?),
            b'+' => (false, text.get(1..)?),
            _ => (false, text),
        };
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let fraction = fraction.get(..fraction.len().min(FRACTION_MAX as usize))?;
        let all = whole.bytes().chain(fraction.bytes());
        if whole.len() + fraction.len() == 0 || !all.clone().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        if whole.trim_start_matches('0').len() > DIGITS_MAX {
            return None;
        }
        let digits = BigInt::parse_bytes(&all.collect::<Vec<u8>>(), 10)?;
        Some(Dec { digits: if negative { -digits } else { digits }, scale: fraction.len() as u32 })
    }

    /// The number that a DOUBLE's shortest digits write; `None`: it has more digits before the point than a DECIMAL.
    pub fn of_double(value: f64) -> Option<Dec> {
        if !value.is_finite() || value.abs() >= 1e65 {
            return None;
        }
        // `{}` writes no exponent.
        Dec::parse(&format!("{value}"))
    }

    /// The nearest DOUBLE.
    pub fn to_double(&self) -> f64 {
        self.to_string_of(self.scale).parse().unwrap_or(0.0)
    }

    /// The whole number, rounded away from zero at a half, moved into the range of BIGINT.
    pub fn to_int(&self) -> i64 {
        let whole = self.rounded(0, true).digits;
        whole.to_i64().unwrap_or(if whole.is_negative() { i64::MIN } else { i64::MAX })
    }

    /// The same of BIGINT UNSIGNED; `None`: it is negative or greater.
    pub fn to_u64(&self) -> Option<u64> {
        self.rounded(0, true).digits.to_u64()
    }

    /// It is 0.
    pub fn is_zero(&self) -> bool {
        self.digits.is_zero()
    }

    /// -1, 0 or 1.
    pub fn sign(&self) -> i64 {
        match self.digits.sign() {
            Sign::Minus => -1,
            Sign::NoSign => 0,
            Sign::Plus => 1,
        }
    }

    /// Without its sign.
    pub fn abs(&self) -> Dec {
        Dec { digits: self.digits.abs(), scale: self.scale }
    }

    /// With the other sign.
    pub fn negated(&self) -> Dec {
        Dec { digits: -&self.digits, scale: self.scale }
    }

    /// `self + other`.
    pub fn plus(&self, other: &Dec) -> Dec {
        let room = match self.is_small() && other.is_small() {
            true => FRACTION_MAX,
            false => WORD * WORDS_MAX.saturating_sub(self.whole_digits().max(other.whole_digits()).div_ceil(WORD)),
        };
        let cut = |dec: &Dec| if dec.scale > room { dec.rounded(i64::from(room), false) } else { dec.clone() };
        let (a, b, scale) = aligned(&cut(self), &cut(other));
        Dec { digits: a + b, scale }
    }

    /// `self - other`.
    pub fn minus(&self, other: &Dec) -> Dec {
        self.plus(&other.negated())
    }

    /// `self * other`.
    pub fn times(&self, other: &Dec) -> Dec {
        if self.is_small() && other.is_small() {
            return Dec { digits: &self.digits * &other.digits, scale: self.scale + other.scale };
        }
        let words = |dec: &Dec| dec.scale.div_ceil(WORD);
        let room = WORDS_MAX.saturating_sub((self.whole_digits() + other.whole_digits()).div_ceil(WORD));
        let (mut a, mut b) = (words(self), words(other));
        // What there is no room for is cut from both of them before they are multiplied, the greater half from the longer one.
        let over = (a + b).saturating_sub(room);
        let (less, more) = (over / 2, over - over / 2);
        let (from_a, from_b) = if a <= b { (less, more) } else { (more, less) };
        (a, b) = (a.saturating_sub(from_a), b.saturating_sub(from_b));
        let cut = |dec: &Dec, words: u32| {
            if dec.scale > words * WORD { dec.rounded(i64::from(words * WORD), false) } else { dec.clone() }
        };
        let (a, b) = (cut(self, a), cut(other, b));
        let product = Dec { digits: &a.digits * &b.digits, scale: a.scale + b.scale };
        let room = i64::from(room * WORD);
        if i64::from(product.scale) > room { product.rounded(room, false) } else { product }
    }

    /// `self / other` cut after so many digits behind the point; `None`: by zero.
    pub fn divided(&self, other: &Dec, digits: u32) -> Option<Dec> {
        if other.is_zero() {
            return None;
        }
        let room = match self.is_small() && other.is_small() {
            true => FRACTION_MAX,
            false => {
                let whole = u32::try_from(self.exponent() - other.exponent() + 1).unwrap_or(0);
                WORD * WORDS_MAX.saturating_sub(whole.div_ceil(WORD))
            }
        };
        let digits = digits.min(room);
        let up = digits + other.scale;
        let (numerator, denominator) = match up.checked_sub(self.scale) {
            Some(places) => (&self.digits * power(places), other.digits.clone()),
            None => (self.digits.clone(), &other.digits * power(self.scale - up)),
        };
        Some(Dec { digits: numerator / denominator, scale: digits })
    }

    /// What is left of a division, with the sign of `self`; `None`: by zero.
    pub fn modulo(&self, other: &Dec) -> Option<Dec> {
        let (a, b, scale) = aligned(self, other);
        (!b.is_zero()).then(|| Dec { digits: a % b, scale })
    }

    /// So many digits behind the point (before it when negative): rounded away from zero at a half, or cut.
    pub fn rounded(&self, scale: i64, round: bool) -> Dec {
        let places = i64::from(self.scale).saturating_sub(scale);
        if places <= 0 {
            return self.clone();
        }
        let Ok(places) = u32::try_from(places.min(4_096)) else { return self.clone() };
        let step = power(places);
        let mut kept = &self.digits / &step;
        let rest = &self.digits % &step;
        if round && rest.abs() * 2 >= step {
            kept += self.digits.signum();
        }
        match u32::try_from(scale) {
            Ok(scale) => Dec { digits: kept, scale },
            Err(_) => Dec { digits: kept * power(u32::try_from(scale.unsigned_abs()).unwrap_or(4_096).min(4_096)), scale: 0 },
        }
    }

    /// The next whole number below, or above.
    pub fn whole(&self, up: bool) -> Dec {
        let cut = self.rounded(0, false);
        let apart = cut != *self;
        let step: i64 = match (apart, up, self.sign()) {
            (true, true, 1) => 1,
            (true, false, -1) => -1,
            _ => 0,
        };
        cut.plus(&Dec::from(step))
    }

    /// Rounded to `scale` digits behind the point, and moved into what `precision` digits can say.
    pub fn clamped(&self, precision: u8, scale: u8) -> Dec {
        let rounded = self.rounded(i64::from(scale), true);
        let most = Dec { digits: power(u32::from(precision)) - 1, scale: u32::from(scale) };
        match rounded.cmp(&most) {
            Ordering::Greater => most,
            _ if rounded < most.negated() => most.negated(),
            _ => rounded,
        }
    }

    /// It has more digits before the point than MySQL calculates with.
    pub fn is_out_of_range(&self) -> bool {
        self.digits.bits() > 250 && self.whole_digits() > WORD * WORDS_MAX
    }

    fn is_small(&self) -> bool {
        self.digits.bits() <= SMALL_BITS && self.scale <= SMALL_SCALE
    }

    /// Digits before the point.
    fn whole_digits(&self) -> u32 {
        u32::try_from(self.exponent()).unwrap_or(0)
    }

    /// The same; below zero it is how many zeros stand between the point and the first digit.
    fn exponent(&self) -> i64 {
        if self.is_zero() { 0 } else { self.digits.abs().to_string().len() as i64 - i64::from(self.scale) }
    }

    /// With exactly so many digits behind the point, rounded away from zero at a half; no minus before a zero.
    pub fn to_text(&self, scale: u8) -> String {
        self.rounded(i64::from(scale), true).to_string_of(u32::from(scale))
    }

    /// All digits, without zeros at the end of the fraction.
    pub fn to_shortest(&self) -> String {
        let text = self.to_string_of(self.scale);
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    }

    /// The digits with the point before the last `shown`; there are no more behind it.
    fn to_string_of(&self, shown: u32) -> String {
        let digits = (self.digits.abs() * power(shown.saturating_sub(self.scale))).to_string();
        let shown = shown as usize;
        let digits = format!("{digits:0>width$}", width = shown + 1);
        let (whole, fraction) = digits.split_at(digits.len() - shown);
        let sign = if self.digits.is_negative() { "-" } else { "" };
        if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
    }

    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        if self.is_zero() {
            return vec![ZERO];
        }
        let text = self.digits.abs().to_string();
        encoded(self.digits.is_negative(), text.as_bytes(), text.len() as i32 - self.scale as i32)
    }

    /// The bytes of the number that a DOUBLE's shortest digits write, also of one that is too large or too small for a DECIMAL: they
    /// compare with all others.
    pub fn encode_double(value: f64) -> Vec<u8> {
        let value = value.clamp(f64::MIN, f64::MAX);
        let text = format!("{:e}", value.abs());
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
        match exponent.parse::<i32>() {
            Ok(exponent) if value != 0.0 => encoded(value < 0.0, &digits, exponent + 1),
            _ => vec![ZERO],
        }
    }

    /// The number of bytes that [`Dec::encode`] gave; `None`: it gave none like these.
    pub fn decode(bytes: &[u8]) -> Option<Dec> {
        let (flip, rest) = match bytes {
            [ZERO] => return Some(Dec::from(0_i64)),
            [NEGATIVE, rest @ .., 0xff] => (0xff, rest),
            [POSITIVE, rest @ ..] => (0, rest),
            _ => return None,
        };
        let [high, low, pairs @ ..] = rest else { return None };
        let exponent = i32::from(u16::from_be_bytes([high ^ flip, low ^ flip])) - BIAS;
        let mut digits = Vec::with_capacity(2 * pairs.len());
        for pair in pairs {
            let value = (pair ^ flip).checked_sub(1).filter(|value| *value < 100)?;
            digits.extend([b'0' + value / 10, b'0' + value % 10]);
        }
        if digits.is_empty() || digits.len() > 512 || exponent.abs() > 512 {
            return None;
        }
        let places = digits.len() as i32 - exponent;
        let digits = BigInt::parse_bytes(&digits, 10)?;
        let digits = if flip == 0 { digits } else { -digits };
        match u32::try_from(places) {
            Ok(scale) => {
                let even = Dec { digits, scale };
                // An odd digit was filled with a zero.
                Some(if scale > 0 && (&even.digits % 10_i32).is_zero() {
                    Dec { digits: even.digits / 10, scale: scale - 1 }
                } else {
                    even
                })
            }
            Err(_) => Some(Dec { digits: digits * power(places.unsigned_abs()), scale: 0 }),
        }
    }
}

/// The bytes of `0.d₁d₂… × 10^exponent`, whose first digit is no zero.
fn encoded(negative: bool, digits: &[u8], exponent: i32) -> Vec<u8> {
    let zeros = digits.iter().rev().take_while(|digit| **digit == b'0').count();
    let digits = digits.get(..digits.len() - zeros).unwrap_or_default();
    let biased = (exponent + BIAS).clamp(0, 0xffff) as u16;
    let flip = if negative { 0xff } else { 0 };
    let mut bytes = vec![if negative { NEGATIVE } else { POSITIVE }];
    bytes.extend(biased.to_be_bytes().map(|byte| byte ^ flip));
    for pair in digits.chunks(2) {
        let tens = pair.first().map_or(0, |digit| digit - b'0');
        let ones = pair.get(1).map_or(0, |digit| digit - b'0');
        bytes.push((tens * 10 + ones + 1) ^ flip);
    }
    if negative {
        bytes.push(0xff);
    }
    bytes
}

/// Digits behind the point that MySQL keeps of a division of numbers with so many: whole words of nine.
pub fn quotient_digits(a: u8, b: u8) -> u32 {
    let words = |digits: u32| digits.div_ceil(9) * 9;
    let (a, b) = (u32::from(a), u32::from(b));
    let spare = (words(a) - a) + (words(b) - b);
    words(words(a) + words(b) + u32::from(DIVISION_DIGITS).saturating_sub(spare)).min(FRACTION_MAX)
}

#[cfg(test)]
mod tests {
    //! A form that compares otherwise than its number would sort, group and join wrong.
    use super::*;

    fn dec(text: &str) -> Dec {
        Dec::parse(text).expect("a decimal")
    }

    #[test]
    fn bytes_compare_as_numbers_do() {
        let sorted = [
            "-99999999999999999999999999999999999999999999999999999999999999999",
            "-100",
            "-99.9",
            "-10.01",
            "-10",
            "-9.99",
            "-1.23",
            "-1.2",
            "-0.123",
            "-0.12",
            "-0.0000001",
            "0",
            "0.0000001",
            "0.1",
            "0.12",
            "0.123",
            "0.3",
            "1.2",
            "1.23",
            "9.99",
            "10",
            "10.01",
            "99.9",
            "100",
            "101",
            "12345678901234567890.5",
            "99999999999999999999999999999999999999999999999999999999999999999",
        ];
        for pair in sorted.windows(2) {
            assert!(dec(pair[0]).encode() < dec(pair[1]).encode(), "{pair:?}");
            assert!(dec(pair[0]) < dec(pair[1]), "{pair:?}");
        }
        for text in sorted {
            let back = Dec::decode(&dec(text).encode()).expect("decoded");
            assert_eq!((back.to_shortest().as_str(), &back), (text, &dec(text)));
        }
        let doubles = [f64::MIN, -1e100, -1e-100, 0.0, 5e-324, 1e-100, 0.1, 1.5, 100.0, 1e65, 1e100, f64::MAX];
        for pair in doubles.windows(2) {
            assert!(Dec::encode_double(pair[0]) < Dec::encode_double(pair[1]), "{pair:?}");
        }
        for text in ["0", "-0", "1", "100", "0.1", "-1.25", "123456789", "0.0000001"] {
            assert_eq!(Dec::encode_double(text.parse().expect("a number")), dec(text).encode(), "{text}");
        }
        assert_eq!(dec("1.50").encode(), dec("01.5").encode());
        assert_eq!(dec("100").encode(), dec("100.000").encode());
    }

    #[test]
    fn other_bytes_are_no_numbers() {
        for bytes in
            [&b""[..], b"abc", b"\x03", b"\x03\x80", b"\x03\x80\x01", b"\x01\x80\x01\x02", b"\x03\x80\x01\xff", b"\x02\x02"]
        {
            assert!(Dec::decode(bytes).is_none(), "{bytes:?}");
        }
    }

    #[test]
    fn calculations_are_exact() {
        assert_eq!(dec("0.1").plus(&dec("0.2")), dec("0.3"));
        assert_eq!(dec("0.8").minus(&dec("0.1")), dec("0.7"));
        assert_eq!(dec("1.5").times(&dec("-1.5")).to_text(2), "-2.25");
        assert_eq!(dec("1").divided(&dec("3"), quotient_digits(0, 0)).expect("not by zero").to_shortest(), "0.333333333");
        assert_eq!(dec("-7.5").modulo(&dec("2")).expect("not by zero").to_shortest(), "-1.5");
        assert!(dec("1").divided(&dec("0.0"), 9).is_none() && dec("1").modulo(&dec("0")).is_none());
        let scaled: Vec<String> = [2, 0, -1, -3].map(|scale| dec("1251.255").rounded(scale, true).to_shortest()).into();
        assert_eq!(scaled, ["1251.26", "1251", "1250", "1000"]);
        assert_eq!(dec("-2.5").rounded(0, true).to_shortest(), "-3");
        assert_eq!((dec("-2.5").whole(true), dec("-2.5").whole(false), dec("2.1").whole(true)), (dec("-2"), dec("-3"), dec("3")));
        assert_eq!(dec("123.456").clamped(4, 2).to_text(2), "99.99");
        assert_eq!(dec("-0.001").to_text(2), "0.00");
        assert_eq!(dec("9223372036854775807.6").to_int(), i64::MAX);
        assert_eq!(dec("0.5").to_double(), 0.5);
        let nines = |count: usize| dec(&"9".repeat(count));
        assert!(!nines(65).plus(&dec("1")).is_out_of_range());
        assert!(!nines(65).times(&nines(16)).is_out_of_range() && nines(65).times(&nines(17)).is_out_of_range());
    }

    #[test]
    fn a_number_has_81_digits_while_it_is_calculated_with() {
        let long = dec("12345678901234567890123456789012345.123456789012345678901234567891");
        let square = "152415787532388367504953515625666804211248408651425226186267351150739.595060205";
        assert_eq!(long.times(&long).to_shortest(), square);
        let product = dec("99999999999999999999.5").times(&dec("-12345678901234567890.123456789"));
        assert_eq!(product.to_shortest(), "-1234567890123456789006172839449382716054.9382716055");
        let nines = dec(&"9".repeat(65));
        assert_eq!(nines.times(&dec("0.000000000000000000000000000001")).to_shortest(), "0");
        assert_eq!(nines.plus(&dec("0.000000000000000000000000000001")), nines);
        let quotient = nines.divided(&dec("7.25"), quotient_digits(0, 2)).expect("not by zero");
        assert_eq!(quotient.to_text(4), "13793103448275862068965517241379310344827586206896551724137931034.3448");
    }
}
