# shellcheck shell=bash
# mariadb - databases, users and grants. Each database is one stream: mysqldump at one end, the client at the other, the control host between
# them counting. The side that sends is only read.

mariadb_sql() { # STATEMENTS
	local client
	read -ra client <<<"$(conf mariadb "$SIDE")"
	"${client[@]}" -N -B -r -e "$1"
}
mariadb_accounts() { # 'alice'@'%', one a line
	local users
	users=$(conf mariadb-users)
	# shellcheck disable=SC2086 # a list of names
	[ -z "$users" ] || mariadb_sql "SELECT CONCAT(QUOTE(user), '@', QUOTE(host)) FROM mysql.user WHERE user IN ($(sql_list $users))"
}

# ---- seal
mariadb_open() {
	local accounts account created
	accounts=$(mariadb_accounts)
	for account in $accounts; do
		created=$(mariadb_sql "SHOW CREATE USER $account")
		case $created in *' ACCOUNT LOCK'*) ;; *) echo "mariadb $account" ;; esac
	done
}
mariadb_lock() {
	local accounts
	accounts=$(mariadb_accounts)
	[ -n "$accounts" ] || return 0
	# shellcheck disable=SC2086 # a list of names
	mariadb_sql "$(printf 'ALTER USER %s ACCOUNT LOCK;' $accounts)"
	wait_until 30 "MariaDB keeps a connection of $ACCOUNT" mariadb_killed
}
mariadb_killed() {
	local ids id
	# shellcheck disable=SC2046 # a list of names
	ids=$(mariadb_sql "SELECT id FROM information_schema.processlist WHERE user IN ($(sql_list $(conf mariadb-users)))")
	for id in $ids; do mariadb_sql "KILL $id" 2>/dev/null || true; done # it may have gone by itself
	[ -z "$ids" ]
}
mariadb_unlock() { # ACCOUNT..
	mariadb_sql "$(printf 'ALTER USER IF EXISTS %s ACCOUNT UNLOCK;' "$@")"
}

# ---- copy
mariadb_sizes() { # "mariadb NAME BYTES"
	local name size
	for name in $(conf mariadb-databases); do
		size=$(mariadb_sql "SELECT CAST(IFNULL(SUM(data_length), 0) AS UNSIGNED) FROM information_schema.tables WHERE table_schema = '$name'")
		echo "mariadb $name $size"
	done
}
mariadb_create_sql() { # databases as they are created here
	local name created
	for name in $(conf mariadb-databases); do
		created=$(mariadb_sql "SHOW CREATE DATABASE IF NOT EXISTS \`$name\`")
		printf '%s;\n' "${created#*$'\t'}"
	done
}
# Users come over locked, whatever they are here: the seal opens those that the state file of the new side names.
mariadb_users_sql() {
	local accounts account created grants
	accounts=$(mariadb_accounts)
	for account in $accounts; do
		created=$(mariadb_sql "SHOW CREATE USER $account")
		created=${created/#CREATE USER /CREATE OR REPLACE USER }
		case $created in *' ACCOUNT LOCK'*) ;; *) created+=' ACCOUNT LOCK' ;; esac
		grants=$(mariadb_sql "SHOW GRANTS FOR $account")
		printf '%s;\n' "$created"
		# shellcheck disable=SC2001 # every line
		sed 's/$/;/' <<<"$grants"
	done
}
# What is an account's own text must not be a command of the client's: --binary-mode knows none but DELIMITER.
mariadb_load() { # from standard input
	local client
	read -ra client <<<"$(conf mariadb "$TO")"
	on "$TO" "${client[@]}" --binary-mode
}
# One transaction sees all tables of the database at one moment (InnoDB; the others are kept still by the fence alone).
mariadb_copy() { # DATABASE BYTES BASE SPAN
	local dump rc=0
	read -ra dump <<<"$(conf mariadb-dump "$FROM")"
	on "$FROM" "${dump[@]}" --single-transaction --quick --hex-blob --routines --triggers --events --add-drop-database --databases "$1" </dev/null |
		counted "$2" "$3" "$4" | mariadb_load || rc=$?
	[ $rc = 0 ] || copy_failed "database $1 of MariaDB"
}
mariadb_copy_users() {
	local statements
	statements=$(there "$FROM" mariadb_users_sql)
	[ -n "$statements" ] || return 0
	mariadb_load <<<"$statements" || copy_failed "users and grants of MariaDB"
}
