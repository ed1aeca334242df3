//! What is broken, how, and what is promised meanwhile: the rows of the table, in its order.
//!
//! The scripts know `$S` (the state directory), `$INDEX` and `$TYPE` (of the access map), `$PID` (the
//! service) and `inject` (strace fails a system call of the service until `spare`).

/// One row.
pub struct Fault {
    /// What is broken, for people. A row is known by it.
    pub what: &'static str,
    pub promise: &'static str,
    pub break_it: &'static str,
    pub mend_it: &'static str,
    /// What mends it, for people.
    pub mend: &'static str,
    pub map: Map,
    pub shows: Shows,
    pub login: Login,
    pub form: Form,
}

/// What becomes of the map while the fault lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Map {
    /// Whose grace has passed is taken out of it.
    Right,
    /// It stays as it was: who ought to be out of it is told of.
    Old,
    /// It stays as it was, and nobody is there to tell of it.
    Untold,
}

/// Where the fault is to be seen while it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// `status` fails.
    Status,
    /// The service mends it by itself, at once: in the journal alone.
    Journal,
    /// Nowhere: it hurts nobody.
    Nowhere,
}

/// What becomes of a login while the fault lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// It counts, once all is mended at the latest.
    Counts,
    /// journald does not write it.
    Lost,
}

/// In which form of the campaign it is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Short,
    Long,
}

use Form::{Long, Short};
use Login::{Counts, Lost};
use Shows::{Journal, Nowhere, Status};

const OLD_MAP: &str = "the map stays whole, as it was; nothing is lost";
const IN_MEMORY: &str = "the whitelist goes on in memory, and nothing is lost";
const NOT_WRITTEN: &str = "grace ends in time; what journald can't write is lost, and it is said";
const MENDED: &str = "the map is put right at once";
const REBUILT: &str = "the store is made anew from the journal";

