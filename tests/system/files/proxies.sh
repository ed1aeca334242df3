# Dovecot for the proxies only.
cat >/etc/dovecot/local.conf <<END
listen = 127.0.0.1
ssl = no
service pop3-login {
  inet_listener pop3 {
    port = 2110
  }
  inet_listener pop3s {
    port = 0
  }
}
service imap-login {
  inet_listener imap {
    port = 2143
  }
  inet_listener imaps {
    port = 0
  }
}
END

# perdition on the usual ports, without TLS: what Debian packages cannot do it in the background
# ("Fatal error establishing SSL connection").
cat >>/etc/perdition/perdition.conf <<END
no_lookup
outgoing_server 127.0.0.1
END
sed -i -e 's/^POP3S=.*/POP3S=no/' -e 's/^IMAP4S=.*/IMAP4S=no/' \
    -e 's/^MANAGESIEVE=.*/MANAGESIEVE=no/' \
    -e 's/^POP3_FLAGS=.*/POP3_FLAGS="--outgoing_port 2110"/' \
    -e 's/^IMAP4_FLAGS=.*/IMAP4_FLAGS="--outgoing_port 2143"/' /etc/default/perdition

# nginx on 1110 and 1143, which asks itself where the servers are.
cat >/etc/nginx/modules-enabled/90-proxy.conf <<'END'
mail {
    error_log syslog:server=unix:/dev/log,nohostname,tag=nginx info;
    auth_http 127.0.0.1:9000/where;
    server {
        listen 1110;
        listen [::]:1110;
        protocol pop3;
    }
    server {
        listen 1143;
        listen [::]:1143;
        protocol imap;
    }
}
END
cat >/etc/nginx/conf.d/where.conf <<'END'
map $http_auth_protocol $mail_port {
    pop3 2110;
    imap 2143;
}
server {
    listen 127.0.0.1:9000;
    location /where {
        add_header Auth-Status OK;
        add_header Auth-Server 127.0.0.1;
        add_header Auth-Port $mail_port;
        return 204;
    }
}
END

# mailutils' daemons tell of no client. Started for each connection, by inetd and tcpd on 3110, by
# systemd on 3143, they need not.
systemctl disable mailutils-pop3d.service mailutils-imap4d.service
cat >>/etc/inetd.conf <<END
3110 stream tcp nowait root /usr/sbin/tcpd /usr/sbin/pop3d --inetd
3110 stream tcp6 nowait root /usr/sbin/tcpd /usr/sbin/pop3d --inetd
END
cat >/etc/systemd/system/imap4d.socket <<END
[Socket]
ListenStream=3143
Accept=yes
[Install]
WantedBy=sockets.target
END
cat >/etc/systemd/system/imap4d@.service <<END
[Service]
ExecStart=-/usr/sbin/imap4d --inetd
StandardInput=socket
END
systemctl enable imap4d.socket
