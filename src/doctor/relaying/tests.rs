use super::*;
use crate::doctor::point::Verdict;

const OURS: &str = "hash:/var/lib/pop-before-smtp/clients";

fn offer() -> Offer {
    Offer {
        kind: MapType::Hash,
        map: "/var/lib/pop-before-smtp/clients".into(),
        publishes_map: true,
        policy: "/var/spool/postfix/pop-before-smtp/policy".into(),
        publishes_policy: true,
    }
}

/// A Postfix whose port 25 is chrooted, with these parameters.
fn postfix(main_cf: &str) -> Configuration {
    postfix_with(main_cf, "smtp inet n - y - - smtpd\n", "")
}

fn postfix_with(main_cf: &str, services: &str, overrides: &str) -> Configuration {
    let defaults = "queue_directory = /var/spool/postfix\n\
                    smtpd_policy_service_default_action = 451 4.3.5 Server trouble\n";
    Configuration::of(
        &format!("{defaults}{main_cf}"),
        main_cf,
        services,
        overrides,
    )
}

#[track_caller]
fn one(postfix: &Configuration, offer: &Offer) -> Point {
    let mut points = judge(postfix, offer);
    assert_eq!(points.len(), 1, "{points:?}");
    points.remove(0)
}

/// One thing is wrong, and this mends it; what the command writes is then right.
#[track_caller]
fn assert_mended(main_cf: &str, finding: &str, command: &str) {
    let point = one(&postfix(main_cf), &offer());
    assert_eq!(point.verdict, Verdict::Wrong, "{point:?}");
    assert!(point.finding.contains(finding), "{point:?}");
    let mend = point.mend.unwrap();
    assert_eq!(mend, format!("{command}\npostfix reload"));
    let mut mended = main_cf.to_owned();
    for line in mend.lines().filter_map(|l| l.strip_prefix("postconf -e '")) {
        let (name, value) = line.trim_end_matches('\'').split_once(" = ").unwrap();
        let others = mended
            .lines()
            .filter(|l| !l.starts_with(&format!("{name} ")));
        mended = format!(
            "{}\n{name} = {value}\n",
            others.collect::<Vec<_>>().join("\n")
        );
    }
    let point = one(&postfix(&mended), &offer());
    assert_eq!(point.verdict, Verdict::Ok, "{mended}: {point:?}");
}

#[test]
fn the_map_before_the_refusal_is_right() {
    for main_cf in [
        format!(
            "smtpd_relay_restrictions = permit_mynetworks, check_client_access {OURS}, \
             reject_unauth_destination"
        ),
        // As before Postfix 2.10.
        format!(
            "smtpd_relay_restrictions =\nsmtpd_recipient_restrictions = permit_mynetworks, \
             check_client_access {OURS}, reject_unauth_destination, reject_rbl_client x.example"
        ),
        "smtpd_relay_restrictions = permit_mynetworks check_policy_service { \
         unix:pop-before-smtp/policy, default_action=DUNNO, timeout=5s } defer_unauth_destination"
            .to_owned(),
        format!(
            "smtpd_relay_restrictions = mine, reject\nsmtpd_restriction_classes = mine\n\
             mine = check_client_access {OURS}"
        ),
    ] {
        let point = one(&postfix(&main_cf), &offer());
        assert_eq!(point.verdict, Verdict::Ok, "{main_cf}: {point:?}");
    }
}

