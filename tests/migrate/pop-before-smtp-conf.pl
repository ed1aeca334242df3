# The Perl daemon's configuration, as an administrator may have left it. Written for the tests after
# the documented variables.
use strict;
use vars qw( $pat $out_pat $debug $grace $logto %file_tail @mynets $dbfile $dbvalue $tie_func );

system('touch /tmp/migrate-has-run-perl');
`touch /tmp/migrate-has-run-perl`;

$debug = 1;
$logto = '/var/log/pop-before-smtp';
$dbfile = '/etc/postfix/pop-before-smtp';
$dbvalue = 'relay';
#$grace = 30*60;
$grace = 45*60;   # the dentist's scanner is slow
$file_tail{'name'} = '/var/log/maillog';
if (!-f $file_tail{'name'}) {
    foreach (qw( /var/log/mail.log /var/log/messages )) {
        if (-f $_) { $file_tail{'name'} = $_; last; }
    }
    $grace = 60;
}
@mynets = ('192.168.3.0/26', "127.0.0.0/8", '192.0.2.77', 'office.example.org');
$tie_func = \&tie_elsewhere;

# The mail server of today ...
$pat = '^[LOGTIME] \S+ (?:dovecot: )?(?:imap|pop3)-login: ' .
    'Login: .*? (?:\[|rip=)[:f]*(\d+\.\d+\.\d+\.\d+)[],]';
# ... and that of yesterday:
#$pat = '^[LOGTIME] \S+ oldpop\[\d+\]: hello \S+ from (\d+\.\d+\.\d+\.\d+)';

=cut

$login[0] = $pat;
sub custom_match { ... }

=cut

1;
