//! `z4`, one peer: reads the configuration, locks the directories, asks the machine, and hands over to [`z4::boot`].

use std::error::Error;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::thread::available_parallelism;

use z4::boot;
use z4::config::{self, Config, ConfigError, Invocation};
use z4::process::directories::Directories;
use z4::process::exit::Exit;
use z4::process::{limits, memory, panics};
use z4::telemetry::log;
use z4_shards::runtime::{clock, probe};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    memory::take_by_the_page();
    memory::give_back_at_once();
    let (config, unknown_variables) = match config::load(std::env::args_os(), std::env::vars_os()) {
        Ok(Invocation { config, print_config: true, .. }) => {
            print!("{}", config.to_toml());
            return Exit::Stopped.into();
        }
        Ok(Invocation { config, unknown_variables, .. }) => (config, unknown_variables),
        Err(ConfigError::CommandLine(told)) => {
            // Help and version come this way, too; clap knows which stream they belong to.
            let _ = told.print();
            return if told.use_stderr() { Exit::Configuration.into() } else { Exit::Stopped.into() };
        }
        Err(error) => {
            eprintln!("z4: {}", chain(&error));
            return Exit::Configuration.into();
        }
    };
    if let Err(error) = log::start(config.log_format, config.debug_logging_enabled) {
        eprintln!("z4: the log cannot be started: {error}");
        return Exit::Unavailable.into();
    }
    panics::exit_on_panic();
    for variable in unknown_variables {
        tracing::warn!(variable, "this environment variable begins like z4's options and is none of them; it has no effect");
    }
    let exit = match serve(config) {
        Ok(()) => {
            tracing::info!("stopped");
            Exit::Stopped
        }
        Err((Exit::Stopped, why)) => {
            tracing::info!("{why}");
            Exit::Stopped
        }
        Err((exit, error)) => {
            tracing::error!(status = exit.status(), "{error}");
            exit
        }
    };
    log::flush();
    exit.into()
}

/// Runs the peer. Errors come with the exit status that tells them.
fn serve(mut config: Config) -> Result<(), (Exit, String)> {
    #[cfg(debug_assertions)]
    z4::process::test_hooks::follow(&config.peer_id);
    if clock::is_before_1970() {
        let text = "this machine's clock is set to a time before 1970: nothing can be due by it; set it and start again";
        return Err((Exit::Unavailable, text.to_owned()));
    }
    let unavailable = |error: &dyn Error| (Exit::Unavailable, chain(error));
    let _directories = Directories::lock(&config.db_data_dir, &config.peer_data_dir).map_err(|e| unavailable(&e))?;
    config.connections_max = limits::raise(config.connections_max, config.sql_connections_max);
    let shards = match config.shards {
        0 => available_parallelism().map_or(1, usize::from),
        shards => shards,
    };
    probe::probe(shards).map_err(|e| unavailable(&e))?;
    boot::run(config).map_err(|e| {
        let advice = e.advice().map_or_else(String::new, |advice| format!("; {advice}"));
        (e.exit(), chain(&e) + &advice)
    })
}

/// An error with its causes, on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a string cannot fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
