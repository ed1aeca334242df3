//! Which maps are seen to while the service is stopped: the one that was in force last, as main.cf names
//! it, and those from before that are yet to be emptied.
//!
//! Must list nobody in any other map.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::cli::CommandError;
use crate::config::Settings;
use crate::daemon::PlanError;
use crate::diagnostics;
use crate::postfix::access_map::{self, AccessMap, PublishError, kind_at};
use crate::postfix::command::Programs;
use crate::store::{FormerMap, InForce, Store};

/// How long a map that can't be emptied is left alone.
const RETRY: Duration = Duration::from_secs(5);
/// That is as many times as long as a try has taken: one that hangs must not hold up the others.
const PAUSES: u32 = 4;

/// The map that was in force last, whatever a configuration says that no service has read. If there was
/// none, the one that the configuration names; if it can't, the usual one.
pub(super) fn in_force(
    settings: Option<&Settings>,
    last: Option<&InForce>,
    state_directory: &Path,
    programs: Programs,
) -> Result<AccessMap, CommandError> {
    let map = match last {
        Some(last) => AccessMap::new(&last.path, last.kind, &last.value),
        None => configured(settings, state_directory, &programs)?,
    };
    Ok(AccessMap { programs, ..map })
}

/// Makes the map that the configuration names, if that is another one and it is missing: it lists nobody,
/// but Postfix defers all mail where it is told to read one that is not there.
pub(super) fn make_next(settings: Option<&Settings>, in_force: &AccessMap) {
    let Some(settings) = settings.filter(|settings| settings.map.path != in_force.path) else {
        return;
    };
    let programs = &in_force.programs;
    let made = configured(Some(settings), Path::new(""), programs).and_then(|map| {
        if !map.exists() {
            map.publish(&[])?;
        }
        Ok(())
    });
    if let Err(error) = made {
        diagnostics::warning(&error.to_string());
    }
}

/// Where there is no Postfix any more: removes all maps that it may have left.
pub(super) fn remove_all(
    settings: Option<&Settings>,
    last: Option<&InForce>,
    former: &[FormerMap],
    state_directory: &Path,
) -> Result<(), PublishError> {
    access_map::remove(&configured_path(settings, state_directory))?;
    let last = last.map(|last| &last.path).into_iter();
    last.chain(former.iter().map(|map| &map.path))
        .try_for_each(|path| access_map::remove(path))
}

fn configured(
    settings: Option<&Settings>,
    state_directory: &Path,
    programs: &Programs,
) -> Result<AccessMap, CommandError> {
    let path = configured_path(settings, state_directory);
    let kind = match settings.and_then(|s| s.map.kind) {
        Some(kind) => kind,
        None => kind_at(&path, programs).map_err(PlanError::from)?,
    };
    let value = settings.map_or_else(|| "OK".to_owned(), |s| s.map.value.clone());
    Ok(AccessMap {
        programs: programs.clone(),
        ..AccessMap::new(path, kind, value)
    })
}

/// Where the configuration has the map; if it can't say, where it is unless it does.
fn configured_path(settings: Option<&Settings>, state_directory: &Path) -> PathBuf {
    settings.map_or_else(|| state_directory.join("clients"), |s| s.map.path.clone())
}

/// Empties the maps from before.
#[derive(Default)]
pub(super) struct FormerMaps {
    /// Not to be tried again before.
    pause: Option<Instant>,
    is_told: bool,
}

impl FormerMaps {
    /// Empties them, if it is time, and takes them off the store's list. Says when to try again those that
    /// can't be emptied, which has been told.
    ///
    /// # Errors
    /// If `is_last_try`, when one can't be emptied.
    pub(super) fn empty(
        &mut self,
        store: Option<&Store>,
        former: &[FormerMap],
        ours: &AccessMap,
        is_last_try: bool,
    ) -> Result<Option<Duration>, PublishError> {
        let started = Instant::now();
        if let Some(pause) = self.pause.filter(|pause| *pause > started) {
            return Ok(Some(pause - started));
        }
        let mut left = Vec::new();
        let mut failed = None;
        for former in former {
            let map = AccessMap {
                programs: ours.programs.clone(),
                ..AccessMap::new(&former.path, former.kind, &former.value)
            };
            if let Err(error) = map.withdraw_beside(ours) {
                left.push(former.clone());
                failed = failed.or(Some(error));
            }
        }
        if left.len() < former.len()
            && let Some(store) = store
            && let Err(error) = store.set_former_maps(&left)
        {
            // They are emptied once more.
            diagnostics::warning(&error.to_string());
        }
        let Some(error) = failed else {
            return Ok(None);
        };
        if is_last_try {
            return Err(error);
        }
        if !std::mem::replace(&mut self.is_told, true) {
            let text = format!("a former access map may still list clients: {error}");
            diagnostics::warning(&text);
        }
        let pause = started.elapsed().saturating_mul(PAUSES).max(RETRY);
        self.pause = Some(Instant::now() + pause);
        Ok(Some(pause))
    }
}
