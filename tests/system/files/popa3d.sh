# popa3d as packaged, which knows IPv4 only; and one that systemd starts for each connection to port
# 1110.
cat >/etc/systemd/system/popa3d-each.socket <<END
[Socket]
ListenStream=1110
Accept=yes
[Install]
WantedBy=sockets.target
END
cat >/etc/systemd/system/popa3d-each@.service <<END
[Service]
ExecStart=-/usr/sbin/popa3d
StandardInput=socket
END
systemctl enable popa3d-each.socket
