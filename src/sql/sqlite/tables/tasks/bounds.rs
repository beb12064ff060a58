//! Bounds of `deliver_at`: microseconds of any kind of value, into whole milliseconds of keys, exactly.

use rusqlite::types::ValueRef;
use z4_model::ids::DUE_MS_MAX;

/// A comparison with a column on its left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `=`
    Equal,
}

/// The microseconds that all comparisons so far allow, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    low: i128,
    high: i128,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { low: i128::MIN, high: i128::MAX }
    }
}

impl Bounds {
    /// Adds a comparison. A value that is no number allows nothing, as NULL does.
    pub fn add(&mut self, comparison: Comparison, value: ValueRef<'_>) {
        // The number is `floor`, or between it and the next one.
        let (floor, whole) = match value {
            ValueRef::Integer(n) => (i128::from(n), true),
            ValueRef::Real(x) if !x.is_nan() => (saturate(x.floor()), x.floor() == x),
            _ => {
                self.high = i128::MIN;
                self.low = i128::MAX;
                return;
            }
        };
        let above = if whole { floor } else { floor + 1 };
        match comparison {
            Comparison::Greater => self.low = self.low.max(floor + 1),
            Comparison::AtLeast => self.low = self.low.max(above),
            Comparison::Less => self.high = self.high.min(above - 1),
            Comparison::AtMost => self.high = self.high.min(floor),
            Comparison::Equal => {
                self.low = self.low.max(above);
                self.high = self.high.min(floor);
            }
        }
    }

    /// The first and the last due time, milliseconds; `None`: no task can be due then.
    pub fn millis(&self) -> Option<(u64, u64)> {
        let limit = i128::from(DUE_MS_MAX) * 1000;
        let (low, high) = (self.low.clamp(0, limit + 1), self.high.clamp(-1, limit));
        let (first, last) = (low.div_euclid(1000) + i128::from(low.rem_euclid(1000) != 0), high.div_euclid(1000));
        if first > last {
            return None;
        }
        Some((u64::try_from(first).ok()?, u64::try_from(last).ok()?))
    }
}

/// Far beyond every time, near enough to add to.
fn saturate(x: f64) -> i128 {
    x.clamp(-1e30, 1e30) as i128
}

#[cfg(test)]
mod tests {
    //! A bound that is off by one loses a task, or shows one that was not asked for: compared with the arithmetic of rationals.

    use std::cmp::Ordering;

    use proptest::prelude::*;

    use super::*;

    /// Milliseconds against a number of microseconds, as SQLite compares INTEGER with REAL: exactly.
    fn holds(ms: u64, comparison: Comparison, value: ValueRef<'_>) -> bool {
        let us = i128::from(ms) * 1000;
        let order = match value {
            ValueRef::Integer(n) => us.cmp(&i128::from(n)),
            ValueRef::Real(x) => match us.cmp(&(x.trunc() as i128)) {
                Ordering::Equal => 0.0f64.partial_cmp(&(x - x.trunc())).expect("a number"),
                order => order,
            },
            _ => return false,
        };
        match comparison {
            Comparison::Greater => order.is_gt(),
            Comparison::AtLeast => order.is_ge(),
            Comparison::Less => order.is_lt(),
            Comparison::AtMost => order.is_le(),
            Comparison::Equal => order.is_eq(),
        }
    }

    #[derive(Clone, Debug)]
    enum Number {
        Int(i64),
        Real(f64),
        Null,
    }

    fn number() -> impl Strategy<Value = Number> {
        prop_oneof![
            8 => (-3000i64..30_000).prop_map(Number::Int),
            8 => (-3000i64..30_000, 0u8..4).prop_map(|(n, quarters)| Number::Real(n as f64 + f64::from(quarters) / 4.0)),
            1 => any::<i64>().prop_map(Number::Int),
            1 => any::<f64>().prop_map(Number::Real),
            1 => Just(Number::Null),
        ]
    }

    fn comparison() -> impl Strategy<Value = Comparison> {
        use Comparison::*;
        prop_oneof![Just(Greater), Just(AtLeast), Just(Less), Just(AtMost), Just(Equal)]
    }

    proptest! {
        #[test]
        fn no_row_is_lost_and_none_is_added(
            terms in proptest::collection::vec((comparison(), number()), 0..5),
            ms in prop_oneof![0u64..32, Just(DUE_MS_MAX), Just(DUE_MS_MAX - 1)],
        ) {
            let mut bounds = Bounds::default();
            let mut all = true;
            for (comparison, number) in &terms {
                let value = match number {
                    Number::Int(n) => ValueRef::Integer(*n),
                    Number::Real(x) if x.is_nan() => ValueRef::Null,
                    Number::Real(x) => ValueRef::Real(*x),
                    Number::Null => ValueRef::Null,
                };
                bounds.add(*comparison, value);
                all &= holds(ms, *comparison, value);
            }
            let inside = bounds.millis().is_some_and(|(first, last)| (first..=last).contains(&ms));
            prop_assert_eq!(inside, all, "{} ms, {:?}", ms, terms);
        }
    }
}
