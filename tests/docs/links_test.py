#!/usr/bin/env python3
"""Checks that every link in the Markdown files, and in llms.txt, leads to a file and to a heading in it.

Links to other sites are not followed. Those of llms.txt are paths of a running server; which files
they stand for is looked up in core/web/CMakeLists.txt.
"""
import os
import re
import subprocess
import sys

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
WEB = os.path.join(ROOT, "core/web")
DOCS = os.path.join(WEB, "docs")
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\[\]]*\])*\]\(\s*<?([^)\s>]+)>?[^)]*\)")
SOURCE = re.compile(r"""(?:src|srcset|href)="([^"]+)\"""")


def markdown_files():
    """All files of the tree, except build folders and checkouts in it."""
    for folder, names, files in os.walk(ROOT):
        names[:] = [name for name in names
                    if not name.startswith("build") and name not in (".git", "data", "node_modules")]
        for name in files:
            if name.endswith(".md"):
                yield os.path.join(folder, name)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def prose_of(text):
    """The lines outside of code blocks, numbered, with inline code blanked out."""
    fence = None
    for number, line in enumerate(text.split("\n"), 1):
        mark = re.match(r" *(```+|~~~+)", line)
        if mark and fence is None:
            fence = mark.group(1)
        elif mark and line.strip().startswith(fence):
            fence = None
        elif fence is None:
            yield number, line


def without_code(line):
    return re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", lambda code: "x" * len(code.group(0)), line)


def anchors_of(text):
    """The anchors of the headings, as on GitHub."""
    anchors, seen = set(), {}
    for _, line in prose_of(text):
        heading = re.match(r"#{1,6} +(.*?) *#*$", line)
        if heading:
            title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.group(1)).lower()
            slug = re.sub(r"[^\w\- ]", "", title).replace(" ", "-")
            n = seen.get(slug, 0)
            seen[slug] = n + 1
            anchors.add(slug if n == 0 else f"{slug}-{n}")
    return anchors


def fault_of(path, target):
    """The fault of a link in the file; None: no fault."""
    name, _, anchor = target.partition("#")
    file = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
    if not file.startswith(ROOT):
        return "leads out of the tree"
    if not os.path.exists(file):
        return "leads nowhere"
    if anchor and (not file.endswith(".md") or anchor not in anchors_of(read(file))):
        return "names no heading of that file"
    return None


def links_of(text):
    for number, line in prose_of(text):
        for target in LINK.findall(without_code(line)) + SOURCE.findall(line):
            if not re.match(r"[a-z]+:", target):
                yield number, target


def check_markdown(path):
    for number, target in links_of(read(path)):
        fault = fault_of(path, target)
        if fault:
            yield f"{os.path.relpath(path, ROOT)}:{number}: {target} {fault}"


def served_file(target):
    """The file of core/web that is served at the path, according to core/web/CMakeLists.txt."""
    listed = dict(pair.split("=") for pair in re.findall(r"/[\w./]+=[\w./]+\.\w+", read(os.path.join(WEB, "CMakeLists.txt"))))
    listed["/client.js"] = "client/client.js"
    name = listed.get(target)
    if name is None and re.fullmatch(r"/docs/[\w-]+\.md", target):
        name = target[1:]
    return name and os.path.join(WEB, name)


def check_llms():
    """The file has the form of llmstxt.org, and its links lead to files that are served."""
    path = os.path.join(DOCS, "llms.txt")
    text = read(path)
    if not re.match(r"# [^\n]+\n\n> [^\n]+\n", text):
        yield "llms.txt: it does not begin with a title and a summary"
    listed = set()
    in_list = False
    for number, line in enumerate(text.split("\n"), 1):
        in_list = in_list or line.startswith("## ")
        link = re.fullmatch(r"- \[[^\]]+\]\(([^)]+)\)(: .+)?", line)
        if in_list and line and not line.startswith("## ") and not link:
            yield f"llms.txt:{number}: no link: {line}"
        if in_list and link:
            listed.add(link.group(1))
            file = served_file(link.group(1))
            if not file or not os.path.exists(file):
                yield f"llms.txt:{number}: {link.group(1)} is not served"
    for name in os.listdir(DOCS):
        if name.endswith(".md") and f"/docs/{name}" not in listed:
            yield f"llms.txt: {name} is missing"


def is_ignored(path):
    asked = subprocess.run(["git", "-C", ROOT, "check-ignore", "-q", path], capture_output=True)
    return asked.returncode == 0


def main():
    files = [path for path in sorted(markdown_files()) if not is_ignored(path)]
    faults = [fault for path in files for fault in check_markdown(path)] + list(check_llms())
    print("\n".join(faults) or f"the links of {len(files)} files and of llms.txt lead somewhere")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