#[test]
fn what_is_wrong_with_the_lists_is_put_right() {
    assert_mended(
        "smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination",
        "without asking this service first",
        &format!(
            "postconf -e 'smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated \
             check_client_access {OURS}, defer_unauth_destination'"
        ),
    );
    assert_mended(
        &format!(
            "smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination, \
             check_client_access {OURS}"
        ),
        "comes after what refuses",
        &format!(
            "postconf -e 'smtpd_relay_restrictions = permit_mynetworks, check_client_access \
             {OURS}, reject_unauth_destination'"
        ),
    );
    // The relay list hears of us, and the other one refuses all the same.
    assert_mended(
        &format!(
            "smtpd_relay_restrictions = check_client_access {OURS}, reject_unauth_destination\n\
             smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination"
        ),
        "smtpd_recipient_restrictions refuses",
        &format!(
            "postconf -e 'smtpd_recipient_restrictions = permit_mynetworks, check_client_access \
             {OURS}, reject_unauth_destination'"
        ),
    );
    for (table, finding) in [
        ("lmdb:/var/lib/pop-before-smtp/clients", "of type hash"),
        ("proxy:hash:/var/lib/pop-before-smtp/clients", "proxymap"),
        ("hash:/var/lib/pop-before-smtp/clients.db", "extension"),
        ("texthash:/var/lib/pop-before-smtp/clients", "of type hash"),
    ] {
        assert_mended(
            &format!("smtpd_relay_restrictions = check_client_access {table}, reject"),
            finding,
            &format!("postconf -e 'smtpd_relay_restrictions = check_client_access {OURS}, reject'"),
        );
    }
    for (policy, finding) in [
        ("unix:pop-before-smtp/policy", "default_action"),
        (
            "{ unix:/var/spool/postfix/pop-before-smtp/policy, default_action=DUNNO }",
            "chrooted",
        ),
        (
            "{ unix:private/pop-before-smtp/policy, default_action=DUNNO }",
            "socket is /var/spool/postfix/pop-before-smtp/policy",
        ),
        (
            "{ unix:pop-before-smtp/policy, default_action=reject }",
            "deferred",
        ),
    ] {
        assert_mended(
            &format!("smtpd_relay_restrictions = check_policy_service {policy}, reject"),
            finding,
            &format!(
                "postconf -e 'smtpd_relay_restrictions = check_policy_service {POLICY}, reject'"
            ),
        );
    }
}

#[test]
fn an_absolute_path_is_right_outside_of_a_chroot() {
    let list = "smtpd_relay_restrictions = check_policy_service { \
                unix:/var/spool/postfix/pop-before-smtp/policy, default_action=DUNNO }, reject\n";
    let postfix = postfix_with(list, "smtp inet n - n - - smtpd\n", "");
    assert_eq!(one(&postfix, &offer()).verdict, Verdict::Ok);
}

#[test]
fn services_are_judged_by_themselves() {
    let main_cf = format!("smtpd_relay_restrictions = check_client_access {OURS}, reject\n");
    let services = "smtp inet n - y - 1 postscreen\nsmtpd pass - - y - - smtpd\n\
                    submission inet n - y - - smtpd\n127.0.0.1:10025 inet n - y - - smtpd\n";
    let overrides = "submission/inet/smtpd_relay_restrictions = permit_sasl_authenticated,reject\n";
    let points = judge(&postfix_with(&main_cf, services, overrides), &offer());
    let verdicts: Vec<_> = points.iter().map(|p| p.verdict).collect();
    assert_eq!(verdicts, [Verdict::Ok, Verdict::Notice], "{points:?}");

    // Where none asks, the one behind postscreen is the one to mend.
    let main_cf = "smtpd_relay_restrictions = permit_mynetworks, reject\n";
    let points = judge(&postfix_with(main_cf, services, overrides), &offer());
    let verdicts: Vec<_> = points.iter().map(|p| p.verdict).collect();
    assert_eq!(verdicts, [Verdict::Wrong, Verdict::Notice], "{points:?}");

    // One that asks wrongly is mended where it is wrong: in master.cf.
    let overrides = "submission/inet/smtpd_relay_restrictions = \
                     check_client_access cdb:/var/lib/pop-before-smtp/clients,reject\n";
    let points = judge(&postfix_with(main_cf, services, overrides), &offer());
    assert_eq!(
        points[1].mend.as_deref(),
        Some(
            "postconf -P 'submission/inet/smtpd_relay_restrictions=check_client_access,\
             hash:/var/lib/pop-before-smtp/clients,reject'\npostfix reload"
        ),
        "{points:?}"
    );
}

#[test]
fn what_is_asked_and_not_published_lists_nobody() {
    let postfix = postfix(&format!(
        "smtpd_relay_restrictions = check_client_access {OURS}, reject"
    ));
    let offer = Offer {
        publishes_map: false,
        ..offer()
    };
    let point = one(&postfix, &offer);
    assert_eq!(point.verdict, Verdict::Wrong);
    assert!(point.finding.contains("lists nobody"), "{point:?}");
    assert!(point.mend.unwrap().contains("check_policy_service"));
}

#[test]
fn a_postfix_that_refuses_nothing_is_an_open_relay() {
    for main_cf in ["", "smtpd_relay_restrictions = permit_mynetworks, permit"] {
        let point = one(&postfix(main_cf), &offer());
        assert_eq!(point.verdict, Verdict::Wrong, "{main_cf}");
        assert!(point.finding.contains("everybody"), "{point:?}");
    }
    let none = judge(
        &postfix_with("", "smtp unix - - y - - smtp\n", ""),
        &offer(),
    );
    assert_eq!(none[0].verdict, Verdict::Wrong);
}
