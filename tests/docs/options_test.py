#!/usr/bin/env python3
"""Checks that the documentation has every option: those of the command line of kvserver in its man page, the verbs of
kvctl on its page (kvctl_test.py compares its man page), the keys of the configuration on the pages below, the
options of each module in its README, and the metrics on the page about operations. It reads the sources, and needs no
build. Prints TAP.
"""
import glob
import os
import re
import sys

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
sys.path.insert(0, os.path.join(ROOT, "tests/support/python"))
from kvserver import Report  # pylint: disable=wrong-import-position

DOCS = "core/web/docs"
CONFIGURATION, ACCESS, SINKS, HOOKS = (f"{DOCS}/{name}.md" for name in ("configuration", "access", "sinks", "hooks"))
SCRIPT = "core/script/README.md"
# Where the options of each array of core/daemon/schema.c are: the pages, and the beginning of the keys in its table,
# if they are in one. kvserver.yaml(5) is made of these tables.
PLACES = {
    "kv_config_options": ([CONFIGURATION], ""),
    "kv_listen_fields": ([CONFIGURATION], None),
    "limit_fields": ([CONFIGURATION], "limits"),
    "timeout_fields": ([CONFIGURATION], "timeouts"),
    "change_log_fields": ([CONFIGURATION], "change_log"),
    "http_fields": ([CONFIGURATION], "http"),
    "pages_fields": ([CONFIGURATION], "pages"),
    "websocket_fields": ([CONFIGURATION], "websocket"),
    "log_fields": ([CONFIGURATION], "log"),
    "tls_fields": ([CONFIGURATION, ACCESS], None),
    "certificate_fields": ([ACCESS], None),
    "access_fields": ([ACCESS], "access"),
    "rate_fields": ([ACCESS], "access.rates"),
    "anonymous_fields": ([ACCESS], None),
    "token_fields": ([ACCESS], None),
    "jwt_fields": ([ACCESS], ""),
    "kv_module_fields": ([CONFIGURATION], None),
    "kv_sink_fields": ([CONFIGURATION, SINKS], None),
    "queue_fields": ([SINKS], None),
    "retry_fields": ([SINKS], None),
    "kv_script_fields": ([CONFIGURATION, HOOKS, SCRIPT], None),
    "script_limit_fields": ([HOOKS, SCRIPT], None),
}
# Options that several modules have in common.
SHARED = {
    "modules/redis_client": ["modules/store/redis", "modules/sink/redis"],
    "modules/store/durable": ["modules/store/rocksdb", "modules/store/lmdb"],
    "modules/ttl": ["modules/ttl/bounded", "modules/ttl/jitter", "modules/ttl/sliding"],
}
ARRAY = re.compile(r"const struct kv_option (\w+)\[[^\]]*\] = \{\n(.*?)\n\};", re.DOTALL)
NAME = re.compile(r'\.name = "(\w+)"')
OPTION = re.compile(r'\{[\s\\]*\.name = "(\w+)",[\s\\]*\.type = KV_OPTION')


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def code_of(text):
    """Everything in code spans and code blocks."""
    return "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL))


def is_in_code(name, text):
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", code_of(text)) is not None


def table_keys(text):
    """The keys in the first column of the tables: of a row `limits.key`, `.value`, limits.key and limits.value."""
    keys = set()
    for cell in re.findall(r"^\| (`[^|]*`) \|", text, re.MULTILINE):
        block = ""
        for key in re.findall(r"`([^`]+)`", cell):
            if not key.startswith("."):
                block = key.rpartition(".")[0]
            keys.add(block + key if key.startswith(".") else key)
    return keys


def expect_none(missing, where):
    assert not missing, f"{where} lacks {', '.join(missing)}"


def missing_keys(names, text, block):
    if block is None:
        return [name for name in names if not is_in_code(name, text)]
    keys, prefix = table_keys(text), f"{block}." if block else ""
    return [prefix + name for name in names
            if not any(key == prefix + name or key.startswith(f"{prefix}{name}.") for key in keys)]


def command_line():
    table = re.search(r"struct option options\[\] = \{\n(.*?)\n\};", read("core/daemon/arguments.c"), re.DOTALL)
    names = re.findall(r'\{"([a-z-]+)"', table.group(1))
    assert len(names) > 5, names
    manual = read("conf/man/kvserver.8")
    expect_none([name for name in names if not re.search(rf"^\.It Fl (. , )?-{name}\b", manual, re.MULTILINE)],
                "kvserver(8)")


def verbs():
    names = re.findall(r'\{\.name = "(\w+)"', read("core/kvctl/verbs.c"))
    assert len(names) > 15, names
    page = read(f"{DOCS}/kvctl.md")
    first_cells = " ".join(re.findall(r"^\| (`.*?`) \| ", page, re.MULTILINE))
    expect_none([name for name in names if name != "help" and not is_in_code(name, first_cells)], f"{DOCS}/kvctl.md")


def configuration():
    arrays = dict(ARRAY.findall(read("core/daemon/schema.c")))
    assert set(arrays) == set(PLACES), f"see PLACES: {', '.join(sorted(set(arrays) ^ set(PLACES)))}"
    for array, (pages, block) in PLACES.items():
        names = NAME.findall(arrays[array])
        assert names, array
        for page in pages:
            expect_none(missing_keys(names, read(page), block), page)


def modules():
    n = 0
    for path in glob.glob(os.path.join(ROOT, "modules/**/*.[ch]"), recursive=True):
        folder, names = os.path.relpath(os.path.dirname(path), ROOT), OPTION.findall(read(path))
        n += len(names)
        for page in [f"{module}/README.md" for module in SHARED.get(folder, [folder])]:
            expect_none([name for name in names if not is_in_code(name, read(page))], page)
    assert n > 60, n


def metrics():
    names = set()
    for pattern in ("core/**/*.c", "modules/**/*.c"):
        for path in glob.glob(os.path.join(ROOT, pattern), recursive=True):
            names |= set(re.findall(r'"((?:kvserver|process)_[a-z_]+)",\s*KV_METRIC', read(path)))
    assert len(names) > 40, names
    told = re.findall(r"`((?:kvserver|process)_[a-z_]*\*?)`", read(f"{DOCS}/operations.md"))
    patterns = [text[:-1] if text.endswith("*") else f"{text.removesuffix('_total')}\n" for text in told]
    expect_none([name for name in sorted(names) if not any(f"{name}\n".startswith(text) for text in patterns)],
                f"{DOCS}/operations.md")


def main():
    report = Report()
    report.check("kvserver(8) has every option of the command line", command_line)
    report.check("the page of kvctl has every verb", verbs)
    report.check("the pages have every key of the configuration", configuration)
    report.check("the README of each module has all of its options", modules)
    report.check("the page about operations has every metric", metrics)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
