//! A time as the whitelist keeps it: eight bytes of microseconds, as the journal counts them.
//!
//! Half of what a [`Timestamp`] takes, and there are five of them for each client. Must never be
//! later than the time that it was made of: a client would be listed for longer than grace.

use jiff::{SignedDuration, Timestamp};

/// Microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(i64);

impl Moment {
    /// So much later; or the end of time.
    pub(super) fn plus(self, duration: SignedDuration) -> Self {
        let whole = i64::try_from(duration.as_micros());
        Moment(self.0.saturating_add(whole.unwrap_or(i64::MAX)))
    }
}

impl From<Timestamp> for Moment {
    /// What is left of a microsecond is dropped, before 1970 too.
    fn from(time: Timestamp) -> Self {
        let microsecond = time.as_microsecond();
        let is_later = time.subsec_nanosecond() % 1000 < 0;
        Moment(microsecond - i64::from(is_later))
    }
}

impl From<Moment> for Timestamp {
    fn from(Moment(microsecond): Moment) -> Self {
        let end = if microsecond < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        };
        Timestamp::from_microsecond(microsecond).unwrap_or(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn time(nanosecond: i64) -> Timestamp {
        Timestamp::from_nanosecond(nanosecond.into()).unwrap()
    }

    proptest! {
        #[test]
        fn it_is_never_later_and_less_than_a_microsecond_earlier(
            nanosecond in prop_oneof![any::<i64>(), -3000..3000i64]
        ) {
            let made = Timestamp::from(Moment::from(time(nanosecond)));
            let lost = time(nanosecond).duration_since(made);
            prop_assert!(!lost.is_negative() && lost < SignedDuration::from_micros(1), "{lost}");
        }

        #[test]
        fn it_goes_on_as_time_does(microsecond in -1_000_000_000_000_000i64..=1_000_000_000_000_000, more: u32) {
            let start = Timestamp::from_microsecond(microsecond).unwrap();
            let duration = SignedDuration::from_micros(more.into());
            prop_assert_eq!(
                Timestamp::from(Moment::from(start).plus(duration)),
                start.checked_add(duration).unwrap()
            );
        }
    }

    #[test]
    fn the_end_of_time_stays_where_it_is() {
        for time in [Timestamp::MAX, Timestamp::MIN] {
            assert!(Timestamp::from(Moment::from(time)) <= time);
        }
        let end = Moment::from(Timestamp::MAX).plus(SignedDuration::MAX);
        assert_eq!(Timestamp::from(end), Timestamp::MAX);
    }
}
