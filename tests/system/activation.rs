//! systemd holds the sockets: whatever becomes of the service, nobody who asks is refused, and each
//! question gets its answer. As Postfix does, one whose connection was lost is asked again.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::host::{Host, NEAR, wait_until};
use crate::image::{Release, Servers};
use crate::mail::fetch_mail;
use crate::service::opened;

/// How long a question may wait: the service is killed for so long that it has no time to answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// Someone who asks without end, one question after the other.
struct Asker {
    name: &'static str,
    socket: PathBuf,
    question: Vec<u8>,
    /// What ends an answer.
    end: &'static [u8],
    /// What an answer has to hold.
    wanted: &'static str,
    /// Whether it keeps its connection from one question to the next, as smtpd does.
    keeps: bool,
    answered: AtomicUsize,
    asked_again: AtomicUsize,
}

impl Asker {
    fn policy(host: &Host, keeps: bool) -> Self {
        Asker {
            name: if keeps { "smtpd" } else { "policy" },
            socket: host.path("/var/spool/postfix/pop-before-smtp/policy"),
            question: format!(
                "request=smtpd_access_policy\nprotocol_state=RCPT\nclient_address={}\n\n",
                NEAR[0]
            )
            .into_bytes(),
            end: b"\n\n",
            wanted: "action=OK\n\n",
            keeps,
            answered: AtomicUsize::new(0),
            asked_again: AtomicUsize::new(0),
        }
    }

    fn control(host: &Host) -> Self {
        Asker {
            name: "control",
            socket: host.path("/run/pop-before-smtp/control"),
            question: b"{\"method\":\"org.pop-before-smtp.GetStatus\"}\0".to_vec(),
            end: b"\0",
            wanted: "\"clients\":1,",
            ..Asker::policy(host, false)
        }
    }

    fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    /// Asks until `enough`, or something is wrong.
    fn ask(&self, enough: &AtomicBool) -> Result<(), String> {
        let mut kept = None;
        while !enough.load(Ordering::Relaxed) {
            let start = Instant::now();
            loop {
                let mut stream = match kept.take() {
                    Some(stream) => stream,
                    // The one thing that must never fail.
                    None => UnixStream::connect(&self.socket)
                        .map_err(|error| format!("{}: not connected: {error}", self.name))?,
                };
                if let Some(answer) = self.answer(&mut stream) {
                    if !answer.contains(self.wanted) {
                        return Err(format!("{}: answered {answer:?}", self.name));
                    }
                    kept = self.keeps.then_some(stream);
                    break;
                }
                self.asked_again.fetch_add(1, Ordering::Relaxed);
                if start.elapsed() > PATIENCE {
                    return Err(format!("{}: no answer in {PATIENCE:?}", self.name));
                }
            }
            self.answered.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The answer to one question; none if the connection is lost.
    fn answer(&self, stream: &mut UnixStream) -> Option<String> {
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.write_all(&self.question).ok()?;
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        while !answer.ends_with(self.end) {
            match stream.read(&mut buffer) {
                Ok(0) | Err(_) => return None,
                Ok(n) => answer.extend_from_slice(&buffer[..n]),
            }
        }
        Some(String::from_utf8(answer).unwrap())
    }
}

/// The service's process, whether or not it is ready; none while there is none.
fn process(host: &Host) -> Option<u32> {
    let process = host.service_property("MainPID").parse().unwrap();
    (process != 0).then_some(process)
}

fn kill(host: &Host, process: u32) {
    host.try_run(&["kill", "-KILL", &process.to_string()]);
}

/// Has three clients ask without end while `events` happen: none is refused, and each question gets its
/// answer. `events` can wait until each has new answers, or has failed.
fn nobody_is_refused_while(host: &Host, events: impl FnOnce(&dyn Fn(&str))) -> [Asker; 3] {
    let sockets = opened(host);
    let askers = [
        Asker::policy(host, false),
        Asker::policy(host, true),
        Asker::control(host),
    ];
    let enough = AtomicBool::new(false);
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for asker in &askers {
            scope.spawn(|| {
                if let Err(failure) = asker.ask(&enough) {
                    failures.lock().unwrap().push(failure);
                }
            });
        }
        let answered_again = |after: &str| {
            let before = askers.each_ref().map(Asker::answered);
            wait_until(after, PATIENCE, || {
                let failed = !failures.lock().unwrap().is_empty();
                let all = askers.iter().zip(before).all(|(a, n)| a.answered() > n + 1);
                (failed || all).then_some(())
            });
        };
        // The test fails below, when the askers have been told to stop.
        let events = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            answered_again("the beginning");
            events(&answered_again);
        }));
        enough.store(true, Ordering::Relaxed);
        if let Err(panic) = events {
            std::panic::resume_unwind(panic);
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{failures:#?}");
    // They are the same sockets as before, open all the time.
    assert_eq!(opened(host), sockets);
    assert!(host.is_active());
    for asker in &askers {
        let again = asker.asked_again.load(Ordering::Relaxed);
        eprintln!(
            "{}: {} answers, {again} questions asked again",
            asker.name,
            asker.answered()
        );
    }
    askers
}

/// Makes /opt/newer.deb, the package with a higher version, and returns that version.
fn newer_package(host: &Host) -> String {
    host.sh(
        "cd /opt && dpkg-deb --raw-extract pop-before-smtp.deb newer &&
         sed -i 's/^Version: .*/&+newer/' newer/DEBIAN/control &&
         dpkg-deb --root-owner-group --build newer newer.deb >/dev/null &&
         dpkg-deb --field newer.deb Version",
    )
}

fn installed_version(host: &Host) -> String {
    host.sh("dpkg-query --show --showformat='${Version}' pop-before-smtp")
}

fn refuses_nobody(release: Release) {
    let host = Host::with_service(release, "grace = \"1h\"\n");
    fetch_mail(&host, NEAR[0]);
    host.await_clients(&[NEAR[0]]);
    let newer = newer_package(&host);
    let askers = nobody_is_refused_while(&host, |answered_again| {
        for _ in 0..15 {
            host.run(&["systemctl", "restart", "pop-before-smtp.service"]);
        }
        answered_again("restarts in a row");
        for _ in 0..2 {
            let process = host.main_process();
            kill(&host, process);
            answered_again("a kill");
        }
        // As often as it comes up.
        let mut last = None;
        for _ in 0..8 {
            let process = wait_until("it is started again", PATIENCE, || {
                process(&host).filter(|process| Some(*process) != last)
            });
            kill(&host, process);
            last = Some(process);
        }
        answered_again("a crash loop");
        host.install("/opt/newer.deb");
        answered_again("an upgrade");
        host.run(&["dpkg", "--install", "--force-confold", "/opt/newer.deb"]);
        answered_again("the same version again");
    });
    assert_eq!(installed_version(&host), newer);
    // The askers were in the way of what happened: else nothing was tried here.
    assert!(askers[1].asked_again.load(Ordering::Relaxed) > 0);
}

#[test]
fn refuses_nobody_on_bookworm() {
    refuses_nobody(Release::Bookworm);
}

#[test]
fn refuses_nobody_on_trixie() {
    refuses_nobody(Release::Trixie);
}

/// Offers /opt/newer.deb as a distribution offers an update, to unattended-upgrades too.
const OFFER: &str = r#"
    mkdir /srv/updates && cd /srv/updates && cp /opt/newer.deb . &&
    {
        dpkg-deb --field newer.deb
        echo "Filename: ./newer.deb"
        echo "Size: $(stat --format=%s newer.deb)"
        echo "SHA256: $(sha256sum newer.deb | cut --delimiter=' ' --fields=1)"
    } >Packages &&
    {
        echo "Origin: updates"
        echo "SHA256:"
        echo " $(sha256sum Packages | cut --delimiter=' ' --fields=1) $(stat --format=%s Packages) Packages"
    } >Release &&
    echo "deb [trusted=yes] file:/srv/updates ./" >/etc/apt/sources.list.d/updates.list &&
    echo 'Unattended-Upgrade::Origins-Pattern { "origin=updates"; };' >/etc/apt/apt.conf.d/60updates &&
    apt-get -o Dir::Etc::SourceList=/etc/apt/sources.list.d/updates.list -o Dir::Etc::SourceParts=- update
"#;

/// needrestart restarts the service when a library that it uses has been replaced, unattended-upgrades when it
/// installs a newer package, and nobody who asks is refused.
fn it_is_restarted_unattended(release: Release) {
    let host = Host::with_service_and(release, Servers::AdminTools, "grace = \"1h\"\n");
    fetch_mail(&host, NEAR[0]);
    host.await_clients(&[NEAR[0]]);
    let newer = newer_package(&host);
    host.sh(OFFER);
    nobody_is_refused_while(&host, |answered_again| {
        let before = host.main_process();
        // As dpkg does it: another file takes the library's place.
        host.sh(
            "library=$(realpath /lib/*/libsystemd.so.0) && cp \"$library\" \"$library.new\" &&
             mv \"$library.new\" \"$library\"",
        );
        let said = host.sh("DEBIAN_FRONTEND=noninteractive needrestart -l -r a 2>&1");
        assert!(said.contains("pop-before-smtp.service"), "{said}");
        answered_again("needrestart");
        assert_ne!(host.main_process(), before, "it was to be restarted");

        let before = host.main_process();
        let said = host.sh("unattended-upgrade --verbose 2>&1");
        assert_eq!(installed_version(&host), newer, "{said}");
        answered_again("unattended-upgrades");
        assert_ne!(host.main_process(), before, "it was to be restarted");
    });
    let status = host.status();
    assert!(status.problems.is_empty(), "{status:?}");
}

#[test]
fn it_is_restarted_unattended_on_bookworm() {
    it_is_restarted_unattended(Release::Bookworm);
}

#[test]
fn it_is_restarted_unattended_on_trixie() {
    it_is_restarted_unattended(Release::Trixie);
}

/// A service that can't start is not started for ever by who asks; once it can, all is as before.
fn a_bad_configuration_is_told_at_once(release: Release) {
    let host = Host::with_service(release, "grace = \"1h\"\n");
    let bad = "/etc/pop-before-smtp/config.d/60-bad.toml";
    host.write_file(bad, "gracious = true\n");
    assert!(!host.systemctl("restart").succeeded());
    let asked = wait_until("whoever asks is told", PATIENCE, || {
        let asked = host.try_run(&["pop-before-smtp", "status"]);
        assert_eq!(asked.code, Some(69), "{}", asked.transcript());
        // Nobody listens any more: it is not even tried.
        asked
            .stderr
            .contains("systemctl enable --now")
            .then_some(asked)
    });
    assert!(asked.stdout.is_empty(), "{}", asked.transcript());
    assert_eq!(host.service_property("ExecMainStatus"), "78");
    let starts = host.service_property("ExecMainStartTimestampMonotonic");
    host.try_run(&["pop-before-smtp", "status"]);
    assert_eq!(
        host.service_property("ExecMainStartTimestampMonotonic"),
        starts
    );

    host.run(&["rm", bad]);
    let started = host.systemctl("start");
    assert!(started.succeeded(), "{}", started.transcript());
    assert!(host.status().caught_up);
    let asker = Asker::policy(&host, false);
    let mut stream = UnixStream::connect(&asker.socket).unwrap();
    assert_eq!(asker.answer(&mut stream).unwrap(), "action=DUNNO\n\n");
}

#[test]
fn a_bad_configuration_is_told_at_once_on_bookworm() {
    a_bad_configuration_is_told_at_once(Release::Bookworm);
}

#[test]
fn a_bad_configuration_is_told_at_once_on_trixie() {
    a_bad_configuration_is_told_at_once(Release::Trixie);
}
