//! The `cudamark` command: measures sorting on GPUs and CPUs.
//!
//! Results go to standard output, everything said about them to standard error. The
//! exit code is 0 if all was done, 1 if something could not be, 2 if the command line
//! is wrong, 3 if this machine lacks what the command measures, 130 after Ctrl-C; each is
//! explained in one line that begins with `cudamark:`. `compare` and `doctor` have exit codes
//! of their own, for those that gate by them: their modules say which.

mod cmd;

use std::env;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand};
use cudamark::{interrupt, output, tell};
use suite::Unavailable;

/// Exit code where this machine lacks what the command measures.
const NOTHING_MEASURED: u8 = 3;

/// Measures sorting on GPUs and CPUs, and verifies every result it times.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Calibrate(cmd::calibrate::Options),
    Classic(cmd::classic::Options),
    Compare(cmd::compare::Options),
    Devices(cmd::devices::Options),
    Doctor(cmd::doctor::Options),
    Export(cmd::export::Options),
    History(cmd::history::Options),
    /// Print the help of every command as Markdown: docs/CLI.md
    #[command(hide = true)]
    Manual,
    Peers(cmd::peers::Options),
    Rank(cmd::rank::Options),
    Report(cmd::report::Options),
    Sample(cmd::sample::Options),
    Tune(cmd::tune::Options),
}

fn main() -> ExitCode {
    suite::limits::return_errors();
    let cli = match parsed() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    suite::variables::misspelt().for_each(|line| tell!("cudamark: {line}"));
    let outcome = match cli.command {
        Command::Calibrate(options) => cmd::calibrate::run(&options),
        Command::Classic(options) => cmd::classic::run(&options),
        Command::Compare(options) => return cmd::compare::run(&options),
        Command::Devices(options) => cmd::devices::run(&options),
        Command::Doctor(options) => return cmd::doctor::run(&options),
        Command::Export(options) => cmd::export::run(&options),
        Command::History(options) => cmd::history::run(&options),
        Command::Manual => cmd::classic::print(&manual()),
        Command::Peers(options) => cmd::peers::run(&options),
        Command::Rank(options) => cmd::rank::run(&options),
        Command::Report(options) => cmd::report::run(&options),
        Command::Sample(options) => cmd::sample::run(&options),
        Command::Tune(options) => cmd::tune::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The causes in one line, the outermost first.
            tell!("cudamark: {error:#}");
            if let Some(code) = interrupt::exit_code() {
                return ExitCode::from(code);
            }
            let named = matches!(error.downcast_ref(), Some(suite::Error::Unavailable(_)));
            match named || error.is::<Unavailable>() {
                true => ExitCode::from(NOTHING_MEASURED),
                false => ExitCode::FAILURE,
            }
        }
    }
}

/// The command line. A negative number is a value, so that the option is named that has it.
fn parsed() -> Result<Cli, clap::Error> {
    let number = |option: Arg| match option.get_action().takes_values() {
        true => option.allow_negative_numbers(true),
        false => option,
    };
    let cli = Cli::command().mut_subcommands(|command| command.mut_args(number));
    Cli::from_arg_matches(&cli.try_get_matches()?)
}

/// The help of every command, as Markdown.
fn manual() -> String {
    let mut cli = Cli::command().term_width(96);
    cli.build();
    let shown = cli.get_subcommands_mut().filter(|command| !command.is_hide_set());
    let help = shown.map(|command| {
        let name = command.get_name().to_owned();
        format!("### cudamark {name}\n\n```text\n{}```\n", command.render_help())
    });
    help.collect::<Vec<_>>().join("\n")
}

/// The error of a negative value with a unit, such as `-1s`, which clap takes for an option.
fn negative(error: &clap::Error) -> Option<String> {
    let arguments: Vec<String> = env::args().collect();
    let is_negative = |value: &str| {
        value.strip_prefix('-').is_some_and(|rest| rest.starts_with(char::is_numeric))
    };
    let mut pairs = arguments.windows(2);
    let [option, value] = pairs.find(|pair| pair[0].starts_with("--") && is_negative(&pair[1]))?
    else {
        return None;
    };
    let unknown = error.kind() == ErrorKind::UnknownArgument;
    unknown.then(|| format!("invalid value '{value}' for '{option}': it is negative"))
}

/// Shows what was asked for (help, version), or says in one line what is wrong with
/// the command line.
fn usage(error: &clap::Error) -> ExitCode {
    let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if asked_for || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // A closed standard output is nobody left to tell.
        let _ = error.print();
        return ExitCode::from(if asked_for { 0 } else { 2 });
    }
    // clap's first paragraph is the error; suggestions and usage follow.
    let text = error.render().to_string();
    let lines = text.lines().take_while(|line| !line.trim().is_empty());
    let line = lines.map(str::trim).collect::<Vec<_>>().join(" ");
    let line = line.strip_prefix("error: ").unwrap_or(&line);
    let negative = negative(error);
    let line = negative.as_deref().unwrap_or(line);
    let command = env::args().nth(1).filter(|name| Cli::command().find_subcommand(name).is_some());
    let of = command.map(|name| name + " ").unwrap_or_default();
    tell!("cudamark: {line}; see cudamark {of}--help");
    ExitCode::from(2)
}
