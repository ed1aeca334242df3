//! How Postfix is told, and what the access map is.

use super::Publish;
use super::value::{Checked, Value, list, text, wrong_type};
use crate::postfix::access_map::validate_value;
use crate::postfix::map_type::MapType;

/// `publish`: a list of ways, at least one.
pub(super) fn publish(value: &Value<'_>) -> Checked<Publish> {
    const EXPECTED: &str = "a list of \"map\", \"policy\" or both";
    let ways = list(value, EXPECTED, |way| match text(way, EXPECTED)? {
        name @ ("map" | "policy") => Ok(name.to_owned()),
        _ => Err(wrong_type(way, EXPECTED)),
    })?;
    if ways.is_empty() {
        return Err(wrong_type(value, EXPECTED).into());
    }
    let has = |name| ways.iter().any(|way| way == name);
    Ok(Publish {
        map: has("map"),
        policy: has("policy"),
    })
}

/// The list that [`publish`] reads.
pub(super) fn ways(publish: Publish) -> Vec<String> {
    let ways = [(publish.map, "map"), (publish.policy, "policy")];
    let on = ways.into_iter().filter(|(on, _)| *on);
    on.map(|(_, name)| name.to_owned()).collect()
}

/// What `map.type` is called where Postfix is asked for the best.
pub(super) const AUTO: &str = "auto";

/// `map.type`; `auto` is none.
pub(super) fn map_type(value: &Value<'_>) -> Checked<Option<MapType>> {
    let expected = format!(
        "\"auto\", {}",
        MapType::ALL.map(|t| format!("\"{t}\"")).join(", ")
    );
    let name = text(value, &expected)?;
    match name.parse() {
        Ok(kind) => Ok(Some(kind)),
        Err(()) if name == AUTO => Ok(None),
        Err(()) => Err(wrong_type(value, &expected).into()),
    }
}

/// `map.value`.
pub(super) fn map_value(value: &Value<'_>) -> Checked<String> {
    const EXPECTED: &str = "the right-hand side of access(5) that permits, such as \"OK\"";
    let action = text(value, EXPECTED)?;
    validate_value(action).map_err(|reason| wrong_type(value, EXPECTED).hint(reason))?;
    Ok(action.to_owned())
}
