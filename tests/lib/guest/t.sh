# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# t.h for shell tests. A file test-NAME.sh has functions test_THIS and
# test_THAT, and no code outside of functions. Each test runs in its own shell,
# with -eu, and has passed when its function returns 0.
#
#	fail WHY	end the test
#	skip WHY	end the test
#	name TAIL	print the name of a host object of this run
#	host REQUEST	ask the host and print its answer; see t.h
#
# The comment lines of t.h ("qemu: ...") also have an effect in these files.

T_CHANNEL=/dev/results

fail()
{
	echo "$*"
	exit 1
}

skip()
{
	echo "$*"
	exit 77
}

name()
{
	echo "${T_PREFIX:-/}$1"
}

host()
{
	echo "host $*" >&3
	read -r t_word t_answer <&3
	[ "$t_word" = "done" ] || fail "host: $*: $t_word $t_answer"
	[ -z "$t_answer" ] || echo "$t_answer"
}

exec 3<>$T_CHANNEL
t_file=$1
shift

if [ "$t_file" = --one ]; then
	# shellcheck source=/dev/null
	. "/tests/$1"
	set -eu
	"test_$2"
	exit
fi

for t_test; do
	t_name=$T_PROGRAM/$t_test
	echo "<5>vmshm-test: $t_name" >/dev/kmsg
	echo "run $t_name" >&3
	timeout "$T_TIMEOUT" sh /t.sh --one "$t_file" "$t_test" >/tmp/t.out 2>&1
	t_rc=$?
	t_why=$(tail -n 1 /tmp/t.out | tr -cd ' -~' | cut -c -300)
	cat /tmp/t.out
	case $t_rc in
	0) echo "ok $t_name" ;;
	77) echo "skip $t_name: $t_why" ;;
	124 | 143) echo "not ok $t_name: it hung" ;;
	*) echo "not ok $t_name: ${t_why:-exit code $t_rc}" ;;
	esac >&3
done
