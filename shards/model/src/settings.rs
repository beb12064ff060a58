//! A namespace's settings: one table of names, defaults and ranges.

use std::fmt;

/// A setting outside its range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("settings.{setting} is {value}; it takes {range}")]
pub struct SettingError {
    /// Which one.
    pub setting: Setting,
    /// What was asked for.
    pub value: String,
    /// What it takes.
    pub range: &'static str,
}

/// The name of a setting, as users write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting(pub &'static str);

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Each setting with its default, its lowest and highest value, and the unit: `name: type = default, low to high, unit`.
macro_rules! settings {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $default:literal, $low:literal to $high:literal, $unit:literal;)+) => {
        /// The settings of a namespace. Every value is within its range.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct Settings {
            $($(#[$doc])* pub $name: $type,)+
            /// Nothing is delivered.
            pub paused: bool,
        }

        $(const _: () = {
            let (low, default, high): ($type, $type, $type) = ($low, $default, $high);
            assert!(low <= default && default <= high, "a default is within its range");
        };)+

        impl Default for Settings {
            fn default() -> Self {
                Settings { $($name: $default,)+ paused: false }
            }
        }

        /// A change of settings: what is `None` stays.
        #[derive(Clone, Copy, Debug, Default, PartialEq)]
        #[allow(missing_docs)]
        pub struct SettingsPatch {
            $(pub $name: Option<$type>,)+
            pub paused: Option<bool>,
        }

        /// What each setting with a range takes, for people.
        const RANGES: &[(&str, &str)] =
            &[$((stringify!($name), concat!(stringify!($low), " to ", stringify!($high), $unit))),+];

        impl Settings {
            /// These settings with a change made to them.
            ///
            /// # Errors
            /// The first value that is outside its range; nothing is changed then.
            pub fn patched(mut self, patch: &SettingsPatch) -> Result<Self, SettingError> {
                $(take(&mut self.$name, patch.$name, stringify!($name), ($low, $high))?;)+
                self.paused = patch.paused.unwrap_or(self.paused);
                Ok(self)
            }
        }
    };
}

settings! {
    /// How long a consumer may keep a task without a word, milliseconds.
    lease_ms: u32 = 30000, 100 to 43200000, " milliseconds";
    /// After so many failed attempts a task is dead.
    max_attempts: u32 = 25, 1 to 10000, "";
    /// The wait after the first failed attempt, milliseconds.
    backoff_first_ms: u64 = 1000, 0 to 86400000, " milliseconds";
    /// Each further wait is the one before times this.
    backoff_factor: f64 = 2.0, 1.0 to 100.0, "";
    /// No wait is longer, milliseconds.
    backoff_ceiling_ms: u64 = 3600000, 0 to 2592000000, " milliseconds";
    /// A wait is changed by up to this share of itself, at random.
    backoff_jitter: f64 = 0.1, 0.0 to 1.0, "";
    /// How long a request id is remembered, milliseconds.
    idempotency_window_ms: u64 = 300000, 0 to 86400000, " milliseconds";
}

fn take<T: Copy + PartialOrd + fmt::Display>(
    slot: &mut T,
    value: Option<T>,
    name: &'static str,
    (low, high): (T, T),
) -> Result<(), SettingError> {
    let Some(value) = value else { return Ok(()) };
    // Written so that a NaN is outside.
    if !(value >= low && value <= high) {
        let range = Settings::range(name).map_or("", |(_, range)| range);
        return Err(SettingError { setting: Setting(name), value: value.to_string(), range });
    }
    *slot = value;
    Ok(())
}

impl Settings {
    /// A setting that has a range: its name, and what it takes.
    pub fn range(name: &str) -> Option<(&'static str, &'static str)> {
        RANGES.iter().find(|(known, _)| *known == name).copied()
    }

