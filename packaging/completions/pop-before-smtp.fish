# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_pop_before_smtp_global_optspecs
    string join \n config= h/help V/version
end

function __fish_pop_before_smtp_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_pop_before_smtp_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_pop_before_smtp_using_subcommand
    set -l cmd (__fish_pop_before_smtp_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c pop-before-smtp -n "__fish_pop_before_smtp_needs_command" -l config -d 'Read this configuration file, and no other, instead of /etc/pop-before-smtp/config.toml and config.d/*.toml' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_needs_command" -s h -l help -d 'Print help'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_needs_command" -s V -l version -d 'Print version'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_needs_command" -f -a "run" -d 'Run the service in the foreground: what systemd does'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_needs_command" -f -a "list" -d 'Show the clients that may relay now'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_needs_command" -f -a "status" -d 'Show how the service is doing, and what is wrong'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_needs_command" -f -a "check" -d 'Show whether a client may relay, and why'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_needs_command" -f -a "allow" -d 'Let a client relay for a while without a login'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_needs_command" -f -a "revoke" -d 'Stop clients from relaying, at once'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_needs_command" -f -a "history" -d 'Show what the journal tells of a client or a user'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_needs_command" -f -a "monitor" -d 'Show what happens, as it happens, until interrupted or until the service ends'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_needs_command" -f -a "metrics" -d 'Show the service\'s numbers as OpenMetrics text, for a monitoring system'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_needs_command" -f -a "log-level" -d 'Set how much the running service writes to the journal, until it is reloaded or restarted'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_needs_command" -f -a "doctor" -d 'Look at the whole installation, and say what is wrong and how to fix it'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_needs_command" -f -a "bug-report" -d 'Print what a bug report needs, without anybody\'s name or address'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_needs_command" -f -a "check-config" -d 'Check the configuration and the definitions of servers'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_needs_command" -f -a "show-config" -d 'Show the effective configuration, and where each value came from'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_needs_command" -f -a "servers" -d 'Show the servers that are known, which of them are on, and which have written lately'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_needs_command" -f -a "test" -d 'Show what would be recognised in a journal, without touching anything'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_needs_command" -f -a "convert-pattern" -d 'Turn a pattern of the Perl daemon into a definition for servers.d'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_needs_command" -f -a "migrate" -d 'Show what to write and change to replace the Perl daemon'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_needs_command" -f -a "store" -d 'Let logins at other hosts, mail stores, count here'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_needs_command" -f -a "expire" -d 'Remove expired clients from the access map while the service is stopped'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand run" -l socket -d 'Where to create a control socket if systemd passes none' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand run" -l policy-socket -d 'Where to create a policy socket if systemd passes none; by default, nowhere' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand run" -l config -d 'Read this configuration file, and no other, instead of /etc/pop-before-smtp/config.toml and config.d/*.toml' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand run" -l once -d 'Read the journal up to now, publish the access map, and exit'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand run" -s h -l help -d 'Print help'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand list" -l client -d 'Only this client' -r
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand list" -l network -d 'Only clients in this network: 192.0.2.0/24, 2001:db8::/32' -r
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand list" -l user -d 'Only clients that this user logged in from last' -r
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand list" -l server -d 'Only clients whose last login was to this server, or \'manual\': those listed by hand' -r
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand list" -l source -d 'Only clients of whose last login this source tells, where there are several: a store\'s name, or \'journal\'' -r
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand list" -l sort -d 'What to sort by: address; user\'s name; last login, the latest first; the end of their time, the nearest first. Sorted by client, they are shown as they come, however many there are' -r -f -a "client\t''
user\t''
last\t''
until\t''"
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand list" -l socket -d 'The service\'s control socket' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand list" -l config -d 'Read this configuration file, and no other, instead of /etc/pop-before-smtp/config.toml and config.d/*.toml' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand list" -l json -d 'Print JSON, for programs'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand list" -s h -l help -d 'Print help'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand status" -l socket -d 'The service\'s control socket' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand status" -l config -d 'Read this configuration file, and no other, instead of /etc/pop-before-smtp/config.toml and config.d/*.toml' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand status" -l json -d 'Print JSON, for programs'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand status" -s h -l help -d 'Print help'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand check" -l socket -d 'The service\'s control socket' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand check" -l config -d 'Read this configuration file, and no other, instead of /etc/pop-before-smtp/config.toml and config.d/*.toml' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand check" -l json -d 'Print JSON, for programs'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand check" -s h -l help -d 'Print help'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand allow" -l for -d 'For this long from now, instead of one grace: \'30min\', \'2h\', \'3d\'; at most 7 days' -r
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand allow" -l until -d 'Until this time: \'2026-11-24 18:00\', \'18:00\', RFC 3339; at most 7 days from now' -r
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand allow" -l note -d 'The reason: kept with the listing, and written to the journal' -r
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand allow" -l socket -d 'The service\'s control socket' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand allow" -l config -d 'Read this configuration file, and no other, instead of /etc/pop-before-smtp/config.toml and config.d/*.toml' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand allow" -l json -d 'Print JSON, for programs'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand allow" -s h -l help -d 'Print help'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand revoke" -l user -d 'The clients whose last login was this user\'s, by the name that the server logs' -r
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand revoke" -l server -d 'The clients whose last login was to this server; \'manual\': those allowed by hand' -r
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand revoke" -l socket -d 'The service\'s control socket' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand revoke" -l config -d 'Read this configuration file, and no other, instead of /etc/pop-before-smtp/config.toml and config.d/*.toml' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand revoke" -l all -d 'All clients'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand revoke" -l json -d 'Print JSON, for programs'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand revoke" -s h -l help -d 'Print help'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand history" -l user -d 'A user instead of a client, by the name that the server logs' -r
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand history" -l since -d 'Begin here, instead of a day ago: \'2026-11-24 10:30\', \'10:30\', \'today\', \'1h\' (ago), RFC 3339' -r
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand history" -l until -d 'End here' -r
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand history" -l lines -d 'Show this many lines, the last ones' -r
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand history" -l config -d 'Read this configuration file, and no other, instead of /etc/pop-before-smtp/config.toml and config.d/*.toml' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand history" -l json -d 'Print one object per line, for programs'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand history" -s h -l help -d 'Print help'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand monitor" -l socket -d 'The service\'s control socket' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand monitor" -l config -d 'Read this configuration file, and no other, instead of /etc/pop-before-smtp/config.toml and config.d/*.toml' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand monitor" -l json -d 'Print JSON, for programs'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand monitor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand metrics" -l output -d 'Write to this file, which is replaced as a whole, instead of standard output' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand metrics" -l socket -d 'The service\'s control socket' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand metrics" -l config -d 'Read this configuration file, and no other, instead of /etc/pop-before-smtp/config.toml and config.d/*.toml' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand metrics" -l no-start -d 'Do not start a stopped service: by default, as every question, this one does'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand metrics" -s h -l help -d 'Print help'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand log-level" -l socket -d 'The service\'s control socket' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand log-level" -l config -d 'Read this configuration file, and no other, instead of /etc/pop-before-smtp/config.toml and config.d/*.toml' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand log-level" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand doctor" -l socket -d 'The service\'s control socket' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand doctor" -l config -d 'Read this configuration file, and no other, instead of /etc/pop-before-smtp/config.toml and config.d/*.toml' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand doctor" -l json -d 'Print an array of objects, for programs'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand doctor" -s q -l quiet -d 'Show only what is wrong or unknown'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand bug-report" -l lines -d 'How many of the last messages' -r
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand bug-report" -l socket -d 'The service\'s control socket' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand bug-report" -l config -d 'Read this configuration file, and no other, instead of /etc/pop-before-smtp/config.toml and config.d/*.toml' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand bug-report" -s h -l help -d 'Print help'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand check-config" -l config -d 'Read this configuration file, and no other, instead of /etc/pop-before-smtp/config.toml and config.d/*.toml' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand check-config" -s q -l quiet -d 'Print nothing if all is right'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand check-config" -s h -l help -d 'Print help'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand show-config" -l config -d 'Read this configuration file, and no other, instead of /etc/pop-before-smtp/config.toml and config.d/*.toml' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand show-config" -l json -d 'Print JSON, for programs'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand show-config" -s h -l help -d 'Print help'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand servers" -l show -d 'Print the definition of this server in full, ready for servers.d' -r
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand servers" -l since -d 'Look for entries since this time: \'2026-11-24 10:30\', \'10:30\', \'today\', \'1h\' (ago), RFC 3339; by default, for those of the last 24 hours' -r
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand servers" -l config -d 'Read this configuration file, and no other, instead of /etc/pop-before-smtp/config.toml and config.d/*.toml' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand servers" -l json -d 'Print an array of objects, for programs'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand servers" -s h -l help -d 'Print help'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand test" -l since -d 'Begin here: \'2026-11-24 10:30\', \'10:30\', \'today\', \'1h\' (ago), RFC 3339' -r
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand test" -l until -d 'End here' -r
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand test" -l directory -d 'Read the journal files of this directory' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand test" -l file -d 'Read these journal files' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand test" -l namespace -d 'Read this journal namespace of this host' -r
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand test" -l server -d 'Try these servers, instead of those that are on' -r
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand test" -l identifier -d 'The identifier of all lines (SYSLOG_IDENTIFIER in the journal). Use it to try a log file that is passed on to the journal, with \'tail --follow FILE | systemd-cat --identifier NAME\' or from a container: a syslog header is then part of the message' -r
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand test" -l config -d 'Read this configuration file, and no other, instead of /etc/pop-before-smtp/config.toml and config.d/*.toml' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand test" -l any-sender -d 'Trust every sender: for journals of other hosts, whose users and units have other names'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand test" -l json -d 'Print one object per line, for programs'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand test" -l missed -d 'Show only what may be a login and does not count: entries that hold an address but match nothing, entries that are refused, and logins under identifiers that are not known as the server\'s, with the configuration that makes the service read them'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand test" -l explain -d 'Show every entry, and say which pattern matched it (file and line), or how far each pattern got and why it stopped'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand test" -l stdin -d 'Read lines from standard input instead of a journal. With --identifier, each line is a whole message as in the journal. Without it, each is a line of a log file by the syslog daemon of the server\'s host, such as \'Nov 24 10:34:11 mail dovecot[31]: MESSAGE\' (RFC 3339 time stamps and RFC 5424, too), with an identifier and a pid of its own; lines without a pid count as one process\'s. Lines are treated as the service would treat them in the journal of that host, but a line has no sender, so none is checked'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand test" -s h -l help -d 'Print help'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand convert-pattern" -l out-pattern -d 'The old $out_pat' -r
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand convert-pattern" -l pid-pattern -d 'The old $PID_pat, for servers that log the address and the login on two lines' -r
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand convert-pattern" -l ip-pattern -d 'The old $IP_pat; it may begin with $PID_pat . \'…\'' -r
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand convert-pattern" -l ok-pattern -d 'The old $OK_pat, likewise' -r
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand convert-pattern" -l fail-pattern -d 'The old $FAIL_pat, likewise; without it, any other line of the process is a failure' -r
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand convert-pattern" -l name -d 'The server\'s name; by default, its first identifier' -r
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand convert-pattern" -l identifier -d 'The identifiers that the server writes under; by default, those that the pattern names' -r
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand convert-pattern" -l unit -d 'The units that write the server\'s entries' -r
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand convert-pattern" -l config -d 'Read this configuration file, and no other, instead of /etc/pop-before-smtp/config.toml and config.d/*.toml' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand convert-pattern" -s h -l help -d 'Print help'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand migrate" -l old-config -d 'The old configuration; by default, the first that exists of /etc/pop-before-smtp-conf.pl, /etc/pop-before-smtp/pop-before-smtp.conf and the copy that the package has kept of it' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand migrate" -l old-map -d 'The old map: the file, or TYPE:PATH as in main.cf; by default, what the old configuration names, /etc/postfix/pop-before-smtp.db or Debian\'s /var/lib/pop-before-smtp/hosts.db' -r
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand migrate" -l config -d 'Read this configuration file, and no other, instead of /etc/pop-before-smtp/config.toml and config.d/*.toml' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand migrate" -s h -l help -d 'Print help'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand store; and not __fish_seen_subcommand_from add list show remove carry help" -l config -d 'Read this configuration file, and no other, instead of /etc/pop-before-smtp/config.toml and config.d/*.toml' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand store; and not __fish_seen_subcommand_from add list show remove carry help" -s h -l help -d 'Print help'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand store; and not __fish_seen_subcommand_from add list show remove carry help" -f -a "add" -d 'Make what this host needs to have a store\'s journal, and say what is to be done at the store'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand store; and not __fish_seen_subcommand_from add list show remove carry help" -f -a "list" -d 'Show the stores, and which are connected'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand store; and not __fish_seen_subcommand_from add list show remove carry help" -f -a "show" -d 'Say again what is to be done at a store'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand store; and not __fish_seen_subcommand_from add list show remove carry help" -f -a "remove" -d 'Take a store away: its logins no longer count here'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand store; and not __fish_seen_subcommand_from add list show remove carry help" -f -a "carry" -d 'Carry a store\'s journal here: what systemd does'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand store; and not __fish_seen_subcommand_from add list show remove carry help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand store; and __fish_seen_subcommand_from add" -l host -d 'Its host name or address; by default, its name' -r
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand store; and __fish_seen_subcommand_from add" -l port -d 'The port of its ssh server' -r
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand store; and __fish_seen_subcommand_from add" -l user -d 'The user there that reads the journal' -r
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand store; and __fish_seen_subcommand_from add" -l fingerprint -d 'The fingerprint of its host key, instead of asking whether the one that it shows is right' -r
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand store; and __fish_seen_subcommand_from add" -l config -d 'Read this configuration file, and no other, instead of /etc/pop-before-smtp/config.toml and config.d/*.toml' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand store; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand store; and __fish_seen_subcommand_from list" -l config -d 'Read this configuration file, and no other, instead of /etc/pop-before-smtp/config.toml and config.d/*.toml' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand store; and __fish_seen_subcommand_from list" -l json -d 'Print one object per line, for programs'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand store; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand store; and __fish_seen_subcommand_from show" -l config -d 'Read this configuration file, and no other, instead of /etc/pop-before-smtp/config.toml and config.d/*.toml' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand store; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand store; and __fish_seen_subcommand_from remove" -l config -d 'Read this configuration file, and no other, instead of /etc/pop-before-smtp/config.toml and config.d/*.toml' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand store; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand store; and __fish_seen_subcommand_from carry" -l config -d 'Read this configuration file, and no other, instead of /etc/pop-before-smtp/config.toml and config.d/*.toml' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand store; and __fish_seen_subcommand_from carry" -s h -l help -d 'Print help'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand store; and __fish_seen_subcommand_from help" -f -a "add" -d 'Make what this host needs to have a store\'s journal, and say what is to be done at the store'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand store; and __fish_seen_subcommand_from help" -f -a "list" -d 'Show the stores, and which are connected'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand store; and __fish_seen_subcommand_from help" -f -a "show" -d 'Say again what is to be done at a store'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand store; and __fish_seen_subcommand_from help" -f -a "remove" -d 'Take a store away: its logins no longer count here'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand store; and __fish_seen_subcommand_from help" -f -a "carry" -d 'Carry a store\'s journal here: what systemd does'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand store; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand expire" -l config -d 'Read this configuration file, and no other, instead of /etc/pop-before-smtp/config.toml and config.d/*.toml' -r -F
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand expire" -l now -d 'Remove the clients that have expired by now, and exit. Without it, wait for each client\'s time, and exit when no client is left or the service is back'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand expire" -s h -l help -d 'Print help'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand help; and not __fish_seen_subcommand_from run list status check allow revoke history monitor metrics log-level doctor bug-report check-config show-config servers test convert-pattern migrate store expire help" -f -a "run" -d 'Run the service in the foreground: what systemd does'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand help; and not __fish_seen_subcommand_from run list status check allow revoke history monitor metrics log-level doctor bug-report check-config show-config servers test convert-pattern migrate store expire help" -f -a "list" -d 'Show the clients that may relay now'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand help; and not __fish_seen_subcommand_from run list status check allow revoke history monitor metrics log-level doctor bug-report check-config show-config servers test convert-pattern migrate store expire help" -f -a "status" -d 'Show how the service is doing, and what is wrong'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand help; and not __fish_seen_subcommand_from run list status check allow revoke history monitor metrics log-level doctor bug-report check-config show-config servers test convert-pattern migrate store expire help" -f -a "check" -d 'Show whether a client may relay, and why'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand help; and not __fish_seen_subcommand_from run list status check allow revoke history monitor metrics log-level doctor bug-report check-config show-config servers test convert-pattern migrate store expire help" -f -a "allow" -d 'Let a client relay for a while without a login'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand help; and not __fish_seen_subcommand_from run list status check allow revoke history monitor metrics log-level doctor bug-report check-config show-config servers test convert-pattern migrate store expire help" -f -a "revoke" -d 'Stop clients from relaying, at once'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand help; and not __fish_seen_subcommand_from run list status check allow revoke history monitor metrics log-level doctor bug-report check-config show-config servers test convert-pattern migrate store expire help" -f -a "history" -d 'Show what the journal tells of a client or a user'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand help; and not __fish_seen_subcommand_from run list status check allow revoke history monitor metrics log-level doctor bug-report check-config show-config servers test convert-pattern migrate store expire help" -f -a "monitor" -d 'Show what happens, as it happens, until interrupted or until the service ends'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand help; and not __fish_seen_subcommand_from run list status check allow revoke history monitor metrics log-level doctor bug-report check-config show-config servers test convert-pattern migrate store expire help" -f -a "metrics" -d 'Show the service\'s numbers as OpenMetrics text, for a monitoring system'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand help; and not __fish_seen_subcommand_from run list status check allow revoke history monitor metrics log-level doctor bug-report check-config show-config servers test convert-pattern migrate store expire help" -f -a "log-level" -d 'Set how much the running service writes to the journal, until it is reloaded or restarted'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand help; and not __fish_seen_subcommand_from run list status check allow revoke history monitor metrics log-level doctor bug-report check-config show-config servers test convert-pattern migrate store expire help" -f -a "doctor" -d 'Look at the whole installation, and say what is wrong and how to fix it'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand help; and not __fish_seen_subcommand_from run list status check allow revoke history monitor metrics log-level doctor bug-report check-config show-config servers test convert-pattern migrate store expire help" -f -a "bug-report" -d 'Print what a bug report needs, without anybody\'s name or address'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand help; and not __fish_seen_subcommand_from run list status check allow revoke history monitor metrics log-level doctor bug-report check-config show-config servers test convert-pattern migrate store expire help" -f -a "check-config" -d 'Check the configuration and the definitions of servers'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand help; and not __fish_seen_subcommand_from run list status check allow revoke history monitor metrics log-level doctor bug-report check-config show-config servers test convert-pattern migrate store expire help" -f -a "show-config" -d 'Show the effective configuration, and where each value came from'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand help; and not __fish_seen_subcommand_from run list status check allow revoke history monitor metrics log-level doctor bug-report check-config show-config servers test convert-pattern migrate store expire help" -f -a "servers" -d 'Show the servers that are known, which of them are on, and which have written lately'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand help; and not __fish_seen_subcommand_from run list status check allow revoke history monitor metrics log-level doctor bug-report check-config show-config servers test convert-pattern migrate store expire help" -f -a "test" -d 'Show what would be recognised in a journal, without touching anything'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand help; and not __fish_seen_subcommand_from run list status check allow revoke history monitor metrics log-level doctor bug-report check-config show-config servers test convert-pattern migrate store expire help" -f -a "convert-pattern" -d 'Turn a pattern of the Perl daemon into a definition for servers.d'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand help; and not __fish_seen_subcommand_from run list status check allow revoke history monitor metrics log-level doctor bug-report check-config show-config servers test convert-pattern migrate store expire help" -f -a "migrate" -d 'Show what to write and change to replace the Perl daemon'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand help; and not __fish_seen_subcommand_from run list status check allow revoke history monitor metrics log-level doctor bug-report check-config show-config servers test convert-pattern migrate store expire help" -f -a "store" -d 'Let logins at other hosts, mail stores, count here'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand help; and not __fish_seen_subcommand_from run list status check allow revoke history monitor metrics log-level doctor bug-report check-config show-config servers test convert-pattern migrate store expire help" -f -a "expire" -d 'Remove expired clients from the access map while the service is stopped'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand help; and not __fish_seen_subcommand_from run list status check allow revoke history monitor metrics log-level doctor bug-report check-config show-config servers test convert-pattern migrate store expire help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand help; and __fish_seen_subcommand_from store" -f -a "add" -d 'Make what this host needs to have a store\'s journal, and say what is to be done at the store'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand help; and __fish_seen_subcommand_from store" -f -a "list" -d 'Show the stores, and which are connected'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand help; and __fish_seen_subcommand_from store" -f -a "show" -d 'Say again what is to be done at a store'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand help; and __fish_seen_subcommand_from store" -f -a "remove" -d 'Take a store away: its logins no longer count here'
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand help; and __fish_seen_subcommand_from store" -f -a "carry" -d 'Carry a store\'s journal here: what systemd does'

# What only the program knows, it is asked for. What it prints are plain words; they are never evaluated.
function __fish_pop_before_smtp_ask
    /usr/bin/pop-before-smtp complete $argv -- (string replace --regex -- '^--[^=]*=' '' (commandline -ct)) 2>/dev/null
end
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand list" -l client -x -a "(__fish_pop_before_smtp_ask clients)"
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand list" -l user -x -a "(__fish_pop_before_smtp_ask users)"
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand list" -l server -x -a "(__fish_pop_before_smtp_ask servers)"
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand list" -l source -x -a "(__fish_pop_before_smtp_ask sources)"
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand check" -f -a "(__fish_pop_before_smtp_ask clients)"
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand allow" -f -a "(__fish_pop_before_smtp_ask clients)"
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand revoke" -f -a "(__fish_pop_before_smtp_ask clients)"
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand revoke" -l user -x -a "(__fish_pop_before_smtp_ask users)"
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand revoke" -l server -x -a "(__fish_pop_before_smtp_ask servers)"
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand history" -f -a "(__fish_pop_before_smtp_ask clients)"
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand history" -l user -x -a "(__fish_pop_before_smtp_ask users)"
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand servers" -l show -x -a "(__fish_pop_before_smtp_ask servers)"
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand test" -l server -x -a "(__fish_pop_before_smtp_ask servers)"
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand store; and __fish_seen_subcommand_from show" -f -a "(__fish_pop_before_smtp_ask stores)"
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand store; and __fish_seen_subcommand_from remove" -f -a "(__fish_pop_before_smtp_ask stores)"
complete -c pop-before-smtp -n "__fish_pop_before_smtp_using_subcommand store; and __fish_seen_subcommand_from carry" -f -a "(__fish_pop_before_smtp_ask stores)"
