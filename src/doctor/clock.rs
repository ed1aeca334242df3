//! The clock: by it grace ends.

use jiff::{SignedDuration, Timestamp};

use super::Installation;
use super::point::{Point, notice, ok, wrong};
use crate::control::protocol::Status;
use crate::daemon;
use crate::diagnostics::{self, local_time};
use crate::journal::reports::end;

/// What two looks at a clock may differ by.
const SLACK: SignedDuration = SignedDuration::from_secs(5);
const SET: &str = "# Put the clock right: timedatectl\nsystemctl restart pop-before-smtp.service";

/// Is it synchronised?
pub fn clock(host: &Installation) -> Option<Point> {
    let ran = |program, arguments: &[&str]| {
        let output = host.programs.run(program, arguments).ok()?;
        output.status.success().then(|| output.text())
    };
    let container = ran("systemd-detect-virt", &["--container"]).is_some();
    let asked = ["show", "--property=NTPSynchronized", "--value"];
    let told = ran("timedatectl", &asked);
    Some(judge(told.map(|text| text.trim() == "yes"), container))
}

fn judge(synchronised: Option<bool>, container: bool) -> Point {
    match (synchronised, container) {
        (_, true) => ok("is that of the host of this container"),
        (Some(true), _) => ok("is synchronised"),
        (Some(false), _) => {
            notice("is not synchronised: if it is set back, grace lasts longer than it should")
                .mend("timedatectl set-ntp true")
        }
        (None, _) => notice("may or may not be synchronised: timedatectl does not say"),
    }
}

/// Are entries of the future?
pub fn journal_time(host: &Installation) -> Option<Vec<Point>> {
    let points = daemon::sources(host.settings()?)
        .into_iter()
        .filter_map(|source| {
            // Looked at before now is asked for. Of one that can't be read, another point tells.
            let last = end(&source.journal).ok()?;
            Some(entries(source.name(), last, Timestamp::now()))
        });
    Some(points.collect())
}

fn entries(source: Option<&str>, last: Option<Timestamp>, now: Timestamp) -> Point {
    let of = diagnostics::of_source(source);
    let Some(last) = last else {
        return ok(format!("{of}no entry is in the future"));
    };
    let time = local_time(last);
    if last.duration_since(now) > SLACK {
        let finding = format!(
            "{of}the last entry of the journal is dated {time}, which is in the future: the clock was \
             wrong then, or is now; such logins gain nothing"
        );
        return match source {
            None => wrong(finding, SET),
            Some(_) => wrong(finding, "# Put the clock of that host right: timedatectl"),
        };
    }
    ok(format!("{of}the last entry is dated {time}"))
}

/// Where does the service read?
pub fn journal_position(host: &Installation) -> Option<Point> {
    Some(reading(host.status()?, Timestamp::now()))
}

fn reading(status: &Status, now: Timestamp) -> Point {
    let Some(position) = status.journal_position else {
        return match status.caught_up {
            true => ok("the service has read everything, but no entries of servers"),
            false => notice("the service has just begun to read"),
        };
    };
    let time = local_time(position);
    if position.duration_since(now) > SLACK {
        let finding = format!("the service has read up to {time}, which is in the future");
        wrong(finding, SET)
    } else if status.caught_up {
        ok(format!(
            "the service has read everything, the last entry of a server at {time}"
        ))
    } else {
        notice(format!("the service is still reading, at {time}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::point::Verdict;

    #[test]
    fn a_clock_is_synchronised_by_somebody_or_told_of() {
        assert_eq!(judge(Some(true), false).verdict, Verdict::Ok);
        assert_eq!(judge(Some(false), true).verdict, Verdict::Ok);
        assert_eq!(judge(None, false).verdict, Verdict::Notice);
        assert!(judge(Some(false), false).mend.is_some());
    }

    #[test]
    fn what_is_in_the_future_is_wrong() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let at = |seconds| now.checked_add(SignedDuration::from_secs(seconds)).ok();
        assert_eq!(entries(None, None, now).verdict, Verdict::Ok);
        assert_eq!(entries(None, at(-9), now).verdict, Verdict::Ok);
        assert_eq!(entries(None, at(4), now).verdict, Verdict::Ok);
        assert_eq!(entries(None, at(60), now).verdict, Verdict::Wrong);
    }
}
