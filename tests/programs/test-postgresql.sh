# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2317
#
# PostgreSQL in the guest, as its own user, with its dynamic shared memory on a
# plain mount: workers of a parallel query share it.
#
# qemu: -device vmshm,create=on,prefix=@PREFIX@pg- -m 1024
# driver: futex=1
# needs: programs

BIN=/usr/lib/postgresql/15/bin

as_postgres()
{
	su -s /bin/sh postgres -c "LC_ALL=C PATH=$BIN:/bin $*"
}

query()
{
	as_postgres "psql -h /tmp/pg -At -c \"$1\" postgres"
}

test_parallel_query()
{
	[ -x $BIN/initdb ] || skip "Debian: apt install postgresql"
	mkdir -p /etc /tmp/pg
	echo 'root:x:0:0::/:/bin/sh' >/etc/passwd
	echo 'postgres:x:105:105::/tmp/pg:/bin/sh' >>/etc/passwd
	echo 'postgres:x:105:' >/etc/group
	chown 105:105 /tmp/pg
	chmod 1777 /tmp
	mount -t vmshm vmshm0 /dev/shm
	trap 'umount -l /dev/shm' EXIT
	as_postgres "initdb --no-sync -D /tmp/pg/data" >/tmp/initdb.log 2>&1 ||
		fail "$(tail -n 1 /tmp/initdb.log)"
	grep -q '^dynamic_shared_memory_type = posix' \
		/tmp/pg/data/postgresql.conf || fail "not by POSIX shared memory"
	as_postgres "pg_ctl -D /tmp/pg/data -t 120 -w -l /tmp/pg/log \
		-o '-k /tmp/pg -c listen_addresses= -c fsync=off' start" ||
		fail "$(tail -n 1 /tmp/pg/log)"
	set -- /dev/shm/PostgreSQL.*
	[ -e "$1" ] || fail "no segment in /dev/shm"
	[ "$(stat -c %u "$1")" = 105 ] || fail "the segment is of another user"
	# Another user cannot read or remove it.
	if su -s /bin/sh nobody -c "cat $1" >/dev/null 2>&1; then
		fail "nobody reads the segment"
	fi
	query "create table t as select i from generate_series(1, 20000) i"
	sum=$(query "set force_parallel_mode=on; set parallel_setup_cost=0; \
		set min_parallel_table_scan_size=0; select sum(i) from t")
	[ "${sum##*
}" = 200010000 ] || fail "the sum is $sum"
	plan=$(query "set force_parallel_mode=on; \
		explain (analyze, costs off, timing off) select sum(i) from t")
	case $plan in
	*"Workers Launched: "[1-9]*) ;;
	*) fail "no worker: $plan" ;;
	esac
	as_postgres "pg_ctl -D /tmp/pg/data -w stop" || fail "stop"
	set -- /dev/shm/PostgreSQL.*
	[ ! -e "$1" ] || fail "$1 is left"
}
