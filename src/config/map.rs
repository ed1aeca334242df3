//! What the access map is.

use super::value::{Checked, Value, text, wrong_type};
use crate::postfix::map_type::MapType;

/// `map.type`; `auto` is none.
pub(super) fn map_type(value: &Value<'_>) -> Checked<Option<MapType>> {
    let expected = format!(
        "\"auto\", {}",
        MapType::ALL.map(|t| format!("\"{t}\"")).join(", ")
    );
    let name = text(value, &expected).map_err(|wrong| vec![wrong])?;
    match name.parse() {
        Ok(kind) => Ok(Some(kind)),
        Err(()) if name == "auto" => Ok(None),
        Err(()) => Err(vec![wrong_type(value, &expected)]),
    }
}

/// `map.value`.
pub(super) fn map_value(value: &Value<'_>) -> Checked<String> {
    const EXPECTED: &str = "the right-hand side of access(5) that permits, such as \"OK\"";
    let action = text(value, EXPECTED).map_err(|wrong| vec![wrong])?;
    check_action(action)
        .map(|()| action.to_owned())
        .map_err(|reason| vec![wrong_type(value, EXPECTED).hint(reason)])
}

/// Whether an access map may have this on its right-hand side, access(5).
fn check_action(action: &str) -> Result<(), String> {
    if action.chars().any(char::is_control) {
        return Err("it holds a control character".to_owned());
    }
    if action.trim() != action {
        return Err("it begins or ends with a blank".to_owned());
    }
    let word = action.split_whitespace().next().unwrap_or_default();
    let permits = ["OK", "RELAY", "permit"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(word));
    let digits = !word.is_empty() && action.bytes().all(|b| b.is_ascii_digit());
    if permits || digits {
        Ok(())
    } else {
        Err("only OK, RELAY, permit or digits let a client relay".to_owned())
    }
}
