# What hooks_move needs beside lib.sh: nginx, Dovecot, MariaDB and PostgreSQL on both sides, small and never waiting for a disk, and the example hooks with their hooks.conf.
# Side c is the client server, t the transit server. Homes, mails and data directories are in $W/c and $W/t.
PGBIN=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
PATH=$PGBIN:$PATH # Debian's psql is a wrapper that takes longer than the query

side_word() { [ "$1" = c ] && echo client || echo transit; }
service_address() { [ "$1" = c ] && echo 127.0.0.1 || echo 198.51.100.11; }
directories_up() { # that the servers' own users may enter
	chmod 711 "$W"
	mkdir -m 711 "$W/c" "$W/t"
	(cd / && pg_run test -x "$W/c") || cannot_run "the user postgres cannot enter $W: name another TMPDIR"
}

# ---- the four servers of a side
site_up() { # c|t
	local d=$W/$1 listen=127.0.0.1:8080
	[ "$1" = c ] || listen=198.51.100.10:80
	mkdir -m 755 "$d/nginx" "$d/home"
	cat >"$d/nginx/conf" <<-END
		daemon off; user nobody nogroup; worker_processes 2;
		pid $d/nginx/pid; error_log $W/log/nginx-$1 warn;
		events { worker_connections 128; }
		http {
			access_log off; default_type text/plain; keepalive_timeout 300s;
			client_body_temp_path $d/nginx/b; proxy_temp_path $d/nginx/p; fastcgi_temp_path $d/nginx/f; uwsgi_temp_path $d/nginx/u; scgi_temp_path $d/nginx/s;
			add_header X-Side $(side_word "$1") always;
			server { listen $listen default_server; location / { return 421; } }
			server { listen $listen; server_name alice.example; root $d/home/alice/www; include $d/nginx/sealed/alice.con[f]; }
			server { listen $listen; server_name bob.example; include $d/nginx/sealed/bob.con[f]; location / { return 200 "bob\n"; } }
		}
	END
	start "nginx-$1" "$1" nginx -e "$W/log/nginx-$1" -c "$d/nginx/conf" -p "$d/nginx"
}
imap_up() { # c|t
	local d=$W/$1
	mkdir -m 755 "$d/dovecot" "$d/dovecot/run" "$d/dovecot/state" "$d/dovecot/sealed"
	printf '%s:{PLAIN}secret\n' alice bob >"$d/dovecot/users"
	chmod 644 "$d/dovecot/users"
	cat >"$d/dovecot/conf" <<-END
		base_dir = $d/dovecot/run
		state_dir = $d/dovecot/state
		log_path = $W/log/dovecot-$1
		protocols = imap
		listen = $(service_address "$1")
		ssl = no
		disable_plaintext_auth = no
		auth_failure_delay = 0
		mail_location = maildir:~/Maildir
		first_valid_uid = 1000
		service imap-login {
		  inet_listener imap {
		    port = 143
		  }
		  inet_listener imaps {
		    port = 0
		  }
		}
		passdb {
		  driver = passwd-file
		  args = $d/dovecot/sealed/%u
		  deny = yes
		}
		passdb {
		  driver = passwd-file
		  args = $d/dovecot/users
		}
		userdb {
		  driver = static
		  args = uid=65534 gid=65534 home=$d/home/%u
		}
	END
	start "dovecot-$1" "$1" dovecot -F -c "$d/dovecot/conf"
}
mariadb_up() { # c|t
	local d=$W/$1/mariadb
	if [ "$1" = c ]; then
		mariadb-install-db --no-defaults --datadir="$d" --auth-root-authentication-method=normal --skip-test-db --user=root --innodb-log-file-size=4M --innodb-flush-method=nosync \
			>"$W/log/install-db" 2>&1
	else
		cp -a "$W/c/mariadb" "$d"
	fi
}
mariadb_start() { # c|t
	local d=$W/$1/mariadb
	start "mariadb-$1" "$1" mariadbd --no-defaults --datadir="$d" --user=root --socket="$W/$1/mariadb.sock" --pid-file="$W/$1/mariadb.pid" \
		--bind-address="$(service_address "$1")" --port=3306 --skip-name-resolve --performance-schema=OFF --innodb-buffer-pool-size=16M \
		--innodb-log-file-size=4M --innodb-flush-log-at-trx-commit=0 --innodb-flush-method=nosync --key-buffer-size=1M --skip-log-bin
}
pg_run() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
postgresql_up() { # c|t
	local d=$W/$1/postgresql
	if [ "$1" = c ]; then
		install -d -o postgres -g postgres -m 700 "$d" "$d/data"
		(cd / && pg_run "$PGBIN/initdb" -D "$d/data" -U postgres -A trust --no-sync --locale=C -E UTF8) >"$W/log/initdb" 2>&1
		printf 'local all all trust\nhost all all 0.0.0.0/0 scram-sha-256\n' >"$d/data/pg_hba.conf"
	else
		cp -a "$W/c/postgresql" "$d"
	fi
}
postgresql_start() { # c|t
	local d=$W/$1/postgresql
	start "postgresql-$1" "$1" setpriv --reuid=postgres --regid=postgres --clear-groups "$PGBIN/postgres" -D "$d/data" -k "$d" \
		-h "$(service_address "$1")" -F -c shared_buffers=8MB -c max_connections=30 -c autovacuum=off
}
services_up() {
	local n
	mariadb_up c &
	local installing=$!
	postgresql_up c
	wait $installing
	for n in c t; do
		[ $n = c ] || { mariadb_up t; postgresql_up t; }
		site_up $n
		imap_up $n
	done
	for n in c t; do
		mariadb_start $n
		postgresql_start $n
	done
	for n in c t; do
		WAIT=120 wait_for sql $n 'SELECT 1'
		WAIT=120 wait_for pg $n 'SELECT 1'
		wait_for in_ns $n curl -s -o "$W/door" "$([ $n = c ] && echo http://127.0.0.1:8080 || echo http://198.51.100.10)/"
		wait_for in_ns $n python3 -c 'import socket, sys; socket.create_connection((sys.argv[1], 143))' "$(service_address $n)"
	done
}
sql() { mariadb --no-defaults -S "$W/$1/mariadb.sock" -u root -N -B -e "$2"; }                            # SIDE STATEMENTS, as root
pg() { psql -X -q -A -t -v ON_ERROR_STOP=1 -h "$W/$1/postgresql" -U postgres -d "${3:-postgres}" -c "$2"; } # SIDE STATEMENTS [DATABASE]

