//! How Postfix is told, and what the access map is.

use super::Publish;
use super::value::{Checked, Value, list, text, wrong_type};
use crate::postfix::access_map::validate_value;
use crate::postfix::map_type::MapType;

/// `publish`: a list of ways, at least one.
pub(super) fn publish(value: &Value<'_>) -> Checked<Publish> {
    const EXPECTED: &str = "a list of \"map\", \"policy\" or both";
    let ways = list(value, EXPECTED, |way| match text(way, EXPECTED) {
        Ok(name @ ("map" | "policy")) => Ok(name.to_owned()),
        Ok(_) => Err(wrong_type(way, EXPECTED)),
        Err(wrong) => Err(wrong),
    })?;
    if ways.is_empty() {
        return Err(vec![wrong_type(value, EXPECTED)]);
    }
    let has = |name| ways.iter().any(|way| way == name);
    Ok(Publish {
        map: has("map"),
        policy: has("policy"),
    })
}

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
