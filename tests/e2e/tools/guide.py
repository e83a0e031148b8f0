"""The guide of README.md, taken apart for tests/e2e/guide.sh, and compared with what its commands print.

guide.py list README DIR          DIR/steps: a line for each thing to do, in order, numbered; what it needs is in DIR/N
                                    N stage WORDS       a comment <!-- guide: WORDS -->: a function of the story, with arguments
                                    N file PATH         a block ```conf PATH or ```json PATH, which is a file of the hosts: DIR/N is its text
                                    N command HOST      a line "HOST# COMMAND" or "HOST$ COMMAND" of a block ```console: DIR/N is the command
guide.py check README DIR [write] each command has left DIR/N.out and DIR/N.rc; says what differs from the README, or writes it there

What changes from run to run (times, durations, processes, hashes, counts of a move's visitors) is compared as if it were the same, and so
are blanks and line ends: outputs are folded. An exit code other than 0 stands in the last line of an output as (exit N).
"""
import os, re, sys, textwrap

WIDTH = 148
PROMPT = re.compile(r"^(control|web42|transit|visitor|ns1)[#$] (.*)$")
STAGE = re.compile(r"^<!-- guide: (.*) -->$")
FENCE = re.compile(r"^```(\w+)(?: (\S+))?$")
VARIES = [
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?( UTC)?"), "TIME"),
    (re.compile(r"\b\d{4}-\d\d-\d\d\b"), "DATE"),
    (re.compile(r"\b\d\d:\d\d:\d\d(\.\d+)?\b"), "TIME"),
    (re.compile(r"\b[0-9a-f]{32,64}\b"), "HASH"),
    (re.compile(r"shunt authority [0-9a-f]{8}"), "shunt authority ID"),
    (re.compile(r"\b(pid|kill) \d+"), "PID"),
    (re.compile(r"\b\d+ drained, \d+ cut, \d+ waited"), "VISITORS"),
    (re.compile(r'("(drained|cut|parked|longest-wait-ms|released|longest-ms|median-ms|ms)":\s?)\d+'), r"\1N"),
    (re.compile(r"\b\d+\.\d+ days\b"), "DURATION"),
    (re.compile(r"\b\d+(\.\d+)? (ms|s|seconds?|min)\b"), "DURATION"),
    (re.compile(r"~?\b\d+(\.\d+)? (account|accounts|GB) a day"), "PACE"),
    (re.compile(r"\b\d+ connections?\b"), "CONNECTIONS"),
    (re.compile(r"\b\d+\s+TIME\s+root"), "LINE TIME root"),
    (re.compile(r"\b\d+ lines, unbroken"), "LINES, unbroken"),
    (re.compile(r"example \(\d+\)"), "example (COUNT)"),
]


def blocks(lines):
    """(line number, kind, word, text) of what guide.sh is to do; commands as (first line of the output, line after it, host, command)."""
    i = 0
    while i < len(lines):
        stage, fence = STAGE.match(lines[i]), FENCE.match(lines[i])
        if stage:
            yield "stage", stage[1], i, i
        if fence:
            end = lines.index("```", i + 1)
            if fence[1] == "console":
                at = i + 1
                while at < end:
                    prompt = PROMPT.match(lines[at])
                    if not prompt:
                        sys.exit("README.md:%d: not a command: %s" % (at + 1, lines[at]))
                    command = [prompt[2]]
                    at += 1
                    while command[-1].endswith("\\"):
                        command.append(lines[at])
                        at += 1
                    out = at
                    while at < end and not PROMPT.match(lines[at]):
                        at += 1
                    yield "command", (prompt[1], "\n".join(command)), out, at
            elif fence[2]:
                yield "file", (fence[2], "\n".join(lines[i + 1:end]) + "\n"), i, i
            i = end
        i += 1


def the_same(text):
    for pattern, word in VARIES:
        text = pattern.sub(word, text)
    return " ".join(text.split())


def printed(directory, n):
    with open("%s/%d.out" % (directory, n), errors="backslashreplace") as f:
        # what the story's own shell says of a command that was killed is none of its output
        out = re.sub(r"(?m)^.*guide_lib\.sh: line \d+: +\d+ Killed .*\n", "", f.read())
    with open("%s/%d.rc" % (directory, n)) as f:
        rc = f.read().strip()
    lines = []
    for line in out.rstrip("\n").split("\n") if out.strip() else []:
        line = line.rstrip()
        indent = " " * min(len(line) - len(line.lstrip()) + 2, 20)
        lines += textwrap.wrap(line, WIDTH, subsequent_indent=indent, break_on_hyphens=False, drop_whitespace=True, replace_whitespace=False) if len(line) > WIDTH else [line]
    if rc != "0":
        lines.append("(exit %s)" % rc)
    return lines


def main():
    what, readme, directory = sys.argv[1:4]
    with open(readme) as f:
        lines = f.read().split("\n")
    todo = list(blocks(lines))
    if what == "list":
        with open(directory + "/steps", "w") as steps:
            for n, (kind, word, _, _) in enumerate(todo):
                if kind != "stage":
                    with open("%s/%d" % (directory, n), "w") as f:
                        f.write(word[1])
                    word = word[0]
                steps.write("%d %s %s\n" % (n, kind, word))
        return 0
    wrong = 0
    for n, (kind, word, first, after) in reversed(list(enumerate(todo))):
        if kind != "command" or not os.path.exists("%s/%d.rc" % (directory, n)):
            continue
        found = printed(directory, n)
        if what == "check" and the_same("\n".join(found)) != the_same("\n".join(lines[first:after])):
            wrong += 1
            if len(sys.argv) == 4:
                print("README.md:%d: %s# %s" % (first, *word))
                print("  says\n    " + "\n    ".join(lines[first:after]) + "\n  now it prints\n    " + "\n    ".join(found))
        lines[first:after] = found
    if len(sys.argv) > 4:
        with open(readme, "w") as f:
            f.write("\n".join(lines))
        print("%d outputs were other than README.md says; it has all of them as they are now" % wrong)
        return 0
    return wrong > 0


sys.exit(main())
