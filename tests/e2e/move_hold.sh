#!/usr/bin/env bash
# Waiting has an end: a page that says when, closed TLS connections, other protocols' own words, which their clients understand; a bound on how many
# wait; what does not finish is cut at the drain's end, and counted.
. "$(dirname "$0")/lib.sh"
net_up
web_up
proxy_conf <<'END'
hold-max-wait = 2
hold-max-connections = 20
drain = 2
listener "ftp"      { address = "192.0.2.11" port = 21   protocol = "tcp" local = "127.0.0.1:8080" }
listener "smtp"     { address = "192.0.2.11" port = 25   protocol = "tcp" local = "127.0.0.1:8080" }
listener "pop3"     { address = "192.0.2.11" port = 110  protocol = "tcp" local = "127.0.0.1:8080" }
listener "imap"     { address = "192.0.2.11" port = 143  protocol = "tcp" local = "127.0.0.1:8080" }
listener "sieve"    { address = "192.0.2.11" port = 4190 protocol = "tcp" local = "127.0.0.1:8080" }
listener "mysql"    { address = "192.0.2.11" port = 3306 protocol = "tcp" local = "127.0.0.1:8080" }
listener "postgres" { address = "192.0.2.11" port = 5432 protocol = "tcp" local = "127.0.0.1:8080" }
listener "other"    { address = "192.0.2.11" port = 2222 protocol = "tcp" local = "127.0.0.1:8080" }
END
proxy_start
accounts_up client
py move_hold.py

say "in their own words"
ask hold '{"name":"carol","eta":150}' >"$W/held"
in_ns v python3 "$E2E/move_hold_words.py" 192.0.2.11 >"$W/words" || die "$(cat "$W/words")"
say "$(cat "$W/words")"
later='This account is being moved to another server, please try again in [23] minutes'
heard() { like "what $1 says" "$(grep "^$1 " "$W/words")" "$2"; } # CLIENT TEXT-AS-REGEX
heard smtplib "SMTPConnectError .*421.*\\[192\.0\.2\.11\] Service not available, closing transmission channel\. $later"
heard imaplib "error .*\\* BYE \\[UNAVAILABLE\\] $later"
heard poplib "error_proto .*-ERR \\[SYS/TEMP\\] $later"
heard ftplib "error_temp .*421 Service not available, closing control connection\. $later"
heard sieve "BYE \\(TRYLATER\\) \"$later\""
heard mariadb "ERROR .*1053.*$later"
heard psql "FATAL: +$later"
heard other "nothing"
ask release '{"name":"carol","spread-ms":0}' >"$W/released"
same "who was turned away is counted" "$(field "$(cat "$W/released")" evidence.refused)" "$(wc -l <"$W/words")"
alive proxy || die "shunt-proxy has ended"
