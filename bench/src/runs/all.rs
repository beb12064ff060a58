//! `all`: the table of targets, each row measured by the command that it shows, on a fresh peer.

use std::time::Duration;

use clap::Parser;

use super::sweep::STEPS;
use crate::cli::{Cli, Common};
use crate::error::{Error, Result};
use crate::latency::Percentiles;
use crate::report::{Report, bytes, duration, thousands};

/// Options of `all`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Only the rows whose command contains this
    #[arg(long)]
    pub only: Option<String>,
}

/// One row: a target, the command that measures it, and what of its report is held against the target.
struct Row {
    target: &'static str,
    command: &'static str,
    judge: fn(&Report) -> Verdict,
}

/// What was measured, and whether it reaches the target.
struct Verdict {
    measured: String,
    reached: bool,
}

const ROWS: [Row; 10] = [
    Row {
        target: "streamed sync creates, 16 streams: ≥ 150,000/s",
        command: "create --mode stream --streams 16 --seconds 10",
        judge: |r| rate(r, 150_000.0),
    },
    Row {
        target: "batches of 100: ≥ 250,000/s",
        command: "create --mode batch --batch 100 --seconds 10",
        judge: |r| rate(r, 250_000.0),
    },
    Row {
        target: "unary sync creates, 256 in flight: ≥ 45,000/s",
        command: "create --mode unary --in-flight 256 --seconds 10",
        judge: |r| rate(r, 45_000.0),
    },
    Row {
        target: "one writer, 1 in flight: p50 ≤ raw fdatasync p50 + 200 µs",
        command: "one-writer --seconds 10",
        judge: |r| {
            let above = r.figure("p50 above raw").unwrap_or(f64::MAX);
            Verdict { measured: format!("p50 {} = raw + {above:.0} µs", duration(p(r, "latency").p50)), reached: above <= 200.0 }
        },
    },
    Row {
        target: "consume and ack of a backlog of 1 M: ≥ 100,000/s",
        command: "consume --fill 1000000",
        judge: |r| rate(r, 100_000.0),
    },
    Row {
        target: "create and consume at 10,000/s, end to end: p50 ≤ raw fdatasync p50 + 2 ms, p99 ≤ 20 ms",
        command: "mixed --rate 10000 --seconds 20",
        judge: |r| {
            let raw = r.raw.as_ref().map_or(Duration::ZERO, |raw| raw.latency.p50);
            percentiles(p(r, "end to end"), raw + Duration::from_millis(2), Duration::from_millis(20))
        },
    },
    Row {
        target: "lateness of 100,000 tasks due over 10 s: p50 ≤ 2 ms, p99 ≤ 10 ms, none early",
        command: "lateness --tasks 100000 --seconds 10",
        judge: |r| {
            let verdict = percentiles(p(r, "lateness"), Duration::from_millis(2), Duration::from_millis(10));
            let early = r.figure("before due").unwrap_or(f64::MAX);
            Verdict { measured: format!("{}, {early:.0} early", verdict.measured), reached: verdict.reached && early == 0.0 }
        },
    },
    Row {
        target: "5 M scheduled tasks: RSS ≤ 400 MiB, restart to serving ≤ 10 s",
        command: "fill --tasks 5000000",
        judge: scheduled,
    },
    Row {
        target: "idle: < 2 % of a core",
        command: "idle --seconds 10",
        judge: |r| {
            let share = r.figure("core share").unwrap_or(f64::MAX);
            Verdict { measured: format!("{share:.2} %"), reached: share < 2.0 }
        },
    },
    Row {
        target: "peer CPU per task falls or stays flat from 1 to 1,000 in flight",
        command: "sweep --mode unary",
        judge: falling,
    },
];

/// A step may be dearer than the one before by so much and still count as flat: CPU time is measured in steps of 10 ms.
const FLAT: f64 = 1.05;

fn p<'a>(report: &'a Report, label: &str) -> &'a Percentiles {
    const NONE: &Percentiles = &Percentiles { p50: Duration::MAX, p99: Duration::MAX, ..ZERO };
    const ZERO: Percentiles = Percentiles {
        count: 0,
        p50: Duration::ZERO,
        p90: Duration::ZERO,
        p99: Duration::ZERO,
        p999: Duration::ZERO,
        max: Duration::ZERO,
    };
    report.latency(label).unwrap_or(NONE)
}

fn rate(report: &Report, at_least: f64) -> Verdict {
    Verdict { measured: format!("{}/s", thousands(report.rate())), reached: report.rate() >= at_least }
}

fn percentiles(p: &Percentiles, p50_max: Duration, p99_max: Duration) -> Verdict {
    let measured = format!("p50 {}, p99 {}", duration(p.p50), duration(p.p99));
    Verdict { measured, reached: p.p50 <= p50_max && p.p99 <= p99_max }
}

