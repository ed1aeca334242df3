//! Paths.
//!
//! Must never take a relative one: the service's working directory is not the administrator's.

use std::path::PathBuf;

use super::value::{Checked, Value, Wrong, quoted, text, wrong, wrong_type};

/// A path that begins at the root.
fn path(value: &Value<'_>) -> Result<PathBuf, Wrong> {
    const EXPECTED: &str = "a path that begins with /";
    let path = text(value, EXPECTED)?;
    if !path.starts_with('/') {
        return Err(wrong_type(value, EXPECTED));
    }
    if path.chars().any(char::is_control) {
        return Err(wrong(value, "contains a control character".to_owned()));
    }
    Ok(PathBuf::from(path))
}

/// What a path must not hold if main.cf is to name it: what separates or quotes there, postconf(5).
pub(super) fn unfit_for_main_cf(path: &str) -> Option<char> {
    path.chars().find(|c| {
        c.is_whitespace() || c.is_control() || matches!(c, ',' | '{' | '}' | '$' | '"' | '\'')
    })
}

fn postfix_path(value: &Value<'_>) -> Result<PathBuf, Wrong> {
    let path = path(value)?;
    match unfit_for_main_cf(&path.to_string_lossy()) {
        None => Ok(path),
        Some(character) => {
            let message = format!("contains {character:?}, which main.cf does not allow in a path");
            Err(wrong(value, message))
        }
    }
}

/// `state-directory`.
pub(super) fn state_directory(value: &Value<'_>) -> Checked<PathBuf> {
    Ok(postfix_path(value)?)
}

/// `map.path`.
pub(super) fn map_path(value: &Value<'_>) -> Checked<PathBuf> {
    let path = postfix_path(value)?;
    let text = path.to_string_lossy();
    if text.ends_with('/') || path.file_name().is_none() {
        return Err(wrong(value, "names a directory, not a file".to_owned()).into());
    }
    for extension in [".db", ".lmdb", ".cdb"] {
        if let Some(bare) = text.strip_suffix(extension) {
            let message = format!("has the extension {extension}, which postmap adds itself");
            let hint = format!("write {}", quoted(bare));
            return Err(wrong(value, message).hint(hint).into());
        }
    }
    Ok(path)
}

/// `journal.directory`; empty is none.
pub(super) fn journal_directory(value: &Value<'_>) -> Checked<Option<PathBuf>> {
    if value.get_ref().as_str() == Some("") {
        return Ok(None);
    }
    Ok(Some(path(value)?))
}
