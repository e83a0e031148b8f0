# shellcheck shell=bash
# postgresql - databases and roles. Each database is one stream, pg_dump at one end and pg_restore at the other: not psql, to which an account's
# own text could give commands. The side that sends is only read.

postgresql_sql() { # STATEMENTS
	local client
	read -ra client <<<"$(conf psql "$SIDE")"
	"${client[@]}" -X -q -A -t -v ON_ERROR_STOP=1 -d postgres -c "$1"
}
postgresql_list() { # 'alice','alice_ro' or nothing
	# shellcheck disable=SC2046 # a list of names
	sql_list $(conf postgresql-roles)
}

# ---- seal
postgresql_open() {
	local list
	list=$(postgresql_list)
	[ -z "$list" ] || postgresql_sql "SELECT 'postgresql ' || rolname FROM pg_roles WHERE rolcanlogin AND rolname IN ($list)"
}
postgresql_lock() {
	local list roles
	list=$(postgresql_list)
	[ -n "$list" ] || return 0
	roles=$(postgresql_sql "SELECT rolname FROM pg_roles WHERE rolname IN ($list)")
	# shellcheck disable=SC2086 # a list of names
	[ -z "$roles" ] || postgresql_sql "$(printf 'ALTER ROLE "%s" NOLOGIN;' $roles)"
	wait_until 30 "PostgreSQL keeps a connection of $ACCOUNT" postgresql_ended "$list"
}
postgresql_ended() { # LIST
	[ -z "$(postgresql_sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename IN ($1)")" ]
}
postgresql_unlock() { # ROLE..
	local role known
	for role; do
		known=$(postgresql_sql "SELECT 1 FROM pg_roles WHERE rolname = '$role'")
		[ -z "$known" ] || postgresql_sql "ALTER ROLE \"$role\" LOGIN"
	done
}

# ---- copy
postgresql_sizes() { # "postgresql NAME BYTES"
	local name size
	for name in $(conf postgresql-databases); do
		size=$(postgresql_sql "SELECT pg_database_size('$name')")
		echo "postgresql $name $size"
	done
}
# Roles as they are here but for LOGIN: the seal gives that to those that the state file of the new side names. The server quotes: a role's
# settings and password are its owner's text. Settings that are lists of names are put together again name by name.
postgresql_roles_sql() {
	local list
	list=$(postgresql_list)
	[ -n "$list" ] || return 0
	postgresql_sql "
		SELECT format('DO \$\$BEGIN CREATE ROLE %I; EXCEPTION WHEN duplicate_object THEN NULL; END\$\$;', rolname) FROM pg_authid WHERE rolname IN ($list);
		SELECT format('ALTER ROLE %I RESET ALL; ALTER ROLE %1\$I NOLOGIN %s %s %s %s %s %s CONNECTION LIMIT %s PASSWORD %L VALID UNTIL %L;', rolname,
			CASE WHEN rolsuper THEN 'SUPERUSER' ELSE 'NOSUPERUSER' END, CASE WHEN rolinherit THEN 'INHERIT' ELSE 'NOINHERIT' END,
			CASE WHEN rolcreaterole THEN 'CREATEROLE' ELSE 'NOCREATEROLE' END, CASE WHEN rolcreatedb THEN 'CREATEDB' ELSE 'NOCREATEDB' END,
			CASE WHEN rolreplication THEN 'REPLICATION' ELSE 'NOREPLICATION' END, CASE WHEN rolbypassrls THEN 'BYPASSRLS' ELSE 'NOBYPASSRLS' END,
			rolconnlimit, rolpassword, coalesce(rolvaliduntil::text, 'infinity')) FROM pg_authid WHERE rolname IN ($list);
		SELECT format('ALTER ROLE %I SET %I TO %s;', r.rolname, split_part(c, '=', 1), CASE
			WHEN split_part(c, '=', 1) IN ('search_path', 'temp_tablespaces', 'local_preload_libraries', 'session_preload_libraries')
			THEN (SELECT string_agg(quote_literal(btrim(btrim(e), '\"')), ', ') FROM unnest(string_to_array(substr(c, strpos(c, '=') + 1), ',')) e)
			ELSE quote_literal(substr(c, strpos(c, '=') + 1)) END)
			FROM pg_db_role_setting s JOIN pg_authid r ON r.oid = s.setrole, unnest(s.setconfig) c WHERE s.setdatabase = 0 AND r.rolname IN ($list);
		SELECT format('GRANT %I TO %I%s;', g.rolname, m.rolname, CASE WHEN a.admin_option THEN ' WITH ADMIN OPTION' ELSE '' END)
			FROM pg_auth_members a JOIN pg_authid g ON g.oid = a.roleid JOIN pg_authid m ON m.oid = a.member WHERE m.rolname IN ($list);"
}
postgresql_copy_roles() {
	local statements client
	statements=$(there "$FROM" postgresql_roles_sql)
	[ -n "$statements" ] || return 0
	read -ra client <<<"$(conf psql "$TO")"
	on "$TO" "${client[@]}" -X -q -1 -v ON_ERROR_STOP=1 -d postgres <<<"SET client_min_messages = warning; $statements" || copy_failed "roles of PostgreSQL"
}
# Uncompressed, so that the bytes can be told from the size (`ssh -C` compresses where the wire is slow).
postgresql_copy() { # DATABASE BYTES BASE SPAN
	local dump restore rc=0
	read -ra dump <<<"$(conf pg_dump "$FROM")"
	read -ra restore <<<"$(conf pg_restore "$TO")"
	on "$FROM" "${dump[@]}" -Fc -Z0 "$1" </dev/null | counted "$2" "$3" "$4" |
		on "$TO" "${restore[@]}" --exit-on-error --clean --if-exists --create -d postgres || rc=$?
	[ $rc = 0 ] || copy_failed "database $1 of PostgreSQL"
}