    /// The wait before the next attempt, milliseconds: never above the ceiling.
    ///
    /// `failed` counts the failed attempts, the one that just ended included (so at least 1); `random` is uniform in 0.0..1.0.
    pub fn backoff_ms(&self, failed: u32, random: f64) -> u64 {
        if self.backoff_first_ms == 0 {
            // Times a factor that has grown to infinity it would be no number.
            return 0;
        }
        let ceiling = self.backoff_ceiling_ms as f64;
        let exponent = i32::try_from(failed.saturating_sub(1)).unwrap_or(i32::MAX);
        let wait = (self.backoff_first_ms as f64 * self.backoff_factor.powi(exponent)).min(ceiling);
        // Where the ceiling cuts the range off, waits spread over what is left of it: they must not all end at once.
        let (low, high) = (wait * (1.0 - self.backoff_jitter), (wait * (1.0 + self.backoff_jitter)).min(ceiling));
        (low + random * (high - low)) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_outside_their_range_are_refused_by_name() {
        let refused = Settings::default().patched(&SettingsPatch { lease_ms: Some(99), ..Default::default() });
        let error = refused.expect_err("99 ms is too short").to_string();
        assert_eq!(error, "settings.lease_ms is 99; it takes 100 to 43200000 milliseconds");
        let nan = SettingsPatch { backoff_factor: Some(f64::NAN), ..Default::default() };
        assert!(Settings::default().patched(&nan).is_err());
    }

    /// The texts are made of the same numbers that decide; these are the ones that the documentation names.
    #[test]
    fn each_range_is_told() {
        let told: Vec<String> = RANGES.iter().map(|(name, range)| format!("{name} {range}")).collect();
        let expected = [
            "lease_ms 100 to 43200000 milliseconds",
            "max_attempts 1 to 10000",
            "backoff_first_ms 0 to 86400000 milliseconds",
            "backoff_factor 1.0 to 100.0",
            "backoff_ceiling_ms 0 to 2592000000 milliseconds",
            "backoff_jitter 0.0 to 1.0",
            "idempotency_window_ms 0 to 86400000 milliseconds",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn backoff_grows_to_its_ceiling_and_jitter_stays_in_its_share() {
        let s = Settings { backoff_first_ms: 100, backoff_ceiling_ms: 1_000, backoff_jitter: 0.5, ..Default::default() };
        assert_eq!(s.backoff_ms(1, 0.5), 100);
        assert_eq!(s.backoff_ms(3, 0.5), 400);
        assert_eq!((s.backoff_ms(1_000, 0.0), s.backoff_ms(1_000, 0.5), s.backoff_ms(1_000, 1.0)), (500, 750, 1_000));
        assert_eq!(s.backoff_ms(1, 0.0), 50);
        assert_eq!(s.backoff_ms(1, 1.0), 150);
    }

    /// A task that was promised again within a second came after 1,090 ms.
    #[test]
    fn no_wait_is_above_the_ceiling_whatever_the_jitter() {
        for (first, ceiling, jitter) in
            [(1_000, 1_000, 0.1), (1_000, 1_000, 1.0), (5, 7, 0.5), (86_400_000, 10, 0.9), (1, 0, 1.0)]
        {
            let s =
                Settings { backoff_first_ms: first, backoff_ceiling_ms: ceiling, backoff_jitter: jitter, ..Default::default() };
            for failed in [1, 2, 3, 64, 1_024, 1_025, 10_000, u32::MAX] {
                for random in [0.0, 0.25, 0.5, 0.75, 0.999_999] {
                    assert!(s.backoff_ms(failed, random) <= ceiling, "{s:?} after {failed} with {random}");
                }
            }
        }
    }

    /// 0 times infinity is no number, and the smaller one of that and the ceiling was the ceiling: an hour instead of at once.
    #[test]
    fn no_wait_stays_none_after_any_number_of_attempts() {
        for factor in [1.0, 2.0, 100.0] {
            let s = Settings { backoff_first_ms: 0, backoff_factor: factor, ..Default::default() };
            for failed in [1, 156, 1_024, 1_025, 10_000, u32::MAX] {
                assert_eq!(s.backoff_ms(failed, 0.5), 0, "factor {factor} after {failed}");
            }
        }
    }
}
