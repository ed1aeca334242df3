//! What stands before a message, and is taken off: what is left is the input's end, or the input with
//! something left out.

use jiff::ZonedDateTime;
use pop_before_smtp::cli::parse_log_line;
use pop_before_smtp::intake::line_of;
use pop_before_smtp::servers::{Header, behind_time_of_s6_log};

fn is_left_out_of(text: &[u8], line: &[u8]) -> bool {
    let mut rest = line.iter();
    text.iter().all(|byte| rest.any(|other| other == byte))
}

/// See the top.
pub fn run(data: &[u8]) {
    if let Some(header) = Header::of(data) {
        assert!(data.ends_with(header.message));
        let before = &data[..data.len() - header.message.len()];
        let pid = header.pid.is_some();
        for part in [header.host, header.identifier] {
            assert!(!part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic()));
            assert!(
                before
                    .windows(part.len())
                    .any(|text| text == part.as_bytes())
            );
        }
        assert!(before.ends_with(if pid { b"]: " } else { b": " }));
        // It ends at the first colon behind the host, and is never looked for later.
        let behind_host = before.split(|byte| *byte == b' ').nth_back(1);
        let tag = behind_host.expect("the tag and nothing behind the last space");
        assert!(tag.starts_with(header.identifier.as_bytes()), "{header:?}");
    }
    let line = behind_time_of_s6_log(data);
    assert!(data.ends_with(line) && [0, 26, 31].contains(&(data.len() - line.len())));

    let line = line_of(data);
    assert!(is_left_out_of(&line, data));
    if !data.contains(&0x1b) {
        assert!(data.starts_with(&line) && data.len() - line.len() <= 2);
    }
    let printable = |bytes: &[u8]| {
        bytes
            .iter()
            .filter(|byte| byte.is_ascii_uppercase())
            .count()
    };
    assert_eq!(
        printable(&line),
        printable(data),
        "a colour has none of these"
    );

    let now: ZonedDateTime = "2026-11-24T12:00:00+01:00[Europe/Berlin]"
        .parse()
        .expect("a time");
    if let Some(entry) = parse_log_line(data, &now) {
        assert!(data.ends_with(entry.message));
        let identifier = entry.identifier.as_bytes();
        assert!(!identifier.is_empty());
        assert!(
            data.windows(identifier.len())
                .any(|text| text == identifier)
        );
    }
}
