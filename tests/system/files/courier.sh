# Courier as packaged.