pub const FAULTS: &[Fault] = &[
    Fault {
        what: "no room in the state directory",
        promise: OLD_MAP,
        break_it: "cat /dev/zero >$S/filler 2>/dev/null || true",
        mend_it: "rm $S/filler",
        mend: "make room",
        map: Map::Old,
        shows: Status,
        login: Counts,
        form: Short,
    },
    Fault {
        what: "the state directory belongs to root",
        promise: OLD_MAP,
        break_it: "chown root: $S",
        mend_it: "chown pop-before-smtp: $S",
        mend: "give it back; or restart the service",
        map: Map::Old,
        shows: Status,
        login: Counts,
        form: Long,
    },
    Fault {
        what: "the state directory is read-only when the service starts",
        promise: "the service does not start, and says why; the map stays whole, as it was",
        break_it: "mkdir -p /run/systemd/system/pop-before-smtp{,-expire}.service.d
                   for unit in pop-before-smtp{,-expire}; do
                       printf '[Service]\\nReadOnlyPaths=%s\\n' $S >/run/systemd/system/$unit.service.d/ro.conf
                   done
                   systemctl daemon-reload; systemctl restart pop-before-smtp || true",
        mend_it: "rm /run/systemd/system/pop-before-smtp{,-expire}.service.d/ro.conf
                  systemctl daemon-reload; systemctl restart pop-before-smtp",
        mend: "make it writable",
        map: Map::Old,
        shows: Status,
        login: Counts,
        form: Long,
    },
    Fault {
        what: "fsync(2) of the store fails: EIO",
        promise: IN_MEMORY,
        break_it: "inject fsync EIO --trace-path=$S/store/db",
        mend_it: "spare",
        mend: "a disk that works; the service tries again",
        map: Map::Right,
        shows: Status,
        login: Counts,
        form: Short,
    },
    Fault {
        what: "pwrite(2) to the store fails: ENOSPC",
        promise: IN_MEMORY,
        break_it: "inject pwrite64 ENOSPC --trace-path=$S/store/db",
        mend_it: "spare",
        mend: "make room; the service tries again",
        map: Map::Right,
        shows: Status,
        login: Counts,
        form: Long,
    },
    Fault {
        what: "rename(2) of the map fails: EIO",
        promise: OLD_MAP,
        break_it: "inject rename EIO",
        mend_it: "spare",
        mend: "a disk that works; the service tries again",
        map: Map::Old,
        shows: Status,
        login: Counts,
        form: Long,
    },
    Fault {
        what: "the disk hangs: fsync(2) of the map takes half a minute",
        promise: OLD_MAP,
        break_it: "inject fsync : --trace-path=$S/clients.new",
        mend_it: "spare",
        mend: "a disk that works",
        map: Map::Old,
        shows: Status,
        login: Counts,
        form: Long,
    },
    Fault {
        what: "the disk hangs: fsync(2) of the store takes half a minute",
        promise: IN_MEMORY,
        break_it: "inject fsync : --trace-path=$S/store/db",
        mend_it: "spare",
        mend: "a disk that works",
        map: Map::Right,
        shows: Status,
        login: Counts,
        form: Long,
    },
    Fault {
        what: "no file descriptor is left",
        promise: OLD_MAP,
        break_it: "prlimit --pid $PID --nofile=3:",
        mend_it: "prlimit --pid $PID --nofile=$(prlimit --pid $PID --nofile --noheadings --output HARD | tr -d ' '):",
        mend: "LimitNOFILE= of the unit; systemd kills it after a minute, as it can't say that it lives",
        map: Map::Old,
        shows: Status,
        login: Counts,
        form: Long,
    },
    Fault {
        what: "no process is left",
        promise: OLD_MAP,
        break_it: "prlimit --pid $PID --nproc=1:",
        mend_it: "prlimit --pid $PID --nproc=$(prlimit --pid $PID --nproc --noheadings --output HARD | tr -d ' '):",
        mend: "LimitNPROC= and TasksMax= of the unit; the service tries again",
        map: Map::Old,
        shows: Status,
        login: Counts,
        form: Long,
    },
    Fault {
        what: "postmap is missing",
        promise: OLD_MAP,
        break_it: "mv /usr/sbin/postmap /usr/sbin/postmap.real",
        mend_it: "mv /usr/sbin/postmap.real /usr/sbin/postmap",
        mend: "install it; the service tries again",
        map: Map::Old,
        shows: Status,
        login: Counts,
        form: Short,
    },
    Fault {
        what: "postmap takes five seconds",
        promise: "the map is right some seconds later",
        break_it: "mv /usr/sbin/postmap /usr/sbin/postmap.real
                   printf '#!/bin/sh\\nsleep 5; exec /usr/sbin/postmap.real \"$@\"\\n' >/usr/sbin/postmap
                   chmod 755 /usr/sbin/postmap",
        mend_it: "mv /usr/sbin/postmap.real /usr/sbin/postmap",
        mend: "nothing need be",
        map: Map::Right,
        shows: Nowhere,
        login: Counts,
        form: Long,
    },
    Fault {
        what: "postmap hangs",
        promise: OLD_MAP,
        break_it: "mv /usr/sbin/postmap /usr/sbin/postmap.real
                   printf '#!/bin/sh\\nexec sleep infinity\\n' >/usr/sbin/postmap
                   chmod 755 /usr/sbin/postmap",
        mend_it: "mv /usr/sbin/postmap.real /usr/sbin/postmap",
        mend: "one that works; the service tries again",
        map: Map::Old,
        shows: Status,
        login: Counts,
        form: Long,
    },
    Fault {
        what: "Postfix prefers another type of map (default_database_type), and the service is reloaded",
        promise: "the map keeps its type, which main.cf names",
        break_it: "postconf -e default_database_type=cdb; systemctl reload pop-before-smtp",
        mend_it: "postconf -X default_database_type; systemctl reload pop-before-smtp",
        mend: "nothing need be",
        map: Map::Right,
        shows: Nowhere,
        login: Counts,
        form: Long,
    },
    Fault {
        what: "the map's index is a directory",
        promise: "Postfix defers all mail: nobody relays",
        break_it: "rm $S/$INDEX; mkdir $S/$INDEX",
        mend_it: "rmdir $S/$INDEX; postfix reload",
        mend: "remove it, and `postfix reload`",
        map: Map::Right,
        shows: Status,
        login: Counts,
        form: Short,
    },
    Fault {
        what: "the map's index is a device",
        promise: MENDED,
        break_it: "rm $S/$INDEX; mknod $S/$INDEX c 1 3; sleep 1",
        mend_it: "postfix reload",
        mend: "the service does; `postfix reload`",
        map: Map::Right,
        shows: Journal,
        login: Counts,
        form: Long,
    },
    Fault {
        what: "the map's index is a symbolic link to another's",
        promise: MENDED,
        break_it: "mkdir /root/other; echo \"$STRANGER OK\" >/root/other/clients
                   postmap $TYPE:/root/other/clients
                   ln -s /root/other/$INDEX $S/linked; mv $S/linked $S/$INDEX; sleep 1",
        mend_it: "rm -r /root/other",
        mend: "the service does",
        map: Map::Right,
        shows: Journal,
        login: Counts,
        form: Long,
    },
    Fault {
        what: "the map's lock is a directory",
        promise: OLD_MAP,
        // It is made anew at once.
        break_it: "until mkdir $S/clients.lock 2>/dev/null; do rm -f $S/clients.lock; done",
        mend_it: "rmdir $S/clients.lock",
        mend: "remove it; the service tries again",
        map: Map::Old,
        shows: Status,
        login: Counts,
        form: Long,
    },
    Fault {
        what: "the store's file db is removed, and the service restarted",
        promise: REBUILT,
        break_it: "systemctl stop pop-before-smtp; rm $S/store/db; systemctl start pop-before-smtp",
        mend_it: "true",
        mend: "the service does",
        map: Map::Right,
        shows: Journal,
        login: Counts,
        form: Long,
    },
    Fault {
        what: "the store's file conf is removed, and the service restarted",
        promise: REBUILT,
        break_it: "systemctl stop pop-before-smtp; rm $S/store/conf; systemctl start pop-before-smtp",
        mend_it: "true",
        mend: "the service does",
        map: Map::Right,
        shows: Nowhere,
        login: Counts,
        form: Long,
    },
    Fault {
        what: "the store is a regular file, and the service restarted",
        promise: "the service does not start, and says why; nobody is in the map",
        break_it: "systemctl stop pop-before-smtp; mv $S/store /root/store; touch $S/store
                   systemctl start pop-before-smtp || true",
        mend_it: "rm -rf $S/store; mv /root/store $S/store; systemctl restart pop-before-smtp",
        mend: "remove it",
        map: Map::Right,
        shows: Status,
        login: Counts,
        form: Long,
    },
    Fault {
        what: "the list by hand is a directory, and the service restarted",
        promise: "nobody is allowed by hand, and it is said",
        break_it: "rm -f $S/manual.json; mkdir $S/manual.json; systemctl restart pop-before-smtp",
        mend_it: "rmdir $S/manual.json; systemctl restart pop-before-smtp",
        mend: "remove it, and restart the service",
        map: Map::Right,
        shows: Status,
        login: Counts,
        form: Short,
    },
    Fault {
        what: "journald hangs, and its socket is full",
        promise: "the map and the policy socket stay right; logins count when it is back",
        break_it: "kill -STOP $(systemctl show --value --property=MainPID systemd-journald)
                   perl -MIO::Socket::UNIX -e '
                       for (1..4) {
                           my $s = IO::Socket::UNIX->new(
                               Type => SOCK_DGRAM, Peer => q(/run/systemd/journal/socket));
                           $s->blocking(0);
                           1 while $s->send(q(MESSAGE=flood));
                       }'",
        mend_it: "kill -CONT $(systemctl show --value --property=MainPID systemd-journald)",
        mend: "its watchdog does, after three minutes; or `systemctl kill -s KILL systemd-journald`",
        map: Map::Right,
        shows: Status,
        login: Counts,
        form: Short,
    },
    Fault {
        what: "the journal may not be read any more",
        promise: "nobody is added; grace ends in time",
        break_it: "chmod 700 /var/log/journal /var/log/journal/*; chgrp root /var/log/journal /var/log/journal/*
                   setfacl --remove-all /var/log/journal /var/log/journal/* 2>/dev/null || true
                   journalctl --rotate",
        mend_it: "chgrp systemd-journal /var/log/journal /var/log/journal/*
                  chmod 2755 /var/log/journal /var/log/journal/*
                  chgrp systemd-journal /var/log/journal/*/*; chmod g+r /var/log/journal/*/*",
        mend: "what `doctor` prints",
        map: Map::Right,
        shows: Status,
        login: Counts,
        form: Short,
    },
    Fault {
        what: "the journal's current file is cut to a half",
        promise: "journald begins another one; what was cut off is gone",
        break_it: "truncate --size=$(($(stat --format=%s /var/log/journal/*/system.journal) / 2)) \
                       /var/log/journal/*/system.journal
                   systemctl restart systemd-journald; sleep 1",
        mend_it: "true",
        mend: "nothing need be",
        map: Map::Right,
        shows: Nowhere,
        login: Counts,
        form: Long,
    },
    Fault {
        what: "the journal is removed, and journald restarted",
        promise: "who is listed stays so for the grace",
        // What the service says of it before there is a new journal is lost with the old one.
        break_it: "kill -STOP $PID; rm -r /var/log/journal/*; \
                   systemctl restart systemd-journald; kill -CONT $PID; sleep 3",
        mend_it: "true",
        mend: "nothing need be",
        map: Map::Right,
        shows: Nowhere,
        login: Counts,
        form: Long,
    },
    Fault {
        what: "a second service is started by hand",
        promise: "it ends, and the first goes on",
        break_it: "systemd-run --quiet --unit=second --uid=pop-before-smtp \
                       --property=SupplementaryGroups=systemd-journal \
                       pop-before-smtp run --socket /tmp/second; sleep 1",
        mend_it: "systemctl stop second || true",
        mend: "nothing need be",
        map: Map::Right,
        shows: Nowhere,
        login: Counts,
        form: Long,
    },
    Fault {
        what: "the service is frozen (SIGSTOP)",
        promise: "the watchdog kills it after a minute; grace ends then",
        break_it: "kill -STOP $PID",
        mend_it: "true",
        mend: "systemd does, within 90 s",
        map: Map::Untold,
        shows: Status,
        login: Counts,
        form: Long,
    },
    Fault {
        what: "mmap(2) of the service fails: ENOMEM",
        promise: OLD_MAP,
        break_it: "inject mmap ENOMEM",
        mend_it: "spare",
        mend: "memory; the service tries again",
        map: Map::Old,
        shows: Status,
        login: Counts,
        form: Long,
    },
    Fault {
        what: "no memory is left (RLIMIT_AS)",
        promise: OLD_MAP,
        break_it: "prlimit --pid $PID --as=1:",
        mend_it: "prlimit --pid $PID --as=$(prlimit --pid $PID --as --noheadings --output HARD | tr -d ' '):",
        mend: "LimitAS= of the unit; the service tries again",
        map: Map::Old,
        shows: Status,
        login: Counts,
        form: Long,
    },
    Fault {
        what: "there is too little memory for the service to start",
        promise: "nobody is added; grace ends in time, by the timer",
        break_it: "mkdir -p /run/systemd/system/pop-before-smtp.service.d
                   printf '[Service]\\nLimitAS=8M\\n' >/run/systemd/system/pop-before-smtp.service.d/memory.conf
                   systemctl daemon-reload; systemctl restart pop-before-smtp || true",
        mend_it: "rm /run/systemd/system/pop-before-smtp.service.d/memory.conf
                  systemctl daemon-reload; systemctl restart pop-before-smtp",
        mend: "memory",
        map: Map::Right,
        shows: Status,
        login: Counts,
        form: Long,
    },
    Fault {
        what: "the volatile journal is full",
        promise: NOT_WRITTEN,
        break_it: "mkdir -p /run/systemd/journald.conf.d
                   printf '[Journal]\\nStorage=volatile\\n' >/run/systemd/journald.conf.d/volatile.conf
                   systemctl restart systemd-journald; sleep 1
                   echo $(($(df --output=size /run | tail -n 1))) >/root/size
                   mount -o remount,size=$(($(df --output=used /run | tail -n 1) + 100))k /run
                   # As long as it finds room, in old files too, it writes.
                   for n in $(seq 30); do
                       cat /dev/zero >>/run/filler 2>/dev/null || true
                       head --bytes=2M /dev/urandom | base64 --wrap=8000 | systemd-cat --identifier=fill
                       echo mark$n | systemd-cat --identifier=fill
                       sleep 0.3
                       journalctl --quiet --identifier=fill --grep=^mark$n$ --lines=1 || break
                   done
                   cat /dev/zero >>/run/filler 2>/dev/null || true",
        mend_it: "rm /run/filler /run/systemd/journald.conf.d/volatile.conf
                  mount -o remount,size=$(cat /root/size)k /run
                  systemctl restart systemd-journald",
        mend: "make room",
        map: Map::Right,
        shows: Status,
        login: Lost,
        form: Short,
    },
    Fault {
        what: "clients leave the sockets half-way: amid a question, one direction closed",
        promise: "the others are answered",
        break_it: "echo '
                       use IO::Socket::UNIX;
                       my @all;
                       for (1..20) {
                           my %half = (q(/run/pop-before-smtp/control) => q({\"method\":\"org.),
                               q(/var/spool/postfix/pop-before-smtp/policy) => qq(request=smtpd_access_policy\nclient_a));
                           while (my ($path, $text) = each %half) {
                               my $s = IO::Socket::UNIX->new(Peer => $path) or next;
                               $s->send($text);
                               shutdown($s, $_ % 2);
                               push @all, $s;
                           }
                       }
                       sleep 600' >/run/halves
                   systemd-run --quiet --unit=halves perl /run/halves
                   # The other half has gone.
                   open() { ss --unix --no-header | grep --count -e /control -e /policy; }
                   for n in $(seq 50); do [ $(open) -lt 10 ] || break; sleep 0.1; done
                   [ $(open) -ge 10 ]",
        mend_it: "systemctl stop halves",
        mend: "nothing need be",
        map: Map::Right,
        shows: Nowhere,
        login: Counts,
        form: Long,
    },
    Fault {
        what: "the clock is set forward by an hour",
        promise: "whose grace has passed by the clock is out at once",
        break_it: "date --set=+1hour",
        mend_it: "date --set=-1hour",
        mend: "the right time",
        map: Map::Right,
        shows: Nowhere,
        login: Counts,
        form: Long,
    },
    Fault {
        what: "the clock is set back by an hour",
        promise: "nobody has more than the grace from now on",
        break_it: "date --set=-1hour",
        mend_it: "date --set=+1hour",
        mend: "the right time",
        map: Map::Right,
        shows: Nowhere,
        login: Counts,
        form: Long,
    },
    Fault {
        what: "everything stands still for five seconds, as in a suspend",
        promise: "whose grace has passed meanwhile is out at once",
        break_it: "kill -STOP -1; sleep 5; kill -CONT -1",
        mend_it: "true",
        mend: "nothing need be",
        map: Map::Right,
        shows: Nowhere,
        login: Counts,
        form: Short,
    },
];

/// What other tests play.
pub const SHOWN_ELSEWHERE: &[(&str, &str, &str)] = &[
    (
        "postmap fails, is killed, lies, writes half an index, one of another type, or the one before",
        OLD_MAP,
        "access_map.rs: `a_postmap_that_fails_in_any_way_leaves_the_old_map_whole`; publication.rs: `postmap_does_not_work`",
    ),
    (
        "somebody else removes, replaces, or gives away the map's files",
        MENDED,
        "publication.rs: `what_others_do_to_the_map_is_mended`",
    ),
    (
        "the service is killed at any moment, or stopped, or its configuration is wrong",
        "grace ends in time, by the timer",
        "campaigns, crash; restarts.rs: `stopped`, `stopped_by_its_configuration`",
    ),
    (
        "the store is removed while the service is stopped",
        "as at an installation: the logins of the last grace count, and no older session",
        "restarts.rs: `restarted_amid_logins`",
    ),
    (
        "the power is cut",
        "the map and the list by hand are old or new; the store is whole, or made anew",
        "campaigns, power",
    ),
    (
        "files of the store or of the journal are damaged at random",
        "nobody is listed who was not; what can be read is",
        "campaigns, damage",
    ),
    (
        "the journal is rotated and vacuumed amid logins, and journald restarted",
        "no login is lost",
        "journal.rs: `no_login_is_lost`",
    ),
    (
        "files of the journal can't be read",
        "the others are; what was missed is read later",
        "unreadable.rs; doctor.rs: `the_journal_is_looked_at`",
    ),
    (
        "a store's clock is off by ten minutes, either way",
        "no login from the future counts, and grace is never longer",
        "clocks.rs: `a_clock_that_is_off_by_ten_minutes`",
    ),
    (
        "Postfix is not there, or comes later",
        "the policy socket answers; the map is made when there is a Postfix",
        "without_postfix.rs",
    ),
];
