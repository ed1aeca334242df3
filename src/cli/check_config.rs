//! `check-config`: what the service would say to its configuration.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use super::CommandError;
use crate::daemon::Plan;
use crate::diagnostics::count;

/// Makes a plan as the service does, and throws it away.
pub fn run(config: Option<&Path>, out: &mut impl Write) -> Result<ExitCode, CommandError> {
    let plan = Plan::make(config)?;
    for warning in &plan.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    writeln!(
        out,
        "the configuration is right: {}; servers {}; access map {}:{}",
        count(plan.warnings.len(), "warning"),
        plan.settings.servers.join(", "),
        plan.map.kind,
        plan.map.path.display()
    )?;
    writeln!(out, "main.cf needs: {}", plan.map.main_cf_line())?;
    Ok(ExitCode::SUCCESS)
}
