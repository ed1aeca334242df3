# Cyrus with the system's users and passwords, and with TLS. A login a minute would be too few.
sed -i -e '/^popminpoll:/d' \
    -e 's/^sasl_pwcheck_method:.*/sasl_pwcheck_method: saslauthd/' /etc/imapd.conf
cat >>/etc/imapd.conf <<END
sasl_mech_list: PLAIN LOGIN
tls_server_cert: /etc/ssl/mail.pem
tls_server_key: /etc/ssl/private/cyrus.key
END
install -o cyrus -m 400 /etc/ssl/private/mail.key /etc/ssl/private/cyrus.key
sed -i -E -e 's/^(\s*)#(imaps|pop3s)(\s+cmd="(imapd|pop3d) -s)/\1\2\3/' \
    -e '/^\s*(nntp|http)\s/d' /etc/cyrus.conf
chmod 711 /etc/ssl/private
adduser --quiet cyrus sasl
# Only the script of bookworm reads that.
echo START=yes >>/etc/default/saslauthd
systemctl enable saslauthd
