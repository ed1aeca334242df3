//! The clock: by it grace ends.

use jiff::{SignedDuration, Timestamp};

use super::Host;
use super::point::Point;
use crate::control::protocol::Status;
use crate::daemon;
use crate::diagnostics::local_time;
use crate::journal::reports::end;

/// What two looks at a clock may differ by.
const SLACK: SignedDuration = SignedDuration::from_secs(5);

/// Looks and judges.
pub fn points(host: &Host) -> Vec<Point> {
    let ran = |program, arguments: &[&str]| host.programs.run(program, arguments).ok();
    let container = ran("systemd-detect-virt", &["--container"]);
    let container = container.is_some_and(|output| output.status.success());
    let told = ran(
        "timedatectl",
        &["show", "--property=NTPSynchronized", "--value"],
    );
    let synchronised = told
        .filter(|output| output.status.success())
        .map(|output| output.text().trim() == "yes");
    let mut points = vec![clock(synchronised, container)];
    // Looked at before now is asked for.
    if let Some(Ok(last)) = host
        .settings()
        .map(|settings| end(&daemon::source(settings)))
    {
        points.push(entries(last, Timestamp::now()));
    }
    points.extend(
        host.status()
            .map(|status| reading(status, Timestamp::now())),
    );
    points
}

fn clock(synchronised: Option<bool>, container: bool) -> Point {
    const POINT: &str = "clock";
    match (synchronised, container) {
        (_, true) => Point::ok(POINT, "is that of the host of this container"),
        (Some(true), _) => Point::ok(POINT, "is synchronised"),
        (Some(false), _) => Point::notice(
            POINT,
            "is not synchronised: where it is set back, grace lasts longer than it should",
        )
        .mend("timedatectl set-ntp true"),
        (None, _) => Point::notice(
            POINT,
            "may be synchronised or not: timedatectl does not say",
        ),
    }
}

fn entries(last: Option<Timestamp>, now: Timestamp) -> Point {
    const POINT: &str = "journal-time";
    match last {
        Some(last) if last.duration_since(now) > SLACK => Point::wrong(
            POINT,
            format!(
                "the last entry of the journal is of {}, which is in the future: the clock was \
                 wrong then, or is now; such logins gain nothing",
                local_time(last)
            ),
        )
        .mend("# Put the clock right: timedatectl\nsystemctl restart pop-before-smtp.service"),
        Some(last) => Point::ok(POINT, format!("the last entry is of {}", local_time(last))),
        None => Point::ok(POINT, "no entry is in the future"),
    }
}

fn reading(status: &Status, now: Timestamp) -> Point {
    const POINT: &str = "journal-position";
    match (status.journal_position, status.caught_up) {
        (Some(position), _) if position.duration_since(now) > SLACK => Point::wrong(
            POINT,
            format!(
                "the service has read up to {}, which is in the future",
                local_time(position)
            ),
        )
        .mend("# Put the clock right: timedatectl\nsystemctl restart pop-before-smtp.service"),
        (Some(position), false) => Point::notice(
            POINT,
            format!("the service is still reading, at {}", local_time(position)),
        ),
        (None, false) => Point::notice(POINT, "the service has just begun to read"),
        (Some(position), true) => Point::ok(
            POINT,
            format!(
                "the service has read all, a server's last at {}",
                local_time(position)
            ),
        ),
        (None, true) => Point::ok(POINT, "the service has read all, and nothing of servers"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::point::Verdict;

    #[test]
    fn a_clock_is_synchronised_by_somebody_or_told_of() {
        assert_eq!(clock(Some(true), false).verdict, Verdict::Ok);
        assert_eq!(clock(Some(false), true).verdict, Verdict::Ok);
        assert_eq!(clock(None, false).verdict, Verdict::Notice);
        assert!(clock(Some(false), false).mend.is_some());
    }

    #[test]
    fn what_is_in_the_future_is_wrong() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let at = |seconds| now.checked_add(SignedDuration::from_secs(seconds)).ok();
        assert_eq!(entries(None, now).verdict, Verdict::Ok);
        assert_eq!(entries(at(-9), now).verdict, Verdict::Ok);
        assert_eq!(entries(at(4), now).verdict, Verdict::Ok);
        assert_eq!(entries(at(60), now).verdict, Verdict::Wrong);
    }
}
