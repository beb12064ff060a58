//! Runs simulated clusters: `z4-simulate [SEED [SEEDS]]` lives through so many seeds, one after the other. A seed that fails is told with what
//! failed; the same seed fails the same way again.

mod cluster;
mod life;

use std::process::ExitCode;

use life::{End, Spans};

fn main() -> ExitCode {
    let numbers: Option<Vec<u64>> = std::env::args().skip(1).map(|text| text.parse().ok()).collect();
    let (first, count) = match numbers.as_deref() {
        Some([]) => (1, 1),
        Some([first]) => (*first, 1),
        Some([first, count]) => (*first, *count),
        _ => {
            eprintln!("z4-simulate [SEED [SEEDS]]: both are whole numbers");
            return ExitCode::from(64);
        }
    };
    let mut failed = 0;
    for seed in first..first.saturating_add(count) {
        match std::panic::catch_unwind(|| life::run(seed, Spans::default())) {
            Ok(End { created, acked, delivered, faults, trace: (trace, turns) }) => println!(
                "seed {seed}: {created} created, {delivered} delivered, {acked} acked, {faults} faults, {turns} turns, trace {trace:016x}"
            ),
            Err(_) => {
                println!("seed {seed} failed; again with: z4-simulate {seed}");
                failed += 1;
            }
        }
    }
    println!("{count} seeds, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
