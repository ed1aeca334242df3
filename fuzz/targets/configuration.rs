//! Configuration files: whatever a file says, it is taken, or refused with places that lie in it; what
//! is taken can be shown, and means the same then.

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use pop_before_smtp::config::{self, ConfigError, Loaded, Settings};
use tempfile::TempDir;

static DIRECTORY: LazyLock<TempDir> =
    LazyLock::new(|| tempfile::tempdir().expect("a directory for a file"));

fn load(name: &str, text: &[u8]) -> Result<Loaded, ConfigError> {
    let file = DIRECTORY.path().join(name);
    fs::write(&file, text).expect("room for a file");
    config::load_file(&file, None)
}

/// The settings, but for the one thing that depends on where the file is.
fn settings(loaded: &Loaded) -> Settings {
    Settings {
        servers_directory: PathBuf::new(),
        ..loaded.settings.clone()
    }
}

/// See the top.
pub fn run(data: &[u8]) {
    match load("written.toml", data) {
        Ok(loaded) => {
            let shown = config::show(&loaded);
            let again = load("shown.toml", shown.as_bytes());
            let again = again.unwrap_or_else(|error| panic!("{shown}\n{error}"));
            assert_eq!(settings(&again), settings(&loaded), "{shown}");
            assert!(config::show_json(&loaded).is_object());
        }
        Err(error) => {
            assert!(!error.problems().is_empty());
            let lines = String::from_utf8_lossy(data).split('\n').count();
            for place in error.problems().iter().filter_map(|p| p.place.as_ref()) {
                assert!((1..=lines).contains(&place.line), "{error}");
            }
            let is_harmless = |c: char| c == '\n' || !c.is_control();
            assert!(error.to_string().chars().all(is_harmless), "{error:?}");
        }
    }
}
