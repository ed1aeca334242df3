# What is left of Postfix goes as well, and its packages are fetched.
dpkg --purge postfix postfix-lmdb postfix-cdb
! getent passwd postfix || deluser postfix
! getent group postfix || delgroup postfix
mkdir /opt/postfix
cd /opt/postfix
apt-get download --quiet postfix postfix-lmdb
