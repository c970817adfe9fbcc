"""Completion of `s3shield` in bash and zsh, made of its parsers.

python -m pack.completion bash|zsh > FILE
"""

from __future__ import annotations

import shlex
import sys

from pack.words import Command, Word, commands, top

__all__ = ["bash", "zsh"]

_BASH = """\
# bash completion for s3shield, made of its parsers: do not edit.
_s3shield() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command= next i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        next="${command:+$command }${COMP_WORDS[i]}"
        case $next in
        %s) command=$next ;;
        esac
    done
    case "$command $before" in
%s
    esac
    local options= inner=
    case $command in
%s
    esac
    case $word in
    -*) mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word") ;;
    *)
        mapfile -t COMPREPLY < <(compgen -W "$inner" -- "$word")
        if [ ${#COMPREPLY[@]} -eq 0 ]; then
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
        fi
        ;;
    esac
}
complete -o filenames -F _s3shield s3shield
"""
_ZSH = """\
#compdef s3shield
# zsh completion for s3shield, made of its parsers: do not edit.
_s3shield() {
    local curcontext=$curcontext state line
    local -a names
    _arguments -C %s '1: :->command' '*:: :->rest' && return
    case $state in
    command)
        names=(%s)
        _describe command names
        ;;
    rest)
        case $line[1] in
%s
        esac
        ;;
    esac
}
_s3shield "$@"
"""


def _inner(command: Command, everything: list[Command]) -> list[Command]:
    """Return the commands right below one."""
    size = len(command.path)
    return [c for c in everything if c.path[:size] == command.path and len(c.path) == size + 1]


def bash() -> str:
    """Return the script for bash."""
    everything = commands()
    values, options = [], []
    for command in [top(), *everything]:
        words = [name for word in command.options for name in word.names]
        inner = " ".join(inner.path[-1] for inner in _inner(command, everything))
        options.append(f'    "{command.name}") options="{" ".join(words)}" inner="{inner}" ;;')
        for word in command.options:
            if not word.value:
                continue
            pattern = "|".join(f'"{command.name} {name}"' for name in word.names)
            found = _bash_value(word)
            values.append(f"    {pattern}) {found}return ;;")
    names = "|".join(f'"{command.name}"' for command in everything)
    return _BASH % (names, "\n".join(values), "\n".join(options))


def _bash_value(word: Word) -> str:
    if word.choices:
        what = f'-W "{" ".join(word.choices)}"'
    elif word.is_file:
        what = "-f"
    else:
        return ""
    return f'mapfile -t COMPREPLY < <(compgen {what} -- "$word"); '


def _zsh_text(text: str) -> str:
    for letter in "\\[]:":
        text = text.replace(letter, f"\\{letter}")
    return text.replace("\n", " ")


def _zsh_word(word: Word) -> str:
    after = ""
    if word.value:
        what = f"({' '.join(word.choices)})" if word.choices else "_files" if word.is_file else " "
        after = f":{_zsh_text(word.value)}:{what}"
    if not word.names:
        return shlex.quote(f"{'*' if word.many else ''}{after}")
    return " ".join(shlex.quote(f"{name}[{_zsh_text(word.help)}]{after}") for name in word.names)


def zsh() -> str:
    """Return the function for zsh."""
    everything = commands()
    names, cases = [], []
    for command in _inner(top(), everything):
        names.append(shlex.quote(f"{command.name}:{_zsh_text(command.brief)}"))
        words = [_zsh_word(word) for word in command.words]
        inner = _inner(command, everything)
        if inner:
            words.append(shlex.quote(f"1:command:({' '.join(c.path[-1] for c in inner)})"))
            below = {_zsh_word(word) for c in inner for word in c.options} - set(words)
            words += sorted(below)
        cases.append(f"        {command.name}) _arguments {' '.join(words)} ;;")
    options = " ".join(_zsh_word(word) for word in top().options)
    return _ZSH % (options, " ".join(names), "\n".join(cases))


if __name__ == "__main__":
    sys.stdout.write({"bash": bash, "zsh": zsh}[sys.argv[1]]())
