//! `check-config`: what the service would say to its configuration.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::CommandResult;
use crate::daemon::{Plan, check_all_examples};
use crate::diagnostics::count;
use crate::postfix::policy::SERVER;
use crate::servers::Catalogue;

/// How much is said.
#[derive(Debug, Args)]
pub struct CheckConfigArgs {
    /// Print nothing if all is right
    #[arg(long, short)]
    quiet: bool,
}

/// Makes a plan as the service does, and throws it away. Unlike the service, it also runs the
/// examples of servers.d that are of servers which are off.
pub fn run(config: Option<&Path>, args: &CheckConfigArgs, out: &mut impl Write) -> CommandResult {
    let plan = Plan::make(config)?;
    let catalogue = Catalogue::read(&plan.settings.servers_directory);
    let checked = catalogue.definitions.iter().filter(|loaded| {
        loaded.file.is_some() || plan.settings.servers.contains(&loaded.definition.name)
    });
    let examples = check_all_examples(checked.map(|loaded| &loaded.definition))?;
    if args.quiet {
        return Ok(ExitCode::SUCCESS);
    }
    for warning in &plan.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    for loaded in &catalogue.definitions {
        let name = &loaded.definition.name;
        if let Some(file) = &loaded.file
            && !plan.settings.servers.contains(name)
        {
            let file = file.display();
            writeln!(
                out,
                "off: {name}, defined in {file}, as 'servers' does not name it"
            )?;
        }
    }
    write!(
        out,
        "the configuration is right: {}; servers {}, {} held",
        count(plan.warnings.len(), "warning"),
        plan.settings.servers.join(", "),
        count(examples, "example"),
    )?;
    match plan.map.filter(|_| plan.settings.publish.map) {
        Some(map) => {
            writeln!(out, "; access map {}:{}", map.kind, map.path.display())?;
            writeln!(out, "main.cf needs: {}", map.main_cf_line())?;
        }
        None => writeln!(
            out,
            "; no access map\nmain.cf needs, before reject_unauth_destination: check_policy_service {SERVER}"
        )?,
    }
    Ok(ExitCode::SUCCESS)
}
