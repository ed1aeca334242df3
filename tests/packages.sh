# For tests/run and benches/run: installs what they need.

# Installs the Debian packages among these that are missing.
install_packages() {
    local package missing=()
    for package; do
        dpkg-query --show --showformat='${db:Status-Status}\n' "$package" 2>/dev/null |
            grep -qx installed || missing+=("$package")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    # Postfix's programs are wanted, not another mail server on the machine.
    if [[ " ${missing[*]} " == *" postfix "* ]]; then
        debconf-set-selections <<<'postfix postfix/main_mailer_type select Local only'
    fi
    apt-get update --quiet
    apt-get install --yes --quiet --no-install-recommends "${missing[@]}"
}
