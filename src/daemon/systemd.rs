//! What passes between the service and systemd: sockets, readiness, status, watchdog.
//!
//! Without systemd all of it does nothing, and the service runs the same.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use listenfd::ListenFd;

/// The sockets that systemd holds for us, so that a restart refuses nobody.
#[derive(Debug, Default)]
pub struct Sockets {
    /// Where the service is asked how it is.
    pub control: Option<UnixListener>,
    /// Where Postfix asks.
    pub policy: Option<UnixListener>,
    /// Where the Postfix of other hosts asks: the addresses that an administrator has given.
    pub policy_inet: Vec<TcpListener>,
}

impl Sockets {
    /// Takes over what systemd holds.
    ///
    /// The order of several sockets is not the same at each start, so they are told apart by name
    /// (FileDescriptorName= of their units; sd_listen_fds_with_names(3)).
    #[must_use]
    pub fn of_systemd() -> Self {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let places = |name| {
            let known = names.split(':').enumerate();
            let named = known.filter(|(_, known)| *known == name);
            named.map(|(place, _)| place).collect::<Vec<usize>>()
        };
        let mut held = ListenFd::from_env();
        let mut take = |name| {
            let listener = held.take_unix_listener(*places(name).first()?).ok()??;
            listener.set_nonblocking(true).ok()?;
            Some(listener)
        };
        let (control, policy) = (take("control"), take("policy"));
        let take_inet = |place| {
            let listener = held.take_tcp_listener(place).ok()??;
            listener.set_nonblocking(true).ok()?;
            Some(listener)
        };
        Sockets {
            control,
            policy,
            policy_inet: places("policy-inet")
                .into_iter()
                .filter_map(take_inet)
                .collect(),
        }
    }
}

/// How often systemd is told how we are, at most.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);

/// What systemd has been told of the service.
#[derive(Debug)]
pub struct Notifier {
    ready: bool,
    status: String,
    status_shown: Instant,
    watchdog_fed: Instant,
}

impl Notifier {
    /// It has been told nothing.
    #[must_use]
    pub fn new() -> Self {
        let now = Instant::now();
        Notifier {
            ready: false,
            status: String::new(),
            // So that the first status is told at once.
            status_shown: now.checked_sub(STATUS_INTERVAL).unwrap_or(now),
            watchdog_fed: now,
        }
    }

    /// Whether it has been told that the service is ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// The service is ready: the journal has been read, or can't be, and the map is right.
    pub fn ready(&mut self, status: String) {
        notify(&[("READY", "1"), ("STATUS", &status)]);
        self.ready = true;
        self.status = status;
    }

    /// Shows how we are, if that has changed; or says when it may be told again.
    pub fn show_status(&mut self, status: String) -> Option<Instant> {
        let now = Instant::now();
        let next = self.status_shown + STATUS_INTERVAL;
        if self.status == status {
            return None;
        }
        if next > now {
            return Some(next);
        }
        notify(&[("STATUS", &status)]);
        self.status = status;
        self.status_shown = now;
        None
    }

    /// Tells the watchdog that the reader and the loop are alive; there is no need to tell it with
    /// every batch. Says whether it was time.
    pub fn feed_watchdog(&mut self) -> bool {
        if self.watchdog_fed.elapsed() < STATUS_INTERVAL {
            return false;
        }
        notify(&[("WATCHDOG", "1")]);
        if !self.ready {
            // The start takes longer than usual, and goes on.
            let patience = Duration::from_secs(90).as_micros().to_string();
            notify(&[("EXTEND_TIMEOUT_USEC", &patience)]);
        }
        self.watchdog_fed = Instant::now();
        true
    }
}

/// Makes a socket for a service that runs without systemd. One that is left over is
/// replaced, one that somebody listens on is not.
///
/// # Errors
/// When the socket can't be made, or somebody listens on it.
pub fn own_socket(path: &Path) -> std::io::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt;
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(std::io::Error::other("somebody listens there already"));
    }
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if std::os::unix::fs::FileTypeExt::is_socket(&metadata.file_type()) => {
            std::fs::remove_file(path)?;
        }
        _ => {}
    }
    // Made under another name, so that nobody can connect before the mode is set.
    let aside = path.with_extension(format!("{}", std::process::id()));
    let listener = UnixListener::bind(&aside)?;
    std::fs::set_permissions(&aside, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&aside, path)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Tells systemd, if it listens (sd_notify(3)).
fn notify(state: &[(&str, &str)]) {
    // Whoever started us may have gone; that is no trouble of ours.
    let _ = systemd::daemon::notify(state.iter());
}

/// The service reads its configuration.
pub fn reloading() {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let microseconds = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
    notify(&[
        ("RELOADING", "1"),
        ("MONOTONIC_USEC", &microseconds.to_string()),
    ]);
}

/// The service stops.
pub fn stopping() {
    notify(&[("STOPPING", "1")]);
}

/// How often the watchdog wants to hear of us.
#[must_use]
pub fn watchdog() -> Option<Duration> {
    match systemd::daemon::watchdog_enabled() {
        Ok(0) | Err(_) => None,
        Ok(microseconds) => Some(Duration::from_micros(microseconds)),
    }
}