fn scheduled(report: &Report) -> Verdict {
    let figure = |label| report.figure(label).unwrap_or(f64::MAX);
    let (rss, again, restart) = (figure("rss"), figure("rss restarted"), figure("restart"));
    let measured = format!(
        "RSS {}, restarted {}, restart {:.2} s, filled at {}/s",
        bytes(rss as u64),
        bytes(again as u64),
        restart,
        thousands(report.rate())
    );
    Verdict { measured, reached: rss.max(again) <= 400.0 * f64::from(1 << 20) && restart <= 10.0 }
}

fn falling(report: &Report) -> Verdict {
    let costs: Vec<f64> = STEPS.iter().map(|(_, label)| report.figure(label).unwrap_or(f64::NAN)).collect();
    let measured = costs.iter().map(|us| format!("{us:.1}")).collect::<Vec<_>>().join(" → ") + " µs";
    Verdict { measured, reached: costs.windows(2).all(|step| step[1] <= step[0] * FLAT) }
}

/// Runs every row and prints its report as it goes, then the table. An error in one row is shown in it, and the others still run.
/// True when every target is reached.
pub async fn run(common: &Common, options: &Options) -> Result<bool> {
    if common.spawn.is_none() {
        return Err(Error::Input("all needs --spawn: every row starts with an empty peer".into()));
    }
    let mut table = String::from(
        "| target | measured | raw fdatasync p50 / p99 | peer CPU per 1,000 tasks | peer RSS | reached | command |\n|---|---|---|---|---|---|---|\n",
    );
    let mut reached_all = true;
    for row in ROWS.iter().filter(|row| options.only.as_ref().is_none_or(|text| row.command.contains(text))) {
        let cli = Cli::try_parse_from(std::iter::once("z4-bench").chain(row.command.split(' ')))
            .map_err(|e| Error::Input(format!("{}: {e}", row.command)))?;
        // Boxed: the runs are many, and their futures would all be part of this one.
        let (line, reached) = match Box::pin(super::run(common, &cli.run)).await {
            Ok(Some(report)) => {
                report.print(common.json);
                println!();
                row.line(&report)
            }
            Ok(None) => continue,
            Err(error) => (format!("| {} | {} | | | | no | `{}` |\n", row.target, cell(&error.chain()), row.command), false),
        };
        table += &line;
        reached_all &= reached;
    }
    println!("{table}");
    Ok(reached_all)
}

impl Row {
    fn line(&self, report: &Report) -> (String, bool) {
        let Verdict { measured, reached } = (self.judge)(report);
        let raw =
            report.raw.as_ref().map_or(String::new(), |r| format!("{} / {}", duration(r.latency.p50), duration(r.latency.p99)));
        let server = report.cost.and_then(|c| c.server);
        let cpu = match report.cost.and_then(|c| c.server_us_per_task(report.tasks)) {
            Some(us) if report.tasks > 0 => format!("{us:.2} ms"),
            _ => String::new(),
        };
        let rss = server.map_or(String::new(), |s| bytes(s.rss_bytes));
        let yes = if reached { "yes" } else { "no" };
        (format!("| {} | {measured} | {raw} | {cpu} | {rss} | {yes} | `{}` |\n", self.target, self.command), reached)
    }
}

/// One line without bars, so that the table stays a table.
fn cell(text: &str) -> String {
    text.replace('|', "/").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    //! The table must show commands that exist, and a missed target must read "no": a judge that is too kind is worse than none.
    use super::*;

    fn report(figures: Vec<(&'static str, f64, &'static str)>) -> Report {
        Report { figures, ..Report::default() }
    }

    #[test]
    fn every_command_of_the_table_exists() {
        for row in &ROWS {
            assert!(Cli::try_parse_from(std::iter::once("z4-bench").chain(row.command.split(' '))).is_ok(), "{}", row.command);
        }
    }

    #[test]
    fn a_report_without_the_figure_reaches_nothing() {
        for row in &ROWS {
            assert!(!(row.judge)(&report(vec![])).reached, "{}", row.command);
        }
    }

    #[test]
    fn verdicts_turn_at_the_target() {
        let by_rate = |tasks| rate(&Report { tasks, seconds: 10.0, ..Report::default() }, 150_000.0).reached;
        assert!(by_rate(1_500_000) && !by_rate(1_499_999));
        let cost = |costs: [f64; 4]| {
            let figures = STEPS.iter().zip(costs).map(|((_, label), us)| (*label, us, "µs")).collect();
            falling(&report(figures)).reached
        };
        assert!(cost([60.0, 30.0, 10.0, 10.3]) && !cost([60.0, 30.0, 10.0, 11.0]));
        let mib = f64::from(1 << 20);
        let fill = |rss, again, restart| {
            scheduled(&report(vec![("rss", rss * mib, ""), ("rss restarted", again * mib, ""), ("restart", restart, "s")]))
                .reached
        };
        assert!(fill(400.0, 399.0, 10.0) && !fill(401.0, 1.0, 1.0) && !fill(1.0, 401.0, 1.0) && !fill(1.0, 1.0, 10.1));
    }
}
