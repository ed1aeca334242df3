//! The text forms that Postfix's lists and tables share: items, braces, logical lines.
//!
//! Source: `mystrtok.c` and `readlline.c` of Postfix. Must never panic, whatever the text.

/// What separates the items of a list (`CHARS_COMMA_SP`).
pub(crate) const SEPARATORS: [char; 5] = [',', ' ', '\t', '\r', '\n'];

/// The next item of a list; separators within braces don't separate (`mystrtokq`).
pub(crate) fn next_token<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let text = rest.trim_start_matches(SEPARATORS);
    let mut level = 0_usize;
    let mut end = text.len();
    for (at, character) in text.char_indices() {
        match character {
            '{' => level += 1,
            '}' => level = level.saturating_sub(1),
            _ if level == 0 && SEPARATORS.contains(&character) => {
                end = at;
                break;
            }
            _ => {}
        }
    }
    let (token, after) = text.split_at(end);
    *rest = after;
    (!token.is_empty()).then_some(token)
}

/// The entries of a table within the value itself: `{ { 10.0.0.0/8 OK }, … }`.
pub(super) fn inline_entries(name: &str) -> Result<Vec<String>, String> {
    let braced = |text: &str| {
        let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
        Some(inner.trim().to_owned())
    };
    let entries = braced(name).ok_or("a brace is missing")?;
    let mut rest = entries.as_str();
    let mut lines = Vec::new();
    while let Some(token) = next_token(&mut rest) {
        lines.push(braced(token).unwrap_or_else(|| token.to_owned()));
    }
    Ok(lines)
}

/// The keys of `inline:{ key = value, … }`.
pub(super) fn inline_keys(entries: &[String]) -> Vec<String> {
    entries
        .iter()
        .filter_map(|entry| entry.split_once('='))
        .map(|(key, _)| key.trim().to_owned())
        .collect()
}

/// The keys of a source for postmap(1).
pub(super) fn text_keys(text: &str) -> Vec<String> {
    logical_lines(text)
        .filter_map(|line| {
            let (key, value) = line.text.split_once(char::is_whitespace)?;
            (!value.trim().is_empty()).then(|| key.trim_matches('"').to_owned())
        })
        .collect()
}

/// A line of a file, with those that continue it.
pub(super) struct Line {
    /// The number of its first line, from 1.
    pub(super) number: usize,
    pub(super) text: String,
}

/// The logical lines of a file (`readlline`): a line that begins with a space continues the one
/// before; empty lines and those that begin with `#` don't count, wherever they are.
pub(super) fn logical_lines(text: &str) -> impl Iterator<Item = Line> {
    let mut lines: Vec<Line> = Vec::new();
    for (index, physical) in text.lines().enumerate() {
        let trimmed = physical.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        match lines.last_mut() {
            Some(line) if physical.starts_with(char::is_whitespace) => {
                line.text.push(' ');
                line.text.push_str(trimmed);
            }
            _ => lines.push(Line {
                number: index + 1,
                text: trimmed.to_owned(),
            }),
        }
    }
    lines.into_iter()
}

/// The beginning of an arbitrary text.
pub(super) fn excerpt(text: &str) -> String {
    const LENGTH: usize = 80;
    let mut short: String = text.chars().take(LENGTH).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short.escape_debug().collect()
}