# ---- the hooks, as an operator installs them
hooks_up() {
	local n
	mkdir "$W/hooks"
	cp "$TOP"/conf/hooks/* "$W/hooks/"
	# what ssh is to two hosts: a command line as the last argument, run by a shell in a session of its own
	cat >"$W/bin/enter" <<-END
		#!/bin/bash
		side=\$1
		shift
		exec setsid -w nsenter --net=/run/netns/${NS}\$side bash -c "\$*"
	END
	# a dump that can be told to break off in the middle
	cat >"$W/bin/dump" <<-END
		#!/bin/bash
		[ -e "$W/break" ] || exec mariadb-dump "\$@"
		mariadb-dump "\$@" | head -c 3000
		echo "the disk of the dump is gone" >&2
		exit 2
	END
	chmod 755 "$W/bin/enter" "$W/bin/dump"
	printf '#!/bin/bash\nset -o pipefail\n%s/hooks/copy | tee %s/copied\n' "$W" "$W" >"$W/bin/copy"
	chmod 755 "$W/bin/copy"
	cat >"$W/hooks/hooks.conf" <<-END
		client-shell = $W/bin/enter c
		transit-shell = $W/bin/enter t
		rsync-shell = $W/bin/enter
		client-rsync-host = c
		transit-rsync-host = t
		web-host = %a.example
		client-web-url = http://127.0.0.1:8080/robots.txt
		transit-web-url = http://198.51.100.10/robots.txt
		client-imap = 127.0.0.1:143
		transit-imap = 198.51.100.11:143
		mail-users = %a
		mariadb-users = %a %a_ro
		mariadb-databases-command = echo %a_blog; echo %a_shop   # as a panel would say
		postgresql-roles = %a %a_off
		postgresql-databases = %a_pg
	END
	for n in c t; do
		sed "s|^|$(side_word $n)-|" >>"$W/hooks/hooks.conf" <<-END
			state = $W/$n/sealed
			files = $W/$n/home/%a
			web-file = $W/$n/home/%a/www/robots.txt
			nginx-seal = $W/$n/nginx/sealed/%a.conf
			nginx = nginx -e $W/log/nginx-$n -c $W/$n/nginx/conf -p $W/$n/nginx
			nginx-pid = $W/$n/nginx/pid
			dovecot-seal = $W/$n/dovecot/sealed
			doveadm = doveadm -c $W/$n/dovecot/conf
			mariadb = mariadb --no-defaults -S $W/$n/mariadb.sock -u root
			mariadb-dump = $W/bin/dump --no-defaults -S $W/$n/mariadb.sock -u root
			psql = $PGBIN/psql -h $W/$n/postgresql -U postgres
			pg_dump = $PGBIN/pg_dump -h $W/$n/postgresql -U postgres
			pg_restore = $PGBIN/pg_restore -h $W/$n/postgresql -U postgres
		END
	done
}
run_hook() { # NAME FROM TO [PHASE]: by hand
	env -i PATH="$PATH" SHUNT_ACCOUNT=alice SHUNT_FROM="$2" SHUNT_TO="$3" SHUNT_HOOK="$1" SHUNT_PHASE="${4:-apply}" SHUNT_MOVE=0 "$W/hooks/$1"
}

# ---- what the account has
account_up() { # on the client side
	local h=$W/c/home/alice n
	mkdir -p "$h/www/deep/er" "$W/c/home/bob" "$W/t/home/bob"
	echo "alice's own" >"$h/www/robots.txt"
	head -c 3000000 /dev/urandom >"$h/www/big"
	echo odd >"$h/www/a 'name' with \"quotes\" and \$(spaces)"
	ln "$h/www/robots.txt" "$h/www/hard"
	ln -s robots.txt "$h/www/soft"
	echo secret >"$h/www/deep/er/private"
	chmod 600 "$h/www/deep/er/private"
	chmod 755 "$h" "$h/www"
	chown -R 65534:65534 "$h" "$W"/[ct]/home/bob
	sql c "CREATE DATABASE alice_blog; CREATE DATABASE alice_shop CHARACTER SET latin1; CREATE DATABASE bob_db;
		CREATE USER alice@'%' IDENTIFIED BY 'secret' WITH MAX_USER_CONNECTIONS 9; CREATE USER alice_ro@'%' IDENTIFIED BY 'secret' ACCOUNT LOCK;
		GRANT ALL ON alice_blog.* TO alice@'%'; GRANT SELECT, INSERT ON alice_shop.* TO alice@'%'; GRANT SELECT ON alice_blog.* TO alice_ro@'%';
		CREATE TABLE alice_blog.t (n INT PRIMARY KEY); CREATE TABLE alice_shop.t (n INT PRIMARY KEY) ENGINE=InnoDB;
		CREATE TABLE alice_blog.bin (b BLOB); INSERT INTO alice_blog.bin VALUES (x'00FF0A5C27220D'), ('\\\\! touch $W/pwned\n');
		CREATE VIEW alice_blog.v AS SELECT COUNT(*) AS c FROM alice_blog.t"
	sql c "USE alice_blog; CREATE TABLE pad AS SELECT seq, REPEAT('x', 200) AS p FROM seq_1_to_5000; CREATE TABLE log (n INT); CREATE DEFINER=alice@'%' TRIGGER tr AFTER INSERT ON t FOR EACH ROW INSERT INTO log VALUES (NEW.n);
		CREATE DEFINER=alice@'%' PROCEDURE pr() SELECT 42; CREATE EVENT ev ON SCHEDULE EVERY 1 DAY DO DELETE FROM log WHERE n < 0;
		GRANT EXECUTE ON PROCEDURE alice_blog.pr TO alice@'%'"
	for n in c t; do sql $n "CREATE USER IF NOT EXISTS bob@'%' IDENTIFIED BY 'secret'"; done
	pg c "CREATE ROLE alice LOGIN PASSWORD 'secret' CONNECTION LIMIT 9; CREATE ROLE alice_off NOLOGIN; GRANT alice_off TO alice;
		ALTER ROLE alice SET search_path TO \"\$user\", public; ALTER ROLE alice SET work_mem TO '3MB'"
	pg c 'CREATE DATABASE alice_pg OWNER alice'
	pg c 'SET ROLE alice; CREATE TABLE t (n INT PRIMARY KEY); CREATE TABLE pad AS SELECT g, repeat(md5(g::text), 8) FROM generate_series(1, 5000) g' alice_pg
	imap c append 'INBOX:first:\Seen' 'INBOX:second:\Flagged \Answered' 'INBOX:third:' 'Archive:old:\Seen' 'INBOX:gone:\Deleted'
}
# IMAP as alice; view prints everything a mail program remembers by UID
imap() { # SIDE append FOLDER:SUBJECT:FLAGS.. | SIDE view | SIDE login
	in_ns "$1" python3 "$E2E/hooks_imap.py" "$(service_address "$1")" "${@:2}"
}
files_of() { (cd "$W/$1/home/alice" && find . -path ./Maildir/dovecot.index\* -prune -o -name 'dovecot*' -prune -o -printf '%p %y %m %U:%G %n %l ' \( -type d -printf '\n' -o -printf '%s %T@\n' \) | sort); }

# ---- doors, past the proxy: "open", or why not
door() { # SIDE web|imap|mariadb|postgresql
	local out
	case $2 in
	web) out=$(in_ns "$1" curl -sS -m 60 --noproxy '*' -D - -o "$W/door" -w '%{http_code}' -H 'Host: alice.example' "$([ "$1" = c ] && echo http://127.0.0.1:8080 || echo http://198.51.100.10)/robots.txt" 2>&1) || :
		[ "${out##*$'\n'}" = 200 ] && out=open ;;
	imap) out=$(imap "$1" login 2>&1) || : ;;
	mariadb) out=$(in_ns "$1" mariadb --no-defaults -h "$(service_address "$1")" -P 3306 -u "${3:-alice}" -psecret -N -B -e "SELECT 'open'" 2>&1) || : ;;
	postgresql) out=$(in_ns "$1" env PGPASSWORD=secret psql -X -A -t -h "$(service_address "$1")" -U alice -d alice_pg -c "SELECT 'open'" 2>&1) || : ;;
	esac
	echo "$out"
}
is_open() { # SIDE
	local d
	for d in web imap mariadb postgresql; do same "$d on $(side_word "$1")" "$(door "$1" $d)" open; done
}
refuses() { # SIDE: each in its own words
	local web
	web=$(door "$1" web)
	like "web on $(side_word "$1")" "$web" '^503$'
	like "web on $(side_word "$1")" "$web" '^Retry-After: [0-9]'
	like "imap on $(side_word "$1")" "$(door "$1" imap)" '\[UNAVAILABLE\]'
	like "mariadb on $(side_word "$1")" "$(door "$1" mariadb)" '4151.*locked'
	like "postgresql on $(side_word "$1")" "$(door "$1" postgresql)" 'not permitted to log in'
}
locks_of() { # SIDE: all that seals touch
	(cd "$W/$1" && find sealed nginx/sealed dovecot/sealed -type f | sort && cat sealed/*) 2>/dev/null || :
	sql "$1" "SELECT user, host, IFNULL(JSON_VALUE(priv, '\$.account_locked'), 0) FROM mysql.global_priv ORDER BY 1"
	pg "$1" "SELECT rolname, rolcanlogin FROM pg_roles WHERE rolname LIKE 'alice%' ORDER BY 1"
}
