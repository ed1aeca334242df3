//! What else is in a mail host's journal: entries that are no business of the service's.

use std::fmt::Write as _;

use super::{client, scatter};

/// One kind of entry: the fields that are the same in all of them, and what makes the message.
struct Kind {
    fields: &'static str,
    message: fn(u64, &mut String) -> std::fmt::Result,
}

const KINDS: [Kind; 5] = [
    Kind {
        fields: "PRIORITY=6\n_UID=106\n_GID=113\n_SYSTEMD_SLICE=system-postfix.slice\n\
            _TRANSPORT=syslog\nSYSLOG_FACILITY=2\nSYSLOG_IDENTIFIER=postfix/smtpd\n\
            _SYSTEMD_CGROUP=/system.slice/system-postfix.slice/postfix@-.service\n\
            _SYSTEMD_UNIT=postfix@-.service\n\
            _SYSTEMD_INVOCATION_ID=0f6b1d8e4b6c4f0f9b5f3c1d7a2e8c11\n_COMM=smtpd\n\
            _EXE=/usr/lib/postfix/sbin/smtpd\n_CMDLINE=smtpd -n smtp -t inet -u -c\n\
            _CAP_EFFECTIVE=0\n",
        message: |n, to| {
            let address = client((n % 40_000) as u32);
            write!(to, "SYSLOG_PID={0}\n_PID={0}\n", 2000 + n % 400)?;
            match n % 3 {
                0 => write!(to, "MESSAGE=connect from unknown[{address}]"),
                1 => write!(
                    to,
                    "MESSAGE=4c{:X}: client=unknown[{address}]",
                    scatter(n) >> 24
                ),
                _ => write!(
                    to,
                    "MESSAGE=disconnect from unknown[{address}] ehlo=1 mail=1 rcpt=1 data=1 quit=1 \
                     commands=5"
                ),
            }
        },
    },
    Kind {
        fields: "PRIORITY=6\n_UID=106\n_GID=113\n_SYSTEMD_SLICE=system-postfix.slice\n\
            _TRANSPORT=syslog\nSYSLOG_FACILITY=2\nSYSLOG_IDENTIFIER=postfix/qmgr\n\
            _SYSTEMD_CGROUP=/system.slice/system-postfix.slice/postfix@-.service\n\
            _SYSTEMD_UNIT=postfix@-.service\n\
            _SYSTEMD_INVOCATION_ID=0f6b1d8e4b6c4f0f9b5f3c1d7a2e8c11\nSYSLOG_PID=1201\n_PID=1201\n\
            _COMM=qmgr\n_EXE=/usr/lib/postfix/sbin/qmgr\n_CMDLINE=qmgr -l -t unix -u\n\
            _CAP_EFFECTIVE=0\n",
        message: |n, to| {
            write!(
                to,
                "MESSAGE=4c{:X}: from=<user{}@example.org>, size={}, nrcpt=1 (queue active)",
                scatter(n) >> 24,
                n % 9000,
                n % 90_000
            )
        },
    },
    Kind {
        fields: "PRIORITY=6\n_UID=0\n_GID=0\n_SYSTEMD_SLICE=system.slice\n_TRANSPORT=syslog\n\
            SYSLOG_FACILITY=4\nSYSLOG_IDENTIFIER=sshd\n_SYSTEMD_CGROUP=/system.slice/ssh.service\n\
            _SYSTEMD_UNIT=ssh.service\n_SYSTEMD_INVOCATION_ID=5d1f9a7c2be6470fa2d0c6b4e8f31977\n\
            _COMM=sshd\n_EXE=/usr/sbin/sshd\n_CMDLINE=\"sshd: [accepted]\"\n\
            _CAP_EFFECTIVE=1ffffffffff\n",
        message: |n, to| {
            write!(
                to,
                "SYSLOG_PID={0}\n_PID={0}\nMESSAGE=Failed password for invalid user admin{1} from \
                 203.0.113.{2} port {3} ssh2",
                3000 + n % 20_000,
                n % 700,
                n % 250,
                1024 + n % 60_000
            )
        },
    },
    Kind {
        fields: "PRIORITY=6\n_UID=0\n_GID=0\n_SYSTEMD_SLICE=system.slice\n_TRANSPORT=syslog\n\
            SYSLOG_FACILITY=9\nSYSLOG_IDENTIFIER=CRON\n_SYSTEMD_CGROUP=/system.slice/cron.service\n\
            _SYSTEMD_UNIT=cron.service\n_SYSTEMD_INVOCATION_ID=c2a90d4e6f1b4d3c8a57e0b9d1f4a633\n\
            _COMM=cron\n_EXE=/usr/sbin/cron\n_CMDLINE=/usr/sbin/CRON -f\n\
            _CAP_EFFECTIVE=1ffffffffff\n",
        message: |n, to| {
            write!(
                to,
                "SYSLOG_PID={0}\n_PID={0}\nMESSAGE=(root) CMD (/usr/local/sbin/check-queue {1})",
                3000 + n % 20_000,
                n % 60
            )
        },
    },
    Kind {
        fields: "PRIORITY=4\n_TRANSPORT=kernel\nSYSLOG_FACILITY=0\nSYSLOG_IDENTIFIER=kernel\n",
        message: |n, to| {
            write!(
                to,
                "_SOURCE_MONOTONIC_TIMESTAMP={n}\nMESSAGE=nft drop: IN=eth0 OUT= \
                 SRC=203.0.113.{} DST=192.0.2.1 LEN=40 TTL=243 ID={} PROTO=TCP SPT={} DPT={} SYN",
                n % 250,
                n % 65_000,
                1024 + scatter(n) % 60_000,
                scatter(n) % 1024
            )
        },
    },
];

/// Writes the fields of entry number `n`, without the last newline.
pub fn entry(n: u64, to: &mut String) {
    let kind = &KINDS[(scatter(n) % KINDS.len() as u64) as usize];
    to.push_str(kind.fields);
    let written = (kind.message)(n, to);
    debug_assert!(written.is_ok(), "a String takes everything");
}
