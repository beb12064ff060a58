//! `z4-bench`: see bench/README.md, or `z4-bench --help`.

use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::{Builder, Runtime};
use z4_bench::cli::{Cli, Run};
use z4_bench::{Error, Result, interrupt, runs};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match runtime(cli.common.client_threads).and_then(|runtime| runtime.block_on(interrupt::unless(run(&cli)))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(2),
        Err(error) => {
            eprintln!("z4-bench: {}", error.chain());
            ExitCode::FAILURE
        }
    }
}

/// True unless a target of `all` was missed.
async fn run(cli: &Cli) -> Result<bool> {
    if let Run::All(options) = &cli.run {
        return runs::all::run(&cli.common, options).await;
    }
    if let Some(report) = Box::pin(runs::run(&cli.common, &cli.run)).await? {
        report.print(cli.common.json);
    }
    Ok(true)
}

fn runtime(threads: u16) -> Result<Runtime> {
    let mut builder = match threads {
        0 | 1 => Builder::new_current_thread(),
        more => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(usize::from(more));
            builder
        }
    };
    builder.enable_all().build().map_err(Error::io("cannot start the runtime"))
}
