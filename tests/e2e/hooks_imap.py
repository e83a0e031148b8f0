# A mail program: hooks_imap.py ADDRESS append FOLDER:SUBJECT:FLAGS.. | view | login
import imaplib
import sys

try:
    m = imaplib.IMAP4(sys.argv[1], 143, timeout=60)
    m.login("alice", "secret")
except (imaplib.IMAP4.error, OSError) as e:
    sys.exit("refused: %s" % e)
what = sys.argv[2]
if what == "login":
    print("open")
elif what == "append":
    for arg in sys.argv[3:]:
        folder, subject, flags = arg.split(":")
        m.create(folder)
        ok, said = m.append(folder, "(%s)" % flags, '"17-Jul-2026 02:44:25 +0000"', b"Subject: " + subject.encode() + b"\r\n\r\nbody\r\n")
        assert ok == "OK", said
    m.select("INBOX")
    m.expunge()  # so that UIDs have a gap, which a mailbox built anew has not
else:
    folders = sorted(f.decode().split()[-1] for f in m.list()[1])
    for folder in folders:
        m.select(folder, readonly=True)
        print(folder, m.status(folder, "(UIDVALIDITY UIDNEXT)")[1][0].decode())
        for line in m.uid("FETCH", "1:*", "(UID FLAGS INTERNALDATE BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1] or []:
            if isinstance(line, tuple):
                print(" ", line[0].decode().split("BODY")[0].replace("\\Recent", "").replace("( ", "(").replace(" )", ")"), line[1].decode().strip())
m.logout()
