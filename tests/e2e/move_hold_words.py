"""What real clients make of the farewell of an account that is held: move_hold_words.py ADDRESS. A line for each: its name, and what it says."""
import concurrent.futures
import ftplib
import imaplib
import poplib
import smtplib
import socket
import subprocess
import sys

ADDRESS = sys.argv[1]


def raised(call):
    try:
        call(ADDRESS, timeout=40)
        return "was let in"
    except Exception as e:
        return "%s %s" % (type(e).__name__, e)


def said(port):
    with socket.create_connection((ADDRESS, port), 40) as s:
        return s.makefile("rb").read().decode().strip() or "nothing"


def ran(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return "%d %s" % (done.returncode, " ".join(done.stderr.split()))


CLIENTS = {
    "smtplib": lambda: raised(lambda a, timeout: smtplib.SMTP(a, 25, "visitor.example", timeout)),
    "imaplib": lambda: raised(lambda a, timeout: imaplib.IMAP4(a, timeout=timeout)),
    "poplib": lambda: raised(lambda a, timeout: poplib.POP3(a, timeout=timeout)),
    "ftplib": lambda: raised(lambda a, timeout: ftplib.FTP(a, timeout=timeout)),
    "sieve": lambda: said(4190),
    "other": lambda: said(2222),
    "mariadb": lambda: ran("mariadb", "--no-defaults", "-h", ADDRESS, "-u", "carol", "--connect-timeout=40", "-e", "SELECT 1"),
    "psql": lambda: ran("psql", "-X", "host=%s user=carol dbname=carol connect_timeout=40" % ADDRESS, "-c", "SELECT 1"),
}
with concurrent.futures.ThreadPoolExecutor(len(CLIENTS)) as pool:
    for name, words in zip(CLIENTS, pool.map(lambda call: call(), CLIENTS.values())):
        print(name, words)
