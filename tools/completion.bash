# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Completion of vmshm(1) for bash: commands, options, and names of objects.
# `make install` puts it where bash-completion finds it.

# The options typed so far that select the objects, in the array "place"
_vmshm_place()
{
	local i

	place=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-H | -G | --host | --guest) place+=("${COMP_WORDS[i]}") ;;
		-d | --device | --dir)
			place+=("${COMP_WORDS[i]}" "${COMP_WORDS[i + 1]}")
			;;
		esac
	done
}

# Names of objects that begin with $1, with or without the slash; none with
# bytes that "vmshm ls" escapes. Column and row of a name: behind the heading.
_vmshm_objects()
{
	local line start='' name slash=/ place

	[[ $1 == /* ]] || slash=''
	_vmshm_place
	while IFS= read -r line; do
		if [ -z "$start" ]; then
			start=${line%NAME}
			continue
		fi
		name=$slash${line:${#start}+1}
		[[ $name == *\\* || $name != "$1"* ]] || printf '%q\n' "$name"
	done < <(vmshm "${place[@]}" ls 2>/dev/null)
}

_vmshm_devices()
{
	local path

	for path in /sys/class/vmshm/*; do
		[ ! -e "$path" ] || echo "${path##*/}"
	done
}

# The command, which is the first word that is neither an option nor its value
_vmshm_command()
{
	local i

	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-d | --device | --dir) ((i++)) ;;
		-*) ;;
		*) echo "${COMP_WORDS[i]}" && return ;;
		esac
	done
}

# From the help text, which names each of them once
_vmshm_commands()
{
	vmshm --help | sed -n 's/^  \([a-z]*\) .*/\1/p'
}

_vmshm_options()
{
	case $1 in
	'') echo --device --dir ;;
	ls | info) echo --device --dir --json ;;
	create) echo --device --dir --mode --sparse ;;
	send | recv | pipe) echo --device --dir --mode ;;
	rm | cat | write) echo --device --dir ;;
	run) echo --device --options ;;
	top) echo --device --dir --json --interval ;;
	doctor) echo --json ;;
	esac
	echo --host --guest --help
	[ -n "$1" ] || echo --version
}

_vmshm()
{
	local word=${COMP_WORDS[COMP_CWORD]} command

	command=$(_vmshm_command)
	case ${COMP_WORDS[COMP_CWORD - 1]} in
	-d | --device)
		mapfile -t COMPREPLY < <(compgen -W "$(_vmshm_devices)" \
			-- "$word")
		return
		;;
	--dir)
		mapfile -t COMPREPLY < <(compgen -d -- "$word")
		return
		;;
	-m | --mode | -o | --options | --interval)
		COMPREPLY=()
		return
		;;
	esac
	if [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen \
			-W "$(_vmshm_options "$command")" -- "$word")
		return
	fi
	case $command in
	'')
		mapfile -t COMPREPLY < <(compgen -W "$(_vmshm_commands)" \
			-- "$word")
		;;
	ls | info | rm | cat | write | send | recv | pipe)
		mapfile -t COMPREPLY < <(_vmshm_objects "${word//\\/}")
		;;
	run)
		mapfile -t COMPREPLY < <(compgen -c -- "$word")
		;;
	*)
		COMPREPLY=()
		;;
	esac
}

complete -F _vmshm vmshm
