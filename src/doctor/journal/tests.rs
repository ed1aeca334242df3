use super::*;
use crate::doctor::point::Verdict;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn mail(units: &[&str]) -> MailUnits {
    let services: Vec<Unit> = units.iter().map(|unit| Unit::with(unit)).collect();
    MailUnits::named(
        ["dovecot.service".to_owned(), "nginx.service".to_owned()].into_iter(),
        &services,
    )
}

fn journald(text: &str) -> JournaldConfiguration {
    JournaldConfiguration::parse(text)
}

#[test]
fn a_journal_that_throws_entries_away_is_wrong() {
    for (text, kept, verdict) in [
        ("", true, Verdict::Ok),
        ("Storage=auto", true, Verdict::Ok),
        ("", false, Verdict::Notice),
        ("Storage=volatile", true, Verdict::Notice),
        ("Storage=none", true, Verdict::Wrong),
    ] {
        let point = judge_storage(&journald(text), kept);
        assert_eq!(point.verdict, verdict, "{text}");
        assert_eq!(point.mend.is_some(), verdict != Verdict::Ok);
    }
    for (text, verdict) in [
        ("", Verdict::Ok),
        ("MaxLevelStore=debug", Verdict::Ok),
        ("MaxLevelStore=info", Verdict::Ok),
        ("MaxLevelStore=6", Verdict::Ok),
        ("MaxLevelStore=Notice", Verdict::Wrong),
        ("MaxLevelStore=3", Verdict::Wrong),
        ("MaxLevelStore=rubbish", Verdict::Ok),
    ] {
        assert_eq!(judge_level(&journald(text)).verdict, verdict, "{text}");
    }
}

#[test]
fn only_what_mail_units_lost_counts_until_they_have_another_limit() {
    let notice = |unit: &str, dropped: &str, time| {
        Report::of(
            at(time),
            &[("OBJECT_SYSTEMD_UNIT", unit), ("N_DROPPED", dropped)],
        )
    };
    let reports = [
        notice("ssh.service", "7", 1_000),
        notice("dovecot.service", "40", 1_100),
        notice("dovecot.service", "2", 1_200),
        notice("dovecot.service", "rubbish", 1_150),
    ];
    let started = |rest: &str| mail(&[&format!("Id=dovecot.service ActiveState=active {rest}")]);
    let early = "ActiveEnterTimestamp=Thu+1970-01-01+00:18:00+UTC";
    let late = "ActiveEnterTimestamp=Thu+1970-01-01+00:21:00+UTC";
    for (unit, verdict) in [
        (format!("LogRateLimitIntervalUSec=0 {late}"), Verdict::Wrong),
        (
            format!("LogRateLimitIntervalUSec=1us {early}"),
            Verdict::Wrong,
        ),
        (
            format!("LogRateLimitIntervalUSec=1us {late}"),
            Verdict::Notice,
        ),
        (format!("LogRateLimitBurst=4000000 {late}"), Verdict::Notice),
    ] {
        let points = dropped(&reports, &started(&unit));
        assert_eq!(points.len(), 1);
        assert_eq!(points[0].verdict, verdict, "{unit}");
        assert!(points[0].finding.contains("42 entries of dovecot.service"));
    }
    assert_eq!(
        dropped(&reports[..1], &started(late))[0].verdict,
        Verdict::Ok
    );
}

#[test]
fn servers_must_write_where_the_service_reads() {
    let verdict = |read: Option<&str>, units: &[&str]| {
        let points = namespaces(read, &[], &mail(units));
        (points.len(), points[0].verdict)
    };
    let default = "Id=dovecot.service ActiveState=active LogNamespace=";
    let apart = "Id=dovecot.service ActiveState=active LogNamespace=mail";
    let web = "Id=nginx.service ActiveState=active LogNamespace=";
    assert_eq!(verdict(None, &[default]), (1, Verdict::Ok));
    assert_eq!(verdict(None, &[]), (1, Verdict::Ok));
    assert_eq!(verdict(None, &[apart]), (1, Verdict::Wrong));
    assert_eq!(verdict(None, &[apart, web]), (1, Verdict::Wrong));
    assert_eq!(verdict(Some("mail"), &[apart]), (1, Verdict::Ok));
    assert_eq!(verdict(Some("mail"), &[apart, web]), (1, Verdict::Ok));
    assert_eq!(verdict(Some("mail"), &[default]), (1, Verdict::Wrong));
    assert_eq!(verdict(Some("mail"), &[default, web]), (2, Verdict::Wrong));
    let stopped = "Id=dovecot.service ActiveState=inactive LogNamespace=mail";
    assert_eq!(verdict(None, &[stopped]), (1, Verdict::Ok));
}
