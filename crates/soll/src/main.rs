//! `soll`: GitOps for Kubernetes in one binary. This crate is the command line, the configuration and the wiring.
//!
//! Commands that need no cluster run before tokio, TLS and logging are started.

mod arguments;
mod build;
mod controller;
mod credentials;
mod diff;
mod excerpt;
mod helm;
mod install;
mod kustomize;
mod logging;
mod origins;
mod remote;
mod remotes;
mod signals;
mod terminal;
mod up;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser as _};

use arguments::{Arguments, Command};

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let palette = terminal::Palette::stderr();
            let text = soll_api::with_causes(error.as_ref());
            terminal::say(&format!("{}: {text}", palette.paint(terminal::Tone::Bad, "error")));
            ExitCode::from(2)
        }
    }
}

/// Runs a command and returns the exit code: 0 fine, 1 as the command defines it. Errors are 2.
fn run(command: Command) -> anyhow::Result<u8> {
    match command {
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "soll", &mut script);
            terminal::print(&String::from_utf8(script).context("the completion script is no text")?);
            Ok(0)
        }
        Command::Install(arguments) if arguments.export => {
            install::export(&arguments)?;
            Ok(0)
        }
        Command::Build(arguments) => build::build(&arguments),
        Command::Kustomize(arguments) => kustomize::kustomize(&arguments),
        Command::Template(arguments) => helm::template(&arguments),
        Command::Values(arguments) => helm::values(&arguments),
        command => runtime()?.block_on(connected(command)),
    }
}

async fn connected(command: Command) -> anyhow::Result<u8> {
    match command {
        Command::Up(arguments) => up::up(&arguments).await,
        Command::Controller(arguments) => controller::controller(&arguments).await,
        Command::Install(arguments) => install::install(&arguments).await,
        Command::Uninstall(arguments) => install::uninstall(&arguments).await,
        Command::Get(arguments) => remote::get(&arguments).await,
        Command::Events(arguments) => remote::events(&arguments).await,
        Command::Reconcile(arguments) => remote::reconcile(&arguments).await,
        Command::Suspend(named) => remote::suspend(&named).await,
        Command::Resume(named) => remote::resume(&named).await,
        Command::Tree(named) => remote::tree(&named).await,
        Command::Diff(arguments) => diff::diff(&arguments).await,
        Command::Build(_)
        | Command::Kustomize(_)
        | Command::Template(_)
        | Command::Values(_)
        | Command::Completion { .. } => {
            unreachable!("these run without a runtime")
        }
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    // Twice is fine: another part of the process may have installed it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")
}
