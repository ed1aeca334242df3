//! What the access map is.

use super::value::{Checked, Value, text, wrong_type};
use crate::postfix::access_map::validate_value;
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
    validate_value(action)
        .map(|()| action.to_owned())
        .map_err(|reason| vec![wrong_type(value, EXPECTED).hint(reason)])
}
