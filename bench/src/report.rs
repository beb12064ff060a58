//! What a run says at its end: a few lines for people, one line of JSON for programs.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::bench::Cost;
use crate::fsync::RawSync;
use crate::latency::Percentiles;

/// The outcome of a run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The subcommand.
    pub name: &'static str,
    /// The parameters that matter, in words.
    pub setup: String,
    /// Tasks (or other units) done.
    pub tasks: u64,
    /// How long that took, in seconds.
    pub seconds: f64,
    /// Figures that only this run has: label, value, unit.
    pub figures: Vec<(&'static str, f64, &'static str)>,
    /// Latencies by label.
    pub latencies: Vec<(&'static str, Percentiles)>,
    /// The disk alone, measured just before.
    pub raw: Option<RawSync>,
    /// What the peer and the load generator spent.
    pub cost: Option<Cost>,
    /// What a reader should know before believing the figures.
    pub remarks: Vec<String>,
}

impl Report {
    /// Tasks per second.
    pub fn rate(&self) -> f64 {
        if self.seconds > 0.0 { self.tasks as f64 / self.seconds } else { 0.0 }
    }

    /// A figure by its label.
    pub fn figure(&self, label: &str) -> Option<f64> {
        self.figures.iter().find(|f| f.0 == label).map(|f| f.1)
    }

    /// Latencies by their label.
    pub fn latency(&self, label: &str) -> Option<&Percentiles> {
        self.latencies.iter().find(|l| l.0 == label).map(|l| &l.1)
    }

    /// The lines for people.
    pub fn text(&self) -> String {
        let mut lines = vec![format!("{}: {}", self.name, self.setup)];
        let mut line = |label: &str, text: String| lines.push(format!("  {label:<16} {text}"));
        if self.tasks > 0 {
            line("tasks", format!("{} in {:.2} s = {}/s", thousands(self.tasks as f64), self.seconds, thousands(self.rate())));
        }
        for (label, value, unit) in &self.figures {
            line(label, figure(*value, unit));
        }
        for (label, percentiles) in &self.latencies {
            line(label, percentiles.to_string());
        }
        if let Some(raw) = &self.raw {
            line("raw fdatasync", raw_text(raw));
        }
        if let Some(cost) = &self.cost {
            if let Some(text) = cost.server_text(self.tasks) {
                line("peer", text);
            }
            line("load generator", cost.own_text());
        }
        for remark in &self.remarks {
            line("note", remark.clone());
        }
        lines.join("\n")
    }

    /// The line for programs.
    pub fn json(&self) -> Value {
        let figures: Map<_, _> = self.figures.iter().map(|(label, value, _)| (key(label), json!(value))).collect();
        let latencies: Map<_, _> = self.latencies.iter().map(|(label, p)| (key(label), p.json())).collect();
        json!({
            "run": self.name, "setup": self.setup, "tasks": self.tasks, "seconds": self.seconds, "tasks_per_second": self.rate(),
            "figures": figures, "latency": latencies, "raw_fdatasync": self.raw.as_ref().map(RawSync::json),
            "cost": self.cost.as_ref().map(|c| c.json(self.tasks)), "remarks": self.remarks,
        })
    }

    /// Prints the lines; with `json`, they go to stderr and the JSON line to stdout.
    pub fn print(&self, json: bool) {
        if json {
            eprintln!("{}", self.text());
            println!("{}", self.json());
        } else {
            println!("{}", self.text());
        }
    }
}

fn key(label: &str) -> String {
    label.replace(' ', "_")
}

fn raw_text(raw: &RawSync) -> String {
    let how = if raw.direct { "O_DIRECT" } else { "buffered" };
    let (p50, p99) = (duration(raw.latency.p50), duration(raw.latency.p99));
    format!("p50 {p50}   p99 {p99}   {}/s   ({} KiB, {how})", thousands(raw.per_second), raw.write_bytes / 1024)
}

fn figure(value: f64, unit: &str) -> String {
    match unit {
        "bytes" => bytes(value as u64),
        "s" => duration(Duration::from_secs_f64(value.max(0.0))),
        "" if value.fract() == 0.0 => thousands(value),
        _ if value.fract() == 0.0 => format!("{} {unit}", thousands(value)),
        _ => format!("{value:.2} {unit}"),
    }
}

/// 1234567.8 as 1,234,568.
pub fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value <= -0.5 { format!("-{text}") } else { text }
}

/// Three significant digits with the unit that fits: 87 µs, 1.23 ms, 4.5 s.
pub fn duration(duration: Duration) -> String {
    let micros = duration.as_secs_f64() * 1e6;
    match micros {
        m if m < 999.5 => format!("{m:.0} µs"),
        m if m < 999_500.0 => format!("{} ms", significant(m / 1e3)),
        m => format!("{} s", significant(m / 1e6)),
    }
}

fn significant(value: f64) -> String {
    match value {
        v if v < 9.995 => format!("{v:.2}"),
        v if v < 99.95 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}

/// Bytes as MiB.
pub fn bytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    //! Figures are copied from these lines into tables: a wrong unit or a lost digit would be a wrong claim.
    use super::*;

    #[test]
    fn numbers_read_well() {
        let texts: Vec<_> = [0.0, 7.0, 999.4, 1_000.0, 1_234_567.8, -1_234.0].map(thousands).into();
        assert_eq!(texts, ["0", "7", "999", "1,000", "1,234,568", "-1,234"]);
        let micros = [0, 87, 999, 1_000, 9_994, 45_678, 456_789, 999_900, 61_000_000];
        let texts: Vec<_> = micros.map(|m| duration(Duration::from_micros(m))).into();
        assert_eq!(texts, ["0 µs", "87 µs", "999 µs", "1.00 ms", "9.99 ms", "45.7 ms", "457 ms", "1.00 s", "61.0 s"]);
        assert_eq!(bytes(3 << 19), "1.5 MiB");
    }

    #[test]
    fn the_rate_is_tasks_by_time_and_stands_in_both_forms() {
        let report =
            Report { name: "create", tasks: 3_000, seconds: 1.5, figures: vec![("early tasks", 0.0, "")], ..Default::default() };
        assert!(report.text().contains("3,000 in 1.50 s = 2,000/s"), "{}", report.text());
        assert_eq!(report.json()["tasks_per_second"], 2_000.0);
        assert_eq!(report.json()["figures"]["early_tasks"], 0.0);
    }
}
